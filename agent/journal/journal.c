/* SPDX-License-Identifier: Apache-2.0 */
/* The journal as its callers have it: rows are handed to the writer's thread
 * through a queue, and the answers come back on the callers' loops. */
#include "journal/row.h"
#include "journal/writer.h"

#include "kit/clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* So many of those that journal_append_later() queued wake the writer. */
#define WAKE_ROWS 8

/* Signals are the main thread's business. */
static bool
start_thread(Journal *journal, GError **error)
{
  sigset_t all, before;
  int result;

  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  result = pthread_create(&journal->thread, NULL, writer_main, journal);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (result == 0)
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_OPEN,
              "the journal's thread cannot be started: %s",
              g_strerror(result));
  return false;
}

static Journal *
journal_new(const JournalOptions *options)
{
  Journal *journal = g_new0(Journal, 1);
  pthread_condattr_t attributes;

  journal->path = g_strdup(options->path);
  journal->options = *options;
  journal->options.path = journal->path;
  journal->lock_fd = -1;
  pending_list_init(&journal->queue);
  journal->sync_at = NEVER;
  journal->checkpoint_at = NEVER;
  journal->retry_at = NEVER;
  journal->idle_at = NEVER;
  journal->prune_at = NEVER;
  journal->asks = g_ptr_array_new();
  journal->asking = g_ptr_array_new();
  journal->options.keep.ship_to = g_strdup(options->keep.ship_to);
  pthread_mutex_init(&journal->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&journal->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  return journal;
}

static void
journal_free(Journal *journal)
{
  indexer_stop(journal->indexer);
  g_clear_pointer(&journal->store, store_close);
  g_clear_error(&journal->failure);
  g_free(journal->outage_reason);
  g_free(journal->health);
  g_free((char *)journal->options.keep.ship_to);
  g_ptr_array_unref(journal->asks);
  g_ptr_array_unref(journal->asking);
  g_free(journal->path);
  if (journal->lock_fd >= 0)
    close(journal->lock_fd);
  pthread_cond_destroy(&journal->wake);
  pthread_mutex_destroy(&journal->lock);
  g_free(journal);
}

Journal *
journal_open(const JournalOptions *options, GError **error)
{
  Journal *journal = journal_new(options);

  if (writer_open(journal, error)) {
    if (options->search)
      journal->indexer = indexer_start(journal->path);
    if (start_thread(journal, error))
      return journal;
  }
  journal_free(journal);
  return NULL;
}

void
journal_close(Journal *journal)
{
  if (journal == NULL)
    return;
  pthread_mutex_lock(&journal->lock);
  journal->closing = true;
  pthread_cond_signal(&journal->wake);
  pthread_mutex_unlock(&journal->lock);
  pthread_join(journal->thread, NULL);
  journal_free(journal);
}

static void
turn_away(Pending *pending)
{
  PendingList list;
  g_autoptr(GError) error = g_error_new_literal(
      JOURNAL_ERROR,
      JOURNAL_ERROR_QUEUE,
      "more rows wait for the journal than its queue holds");

  pending_list_init(&list);
  pending_list_push(&list, pending);
  pending_answer(&list, error);
}

void
journal_wake(Journal *journal)
{
  bool wake;

  pthread_mutex_lock(&journal->lock);
  wake = journal->sleeping && journal->queue.first;
  journal->sleeping = journal->sleeping && !wake;
  pthread_mutex_unlock(&journal->lock);
  if (wake)
    pthread_cond_signal(&journal->wake);
}

/* Takes what waits into the queue, or turns it away. */
static void
enqueue(Journal *journal, Pending *pending)
{
  bool taken, wake;

  pthread_mutex_lock(&journal->lock);
  taken = pending->size <= journal->options.max_queued &&
          journal->queued_bytes <= journal->options.max_queued - pending->size;
  if (taken) {
    journal->queued_bytes += pending->size;
    pending_list_push(&journal->queue, pending);
    journal->queued_rows++;
  } else {
    journal->turned_away++;
  }
  /* Woken only when it sleeps, once, and not into a lock that is held: this
   * is the caller's whole cost. */
  wake = taken && journal->sleeping && journal->queued_rows >= WAKE_ROWS;
  journal->sleeping = journal->sleeping && !wake;
  pthread_mutex_unlock(&journal->lock);
  if (wake)
    pthread_cond_signal(&journal->wake);
  if (!taken)
    turn_away(pending);
}

void
journal_append_later(Journal *journal,
                     JournalRow *row,
                     Loop *reply_loop,
                     JournalDone done,
                     void *data)
{
  Pending *pending = g_new(Pending, 1);

  *pending = (Pending){
      .row = row,
      .size = row_size(row) + sizeof *pending,
      .loop = reply_loop,
      .done = done,
      .data = data,
  };
  enqueue(journal, pending);
}

void
journal_append(Journal *journal,
               JournalRow *row,
               Loop *reply_loop,
               JournalDone done,
               void *data)
{
  journal_append_later(journal, row, reply_loop, done, data);
  journal_wake(journal);
}

void
journal_shipped(Journal *journal,
                const JournalShipped *shipped,
                Loop *reply_loop,
                JournalDone done,
                void *data)
{
  Pending *pending = g_new(Pending, 1);

  *pending = (Pending){
      .shipped = shipped_copy(shipped),
      .size = sizeof *pending + sizeof *shipped,
      .loop = reply_loop,
      .done = done,
      .data = data,
  };
  enqueue(journal, pending);
  journal_wake(journal);
}

void
journal_prune(Journal *journal,
              Loop *reply_loop,
              JournalPrunedDone done,
              void *data)
{
  PruneAsk *ask = prune_ask_new(reply_loop, done, data);

  pthread_mutex_lock(&journal->lock);
  g_ptr_array_add(journal->asks, ask);
  pthread_cond_signal(&journal->wake);
  pthread_mutex_unlock(&journal->lock);
}

int64_t
journal_durable_seq(Journal *journal)
{
  int64_t seq;

  pthread_mutex_lock(&journal->lock);
  seq = journal->durable_seq;
  pthread_mutex_unlock(&journal->lock);
  return seq;
}

bool
journal_seals(const Journal *journal)
{
  return journal->options.escrow;
}

char *
journal_health(Journal *journal)
{
  char *health;

  pthread_mutex_lock(&journal->lock);
  health = g_strdup(journal->health);
  pthread_mutex_unlock(&journal->lock);
  return health;
}
