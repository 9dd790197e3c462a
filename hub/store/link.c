/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to a shared database are made on a thread, and handed to the
 * loop whole. */
#include "hub/store/link.h"
#include "kit/log.h"
#include "kit/worker.h"
#include <sys/epoll.h>

#define FIRST_WAIT_MS 100
#define MAX_WAIT_MS 5000
/* The hub's own and the one that listens: each has one job at most. */
#define THREADS 2
#define MAX_CHANNELS 8

typedef struct {
  const char *channel;
  void (*heard)(const char *payload, void *data);
  void (*again)(void *data);
  void *data;
} Channel;

/* One connection that is to be there. */
typedef struct {
  StoreLink *link;
  const char *what;
  LoopTimer *timer;
  int64_t wait_ms;
  bool under_way;
  /* The job's: */
  Db *fresh;
  GError *error;
} Side;

struct store_link {
  Loop *loop;
  Db *db;
  Db *listener; /* NULL: none yet */
  LoopWatch *watch;
  WorkerPool *pool; /* NULL: not shared */
  Side own, listening;
  Channel channels[MAX_CHANNELS];
  unsigned n_channels, losses;
};

static void
call_again(StoreLink *link)
{
  for (unsigned i = 0; i < link->n_channels; i++)
    if (link->channels[i].again)
      link->channels[i].again(link->channels[i].data);
}

/* ---- connecting -----------------------------------------------------------
 */

static void
try_later(Side *side)
{
  /* Hubs that lost one database do not come back as one. */
  const int64_t jitter = g_random_int_range(0, (int)side->wait_ms / 2 + 1);

  loop_timer_set(side->timer, side->wait_ms / 2 + jitter);
  side->wait_ms = MIN(2 * side->wait_ms, MAX_WAIT_MS);
}

/* On a thread. The channels are all there before it begins. */
static void
open_side(void *data)
{
  Side *side = data;
  StoreLink *link = side->link;

  side->fresh = db_open_like(link->db, &side->error);
  if (side == &link->own)
    return;
  for (unsigned i = 0; side->fresh && i < link->n_channels; i++)
    if (!db_listen(side->fresh, link->channels[i].channel, &side->error))
      g_clear_pointer(&side->fresh, db_free);
}

static void on_heard(uint32_t events, void *data);
static void on_listener_lost(void *data);

/* Of no use when it cannot be watched. */
static bool
take_listener(StoreLink *link, Db *fresh)
{
  link->watch =
      loop_watch_new(link->loop, db_fd(fresh), EPOLLIN, on_heard, link);
  if (!link->watch) {
    db_free(fresh);
    return false;
  }
  db_free(link->listener);
  link->listener = fresh;
  db_on_lost(fresh, on_listener_lost, link);
  return true;
}

static void
on_opened(void *data, bool cancelled)
{
  Side *side = data;
  StoreLink *link = side->link;
  g_autoptr(GError) error = g_steal_pointer(&side->error);
  Db *fresh = g_steal_pointer(&side->fresh);

  side->under_way = false;
  if (cancelled) {
    db_free(fresh);
    return;
  }
  if (fresh && side == &link->own)
    db_take(link->db, fresh);
  else if (fresh && !take_listener(link, fresh))
    fresh = NULL;
  if (!fresh) {
    log_warning("database connection=%s error=\"%s\"",
                side->what,
                error ? error->message : "it cannot be watched");
    try_later(side);
    return;
  }
  side->wait_ms = FIRST_WAIT_MS;
  log_info("database connection=%s connected", side->what);
  call_again(link);
}

static void
on_due(void *data)
{
  Side *side = data;

  if (side->under_way)
    return;
  side->under_way = worker_run(
      side->link->pool, side->link->loop, open_side, on_opened, side);
  if (!side->under_way)
    try_later(side);
}

static void
on_lost(void *data)
{
  StoreLink *link = data;

  link->losses++;
  log_error("database connection=%s lost", link->own.what);
  loop_timer_set(link->own.timer, 0);
}

/* ---- hearing --------------------------------------------------------------
 */

static void
on_listener_lost(void *data)
{
  StoreLink *link = data;

  log_warning("database connection=%s lost", link->listening.what);
  loop_watch_free(g_steal_pointer(&link->watch));
  loop_timer_set(link->listening.timer, 0);
}

static void
tell(const char *channel, const char *payload, void *data)
{
  const StoreLink *link = data;

  for (unsigned i = 0; i < link->n_channels; i++)
    if (g_str_equal(link->channels[i].channel, channel))
      link->channels[i].heard(payload, link->channels[i].data);
}

static void
on_heard(uint32_t events, void *data)
{
  StoreLink *link = data;

  (void)events;
  db_hear(link->listener, tell, link, NULL);
}

/* ---- life -----------------------------------------------------------------
 */

static void
side_init(Side *side, StoreLink *link, const char *what)
{
  side->link = link;
  side->what = what;
  side->wait_ms = FIRST_WAIT_MS;
  side->timer = loop_timer_new(link->loop, on_due, side);
}

StoreLink *
store_link_new(Loop *loop, Db *db)
{
  StoreLink *link = g_new0(StoreLink, 1);

  link->loop = loop;
  link->db = db;
  if (!db_shares(db))
    return link;
  link->pool = worker_pool_new(THREADS, THREADS);
  side_init(&link->own, link, "own");
  side_init(&link->listening, link, "listening");
  db_on_lost(db, on_lost, link);
  loop_timer_set(link->listening.timer, 0);
  return link;
}

void
store_link_free(StoreLink *link)
{
  if (!link)
    return;
  if (link->pool) {
    db_on_lost(link->db, NULL, NULL);
    worker_pool_free(link->pool);
    /* What finished meanwhile was posted, and would find nothing. */
    while (link->own.under_way || link->listening.under_way)
      loop_iterate(link->loop, 0);
    loop_timer_free(link->own.timer);
    loop_timer_free(link->listening.timer);
    loop_watch_free(link->watch);
    db_free(link->listener);
  }
  g_free(link);
}

void
store_link_on(StoreLink *link,
              const char *channel,
              void (*heard)(const char *payload, void *data),
              void (*again)(void *data),
              void *data)
{
  g_return_if_fail(link->n_channels < MAX_CHANNELS);
  link->channels[link->n_channels++] = (Channel){channel, heard, again, data};
}

unsigned
store_link_losses(const StoreLink *link)
{
  return link->losses;
}
