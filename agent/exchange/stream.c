/* SPDX-License-Identifier: Apache-2.0 */
/* Streamed answers: bytes go through the filter and on as they come; at a tool
 * call or the API's last event the stream stops until it was judged and
 * recorded. */
#include "exchange/state.h"
#include <string.h>

static void handle(Exchange *exchange, FilterState state);

StreamPlan *
stream_plan(Exchange *exchange)
{
  const RulePack *pack = detector_pack(exchange->env->detector);
  StreamPlan *plan;
  Subject subject;

  exchange_subject(exchange, DIRECTION_RESPONSE, &subject);
  plan = judge_stream_plan(exchange->policy, &subject, pack);
  held_block(plan, pack);
  return plan;
}

bool
stream_begin(Exchange *exchange, bool sse, GError **error)
{
  g_autoptr(StreamPlan) plan = stream_plan(exchange);

  exchange->filter = response_filter_new(exchange->env->detector,
                                         exchange->route.api,
                                         sse,
                                         plan,
                                         exchange->env->masker,
                                         exchange->scope,
                                         error);
  if (exchange->filter)
    stream_hold(exchange);
  return exchange->filter != NULL;
}

void
stream_hold(Exchange *exchange)
{
  response_filter_hold(exchange->filter, held_values(exchange->env));
}

/* A stream that opens before the server answered: what every streaming API
 * starts with. */
static HttpHeaders *
early_headers(void)
{
  HttpHeaders *headers = http_headers_new();
  g_autofree char *id = http_request_id_new();

  http_headers_add(headers, "Content-Type", "text/event-stream");
  http_headers_add(headers, "Cache-Control", "no-cache");
  http_headers_add(headers, "x-github-request-id", id);
  return headers;
}

void
stream_open(Exchange *exchange)
{
  g_autoptr(HttpHeaders) early = NULL;
  g_autoptr(GError) error = NULL;
  const HttpHeaders *headers = exchange->headers;

  if (!exchange->filter && !stream_begin(exchange, true, &error)) {
    exchange_refuse(exchange, "agent_error", error->message);
    return;
  }
  if (!headers)
    headers = early = early_headers();
  exchange->head_sent = true;
  http_conn_send_head(exchange->conn,
                      exchange->status ? exchange->status : 200,
                      headers,
                      HTTP_BODY_CHUNKED,
                      -1);
}

/* To the client; remembers when it takes no more. */
static void
flush(Exchange *exchange)
{
  if (!exchange->out.len) {
    buf_truncate(&exchange->out, 0);
    return;
  }
  exchange->bytes_out += exchange->out.len;
  exchange->client_full = !http_conn_send(
      exchange->conn, buf_bytes(&exchange->out), exchange->out.len);
  buf_truncate(&exchange->out, 0);
}

static void
resume(Exchange *exchange)
{
  if (!exchange->upstream_paused || exchange->busy || exchange->client_full)
    return;
  exchange->upstream_paused = false;
  if (exchange->upstream)
    upstream_request_resume(exchange->upstream);
}

void
exchange_writable(Exchange *exchange)
{
  exchange->client_full = false;
  if (exchange->answered)
    return;
  exchange_fits(exchange, 0); /* less than before */
  if (exchange->mode == ANSWER_PASS) {
    exchange->upstream_paused = false;
    if (exchange->upstream)
      upstream_request_resume(exchange->upstream);
    return;
  }
  if (exchange->mode == ANSWER_STREAM)
    stream_feed(exchange);
  resume(exchange);
}

static void
final_recorded(Exchange *exchange, const GError *error)
{
  /* What came behind the end may have broken: then a message goes out. */
  if (exchange_is_gone(exchange) || exchange->answered)
    return;
  if (error) {
    exchange_unrecorded(exchange, error);
    return;
  }
  response_filter_release(exchange->filter, &exchange->out, NULL);
  flush(exchange);
  exchange_answered(exchange);
  http_conn_end(exchange->conn);
}

/* The end is ready: what comes behind it is of no interest, and a client that
 * leaves now has its whole answer. */
static void
finish(Exchange *exchange)
{
  exchange->busy = true;
  record_response(exchange, final_recorded);
}

