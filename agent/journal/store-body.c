/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies in the database: each text once, long ones in parts that they share,
 * with the newest row that uses each, which is what retention goes by. */
#include "journal/escrow.h"
#include "journal/store-state.h"

#include <string.h>

/* Bodies of parts that are remembered as looked at. */
#define MAX_CHECKED 256

static bool
cannot_read(Store *store, GError **error)
{
  schema_set_error(error, store->db, store->path, "read");
  return false;
}

/* The row that is being put. */
static int64_t
this_row(const Store *store)
{
  return store->head.seq + 1;
}

/* ---- Parts -------------------------------------------------------------- */

/* Writes a part's newest use when the last that was written is older than
 * `lag` rows. */
static bool
use_part(Store *store, int64_t id, int64_t lag, GError **error)
{
  sqlite3_bind_int64(store->use_part, 1, this_row(store));
  sqlite3_bind_int64(store->use_part, 2, id);
  sqlite3_bind_int64(store->use_part, 3, lag);
  return store_step(store, store->use_part, error);
}

static bool
insert_part(Store *store,
            const uint8_t digest[SHA256_LEN],
            const uint8_t *text,
            size_t len,
            int64_t *id,
            GError **error)
{
  sqlite3_stmt *stmt = store->insert_part;
  const uint8_t *packed;
  size_t packed_len;

  if (!body_pack(store->packer, text, len, &packed, &packed_len, error))
    return false;
  sqlite3_bind_blob(stmt, 1, digest, SHA256_LEN, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, (int64_t)len);
  sqlite3_bind_int64(stmt, 3, this_row(store));
  sqlite3_bind_blob64(stmt, 4, packed, packed_len, SQLITE_STATIC);
  if (!store_step(store, stmt, error))
    return false;
  *id = sqlite3_last_insert_rowid(store->db);
  return true;
}

/* Appends the part's id to the list, storing it when it is new. */
static bool
put_part(Store *store, const uint8_t *text, size_t len, GError **error)
{
  uint8_t digest[SHA256_LEN], written[PART_ID_LEN];
  int64_t id = 0, used = 0;
  int result;

  sha256(text, len, digest);
  sqlite3_bind_blob(store->find_part, 1, digest, SHA256_LEN, SQLITE_STATIC);
  result = sqlite3_step(store->find_part);
  if (result == SQLITE_ROW) {
    id = sqlite3_column_int64(store->find_part, 0);
    used = sqlite3_column_int64(store->find_part, 1);
  }
  sqlite3_reset(store->find_part);
  if (result != SQLITE_ROW && result != SQLITE_DONE)
    return cannot_read(store, error);
  if (result == SQLITE_DONE &&
      !insert_part(store, digest, text, len, &id, error))
    return false;
  if (result == SQLITE_ROW && used < this_row(store) - PART_LAG &&
      !use_part(store, id, PART_LAG, error))
    return false;
  part_id_write(written, id);
  g_byte_array_append(store->list, written, sizeof written);
  return true;
}

static bool
put_parts(Store *store, const uint8_t *text, size_t len, GError **error)
{
  g_byte_array_set_size(store->list, 0);
  while (len > 0) {
    size_t part = part_cut(&store->cutter, text, len);

    if (!put_part(store, text, part, error))
      return false;
    text += part;
    len -= part;
  }
  return true;
}

/* ---- Bodies ------------------------------------------------------------- */

/* The body of that digest: SQLITE_ROW with its id and (in store->list) its
 * parts, or SQLITE_DONE. */
static int
find_body(Store *store, const uint8_t digest[SHA256_LEN], int64_t *id)
{
  sqlite3_stmt *stmt = store->find_body;
  int result;

  g_byte_array_set_size(store->list, 0);
  sqlite3_bind_blob(stmt, 1, digest, SHA256_LEN, SQLITE_STATIC);
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW) {
    *id = sqlite3_column_int64(stmt, 0);
    if (sqlite3_column_int64(stmt, 1) > 0)
      g_byte_array_append(store->list,
                          sqlite3_column_blob(stmt, 2),
                          (guint)sqlite3_column_bytes(stmt, 2));
  }
  sqlite3_reset(stmt);
  return result;
}

