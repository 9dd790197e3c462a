/* SPDX-License-Identifier: Apache-2.0 */
/* What rules come to together: every pair of actions, the default, shadows,
 * completions, approvals, and what is masked. */

#include "judge-fake.h"

#include <string.h>

/* A request with one field and two findings over parts of it. */
static Inspection *
body_with_findings(RulePack *pack)
{
  Inspection *body = fake_body(API_CHAT, DIRECTION_REQUEST);

  fake_field(body, "content", FIELD_PROMPT, "0123456789");
  fake_finding_at(body, fake_rule(pack, "aws-key"), 0, 1, 3);
  fake_finding_at(body, fake_rule(pack, "card"), 0, 5, 8);
  return body;
}

static Verdict *
judge(const Policy *policy, const char *spec, const Inspection *body)
{
  g_auto(FakeSubject) fake = {0};

  fake_subject(&fake, spec);
  return judge_body(
      (Policy *)(uintptr_t)policy, &fake.subject, body, false, NULL, NULL);
}

static const char *
id_of(const PolicyRule *rule)
{
  return rule != NULL ? rule->id : NULL;
}

static unsigned
n_approvals(const Verdict *verdict)
{
  unsigned n;

  verdict_approvals(verdict, &n);
  return n;
}

/* "1-3 5-8": spans in order. */
static char *
spans(const GArray *list)
{
  g_autoptr(GString) out = g_string_new(NULL);

  for (guint i = 0; i < list->len; i++) {
    const MaskSpan *span = &g_array_index(list, MaskSpan, i);

    g_string_append_printf(
        out, "%s%zu-%zu", i > 0 ? " " : "", span->start, span->end);
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static void
assert_spans(const GArray *list, const char *expected)
{
  g_autofree char *found = spans(list);

  g_assert_cmpstr(found, ==, expected);
}

/* ---- Pairs ------------------------------------------------------------- */

static const char *const one_of_each[] = {
    "match: {user: alice}, action: allow",
    "match: {finding: {class: secret}}, action: mask",
    "match: {user: alice}, action: approve",
    "match: {user: alice}, action: block",
};

/* The stronger one decides, whichever comes first; masks mask whatever else
 * is said; the first of two equals is the reason. */
static void
test_pairs(void)
{
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with_findings(pack);

  for (unsigned a = 0; a < 4; a++)
    for (unsigned b = 0; b < 4; b++) {
      g_autofree char *first = g_strconcat("id: a, ", one_of_each[a], NULL);
      g_autofree char *second = g_strconcat("id: b, ", one_of_each[b], NULL);
      const char *const rules[] = {first, second};
      g_autoptr(Policy) policy = fake_rules(rules, 2);
      g_autoptr(Verdict) verdict = judge(policy, "", body);
      unsigned n;

      g_test_message("%s + %s", first, second);
      g_assert_cmpint(verdict_action(verdict), ==, MAX(a, b));
      g_assert_cmpstr(id_of(verdict_reason(verdict)), ==, a >= b ? "a" : "b");
      verdict_results(verdict, &n);
      g_assert_cmpuint(n, ==, 2);
      g_assert_cmpuint(n_approvals(verdict),
                       ==,
                       (a == ACTION_APPROVE) + (b == ACTION_APPROVE));
      assert_spans(verdict_mask_spans(verdict),
                   a == ACTION_MASK || b == ACTION_MASK ? "1-3" : "");
    }
}

/* Against the default: only an allow rule stops it. */
static void
test_default_block(void)
{
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with_findings(pack);
  g_autoptr(Policy) none = fake_policy("version: 1\ndefault: block\n");
  g_autoptr(Verdict) empty = judge(none, "", body);

  g_assert_cmpint(verdict_action(empty), ==, ACTION_BLOCK);
  g_assert_null(verdict_reason(empty));
  for (unsigned a = 0; a < 4; a++)
    for (unsigned allow = 0; allow < 2; allow++) {
      g_autofree char *text = g_strdup_printf(
          "version: 1\ndefault: block\nrules:\n  - {id: a, %s}\n%s",
          one_of_each[a],
          allow ? "  - {id: b, match: {user: al*}, action: allow}\n" : "");
      g_autoptr(Policy) policy = fake_policy(text);
      g_autoptr(Verdict) verdict = judge(policy, "", body);
      bool by_rule = a == ACTION_ALLOW || a == ACTION_BLOCK || allow;

      g_assert_cmpint(
          verdict_action(verdict), ==, by_rule ? (Action)a : ACTION_BLOCK);
      g_assert_cmpstr(id_of(verdict_reason(verdict)), ==, by_rule ? "a" : NULL);
    }
}

/* The default is about requests: an answer to an allowed one comes through. */
static void
test_default_answers(void)
{
  g_autoptr(Policy) policy = fake_policy("version: 1\ndefault: block\n");
  g_autoptr(Inspection) body = fake_body(API_CHAT, DIRECTION_RESPONSE);
  g_autoptr(Verdict) verdict = judge(policy, "", body);

  g_assert_cmpint(verdict_action(verdict), ==, ACTION_ALLOW);
  g_assert_null(verdict_reason(verdict));
}

static void
test_nothing(void)
{
  g_autoptr(Policy) policy = fake_rules(NULL, 0);
  g_autoptr(Verdict) verdict = judge(policy, "", NULL);
  unsigned n;

  g_assert_cmpint(verdict_action(verdict), ==, ACTION_ALLOW);
  g_assert_null(verdict_reason(verdict));
  verdict_results(verdict, &n);
  g_assert_cmpuint(n, ==, 0);
  g_assert_cmpuint(verdict_timeout(verdict, 60), ==, 60);
  verdict_free(NULL);
}

/* ---- Shadows ----------------------------------------------------------- */

/* A shadow is recorded and does nothing. */
static void
test_shadow(void)
{
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with_findings(pack);

  for (unsigned a = 0; a < 4; a++) {
    g_autofree char *shadow =
        g_strconcat("id: a, shadow: true, ", one_of_each[a], NULL);
    const char *const rules[] = {shadow};
    g_autoptr(Policy) policy = fake_rules(rules, 1);
    g_autoptr(Verdict) verdict = judge(policy, "", body);
    g_autoptr(Verdict) typed = judge(policy, "completions", body);
    const RuleResult *results;
    unsigned n;

    g_assert_cmpint(verdict_action(verdict), ==, ACTION_ALLOW);
    g_assert_cmpint(verdict_action(typed), ==, ACTION_ALLOW);
    g_assert_null(verdict_reason(verdict));
    g_assert_cmpuint(n_approvals(verdict), ==, 0);
    assert_spans(verdict_mask_spans(verdict), "");
    assert_spans(verdict_masked_spans(verdict), "");
    results = verdict_results(verdict, &n);
    g_assert_cmpuint(n, ==, 1);
    g_assert_true(results[0].matched);
    g_assert_cmpint(results[0].effect, ==, (Action)a);
  }
}

/* A shadow allow does not stop the default. */
static void
test_shadow_default(void)
{
  g_autoptr(Policy) policy =
      fake_policy("version: 1\ndefault: block\nrules:\n  - {id: a, match: "
                  "{user: alice}, action: allow, shadow: true}\n");
  g_autoptr(Verdict) verdict = judge(policy, "", NULL);

  g_assert_cmpint(verdict_action(verdict), ==, ACTION_BLOCK);
}

/* ---- Approvals --------------------------------------------------------- */

static void
test_approvals(void)
{
  static const char *const rules[] = {
      "id: a, match: {user: alice}, action: approve, by: developer, "
      "timeout: 90",
      "id: b, match: {user: alice}, action: approve, by: 'reviewer:leads', "
      "timeout: 30",
      "id: c, match: {user: alice}, action: approve",
      "id: d, match: {user: bob}, action: approve, timeout: 5",
  };
  g_autoptr(Policy) policy = fake_rules(rules, 4);
  g_autoptr(Verdict) verdict = judge(policy, "", NULL);
  const PolicyRule *const *needed;
  unsigned n;

  needed = verdict_approvals(verdict, &n);
  g_assert_cmpuint(n, ==, 3);
  g_assert_cmpstr(needed[0]->id, ==, "a");
  g_assert_cmpstr(needed[1]->id, ==, "b");
  g_assert_cmpstr(needed[2]->id, ==, "c");
  g_assert_cmpuint(verdict_timeout(verdict, 120), ==, 30);
  g_assert_cmpstr(id_of(verdict_reason(verdict)), ==, "a");
}

static void
test_timeout_fallback(void)
{
  static const char *const rules[] = {
      "id: c, match: {user: alice}, action: approve"};
  g_autoptr(Policy) policy = fake_rules(rules, 1);
  g_autoptr(Verdict) verdict = judge(policy, "", NULL);

  g_assert_cmpuint(verdict_timeout(verdict, 120), ==, 120);
}

/* Approved masked: what masks mask anyway, and what the approve rules found,
 * and nothing else. */
static void
test_approve_masked(void)
{
  static const struct {
    const char *rules[3];
    const char *mask, *masked;
  } rows[] = {
      {{"id: a, match: {finding: {class: card}}, action: approve"}, "", "5-8"},
      {{"id: a, match: {finding: {class: card}}, action: approve",
        "id: b, match: {finding: {class: secret}}, action: mask"},
       "1-3",
       "1-3 5-8"},
      {{"id: a, match: {user: alice}, action: approve"}, "", ""},
      {{"id: a, match: {user: alice}, action: approve",
        "id: b, match: {finding: {rule: card}}, action: mask"},
       "5-8",
       "5-8"},
      {{"id: a, match: {finding: {min: 1}}, action: approve"}, "", "1-3 5-8"},
      {{"id: a, match: {finding: {min: 3}}, action: approve"}, "", ""},
      {{"id: a, match: {fields: content}, action: approve",
        "id: b, match: {finding: {rule: card}}, action: mask"},
       "5-8",
       "5-8 0-10"},
  };
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with_findings(pack);

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    unsigned n = 0;
    g_autoptr(Policy) policy = NULL;
    g_autoptr(Verdict) verdict = NULL;

    while (n < 3 && rows[i].rules[n] != NULL)
      n++;
    policy = fake_rules(rows[i].rules, n);
    verdict = judge(policy, "", body);
    g_test_message("row %u", i);
    assert_spans(verdict_mask_spans(verdict), rows[i].mask);
    assert_spans(verdict_masked_spans(verdict), rows[i].masked);
  }
}

/* ---- Completions ------------------------------------------------------- */

static void
test_completions(void)
{
  static const struct {
    const char *rule;
    bool findings;
    Action action;
    const char *mask;
  } rows[] = {
      {"match: {user: alice}, action: approve", true, ACTION_BLOCK, ""},
      {"match: {user: alice}, action: approve, completions: block",
       true,
       ACTION_BLOCK,
       ""},
      {"match: {finding: {class: card}}, action: approve, completions: mask",
       true,
       ACTION_MASK,
       "5-8"},
      {"match: {user: alice}, action: approve, completions: mask",
       true,
       ACTION_MASK,
       "1-3 5-8"},
      {"match: {user: alice}, action: approve, completions: mask",
       false,
       ACTION_BLOCK,
       ""},
      {"match: {fields: content}, action: approve, completions: mask",
       false,
       ACTION_MASK,
       "0-10"},
      {"match: {finding: {class: card}}, action: mask",
       true,
       ACTION_MASK,
       "5-8"},
      {"match: {user: alice}, action: allow", true, ACTION_ALLOW, ""},
  };
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with_findings(pack);
  g_autoptr(Inspection) clean = fake_body(API_CHAT, DIRECTION_REQUEST);

  fake_field(clean, "content", FIELD_PROMPT, "0123456789");
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *rule = g_strconcat("id: a, ", rows[i].rule, NULL);
    const char *const rules[] = {rule};
    g_autoptr(Policy) policy = fake_rules(rules, 1);
    g_autoptr(Verdict) verdict =
        judge(policy, "completions", rows[i].findings ? body : clean);

    g_test_message("%s", rule);
    g_assert_cmpint(verdict_action(verdict), ==, rows[i].action);
    g_assert_cmpstr(id_of(verdict_reason(verdict)), ==, "a");
    g_assert_cmpuint(n_approvals(verdict), ==, 0);
    assert_spans(verdict_mask_spans(verdict), rows[i].mask);
  }
}

