/* SPDX-License-Identifier: Apache-2.0 */
/* What stands behind a head that rules share ends where libhs says that the
 * whole expression does, however a text is cut. */
#define _GNU_SOURCE
#include "inspect-kit.h"
#include "inspect/detector.h"

#define TEXTS 150
#define TEXT_MAX 2000

/* ---- Automata ------------------------------------------------------------ */

/* The ends of a regex behind `before`, as digits. */
static char *
ends_of(const char *regex, const char *options, char before, const char *text)
{
  Tail *tail = tail_new(regex, options);
  GString *out = g_string_new(NULL);
  uint16_t state;

  g_assert_nonnull(tail);
  g_assert_true(tail_is_possible(regex, options));
  state = tail_begin(tail, before);
  for (unsigned i = 0;; i++) {
    if (tail->accepts[state])
      g_string_append_printf(out, "%u ", i);
    if (text[i] == '\0')
      break;
    state = tail_step(tail, state, text[i]);
  }
  tail_free(tail);
  return g_string_free(out, FALSE);
}

static void
test_ends(void)
{
  static const struct {
    const char *regex, *options;
    char before;
    const char *text, *ends;
  } cases[] = {{"a{2,3}b?", "", 'x', "aaab", "2 3 4 "},
               {"a{0,2}", "", 'x', "aaa", "0 1 2 "},
               {"a{2}", "", 'x', "aaa", "2 "},
               {"a{2,}", "", 'x', "aaaab", "2 3 4 "},
               {"a*b", "", 'x', "aaab", "4 "},
               {"a+", "", 'x', "aab", "1 2 "},
               {"a+?b??", "", 'x', "aab", "1 2 3 "},
               {"(?:ab|a|abc){1,2}", "", 'x', "ababc", "1 2 3 4 5 "},
               {"(?:a?b?){0,3}c", "", 'x', "ababc", "5 "},
               {"[^a-c\\s]{1,3}", "", 'x', "xyz.", "1 2 3 "},
               {"[\\w.-]+", "", 'x', "a-.b c", "1 2 3 4 "},
               {"[]a]+", "", 'x', "]a", "1 2 "},
               {"\\d\\D\\s\\S\\W\\w", "", 'x', "1a b c", "6 "},
               {".+", "", 'x', "a\nb", "1 "},
               {".+", "(?s)", 'x', "a\nb", "1 2 3 "},
               {"pass[K-M]", "(?i)", 'x', "PaSsl", "5 "},
               {"pass[K-M]", "", 'x', "passl", ""},
               {"-?\\bor", "", 'x', "or", ""},
               {"-?\\bor", "", ' ', "or", "2 "},
               {"-?\\bor", "", 'x', "-or", "3 "},
               {"\\.\\(\\|\\t", "", 'x', ".(|\t", "4 "}};

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *ends = ends_of(
        cases[i].regex, cases[i].options, cases[i].before, cases[i].text);

    g_assert_cmpstr(ends, ==, cases[i].ends);
  }
}

static void
test_impossible(void)
{
  static const char *const not_one[] = {"a$",
                                        "^a",
                                        "a(?=b)",
                                        "(?<n>a)",
                                        "a++",
                                        "(a)\\1",
                                        "[[:alpha:]]",
                                        "(?:a",
                                        "a)",
                                        "[a",
                                        "a{2",
                                        "\\x41",
                                        "*a"};
  static const char *const too_much[] = {"a\\b", "(?:[ab]*a[ab]{20})"};

  for (unsigned i = 0; i < G_N_ELEMENTS(not_one); i++) {
    g_assert_false(tail_is_possible(not_one[i], ""));
    g_assert_null(tail_new(not_one[i], ""));
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(too_much); i++)
    g_assert_null(tail_new(too_much[i], ""));
  g_assert_null(tail_new("a", "(?x)"));
}

/* ---- The pack's rules ---------------------------------------------------- */

/* Words that are near what openers look for. */
static GString *
random_text(void)
{
  static const char *const words[] = {
      "password",  "Passwd",       "api_key",  "secret", "token",   "pw",
      "key",       "client-key",   "for",      "of",     "to",      "root",
      "is",        "was",          "will be",  "set to", "value",   "default",
      "content",   "android:",     "<string>", "</key>", "</name>", "or",
      "else",      "get;",         "set;",     "string", "as text", "-eq",
      "<-",        "eq",           "Value",    ".fill(", "s",       "hk38dk2q",
      "W1nter#24", "mail.example", "a.b-c"};
  static const char signs[] = " \t\n\r\"'`\\()[]{}<>=:;,|?.@-_$/!x1\xc3\xbc";
  const int size = g_test_rand_int_range(20, TEXT_MAX);
  GString *text = g_string_new(NULL);

  while ((int)text->len < size)
    if (g_test_rand_int_range(0, 2) == 0)
      g_string_append(text,
                      words[g_test_rand_int_range(0, G_N_ELEMENTS(words))]);
    else
      g_string_append_c(text, signs[g_test_rand_int_range(0, sizeof(signs))]);
  return text;
}

typedef struct {
  GArray *heads;
  unsigned gate;
  GHashTable *ends; /* "rule end" */
} Seen;

