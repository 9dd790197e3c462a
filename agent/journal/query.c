/* SPDX-License-Identifier: Apache-2.0 */
/* Queries: filters become conditions; rows are found by the search index where
 * it has them, and read one after the other where it has not. */
#include "journal/query.h"

#include "journal/facet.h"
#include "journal/row.h"

#include <string.h>

/* Column of has_body, after those of the table. */
#define COLUMN_HAS_BODY N_ROW_COLUMNS
/* Rows are in the order of time, but for clocks that were set: by so much a
 * row may stand before one that is older. */
#define CLOCK_US (INT64_C(24) * 3600 * 1000 * 1000)

#define HAS_BODY                                                               \
  "kept_len IS NOT NULL AND EXISTS (SELECT 1 FROM bodies WHERE digest = "      \
  "coalesce(kept_digest, body_digest))"

#define MAX_CONDITIONS 16

typedef struct {
  const char *sql;
  const char *text; /* bound when not NULL */
  int64_t number;   /* else */
} Condition;

/* One past every id that begins so: ids are digits and letters. */
static char *
id_limit(const char *exchange)
{
  return exchange ? g_strconcat(exchange, "~", NULL) : NULL;
}

/* The conditions that were asked for, in the order of their parameters. */
static int
collect(const JournalQuery *query,
        const char *limit,
        Condition out[MAX_CONDITIONS])
{
  const Condition all[MAX_CONDITIONS] = {
      {"exchange >= ?", query->exchange, 0},
      {"exchange < ?", limit, 0},
      {"user = ?", query->user, 0},
      {"instr(',' || \"groups\" || ',', ',' || ? || ',') > 0", query->group, 0},
      {"client = ?", query->client, 0},
      /* One of the programs, by its path or its name. */
      {"(SELECT instr(p, ' < ' || v || ' < ') + iif(instr(v, '/'), 0,"
       " instr(p, '/' || v || ' < ')) FROM (SELECT ' < ' || process || ' < '"
       " AS p, ? AS v)) > 0",
       query->process,
       0},
      {"model = ?", query->model, 0},
      {"rule = ?", query->rule, 0},
      {"verdict = ?", query->verdict, 0},
      {"connection = ?", query->connection, 0},
      {"api = ?", query->api, 0},
      {"conversation = ?", query->conversation, 0},
      {"kind = ?",
       query->kind >= 0 && query->kind < N_ROW_KINDS
           ? row_kind_name((RowKind)query->kind)
           : NULL,
       0},
      {"wall_us >= ?", NULL, query->since_us},
      {"wall_us < ?", NULL, query->until_us},
  };
  int n = 0;

  for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
    if (all[i].text || all[i].number)
      out[n++] = all[i];
  }
  return n;
}

/* `first`: what stands before the conditions, with two parameters; `hint`
 * follows the table's name. */
static sqlite3_stmt *
prepare_rows(JournalReader *reader,
             const JournalQuery *query,
             const char *hint,
             const char *first,
             const char *last,
             int parameters,
             GError **error)
{
  g_autofree char *rows = schema_rows(reader->version, hint);
  g_autoptr(GString) sql = g_string_new("SELECT ");
  g_autofree char *limit = id_limit(query->exchange);
  Condition conditions[MAX_CONDITIONS];
  int n = collect(query, limit, conditions);
  sqlite3_stmt *stmt;

  g_string_append_printf(sql, "*, " HAS_BODY " FROM %s", rows);
  g_string_append(sql, first);
  for (int i = 0; i < n; i++)
    g_string_append_printf(sql, " AND %s", conditions[i].sql);
  g_string_append(sql, last);
  stmt = schema_prepare(reader->db, reader->path, sql->str, error);
  for (int i = 0; stmt && i < n; i++) {
    int at = i + 1 + parameters;

    if (conditions[i].text)
      sqlite3_bind_text(stmt, at, conditions[i].text, -1, SQLITE_TRANSIENT);
    else
      sqlite3_bind_int64(stmt, at, conditions[i].number);
  }
  return stmt;
}

