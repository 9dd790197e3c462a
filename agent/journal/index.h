/* SPDX-License-Identifier: Apache-2.0 */
/* The search index: a second database beside the journal, made from it and
 * from nothing else. It may lag, or be missing; it is never evidence: what it
 * finds is read from the journal. Private to the room. */
#ifndef HOOP_JOURNAL_INDEX_H
#define HOOP_JOURNAL_INDEX_H

#include "journal/reader.h"

#include <stdatomic.h>

#define INDEX_VERSION 2
/* Rows of one segment: a table of its own, which is dropped and made anew when
 * retention took bodies of it away. */
#define INDEX_SEGMENT_ROWS 32768

struct journal_index {
  char *path;
  sqlite3 *db;
  WorkBudget budget;
  sqlite3_stmt *find_done, *find_seen;
  atomic_bool *stop; /* true: end the step; NULL: nobody says so */
};
typedef struct journal_index Index;

/* The segment of a row, and a segment's first and last row. */
int64_t index_segment(int64_t seq);
int64_t index_first(int64_t segment);
int64_t index_last(int64_t segment);

/* "journal.db.search"; g_free. */
char *index_path(const char *journal_path);

/* Opens the index of the journal that `reader` reads; NOT_FOUND when there is
 * none, _CORRUPT when it is of another journal, or damaged. */
Index *index_open(JournalReader *reader, GError **error);
/* The same for writing; makes what is missing, and anew what does not fit. */
Index *index_open_writer(JournalReader *reader, GError **error);
void index_free(Index *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Index, index_free)

/* The last row of the segment that the index has, or 0. */
int64_t index_done(Index *index, int64_t segment);
/* True when a text was said before, in a segment that is not full yet. */
bool index_has_seen(Index *index, int64_t segment, int64_t key);

/* ---- index-write.c */

/* Goes on by at most `rows` rows in one transaction; *more: there are others.
 */
bool index_step(Index *index,
                JournalReader *reader,
                unsigned rows,
                bool *more,
                GError **error);

/* The texts of a row that were not said before, a line end behind each (but not
 * behind all of a long body that is nothing but text, which is not copied), and
 * a NUL that does not count. seen(key) remembers and tells whether it is new.
 */
typedef bool (*IndexSeen)(int64_t key, void *data);
GBytes *index_fresh_text(JournalReader *reader,
                         const JournalEntry *entry,
                         IndexSeen seen,
                         void *data);

#endif
