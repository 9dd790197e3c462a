/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts: the receiver's signed word of how much of a journal it holds. */
#include "review/private.h"
#include <string.h>

/* ---- canonical bytes -------------------------------------------------------
 */

static void
add_text(GByteArray *out, const char *text)
{
  const uint32_t len = GUINT32_TO_BE((uint32_t)strlen(text));

  g_byte_array_append(out, (const uint8_t *)&len, sizeof len);
  g_byte_array_append(out, (const uint8_t *)text, (guint)strlen(text));
}

static void
add_i64(GByteArray *out, int64_t value)
{
  const int64_t big = GINT64_TO_BE(value);

  g_byte_array_append(out, (const uint8_t *)&big, sizeof big);
}

GByteArray *
review_receipt_encode(const ReviewReceipt *receipt)
{
  GByteArray *out = g_byte_array_new();

  add_text(out, receipt->machine);
  add_text(out, receipt->journal);
  add_i64(out, receipt->seq);
  g_byte_array_append(out, receipt->hash, SHA256_LEN);
  add_i64(out, receipt->time_us);
  return out;
}

bool
review_receipt_sign(ReviewReceipt *receipt, const SigningKey *key)
{
  g_autoptr(GByteArray) bytes = review_receipt_encode(receipt);

  memcpy(receipt->public_key, signing_key_public(key), SIGNING_KEY_LEN);
  return review_sign(
      key, REVIEW_CONTEXT_RECEIPT, bytes->data, bytes->len, receipt->signature);
}

bool
review_receipt_is_signed(const ReviewReceipt *receipt,
                         const uint8_t public_key[SIGNING_KEY_LEN])
{
  g_autoptr(GByteArray) bytes = review_receipt_encode(receipt);

  return review_verify(public_key,
                       REVIEW_CONTEXT_RECEIPT,
                       bytes->data,
                       bytes->len,
                       receipt->signature);
}

/* ---- JSON ------------------------------------------------------------------
 */

char *
review_receipt_format(const ReviewReceipt *receipt)
{
  GString *out = g_string_new("{");
  char hex[2 * SIGNATURE_LEN + 1];

  json_put_text(out, "machine", receipt->machine);
  json_put_text(out, "journal", receipt->journal);
  json_put_number(out, "seq", receipt->seq);
  hex_encode(receipt->hash, SHA256_LEN, hex);
  json_put_text(out, "hash", hex);
  json_put_number(out, "time_us", receipt->time_us);
  hex_encode(receipt->public_key, SIGNING_KEY_LEN, hex);
  json_put_text(out, "public_key", hex);
  hex_encode(receipt->signature, SIGNATURE_LEN, hex);
  json_put_text(out, "signature", hex);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

/* Nothing for a receiver that does not know machines. */
static bool
parse_machine(const Document *object, ReviewReceipt *out, GError **error)
{
  g_autofree char *machine = NULL;
  uint8_t id[REVIEW_MACHINE_ID_BYTES];

  if (!member_text(
          object, "machine", REVIEW_MACHINE_ID_SIZE - 1, true, &machine, error))
    return false;
  if (*machine && !member_hex(object, "machine", id, sizeof id, error))
    return false;
  g_strlcpy(out->machine, machine, sizeof out->machine);
  return true;
}

static bool
read_members(const Document *object, ReviewReceipt *out, GError **error)
{
  static const char *const names[] = {"machine",
                                      "journal",
                                      "seq",
                                      "hash",
                                      "time_us",
                                      "public_key",
                                      "signature",
                                      NULL};
  ReviewReceipt found = {0};
  uint8_t id[REVIEW_JOURNAL_ID_BYTES];

  if (!member_only(object, names, error) ||
      !parse_machine(object, &found, error) ||
      !member_hex(object, "journal", id, sizeof id, error) ||
      !member_number(object, "seq", 1, INT64_MAX, &found.seq, error) ||
      !member_hex(object, "hash", found.hash, SHA256_LEN, error) ||
      !member_number(object, "time_us", 1, INT64_MAX, &found.time_us, error) ||
      !member_hex(
          object, "public_key", found.public_key, SIGNING_KEY_LEN, error) ||
      !member_hex(object, "signature", found.signature, SIGNATURE_LEN, error))
    return false;
  hex_encode(id, sizeof id, found.journal);
  *out = found;
  return true;
}

bool
review_receipt_parse(const char *text,
                     size_t len,
                     ReviewReceipt *out,
                     GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(Document) object = document_parse(text, len, &why);

  if (object)
    return read_members(object, out, error);
  g_set_error_literal(error, REVIEW_ERROR, REVIEW_ERROR_FORM, why->message);
  return false;
}
