/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and text encodings over libcrypto: SHA-256, HMAC, CRC-32, hex,
 * base32, base64url. */
#ifndef HOOP_KIT_DIGEST_H
#define HOOP_KIT_DIGEST_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All functions: any thread; a failure inside libcrypto ends the process, since
 * a wrong digest must never be taken for one. */

#define SHA256_LEN 32
#define SHA256_HEX_SIZE 65 /* with NUL */

void sha256(const void *bytes, size_t len, uint8_t out[SHA256_LEN]);
/* SHA-256 in pieces. */
typedef struct sha256_ctx Sha256;
Sha256 *sha256_new(void);
void sha256_update(Sha256 *ctx, const void *bytes, size_t len);
/* Digest of all so far; the context can go on afterwards. */
void sha256_peek(const Sha256 *ctx, uint8_t out[SHA256_LEN]);
void sha256_free(Sha256 *ctx);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sha256, sha256_free)

void hmac_sha256(const void *key,
                 size_t key_len,
                 const void *bytes,
                 size_t len,
                 uint8_t out[SHA256_LEN]);

/* CRC-32 (ISO 3309, as zlib's). */
uint32_t crc32_of(const void *bytes, size_t len);

/* Lower-case hex; out has 2 * len + 1 bytes. */
void hex_encode(const void *bytes, size_t len, char *out);
/* False unless text is exactly 2 * out_len hex digits. */
bool hex_decode(const char *text, uint8_t *out, size_t out_len);
/* RFC 4648 base32 alphabet, lower case, no padding: first `chars` characters
 * of the encoding (at most all of it) into out (chars + 1 bytes). */
void base32_encode(const void *bytes, size_t len, char *out, size_t chars);
/* RFC 4648 base64url without padding; free with g_free. */
char *base64url_encode(const void *bytes, size_t len);
/* The inverse, strictly: only the alphabet, no padding, no white space, unused
 * bits zero, so that no two texts mean the same bytes. `out` has room for
 * len * 3 / 4 bytes; *out_len is what was written. False, with *out_len
 * untouched, on anything else. */
bool base64url_decode(const char *text,
                      size_t len,
                      uint8_t *out,
                      size_t *out_len);

/* Fills out with bytes from getrandom(2); aborts when the kernel has none. */
void random_bytes(void *out, size_t len);

#endif
