/* SPDX-License-Identifier: Apache-2.0 */
/* What verdicts say: the sentence, the JSON that is recorded, the rule by rule
 * text. */

#include "judge-fake.h"

#include <string.h>

static Verdict *
judge_rules(const char *const *rules,
            unsigned n,
            const char *spec,
            const Inspection *body,
            bool explain)
{
  g_autoptr(Policy) policy = fake_rules(rules, n);
  g_auto(FakeSubject) fake = {0};

  fake_subject(&fake, spec);
  return judge_body(policy, &fake.subject, body, explain, NULL, NULL);
}

static Inspection *
body_with(RulePack *pack, const char *const *ids, unsigned n)
{
  Inspection *body = fake_body(API_CHAT, DIRECTION_REQUEST);

  fake_field(body, "content", FIELD_PROMPT, "text");
  for (unsigned i = 0; i < n; i++)
    fake_finding(body, fake_rule(pack, ids[i]), 0);
  return body;
}

/* ---- Sentences --------------------------------------------------------- */

static void
test_sentences(void)
{
  static const struct {
    const char *rules[3];
    const char *sentence;
  } rows[] = {
      {{NULL}, "This request is allowed: no rule stops it."},
      {{"id: a, match: {user: alice}, action: allow, message: For the team"},
       "This request is allowed by rule \"a\": For the team."},
      {{"id: a, match: {user: alice}, action: block"},
       "This request was blocked by rule \"a\". Sending it again will not "
       "help; change it, or ask whoever keeps the policy."},
      {{"id: a, match: {user: alice}, action: block, message: Agent mode is "
        "for employees.",
        "id: b, match: {api: chat}, action: block"},
       "This request was blocked by rule \"a\": Agent mode is for employees. "
       "1 other rule says so too. Sending it again will not help; change it, "
       "or ask whoever keeps the policy."},
      {{"id: a, match: {finding: {class: secret}}, action: block, message: No "
        "keys!"},
       "This request was blocked by rule \"a\": No keys! Take the 2 findings "
       "out and send it again."},
      {{"id: a, match: {finding: {class: card}}, action: block"},
       "This request was blocked by rule \"a\". Take the 1 finding out and "
       "send it again."},
      {{"id: a, match: {finding: {min: 1}}, action: mask"},
       "This request goes on with 3 values masked by rule \"a\"."},
      {{"id: a, match: {finding: {class: card}}, action: mask, message: "
        "Cards stay here"},
       "This request goes on with 1 value masked by rule \"a\": Cards stay "
       "here."},
      {{"id: a, match: {user: alice}, action: approve, message: Sure?"},
       "This request waits for a yes by you, says rule \"a\": Sure? See it "
       "with `hoop-agent pending`."},
      {{"id: a, match: {user: alice}, action: approve, by: [developer, "
        "'reviewer:leads']",
        "id: b, match: {user: alice}, action: approve, by: {any: [presence, "
        "'reviewer:sec']}",
        "id: c, match: {user: alice}, action: approve, by: {count: 2, of: "
        "['reviewer:sec']}"},
       "This request waits for a yes by you and a reviewer of leads, and by "
       "you (with your password) or a reviewer of sec, and by 2 people of: a "
       "reviewer of sec, says rule \"a\". 2 other rules say so too. See it "
       "with `hoop-agent pending`."},
  };
  static const char *const found[] = {"aws-key", "gh-token", "card"};
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with(pack, found, 3);

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Verdict) verdict = NULL;
    g_autofree char *sentence = NULL;
    unsigned n = 0;

    while (n < 3 && rows[i].rules[n] != NULL)
      n++;
    verdict = judge_rules(rows[i].rules, n, "", body, false);
    sentence = verdict_sentence(verdict);
    g_assert_cmpstr(sentence, ==, rows[i].sentence);
  }
}

static void
test_sentence_default(void)
{
  g_autoptr(Policy) policy = fake_policy("version: 1\ndefault: block\n");
  g_auto(FakeSubject) fake = {0};
  g_autoptr(Verdict) verdict = NULL;
  g_autofree char *sentence = NULL;

  fake_subject(&fake, "");
  verdict = judge_body(policy, &fake.subject, NULL, false, NULL, NULL);
  sentence = verdict_sentence(verdict);
  g_assert_cmpstr(sentence,
                  ==,
                  "This request was blocked: no rule of the policy allows it. "
                  "Ask whoever keeps the policy for a rule that does.");
}

