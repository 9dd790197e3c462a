/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls of an answer: each is judged, where policy asks held for a
 * person, and recorded, before the client can run it. */
#include "exchange/state.h"
#include <string.h>

static const ToolCall *
call_of(const Exchange *exchange)
{
  const ToolCall *calls;
  unsigned n;

  if (exchange->mode == ANSWER_STREAM)
    return response_filter_tool_call(exchange->filter);
  calls = inspection_tool_calls(exchange->answer_inspection, &n);
  return exchange->next_tool < n ? &calls[exchange->next_tool] : NULL;
}

static void
resolve(Exchange *exchange)
{
  g_autofree char *message = g_steal_pointer(&exchange->tool_refusal);
  ToolAnswer answer = message ? TOOL_REFUSE : TOOL_RELEASE;

  g_clear_pointer(&exchange->tool_verdict, verdict_free);
  if (exchange->mode == ANSWER_STREAM)
    stream_resolve(exchange, answer, message);
  else
    whole_resolve(exchange, answer, message);
}

static void
recorded(Exchange *exchange, const GError *error)
{
  if (exchange_is_gone(exchange) || exchange->answered)
    return;
  if (error)
    exchange_unrecorded(exchange, error);
  else
    resolve(exchange);
}

static void
record(Exchange *exchange, const char *outcome)
{
  record_tool(
      exchange, call_of(exchange), exchange->tool_verdict, outcome, recorded);
}

static void
answered(Exchange *exchange, Outcome outcome, const char *reason)
{
  if (outcome == OUTCOME_APPROVED) {
    exchange->env->stats.approved++;
  } else {
    exchange->env->stats.denied++;
    exchange->tool_refusal =
        hold_refusal(exchange->tool_verdict, "This tool call", outcome, reason);
  }
  record(exchange, outcome_name(outcome));
}

static void
ask(Exchange *exchange, const ToolCall *call)
{
  g_autofree char *whole =
      g_strdup_printf("%s\n%s", call->name, call->arguments);
  g_autoptr(GBytes) bytes = g_bytes_new(whole, strlen(whole));
  HoldAsk hold = {.verdict = exchange->tool_verdict,
                  .stream = exchange->mode == ANSWER_STREAM,
                  .then = answered};

  exchange_digest(exchange, "tool", bytes, hold.digest);
  memcpy(hold.masked_digest, hold.digest, SHA256_LEN);
  hold.text = g_strdup_printf(
      "The answer wants to run %s:\n%s\n", call->name, call->arguments);
  hold.masked_text = g_strdup(hold.text);
  exchange_hold(exchange, &hold);
}

void
tool_judge(Exchange *exchange)
{
  const ToolCall *call = call_of(exchange);
  Subject subject;

  exchange_subject(exchange, DIRECTION_RESPONSE, &subject);
  exchange->tool_verdict = judge_tool_call(
      exchange->policy, &subject, call, exchange->env->scratch, false);
  switch (verdict_action(exchange->tool_verdict)) {
  case ACTION_BLOCK:
    exchange->env->stats.blocked++;
    exchange->tool_refusal = verdict_sentence(exchange->tool_verdict);
    record(exchange, "blocked");
    return;
  case ACTION_APPROVE:
    ask(exchange, call);
    return;
  case ACTION_MASK:
  case ACTION_ALLOW:
    record(exchange, "allowed");
    return;
  }
}
