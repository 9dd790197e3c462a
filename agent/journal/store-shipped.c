/* SPDX-License-Identifier: Apache-2.0 */
/* What shipping keeps: cursors, rows set aside, receipts. */
#include "journal/store-state.h"

#include "kit/clock.h"

static bool
set_cursor(Store *store, const JournalShipped *shipped, GError **error)
{
  sqlite3_stmt *stmt = store->set_cursor;

  if (shipped->seq == 0 && shipped->checkpoint_seq == 0)
    return true;
  sqlite3_bind_text(stmt, 1, shipped->receiver, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, shipped->seq);
  sqlite3_bind_int64(stmt, 3, shipped->checkpoint_seq);
  sqlite3_bind_int64(stmt, 4, clock_wall_us());
  return store_step(store, stmt, error);
}

static bool
set_aside(Store *store, const JournalShipped *shipped, GError **error)
{
  sqlite3_stmt *stmt = store->set_aside;

  if (shipped->bad_seq == 0)
    return true;
  sqlite3_bind_text(stmt, 1, shipped->receiver, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, shipped->bad_seq);
  sqlite3_bind_int64(stmt, 3, clock_wall_us());
  sqlite3_bind_text(stmt,
                    4,
                    shipped->bad_reason ? shipped->bad_reason : "",
                    -1,
                    SQLITE_STATIC);
  return store_step(store, stmt, error);
}

static bool
keep_receipt(Store *store, const JournalShipped *shipped, GError **error)
{
  sqlite3_stmt *stmt = store->keep_receipt;

  if (shipped->receipt_seq == 0 || shipped->receipt_hash == NULL)
    return true;
  sqlite3_bind_text(stmt, 1, shipped->receiver, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, shipped->receipt_seq);
  sqlite3_bind_int64(stmt, 3, clock_wall_us());
  sqlite3_bind_blob(stmt, 4, shipped->receipt_hash, SHA256_LEN, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 5, shipped->receipt, -1, SQLITE_STATIC);
  return store_step(store, stmt, error);
}

bool
store_shipped(Store *store, const JournalShipped *shipped, GError **error)
{
  return set_cursor(store, shipped, error) &&
         set_aside(store, shipped, error) &&
         keep_receipt(store, shipped, error);
}
