/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a client connection in one thread: an owner that answers by
 * path and keeps a log of its events, and a client that is driven by hand. */
#ifndef HOOP_TESTS_HTTP_PEER_H
#define HOOP_TESTS_HTTP_PEER_H

#include "http/http.h"

typedef struct {
  Loop *loop;
  HttpConn *conn; /* NULL once `closed` was told */
  int fd;         /* the client's end; -1 once closed */
  SSL *ssl;       /* the client's TLS, or NULL */
  bool eof;       /* the server closed its direction */
  bool reset;     /* reading failed with ECONNRESET */
  bool idle;      /* the client does not read in peer_turn() */
  int wait_ms;    /* how long a turn waits for something to happen */
  GString *log;   /* of events: "R GET /x", "B 5", "E", "F", "W", "C" */
  GString *got;   /* what the client read */
  GString *reads; /* the sizes of the client's reads: TLS records */
  GString *body;  /* of all requests, decoded */
  char *path;
  char *error; /* http_conn_error() at the end */
  char *sni;
  char abort_at; /* the event ('R', 'B', …) inside which to abort */
} Peer;

/* The owner answers:
 *   /hold   nothing; the test does
 *   /early  403 with a body at once, unread
 *   other   reads the body, then 200 with it, sized */
extern const HttpConnLimits peer_limits;

Peer *peer_new(const HttpConnLimits *limits);     /* a Unix socket pair */
Peer *peer_new_tcp(const HttpConnLimits *limits); /* loopback */
/* Loopback with TLS; the client's context says what it checks (NULL: its end
 * is left plain). name: SNI or NULL. The handshake is done when this returns,
 * unless it failed. */
Peer *peer_new_tls(const HttpConnLimits *limits,
                   SSL_CTX *server,
                   SSL_CTX *client,
                   const char *name);
void peer_free(Peer *peer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Peer, peer_free)

/* One round: the loop, then whatever the client can read. */
void peer_turn(Peer *peer);
/* Turns until the condition holds; fails after some seconds. */
#define peer_until(peer, condition)                                            \
  do {                                                                         \
    int64_t until_end_ = g_get_monotonic_time() + 8 * G_USEC_PER_SEC;          \
    while (!(condition)) {                                                     \
      if (g_get_monotonic_time() > until_end_)                                 \
        g_error("%s:%d: never: %s; log \"%s\", got \"%.300s\"",                \
                __FILE__,                                                      \
                __LINE__,                                                      \
                #condition,                                                    \
                (peer)->log->str,                                              \
                (peer)->got->str);                                             \
      peer_turn(peer);                                                         \
    }                                                                          \
  } while (0)
/* Some turns in which nothing is expected to happen. */
void peer_rest(Peer *peer);

/* The client's writes: everything, turning as needed. */
void peer_write(Peer *peer, const char *text);
void peer_write_len(Peer *peer, const char *bytes, size_t len);
/* As much as goes without waiting; returns how much. */
size_t peer_push(Peer *peer, const char *bytes, size_t len);
/* The client closes its direction, or everything. */
void peer_shut(Peer *peer);
void peer_close(Peer *peer);
/* How many answers with this status line the client has got so far. */
unsigned peer_count(const Peer *peer, const char *text);

/* A self-signed P-256 certificate for the name, in new contexts. */
SSL_CTX *peer_server_ctx(void);
SSL_CTX *peer_client_ctx(void);

#endif
