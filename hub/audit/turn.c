/* SPDX-License-Identifier: Apache-2.0 */
/* What waits is stored in one transaction: rows in bulk, the chains' new heads,
 * alerts; then receipts are signed for what is on disk. */
#include "hub/audit/private.h"
#include "kit/clock.h"
#include "review/review.h"

#include <string.h>

/* Rows that wait before they are written; also what holds on to memory. */
#define MAX_PENDING 1000

static const char insert_row[] =
    "INSERT INTO audit_row(key, journal, seq, kind, at_us, received_us,"
    " severity, event, trace, said, machine, sender, \"user\", rule, verdict,"
    " model, marks, content, hash, resource, attributes) VALUES($1,$2,$3,$4,$5,"
    "$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21)"
    " ON CONFLICT(key) DO NOTHING";

bool
turn_flush(Turn *turn, GError **error)
{
  const unsigned n = turn->values->len / TURN_COLUMNS;
  g_autofree unsigned *changed = g_new0(unsigned, n);
  DbResult result;

  if (n == 0)
    return true;
  result = db_run_many(turn->db,
                       insert_row,
                       (const DbValue *)(void *)turn->values->data,
                       TURN_COLUMNS,
                       n,
                       changed,
                       error);
  if (result != DB_DONE) {
    if (result == DB_CONFLICT)
      g_set_error_literal(error,
                          DB_ERROR,
                          DB_ERROR_CONSTRAINT,
                          "a row does not fit into the record");
    return false;
  }
  for (unsigned i = 0; i < n; i++) {
    turn->taken += changed[i] > 0;
    turn->known += changed[i] == 0;
  }
  g_array_set_size(turn->values, 0);
  g_ptr_array_set_size(turn->texts, 0);
  return true;
}

/* ---- one row --------------------------------------------------------------
 */

static void
add_values(Turn *turn,
           const TurnSender *sender,
           const AuditRow *row,
           const char *key,
           unsigned marks,
           const char *resource)
{
  const AuditPlace *place = &row->place;
  const uint8_t *hash = NULL;

  if (row->placed)
    hash = place->checkpoint && place->has_link ? place->link : place->hash;
  {
    const DbValue values[TURN_COLUMNS] = {
        DB_TEXT(key),
        DB_TEXT(row->placed ? place->journal : NULL),
        row->placed ? DB_INT(place->seq) : DB_NO_INT,
        DB_TEXT(row->kind),
        DB_INT(row->at_us),
        DB_INT(turn->now_us),
        DB_INT(row->severity),
        DB_TEXT(row->event),
        DB_TEXT(row->trace),
        DB_TEXT(row->said),
        DB_TEXT(sender->machine),
        DB_TEXT(sender->user),
        DB_TEXT(row->user),
        DB_TEXT(row->rule),
        DB_TEXT(row->verdict),
        DB_TEXT(row->model),
        DB_INT(marks),
        DB_INT(row->placed ? (int64_t)place->content : AUDIT_CONTENT_PARTIAL),
        DB_BLOB_OF(hash, SHA256_LEN),
        DB_TEXT(resource),
        DB_TEXT(row->attributes),
    };

    g_array_append_vals(turn->values, values, TURN_COLUMNS);
  }
}

static bool
take_row(Turn *turn,
         const TurnRequest *request,
         const AuditRow *row,
         const char *resource,
         GError **error)
{
  Followed followed = {0};
  Chain *chain;

  if (row->placed && !follow(turn, &request->sender, row, &followed, error)) {
    g_free(followed.key);
    return false;
  }
  if (followed.known) {
    turn->known++;
    g_free(followed.key);
    return true;
  }
  if (followed.key)
    g_ptr_array_add(turn->texts, followed.key);
  add_values(turn,
             &request->sender,
             row,
             followed.key ? followed.key : row->key,
             followed.marks,
             resource);
  chain = row->placed ? g_hash_table_lookup(turn->chains, row->place.journal)
                      : NULL;
  if (chain && !row->place.checkpoint && !chain->foreign)
    chain->rows++;
  return turn->values->len < MAX_PENDING * TURN_COLUMNS ||
         turn_flush(turn, error);
}

/* ---- one request ----------------------------------------------------------
 */

/* Resources by their digests, each stored once. */
static GPtrArray *
take_resources(Turn *turn, const AuditLogs *logs, GError **error)
{
  g_autoptr(GPtrArray) digests = g_ptr_array_new_with_free_func(g_free);

  for (guint i = 0; i < logs->resources->len; i++) {
    const char *text = logs->resources->pdata[i];
    uint8_t hash[SHA256_LEN];
    char *hex = g_malloc(SHA256_HEX_SIZE);

    sha256(text, strlen(text), hash);
    hex_encode(hash, 16, hex);
    g_ptr_array_add(digests, hex);
    if (db_run(turn->db,
               NULL,
               error,
               "INSERT INTO audit_resource(digest, attributes) VALUES($1, $2)"
               " ON CONFLICT(digest) DO NOTHING",
               DB_TEXT(hex),
               DB_TEXT(text)) != DB_DONE)
      return NULL;
  }
  return g_steal_pointer(&digests);
}

