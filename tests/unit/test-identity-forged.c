/* SPDX-License-Identifier: Apache-2.0 */
/* Crafted ID tokens: each is refused, by the check that is there for it, and
 * the refusal tells nothing of what the token says. */
#include "identity/id-token.h"
#include "tests/unit/token-kit.h"
#include <string.h>

#define MAX_EDITS 4

/* A token signed properly by the provider's key, but for what is said here. */
typedef struct {
  const char *name;
  const char *check; /* that refuses it */
  Edit claims[MAX_EDITS];
  Edit header[MAX_EDITS];
  const char *alg;   /* signed with this; NULL: RS256 */
  const char *key;   /* signed by; NULL: rsa */
  const char *kid;   /* NULL: the key's name */
  const char *tail;  /* behind the claims' last member */
  const char *whole; /* in place of the claims */
  const char *head;  /* in place of the header */
} Forged;

#define HUGE_NUMBER "1e400"
#define AUD(list) .claims = {{"aud", list}}
#define CLAIM(name, value) .claims = {{name, value}}
#define HEADER(name, value) .header = {{name, value}}

static const Forged forged[] = {
    /* algorithms */
    {"none", "alg", HEADER("alg", "\"none\"")},
    {"None", "alg", HEADER("alg", "\"None\"")},
    {"NONE", "alg", HEADER("alg", "\"NONE\"")},
    {"nOnE", "alg", HEADER("alg", "\"nOnE\"")},
    {"none with a space", "alg", HEADER("alg", "\"none \"")},
    {"none escaped", "alg", HEADER("alg", "\"\\u006eone\"")},
    {"empty alg", "alg", HEADER("alg", "\"\"")},
    {"no alg", "alg", HEADER("alg", NULL)},
    {"alg null", "alg", HEADER("alg", "null")},
    {"alg list", "alg", HEADER("alg", "[\"RS256\"]")},
    {"alg number", "alg", HEADER("alg", "256")},
    {"alg true", "alg", HEADER("alg", "true")},
    {"alg in small letters", "alg", HEADER("alg", "\"rs256\"")},
    {"alg with a space", "alg", HEADER("alg", "\"RS256 \"")},
    {"alg with a NUL", "header", HEADER("alg", "\"RS256\\u0000\"")},
    {"alg HS256", "alg", HEADER("alg", "\"HS256\"")},
    {"alg RS1", "alg", HEADER("alg", "\"RS1\"")},
    {"alg ES256K",
     "alg",
     HEADER("alg", "\"ES256K\""),
     .key = "k256",
     .alg = "ES256"},
    {"alg EdDSA",
     "alg",
     HEADER("alg", "\"EdDSA\""),
     .key = "ed",
     .alg = "EdDSA"},
    {"alg dir", "alg", HEADER("alg", "\"dir\"")},
    {"RS256 under PS256", "signature", HEADER("alg", "\"PS256\"")},
    {"PS256 under RS256",
     "signature",
     HEADER("alg", "\"RS256\""),
     .alg = "PS256"},
    {"RS256 under RS384", "signature", HEADER("alg", "\"RS384\"")},
    {"RS512 under RS256",
     "signature",
     HEADER("alg", "\"RS256\""),
     .alg = "RS512"},
    {"PS256 without salt",
     "signature",
     HEADER("alg", "\"PS256\""),
     .alg = "PSS0"},
    {"PS256 with the longest salt",
     "signature",
     HEADER("alg", "\"PS256\""),
     .alg = "PSSMAX"},
    {"RS384 for a key of RS256",
     "kid",
     .key = "rsa2",
     .kid = "fixed",
     .alg = "RS384"},
    {"PS256 for a key of RS256",
     "kid",
     .key = "rsa2",
     .kid = "fixed",
     .alg = "PS256"},
    {"ES256 for an RSA key", "kid", HEADER("alg", "\"ES256\"")},
    {"RS256 for an EC key",
     "kid",
     HEADER("alg", "\"RS256\""),
     .key = "p256",
     .alg = "ES256"},
    {"ES256 for P-384",
     "kid",
     HEADER("alg", "\"ES256\""),
     .key = "p384",
     .alg = "ES384"},
    {"ES384 for P-256",
     "kid",
     HEADER("alg", "\"ES384\""),
     .key = "p256",
     .alg = "ES256"},
    {"ES512 for P-256",
     "kid",
     HEADER("alg", "\"ES512\""),
     .key = "p256",
     .alg = "ES512"},
    {"ECDSA as ASN.1",
     "signature",
     HEADER("alg", "\"ES256\""),
     .key = "p256",
     .alg = "DER256"},
    /* keys */
    {"another's key", "signature", .key = "rsa2", .kid = "rsa"},
    {"another's EC key",
     "signature",
     .key = "p256b",
     .kid = "p256",
     .alg = "ES256"},
    {"a key for encryption", "kid", .key = "rsa2", .kid = "enc"},
    {"a key that may not verify", "kid", .key = "rsa2", .kid = "ops"},
    {"a weak key", "kid", .key = "weak"},
    {"a key of another curve", "kid", .key = "k256", .alg = "ES256"},
    {"an OKP key",
     "kid",
     HEADER("alg", "\"RS256\""),
     .key = "rsa",
     .kid = "ed"},
    {"a symmetric key's kid", "kid", .kid = "oct"},
    {"unknown kid", "kid", .kid = "mark-unknown"},
    {"empty kid", "kid", .kid = ""},
    {"kid of a path", "kid", .kid = "../../../../dev/null"},
    {"kid of a URL", "kid", .kid = "https://mark.example.test/key"},
    {"kid of SQL", "kid", .kid = "mark' UNION SELECT 'secret';--"},
    {"kid of a shell", "kid", .kid = "rsa|/usr/bin/mark"},
    {"kid with a NUL", "header", HEADER("kid", "\"rsa\\u0000mark\"")},
    {"kid in capitals", "kid", .kid = "RSA"},
    {"kid with a space", "kid", .kid = "rsa "},
    {"kid number", "kid", HEADER("kid", "1")},
    {"kid list", "kid", HEADER("kid", "[\"rsa\"]")},
    {"kid null", "kid", HEADER("kid", "null")},
    {"no kid and several keys", "key", HEADER("kid", NULL), .key = "rsa"},
    {"embedded jwk",
     "jwk",
     HEADER("jwk", "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"bWFyaw\"}"),
     .key = "rsa2",
     .kid = "mark"},
    {"jku", "jku", HEADER("jku", "\"https://mark.example.test/jwks\"")},
    {"x5u", "x5u", HEADER("x5u", "\"https://mark.example.test/x\"")},
    {"x5c", "x5c", HEADER("x5c", "[\"bWFyaw==\"]")},
    /* what the header may not ask for */
    {"crit", "crit", HEADER("crit", "[\"exp\"]")},
    {"crit unknown", "crit", .header = {{"crit", "[\"mark\"]"}, {"mark", "1"}}},
    {"crit empty", "crit", HEADER("crit", "[]")},
    {"crit null", "crit", HEADER("crit", "null")},
    {"b64 false", "b64", HEADER("b64", "false")},
    {"b64 with crit",
     "crit",
     .header = {{"b64", "false"}, {"crit", "[\"b64\"]"}}},
    {"zip", "zip", HEADER("zip", "\"DEF\"")},
    {"enc", "enc", HEADER("enc", "\"A128GCM\"")},
    {"an access token", "typ", HEADER("typ", "\"at+jwt\"")},
    {"an access token in capitals", "typ", HEADER("typ", "\"AT+JWT\"")},
    {"application/at+jwt", "typ", HEADER("typ", "\"application/at+jwt\"")},
    {"a logout token", "typ", HEADER("typ", "\"logout+jwt\"")},
    {"dpop+jwt", "typ", HEADER("typ", "\"dpop+jwt\"")},
    {"typ number", "typ", HEADER("typ", "1")},
    {"typ empty", "typ", HEADER("typ", "\"\"")},
    {"nested JWT", "cty", HEADER("cty", "\"JWT\"")},
    {"alg twice", "header", .head = "{\"alg\":\"none\",\"alg\":\"RS256\"}"},
    {"alg twice, once escaped",
     "header",
     .head = "{\"\\u0061lg\":\"none\",\"alg\":\"RS256\"}"},
    {"kid twice",
     "header",
     .head = "{\"alg\":\"RS256\",\"kid\":\"mark\",\"kid\":\"rsa\"}"},
    {"nested twice",
     "header",
     .head = "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"a\":{\"b\":1,\"b\":2}}"},
    {"header list", "header", .head = "[\"RS256\"]"},
    {"header text", "header", .head = "\"RS256\""},
    {"header is empty object", "alg", .head = "{}"},
    {"header with a byte order mark",
     "header",
     .head = "\xef\xbb\xbf{\"alg\":\"RS256\",\"kid\":\"rsa\"}"},
    {"header not UTF-8",
     "header",
     .head = "{\"alg\":\"RS256\",\"a\":\"\xff\"}"},
    {"header not JSON", "header", .head = "{'alg':'RS256'}"},
    {"header with a comment",
     "header",
     .head = "{\"alg\":\"RS256\"/*,*/,\"kid\":\"rsa\"}"},
    {"header with more behind",
     "header",
     .head = "{\"alg\":\"RS256\",\"kid\":\"rsa\"}{}"},
    /* whose */
    {"wrong iss", "iss", CLAIM("iss", "\"https://mark.example.test\"")},
    {"iss with a slash", "iss", CLAIM("iss", "\"" TOKEN_ISSUER "/\"")},
    {"iss in capitals",
     "iss",
     CLAIM("iss", "\"https://IDP.example.test/tenant\"")},
    {"iss as a prefix", "iss", CLAIM("iss", "\"" TOKEN_ISSUER ".mark.test\"")},
    {"iss without its end",
     "iss",
     CLAIM("iss", "\"https://idp.example.test\"")},
    {"no iss", "iss", CLAIM("iss", NULL)},
    {"iss null", "iss", CLAIM("iss", "null")},
    {"iss list", "iss", CLAIM("iss", "[\"" TOKEN_ISSUER "\"]")},
    {"iss object", "iss", CLAIM("iss", "{\"a\":\"" TOKEN_ISSUER "\"}")},
    {"iss empty", "iss", CLAIM("iss", "\"\"")},
    {"iss with a NUL", "claims", CLAIM("iss", "\"" TOKEN_ISSUER "\\u0000\"")},
    /* for whom */
    {"wrong aud", "aud", AUD("\"mark-other-client\"")},
    {"aud in capitals", "aud", AUD("\"HOOP-AGENT-CLIENT\"")},
    {"aud longer", "aud", AUD("\"" TOKEN_CLIENT "x\"")},
    {"aud shorter", "aud", AUD("\"hoop-agent\"")},
    {"no aud", "aud", AUD(NULL)},
    {"aud null", "aud", AUD("null")},
    {"aud empty", "aud", AUD("\"\"")},
    {"aud empty list", "aud", AUD("[]")},
    {"aud number", "aud", AUD("1")},
    {"aud true", "aud", AUD("true")},
    {"aud object", "aud", AUD("{\"" TOKEN_CLIENT "\":1}")},
    {"aud list of others", "aud", AUD("[\"mark-a\",\"mark-b\"]")},
    {"aud with a number", "aud", AUD("[\"" TOKEN_CLIENT "\",1]")},
    {"aud with null", "aud", AUD("[null,\"" TOKEN_CLIENT "\"]")},
    {"aud nested", "aud", AUD("[[\"" TOKEN_CLIENT "\"]]")},
    {"aud joined", "aud", AUD("\"mark-a " TOKEN_CLIENT "\"")},
    {"several aud, no azp", "azp", AUD("[\"" TOKEN_CLIENT "\",\"mark-b\"]")},
    {"ours twice, no azp",
     "azp",
     AUD("[\"" TOKEN_CLIENT "\",\"" TOKEN_CLIENT "\"]")},
    {"several aud, azp of another",
     "azp",
     .claims = {{"aud", "[\"" TOKEN_CLIENT "\",\"mark-b\"]"},
                {"azp", "\"mark-b\""}}},
    {"azp of another", "azp", CLAIM("azp", "\"mark-b\"")},
    {"azp null", "azp", CLAIM("azp", "null")},
    {"azp list", "azp", CLAIM("azp", "[\"" TOKEN_CLIENT "\"]")},
    {"azp empty", "azp", CLAIM("azp", "\"\"")},
    /* from when until when */
    {"expired", "exp", CLAIM("exp", "1699999000")},
    {"expired at the leeway's end", "exp", CLAIM("exp", "1699999940")},
    {"no exp", "exp", CLAIM("exp", NULL)},
    {"exp null", "exp", CLAIM("exp", "null")},
    {"exp text", "exp", CLAIM("exp", "\"1700000300\"")},
    {"exp true", "exp", CLAIM("exp", "true")},
    {"exp list", "exp", CLAIM("exp", "[1700000300]")},
    {"exp -1", "exp", CLAIM("exp", "-1")},
    {"exp -5", "exp", CLAIM("exp", "-5")},
    {"exp 0", "exp", CLAIM("exp", "0")},
    {"exp -0", "exp", CLAIM("exp", "-0")},
    {"exp infinite", "exp", CLAIM("exp", HUGE_NUMBER)},
    {"exp minus infinite", "exp", CLAIM("exp", "-" HUGE_NUMBER)},
    {"exp tiny", "exp", CLAIM("exp", "1e-400")},
    {"exp beyond 64 bits", "exp", CLAIM("exp", "99999999999999999999999")},
    {"exp 2^63", "exp", CLAIM("exp", "9223372036854775808")},
    {"exp 2^64", "exp", CLAIM("exp", "18446744073709551616")},
    {"exp in milliseconds", "exp", CLAIM("exp", "1700000300000")},
    {"exp hexadecimal", "claims", CLAIM("exp", "0x65543200")},
    {"exp NaN", "claims", CLAIM("exp", "NaN")},
    {"exp Infinity", "claims", CLAIM("exp", "Infinity")},
    {"exp with a plus", "claims", CLAIM("exp", "+1700000300")},
    {"exp with a zero in front", "claims", CLAIM("exp", "01700000300")},
    {"nbf ahead", "nbf", CLAIM("nbf", "1700000061")},
    {"nbf text", "nbf", CLAIM("nbf", "\"1699999990\"")},
    {"nbf null", "nbf", CLAIM("nbf", "null")},
    {"nbf -1", "nbf", CLAIM("nbf", "-1")},
    {"nbf infinite", "nbf", CLAIM("nbf", HUGE_NUMBER)},
    {"no iat", "iat", CLAIM("iat", NULL)},
    {"iat ahead", "iat", CLAIM("iat", "1700000061")},
    {"iat text", "iat", CLAIM("iat", "\"1699999990\"")},
    {"iat false", "iat", CLAIM("iat", "false")},
    {"iat -1", "iat", CLAIM("iat", "-1")},
    {"iat infinite", "iat", CLAIM("iat", HUGE_NUMBER)},
    {"iat too old", "iat", CLAIM("iat", "1699996339")},
    /* who */
    {"no sub", "sub", CLAIM("sub", NULL)},
    {"sub empty", "sub", CLAIM("sub", "\"\"")},
    {"sub null", "sub", CLAIM("sub", "null")},
    {"sub number", "sub", CLAIM("sub", "248289761001")},
    {"sub list", "sub", CLAIM("sub", "[\"mark-248289761001\"]")},
    {"sub of another", "sub", CLAIM("sub", "\"mark-another\"")},
    {"sub with a line's end", "sub", CLAIM("sub", "\"mark\\nroot\"")},
    {"sub with an escape", "sub", CLAIM("sub", "\"mark\\u001b[2J\"")},
    {"sub with a NUL", "claims", CLAIM("sub", "\"mark-248289761001\\u0000\"")},
    /* which sign-in */
    {"no nonce", "nonce", CLAIM("nonce", NULL)},
    {"nonce of another", "nonce", CLAIM("nonce", "\"mark-other\"")},
    {"nonce empty", "nonce", CLAIM("nonce", "\"\"")},
    {"nonce list", "nonce", CLAIM("nonce", "[\"" TOKEN_NONCE "\"]")},
    {"nonce null", "nonce", CLAIM("nonce", "null")},
    {"nonce longer", "nonce", CLAIM("nonce", "\"" TOKEN_NONCE "x\"")},
    {"nonce with its last byte changed",
     "nonce",
     CLAIM("nonce", "\"n-0S6_WzA2Mj-noncf\"")},
    {"at_hash of another",
     "at_hash",
     CLAIM("at_hash", "\"77QmUPtjPfzWtF2Anp\"")},
    {"at_hash short", "at_hash", CLAIM("at_hash", "\"77\"")},
    {"at_hash empty", "at_hash", CLAIM("at_hash", "\"\"")},
    {"at_hash null", "at_hash", CLAIM("at_hash", "null")},
    {"at_hash number", "at_hash", CLAIM("at_hash", "77")},
    /* what the claims are */
    {"iss twice", "claims", .tail = ",\"iss\":\"" TOKEN_ISSUER "\""},
    {"iss twice, once escaped",
     "claims",
     .tail = ",\"is\\u0073\":\"https://mark.example.test\""},
    {"exp twice", "claims", .tail = ",\"exp\":1900000000"},
    {"deep inside twice",
     "claims",
     .tail = ",\"a\":[{\"b\":{\"c\":1,\"d\":2,\"c\":3}}]"},
    {"claims list", "claims", .whole = "[]"},
    {"claims text", "claims", .whole = "\"mark\""},
    {"claims null", "claims", .whole = "null"},
    {"claims empty object", "iss", .whole = "{}"},
    {"claims cut", "claims", .whole = "{\"iss\":\"" TOKEN_ISSUER "\""},
    {"claims with more behind",
     "claims",
     .whole = "{\"iss\":\"" TOKEN_ISSUER "\"} mark"},
    {"claims with a byte order mark", "claims", .whole = "\xef\xbb\xbf{}"},
    {"claims not UTF-8", "claims", .tail = ",\"name\":\"\xc3\x28\""},
    {"claims overlong UTF-8", "claims", .tail = ",\"name\":\"\xc0\xaf\""},
    {"claims with a raw control", "claims", .tail = ",\"name\":\"a\nb\""},
    {"claims with a comma too many", "claims", .tail = ","},
    {"claims nested deep",
     "claims",
     .tail = ",\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1"
             "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"},
    {"a JWT inside", "claims", .whole = "eyJhbGciOiJub25lIn0.e30."},
};

