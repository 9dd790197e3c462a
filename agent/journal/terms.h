/* SPDX-License-Identifier: Apache-2.0 */
/* What a search looks for, as the index asks it and as it is found again in a
 * text. Private to the room. */
#ifndef HOOP_JOURNAL_TERMS_H
#define HOOP_JOURNAL_TERMS_H

#include <glib.h>
#include <stdbool.h>

typedef struct terms Terms;

/* NULL when there is no word to look for. */
Terms *terms_parse(const char *text);
void terms_free(Terms *terms);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Terms, terms_free)

/* Appends the FTS5 expression, within the column `text`. */
void terms_expression(const Terms *terms, GString *out);

typedef struct {
  unsigned start, end; /* bytes */
} TermMark;

/* True when all that must be is in the text (valid UTF-8), and nothing that
 * must not. */
bool terms_match(const Terms *terms, const char *text, size_t len);
/* The places of what must be; g_array_unref. */
GArray *terms_marks(const Terms *terms, const char *text, size_t len);

/* A line of the text around the first of `marks` (in ascending order), cut
 * between characters; marks that are in it, moved, go to `inside`. Controls
 * and runs of blanks become one blank. g_free. */
char *terms_snippet(const char *text,
                    size_t len,
                    const GArray *marks,
                    GArray *inside);

#endif
