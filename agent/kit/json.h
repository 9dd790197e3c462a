/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON tokenizer (RFC 8259) that yields byte spans, so that a body
 * can be searched and edited without changing any other byte of it. */
#ifndef HOOP_KIT_JSON_H
#define HOOP_KIT_JSON_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Deeper documents are refused: no API nests further, and stacks stay small. */
#define JSON_MAX_DEPTH 256

#define JSON_ERROR (json_error_quark())
GQuark json_error_quark(void);
typedef enum {
  JSON_ERROR_SYNTAX, /* not RFC 8259, or not valid UTF-8 */
  JSON_ERROR_DEPTH   /* nested beyond JSON_MAX_DEPTH */
} JsonErrorCode;

typedef enum {
  JSON_END, /* the document is complete, only white space followed */
  JSON_OBJECT_BEGIN,
  JSON_OBJECT_END,
  JSON_ARRAY_BEGIN,
  JSON_ARRAY_END,
  JSON_KEY, /* an object member's name */
  JSON_STRING,
  JSON_NUMBER,
  JSON_TRUE,
  JSON_FALSE,
  JSON_NULL
} JsonType;

typedef struct {
  JsonType type;
  size_t start;   /* byte offset of the token; strings include their quotes */
  size_t end;     /* one past its last byte */
  unsigned depth; /* containers around it; 0 for the top value */
  bool escaped;   /* KEY, STRING: holds at least one backslash escape */
} JsonToken;

/* A cursor over `text`, which must outlive it. Transparent so that it lives on
 * the stack; fields are private to json.c. */
typedef struct {
  const char *text;
  size_t len;
  size_t pos;
  unsigned depth;
  uint8_t state;
  uint64_t is_object[JSON_MAX_DEPTH / 64];
} JsonReader;

void json_reader_init(JsonReader *reader, const char *text, size_t len);
/* Reads the next token; JSON_END again and again once the document is
 * complete. False with JSON_ERROR (the message holds line, column in bytes
 * and what was expected, never the text; token untouched, and the same again
 * when called again) on anything that RFC 8259 does not allow: unescaped
 * control characters, invalid UTF-8, leading zeros, trailing commas, a second
 * value. A leading byte order mark is refused (section 8.1). Lone surrogate
 * escapes are allowed as section 8.2 does but decode to U+FFFD. Duplicate names
 * are the caller's to judge. Nothing is known about a document before JSON_END
 * was read. */
bool json_next(JsonReader *reader, JsonToken *token, GError **error);
/* After KEY, or at a value's first token just read: skips that whole value,
 * checking it. Errors as json_next(). */
bool json_skip(JsonReader *reader, const JsonToken *at, GError **error);

/* Appends the decoded text (UTF-8; may hold U+0000) of a KEY or STRING token.
 * Always succeeds on a token that json_next() returned. */
void json_unescape(const char *text, const JsonToken *token, GString *out);
/* True when the token's decoded text equals `name` (NUL terminated). */
bool json_token_is(const char *text, const JsonToken *token, const char *name);
/* Appends `text` (len bytes, or up to its NUL when len is -1) as the inside
 * of a JSON string (quotes not added), escaping only what section 7 requires.
 * Bytes that are not UTF-8 become U+FFFD, so that the result always is a JSON
 * string. */
void json_escape(GString *out, const char *text, gssize len);

/* Maps spans found in decoded text back to the document. Appends the decoded
 * text to `out`, and to `map` (GArray of guint32) one raw offset relative to
 * token->start per decoded byte, plus one for the end: decoded_len + 1 entries.
 * A decoded span [a, b) that begins and ends between characters stands in the
 * document at [token->start + map[a], token->start + map[b]); all bytes of a
 * character that was escaped map to its backslash. Tokens up to 4 GiB. */
void json_unescape_mapped(const char *text,
                          const JsonToken *token,
                          GString *out,
                          GArray *map);

#endif
