/* SPDX-License-Identifier: Apache-2.0 */
/* Loads policy files in layers: the first layer that sets a group, default or
 * tunnels has it, rules add up, and the user's layer may only tighten. */
#include "policy/emit.h"
#include "policy/private.h"
#include "policy/rule-parse.h"
#include "policy/source.h"
#include "policy/suggest.h"

#include <string.h>

/* More are a generated file gone wrong; each is looked at in every verdict. */
#define MAX_RULES 10000
#define MAX_GROUPS 1000
/* Each is up to 64 KiB when compiled. */
#define MAX_REGEXES 2000

static void
group_free(gpointer data)
{
  PolicyGroup *group = data;

  g_free(group->name);
  g_strfreev(group->members);
  g_free(group->origin);
  g_free(group);
}

static void
file_free(gpointer data)
{
  PolicyFile *file = data;

  g_free(file->name);
  g_bytes_unref(file->text);
  g_free(file);
}

static void
destroy_rule(gpointer data)
{
  rule_free(data);
}

static void
destroy_array(gpointer data)
{
  g_array_unref(data);
}

static Policy *
policy_new(void)
{
  Policy *policy = g_new0(Policy, 1);

  policy->refs = 1;
  policy->rules = g_ptr_array_new_with_free_func(destroy_rule);
  policy->texts = g_ptr_array_new_with_free_func(g_free);
  policy->by_id = g_hash_table_new(g_str_hash, g_str_equal);
  policy->groups = g_ptr_array_new_with_free_func(group_free);
  policy->ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  policy->member =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, destroy_array);
  policy->warnings = g_ptr_array_new_with_free_func(g_free);
  policy->files = g_ptr_array_new_with_free_func(file_free);
  policy->fallback.action = policy->tunnels.action = ACTION_BLOCK;
  return policy;
}

/* ---- Groups, default, tunnels ------------------------------------------ */

const PolicyGroup *
policy_find_group(const Policy *policy, const char *name)
{
  for (guint i = 0; i < policy->groups->len; i++) {
    const PolicyGroup *group = policy->groups->pdata[i];

    if (strcmp(group->name, name) == 0)
      return group;
  }
  return NULL;
}

/* The group of an earlier layer that means an identity group by this name: its
 * rules may use that name, too. */
static const PolicyGroup *
earlier_member(const Policy *policy, PolicyLayer layer, const char *name)
{
  for (guint i = 0; i < policy->groups->len; i++) {
    const PolicyGroup *group = policy->groups->pdata[i];

    if (group->layer < layer &&
        g_strv_contains((const char *const *)group->members, name))
      return group;
  }
  return NULL;
}

static PolicyGroup *
group_new(const Source *source, const YamlNode *key, char ***members)
{
  PolicyGroup *group = g_new0(PolicyGroup, 1);

  group->name = g_strdup(key->text);
  group->members = g_steal_pointer(members);
  group->layer = source->layer;
  group->origin = yaml_place(source->doc, key);
  return group;
}

static bool
read_group(Policy *policy,
           const Source *source,
           const YamlNode *key,
           const YamlNode *value,
           GError **error)
{
  const PolicyGroup *before = policy_find_group(policy, key->text);
  const PolicyGroup *member = earlier_member(policy, source->layer, key->text);
  g_auto(GStrv) members = NULL;

  if (key->text[0] == '\0' || strpbrk(key->text, "*?") != NULL ||
      strcmp(key->text, "local") == 0)
    return yaml_error(
        source->doc, key, error, "a group cannot be named \"%s\"", key->text);
  if (!yaml_texts(source->doc, value, key->text, &members, error))
    return false;
  for (unsigned i = 0; members[i] != NULL; i++)
    if (strchr(members[i], '*') != NULL)
      return yaml_error(source->doc,
                        value,
                        error,
                        "group \"%s\" takes no wildcards: \"*\" in a rule is "
                        "everybody",
                        key->text);
  if (before != NULL) {
    g_ptr_array_add(policy->warnings,
                    g_strdup_printf("%s:%u: group \"%s\" stays as %s says",
                                    source->doc->name,
                                    key->line,
                                    key->text,
                                    before->origin));
    return true;
  }
  if (member != NULL)
    return yaml_error(source->doc,
                      key,
                      error,
                      "\"%s\" is an identity group of \"%s\" (%s layer, %s) "
                      "and cannot be another group here",
                      key->text,
                      member->name,
                      layer_name(member->layer),
                      member->origin);
  if (policy->groups->len >= MAX_GROUPS)
    return yaml_error(
        source->doc, key, error, "more than %d groups", MAX_GROUPS);
  g_ptr_array_add(policy->groups, group_new(source, key, &members));
  return true;
}

