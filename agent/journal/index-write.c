/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the search index: takes rows from the journal in their order, and out
 * again what retention took from the journal. */
#include "journal/count.h"
#include "journal/facet.h"
#include "journal/query.h"
#include "talk/talk.h"

#include <json-c/json.h>
#include <string.h>

/* Of one text, and of all texts of a row: what is longer is found by its
 * beginning. */
#define MAX_TEXT ((size_t)1024 * 1024)
/* From here on a copy less is worth it. */
#define LONG_TEXT ((size_t)64 * 1024)
#define MAX_ROW_TEXT ((size_t)4 * 1024 * 1024)
/* Texts of one step: the bound on how long a transaction lasts. */
#define STEP_TEXT ((size_t)4 * 1024 * 1024)

/* ---- Texts --------------------------------------------------------------- */

/* What an assistant said comes back as history of the next request: the same
 * text of the same user and client, whatever the verdicts were. */
static int64_t
text_key(const JournalRow *row, const TalkPart *part)
{
  g_autoptr(GString) from = g_string_new(NULL);
  g_autoptr(Sha256) hash = sha256_new();
  uint8_t digest[SHA256_LEN];
  int64_t key;

  if (part->role == TALK_ASSISTANT)
    g_string_append_printf(from,
                           "%s\n%s\n%s",
                           row->user ? row->user : "",
                           row->client ? row->client : "",
                           row->connection ? row->connection : "");
  else
    facets_of_row(row, from);
  g_string_append_printf(
      from, "\n%d\n%s\n", (int)part->kind, part->name ? part->name : "");
  sha256_update(hash, from->str, from->len);
  sha256_update(hash, part->text->str, part->text->len);
  sha256_peek(hash, digest);
  memcpy(&key, digest, sizeof key);
  return key;
}

/* Takes the part's text: a long one is never there twice. */
static void
append_part(TalkPart *part, GString *out)
{
  size_t len = MIN(part->text->len, MAX_TEXT);

  if (part->name)
    g_string_append_printf(out, "%s\n", part->name);
  while (len < part->text->len && len &&
         ((guchar)part->text->str[len] & 0xc0) == 0x80)
    len--;
  g_string_truncate(part->text, len);
  if (out->len) {
    g_string_append_len(out, part->text->str, (gssize)len);
  } else {
    GString swapped = *out;

    *out = *part->text;
    *part->text = swapped;
  }
  g_string_append_c(out, '\n');
}

/* Text and nothing else, short enough to be indexed whole: as it is. */
static GBytes *
plain_text(const JournalRow *row, GBytes *body, IndexSeen seen, void *data)
{
  const size_t len = g_bytes_get_size(body);
  GString text = {.str = (char *)(uintptr_t)g_bytes_get_data(body, NULL),
                  .len = len};
  TalkPart part = {.role = TALK_OTHER, .kind = TALK_STRINGS, .text = &text};

  return len > 0 && seen(text_key(row, &part), data) ? g_bytes_ref(body)
                                                     : g_bytes_new(NULL, 0);
}

static GBytes *
take_text(GString *text)
{
  const gsize len = text->len;

  return g_bytes_new_take(g_string_free(text, FALSE), len);
}

GBytes *
index_fresh_text(JournalReader *reader,
                 const JournalEntry *entry,
                 IndexSeen seen,
                 void *data)
{
  const JournalRow *row = entry->row;
  const bool answer = row->kind == ROW_RESPONSE;
  g_autoptr(GPtrArray) parts = NULL;
  g_autoptr(GBytes) body = NULL;
  GString *out = g_string_new(NULL);
  Api api = API_OTHER;
  const char *text;
  size_t len;

  if (entry->has_body && entry->body_len > 0)
    body = reader_text(reader, entry->body_digest);
  if (!body)
    return take_text(out);
  if (row->api)
    api_from_name(row->api, &api);
  text = g_bytes_get_data(body, &len);
  if (len >= LONG_TEXT && len <= MAX_TEXT && talk_is_plain(answer, text, len)) {
    g_string_free(out, TRUE);
    return plain_text(row, body, seen, data);
  }
  parts = talk_read(api, answer, text, len);
  g_clear_pointer(&body, g_bytes_unref);
  for (unsigned i = 0; i < parts->len && out->len < MAX_ROW_TEXT; i++) {
    TalkPart *part = parts->pdata[i];

    if (part->kind != TALK_ATTACHED && (part->text->len || part->name) &&
        seen(text_key(row, part), data))
      append_part(part, out);
  }
  return take_text(out);
}