/* ---- Masks ------------------------------------------------------------- */

static void
test_mask_fields(void)
{
  static const char *const rules[] = {
      "id: a, match: {fields: [password, token]}, action: mask"};
  g_autoptr(Policy) policy = fake_rules(rules, 1);
  g_autoptr(Inspection) body = fake_body(API_OTHER, DIRECTION_RESPONSE);
  g_autoptr(Verdict) verdict = NULL;
  const GArray *found;

  fake_field(body, "user", FIELD_OTHER, "me");
  fake_field(body, "PASSWORD", FIELD_OTHER, "abc");
  fake_field(body, "token", FIELD_OTHER, "");
  fake_field(body, "token", FIELD_OTHER, "12345");
  verdict = judge(policy, "", body);
  g_assert_cmpint(verdict_action(verdict), ==, ACTION_MASK);
  found = verdict_mask_spans(verdict);
  g_assert_cmpuint(found->len, ==, 2);
  g_assert_cmpuint(g_array_index(found, MaskSpan, 0).field, ==, 1);
  g_assert_cmpuint(g_array_index(found, MaskSpan, 0).end, ==, 3);
  g_assert_cmpstr(g_array_index(found, MaskSpan, 0).rule_id, ==, "field");
  g_assert_cmpuint(g_array_index(found, MaskSpan, 1).field, ==, 3);
}

