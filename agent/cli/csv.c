/* SPDX-License-Identifier: Apache-2.0 */
/* Comma separated values: OWASP's advice on formulas is followed for all that
 * came from outside. */
#include "cli/csv.h"
#include "kit/clock.h"
#include <string.h>

void
csv_cell(GString *out, const char *text)
{
  const char *p = text ? text : "";

  if (*p && strchr("=+-@\t\r\n|%", *p)) {
    g_string_append(out, "\"'");
  } else if (!strpbrk(p, "\",;\r\n")) {
    g_string_append(out, p);
    return;
  } else {
    g_string_append_c(out, '"');
  }
  for (; *p; p++) {
    if (*p == '"')
      g_string_append_c(out, '"');
    g_string_append_c(out, *p);
  }
  g_string_append_c(out, '"');
}

void
csv_head(GString *out)
{
  g_string_append(out,
                  "time,seq,exchange,kind,user,groups,issuer,client,process,"
                  "connection,host,method,path,api,model,conversation,verdict,"
                  "rule,policy_revision,pid,status,bytes_in,bytes_out,"
                  "tokens_in,tokens_out,duration_us,first_byte_us,held_us\r\n");
}

void
csv_row(GString *out, const JournalEntry *entry)
{
  const JournalRow *row = entry->row;
  g_autofree char *when = clock_rfc3339(row->wall_us);
  const char *const texts[] = {row->exchange,
                               row_kind_name(row->kind),
                               row->user,
                               row->groups,
                               row->issuer,
                               row->client,
                               row->process,
                               row->connection,
                               row->host,
                               row->method,
                               row->path,
                               row->api,
                               row->model,
                               row->conversation,
                               row->verdict,
                               row->rule,
                               row->policy_revision};
  const int64_t numbers[] = {row->pid,
                             row->status,
                             row->bytes_in,
                             row->bytes_out,
                             row->tokens_in,
                             row->tokens_out,
                             row->duration_us,
                             row->first_byte_us,
                             row->held_us};

  g_string_append_printf(out, "%s,%" G_GINT64_FORMAT, when, entry->seq);
  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_string_append_c(out, ',');
    csv_cell(out, texts[i]);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++) {
    g_string_append_c(out, ',');
    if (numbers[i] >= 0)
      g_string_append_printf(out, "%" G_GINT64_FORMAT, numbers[i]);
  }
  g_string_append(out, "\r\n");
}
