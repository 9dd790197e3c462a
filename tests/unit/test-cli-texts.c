/* SPDX-License-Identifier: Apache-2.0 */
/* Marked blocks, differences, Codex's configuration, and text that must not
 * act on a terminal. */
#include "cli/block.h"
#include "cli/diff.h"
#include "cli/plan.h"
#include <string.h>

/* ---- Blocks --------------------------------------------------------------
 */

static void
test_blocks_come_and_go(void)
{
  static const char *const texts[] = {
      "", "x\n", "x", "x\n\n", "# >>> hoop-agent other >>>\n", "\n", "a\r\n"};

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autofree char *one = block_append(texts[i], "one", "1\n");
    g_autofree char *two = block_append(one, "two", "2\n");
    g_autofree char *top = block_prepend(two, "top", "0\n");
    g_autofree char *no_top = block_remove(top, "top");
    g_autofree char *only_two = block_remove(no_top, "one");
    g_autofree char *only_one = block_remove(no_top, "two");
    g_autofree char *none = block_remove(only_two, "two");
    g_autofree char *none_too = block_remove(only_one, "one");

    g_assert_true(block_has(top, "one") && block_has(top, "two") &&
                  block_has(top, "top"));
    g_assert_false(block_has(only_two, "one"));
    g_assert_cmpstr(no_top, ==, two);
    g_assert_cmpstr(only_one, ==, one);
    g_assert_cmpstr(none, ==, texts[i]);
    g_assert_cmpstr(none_too, ==, texts[i]);
  }
}

static void
test_half_a_block_is_none(void)
{
  static const char *const texts[] = {
      "# >>> hoop-agent one >>>\n1\n",
      "1\n# <<< hoop-agent one <<<\n",
      "# <<< hoop-agent one <<<\n# >>> hoop-agent one >>>\n",
      "echo '# >>> hoop-agent one >>>'\n# <<< hoop-agent one <<<\n",
      "# >>> hoop-agent one >>>\n1\n# <<< hoop-agent one <<< mine\n",
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autofree char *after = block_remove(texts[i], "one");

    g_assert_false(block_has(texts[i], "one"));
    g_assert_cmpstr(after, ==, texts[i]);
  }
}

/* ---- Differences ---------------------------------------------------------
 */

