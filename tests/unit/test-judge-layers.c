/* SPDX-License-Identifier: Apache-2.0 */
/* What the central layer says, whatever the system and user layers add: every
 * pair of a central policy and an attempt to weaken it. */

#include "judge-fake.h"

#include <string.h>

#define V "version: 1\n"

/* Each says all that it needs, but the default where it is not about that. */
static const struct {
  const char *name, *text;
  bool own_default; /* else the system layer's `allow` is there, too */
} central[] = {
    {"block", V "rules: [{id: c, match: {user: al*}, action: block}]\n", false},
    {"block by group",
     V "groups: {staff: [devs]}\n"
       "rules: [{id: c, match: {group: staff}, action: block}]\n",
     false},
    {"block by identity group",
     V "groups: {staff: [devs]}\n"
       "rules: [{id: c, match: {group: devs}, action: block}]\n",
     false},
    {"mask",
     V "rules: [{id: c, match: {finding: {class: secret}}, action: "
       "mask}]\n",
     false},
    {"mask, restored in text",
     V "rules: [{id: c, match: {finding: {class: secret}}, action: mask, "
       "restore: text}]\n",
     false},
    {"mask fields",
     V "rules: [{id: c, match: {fields: [content]}, action: mask}]\n",
     false},
    {"approve",
     V "rules: [{id: c, match: {user: '*'}, action: approve, by: "
       "[presence, 'reviewer:leads'], timeout: 30}]\n",
     false},
    {"approve, completions block",
     V "rules: [{id: c, match: {finding: {class: secret}}, action: approve, "
       "completions: block}]\n",
     false},
    {"default block", V "default: block\n", true},
    {"default block but for one",
     V "default: block\nrules: [{id: c, match: {user: bob}, action: allow}]\n",
     true},
    {"default block, mask",
     V "default: block\nrules: [{id: c, match: {finding: {class: secret}}, "
       "action: mask}, {id: d, match: {api: chat}, action: allow}]\n",
     true},
    {"tunnels block", V "tunnels: block\ndefault: allow\n", true},
    {"allow",
     V "default: block\nrules: [{id: c, match: {user: alice}, action: "
       "allow}]\n",
     true},
};

static const struct {
  const char *text;
  PolicyLayer layer;
} attempts[] = {
    {V "default: allow\n", LAYER_SYSTEM},
    {V "tunnels: allow\n", LAYER_SYSTEM},
    {V "groups: {staff: [nobody]}\n", LAYER_SYSTEM},
    {V "rules: [{id: a, match: {user: '*'}, action: allow}]\n", LAYER_SYSTEM},
    {V "rules: [{id: a, match: {api: chat}, action: allow}, {id: b, match: "
       "{api: completions}, action: allow}]\n",
     LAYER_SYSTEM},
    {V "rules: [{id: a, match: {finding: {class: '*'}}, action: mask, restore: "
       "tools, allow-fingerprints: true}]\n",
     LAYER_SYSTEM},
    {V "rules: [{id: a, match: {fields: [content]}, action: mask, restore: "
       "tools}]\n",
     LAYER_SYSTEM},
    {V "rules: [{id: a, match: {user: '*'}, action: approve, by: {any: "
       "[developer]}, timeout: 1d, completions: mask}]\n",
     LAYER_SYSTEM},
    {V "rules: [{id: a, match: {user: '*'}, action: block, shadow: true}, {id: "
       "b, match: {finding: {class: secret}}, action: mask, shadow: true}]\n",
     LAYER_SYSTEM},
    {V "rules: [{id: a, match: {user: '*'}, action: approve}]\n", LAYER_USER},
    {V "rules: [{id: a, match: {finding: {class: '*'}}, action: mask, "
       "allow-fingerprints: true}]\n",
     LAYER_USER},
};

static const char *const subjects[] = {"",
                                       "user=bob; groups=sales",
                                       "user=alice; groups=devs",
                                       "groups"};

static Policy *
load(const char *top, bool own_default, const char *more, PolicyLayer layer)
{
  const PolicyText texts[] = {
      {"c", top, strlen(top), LAYER_CENTRAL},
      {"s", V "default: allow\n", strlen(V "default: allow\n"), LAYER_SYSTEM},
      {"m", more, strlen(more), layer}};
  PolicyText picked[3] = {texts[0]};
  unsigned n = 1;
  g_autoptr(GError) error = NULL;
  Policy *policy;

  if (!own_default)
    picked[n++] = texts[1];
  if (more[0] != '\0')
    picked[n++] = texts[2];
  policy = policy_parse_layers(picked, n, &error);
  g_assert_no_error(error);
  return policy;
}

static Inspection *
body_of(RulePack *pack, unsigned kind)
{
  Inspection *body =
      fake_body(kind == 1 ? API_COMPLETIONS : API_CHAT,
                kind == 3 ? DIRECTION_RESPONSE : DIRECTION_REQUEST);

  fake_field(body, "content", FIELD_PROMPT, "0123456789");
  if (kind != 2)
    fake_finding_at(body, fake_rule(pack, "aws-key"), 0, 1, 3);
  if (kind == 4)
    fake_allow(body);
  return body;
}
#define N_BODIES 5

static Verdict *
judge(Policy *policy, const char *spec, const Inspection *body, bool typed)
{
  g_auto(FakeSubject) fake = {0};

  fake_subject(&fake, spec);
  fake.subject.completions = typed;
  return judge_body(policy, &fake.subject, body, false, NULL, NULL);
}

/* Every span of a is one of b, and restored no further (who asks says nothing
 * of that). */
