/* SPDX-License-Identifier: Apache-2.0 */
/* Header lists: ordered fields whose names compare without case and which can
 * hold nothing that would break a message's framing. */
#include "http/http.h"
#include "http/syntax.h"
#include "kit/secret.h"
#include <string.h>

/* A list starts with room for what a usual request brings. */
#define FIELDS_AT_FIRST 16

/* Name and value share one allocation, which starts at the name. */
typedef struct {
  char *name;
  char *value;
  unsigned name_len;
} Field;

struct http_headers {
  Field *fields;
  unsigned count;
  unsigned capacity;
};

static bool
field_is(const Field *field, const char *name, size_t name_len)
{
  return field->name_len == name_len &&
         g_ascii_strncasecmp(field->name, name, name_len) == 0;
}

static bool
value_is_valid(const char *value, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (!syntax_is_value((uint8_t)value[i]))
      return false;
  return true;
}

static Field
field_new(const char *name, size_t name_len, const char *value, size_t len)
{
  char *both = g_malloc(name_len + len + 2);
  memcpy(both, name, name_len);
  both[name_len] = '\0';
  memcpy(both + name_len + 1, value, len);
  both[name_len + 1 + len] = '\0';
  return (Field){both, both + name_len + 1, (unsigned)name_len};
}

/* A value may be a credential: none is left behind in memory. */
static void
field_free(Field *field)
{
  secret_wipe(field->value, strlen(field->value));
  g_free(field->name);
}

/* Frees the field at `index` and closes the gap. */
static void
drop(HttpHeaders *headers, unsigned index)
{
  field_free(&headers->fields[index]);
  headers->count--;
  memmove(headers->fields + index,
          headers->fields + index + 1,
          (headers->count - index) * sizeof(Field));
}

bool
headers_add_len(HttpHeaders *headers,
                const char *name,
                size_t name_len,
                const char *value,
                size_t len)
{
  if (!syntax_is_token(name, name_len) || !value_is_valid(value, len))
    return false;
  if (headers->count == headers->capacity) {
    headers->capacity =
        headers->capacity ? headers->capacity * 2 : FIELDS_AT_FIRST;
    headers->fields = g_renew(Field, headers->fields, headers->capacity);
  }
  headers->fields[headers->count++] = field_new(name, name_len, value, len);
  return true;
}

HttpHeaders *
http_headers_new(void)
{
  return g_new0(HttpHeaders, 1);
}

HttpHeaders *
http_headers_copy(const HttpHeaders *headers)
{
  HttpHeaders *copy = http_headers_new();
  copy->fields = g_new(Field, headers->count);
  copy->count = copy->capacity = headers->count;
  for (unsigned i = 0; i < headers->count; i++) {
    const Field *field = &headers->fields[i];
    copy->fields[i] = field_new(
        field->name, field->name_len, field->value, strlen(field->value));
  }
  return copy;
}

void
http_headers_free(HttpHeaders *headers)
{
  if (!headers)
    return;
  for (unsigned i = 0; i < headers->count; i++)
    field_free(&headers->fields[i]);
  g_free(headers->fields);
  g_free(headers);
}

unsigned
http_headers_count(const HttpHeaders *headers)
{
  return headers->count;
}

const char *
http_headers_name(const HttpHeaders *headers, unsigned index)
{
  g_return_val_if_fail(index < headers->count, "");
  return headers->fields[index].name;
}

const char *
http_headers_value(const HttpHeaders *headers, unsigned index)
{
  g_return_val_if_fail(index < headers->count, "");
  return headers->fields[index].value;
}

const char *
http_headers_get(const HttpHeaders *headers, const char *name)
{
  size_t len = strlen(name);
  for (unsigned i = 0; i < headers->count; i++)
    if (field_is(&headers->fields[i], name, len))
      return headers->fields[i].value;
  return NULL;
}

unsigned
http_headers_occurrences(const HttpHeaders *headers, const char *name)
{
  size_t len = strlen(name);
  unsigned count = 0;
  for (unsigned i = 0; i < headers->count; i++)
    count += field_is(&headers->fields[i], name, len);
  return count;
}

bool
http_headers_has_token(const HttpHeaders *headers,
                       const char *name,
                       const char *token)
{
  size_t name_len = strlen(name), token_len = strlen(token);
  for (unsigned i = 0; i < headers->count; i++) {
    if (!field_is(&headers->fields[i], name, name_len))
      continue;
    SyntaxList list = {headers->fields[i].value};
    const char *item;
    size_t len;
    while (syntax_list_next(&list, &item, &len))
      if (len == token_len && g_ascii_strncasecmp(item, token, len) == 0)
        return true;
  }
  return false;
}

bool
http_headers_add(HttpHeaders *headers, const char *name, const char *value)
{
  return headers_add_len(headers, name, strlen(name), value, strlen(value));
}

bool
http_headers_set(HttpHeaders *headers, const char *name, const char *value)
{
  /* Added first: the old fields stay when the new one is refused, and `value`
   * may belong to one of them. */
  size_t len = strlen(name);
  unsigned before = headers->count;
  if (!headers_add_len(headers, name, len, value, strlen(value)))
    return false;
  for (unsigned i = before; i-- > 0;)
    if (field_is(&headers->fields[i], name, len))
      drop(headers, i);
  return true;
}

static void
remove_len(HttpHeaders *headers, const char *name, size_t len)
{
  for (unsigned i = headers->count; i-- > 0;)
    if (field_is(&headers->fields[i], name, len))
      drop(headers, i);
}

void
http_headers_remove(HttpHeaders *headers, const char *name)
{
  remove_len(headers, name, strlen(name));
}

void
http_headers_remove_hop_by_hop(HttpHeaders *headers)
{
  static const char *const always[] = {"Connection",
                                       "Keep-Alive",
                                       "TE",
                                       "Trailer",
                                       "Transfer-Encoding",
                                       "Upgrade"};
  GString *named = g_string_new(NULL);
  for (unsigned i = 0; i < headers->count; i++)
    if (field_is(&headers->fields[i], "Connection", 10))
      g_string_append_printf(named, "%s,", headers->fields[i].value);
  SyntaxList list = {named->str};
  const char *item;
  size_t len;
  while (syntax_list_next(&list, &item, &len))
    remove_len(headers, item, len);
  g_string_free(named, TRUE);
  for (unsigned i = 0; i < G_N_ELEMENTS(always); i++)
    http_headers_remove(headers, always[i]);
  for (unsigned i = headers->count; i-- > 0;)
    if (g_ascii_strncasecmp(headers->fields[i].name, "Proxy-", 6) == 0)
      drop(headers, i);
}
