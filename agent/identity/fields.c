/* SPDX-License-Identifier: Apache-2.0 */
/* Reads members where they stand; nothing is kept but the view. */
#include "identity/fields.h"
#include "identity/identity.h"
#include "kit/json.h"
#include <math.h>
#include <string.h>

/* No document of OpenID Connect comes near. */
#define MAX_MEMBERS 256
/* Beyond it a double is not exact. */
#define MAX_NUMBER 9007199254740992.0
#define MAX_DIGITS 32

static bool
fail(const char *what, GError **error)
{
  g_set_error_literal(error, IDENTITY_ERROR, IDENTITY_ERROR_PROTOCOL, what);
  return false;
}

/* Checks the whole text and the names of the outer object. */
static bool
check(const char *text, size_t len, GError **error)
{
  g_autoptr(GHashTable) names =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, text, len);
  if (!json_next(&reader, &token, NULL))
    return fail("the answer is not JSON", error);
  if (token.type != JSON_OBJECT_BEGIN)
    return fail("the answer is not a JSON object", error);
  for (;;) {
    g_autoptr(GString) name = g_string_new(NULL);

    if (!json_next(&reader, &token, NULL))
      return fail("the answer is not JSON", error);
    if (token.type == JSON_OBJECT_END)
      break;
    json_unescape(text, &token, name);
    if (strlen(name->str) != name->len)
      return fail("a member's name in the answer holds a NUL", error);
    if (!g_hash_table_add(names, g_string_free(g_steal_pointer(&name), FALSE)))
      return fail("the answer has a member twice", error);
    if (g_hash_table_size(names) > MAX_MEMBERS)
      return fail("the answer has too many members", error);
    if (!json_skip(&reader, &token, NULL))
      return fail("the answer is not JSON", error);
  }
  if (!json_next(&reader, &token, NULL) || token.type != JSON_END)
    return fail("the answer is not JSON", error);
  return true;
}

bool
fields_read(Fields *fields, const char *text, size_t len, GError **error)
{
  if (!check(text, len, error))
    return false;
  *fields = (Fields){text, len};
  return true;
}

/* The first token of the value; the reader stands behind it. */
static bool
find(const Fields *fields,
     const char *name,
     JsonReader *reader,
     JsonToken *value)
{
  JsonToken token;

  json_reader_init(reader, fields->text, fields->len);
  if (!json_next(reader, &token, NULL))
    return false;
  while (json_next(reader, &token, NULL) && token.type == JSON_KEY) {
    if (json_token_is(fields->text, &token, name))
      return json_next(reader, value, NULL);
    if (!json_skip(reader, &token, NULL))
      return false;
  }
  return false;
}

/* The decoded string of a token, in memory that it never grew out of. */
static GString *
decode(const Fields *fields, const JsonToken *token)
{
  GString *text = g_string_sized_new(token->end - token->start + 1);

  json_unescape(fields->text, token, text);
  return text;
}

static void
wipe(GString *text)
{
  secret_wipe(text->str, text->allocated_len);
  g_string_free(text, TRUE);
}

bool
fields_has(const Fields *fields, const char *name)
{
  JsonReader reader;
  JsonToken value;

  return find(fields, name, &reader, &value);
}

char *
fields_text(const Fields *fields, const char *name)
{
  JsonReader reader;
  JsonToken value;
  GString *text;

  if (!find(fields, name, &reader, &value) || value.type != JSON_STRING)
    return NULL;
  text = decode(fields, &value);
  if (text->len == 0 || strlen(text->str) != text->len) {
    wipe(text);
    return NULL;
  }
  return g_string_free(text, FALSE);
}

static bool
is_visible(const GString *text)
{
  for (size_t i = 0; i < text->len; i++)
    if (text->str[i] < 0x20 || text->str[i] > 0x7e)
      return false;
  return text->len > 0;
}

Secret *
fields_secret(const Fields *fields, const char *name)
{
  Secret *secret = NULL;
  JsonReader reader;
  JsonToken value;
  GString *text;

  if (!find(fields, name, &reader, &value) || value.type != JSON_STRING)
    return NULL;
  text = decode(fields, &value);
  if (is_visible(text))
    secret = secret_new(text->str, text->len);
  wipe(text);
  return secret;
}

bool
fields_number(const Fields *fields, const char *name, int64_t *out)
{
  char digits[MAX_DIGITS + 1];
  JsonReader reader;
  JsonToken value;
  size_t start, len;
  char *end;
  double number;

  if (!find(fields, name, &reader, &value) ||
      (value.type != JSON_NUMBER && value.type != JSON_STRING))
    return false;
  start = value.start + (value.type == JSON_STRING);
  len = value.end - start - (value.type == JSON_STRING);
  if (len == 0 || len > MAX_DIGITS)
    return false;
  memcpy(digits, fields->text + start, len);
  digits[len] = '\0';
  if (value.type == JSON_STRING && strspn(digits, "0123456789") != len)
    return false;
  number = floor(g_ascii_strtod(digits, &end));
  if (*end != '\0' || !(number <= MAX_NUMBER) || !(number >= -MAX_NUMBER))
    return false;
  *out = (int64_t)number;
  return true;
}

bool
fields_true(const Fields *fields, const char *name)
{
  JsonReader reader;
  JsonToken value;

  return find(fields, name, &reader, &value) && value.type == JSON_TRUE;
}

bool
fields_lists(const Fields *fields, const char *name, const char *wanted)
{
  JsonReader reader;
  JsonToken value;

  if (!find(fields, name, &reader, &value) || value.type != JSON_ARRAY_BEGIN)
    return false;
  while (json_next(&reader, &value, NULL) && value.type != JSON_ARRAY_END) {
    if (value.type == JSON_STRING &&
        json_token_is(fields->text, &value, wanted))
      return true;
    if ((value.type == JSON_OBJECT_BEGIN || value.type == JSON_ARRAY_BEGIN) &&
        !json_skip(&reader, &value, NULL))
      return false;
  }
  return false;
}
