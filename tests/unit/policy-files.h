/* SPDX-License-Identifier: Apache-2.0 */
/* Files that stand in memory, for policies that include others. Included by
 * tests and a fuzz harness. */
#ifndef HOOP_TEST_POLICY_FILES_H
#define HOOP_TEST_POLICY_FILES_H

#include "policy/source.h"
#include <string.h>

/* One text with a line "==> PATH" above each file's. */
static inline const char *
files_find(const char *all, const char *path, size_t *len)
{
  g_autofree char *head = g_strdup_printf("==> %s\n", path);
  const char *at = all;

  for (; (at = strstr(at, head)) != NULL; at++)
    if (at == all || at[-1] == '\n') {
      const char *text = at + strlen(head);
      const char *end = strstr(text - 1, "\n==> ");

      *len = end == NULL  ? strlen(text)
             : end < text ? 0
                          : (size_t)(end + 1 - text);
      return text;
    }
  return NULL;
}

static inline GBytes *
files_read(const char *path, FileTrust trust, void *data, GError **error)
{
  size_t len;
  const char *text = files_find(data, path, &len);

  (void)trust;
  if (text != NULL)
    return g_bytes_new(text, len);
  g_set_error(error,
              G_FILE_ERROR,
              G_FILE_ERROR_NOENT,
              "Cannot open %s: No such file or directory",
              path);
  return NULL;
}

static inline char **
files_list(const char *folder, FileTrust trust, void *data, GError **error)
{
  g_autofree char *head = g_strdup_printf("==> %s/", folder);
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  g_auto(GStrv) lines = g_strsplit(data, "\n", -1);
  unsigned n = 0;

  (void)trust;
  for (char **line = lines; *line != NULL; line++)
    if (g_str_has_prefix(*line, head) &&
        strchr(*line + strlen(head), '/') == NULL) {
      g_strv_builder_add(names, *line + strlen(head));
      n++;
    }
  if (n == 0) {
    g_set_error(error,
                G_FILE_ERROR,
                G_FILE_ERROR_NOENT,
                "Cannot look at %s: No such file or directory",
                folder);
    return NULL;
  }
  return g_strv_builder_end(names);
}

/* Loads the file of this name, as of this layer. */
static inline Policy *
files_load(const char *all, const char *path, PolicyLayer layer, GError **error)
{
  const PolicyReader reader = {
      .read = files_read, .list = files_list, .data = (void *)(uintptr_t)all};
  const PolicySource file = {path, layer, FILE_OWN};

  return policy_load_from(&reader, &file, 1, NULL, NULL, NULL, error);
}

#endif
