/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP connection: each request's Host, Origin and path are checked, then
 * it is an exchange's until its answer is out. */
#include "front/state.h"
#include <arpa/inet.h>
#include <string.h>

struct client {
  Front *front;
  HttpConn *conn;
  Caller *caller;
  char *connect_host; /* host[:port], or NULL: base URL */
  Exchange *exchange; /* the one that runs */
};

static void
ended(void *data)
{
  Client *client = data;

  client->exchange = NULL;
}

static void
refuse(Client *client, HttpRequest *request, int status, const char *why)
{
  g_autoptr(HttpRequest) owned = request;
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autofree char *id = http_request_id_new();
  g_autofree char *body = http_error_body(
      api_from_path(owned->method, owned->path ? owned->path : "/"),
      status,
      "refused",
      why);

  exchange_record_refused(client->front->env,
                          client->caller,
                          owned->authority,
                          owned->method,
                          owned->path,
                          status,
                          why);
  http_headers_add(headers, "x-github-request-id", id);
  http_conn_close_after(client->conn);
  http_conn_reply(
      client->conn, status, headers, "application/json", body, strlen(body));
}

/* ---- What the request claims
 * ------------------------------------------------------ */

/* "host" or "host:PORT" where that port is the given one. */
static bool
is_host(const char *authority, const char *host, uint16_t port, bool bare)
{
  size_t len = strlen(host);
  char suffix[8];

  g_snprintf(suffix, sizeof suffix, ":%u", (unsigned)port);
  if (strncmp(authority, host, len) != 0)
    return false;
  return (bare && authority[len] == '\0') ||
         g_str_equal(authority + len, suffix);
}

/* A web page that has its own name resolved to us (DNS rebinding) sends its
 * own name. */
static bool
is_our_host(const Client *client, const char *authority)
{
  static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
  uint16_t port = front_port(client->front);

  if (client->connect_host) {
    g_autofree char *host = g_ascii_strdown(client->connect_host, -1);

    return g_str_equal(authority, host) ||
           (!strrchr(host, ':') && is_host(authority, host, 443, true));
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
    if (is_host(authority, names[i], port, false))
      return true;
  return false;
}

static bool
sni_agrees(const Client *client)
{
  const char *sni = http_conn_sni(client->conn);

  if (!sni || !client->connect_host)
    return true;
  return strncmp(client->connect_host, sni, strlen(sni)) == 0 &&
         (client->connect_host[strlen(sni)] == '\0' ||
          client->connect_host[strlen(sni)] == ':');
}

/* Web pages say where they come from; editors say nothing, or a scheme of
 * their own. */
static bool
is_web_page(const HttpHeaders *headers, const char *authority)
{
  const char *origin = http_headers_get(headers, "origin");
  const char *site = http_headers_get(headers, "sec-fetch-site");
  const char *host;

  /* No browser sends two; who does hides one behind the other. */
  if (http_headers_occurrences(headers, "origin") > 1 ||
      http_headers_occurrences(headers, "sec-fetch-site") > 1)
    return true;
  if (site && !g_str_equal(site, "none") && !g_str_equal(site, "same-origin"))
    return true;
  if (!origin)
    return false;
  if (g_ascii_strncasecmp(origin, "https://", 8) == 0)
    host = origin + 8;
  else if (g_ascii_strncasecmp(origin, "http://", 7) == 0)
    host = origin + 7;
  else
    return g_str_equal(origin, "null");
  return g_ascii_strcasecmp(host, authority) != 0;
}

/* ---- Requests
 * ----------------------------------------------------------------------- */

static Connection *
find_connection(Client *client,
                const HttpRequest *request,
                const char **path,
                GError **error)
{
  ConnTable *conns = exchange_env_conns(client->front->env);
  g_autofree char *host = NULL;

  if (!client->connect_host)
    return conn_for_base_url(conns, request->path, path, error);
  *path = request->path;
  host = g_strndup(client->connect_host, strcspn(client->connect_host, ":"));
  return conn_for_host(conns, host, 443);
}

static void
on_request(HttpConn *conn, HttpRequest *request, void *data)
{
  Client *client = data;
  Arrival arrival = {.connect_host = client->connect_host,
                     .caller = client->caller};
  g_autoptr(GError) error = NULL;

  (void)conn;
  if (!request->path || request->path[0] != '/') {
    refuse(client, request, 400, "only requests for a path are answered here");
  } else if (!is_our_host(client, request->authority) || !sni_agrees(client)) {
    refuse(client,
           request,
           421,
           "the request's Host is not the one that this connection was made "
           "to");
  } else if (is_web_page(request->headers, request->authority)) {
    refuse(client,
           request,
           403,
           "requests from web pages are refused (foreign Origin or "
           "Sec-Fetch-Site)");
  } else if (!(arrival.connection =
                   find_connection(client, request, &arrival.path, &error))) {
    refuse(client,
           request,
           404,
           error ? error->message : "no connection governs this host");
  } else {
    client->exchange = exchange_begin(
        client->front->env, client->conn, request, &arrival, ended, client);
  }
}

static void
on_body(HttpConn *conn, const uint8_t *bytes, size_t len, void *data)
{
  Client *client = data;

  (void)conn;
  if (client->exchange)
    exchange_body(client->exchange, bytes, len);
}

static void
on_body_end(HttpConn *conn, void *data)
{
  Client *client = data;

  (void)conn;
  if (client->exchange)
    exchange_body_end(client->exchange);
}

static void
on_finished(HttpConn *conn, void *data)
{
  Client *client = data;

  (void)conn;
  if (client->exchange)
    exchange_finished(client->exchange);
}

static void
on_writable(HttpConn *conn, void *data)
{
  Client *client = data;

  (void)conn;
  if (client->exchange)
    exchange_writable(client->exchange);
}

/* A connection that ended without a request: why, and for which host. */
static void
record_failure(const Client *client)
{
  const char *sni = http_conn_sni(client->conn);
  const char *why = http_conn_error(client->conn);
  g_autofree char *uncovered = NULL;

  if (!why)
    return;
  if (sni && !ca_covers(client->front->ca, sni))
    why = uncovered = g_strdup_printf(
        "the agent's CA does not cover %s; after a change of connections run "
        "`hoop-agent ca rotate`",
        sni);
  exchange_record_refused(client->front->env,
                          client->caller,
                          sni ? sni : client->connect_host,
                          NULL,
                          NULL,
                          0,
                          why);
}

static void
on_closed(HttpConn *conn, void *data)
{
  Client *client = data;
  Front *front = client->front;

  if (client->exchange)
    exchange_closed(client->exchange, http_conn_error(conn));
  else
    record_failure(client);
  g_hash_table_remove(front->clients, client);
  caller_unref(client->caller);
  g_free(client->connect_host);
  g_free(client);
  front_make_room(front);
}

static const HttpConnEvents events = {
    .request = on_request,
    .body = on_body,
    .body_end = on_body_end,
    .finished = on_finished,
    .writable = on_writable,
    .closed = on_closed,
};

void
client_begin(Front *front,
             int fd,
             SSL_CTX *context,
             Caller *caller,
             const char *connect_host)
{
  Client *client = g_new0(Client, 1);

  client->front = front;
  client->caller = caller_ref(caller);
  client->connect_host = g_strdup(connect_host);
  g_hash_table_add(front->clients, client);
  client->conn = http_conn_new(
      front->loop, fd, context, &front->options.http, &events, client);
}

void
client_abort(Client *client)
{
  http_conn_abort(client->conn);
}
