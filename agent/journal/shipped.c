/* SPDX-License-Identifier: Apache-2.0 */
/* What shipping reads of the journal beside its rows: cursors, checkpoints,
 * rows set aside, the head. */
#include "journal/reader.h"

/* Work tables came with version 2 of the schema: an older journal has none. */
static bool
has_tables(const JournalReader *reader)
{
  return reader->version >= 2;
}

/* A statement within the reader's bounds; `receiver` NULL: not bound. */
static sqlite3_stmt *
prepare(JournalReader *reader,
        const char *sql,
        const char *receiver,
        GError **error)
{
  sqlite3_stmt *stmt;

  if (!schema_limit_work(reader->db, reader->path, &reader->budget, error))
    return NULL;
  stmt = schema_prepare(reader->db, reader->path, sql, error);
  if (stmt && receiver)
    sqlite3_bind_text(stmt, 1, receiver, -1, SQLITE_TRANSIENT);
  return stmt;
}

static bool
ended(JournalReader *reader, int result, GError **error)
{
  if (result == SQLITE_ROW || result == SQLITE_DONE)
    return true;
  schema_set_error(error, reader->db, reader->path, "read");
  return false;
}

bool
journal_cursor(JournalReader *reader,
               const char *receiver,
               JournalCursor *out,
               GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  JournalCursor found = {0};
  int result;

  if (!has_tables(reader)) {
    *out = found;
    return true;
  }
  stmt = prepare(reader,
                 "SELECT coalesce(max(seq), 0), "
                 "coalesce(max(checkpoint_seq), 0), coalesce(max(wall_us), 0),"
                 "(SELECT count(*) FROM quarantine WHERE receiver = ?1) "
                 "FROM ship_cursor WHERE receiver = ?1",
                 receiver,
                 error);
  if (stmt == NULL)
    return false;
  result = sqlite3_step(stmt);
  if (!ended(reader, result, error))
    return false;
  if (result == SQLITE_ROW) {
    found.seq = sqlite3_column_int64(stmt, 0);
    found.checkpoint_seq = sqlite3_column_int64(stmt, 1);
    found.wall_us = sqlite3_column_int64(stmt, 2);
    found.quarantined = sqlite3_column_int64(stmt, 3);
  }
  *out = found;
  return true;
}

bool
journal_checkpoints(JournalReader *reader,
                    int64_t after_seq,
                    bool (*each)(const JournalCheckpoint *checkpoint,
                                 void *data),
                    void *data,
                    GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      prepare(reader,
              "SELECT seq, wall_us, hash, public_key, signature "
              "FROM checkpoints WHERE seq > ? ORDER BY seq",
              NULL,
              error);
  bool more = true;
  int result = SQLITE_DONE;

  if (stmt == NULL)
    return false;
  sqlite3_bind_int64(stmt, 1, after_seq);
  while (more && (result = sqlite3_step(stmt)) == SQLITE_ROW) {
    JournalCheckpoint one = {
        .seq = sqlite3_column_int64(stmt, 0),
        .wall_us = sqlite3_column_int64(stmt, 1),
    };

    if (!column_bytes(stmt, 2, one.hash, sizeof one.hash) ||
        !column_bytes(stmt, 3, one.public_key, sizeof one.public_key) ||
        !column_bytes(stmt, 4, one.signature, sizeof one.signature)) {
      g_set_error(error,
                  JOURNAL_ERROR,
                  JOURNAL_ERROR_CORRUPT,
                  "the checkpoint after row %lld of the journal %s is not "
                  "whole: run `hoop-agent journal verify`",
                  (long long)one.seq,
                  reader->path);
      return false;
    }
    more = each(&one, data);
  }
  return !more || ended(reader, result, error);
}

bool
journal_quarantined(
    JournalReader *reader,
    const char *receiver,
    void (*each)(int64_t seq, int64_t wall_us, const char *reason, void *data),
    void *data,
    GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  int result;

  if (!has_tables(reader))
    return true;
  stmt = prepare(reader,
                 "SELECT seq, wall_us, reason FROM quarantine "
                 "WHERE receiver = ? ORDER BY seq",
                 receiver,
                 error);
  if (stmt == NULL)
    return false;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW)
    each(sqlite3_column_int64(stmt, 0),
         sqlite3_column_int64(stmt, 1),
         (const char *)sqlite3_column_text(stmt, 2),
         data);
  return ended(reader, result, error);
}

char *
journal_head(JournalReader *reader, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      prepare(reader,
              "SELECT seq, hash FROM rows ORDER BY seq DESC LIMIT 1",
              NULL,
              error);
  uint8_t hash[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];
  int result = stmt ? sqlite3_step(stmt) : SQLITE_ERROR;

  if (stmt == NULL || !ended(reader, result, error))
    return NULL;
  if (result == SQLITE_DONE || !column_bytes(stmt, 1, hash, SHA256_LEN)) {
    g_set_error(error,
                JOURNAL_ERROR,
                result == SQLITE_DONE ? JOURNAL_ERROR_NOT_FOUND
                                      : JOURNAL_ERROR_CORRUPT,
                "the journal %s has no %s",
                reader->path,
                result == SQLITE_DONE ? "rows yet" : "whole last row");
    return NULL;
  }
  hex_encode(hash, SHA256_LEN, hex);
  return g_strdup_printf(
      "%" G_GINT64_FORMAT ":%s", (int64_t)sqlite3_column_int64(stmt, 0), hex);
}
