/* SPDX-License-Identifier: Apache-2.0 */
/* The credential in the client's place: whose request it is, and what goes
 * upstream instead. */
#include "conn/private.h"
#include <string.h>

static const char *
client_token(const HttpHeaders *headers)
{
  const char *value = http_headers_get(headers, "authorization");

  if (value && g_ascii_strncasecmp(value, "bearer ", 7) == 0)
    return value + 7;
  if (value && g_ascii_strncasecmp(value, "token ", 6) == 0)
    return value + 6;
  return http_headers_get(headers, "x-api-key");
}

const char *
connection_client(Connection *connection,
                  const HttpHeaders *headers,
                  GError **error)
{
  const char *token = client_token(headers);
  const char *client = token ? clients_find(connection->clients, token) : NULL;

  if (!client)
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CLIENT,
                "connection %s: this client's token is not one that "
                "hoop-agent gave out; `hoop-agent env CLIENT` prints its "
                "settings",
                connection->name);
  return client;
}

bool
connection_is_credential(const Connection *connection, const char *name)
{
  g_autofree char *lower = g_ascii_strdown(name, -1);

  /* Dummy tokens come in either, and go no further than this agent. */
  if (connection->credential &&
      (g_str_equal(lower, "authorization") || g_str_equal(lower, "x-api-key")))
    return true;
  return g_strv_contains(connection->type->own_headers, lower);
}

typedef struct {
  Connection *connection;
  HttpHeaders *headers;
  void (*done)(const GError *error, void *data);
  void *data;
  GError *error;
} Authorize;

static void
put_key(Connection *connection, HttpHeaders *headers, const char *key)
{
  g_autofree char *value = g_strconcat(connection->type->key_prefix, key, NULL);

  http_headers_remove(headers, "authorization");
  http_headers_remove(headers, "x-api-key");
  http_headers_remove(headers, "cookie");
  http_headers_set(headers, connection->type->key_header, value);
  secret_wipe(value, strlen(value));
}

static void
told(void *data)
{
  Authorize *ask = data;

  ask->done(ask->error, ask->data);
  g_clear_error(&ask->error);
  g_free(ask);
}

static void
fetched(const GError *error, void *data)
{
  Authorize *ask = data;

  if (!error)
    put_key(ask->connection,
            ask->headers,
            session_latest(ask->connection->session));
  ask->error = error ? g_error_copy(error) : NULL;
  told(ask);
}

/* GitHub's own API takes the credential, the models a session token of it. */
static bool
needs_session(const Connection *connection, Api api, const char *path)
{
  return connection->session && api != API_TOKEN && api != API_USER &&
         connection->type->service(path) != SERVICE_ACCOUNT;
}

void
connection_authorize(Connection *connection,
                     Upstream *upstream,
                     Loop *loop,
                     Api api,
                     const char *path,
                     HttpHeaders *headers,
                     void (*done)(const GError *error, void *data),
                     void *data)
{
  Authorize *ask = g_new0(Authorize, 1);
  const char *credential = NULL;
  bool changed = false;

  *ask = (Authorize){connection, headers, done, data, NULL};
  if (connection->credential) {
    credential = credential_get(connection->credential, &changed, &ask->error);
    if (changed && connection->session)
      session_renew(connection->session, upstream, loop, credential);
  }
  if (credential && needs_session(connection, api, path)) {
    if (!session_token(connection->session)) {
      session_fetch(
          connection->session, upstream, loop, credential, fetched, ask);
      return;
    }
    credential = session_token(connection->session);
  }
  if (credential)
    put_key(connection, headers, credential);
  loop_defer(loop, told, ask);
}

bool
connection_rejected(Connection *connection, const HttpHeaders *headers)
{
  const char *value = http_headers_get(headers, connection->type->key_header);
  const char *prefix = connection->type->key_prefix;

  return connection->session && value && g_str_has_prefix(value, prefix) &&
         session_reject(connection->session, value + strlen(prefix));
}

bool
connection_reveals(const Connection *connection, const void *bytes, size_t len)
{
  return (connection->credential &&
          credential_stands_in(connection->credential, bytes, len)) ||
         (connection->session &&
          session_stands_in(connection->session, bytes, len));
}
