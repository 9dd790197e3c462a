/* SPDX-License-Identifier: Apache-2.0 */
/* The table: connections made from the configuration, found by host or by
 * path, and where each request really goes. */
#include "conn/private.h"
#include "kit/file.h"
#include <string.h>

G_DEFINE_QUARK(hoop_conn_error, conn_error)

struct conn_table {
  GPtrArray *connections;
  GPtrArray *hosts; /* of all, NULL terminated */
  Clients *clients;
};

static void
connection_free(void *data)
{
  Connection *connection = data;

  session_free(connection->session);
  credential_free(connection->credential);
  endpoints_free(connection->endpoints);
  g_strfreev(connection->hosts);
  g_free(connection->name);
  g_free(connection->upstream);
  g_free(connection->issuer);
  g_free(connection);
}

/* Letters, digits, dashes in labels with dots between; the last is no number,
 * so that it is no address. */
static bool
is_host_name(const char *host)
{
  const char *label = host;

  for (;;) {
    size_t len = strcspn(label, ".");

    if (!len || strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") < len)
      return false;
    if (!label[len])
      return strspn(label, "0123456789") < len;
    label += len + 1;
  }
}

/* github.com is where people sign in and push code: never terminated. A name
 * without a dot would put a whole top level domain under the agent's CA. */
static bool
host_allowed(const char *connection, const char *host, GError **error)
{
  const char *why = NULL;

  if (strcmp(host, "github.com") == 0)
    why = "it is never terminated; name the Copilot hosts instead";
  else if (!strchr(host, '.') || !is_host_name(host))
    why = "give a whole host name, such as copilot.example.com";
  if (!why)
    return true;
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_CONFIG,
              "[connection \"%s\"] hosts: %s cannot be governed: %s",
              connection,
              host,
              why);
  return false;
}

/* What a connection of this type governs; NULL with an error. */
static char **
governed_hosts(const ConnType *type,
               const ConfigConnection *config,
               GError **error)
{
  g_autoptr(GStrvBuilder) hosts = g_strv_builder_new();

  g_strv_builder_addv(hosts, (const char **)type->hosts);
  if (config->credential)
    g_strv_builder_addv(hosts, (const char **)type->held_hosts);
  for (char **host = config->hosts; host && *host; host++) {
    g_autofree char *lower = g_ascii_strdown(*host, -1);

    if (!host_allowed(config->name, lower, error))
      return NULL;
    g_strv_builder_add(hosts, lower);
  }
  return g_strv_builder_end(hosts);
}

static const ConnType *
find_type(const ConfigConnection *config, GError **error)
{
  const ConnType *type = conn_type_find(config->type);

  if (!type)
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CONFIG,
                "[connection \"%s\"] type=%s: no such type (copilot, "
                "anthropic, openai)",
                config->name,
                config->type ? config->type : "");
  return type;
}

static bool
check_upstream(const Config *all,
               const ConfigConnection *config,
               GError **error)
{
  const char *why = "give https://HOST[:PORT]";
  g_autoptr(GUri) uri = NULL;

  if (!config->upstream)
    return true;
  uri = g_uri_parse(config->upstream, G_URI_FLAGS_NONE, NULL);
  if (uri && g_strcmp0(g_uri_get_scheme(uri), "https") == 0 &&
      g_uri_get_host(uri) && *g_uri_get_host(uri) && !*g_uri_get_path(uri) &&
      !g_uri_get_query(uri) && !g_uri_get_fragment(uri) &&
      !g_uri_get_userinfo(uri)) {
    if (!config_is_agent(all, g_uri_get_host(uri), g_uri_get_port(uri)))
      return true;
    why = "that is this agent itself";
  }
  /* A password may stand in it: it is not repeated. */
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_CONFIG,
              "[connection \"%s\"] upstream: %s",
              config->name,
              why);
  return false;
}

