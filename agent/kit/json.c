/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON tokenizer over byte spans: a state machine with one bit per
 * level of nesting, no recursion and no allocation. */
#include "kit/json.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What the next token may be. */
enum {
  AT_VALUE,          /* a value */
  AT_VALUE_OR_CLOSE, /* after '[' */
  AT_KEY,            /* after ',' in an object */
  AT_KEY_OR_CLOSE,   /* after '{' */
  AT_COLON,          /* after a key */
  AT_COMMA_OR_CLOSE, /* after a value in a container */
  AT_END             /* after the top value */
};

G_DEFINE_QUARK(json - error - quark, json_error)

/* Line and column in bytes of a position, for messages. Counted only on
 * failure. */
static bool
fail_at(const JsonReader *reader,
        size_t pos,
        JsonErrorCode code,
        const char *what,
        GError **error)
{
  const char *line = reader->text;
  const char *at = reader->text + pos;
  const char *newline;
  size_t lines = 1;

  while ((newline = memchr(line, '\n', (size_t)(at - line))) != NULL) {
    line = newline + 1;
    lines++;
  }
  g_set_error(error,
              JSON_ERROR,
              (gint)code,
              "line %zu, column %zu: %s",
              lines,
              (size_t)(at - line) + 1,
              what);
  return false;
}

static bool
fail_syntax(const JsonReader *reader,
            size_t pos,
            const char *what,
            GError **error)
{
  return fail_at(reader,
                 pos,
                 JSON_ERROR_SYNTAX,
                 pos >= reader->len ? "the document ends too early" : what,
                 error);
}

/* The length of the well-formed UTF-8 sequence (RFC 3629 section 4) of more
 * than one byte at `s`, or 0. */
