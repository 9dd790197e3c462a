/* SPDX-License-Identifier: Apache-2.0 */
/* Every match key: holds, does not, and what it does when the fact is not
 * known; for a rule that tightens and for one that allows. */

#include "judge-fake.h"

#include <string.h>

/* y: matches, n: does not, -: the loader refuses this key in an allow rule. */
typedef struct {
  const char *match;
  const char *subject; /* over the base subject, see judge-fake.h */
  char block, allow;
} Row;

static const Row subject_rows[] = {
    {"group: '*'", "", 'y', 'y'},
    {"group: '*'", "groups", 'y', 'y'},
    {"group: staff", "", 'y', 'y'},
    {"group: devs", "", 'y', 'y'},
    {"group: ops", "", 'n', 'n'},
    {"group: [ops, devs]", "", 'y', 'y'},
    {"group: staff", "groups=others", 'n', 'n'},
    {"group: staff", "groups=", 'n', 'n'},
    {"group: staff", "groups", 'y', 'n'},
    {"group: local", "groups=local", 'y', 'y'},
    {"group: local", "", 'n', 'n'},

    {"user: alice", "", 'y', 'y'},
    {"user: 'al*'", "", 'y', 'y'},
    {"user: bob", "", 'n', 'n'},
    {"user: ALICE", "", 'n', 'n'},
    {"user: [bob, alice]", "", 'y', 'y'},
    {"user: alice", "user", 'y', 'n'},

    {"connection: copilot", "", 'y', 'y'},
    {"connection: [openai, copilot]", "", 'y', 'y'},
    {"connection: 'co*'", "", 'n', 'n'},
    {"connection: copilot", "connection", 'y', 'n'},

    {"host: api.githubcopilot.com", "", 'y', 'y'},
    {"host: '*.GithubCopilot.com'", "", 'y', 'y'},
    {"host: githubcopilot.com", "", 'n', 'n'},
    {"host: '*.githubcopilot.com'",
     "host=api.githubcopilot.com.evil.test",
     'n',
     'n'},
    {"host: '*'", "host", 'y', 'n'},

    {"method: POST", "", 'y', 'y'},
    {"method: [GET, HEAD]", "", 'n', 'n'},
    {"method: POST", "method=post", 'n', 'n'},
    {"method: GET", "method", 'y', 'n'},

    {"path: /chat/completions", "", 'y', 'y'},
    {"path: '/chat/*'", "", 'y', 'y'},
    {"path: /chat", "", 'n', 'n'},
    {"path: /chat/completions", "path=/chat/completions?x=/y", 'y', 'y'},
    /* What a server may read is what counts against it, not for it. */
    {"path: /chat/completions", "path=/chat/%63ompletions", 'y', 'n'},
    {"path: /chat/completions", "path=//chat/./completions", 'y', 'n'},
    {"path: /chat/completions", "path=/v1/../chat/completions", 'y', 'n'},
    {"path: /chat/completions", "path=/v1/%2e%2e/chat/completions", 'y', 'n'},
    {"path: '/v1/*'", "path=/v1/../chat/completions", 'y', 'n'},
    {"path: /", "path=/", 'y', 'y'},
    {"path: '*'", "path", 'y', 'n'},

    {"api: chat", "", 'y', 'y'},
    {"api: [messages, responses]", "", 'n', 'n'},
    {"api: other", "api=other", 'y', 'y'},

    {"model: gpt-4o", "", 'y', 'y'},
    {"model: 'GPT-*'", "", 'y', 'y'},
    {"model: claude*", "", 'n', 'n'},
    {"model: claude*", "model", 'y', 'n'},
    /* Where no model is spoken to there is none, not an unknown one. */
    {"model: claude*", "model;api=models;method=GET", 'n', 'n'},
    {"model: claude*", "model;api=telemetry", 'n', 'n'},
    {"model: claude*", "model;api=other;method=GET", 'n', 'n'},
    {"model: claude*", "model;api=other", 'y', 'n'},
    {"model: claude*", "model;api=other;method", 'y', 'n'},

    {"initiator: user", "", 'y', 'y'},
    {"initiator: agent", "", 'n', 'n'},
    {"initiator: agent", "initiator", 'y', 'n'},
    {"initiator: agent", "initiator;api=token;method=GET", 'n', 'n'},

    {"repo: acme/app", "", 'y', 'y'},
    {"repo: 'ACME/*'", "", 'y', 'y'},
    {"repo: 'acme/secret-*'", "", 'n', 'n'},
    {"repo: 'acme/secret-*'", "repo", 'y', 'n'},

    {"process: /usr/bin/node", "", 'y', '-'},
    {"process: /usr/bin/code", "", 'y', '-'},
    {"process: '/opt/*'", "", 'n', '-'},
    {"process: '/opt/*'", "processes", 'y', '-'},
    {"process: '/opt/*'", "processes=", 'y', '-'},

    {"first-in-session: true", "first", 'y', 'y'},
    {"first-in-session: true", "", 'n', 'n'},
    {"first-in-session: false", "", 'y', 'y'},
    {"first-in-session: false", "first", 'n', 'n'},

    /* All keys together: the first that does not hold decides. */
    {"user: alice, api: chat, model: gpt-4o", "", 'y', 'y'},
    {"user: alice, api: chat, model: gpt-5", "", 'n', 'n'},
    {"user: alice, model: gpt-5", "user;model", 'y', 'n'},
    {"user: bob, model: gpt-5", "model", 'n', 'n'},
};

