/* SPDX-License-Identifier: Apache-2.0 */
/* What changed between two policies, and whether that tightens or loosens. */

#include "policy/policy.h"

#include <string.h>

#define T POLICY_TIGHTENS
#define L POLICY_LOOSENS
#define U POLICY_UNCLEAR

static Policy *
parse(const char *text)
{
  g_autoptr(GError) error = NULL;
  Policy *policy = policy_parse("p.yaml", text, strlen(text), &error);

  g_assert_no_error(error);
  return policy;
}

static Policy *
one_rule(const char *rule)
{
  g_autofree char *text =
      g_strdup_printf("version: 1\ndefault: allow\ntunnels: allow\ngroups: "
                      "{devs: [a], ops: [b]}\nrules: [%s%s%s]\n",
                      rule != NULL ? "{id: r, " : "",
                      rule != NULL ? rule : "",
                      rule != NULL ? "}" : "");

  return parse(text);
}

/* means < 0: both say the same. */
static const struct {
  const char *a, *b;
  int means;
} rows[] = {
    {"match: {user: x}, action: block",
     "action: block, match: {user: [x]}",
     -1},
    {NULL, "match: {user: x}, action: block", T},
    {"match: {user: x}, action: block", NULL, L},
    {NULL, "match: {user: x}, action: allow", L},
    {NULL, "match: {user: x}, action: block, shadow: true", 0},
    {"match: {user: x}, action: block, shadow: true",
     "match: {user: x}, action: block",
     T},
    {"match: {user: x}, action: block",
     "match: {user: x}, action: block, shadow: true",
     L},
    {"match: {user: x}, action: allow", "match: {user: x}, action: block", T},
    {"match: {user: x}, action: block", "match: {user: x}, action: approve", L},
    {"match: {finding: {class: secret}}, action: mask",
     "match: {finding: {class: secret}}, action: block",
     T},
    {"match: {user: x}, action: block",
     "match: {user: [x, y]}, action: block",
     T},
    {"match: {user: x}, action: allow",
     "match: {user: [x, y]}, action: allow",
     L},
    {"match: {user: [x, y]}, action: block",
     "match: {user: y}, action: block",
     L},
    {"match: {user: x}, action: block",
     "match: {user: 'x*'}, action: block",
     T},
    {"match: {user: x}, action: block", "match: {user: y}, action: block", U},
    {"match: {user: 'x?'}, action: block",
     "match: {user: 'x*'}, action: block",
     U},
    {"match: {user: x}, action: block",
     "match: {user: x, api: chat}, action: block",
     L},
    {"match: {user: x, api: chat}, action: block",
     "match: {user: x}, action: block",
     T},
    {"match: {api: chat}, action: block",
     "match: {api: [chat, mcp]}, action: block",
     T},
    {"match: {group: devs}, action: block",
     "match: {group: '*'}, action: block",
     T},
    {"match: {finding: {min: 3}}, action: block",
     "match: {finding: {min: 1}}, action: block",
     T},
    {"match: {finding: {class: [secret, card]}}, action: mask",
     "match: {finding: {class: secret}}, action: mask",
     L},
    {"match: {prompt: aa}, action: block",
     "match: {prompt: ab}, action: block",
     U},
    {"match: {prompt: aa}, action: block, message: x",
     "match: {prompt: aa}, action: block, message: y",
     0},
    {"match: {size: {min: 1K}}, action: block",
     "match: {size: {min: 2K}}, action: block",
     L},
    {"match: {size: {max: 1K}}, action: block",
     "match: {size: {max: 2K}}, action: block",
     T},
    {"match: {size: {max: 1K}}, action: block",
     "match: {size: {min: 9}}, action: block",
     T | L},
    {"match: {time: {days: mon}}, action: block",
     "match: {time: {days: [mon, tue]}}, action: block",
     T},
    {"match: {time: {days: mon}}, action: block",
     "match: {time: {days: mon, zone: UTC}}, action: block",
     U},
    {"match: {rate: {count: 5, window: 1h}}, action: block",
     "match: {rate: {count: 9, window: 1h}}, action: block",
     L},
    {"match: {rate: {count: 5, window: 1h}}, action: block",
     "match: {rate: {count: 5, window: 2h}}, action: block",
     T},
    {"match: {budget: {tokens: 5, window: 1h}}, action: block",
     "match: {budget: {tokens: 9, window: 1h}}, action: block",
     L},
    {"match: {budget: {tokens: 5, window: 1h}}, action: block",
     "match: {budget: {tokens: 5, bytes: 9, window: 1h}}, action: block",
     T},
    {"match: {budget: {tokens: 5, window: 1h, model: a}}, action: block",
     "match: {budget: {tokens: 5, window: 1h}}, action: block",
     T},
    {"match: {user: x, first-in-session: true}, action: block",
     "match: {user: x, first-in-session: false}, action: block",
     U},
    {"match: {tool: {name: a, arguments: x}}, action: block",
     "match: {tool: {name: a}}, action: block",
     T},
    {"match: {direction: request, finding: {class: a}}, action: mask",
     "match: {finding: {class: a}}, action: mask",
     T},
    {"match: {user: x}, action: approve",
     "match: {user: x}, action: approve, by: [developer, 'reviewer:l']",
     T},
    {"match: {user: x}, action: approve, by: [developer, 'reviewer:l']",
     "match: {user: x}, action: approve, by: {any: [developer, "
     "'reviewer:l']}",
     L},
    {"match: {user: x}, action: approve, by: {any: [developer, "
     "'reviewer:l']}",
     "match: {user: x}, action: approve, by: {any: [developer, 'reviewer:l', "
     "presence]}",
     L},
    {"match: {user: x}, action: approve",
     "match: {user: x}, action: approve, by: 'reviewer:l'",
     U},
    {"match: {user: x}, action: approve",
     "match: {user: x}, action: approve, by: [developer]",
     -1},
    {"match: {user: x}, action: approve",
     "match: {user: x}, action: approve, grants: false",
     T},
    {"match: {user: x}, action: approve",
     "match: {user: x}, action: approve, timeout: 9",
     0},
    {"match: {user: x}, action: approve",
     "match: {user: x}, action: approve, completions: mask",
     L},
    {"match: {finding: {class: a}}, action: mask",
     "match: {finding: {class: a}}, action: mask, restore: text",
     L},
    {"match: {finding: {class: a}}, action: mask, allow-fingerprints: true",
     "match: {finding: {class: a}}, action: mask",
     T},
    {"match: {finding: {class: a}}, action: mask",
     "match: {finding: {class: a}}, action: approve",
     T | L},
};

