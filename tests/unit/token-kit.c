/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are made at every run: none lies in the repository. */
#include "tests/unit/token-kit.h"
#include "kit/digest.h"
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <string.h>

#define MAX_EDITS 32

static EVP_PKEY *
make(const char *name)
{
  if (strcmp(name, "weak") == 0)
    return EVP_RSA_gen(1024);
  if (strcmp(name, "big") == 0)
    return EVP_RSA_gen(3072);
  if (g_str_has_prefix(name, "rsa"))
    return EVP_RSA_gen(2048);
  if (g_str_has_prefix(name, "p256"))
    return EVP_EC_gen("P-256");
  if (strcmp(name, "p384") == 0)
    return EVP_EC_gen("P-384");
  if (strcmp(name, "p521") == 0)
    return EVP_EC_gen("P-521");
  if (strcmp(name, "k256") == 0)
    return EVP_EC_gen("secp256k1");
  g_assert_cmpstr(name, ==, "ed");
  return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

EVP_PKEY *
kit_key(const char *name)
{
  static struct {
    const char *name;
    EVP_PKEY *key;
  } keys[16];
  size_t i = 0;

  while (keys[i].name && strcmp(keys[i].name, name) != 0)
    i++;
  g_assert_cmpuint(i, <, G_N_ELEMENTS(keys) - 1);
  if (!keys[i].name) {
    keys[i].name = name;
    keys[i].key = make(name);
    g_assert_nonnull(keys[i].key);
  }
  return keys[i].key;
}

char *
kit_object(const Edit *base, const Edit *edits, const char *tail)
{
  Edit members[MAX_EDITS] = {{NULL, NULL}};
  GString *out = g_string_new("{");
  size_t n = 0;

  for (; base && base->name; base++)
    members[n++] = *base;
  for (; edits && edits->name; edits++) {
    size_t i = 0;

    while (i < n && strcmp(members[i].name, edits->name) != 0)
      i++;
    n = i == n ? n + 1 : n;
    g_assert_cmpuint(n, <, MAX_EDITS);
    members[i] = *edits;
  }
  for (size_t i = 0; i < n; i++)
    if (members[i].raw)
      g_string_append_printf(out,
                             "%s\"%s\":%s",
                             out->len > 1 ? "," : "",
                             members[i].name,
                             members[i].raw);
  g_string_append_printf(out, "%s}", tail ? tail : "");
  return g_string_free(out, FALSE);
}

static char *
quoted(const char *text)
{
  return text ? g_strdup_printf("\"%s\"", text) : NULL;
}

char *
kit_header(const char *alg, const char *kid, const Edit *edits)
{
  g_autofree char *quoted_alg = quoted(alg);
  g_autofree char *quoted_kid = quoted(kid);
  const Edit base[] = {{"alg", quoted_alg},
                       {"kid", quoted_kid},
                       {"typ", "\"JWT\""},
                       {NULL, NULL}};

  return kit_object(base, edits, NULL);
}

char *
kit_claims(const Edit *edits)
{
  static const Edit base[] = {{"iss", "\"" TOKEN_ISSUER "\""},
                              {"sub", "\"" TOKEN_SUB "\""},
                              {"aud", "\"" TOKEN_CLIENT "\""},
                              {"nonce", "\"" TOKEN_NONCE "\""},
                              {"exp", "1700000300"},
                              {"iat", "1699999990"},
                              {NULL, NULL}};

  return kit_object(base, edits, NULL);
}

char *
kit_b64(const char *text)
{
  return base64url_encode(text, strlen(text));
}

/* A number of the key, base64url in quotes. */
static char *
number(EVP_PKEY *key, const char *param, int len)
{
  BIGNUM *bn = NULL;
  uint8_t bytes[1024];
  g_autofree char *text = NULL;

  g_assert_true(EVP_PKEY_get_bn_param(key, param, &bn));
  if (len == 0)
    len = BN_num_bytes(bn);
  g_assert_cmpint(BN_bn2binpad(bn, bytes, len), ==, len);
  BN_free(bn);
  text = base64url_encode(bytes, (size_t)len);
  return quoted(text);
}

static char *
ec_jwk(EVP_PKEY *key, const char *quoted_kid, const Edit *edits)
{
  const int bits = EVP_PKEY_get_bits(key);
  g_autofree char *x = number(key, OSSL_PKEY_PARAM_EC_PUB_X, (bits + 7) / 8);
  g_autofree char *y = number(key, OSSL_PKEY_PARAM_EC_PUB_Y, (bits + 7) / 8);
  g_autofree char *crv = g_strdup_printf("\"P-%d\"", bits);
  const Edit base[] = {{"kty", "\"EC\""},
                       {"kid", quoted_kid},
                       {"crv", crv},
                       {"x", x},
                       {"y", y},
                       {NULL, NULL}};

  return kit_object(base, edits, NULL);
}

char *
kit_jwk(EVP_PKEY *key, const char *kid, const Edit *edits)
{
  g_autofree char *quoted_kid = quoted(kid);
  g_autofree char *n = NULL;
  g_autofree char *e = NULL;

  if (EVP_PKEY_is_a(key, "EC"))
    return ec_jwk(key, quoted_kid, edits);
  if (EVP_PKEY_is_a(key, "ED25519"))
    return g_strdup_printf(
        "{\"kty\":\"OKP\",\"kid\":%s,\"crv\":\"Ed25519\",\"x\":\"%s\"}",
        quoted_kid,
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
  n = number(key, OSSL_PKEY_PARAM_RSA_N, 0);
  e = number(key, OSSL_PKEY_PARAM_RSA_E, 0);
  return kit_object((const Edit[]){{"kty", "\"RSA\""},
                                   {"kid", quoted_kid},
                                   {"n", n},
                                   {"e", e},
                                   {NULL, NULL}},
                    edits,
                    NULL);
}

char *
kit_jwks(char *first, ...)
{
  GString *out = g_string_new("{\"keys\":[");
  va_list args;

  va_start(args, first);
  for (char *jwk = first; jwk; jwk = va_arg(args, char *)) {
    g_string_append_printf(
        out, "%s%s", out->str[out->len - 1] == '[' ? "" : ",", jwk);
    g_free(jwk);
  }
  va_end(args);
  g_string_append(out, "]}");
  return g_string_free(out, FALSE);
}

char *
kit_provider(void)
{
  static const Edit sig[] = {{"use", "\"sig\""}, {NULL, NULL}};
  static const Edit fixed[] = {
      {"use", "\"sig\""}, {"alg", "\"RS256\""}, {NULL, NULL}};
  static const Edit enc[] = {{"use", "\"enc\""}, {NULL, NULL}};
  static const Edit ops[] = {{"key_ops", "[\"encrypt\"]"}, {NULL, NULL}};
  static const Edit k256[] = {{"crv", "\"secp256k1\""}, {NULL, NULL}};

  return kit_jwks(kit_jwk(kit_key("rsa"), "rsa", sig),
                  kit_jwk(kit_key("rsa2"), "fixed", fixed),
                  kit_jwk(kit_key("p256"), "p256", sig),
                  kit_jwk(kit_key("p384"), "p384", sig),
                  kit_jwk(kit_key("p521"), "p521", NULL),
                  kit_jwk(kit_key("rsa2"), "enc", enc),
                  kit_jwk(kit_key("rsa2"), "ops", ops),
                  kit_jwk(kit_key("weak"), "weak", sig),
                  kit_jwk(kit_key("k256"), "k256", k256),
                  kit_jwk(kit_key("ed"), "ed", NULL),
                  g_strdup("{\"kty\":\"oct\",\"kid\":\"oct\",\"alg\":\"HS256\","
                           "\"k\":\"c2VjcmV0LXRoYXQtZXZlcnlib2R5LWtub3dz\"}"),
                  NULL);
}

static GBytes *
raw_pair(const unsigned char *der, size_t len, int half)
{
  ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
  uint8_t raw[2 * 66];

  g_assert_nonnull(pair);
  BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, half);
  BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + half, half);
  ECDSA_SIG_free(pair);
  return g_bytes_new(raw, (gsize)(2 * half));
}

