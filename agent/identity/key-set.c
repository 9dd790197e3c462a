/* SPDX-License-Identifier: Apache-2.0 */
/* JWKS documents (RFC 7517): which of the keys in them may speak for the
 * provider. What a key says of itself can only take it out. */
#include "identity/key-set.h"
#include "document/document.h"
#include "kit/digest.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

/* Below is weak (RFC 7518 section 3.3), above only costs time. */
#define MIN_RSA_BITS 2048
#define MAX_RSA_BITS 8192
/* Odd, from 2^16 + 1 as FIPS 186-5 wants it, and at most 64 bits, which
 * libcrypto takes for a modulus of any size. */
#define MIN_EXPONENT 65537
#define MAX_EXPONENT_BYTES 8
/* A number of a key in bytes: a modulus with a zero in front, as some write. */
#define MAX_NUMBER (MAX_RSA_BITS / 8 + 1)
#define MAX_POINT (1 + 2 * 66)
/* Longer ones are nobody's. */
#define MAX_KID 1024

typedef struct {
  char *kid; /* NULL: it has none */
  char *crv; /* EC */
  const char *kty;
  const Algorithm *only; /* its `alg`; NULL: it names none */
  EVP_PKEY *pkey;
} Key;

struct key_set {
  GPtrArray *keys;
};

static void
key_free(void *data)
{
  Key *key = data;

  g_free(key->kid);
  g_free(key->crv);
  EVP_PKEY_free(key->pkey);
  g_free(key);
}

/* A member's bytes (Base64urlUInt or a coordinate); 0 when there are none. */
static size_t
number(const Document *jwk, const char *name, uint8_t out[MAX_NUMBER])
{
  const char *text = document_text(jwk, name);
  const size_t len = text ? strlen(text) : 0;
  size_t n = 0;

  if (len == 0 || len > (MAX_NUMBER * 4 + 2) / 3 ||
      !base64url_decode(text, len, out, &n))
    return 0;
  return n;
}

static EVP_PKEY *
from_params(const char *type, OSSL_PARAM_BLD *builder)
{
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY *pkey = NULL;

  if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1 &&
      EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
    pkey = NULL;
  OSSL_PARAM_free(params);
  EVP_PKEY_CTX_free(ctx);
  return pkey;
}

static bool
is_strong(const BIGNUM *n, const BIGNUM *e)
{
  return BN_num_bits(n) >= MIN_RSA_BITS && BN_num_bits(n) <= MAX_RSA_BITS &&
         BN_is_odd(n) && BN_is_odd(e) &&
         BN_num_bytes(e) <= MAX_EXPONENT_BYTES &&
         BN_get_word(e) >= MIN_EXPONENT;
}

static EVP_PKEY *
rsa_key(const Document *jwk)
{
  uint8_t modulus[MAX_NUMBER], exponent[MAX_NUMBER];
  const size_t n_len = number(jwk, "n", modulus);
  const size_t e_len = number(jwk, "e", exponent);
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  BIGNUM *n = BN_bin2bn(modulus, (int)n_len, NULL);
  BIGNUM *e = BN_bin2bn(exponent, (int)e_len, NULL);
  EVP_PKEY *pkey = NULL;

  if (builder && n && e && n_len > 0 && e_len > 0 && is_strong(n, e) &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e))
    pkey = from_params("RSA", builder);
  BN_free(n);
  BN_free(e);
  OSSL_PARAM_BLD_free(builder);
  return pkey;
}

/* The algorithm of that curve, which knows its size. */
static const Algorithm *
of_curve(const char *crv)
{
  static const char *const names[] = {"ES256", "ES384", "ES512"};

  for (size_t i = 0; crv && i < G_N_ELEMENTS(names); i++) {
    const Algorithm *algorithm = algorithm_find(names[i]);

    if (g_str_equal(algorithm->crv, crv))
      return algorithm;
  }
  return NULL;
}

/* True when the point is on its curve and not at infinity. All three curves
 * have cofactor 1, so that no more is needed (SP 800-56A, 5.6.2.3.4). */
static bool
is_on_curve(EVP_PKEY *pkey)
{
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
  const bool good = ctx && EVP_PKEY_public_check_quick(ctx) == 1;

  EVP_PKEY_CTX_free(ctx);
  return good;
}

/* A field element into its whole size (RFC 7518 section 6.2.1.2); some
 * providers leave its leading zeros out, which changes no number. */
static bool
coordinate(const Document *jwk, const char *name, uint8_t *out, size_t size)
{
  uint8_t bytes[MAX_NUMBER];
  const size_t n = number(jwk, name, bytes);

  if (n == 0 || n > size)
    return false;
  memset(out, 0, size - n);
  memcpy(out + size - n, bytes, n);
  return true;
}

static EVP_PKEY *
ec_key(const Document *jwk)
{
  const Algorithm *algorithm = of_curve(document_text(jwk, "crv"));
  uint8_t point[MAX_POINT] = {4};
  OSSL_PARAM_BLD *builder;
  EVP_PKEY *pkey = NULL;
  size_t half;

  if (!algorithm)
    return NULL;
  half = algorithm->half;
  if (!coordinate(jwk, "x", point + 1, half) ||
      !coordinate(jwk, "y", point + 1 + half, half))
    return NULL;
  builder = OSSL_PARAM_BLD_new();
  if (builder &&
      OSSL_PARAM_BLD_push_utf8_string(
          builder, OSSL_PKEY_PARAM_GROUP_NAME, algorithm->crv, 0) &&
      OSSL_PARAM_BLD_push_octet_string(
          builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * half))
    pkey = from_params("EC", builder);
  OSSL_PARAM_BLD_free(builder);
  if (pkey && !is_on_curve(pkey)) {
    EVP_PKEY_free(pkey);
    return NULL;
  }
  return pkey;
}

