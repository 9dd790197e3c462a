/* SPDX-License-Identifier: Apache-2.0 */
/* Finds rows, alerts and journals. A search goes back in bounded steps, so that
 * no question holds the database, or memory, for long. */
#include "hub/audit/private.h"
#include "kit/clock.h"

#include <string.h>

/* Rows that one statement looks at, where no index leads to them. */
#define STEP 20000
/* Then the page ends, whatever it has. */
#define MAX_US (400 * 1000)

static void
found_free(void *data)
{
  AuditFound *row = data;

  g_free(row->key);
  g_free(row->journal);
  g_free(row->kind);
  g_free(row->event);
  g_free(row->trace);
  g_free(row->said);
  g_free(row->machine);
  g_free(row->sender);
  g_free(row->user);
  g_free(row->rule);
  g_free(row->verdict);
  g_free(row->model);
  g_free(row->attributes);
  g_free(row->resource);
  g_free(row);
}

void
audit_page_free(AuditPage *page)
{
  if (!page)
    return;
  g_ptr_array_unref(page->rows);
  g_free(page);
}

/* ---- rows -----------------------------------------------------------------
 */

#define COLUMNS                                                                \
  "SELECT r.id, r.key, r.journal, r.seq, r.at_us, r.received_us, r.severity,"  \
  " r.kind, r.event, r.trace, r.said, r.machine, r.sender, r.\"user\","        \
  " r.rule, r.verdict, r.model, r.marks, r.attributes, s.attributes"           \
  " FROM audit_row r JOIN audit_resource s ON s.digest = r.resource"           \
  " WHERE r.id < $1 AND r.id >= $2"

/* $11 is a pattern of LIKE, or empty. */
#define CONDITIONS                                                             \
  " AND ($3 = '' OR r.kind = $3) AND ($4 = '' OR r.rule = $4)"                 \
  " AND ($5 = '' OR r.verdict = $5) AND ($6 = '' OR r.model = $6)"             \
  " AND r.at_us >= $7 AND r.at_us < $8 AND ($9 = 0 OR r.marks & $9 <> 0)"      \
  " AND ($11 = '' OR lower(r.said) LIKE $11 ESCAPE '\\'"                       \
  " OR lower(r.attributes) LIKE $11 ESCAPE '\\')"                              \
  " AND ($12 = '' OR r.\"user\" = $12) AND ($13 = '' OR r.machine = $13)"      \
  " AND ($14 = '' OR r.journal = $14)"
#define ORDER " ORDER BY r.id DESC LIMIT $10"

static const char by_id[] = COLUMNS CONDITIONS ORDER;
static const char by_user[] = COLUMNS " AND r.\"user\" = $12" CONDITIONS ORDER;
static const char by_machine[] =
    COLUMNS " AND r.machine = $13" CONDITIONS ORDER;
static const char by_journal[] =
    COLUMNS " AND r.journal = $14" CONDITIONS ORDER;

static AuditFound *
read_found(const DbRows *rows)
{
  AuditFound *row = g_new0(AuditFound, 1);

  *row = (AuditFound){.id = db_int(rows, 0),
                      .key = db_dup(rows, 1),
                      .journal = db_dup(rows, 2),
                      .seq = db_int(rows, 3),
                      .at_us = db_int(rows, 4),
                      .received_us = db_int(rows, 5),
                      .severity = db_int(rows, 6),
                      .kind = db_dup(rows, 7),
                      .event = db_dup(rows, 8),
                      .trace = db_dup(rows, 9),
                      .said = db_dup(rows, 10),
                      .machine = db_dup(rows, 11),
                      .sender = db_dup(rows, 12),
                      .user = db_dup(rows, 13),
                      .rule = db_dup(rows, 14),
                      .verdict = db_dup(rows, 15),
                      .model = db_dup(rows, 16),
                      .marks = (unsigned)db_int(rows, 17),
                      .attributes = db_dup(rows, 18),
                      .resource = db_dup(rows, 19)};
  return row;
}

/* What stands anywhere, as a pattern in lower case; "" when nothing is sought.
 */
static char *
pattern_of(const char *text)
{
  GString *out;

  if (!text || !*text)
    return g_strdup("");
  out = g_string_new("%");
  for (const char *c = text; *c; c++) {
    if (strchr("%_\\", *c))
      g_string_append_c(out, '\\');
    g_string_append_c(out, g_ascii_tolower(*c));
  }
  g_string_append_c(out, '%');
  return g_string_free(out, FALSE);
}

typedef struct {
  Db *db;
  const AuditQuery *query;
  const char *sql, *pattern;
  unsigned limit;
  GPtrArray *rows;
} Search;

static const char *
or_empty(const char *text)
{
  return text ? text : "";
}

/* Rows of [lo, before). */
static bool
search_step(const Search *search, int64_t lo, int64_t before, GError **error)
{
  const AuditQuery *query = search->query;
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows =
      db_query(search->db,
               error,
               search->sql,
               DB_INT(before),
               DB_INT(lo),
               DB_TEXT(or_empty(query->kind)),
               DB_TEXT(or_empty(query->rule)),
               DB_TEXT(or_empty(query->verdict)),
               DB_TEXT(or_empty(query->model)),
               DB_INT(query->since_us),
               DB_INT(query->until_us ? query->until_us : INT64_MAX),
               DB_INT(query->marked ? AUDIT_MARKS_ALERT : 0),
               DB_INT(search->limit - search->rows->len),
               DB_TEXT(search->pattern),
               DB_TEXT(or_empty(query->user)),
               DB_TEXT(or_empty(query->machine)),
               DB_TEXT(or_empty(query->journal)));

  if (!rows)
    return false;
  while (db_next(rows, &why))
    g_ptr_array_add(search->rows, read_found(rows));
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  return !why;
}

