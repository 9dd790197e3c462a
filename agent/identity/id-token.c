/* SPDX-License-Identifier: Apache-2.0 */
/* An ID token's checks in the order of OpenID Connect Core 1.0, 3.1.3.7: form,
 * header, key, signature, and only then what it says. */
#include "identity/id-token.h"
#include "document/document.h"
#include "identity/key-set.h"
#include "kit/digest.h"
#include "kit/secret.h"
#include <math.h>
#include <openssl/crypto.h>
#include <string.h>

/* Core 1.0 section 2. */
#define MAX_SUB 255
/* The year 9999; a double holds every second until then. */
#define MAX_TIME 253402300799.0
/* An RSA signature of 8192 bits. */
#define MAX_SIGNATURE 1024
/* More audiences than a list that was written by people. */
#define MAX_AUDIENCES 100

typedef struct {
  const char *text;   /* the token */
  size_t signed_len;  /* of its first two parts with the dot */
  const char *header; /* base64url, as the next two */
  const char *payload;
  const char *signature;
  size_t header_len, payload_len, signature_len;
} Parts;

typedef struct {
  const Algorithm *algorithm;
  Document *document;
  const char *kid; /* in the document; NULL: none */
} Header;

/* Sets the error; what a token says never gets into it. */
static bool
refuse(GError **error, const char *check, const char *why)
{
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_TOKEN,
              "ID token refused by the check of %s: %s",
              check,
              why);
  return false;
}

static bool
split(const char *token, Parts *parts, GError **error)
{
  const size_t len = strnlen(token, ID_TOKEN_MAX_BYTES + 1);
  const char *first = memchr(token, '.', len);
  const char *second =
      first ? memchr(first + 1, '.', len - (size_t)(first + 1 - token)) : NULL;

  if (len > ID_TOKEN_MAX_BYTES)
    return refuse(error, "size", "it is over 64 KiB");
  if (!second || strchr(second + 1, '.'))
    return refuse(error, "form", "it has not three parts");
  *parts = (Parts){
      .text = token,
      .signed_len = (size_t)(second - token),
      .header = token,
      .header_len = (size_t)(first - token),
      .payload = first + 1,
      .payload_len = (size_t)(second - first - 1),
      .signature = second + 1,
      .signature_len = len - (size_t)(second + 1 - token),
  };
  if (parts->header_len == 0 || parts->payload_len == 0)
    return refuse(error, "form", "a part is empty");
  if (parts->signature_len == 0)
    return refuse(error, "signature", "it has none");
  return true;
}

/* The part's bytes, NUL terminated; NULL when it is not base64url. */
static char *
decode(const char *part, size_t len, size_t *out_len)
{
  g_autofree char *out = g_malloc(len * 3 / 4 + 2);

  if (!base64url_decode(part, len, (uint8_t *)out, out_len))
    return NULL;
  out[*out_len] = '\0';
  return g_steal_pointer(&out);
}

/* A JSON object in a part of the token. */
static Document *
decode_object(const char *part,
              size_t len,
              const char *check,
              char **text,
              GError **error)
{
  g_autofree char *json = NULL;
  g_autoptr(GError) why = NULL;
  g_autoptr(Document) document = NULL;
  size_t n;

  json = decode(part, len, &n);
  if (!json) {
    refuse(error, "form", "a part is not base64url");
    return NULL;
  }
  document = document_parse(json, n, &why);
  if (!document) {
    refuse(error, check, why->message);
    return NULL;
  }
  if (text)
    *text = g_steal_pointer(&json);
  return g_steal_pointer(&document);
}

/* Members that make the token mean something else, or bring a key along. None
 * of them is in any provider's ID tokens. */
static bool
check_extensions(const Document *header, GError **error)
{
  static const char *const refused[] = {
      "crit", "b64", "zip", "enc", "jwk", "jku", "x5u", "x5c"};

  for (size_t i = 0; i < G_N_ELEMENTS(refused); i++)
    if (document_has(header, refused[i]))
      return refuse(error, refused[i], "an ID token has none");
  if (document_has(header, "cty"))
    return refuse(error, "cty", "it holds no claims but something else");
  return true;
}

/* RFC 9068 section 2.1 names the types of an access token, which providers
 * older than it call a JWT. */
