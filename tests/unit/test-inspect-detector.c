/* SPDX-License-Identifier: Apache-2.0 */
/* The detector: its cache, overlaps, limits and windows; and the masker. */

#define _GNU_SOURCE
#include "inspect-kit.h"

#include <glib/gstdio.h>
#include <sys/stat.h>

static RulePack *
parse_pack(const char *rules)
{
  g_autofree char *yaml = g_strconcat("version: 1\nrules:\n", rules, NULL);
  g_autoptr(GError) error = NULL;
  RulePack *pack = rule_pack_parse("test", yaml, strlen(yaml), &error);

  g_assert_no_error(error);
  return pack;
}

static GArray *
scan(DetectorScratch *scratch, const char *text)
{
  GArray *findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GError) error = NULL;

  detector_scan(scratch, text, strlen(text), findings, &error);
  g_assert_no_error(error);
  return findings;
}

static DetectorScratch *
scratch_of(const char *rules)
{
  g_autoptr(RulePack) pack = parse_pack(rules);
  g_autoptr(GError) error = NULL;
  g_autoptr(Detector) detector = detector_new(pack, NULL, &error);

  g_assert_no_error(error);
  return kit_scratch(detector);
}

static void
assert_finding(const GArray *findings, guint i, size_t start, size_t end)
{
  const Finding *at = &g_array_index(findings, Finding, i);

  g_assert_cmpuint(at->start, ==, start);
  g_assert_cmpuint(at->end, ==, end);
}

static char *
read_all(const char *path, gsize *len)
{
  char *bytes = NULL;
  g_autoptr(GError) error = NULL;

  g_file_get_contents(path, &bytes, len, &error);
  g_assert_no_error(error);
  return bytes;
}

/* The detector works, whatever the cache was; true when the file stayed. */
static bool
survives(const char *dir, const char *path)
{
  g_autoptr(RulePack) pack = parse_pack(
      "  - {id: a, class: s, regex: 'AKIA[A-Z0-9]{16}'}\n"
      "  - {id: b, class: s, kind: block, regex: 'BEGIN(?<secret>.*)END'}\n");
  g_autoptr(GError) error = NULL;
  g_autoptr(Detector) detector = detector_new(pack, dir, &error);
  g_autoptr(DetectorScratch) scratch = NULL;
  g_autoptr(GArray) findings = NULL;
  struct stat st;

  g_assert_no_error(error);
  scratch = kit_scratch(detector);
  findings = scan(scratch, "x " AWS_KEY " y");
  g_assert_cmpuint(findings->len, ==, 1);
  g_assert_cmpint(stat(path, &st), ==, 0);
  g_assert_cmpint(st.st_mode & 0777, ==, 0600);
  return true;
}

static void
test_cache(void)
{
  g_autofree char *dir = g_dir_make_tmp("inspect-XXXXXX", NULL);
  g_autofree char *sub = g_build_filename(dir, "cache", NULL);
  g_autofree char *path = g_build_filename(sub, "detector.hsdb", NULL);
  g_autofree char *good = NULL;
  gsize len;

  survives(sub, path);
  good = read_all(path, &len);
  survives(sub, path);
  for (unsigned i = 0; i < 5; i++) {
    g_autofree char *bad = g_memdup2(good, len);
    g_autofree char *after = NULL;
    const gsize places[] = {0, 10, 80, len / 2, len - 1};
    gsize now;

    bad[places[i]] ^= 0x40;
    g_assert_true(g_file_set_contents(path, bad, (gssize)len, NULL));
    g_chmod(path, 0600);
    survives(sub, path);
    after = read_all(path, &now);
    g_assert_cmpmem(after, now, good, len);
  }
  g_assert_true(g_file_set_contents(path, good, (gssize)len / 3, NULL));
  survives(sub, path);
  /* Writable by others: not trusted, so replaced. */
  g_chmod(path, 0666);
  survives(sub, path);
  g_unlink(path);
  g_rmdir(sub);
  g_rmdir(dir);
}

