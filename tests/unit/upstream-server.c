/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking sockets, one thread each: simple enough to be obviously right. */
#include "tests/unit/upstream-server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sessions of one server; tests open at most a few hundred. */
#define MAX_SESSIONS 4096
#define MAX_REQUEST (40 * 1024 * 1024)

struct session {
  Server *server;
  pthread_t thread;
  SSL *ssl;
  int fd;
  int number;
  bool closed; /* its thread closed the socket; guarded by server->lock */
  GByteArray *in;
  size_t head_len, taken;
};

struct server {
  ServerSpec spec;
  SSL_CTX *ctx;
  int fd;
  uint16_t port;
  pthread_t thread;
  pthread_mutex_t lock; /* guards sessions, stopping and each closed */
  GPtrArray *sessions;
  bool stopping;
  atomic_int accepts;
  atomic_int requests;
};

static ssize_t
receive(Session *session, void *bytes, size_t len)
{
  if (session->ssl != NULL)
    return SSL_read(session->ssl, bytes, (int)len);
  return recv(session->fd, bytes, len, 0);
}

size_t
session_read(Session *session, void *bytes, size_t len)
{
  ssize_t n = receive(session, bytes, len);

  return n > 0 ? (size_t)n : 0;
}

static size_t
content_length(const char *head)
{
  g_autofree char *lower = g_ascii_strdown(head, -1);
  const char *field = strstr(lower, "\r\ncontent-length:");

  return field != NULL ? strtoul(field + 17, NULL, 10) : 0;
}

const char *
session_request(Session *session, size_t *body_len)
{
  uint8_t bytes[16384];
  size_t want = 0;

  g_byte_array_remove_range(session->in, 0, (guint)session->taken);
  session->taken = 0;
  for (;;) {
    const char *end = session->in->len == 0
                          ? NULL
                          : g_strstr_len((char *)session->in->data,
                                         session->in->len,
                                         "\r\n\r\n");
    ssize_t n;

    if (end != NULL && want == 0) {
      g_autofree char *head = NULL;

      session->head_len = (size_t)(end + 4 - (char *)session->in->data);
      head = g_strndup((char *)session->in->data, session->head_len);
      want = session->head_len + content_length(head);
    }
    if (want > 0 && session->in->len >= want)
      break;
    n = receive(session, bytes, sizeof bytes);
    if (n <= 0 || session->in->len > MAX_REQUEST)
      return NULL;
    g_byte_array_append(session->in, bytes, (guint)n);
  }
  /* Callers look for text in it. */
  g_byte_array_append(session->in, (const uint8_t *)"", 1);
  g_byte_array_set_size(session->in, session->in->len - 1);
  session->taken = want;
  *body_len = want - session->head_len;
  atomic_fetch_add(&session->server->requests, 1);
  return (const char *)session->in->data;
}

const char *
session_body(const Session *session)
{
  return (const char *)session->in->data + session->head_len;
}

bool
session_send(Session *session, const void *bytes, size_t len)
{
  const uint8_t *at = bytes;

  while (len > 0) {
    ssize_t n = session->ssl != NULL
                    ? SSL_write(session->ssl, at, (int)MIN(len, 1 << 20))
                    : send(session->fd, at, len, MSG_NOSIGNAL);

    if (n <= 0)
      return false;
    at += n;
    len -= (size_t)n;
  }
  return true;
}

bool
session_print(Session *session, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  return session_send(session, text, strlen(text));
}

void
session_wait_closed(Session *session)
{
  uint8_t bytes[16384];

  while (recv(session->fd, bytes, sizeof bytes, 0) > 0) {
  }
}

/* Only the session's own thread closes; server_free() shuts down. */
static void
close_socket(Session *session)
{
  pthread_mutex_lock(&session->server->lock);
  if (!session->closed)
    close(session->fd);
  session->closed = true;
  pthread_mutex_unlock(&session->server->lock);
}

void
session_close(Session *session)
{
  if (session->ssl != NULL && !session->closed)
    SSL_shutdown(session->ssl);
  close_socket(session);
}

void
session_cut(Session *session)
{
  close_socket(session);
}

void
session_reset(Session *session)
{
  struct linger linger = {.l_onoff = 1, .l_linger = 0};

  setsockopt(session->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  close_socket(session);
}

bool
session_stopping(Session *session)
{
  bool stopping;

  pthread_mutex_lock(&session->server->lock);
  stopping = session->server->stopping;
  pthread_mutex_unlock(&session->server->lock);
  return stopping;
}

int
session_fd(const Session *session)
{
  return session->fd;
}

int
session_number(const Session *session)
{
  return session->number;
}

Server *
session_server(const Session *session)
{
  return session->server;
}

static void *
run_session(void *data)
{
  Session *session = data;
  Server *server = session->server;
  sigset_t pipe;

  /* OpenSSL's socket BIO raises it; what is tested must do without. */
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, NULL);
  if (server->spec.stall_handshake) {
    session_wait_closed(session);
  } else if (server->ctx == NULL) {
    server->spec.run(session, server->spec.data);
  } else {
    session->ssl = SSL_new(server->ctx);
    SSL_set_fd(session->ssl, session->fd);
    if (SSL_accept(session->ssl) == 1)
      server->spec.run(session, server->spec.data);
  }
  session_close(session);
  SSL_free(session->ssl);
  return NULL;
}

