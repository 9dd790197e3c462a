/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of a provider made harmless for terminals, logs and dialogs. */
#include "identity/claims.h"
#include <string.h>

#define REPLACEMENT 0xfffd

/* Controls; U+202E and its like, zero-width ones, tags; what is no character.
 */
static const GUnicodeType hidden[] = {
    G_UNICODE_CONTROL,
    G_UNICODE_FORMAT,
    G_UNICODE_UNASSIGNED,
    G_UNICODE_PRIVATE_USE,
    G_UNICODE_SURROGATE,
    G_UNICODE_LINE_SEPARATOR,
    G_UNICODE_PARAGRAPH_SEPARATOR,
};

/* What is shown of this character: itself, a space, or 0: nothing. */
static gunichar
shown(gunichar c)
{
  const GUnicodeType type = g_unichar_type(c);

  if (c == '\t' || c == '\n' || c == '\r')
    return ' ';
  for (size_t i = 0; i < G_N_ELEMENTS(hidden); i++)
    if (type == hidden[i])
      return 0;
  return c;
}

char *
claims_printable(const char *text, size_t max)
{
  GString *out = g_string_new(NULL);

  while (*text && out->len < max) {
    const gunichar c = g_utf8_get_char_validated(text, -1);
    const bool valid = c != (gunichar)-1 && c != (gunichar)-2;
    const gunichar show = valid ? shown(c) : REPLACEMENT;
    char bytes[6];
    const int n = show ? g_unichar_to_utf8(show, bytes) : 0;

    if (out->len + (size_t)n > max)
      break;
    g_string_append_len(out, bytes, n);
    text = valid ? g_utf8_next_char(text) : text + 1;
  }
  return g_string_free(out, FALSE);
}
