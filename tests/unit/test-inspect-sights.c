/* SPDX-License-Identifier: Apache-2.0 */
/* What libhs does not look for ends where it says that it does, however a text
 * is cut and whatever the processor has. */
#define _GNU_SOURCE
#include "inspect-kit.h"
#include "inspect/detector.h"

#define TEXTS 12
#define TEXT_MAX 3000

/* ---- Ends ---------------------------------------------------------------- */

static int
on_end(unsigned id,
       unsigned long long from,
       unsigned long long to,
       unsigned flags,
       void *data)
{
  GString *places = data;

  (void)id;
  (void)from;
  (void)flags;
  g_string_append_printf(places, "%llu ", to);
  return 0;
}

/* Where libhs says that the expression ends. */
static char *
ends_by_libhs(const char *expression, const char *text, size_t len)
{
  hs_database_t *database = NULL;
  hs_compile_error_t *cause = NULL;
  hs_scratch_t *scratch = NULL;
  GString *places = g_string_new(NULL);

  if (hs_compile(expression,
                 HS_FLAG_MULTILINE,
                 HS_MODE_BLOCK,
                 NULL,
                 &database,
                 &cause) != HS_SUCCESS)
    g_error("%s", cause->message);
  hs_alloc_scratch(database, &scratch);
  hs_scan(database, text, (unsigned)len, 0, scratch, on_end, places);
  hs_free_scratch(scratch);
  hs_free_database(database);
  return g_string_free(places, FALSE);
}

/* Where the sight of one expression is over; `piece`: bytes at a time, or 0:
 * any number. */
static char *
ends_by_sight(const Sights *sights, const char *text, size_t len, size_t piece)
{
  g_autoptr(GArray) ends = g_array_new(FALSE, FALSE, sizeof(RuleEnd));
  GString *places = g_string_new(NULL);

  for (size_t at = 0; at < len;) {
    const size_t n = piece > 0 ? piece : (size_t)g_test_rand_int_range(1, 400);
    const size_t to = MIN(at + n, len);
    const size_t back = at > 100 ? SIGHT_BACK : at;
    /* Nothing beside it may be read. */
    g_autofree char *there = g_memdup2(text + at - back, back + to - at);

    sights_run(sights, there + back, back, at, to, ends);
    at = to;
  }
  for (guint i = 0; i < ends->len; i++) {
    g_assert_cmpuint(g_array_index(ends, RuleEnd, i).rule, ==, 7);
    g_string_append_printf(places, "%zu ", g_array_index(ends, RuleEnd, i).end);
  }
  return g_string_free(places, FALSE);
}

/* One text, by each processor and cut in several ways. Returns how often the
 * expression ends. */
static unsigned
check_text(const char *expression, const char *text, size_t len)
{
  static const size_t pieces[] = {1, 2, 7, 20, 33, 0, SIZE_MAX / 2};
  g_autofree char *theirs = ends_by_libhs(expression, text, len);
  unsigned n = 0;

  for (SightsCpu cpu = SIGHTS_BEST; cpu <= SIGHTS_PLAIN; cpu++) {
    g_autoptr(Sights) sights = sights_new(cpu);

    g_assert_true(sights_add(sights, expression, 7));
    for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++) {
      g_autofree char *ours = ends_by_sight(sights, text, len, pieces[i]);

      if (strcmp(ours, theirs) != 0)
        g_error("%s ends at %s, not at %s, in pieces of %zu in %.*s",
                expression,
                theirs,
                ours,
                pieces[i],
                (int)len,
                text);
    }
  }
  for (const char *p = theirs; *p != '\0'; p++)
    n += *p == ' ';
  return n;
}

/* ---- Expressions --------------------------------------------------------- */

static void
test_texts(void)
{
  static const struct {
    const char *expression, *text;
    unsigned ends;
  } cases[] = {{"\\*[0-9A-F]{12}", "*0123456789ABCDEF *0123456789abc", 1},
               {"[0-9]{13}\\|", "12345678901234|1234567890123|", 2},
               {"(?:^|[ ,])[MNO][a-z]{3}", "Mabc Nabc\nOabcMabc,Mab", 3},
               {"(?:^|[^a-z])[MNO][0-9]{3}", "M123N123xN123\nM1234", 3},
               {"[0-9]{4}(?:(?: [0-9]{4}){3}|(?:-[0-9]{4}){3}|[0-9]{12})",
                "1234 5678 9012 3456 1234-5678-9012-3456 12345678901234567",
                5},
               {"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2}",
                "AB12 CD34 EF56 AB12CD34EF56 AB12 CD34EF56",
                7},
               {"\\bA{4}[0-9]", "AAAA1 xAAAA1 .AAAA1", 2},
               {"a{2,3}[0-9]{1,2}", "aaaa12", 2}};

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
    g_assert_cmpuint(
        check_text(cases[i].expression, cases[i].text, strlen(cases[i].text)),
        ==,
        cases[i].ends);
}

