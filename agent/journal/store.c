/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of rows in the database: each row is bounded, its body stored once,
 * encoded, hashed onto the chain and inserted. */
#include "journal/prune.h"
#include "journal/row.h"
#include "journal/store-state.h"

#include "kit/clock.h"

#include <errno.h>
#include <string.h>

/* Frames (pages of 4 KiB) of write-ahead log that are worth moving while
 * nothing waits. */
#define TIDY_IDLE_FRAMES 256

/* ---- Rows --------------------------------------------------------------- */

bool
store_step(Store *store, sqlite3_stmt *stmt, GError **error)
{
  int result;

  errno = 0;
  result = sqlite3_step(stmt);
  if (result != SQLITE_DONE)
    schema_set_error_errno(error, store->db, store->path, "write", errno);
  sqlite3_reset(stmt);
  return result == SQLITE_DONE;
}

/* Each of these binds a column and encodes it, or binds NULL and leaves it
 * out. What the row shares with others is encoded only. */
static void
put_int(Store *store, int field, int64_t value)
{
  sqlite3_bind_int64(store->insert_row, field, value);
  chain_int(store->encoded, field, value);
}

static void
put_text(Store *store, int field, const char *text)
{
  size_t len = strlen(text);
  RowShare share = row_share(field);

  if (share != SHARE_NOT && store->shares[share])
    sqlite3_bind_null(store->insert_row, field);
  else
    sqlite3_bind_text(store->insert_row, field, text, (int)len, SQLITE_STATIC);
  chain_text(store->encoded, field, text, len);
}

static void
put_digest(Store *store, int field, const uint8_t digest[SHA256_LEN])
{
  sqlite3_bind_blob(
      store->insert_row, field, digest, SHA256_LEN, SQLITE_STATIC);
  chain_blob(store->encoded, field, digest, SHA256_LEN);
}

static void
put_null(Store *store, int field)
{
  sqlite3_bind_null(store->insert_row, field);
}

/* The members whose fields are numbered from `first` to `last`. */
static void
put_members(Store *store, JournalRow *row, int first, int last)
{
  for (size_t i = 0; i < n_row_fields; i++) {
    const RowField *field = &row_fields[i];
    int64_t number = field->type == ROW_INT ? *row_int(row, field) : -1;
    const char *text = field->type == ROW_TEXT ? *row_text(row, field) : NULL;

    if (field->number < first || field->number > last)
      continue;
    if (text)
      put_text(store, field->number, text);
    else if (number != -1 || field->number == FIELD_WALL_US)
      put_int(store, field->number, number);
    else
      put_null(store, field->number);
  }
}

typedef struct {
  uint8_t whole[SHA256_LEN];
  uint8_t kept[SHA256_LEN];
} BodyDigests;

static bool
put_body(Store *store, GBytes *body, BodyDigests *digests, GError **error)
{
  size_t len, kept;
  const uint8_t *text = g_bytes_get_data(body, &len);

  sha256(text, len, digests->whole);
  put_digest(store, FIELD_BODY_DIGEST, digests->whole);
  put_int(store, FIELD_BODY_LEN, (int64_t)len);
  put_null(store, FIELD_KEPT_DIGEST);
  if (!store->bodies) {
    put_null(store, FIELD_KEPT_LEN);
    return true;
  }
  kept = store_kept_len(store, text, len);
  if (kept < len) {
    sha256(text, kept, digests->kept);
    put_digest(store, FIELD_KEPT_DIGEST, digests->kept);
  }
  put_int(store, FIELD_KEPT_LEN, (int64_t)kept);
  return store_body(
      store, kept < len ? digests->kept : digests->whole, text, kept, error);
}

/* Remembers which requests still wait for their response. */
static bool
note_open(Store *store, const JournalRow *row, GError **error)
{
  sqlite3_stmt *stmt;

  if (row->exchange == NULL ||
      (row->kind != ROW_REQUEST && row->kind != ROW_RESPONSE))
    return true;
  stmt = row->kind == ROW_REQUEST ? store->insert_open : store->delete_open;
  if (row->kind == ROW_REQUEST)
    sqlite3_bind_int64(stmt, 1, store->head.seq);
  sqlite3_bind_text(
      stmt, row->kind == ROW_REQUEST ? 2 : 1, row->exchange, -1, SQLITE_STATIC);
  return store_step(store, stmt, error);
}

