/* SPDX-License-Identifier: Apache-2.0 */
/* The rule pack's loader: what it reads, what it refuses, what its hash
 * names. */

#include "policy/policy.h"

#include <glib/gstdio.h>
#include <string.h>

#define HEAD "version: 1\nrules:\n"
#define RULE "  - {id: one, class: secret, regex: 'k[0-9]{4}'}\n"

static RulePack *
parse(const char *text, GError **error)
{
  return rule_pack_parse("r.yaml", text, strlen(text), error);
}

static void
test_all_keys(void)
{
  static const char text[] = "version: 1\n"
                             "rules:\n"
                             "  - id: card-number\n"
                             "    description: A payment card's number\n"
                             "    class: card\n"
                             "    kind: quoted\n"
                             "    keywords: [card, pan]\n"
                             "    regex: '(?<secret>[0-9]{13,19})'\n"
                             "    entropy: 2.5\n"
                             "    check: luhn\n"
                             "    allow: ['^0+$']\n"
                             "    enabled: false\n"
                             "    examples: ['4111111111111111']\n"
                             "    counter-examples: ['1', '2']\n"
                             "  - {id: plain, class: secret, regex: abc}\n";
  g_autoptr(GError) error = NULL;
  g_autoptr(RulePack) pack = parse(text, &error);
  const DetectorRule *const *rules;
  unsigned n;

  g_assert_no_error(error);
  rules = rule_pack_rules(pack, &n);
  g_assert_cmpuint(n, ==, 2);
  g_assert_cmpuint(rules[0]->index, ==, 0);
  g_assert_cmpstr(rules[0]->id, ==, "card-number");
  g_assert_cmpstr(rules[0]->description, ==, "A payment card's number");
  g_assert_cmpstr(rules[0]->class_name, ==, "card");
  g_assert_cmpint(rules[0]->kind, ==, DETECT_QUOTED);
  g_assert_cmpstr(rules[0]->keywords[1], ==, "pan");
  g_assert_cmpstr(rules[0]->regex, ==, "(?<secret>[0-9]{13,19})");
  g_assert_cmpfloat(rules[0]->entropy, ==, 2.5);
  g_assert_cmpint(rules[0]->check, ==, CHECK_LUHN);
  g_assert_cmpstr(rules[0]->allow[0], ==, "^0+$");
  g_assert_false(rules[0]->enabled);
  g_assert_cmpstr(rules[0]->examples[0], ==, "4111111111111111");
  g_assert_cmpuint(g_strv_length(rules[0]->counter_examples), ==, 2);
  g_assert_cmpstr(rules[0]->origin, ==, "r.yaml:3");
  g_assert_cmpuint(rules[1]->index, ==, 1);
  g_assert_true(rules[1]->enabled);
  g_assert_null(rules[1]->keywords);
  g_assert_cmpint(rules[1]->kind, ==, DETECT_TOKEN);
  g_assert_cmpint(rules[1]->check, ==, CHECK_NONE);
  g_assert_cmpstr(rules[1]->description, ==, "plain");
}

static void
test_errors(void)
{
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"", "1:1: the file holds no document"},
      {"version: 1\n", "1:1: a rule file needs \"rules\""},
      {"rules: []\n", "1:1: a rule file needs \"version\""},
      {"version: 1\nrules: {}\n", "2:8: \"rules\" must be a list"},
      {"version: 1\nrule: []\n",
       "2:1: unknown key \"rule\" in a rule file; did you mean \"rules\"?"},
      {HEAD "  - {class: secret, regex: a}\n",
       "3:5: a detector rule needs \"id\""},
      {HEAD "  - {id: a, regex: a}\n", "3:5: a detector rule needs \"class\""},
      {HEAD "  - {id: a, class: secret}\n",
       "3:5: a detector rule needs \"regex\""},
      {HEAD RULE RULE, "4:10: rule \"one\" is there already (r.yaml:3)"},
      {HEAD "  - {id: a, class: secret, regex: 'a('}\n",
       "3:35: \"regex\" does not compile: missing closing parenthesis at "
       "character 3"},
      {HEAD "  - {id: a, class: secret, regex: 'a*'}\n",
       "3:35: \"regex\" matches the empty text"},
      {HEAD "  - {id: a, class: secret, regex: a, allow: '('}\n",
       "3:45: \"allow\" does not compile: missing closing parenthesis at "
       "character 2"},
      {HEAD "  - {id: a, class: secret, regex: a, kind: word}\n",
       "3:44: \"kind\" cannot be \"word\" (one of: token, quoted, block)"},
      {HEAD "  - {id: a, class: secret, regex: a, check: lunh}\n",
       "3:45: \"check\" cannot be \"lunh\"; did you mean \"luhn\"?"},
      {HEAD "  - {id: a, class: secret, regex: a, entropy: 9}\n",
       "3:47: \"entropy\" must be a number from 0 to 8"},
      {HEAD "  - {id: a, class: secret, regex: a, entropy: nan}\n",
       "3:47: \"entropy\" must be a number from 0 to 8"},
      {HEAD "  - {id: a, class: secret, regex: a, keywords: [Key]}\n",
       "3:48: \"keywords\" must be lower case"},
      {HEAD "  - {id: a, class: Secret, regex: a}\n",
       "3:20: \"class\" must be a lower-case letter and then letters, digits "
       "and hyphens, at most 48"},
      {HEAD "  - {id: a, class: secret, regex: a, exmples: [a]}\n",
       "3:38: unknown key \"exmples\" in a detector rule; did you mean "
       "\"examples\"?"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *message = g_strconcat("r.yaml:", cases[i].message, NULL);

    g_assert_null(parse(cases[i].text, &error));
    g_assert_nonnull(error);
    g_assert_cmpstr(error->message, ==, message);
  }
}