static void
add_session(Server *server, int fd)
{
  Session *session = g_new0(Session, 1);
  int one = 1;

  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  session->server = server;
  session->fd = fd;
  session->number = atomic_fetch_add(&server->accepts, 1) + 1;
  session->in = g_byte_array_new();
  pthread_mutex_lock(&server->lock);
  if (server->stopping || server->sessions->len >= MAX_SESSIONS ||
      pthread_create(&session->thread, NULL, run_session, session) != 0) {
    close(fd);
    g_byte_array_unref(session->in);
    g_free(session);
  } else {
    g_ptr_array_add(server->sessions, session);
  }
  pthread_mutex_unlock(&server->lock);
}

static void *
run_server(void *data)
{
  Server *server = data;
  int fd;

  while ((fd = accept(server->fd, NULL, NULL)) >= 0)
    add_session(server, fd);
  return NULL;
}

static int
on_alpn(SSL *ssl,
        const uint8_t **out,
        uint8_t *out_len,
        const uint8_t *in,
        unsigned in_len,
        void *data)
{
  static const uint8_t H1[] = "\x08http/1.1";

  (void)ssl;
  (void)data;
  return SSL_select_next_proto(
             (uint8_t **)out, out_len, H1, sizeof H1 - 1, in, in_len) ==
                 OPENSSL_NPN_NEGOTIATED
             ? SSL_TLSEXT_ERR_OK
             : SSL_TLSEXT_ERR_NOACK;
}

/* As permissive as OpenSSL lets it be: the client has to be the strict one. */
static SSL_CTX *
new_context(const ServerSpec *spec)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

  SSL_CTX_set_security_level(ctx, 0);
  SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
  g_assert_cmpint(SSL_CTX_use_certificate(ctx, spec->leaf->x509), ==, 1);
  g_assert_cmpint(SSL_CTX_use_PrivateKey(ctx, spec->leaf->key), ==, 1);
  if (spec->chain != NULL)
    SSL_CTX_add1_chain_cert(ctx, spec->chain->x509);
  if (spec->chain2 != NULL)
    SSL_CTX_add1_chain_cert(ctx, spec->chain2->x509);
  if (spec->tune != NULL)
    spec->tune(ctx, spec->data);
  return ctx;
}

Server *
server_new(const ServerSpec *spec)
{
  Server *server = g_new0(Server, 1);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;

  server->spec = *spec;
  server->sessions = g_ptr_array_new();
  pthread_mutex_init(&server->lock, NULL);
  if (spec->leaf != NULL)
    server->ctx = new_context(spec);
  server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(bind(server->fd, (struct sockaddr *)&address, len), ==, 0);
  g_assert_cmpint(listen(server->fd, 512), ==, 0);
  getsockname(server->fd, (struct sockaddr *)&address, &len);
  server->port = ntohs(address.sin_port);
  g_assert_cmpint(
      pthread_create(&server->thread, NULL, run_server, server), ==, 0);
  return server;
}

void
server_free(Server *server)
{
  if (server == NULL)
    return;
  shutdown(server->fd, SHUT_RDWR);
  pthread_join(server->thread, NULL);
  close(server->fd);
  pthread_mutex_lock(&server->lock);
  server->stopping = true;
  for (guint i = 0; i < server->sessions->len; i++) {
    Session *session = server->sessions->pdata[i];

    if (!session->closed)
      shutdown(session->fd, SHUT_RDWR);
  }
  pthread_mutex_unlock(&server->lock);
  for (guint i = 0; i < server->sessions->len; i++) {
    Session *session = server->sessions->pdata[i];

    pthread_join(session->thread, NULL);
    g_byte_array_unref(session->in);
    g_free(session);
  }
  g_ptr_array_unref(server->sessions);
  pthread_mutex_destroy(&server->lock);
  SSL_CTX_free(server->ctx);
  g_free(server);
}

uint16_t
server_port(const Server *server)
{
  return server->port;
}

int
server_accepts(Server *server)
{
  return atomic_load(&server->accepts);
}

int
server_requests(Server *server)
{
  return atomic_load(&server->requests);
}

void
session_echo(Session *session, void *data)
{
  const char *head;
  size_t len;

  (void)data;
  while ((head = session_request(session, &len)) != NULL) {
    size_t head_len = (size_t)(session_body(session) - head);

    if (!session_print(session,
                       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                       head_len + len) ||
        !session_send(session, head, head_len + len))
      return;
  }
}

void
session_ok(Session *session, void *data)
{
  size_t len;

  (void)data;
  while (session_request(session, &len) != NULL)
    session_print(session, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}
