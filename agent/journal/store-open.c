/* SPDX-License-Identifier: Apache-2.0 */
/* A Store from its file: the machine's key, the chain's end, the statements. */
#include "journal/row.h"
#include "journal/store-state.h"

#include <string.h>

static bool
prepare_all(Store *store, GError **error)
{
  const struct {
    sqlite3_stmt **stmt;
    const char *sql;
  } all[] = {
      {&store->begin, "BEGIN IMMEDIATE"},
      {&store->commit, "COMMIT"},
      {&store->rollback, "ROLLBACK"},
      {&store->insert_row,
       "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
       "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      {&store->insert_checkpoint,
       "INSERT INTO checkpoints (seq, wall_us, hash, public_key, signature) "
       "VALUES (?, ?, ?, ?, ?)"},
      {&store->find_body,
       "SELECT id, parts, data FROM bodies WHERE digest = ?"},
      {&store->insert_body,
       "INSERT INTO bodies (digest, len, seq, data, used_seq, parts) "
       "VALUES (?, ?, ?3, ?, ?3, ?)"},
      {&store->use_body, "UPDATE bodies SET used_seq = ? WHERE id = ?"},
      {&store->find_part, "SELECT id, used_seq FROM parts WHERE digest = ?"},
      {&store->insert_part,
       "INSERT INTO parts (digest, len, used_seq, data) VALUES (?, ?, ?, ?)"},
      {&store->use_part,
       "UPDATE parts SET used_seq = ?1 WHERE id = ?2 AND used_seq < ?1 - ?3"},
      {&store->find_shared, "SELECT id, used_seq FROM shared WHERE digest = ?"},
      {&store->insert_shared, STORE_INSERT_SHARED},
      {&store->use_shared, "UPDATE shared SET used_seq = ? WHERE id = ?"},
      {&store->insert_sealed, "INSERT INTO sealed (seq, data) VALUES (?, ?)"},
      {&store->set_cursor,
       "INSERT INTO ship_cursor (receiver, seq, checkpoint_seq, wall_us) "
       "VALUES (?, ?, ?, ?) ON CONFLICT (receiver) DO UPDATE SET "
       "seq = max(seq, excluded.seq), checkpoint_seq = "
       "max(checkpoint_seq, excluded.checkpoint_seq), "
       "wall_us = excluded.wall_us"},
      {&store->set_aside,
       "INSERT OR IGNORE INTO quarantine (receiver, seq, wall_us, reason) "
       "VALUES (?, ?, ?, ?)"},
      {&store->keep_receipt,
       "INSERT OR REPLACE INTO receipts (receiver, seq, wall_us, hash, "
       "receipt) VALUES (?, ?, ?, ?, ?)"},
      {&store->insert_open,
       "INSERT OR IGNORE INTO open_requests (seq, exchange) VALUES (?, ?)"},
      {&store->delete_open, "DELETE FROM open_requests WHERE exchange = ?"},
      {&store->find_row, "SELECT hash FROM rows WHERE seq = ?"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
    *all[i].stmt = schema_prepare(store->db, store->path, all[i].sql, error);
    if (*all[i].stmt == NULL)
      return false;
  }
  return true;
}

static bool
damaged(Store *store, const char *what, GError **error)
{
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_CORRUPT,
              "the journal %s is damaged: %s; move it aside and keep it as "
              "evidence",
              store->path,
              what);
  return false;
}

/* The last row, or what the first will follow. */
static bool
load_last_row(Store *store, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(store->db,
                     store->path,
                     "SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1",
                     error);
  int result;

  if (stmt == NULL)
    return false;
  result = sqlite3_step(stmt);
  if (result == SQLITE_DONE) {
    memcpy(store->head.link, store->meta.genesis, SHA256_LEN);
    return true;
  }
  if (result != SQLITE_ROW) {
    schema_set_error(error, store->db, store->path, "read");
    return false;
  }
  store->head.seq = sqlite3_column_int64(stmt, 0);
  if (!column_bytes(stmt, 1, store->head.hash, SHA256_LEN))
    return damaged(store, "its last row has no hash", error);
  memcpy(store->head.link, store->head.hash, SHA256_LEN);
  return true;
}

