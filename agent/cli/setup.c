/* SPDX-License-Identifier: Apache-2.0 */
/* setup: shows what it would change, asks, writes; --undo takes it back, with
 * or without the daemon. */
#include "cli/diff.h"
#include "cli/plan.h"
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Showing and asking --------------------------------------------------
 */

static void
print_diff(const char *path, const char *before, const char *after)
{
  g_autofree char *diff = diff_text(before, after);
  g_autofree char *name = visible(path, -1, false);
  g_auto(GStrv) lines = NULL;

  if (!*diff) {
    printf("%s: nothing to change\n", name);
    return;
  }
  printf("%s--- %s\n+++ %s%s\n", ink(INK_BOLD), name, name, ink(INK_PLAIN));
  lines = g_strsplit(diff, "\n", -1);
  for (char **line = lines; *line && (**line || line[1]); line++) {
    g_autofree char *shown = visible(*line, -1, true);
    Ink colour = **line == '+'   ? INK_GREEN
                 : **line == '-' ? INK_RED
                                 : INK_PLAIN;

    printf("%s%s%s\n", ink(colour), shown, ink(INK_PLAIN));
  }
}

static bool
changes_anything(const ChangeSet *set, bool undo)
{
  for (unsigned i = 0; i < set->files->len; i++) {
    const Change *change = set->files->pdata[i];

    if (strcmp(change->now, undo ? change->before : change->after) != 0)
      return true;
  }
  return false;
}

static void
print_changes(const ChangeSet *set, bool undo)
{
  for (unsigned i = 0; i < set->files->len; i++) {
    const Change *change = set->files->pdata[i];

    print_diff(
        change->path, change->now, undo ? change->before : change->after);
  }
}

/* Where there is nobody to ask, the command itself is the answer; what it does
 * can be taken back. */
static bool
agreed(const Call *call)
{
  char answer[16];

  if (call_has(call, "yes") || !isatty(STDIN_FILENO))
    return true;
  printf("\nWrite this? [y/N] ");
  fflush(stdout);
  return fgets(answer, sizeof answer, stdin) &&
         (answer[0] == 'y' || answer[0] == 'Y');
}

static void
print_notes(GPtrArray *notes)
{
  if (notes->len)
    puts("");
  for (unsigned i = 0; i < notes->len; i++)
    puts(notes->pdata[i]);
}

/* ---- Setting up ----------------------------------------------------------
 */

/* Only a setup that changed something leaves a record. */
static int
write_plan(Plan *plan, ChangeSet *set)
{
  g_autoptr(GError) error = NULL;

  print_changes(set, false);
  if (changes_anything(set, false) && !agreed(plan->call)) {
    puts("Nothing was changed.");
    return CLI_FOUND;
  }
  if (set->files->len && !change_set_write(set, &error))
    return complain(plan->call,
                    CLI_FOUND,
                    "%s; `hoop-agent setup %s --undo` takes back what was "
                    "written",
                    error->message,
                    plan->client->name);
  print_notes(plan->notes);
  return CLI_DONE;
}

static int
set_up(const Call *call, const Client *client)
{
  g_auto(Site) site = {0};
  g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(ChangeSet) earlier = NULL;
  g_autoptr(ChangeSet) set = g_new0(ChangeSet, 1);
  g_autoptr(GError) error = NULL;
  Plan plan = {.call = call, .client = client, .notes = notes};
  int code = CLI_DONE;

  set->files = g_ptr_array_new_with_free_func((GDestroyNotify)change_free);
  if (!site_init(call, &site, &code))
    return code;
  if (!site_via(call, &site, client, &plan.via))
    return CLI_USAGE;
  plan.site = &site;
  earlier = change_set_load(site.config->state_dir, client->name, &error);
  if (!earlier)
    return complain(call, CLI_FOUND, "%s", error->message);
  plan.earlier = earlier;
  plan.files = set->files;
  set->client = g_strdup(client->name);
  set->record = g_strdup(earlier->record);
  if (!plan_make(&plan, &error))
    return complain(call, CLI_FOUND, "%s", error->message);
  if (!site.running)
    g_ptr_array_add(notes,
                    g_strdup("The agent does not run: systemctl --user start "
                             "hoop-agent, or hoop-agent serve."));
  return write_plan(&plan, set);
}

/* ---- Taking back ---------------------------------------------------------
 */

static bool
is_shared(const Change *change)
{
  return change->kind == CHANGE_BLOCKS && change->names[0] &&
         g_str_has_prefix(change->names[0], "connection ");
}

/* A connection that another client was set up with stays on. */
static bool
others_need_it(const char *state_dir,
               const Client *client,
               const Change *change)
{
  const char *name = change->names[0] + strlen("connection ");
  const Client *other;

  for (unsigned i = 0; (other = client_row(i)); i++)
    if (other != client && g_str_equal(other->connection, name) &&
        change_set_recorded(state_dir, other->name))
      return true;
  return false;
}

/* What was recorded, opened as it is now. */
static bool
open_all(const ChangeSet *recorded,
         ChangeSet *set,
         const char *state_dir,
         const Client *client,
         GError **error)
{
  for (unsigned i = 0; i < recorded->files->len; i++) {
    const Change *one = recorded->files->pdata[i];
    Change *change = change_open(recorded, one->path, one->kind, error);

    if (!change)
      return false;
    change->names = g_strdupv(one->names);
    g_ptr_array_add(set->files, change);
    if (is_shared(change) && others_need_it(state_dir, client, change)) {
      g_free(change->before);
      change->before = g_strdup(change->now);
      change->existed = true;
    }
  }
  return true;
}

static int
undo(const Call *call, const Client *client)
{
  g_autofree char *state_dir =
      g_build_filename(g_get_user_state_dir(), "hoop-agent", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(ChangeSet) recorded =
      change_set_load(state_dir, client->name, &error);
  g_autoptr(ChangeSet) set = g_new0(ChangeSet, 1);

  set->files = g_ptr_array_new_with_free_func((GDestroyNotify)change_free);
  if (!recorded)
    return complain(call, CLI_FOUND, "%s", error->message);
  if (!recorded->files->len)
    return complain(call,
                    CLI_FOUND,
                    "nothing was written for %s from here, so there is nothing "
                    "to undo",
                    client->title);
  set->client = g_strdup(client->name);
  set->record = g_strdup(recorded->record);
  if (!open_all(recorded, set, state_dir, client, &error))
    return complain(call, CLI_FOUND, "%s", error->message);
  print_changes(set, true);
  if (changes_anything(set, true) && !agreed(call)) {
    puts("Nothing was changed.");
    return CLI_FOUND;
  }
  if (!change_set_undo(set, &error))
    return complain(call, CLI_FOUND, "%s", error->message);
  printf("\nWhat was written for %s is taken back.\n", client->title);
  return CLI_DONE;
}

int
verb_setup(const Call *call)
{
  const Client *client = client_named(call, call->args[0]);

  if (!client)
    return CLI_USAGE;
  return call_has(call, "undo") ? undo(call, client) : set_up(call, client);
}
