/* SPDX-License-Identifier: Apache-2.0 */
/* Good ID tokens are accepted, whatever the provider may choose; and no byte
 * of one can be changed. */
#include "identity/id-token.h"
#include "kit/digest.h"
#include "tests/unit/token-kit.h"
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

#define MAX_EDITS 4

static void
accepted(const KeySet *keys,
         const char *token,
         const char *name,
         const IdTokenExpect *expect)
{
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) parts = g_strsplit(token, ".", -1);
  g_autofree char *claims = id_token_check(keys, token, expect, &error);
  g_autofree char *again = NULL;

  if (!claims)
    g_error("%s: %s", name, error->message);
  g_assert_no_error(error);
  again = kit_b64(claims);
  g_assert_cmpstr(again, ==, parts[1]);
  g_assert_true(id_token_has_key(keys, token));
  g_assert_cmpuint(ERR_peek_error(), ==, 0);
}

static void
test_algorithms(void)
{
  static const struct {
    const char *key, *alg, *kid;
  } rows[] = {
      {"rsa", "RS256", "rsa"},
      {"rsa", "RS384", "rsa"},
      {"rsa", "RS512", "rsa"},
      {"rsa", "PS256", "rsa"},
      {"rsa", "PS384", "rsa"},
      {"rsa", "PS512", "rsa"},
      {"rsa2", "RS256", "fixed"},
      {"p256", "ES256", "p256"},
      {"p384", "ES384", "p384"},
      {"p521", "ES512", "p521"},
      {"p256", "ES256", NULL}, /* the only P-256 key of the set */
      {"p384", "ES384", NULL},
      {"p521", "ES512", NULL},
      {"rsa", "PS256", NULL}, /* the other RSA key is for RS256 */
  };
  g_autoptr(KeySet) keys = kit_keys();

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *token = kit_good(rows[i].key, rows[i].alg, rows[i].kid);

    accepted(keys, token, rows[i].alg, &kit_expect);
  }
}

static void
test_larger_key(void)
{
  static const char *const algs[] = {"RS256", "PS256", "RS512", "PS512"};
  g_autofree char *jwks = kit_jwks(kit_jwk(kit_key("big"), "big", NULL), NULL);
  g_autoptr(KeySet) keys = key_set_parse(jwks, strlen(jwks), NULL);

  for (size_t i = 0; i < G_N_ELEMENTS(algs); i++) {
    g_autofree char *token = kit_good("big", algs[i], "big");

    accepted(keys, token, algs[i], &kit_expect);
  }
}

/* What providers vary. */
static void
test_variants(void)
{
#define OURS "\"" TOKEN_CLIENT "\""
  static const struct {
    const char *name;
    Edit claims[MAX_EDITS];
    Edit header[MAX_EDITS];
  } rows[] = {
      {"typ absent", .header = {{"typ", NULL}}},
      {"typ jwt", .header = {{"typ", "\"jwt\""}}},
      {"typ Jwt", .header = {{"typ", "\"Jwt\""}}},
      {"x5t", .header = {{"x5t", "\"hgJ7\""}, {"x5t#S256", "\"hgJ7\""}}},
      {"members of the provider's own", .header = {{"x-own", "{\"a\":[1]}"}}},
      {"alg escaped", .header = {{"alg", "\"\\u0052S256\""}}},
      {"aud list of one", .claims = {{"aud", "[" OURS "]"}}},
      {"aud list of one with azp",
       .claims = {{"aud", "[" OURS "]"}, {"azp", OURS}}},
      {"several aud with azp",
       .claims = {{"aud", "[\"other\"," OURS "]"}, {"azp", OURS}}},
      {"azp", .claims = {{"azp", OURS}}},
      {"exp at the leeway's end", .claims = {{"exp", "1699999941"}}},
      {"exp with a fraction", .claims = {{"exp", "1699999940.5"}}},
      {"exp with an exponent", .claims = {{"exp", "1.7000003e9"}}},
      {"exp in the year 9999", .claims = {{"exp", "253402300799"}}},
      {"nbf at the leeway's end", .claims = {{"nbf", "1700000060"}}},
      {"iat at the leeway's end", .claims = {{"iat", "1700000060"}}},
      {"iat as old as may be", .claims = {{"iat", "1699996340"}}},
      {"groups", .claims = {{"groups", "[\"a\",\"b\"]"}}},
      {"same names in other objects",
       .claims = {{"a", "{\"iss\":1,\"a\":{\"a\":2}}"},
                  {"b", "[{\"iss\":1},{\"iss\":2}]"}}},
      {"text that is not ASCII",
       .claims = {{"name", "\"Ren\xc3\xa9 \\u0141\\ud83d\\ude00\""}}},
      {"nested thirty deep",
       .claims = {{"a",
                   "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1"
                   "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"}}},
  };
  g_autoptr(KeySet) keys = kit_keys();

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *header = kit_header("RS256", "rsa", rows[i].header);
    g_autofree char *claims = kit_claims(rows[i].claims);
    g_autofree char *token = kit_token(kit_key("rsa"), "RS256", header, claims);

    accepted(keys, token, rows[i].name, &kit_expect);
  }
}

