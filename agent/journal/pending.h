/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that wait for the writer, and the answers that go back to those who
 * gave them. Private to the room. */
#ifndef HOOP_JOURNAL_PENDING_H
#define HOOP_JOURNAL_PENDING_H

#include "journal/journal.h"

/* A row (or a note of shipping's) that waits, and then its answer. */
typedef struct pending {
  struct pending *next;
  JournalRow *row;
  JournalShipped *shipped; /* its texts are owned */
  size_t size;
  Loop *loop;
  JournalDone done;
  void *data;
} Pending;

typedef struct {
  Pending *first;
  Pending **tail;
} PendingList;

void pending_free(Pending *pending);
/* Empties the list without freeing what was in it. */
void pending_list_init(PendingList *list);
void pending_list_push(PendingList *list, Pending *pending);
/* The first; there must be one. */
Pending *pending_list_pop(PendingList *list);

/* Gives each its answer on its loop, in order, and frees it: one post for each
 * loop, whatever the number of rows. */
void pending_answer(PendingList *group, const GError *error);

/* A copy that owns its texts, which pending_free() frees. */
JournalShipped *shipped_copy(const JournalShipped *shipped);

/* Somebody who waits for retention to be done. */
typedef struct prune_ask PruneAsk;
PruneAsk *prune_ask_new(Loop *loop, JournalPrunedDone done, void *data);
/* Gives each the answer on its loop, and empties the list. */
void prune_asks_answer(GPtrArray *asks,
                       const JournalPruned *pruned,
                       const GError *error);

#endif
