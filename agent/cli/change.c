/* SPDX-License-Identifier: Apache-2.0 */
/* Opens, writes and takes back changes of the user's files. */
#include "cli/change.h"
#include "cli/block.h"
#include "cli/jsonc.h"
#include "kit/file.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

G_DEFINE_QUARK(hoop_change_error, change_error)

/* Settings and profiles are pages of text. */
#define MAX_FILE ((size_t)4 * 1024 * 1024)
#define NEW_FILE_MODE 0644
#define NEW_FOLDER_MODE 0700

void
change_free(Change *change)
{
  if (!change)
    return;
  g_free(change->path);
  g_strfreev(change->names);
  g_strfreev(change->wrote);
  g_strfreev(change->former);
  g_free(change->now);
  g_free(change->before);
  g_free(change->after);
  g_strfreev(change->made);
  g_free(change->put);
  g_free(change->taken);
  g_free(change);
}

void
change_set_free(ChangeSet *set)
{
  if (!set)
    return;
  g_free(set->client);
  g_free(set->record);
  g_ptr_array_unref(set->files);
  g_free(set);
}

ChangeSet *
change_set_load(const char *state_dir, const char *client, GError **error)
{
  g_autoptr(ChangeSet) set = g_new0(ChangeSet, 1);
  g_autofree char *name = g_strconcat(client, ".json", NULL);

  set->client = g_strdup(client);
  set->record = g_build_filename(state_dir, "setup", name, NULL);
  set->files = g_ptr_array_new_with_free_func((GDestroyNotify)change_free);
  return record_read(set, error) ? g_steal_pointer(&set) : NULL;
}

