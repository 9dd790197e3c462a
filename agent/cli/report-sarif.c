/* SPDX-License-Identifier: Apache-2.0 */
/* Findings as a SARIF 2.1.0 log (OASIS Standard, 27 March 2020) of one run, for
 * tools that show them beside the code. */
#include "config.h"

#include "cli/report.h"
#include "kit/json.h"
#include <stdio.h>
#include <string.h>

/* Files that were not read, one by one; the rest is counted. */
#define MAX_NOTES 1000
#define SCHEMA                                                                 \
  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"        \
  "sarif-schema-2.1.0.json"

/* What code-scanning tools sort by: CVSS-like, 7.0 and more is high. */
static const char *
severity(const DetectorRule *rule)
{
  return strcmp(report_level(rule), "error") == 0 ? "8.0" : "5.0";
}

static void
append_message(GString *out, bool first, const char *name, const char *text)
{
  g_string_append_printf(out, "%s\"%s\":{", first ? "" : ",", name);
  report_member(out, true, "text", text);
  g_string_append_c(out, '}');
}

/* ---- The driver ----------------------------------------------------------
 */

static void
append_rule(GString *out, const DetectorRule *rule)
{
  const char *what = rule->description ? rule->description : rule->id;
  g_autofree char *full = g_strdup_printf(
      "%s (class %s). Remove it from the file and its history, and have it "
      "replaced where it was issued. A line that says hoop:allow is passed "
      "over.",
      what,
      rule->class_name);

  g_string_append_c(out, '{');
  report_member(out, true, "id", rule->id);
  append_message(out, false, "shortDescription", what);
  append_message(out, false, "fullDescription", full);
  append_message(out, false, "help", full);
  g_string_append(out, ",\"defaultConfiguration\":{");
  report_member(out, true, "level", report_level(rule));
  g_string_append(out, "},\"properties\":{\"tags\":[\"security\",\"");
  json_escape(out, rule->class_name, -1);
  g_string_append(out, "\"]");
  report_member(out, false, "security-severity", severity(rule));
  report_member(out, false, "precision", "high");
  g_string_append(out, "}}");
}

static void
begin(Report *report)
{
  g_autoptr(GString) out = g_string_new(NULL);
  g_autofree char *here = g_get_current_dir();
  g_autofree char *escaped =
      g_uri_escape_bytes((const guint8 *)here, strlen(here), "/");
  unsigned n, listed = 0;
  const DetectorRule *const *rules = rule_pack_all(report->pack, &n);

  report->positions = g_new0(unsigned, MAX(n, 1));
  g_string_append(out,
                  "{\"$schema\":\"" SCHEMA "\",\"version\":\"2.1.0\","
                  "\"runs\":[{\"tool\":{\"driver\":{\"name\":\"hoop-agent\","
                  "\"version\":\"" PACKAGE_VERSION "\",\"rules\":[");
  for (unsigned i = 0; i < n; i++) {
    if (!detector_rule_is_on(rules[i]) ||
        (report->wanted && !report->wanted[i]))
      continue;
    report->positions[i] = listed;
    g_string_append(out, listed++ ? ",\n" : "\n");
    append_rule(out, rules[i]);
  }
  g_string_append_printf(out,
                         "]}},\"columnKind\":\"unicodeCodePoints\","
                         "\"originalUriBaseIds\":{\"SRCROOT\":{"
                         "\"uri\":\"file://%s%s\"}},\"results\":[",
                         escaped,
                         g_str_has_suffix(escaped, "/") ? "" : "/");
  fputs(out->str, stdout);
}

/* ---- Results -------------------------------------------------------------
 */

static void
append_artifact(GString *out, const char *name)
{
  g_autofree char *uri = report_uri(name);

  g_string_append(out, "\"artifactLocation\":{");
  report_member(out, true, "uri", uri);
  if (!g_str_has_prefix(uri, "file:") && !g_str_has_prefix(uri, "stdin:"))
    report_member(out, false, "uriBaseId", "SRCROOT");
  g_string_append_c(out, '}');
}

