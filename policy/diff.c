/* SPDX-License-Identifier: Apache-2.0 */
/* What one policy says and another does not: rules by their ids, key by key,
 * and whether less is let through for it, or more. */
#include "policy/pattern.h"
#include "policy/private.h"

#include <string.h>

/* How the second condition compares to the first. */
enum { MORE = 1, FEWER = 2, OTHER = 4 };

/* ---- Lists --------------------------------------------------------------- */

/* Whether everything that `item` takes, one of `items` takes too; certain only
 * where that is plain. */
static bool
covered(const char *item, char **items)
{
  for (; *items != NULL; items++)
    if (strcmp(*items, item) == 0 || strcmp(*items, "*") == 0 ||
        (strpbrk(item, "*?") == NULL && policy_glob(*items, item, false)))
      return true;
  return false;
}

static bool
all_covered(char **items, char **by)
{
  for (; *items != NULL; items++)
    if (!covered(*items, by))
      return false;
  return true;
}

/* NULL is not asked: everything. */
static unsigned
compare_lists(char **a, char **b)
{
  bool b_has_a, a_has_b;

  if (a == NULL && b == NULL)
    return 0;
  if (a == NULL || b == NULL)
    return a == NULL ? FEWER : MORE;
  b_has_a = all_covered(a, b);
  a_has_b = all_covered(b, a);
  if (b_has_a && a_has_b)
    return 0;
  return b_has_a ? MORE : a_has_b ? FEWER : OTHER;
}

static unsigned
compare_bits(unsigned a, unsigned b)
{
  if (a == b)
    return 0;
  if ((a & b) == a)
    return MORE;
  return (a & b) == b ? FEWER : OTHER;
}

static unsigned
compare_patterns(const PolicyPattern *a, const PolicyPattern *b)
{
  if (a == NULL || b == NULL)
    return a == b ? 0 : a == NULL ? FEWER : MORE;
  return strcmp(policy_pattern_source(a), policy_pattern_source(b)) == 0
             ? 0
             : OTHER;
}

/* Where a greater number takes more. */
static unsigned
compare_numbers(int64_t a, int64_t b)
{
  return a == b ? 0 : a < b ? MORE : FEWER;
}

/* ---- Conditions ---------------------------------------------------------- */

static unsigned
compare_size(const PolicyMatch *a, const PolicyMatch *b)
{
  int64_t max_a = a->size_max < 0 ? INT64_MAX : a->size_max;
  int64_t max_b = b->size_max < 0 ? INT64_MAX : b->size_max;

  return compare_numbers(b->size_min, a->size_min) |
         compare_numbers(max_a, max_b);
}

static unsigned
compare_time(const PolicyMatch *a, const PolicyMatch *b)
{
  unsigned all = 0x7f;

  if (a->time_from != b->time_from || a->time_to != b->time_to ||
      g_strcmp0(a->time_zone, b->time_zone) != 0)
    return OTHER;
  return compare_bits(a->weekdays != 0 ? a->weekdays : all,
                      b->weekdays != 0 ? b->weekdays : all);
}

static unsigned
compare_rate(const PolicyMatch *a, const PolicyMatch *b)
{
  return compare_numbers(b->rate_count, a->rate_count) |
         compare_numbers(a->rate_window, b->rate_window);
}

/* Less to use holds sooner; -1 is no limit, which never holds. */
static unsigned
compare_limits(int64_t a, int64_t b)
{
  return compare_numbers(b < 0 ? INT64_MAX : b, a < 0 ? INT64_MAX : a);
}

static unsigned
compare_budget(const PolicyBudget *a, const PolicyBudget *b)
{
  return compare_limits(a->requests, b->requests) |
         compare_limits(a->bytes, b->bytes) |
         compare_limits(a->tokens, b->tokens) |
         compare_numbers(a->window, b->window) |
         compare_lists(a->connections, b->connections) |
         compare_lists(a->models, b->models);
}

