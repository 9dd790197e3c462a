/* SPDX-License-Identifier: Apache-2.0 */
/* The table of clients, where the agent is, and the variables that lead there.
 * The names are the clients' own. */
#include "cli/settings.h"
#include "conn/conn.h"
#include <string.h>

static const Client clients[] = {
    {"vscode", "Visual Studio Code", "code", "copilot", VIA_PROXY, VIA_PROXY},
    {"jetbrains", "JetBrains IDEs", NULL, "copilot", VIA_PROXY, VIA_PROXY},
    {"neovim", "Neovim", "nvim", "copilot", VIA_PROXY, VIA_BASE_URL},
    {"language-server",
     "Copilot language server",
     "copilot-language-server",
     "copilot",
     VIA_PROXY,
     VIA_BASE_URL},
    {"copilot-cli",
     "Copilot CLI",
     "copilot",
     "copilot",
     VIA_PROXY,
     VIA_BASE_URL},
    {"claude",
     "Claude Code",
     "claude",
     "anthropic",
     VIA_BASE_URL,
     VIA_BASE_URL},
    {"codex", "Codex", "codex", "openai", VIA_BASE_URL, VIA_BASE_URL},
    {"openai", "OpenAI SDKs", NULL, "openai", VIA_BASE_URL, VIA_BASE_URL},
};

const Client *
client_row(unsigned index)
{
  return index < G_N_ELEMENTS(clients) ? &clients[index] : NULL;
}

const Client *
client_find(const char *name)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++)
    if (strcmp(clients[i].name, name) == 0)
      return &clients[i];
  return NULL;
}

const Client *
client_named(const Call *call, const char *name)
{
  const Client *client = client_find(name);
  const char *names[G_N_ELEMENTS(clients) + 1] = {NULL};
  g_autofree char *all = NULL;
  const char *near;

  if (client)
    return client;
  for (unsigned i = 0; i < G_N_ELEMENTS(clients); i++)
    names[i] = clients[i].name;
  near = nearest_word(name, names, G_N_ELEMENTS(clients));
  all = g_strjoinv(", ", (char **)(uintptr_t)names);
  if (near)
    complain(
        call, CLI_USAGE, "no client is named %s; did you mean %s?", name, near);
  else
    complain(call, CLI_USAGE, "no client is named %s; known are %s", name, all);
  return NULL;
}

/* ---- Site ---------------------------------------------------------------
 */

char *
agents_address(const Config *config, bool *running)
{
  g_autoptr(HoopAgent1) agent = daemon_try();
  g_autoptr(GVariant) status = NULL;
  char *address = NULL;

  *running = agent && hoop_agent1_call_status_sync(agent, &status, NULL, NULL);
  if (*running && g_variant_lookup(status, "address", "s", &address))
    return address;
  if (!config->port)
    return NULL;
  return g_strdup_printf(strchr(config->address, ':') ? "[%s]:%u" : "%s:%u",
                         config->address,
                         (unsigned)config->port);
}

bool
site_covers(const Site *site, const char *connection)
{
  g_auto(GStrv) hosts = conn_hosts(site->config, connection, NULL);
  g_autoptr(Ca) ca = hosts ? cli_ca(site->config, NULL) : NULL;

  for (char **host = hosts; ca && *host; host++)
    if (!ca_covers(ca, *host))
      return false;
  return ca != NULL;
}

bool
site_init(const Call *call, Site *site, int *code)
{
  g_autofree char *address = NULL;
  g_autoptr(Ca) ca = NULL;
  g_autoptr(GError) error = NULL;

  memset(site, 0, sizeof *site);
  site->config = cli_config(call, code);
  if (!site->config)
    return false;
  address = agents_address(site->config, &site->running);
  if (!address) {
    *code = complain(call,
                     CLI_NOT_RUNNING,
                     "[listen] port=0 takes a port when the agent starts, and "
                     "it does not run");
    return false;
  }
  ca = cli_ca(site->config, &error);
  if (!ca || !trust_write(site->config, ca, &site->ca, &error)) {
    *code = complain(call, CLI_FOUND, "%s", error->message);
    return false;
  }
  site->own = g_strdup(ca_path(ca));
  site->base = g_strconcat("https://", address, NULL);
  site->proxy = g_strconcat("http://", address, NULL);
  site->bundle =
      g_build_filename(site->config->data_dir, "ca-bundle.pem", NULL);
  return true;
}

void
site_clear(Site *site)
{
  g_clear_pointer(&site->config, config_free);
  g_clear_pointer(&site->base, g_free);
  g_clear_pointer(&site->proxy, g_free);
  g_clear_pointer(&site->ca, g_free);
  g_clear_pointer(&site->own, g_free);
  g_clear_pointer(&site->bundle, g_free);
}

const ConfigConnection *
site_connection(const Site *site, const char *name)
{
  for (unsigned i = 0; i < site->config->connections->len; i++) {
    const ConfigConnection *one = site->config->connections->pdata[i];

    if (g_str_equal(one->name, name))
      return one;
  }
  return NULL;
}

