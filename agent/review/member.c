/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a JSON object: each of the type and within the bounds that were
 * agreed, or the whole is refused. */
#include "review/private.h"
#include <string.h>

/* A group's name. */
#define MAX_NAME 256

bool
member_refuse(GError **error, const char *name, const char *why)
{
  g_set_error(error, REVIEW_ERROR, REVIEW_ERROR_FORM, "`%s` %s", name, why);
  return false;
}

bool
member_only(const Document *object, const char *const *names, GError **error)
{
  if (!json_object_is_type(object, json_type_object)) {
    g_set_error_literal(
        error, REVIEW_ERROR, REVIEW_ERROR_FORM, "an object is missing");
    return false;
  }
  json_object_object_foreach((Document *)object, name, value)
  {
    (void)value;
    if (g_strv_contains(names, name))
      continue;
    g_set_error_literal(
        error, REVIEW_ERROR, REVIEW_ERROR_FORM, "a member that is not known");
    return false;
  }
  return true;
}

bool
member_text(const Document *object,
            const char *name,
            size_t max,
            bool needed,
            char **out,
            GError **error)
{
  const char *text = document_text(object, name);

  if (!document_has(object, name))
    return !needed || member_refuse(error, name, "is missing");
  if (!text)
    return member_refuse(error, name, "is no text");
  if (strlen(text) > max)
    return member_refuse(error, name, "is too long");
  *out = g_strdup(text);
  return true;
}

bool
member_hex(const Document *object,
           const char *name,
           uint8_t *out,
           size_t len,
           GError **error)
{
  const char *text = document_text(object, name);

  if (!text || strspn(text, "0123456789abcdef") != strlen(text) ||
      !hex_decode(text, out, len))
    return member_refuse(error, name, "is not so many lower-case hex digits");
  return true;
}

bool
member_number(const Document *object,
              const char *name,
              int64_t least,
              int64_t most,
              int64_t *out,
              GError **error)
{
  const Document *value = document_member(object, name);
  int64_t number;

  if (!json_object_is_type(value, json_type_int))
    return member_refuse(error, name, "is no whole number");
  number = json_object_get_int64(value);
  if (number < least || number > most)
    return member_refuse(error, name, "is out of range");
  *out = number;
  return true;
}

bool
member_bool(const Document *object, const char *name, bool *out, GError **error)
{
  const Document *value = document_member(object, name);

  if (!json_object_is_type(value, json_type_boolean))
    return member_refuse(error, name, "is neither true nor false");
  *out = json_object_get_boolean(value);
  return true;
}

bool
member_array(const Document *object,
             const char *name,
             size_t least,
             size_t max,
             Document **out,
             GError **error)
{
  Document *value = document_member(object, name);
  size_t n;

  if (!json_object_is_type(value, json_type_array))
    return member_refuse(error, name, "is no list");
  n = json_object_array_length(value);
  if (n < least || n > max)
    return member_refuse(error, name, "has too few or too many members");
  *out = value;
  return true;
}

bool
member_texts(const Document *object,
             const char *name,
             size_t max,
             char ***out,
             GError **error)
{
  g_autoptr(GStrvBuilder) texts = g_strv_builder_new();
  Document *list;

  if (!member_array(object, name, 1, max, &list, error))
    return false;
  for (size_t i = 0; i < json_object_array_length(list); i++) {
    Document *one = json_object_array_get_idx(list, i);
    const char *text = json_object_is_type(one, json_type_string)
                           ? json_object_get_string(one)
                           : "";

    if (!*text || strlen(text) > MAX_NAME)
      return member_refuse(error, name, "holds what is no name");
    g_strv_builder_add(texts, text);
  }
  *out = g_strv_builder_end(texts);
  return true;
}
