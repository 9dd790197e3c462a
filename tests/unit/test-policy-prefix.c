/* SPDX-License-Identifier: Apache-2.0 */
/* What regexes begin with: read right where it is understood, not at all where
 * it is not, and never a reason to miss a match. */

#include "policy/pattern.h"
#include "policy/prefix.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#define ROUNDS 4000

static void
test_understood(void)
{
  /* The beginnings, and texts that are none. */
  static const struct {
    const char *source, *yes, *no;
  } rows[] = {
      {"password", "pass Pass PASS", "pas pAsd"},
      {"(?i)\\b(?:print|show)\\b.{0,40}key",
       "prin SHOW \xc5\xbfhow",
       "pri sho"},
      {"(?:abcd|abce){2}", "abcd abce", "abcf"},
      {"(ab|cd)(ef|gh)", "abef abgh cdef cdgh", "abcd"},
      {"abc+d", "abc", "abd"},
      {"abcd?", "abc", "abd"},
      {"abc(?:d|)e", "abcd abce", "abcf"},
      {"abc{1,2}", "abc", "abd"},
      {"(?<! x )(?=foob|bara)\\w+", "foob bara", "fooa"},
      {"(?=foo)(?=foobar)foobarbaz", "foob", "fooa"},
      {"(?<name>abcd)", "abcd", "abce"},
      {"a\\.bc", "a.bc", "aabc"},
      {"(?x) a b # c ) (\n c d", "abcd", "abc#"},
      {"(?xi)(?: tell | ask\\ me ) \\s+",
       "tell ask a\xc5\xbfk as\xe2\x84\xaa",
       ""},
      {"^abcd$", "abcd", "abc"},
      {"(?!abcx)abcd", "abcd", "abcx"},
      {"abcd|efgh|ijkl", "abcd efgh ijkl", "mnop"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(PrefixFinder) finder = prefix_finder_new(rows[i].source);
    g_auto(GStrv) yes = g_strsplit(rows[i].yes, " ", -1);
    g_auto(GStrv) no = g_strsplit(rows[i].no, " ", -1);

    g_test_message("%s", rows[i].source);
    g_assert_nonnull(finder);
    for (char **text = yes; *text != NULL; text++) {
      g_autofree char *padded =
          g_strconcat("....................", *text, NULL);
      const size_t len = strlen(padded);

      g_assert_cmpuint(prefix_find(finder, padded, len, 0), ==, 20);
      g_assert_cmpuint(prefix_find(finder, padded, len, 21), ==, len);
      g_assert_cmpuint(prefix_find(finder, *text, strlen(*text), 0), ==, 0);
    }
    for (char **text = no; *text != NULL; text++)
      g_assert_cmpuint(
          prefix_find(finder, *text, strlen(*text), 0), ==, strlen(*text));
  }
}

static void
test_not_understood(void)
{
  static const char *const sources[] = {
      "",
      "ab",
      "abc?",
      "a*bcde",
      "(?:abcd)?",
      "abcd|x",
      "abcd|",
      "[abc]def",
      ".abcd",
      "\\wabc",
      "(?:abcd)*e",
      "(?=ab)[a]",
      "(?i:abcd)",
      "(?-x)abcd",
      "(?xx)[ ]]abcd",
      "(*UTF)abcd",
      "(?#a)abcd",
      "\\Qabcd",
      "\\Gabcd",
      "\\cAbcde",
      "\\x61bcd",
      "(?(?=a)abcd|abce)",
      "(?|abcd|efgh)",
      "(?<!abcd)",
      ("\xc3\xa9"
       "abcd"),
      "abcd{0,2}e|f",
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(sources); i++) {
    g_autoptr(PrefixFinder) finder = prefix_finder_new(sources[i]);

    g_test_message("%s", sources[i]);
    g_assert_null(finder);
  }
  prefix_finder_free(NULL);
}

/* ---- The same as without it --------------------------------------------- */

static char *
some_of(GRand *rand, const char *const *parts, unsigned n, unsigned most)
{
  const int count = g_rand_int_range(rand, 1, (gint32)most);
  GString *out = g_string_new(NULL);

  for (int i = 0; i < count; i++)
    g_string_append(out, parts[g_rand_int_range(rand, 0, (gint32)n)]);
  return g_string_free(out, FALSE);
}

static bool
matches(const char *source, const char *text, size_t len)
{
  int code = 0;
  PCRE2_SIZE at = 0;
  pcre2_code *regex = pcre2_compile((PCRE2_SPTR)source,
                                    PCRE2_ZERO_TERMINATED,
                                    PCRE2_UTF | PCRE2_MATCH_INVALID_UTF,
                                    &code,
                                    &at,
                                    NULL);
  pcre2_match_data *data = pcre2_match_data_create(1, NULL);
  const int result =
      pcre2_match(regex, (PCRE2_SPTR)text, len, 0, 0, data, NULL);

  g_assert_true(result >= 0 || result == PCRE2_ERROR_NOMATCH);
  pcre2_match_data_free(data);
  pcre2_code_free(regex);
  return result >= 0;
}

/* Regexes of random pieces on texts of the same letters. */
static void
test_same(void)
{
  static const char *const pieces[] = {
      "show", "ask", "key",  "ke",       "s",    "k",   "(?:",   "(",
      ")",    ")",   "|",    "|",        "?",    "+",   "{0,2}", "{2}",
      "\\b",  "\\s", "[sk]", "[^k]",     ".",    "(?=", "(?!",   "(?<!",
      "\\.",  "#",   " ",    "\xc5\xbf", "(?<=", "^",
  };
  static const char *const words[] = {
      "show",
      "SHOW",
      "ask",
      "key",
      "ke",
      "s",
      "k",
      "S",
      "K",
      " ",
      ".",
      "#",
      "\n",
      "\xc5\xbf",
      "\xe2\x84\xaa",
      "\xff",
      "xyz ",
      "oooo",
  };
  static const char *const flags[] = {"", "(?i)", "(?x)", "(?xi)"};
  g_autoptr(GRand) rand = g_rand_new_with_seed(20);
  unsigned tried = 0, found = 0;

  for (unsigned i = 0; i < ROUNDS * 20 && tried < ROUNDS; i++) {
    g_autofree char *middle = some_of(rand, pieces, G_N_ELEMENTS(pieces), 9);
    g_autofree char *source = g_strconcat(
        flags[g_rand_int_range(rand, 0, G_N_ELEMENTS(flags))], middle, NULL);
    g_autoptr(PrefixFinder) finder = prefix_finder_new(source);
    g_autoptr(PolicyPattern) pattern = pattern_new(source, NULL);

    if (finder == NULL || pattern == NULL)
      continue;
    tried++;
    for (unsigned j = 0; j < 4; j++) {
      g_autoptr(GString) text = g_string_new(NULL);
      bool limited, expected;

      while (text->len < (j < 2 ? 200U : 40U)) {
        g_autofree char *more =
            some_of(rand, words, j % 2 ? 11 : G_N_ELEMENTS(words), 6);

        g_string_append(text, more);
      }
      expected = matches(source, text->str, text->len);
      found += expected;
      if (expected !=
          policy_pattern_matches(pattern, text->str, text->len, &limited))
        g_error("%s: %s", source, text->str);
    }
  }
  g_test_message("%u regexes, %u matches", tried, found);
  g_assert_cmpuint(tried, ==, ROUNDS);
  g_assert_cmpuint(found, >, ROUNDS / 2);
}

/* One match anywhere is found, also at both ends. */
static void
test_places(void)
{
  g_autoptr(PolicyPattern) pattern =
      pattern_new("(?i)(?<![a-z])(?:tell|show)\\s+me", NULL);

  for (unsigned len = 120; len < 300; len++)
    for (unsigned at = 0; at + 7 <= len; at++) {
      g_autofree char *text = g_strnfill(len, '.');
      bool limited;

      memcpy(text + at, at % 2 ? "tELL me" : "show Me", 7);
      g_assert_true(policy_pattern_matches(pattern, text, len, &limited));
      g_assert_false(limited);
      text[at + 5] = 'x';
      g_assert_false(policy_pattern_matches(pattern, text, len, &limited));
    }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/prefix/understood", test_understood);
  g_test_add_func("/policy/prefix/not-understood", test_not_understood);
  g_test_add_func("/policy/prefix/same", test_same);
  g_test_add_func("/policy/prefix/places", test_places);
  return g_test_run();
}