/* An exchange is found by its own index, all else by its place. The plus signs
 * keep SQLite from sorting what stands in order already. */
static sqlite3_stmt *
prepare_scan(JournalReader *reader, const JournalQuery *query, GError **error)
{
  return prepare_rows(reader,
                      query,
                      query->exchange ? "" : " NOT INDEXED",
                      query->exchange ? " WHERE +seq >= ? AND +seq <= ?"
                                      : " WHERE seq >= ? AND seq <= ?",
                      query->oldest_first ? " ORDER BY seq"
                                          : " ORDER BY seq DESC",
                      2,
                      error);
}

sqlite3_stmt *
query_prepare_fetch(JournalReader *reader,
                    const JournalQuery *query,
                    GError **error)
{
  return prepare_rows(
      reader, query, " NOT INDEXED", " WHERE seq = ?", "", 1, error);
}

/* ---- Rows ---------------------------------------------------------------- */

static int64_t
read_int(sqlite3_stmt *stmt, int column)
{
  return sqlite3_column_type(stmt, column) == SQLITE_NULL
             ? -1
             : sqlite3_column_int64(stmt, column);
}

/* Columns stand in the order of the field numbers, from 1. */
static void
read_row(sqlite3_stmt *stmt, JournalRow *row)
{
  for (size_t i = 0; i < n_row_fields; i++) {
    const RowField *field = &row_fields[i];
    int column = field->number - 1;

    if (field->type == ROW_INT)
      *row_int(row, field) = read_int(stmt, column);
    else
      *row_text(row, field) =
          g_strdup((const char *)sqlite3_column_text(stmt, column));
  }
}

static bool
read_entry(sqlite3_stmt *stmt, JournalEntry *entry)
{
  int kind =
      row_kind_of((const char *)sqlite3_column_text(stmt, FIELD_KIND - 1));

  memset(entry, 0, sizeof *entry);
  if (kind < 0 || !column_bytes(stmt, FIELD_HASH - 1, entry->hash, SHA256_LEN))
    return false;
  entry->seq = sqlite3_column_int64(stmt, FIELD_SEQ - 1);
  entry->body_len = read_int(stmt, FIELD_BODY_LEN - 1);
  entry->kept_len = read_int(stmt, FIELD_KEPT_LEN - 1);
  entry->cut = (uint64_t)sqlite3_column_int64(stmt, FIELD_CUT - 1);
  entry->has_body = sqlite3_column_int(stmt, COLUMN_HAS_BODY) != 0;
  entry->sealed =
      sqlite3_column_type(stmt, FIELD_SEALED_DIGEST - 1) != SQLITE_NULL;
  entry->cut_body =
      sqlite3_column_type(stmt, FIELD_KEPT_DIGEST - 1) != SQLITE_NULL;
  if ((entry->body_len >= 0 &&
       !column_bytes(
           stmt, FIELD_BODY_DIGEST - 1, entry->body_digest, SHA256_LEN)) ||
      (entry->cut_body &&
       !column_bytes(
           stmt, FIELD_KEPT_DIGEST - 1, entry->kept_digest, SHA256_LEN)) ||
      (entry->sealed &&
       !column_bytes(
           stmt, FIELD_SEALED_DIGEST - 1, entry->sealed_digest, SHA256_LEN)))
    return false;
  entry->row = journal_row_new((RowKind)kind);
  read_row(stmt, entry->row);
  return true;
}

static bool
tell(JournalReader *reader,
     sqlite3_stmt *stmt,
     EachEntry each,
     void *data,
     bool *more,
     GError **error)
{
  JournalEntry entry;

  if (!read_entry(stmt, &entry)) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_CORRUPT,
                "row %lld of the journal %s is not whole: run `hoop-agent "
                "journal verify`",
                (long long)sqlite3_column_int64(stmt, 0),
                reader->path);
    return false;
  }
  *more = each(&entry, data);
  journal_row_free(entry.row);
  return true;
}

