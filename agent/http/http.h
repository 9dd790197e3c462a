/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1, server side: header lists, the strict request parser, one client
 * connection with or without TLS, and the error bodies of each API. */
#ifndef HOOP_HTTP_H
#define HOOP_HTTP_H

#include "kit/api.h"
#include "kit/buf.h"
#include "kit/loop.h"
#include <openssl/ssl.h>

#define HTTP_ERROR (http_error_quark())
GQuark http_error_quark(void);
typedef enum {
  HTTP_ERROR_BAD_REQUEST,    /* 400: framing or syntax that RFC 9112 forbids */
  HTTP_ERROR_HEAD_TOO_LARGE, /* 431: a head or trailer section */
  HTTP_ERROR_TOO_LARGE,      /* 413: a body, as sent or decoded */
  HTTP_ERROR_VERSION,        /* 505 */
  HTTP_ERROR_UNSUPPORTED,    /* 501: a transfer coding beside chunked */
  HTTP_ERROR_CODING          /* 400: a content coding unknown or broken */
} HttpErrorCode;

/* ---- Header lists ---------------------------------------------------- */

/* An ordered list of name/value pairs; names compare without case. Names and
 * values are valid per RFC 9110 section 5 (token; no control bytes). */
typedef struct http_headers HttpHeaders;

HttpHeaders *http_headers_new(void);
HttpHeaders *http_headers_copy(const HttpHeaders *headers);
void http_headers_free(HttpHeaders *headers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpHeaders, http_headers_free)

unsigned http_headers_count(const HttpHeaders *headers);
const char *http_headers_name(const HttpHeaders *headers, unsigned index);
const char *http_headers_value(const HttpHeaders *headers, unsigned index);
/* The first value, or NULL. */
const char *http_headers_get(const HttpHeaders *headers, const char *name);
/* How many fields of that name there are. */
unsigned http_headers_occurrences(const HttpHeaders *headers, const char *name);
/* True when a comma-separated field holds `token` (no case). */
bool http_headers_has_token(const HttpHeaders *headers,
                            const char *name,
                            const char *token);
/* False when the name is no token or the value holds control bytes; nothing
 * is added then. */
bool http_headers_add(HttpHeaders *headers,
                      const char *name,
                      const char *value);
/* Replaces all fields of that name by one. */
bool http_headers_set(HttpHeaders *headers,
                      const char *name,
                      const char *value);
void http_headers_remove(HttpHeaders *headers, const char *name);
/* Drops Connection and every field that it names, Keep-Alive, Proxy-*,
 * TE, Trailer, Transfer-Encoding, Upgrade (RFC 9110 section 7.6.1). */
void http_headers_remove_hop_by_hop(HttpHeaders *headers);

/* ---- Requests -------------------------------------------------------- */

typedef struct {
  char *method;    /* a token, case kept */
  char *target;    /* as received, raw: origin-form, authority-form or * */
  char *path;      /* target up to '?', raw (percent-encoding kept) */
  char *query;     /* after '?', raw, or NULL */
  char *authority; /* the one Host field, lower case, or CONNECT's target */
  bool http10;     /* HTTP/1.0, otherwise 1.1 */
  bool keep_alive; /* the client lets the connection go on */
  bool chunked;
  bool expect_continue;
  int64_t content_length; /* -1: none given or chunked; 0 and up */
  HttpHeaders *headers;
} HttpRequest;

void http_request_free(HttpRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpRequest, http_request_free)

/* Parses one request head (RFC 9112 sections 2 to 6) at the front of bytes.
 * `*consumed` becomes its length with the empty line, or 0 when more bytes
 * are needed (return true, *out NULL). Strict, because what is judged must be
 * what is meant; refused are: bare LF or CR, folded lines, white space before
 * the colon, control bytes, names that are no token, a missing or second
 * Host, Content-Length that is not 1*DIGIT or stands twice, Content-Length
 * beside Transfer-Encoding, any coding but one final "chunked",
 * Transfer-Encoding on HTTP/1.0, absolute-form other than http(s) with the
 * same authority, a target with bytes outside RFC 3986. `max_head`: bytes of
 * the whole head. Errors: HTTP_ERROR; the message names the fault and the
 * field's name, never its value. */
bool http_request_parse(const uint8_t *bytes,
                        size_t len,
                        size_t max_head,
                        HttpRequest **out,
                        size_t *consumed,
                        GError **error);

/* The status line that answers a parser's error. */
int http_error_status(const GError *error);

/* Chunked bodies, decoded in place (RFC 9112 section 7.1); extensions and
 * trailers are refused bytes-wise as strictly and then dropped. */
typedef struct {
  uint64_t left; /* of the current chunk */
  uint8_t state;
  unsigned line_len; /* of the current size or trailer line */
  unsigned trailers; /* bytes of trailer section so far */
} HttpChunked;

void http_chunked_init(HttpChunked *chunked);
/* Consumes from bytes[0..len) and appends decoded data to `out`; *consumed
 * tells how much; *done when the final chunk and its trailers ended. */
bool http_chunked_decode(HttpChunked *chunked,
                         const uint8_t *bytes,
                         size_t len,
                         size_t *consumed,
                         Buf *out,
                         bool *done,
                         GError **error);

/* ---- Content codings -------------------------------------------------- */

/* Incremental decoder of Content-Encoding: identity, gzip, deflate, br, zstd;
 * one coding, not a list. NULL with HTTP_ERROR_CODING when unknown. */