/* True when the member is not there or a string that says so. */
static bool
says_nothing_but(const Document *jwk, const char *name, const char *value)
{
  return !document_has(jwk, name) ||
         g_strcmp0(document_text(jwk, name), value) == 0;
}

static bool
may_verify(const Document *jwk)
{
  Document *ops = document_member(jwk, "key_ops");

  if (!document_has(jwk, "key_ops"))
    return true;
  if (!json_object_is_type(ops, json_type_array))
    return false;
  for (size_t i = 0; i < json_object_array_length(ops); i++) {
    Document *op = json_object_array_get_idx(ops, i);

    if (json_object_is_type(op, json_type_string) &&
        strcmp(json_object_get_string(op), "verify") == 0)
      return true;
  }
  return false;
}

/* NULL: the key is not for signatures that may be trusted. */
static Key *
read_key(const Document *jwk)
{
  const char *kty = document_text(jwk, "kty");
  const char *kid = document_text(jwk, "kid");
  const char *alg = document_text(jwk, "alg");
  const Algorithm *only = alg ? algorithm_find(alg) : NULL;
  const bool rsa = g_strcmp0(kty, "RSA") == 0;
  EVP_PKEY *pkey;
  Key *key;

  if ((!rsa && g_strcmp0(kty, "EC") != 0) ||
      !says_nothing_but(jwk, "use", "sig") || !may_verify(jwk) ||
      document_has(jwk, "d") || /* a key that everybody can sign with */
      (document_has(jwk, "kid") && (!kid || strlen(kid) > MAX_KID)) ||
      (document_has(jwk, "alg") && (!only || !g_str_equal(only->kty, kty))))
    return NULL;
  pkey = rsa ? rsa_key(jwk) : ec_key(jwk);
  if (!pkey)
    return NULL;
  key = g_new0(Key, 1);
  key->kid = g_strdup(kid);
  key->kty = rsa ? "RSA" : "EC";
  key->crv = rsa ? NULL : g_strdup(document_text(jwk, "crv"));
  key->only = only;
  key->pkey = pkey;
  return key;
}

/* False when the set has another key of the same kid and type. */
static bool
add_key(KeySet *keys, Key *key)
{
  for (guint i = 0; key->kid && i < keys->keys->len; i++) {
    const Key *other = keys->keys->pdata[i];

    if (g_strcmp0(other->kid, key->kid) != 0 || other->kty != key->kty)
      continue;
    if (EVP_PKEY_eq(other->pkey, key->pkey) != 1) {
      key_free(key);
      return false;
    }
  }
  g_ptr_array_add(keys->keys, key);
  return true;
}

static bool
read_keys(KeySet *keys, const Document *list, GError **error)
{
  const char *fault = NULL;
  size_t n = 0;

  if (!json_object_is_type(list, json_type_array))
    fault = "has no list of keys";
  else if ((n = json_object_array_length(list)) > KEY_SET_MAX_KEYS)
    fault = "holds more than 100 keys";
  for (size_t i = 0; i < n && !fault; i++) {
    const Document *jwk = json_object_array_get_idx(list, i);
    Key *key = NULL;

    if (!json_object_is_type(jwk, json_type_object))
      fault = "has a key that is no object";
    else if ((key = read_key(jwk)) && !add_key(keys, key))
      fault = "has two keys of the same kid";
  }
  if (!fault)
    return true;
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_PROTOCOL,
              "the provider's key set %s",
              fault);
  return false;
}

KeySet *
key_set_parse(const char *text, size_t len, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(Document) document = NULL;
  g_autoptr(KeySet) keys = NULL;
  bool good;

  if (len > KEY_SET_MAX_BYTES)
    g_set_error(&why, IDENTITY_ERROR, IDENTITY_ERROR_PROTOCOL, "too long");
  else
    document = document_parse(text, len, &why);
  if (!document) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_PROTOCOL,
                "the provider's key set cannot be read: %s",
                why->message);
    return NULL;
  }
  keys = g_new0(KeySet, 1);
  keys->keys = g_ptr_array_new_with_free_func(key_free);
  ERR_set_mark(); /* keys that are passed over leave nothing behind */
  good = read_keys(keys, document_member(document, "keys"), error);
  ERR_pop_to_mark();
  return good ? g_steal_pointer(&keys) : NULL;
}

void
key_set_free(KeySet *keys)
{
  if (!keys)
    return;
  g_ptr_array_unref(keys->keys);
  g_free(keys);
}

static bool
fits(const Key *key, const Algorithm *algorithm)
{
  return g_str_equal(key->kty, algorithm->kty) &&
         g_strcmp0(key->crv, algorithm->crv) == 0 &&
         (!key->only || key->only == algorithm);
}

EVP_PKEY *
key_set_find(const KeySet *keys,
             const Algorithm *algorithm,
             const char *kid,
             bool *many)
{
  EVP_PKEY *found = NULL;

  *many = false;
  for (guint i = 0; i < keys->keys->len; i++) {
    const Key *key = keys->keys->pdata[i];

    if (!fits(key, algorithm) || (kid && g_strcmp0(key->kid, kid) != 0))
      continue;
    /* One key may stand there under several `alg`. */
    if (found && EVP_PKEY_eq(found, key->pkey) != 1) {
      *many = true;
      return NULL;
    }
    found = key->pkey;
  }
  return found;
}
