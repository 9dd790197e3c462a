/* SPDX-License-Identifier: Apache-2.0 */
/* What was sent and used, request by request, with as little of each row as
 * that takes. */
#include "journal/reader.h"

/* A request that was refused says so in its detail; inside JSON's texts the
 * quotes would be escaped. The answer may be that of a later start:
 * `interrupted`. */
#define SELECT_USES(user, connection, model, api, issuer, detail, join)        \
  "SELECT q.wall_us, " user ", " connection ", " model ", "                    \
  "coalesce(q.body_len, q.bytes_in, 0), coalesce(r.tokens_in, -1), "           \
  "coalesce(r.tokens_out, -1), coalesce(r.bytes_out, -1), " api ", " issuer    \
  ", CASE WHEN json_valid(" detail ") THEN json_extract(" detail               \
  ", '$.sub') END FROM rows q " join                                           \
  "LEFT JOIN rows r ON r.exchange = q.exchange AND r.kind = 'response' "       \
  "WHERE q.kind = 'request' AND q.wall_us >= ?1 AND q.wall_us < ?2 "           \
  "AND instr(coalesce(" detail ", ''), '\"refused\":\"') = 0 "                 \
  "ORDER BY q.wall_us"

static const char select_uses[] =
    SELECT_USES("coalesce(q.user, c.user)",
                "coalesce(q.connection, c.connection)",
                "coalesce(q.model, c.model)",
                "coalesce(q.api, c.api)",
                "coalesce(q.issuer, c.issuer)",
                "coalesce(q.detail, d.detail)",
                "LEFT JOIN shared c ON c.id = q.context "
                "LEFT JOIN shared d ON d.id = q.shared_detail ");
/* Of a journal of before version 3. */
static const char select_old_uses[] = SELECT_USES("q.user",
                                                  "q.connection",
                                                  "q.model",
                                                  "q.api",
                                                  "q.issuer",
                                                  "q.detail",
                                                  "");

bool
journal_usage(JournalReader *reader,
              int64_t since_us,
              int64_t until_us,
              void (*each)(const JournalUse *use, void *data),
              void *data,
              GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  int result;

  if (!schema_limit_work(reader->db, reader->path, &reader->budget, error))
    return false;
  stmt = schema_prepare(reader->db,
                        reader->path,
                        reader->version < 3 ? select_old_uses : select_uses,
                        error);
  if (stmt == NULL)
    return false;
  sqlite3_bind_int64(stmt, 1, since_us);
  sqlite3_bind_int64(stmt, 2, until_us);
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    const JournalUse use = {
        .wall_us = sqlite3_column_int64(stmt, 0),
        .user = (const char *)sqlite3_column_text(stmt, 1),
        .connection = (const char *)sqlite3_column_text(stmt, 2),
        .model = (const char *)sqlite3_column_text(stmt, 3),
        .bytes = sqlite3_column_int64(stmt, 4),
        .tokens_in = sqlite3_column_int64(stmt, 5),
        .tokens_out = sqlite3_column_int64(stmt, 6),
        .answer_bytes = sqlite3_column_int64(stmt, 7),
        .api = (const char *)sqlite3_column_text(stmt, 8),
        .issuer = (const char *)sqlite3_column_text(stmt, 9),
        .sub = (const char *)sqlite3_column_text(stmt, 10),
    };

    each(&use, data);
  }
  if (result == SQLITE_DONE)
    return true;
  schema_set_error(error, reader->db, reader->path, "read");
  return false;
}
