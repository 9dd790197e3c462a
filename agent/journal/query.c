/* SPDX-License-Identifier: Apache-2.0 */
/* Queries: filters become one prepared statement, rows become entries. */
#include "journal/reader.h"
#include "journal/row.h"

#include <string.h>

/* Column of has_body, after those of the table. */
#define COLUMN_HAS_BODY FIELD_LAST

#define HAS_BODY                                                               \
  "kept_len IS NOT NULL AND EXISTS (SELECT 1 FROM bodies WHERE digest = "      \
  "coalesce(kept_digest, body_digest))"

#define MAX_CONDITIONS 12

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
      {"client = ?", query->client, 0},
      {"model = ?", query->model, 0},
      {"rule = ?", query->rule, 0},
      {"verdict = ?", query->verdict, 0},
      {"connection = ?", query->connection, 0},
      {"kind = ?",
       query->kind >= 0 && query->kind < N_ROW_KINDS
           ? row_kind_name((RowKind)query->kind)
           : NULL,
       0},
      {"seq > ?", NULL, query->after_seq},
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

static sqlite3_stmt *
prepare_query(JournalReader *reader, const JournalQuery *query, GError **error)
{
  g_autofree char *columns = schema_row_columns(reader->version);
  g_autoptr(GString) sql = g_string_new("SELECT ");
  g_autofree char *limit = id_limit(query->exchange);
  Condition conditions[MAX_CONDITIONS];
  int n = collect(query, limit, conditions);
  sqlite3_stmt *stmt;

  g_string_append_printf(sql, "%s, " HAS_BODY " FROM rows", columns);
  for (int i = 0; i < n; i++)
    g_string_append_printf(
        sql, "%s%s", i ? " AND " : " WHERE ", conditions[i].sql);
  g_string_append(sql,
                  query->oldest_first ? " ORDER BY seq" : " ORDER BY seq DESC");
  if (query->limit)
    g_string_append_printf(sql, " LIMIT %u", query->limit);
  stmt = schema_prepare(reader->db, reader->path, sql->str, error);
  for (int i = 0; stmt && i < n; i++) {
    if (conditions[i].text)
      sqlite3_bind_text(stmt, i + 1, conditions[i].text, -1, SQLITE_TRANSIENT);
    else
      sqlite3_bind_int64(stmt, i + 1, conditions[i].number);
  }
  return stmt;
}

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
  if (entry->body_len >= 0 &&
      !column_bytes(
          stmt, FIELD_BODY_DIGEST - 1, entry->body_digest, SHA256_LEN))
    return false;
  entry->row = journal_row_new((RowKind)kind);
  read_row(stmt, entry->row);
  return true;
}

static bool
follows(const JournalQuery *query, int64_t seq, int64_t last)
{
  return query->oldest_first ? seq > last : seq < last;
}

bool
journal_query(JournalReader *reader,
              const JournalQuery *query,
              bool (*each)(const JournalEntry *entry, void *data),
              void *data,
              GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  int64_t last = query->oldest_first ? 0 : INT64_MAX;
  bool more = true;
  int result = SQLITE_DONE;

  if (!schema_limit_work(reader->db, reader->path, &reader->budget, error))
    return false;
  stmt = prepare_query(reader, query, error);
  if (stmt == NULL)
    return false;
  while (more && (result = sqlite3_step(stmt)) == SQLITE_ROW) {
    JournalEntry entry;

    /* Each row is older (or newer) than the one before: else the pages of a
     * tampered file lead in a circle. */
    if (!follows(query, sqlite3_column_int64(stmt, 0), last) ||
        !read_entry(stmt, &entry)) {
      g_set_error(error,
                  JOURNAL_ERROR,
                  JOURNAL_ERROR_CORRUPT,
                  "row %lld of the journal %s is not whole: run `hoop-agent "
                  "journal verify`",
                  (long long)sqlite3_column_int64(stmt, 0),
                  reader->path);
      return false;
    }
    last = entry.seq;
    more = each(&entry, data);
    journal_row_free(entry.row);
  }
  if (!more || result == SQLITE_DONE)
    return true;
  schema_set_error(error, reader->db, reader->path, "read");
  return false;
}
