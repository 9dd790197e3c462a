/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures by libcrypto itself: a JOSE library would choose by the token's
 * header, read that a second time and keep copies of the token. */
#include "identity/algorithm.h"
#include <glib.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>

/* Half of an ES512 signature: 521 bits. */
#define MAX_HALF 66

static const Algorithm algorithms[] = {
    {"RS256", "RSA", NULL, "SHA2-256", 0, false},
    {"RS384", "RSA", NULL, "SHA2-384", 0, false},
    {"RS512", "RSA", NULL, "SHA2-512", 0, false},
    {"PS256", "RSA", NULL, "SHA2-256", 0, true},
    {"PS384", "RSA", NULL, "SHA2-384", 0, true},
    {"PS512", "RSA", NULL, "SHA2-512", 0, true},
    {"ES256", "EC", "P-256", "SHA2-256", 32, false},
    {"ES384", "EC", "P-384", "SHA2-384", 48, false},
    {"ES512", "EC", "P-521", "SHA2-512", MAX_HALF, false},
};

const Algorithm *
algorithm_find(const char *name)
{
  for (size_t i = 0; i < G_N_ELEMENTS(algorithms); i++)
    if (strcmp(algorithms[i].name, name) == 0)
      return &algorithms[i];
  return NULL;
}

/* r and s as the DER that libcrypto takes; its length, 0 on failure. */
static size_t
to_der(const Algorithm *algorithm,
       const uint8_t *raw,
       size_t len,
       uint8_t **der)
{
  ECDSA_SIG *pair = ECDSA_SIG_new();
  BIGNUM *r, *s;
  int n = 0;

  if (!pair || len != 2 * algorithm->half) {
    ECDSA_SIG_free(pair);
    return 0;
  }
  r = BN_bin2bn(raw, (int)algorithm->half, NULL);
  s = BN_bin2bn(raw + algorithm->half, (int)algorithm->half, NULL);
  if (r && s && ECDSA_SIG_set0(pair, r, s)) {
    n = i2d_ECDSA_SIG(pair, der);
  } else {
    BN_free(r);
    BN_free(s);
  }
  ECDSA_SIG_free(pair);
  return n > 0 ? (size_t)n : 0;
}

static bool
set_padding(const Algorithm *algorithm, EVP_PKEY_CTX *key)
{
  if (!g_str_equal(algorithm->kty, "RSA"))
    return true;
  if (!algorithm->pss)
    return EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PADDING) > 0;
  return EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md_name(key, algorithm->digest, NULL) > 0 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(key, RSA_PSS_SALTLEN_DIGEST) > 0;
}

static bool
verify(const Algorithm *algorithm,
       EVP_PKEY *key,
       const char *text,
       size_t len,
       const uint8_t *signature,
       size_t signature_len)
{
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  EVP_PKEY_CTX *of_key = NULL; /* ctx has it */
  const bool good =
      ctx &&
      EVP_DigestVerifyInit_ex(
          ctx, &of_key, algorithm->digest, NULL, NULL, key, NULL) > 0 &&
      set_padding(algorithm, of_key) &&
      EVP_DigestVerify(
          ctx, signature, signature_len, (const unsigned char *)text, len) == 1;

  EVP_MD_CTX_free(ctx);
  return good;
}

bool
algorithm_verify(const Algorithm *algorithm,
                 EVP_PKEY *key,
                 const char *text,
                 size_t len,
                 const uint8_t *signature,
                 size_t signature_len)
{
  uint8_t *der = NULL;
  bool good = false;

  ERR_set_mark(); /* what fails here is no news to who uses libcrypto next */
  if (algorithm->half == 0) {
    /* A longer one, with zeros in front, would be another text of the same. */
    good = signature_len == (size_t)EVP_PKEY_get_size(key) &&
           verify(algorithm, key, text, len, signature, signature_len);
  } else {
    const size_t n = to_der(algorithm, signature, signature_len, &der);

    good = n > 0 && verify(algorithm, key, text, len, der, n);
    OPENSSL_free(der);
  }
  ERR_pop_to_mark();
  return good;
}

size_t
algorithm_digest(const Algorithm *algorithm,
                 const char *text,
                 size_t len,
                 uint8_t out[ALGORITHM_MAX_DIGEST])
{
  size_t n = 0;

  return EVP_Q_digest(NULL, algorithm->digest, NULL, text, len, out, &n) == 1
             ? n
             : 0;
}