static Connection *
connection_new(const Config *all,
               const ConfigConnection *config,
               Clients *clients,
               GError **error)
{
  Connection *connection;

  if (!check_upstream(all, config, error))
    return NULL;
  connection = g_new0(Connection, 1);
  connection->name = g_strdup(config->name);
  connection->type = find_type(config, error);
  connection->upstream = g_strdup(config->upstream);
  connection->issuer = g_strdup(config->issuer);
  connection->endpoints = endpoints_new();
  connection->clients = clients;
  if (connection->type)
    connection->hosts = governed_hosts(connection->type, config, error);
  if (connection->hosts && config->credential)
    connection->credential = credential_new(config->credential, error);
  if (!connection->hosts || (config->credential && !connection->credential)) {
    connection_free(connection);
    return NULL;
  }
  if (connection->credential && connection->type->session_tokens)
    connection->session = session_new(connection);
  return connection;
}

char **
conn_hosts(const Config *config, const char *name, GError **error)
{
  g_autoptr(GStrvBuilder) all = g_strv_builder_new();

  for (unsigned i = 0; i < config->connections->len; i++) {
    const ConfigConnection *one = config->connections->pdata[i];
    g_auto(GStrv) hosts = NULL;
    const ConnType *type;

    if (name ? !g_str_equal(one->name, name) : !one->enabled)
      continue;
    if (!check_upstream(config, one, error) ||
        !(type = find_type(one, error)) ||
        !(hosts = governed_hosts(type, one, error)))
      return NULL;
    g_strv_builder_addv(all, (const char **)hosts);
  }
  return g_strv_builder_end(all);
}

static ConnTable *
table_new(const Config *config)
{
  ConnTable *table = g_new0(ConnTable, 1);

  table->connections = g_ptr_array_new_with_free_func(connection_free);
  table->hosts = g_ptr_array_new();
  table->clients = clients_new(config->state_dir);
  return table;
}

static bool
table_add(ConnTable *table,
          const Config *config,
          const ConfigConnection *wanted,
          GError **error)
{
  Connection *connection =
      connection_new(config, wanted, table->clients, error);

  if (!connection)
    return false;
  g_ptr_array_add(table->connections, connection);
  for (char **host = connection->hosts; *host; host++)
    g_ptr_array_add(table->hosts, *host);
  return true;
}

ConnTable *
conn_table_new(const Config *config, GError **error)
{
  g_autoptr(ConnTable) table = table_new(config);

  for (unsigned i = 0; i < config->connections->len; i++) {
    const ConfigConnection *wanted = config->connections->pdata[i];

    if (wanted->enabled && !table_add(table, config, wanted, error))
      return NULL;
  }
  g_ptr_array_add(table->hosts, NULL);
  return g_steal_pointer(&table);
}

ConnTable *
conn_table_new_one(const Config *config,
                   const char *name,
                   bool credential,
                   GError **error)
{
  g_autoptr(ConnTable) table = table_new(config);

  for (unsigned i = 0; i < config->connections->len; i++) {
    const ConfigConnection *row = config->connections->pdata[i];
    ConfigConnection wanted = *row;

    if (!g_str_equal(row->name, name))
      continue;
    if (!credential)
      wanted.credential = NULL;
    if (!table_add(table, config, &wanted, error))
      return NULL;
    g_ptr_array_add(table->hosts, NULL);
    return g_steal_pointer(&table);
  }
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_UNKNOWN,
              "no connection is named %s; `hoop-agent connection list` shows "
              "those that are",
              name);
  return NULL;
}

void
conn_table_free(ConnTable *table)
{
  if (!table)
    return;
  g_ptr_array_unref(table->connections);
  g_ptr_array_unref(table->hosts);
  clients_free(table->clients);
  g_free(table);
}

const char *const *
conn_table_hosts(ConnTable *table)
{
  return (const char *const *)table->hosts->pdata;
}

static void
free_secret(gpointer data)
{
  secret_unref(data);
}

GPtrArray *
conn_table_secrets(const ConnTable *table)
{
  GPtrArray *out = g_ptr_array_new_with_free_func(free_secret);

  for (unsigned i = 0; i < table->connections->len; i++) {
    const Connection *connection = table->connections->pdata[i];

    if (connection->credential)
      credential_secrets(connection->credential, out);
    if (connection->session)
      session_secrets(connection->session, out);
  }
  return out;
}

