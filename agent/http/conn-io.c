/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a client connection: plain or through TLS, never blocking, with
 * the socket options that keep small exchanges quick. */
#include "http/conn.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* One read of a plain socket: a usual request in one piece. */
#define PLAIN_PIECE 32768
/* A TLS record's largest content. */
#define TLS_PIECE 16384
/* TLS reads ahead so far: two records with their overhead in one call. */
#define TLS_READ_AHEAD (2 * (TLS_PIECE + 512))
/* Output per turn, so that a fast reader does not hold up the others. */
#define FLUSH_TURN ((size_t)1 << 20)
/* Reads of one turn while lingering. */
#define DROPS_PER_TURN 16

bool
conn_io_init(HttpConn *conn, SSL_CTX *ssl_ctx)
{
  const int on = 1;
  /* Fails on a Unix socket, which needs neither option. */
  conn->is_tcp =
      setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
  if (!ssl_ctx)
    return true;
  conn->ssl = SSL_new(ssl_ctx);
  if (!conn->ssl || SSL_set_fd(conn->ssl, conn->fd) != 1)
    return false;
  SSL_set_mode(conn->ssl,
               SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_set_read_ahead(conn->ssl, 1);
  SSL_set_default_read_buffer_len(conn->ssl, TLS_READ_AHEAD);
  SSL_set_accept_state(conn->ssl);
  conn->tls_wants = EPOLLIN;
  return true;
}

void
conn_io_quick_ack(HttpConn *conn)
{
  const int on = 1;
  if (conn->is_tcp)
    setsockopt(conn->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static IoResult
fail_errno(HttpConn *conn, int err)
{
  conn->error = g_strerror(err); /* GLib keeps these for ever */
  conn->quiet = true;
  return IO_ERROR;
}

/* What a TLS call's failure means; errors' texts are OpenSSL's own tables. */
static IoResult
tls_result(HttpConn *conn, int returned, int err)
{
  switch (SSL_get_error(conn->ssl, returned)) {
  case SSL_ERROR_WANT_READ:
    conn->tls_wants = EPOLLIN;
    return IO_AGAIN;
  case SSL_ERROR_WANT_WRITE:
    conn->tls_wants = EPOLLOUT;
    return IO_AGAIN;
  case SSL_ERROR_ZERO_RETURN:
    return IO_EOF;
  case SSL_ERROR_SYSCALL:
    return fail_errno(conn, err ? err : ECONNRESET);
  default:
    break;
  }
  unsigned long code = ERR_peek_error();
  conn->quiet = true;
  if (ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return IO_EOF;
  const char *reason = ERR_reason_error_string(code);
  conn->error = reason ? reason : "TLS failed";
  return IO_ERROR;
}

IoResult
conn_io_handshake(HttpConn *conn)
{
  ERR_clear_error();
  errno = 0;
  conn->tls_wants = 0;
  int returned = SSL_do_handshake(conn->ssl);
  IoResult result = returned == 1 ? IO_OK : tls_result(conn, returned, errno);
  if (result != IO_ERROR)
    conn_io_quick_ack(conn);
  /* Read ahead may hold the request already. */
  conn->readable = result == IO_OK && SSL_has_pending(conn->ssl);
  return result;
}

static IoResult
tls_fill(HttpConn *conn, uint8_t *to, size_t room, size_t *n)
{
  ERR_clear_error();
  errno = 0;
  int returned = SSL_read_ex(conn->ssl, to, room, n);
  if (returned != 1) {
    IoResult result = tls_result(conn, returned, errno);
    conn->readable = false;
    conn->tls_wants &= EPOLLOUT; /* input is waited for by those who want it */
    return result;
  }
  /* What the kernel still holds shows up in the next round. */
  conn->readable = SSL_has_pending(conn->ssl);
  return IO_OK;
}

static IoResult
plain_fill(HttpConn *conn, uint8_t *to, size_t room, size_t *n)
{
  ssize_t got = recv(conn->fd, to, room, 0);
  if (got > 0) {
    *n = (size_t)got;
    conn->readable = *n == room;
    return IO_OK;
  }
  conn->readable = false;
  if (got == 0)
    return IO_EOF;
  if (errno == EAGAIN || errno == EINTR)
    return IO_AGAIN;
  return fail_errno(conn, errno);
}

IoResult
conn_io_fill(HttpConn *conn, size_t *n)
{
  size_t room = conn->ssl ? TLS_PIECE : PLAIN_PIECE;
  room = MIN(room, conn->in.max - conn->in.len);
  uint8_t *to = buf_reserve(&conn->in, room);
  *n = 0;
  IoResult result =
      conn->ssl ? tls_fill(conn, to, room, n) : plain_fill(conn, to, room, n);
  buf_commit(&conn->in, *n);
  /* Connections that wait, idle or for a stream's end, hold no storage. */
  if (result == IO_AGAIN && conn->in.len == 0)
    buf_clear(&conn->in);
  return result;
}

static IoResult
tls_write(HttpConn *conn, size_t *n)
{
  ERR_clear_error();
  errno = 0;
  int returned =
      SSL_write_ex(conn->ssl, buf_bytes(&conn->out), conn->out.len, n);
  if (returned == 1)
    return IO_OK;
  IoResult result = tls_result(conn, returned, errno);
  conn->tls_wants &= EPOLLIN; /* `blocked` waits for the socket */
  return result;
}

static IoResult
plain_write(HttpConn *conn, size_t *n)
{
  ssize_t put =
      send(conn->fd, buf_bytes(&conn->out), conn->out.len, MSG_NOSIGNAL);
  if (put >= 0) {
    *n = (size_t)put;
    return IO_OK;
  }
  if (errno == EAGAIN || errno == EINTR)
    return IO_AGAIN;
  return fail_errno(conn, errno);
}

IoResult
conn_io_flush(HttpConn *conn)
{
  size_t written = 0;
  while (conn->out.len > 0 && !conn->blocked) {
    size_t n = 0;
    IoResult result = conn->ssl ? tls_write(conn, &n) : plain_write(conn, &n);
    if (result == IO_ERROR || result == IO_EOF)
      return IO_ERROR;
    conn->blocked = result == IO_AGAIN;
    if (n == 0)
      continue;
    buf_consume(&conn->out, n);
    conn->since_us = loop_now_us(conn->loop);
    written += n;
    if (written >= FLUSH_TURN && conn->out.len > 0)
      conn->blocked = true; /* the loop says at once that it is writable */
  }
  return conn->blocked ? IO_AGAIN : IO_OK;
}

IoResult
conn_io_drop(HttpConn *conn)
{
  uint8_t dropped[4096];
  for (unsigned i = 0; i < DROPS_PER_TURN; i++) {
    ssize_t got = recv(conn->fd, dropped, sizeof dropped, 0);
    if (got == 0)
      return IO_EOF;
    if (got < 0)
      return errno == EAGAIN || errno == EINTR ? IO_AGAIN : IO_ERROR;
    conn->lingered += (size_t)got;
  }
  return IO_AGAIN;
}

void
conn_io_finish(HttpConn *conn)
{
  if (conn->ssl && !conn->quiet) {
    ERR_clear_error();
    SSL_shutdown(conn->ssl);
    conn->quiet = true;
  }
  shutdown(conn->fd, SHUT_WR);
}

void
conn_io_close(HttpConn *conn)
{
  if (conn->reset) {
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  } else if (conn->ssl && !conn->quiet && SSL_is_init_finished(conn->ssl)) {
    ERR_clear_error();
    SSL_shutdown(conn->ssl);
  }
  SSL_free(conn->ssl);
  close(conn->fd);
}
