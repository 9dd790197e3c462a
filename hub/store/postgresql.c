/* SPDX-License-Identifier: Apache-2.0 */
/* The engine for several hubs: PostgreSQL by libpq, without ever waiting
 * longer than the caller's patience. */
#include "hub/store/postgresql.h"
#include "hub/store/db-engine.h"
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PARAMETERS 64
/* Of the types in pg_type.dat; they never change. */
#define OID_BYTEA 17
#define OID_INT8 20
#define OID_TEXT 25
/* Rows that are sent before their results are read. */
#define PIPELINED 256
#define US_PER_MS 1000

typedef struct {
  DbLink link;
  PGconn *conn;
  bool broken;          /* did not answer in time, or cannot be told from it */
  unsigned told_ms;     /* the server's own time limit follows the patience */
  GHashTable *prepared; /* text's address → its number, from 1 */
} Postgresql;

typedef struct {
  DbRows rows;
  PGresult *result;
  int row; /* -1: before the first */
} PostgresqlRows;

typedef PGresult Result;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Result, PQclear)

/* ---- errors ---------------------------------------------------------------
 */

/* SQLSTATE, PostgreSQL's manual, appendix A. */
static DbErrorCode
code_of(const char *state)
{
  static const struct {
    const char *prefix;
    DbErrorCode code;
  } rows[] = {
      {"08", DB_ERROR_LOST},
      {"57P", DB_ERROR_LOST},
      {"25006", DB_ERROR_LOST}, /* became a standby */
      {"26000", DB_ERROR_LOST}, /* somebody else's session: a pooler */
      {"0A000", DB_ERROR_LOST}, /* a plan from before a migration */
      {"23", DB_ERROR_CONSTRAINT},
      {"40", DB_ERROR_BUSY},
      {"55P03", DB_ERROR_BUSY},
      {"57014", DB_ERROR_BUSY}, /* the time limit */
      {"53300", DB_ERROR_BUSY}, /* too many connections */
      {"53", DB_ERROR_FULL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    if (g_str_has_prefix(state, rows[i].prefix))
      return rows[i].code;
  return DB_ERROR_OTHER;
}

static DbResult
lose(Postgresql *pg, const char *why, GError **error)
{
  pg->broken = true;
  g_set_error(error, DB_ERROR, DB_ERROR_LOST, "the hub's database: %s", why);
  return DB_FAILED;
}

/* libpq's words end with a line's end. */
static DbResult
lose_as_told(Postgresql *pg, GError **error)
{
  g_autofree char *why = g_strdup(PQerrorMessage(pg->conn));

  return lose(pg, *why ? g_strstrip(why) : "the connection is closed", error);
}

/* The primary message alone: the detail has values. */
static DbResult
fail(Postgresql *pg, const PGresult *result, GError **error)
{
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  const DbErrorCode code =
      state ? code_of(state)
            : (PQstatus(pg->conn) == CONNECTION_OK ? DB_ERROR_OTHER
                                                   : DB_ERROR_LOST);

  if (code == DB_ERROR_LOST)
    pg->broken = true;
  if (!state && code == DB_ERROR_LOST)
    return lose_as_told(pg, error);
  g_set_error(error,
              DB_ERROR,
              code,
              "the hub's database: %s",
              why ? why : "it did not understand");
  return DB_FAILED;
}

/* ---- waiting --------------------------------------------------------------
 */

/* Until there is something to read or, when `flush`, something can be written.
 */
static bool
wait_for(Postgresql *pg, bool flush, int64_t until_us, GError **error)
{
  struct pollfd one = {.fd = PQsocket(pg->conn),
                       .events = (short)(POLLIN | (flush ? POLLOUT : 0))};
  const int64_t left =
      (until_us - g_get_monotonic_time() + US_PER_MS - 1) / US_PER_MS;
  const int n = left > 0 ? poll(&one, 1, (int)left) : 0;

  if (n == 0) {
    lose(pg, "it did not answer in time", error);
    return false;
  }
  if (n < 0 && errno != EINTR) {
    lose(pg, g_strerror(errno), error);
    return false;
  }
  if (n > 0 && (one.revents & ~POLLOUT) && !PQconsumeInput(pg->conn)) {
    lose_as_told(pg, error);
    return false;
  }
  return true;
}

static int64_t
end_of_patience(const Postgresql *pg)
{
  return g_get_monotonic_time() + (int64_t)pg->link.patience_ms * US_PER_MS;
}

/* All that was sent is gone, and the next result is there. False: lost. */
static bool
settle(Postgresql *pg, int64_t until_us, GError **error)
{
  for (;;) {
    const int flushed = PQflush(pg->conn);

    if (flushed < 0) {
      lose_as_told(pg, error);
      return false;
    }
    if (flushed == 0 && !PQisBusy(pg->conn))
      return true;
    if (!wait_for(pg, flushed > 0, until_us, error))
      return false;
  }
}

/* The last result of what was sent, or the first that failed. NULL: lost. */
static PGresult *
finish(Postgresql *pg, GError **error)
{
  const int64_t until = end_of_patience(pg);
  g_autoptr(Result) kept = NULL;

  for (;;) {
    PGresult *next;

    if (!settle(pg, until, error))
      return NULL;
    next = PQgetResult(pg->conn);
    if (!next)
      break;
    if (kept && PQresultStatus(kept) == PGRES_FATAL_ERROR) {
      PQclear(next);
      continue;
    }
    PQclear(kept);
    kept = next;
  }
  if (!kept)
    lose(pg, "it answered with nothing", error);
  return g_steal_pointer(&kept);
}

static bool
went_well(const PGresult *result)
{
  return PQresultStatus(result) == PGRES_COMMAND_OK ||
         PQresultStatus(result) == PGRES_TUPLES_OK;
}

static DbResult
result_of(Postgresql *pg, const PGresult *result, GError **error)
{
  const char *state;

  if (!result)
    return DB_FAILED;
  if (went_well(result))
    return DB_DONE;
  state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state && g_str_has_prefix(state, "23") ? DB_CONFLICT
                                                : fail(pg, result, error);
}

/* ---- statements -----------------------------------------------------------
 */

static DbResult
script(Postgresql *pg, const char *sql, GError **error)
{
  g_autoptr(Result) result = NULL;

  if (!PQsendQuery(pg->conn, sql))
    return lose_as_told(pg, error);
  result = finish(pg, error);
  if (!result)
    return DB_FAILED;
  if (!went_well(result))
    return fail(pg, result, error);
  if (g_str_equal(sql, "COMMIT") &&
      !g_str_equal(PQcmdStatus(result), "COMMIT")) {
    g_set_error_literal(error,
                        DB_ERROR,
                        DB_ERROR_OTHER,
                        "the hub's database: what failed was not committed");
    return DB_FAILED;
  }
  return DB_DONE;
}

/* The server gives up a little before the caller does, and can say so. */
static bool
tell_patience(Postgresql *pg, GError **error)
{
  const unsigned ms = pg->link.patience_ms;
  char sql[128];

  if (pg->told_ms == ms)
    return true;
  snprintf(sql,
           sizeof sql,
           "SET statement_timeout=%u; SET lock_timeout=%u",
           ms - ms / 4,
           ms - ms / 4);
  if (script(pg, sql, error) != DB_DONE)
    return false;
  pg->told_ms = ms;
  return true;
}

static bool
name_of(Postgresql *pg,
        const char *sql,
        const DbValue *values,
        size_t n_values,
        char name[16],
        GError **error)
{
  static const Oid oids[] = {[DB_KIND_TEXT] = OID_TEXT,
                             [DB_KIND_INT] = OID_INT8,
                             [DB_KIND_BLOB] = OID_BYTEA};
  unsigned number = GPOINTER_TO_UINT(g_hash_table_lookup(pg->prepared, sql));
  g_autoptr(Result) result = NULL;
  Oid types[MAX_PARAMETERS];

  if (n_values > MAX_PARAMETERS) {
    g_set_error_literal(
        error, DB_ERROR, DB_ERROR_OTHER, "a statement has too many parameters");
    return false;
  }
  if (!tell_patience(pg, error))
    return false;
  if (number > 0) {
    snprintf(name, 16, "h%u", number);
    return true;
  }
  number = g_hash_table_size(pg->prepared) + 1;
  snprintf(name, 16, "h%u", number);
  for (size_t i = 0; i < n_values; i++)
    types[i] = oids[values[i].kind];
  if (!PQsendPrepare(pg->conn, name, sql, (int)n_values, types)) {
    lose_as_told(pg, error);
    return false;
  }
  result = finish(pg, error);
  if (!result)
    return false;
  if (!went_well(result)) {
    fail(pg, result, error);
    return false;
  }
  g_hash_table_insert(pg->prepared, (void *)sql, GUINT_TO_POINTER(number));
  return true;
}

/* Sends it; numbers and blobs go and all comes back in binary. */
static bool
send_values(Postgresql *pg,
            const char *name,
            const DbValue *values,
            size_t n_values)
{
  const char *places[MAX_PARAMETERS];
  int lengths[MAX_PARAMETERS];
  int formats[MAX_PARAMETERS];
  int64_t numbers[MAX_PARAMETERS];

  for (size_t i = 0; i < n_values; i++) {
    const DbValue *value = &values[i];

    formats[i] = value->kind != DB_KIND_TEXT;
    lengths[i] = value->kind == DB_KIND_INT ? 8 : (int)value->len;
    places[i] = value->bytes;
    if (value->null) {
      places[i] = NULL;
    } else if (value->kind == DB_KIND_INT) {
      numbers[i] = GINT64_TO_BE(value->number);
      places[i] = (const char *)&numbers[i];
    }
  }
  return PQsendQueryPrepared(
             pg->conn, name, (int)n_values, places, lengths, formats, 1) == 1;
}

static PGresult *
execute(Postgresql *pg,
        const char *sql,
        const DbValue *values,
        size_t n_values,
        GError **error)
{
  char name[16];

  if (!name_of(pg, sql, values, n_values, name, error))
    return NULL;
  if (send_values(pg, name, values, n_values))
    return finish(pg, error);
  lose_as_told(pg, error);
  return NULL;
}

static DbResult
postgresql_run(DbLink *link,
               const char *sql,
               const DbValue *values,
               size_t n_values,
               int64_t *changed,
               GError **error)
{
  Postgresql *pg = (Postgresql *)link;
  g_autoptr(Result) result = execute(pg, sql, values, n_values, error);
  const DbResult done = result_of(pg, result, error);

  if (done == DB_DONE && changed)
    *changed = atoll(PQcmdTuples(result));
  return done;
}

static DbResult
postgresql_script(DbLink *link, const char *sql, GError **error)
{
  Postgresql *pg = (Postgresql *)link;

  return tell_patience(pg, error) ? script(pg, sql, error) : DB_FAILED;
}

/* ---- many rows ------------------------------------------------------------
 */

/* The results of what one pipeline sent, up to its end. */
static DbResult
collect(Postgresql *pg, unsigned n, unsigned *changed, GError **error)
{
  const int64_t until = end_of_patience(pg);
  DbResult done = DB_DONE;
  unsigned at = 0;

  for (;;) {
    g_autoptr(Result) result = NULL;

    if (!settle(pg, until, error))
      return DB_FAILED;
    result = PQgetResult(pg->conn);
    if (!result) /* the end of one row's results */
      continue;
    if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
      return done;
    if (done == DB_DONE && PQresultStatus(result) != PGRES_PIPELINE_ABORTED)
      done = result_of(pg, result, error);
    if (done == DB_DONE && changed && at < n)
      changed[at] = (unsigned)atoll(PQcmdTuples(result));
    at++;
  }
}

static DbResult
pipeline(Postgresql *pg,
         const char *name,
         const DbValue *values,
         unsigned n_values,
         unsigned n_rows,
         unsigned *changed,
         GError **error)
{
  for (unsigned i = 0; i < n_rows; i++)
    if (!send_values(pg, name, values + (size_t)i * n_values, n_values))
      return lose_as_told(pg, error);
  if (!PQpipelineSync(pg->conn))
    return lose_as_told(pg, error);
  return collect(pg, n_rows, changed, error);
}

static DbResult
postgresql_run_many(DbLink *link,
                    const char *sql,
                    const DbValue *values,
                    unsigned n_values,
                    unsigned n_rows,
                    unsigned *changed,
                    GError **error)
{
  Postgresql *pg = (Postgresql *)link;
  DbResult result = DB_DONE;
  char name[16];

  if (n_rows == 0)
    return DB_DONE;
  if (!name_of(pg, sql, values, n_values, name, error))
    return DB_FAILED;
  if (!PQenterPipelineMode(pg->conn))
    return lose_as_told(pg, error);
  for (unsigned i = 0; i < n_rows && result == DB_DONE; i += PIPELINED)
    result = pipeline(pg,
                      name,
                      values + (size_t)i * n_values,
                      n_values,
                      MIN(n_rows - i, PIPELINED),
                      changed ? changed + i : NULL,
                      error);
  if (!pg->broken && !PQexitPipelineMode(pg->conn)) {
    pg->broken = true;
    if (result == DB_DONE)
      return lose_as_told(pg, error);
  }
  return result;
}

/* ---- rows -----------------------------------------------------------------
 */

static DbRows *
postgresql_query(DbLink *link,
                 const char *sql,
                 const DbValue *values,
                 size_t n_values,
                 GError **error)
{
  Postgresql *pg = (Postgresql *)link;
  g_autoptr(Result) result = execute(pg, sql, values, n_values, error);
  PostgresqlRows *rows;

  if (!result)
    return NULL;
  if (!went_well(result)) {
    fail(pg, result, error);
    return NULL;
  }
  rows = g_new0(PostgresqlRows, 1);
  *rows = (PostgresqlRows){.rows.engine = &db_postgresql,
                           .result = g_steal_pointer(&result),
                           .row = -1};
  return &rows->rows;
}

static bool
postgresql_next(DbRows *rows, GError **error)
{
  PostgresqlRows *own = (PostgresqlRows *)rows;

  (void)error;
  if (own->row + 1 >= PQntuples(own->result))
    return false;
  own->row++;
  return true;
}

static void
postgresql_rows_free(DbRows *rows)
{
  PQclear(((PostgresqlRows *)rows)->result);
  g_free(rows);
}

static bool
postgresql_is_null(const DbRows *rows, unsigned column)
{
  const PostgresqlRows *own = (const PostgresqlRows *)rows;

  return PQgetisnull(own->result, own->row, (int)column);
}

/* Text in binary is its bytes; libpq puts a zero behind. */
static const char *
postgresql_text(const DbRows *rows, unsigned column)
{
  const PostgresqlRows *own = (const PostgresqlRows *)rows;

  return postgresql_is_null(rows, column)
             ? NULL
             : PQgetvalue(own->result, own->row, (int)column);
}

static const void *
postgresql_blob(const DbRows *rows, unsigned column, size_t *len)
{
  const PostgresqlRows *own = (const PostgresqlRows *)rows;

  *len = (size_t)PQgetlength(own->result, own->row, (int)column);
  return postgresql_text(rows, column);
}

/* Whole numbers of any size, and booleans. */
static int64_t
postgresql_number(const DbRows *rows, unsigned column)
{
  size_t len;
  const uint8_t *bytes = postgresql_blob(rows, column, &len);
  int64_t number;

  if (!bytes || len == 0 || len > sizeof number)
    return 0;
  number = bytes[0] < 0x80 ? bytes[0] : (int64_t)bytes[0] - 0x100;
  for (size_t i = 1; i < len; i++)
    number = (int64_t)((uint64_t)number << 8 | bytes[i]);
  return number;
}

/* ---- connections ----------------------------------------------------------
 */

static bool
postgresql_is_lost(const DbLink *link)
{
  const Postgresql *pg = (const Postgresql *)link;

  return pg->broken || PQstatus(pg->conn) != CONNECTION_OK;
}

static bool
postgresql_in_transaction(const DbLink *link)
{
  return PQtransactionStatus(((const Postgresql *)link)->conn) != PQTRANS_IDLE;
}

static void
postgresql_close(DbLink *link)
{
  Postgresql *pg = (Postgresql *)link;

  g_hash_table_unref(pg->prepared);
  PQfinish(pg->conn);
  g_free(pg);
}

/* Whoever acknowledges must be able to rely on it; whoever died must not hold
 * locks for long. */
static const char first_words[] =
    "SET client_min_messages=error;"
    "SET default_transaction_isolation='read committed';"
    "SET idle_in_transaction_session_timeout=10000;"
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit')='off'";

static DbLink *
postgresql_open(const char *where,
                const char *password,
                unsigned patience_ms,
                GError **error)
{
  PGconn *conn = postgresql_connect(where, password, error);
  Postgresql *pg;

  if (!conn)
    return NULL;
  pg = g_new0(Postgresql, 1);
  pg->link.patience_ms = patience_ms;
  pg->conn = conn;
  pg->prepared = g_hash_table_new(NULL, NULL);
  if (PQsetnonblocking(conn, 1) == 0 &&
      script(pg, first_words, error) == DB_DONE && tell_patience(pg, error))
    return &pg->link;
  postgresql_close(&pg->link);
  return NULL;
}

/* ---- wake-ups -------------------------------------------------------------
 */

static DbResult
postgresql_listen(DbLink *link, const char *channel, GError **error)
{
  g_autofree char *sql = g_strdup_printf("LISTEN %s", channel);

  return script((Postgresql *)link, sql, error);
}

static int
postgresql_fd(const DbLink *link)
{
  return PQsocket(((const Postgresql *)link)->conn);
}

static bool
postgresql_hear(DbLink *link,
                void (*each)(const char *channel,
                             const char *payload,
                             void *data),
                void *data,
                GError **error)
{
  Postgresql *pg = (Postgresql *)link;
  PGnotify *told;

  if (!PQconsumeInput(pg->conn)) {
    lose_as_told(pg, error);
    return false;
  }
  while ((told = PQnotifies(pg->conn))) {
    each(told->relname, told->extra, data);
    PQfreemem(told);
  }
  return true;
}

const DbEngine db_postgresql = {
    .open = postgresql_open,
    .close = postgresql_close,
    .is_lost = postgresql_is_lost,
    .in_transaction = postgresql_in_transaction,
    .script = postgresql_script,
    .run = postgresql_run,
    .run_many = postgresql_run_many,
    .query = postgresql_query,
    .next = postgresql_next,
    .rows_free = postgresql_rows_free,
    .text = postgresql_text,
    .blob = postgresql_blob,
    .number = postgresql_number,
    .is_null = postgresql_is_null,
    .begin = "BEGIN",
    /* "hHub" again. */
    .migrate = "SELECT pg_advisory_xact_lock(1749579106)",
    .has_parts = "SELECT 1 FROM pg_catalog.pg_tables"
                 " WHERE tablename='schema_part'"
                 " AND schemaname=current_schema()",
    .script_offset = G_STRUCT_OFFSET(DbVersion, postgresql),
    .listen = postgresql_listen,
    .fd = postgresql_fd,
    .hear = postgresql_hear,
    .notify = "SELECT pg_notify($1, $2)",
};
