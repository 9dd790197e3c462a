/* SPDX-License-Identifier: Apache-2.0 */
/* Denied requests by digest, for five minutes, so that a client's retry is
 * answered without asking a person again. Private to the room. */
#ifndef HOOP_EXCHANGE_REFUSED_H
#define HOOP_EXCHANGE_REFUSED_H

#include "kit/digest.h"

typedef struct refused Refused;

Refused *refused_new(void);
void refused_free(Refused *refused);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Refused, refused_free)

void refused_add(Refused *refused,
                 const uint8_t digest[SHA256_LEN],
                 const char *message,
                 int64_t now_us);
/* The message that it was denied with, or NULL; the table's. */
const char *refused_find(Refused *refused,
                         const uint8_t digest[SHA256_LEN],
                         int64_t now_us);
/* A denial of all that is held for nothing else than what this set of strings
 * names; takes the set. The digest is that of what they have in common. */
void refused_add_all(Refused *refused,
                     const uint8_t digest[SHA256_LEN],
                     const char *message,
                     GHashTable *covered,
                     int64_t now_us);
/* Its message when it covers everything of `wanted`; or NULL. */
const char *refused_find_all(Refused *refused,
                             const uint8_t digest[SHA256_LEN],
                             GHashTable *wanted,
                             int64_t now_us);
void refused_clear(Refused *refused);

#endif
