/* SPDX-License-Identifier: Apache-2.0 */
/* The search index's file: opening it, and telling whether it is this
 * journal's. */
#include "journal/index.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

static const char make_tables[] =
    "CREATE TABLE meta ("
    " version INTEGER NOT NULL,"
    " journal BLOB NOT NULL,"
    " pruned_rows INTEGER NOT NULL,"
    " pruned_bodies INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " hash BLOB NOT NULL"
    ") STRICT;"
    "CREATE TABLE segments ("
    " id INTEGER PRIMARY KEY,"
    " done INTEGER NOT NULL"
    ") STRICT;"
    "CREATE TABLE seen ("
    " segment INTEGER NOT NULL,"
    " key INTEGER NOT NULL,"
    " PRIMARY KEY (segment, key)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE counts ("
    " span_us INTEGER NOT NULL,"
    " begin_us INTEGER NOT NULL,"
    " segment INTEGER NOT NULL,"
    " kind INTEGER NOT NULL,"
    " shadow INTEGER NOT NULL,"
    " rule TEXT NOT NULL,"
    " action TEXT NOT NULL,"
    " user TEXT NOT NULL,"
    " client TEXT NOT NULL,"
    " connection TEXT NOT NULL,"
    " model TEXT NOT NULL,"
    " api TEXT NOT NULL,"
    " verdict TEXT NOT NULL,"
    " n INTEGER NOT NULL,"
    " bytes_in INTEGER NOT NULL,"
    " bytes_out INTEGER NOT NULL,"
    " tokens_in INTEGER NOT NULL,"
    " tokens_out INTEGER NOT NULL,"
    " duration_us INTEGER NOT NULL,"
    " first_us INTEGER NOT NULL,"
    " last_us INTEGER NOT NULL,"
    " PRIMARY KEY (span_us, begin_us, segment, kind, shadow, rule, action,"
    "  user, client, connection, model, api, verdict)"
    ") STRICT, WITHOUT ROWID;";

int64_t
index_segment(int64_t seq)
{
  return (seq - 1) / INDEX_SEGMENT_ROWS;
}

int64_t
index_first(int64_t segment)
{
  return segment * INDEX_SEGMENT_ROWS + 1;
}

int64_t
index_last(int64_t segment)
{
  return (segment + 1) * INDEX_SEGMENT_ROWS;
}

char *
index_path(const char *journal_path)
{
  return g_strconcat(journal_path, ".search", NULL);
}

/* ---- Whose it is --------------------------------------------------------- */

static bool
foreign(const Index *index, const char *why, GError **error)
{
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_CORRUPT,
              "the search index %s %s",
              index->path,
              why);
  return false;
}

/* The row that was the journal's last when the index was last written is
 * there, or retention took it. */
static bool
follows(Index *index, JournalReader *reader, sqlite3_stmt *meta, GError **error)
{
  g_autoptr(sqlite3_stmt) row = NULL;
  uint8_t had[SHA256_LEN], has[SHA256_LEN];
  int64_t seq = sqlite3_column_int64(meta, 2);

  if (seq == 0)
    return true;
  row = schema_prepare(reader->db,
                       reader->path,
                       "SELECT seq, hash FROM rows WHERE seq >= ? "
                       "ORDER BY seq LIMIT 1",
                       error);
  if (!row)
    return false;
  sqlite3_bind_int64(row, 1, seq);
  if (sqlite3_step(row) == SQLITE_ROW &&
      column_bytes(row, 1, has, SHA256_LEN) &&
      (sqlite3_column_int64(row, 0) != seq ||
       (column_bytes(meta, 3, had, SHA256_LEN) &&
        memcmp(had, has, SHA256_LEN) == 0)))
    return true;
  return foreign(index, "is older than what was put in its place", error);
}

static bool
is_of(Index *index, JournalReader *reader, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  JournalMeta meta;
  uint8_t id[CHAIN_ID_LEN];

  if (!schema_read_meta(reader->db, reader->path, &meta, error))
    return false;
  stmt = schema_prepare(index->db,
                        index->path,
                        "SELECT version, journal, seq, hash FROM meta",
                        NULL);
  if (!stmt || sqlite3_step(stmt) != SQLITE_ROW ||
      sqlite3_column_int64(stmt, 0) != INDEX_VERSION)
    return foreign(index, "is damaged, or of another version", error);
  if (!column_bytes(stmt, 1, id, CHAIN_ID_LEN) ||
      memcmp(id, meta.id, CHAIN_ID_LEN) != 0)
    return foreign(index, "is that of another journal", error);
  return follows(index, reader, stmt, error);
}

