/* SPDX-License-Identifier: Apache-2.0 */
/* Where a connection leads, tried as the daemon would call it: each place
 * answers over verified TLS, and the held credential is taken. */
#include "daemon/private.h"
#include <string.h>

/* What neither answers nor fails in this time is told so. */
#define TRY_S 20
/* Where the answers' shape depends on a version, this one. */
#define ANTHROPIC_VERSION "2023-06-01"

typedef struct {
  Loop *loop;
  Upstream *upstream;
  Connection *connection;
  UpstreamRequest *request;
  LoopTimer *timer;
  HttpHeaders *headers;
  char *url;
  int64_t began_us;
  Tried tried;
} Try;

/* ---- One request ----------------------------------------------------------
 */

static void
end(Try *attempt, const char *fault)
{
  attempt->tried.us = g_get_monotonic_time() - attempt->began_us;
  g_free(attempt->tried.fault);
  attempt->tried.fault = g_strdup(fault);
  loop_quit(attempt->loop);
}

/* The head says all: what follows is not read. */
static void
on_head(int status, HttpHeaders *headers, void *data)
{
  Try *attempt = data;

  http_headers_free(headers);
  attempt->tried.status = status;
  upstream_request_cancel(g_steal_pointer(&attempt->request));
  end(attempt, NULL);
}

static bool
on_body(const uint8_t *bytes, size_t len, void *data)
{
  (void)bytes, (void)len, (void)data;
  return true;
}

static void
on_done(const GError *error, void *data)
{
  Try *attempt = data;

  attempt->request = NULL;
  end(attempt, error ? error->message : "the server ended without an answer");
}

static void
too_late(void *data)
{
  Try *attempt = data;

  if (attempt->request)
    upstream_request_cancel(g_steal_pointer(&attempt->request));
  end(attempt, "no answer within " G_STRINGIFY(TRY_S) " s");
}

static void
send_now(const GError *fault, void *data)
{
  static const UpstreamEvents events = {on_head, on_body, on_done};
  Try *attempt = data;
  g_autoptr(GError) error = NULL;

  if (fault) {
    attempt->tried.refused = fault->domain == CONN_ERROR;
    end(attempt, fault->message);
    return;
  }
  attempt->request = upstream_send(attempt->upstream,
                                   &(UpstreamSpec){.method = "GET",
                                                   .url = attempt->url,
                                                   .headers = attempt->headers},
                                   &events,
                                   attempt,
                                   &error);
  if (error)
    end(attempt, error->message);
}

static void
begin(Try *attempt, const char *what, char *url)
{
  g_free(attempt->url);
  attempt->url = url;
  http_headers_free(attempt->headers);
  attempt->headers = http_headers_new();
  http_headers_set(attempt->headers, "User-Agent", "hoop-agent");
  http_headers_set(attempt->headers, "Accept", "application/json");
  attempt->tried.what = what;
  attempt->tried.url = url;
  attempt->tried.status = 0;
  attempt->tried.refused = false;
  attempt->began_us = g_get_monotonic_time();
  loop_timer_set(attempt->timer, TRY_S * 1000);
}

/* ---- All of a connection ---------------------------------------------------
 */

static void
try_places(Try *attempt, TriedFunc tried, void *data)
{
  const char *base = NULL, *what;

  for (unsigned i = 0; (what = connection_place(attempt->connection, i, &base));
       i++) {
    begin(attempt, what, g_strconcat(base, "/", NULL));
    send_now(NULL, attempt);
    loop_run(attempt->loop);
    tried(&attempt->tried, data);
  }
}

/* As a client's request would carry it: with what it is exchanged for. */
static void
try_credential(Try *attempt, TriedFunc tried, void *data)
{
  begin(attempt, "credential", connection_probe(attempt->connection));
  http_headers_set(attempt->headers, "anthropic-version", ANTHROPIC_VERSION);
  connection_authorize(attempt->connection,
                       attempt->upstream,
                       attempt->loop,
                       API_MODELS,
                       "/models",
                       attempt->headers,
                       send_now,
                       attempt);
  loop_run(attempt->loop);
  tried(&attempt->tried, data);
}

static void
try_clear(Try *attempt)
{
  upstream_free(attempt->upstream);
  loop_timer_free(attempt->timer);
  http_headers_free(attempt->headers);
  g_free(attempt->url);
  g_free(attempt->tried.fault);
}

bool
daemon_try_connection(const Config *config,
                      const char *name,
                      bool credential,
                      TriedFunc tried,
                      void *data,
                      GError **error)
{
  g_autoptr(Secret) userpwd = NULL;
  g_autoptr(Loop) loop = NULL;
  g_autoptr(ConnTable) table = NULL;
  UpstreamOptions options;
  Try attempt = {0};
  unsigned n;

  if (!daemon_upstream_options(config, &options, &userpwd, error) ||
      !(table = conn_table_new_one(config, name, credential, error)) ||
      !(loop = loop_new(error)))
    return false;
  attempt.upstream = upstream_new(loop, &options, error);
  if (!attempt.upstream)
    return false;
  attempt.loop = loop;
  attempt.connection = conn_table_all(table, &n)[0];
  attempt.timer = loop_timer_new(loop, too_late, &attempt);
  try_places(&attempt, tried, data);
  if (connection_holds_credential(attempt.connection))
    try_credential(&attempt, tried, data);
  /* Who waits for a token is told before its upstream ends. */
  g_clear_pointer(&table, conn_table_free);
  try_clear(&attempt);
  return true;
}