static void
test_cache_of_other_rules(void)
{
  g_autofree char *dir = g_dir_make_tmp("inspect-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(dir, "detector.hsdb", NULL);
  const char *const rules[] = {"  - {id: a, class: s, regex: 'foo[0-9]{4}'}\n",
                               "  - {id: a, class: s, regex: 'bar[0-9]{4}'}\n"};

  for (unsigned i = 0; i < 4; i++) {
    g_autoptr(RulePack) pack = parse_pack(rules[i % 2]);
    g_autoptr(GError) error = NULL;
    g_autoptr(Detector) detector = detector_new(pack, dir, &error);
    g_autoptr(DetectorScratch) scratch = NULL;
    g_autoptr(GArray) findings = NULL;

    g_assert_no_error(error);
    scratch = kit_scratch(detector);
    findings = scan(scratch, "foo1234 bar12345");
    g_assert_cmpuint(findings->len, ==, 1);
    assert_finding(findings, 0, i % 2 ? 8 : 0, i % 2 ? 15 : 7);
  }
  g_unlink(path);
  g_rmdir(dir);
}

/* A folder of rules; the file's text tells whether it was read again. */
static unsigned
load_rules(const char *rules, const char *cache, const char *text)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Detector) detector = detector_load(rules, NULL, cache, &error);
  g_autoptr(DetectorScratch) scratch = NULL;
  g_autoptr(GArray) findings = NULL;
  const DetectorRule *rule;
  unsigned n;

  g_assert_no_error(error);
  rule = rule_pack_rules(detector_pack(detector), &n)[0];
  g_assert_cmpuint(n, ==, 1);
  g_assert_null(rule->examples);
  g_assert_true(g_str_has_suffix(rule->origin, "10.yaml:3"));
  scratch = kit_scratch(detector);
  findings = scan(scratch, text);
  return findings->len;
}

/* While nothing changes the cache is used, and gives the same. */
static void
test_load(void)
{
  g_autofree char *dir = g_dir_make_tmp("inspect-XXXXXX", NULL);
  g_autofree char *file = g_build_filename(dir, "10.yaml", NULL);
  g_autofree char *path = g_build_filename(dir, "detector.hsdb", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(Detector) none = NULL;
  struct stat first, second;
  static const char *const texts[] = {
      "version: 1\nrules:\n"
      "  - {id: a, class: s, regex: 'foo[0-9]{4}', examples: [foo1234]}\n",
      "version: 1\nrules:\n"
      "  - {id: a, class: s, regex: 'foo[0-9]{4}', allow: ['3$']}\n"};

  g_assert_null(detector_load(dir, NULL, dir, &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_READ);
  g_clear_error(&error);
  g_assert_true(g_file_set_contents(file, texts[0], -1, NULL));
  g_assert_cmpuint(load_rules(dir, NULL, "foo1234 foo123"), ==, 1);
  g_assert_cmpuint(load_rules(dir, dir, "foo1234 foo1233"), ==, 2);
  g_assert_cmpint(stat(path, &first), ==, 0);
  g_assert_cmpuint(load_rules(dir, dir, "foo1234 foo1233"), ==, 2);
  g_assert_cmpint(stat(path, &second), ==, 0);
  g_assert_cmpuint(first.st_ino, ==, second.st_ino);
  /* Nothing that libhs sees has changed, but the rule has. */
  g_assert_true(g_file_set_contents(file, texts[1], -1, NULL));
  g_assert_cmpuint(load_rules(dir, dir, "foo1234 foo1233"), ==, 1);
  g_assert_cmpuint(load_rules(dir, dir, "foo1234 foo1233"), ==, 1);
  g_assert_true(g_file_set_contents(file, "version: 2\n", -1, NULL));
  g_assert_null(detector_load(dir, NULL, dir, &error));
  g_assert_nonnull(error);
  g_unlink(path);
  g_unlink(file);
  g_rmdir(dir);
}

/* The rules that were on when this text was found in. */
static char *
found_with(const char *dir, const char *cache, const char *const *named)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Detector) detector = detector_load(dir, named, cache, &error);
  g_autoptr(DetectorScratch) scratch = NULL;
  g_autoptr(GArray) findings = NULL;
  GString *out = g_string_new(NULL);

  g_assert_no_error(error);
  scratch = kit_scratch(detector);
  findings = scan(scratch, "foo1234 bar1234 baz1234");
  for (guint i = 0; i < findings->len; i++)
    g_string_append(out, g_array_index(findings, Finding, i).rule->id);
  return g_string_free(out, FALSE);
}

static unsigned
count_files(const char *path)
{
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  unsigned n = 0;

  while (g_dir_read_name(dir) != NULL)
    n++;
  return n;
}

/* What is named is on, from the cache, too; it has files of its own there, and
 * not many. */
