/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of the shipped pack: its examples hit and its counter-examples do
 * not, alone and inside the whole pack. */

#include "inspect/inspect.h"

#include <string.h>

static RulePack *
load_pack(void)
{
  g_autofree char *dir =
      g_test_build_filename(G_TEST_DIST, "..", "policy", "rules.d", NULL);
  g_autoptr(GError) error = NULL;
  RulePack *pack = rule_pack_load_dir(dir, &error);

  g_assert_no_error(error);
  return pack;
}

/* Whether the rule finds something; with_class: or another rule of its class,
 * which speaks for both where it has found the same. */
static bool
hits(DetectorScratch *scratch,
     const char *text,
     const DetectorRule *rule,
     bool with_class)
{
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GError) error = NULL;
  bool hit = false;

  detector_scan(scratch, text, strlen(text), findings, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = &g_array_index(findings, Finding, i);

    g_assert_cmpuint(finding->start, <, finding->end);
    g_assert_cmpuint(finding->end, <=, strlen(text));
    hit = hit || strcmp(finding->rule->id, rule->id) == 0 ||
          (with_class &&
           strcmp(finding->rule->class_name, rule->class_name) == 0);
  }
  return hit;
}

/* Goes on, so that one run names every rule that is wrong. */
static void
complain(const DetectorRule *rule, const char *what, const char *text)
{
  g_test_message("%s %s: %s", rule->id, what, text);
  g_test_fail();
}

static DetectorScratch *
scratch_of(RulePack *pack)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Detector) detector = detector_new(pack, NULL, &error);
  DetectorScratch *scratch;

  g_assert_no_error(error);
  scratch = detector_scratch_new(detector, &error);
  g_assert_no_error(error);
  return scratch;
}

/* With the pack as a start from the cache has it. */
static void
test_whole_pack(void)
{
  g_autoptr(RulePack) pack = load_pack();
  g_autoptr(GBytes) frozen = rule_pack_freeze(pack);
  g_autoptr(RulePack) thawed = rule_pack_thaw(frozen);
  g_autoptr(DetectorScratch) scratch = scratch_of(thawed);
  unsigned n;
  const DetectorRule *const *rules = rule_pack_rules(pack, &n);

  g_assert_cmpuint(n, >=, 300);
  for (unsigned i = 0; i < n; i++) {
    const DetectorRule *rule = rules[i];

    g_assert_true(rule->examples != NULL && rule->examples[0] != NULL);
    g_assert_true(rule->counter_examples != NULL &&
                  rule->counter_examples[0] != NULL);
    for (unsigned k = 0; rule->examples[k] != NULL; k++)
      if (rule->enabled && !hits(scratch, rule->examples[k], rule, true))
        complain(rule, "does not hit", rule->examples[k]);
    for (unsigned k = 0; rule->counter_examples[k] != NULL; k++)
      if (hits(scratch, rule->counter_examples[k], rule, false))
        complain(rule, "hits", rule->counter_examples[k]);
  }
}

/* A rule as a pack of its own. */
static RulePack *
pack_of(const DetectorRule *rule)
{
  static const char *const kinds[] = {"token", "quoted", "block"};
  static const char *const checks[] = {"none",
                                       "luhn",
                                       "iban",
                                       "github-crc32",
                                       "jwt",
                                       "assignment",
                                       "password",
                                       "random",
                                       "chosen",
                                       "setting"};
  g_auto(GStrv) parts = g_strsplit(rule->regex, "'", -1);
  g_autofree char *regex = g_strjoinv("''", parts);
  g_autoptr(GString) yaml = g_string_new("version: 1\nrules:\n");
  g_autoptr(GError) error = NULL;
  RulePack *pack;

  g_string_append_printf(yaml,
                         "  - id: %s\n    class: %s\n    kind: %s\n"
                         "    check: %s\n    entropy: %.2f\n    regex: '%s'\n",
                         rule->id,
                         rule->class_name,
                         kinds[rule->kind],
                         checks[rule->check],
                         rule->entropy,
                         regex);
  for (unsigned i = 0; rule->allow != NULL && rule->allow[i] != NULL; i++)
    g_string_append_printf(
        yaml, "%s      - '%s'\n", i == 0 ? "    allow:\n" : "", rule->allow[i]);
  pack = rule_pack_parse("alone", yaml->str, yaml->len, &error);
  g_assert_no_error(error);
  return pack;
}

