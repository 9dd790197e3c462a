/* SPDX-License-Identifier: Apache-2.0 */
/* Key sets: which keys count, which are passed over, which documents are
 * refused. */
#include "identity/id-token.h"
#include "kit/digest.h"
#include "tests/unit/token-kit.h"
#include <openssl/err.h>
#include <string.h>

#define MAX_EDITS 4

static KeySet *
parsed(const char *jwks)
{
  g_autoptr(GError) error = NULL;
  KeySet *keys = key_set_parse(jwks, strlen(jwks), &error);

  g_assert_no_error(error);
  g_assert_nonnull(keys);
  g_assert_cmpuint(ERR_peek_error(), ==, 0);
  return keys;
}

static bool
has(const char *jwk, const char *key, const char *alg)
{
  g_autofree char *jwks = g_strdup_printf("{\"keys\":[%s]}", jwk);
  g_autoptr(KeySet) keys = parsed(jwks);
  g_autofree char *token = kit_good(key, alg, "k");
  g_autofree char *claims = id_token_check(keys, token, &kit_expect, NULL);

  g_assert_cmpint(claims != NULL, ==, id_token_has_key(keys, token));
  return claims != NULL;
}

/* What a key says of itself. */
static void
test_members(void)
{
  static const struct {
    const char *name;
    bool taken;
    Edit edits[MAX_EDITS];
  } rows[] = {
      {"bare", true, {{NULL, NULL}}},
      {"use sig", true, {{"use", "\"sig\""}}},
      {"use enc", false, {{"use", "\"enc\""}}},
      {"use Sig", false, {{"use", "\"Sig\""}}},
      {"use empty", false, {{"use", "\"\""}}},
      {"use null", false, {{"use", "null"}}},
      {"use list", false, {{"use", "[\"sig\"]"}}},
      {"key_ops verify", true, {{"key_ops", "[\"verify\"]"}}},
      {"key_ops both", true, {{"key_ops", "[\"sign\",\"verify\"]"}}},
      {"key_ops encrypt", false, {{"key_ops", "[\"encrypt\"]"}}},
      {"key_ops sign", false, {{"key_ops", "[\"sign\"]"}}},
      {"key_ops empty", false, {{"key_ops", "[]"}}},
      {"key_ops text", false, {{"key_ops", "\"verify\""}}},
      {"key_ops null", false, {{"key_ops", "null"}}},
      {"key_ops numbers", false, {{"key_ops", "[1,null,{}]"}}},
      {"alg", true, {{"alg", "\"RS256\""}}},
      {"alg other", false, {{"alg", "\"RS512\""}}},
      {"alg of encryption", false, {{"alg", "\"RSA-OAEP\""}}},
      {"alg of another type", false, {{"alg", "\"ES256\""}}},
      {"alg HS256", false, {{"alg", "\"HS256\""}}},
      {"alg none", false, {{"alg", "\"none\""}}},
      {"alg null", false, {{"alg", "null"}}},
      {"alg number", false, {{"alg", "256"}}},
      {"kty rsa", false, {{"kty", "\"rsa\""}}},
      {"kty EC", false, {{"kty", "\"EC\""}}},
      {"kty oct", false, {{"kty", "\"oct\""}}},
      {"kty null", false, {{"kty", "null"}}},
      {"kty missing", false, {{"kty", NULL}}},
      {"kid number", false, {{"kid", "1"}}},
      {"kid null", false, {{"kid", "null"}}},
      {"kid missing", false, {{"kid", NULL}}},
      {"private", false, {{"d", "\"bWFyaw\""}}},
      {"n missing", false, {{"n", NULL}}},
      {"n empty", false, {{"n", "\"\""}}},
      {"n number", false, {{"n", "65537"}}},
      {"n with padding", false, {{"n", "\"AQAB=\""}}},
      {"e missing", false, {{"e", NULL}}},
      {"e 1", false, {{"e", "\"AQ\""}}},
      {"e 3", false, {{"e", "\"Aw\""}}},
      {"e 0", false, {{"e", "\"AA\""}}},
      {"e even", false, {{"e", "\"AQAC\""}}},
      {"e 65535", false, {{"e", "\"__8\""}}},
      {"e of 72 bits", false, {{"e", "\"AQAAAAAAAAAB\""}}},
      {"e with a zero in front", true, {{"e", "\"AAEAAQ\""}}},
      {"x5c beside", true, {{"x5c", "[\"bWFyaw==\"]"}, {"x5t", "\"a\""}}},
      {"own members", true, {{"issuer", "\"x\""}, {"exp", "1"}}},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *jwk = kit_jwk(kit_key("rsa"), "k", rows[i].edits);

    if (has(jwk, "rsa", "RS256") != rows[i].taken)
      g_error("%s: %s", rows[i].name, rows[i].taken ? "not taken" : "taken");
  }
}