/* The hash names the compiled database: what is compiled changes it, what is
 * only said does not. */
static void
test_hash(void)
{
  static const char *const same[] = {
      HEAD "  - {id: a, class: secret, regex: abc}\n",
      "{version: 1, rules: [{regex: \"abc\", class: token, id: a, "
      "description: X}]}",
  };
  static const char *const other[] = {
      HEAD "  - {id: b, class: secret, regex: abc}\n",
      HEAD "  - {id: a, class: secret, regex: abd}\n",
      HEAD "  - {id: a, class: secret, regex: abc, enabled: false}\n",
      HEAD "  - {id: a, class: secret, regex: abc, kind: block}\n",
  };
  g_autoptr(RulePack) first = parse(same[0], NULL);
  g_autoptr(RulePack) second = parse(same[1], NULL);

  g_assert_cmpuint(strlen(rule_pack_hash(first)), ==, 64);
  g_assert_cmpstr(rule_pack_hash(first), ==, rule_pack_hash(second));
  for (unsigned i = 0; i < G_N_ELEMENTS(other); i++) {
    g_autoptr(RulePack) pack = parse(other[i], NULL);

    g_assert_nonnull(pack);
    g_assert_cmpstr(rule_pack_hash(first), !=, rule_pack_hash(pack));
  }
}

static void
write_file(const char *dir, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename(dir, name, NULL);
  g_autoptr(GError) error = NULL;

  g_file_set_contents(path, text, -1, &error);
  g_assert_no_error(error);
}

static void
remove_file(const char *dir, const char *name)
{
  g_autofree char *path = g_build_filename(dir, name, NULL);

  g_assert_cmpint(g_remove(path), ==, 0);
}