static int
on_head(unsigned id,
        unsigned long long from,
        unsigned long long to,
        unsigned flags,
        void *data)
{
  Seen *seen = data;
  const GateHead head = {seen->gate, to};

  (void)id;
  (void)from;
  (void)flags;
  g_array_append_val(seen->heads, head);
  return 0;
}

static bool
take_end(unsigned rule, size_t end, void *data)
{
  g_hash_table_add(data, g_strdup_printf("%u %zu", rule, end));
  return true;
}

/* The same, but not of what the sights have. */
typedef struct {
  const CompiledRules *rules;
  GHashTable *ends;
} Gated;

static bool
take_gated(unsigned rule, size_t end, void *data)
{
  Gated *gated = data;

  return gated->rules->rules[rule].seen || take_end(rule, end, gated->ends);
}

static int
on_end(unsigned id,
       unsigned long long from,
       unsigned long long to,
       unsigned flags,
       void *data)
{
  (void)from;
  (void)flags;
  take_end(id, to, data);
  return 0;
}

static hs_database_t *
compile_one(const char *expression, unsigned flags, unsigned id)
{
  hs_database_t *database = NULL;
  hs_compile_error_t *cause = NULL;

  if (hs_compile_multi(&expression,
                       &flags,
                       &id,
                       1,
                       HS_MODE_BLOCK,
                       NULL,
                       &database,
                       &cause) != HS_SUCCESS)
    g_error("%s", cause->message);
  return database;
}

static GHashTable *
ends_new(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* The ends by the gate, the text being cut anywhere. */
static GHashTable *
ends_by_gate(DetectorScratch *scratch,
             hs_database_t *heads,
             hs_scratch_t *hs,
             unsigned gate,
             const GString *text)
{
  g_autoptr(GArray) runs = g_array_new(FALSE, FALSE, sizeof(GateRun));
  g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(GateHead));
  Seen seen = {.heads = all, .gate = gate};
  GHashTable *ends = ends_new();
  Gated gated = {&scratch->detector->rules, ends};
  guint next = 0;

  hs_scan(heads, text->str, (unsigned)text->len, 0, hs, on_head, &seen);
  for (size_t at = 0; at < text->len;) {
    const size_t piece = (size_t)g_test_rand_int_range(1, 300);
    const size_t to = MIN(at + piece, text->len);

    g_array_set_size(scratch->heads, 0);
    for (; next < all->len && g_array_index(all, GateHead, next).end <= to;
         next++)
      g_array_append_val(scratch->heads, g_array_index(all, GateHead, next));
    g_assert_true(gates_run(
        scratch, text->str + at, at, at, to, runs, take_gated, &gated));
    g_assert_cmpuint(scratch->heads->len, ==, 0);
    at = to;
  }
  return ends;
}

static void
compare_ends(GHashTable *ours, GHashTable *theirs, const GString *text)
{
  GHashTableIter iter;
  gpointer end;

  g_hash_table_iter_init(&iter, theirs);
  while (g_hash_table_iter_next(&iter, &end, NULL))
    if (!g_hash_table_contains(ours, end))
      g_error("an end is missing: %s of %s", (char *)end, text->str);
  g_assert_cmpuint(g_hash_table_size(ours), ==, g_hash_table_size(theirs));
}

static void
test_as_libhs(void)
{
  g_autoptr(Detector) detector = kit_detector();
  g_autoptr(DetectorScratch) scratch = detector_scratch_new(detector, NULL);
  const CompiledRules *rules = &detector->rules;
  unsigned members = 0, total = 0;

  for (unsigned g = 0; g < rules->n_gates; g++) {
    const Gate *gate = &rules->gates[g];
    hs_database_t *heads = compile_one(gate->expression, HS_FLAG_MULTILINE, 0);
    g_autofree hs_database_t **whole = g_new(hs_database_t *, gate->n_rules);
    hs_scratch_t *hs = NULL;

    hs_alloc_scratch(heads, &hs);
    for (unsigned i = 0; i < gate->n_rules; i++) {
      const CompiledRule *rule = &rules->rules[gate->rules[i]];

      whole[i] = compile_one(rule->expression, rule->flags, gate->rules[i]);
      hs_alloc_scratch(whole[i], &hs);
    }
    for (unsigned n = 0; n < TEXTS; n++) {
      GString *text = random_text();
      g_autoptr(GHashTable) theirs = ends_new();
      g_autoptr(GHashTable) ours = ends_by_gate(scratch, heads, hs, g, text);

      for (unsigned i = 0; i < gate->n_rules; i++)
        hs_scan(
            whole[i], text->str, (unsigned)text->len, 0, hs, on_end, theirs);
      compare_ends(ours, theirs, text);
      total += g_hash_table_size(ours);
      g_string_free(text, TRUE);
    }
    members += gate->n_rules;
    for (unsigned i = 0; i < gate->n_rules; i++)
      hs_free_database(whole[i]);
    hs_free_database(heads);
    hs_free_scratch(hs);
  }
  /* What the figures of the bench rest on. */
  g_assert_cmpuint(members, >=, 7);
  g_assert_cmpuint(total, >, 700);
}

int
main(int argc, char **argv)
{
  static const KitTest tests[] = {{"ends", test_ends},
                                  {"impossible", test_impossible},
                                  {"as-libhs", test_as_libhs}};

  g_test_init(&argc, &argv, NULL);
  kit_add("/inspect/gates/", tests, G_N_ELEMENTS(tests));
  return g_test_run();
}
