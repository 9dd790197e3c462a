/* SPDX-License-Identifier: Apache-2.0 */
/* Recomputes the chain from what the database holds, type by type, and says
 * where it first differs from what was written. */
#include "journal/row.h"
#include "journal/verify-state.h"

#include "kit/json.h"

#include <stdarg.h>
#include <string.h>

/* Rows between two calls of progress(). */
#define PROGRESS_STEP 1000

bool
verify_bad(Verifier *verifier, int64_t seq, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  verifier->out->intact = false;
  verifier->out->first_bad_seq = seq;
  verifier->out->reason = g_strdup_vprintf(format, args);
  va_end(args);
  return false;
}

bool
verify_unreadable(Verifier *verifier, int64_t seq, GError **error)
{
  sqlite3 *db = verifier->reader->db;

  if (sqlite3_errcode(db) == SQLITE_CORRUPT ||
      sqlite3_errcode(db) == SQLITE_NOTADB ||
      sqlite3_errcode(db) == SQLITE_INTERRUPT)
    return verify_bad(
        verifier, seq, "the file is damaged: %s", sqlite3_errmsg(db));
  schema_set_error(error, db, verifier->reader->path, "read");
  return false;
}

void
verify_advance(Verifier *verifier)
{
  verifier->done++;
  if (verifier->progress && verifier->done % PROGRESS_STEP == 0)
    verifier->progress(verifier->done, verifier->total, verifier->data);
}

/* ---- What retention took away ------------------------------------------- */

/* An integer, as every number in a prune row is; 0 for anything else. */
static int64_t
read_number(const char *text, const JsonToken *token)
{
  g_autofree char *digits =
      g_strndup(text + token->start, token->end - token->start);
  int64_t value;

  return g_ascii_string_to_signed(digits, 10, 0, INT64_MAX, &value, NULL)
             ? value
             : 0;
}

/* The detail of a prune row: {"rows_through": N, "bodies_through": N}. */
static void
read_prune(Verifier *verifier, const char *detail)
{
  JsonReader json;
  JsonToken token;
  int64_t *target = NULL;

  json_reader_init(&json, detail, strlen(detail));
  while (json_next(&json, &token, NULL) && token.type != JSON_END) {
    if (token.type == JSON_KEY && token.depth == 1) {
      target = json_token_is(detail, &token, "rows_through")
                   ? &verifier->rows_through
               : json_token_is(detail, &token, "bodies_through")
                   ? &verifier->bodies_through
                   : NULL;
    } else if (token.type == JSON_NUMBER && token.depth == 1 && target) {
      *target = MAX(*target, read_number(detail, &token));
    }
  }
}

/* Only rows under a checkpoint count: anybody can append one that is not. */
static bool
read_prunes(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(verifier->reader->db,
                     verifier->reader->path,
                     "SELECT detail FROM rows WHERE kind = 'prune' "
                     "AND seq <= (SELECT max(seq) FROM checkpoints)",
                     error);
  int result;

  if (stmt == NULL)
    return false;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *detail = (const char *)sqlite3_column_text(stmt, 0);
    if (detail)
      read_prune(verifier, detail);
  }
  return result == SQLITE_DONE || verify_unreadable(verifier, 0, error);
}

/* ---- Checkpoints -------------------------------------------------------- */

/* Loads the next checkpoint into verifier->next. */
static bool
next_checkpoint(Verifier *verifier, GError **error)
{
  sqlite3_stmt *stmt = verifier->checkpoints;
  Checkpoint *next = &verifier->next;
  int64_t before = next->seq;
  int result = sqlite3_step(stmt);

  memset(next, 0, sizeof *next);
  if (result == SQLITE_DONE)
    return true;
  if (result != SQLITE_ROW)
    return verify_unreadable(verifier, before + 1, error);
  next->seq = sqlite3_column_int64(stmt, 0);
  next->wall_us = sqlite3_column_int64(stmt, 1);
  if (next->seq > before && column_bytes(stmt, 2, next->hash, SHA256_LEN) &&
      column_bytes(stmt, 3, next->public_key, CHAIN_KEY_LEN) &&
      column_bytes(stmt, 4, next->signature, CHAIN_SIGNATURE_LEN))
    return true;
  return verify_bad(verifier,
                    sqlite3_column_int64(stmt, 0),
                    "the checkpoint after row %lld is not whole",
                    (long long)sqlite3_column_int64(stmt, 0));
}