bool
site_via(const Call *call, const Site *site, const Client *client, Via *via)
{
  const char *text = call_value(call, "via");
  const ConfigConnection *connection =
      client ? site_connection(site, client->connection) : NULL;

  *via = VIA_PROXY;
  if (client)
    *via = connection && connection->credential ? client->held : client->usual;
  if (text && g_str_equal(text, "proxy"))
    *via = VIA_PROXY;
  else if (text && g_str_equal(text, "base-url"))
    *via = VIA_BASE_URL;
  else if (text)
    return complain(call, 0, "--via is proxy or base-url, not %s", text);
  if (client || *via == VIA_PROXY)
    return true;
  return complain(call, 0, "--via base-url needs a CLIENT: each has its own");
}

char *
site_token(const Site *site, const Client *client, GError **error)
{
  const ConfigConnection *connection =
      site_connection(site, client->connection);

  if (!connection || !connection->credential)
    return NULL;
  return conn_client_token(site->config->state_dir, client->name, error);
}

/* ---- Variables -----------------------------------------------------------
 */

/* Loopback stays direct: local servers, and the agent's own base URLs. */
static char *
no_proxy(void)
{
  static const char own[] = "localhost,127.0.0.1,::1";
  const char *before = g_getenv("NO_PROXY") ?: g_getenv("no_proxy");

  if (!before || !*before || g_str_has_prefix(before, own))
    return g_strdup(before && *before ? before : own);
  return g_strconcat(own, ",", before, NULL);
}

bool
variable_is_proxy(const Variable *variable)
{
  size_t len = strlen(variable->name);

  return len > 6 && g_ascii_strcasecmp(variable->name + len - 6, "_proxy") == 0;
}

static void
add(GArray *variables, const char *name, char *value)
{
  Variable variable = {name, value};

  if (value)
    g_array_append_val(variables, variable);
}

static void
add_proxy(GArray *variables, const Site *site)
{
  add(variables, "HTTPS_PROXY", g_strdup(site->proxy));
  add(variables, "https_proxy", g_strdup(site->proxy));
  add(variables, "NO_PROXY", no_proxy());
  add(variables, "no_proxy", no_proxy());
}

/* A proxy that the environment names would get the loopback requests too. */
static void
add_direct(GArray *variables)
{
  if (!g_getenv("HTTPS_PROXY") && !g_getenv("https_proxy"))
    return;
  add(variables, "NO_PROXY", no_proxy());
  add(variables, "no_proxy", no_proxy());
}

/* Claude Code's TLS library cannot hold a certificate for an address against
 * the CA's constraints, so it gets the name; the port is the same. */
static char *
named_base(const Site *site, const char *path)
{
  const char *port = strrchr(site->base, ':');

  return g_strconcat("https://localhost", port, path, NULL);
}

/* One API's address is one variable; Copilot's clients ask for two. */
static void
add_base(GArray *variables, const Site *site, const Client *client)
{
  if (g_str_equal(client->connection, "anthropic")) {
    add(variables, "ANTHROPIC_BASE_URL", named_base(site, "/c/anthropic"));
  } else if (g_str_equal(client->connection, "openai")) {
    add(variables,
        "OPENAI_BASE_URL",
        g_strconcat(site->base, "/c/openai/v1", NULL));
  } else if (g_str_equal(client->name, "copilot-cli")) {
    add(variables, "COPILOT_API_URL", g_strdup(site->base));
    add(variables, "COPILOT_DEBUG_GITHUB_API_URL", g_strdup(site->base));
  } else {
    add(variables, "GH_COPILOT_API_URL", g_strdup(site->base));
    add(variables, "GH_COPILOT_SERVER_URL", g_strdup(site->base));
  }
}

static const char *
token_variable(const Client *client)
{
  if (g_str_equal(client->connection, "anthropic"))
    return "ANTHROPIC_API_KEY";
  if (g_str_equal(client->connection, "openai"))
    return "OPENAI_API_KEY";
  return g_str_equal(client->name, "copilot-cli") ? "COPILOT_GITHUB_TOKEN"
                                                  : "GH_COPILOT_TOKEN";
}

/* node adds a file to what it trusts; OpenSSL and rustls programs replace
 * theirs by one, so they are given the bundle. */
static void
add_trust(GArray *variables, const Site *site, const Client *client)
{
  bool codex = client && g_str_equal(client->name, "codex");
  bool any = !client || g_str_equal(client->name, "openai");

  if (!codex)
    add(variables, "NODE_EXTRA_CA_CERTS", g_strdup(site->ca));
  if (codex || any)
    add(variables, "SSL_CERT_FILE", g_strdup(site->bundle));
}

static void
variable_clear(void *data)
{
  Variable *variable = data;

  g_free(variable->value);
}

GArray *
variables_new(const Site *site, const Client *client, Via via, GError **error)
{
  g_autoptr(GArray) variables = g_array_new(FALSE, FALSE, sizeof(Variable));
  g_autoptr(GError) failed = NULL;
  char *token = client ? site_token(site, client, &failed) : NULL;

  g_array_set_clear_func(variables, variable_clear);
  if (failed) {
    g_propagate_error(error, g_steal_pointer(&failed));
    return NULL;
  }
  if (via == VIA_PROXY) {
    add_proxy(variables, site);
  } else if (client) {
    add_base(variables, site, client);
    add_direct(variables);
  }
  if (via == VIA_PROXY && client && g_str_equal(client->name, "openai"))
    add(variables, "NODE_USE_ENV_PROXY", g_strdup("1"));
  if (client)
    add(variables, token_variable(client), token);
  add_trust(variables, site, client);
  return g_steal_pointer(&variables);
}