bool
store_put(Store *store, JournalRow *row, GError **error)
{
  uint64_t cut = row_bound(row);
  BodyDigests digests;
  uint8_t hash[SHA256_LEN], original[SHA256_LEN];
  bool sealed;

  if (!store_share(store, row, error))
    return false;
  chain_begin(store->encoded, CHAIN_ROW, store->head.link);
  put_int(store, FIELD_SEQ, store->head.seq + 1);
  put_text(store, FIELD_KIND, row_kind_name(row->kind));
  put_members(store, row, FIELD_WALL_US, FIELD_BODY_DIGEST - 1);
  for (int field = FIELD_BODY_DIGEST; !row->body && field < FIELD_CUT; field++)
    put_null(store, field);
  if (row->body && !put_body(store, row->body, &digests, error))
    return false;
  if (cut)
    put_int(store, FIELD_CUT, (int64_t)cut);
  else
    put_null(store, FIELD_CUT);
  put_members(store, row, FIELD_HASH + 1, FIELD_LAST);
  if (!store_original(store, row, original, &sealed, error))
    return false;
  if (sealed)
    put_digest(store, FIELD_SEALED_DIGEST, original);
  else
    put_null(store, FIELD_SEALED_DIGEST);
  chain_hash(store->encoded, hash);
  sqlite3_bind_blob(
      store->insert_row, FIELD_HASH, hash, SHA256_LEN, SQLITE_STATIC);
  if (!store_step(store, store->insert_row, error))
    return false;
  store->head.seq++;
  memcpy(store->head.hash, hash, SHA256_LEN);
  memcpy(store->head.link, hash, SHA256_LEN);
  store->head.unsigned_rows++;
  return note_open(store, row, error) &&
         (store->head.unsigned_rows < CHAIN_MAX_UNSIGNED ||
          store_checkpoint(store, error));
}

bool
store_checkpoint(Store *store, GError **error)
{
  sqlite3_stmt *stmt = store->insert_checkpoint;
  Checkpoint checkpoint = {
      .seq = store->head.seq,
      .wall_us = clock_wall_us(),
  };

  if (store->head.unsigned_rows == 0)
    return true;
  memcpy(checkpoint.hash, store->head.hash, SHA256_LEN);
  if (!chain_sign(store->key, store->meta.genesis, &checkpoint, error))
    return false;
  sqlite3_bind_int64(stmt, 1, checkpoint.seq);
  sqlite3_bind_int64(stmt, 2, checkpoint.wall_us);
  sqlite3_bind_blob(stmt, 3, checkpoint.hash, SHA256_LEN, SQLITE_STATIC);
  sqlite3_bind_blob(
      stmt, 4, checkpoint.public_key, CHAIN_KEY_LEN, SQLITE_STATIC);
  sqlite3_bind_blob(
      stmt, 5, checkpoint.signature, CHAIN_SIGNATURE_LEN, SQLITE_STATIC);
  if (!store_step(store, stmt, error))
    return false;
  chain_link(store->meta.genesis, &checkpoint, store->head.link);
  store->head.unsigned_rows = 0;
  return true;
}

/* ---- Groups ------------------------------------------------------------- */

/* Where retention keeps it small, pages that wait to be used again are no
 * reason to refuse. */
static bool
fits(Store *store)
{
  uint64_t used;

  if (store->place.size < store->keep.max_size)
    return true;
  /* The log counts until its pages are in the database: move them, and only
   * then believe it. */
  sqlite3_wal_checkpoint_v2(
      store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
  store->place.size = place_size(store->path);
  if (store->place.size < store->keep.max_size)
    return true;
  return store->keep.retain_us > 0 &&
         prune_used(store->db, store->path, &used, NULL) &&
         used < store->keep.max_size;
}

bool
store_is_full(Store *store)
{
  return store->keep.max_size > 0 && !fits(store);
}

static bool
check_size(Store *store, GError **error)
{
  if (!store_is_full(store))
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_FULL,
              "the journal %s has reached its limit of %" G_GUINT64_FORMAT
              " bytes ([journal] max-size)%s",
              store->path,
              store->keep.max_size,
              store->keep.retain_us > 0 && store->keep.ship_to
                  ? " and its oldest rows were not shipped yet"
                  : "");
  return false;
}

bool
store_nearly_full(const Store *store)
{
  return store->keep.max_size > 0 && store->keep.retain_us > 0 &&
         store->place.size + store->place.size / 100 * store->beside >
             store->keep.max_size / 100 * PRUNE_ABOVE;
}

bool
store_begin(Store *store, GError **error)
{
  return check_size(store, error) && store_begin_notes(store, error);
}

bool
store_begin_notes(Store *store, GError **error)
{
  return store_step(store, store->begin, error);
}

bool
store_commit(Store *store, GError **error)
{
  if (!store_step(store, store->commit, error) ||
      !place_check(store->path, &store->place, error))
    return false;
  store->committed = store->head;
  return true;
}