static void
test_rules(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Policy) a = one_rule(rows[i].a);
    g_autoptr(Policy) b = one_rule(rows[i].b);
    g_autoptr(GPtrArray) changes = policy_diff(a, b);
    const PolicyChange *change;

    g_test_message("%s | %s", rows[i].a, rows[i].b);
    g_assert_cmpuint(changes->len, ==, rows[i].means < 0 ? 0 : 1);
    if (changes->len == 0)
      continue;
    change = changes->pdata[0];
    g_assert_cmpstr(change->id, ==, "r");
    g_assert_cmpint(change->kind,
                    ==,
                    rows[i].a == NULL   ? '+'
                    : rows[i].b == NULL ? '-'
                                        : '~');
    g_assert_cmpint((int)change->means, ==, rows[i].means);
    g_assert_true((change->before != NULL) == (rows[i].a != NULL));
    g_assert_true((change->after != NULL) == (rows[i].b != NULL));
    g_assert_true(change->kind != '~' || change->why->len > 0);
  }
}

static void
test_settings(void)
{
  g_autoptr(Policy) a =
      parse("version: 1\ndefault: allow\ntunnels: block\ngroups: {a: [x], b: "
            "[y]}\n");
  g_autoptr(Policy) b =
      parse("version: 1\ndefault: block\ntunnels: allow\ngroups: {a: [x], c: "
            "[z]}\n");
  g_autoptr(GPtrArray) changes = policy_diff(a, b);
  static const struct {
    const char *id, *why;
    unsigned means;
  } expected[] = {{"default", "allow -> block", T},
                  {"tunnels", "block -> allow", L},
                  {"b", "group [y] -> []", U},
                  {"c", "group [] -> [z]", U}};

  g_assert_cmpuint(changes->len, ==, G_N_ELEMENTS(expected));
  for (guint i = 0; i < changes->len; i++) {
    const PolicyChange *change = changes->pdata[i];

    g_assert_cmpint(change->kind, ==, '=');
    g_assert_cmpstr(change->id, ==, expected[i].id);
    g_assert_cmpstr(change->why->pdata[0], ==, expected[i].why);
    g_assert_cmpuint(change->means, ==, expected[i].means);
  }
}

static void
test_words(void)
{
  g_assert_cmpstr(policy_means(0), ==, "lets through as much");
  g_assert_cmpstr(policy_means(T), ==, "tightens");
  g_assert_cmpstr(policy_means(L), ==, "loosens");
  g_assert_cmpstr(policy_means(T | L), ==, "tightens and loosens");
  g_assert_cmpstr(policy_means(T | U), ==, "changes");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/diff/rules", test_rules);
  g_test_add_func("/policy/diff/settings", test_settings);
  g_test_add_func("/policy/diff/words", test_words);
  return g_test_run();
}
