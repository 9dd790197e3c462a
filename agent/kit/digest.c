/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and text encodings over libcrypto and zlib. */
#include "kit/digest.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <zlib.h>

/* Looking an algorithm up by name costs libcrypto more than hashing a short
 * text does, so both are looked up once and then only read. */
static pthread_once_t fetched = PTHREAD_ONCE_INIT;
static EVP_MD *sha256_md;
static EVP_MAC *hmac_mac;

struct sha256_ctx {
  EVP_MD_CTX *evp;
};

static void
fetch(void)
{
  sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
  hmac_mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  if (sha256_md == NULL || hmac_mac == NULL)
    g_error("libcrypto offers no SHA-256");
}

/* A digest that failed must never be taken for one. */
static void
must(int ok)
{
  if (ok != 1)
    g_error("libcrypto failed to hash");
}

void
sha256(const void *bytes, size_t len, uint8_t out[SHA256_LEN])
{
  pthread_once(&fetched, fetch);
  must(EVP_Digest(bytes, len, out, NULL, sha256_md, NULL));
}

Sha256 *
sha256_new(void)
{
  Sha256 *ctx = g_new0(Sha256, 1);

  pthread_once(&fetched, fetch);
  ctx->evp = EVP_MD_CTX_new();
  must(ctx->evp != NULL);
  must(EVP_DigestInit_ex2(ctx->evp, sha256_md, NULL));
  return ctx;
}

void
sha256_update(Sha256 *ctx, const void *bytes, size_t len)
{
  must(EVP_DigestUpdate(ctx->evp, bytes, len));
}

void
sha256_peek(const Sha256 *ctx, uint8_t out[SHA256_LEN])
{
  EVP_MD_CTX *copy = EVP_MD_CTX_new();

  must(copy != NULL);
  must(EVP_MD_CTX_copy_ex(copy, ctx->evp));
  must(EVP_DigestFinal_ex(copy, out, NULL));
  EVP_MD_CTX_free(copy);
}

void
sha256_free(Sha256 *ctx)
{
  if (ctx == NULL)
    return;
  EVP_MD_CTX_free(ctx->evp);
  g_free(ctx);
}

void
hmac_sha256(const void *key,
            size_t key_len,
            const void *bytes,
            size_t len,
            uint8_t out[SHA256_LEN])
{
  char name[] = "SHA256";
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
      OSSL_PARAM_construct_end(),
  };
  EVP_MAC_CTX *ctx;

  pthread_once(&fetched, fetch);
  ctx = EVP_MAC_CTX_new(hmac_mac);
  must(ctx != NULL);
  must(EVP_MAC_init(ctx, key_len > 0 ? key : "", key_len, params));
  must(EVP_MAC_update(ctx, bytes, len));
  must(EVP_MAC_final(ctx, out, NULL, SHA256_LEN));
  EVP_MAC_CTX_free(ctx);
}

uint32_t
crc32_of(const void *bytes, size_t len)
{
  return (uint32_t)crc32_z(0, bytes, len);
}

void
hex_encode(const void *bytes, size_t len, char *out)
{
  static const char digits[] = "0123456789abcdef";
  const uint8_t *in = bytes;

  for (size_t i = 0; i < len; i++) {
    *out++ = digits[in[i] >> 4];
    *out++ = digits[in[i] & 15];
  }
  *out = '\0';
}

bool
hex_decode(const char *text, uint8_t *out, size_t out_len)
{
  if (strlen(text) / 2 != out_len || strlen(text) % 2 != 0)
    return false;
  for (size_t i = 0; i < 2 * out_len; i++)
    if (!g_ascii_isxdigit(text[i]))
      return false;
  for (size_t i = 0; i < out_len; i++)
    out[i] = (uint8_t)(g_ascii_xdigit_value(text[2 * i]) << 4 |
                       g_ascii_xdigit_value(text[2 * i + 1]));
  return true;
}

void
base32_encode(const void *bytes, size_t len, char *out, size_t chars)
{
  static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  const uint8_t *in = bytes;
  uint32_t bits = 0;
  unsigned n_bits = 0;
  size_t used = 0;

  g_assert(chars <= (len * 8 + 4) / 5);
  for (size_t i = 0; i < chars; i++) {
    if (n_bits < 5) {
      bits = bits << 8 | (used < len ? in[used++] : 0);
      n_bits += 8;
    }
    n_bits -= 5;
    out[i] = alphabet[bits >> n_bits & 31];
  }
  out[chars] = '\0';
}

char *
base64url_encode(const void *bytes, size_t len)
{
  static const char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const uint8_t *in = bytes;
  char *out = g_malloc((len + 2) / 3 * 4 + 1);
  uint32_t bits = 0;
  unsigned n_bits = 0;
  size_t n = 0;

  for (size_t i = 0; i < len; i++) {
    bits = bits << 8 | in[i];
    for (n_bits += 8; n_bits >= 6;) {
      n_bits -= 6;
      out[n++] = alphabet[bits >> n_bits & 63];
    }
  }
  if (n_bits > 0)
    out[n++] = alphabet[bits << (6 - n_bits) & 63];
  out[n] = '\0';
  return out;
}

/* The six bits of a base64url character, or -1. */
static int
sextet(char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool
base64url_decode(const char *text, size_t len, uint8_t *out, size_t *out_len)
{
  uint32_t bits = 0;
  unsigned n_bits = 0;
  size_t n = 0;

  for (size_t i = 0; i < len; i++) {
    const int six = sextet(text[i]);

    if (six < 0)
      return false;
    bits = bits << 6 | (uint32_t)six;
    n_bits += 6;
    if (n_bits >= 8) {
      n_bits -= 8;
      out[n++] = (uint8_t)(bits >> n_bits);
      bits &= (1U << n_bits) - 1;
    }
  }
  /* Six left over: a character too many. Others must be zero. */
  if (n_bits == 6 || bits != 0)
    return false;
  *out_len = n;
  return true;
}

void
random_bytes(void *out, size_t len)
{
  uint8_t *at = out;

  while (len > 0) {
    ssize_t n = getrandom(at, len, 0);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      g_error("The kernel gives no random bytes: %s", g_strerror(errno));
    at += n;
    len -= (size_t)n;
  }
}
