/* SPDX-License-Identifier: Apache-2.0 */
/* JSON strings that may be cut inside a surrogate pair: halves are kept as
 * WTF-8 and written as escapes again. */
#include "inspect/filter.h"

#include <string.h>

static void
append_code(GString *out, unsigned code)
{
  if (code < 0x80) {
    g_string_append_c(out, (char)code);
  } else if (code < 0x800) {
    g_string_append_c(out, (char)(0xc0 | code >> 6));
    g_string_append_c(out, (char)(0x80 | (code & 0x3f)));
  } else if (code < 0x10000) {
    g_string_append_c(out, (char)(0xe0 | code >> 12));
    g_string_append_c(out, (char)(0x80 | (code >> 6 & 0x3f)));
    g_string_append_c(out, (char)(0x80 | (code & 0x3f)));
  } else {
    g_string_append_c(out, (char)(0xf0 | code >> 18));
    g_string_append_c(out, (char)(0x80 | (code >> 12 & 0x3f)));
    g_string_append_c(out, (char)(0x80 | (code >> 6 & 0x3f)));
    g_string_append_c(out, (char)(0x80 | (code & 0x3f)));
  }
}

static unsigned
hex4(const char *p)
{
  return (unsigned)(g_ascii_xdigit_value(p[0]) << 12 |
                    g_ascii_xdigit_value(p[1]) << 8 |
                    g_ascii_xdigit_value(p[2]) << 4 |
                    g_ascii_xdigit_value(p[3]));
}

/* One \uXXXX, or two that are a pair; returns the bytes read. */
static size_t
decode_unicode(const char *raw, size_t left, GString *out)
{
  const unsigned high = hex4(raw + 2);

  if (high >= 0xd800 && high < 0xdc00 && left >= 12 && raw[6] == '\\' &&
      raw[7] == 'u') {
    const unsigned low = hex4(raw + 8);

    if (low >= 0xdc00 && low < 0xe000) {
      append_code(out, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
      return 12;
    }
  }
  append_code(out, high);
  return 6;
}

void
string_decode(const char *raw, size_t len, GString *out)
{
  size_t i = 0;

  while (i < len) {
    const char *backslash = memchr(raw + i, '\\', len - i);
    const size_t stop = backslash != NULL ? (size_t)(backslash - raw) : len;
    char c;

    g_string_append_len(out, raw + i, (gssize)(stop - i));
    i = stop;
    if (i + 1 >= len)
      break;
    c = raw[i + 1];
    if (c == 'u') {
      i += decode_unicode(raw + i, len - i, out);
      continue;
    }
    g_string_append_c(out,
                      c == 'n'   ? '\n'
                      : c == 't' ? '\t'
                      : c == 'r' ? '\r'
                      : c == 'b' ? '\b'
                      : c == 'f' ? '\f'
                                 : c);
    i += 2;
  }
}

static bool
is_half(const char *text, size_t left)
{
  return left >= 3 && (uint8_t)text[0] == 0xed && (uint8_t)text[1] >= 0xa0;
}

void
string_encode(GString *out, const char *text, size_t len)
{
  size_t done = 0;

  if (memchr(text, 0xed, len) == NULL) {
    json_escape(out, text, (gssize)len);
    return;
  }
  for (size_t i = 0; i < len; i++) {
    if (!is_half(text + i, len - i))
      continue;
    if (i > done)
      json_escape(out, text + done, (gssize)(i - done));
    g_string_append_printf(out,
                           "\\u%04x",
                           0xd000U | ((uint8_t)text[i + 1] & 0x3fU) << 6 |
                               ((uint8_t)text[i + 2] & 0x3fU));
    i += 2;
    done = i + 1;
  }
  if (len > done)
    json_escape(out, text + done, (gssize)(len - done));
}

static unsigned
half_at(const char *text)
{
  return 0xd000U | ((uint8_t)text[1] & 0x3fU) << 6 | ((uint8_t)text[2] & 0x3fU);
}

char *
string_whole(const char *text, size_t len)
{
  GString *out = g_string_sized_new(len);

  for (size_t i = 0; i < len; i++) {
    unsigned high, low;

    if (!is_half(text + i, len - i)) {
      if (text[i] == '\0')
        append_code(out, 0xfffd);
      else
        g_string_append_c(out, text[i]);
      continue;
    }
    high = half_at(text + i);
    low = is_half(text + i + 3, len - MIN(i + 3, len)) ? half_at(text + i + 3)
                                                       : 0;
    if (high < 0xdc00 && low >= 0xdc00) {
      append_code(out, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
      i += 5;
    } else {
      append_code(out, 0xfffd);
      i += 2;
    }
  }
  return g_string_free(out, FALSE);
}
