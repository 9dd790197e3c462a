/* SPDX-License-Identifier: Apache-2.0 */
/* Texts in disguise, and the pieces of a disguised secret that must not be
 * seen any more. */
#ifndef HOOP_TEST_DISGUISE_KIT_H
#define HOOP_TEST_DISGUISE_KIT_H

#include "kit/json.h"

#include <glib.h>
#include <string.h>

/* Characters of a secret that are called a leak when they stand in a row. */
#define PIECE 8

typedef enum {
  AS_PLAIN,
  AS_BASE64,
  AS_BASE64_URL,  /* without padding */
  AS_BASE64_WIDE, /* of UTF-16 */
  AS_HEX,
  AS_PERCENT,
  AS_ESCAPES,
  AS_REFERENCES,
  AS_ZERO_WIDTH,
  AS_FULL_WIDTH,
  AS_JSON,      /* as a string of a document */
  AS_JSON_LINE, /* … as a line among others in it */
  AS_JSON_JSON, /* … that is a string of another one */
  AS_BASE64_JSON,
  N_DISGUISES
} Disguise;

static const char *const disguise_names[N_DISGUISES] = {"plain",
                                                        "base64",
                                                        "base64-url",
                                                        "base64-wide",
                                                        "hex",
                                                        "percent",
                                                        "escapes",
                                                        "references",
                                                        "zero-width",
                                                        "full-width",
                                                        "json",
                                                        "json-line",
                                                        "json-json",
                                                        "base64-json"};

/* One character after another. */
static inline void
disguise_chars(GString *out, Disguise how, const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++) {
    const unsigned c = (guint8)text[i];

    if (c >= 0x80 || (how == AS_FULL_WIDTH && (c <= ' ' || c >= 0x7f)))
      g_string_append_c(out, (char)c);
    else if (how == AS_HEX)
      g_string_append_printf(out, "%02x", c);
    else if (how == AS_PERCENT)
      g_string_append_printf(out, "%%%02X", c);
    else if (how == AS_ESCAPES)
      g_string_append_printf(out, "\\u%04x", c);
    else if (how == AS_REFERENCES)
      g_string_append_printf(out, "&#%u;", c);
    else if (how == AS_FULL_WIDTH)
      g_string_append_unichar(out, c + 0xfee0);
    else if (how == AS_ZERO_WIDTH)
      g_string_append_printf(out, "%c\xe2\x80\x8b", (char)c);
    else
      g_string_append_c(out, (char)c);
  }
}

static inline void
disguise_base64(GString *out, const char *text, size_t len, bool url)
{
  g_autofree char *code = g_base64_encode((const guchar *)text, len);

  for (char *at = code; *at != '\0'; at++) {
    if (url && *at == '=')
      break;
    g_string_append_c(out,
                      url && *at == '+'   ? '-'
                      : url && *at == '/' ? '_'
                                          : *at);
  }
}

/* ASCII alone. */
static inline void
disguise_wide(GString *out, const char *text, size_t len)
{
  g_autofree char *wide = g_malloc0(2 * len + 1);

  for (size_t i = 0; i < len; i++)
    wide[2 * i] = text[i];
  disguise_base64(out, wide, 2 * len, false);
}

static inline void
disguise_json(GString *out, const char *text)
{
  g_string_append(out, "{\"note\": \"");
  json_escape(out, text, -1);
  g_string_append(out, "\"}");
}

/* g_free. */
static inline char *
disguise_text(Disguise how, const char *text)
{
  GString *out = g_string_new(NULL);
  g_autoptr(GString) inner = g_string_new(NULL);

  if (how == AS_BASE64 || how == AS_BASE64_URL) {
    disguise_base64(out, text, strlen(text), how == AS_BASE64_URL);
  } else if (how == AS_BASE64_WIDE) {
    disguise_wide(out, text, strlen(text));
  } else if (how == AS_JSON) {
    disguise_json(out, text);
  } else if (how == AS_JSON_LINE) {
    g_string_append_printf(inner, "As follows:\n%s\nThat is all.", text);
    disguise_json(out, inner->str);
  } else if (how == AS_JSON_JSON) {
    disguise_json(inner, text);
    disguise_json(out, inner->str);
  } else if (how == AS_BASE64_JSON) {
    disguise_json(inner, text);
    disguise_base64(out, inner->str, inner->len, false);
  } else {
    disguise_chars(out, how, text, strlen(text));
  }
  return g_string_free(out, FALSE);
}

/* What [*from, *to) of a text looks like there, as far as that can be told of
 * it alone: they become what is told. */
static inline char *
disguise_piece(Disguise how, const char *text, size_t *from, size_t *to)
{
  GString *out = g_string_new(NULL);

  if (how == AS_BASE64 || how == AS_BASE64_URL || how == AS_BASE64_WIDE) {
    *from = (*from + 2) / 3 * 3;
    *to = *to / 3 * 3;
    if (*from < *to && how == AS_BASE64_WIDE)
      disguise_wide(out, text + *from, *to - *from);
    else if (*from < *to)
      disguise_base64(out, text + *from, *to - *from, how == AS_BASE64_URL);
  } else if (how >= AS_JSON) {
    json_escape(out, text + *from, (gssize)(*to - *from));
  } else {
    disguise_chars(out, how, text + *from, *to - *from);
  }
  return g_string_free(out, FALSE);
}

/* All pieces of the secret at [start, end), but for those that the text has
 * elsewhere too, or its mask has; free with g_ptr_array_unref. */
static inline GPtrArray *
disguise_pieces(Disguise how,
                const char *text,
                size_t start,
                size_t end,
                const char *mask)
{
  GPtrArray *pieces = g_ptr_array_new_with_free_func(g_free);
  const size_t wide = MIN(end - start, PIECE);

  for (size_t at = start; at + wide <= end; at++) {
    size_t from = at, to = at + wide;
    g_autofree char *piece = disguise_piece(how, text, &from, &to);
    g_autofree char *plain = g_strndup(text + from, from < to ? to - from : 0);

    if (to < from + MIN(wide, 6) || strstr(mask, plain) != NULL ||
        memmem(text, start, plain, to - from) != NULL ||
        strstr(text + end, plain) != NULL)
      continue;
    g_ptr_array_add(pieces, g_steal_pointer(&piece));
  }
  return pieces;
}

#endif
