/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing the members of the room's JSON. Private to the room. */
#ifndef HOOP_REVIEW_PRIVATE_H
#define HOOP_REVIEW_PRIVATE_H

#include "document/document.h"
#include "kit/json-put.h"
#include "review/review.h"

/* Sets REVIEW_ERROR_FORM about a member; always false. */
bool member_refuse(GError **error, const char *name, const char *why);

/* The object has no members but these (NULL behind the last). */
bool member_only(const Document *object,
                 const char *const *names,
                 GError **error);
/* A text of at most `max` bytes, or, where `needed` is false, none (*out is
 * NULL then); a copy. */
bool member_text(const Document *object,
                 const char *name,
                 size_t max,
                 bool needed,
                 char **out,
                 GError **error);
/* Exactly `len` bytes in lower-case hex. */
bool member_hex(const Document *object,
                const char *name,
                uint8_t *out,
                size_t len,
                GError **error);
bool member_number(const Document *object,
                   const char *name,
                   int64_t least,
                   int64_t most,
                   int64_t *out,
                   GError **error);
bool member_bool(const Document *object,
                 const char *name,
                 bool *out,
                 GError **error);
/* An array of 1 to `max` texts of at most 256 bytes each; g_strfreev. */
bool member_texts(const Document *object,
                  const char *name,
                  size_t max,
                  char ***out,
                  GError **error);
/* An array of `least` to `max` members, borrowed. */
bool member_array(const Document *object,
                  const char *name,
                  size_t least,
                  size_t max,
                  Document **out,
                  GError **error);

#endif
