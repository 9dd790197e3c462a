/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, alerts and journals as JSON and CSV: hoop-hub(7). */
#include "hub/audit/private.h"
#include "kit/json-put.h"

#include <string.h>

static const struct {
  unsigned mark;
  const char *name;
} marks_known[] = {
    {AUDIT_MARK_EDIT, "edit"},
    {AUDIT_MARK_FORK, "fork"},
    {AUDIT_MARK_GAP, "gap"},
    {AUDIT_MARK_LATE, "late"},
    {AUDIT_MARK_FOREIGN, "foreign"},
    {AUDIT_MARK_SIGNATURE, "signature"},
    {AUDIT_MARK_KEY, "key"},
    {AUDIT_MARK_HEAD, "head"},
    {AUDIT_MARK_PARTIAL, "partial"},
};

const char **
audit_mark_names(unsigned marks)
{
  const char **names = g_new0(const char *, G_N_ELEMENTS(marks_known) + 1);
  unsigned n = 0;

  for (size_t i = 0; i < G_N_ELEMENTS(marks_known); i++)
    if (marks & marks_known[i].mark)
      names[n++] = marks_known[i].name;
  return names;
}

void
audit_put_row(GString *out, const AuditFound *row)
{
  g_autofree const char **names = audit_mark_names(row->marks);

  g_string_append_c(out, '{');
  json_put_number(out, "id", row->id);
  json_put_text(out, "key", row->key);
  json_put_text(out, "journal", row->journal);
  if (row->journal)
    json_put_number(out, "seq", row->seq);
  json_put_number(out, "at_us", row->at_us);
  json_put_number(out, "received_us", row->received_us);
  if (row->severity)
    json_put_number(out, "severity", row->severity);
  json_put_text(out, "kind", row->kind);
  json_put_text(out, "event", row->event);
  json_put_text(out, "trace", row->trace);
  json_put_text(out, "said", row->said);
  json_put_text(out, "machine", row->machine);
  json_put_text(out, "sender", row->sender);
  json_put_text(out, "user", row->user);
  json_put_text(out, "rule", row->rule);
  json_put_text(out, "verdict", row->verdict);
  json_put_text(out, "model", row->model);
  json_put_texts(out, "marks", (char *const *)names);
  json_put_raw(out, "attributes", row->attributes);
  json_put_raw(out, "resource", row->resource);
  g_string_append_c(out, '}');
}

void
audit_put_alert(GString *out, const AuditAlert *alert)
{
  g_string_append_c(out, '{');
  json_put_number(out, "id", alert->id);
  json_put_number(out, "at_us", alert->at_us);
  json_put_text(out, "kind", alert->kind);
  json_put_text(out, "journal", alert->journal);
  json_put_number(out, "seq", alert->seq);
  json_put_number(out, "rows", alert->rows);
  json_put_text(out, "machine", alert->machine);
  json_put_text(out, "user", alert->user);
  json_put_text(out, "detail", alert->detail);
  g_string_append_c(out, '}');
}

void
audit_put_journal(GString *out, const AuditJournal *journal)
{
  g_string_append_c(out, '{');
  json_put_text(out, "journal", journal->journal);
  json_put_text(out, "machine", journal->machine);
  json_put_text(out, "user", journal->user);
  json_put_number(out, "head_seq", journal->head_seq);
  json_put_number(out, "signed_seq", journal->signed_seq);
  json_put_number(out, "rows", journal->rows);
  json_put_number(out, "since_us", journal->since_us);
  json_put_number(out, "last_us", journal->last_us);
  json_put_number(out, "alerts", journal->alerts);
  json_put_raw(out, "broken", journal->broken ? "true" : "false");
  g_string_append_c(out, '}');
}

/* ---- CSV ------------------------------------------------------------------
 */

/* A field that a spreadsheet would take for a formula is made a text by the
 * apostrophe in front. */
static void
csv_text(GString *out, const char *text, bool last)
{
  if (text) {
    g_string_append_c(out, '"');
    if (strchr("=+-@\t\r", *text) && *text)
      g_string_append_c(out, '\'');
    for (const char *c = text; *c; c++) {
      if (*c == '"')
        g_string_append_c(out, '"');
      g_string_append_c(out, *c);
    }
    g_string_append_c(out, '"');
  }
  g_string_append(out, last ? "\r\n" : ",");
}

static void
csv_time(GString *out, int64_t us)
{
  g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(us / 1000000);
  g_autofree char *text =
      when ? g_date_time_format(when, "%Y-%m-%dT%H:%M:%S") : g_strdup("");

  g_string_append_printf(
      out, "%s.%06uZ,", text, (unsigned)(us % 1000000 < 0 ? 0 : us % 1000000));
}

void
audit_put_csv_names(GString *out)
{
  g_string_append(out,
                  "id,at,received,journal,seq,kind,event,severity,user,machine,"
                  "sender,rule,verdict,model,marks,said,trace,key,"
                  "attributes\r\n");
}

void
audit_put_csv(GString *out, const AuditFound *row)
{
  g_autofree const char **names = audit_mark_names(row->marks);
  g_autofree char *marks = g_strjoinv(" ", (char **)names);

  g_string_append_printf(out, "%" G_GINT64_FORMAT ",", row->id);
  csv_time(out, row->at_us);
  csv_time(out, row->received_us);
  csv_text(out, row->journal, false);
  if (row->journal)
    g_string_append_printf(out, "%" G_GINT64_FORMAT, row->seq);
  g_string_append_c(out, ',');
  csv_text(out, row->kind, false);
  csv_text(out, row->event, false);
  g_string_append_printf(out, "%" G_GINT64_FORMAT ",", row->severity);
  csv_text(out, row->user, false);
  csv_text(out, row->machine, false);
  csv_text(out, row->sender, false);
  csv_text(out, row->rule, false);
  csv_text(out, row->verdict, false);
  csv_text(out, row->model, false);
  csv_text(out, marks, false);
  csv_text(out, row->said, false);
  csv_text(out, row->trace, false);
  csv_text(out, row->key, false);
  csv_text(out, row->attributes, true);
}
