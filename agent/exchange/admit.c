/* SPDX-License-Identifier: Apache-2.0 */
/* Before a body is read: who asks, is the agent ready for it, where would it
 * go; everything that can be refused without reading is refused here. */
#include "exchange/state.h"
#include "kit/clock.h"

/* How long a request waits for a session that is being renewed, as after a
 * suspend in which it ended, and how often it looks. */
#define RENEWAL_WAIT_US (10 * G_USEC_PER_SEC)
#define RENEWAL_LOOK_MS 50

/* Clients fall back to HTTP at once on 426, and only on 426. */
static bool
refuse_upgrade(Exchange *exchange)
{
  const HttpHeaders *headers = exchange->request->headers;

  if (!http_headers_has_token(headers, "connection", "upgrade") ||
      !http_headers_get(headers, "upgrade"))
    return false;
  exchange_fail(exchange,
                426,
                "upgrade_refused",
                "WebSocket is not inspected here. Use HTTP.");
  return true;
}

/* RFC 9110 section 10.1.1: one that cannot be met is not passed over. */
static bool
refuse_expectation(Exchange *exchange)
{
  const HttpHeaders *headers = exchange->request->headers;
  bool met = true;

  for (unsigned i = 0; i < http_headers_count(headers); i++)
    if (g_ascii_strcasecmp(http_headers_name(headers, i), "expect") == 0 &&
        g_ascii_strcasecmp(http_headers_value(headers, i), "100-continue") != 0)
      met = false;
  if (met)
    return false;
  exchange_fail(exchange,
                417,
                "expectation_failed",
                "No expectation but 100-continue is met here. Leave out the "
                "Expect field.");
  return true;
}

bool
refuse_paused(Exchange *exchange)
{
  const char *why = exchange->env->paused;
  g_autofree char *message = NULL;

  if (!why)
    return false;
  message = g_strdup_printf("hoop-agent is paused %s", why);
  exchange_refuse(exchange, "agent_paused", message);
  return true;
}

static bool
ready(Exchange *exchange)
{
  ExchangeEnv *env = exchange->env;
  g_autofree char *sick = NULL;
  g_autofree char *message = NULL;

  if (env->draining) {
    http_conn_close_after(exchange->conn);
    exchange_fail(exchange,
                  503,
                  "agent_stopping",
                  "hoop-agent is stopping. Try again when it runs.");
    return false;
  }
  if (refuse_paused(exchange))
    return false;
  sick = env->journal ? journal_health(env->journal) : NULL;
  if (sick) {
    message = g_strdup_printf("Nothing is forwarded that cannot be recorded: "
                              "%s. See `hoop-agent status`.",
                              sick);
    exchange_refuse(exchange, "journal_unavailable", message);
    return false;
  }
  return true;
}

/* Nobody is signed in: again(exchange) is called soon when that may change by
 * itself, else false. */
static bool
wait_for_renewal(Exchange *exchange, LoopFunc again)
{
  ExchangeEnv *env = exchange->env;
  const int64_t now = clock_mono_us();

  if (!identity_is_renewing(env->identity,
                            connection_issuer(exchange->connection)))
    return false;
  if (!exchange->wait) {
    exchange->wait = loop_timer_new(env->loop, again, exchange);
    exchange->wait_until_us = now + RENEWAL_WAIT_US;
  }
  if (now >= exchange->wait_until_us || env->draining)
    return false;
  loop_timer_set(exchange->wait, RENEWAL_LOOK_MS);
  return true;
}

/* Who is signed in, a new reference; NULL after a refusal, or while
 * again(exchange) will be called. `why` begins the refusal. */
static const Person *
person_now(Exchange *exchange, const char *why, LoopFunc again)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *message = NULL;
  const Person *person = identity_current(
      exchange->env->identity, connection_issuer(exchange->connection), &error);

  if (!person && wait_for_renewal(exchange, again))
    return NULL;
  g_clear_pointer(&exchange->wait, loop_timer_free);
  if (person)
    return person;
  message = g_strconcat(why, error->message, NULL);
  exchange_refuse(exchange, "not_signed_in", message);
  return NULL;
}

static bool
identify(Exchange *exchange, LoopFunc again)
{
  g_autoptr(GError) error = NULL;
  const char *client;

  exchange->person = person_now(exchange, "", again);
  if (!exchange->person)
    return false;
  if (!connection_holds_credential(exchange->connection)) {
    client = exchange->caller->processes ? exchange->caller->processes[0]
                                         : "unknown";
    exchange->client = g_strdup(client);
    return true;
  }
  client = connection_client(
      exchange->connection, exchange->request->headers, &error);
  if (!client) {
    exchange_fail(exchange, 401, "unknown_client", error->message);
    return false;
  }
  exchange->client = g_strdup(client);
  return true;
}

#define ENDED                                                                  \
  "The session that this request was made in ended before it could be "        \
  "forwarded. "

bool
exchange_signed_in(Exchange *exchange, LoopFunc again)
{
  g_autoptr(PersonRef) now = person_now(exchange, ENDED, again);

  if (!now)
    return false;
  if (g_str_equal(now->subject, exchange->person->subject) &&
      g_str_equal(now->issuer, exchange->person->issuer))
    return true;
  exchange_refuse(exchange,
                  "not_signed_in",
                  ENDED "Send it again: somebody else is signed in.");
  return false;
}

const char *
exchange_bearer(const Exchange *exchange)
{
  const char *value =
      http_headers_get(exchange->request->headers, "authorization");

  if (value && g_ascii_strncasecmp(value, "bearer ", 7) == 0)
    return value + 7;
  if (value && g_ascii_strncasecmp(value, "token ", 6) == 0)
    return value + 6; /* GitHub's older form */
  return NULL;
}

static bool
route(Exchange *exchange)
{
  const HttpRequest *request = exchange->request;
  g_autoptr(GError) error = NULL;

  if (connection_route(exchange->connection,
                       exchange->connect_host,
                       request->method,
                       exchange->path,
                       request->query,
                       exchange_bearer(exchange),
                       &exchange->route,
                       &error))
    return true;
  exchange_fail(exchange, 404, "unknown_path", error->message);
  return false;
}

static void
known_caller(void *data)
{
  Exchange *exchange = data;

  if (exchange_is_gone(exchange) || exchange->answered)
    return;
  if (!identify(exchange, known_caller) || !head_allowed(exchange))
    return;
  if (exchange->request->content_length >
      (int64_t)exchange->env->limits.max_body) {
    exchange_fail(exchange,
                  413,
                  "body_too_large",
                  "The request body is larger than [limits] max-body allows. "
                  "Send less context, or ask who runs the agent to raise it.");
    return;
  }
  http_conn_read_body(exchange->conn);
}

/* Of two the agent would read one and the server the other. */
static bool
refuse_doubles(Exchange *exchange)
{
  const HttpHeaders *headers = exchange->request->headers;

  if (http_headers_occurrences(headers, "content-type") < 2 &&
      http_headers_occurrences(headers, "content-encoding") < 2)
    return false;
  exchange_refuse(exchange,
                  "body_not_readable",
                  "Content-Type or Content-Encoding stands twice.");
  return true;
}

void
exchange_admit(Exchange *exchange)
{
  /* The route comes first: it names the API, so that every refusal after it
   * has that API's form. */
  if (!route(exchange) || refuse_upgrade(exchange) ||
      refuse_expectation(exchange) || refuse_doubles(exchange) ||
      !ready(exchange))
    return;
  if (exchange->caller->resolved) {
    known_caller(exchange);
    return;
  }
  caller_wait(exchange->caller, exchange->env->loop, known_caller, exchange);
}
