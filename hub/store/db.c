/* SPDX-License-Identifier: Apache-2.0 */
/* What both engines share: which one, connections that are lost, transactions
 * and the schema's versions. */
#include "config.h"

#include "hub/store/db-engine.h"
#include "hub/store/db.h"
#include "kit/file.h"

#define PATIENCE_MS 2000
/* Whoever migrates may wait for another hub that does. */
#define MIGRATE_MS 60000

G_DEFINE_QUARK(hoop_hub_db_error, db_error)

struct db {
  const DbEngine *engine;
  DbLink *link; /* NULL: lost */
  char *where;
  char *password_file; /* or NULL */
  unsigned patience_ms;
  void (*lost)(void *data);
  void *data;
};

bool
db_error_passes(const GError *error)
{
  return g_error_matches(error, DB_ERROR, DB_ERROR_BUSY) ||
         g_error_matches(error, DB_ERROR, DB_ERROR_FULL) ||
         g_error_matches(error, DB_ERROR, DB_ERROR_LOST);
}

bool
db_is_shared(const char *where)
{
  return g_str_has_prefix(where, "postgresql://") ||
         g_str_has_prefix(where, "postgres://");
}

/* ---- connections ----------------------------------------------------------
 */

static const DbEngine *
engine_of(const char *where, GError **error)
{
  if (!db_is_shared(where))
    return &db_sqlite;
#ifdef HAVE_POSTGRESQL
  (void)error;
  return &db_postgresql;
#else
  g_set_error_literal(error,
                      DB_ERROR,
                      DB_ERROR_OPEN,
                      "this hoop-hub was built without PostgreSQL");
  return NULL;
#endif
}

static DbLink *
open_link(const DbEngine *engine,
          const char *where,
          const char *password_file,
          unsigned patience_ms,
          GError **error)
{
  g_autoptr(Secret) password = NULL;

  if (password_file) {
    password = file_read_secret(password_file, error);
    if (!password)
      return NULL;
  }
  return engine->open(
      where, password ? secret_text(password) : NULL, patience_ms, error);
}

Db *
db_open_with(const char *where, const char *password_file, GError **error)
{
  const DbEngine *engine = engine_of(where, error);
  DbLink *link =
      engine ? open_link(engine, where, password_file, PATIENCE_MS, error)
             : NULL;
  Db *db;

  if (!link)
    return NULL;
  db = g_new0(Db, 1);
  *db = (Db){.engine = engine,
             .link = link,
             .where = g_strdup(where),
             .password_file = g_strdup(password_file),
             .patience_ms = PATIENCE_MS};
  return db;
}

Db *
db_open(const char *where, GError **error)
{
  return db_open_with(where, NULL, error);
}

Db *
db_open_like(const Db *db, GError **error)
{
  return db_open_with(db->where, db->password_file, error);
}

bool
db_shares(const Db *db)
{
  return db->engine != &db_sqlite;
}

static void
drop(Db *db)
{
  if (db->link)
    db->engine->close(g_steal_pointer(&db->link));
}

void
db_free(Db *db)
{
  if (!db)
    return;
  drop(db);
  g_free(db->where);
  g_free(db->password_file);
  g_free(db);
}

void
db_set_patience(Db *db, unsigned ms)
{
  db->patience_ms = ms;
  if (db->link)
    db->link->patience_ms = ms;
}

bool
db_is_lost(const Db *db)
{
  return !db->link;
}

void
db_on_lost(Db *db, void (*func)(void *data), void *data)
{
  db->lost = func;
  db->data = data;
}

bool
db_reopen(Db *db, GError **error)
{
  DbLink *link = open_link(
      db->engine, db->where, db->password_file, db->patience_ms, error);

  if (!link)
    return false;
  drop(db);
  db->link = link;
  return true;
}

void
db_take(Db *db, Db *fresh)
{
  drop(db);
  db->link = g_steal_pointer(&fresh->link);
  if (db->link)
    db->link->patience_ms = db->patience_ms;
  db_free(fresh);
}

