/* SPDX-License-Identifier: Apache-2.0 */
/* Findings as one JSON array, an object a line. */
#include "cli/report.h"
#include "kit/json.h"
#include <stdio.h>

static void
begin(Report *report)
{
  (void)report;
  fputs("[", stdout);
}

static void
hit(Report *report, const char *name, const Hit *hit)
{
  g_autoptr(GString) out = g_string_new(report->n++ ? ",\n  {" : "\n  {");
  g_autofree char *uri = report_uri(name);
  char confidence[G_ASCII_DTOSTR_BUF_SIZE];

  report_member(out, true, "file", name);
  report_member(out, false, "uri", uri);
  g_string_append_printf(out,
                         ",\"line\":%u,\"column\":%u,\"end_line\":%u,"
                         "\"end_column\":%u,\"start\":%zu,\"end\":%zu",
                         hit->line,
                         hit->column,
                         hit->end_line,
                         hit->end_column,
                         hit->start,
                         hit->end);
  report_member(out, false, "rule", hit->rule->id);
  report_member(out, false, "class", hit->rule->class_name);
  if (hit->rule->description)
    report_member(out, false, "description", hit->rule->description);
  g_string_append_printf(
      out,
      ",\"confidence\":%s",
      g_ascii_formatd(confidence, sizeof confidence, "%.2f", hit->confidence));
  if (*hit->fingerprint)
    report_member(out, false, "fingerprint", hit->fingerprint);
  report_member(out, false, "place", hit->place);
  g_string_append_printf(out, ",\"nth\":%u", hit->nth);
  report_member(out, false, "excerpt", hit->shown);
  g_string_append_c(out, '}');
  fputs(out->str, stdout);
}

static void
unread(Report *report, const char *name, const char *why)
{
  (void)report;
  (void)name;
  (void)why;
}

static void
end(Report *report, const ScanTotals *totals, int code)
{
  (void)totals;
  (void)code;
  puts(report->n ? "\n]" : "]");
}

const ReportKind report_json = {.begin = begin,
                                .hit = hit,
                                .unread = unread,
                                .end = end};