static bool
read_groups(Policy *policy,
            const Source *source,
            const YamlNode *node,
            GError **error)
{
  if (node->kind != YAML_MAP)
    return yaml_error(source->doc,
                      node,
                      error,
                      "\"groups\" must be a mapping (name: identity groups)");
  for (guint i = 0; i < node->keys->len; i++)
    if (!read_group(
            policy, source, node->keys->pdata[i], node->items->pdata[i], error))
      return false;
  return true;
}

static bool
read_setting(Policy *policy,
             const Source *source,
             const YamlNode *node,
             const char *key,
             PolicySetting *setting,
             GError **error)
{
  static const char *const names[] = {"allow", "block", NULL};
  unsigned choice;

  if (!yaml_choice(source->doc, node, key, names, &choice, error))
    return false;
  if (setting->set) {
    g_ptr_array_add(policy->warnings,
                    g_strdup_printf("%s:%u: \"%s\" stays as %s says",
                                    source->doc->name,
                                    node->line,
                                    key,
                                    setting->origin));
    return true;
  }
  setting->set = true;
  setting->action = choice == 0 ? ACTION_ALLOW : ACTION_BLOCK;
  setting->layer = source->layer;
  setting->origin = yaml_place(source->doc, node);
  return true;
}

/* ---- Rules ------------------------------------------------------------- */

/* Every name that may stand for a group in a rule: for messages. */
static GPtrArray *
known_groups(const Policy *policy)
{
  GPtrArray *names = g_ptr_array_new();

  g_ptr_array_add(names, (gpointer)(uintptr_t) "*");
  g_ptr_array_add(names, (gpointer)(uintptr_t) "local");
  for (guint i = 0; i < policy->groups->len; i++) {
    const PolicyGroup *group = policy->groups->pdata[i];

    g_ptr_array_add(names, group->name);
    for (unsigned j = 0; group->members[j] != NULL; j++)
      g_ptr_array_add(names, group->members[j]);
  }
  g_ptr_array_add(names, NULL);
  return names;
}

static unsigned
number_of(Policy *policy, const char *name)
{
  gpointer found = g_hash_table_lookup(policy->ids, name);
  unsigned number = g_hash_table_size(policy->ids);

  if (found != NULL)
    return GPOINTER_TO_UINT(found) - 1;
  g_hash_table_insert(
      policy->ids, g_strdup(name), GUINT_TO_POINTER(number + 1));
  return number;
}

static bool
resolve_groups(Policy *policy,
               const Source *source,
               const YamlNode *node,
               PolicyMatch *match,
               GError **error)
{
  g_autoptr(GPtrArray) known = NULL;
  unsigned n = 0;

  if (match->groups == NULL)
    return true;
  n = g_strv_length(match->groups);
  match->group_ids = g_new0(unsigned, n);
  for (unsigned i = 0; i < n; i++) {
    const char *name = match->groups[i], *nearest;

    if (strcmp(name, "*") == 0)
      continue;
    if (strcmp(name, "local") != 0 && policy_find_group(policy, name) == NULL) {
      if (known == NULL)
        known = known_groups(policy);
      if (!g_strv_contains((const char *const *)known->pdata, name)) {
        nearest = suggest_nearest(name, (const char *const *)known->pdata);
        return yaml_error(source->doc,
                          node,
                          error,
                          "group \"%s\" is not in the groups table%s%s%s",
                          name,
                          nearest != NULL ? "; did you mean \"" : "",
                          nearest != NULL ? nearest : "",
                          nearest != NULL ? "\"?" : "");
      }
    }
    match->group_ids[match->n_group_ids++] = number_of(policy, name);
  }
  return true;
}