/* 4 March 2026 is a Wednesday; Berlin is at UTC+1, from 29 March at +2. */
static const Row time_rows[] = {
    {"time: {from: '09:00', to: '17:00', zone: UTC}", "", 'y', 'y'},
    {"time: {from: '13:00', zone: UTC}", "", 'n', 'n'},
    {"time: {to: '12:00', zone: UTC}", "", 'n', 'n'},
    {"time: {to: '12:01', zone: UTC}", "", 'y', 'y'},
    {"time: {from: '12:00', zone: UTC}", "", 'y', 'y'},
    {"time: {from: '13:00', to: '14:00', zone: Europe/Berlin}", "", 'y', 'y'},
    {"time: {from: '12:00', to: '13:00', zone: Europe/Berlin}", "", 'n', 'n'},
    {"time: {from: '14:00', to: '15:00', zone: Europe/Berlin}",
     "time=2026-03-29T12:00:00Z",
     'y',
     'y'},
    {"time: {from: '07:00', to: '08:00', zone: America/New_York}",
     "",
     'y',
     'y'},
    {"time: {from: '17:30', to: '17:31', zone: Asia/Kolkata}", "", 'y', 'y'},
    {"time: {days: wed, zone: UTC}", "", 'y', 'y'},
    {"time: {days: [mon, tue, thu, fri, sat, sun], zone: UTC}", "", 'n', 'n'},
    /* It is Thursday on the other side. */
    {"time: {days: thu, zone: Pacific/Auckland}", "", 'y', 'y'},
    {"time: {days: wed, zone: Pacific/Auckland}", "", 'n', 'n'},
    /* Before 1970, as a clock that was never set. */
    {"time: {days: wed, zone: UTC}", "time=1969-12-31T23:59:59Z", 'y', 'y'},
    {"time: {from: '23:59', zone: UTC}", "time=1969-12-31T23:59:59Z", 'y', 'y'},
    /* Over midnight the day is the one on which it began. */
    {"time: {from: '22:00', to: '06:00', days: wed, zone: UTC}",
     "time=2026-03-04T22:00:00Z",
     'y',
     'y'},
    {"time: {from: '22:00', to: '06:00', days: wed, zone: UTC}",
     "time=2026-03-05T05:59:00Z",
     'y',
     'y'},
    {"time: {from: '22:00', to: '06:00', days: wed, zone: UTC}",
     "time=2026-03-05T06:00:00Z",
     'n',
     'n'},
    {"time: {from: '22:00', to: '06:00', days: wed, zone: UTC}",
     "time=2026-03-04T05:00:00Z",
     'n',
     'n'},
    {"time: {from: '22:00', to: '06:00', days: wed, zone: UTC}",
     "time=2026-03-05T22:00:00Z",
     'n',
     'n'},
    {"time: {from: '22:00', to: '06:00', days: sun, zone: UTC}",
     "time=2026-03-02T01:00:00Z",
     'y',
     'y'},
    {"time: {from: '22:00', to: '06:00', zone: UTC}", "", 'n', 'n'},
    /* The tests run with TZ=UTC. */
    /* The hour that is left out in March, and the one that comes twice in
     * October: the wall's clock counts. */
    {"time: {from: '02:00', to: '03:00', zone: Europe/Berlin}",
     "time=2026-03-29T00:59:59Z",
     'n',
     'n'},
    {"time: {from: '02:00', to: '03:00', zone: Europe/Berlin}",
     "time=2026-03-29T01:00:00Z",
     'n',
     'n'},
    {"time: {from: '01:30', to: '03:30', zone: Europe/Berlin}",
     "time=2026-03-29T00:30:00Z",
     'y',
     'y'},
    {"time: {from: '01:30', to: '03:30', zone: Europe/Berlin}",
     "time=2026-03-29T01:29:59Z",
     'y',
     'y'},
    {"time: {from: '01:30', to: '03:30', zone: Europe/Berlin}",
     "time=2026-03-29T01:30:00Z",
     'n',
     'n'},
    {"time: {from: '02:30', to: '02:31', zone: Europe/Berlin}",
     "time=2026-10-25T00:30:00Z",
     'y',
     'y'},
    {"time: {from: '02:30', to: '02:31', zone: Europe/Berlin}",
     "time=2026-10-25T01:30:00Z",
     'y',
     'y'},
    {"time: {from: '03:00', to: '04:00', zone: Europe/Berlin}",
     "time=2026-10-25T01:59:59Z",
     'n',
     'n'},
    {"time: {from: '03:00', to: '04:00', zone: Europe/Berlin}",
     "time=2026-10-25T02:00:00Z",
     'y',
     'y'},
    {"time: {from: '22:00', to: '06:00', days: sat, zone: Europe/Berlin}",
     "time=2026-03-29T03:59:59Z",
     'y',
     'y'},
    {"time: {from: '22:00', to: '06:00', days: sat, zone: Europe/Berlin}",
     "time=2026-03-29T04:00:00Z",
     'n',
     'n'},
    {"time: {from: '22:00', to: '06:00', days: sat, zone: Europe/Berlin}",
     "time=2026-10-25T04:59:59Z",
     'y',
     'y'},
    {"time: {from: '22:00', to: '06:00', days: sat, zone: Europe/Berlin}",
     "time=2026-10-25T05:00:00Z",
     'n',
     'n'},
    {"time: {days: sun, zone: Europe/Berlin}",
     "time=2026-10-24T22:00:00Z",
     'y',
     'y'},
    {"time: {days: sun, zone: Europe/Berlin}",
     "time=2026-10-25T22:59:59Z",
     'y',
     'y'},
    {"time: {days: sun, zone: Europe/Berlin}",
     "time=2026-10-25T23:00:00Z",
     'n',
     'n'},
    {"time: {from: '12:00', to: '12:01'}", "", 'y', 'y'},
};

