/* SPDX-License-Identifier: Apache-2.0 */
/* The small parts that policies are read with: wildcards, suggestions, units,
 * regexes within their limits. */

#include "policy/pattern.h"
#include "policy/suggest.h"
#include "policy/units.h"

#include <string.h>

static void
test_glob(void)
{
  static const struct {
    const char *pattern, *text;
    bool fold, matches;
  } cases[] = {
      {"", "", false, true},
      {"", "a", false, false},
      {"*", "", false, true},
      {"*", "a/b", false, true},
      {"a", "a", false, true},
      {"a", "A", false, false},
      {"a", "A", true, true},
      {"?", "", false, false},
      {"?", "a", false, true},
      {"?", "é", false, true},
      {"??", "é", false, false},
      {"a*c", "abbbc", false, true},
      {"a*c", "abbbd", false, false},
      {"*.example.com", "api.example.com", false, true},
      {"*.example.com", "example.com", false, false},
      {"*.example.com", "example.com.evil.test", false, false},
      {"*a*b*c*", "xxaxxbxxcxx", false, true},
      {"*a*b*c*", "xxaxxcxxbxx", false, false},
      {"gpt-?*", "gpt-4o", false, true},
      {"gpt-?*", "gpt-", false, false},
      {"**", "x", false, true},
      {"a**", "a", false, true},
      {"[a]", "a", false, false},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_test_message("%s ~ %s", cases[i].pattern, cases[i].text);
    g_assert_cmpint(policy_glob(cases[i].pattern, cases[i].text, cases[i].fold),
                    ==,
                    cases[i].matches);
  }
}

/* Time is a product of the lengths, not a power of the stars. */
static void
test_glob_stars(void)
{
  g_autofree char *text = g_strnfill(5000, 'a');
  g_autoptr(GString) pattern = g_string_new(NULL);

  for (unsigned i = 0; i < 100; i++)
    g_string_append(pattern, "*a");
  g_string_append_c(pattern, 'b');
  g_assert_false(policy_glob(pattern->str, text, false));
}

static void
test_suggest(void)
{
  static const char *const words[] = {
      "action", "group", "first-in-session", "id", "by", NULL};
  static const struct {
    const char *word, *nearest;
  } cases[] = {
      {"acton", "action"},
      {"actoin", "action"},
      {"ACTION", "action"},
      {"grp", NULL},
      {"gropu", "group"},
      {"first_in_session", "first-in-session"},
      {"ib", "id"},
      {"", "id"},
      {"colour", NULL},
      {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", NULL},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_test_message("%s", cases[i].word);
    if (cases[i].word[0] == '\0')
      g_assert_null(suggest_nearest("", words));
    else
      g_assert_cmpstr(
          suggest_nearest(cases[i].word, words), ==, cases[i].nearest);
  }
}

static void
test_durations(void)
{
  static const struct {
    const char *text;
    int seconds; /* -1: refused */
  } cases[] = {
      {"0", 0},
      {"90", 90},
      {"90s", 90},
      {"10m", 600},
      {"2h", 7200},
      {"7d", 604800},
      {"366d", 31622400},
      {"367d", -1},
      {"", -1},
      {"s", -1},
      {"-1", -1},
      {"+1", -1},
      {" 1", -1},
      {"1 ", -1},
      {"1.5h", -1},
      {"1w", -1},
      {"1mm", -1},
      {"1M", -1},
      {"99999999999999", -1},
      {"9999999999999d", -1},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    unsigned seconds = 7;
    bool good = units_duration(cases[i].text, &seconds);

    g_test_message("%s", cases[i].text);
    g_assert_cmpint(good, ==, cases[i].seconds >= 0);
    g_assert_cmpuint(seconds, ==, good ? (unsigned)cases[i].seconds : 7);
  }
}

static void
test_sizes(void)
{
  int64_t size = -7;

  g_assert_true(units_size("0", &size));
  g_assert_cmpint(size, ==, 0);
  g_assert_true(units_size("64K", &size));
  g_assert_cmpint(size, ==, 65536);
  g_assert_true(units_size("32M", &size));
  g_assert_cmpint(size, ==, 33554432);
  g_assert_true(units_size("1024G", &size));
  g_assert_cmpint(size, ==, INT64_C(1) << 40);
  g_assert_false(units_size("1025G", &size));
  g_assert_false(units_size("1k", &size));
  g_assert_false(units_size("1KB", &size));
  g_assert_false(units_size("9999999999999999999", &size));
  g_assert_cmpint(size, ==, INT64_C(1) << 40);
}

static void
test_clocks(void)
{
  static const char *const bad[] = {"",
                                    "8:00",
                                    "08:0",
                                    "08:000",
                                    "24:01",
                                    "25:00",
                                    "08:60",
                                    "08.00",
                                    "-1:00",
                                    "aa:bb"};
  int minutes = -7;

  g_assert_true(units_clock("00:00", &minutes));
  g_assert_cmpint(minutes, ==, 0);
  g_assert_true(units_clock("23:59", &minutes));
  g_assert_cmpint(minutes, ==, 1439);
  g_assert_true(units_clock("24:00", &minutes));
  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
    g_assert_false(units_clock(bad[i], &minutes));
  g_assert_cmpint(minutes, ==, 1440);
}

static bool
matches(const char *regex, const char *text, size_t len, bool *limited)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(PolicyPattern) pattern = pattern_new(regex, &error);

  g_assert_no_error(error);
  g_assert_cmpstr(policy_pattern_source(pattern), ==, regex);
  return policy_pattern_matches(pattern, text, len, limited);
}

