/* SPDX-License-Identifier: Apache-2.0 */
/* ID tokens whose parts were taken from good ones and put together otherwise:
 * unsigned, cut, padded, signed with what everybody knows. */
#include "identity/id-token.h"
#include "kit/digest.h"
#include "tests/unit/token-kit.h"
#include <string.h>

static char **
pieces(const char *key, const char *alg)
{
  g_autofree char *token = kit_good(key, alg, key);

  return g_strsplit(token, ".", -1);
}

/* The signature's bytes changed by `change`, then encoded again. */
static char *
resigned(const char *key,
         const char *alg,
         void (*change)(uint8_t *bytes, size_t *len))
{
  g_auto(GStrv) good = pieces(key, alg);
  g_autofree char *input = g_strdup_printf("%s.%s", good[0], good[1]);
  g_autoptr(GBytes) raw = NULL;
  uint8_t bytes[1100];
  size_t len = 0;

  g_assert_true(base64url_decode(good[2], strlen(good[2]), bytes, &len));
  change(bytes, &len);
  raw = g_bytes_new(bytes, len);
  return kit_join(input, raw);
}

static void
all_zero(uint8_t *bytes, size_t *len)
{
  memset(bytes, 0, *len);
}

static void
all_ones(uint8_t *bytes, size_t *len)
{
  memset(bytes, 0xff, *len);
}

static void
r_zero(uint8_t *bytes, size_t *len)
{
  memset(bytes, 0, *len / 2);
}

static void
s_zero(uint8_t *bytes, size_t *len)
{
  memset(bytes + *len / 2, 0, *len / 2);
}

static void
both_one(uint8_t *bytes, size_t *len)
{
  memset(bytes, 0, *len);
  bytes[*len / 2 - 1] = bytes[*len - 1] = 1;
}

static void
swapped(uint8_t *bytes, size_t *len)
{
  uint8_t half[66];

  memcpy(half, bytes, *len / 2);
  memcpy(bytes, bytes + *len / 2, *len / 2);
  memcpy(bytes + *len / 2, half, *len / 2);
}

static void
cut(uint8_t *bytes, size_t *len)
{
  *len -= bytes ? 1 : 0;
}

static void
cut_to_one(uint8_t *bytes, size_t *len)
{
  *len = bytes ? 1 : 0;
}

static void
halved(uint8_t *bytes, size_t *len)
{
  *len /= bytes ? 2 : 1;
}

static void
longer(uint8_t *bytes, size_t *len)
{
  bytes[(*len)++] = 0;
}

static void
zero_in_front(uint8_t *bytes, size_t *len)
{
  memmove(bytes + 1, bytes, (*len)++);
  bytes[0] = 0;
}

static void
padded_halves(uint8_t *bytes, size_t *len)
{
  const size_t half = *len / 2;

  memmove(bytes + half + 2, bytes + half, half);
  memmove(bytes + 1, bytes, half);
  bytes[0] = bytes[half + 1] = 0;
  *len += 2;
}

static void
psychic(uint8_t *bytes, size_t *len)
{
  static const uint8_t der[] = {0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00};

  memcpy(bytes, der, sizeof der);
  *len = sizeof der;
}

static void
huge(uint8_t *bytes, size_t *len)
{
  memset(bytes, 1, 1100);
  *len = 1100;
}

