/* SPDX-License-Identifier: Apache-2.0 */
/* Test files of a policy: what they say, and what is refused with which
 * message. */

#include "policy/policy.h"

#include <string.h>

static PolicyCases *
parse(const char *text, GError **error)
{
  return policy_cases_parse("t.yaml", text, strlen(text), error);
}

static void
test_every_key(void)
{
  static const char text[] = "version: 1\n"
                             "policy: mine.yaml\n"
                             "cases:\n"
                             "  - name: all\n"
                             "    prompt: [one, two]\n"
                             "    group: [devs, leads]\n"
                             "    user: alice\n"
                             "    connection: openai\n"
                             "    host: h.example\n"
                             "    method: POST\n"
                             "    path: /v1/x\n"
                             "    api: responses\n"
                             "    model: m\n"
                             "    initiator: agent\n"
                             "    process: [/usr/bin/node, /bin/sh]\n"
                             "    repo: acme/x\n"
                             "    time: 2026-03-02T14:30:00+01:00\n"
                             "    first-in-session: true\n"
                             "    rate: 7\n"
                             "    used: {requests: 3, bytes: 2K, tokens: 5}\n"
                             "    expect: mask\n"
                             "    rule: r\n"
                             "    rules: [r, s]\n"
                             "    shadow: t\n"
                             "    masks: [k]\n"
                             "    hides: o\n"
                             "  - tool: {arguments: ls}\n"
                             "    expect: block\n"
                             "  - body: '{}'\n"
                             "    direction: response\n"
                             "    expect: allow\n"
                             "  - {answer: x, expect: allow}\n";
  g_autoptr(GError) error = NULL;
  g_autoptr(PolicyCases) cases = NULL;
  const PolicyCase *const *list;
  const PolicyCase *one;
  unsigned n;

  /* Both texts hold an o. */
  cases = parse(text, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(policy_cases_policy(cases), ==, "mine.yaml");
  list = policy_cases_list(cases, &n);
  g_assert_cmpuint(n, ==, 4);
  one = list[0];
  g_assert_cmpstr(one->name, ==, "all");
  g_assert_cmpstr(one->origin, ==, "t.yaml:4");
  g_assert_cmpint(one->kind, ==, CASE_PROMPT);
  g_assert_cmpstr(one->texts[1], ==, "two");
  g_assert_cmpstr(one->groups[1], ==, "leads");
  g_assert_cmpstr(one->user, ==, "alice");
  g_assert_cmpstr(one->connection, ==, "openai");
  g_assert_cmpstr(one->host, ==, "h.example");
  g_assert_cmpstr(one->method, ==, "POST");
  g_assert_cmpstr(one->path, ==, "/v1/x");
  g_assert_cmpint(one->api, ==, API_RESPONSES);
  g_assert_cmpstr(one->model, ==, "m");
  g_assert_cmpstr(one->initiator, ==, "agent");
  g_assert_cmpstr(one->processes[1], ==, "/bin/sh");
  g_assert_cmpstr(one->repo, ==, "acme/x");
  g_assert_cmpint(one->wall_us, ==, INT64_C(1772458200) * G_USEC_PER_SEC);
  g_assert_true(one->first_in_session);
  g_assert_cmpuint(one->rate, ==, 7);
  g_assert_cmpint(one->used_requests, ==, 3);
  g_assert_cmpint(one->used_bytes, ==, 2048);
  g_assert_cmpint(one->used_tokens, ==, 5);
  g_assert_cmpint(one->expect, ==, ACTION_MASK);
  g_assert_cmpstr(one->rule, ==, "r");
  g_assert_cmpstr(one->rules[1], ==, "s");
  g_assert_cmpstr(one->shadow[0], ==, "t");
  g_assert_cmpstr(one->masks[0], ==, "k");
  g_assert_cmpstr(one->hides[0], ==, "o");
  g_assert_cmpint(list[1]->kind, ==, CASE_TOOL);
  g_assert_cmpstr(list[1]->tool, ==, "run_in_terminal");
  g_assert_cmpint(list[1]->api, ==, -1);
  g_assert_cmpint(list[2]->direction, ==, DIRECTION_RESPONSE);
  g_assert_cmpint(list[3]->kind, ==, CASE_ANSWER);
}

static const struct {
  const char *text, *message;
} wrong[] = {
    {"cases: [{prompt: x, expect: allow}]",
     "1:1: a test file needs \"version\": 1 and \"cases\""},
    {"version: 1", "1:1: a test file needs \"version\": 1 and \"cases\""},
    {"version: 2\ncases: []", "1:10: \"version\" must be 1"},
    {"version: 1\ncases: []", "2:8: \"cases\" must be a list of cases"},
    {"version: 1\ncases: {}", "2:8: \"cases\" must be a list of cases"},
    {"version: 1\ncases: [x]", "2:9: a case must be a mapping (key: value)"},
    {"version: 1\ncase: []",
     "2:1: unknown key \"case\" in a test file; did you mean \"cases\"?"},
    {"version: 1\ncases: [{promt: x, expect: allow}]",
     "2:10: unknown key \"promt\" in a case; did you mean \"prompt\"?"},
    {"version: 1\ncases: [{prompt: x}]", "2:9: a case needs \"expect\""},
    {"version: 1\ncases: [{expect: allow}]",
     "2:9: a case needs \"prompt\", \"answer\", \"body\" or \"tool\""},
    {"version: 1\ncases: [{prompt: x, answer: y, expect: allow}]",
     "2:29: a case has one of \"prompt\", \"answer\", \"body\" and \"tool\""},
    {"version: 1\ncases: [{prompt: x, expect: deny}]",
     "2:29: \"expect\" cannot be \"deny\" (one of: allow, mask, approve, "
     "block)"},
    {"version: 1\ncases: [{tool: {name: x}, expect: block}]",
     "2:16: \"tool\" needs \"arguments\""},
    {"version: 1\ncases: [{tool: {arguments: x}, expect: mask}]",
     "2:40: a tool call cannot be masked, only approved or blocked"},
    {"version: 1\ncases: [{tool: {arguments: x}, expect: block, masks: y}]",
     "2:54: a tool call is not masked: \"masks\" and \"hides\" are about "
     "bodies"},
    {"version: 1\ncases: [{prompt: x, direction: response, expect: allow}]",
     "2:32: \"direction\" belongs to \"body\"; an answer's text is "
     "\"answer\""},
    {"version: 1\ncases: [{prompt: x, hides: y, expect: mask}]",
     "2:28: \"hides\" names a text that is not in the case"},
    {"version: 1\ncases: [{prompt: x, time: noon, expect: allow}]",
     "2:27: \"time\" must be like 2026-03-02T14:30:00+01:00"},
    {"version: 1\ncases: [{prompt: x, api: chats, expect: allow}]",
     "2:26: \"api\" cannot be \"chats\"; did you mean \"chat\"?"},
    {"version: 1\ncases: [{prompt: x, rate: 0, expect: allow}]",
     "2:27: \"rate\" must be a whole number from 1 to 1000000"},
    {"version: 1\ncases: [{prompt: x, used: {bytes: many}, expect: allow}]",
     "2:35: \"bytes\" must be a size like 4096, 64K or 32M"},
    {"version: 1\ncases: [{prompt: x, used: {tokens: -1}, expect: allow}]",
     "2:36: \"tokens\" must be a whole number from 0 to 1125899906842624"},
    {"version: 1\ncases: [{prompt: '', expect: allow}]",
     "2:18: \"prompt\" must not be empty"},
    {"version: 1\ncases: [{prompt: [], expect: allow}]",
     "2:18: \"prompt\" must not be empty"},
    {"version: 1\ncases: [{prompt: x, expect: allow, expect: block}]",
     "2:36: key \"expect\" is given twice (first on line 2)"},
    {"version: 1\ncases: [{prompt: x, first-in-session: 1, expect: allow}]",
     "2:39: \"first-in-session\" must be true or false"},
};

static void
test_wrong(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autofree char *expected = g_strconcat("t.yaml:", wrong[i].message, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(PolicyCases) cases = parse(wrong[i].text, &error);

    g_test_message("%s", wrong[i].text);
    g_assert_null(cases);
    g_assert_true(error->domain == POLICY_ERROR);
    g_assert_cmpstr(error->message, ==, expected);
  }
}

static void
test_no_file(void)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(policy_cases_load("/nowhere/x.test.yaml", &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_READ);
  policy_cases_free(NULL);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/cases/keys", test_every_key);
  g_test_add_func("/policy/cases/wrong", test_wrong);
  g_test_add_func("/policy/cases/no-file", test_no_file);
  return g_test_run();
}
