/* SPDX-License-Identifier: Apache-2.0 */
/* Masks: deterministic tags per user key, and the bounded map in memory that
 * leads from a mask back to its value. */
#include "inspect/inspect.h"

#include "kit/clock.h"
#include "kit/digest.h"

#include <pthread.h>
#include <string.h>

/* 12 characters of base32 are 60 bits. */
#define TAG_MIN 12
#define TAG_STEP 4
#define TAG_MAX 48
/* The map's bounds; beyond either the entry that was used least recently is
 * forgotten: its mask is not restored any more. */
#define MAX_ENTRIES 4096
#define MAX_VALUE_BYTES ((size_t)8 * 1024 * 1024)
/* Conversations that one mask may be restored in; the oldest is forgotten. */
#define MAX_SCOPES 32
#define SCOPE_LEN 16

typedef struct {
  char *mask;
  char *value;
  size_t len;
  uint8_t scopes[MAX_SCOPES][SCOPE_LEN]; /* digests, newest last */
  Restore levels[MAX_SCOPES];
  unsigned n_scopes;
  GList link; /* in order of use */
} Entry;

struct masker {
  Secret *mask_key;
  Secret *fingerprint_key;
  pthread_mutex_t lock;
  GHashTable *entries; /* mask → Entry */
  GQueue order;        /* of use, least recent first */
  size_t bytes;        /* of values */
  GHashTable *allowed; /* fingerprint → AllowedFinding */
  int any_allowed;     /* atomic */
};

static void
entry_free(gpointer data)
{
  Entry *entry = data;

  secret_wipe(entry->value, entry->len);
  g_free(entry->value);
  g_free(entry->mask);
  g_free(entry);
}

Masker *
masker_new(Secret *mask_key, Secret *fingerprint_key)
{
  Masker *masker = g_new0(Masker, 1);

  masker->mask_key = secret_ref(mask_key);
  masker->fingerprint_key = secret_ref(fingerprint_key);
  pthread_mutex_init(&masker->lock, NULL);
  masker->entries =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, entry_free);
  g_queue_init(&masker->order);
  masker->allowed =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
  return masker;
}

void
masker_free(Masker *masker)
{
  if (masker == NULL)
    return;
  g_hash_table_destroy(masker->entries);
  g_hash_table_destroy(masker->allowed);
  pthread_mutex_destroy(&masker->lock);
  secret_unref(masker->mask_key);
  secret_unref(masker->fingerprint_key);
  g_free(masker);
}

static void
forget(Masker *masker, Entry *entry)
{
  masker->bytes -= entry->len;
  g_queue_unlink(&masker->order, &entry->link);
  g_hash_table_remove(masker->entries, entry->mask);
}

static void
touch(Masker *masker, Entry *entry)
{
  g_queue_unlink(&masker->order, &entry->link);
  g_queue_push_tail_link(&masker->order, &entry->link);
}

static void
scope_digest(const Masker *masker, const char *scope, uint8_t out[SCOPE_LEN])
{
  uint8_t digest[SHA256_LEN];

  hmac_sha256(secret_bytes(masker->mask_key),
              secret_len(masker->mask_key),
              scope,
              strlen(scope),
              digest);
  memcpy(out, digest, SCOPE_LEN);
}

/* Index + 1, or 0. */
static unsigned
find_scope(const Entry *entry, const uint8_t scope[SCOPE_LEN])
{
  for (unsigned i = entry->n_scopes; i > 0; i--)
    if (memcmp(entry->scopes[i - 1], scope, SCOPE_LEN) == 0)
      return i;
  return 0;
}

static void
add_scope(Entry *entry, const uint8_t scope[SCOPE_LEN], Restore restore)
{
  const unsigned known = find_scope(entry, scope);

  if (known != 0) {
    entry->levels[known - 1] = restore;
    return;
  }
  if (entry->n_scopes == MAX_SCOPES) {
    memmove(entry->scopes[0],
            entry->scopes[1],
            (size_t)(MAX_SCOPES - 1) * SCOPE_LEN);
    memmove(entry->levels,
            entry->levels + 1,
            (MAX_SCOPES - 1) * sizeof(entry->levels[0]));
    entry->n_scopes--;
  }
  entry->levels[entry->n_scopes] = restore;
  memcpy(entry->scopes[entry->n_scopes++], scope, SCOPE_LEN);
}

static Entry *
remember(Masker *masker, const char *mask, const char *value, size_t len)
{
  Entry *entry = g_new0(Entry, 1);

  entry->mask = g_strdup(mask);
  entry->value = g_malloc(len + 1);
  memcpy(entry->value, value, len);
  entry->value[len] = '\0';
  entry->len = len;
  entry->link.data = entry;
  g_hash_table_insert(masker->entries, entry->mask, entry);
  g_queue_push_tail_link(&masker->order, &entry->link);
  masker->bytes += len;
  while (
      masker->order.head->data != entry &&
      (masker->order.length > MAX_ENTRIES || masker->bytes > MAX_VALUE_BYTES))
    forget(masker, masker->order.head->data);
  return entry;
}