static unsigned
compare_key(MatchKey key, const PolicyMatch *a, const PolicyMatch *b)
{
  switch (key) {
  case MATCH_API:
    return compare_bits((unsigned)a->apis, (unsigned)b->apis);
  case MATCH_GROUP:
    return compare_lists(a->groups, b->groups);
  case MATCH_USER:
    return compare_lists(a->users, b->users);
  case MATCH_CONNECTION:
    return compare_lists(a->connections, b->connections);
  case MATCH_METHOD:
    return compare_lists(a->methods, b->methods);
  case MATCH_HOST:
    return compare_lists(a->hosts, b->hosts);
  case MATCH_PATH:
    return compare_lists(a->paths, b->paths);
  case MATCH_MODEL:
    return compare_lists(a->models, b->models);
  case MATCH_INITIATOR:
    return compare_lists(a->initiators, b->initiators);
  case MATCH_REPO:
    return compare_lists(a->repos, b->repos);
  case MATCH_PROCESS:
    return compare_lists(a->processes, b->processes);
  case MATCH_FIELDS:
    return compare_lists(a->fields, b->fields);
  case MATCH_FIRST_IN_SESSION:
    return a->first_in_session == b->first_in_session ? 0 : OTHER;
  case MATCH_TIME:
    return compare_time(a, b);
  case MATCH_SIZE:
    return compare_size(a, b);
  case MATCH_FINDING:
    return compare_lists(a->finding_classes, b->finding_classes) |
           compare_lists(a->finding_rules, b->finding_rules) |
           compare_numbers(b->finding_min, a->finding_min);
  case MATCH_TOOL:
    return compare_lists(a->tool_names, b->tool_names) |
           compare_patterns(a->tool_arguments, b->tool_arguments);
  case MATCH_PROMPT:
    return compare_patterns(a->prompt, b->prompt);
  case MATCH_RATE:
    return compare_rate(a, b);
  case MATCH_BUDGET:
    return compare_budget(&a->budget, &b->budget);
  case MATCH_DIRECTION:
  case N_MATCH_KEYS:
    break;
  }
  return 0;
}

/* ---- One rule ------------------------------------------------------------ */

static void
change_free(gpointer data)
{
  PolicyChange *change = data;

  g_free(change->id);
  g_ptr_array_unref(change->why);
  g_free(change);
}

static PolicyChange *
change_new(char kind, const char *id, unsigned means)
{
  PolicyChange *change = g_new0(PolicyChange, 1);

  change->kind = kind;
  change->id = g_strdup(id);
  change->means = means;
  change->why = g_ptr_array_new_with_free_func(g_free);
  return change;
}

static void because(PolicyChange *change,
                    unsigned means,
                    const char *format,
                    ...) G_GNUC_PRINTF(3, 4);

static void
because(PolicyChange *change, unsigned means, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_ptr_array_add(change->why, g_strdup_vprintf(format, args));
  va_end(args);
  change->means |= means;
}

/* What a rule means that matches more, or fewer, or something else. */
static unsigned
meaning(const PolicyRule *rule, unsigned relation)
{
  bool tightens = rule->action != ACTION_ALLOW;
  unsigned means = 0;

  if (rule->shadow)
    return 0;
  if ((relation & MORE) != 0)
    means |= tightens ? POLICY_TIGHTENS : POLICY_LOOSENS;
  if ((relation & FEWER) != 0)
    means |= tightens ? POLICY_LOOSENS : POLICY_TIGHTENS;
  if ((relation & OTHER) != 0)
    means |= POLICY_UNCLEAR;
  return means;
}

static void
diff_match(PolicyChange *change, const PolicyRule *a, const PolicyRule *b)
{
  static const char *const words[] = {[MORE] = "matches more",
                                      [FEWER] = "matches less",
                                      [MORE | FEWER] = "matches other things",
                                      [OTHER] = "matches other things"};

  for (unsigned key = 0; key < N_MATCH_KEYS; key++) {
    const char *name = match_key_name((MatchKey)key);
    bool in_a = (a->match.asked & 1u << key) != 0;
    bool in_b = (b->match.asked & 1u << key) != 0;
    unsigned relation;

    if (key == MATCH_DIRECTION || (!in_a && !in_b))
      continue;
    if (in_a != in_b) {
      because(change,
              meaning(b, in_a ? MORE : FEWER),
              in_a ? "no longer asks for %s" : "also asks for %s",
              name);
      continue;
    }
    relation = compare_key((MatchKey)key, &a->match, &b->match);
    if (relation != 0)
      because(change,
              meaning(b, relation),
              "%s %s",
              name,
              words[(relation & OTHER) != 0 ? OTHER : relation]);
  }
  if (a->phases != b->phases)
    because(change,
            meaning(b, compare_bits(a->phases, b->phases)),
            "is about other parts of an exchange");
}

