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
  UPSTREAM_ERROR_CONNECT,  /* refused, unreachable, timed out, or ended inside
                              the TLS handshake */
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
  bool plain_loopback; /* http:// URLs to 127.0.0.0/8, ::1 and localhost, too */
  const char *group;   /* of agent.conf, whose ca-file messages name; NULL:
                          "upstream". Static text */
} UpstreamOptions;

/* Binds to `loop`; all calls and callbacks on its thread. Options are copied.
 * TLS 1.2 or newer, peer and name verified (RFC 5280, RFC 6125; no common
 * names), SECLEVEL 2 strength, forward secrecy, no SHA-1 signatures, stapled
 * revocation honoured; no redirects are followed, no cookies kept,
 * Accept-Encoding is the caller's, the environment is never read.
 *
 * A request that finds its pooled connection closed by the server, without a
 * byte of answer, is sent again on a new one, once, when nothing of it had left
 * or when its method is idempotent (RFC 9110 section 9.2.2); any other ends
 * with CUT, because the server may have acted on it.
 *
 * Fails with UPSTREAM_ERROR_TLS when ca_file cannot be read or there are no
 * trust anchors at all, with UPSTREAM_ERROR_PROXY when proxy is no such URL.
 * ca_file and the system's bundle are read again when they change; that
 * reaches new connections only. */
Upstream *upstream_new(Loop *loop,
                       const UpstreamOptions *options,
                       GError **error);
/* Cancels what runs (done is called with CANCELLED). Accepts NULL. Not from
 * inside a callback of this room. */
void upstream_free(Upstream *upstream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Upstream, upstream_free)

typedef struct {
  /* The final head (1xx are consumed). Called once, before any data; headers
   * become the callee's. They are as received, at most 64 KiB, with framing
   * fields that do not contradict each other. */
  void (*head)(int status, HttpHeaders *headers, void *data);
  /* Body bytes as they arrive, transfer coding removed, content coding kept.
   * Return false to pause after these bytes (they were taken): nothing more
   * is read until upstream_request_resume(), except that done may follow
   * when these were the last ones. HTTP/2 peers may have up to 32 MiB in
   * flight for a paused stream, which are kept. Trailers are dropped. */
  bool (*body)(const uint8_t *bytes, size_t len, void *data);
  /* The last call: error is NULL for a complete answer, otherwise of
   * UPSTREAM_ERROR with a message for the user that names the host and what
   * to do. The request is freed afterwards. Never called from inside
   * upstream_send(). */
  void (*done)(const GError *error, void *data);
} UpstreamEvents;

typedef struct {
  const char *method; /* a token as RFC 9110 has it; not CONNECT */
  const char *url;    /* https://host[:port]/raw-path?query, sent as is; http://
                         only with plain_loopback */
  const HttpHeaders *headers; /* or NULL: sent as given, without Host, framing
                                 and hop-by-hop fields */
  const char *host_header;    /* Host to send instead of the URL's, or NULL */
  GBytes *body;               /* NULL: none (a body-less POST sends length 0) */
} UpstreamSpec;

/* Starts a request; the spec is not needed afterwards, the body is referenced.
 * Safe inside callbacks. On failure (UPSTREAM_ERROR_PROTOCOL: not https, a
 * malformed URL, method or Host, a HEAD with a body) NULL with error and no
 * callback. */
UpstreamRequest *upstream_send(Upstream *upstream,
                               const UpstreamSpec *spec,
                               const UpstreamEvents *events,
                               void *data,
                               GError **error);
/* Lets body bytes come again, never from inside this call. Safe inside
 * callbacks; nothing happens unless paused. */
void upstream_request_resume(UpstreamRequest *request);
/* Ends it without any further callback (an h1 connection is closed, an h2
 * stream reset). Safe inside callbacks; the request must not be used after. */
void upstream_request_cancel(UpstreamRequest *request);

/* A TCP connection to host:port (a name, an IPv4 or IPv6 address, brackets
 * optional), through the parent proxy where one applies, for blind tunnels:
 * done(fd or -1, error), never from inside this call. The fd is non-blocking,
 * close-on-exec and the caller's. Returns a handle for
 * upstream_connect_cancel(), valid until done. */
typedef struct upstream_connect UpstreamConnect;
UpstreamConnect *upstream_connect(Upstream *upstream,
                                  const char *host,
                                  uint16_t port,
                                  void (*done)(int fd,
                                               const GError *error,
                                               void *data),
                                  void *data);
/* Ends it without a callback. Safe inside callbacks. */
void upstream_connect_cancel(UpstreamConnect *connect);

/* The same trust and strength for TLS clients of other protocols; one thread
 * at a time. Fails as upstream_new() does for its ca_file. */
typedef struct upstream_tls UpstreamTls;
UpstreamTls *upstream_tls_new(const char *ca_file, GError **error);
/* Accepts NULL. After all contexts were freed. */
void upstream_tls_free(UpstreamTls *tls);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(UpstreamTls, upstream_tls_free)
/* A context for one connection to `host` (a name or an address), verified as
 * above; SSL_CTX_free() it. NULL with UPSTREAM_ERROR_PROTOCOL when host is
 * neither. */
SSL_CTX *upstream_tls_context(UpstreamTls *tls,
                              const char *host,
                              GError **error);
/* Why the handshake of such a connection failed, in a sentence that names the
 * host, and [group] ca-file where that would help; UPSTREAM_ERROR_TLS. Right
 * after the failure, on its thread. */
GError *upstream_tls_fault(const SSL *ssl, const char *host, const char *group);

#endif
