/* SPDX-License-Identifier: Apache-2.0 */
/* The engine for one hub: SQLite, a file beside the hub's key. */
#include "hub/store/db-engine.h"
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

/* "hHub": another program's database is not touched. */
#define APPLICATION_ID 0x68487562
/* Of a statement; SQLite's own limit of "?" is far above. */
#define MAX_PARAMETERS 64

/* A prepared text: which parameter each of its $n is. */
typedef struct {
  sqlite3_stmt *statement;
  int place[MAX_PARAMETERS + 1];
  bool taken; /* its rows are being read */
  bool cached;
} Prepared;

typedef struct {
  DbLink link;
  sqlite3 *db;
  unsigned patience_ms; /* that SQLite was told */
  GHashTable *prepared; /* text's address → Prepared */
} Sqlite;

typedef struct {
  DbRows rows;
  Sqlite *sqlite;
  Prepared *prepared;
  int ahead; /* what the step said that was made already; 0: none was */
} SqliteRows;

/* ---- errors ---------------------------------------------------------------
 */

static DbErrorCode
code_of(int result)
{
  switch (result & 0xff) {
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return DB_ERROR_BUSY;
  case SQLITE_FULL:
    return DB_ERROR_FULL;
  case SQLITE_CONSTRAINT:
    return DB_ERROR_CONSTRAINT;
  case SQLITE_NOTADB:
  case SQLITE_CANTOPEN:
    return DB_ERROR_OPEN;
  default:
    return DB_ERROR_OTHER;
  }
}

static DbResult
fail(Sqlite *sqlite, int result, GError **error)
{
  g_set_error(error,
              DB_ERROR,
              code_of(result),
              "the hub's database: %s",
              sqlite->db ? sqlite3_errmsg(sqlite->db) : sqlite3_errstr(result));
  return DB_FAILED;
}

/* ---- statements -----------------------------------------------------------
 */

static void
prepared_free(void *data)
{
  Prepared *prepared = data;

  if (!prepared)
    return;
  sqlite3_finalize(prepared->statement);
  g_free(prepared);
}

static void
find_places(Prepared *prepared)
{
  for (int i = 1; i <= MAX_PARAMETERS; i++) {
    char name[16];

    snprintf(name, sizeof name, "$%d", i);
    prepared->place[i] =
        sqlite3_bind_parameter_index(prepared->statement, name);
  }
}

static Prepared *
prepare(Sqlite *sqlite, const char *sql, GError **error)
{
  Prepared *known = g_hash_table_lookup(sqlite->prepared, sql);
  Prepared *prepared;
  int result;

  if (known && !known->taken) {
    known->taken = true;
    return known;
  }
  prepared = g_new0(Prepared, 1);
  result = sqlite3_prepare_v3(sqlite->db,
                              sql,
                              -1,
                              known ? 0 : SQLITE_PREPARE_PERSISTENT,
                              &prepared->statement,
                              NULL);
  if (result != SQLITE_OK) {
    fail(sqlite, result, error);
    prepared_free(prepared);
    return NULL;
  }
  find_places(prepared);
  prepared->taken = true;
  if (!known) {
    prepared->cached = true;
    g_hash_table_insert(sqlite->prepared, (void *)sql, prepared);
  }
  return prepared;
}

/* To be used again. */
static void
give_back(Prepared *prepared)
{
  if (!prepared->cached) {
    prepared_free(prepared);
    return;
  }
  sqlite3_reset(prepared->statement);
  sqlite3_clear_bindings(prepared->statement);
  prepared->taken = false;
}

static int
bind_one(sqlite3_stmt *statement, int place, const DbValue *value)
{
  if (value->null)
    return sqlite3_bind_null(statement, place);
  if (value->kind == DB_KIND_INT)
    return sqlite3_bind_int64(statement, place, value->number);
  if (value->kind == DB_KIND_TEXT)
    return sqlite3_bind_text(
        statement, place, value->bytes, -1, SQLITE_TRANSIENT);
  return sqlite3_bind_blob64(
      statement, place, value->bytes, value->len, SQLITE_TRANSIENT);
}