static bool
read_failed(JournalReader *reader, GError **error)
{
  schema_set_error(error, reader->db, reader->path, "read");
  return false;
}

bool
query_scan(JournalReader *reader,
           const JournalQuery *query,
           int64_t lo,
           int64_t hi,
           EachEntry each,
           void *data,
           bool *more,
           GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = prepare_scan(reader, query, error);
  int64_t last = query->oldest_first ? 0 : INT64_MAX;
  int result = SQLITE_DONE;

  if (!stmt)
    return false;
  sqlite3_bind_int64(stmt, 1, lo);
  sqlite3_bind_int64(stmt, 2, hi);
  *more = true;
  while (*more && (result = sqlite3_step(stmt)) == SQLITE_ROW) {
    int64_t seq = sqlite3_column_int64(stmt, 0);

    /* Each row is older (or newer) than the one before: else the pages of a
     * tampered file lead in a circle. */
    if (query->oldest_first ? seq <= last : seq >= last) {
      g_set_error(error,
                  JOURNAL_ERROR,
                  JOURNAL_ERROR_CORRUPT,
                  "row %lld of the journal %s stands twice: run `hoop-agent "
                  "journal verify`",
                  (long long)seq,
                  reader->path);
      return false;
    }
    last = seq;
    if (!tell(reader, stmt, each, data, more, error))
      return false;
  }
  return !*more || result == SQLITE_DONE || read_failed(reader, error);
}

bool
query_fetch(JournalReader *reader,
            const JournalQuery *query,
            sqlite3_stmt *stmt,
            int64_t seq,
            EachEntry each,
            void *data,
            bool *more,
            GError **error)
{
  int result;
  bool good;

  (void)query;
  *more = true;
  sqlite3_bind_int64(stmt, 1, seq);
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW)
    good = tell(reader, stmt, each, data, more, error);
  else
    good = result == SQLITE_DONE || read_failed(reader, error);
  sqlite3_reset(stmt);
  return good;
}

/* ---- Times --------------------------------------------------------------- */

/* One integer with one or two parameters; *found false for NULL. */
static bool
ask(JournalReader *reader,
    const char *sql,
    int64_t first,
    int64_t second,
    int64_t *value,
    bool *found,
    GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(reader->db, reader->path, sql, error);

  if (!stmt)
    return false;
  sqlite3_bind_int64(stmt, 1, first);
  sqlite3_bind_int64(stmt, 2, second);
  if (sqlite3_step(stmt) != SQLITE_ROW)
    return read_failed(reader, error);
  *found = sqlite3_column_type(stmt, 0) != SQLITE_NULL;
  *value = sqlite3_column_int64(stmt, 0);
  return true;
}

static const char first_time[] =
    "SELECT min(wall_us) FROM rows WHERE wall_us >= ? AND wall_us < ?";
static const char last_time[] =
    "SELECT max(wall_us) FROM rows WHERE wall_us >= ? AND wall_us < ?";
static const char first_seq[] =
    "SELECT min(seq) FROM rows WHERE wall_us >= ? AND wall_us < ?";
static const char last_seq[] =
    "SELECT max(seq) FROM rows WHERE wall_us >= ? AND wall_us < ?";

bool
query_edges(JournalReader *reader,
            const JournalQuery *query,
            int64_t *lo,
            int64_t *hi,
            GError **error)
{
  int64_t since = query->since_us ? query->since_us : INT64_MIN;
  int64_t until = query->until_us ? query->until_us : INT64_MAX;
  int64_t at;
  bool found = true;

  *lo = 1;
  *hi = INT64_MAX;
  if (query->since_us) {
    if (!ask(reader, first_time, since, until, &at, &found, error) ||
        (found && !ask(reader,
                       first_seq,
                       at,
                       MIN(at + CLOCK_US, until),
                       lo,
                       &found,
                       error)))
      return false;
  }
  if (found && query->until_us) {
    if (!ask(reader, last_time, since, until, &at, &found, error) ||
        (found && !ask(reader,
                       last_seq,
                       MAX(at - CLOCK_US, since),
                       until,
                       hi,
                       &found,
                       error)))
      return false;
  }
  *lo = MAX(*lo, query->after_seq + 1);
  if (!found)
    *hi = *lo - 1;
  return true;
}

