/* SPDX-License-Identifier: Apache-2.0 */
/* policy test: the cases of *.test.yaml files against their policy; what
 * differs is shown as the file would say it. */
#include "cli/policy.h"
#include "cli/trial.h"
#include "daemon/daemon.h"
#include "kit/clock.h"
#include "kit/json.h"
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

/* What a text came to, as the case would say it. */
typedef struct {
  char *error; /* it cannot be read, so it is refused; or NULL */
  Action action;
  char *rule; /* or NULL */
  char **rules, **shadow, **masks;
  char *left; /* of `hides`: the first that is still there; or NULL */
} Outcome;

static void
outcome_clear(Outcome *outcome)
{
  g_free(outcome->error);
  g_free(outcome->rule);
  g_strfreev(outcome->rules);
  g_strfreev(outcome->shadow);
  g_strfreev(outcome->masks);
  g_free(outcome->left);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)

/* ---- Judging --------------------------------------------------------------
 */

static unsigned
rate(const char *rule_id, unsigned window, void *data)
{
  const PolicyCase *one = data;

  (void)rule_id;
  (void)window;
  return MAX(one->rate, 1);
}

static int
compare_texts(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A set as a sorted list. */
static char **
sorted(GHashTable *set)
{
  guint n;
  char **names = (char **)g_hash_table_get_keys_as_array(set, &n);

  for (guint i = 0; i < n; i++)
    names[i] = g_strdup(names[i]);
  qsort(names, n, sizeof *names, compare_texts);
  return names;
}

static void
take_verdicts(const GPtrArray *verdicts, Outcome *out)
{
  g_autoptr(GHashTable) rules = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GHashTable) shadow = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GHashTable) masks = g_hash_table_new(g_str_hash, g_str_equal);
  const Verdict *strongest = trial_strongest(verdicts);
  const PolicyRule *reason = verdict_reason(strongest);

  out->action = verdict_action(strongest);
  out->rule = reason ? g_strdup(reason->id) : NULL;
  for (guint i = 0; i < verdicts->len; i++) {
    const GArray *spans = verdict_mask_spans(verdicts->pdata[i]);
    unsigned n;
    const RuleResult *results = verdict_results(verdicts->pdata[i], &n);

    for (unsigned j = 0; j < n; j++)
      g_hash_table_add(results[j].rule->shadow ? shadow : rules,
                       results[j].rule->id);
    for (guint j = 0; j < spans->len; j++)
      g_hash_table_add(
          masks,
          (gpointer)(uintptr_t)g_array_index(spans, MaskSpan, j).rule_id);
  }
  out->rules = sorted(rules);
  out->shadow = sorted(shadow);
  out->masks = sorted(masks);
}

/* What would go out must not hold what the case says is hidden. */
static void
check_hidden(Test *test,
             const PolicyCase *one,
             const Inspection *inspection,
             const Verdict *verdict,
             Outcome *out)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) masked = NULL;
  size_t len;
  const char *bytes;

  if (!one->hides || verdict_action(verdict) == ACTION_BLOCK)
    return;
  masked = inspection_rewrite(inspection,
                              test->trial.scanner.masker,
                              NULL,
                              verdict_mask_spans(verdict),
                              &error);
  if (!masked) {
    out->error = g_strdup(error->message);
    return;
  }
  bytes = g_bytes_get_data(masked, &len);
  for (char **text = one->hides; *text && !out->left; text++) {
    g_autoptr(GString) escaped = g_string_new(NULL);

    json_escape(escaped, *text, -1);
    if (g_strstr_len(bytes, (gssize)len, escaped->str))
      out->left = g_strdup(*text);
  }
}

/* What the case says was used before, just now. */
static Ledger *
ledger_of(const Policy *policy, const PolicyCase *one, const Subject *subject)
{
  Ledger *ledger = ledger_new(policy_budget_window(policy));
  const LedgerUse use = {
      .person = {.user = subject->user},
      .wall_us = subject->wall_us,
      .sum = {one->used_requests, one->used_bytes, one->used_tokens}};

  ledger_set_ready(ledger, true);
  ledger_add(ledger, &use);
  return ledger;
}

