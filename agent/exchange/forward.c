/* SPDX-License-Identifier: Apache-2.0 */
/* The upstream leg: the request built anew from parsed parts, the credential
 * put in, sent; its events go to the answer. */
#include "exchange/state.h"

/* A session token that was revoked before its time: the client has seen
 * nothing yet, and the server did nothing, so the request goes out once more
 * with a fresh one. */
static bool
try_again(Exchange *exchange)
{
  if (exchange->renewed || exchange_is_gone(exchange) || exchange->answered ||
      !connection_rejected(exchange->connection, exchange->outgoing))
    return false;
  exchange->renewed = true;
  upstream_request_cancel(g_steal_pointer(&exchange->upstream));
  http_headers_free(g_steal_pointer(&exchange->outgoing));
  exchange_forward(exchange);
  return true;
}

static void
upstream_head(int status, HttpHeaders *headers, void *data)
{
  if (status == 401 && try_again(data))
    http_headers_free(headers);
  else
    answer_head(data, status, headers);
}

static bool
upstream_body(const uint8_t *bytes, size_t len, void *data)
{
  return answer_body(data, bytes, len);
}

static void
upstream_done(const GError *error, void *data)
{
  Exchange *exchange = data;

  exchange->upstream = NULL;
  answer_done(exchange, error);
}

static const UpstreamEvents upstream_events = {
    .head = upstream_head,
    .body = upstream_body,
    .done = upstream_done,
};

/* What the client said about the way to us, not about what it wants. */
static HttpHeaders *
rebuild_headers(Exchange *exchange)
{
  static const char *const ours[] = {"host",
                                     "content-length",
                                     "content-encoding",
                                     "accept-encoding",
                                     "expect",
                                     "forwarded",
                                     /* half a secret is not seen */
                                     "range",
                                     "if-range",
                                     "via",
                                     "x-forwarded-for",
                                     "x-forwarded-host",
                                     "x-forwarded-proto"};
  HttpHeaders *headers = http_headers_copy(exchange->request->headers);

  http_headers_remove_hop_by_hop(headers);
  for (unsigned i = 0; i < G_N_ELEMENTS(ours); i++)
    http_headers_remove(headers, ours[i]);
  /* What cannot be read would be refused: ask for what can. */
  http_headers_add(headers, "Accept-Encoding", "identity");
  return headers;
}

static void
authorized(const GError *error, void *data)
{
  Exchange *exchange = data;
  g_autoptr(GError) failed = NULL;
  UpstreamSpec spec;

  if (exchange_is_gone(exchange) || exchange->answered) {
    exchange_unref(exchange);
    return;
  }
  if (error) {
    exchange_refuse(exchange, "credential_unavailable", error->message);
    exchange_unref(exchange);
    return;
  }
  spec = (UpstreamSpec){
      .method = exchange->request->method,
      .url = exchange->route.url,
      .headers = exchange->outgoing,
      .body = g_bytes_get_size(exchange->forward) ? exchange->forward : NULL,
  };
  exchange->upstream = upstream_send(
      exchange->env->upstream, &spec, &upstream_events, exchange, &failed);
  if (!exchange->upstream)
    answer_done(exchange, failed);
  exchange_unref(exchange);
}

void
exchange_forward(Exchange *exchange)
{
  exchange->outgoing = rebuild_headers(exchange);
  connection_authorize(exchange->connection,
                       exchange->env->upstream,
                       exchange->env->loop,
                       exchange->route.api,
                       exchange->path,
                       exchange->outgoing,
                       authorized,
                       exchange_ref(exchange));
}
