/* SPDX-License-Identifier: Apache-2.0 */
/* scan: which rules speak, and the list of them. */
#include "cli/scan.h"
#include "daemon/daemon.h"
#include <stdio.h>
#include <string.h>

/* Each of the comma-separated words; "*" names nothing that is off. */
static void
add_words(GPtrArray *names, const char *prefix, const char *list)
{
  g_auto(GStrv) words = g_strsplit(list ? list : "", ",", -1);

  for (char **word = words; *word; word++)
    if (strcmp(*word, "*") != 0)
      g_ptr_array_add(names, g_strconcat(prefix, *word, NULL));
}

char **
scan_named(const Call *call, const Config *config, int *code)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = daemon_load_policy(config, &error);
  g_auto(GStrv) of_policy = policy ? policy_named_findings(policy) : NULL;
  g_autoptr(GPtrArray) names = g_ptr_array_new();

  if (!policy) {
    *code = complain_error(call, error);
    return NULL;
  }
  for (char **name = of_policy; *name; name++)
    g_ptr_array_add(names, g_strdup(*name));
  add_words(names, "class:", call_value(call, "class"));
  add_words(names, "rule:", call_value(call, "rules"));
  g_ptr_array_add(names, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

static bool
class_known(const DetectorRule *const *rules, unsigned n, const char *name)
{
  for (unsigned i = 0; i < n; i++)
    if (strcmp(rules[i]->class_name, name) == 0)
      return true;
  return false;
}

static bool
complain_class(const Scan *scan,
               const DetectorRule *const *rules,
               unsigned n,
               const char *name)
{
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GString) list = g_string_new(NULL);

  for (unsigned i = 0; i < n; i++)
    if (g_hash_table_add(seen, rules[i]->class_name))
      g_string_append_printf(
          list, "%s%s", list->len ? ", " : "", rules[i]->class_name);
  complain(scan->call,
           CLI_USAGE,
           "no rule is of class %s; there are: %s",
           name,
           list->str);
  return false;
}

static bool
complain_rule(const Scan *scan,
              const DetectorRule *const *rules,
              unsigned n,
              const char *name)
{
  g_autofree const char **ids = g_new(const char *, MAX(n, 1));
  const char *near;

  for (unsigned i = 0; i < n; i++)
    ids[i] = rules[i]->id;
  near = nearest_word(name, ids, n);
  complain(scan->call,
           CLI_USAGE,
           "there is no rule %s%s%s; see --list-rules",
           name,
           near ? ", did you mean " : "",
           near ? near : "");
  return false;
}

/* Keeps of `wanted` the rules that one of the comma-separated words names. */
static bool
keep(const Scan *scan, const char *list, bool by_class)
{
  g_auto(GStrv) words = g_strsplit(list, ",", -1);
  unsigned n;
  const DetectorRule *const *rules = rule_pack_all(scan->scanner.pack, &n);
  g_autofree bool *named = g_new0(bool, MAX(n, 1));

  for (char **word = words; *word; word++) {
    bool any = false;

    for (unsigned i = 0; i < n && !by_class; i++)
      if (policy_glob(*word, rules[i]->id, false))
        any = named[i] = true;
    for (unsigned i = 0; i < n && by_class; i++)
      named[i] = named[i] || strcmp(*word, rules[i]->class_name) == 0;
    if (by_class && !class_known(rules, n, *word))
      return complain_class(scan, rules, n, *word);
    if (!by_class && !any)
      return complain_rule(scan, rules, n, *word);
  }
  for (unsigned i = 0; i < n; i++)
    scan->wanted[i] = scan->wanted[i] && named[i];
  return true;
}

bool
scan_choose(Scan *scan)
{
  const char *ids = call_value(scan->call, "rules");
  const char *classes = call_value(scan->call, "class");
  bool any = false;
  unsigned n;
  const DetectorRule *const *rules = rule_pack_all(scan->scanner.pack, &n);

  if (!ids && !classes)
    return true;
  scan->wanted = g_new0(bool, MAX(n, 1));
  for (unsigned i = 0; i < n; i++)
    scan->wanted[i] = true;
  if ((ids && !keep(scan, ids, false)) ||
      (classes && !keep(scan, classes, true)))
    return false;
  for (unsigned i = 0; i < n; i++)
    any = any || (scan->wanted[i] && detector_rule_is_on(rules[i]));
  if (any || call_has(scan->call, "list-rules"))
    return true;
  complain(scan->call, CLI_USAGE, "no rule that is on is named so");
  return false;
}

static void
add_rule(struct json_object *list, const DetectorRule *rule)
{
  struct json_object *json = json_object_new_object();

  json_object_object_add(json, "id", json_object_new_string(rule->id));
  json_object_object_add(
      json, "class", json_object_new_string(rule->class_name));
  json_object_object_add(
      json,
      "description",
      json_object_new_string(rule->description ? rule->description : ""));
  json_object_object_add(
      json, "on", json_object_new_boolean(detector_rule_is_on(rule)));
  json_object_array_add(list, json);
}

int
scan_list_rules(const Scan *scan)
{
  static const char *const headings[] = {
      "RULE", "CLASS", "", "DESCRIPTION", NULL};
  const bool as_json = call_has(scan->call, "json");
  struct json_object *list = json_object_new_array();
  Table *table = table_new(headings);
  unsigned n;
  const DetectorRule *const *rules = rule_pack_all(scan->scanner.pack, &n);

  for (unsigned i = 0; i < n; i++) {
    const DetectorRule *rule = rules[i];
    const char *cells[] = {rule->id,
                           rule->class_name,
                           detector_rule_is_on(rule) ? "on" : "off",
                           rule->description};

    if (scan->wanted && !scan->wanted[i])
      continue;
    add_rule(list, rule);
    table_add(table, cells);
  }
  if (as_json) {
    table_free(table);
    print_json(list);
  } else {
    json_object_put(list);
    table_print(table);
  }
  return CLI_DONE;
}
