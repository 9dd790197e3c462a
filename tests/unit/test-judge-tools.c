/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls judged on their decoded arguments, and the plan for streamed
 * answers. */

#include "judge-fake.h"

#include "judge/arguments.h"
#include <string.h>

static Action
judge_call(const char *rule,
           const char *name,
           const char *arguments,
           RuleResult *result)
{
  g_autofree char *text = g_strconcat("id: r, ", rule, NULL);
  const char *const rules[] = {text};
  g_autoptr(Policy) policy = fake_rules(rules, 1);
  g_autoptr(RulePack) pack = fake_pack();
  DetectorScratch *scratch = fake_scratch(pack, false);
  ToolCall call = {.name = (char *)(uintptr_t)name,
                   .arguments = (char *)(uintptr_t)arguments};
  g_auto(FakeSubject) fake = {0};
  g_autoptr(Verdict) verdict = NULL;
  unsigned n;

  fake_subject(&fake, "");
  verdict = judge_tool_call(policy, &fake.subject, &call, scratch, true);
  if (result != NULL) {
    *result = verdict_results(verdict, &n)[0];
    result->rule = NULL;
    result->detail = NULL;
  }
  fake_scratch_free(scratch);
  return verdict_action(verdict);
}

/* However it is written, the command is the same. */
static void
test_arguments(void)
{
  static const char *const dangerous[] = {
      "{\"command\": \"rm -rf /\"}",
      "{\"command\":\"\\u0072m\\u0020-rf \\/\"}",
      "{\"a\": {\"b\": [1, {\"c\": \"sudo rm -rf /\"}]}}",
      "{\"argv\": [\"rm\", \"-rf\", \"/\"]}",
      "{\"command\": \"rm\", \"args\": \"-rf /\"}",
      "{\"input\": \"{\\\"cmd\\\": \\\"rm -rf /\\\"}\"}",
      "{\"input\": \"{\\\"cmd\\\": \\\"\\\\u0072m -rf /\\\"}\"}",
      "\"rm -rf /\"",
      "[\"rm\", \"-rf /\"]",
      "rm -rf /",
      "*** Begin\\nrm \\u002drf /",
      "{\"command\": \"rm -rf /\"",
      "{\"command\": \"\\u0072m -rf /\"",
      "{\"command\": \"rm -rf /\"} trailing",
  };
  static const char *const harmless[] = {
      "{\"command\": \"ls -l /\"}",
      "{\"command\": \"rm -r file\"}",
      "{\"rm -rf /\": 1}",
      "{}",
      "",
      "\\",
      "\\u12",
      "{\"a\": \"rm\"}",
  };
  static const char rule[] =
      "match: {tool: {arguments: 'rm\\s+-rf\\s+/'}}, action: block";

  for (unsigned i = 0; i < G_N_ELEMENTS(dangerous); i++) {
    g_test_message("%s", dangerous[i]);
    g_assert_cmpint(
        judge_call(rule, "bash", dangerous[i], NULL), ==, ACTION_BLOCK);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(harmless); i++) {
    g_test_message("%s", harmless[i]);
    g_assert_cmpint(
        judge_call(rule, "bash", harmless[i], NULL), ==, ACTION_ALLOW);
  }
  g_assert_cmpint(judge_call(rule, "bash", NULL, NULL), ==, ACTION_ALLOW);
}

