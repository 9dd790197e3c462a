/* SPDX-License-Identifier: Apache-2.0 */
/* What a provider sends: key sets and tokens as they come, headers and claims
 * under a good signature, claims and userinfo on their way to a person. What is
 * accepted must be what a second, simpler reader finds. */
#include "fail.h"
#include "identity/claims.h"
#include "identity/id-token.h"
#include "kit/digest.h"
#include "tests/unit/token-kit.h"
#include <json-c/json.h>
#include <stdint.h>
#include <string.h>

/* Between the fields of an input. */
#define SEPARATOR "\x1e"
#define MAX_FIELDS 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
text_of(struct json_object *in, const char *name)
{
  struct json_object *value = NULL;

  json_object_object_get_ex(in, name, &value);
  return json_object_is_type(value, json_type_string)
             ? json_object_get_string(value)
             : NULL;
}

static double
number_of(struct json_object *in, const char *name)
{
  struct json_object *value = NULL;

  json_object_object_get_ex(in, name, &value);
  return json_object_is_type(value, json_type_int) ||
                 json_object_is_type(value, json_type_double)
             ? json_object_get_double(value)
             : -1;
}

static bool
is_for_us(struct json_object *claims)
{
  struct json_object *aud = NULL;

  json_object_object_get_ex(claims, "aud", &aud);
  if (json_object_is_type(aud, json_type_string))
    return strcmp(json_object_get_string(aud), TOKEN_CLIENT) == 0;
  for (size_t i = 0; json_object_is_type(aud, json_type_array) &&
                     i < json_object_array_length(aud);
       i++)
    if (g_strcmp0(json_object_get_string(json_object_array_get_idx(aud, i)),
                  TOKEN_CLIENT) == 0)
      return true;
  return false;
}

/* The least that must be true of a token that was let in. */
static void
check_accepted(const char *header, const char *text)
{
  struct json_object *claims = json_tokener_parse(text);
  struct json_object *head = json_tokener_parse(header);

  if (g_strcmp0(text_of(claims, "iss"), TOKEN_ISSUER) != 0 ||
      g_strcmp0(text_of(claims, "nonce"), TOKEN_NONCE) != 0 ||
      g_strcmp0(text_of(claims, "sub"), TOKEN_SUB) != 0 || !is_for_us(claims) ||
      number_of(claims, "exp") <= TOKEN_NOW - TOKEN_LEEWAY ||
      number_of(claims, "iat") > TOKEN_NOW + TOKEN_LEEWAY ||
      number_of(claims, "iat") < TOKEN_NOW - TOKEN_LEEWAY - 3600 ||
      number_of(claims, "nbf") > TOKEN_NOW + TOKEN_LEEWAY)
    fail("accepted claims: %s", text);
  if (g_strcmp0(text_of(head, "alg"), "ES256") != 0 ||
      json_object_object_get_ex(head, "crit", NULL) ||
      json_object_object_get_ex(head, "b64", NULL) ||
      json_object_object_get_ex(head, "jwk", NULL))
    fail("accepted header: %s", header);
  json_object_put(claims);
  json_object_put(head);
}

/* Header and claims as the provider itself would sign them. */
static void
check_signed(const char *header, const char *claims)
{
  static KeySet *keys; /* the process's */
  g_autoptr(GError) error = NULL;
  g_autofree char *token = NULL;
  g_autofree char *got = NULL;

  if (!keys) {
    g_autofree char *jwks = kit_jwks(kit_jwk(kit_key("p256"), "k", NULL), NULL);

    keys = key_set_parse(jwks, strlen(jwks), NULL);
  }
  token = kit_token(kit_key("p256"), "ES256", header, claims);
  got = id_token_check(keys, token, &kit_expect, &error);
  if (got && strcmp(got, claims) != 0)
    fail("other claims than were signed: %s", got);
  if (got)
    check_accepted(header, got);
  else if (!g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN))
    fail("refused without saying so");
}

/* Nobody signs these. */
static void
check_unsigned(const char *jwks, size_t len, const char *token)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(KeySet) keys = key_set_parse(jwks, len, &error);

  if (!keys) {
    if (!g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_PROTOCOL))
      fail("refused a key set without saying so");
    return;
  }
  id_token_has_key(keys, token);
  if (id_token_check(keys, token, &kit_expect, NULL))
    fail("accepted a token that nobody signed: %s", token);
}

static void
check_printable(const char *text, size_t max)
{
  g_autofree char *shown = claims_printable(text, max);
  g_autofree char *again = claims_printable(shown, max);

  if (strlen(shown) > max || !g_utf8_validate(shown, -1, NULL))
    fail("not printable: %s", text);
  if (strcmp(shown, again) != 0)
    fail("printable text changes: %s", shown);
  for (const char *c = shown; *c; c = g_utf8_next_char(c))
    if (g_unichar_iscntrl(g_utf8_get_char(c)))
      fail("a control character: %s", shown);
}

static void
check_person(const IssuerOptions *issuer,
             const char *claims,
             const char *userinfo)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(PersonRef) person = NULL;

  claims_want_userinfo(issuer, claims);
  person = claims_person(issuer, claims, userinfo, 1, &error);
  if (!person) {
    if (!g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN))
      fail("no person, and no reason");
    return;
  }
  if (!*person->user || !*person->subject || strlen(person->user) > 256)
    fail("a person without a name");
  if (!person->groups == !person->groups_unknown)
    fail("groups that are neither known nor unknown");
  for (unsigned i = 0; person->groups && person->groups[i]; i++)
    if (i >= 1000 || !*person->groups[i] || strlen(person->groups[i]) > 256 ||
        strcmp(person->groups[i], "local") == 0)
      fail("a group that is none: %s", person->groups[i]);
}

/* The first byte says what the rest is: k, a key set and a token; s, a header
 * and claims; p, an issuer, a groups claim, separator and prefix, claims and
 * userinfo; t, a text; b, base64url. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *input = g_strndup(size ? (const char *)data : "", size);
  g_auto(GStrv) parts = NULL;
  const char *field[MAX_FIELDS] = {"", "", "", "", "", ""};
  uint8_t *bytes;
  size_t n;

  if (!*input)
    return 0;
  parts = g_strsplit(input + 1, SEPARATOR, MAX_FIELDS);
  for (size_t i = 0; i < MAX_FIELDS && parts[i]; i++)
    field[i] = parts[i];
  switch (*input) {
  case 'k':
    check_unsigned(field[0], strlen(field[0]), field[1]);
    break;
  case 's':
    check_signed(field[0], field[1]);
    break;
  case 'p':
    check_person(&(IssuerOptions){.issuer = field[0],
                                  .groups_claim = field[1],
                                  .groups_separator = field[2],
                                  .groups_prefix = field[3]},
                 field[4],
                 *field[5] ? field[5] : NULL);
    break;
  case 't':
    check_printable(input + 1, 1 + size % 97);
    break;
  case 'b':
    bytes = g_malloc(size);
    if (base64url_decode(input + 1, strlen(input + 1), bytes, &n)) {
      g_autofree char *again = base64url_encode(bytes, n);

      if (strcmp(again, input + 1) != 0)
        fail("two texts of one value: %s", input + 1);
    }
    g_free(bytes);
    break;
  default:
    break;
  }
  return 0;
}
