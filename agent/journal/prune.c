/* SPDX-License-Identifier: Apache-2.0 */
/* Where retention may cut, and what it would take away. */
#include "journal/prune.h"

#include "journal/reader.h"

#include "kit/clock.h"

#include <sys/stat.h>

/* One integer by SQL with up to three parameters: ?1 is a text (or NULL), ?2
 * and ?3 are numbers. */
static bool
read_number(sqlite3 *db,
            const char *path,
            const char *sql,
            const char *text,
            int64_t second,
            int64_t third,
            int64_t *out,
            GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = schema_prepare(db, path, sql, error);
  int n = stmt ? sqlite3_bind_parameter_count(stmt) : 0;

  if (stmt == NULL)
    return false;
  if (n >= 1 && text)
    sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC);
  if (n >= 2)
    sqlite3_bind_int64(stmt, 2, second);
  if (n >= 3)
    sqlite3_bind_int64(stmt, 3, third);
  if (sqlite3_step(stmt) != SQLITE_ROW) {
    schema_set_error(error, db, path, "read");
    return false;
  }
  *out = sqlite3_column_int64(stmt, 0);
  return true;
}

bool
prune_first(sqlite3 *db, const char *path, int64_t *first, GError **error)
{
  return read_number(db,
                     path,
                     "SELECT coalesce(min(seq), 0) FROM rows",
                     NULL,
                     0,
                     0,
                     first,
                     error);
}

bool
prune_limit(sqlite3 *db,
            const char *path,
            const char *ship_to,
            int64_t *limit,
            GError **error)
{
  int64_t shipped = INT64_MAX, open;

  if (!read_number(db,
                   path,
                   "SELECT coalesce(min(seq) - 1, 0x7fffffffffffffff) "
                   "FROM open_requests",
                   NULL,
                   0,
                   0,
                   &open,
                   error))
    return false;
  if (ship_to &&
      !read_number(db,
                   path,
                   "SELECT coalesce(max(iif(checkpoint_seq > 0, "
                   "min(seq, checkpoint_seq), seq)), 0) FROM ship_cursor "
                   "WHERE receiver = ?1",
                   ship_to,
                   0,
                   0,
                   &shipped,
                   error))
    return false;
  *limit = MIN(shipped, open);
  return true;
}

bool
prune_cut(sqlite3 *db,
          const char *path,
          int64_t limit,
          int64_t before_us,
          int64_t *cut,
          GError **error)
{
  /* A clock that stepped back must not let younger rows go: the cut comes
   * before the first checkpoint that is too young. */
  return read_number(db,
                     path,
                     "SELECT coalesce(max(seq), 0) FROM checkpoints WHERE "
                     "seq <= ?2 AND seq < coalesce((SELECT min(seq) FROM "
                     "checkpoints WHERE wall_us >= ?3), 0x7fffffffffffffff)",
                     NULL,
                     limit,
                     before_us,
                     cut,
                     error);
}

bool
prune_used(sqlite3 *db, const char *path, uint64_t *used, GError **error)
{
  int64_t pages, unused, size;

  if (!read_number(db, path, "PRAGMA page_count", NULL, 0, 0, &pages, error) ||
      !read_number(
          db, path, "PRAGMA freelist_count", NULL, 0, 0, &unused, error) ||
      !read_number(db, path, "PRAGMA page_size", NULL, 0, 0, &size, error))
    return false;
  *used = (uint64_t)MAX(pages - unused, 0) * (uint64_t)size;
  return true;
}

uint64_t
prune_beside(const char *path)
{
  static const char *const endings[] = {
      ".search", ".search-wal", ".search-shm", "-shm", ".key", ".lock"};
  uint64_t size = 0;

  for (unsigned i = 0; i < G_N_ELEMENTS(endings); i++) {
    g_autofree char *file = g_strconcat(path, endings[i], NULL);
    struct stat info;

    if (stat(file, &info) == 0)
      size += (uint64_t)info.st_size;
  }
  return size;
}

unsigned
prune_share(uint64_t beside, uint64_t used)
{
  return used / 100 == 0
             ? 0
             : (unsigned)MIN(beside / (used / 100), PRUNE_MOST_BESIDE);
}

/* ---- Beforehand --------------------------------------------------------- */

/* Rows and bodies up to the cut. */
static bool
count(JournalReader *reader, int64_t cut, JournalPruned *out, GError **error)
{
  return read_number(reader->db,
                     reader->path,
                     "SELECT count(*) FROM rows WHERE seq <= ?2",
                     NULL,
                     cut,
                     0,
                     &out->rows,
                     error) &&
         read_number(reader->db,
                     reader->path,
                     "SELECT count(*) FROM bodies WHERE "
                     "used_seq <= ?2",
                     NULL,
                     cut,
                     0,
                     &out->bodies,
                     error);
}

/* As many rows as the share of the size that must go. */
static bool
cut_for_size(JournalReader *reader,
             const JournalRetention *keep,
             const JournalPruned *plan,
             int64_t limit,
             int64_t *cut,
             GError **error)
{
  int64_t first, last;
  const uint64_t share = prune_share(plan->beside, plan->used);
  const uint64_t used = plan->used + plan->used / 100 * share;
  uint64_t aim;

  *cut = 0;
  if (keep->max_size == 0 || keep->retain_us == 0)
    return true;
  if (!prune_first(reader->db, reader->path, &first, error) ||
      !read_number(reader->db,
                   reader->path,
                   "SELECT coalesce(max(seq), 0) FROM rows",
                   NULL,
                   0,
                   0,
                   &last,
                   error))
    return false;
  if (used <= keep->max_size / 100 * PRUNE_ABOVE)
    return true;
  aim = keep->max_size / 100 * PRUNE_UNTIL;
  limit = MIN(limit,
              first + (int64_t)((double)(last - first) * (double)(used - aim) /
                                (double)used));
  return prune_cut(reader->db, reader->path, limit, INT64_MAX, cut, error);
}

bool
journal_prune_plan(JournalReader *reader,
                   const JournalRetention *keep,
                   JournalPruned *out,
                   GError **error)
{
  JournalPruned plan = {0};
  int64_t limit = 0, by_age = 0, by_size = 0;

  if (reader->version < 2) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_OPEN,
                "the journal %s was written by an older version: start the "
                "agent once",
                reader->path);
    return false;
  }
  if (!schema_limit_work(reader->db, reader->path, &reader->budget, error) ||
      !prune_limit(reader->db, reader->path, keep->ship_to, &limit, error))
    return false;
  if (keep->retain_us > 0 && !prune_cut(reader->db,
                                        reader->path,
                                        limit,
                                        clock_wall_us() - keep->retain_us,
                                        &by_age,
                                        error))
    return false;
  plan.beside = prune_beside(reader->path);
  if (!prune_used(reader->db, reader->path, &plan.used, error) ||
      !cut_for_size(reader, keep, &plan, limit, &by_size, error))
    return false;
  plan.through_seq = MAX(by_age, by_size);
  plan.by_size = by_size > by_age;
  if (!count(reader, plan.through_seq, &plan, error))
    return false;
  *out = plan;
  return true;
}