static void
test_names(void)
{
  static const char rule[] =
      "match: {tool: {name: [bash, 'run_*']}}, action: approve";
  static const char both[] =
      "match: {tool: {name: bash, arguments: rm}}, action: block";
  RuleResult result;

  g_assert_cmpint(judge_call(rule, "bash", "{}", NULL), ==, ACTION_APPROVE);
  g_assert_cmpint(judge_call(rule, "Bash", "{}", NULL), ==, ACTION_APPROVE);
  g_assert_cmpint(
      judge_call(rule, "run_in_terminal", "{}", NULL), ==, ACTION_APPROVE);
  g_assert_cmpint(judge_call(rule, "read", "{}", NULL), ==, ACTION_ALLOW);
  g_assert_cmpint(judge_call(rule, NULL, "{}", &result), ==, ACTION_APPROVE);
  g_assert_cmpstr(result.assumed, ==, "tool");
  g_assert_cmpint(judge_call(both, "bash", "\"rm\"", NULL), ==, ACTION_BLOCK);
  g_assert_cmpint(judge_call(both, "bash", "\"ls\"", NULL), ==, ACTION_ALLOW);
  g_assert_cmpint(judge_call(both, "zsh", "\"rm\"", NULL), ==, ACTION_ALLOW);
  g_assert_cmpint(judge_call(both, NULL, "\"rm\"", NULL), ==, ACTION_BLOCK);
  g_assert_cmpint(judge_call(both, NULL, "\"ls\"", NULL), ==, ACTION_ALLOW);
}

/* More strings than are looked at: nobody can tell, so it counts. */
static void
test_too_much(void)
{
  static const char rule[] =
      "match: {tool: {arguments: 'rm -rf'}}, action: block";
  g_autoptr(GString) arguments = g_string_new("[\"\"");
  RuleResult result;

  for (unsigned i = 0; i < 5000; i++)
    g_string_append(arguments, ",\"x\"");
  g_string_append_c(arguments, ']');
  g_assert_cmpint(
      judge_call(rule, "bash", arguments->str, &result), ==, ACTION_BLOCK);
  g_assert_cmpstr(result.assumed, ==, "tool");
}

static void
test_content(void)
{
  static const char finding[] =
      "match: {tool: {name: bash}, finding: {class: secret, min: 2}}, "
      "action: block";
  static const char field[] =
      "match: {tool: {name: bash}, fields: [Password]}, action: block";
  static const char only_field[] = "match: {fields: password}, action: block";

  g_assert_cmpint(
      judge_call(finding, "bash", "{\"a\": \"aws-key! gh-token!\"}", NULL),
      ==,
      ACTION_BLOCK);
  g_assert_cmpint(
      judge_call(finding, "bash", "{\"a\": \"aws-key! card!\"}", NULL),
      ==,
      ACTION_ALLOW);
  /* Once in a string and once in all of them together is once. */
  g_assert_cmpint(
      judge_call(finding, "bash", "{\"a\": \"aws-key!\", \"b\": \"x\"}", NULL),
      ==,
      ACTION_ALLOW);
  g_assert_cmpint(
      judge_call(field, "bash", "{\"a\": {\"PASSWORD\": \"x\"}}", NULL),
      ==,
      ACTION_BLOCK);
  g_assert_cmpint(judge_call(field, "bash", "{\"a\": \"password\"}", NULL),
                  ==,
                  ACTION_ALLOW);
  g_assert_cmpint(judge_call(only_field, "any", "{\"password\": \"x\"}", NULL),
                  ==,
                  ACTION_BLOCK);
}

/* Arguments that cannot be scanned count as holding what is looked for. */
static void
test_scan_fails(void)
{
  static const char *const rules[] = {
      "id: r, match: {tool: {name: bash}, finding: {class: secret}}, "
      "action: block"};
  g_autoptr(Policy) policy = fake_rules(rules, 1);
  g_autoptr(RulePack) pack = fake_pack();
  DetectorScratch *scratch = fake_scratch(pack, true);
  char name[] = "bash", arguments[] = "{\"a\": \"b\"}";
  const ToolCall call = {.name = name, .arguments = arguments};
  g_auto(FakeSubject) fake = {0};
  g_autoptr(Verdict) broken = NULL, off = NULL;

  fake_subject(&fake, "");
  broken = judge_tool_call(policy, &fake.subject, &call, scratch, false);
  off = judge_tool_call(policy, &fake.subject, &call, NULL, false);
  g_assert_cmpint(verdict_action(broken), ==, ACTION_BLOCK);
  g_assert_cmpint(verdict_action(off), ==, ACTION_ALLOW);
  fake_scratch_free(scratch);
}

/* Rules about bodies say nothing about calls, and the other way round; the
 * default says nothing about calls either. */
