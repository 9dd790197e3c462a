/* SPDX-License-Identifier: Apache-2.0 */
/* Typed values out of a YAML tree; what is wrong is said with its place, the
 * key and the nearest valid word. */
#include "policy/policy.h"
#include "policy/suggest.h"
#include "policy/yaml.h"

#include <string.h>

/* Characters of a word from the file that a message repeats. */
#define MAX_SHOWN 60

G_DEFINE_QUARK(hoop_policy_error, policy_error)

bool
yaml_error(const YamlDoc *doc,
           const YamlNode *at,
           GError **error,
           const char *format,
           ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start(args, format);
  message = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error,
              POLICY_ERROR,
              POLICY_ERROR_VALUE,
              "%s:%u:%u: %s",
              doc->name,
              MAX(at->line, 1),
              MAX(at->column, 1),
              message);
  return false;
}

/* Words from the file in messages: not longer than a line can show. */
static char *
shown(const char *text)
{
  g_autofree char *cut = NULL;

  if (g_utf8_strlen(text, -1) <= MAX_SHOWN)
    return g_strdup(text);
  cut = g_utf8_substring(text, 0, MAX_SHOWN);
  return g_strconcat(cut, "…", NULL);
}

char *
yaml_place(const YamlDoc *doc, const YamlNode *at)
{
  return g_strdup_printf("%s:%u", doc->name, at->line);
}

const YamlNode *
yaml_get(const YamlNode *map, const char *key)
{
  for (guint i = 0; i < map->keys->len; i++) {
    const YamlNode *name = map->keys->pdata[i];

    if (strcmp(name->text, key) == 0)
      return map->items->pdata[i];
  }
  return NULL;
}

bool
yaml_map_check(const YamlDoc *doc,
               const YamlNode *node,
               const char *where,
               const char *const *keys,
               GError **error)
{
  if (node->kind != YAML_MAP)
    return yaml_error(
        doc, node, error, "%s must be a mapping (key: value)", where);
  for (guint i = 0; i < node->keys->len; i++) {
    const YamlNode *key = node->keys->pdata[i];
    g_autofree char *word = shown(key->text);
    const char *nearest;

    if (g_strv_contains(keys, key->text))
      continue;
    nearest = suggest_nearest(key->text, keys);
    if (nearest != NULL)
      return yaml_error(doc,
                        key,
                        error,
                        "unknown key \"%s\" in %s; did you mean \"%s\"?",
                        word,
                        where,
                        nearest);
    return yaml_error(doc, key, error, "unknown key \"%s\" in %s", word, where);
  }
  return true;
}

/* A scalar that says something: `key:` alone and `key: null` do not. */
static bool
is_text(const YamlDoc *doc,
        const YamlNode *node,
        const char *what,
        GError **error)
{
  if (node->kind != YAML_SCALAR)
    return yaml_error(doc, node, error, "\"%s\" must be a text", what);
  if (node->text[0] == '\0')
    return yaml_error(doc, node, error, "\"%s\" must not be empty", what);
  if (node->plain &&
      (strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0))
    return yaml_error(doc, node, error, "\"%s\" must not be null", what);
  return true;
}

bool
yaml_text(const YamlDoc *doc,
          const YamlNode *node,
          const char *what,
          char **out,
          GError **error)
{
  if (!is_text(doc, node, what, error))
    return false;
  *out = g_strdup(node->text);
  return true;
}

bool
yaml_texts(const YamlDoc *doc,
           const YamlNode *node,
           const char *what,
           char ***out,
           GError **error)
{
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

  if (node->kind == YAML_MAP)
    return yaml_error(
        doc, node, error, "\"%s\" must be a text or a list of texts", what);
  if (node->kind == YAML_SCALAR) {
    if (!is_text(doc, node, what, error))
      return false;
    g_strv_builder_add(builder, node->text);
    *out = g_strv_builder_end(builder);
    return true;
  }
  if (node->items->len == 0)
    return yaml_error(doc, node, error, "\"%s\" must not be empty", what);
  for (guint i = 0; i < node->items->len; i++) {
    const YamlNode *item = node->items->pdata[i];

    if (!is_text(doc, item, what, error))
      return false;
    g_strv_builder_add(builder, item->text);
  }
  *out = g_strv_builder_end(builder);
  return true;
}

bool
yaml_bool(const YamlDoc *doc,
          const YamlNode *node,
          const char *what,
          bool *out,
          GError **error)
{
  bool is_true;

  if (node->kind != YAML_SCALAR || !node->plain ||
      (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0))
    return yaml_error(doc, node, error, "\"%s\" must be true or false", what);
  is_true = node->text[0] == 't';
  *out = is_true;
  return true;
}

bool
yaml_number(const YamlDoc *doc,
            const YamlNode *node,
            const char *what,
            int64_t min,
            int64_t max,
            int64_t *out,
            GError **error)
{
  gint64 number;

  if (node->kind == YAML_SCALAR && node->plain &&
      g_ascii_string_to_signed(node->text, 10, min, max, &number, NULL)) {
    *out = number;
    return true;
  }
  if (min == max)
    return yaml_error(
        doc, node, error, "\"%s\" must be %" G_GINT64_FORMAT, what, min);
  return yaml_error(doc,
                    node,
                    error,
                    "\"%s\" must be a whole number from %" G_GINT64_FORMAT
                    " to %" G_GINT64_FORMAT,
                    what,
                    min,
                    max);
}

bool
yaml_choice(const YamlDoc *doc,
            const YamlNode *node,
            const char *what,
            const char *const *names,
            unsigned *out,
            GError **error)
{
  g_autofree char *all = NULL, *word = NULL;
  const char *nearest;

  if (!is_text(doc, node, what, error))
    return false;
  for (unsigned i = 0; names[i] != NULL; i++)
    if (strcmp(names[i], node->text) == 0) {
      *out = i;
      return true;
    }
  word = shown(node->text);
  nearest = suggest_nearest(node->text, names);
  if (nearest != NULL)
    return yaml_error(doc,
                      node,
                      error,
                      "\"%s\" cannot be \"%s\"; did you mean \"%s\"?",
                      what,
                      word,
                      nearest);
  all = g_strjoinv(", ", (char **)(uintptr_t)names);
  return yaml_error(doc,
                    node,
                    error,
                    "\"%s\" cannot be \"%s\" (one of: %s)",
                    what,
                    word,
                    all);
}
