/* SPDX-License-Identifier: Apache-2.0 */
/* Counts: by the day and the hour where the index has them, row by row where
 * it has not. */
#include "journal/count.h"
#include "journal/query.h"

typedef struct {
  const JournalQuery *query;
  void (*each)(const JournalCount *count, void *data);
  void *data;
} Counting;

static void
give_count(const JournalCount *count, void *data)
{
  Counting *counting = data;

  counting->each(count, counting->data);
}

static bool
count_entry(const JournalEntry *entry, void *data)
{
  count_row(entry->row, give_count, data);
  return true;
}

static const char *
word_or_null(sqlite3_stmt *stmt, int column)
{
  const char *text = (const char *)sqlite3_column_text(stmt, column);

  return text && *text ? text : NULL;
}

static void
read_count(sqlite3_stmt *stmt, int64_t span_us, JournalCount *count)
{
  *count = (JournalCount){
      .begin_us = sqlite3_column_int64(stmt, 0),
      .span_us = span_us,
      .kind = (RowKind)CLAMP(
          sqlite3_column_int64(stmt, 1), 0, (int64_t)N_ROW_KINDS - 1),
      .shadow = sqlite3_column_int64(stmt, 2) != 0,
      .rule = word_or_null(stmt, 3),
      .action = word_or_null(stmt, 4),
      .user = word_or_null(stmt, 5),
      .client = word_or_null(stmt, 6),
      .connection = word_or_null(stmt, 7),
      .model = word_or_null(stmt, 8),
      .api = word_or_null(stmt, 9),
      .verdict = word_or_null(stmt, 10),
      .n = sqlite3_column_int64(stmt, 11),
      .bytes_in = sqlite3_column_int64(stmt, 12),
      .bytes_out = sqlite3_column_int64(stmt, 13),
      .tokens_in = sqlite3_column_int64(stmt, 14),
      .tokens_out = sqlite3_column_int64(stmt, 15),
      .duration_us = sqlite3_column_int64(stmt, 16),
      .first_us = sqlite3_column_int64(stmt, 17),
      .last_us = sqlite3_column_int64(stmt, 18),
  };
}

static const char select_counts[] =
    "SELECT begin_us, kind, shadow, rule, action, user, client, connection, "
    "model, api, verdict, n, bytes_in, bytes_out, tokens_in, tokens_out, "
    "duration_us, first_us, last_us FROM counts WHERE span_us = ?1 AND "
    "begin_us >= ?2 AND begin_us < ?3 AND (?4 IS NULL OR user = ?4) AND "
    "(?5 IS NULL OR client = ?5) AND (?6 IS NULL OR connection = ?6) AND "
    "(?7 IS NULL OR model = ?7) AND (?8 IS NULL OR api = ?8)";

/* Whole hours, or days, from `from` to `to`. */
static bool
count_spans(Counting *counting,
            JournalReader *reader,
            int64_t span_us,
            int64_t from,
            int64_t to,
            GError **error)
{
  const JournalQuery *query = counting->query;
  const char *const words[] = {
      query->user, query->client, query->connection, query->model, query->api};
  g_autoptr(sqlite3_stmt) stmt = schema_prepare(
      reader->index->db, reader->index->path, select_counts, error);
  int result;

  if (!stmt)
    return false;
  sqlite3_bind_int64(stmt, 1, span_us);
  sqlite3_bind_int64(stmt, 2, from);
  sqlite3_bind_int64(stmt, 3, to);
  for (int i = 0; i < (int)G_N_ELEMENTS(words); i++)
    if (words[i])
      sqlite3_bind_text(stmt, 4 + i, words[i], -1, SQLITE_STATIC);
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    JournalCount count;

    read_count(stmt, span_us, &count);
    counting->each(&count, counting->data);
  }
  if (result == SQLITE_DONE)
    return true;
  schema_set_error(error, reader->index->db, reader->index->path, "read");
  return false;
}

/* Rows of a span of time that the index has: the ends of a query that are no
 * whole hours. Found by their time. */
