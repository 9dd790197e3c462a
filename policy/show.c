/* SPDX-License-Identifier: Apache-2.0 */
/* What a loaded policy says: its values, its groups, itself as text, and what
 * its writer should know about it. */
#include "policy/emit.h"
#include "policy/private.h"

#include <string.h>

const char *
policy_revision(const Policy *policy)
{
  return policy->revision;
}

const PolicyRule *const *
policy_rules(const Policy *policy, unsigned *n)
{
  *n = policy->rules->len;
  return (const PolicyRule *const *)policy->rules->pdata;
}

unsigned
policy_budget_window(const Policy *policy)
{
  unsigned longest = 0;

  for (guint i = 0; i < policy->rules->len; i++) {
    const PolicyRule *rule = policy->rules->pdata[i];

    longest = MAX(longest, rule->match.budget.window);
  }
  return longest;
}

Action
policy_default(const Policy *policy)
{
  return policy->fallback.action;
}

bool
policy_lifts_default(const Policy *policy, const PolicyRule *rule)
{
  return !policy->fallback.set || rule->layer <= policy->fallback.layer;
}

const char *
policy_file(const Policy *policy, unsigned i, PolicyLayer *layer)
{
  const PolicyFile *file;

  if (i >= policy->files->len)
    return NULL;
  file = policy->files->pdata[i];
  *layer = file->layer;
  return file->name;
}

Action
policy_tunnels(const Policy *policy)
{
  return policy->tunnels.action;
}

bool
policy_in_group(const Policy *policy,
                const char *name,
                const char *const *identity_groups)
{
  const PolicyGroup *group;

  if (strcmp(name, "*") == 0)
    return true;
  if (identity_groups == NULL)
    return false;
  group = policy_find_group(policy, name);
  if (group == NULL)
    return g_strv_contains(identity_groups, name);
  for (unsigned i = 0; group->members[i] != NULL; i++)
    if (g_strv_contains(identity_groups, group->members[i]))
      return true;
  return false;
}

uint64_t *
policy_groups_of(const Policy *policy, const char *const *identity_groups)
{
  uint64_t *bits = g_new0(uint64_t, g_hash_table_size(policy->ids) / 64 + 1);

  for (; identity_groups != NULL && *identity_groups != NULL;
       identity_groups++) {
    const GArray *numbers =
        g_hash_table_lookup(policy->member, *identity_groups);

    for (guint i = 0; numbers != NULL && i < numbers->len; i++) {
      unsigned number = g_array_index(numbers, unsigned, i);

      bits[number / 64] |= UINT64_C(1) << number % 64;
    }
  }
  return bits;
}

/* ---- As text ----------------------------------------------------------- */

static void
show_setting(GString *out, const char *key, const PolicySetting *setting)
{
  if (setting->set)
    g_string_append_printf(
        out, "# %s: %s\n", layer_name(setting->layer), setting->origin);
  else
    g_string_append(out, "# set by no layer\n");
  g_string_append_printf(out, "%s: %s\n", key, action_name(setting->action));
}

static void
show_group(GString *out, const PolicyGroup *group)
{
  g_string_append_printf(
      out, "  # %s: %s\n  ", layer_name(group->layer), group->origin);
  emit_scalar(out, group->name, true);
  g_string_append(out, ": [");
  for (unsigned i = 0; group->members[i] != NULL; i++) {
    if (i > 0)
      g_string_append(out, ", ");
    emit_scalar(out, group->members[i], true);
  }
  g_string_append(out, "]\n");
}

char *
policy_to_text(const Policy *policy)
{
  GString *out = g_string_new(NULL);

  g_string_append_printf(out, "# revision %s\nversion: 1\n", policy->revision);
  show_setting(out, "default", &policy->fallback);
  show_setting(out, "tunnels", &policy->tunnels);
  if (policy->groups->len > 0)
    g_string_append(out, "groups:\n");
  for (guint i = 0; i < policy->groups->len; i++)
    show_group(out, policy->groups->pdata[i]);
  g_string_append(out, policy->rules->len > 0 ? "rules:\n" : "rules: []\n");
  for (guint i = 0; i < policy->rules->len; i++) {
    const PolicyRule *rule = policy->rules->pdata[i];

    g_string_append_printf(out,
                           "  # %s: %s\n%s",
                           layer_name(rule->layer),
                           rule->origin,
                           (const char *)policy->texts->pdata[i]);
  }
  return g_string_free(out, FALSE);
}

/* ---- Warnings ---------------------------------------------------------- */

