/* SPDX-License-Identifier: Apache-2.0 */
/* The promise of `scan --batch --chunks N`: a text that arrives in pieces has
 * the findings and masks of the whole one, whatever is nested in it. */

#define _GNU_SOURCE
#include "nest-make.h"
#include "stream-kit.h"

static StreamKit kit;
static RulePack *pack;
static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

static void
append_finding(GString *out, const Finding *at)
{
  g_string_append_printf(out, "%s %zu-%zu\n", at->rule->id, at->start, at->end);
}

/* Findings and masked text, as a scan prints them. */
static GString *
scan_whole(DetectorScratch *scratch, const GString *text)
{
  g_autoptr(GBytes) body = g_bytes_new_static(text->str, text->len);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) whole = NULL;
  g_autoptr(GBytes) masked = NULL;
  g_autofree BodySpan *places = NULL;
  GString *out = g_string_new(NULL);
  const Finding *findings;
  unsigned n;

  whole = inspection_new(scratch,
                         API_OTHER,
                         DIRECTION_REQUEST,
                         "text/plain",
                         body,
                         &(InspectLimits){100000, 100000, 0},
                         &error);
  if (error != NULL)
    g_error("%s: %s", error->message, text->str);
  findings = inspection_findings(whole, &n);
  places = g_new(BodySpan, MAX(n, 1));
  inspection_body_spans(whole, places);
  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {findings[i].field,
                           findings[i].start,
                           findings[i].end,
                           findings[i].rule->id};
    Finding told = findings[i];

    told.start = places[i].start;
    told.end = places[i].end;
    append_finding(out, &told);
    g_array_append_val(spans, span);
  }
  masked = inspection_rewrite(whole, kit.masker, "scope", spans, &error);
  g_assert_no_error(error);
  g_string_append_len(
      out, g_bytes_get_data(masked, NULL), (gssize)g_bytes_get_size(masked));
  return out;
}

static GString *
scan_stream(const GString *text, unsigned widest)
{
  g_autofree size_t *cuts = g_new(size_t, text->len + 1);
  g_autoptr(Run) run = NULL;
  GString *out = g_string_new(NULL);
  size_t n = 0;

  for (size_t at = 0; at < text->len; n++) {
    at += 1 + nest_pick(widest);
    at = MIN(at, text->len);
    cuts[n] = at;
  }
  run = kit_run(&kit, API_OTHER, false, &plan, text->str, text->len, cuts, n);
  if (run->error != NULL)
    g_error("%s: %s", run->error->message, text->str);
  g_string_append(out, run->found->str);
  g_string_append_len(out, run->out->str, (gssize)run->out->len);
  return out;
}

static unsigned
compare(const GString *text, const GString *whole, unsigned widest)
{
  g_autoptr(GString) pieces = scan_stream(text, widest);
  g_autofree char *said = g_strescape(text->str, NULL);
  g_autofree char *expected = g_strescape(whole->str, NULL);
  g_autofree char *seen = g_strescape(pieces->str, NULL);

  if (g_string_equal(pieces, whole))
    return 0;
  g_test_message("text:\n%s\n-- whole:\n%s\n-- in pieces of up to %u:\n%s",
                 said,
                 expected,
                 widest,
                 seen);
  return 1;
}

static void
test_random(void)
{
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  const char *set = g_getenv("NEST_ROUNDS");
  const unsigned rounds = set                 ? (unsigned)atoi(set)
                          : g_test_thorough() ? 10000
                                              : 500 / (unsigned)kit_step(1);
  unsigned differ = 0;

  for (unsigned round = 0; round < rounds; round++) {
    g_autoptr(GString) text = nest_text(pack);
    g_autoptr(GString) whole = scan_whole(scratch, text);

    differ += compare(text, whole, 1);
    differ += compare(text, whole, 1 + nest_pick(60));
    differ += compare(text, whole, 1 + nest_pick(2000));
  }
  if (differ > 0)
    g_error("%u of %u pairs differ", differ, 3 * rounds);
}

/* Ids of the rules that find something. */
static GHashTable *
rules_of(DetectorScratch *scratch, const char *text, unsigned depth)
{
  g_autoptr(GBytes) body = g_bytes_new_static(text, strlen(text));
  const InspectLimits limits = {100000, 100000, depth};
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection = inspection_new(scratch,
                                                    API_OTHER,
                                                    DIRECTION_REQUEST,
                                                    "text/plain",
                                                    body,
                                                    &limits,
                                                    &error);
  GHashTable *ids = g_hash_table_new(g_str_hash, g_str_equal);
  const Finding *findings;
  unsigned n;

  g_assert_no_error(error);
  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++)
    g_hash_table_add(ids, (gpointer)findings[i].rule->id);
  return ids;
}

typedef struct {
  unsigned all, missed;
} Covered;

static void
check_covers(DetectorScratch *scratch,
             const char *id,
             const char *example,
             Covered *covered)
{
  g_autoptr(GString) text = g_string_new(example);

  for (unsigned depth = 1; depth <= 4; depth++) {
    g_autofree char *inner = g_strdup(text->str);
    g_autoptr(GHashTable) read = NULL;
    g_autoptr(GHashTable) plain = NULL;

    g_string_assign(text, "{\"a\": \"");
    json_escape(text, inner, -1);
    g_string_append(text, "\"}");
    read = rules_of(scratch, text->str, 3);
    if (!g_hash_table_contains(read, id))
      continue;
    plain = rules_of(scratch, text->str, 0);
    covered->all++;
    if (g_hash_table_contains(plain, id))
      continue;
    covered->missed++;
    g_test_message("%s, %u deep: %s", id, depth, text->str);
  }
}

/* What reading the JSON in a text finds is found in the text as it stands, but
 * for the few settings that are told by the line that they fill. */
static void
test_covers(void)
{
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  const DetectorRule *const *rules;
  Covered covered = {0};
  unsigned n;

  rules = rule_pack_rules(pack, &n);
  for (unsigned i = 0; i < n; i++)
    for (unsigned k = 0; rules[i]->examples[k] != NULL; k++)
      check_covers(scratch, rules[i]->id, rules[i]->examples[k], &covered);
  g_assert_cmpuint(covered.all, >, 1000);
  if (covered.missed * 100 > covered.all)
    g_error("%u of %u missed", covered.missed, covered.all);
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  pack = kit_pack();
  g_test_add_func("/inspect/nest/random", test_random);
  g_test_add_func("/inspect/nest/covers", test_covers);
  result = g_test_run();
  rule_pack_unref(pack);
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