void
conn_table_lend(ConnTable *table,
                const char *name,
                Secret *secret,
                int64_t until_us,
                const char *why)
{
  for (unsigned i = 0; i < table->connections->len; i++) {
    const Connection *connection = table->connections->pdata[i];

    if (connection->credential)
      credential_lend(connection->credential, name, secret, until_us, why);
  }
}

Connection *const *
conn_table_all(ConnTable *table, unsigned *n)
{
  *n = table->connections->len;
  return (Connection *const *)table->connections->pdata;
}

/* The name itself or anything beneath it; a dot at the end changes nothing
 * about where a name leads. */
static bool
covers(const char *governed, const char *host)
{
  size_t outer = strlen(governed), len = strlen(host);

  if (len > 0 && host[len - 1] == '.')
    len--;
  return len >= outer &&
         g_ascii_strncasecmp(host + len - outer, governed, outer) == 0 &&
         (len == outer || host[len - outer - 1] == '.');
}

bool
connection_governs(const Connection *connection, const char *host)
{
  for (char **governed = connection->hosts; *governed; governed++)
    if (covers(*governed, host))
      return true;
  return false;
}

Connection *
conn_for_host(ConnTable *table, const char *host, uint16_t port)
{
  (void)port; /* a governed host is governed on every port */
  for (unsigned i = 0; i < table->connections->len; i++)
    if (connection_governs(table->connections->pdata[i], host))
      return table->connections->pdata[i];
  return NULL;
}

Connection *
conn_for_base_url(ConnTable *table,
                  const char *path,
                  const char **rest,
                  GError **error)
{
  const char *name = g_str_has_prefix(path, "/c/") ? path + 3 : CONN_DEFAULT;
  size_t len = name == path + 3 ? strcspn(name, "/") : strlen(name);

  for (unsigned i = 0; i < table->connections->len; i++) {
    Connection *connection = table->connections->pdata[i];

    if (strlen(connection->name) == len &&
        strncmp(connection->name, name, len) == 0) {
      *rest = name == path + 3 ? name + len : path;
      if (!**rest)
        *rest = "/";
      return connection;
    }
  }
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_UNKNOWN,
              "no connection named %.*s is turned on; `hoop-agent connection "
              "list` shows those that are",
              (int)MIN(len, 64),
              name);
  return NULL;
}

const char *
connection_name(const Connection *connection)
{
  return connection->name;
}

const char *
connection_issuer(const Connection *connection)
{
  return connection->issuer;
}

bool
connection_holds_credential(const Connection *connection)
{
  return connection->credential != NULL;
}

void
route_clear(Route *route)
{
  g_clear_pointer(&route->url, g_free);
  g_clear_pointer(&route->host, g_free);
}

const char *
connection_base(Connection *connection, Service service, const char *token)
{
  const char *base;

  if (connection->upstream)
    return connection->upstream;
  base = endpoints_get(connection->endpoints, token, service);
  if (!base)
    base = connection->type->defaults[service];
  return base ? base : connection->type->defaults[SERVICE_API];
}

const char *
connection_place(const Connection *connection, unsigned n, const char **url)
{
  static const char *const names[N_SERVICES] = {[SERVICE_API] = "models",
                                                [SERVICE_PROXY] = "completion",
                                                [SERVICE_TELEMETRY] =
                                                    "telemetry",
                                                [SERVICE_ACCOUNT] = "account",
                                                [SERVICE_LOGIN] = "sign-in"};

  if (connection->upstream) {
    *url = connection->upstream;
    return n == 0 ? "everything" : NULL;
  }
  for (unsigned service = 0; service < N_SERVICES; service++)
    if (connection->type->defaults[service] && n-- == 0) {
      *url = connection->type->defaults[service];
      return names[service];
    }
  return NULL;
}

char *
connection_probe(const Connection *connection)
{
  const char *url = NULL;

  connection_place(connection, 0, &url);
  return g_strconcat(url, connection->type->models, NULL);
}

/* The host that policy and record name: where the request is meant to go, even
 * when `upstream` sends it elsewhere. */
