/* SPDX-License-Identifier: Apache-2.0 */
/* What lies beside rows and bodies: sealed originals. */
#include "journal/verify-state.h"

#include <string.h>

static sqlite3_stmt *
prepare(Verifier *verifier, const char *sql, GError **error)
{
  return schema_prepare(
      verifier->reader->db, verifier->reader->path, sql, error);
}

/* Every sealed original is the one that its row names. */
static bool
check_sealed(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      prepare(verifier,
              "SELECT s.seq, s.data, r.sealed_digest FROM sealed s "
              "LEFT JOIN rows r ON r.seq = s.seq ORDER BY s.seq",
              error);
  int result;

  if (stmt == NULL)
    return false;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    int64_t seq = sqlite3_column_int64(stmt, 0);
    uint8_t named[SHA256_LEN], found[SHA256_LEN];

    sha256(sqlite3_column_blob(stmt, 1),
           (size_t)sqlite3_column_bytes(stmt, 1),
           found);
    if (!column_bytes(stmt, 2, named, SHA256_LEN) ||
        memcmp(named, found, SHA256_LEN) != 0)
      return verify_bad(verifier,
                        seq,
                        "the sealed original of row %lld is not the one that "
                        "was recorded",
                        (long long)seq);
  }
  return result == SQLITE_DONE || verify_unreadable(verifier, 0, error);
}

static bool
check_sealed_missing(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      prepare(verifier,
              "SELECT seq FROM rows r WHERE sealed_digest IS NOT NULL AND "
              "seq > ? AND NOT EXISTS (SELECT 1 FROM sealed s WHERE "
              "s.seq = r.seq) ORDER BY seq LIMIT 1",
              error);
  int result;

  if (stmt == NULL)
    return false;
  sqlite3_bind_int64(stmt, 1, verifier->bodies_through);
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW)
    return verify_bad(verifier,
                      sqlite3_column_int64(stmt, 0),
                      "the sealed original of row %lld is missing",
                      (long long)sqlite3_column_int64(stmt, 0));
  return result == SQLITE_DONE || verify_unreadable(verifier, 0, error);
}

bool
verify_kept(Verifier *verifier, GError **error)
{
  return verifier->reader->version < 2 ||
         (check_sealed(verifier, error) &&
          check_sealed_missing(verifier, error));
}
