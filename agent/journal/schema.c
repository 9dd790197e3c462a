/* SPDX-License-Identifier: Apache-2.0 */
/* Connections, pragmas, the schema and its versions (PRAGMA user_version), and
 * the words for what SQLite reports. */
#include "journal/schema.h"

#include "journal/row.h"

#include "kit/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Milliseconds to wait for another connection's short locks (recovery, a
 * checkpoint's end); writers exclude each other by a lock file. */
#define BUSY_TIMEOUT_MS 2000
/* Bounds on what SQLite will take, far above our own use: a crafted file
 * should meet them before it meets memory. The longest value is a body. */
#define MAX_VALUE (80 * 1024 * 1024)
#define MAX_SQL (64 * 1024)
#define MAX_COLUMNS 64
/* Instructions of SQLite's machine that reading a page of the file may take: a
 * page has at most about 70 rows, a row takes about 300. And for any file. */
#define WORK_PER_PAGE 50000
#define WORK_AT_LEAST 10000000
#define WORK_STEP 10000

static JournalErrorCode
error_code(int result, int system_errno)
{
  switch (result & 0xff) {
  case SQLITE_FULL:
    return JOURNAL_ERROR_FULL;
  case SQLITE_IOERR:
    return system_errno == ENOSPC || system_errno == EDQUOT ||
                   system_errno == EFBIG
               ? JOURNAL_ERROR_FULL
               : JOURNAL_ERROR_WRITE;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
  case SQLITE_INTERRUPT: /* only by schema_limit_work() */
    return JOURNAL_ERROR_CORRUPT;
  case SQLITE_CANTOPEN:
    return JOURNAL_ERROR_OPEN;
  default:
    return JOURNAL_ERROR_WRITE;
  }
}

void
schema_set_error_errno(GError **error,
                       sqlite3 *db,
                       const char *path,
                       const char *doing,
                       int call_errno)
{
  int result = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
  int known = db ? sqlite3_system_errno(db) : 0;
  int system_errno = known                             ? known
                     : (result & 0xff) == SQLITE_IOERR ? call_errno
                                                       : 0;
  JournalErrorCode code = error_code(result, system_errno);
  const char *what = db ? sqlite3_errmsg(db) : "out of memory";

  switch (code) {
  case JOURNAL_ERROR_FULL:
    g_set_error(error,
                JOURNAL_ERROR,
                code,
                "no space is left to store the journal %s",
                path);
    break;
  case JOURNAL_ERROR_CORRUPT:
    g_set_error(error,
                JOURNAL_ERROR,
                code,
                "the journal %s is damaged (%s): move it and the files "
                "%s-wal and %s-shm aside and keep them as evidence; a new "
                "journal is then begun, nothing is deleted",
                path,
                what,
                path,
                path);
    break;
  case JOURNAL_ERROR_OPEN:
  case JOURNAL_ERROR_LOCKED:
  case JOURNAL_ERROR_WRITE:
  case JOURNAL_ERROR_QUEUE:
  case JOURNAL_ERROR_NOT_FOUND:
  default:
    g_set_error(error,
                JOURNAL_ERROR,
                code,
                "cannot %s the journal %s: %s%s%s",
                doing,
                path,
                what,
                system_errno ? ": " : "",
                system_errno ? g_strerror(system_errno) : "");
  }
}

void
schema_set_error(GError **error,
                 sqlite3 *db,
                 const char *path,
                 const char *doing)
{
  schema_set_error_errno(error, db, path, doing, 0);
}

static bool
run(sqlite3 *db, const char *path, const char *sql, GError **error)
{
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
    return true;
  schema_set_error(error, db, path, "open");
  return false;
}

