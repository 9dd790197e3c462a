/* SPDX-License-Identifier: Apache-2.0 */
/* The credential in the client's place: whose request it is, what goes
 * upstream instead, and what the client sees of tokens and endpoints. */
#include "conn/private.h"
#include <json-c/json.h>
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
            session_token(ask->connection->session) ?: "");
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
      session_forget(connection->session);
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

/* An endpoint is believed only where it stays with the connection's hosts. */
static bool
believable(const Connection *connection, const char *url)
{
  g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);

  return uri && g_strcmp0(g_uri_get_scheme(uri), "https") == 0 &&
         g_uri_get_host(uri) &&
         connection_governs(connection, g_uri_get_host(uri));
}

static void
remember(Connection *connection, const char *token, struct json_object *answer)
{
  static const struct {
    const char *key;
    Service service;
  } keys[] = {
      {"api", SERVICE_API},
      {"proxy", SERVICE_PROXY},
      {"telemetry", SERVICE_TELEMETRY},
  };
  struct json_object *endpoints, *url;

  if (!token || !json_object_object_get_ex(answer, "endpoints", &endpoints) ||
      !json_object_is_type(endpoints, json_type_object))
    return;
  for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++) {
    g_autofree char *base = NULL;

    if (!json_object_object_get_ex(endpoints, keys[i].key, &url) ||
        !json_object_get_string(url))
      continue;
    base = g_strdup(json_object_get_string(url));
    while (g_str_has_suffix(base, "/"))
      base[strlen(base) - 1] = '\0';
    if (believable(connection, base))
      endpoints_set(connection->endpoints, token, keys[i].service, base);
  }
}

static void
point_here(struct json_object *answer, const char *self)
{
  struct json_object *endpoints, *here;

  if (!json_object_object_get_ex(answer, "endpoints", &endpoints) ||
      !json_object_is_type(endpoints, json_type_object))
    return;
  here = json_object_new_object();
  json_object_object_foreach(endpoints, name, url)
  {
    (void)url;
    json_object_object_add(here, name, json_object_new_string(self));
  }
  json_object_object_add(answer, "endpoints", here);
}

/* The client's session token: the same fields, because clients read them, but
 * its own dummy as id and no signature. */
static void
give_dummy(struct json_object *answer, const char *token, const char *client)
{
  const char *fields = strchr(token, ';');
  g_autoptr(GString) dummy = g_string_new("tid=");

  g_string_append(dummy, client);
  if (fields)
    g_string_append_len(dummy, fields, (gssize)(strcspn(fields, ":")));
  g_string_append(dummy, ":hoop-agent");
  json_object_object_add(answer, "token", json_object_new_string(dummy->str));
}

static bool
swap_token(Connection *connection,
           struct json_object *answer,
           const char *client_token_text)
{
  struct json_object *token = NULL, *expires = NULL;

  if (!json_object_object_get_ex(answer, "token", &token) ||
      !json_object_object_get_ex(answer, "expires_at", &expires) ||
      !client_token_text)
    return false;
  if (!session_store(connection->session,
                     json_object_get_string(token),
                     json_object_get_int64(expires)))
    return false;
  give_dummy(answer, json_object_get_string(token), client_token_text);
  return true;
}

static const char *
answer_token(struct json_object *answer)
{
  struct json_object *token;

  return json_object_object_get_ex(answer, "token", &token)
             ? json_object_get_string(token)
             : NULL;
}

static bool
rewrite(Connection *connection,
        Api api,
        const char *self,
        bool base_url,
        const char *client,
        struct json_object *answer)
{
  const char *owner = api == API_TOKEN ? answer_token(answer) : client;

  if (connection->session && api == API_TOKEN) {
    if (!swap_token(connection, answer, client))
      return false;
    owner = answer_token(answer); /* the dummy is what the client sends */
  }
  remember(connection, owner, answer);
  if (base_url)
    point_here(answer, self);
  return true;
}

GBytes *
connection_localize(Connection *connection,
                    Api api,
                    const char *self,
                    bool base_url,
                    const char *client,
                    GBytes *body,
                    GError **error)
{
  g_autofree char *text = NULL;
  struct json_object *answer;
  GBytes *result = NULL;
  const char *json;
  size_t len;

  if (api != API_TOKEN && api != API_USER)
    return g_bytes_ref(body);
  text = g_strndup(g_bytes_get_data(body, &len), g_bytes_get_size(body));
  answer = json_tokener_parse(text);
  secret_wipe(text, strlen(text));
  if (answer && json_object_is_type(answer, json_type_object) &&
      rewrite(connection, api, self, base_url, client, answer)) {
    json =
        json_object_to_json_string_ext(answer, JSON_C_TO_STRING_NOSLASHESCAPE);
    result = bytes_new_wiped(json, strlen(json));
  }
  json_object_put(answer);
  if (!result)
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CREDENTIAL,
                "connection %s: the server's %s answer is not one that can "
                "be passed on",
                connection->name,
                api_name(api));
  return result;
}
