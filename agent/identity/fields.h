/* SPDX-License-Identifier: Apache-2.0 */
/* The members of one JSON object that a provider sent: read strictly, without
 * copies of what is not asked for. Any thread. */
#ifndef HOOP_IDENTITY_FIELDS_H
#define HOOP_IDENTITY_FIELDS_H

#include "kit/secret.h"

/* A view of a text that must outlive it; made by fields_read() alone. */
typedef struct {
  const char *text;
  size_t len;
} Fields;

/* True for one JSON object (RFC 8259) with at most 256 members and no name
 * twice; IDENTITY_ERROR_PROTOCOL otherwise, without a byte of the text. */
bool fields_read(Fields *fields, const char *text, size_t len, GError **error);

/* True when there is such a member, null counted. */
bool fields_has(const Fields *fields, const char *name);
/* The string of that name; NULL when it is none, is empty or holds U+0000. */
char *fields_text(const Fields *fields, const char *name);
/* The same into locked memory, and of printable ASCII only (RFC 6749 appendix
 * A has no other tokens or codes). */
Secret *fields_secret(const Fields *fields, const char *name);
/* A number, rounded down, also one in a string ("3599", as some send); false
 * and *out untouched when it is none or beyond 2^53. */
bool fields_number(const Fields *fields, const char *name, int64_t *out);
bool fields_true(const Fields *fields, const char *name);
/* True when the member is an array that holds this string. */
bool fields_lists(const Fields *fields, const char *name, const char *value);

#endif
