/* SPDX-License-Identifier: Apache-2.0 */
/* Reads policy files and what they include: one level deep, in the order of
 * names, each file once, none that others could have written. */
#include "policy/source.h"

#include "kit/file.h"
#include <string.h>

#define MAX_PATTERN 512
static const char suffix[] = ".yaml";

void
source_clear(gpointer data)
{
  Source *source = data;

  yaml_doc_free(source->doc);
  g_clear_pointer(&source->text, g_bytes_unref);
}

GArray *
sources_new(void)
{
  GArray *sources = g_array_new(FALSE, FALSE, sizeof(Source));

  g_array_set_clear_func(sources, source_clear);
  return sources;
}

/* ---- The machine's files ----------------------------------------------- */

static GBytes *
read_file(const char *path, FileTrust trust, void *data, GError **error)
{
  (void)data;
  return file_read_trusted(path, YAML_MAX_SIZE, trust, error);
}

static char **
list_folder(const char *folder, FileTrust trust, void *data, GError **error)
{
  g_autoptr(GDir) dir = NULL;
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  const char *name;

  (void)data;
  if (!file_folder_trusted(folder, trust, error))
    return NULL;
  dir = g_dir_open(folder, 0, error);
  if (dir == NULL)
    return NULL;
  while ((name = g_dir_read_name(dir)) != NULL)
    g_strv_builder_add(names, name);
  return g_strv_builder_end(names);
}

const PolicyReader policy_reader = {.read = read_file, .list = list_folder};

/* ---- One file ---------------------------------------------------------- */

