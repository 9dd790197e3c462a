/* SPDX-License-Identifier: Apache-2.0 */
/* X25519 (RFC 7748), HKDF-SHA-256 (RFC 5869) and AES-256-GCM: a fresh key pair
 * for every row, so that only the holder of the private key reads it. */
#include "journal/escrow.h"

#include "journal/body.h"

#include "kit/buf.h"
#include "kit/file.h"
#include "kit/secret.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/pem.h>
#include <string.h>
#include <zstd.h>

/* A sealed original: prefix, whose key, the fresh public key, the box. */
#define PREFIX "HJE\1"
#define PREFIX_LEN 4
#define NAME_LEN                                                               \
  8 /* of the recipient's key: the first bytes of its SHA-256                  \
     */
#define HEAD_LEN (PREFIX_LEN + NAME_LEN + ESCROW_KEY_LEN)
#define TAG_LEN 16
/* In the box: the original's length, then its text as a zstd frame. */
#define LENGTH_LEN 8
#define AES_KEY_LEN 32
#define NONCE_LEN 12
#define AAD_LEN (PREFIX_LEN + SHA256_LEN + 8)
#define INFO "hoop-agent escrow 1"
#define PACK_LEVEL 1
/* A PEM file is a few hundred bytes. */
#define MAX_PEM (16 * 1024)

/* What both sides derive: a key and a nonce that are used once. */
typedef struct {
  uint8_t key[AES_KEY_LEN];
  uint8_t nonce[NONCE_LEN];
} BoxKey;

static void
name_key(const uint8_t key[ESCROW_KEY_LEN], uint8_t out[NAME_LEN])
{
  uint8_t digest[SHA256_LEN];

  sha256(key, ESCROW_KEY_LEN, digest);
  memcpy(out, digest, NAME_LEN);
}

static void
bind(const EscrowPlace *place, uint8_t aad[AAD_LEN])
{
  uint64_t big = GUINT64_TO_BE((uint64_t)place->seq);

  memcpy(aad, PREFIX, PREFIX_LEN);
  memcpy(aad + PREFIX_LEN, place->genesis, SHA256_LEN);
  memcpy(aad + PREFIX_LEN + SHA256_LEN, &big, sizeof big);
}

/* X25519; false for keys of small order too. */
static bool
agree(EVP_PKEY *own, const uint8_t other[ESCROW_KEY_LEN], uint8_t out[32])
{
  EVP_PKEY *peer =
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, other, ESCROW_KEY_LEN);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
  size_t len = 32;
  bool good = peer && ctx && EVP_PKEY_derive_init(ctx) == 1 &&
              EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
              EVP_PKEY_derive(ctx, out, &len) == 1 && len == 32;

  EVP_PKEY_CTX_free(ctx);
  EVP_PKEY_free(peer);
  return good;
}

/* Salt: both public keys, so that the box is bound to them. */
static bool
derive(const uint8_t shared[32],
       const uint8_t fresh[ESCROW_KEY_LEN],
       const uint8_t recipient[ESCROW_KEY_LEN],
       BoxKey *out)
{
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
  EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
  uint8_t salt[2 * ESCROW_KEY_LEN], secret[32];
  char digest[] = "SHA256", info[] = INFO;
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(
          OSSL_KDF_PARAM_KEY, secret, sizeof secret),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, sizeof salt),
      OSSL_PARAM_construct_octet_string(
          OSSL_KDF_PARAM_INFO, info, sizeof info - 1),
      OSSL_PARAM_construct_end(),
  };
  bool good;

  memcpy(secret, shared, sizeof secret);
  memcpy(salt, fresh, ESCROW_KEY_LEN);
  memcpy(salt + ESCROW_KEY_LEN, recipient, ESCROW_KEY_LEN);
  good = ctx && EVP_KDF_derive(ctx, (uint8_t *)out, sizeof *out, params) == 1;
  secret_wipe(secret, sizeof secret);
  EVP_KDF_CTX_free(ctx);
  EVP_KDF_free(kdf);
  return good;
}

/* ---- Sealing ------------------------------------------------------------ */

