/* SPDX-License-Identifier: Apache-2.0 */
/* What was used within a window, and rules that ask for it. */

#include "judge-fake.h"

#include <string.h>

#define MINUTE (INT64_C(60) * G_USEC_PER_SEC)
#define HOUR (60 * MINUTE)
#define NOW (INT64_C(1700000000) * G_USEC_PER_SEC)

static void
add(Ledger *ledger,
    const char *user,
    const char *connection,
    const char *model,
    int64_t wall_us,
    int64_t requests,
    int64_t bytes,
    int64_t tokens)
{
  const LedgerUse use = {
      {.user = user}, connection, model, wall_us, {requests, bytes, tokens}};

  ledger_add(ledger, &use);
}

static LedgerSum
sum(const Ledger *ledger, const char *user, unsigned window)
{
  const PolicyBudget budget = {1, 1, 1, window, NULL, NULL};

  const LedgerPerson person = {.user = user};

  return ledger_sum(ledger, &budget, &person, NOW);
}

static void
test_window(void)
{
  g_autoptr(Ledger) ledger = ledger_new(24 * 60 * 60);

  add(ledger, "alice", "c", "m", NOW - 23 * HOUR, 1, 10, 100);
  add(ledger, "alice", "c", "m", NOW - 2 * HOUR, 1, 20, 200);
  add(ledger, "alice", "d", "n", NOW - MINUTE, 1, 40, 400);
  add(ledger, "bob", "c", "m", NOW, 1, 80, 800);
  add(ledger, NULL, "c", "m", NOW, 1, 80, 800);
  g_assert_cmpint(sum(ledger, "alice", 60 * 60).tokens, ==, 400);
  g_assert_cmpint(sum(ledger, "alice", 3 * 60 * 60).bytes, ==, 60);
  g_assert_cmpint(sum(ledger, "alice", 24 * 60 * 60).requests, ==, 3);
  g_assert_cmpint(sum(ledger, "bob", 60).tokens, ==, 800);
  g_assert_cmpint(sum(ledger, "carol", 60).requests, ==, 0);
  g_assert_cmpuint(ledger_window(ledger), ==, 24 * 60 * 60);
}

/* People are told apart by issuer and subject: not by a name that two of them
 * may have, nor by one that changes. What does not say whose it is, but for a
 * name, counts for everybody of that name. */
static void
test_people(void)
{
  static const struct {
    LedgerPerson person;
    int64_t tokens;
  } uses[] =
      {
          {{"alice", "https://a.example", "1"}, 1},
          {{"alice", "https://a.example", "2"}, 2},
          {{"alice", "https://b.example", "1"}, 4},
          {{"alicia", "https://a.example", "1"}, 8},
          {{"alice", "https://a.example", NULL}, 16},
          {{"alice", NULL, NULL}, 32},
          {{"bob", "https://a.example", NULL}, 64},
          {{NULL, "https://a.example", "1"}, 128},
      },
    asked[] = {
        {{"alice", "https://a.example", "1"}, 1 + 8 + 16 + 32},
        {{"alicia", "https://a.example", "1"}, 1 + 8},
        {{"alice", "https://a.example", "2"}, 2 + 16 + 32},
        {{"alice", "https://b.example", "1"}, 4 + 32},
        {{"alice", "https://c.example", "1"}, 32},
        {{"alice", NULL, NULL}, 1 + 2 + 4 + 16 + 32},
        {{"bob", "https://a.example", "9"}, 64},
        {{"carol", "https://a.example", "9"}, 0},
    };
  const PolicyBudget budget = {1, 1, 1, 3600, NULL, NULL};
  g_autoptr(Ledger) ledger = ledger_new(3600);

  for (unsigned i = 0; i < G_N_ELEMENTS(uses); i++) {
    const LedgerUse use = {
        uses[i].person, "c", "m", NOW, {1, 1, uses[i].tokens}};

    ledger_add(ledger, &use);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++)
    g_assert_cmpint(ledger_sum(ledger, &budget, &asked[i].person, NOW).tokens,
                    ==,
                    asked[i].tokens);
}

/* What was used a moment before the window still counts up to a minute, and
 * never less than what there was. */
static void
test_edge(void)
{
  g_autoptr(Ledger) ledger = ledger_new(3600);

  for (int64_t s = 0; s < 7200; s += 7)
    add(ledger, "a", NULL, NULL, NOW - (7200 - s) * G_USEC_PER_SEC, 1, 0, 0);
  g_assert_cmpint(sum(ledger, "a", 3600).requests, >=, 3600 / 7);
  g_assert_cmpint(sum(ledger, "a", 3600).requests, <=, 3660 / 7 + 1);
}

