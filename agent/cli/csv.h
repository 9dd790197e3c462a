/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as comma separated values (RFC 4180) that no spreadsheet runs.
 * Private. */
#ifndef HOOP_CLI_CSV_H
#define HOOP_CLI_CSV_H

#include "journal/journal.h"

#include <stdbool.h>

/* Appends one cell: quoted where it must be; what a spreadsheet would take for
 * a formula has an apostrophe before it. NULL: an empty one. */
void csv_cell(GString *out, const char *text);
/* The names of the columns, and a row: whole lines. */
void csv_head(GString *out);
void csv_row(GString *out, const JournalEntry *entry);

#endif
