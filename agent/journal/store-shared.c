/* SPDX-License-Identifier: Apache-2.0 */
/* What many rows say alike: who asked, from which program, for what, and how
 * it was judged. Stored once, by its digest, with a row that used it lately. */
#include "journal/store-state.h"

#include <string.h>

/* Digests that are remembered; then it begins anew, from the database. */
#define MAX_KNOWN 1024

typedef struct {
  uint8_t digest[SHA256_LEN];
  int64_t id; /* 0: seen in one row only, which holds it itself */
  int64_t used;
} Known;

static guint
known_hash(gconstpointer key)
{
  guint start;

  memcpy(&start, key, sizeof start);
  return start;
}

static gboolean
known_equal(gconstpointer a, gconstpointer b)
{
  return memcmp(a, b, SHA256_LEN) == 0;
}

GHashTable *
store_shared_new(void)
{
  return g_hash_table_new_full(known_hash, known_equal, NULL, g_free);
}

static Known *
remember(Store *store, const uint8_t digest[SHA256_LEN])
{
  Known *known = g_new0(Known, 1);

  if (g_hash_table_size(store->shared) >= MAX_KNOWN)
    g_hash_table_remove_all(store->shared);
  memcpy(known->digest, digest, SHA256_LEN);
  g_hash_table_add(store->shared, known);
  return known;
}

/* The fields of that share, encoded; false when the row has none. */
static bool
encode(Store *store, JournalRow *row, RowShare share)
{
  bool any = false;

  chain_begin(store->encoded, CHAIN_SHARED, NULL);
  for (size_t i = 0; i < n_row_fields; i++) {
    const RowField *field = &row_fields[i];
    const char *text =
        row_share(field->number) == share ? *row_text(row, field) : NULL;

    if (text)
      chain_text(store->encoded, field->number, text, strlen(text));
    any = any || text;
  }
  return any;
}

/* Columns 3 and up of the statement are the shared fields in their order. */
static bool
insert(Store *store,
       JournalRow *row,
       RowShare share,
       Known *known,
       GError **error)
{
  sqlite3_stmt *stmt = store->insert_shared;
  int column = 3;

  known->used = store->head.seq + 1;
  sqlite3_bind_blob(stmt, 1, known->digest, SHA256_LEN, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, known->used);
  for (size_t i = 0; i < n_row_fields; i++) {
    const RowField *field = &row_fields[i];
    RowShare its = row_share(field->number);

    if (its == share)
      sqlite3_bind_text(
          stmt, column++, *row_text(row, field), -1, SQLITE_STATIC);
    else if (its != SHARE_NOT)
      sqlite3_bind_null(stmt, column++);
  }
  if (!store_step(store, stmt, error))
    return false;
  known->id = sqlite3_last_insert_rowid(store->db);
  return true;
}

/* Finds what an earlier start of the agent stored, or this one before it
 * forgot. */
static bool
find(Store *store, Known *known, GError **error)
{
  sqlite3_stmt *stmt = store->find_shared;
  int result;

  sqlite3_bind_blob(stmt, 1, known->digest, SHA256_LEN, SQLITE_STATIC);
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW) {
    known->id = sqlite3_column_int64(stmt, 0);
    known->used = sqlite3_column_int64(stmt, 1);
  } else if (result != SQLITE_DONE) {
    schema_set_error(error, store->db, store->path, "read");
  }
  sqlite3_reset(stmt);
  return result == SQLITE_ROW || result == SQLITE_DONE;
}

/* Writes its newest use when the last that was written is too old. */
static bool
use(Store *store, Known *known, GError **error)
{
  int64_t seq = store->head.seq + 1;

  if (known->used >= seq - PART_LAG)
    return true;
  known->used = seq;
  sqlite3_bind_int64(store->use_shared, 1, seq);
  sqlite3_bind_int64(store->use_shared, 2, known->id);
  return store_step(store, store->use_shared, error);
}

/* The id under which the row's part is stored; 0: in the row itself. A detail
 * is shared when it comes the second time: most with findings never do. */
static bool
share_one(Store *store,
          JournalRow *row,
          RowShare share,
          int64_t *id,
          GError **error)
{
  uint8_t digest[SHA256_LEN];
  Known *known;

  *id = 0;
  if (!encode(store, row, share))
    return true;
  chain_hash(store->encoded, digest);
  known = g_hash_table_lookup(store->shared, digest);
  if (known == NULL) {
    known = remember(store, digest);
    if (share == SHARE_DETAIL)
      return true;
  }
  if (known->id == 0 &&
      (!find(store, known, error) ||
       (known->id == 0 && !insert(store, row, share, known, error))))
    return false;
  *id = known->id;
  return use(store, known, error);
}

bool
store_share(Store *store, JournalRow *row, GError **error)
{
  static const int columns[] = {
      [SHARE_CONTEXT] = FIELD_CONTEXT, [SHARE_DETAIL] = FIELD_SHARED_DETAIL};
  int64_t id = 0;

  for (RowShare share = SHARE_CONTEXT; share <= SHARE_DETAIL; share++) {
    /* Verifying reads what a prune row says before all else. */
    if (share == SHARE_DETAIL && row->kind == ROW_PRUNE)
      id = 0;
    else if (!share_one(store, row, share, &id, error))
      return false;
    store->shares[share] = id > 0;
    if (id > 0)
      sqlite3_bind_int64(store->insert_row, columns[share], id);
    else
      sqlite3_bind_null(store->insert_row, columns[share]);
  }
  return true;
}