/* ---- One step ------------------------------------------------------------ */

typedef struct {
  Index *index;
  JournalReader *reader;
  int64_t segment, done;
  uint8_t hash[SHA256_LEN]; /* of row `done` */
  unsigned rows, left;
  size_t text;
  bool whole; /* it was not cut short */
  bool failed;
  sqlite3_stmt *put_text, *put_seen, *put_count;
} Step;

/* Each # stands for the number. */
static bool
run_sql(Index *index, const char *text, int64_t number)
{
  g_autofree char *digits = g_strdup_printf("%" G_GINT64_FORMAT, number);
  g_auto(GStrv) parts = g_strsplit(text, "#", -1);
  g_autofree char *sql = g_strjoinv(digits, parts);

  return sqlite3_exec(index->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool
run_stmt(Step *step, sqlite3_stmt *stmt)
{
  bool good = sqlite3_step(stmt) == SQLITE_DONE;

  sqlite3_reset(stmt);
  step->failed = step->failed || !good;
  return good;
}

static bool
see_text(int64_t key, void *data)
{
  Step *step = data;

  sqlite3_bind_int64(step->put_seen, 1, step->segment);
  sqlite3_bind_int64(step->put_seen, 2, key);
  return run_stmt(step, step->put_seen) &&
         sqlite3_changes(step->index->db) == 1;
}

static void
bind_word(sqlite3_stmt *stmt, int at, const char *text)
{
  sqlite3_bind_text(stmt, at, text ? text : "", -1, SQLITE_TRANSIENT);
}

static void
put_span(Step *step, const JournalCount *count)
{
  sqlite3_stmt *stmt = step->put_count;
  const int64_t numbers[] = {count->n,
                             count->bytes_in,
                             count->bytes_out,
                             count->tokens_in,
                             count->tokens_out,
                             count->duration_us,
                             count->first_us,
                             count->last_us};
  const char *const words[] = {count->rule,
                               count->action,
                               count->user,
                               count->client,
                               count->connection,
                               count->model,
                               count->api,
                               count->verdict};

  sqlite3_bind_int64(stmt, 1, count->span_us);
  sqlite3_bind_int64(stmt, 2, count->begin_us);
  sqlite3_bind_int64(stmt, 3, step->segment);
  sqlite3_bind_int64(stmt, 4, (int64_t)count->kind);
  sqlite3_bind_int64(stmt, 5, count->shadow);
  for (int i = 0; i < (int)G_N_ELEMENTS(words); i++)
    bind_word(stmt, 6 + i, words[i]);
  for (int i = 0; i < (int)G_N_ELEMENTS(numbers); i++)
    sqlite3_bind_int64(stmt, 14 + i, numbers[i]);
  run_stmt(step, stmt);
}

/* By the hour with everything, by the day with what is mostly asked for. */
static void
put_count(const JournalCount *count, void *data)
{
  JournalCount day = *count;

  put_span(data, count);
  day.span_us = DAY_US;
  day.begin_us = count_begin(count->begin_us, DAY_US);
  day.client = day.connection = day.api = NULL;
  put_span(data, &day);
}

static bool
put_row(const JournalEntry *entry, void *data)
{
  Step *step = data;
  g_autoptr(GBytes) text =
      index_fresh_text(step->reader, entry, see_text, step);
  g_autoptr(GString) facets = g_string_new(NULL);
  const char *words = g_bytes_get_data(text, NULL);

  facets_of_row(entry->row, facets);
  sqlite3_bind_int64(step->put_text, 1, entry->seq);
  /* Neither has NULs, and ended by one SQLite makes no copy of its own. */
  sqlite3_bind_text(step->put_text, 2, words ? words : "", -1, SQLITE_STATIC);
  sqlite3_bind_text(step->put_text, 3, facets->str, -1, SQLITE_STATIC);
  run_stmt(step, step->put_text);
  sqlite3_clear_bindings(step->put_text);
  count_row(entry->row, put_count, step);
  step->done = entry->seq;
  memcpy(step->hash, entry->hash, SHA256_LEN);
  step->rows++;
  step->text += g_bytes_get_size(text);
  step->left--;
  step->whole = !step->failed && step->left > 0 && step->text < STEP_TEXT &&
                !(step->index->stop && *step->index->stop);
  return step->whole;
}

static bool
prepare_step(Step *step)
{
  char sql[128];

  if (!run_sql(step->index,
               "CREATE VIRTUAL TABLE IF NOT EXISTS text_#"
               " USING fts5(text, facets, content='', columnsize=0,"
               " tokenize='unicode61 remove_diacritics 2');"
               "INSERT OR IGNORE INTO segments VALUES (#, # * " G_STRINGIFY(
                   INDEX_SEGMENT_ROWS) ")",
               step->segment))
    return false;
  g_snprintf(sql,
             sizeof sql,
             "INSERT INTO text_%" G_GINT64_FORMAT
             " (rowid, text, facets) VALUES (?, ?, ?)",
             step->segment);
  step->put_text =
      schema_prepare(step->index->db, step->index->path, sql, NULL);
  step->put_seen = schema_prepare(step->index->db,
                                  step->index->path,
                                  "INSERT OR IGNORE INTO seen VALUES (?, ?)",
                                  NULL);
  step->put_count = schema_prepare(
      step->index->db,
      step->index->path,
      "INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
      "?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n, "
      "bytes_in = bytes_in + excluded.bytes_in, "
      "bytes_out = bytes_out + excluded.bytes_out, "
      "tokens_in = tokens_in + excluded.tokens_in, "
      "tokens_out = tokens_out + excluded.tokens_out, "
      "duration_us = duration_us + excluded.duration_us, "
      "first_us = min(first_us, excluded.first_us), "
      "last_us = max(last_us, excluded.last_us)",
      NULL);
  return step->put_text && step->put_seen && step->put_count;
}

/* ---- Which rows ---------------------------------------------------------- */

static bool
ask_int(sqlite3 *db, const char *sql, int64_t *value)
{
  g_autoptr(sqlite3_stmt) stmt = schema_prepare(db, "", sql, NULL);

  if (!stmt || sqlite3_step(stmt) != SQLITE_ROW ||
      sqlite3_column_type(stmt, 0) == SQLITE_NULL)
    return false;
  *value = sqlite3_column_int64(stmt, 0);
  return true;
}

/* The oldest segment that is not whole; false: there are no rows. */
static bool
choose(Step *step, int64_t *head)
{
  int64_t first, segment;

  if (!ask_int(step->reader->db, "SELECT max(seq) FROM rows", head) ||
      !ask_int(step->reader->db, "SELECT min(seq) FROM rows", &first))
    return false;
  step->segment = index_segment(first);
  if (ask_int(step->index->db,
              "SELECT id FROM segments WHERE done < (id + 1) * " G_STRINGIFY(
                  INDEX_SEGMENT_ROWS) " ORDER BY id LIMIT 1",
              &segment))
    step->segment = segment;
  else if (ask_int(
               step->index->db, "SELECT max(id) + 1 FROM segments", &segment))
    step->segment = MAX(segment, step->segment);
  step->done = MAX(index_done(step->index, step->segment),
                   index_first(step->segment) - 1);
  return step->done < *head;
}

/* ---- Retention ----------------------------------------------------------- */

static bool
drop(Index *index, int64_t segment)
{
  return run_sql(index,
                 "DROP TABLE IF EXISTS text_#"
                 "; DELETE FROM seen WHERE segment = #"
                 "; DELETE FROM counts WHERE segment = #",
                 segment) &&
         run_sql(index, "DELETE FROM segments WHERE id = #", segment);
}

static void
read_prune(const char *detail, int64_t *rows, int64_t *bodies)
{
  struct json_object *json = detail ? json_tokener_parse(detail) : NULL;
  struct json_object *value = NULL;

  if (json_object_is_type(json, json_type_object)) {
    if (json_object_object_get_ex(json, "rows_through", &value))
      *rows = MAX(*rows, json_object_get_int64(value));
    if (json_object_object_get_ex(json, "bodies_through", &value))
      *bodies = MAX(*bodies, json_object_get_int64(value));
  }
  json_object_put(json);
}

/* Segments that lost rows or bodies since are dropped; they are made anew from
 * what is left. */
static bool
follow_prunes(Index *index, JournalReader *reader)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(reader->db,
                     reader->path,
                     "SELECT detail FROM rows WHERE kind = 'prune'",
                     NULL);
  int64_t had_rows = 0, had_bodies = 0, rows = 0, bodies = 0;
  g_autoptr(sqlite3_stmt) segments = NULL;
  g_autoptr(GArray) lost = g_array_new(FALSE, FALSE, sizeof(int64_t));
  bool good = true;

  ask_int(index->db, "SELECT pruned_rows FROM meta", &had_rows);
  ask_int(index->db, "SELECT pruned_bodies FROM meta", &had_bodies);
  while (stmt && sqlite3_step(stmt) == SQLITE_ROW)
    read_prune((const char *)sqlite3_column_text(stmt, 0), &rows, &bodies);
  if (rows <= had_rows && bodies <= had_bodies)
    return true;
  segments = schema_prepare(
      index->db, index->path, "SELECT id FROM segments ORDER BY id", NULL);
  while (segments && sqlite3_step(segments) == SQLITE_ROW) {
    int64_t id = sqlite3_column_int64(segments, 0);

    if ((index_first(id) <= rows && index_last(id) > had_rows) ||
        (index_first(id) <= bodies && index_last(id) > had_bodies))
      g_array_append_val(lost, id);
  }
  if (segments)
    sqlite3_reset(segments);
  for (unsigned i = 0; good && i < lost->len; i++) {
    int64_t id = g_array_index(lost, int64_t, i);

    good =
        drop(index, id) && (index_last(id) <= rows ||
                            run_sql(index,
                                    "INSERT INTO segments VALUES (#"
                                    ", #"
                                    " * " G_STRINGIFY(INDEX_SEGMENT_ROWS) ")",
                                    id));
  }
  return good && run_sql(index, "UPDATE meta SET pruned_rows = #", rows) &&
         run_sql(index,
                 "UPDATE meta SET pruned_bodies = #"
                 "; PRAGMA incremental_vacuum",
                 bodies);
}

/* ---- The step ------------------------------------------------------------ */

static bool
note_done(Step *step, int64_t head)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(step->index->db,
                     step->index->path,
                     "UPDATE meta SET seq = ?1, hash = ?2 WHERE seq < ?1",
                     NULL);
  g_autoptr(sqlite3_stmt) done =
      schema_prepare(step->index->db,
                     step->index->path,
                     "UPDATE segments SET done = ? WHERE id = ?",
                     NULL);

  if (!stmt || !done)
    return false;
  if (step->rows) {
    sqlite3_bind_int64(stmt, 1, step->done);
    sqlite3_bind_blob(stmt, 2, step->hash, SHA256_LEN, SQLITE_STATIC);
    run_stmt(step, stmt);
  }
  /* Nothing more stands in this segment: retention took it. */
  if (step->whole && head >= index_last(step->segment))
    step->done = index_last(step->segment);
  sqlite3_bind_int64(done, 1, step->done);
  sqlite3_bind_int64(done, 2, step->segment);
  run_stmt(step, done);
  if (!step->failed && step->done == index_last(step->segment))
    return run_sql(step->index,
                   "INSERT INTO text_#"
                   " (text_#) VALUES ('optimize');"
                   "DELETE FROM seen WHERE segment = #",
                   step->segment);
  return !step->failed;
}

