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
  char *target;    /* as received, raw, in any of the four forms */
  char *path;      /* the target's path, raw (percent-encoding kept); "/" where
                      absolute-form has none, "*" for OPTIONS *, "" for
                      CONNECT */
  char *query;     /* after '?', raw, or NULL */
  char *authority; /* the one Host field, or CONNECT's target; lower case */
  bool http10;     /* HTTP/1.0, otherwise 1.1 */
  bool keep_alive; /* the client lets the connection go on */
  bool chunked;
  bool expect_continue;   /* a body follows when it was asked for */
  int64_t content_length; /* -1: none given or chunked; 0 and up */
  HttpHeaders *headers;   /* all fields, framing's too */
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
 * same authority, a target with bytes outside RFC 3986, CONNECT with a body,
 * more than 256 fields. One empty line in front is forgiven; CONNECT on
 * HTTP/1.0 may lack Host. `max_head`: bytes of the whole head. A head that
 * arrives in pieces gives the result of the whole. Errors: HTTP_ERROR; the
 * message names the fault and the field's name, never its value. */
bool http_request_parse(const uint8_t *bytes,
                        size_t len,
                        size_t max_head,
                        HttpRequest **out,
                        size_t *consumed,
                        GError **error);

/* The status line that answers a parser's error. */
int http_error_status(const GError *error);

/* Chunked bodies (RFC 9112 section 7.1); extensions and trailers must follow
 * the grammar byte by byte and are then dropped. Fields are private. */
typedef struct {
  uint64_t left; /* of the current chunk */
  uint8_t state;
  unsigned line_len; /* of the current size or trailer line */
  unsigned trailers; /* bytes of trailer section so far */
} HttpChunked;

void http_chunked_init(HttpChunked *chunked);
/* Consumes from bytes[0..len) and appends decoded data to `out`; *consumed
 * tells how much; *done when the final chunk and its trailers ended. Errors:
 * HTTP_ERROR, TOO_LARGE beyond out->max. */
bool http_chunked_decode(HttpChunked *chunked,
                         const uint8_t *bytes,
                         size_t len,
                         size_t *consumed,
                         Buf *out,
                         bool *done,
                         GError **error);

/* ---- Content codings -------------------------------------------------- */

/* Incremental decoder of Content-Encoding: identity, gzip (x-gzip; several
 * members), deflate (zlib's format, or bare as browsers tolerate it), br,
 * zstd (several frames, windows up to 8 MiB); without case, one coding, not a
 * list. NULL with HTTP_ERROR_CODING when unknown. */
typedef struct http_decoder HttpDecoder;
HttpDecoder *http_decoder_new(const char *coding, GError **error);
void http_decoder_free(HttpDecoder *decoder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpDecoder, http_decoder_free)
/* Appends what `bytes` decode to. HTTP_ERROR_TOO_LARGE beyond out->max (what
 * fits was appended), HTTP_ERROR_CODING on broken data or bytes behind their
 * end; the decoder is of no use then. */
bool http_decoder_feed(HttpDecoder *decoder,
                       const void *bytes,
                       size_t len,
                       Buf *out,
                       GError **error);
/* At the end of the body: fails when the coded data are not complete. A body
 * without a single byte is complete in every coding. */
bool http_decoder_finish(HttpDecoder *decoder, GError **error);

/* ---- One client connection -------------------------------------------- */

/* HTTP/1.1 over one socket: requests one after another (a pipelined one waits
 * until the answer before it ended), keep-alive, both framings each way, 100
 * Continue, HTTP/1.0 clients, time limits. All calls and events on the loop's
 * thread; no event is called from inside a http_conn_ function. What a client
 * gets wrong (framing, size, time) is answered here with a JSON error body,
 * x-github-request-id and Connection: close, and the connection then waits a
 * moment for the client to close, so that no reset overtakes the answer.
 *
 * A client that closes its direction while its request has no answer yet is
 * taken to have left, and so is a TLS client at any time. A plain one that
 * only half-closes after the answer began gets the rest of it, until a write
 * fails.
 *
 * Writing to a TLS connection that the client reset raises SIGPIPE: programs
 * ignore that signal. */
typedef struct http_conn HttpConn;

typedef struct {
  size_t max_head;             /* bytes of a request head */
  unsigned first_byte_timeout; /* s to a complete TLS handshake, to the first
                                  complete head, and from the first byte of a
                                  later head to its end */
  unsigned idle_timeout;       /* s between requests; within a body without a
                                  byte; without the client taking output. An
                                  owner may take any time to answer */
  size_t high_water;           /* bytes waiting to be written: send says stop */
} HttpConnLimits;

