/* SPDX-License-Identifier: Apache-2.0 */
/* scan --batch: every example of every rule, whole and in pieces of any
 * length, has the same findings and the same masks. */
#include "cli/scan.h"
#include <stdlib.h>
#include <string.h>

static void
init(Scanner *scanner)
{
  g_autofree char *dir =
      g_test_build_filename(G_TEST_DIST, "..", "policy", "rules.d", NULL);
  g_autoptr(Secret) key = secret_new("key", 3);
  g_autoptr(GError) error = NULL;

  /* The examples are in this pack alone; what is compiled has none. */
  *scanner = (Scanner){.pack = rule_pack_load_dir(dir, &error)};
  g_assert_no_error(error);
  scanner->detector =
      detector_load(dir, NULL, g_getenv("HOOP_COMPILED_RULES"), &error);
  g_assert_no_error(error);
  scanner->scratch = detector_scratch_new(scanner->detector, &error);
  g_assert_no_error(error);
  scanner->masker = masker_new(key, key);
}

static void
compare(Scanner *scanner, const char *text, size_t chunk, const Scanned *whole)
{
  g_auto(Scanned) pieces = {0};
  g_autoptr(GError) error = NULL;

  g_assert_true(scanner_stream(
      scanner, NULL, text, strlen(text), chunk, &pieces, &error));
  g_assert_no_error(error);
  g_assert_cmpstr(pieces.masked, ==, whole->masked);
  g_assert_cmpuint(pieces.found->len, ==, whole->found->len);
  for (guint i = 0; i < whole->found->len; i++) {
    const Found *a = &g_array_index(whole->found, Found, i);
    const Found *b = &g_array_index(pieces.found, Found, i);

    g_assert_cmpstr(a->rule, ==, b->rule);
    g_assert_cmpuint(a->start, ==, b->start);
    g_assert_cmpuint(a->end, ==, b->end);
  }
}

/* With HOOP_LONG every length up to 64, under valgrind one, else some. */
static void
check_text(Scanner *scanner, const char *text)
{
  static const size_t some[] = {7, 1, 2, 16, 31, 64};
  const bool all = g_getenv("HOOP_LONG") != NULL;
  const size_t n = g_getenv("HOOP_VALGRIND") ? 1 : G_N_ELEMENTS(some);
  g_auto(Scanned) whole = {0};
  g_autoptr(GError) error = NULL;

  g_assert_true(
      scanner_scan(scanner, NULL, text, strlen(text), &whole, &error));
  g_assert_no_error(error);
  for (guint i = 0; i < whole.found->len; i++) {
    const Found *found = &g_array_index(whole.found, Found, i);

    g_assert_cmpuint(found->start, <, found->end);
    g_assert_cmpuint(found->end, <=, strlen(text));
  }
  for (size_t i = 0; i < (all ? 64 : n); i++)
    compare(scanner, text, all ? i + 1 : some[i], &whole);
}

static void
test_examples(void)
{
  g_auto(Scanner) scanner = {0};
  const DetectorRule *const *rules;
  unsigned n;

  init(&scanner);
  rules = rule_pack_rules(scanner.pack, &n);
  g_assert_cmpuint(n, >, 30);
  for (unsigned i = 0; i < n; i++) {
    for (char **text = rules[i]->examples; text && *text; text++)
      check_text(&scanner, *text);
    for (char **text = rules[i]->counter_examples; text && *text; text++)
      check_text(&scanner, *text);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/batch/examples", test_examples);
  return g_test_run();
}