static void
test_differences(void)
{
  static const struct {
    const char *before, *after, *diff;
  } cases[] = {
      {"", "", ""},
      {"a\n", "a\n", ""},
      {"", "a\n", "@@ -0,0 +1,1 @@\n+a\n"},
      {"a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
      {"a\nb\n", "a\nc\n", "@@ -1,2 +1,2 @@\n a\n-b\n+c\n"},
      {"a", "a\n", "@@ -1,1 +1,1 @@\n-a\n\\ no newline at the end\n+a\n"},
      {"1\n2\n3\n4\n5\n6\n7\n8\n9\n",
       "1\n2\n3\n4\nx\n5\n6\n7\n8\n9\n",
       "@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+x\n 5\n 6\n 7\n"},
      {"1\n2\n3\n4\n5\n6\n7\n8\n9\n",
       "x\n2\n3\n4\n5\n6\n7\n8\ny\n",
       "@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n"
       "@@ -6,4 +6,4 @@\n 6\n 7\n 8\n-9\n+y\n"},
      {"a\nb\nc\nd\n", "b\nx\nd\n", "@@ -1,4 +1,3 @@\n-a\n b\n-c\n+x\n d\n"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *diff = diff_text(cases[i].before, cases[i].after);

    g_assert_cmpstr(diff, ==, cases[i].diff);
  }
}

/* Beyond the table's size the middle is replaced whole, in bounded time. */
static void
test_large_difference(void)
{
  g_autoptr(GString) a = g_string_new("same\n");
  g_autoptr(GString) b = g_string_new("same\n");
  g_autofree char *diff = NULL;

  for (unsigned i = 0; i < 5000; i++) {
    g_string_append_printf(a, "a%u\n", i);
    g_string_append_printf(b, "b%u\n", i);
  }
  diff = diff_text(a->str, b->str);
  g_assert_true(g_str_has_prefix(diff, "@@ -1,5001 +1,5001 @@\n same\n-a0\n"));
  g_assert_true(g_str_has_suffix(diff, "+b4999\n"));
}

/* ---- config.toml ---------------------------------------------------------
 */

#define TOP                                                                    \
  "# >>> hoop-agent codex >>>\nmodel_provider = \"hoop-agent\"\n# <<< "        \
  "hoop-agent codex <<<\n"
#define TABLE                                                                  \
  "# >>> hoop-agent codex provider >>>\n[p]\n# <<< hoop-agent codex provider " \
  "<<<"

static void
test_codex(void)
{
  static const struct {
    const char *before, *after;
  } cases[] = {
      {"", TOP TABLE "\n"},
      {"model = \"x\"\n", TOP "model = \"x\"\n" TABLE "\n"},
      {"model = \"x\"", TOP "model = \"x\"\n" TABLE},
      {"model_provider = \"mine\"\n",
       TOP BLOCK_ASIDE "model_provider = \"mine\"\n" TABLE "\n"},
      {" model_provider=\"mine\" # x\n",
       TOP BLOCK_ASIDE " model_provider=\"mine\" # x\n" TABLE "\n"},
      /* of another table, of a comment, of a text over lines */
      {"[profiles.a]\nmodel_provider = \"b\"\n",
       TOP "[profiles.a]\nmodel_provider = \"b\"\n" TABLE "\n"},
      {"# model_provider = 1\nmodel_providers = {}\n",
       TOP "# model_provider = 1\nmodel_providers = {}\n" TABLE "\n"},
      {"a = \"\"\"\nmodel_provider = 1\n\"\"\"\n",
       TOP "a = \"\"\"\nmodel_provider = 1\n\"\"\"\n" TABLE "\n"},
      {"a = '''\n[model_providers.hoop-agent]\n'''\n",
       TOP "a = '''\n[model_providers.hoop-agent]\n'''\n" TABLE "\n"},
      {"a = \"\"\"x\\\"\"\"\nmodel_provider = 1\n\"\"\"\n",
       TOP "a = \"\"\"x\\\"\"\"\nmodel_provider = 1\n\"\"\"\n" TABLE "\n"},
      {"a = \"'''\" # \"\"\"\nmodel_provider = 1\n",
       TOP "a = \"'''\" # \"\"\"\n" BLOCK_ASIDE "model_provider = 1\n" TABLE
           "\n"},
  };
  g_autoptr(GError) error = NULL;

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *after = codex_config(cases[i].before, "[p]\n", &error);

    g_assert_no_error(error);
    g_assert_cmpstr(after, ==, cases[i].after);
  }
  g_assert_null(
      codex_config("[model_providers.hoop-agent]\n", "[p]\n", &error));
  g_assert_error(error, CHANGE_ERROR, CHANGE_ERROR_TEXT);
}

/* ---- Text from outside ---------------------------------------------------
 */

static void
test_visible(void)
{
  static const struct {
    const char *text, *line, *lines;
  } cases[] = {
      {"plain \xc3\xa4 \xe4\xb8\xad \xf0\x9f\x98\x80",
       "plain \xc3\xa4 \xe4\xb8\xad \xf0\x9f\x98\x80",
       "plain \xc3\xa4 \xe4\xb8\xad \xf0\x9f\x98\x80"},
      {"a\nb\tc\rd", "a\\nb\\tc\\rd", "a\nb\tc\\rd"},
      {"\033[2J\033]0;x\007", "^[[2J^[]0;x^G", "^[[2J^[]0;x^G"},
      {"\xc2\x9b"
       "31m",
       "<U+009B>31m",
       "<U+009B>31m"},
      {"\x7f", "^?", "^?"},
      {"a\xe2\x80\xae"
       "b",
       "a<U+202E>b",
       "a<U+202E>b"},
      {"a\xe2\x80\x8b"
       "b",
       "a<U+200B>b",
       "a<U+200B>b"},
      {"\xe2\x81\xa6\xe2\x81\xa9", "<U+2066><U+2069>", "<U+2066><U+2069>"},
      {"\xe2\x80\xa8", "<U+2028>", "<U+2028>"},
      {"\xf3\xa0\x81\x81", "<U+E0041>", "<U+E0041>"},
      {"\xe3\x85\xa4", "<U+3164>", "<U+3164>"},
      {"\xff\xc3", "<FF><C3>", "<FF><C3>"},
      {"\xed\xa0\x80", "<ED><A0><80>", "<ED><A0><80>"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *line = visible(cases[i].text, -1, false);
    g_autofree char *lines = visible(cases[i].text, -1, true);

    g_assert_cmpstr(line, ==, cases[i].line);
    g_assert_cmpstr(lines, ==, cases[i].lines);
  }
  {
    g_autofree char *zero = visible("a\0b", 3, true);

    g_assert_cmpstr(zero, ==, "a<00>b");
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cli/blocks/come-and-go", test_blocks_come_and_go);
  g_test_add_func("/cli/blocks/half-is-none", test_half_a_block_is_none);
  g_test_add_func("/cli/diff/cases", test_differences);
  g_test_add_func("/cli/diff/large", test_large_difference);
  g_test_add_func("/cli/codex", test_codex);
  g_test_add_func("/cli/visible", test_visible);
  return g_test_run();
}
