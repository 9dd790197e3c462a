/* SPDX-License-Identifier: Apache-2.0 */
/* Editors: VS Code's settings.json, a file for Neovim, instructions for
 * JetBrains. */
#include "cli/jsonc.h"
#include "cli/plan.h"
#include <string.h>

/* A file that is all of this setup's; anybody else's in its place is left
 * alone. */
static Change *
own_file(Plan *plan, const char *path, GError **error)
{
  const char *names[] = {NULL};
  Change *change = plan_file(plan, path, CHANGE_OWN, names, error);

  if (change && *change->before) {
    g_set_error(error,
                CHANGE_ERROR,
                CHANGE_ERROR_TEXT,
                "%s is there already and not of this setup: move it away",
                path);
    return NULL;
  }
  return change;
}

/* ---- VS Code -------------------------------------------------------------
 */

/* The proxy that the editor had so far is one that the agent must use. */
static void
note_former_proxy(Plan *plan, const char *raw)
{
  if (!*raw || strstr(raw, plan->site->proxy) || g_str_equal(raw, "\"\"") ||
      plan->site->config->proxy)
    return;
  plan_note(plan,
            "The editor went through the proxy %s so far. The agent must do "
            "so now: set [upstream] proxy in agent.conf and restart it.",
            raw);
}

static bool
set_member(Plan *plan,
           Change *change,
           GStrvBuilder *wrote,
           GStrvBuilder *former,
           const char *name,
           const char *raw,
           GError **error)
{
  const char *path[] = {name, NULL};
  g_autoptr(GError) failed = NULL;
  g_autofree char *before = jsonc_get(change->before, path, &failed);
  char *next = failed ? NULL : jsonc_set(change->after, path, raw, &failed);

  if (!next) {
    g_set_error(error,
                CHANGE_ERROR,
                CHANGE_ERROR_TEXT,
                "%s: %s: nothing was changed",
                change->path,
                failed->message);
    return false;
  }
  g_free(change->after);
  change->after = next;
  g_strv_builder_add(wrote, raw);
  g_strv_builder_add(former, before ? before : "");
  if (g_str_equal(name, "http.proxy"))
    note_former_proxy(plan, before ? before : "");
  return true;
}

static bool
edit_settings(Plan *plan, const char *path, GError **error)
{
  static const char *const names[] = {
      "http.proxy", "http.proxyStrictSSL", "http.proxySupport", NULL};
  g_autofree char *proxy = g_strdup_printf("\"%s\"", plan->site->proxy);
  const char *values[] = {proxy, "true", "\"override\""};
  g_autoptr(GStrvBuilder) wrote = g_strv_builder_new();
  g_autoptr(GStrvBuilder) former = g_strv_builder_new();
  Change *change = plan_file(plan, path, CHANGE_JSONC, names, error);

  if (!change)
    return false;
  for (unsigned i = 0; names[i]; i++)
    if (!set_member(plan, change, wrote, former, names[i], values[i], error))
      return false;
  change->wrote = g_strv_builder_end(wrote);
  change->former = g_strv_builder_end(former);
  return true;
}

/* Read by the user's service manager when the session starts, so by editors
 * that a desktop starts. */
static bool
session_environment(Plan *plan, GError **error)
{
  g_autofree char *path = g_build_filename(
      g_get_user_config_dir(), "environment.d", "60-hoop-agent.conf", NULL);
  Change *change = own_file(plan, path, error);

  if (!change)
    return false;
  g_free(change->after);
  change->after =
      g_strdup_printf("# hoop-agent setup vscode --undo removes this file\n"
                      "NODE_EXTRA_CA_CERTS=\"%s\"\n",
                      plan->site->ca);
  return true;
}

bool
plan_vscode(Plan *plan, GError **error)
{
  static const char *const flavours[] = {
      "Code", "Code - Insiders", "VSCodium", "Cursor"};
  const ConfigConnection *connection =
      site_connection(plan->site, plan->client->connection);
  unsigned found = 0;

  for (unsigned i = 0; i < G_N_ELEMENTS(flavours); i++) {
    g_autofree char *dir =
        g_build_filename(g_get_user_config_dir(), flavours[i], NULL);
    g_autofree char *path =
        g_build_filename(dir, "User", "settings.json", NULL);

    if (!g_file_test(dir, G_FILE_TEST_IS_DIR))
      continue;
    found++;
    if (!edit_settings(plan, path, error))
      return false;
  }
  if (!found) {
    g_autofree char *path = g_build_filename(
        g_get_user_config_dir(), "Code", "User", "settings.json", NULL);

    if (!edit_settings(plan, path, error))
      return false;
  }
  if (!session_environment(plan, error))
    return false;
  plan_note(plan, "Log in again, then start the editor.");
  plan_note(plan,
            "Should it still say that a certificate is not trusted, give the "
            "agent's CA to the store that Chromium reads: certutil -d "
            "sql:$HOME/.pki/nssdb -A -t C,, -n hoop-agent -i %s",
            plan->site->own);
  if (connection->credential)
    plan_note(plan,
              "The agent holds the credential, but this editor signs in by "
              "itself and will be refused: use another client, or take "
              "credential= out of agent.conf.");
  return true;
}

/* ---- Neovim --------------------------------------------------------------
 */

/* A Lua string: [=[…]=] takes everything but its own end. */
static char *
lua_text(const char *text)
{
  return g_strdup_printf("[=[%s]=]", text);
}

static char *
neovim_lines(Plan *plan, GError **error)
{
  g_autoptr(GArray) variables =
      variables_new(plan->site, plan->client, plan->via, error);
  GString *out;

  if (!variables)
    return NULL;
  out = g_string_new("-- For copilot.vim and copilot.lua; hoop-agent setup "
                     "neovim --undo removes this file.\n");
  for (unsigned i = 0; i < variables->len; i++) {
    const Variable *one = &g_array_index(variables, Variable, i);
    g_autofree char *value = lua_text(one->value);

    if (!variable_is_proxy(one))
      g_string_append_printf(out, "vim.env.%s = %s\n", one->name, value);
  }
  if (plan->via == VIA_PROXY) {
    g_autofree char *proxy = lua_text(plan->site->proxy);

    /* copilot.lua would take false for the second when there is a proxy. */
    g_string_append_printf(out,
                           "vim.g.copilot_proxy = %s\n"
                           "vim.g.copilot_proxy_strict_ssl = true\n",
                           proxy);
  }
  return g_string_free(out, FALSE);
}

bool
plan_neovim(Plan *plan, GError **error)
{
  g_autofree char *path = g_build_filename(
      g_get_user_config_dir(), "nvim", "plugin", "hoop-agent.lua", NULL);
  Change *change = own_file(plan, path, error);

  if (!change)
    return false;
  g_free(change->after);
  change->after = neovim_lines(plan, error);
  plan_note(plan, "It counts when Neovim starts the next time.");
  return change->after != NULL;
}

/* ---- JetBrains -----------------------------------------------------------
 */

bool
plan_jetbrains(Plan *plan, GError **error)
{
  const char *address = plan->site->proxy + strlen("http://");
  const char *colon = strrchr(address, ':');

  (void)error;
  plan_note(plan,
            "JetBrains IDEs keep their settings to themselves. In Settings:");
  plan_note(plan,
            "1. Appearance & Behavior > System Settings > HTTP Proxy: Manual "
            "proxy configuration, HTTP, host name %.*s, port number %s.",
            (int)(colon - address),
            address,
            colon + 1);
  plan_note(plan, "2. Tools > Server Certificates: add %s.", plan->site->own);
  plan_note(plan, "3. Restart the IDE.");
  return true;
}
