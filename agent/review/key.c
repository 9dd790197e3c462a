/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 keys in files, and signatures that say what they are about. */
#include "kit/file.h"
#include "kit/secret.h"
#include "review/review.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define SEED_LEN 32 /* RFC 8032 section 5.1.5 */
#define SEED_HEX_SIZE (2 * SEED_LEN + 1)

G_DEFINE_QUARK(hoop_review_error, review_error)

struct review_key {
  EVP_PKEY *pkey;
  uint8_t public_key[REVIEW_KEY_LEN];
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
decode(ReviewKey *key, const Secret *text)
{
  uint8_t seed[SEED_LEN];
  size_t len = REVIEW_KEY_LEN;

  if (hex_decode(secret_text(text), seed, SEED_LEN))
    key->pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED_LEN);
  secret_wipe(seed, sizeof seed);
  return key->pkey &&
         EVP_PKEY_get_raw_public_key(key->pkey, key->public_key, &len) == 1 &&
         len == REVIEW_KEY_LEN;
}

ReviewKey *
review_key_load(const char *path, bool create, GError **error)
{
  g_autoptr(ReviewKey) key = NULL;
  g_autoptr(Secret) text = NULL;
  g_autoptr(GError) why = NULL;
  struct stat info;

  if (create && lstat(path, &info) != 0 && errno == ENOENT)
    create_file(path, &why);
  if (!why)
    text = file_read_secret(path, &why);
  if (!text) {
    g_set_error_literal(error, REVIEW_ERROR, REVIEW_ERROR_KEY, why->message);
    return NULL;
  }
  key = g_new0(ReviewKey, 1);
  if (!decode(key, text)) {
    g_set_error(error,
                REVIEW_ERROR,
                REVIEW_ERROR_KEY,
                "%s does not hold a key (64 hex digits)",
                path);
    return NULL;
  }
  return g_steal_pointer(&key);
}

void
review_key_free(ReviewKey *key)
{
  if (!key)
    return;
  EVP_PKEY_free(key->pkey);
  g_free(key);
}

const uint8_t *
review_key_public(const ReviewKey *key)
{
  return key->public_key;
}

/* The context, its end, the bytes. */
static GByteArray *
message_of(const char *context, const void *bytes, size_t len)
{
  GByteArray *message = g_byte_array_sized_new((guint)(strlen(context) + len));

  g_byte_array_append(
      message, (const uint8_t *)context, (guint)strlen(context) + 1);
  g_byte_array_append(message, bytes, (guint)len);
  return message;
}

bool
review_sign(const ReviewKey *key,
            const char *context,
            const void *bytes,
            size_t len,
            uint8_t out[REVIEW_SIGNATURE_LEN])
{
  g_autoptr(GByteArray) message = message_of(context, bytes, len);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  size_t n = REVIEW_SIGNATURE_LEN;
  const bool good =
      ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
      EVP_DigestSign(ctx, out, &n, message->data, message->len) == 1 &&
      n == REVIEW_SIGNATURE_LEN;

  EVP_MD_CTX_free(ctx);
  return good;
}

bool
review_verify(const uint8_t public_key[REVIEW_KEY_LEN],
              const char *context,
              const void *bytes,
              size_t len,
              const uint8_t signature[REVIEW_SIGNATURE_LEN])
{
  g_autoptr(GByteArray) message = message_of(context, bytes, len);
  EVP_PKEY *key = EVP_PKEY_new_raw_public_key(
      EVP_PKEY_ED25519, NULL, public_key, REVIEW_KEY_LEN);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  const bool good =
      key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
      EVP_DigestVerify(
          ctx, signature, REVIEW_SIGNATURE_LEN, message->data, message->len) ==
          1;

  EVP_MD_CTX_free(ctx);
  EVP_PKEY_free(key);
  return good;
}

char *
review_fingerprint(const uint8_t public_key[REVIEW_KEY_LEN])
{
  uint8_t digest[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];
  GString *out = g_string_new(NULL);

  sha256(public_key, REVIEW_KEY_LEN, digest);
  hex_encode(digest, sizeof digest, hex);
  for (unsigned i = 0; i < 2 * SHA256_LEN; i += 4)
    g_string_append_printf(out, "%s%.4s", i ? " " : "", hex + i);
  return g_string_free(out, FALSE);
}
