/* SPDX-License-Identifier: Apache-2.0 */
/* What a person is shown: texts laid out with their findings, nothing hidden,
 * nothing approved unseen, calm words for times. */
#include "sheet/sheet.h"
#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)
#define MINUTE (60 * SECOND)

typedef struct {
  GString *text;
  GVariantBuilder marks;
  GVariantDict dict;
} Maker;

static void
maker_init(Maker *maker)
{
  maker->text = g_string_new(NULL);
  g_variant_builder_init(&maker->marks, G_VARIANT_TYPE("a(uussss)"));
  g_variant_dict_init(&maker->dict, NULL);
}

static void
mark(Maker *maker,
     size_t start,
     const char *kind,
     const char *name,
     const char *where,
     const char *more)
{
  g_variant_builder_add(&maker->marks,
                        "(uussss)",
                        (guint32)start,
                        (guint32)maker->text->len,
                        kind,
                        name,
                        where,
                        more);
}

/* before + [finding] + after as one part. */
static void
part(Maker *maker,
     const char *role,
     const char *tool,
     const char *before,
     const char *finding,
     const char *after)
{
  size_t start, at;

  g_string_append_printf(maker->text, "path (%s)\n", role);
  start = maker->text->len;
  g_string_append(maker->text, before);
  at = maker->text->len;
  g_string_append(maker->text, finding);
  if (*finding)
    mark(maker, at, "finding", "a-rule", "", "[a-rule:mask]");
  g_string_append(maker->text, after);
  mark(maker, start, "part", role, "messages[0].content", tool);
  g_string_append(maker->text, "\n\n");
}

static Sheet *
maker_end(Maker *maker)
{
  static const char *const rules[] = {"careful", NULL};
  g_autoptr(GVariant) review = NULL;

  g_variant_dict_insert(&maker->dict, "text", "s", maker->text->str);
  g_variant_dict_insert_value(
      &maker->dict, "marks", g_variant_builder_end(&maker->marks));
  g_variant_dict_insert(&maker->dict, "user", "s", "anna");
  g_variant_dict_insert(&maker->dict, "client", "s", "Copilot CLI");
  g_variant_dict_insert(&maker->dict, "connection", "s", "copilot");
  g_variant_dict_insert(&maker->dict, "rules", "^as", rules);
  review = g_variant_ref_sink(g_variant_dict_end(&maker->dict));
  g_string_free(maker->text, TRUE);
  return sheet_new(review);
}

/* The runs are one behind the other and are all of a valid text. */
static void
check_runs(const SheetText *text)
{
  size_t at = 0;

  g_assert_true(
      g_utf8_validate(text->text->str, (gssize)text->text->len, NULL));
  for (unsigned i = 0; i < text->runs->len; i++) {
    const SheetRun *run = &g_array_index(text->runs, SheetRun, i);

    g_assert_cmpuint(run->start, ==, at);
    g_assert_cmpuint(run->end, >, run->start);
    at = run->end;
  }
  g_assert_cmpuint(at, ==, text->text->len);
}

static char *
run_text(const SheetText *text, SheetStyle style, unsigned which)
{
  for (unsigned i = 0; i < text->runs->len; i++) {
    const SheetRun *run = &g_array_index(text->runs, SheetRun, i);

    if (run->style == style && which-- == 0)
      return g_strndup(text->text->str + run->start, run->end - run->start);
  }
  return NULL;
}

#define assert_run(text, style, which, expected)                               \
  do {                                                                         \
    g_autofree char *got_ = run_text(text, style, which);                      \
    g_assert_cmpstr(got_, ==, expected);                                       \
  } while (0)