static bool
take_request(Turn *turn, TurnRequest *request, GError **error)
{
  const AuditLogs *logs = request->logs;
  g_autoptr(GPtrArray) digests = take_resources(turn, logs, error);

  turn->taken = turn->known = 0;
  if (!digests)
    return false;
  for (guint i = 0; i < logs->rows->len; i++) {
    const AuditRow *row = &g_array_index(logs->rows, AuditRow, i);

    if (!take_row(turn, request, row, digests->pdata[row->resource], error))
      return false;
  }
  if (!turn_flush(turn, error))
    return false;
  request->taken = turn->taken;
  request->known = turn->known;
  return true;
}

/* What the machine may keep as proof: that its journal is held, whole, up to
 * the newest checkpoint. */
static void
sign_receipt(const Turn *turn, TurnRequest *request, const SigningKey *key)
{
  const GArray *rows = request->logs->rows;
  ReviewReceipt receipt = {.time_us = turn->now_us};
  const Chain *chain = NULL;

  if (!request->sender.machine)
    return;
  for (guint i = 0; i < rows->len && !chain; i++) {
    const AuditRow *row = &g_array_index(rows, AuditRow, i);

    if (row->placed)
      chain = g_hash_table_lookup(turn->chains, row->place.journal);
  }
  if (!chain || chain->broken || chain->signed_seq == 0 ||
      g_strcmp0(chain->machine, request->sender.machine) != 0)
    return;
  g_strlcpy(receipt.machine, request->sender.machine, sizeof receipt.machine);
  g_strlcpy(receipt.journal, chain->journal, sizeof receipt.journal);
  receipt.seq = chain->signed_seq;
  memcpy(receipt.hash, chain->signed_hash, SHA256_LEN);
  if (review_receipt_sign(&receipt, key))
    request->receipt = review_receipt_format(&receipt);
}

/* ---- the transaction ------------------------------------------------------
 */

static bool
store_alerts(Turn *turn, GError **error)
{
  for (guint i = 0; i < turn->alerts->len; i++) {
    const AuditAlert *alert = turn->alerts->pdata[i];

    if (db_run(turn->db,
               NULL,
               error,
               "INSERT INTO audit_alert(at_us, kind, journal, seq, rows,"
               " machine, \"user\", detail) VALUES($1,$2,$3,$4,$5,$6,$7,$8)",
               DB_INT(alert->at_us),
               DB_TEXT(alert->kind),
               DB_TEXT(alert->journal),
               DB_INT(alert->seq),
               DB_INT(alert->rows),
               DB_TEXT(alert->machine),
               DB_TEXT(alert->user),
               DB_TEXT(alert->detail)) != DB_DONE)
      return false;
  }
  return true;
}

static bool
take_all(Turn *turn, TurnRequest *const *requests, unsigned n, GError **error)
{
  GHashTableIter each;
  void *chain;

  if (db_run(turn->db,
             NULL,
             error,
             "UPDATE audit_turn SET n = n + 1 WHERE one = 1") != DB_DONE)
    return false;
  for (unsigned i = 0; i < n; i++)
    if (!take_request(turn, requests[i], error))
      return false;
  g_hash_table_iter_init(&each, turn->chains);
  while (g_hash_table_iter_next(&each, NULL, &chain))
    if (!chain_store(turn->db, chain, error))
      return false;
  return store_alerts(turn, error);
}

bool
turn_run(Db *db,
         const SigningKey *key,
         TurnRequest *const *requests,
         unsigned n,
         GPtrArray *alerts,
         GError **error)
{
  g_autoptr(GHashTable) chains =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, chain_state_free);
  g_autoptr(GPtrArray) raised =
      g_ptr_array_new_with_free_func(audit_alert_free);
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GArray) values = g_array_new(FALSE, FALSE, sizeof(DbValue));
  Turn turn = {.db = db,
               .now_us = clock_wall_us(),
               .chains = chains,
               .alerts = raised,
               .values = values,
               .texts = texts};
  bool good;

  if (!db_begin(db, error))
    return false;
  good = take_all(&turn, requests, n, error);
  if (db_finish(db, good ? DB_DONE : DB_FAILED, good ? error : NULL) != DB_DONE)
    return false;
  for (unsigned i = 0; i < n; i++)
    sign_receipt(&turn, requests[i], key);
  g_ptr_array_extend_and_steal(alerts, g_steal_pointer(&raised));
  return true;
}
