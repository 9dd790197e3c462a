/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's signing key: Ed25519 (RFC 8032), made once, kept in a file
 * beside the journal that only its owner can read. */
#include "journal/chain.h"

#include "kit/file.h"
#include "kit/secret.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

#define SEED_LEN 32 /* RFC 8032 section 5.1.5 */
#define SEED_HEX_SIZE (2 * SEED_LEN + 1)

struct signing_key {
  EVP_PKEY *pkey;
  uint8_t public_key[CHAIN_KEY_LEN];
};

static bool
create_key_file(const char *path, GError **error)
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
decode_key(SigningKey *key, const Secret *text)
{
  uint8_t seed[SEED_LEN];
  size_t len = CHAIN_KEY_LEN;
  bool good = hex_decode(secret_text(text), seed, SEED_LEN);

  if (good)
    key->pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED_LEN);
  secret_wipe(seed, sizeof seed);
  return key->pkey &&
         EVP_PKEY_get_raw_public_key(key->pkey, key->public_key, &len) == 1 &&
         len == CHAIN_KEY_LEN;
}

SigningKey *
signing_key_load(const char *path, bool create, GError **error)
{
  g_autoptr(SigningKey) key = NULL;
  g_autoptr(Secret) text = NULL;
  g_autoptr(GError) why = NULL;
  struct stat info;

  if (create && lstat(path, &info) != 0 && errno == ENOENT &&
      !create_key_file(path, &why)) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_OPEN,
                "the journal's signing key cannot be made: %s",
                why->message);
    return NULL;
  }
  text = file_read_secret(path, &why);
  if (text == NULL) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_OPEN,
                "the journal's signing key cannot be read: %s; put it back, or "
                "move the journal aside to begin a new one",
                why->message);
    return NULL;
  }
  key = g_new0(SigningKey, 1);
  if (!decode_key(key, text)) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_OPEN,
                "%s does not hold a signing key (64 hex digits)",
                path);
    return NULL;
  }
  return g_steal_pointer(&key);
}

void
signing_key_free(SigningKey *key)
{
  if (key == NULL)
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
                 const uint8_t genesis[SHA256_LEN],
                 Checkpoint *checkpoint,
                 GError **error)
{
  g_autoptr(GByteArray) message = g_byte_array_new();
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  size_t len = CHAIN_SIGNATURE_LEN;
  bool good;

  memcpy(checkpoint->public_key, key->public_key, CHAIN_KEY_LEN);
  chain_checkpoint(message, genesis, checkpoint);
  good =
      ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1 &&
      EVP_DigestSign(
          ctx, checkpoint->signature, &len, message->data, message->len) == 1 &&
      len == CHAIN_SIGNATURE_LEN;
  EVP_MD_CTX_free(ctx);
  if (!good)
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_WRITE,
                        "libcrypto failed to sign a checkpoint");
  return good;
}
