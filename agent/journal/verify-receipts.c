/* SPDX-License-Identifier: Apache-2.0 */
/* What receivers confirmed to hold, which is a head held elsewhere: as the
 * journal remembers it, and as it comes from the receiver anew. */
#include "journal/verify-state.h"

#include "review/review.h"

#include <string.h>

/* ---- One receipt --------------------------------------------------------- */

/* Where a receipt is from, for a sentence. */
typedef struct {
  const char *receiver; /* as the journal names it; NULL: given from outside */
  unsigned number;      /* of those given, from 1 on */
} Origin;

static char *
origin_text(const Origin *origin)
{
  return origin->receiver
             ? g_strdup_printf("the receipt of %s", origin->receiver)
             : g_strdup_printf("receipt %u of those given", origin->number);
}

/* Its form, its journal and its signature; *problem becomes a phrase. */
static bool
read_receipt(const Verifier *verifier,
             const char *text,
             size_t len,
             ReviewReceipt *out,
             char **problem)
{
  const uint8_t *key = verifier->receiver_key;
  char id[REVIEW_JOURNAL_ID_SIZE];
  g_autoptr(GError) error = NULL;

  hex_encode(verifier->meta.id, sizeof verifier->meta.id, id);
  if (!review_receipt_parse(text, len, out, &error))
    *problem = g_strdup_printf("is none: %s", error->message);
  else if (!g_str_equal(out->journal, id))
    *problem = g_strdup_printf("is for another journal (%s)", out->journal);
  else if (key && memcmp(out->public_key, key, SIGNING_KEY_LEN) != 0)
    *problem = g_strdup("was signed with another key than the receiver's");
  else if (!review_receipt_is_signed(out, key ? key : out->public_key))
    *problem = g_strdup("is altered or forged: its signature is wrong");
  return *problem == NULL;
}

/* The newest of those that the receiver's key signed. */
static void
note_signed(Verifier *verifier, const ReviewReceipt *receipt)
{
  JournalVerification *out = verifier->out;

  out->receipts++;
  if (!verifier->receiver_key || receipt->seq <= out->receipt_seq)
    return;
  out->receipt_seq = receipt->seq;
  out->receipt_us = receipt->time_us;
}

/* What a receiver holds must be here, unless it was pruned; `row` NULL: there
 * is no such row. */
static bool
check_held(Verifier *verifier,
           const char *who,
           int64_t seq,
           const uint8_t held[SHA256_LEN],
           const uint8_t *row)
{
  JournalVerification *out = verifier->out;

  if (seq > out->head_seq)
    return verify_bad(verifier,
                      out->head_seq + 1,
                      "the journal was truncated: it ends at row %lld, %s "
                      "received row %lld",
                      (long long)out->head_seq,
                      who,
                      (long long)seq);
  if (seq < out->first_seq || !held)
    return true;
  if (row && memcmp(held, row, SHA256_LEN) == 0)
    return true;
  return verify_bad(verifier,
                    seq,
                    "the chain was rewritten: row %lld is not the one that %s "
                    "confirmed to hold",
                    (long long)seq,
                    who);
}

/* ---- Those in the journal ------------------------------------------------ */

/* The receiver's words must say what the columns do. */
static bool
check_words(Verifier *verifier,
            const char *text,
            size_t len,
            const char *receiver,
            int64_t seq,
            const uint8_t *held)
{
  const Origin origin = {.receiver = receiver};
  g_autofree char *what = origin_text(&origin);
  g_autofree char *problem = NULL;
  ReviewReceipt receipt = {0};

  if (!read_receipt(verifier, text, len, &receipt, &problem))
    return verify_bad(
        verifier, seq, "%s for row %lld %s", what, (long long)seq, problem);
  if (receipt.seq != seq || !held ||
      memcmp(receipt.hash, held, SHA256_LEN) != 0)
    return verify_bad(verifier,
                      seq,
                      "%s for row %lld was altered: it is for row %lld, or "
                      "another hash",
                      what,
                      (long long)seq,
                      (long long)receipt.seq);
  note_signed(verifier, &receipt);
  return true;
}