bool
change_set_recorded(const char *state_dir, const char *client)
{
  g_autofree char *name = g_strconcat(client, ".json", NULL);
  g_autofree char *path = g_build_filename(state_dir, "setup", name, NULL);

  return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* ---- Where a file really is ----------------------------------------------
 */

/* The path with every link followed; what does not exist yet stays as it is
 * behind the folder that does. */
static char *
real_path(const char *path)
{
  char *found = realpath(path, NULL);
  g_autofree char *dir = NULL;
  g_autofree char *name = NULL;
  g_autofree char *real_dir = NULL;
  char *result;

  if (found) {
    result = g_strdup(found);
    free(found);
    return result;
  }
  dir = g_path_get_dirname(path);
  name = g_path_get_basename(path);
  if (g_str_equal(dir, path))
    return g_strdup(path);
  real_dir = real_path(dir);
  return g_build_filename(real_dir, name, NULL);
}

static bool
inside(const char *path, const char *folder)
{
  g_autofree char *real = real_path(folder);
  size_t len = strlen(real);

  return strncmp(path, real, len) == 0 &&
         (path[len] == '/' || g_str_has_suffix(real, "/"));
}

/* A link may lead to another place of the user's (a folder of dotfiles), not
 * out of it: what lies there is not the client's settings by any chance. */
static char *
place(const char *path, GError **error)
{
  g_autofree char *canonical = g_canonicalize_filename(path, NULL);
  g_autofree char *real = real_path(canonical);
  struct stat info;

  if (lstat(real, &info) == 0 && S_ISLNK(info.st_mode)) {
    g_set_error(error,
                CHANGE_ERROR,
                CHANGE_ERROR_PLACE,
                "%s is a link that leads nowhere: nothing was changed",
                canonical);
    return NULL;
  }
  if (g_str_equal(real, canonical) || inside(real, g_get_home_dir()) ||
      inside(real, g_get_user_config_dir()))
    return g_steal_pointer(&real);
  g_set_error(error,
              CHANGE_ERROR,
              CHANGE_ERROR_PLACE,
              "%s leads to %s, outside your home: nothing was changed; edit "
              "it there by hand",
              canonical,
              real);
  return NULL;
}

/* Folders of the path that are missing, outermost first. */
static char **
missing_folders(const char *path)
{
  GPtrArray *made = g_ptr_array_new();
  g_autofree char *dir = g_path_get_dirname(path);

  while (!g_file_test(dir, G_FILE_TEST_EXISTS)) {
    char *parent = g_path_get_dirname(dir);

    g_ptr_array_insert(made, 0, g_steal_pointer(&dir));
    dir = parent;
  }
  g_ptr_array_add(made, NULL);
  return (char **)g_ptr_array_free(made, FALSE);
}

/* ---- Opening -------------------------------------------------------------
 */

static bool
read_now(Change *change, GError **error)
{
  g_autoptr(GBytes) bytes = NULL;
  struct stat info;
  size_t len;

  change->existed = stat(change->path, &info) == 0;
  change->mode = NEW_FILE_MODE;
  if (!change->existed) {
    change->now = g_strdup("");
    change->made = missing_folders(change->path);
    return true;
  }
  change->mode = info.st_mode & 07777;
  change->made = g_new0(char *, 1);
  if (info.st_uid != getuid()) {
    g_set_error(error,
                CHANGE_ERROR,
                CHANGE_ERROR_PLACE,
                "%s belongs to somebody else: nothing was changed",
                change->path);
    return false;
  }
  bytes = file_read(change->path, MAX_FILE, error);
  if (!bytes)
    return false;
  change->now =
      g_strndup(g_bytes_get_data(bytes, &len), g_bytes_get_size(bytes));
  if (strlen(change->now) == len &&
      (change->kind == CHANGE_BLOCKS ||
       g_utf8_validate(change->now, (gssize)len, NULL)))
    return true;
  g_set_error(error,
              CHANGE_ERROR,
              CHANGE_ERROR_TEXT,
              "%s is not a text in UTF-8: nothing was changed",
              change->path);
  return false;
}

static const Change *
find_earlier(const ChangeSet *earlier, const char *path)
{
  for (unsigned i = 0; i < earlier->files->len; i++) {
    const Change *change = earlier->files->pdata[i];

    if (g_str_equal(change->path, path))
      return change;
  }
  return NULL;
}

Change *
change_open(const ChangeSet *earlier,
            const char *path,
            ChangeKind kind,
            GError **error)
{
  g_autoptr(Change) change = g_new0(Change, 1);
  const Change *known;

  change->kind = kind;
  change->path = place(path, error);
  if (!change->path || !read_now(change, error))
    return NULL;
  known = find_earlier(earlier, change->path);
  if (known && change->existed) {
    change->before = change_revert(known, change->now, error);
    if (!change->before)
      return NULL;
    change->existed = known->existed;
    g_strfreev(change->made);
    change->made = g_strdupv(known->made);
  } else {
    change->before = g_strdup(change->now);
  }
  change->after = g_strdup(change->before);
  return g_steal_pointer(&change);
}

/* ---- Taking back ---------------------------------------------------------
 */

/* The text with `taken` again where `put` stands at `at`. */
static char *
swap_back(const Change *recorded, const char *now, size_t at)
{
  g_autofree char *front = g_strndup(now, at);

  return g_strconcat(
      front, recorded->taken, now + at + strlen(recorded->put), NULL);
}

/* The one place where what was put in still stands as it was. */
static char *
revert_in_place(const Change *recorded, const char *now)
{
  const char *at = *recorded->put ? strstr(now, recorded->put) : NULL;

  if (!at || strstr(at + 1, recorded->put))
    return NULL;
  return swap_back(recorded, now, (size_t)(at - now));
}

static char *
revert_blocks(const Change *recorded, const char *now)
{
  char *text = g_strdup(now);

  for (char **name = recorded->names; *name; name++) {
    char *without = block_remove(text, *name);

    g_free(text);
    text = without;
  }
  /* Lines that stood in the way were set aside. */
  if (strstr(text, BLOCK_ASIDE)) {
    g_auto(GStrv) pieces = g_strsplit(text, BLOCK_ASIDE, -1);

    g_free(text);
    text = g_strjoinv("", pieces);
  }
  return text;
}

/* A member that holds something else by now is the user's. */
static char *
revert_members(const Change *recorded, const char *now, GError **error)
{
  char *text = g_strdup(now);

  for (unsigned i = 0; text && recorded->names[i]; i++) {
    g_auto(GStrv) path = g_strsplit(recorded->names[i], "\t", -1);
    const char *const *names = (const char *const *)path;
    g_autoptr(GError) failed = NULL;
    g_autofree char *value = jsonc_get(text, names, &failed);
    char *next;

    if (failed) {
      g_propagate_error(error, g_steal_pointer(&failed));
      g_clear_pointer(&text, g_free);
      break;
    }
    if (g_strcmp0(value, recorded->wrote[i]) != 0)
      continue;
    next = *recorded->former[i]
               ? jsonc_set(text, names, recorded->former[i], error)
               : jsonc_remove(text, names, error);
    g_free(text);
    text = next;
  }
  return text;
}

static bool
is_as_written(const Change *recorded, const char *now)
{
  uint8_t digest[SHA256_LEN];
  char hash[SHA256_HEX_SIZE];

  sha256(now, strlen(now), digest);
  hex_encode(digest, sizeof digest, hash);
  return strcmp(hash, recorded->hash) == 0;
}

char *
change_revert(const Change *recorded, const char *now, GError **error)
{
  bool same = is_as_written(recorded, now);
  char *text;

  switch (recorded->kind) {
  case CHANGE_BLOCKS:
    return revert_blocks(recorded, now);
  case CHANGE_JSONC:
    text = same ? swap_back(recorded, now, recorded->at)
                : revert_in_place(recorded, now);
    return text ? text : revert_members(recorded, now, error);
  case CHANGE_OWN:
  case N_CHANGE_KINDS:
    break;
  }
  if (same)
    return g_strdup("");
  g_set_error(error,
              CHANGE_ERROR,
              CHANGE_ERROR_TEXT,
              "%s was changed since it was written: remove it by hand, or put "
              "it back as it was",
              recorded->path);
  return NULL;
}

/* ---- Writing -------------------------------------------------------------
 */

static bool
write_text(const Change *change, const char *text, GError **error)
{
  g_autofree char *dir = g_path_get_dirname(change->path);

  if (g_mkdir_with_parents(dir, NEW_FOLDER_MODE) != 0) {
    g_set_error(error,
                CHANGE_ERROR,
                CHANGE_ERROR_PLACE,
                "%s cannot be made: %s",
                dir,
                g_strerror(errno));
    return false;
  }
  return file_replace(change->path, text, strlen(text), change->mode, error);
}

/* The one span in which both texts differ. */
static void
note_splice(Change *change)
{
  const char *a = change->before, *b = change->after;
  size_t a_len = strlen(a), b_len = strlen(b), head = 0, tail = 0;
  uint8_t digest[SHA256_LEN];

  while (head < a_len && head < b_len && a[head] == b[head])
    head++;
  while (tail < a_len - head && tail < b_len - head &&
         a[a_len - 1 - tail] == b[b_len - 1 - tail])
    tail++;
  change->at = head;
  g_free(change->taken);
  change->taken = g_strndup(a + head, a_len - head - tail);
  g_free(change->put);
  change->put = g_strndup(b + head, b_len - head - tail);
  sha256(b, b_len, digest);
  hex_encode(digest, sizeof digest, change->hash);
}

bool
change_set_write(ChangeSet *set, GError **error)
{
  g_autofree char *dir = g_path_get_dirname(set->record);
  g_autofree char *state = g_path_get_dirname(dir);

  for (unsigned i = 0; i < set->files->len; i++)
    note_splice(set->files->pdata[i]);
  if (!file_private_dir(state, error) || !file_private_dir(dir, error) ||
      !record_write(set, error))
    return false;
  for (unsigned i = 0; i < set->files->len; i++) {
    const Change *change = set->files->pdata[i];

    if (!g_str_equal(change->now, change->after) &&
        !write_text(change, change->after, error))
      return false;
  }
  return true;
}

static bool
undo_file(const Change *change, GError **error)
{
  if (change->existed || *change->before)
    return g_str_equal(change->now, change->before) ||
           write_text(change, change->before, error);
  if (g_unlink(change->path) != 0 && errno != ENOENT) {
    g_set_error(error,
                CHANGE_ERROR,
                CHANGE_ERROR_PLACE,
                "%s cannot be removed: %s",
                change->path,
                g_strerror(errno));
    return false;
  }
  /* Folders that somebody else uses by now stay. */
  for (unsigned n = g_strv_length(change->made); n-- > 0;)
    g_rmdir(change->made[n]);
  return true;
}

bool
change_set_undo(ChangeSet *set, GError **error)
{
  g_autofree char *dir = g_path_get_dirname(set->record);

  for (unsigned i = 0; i < set->files->len; i++)
    if (!undo_file(set->files->pdata[i], error))
      return false;
  g_unlink(set->record);
  g_rmdir(dir); /* the last one's */
  return true;
}