void
store_rollback(Store *store)
{
  if (!sqlite3_get_autocommit(store->db)) {
    sqlite3_step(store->rollback);
    sqlite3_reset(store->rollback);
  }
  g_hash_table_remove_all(store->shared); /* with what was not stored */
  g_hash_table_remove_all(store->checked);
  store->head = store->committed;
}

bool
store_sync(Store *store, GError **error)
{
  sqlite3_file *wal = NULL;
  int result = sqlite3_file_control(
      store->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);

  if (result == SQLITE_OK && wal && wal->pMethods)
    result = wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL);
  if (result == SQLITE_OK)
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_WRITE,
              "the journal %s cannot be flushed to the disk: %s",
              store->path,
              sqlite3_errstr(result));
  return false;
}

bool
store_tidy(Store *store, bool idle, GError **error)
{
  int result, left = 0, moved = 0;

  if (idle)
    sqlite3_db_release_memory(store->db);
  if (store->wal_frames < (idle ? TIDY_IDLE_FRAMES : store->tidy_at))
    return true;
  result = sqlite3_wal_checkpoint_v2(
      store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &left, &moved);
  if (result != SQLITE_OK && result != SQLITE_BUSY) {
    schema_set_error(error, store->db, store->path, "write");
    return false;
  }
  /* A reader may hold the log back: then not again for every group. */
  store->wal_frames = 0;
  store->tidy_at = moved < left ? left + STORE_TIDY_FRAMES : STORE_TIDY_FRAMES;
  return true;
}

/* ---- Requests that were left open --------------------------------------- */

static GPtrArray *
load_open_requests(Store *store, GError **error)
{
  g_autoptr(GPtrArray) rows =
      g_ptr_array_new_with_free_func((GDestroyNotify)journal_row_free);
  g_autoptr(sqlite3_stmt) stmt = schema_prepare(
      store->db,
      store->path,
      "SELECT o.exchange, coalesce(r.user, c.user), "
      "coalesce(r.\"groups\", c.\"groups\"), coalesce(r.issuer, c.issuer), "
      "coalesce(r.client, c.client), coalesce(r.connection, c.connection), "
      "coalesce(r.host, c.host), coalesce(r.method, c.method), "
      "coalesce(r.path, c.path), coalesce(r.api, c.api), "
      "coalesce(r.model, c.model), coalesce(r.conversation, c.conversation) "
      "FROM open_requests o LEFT JOIN rows r ON r.seq = o.seq "
      "LEFT JOIN shared c ON c.id = r.context ORDER BY o.seq",
      error);
  WorkBudget budget;
  int result;

  if (stmt == NULL ||
      !schema_limit_work(store->db, store->path, &budget, error))
    return NULL;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    JournalRow *row = journal_row_new(ROW_RESPONSE);
    char **const members[] = {&row->exchange,
                              &row->user,
                              &row->groups,
                              &row->issuer,
                              &row->client,
                              &row->connection,
                              &row->host,
                              &row->method,
                              &row->path,
                              &row->api,
                              &row->model,
                              &row->conversation};

    for (size_t i = 0; i < G_N_ELEMENTS(members); i++)
      *members[i] = g_strdup((const char *)sqlite3_column_text(stmt, (int)i));
    row->verdict = g_strdup("interrupted");
    g_ptr_array_add(rows, row);
  }
  if (result != SQLITE_DONE) {
    schema_set_error(error, store->db, store->path, "read");
    return NULL;
  }
  return g_steal_pointer(&rows);
}

bool
store_close_open_requests(Store *store, GError **error)
{
  g_autoptr(GPtrArray) rows = load_open_requests(store, error);
  bool stored;

  schema_unlimit_work(store->db);
  if (rows == NULL)
    return false;
  if (rows->len == 0)
    return true;
  stored = store_begin(store, error);
  for (guint i = 0; stored && i < rows->len; i++)
    stored = store_put(store, g_ptr_array_index(rows, i), error);
  stored = stored && store_commit(store, error);
  if (!stored)
    store_rollback(store);
  return stored;
}

/* ---- Looking ------------------------------------------------------------ */

const Head *
store_head(const Store *store)
{
  return &store->committed;
}

const uint8_t *
store_id(const Store *store)
{
  return store->meta.id;
}

bool
store_holds(Store *store, int64_t seq, const uint8_t hash[SHA256_LEN])
{
  uint8_t found[SHA256_LEN];
  bool holds;

  sqlite3_bind_int64(store->find_row, 1, seq);
  holds = sqlite3_step(store->find_row) == SQLITE_ROW &&
          column_bytes(store->find_row, 0, found, SHA256_LEN) &&
          memcmp(found, hash, SHA256_LEN) == 0;
  sqlite3_reset(store->find_row);
  return holds;
}
