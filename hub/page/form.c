/* SPDX-License-Identifier: Apache-2.0 */
/* Forms, queries and cookies. */
#include "hub/page/form.h"
#include <string.h>

#define MAX_FIELDS 16
/* A session's id and what a sign-in keeps are shorter. */
#define MAX_COOKIE 1024

struct form {
  GHashTable *fields; /* name → value */
};

/* NULL: it is no encoding of a text. */
static char *
decode(const char *text, size_t len)
{
  g_autoptr(GString) out = g_string_sized_new(len + 1);

  for (size_t i = 0; i < len; i++) {
    int high, low, c = (guchar)text[i];

    if (c == '%') {
      high = i + 2 < len ? g_ascii_xdigit_value(text[i + 1]) : -1;
      low = high >= 0 ? g_ascii_xdigit_value(text[i + 2]) : -1;
      if (low < 0)
        return NULL;
      c = high << 4 | low;
      i += 2;
    } else if (c == '+') {
      c = ' ';
    }
    if (c == '\0')
      return NULL;
    /* Browsers send the ends of lines as two characters. */
    if (c == '\n' && out->len > 0 && out->str[out->len - 1] == '\r')
      out->str[out->len - 1] = '\n';
    else
      g_string_append_c(out, (char)c);
  }
  return g_utf8_validate(out->str, (gssize)out->len, NULL)
             ? g_string_free(g_steal_pointer(&out), FALSE)
             : NULL;
}

static bool
take(Form *form, const char *pair, size_t len)
{
  const char *equals = memchr(pair, '=', len);
  const size_t name_len = equals ? (size_t)(equals - pair) : len;
  g_autofree char *name = decode(pair, name_len);
  g_autofree char *value =
      equals ? decode(equals + 1, len - name_len - 1) : g_strdup("");

  if (!name || !value || g_hash_table_size(form->fields) == MAX_FIELDS ||
      g_hash_table_contains(form->fields, name))
    return false;
  g_hash_table_insert(
      form->fields, g_steal_pointer(&name), g_steal_pointer(&value));
  return true;
}

Form *
form_parse(const char *text, size_t len)
{
  g_autoptr(Form) form = g_new0(Form, 1);
  size_t at = 0;

  form->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  while (at < len) {
    const char *end = memchr(text + at, '&', len - at);
    const size_t n = end ? (size_t)(end - text) - at : len - at;

    if (n > 0 && !take(form, text + at, n))
      return NULL;
    at += n + 1;
  }
  return g_steal_pointer(&form);
}

void
form_free(Form *form)
{
  if (!form)
    return;
  g_hash_table_unref(form->fields);
  g_free(form);
}

const char *
form_get(const Form *form, const char *name)
{
  return form ? g_hash_table_lookup(form->fields, name) : NULL;
}

char *
cookie_get(const char *field, const char *name)
{
  static const char good[] = "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  const size_t name_len = strlen(name);
  const char *found = NULL;
  size_t found_len = 0;

  while (field && *field) {
    const size_t len = strcspn(field, ";");

    if (len > name_len && field[name_len] == '=' &&
        strncmp(field, name, name_len) == 0) {
      if (found)
        return NULL;
      found = field + name_len + 1;
      found_len = len - name_len - 1;
    }
    field += len;
    field += *field == ';';
    field += *field == ' ';
  }
  if (!found || found_len == 0 || found_len > MAX_COOKIE ||
      strspn(found, good) < found_len)
    return NULL;
  return g_strndup(found, found_len);
}
