/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON tokenizer over byte spans: a state machine with one bit per
 * level of nesting, no recursion and no allocation. */
#include "kit/json.h"

#include "kit/json-scan.h"

#include <string.h>

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

G_DEFINE_QUARK(hoop_json_error, json_error)

/* Sets the error, with the line and the column in bytes, counted only now.
 * Returns false, which is also the 0 that readers of a token's end return. */
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

  /* A reader over nothing may hold NULL, which memchr() must not be given. */
  while (line < at &&
         (newline = memchr(line, '\n', (size_t)(at - line))) != NULL) {
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

static bool
is_hex4(const char *s, size_t left)
{
  return left >= 4 && g_ascii_isxdigit(s[0]) && g_ascii_isxdigit(s[1]) &&
         g_ascii_isxdigit(s[2]) && g_ascii_isxdigit(s[3]);
}

static inline bool
is_short_escape(char c)
{
  switch (c) {
  case '"':
  case '\\':
  case '/':
  case 'b':
  case 'f':
  case 'n':
  case 'r':
  case 't':
    return true;
  default:
    return false;
  }
}

/* Returns the end of the string whose opening quote is at `start`, or 0. */
static size_t
read_string(const JsonReader *reader,
            size_t start,
            bool *escaped,
            GError **error)
{
  const char *text = reader->text;
  const size_t len = reader->len;
  size_t pos = start + 1;

  for (;;) {
    size_t n;

    pos = scan_plain(text, pos, len);
    if (pos == len)
      return fail_syntax(reader, pos, "", error);
    switch (text[pos]) {
    case '"':
      return pos + 1;
    case '\\':
      *escaped = true;
      if (len - pos < 2)
        return fail_syntax(reader, len, "", error);
      if (text[pos + 1] == 'u') {
        if (!is_hex4(text + pos + 2, len - pos - 2))
          return fail_syntax(reader, pos, "\\u needs four hex digits", error);
        pos += 6;
      } else {
        if (!is_short_escape(text[pos + 1]))
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

static inline bool
is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static size_t
skip_digits(const JsonReader *reader, size_t pos)
{
  while (pos < reader->len && is_digit(reader->text[pos]))
    pos++;
  return pos;
}

static char
char_at(const JsonReader *reader, size_t pos)
{
  return pos < reader->len ? reader->text[pos] : '\0';
}

/* Returns the end of the number that begins at `start`, or 0. */
static size_t
read_number(const JsonReader *reader, size_t start, GError **error)
{
  const size_t first = start + (char_at(reader, start) == '-');
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
  return pos;
}

/* Returns the end of `word`, which must stand at `start`, or 0. */
static size_t
read_word(const JsonReader *reader,
          size_t start,
          const char *word,
          size_t len,
          GError **error)
{
  const char *text = reader->text + start;
  const size_t left = reader->len - start;
  size_t same = 0;

  if (left >= len && memcmp(text, word, len) == 0)
    return start + len;
  while (same < left && text[same] == word[same])
    same++;
  return fail_syntax(
      reader, start + same, "expected true, false or null", error);
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

static size_t
open_container(JsonReader *reader, size_t start, bool object, GError **error)
{
  const unsigned level = reader->depth;
  const uint64_t bit = UINT64_C(1) << (level % 64);

  if (level == JSON_MAX_DEPTH)
    return fail_at(reader,
                   start,
                   JSON_ERROR_DEPTH,
                   "nested deeper than " G_STRINGIFY(JSON_MAX_DEPTH) " levels",
                   error);
  if (object)
    reader->is_object[level / 64] |= bit;
  else
    reader->is_object[level / 64] &= ~bit;
  reader->depth++;
  reader->state = object ? AT_KEY_OR_CLOSE : AT_VALUE_OR_CLOSE;
  return start + 1;
}

/* Reads a value that begins at `start`; returns its end, or 0. */
static size_t
read_value(JsonReader *reader,
           size_t start,
           JsonType *type,
           bool *escaped,
           GError **error)
{
  size_t end;

  switch (reader->text[start]) {
  case '"':
    *type = JSON_STRING;
    end = read_string(reader, start, escaped, error);
    break;
  case '{':
    *type = JSON_OBJECT_BEGIN;
    return open_container(reader, start, true, error);
  case '[':
    *type = JSON_ARRAY_BEGIN;
    return open_container(reader, start, false, error);
  case 't':
    *type = JSON_TRUE;
    end = read_word(reader, start, "true", 4, error);
    break;
  case 'f':
    *type = JSON_FALSE;
    end = read_word(reader, start, "false", 5, error);
    break;
  case 'n':
    *type = JSON_NULL;
    end = read_word(reader, start, "null", 4, error);
    break;
  default:
    if (reader->text[start] != '-' && !is_digit(reader->text[start]))
      return fail_syntax(reader, start, "expected a value", error);
    *type = JSON_NUMBER;
    end = read_number(reader, start, error);
    break;
  }
  if (end != 0)
    reader->state = state_after_value(reader);
  return end;
}

static size_t
read_key(JsonReader *reader, size_t start, bool *escaped, GError **error)
{
  size_t end;

  if (reader->text[start] != '"')
    return fail_syntax(
        reader, start, "expected a name in double quotes", error);
  end = read_string(reader, start, escaped, error);
  if (end != 0)
    reader->state = AT_COLON;
  return end;
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
  size_t start = skip_space(reader->text, reader->pos, reader->len);
  unsigned depth = reader->depth;
  uint8_t state = reader->state;
  JsonType type = JSON_END;
  bool escaped = false;
  size_t end;
  char c;

  if ((state == AT_COLON || state == AT_COMMA_OR_CLOSE) &&
      !skip_separator(reader, &start, &state, error))
    return false;
  c = char_at(reader, start);
  if (start == reader->len || state == AT_END) {
    if (start != reader->len || state != AT_END)
      return fail_syntax(
          reader, start, "expected nothing after the document", error);
    end = start;
  } else if (state == AT_COMMA_OR_CLOSE ||
             (state == AT_KEY_OR_CLOSE && c == '}') ||
             (state == AT_VALUE_OR_CLOSE && c == ']')) {
    type = in_object(reader) ? JSON_OBJECT_END : JSON_ARRAY_END;
    depth = --reader->depth;
    reader->state = state_after_value(reader);
    end = start + 1;
  } else if (state == AT_KEY || state == AT_KEY_OR_CLOSE) {
    type = JSON_KEY;
    end = read_key(reader, start, &escaped, error);
  } else {
    end = read_value(reader, start, &type, &escaped, error);
  }
  if (end == 0)
    return false;
  /* Field by field: copying a whole token just written stalls the store
   * buffer for longer than reading a short token takes. */
  token->type = type;
  token->start = start;
  token->end = end;
  token->depth = depth;
  token->escaped = escaped;
  reader->pos = end;
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