static bool
check_type(const Document *header, bool access, GError **error)
{
  const char *typ = document_text(header, "typ");

  if (!document_has(header, "typ") ||
      (typ && g_ascii_strcasecmp(typ, "JWT") == 0) ||
      (access && typ &&
       (g_ascii_strcasecmp(typ, "at+jwt") == 0 ||
        g_ascii_strcasecmp(typ, "application/at+jwt") == 0)))
    return true;
  return refuse(error, "typ", "it is another kind of token");
}

static bool
read_header(const Parts *parts, Header *header, bool access, GError **error)
{
  g_autoptr(Document) document =
      decode_object(parts->header, parts->header_len, "header", NULL, error);
  const char *alg;

  if (!document)
    return false;
  alg = document_text(document, "alg");
  header->algorithm = alg ? algorithm_find(alg) : NULL;
  if (!header->algorithm)
    return refuse(error, "alg", "no signature that this agent takes");
  if (!check_extensions(document, error) ||
      !check_type(document, access, error))
    return false;
  header->kid = document_text(document, "kid");
  if (document_has(document, "kid") && !header->kid)
    return refuse(error, "kid", "it is no text");
  header->document = g_steal_pointer(&document);
  return true;
}

bool
id_token_has_key(const KeySet *keys, const char *token)
{
  Header header = {NULL};
  Parts parts;
  bool many = false;
  bool found = true;

  if (split(token, &parts, NULL) && read_header(&parts, &header, true, NULL)) {
    found = key_set_find(keys, header.algorithm, header.kid, &many) || many;
    document_free(header.document);
  }
  return found;
}

static bool
check_signature(const KeySet *keys,
                const Parts *parts,
                const Header *header,
                GError **error)
{
  uint8_t signature[MAX_SIGNATURE];
  size_t len;
  bool many, good;
  EVP_PKEY *key = key_set_find(keys, header->algorithm, header->kid, &many);

  if (!key)
    return refuse(error,
                  header->kid ? "kid" : "key",
                  many          ? "several keys could have signed it"
                  : header->kid ? "the provider has no such key"
                                : "the provider has no key of its kind");
  if (parts->signature_len > (MAX_SIGNATURE * 4 + 2) / 3 ||
      !base64url_decode(
          parts->signature, parts->signature_len, signature, &len))
    return refuse(error, "signature", "it cannot be read");
  good = algorithm_verify(
      header->algorithm, key, parts->text, parts->signed_len, signature, len);
  secret_wipe(signature, sizeof signature);
  return good || refuse(error, "signature", "it is wrong");
}

static bool
same_secret(const char *a, const char *b)
{
  const size_t len = strlen(a);

  return len == strlen(b) && CRYPTO_memcmp(a, b, len) == 0;
}

/* A NumericDate (RFC 7519 section 2): a number, the fraction allowed. */
static bool
read_time(const Document *claims,
          const char *name,
          bool required,
          double *out,
          GError **error)
{
  const Document *value = document_member(claims, name);
  double time;

  if (!document_has(claims, name))
    return !required || refuse(error, name, "it is missing");
  if (!json_object_is_type(value, json_type_int) &&
      !json_object_is_type(value, json_type_double))
    return refuse(error, name, "it is no number");
  time = json_object_get_double(value);
  if (!isfinite(time) || time <= 0 || time > MAX_TIME)
    return refuse(error, name, "it is no time");
  *out = time;
  return true;
}

static bool
check_times(const Document *claims, const IdTokenExpect *expect, GError **error)
{
  const double now = (double)expect->now;
  const double leeway = expect->leeway;
  double exp = 0, nbf = 0, iat = 0;

  if (!read_time(claims, "exp", true, &exp, error) ||
      !read_time(claims, "nbf", false, &nbf, error) ||
      !read_time(claims, "iat", true, &iat, error))
    return false;
  if (exp <= now - leeway)
    return refuse(error, "exp", "it has expired, or this clock is fast");
  if (nbf > now + leeway)
    return refuse(error, "nbf", "it is not valid yet, or this clock is slow");
  if (iat > now + leeway)
    return refuse(error, "iat", "it is of the future, or this clock is slow");
  if (expect->max_age > 0 && iat < now - leeway - expect->max_age)
    return refuse(error, "iat", "it is too old, or this clock is fast");
  return true;
}

static bool
check_issuer(const Document *claims,
             const IdTokenExpect *expect,
             GError **error)
{
  const char *iss = document_text(claims, "iss");

  if (!iss)
    return refuse(error, "iss", "it is missing");
  if (!expect->issuer || strcmp(iss, expect->issuer) != 0)
    return refuse(error, "iss", "another issuer");
  return true;
}

