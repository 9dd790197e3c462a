/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: a provider's signing keys as libcrypto has them. */
#ifndef HOOP_IDENTITY_KEY_SET_H
#define HOOP_IDENTITY_KEY_SET_H

#include "identity/algorithm.h"
#include "identity/id-token.h"

/* The key of that kid (NULL: the token names none) that fits the algorithm,
 * borrowed from the set; NULL when there is none, or when no kid is named and
 * several fit: `many` tells. */
EVP_PKEY *key_set_find(const KeySet *keys,
                       const Algorithm *algorithm,
                       const char *kid,
                       bool *many);

#endif