static int
salt_len(const char *alg)
{
  if (strcmp(alg, "PSS0") == 0)
    return 0;
  return strcmp(alg, "PSSMAX") == 0 ? RSA_PSS_SALTLEN_MAX
                                    : RSA_PSS_SALTLEN_DIGEST;
}

GBytes *
kit_signature(EVP_PKEY *key, const char *alg, const char *text)
{
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  EVP_PKEY_CTX *of_key = NULL;
  const char *digest = g_str_has_suffix(alg, "384")   ? "SHA384"
                       : g_str_has_suffix(alg, "512") ? "SHA512"
                                                      : "SHA256";
  unsigned char out[1024];
  size_t len = sizeof out;

  if (strcmp(alg, "EdDSA") == 0)
    digest = NULL;
  g_assert_true(
      EVP_DigestSignInit_ex(ctx, &of_key, digest, NULL, NULL, key, NULL));
  if (g_str_has_prefix(alg, "PS")) {
    g_assert_true(EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) >
                  0);
    g_assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, salt_len(alg)) > 0);
  }
  g_assert_true(EVP_DigestSign(
      ctx, out, &len, (const unsigned char *)text, strlen(text)));
  EVP_MD_CTX_free(ctx);
  if (g_str_has_prefix(alg, "ES"))
    return raw_pair(out, len, (EVP_PKEY_get_bits(key) + 7) / 8);
  return g_bytes_new(out, len);
}