static bool
matches(const char *match,
        const char *action,
        const char *spec,
        const Inspection *body,
        RuleResult *result)
{
  g_autofree char *rule =
      g_strdup_printf("id: r, match: {%s}, action: %s", match, action);
  const char *const rules[] = {rule};
  g_autoptr(Policy) policy = fake_rules(rules, 1);
  g_auto(FakeSubject) fake = {0};
  g_autoptr(Verdict) verdict = NULL;
  const RuleResult *results;
  unsigned n;

  fake_subject(&fake, spec);
  verdict = judge_body(policy, &fake.subject, body, true, NULL, NULL);
  results = verdict_results(verdict, &n);
  g_assert_cmpuint(n, ==, 1);
  g_assert_cmpint(results[0].matched, ==, results[0].missed == NULL);
  g_assert_cmpint(results[0].matched, ==, results[0].detail == NULL);
  if (result != NULL) {
    *result = results[0];
    result->rule = NULL;
    result->detail = NULL;
  }
  return results[0].matched;
}

static void
check_rows(const Row *rows, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    g_test_message("{%s} for %s", rows[i].match, rows[i].subject);
    g_assert_cmpint(
        matches(rows[i].match, "block", rows[i].subject, NULL, NULL),
        ==,
        rows[i].block == 'y');
    if (rows[i].allow != '-')
      g_assert_cmpint(
          matches(rows[i].match, "allow", rows[i].subject, NULL, NULL),
          ==,
          rows[i].allow == 'y');
    g_assert_cmpint(
        matches(rows[i].match, "approve", rows[i].subject, NULL, NULL),
        ==,
        rows[i].block == 'y');
  }
}

static void
test_subject(void)
{
  check_rows(subject_rows, G_N_ELEMENTS(subject_rows));
}

static void
test_time(void)
{
  check_rows(time_rows, G_N_ELEMENTS(time_rows));
}

/* What did not hold and what was assumed is said. */
static void
test_reasons(void)
{
  RuleResult result;

  matches("user: alice, model: gpt-5", "block", "", NULL, &result);
  g_assert_cmpstr(result.missed, ==, "model");
  g_assert_null(result.assumed);
  matches("user: alice, model: gpt-5", "block", "model", NULL, &result);
  g_assert_null(result.missed);
  g_assert_cmpstr(result.assumed, ==, "model");
  matches("user: alice, model: gpt-5", "allow", "model", NULL, &result);
  g_assert_cmpstr(result.missed, ==, "model");
  g_assert_null(result.assumed);
}

