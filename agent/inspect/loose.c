/* SPDX-License-Identifier: Apache-2.0 */
/* JSON in text that is not read as JSON, because it is nested deeper than the
 * limit or broken: its escapes are undone without asking how deep they are. */
#include "inspect/body.h"
#include "inspect/roles.h"

#include <string.h>

/* The code of uXXXX, or -1. */
static int
code_at(const char *raw, size_t len)
{
  int code = 0;

  if (len < 5 || raw[0] != 'u')
    return -1;
  for (unsigned i = 1; i < 5; i++) {
    if (!g_ascii_isxdigit(raw[i]))
      return -1;
    code = code * 16 + g_ascii_xdigit_value(raw[i]);
  }
  return code;
}

static size_t
backslashes(const char *raw, size_t len)
{
  size_t n = 0;

  while (n < len && raw[n] == '\\')
    n++;
  return n;
}

/* What an escape stands for, appended to out; returns the bytes behind the
 * backslashes that it took. NULs and halves of pairs become U+FFFD. */
static size_t
undo(const char *raw, size_t len, char *out, size_t *n)
{
  static const char from[] = "nrtbf", to[] = "\n\n\t\n\n";
  const char *letter = len > 0 && raw[0] != '\0' ? strchr(from, raw[0]) : NULL;
  int code = code_at(raw, len);
  size_t took = 5;
  gunichar c;

  *n = 0;
  if (letter != NULL) {
    out[(*n)++] = to[letter - from];
    return 1;
  }
  if (code < 0)
    return 0;
  c = (gunichar)code;
  if (code >= 0xd800 && code < 0xdc00) {
    const size_t run = backslashes(raw + took, len - took);
    const int low = run > 0 ? code_at(raw + took + run, len - took - run) : -1;

    if (low >= 0xdc00 && low < 0xe000) {
      c = 0x10000 + ((gunichar)(code - 0xd800) << 10) +
          (gunichar)(low - 0xdc00);
      took += run + 5;
    }
  }
  if (c == 0 || !g_unichar_validate(c))
    c = 0xfffd;
  *n = (size_t)g_unichar_to_utf8(c, out);
  return took;
}

size_t
loose_decode(const char *raw, size_t len, char *out, guint32 *map)
{
  size_t n = 0;

  for (size_t i = 0; i < len;) {
    const size_t run = backslashes(raw + i, len - i);
    size_t put = 0;
    const size_t took =
        run > 0 ? undo(raw + i + run, len - i - run, out + n, &put) : 0;

    for (size_t k = 0; k < put && map != NULL; k++)
      map[n + k] = (guint32)i;
    n += put;
    if (took == 0 && i + run < len) {
      /* Backslashes belong to what they quote: a span that ends before it ends
       * before them. */
      if (map != NULL)
        map[n] = (guint32)i;
      out[n++] = raw[i + run];
      i++;
    }
    i += run + took;
  }
  if (map != NULL)
    map[n] = (guint32)len;
  return n;
}

bool
loose_field_read(Inspection *inspection, unsigned field, GError **error)
{
  const InspectField *at =
      &g_array_index(inspection->fields, InspectField, field);
  const FieldPlace *above =
      &g_array_index(inspection->places, FieldPlace, field);
  const size_t size = at->len;
  FieldPlace place = {.parent = field,
                      .end = size,
                      .encoding = ENCODED_LOOSE,
                      .context = above->context | IN_LABEL,
                      .node = above->node,
                      .depth = above->depth + 1};
  const char *text = inspection->arena.bytes + above->text;
  const char *path = at->path;
  size_t lead = 0, len;
  char *out;

  while (lead < size && g_ascii_isspace(text[lead]))
    lead++;
  if (lead == size || (text[lead] != '{' && text[lead] != '[') ||
      memchr(text, '\\', size) == NULL)
    return true;
  arena_reserve(&inspection->arena, size);
  text = inspection->arena.bytes + above->text;
  out = arena_open(&inspection->arena, size);
  len = loose_decode(text, size, out, NULL);
  place.text = arena_close(&inspection->arena, len);
  return inspection_add(
      inspection, &place, len, path, strlen(path), false, error);
}