static bool
is_there(const Db *db, GError **error)
{
  if (db->link)
    return true;
  g_set_error_literal(
      error, DB_ERROR, DB_ERROR_LOST, "the connection to the database is lost");
  return false;
}

static void
lose(Db *db)
{
  if (db->lost)
    db->lost(db->data);
  drop(db);
}

/* What a call came to; a connection that broke is given up. */
static DbResult
seen(Db *db, DbResult result)
{
  if (result == DB_FAILED && db->engine->is_lost(db->link))
    lose(db);
  return result;
}

/* ---- statements -----------------------------------------------------------
 */

DbResult
db_run_values(Db *db,
              int64_t *changed,
              GError **error,
              const char *sql,
              const DbValue *values,
              size_t n_values)
{
  return is_there(db, error)
             ? seen(db,
                    db->engine->run(
                        db->link, sql, values, n_values, changed, error))
             : DB_FAILED;
}

DbResult
db_run_many(Db *db,
            const char *sql,
            const DbValue *values,
            unsigned n_values,
            unsigned n_rows,
            unsigned *changed,
            GError **error)
{
  return is_there(db, error)
             ? seen(
                   db,
                   db->engine->run_many(
                       db->link, sql, values, n_values, n_rows, changed, error))
             : DB_FAILED;
}

DbRows *
db_query_values(Db *db,
                GError **error,
                const char *sql,
                const DbValue *values,
                size_t n_values)
{
  DbRows *rows;

  if (!is_there(db, error))
    return NULL;
  rows = db->engine->query(db->link, sql, values, n_values, error);
  if (!rows)
    seen(db, DB_FAILED);
  return rows;
}

bool
db_next(DbRows *rows, GError **error)
{
  return rows->engine->next(rows, error);
}

void
db_rows_free(DbRows *rows)
{
  if (rows)
    rows->engine->rows_free(rows);
}

const char *
db_text(const DbRows *rows, unsigned column)
{
  return rows->engine->text(rows, column);
}

const void *
db_blob(const DbRows *rows, unsigned column, size_t *len)
{
  return rows->engine->blob(rows, column, len);
}

int64_t
db_int(const DbRows *rows, unsigned column)
{
  return rows->engine->number(rows, column);
}

bool
db_is_null(const DbRows *rows, unsigned column)
{
  return rows->engine->is_null(rows, column);
}

char *
db_dup(const DbRows *rows, unsigned column)
{
  return g_strdup(db_text(rows, column));
}

GPtrArray *
db_read_all(DbRows *rows,
            void *(*read)(const DbRows *row),
            void (*free_one)(void *data),
            GError **error)
{
  g_autoptr(DbRows) taken = rows;
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(free_one);
  g_autoptr(GError) why = NULL;

  if (!taken)
    return NULL;
  while (db_next(taken, &why))
    g_ptr_array_add(list, read(taken));
  if (!why)
    return g_steal_pointer(&list);
  g_propagate_error(error, g_steal_pointer(&why));
  return NULL;
}

/* ---- transactions ---------------------------------------------------------
 */

bool
db_in_transaction(const Db *db)
{
  return db->link && db->engine->in_transaction(db->link);
}

bool
db_begin(Db *db, GError **error)
{
  return is_there(db, error) &&
         seen(db, db->engine->script(db->link, db->engine->begin, error)) ==
             DB_DONE;
}

DbResult
db_finish(Db *db, DbResult result, GError **error)
{
  if (result == DB_DONE)
    result = is_there(db, error)
                 ? seen(db, db->engine->script(db->link, "COMMIT", error))
                 : DB_FAILED;
  if (result != DB_DONE && db_in_transaction(db))
    seen(db, db->engine->script(db->link, "ROLLBACK", NULL));
  return result;
}

/* ---- schema ---------------------------------------------------------------
 */

static const char parts_sql[] =
    "CREATE TABLE schema_part("
    " name TEXT PRIMARY KEY, version BIGINT NOT NULL)";