static char *
craft(const Forged *row)
{
  const char *alg = row->alg ? row->alg : "RS256";
  const char *key = row->key ? row->key : "rsa";
  g_autofree char *header =
      row->head ? g_strdup(row->head)
                : kit_header(alg, row->kid ? row->kid : key, row->header);
  g_autofree char *claims =
      row->whole ? g_strdup(row->whole) : kit_claims(row->claims);
  g_autofree char *tailed = NULL;

  if (row->tail) {
    claims[strlen(claims) - 1] = '\0';
    tailed = g_strdup_printf("%s%s}", claims, row->tail);
  }
  return kit_token(kit_key(key), alg, header, tailed ? tailed : claims);
}

static void
test_forged(void)
{
  g_autoptr(KeySet) keys = kit_keys();

  for (size_t i = 0; i < G_N_ELEMENTS(forged); i++) {
    g_autofree char *token = craft(&forged[i]);

    kit_refused_by(keys, token, forged[i].name, forged[i].check);
  }
  g_test_message("%zu crafted tokens", G_N_ELEMENTS(forged));
  g_assert_cmpuint(G_N_ELEMENTS(forged), >=, 190);
}

static void
test_sizes(void)
{
  g_autoptr(KeySet) keys = kit_keys();
  g_autofree char *kid = g_strnfill(40000, 'm');
  g_autofree char *sub = g_strnfill(256, 's');
  g_autofree char *quoted = g_strdup_printf("\"%s\"", sub);
  g_autofree char *filler = g_strnfill(ID_TOKEN_MAX_BYTES, 'A');
  g_autofree char *many = NULL;
  g_autoptr(GString) list = g_string_new("[\"" TOKEN_CLIENT "\"");
  Forged row = {.kid = kid};
  g_autofree char *long_kid = craft(&row);
  g_autofree char *long_sub = NULL;
  g_autofree char *too_long = g_strdup_printf("%s.A.A", filler);

  kit_refused_by(keys, long_kid, "very long kid", "kid");
  kit_refused_by(keys, too_long, "too long", "size");
  kit_refused_by(keys, filler, "too long, no dots", "form");
  row = (Forged){.claims = {{"sub", quoted}}};
  long_sub = craft(&row);
  kit_refused_by(keys, long_sub, "sub of 256 bytes", "sub");
  for (unsigned i = 0; i < 100; i++)
    g_string_append(list, ",\"" TOKEN_CLIENT "\"");
  g_string_append(list, "]");
  row =
      (Forged){.claims = {{"aud", list->str}, {"azp", "\"" TOKEN_CLIENT "\""}}};
  many = craft(&row);
  kit_refused_by(keys, many, "101 audiences", "aud");
}

/* Nothing is accepted where the caller did not say what is expected. */
static void
test_no_expectation(void)
{
  g_autoptr(KeySet) keys = kit_keys();
  g_autofree char *token = kit_good("rsa", "RS256", "rsa");
  IdTokenExpect expect = {.now = TOKEN_NOW, .client_id = TOKEN_CLIENT};
  g_autoptr(GError) error = NULL;

  g_assert_null(id_token_check(keys, token, &expect, &error));
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN);
  g_clear_error(&error);
  expect = (IdTokenExpect){.now = TOKEN_NOW, .issuer = TOKEN_ISSUER};
  g_assert_null(id_token_check(keys, token, &expect, &error));
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN);
  expect.client_id = "";
  g_assert_null(id_token_check(keys, token, &expect, NULL));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/forged/signed", test_forged);
  g_test_add_func("/identity/forged/sizes", test_sizes);
  g_test_add_func("/identity/forged/no-expectation", test_no_expectation);
  return g_test_run();
}
