/* SPDX-License-Identifier: Apache-2.0 */
/* A thin layer over the hub's database: SQLite, or PostgreSQL for several
 * hubs; one dialect of SQL for both. */
#ifndef HOOP_HUB_DB_H
#define HOOP_HUB_DB_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The dialect, understood by both engines:
 *   - parameters are $1 … $9 …, each of one kind in all calls of a statement;
 *   - columns are TEXT, BIGINT and DB_BLOB (below: in migrations alone);
 *   - INSERT … ON CONFLICT (columns) DO NOTHING | DO UPDATE SET …=excluded.…,
 *     UPDATE/INSERT/DELETE … RETURNING columns (read with db_query), IN and
 *     EXISTS with sub-queries, LIMIT $n, count(*), max, min, coalesce, CASE,
 *     LIKE; CAST(sum(x) AS BIGINT);
 *   - no function that only one engine has: times, random and digests are
 *     parameters; no INSERT OR …, no rowid, no `::`, no JSON operators;
 *   - "user" is a reserved word of PostgreSQL: always in double quotes;
 *   - rows in no order but what ORDER BY says; a NULL's place is not the same;
 *   - a sequence of one engine has gaps and shows rows in another order than
 *     they were committed: no cursor of `id > last` on one;
 *   - all that a SELECT gives may be held in memory: a LIMIT, unless there are
 *     few by nature;
 *   - a read inside a transaction sees what others committed meanwhile; rows
 *     that must not change are locked by an UPDATE of them first (SQLite has
 *     one writer at a time anyway). */

#define DB_ERROR (db_error_quark())
GQuark db_error_quark(void);
typedef enum {
  DB_ERROR_BUSY,       /* a lock or the database's time limit: try again */
  DB_ERROR_CONSTRAINT, /* only where the call cannot say DB_CONFLICT */
  DB_ERROR_FULL,       /* the disk, or what the server may use */
  DB_ERROR_LOST,       /* the connection: db_is_lost() */
  DB_ERROR_OPEN,       /* the address, the file, the password, the version */
  DB_ERROR_OTHER
} DbErrorCode;
/* Whether it may be better in a while (503 rather than 500). */
bool db_error_passes(const GError *error);

/* A connection. Used by one thread at a time; each thread that works with the
 * database opens its own. Texts of errors have the database's own words,
 * neither passwords nor values of parameters. */
typedef struct db Db;

/* Where is the absolute path of an SQLite file, made when it is not there, or a
 * URL postgresql://…. Blocks, for some seconds at most. DB_ERROR_OPEN, or _LOST
 * when nobody answers there. Any thread. */
Db *db_open(const char *where, GError **error);
/* The same with the file of its password (kit's file_read_secret()), which is
 * read at each connection; NULL: none. */
Db *db_open_with(const char *where, const char *password_file, GError **error);
/* One more to where `db` goes, whatever became of that one. Any thread, while
 * db is not freed. */
Db *db_open_like(const Db *db, GError **error);
void db_free(Db *db);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Db, db_free)
/* Whether `where` speaks of a database that several hubs can share. */
bool db_is_shared(const char *where);
bool db_shares(const Db *db);
/* How long one call waits at most for the database; then it is DB_ERROR_BUSY
 * when the database said so, and lost when it said nothing. 2000 at first; for
 * threads that may wait, longer. */
void db_set_patience(Db *db, unsigned ms);

/* The connection broke, or did not answer in time: every call fails at once
 * with DB_ERROR_LOST, until db_reopen() or db_take(). SQLite never. What was
 * under way may have been done or not. */
bool db_is_lost(const Db *db);
/* func(data) is called whenever it is found to be lost, by the call that found
 * it out, before its descriptor is closed. */
void db_on_lost(Db *db, void (*func)(void *data), void *data);
/* Connects again. Blocks as db_open() does: for threads of their own. */
bool db_reopen(Db *db, GError **error);
/* Puts the connection of `fresh`, opened elsewhere, into `db`; takes fresh. */
void db_take(Db *db, Db *fresh);