static bool
encrypt(const BoxKey *key,
        const uint8_t aad[AAD_LEN],
        const uint8_t *plain,
        size_t len,
        uint8_t *out)
{
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  int n = 0;
  bool good =
      ctx &&
      EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->key, key->nonce) ==
          1 &&
      EVP_EncryptUpdate(ctx, NULL, &n, aad, AAD_LEN) == 1 &&
      EVP_EncryptUpdate(ctx, out, &n, plain, (int)len) == 1 &&
      (size_t)n == len && EVP_EncryptFinal_ex(ctx, out + len, &n) == 1 &&
      EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, out + len) == 1;

  EVP_CIPHER_CTX_free(ctx);
  return good;
}

/* The box's content, in memory that the caller wipes. */
static uint8_t *
pack(const void *text, size_t len, size_t *packed_len)
{
  size_t bound = ZSTD_compressBound(len);
  uint8_t *out = g_malloc(LENGTH_LEN + bound);
  uint64_t big = GUINT64_TO_BE((uint64_t)len);
  size_t wrote = ZSTD_compress(out + LENGTH_LEN, bound, text, len, PACK_LEVEL);

  memcpy(out, &big, sizeof big);
  *packed_len = ZSTD_isError(wrote) ? 0 : LENGTH_LEN + wrote;
  return out;
}

static bool
seal_into(uint8_t *out,
          const uint8_t recipient[ESCROW_KEY_LEN],
          const EscrowPlace *place,
          const uint8_t *plain,
          size_t len)
{
  EVP_PKEY *fresh = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
  uint8_t *public_key = out + PREFIX_LEN + NAME_LEN;
  size_t key_len = ESCROW_KEY_LEN;
  uint8_t shared[32], aad[AAD_LEN];
  BoxKey key;
  bool good;

  memcpy(out, PREFIX, PREFIX_LEN);
  name_key(recipient, out + PREFIX_LEN);
  bind(place, aad);
  good = fresh &&
         EVP_PKEY_get_raw_public_key(fresh, public_key, &key_len) == 1 &&
         agree(fresh, recipient, shared) &&
         derive(shared, public_key, recipient, &key) &&
         encrypt(&key, aad, plain, len, out + HEAD_LEN);
  secret_wipe(shared, sizeof shared);
  secret_wipe(&key, sizeof key);
  EVP_PKEY_free(fresh);
  return good;
}

GBytes *
escrow_seal(const uint8_t recipient[ESCROW_KEY_LEN],
            const EscrowPlace *place,
            const void *text,
            size_t len,
            GError **error)
{
  size_t packed_len;
  uint8_t *packed = pack(text, len, &packed_len);
  uint8_t *out = g_malloc(HEAD_LEN + packed_len + TAG_LEN);
  bool good =
      packed_len > 0 && seal_into(out, recipient, place, packed, packed_len);

  secret_wipe(packed, packed_len);
  g_free(packed);
  if (good)
    return g_bytes_new_take(out, HEAD_LEN + packed_len + TAG_LEN);
  g_free(out);
  g_set_error_literal(error,
                      JOURNAL_ERROR,
                      JOURNAL_ERROR_WRITE,
                      "libcrypto failed to seal an original");
  return NULL;
}

/* ---- Opening ------------------------------------------------------------ */

static bool
decrypt(const BoxKey *key,
        const uint8_t aad[AAD_LEN],
        const uint8_t *box,
        size_t len,
        uint8_t *out)
{
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  uint8_t tag[TAG_LEN];
  int n = 0;
  bool good;

  memcpy(tag, box + len, TAG_LEN);
  good = ctx &&
         EVP_DecryptInit_ex(
             ctx, EVP_aes_256_gcm(), NULL, key->key, key->nonce) == 1 &&
         EVP_DecryptUpdate(ctx, NULL, &n, aad, AAD_LEN) == 1 &&
         EVP_DecryptUpdate(ctx, out, &n, box, (int)len) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1 &&
         EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
  EVP_CIPHER_CTX_free(ctx);
  return good;
}

static GBytes *
unpack(const uint8_t *plain, size_t len, GError **error)
{
  uint64_t big;
  size_t size, got = 0;
  uint8_t *text = NULL;

  if (len >= LENGTH_LEN) {
    memcpy(&big, plain, sizeof big);
    size = (size_t)GUINT64_FROM_BE(big);
    if (size <= BODY_MAX) {
      text = g_malloc(size + 1);
      got =
          ZSTD_decompress(text, size + 1, plain + LENGTH_LEN, len - LENGTH_LEN);
      if (!ZSTD_isError(got) && got == size)
        return g_bytes_new_take(text, size);
    }
  }
  g_free(text);
  g_set_error_literal(error,
                      JOURNAL_ERROR,
                      JOURNAL_ERROR_CORRUPT,
                      "the sealed original is not a text");
  return NULL;
}