static void
test_phases(void)
{
  g_autoptr(Policy) policy = fake_policy("version: 1\ndefault: block\n");
  char name[] = "bash";
  const ToolCall call = {.name = name};
  g_auto(FakeSubject) fake = {0};
  g_autoptr(Verdict) verdict = NULL;

  fake_subject(&fake, "");
  verdict = judge_tool_call(policy, &fake.subject, &call, NULL, false);
  g_assert_cmpint(verdict_action(verdict), ==, ACTION_ALLOW);
  g_assert_cmpint(
      judge_call("match: {user: alice}, action: block", "bash", "{}", NULL),
      ==,
      ACTION_ALLOW);
  g_assert_cmpint(judge_call("match: {tool: {name: bash}}, action: block, "
                             "shadow: true",
                             "bash",
                             "{}",
                             NULL),
                  ==,
                  ACTION_ALLOW);
}

static void
free_text(gpointer data)
{
  g_string_free(data, TRUE);
}

/* JSON in JSON in JSON … ends somewhere. */
static void
test_nesting(void)
{
  g_autofree char *text = g_strdup("\"end\"");
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(free_text);
  g_autoptr(GHashTable) keys =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  for (unsigned i = 0; i < 8; i++) {
    g_autoptr(GString) next = g_string_new("\"");

    for (const char *p = text; *p != '\0'; p++) {
      if (*p == '"' || *p == '\\')
        g_string_append_c(next, '\\');
      g_string_append_c(next, *p);
    }
    g_string_append_c(next, '"');
    g_free(text);
    text = g_strdup(next->str);
  }
  g_assert_true(arguments_decode(text, texts, keys));
  g_assert_cmpuint(texts->len, <, 20);
}

/* ---- Stream plans ------------------------------------------------------ */

/* by_rule as "aws-key gh-token card mail", then fields, t for held tools, and
 * the restore. */