static void
test_at_hash(void)
{
  static const struct {
    const char *key, *alg, *digest;
  } rows[] = {
      {"rsa", "RS256", "SHA256"},
      {"rsa", "PS384", "SHA384"},
      {"rsa", "RS512", "SHA512"},
      {"p256", "ES256", "SHA256"},
      {"p384", "ES384", "SHA384"},
      {"p521", "ES512", "SHA512"},
  };
  g_autoptr(KeySet) keys = kit_keys();

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    size_t len = 0;
    g_autofree char *half = NULL, *whole = NULL, *header = NULL;
    g_autofree char *good = NULL, *bad = NULL;
    IdTokenExpect expect = kit_expect;

    EVP_Q_digest(NULL,
                 rows[i].digest,
                 NULL,
                 TOKEN_ACCESS,
                 strlen(TOKEN_ACCESS),
                 digest,
                 &len);
    half = base64url_encode(digest, len / 2);
    whole = base64url_encode(digest, len);
    header = kit_header(rows[i].alg, rows[i].key, NULL);
    for (int form = 0; form < 2; form++) {
      g_autofree char *raw = g_strdup_printf("\"%s\"", form ? whole : half);
      g_autofree char *claims =
          kit_claims((const Edit[]){{"at_hash", raw}, {NULL, NULL}});
      char *token =
          kit_token(kit_key(rows[i].key), rows[i].alg, header, claims);

      *(form ? &bad : &good) = token;
    }
    accepted(keys, good, rows[i].alg, &kit_expect);
    kit_refused_by(keys, bad, "the whole digest", "at_hash");
    expect.access_token = "another";
    g_assert_null(id_token_check(keys, good, &expect, NULL));
    expect.access_token = NULL; /* none came: nothing to compare */
    accepted(keys, bad, rows[i].alg, &expect);
  }
}

/* What is not asked for is not needed. */
static void
test_expectations(void)
{
  static const IdTokenExpect least = {
      .issuer = TOKEN_ISSUER, .client_id = TOKEN_CLIENT, .now = TOKEN_NOW};
  g_autoptr(KeySet) keys = kit_keys();
  g_autofree char *claims = kit_claims((const Edit[]){
      {"nonce", NULL}, {"sub", "\"another\""}, {"iat", "1"}, {NULL, NULL}});
  g_autofree char *header = kit_header("RS256", "rsa", NULL);
  g_autofree char *token = kit_token(kit_key("rsa"), "RS256", header, claims);
  IdTokenExpect expect = least;
  g_autofree char *late = NULL;

  accepted(keys, token, "least", &least);
  expect.now = 1700000299; /* its last second */
  accepted(keys, token, "last second", &expect);
  expect.now = 1700000300;
  late = id_token_check(keys, token, &expect, NULL);
  g_assert_null(late);
  expect.leeway = 60;
  accepted(keys, token, "leeway", &expect);
}