static void
test_not_for_sights(void)
{
  static const char *const not_one[] = {"",                /* empty */
                                        "[a-z]",           /* everywhere */
                                        "[A-Za-z0-9]{12}", /* nearly so */
                                        "[0-9]{32}",       /* too long */
                                        "[0-9]{4,}",       /* without an end */
                                        "a1[0-9]*",
                                        "(?:^|[a",
                                        "(?:^|[a]|b)1[0-9]",
                                        "(?i)A[0-9]{4}",
                                        "[0-9]{4}(?=a)",
                                        "^[0-9]{4}",
                                        "[0-9]{4}$"};
  g_autoptr(Sights) sights = sights_new(SIGHTS_BEST);
  unsigned n = 0;

  for (unsigned i = 0; i < G_N_ELEMENTS(not_one); i++)
    if (sights_add(sights, not_one[i], 0))
      g_error("%s was taken", not_one[i]);
  while (n < 1000 && sights_add(sights, "[0-9]{31}", n))
    n++;
  g_assert_cmpuint(n, >, 20);
  g_assert_cmpuint(n, <, 1000);
}

/* Several in one text come by place, then in their order. */
static void
test_order(void)
{
  g_autoptr(Sights) sights = sights_new(SIGHTS_BEST);
  g_autoptr(GArray) ends = g_array_new(FALSE, FALSE, sizeof(RuleEnd));
  g_autofree char *text = g_strnfill(3000, '1');

  g_assert_true(sights_add(sights, "[0-9]{5}", 9));
  g_assert_true(sights_add(sights, "[0-9]{2}", 3));
  sights_run(sights, text, 0, 0, 3000, ends);
  g_assert_cmpuint(ends->len, ==, 2996 + 2999);
  for (guint i = 1; i < ends->len; i++) {
    const RuleEnd a = g_array_index(ends, RuleEnd, i - 1);
    const RuleEnd b = g_array_index(ends, RuleEnd, i);

    g_assert_true(a.end < b.end ||
                  (a.end == b.end && a.rule == 9 && b.rule == 3));
  }
}

/* ---- The pack's rules ---------------------------------------------------- */

/* Pieces of what the pack's rules without words look for. */
static GString *
random_text(void)
{
  static const char *const words[] = {"4111 1111 1111 ",
                                      "1111",
                                      "4111-1111-1111-1111",
                                      "3782 822463 10005",
                                      "DE89 3704 0044 ",
                                      "GB29NWBK60161331",
                                      "0123456789abcdef01234567:",
                                      "fedcba9876543210fedcba98.",
                                      "aaaabbbbccccdddd00001111-",
                                      "deadbeefcafe",
                                      "*0123456789ABCDEF",
                                      "AAAAAAAAAAAAAAAAAA",
                                      "MTIzNDU2Nzg5MDEy",
                                      "1/123456789012",
                                      "ak-abcdefABCDEF12",
                                      "s.abcdefABCDEF12",
                                      "ab_-CD.ab_-CD:",
                                      "12345678-abcdefABCDEF",
                                      "12345678901234|",
                                      "word",
                                      "2026"};
  static const char signs[] = " \n\"'=:,;([{\\.-_|*/0aAxM4\xc3\xbc";
  const int size = g_test_rand_int_range(1, TEXT_MAX);
  GString *text = g_string_new(NULL);

  while ((int)text->len < size)
    if (g_test_rand_int_range(0, 3) == 0)
      g_string_append(text,
                      words[g_test_rand_int_range(0, G_N_ELEMENTS(words))]);
    else
      g_string_append_c(text, signs[g_test_rand_int_range(0, sizeof(signs))]);
  return text;
}

static void
test_as_libhs(void)
{
  g_autoptr(Detector) detector = kit_detector();
  unsigned rules = 0;

  for (unsigned i = 0; i < detector->rules.n; i++) {
    const CompiledRule *rule = &detector->rules.rules[i];
    g_autofree char *expression = NULL;
    unsigned ends = 0;

    if (!rule->seen)
      continue;
    expression = regex_sight(rule->expression);
    rules++;
    for (unsigned n = 0; n < TEXTS; n++) {
      GString *text = random_text();

      ends += check_text(expression, text->str, text->len);
      g_string_free(text, TRUE);
    }
    if (ends == 0)
      g_error("nothing is %s", expression);
  }
  /* What the figures of the bench rest on. */
  g_assert_cmpuint(rules, >=, 10);
}

int
main(int argc, char **argv)
{
  static const KitTest tests[] = {{"texts", test_texts},
                                  {"not-for-sights", test_not_for_sights},
                                  {"order", test_order},
                                  {"as-libhs", test_as_libhs}};

  g_test_init(&argc, &argv, NULL);
  kit_add("/inspect/sights/", tests, G_N_ELEMENTS(tests));
  return g_test_run();
}