static void
test_pattern(void)
{
  bool limited = true;

  g_assert_true(matches("(?i)secret", "a SECRET", 8, &limited));
  g_assert_false(limited);
  g_assert_false(matches("^secret", "a secret", 8, &limited));
  g_assert_true(matches("^.$", "é", strlen("é"), &limited));
  /* NULs and bytes that are no UTF-8 hide nothing. */
  g_assert_true(matches("secret", "a\0b\xff secret", 11, &limited));
  g_assert_false(limited);
  g_assert_true(matches("(?<secret>x)", "x", 1, &limited));
}

/* A regex that would run for ever stops, and stopping counts as a match. */
static void
test_pattern_limits(void)
{
  g_autofree char *text = g_strnfill(64, 'a');
  g_autofree char *longer = g_strnfill(200000, 'a');
  bool limited = false;
  gint64 start = g_get_monotonic_time();

  g_assert_true(matches("^(a+)+$", "aaaaaaaaaaaaaaaa", 16, &limited));
  g_assert_false(limited);
  text[63] = 'b';
  g_assert_true(matches("^(a|a)*$", text, 64, &limited));
  g_assert_true(limited);
  limited = false;
  longer[199999] = 'b';
  g_assert_true(matches("^(a|aa)+$", longer, 200000, &limited));
  g_assert_true(limited);
  g_assert_cmpint(g_get_monotonic_time() - start, <, 5 * G_USEC_PER_SEC);
}

/* Square time is cut short; and windows miss no match, wherever it is. */
static void
test_pattern_windows(void)
{
  gsize len = 3 * 1024 * 1024;
  g_autofree char *text = g_strnfill(len, 'a');
  gint64 start = g_get_monotonic_time();
  bool limited = false;

  if (g_getenv("HOOP_VALGRIND") != NULL) {
    g_test_skip("time counts otherwise under valgrind");
    return;
  }
  g_assert_true(matches("a.*[bc]", text, len, &limited));
  g_assert_true(limited);
  g_assert_cmpint(g_get_monotonic_time() - start, <, 5 * G_USEC_PER_SEC);
  limited = false;
  for (gsize i = 0; i < 2000; i += 5) {
    gsize at = i * 1501;

    memcpy(text + at, "\xc3\xa9xy", 4);
    g_assert_true(matches("(?<=a)éx(?=y)|^éx", text, len, &limited));
    g_assert_false(limited);
    memcpy(text + at, "aaaa", 4);
  }
  g_assert_false(matches("éx", text, len, &limited));
  memcpy(text + len - 3, "\xc3\xa9x", 3);
  g_assert_true(matches("éx$", text, len, &limited));
  g_assert_false(matches("éx^", text, len, &limited));
}

static void
test_pattern_errors(void)
{
  g_autofree char *longest = g_strnfill(9000, 'a');
  g_autoptr(GError) error = NULL;

  g_assert_null(pattern_new("a(b", &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_VALUE);
  g_assert_cmpstr(
      error->message, ==, "missing closing parenthesis at character 4");
  g_clear_error(&error);
  g_assert_null(pattern_new("é(?<1>b)", &error));
  g_assert_cmpstr(error->message,
                  ==,
                  "subpattern name must start with a non-digit at character "
                  "5");
  g_clear_error(&error);
  g_assert_null(pattern_new(longest, &error));
  g_assert_cmpstr(error->message, ==, "longer than 8192 bytes");
}

static void
test_pattern_groups(void)
{
  g_autoptr(PolicyPattern) pattern = pattern_new("(?<secret>a*)", NULL);

  g_assert_true(pattern_has_group(pattern, "secret"));
  g_assert_false(pattern_has_group(pattern, "other"));
  g_assert_true(pattern_matches_empty(pattern));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/glob", test_glob);
  g_test_add_func("/policy/glob/stars", test_glob_stars);
  g_test_add_func("/policy/suggest", test_suggest);
  g_test_add_func("/policy/units/durations", test_durations);
  g_test_add_func("/policy/units/sizes", test_sizes);
  g_test_add_func("/policy/units/clocks", test_clocks);
  g_test_add_func("/policy/pattern", test_pattern);
  g_test_add_func("/policy/pattern/limits", test_pattern_limits);
  g_test_add_func("/policy/pattern/windows", test_pattern_windows);
  g_test_add_func("/policy/pattern/errors", test_pattern_errors);
  g_test_add_func("/policy/pattern/groups", test_pattern_groups);
  return g_test_run();
}