/* Limits that a wrong sub would hide. */
static void
test_subjects(void)
{
  static const IdTokenExpect anybody = {
      .issuer = TOKEN_ISSUER, .client_id = TOKEN_CLIENT, .now = TOKEN_NOW};
  static const struct {
    unsigned len;
    const char *start;
    bool taken;
  } rows[] = {
      {255, "", true},
      {256, "", false},
      {0, "a\\u007f", false},
      {0, "a\\t", false},
      {0, "\\u001b[2J", false},
      {0, "\xc3\xa9", true},
  };
  g_autoptr(KeySet) keys = kit_keys();
  g_autofree char *header = kit_header("ES256", "p256", NULL);

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *filler = g_strnfill(rows[i].len, 's');
    g_autofree char *sub = g_strdup_printf("\"%s%s\"", rows[i].start, filler);
    g_autofree char *claims =
        kit_claims((const Edit[]){{"sub", sub}, {NULL, NULL}});
    g_autofree char *token =
        kit_token(kit_key("p256"), "ES256", header, claims);
    g_autofree char *got = id_token_check(keys, token, &anybody, NULL);

    g_assert_cmpint(got != NULL, ==, rows[i].taken);
  }
}

/* The claims are the first of 32 levels. */
static void
test_depth(void)
{
  g_autoptr(KeySet) keys = kit_keys();
  g_autofree char *header = kit_header("ES256", "p256", NULL);

  for (unsigned i = 0; i < 4; i++) {
    const unsigned depth = 31 + i % 2;
    g_autoptr(GString) value = g_string_new(NULL);
    g_autofree char *claims = NULL, *token = NULL;

    for (unsigned n = 0; n < depth; n++)
      g_string_append(value, i < 2 ? "[" : "{\"a\":");
    g_string_append_c(value, '1');
    for (unsigned n = 0; n < depth; n++)
      g_string_append(value, i < 2 ? "]" : "}");
    claims = kit_claims((const Edit[]){{"a", value->str}, {NULL, NULL}});
    token = kit_token(kit_key("p256"), "ES256", header, claims);
    if (depth < 32)
      accepted(keys, token, "31 inside", &kit_expect);
    else
      kit_refused_by(keys, token, "32 inside", "claims");
  }
}

/* A new key is missed until the set is fetched again; the old token stays good
 * as long as its key is published. */
static void
test_rotation(void)
{
  g_autofree char *before =
      kit_jwks(kit_jwk(kit_key("rsa"), "2023-a", NULL), NULL);
  g_autofree char *during = kit_jwks(kit_jwk(kit_key("rsa"), "2023-a", NULL),
                                     kit_jwk(kit_key("rsa2"), "2023-b", NULL),
                                     NULL);
  g_autofree char *after =
      kit_jwks(kit_jwk(kit_key("rsa2"), "2023-b", NULL), NULL);
  g_autoptr(KeySet) old = key_set_parse(before, strlen(before), NULL);
  g_autoptr(KeySet) both = key_set_parse(during, strlen(during), NULL);
  g_autoptr(KeySet) new = key_set_parse(after, strlen(after), NULL);
  g_autofree char *a = kit_good("rsa", "RS256", "2023-a");
  g_autofree char *b = kit_good("rsa2", "RS256", "2023-b");
  g_autofree char *unnamed = kit_good("rsa2", "RS256", NULL);

  accepted(old, a, "old key", &kit_expect);
  g_assert_false(id_token_has_key(old, b));
  kit_refused_by(old, b, "new key", "kid");
  accepted(both, a, "old key", &kit_expect);
  accepted(both, b, "new key", &kit_expect);
  g_assert_false(id_token_has_key(new, a));
  accepted(new, b, "new key", &kit_expect);
  accepted(new, unnamed, "only key", &kit_expect);
  kit_refused_by(both, unnamed, "two keys", "key");
  g_assert_true(id_token_has_key(both, unnamed));
  kit_refused_by(old, unnamed, "the only key is another", "signature");
}

/* No fetch is asked for where it could not help. */
static void
test_has_key(void)
{
  g_autoptr(KeySet) keys = kit_keys();
  g_autofree char *none = kit_good("rsa", "RS256", "nowhere");
  g_autofree char *header = kit_header("HS256", "nowhere", NULL);
  g_autofree char *hmac = kit_token(kit_key("rsa"), "RS256", header, "{}");

  g_assert_false(id_token_has_key(keys, none));
  g_assert_true(id_token_has_key(keys, hmac));
  g_assert_true(id_token_has_key(keys, ""));
  g_assert_true(id_token_has_key(keys, "a.b.c"));
  g_assert_true(id_token_has_key(keys, "no token"));
}

