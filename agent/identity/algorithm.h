/* SPDX-License-Identifier: Apache-2.0 */
/* The signature algorithms of an ID token (RFC 7518 section 3.1): those with a
 * public key, nothing else has a row. */
#ifndef HOOP_IDENTITY_ALGORITHM_H
#define HOOP_IDENTITY_ALGORITHM_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest digest of the table, SHA-512. */
#define ALGORITHM_MAX_DIGEST 64

typedef struct {
  const char *name;   /* RS256 … */
  const char *kty;    /* RSA or EC (RFC 7518 section 6.1) */
  const char *crv;    /* EC: P-256 … */
  const char *digest; /* for OpenSSL: SHA2-256 … */
  size_t half;        /* EC: bytes of r and of s */
  bool pss;           /* RSA: PSS rather than PKCS #1 v1.5 */
} Algorithm;

/* The row of exactly that name, or NULL. Any thread. */
const Algorithm *algorithm_find(const char *name);

/* True when `signature` of `text` is this key's under this algorithm; the key
 * must be of its type and curve. PSS: MGF1 with the same hash, salt as long as
 * it (RFC 7518 section 3.5). EC: r and s side by side (section 3.4). Any
 * thread, also with one key in several. */
bool algorithm_verify(const Algorithm *algorithm,
                      EVP_PKEY *key,
                      const char *text,
                      size_t len,
                      const uint8_t *signature,
                      size_t signature_len);

/* The algorithm's digest of `text`; its length, 0 when libcrypto failed. */
size_t algorithm_digest(const Algorithm *algorithm,
                        const char *text,
                        size_t len,
                        uint8_t out[ALGORITHM_MAX_DIGEST]);

#endif
