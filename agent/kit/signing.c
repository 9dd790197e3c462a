/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 over libcrypto. A seed is only ever in locked memory or wiped. */
#include "kit/signing.h"
#include "kit/digest.h"
#include "kit/file.h"
#include "kit/secret.h"
#include <errno.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#define SEED_LEN 32
#define SEED_HEX_SIZE (2 * SEED_LEN + 1)
#define FINGERPRINT_GROUP 4

struct signing_key {
  EVP_PKEY *pkey;
  uint8_t public_key[SIGNING_KEY_LEN];
};

static bool
create_file(const char *path, GError **error)
{
  uint8_t seed[SEED_LEN];
  char text[SEED_HEX_SIZE];
  bool created;

  random_bytes(seed, sizeof seed);
  hex_encode(seed, sizeof seed, text);
  text[SEED_HEX_SIZE - 1] = '\n';
  created = file_replace(path, text, SEED_HEX_SIZE, 0600, error);
  secret_wipe(seed, sizeof seed);
  secret_wipe(text, sizeof text);
  return created;
}

static bool
decode(SigningKey *key, const Secret *text)
{
  uint8_t seed[SEED_LEN];
  size_t len = SIGNING_KEY_LEN;

  if (hex_decode(secret_text(text), seed, SEED_LEN))
    key->pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED_LEN);
  secret_wipe(seed, sizeof seed);
  return key->pkey &&
         EVP_PKEY_get_raw_public_key(key->pkey, key->public_key, &len) == 1 &&
         len == SIGNING_KEY_LEN;
}

SigningKey *
signing_key_load(const char *path, bool create, GError **error)
{
  g_autoptr(SigningKey) key = NULL;
  g_autoptr(Secret) text = NULL;
  struct stat info;

  if (create && lstat(path, &info) != 0 && errno == ENOENT &&
      !create_file(path, error))
    return NULL;
  text = file_read_secret(path, error);
  if (!text)
    return NULL;
  key = g_new0(SigningKey, 1);
  if (!decode(key, text)) {
    g_set_error(error,
                G_FILE_ERROR,
                G_FILE_ERROR_INVAL,
                "%s does not hold a signing key (64 hex digits)",
                path);
    return NULL;
  }
  return g_steal_pointer(&key);
}

void
signing_key_free(SigningKey *key)
{
  if (!key)
    return;
  EVP_PKEY_free(key->pkey);
  g_free(key);
}

const uint8_t *
signing_key_public(const SigningKey *key)
{
  return key->public_key;
}

bool
signing_key_sign(const SigningKey *key,
                 const void *bytes,
                 size_t len,
                 uint8_t out[SIGNATURE_LEN])
{
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  size_t n = SIGNATURE_LEN;
  const bool good =
      ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
      EVP_DigestSign(ctx, out, &n, bytes, len) == 1 && n == SIGNATURE_LEN;

  EVP_MD_CTX_free(ctx);
  return good;
}

bool
signature_verify(const uint8_t public_key[SIGNING_KEY_LEN],
                 const void *bytes,
                 size_t len,
                 const uint8_t signature[SIGNATURE_LEN])
{
  EVP_PKEY *key = EVP_PKEY_new_raw_public_key(
      EVP_PKEY_ED25519, NULL, public_key, SIGNING_KEY_LEN);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  const bool good =
      key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
      EVP_DigestVerify(ctx, signature, SIGNATURE_LEN, bytes, len) == 1;

  EVP_MD_CTX_free(ctx);
  EVP_PKEY_free(key);
  return good;
}

char *
signing_fingerprint(const uint8_t public_key[SIGNING_KEY_LEN])
{
  uint8_t digest[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];
  GString *out = g_string_new(NULL);

  sha256(public_key, SIGNING_KEY_LEN, digest);
  hex_encode(digest, sizeof digest, hex);
  for (unsigned i = 0; i < 2 * SHA256_LEN; i += FINGERPRINT_GROUP)
    g_string_append_printf(
        out, "%s%.*s", i ? " " : "", FINGERPRINT_GROUP, hex + i);
  return g_string_free(out, FALSE);
}
