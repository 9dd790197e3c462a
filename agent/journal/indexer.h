/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that makes the search index, when the machine has nothing better
 * to do. Private to the room. */
#ifndef HOOP_JOURNAL_INDEXER_H
#define HOOP_JOURNAL_INDEXER_H

#include <glib.h>

typedef struct indexer Indexer;

/* NULL when no thread could be had: then there is no index. */
Indexer *indexer_start(const char *journal_path);
/* There are new rows. Any thread; never waits. */
void indexer_wake(Indexer *indexer);
/* Ends the step that runs and joins. Accepts NULL. */
void indexer_stop(Indexer *indexer);

#endif