/* A number of `len` bytes, all 0xff but the last, which is `last`. */
static char *
number_of(size_t len, uint8_t last)
{
  g_autofree uint8_t *bytes = g_malloc(len);
  g_autofree char *text = NULL;

  memset(bytes, 0xff, len);
  bytes[len - 1] = last;
  text = base64url_encode(bytes, len);
  return g_strdup_printf("\"%s\"", text);
}

/* Passed over without a try: seen by whether a fetch is asked for. */
static void
test_rsa_sizes(void)
{
  static const struct {
    size_t bytes;
    uint8_t last;
    bool taken;
  } rows[] = {
      {128, 0xff, false},
      {255, 0xff, false},
      {256, 0xff, true},
      {256, 0xfe, false},
      {1024, 0xff, true},
      {1025, 0xff, false},
      {2048, 0xff, false},
      {1, 0xff, false},
  };
  g_autofree char *token = kit_good("rsa", "RS256", "k");

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *n = number_of(rows[i].bytes, rows[i].last);
    char *jwk =
        kit_jwk(kit_key("rsa"), "k", (const Edit[]){{"n", n}, {NULL, NULL}});
    g_autofree char *jwks = kit_jwks(jwk, NULL);
    g_autoptr(KeySet) keys = parsed(jwks);

    if (id_token_has_key(keys, token) != rows[i].taken)
      g_error("a modulus of %zu bytes", rows[i].bytes);
  }
}

static char *
point_of(const char *name, const char *param)
{
  g_autofree char *jwk = kit_jwk(kit_key(name), "k", NULL);
  g_autofree char *before = g_strdup_printf("\"%s\":\"", param);
  const char *at = strstr(jwk, before) + strlen(before);

  return g_strdup_printf("\"%.*s\"", (int)strcspn(at, "\""), at);
}

static void
test_ec_points(void)
{
  g_autofree char *x = point_of("p256", "x");
  g_autofree char *y = point_of("p256", "y");
  g_autofree char *other_y = point_of("p256b", "y");
  g_autofree char *long_x = point_of("p384", "x");
  g_autofree char *zero = g_strnfill(45, 'A');
  g_autofree char *ones = number_of(32, 0xff);
  g_autofree char *short_x = g_strdup("\"AQ\"");
  const struct {
    const char *name;
    bool taken;
    Edit edits[MAX_EDITS];
  } rows[] = {
      {"good", true, {{NULL, NULL}}},
      {"alg", true, {{"alg", "\"ES256\""}}},
      {"alg of another curve", false, {{"alg", "\"ES384\""}}},
      {"alg of RSA", false, {{"alg", "\"RS256\""}}},
      {"not on the curve", false, {{"y", other_y}}},
      {"x and y swapped", false, {{"x", y}, {"y", x}}},
      {"beyond the field", false, {{"x", ones}}},
      {"longer", false, {{"x", long_x}}},
      {"shorter", false, {{"x", short_x}}},
      {"x missing", false, {{"x", NULL}}},
      {"y missing", false, {{"y", NULL}}},
      {"crv missing", false, {{"crv", NULL}}},
      {"crv P-384", false, {{"crv", "\"P-384\""}}},
      {"crv in small letters", false, {{"crv", "\"p-256\""}}},
      {"crv of OpenSSL's", false, {{"crv", "\"prime256v1\""}}},
      {"crv null", false, {{"crv", "null"}}},
      {"private", false, {{"d", x}}},
  };
  g_autofree char *origin = NULL;

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *jwk = kit_jwk(kit_key("p256"), "k", rows[i].edits);

    if (has(jwk, "p256", "ES256") != rows[i].taken)
      g_error("%s: %s", rows[i].name, rows[i].taken ? "not taken" : "taken");
  }
  zero[0] = zero[44] = '"'; /* 43 characters: 32 bytes */
  origin = kit_jwk(kit_key("p256"),
                   "k",
                   (const Edit[]){{"x", zero}, {"y", zero}, {NULL, NULL}});
  g_assert_false(has(origin, "p256", "ES256"));
}