/* How far a mask may be undone is the least that any rule which set it says;
 * one rule's restore does not undo another's mask. */
static void
test_restore(void)
{
  static const struct {
    const char *first, *second;
    Restore secret, card, whole;
  } rows[] = {
      {"none", "none", RESTORE_NONE, RESTORE_NONE, RESTORE_NONE},
      {"text", "none", RESTORE_TEXT, RESTORE_NONE, RESTORE_TEXT},
      {"text", "tools", RESTORE_TEXT, RESTORE_TOOLS, RESTORE_TEXT},
      {"tools", "tools", RESTORE_TOOLS, RESTORE_TOOLS, RESTORE_TOOLS},
  };
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with_findings(pack);

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++)
    for (unsigned both = 0; both < 2; both++) {
      g_autofree char *a = g_strdup_printf(
          "id: a, match: {finding: {class: secret}}, action: mask, "
          "restore: %s",
          rows[i].first);
      g_autofree char *b = g_strdup_printf(
          "id: b, match: {finding: {class: card}}, action: mask, restore: %s",
          rows[i].second);
      const char *const rules[] = {
          a, b, "id: c, match: {finding: {min: 1}}, action: mask"};
      g_autoptr(Policy) policy = fake_rules(rules, both ? 3 : 2);
      g_autoptr(Verdict) verdict = judge(policy, "", body);
      const GArray *found = verdict_mask_spans(verdict);

      g_assert_cmpuint(found->len, ==, 2);
      g_assert_cmpint(g_array_index(found, MaskSpan, 0).restore,
                      ==,
                      both ? RESTORE_NONE : rows[i].secret);
      g_assert_cmpint(g_array_index(found, MaskSpan, 1).restore,
                      ==,
                      both ? RESTORE_NONE : rows[i].card);
      g_assert_cmpint(verdict_restore(verdict), ==, rows[i].whole);
    }
}

