/* SPDX-License-Identifier: Apache-2.0 */
/* Joins what every matching rule says: any block blocks, every approve must be
 * satisfied, every mask masks; allowing only stops the default. */
#include "judge/match.h"
#include "judge/private.h"

static Verdict *
verdict_new(Policy *policy, unsigned phase, bool explain)
{
  Verdict *verdict = g_new0(Verdict, 1);

  verdict->policy = policy_ref(policy);
  verdict->phase = phase;
  verdict->action = ACTION_ALLOW;
  verdict->every = explain;
  verdict->results = g_array_new(FALSE, FALSE, sizeof(RuleResult));
  verdict->details = g_ptr_array_new_with_free_func(g_free);
  verdict->approvals = g_ptr_array_new();
  verdict->mask_spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  verdict->masked_spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  return verdict;
}

void
verdict_free(Verdict *verdict)
{
  if (verdict == NULL)
    return;
  g_array_unref(verdict->results);
  g_ptr_array_unref(verdict->details);
  g_ptr_array_unref(verdict->approvals);
  g_array_unref(verdict->mask_spans);
  g_array_unref(verdict->masked_spans);
  g_free(verdict->tool);
  policy_unref(verdict->policy);
  g_free(verdict);
}

/* ---- One rule ---------------------------------------------------------- */

/* Typed keystrokes are never held: mask what there is to mask, else block. */
static Action
without_asking(Facts *facts, const PolicyRule *rule)
{
  if (rule->completions != ACTION_MASK)
    return ACTION_BLOCK;
  if (match_mark(facts, rule, false, RESTORE_NONE) > 0 ||
      match_mark_all(facts) > 0)
    return ACTION_MASK;
  return ACTION_BLOCK;
}

/* What a rule would do if it were no shadow; nothing is marked. */
static Action
shadow_effect(const Facts *facts, const PolicyRule *rule)
{
  if (rule->action != ACTION_APPROVE || !facts->subject->completions)
    return rule->action;
  return rule->completions == ACTION_MASK && facts->n_findings > 0
             ? ACTION_MASK
             : ACTION_BLOCK;
}

static void
apply_mask(Verdict *verdict, Facts *facts, const PolicyRule *rule)
{
  match_mark(facts, rule, false, rule->restore);
  if (rule->restore != RESTORE_NONE)
    verdict->restore = verdict->restore == RESTORE_NONE
                           ? rule->restore
                           : MIN(verdict->restore, rule->restore);
}

/* Carries a matching rule out; returns what it did. */
static Action
apply_rule(Verdict *verdict, Facts *facts, const PolicyRule *rule)
{
  Action effect = rule->action;

  if (rule->shadow)
    return shadow_effect(facts, rule);
  if (effect == ACTION_APPROVE && facts->subject->completions &&
      facts->phase == RULE_ON_REQUEST) {
    effect = without_asking(facts, rule);
  } else if (effect == ACTION_APPROVE) {
    g_ptr_array_add(verdict->approvals, (gpointer)(uintptr_t)rule);
    if (facts->phase == RULE_ON_REQUEST)
      match_mark(facts, rule, true, RESTORE_NONE);
  } else if (effect == ACTION_MASK) {
    apply_mask(verdict, facts, rule);
  }
  if (effect > verdict->action ||
      (effect == verdict->action && verdict->reason == NULL)) {
    verdict->action = effect;
    verdict->reason = rule;
  }
  return effect;
}

static void
add_detail(Verdict *verdict, Facts *facts, RuleResult *result)
{
  char *detail;

  if (result->missed == NULL)
    return;
  detail = match_detail(facts, result->rule, result->missed);
  g_ptr_array_add(verdict->details, detail);
  result->detail = detail;
}

/* ---- Spans ------------------------------------------------------------- */

static void
add_span(Verdict *verdict, const MaskSpan *span, bool mask, bool ask)
{
  MaskSpan asked = *span;

  if (mask)
    g_array_append_val(verdict->mask_spans, *span);
  if (!mask)
    asked.restore = RESTORE_NONE;
  if (mask || ask)
    g_array_append_val(verdict->masked_spans, asked);
}

