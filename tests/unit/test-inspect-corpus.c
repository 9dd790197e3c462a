/* SPDX-License-Identifier: Apache-2.0 */
/* How much the shipped rules find: made-up secrets in the syntaxes of many
 * languages and files, and texts that only look like them. */

#define _GNU_SOURCE
#include "kit/json.h"
#include "tests/unit/inspect-kit.h"

#include <string.h>

/* Of a hundred secrets so many are found at least; of the harmless texts so
 * many at most. Lower them for nothing. */
#define FOUND_PERCENT 97
#define HARMLESS_FOUND 0
#define PEOPLE_PERCENT 99

typedef struct {
  GString *text, *secret;
} Sample;

static void
sample_clear(Sample *sample)
{
  g_string_free(sample->text, TRUE);
  g_string_free(sample->secret, TRUE);
}

/* {"kind":…,"text":…,"secret":…} */
static void
read_sample(const char *line, Sample *sample)
{
  g_autoptr(GError) error = NULL;
  JsonReader reader;
  JsonToken token;
  GString *out = NULL;

  sample->text = g_string_new(NULL);
  sample->secret = g_string_new(NULL);
  json_reader_init(&reader, line, strlen(line));
  do {
    g_assert_true(json_next(&reader, &token, &error));
    g_assert_no_error(error);
    if (token.type == JSON_KEY)
      out = json_token_is(line, &token, "text")     ? sample->text
            : json_token_is(line, &token, "secret") ? sample->secret
                                                    : NULL;
    else if (token.type == JSON_STRING && out != NULL)
      json_unescape(line, &token, out);
  } while (token.type != JSON_END);
}

/* `named`: what is on beside what the pack has on. */
static DetectorScratch *
shipped(const char *const *named)
{
  g_autofree char *dir =
      g_test_build_filename(G_TEST_DIST, "..", "policy", "rules.d", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(RulePack) pack = rule_pack_load_dir(dir, &error);
  g_autoptr(Detector) detector = NULL;
  DetectorScratch *scratch;

  g_assert_no_error(error);
  rule_pack_switch_on(pack, named);
  detector = detector_new(pack, NULL, &error);
  g_assert_no_error(error);
  scratch = detector_scratch_new(detector, &error);
  g_assert_no_error(error);
  return scratch;
}

/* Something of the secret is found; or, without one, anything. */
static bool
is_found(DetectorScratch *scratch, const Sample *sample)
{
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GError) error = NULL;
  const char *at = g_strrstr(sample->text->str, sample->secret->str);
  size_t start, end;

  detector_scan(
      scratch, sample->text->str, sample->text->len, findings, &error);
  g_assert_no_error(error);
  if (sample->secret->len == 0)
    return findings->len > 0;
  g_assert_nonnull(at);
  start = (size_t)(at - sample->text->str);
  /* Of a key the sample names its first line. */
  end = strchr(at, '\n') ? sample->text->len : start + sample->secret->len;
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = &g_array_index(findings, Finding, i);

    if (finding->end > start && finding->start < MAX(end, start + 100))
      return true;
  }
  return false;
}

static unsigned
count_found(const char *name,
            DetectorScratch *scratch,
            unsigned *n,
            bool tell_found)
{
  g_autofree char *contents = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *path = g_test_build_filename(
      G_TEST_DIST, "unit", "corpus", "inspect", name, NULL);
  g_auto(GStrv) lines = NULL;
  unsigned found = 0;

  g_file_get_contents(path, &contents, NULL, &error);
  g_assert_no_error(error);
  lines = g_strsplit(contents, "\n", -1);
  *n = 0;
  for (unsigned i = 0; lines[i] != NULL && lines[i][0] != '\0'; i++) {
    Sample sample;
    bool hit;

    read_sample(lines[i], &sample);
    hit = is_found(scratch, &sample);
    found += hit;
    (*n)++;
    if (hit == tell_found)
      g_test_message("%s: %s", hit ? "found" : "missed", sample.text->str);
    sample_clear(&sample);
  }
  return found;
}

static const char *const everybody[] = {"class:email",
                                        "class:ssn",
                                        "class:phone",
                                        "class:ip",
                                        NULL};

static void
test_secrets(void)
{
  unsigned n;
  g_autoptr(Detector) detector = kit_detector();
  g_autoptr(DetectorScratch) scratch = kit_scratch(detector);
  const unsigned found = count_found("secrets.jsonl", scratch, &n, false);

  g_test_message("%u of %u secrets found", found, n);
  g_assert_cmpuint(n, >=, 300);
  g_assert_cmpuint(found * 100, >=, n * FOUND_PERCENT);
}

static void
test_harmless(void)
{
  unsigned n;
  g_autoptr(Detector) detector = kit_detector();
  g_autoptr(DetectorScratch) scratch = kit_scratch(detector);
  const unsigned found = count_found("harmless.jsonl", scratch, &n, true);

  g_test_message("%u of %u harmless texts found", found, n);
  g_assert_cmpuint(n, >=, 250);
  g_assert_cmpuint(found, <=, HARMLESS_FOUND);
}

/* Cards of the issuers' ranges, IBANs of all countries, e-mail addresses, SSNs,
 * telephone numbers, IP addresses; and versions, dates, ids and the like. */
static void
test_people(void)
{
  g_autoptr(DetectorScratch) scratch = NULL;
  unsigned n, found, wrong;

  if (kit_slowness() > 16) {
    g_test_skip("compiling takes minutes under valgrind");
    return;
  }
  scratch = shipped(everybody);
  found = count_found("people.jsonl", scratch, &n, false);
  g_test_message("%u of %u found", found, n);
  g_assert_cmpuint(n, >=, 900);
  g_assert_cmpuint(found * 100, >=, n * PEOPLE_PERCENT);
  wrong = count_found("people-harmless.jsonl", scratch, &n, true);
  g_test_message("%u of %u look-alikes found", wrong, n);
  g_assert_cmpuint(n, >=, 180);
  g_assert_cmpuint(wrong, ==, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/inspect/corpus/secrets", test_secrets);
  g_test_add_func("/inspect/corpus/harmless", test_harmless);
  g_test_add_func("/inspect/corpus/people", test_people);
  return g_test_run();
}
