/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a setup: the client's own files, and the connection that it
 * needs in agent.conf. */
#include "cli/plan.h"
#include "cli/block.h"
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

void
plan_note(Plan *plan, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_ptr_array_add(plan->notes, g_strdup_vprintf(format, args));
  va_end(args);
}

static int
by_length(const void *a, const void *b)
{
  size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);

  return x < y ? -1 : x > y;
}

/* Adds those of `folders` that lie above the change's file. */
static void
add_made(Change *change, char **folders)
{
  g_autoptr(GPtrArray) made = g_ptr_array_new();

  for (char **one = change->made; *one; one++)
    g_ptr_array_add(made, *one);
  for (; *folders; folders++) {
    size_t len = strlen(*folders);

    if (strncmp(change->path, *folders, len) == 0 && change->path[len] == '/' &&
        !g_strv_contains((const char *const *)change->made, *folders))
      g_ptr_array_add(made, g_strdup(*folders));
  }
  g_ptr_array_sort(made, by_length);
  g_ptr_array_add(made, NULL);
  g_free(change->made);
  change->made = (char **)g_ptr_array_free(g_steal_pointer(&made), FALSE);
}

/* A file or folder that another client's setup made was not there before
 * either: whoever is undone last removes it. */
static void
inherit(const Plan *plan, Change *change)
{
  const Client *other;

  for (unsigned i = 0; (other = client_row(i)); i++) {
    g_autoptr(ChangeSet) set =
        change_set_load(plan->site->config->state_dir, other->name, NULL);

    for (unsigned j = 0; set && j < set->files->len; j++) {
      const Change *theirs = set->files->pdata[j];

      if (!theirs->existed && g_str_equal(theirs->path, change->path))
        change->existed = false;
      add_made(change, theirs->made);
    }
  }
}

Change *
plan_file(Plan *plan,
          const char *path,
          ChangeKind kind,
          const char *const *names,
          GError **error)
{
  Change *change = change_open(plan->earlier, path, kind, error);

  if (!change)
    return NULL;
  change->names = g_strdupv((char **)(uintptr_t)names);
  inherit(plan, change);
  g_ptr_array_add(plan->files, change);
  return change;
}

/* ---- agent.conf ----------------------------------------------------------
 */

/* The file as it will be must load: a key that stands there already would
 * stand twice. */
static bool
check_config(const char *path, const char *text, GError **error)
{
  g_autofree char *name = NULL;
  int fd = g_file_open_tmp("hoop-agent-XXXXXX.conf", &name, error);
  g_autoptr(GError) failed = NULL;
  g_autoptr(Config) config = NULL;

  if (fd < 0)
    return false;
  close(fd);
  if (g_file_set_contents(name, text, -1, error))
    config = config_load(name, &failed);
  g_unlink(name);
  if (config)
    return true;
  if (failed)
    g_set_error(error,
                CHANGE_ERROR,
                CHANGE_ERROR_TEXT,
                "%s cannot turn the connection on beside what it says "
                "already; set enabled=true there by hand (%s)",
                path,
                failed->message);
  return false;
}

static bool
turn_connection_on(Plan *plan, GError **error)
{
  const Config *config = plan->site->config;
  const ConfigConnection *connection =
      site_connection(plan->site, plan->client->connection);
  g_autofree char *own =
      g_build_filename(config->config_dir, "agent.conf", NULL);
  const char *path = config->given ? config->given : own;
  g_autofree char *block = g_strconcat("connection ", connection->name, NULL);
  g_autofree char *lines =
      g_strdup_printf("[connection \"%s\"]\nenabled=true\n", connection->name);
  const char *names[] = {block, NULL};
  Change *change;

  change = plan_file(plan, path, CHANGE_BLOCKS, names, error);
  if (!change)
    return false;
  if (connection->enabled && !block_has(change->now, block)) {
    g_ptr_array_remove(plan->files, change); /* on by other means */
    return true;
  }
  if (block_has(change->after, block)) {
    /* Another client's setup put it in. */
    g_free(change->before);
    change->before = block_remove(change->now, block);
  } else {
    g_free(change->after);
    change->after = block_append(change->before, block, lines);
  }
  if (strcmp(change->now, change->after) != 0)
    plan_note(plan,
              "Restart the agent to turn the connection %s on: systemctl "
              "--user restart hoop-agent",
              connection->name);
  return check_config(path, change->after, error);
}

/* ---- All -----------------------------------------------------------------
 */

bool
plan_make(Plan *plan, GError **error)
{
  static const struct {
    const char *client;
    bool (*make)(Plan *plan, GError **error);
  } own[] = {
      {"vscode", plan_vscode},
      {"neovim", plan_neovim},
      {"jetbrains", plan_jetbrains},
      {"codex", plan_codex},
  };

  if (!g_str_equal(plan->client->connection, "copilot") &&
      !turn_connection_on(plan, error))
    return false;
  if (!site_covers(plan->site, plan->client->connection))
    plan_note(plan,
              "The agent's CA does not cover the connection %s yet: run "
              "hoop-agent ca rotate, then restart the agent.",
              plan->client->connection);
  for (unsigned i = 0; i < G_N_ELEMENTS(own); i++)
    if (g_str_equal(own[i].client, plan->client->name))
      return own[i].make(plan, error);
  return plan_profile(plan, error);
}
