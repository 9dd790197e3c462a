/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a client connection, in one thread and without sleeping. */
#include "http-peer.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

const HttpConnLimits peer_limits = {.max_head = 8192,
                                    .first_byte_timeout = 60,
                                    .idle_timeout = 60,
                                    .high_water = 65536};

/* ---- The owner ---------------------------------------------------------- */

static void
note(Peer *peer, const char *event)
{
  if (peer->log->len)
    g_string_append_c(peer->log, ' ');
  g_string_append(peer->log, event);
  if (peer->abort_at == event[0])
    http_conn_abort(peer->conn);
}

static void
on_request(HttpConn *conn, HttpRequest *request, void *data)
{
  Peer *peer = data;
  g_autofree char *event =
      g_strdup_printf("R %s %s", request->method, request->path);
  g_free(peer->path);
  peer->path = g_strdup(request->path);
  http_request_free(request);
  g_string_truncate(peer->body, 0);
  note(peer, event);
  if (strcmp(peer->path, "/early") == 0)
    http_conn_reply(conn, 403, NULL, "text/plain", "no", 2);
  else if (strcmp(peer->path, "/hold") != 0)
    http_conn_read_body(conn);
}

static void
on_body(HttpConn *conn, const uint8_t *bytes, size_t len, void *data)
{
  Peer *peer = data;
  (void)conn;
  g_string_append_len(peer->body, (const char *)bytes, (gssize)len);
  g_autofree char *event = g_strdup_printf("B%zu", len);
  note(peer, event);
}

static void
on_body_end(HttpConn *conn, void *data)
{
  Peer *peer = data;
  note(peer, "E");
  if (strcmp(peer->path, "/hold") != 0)
    http_conn_reply(
        conn, 200, NULL, "text/plain", peer->body->str, peer->body->len);
}

static void
on_finished(HttpConn *conn, void *data)
{
  (void)conn;
  note(data, "F");
}

static void
on_writable(HttpConn *conn, void *data)
{
  (void)conn;
  note(data, "W");
}

static void
on_closed(HttpConn *conn, void *data)
{
  Peer *peer = data;
  peer->error = g_strdup(http_conn_error(conn));
  g_free(peer->sni);
  peer->sni = g_strdup(http_conn_sni(conn));
  note(peer, "C");
  peer->conn = NULL;
}

static const HttpConnEvents events =
    {on_request, on_body, on_body_end, on_finished, on_writable, on_closed};

/* ---- Both ends ------------------------------------------------------------
 */

static void
set_nonblocking(int fd)
{
  g_assert_cmpint(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), ==, 0);
}

static void
tcp_pair(int fds[2])
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(listener, >=, 0);
  g_assert_cmpint(bind(listener, (void *)&address, sizeof address), ==, 0);
  g_assert_cmpint(listen(listener, 1), ==, 0);
  g_assert_cmpint(getsockname(listener, (void *)&address, &len), ==, 0);
  fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(connect(fds[1], (void *)&address, sizeof address), ==, 0);
  fds[0] = accept(listener, NULL, NULL);
  g_assert_cmpint(fds[0], >=, 0);
  close(listener);
}

static Peer *
peer_over(int fds[2], const HttpConnLimits *limits, SSL_CTX *server)
{
  g_autoptr(GError) error = NULL;
  Peer *peer = g_new0(Peer, 1);
  set_nonblocking(fds[0]);
  set_nonblocking(fds[1]);
  peer->loop = loop_new(&error);
  g_assert_no_error(error);
  peer->fd = fds[1];
  peer->wait_ms = 2;
  peer->log = g_string_new(NULL);
  peer->got = g_string_new(NULL);
  peer->reads = g_string_new(NULL);
  peer->body = g_string_new(NULL);
  peer->conn = http_conn_new(peer->loop, fds[0], server, limits, &events, peer);
  return peer;
}

