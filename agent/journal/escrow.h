/* SPDX-License-Identifier: Apache-2.0 */
/* Originals sealed to the organisation's public key: hoop-journal(5). Private
 * to the room. */
#ifndef HOOP_JOURNAL_ESCROW_H
#define HOOP_JOURNAL_ESCROW_H

#include "journal/chain.h"

/* What a sealed original is bound to. */
typedef struct {
  const uint8_t *genesis; /* SHA256_LEN bytes: of the journal */
  int64_t seq;            /* its row */
} EscrowPlace;

/* Seals `text`; NULL with JOURNAL_ERROR_WRITE when libcrypto fails. */
GBytes *escrow_seal(const uint8_t recipient[ESCROW_KEY_LEN],
                    const EscrowPlace *place,
                    const void *text,
                    size_t len,
                    GError **error);
/* Opens it with the private key in a PEM file. JOURNAL_ERROR_CORRUPT when it
 * was altered, or is another row's; JOURNAL_ERROR_OPEN for the wrong key. */
GBytes *escrow_open(const char *key_path,
                    const EscrowPlace *place,
                    const void *sealed,
                    size_t len,
                    GError **error);

#endif