static Subject
subject_of(const PolicyCase *one)
{
  static const char *const local[] = {"local", NULL};

  return (Subject){
      .user = one->user ? one->user : "somebody",
      .groups = one->groups ? (const char *const *)one->groups : local,
      .connection = one->connection ? one->connection : "copilot",
      .host = one->host,
      .method = one->method ? one->method : "POST",
      .path = one->path,
      .api = one->api >= 0 ? (Api)one->api : API_CHAT,
      .model = one->model,
      .initiator = one->initiator,
      .processes = (const char *const *)one->processes,
      .repo = one->repo,
      .wall_us = one->wall_us ? one->wall_us : clock_wall_us(),
      .first_in_session = one->first_in_session,
  };
}

/* A command as models send it; what begins as an object is the arguments. */
static char *
tool_arguments(const char *text)
{
  g_autoptr(GString) out = g_string_new("{\"command\":\"");

  if (text[strspn(text, " \t\r\n")] == '{')
    return g_strdup(text);
  json_escape(out, text, -1);
  g_string_append(out, "\"}");
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static void
judge_tool(Test *test, const PolicyCase *one, const char *text, Outcome *out)
{
  Subject subject = subject_of(one);
  g_autofree char *arguments = tool_arguments(text);
  const ToolCall call = {.name = one->tool, .arguments = arguments};
  g_autoptr(Verdict) verdict = judge_tool_call(
      test->trial.policy, &subject, &call, test->trial.scanner.scratch, false);
  g_autoptr(GPtrArray) verdicts = g_ptr_array_new();

  g_ptr_array_add(verdicts, verdict);
  take_verdicts(verdicts, out);
}

static void
judge_text(Test *test, const PolicyCase *one, const char *text, Outcome *out)
{
  Direction direction =
      one->kind == CASE_ANSWER ? DIRECTION_RESPONSE : one->direction;
  int api = one->api;
  g_autoptr(GBytes) body = trial_body(text, strlen(text), direction, &api);
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection = inspection_new(test->trial.scanner.scratch,
                                                    (Api)api,
                                                    direction,
                                                    "application/json",
                                                    body,
                                                    &inspect_default_limits,
                                                    &error);
  g_autoptr(GPtrArray) verdicts = NULL;
  Subject subject = subject_of(one);
  g_autoptr(Ledger) ledger = ledger_of(test->trial.policy, one, &subject);

  subject.ledger = ledger;
  if (!inspection) {
    out->action = ACTION_BLOCK;
    out->error = g_strdup(error->message);
    return;
  }
  subject.api = (Api)api;
  subject.completions = api == API_COMPLETIONS;
  if (!subject.model)
    subject.model = inspection_model(inspection);
  verdicts = trial_judge(
      &test->trial, &subject, inspection, false, rate, (void *)(uintptr_t)one);
  take_verdicts(verdicts, out);
  check_hidden(test, one, inspection, verdicts->pdata[0], out);
}

/* ---- Differences ----------------------------------------------------------
 */

static bool
same_set(char **expected, char **found)
{
  if (!expected)
    return true;
  for (char **name = expected; *name; name++)
    if (!g_strv_contains((const char *const *)found, *name))
      return false;
  for (char **name = found; *name; name++)
    if (!g_strv_contains((const char *const *)expected, *name))
      return false;
  return true;
}

static bool
is_right(const PolicyCase *one, const Outcome *out)
{
  return !out->error && out->action == one->expect &&
         (!one->rule || g_strcmp0(one->rule, out->rule) == 0) &&
         same_set(one->rules, out->rules) &&
         same_set(one->shadow, out->shadow) &&
         same_set(one->masks, out->masks) && !out->left;
}

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

  if (!same_set(expected, found))
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
say_failure(const PolicyCase *one, const char *text, const Outcome *out)
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
         const Outcome *out,
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
  for (char **text = one->texts; *text; text++) {
    g_auto(Outcome) out = {0};
    bool ok;

    if (one->kind == CASE_TOOL)
      judge_tool(test, one, *text, &out);
    else
      judge_text(test, one, *text, &out);
    ok = is_right(one, &out);
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