static char *
plan_of(const char *const *rules, unsigned n, const char *spec)
{
  g_autoptr(Policy) policy = fake_rules(rules, n);
  g_autoptr(RulePack) pack = fake_pack();
  g_auto(FakeSubject) fake = {0};
  g_autoptr(StreamPlan) plan = NULL;
  g_autoptr(GString) out = g_string_new(NULL);
  unsigned of_files, all;

  fake_subject(&fake, spec);
  plan = judge_stream_plan(policy, &fake.subject, pack);
  rule_pack_rules(pack, &of_files);
  rule_pack_all(pack, &all);
  g_assert_cmpuint(plan->n_rules, ==, all);
  g_assert_true(judge_restores(policy, &fake.subject) ==
                (plan->restore != RESTORE_NONE));
  for (unsigned i = 0; i < plan->n_rules; i++)
    if (i < of_files || plan->by_rule[i] != plan->by_rule[0])
      g_string_append_printf(out, "%s ", action_name(plan->by_rule[i]));
  for (unsigned i = 0;
       plan->mask_fields != NULL && plan->mask_fields[i] != NULL;
       i++)
    g_string_append_printf(out, "%s ", plan->mask_fields[i]);
  g_string_append_printf(
      out, "%c %s", plan->hold_tools ? 't' : '-', restore_name(plan->restore));
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static void
test_plans(void)
{
  static const struct {
    const char *rules[3];
    const char *subject;
    const char *plan;
  } rows[] = {
      {{NULL}, "", "allow allow allow allow - none"},
      {{"id: a, match: {finding: {class: secret}}, action: mask"},
       "",
       "mask mask allow allow - none"},
      {{"id: a, match: {finding: {class: secret}, direction: request}, "
        "action: mask, restore: text"},
       "",
       "allow allow allow allow - text"},
      {{"id: a, match: {finding: {class: secret}, direction: response}, "
        "action: mask",
        "id: b, match: {finding: {rule: gh-token, min: 5}}, action: block"},
       "",
       "mask block allow allow - none"},
      {{"id: a, match: {finding: {min: 1}, user: bob}, action: block"},
       "",
       "allow allow allow allow - none"},
      /* Who asks is not known: the strict plan. */
      {{"id: a, match: {finding: {min: 1}, user: bob}, action: block"},
       "user",
       "block block block block - none"},
      {{"id: a, match: {finding: {min: 1}}, action: block, shadow: true"},
       "",
       "allow allow allow allow - none"},
      {{"id: a, match: {finding: {min: 1}}, action: approve"},
       "",
       "allow allow allow allow - none"},
      {{"id: a, match: {fields: [password, token]}, action: mask",
        "id: b, match: {fields: [token]}, action: mask"},
       "",
       "allow allow allow allow password token - none"},
      {{"id: a, match: {fields: password}, action: block"},
       "",
       "allow allow allow allow t none"},
      {{"id: a, match: {tool: {name: bash}}, action: approve"},
       "",
       "allow allow allow allow t none"},
      {{"id: a, match: {tool: {name: bash}}, action: block, shadow: true"},
       "",
       "allow allow allow allow t none"},
      {{"id: a, match: {tool: {name: bash}, user: bob}, action: block"},
       "",
       "allow allow allow allow - none"},
      {{"id: a, match: {tool: {name: x}, finding: {class: card}}, "
        "action: block"},
       "",
       "allow allow allow allow t none"},
      {{"id: a, match: {finding: {class: card}, fields: pan}, action: block",
        "id: b, match: {finding: {class: card}, fields: pan}, action: mask"},
       "",
       "allow allow mask allow pan t none"},
      {{"id: a, match: {finding: {class: card}}, action: mask, restore: tools",
        "id: b, match: {finding: {class: secret}}, action: mask, restore: "
        "text",
        "id: c, match: {finding: {class: pii}}, action: mask"},
       "",
       "mask mask mask mask t tools"},
      {{"id: a, match: {user: alice}, action: block"},
       "",
       "allow allow allow allow - none"},
      /* Exact values have rules, too. */
      {{"id: a, match: {finding: {rule: env-file}}, action: mask"},
       "",
       "allow allow allow allow mask - none"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    unsigned n = 0;
    g_autofree char *plan = NULL;

    while (n < 3 && rows[i].rules[n] != NULL)
      n++;
    g_test_message("row %u", i);
    plan = plan_of(rows[i].rules, n, rows[i].subject);
    g_assert_cmpstr(plan, ==, rows[i].plan);
  }
}

/* What a finished stream held, for the record. */
static void
test_stream(void)
{
  static const char *const rules[] = {
      "id: a, match: {finding: {class: secret}}, action: mask",
      "id: b, match: {finding: {class: card, min: 2}}, action: block",
      "id: c, match: {finding: {min: 1}}, action: block, shadow: true"};
  g_autoptr(Policy) policy = fake_rules(rules, 3);
  g_autoptr(RulePack) pack = fake_pack();
  const Finding findings[] = {{.rule = fake_rule(pack, "aws-key"), .end = 4},
                              {.rule = fake_rule(pack, "card"), .end = 4}};
  g_auto(FakeSubject) fake = {0};
  g_autoptr(Verdict) verdict = NULL;
  g_autofree char *json = NULL;
  unsigned n;

  fake_subject(&fake, "");
  verdict = judge_stream(policy, &fake.subject, findings, 2, false);
  g_assert_cmpint(verdict_action(verdict), ==, ACTION_MASK);
  verdict_results(verdict, &n);
  g_assert_cmpuint(n, ==, 2);
  g_assert_cmpuint(verdict_mask_spans(verdict)->len, ==, 0);
  json = verdict_to_json(verdict);
  g_assert_nonnull(strstr(json, "\"findings\":2,\"masks\":1,"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/judge/tools/arguments", test_arguments);
  g_test_add_func("/judge/tools/names", test_names);
  g_test_add_func("/judge/tools/too-much", test_too_much);
  g_test_add_func("/judge/tools/content", test_content);
  g_test_add_func("/judge/tools/scan-fails", test_scan_fails);
  g_test_add_func("/judge/tools/phases", test_phases);
  g_test_add_func("/judge/tools/nesting", test_nesting);
  g_test_add_func("/judge/stream/plans", test_plans);
  g_test_add_func("/judge/stream/record", test_stream);
  return g_test_run();
}
