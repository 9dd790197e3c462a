/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of which client are changed to what. Private. */
#ifndef HOOP_CLI_PLAN_H
#define HOOP_CLI_PLAN_H

#include "cli/change.h"
#include "cli/settings.h"

typedef struct {
  const Call *call;
  const Site *site;
  const Client *client;
  Via via;
  const ChangeSet *earlier; /* as recorded */
  GPtrArray *files;         /* Change, to be filled */
  GPtrArray *notes;         /* char *, what is left to the user */
} Plan;

/* Fills files and notes. Reads only. */
bool plan_make(Plan *plan, GError **error);

/* ---- used among the plans' files */
void plan_note(Plan *plan, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* A change of the file with kind and names; the plan's. */
Change *plan_file(Plan *plan,
                  const char *path,
                  ChangeKind kind,
                  const char *const *names,
                  GError **error);
/* profile.c: the user's shell profile (or --profile). */
bool plan_profile(Plan *plan, GError **error);
/* plan-editors.c */
bool plan_vscode(Plan *plan, GError **error);
bool plan_neovim(Plan *plan, GError **error);
bool plan_jetbrains(Plan *plan, GError **error);
/* plan-codex.c */
bool plan_codex(Plan *plan, GError **error);
/* The text of config.toml that leads to the provider of these lines. g_free.
 * NULL with an error when a provider of our name stands there already. */
char *codex_config(const char *text, const char *provider, GError **error);

#endif
