/* SPDX-License-Identifier: Apache-2.0 */
/* The shipped policy: what it says to the prompts and tool calls of
 * policy/default.test.yaml, and that it never takes long. */

#include "judge-fake.h"

#include "kit/json.h"
#include <string.h>

typedef struct {
  bool tool;
  const char *rule; /* NULL: none may match */
  const char *text;
} Case;

static Policy *
load_default(void)
{
  g_autofree char *path =
      g_test_build_filename(G_TEST_DIST, "..", "policy", "default.yaml", NULL);
  const PolicySource source = {path, LAYER_SYSTEM};
  g_autoptr(GError) error = NULL;
  Policy *policy = policy_load(&source, 1, &error);

  g_assert_no_error(error);
  return policy;
}

static PolicyCases *
load_cases(void)
{
  g_autofree char *path = g_test_build_filename(
      G_TEST_DIST, "..", "policy", "default.test.yaml", NULL);
  g_autoptr(GError) error = NULL;
  PolicyCases *cases = policy_cases_load(path, &error);

  g_assert_no_error(error);
  g_assert_true(g_str_has_suffix(policy_cases_policy(cases), "default.yaml"));
  return cases;
}

/* Each text of the shipped cases that needs no detector. */
static GArray *
read_cases(const PolicyCases *cases)
{
  GArray *all = g_array_new(FALSE, FALSE, sizeof(Case));
  const PolicyCase *const *list;
  unsigned n;

  list = policy_cases_list(cases, &n);
  for (unsigned i = 0; i < n; i++)
    for (char **text = list[i]->texts; *text != NULL; text++) {
      const Case one = {list[i]->kind == CASE_TOOL, list[i]->rule, *text};

      if (list[i]->kind != CASE_TOOL &&
          (list[i]->kind != CASE_PROMPT || list[i]->masks != NULL))
        continue;
      g_assert_true((list[i]->rule == NULL) ==
                    (list[i]->expect == ACTION_ALLOW));
      g_array_append_val(all, one);
    }
  return all;
}

