/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where pages are written: what is not a literal of the program
 * goes through the escape of where it stands. */
#ifndef HOOP_HUB_PAGE_HTML_H
#define HOOP_HUB_PAGE_HTML_H

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

typedef struct html Html;

Html *html_new(void);
void html_free(Html *html);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Html, html_free)
/* Valid until the next call. */
const char *html_peek(const Html *html, size_t *len);

/* Markup of the program's own: a literal, nothing else compiles. */
#define html_raw(html, literal) html_put_literal((html), "" literal "")
void html_put_literal(Html *html, const char *literal);

/* Text between tags. Characters that act on what shows them or that nobody
 * would see are shown as their codes, marked (char_is_hidden()); so is what is
 * no UTF-8. */
void html_text(Html *html, const char *text);
/* The same of `max` characters at most, then an ellipsis. */
void html_brief(Html *html, const char *text, size_t max);
/* The same of one line: line ends and the blanks around them are one blank. */
void html_gist(Html *html, const char *text, size_t max);
/* The same of many lines, line ends and tabs as they are. */
void html_lines(Html *html, const char *text);
/* The same with masks marked, with the ids m1, m2 …; the number of masks. */
unsigned html_prompt(Html *html, const char *text);
/* The same without any markup, for <textarea> and <title>. */
void html_field(Html *html, const char *text);
/* What was written elsewhere. */
void html_add(Html *html, const Html *part);
void html_number(Html *html, int64_t number);
/* ` name="value"`: the name is a literal and none that a browser runs or
 * follows. Hidden characters as their codes. */
#define html_attr(html, name, value) html_put_attr((html), "" name "", (value))
void html_put_attr(Html *html, const char *name, const char *value);
/* ` name="/first/rest"` for href and action: `first` is a literal that begins
 * with a slash, `rest` (or NULL) is encoded for a path (RFC 3986 section 3.3),
 * so that no other origin and no scheme can be said. */
#define html_link(html, name, first, rest)                                     \
  html_put_link((html), "" name "", "" first "", (rest))
void html_put_link(Html *html,
                   const char *name,
                   const char *first,
                   const char *rest);
/* Seconds since 1970 as <time>: words in UTC, and for the script. */
void html_time(Html *html, int64_t wall_us);

#endif
