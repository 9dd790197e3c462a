/* SPDX-License-Identifier: Apache-2.0 */
/* A scripted server in threads of its own: the test says what each connection
 * does, byte by byte, with TLS or without. */
#ifndef HOOP_TEST_UPSTREAM_SERVER_H
#define HOOP_TEST_UPSTREAM_SERVER_H

#include "tests/unit/upstream-certs.h"

#include <openssl/ssl.h>
#include <stdint.h>

typedef struct server Server;
typedef struct session Session;

/* One connection after its handshake; runs in a thread of its own and ends by
 * returning, which closes the connection properly unless it did so itself. */
typedef void (*SessionFunc)(Session *session, void *data);

typedef struct {
  const Cert *leaf;  /* NULL: plain TCP */
  const Cert *chain; /* intermediates to send along, or NULL */
  const Cert *chain2;
  SessionFunc run;
  void *data;
  /* Changes the context before use, or NULL. */
  void (*tune)(SSL_CTX *ctx, void *data);
  bool stall_handshake; /* accept, then say nothing */
} ServerSpec;

Server *server_new(const ServerSpec *spec);
/* Closes all its sockets and joins its threads. */
void server_free(Server *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_free)
uint16_t server_port(const Server *server);
/* Connections accepted, and requests read by session_request(), so far. */
int server_accepts(Server *server);
int server_requests(Server *server);

/* Reads one request (Content-Length bodies). NULL when the client is gone.
 * Valid until the next call; *body_len of the bytes after the head. */
const char *session_request(Session *session, size_t *body_len);
const char *session_body(const Session *session);
/* False when the client is gone. */
bool session_send(Session *session, const void *bytes, size_t len);
bool session_print(Session *session, const char *format, ...)
    G_GNUC_PRINTF(2, 3);
/* Raw bytes from a plain client: at most len, 0 at the end. */
size_t session_read(Session *session, void *bytes, size_t len);
/* Waits until the client closes or server_free() ends it. */
void session_wait_closed(Session *session);
/* Ends: with close_notify, by a FIN without one, by a reset. */
void session_close(Session *session);
void session_cut(Session *session);
void session_reset(Session *session);
/* True once server_free() was called. */
bool session_stopping(Session *session);
/* The socket, for what the calls above cannot do. */
int session_fd(const Session *session);
/* Which connection of the server this is, from 1. */
int session_number(const Session *session);
Server *session_server(const Session *session);

/* Sessions that answer every request: with what it was sent, with "ok". */
void session_echo(Session *session, void *data);
void session_ok(Session *session, void *data);

#endif