static void
test_load_named(void)
{
  static const struct {
    const char *named[3];
    const char *found;
  } cases[] = {{{NULL}, "a"},
               {{"class:pii", NULL}, "ab"},
               {{"class:s", "rule:a", NULL}, "a"},
               {{"rule:c", NULL}, "ac"},
               {{"class:pii", "rule:c", NULL}, "abc"},
               {{"rule:?", NULL}, "abc"},
               {{"class:p*", NULL}, "ab"},
               {{"rule:b", NULL}, "ab"}};
  g_autofree char *dir = g_dir_make_tmp("inspect-XXXXXX", NULL);
  g_autofree char *file = g_build_filename(dir, "10.yaml", NULL);
  g_autofree char *cache = g_build_filename(dir, "cache", NULL);
  g_autofree char *plain = g_build_filename(cache, "detector.hsdb", NULL);
  g_autofree char *command = g_strdup_printf("rm -r '%s'", dir);
  struct stat first, last;

  g_assert_true(g_file_set_contents(
      file,
      "version: 1\nrules:\n"
      "  - {id: a, class: s, regex: 'foo[0-9]{4}'}\n"
      "  - {id: b, class: pii, regex: 'bar[0-9]{4}', enabled: false}\n"
      "  - {id: c, class: x, regex: 'baz[0-9]{4}', enabled: false}\n",
      -1,
      NULL));
  for (unsigned i = 0; i < 3 * G_N_ELEMENTS(cases); i++) {
    const unsigned at = i % G_N_ELEMENTS(cases);
    g_autofree char *found = found_with(dir, cache, cases[at].named);
    g_autofree char *again = found_with(dir, cache, cases[at].named);
    g_autofree char *bare = found_with(dir, NULL, cases[at].named);

    g_assert_cmpstr(found, ==, cases[at].found);
    g_assert_cmpstr(again, ==, cases[at].found);
    g_assert_cmpstr(bare, ==, cases[at].found);
    if (i == 0)
      g_assert_cmpint(stat(plain, &first), ==, 0);
  }
  g_assert_cmpint(stat(plain, &last), ==, 0);
  g_assert_cmpuint(first.st_ino, ==, last.st_ino);
  g_assert_cmpuint(count_files(cache), ==, 1 + 4);
  g_assert_cmpint(system(command), ==, 0);
}

static void
test_bad_rules(void)
{
  static const char *const bad[] = {
      "  - {id: a, class: s, regex: 'foo\\A[0-9]'}\n",
      "  - {id: a, class: s, regex: 'a[0-9]{2,9000}'}\n",
      "  - {id: a, class: s, regex: 'a[0-9]+'}\n",
      "  - {id: a, class: s, kind: block, regex: 'abc'}\n",
      "  - {id: a, class: s, kind: block, regex: '(?i)(?<secret>abc)'}\n",
      "  - {id: a, class: s, kind: quoted, regex: 'x|y(?<secret>abc)'}\n",
      "  - {id: a, class: s, kind: quoted, regex: 'x+(?<secret>abc)'}\n"};

  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(RulePack) pack = parse_pack(bad[i]);
    g_autoptr(GError) error = NULL;

    g_assert_null(detector_new(pack, NULL, &error));
    g_assert_error(error, INSPECT_ERROR, INSPECT_ERROR_ENGINE);
    g_assert_nonnull(strstr(error->message, "\"a\""));
  }
}

static void
test_no_rules(void)
{
  g_autoptr(DetectorScratch) scratch =
      scratch_of("  - {id: a, class: s, enabled: false, regex: 'foo'}\n");
  g_autoptr(GArray) findings = scan(scratch, "foo");

  g_assert_cmpuint(findings->len, ==, 0);
}

/* An end that no match covers restarts the search. */
static void
test_overlaps(void)
{
  g_autoptr(DetectorScratch) scratch =
      scratch_of("  - {id: a, class: s, regex: 'ab[0-9a]{4}'}\n"
                 "  - {id: b, class: s, regex: '[0-9]{3}xyz'}\n"
                 "  - {id: c, class: t, regex: 'b[0-9]{3}x'}\n");
  g_autoptr(GArray) first = scan(scratch, "ab12ab1234 ab1234");
  g_autoptr(GArray) second = scan(scratch, "ab0123xyz");

  g_assert_cmpuint(first->len, ==, 2);
  assert_finding(first, 0, 4, 10);
  assert_finding(first, 1, 11, 17);
  g_assert_cmpuint(second->len, ==, 2);
  assert_finding(second, 0, 0, 6);
  assert_finding(second, 1, 3, 9);
}

