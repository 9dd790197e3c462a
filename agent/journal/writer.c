/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: one thread that takes whatever waits as one group, stores it,
 * answers, and looks after itself when the disk fails. */
#include "journal/indexer.h"
#include "journal/pending.h"
#include "journal/place.h"
#include "journal/row.h"
#include "journal/store.h"

#include "kit/clock.h"
#include "kit/json.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* One group: large enough to share an fsync among many, small enough that the
 * first row of it does not wait long for the last one's compression. */
#define GROUP_ROWS 512
#define GROUP_BYTES (8 * 1024 * 1024)
/* DURABILITY_GROUPED: a committed group reaches the disk within this time. */
#define SYNC_US (100 * 1000)
/* A row is signed within this time. */
#define CHECKPOINT_US (60 * 1000 * 1000)
/* A failed journal is tried again this often. */
#define RETRY_US (1000 * 1000)
/* Nothing to do for this long: time to move the write-ahead log. */
#define IDLE_US (200 * 1000)

/* Retention looks this long after the start, and then this often. */
#define FIRST_PRUNE_US (10 * 1000 * 1000)
#define PRUNE_US (INT64_C(3600) * 1000 * 1000)
/* Between two of its steps, so that rows come first. */
#define PRUNE_STEP_US (20 * 1000)

#define NEVER INT64_MAX

struct journal {
  JournalOptions options;
  char *path;
  int lock_fd;
  pthread_t thread;