bool
query_bound(JournalReader *reader, int64_t *lo, int64_t *hi, GError **error)
{
  int64_t first = 1, last = 0;
  bool found;

  if (!ask(reader,
           "SELECT min(seq) FROM rows WHERE ?1 = ?2",
           0,
           0,
           &first,
           &found,
           error) ||
      !ask(reader,
           "SELECT max(seq) FROM rows WHERE ?1 = ?2",
           0,
           0,
           &last,
           &found,
           error))
    return false;
  *lo = MAX(*lo, first);
  *hi = found ? MIN(*hi, last) : *lo - 1;
  return true;
}

/* ---- What the index has -------------------------------------------------- */

static bool
walk_segment(JournalReader *reader,
             bool oldest_first,
             int64_t segment,
             int64_t lo,
             int64_t hi,
             const SpanWalk *walk,
             void *data)
{
  int64_t done = index_done(reader->index, segment);
  int64_t from = MAX(lo, index_first(segment));
  int64_t to = MIN(hi, index_last(segment));
  int64_t middle = CLAMP(done, from - 1, to);
  bool more = true;

  for (int turn = 0; more && turn < 2; turn++) {
    if ((turn == 0) == oldest_first)
      more = middle < from || walk->found(segment, from, middle, data);
    else
      more = middle >= to || walk->scan(middle + 1, to, data);
  }
  return more;
}

void
query_walk(JournalReader *reader,
           bool indexed,
           bool oldest_first,
           int64_t lo,
           int64_t hi,
           const SpanWalk *walk,
           void *data)
{
  int64_t first, n;

  if (lo > hi)
    return;
  if (!indexed || !reader->index) {
    walk->scan(lo, hi, data);
    return;
  }
  first = index_segment(lo);
  n = index_segment(hi) - first + 1;
  for (int64_t i = 0; i < n; i++)
    if (!walk_segment(reader,
                      oldest_first,
                      oldest_first ? first + i : first + n - 1 - i,
                      lo,
                      hi,
                      walk,
                      data))
      return;
}

sqlite3_stmt *
query_prepare_match(JournalReader *reader,
                    int64_t segment,
                    bool oldest_first,
                    GError **error)
{
  char sql[256];

  g_snprintf(sql,
             sizeof sql,
             "SELECT rowid FROM text_%" G_GINT64_FORMAT
             " WHERE text_%" G_GINT64_FORMAT
             " MATCH ? AND rowid >= ? AND rowid <= ? ORDER BY rowid%s",
             segment,
             segment,
             oldest_first ? "" : " DESC");
  return schema_prepare(reader->index->db, reader->index->path, sql, error);
}

/* ---- The query ----------------------------------------------------------- */

typedef struct {
  JournalReader *reader;
  const JournalQuery *query;
  EachEntry each;
  void *data;
  const char *match;
  sqlite3_stmt *fetch;
  unsigned given;
  GError *error;
} Run;

static bool
give(const JournalEntry *entry, void *data)
{
  Run *run = data;

  run->given++;
  return run->each(entry, run->data) &&
         (!run->query->limit || run->given < run->query->limit);
}

static bool
run_scan(int64_t lo, int64_t hi, void *data)
{
  Run *run = data;
  bool more = false;

  return query_scan(
             run->reader, run->query, lo, hi, give, run, &more, &run->error) &&
         more;
}