static void
test_dir(void)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *dir = g_dir_make_tmp("policy-XXXXXX", &error);
  g_autoptr(RulePack) pack = NULL;
  g_autofree char *twice = NULL;
  const DetectorRule *const *rules;
  unsigned n;

  g_assert_no_error(error);
  g_assert_null(rule_pack_load_dir("/nonexistent", &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_READ);
  g_clear_error(&error);
  g_assert_null(rule_pack_load_dir(dir, &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_READ);
  g_clear_error(&error);

  write_file(dir, "20.yaml", HEAD "  - {id: b, class: secret, regex: b}\n");
  write_file(dir, "10.yaml", HEAD "  - {id: a, class: secret, regex: a}\n");
  write_file(dir, "notes.txt", "not a rule file");
  write_file(dir, ".hidden.yaml", "not a rule file");
  pack = rule_pack_load_dir(dir, &error);
  g_assert_no_error(error);
  rules = rule_pack_rules(pack, &n);
  g_assert_cmpuint(n, ==, 2);
  g_assert_cmpstr(rules[0]->id, ==, "a");
  g_assert_cmpstr(rules[1]->id, ==, "b");
  g_assert_cmpuint(rules[1]->index, ==, 1);

  write_file(dir, "30.yaml", HEAD "  - {id: a, class: secret, regex: c}\n");
  g_assert_null(rule_pack_load_dir(dir, &error));
  twice = g_strdup_printf(
      "%s/30.yaml:3:10: rule \"a\" is there already (%s/10.yaml:3)", dir, dir);
  g_assert_cmpstr(error->message, ==, twice);

  remove_file(dir, "10.yaml");
  remove_file(dir, "20.yaml");
  remove_file(dir, "30.yaml");
  remove_file(dir, "notes.txt");
  remove_file(dir, ".hidden.yaml");
  g_assert_cmpint(g_rmdir(dir), ==, 0);
}

static void
assert_same_list(char **a, char **b)
{
  g_assert_cmpint(a == NULL, ==, b == NULL);
  if (a != NULL)
    g_assert_cmpstrv(a, b);
}

/* All that the engine reads survives; cut or changed bytes do not load. */
static void
test_freeze(void)
{
  g_autofree char *dir =
      g_test_build_filename(G_TEST_DIST, "..", "policy", "rules.d", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(RulePack) pack = rule_pack_load_dir(dir, &error);
  g_autoptr(GBytes) frozen = NULL;
  g_autoptr(RulePack) again = NULL;
  const DetectorRule *const *a, *const *b;
  const char *bytes;
  unsigned n, n_again;
  gsize len;

  g_assert_no_error(error);
  frozen = rule_pack_freeze(pack);
  again = rule_pack_thaw(frozen);
  g_assert_nonnull(again);
  g_assert_cmpstr(rule_pack_hash(pack), ==, rule_pack_hash(again));
  a = rule_pack_rules(pack, &n);
  b = rule_pack_rules(again, &n_again);
  g_assert_cmpuint(n, ==, n_again);
  for (unsigned i = 0; i < n; i++) {
    DetectorRule plain = *b[i];

    g_assert_cmpstr(a[i]->id, ==, b[i]->id);
    g_assert_cmpstr(a[i]->description, ==, b[i]->description);
    g_assert_cmpstr(a[i]->class_name, ==, b[i]->class_name);
    g_assert_cmpstr(a[i]->regex, ==, b[i]->regex);
    g_assert_cmpstr(a[i]->origin, ==, b[i]->origin);
    assert_same_list(a[i]->keywords, b[i]->keywords);
    assert_same_list(a[i]->allow, b[i]->allow);
    g_assert_null(b[i]->examples);
    g_assert_null(b[i]->counter_examples);
    /* The rest is numbers: equal once the pointers are. */
    plain.id = a[i]->id;
    plain.description = a[i]->description;
    plain.class_name = a[i]->class_name;
    plain.regex = a[i]->regex;
    plain.origin = a[i]->origin;
    plain.keywords = a[i]->keywords;
    plain.allow = a[i]->allow;
    plain.examples = a[i]->examples;
    plain.counter_examples = a[i]->counter_examples;
    g_assert_cmpmem(&plain, sizeof(plain), a[i], sizeof(*a[i]));
  }
  bytes = g_bytes_get_data(frozen, &len);
  for (gsize cut = 0; cut < len; cut += 1 + cut / 50) {
    g_autoptr(GBytes) part = g_bytes_new(bytes, cut);

    g_assert_null(rule_pack_thaw(part));
  }
  for (gsize at = 0; at < len; at += 1 + at / 50) {
    char *other = g_memdup2(bytes, len);
    g_autoptr(GBytes) changed = g_bytes_new_take(other, len);
    g_autoptr(RulePack) loaded = NULL;

    other[at] ^= 0x81;
    loaded = rule_pack_thaw(changed); /* refused or not, never out of bounds */
  }
}

static void
test_digest(void)
{
  g_autofree char *dir = g_dir_make_tmp("rules-XXXXXX", NULL);
  uint8_t first[32], same[32], other[32];
  g_autoptr(GError) error = NULL;

  g_assert_false(rule_pack_digest_dir("/nonexistent", first, &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_READ);
  g_clear_error(&error);
  write_file(dir, "10.yaml", HEAD "  - {id: a, class: secret, regex: a}\n");
  g_assert_true(rule_pack_digest_dir(dir, first, &error));
  g_assert_true(rule_pack_digest_dir(dir, same, &error));
  g_assert_cmpmem(first, 32, same, 32);
  write_file(dir, "10.yaml", HEAD "  - {id: a, class: secret, regex: b}\n");
  g_assert_true(rule_pack_digest_dir(dir, other, &error));
  g_assert_true(memcmp(first, other, 32) != 0);
  write_file(dir, "10.yaml", HEAD "  - {id: a, class: secret, regex: a}\n");
  write_file(dir, "20.yaml", HEAD "  - {id: b, class: secret, regex: a}\n");
  g_assert_true(rule_pack_digest_dir(dir, other, &error));
  g_assert_true(memcmp(first, other, 32) != 0);
  remove_file(dir, "10.yaml");
  remove_file(dir, "20.yaml");
  g_assert_cmpint(g_rmdir(dir), ==, 0);
}

static void
test_references(void)
{
  RulePack *pack = parse(HEAD RULE, NULL);
  RulePack *same = rule_pack_ref(pack);
  unsigned n;

  rule_pack_unref(pack);
  rule_pack_rules(same, &n);
  g_assert_cmpuint(n, ==, 1);
  rule_pack_unref(same);
  rule_pack_unref(NULL);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/rules/keys", test_all_keys);
  g_test_add_func("/policy/rules/errors", test_errors);
  g_test_add_func("/policy/rules/hash", test_hash);
  g_test_add_func("/policy/rules/folder", test_dir);
  g_test_add_func("/policy/rules/references", test_references);
  g_test_add_func("/policy/rules/freeze", test_freeze);
  g_test_add_func("/policy/rules/digest", test_digest);
  return g_test_run();
}