Peer *
peer_new(const HttpConnLimits *limits)
{
  int fds[2];
  g_assert_cmpint(
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  return peer_over(fds, limits, NULL);
}

Peer *
peer_new_tcp(const HttpConnLimits *limits)
{
  int fds[2];
  tcp_pair(fds);
  return peer_over(fds, limits, NULL);
}

Peer *
peer_new_tls(const HttpConnLimits *limits,
             SSL_CTX *server,
             SSL_CTX *client,
             const char *name)
{
  int fds[2];
  tcp_pair(fds);
  Peer *peer = peer_over(fds, limits, server);
  if (!client)
    return peer;
  peer->ssl = SSL_new(client);
  SSL_set_fd(peer->ssl, peer->fd);
  SSL_set_mode(peer->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
  if (name)
    SSL_set_tlsext_host_name(peer->ssl, name);
  SSL_set_connect_state(peer->ssl);
  for (unsigned i = 0; i < 1000 && peer->conn; i++) {
    ERR_clear_error();
    int result = SSL_do_handshake(peer->ssl);
    if (result == 1 || SSL_get_error(peer->ssl, result) != SSL_ERROR_WANT_READ)
      break;
    loop_iterate(peer->loop, 1);
  }
  return peer;
}

void
peer_free(Peer *peer)
{
  if (!peer)
    return;
  peer->abort_at = 0;
  if (peer->conn)
    http_conn_abort(peer->conn);
  for (unsigned i = 0; i < 100 && peer->conn; i++)
    loop_iterate(peer->loop, 0);
  g_assert_null(peer->conn);
  peer_close(peer);
  loop_free(peer->loop);
  g_string_free(peer->log, TRUE);
  g_string_free(peer->got, TRUE);
  g_string_free(peer->reads, TRUE);
  g_string_free(peer->body, TRUE);
  g_free(peer->path);
  g_free(peer->error);
  g_free(peer->sni);
  g_free(peer);
}

/* ---- The client
 * -------------------------------------------------------------- */

static ssize_t
client_read(Peer *peer, char *to, size_t room)
{
  if (!peer->ssl)
    return recv(peer->fd, to, room, 0);
  ERR_clear_error();
  int n = SSL_read(peer->ssl, to, (int)room);
  if (n > 0)
    return n;
  int reason = SSL_get_error(peer->ssl, n);
  if (reason == SSL_ERROR_ZERO_RETURN)
    return 0;
  if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
    errno = EAGAIN;
  else if (reason != SSL_ERROR_SYSCALL || errno == 0)
    errno = EPROTO;
  return -1;
}

void
peer_turn(Peer *peer)
{
  static char bytes[65536];
  loop_iterate(peer->loop, peer->wait_ms);
  while (peer->fd >= 0 && !peer->eof && !peer->idle) {
    ssize_t n = client_read(peer, bytes, sizeof bytes);
    if (n > 0) {
      g_string_append_len(peer->got, bytes, n);
      g_string_append_printf(peer->reads, "%zd ", n);
      continue;
    }
    if (n < 0 && errno == EAGAIN)
      break;
    peer->eof = true;
    peer->reset = n < 0 && errno == ECONNRESET;
  }
}

void
peer_rest(Peer *peer)
{
  for (unsigned i = 0; i < 10; i++)
    peer_turn(peer);
}

size_t
peer_push(Peer *peer, const char *bytes, size_t len)
{
  ssize_t n;
  if (peer->ssl) {
    ERR_clear_error();
    n = SSL_write(peer->ssl, bytes, (int)len);
  } else {
    n = send(peer->fd, bytes, len, MSG_NOSIGNAL);
  }
  return n > 0 ? (size_t)n : 0;
}

void
peer_write_len(Peer *peer, const char *bytes, size_t len)
{
  size_t put = 0;
  while (put < len) {
    size_t n = peer_push(peer, bytes + put, len - put);
    put += n;
    if (n == 0)
      peer_turn(peer);
    if (peer->eof)
      return;
  }
}

void
peer_write(Peer *peer, const char *text)
{
  peer_write_len(peer, text, strlen(text));
}

void
peer_shut(Peer *peer)
{
  if (peer->ssl) {
    ERR_clear_error();
    SSL_shutdown(peer->ssl);
  }
  shutdown(peer->fd, SHUT_WR);
}

void
peer_close(Peer *peer)
{
  SSL_free(peer->ssl);
  peer->ssl = NULL;
  if (peer->fd >= 0)
    close(peer->fd);
  peer->fd = -1;
}

unsigned
peer_count(const Peer *peer, const char *text)
{
  unsigned count = 0;
  for (const char *at = peer->got->str; (at = strstr(at, text)); at++)
    count++;
  return count;
}

/* ---- Certificates
 * -------------------------------------------------------------- */

static X509 *
self_signed(EVP_PKEY *key)
{
  X509 *cert = X509_new();
  X509_set_version(cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, key);
  X509_NAME *name = X509_get_subject_name(cert);
  X509_NAME_add_entry_by_txt(
      name, "CN", MBSTRING_ASC, (const void *)"localhost", -1, -1, 0);
  X509_set_issuer_name(cert, name);
  g_assert_cmpint(X509_sign(cert, key, EVP_sha256()), >, 0);
  return cert;
}

SSL_CTX *
peer_server_ctx(void)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *cert = self_signed(key);
  g_assert_cmpint(SSL_CTX_use_certificate(ctx, cert), ==, 1);
  g_assert_cmpint(SSL_CTX_use_PrivateKey(ctx, key), ==, 1);
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  X509_free(cert);
  EVP_PKEY_free(key);
  return ctx;
}

SSL_CTX *
peer_client_ctx(void)
{
  return SSL_CTX_new(TLS_client_method());
}