GBytes *
kit_hmac(const char *digest, GBytes *secret, const char *text)
{
  unsigned char out[EVP_MAX_MD_SIZE];
  size_t len = 0;
  gsize n;
  const void *key = g_bytes_get_data(secret, &n);

  g_assert_nonnull(EVP_Q_mac(NULL,
                             "HMAC",
                             NULL,
                             digest,
                             NULL,
                             key,
                             n,
                             (const unsigned char *)text,
                             strlen(text),
                             out,
                             sizeof out,
                             &len));
  return g_bytes_new(out, len);
}

char *
kit_join(const char *signing_input, GBytes *signature)
{
  gsize len;
  const void *bytes = g_bytes_get_data(signature, &len);
  g_autofree char *encoded = base64url_encode(bytes, len);

  return g_strdup_printf("%s.%s", signing_input, encoded);
}

char *
kit_token(EVP_PKEY *key,
          const char *alg,
          const char *header,
          const char *claims)
{
  g_autofree char *first = kit_b64(header);
  g_autofree char *second = kit_b64(claims);
  g_autofree char *input = g_strdup_printf("%s.%s", first, second);
  g_autoptr(GBytes) signature = kit_signature(key, alg, input);

  return kit_join(input, signature);
}

char *
kit_good(const char *key, const char *alg, const char *kid)
{
  g_autofree char *header = kit_header(alg, kid, NULL);
  g_autofree char *claims = kit_claims(NULL);

  return kit_token(kit_key(key), alg, header, claims);
}

GBytes *
kit_pem(EVP_PKEY *key)
{
  BIO *bio = BIO_new(BIO_s_mem());
  GBytes *out;
  char *data;
  long len;

  g_assert_true(PEM_write_bio_PUBKEY(bio, key));
  len = BIO_get_mem_data(bio, &data);
  out = g_bytes_new(data, (gsize)len);
  BIO_free(bio);
  return out;
}

GBytes *
kit_der(EVP_PKEY *key)
{
  unsigned char *der = NULL;
  const int len = i2d_PUBKEY(key, &der);
  GBytes *out = g_bytes_new(der, (gsize)len);

  OPENSSL_free(der);
  return out;
}

KeySet *
kit_keys(void)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *jwks = kit_provider();
  KeySet *keys = key_set_parse(jwks, strlen(jwks), &error);

  g_assert_no_error(error);
  return keys;
}

const IdTokenExpect kit_expect = {.issuer = TOKEN_ISSUER,
                                  .client_id = TOKEN_CLIENT,
                                  .nonce = TOKEN_NONCE,
                                  .access_token = TOKEN_ACCESS,
                                  .subject = TOKEN_SUB,
                                  .now = TOKEN_NOW,
                                  .leeway = TOKEN_LEEWAY,
                                  .max_age = 3600};

void
kit_refused_by(const KeySet *keys,
               const char *token,
               const char *name,
               const char *check)
{
  g_autofree char *want =
      g_strdup_printf("ID token refused by the check of %s: ", check);
  g_autoptr(GError) error = NULL;
  g_autofree char *claims = id_token_check(keys, token, &kit_expect, &error);

  if (claims || !g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN) ||
      !g_str_has_prefix(error->message, want) || strstr(error->message, "mark"))
    g_error("%s: %s, wanted the check of %s",
            name,
            claims ? "accepted" : error->message,
            check);
}
