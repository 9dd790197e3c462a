/* SPDX-License-Identifier: Apache-2.0 */
/* Policy files that lie in memory, beside those of the machine. */
#include "policy/source.h"

#include <string.h>

struct policy_memory {
  char *root;
  GHashTable *files; /* path below the root → GBytes */
  char *lost;        /* why there are none; or NULL */
};

PolicyMemory *
policy_memory_new(const char *root)
{
  PolicyMemory *memory = g_new0(PolicyMemory, 1);

  memory->root = g_strdup(root);
  memory->files = g_hash_table_new_full(
      g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
  return memory;
}

void
policy_memory_free(PolicyMemory *memory)
{
  if (memory == NULL)
    return;
  g_free(memory->root);
  g_hash_table_unref(memory->files);
  g_free(memory->lost);
  g_free(memory);
}

void
policy_memory_add(PolicyMemory *memory, const char *path, GBytes *bytes)
{
  g_hash_table_insert(memory->files, g_strdup(path), g_bytes_ref(bytes));
}

void
policy_memory_lose(PolicyMemory *memory, const char *why)
{
  g_free(memory->lost);
  memory->lost = g_strdup(why);
}

/* The part behind the root; NULL: it is the machine's. */
static const char *
inside(const PolicyMemory *memory, const char *path)
{
  const size_t len = strlen(memory->root);

  if (strncmp(path, memory->root, len) != 0)
    return NULL;
  if (path[len] == '\0')
    return path + len;
  return path[len] == '/' ? path + len + 1 : NULL;
}

static GBytes *
read_file(const char *path, FileTrust trust, void *data, GError **error)
{
  const PolicyMemory *memory = data;
  const char *name = inside(memory, path);
  GBytes *bytes;

  if (name == NULL)
    return policy_reader.read(path, trust, NULL, error);
  bytes =
      memory->lost != NULL ? NULL : g_hash_table_lookup(memory->files, name);
  if (bytes != NULL && g_bytes_get_size(bytes) <= YAML_MAX_SIZE)
    return g_bytes_ref(bytes);
  if (memory->lost != NULL)
    g_set_error_literal(error, POLICY_ERROR, POLICY_ERROR_READ, memory->lost);
  else
    g_set_error(error,
                POLICY_ERROR,
                POLICY_ERROR_READ,
                bytes != NULL ? "%s is too long" : "there is no %s",
                path);
  return NULL;
}

/* Files right in this folder. */
static char **
list_folder(const char *folder, FileTrust trust, void *data, GError **error)
{
  const PolicyMemory *memory = data;
  const char *name = inside(memory, folder);
  g_autoptr(GStrvBuilder) names = NULL;
  GHashTableIter iter;
  gpointer key;

  if (name == NULL)
    return policy_reader.list(folder, trust, NULL, error);
  names = g_strv_builder_new();
  g_hash_table_iter_init(&iter, memory->files);
  while (g_hash_table_iter_next(&iter, &key, NULL)) {
    const char *path = key;
    const char *last = strrchr(path, '/');
    const size_t len = last != NULL ? (size_t)(last - path) : 0;

    if (strlen(name) == len && strncmp(name, path, len) == 0)
      g_strv_builder_add(names, last != NULL ? last + 1 : path);
  }
  return g_strv_builder_end(names);
}

Policy *
policy_load_beside(const PolicyMemory *memory,
                   const PolicySource *files,
                   size_t n_files,
                   Policy *former,
                   char ***seen,
                   char **held,
                   GError **error)
{
  const PolicyReader reader = {.read = read_file,
                               .list = list_folder,
                               .data = (void *)(uintptr_t)memory,
                               .root = memory != NULL ? memory->root : NULL};

  return policy_load_from(memory != NULL ? &reader : &policy_reader,
                          files,
                          n_files,
                          former,
                          seen,
                          held,
                          error);
}
