/* SPDX-License-Identifier: Apache-2.0 */
/* What a verdict says, to the exchange and in a sentence to the person whose
 * request it is. */
#include "judge/private.h"

#include <string.h>

Action
verdict_action(const Verdict *verdict)
{
  return verdict->action;
}

const PolicyRule *
verdict_reason(const Verdict *verdict)
{
  return verdict->reason;
}

const RuleResult *
verdict_results(const Verdict *verdict, unsigned *n)
{
  *n = verdict->results->len;
  return (const RuleResult *)(void *)verdict->results->data;
}

const GArray *
verdict_mask_spans(const Verdict *verdict)
{
  return verdict->mask_spans;
}

const GArray *
verdict_masked_spans(const Verdict *verdict)
{
  return verdict->masked_spans;
}

const PolicyRule *const *
verdict_approvals(const Verdict *verdict, unsigned *n)
{
  *n = verdict->approvals->len;
  return (const PolicyRule *const *)verdict->approvals->pdata;
}

unsigned
verdict_timeout(const Verdict *verdict, unsigned fallback)
{
  unsigned shortest = 0;

  for (guint i = 0; i < verdict->approvals->len; i++) {
    const PolicyRule *rule = verdict->approvals->pdata[i];
    unsigned timeout = rule->timeout > 0 ? rule->timeout : fallback;

    if (shortest == 0 || timeout < shortest)
      shortest = timeout;
  }
  return shortest > 0 ? shortest : fallback;
}

Restore
verdict_restore(const Verdict *verdict)
{
  return verdict->restore;
}

unsigned
verdict_masks(const Verdict *verdict)
{
  return verdict->n_masked > 0 ? verdict->n_masked : verdict->mask_spans->len;
}

/* ---- The sentence ------------------------------------------------------ */

static const RuleResult *
result_of(const Verdict *verdict, const PolicyRule *rule)
{
  for (guint i = 0; i < verdict->results->len; i++) {
    const RuleResult *result = &g_array_index(verdict->results, RuleResult, i);

    if (result->rule == rule)
      return result;
  }
  return NULL;
}

static void
append_subject(const Verdict *verdict, GString *out)
{
  if (verdict->phase == RULE_ON_REQUEST)
    g_string_append(out, "This request");
  else if (verdict->phase == RULE_ON_ANSWER)
    g_string_append(out, "This answer");
  else if (verdict->tool != NULL)
    g_string_append_printf(out, "The tool call \"%s\"", verdict->tool);
  else
    g_string_append(out, "This tool call");
}

/* "by rule "x": message" with exactly one full stop behind. */
static void
append_rule(const PolicyRule *rule, GString *out)
{
  size_t len = rule->message != NULL ? strlen(rule->message) : 0;

  g_string_append_printf(out, "rule \"%s\"", rule->id);
  if (len > 0)
    g_string_append_printf(out, ": %s", rule->message);
  if (len == 0 || strchr(".!?", rule->message[len - 1]) == NULL)
    g_string_append_c(out, '.');
}

static void
append_others(const Verdict *verdict, GString *out)
{
  unsigned others = 0;

  for (guint i = 0; i < verdict->results->len; i++) {
    const RuleResult *result = &g_array_index(verdict->results, RuleResult, i);

    others += result->matched && !result->rule->shadow &&
              result->effect == verdict->action &&
              result->rule != verdict->reason;
  }
  if (others > 0)
    g_string_append_printf(out,
                           " %u other rule%s too.",
                           others,
                           others == 1 ? " says so" : "s say so");
}

static void
say_block(const Verdict *verdict, GString *out)
{
  const RuleResult *result;

  if (verdict->by_default) {
    g_string_append(out,
                    " was blocked: no rule of the policy allows it. Ask "
                    "whoever keeps the policy for a rule that does.");
    return;
  }
  g_string_append(out, " was blocked by ");
  append_rule(verdict->reason, out);
  append_others(verdict, out);
  result = result_of(verdict, verdict->reason);
  if (verdict->phase != RULE_ON_REQUEST)
    g_string_append(out,
                    " Ask for something else, or ask whoever keeps the "
                    "policy.");
  else if (result != NULL && result->n_findings > 0)
    g_string_append_printf(out,
                           " Take the %u finding%s out and send it again.",
                           result->n_findings,
                           result->n_findings == 1 ? "" : "s");
  else
    g_string_append(out,
                    " Sending it again will not help; change it, or ask "
                    "whoever keeps the policy.");
}

static void
append_approvers(const PolicyApprovers *who, GString *out)
{
  const char *between = who->by == BY_ALL ? " and " : " or ";

  if (who->by == BY_COUNT && who->needed > 1)
    g_string_append_printf(out, "%u people of: ", who->needed);
  for (unsigned i = 0; i < who->n; i++) {
    const Approver *approver = &who->list[i];

    if (i > 0)
      g_string_append(out, between);
    if (approver->kind == APPROVER_REVIEWER)
      g_string_append_printf(out, "a reviewer of %s", approver->group);
    else
      g_string_append(out,
                      approver->kind == APPROVER_PRESENCE
                          ? "you (with your password)"
                          : "you");
  }
}

static void
append_asked(const PolicyRule *rule, GString *out)
{
  const PolicyApprovers first = {
      rule->approvers, rule->n_approvers, rule->approvals_needed, rule->by};

  append_approvers(&first, out);
  if (rule->escalate_after == 0)
    return;
  g_string_append_printf(out, " (after %u s also by ", rule->escalate_after);
  append_approvers(&rule->next, out);
  g_string_append_c(out, ')');
}

static void
say_approve(const Verdict *verdict, GString *out)
{
  g_string_append(out, " waits for a yes by ");
  for (guint i = 0; i < verdict->approvals->len; i++) {
    if (i > 0)
      g_string_append(out, ", and by ");
    append_asked(verdict->approvals->pdata[i], out);
  }
  g_string_append(out, ", says ");
  append_rule(verdict->reason, out);
  append_others(verdict, out);
  g_string_append(out, " See it with `hoop-agent pending`.");
}

static void
say_mask(const Verdict *verdict, GString *out)
{
  unsigned n = verdict_masks(verdict);

  g_string_append_printf(
      out, " goes on with %u value%s masked by ", n, n == 1 ? "" : "s");
  append_rule(verdict->reason, out);
}

char *
verdict_sentence(const Verdict *verdict)
{
  GString *out = g_string_new(NULL);

  append_subject(verdict, out);
  switch (verdict->action) {
  case ACTION_BLOCK:
    say_block(verdict, out);
    break;
  case ACTION_APPROVE:
    say_approve(verdict, out);
    break;
  case ACTION_MASK:
    say_mask(verdict, out);
    break;
  case ACTION_ALLOW:
    if (verdict->reason != NULL) {
      g_string_append(out, " is allowed by ");
      append_rule(verdict->reason, out);
    } else {
      g_string_append(out, " is allowed: no rule stops it.");
    }
    break;
  }
  return g_string_free(out, FALSE);
}
