/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions by key in order of last use, and times of requests by rule for the
 * rate conditions. */
#include "exchange/sessions.h"

/* DESIGN: a session ends after 30 idle minutes. */
#define IDLE_US (30LL * 60 * G_USEC_PER_SEC)
/* One developer's programs; more would be a loop of fresh conversation ids. */
#define MAX_SESSIONS 4096
/* Keys (rule and user) with a rate, and times kept for each: a rate that asks
 * for more than this many is met by this many. */
#define MAX_RATES 256
#define MAX_TIMES 1024

typedef struct {
  char *key;
  uint64_t serial;
  int64_t last_us;
  GList link;
} Session;

typedef struct {
  int64_t times[MAX_TIMES]; /* a ring */
  unsigned first, count;
} Rate;

struct sessions {
  GHashTable *by_key;
  GQueue order; /* longest idle first */
  GHashTable *rates;
  uint64_t began; /* sessions so far */
};

static void
session_free(void *data)
{
  Session *session = data;

  g_free(session->key);
  g_free(session);
}

static void
drop(Sessions *sessions, Session *session)
{
  g_queue_unlink(&sessions->order, &session->link);
  g_hash_table_remove(sessions->by_key, session->key);
}

Sessions *
sessions_new(void)
{
  Sessions *sessions = g_new0(Sessions, 1);

  sessions->by_key =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, session_free);
  g_queue_init(&sessions->order);
  sessions->rates =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  return sessions;
}

void
sessions_free(Sessions *sessions)
{
  if (!sessions)
    return;
  g_hash_table_unref(sessions->by_key);
  g_hash_table_unref(sessions->rates);
  g_free(sessions);
}

bool
sessions_touch(Sessions *sessions, const char *key, int64_t now_us)
{
  Session *session = g_hash_table_lookup(sessions->by_key, key);

  if (session && session->last_us + IDLE_US > now_us) {
    session->last_us = now_us;
    g_queue_unlink(&sessions->order, &session->link);
    g_queue_push_tail_link(&sessions->order, &session->link);
    return false;
  }
  if (session)
    drop(sessions, session);
  else if (g_hash_table_size(sessions->by_key) >= MAX_SESSIONS)
    drop(sessions, sessions->order.head->data);
  session = g_new0(Session, 1);
  session->key = g_strdup(key);
  session->serial = ++sessions->began;
  session->last_us = now_us;
  session->link.data = session;
  g_queue_push_tail_link(&sessions->order, &session->link);
  g_hash_table_insert(sessions->by_key, session->key, session);
  return true;
}

uint64_t
sessions_serial(const Sessions *sessions, const char *key)
{
  const Session *session = g_hash_table_lookup(sessions->by_key, key);

  return session ? session->serial : 0;
}

GHashTable *
sessions_alive(const Sessions *sessions, int64_t now_us)
{
  GHashTable *alive = g_hash_table_new(NULL, NULL);

  for (const GList *at = sessions->order.head; at; at = at->next) {
    const Session *session = at->data;

    if (session->last_us + IDLE_US > now_us)
      g_hash_table_add(alive, GSIZE_TO_POINTER((gsize)session->serial));
  }
  return alive;
}

unsigned
sessions_rate(Sessions *sessions,
              const char *key,
              unsigned window,
              int64_t now_us)
{
  Rate *rate = g_hash_table_lookup(sessions->rates, key);
  int64_t since = now_us - (int64_t)window * G_USEC_PER_SEC;

  if (!rate) {
    if (g_hash_table_size(sessions->rates) >= MAX_RATES)
      return MAX_TIMES; /* too many keys to count: as if it were met */
    rate = g_new0(Rate, 1);
    g_hash_table_insert(sessions->rates, g_strdup(key), rate);
  }
  while (rate->count && rate->times[rate->first] <= since) {
    rate->first = (rate->first + 1) % MAX_TIMES;
    rate->count--;
  }
  if (rate->count == MAX_TIMES) {
    rate->first = (rate->first + 1) % MAX_TIMES;
    rate->count--;
  }
  rate->times[(rate->first + rate->count++) % MAX_TIMES] = now_us;
  return rate->count;
}
