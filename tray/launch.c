/* SPDX-License-Identifier: Apache-2.0 */
/* Programs are found beside the tray's own file first, so that a build tree and
 * a second installation start what belongs to them. */
#include "tray/launch.h"
#include <gio/gio.h>
#include <string.h>

/* How a terminal is told what to run; the first that is installed is taken. */
static const struct {
  const char *program;
  const char *before; /* what stands between it and the command, or NULL */
} terminals[] = {
    {"xdg-terminal-exec", NULL},
    {"x-terminal-emulator", "-e"},
    {"gnome-terminal", "--"},
    {"konsole", "-e"},
    {"xfce4-terminal", "-x"},
    {"foot", NULL},
    {"alacritty", "-e"},
    {"kitty", NULL},
    {"xterm", "-e"},
};

char *
launch_program(const char *name)
{
  g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
  g_autofree char *dir = self ? g_path_get_dirname(self) : NULL;
  g_autofree char *beside = dir ? g_build_filename(dir, name, NULL) : NULL;

  if (beside && g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE))
    return g_steal_pointer(&beside);
  return g_strdup(name);
}

static bool
spawn(GPtrArray *words, GError **error)
{
  g_ptr_array_add(words, NULL);
  return g_spawn_async(NULL,
                       (char **)words->pdata,
                       NULL,
                       G_SPAWN_SEARCH_PATH | G_SPAWN_STDIN_FROM_DEV_NULL,
                       NULL,
                       NULL,
                       NULL,
                       error);
}

static void
add_word(GPtrArray *words, const char *word)
{
  g_ptr_array_add(words, g_strdup(word));
}

static bool
spawn_in_terminal(const char *const *command, GError **error)
{
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
  const char *wanted = g_getenv("TERMINAL");
  g_autofree char *own = wanted ? g_find_program_in_path(wanted) : NULL;

  if (own) {
    add_word(words, own);
    add_word(words, "-e");
  }
  for (unsigned i = 0; !own && i < G_N_ELEMENTS(terminals); i++) {
    own = g_find_program_in_path(terminals[i].program);
    if (!own)
      continue;
    add_word(words, own);
    if (terminals[i].before)
      add_word(words, terminals[i].before);
  }
  if (!own) {
    g_autofree char *line = g_strjoinv(" ", (char **)command);

    g_set_error(error,
                G_SPAWN_ERROR,
                G_SPAWN_ERROR_NOENT,
                "No terminal was found. Run %s",
                line);
    return false;
  }
  for (unsigned i = 0; command[i]; i++)
    add_word(words, command[i]);
  return spawn(words, error);
}

/* The review window's program, which is optional. g_free; NULL: there is none.
 */
static char *
review_window_path(void)
{
  g_autofree char *beside = launch_program("hoop-review");

  if (g_path_is_absolute(beside))
    return g_steal_pointer(&beside);
  g_free(beside);
  beside = g_build_filename(HOOP_LIBEXECDIR, "hoop-review", NULL);
  return g_file_test(beside, G_FILE_TEST_IS_EXECUTABLE)
             ? g_steal_pointer(&beside)
             : NULL;
}

bool
launch_review(const char *id, GError **error)
{
  g_autofree char *window = review_window_path();
  g_autofree char *agent = launch_program("hoop-agent");
  const char *const in_terminal[] = {agent, "review", id, NULL};
  g_autoptr(GPtrArray) words = NULL;

  if (!window)
    return spawn_in_terminal(in_terminal, error);
  words = g_ptr_array_new_with_free_func(g_free);
  add_word(words, window);
  add_word(words, id);
  return spawn(words, error);
}

bool
launch_sign_in(const char *issuer, GError **error)
{
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);

  g_ptr_array_add(words, launch_program("hoop-agent"));
  add_word(words, "login");
  add_word(words, "--browser");
  add_word(words, "--issuer");
  add_word(words, issuer);
  return spawn(words, error);
}

bool
launch_journal(GError **error)
{
  g_autofree char *agent = launch_program("hoop-agent");
  const char *const command[] = {
      "sh", "-c", "\"$1\" journal list | ${PAGER:-less}", "sh", agent, NULL};

  return spawn_in_terminal(command, error);
}

bool
launch_show(const char *file, GError **error)
{
  static const char *const ways[][3] = {{"xdg-open"}, {"gio", "open"}};

  for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
    g_autofree char *program = g_find_program_in_path(ways[i][0]);
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);

    if (!program)
      continue;
    add_word(words, program);
    if (ways[i][1])
      add_word(words, ways[i][1]);
    add_word(words, file);
    return spawn(words, error);
  }
  g_set_error(error,
              G_SPAWN_ERROR,
              G_SPAWN_ERROR_NOENT,
              "Nothing was found that shows pages. The report is %s",
              file);
  return false;
}