/* Whether a query gives a row; *number (or NULL) is its first column. */
static DbResult
look(Db *db,
     const char *sql,
     const char *name,
     bool *found,
     int64_t *number,
     GError **error)
{
  const DbValue value = DB_TEXT(name);
  g_autoptr(DbRows) rows =
      db_query_values(db, error, sql, &value, name != NULL);
  g_autoptr(GError) why = NULL;

  if (!rows)
    return DB_FAILED;
  *found = db_next(rows, &why);
  if (*found && number)
    *number = db_int(rows, 0);
  if (!why)
    return DB_DONE;
  g_propagate_error(error, g_steal_pointer(&why));
  return DB_FAILED;
}

static DbResult
read_version(Db *db, const char *name, int64_t *version, GError **error)
{
  bool found = false;

  *version = 0;
  if (look(db, db->engine->has_parts, NULL, &found, NULL, error) != DB_DONE ||
      (!found && db_run(db, NULL, error, parts_sql) != DB_DONE))
    return DB_FAILED;
  return look(db,
              "SELECT version FROM schema_part WHERE name=$1",
              name,
              &found,
              version,
              error);
}

static DbResult
add_versions(Db *db, const DbPart *part, int64_t version, GError **error)
{
  for (unsigned i = (unsigned)version; i < part->n_versions; i++) {
    const char *const *script =
        (const char *const *)((const char *)&part->versions[i] +
                              db->engine->script_offset);

    if (seen(db, db->engine->script(db->link, *script, error)) != DB_DONE)
      return DB_FAILED;
  }
  return db_run(db,
                NULL,
                error,
                "INSERT INTO schema_part(name, version) VALUES($1, $2)"
                " ON CONFLICT (name) DO UPDATE SET version=excluded.version",
                DB_TEXT(part->name),
                DB_INT(part->n_versions));
}

static DbResult
migrate(Db *db, const DbPart *part, GError **error)
{
  int64_t version;

  if ((db->engine->migrate &&
       seen(db, db->engine->script(db->link, db->engine->migrate, error)) !=
           DB_DONE) ||
      read_version(db, part->name, &version, error) != DB_DONE)
    return DB_FAILED;
  if (version > part->n_versions) {
    g_set_error(error,
                DB_ERROR,
                DB_ERROR_OPEN,
                "the database was made by a newer hoop-hub (%s %d, this one "
                "knows %u); run that one",
                part->name,
                (int)version,
                part->n_versions);
    return DB_FAILED;
  }
  return version == part->n_versions ? DB_DONE
                                     : add_versions(db, part, version, error);
}

bool
db_migrate(Db *db, const DbPart *part, GError **error)
{
  const unsigned patience_ms = db->patience_ms;
  g_autoptr(GError) why = NULL;
  DbResult result = DB_FAILED;

  db_set_patience(db, MIGRATE_MS);
  if (db_begin(db, &why))
    result = db_finish(db, migrate(db, part, &why), &why);
  db_set_patience(db, patience_ms);
  if (result == DB_DONE)
    return true;
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  else
    g_set_error(error,
                DB_ERROR,
                DB_ERROR_OTHER,
                "the tables of %s cannot be made",
                part->name);
  return false;
}

/* ---- wake-ups -------------------------------------------------------------
 */

bool
db_notify(Db *db, const char *channel, const char *payload, GError **error)
{
  g_autoptr(DbRows) rows = NULL;

  if (!db->engine->notify)
    return true;
  rows = db_query_values(db,
                         error,
                         db->engine->notify,
                         (const DbValue[]){DB_TEXT(channel), DB_TEXT(payload)},
                         2);
  return rows != NULL;
}

bool
db_listen(Db *db, const char *channel, GError **error)
{
  if (!db->engine->listen)
    return true;
  return is_there(db, error) &&
         seen(db, db->engine->listen(db->link, channel, error)) == DB_DONE;
}

int
db_fd(const Db *db)
{
  return db->link && db->engine->fd ? db->engine->fd(db->link) : -1;
}

bool
db_hear(Db *db,
        void (*each)(const char *channel, const char *payload, void *data),
        void *data,
        GError **error)
{
  if (!is_there(db, error))
    return false;
  if (!db->engine->hear || db->engine->hear(db->link, each, data, error))
    return true;
  lose(db);
  return false;
}
