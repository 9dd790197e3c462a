/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked bodies, one byte of framing at a time: sizes, extensions and
 * trailers follow RFC 9112 section 7.1 to the letter or are refused. */
#include "http/chunked.h"
#include "http/syntax.h"

/* Size, extensions and their CRLF: nobody needs more, and each such line may
 * carry a single byte of body. */
#define MAX_SIZE_LINE 256
/* The whole trailer section; it is dropped unread. */
#define MAX_TRAILERS 8192

enum {
  SIZE_FIRST, /* at least one digit must come */
  SIZE,
  EXT_START, /* white space after a size or value: only ';' may follow */
  EXT_NAME_FIRST,
  EXT_NAME,
  EXT_AFTER_NAME, /* white space after a name */
  EXT_VALUE_FIRST,
  EXT_VALUE,
  EXT_QUOTED,
  EXT_QUOTED_PAIR,
  EXT_AFTER_QUOTED,
  SIZE_LF,
  DATA,
  DATA_CR,
  DATA_LF,
  TRAILER_FIRST, /* a field line or the empty line */
  TRAILER_NAME,
  TRAILER_VALUE,
  TRAILER_LF,
  END_LF,
  DONE
};

void
http_chunked_init(HttpChunked *chunked)
{
  *chunked = (HttpChunked){0};
}

static bool
bad(GError **error, const char *reason)
{
  g_set_error_literal(error, HTTP_ERROR, HTTP_ERROR_BAD_REQUEST, reason);
  return false;
}

static bool
is_blank(uint8_t byte)
{
  return byte == ' ' || byte == '\t';
}

/* One byte of the chunk size. */
static bool
step_size(HttpChunked *chunked, uint8_t byte, GError **error)
{
  int digit = g_ascii_xdigit_value((char)byte);
  if (digit < 0)
    return bad(error, "a chunk size is not hexadecimal");
  if (chunked->left > (INT64_MAX >> 4)) {
    g_set_error_literal(
        error, HTTP_ERROR, HTTP_ERROR_TOO_LARGE, "a chunk is too large");
    return false;
  }
  chunked->left = chunked->left << 4 | (uint64_t)digit;
  chunked->state = SIZE;
  return true;
}

/* What may follow where an extension can start or end. */
static bool
step_between(HttpChunked *chunked, uint8_t byte, GError **error)
{
  if (byte == ';')
    chunked->state = EXT_NAME_FIRST;
  else if (is_blank(byte))
    chunked->state = EXT_START;
  else if (byte == '\r' && chunked->state != EXT_START)
    chunked->state = SIZE_LF;
  else
    return bad(error, "a chunk size line is malformed");
  return true;
}

/* One byte of ";name=value" (RFC 9112 section 7.1.1). */
static bool
step_extension(HttpChunked *chunked, uint8_t byte, GError **error)
{
  bool token = syntax_is(byte, SYNTAX_TOKEN);
  switch (chunked->state) {
  case EXT_NAME_FIRST:
  case EXT_NAME:
    if (token)
      chunked->state = EXT_NAME;
    else if (chunked->state == EXT_NAME && byte == '=')
      chunked->state = EXT_VALUE_FIRST;
    else if (chunked->state == EXT_NAME && is_blank(byte))
      chunked->state = EXT_AFTER_NAME;
    else if (chunked->state == EXT_NAME)
      return step_between(chunked, byte, error);
    else if (!is_blank(byte))
      return bad(error, "a chunk extension is malformed");
    return true;
  case EXT_AFTER_NAME:
    if (byte == '=')
      chunked->state = EXT_VALUE_FIRST;
    else if (byte == ';')
      chunked->state = EXT_NAME_FIRST;
    else if (!is_blank(byte))
      return bad(error, "a chunk extension is malformed");
    return true;
  case EXT_VALUE_FIRST:
    if (byte == '"')
      chunked->state = EXT_QUOTED;
    else if (token)
      chunked->state = EXT_VALUE;
    else if (!is_blank(byte))
      return bad(error, "a chunk extension is malformed");
    return true;
  case EXT_VALUE:
    return token || step_between(chunked, byte, error);
  case EXT_QUOTED:
    if (byte == '"')
      chunked->state = EXT_AFTER_QUOTED;
    else if (byte == '\\')
      chunked->state = EXT_QUOTED_PAIR;
    else if (!syntax_is_value(byte))
      return bad(error, "a control byte in a chunk extension");
    return true;
  case EXT_QUOTED_PAIR:
    chunked->state = EXT_QUOTED;
    return syntax_is_value(byte) ||
           bad(error, "a control byte in a chunk extension");
  default: /* EXT_START, EXT_AFTER_QUOTED */
    return step_between(chunked, byte, error);
  }
}