static bool
count_edge(Counting *counting,
           JournalReader *reader,
           int64_t from,
           int64_t to,
           GError **error)
{
  JournalQuery query = *counting->query;
  g_autoptr(sqlite3_stmt) times = NULL;
  g_autoptr(sqlite3_stmt) stmt = NULL;
  bool more = true;

  if (from >= to)
    return true;
  query.since_us = query.until_us = 0;
  times =
      schema_prepare(reader->db,
                     reader->path,
                     "SELECT seq FROM rows WHERE wall_us >= ? AND wall_us < ?",
                     error);
  stmt = times ? query_prepare_fetch(reader, &query, error) : NULL;
  if (!stmt)
    return false;
  sqlite3_bind_int64(times, 1, from);
  sqlite3_bind_int64(times, 2, to);
  while (sqlite3_step(times) == SQLITE_ROW) {
    int64_t seq = sqlite3_column_int64(times, 0);

    if (seq <= index_done(reader->index, index_segment(seq)) &&
        !query_fetch(
            reader, &query, stmt, seq, count_entry, counting, &more, error))
      return false;
  }
  return true;
}

typedef struct {
  Counting *counting;
  JournalReader *reader;
  const JournalQuery *query;
  GError *error;
} CountWalk;

static bool
skip_found(int64_t segment, int64_t lo, int64_t hi, void *data)
{
  (void)segment;
  (void)lo;
  (void)hi;
  (void)data;
  return true;
}

static bool
count_scan(int64_t lo, int64_t hi, void *data)
{
  CountWalk *walk = data;
  bool more;

  return query_scan(walk->reader,
                    walk->query,
                    lo,
                    hi,
                    count_entry,
                    walk->counting,
                    &more,
                    &walk->error);
}

static bool
count_rest(Counting *counting,
           JournalReader *reader,
           const JournalQuery *query,
           GError **error)
{
  static const SpanWalk walk = {.found = skip_found, .scan = count_scan};
  CountWalk rest = {.counting = counting, .reader = reader, .query = query};
  int64_t lo, hi;

  if (!query_edges(reader, query, &lo, &hi, error) ||
      !query_bound(reader, &lo, &hi, error))
    return false;
  query_walk(reader, true, true, lo, hi, &walk, &rest);
  if (!rest.error)
    return true;
  g_propagate_error(error, rest.error);
  return false;
}

/* Whole days within whole hours, where days know what is asked for. */
static bool
count_whole(Counting *counting,
            JournalReader *reader,
            int64_t from,
            int64_t to,
            GError **error)
{
  const JournalQuery *query = counting->query;
  int64_t first =
      query->since_us ? count_begin(from - 1, DAY_US) + DAY_US : from;
  int64_t last = query->until_us ? count_begin(to, DAY_US) : to;

  if (query->client || query->connection || query->api || first >= last)
    return count_spans(counting, reader, HOUR_US, from, to, error);
  return count_spans(counting, reader, DAY_US, first, last, error) &&
         (first == from ||
          count_spans(counting, reader, HOUR_US, from, first, error)) &&
         (last == to ||
          count_spans(counting, reader, HOUR_US, last, to, error));
}

bool
journal_counts(JournalReader *reader,
               const JournalQuery *asked,
               void (*each)(const JournalCount *count, void *data),
               void *data,
               GError **error)
{
  const JournalQuery query = {.kind = -1,
                              .user = asked->user,
                              .client = asked->client,
                              .connection = asked->connection,
                              .model = asked->model,
                              .api = asked->api,
                              .since_us = asked->since_us,
                              .until_us = asked->until_us,
                              .oldest_first = true};
  Counting counting = {.query = &query, .each = each, .data = data};
  int64_t since = query.since_us ? query.since_us : INT64_MIN;
  int64_t until = query.until_us ? query.until_us : INT64_MAX;
  int64_t from =
      query.since_us ? count_begin(since - 1, HOUR_US) + HOUR_US : since;
  int64_t to = query.until_us ? count_begin(until, HOUR_US) : until;

  reader_find_index(reader);
  if (!query_budget(reader, error) ||
      !count_rest(&counting, reader, &query, error))
    return false;
  if (!reader->index)
    return true;
  if (from >= to)
    return count_edge(&counting, reader, since, until, error);
  return (!query.since_us ||
          count_edge(&counting, reader, since, from, error)) &&
         count_whole(&counting, reader, from, to, error) &&
         (!query.until_us || count_edge(&counting, reader, to, until, error));
}