/* ---- One set in many threads -----------------------------------------------
 */

typedef struct {
  const KeySet *keys;
  char *tokens[3];
  unsigned accepted;
} Share;

static void *
check_many(void *data)
{
  Share *share = data;

  for (unsigned i = 0; i < 60; i++) {
    g_autofree char *claims =
        id_token_check(share->keys, share->tokens[i % 3], &kit_expect, NULL);

    share->accepted += claims != NULL;
    g_assert_true(id_token_has_key(share->keys, share->tokens[i % 3]));
  }
  return NULL;
}

static void
test_threads(void)
{
  g_autoptr(KeySet) keys = kit_keys();
  g_autofree char *rs = kit_good("rsa", "RS256", "rsa");
  g_autofree char *es = kit_good("p256", "ES256", "p256");
  g_autofree char *bad = kit_good("rsa2", "PS256", "rsa");
  Share shares[4];
  pthread_t threads[4];

  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
    shares[i] = (Share){.keys = keys, .tokens = {rs, es, bad}};
    g_assert_cmpint(
        pthread_create(&threads[i], NULL, check_many, &shares[i]), ==, 0);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
    pthread_join(threads[i], NULL);
    g_assert_cmpuint(shares[i].accepted, ==, 40);
  }
}

/* ---- No byte can be changed ---------------------------------------------- */

static void
never(const KeySet *keys, const char *token)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *claims = id_token_check(keys, token, &kit_expect, &error);

  if (claims)
    g_error("accepted a changed token: %s", token);
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN);
}

/* Every byte to every other value, taken out, doubled, and the token cut there.
 * `step` leaves values out where a check is slow. */
static void
change_all(const char *key, const char *alg, unsigned step)
{
  g_autoptr(KeySet) keys = kit_keys();
  g_autofree char *token = kit_good(key, alg, key);
  const size_t len = strlen(token);
  g_autofree char *other = g_malloc(len + 2);

  for (size_t at = 0; at < len; at++) {
    strcpy(other, token);
    for (unsigned value = 1 + (unsigned)at % step; value < 256; value += step) {
      other[at] = (char)value;
      if (other[at] != token[at])
        never(keys, other);
    }
    other[at] = '\0';
    never(keys, other);
    memcpy(other + at, token + at + 1, len - at);
    never(keys, other);
    memcpy(other + at + 1, token + at, len - at + 1);
    other[at] = token[at];
    never(keys, other);
  }
  accepted(keys, token, alg, &kit_expect);
}

/* All values where there is time, few where each check takes milliseconds. */
static unsigned
step(unsigned usual)
{
  if (g_getenv("HOOP_VALGRIND"))
    return 101;
  return g_test_thorough() ? 1 : usual;
}

static void
test_changed_rsa(void)
{
  change_all("rsa", "RS256", step(5));
}

static void
test_changed_pss(void)
{
  change_all("rsa", "PS256", step(11));
}

static void
test_changed_ec(void)
{
  change_all("p256", "ES256", step(11));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/token/algorithms", test_algorithms);
  g_test_add_func("/identity/token/larger-key", test_larger_key);
  g_test_add_func("/identity/token/variants", test_variants);
  g_test_add_func("/identity/token/at-hash", test_at_hash);
  g_test_add_func("/identity/token/expectations", test_expectations);
  g_test_add_func("/identity/token/subjects", test_subjects);
  g_test_add_func("/identity/token/depth", test_depth);
  g_test_add_func("/identity/token/rotation", test_rotation);
  g_test_add_func("/identity/token/has-key", test_has_key);
  g_test_add_func("/identity/token/threads", test_threads);
  g_test_add_func("/identity/token/changed-rsa", test_changed_rsa);
  g_test_add_func("/identity/token/changed-pss", test_changed_pss);
  g_test_add_func("/identity/token/changed-ec", test_changed_ec);
  return g_test_run();
}