static inline size_t
utf8_len(const uint8_t *s, size_t left)
{
  const uint8_t c = s[0];

  if (c < 0xc2 || c > 0xf4)
    return 0;
  if (left < 2 || (s[1] & 0xc0) != 0x80)
    return 0;
  if (c < 0xe0)
    return 2;
  if (left < 3 || (s[2] & 0xc0) != 0x80)
    return 0;
  if (c < 0xf0) {
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f))
      return 0;
    return 3;
  }
  if (left < 4 || (s[3] & 0xc0) != 0x80)
    return 0;
  if ((c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
    return 0;
  return 4;
}

static inline bool
is_plain(uint8_t c)
{
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The first position from `pos` whose byte is a quote, a backslash, a control
 * or not ASCII; `len` when there is none. */
static inline size_t
scan_plain(const char *text, size_t pos, size_t len)
{
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(0x20);

  while (len - pos >= 16) {
    const __m128i b = _mm_loadu_si128((const __m128i *)(text + pos));
    /* Signed: bytes from 0x80 are below the space as well. */
    const __m128i odd = _mm_or_si128(
        _mm_cmplt_epi8(b, space),
        _mm_or_si128(_mm_cmpeq_epi8(b, quote), _mm_cmpeq_epi8(b, backslash)));
    const unsigned mask = (unsigned)_mm_movemask_epi8(odd);

    if (mask != 0)
      return pos + (size_t)__builtin_ctz(mask);
    pos += 16;
  }
#else
  const uint64_t ones = UINT64_C(0x0101010101010101);

  while (len - pos >= 8) {
    uint64_t b, quote, backslash, odd;

    memcpy(&b, text + pos, 8);
    quote = b ^ ones * '"';
    backslash = b ^ ones * '\\';
    /* A byte's high bit: below 0x20, equal to either, or not ASCII. The exact
     * place is found below, so borrows between bytes do no harm. */
    odd = (b - ones * 0x20) | (quote - ones) | (backslash - ones) | b;
    if ((odd & ones * 0x80) != 0)
      break;
    pos += 8;
  }
#endif
  while (pos < len && is_plain((uint8_t)text[pos]))
    pos++;
  return pos;
}

static bool
is_hex4(const char *s, size_t left)
{
  return left >= 4 && g_ascii_isxdigit(s[0]) && g_ascii_isxdigit(s[1]) &&
         g_ascii_isxdigit(s[2]) && g_ascii_isxdigit(s[3]);
}

/* Reads the string whose opening quote is at token->start. */
static bool
read_string(const JsonReader *reader, JsonToken *token, GError **error)
{
  const char *text = reader->text;
  const size_t len = reader->len;
  size_t pos = token->start + 1;

  for (;;) {
    size_t n;

    pos = scan_plain(text, pos, len);
    if (pos == len)
      return fail_syntax(reader, pos, "", error);
    switch (text[pos]) {
    case '"':
      token->end = pos + 1;
      return true;
    case '\\':
      token->escaped = true;
      if (len - pos < 2)
        return fail_syntax(reader, len, "", error);
      if (text[pos + 1] == 'u') {
        if (!is_hex4(text + pos + 2, len - pos - 2))
          return fail_syntax(reader, pos, "\\u needs four hex digits", error);
        pos += 6;
      } else {
        if (text[pos + 1] == '\0' ||
            strchr("\"\\/bfnrt", text[pos + 1]) == NULL)
          return fail_syntax(reader, pos, "unknown escape", error);
        pos += 2;
      }
      break;
    default:
      if ((uint8_t)text[pos] < 0x20)
        return fail_syntax(
            reader, pos, "control characters must be escaped", error);
      /* Text that is not ASCII comes in runs. */
      do {
        n = utf8_len((const uint8_t *)text + pos, len - pos);
        if (n == 0)
          return fail_syntax(reader, pos, "invalid UTF-8", error);
        pos += n;
      } while (pos < len && (uint8_t)text[pos] >= 0x80);
      break;
    }
  }
}

static size_t
skip_digits(const JsonReader *reader, size_t pos)
{
  while (pos < reader->len && g_ascii_isdigit(reader->text[pos]))
    pos++;
  return pos;
}

static char
char_at(const JsonReader *reader, size_t pos)
{
  return pos < reader->len ? reader->text[pos] : '\0';
}

/* Reads the number that begins at token->start. */
static bool
read_number(const JsonReader *reader, JsonToken *token, GError **error)
{
  const size_t first = token->start + (char_at(reader, token->start) == '-');
  size_t pos = skip_digits(reader, first);
  size_t digits;
  char c;

  if (pos == first)
    return fail_syntax(reader, pos, "expected a digit", error);
  if (reader->text[first] == '0' && pos > first + 1)
    return fail_syntax(reader, first, "a number has no leading zero", error);
  if (char_at(reader, pos) == '.') {
    digits = pos + 1;
    pos = skip_digits(reader, digits);
    if (pos == digits)
      return fail_syntax(reader, pos, "expected a digit", error);
  }
  if (char_at(reader, pos) == 'e' || char_at(reader, pos) == 'E') {
    digits = pos + 1;
    c = char_at(reader, digits);
    if (c == '+' || c == '-')
      digits++;
    pos = skip_digits(reader, digits);
    if (pos == digits)
      return fail_syntax(reader, pos, "expected a digit", error);
  }
  /* Refused here, so that no half of a word passes for a number. */
  c = char_at(reader, pos);
  if (g_ascii_isalnum(c) || c == '.' || c == '+' || c == '-' || c == '_')
    return fail_syntax(reader, pos, "a number ends here", error);
  token->end = pos;
  token->type = JSON_NUMBER;
  return true;
}

static bool
read_word(const JsonReader *reader,
          JsonToken *token,
          const char *word,
          JsonType type,
          GError **error)
{
  const size_t len = strlen(word);
  const size_t left = reader->len - token->start;
  size_t same = 0;

  while (same < len && same < left &&
         reader->text[token->start + same] == word[same])
    same++;
  if (same < len)
    return fail_syntax(
        reader, token->start + same, "expected true, false or null", error);
  token->type = type;
  token->end = token->start + len;
  return true;
}

static inline size_t
skip_space(const char *text, size_t pos, size_t len)
{
  const uint64_t spaces = UINT64_C(0x2020202020202020);

  for (;;) {
    uint64_t b;
    char c;

    if (pos == len)
      return pos;
    c = text[pos];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
      return pos;
    pos++;
    /* Indentation. */
    while (c == '\n' && len - pos >= 8 &&
           (memcpy(&b, text + pos, 8), b == spaces))
      pos += 8;
  }
}

static bool
in_object(const JsonReader *reader)
{
  const unsigned level = reader->depth - 1;

  return (reader->is_object[level / 64] >> (level % 64) & 1) != 0;
}

static uint8_t
state_after_value(const JsonReader *reader)
{
  return reader->depth == 0 ? AT_END : AT_COMMA_OR_CLOSE;
}

static bool
open_container(JsonReader *reader,
               JsonToken *token,
               bool object,
               GError **error)
{
  const unsigned level = reader->depth;
  const uint64_t bit = UINT64_C(1) << (level % 64);

  if (level == JSON_MAX_DEPTH)
    return fail_at(reader,
                   token->start,
                   JSON_ERROR_DEPTH,
                   "nested deeper than " G_STRINGIFY(JSON_MAX_DEPTH) " levels",
                   error);
  if (object)
    reader->is_object[level / 64] |= bit;
  else
    reader->is_object[level / 64] &= ~bit;
  reader->depth++;
  reader->state = object ? AT_KEY_OR_CLOSE : AT_VALUE_OR_CLOSE;
  token->type = object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
  token->end = token->start + 1;
  return true;
}

static bool
close_container(JsonReader *reader, JsonToken *token)
{
  token->type = in_object(reader) ? JSON_OBJECT_END : JSON_ARRAY_END;
  token->end = token->start + 1;
  token->depth = --reader->depth;
  reader->state = state_after_value(reader);
  return true;
}

/* Reads a value that begins at token->start; containers set the state. */
static bool
read_value(JsonReader *reader, JsonToken *token, GError **error)
{
  bool ok;

  switch (reader->text[token->start]) {
  case '"':
    token->type = JSON_STRING;
    ok = read_string(reader, token, error);
    break;
  case '{':
    return open_container(reader, token, true, error);
  case '[':
    return open_container(reader, token, false, error);
  case 't':
    ok = read_word(reader, token, "true", JSON_TRUE, error);
    break;
  case 'f':
    ok = read_word(reader, token, "false", JSON_FALSE, error);
    break;
  case 'n':
    ok = read_word(reader, token, "null", JSON_NULL, error);
    break;
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    ok = read_number(reader, token, error);
    break;
  default:
    return fail_syntax(reader, token->start, "expected a value", error);
  }
  if (ok)
    reader->state = state_after_value(reader);
  return ok;
}

static bool
read_key(JsonReader *reader, JsonToken *token, GError **error)
{
  if (reader->text[token->start] != '"')
    return fail_syntax(
        reader, token->start, "expected a name in double quotes", error);
  token->type = JSON_KEY;
  if (!read_string(reader, token, error))
    return false;
  reader->state = AT_COLON;
  return true;
}

void
json_reader_init(JsonReader *reader, const char *text, size_t len)
{
  *reader = (JsonReader){.text = text, .len = len, .state = AT_VALUE};
}

/* Moves over the separator that the state asks for, to the first byte of the
 * next token; *state becomes what that token may be. */
static bool
skip_separator(const JsonReader *reader,
               size_t *pos,
               uint8_t *state,
               GError **error)
{
  const char c = char_at(reader, *pos);

  if (*state == AT_COLON) {
    if (c != ':' || *pos == reader->len)
      return fail_syntax(reader, *pos, "expected ':'", error);
    *state = AT_VALUE;
  } else if (c == ',' && *pos < reader->len) {
    *state = in_object(reader) ? AT_KEY : AT_VALUE;
  } else if (*pos < reader->len && c == (in_object(reader) ? '}' : ']')) {
    return true;
  } else {
    return fail_syntax(reader,
                       *pos,
                       in_object(reader) ? "expected ',' or '}'"
                                         : "expected ',' or ']'",
                       error);
  }
  *pos = skip_space(reader->text, *pos + 1, reader->len);
  return true;
}

bool
json_next(JsonReader *reader, JsonToken *token, GError **error)
{
  size_t pos = skip_space(reader->text, reader->pos, reader->len);
  uint8_t state = reader->state;
  JsonToken found = {.depth = reader->depth};
  bool ok;
  char c;

  if ((state == AT_COLON || state == AT_COMMA_OR_CLOSE) &&
      !skip_separator(reader, &pos, &state, error))
    return false;
  found.start = pos;
  if (pos == reader->len) {
    if (state != AT_END)
      return fail_syntax(reader, pos, "", error);
    found.type = JSON_END;
    found.end = pos;
    *token = found;
    reader->pos = pos;
    return true;
  }
  c = reader->text[pos];
  if (state == AT_END)
    return fail_syntax(
        reader, pos, "expected nothing after the document", error);
  if (state == AT_COMMA_OR_CLOSE || (state == AT_KEY_OR_CLOSE && c == '}') ||
      (state == AT_VALUE_OR_CLOSE && c == ']'))
    ok = close_container(reader, &found);
  else if (state == AT_KEY || state == AT_KEY_OR_CLOSE)
    ok = read_key(reader, &found, error);
  else
    ok = read_value(reader, &found, error);
  if (!ok)
    return false;
  reader->pos = found.end;
  *token = found;
  return true;
}

bool
json_skip(JsonReader *reader, const JsonToken *at, GError **error)
{
  JsonToken token = *at;

  if (token.type == JSON_KEY && !json_next(reader, &token, error))
    return false;
  if (token.type == JSON_OBJECT_BEGIN || token.type == JSON_ARRAY_BEGIN) {
    const unsigned depth = token.depth;

    do {
      if (!json_next(reader, &token, error))
        return false;
    } while (token.depth != depth);
  }
  return true;
}

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