/* What only an approval masks is never undone. */
static void
test_restore_asked(void)
{
  static const char *const rules[] = {
      "id: a, match: {finding: {class: secret}}, action: mask, restore: text",
      "id: b, match: {finding: {class: card}}, action: approve"};
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_with_findings(pack);
  g_autoptr(Policy) policy = fake_rules(rules, 2);
  g_autoptr(Verdict) verdict = judge(policy, "", body);
  const GArray *found = verdict_masked_spans(verdict);

  g_assert_cmpuint(found->len, ==, 2);
  g_assert_cmpint(g_array_index(found, MaskSpan, 0).restore, ==, RESTORE_TEXT);
  g_assert_cmpint(g_array_index(found, MaskSpan, 1).restore, ==, RESTORE_NONE);
}

/* The verdict outlives the policy's other owners. */
static void
test_policy_kept(void)
{
  static const char *const rules[] = {
      "id: a, match: {user: alice}, action: block, message: Never."};
  Policy *policy = fake_rules(rules, 1);
  g_autoptr(Verdict) verdict = judge(policy, "", NULL);

  policy_unref(policy);
  g_assert_cmpstr(verdict_reason(verdict)->message, ==, "Never.");
}

/* Findings that the user allowed: rules that say so pass them over, and every
 * rule that would act must say so. */