static bool
step_trailer(HttpChunked *chunked, uint8_t byte, GError **error)
{
  if (++chunked->trailers > MAX_TRAILERS) {
    g_set_error_literal(error,
                        HTTP_ERROR,
                        HTTP_ERROR_HEAD_TOO_LARGE,
                        "the trailer section is too large");
    return false;
  }
  switch (chunked->state) {
  case TRAILER_FIRST:
    if (byte == '\r')
      chunked->state = END_LF;
    else if (syntax_is(byte, SYNTAX_TOKEN))
      chunked->state = TRAILER_NAME;
    else
      return bad(error, "a trailer field name is no token");
    return true;
  case TRAILER_NAME:
    if (byte == ':')
      chunked->state = TRAILER_VALUE;
    else if (!syntax_is(byte, SYNTAX_TOKEN))
      return bad(error, "a trailer field name is no token");
    return true;
  default: /* TRAILER_VALUE */
    if (byte == '\r')
      chunked->state = TRAILER_LF;
    else if (!syntax_is_value(byte))
      return bad(error, "a control byte in a trailer field");
    return true;
  }
}

/* The LF that ends a line, and what comes after it. */
static bool
step_lf(HttpChunked *chunked, uint8_t byte, GError **error)
{
  if (byte != '\n')
    return bad(error, "a bare CR in the chunked framing");
  chunked->line_len = 0;
  switch (chunked->state) {
  case SIZE_LF:
    chunked->state = chunked->left ? DATA : TRAILER_FIRST;
    break;
  case DATA_LF:
    chunked->state = SIZE_FIRST;
    break;
  case TRAILER_LF:
    chunked->state = TRAILER_FIRST;
    break;
  default: /* END_LF */
    chunked->state = DONE;
    break;
  }
  return true;
}

static bool
step(HttpChunked *chunked, uint8_t byte, GError **error)
{
  switch (chunked->state) {
  case SIZE_LF:
  case DATA_LF:
  case TRAILER_LF:
  case END_LF:
    return step_lf(chunked, byte, error);
  case DATA_CR:
    chunked->state = DATA_LF;
    return byte == '\r' || bad(error, "a chunk is longer than its size");
  case TRAILER_FIRST:
  case TRAILER_NAME:
  case TRAILER_VALUE:
    return step_trailer(chunked, byte, error);
  default:
    break;
  }
  if (++chunked->line_len > MAX_SIZE_LINE)
    return bad(error, "a chunk size line is too long");
  if (chunked->state == SIZE_FIRST ||
      (chunked->state == SIZE && g_ascii_isxdigit((char)byte)))
    return step_size(chunked, byte, error);
  if (chunked->state == SIZE)
    return step_between(chunked, byte, error);
  return step_extension(chunked, byte, error);
}

bool
chunked_next(HttpChunked *chunked,
             const uint8_t *bytes,
             size_t len,
             size_t *consumed,
             const uint8_t **data,
             size_t *data_len,
             bool *done,
             GError **error)
{
  size_t pos = 0;
  *data_len = 0;
  while (pos < len && chunked->state != DONE) {
    if (chunked->state == DATA) {
      size_t n = (size_t)MIN(chunked->left, (uint64_t)(len - pos));
      *data = bytes + pos;
      *data_len = n;
      pos += n;
      chunked->left -= n;
      if (chunked->left == 0)
        chunked->state = DATA_CR;
      break;
    }
    if (!step(chunked, bytes[pos], error))
      return false;
    pos++;
  }
  *consumed = pos;
  *done = chunked->state == DONE;
  return true;
}

bool
http_chunked_decode(HttpChunked *chunked,
                    const uint8_t *bytes,
                    size_t len,
                    size_t *consumed,
                    Buf *out,
                    bool *done,
                    GError **error)
{
  size_t pos = 0;
  *consumed = 0;
  *done = chunked->state == DONE;
  while (pos < len && !*done) {
    const uint8_t *data = NULL;
    size_t n = 0, data_len = 0;
    if (!chunked_next(
            chunked, bytes + pos, len - pos, &n, &data, &data_len, done, error))
      return false;
    if (data_len && !buf_append(out, data, data_len)) {
      g_set_error_literal(
          error, HTTP_ERROR, HTTP_ERROR_TOO_LARGE, "the body is too large");
      return false;
    }
    pos += n;
    *consumed = pos;
  }
  return true;
}
