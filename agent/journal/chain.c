/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical encoding: a prefix, the previous link, then each field that is
 * there as number, type and value, so that no two rows encode alike. */
#include "journal/chain.h"

#include <string.h>

#define PREFIX_LEN 4 /* three letters and the version of the encoding */

enum { TYPE_INT = 1, TYPE_TEXT = 2, TYPE_BLOB = 3 };

/* Fields of a genesis and of a checkpoint. Number 6 of a checkpoint is kept
 * for the key that takes over, when keys can be changed. */
enum { GENESIS_ID = 1, GENESIS_KEY = 2, GENESIS_CREATED = 3 };
enum {
  CHECKPOINT_GENESIS = 1,
  CHECKPOINT_SEQ = 2,
  CHECKPOINT_HASH = 3,
  CHECKPOINT_WALL_US = 4,
  CHECKPOINT_KEY = 5
};
enum { LINK_CHECKPOINT = 1, LINK_SIGNATURE = 2 };

static const char prefixes[][PREFIX_LEN + 1] = {
    [CHAIN_GENESIS] = "HJG\1",
    [CHAIN_ROW] = "HJR\1",
    [CHAIN_CHECKPOINT] = "HJC\1",
    [CHAIN_LINK] = "HJL\1",
    [CHAIN_SHARED] = "HJN\1",
};

void
chain_begin(GByteArray *out, ChainUse use, const uint8_t *previous)
{
  g_byte_array_set_size(out, 0);
  g_byte_array_append(out, (const uint8_t *)prefixes[use], PREFIX_LEN);
  if (previous)
    g_byte_array_append(out, previous, SHA256_LEN);
}

static void
put_head(GByteArray *out, int field, int type)
{
  uint8_t head[2] = {(uint8_t)field, (uint8_t)type};

  g_byte_array_append(out, head, sizeof head);
}

void
chain_int(GByteArray *out, int field, int64_t value)
{
  uint64_t big = GUINT64_TO_BE((uint64_t)value);

  put_head(out, field, TYPE_INT);
  g_byte_array_append(out, (const uint8_t *)&big, sizeof big);
}

static void
put_bytes(GByteArray *out, int field, int type, const void *bytes, size_t len)
{
  uint32_t big = GUINT32_TO_BE((uint32_t)len);

  put_head(out, field, type);
  g_byte_array_append(out, (const uint8_t *)&big, sizeof big);
  g_byte_array_append(out, bytes, (guint)len);
}

void
chain_text(GByteArray *out, int field, const char *text, size_t len)
{
  put_bytes(out, field, TYPE_TEXT, text, len);
}

void
chain_blob(GByteArray *out, int field, const void *bytes, size_t len)
{
  put_bytes(out, field, TYPE_BLOB, bytes, len);
}

void
chain_hash(const GByteArray *encoded, uint8_t out[SHA256_LEN])
{
  sha256(encoded->data, encoded->len, out);
}

void
chain_genesis(const uint8_t id[CHAIN_ID_LEN],
              const uint8_t public_key[CHAIN_KEY_LEN],
              int64_t created_us,
              uint8_t out[SHA256_LEN])
{
  g_autoptr(GByteArray) encoded = g_byte_array_new();

  chain_begin(encoded, CHAIN_GENESIS, NULL);
  chain_blob(encoded, GENESIS_ID, id, CHAIN_ID_LEN);
  chain_blob(encoded, GENESIS_KEY, public_key, CHAIN_KEY_LEN);
  chain_int(encoded, GENESIS_CREATED, created_us);
  chain_hash(encoded, out);
}

void
chain_checkpoint(GByteArray *out,
                 const uint8_t genesis[SHA256_LEN],
                 const Checkpoint *checkpoint)
{
  chain_begin(out, CHAIN_CHECKPOINT, NULL);
  chain_blob(out, CHECKPOINT_GENESIS, genesis, SHA256_LEN);
  chain_int(out, CHECKPOINT_SEQ, checkpoint->seq);
  chain_blob(out, CHECKPOINT_HASH, checkpoint->hash, SHA256_LEN);
  chain_int(out, CHECKPOINT_WALL_US, checkpoint->wall_us);
  chain_blob(out, CHECKPOINT_KEY, checkpoint->public_key, CHAIN_KEY_LEN);
}

void
chain_link(const uint8_t genesis[SHA256_LEN],
           const Checkpoint *checkpoint,
           uint8_t out[SHA256_LEN])
{
  g_autoptr(GByteArray) message = g_byte_array_new();
  g_autoptr(GByteArray) encoded = g_byte_array_new();

  chain_checkpoint(message, genesis, checkpoint);
  chain_begin(encoded, CHAIN_LINK, NULL);
  chain_blob(encoded, LINK_CHECKPOINT, message->data, message->len);
  chain_blob(
      encoded, LINK_SIGNATURE, checkpoint->signature, CHAIN_SIGNATURE_LEN);
  chain_hash(encoded, out);
}

bool
chain_signed(const uint8_t genesis[SHA256_LEN], const Checkpoint *checkpoint)
{
  g_autoptr(GByteArray) message = g_byte_array_new();

  chain_checkpoint(message, genesis, checkpoint);
  return signature_verify(checkpoint->public_key,
                          message->data,
                          message->len,
                          checkpoint->signature);
}

bool
chain_sign(const SigningKey *key,
           const uint8_t genesis[SHA256_LEN],
           Checkpoint *checkpoint,
           GError **error)
{
  g_autoptr(GByteArray) message = g_byte_array_new();

  memcpy(checkpoint->public_key, signing_key_public(key), CHAIN_KEY_LEN);
  chain_checkpoint(message, genesis, checkpoint);
  if (signing_key_sign(key, message->data, message->len, checkpoint->signature))
    return true;
  g_set_error_literal(error,
                      JOURNAL_ERROR,
                      JOURNAL_ERROR_WRITE,
                      "libcrypto failed to sign a checkpoint");
  return false;
}