/* A point whose y begins with a zero byte, as the specification has it and as
 * glewlwyd tells it. */
static void
test_leading_zero(void)
{
  static const char *const ys[] = {
      "AGF0sbJZNWEddQnJaSpBWF0UXRv_VTnM8DMfViNT4ow",
      "YXSxslk1YR11CclpKkFYXRRdG_9VOczwMx9WI1PijA"};
  static const char head[] = "{\"alg\":\"ES256\",\"kid\":\"k\"}";
  g_autofree char *part =
      g_base64_encode((const guchar *)head, sizeof head - 1);
  g_autofree char *token =
      g_strdup_printf("%.*s.e30.AA", (int)strcspn(part, "="), part);

  for (size_t i = 0; i < G_N_ELEMENTS(ys); i++) {
    g_autofree char *text = g_strdup_printf(
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
        "\"x\":\"6DWXQa8RtBw9hDnYFqjnqzMhKcykdKxY1vAclX9vYD8\","
        "\"y\":\"%s\"}]}",
        ys[i]);
    g_autoptr(GError) error = NULL;
    g_autoptr(KeySet) keys = key_set_parse(text, strlen(text), &error);

    g_assert_no_error(error);
    g_assert_true(id_token_has_key(keys, token));
  }
}

static void
test_refused(void)
{
  static const char *const rows[] = {
      "",
      " ",
      "null",
      "[]",
      "\"keys\"",
      "{}",
      "{\"keys\":null}",
      "{\"keys\":{}}",
      "{\"keys\":\"\"}",
      "{\"keys\":[1]}",
      "{\"keys\":[null]}",
      "{\"keys\":[[]]}",
      "{\"keys\":[]",
      "{\"keys\":[]}x",
      "{\"keys\":[],\"keys\":[]}",
      "{\"keys\":[],\"key\\u0073\":[]}",
      "{\"keys\":[{\"kty\":\"RSA\",\"kty\":\"EC\"}]}",
      "{\"keys\":[{\"kid\":\"a\\u0000b\"}]}",
      "\xef\xbb\xbf{\"keys\":[]}",
      "{\"keys\":[{\"kid\":\"\xff\"}]}",
      "<html>503</html>",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;

    if (key_set_parse(rows[i], strlen(rows[i]), &error))
      g_error("taken: %s", rows[i]);
    g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_PROTOCOL);
  }
}

