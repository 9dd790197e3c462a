/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a journal for reading beside its writer, and fetches bodies. */
#include "journal/reader.h"

#include "journal/escrow.h"
#include "journal/index.h"
#include "journal/parts.h"

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
  index_free(reader->index);
  g_free(reader->index_problem);
  sqlite3_close(reader->db);
  g_free(reader->path);
  g_free(reader);
}

const char *
journal_reader_path(const JournalReader *reader)
{
  return reader->path;
}

void
reader_find_index(JournalReader *reader)
{
  g_autoptr(GError) error = NULL;

  if (reader->index_sought)
    return;
  reader->index_sought = true;
  reader->index = index_open(reader, &error);
  if (!reader->index)
    reader->index_problem = g_strdup(error->message);
}

bool
journal_reader_id(JournalReader *reader, char out[33], GError **error)
{
  JournalMeta meta;

  if (!schema_read_meta(reader->db, reader->path, &meta, error))
    return false;
  hex_encode(meta.id, sizeof meta.id, out);
  return true;
}

/* Where a body may be found: under its own digest, or under the digest of what
 * was kept when the whole of it was longer. */
static const char *const by_digest[] = {
    " FROM bodies b WHERE b.digest = ?",
    " FROM rows r "
    "JOIN bodies b ON b.digest = r.kept_digest "
    "WHERE r.body_digest = ? AND r.kept_digest IS NOT NULL "
    "ORDER BY r.seq DESC LIMIT 1",
};

/* NULL without an error: not there. */
static GBytes *
find_body(JournalReader *reader,
          const char *from,
          const uint8_t digest[SHA256_LEN],
          bool check,
          GError **error)
{
  g_autofree char *sql = g_strconcat("SELECT b.digest, b.len, b.data, ",
                                     reader->version < 2 ? "0" : "b.parts",
                                     from,
                                     NULL);
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(reader->db, reader->path, sql, error);
  g_autoptr(sqlite3_stmt) parts =
      stmt && reader->version >= 2
          ? parts_prepare(reader->db, reader->path, error)
          : NULL;
  uint8_t kept[SHA256_LEN];
  int result;

  if (stmt == NULL || (reader->version >= 2 && parts == NULL))
    return NULL;
  sqlite3_bind_blob(stmt, 1, digest, SHA256_LEN, SQLITE_STATIC);
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW && column_bytes(stmt, 0, kept, SHA256_LEN))
    return parts_join(parts,
                      sqlite3_column_blob(stmt, 2),
                      (size_t)sqlite3_column_bytes(stmt, 2),
                      sqlite3_column_int64(stmt, 3),
                      (size_t)sqlite3_column_int64(stmt, 1),
                      check ? kept : NULL,
                      error);
  if (result != SQLITE_DONE)
    schema_set_error(error, reader->db, reader->path, "read");
  return NULL;
}

static GBytes *
read_body(JournalReader *reader,
          const uint8_t digest[SHA256_LEN],
          bool check,
          GError **error)
{
  /* One snapshot: retention may take a body away between two reads. */
  bool begun = sqlite3_get_autocommit(reader->db) &&
               sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK;
  g_autoptr(GError) why = NULL;
  GBytes *body = NULL;

  for (size_t i = 0; !body && !why && i < G_N_ELEMENTS(by_digest); i++)
    body = find_body(reader, by_digest[i], digest, check, &why);
  if (begun)
    sqlite3_exec(reader->db, "COMMIT", NULL, NULL, NULL);
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  else if (!body)
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_NOT_FOUND,
                        "no body is stored for this row");
  return body;
}

GBytes *
journal_body(JournalReader *reader,
             const uint8_t digest[SHA256_LEN],
             GError **error)
{
  return read_body(reader, digest, true, error);
}

GBytes *
reader_text(JournalReader *reader, const uint8_t digest[SHA256_LEN])
{
  return read_body(reader, digest, false, NULL);
}

static sqlite3_stmt *
find_sealed(JournalReader *reader, int64_t seq, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      reader->version < 2 ? NULL
                          : schema_prepare(reader->db,
                                           reader->path,
                                           "SELECT data FROM sealed WHERE "
                                           "seq = ?",
                                           error);
  int result = SQLITE_DONE;

  if (stmt) {
    sqlite3_bind_int64(stmt, 1, seq);
    result = sqlite3_step(stmt);
  }
  if (result == SQLITE_ROW)
    return g_steal_pointer(&stmt);
  if (result != SQLITE_DONE)
    schema_set_error(error, reader->db, reader->path, "read");
  else if (reader->version < 2 || stmt)
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_NOT_FOUND,
                "no original is sealed for row %lld: masking changed nothing "
                "in its body, or no escrow key was configured then",
                (long long)seq);
  return NULL;
}

GBytes *
journal_unseal(JournalReader *reader,
               int64_t seq,
               const char *key_path,
               GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = find_sealed(reader, seq, error);
  EscrowPlace place = {.seq = seq};
  JournalMeta meta;

  if (stmt == NULL || !schema_read_meta(reader->db, reader->path, &meta, error))
    return NULL;
  place.genesis = meta.genesis;
  return escrow_open(key_path,
                     &place,
                     sqlite3_column_blob(stmt, 0),
                     (size_t)sqlite3_column_bytes(stmt, 0),
                     error);
}
