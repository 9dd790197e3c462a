/* SPDX-License-Identifier: Apache-2.0 */
/* The text of JSON strings: decoded, compared, mapped back to the document's
 * bytes, and escaped. */
#include "kit/json-scan.h"
#include "kit/json.h"

static uint32_t
hex4(const char *s)
{
  return (uint32_t)(g_ascii_xdigit_value(s[0]) << 12 |
                    g_ascii_xdigit_value(s[1]) << 8 |
                    g_ascii_xdigit_value(s[2]) << 4 |
                    g_ascii_xdigit_value(s[3]));
}

/* Decodes the escape at `s` of a string that json_next() accepted. Writes its
 * UTF-8 into out and the length of the escape into *raw; returns the length
 * of the UTF-8. */
static size_t
decode_escape(const char *s, const char *end, char out[6], size_t *raw)
{
  static const char from[] = "\"\\/bfnrt";
  static const char to[] = "\"\\/\b\f\n\r\t";
  uint32_t c;

  if (s[1] != 'u') {
    out[0] = to[strchr(from, s[1]) - from];
    *raw = 2;
    return 1;
  }
  c = hex4(s + 2);
  *raw = 6;
  if (c >= 0xd800 && c <= 0xdbff && end - s >= 12 && s[6] == '\\' &&
      s[7] == 'u' && hex4(s + 8) >= 0xdc00 && hex4(s + 8) <= 0xdfff) {
    c = 0x10000 + ((c - 0xd800) << 10) + (hex4(s + 8) - 0xdc00);
    *raw = 12;
  } else if (c >= 0xd800 && c <= 0xdfff) {
    c = 0xfffd;
  }
  if (c == 0) {
    out[0] = '\0';
    return 1;
  }
  return (size_t)g_unichar_to_utf8(c, out);
}

/* The next piece of a string's inside: up to a backslash, or one escape.
 * `text` points to the decoded bytes, of which `raw` became `len`. */
typedef struct {
  const char *text;
  size_t len;
  size_t raw;
  char buffer[6];
} Piece;

static bool
next_piece(const char *s, const char *end, Piece *piece)
{
  if (s == end)
    return false;
  if (*s == '\\') {
    piece->text = piece->buffer;
    piece->len = decode_escape(s, end, piece->buffer, &piece->raw);
  } else {
    const char *escape = memchr(s, '\\', (size_t)(end - s));

    piece->text = s;
    piece->len = piece->raw = (size_t)((escape ? escape : end) - s);
  }
  return true;
}

void
json_unescape(const char *text, const JsonToken *token, GString *out)
{
  const char *s = text + token->start + 1;
  const char *end = text + token->end - 1;
  Piece piece;

  if (!token->escaped) {
    g_string_append_len(out, s, end - s);
    return;
  }
  for (; next_piece(s, end, &piece); s += piece.raw)
    g_string_append_len(out, piece.text, (gssize)piece.len);
}

bool
json_token_is(const char *text, const JsonToken *token, const char *name)
{
  const char *s = text + token->start + 1;
  const char *end = text + token->end - 1;
  size_t left = strlen(name);
  Piece piece;

  if (!token->escaped)
    return (size_t)(end - s) == left && memcmp(s, name, left) == 0;
  for (; next_piece(s, end, &piece); s += piece.raw) {
    if (piece.len > left || memcmp(piece.text, name, piece.len) != 0)
      return false;
    name += piece.len;
    left -= piece.len;
  }
  return left == 0;
}

void
json_escape(GString *out, const char *text, gssize len)
{
  static const char hex[] = "0123456789abcdef";
  static const char from[] = "\"\\\b\f\n\r\t";
  static const char to[] = "\"\\bfnrt";
  const size_t n = len < 0 ? strlen(text) : (size_t)len;
  size_t pos = 0;

  while (pos < n) {
    size_t plain = scan_plain(text, pos, n);
    const char *shortcut;
    char c;

    g_string_append_len(out, text + pos, (gssize)(plain - pos));
    pos = plain;
    if (pos == n)
      return;
    c = text[pos];
    if ((uint8_t)c >= 0x80) {
      size_t width = utf8_len((const uint8_t *)text + pos, n - pos);

      g_string_append_len(
          out, width ? text + pos : "\xef\xbf\xbd", width ? (gssize)width : 3);
      pos += MAX(width, 1);
      continue;
    }
    shortcut = c != '\0' ? strchr(from, c) : NULL;
    if (shortcut != NULL) {
      const char pair[] = {'\\', to[shortcut - from]};

      g_string_append_len(out, pair, 2);
    } else {
      const char code[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

      g_string_append_len(out, code, 6);
    }
    pos++;
  }
}

void
json_unescape_mapped(const char *text,
                     const JsonToken *token,
                     GString *out,
                     GArray *map)
{
  const char *begin = text + token->start;
  const char *s = begin + 1;
  const char *end = text + token->end - 1;
  Piece piece;
  guint32 end_at = (guint32)(end - begin);

  g_assert(g_array_get_element_size(map) == sizeof(guint32));
  g_assert((size_t)(end - begin) <= G_MAXUINT32);
  for (; next_piece(s, end, &piece); s += piece.raw) {
    const guint32 at = (guint32)(s - begin);
    const guint32 step = *s == '\\' ? 0 : 1;
    const guint first = map->len;
    guint32 *to;

    g_string_append_len(out, piece.text, (gssize)piece.len);
    g_array_set_size(map, first + (guint)piece.len);
    to = &g_array_index(map, guint32, first);
    for (guint32 i = 0; i < (guint32)piece.len; i++)
      to[i] = at + i * step;
  }
  g_array_append_val(map, end_at);
}