/* The checkpoint after the row just read: it must sign that row's hash, with
 * the journal's own key; the next row follows it. */
static bool
take_checkpoint(Verifier *verifier,
                const uint8_t hash[SHA256_LEN],
                GError **error)
{
  const Checkpoint *checkpoint = &verifier->next;
  long long seq = (long long)checkpoint->seq;

  if (memcmp(checkpoint->hash, hash, SHA256_LEN) != 0)
    return verify_bad(
        verifier, seq, "the checkpoint after row %lld is for another row", seq);
  if (memcmp(checkpoint->public_key,
             verifier->meta.public_key,
             CHAIN_KEY_LEN) != 0)
    return verify_bad(
        verifier,
        seq,
        "the checkpoint after row %lld was signed with another key",
        seq);
  if (!chain_signed(verifier->meta.genesis, checkpoint))
    return verify_bad(verifier,
                      seq,
                      "the signature of the checkpoint after row %lld is wrong",
                      seq);
  chain_link(verifier->meta.genesis, checkpoint, verifier->link);
  verifier->out->checkpoints++;
  verifier->out->signed_seq = checkpoint->seq;
  verifier->last_checkpoint = checkpoint->seq;
  return next_checkpoint(verifier, error);
}

/* ---- Rows --------------------------------------------------------------- */

/* The first row follows the genesis, or the checkpoint at retention's cut. */
static bool
start_chain(Verifier *verifier, int64_t first, GError **error)
{
  verifier->out->first_seq = first;
  if (first == 1) {
    memcpy(verifier->link, verifier->meta.genesis, SHA256_LEN);
    return true;
  }
  if (verifier->rows_through != first - 1 || verifier->next.seq != first - 1)
    return verify_bad(
        verifier,
        1,
        "the journal begins at row %lld, and no record says that the "
        "rows before it were pruned there",
        (long long)first);
  return take_checkpoint(verifier, verifier->next.hash, error);
}

/* Encodes the row as it is stored, whatever types somebody gave it. */
static bool
encode_row(Verifier *verifier, sqlite3_stmt *stmt, int64_t seq)
{
  GByteArray *encoded = verifier->encoded;

  chain_begin(encoded, CHAIN_ROW, verifier->link);
  for (int field = FIELD_SEQ; field <= FIELD_LAST; field++) {
    int column = field - 1;
    size_t len;

    if (field == FIELD_HASH)
      continue;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_NULL:
      break;
    case SQLITE_INTEGER:
      chain_int(encoded, field, sqlite3_column_int64(stmt, column));
      break;
    case SQLITE_TEXT:
      len = (size_t)sqlite3_column_bytes(stmt, column);
      chain_text(
          encoded, field, (const char *)sqlite3_column_text(stmt, column), len);
      break;
    case SQLITE_BLOB:
      len = (size_t)sqlite3_column_bytes(stmt, column);
      chain_blob(encoded, field, sqlite3_column_blob(stmt, column), len);
      break;
    default:
      return verify_bad(verifier,
                        seq,
                        "row %lld holds a value of no known type",
                        (long long)seq);
    }
  }
  return true;
}

/* The body that the row says was stored must be there, unless retention took
 * it. Its text is checked with the other bodies. */
