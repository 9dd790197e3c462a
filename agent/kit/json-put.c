/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a JSON object that is being written. */
#include "kit/json-put.h"
#include "kit/json.h"

static void
put_name(GString *out, const char *name)
{
  if (out->len > 0 && out->str[out->len - 1] != '{')
    g_string_append_c(out, ',');
  g_string_append_printf(out, "\"%s\":", name);
}

void
json_put_text(GString *out, const char *name, const char *value)
{
  if (!value)
    return;
  put_name(out, name);
  g_string_append_c(out, '"');
  json_escape(out, value, -1);
  g_string_append_c(out, '"');
}

void
json_put_raw(GString *out, const char *name, const char *json)
{
  put_name(out, name);
  g_string_append(out, json);
}

void
json_put_number(GString *out, const char *name, int64_t value)
{
  put_name(out, name);
  g_string_append_printf(out, "%" G_GINT64_FORMAT, value);
}

void
json_put_texts(GString *out, const char *name, char *const *values)
{
  put_name(out, name);
  g_string_append_c(out, '[');
  for (unsigned i = 0; values && values[i]; i++) {
    g_string_append(out, i ? ",\"" : "\"");
    json_escape(out, values[i], -1);
    g_string_append_c(out, '"');
  }
  g_string_append_c(out, ']');
}