static void
set_limits(sqlite3 *db)
{
  static const struct {
    int what;
    int most;
  } limits[] = {
      {SQLITE_LIMIT_LENGTH, MAX_VALUE},
      {SQLITE_LIMIT_SQL_LENGTH, MAX_SQL},
      {SQLITE_LIMIT_COLUMN, MAX_COLUMNS},
      {SQLITE_LIMIT_EXPR_DEPTH, 100},
      {SQLITE_LIMIT_COMPOUND_SELECT, 8},
      {SQLITE_LIMIT_ATTACHED, 0},
      {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
      {SQLITE_LIMIT_WORKER_THREADS, 0},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(limits); i++)
    sqlite3_limit(db, limits[i].what, limits[i].most);
}

/* A file is data, never code: no triggers, views or functions of its own. */
static void
set_config(sqlite3 *db)
{
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
}

static sqlite3 *
connect_with(const char *path, int flags, const char *pragmas, GError **error)
{
  g_autoptr(sqlite3) db = NULL;

  if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
      SQLITE_OK) {
    schema_set_error(error, db, path, "open");
    return NULL;
  }
  sqlite3_extended_result_codes(db, 1);
  sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
  set_limits(db);
  set_config(db);
  /* Nothing goes to temporary files; no page is mapped, so that a disk error
   * is an error and not a signal. */
  if (!run(db,
           path,
           "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
           "PRAGMA cell_size_check=ON; PRAGMA cache_size=-4096;",
           error) ||
      !run(db, path, pragmas, error))
    return NULL;
  return g_steal_pointer(&db);
}

sqlite3 *
schema_connect_writer(const char *path, Durability durability, GError **error)
{
  /* auto_vacuum must be set before the first page is written: it is what lets
   * retention give space back without a pause. */
  const char *pragmas = durability == DURABILITY_FULL
                            ? "PRAGMA auto_vacuum=INCREMENTAL;"
                              "PRAGMA journal_mode=WAL;"
                              "PRAGMA secure_delete=ON;"
                              "PRAGMA journal_size_limit=67108864;"
                              "PRAGMA synchronous=FULL;"
                            : "PRAGMA auto_vacuum=INCREMENTAL;"
                              "PRAGMA journal_mode=WAL;"
                              "PRAGMA secure_delete=ON;"
                              "PRAGMA journal_size_limit=67108864;"
                              "PRAGMA synchronous=NORMAL;";

  return connect_with(path, SQLITE_OPEN_READWRITE, pragmas, error);
}

/* Nobody writes it, and this process cannot even make the files that reading
 * beside a writer takes: a copy that was put away, a read-only mount. */
static bool
is_put_away(const char *path)
{
  g_autofree char *wal = g_strconcat(path, "-wal", NULL);
  g_autofree char *folder = g_path_get_dirname(path);
  struct stat info;

  return access(folder, W_OK) != 0 &&
         (stat(wal, &info) != 0 ? errno == ENOENT : info.st_size == 0);
}

sqlite3 *
schema_connect_reader(const char *path, GError **error)
{
  g_autofree char *escaped = NULL;
  g_autofree char *uri = NULL;

  if (!is_put_away(path))
    return connect_with(
        path, SQLITE_OPEN_READONLY, "PRAGMA query_only=ON;", error);
  escaped = g_uri_escape_string(path, "/", FALSE);
  uri = g_strdup_printf("file:%s?immutable=1", escaped);
  return connect_with(uri,
                      SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
                      "PRAGMA query_only=ON;",
                      error);
}

sqlite3_stmt *
schema_prepare(sqlite3 *db, const char *path, const char *sql, GError **error)
{
  sqlite3_stmt *stmt = NULL;

  if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) !=
      SQLITE_OK)
    schema_set_error(error, db, path, "read");
  return stmt;
}

bool
column_bytes(sqlite3_stmt *stmt, int column, void *out, size_t len)
{
  if (sqlite3_column_type(stmt, column) != SQLITE_BLOB ||
      (size_t)sqlite3_column_bytes(stmt, column) != len)
    return false;
  memcpy(out, sqlite3_column_blob(stmt, column), len);
  return true;
}

/* A one-line PRAGMA or count, as an integer. */
static bool
read_int(sqlite3 *db,
         const char *path,
         const char *sql,
         int64_t *value,
         GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = schema_prepare(db, path, sql, error);

  if (stmt == NULL)
    return false;
  if (sqlite3_step(stmt) != SQLITE_ROW) {
    schema_set_error(error, db, path, "read");
    return false;
  }
  *value = sqlite3_column_int64(stmt, 0);
  return true;
}

