/* SPDX-License-Identifier: Apache-2.0 */
/* Forms: names and values of application/x-www-form-urlencoded, decoded as the
 * URL standard does. */
#include "inspect/body.h"

#include <string.h>

static int
hex_pair(const char *p)
{
  const int high = g_ascii_xdigit_value(p[0]);
  const int low = high < 0 ? -1 : g_ascii_xdigit_value(p[1]);

  return low < 0 ? -1 : high * 16 + low;
}

size_t
form_decode(const char *raw, size_t len, char *out, guint32 *map)
{
  size_t n = 0;

  for (size_t i = 0; i < len; n++) {
    int byte = -1;

    if (map != NULL)
      map[n] = (guint32)i;
    if (raw[i] == '%' && len - i >= 3)
      byte = hex_pair(raw + i + 1);
    if (byte >= 0) {
      out[n] = (char)byte;
      i += 3;
    } else {
      out[n] = raw[i] == '+' ? ' ' : raw[i];
      i++;
    }
  }
  if (map != NULL)
    map[n] = (guint32)len;
  return n;
}

static bool
add_part(Inspection *inspection,
         const char *text,
         size_t start,
         size_t end,
         const FieldPlace *name,
         FieldPlace *out_place,
         GError **error)
{
  char *out = arena_open(&inspection->arena, end - start);
  const size_t len = form_decode(text + start, end - start, out, NULL);
  const bool valid = g_utf8_validate_len(out, len, NULL);
  FieldPlace place = {.parent = NO_FIELD,
                      .start = start,
                      .end = end,
                      .encoding = ENCODED_FORM,
                      .key = name != NULL ? name->key : 0,
                      .key_len = name != NULL ? name->key_len : 0};

  if (!valid) {
    g_set_error_literal(error,
                        INSPECT_ERROR,
                        INSPECT_ERROR_UNREADABLE,
                        "a form's text is not UTF-8");
    return false;
  }
  place.text = arena_close(&inspection->arena, len);
  if (name == NULL) {
    place.key = place.text;
    place.key_len = len;
  }
  *out_place = place;
  if (name == NULL && len < inspection->shortest)
    return true;
  return inspection_add(inspection,
                        &place,
                        len,
                        name != NULL ? inspection->arena.bytes + place.key
                                     : "?",
                        name != NULL ? place.key_len : 1,
                        name == NULL,
                        error);
}

bool
form_fields_read(Inspection *inspection,
                 const char *text,
                 size_t len,
                 GError **error)
{
  size_t start = 0;

  arena_reserve(&inspection->arena, 4 * len + 4);
  while (start < len) {
    const char *amp = memchr(text + start, '&', len - start);
    const size_t end = amp != NULL ? (size_t)(amp - text) : len;
    const char *equals = memchr(text + start, '=', end - start);
    const size_t name_end = equals != NULL ? (size_t)(equals - text) : end;
    FieldPlace name, value;

    if (!add_part(inspection, text, start, name_end, NULL, &name, error) ||
        (equals != NULL &&
         !add_part(inspection, text, name_end + 1, end, &name, &value, error)))
      return false;
    start = end + 1;
  }
  return true;
}