/* ---- Content ----------------------------------------------------------- */

static void
test_findings(void)
{
  static const struct {
    const char *match;
    unsigned found; /* 0: does not match */
  } rows[] = {
      {"finding: {min: 1}", 4},
      {"finding: {min: 4}", 4},
      {"finding: {min: 5}", 0},
      {"finding: {class: secret}", 3},
      {"finding: {class: secret, min: 4}", 0},
      {"finding: {class: [card, pii]}", 1},
      {"finding: {class: pii}", 0},
      {"finding: {class: '*'}", 4},
      {"finding: {rule: aws-key}", 2},
      {"finding: {rule: aws-key, min: 3}", 0},
      {"finding: {rule: ['aws-*', card]}", 3},
      {"finding: {rule: 'aws-*', class: card}", 0},
      {"finding: {rule: '*', class: card}", 1},
      {"finding: {rule: '*', class: card}, user: bob", 0},
  };
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = fake_body(API_CHAT, DIRECTION_REQUEST);
  g_autoptr(Inspection) empty = fake_body(API_CHAT, DIRECTION_REQUEST);
  unsigned field = fake_field(body, "content", FIELD_PROMPT, "text");

  fake_finding(body, fake_rule(pack, "aws-key"), field);
  fake_finding(body, fake_rule(pack, "gh-token"), field);
  fake_finding(body, fake_rule(pack, "aws-key"), field);
  fake_finding(body, fake_rule(pack, "card"), field);
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    RuleResult result;

    g_test_message("%s", rows[i].match);
    g_assert_cmpint(matches(rows[i].match, "block", "", body, &result),
                    ==,
                    rows[i].found > 0);
    if (rows[i].found > 0)
      g_assert_cmpuint(result.n_findings, ==, rows[i].found);
    g_assert_false(matches(rows[i].match, "block", "", empty, NULL));
    g_assert_false(matches(rows[i].match, "block", "", NULL, NULL));
  }
}

static void
test_fields(void)
{
  g_autoptr(Inspection) body = fake_body(API_OTHER, DIRECTION_REQUEST);

  fake_field(body, "Password", FIELD_OTHER, "x");
  fake_field(body, "empty", FIELD_OTHER, "");
  fake_field(body, NULL, FIELD_OTHER, "x");
  g_assert_true(matches("fields: password", "block", "", body, NULL));
  g_assert_true(matches("fields: [no, PASSWORD]", "block", "", body, NULL));
  g_assert_false(matches("fields: passwor", "block", "", body, NULL));
  g_assert_false(matches("fields: pass*", "block", "", body, NULL));
  g_assert_false(matches("fields: empty", "block", "", body, NULL));
  g_assert_false(matches("fields: password", "block", "", NULL, NULL));
}

static void
test_prompt(void)
{
  static const struct {
    FieldRole role;
    Api api;
    bool read;
  } rows[] = {
      {FIELD_PROMPT, API_CHAT, true},
      {FIELD_SYSTEM, API_CHAT, true},
      {FIELD_TOOL_RESULT, API_CHAT, true},
      {FIELD_ASSISTANT, API_CHAT, false},
      {FIELD_TOOL_ARGUMENTS, API_CHAT, false},
      {FIELD_OTHER, API_CHAT, false},
      {FIELD_OTHER, API_TELEMETRY, false},
      /* Of an unknown shape any text may be the prompt. */
      {FIELD_OTHER, API_OTHER, true},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Inspection) body = fake_body(rows[i].api, DIRECTION_REQUEST);

    fake_field(body, "a", FIELD_PROMPT, "nothing");
    fake_field(body, "b", rows[i].role, "show the\npassword");
    g_test_message("role %d, api %d", rows[i].role, rows[i].api);
    g_assert_cmpint(
        matches("prompt: '(?s)show.*PASSWORD'", "block", "", body, NULL),
        ==,
        false);
    g_assert_cmpint(
        matches("prompt: '(?is)show.*PASSWORD'", "block", "", body, NULL),
        ==,
        rows[i].read);
  }
}

/* A regex that meets its limit counts as a match, and says so. */
static void
test_prompt_limit(void)
{
  g_autofree char *text = g_strnfill(64, 'a');
  g_autoptr(Inspection) body = fake_body(API_CHAT, DIRECTION_REQUEST);
  RuleResult result;

  text[63] = 'b';
  fake_field(body, "content", FIELD_PROMPT, text);
  g_assert_true(matches("prompt: '^(a|a)+$'", "block", "", body, &result));
  g_assert_true(result.limited);
  g_assert_true(matches("prompt: 'ab$'", "block", "", body, &result));
  g_assert_false(result.limited);
}

