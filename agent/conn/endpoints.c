/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that came with a token: plans differ in their hosts, so each
 * token's owner is sent where its own answer said. */
#include "conn/private.h"
#include "kit/digest.h"
#include <string.h>

/* One developer's clients renew their tokens every half hour; those that were
 * not used for longest are long expired when this many are known. */
#define MAX_TOKENS 256

typedef struct {
  uint8_t token[SHA256_LEN];
  char *urls[N_SERVICES];
} Entry;

struct endpoints {
  GQueue entries; /* last used first */
};

static void
entry_free(void *data)
{
  Entry *entry = data;

  for (unsigned i = 0; i < N_SERVICES; i++)
    g_free(entry->urls[i]);
  g_free(entry);
}

Endpoints *
endpoints_new(void)
{
  Endpoints *endpoints = g_new0(Endpoints, 1);

  g_queue_init(&endpoints->entries);
  return endpoints;
}

void
endpoints_free(Endpoints *endpoints)
{
  if (!endpoints)
    return;
  g_queue_clear_full(&endpoints->entries, entry_free);
  g_free(endpoints);
}

static Entry *
find(Endpoints *endpoints, const char *token)
{
  uint8_t digest[SHA256_LEN];

  if (!endpoints->entries.length)
    return NULL;
  sha256(token, strlen(token), digest);
  for (GList *at = endpoints->entries.head; at; at = at->next) {
    Entry *entry = at->data;

    if (memcmp(entry->token, digest, SHA256_LEN) == 0) {
      g_queue_unlink(&endpoints->entries, at);
      g_queue_push_head_link(&endpoints->entries, at);
      return entry;
    }
  }
  return NULL;
}

void
endpoints_set(Endpoints *endpoints,
              const char *token,
              Service service,
              const char *url)
{
  Entry *entry = find(endpoints, token);

  if (!entry) {
    entry = g_new0(Entry, 1);
    sha256(token, strlen(token), entry->token);
    g_queue_push_head(&endpoints->entries, entry);
    if (endpoints->entries.length > MAX_TOKENS)
      entry_free(g_queue_pop_tail(&endpoints->entries));
  }
  g_free(entry->urls[service]);
  entry->urls[service] = g_strdup(url);
}

const char *
endpoints_get(Endpoints *endpoints, const char *token, Service service)
{
  Entry *entry = token ? find(endpoints, token) : NULL;

  return entry ? entry->urls[service] : NULL;
}