typedef struct http_decoder HttpDecoder;
HttpDecoder *http_decoder_new(const char *coding, GError **error);
void http_decoder_free(HttpDecoder *decoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpDecoder, http_decoder_free)
/* Appends what `bytes` decode to; fails beyond out->max or on broken data. */
bool http_decoder_feed(HttpDecoder *decoder,
                       const void *bytes,
                       size_t len,
                       Buf *out,
                       GError **error);
/* At the end of the body: fails when the coded data are not complete. */
bool http_decoder_finish(HttpDecoder *decoder, GError **error);

/* ---- One client connection -------------------------------------------- */

typedef struct http_conn HttpConn;

typedef struct {
  size_t max_head;             /* bytes of a request head */
  unsigned first_byte_timeout; /* s to a complete request head (or handshake) */
  unsigned idle_timeout;       /* s between requests and without progress */
  size_t high_water;           /* bytes waiting to be written: send says stop */
} HttpConnLimits;

/* What the owner of a connection is told; all on the loop's thread. */
typedef struct {
  /* A request head is complete; *request is the owner's. Body bytes follow
   * only after http_conn_read_body(). */
  void (*request)(HttpConn *conn, HttpRequest *request, void *data);
  /* Decoded body bytes (chunked framing removed), then body_end once. A bad
   * or oversized frame answers 400 by itself and ends in `closed`. */
  void (*body)(HttpConn *conn, const uint8_t *bytes, size_t len, void *data);
  void (*body_end)(HttpConn *conn, void *data);
  /* The answer's last byte was handed to the kernel; the next request may
   * come. */
  void (*finished)(HttpConn *conn, void *data);
  /* Output fell below half of high_water after a send said stop. */
  void (*writable)(HttpConn *conn, void *data);
  /* The client left or broke, a time limit ended it, or http_conn_abort()
   * was called; the last call, the connection frees itself after it. */
  void (*closed)(HttpConn *conn, void *data);
} HttpConnEvents;

/* Takes ownership of a connected non-blocking socket. ssl_ctx: NULL for plain
 * HTTP, otherwise a TLS handshake as server comes first (the context selects
 * the certificate by its servername callback). `early`: bytes already read
 * from the socket, in front of what it still holds (plain only). TCP_NODELAY
 * is set; during the handshake TCP_QUICKACK too, so that clients with Nagle's
 * algorithm do not wait 40 ms. */
HttpConn *http_conn_new(Loop *loop,
                        int fd,
                        SSL_CTX *ssl_ctx,
                        const HttpConnLimits *limits,
                        const HttpConnEvents *events,
                        void *data);
/* Changes who is told. */
void http_conn_set_data(HttpConn *conn, void *data);
void *http_conn_data(const HttpConn *conn);
Loop *http_conn_loop(const HttpConn *conn);
int http_conn_fd(const HttpConn *conn);
/* The name that the client asked for in its TLS handshake (lower case), or
 * NULL. */
const char *http_conn_sni(const HttpConn *conn);
bool http_conn_is_tls(const HttpConn *conn);

/* Lets body bytes come (and sends 100 Continue when the client expects it).
 * Without a body body_end follows from the loop, never from inside this call.
 */
void http_conn_read_body(HttpConn *conn);
/* Back-pressure: stop and go on reading body bytes. A client's disconnect is
 * noticed all the same. */
void http_conn_pause_body(HttpConn *conn, bool pause);

typedef enum {
  HTTP_BODY_NONE,   /* HEAD, 1xx, 204, 304: never a body */
  HTTP_BODY_SIZED,  /* content_length bytes follow */
  HTTP_BODY_CHUNKED /* until http_conn_end(); HTTP/1.0 clients get the bytes
                       raw and the connection closed */
} HttpBodyKind;

/* Sends the status line and headers. `headers` must be free of framing
 * fields; Date, Content-Length or Transfer-Encoding and Connection are added.
 * An answer before the request's body was read whole closes the connection
 * after it (a small rest is drained first). */
void http_conn_send_head(HttpConn *conn,
                         int status,
                         const HttpHeaders *headers,
                         HttpBodyKind kind,
                         int64_t content_length);
/* Queues body bytes and writes at once what the socket takes: one call, one
 * chunk, one TLS record while they fit. Returns false when more than
 * high_water bytes wait: stop until `writable` (the bytes were taken). */
bool http_conn_send(HttpConn *conn, const void *bytes, size_t len);
/* The answer is complete. Sized answers must have been sent whole. */
void http_conn_end(HttpConn *conn);
/* Head and body of a small complete answer. */
void http_conn_reply(HttpConn *conn,
                     int status,
                     const HttpHeaders *headers,
                     const char *content_type,
                     const void *body,
                     size_t len);
/* Closes after the current answer. */
void http_conn_close_after(HttpConn *conn);
/* Resets the connection now; `closed` follows from the loop. */
void http_conn_abort(HttpConn *conn);

/* ---- Error bodies ------------------------------------------------------ */

/* The JSON (or for API_MCP JSON-RPC) error object that clients of this API
 * show to their user: {"error":{"message","type","code",…}}; Anthropic's
 * {"type":"error","error":{"type","message"}}. code e.g. "policy_denied". */
char *http_error_body(Api api,
                      int status,
                      const char *code,
                      const char *message);
/* A fresh id for x-github-request-id, in that header's usual form. */
char *http_request_id_new(void);

#endif