/* A mask that becomes a question, or the other way round, does both: what was
 * masked may go out whole, what went masked may be refused. */
static unsigned
action_meaning(Action a, Action b)
{
  if ((a == ACTION_MASK && b == ACTION_APPROVE) ||
      (a == ACTION_APPROVE && b == ACTION_MASK))
    return POLICY_TIGHTENS | POLICY_LOOSENS;
  return a < b ? POLICY_TIGHTENS : POLICY_LOOSENS;
}

static bool
has_approver(const PolicyRule *rule, const Approver *approver)
{
  for (unsigned i = 0; i < rule->n_approvers; i++)
    if (rule->approvers[i].kind == approver->kind &&
        g_strcmp0(rule->approvers[i].group, approver->group) == 0)
      return true;
  return false;
}

static bool
has_approvers(const PolicyRule *rule, const PolicyRule *of)
{
  for (unsigned i = 0; i < of->n_approvers; i++)
    if (!has_approver(rule, &of->approvers[i]))
      return false;
  return true;
}

static void
diff_approvers(PolicyChange *change, const PolicyRule *a, const PolicyRule *b)
{
  bool b_has_a = has_approvers(b, a), a_has_b = has_approvers(a, b);
  unsigned relation = OTHER;

  if (a->by == b->by && a->approvals_needed == b->approvals_needed && b_has_a &&
      a_has_b)
    return;
  if (b_has_a && a_has_b && a->approvals_needed != b->approvals_needed)
    relation = a->approvals_needed < b->approvals_needed ? MORE : FEWER;
  else if (a->by == BY_ALL && b->by == BY_ALL && (b_has_a || a_has_b))
    relation = b_has_a ? MORE : FEWER;
  else if (a->by == BY_ANY && b->by == BY_ANY && (b_has_a || a_has_b))
    relation = b_has_a ? FEWER : MORE;
  because(change, meaning(b, relation), "other people are asked");
}

static bool
same_next(const PolicyRule *a, const PolicyRule *b)
{
  const PolicyRule left = {.approvers = a->next.list, .n_approvers = a->next.n};
  const PolicyRule right = {.approvers = b->next.list,
                            .n_approvers = b->next.n};

  return a->escalate_after == b->escalate_after && a->next.by == b->next.by &&
         a->next.needed == b->next.needed && has_approvers(&left, &right) &&
         has_approvers(&right, &left);
}

/* How it is asked, and what a yes takes. */
static void
diff_asking(PolicyChange *change, const PolicyRule *a, const PolicyRule *b)
{
  diff_approvers(change, a, b);
  if (!same_next(a, b))
    because(change,
            meaning(b,
                    !a->escalate_after   ? FEWER
                    : !b->escalate_after ? MORE
                                         : OTHER),
            "who is asked next, after %u s -> %u s (0: nobody)",
            a->escalate_after,
            b->escalate_after);
  if (a->extend != b->extend)
    because(change, 0, "extend %u -> %u", a->extend, b->extend);
  if (a->risk != b->risk)
    because(change, 0, "risk %s -> %s", risk_name(a->risk), risk_name(b->risk));
  if (a->needs_reason != b->needs_reason)
    because(change,
            meaning(b, b->needs_reason ? MORE : FEWER),
            b->needs_reason ? "an approval takes a reason"
                            : "an approval takes no reason");
}

static void
diff_details(PolicyChange *change, const PolicyRule *a, const PolicyRule *b)
{
  if (a->action == ACTION_APPROVE && b->action == ACTION_APPROVE)
    diff_asking(change, a, b);
  if (a->timeout != b->timeout)
    because(change, 0, "timeout %u s -> %u s", a->timeout, b->timeout);
  if (a->completions != b->completions)
    because(change,
            b->shadow                        ? 0
            : b->completions == ACTION_BLOCK ? POLICY_TIGHTENS
                                             : POLICY_LOOSENS,
            "completions %s -> %s",
            action_name(a->completions),
            action_name(b->completions));
  if (a->restore != b->restore)
    because(change,
            b->shadow                 ? 0
            : a->restore < b->restore ? POLICY_LOOSENS
                                      : POLICY_TIGHTENS,
            "restore %s -> %s",
            restore_name(a->restore),
            restore_name(b->restore));
  if (a->allow_fingerprints != b->allow_fingerprints)
    because(change,
            meaning(b, b->allow_fingerprints ? FEWER : MORE),
            b->allow_fingerprints ? "users may allow findings"
                                  : "users may allow no findings");
  if (a->no_grants != b->no_grants)
    because(change,
            meaning(b, b->no_grants ? MORE : FEWER),
            b->no_grants ? "no answer is remembered"
                         : "answers may be remembered");
  if (g_strcmp0(a->message, b->message) != 0)
    because(change, 0, "another message");
}

