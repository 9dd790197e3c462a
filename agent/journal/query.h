/* SPDX-License-Identifier: Apache-2.0 */
/* What queries and searches share: spans of rows, read or found. Private to
 * the room. */
#ifndef HOOP_JOURNAL_QUERY_H
#define HOOP_JOURNAL_QUERY_H

#include "journal/index.h"

typedef bool (*EachEntry)(const JournalEntry *entry, void *data);

/* Rows `lo` to `hi` that the query wants, read one after the other. *more is
 * false when each() had enough. */
bool query_scan(JournalReader *reader,
                const JournalQuery *query,
                int64_t lo,
                int64_t hi,
                EachEntry each,
                void *data,
                bool *more,
                GError **error);
/* The row, when the query wants it; *found says so. */
bool query_fetch(JournalReader *reader,
                 const JournalQuery *query,
                 sqlite3_stmt *stmt,
                 int64_t seq,
                 EachEntry each,
                 void *data,
                 bool *more,
                 GError **error);
/* The statement for query_fetch(). */
sqlite3_stmt *query_prepare_fetch(JournalReader *reader,
                                  const JournalQuery *query,
                                  GError **error);

/* The rows that a query's times allow; lo > hi: none. */
bool query_edges(JournalReader *reader,
                 const JournalQuery *query,
                 int64_t *lo,
                 int64_t *hi,
                 GError **error);

/* Cuts lo … hi to the rows that there are. */
bool query_bound(JournalReader *reader,
                 int64_t *lo,
                 int64_t *hi,
                 GError **error);
/* Limits the work that follows: schema_limit_work(), for both files. */
bool query_budget(JournalReader *reader, GError **error);

/* Walks lo … hi in the query's order: found() for what the index has, scan()
 * for the rest. Either returns false after an error or when it is enough. */
typedef struct {
  bool (*found)(int64_t segment, int64_t lo, int64_t hi, void *data);
  bool (*scan)(int64_t lo, int64_t hi, void *data);
} SpanWalk;
void query_walk(JournalReader *reader,
                bool indexed,
                bool oldest_first,
                int64_t lo,
                int64_t hi,
                const SpanWalk *walk,
                void *data);

/* Row numbers of one segment by an FTS5 expression, in the query's order. */
sqlite3_stmt *query_prepare_match(JournalReader *reader,
                                  int64_t segment,
                                  bool oldest_first,
                                  GError **error);

/* Every statement of a query, as EXPLAIN QUERY PLAN tells it; a line each. For
 * the tests. g_free. */
char *query_plan(JournalReader *reader, const JournalQuery *query);

#endif
