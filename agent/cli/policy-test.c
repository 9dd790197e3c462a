/* SPDX-License-Identifier: Apache-2.0 */
/* policy test: the cases of *.test.yaml files against their policy; what
 * differs is shown as the file would say it. */
#include "cli/policy.h"
#include "cli/trial.h"
#include "daemon/daemon.h"
#include <stdio.h>
#include <string.h>

/* Characters of a case's text that a failure shows. */
#define MAX_SHOWN 70

typedef struct {
  const Call *call;
  const Config *config;
  Trial trial;      /* of trial_path */
  char *trial_path; /* "" for the policy in effect */
  unsigned passed, failed;
  struct json_object *files; /* --json, else NULL */
  struct json_object *cases; /* of the file that runs */
} Test;

/* ---- Differences ----------------------------------------------------------
 */

static char *
flow_list(char **names)
{
  g_autofree char *joined = g_strjoinv(", ", names);

  return g_strdup_printf("[%s]", joined);
}

static void
say_lines(const char *key, const char *expected, const char *found)
{
  g_autofree char *wanted = expected ? visible(expected, -1, false) : NULL;
  g_autofree char *got = found ? visible(found, -1, false) : NULL;

  if (wanted)
    printf("    %s- %s: %s%s\n", ink(INK_RED), key, wanted, ink(INK_PLAIN));
  if (got)
    printf("    %s+ %s: %s%s\n", ink(INK_GREEN), key, got, ink(INK_PLAIN));
}

static void
say_sets(const char *key, char **expected, char **found)
{
  g_autofree char *wanted = expected ? flow_list(expected) : NULL;
  g_autofree char *got = flow_list(found);

  if (!case_sets_agree(expected, found))
    say_lines(key, wanted, got);
}

static void
say_text(const char *text)
{
  g_autofree char *shown = visible(text, -1, false);
  g_autofree char *cut = g_utf8_strlen(shown, -1) > MAX_SHOWN
                             ? g_utf8_substring(shown, 0, MAX_SHOWN)
                             : NULL;

  printf("    %s%s%s\n", cut ? cut : shown, cut ? "…" : "", "");
}

static void
say_failure(const PolicyCase *one, const char *text, const CaseOutcome *out)
{
  g_autofree char *name = visible(one->name ? one->name : "", -1, false);

  printf("%s%s%s: %s\n",
         ink(INK_BOLD),
         one->origin,
         ink(INK_PLAIN),
         *name ? name : "this differs");
  say_text(text);
  if (out->error) {
    say_lines("expect", action_name(one->expect), NULL);
    say_lines("refused", NULL, out->error);
    return;
  }
  if (out->action != one->expect)
    say_lines("expect", action_name(one->expect), action_name(out->action));
  if (one->rule ? g_strcmp0(one->rule, out->rule) != 0
                : out->rule && out->action != one->expect)
    say_lines("rule", one->rule, out->rule ? out->rule : "(none)");
  say_sets("rules", one->rules, out->rules);
  say_sets("shadow", one->shadow, out->shadow);
  say_sets("masks", one->masks, out->masks);
  if (out->left)
    say_lines("hides", out->left, NULL);
}

/* ---- JSON -----------------------------------------------------------------
 */

static void
add_text(struct json_object *json, const char *key, const char *text)
{
  json_object_object_add(json, key, text ? json_object_new_string(text) : NULL);
}

static void
add_list(struct json_object *json, const char *key, char **names)
{
  struct json_object *list = json_object_new_array();

  for (; names && *names; names++)
    json_object_array_add(list, json_object_new_string(*names));
  json_object_object_add(json, key, list);
}

static void
add_case(Test *test,
         const PolicyCase *one,
         const char *text,
         const CaseOutcome *out,
         bool ok)
{
  struct json_object *json = json_object_new_object();
  struct json_object *expected = json_object_new_object();
  struct json_object *found = json_object_new_object();

  json_object_object_add(json, "ok", json_object_new_boolean(ok));
  add_text(json, "origin", one->origin);
  if (one->name)
    add_text(json, "name", one->name);
  add_text(json, "text", text);
  add_text(expected, "expect", action_name(one->expect));
  if (one->rule)
    add_text(expected, "rule", one->rule);
  if (one->rules)
    add_list(expected, "rules", one->rules);
  if (one->shadow)
    add_list(expected, "shadow", one->shadow);
  if (one->masks)
    add_list(expected, "masks", one->masks);
  add_text(found, "expect", action_name(out->action));
  add_text(found, "rule", out->rule);
  add_list(found, "rules", out->rules);
  add_list(found, "shadow", out->shadow);
  add_list(found, "masks", out->masks);
  if (out->left)
    add_text(found, "not-hidden", out->left);
  if (out->error)
    add_text(found, "refused", out->error);
  json_object_object_add(json, "expected", expected);
  json_object_object_add(json, "found", found);
  json_object_array_add(test->cases, json);
}

