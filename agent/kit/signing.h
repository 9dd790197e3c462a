/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032): a key that is kept in a file, signatures, and the text by
 * which people compare keys. */
#ifndef HOOP_KIT_SIGNING_H
#define HOOP_KIT_SIGNING_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNING_KEY_LEN 32 /* of a public key */
#define SIGNATURE_LEN 64

typedef struct signing_key SigningKey;

/* The key of a file: its seed (RFC 8032 section 5.1.5) in 64 hex digits, as
 * private as file_read_secret() asks. `create`: makes it, 0600, when there is
 * none. G_FILE_ERROR; _INVAL: the file holds something else. */
SigningKey *signing_key_load(const char *path, bool create, GError **error);
void signing_key_free(SigningKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SigningKey, signing_key_free)
/* SIGNING_KEY_LEN bytes, the key's own. */
const uint8_t *signing_key_public(const SigningKey *key);

/* False, with nothing in `out` that counts, when libcrypto failed. Any thread.
 */
bool signing_key_sign(const SigningKey *key,
                      const void *bytes,
                      size_t len,
                      uint8_t out[SIGNATURE_LEN]);
/* True when the signature over these bytes is the public key's own; false too
 * when libcrypto failed. Any thread. */
bool signature_verify(const uint8_t public_key[SIGNING_KEY_LEN],
                      const void *bytes,
                      size_t len,
                      const uint8_t signature[SIGNATURE_LEN]);
/* A public key for people to compare: its SHA-256 as 16 groups of 4 hex digits.
 * g_free. */
char *signing_fingerprint(const uint8_t public_key[SIGNING_KEY_LEN]);

#endif