static void
message_recorded(Exchange *exchange, const GError *error)
{
  (void)error; /* the message releases nothing of the answer */
  if (exchange_is_gone(exchange))
    return;
  flush(exchange);
  http_conn_end(exchange->conn);
}

void
stream_message(Exchange *exchange, const char *outcome, const char *text)
{
  const char *model =
      exchange->inspection ? inspection_model(exchange->inspection) : NULL;
  /* Among the model's words: who speaks must be plain. */
  g_autofree char *signed_text = g_strconcat("[hoop-agent] ", text, NULL);

  response_filter_end_with_message(exchange->filter,
                                   model,
                                   signed_text,
                                   &exchange->out,
                                   &exchange->recorded_answer);
  g_free(exchange->outcome);
  exchange->outcome = g_strdup(outcome);
  exchange_answered(exchange);
  if (!exchange->recorded) /* it was refused while it was held */
    record_request(exchange, NULL);
  record_response(exchange, message_recorded);
}

static void
blocked(Exchange *exchange)
{
  unsigned n;
  const Finding *findings =
      response_filter_findings(exchange->filter, NULL, &n);

  exchange->env->stats.blocked++;
  if (held_found(findings, n)) {
    stream_message(exchange,
                   "credential_repeated",
                   "The rest of this answer was withheld: it repeats the "
                   "credential that the agent holds.");
    return;
  }
  stream_message(exchange,
                 "blocked",
                 "The rest of this answer was withheld: it holds what policy "
                 "blocks. `hoop-agent why` tells which rule.");
}

static void
unreadable(Exchange *exchange, const GError *error)
{
  g_autofree char *text = g_strdup_printf(
      "The rest of this answer was withheld: %s.", error->message);

  exchange->env->stats.errors++;
  flush(exchange); /* what could be read, and room for what follows */
  stream_message(exchange, "answer_not_readable", text);
}

static void
handle(Exchange *exchange, FilterState state)
{
  flush(exchange);
  if ((state == FILTER_MORE || state == FILTER_TOOL_CALL) &&
      !exchange_fits(exchange, 0)) {
    exchange->env->stats.errors++;
    exchange_too_much(exchange);
    return;
  }
  switch (state) {
  case FILTER_MORE:
    return;
  case FILTER_TOOL_CALL:
    exchange->busy = true;
    tool_judge(exchange);
    return;
  case FILTER_BLOCKED:
    blocked(exchange);
    return;
  case FILTER_FINAL:
    finish(exchange);
    return;
  }
}

void
stream_resolve(Exchange *exchange, ToolAnswer answer, const char *message)
{
  g_autoptr(GError) error = NULL;
  FilterState state;

  exchange->busy = false;
  if (!response_filter_resolve(exchange->filter,
                               answer,
                               message,
                               &exchange->out,
                               &exchange->recorded_answer,
                               &state,
                               &error)) {
    unreadable(exchange, error);
    return;
  }
  handle(exchange, state);
  stream_feed(exchange);
  resume(exchange);
}

void
stream_feed(Exchange *exchange)
{
  g_autoptr(GError) error = NULL;
  FilterState state = FILTER_MORE;

  if (exchange->busy || exchange->answered)
    return;
  if (exchange->answer.len) {
    bool fine = response_filter_feed(exchange->filter,
                                     buf_bytes(&exchange->answer),
                                     exchange->answer.len,
                                     &exchange->out,
                                     &exchange->recorded_answer,
                                     &state,
                                     &error);

    buf_truncate(&exchange->answer, 0);
    if (!fine) {
      unreadable(exchange, error);
      return;
    }
    handle(exchange, state);
  }
  if (!exchange->upstream_ended || exchange->busy || exchange->answered)
    return;
  if (!response_filter_finish(exchange->filter,
                              exchange->upstream_cut,
                              &exchange->out,
                              &exchange->recorded_answer,
                              &state,
                              &error)) {
    unreadable(exchange, error);
    return;
  }
  if (exchange->upstream_cut && !exchange->outcome) {
    exchange->outcome = g_strdup("cut");
    exchange->env->stats.errors++;
  }
  handle(exchange, state);
}
