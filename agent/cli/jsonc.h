/* SPDX-License-Identifier: Apache-2.0 */
/* Edits JSON with comments (editors' settings): one member at a time, every
 * other byte stays. Private. */
#ifndef HOOP_CLI_JSONC_H
#define HOOP_CLI_JSONC_H

#include <glib.h>
#include <stdbool.h>

#define JSONC_ERROR (jsonc_error_quark())
GQuark jsonc_error_quark(void);
typedef enum {
  JSONC_ERROR_SYNTAX, /* the message names the line */
  JSONC_ERROR_TYPE    /* something on the path is no object */
} JsoncErrorCode;

/* What is read: RFC 8259 with line and block comments, trailing commas and a
 * byte order mark. A text without a value counts as an empty object. Where a
 * name stands twice, the last counts, as editors have it. `path`: the names
 * down to the member, NULL terminated. */

/* The text with the member set to `raw` (JSON); members and objects that are
 * not there are added behind the last one, in the style around them. g_free. */
char *jsonc_set(const char *text,
                const char *const *path,
                const char *raw,
                GError **error);
/* The member's value as it stands in the text; NULL without error when there
 * is none. g_free. */
char *jsonc_get(const char *text, const char *const *path, GError **error);
/* The text without the member (or as it was when there is none). */
char *jsonc_remove(const char *text, const char *const *path, GError **error);

#endif