/* How many audiences it has, ours among them; 0: not for us. */
static size_t
count_audiences(const Document *aud, const char *ours)
{
  const size_t n = json_object_is_type(aud, json_type_array)
                       ? json_object_array_length(aud)
                       : 0;
  bool found = false;

  if (json_object_is_type(aud, json_type_string))
    return strcmp(json_object_get_string((Document *)aud), ours) == 0;
  if (n > MAX_AUDIENCES)
    return 0;
  for (size_t i = 0; i < n; i++) {
    Document *one = json_object_array_get_idx(aud, i);

    if (!json_object_is_type(one, json_type_string))
      return 0;
    found = found || strcmp(json_object_get_string(one), ours) == 0;
  }
  return found ? n : 0;
}

static bool
check_audience(const Document *claims,
               const IdTokenExpect *expect,
               GError **error)
{
  const char *ours = expect->client_id;
  const char *azp = document_text(claims, "azp");
  size_t n;

  if (!ours || !*ours)
    return refuse(error, "aud", "this agent has no client id");
  n = count_audiences(document_member(claims, "aud"), ours);
  if (n == 0)
    return refuse(error, "aud", "it is not for this client");
  if (expect->access)
    return true;
  if (n > 1 && !azp)
    return refuse(error, "azp", "several audiences and none authorized");
  if (document_has(claims, "azp") && (!azp || strcmp(azp, ours) != 0))
    return refuse(error, "azp", "another client is authorized");
  return true;
}

static bool
check_subject(const Document *claims,
              const IdTokenExpect *expect,
              GError **error)
{
  const char *sub = document_text(claims, "sub");

  if (!sub || !*sub)
    return refuse(error, "sub", "it is missing");
  if (strlen(sub) > MAX_SUB)
    return refuse(error, "sub", "it is over 255 bytes");
  for (const char *c = sub; *c; c++)
    if (g_ascii_iscntrl(*c))
      return refuse(error, "sub", "it has control characters");
  if (expect->subject && strcmp(sub, expect->subject) != 0)
    return refuse(error, "sub", "the token is another person's");
  return true;
}

static bool
check_nonce(const Document *claims, const IdTokenExpect *expect, GError **error)
{
  const char *nonce = document_text(claims, "nonce");

  if (!expect->nonce)
    return true;
  if (!nonce)
    return refuse(error, "nonce", "it is missing");
  return same_secret(nonce, expect->nonce) ||
         refuse(error, "nonce", "it answers another sign-in");
}

/* Core 1.0, 3.1.3.6: the left half of the access token's digest. */
static bool
check_at_hash(const Document *claims,
              const Algorithm *algorithm,
              const IdTokenExpect *expect,
              GError **error)
{
  const char *got = document_text(claims, "at_hash");
  const char *token = expect->access_token;
  uint8_t digest[ALGORITHM_MAX_DIGEST];
  g_autofree char *want = NULL;
  size_t len;

  if (!document_has(claims, "at_hash"))
    return true;
  if (!got)
    return refuse(error, "at_hash", "it is no text");
  if (!token)
    return true;
  len = algorithm_digest(algorithm, token, strlen(token), digest);
  want = base64url_encode(digest, len / 2);
  return (len > 0 && same_secret(got, want)) ||
         refuse(error, "at_hash", "the access token is another");
}

char *
id_token_check(const KeySet *keys,
               const char *token,
               const IdTokenExpect *expect,
               GError **error)
{
  g_autoptr(Document) header_document = NULL;
  g_autoptr(Document) claims = NULL;
  g_autofree char *text = NULL;
  Header header = {NULL};
  Parts parts;

  if (!split(token, &parts, error) ||
      !read_header(&parts, &header, expect->access, error))
    return NULL;
  header_document = header.document;
  if (!check_signature(keys, &parts, &header, error))
    return NULL;
  claims =
      decode_object(parts.payload, parts.payload_len, "claims", &text, error);
  if (!claims || !check_issuer(claims, expect, error) ||
      !check_audience(claims, expect, error) ||
      !check_times(claims, expect, error) ||
      !check_subject(claims, expect, error) ||
      !check_nonce(claims, expect, error) ||
      !check_at_hash(claims, header.algorithm, expect, error))
    return NULL;
  return g_steal_pointer(&text);
}