static void
test_sentence_tool(void)
{
  static const char *const rules[] = {
      "id: a, match: {tool: {name: bash}}, action: block, message: No shell"};
  g_autoptr(Policy) policy = fake_rules(rules, 1);
  char name[] = "bash";
  const ToolCall call = {.name = name};
  g_auto(FakeSubject) fake = {0};
  g_autoptr(Verdict) verdict = NULL;
  g_autofree char *sentence = NULL, *json = NULL;

  fake_subject(&fake, "");
  verdict = judge_tool_call(policy, &fake.subject, &call, NULL, false);
  sentence = verdict_sentence(verdict);
  g_assert_cmpstr(sentence,
                  ==,
                  "The tool call \"bash\" was blocked by rule \"a\": No shell. "
                  "Ask for something else, or ask whoever keeps the policy.");
  json = verdict_to_json(verdict);
  g_assert_true(g_str_has_prefix(
      json,
      "{\"action\":\"block\",\"phase\":\"tool\",\"tool\":\"bash\",\"rule\":"
      "\"a\",\"origin\":\"p.yaml:5\",\"message\":\"No shell\",\"findings\":0,"
      "\"masks\":0,\"matched\":[{\"rule\":\"a\",\"action\":\"block\"}],"
      "\"revision\":\""));
}

/* ---- JSON and text ----------------------------------------------------- */

static const char *const some_rules[] = {
    "id: others, match: {group: ops, model: gpt-5}, action: block",
    "id: secrets, match: {finding: {class: secret}}, action: mask, restore: "
    "text",
    "id: ask, match: {repo: acme/*}, action: approve, by: {any: [developer, "
    "'reviewer:a\"b']}, timeout: 60, message: \"Say \\\"yes\\\"\"",
    "id: dry, match: {user: alice}, action: block, shadow: true",
};

static void
test_json(void)
{
  static const char *const found[] = {"aws-key", "card"};
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with(pack, found, 2);
  g_autoptr(Verdict) verdict = judge_rules(some_rules, 4, "repo", body, false);
  g_autoptr(Policy) policy = fake_rules(some_rules, 4);
  g_autofree char *json = verdict_to_json(verdict);
  g_autofree char *expected = g_strdup_printf(
      "{\"action\":\"approve\",\"phase\":\"request\",\"rule\":\"ask\","
      "\"origin\":\"p.yaml:7\",\"message\":\"Say \\\"yes\\\"\","
      "\"findings\":2,\"masks\":1,\"matched\":["
      "{\"rule\":\"secrets\",\"action\":\"mask\",\"findings\":1},"
      "{\"rule\":\"ask\",\"action\":\"approve\",\"assumed\":\"repo\"}],"
      "\"shadow\":[{\"rule\":\"dry\",\"action\":\"block\"}],"
      "\"approvals\":[{\"rule\":\"ask\",\"by\":\"any\",\"needed\":1,"
      "\"of\":[\"developer\",\"reviewer:a\\\"b\"],\"timeout\":60}],"
      "\"restore\":\"text\",\"revision\":\"%s\"}",
      policy_revision(policy));

  g_assert_cmpstr(json, ==, expected);
}

static void
test_json_explained(void)
{
  g_autoptr(Verdict) verdict = judge_rules(some_rules, 4, "", NULL, true);
  g_autofree char *json = verdict_to_json(verdict);
  const char *rules = strstr(json, "\"rules\":[");

  g_assert_nonnull(rules);
  g_assert_cmpstr(
      rules,
      ==,
      "\"rules\":["
      "{\"rule\":\"others\",\"action\":\"block\",\"missed\":\"group\","
      "\"detail\":\"asks for ops, is devs\"},"
      "{\"rule\":\"secrets\",\"action\":\"mask\",\"missed\":\"finding\","
      "\"detail\":\"asks for at least 1\"},"
      "{\"rule\":\"ask\",\"action\":\"approve\"},"
      "{\"rule\":\"dry\",\"action\":\"block\"}]}");
}

