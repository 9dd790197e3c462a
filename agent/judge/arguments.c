/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes a tool call's arguments: a regex must see what the tool would get,
 * not how a model chose to escape it. */
#include "judge/arguments.h"

#include "kit/json.h"
#include <string.h>

/* Strings of one call. */
#define MAX_TEXTS 4096
/* JSON inside strings of JSON; each costs its writer doubled escapes. */
#define MAX_NESTED 4

typedef struct {
  GPtrArray *texts;
  GHashTable *keys;
  GString *joined;
  unsigned nested;
} Decoder;

static bool decode_json(Decoder *d, const char *text, size_t len);

static bool
looks_like_json(const GString *text)
{
  const char *p = text->str;

  while (g_ascii_isspace(*p))
    p++;
  return *p == '{' || *p == '[' || *p == '"';
}

static void
join(Decoder *d, const char *text, size_t len)
{
  if (d->joined->len > 0)
    g_string_append_c(d->joined, ' ');
  g_string_append_len(d->joined, text, (gssize)len);
}

static bool
add_string(Decoder *d, const char *text, const JsonToken *token)
{
  GString *decoded = g_string_new(NULL);

  json_unescape(text, token, decoded);
  join(d, decoded->str, decoded->len);
  g_ptr_array_add(d->texts, decoded);
  if (d->texts->len > MAX_TEXTS)
    return false;
  if (d->nested < MAX_NESTED && looks_like_json(decoded)) {
    guint before = d->texts->len;

    d->nested++;
    if (!decode_json(d, decoded->str, decoded->len))
      g_ptr_array_set_size(d->texts, (gint)before);
    d->nested--;
  }
  return d->texts->len <= MAX_TEXTS;
}

static void
add_key(Decoder *d, const char *text, const JsonToken *token)
{
  g_autoptr(GString) key = g_string_new(NULL);

  json_unescape(text, token, key);
  g_hash_table_add(d->keys, g_ascii_strdown(key->str, -1));
}

/* False when the text is not JSON or there is too much; texts that were added
 * stay: the caller knows which. */
static bool
decode_json(Decoder *d, const char *text, size_t len)
{
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, text, len);
  while (json_next(&reader, &token, NULL)) {
    if (token.type == JSON_END)
      return true;
    if (token.type == JSON_KEY)
      add_key(d, text, &token);
    else if (token.type == JSON_NUMBER || token.type == JSON_TRUE ||
             token.type == JSON_FALSE)
      join(d, text + token.start, token.end - token.start);
    else if (token.type == JSON_STRING && !add_string(d, text, &token))
      return false;
  }
  return false;
}

/* Undoes \n, \", \u0041 … in text that is no JSON as a whole. */
static GString *
unescape_loosely(const char *text)
{
  static const char from[] = "nrtbf", to[] = "\n\r\t\b\f";
  GString *out = g_string_sized_new(strlen(text));

  for (; *text != '\0'; text++) {
    const char *letter;
    gunichar c = 0;
    int digits = 0;

    if (*text != '\\' || text[1] == '\0') {
      g_string_append_c(out, *text);
      continue;
    }
    text++;
    if (*text == 'u')
      while (digits < 4 && g_ascii_isxdigit(text[1 + digits])) {
        c = c * 16 + (gunichar)g_ascii_xdigit_value(text[1 + digits]);
        digits++;
      }
    letter = strchr(from, *text);
    if (digits == 4 && c != 0 && g_unichar_validate(c)) {
      g_string_append_unichar(out, c);
      text += 4;
    } else if (letter != NULL)
      g_string_append_c(out, to[letter - from]);
    else
      g_string_append_c(out, *text);
  }
  return out;
}

bool
arguments_decode(const char *arguments, GPtrArray *texts, GHashTable *keys)
{
  g_autoptr(GString) joined = g_string_new(NULL);
  Decoder decoder = {.texts = texts, .keys = keys, .joined = joined};
  size_t len = strlen(arguments);

  if (decode_json(&decoder, arguments, len)) {
    if (texts->len != 1)
      g_ptr_array_add(texts, g_steal_pointer(&joined));
    return true;
  }
  if (texts->len > MAX_TEXTS)
    return false;
  g_ptr_array_set_size(texts, 0);
  g_ptr_array_add(texts, g_string_new_len(arguments, (gssize)len));
  if (strchr(arguments, '\\') != NULL)
    g_ptr_array_add(texts, unescape_loosely(arguments));
  return true;
}
