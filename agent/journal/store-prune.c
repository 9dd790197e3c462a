/* SPDX-License-Identifier: Apache-2.0 */
/* Retention: old rows go in small transactions, each of which says in a signed
 * row what it took; the pages they leave are given back a few at a time. */
#include "journal/prune.h"
#include "journal/store-state.h"

#include "kit/clock.h"

/* Rows that one transaction takes, and pages that one gives back: each a few
 * milliseconds, so that requests are not kept waiting. */
#define STEP_ROWS 500
#define STEP_PAGES 128
/* Unused pages are kept for new rows up to this many, or this share of all. */
#define KEEP_PAGES 256
#define KEEP_SHARE 20
/* The index follows within seconds; files beside are looked at again after. */
#define BESIDE_US ((int64_t)10 * 60 * G_USEC_PER_SEC)

/* Deletes what a row number says; the number of rows that went. */
static bool
delete_through(Store *store,
               const char *sql,
               int64_t seq,
               int64_t *deleted,
               GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(store->db, store->path, sql, error);

  if (stmt == NULL)
    return false;
  sqlite3_bind_int64(stmt, 1, seq);
  if (!store_step(store, stmt, error))
    return false;
  if (deleted)
    *deleted += sqlite3_changes64(store->db);
  return true;
}

static bool
delete_all(Store *store, int64_t cut, JournalPruned *gone, GError **error)
{
  return delete_through(store,
                        "DELETE FROM bodies WHERE used_seq <= ?",
                        cut,
                        &gone->bodies,
                        error) &&
         delete_through(store,
                        "DELETE FROM parts WHERE used_seq <= ?",
                        cut - PART_LAG,
                        NULL,
                        error) &&
         delete_through(store,
                        "DELETE FROM shared WHERE used_seq <= ?",
                        cut - PART_LAG,
                        NULL,
                        error) &&
         delete_through(
             store, "DELETE FROM sealed WHERE seq <= ?", cut, NULL, error) &&
         delete_through(store,
                        "DELETE FROM quarantine WHERE seq <= ?",
                        cut,
                        NULL,
                        error) &&
         delete_through(
             store, "DELETE FROM receipts WHERE seq < ?", cut, NULL, error) &&
         delete_through(store,
                        "DELETE FROM checkpoints WHERE seq < ?",
                        cut,
                        NULL,
                        error) &&
         delete_through(
             store, "DELETE FROM rows WHERE seq <= ?", cut, &gone->rows, error);
}

/* The transaction: what goes, and the signed row that says so. */
static bool
cut_off(Store *store,
        int64_t cut,
        bool by_size,
        JournalPruned *gone,
        GError **error)
{
  g_autoptr(JournalRow) row = journal_row_new(ROW_PRUNE);

  g_hash_table_remove_all(store->shared);
  g_hash_table_remove_all(store->checked);
  if (!store_step(store, store->begin, error) ||
      !delete_all(store, cut, gone, error))
    return false;
  row->verdict = g_strdup(by_size ? "size" : "age");
  row->detail = g_strdup_printf("{\"rows_through\":%" G_GINT64_FORMAT
                                ",\"bodies_through\":%" G_GINT64_FORMAT
                                ",\"rows\":%" G_GINT64_FORMAT
                                ",\"bodies\":%" G_GINT64_FORMAT "}",
                                cut,
                                cut,
                                gone->rows,
                                gone->bodies);
  return store_put(store, row, error) && store_checkpoint(store, error) &&
         store_commit(store, error);
}

/* What counts to max-size: pages in use and, as the share that they were, the
 * files beside. What an index gives back for the rows that went is seen when it
 * had the time to. */
static uint64_t
counted(Store *store, uint64_t used)
{
  const int64_t now = clock_mono_us();

  if (!store->shrinking && now >= store->beside_until) {
    store->beside = prune_share(prune_beside(store->path), used);
    store->beside_until = now + BESIDE_US;
  }
  return used + used / 100 * store->beside;
}

/* The next cut for age, or else for size; 0: none is due. */
static bool
find_cut(Store *store, int64_t *cut, bool *by_size, GError **error)
{
  const JournalRetention *keep = &store->keep;
  int64_t first, limit;
  uint64_t used;
  bool was = store->shrinking;

  *cut = 0;
  if (keep->retain_us == 0)
    return true;
  if (!prune_first(store->db, store->path, &first, error) ||
      !prune_limit(store->db, store->path, keep->ship_to, &limit, error) ||
      !prune_used(store->db, store->path, &used, error))
    return false;
  limit = MIN(limit, first + STEP_ROWS - 1);
  if (!prune_cut(store->db,
                 store->path,
                 limit,
                 clock_wall_us() - keep->retain_us,
                 cut,
                 error))
    return false;
  *by_size = false;
  if (*cut >= first || keep->max_size == 0)
    return true;
  *by_size = true;
  used = counted(store, used);
  store->shrinking = used > keep->max_size / 100 *
                                (store->shrinking ? PRUNE_UNTIL : PRUNE_ABOVE);
  if (was && !store->shrinking)
    store->beside_until = clock_mono_us() + BESIDE_US;
  return !store->shrinking ||
         prune_cut(store->db, store->path, limit, INT64_MAX, cut, error);
}

/* Rows that only tell of earlier cuts are no reason for another: it would
 * leave one more. */
static bool
is_worth_it(Store *store, int64_t cut, bool *worth, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = schema_prepare(
      store->db,
      store->path,
      "SELECT EXISTS (SELECT 1 FROM rows WHERE seq <= ? AND kind != 'prune')",
      error);

  if (stmt == NULL)
    return false;
  sqlite3_bind_int64(stmt, 1, cut);
  if (sqlite3_step(stmt) != SQLITE_ROW) {
    schema_set_error(error, store->db, store->path, "read");
    return false;
  }
  *worth = sqlite3_column_int(stmt, 0) != 0;
  return true;
}

bool
store_prune(Store *store, JournalPruned *total, bool *more, GError **error)
{
  JournalPruned gone = {0};
  int64_t cut = 0, first;
  bool by_size = false, worth = false;

  *more = false;
  if (!prune_first(store->db, store->path, &first, error) ||
      !find_cut(store, &cut, &by_size, error))
    return false;
  if (first == 0 || cut < first)
    return true;
  if (!is_worth_it(store, cut, &worth, error))
    return false;
  if (!worth)
    return true;
  if (!cut_off(store, cut, by_size, &gone, error)) {
    store_rollback(store);
    return false;
  }
  total->rows += gone.rows;
  total->bodies += gone.bodies;
  total->through_seq = cut;
  total->by_size = total->by_size || by_size;
  *more = true;
  return true;
}

static bool
pages(Store *store, const char *pragma, int64_t *count, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(store->db, store->path, pragma, error);

  if (stmt == NULL)
    return false;
  if (sqlite3_step(stmt) != SQLITE_ROW) {
    schema_set_error(error, store->db, store->path, "read");
    return false;
  }
  *count = sqlite3_column_int64(stmt, 0);
  return true;
}

bool
store_give_back(Store *store, bool *more, GError **error)
{
  g_autofree char *sql =
      g_strdup_printf("PRAGMA incremental_vacuum(%d)", STEP_PAGES);
  int64_t all, unused;

  *more = false;
  if (!pages(store, "PRAGMA page_count", &all, error) ||
      !pages(store, "PRAGMA freelist_count", &unused, error))
    return false;
  if (unused <= MAX(KEEP_PAGES, all / KEEP_SHARE))
    return true;
  if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
    schema_set_error(error, store->db, store->path, "write");
    return false;
  }
  *more = true;
  return true;
}
