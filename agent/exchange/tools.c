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
  calls = inspection_tool_calls(exchange->restored_calls
                                    ? exchange->restored_calls
                                    : exchange->answer_inspection,
                                &n);
  return exchange->next_tool < n ? &calls[exchange->next_tool] : NULL;
}

/* As it came, before masks in it were restored. */
static const char *
arguments_shown(const Exchange *exchange, const ToolCall *call)
{
  const ToolCall *calls;
  unsigned n;

  if (exchange->mode == ANSWER_STREAM)
    return call->masked ? call->masked : call->arguments;
  calls = inspection_tool_calls(exchange->answer_inspection, &n);
  return calls[exchange->next_tool].arguments;
}

/* What people are shown: every finding masked, whatever policy allows. NULL
 * when it cannot be read. */
static char *
shown_text(Exchange *exchange, const ToolCall *call)
{
  ExchangeEnv *env = exchange->env;
  g_autofree char *text = g_strdup_printf("The answer wants to run %s:\n%s\n",
                                          call->name,
                                          arguments_shown(exchange, call));
  g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
  g_autoptr(Inspection) inspection = inspection_new(env->scratch,
                                                    API_OTHER,
                                                    DIRECTION_RESPONSE,
                                                    "text/plain",
                                                    bytes,
                                                    &inspect_default_limits,
                                                    NULL);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GBytes) masked = NULL;
  const Finding *findings;
  unsigned n;

  if (!inspection)
    return NULL;
  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {.field = findings[i].field,
                           .start = findings[i].start,
                           .end = findings[i].end,
                           .rule_id = findings[i].rule->id,
                           .restore = RESTORE_NONE};

    g_array_append_val(spans, span);
  }
  masked = inspection_rewrite(inspection, env->masker, NULL, spans, NULL);
  return masked ? g_strndup(g_bytes_get_data(masked, NULL),
                            g_bytes_get_size(masked))
                : NULL;
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

/* Its arguments stand behind the first line. */
static GArray *
marks_of_call(const ToolCall *call, const char *text)
{
  GArray *marks = shown_marks_new();
  const char *arguments = strchr(text, '\n');
  const ShownMark mark = {
      .kind = SHOWN_PART,
      .start = arguments && arguments[1] ? (size_t)(arguments + 1 - text) : 0,
      .end = strlen(text),
      .name = g_strdup("tool call"),
      .more = g_strdup(call->name)};

  g_array_append_val(marks, mark);
  return marks;
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

  exchange->tool_refusal =
      hold_nobody(exchange, exchange->tool_verdict, "This tool call");
  if (exchange->tool_refusal) {
    exchange->env->stats.denied++;
    record(exchange, "denied");
    return;
  }
  exchange_digest(exchange, "tool", bytes, hold.digest);
  memcpy(hold.masked_digest, hold.digest, SHA256_LEN);
  hold.text = shown_text(exchange, call);
  if (!hold.text)
    hold.text = g_strdup_printf(
        "The answer wants to run %s with arguments that cannot be shown.\n",
        call->name);
  hold.masked_text = g_strdup(hold.text);
  hold.marks = marks_of_call(call, hold.text);
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
