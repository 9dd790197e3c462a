/* SPDX-License-Identifier: Apache-2.0 */
/* policy check and show: rules without traffic. Works without the daemon. */
#include "cli/policy.h"
#include "daemon/daemon.h"
#include <stdio.h>
#include <string.h>

Policy *
call_policy(const Call *call, const Config *config, int *code)
{
  PolicySource source = {.path = call_value(call, "policy"),
                         .layer = LAYER_SYSTEM};
  g_autoptr(GError) error = NULL;
  Policy *policy = source.path ? policy_load(&source, 1, &error)
                               : daemon_load_policy(config, &error);

  if (!policy && source.path)
    *code = complain(call, CLI_USAGE, "%s", error->message);
  else if (!policy)
    *code = complain_error(call, error);
  return policy;
}

/* ---- check ---------------------------------------------------------------
 */

typedef struct {
  const Call *call;
  RulePack *pack; /* or NULL */
  struct json_object *list;
  bool fine;
} Check;

static void
say_fine(const char *name, const Policy *policy, char **warnings)
{
  unsigned n;

  policy_rules(policy, &n);
  printf("%s: %sfine%s, %u rule%s, revision %.12s\n",
         name,
         ink(INK_GREEN),
         ink(INK_PLAIN),
         n,
         n == 1 ? "" : "s",
         policy_revision(policy));
  for (char **warning = warnings; *warning; warning++)
    printf("%swarning:%s %s\n", ink(INK_YELLOW), ink(INK_PLAIN), *warning);
}

static void
add_check(Check *check,
          const char *file,
          const Policy *policy,
          char **warnings,
          const GError *error)
{
  struct json_object *json = json_object_new_object();
  struct json_object *list = json_object_new_array();
  unsigned n = 0;

  json_object_object_add(json, "file", json_object_new_string(file));
  json_object_object_add(json, "ok", json_object_new_boolean(policy != NULL));
  if (policy) {
    policy_rules(policy, &n);
    json_object_object_add(json, "rules", json_object_new_int64(n));
    json_object_object_add(
        json, "revision", json_object_new_string(policy_revision(policy)));
    for (char **warning = warnings; *warning; warning++)
      json_object_array_add(list, json_object_new_string(*warning));
  } else {
    json_object_object_add(
        json, "error", json_object_new_string(error->message));
  }
  json_object_object_add(json, "warnings", list);
  json_object_array_add(check->list, json);
}

static void
check_file(Check *check, const char *file)
{
  PolicySource source = {.path = file, .layer = LAYER_SYSTEM};
  g_autofree char *name = visible(file, -1, false);
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = policy_load(&source, 1, &error);
  g_auto(GStrv) warnings = policy ? policy_warnings(policy, check->pack) : NULL;

  check->fine = check->fine && policy;
  if (check->list)
    add_check(check, file, policy, warnings, error);
  else if (policy)
    say_fine(name, policy, warnings);
  else
    complain(check->call, 0, "%s", error->message);
}

static int
check_files(const Call *call)
{
  Check check = {.call = call, .fine = true};
  g_autoptr(Config) config = NULL;
  g_autoptr(RulePack) pack = NULL;
  int code = CLI_DONE;

  if (call->n_args < 2)
    return complain(
        call, CLI_USAGE, "usage: hoop-agent policy check [--json] FILE...");
  config = cli_config(call, &code);
  if (!config)
    return code;
  pack = daemon_load_rules(config, NULL);
  check.pack = pack;
  if (call_has(call, "json"))
    check.list = json_object_new_array();
  for (char **file = call->args + 1; *file; file++)
    check_file(&check, *file);
  if (check.list)
    print_json(check.list);
  return check.fine ? CLI_DONE : CLI_FOUND;
}

/* ---- show ----------------------------------------------------------------
 */

/* Each rule and where it is from. */
static struct json_object *
rules_json(const Policy *policy)
{
  struct json_object *list = json_object_new_array();
  unsigned n;
  const PolicyRule *const *rules = policy_rules(policy, &n);

  for (unsigned i = 0; i < n; i++) {
    struct json_object *json = json_object_new_object();

    json_object_object_add(json, "id", json_object_new_string(rules[i]->id));
    json_object_object_add(
        json, "action", json_object_new_string(action_name(rules[i]->action)));
    json_object_object_add(
        json, "shadow", json_object_new_boolean(rules[i]->shadow));
    json_object_object_add(
        json, "layer", json_object_new_string(layer_name(rules[i]->layer)));
    json_object_object_add(
        json, "origin", json_object_new_string(rules[i]->origin));
    json_object_array_add(list, json);
  }
  return list;
}

/* Remembered approvals, behind the rules that they lift. */
static void
show_grants(GVariant *grants)
{
  const gsize n = g_variant_n_children(grants);

  if (n)
    puts("# Grants in force (hoop-agent grants):");
  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) grant = g_variant_get_child_value(grants, i);
    g_autofree char *line = grant_line(grant);
    g_autofree char *shown = visible(line, -1, false);

    printf("#   %s\n", shown);
  }
}

static int
show(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(Config) config = NULL;
  g_autoptr(Policy) policy = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) grants = NULL;
  g_autofree char *text = NULL;
  struct json_object *json;

  if (call->n_args != 1)
    return complain(call, CLI_USAGE, "usage: hoop-agent policy show [--json]");
  config = cli_config(call, &code);
  if (!config)
    return code;
  policy = daemon_load_policy(config, &error);
  if (!policy)
    return complain_error(call, error);
  text = policy_to_text(policy);
  grants = grants_in_force();
  if (!call_has(call, "json")) {
    fputs(text, stdout);
    if (grants)
      show_grants(grants);
    return CLI_DONE;
  }
  json = json_object_new_object();
  json_object_object_add(
      json, "revision", json_object_new_string(policy_revision(policy)));
  json_object_object_add(json, "yaml", json_object_new_string(text));
  json_object_object_add(json, "rules", rules_json(policy));
  if (grants)
    json_object_object_add(json, "grants", variant_to_json(grants));
  print_json(json);
  return CLI_DONE;
}

int
verb_policy(const Call *call)
{
  static const struct {
    const char *word;
    int (*run)(const Call *call);
  } parts[] = {{"check", check_files},
               {"show", show},
               {"explain", policy_explain},
               {"test", policy_test},
               {"diff", policy_diff_files}};
  unsigned i = 0;

  while (!g_str_equal(parts[i].word, call->args[0]))
    i++;
  return parts[i].run(call);
}