/* ---- Opening ------------------------------------------------------------- */

static bool
prepare(Index *index, GError **error)
{
  index->find_done = schema_prepare(
      index->db, index->path, "SELECT done FROM segments WHERE id = ?", error);
  index->find_seen =
      schema_prepare(index->db,
                     index->path,
                     "SELECT 1 FROM seen WHERE segment = ? AND key = ?",
                     index->find_done ? error : NULL);
  return index->find_done && index->find_seen;
}

static Index *
index_new(const JournalReader *reader)
{
  Index *index = g_new0(Index, 1);

  index->path = index_path(reader->path);
  return index;
}

Index *
index_open(JournalReader *reader, GError **error)
{
  g_autoptr(Index) index = index_new(reader);

  if (g_access(index->path, F_OK) != 0) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_NOT_FOUND,
                "there is no search index %s",
                index->path);
    return NULL;
  }
  index->db = schema_connect_reader(index->path, error);
  if (!index->db ||
      !schema_limit_work(index->db, index->path, &index->budget, error) ||
      !is_of(index, reader, error) || !prepare(index, error))
    return NULL;
  return g_steal_pointer(&index);
}

static bool
make_file(const Index *index, GError **error)
{
  int fd = open(index->path,
                O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                S_IRUSR | S_IWUSR);

  if (fd >= 0) {
    close(fd);
    return true;
  }
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_WRITE,
              "the search index %s cannot be made: %s",
              index->path,
              g_strerror(errno));
  return false;
}

static void
remove_files(const Index *index)
{
  static const char *const ends[] = {"", "-wal", "-shm"};

  for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
    g_autofree char *path = g_strconcat(index->path, ends[i], NULL);

    g_unlink(path);
  }
}

static bool
create(Index *index, JournalReader *reader, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  JournalMeta meta;

  remove_files(index);
  if (!schema_read_meta(reader->db, reader->path, &meta, error) ||
      !make_file(index, error))
    return false;
  index->db = schema_connect_writer(index->path, DURABILITY_GROUPED, error);
  if (!index->db)
    return false;
  if (sqlite3_exec(index->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
      sqlite3_exec(index->db, make_tables, NULL, NULL, NULL) == SQLITE_OK)
    stmt =
        schema_prepare(index->db,
                       index->path,
                       "INSERT INTO meta VALUES (?, ?, 0, 0, 0, zeroblob(0))",
                       NULL);
  if (stmt) {
    sqlite3_bind_int64(stmt, 1, INDEX_VERSION);
    sqlite3_bind_blob(stmt, 2, meta.id, CHAIN_ID_LEN, SQLITE_STATIC);
  }
  if (stmt && sqlite3_step(stmt) == SQLITE_DONE &&
      sqlite3_exec(index->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK)
    return true;
  schema_set_error(error, index->db, index->path, "write");
  return false;
}

Index *
index_open_writer(JournalReader *reader, GError **error)
{
  g_autoptr(Index) index = index_new(reader);

  if (g_access(index->path, F_OK) == 0)
    index->db = schema_connect_writer(index->path, DURABILITY_GROUPED, NULL);
  if (!index->db || !is_of(index, reader, NULL)) {
    g_clear_pointer(&index->db, sqlite3_close);
    if (!create(index, reader, error))
      return NULL;
  }
  if (!prepare(index, error))
    return NULL;
  return g_steal_pointer(&index);
}

void
index_free(Index *index)
{
  if (!index)
    return;
  sqlite3_finalize(index->find_done);
  sqlite3_finalize(index->find_seen);
  sqlite3_close(index->db);
  g_free(index->path);
  g_free(index);
}

/* ---- Asking -------------------------------------------------------------- */

int64_t
index_done(Index *index, int64_t segment)
{
  int64_t done = 0;

  sqlite3_bind_int64(index->find_done, 1, segment);
  if (sqlite3_step(index->find_done) == SQLITE_ROW)
    done = CLAMP(sqlite3_column_int64(index->find_done, 0),
                 index_first(segment) - 1,
                 index_last(segment));
  sqlite3_reset(index->find_done);
  return done;
}

bool
index_has_seen(Index *index, int64_t segment, int64_t key)
{
  bool seen;

  sqlite3_bind_int64(index->find_seen, 1, segment);
  sqlite3_bind_int64(index->find_seen, 2, key);
  seen = sqlite3_step(index->find_seen) == SQLITE_ROW;
  sqlite3_reset(index->find_seen);
  return seen;
}
