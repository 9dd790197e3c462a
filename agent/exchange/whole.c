/* SPDX-License-Identifier: Apache-2.0 */
/* Whole answers: collected, made the agent's own where they name endpoints,
 * inspected, judged with their tool calls, masked, recorded, sent. */
#include "exchange/state.h"
#include <string.h>

/* What is recorded has every mask; the client's may have values again. */
static GBytes *
to_client(const Exchange *exchange)
{
  return exchange->restored_reply ? exchange->restored_reply : exchange->reply;
}

static void
sent(Exchange *exchange, const GError *error)
{
  const void *bytes;
  size_t len;

  if (exchange_is_gone(exchange))
    return;
  if (error) {
    exchange_unrecorded(exchange, error);
    return;
  }
  bytes = g_bytes_get_data(to_client(exchange), &len);
  exchange->head_sent = true;
  http_conn_reply(
      exchange->conn, exchange->status, exchange->headers, NULL, bytes, len);
  exchange_answered(exchange);
  /* The connection has its own copy. */
  g_clear_pointer(&exchange->reply, g_bytes_unref);
  g_clear_pointer(&exchange->restored_reply, g_bytes_unref);
  exchange_fits(exchange, 0);
}

/* A stream was opened while the request was held, and now comes no stream:
 * an error of the server, most likely. The user reads its text. */
static void
into_stream(Exchange *exchange)
{
  g_autofree char *text = NULL;
  size_t len;
  const char *bytes = g_bytes_get_data(exchange->reply, &len);

  text = g_strdup_printf("The server answered with status %d: %.*s",
                         exchange->status,
                         (int)MIN(len, 2000),
                         len ? bytes : "");
  stream_message(exchange, "upstream_status", text);
}

/* The record keeps as much as it is configured to. */
static void
keep(Exchange *exchange)
{
  Buf *record = &exchange->recorded_answer;
  size_t len;
  const void *bytes = g_bytes_get_data(exchange->reply, &len);

  if (!buf_append(record, bytes, MIN(len, record->max)))
    g_assert_not_reached(); /* it is empty and takes its maximum */
}

static void
credential_repeated(Exchange *exchange)
{
  exchange_fail(exchange,
                502,
                "credential_repeated",
                "The server's answer repeats the credential that the agent "
                "holds; it was withheld.");
}

static void
send_reply(Exchange *exchange)
{
  const void *bytes;
  size_t len;

  if (exchange->head_sent) {
    into_stream(exchange);
    return;
  }
  bytes = g_bytes_get_data(to_client(exchange), &len);
  if (connection_reveals(exchange->connection, bytes, len)) {
    credential_repeated(exchange);
    return;
  }
  if (!exchange->route.auth)
    keep(exchange);
  exchange->bytes_out += len;
  record_response(exchange, sent);
}

/* Masks of this conversation in the answer become values again as far as policy
 * lets them; the tool calls are judged with them. False after a refusal. */
static bool
restore_reply(Exchange *exchange, const GArray *spans)
{
  const Inspection *answer = exchange->answer_inspection;
  g_autoptr(StreamPlan) plan = NULL;
  g_autoptr(InspectRestore) restore = NULL;
  g_autoptr(GBytes) arguments = NULL;
  g_autoptr(GError) error = NULL;
  const char *type = http_headers_get(exchange->headers, "content-type");
  Subject subject;

  exchange_subject(exchange, DIRECTION_RESPONSE, &subject);
  if (!judge_restores(exchange->policy, &subject))
    return true;
  plan = stream_plan(exchange);
  restore = inspect_restore_new(answer,
                                exchange->env->scratch,
                                exchange->env->masker,
                                exchange->scope,
                                plan,
                                &error);
  if (restore && inspect_restore_blocks(restore)) {
    exchange->env->stats.blocked++;
    exchange_refuse(exchange,
                    "policy_denied",
                    "This answer was withheld: a tool call in it would carry "
                    "what policy blocks. `hoop-agent why` tells which rule.");
    return false;
  }
  if (restore && !inspect_restore_is_empty(restore)) {
    if (inspect_restore_in_tools(restore)) {
      arguments = inspect_restore_arguments(restore, answer);
      exchange->restored_calls = inspection_new(NULL,
                                                exchange->route.api,
                                                DIRECTION_RESPONSE,
                                                type,
                                                arguments,
                                                &inspect_default_limits,
                                                &error);
    }
    if (!error)
      exchange->restored_reply = inspection_rewrite_restored(
          answer, exchange->env->masker, spans, restore, &error);
  }
  if (error)
    exchange_fail(exchange, 502, "cannot_restore", error->message);
  return !error;
}

static void
mask_reply(Exchange *exchange)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) before = g_steal_pointer(&exchange->reply);
  const GArray *spans = verdict_mask_spans(exchange->answer_verdict);
  unsigned n;

  exchange->reply = inspection_rewrite(
      exchange->answer_inspection, exchange->env->masker, NULL, spans, &error);
  if (!exchange->reply) {
    exchange_fail(exchange, 502, "cannot_mask", error->message);
    return;
  }
  exchange->masked_in = notice_count(spans);
  if (!restore_reply(exchange, spans))
    return;
  if (!exchange_fits(exchange, 0)) {
    exchange_too_much(exchange);
    return;
  }
  inspection_tool_calls(exchange->answer_inspection, &n);
  exchange->tools_refused = g_new0(bool, n + 1);
  exchange->next_tool = 0;
  whole_next_tool(exchange);
}

