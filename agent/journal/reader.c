/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a journal for reading beside its writer, and fetches bodies. */
#include "journal/reader.h"

#include "journal/body.h"

#include <errno.h>
#include <sys/stat.h>

JournalReader *
journal_reader_open(const char *path, GError **error)
{
  g_autoptr(JournalReader) reader = NULL;
  struct stat info;

  if (stat(path, &info) != 0) {
    g_set_error(error,
                JOURNAL_ERROR,
                errno == ENOENT ? JOURNAL_ERROR_NOT_FOUND : JOURNAL_ERROR_OPEN,
                "cannot read the journal %s: %s",
                path,
                g_strerror(errno));
    return NULL;
  }
  reader = g_new0(JournalReader, 1);
  reader->path = g_strdup(path);
  reader->db = schema_connect_reader(path, error);
  if (reader->db == NULL ||
      !schema_limit_work(reader->db, path, &reader->budget, error) ||
      !schema_check(reader->db, path, error) ||
      !schema_version(reader->db, path, &reader->version, error))
    return NULL;
  return g_steal_pointer(&reader);
}

void
journal_reader_free(JournalReader *reader)
{
  if (reader == NULL)
    return;
  sqlite3_close(reader->db);
  g_free(reader->path);
  g_free(reader);
}

/* Steps to the body stored under `digest`, or under the digest of what was
 * kept when the whole of it was longer. */
static int
step_body(sqlite3_stmt *stmt, const uint8_t digest[SHA256_LEN])
{
  sqlite3_bind_blob(stmt, 1, digest, SHA256_LEN, SQLITE_STATIC);
  return sqlite3_step(stmt);
}

GBytes *
journal_body(JournalReader *reader,
             const uint8_t digest[SHA256_LEN],
             GError **error)
{
  static const char *const queries[] = {
      "SELECT digest, len, data FROM bodies WHERE digest = ?",
      "SELECT b.digest, b.len, b.data FROM rows r "
      "JOIN bodies b ON b.digest = r.kept_digest "
      "WHERE r.body_digest = ? AND r.kept_digest IS NOT NULL "
      "ORDER BY r.seq DESC LIMIT 1",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(queries); i++) {
    g_autoptr(sqlite3_stmt) stmt =
        schema_prepare(reader->db, reader->path, queries[i], error);
    uint8_t kept[SHA256_LEN];
    int result = stmt ? step_body(stmt, digest) : SQLITE_ERROR;

    if (stmt == NULL)
      return NULL;
    if (result == SQLITE_ROW && column_bytes(stmt, 0, kept, SHA256_LEN))
      return body_unpack(sqlite3_column_blob(stmt, 2),
                         (size_t)sqlite3_column_bytes(stmt, 2),
                         (size_t)sqlite3_column_int64(stmt, 1),
                         kept,
                         error);
    if (result != SQLITE_DONE) {
      schema_set_error(error, reader->db, reader->path, "read");
      return NULL;
    }
  }
  g_set_error_literal(error,
                      JOURNAL_ERROR,
                      JOURNAL_ERROR_NOT_FOUND,
                      "no body is stored for this row");
  return NULL;
}
