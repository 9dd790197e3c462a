/* SPDX-License-Identifier: Apache-2.0 */
/* What a row can be found by, as words of the search index. Private to the
 * room. */
#ifndef HOOP_JOURNAL_FACET_H
#define HOOP_JOURNAL_FACET_H

#include "journal/journal.h"

/* The words of a row, blanks between. */
void facets_of_row(const JournalRow *row, GString *out);
/* What the query asks for, as an FTS5 expression; false when it asks for
 * nothing that the index knows. */
bool facets_of_query(const JournalQuery *query, GString *out);

/* The programs of a row's process chain: those of `a < b < c`. */
char **facet_programs(const char *process);

#endif