static void
test_text(void)
{
  g_autoptr(Sheet) sheet = NULL;
  const SheetText *text;
  Maker maker;

  maker_init(&maker);
  part(&maker, "prompt", "", "use ", "SECRET", " now");
  part(&maker,
       "tool call",
       "run_in_terminal",
       "{\"command\":\"echo {} ",
       "SECRET",
       "\",\"list\":[1,{}]}");
  sheet = maker_end(&maker);
  g_assert_cmpuint(sheet_findings(sheet), ==, 2);
  text = sheet_text(sheet, false);
  check_runs(text);
  g_assert_cmpstr(text->text->str,
                  ==,
                  "Prompt   messages[0].content\n"
                  "use SECRET ‹1: a-rule› now\n\n"
                  "Tool call: run_in_terminal   messages[0].content\n"
                  "{\n"
                  "  \"command\": \"echo {} SECRET ‹2: a-rule›\",\n"
                  "  \"list\": [\n"
                  "    1,\n"
                  "    {\n"
                  "      \n"
                  "    }\n"
                  "  ]\n"
                  "}\n");
  assert_run(text, SHEET_FINDING, 1, "SECRET");
  assert_run(text, SHEET_HEADING, 0, "Prompt");
  text = sheet_text(sheet, true);
  check_runs(text);
  g_assert_null(strstr(text->text->str, "SECRET"));
  assert_run(text, SHEET_SENT, 0, "[a-rule:mask]");
  assert_run(text, SHEET_LABEL, 0, " ‹1: a-rule, masked›");
}

static void
test_harmless(void)
{
  g_autofree char *long_name = g_strnfill(1 << 20, 'x');
  g_autofree char *long_line = g_strnfill(100000, 'y');
  g_autoptr(Sheet) sheet = NULL;
  const GPtrArray *rows;
  const SheetText *text;
  Maker maker;

  maker_init(&maker);
  g_variant_dict_insert(&maker.dict, "model", "s", long_name);
  g_variant_dict_insert(
      &maker.dict, "process", "s", "a\nuser  root\u202e <b>x</b>\u2028\a");
  part(&maker, "prompt", "", "\u202egnp.exe \u200b", "S\u202eE", "\a<b>&amp;");
  part(&maker, "prompt", "", "a\u0301\u0301\u0301\u0301\u0301\u0301", "", "");
  part(&maker, "tool call", long_name, "{", "", long_line);
  sheet = maker_end(&maker);
  rows = sheet_rows(sheet, 0);
  for (unsigned i = 0; i < rows->len; i++) {
    const SheetRow *row = rows->pdata[i];

    g_assert_cmpuint(strlen(row->value), <, 4096);
    g_assert_null(strpbrk(row->value, "\n\r\a"));
    g_assert_null(strstr(row->value, "\u202e"));
    g_assert_null(strstr(row->value, "\u2028"));
  }
  text = sheet_text(sheet, false);
  check_runs(text);
  assert_run(text, SHEET_HIDDEN, 0, "<U+202E>");
  assert_run(text, SHEET_FINDING, 0, "S<U+202E>E");
  g_assert_nonnull(strstr(text->text->str, "^G<b>&amp;"));
  g_assert_nonnull(strstr(text->text->str, "<U+0301>"));
  g_assert_null(strstr(text->text->str, "\u202e"));
  for (const char *end = strchr(text->text->str, '\n'); end;
       end = strchr(end + 1, '\n'))
    g_assert_cmpuint(strcspn(end + 1, "\n"), <, 4200);
}

/* Marks that do not fit show less, never something else. */
static void
test_bad_marks(void)
{
  g_autoptr(Sheet) sheet = NULL;
  const SheetText *text;
  Maker maker;

  maker_init(&maker);
  g_string_append(maker.text, "ä all of it");
  g_variant_builder_add(
      &maker.marks, "(uussss)", 1, 4, "finding", "cuts-a-letter", "", "");
  g_variant_builder_add(
      &maker.marks, "(uussss)", 0, 4000000000U, "part", "prompt", "", "");
  g_variant_builder_add(
      &maker.marks, "(uussss)", 5, 3, "finding", "backwards", "", "");
  sheet = maker_end(&maker);
  g_assert_cmpuint(sheet_findings(sheet), ==, 0);
  text = sheet_text(sheet, false);
  check_runs(text);
  g_assert_cmpstr(text->text->str, ==, "ä all of it\n");
}

#define assert_why(sheet, look, reason, expected)                              \
  do {                                                                         \
    g_autofree char *got_ = sheet_why_not(sheet, look, reason);                \
    g_assert_cmpstr(got_, ==, expected);                                       \
  } while (0)

