/* SPDX-License-Identifier: Apache-2.0 */
/* env: the variables that lead a client to the agent, for a shell to read. */
#include "cli/settings.h"
#include <stdio.h>

typedef enum { SHELL_SH, SHELL_FISH, SHELL_JSON } Shell;

/* --shell, else what the user's shell is. */
static bool
shell_of(const Call *call, Shell *shell)
{
  const char *text = call_value(call, "shell");
  const char *own = g_getenv("SHELL");

  *shell = own && g_str_has_suffix(own, "/fish") ? SHELL_FISH : SHELL_SH;
  if (!text)
    return true;
  if (g_str_equal(text, "sh") || g_str_equal(text, "bash") ||
      g_str_equal(text, "zsh"))
    *shell = SHELL_SH;
  else if (g_str_equal(text, "fish"))
    *shell = SHELL_FISH;
  else if (g_str_equal(text, "json"))
    *shell = SHELL_JSON;
  else
    return complain(call, 0, "--shell is sh, fish or json, not %s", text);
  return true;
}

static void
print_shell(GArray *variables, Shell shell)
{
  for (unsigned i = 0; i < variables->len; i++) {
    const Variable *one = &g_array_index(variables, Variable, i);
    g_autofree char *value = g_shell_quote(one->value);

    if (shell == SHELL_FISH)
      printf("set -gx %s %s\n", one->name, value);
    else
      printf("export %s=%s\n", one->name, value);
  }
}

static void
print_variables_json(GArray *variables)
{
  struct json_object *json = json_object_new_object();

  for (unsigned i = 0; i < variables->len; i++) {
    const Variable *one = &g_array_index(variables, Variable, i);

    json_object_object_add(json, one->name, json_object_new_string(one->value));
  }
  print_json(json);
}

/* On standard error: standard output is for eval. */
static void
warn(const Call *call, const Site *site, const Client *client, Via via)
{
  const ConfigConnection *connection =
      client ? site_connection(site, client->connection) : NULL;

  if (!site->running)
    complain(call, 0, "the agent does not run; it will have to for this");
  if (connection && !connection->enabled)
    complain(call,
             0,
             "the connection %s is off; `hoop-agent setup %s` turns it on",
             connection->name,
             client->name);
  else if (via == VIA_PROXY &&
           !site_covers(site, client ? client->connection : NULL))
    complain(call,
             0,
             "the agent's CA does not cover every governed host: run "
             "`hoop-agent ca rotate` and restart the agent");
}

int
verb_env(const Call *call)
{
  g_auto(Site) site = {0};
  g_autoptr(GArray) variables = NULL;
  g_autoptr(GError) error = NULL;
  const Client *client = NULL;
  int code = CLI_DONE;
  Shell shell;
  Via via;

  if (call->n_args && !(client = client_named(call, call->args[0])))
    return CLI_USAGE;
  if (!shell_of(call, &shell))
    return CLI_USAGE;
  if (!site_init(call, &site, &code))
    return code;
  if (!site_via(call, &site, client, &via))
    return CLI_USAGE;
  variables = variables_new(&site, client, via, &error);
  if (!variables)
    return complain(call, CLI_FOUND, "%s", error->message);
  warn(call, &site, client, via);
  if (shell == SHELL_JSON)
    print_variables_json(variables);
  else
    print_shell(variables, shell);
  return CLI_DONE;
}