static void
test_json_completions(void)
{
  g_autoptr(Verdict) verdict =
      judge_rules(some_rules, 4, "completions", NULL, false);
  g_autofree char *json = verdict_to_json(verdict);

  g_assert_nonnull(strstr(json,
                          "\"matched\":[{\"rule\":\"ask\",\"action\":"
                          "\"approve\",\"effect\":\"block\"}]"));
}

static void
test_text(void)
{
  static const char *const found[] = {"aws-key"};
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with(pack, found, 1);
  g_autoptr(Policy) policy = fake_rules(some_rules, 4);
  g_autoptr(Verdict) verdict = judge_rules(some_rules, 4, "repo", body, true);
  g_autofree char *text = verdict_to_text(verdict);
  g_autofree char *expected = g_strdup_printf(
      "block    others   no: group (asks for ops, is devs)  [p.yaml:5]\n"
      "mask     secrets  matched, 1 finding  [p.yaml:6]\n"
      "approve  ask      matched, repo is not known and counts  [p.yaml:7]\n"
      "block    dry      would match  [p.yaml:8]\n"
      "\n"
      "verdict: approve. This request waits for a yes by you or a reviewer of "
      "a\"b, says rule \"ask\": Say \"yes\". See it with `hoop-agent "
      "pending`.\n"
      "policy:  revision %.12s\n",
      policy_revision(policy));

  g_assert_cmpstr(text, ==, expected);
}

/* ---- Details ----------------------------------------------------------- */

static void
test_details(void)
{
  static const struct {
    const char *match, *subject, *missed, *detail;
  } rows[] = {
      {"user: [a, b, c, d, e, f, g]",
       "",
       "user",
       "asks for a, b, c, d, e and 2 more, is alice"},
      {"group: ops", "groups=", "group", "asks for ops, is none"},
      {"connection: openai", "", "connection", "asks for openai, is copilot"},
      {"host: x.test", "", "host", "asks for x.test, is api.githubcopilot.com"},
      {"method: GET", "", "method", "asks for GET, is POST"},
      {"path: /x", "", "path", "asks for /x, is /chat/completions"},
      {"api: [models, token]", "", "api", "asks for models, token, is chat"},
      {"model: x", "", "model", "asks for x, is gpt-4o"},
      {"model: x",
       "model;api=models;method=GET",
       "model",
       "asks for x, is not known"},
      {"initiator: agent", "", "initiator", "asks for agent, is user"},
      {"repo: a/b", "", "repo", "asks for a/b, is acme/app"},
      {"process: /x",
       "",
       "process",
       "asks for /x, is /usr/bin/node, /usr/bin/code"},
      {"first-in-session: true",
       "",
       "first-in-session",
       "it is not the first of its session"},
      {"first-in-session: false",
       "first",
       "first-in-session",
       "it is the first of its session"},
      {"time: {days: mon, zone: UTC}",
       "",
       "time",
       "it is Wednesday, 12:00 there"},
      {"size: {min: 10}", "", "size", "the body is 0 bytes"},
      {"finding: {min: 2}", "", "finding", "asks for at least 2"},
      {"fields: [a, b]", "", "fields", "no field a, b"},
      {"prompt: x", "", "prompt", "no text matches"},
      {"tool: {name: x}", "", "phase", "is about tool calls of answers"},
      {"finding: {min: 1}, direction: response",
       "",
       "phase",
       "is about responses"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *rule =
        g_strdup_printf("id: r, match: {%s}, action: block", rows[i].match);
    const char *const rules[] = {rule};
    g_autoptr(Verdict) verdict =
        judge_rules(rules, 1, rows[i].subject, NULL, true);
    const RuleResult *result;
    unsigned n;

    result = verdict_results(verdict, &n);
    g_assert_cmpstr(result->missed, ==, rows[i].missed);
    g_assert_cmpstr(result->detail, ==, rows[i].detail);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/judge/words/sentences", test_sentences);
  g_test_add_func("/judge/words/default", test_sentence_default);
  g_test_add_func("/judge/words/tool", test_sentence_tool);
  g_test_add_func("/judge/words/json", test_json);
  g_test_add_func("/judge/words/json-explained", test_json_explained);
  g_test_add_func("/judge/words/json-completions", test_json_completions);
  g_test_add_func("/judge/words/text", test_text);
  g_test_add_func("/judge/words/details", test_details);
  return g_test_run();
}
