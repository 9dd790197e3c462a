/* SPDX-License-Identifier: Apache-2.0 */
/* The schema, each version (PRAGMA user_version) as what it adds to the one
 * before. */
#include "hub/schema.h"
#include <stdio.h>

/* "hHub": another program's database is not touched. */
#define APPLICATION_ID 0x68487562
/* Another connection (a back-up) holds the lock for so long at most. */
#define BUSY_MS 2000

static const char version_1[] =
    "CREATE TABLE review("
    " id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
    " user TEXT NOT NULL, machine TEXT NOT NULL, ask TEXT NOT NULL,"
    " received_us INTEGER NOT NULL, state INTEGER NOT NULL,"
    " ended_us INTEGER NOT NULL DEFAULT 0, decision TEXT) WITHOUT ROWID;"
    "CREATE INDEX review_state ON review(state, received_us);"
    "CREATE TABLE answer("
    " review TEXT NOT NULL REFERENCES review(id) ON DELETE CASCADE,"
    " n INTEGER NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
    " user TEXT NOT NULL, groups TEXT NOT NULL, answer INTEGER NOT NULL,"
    " reason TEXT, at_us INTEGER NOT NULL, PRIMARY KEY(review, n),"
    " UNIQUE(review, issuer, subject)) WITHOUT ROWID;"
    "CREATE TABLE machine("
    " id TEXT PRIMARY KEY, public_key BLOB NOT NULL, issuer TEXT NOT NULL,"
    " subject TEXT NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL,"
    " since_us INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE record("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL,"
    " kind TEXT NOT NULL, review TEXT, issuer TEXT, subject TEXT, user TEXT,"
    " detail TEXT);"
    "CREATE TRIGGER record_kept BEFORE DELETE ON record"
    " BEGIN SELECT RAISE(ABORT, 'the record is kept'); END;"
    "CREATE TRIGGER record_unchanged BEFORE UPDATE ON record"
    " BEGIN SELECT RAISE(ABORT, 'the record is kept'); END;";

static const char *const versions[] = {version_1};

bool
schema_fail(sqlite3 *db, const char *doing, GError **error)
{
  g_set_error(error,
              HUB_ERROR,
              HUB_ERROR_STORE,
              "%s: %s",
              doing,
              db ? sqlite3_errmsg(db) : "no memory");
  return false;
}

static bool
read_pragma(sqlite3 *db, const char *sql, int *out, GError **error)
{
  sqlite3_stmt *statement = NULL;
  bool good = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
              sqlite3_step(statement) == SQLITE_ROW;

  if (good)
    *out = sqlite3_column_int(statement, 0);
  else
    schema_fail(db, "the hub's database cannot be read", error);
  sqlite3_finalize(statement);
  return good;
}

static bool
run(sqlite3 *db, const char *sql, GError **error)
{
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ||
         schema_fail(db, "the hub's database cannot be prepared", error);
}

static bool
refuse(GError **error, const char *why)
{
  g_set_error_literal(error, HUB_ERROR, HUB_ERROR_STORE, why);
  return false;
}

static bool
migrate(sqlite3 *db, GError **error)
{
  int version, application;
  const int newest = (int)G_N_ELEMENTS(versions);

  if (!read_pragma(db, "PRAGMA user_version", &version, error) ||
      !read_pragma(db, "PRAGMA application_id", &application, error))
    return false;
  if (application != 0 && application != APPLICATION_ID)
    return refuse(error, "the database is another program's");
  if (version > newest)
    return refuse(error,
                  "the database was made by a newer hoop-hub; run that one");
  if (version == newest)
    return true;
  if (!run(db, "BEGIN IMMEDIATE", error))
    return false;
  for (int i = version; i < newest; i++)
    if (!run(db, versions[i], error)) {
      sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
      return false;
    }
  {
    g_autofree char *end =
        g_strdup_printf("PRAGMA application_id=%d; PRAGMA user_version=%d; "
                        "COMMIT",
                        APPLICATION_ID,
                        newest);

    return run(db, end, error);
  }
}

sqlite3 *
schema_open(const char *path, GError **error)
{
  sqlite3 *db = NULL;

  if (sqlite3_open_v2(path,
                      &db,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                          SQLITE_OPEN_NOMUTEX,
                      NULL) != SQLITE_OK) {
    schema_fail(db, "the hub's database cannot be opened", error);
    sqlite3_close(db);
    return NULL;
  }
  sqlite3_busy_timeout(db, BUSY_MS);
  sqlite3_extended_result_codes(db, 1);
  if (run(db,
          "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
          "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
          "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
          "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;",
          error) &&
      migrate(db, error))
    return db;
  sqlite3_close(db);
  return NULL;
}