static void
test_alone(void)
{
  g_autoptr(RulePack) pack = load_pack();
  unsigned n;
  const DetectorRule *const *rules = rule_pack_rules(pack, &n);

  for (unsigned i = 0; i < n; i++) {
    const DetectorRule *rule = rules[i];
    g_autoptr(RulePack) alone = pack_of(rule);
    g_autoptr(DetectorScratch) scratch = scratch_of(alone);

    for (unsigned k = 0; rule->examples[k] != NULL; k++)
      if (!hits(scratch, rule->examples[k], rule, false))
        complain(rule, "alone does not hit", rule->examples[k]);
    for (unsigned k = 0; rule->counter_examples[k] != NULL; k++)
      if (hits(scratch, rule->counter_examples[k], rule, false))
        complain(rule, "alone hits", rule->counter_examples[k]);
  }
}

/* ---- Percent encoding ---------------------------------------------------- */

/* Whether all of [from, to) is found. */
static bool
is_covered(DetectorScratch *scratch,
           const GString *text,
           size_t from,
           size_t to)
{
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GError) error = NULL;

  detector_scan(scratch, text->str, text->len, findings, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < findings->len; i++) {
    const Finding *finding = &g_array_index(findings, Finding, i);

    if (finding->start <= from && finding->end > from)
      from = finding->end;
  }
  return from >= to;
}

/* `whole`: what stands before it is encoded, too. */
static bool
is_found_encoded(DetectorScratch *scratch,
                 const char *text,
                 const Finding *at,
                 bool whole,
                 const char *behind)
{
  g_autofree char *before = g_strndup(text, at->start);
  g_autofree char *value = g_strndup(text + at->start, at->end - at->start);
  g_autofree char *coded =
      g_uri_escape_bytes((const guint8 *)before, at->start, NULL);
  g_autofree char *secret =
      g_uri_escape_bytes((const guint8 *)value, at->end - at->start, NULL);
  g_autoptr(GString) joined = g_string_new(whole ? coded : before);
  const size_t start = joined->len;

  g_string_append_printf(joined, "%s%s", secret, behind);
  return is_covered(scratch, joined, start, start + strlen(secret));
}

static bool
is_found_plain(DetectorScratch *scratch,
               const char *text,
               const Finding *at,
               const char *behind)
{
  g_autoptr(GString) joined = g_string_new_len(text, (gssize)at->end);

  g_string_append(joined, behind);
  return is_covered(scratch, joined, at->start, at->end);
}

/* What a value may end with in a query and in a form. */
static unsigned
check_encoded(DetectorScratch *scratch,
              const DetectorRule *rule,
              const char *text,
              const Finding *at)
{
  static const char *const ends[][2] = {
      {"", ""}, {"=", "="}, {"=", "%3D"}, {"&a=1", "&a=1"}, {"&a=1", "%26a=1"}};
  unsigned n = 0;

  for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++) {
    if (!is_found_plain(scratch, text, at, ends[i][0]))
      continue;
    for (unsigned whole = 0; whole < 2; whole++, n++)
      if (!is_found_encoded(scratch, text, at, whole, ends[i][1]))
        complain(rule, "percent-encoded is not found", text);
  }
  return n;
}

/* What is found as it is is found percent-encoded, whatever ends it there. */
static void
test_percent(void)
{
  g_autoptr(RulePack) pack = load_pack();
  g_autoptr(DetectorScratch) scratch = scratch_of(pack);
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  const DetectorRule *const *rules;
  unsigned n, checked = 0;

  rules = rule_pack_rules(pack, &n);
  for (unsigned i = 0; i < n; i++)
    for (unsigned k = 0; rules[i]->enabled && rules[i]->examples[k] != NULL;
         k++) {
      const char *text = rules[i]->examples[k];

      if (!g_test_thorough() && (i + k) % 5 != 0)
        continue;
      g_array_set_size(findings, 0);
      detector_scan(scratch, text, strlen(text), findings, NULL);
      if (findings->len > 0)
        checked += check_encoded(
            scratch, rules[i], text, &g_array_index(findings, Finding, 0));
    }
  g_test_message("%u texts", checked);
  g_assert_cmpuint(checked, >, 1000);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/inspect/rules/whole-pack", test_whole_pack);
  g_test_add_func("/inspect/rules/alone", test_alone);
  g_test_add_func("/inspect/rules/percent", test_percent);
  return g_test_run();
}