static char *
governed_host(Connection *connection, Service service, const char *token)
{
  const char *base = endpoints_get(connection->endpoints, token, service);
  const char *host;

  if (!base)
    base = connection->type->defaults[service];
  if (!base)
    base = connection->type->defaults[SERVICE_API];
  host = base + strlen("https://");
  return g_strndup(host, strcspn(host, ":/"));
}

/* ---- Paths
 * ------------------------------------------------------------------- */

/* An escape that servers may read as something with a meaning of its own, or
 * that needs none (RFC 3986, 2.3): there to look different. */
static bool
is_odd_escape(const char *at)
{
  char c =
      (char)(g_ascii_xdigit_value(at[1]) << 4 | g_ascii_xdigit_value(at[2]));

  return g_ascii_isalnum(c) || strchr("-._~\\", c) || g_ascii_iscntrl(c);
}

/* No empty or dot parts: servers drop them, and then it is another path. */
static bool
is_plain(const char *path)
{
  for (const char *at = path; *at; at++) {
    if (*at == '%' && is_odd_escape(at))
      return false;
    if (*at != '/')
      continue;
    if (at[1] == '/' || (at[1] == '.' && (!at[2] || at[2] == '/')) ||
        (at[1] == '.' && at[2] == '.' && (!at[3] || at[3] == '/')))
      return false;
  }
  return true;
}

/* The API that the most forgiving server would take the path for: without
 * regard to case, parameters and escaped slashes. */
static Api
loosest_api(const char *method, const char *path)
{
  g_autoptr(GString) loose = g_string_new(NULL);

  for (const char *at = path; *at; at++) {
    if (*at == ';') {
      at += strcspn(at, "/") - 1;
    } else if (g_ascii_strncasecmp(at, "%2f", 3) == 0) {
      g_string_append_c(loose, '/');
      at += 2;
    } else {
      g_string_append_c(loose, g_ascii_tolower(*at));
    }
  }
  return api_from_path(method, loose->str);
}

/* Bodies of these are not inspected: nothing else is spelled like them. */
static bool
is_auth(Service service, const char *method, const char *path)
{
  static const char *const sign_in[] = {
      "/login/device/code", "/login/oauth/access_token", NULL};
  static const char *const token[] = {
      "/copilot_internal/v2/token", "/api/v3/copilot_internal/v2/token", NULL};

  if (strcmp(method, "POST") == 0)
    return service == SERVICE_LOGIN && g_strv_contains(sign_in, path);
  return service == SERVICE_ACCOUNT && g_strv_contains(token, path) &&
         api_from_path(method, path) == API_TOKEN;
}

static bool
check_path(const Connection *connection,
           const char *method,
           const char *path,
           GError **error)
{
  const char *why = NULL;

  if (path[0] != '/')
    why = "only paths that begin with / are forwarded";
  else if (!is_plain(path))
    why = "a path with empty or dot parts, or needless escapes, could mean "
          "another to the server than to the agent";
  else if (loosest_api(method, path) != api_from_path(method, path))
    why = "this path is nearly one of the API's own: spell it like that";
  else if (api_from_path(method, path) == API_TOKEN &&
           !is_auth(connection->type->service(path), method, path))
    why = "session tokens are asked for at /copilot_internal/v2/token";
  if (!why)
    return true;
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_UNKNOWN,
              "connection %s: %s",
              connection->name,
              why);
  return false;
}

bool
connection_route(Connection *connection,
                 const char *connect_host,
                 const char *method,
                 const char *path,
                 const char *query,
                 const char *token,
                 Route *out,
                 GError **error)
{
  Service service = connection->type->service(path);
  g_autofree char *base = NULL;

  if (!check_path(connection, method, path, error))
    return false;
  if (connect_host && !connection->upstream)
    base = g_strconcat("https://", connect_host, NULL);
  else
    base = g_strdup(connection_base(connection, service, token));
  out->url = g_strconcat(base, path, query ? "?" : NULL, query ?: "", NULL);
  if (connect_host)
    out->host = g_strndup(connect_host, strcspn(connect_host, ":"));
  else
    out->host = governed_host(connection, service, token);
  out->api = api_from_path(method, path);
  out->completions = out->api == API_COMPLETIONS;
  out->auth = is_auth(service, method, path);
  return true;
}
