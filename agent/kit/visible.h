/* SPDX-License-Identifier: Apache-2.0 */
/* Characters that nobody sees, or that act on what shows them. */
#ifndef HOOP_KIT_VISIBLE_H
#define HOOP_KIT_VISIBLE_H

#include <glib.h>
#include <stdbool.h>

/* Controls (line ends and tabs too), separators, and the invisible ones that
 * reorder or hide text (Unicode's categories Cc, Cf, Cs, Co, Cn, Zl, Zp, and
 * blanks that look like nothing). */
bool char_is_hidden(gunichar c);
/* Such a character as its code, or in caret form where everybody knows that. */
void char_append_visible(GString *out, gunichar c);
/* How HTML writes it in text and in quoted attributes: a static entity; NULL:
 * as it is. */
const char *char_html(gunichar c);

#endif