static bool
check_body(Verifier *verifier, sqlite3_stmt *row, int64_t seq, GError **error)
{
  sqlite3_stmt *stmt = verifier->find_body;
  int column = sqlite3_column_type(row, FIELD_KEPT_DIGEST - 1) == SQLITE_NULL
                   ? FIELD_BODY_DIGEST - 1
                   : FIELD_KEPT_DIGEST - 1;
  int64_t len = -1, used = seq;
  int result;

  if (sqlite3_column_type(row, FIELD_KEPT_LEN - 1) == SQLITE_NULL)
    return true;
  sqlite3_bind_blob(stmt,
                    1,
                    sqlite3_column_blob(row, column),
                    sqlite3_column_bytes(row, column),
                    SQLITE_STATIC);
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW) {
    len = sqlite3_column_int64(stmt, 0);
    used = sqlite3_column_int64(stmt, 1);
  }
  sqlite3_reset(stmt);
  if (result != SQLITE_ROW && result != SQLITE_DONE)
    return verify_unreadable(verifier, seq, error);
  if (result == SQLITE_DONE && seq > verifier->bodies_through)
    return verify_bad(
        verifier, seq, "the body of row %lld is missing", (long long)seq);
  if (result == SQLITE_ROW &&
      len != sqlite3_column_int64(row, FIELD_KEPT_LEN - 1))
    return verify_bad(verifier,
                      seq,
                      "the body of row %lld is not as long as it was",
                      (long long)seq);
  if (used < seq)
    return verify_bad(verifier,
                      seq,
                      "the body of row %lld is marked as not used by it",
                      (long long)seq);
  return true;
}

static bool
check_row(Verifier *verifier, sqlite3_stmt *stmt, GError **error)
{
  JournalVerification *out = verifier->out;
  int64_t seq = sqlite3_column_int64(stmt, 0);
  uint8_t hash[SHA256_LEN];

  if (out->rows == 0 && !start_chain(verifier, seq, error))
    return false;
  if (out->rows > 0 && seq != out->head_seq + 1)
    return verify_bad(verifier,
                      out->head_seq + 1,
                      "row %lld is missing",
                      (long long)(out->head_seq + 1));
  if (!encode_row(verifier, stmt, seq))
    return false;
  chain_hash(verifier->encoded, hash);
  if (!column_bytes(stmt, FIELD_HASH - 1, out->head, SHA256_LEN) ||
      memcmp(out->head, hash, SHA256_LEN) != 0)
    return verify_bad(
        verifier,
        seq,
        "row %lld, or its place in the chain, is not what was written",
        (long long)seq);
  memcpy(verifier->link, hash, SHA256_LEN);
  out->head_seq = seq;
  out->rows++;
  if (seq == verifier->head_seq)
    verifier->head_found = memcmp(hash, verifier->head_hash, SHA256_LEN) == 0;
  verify_note_shared(verifier, stmt, seq);
  if (!check_body(verifier, stmt, seq, error))
    return false;
  if (verifier->next.seq == seq && !take_checkpoint(verifier, hash, error))
    return false;
  if (seq - verifier->last_checkpoint > CHAIN_MAX_UNSIGNED ||
      (verifier->next.seq > 0 && verifier->next.seq <= seq))
    return verify_bad(
        verifier,
        seq,
        "a checkpoint at or before row %lld is missing or misplaced",
        (long long)seq);
  return true;
}

static bool
check_rows(Verifier *verifier, GError **error)
{
  g_autofree char *rows = schema_rows(verifier->reader->version, "");
  g_autofree char *sql = g_strdup_printf("SELECT * FROM %s ORDER BY seq", rows);
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(verifier->reader->db, verifier->reader->path, sql, error);
  JournalVerification *out = verifier->out;
  int result;

  if (stmt == NULL)
    return false;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (!check_row(verifier, stmt, error))
      return false;
    verify_advance(verifier);
  }
  if (result != SQLITE_DONE)
    return verify_unreadable(verifier, out->head_seq + 1, error);
  if (verifier->next.seq > 0)
    return verify_bad(
        verifier,
        out->head_seq + 1,
        "rows are missing after row %lld: a checkpoint signs row %lld",
        (long long)out->head_seq,
        (long long)verifier->next.seq);
  return true;
}

/* ---- The whole ---------------------------------------------------------- */