static void
test_scope(void)
{
  g_autoptr(Ledger) ledger = ledger_new(3600);
  char *models[] = {(char *)(uintptr_t) "GPT-5*", NULL};
  char *connections[] = {(char *)(uintptr_t) "copilot", NULL};
  const PolicyBudget by_model = {1, 1, 1, 3600, NULL, models};
  const PolicyBudget by_connection = {1, 1, 1, 3600, connections, NULL};
  const LedgerPerson a = {.user = "a"};

  add(ledger, "a", "copilot", "gpt-5-mini", NOW, 1, 0, 1);
  add(ledger, "a", "openai", "gpt-5", NOW, 1, 0, 2);
  add(ledger, "a", "copilot", "other", NOW, 1, 0, 4);
  add(ledger, "a", "copilot", NULL, NOW, 1, 0, 8);
  g_assert_cmpint(ledger_sum(ledger, &by_model, &a, NOW).tokens, ==, 11);
  g_assert_cmpint(ledger_sum(ledger, &by_connection, &a, NOW).tokens, ==, 13);
}

/* A correction goes where the use is; it takes nothing from another's. */
static void
test_corrections(void)
{
  g_autoptr(Ledger) ledger = ledger_new(3600);

  add(ledger, "a", "c", "m", NOW - 30 * MINUTE, 1, 9, 100);
  add(ledger, "a", "c", "m", NOW, 1, 9, 50);
  add(ledger, "a", "c", "m", NOW - 30 * MINUTE, 0, 0, -60);
  g_assert_cmpint(sum(ledger, "a", 3600).tokens, ==, 90);
  g_assert_cmpint(sum(ledger, "a", 600).tokens, ==, 50);
  add(ledger, "a", "c", "m", NOW - 50 * MINUTE, 0, 0, -60);
  g_assert_cmpint(sum(ledger, "a", 3600).tokens, ==, 90);
  /* A clock that was set back: what is used then counts. */
  add(ledger, "a", "c", "m", NOW - 2 * HOUR, 1, 0, 7);
  g_assert_cmpint(sum(ledger, "a", 3600).tokens, ==, 97);
}

/* Whatever is added, memory stays bounded and nothing gets lost. */
static void
test_bounds(void)
{
  g_autoptr(Ledger) ledger = ledger_new(31 * 24 * 60 * 60);

  for (unsigned i = 0; i < 5000; i++) {
    g_autofree char *model = g_strdup_printf("m%u", i);
    char *models[] = {(char *)(uintptr_t) "none", NULL};
    const PolicyBudget budget = {1, 1, 1, 3600, NULL, models};
    const LedgerPerson a = {.user = "a"};

    add(ledger, "a", "c", model, NOW, 1, 0, 0);
    if (i == 4999) /* those that fit no more count for every model */
      g_assert_cmpint(
          ledger_sum(ledger, &budget, &a, NOW).requests, ==, 5000 - 1024);
  }
  g_assert_cmpint(sum(ledger, "a", 3600).requests, ==, 5000);
  for (int64_t i = 200000; i > 0; i--)
    add(ledger, "b", "c", "m", NOW - i * 10 * G_USEC_PER_SEC, 1, 0, 0);
  for (int64_t i = 30 * 24 * 60; i > 0; i--)
    add(ledger, "z", "c", "m", NOW - i * MINUTE, 1, 0, 0);
  g_assert_cmpint(sum(ledger, "b", 31 * 24 * 60 * 60).requests, ==, 200000);
  g_assert_cmpint(
      sum(ledger, "z", 31 * 24 * 60 * 60).requests, ==, 30 * 24 * 60);
}

static void
test_merge(void)
{
  g_autoptr(Ledger) past = ledger_new(3600);
  g_autoptr(Ledger) now = ledger_new(3600);

  add(past, "a", "c", "m", NOW - 30 * MINUTE, 1, 1, 1);
  add(past, "a", "c", "m", NOW - MINUTE, 1, 1, 2);
  add(past, "b", "c", "m", NOW - MINUTE, 1, 1, 4);
  add(now, "a", "c", "m", NOW - MINUTE, 1, 1, 8);
  add(now, "a", "c", "m", NOW, 1, 1, 16);
  ledger_merge(now, past);
  g_assert_cmpint(sum(now, "a", 3600).tokens, ==, 27);
  g_assert_cmpint(sum(now, "a", 600).tokens, ==, 26);
  g_assert_cmpint(sum(now, "b", 3600).requests, ==, 1);
  ledger_free(NULL);
}

