/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the real servers: libcurl's multi interface on one loop, with
 * verified TLS, a pool of connections, parent proxies and back-pressure. */
#ifndef HOOP_UPSTREAM_H
#define HOOP_UPSTREAM_H

#include "http/http.h"
#include "kit/loop.h"
#include "kit/secret.h"

#define UPSTREAM_ERROR (upstream_error_quark())
GQuark upstream_error_quark(void);
typedef enum {
  UPSTREAM_ERROR_RESOLVE,  /* the name is unknown */
  UPSTREAM_ERROR_CONNECT,  /* refused, unreachable, timed out */
  UPSTREAM_ERROR_PROXY,    /* the parent proxy refused; 407 says credentials */
  UPSTREAM_ERROR_TLS,      /* certificate or handshake; the message says why */
  UPSTREAM_ERROR_CUT,      /* ended before its framing said so, or reset */
  UPSTREAM_ERROR_TIMEOUT,  /* no byte for idle_timeout seconds */
  UPSTREAM_ERROR_PROTOCOL, /* not HTTP, too large a head */
  UPSTREAM_ERROR_CANCELLED
} UpstreamErrorCode;

typedef struct upstream Upstream;
typedef struct upstream_request UpstreamRequest;

typedef struct {
  const char *proxy;        /* http://host:port, or NULL: direct. The agent's
                               environment is read by config, never by curl */
  const char *no_proxy;     /* curl's syntax, or NULL */
  Secret *proxy_userpwd;    /* user:password for Basic, or NULL */
  const char *ca_file;      /* PEM with more trust anchors, or NULL: system's */
  unsigned connect_timeout; /* s */
  unsigned idle_timeout;    /* s without a byte from the server */
  unsigned max_connections; /* per host; 0: no limit */
  bool http2;               /* offer h2 by ALPN */
} UpstreamOptions;

/* Binds to `loop`; all calls and callbacks on its thread. TLS 1.2 or newer,
 * peer and name verified, SECLEVEL 2 strength, no SHA-1 signatures; no
 * redirects are followed, no cookies kept, Accept-Encoding is the caller's. */
Upstream *upstream_new(Loop *loop,
                       const UpstreamOptions *options,
                       GError **error);
/* Cancels what runs (done is called with CANCELLED). Accepts NULL. */
void upstream_free(Upstream *upstream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Upstream, upstream_free)

typedef struct {
  /* The final head (1xx are consumed). Called once, before any data. */
  void (*head)(int status, HttpHeaders *headers, void *data);
  /* Body bytes as they arrive, transfer coding removed, content coding kept.
   * Return false to pause after these bytes (they were taken) until
   * upstream_request_resume(). */
  bool (*body)(const uint8_t *bytes, size_t len, void *data);
  /* The last call: error is NULL for a complete answer. The request is freed
   * afterwards. Never called from inside upstream_send(). */
  void (*done)(const GError *error, void *data);
} UpstreamEvents;

typedef struct {
  const char *method;
  const char *url; /* https://host[:port]/raw-path?query, sent as is */
  const HttpHeaders *headers; /* sent as given, without framing and Host */
  const char *host_header;    /* Host to send instead of the URL's, or NULL */
  GBytes *body;               /* NULL: none (a body-less POST sends length 0) */
} UpstreamSpec;

/* Starts a request. On failure NULL with error and no callback. */
UpstreamRequest *upstream_send(Upstream *upstream,
                               const UpstreamSpec *spec,
                               const UpstreamEvents *events,
                               void *data,
                               GError **error);
/* Safe inside callbacks. */
void upstream_request_resume(UpstreamRequest *request);
/* Ends it without any further callback (an h1 connection is closed, an h2
 * stream reset). */
void upstream_request_cancel(UpstreamRequest *request);

/* A TCP connection to host:port, through the parent proxy where one applies,
 * for blind tunnels: done(fd or -1, error). The fd is non-blocking and the
 * caller's. Returns a handle for upstream_connect_cancel(), valid until done.
 */
typedef struct upstream_connect UpstreamConnect;
UpstreamConnect *upstream_connect(Upstream *upstream,
                                  const char *host,
                                  uint16_t port,
                                  void (*done)(int fd,
                                               const GError *error,
                                               void *data),
                                  void *data);
void upstream_connect_cancel(UpstreamConnect *connect);

#endif
