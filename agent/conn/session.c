/* SPDX-License-Identifier: Apache-2.0 */
/* Short-lived session tokens, exchanged for the held credential: one exchange
 * at a time, everybody who needs it waits for the same. */
#include "conn/private.h"
#include "kit/clock.h"
#include <json-c/json.h>
#include <string.h>

/* A token is renewed when it has less than this left, so that it does not
 * expire on its way. */
#define MARGIN_S 120
/* GitHub's answer is about 2 KiB. */
#define MAX_ANSWER (64 * 1024)

static const char token_path[] = "/copilot_internal/v2/token";

typedef struct {
  void (*done)(const GError *error, void *data);
  void *data;
} Waiter;

struct session {
  Connection *connection;
  Secret *token;
  int64_t expires_s;
  GArray *waiters;
  UpstreamRequest *request;
  int status;
  Buf answer;
  GError *failed; /* to be told to the waiters from the loop */
};

Session *
session_new(Connection *connection)
{
  Session *session = g_new0(Session, 1);

  session->connection = connection;
  session->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
  buf_init(&session->answer, MAX_ANSWER);
  return session;
}

void
session_free(Session *session)
{
  if (!session)
    return;
  if (session->request)
    upstream_request_cancel(session->request);
  secret_unref(session->token);
  g_array_unref(session->waiters);
  buf_clear(&session->answer);
  g_clear_error(&session->failed);
  g_free(session);
}

void
session_forget(Session *session)
{
  g_clear_pointer(&session->token, secret_unref);
}

const char *
session_token(const Session *session)
{
  if (!session->token ||
      session->expires_s - MARGIN_S < clock_wall_us() / G_USEC_PER_SEC)
    return NULL;
  return secret_text(session->token);
}

bool
session_store(Session *session, const char *token, int64_t expires_s)
{
  if (!token || !*token) /* a JSON null is no token */
    return false;
  secret_unref(session->token);
  session->token = secret_new(token, strlen(token));
  session->expires_s = expires_s;
  return true;
}

static void
tell(Session *session, const GError *error)
{
  g_autoptr(GArray) waiters = session->waiters;

  session->waiters = g_array_new(FALSE, FALSE, sizeof(Waiter));
  for (unsigned i = 0; i < waiters->len; i++) {
    Waiter *waiter = &g_array_index(waiters, Waiter, i);

    waiter->done(error, waiter->data);
  }
}

static void
got_head(int status, HttpHeaders *headers, void *data)
{
  Session *session = data;

  session->status = status;
  http_headers_free(headers);
}

static bool
got_body(const uint8_t *bytes, size_t len, void *data)
{
  Session *session = data;

  if (!buf_append(&session->answer, bytes, len))
    session->status = 0; /* no token answer is so long */
  return true;
}

static bool
parse(Session *session, GError **error)
{
  g_autofree char *text =
      g_strndup((const char *)buf_bytes(&session->answer), session->answer.len);
  struct json_object *answer = NULL, *token = NULL, *expires = NULL;
  bool fine = false;

  if (session->status == 200)
    answer = json_tokener_parse(text);
  if (answer && json_object_object_get_ex(answer, "token", &token) &&
      json_object_object_get_ex(answer, "expires_at", &expires))
    fine = session_store(
        session, json_object_get_string(token), json_object_get_int64(expires));
  json_object_put(answer);
  secret_wipe(text, strlen(text));
  if (fine)
    return true;
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_CREDENTIAL,
              "connection %s: the credential was not exchanged for a session "
              "token (status %d%s); check that it is valid and may use Copilot",
              session->connection->name,
              session->status,
              session->status == 200 ? ", not readable" : "");
  return false;
}

static void
ended(const GError *error, void *data)
{
  Session *session = data;
  g_autoptr(GError) failed = NULL;

  session->request = NULL;
  if (!error && !parse(session, &failed))
    error = failed;
  buf_clear(&session->answer);
  tell(session, error);
}

static const UpstreamEvents events = {
    .head = got_head,
    .body = got_body,
    .done = ended,
};

static void
tell_failed(void *data)
{
  Session *session = data;
  g_autoptr(GError) failed = g_steal_pointer(&session->failed);

  tell(session, failed);
}

void
session_fetch(Session *session,
              Upstream *upstream,
              Loop *loop,
              const char *credential,
              void (*done)(const GError *error, void *data),
              void *data)
{
  Waiter waiter = {done, data};
  g_autoptr(HttpHeaders) headers = NULL;
  g_autofree char *bearer = NULL;
  g_autofree char *url = NULL;
  UpstreamSpec spec;

  g_array_append_val(session->waiters, waiter);
  if (session->request || session->failed)
    return;
  headers = http_headers_new();
  bearer = g_strconcat("Bearer ", credential, NULL);
  url = g_strconcat(connection_base(session->connection, SERVICE_ACCOUNT, NULL),
                    token_path,
                    NULL);
  http_headers_add(headers, "Authorization", bearer);
  http_headers_add(headers, "Accept", "application/json");
  http_headers_add(headers, "Accept-Encoding", "identity");
  http_headers_add(headers, "User-Agent", "hoop-agent");
  secret_wipe(bearer, strlen(bearer));
  spec = (UpstreamSpec){.method = "GET", .url = url, .headers = headers};
  session->status = 0;
  session->request =
      upstream_send(upstream, &spec, &events, session, &session->failed);
  if (!session->request)
    loop_defer(loop, tell_failed, session);
}
