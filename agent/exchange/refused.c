/* SPDX-License-Identifier: Apache-2.0 */
/* Remembered denials: a hash table with the order of arrival beside it, so
 * that the oldest goes first. */
#include "exchange/refused.h"
#include <string.h>

/* Long enough for every retry loop that clients were seen to run. */
#define KEPT_US (5 * 60 * G_USEC_PER_SEC)
/* A client that is denied more often than this gets asked about again. */
#define MAX_KEPT 1024

typedef struct {
  uint8_t digest[SHA256_LEN];
  char *message;
  GHashTable *covered; /* of what it speaks; NULL: of one request */
  int64_t until_us;
  GList link;
} Denial;

struct refused {
  GHashTable *by_digest;
  GQueue order; /* oldest first */
};

static guint
digest_hash(const void *key)
{
  guint hash;

  memcpy(&hash, key, sizeof hash);
  return hash;
}

static gboolean
digest_equal(const void *a, const void *b)
{
  return memcmp(a, b, SHA256_LEN) == 0;
}

static void
denial_free(void *data)
{
  Denial *denial = data;

  g_free(denial->message);
  g_clear_pointer(&denial->covered, g_hash_table_unref);
  g_free(denial);
}

static void
drop(Refused *refused, Denial *denial)
{
  g_queue_unlink(&refused->order, &denial->link);
  g_hash_table_remove(refused->by_digest, denial->digest);
}

Refused *
refused_new(void)
{
  Refused *refused = g_new0(Refused, 1);

  refused->by_digest =
      g_hash_table_new_full(digest_hash, digest_equal, NULL, denial_free);
  g_queue_init(&refused->order);
  return refused;
}

void
refused_free(Refused *refused)
{
  if (!refused)
    return;
  g_hash_table_unref(refused->by_digest);
  g_free(refused);
}

void
refused_add_all(Refused *refused,
                const uint8_t digest[SHA256_LEN],
                const char *message,
                GHashTable *covered,
                int64_t now_us)
{
  Denial *denial = g_hash_table_lookup(refused->by_digest, digest);

  if (denial)
    drop(refused, denial);
  else if (g_hash_table_size(refused->by_digest) >= MAX_KEPT)
    drop(refused, refused->order.head->data);
  denial = g_new0(Denial, 1);
  memcpy(denial->digest, digest, SHA256_LEN);
  denial->message = g_strdup(message);
  denial->covered = covered;
  denial->until_us = now_us + KEPT_US;
  denial->link.data = denial;
  g_queue_push_tail_link(&refused->order, &denial->link);
  g_hash_table_insert(refused->by_digest, denial->digest, denial);
}

void
refused_add(Refused *refused,
            const uint8_t digest[SHA256_LEN],
            const char *message,
            int64_t now_us)
{
  refused_add_all(refused, digest, message, NULL, now_us);
}

static const Denial *
find(Refused *refused, const uint8_t digest[SHA256_LEN], int64_t now_us)
{
  Denial *denial = g_hash_table_lookup(refused->by_digest, digest);

  if (denial && denial->until_us <= now_us) {
    drop(refused, denial);
    denial = NULL;
  }
  return denial;
}

const char *
refused_find(Refused *refused, const uint8_t digest[SHA256_LEN], int64_t now_us)
{
  const Denial *denial = find(refused, digest, now_us);

  return denial && !denial->covered ? denial->message : NULL;
}

const char *
refused_find_all(Refused *refused,
                 const uint8_t digest[SHA256_LEN],
                 GHashTable *wanted,
                 int64_t now_us)
{
  const Denial *denial = find(refused, digest, now_us);
  GHashTableIter each;
  gpointer name;

  if (!denial || !denial->covered)
    return NULL;
  g_hash_table_iter_init(&each, wanted);
  while (g_hash_table_iter_next(&each, &name, NULL))
    if (!g_hash_table_contains(denial->covered, name))
      return NULL;
  return denial->message;
}

void
refused_clear(Refused *refused)
{
  g_hash_table_remove_all(refused->by_digest);
  g_queue_init(&refused->order);
}
