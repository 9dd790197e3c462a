/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a setup: which files were changed and how each is taken back.
 * Of their contents it keeps only what was replaced. */
#include "cli/change.h"
#include "kit/file.h"
#include <json-c/json.h>
#include <string.h>

/* A few settings and paths; the span between two members may be longer. */
#define MAX_RECORD ((size_t)8 * 1024 * 1024)

static const char *const kinds[N_CHANGE_KINDS] = {
    [CHANGE_OWN] = "own",
    [CHANGE_BLOCKS] = "blocks",
    [CHANGE_JSONC] = "members",
};

/* ---- Writing -------------------------------------------------------------
 */

static void
add_list(struct json_object *json, const char *key, char **texts)
{
  struct json_object *list = json_object_new_array();

  for (; texts && *texts; texts++)
    json_object_array_add(list, json_object_new_string(*texts));
  json_object_object_add(json, key, list);
}

static void
add_text(struct json_object *json, const char *key, const char *text)
{
  json_object_object_add(json, key, json_object_new_string(text));
}

static struct json_object *
file_json(const Change *change)
{
  struct json_object *json = json_object_new_object();

  add_text(json, "path", change->path);
  add_text(json, "kind", kinds[change->kind]);
  json_object_object_add(
      json, "existed", json_object_new_boolean(change->existed));
  add_list(json, "made", change->made);
  add_list(json, "names", change->names);
  add_text(json, "sha256", change->hash);
  if (change->kind != CHANGE_JSONC)
    return json;
  add_list(json, "wrote", change->wrote);
  add_list(json, "former", change->former);
  json_object_object_add(json, "at", json_object_new_uint64(change->at));
  add_text(json, "put", change->put);
  add_text(json, "taken", change->taken);
  return json;
}

bool
record_write(const ChangeSet *set, GError **error)
{
  struct json_object *json = json_object_new_object();
  struct json_object *files = json_object_new_array();
  const char *text;
  bool stored;

  for (unsigned i = 0; i < set->files->len; i++)
    json_object_array_add(files, file_json(set->files->pdata[i]));
  add_text(json, "client", set->client);
  json_object_object_add(json, "files", files);
  text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY);
  stored = file_replace(set->record, text, strlen(text), 0600, error);
  json_object_put(json);
  return stored;
}

/* ---- Reading -------------------------------------------------------------
 */

static char *
get_text(struct json_object *json, const char *key)
{
  struct json_object *value = NULL;

  json_object_object_get_ex(json, key, &value);
  return g_strdup(json_object_is_type(value, json_type_string)
                      ? json_object_get_string(value)
                      : "");
}

static int64_t
get_number(struct json_object *json, const char *key)
{
  struct json_object *value = NULL;

  json_object_object_get_ex(json, key, &value);
  return MAX(json_object_get_int64(value), 0);
}

static char **
get_list(struct json_object *json, const char *key)
{
  struct json_object *list = NULL;
  g_autoptr(GStrvBuilder) texts = g_strv_builder_new();
  size_t n;

  json_object_object_get_ex(json, key, &list);
  n = json_object_is_type(list, json_type_array)
          ? json_object_array_length(list)
          : 0;
  for (size_t i = 0; i < n; i++)
    g_strv_builder_add(
        texts,
        json_object_get_string(json_object_array_get_idx(list, i)) ?: "");
  return g_strv_builder_end(texts);
}

/* NULL when it cannot have been written by record_write(). */
static Change *
read_file(struct json_object *json)
{
  g_autoptr(Change) change = g_new0(Change, 1);
  g_autofree char *kind = get_text(json, "kind");
  g_autofree char *hash = get_text(json, "sha256");
  struct json_object *existed = NULL;

  change->kind = N_CHANGE_KINDS;
  for (unsigned i = 0; i < N_CHANGE_KINDS; i++)
    if (g_str_equal(kinds[i], kind))
      change->kind = (ChangeKind)i;
  change->path = get_text(json, "path");
  json_object_object_get_ex(json, "existed", &existed);
  change->existed = json_object_get_boolean(existed);
  change->made = get_list(json, "made");
  change->names = get_list(json, "names");
  change->wrote = get_list(json, "wrote");
  change->former = get_list(json, "former");
  g_strlcpy(change->hash, hash, sizeof change->hash);
  change->at = (size_t)get_number(json, "at");
  change->put = get_text(json, "put");
  change->taken = get_text(json, "taken");
  if (change->kind == N_CHANGE_KINDS || !g_path_is_absolute(change->path) ||
      (change->kind == CHANGE_JSONC &&
       (g_strv_length(change->names) != g_strv_length(change->wrote) ||
        g_strv_length(change->names) != g_strv_length(change->former))))
    return NULL;
  return g_steal_pointer(&change);
}

static bool
read_files(ChangeSet *set, struct json_object *json)
{
  struct json_object *files = NULL;

  if (!json_object_object_get_ex(json, "files", &files) ||
      !json_object_is_type(files, json_type_array))
    return false;
  for (size_t i = 0; i < json_object_array_length(files); i++) {
    Change *change = read_file(json_object_array_get_idx(files, i));

    if (!change)
      return false;
    g_ptr_array_add(set->files, change);
  }
  return true;
}

bool
record_read(ChangeSet *set, GError **error)
{
  g_autoptr(GBytes) bytes = NULL;
  g_autofree char *text = NULL;
  struct json_object *json;
  bool fine;

  if (!g_file_test(set->record, G_FILE_TEST_EXISTS))
    return true;
  bytes = file_read(set->record, MAX_RECORD, error);
  if (!bytes)
    return false;
  text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
  json = json_tokener_parse(text);
  fine = json && read_files(set, json);
  json_object_put(json);
  if (!fine)
    g_set_error(error,
                CHANGE_ERROR,
                CHANGE_ERROR_RECORD,
                "%s, the record of the setup, is not what was written; move "
                "it away and undo by hand",
                set->record);
  return fine;
}