/* A head that was held elsewhere must be where it says. */
static bool
check_head(Verifier *verifier)
{
  JournalVerification *out = verifier->out;

  if (verifier->head_seq == 0 || verifier->head_found)
    return true;
  if (verifier->head_seq > out->head_seq)
    return verify_bad(
        verifier,
        out->head_seq + 1,
        "the journal was truncated: it ends at row %lld, the head held "
        "elsewhere is row %lld",
        (long long)out->head_seq,
        (long long)verifier->head_seq);
  if (verifier->head_seq < out->first_seq)
    return verify_bad(
        verifier,
        verifier->head_seq,
        "the head held elsewhere is row %lld, which was pruned: use a "
        "newer head",
        (long long)verifier->head_seq);
  return verify_bad(
      verifier,
      verifier->head_seq,
      "the chain was rewritten: row %lld is not the one in the head "
      "held elsewhere",
      (long long)verifier->head_seq);
}

/* Indices that do not hold what the tables do would hide rows from queries. */
static bool
check_file(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = schema_prepare(verifier->reader->db,
                                                verifier->reader->path,
                                                "PRAGMA integrity_check(1)",
                                                error);
  const char *text;

  if (stmt == NULL)
    return false;
  if (sqlite3_step(stmt) != SQLITE_ROW)
    return verify_unreadable(verifier, 0, error);
  text = (const char *)sqlite3_column_text(stmt, 0);
  return g_strcmp0(text, "ok") == 0 ||
         verify_bad(verifier, 0, "the file is damaged: %s", text ? text : "");
}

/* Rows and bodies, for progress(). */
static bool
count_work(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(verifier->reader->db,
                     verifier->reader->path,
                     "SELECT coalesce((SELECT max(seq) FROM rows), 0) - "
                     "coalesce((SELECT min(seq) - 1 FROM rows), 0) + "
                     "coalesce((SELECT max(id) FROM bodies), 0)",
                     error);

  if (stmt == NULL)
    return false;
  if (sqlite3_step(stmt) != SQLITE_ROW)
    return verify_unreadable(verifier, 0, error);
  verifier->total = sqlite3_column_int64(stmt, 0);
  return true;
}

static bool
prepare_all(Verifier *verifier, GError **error)
{
  JournalReader *reader = verifier->reader;

  verifier->checkpoints =
      schema_prepare(reader->db,
                     reader->path,
                     "SELECT seq, wall_us, hash, public_key, signature "
                     "FROM checkpoints ORDER BY seq",
                     error);
  if (verifier->checkpoints == NULL)
    return false;
  verifier->find_body =
      schema_prepare(reader->db,
                     reader->path,
                     reader->version < 2 ? "SELECT len, 1 << 62 FROM bodies "
                                           "WHERE digest = ?"
                                         : "SELECT len, used_seq FROM bodies "
                                           "WHERE digest = ?",
                     error);
  if (verifier->find_body == NULL)
    return false;
  verifier->find_namer =
      schema_prepare(reader->db,
                     reader->path,
                     "SELECT coalesce(kept_digest, body_digest) FROM rows "
                     "WHERE seq = ? AND kept_len IS NOT NULL",
                     error);
  return verifier->find_namer != NULL;
}

/* Accepts statements that were never prepared. */
static void
finalize_all(Verifier *verifier)
{
  sqlite3_finalize(verifier->checkpoints);
  sqlite3_finalize(verifier->find_body);
  sqlite3_finalize(verifier->find_namer);
  g_byte_array_unref(verifier->encoded);
  g_hash_table_unref(verifier->shared);
}

/* "SEQ:HEXHASH", surrounding white space allowed. */
static bool
parse_head(Verifier *verifier, const char *head, GError **error)
{
  g_autofree char *text = g_strstrip(g_strdup(head));
  char *end = NULL;

  verifier->head_seq = g_ascii_strtoll(text, &end, 10);
  if (verifier->head_seq > 0 && *end == ':' &&
      hex_decode(end + 1, verifier->head_hash, SHA256_LEN))
    return true;
  g_set_error_literal(error,
                      JOURNAL_ERROR,
                      JOURNAL_ERROR_NOT_FOUND,
                      "this is not a journal's head: a row's number, a colon "
                      "and 64 hex digits were expected");
  return false;
}

