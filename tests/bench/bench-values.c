/* SPDX-License-Identifier: Apache-2.0 */
/* What looking for exact values costs a 100 KB prompt and a stream's deltas,
 * by how many values there are. Fails when it misses the figure. */

#define _GNU_SOURCE
#include "tests/unit/inspect-kit.h"

#include "inspect/values.h"

#include <stdio.h>
#include <time.h>

#define TEXT_LEN ((size_t)100 * 1024)
#define DELTA 20
#define SAMPLES 41
/* What must be reached, in milliseconds for each text, with 10,000 values. */
#define MAX_SCAN_MS 1.0

static int64_t
cpu_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Words and code, no two lines alike. */
static char *
make_text(GRand *rand)
{
  static const char *const words[] = {"return",
                                      "the",
                                      "value",
                                      "of",
                                      "https://api.example.com/",
                                      "if",
                                      "postgres://",
                                      "index",
                                      "(void)",
                                      "struct",
                                      "token",
                                      "=",
                                      "user"};
  GString *out = g_string_new(NULL);

  while (out->len < TEXT_LEN)
    g_string_append_printf(
        out,
        "%s%s",
        words[g_rand_int_range(rand, 0, (gint)G_N_ELEMENTS(words))],
        g_rand_int_range(rand, 0, 9) ? " " : ";\n");
  g_string_truncate(out, TEXT_LEN);
  return g_string_free(out, FALSE);
}

/* Keys, a tenth of them addresses with a password, a tenth short names. */
static ValueSet *
make_values(GRand *rand, unsigned n)
{
  ValueSet *set = value_set_new();

  for (unsigned i = 0; i < n; i++) {
    g_autoptr(GString) value = g_string_new(NULL);
    const unsigned len = i % 10 == 1 ? 5 : 32;

    if (i % 10 == 0)
      g_string_append(value, "postgres://user:");
    while (value->len < len)
      g_string_append_c(value, (char)g_rand_int_range(rand, '0', 'z'));
    (void)value_set_add(set, VALUE_ENV_FILE, value->str, value->len);
  }
  value_set_seal(set);
  return set;
}

static double
scan_ms(DetectorScratch *scratch, const char *text)
{
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));
  int64_t best = INT64_MAX;

  for (unsigned i = 0; i < SAMPLES; i++) {
    const int64_t began = cpu_ns();

    values_scan(scratch, text, TEXT_LEN, 0, G_MAXUINT, found);
    best = MIN(best, cpu_ns() - began);
    g_array_set_size(found, 0);
  }
  return (double)best / 1e6;
}

static double
delta_ns(DetectorScratch *scratch, const char *text)
{
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));
  int64_t best = INT64_MAX;

  for (unsigned i = 0; i < SAMPLES; i++) {
    ValueTail *tail = value_tail_new(scratch);
    const int64_t began = cpu_ns();

    if (tail == NULL)
      return 0;
    for (size_t end = DELTA; end <= TEXT_LEN; end += DELTA) {
      const TextView view = {text, 0, end, false};

      if (!value_tail_feed(tail, &view, found) ||
          value_tail_floor(tail, &view) == 0)
        g_error("the text is a value");
    }
    best = MIN(best, cpu_ns() - began);
    value_tail_free(tail);
    g_array_set_size(found, 0);
  }
  return (double)best / (double)(TEXT_LEN / DELTA);
}

int
main(int argc, char **argv)
{
  static const unsigned counts[] = {0, 10, 1000, 10000, 99999};
  g_autoptr(GRand) rand = g_rand_new_with_seed(11);
  g_autofree char *text = make_text(rand);
  g_autoptr(Detector) detector = NULL;
  g_autoptr(DetectorScratch) scratch = NULL;
  bool met = true;

  g_test_init(&argc, &argv, NULL);
  detector = kit_detector();
  scratch = kit_scratch(detector);
  for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
    g_autoptr(ValueSet) set = make_values(rand, counts[i]);
    double ms;

    detector_scratch_hold(scratch, set);
    ms = scan_ms(scratch, text);
    printf("%6u values: %.3f ms for 100 KB, %.0f ns for a delta of %d bytes\n",
           counts[i],
           ms,
           delta_ns(scratch, text),
           DELTA);
    met = met && (counts[i] > 10000 || ms <= MAX_SCAN_MS);
  }
  return met ? 0 : 1;
}