static void
assert_masked_in(const GArray *a, const GArray *b, bool restore)
{
  for (guint i = 0; i < a->len; i++) {
    const MaskSpan *one = &g_array_index(a, MaskSpan, i);
    bool found = false;

    for (guint j = 0; j < b->len; j++) {
      const MaskSpan *other = &g_array_index(b, MaskSpan, j);

      found |= other->field == one->field && other->start == one->start &&
               other->end == one->end &&
               (!restore || other->restore <= one->restore);
    }
    g_assert_true(found);
  }
}

static void
assert_approved_in(const Verdict *a, const Verdict *b)
{
  unsigned n, m;
  const PolicyRule *const *asked = verdict_approvals(a, &n);
  const PolicyRule *const *still = verdict_approvals(b, &m);

  for (unsigned i = 0; i < n; i++) {
    bool found = false;

    for (unsigned j = 0; j < m; j++)
      found |= g_str_equal(asked[i]->id, still[j]->id);
    g_assert_true(found);
  }
  if (n > 0)
    g_assert_cmpuint(verdict_timeout(b, 120), <=, verdict_timeout(a, 120));
}

static void
assert_no_weaker(Policy *alone, Policy *both, RulePack *pack)
{
  g_assert_true(policy_tunnels(alone) == ACTION_ALLOW ||
                policy_tunnels(both) == ACTION_BLOCK);
  for (unsigned b = 0; b < N_BODIES; b++)
    for (unsigned s = 0; s < G_N_ELEMENTS(subjects); s++) {
      g_autoptr(Inspection) body = body_of(pack, b);
      g_autoptr(Verdict) was = judge(alone, subjects[s], body, b == 1);
      g_autoptr(Verdict) is = judge(both, subjects[s], body, b == 1);

      g_test_message("body %u, %s", b, subjects[s]);
      g_assert_cmpint(verdict_action(is), >=, verdict_action(was));
      assert_masked_in(verdict_mask_spans(was), verdict_mask_spans(is), true);
      assert_masked_in(
          verdict_masked_spans(was), verdict_masked_spans(is), false);
      assert_approved_in(was, is);
    }
}

static void
test_pairs(void)
{
  g_autoptr(RulePack) pack = fake_pack();

  for (unsigned c = 0; c < G_N_ELEMENTS(central); c++) {
    /* Tunnels are somebody's, too, where central does not say. */
    g_autoptr(Policy) alone =
        load(central[c].text, central[c].own_default, "", LAYER_SYSTEM);

    for (unsigned a = 0; a < G_N_ELEMENTS(attempts); a++) {
      g_autoptr(Policy) both = load(central[c].text,
                                    central[c].own_default,
                                    attempts[a].text,
                                    attempts[a].layer);

      g_test_message("%s + %s", central[c].name, attempts[a].text);
      if (strstr(central[c].text, "tunnels") == NULL &&
          strstr(attempts[a].text, "tunnels") != NULL)
        continue; /* central leaves them to others */
      assert_no_weaker(alone, both, pack);
    }
  }
}

/* Allow rules stop the default of their own layer or a later one. */
static void
test_default(void)
{
  static const struct {
    const char *central, *system;
    Action expected;
  } cases[] = {
      {V "default: block\n",
       V "rules: [{id: a, match: {user: '*'}, action: allow}]\n",
       ACTION_BLOCK},
      {V
       "default: block\nrules: [{id: a, match: {user: '*'}, action: allow}]\n",
       V,
       ACTION_ALLOW},
      {V "rules: [{id: a, match: {user: '*'}, action: allow}]\n",
       V "default: block\n",
       ACTION_ALLOW},
      {V,
       V
       "default: block\nrules: [{id: a, match: {user: '*'}, action: allow}]\n",
       ACTION_ALLOW},
      {V,
       V "rules: [{id: a, match: {user: '*'}, action: allow}]\n",
       ACTION_ALLOW},
      {V, V, ACTION_BLOCK},
  };
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = body_of(pack, 2);

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Policy) policy =
        load(cases[i].central, true, cases[i].system, LAYER_SYSTEM);
    g_autoptr(Verdict) verdict = judge(policy, "", body, false);

    g_assert_cmpint(verdict_action(verdict), ==, cases[i].expected);
  }
}

static void
test_warning(void)
{
  g_autoptr(Policy) policy =
      load(V "default: block\n",
           true,
           V "rules: [{id: a, match: {user: '*'}, action: allow}]\n",
           LAYER_SYSTEM);
  g_auto(GStrv) warnings = policy_warnings(policy, NULL);

  g_assert_true(g_strv_contains(
      (const char *const *)warnings,
      "m:2: rule \"a\": allows nothing that \"default\" of the central layer "
      "(c:2) blocks"));
}

/* What a name means to the central layer it means for good. */
static void
test_groups(void)
{
  static const char top[] = V "groups: {staff: [devs]}\n"
                              "rules: [{id: c, match: {group: devs}, action: "
                              "block}]\n";
  static const char more[] = V "groups: {devs: [nobody]}\n";
  const PolicyText texts[] = {{"c", top, strlen(top), LAYER_CENTRAL},
                              {"s", more, strlen(more), LAYER_SYSTEM}};
  g_autoptr(GError) error = NULL;

  g_assert_null(policy_parse_layers(texts, 2, &error));
  g_assert_cmpstr(error->message,
                  ==,
                  "s:2:10: \"devs\" is an identity group of \"staff\" (central "
                  "layer, c:2) and cannot be another group here");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/judge/layers/pairs", test_pairs);
  g_test_add_func("/judge/layers/default", test_default);
  g_test_add_func("/judge/layers/warning", test_warning);
  g_test_add_func("/judge/layers/groups", test_groups);
  return g_test_run();
}