static bool
load_head(Store *store, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  Checkpoint last;
  int result;

  if (!load_last_row(store, error))
    return false;
  stmt = schema_prepare(store->db,
                        store->path,
                        "SELECT seq, wall_us, hash, public_key, signature "
                        "FROM checkpoints ORDER BY seq DESC LIMIT 1",
                        error);
  if (stmt == NULL)
    return false;
  result = sqlite3_step(stmt);
  if (result != SQLITE_ROW && result != SQLITE_DONE) {
    schema_set_error(error, store->db, store->path, "read");
    return false;
  }
  store->head.unsigned_rows = store->head.seq;
  if (result == SQLITE_ROW) {
    last.seq = sqlite3_column_int64(stmt, 0);
    last.wall_us = sqlite3_column_int64(stmt, 1);
    if (!column_bytes(stmt, 2, last.hash, SHA256_LEN) ||
        !column_bytes(stmt, 3, last.public_key, CHAIN_KEY_LEN) ||
        !column_bytes(stmt, 4, last.signature, CHAIN_SIGNATURE_LEN) ||
        last.seq > store->head.seq)
      return damaged(store, "its last checkpoint is not whole", error);
    store->head.unsigned_rows = store->head.seq - last.seq;
    if (last.seq == store->head.seq)
      chain_link(store->meta.genesis, &last, store->head.link);
  }
  store->committed = store->head;
  return true;
}

/* False, with the reason in the journal's words. */
static bool
refuse_key(const GError *why, GError **error)
{
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_OPEN,
              "the journal's signing key cannot be used: %s; put it back, or "
              "move the journal aside to begin a new one",
              why->message);
  return false;
}

static bool
load_key(Store *store, bool create, GError **error)
{
  g_autofree char *path = g_strconcat(store->path, ".key", NULL);
  g_autoptr(GError) why = NULL;
  bool is_new;

  if (!schema_is_new(store->db, store->path, &is_new, error))
    return false;
  store->key = signing_key_load(path, create && is_new, &why);
  if (store->key == NULL)
    return refuse_key(why, error);
  if (!schema_migrate(store->db, store->path, store->key, error) ||
      !schema_check(store->db, store->path, error) ||
      !schema_read_meta(store->db, store->path, &store->meta, error))
    return false;
  if (memcmp(store->meta.public_key,
             signing_key_public(store->key),
             CHAIN_KEY_LEN) == 0)
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_OPEN,
              "%s is not the key that the journal %s was begun with: put the "
              "right one back, or move the journal aside to begin a new one",
              path,
              store->path);
  return false;
}

static bool
check_wal(Store *store, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(store->db, store->path, "PRAGMA journal_mode", error);

  if (stmt == NULL)
    return false;
  if (sqlite3_step(stmt) == SQLITE_ROW &&
      g_strcmp0((const char *)sqlite3_column_text(stmt, 0), "wal") == 0)
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_OPEN,
              "the journal %s cannot be kept with a write-ahead log on this "
              "file system",
              store->path);
  return false;
}

static int
note_frames(void *data, sqlite3 *db, const char *name, int frames)
{
  Store *store = data;

  (void)db;
  (void)name;
  store->wal_frames = frames;
  return SQLITE_OK;
}

Store *
store_open(const JournalOptions *options, bool create, GError **error)
{
  g_autoptr(Store) store = g_new0(Store, 1);
  WorkBudget budget;

  store->path = g_strdup(options->path);
  store->bodies = options->bodies;
  store->max_recorded_body = options->max_recorded_body
                                 ? MIN(options->max_recorded_body, BODY_MAX)
                                 : BODY_MAX;
  store->escrow = options->escrow;
  memcpy(store->escrow_key, options->escrow_key, ESCROW_KEY_LEN);
  store->keep = options->keep;
  store->keep.ship_to = g_strdup(options->keep.ship_to);
  store->tidy_at = STORE_TIDY_FRAMES;
  store->packer = body_packer_new();
  part_cutter_init(&store->cutter);
  store->encoded = g_byte_array_new();
  store->list = g_byte_array_new();
  store->shared = store_shared_new();
  store->checked =
      g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
  if (!place_prepare(store->path, create, error))
    return NULL;
  store->db = schema_connect_writer(store->path, options->durability, error);
  if (store->db == NULL ||
      !schema_limit_work(store->db, store->path, &budget, error) ||
      !load_key(store, create, error) || !check_wal(store, error) ||
      !load_head(store, error) || !prepare_all(store, error) ||
      !place_note(store->path, &store->place, error))
    return NULL;
  schema_unlimit_work(store->db);
  sqlite3_wal_hook(store->db, note_frames, store);
  return g_steal_pointer(&store);
}

void
store_close(Store *store)
{
  if (store == NULL)
    return;
  /* every statement of this connection, whichever file prepared it */
  for (sqlite3_stmt *stmt;
       store->db && (stmt = sqlite3_next_stmt(store->db, NULL)) != NULL;)
    sqlite3_finalize(stmt);
  sqlite3_close(store->db);
  signing_key_free(store->key);
  body_packer_free(store->packer);
  g_clear_pointer(&store->encoded, g_byte_array_unref);
  g_clear_pointer(&store->list, g_byte_array_unref);
  g_clear_pointer(&store->shared, g_hash_table_unref);
  g_clear_pointer(&store->checked, g_hash_table_unref);
  g_free((char *)store->keep.ship_to);
  g_free(store->path);
  g_free(store);
}