/* ---- Statements ------------------------------------------------------------
 * SQL texts are static: a text is prepared once for each connection, known by
 * its address. */

typedef enum { DB_KIND_TEXT, DB_KIND_INT, DB_KIND_BLOB } DbKind;
typedef struct {
  DbKind kind;
  bool null;
  size_t len; /* of a blob */
  union {
    int64_t number;
    const void *bytes; /* text: ends with a zero */
  };
} DbValue;

/* Values of $1, $2 …; texts and blobs may be NULL, and must live until the call
 * returns. */
static inline DbValue
db_text_value(const char *text)
{
  return (DbValue){.kind = DB_KIND_TEXT, .null = !text, .bytes = text};
}
static inline DbValue
db_int_value(int64_t number)
{
  return (DbValue){.kind = DB_KIND_INT, .number = number};
}
static inline DbValue
db_blob_value(const void *bytes, size_t len)
{
  return (DbValue){
      .kind = DB_KIND_BLOB, .null = !bytes, .len = len, .bytes = bytes};
}
#define DB_TEXT(text) db_text_value(text)
#define DB_INT(number) db_int_value(number)
#define DB_BLOB_OF(bytes, len) db_blob_value(bytes, len)
/* A BIGINT that is NULL. */
#define DB_NO_INT ((DbValue){.kind = DB_KIND_INT, .null = true})

typedef enum {
  DB_DONE,
  DB_CONFLICT, /* a constraint is broken: nothing was changed; no error is set.
                  Inside a transaction: roll back (use ON CONFLICT DO NOTHING
                  and `changed` where it must go on) */
  DB_FAILED    /* *error says why */
} DbResult;

/* Runs one statement that gives no rows:
 *   db_run(db, &changed, &error, "UPDATE … WHERE id=$1", DB_TEXT(id))
 * `changed` (or NULL): rows that were inserted, updated or deleted, 0 for
 * ON CONFLICT DO NOTHING on a conflict. */
#define db_run(db, changed, error, ...)                                        \
  db_run_values(db, changed, error, DB_ARGUMENTS(__VA_ARGS__))
/* Runs one that gives rows. NULL with *error, a broken constraint included
 * (DB_ERROR_CONSTRAINT). One result is read at a time for each text. */
#define db_query(db, error, ...)                                               \
  db_query_values(db, error, DB_ARGUMENTS(__VA_ARGS__))

/* The same statement for many rows of values, `n_values` each, one after
 * another in `values`; fast in both engines. Meant for inside of a transaction:
 * the first failure ends it, and what ran before stays in the transaction.
 * `changed` (or NULL) gets each row's number. */
DbResult db_run_many(Db *db,
                     const char *sql,
                     const DbValue *values,
                     unsigned n_values,
                     unsigned n_rows,
                     unsigned *changed,
                     GError **error);

typedef struct db_rows DbRows;
/* The next row. False: there is no more or, with *error, it failed. */
bool db_next(DbRows *rows, GError **error);
void db_rows_free(DbRows *rows);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DbRows, db_rows_free)
/* The row's columns, from 0; good until the next db_next(). NULL for NULL. */
const char *db_text(const DbRows *rows, unsigned column);
const void *db_blob(const DbRows *rows, unsigned column, size_t *len);
/* 0 for NULL. */
int64_t db_int(const DbRows *rows, unsigned column);
bool db_is_null(const DbRows *rows, unsigned column);
/* A copy; NULL for NULL. */
char *db_dup(const DbRows *rows, unsigned column);
/* All rows of a result as read() makes them, in an array that frees them with
 * free_one(). Takes rows, which may be NULL after a failure: then, and when the
 * next row cannot be had, NULL with *error. */