static bool
refuse_tools(Exchange *exchange, GBytes **reply)
{
  g_autoptr(GBytes) before = g_steal_pointer(reply);
  g_autoptr(GError) error = NULL;

  if (!before)
    return true;
  *reply = inspection_refuse_tools(exchange->answer_inspection,
                                   before,
                                   exchange->tools_refused,
                                   exchange->whole_refusal,
                                   &error);
  if (!*reply)
    exchange_fail(exchange, 502, "cannot_mask", error->message);
  return *reply != NULL;
}

void
whole_next_tool(Exchange *exchange)
{
  bool any = false;
  unsigned n;

  inspection_tool_calls(exchange->answer_inspection, &n);
  if (exchange->next_tool < n) {
    tool_judge(exchange);
    return;
  }
  for (unsigned i = 0; i < n; i++)
    any = any || exchange->tools_refused[i];
  if (!any || (refuse_tools(exchange, &exchange->reply) &&
               refuse_tools(exchange, &exchange->restored_reply)))
    send_reply(exchange);
}

void
whole_resolve(Exchange *exchange, ToolAnswer answer, const char *message)
{
  if (answer == TOOL_REFUSE) {
    exchange->tools_refused[exchange->next_tool] = true;
    g_free(exchange->whole_refusal);
    exchange->whole_refusal = g_strdup(message);
  }
  exchange->next_tool++;
  whole_next_tool(exchange);
}

static void
asked(Exchange *exchange, Outcome outcome, const char *reason)
{
  g_autofree char *message = NULL;

  if (outcome == OUTCOME_APPROVED) {
    exchange->env->stats.approved++;
    mask_reply(exchange);
    return;
  }
  exchange->env->stats.denied++;
  message =
      hold_refusal(exchange->answer_verdict, "The answer", outcome, reason);
  exchange_refuse(exchange, "policy_denied", message);
}

static void
ask(Exchange *exchange)
{
  const GArray *spans = verdict_mask_spans(exchange->answer_verdict);
  HoldAsk hold = {.verdict = exchange->answer_verdict, .then = asked};

  exchange_digest(exchange, "answer", exchange->reply, hold.digest);
  memcpy(hold.masked_digest, hold.digest, SHA256_LEN);
  exchange_view(exchange, exchange->answer_inspection, spans, spans, &hold);
  exchange_hold(exchange, &hold);
}

static void
judge(Exchange *exchange, Inspection *inspection, const GError *error)
{
  g_autofree char *sentence = NULL;
  Subject subject;

  if (!inspection) {
    exchange_fail(exchange, 502, "answer_not_readable", error->message);
    return;
  }
  exchange->answer_inspection = inspection;
  if (!exchange_fits(exchange, 0)) {
    exchange_too_much(exchange);
    return;
  }
  if (held_inspected(inspection)) {
    credential_repeated(exchange);
    return;
  }
  exchange_subject(exchange, DIRECTION_RESPONSE, &subject);
  exchange->answer_verdict =
      judge_body(exchange->policy, &subject, inspection, false, NULL, NULL);
  switch (verdict_action(exchange->answer_verdict)) {
  case ACTION_BLOCK:
    exchange->env->stats.blocked++;
    sentence = verdict_sentence(exchange->answer_verdict);
    exchange_refuse(exchange, "policy_denied", sentence);
    return;
  case ACTION_APPROVE:
    ask(exchange);
    return;
  case ACTION_MASK:
    exchange->env->stats.masked++;
    break;
  case ACTION_ALLOW:
    break;
  }
  mask_reply(exchange);
}

/* The agent's own address in place of the server's; without WebSockets. */
static bool
localize(Exchange *exchange)
{
  g_autoptr(GBytes) body = g_steal_pointer(&exchange->reply);
  g_autoptr(GError) error = NULL;

  if (exchange->status >= 300 || !g_bytes_get_size(body)) {
    exchange->reply = g_steal_pointer(&body);
    return true;
  }
  if (exchange->route.api == API_MODELS)
    exchange->reply = models_without_websocket(body, &error);
  else
    exchange->reply = connection_localize(exchange->connection,
                                          exchange->route.api,
                                          exchange->env->self_url,
                                          !exchange->connect_host,
                                          exchange_bearer(exchange),
                                          body,
                                          &error);
  if (exchange->reply)
    return true;
  exchange_fail(exchange, 502, "answer_not_readable", error->message);
  return false;
}

void
whole_answer(Exchange *exchange)
{
  const char *type = http_headers_get(exchange->headers, "content-type");

  exchange->reply = buf_steal(&exchange->answer);
  if (!localize(exchange))
    return;
  /* What an issuer grants is the client's; what it complains about is text
   * like any other. */
  if (exchange->route.auth && exchange->status < 300) {
    send_reply(exchange);
    return;
  }
  exchange_read(exchange, DIRECTION_RESPONSE, type, exchange->reply, judge);
}