bool
schema_is_new(sqlite3 *db, const char *path, bool *is_new, GError **error)
{
  int64_t version, objects;

  if (!read_int(db, path, "PRAGMA user_version", &version, error) ||
      !read_int(
          db, path, "SELECT count(*) FROM sqlite_schema", &objects, error))
    return false;
  *is_new = version == 0 && objects == 0;
  return true;
}

static int
spend(void *data)
{
  WorkBudget *budget = data;

  budget->left -= WORK_STEP;
  return budget->left < 0;
}

bool
schema_limit_work(sqlite3 *db,
                  const char *path,
                  WorkBudget *budget,
                  GError **error)
{
  int64_t pages;

  budget->left = WORK_AT_LEAST;
  sqlite3_progress_handler(db, WORK_STEP, spend, budget);
  if (!read_int(db, path, "PRAGMA page_count", &pages, error))
    return false;
  budget->left = WORK_AT_LEAST + MIN(pages, INT32_MAX) * WORK_PER_PAGE;
  return true;
}

void
schema_unlimit_work(sqlite3 *db)
{
  sqlite3_progress_handler(db, 0, NULL, NULL);
}

/* Makes the database this key's own. */
static bool
insert_meta(sqlite3 *db,
            const char *path,
            const SigningKey *key,
            GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(db, path, "INSERT INTO meta VALUES (?, ?, ?)", error);
  uint8_t id[CHAIN_ID_LEN];

  if (stmt == NULL)
    return false;
  random_bytes(id, sizeof id);
  sqlite3_bind_blob(stmt, 1, id, sizeof id, SQLITE_STATIC);
  sqlite3_bind_blob(
      stmt, 2, signing_key_public(key), CHAIN_KEY_LEN, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 3, clock_wall_us());
  if (sqlite3_step(stmt) == SQLITE_DONE)
    return true;
  schema_set_error(error, db, path, "create");
  return false;
}

static bool
migrate_from(sqlite3 *db,
             const char *path,
             int64_t version,
             const SigningKey *key,
             GError **error)
{
  char pragmas[128];

  for (int64_t next = version; next < SCHEMA_VERSION; next++) {
    if (!run(db, path, schema_migrations[next], error))
      return false;
  }
  if (version == 0 && !insert_meta(db, path, key, error))
    return false;
  g_snprintf(pragmas,
             sizeof pragmas,
             "PRAGMA application_id=%d; PRAGMA user_version=%d;",
             SCHEMA_APPLICATION_ID,
             SCHEMA_VERSION);
  return run(db, path, pragmas, error);
}

/* Refuses what this program does not know how to read. */
static bool
check_version(sqlite3 *db, const char *path, int64_t *version, GError **error)
{
  int64_t application, objects;

  if (!read_int(db, path, "PRAGMA user_version", version, error) ||
      !read_int(db, path, "PRAGMA application_id", &application, error) ||
      !read_int(
          db, path, "SELECT count(*) FROM sqlite_schema", &objects, error))
    return false;
  if (objects == 0 && *version == 0)
    return true;
  if (application != SCHEMA_APPLICATION_ID || *version < 1) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_CORRUPT,
                "%s is a database, but not a journal",
                path);
    return false;
  }
  if (*version > SCHEMA_VERSION) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_OPEN,
                "the journal %s was written by a newer version (schema %lld, "
                "this program knows %d)",
                path,
                (long long)*version,
                SCHEMA_VERSION);
    return false;
  }
  return true;
}

bool
schema_migrate(sqlite3 *db,
               const char *path,
               const SigningKey *key,
               GError **error)
{
  int64_t version;

  if (!check_version(db, path, &version, error))
    return false;
  if (version == SCHEMA_VERSION)
    return true;
  if (!run(db, path, "BEGIN IMMEDIATE", error))
    return false;
  if (migrate_from(db, path, version, key, error) &&
      run(db, path, "COMMIT", error))
    return true;
  if (!sqlite3_get_autocommit(db))
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  return false;
}

bool
schema_version(sqlite3 *db, const char *path, int64_t *version, GError **error)
{
  return read_int(db, path, "PRAGMA user_version", version, error);
}

