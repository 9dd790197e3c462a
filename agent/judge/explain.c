/* SPDX-License-Identifier: Apache-2.0 */
/* A verdict rule by rule, as one line of JSON for the record and as text for
 * whoever asks why. */
#include "judge/private.h"

#include "kit/json.h"
#include <string.h>

static const char *
phase_name(unsigned phase)
{
  if (phase == RULE_ON_REQUEST)
    return "request";
  return phase == RULE_ON_ANSWER ? "response" : "tool";
}

/* ---- JSON -------------------------------------------------------------- */

static void
add_key(GString *out, const char *key)
{
  char last = out->len > 0 ? out->str[out->len - 1] : '{';

  if (last != '{' && last != '[')
    g_string_append_c(out, ',');
  g_string_append_printf(out, "\"%s\":", key);
}

static void
add_text(GString *out, const char *key, const char *text)
{
  add_key(out, key);
  if (text == NULL) {
    g_string_append(out, "null");
    return;
  }
  g_string_append_c(out, '"');
  json_escape(out, text, -1);
  g_string_append_c(out, '"');
}

static void
add_number(GString *out, const char *key, unsigned number)
{
  add_key(out, key);
  g_string_append_printf(out, "%u", number);
}

static void
add_true(GString *out, const char *key, bool value)
{
  if (value) {
    add_key(out, key);
    g_string_append(out, "true");
  }
}

static void
add_result(GString *out, const RuleResult *result)
{
  const PolicyRule *rule = result->rule;

  g_string_append_c(out, '{');
  add_text(out, "rule", rule->id);
  add_text(out, "action", action_name(rule->action));
  if (result->matched && result->effect != rule->action)
    add_text(out, "effect", action_name(result->effect));
  if (rule->match.has_finding && result->missed == NULL)
    add_number(out, "findings", result->n_findings);
  if (result->assumed != NULL)
    add_text(out, "assumed", result->assumed);
  add_true(out, "limited", result->limited);
  if (result->missed != NULL)
    add_text(out, "missed", result->missed);
  if (result->detail != NULL)
    add_text(out, "detail", result->detail);
  g_string_append_c(out, '}');
}

/* The results that `wanted` takes, as an array; left out when there are none
 * and `optional`. */
static void
add_results(GString *out,
            const Verdict *verdict,
            const char *key,
            bool (*wanted)(const RuleResult *result),
            bool optional)
{
  bool first = true;

  for (guint i = 0; i < verdict->results->len; i++) {
    const RuleResult *result = &g_array_index(verdict->results, RuleResult, i);

    if (!wanted(result))
      continue;
    if (first) {
      add_key(out, key);
      g_string_append_c(out, '[');
    } else {
      g_string_append_c(out, ',');
    }
    first = false;
    add_result(out, result);
  }
  if (first && !optional) {
    add_key(out, key);
    g_string_append_c(out, '[');
    first = false;
  }
  if (!first)
    g_string_append_c(out, ']');
}

static bool
is_applied(const RuleResult *result)
{
  return result->matched && !result->rule->shadow;
}

static bool
is_shadow(const RuleResult *result)
{
  return result->matched && result->rule->shadow;
}

static bool
is_any(const RuleResult *result)
{
  (void)result;
  return true;
}

static void
add_approvers(GString *out, const Approver *list, unsigned n)
{
  g_string_append_c(out, '[');
  for (unsigned i = 0; i < n; i++) {
    g_string_append_printf(
        out, "%s\"%s", i > 0 ? "," : "", approver_kind_name(list[i].kind));
    if (list[i].group != NULL) {
      g_string_append_c(out, ':');
      json_escape(out, list[i].group, -1);
    }
    g_string_append_c(out, '"');
  }
  g_string_append_c(out, ']');
}

static void
add_who(GString *out, const PolicyApprovers *who)
{
  static const char *const by[] = {"all", "any", "count"};

  add_text(out, "by", by[who->by]);
  add_number(out, "needed", who->needed);
  add_key(out, "of");
  add_approvers(out, who->list, who->n);
}

