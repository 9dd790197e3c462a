/* SPDX-License-Identifier: Apache-2.0 */
/* Where retention may cut: shared by the writer, which does, and by readers,
 * which tell beforehand. Private to the room. */
#ifndef HOOP_JOURNAL_PRUNE_H
#define HOOP_JOURNAL_PRUNE_H

#include "journal/schema.h"

/* Parts of max-size, in percent: pruning begins above the first, and ends
 * below the second. */
#define PRUNE_ABOVE 90
#define PRUNE_UNTIL 85

/* The oldest row; 0 when there is none. */
bool prune_first(sqlite3 *db, const char *path, int64_t *first, GError **error);
/* The newest row that may go for all that is asked but age and size: nothing
 * that was not shipped to `ship_to` (NULL: nowhere), nothing that waits for
 * its response, nothing after the last checkpoint. */
bool prune_limit(sqlite3 *db,
                 const char *path,
                 const char *ship_to,
                 int64_t *limit,
                 GError **error);
/* The last checkpoint at or before row `limit` and not younger than `before`
 * (INT64_MAX: of any age); 0 when there is none. */
bool prune_cut(sqlite3 *db,
               const char *path,
               int64_t limit,
               int64_t before_us,
               int64_t *cut,
               GError **error);
/* Bytes of pages in use, whatever the file's size. */
bool prune_used(sqlite3 *db, const char *path, uint64_t *used, GError **error);
/* Bytes of the files beside the database and its log: the search index above
 * all, which shrinks some time after the rows that it is about. They count by
 * what share of `used` they are, in percent, so that rows are not taken away
 * for an index that lags behind; at most PRUNE_MOST_BESIDE. */
uint64_t prune_beside(const char *path);
unsigned prune_share(uint64_t beside, uint64_t used);
/* No index is so much larger than what it is about. */
#define PRUNE_MOST_BESIDE 300

#endif