/* The private key and its public half. A key under a passphrase is asked for
 * on the terminal, as openssl does. */
static EVP_PKEY *
load_private(const char *path,
             uint8_t public_key[ESCROW_KEY_LEN],
             GError **error)
{
  g_autoptr(GBytes) pem = file_read(path, MAX_PEM, error);
  size_t len = ESCROW_KEY_LEN;
  EVP_PKEY *key;
  BIO *bio;

  if (pem == NULL)
    return NULL;
  bio =
      BIO_new_mem_buf(g_bytes_get_data(pem, NULL), (int)g_bytes_get_size(pem));
  key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  if (key && EVP_PKEY_is_a(key, "X25519") &&
      EVP_PKEY_get_raw_public_key(key, public_key, &len) == 1)
    return key;
  EVP_PKEY_free(key);
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_OPEN,
              "%s does not hold an X25519 private key (PEM)",
              path);
  return NULL;
}

static GBytes *
open_box(EVP_PKEY *own,
         const uint8_t recipient[ESCROW_KEY_LEN],
         const EscrowPlace *place,
         const uint8_t *sealed,
         size_t len,
         GError **error)
{
  const uint8_t *fresh = sealed + PREFIX_LEN + NAME_LEN;
  size_t box_len = len - HEAD_LEN - TAG_LEN;
  uint8_t *plain = g_malloc(box_len + 1);
  uint8_t shared[32], aad[AAD_LEN];
  GBytes *text = NULL;
  BoxKey key;

  bind(place, aad);
  if (agree(own, fresh, shared) && derive(shared, fresh, recipient, &key) &&
      decrypt(&key, aad, sealed + HEAD_LEN, box_len, plain))
    text = unpack(plain, box_len, error);
  else
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_CORRUPT,
                        "the sealed original was altered, or is another row's");
  secret_wipe(shared, sizeof shared);
  secret_wipe(&key, sizeof key);
  secret_wipe(plain, box_len);
  g_free(plain);
  return text;
}

GBytes *
escrow_open(const char *key_path,
            const EscrowPlace *place,
            const void *sealed,
            size_t len,
            GError **error)
{
  uint8_t recipient[ESCROW_KEY_LEN], name[NAME_LEN];
  EVP_PKEY *own = load_private(key_path, recipient, error);
  const uint8_t *bytes = sealed;
  GBytes *text = NULL;

  if (own == NULL)
    return NULL;
  name_key(recipient, name);
  if (len < HEAD_LEN + TAG_LEN || memcmp(bytes, PREFIX, PREFIX_LEN) != 0)
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_CORRUPT,
                        "what is stored is not a sealed original");
  else if (memcmp(bytes + PREFIX_LEN, name, NAME_LEN) != 0)
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_OPEN,
                "this original was sealed to another key than that in %s",
                key_path);
  else
    text = open_box(own, recipient, place, bytes, len, error);
  EVP_PKEY_free(own);
  return text;
}

/* ---- The configured key ------------------------------------------------- */

bool
journal_escrow_key(const char *path,
                   uint8_t out[ESCROW_KEY_LEN],
                   GError **error)
{
  g_autoptr(GBytes) pem = file_read(path, MAX_PEM, error);
  size_t len = ESCROW_KEY_LEN;
  EVP_PKEY *key;
  BIO *bio;
  bool good;

  if (pem == NULL)
    return false;
  bio =
      BIO_new_mem_buf(g_bytes_get_data(pem, NULL), (int)g_bytes_get_size(pem));
  key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
  BIO_free(bio);
  good = key && EVP_PKEY_is_a(key, "X25519") &&
         EVP_PKEY_get_raw_public_key(key, out, &len) == 1;
  EVP_PKEY_free(key);
  if (!good)
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_OPEN,
                "%s does not hold an X25519 public key (PEM); make a pair with "
                "`openssl genpkey -algorithm X25519` and give the agent the "
                "output of `openssl pkey -pubout`",
                path);
  return good;
}
