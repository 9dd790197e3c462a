/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: each is the text that was recorded, in parts or whole, and belongs
 * to the rows that it says. */
#include "journal/parts.h"
#include "journal/verify-state.h"

#include <string.h>

/* ---- Bodies ------------------------------------------------------------- */

/* The rows that a body says it came with, and was last used by, must name it,
 * unless they were pruned. */
static bool
check_namer(Verifier *verifier,
            int64_t seq,
            const uint8_t digest[SHA256_LEN],
            GError **error)
{
  sqlite3_stmt *stmt = verifier->find_namer;
  uint8_t named[SHA256_LEN];
  int result;
  bool names;

  if (seq > 0 && seq < verifier->out->first_seq)
    return true;
  sqlite3_bind_int64(stmt, 1, seq);
  result = sqlite3_step(stmt);
  names = result == SQLITE_ROW && column_bytes(stmt, 0, named, SHA256_LEN) &&
          memcmp(named, digest, SHA256_LEN) == 0;
  sqlite3_reset(stmt);
  if (result != SQLITE_ROW && result != SQLITE_DONE)
    return verify_unreadable(verifier, seq, error);
  return names ||
         verify_bad(verifier,
                    seq,
                    "a stored body says that it belongs to row %lld, which "
                    "does not name it",
                    (long long)seq);
}

/* The stored text, whole or in parts, has the digest it is stored under. */
static bool
check_text(Verifier *verifier, sqlite3_stmt *stmt, GError **error)
{
  int64_t seq = sqlite3_column_int64(stmt, 3);
  int64_t len = sqlite3_column_int64(stmt, 1);
  g_autoptr(GBytes) text = NULL;
  uint8_t digest[SHA256_LEN];

  if (column_bytes(stmt, 0, digest, SHA256_LEN) && len >= 0)
    text = parts_join(verifier->find_part,
                      sqlite3_column_blob(stmt, 2),
                      (size_t)sqlite3_column_bytes(stmt, 2),
                      sqlite3_column_int64(stmt, 5),
                      (size_t)len,
                      digest,
                      NULL);
  if (text == NULL)
    return verify_bad(verifier,
                      seq,
                      "the body stored with row %lld is not what was recorded",
                      (long long)seq);
  return check_namer(verifier, seq, digest, error) &&
         check_namer(verifier, sqlite3_column_int64(stmt, 4), digest, error);
}

/* Remembers which parts are in use. */
static void
note_parts(Verifier *verifier, sqlite3_stmt *stmt)
{
  const uint8_t *list = sqlite3_column_blob(stmt, 2);
  size_t len = (size_t)sqlite3_column_bytes(stmt, 2);
  int64_t used = sqlite3_column_int64(stmt, 4);

  if (sqlite3_column_int64(stmt, 5) == 0)
    return;
  for (size_t at = 0; at + PART_ID_LEN <= len; at += PART_ID_LEN) {
    int64_t id = part_id_read(list + at);
    int64_t *newest = g_hash_table_lookup(verifier->parts, &id);

    if (newest)
      *newest = MAX(*newest, used);
    else
      g_hash_table_insert(verifier->parts,
                          g_memdup2(&id, sizeof id),
                          g_memdup2(&used, sizeof used));
  }
}

static bool
check_bodies(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(verifier->reader->db,
                     verifier->reader->path,
                     verifier->reader->version < 2
                         ? "SELECT digest, len, data, seq, seq, 0 FROM bodies "
                           "ORDER BY id"
                         : "SELECT digest, len, data, seq, used_seq, parts "
                           "FROM bodies ORDER BY id",
                     error);
  int result;

  if (stmt == NULL)
    return false;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (!check_text(verifier, stmt, error))
      return false;
    note_parts(verifier, stmt);
    verify_advance(verifier);
  }
  return result == SQLITE_DONE || verify_unreadable(verifier, 0, error);
}

/* ---- Parts -------------------------------------------------------------- */

/* True when the list of parts holds the id. */
static bool
lists(const uint8_t *list, size_t len, int64_t id)
{
  for (size_t at = 0; at + PART_ID_LEN <= len; at += PART_ID_LEN) {
    if (part_id_read(list + at) == id)
      return true;
  }
  return false;
}

/* The row that a part says used it names a body with that part. */
static bool
check_user(Verifier *verifier,
           sqlite3_stmt *find,
           int64_t id,
           int64_t used,
           GError **error)
{
  int result;
  bool names;

  if (used > 0 &&
      (used < verifier->out->first_seq || used <= verifier->bodies_through))
    return true;
  sqlite3_bind_int64(find, 1, used);
  result = sqlite3_step(find);
  names = result == SQLITE_ROW && lists(sqlite3_column_blob(find, 0),
                                        (size_t)sqlite3_column_bytes(find, 0),
                                        id);
  sqlite3_reset(find);
  if (result != SQLITE_ROW && result != SQLITE_DONE)
    return verify_unreadable(verifier, used, error);
  return names || verify_bad(verifier,
                             used,
                             "a part of a body says that row %lld used it, "
                             "which does not",
                             (long long)used);
}

/* A part whose text is wrong was found with its body; this is about those that
 * no body has, and about what retention goes by. */
static bool
check_part(Verifier *verifier,
           sqlite3_stmt *stmt,
           sqlite3_stmt *find,
           GError **error)
{
  int64_t id = sqlite3_column_int64(stmt, 0);
  int64_t used = sqlite3_column_int64(stmt, 1);
  const int64_t *newest = g_hash_table_lookup(verifier->parts, &id);

  if (newest == NULL && used > verifier->bodies_through)
    return verify_bad(verifier,
                      used,
                      "a part is stored that no body is made of, as used by "
                      "row %lld",
                      (long long)used);
  if (newest && used < *newest - PART_LAG)
    return verify_bad(verifier,
                      *newest,
                      "a part of the body of row %lld is marked as not used "
                      "by it",
                      (long long)*newest);
  return check_user(verifier, find, id, used, error);
}

static bool
check_parts(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(verifier->reader->db,
                     verifier->reader->path,
                     "SELECT id, used_seq FROM parts ORDER BY id",
                     error);
  g_autoptr(sqlite3_stmt) find =
      stmt ? schema_prepare(verifier->reader->db,
                            verifier->reader->path,
                            "SELECT b.data FROM rows r JOIN bodies b ON "
                            "b.digest = coalesce(r.kept_digest, r.body_digest) "
                            "WHERE r.seq = ? AND r.kept_len IS NOT NULL AND "
                            "b.parts > 0",
                            error)
           : NULL;
  int result;

  if (find == NULL)
    return false;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (!check_part(verifier, stmt, find, error))
      return false;
  }
  return result == SQLITE_DONE || verify_unreadable(verifier, 0, error);
}

/* ---- All ---------------------------------------------------------------- */

bool
verify_bodies(Verifier *verifier, GError **error)
{
  bool good;

  if (verifier->reader->version < 2)
    return check_bodies(verifier, error);
  verifier->find_part =
      parts_prepare(verifier->reader->db, verifier->reader->path, error);
  verifier->parts =
      g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
  good = verifier->find_part && check_bodies(verifier, error) &&
         check_parts(verifier, error);
  g_clear_pointer(&verifier->parts, g_hash_table_unref);
  g_clear_pointer(&verifier->find_part, sqlite3_finalize);
  return good;
}
