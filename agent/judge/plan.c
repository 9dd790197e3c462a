/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules ask of a streamed answer before its first byte: an action
 * for each detector rule, fields to mask, whether tool calls wait. */
#include "judge/match.h"

#include <string.h>

/* What one mask rule restored it does not mask again, nor does any other that
 * says the same. */
static bool
keeps_restored(const PolicyRule *rule)
{
  return rule->action == ACTION_MASK && rule->restore == RESTORE_TOOLS;
}

/* Where a rule counts findings, one is enough: what went out cannot be taken
 * back when the next one comes. Detectors of one class stand together, and most
 * rules ask for no more than a class. */
static void
plan_findings(StreamPlan *plan, const PolicyRule *rule, const RulePack *pack)
{
  unsigned n;
  const DetectorRule *const *detectors = rule_pack_all(pack, &n);
  const bool by_class = rule->match.finding_rules == NULL;
  bool matches = false;

  for (unsigned i = 0; i < n; i++) {
    if (!by_class || i == 0 ||
        strcmp(detectors[i]->class_name, detectors[i - 1]->class_name) != 0)
      matches = match_detector(&rule->match, detectors[i]);
    if (!matches)
      continue;
    plan->by_rule[i] = MAX(plan->by_rule[i], rule->action);
    if (!rule->allow_fingerprints)
      plan->by_allowed[i] = MAX(plan->by_allowed[i], rule->action);
    if (!keeps_restored(rule))
      plan->by_restored[i] = MAX(plan->by_restored[i], rule->action);
  }
}

static void
plan_fields(GPtrArray *fields, const PolicyRule *rule)
{
  for (char **name = rule->match.fields; *name != NULL; name++)
    if (!g_ptr_array_find_with_equal_func(fields, *name, g_str_equal, NULL))
      g_ptr_array_add(fields, g_strdup(*name));
}

static void
drop_fields(GPtrArray *fields, const PolicyRule *rule)
{
  for (guint i = fields->len; i-- > 0;)
    if (g_strv_contains((const char *const *)rule->match.fields,
                        fields->pdata[i])) {
      g_free(fields->pdata[i]);
      g_ptr_array_remove_index(fields, i);
    }
}

/* Ended by NULL; NULL when there are none. */
static char **
take_fields(GPtrArray *fields)
{
  if (fields->len == 0)
    return NULL;
  g_ptr_array_add(fields, NULL);
  return (char **)g_ptr_array_steal(fields, NULL);
}

/* Members of answers by their names. */
static bool
masks_fields(const PolicyRule *rule)
{
  return !rule->shadow && rule->action == ACTION_MASK &&
         rule->match.fields != NULL && (rule->phases & RULE_ON_ANSWER) != 0;
}

static void
plan_answer(StreamPlan *plan,
            GPtrArray *fields,
            const PolicyRule *rule,
            const RulePack *pack)
{
  const PolicyMatch *match = &rule->match;

  /* A block that asks for a field too is for the tool call that has it. */
  if (match->has_finding &&
      (match->fields == NULL || rule->action == ACTION_MASK))
    plan_findings(plan, rule, pack);
  if (match->fields != NULL && rule->action == ACTION_MASK)
    plan_fields(fields, rule);
}

/* Masks of this conversation come from mask rules for requests, and each knows
 * how far it may be undone. */
static Restore
restores(const PolicyRule *rule)
{
  return rule->action == ACTION_MASK && !rule->shadow &&
                 (rule->phases & RULE_ON_REQUEST) != 0
             ? rule->restore
             : RESTORE_NONE;
}

static void
plan_restore(StreamPlan *plan, const PolicyRule *rule)
{
  plan->restore = MAX(plan->restore, restores(rule));
  /* Restored arguments are judged before the client may run them. */
  plan->hold_tools = plan->hold_tools || restores(rule) == RESTORE_TOOLS;
}

bool
judge_restores(Policy *policy, const Subject *subject)
{
  const PolicyRule *const *rules;
  bool any = false;
  unsigned n, i = 0;
  Facts facts;

  rules = policy_rules(policy, &n);
  while (i < n && restores(rules[i]) == RESTORE_NONE)
    i++;
  if (i == n)
    return false;
  facts_init(&facts, policy, subject, RULE_ON_ANSWER);
  for (; !any && i < n; i++)
    any = restores(rules[i]) != RESTORE_NONE && match_subject(&facts, rules[i]);
  facts_clear(&facts);
  return any;
}

StreamPlan *
judge_stream_plan(Policy *policy, const Subject *subject, const RulePack *pack)
{
  StreamPlan *plan = g_new0(StreamPlan, 1);
  g_autoptr(GPtrArray) fields = g_ptr_array_new();
  g_autoptr(GPtrArray) kept = g_ptr_array_new();
  const PolicyRule *const *rules;
  unsigned n;
  Facts facts;

  rule_pack_all(pack, &plan->n_rules);
  plan->by_rule = g_new0(Action, plan->n_rules);
  plan->by_restored = g_new0(Action, plan->n_rules);
  plan->by_allowed = g_new0(Action, plan->n_rules);
  facts_init(&facts, policy, subject, RULE_ON_ANSWER);
  rules = policy_rules(policy, &n);
  for (unsigned i = 0; i < n; i++) {
    if (!match_subject(&facts, rules[i]))
      continue;
    /* A shadow rule acts on nothing, but sees the calls that it judges. */
    if ((rules[i]->phases & RULE_ON_TOOL) != 0)
      plan->hold_tools = true;
    if (rules[i]->shadow)
      continue;
    if ((rules[i]->phases & RULE_ON_ANSWER) != 0)
      plan_answer(plan, fields, rules[i], pack);
    if (masks_fields(rules[i]) && keeps_restored(rules[i]))
      plan_fields(kept, rules[i]);
    plan_restore(plan, rules[i]);
  }
  for (unsigned i = 0; kept->len > 0 && i < n; i++)
    if (masks_fields(rules[i]) && !keeps_restored(rules[i]) &&
        match_subject(&facts, rules[i]))
      drop_fields(kept, rules[i]);
  facts_clear(&facts);
  plan->mask_fields = take_fields(fields);
  plan->keep_fields = take_fields(kept);
  return plan;
}
