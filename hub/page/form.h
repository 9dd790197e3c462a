/* SPDX-License-Identifier: Apache-2.0 */
/* What browsers send: forms and queries (application/x-www-form-urlencoded) and
 * cookies, read strictly and within bounds. */
#ifndef HOOP_HUB_PAGE_FORM_H
#define HOOP_HUB_PAGE_FORM_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct form Form;

/* NULL for what no browser sends: more than 16 fields, a name twice, a percent
 * sign without two hex digits, U+0000, bytes that are no UTF-8. Line ends of
 * values become single line feeds. */
Form *form_parse(const char *text, size_t len);
void form_free(Form *form);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Form, form_free)
/* NULL: there is no such field. */
const char *form_get(const Form *form, const char *name);

/* The cookie of that name in a Cookie field (RFC 6265 section 4.2.1), which has
 * to be there once and to hold nothing but letters, digits, `-` and `_`; NULL
 * otherwise. g_free. */
char *cookie_get(const char *field, const char *name);

#endif