static void
hit(Report *report, const char *name, const Hit *hit)
{
  g_autoptr(GString) out = g_string_new(report->n++ ? ",\n{" : "\n{");
  const DetectorRule *rule = hit->rule;
  g_autofree char *text = g_strdup_printf(
      "%s was found.", rule->description ? rule->description : rule->id);

  report_member(out, true, "ruleId", rule->id);
  g_string_append_printf(
      out, ",\"ruleIndex\":%u", report->positions[rule->index]);
  report_member(out, false, "level", report_level(rule));
  append_message(out, false, "message", text);
  g_string_append(out, ",\"locations\":[{\"physicalLocation\":{");
  append_artifact(out, name);
  g_string_append_printf(out,
                         ",\"region\":{\"startLine\":%u,\"startColumn\":%u,"
                         "\"endLine\":%u,\"endColumn\":%u,\"byteOffset\":%zu,"
                         "\"byteLength\":%zu}}}]",
                         hit->line,
                         hit->column,
                         hit->end_line,
                         hit->end_column,
                         hit->start,
                         hit->end - hit->start);
  g_string_append_printf(
      out,
      ",\"partialFingerprints\":{\"primaryLocationLineHash\":\"%s:%u\"}"
      ",\"rank\":%u}",
      hit->place,
      hit->nth,
      (unsigned)(CLAMP(hit->confidence, 0, 1) * 100));
  fputs(out->str, stdout);
}

/* ---- The end -------------------------------------------------------------
 */

static void
begin_note(Report *report, const char *level, const char *id)
{
  g_string_append(report->notes, report->notes->len ? ",\n{" : "\n{");
  g_string_append_printf(report->notes,
                         "\"level\":\"%s\",\"descriptor\":{\"id\":\"%s\"}",
                         level,
                         id);
}

static void
unread(Report *report, const char *name, const char *why)
{
  if (report->n_unread++ >= MAX_NOTES)
    return;
  begin_note(report, "error", "not-read");
  append_message(report->notes, false, "message", why);
  g_string_append(report->notes, ",\"locations\":[{\"physicalLocation\":{");
  append_artifact(report->notes, name);
  g_string_append(report->notes, "}}]}");
}

static void
count_note(Report *report,
           const char *level,
           const char *id,
           unsigned n,
           const char *what)
{
  g_autofree char *text = g_strdup_printf("%s: %u", what, n);

  if (!n)
    return;
  begin_note(report, level, id);
  append_message(report->notes, false, "message", text);
  g_string_append_c(report->notes, '}');
}

static void
end(Report *report, const ScanTotals *totals, int code)
{
  const bool whole = !totals->unread && !totals->signal;

  if (report->n_unread > MAX_NOTES)
    count_note(report,
               "error",
               "not-read",
               report->n_unread - MAX_NOTES,
               "More that could not be read");
  count_note(
      report, "note", "binary", totals->binary, "Binary files passed over");
  count_note(
      report, "note", "link", totals->links, "Symbolic links passed over");
  count_note(
      report, "note", "special", totals->special, "Special files passed over");
  count_note(report,
             "note",
             "ignored",
             totals->ignored,
             "Files and folders that git ignores");
  if (totals->signal)
    count_note(report,
               "error",
               "interrupted",
               (unsigned)totals->signal,
               "Interrupted by signal");
  printf("%s],\"invocations\":[{\"executionSuccessful\":%s,\"exitCode\":%d,"
         "\"toolExecutionNotifications\":[%s]}]}]}\n",
         report->n ? "\n" : "",
         whole ? "true" : "false",
         code,
         report->notes->str);
}

const ReportKind report_sarif = {.begin = begin,
                                 .hit = hit,
                                 .unread = unread,
                                 .end = end};