/* A body that comes again and again: its parts are looked at only every half
 * of PART_LAG rows, and then none may be older than the other half. */
static bool
use_parts(Store *store, int64_t id, GError **error)
{
  const GByteArray *list = store->list;
  const int64_t seq = this_row(store);
  const int64_t *last = g_hash_table_lookup(store->checked, &id);

  if (list->len == 0 || (last && seq - *last <= PART_LAG / 2))
    return true;
  for (guint at = 0; at + PART_ID_LEN <= list->len; at += PART_ID_LEN) {
    if (!use_part(
            store, part_id_read(list->data + at), PART_LAG / 2 - 1, error))
      return false;
  }
  if (g_hash_table_size(store->checked) >= MAX_CHECKED)
    g_hash_table_remove_all(store->checked);
  g_hash_table_insert(
      store->checked, g_memdup2(&id, sizeof id), g_memdup2(&seq, sizeof seq));
  return true;
}

static bool
use_body(Store *store, int64_t id, GError **error)
{
  if (!use_parts(store, id, error))
    return false;
  sqlite3_bind_int64(store->use_body, 1, this_row(store));
  sqlite3_bind_int64(store->use_body, 2, id);
  return store_step(store, store->use_body, error);
}

bool
store_body(Store *store,
           const uint8_t digest[SHA256_LEN],
           const uint8_t *text,
           size_t len,
           GError **error)
{
  sqlite3_stmt *stmt = store->insert_body;
  bool whole = len < PARTS_FROM;
  const uint8_t *data;
  size_t data_len;
  int64_t id;
  int result = find_body(store, digest, &id);

  if (result == SQLITE_ROW)
    return use_body(store, id, error);
  if (result != SQLITE_DONE)
    return cannot_read(store, error);
  if (whole ? !body_pack(store->packer, text, len, &data, &data_len, error)
            : !put_parts(store, text, len, error))
    return false;
  if (!whole) {
    data = store->list->data;
    data_len = store->list->len;
  }
  sqlite3_bind_blob(stmt, 1, digest, SHA256_LEN, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, (int64_t)len);
  sqlite3_bind_int64(stmt, 3, this_row(store));
  sqlite3_bind_blob64(stmt, 4, data, data_len, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 5, whole ? 0 : (int64_t)(data_len / PART_ID_LEN));
  return store_step(store, stmt, error);
}

size_t
store_kept_len(const Store *store, const uint8_t *text, size_t len)
{
  size_t keep = store->max_recorded_body;

  if (len <= keep)
    return len;
  for (int back = 0; back < 3 && keep > 0 && (text[keep] & 0xc0) == 0x80;
       back++)
    keep--;
  return keep;
}

/* ---- Originals ---------------------------------------------------------- */

static bool
put_sealed(Store *store, GBytes *sealed, GError **error)
{
  sqlite3_bind_int64(store->insert_sealed, 1, this_row(store));
  sqlite3_bind_blob64(store->insert_sealed,
                      2,
                      g_bytes_get_data(sealed, NULL),
                      g_bytes_get_size(sealed),
                      SQLITE_STATIC);
  return store_step(store, store->insert_sealed, error);
}

bool
store_original(Store *store,
               const JournalRow *row,
               uint8_t digest[SHA256_LEN],
               bool *sealed,
               GError **error)
{
  const EscrowPlace place = {store->meta.genesis, this_row(store)};
  g_autoptr(GBytes) box = NULL;
  const uint8_t *text;
  size_t len;

  *sealed = false;
  if (!store->escrow || row->original == NULL ||
      (store->bodies && row->body && g_bytes_equal(row->original, row->body)))
    return true;
  text = g_bytes_get_data(row->original, &len);
  box = escrow_seal(
      store->escrow_key, &place, text, store_kept_len(store, text, len), error);
  if (box == NULL || !put_sealed(store, box, error))
    return false;
  sha256(g_bytes_get_data(box, NULL), g_bytes_get_size(box), digest);
  *sealed = true;
  return true;
}