GPtrArray *db_read_all(DbRows *rows,
                       void *(*read)(const DbRows *row),
                       void (*free_one)(void *data),
                       GError **error);

/* ---- Transactions ----------------------------------------------------------
 * A statement outside of one is one of its own. On disk when the commit (or the
 * lone statement) returns. */

/* Never inside another. SQLite: the one writer from here on. */
bool db_begin(Db *db, GError **error);
/* What the parts of a transaction came to: DB_DONE commits, anything else rolls
 * back; returns what became of it. */
DbResult db_finish(Db *db, DbResult result, GError **error);
bool db_in_transaction(const Db *db);

/* ---- Schema ----------------------------------------------------------------
 * Each part of the hub (store, audit, …) has tables of its own and a list of
 * versions, kept in the part's own file:
 *
 *   static const DbVersion versions[] = {{
 *       .sqlite = "CREATE TABLE thing(id TEXT PRIMARY KEY, key BLOB NOT NULL,"
 *                 " at_us BIGINT NOT NULL) WITHOUT ROWID;",
 *       .postgresql = "CREATE TABLE thing(id TEXT PRIMARY KEY,"
 *                     " key BYTEA NOT NULL, at_us BIGINT NOT NULL);"}};
 *   static const DbPart part = {"thing", versions, G_N_ELEMENTS(versions)};
 *   … if (!db_migrate(db, &part, error)) …
 *
 * Both are scripts (several statements); where they do not differ, DB_SAME().
 * A version that was released never changes: the next one alters. Names of
 * tables begin with the part's name. A column that numbers rows by itself is
 * `INTEGER PRIMARY KEY AUTOINCREMENT` in SQLite and `BIGINT GENERATED ALWAYS AS
 * IDENTITY PRIMARY KEY` in PostgreSQL. */
typedef struct {
  const char *sqlite, *postgresql;
} DbVersion;
#define DB_SAME(sql)                                                           \
  {                                                                            \
    sql, sql                                                                   \
  }
typedef struct {
  const char *name;
  const DbVersion *versions;
  unsigned n_versions;
} DbPart;

/* Brings the part's tables to the newest version in one transaction; several
 * hubs may do so at one time. DB_ERROR_OPEN when the database was made by a
 * newer hoop-hub. Table schema_part(name, version). */
bool db_migrate(Db *db, const DbPart *part, GError **error);

/* ---- Wake-ups --------------------------------------------------------------
 * Between the hubs that share a database; nothing happens in SQLite. A wake-up
 * may be lost (with the connection): whoever listens looks at the tables
 * whenever it connected again, and every now and then. */

#define DB_MAX_PAYLOAD 1000
/* Sent when the transaction is committed. Payload: ids alone. Not with what
 * comes in thousands (audit rows): a commit with it waits for all others. */
bool db_notify(Db *db,
               const char *channel,
               const char *payload,
               GError **error);
/* From now on this connection hears of the channel (a plain name). */
bool db_listen(Db *db, const char *channel, GError **error);
/* To be watched for EPOLLIN; -1: there is none (SQLite, or lost). */
int db_fd(const Db *db);
/* Calls each() for what has come, without waiting. False: the connection is
 * lost. */
bool db_hear(Db *db,
             void (*each)(const char *channel, const char *payload, void *data),
             void *data,
             GError **error);

/* ---- behind the macros */
#define DB_ARGUMENTS(sql, ...)                                                 \
  sql, ((const DbValue[]){{.null = true}, ##__VA_ARGS__}) + 1,                 \
      G_N_ELEMENTS(((const DbValue[]){{.null = true}, ##__VA_ARGS__})) - 1
DbResult db_run_values(Db *db,
                       int64_t *changed,
                       GError **error,
                       const char *sql,
                       const DbValue *values,
                       size_t n_values);
DbRows *db_query_values(Db *db,
                        GError **error,
                        const char *sql,
                        const DbValue *values,
                        size_t n_values);

#endif
