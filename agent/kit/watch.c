/* SPDX-License-Identifier: Apache-2.0 */
/* inotify(7) on every folder that a path leads through; an event only says that
 * it is time to look. */
#include "kit/watch.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Links that one path may lead through, as the kernel counts them. */
#define MAX_LINKS 40
/* A file that is gone for longer is gone. */
#define GONE_MS 1000
#define POLL_MS 2000
#define EVENTS                                                                 \
  (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |      \
   IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

struct watch {
  char **paths;
  unsigned settle_ms;
  void (*changed)(void *data);
  void *data;
  int fd;
  guint source; /* of fd, or of the polling */
  guint timer;
  GHashTable *names; /* of what the watched folders hold for us */
  char *told;        /* what stat() said when changed() was last called */
  char *seen;        /* … when it was last asked */
  bool gone_told;    /* told: something was missing */
  bool blind;        /* the kernel watches no more folders for this user */
};

/* ---- What is there -------------------------------------------------------
 */

static bool
look_at(const char *path, GString *out, struct stat *info)
{
  if (stat(path, info) != 0) {
    g_string_append_printf(out, "%s: %d\n", path, errno);
    return false;
  }
  g_string_append_printf(out,
                         "%s %ju %ju %o %u %jd %jd.%09ld %jd.%09ld\n",
                         path,
                         (uintmax_t)info->st_dev,
                         (uintmax_t)info->st_ino,
                         (unsigned)info->st_mode,
                         (unsigned)info->st_uid,
                         (intmax_t)info->st_size,
                         (intmax_t)info->st_mtim.tv_sec,
                         info->st_mtim.tv_nsec,
                         (intmax_t)info->st_ctim.tv_sec,
                         info->st_ctim.tv_nsec);
  return true;
}

static int
compare_names(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
look_inside(const char *folder, GString *out)
{
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  const char *name;

  while (dir && (name = g_dir_read_name(dir)))
    if (g_str_has_suffix(name, ".yaml"))
      g_ptr_array_add(names, g_build_filename(folder, name, NULL));
  g_ptr_array_sort(names, compare_names);
  for (unsigned i = 0; i < names->len; i++) {
    struct stat info;

    look_at(names->pdata[i], out, &info);
  }
}

/* g_free. *gone: something is not there. */
static char *
look(const Watch *watch, bool *gone)
{
  GString *out = g_string_new(NULL);

  *gone = false;
  for (char **path = watch->paths; *path; path++) {
    struct stat info;

    if (!look_at(*path, out, &info))
      *gone = true;
    else if (S_ISDIR(info.st_mode))
      look_inside(*path, out);
  }
  return g_string_free(out, FALSE);
}

/* ---- Folders on the way --------------------------------------------------
 */

static void
add_folder(Watch *watch, const char *folder)
{
  if (inotify_add_watch(watch->fd, folder, EVENTS | IN_ONLYDIR) < 0 &&
      (errno == ENOSPC || errno == ENOMEM))
    watch->blind = true;
}

/* The folder's events that are about `name`. */
static void
add_name(Watch *watch, const char *folder, const char *name)
{
  add_folder(watch, folder);
  g_hash_table_add(watch->names, g_strdup(name));
}

/* Where a link leads, absolute; NULL when it is none. */
static char *
link_target(const char *path)
{
  g_autofree char *target = g_file_read_link(path, NULL);
  g_autofree char *folder = g_path_get_dirname(path);

  if (!target)
    return NULL;
  return g_path_is_absolute(target) ? g_strdup(target)
                                    : g_build_filename(folder, target, NULL);
}

/* Every name on the way may become another: the last one, a link, and what is
 * not there yet. */
static void
add_path(Watch *watch, const char *path, unsigned *links)
{
  g_auto(GStrv) parts = g_strsplit(path, "/", -1);
  g_autofree char *folder = g_strdup("/");

  for (unsigned i = 0; parts[i]; i++) {
    g_autofree char *next = g_build_filename(folder, parts[i], NULL);
    g_autofree char *target = NULL;
    struct stat info;

    if (!*parts[i])
      continue;
    target = link_target(next);
    if (target || !parts[i + 1] || stat(next, &info) != 0)
      add_name(watch, folder, parts[i]);
    if (target && ++*links <= MAX_LINKS)
      add_path(watch, target, links);
    if (stat(next, &info) != 0)
      return;
    if (!parts[i + 1] && S_ISDIR(info.st_mode))
      add_folder(watch, next);
    g_free(folder);
    folder = g_steal_pointer(&next);
  }
}

static gboolean on_event(gint fd, GIOCondition condition, gpointer data);
static gboolean on_poll(gpointer data);

/* Anew, because folders come and go; before it looks, so that nothing is
 * missed in between. */
static void
arm(Watch *watch)
{
  unsigned links = 0;

  g_clear_handle_id(&watch->source, g_source_remove);
  if (watch->fd >= 0)
    close(watch->fd);
  g_hash_table_remove_all(watch->names);
  watch->blind = false;
  watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  for (char **path = watch->paths; watch->fd >= 0 && *path; path++)
    add_path(watch, *path, &links);
  if (watch->fd < 0 || watch->blind)
    watch->source = g_timeout_add(POLL_MS, on_poll, watch);
  else
    watch->source = g_unix_fd_add(watch->fd, G_IO_IN, on_event, watch);
}

/* ---- Coming to rest ------------------------------------------------------
 */

static gboolean on_timer(gpointer data);

static void
look_in(Watch *watch, unsigned ms)
{
  if (!watch->timer)
    watch->timer = g_timeout_add(ms, on_timer, watch);
}

static gboolean
on_timer(gpointer data)
{
  Watch *watch = data;
  bool gone, settled, before = watch->gone_told;
  char *now;

  watch->timer = 0;
  arm(watch);
  now = look(watch, &gone);
  settled = !watch->settle_ms || g_strcmp0(now, watch->seen) == 0;
  g_free(watch->seen);
  watch->seen = now;
  if (strcmp(now, watch->told) == 0)
    return G_SOURCE_REMOVE;
  if (!settled) {
    look_in(watch, gone && !before ? GONE_MS : watch->settle_ms);
    return G_SOURCE_REMOVE;
  }
  g_free(watch->told);
  watch->told = g_strdup(now);
  watch->gone_told = gone;
  watch->changed(watch->data);
  return G_SOURCE_REMOVE;
}

static bool
is_ours(const Watch *watch, const struct inotify_event *event)
{
  return !event->len || g_hash_table_contains(watch->names, event->name) ||
         g_str_has_suffix(event->name, ".yaml");
}

static gboolean
on_event(gint fd, GIOCondition condition, gpointer data)
{
  Watch *watch = data;
  char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
  bool ours = false;
  ssize_t n;

  (void)condition;
  while ((n = read(fd, buffer, sizeof buffer)) > 0)
    for (char *at = buffer; at < buffer + n;) {
      const struct inotify_event *event = (const struct inotify_event *)at;

      ours = ours || is_ours(watch, event);
      at += sizeof *event + event->len;
    }
  if (ours)
    look_in(watch, watch->settle_ms);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_poll(gpointer data)
{
  look_in(data, 0);
  return G_SOURCE_CONTINUE;
}

/* Sorted, each once. */
static char **
absolute_paths(const char *const *paths)
{
  g_autoptr(GPtrArray) all = g_ptr_array_new();

  for (; *paths; paths++) {
    g_autofree char *path = g_canonicalize_filename(*paths, NULL);

    if (!g_ptr_array_find_with_equal_func(all, path, g_str_equal, NULL))
      g_ptr_array_add(all, g_steal_pointer(&path));
  }
  g_ptr_array_sort(all, compare_names);
  g_ptr_array_add(all, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&all), FALSE);
}

Watch *
watch_new(const char *const *paths,
          unsigned settle_ms,
          void (*changed)(void *data),
          void *data)
{
  Watch *watch = g_new0(Watch, 1);

  watch->paths = absolute_paths(paths);
  watch->settle_ms = settle_ms;
  watch->changed = changed;
  watch->data = data;
  watch->fd = -1;
  watch->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  arm(watch);
  watch->told = look(watch, &watch->gone_told);
  return watch;
}

void
watch_set_paths(Watch *watch, const char *const *paths)
{
  g_strfreev(watch->paths);
  watch->paths = absolute_paths(paths);
  arm(watch);
  g_free(watch->told);
  watch->told = look(watch, &watch->gone_told);
  g_clear_pointer(&watch->seen, g_free);
}

bool
watch_has_paths(const Watch *watch, const char *const *paths)
{
  g_auto(GStrv) all = absolute_paths(paths);

  return g_strv_equal((const char *const *)all,
                      (const char *const *)watch->paths);
}

void
watch_free(Watch *watch)
{
  if (!watch)
    return;
  g_clear_handle_id(&watch->source, g_source_remove);
  g_clear_handle_id(&watch->timer, g_source_remove);
  if (watch->fd >= 0)
    close(watch->fd);
  g_hash_table_unref(watch->names);
  g_strfreev(watch->paths);
  g_free(watch->told);
  g_free(watch->seen);
  g_free(watch);
}