static void
test_signatures(void)
{
  static const struct {
    const char *name, *key, *alg;
    void (*change)(uint8_t *bytes, size_t *len);
  } rows[] = {
      {"RSA zeros", "rsa", "RS256", all_zero},
      {"RSA ones", "rsa", "RS256", all_ones},
      {"RSA cut", "rsa", "RS256", cut},
      {"RSA one byte", "rsa", "RS256", cut_to_one},
      {"RSA half", "rsa", "RS256", halved},
      {"RSA longer", "rsa", "RS256", longer},
      {"RSA with a zero in front", "rsa", "RS256", zero_in_front},
      {"RSA huge", "rsa", "RS256", huge},
      {"PSS zeros", "rsa", "PS256", all_zero},
      {"PSS cut", "rsa", "PS384", cut},
      {"PSS longer", "rsa", "PS512", longer},
      {"EC zeros", "p256", "ES256", all_zero},
      {"EC ones", "p256", "ES256", all_ones},
      {"EC r zero", "p256", "ES256", r_zero},
      {"EC s zero", "p256", "ES256", s_zero},
      {"EC both one", "p256", "ES256", both_one},
      {"EC r and s swapped", "p256", "ES256", swapped},
      {"EC cut", "p256", "ES256", cut},
      {"EC half", "p256", "ES256", halved},
      {"EC longer", "p256", "ES256", longer},
      {"EC halves padded", "p256", "ES256", padded_halves},
      {"EC psychic, as ASN.1", "p256", "ES256", psychic},
      {"EC huge", "p256", "ES256", huge},
      {"P-384 zeros", "p384", "ES384", all_zero},
      {"P-384 s zero", "p384", "ES384", s_zero},
      {"P-384 cut", "p384", "ES384", cut},
      {"P-521 zeros", "p521", "ES512", all_zero},
      {"P-521 r zero", "p521", "ES512", r_zero},
      {"P-521 ones", "p521", "ES512", all_ones},
  };
  g_autoptr(KeySet) keys = kit_keys();

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *token = resigned(rows[i].key, rows[i].alg, rows[i].change);

    kit_refused_by(keys, token, rows[i].name, "signature");
  }
}

/* The public key as the secret of an HMAC, in every form that it comes in. */
static void
test_public_key_as_secret(void)
{
  static const char *const algs[] = {"HS256", "HS384", "HS512"};
  static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
  static const char *const names[] = {"rsa", "p256"};
  g_autoptr(KeySet) keys = kit_keys();

  for (size_t n = 0; n < G_N_ELEMENTS(names); n++) {
    EVP_PKEY *key = kit_key(names[n]);
    g_autofree char *jwk = kit_jwk(key, names[n], NULL);
    g_autofree char *jwks = kit_provider();
    g_autoptr(GBytes) pem = kit_pem(key);
    GBytes *secrets[] = {
        g_bytes_ref(pem),
        g_bytes_new(g_bytes_get_data(pem, NULL), g_bytes_get_size(pem) - 1),
        kit_der(key),
        g_bytes_new(jwk, strlen(jwk)),
        g_bytes_new(jwks, strlen(jwks)),
        g_bytes_new("", 0)};

    for (size_t i = 0; i < G_N_ELEMENTS(secrets) * 3; i++) {
      g_autofree char *header = kit_header(algs[i % 3], names[n], NULL);
      g_autofree char *claims = kit_claims(NULL);
      g_autofree char *first = kit_b64(header);
      g_autofree char *second = kit_b64(claims);
      g_autofree char *input = g_strdup_printf("%s.%s", first, second);
      g_autoptr(GBytes) mac = kit_hmac(digests[i % 3], secrets[i / 3], input);
      g_autofree char *token = kit_join(input, mac);

      kit_refused_by(keys, token, algs[i % 3], "alg");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(secrets); i++)
      g_bytes_unref(secrets[i]);
  }
}

static void
refuse_text(const KeySet *keys,
            const char *name,
            const char *check,
            char *token)
{
  kit_refused_by(keys, token, name, check);
  g_free(token);
}

/* A character of the last group changed in bits that no byte takes. */
static char *
unused_bits(const char *part)
{
  static const char alphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  char *out = g_strdup(part);
  char *last = out + strlen(out) - 1;

  g_assert_cmpuint(strlen(part) % 4, !=, 0);
  *last = alphabet[(strchr(alphabet, *last) - alphabet) | 1];
  g_assert_cmpstr(out, !=, part);
  return out;
}