static void
test_doubles(void)
{
  g_autoptr(DetectorScratch) scratch =
      scratch_of("  - {id: a, class: s, regex: 'ab[0-9]{4}', entropy: 1}\n"
                 "  - {id: b, class: s, regex: 'ab[0-9]{4}'}\n"
                 "  - {id: c, class: t, regex: 'ab[0-9]{4}'}\n");
  g_autoptr(GArray) found = scan(scratch, "ab1234");

  g_assert_cmpuint(found->len, ==, 2);
  g_assert_cmpstr(g_array_index(found, Finding, 0).rule->id, ==, "b");
  g_assert_cmpstr(g_array_index(found, Finding, 1).rule->id, ==, "c");
}

static void
test_keywords_and_allow(void)
{
  g_autoptr(DetectorScratch) scratch =
      scratch_of("  - {id: a, class: s, regex: '[0-9]{6}', keywords: [pin],"
                 " allow: ['^0+$']}\n");
  g_autoptr(GArray) with = scan(scratch, "My PIN is 123456");
  g_autoptr(GArray) without = scan(scratch, "My number is 123456");
  g_autoptr(GArray) allowed = scan(scratch, "My PIN is 000000");
  g_autofree char *gap = g_strnfill(300, '.');
  g_autofree char *far_text = g_strconcat("pin ", gap, " 123456", NULL);
  g_autoptr(GArray) far = scan(scratch, far_text);

  g_assert_cmpuint(with->len, ==, 1);
  g_assert_cmpuint(without->len, ==, 0);
  g_assert_cmpuint(allowed->len, ==, 0);
  g_assert_cmpuint(far->len, ==, 0);
}

/* A regex that explodes is an error, not a pass. */
static void
test_match_limit(void)
{
  g_autoptr(DetectorScratch) scratch = scratch_of(
      "  - {id: a, class: s, kind: quoted,"
      " regex: 'key=(?<secret>(?:[a-z]+)*(?:[a-z]+)*(?:[a-z]+)*!)'}\n");
  g_autofree char *run = g_strnfill(4000, 'a');
  g_autofree char *text = g_strconcat("key=", run, " ", NULL);
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GError) error = NULL;

  g_assert_false(detector_scan(scratch, text, strlen(text), findings, &error));
  g_assert_error(error, INSPECT_ERROR, INSPECT_ERROR_LIMIT);
  g_assert_cmpuint(findings->len, ==, 0);
}

static void
test_unterminated(void)
{
  g_autoptr(DetectorScratch) scratch =
      scratch_of("  - {id: a, class: s, kind: quoted,"
                 " regex: 'key=\"(?<secret>[^\"\\n]{4,20})\"'}\n");
  g_autoptr(GArray) whole = scan(scratch, "key=\"a b c d\" x");
  g_autoptr(GArray) open = scan(scratch, "key=\"a b c d");
  g_autoptr(GArray) dead = scan(scratch, "key=\"a b c d\nx");
  g_autoptr(GArray) empty = scan(scratch, "key=\"");

  g_assert_cmpuint(whole->len, ==, 1);
  assert_finding(whole, 0, 5, 12);
  g_assert_cmpuint(open->len, ==, 1);
  assert_finding(open, 0, 5, 12);
  g_assert_cmpuint(dead->len, ==, 0);
  g_assert_cmpuint(empty->len, ==, 0);
}

static void
test_long_texts(void)
{
  g_autoptr(Detector) detector = kit_detector();
  g_autoptr(DetectorScratch) scratch = kit_scratch(detector);
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GArray) findings = NULL;

  /* One line of 10 MB without white space, a key in its middle. */
  while (text->len < 5000000)
    g_string_append(text, "abcdefgh.ijklmnop,");
  g_string_append(text, AWS_KEY);
  while (text->len < 10000000)
    g_string_append(text, ".abcdefghijklmnop,");
  findings = scan(scratch, text->str);
  g_assert_cmpuint(findings->len, ==, 1);
}