static void
test_allowed(void)
{
  static const struct {
    const char *rules[2];
    Action action;
    const char *spans, *plan;
  } rows[] = {
#define MASK "match: {finding: {class: secret}}, action: mask"
#define BLOCK "match: {finding: {min: 1}}, action: block"
#define SO ", allow-fingerprints: true"
      {{"id: a, " MASK SO}, ACTION_ALLOW, "", "mask allow"},
      {{"id: a, " MASK}, ACTION_MASK, "1-3", "mask mask"},
      {{"id: a, " MASK SO, "id: b, " MASK}, ACTION_MASK, "1-3", "mask mask"},
      {{"id: a, " MASK, "id: b, " BLOCK SO}, ACTION_BLOCK, "1-3", "block mask"},
      {{"id: a, " MASK SO, "id: b, " BLOCK SO},
       ACTION_BLOCK, /* for the card, which nobody allowed */
       "",
       "block allow"},
      {{"id: a, match: {finding: {rule: aws-key}}, action: block" SO},
       ACTION_ALLOW,
       "",
       "block allow"},
      {{"id: a, match: {finding: {class: secret, min: 1}}, action: mask" SO,
        "id: b, match: {finding: {rule: aws-*}}, action: block"},
       ACTION_BLOCK,
       "",
       "block block"},
#undef MASK
#undef BLOCK
#undef SO
  };
  g_autoptr(RulePack) pack = fake_pack();

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Policy) policy =
        fake_rules(rows[i].rules, rows[i].rules[1] != NULL ? 2 : 1);
    g_autoptr(Inspection) body = fake_body(API_CHAT, DIRECTION_REQUEST);
    g_autoptr(Verdict) verdict = NULL;
    g_autoptr(StreamPlan) plan = NULL;
    g_autofree char *masked = NULL;
    g_autofree char *actions = NULL;
    g_auto(FakeSubject) fake = {0};

    g_test_message("row %u", i);
    fake_field(body, "content", FIELD_PROMPT, "0123456789");
    fake_finding_at(body, fake_rule(pack, "aws-key"), 0, 1, 3);
    fake_allow(body);
    fake_finding_at(body, fake_rule(pack, "card"), 0, 5, 8);
    verdict = judge(policy, "", body);
    g_assert_cmpint(verdict_action(verdict), ==, rows[i].action);
    masked = spans(verdict_mask_spans(verdict));
    g_assert_cmpstr(masked, ==, rows[i].spans);
    fake_subject(&fake, "");
    plan = judge_stream_plan(policy, &fake.subject, pack);
    actions = g_strdup_printf("%s %s",
                              action_name(plan->by_rule[0]),
                              action_name(plan->by_allowed[0]));
    g_assert_cmpstr(actions, ==, rows[i].plan);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/judge/actions/pairs", test_pairs);
  g_test_add_func("/judge/actions/default-block", test_default_block);
  g_test_add_func("/judge/actions/default-answers", test_default_answers);
  g_test_add_func("/judge/actions/nothing", test_nothing);
  g_test_add_func("/judge/actions/shadow", test_shadow);
  g_test_add_func("/judge/actions/shadow-default", test_shadow_default);
  g_test_add_func("/judge/actions/approvals", test_approvals);
  g_test_add_func("/judge/actions/timeout", test_timeout_fallback);
  g_test_add_func("/judge/actions/approve-masked", test_approve_masked);
  g_test_add_func("/judge/actions/completions", test_completions);
  g_test_add_func("/judge/actions/mask-fields", test_mask_fields);
  g_test_add_func("/judge/actions/restore", test_restore);
  g_test_add_func("/judge/actions/restore-asked", test_restore_asked);
  g_test_add_func("/judge/actions/allowed", test_allowed);
  g_test_add_func("/judge/actions/policy-kept", test_policy_kept);
  return g_test_run();
}