static bool
run_found(int64_t segment, int64_t lo, int64_t hi, void *data)
{
  Run *run = data;
  g_autoptr(sqlite3_stmt) match = query_prepare_match(
      run->reader, segment, run->query->oldest_first, &run->error);
  bool more = true;
  int result = SQLITE_DONE;

  if (!match)
    return false;
  sqlite3_bind_text(match, 1, run->match, -1, SQLITE_STATIC);
  sqlite3_bind_int64(match, 2, lo);
  sqlite3_bind_int64(match, 3, hi);
  while (more && (result = sqlite3_step(match)) == SQLITE_ROW)
    if (!query_fetch(run->reader,
                     run->query,
                     run->fetch,
                     sqlite3_column_int64(match, 0),
                     give,
                     run,
                     &more,
                     &run->error))
      return false;
  if (more && result != SQLITE_DONE)
    schema_set_error(
        &run->error, run->reader->index->db, run->reader->index->path, "read");
  return more && !run->error;
}

bool
query_budget(JournalReader *reader, GError **error)
{
  return schema_limit_work(reader->db, reader->path, &reader->budget, error) &&
         (!reader->index || schema_limit_work(reader->index->db,
                                              reader->index->path,
                                              &reader->index->budget,
                                              error));
}

bool
journal_query(JournalReader *reader,
              const JournalQuery *query,
              bool (*each)(const JournalEntry *entry, void *data),
              void *data,
              GError **error)
{
  static const SpanWalk walk = {.found = run_found, .scan = run_scan};
  g_autoptr(GString) match = g_string_new(NULL);
  Run run = {.reader = reader, .query = query, .each = each, .data = data};
  bool indexed;
  int64_t lo, hi;

  reader_find_index(reader);
  indexed = !query->exchange && reader->index && facets_of_query(query, match);
  run.match = match->str;
  if (!query_budget(reader, error) ||
      !query_edges(reader, query, &lo, &hi, error) ||
      !query_bound(reader, &lo, &hi, error))
    return false;
  if (indexed) {
    run.fetch = query_prepare_fetch(reader, query, error);
    if (!run.fetch)
      return false;
  }
  query_walk(reader, indexed, query->oldest_first, lo, hi, &walk, &run);
  sqlite3_finalize(run.fetch);
  if (!run.error)
    return true;
  g_propagate_error(error, run.error);
  return false;
}

/* ---- Plans --------------------------------------------------------------- */

static void
explain(sqlite3 *db, sqlite3_stmt *stmt, GString *out)
{
  g_autofree char *sql =
      stmt ? g_strconcat("EXPLAIN QUERY PLAN ", sqlite3_sql(stmt), NULL) : NULL;
  g_autoptr(sqlite3_stmt) plan = NULL;

  if (!sql || sqlite3_prepare_v2(db, sql, -1, &plan, NULL) != SQLITE_OK)
    g_string_append(out, "cannot be prepared\n");
  while (plan && sqlite3_step(plan) == SQLITE_ROW)
    g_string_append_printf(out, "%s\n", sqlite3_column_text(plan, 3));
}

char *
query_plan(JournalReader *reader, const JournalQuery *query)
{
  g_autoptr(GString) match = g_string_new(NULL);
  g_autoptr(sqlite3_stmt) scan = prepare_scan(reader, query, NULL);
  g_autoptr(sqlite3_stmt) fetch = query_prepare_fetch(reader, query, NULL);
  static const char *const times[] = {
      first_time, last_time, first_seq, last_seq};
  GString *out = g_string_new(NULL);

  reader_find_index(reader);
  if (query->since_us || query->until_us)
    for (size_t i = 0; i < G_N_ELEMENTS(times); i++) {
      g_autoptr(sqlite3_stmt) stmt =
          schema_prepare(reader->db, reader->path, times[i], NULL);

      explain(reader->db, stmt, out);
    }
  if (!query->exchange && reader->index && facets_of_query(query, match)) {
    g_autoptr(sqlite3_stmt) stmt =
        query_prepare_match(reader, 0, query->oldest_first, NULL);

    explain(reader->index->db, stmt, out);
    explain(reader->db, fetch, out);
  } else {
    explain(reader->db, scan, out);
  }
  return g_string_free(out, FALSE);
}