static void
collect_spans(Verdict *verdict, const Facts *facts)
{
  for (unsigned i = 0; i < facts->n_findings; i++) {
    const Finding *finding = &facts->findings[i];
    const RuleFact *rule =
        &g_array_index(facts->rules, RuleFact, facts->finding_rule[i]);
    const ClassFact *class =
        &g_array_index(facts->classes, ClassFact, rule->class_index);
    MaskSpan span = {.field = finding->field,
                     .start = finding->start,
                     .end = finding->end,
                     .rule_id = finding->rule->id,
                     .restore = MIN(rule->restore, class->restore)};

    if (finding->allowed)
      add_span(verdict,
               &span,
               rule->mask_all || class->mask_all,
               rule->ask_all || class->ask_all);
    else
      add_span(
          verdict, &span, rule->mask || class->mask, rule->ask || class->ask);
  }
  for (guint i = 0; facts->named != NULL && i < facts->named->len; i++) {
    const FieldFact *fact = &g_array_index(facts->named, FieldFact, i);
    MaskSpan span = {.field = fact->index,
                     .end = facts->fields[fact->index].len,
                     .rule_id = "field",
                     .restore = fact->restore};

    add_span(verdict, &span, fact->mask, fact->ask);
  }
}

/* ---- All rules --------------------------------------------------------- */

static void
decide_default(Verdict *verdict, bool allowed)
{
  if (verdict->phase != RULE_ON_REQUEST || allowed ||
      policy_default(verdict->policy) != ACTION_BLOCK ||
      verdict->action == ACTION_BLOCK)
    return;
  verdict->action = ACTION_BLOCK;
  verdict->reason = NULL;
  verdict->by_default = true;
}

static void
judge_facts(Verdict *verdict, Facts *facts)
{
  unsigned n;
  const PolicyRule *const *rules = policy_rules(verdict->policy, &n);
  bool allowed = false;

  verdict->n_findings = facts->n_findings;
  for (unsigned i = 0; i < n; i++) {
    RuleResult result = {0};

    match_rule(facts, rules[i], &result);
    if (result.matched) {
      result.effect = apply_rule(verdict, facts, rules[i]);
      allowed |= result.effect == ACTION_ALLOW && !rules[i]->shadow &&
                 policy_lifts_default(verdict->policy, rules[i]);
    }
    if (verdict->every)
      add_detail(verdict, facts, &result);
    if (result.matched || verdict->every)
      g_array_append_val(verdict->results, result);
  }
  decide_default(verdict, allowed);
}

/* findings NULL: the inspection's own. */
static Verdict *
judge_whole(Policy *policy,
            const Subject *subject,
            const Inspection *inspection,
            const GArray *findings,
            bool explain,
            JudgeRate rate,
            void *rate_data)
{
  bool answer = inspection != NULL &&
                inspection_direction(inspection) == DIRECTION_RESPONSE;
  unsigned phase = answer ? RULE_ON_ANSWER : RULE_ON_REQUEST;
  Verdict *verdict = verdict_new(policy, phase, explain);
  Facts facts;

  facts_init(&facts, policy, subject, phase);
  facts.rate = rate;
  facts.rate_data = rate_data;
  if (inspection != NULL)
    facts_set_body(&facts, inspection, findings);
  judge_facts(verdict, &facts);
  collect_spans(verdict, &facts);
  facts_clear(&facts);
  return verdict;
}

Verdict *
judge_body(Policy *policy,
           const Subject *subject,
           const Inspection *inspection,
           bool explain,
           JudgeRate rate,
           void *rate_data)
{
  return judge_whole(
      policy, subject, inspection, NULL, explain, rate, rate_data);
}

Verdict *
judge_recorded(Policy *policy,
               const Subject *subject,
               const Inspection *inspection,
               const GArray *findings,
               bool explain,
               JudgeRate rate,
               void *rate_data)
{
  return judge_whole(
      policy, subject, inspection, findings, explain, rate, rate_data);
}

Verdict *
judge_tool_call(Policy *policy,
                const Subject *subject,
                const ToolCall *call,
                DetectorScratch *scratch,
                bool explain)
{
  Verdict *verdict = verdict_new(policy, RULE_ON_TOOL, explain);
  Facts facts;

  facts_init(&facts, policy, subject, RULE_ON_TOOL);
  facts_set_call(&facts, call, scratch);
  verdict->tool = g_strdup(call->name);
  judge_facts(verdict, &facts);
  facts_clear(&facts);
  return verdict;
}

Verdict *
judge_stream(Policy *policy,
             const Subject *subject,
             const Finding *findings,
             unsigned n_findings,
             bool explain)
{
  Verdict *verdict = verdict_new(policy, RULE_ON_ANSWER, explain);
  Facts facts;

  facts_init(&facts, policy, subject, RULE_ON_ANSWER);
  facts_set_findings(&facts, findings, n_findings);
  judge_facts(verdict, &facts);
  collect_spans(verdict, &facts);
  verdict->n_masked = verdict->mask_spans->len;
  g_array_set_size(verdict->mask_spans, 0);
  g_array_set_size(verdict->masked_spans, 0);
  facts_clear(&facts);
  return verdict;
}