static void
test_estimates(void)
{
  g_assert_cmpint(ledger_estimate(-1), ==, 0);
  g_assert_cmpint(ledger_estimate(1), ==, 1);
  g_assert_cmpint(ledger_estimate(400), ==, 100);
  g_assert_cmpint(ledger_tokens(400, 7, 9, 9999), ==, 16);
  g_assert_cmpint(ledger_tokens(400, -1, -1, 800), ==, 300);
  g_assert_cmpint(ledger_tokens(400, 7, -1, -1), ==, 7);
}

/* ---- Rules ----------------------------------------------------------------
 */

static const struct {
  const char *budget;
  int64_t requests, bytes, tokens;
  bool holds;
} rows[] = {
    {"requests: 3", 2, 0, 0, false},
    {"requests: 3", 3, 0, 0, true},
    {"requests: 0", 0, 0, 0, true},
    {"bytes: 1000", 0, 900, 0, false}, /* this one has 100 */
    {"bytes: 1000", 0, 901, 0, true},
    {"tokens: 1000", 0, 0, 975, false}, /* … about 25 tokens */
    {"tokens: 1000", 0, 0, 976, true},
    {"requests: 9, tokens: 10", 0, 0, 11, true},
    {"requests: 9, tokens: 10000", 9, 0, 0, true},
};

static void
test_rules(void)
{
  g_autoptr(Inspection) body = fake_body(API_CHAT, DIRECTION_REQUEST);

  fake_field(body, "content", FIELD_PROMPT, "x");
  fake_size(body, 100);
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *rule = g_strdup_printf(
        "id: r, match: {budget: {%s, window: 1h}}, action: block",
        rows[i].budget);
    const char *const rules[] = {rule};
    g_autoptr(Policy) policy = fake_rules(rules, 1);
    g_autoptr(Ledger) ledger = ledger_new(3600);
    g_auto(FakeSubject) fake = {0};
    g_autoptr(Verdict) verdict = NULL;
    const RuleResult *results;
    unsigned n;

    fake_subject(&fake, "");
    fake.subject.ledger = ledger;
    ledger_set_ready(ledger, true);
    add(ledger,
        fake.subject.user,
        "c",
        "m",
        fake.subject.wall_us,
        rows[i].requests,
        rows[i].bytes,
        rows[i].tokens);
    verdict = judge_body(policy, &fake.subject, body, true, NULL, NULL);
    g_test_message("%s", rule);
    results = verdict_results(verdict, &n);
    g_assert_cmpint(results[0].matched, ==, rows[i].holds);
    g_assert_null(results[0].assumed);
    if (!rows[i].holds) {
      g_assert_cmpstr(results[0].missed, ==, "budget");
      g_assert_true(g_str_has_prefix(results[0].detail, "used "));
    }
  }
}

/* Not known counts as used up. */
static void
test_unknown(void)
{
  const char *const rules[] = {
      "id: r, match: {budget: {requests: 9, window: 2h}}, action: approve"};
  g_autoptr(Policy) policy = fake_rules(rules, 1);
  g_autoptr(Ledger) shorter = ledger_new(3600);
  g_autoptr(Ledger) not_ready = ledger_new(7200);
  g_autoptr(Ledger) ready = ledger_new(7200);
  Ledger *const ledgers[] = {NULL, shorter, not_ready, ready};

  ledger_set_ready(shorter, true);
  ledger_set_ready(ready, true);
  g_assert_true(ledger_is_ready(ready) && !ledger_is_ready(not_ready));
  g_assert_cmpuint(policy_budget_window(policy), ==, 7200);
  for (unsigned i = 0; i < G_N_ELEMENTS(ledgers); i++)
    for (unsigned user = 0; user < 2; user++) {
      g_auto(FakeSubject) fake = {0};
      g_autoptr(Verdict) verdict = NULL;
      bool known = i == 3 && user == 0;

      fake_subject(&fake, user == 0 ? "" : "user");
      fake.subject.ledger = ledgers[i];
      verdict = judge_body(policy, &fake.subject, NULL, false, NULL, NULL);
      g_assert_cmpint(
          verdict_action(verdict), ==, known ? ACTION_ALLOW : ACTION_APPROVE);
    }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/judge/ledger/window", test_window);
  g_test_add_func("/judge/ledger/people", test_people);
  g_test_add_func("/judge/ledger/edge", test_edge);
  g_test_add_func("/judge/ledger/scope", test_scope);
  g_test_add_func("/judge/ledger/corrections", test_corrections);
  g_test_add_func("/judge/ledger/bounds", test_bounds);
  g_test_add_func("/judge/ledger/merge", test_merge);
  g_test_add_func("/judge/ledger/estimates", test_estimates);
  g_test_add_func("/judge/ledger/rules", test_rules);
  g_test_add_func("/judge/ledger/unknown", test_unknown);
  return g_test_run();
}
