/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one exchange: it begins with a head, lives as long as its client
 * or a call that it waits for, and ends with the answer's last byte. */
#include "exchange/state.h"
#include "kit/clock.h"
#include <string.h>

/* Of a stream at one time: all that the filter may hold, and its last event. */
#define MAX_OUT ((size_t)64 * 1024 * 1024)

static void
exchange_free(Exchange *exchange)
{
  exchange->env->stats.held_bytes -= exchange->counted;
  http_request_free(exchange->request);
  g_free(exchange->connect_host);
  g_free(exchange->path);
  g_free(exchange->shown_path);
  caller_unref(exchange->caller);
  policy_unref(exchange->policy);
  person_unref(exchange->person);
  g_free(exchange->client);
  route_clear(&exchange->route);
  g_free(exchange->scope);
  g_free(exchange->session);
  g_clear_pointer(&exchange->masked_out, g_hash_table_unref);
  g_clear_pointer(&exchange->masked_in, g_hash_table_unref);
  buf_clear(&exchange->incoming);
  g_clear_pointer(&exchange->body, g_bytes_unref);
  inspection_free(exchange->inspection);
  verdict_free(exchange->verdict);
  g_clear_pointer(&exchange->forward, g_bytes_unref);
  g_clear_pointer(&exchange->record, g_bytes_unref);
  http_headers_free(exchange->outgoing);
  http_headers_free(exchange->headers);
  http_decoder_free(exchange->decoder);
  buf_clear(&exchange->answer);
  inspection_free(exchange->answer_inspection);
  inspection_free(exchange->restored_calls);
  verdict_free(exchange->answer_verdict);
  response_filter_free(exchange->filter);
  buf_clear(&exchange->out);
  buf_clear(&exchange->recorded_answer);
  buf_clear(&exchange->original_answer);
  g_free(exchange->outcome);
  refusal_free(exchange->refusal);
  g_clear_pointer(&exchange->reply, g_bytes_unref);
  g_clear_pointer(&exchange->restored_reply, g_bytes_unref);
  verdict_free(exchange->tool_verdict);
  g_free(exchange->tool_refusal);
  g_free(exchange->tools_refused);
  g_free(exchange->whole_refusal);
  g_free(exchange);
}

Exchange *
exchange_ref(Exchange *exchange)
{
  exchange->refs++;
  return exchange;
}

void
exchange_unref(Exchange *exchange)
{
  if (--exchange->refs == 0)
    exchange_free(exchange);
}

bool
exchange_is_gone(const Exchange *exchange)
{
  return !exchange->conn;
}

void
exchange_subject(Exchange *exchange, Direction direction, Subject *out)
{
  const HttpHeaders *headers = exchange->request->headers;
  const Inspection *inspection = exchange->inspection;

  (void)direction;
  *out = (Subject){
      .user = exchange->person->user,
      .issuer = exchange->person->issuer,
      .sub = exchange->person->subject,
      .groups = (const char *const *)exchange->person->groups,
      .client = exchange->client,
      .connection = connection_name(exchange->connection),
      .host = exchange->route.host,
      .method = exchange->request->method,
      .path = exchange->path,
      .api = exchange->route.api,
      .model = inspection ? inspection_model(inspection) : NULL,
      .initiator = http_headers_get(headers, "x-initiator"),
      .processes = (const char *const *)exchange->caller->processes,
      .repo = http_headers_get(headers, "x-github-repository-nwo"),
      .wall_us = exchange->wall_us,
      .first_in_session = exchange->first_in_session,
      .completions = exchange->route.completions,
      .ledger = exchange->env->ledger,
  };
}

/* Stops everything that still works for this exchange. */
static void
stop(Exchange *exchange)
{
  budget_release(exchange);
  g_clear_pointer(&exchange->wait, loop_timer_free);
  caller_forget(exchange->caller, exchange);
  hold_cancel(exchange);
  if (exchange->upstream)
    upstream_request_cancel(g_steal_pointer(&exchange->upstream));
}

void
exchange_answered(Exchange *exchange)
{
  exchange->answered = true;
  stop(exchange);
}

Exchange *
exchange_begin(ExchangeEnv *env,
               HttpConn *conn,
               HttpRequest *request,
               const Arrival *arrival,
               LoopFunc ended,
               void *data)
{
  Exchange *exchange = g_new0(Exchange, 1);
  g_autofree char *id = journal_new_id();

  exchange->refs = 1;
  exchange->env = env;
  exchange->conn = conn;
  exchange->request = request;
  exchange->connection = arrival->connection;
  exchange->connect_host = g_strdup(arrival->connect_host);
  exchange->path = g_strdup(arrival->path);
  held_values(env);
  exchange->shown_path = head_shown(env, arrival->path);
  exchange->caller = caller_ref(arrival->caller);
  exchange->ended = ended;
  exchange->ended_data = data;
  g_strlcpy(exchange->id, id, sizeof exchange->id);
  exchange->wall_us = clock_wall_us();
  exchange->began_us = clock_mono_us();
  exchange->policy = policy_ref(env->policy);
  buf_init(&exchange->incoming, env->limits.max_body);
  buf_init(&exchange->answer, env->limits.max_body);
  buf_init(&exchange->out, MAX_OUT);
  buf_init(&exchange->recorded_answer, env->limits.max_recorded_body);
  buf_init(&exchange->original_answer, env->limits.max_recorded_body);
  env->stats.requests++;
  g_hash_table_add(env->running, exchange);
  exchange_admit(exchange);
  return exchange;
}

void
exchange_body(Exchange *exchange, const uint8_t *bytes, size_t len)
{
  if (exchange->answered || exchange->head_sent)
    return; /* refused meanwhile: the rest is only drained */
  exchange->bytes_in += len;
  if (!exchange_fits(exchange, len))
    exchange_too_much(exchange);
  else if (!buf_append(&exchange->incoming, bytes, len))
    exchange_fail(exchange,
                  413,
                  "body_too_large",
                  "The request body is larger than [limits] max-body allows. "
                  "Send less context, or ask who runs the agent to raise it.");
}

void
exchange_body_end(Exchange *exchange)
{
  if (exchange->answered || exchange->head_sent)
    return;
  exchange_inspect(exchange);
}

void
exchange_finished(Exchange *exchange)
{
  LoopFunc ended = exchange->ended;
  void *data = exchange->ended_data;

  stop(exchange);
  exchange->conn = NULL;
  g_hash_table_remove(exchange->env->running, exchange);
  exchange_env_ended(exchange->env);
  exchange_unref(exchange);
  ended(data);
}

void
exchange_closed(Exchange *exchange, const char *why)
{
  bool answered = exchange->answered;

  stop(exchange);
  exchange->conn = NULL;
  exchange->answered = true;
  if (!answered && exchange->recorded && !exchange->closed_row) {
    g_free(exchange->outcome);
    exchange->outcome = g_strdup("client-left");
    record_response(exchange, NULL);
  } else if (!answered && !exchange->recorded && why) {
    exchange_record_refused(exchange->env,
                            exchange->caller,
                            exchange->route.host,
                            exchange->request->method,
                            exchange->path,
                            0,
                            why);
  }
  g_hash_table_remove(exchange->env->running, exchange);
  exchange_env_ended(exchange->env);
  exchange_unref(exchange);
}
