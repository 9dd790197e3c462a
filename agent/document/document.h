/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that somebody else wrote, read so that it can mean one thing only. */
#ifndef HOOP_DOCUMENT_H
#define HOOP_DOCUMENT_H

#include <glib.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct json_object Document;

/* An object of RFC 8259 text, a new reference. NULL with JSON_ERROR (the
 * message holds a position, never the text) when it is none, is not UTF-8,
 * nests over 32 levels, holds one name twice in any object, compared as decoded
 * (two readers would take different ones), or U+0000 (C would cut there). */
Document *document_parse(const char *text, size_t len, GError **error);
void document_free(Document *document);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Document, document_free)

/* The member of that name, borrowed; NULL: there is none, it is null or `in` is
 * no object. */
Document *document_member(const Document *in, const char *name);
/* True when there is such a member, null too. */
bool document_has(const Document *in, const char *name);
/* The member's text, borrowed; NULL: there is none or it is no string. */
const char *document_text(const Document *in, const char *name);

#endif