static bool
any_rule(const RulePack *pack, const char *pattern, bool by_class)
{
  unsigned n;
  const DetectorRule *const *rules = rule_pack_all(pack, &n);

  for (unsigned i = 0; i < n; i++)
    if (policy_glob(
            pattern, by_class ? rules[i]->class_name : rules[i]->id, false))
      return true;
  return false;
}

static void
warn_findings(const PolicyRule *rule,
              const RulePack *pack,
              char **names,
              bool by_class,
              GStrvBuilder *out)
{
  for (; names != NULL && *names != NULL; names++) {
    g_autofree char *line = NULL;

    if (any_rule(pack, *names, by_class))
      continue;
    line = g_strdup_printf(
        "%s: rule \"%s\": no detector rule %s \"%s\" is in the pack",
        rule->origin,
        rule->id,
        by_class ? "of class" : "named",
        *names);
    g_strv_builder_add(out, line);
  }
}

static void
warn_reviewers(const PolicyRule *rule, GStrvBuilder *out)
{
  unsigned reviewers = 0, next = 0;

  for (unsigned i = 0; i < rule->n_approvers; i++)
    reviewers += rule->approvers[i].kind == APPROVER_REVIEWER;
  for (unsigned i = 0; i < rule->next.n; i++)
    next += rule->next.list[i].kind == APPROVER_REVIEWER;
  if (next > 0) {
    g_autofree char *line = g_strdup_printf(
        "%s: rule \"%s\": escalates to reviewers, who answer through a hub; "
        "without one nobody else is asked",
        rule->origin,
        rule->id);

    g_strv_builder_add(out, line);
  }
  if (reviewers > 0) {
    g_autofree char *line = g_strdup_printf(
        "%s: rule \"%s\": reviewers answer through a hub; without one %s",
        rule->origin,
        rule->id,
        rule->by == BY_ANY && reviewers < rule->n_approvers
            ? "only the others can"
            : "what this rule holds is refused");

    g_strv_builder_add(out, line);
  }
}

/* An allow rule that cannot do what its writer may want. */
static void
warn_default(const Policy *policy, const PolicyRule *rule, GStrvBuilder *out)
{
  g_autofree char *line = NULL;

  if (rule->action != ACTION_ALLOW || policy_lifts_default(policy, rule))
    return;
  line = g_strdup_printf("%s: rule \"%s\": allows nothing that \"default\" of "
                         "the %s layer (%s) blocks",
                         rule->origin,
                         rule->id,
                         layer_name(policy->fallback.layer),
                         policy->fallback.origin);
  g_strv_builder_add(out, line);
}

char **
policy_warnings(const Policy *policy, const RulePack *pack)
{
  g_autoptr(GStrvBuilder) out = g_strv_builder_new();

  for (guint i = 0; i < policy->warnings->len; i++)
    g_strv_builder_add(out, policy->warnings->pdata[i]);
  if (!policy->fallback.set)
    g_strv_builder_add(
        out, "no file sets \"default\": what no rule allows is blocked");
  if (!policy->tunnels.set)
    g_strv_builder_add(
        out, "no file sets \"tunnels\": hosts of no connection are blocked");
  for (guint i = 0; i < policy->rules->len; i++) {
    const PolicyRule *rule = policy->rules->pdata[i];

    warn_reviewers(rule, out);
    if (policy->fallback.action == ACTION_BLOCK)
      warn_default(policy, rule, out);
    if (pack == NULL)
      continue;
    warn_findings(rule, pack, rule->match.finding_classes, true, out);
    warn_findings(rule, pack, rule->match.finding_rules, false, out);
  }
  return g_strv_builder_end(out);
}

/* ---- What it names ------------------------------------------------------ */

static void
add_names(GHashTable *seen, const char *prefix, char **names)
{
  for (; names != NULL && *names != NULL; names++)
    if (strcmp(*names, "*") != 0)
      g_hash_table_add(seen, g_strconcat(prefix, *names, NULL));
}

static int
compare_texts(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **
policy_named_findings(const Policy *policy)
{
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  guint n;
  char **names;

  for (guint i = 0; i < policy->rules->len; i++) {
    const PolicyRule *rule = policy->rules->pdata[i];

    add_names(seen, "class:", rule->match.finding_classes);
    add_names(seen, "rule:", rule->match.finding_rules);
  }
  names = (char **)g_hash_table_get_keys_as_array(seen, &n);
  g_hash_table_steal_all(seen);
  qsort(names, n, sizeof(*names), compare_texts);
  return names;
}