/* A column as a row of that version has it, or shares it. */
static void
put_column(GString *sql, int field, int64_t version)
{
  const char *name = row_column(field);

  if (version < row_column_since(field))
    g_string_append(sql, "NULL");
  else if (version < 3 || row_share(field) == SHARE_NOT)
    g_string_append_printf(sql, "r.\"%s\"", name);
  else
    g_string_append_printf(sql,
                           "coalesce(r.\"%s\", %c.\"%s\")",
                           name,
                           row_share(field) == SHARE_CONTEXT ? 'c' : 'd',
                           name);
  g_string_append_printf(sql, " AS \"%s\"", name);
}

char *
schema_rows(int64_t version, const char *hint)
{
  GString *sql = g_string_new("(SELECT ");

  for (int field = FIELD_SEQ; field <= N_ROW_COLUMNS; field++) {
    if (field > FIELD_SEQ)
      g_string_append(sql, ", ");
    put_column(sql, field, version);
  }
  g_string_append_printf(sql, " FROM rows AS r%s", hint);
  if (version >= 3)
    g_string_append(sql,
                    " LEFT JOIN shared AS c ON c.id = r.context"
                    " LEFT JOIN shared AS d ON d.id = r.shared_detail");
  g_string_append_c(sql, ')');
  return g_string_free(sql, FALSE);
}

/* Every object of the schema, as text. */
static char *
describe(sqlite3 *db, const char *path, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(db,
                     path,
                     "SELECT type, name, tbl_name, coalesce(sql, '') "
                     "FROM sqlite_schema ORDER BY type, name",
                     error);
  g_autoptr(GString) all = g_string_new(NULL);
  int result = SQLITE_DONE;

  while (stmt && (result = sqlite3_step(stmt)) == SQLITE_ROW) {
    for (int i = 0; i < 4; i++) {
      const char *text = (const char *)sqlite3_column_text(stmt, i);
      g_string_append_printf(all, "%s\n", text ? text : "");
    }
  }
  if (stmt == NULL || result != SQLITE_DONE) {
    if (stmt)
      schema_set_error(error, db, path, "read");
    return NULL;
  }
  return g_string_free(g_steal_pointer(&all), FALSE);
}

bool
schema_check(sqlite3 *db, const char *path, GError **error)
{
  g_autoptr(sqlite3) model = NULL;
  g_autofree char *found = NULL;
  g_autofree char *expected = NULL;
  int64_t version;

  if (!check_version(db, path, &version, error))
    return false;
  if (sqlite3_open_v2(":memory:",
                      &model,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                      NULL) != SQLITE_OK) {
    schema_set_error(error, model, path, "read");
    return false;
  }
  for (int64_t i = 0; i < version; i++) {
    if (!run(model, path, schema_migrations[i], error))
      return false;
  }
  found = describe(db, path, error);
  expected = found ? describe(model, path, error) : NULL;
  if (expected == NULL)
    return false;
  if (strcmp(found, expected) == 0)
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_CORRUPT,
              "the journal %s was altered: its tables, indices or triggers "
              "are not those of its version; keep it as evidence and move it "
              "aside",
              path);
  return false;
}

bool
schema_read_meta(sqlite3 *db,
                 const char *path,
                 JournalMeta *meta,
                 GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = schema_prepare(
      db, path, "SELECT id, public_key, created_us FROM meta", error);
  int result;
  bool whole;

  if (stmt == NULL)
    return false;
  result = sqlite3_step(stmt);
  if (result != SQLITE_ROW && result != SQLITE_DONE) {
    schema_set_error(error, db, path, "read");
    return false;
  }
  whole = result == SQLITE_ROW &&
          column_bytes(stmt, 0, meta->id, CHAIN_ID_LEN) &&
          column_bytes(stmt, 1, meta->public_key, CHAIN_KEY_LEN);
  meta->created_us = whole ? sqlite3_column_int64(stmt, 2) : 0;
  if (!whole || sqlite3_step(stmt) != SQLITE_DONE) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_CORRUPT,
                "the journal %s does not say who it is (table meta)",
                path);
    return false;
  }
  chain_genesis(meta->id, meta->public_key, meta->created_us, meta->genesis);
  return true;
}
