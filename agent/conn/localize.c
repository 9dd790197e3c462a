/* SPDX-License-Identifier: Apache-2.0 */
/* What the client sees of answers that carry a token or endpoints: its own
 * dummy token and the agent's own address; and where its requests really go. */
#include "conn/private.h"
#include <string.h>

/* In place of GitHub's: tells people whose token it is. */
#define SIGNATURE ":hoop-agent"

static bool
is_host(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (!g_ascii_isalnum(text[i]) && text[i] != '.' && text[i] != '-')
      return false;
  return len > 0;
}

/* Behind the host: nothing, a port, a plain path. */
static bool
is_plain_rest(const char *text)
{
  size_t digits = *text == ':' ? strspn(text + 1, "0123456789") : 0;

  if (*text == ':' && (digits < 1 || digits > 5))
    return false;
  text += *text == ':' ? digits + 1 : 0;
  if (strstr(text, "/.") || (*text && *text != '/'))
    return false;
  for (; *text; text++)
    if (!g_ascii_isalnum(*text) && !strchr("/-_.", *text))
      return false;
  return true;
}

/* An endpoint is believed only where it stays with the connection's hosts, and
 * is written so that nobody can take it for another. */
static bool
believable(const Connection *connection, const char *url)
{
  static const char scheme[] = "https://";
  const char *host = url + strlen(scheme);
  g_autofree char *name = NULL;
  size_t len;

  if (!g_str_has_prefix(url, scheme))
    return false;
  len = strcspn(host, ":/");
  name = g_strndup(host, len);
  return is_host(host, len) && is_plain_rest(host + len) &&
         connection_governs(connection, name);
}

static void
remember(Connection *connection, const char *token, const Answer *answer)
{
  static const struct {
    const char *key;
    Service service;
  } keys[] = {
      {"api", SERVICE_API},
      {"proxy", SERVICE_PROXY},
      {"telemetry", SERVICE_TELEMETRY},
  };

  for (unsigned i = 0; token && i < G_N_ELEMENTS(keys); i++) {
    g_autofree char *base = g_strdup(answer_endpoint(answer, keys[i].key));

    while (base && g_str_has_suffix(base, "/"))
      base[strlen(base) - 1] = '\0';
    if (base && believable(connection, base))
      endpoints_set(connection->endpoints, token, keys[i].service, base);
  }
}

/* The client's session token: the same fields, because clients read them, but
 * its own dummy as id and no signature. GitHub's are tid=ID;FIELDS:SIGNATURE;
 * of anything else no part is passed on. */
static char *
dummy_token(const Secret *token, const char *client)
{
  const char *text = secret_text(token);
  const char *fields = strchr(text, ';');
  const char *end = strrchr(text, ':');

  if (!g_str_has_prefix(text, "tid=") || !fields || !end || end < fields)
    return g_strconcat("tid=", client, SIGNATURE, NULL);
  return g_strdup_printf(
      "tid=%s%.*s" SIGNATURE, client, (int)(end - fields), fields);
}

static GBytes *
fail(GError **error, const char *why)
{
  g_set_error_literal(error, CONN_ERROR, CONN_ERROR_CREDENTIAL, why);
  return NULL;
}

/* A token is told by its signature, which nothing else of an answer repeats. */
static bool
holds(GBytes *body, const Secret *token)
{
  size_t len;
  const char *bytes = g_bytes_get_data(body, &len);

  return g_strstr_len(bytes, (gssize)len, secret_text(token)) != NULL;
}

/* The real token goes to the session, the client gets its dummy. */
static GBytes *
swap_token(Connection *connection,
           const char *here,
           const char *client,
           const Answer *answer,
           GError **error)
{
  const Secret *token = answer_token(answer);
  g_autofree char *dummy = NULL;
  g_autoptr(GBytes) result = NULL;
  int64_t expires_s;

  if (!token || !answer_expires(answer, &expires_s))
    return fail(error, "the server's answer holds no token that expires");
  if (!client)
    return fail(error, "the client sent no token of its own");
  dummy = dummy_token(token, client);
  result = answer_edit(answer, dummy, here);
  if (holds(result, token))
    return fail(error, "the server's answer holds its token twice");
  session_offer(connection->session, token, expires_s);
  remember(connection, dummy, answer); /* what the client sends from now on */
  return g_steal_pointer(&result);
}

static GBytes *
localize(Connection *connection,
         Api api,
         const char *here,
         const char *client,
         const Answer *answer,
         GError **error)
{
  const Secret *token = answer_token(answer);

  if (api == API_TOKEN && connection->session)
    return swap_token(connection, here, client, answer, error);
  if (api == API_TOKEN)
    client = token ? secret_text(token) : NULL;
  remember(connection, client, answer);
  return answer_edit(answer, NULL, here);
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
  g_autoptr(GError) why = NULL;
  g_autoptr(Answer) answer = NULL;
  g_autofree char *here = NULL;
  GBytes *result = NULL;

  if (api != API_TOKEN && api != API_USER)
    return g_bytes_ref(body);
  /* Requests of the default connection come without its name. */
  if (base_url)
    here = g_str_equal(connection->name, CONN_DEFAULT)
               ? g_strdup(self)
               : g_strconcat(self, "/c/", connection->name, NULL);
  answer = answer_new(body, &why);
  if (answer)
    result = localize(connection, api, here, client, answer, &why);
  if (!result)
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CREDENTIAL,
                "connection %s, %s: %s",
                connection->name,
                api_name(api),
                why->message);
  return result;
}