/* receiver, seq, hash, hash of the row, words; a cursor has neither hash nor
 * words. */
static bool
check_stored(Verifier *verifier, sqlite3_stmt *stmt)
{
  const char *receiver = (const char *)sqlite3_column_text(stmt, 0);
  const char *text = (const char *)sqlite3_column_text(stmt, 4);
  const int64_t seq = sqlite3_column_int64(stmt, 1);
  const bool is_cursor = sqlite3_column_type(stmt, 2) == SQLITE_NULL;
  uint8_t held[SHA256_LEN], row[SHA256_LEN];
  const bool has_held = column_bytes(stmt, 2, held, SHA256_LEN);
  const bool has_row = column_bytes(stmt, 3, row, SHA256_LEN);

  if (!receiver)
    receiver = "a receiver";
  if (text && !check_words(verifier,
                           text,
                           (size_t)sqlite3_column_bytes(stmt, 4),
                           receiver,
                           seq,
                           has_held ? held : NULL))
    return false;
  if (!is_cursor && !has_held && seq <= verifier->out->head_seq)
    return verify_bad(verifier,
                      seq,
                      "the receipt of %s for row %lld is not whole",
                      receiver,
                      (long long)seq);
  return check_held(
      verifier, receiver, seq, is_cursor ? NULL : held, has_row ? row : NULL);
}

/* Cursors say how far, receipts also what. */
static bool
check_receipts(Verifier *verifier, GError **error)
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(verifier->reader->db,
                     verifier->reader->path,
                     "SELECT p.receiver, p.seq, p.hash, r.hash, p.receipt "
                     "FROM receipts p LEFT JOIN rows r ON r.seq = p.seq "
                     "UNION ALL SELECT receiver, max(seq, checkpoint_seq), "
                     "NULL, NULL, NULL FROM ship_cursor",
                     error);
  int result;

  if (stmt == NULL)
    return false;
  while ((result = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (!check_stored(verifier, stmt))
      return false;
  }
  return result == SQLITE_DONE || verify_unreadable(verifier, 0, error);
}

/* ---- Those given --------------------------------------------------------- */

/* The hash of a row; false when it is not there. */
static bool
find_hash(Verifier *verifier, int64_t seq, uint8_t hash[SHA256_LEN])
{
  g_autoptr(sqlite3_stmt) stmt =
      schema_prepare(verifier->reader->db,
                     verifier->reader->path,
                     "SELECT hash FROM rows WHERE seq = ?",
                     NULL);

  if (stmt == NULL)
    return false;
  sqlite3_bind_int64(stmt, 1, seq);
  return sqlite3_step(stmt) == SQLITE_ROW &&
         column_bytes(stmt, 0, hash, SHA256_LEN);
}

static bool
check_given(Verifier *verifier, const char *text, unsigned number)
{
  const Origin origin = {.number = number};
  g_autofree char *what = origin_text(&origin);
  g_autofree char *problem = NULL;
  ReviewReceipt receipt = {0};
  uint8_t row[SHA256_LEN];
  bool has_row;

  if (!read_receipt(verifier, text, strlen(text), &receipt, &problem))
    return verify_bad(verifier, 0, "%s %s", what, problem);
  note_signed(verifier, &receipt);
  has_row = find_hash(verifier, receipt.seq, row);
  return check_held(verifier,
                    "the receiver",
                    receipt.seq,
                    receipt.hash,
                    has_row ? row : NULL);
}

bool
verify_receipts(Verifier *verifier, GError **error)
{
  if (verifier->reader->version >= 2 && !check_receipts(verifier, error))
    return false;
  for (unsigned i = 0; verifier->receipts && verifier->receipts[i]; i++)
    if (!check_given(verifier, verifier->receipts[i], i + 1))
      return false;
  return true;
}
