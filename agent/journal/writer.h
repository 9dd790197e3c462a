/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's two sides: what callers of any thread share with the writer's,
 * and the writer's own. Private to the room. */
#ifndef HOOP_JOURNAL_WRITER_H
#define HOOP_JOURNAL_WRITER_H

#include "journal/indexer.h"
#include "journal/pending.h"
#include "journal/store.h"
#include <pthread.h>

#define NEVER INT64_MAX

struct journal {
  JournalOptions options;
  char *path;
  int lock_fd;
  pthread_t thread;

  pthread_mutex_t lock; /* guards all of this paragraph */
  pthread_cond_t wake;
  PendingList queue;
  unsigned queued_rows; /* waiting */
  size_t queued_bytes;  /* waiting, or in the group being stored */
  bool sleeping;        /* the writer waits on `wake` */
  bool closing;
  char *health;
  uint64_t turned_away; /* by a full queue */
  int64_t durable_seq;
  GPtrArray *asks; /* PruneAsk: not yet begun */

  Indexer *indexer; /* or NULL */

  /* The writer's own from here. */
  Store *store; /* NULL while failed */
  uint8_t id[CHAIN_ID_LEN];
  Head known;      /* the last that was acknowledged */
  GError *failure; /* why store is NULL */
  /* What an error row will tell once one can be stored. */
  int64_t outage_since_us;
  char *outage_reason;
  uint64_t outage_refused;
  int64_t sync_at, checkpoint_at, retry_at, idle_at, prune_at;
  JournalPruned pruned; /* since retention began to look */
  GPtrArray *asking;    /* PruneAsk: answered when it is done */
  bool opened;          /* once: `id` is this journal's */
};

/* Opens or makes the files before the thread runs. False when it is of no use
 * to wait for better times. */
bool writer_open(Journal *journal, GError **error);
/* The thread, until `closing` is set and nothing is left. */
void *writer_main(void *data);

#endif