/* HMAC-SHA-256 over the rule and the value: what a tag is cut from. */
static void
tag_of(const Masker *masker,
       const char *rule_id,
       const char *value,
       size_t len,
       char tag[TAG_MAX + 1])
{
  const size_t id_len = strlen(rule_id) + 1;
  uint8_t digest[SHA256_LEN];
  g_autofree char *joined = g_malloc(id_len + len);

  memcpy(joined, rule_id, id_len);
  if (len > 0)
    memcpy(joined + id_len, value, len);
  hmac_sha256(secret_bytes(masker->mask_key),
              secret_len(masker->mask_key),
              joined,
              id_len + len,
              digest);
  secret_wipe(joined, id_len + len);
  base32_encode(digest, sizeof(digest), tag, TAG_MAX);
}

void
masker_mask(Masker *masker,
            const char *scope,
            const char *rule_id,
            const char *value,
            size_t len,
            GString *out)
{
  masker_issue(masker, scope, RESTORE_TOOLS, rule_id, value, len, out);
}

void
masker_issue(Masker *masker,
             const char *scope,
             Restore restore,
             const char *rule_id,
             const char *value,
             size_t len,
             GString *out)
{
  char tag[TAG_MAX + 1];
  uint8_t digest[SCOPE_LEN];
  g_autofree char *mask = NULL;
  Entry *entry = NULL;
  int size = TAG_MIN;

  if (len > MASK_VALUE_MAX) {
    tag_of(masker, rule_id, value, MASK_VALUE_MAX, tag);
    g_string_append_printf(out, "[%s:%.*s]", rule_id, size, tag);
    return;
  }
  tag_of(masker, rule_id, value, len, tag);
  if (restore == RESTORE_NONE)
    scope = NULL;
  if (scope != NULL)
    scope_digest(masker, scope, digest);
  pthread_mutex_lock(&masker->lock);
  for (;; size += TAG_STEP) {
    g_free(mask);
    mask = g_strdup_printf("[%s:%.*s]", rule_id, size, tag);
    entry = g_hash_table_lookup(masker->entries, mask);
    if (entry == NULL || size + TAG_STEP > TAG_MAX ||
        (entry->len == len && memcmp(entry->value, value, len) == 0))
      break;
  }
  if (entry == NULL)
    entry = remember(masker, mask, value, len);
  else
    touch(masker, entry);
  if (scope != NULL)
    add_scope(entry, digest, restore);
  pthread_mutex_unlock(&masker->lock);
  g_string_append(out, mask);
}

void
masker_fingerprint(const Masker *masker,
                   const char *value,
                   size_t len,
                   char out[FINGERPRINT_SIZE])
{
  uint8_t digest[SHA256_LEN];

  hmac_sha256(secret_bytes(masker->fingerprint_key),
              secret_len(masker->fingerprint_key),
              value,
              MIN(len, MASK_VALUE_MAX),
              digest);
  hex_encode(digest, (FINGERPRINT_SIZE - 1) / 2, out);
}

void
masker_set_allowed(Masker *masker, const AllowedFinding *allowed, unsigned n)
{
  pthread_mutex_lock(&masker->lock);
  g_hash_table_remove_all(masker->allowed);
  for (unsigned i = 0; i < n; i++) {
    AllowedFinding *entry = g_memdup2(&allowed[i], sizeof(*allowed));

    g_hash_table_replace(masker->allowed, entry->fingerprint, entry);
  }
  g_atomic_int_set(&masker->any_allowed, n > 0);
  pthread_mutex_unlock(&masker->lock);
}

bool
masker_allows(Masker *masker, const char fingerprint[FINGERPRINT_SIZE])
{
  const AllowedFinding *entry;
  bool allowed;

  if (!g_atomic_int_get(&masker->any_allowed))
    return false;
  pthread_mutex_lock(&masker->lock);
  entry = g_hash_table_lookup(masker->allowed, fingerprint);
  allowed = entry != NULL && entry->until_us > clock_wall_us() &&
            entry->until_boot_us > clock_boot_us();
  pthread_mutex_unlock(&masker->lock);
  return allowed;
}

bool
masker_allows_value(Masker *masker, const char *value, size_t len)
{
  char fingerprint[FINGERPRINT_SIZE];

  /* A fingerprint is of a value's beginning: of one that is longer it would
   * allow all that begin so. */
  if (len > MASK_VALUE_MAX || !g_atomic_int_get(&masker->any_allowed))
    return false;
  masker_fingerprint(masker, value, len, fingerprint);
  return masker_allows(masker, fingerprint);
}

void
masker_forget_scopes(Masker *masker)
{
  pthread_mutex_lock(&masker->lock);
  for (GList *at = masker->order.head; at != NULL; at = at->next)
    ((Entry *)at->data)->n_scopes = 0;
  pthread_mutex_unlock(&masker->lock);
}

bool
masker_restore(Masker *masker,
               const char *scope,
               Restore where,
               const char *mask,
               size_t len,
               GString *out)
{
  g_autofree char *key = g_strndup(mask, len);
  uint8_t digest[SCOPE_LEN];
  unsigned known = 0;
  Entry *entry;

  if (scope == NULL)
    return false;
  scope_digest(masker, scope, digest);
  pthread_mutex_lock(&masker->lock);
  entry = g_hash_table_lookup(masker->entries, key);
  if (entry != NULL)
    known = find_scope(entry, digest);
  if (known != 0 && entry->levels[known - 1] < where)
    known = 0;
  if (known != 0) {
    g_string_append_len(out, entry->value, (gssize)entry->len);
    touch(masker, entry);
  }
  pthread_mutex_unlock(&masker->lock);
  return known != 0;
}
