/* SPDX-License-Identifier: Apache-2.0 */
/* What rows share: each entry is what its digest says, is used by the rows
 * that it names, and a row says nothing twice. */
#include "journal/parts.h"
#include "journal/row.h"
#include "journal/verify-state.h"

#include <string.h>

/* A row that points nowhere, at an entry of the other sort, or that has a value
 * of its own beside the shared one, which readers would take instead. */
static const char select_twice[] =
    "SELECT r.seq FROM rows r LEFT JOIN shared c ON c.id = r.context "
    "LEFT JOIN shared d ON d.id = r.shared_detail WHERE "
    "(r.context IS NOT NULL AND (c.id IS NULL OR c.detail IS NOT NULL OR "
    "coalesce(r.user, r.\"groups\", r.issuer, r.client, r.process, "
    "r.connection, r.host, r.method, r.path, r.api, r.model, r.conversation, "
    "r.policy_revision) IS NOT NULL)) OR "
    "(r.shared_detail IS NOT NULL AND (d.detail IS NULL OR "
    "r.detail IS NOT NULL)) ORDER BY r.seq LIMIT 1";

/* Its shared fields stand in the order of their numbers. */
static const char select_entries[] =
    "SELECT id, digest, used_seq, user, \"groups\", issuer, client, process, "
    "connection, host, method, path, api, model, conversation, detail, "
    "policy_revision FROM shared ORDER BY id";
#define FIRST_SHARED 3

static const char select_user[] =
    "SELECT 1 FROM rows WHERE seq = ?1 AND (context = ?2 OR "
    "shared_detail = ?2)";

static sqlite3_stmt *
prepare(Verifier *verifier, const char *sql, GError **error)
{
  return schema_prepare(
      verifier->reader->db, verifier->reader->path, sql, error);
}

void
verify_note_shared(Verifier *verifier, sqlite3_stmt *row, int64_t seq)
{
  static const int fields[] = {FIELD_CONTEXT, FIELD_SHARED_DETAIL};

  for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
    int64_t id = sqlite3_column_int64(row, fields[i] - 1);

    /* Rows come in their order: the newest is written last. */
    if (sqlite3_column_type(row, fields[i] - 1) != SQLITE_NULL)
      g_hash_table_insert(verifier->shared,
                          g_memdup2(&id, sizeof id),
                          g_memdup2(&seq, sizeof seq));
  }
}

static bool
check_rows(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = prepare(verifier, select_twice, error);
  int result;

  if (stmt == NULL)
    return false;
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW)
    return verify_bad(verifier,
                      sqlite3_column_int64(stmt, 0),
                      "what row %lld shares with others was altered",
                      (long long)sqlite3_column_int64(stmt, 0));
  return result == SQLITE_DONE || verify_unreadable(verifier, 0, error);
}

/* The digest covers the entry's fields; an entry is of one sort. */
static bool
is_whole(Verifier *verifier, sqlite3_stmt *stmt)
{
  uint8_t digest[SHA256_LEN], found[SHA256_LEN];
  bool sorts[SHARE_DETAIL + 1] = {false};
  int column = FIRST_SHARED;

  chain_begin(verifier->encoded, CHAIN_SHARED, NULL);
  for (int field = 1; field <= FIELD_LAST; field++) {
    RowShare share = row_share(field);

    if (share == SHARE_NOT)
      continue;
    if (sqlite3_column_type(stmt, column) != SQLITE_NULL) {
      sorts[share] = true;
      chain_text(verifier->encoded,
                 field,
                 (const char *)sqlite3_column_text(stmt, column),
                 (size_t)sqlite3_column_bytes(stmt, column));
    }
    column++;
  }
  chain_hash(verifier->encoded, found);
  return sorts[SHARE_CONTEXT] != sorts[SHARE_DETAIL] &&
         column_bytes(stmt, 1, digest, SHA256_LEN) &&
         memcmp(digest, found, SHA256_LEN) == 0;
}

/* The row that an entry says used it does, unless it was pruned. */
static bool
check_user(Verifier *verifier,
           sqlite3_stmt *find,
           int64_t id,
           int64_t used,
           GError **error)
{
  int result;

  if (used > 0 && used < verifier->out->first_seq)
    return true;
  sqlite3_bind_int64(find, 1, used);
  sqlite3_bind_int64(find, 2, id);
  result = sqlite3_step(find);
  sqlite3_reset(find);
  if (result != SQLITE_ROW && result != SQLITE_DONE)
    return verify_unreadable(verifier, used, error);
  return result == SQLITE_ROW ||
         verify_bad(verifier,
                    used,
                    "what rows share says that row %lld used it, which does "
                    "not",
                    (long long)used);
}

static bool
check_entry(Verifier *verifier,
            sqlite3_stmt *stmt,
            sqlite3_stmt *find,
            GError **error)
{
  int64_t id = sqlite3_column_int64(stmt, 0);
  int64_t used = sqlite3_column_int64(stmt, 2);
  const int64_t *newest = g_hash_table_lookup(verifier->shared, &id);

  if (!is_whole(verifier, stmt))
    return verify_bad(verifier,
                      used,
                      "what row %lld shares with others is not what was "
                      "recorded",
                      (long long)used);
  if (newest && used < *newest - PART_LAG)
    return verify_bad(verifier,
                      *newest,
                      "what row %lld shares with others is marked as not used "
                      "by it",
                      (long long)*newest);
  return check_user(verifier, find, id, used, error);
}

bool
verify_shared(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  g_autoptr(sqlite3_stmt) find = NULL;
  int result;

  if (verifier->reader->version < 3)
    return true;
  if (!check_rows(verifier, error))
    return false;
  stmt = prepare(verifier, select_entries, error);
  find = stmt ? prepare(verifier, select_user, error) : NULL;
  if (find == NULL)
    return false;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (!check_entry(verifier, stmt, find, error))
      return false;
  }
  return result == SQLITE_DONE || verify_unreadable(verifier, 0, error);
}
