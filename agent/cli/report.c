/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of reports share; the report for people, and its summary. */
#include "cli/report.h"
#include "kit/clock.h"
#include "kit/json.h"
#include <stdio.h>
#include <string.h>

/* Rules that a summary names; the rest is counted. */
#define NAMED_RULES 6

void
report_init(Report *report,
            const ReportKind *kind,
            RulePack *pack,
            const bool *wanted)
{
  *report = (Report){.kind = kind, .pack = pack, .wanted = wanted};
  report->notes = g_string_new(NULL);
}

void
report_clear(Report *report)
{
  if (report->notes)
    g_string_free(report->notes, TRUE);
  report->notes = NULL;
  g_clear_pointer(&report->positions, g_free);
}

char *
report_uri(const char *name)
{
  g_autofree char *here = g_get_current_dir();
  g_autofree char *path = g_canonicalize_filename(name, here);
  const char *shown = path;
  size_t len = strlen(here);
  g_autofree char *escaped = NULL;

  if (strcmp(name, STDIN_NAME) == 0)
    return g_strdup("stdin:");
  if (len > 1 && strncmp(path, here, len) == 0 && path[len] == '/')
    shown = path + len + 1;
  else if (len == 1 && path[1])
    shown = path + 1;
  escaped = g_uri_escape_bytes((const guint8 *)shown, strlen(shown), "/");
  return shown == path ? g_strconcat("file://", escaped, NULL)
                       : g_steal_pointer(&escaped);
}

const char *
report_level(const DetectorRule *rule)
{
  return g_strcmp0(rule->class_name, "secret") == 0 ? "error" : "warning";
}

void
report_member(GString *out, bool first, const char *name, const char *text)
{
  g_string_append_printf(out, "%s\"%s\":\"", first ? "" : ",", name);
  json_escape(out, text, -1);
  g_string_append_c(out, '"');
}

/* ---- For people ----------------------------------------------------------
 */

static void
people_nothing(Report *report)
{
  (void)report;
}

static void
people_hit(Report *report, const char *name, const Hit *hit)
{
  g_autofree char *path = visible(name, -1, false);
  g_autofree char *shown = visible(hit->shown, -1, false);

  (void)report;
  printf("%s%s%s:%u:%u: %s%s%s (%s): %s\n",
         ink(INK_BOLD),
         path,
         ink(INK_PLAIN),
         hit->line,
         hit->column,
         ink(INK_RED),
         hit->rule->id,
         ink(INK_PLAIN),
         hit->rule->class_name,
         shown);
}

static void
people_unread(Report *report, const char *name, const char *why)
{
  (void)report;
  (void)name;
  (void)why;
}

static void
people_end(Report *report, const ScanTotals *totals, int code)
{
  (void)report;
  (void)totals;
  (void)code;
}

const ReportKind report_people = {
    .begin = people_nothing,
    .hit = people_hit,
    .unread = people_unread,
    .end = people_end,
};

/* ---- The summary ---------------------------------------------------------
 */

static void
append_count(GString *out,
             const char *lead,
             unsigned n,
             const char *one,
             const char *many)
{
  if (n)
    g_string_append_printf(out, "%s%u %s", lead, n, n == 1 ? one : many);
}

/* The rules that found most, most first; ties in the pack's order. */
static void
append_rules(GString *out, const RulePack *pack, const unsigned *by_rule)
{
  unsigned n, left = 0;
  const DetectorRule *const *rules = rule_pack_all(pack, &n);
  g_autofree unsigned *counts = g_memdup2(by_rule, n * sizeof *by_rule);

  for (unsigned named = 0; named < NAMED_RULES; named++) {
    unsigned most = 0;

    for (unsigned i = 1; i < n; i++)
      if (counts[i] > counts[most])
        most = i;
    if (!counts[most])
      break;
    g_string_append_printf(
        out, "%s%s %u", named ? ", " : " (", rules[most]->id, counts[most]);
    counts[most] = 0;
  }
  for (unsigned i = 0; i < n; i++)
    left += counts[i] != 0;
  append_count(out, ", ", left, "more rule", "more rules");
  g_string_append_c(out, ')');
}

static void
append_skipped(GString *out, const ScanTotals *totals)
{
  g_autoptr(GString) list = g_string_new(NULL);

  append_count(list, ", ", totals->binary, "binary", "binary");
  append_count(list, ", ", totals->ignored, "ignored", "ignored");
  append_count(list, ", ", totals->links, "symbolic link", "symbolic links");
  append_count(list, ", ", totals->special, "special file", "special files");
  if (list->len)
    g_string_append_printf(out, "; passed over: %s", list->str + 2);
  append_count(out,
               "; ",
               totals->allowed,
               "finding allowed by its line",
               "findings allowed by their lines");
  append_count(out,
               "; ",
               totals->known,
               "finding of the baseline",
               "findings of the baseline");
  append_count(out, "; ", totals->unread, "not read", "not read");
}

void
report_summary(const RulePack *pack, const ScanTotals *totals)
{
  g_autoptr(GString) out = g_string_new(NULL);
  g_autofree char *size = g_format_size(totals->bytes);
  const double seconds =
      (double)(clock_mono_us() - totals->began_us) / G_USEC_PER_SEC;

  if (totals->signal)
    g_string_append(out, "interrupted: ");
  if (totals->findings) {
    append_count(out, "", totals->findings, "finding", "findings");
    append_count(out, " in ", totals->found_in, "file", "files");
    append_rules(out, pack, totals->by_rule);
  } else {
    g_string_append(out, "no findings");
  }
  g_string_append_printf(out,
                         "; scanned %u %s, %s, in %.1f s",
                         totals->files,
                         totals->files == 1 ? "file" : "files",
                         size,
                         seconds);
  append_skipped(out, totals);
  fflush(stdout);
  fprintf(stderr, "hoop-agent scan: %s\n", out->str);
}
