/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-policy(5) tells the truth: its examples load, and every key of the
 * format has its entry. */

#include "policy/policy.h"

#include <string.h>

static char *
read_page(void)
{
  g_autofree char *path =
      g_test_build_filename(G_TEST_DIST, "..", "man", "hoop-policy.5", NULL);
  g_autoptr(GError) error = NULL;
  char *page = NULL;

  g_file_get_contents(path, &page, NULL, &error);
  g_assert_no_error(error);
  return page;
}

/* The text of each .EX … .EE, with roff's escapes undone. */
static GPtrArray *
examples(const char *page)
{
  GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
  g_auto(GStrv) lines = g_strsplit(page, "\n", -1);
  GString *text = NULL;

  for (char **line = lines; *line != NULL; line++) {
    if (strcmp(*line, ".EX") == 0) {
      text = g_string_new(NULL);
    } else if (strcmp(*line, ".EE") == 0) {
      g_string_replace(text, "\\e", "\\", 0);
      g_ptr_array_add(found, g_string_free(text, FALSE));
      text = NULL;
    } else if (text != NULL) {
      g_string_append_printf(text, "%s\n", *line);
    }
  }
  return found;
}

static void
load_rule(const char *text)
{
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_autoptr(GString) file = g_string_new("version: 1\nrules:\n");
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = NULL;

  for (char **line = lines; *line != NULL; line++)
    g_string_append_printf(file, "  %s\n", *line);
  policy = policy_parse("man", file->str, file->len, &error);
  g_assert_no_error(error);
}

static char *
without_include(const char *text)
{
  g_autoptr(GString) out = g_string_new(text);
  const char *at = strstr(out->str, "\ninclude: ");

  if (at != NULL)
    g_string_erase(out, at - out->str, (gssize)strcspn(at + 1, "\n") + 1);
  return g_strdup(out->str);
}

static void
test_examples(void)
{
  g_autofree char *page = read_page();
  g_autoptr(GPtrArray) texts = examples(page);
  unsigned policies = 0, rules = 0, packs = 0, cases = 0;

  for (guint i = 0; i < texts->len; i++) {
    const char *text = texts->pdata[i];
    g_autoptr(GError) error = NULL;

    if (g_str_has_prefix(text, "- ")) {
      load_rule(text);
      rules++;
    } else if (strstr(text, "\ncases:") != NULL) {
      g_autoptr(PolicyCases) file =
          policy_cases_parse("man", text, strlen(text), &error);

      g_assert_no_error(error);
      cases++;
    } else if (strstr(text, "regex:") != NULL) {
      g_autoptr(RulePack) pack =
          rule_pack_parse("man", text, strlen(text), &error);

      g_assert_no_error(error);
      packs++;
    } else {
      /* What it includes is not in the page. */
      g_autofree char *alone = without_include(text);
      g_autoptr(Policy) policy =
          policy_parse("man", alone, strlen(alone), &error);

      g_assert_no_error(error);
      policies++;
    }
  }
  g_assert_cmpuint(policies, ==, 3);
  g_assert_cmpuint(rules, ==, N_MATCH_KEYS + 6);
  g_assert_cmpuint(packs, ==, 1);
  g_assert_cmpuint(cases, ==, 1);
}

/* Each has its entry, and stands in an example (all of which load). */
static void
assert_told(const char *page, const GPtrArray *texts, const char *key)
{
  g_autofree char *entry = g_strdup_printf(".TP\n.B %s\n", key);
  g_autofree char *word =
      g_strdup_printf("(^|[ {,])%s: ?[^ ]", key); /* as a key, with a value */
  bool shown = false;

  g_test_message("%s", key);
  g_assert_nonnull(strstr(page, entry));
  for (guint i = 0; i < texts->len; i++)
    shown |= g_regex_match_simple(
        word, texts->pdata[i], G_REGEX_MULTILINE, (GRegexMatchFlags)0);
  g_assert_true(shown);
}

/* Whatever the loader takes. */
static void
test_keys(void)
{
  g_autofree char *page = read_page();
  g_autoptr(GPtrArray) texts = examples(page);

  for (const char *const *key = policy_file_keys(); *key != NULL; key++)
    assert_told(page, texts, *key);
  for (const char *const *key = policy_rule_keys(); *key != NULL; key++)
    assert_told(page, texts, *key);
  for (unsigned i = 0; i < N_MATCH_KEYS; i++)
    assert_told(page, texts, match_key_name((MatchKey)i));
}

/* The page names each rule of the shipped policy. */
static void
test_default(void)
{
  g_autofree char *page = read_page();
  g_autofree char *path =
      g_test_build_filename(G_TEST_DIST, "..", "policy", "default.yaml", NULL);
  const PolicySource source = {path, LAYER_SYSTEM};
  g_autoptr(Policy) policy = policy_load(&source, 1, NULL);
  const PolicyRule *const *rules;
  unsigned n;

  g_assert_nonnull(policy);
  rules = policy_rules(policy, &n);
  for (unsigned i = 0; i < n; i++) {
    g_test_message("%s", rules[i]->id);
    g_assert_nonnull(strstr(page, rules[i]->id));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/man/examples", test_examples);
  g_test_add_func("/policy/man/keys", test_keys);
  g_test_add_func("/policy/man/default", test_default);
  return g_test_run();
}