static void
test_seen(void)
{
  g_autoptr(Sheet) sheet = NULL;
  g_autofree char *left_out = NULL;
  size_t at;
  Maker maker;

  maker_init(&maker);
  g_variant_dict_insert(&maker.dict, "needs_reason", "b", TRUE);
  part(&maker, "prompt", "", "use ", "SECRET", " now");
  at = maker.text->len;
  g_string_append(maker.text, "[… 5000000 bytes are not shown here …]");
  mark(&maker, at, "gap", "", "5000000", "1");
  part(&maker, "prompt", "", "and ", "SECRET", "");
  sheet = maker_end(&maker);
  left_out = sheet_left_out(sheet);
  g_assert_true(g_str_has_suffix(left_out, "with 1 more finding."));
  assert_run(sheet_text(sheet, false),
             SHEET_GAP,
             0,
             "[… 5000000 bytes are not shown here …]");
  assert_why(sheet,
             MINUTE,
             "so",
             "2 of 2 findings were not looked at yet: F8 goes to the next.");
  sheet_see(sheet, 1);
  sheet_see(sheet, 1);
  sheet_see(sheet, 0);
  sheet_see(sheet, 3);
  g_assert_cmpuint(sheet_unseen(sheet), ==, 1);
  g_assert_true(sheet_saw(sheet, 1) && !sheet_saw(sheet, 2));
  sheet_see(sheet, 2);
  assert_why(sheet, MINUTE, "so", "Say first that you know what is not shown.");
  sheet_acknowledge(sheet, true);
  assert_why(sheet, MINUTE, " ", "The rule asks for a reason.");
  assert_why(sheet, SHEET_LOOK_US - 1, "so", "A moment to read it first.");
  assert_why(sheet, SHEET_LOOK_US, "so", NULL);
}

/* The words change seldom, and exactly when it was said that they would. */
static void
test_time_left(void)
{
  static const struct {
    int64_t left;
    const char *text;
  } rows[] = {
      {3 * 60 * MINUTE, "about 3 hours left"},
      {10 * MINUTE, "about 10 minutes left"},
      {2 * MINUTE, "about 2 minutes left"},
      {80 * SECOND, "about a minute and a half left"},
      {60 * SECOND, "about 1 minute left"},
      {30 * SECOND, "about half a minute left"},
      {10 * SECOND, "some seconds left"},
      {0, "the time is over"},
      {-MINUTE, "the time is over"},
  };
  unsigned changes = 0;

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = sheet_time_left(rows[i].left, NULL);

    g_assert_cmpstr(text, ==, rows[i].text);
  }
  for (int64_t left = 5 * 60 * MINUTE; left > 0; changes++) {
    int64_t next;
    g_autofree char *text = sheet_time_left(left, &next);
    g_autofree char *same = sheet_time_left(left - next + 1, NULL);
    g_autofree char *other = sheet_time_left(left - next, NULL);

    g_assert_cmpint(next, >, 0);
    g_assert_cmpstr(text, ==, same);
    g_assert_cmpstr(text, !=, other);
    left -= next;
  }
  g_assert_cmpuint(changes, <, 110);
}

static void
test_words(void)
{
  g_autoptr(Sheet) sheet = NULL;
  g_autofree char *scope = NULL;
  g_autofree char *talk = NULL;
  g_autofree char *ended = sheet_ended("approved-masked", "an\nna");
  g_autofree char *late = sheet_ended("timeout", "");
  Maker maker;

  maker_init(&maker);
  sheet = maker_end(&maker);
  talk = sheet_scope(sheet, 0, 0);
  scope = sheet_scope(sheet, 1700000000 * SECOND, 600);
  g_assert_cmpstr(talk,
                  ==,
                  "Requests that rule careful holds, from Copilot CLI as anna, "
                  "on copilot, in this conversation");
  g_assert_true(g_str_has_prefix(
      scope, "Requests that rule careful holds, from Copilot CLI as anna"));
  g_assert_nonnull(strstr(scope, ", until "));
  g_assert_cmpstr(ended, ==, "Approved masked by an\\nna.");
  g_assert_cmpstr(late, ==, "Nobody answered in time, so it was denied.");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/sheet/text", test_text);
  g_test_add_func("/sheet/harmless", test_harmless);
  g_test_add_func("/sheet/bad-marks", test_bad_marks);
  g_test_add_func("/sheet/seen", test_seen);
  g_test_add_func("/sheet/time-left", test_time_left);
  g_test_add_func("/sheet/words", test_words);
  return g_test_run();
}