  pthread_mutex_t lock; /* guards all of this paragraph */
  pthread_cond_t wake;
  PendingList queue;
  size_t queued_bytes; /* waiting, or in the group being stored */
  bool sleeping;       /* the writer waits on `wake` */
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

/* ---- Failure and recovery ----------------------------------------------- */

static void
set_health(Journal *journal, const GError *error)
{
  pthread_mutex_lock(&journal->lock);
  g_free(journal->health);
  journal->health = error ? g_strdup(error->message) : NULL;
  pthread_mutex_unlock(&journal->lock);
}

static void
note_outage(Journal *journal, const char *reason, uint64_t refused)
{
  if (journal->outage_reason == NULL) {
    journal->outage_reason = g_strdup(reason);
    journal->outage_since_us = clock_wall_us();
  }
  journal->outage_refused += refused;
}

/* ---- Those who wait for retention --------------------------------------- */

/* Retention is done, or cannot be. */
static void
answer_asks(Journal *journal, const GError *error)
{
  prune_asks_answer(journal->asking, &journal->pruned, error);
  journal->pruned = (JournalPruned){0};
}

/* Takes over what was asked meanwhile. */
static void
take_asks(Journal *journal)
{
  pthread_mutex_lock(&journal->lock);
  while (journal->asks->len > 0) {
    g_ptr_array_add(journal->asking, g_ptr_array_steal_index(journal->asks, 0));
    journal->prune_at = 0;
  }
  pthread_mutex_unlock(&journal->lock);
  if (journal->store == NULL) {
    journal->prune_at = NEVER;
    answer_asks(journal, journal->failure);
  }
}

/* Takes ownership of `error`. The connection is given up: what a failed write
 * left behind is settled by opening again. */
static void
fail(Journal *journal, GError *error)
{
  note_outage(journal, error->message, 0);
  g_clear_pointer(&journal->store, store_close);
  g_clear_error(&journal->failure);
  journal->failure = error;
  journal->sync_at = NEVER;
  journal->checkpoint_at = NEVER;
  journal->idle_at = NEVER;
  journal->prune_at = NEVER;
  journal->retry_at = clock_mono_us() + RETRY_US;
  set_health(journal, error);
  answer_asks(journal, error);
}

/* The error row that tells of an outage; NULL when there was none. */
static JournalRow *
outage_row(const Journal *journal)
{
  g_autoptr(GString) detail = NULL;
  JournalRow *row;

  if (journal->outage_reason == NULL)
    return NULL;
  detail = g_string_new("{\"error\":\"journal\",\"reason\":\"");
  json_escape(detail, journal->outage_reason, -1);
  g_string_append_printf(detail,
                         "\",\"since_us\":%" G_GINT64_FORMAT
                         ",\"refused\":%" G_GUINT64_FORMAT "}",
                         journal->outage_since_us,
                         journal->outage_refused);
  row = journal_row_new(ROW_ERROR);
  row->detail = g_strdup(detail->str);
  return row;
}

static void
forget_outage(Journal *journal)
{
  g_clear_pointer(&journal->outage_reason, g_free);
  journal->outage_refused = 0;
}

/* A journal beyond max-size, and with rows that may go, is made to fit. */
static bool
make_room(Journal *journal, GError **error)
{
  JournalPruned gone = {0};
  bool more = true;

  while (more && store_is_full(journal->store)) {
    if (!store_prune(journal->store, &gone, &more, error))
      return false;
  }
  return true;
}

/* Stores a group, all or none of it. */
static bool
store_group(Journal *journal, const PendingList *group, GError **error)
{
  g_autoptr(JournalRow) outage = outage_row(journal);
  bool stored =
      (!store_nearly_full(journal->store) || make_room(journal, error)) &&
      store_begin(journal->store, error) &&
      (outage == NULL || store_put(journal->store, outage, error));

  for (Pending *one = group->first; stored && one; one = one->next)
    stored = one->row ? store_put(journal->store, one->row, error)
                      : store_shipped(journal->store, one->shipped, error);
  if (!stored || !store_commit(journal->store, error)) {
    store_rollback(journal->store);
    return false;
  }
  journal->known = *store_head(journal->store);
  forget_outage(journal);
  return true;
}

static void
set_durable(Journal *journal)
{
  pthread_mutex_lock(&journal->lock);
  journal->durable_seq = journal->known.seq;
  pthread_mutex_unlock(&journal->lock);
}

/* After a commit: when the disk must have it, when it must be signed. */
static void
set_deadlines(Journal *journal)
{
  int64_t now = clock_mono_us();

  if (journal->options.durability == DURABILITY_FULL)
    set_durable(journal);
  else if (journal->sync_at == NEVER)
    journal->sync_at = now + SYNC_US;
  if (journal->known.unsigned_rows == 0)
    journal->checkpoint_at = NEVER;
  else if (journal->checkpoint_at == NEVER)
    journal->checkpoint_at = now + CHECKPOINT_US;
  journal->idle_at = now + IDLE_US;
}

/* The first time: whatever the path leads to is the journal. */
static bool
open_first(Journal *journal, GError **error)
{
  if (!place_folder(journal->path, error))
    return false;
  if (journal->lock_fd < 0)
    journal->lock_fd = place_lock(journal->path, error);
  if (journal->lock_fd < 0)
    return false;
  journal->store = store_open(&journal->options, true, error);
  if (journal->store == NULL || !make_room(journal, error) ||
      !store_close_open_requests(journal->store, error))
    return false;
  memcpy(journal->id, store_id(journal->store), CHAIN_ID_LEN);
  journal->known = *store_head(journal->store);
  journal->opened = true;
  return true;
}

/* Opens again what failed; the same journal, with all that was acknowledged,
 * or nothing. */
static bool
open_same(Journal *journal, GError **error)
{
  if (!place_has_room(journal->path, error))
    return false;
  journal->store = store_open(&journal->options, false, error);
  if (journal->store == NULL)
    return false;
  if (memcmp(store_id(journal->store), journal->id, CHAIN_ID_LEN) == 0 &&
      (journal->known.seq == 0 ||
       store_holds(journal->store, journal->known.seq, journal->known.hash)))
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_CORRUPT,
              "the journal %s is not the one that was being written: its "
              "row %" G_GINT64_FORMAT " is not there; put the right one "
              "back, or move this one aside and restart the agent",
              journal->path,
              journal->known.seq);
  return false;
}

static bool
reopen(Journal *journal, GError **error)
{
  const PendingList none = {0};
  bool open = journal->opened
                  ? open_same(journal, error) && make_room(journal, error)
                  : open_first(journal, error);

  return open && store_group(journal, &none, error);
}