static bool
read_rule(Policy *policy,
          const Source *source,
          const YamlNode *node,
          GError **error)
{
  g_autoptr(PolicyRule) rule =
      rule_read(source->doc, node, source->layer, error);
  const PolicyRule *before;
  g_autoptr(GString) text = NULL;

  if (rule == NULL)
    return false;
  before = g_hash_table_lookup(policy->by_id, rule->id);
  if (before != NULL)
    return yaml_error(source->doc,
                      yaml_get(node, "id"),
                      error,
                      "rule \"%s\" is there already (%s)",
                      rule->id,
                      before->origin);
  if (!resolve_groups(policy,
                      source,
                      yaml_get(yaml_get(node, "match"), "group"),
                      &rule->match,
                      error))
    return false;
  if (policy->rules->len >= MAX_RULES)
    return yaml_error(
        source->doc, node, error, "more than %d rules", MAX_RULES);
  policy->n_regexes += rule->match.prompt != NULL;
  policy->n_regexes += rule->match.tool_arguments != NULL;
  if (policy->n_regexes > MAX_REGEXES)
    return yaml_error(
        source->doc, node, error, "more than %d regexes", MAX_REGEXES);
  text = g_string_new(NULL);
  emit_item(text, node);
  sha256(text->str, text->len, rule->digest);
  g_ptr_array_add(policy->texts, g_strdup(text->str));
  g_hash_table_insert(policy->by_id, rule->id, rule);
  g_ptr_array_add(policy->rules, g_steal_pointer(&rule));
  return true;
}

static bool
read_rules(Policy *policy,
           const Source *source,
           const YamlNode *node,
           GError **error)
{
  if (node->kind != YAML_LIST)
    return yaml_error(source->doc, node, error, "\"rules\" must be a list");
  for (guint i = 0; i < node->items->len; i++)
    if (!read_rule(policy, source, node->items->pdata[i], error))
      return false;
  return true;
}

/* ---- Files ------------------------------------------------------------- */

static const char *const file_keys[] =
    {"version", "include", "default", "tunnels", "groups", "rules", NULL};

const char *const *
policy_file_keys(void)
{
  return file_keys;
}

static bool
check_file(const Source *source, GError **error)
{
  static const char *const not_user[] = {"default", "tunnels", "groups"};
  const YamlNode *root = source->doc->root, *version;
  int64_t number;

  if (!yaml_map_check(source->doc, root, "a policy file", file_keys, error))
    return false;
  version = yaml_get(root, "version");
  if (version == NULL)
    return yaml_error(
        source->doc, root, error, "a policy file needs \"version\": 1");
  if (!yaml_number(source->doc, version, "version", 1, 1, &number, error))
    return false;
  for (unsigned i = 0;
       source->layer == LAYER_USER && i < G_N_ELEMENTS(not_user);
       i++) {
    const YamlNode *value = yaml_get(root, not_user[i]);

    if (value != NULL)
      return yaml_error(source->doc,
                        value,
                        error,
                        "the user layer must not set \"%s\"",
                        not_user[i]);
  }
  return true;
}

/* Groups before rules: a rule may stand above the table that it uses, and in
 * another file of its layer. */
static bool
read_settings(Policy *policy, const Source *source, GError **error)
{
  const YamlNode *root = source->doc->root;
  const YamlNode *groups = yaml_get(root, "groups");
  const YamlNode *fallback = yaml_get(root, "default");
  const YamlNode *tunnels = yaml_get(root, "tunnels");

  return check_file(source, error) &&
         (groups == NULL || read_groups(policy, source, groups, error)) &&
         (fallback == NULL ||
          read_setting(
              policy, source, fallback, "default", &policy->fallback, error)) &&
         (tunnels == NULL ||
          read_setting(
              policy, source, tunnels, "tunnels", &policy->tunnels, error));
}

