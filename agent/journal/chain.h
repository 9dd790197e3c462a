/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical encoding of rows and checkpoints (hoop-journal(5)). Private to
 * the room. */
#ifndef HOOP_JOURNAL_CHAIN_H
#define HOOP_JOURNAL_CHAIN_H

#include "journal/journal.h"
#include "kit/signing.h"

#define CHAIN_ID_LEN 16
#define CHAIN_KEY_LEN SIGNING_KEY_LEN
#define CHAIN_SIGNATURE_LEN SIGNATURE_LEN
/* At most this many rows follow a checkpoint before the next one; part of the
 * format, since a verifier takes more for a deleted checkpoint. */
#define CHAIN_MAX_UNSIGNED 100

/* What is encoded; the first bytes of every encoding. */
typedef enum {
  CHAIN_GENESIS,
  CHAIN_ROW,
  CHAIN_CHECKPOINT,
  CHAIN_LINK,
  CHAIN_SHARED
} ChainUse;

/* Starts over: the prefix of `use`, then the previous link when there is one.
 * Fields follow in ascending order of their numbers, absent ones left out. */
void chain_begin(GByteArray *out, ChainUse use, const uint8_t *previous);
void chain_int(GByteArray *out, int field, int64_t value);
void chain_text(GByteArray *out, int field, const char *text, size_t len);
void chain_blob(GByteArray *out, int field, const void *bytes, size_t len);
void chain_hash(const GByteArray *encoded, uint8_t out[SHA256_LEN]);

/* What the first row follows: binds the chain to this journal and key. */
void chain_genesis(const uint8_t id[CHAIN_ID_LEN],
                   const uint8_t public_key[CHAIN_KEY_LEN],
                   int64_t created_us,
                   uint8_t out[SHA256_LEN]);

typedef struct {
  int64_t seq; /* the row that it signs, and with it all before */
  int64_t wall_us;
  uint8_t hash[SHA256_LEN]; /* that row's */
  uint8_t public_key[CHAIN_KEY_LEN];
  uint8_t signature[CHAIN_SIGNATURE_LEN];
} Checkpoint;

/* The bytes that the signature covers. */
void chain_checkpoint(GByteArray *out,
                      const uint8_t genesis[SHA256_LEN],
                      const Checkpoint *checkpoint);
/* What the row after a checkpoint follows. */
void chain_link(const uint8_t genesis[SHA256_LEN],
                const Checkpoint *checkpoint,
                uint8_t out[SHA256_LEN]);
/* True when the signature is the public key's own. */
bool chain_signed(const uint8_t genesis[SHA256_LEN],
                  const Checkpoint *checkpoint);

/* Fills in public_key and signature. JOURNAL_ERROR_WRITE. */
bool chain_sign(const SigningKey *key,
                const uint8_t genesis[SHA256_LEN],
                Checkpoint *checkpoint,
                GError **error);

#endif
