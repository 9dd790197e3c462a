/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the journal as the verbs journal and why show them. Private. */
#ifndef HOOP_CLI_ROWS_H
#define HOOP_CLI_ROWS_H

#include "cli/verb.h"
#include "journal/journal.h"

/* The reader of the configuration's journal, or NULL after having complained
 * into *code. */
JournalReader *rows_open(const Call *call, const Config *config, int *code);

/* --limit, if given; false after a complaint. */
bool rows_limit(const Call *call, unsigned *limit);
/* --since and --until; false likewise. */
bool rows_times(const Call *call, JournalQuery *query);
/* Those, --user, --client, --model, --connection and --api; false likewise. */
bool rows_filter(const Call *call, JournalQuery *query);
/* All of list's and search's; false likewise. */
bool rows_find(const Call *call, JournalQuery *query);

/* One row; `reader` given: with its masked body, as far as it is stored. */
struct json_object *row_json(JournalReader *reader, const JournalEntry *entry);

/* A row that is kept, oldest first. */
typedef struct {
  JournalEntry entry; /* row is owned */
} KeptRow;
JournalRow *row_copy(const JournalRow *row);
/* The rows that the query finds, oldest first; NULL after having complained
 * into *code. g_ptr_array_unref. */
GPtrArray *rows_query(const Call *call,
                      JournalReader *reader,
                      const JournalQuery *query,
                      int *code);
/* The rows of the one exchange whose id begins so; NULL as above, also when
 * there is none or more than one. */
GPtrArray *rows_of_exchange(const Call *call,
                            JournalReader *reader,
                            const char *prefix,
                            int *code);

#endif