/* A command as models send it, escaped. */
static char *
as_arguments(const char *command)
{
  g_autoptr(GString) out = g_string_new("{\"command\":\"");

  if (command[0] == '{')
    return g_strdup(command);
  json_escape(out, command, -1);
  g_string_append(out, "\",\"timeout\":30}");
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static Verdict *
judge_case(Policy *policy, const Case *one)
{
  g_auto(FakeSubject) fake = {0};

  fake_subject(&fake, "groups=local");
  if (one->tool) {
    g_autofree char *arguments = as_arguments(one->text);
    char name[] = "run_in_terminal";
    const ToolCall call = {.name = name, .arguments = arguments};

    return judge_tool_call(policy, &fake.subject, &call, NULL, false);
  }
  g_autoptr(Inspection) body = fake_body(API_CHAT, DIRECTION_REQUEST);

  fake_field(body, "content", FIELD_PROMPT, one->text);
  return judge_body(policy, &fake.subject, body, false, NULL, NULL);
}

static bool
says(const Verdict *verdict, const char *rule)
{
  unsigned n;
  const RuleResult *results = verdict_results(verdict, &n);

  for (unsigned i = 0; i < n; i++)
    if (strcmp(results[i].rule->id, rule) == 0)
      return true;
  return false;
}

static void
test_cases(void)
{
  g_autoptr(Policy) policy = load_default();
  g_autoptr(PolicyCases) file = load_cases();
  g_autoptr(GArray) cases = read_cases(file);
  unsigned wrong = 0;

  g_assert_cmpuint(cases->len, >, 150);
  for (guint i = 0; i < cases->len; i++) {
    const Case *one = &g_array_index(cases, Case, i);
    g_autoptr(Verdict) verdict = judge_case(policy, one);
    const PolicyRule *reason = verdict_reason(verdict);
    bool good = one->rule != NULL ? says(verdict, one->rule) : reason == NULL;

    if (!good)
      g_test_message("%s: %s, but %s",
                     one->text,
                     one->rule != NULL ? one->rule : "no rule",
                     reason != NULL ? reason->id : "none");
    wrong += !good;
  }
  g_assert_cmpuint(wrong, ==, 0);
}

/* Each rule has a case in which it matches. */
static void
test_covered(void)
{
  g_autoptr(Policy) policy = load_default();
  g_autoptr(PolicyCases) file = load_cases();
  g_autoptr(GArray) cases = read_cases(file);
  unsigned n;
  const PolicyRule *const *rules = policy_rules(policy, &n);

  for (unsigned i = 0; i < n; i++) {
    bool found = rules[i]->match.has_finding;

    for (guint j = 0; j < cases->len && !found; j++) {
      const Case *one = &g_array_index(cases, Case, j);

      found = g_strcmp0(one->rule, rules[i]->id) == 0;
    }
    g_test_message("%s", rules[i]->id);
    g_assert_true(found);
    g_assert_false(rules[i]->shadow);
  }
}

static void
test_findings(void)
{
  g_autoptr(Policy) policy = load_default();
  g_autoptr(RulePack) pack = fake_pack();
  static const struct {
    Api api;
    Direction direction;
    bool masked;
  } rows[] = {
      {API_CHAT, DIRECTION_REQUEST, true},
      {API_OTHER, DIRECTION_REQUEST, true},
      {API_TELEMETRY, DIRECTION_REQUEST, true},
      {API_CHAT, DIRECTION_RESPONSE, true},
      {API_COMPLETIONS, DIRECTION_RESPONSE, true},
      /* The client's own token, on its way to the client. */
      {API_TOKEN, DIRECTION_RESPONSE, false},
      {API_OTHER, DIRECTION_RESPONSE, false},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *spec = g_strdup_printf("api=%s", api_name(rows[i].api));
    g_autoptr(Inspection) body = fake_body(rows[i].api, rows[i].direction);
    g_autoptr(Verdict) verdict = NULL;
    g_auto(FakeSubject) fake = {0};

    fake_subject(&fake, spec);
    fake_field(body, "x", FIELD_OTHER, "text");
    fake_finding(body, fake_rule(pack, "gh-token"), 0);
    fake_finding(body, fake_rule(pack, "mail"), 0);
    verdict = judge_body(policy, &fake.subject, body, false, NULL, NULL);
    g_assert_cmpint(verdict_action(verdict),
                    ==,
                    rows[i].masked ? ACTION_MASK : ACTION_ALLOW);
    g_assert_cmpuint(verdict_mask_spans(verdict)->len, ==, rows[i].masked);
  }
}

/* Texts made to be slow, as long as prompts and arguments get: none meets a
 * limit. */
static void
test_time(void)
{
  static const char *const units[] = {"a",
                                      " ",
                                      "the ",
                                      "show me the ",
                                      "send the data ",
                                      "rm -a ",
                                      "curl ",
                                      "curl -o a ",
                                      "/",
                                      "../",
                                      "-",
                                      "| sudo ",
                                      "\\\\",
                                      "[",
                                      "$(",
                                      "1.",
                                      "a@",
                                      "password ",
                                      "nc ",
                                      "find / ",
                                      "git config --a ",
                                      "curl > a ",
                                      "eval(",
                                      "eval $(base64 ",
                                      "ab(){",
                                      "cp a ",
                                      "mv > ",
                                      "mkfifo ",
                                      "socket ",
                                      "Chrome/",
                                      "powershell ",
                                      "git -c a "};
  g_autoptr(Policy) policy = load_default();

  if (g_getenv("HOOP_VALGRIND") != NULL) {
    g_test_skip("time counts otherwise under valgrind");
    return;
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(units); i++)
    for (unsigned tool = 0; tool < 2; tool++) {
      g_autoptr(GString) text = g_string_new(NULL);
      Case one = {.tool = tool == 1};
      g_autoptr(Verdict) verdict = NULL;
      gint64 start = g_get_monotonic_time();
      unsigned n;
      const RuleResult *results;

      while (text->len < (tool == 1 ? 20000 : 200000))
        g_string_append(text, units[i]);
      one.text = text->str;
      verdict = judge_case(policy, &one);
      results = verdict_results(verdict, &n);
      g_test_message("%s: %" G_GINT64_FORMAT " us",
                     units[i],
                     g_get_monotonic_time() - start);
      for (unsigned j = 0; j < n; j++)
        g_assert_false(results[j].limited);
    }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/default/cases", test_cases);
  g_test_add_func("/policy/default/covered", test_covered);
  g_test_add_func("/policy/default/findings", test_findings);
  g_test_add_func("/policy/default/time", test_time);
  return g_test_run();
}
