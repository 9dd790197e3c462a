/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies in the database: each text once, with the newest row that uses it,
 * which is what retention goes by. */
#include "journal/store-state.h"

/* The body of that digest: SQLITE_ROW with its id, or SQLITE_DONE. */
static int
find_body(Store *store, const uint8_t digest[SHA256_LEN], int64_t *id)
{
  sqlite3_stmt *stmt = store->find_body;
  int result;

  sqlite3_bind_blob(stmt, 1, digest, SHA256_LEN, SQLITE_STATIC);
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW)
    *id = sqlite3_column_int64(stmt, 0);
  sqlite3_reset(stmt);
  return result;
}

static bool
use_body(Store *store, int64_t id, GError **error)
{
  sqlite3_bind_int64(store->use_body, 1, store->head.seq + 1);
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
  const uint8_t *packed;
  size_t packed_len;
  int64_t id;
  int result = find_body(store, digest, &id);

  if (result == SQLITE_ROW)
    return use_body(store, id, error);
  if (result != SQLITE_DONE) {
    schema_set_error(error, store->db, store->path, "read");
    return false;
  }
  if (!body_pack(store->packer, text, len, &packed, &packed_len, error))
    return false;
  sqlite3_bind_blob(stmt, 1, digest, SHA256_LEN, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, (int64_t)len);
  sqlite3_bind_int64(stmt, 3, store->head.seq + 1);
  sqlite3_bind_blob64(stmt, 4, packed, packed_len, SQLITE_STATIC);
  return store_step(store, stmt, error);
}