/* What a receiver acknowledged is noted in a journal at its max-size, too: else
 * no row of it could ever go. It is opened for this alone. */
static bool
note_in_full(Journal *journal, const PendingList *notes, GError **error)
{
  bool stored =
      open_same(journal, error) && store_begin_notes(journal->store, error);

  for (const Pending *one = notes->first; stored && one; one = one->next)
    stored = store_shipped(journal->store, one->shipped, error);
  stored = stored && store_commit(journal->store, error);
  if (journal->store && !stored)
    store_rollback(journal->store);
  g_clear_pointer(&journal->store, store_close);
  if (stored)
    journal->retry_at = clock_mono_us(); /* there may be room now */
  return stored;
}

static void
retry(Journal *journal)
{
  GError *error = NULL;

  if (reopen(journal, &error)) {
    g_clear_error(&journal->failure);
    journal->retry_at = NEVER;
    journal->prune_at = clock_mono_us() + FIRST_PRUNE_US;
    set_deadlines(journal);
    set_health(journal, NULL);
  } else {
    fail(journal, error);
  }
}

/* ---- The thread --------------------------------------------------------- */

/* The next time at which the writer has something to do by itself. */
static int64_t
next_deadline(const Journal *journal)
{
  return MIN(MIN(MIN(journal->sync_at, journal->checkpoint_at),
                 MIN(journal->retry_at, journal->idle_at)),
             journal->prune_at);
}

static void
wait_until(Journal *journal, int64_t deadline)
{
  struct timespec when = {
      .tv_sec = deadline / 1000000,
      .tv_nsec = deadline % 1000000 * 1000,
  };

  journal->sleeping = true;
  if (deadline == NEVER)
    pthread_cond_wait(&journal->wake, &journal->lock);
  else
    pthread_cond_timedwait(&journal->wake, &journal->lock, &when);
  journal->sleeping = false;
}

/* Waits for rows or a deadline; moves a group out of the queue. False when the
 * journal is closing and nothing is left. */
static bool
take_group(Journal *journal, PendingList *group, size_t *bytes)
{
  uint64_t turned_away;
  bool more;

  pending_list_init(group);
  *bytes = 0;
  pthread_mutex_lock(&journal->lock);
  while (journal->queue.first == NULL && !journal->closing &&
         journal->asks->len == 0 && clock_mono_us() < next_deadline(journal))
    wait_until(journal, next_deadline(journal));
  for (int rows = 0; journal->queue.first && rows < GROUP_ROWS &&
                     (rows == 0 || *bytes < GROUP_BYTES);
       rows++) {
    Pending *pending = pending_list_pop(&journal->queue);
    *bytes += pending->size;
    pending_list_push(group, pending);
  }
  more = group->first || !journal->closing;
  turned_away = journal->turned_away;
  journal->turned_away = 0;
  pthread_mutex_unlock(&journal->lock);
  if (turned_away > 0)
    note_outage(journal, "the queue of rows was full", turned_away);
  return more;
}

/* Nothing of the group is stored, but for notes that a full journal takes. */
static void
refuse_group(Journal *journal, PendingList *group)
{
  bool full =
      journal->opened &&
      g_error_matches(journal->failure, JOURNAL_ERROR, JOURNAL_ERROR_FULL);
  PendingList rows, notes;

  pending_list_init(&rows);
  pending_list_init(&notes);
  while (group->first) {
    Pending *one = pending_list_pop(group);

    if (one->row)
      note_outage(journal, journal->failure->message, 1);
    pending_list_push(one->row ? &rows : &notes, one);
  }
  if (notes.first && full && note_in_full(journal, &notes, NULL))
    pending_answer(&notes, NULL);
  pending_answer(&notes, journal->failure);
  pending_answer(&rows, journal->failure);
}

static void
write_group(Journal *journal, PendingList *group)
{
  GError *error = NULL;

  if (journal->store && store_group(journal, group, &error)) {
    set_deadlines(journal);
    pending_answer(group, NULL);
    if (journal->indexer)
      indexer_wake(journal->indexer);
    return;
  }
  if (error)
    fail(journal, error);
  refuse_group(journal, group);
}

