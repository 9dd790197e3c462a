/* SPDX-License-Identifier: Apache-2.0 */
/* Follows the journal through a reader of its own, so that the writer, and who
 * waits for it, never waits for the index. */
#include "journal/indexer.h"

#include "journal/index.h"
#include "kit/clock.h"
#include "kit/trim.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* It begins when no row came for this long, or at the latest after … */
#define QUIET_US (250 * 1000)
/* … this time. */
#define LATEST_US (5 * 1000 * 1000)
#define STEP_ROWS 256
/* While rows come it works this share of the time: what it leaves is read row
 * by row until then, and processor time is the requests' first. */
#define BUSY_SHARE 50
/* Others come first; but not so far back that ending takes long. */
#define NICE 10
/* After a failure (no space …). */
#define RETRY_US (30 * 1000 * 1000)

#define NEVER INT64_MAX

struct indexer {
  char *path;
  pthread_t thread;
  pthread_mutex_t lock; /* guards all of this paragraph */
  pthread_cond_t wake;
  int64_t first_us, last_us; /* of the rows that came; NEVER: none */
  bool closing;
  atomic_bool stop; /* the same, for the step that runs */

  Index *index; /* the thread's own */
};

static void
wait_until(Indexer *indexer, int64_t when)
{
  struct timespec at = {.tv_sec = when / 1000000,
                        .tv_nsec = when % 1000000 * 1000};

  if (when == NEVER)
    pthread_cond_wait(&indexer->wake, &indexer->lock);
  else
    pthread_cond_timedwait(&indexer->wake, &indexer->lock, &at);
}

static int64_t
due_at(const Indexer *indexer)
{
  return indexer->first_us == NEVER
             ? NEVER
             : MIN(indexer->last_us + QUIET_US, indexer->first_us + LATEST_US);
}

/* Waits until there is something to do; false when the agent stops. */
static bool
wait_for_work(Indexer *indexer)
{
  bool closing;

  pthread_mutex_lock(&indexer->lock);
  while (!indexer->closing && clock_mono_us() < due_at(indexer))
    wait_until(indexer, due_at(indexer));
  indexer->first_us = NEVER;
  closing = indexer->closing;
  pthread_mutex_unlock(&indexer->lock);
  return !closing;
}

/* After a step that took so long: until its share is met, or no row came for a
 * while, or the agent stops. */
static void
give_way(Indexer *indexer, int64_t took)
{
  int64_t until = clock_mono_us() + took * (BUSY_SHARE - 1);

  pthread_mutex_lock(&indexer->lock);
  while (!indexer->closing &&
         clock_mono_us() < MIN(until, indexer->last_us + QUIET_US))
    wait_until(indexer, MIN(until, indexer->last_us + QUIET_US));
  pthread_mutex_unlock(&indexer->lock);
}

/* A file that was deleted or replaced is not written any further. */
static void
check_file(Indexer *indexer)
{
  g_autofree char *path = index_path(indexer->path);
  struct stat info;

  if (indexer->index && stat(path, &info) != 0)
    g_clear_pointer(&indexer->index, index_free);
}

/* Goes on until the index has all, or the agent stops. */
static bool
catch_up(Indexer *indexer)
{
  g_autoptr(JournalReader) reader = journal_reader_open(indexer->path, NULL);
  bool more = true;

  check_file(indexer);
  if (reader && !indexer->index)
    indexer->index = index_open_writer(reader, NULL);
  if (indexer->index)
    indexer->index->stop = &indexer->stop;
  if (!reader || !indexer->index)
    return false;
  while (more) {
    int64_t began = clock_mono_us();

    if (!index_step(indexer->index, reader, STEP_ROWS, &more, NULL)) {
      g_clear_pointer(&indexer->index, index_free);
      return false;
    }
    more = more && !indexer->stop;
    if (more)
      give_way(indexer, clock_mono_us() - began);
  }
  sqlite3_db_release_memory(indexer->index->db);
  return true;
}

static void
try_later(Indexer *indexer)
{
  pthread_mutex_lock(&indexer->lock);
  indexer->last_us = clock_mono_us() + RETRY_US;
  indexer->first_us = indexer->last_us;
  pthread_mutex_unlock(&indexer->lock);
}

static void *
indexer_main(void *data)
{
  Indexer *indexer = data;

  /* Of this thread alone: setpriority(2), C library/kernel differences. */
  setpriority(PRIO_PROCESS, 0, NICE);
  while (wait_for_work(indexer)) {
    if (!catch_up(indexer))
      try_later(indexer);
    memory_rest();
  }
  g_clear_pointer(&indexer->index, index_free);
  return NULL;
}

Indexer *
indexer_start(const char *journal_path)
{
  Indexer *indexer = g_new0(Indexer, 1);
  pthread_condattr_t attributes;
  sigset_t all, before;
  int result;

  indexer->path = g_strdup(journal_path);
  indexer->first_us = indexer->last_us = clock_mono_us();
  pthread_mutex_init(&indexer->lock, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&indexer->wake, &attributes);
  pthread_condattr_destroy(&attributes);
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  result = pthread_create(&indexer->thread, NULL, indexer_main, indexer);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (result == 0)
    return indexer;
  pthread_cond_destroy(&indexer->wake);
  pthread_mutex_destroy(&indexer->lock);
  g_free(indexer->path);
  g_free(indexer);
  return NULL;
}

void
indexer_wake(Indexer *indexer)
{
  int64_t now = clock_mono_us();
  bool sleeps;

  pthread_mutex_lock(&indexer->lock);
  sleeps = indexer->first_us == NEVER;
  if (sleeps)
    indexer->first_us = now;
  indexer->last_us = MAX(indexer->last_us, now);
  pthread_mutex_unlock(&indexer->lock);
  if (sleeps)
    pthread_cond_signal(&indexer->wake);
}

void
indexer_stop(Indexer *indexer)
{
  if (!indexer)
    return;
  pthread_mutex_lock(&indexer->lock);
  indexer->closing = true;
  indexer->stop = true;
  pthread_cond_signal(&indexer->wake);
  pthread_mutex_unlock(&indexer->lock);
  pthread_join(indexer->thread, NULL);
  pthread_cond_destroy(&indexer->wake);
  pthread_mutex_destroy(&indexer->lock);
  g_free(indexer->path);
  g_free(indexer);
}

/* ---- Without an agent ---------------------------------------------------- */

bool
journal_index_update(const char *path,
                     void (*progress)(int64_t done, int64_t total, void *data),
                     void *data,
                     GError **error)
{
  g_autoptr(JournalReader) reader = journal_reader_open(path, error);
  g_autoptr(Index) index = reader ? index_open_writer(reader, error) : NULL;
  JournalIndexState state = {0};
  int64_t done = 0;
  bool more = true;

  if (!index)
    return false;
  if (progress && !journal_index_state(reader, &state, error))
    return false;
  while (more) {
    if (!index_step(index, reader, STEP_ROWS, &more, error))
      return false;
    done += STEP_ROWS;
    if (progress)
      progress(MIN(done, state.behind), state.behind, data);
  }
  return true;
}