static void
test_forms(void)
{
  g_autoptr(KeySet) keys = kit_keys();
  g_auto(GStrv) a = pieces("rsa", "RS256");
  g_auto(GStrv) b = pieces("p256", "ES256");
  g_autofree char *none = kit_b64("{\"alg\":\"none\"}");
  g_autofree char *other = kit_b64("{\"iss\":\"https://mark.test\"}");
  g_autofree char *loose = unused_bits(a[2]);
  const char *h = a[0], *p = a[1], *s = a[2];

#define FORM(name, check, ...)                                                 \
  refuse_text(keys, name, check, g_strdup_printf(__VA_ARGS__))
  FORM("empty", "form", "%s", "");
  FORM("a dot", "form", ".");
  FORM("two dots", "form", "..");
  FORM("three dots", "form", "...");
  FORM("one part", "form", "%s", h);
  FORM("two parts", "form", "%s.%s", h, p);
  FORM("no signature", "signature", "%s.%s.", h, p);
  FORM("no header", "form", ".%s.%s", p, s);
  FORM("no claims", "form", "%s..%s", h, s);
  FORM("four parts", "form", "%s.%s.%s.%s", h, p, s, s);
  FORM("a dot behind", "form", "%s.%s.%s.", h, p, s);
  FORM("a dot in front", "form", ".%s.%s.%s", h, p, s);
  FORM("a JWE's five parts", "form", "%s.%s.%s.%s.%s", h, p, s, s, s);
  FORM("none without signature", "signature", "%s.%s.", none, p);
  FORM("none with a signature", "alg", "%s.%s.%s", none, p, s);
  FORM("none with one byte", "alg", "%s.%s.AA", none, p);
  FORM("other claims", "signature", "%s.%s.%s", h, other, s);
  FORM("another token's claims", "signature", "%s.%s.%s", h, s, s);
  FORM("another token's header", "signature", "%s.%s.%s", b[0], p, s);
  FORM("another token's signature", "signature", "%s.%s.%s", h, p, b[2]);
  FORM("parts swapped", "alg", "%s.%s.%s", p, h, s);
  FORM("padding behind", "signature", "%s.%s.%s==", h, p, s);
  FORM("padding of the header", "form", "%s=.%s.%s", h, p, s);
  FORM("padding of the claims", "signature", "%s.%s=.%s", h, p, s);
  FORM("a line's end behind", "signature", "%s.%s.%s\n", h, p, s);
  FORM("CR LF behind", "signature", "%s.%s.%s\r\n", h, p, s);
  FORM("a space behind", "signature", "%s.%s.%s ", h, p, s);
  FORM("a space in front", "form", " %s.%s.%s", h, p, s);
  FORM("a byte order mark", "form", "\xef\xbb\xbf%s.%s.%s", h, p, s);
  FORM("a line's end inside", "form", "%s\n.%s.%s", h, p, s);
  FORM("quoted", "form", "\"%s.%s.%s\"", h, p, s);
  FORM("Bearer", "form", "Bearer %s.%s.%s", h, p, s);
  FORM("escaped NUL", "signature", "%s.%s.%s%%00", h, p, s);
  FORM("a tilde of an SD-JWT", "signature", "%s.%s.%s~", h, p, s);
  FORM("data behind", "signature", "%s.%s.%sAAAA", h, p, s);
  FORM("a character behind", "signature", "%s.%s.%sA", h, p, s);
  FORM("unused bits", "signature", "%s.%s.%s", h, p, loose);
  FORM("not ASCII", "form", "\xc3\xa9%s.%s.%s", h, p, s);
  FORM("JSON serialisation",
       "form",
       "{\"protected\":\"%s\",\"payload\":\"%s\",\"signature\":\"%s\"}",
       h,
       p,
       s);
#undef FORM
}

/* Texts of more than one byte a character, as base64url. */
static void
test_utf16(void)
{
  g_autoptr(KeySet) keys = kit_keys();
  g_auto(GStrv) good = pieces("rsa", "RS256");
  g_autofree char *json = kit_header("RS256", "rsa", NULL);

  for (int order = 0; order < 2; order++) {
    gsize len;
    g_autofree char *wide = g_convert(
        json, -1, order ? "UTF-16LE" : "UTF-16BE", "UTF-8", NULL, &len, NULL);
    g_autofree char *encoded = base64url_encode(wide, len);
    g_autofree char *token =
        g_strdup_printf("%s.%s.%s", encoded, good[1], good[2]);

    kit_refused_by(keys, token, "UTF-16", "header");
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/forms/signatures", test_signatures);
  g_test_add_func("/identity/forms/public-key-as-secret",
                  test_public_key_as_secret);
  g_test_add_func("/identity/forms/parts", test_forms);
  g_test_add_func("/identity/forms/utf-16", test_utf16);
  return g_test_run();
}