static void
test_same_kid(void)
{
  static const Edit alg[] = {{"alg", "\"RS512\""}, {NULL, NULL}};
  static const Edit enc[] = {{"use", "\"enc\""}, {NULL, NULL}};
  g_autofree char *differ = kit_jwks(kit_jwk(kit_key("rsa"), "k", NULL),
                                     kit_jwk(kit_key("rsa2"), "k", NULL),
                                     NULL);
  g_autofree char *same = kit_jwks(kit_jwk(kit_key("rsa"), "k", NULL),
                                   kit_jwk(kit_key("rsa"), "k", alg),
                                   kit_jwk(kit_key("rsa2"), "k", enc),
                                   kit_jwk(kit_key("p256"), "k", NULL),
                                   NULL);
  g_autofree char *unnamed = kit_jwks(kit_jwk(kit_key("rsa"), NULL, NULL),
                                      kit_jwk(kit_key("rsa2"), NULL, NULL),
                                      NULL);
  g_autofree char *rs = kit_good("rsa", "RS256", "k");
  g_autofree char *es = kit_good("p256", "ES256", "k");
  g_autofree char *anonymous = kit_good("rsa", "RS256", NULL);
  g_autoptr(KeySet) keys = parsed(same);
  g_autoptr(KeySet) two = parsed(unnamed);
  g_autoptr(GError) error = NULL;
  g_autofree char *a = id_token_check(keys, rs, &kit_expect, NULL);
  g_autofree char *b = id_token_check(keys, es, &kit_expect, NULL);

  g_assert_nonnull(a);
  g_assert_nonnull(b);
  g_assert_null(key_set_parse(differ, strlen(differ), &error));
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_PROTOCOL);
  kit_refused_by(two, anonymous, "two keys without a kid", "key");
  kit_refused_by(two, rs, "keys without a kid", "kid");
}

static void
test_limits(void)
{
  g_autoptr(GString) hundred = g_string_new("{\"keys\":[");
  g_autofree char *last = kit_jwk(kit_key("rsa"), "k", NULL);
  g_autofree char *token = kit_good("rsa", "RS256", "k");
  g_autofree char *filler = g_strnfill(KEY_SET_MAX_BYTES, ' ');
  g_autofree char *claims = NULL;
  g_autoptr(KeySet) keys = NULL;
  g_autoptr(GError) error = NULL;

  for (unsigned i = 1; i < KEY_SET_MAX_KEYS; i++)
    g_string_append_printf(
        hundred, "{\"kty\":\"X\",\"kid\":\"%u\",\"x5c\":[\"%01024d\"]},", i, 0);
  g_string_append_printf(hundred, "%s]}", last);
  keys = parsed(hundred->str);
  claims = id_token_check(keys, token, &kit_expect, NULL);
  g_assert_nonnull(claims);
  g_string_insert(hundred, strlen("{\"keys\":["), "{},");
  g_assert_null(key_set_parse(hundred->str, hundred->len, &error));
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_PROTOCOL);
  g_clear_error(&error);
  memcpy(filler, "{\"keys\":[]}", 11);
  key_set_free(key_set_parse(filler, KEY_SET_MAX_BYTES, &error));
  g_assert_no_error(error);
  g_assert_null(key_set_parse(filler, KEY_SET_MAX_BYTES + 1, &error));
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_PROTOCOL);
  key_set_free(NULL);
}

/* No key, no token. */
static void
test_empty(void)
{
  g_autoptr(KeySet) keys = parsed("{\"keys\":[]}");
  g_autofree char *token = kit_good("rsa", "RS256", "rsa");
  g_autofree char *unnamed = kit_good("rsa", "RS256", NULL);

  g_assert_false(id_token_has_key(keys, token));
  g_assert_false(id_token_has_key(keys, unnamed));
  kit_refused_by(keys, token, "no keys", "kid");
  kit_refused_by(keys, unnamed, "no keys", "key");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/keys/members", test_members);
  g_test_add_func("/identity/keys/rsa-sizes", test_rsa_sizes);
  g_test_add_func("/identity/keys/ec-points", test_ec_points);
  g_test_add_func("/identity/keys/leading-zero", test_leading_zero);
  g_test_add_func("/identity/keys/refused", test_refused);
  g_test_add_func("/identity/keys/same-kid", test_same_kid);
  g_test_add_func("/identity/keys/limits", test_limits);
  g_test_add_func("/identity/keys/empty", test_empty);
  return g_test_run();
}
