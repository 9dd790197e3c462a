/* SPDX-License-Identifier: Apache-2.0 */
/* Exact values: reads the dictionary and the .env files, and again when one of
 * them is another. */
#include "daemon/private.h"
#include "kit/file.h"
#include "kit/log.h"
#include <errno.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

/* 100,000 values of 160 bytes. */
#define MAX_DICTIONARY (16 * 1024 * 1024)
#define MAX_ENV_FILE (1024 * 1024)
#define MAX_ENV_FILES 1000
/* Seconds between looks at the files: a stat(2) each. */
#define LOOK_S 5

/* Whatever is done to a file changes one of these. */
static void
note_file(GString *seen, const char *path, const struct stat *st)
{
  g_string_append_printf(seen,
                         "%s %ju %ju %jd %jd.%09ld %jd.%09ld\n",
                         path,
                         (uintmax_t)st->st_dev,
                         (uintmax_t)st->st_ino,
                         (intmax_t)st->st_size,
                         (intmax_t)st->st_mtim.tv_sec,
                         st->st_mtim.tv_nsec,
                         (intmax_t)st->st_ctim.tv_sec,
                         st->st_ctim.tv_nsec);
}

/* The user's own regular files that the patterns name, in order. */
static GPtrArray *
env_files(const Config *config, GString *seen)
{
  GPtrArray *files = g_ptr_array_new_with_free_func(g_free);

  for (char **pattern = config->env_files; pattern && *pattern; pattern++) {
    glob_t found = {0};

    if (glob(*pattern, 0, NULL, &found) == 0)
      for (size_t i = 0; i < found.gl_pathc && files->len < MAX_ENV_FILES;
           i++) {
        struct stat st;

        if (stat(found.gl_pathv[i], &st) != 0 || !S_ISREG(st.st_mode) ||
            st.st_uid != geteuid() || st.st_size > MAX_ENV_FILE)
          continue;
        note_file(seen, found.gl_pathv[i], &st);
        g_ptr_array_add(files, g_strdup(found.gl_pathv[i]));
      }
    globfree(&found);
  }
  return files;
}

static bool
check_dictionary(const char *path, GString *seen, GError **error)
{
  struct stat st;

  if (stat(path, &st) != 0) {
    g_set_error(error,
                DAEMON_ERROR,
                DAEMON_ERROR_START,
                "[detect] dictionary: %s: %s",
                path,
                g_strerror(errno));
    return false;
  }
  if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022) != 0) {
    g_set_error(error,
                DAEMON_ERROR,
                DAEMON_ERROR_START,
                "[detect] dictionary: %s must belong to you or to root and be "
                "writable by nobody else: chmod go-w",
                path);
    return false;
  }
  note_file(seen, path, &st);
  return true;
}

static bool
read_dictionary(ValueSet *set, const char *path, GError **error)
{
  g_autoptr(GBytes) bytes = file_read(path, MAX_DICTIONARY, error);
  size_t len;
  const char *text;

  if (!bytes)
    return false;
  text = g_bytes_get_data(bytes, &len);
  return value_set_read_dictionary(set, path, text ? text : "", len, error);
}

/* What the files say of themselves. */
static char *
look(const Config *config, GPtrArray **files, GError **error)
{
  g_autoptr(GString) seen = g_string_new(NULL);
  g_autoptr(GPtrArray) found = NULL;

  if (config->dictionary && !check_dictionary(config->dictionary, seen, error))
    return NULL;
  found = env_files(config, seen);
  if (files)
    *files = g_steal_pointer(&found);
  return g_string_free(g_steal_pointer(&seen), FALSE);
}

ValueSet *
daemon_load_values(const Config *config, char **seen, GError **error)
{
  g_autoptr(ValueSet) set = value_set_new();
  g_autoptr(GPtrArray) files = NULL;
  g_autofree char *state = look(config, &files, error);

  if (!state ||
      (config->dictionary && !read_dictionary(set, config->dictionary, error)))
    return NULL;
  for (unsigned i = 0; i < files->len; i++) {
    /* One that went away meanwhile has no values. */
    g_autoptr(GBytes) bytes = file_read(files->pdata[i], MAX_ENV_FILE, NULL);
    size_t len = 0;
    const char *text = bytes ? g_bytes_get_data(bytes, &len) : NULL;

    if (len)
      value_set_read_env(set, text, len);
  }
  value_set_seal(set);
  if (seen) {
    g_free(*seen);
    *seen = g_steal_pointer(&state);
  }
  return g_steal_pointer(&set);
}

static bool
load(struct agent *agent, GError **error)
{
  g_autoptr(ValueSet) set =
      daemon_load_values(agent->config, &agent->values_seen, error);

  if (!set)
    return false;
  detector_set_values(agent->detector, set);
  value_set_unref(agent->values);
  agent->values = g_steal_pointer(&set);
  log_info("exact values: %u of the dictionary, %u of .env files",
           value_set_count(agent->values, VALUE_DICTIONARY),
           value_set_count(agent->values, VALUE_ENV_FILE));
  return true;
}

static gboolean
look_again(gpointer data)
{
  struct agent *agent = data;
  g_autoptr(GError) error = NULL;
  g_autofree char *state = look(agent->config, NULL, &error);

  if (state && g_strcmp0(state, agent->values_seen) == 0) {
    g_clear_pointer(&agent->values_error, g_free);
    return G_SOURCE_CONTINUE;
  }
  if (state && load(agent, &error)) {
    g_clear_pointer(&agent->values_error, g_free);
  } else if (g_strcmp0(error->message, agent->values_error) != 0) {
    g_free(agent->values_error);
    agent->values_error = g_strdup(error->message);
    log_error("exact values not loaded, the former stay in force: %s",
              error->message);
  }
  return G_SOURCE_CONTINUE;
}

bool
values_start(struct agent *agent, GError **error)
{
  const Config *config = agent->config;

  if (!agent->detector ||
      (!config->dictionary && !(config->env_files && *config->env_files)))
    return true;
  if (!load(agent, error))
    return false;
  agent->values_timer = g_timeout_add_seconds(LOOK_S, look_again, agent);
  return true;
}

void
values_stop(struct agent *agent)
{
  g_clear_handle_id(&agent->values_timer, g_source_remove);
  g_clear_pointer(&agent->values, value_set_unref);
  g_clear_pointer(&agent->values_seen, g_free);
  g_clear_pointer(&agent->values_error, g_free);
}
