/* SPDX-License-Identifier: Apache-2.0 */
/* Short-lived session tokens, exchanged for the held credential: one exchange
 * at a time, everybody who needs it waits for the same. */
#include "conn/private.h"
#include "kit/clock.h"
#include <string.h>

/* A token is renewed when it has less than this left, so that it does not
 * expire on its way. */
#define MARGIN_S 120
/* Between tokens that are given up before their time. */
#define REJECT_S 30
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
  Secret *former; /* answers to requests with it may still come */
  int64_t expires_s;
  int64_t rejected_us; /* monotonic; when one was given up last, or 0 */
  GArray *waiters;
  UpstreamRequest *request;
  int status;
  bool too_long;
  Buf answer;
  GError *failed; /* to be told to the waiters from the loop */
  LoopTimer *later;
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

static void
forget(Session *session)
{
  if (session->token) {
    secret_unref(session->former);
    session->former = g_steal_pointer(&session->token);
  }
  session->expires_s = 0;
}

const char *
session_latest(const Session *session)
{
  return session->token ? secret_text(session->token) : NULL;
}

const char *
session_token(const Session *session)
{
  if (!session->token ||
      session->expires_s - MARGIN_S < clock_wall_us() / G_USEC_PER_SEC)
    return NULL;
  return secret_text(session->token);
}

static void
store(Session *session, const Secret *token, int64_t expires_s)
{
  forget(session);
  session->token = secret_ref((Secret *)token);
  session->expires_s = expires_s;
}

void
session_offer(Session *session, const Secret *token, int64_t expires_s)
{
  /* An answer that was long on its way may be to a former credential. */
  if (!session_token(session))
    store(session, token, expires_s);
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

  session->too_long =
      session->too_long || !buf_append(&session->answer, bytes, len);
  return true;
}

static bool
parse(Session *session, GError **error)
{
  g_autoptr(GBytes) body = buf_steal(&session->answer);
  g_autoptr(Answer) answer = NULL;
  int64_t expires_s;

  if (session->status == 200 && !session->too_long)
    answer = answer_new(body, NULL);
  if (answer && answer_token(answer) && answer_expires(answer, &expires_s)) {
    store(session, answer_token(answer), expires_s);
    return true;
  }
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

static void
start(Session *session, Upstream *upstream, Loop *loop, const char *credential)
{
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autofree char *bearer = g_strconcat("Bearer ", credential, NULL);
  g_autofree char *url =
      g_strconcat(connection_base(session->connection, SERVICE_ACCOUNT, NULL),
                  token_path,
                  NULL);
  UpstreamSpec spec = {.method = "GET", .url = url, .headers = headers};

  http_headers_add(headers, "Authorization", bearer);
  http_headers_add(headers, "Accept", "application/json");
  http_headers_add(headers, "Accept-Encoding", "identity");
  http_headers_add(headers, "User-Agent", "hoop-agent");
  secret_wipe(bearer, strlen(bearer));
  session->status = 0;
  session->too_long = false;
  buf_clear(&session->answer);
  session->request =
      upstream_send(upstream, &spec, &events, session, &session->failed);
  if (session->request)
    return;
  if (!session->later)
    session->later = loop_timer_new(loop, tell_failed, session);
  loop_timer_set(session->later, 0);
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

  g_array_append_val(session->waiters, waiter);
  if (!session->request && !session->failed)
    start(session, upstream, loop, credential);
}

void
session_renew(Session *session,
              Upstream *upstream,
              Loop *loop,
              const char *credential)
{
  forget(session);
  if (!session->request)
    return;
  upstream_request_cancel(session->request);
  session->request = NULL;
  start(session, upstream, loop, credential);
}

static bool
is_token(const Secret *secret, const char *token)
{
  return secret && secret_equal(secret, token, strlen(token));
}

bool
session_reject(Session *session, const char *token)
{
  const int64_t now_us = clock_mono_us();

  /* Who asked first has seen to it. */
  if (!is_token(session->token, token))
    return is_token(session->former, token);
  if (session->rejected_us &&
      now_us - session->rejected_us < REJECT_S * G_USEC_PER_SEC)
    return false;
  session->rejected_us = now_us;
  forget(session);
  return true;
}

void
session_free(Session *session)
{
  g_autoptr(GError) stopping = NULL;

  if (!session)
    return;
  if (session->request)
    upstream_request_cancel(g_steal_pointer(&session->request));
  stopping = g_error_new_literal(
      CONN_ERROR, CONN_ERROR_CREDENTIAL, "hoop-agent is stopping");
  tell(session, stopping);
  forget(session);
  secret_unref(session->former);
  g_array_unref(session->waiters);
  buf_clear(&session->answer);
  g_clear_error(&session->failed);
  loop_timer_free(session->later);
  g_free(session);
}

bool
session_stands_in(const Session *session, const void *bytes, size_t len)
{
  return secret_stands_in(session->token, bytes, len);
}

void
session_secrets(const Session *session, GPtrArray *out)
{
  if (session->token)
    g_ptr_array_add(out, secret_ref(session->token));
  if (session->former)
    g_ptr_array_add(out, secret_ref(session->former));
}