static int
bind(Prepared *prepared, const DbValue *values, size_t n_values)
{
  int result = n_values <= MAX_PARAMETERS ? SQLITE_OK : SQLITE_RANGE;

  for (size_t i = 0; i < n_values && result == SQLITE_OK; i++)
    result = bind_one(prepared->statement, prepared->place[i + 1], &values[i]);
  return result;
}

static Prepared *
prepare_with(Sqlite *sqlite,
             const char *sql,
             const DbValue *values,
             size_t n_values,
             GError **error)
{
  Prepared *prepared;
  int result;

  if (sqlite->patience_ms != sqlite->link.patience_ms) {
    sqlite->patience_ms = sqlite->link.patience_ms;
    sqlite3_busy_timeout(sqlite->db, (int)sqlite->patience_ms);
  }
  prepared = prepare(sqlite, sql, error);
  if (!prepared)
    return NULL;
  result = bind(prepared, values, n_values);
  if (result == SQLITE_OK)
    return prepared;
  fail(sqlite, result, error);
  give_back(prepared);
  return NULL;
}

/* One that is bound; rows that it gives are let go. */
static DbResult
step(Sqlite *sqlite, Prepared *prepared, GError **error)
{
  int result;

  do
    result = sqlite3_step(prepared->statement);
  while (result == SQLITE_ROW);
  if (result == SQLITE_DONE)
    return DB_DONE;
  return (result & 0xff) == SQLITE_CONSTRAINT ? DB_CONFLICT
                                              : fail(sqlite, result, error);
}

static DbResult
sqlite_run(DbLink *link,
           const char *sql,
           const DbValue *values,
           size_t n_values,
           int64_t *changed,
           GError **error)
{
  Sqlite *sqlite = (Sqlite *)link;
  Prepared *prepared = prepare_with(sqlite, sql, values, n_values, error);
  DbResult result;

  if (!prepared)
    return DB_FAILED;
  result = step(sqlite, prepared, error);
  if (result == DB_DONE && changed)
    *changed = sqlite3_changes64(sqlite->db);
  give_back(prepared);
  return result;
}

static DbResult
sqlite_run_many(DbLink *link,
                const char *sql,
                const DbValue *values,
                unsigned n_values,
                unsigned n_rows,
                unsigned *changed,
                GError **error)
{
  DbResult result = DB_DONE;

  for (unsigned i = 0; i < n_rows && result == DB_DONE; i++) {
    int64_t n = 0;

    result = sqlite_run(
        link, sql, values + (size_t)i * n_values, n_values, &n, error);
    if (result == DB_DONE && changed)
      changed[i] = (unsigned)n;
  }
  return result;
}

static DbResult
sqlite_script(DbLink *link, const char *sql, GError **error)
{
  Sqlite *sqlite = (Sqlite *)link;
  const int result = sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL);

  return result == SQLITE_OK ? DB_DONE : fail(sqlite, result, error);
}

/* ---- rows -----------------------------------------------------------------
 */

static DbRows *
sqlite_query(DbLink *link,
             const char *sql,
             const DbValue *values,
             size_t n_values,
             GError **error)
{
  Sqlite *sqlite = (Sqlite *)link;
  Prepared *prepared = prepare_with(sqlite, sql, values, n_values, error);
  SqliteRows *rows;
  int result;

  if (!prepared)
    return NULL;
  /* A change with RETURNING is made by the first step, read or not. */
  result = sqlite3_step(prepared->statement);
  if (result != SQLITE_ROW && result != SQLITE_DONE) {
    fail(sqlite, result, error);
    give_back(prepared);
    return NULL;
  }
  rows = g_new0(SqliteRows, 1);
  *rows = (SqliteRows){.rows.engine = &db_sqlite,
                       .sqlite = sqlite,
                       .prepared = prepared,
                       .ahead = result};
  return &rows->rows;
}

static bool
sqlite_next(DbRows *rows, GError **error)
{
  SqliteRows *own = (SqliteRows *)rows;
  int result = own->ahead;

  if (result == 0)
    result = sqlite3_step(own->prepared->statement);
  own->ahead = result == SQLITE_ROW ? 0 : SQLITE_DONE;
  if (result == SQLITE_ROW)
    return true;
  if (result != SQLITE_DONE)
    fail(own->sqlite, result, error);
  return false;
}

static void
sqlite_rows_free(DbRows *rows)
{
  SqliteRows *own = (SqliteRows *)rows;

  give_back(own->prepared);
  g_free(own);
}