/* ---- Files ----------------------------------------------------------------
 */

static void
run_case(Test *test, const PolicyCase *one)
{
  const Bench bench = trial_bench(&test->trial);

  for (char **text = one->texts; *text; text++) {
    g_auto(CaseOutcome) out = {0};
    bool ok;

    cases_run(&bench, one, *text, &out);
    ok = case_is_right(one, &out);
    test->passed += ok;
    test->failed += !ok;
    if (test->cases)
      add_case(test, one, *text, &out, ok);
    else if (!ok)
      say_failure(one, *text, &out);
  }
}

/* The policy that --policy names, or the file does, or the one in effect. One
 * that several files share is loaded once. */
static bool
choose_policy(Test *test, const PolicyCases *cases, int *code)
{
  const char *given = call_value(test->call, "policy");
  const char *path = given ? given : policy_cases_policy(cases);
  PolicySource source = {.path = path, .layer = LAYER_SYSTEM};
  g_autoptr(GError) error = NULL;
  Policy *policy;

  if (g_strcmp0(test->trial_path, path ? path : "") == 0)
    return true;
  policy = path ? policy_load(&source, 1, &error)
                : daemon_load_policy(test->config, &error);
  if (!policy) {
    *code = complain(test->call, CLI_USAGE, "%s", error->message);
    return false;
  }
  trial_clear(&test->trial);
  g_free(test->trial_path);
  test->trial_path = g_strdup(path ? path : "");
  return trial_init(&test->trial, test->call, test->config, policy, code);
}

static bool
run_file(Test *test, const char *file, int *code)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(PolicyCases) cases = policy_cases_load(file, &error);
  struct json_object *json = NULL;
  const PolicyCase *const *list;
  unsigned n;

  if (!cases) {
    *code = complain(test->call, CLI_USAGE, "%s", error->message);
    return false;
  }
  if (!choose_policy(test, cases, code))
    return false;
  if (test->files) {
    json = json_object_new_object();
    test->cases = json_object_new_array();
    add_text(json, "file", file);
    add_text(json, "revision", policy_revision(test->trial.policy));
    json_object_object_add(json, "cases", test->cases);
    json_object_array_add(test->files, json);
  }
  list = policy_cases_list(cases, &n);
  for (unsigned i = 0; i < n; i++)
    run_case(test, list[i]);
  return true;
}

static void
say_all(const Test *test)
{
  struct json_object *json;

  if (!test->files) {
    printf("%s%u of %u as expected%s\n",
           ink(test->failed ? INK_RED : INK_GREEN),
           test->passed,
           test->passed + test->failed,
           ink(INK_PLAIN));
    return;
  }
  json = json_object_new_object();
  json_object_object_add(json, "passed", json_object_new_int64(test->passed));
  json_object_object_add(json, "failed", json_object_new_int64(test->failed));
  json_object_object_add(json, "files", json_object_get(test->files));
  print_json(json);
}

int
policy_test(const Call *call)
{
  Test test = {.call = call};
  g_autoptr(Config) config = NULL;
  int code = CLI_DONE;
  bool good;

  if (call->n_args < 2)
    return complain(call,
                    CLI_USAGE,
                    "usage: hoop-agent policy test [--policy FILE] [--json] "
                    "FILE...");
  config = cli_config(call, &code);
  if (!config)
    return code;
  test.config = config;
  test.files = call_has(call, "json") ? json_object_new_array() : NULL;
  good = true;
  for (char **file = call->args + 1; *file && good; file++)
    good = run_file(&test, *file, &code);
  if (good) {
    say_all(&test);
    code = test.failed ? CLI_FOUND : CLI_DONE;
  }
  json_object_put(test.files);
  trial_clear(&test.trial);
  g_free(test.trial_path);
  return code;
}