static void
add_approval(GString *out, const PolicyRule *rule)
{
  const PolicyApprovers first = {
      rule->approvers, rule->n_approvers, rule->approvals_needed, rule->by};

  g_string_append_c(out, '{');
  add_text(out, "rule", rule->id);
  add_who(out, &first);
  if (rule->timeout > 0)
    add_number(out, "timeout", rule->timeout);
  if (rule->escalate_after > 0) {
    add_key(out, "escalate");
    g_string_append_c(out, '{');
    add_number(out, "after", rule->escalate_after);
    add_who(out, &rule->next);
    g_string_append_c(out, '}');
  }
  if (rule->extend != EXTEND_DEFAULT)
    add_number(out, "extend", rule->extend);
  if (rule->risk != RISK_NORMAL)
    add_text(out, "risk", risk_name(rule->risk));
  add_true(out, "reason", rule->needs_reason);
  g_string_append_c(out, '}');
}

static void
add_approvals(GString *out, const Verdict *verdict)
{
  if (verdict->approvals->len == 0)
    return;
  add_key(out, "approvals");
  g_string_append_c(out, '[');
  for (guint i = 0; i < verdict->approvals->len; i++) {
    if (i > 0)
      g_string_append_c(out, ',');
    add_approval(out, verdict->approvals->pdata[i]);
  }
  g_string_append_c(out, ']');
}

char *
verdict_to_json(const Verdict *verdict)
{
  GString *out = g_string_new("{");
  const PolicyRule *reason = verdict->reason;

  add_text(out, "action", action_name(verdict->action));
  add_text(out, "phase", phase_name(verdict->phase));
  if (verdict->tool != NULL)
    add_text(out, "tool", verdict->tool);
  add_text(out, "rule", reason != NULL ? reason->id : NULL);
  add_true(out, "default", verdict->by_default);
  if (reason != NULL) {
    add_text(out, "origin", reason->origin);
    if (reason->message != NULL)
      add_text(out, "message", reason->message);
  }
  add_number(out, "findings", verdict->n_findings);
  add_number(out, "masks", verdict_masks(verdict));
  add_results(out, verdict, "matched", is_applied, false);
  add_results(out, verdict, "shadow", is_shadow, true);
  add_approvals(out, verdict);
  if (verdict->restore != RESTORE_NONE)
    add_text(out, "restore", restore_name(verdict->restore));
  add_text(out, "revision", policy_revision(verdict->policy));
  if (verdict->every)
    add_results(out, verdict, "rules", is_any, false);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

/* ---- Text -------------------------------------------------------------- */

static void
say_result(GString *out, const RuleResult *result, int width)
{
  const PolicyRule *rule = result->rule;

  g_string_append_printf(
      out, "%-7s  %-*s  ", action_name(rule->action), width, rule->id);
  if (!result->matched) {
    g_string_append_printf(out, "no: %s", result->missed);
    if (result->detail != NULL)
      g_string_append_printf(out, " (%s)", result->detail);
  } else {
    g_string_append(out, rule->shadow ? "would match" : "matched");
    if (result->effect != rule->action)
      g_string_append_printf(
          out, " (typed text: %s)", action_name(result->effect));
    if (rule->match.has_finding)
      g_string_append_printf(out,
                             ", %u finding%s",
                             result->n_findings,
                             result->n_findings == 1 ? "" : "s");
    if (result->assumed != NULL)
      g_string_append_printf(
          out, ", %s is not known and counts", result->assumed);
    if (result->limited)
      g_string_append(out, ", a regex met its limit, which counts");
  }
  g_string_append_printf(out, "  [%s]\n", rule->origin);
}

char *
verdict_to_text(const Verdict *verdict)
{
  GString *out = g_string_new(NULL);
  g_autofree char *sentence = verdict_sentence(verdict);
  int width = 0;

  for (guint i = 0; i < verdict->results->len; i++) {
    const PolicyRule *rule =
        g_array_index(verdict->results, RuleResult, i).rule;

    width = MAX(width, (int)strlen(rule->id));
  }
  for (guint i = 0; i < verdict->results->len; i++)
    say_result(out, &g_array_index(verdict->results, RuleResult, i), width);
  if (verdict->results->len > 0)
    g_string_append_c(out, '\n');
  g_string_append_printf(out,
                         "verdict: %s. %s\npolicy:  revision %.12s\n",
                         action_name(verdict->action),
                         sentence,
                         policy_revision(verdict->policy));
  return g_string_free(out, FALSE);
}
