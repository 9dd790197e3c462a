/* SPDX-License-Identifier: Apache-2.0 */
/* What journal's words share: times as people say them, cells that no
 * spreadsheet runs, text that is no markup, conversations that no terminal acts
 * on. */
#include "cli/audit.h"
#include "cli/csv.h"
#include "cli/show.h"
#include "cli/when.h"

#include <string.h>

#define S ((int64_t)G_USEC_PER_SEC)
/* 2026-11-20 15:04:05 UTC. */
#define NOW (INT64_C(1795187045) * S)
#define MIDNIGHT (NOW - (15 * 3600 + 4 * 60 + 5) * S)
#define DAY (24 * 3600 * S)

/* ---- Times --------------------------------------------------------------- */

static void
times(void)
{
  static const struct {
    const char *text;
    bool end;
    int64_t us;
  } cases[] = {
      {"now", false, NOW},
      {"2h", false, NOW - 7200 * S},
      {"90s", true, NOW - 90 * S},
      {"7d", false, NOW - 7 * DAY},
      {"today", false, MIDNIGHT},
      {"today", true, MIDNIGHT + DAY},
      {"yesterday", false, MIDNIGHT - DAY},
      {"yesterday", true, MIDNIGHT},
      {"yesterday 08:30", true, MIDNIGHT - DAY + 30600 * S},
      {"14:30", false, MIDNIGHT + 52200 * S},
      {"14:30:10", false, MIDNIGHT + 52210 * S},
      {"2026-11-19", false, MIDNIGHT - DAY},
      {"2026-11-19", true, MIDNIGHT},
      {"2026-11-19 12:00", false, MIDNIGHT - DAY / 2},
      {"2026-11-19T12:00:00", false, MIDNIGHT - DAY / 2},
      {"2026-11-19T12:00:00Z", false, MIDNIGHT - DAY / 2},
      {"2026-11-19T12:00:00.250+02:00",
       false,
       MIDNIGHT - DAY / 2 - 7200 * S + S / 4},
  };
  g_autoptr(GTimeZone) zone = g_time_zone_new_utc();

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    int64_t us = 0;

    g_test_message("%s", cases[i].text);
    g_assert_true(when_parse(cases[i].text, NOW, zone, cases[i].end, &us));
    g_assert_cmpint(us, ==, cases[i].us);
  }
}

static void
no_times(void)
{
  static const char *const texts[] = {"",
                                      "monday",
                                      "25:00",
                                      "12:60",
                                      "2026-13-01",
                                      "2026-02-30",
                                      "2026-11-19 25:00",
                                      "2026-11-19x",
                                      "yesterday at noon",
                                      "-2h",
                                      "today today"};
  g_autoptr(GTimeZone) zone = g_time_zone_new_utc();

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
    int64_t us = 42;

    g_test_message("%s", texts[i]);
    g_assert_false(when_parse(texts[i], NOW, zone, false, &us));
    g_assert_cmpint(us, ==, 42);
  }
}

/* A day has 23 hours where clocks go forward in it. */
static void
summer_time(void)
{
  g_autoptr(GTimeZone) zone = g_time_zone_new_identifier("Europe/Berlin");
  int64_t from, to;

  if (!zone) {
    g_test_skip("no time zones are installed");
    return;
  }
  g_assert_true(when_parse("2026-03-29", NOW, zone, false, &from));
  g_assert_true(when_parse("2026-03-29", NOW, zone, true, &to));
  g_assert_cmpint(to - from, ==, 23 * 3600 * S);
}

/* ---- Cells and markup ---------------------------------------------------- */

