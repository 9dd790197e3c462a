/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: one thread that takes whatever waits as one group, stores it,
 * answers, and looks after itself when the disk fails. */
#include "journal/writer.h"
#include "journal/place.h"
#include "journal/row.h"

#include "kit/clock.h"
#include "kit/json.h"

#include <string.h>

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

bool
writer_open(Journal *journal, GError **error)
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
    journal->queued_rows--;
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

void *
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
