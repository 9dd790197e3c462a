/* SPDX-License-Identifier: Apache-2.0 */
/* The byte classes of RFC 9110 section 5.6 and RFC 3986, and walking a
 * comma-separated field value. */
#ifndef HOOP_HTTP_SYNTAX_H
#define HOOP_HTTP_SYNTAX_H

#include "http/http.h"

enum {
  SYNTAX_TOKEN = 1, /* tchar */
  SYNTAX_HOST = 2,  /* a registered name's bytes; no percent-encoding */
  SYNTAX_PATH = 4,  /* pchar or '/', '%' left out */
  SYNTAX_QUERY = 8  /* the same, '?', '[' and ']' */
};
/* The classes of each byte; none above 0x7f. */
extern const uint8_t syntax_classes[256];

static inline bool
syntax_is(uint8_t byte, unsigned classes)
{
  return (syntax_classes[byte] & classes) != 0;
}

/* May stand in a field value: field-vchar, space or tab (section 5.5). */
static inline bool
syntax_is_value(uint8_t byte)
{
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

/* One or more tchar. */
bool syntax_is_token(const char *text, size_t len);
/* host [":" port], a registered name, IPv4 or bracketed IPv6; nothing may be
 * empty and the port is 1 to 65535. `port_needed`: refused without a port. */
bool syntax_is_authority(const char *text, size_t len, bool port_needed);

/* A walk over a comma-separated value. */
typedef struct {
  const char *rest;
} SyntaxList;
/* The next element without the white space around it; empty elements are
 * skipped. False at the end. */
bool syntax_list_next(SyntaxList *list, const char **item, size_t *len);

/* http_headers_add() for text that is not NUL terminated. */
bool headers_add_len(HttpHeaders *headers,
                     const char *name,
                     size_t name_len,
                     const char *value,
                     size_t len);

#endif