static void
cells(void)
{
  static const struct {
    const char *text, *cell;
  } cases[] = {
      {"plain", "plain"},
      {NULL, ""},
      {"", ""},
      {"a,b", "\"a,b\""},
      {"say \"hi\"", "\"say \"\"hi\"\"\""},
      {"two\nlines", "\"two\nlines\""},
      {"=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""},
      {"+1", "\"'+1\""},
      {"-1", "\"'-1\""},
      {"@SUM(A1)", "\"'@SUM(A1)\""},
      {"\t=1", "\"'\t=1\""},
      {"\r=1", "\"'\r=1\""},
      {"=\"x\"", "\"'=\"\"x\"\"\""},
      {"a=b", "a=b"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GString) out = g_string_new(NULL);

    csv_cell(out, cases[i].text);
    g_assert_cmpstr(out->str, ==, cases[i].cell);
  }
}

static void
markup(void)
{
  static const struct {
    const char *text, *html;
  } cases[] = {
      {"a & b", "a &amp; b"},
      {"<script>alert('x')</script>",
       "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"},
      {"\" onload=\"x", "&quot; onload=&quot;x"},
      {"\x1b[31m", "^[[31m"},
      {"a\xe2\x80\xae"
       "b",
       "a&lt;U+202E&gt;b"},
      {"\xff", "&lt;FF&gt;"},
      {NULL, "–"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GString) out = g_string_new(NULL);

    html_text(out, cases[i].text);
    g_assert_cmpstr(out->str, ==, cases[i].html);
  }
}

/* Whatever a row holds, the page has no markup of it. */
static void
page_escapes(void)
{
  static const char evil[] = "<img src=x onerror=alert(1)>\"'&\x1b]0;t\x07";
  g_autoptr(Audit) audit = audit_new();
  g_autoptr(GString) page = g_string_new(NULL);
  g_autofree char *detail = g_strdup(
      "{\"message\":\"<img src=x>\",\"why\":\"<img src=x>\",\"answers\":[{"
      "\"who\":\"<img src=x>\",\"reason\":\"<img src=x>\"}],\"verdict\":{"
      "\"message\":\"<img src=x>\",\"matched\":[{\"rule\":\"<img src=x>\"}]}}");

  for (int kind = 0; kind < N_ROW_KINDS; kind++) {
    JournalEntry entry = {.seq = kind + 1};

    entry.row = journal_row_new((RowKind)kind);
    entry.row->user = g_strdup(evil);
    entry.row->client = g_strdup(evil);
    entry.row->model = g_strdup(evil);
    entry.row->rule = g_strdup(evil);
    entry.row->host = g_strdup(evil);
    entry.row->process = g_strdup(evil);
    entry.row->issuer = g_strdup(evil);
    entry.row->verdict = g_strdup(kind == ROW_REQUEST ? "block" : evil);
    entry.row->detail = g_strdup(detail);
    g_assert_true(audit_row(&entry, audit));
    journal_row_free(entry.row);
  }
  audit->path = g_strdup(evil);
  audit->head = evil;
  audit->verify_error = g_strdup(evil);
  audit_html(audit, page);
  g_assert_null(strstr(page->str, "<img"));
  g_assert_null(strchr(page->str, '\x1b'));
  g_assert_null(strchr(page->str, '\x07'));
  g_assert_nonnull(strstr(page->str, "&lt;img src=x onerror=alert(1)&gt;"));
  g_assert_cmpuint(audit->requests, ==, 1);
  g_assert_cmpuint(audit->n_refusals, ==, 2);
}

/* An empty journal has a page, too. */
static void
empty_page(void)
{
  g_autoptr(Audit) audit = audit_new();
  g_autoptr(GString) page = g_string_new(NULL);

  audit->path = g_strdup("journal.db");
  audit_html(audit, page);
  g_assert_nonnull(strstr(page->str, "No requests."));
  g_assert_true(g_str_has_suffix(page->str, "</html>\n"));
}

/* ---- Conversations ------------------------------------------------------- */

static void
conversations(void)
{
  static const char body[] =
      "{\"messages\":[{\"role\":\"user\",\"content\":\"one\\n\\u001b[2Jtwo\"},"
      "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"c\\u0007\","
      "\"function\":{\"name\":\"r\\u202em\",\"arguments\":\"{}\"}}]},"
      "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"done\"}]}";
  static const char *const shown[] = {
      "user\n    one\n    ^[[2Jtwo\n",
      "assistant calls r<U+202E>m [c^G]\n    {}\n",
      "tool answers [c]\n    done\n",
  };
  g_autoptr(GPtrArray) parts =
      talk_read(API_CHAT, false, body, sizeof body - 1);

  g_assert_cmpuint(parts->len, ==, G_N_ELEMENTS(shown));
  for (unsigned i = 0; i < parts->len; i++) {
    g_autofree char *text = show_part(parts->pdata[i], false);

    g_assert_cmpstr(text, ==, shown[i]);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cli/journal/times", times);
  g_test_add_func("/cli/journal/no-times", no_times);
  g_test_add_func("/cli/journal/summer-time", summer_time);
  g_test_add_func("/cli/journal/cells", cells);
  g_test_add_func("/cli/journal/markup", markup);
  g_test_add_func("/cli/journal/page-escapes", page_escapes);
  g_test_add_func("/cli/journal/empty-page", empty_page);
  g_test_add_func("/cli/journal/conversations", conversations);
  return g_test_run();
}