static void
test_masks(void)
{
  g_autoptr(Masker) masker = kit_masker();
  g_autoptr(Masker) other = NULL;
  g_autoptr(Secret) key = secret_new("another", 7);
  g_autoptr(GString) a = g_string_new(NULL);
  g_autoptr(GString) b = g_string_new(NULL);
  g_autoptr(GString) c = g_string_new(NULL);
  g_autoptr(GString) back = g_string_new(NULL);
  char one[FINGERPRINT_SIZE], two[FINGERPRINT_SIZE];

  other = masker_new(key, key);
  masker_mask(masker, "s", "rule", "value", 5, a);
  masker_mask(masker, NULL, "rule", "value", 5, b);
  masker_mask(other, "s", "rule", "value", 5, c);
  g_assert_cmpstr(a->str, ==, b->str);
  g_assert_cmpstr(a->str, !=, c->str);
  g_assert_cmpuint(a->len, ==, strlen("[rule:]") + 12);
  g_assert_cmpuint(
      strspn(a->str + 6, "abcdefghijklmnopqrstuvwxyz234567"), ==, 12);
  g_assert_true(
      masker_restore(masker, "s", RESTORE_TEXT, a->str, a->len, back));
  g_assert_cmpstr(back->str, ==, "value");
  g_assert_false(
      masker_restore(masker, "t", RESTORE_TEXT, a->str, a->len, back));
  g_assert_false(
      masker_restore(masker, NULL, RESTORE_TEXT, a->str, a->len, back));
  g_assert_false(
      masker_restore(other, "s", RESTORE_TEXT, a->str, a->len, back));
  g_assert_cmpstr(back->str, ==, "value");
  masker_fingerprint(masker, "value", 5, one);
  masker_fingerprint(other, "value", 5, two);
  g_assert_cmpuint(strlen(one), ==, 16);
  g_assert_cmpstr(one, !=, two);
}

/* The map forgets what was used least recently, never more. */
static void
test_mask_bounds(void)
{
  g_autoptr(Masker) masker = kit_masker();
  g_autoptr(GString) first = g_string_new(NULL);
  g_autoptr(GString) mask = g_string_new(NULL);
  g_autoptr(GString) value = g_string_new(NULL);

  masker_mask(masker, "s", "rule", "first", 5, first);
  for (unsigned i = 0; i < 4095; i++) {
    g_string_printf(value, "value %u", i);
    g_string_truncate(mask, 0);
    masker_mask(masker, "s", "rule", value->str, value->len, mask);
  }
  g_string_truncate(value, 0);
  g_assert_true(
      masker_restore(masker, "s", RESTORE_TEXT, first->str, first->len, value));
  masker_mask(masker, "s", "rule", "one more", 8, mask);
  g_assert_true(
      masker_restore(masker, "s", RESTORE_TEXT, first->str, first->len, value));
  for (unsigned i = 0; i < 40; i++) {
    g_autofree char *scope = g_strdup_printf("scope %u", i);

    masker_mask(masker, scope, "rule", "first", 5, mask);
  }
  g_assert_false(
      masker_restore(masker, "s", RESTORE_TEXT, first->str, first->len, value));
  g_assert_true(masker_restore(
      masker, "scope 39", RESTORE_TEXT, first->str, first->len, value));
}

/* The opener of a key with nothing but what may stand before one is no work. */
static void
test_key_without_body(void)
{
  g_autoptr(Detector) detector = kit_detector();
  static const char *const units[] = {"\\\\\\\\\\\\\\\"",
                                      "\n  ",
                                      "\\n",
                                      "\\\\r\\\\n\\\"",
                                      "A-b: \n",
                                      "\\\\A-b: x\\n"};
  g_autoptr(DetectorScratch) scratch = kit_scratch(detector);

  for (unsigned i = 0; i < G_N_ELEMENTS(units); i++)
    for (unsigned n = 1; n < 200; n += 1 + n / 8) {
      g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));
      g_autoptr(GString) text =
          g_string_new("\"-----BEGIN RSA PRIVATE KEY-----");
      g_autoptr(GError) error = NULL;

      for (unsigned k = 0; k < n; k++)
        g_string_append(text, units[i]);
      g_string_append(text, "{\"k\": \"v\"} and words");
      detector_scan(scratch, text->str, text->len, found, &error);
      g_assert_no_error(error);
    }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/inspect/detector/cache", test_cache);
  g_test_add_func("/inspect/detector/cache-of-other-rules",
                  test_cache_of_other_rules);
  g_test_add_func("/inspect/detector/load", test_load);
  g_test_add_func("/inspect/detector/load-named", test_load_named);
  g_test_add_func("/inspect/detector/bad-rules", test_bad_rules);
  g_test_add_func("/inspect/detector/no-rules", test_no_rules);
  g_test_add_func("/inspect/detector/overlaps", test_overlaps);
  g_test_add_func("/inspect/detector/doubles", test_doubles);
  g_test_add_func("/inspect/detector/keywords-and-allow",
                  test_keywords_and_allow);
  g_test_add_func("/inspect/detector/match-limit", test_match_limit);
  g_test_add_func("/inspect/detector/unterminated", test_unterminated);
  g_test_add_func("/inspect/detector/long-texts", test_long_texts);
  g_test_add_func("/inspect/detector/key-without-body", test_key_without_body);
  g_test_add_func("/inspect/masker/masks", test_masks);
  g_test_add_func("/inspect/masker/bounds", test_mask_bounds);
  return g_test_run();
}