static bool
run_checks(Verifier *verifier, GError **error)
{
  JournalReader *reader = verifier->reader;

  if (reader->version == 0)
    return verify_bad(verifier,
                      0,
                      "no journal was begun in this file, or its write-ahead "
                      "log (%s-wal), which held all of it, is gone",
                      reader->path);
  return schema_read_meta(reader->db, reader->path, &verifier->meta, error) &&
         count_work(verifier, error) && read_prunes(verifier, error) &&
         prepare_all(verifier, error) && next_checkpoint(verifier, error) &&
         check_rows(verifier, error) && check_head(verifier) &&
         verify_receipts(verifier, error) && verify_shared(verifier, error) &&
         verify_kept(verifier, error) && verify_bodies(verifier, error) &&
         check_file(verifier, error);
}

/* What the row was, as far as it can still be read. */
static void
name_bad_row(Verifier *verifier)
{
  JournalReader *reader = verifier->reader;
  JournalVerification *out = verifier->out;
  g_autoptr(sqlite3_stmt) stmt = NULL;

  if (out->intact)
    return;
  stmt = schema_prepare(reader->db,
                        reader->path,
                        "SELECT kind, exchange, wall_us FROM rows "
                        "WHERE seq = ?",
                        NULL);
  sqlite3_bind_int64(stmt, 1, out->first_bad_seq);
  if (stmt == NULL || sqlite3_step(stmt) != SQLITE_ROW)
    return;
  out->bad_kind = g_utf8_make_valid((const char *)sqlite3_column_text(stmt, 0),
                                    sqlite3_column_bytes(stmt, 0));
  if (sqlite3_column_type(stmt, 1) != SQLITE_NULL)
    out->bad_exchange =
        g_utf8_make_valid((const char *)sqlite3_column_text(stmt, 1),
                          sqlite3_column_bytes(stmt, 1));
  out->bad_wall_us = sqlite3_column_int64(stmt, 2);
}

bool
journal_verify(JournalReader *reader,
               const JournalWitness *witness,
               void (*progress)(int64_t done, int64_t total, void *data),
               void *data,
               JournalVerification *out,
               GError **error)
{
  JournalVerification result = {.intact = true};
  Verifier verifier = {
      .reader = reader,
      .out = &result,
      .progress = progress,
      .data = data,
      .receiver_key = witness ? witness->receiver_key : NULL,
      .receipts = witness ? witness->receipts : NULL,
  };
  g_autoptr(GError) why = NULL;

  if (witness && witness->head && !parse_head(&verifier, witness->head, error))
    return false;
  if (verifier.receipts && !verifier.receiver_key) {
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_NOT_FOUND,
                        "receipts say nothing without the receiver's key");
    return false;
  }
  verifier.encoded = g_byte_array_new();
  verifier.shared =
      g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
  /* One transaction: a snapshot, however long this takes beside a writer. */
  sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL);
  if (schema_limit_work(reader->db, reader->path, &reader->budget, &why))
    run_checks(&verifier, &why);
  if (!why)
    name_bad_row(&verifier);
  finalize_all(&verifier);
  sqlite3_exec(reader->db, "ROLLBACK", NULL, NULL, NULL);
  if (why && why->code == JOURNAL_ERROR_CORRUPT) {
    verify_bad(&verifier, 0, "%s", why->message);
    g_clear_error(&why);
  }
  if (why) {
    journal_verification_clear(&result);
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
  }
  if (progress && result.intact)
    progress(verifier.total, verifier.total, data);
  *out = result;
  return true;
}

void
journal_verification_clear(JournalVerification *verification)
{
  g_clear_pointer(&verification->bad_kind, g_free);
  g_clear_pointer(&verification->bad_exchange, g_free);
  g_clear_pointer(&verification->reason, g_free);
  memset(verification, 0, sizeof *verification);
}