/* NULL when both mean the same. */
static PolicyChange *
diff_rule(const PolicyRule *a, const PolicyRule *b)
{
  PolicyChange *change = change_new('~', b->id, 0);

  change->before = a;
  change->after = b;
  if (a->shadow != b->shadow)
    because(change,
            meaning(b->shadow ? a : b, b->shadow ? FEWER : MORE),
            b->shadow ? "becomes a shadow" : "is no shadow any more");
  if (a->action != b->action)
    because(change,
            a->shadow || b->shadow ? 0 : action_meaning(a->action, b->action),
            "%s -> %s",
            action_name(a->action),
            action_name(b->action));
  diff_match(change, a, b);
  diff_details(change, a, b);
  if (change->why->len > 0)
    return change;
  change_free(change);
  return NULL;
}

/* ---- Whole policies ------------------------------------------------------ */

static void
diff_setting(GPtrArray *changes,
             const char *key,
             const PolicySetting *a,
             const PolicySetting *b)
{
  PolicyChange *change;

  if (a->action == b->action)
    return;
  change = change_new('=', key, action_meaning(a->action, b->action));
  because(
      change, 0, "%s -> %s", action_name(a->action), action_name(b->action));
  g_ptr_array_add(changes, change);
}

static void
diff_group(GPtrArray *changes,
           const char *name,
           const PolicyGroup *a,
           const PolicyGroup *b)
{
  PolicyChange *change;
  g_autofree char *before = a != NULL ? g_strjoinv(", ", a->members) : NULL;
  g_autofree char *after = b != NULL ? g_strjoinv(", ", b->members) : NULL;

  if (g_strcmp0(before, after) == 0)
    return;
  change = change_new('=', name, POLICY_UNCLEAR);
  because(change,
          0,
          "group [%s] -> [%s]",
          before != NULL ? before : "",
          after != NULL ? after : "");
  g_ptr_array_add(changes, change);
}

static void
diff_groups(GPtrArray *changes, const Policy *a, const Policy *b)
{
  for (guint i = 0; i < a->groups->len; i++) {
    const PolicyGroup *group = a->groups->pdata[i];

    diff_group(changes, group->name, group, policy_find_group(b, group->name));
  }
  for (guint i = 0; i < b->groups->len; i++) {
    const PolicyGroup *group = b->groups->pdata[i];

    if (policy_find_group(a, group->name) == NULL)
      diff_group(changes, group->name, NULL, group);
  }
}

GPtrArray *
policy_diff(const Policy *a, const Policy *b)
{
  GPtrArray *changes = g_ptr_array_new_with_free_func(change_free);

  diff_setting(changes, "default", &a->fallback, &b->fallback);
  diff_setting(changes, "tunnels", &a->tunnels, &b->tunnels);
  diff_groups(changes, a, b);
  for (guint i = 0; i < a->rules->len; i++) {
    const PolicyRule *rule = a->rules->pdata[i];
    const PolicyRule *other = g_hash_table_lookup(b->by_id, rule->id);
    PolicyChange *change = other != NULL ? diff_rule(rule, other) : NULL;

    if (other == NULL) {
      change = change_new('-', rule->id, meaning(rule, FEWER));
      change->before = rule;
    }
    if (change != NULL)
      g_ptr_array_add(changes, change);
  }
  for (guint i = 0; i < b->rules->len; i++) {
    const PolicyRule *rule = b->rules->pdata[i];
    PolicyChange *change;

    if (g_hash_table_contains(a->by_id, rule->id))
      continue;
    change = change_new('+', rule->id, meaning(rule, MORE));
    change->after = rule;
    g_ptr_array_add(changes, change);
  }
  return changes;
}

const char *
policy_means(unsigned means)
{
  if ((means & POLICY_UNCLEAR) != 0)
    return "changes";
  if (means == (POLICY_TIGHTENS | POLICY_LOOSENS))
    return "tightens and loosens";
  if (means == 0)
    return "lets through as much";
  return means == POLICY_TIGHTENS ? "tightens" : "loosens";
}
