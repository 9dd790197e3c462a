/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of each journal, for good: retention takes rows away, not
 * the head that the next shipment must follow. */
#include "hub/audit/private.h"

#include <string.h>

void
chain_state_free(void *data)
{
  Chain *chain = data;

  if (!chain)
    return;
  g_free(chain->machine);
  g_free(chain->issuer);
  g_free(chain->subject);
  g_free(chain->user);
  g_free(chain);
}

static bool
copy_blob(const DbRows *rows, unsigned column, uint8_t *out)
{
  size_t len = 0;
  const void *bytes = db_blob(rows, column, &len);

  if (!bytes || len != SHA256_LEN)
    return false;
  memcpy(out, bytes, SHA256_LEN);
  return true;
}

static Chain *
read_chain(const DbRows *rows, const char *journal)
{
  Chain *chain = g_new0(Chain, 1);

  g_strlcpy(chain->journal, journal, sizeof chain->journal);
  chain->machine = db_dup(rows, 0);
  chain->issuer = db_dup(rows, 1);
  chain->subject = db_dup(rows, 2);
  chain->user = db_dup(rows, 3);
  chain->has_key = copy_blob(rows, 4, chain->public_key) &&
                   copy_blob(rows, 5, chain->genesis);
  chain->first_seq = db_int(rows, 6);
  chain->linked = copy_blob(rows, 7, chain->first_link);
  chain->tip_seq = db_int(rows, 8);
  copy_blob(rows, 9, chain->tip_hash);
  copy_blob(rows, 10, chain->tip_link);
  chain->head_seq = db_int(rows, 11);
  chain->signed_seq = db_int(rows, 12);
  copy_blob(rows, 13, chain->signed_hash);
  chain->rows = db_int(rows, 14);
  chain->since_us = db_int(rows, 15);
  chain->last_us = db_int(rows, 16);
  chain->alerts = db_int(rows, 17);
  chain->broken = db_int(rows, 18) != 0;
  return chain;
}

bool
chain_load(Db *db, const char *journal, Chain **out, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows = db_query(
      db,
      error,
      "SELECT machine, issuer, subject, \"user\", public_key, genesis,"
      " first_seq, first_link, tip_seq, tip_hash, tip_link, head_seq,"
      " signed_seq, signed_hash, rows, since_us, last_us, alerts, broken"
      " FROM audit_journal WHERE journal=$1",
      DB_TEXT(journal));

  if (!rows)
    return false;
  *out = db_next(rows, &why) ? read_chain(rows, journal) : NULL;
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  return !why;
}

bool
chain_store(Db *db, const Chain *chain, GError **error)
{
  const uint8_t *key = chain->has_key ? chain->public_key : NULL;
  const uint8_t *genesis = chain->has_key ? chain->genesis : NULL;
  const uint8_t *first = chain->linked ? chain->first_link : NULL;

  return db_run(
             db,
             NULL,
             error,
             "INSERT INTO audit_journal(journal, machine, issuer, subject,"
             " \"user\", public_key, genesis, first_seq, first_link, tip_seq,"
             " tip_hash, tip_link, head_seq, signed_seq, signed_hash, rows,"
             " since_us, last_us, alerts, broken) VALUES($1,$2,$3,$4,$5,$6,$7,"
             "$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20)"
             " ON CONFLICT(journal) DO UPDATE SET machine=excluded.machine,"
             " issuer=excluded.issuer, subject=excluded.subject,"
             " \"user\"=excluded.\"user\", public_key=excluded.public_key,"
             " genesis=excluded.genesis, first_seq=excluded.first_seq,"
             " first_link=excluded.first_link, tip_seq=excluded.tip_seq,"
             " tip_hash=excluded.tip_hash, tip_link=excluded.tip_link,"
             " head_seq=excluded.head_seq, signed_seq=excluded.signed_seq,"
             " signed_hash=excluded.signed_hash, rows=excluded.rows,"
             " last_us=excluded.last_us, alerts=excluded.alerts,"
             " broken=excluded.broken",
             DB_TEXT(chain->journal),
             DB_TEXT(chain->machine),
             DB_TEXT(chain->issuer),
             DB_TEXT(chain->subject),
             DB_TEXT(chain->user),
             DB_BLOB_OF(key, SHA256_LEN),
             DB_BLOB_OF(genesis, SHA256_LEN),
             DB_INT(chain->first_seq),
             DB_BLOB_OF(first, SHA256_LEN),
             DB_INT(chain->tip_seq),
             DB_BLOB_OF(chain->tip_hash, SHA256_LEN),
             DB_BLOB_OF(chain->tip_link, SHA256_LEN),
             DB_INT(chain->head_seq),
             DB_INT(chain->signed_seq),
             DB_BLOB_OF(chain->signed_hash, SHA256_LEN),
             DB_INT(chain->rows),
             DB_INT(chain->since_us),
             DB_INT(chain->last_us),
             DB_INT(chain->alerts),
             DB_INT(chain->broken)) == DB_DONE;
}

char *
chain_before(Db *db, const char *machine, int64_t *head, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows =
      db_query(db,
               error,
               "SELECT journal, head_seq FROM audit_journal WHERE machine=$1"
               " ORDER BY last_us DESC LIMIT 1",
               DB_TEXT(machine));

  if (!rows)
    return NULL;
  if (db_next(rows, &why)) {
    *head = db_int(rows, 1);
    return db_dup(rows, 0);
  }
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  return NULL;
}
