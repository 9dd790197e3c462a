/* SPDX-License-Identifier: Apache-2.0 */
/* Writes YAML that our own reader takes: quotes are kept where they mean
 * something, comments and line breaks are not. */
#include "policy/emit.h"

#include <string.h>

static bool
is_word(const char *text)
{
  if (!g_ascii_isalnum(text[0]))
    return false;
  for (; *text != '\0'; text++)
    if (!g_ascii_isalnum(*text) && strchr("-_./+", *text) == NULL)
      return false;
  return true;
}

void
emit_scalar(GString *out, const char *text, bool plain)
{
  if (plain && is_word(text)) {
    g_string_append(out, text);
    return;
  }
  if (strpbrk(text, "\n\t") == NULL) {
    g_string_append_c(out, '\'');
    for (; *text != '\0'; text++) {
      if (*text == '\'')
        g_string_append_c(out, '\'');
      g_string_append_c(out, *text);
    }
    g_string_append_c(out, '\'');
    return;
  }
  g_string_append_c(out, '"');
  for (; *text != '\0'; text++) {
    if (*text == '\n' || *text == '\t')
      g_string_append(out, *text == '\n' ? "\\n" : "\\t");
    else if (*text == '"' || *text == '\\')
      g_string_append_printf(out, "\\%c", *text);
    else
      g_string_append_c(out, *text);
  }
  g_string_append_c(out, '"');
}

void
emit_flow(GString *out, const YamlNode *node)
{
  if (node->kind == YAML_SCALAR) {
    emit_scalar(out, node->text, node->plain);
    return;
  }
  g_string_append_c(out, node->kind == YAML_MAP ? '{' : '[');
  for (guint i = 0; i < node->items->len; i++) {
    if (i > 0)
      g_string_append(out, ", ");
    if (node->kind == YAML_MAP) {
      const YamlNode *key = node->keys->pdata[i];

      emit_scalar(out, key->text, true);
      g_string_append(out, ": ");
    }
    emit_flow(out, node->items->pdata[i]);
  }
  g_string_append_c(out, node->kind == YAML_MAP ? '}' : ']');
}

void
emit_item(GString *out, const YamlNode *map)
{
  for (guint i = 0; i < map->keys->len; i++) {
    const YamlNode *key = map->keys->pdata[i];

    g_string_append(out, i == 0 ? "  - " : "    ");
    emit_scalar(out, key->text, true);
    g_string_append(out, ": ");
    emit_flow(out, map->items->pdata[i]);
    g_string_append_c(out, '\n');
  }
}
