/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies as they are stored: one zstd frame (RFC 8878) each. Private to the
 * room. */
#ifndef HOOP_JOURNAL_BODY_H
#define HOOP_JOURNAL_BODY_H

#include "journal/journal.h"

/* No stored text is longer: the bound on what a reader will unpack. */
#define BODY_MAX (64 * 1024 * 1024)

typedef struct body_packer BodyPacker;
BodyPacker *body_packer_new(void);
void body_packer_free(BodyPacker *packer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BodyPacker, body_packer_free)

/* Compresses into the packer's own buffer, valid until the next call. */
bool body_pack(BodyPacker *packer,
               const void *text,
               size_t len,
               const uint8_t **packed,
               size_t *packed_len,
               GError **error);

/* The text of a stored body, which must be exactly `len` (<= BODY_MAX) bytes
 * with this digest (NULL: it is not hashed); else JOURNAL_ERROR_CORRUPT. Never
 * takes more memory than `len`, whatever the bytes say. */
GBytes *body_unpack(const void *packed,
                    size_t packed_len,
                    size_t len,
                    const uint8_t digest[SHA256_LEN],
                    GError **error);

#endif