static bool
take_rows(Step *step, int64_t head, GError **error)
{
  const JournalQuery all = {.kind = -1, .oldest_first = true};
  bool more;

  return prepare_step(step) &&
         query_scan(step->reader,
                    &all,
                    step->done + 1,
                    MIN(index_last(step->segment), head),
                    put_row,
                    step,
                    &more,
                    error) &&
         note_done(step, head);
}

bool
index_step(Index *index,
           JournalReader *reader,
           unsigned rows,
           bool *more,
           GError **error)
{
  Step step = {.index = index, .reader = reader, .left = rows, .whole = true};
  int64_t head = 0;
  bool good;

  *more = false;
  if (!schema_limit_work(reader->db, reader->path, &reader->budget, error))
    return false;
  good = sqlite3_exec(index->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) ==
             SQLITE_OK &&
         follow_prunes(index, reader);
  if (good && choose(&step, &head)) {
    good = take_rows(&step, head, error);
    *more = good && step.done < head;
  }
  sqlite3_finalize(step.put_text);
  sqlite3_finalize(step.put_seen);
  sqlite3_finalize(step.put_count);
  good =
      good && sqlite3_exec(index->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
  if (good)
    return true;
  if (!error || !*error)
    schema_set_error(error, index->db, index->path, "write");
  if (!sqlite3_get_autocommit(index->db))
    sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
  return false;
}
