/* SPDX-License-Identifier: Apache-2.0 */
/* What terminals and windows must not be given as it is. */
#include "kit/visible.h"

bool
char_is_hidden(gunichar c)
{
  switch ((int)g_unichar_type(c)) {
  case G_UNICODE_CONTROL:
  case G_UNICODE_FORMAT:
  case G_UNICODE_SURROGATE:
  case G_UNICODE_PRIVATE_USE:
  case G_UNICODE_UNASSIGNED:
  case G_UNICODE_LINE_SEPARATOR:
  case G_UNICODE_PARAGRAPH_SEPARATOR:
    return true;
  default:
    /* Blanks that look like nothing: Hangul fillers, braille blank. */
    return c == 0x115f || c == 0x1160 || c == 0x3164 || c == 0xffa0 ||
           c == 0x2800;
  }
}

void
char_append_visible(GString *out, gunichar c)
{
  if (c == '\t')
    g_string_append(out, "\\t");
  else if (c == '\n')
    g_string_append(out, "\\n");
  else if (c == '\r')
    g_string_append(out, "\\r");
  else if (c < 0x20)
    g_string_append_printf(out, "^%c", (char)(c + '@'));
  else if (c == 0x7f)
    g_string_append(out, "^?");
  else
    g_string_append_printf(out, "<U+%04X>", c);
}

const char *
char_html(gunichar c)
{
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  case '`':
    return "&#96;";
  default:
    return NULL;
  }
}