static sqlite3_stmt *
statement_of(const DbRows *rows)
{
  return ((const SqliteRows *)rows)->prepared->statement;
}

static const char *
sqlite_text(const DbRows *rows, unsigned column)
{
  return (const char *)sqlite3_column_text(statement_of(rows), (int)column);
}

static const void *
sqlite_blob(const DbRows *rows, unsigned column, size_t *len)
{
  sqlite3_stmt *statement = statement_of(rows);
  const void *bytes = sqlite3_column_blob(statement, (int)column);

  *len = (size_t)sqlite3_column_bytes(statement, (int)column);
  if (!bytes && sqlite3_column_type(statement, (int)column) != SQLITE_NULL)
    return "";
  return bytes;
}

static int64_t
sqlite_number(const DbRows *rows, unsigned column)
{
  return sqlite3_column_int64(statement_of(rows), (int)column);
}

static bool
sqlite_is_null(const DbRows *rows, unsigned column)
{
  return sqlite3_column_type(statement_of(rows), (int)column) == SQLITE_NULL;
}

/* ---- connections ----------------------------------------------------------
 */

static bool
sqlite_is_lost(const DbLink *link)
{
  (void)link;
  return false;
}

static bool
sqlite_in_transaction(const DbLink *link)
{
  return !sqlite3_get_autocommit(((const Sqlite *)link)->db);
}

static void
sqlite_close_link(DbLink *link)
{
  Sqlite *sqlite = (Sqlite *)link;

  g_hash_table_unref(sqlite->prepared);
  sqlite3_close(sqlite->db);
  g_free(sqlite);
}

static bool
is_ours(Sqlite *sqlite, GError **error)
{
  sqlite3_stmt *statement = NULL;
  int id = -1;
  const int result = sqlite3_prepare_v2(
      sqlite->db, "PRAGMA application_id", -1, &statement, NULL);

  if (result == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
    id = sqlite3_column_int(statement, 0);
  sqlite3_finalize(statement);
  if (id < 0) {
    fail(sqlite, sqlite3_errcode(sqlite->db), error);
    return false;
  }
  if (id == 0 || id == APPLICATION_ID)
    return true;
  g_set_error_literal(
      error, DB_ERROR, DB_ERROR_OPEN, "the database is another program's");
  return false;
}

static DbLink *
sqlite_open_link(const char *where,
                 const char *password,
                 unsigned patience_ms,
                 GError **error)
{
  Sqlite *sqlite = g_new0(Sqlite, 1);
  g_autofree char *script =
      g_strdup_printf("PRAGMA application_id=%d;"
                      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                      "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
                      "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
                      "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;",
                      APPLICATION_ID);
  int result;

  (void)password;
  sqlite->link.patience_ms = sqlite->patience_ms = patience_ms;
  sqlite->prepared = g_hash_table_new_full(NULL, NULL, NULL, prepared_free);
  result = sqlite3_open_v2(where,
                           &sqlite->db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                               SQLITE_OPEN_NOMUTEX,
                           NULL);
  if (result != SQLITE_OK) {
    fail(sqlite, result, error);
  } else {
    sqlite3_busy_timeout(sqlite->db, (int)patience_ms);
    sqlite3_extended_result_codes(sqlite->db, 1);
    if (is_ours(sqlite, error) &&
        sqlite_script(&sqlite->link, script, error) == DB_DONE)
      return &sqlite->link;
  }
  sqlite_close_link(&sqlite->link);
  return NULL;
}

const DbEngine db_sqlite = {
    .open = sqlite_open_link,
    .close = sqlite_close_link,
    .is_lost = sqlite_is_lost,
    .in_transaction = sqlite_in_transaction,
    .script = sqlite_script,
    .run = sqlite_run,
    .run_many = sqlite_run_many,
    .query = sqlite_query,
    .next = sqlite_next,
    .rows_free = sqlite_rows_free,
    .text = sqlite_text,
    .blob = sqlite_blob,
    .number = sqlite_number,
    .is_null = sqlite_is_null,
    .begin = "BEGIN IMMEDIATE",
    .has_parts = "SELECT 1 FROM sqlite_schema WHERE name='schema_part'",
    .script_offset = G_STRUCT_OFFSET(DbVersion, sqlite),
};