static bool
sign_head(Journal *journal, GError **error)
{
  if (store_begin(journal->store, error) &&
      store_checkpoint(journal->store, error) &&
      store_commit(journal->store, error)) {
    journal->known = *store_head(journal->store);
    return true;
  }
  store_rollback(journal->store);
  return false;
}

/* One step of retention: rows first, then the pages that they left. Further
 * steps follow until nothing is due. */
static void
look_after_age(Journal *journal, int64_t now, GError **error)
{
  bool more = false;

  if (now < journal->prune_at) {
    if (journal->asking->len == 0 && store_nearly_full(journal->store))
      journal->prune_at = MIN(journal->prune_at, now + PRUNE_STEP_US);
    return;
  }
  if (!store_prune(journal->store, &journal->pruned, &more, error))
    return;
  journal->known = *store_head(journal->store);
  if (!more && !store_give_back(journal->store, &more, error))
    return;
  journal->prune_at = clock_mono_us() + (more ? PRUNE_STEP_US : PRUNE_US);
  if (!more)
    answer_asks(journal, NULL);
  if (!more && journal->indexer) /* it forgets what went */
    indexer_wake(journal->indexer);
  set_deadlines(journal);
}

/* What is due; a failure of any of it is the journal's failure. */
static void
look_after(Journal *journal)
{
  int64_t now = clock_mono_us();
  GError *error = NULL;

  if (journal->store == NULL) {
    if (now >= journal->retry_at)
      retry(journal);
    return;
  }
  if (now >= journal->checkpoint_at && sign_head(journal, &error))
    set_deadlines(journal);
  if (!error && now >= journal->sync_at && store_sync(journal->store, &error)) {
    journal->sync_at = NEVER;
    set_durable(journal);
  }
  if (!error && store_tidy(journal->store, now >= journal->idle_at, &error) &&
      now >= journal->idle_at)
    journal->idle_at = NEVER;
  if (!error)
    look_after_age(journal, now, &error);
  if (error)
    fail(journal, error);
}

static void *
writer_main(void *data)
{
  Journal *journal = data;
  PendingList group;
  size_t bytes;

  while (take_group(journal, &group, &bytes)) {
    if (group.first) {
      write_group(journal, &group);
      pthread_mutex_lock(&journal->lock);
      journal->queued_bytes -= bytes;
      pthread_mutex_unlock(&journal->lock);
    }
    take_asks(journal);
    look_after(journal);
  }
  take_asks(journal);
  answer_asks(journal, NULL); /* with what went so far */
  if (journal->store) {
    sign_head(journal, NULL);
    store_sync(journal->store, NULL);
    g_clear_pointer(&journal->store, store_close);
  }
  return NULL;
}

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

/* ---- Public ------------------------------------------------------------- */

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

/* False when it is of no use to wait for better times. */
static bool
open_files(Journal *journal, GError **error)
{
  g_autoptr(GError) why = NULL;

  if (open_first(journal, &why)) {
    journal->prune_at = clock_mono_us() + FIRST_PRUNE_US;
    set_deadlines(journal);
    return true;
  }
  if (!journal->options.keep_trying || why->code == JOURNAL_ERROR_LOCKED) {
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
  }
  fail(journal, g_steal_pointer(&why));
  return true;
}

Journal *
journal_open(const JournalOptions *options, GError **error)
{
  Journal *journal = journal_new(options);

  if (open_files(journal, error)) {
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
  } else {
    journal->turned_away++;
  }
  /* Woken only when it sleeps, once, and not into a lock that is held: this
   * is the caller's whole cost. */
  wake = taken && journal->sleeping;
  journal->sleeping = journal->sleeping && !taken;
  pthread_mutex_unlock(&journal->lock);
  if (wake)
    pthread_cond_signal(&journal->wake);
  if (!taken)
    turn_away(pending);
}

void
journal_append(Journal *journal,
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