static void
add_member(Policy *policy, const char *identity_group, unsigned number)
{
  GArray *numbers = g_hash_table_lookup(policy->member, identity_group);

  if (numbers == NULL) {
    numbers = g_array_new(FALSE, FALSE, sizeof(unsigned));
    g_hash_table_insert(policy->member, g_strdup(identity_group), numbers);
  }
  g_array_append_val(numbers, number);
}

/* From each identity group to the numbers of the rules' groups. */
static void
index_groups(Policy *policy)
{
  GHashTableIter iter;
  gpointer name, number;

  g_hash_table_iter_init(&iter, policy->ids);
  while (g_hash_table_iter_next(&iter, &name, &number)) {
    const PolicyGroup *group = policy_find_group(policy, name);

    if (group == NULL)
      add_member(policy, name, GPOINTER_TO_UINT(number) - 1);
    for (unsigned i = 0; group != NULL && group->members[i] != NULL; i++)
      add_member(policy, group->members[i], GPOINTER_TO_UINT(number) - 1);
  }
}

/* Layer and length in front, so that no two sets of files hash the same. */
static void
hash_source(Sha256 *digest, const Source *source)
{
  gsize len;
  gconstpointer text = g_bytes_get_data(source->text, &len);
  g_autofree char *head = g_strdup_printf(
      "%s %" G_GSIZE_FORMAT "\n", layer_name(source->layer), len);

  sha256_update(digest, head, strlen(head));
  sha256_update(digest, text != NULL ? text : "", len);
}

static void
keep_files(Policy *policy, const GArray *sources)
{
  g_autoptr(Sha256) digest = sha256_new();
  uint8_t hash[SHA256_LEN];

  for (guint i = 0; i < sources->len; i++) {
    const Source *source = &g_array_index(sources, Source, i);
    PolicyFile *file = g_new0(PolicyFile, 1);

    *file = (PolicyFile){
        g_strdup(source->doc->name), source->layer, g_bytes_ref(source->text)};
    g_ptr_array_add(policy->files, file);
    hash_source(digest, source);
  }
  sha256_peek(digest, hash);
  hex_encode(hash, sizeof(hash), policy->revision);
}

/* Those of one layer, from `first`; *next is the first one of another. */
static bool
read_layer(Policy *policy,
           const GArray *sources,
           guint first,
           guint *next,
           GError **error)
{
  const PolicyLayer layer = g_array_index(sources, Source, first).layer;
  guint end = first;

  for (; end < sources->len; end++) {
    const Source *source = &g_array_index(sources, Source, end);

    if (source->layer != layer)
      break;
    if (!read_settings(policy, source, error))
      return false;
  }
  for (guint i = first; i < end; i++) {
    const Source *source = &g_array_index(sources, Source, i);
    const YamlNode *rules = yaml_get(source->doc->root, "rules");

    if (rules != NULL && !read_rules(policy, source, rules, error))
      return false;
  }
  *next = end;
  return true;
}

Policy *
policy_from_sources(const GArray *sources, PolicyLayer *fault, GError **error)
{
  g_autoptr(Policy) policy = policy_new();

  for (guint i = 0; i < sources->len;) {
    const PolicyLayer layer = g_array_index(sources, Source, i).layer;

    if (!read_layer(policy, sources, i, &i, error)) {
      *fault = layer;
      return NULL;
    }
  }
  index_groups(policy);
  keep_files(policy, sources);
  return g_steal_pointer(&policy);
}

Policy *
policy_ref(Policy *policy)
{
  g_atomic_int_inc(&policy->refs);
  return policy;
}

void
policy_unref(Policy *policy)
{
  if (policy == NULL || !g_atomic_int_dec_and_test(&policy->refs))
    return;
  g_hash_table_destroy(policy->by_id);
  g_hash_table_destroy(policy->ids);
  g_hash_table_destroy(policy->member);
  g_ptr_array_unref(policy->rules);
  g_ptr_array_unref(policy->texts);
  g_ptr_array_unref(policy->groups);
  g_ptr_array_unref(policy->warnings);
  g_ptr_array_unref(policy->files);
  g_free(policy->fallback.origin);
  g_free(policy->tunnels.origin);
  g_free(policy);
}