void
reading_init(Reading *reading, const PolicyReader *reader)
{
  *reading = (Reading){.reader = reader};
  reading->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

void
reading_clear(Reading *reading)
{
  g_hash_table_unref(reading->names);
}

static void
note(Reading *reading, const char *path)
{
  if (reading->seen != NULL)
    g_ptr_array_add(reading->seen, g_strdup(path));
}

/* NULL with an error that names the file, or the place at which it is
 * included. */
static GBytes *
read_bytes(Reading *reading,
           const char *path,
           FileTrust trust,
           const YamlDoc *by,
           const YamlNode *at,
           GError **error)
{
  g_autoptr(GError) cause = NULL;
  GBytes *bytes;

  note(reading, path);
  bytes = reading->reader->read(path, trust, reading->reader->data, &cause);
  if (bytes == NULL && by != NULL)
    yaml_error(by, at, error, "%s", cause->message);
  else if (bytes == NULL)
    g_set_error_literal(error, POLICY_ERROR, POLICY_ERROR_READ, cause->message);
  return bytes;
}

/* Appends one file without what it includes. */
static bool
append_file(Reading *reading,
            const PolicySource *file,
            const YamlDoc *by,
            const YamlNode *at,
            GArray *sources,
            GError **error)
{
  g_autoptr(GBytes) bytes =
      read_bytes(reading, file->path, file->trust, by, at, error);
  Source source = {.layer = file->layer};
  const char *text;
  gsize len;

  if (bytes == NULL)
    return false;
  text = g_bytes_get_data(bytes, &len);
  reading->total += len;
  source.doc = yaml_parse(file->path, text != NULL ? text : "", len, error);
  if (source.doc == NULL)
    return false;
  g_hash_table_add(reading->names, g_strdup(file->path));
  source.text = g_steal_pointer(&bytes);
  g_array_append_val(sources, source);
  return true;
}

/* ---- Includes ---------------------------------------------------------- */

/* The file that includes, and where it says so. */
typedef struct {
  const PolicySource *file;
  const YamlDoc *doc;
  const YamlNode *at;
} Include;

static bool
add_include(Reading *reading,
            const Include *include,
            const char *path,
            GArray *sources,
            GError **error)
{
  const PolicySource file = {path, include->file->layer, include->file->trust};
  const Source *last;
  const YamlNode *nested;

  if (g_hash_table_contains(reading->names, path))
    return yaml_error(include->doc,
                      include->at,
                      error,
                      "%s is part of the policy already",
                      path);
  if (g_hash_table_size(reading->names) >= SOURCE_MAX_FILES)
    return yaml_error(include->doc,
                      include->at,
                      error,
                      "more than %d files",
                      SOURCE_MAX_FILES);
  if (!append_file(reading, &file, include->doc, include->at, sources, error))
    return false;
  if (reading->total > SOURCE_MAX_TOTAL)
    return yaml_error(include->doc,
                      include->at,
                      error,
                      "all files are longer than %d bytes together",
                      SOURCE_MAX_TOTAL);
  last = &g_array_index(sources, Source, sources->len - 1);
  nested = yaml_get(last->doc->root, "include");
  return nested == NULL ||
         yaml_error(last->doc,
                    nested,
                    error,
                    "a file that is included must not include others");
}

static int
compare_names(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
add_folder(Reading *reading,
           const Include *include,
           const char *folder,
           const char *pattern,
           GArray *sources,
           GError **error)
{
  g_autoptr(GError) cause = NULL;
  g_auto(GStrv) names = NULL;

  note(reading, folder);
  names = reading->reader->list(
      folder, include->file->trust, reading->reader->data, &cause);
  if (names == NULL)
    return yaml_error(include->doc, include->at, error, "%s", cause->message);
  qsort(names, g_strv_length(names), sizeof(*names), compare_names);
  for (char **name = names; *name != NULL; name++) {
    g_autofree char *path = g_build_filename(folder, *name, NULL);

    if (**name == '.' || !g_str_has_suffix(*name, suffix) ||
        !policy_glob(pattern, *name, false))
      continue;
    if (!g_utf8_validate(*name, -1, NULL))
      return yaml_error(include->doc,
                        include->at,
                        error,
                        "a name in %s is not valid UTF-8",
                        folder);
    if (!add_include(reading, include, path, sources, error))
      return false;
  }
  return true;
}

static bool
is_below(const char *root, const char *path)
{
  const size_t len = strlen(root);

  return strncmp(path, root, len) == 0 && path[len] == '/';
}

static bool
leaves_root(const PolicyReader *reader, const char *from, const char *to)
{
  return reader->root != NULL && is_below(reader->root, from) &&
         !is_below(reader->root, to);
}

static bool
add_pattern(Reading *reading,
            const Include *include,
            const char *pattern,
            GArray *sources,
            GError **error)
{
  g_autofree char *beside = g_path_get_dirname(include->file->path);
  g_autofree char *path = g_path_is_absolute(pattern)
                              ? g_strdup(pattern)
                              : g_build_filename(beside, pattern, NULL);
  g_autofree char *folder = g_path_get_dirname(path);
  g_autofree char *name = g_path_get_basename(path);
  g_autofree char *asked = g_path_get_dirname(pattern);

  if (strlen(pattern) > MAX_PATTERN || !g_str_has_suffix(pattern, suffix) ||
      strpbrk(asked, "*?") != NULL)
    return yaml_error(include->doc,
                      include->at,
                      error,
                      "\"include\" takes names that end in .yaml, of at most "
                      "%d bytes, with wildcards in the last part only",
                      MAX_PATTERN);
  if (leaves_root(reading->reader, include->file->path, path))
    return yaml_error(include->doc,
                      include->at,
                      error,
                      "\"include\" takes no files of elsewhere here");
  if (strpbrk(name, "*?") != NULL)
    return add_folder(reading, include, folder, name, sources, error);
  return add_include(reading, include, path, sources, error);
}

bool
source_read(Reading *reading,
            const PolicySource *file,
            GArray *sources,
            GError **error)
{
  Include include = {.file = file};
  g_auto(GStrv) patterns = NULL;
  const YamlNode *list;

  if (!append_file(reading, file, NULL, NULL, sources, error))
    return false;
  include.doc = g_array_index(sources, Source, sources->len - 1).doc;
  list = yaml_get(include.doc->root, "include");
  if (list == NULL)
    return true;
  if (!yaml_texts(include.doc, list, "include", &patterns, error))
    return false;
  for (unsigned i = 0; patterns[i] != NULL; i++) {
    include.at = list->kind == YAML_LIST ? list->items->pdata[i] : list;
    if (!add_pattern(reading, &include, patterns[i], sources, error))
      return false;
  }
  return true;
}