/* What the owner of a connection is told; all on the loop's thread. */
typedef struct {
  /* A request head is complete; *request is the owner's. Body bytes follow
   * only after http_conn_read_body(). */
  void (*request)(HttpConn *conn, HttpRequest *request, void *data);
  /* Decoded body bytes (chunked framing removed), then body_end once. None
   * of both after http_conn_end(). Bad framing is answered by the connection
   * and ends in `closed`; what the owner then says is ignored. */
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

/* Takes ownership of a connected non-blocking socket (TCP or Unix); what was
 * peeked at must still be in it. ssl_ctx: NULL for plain HTTP, otherwise a
 * TLS handshake as server comes first, from the loop (the context selects the
 * certificate by its servername callback). Limits are copied, `events` must
 * live as long as the connection. TCP_NODELAY is set; TCP_QUICKACK too
 * whenever the client is to go on, so that one with Nagle's algorithm does
 * not wait 40 ms. Never NULL: a failure is told by `closed`. */
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
bool http_conn_is_tls(const HttpConn *conn);
/* The TLS object, for ex_data that the context's callbacks look at; NULL on a
 * plain connection. */
SSL *http_conn_ssl(const HttpConn *conn);
/* The name that the client asked for in its TLS handshake (lower case), or
 * NULL where it gave none or no host name. Known from the end of the
 * handshake, failed or not. */
const char *http_conn_sni(const HttpConn *conn);
/* In `closed`: why the connection ended, e.g. "tlsv1 alert unknown ca" or
 * "the request head took too long"; NULL when nothing was wrong. Never holds
 * a field's value. */
const char *http_conn_error(const HttpConn *conn);

/* Lets body bytes come (and sends 100 Continue when the client expects it).
 * Without a body body_end follows from the loop, never from inside this call.
 */
void http_conn_read_body(HttpConn *conn);
/* Back-pressure: stop and go on reading body bytes; body_end waits, too. A
 * client's disconnect is noticed all the same, unless it waits in the kernel
 * behind bytes that were not read. */
void http_conn_pause_body(HttpConn *conn, bool pause);

typedef enum {
  HTTP_BODY_NONE,   /* no body, whatever the status */
  HTTP_BODY_SIZED,  /* content_length bytes follow */
  HTTP_BODY_CHUNKED /* until http_conn_end(); HTTP/1.0 clients get the bytes
                       raw and the connection closed */
} HttpBodyKind;

/* Sends the status line and headers; Date (unless given), Content-Length or
 * Transfer-Encoding and Connection are added, framing fields among `headers`
 * (NULL: none) are left out. Where HTTP has no body (HEAD, 204, 304) the
 * framing is told as far as allowed and the body's bytes are dropped.
 * content_length is looked at for SIZED, and for NONE in an answer to HEAD or
 * a 304 (-1: not told). 1xx other than 101 are interim: the answer is still
 * to come, `kind` is ignored, HTTP/1.0 clients get nothing. An answer before
 * the request's body was read whole closes the connection after it (a small
 * rest is drained first). */
void http_conn_send_head(HttpConn *conn,
                         int status,
                         const HttpHeaders *headers,
                         HttpBodyKind kind,
                         int64_t content_length);
/* Queues body bytes: one call, one chunk. They leave before the loop waits
 * again: what one round brings shares writes and TLS records of 16 KiB, with
 * the head and the end of the answer when those are called in it. Returns
 * false when more than high_water bytes wait: stop until `writable` (the bytes
 * were taken). An owner that does not stop loses the connection at 64 MiB. */
bool http_conn_send(HttpConn *conn, const void *bytes, size_t len);
/* The answer is complete. One shorter than its content_length is cut off by a
 * reset, so that the client sees that it is not whole. */
void http_conn_end(HttpConn *conn);
/* Bytes that wait for the client to take them. */
size_t http_conn_queued(const HttpConn *conn);
/* Head and body of a complete answer. content_type: NULL to take it from
 * `headers`. */
void http_conn_reply(HttpConn *conn,
                     int status,
                     const HttpHeaders *headers,
                     const char *content_type,
                     const void *body,
                     size_t len);
/* Closes after the current answer, or at once between requests. */
void http_conn_close_after(HttpConn *conn);
/* Resets the connection now, queued output is dropped; `closed` follows from
 * the loop. */
void http_conn_abort(HttpConn *conn);

/* ---- Error bodies ------------------------------------------------------ */

/* The JSON (or for API_MCP JSON-RPC) error object that clients of this API
 * show to their user: {"error":{"message","type","code"}}; Anthropic's
 * {"type":"error","error":{"message","type","code"}}; JSON-RPC's
 * {"jsonrpc","id":null,"error":{"code","message","data":{"status","code"}}}.
 * code e.g. "policy_denied", or NULL for null. Free with g_free. */
char *http_error_body(Api api,
                      int status,
                      const char *code,
                      const char *message);
/* A fresh id for x-github-request-id, in that header's usual form. */
char *http_request_id_new(void);

#endif