static void
test_size(void)
{
  g_autoptr(Inspection) body = fake_body(API_CHAT, DIRECTION_REQUEST);

  fake_size(body, 2048);
  g_assert_true(matches("size: {min: 2K}", "block", "", body, NULL));
  g_assert_true(matches("size: {max: 2K}", "block", "", body, NULL));
  g_assert_false(matches("size: {min: 2049}", "block", "", body, NULL));
  g_assert_false(matches("size: {max: 2047}", "block", "", body, NULL));
  g_assert_true(matches("size: {max: 0}", "allow", "", NULL, NULL));
}

/* ---- Rate -------------------------------------------------------------- */

typedef struct {
  unsigned count;
  unsigned asked;
} Counter;

static unsigned
count(const char *rule_id, unsigned window, void *data)
{
  Counter *counter = data;

  g_assert_cmpstr(rule_id, ==, "r");
  g_assert_cmpuint(window, ==, 60);
  counter->asked++;
  return counter->count;
}

static void
test_rate(void)
{
  static const char *const rules[] = {
      "id: r, match: {user: alice, rate: {count: 3, window: 1m}}, "
      "action: block"};
  static const struct {
    unsigned count;
    bool matched;
  } rows[] = {{1, false}, {3, false}, {4, true}, {9, true}};
  g_autoptr(Policy) policy = fake_rules(rules, 1);
  g_auto(FakeSubject) alice = {0}, bob = {0};

  fake_subject(&alice, "");
  fake_subject(&bob, "user=bob");
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    Counter counter = {rows[i].count, 0};
    g_autoptr(Verdict) verdict =
        judge_body(policy, &alice.subject, NULL, false, count, &counter);
    g_autoptr(Verdict) other =
        judge_body(policy, &bob.subject, NULL, false, count, &counter);

    g_assert_cmpint(verdict_action(verdict),
                    ==,
                    rows[i].matched ? ACTION_BLOCK : ACTION_ALLOW);
    g_assert_cmpint(verdict_action(other), ==, ACTION_ALLOW);
    /* Counted once, and not for another user. */
    g_assert_cmpuint(counter.asked, ==, 1);
  }
}

/* Without a history the rate counts as exceeded. */
static void
test_rate_unknown(void)
{
  RuleResult result;

  g_assert_true(
      matches("rate: {count: 3, window: 60}", "block", "", NULL, &result));
  g_assert_cmpstr(result.assumed, ==, "rate");
}

/* ---- Direction --------------------------------------------------------- */

static void
test_direction(void)
{
  g_autoptr(RulePack) pack = fake_pack();
  static const struct {
    const char *match, *action;
    bool request, response;
  } rows[] = {
      {"finding: {min: 1}", "block", true, true},
      {"finding: {min: 1}", "mask", true, true},
      {"finding: {min: 1}, direction: request", "mask", true, false},
      {"finding: {min: 1}, direction: response", "mask", false, true},
      {"fields: [k]", "mask", true, true},
      /* Held is a request, not an answer. */
      {"finding: {min: 1}", "approve", true, false},
      {"user: alice", "block", true, false},
      {"user: alice", "allow", true, false},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++)
    for (unsigned d = 0; d < 2; d++) {
      Direction direction = d == 0 ? DIRECTION_REQUEST : DIRECTION_RESPONSE;
      g_autoptr(Inspection) body = fake_body(API_CHAT, direction);

      fake_field(body, "k", FIELD_OTHER, "text");
      fake_finding(body, fake_rule(pack, "card"), 0);
      g_test_message("%s %s", rows[i].action, rows[i].match);
      g_assert_cmpint(matches(rows[i].match, rows[i].action, "", body, NULL),
                      ==,
                      d == 0 ? rows[i].request : rows[i].response);
    }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/judge/match/subject", test_subject);
  g_test_add_func("/judge/match/time", test_time);
  g_test_add_func("/judge/match/reasons", test_reasons);
  g_test_add_func("/judge/match/findings", test_findings);
  g_test_add_func("/judge/match/fields", test_fields);
  g_test_add_func("/judge/match/prompt", test_prompt);
  g_test_add_func("/judge/match/prompt-limit", test_prompt_limit);
  g_test_add_func("/judge/match/size", test_size);
  g_test_add_func("/judge/match/rate", test_rate);
  g_test_add_func("/judge/match/rate-unknown", test_rate_unknown);
  g_test_add_func("/judge/match/direction", test_direction);
  return g_test_run();
}