static bool
read_edges(Db *db, int64_t *first, int64_t *last, GError **error)
{
  g_autoptr(DbRows) rows = db_query(
      db,
      error,
      "SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM audit_row");
  g_autoptr(GError) why = NULL;

  if (!rows)
    return false;
  if (db_next(rows, &why)) {
    *first = db_int(rows, 0);
    *last = db_int(rows, 1);
    return true;
  }
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  return false;
}

static const char *
sql_of(const AuditQuery *query)
{
  if (query->journal)
    return by_journal;
  if (query->machine)
    return by_machine;
  return query->user ? by_user : by_id;
}

AuditPage *
audit_find(Db *db, const AuditQuery *query, GError **error)
{
  g_autoptr(AuditPage) page = g_new0(AuditPage, 1);
  g_autofree char *pattern = pattern_of(query->text);
  const int64_t until = clock_mono_us() + MAX_US;
  Search search = {.db = db,
                   .query = query,
                   .sql = sql_of(query),
                   .pattern = pattern,
                   .limit = query->limit ? MIN(query->limit, AUDIT_MAX_PAGE)
                                         : AUDIT_PAGE};
  int64_t first = 0, last = 0, before;

  page->rows = search.rows = g_ptr_array_new_with_free_func(found_free);
  if (!read_edges(db, &first, &last, error))
    return NULL;
  before = query->before > 0 ? MIN(query->before, last + 1) : last + 1;
  do {
    const int64_t lo = search.sql == by_id ? MAX(before - STEP, first) : first;

    if (!search_step(&search, lo, before, error))
      return NULL;
    before = lo;
  } while (search.rows->len < search.limit && before > first &&
           clock_mono_us() < until);
  if (search.rows->len >= search.limit)
    page->next = ((AuditFound *)search.rows->pdata[search.rows->len - 1])->id;
  else if (before > first)
    page->next = before;
  if (page->next <= first)
    page->next = 0;
  return g_steal_pointer(&page);
}

/* ---- alerts ---------------------------------------------------------------
 */

static void
alert_free(void *data)
{
  AuditAlert *alert = data;

  g_free(alert->kind);
  g_free(alert->journal);
  g_free(alert->machine);
  g_free(alert->user);
  g_free(alert->detail);
  g_free(alert);
}

static void *
read_alert(const DbRows *rows)
{
  AuditAlert *alert = g_new0(AuditAlert, 1);

  *alert = (AuditAlert){.id = db_int(rows, 0),
                        .at_us = db_int(rows, 1),
                        .kind = db_dup(rows, 2),
                        .journal = db_dup(rows, 3),
                        .seq = db_int(rows, 4),
                        .rows = db_int(rows, 5),
                        .machine = db_dup(rows, 6),
                        .user = db_dup(rows, 7),
                        .detail = db_dup(rows, 8)};
  return alert;
}

GPtrArray *
audit_alerts(Db *db, int64_t before, unsigned limit, GError **error)
{
  return db_read_all(
      db_query(db,
               error,
               "SELECT id, at_us, kind, journal, seq, rows, machine, \"user\","
               " detail FROM audit_alert WHERE id < $1"
               " ORDER BY id DESC LIMIT $2",
               DB_INT(before > 0 ? before : INT64_MAX),
               DB_INT(limit ? MIN(limit, AUDIT_MAX_PAGE) : AUDIT_PAGE)),
      read_alert,
      alert_free,
      error);
}

/* ---- journals -------------------------------------------------------------
 */

static void
journal_free(void *data)
{
  AuditJournal *journal = data;

  g_free(journal->journal);
  g_free(journal->machine);
  g_free(journal->user);
  g_free(journal);
}

static void *
read_journal(const DbRows *rows)
{
  AuditJournal *journal = g_new0(AuditJournal, 1);

  *journal = (AuditJournal){.journal = db_dup(rows, 0),
                            .machine = db_dup(rows, 1),
                            .user = db_dup(rows, 2),
                            .head_seq = db_int(rows, 3),
                            .signed_seq = db_int(rows, 4),
                            .rows = db_int(rows, 5),
                            .since_us = db_int(rows, 6),
                            .last_us = db_int(rows, 7),
                            .alerts = db_int(rows, 8),
                            .broken = db_int(rows, 9) != 0};
  return journal;
}

GPtrArray *
audit_journals(Db *db, unsigned limit, GError **error)
{
  return db_read_all(
      db_query(db,
               error,
               "SELECT journal, machine, \"user\", head_seq, signed_seq, rows,"
               " since_us, last_us, alerts, broken FROM audit_journal"
               " ORDER BY last_us DESC, journal LIMIT $1",
               DB_INT(limit ? MIN(limit, AUDIT_MAX_PAGE) : AUDIT_PAGE)),
      read_journal,
      journal_free,
      error);
}
