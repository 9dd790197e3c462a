/* SPDX-License-Identifier: Apache-2.0 */
/* What one core serves: keep-alive requests from clients in another process,
 * plain and with TLS, small and as large as a chat. CPU time is the server's
 * alone; under callgrind give --requests 2000 to see where it goes. */
#include "config.h"
#include "http/http.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLIENTS 16

typedef struct {
  const char *name;
  bool tls;
  bool streamed; /* the answer is an event stream of small chunks */
  size_t post;
  size_t answer;
  unsigned requests;
  unsigned goal; /* requests a second that one core must reach */
} Case;

/* ---- The server ------------------------------------------------------------
 */

typedef struct {
  const Case *running;
  char *answer;
  HttpHeaders *headers;
  unsigned served;
  unsigned closed;
} Server;

static void
on_request(HttpConn *conn, HttpRequest *request, void *data)
{
  (void)data;
  http_request_free(request);
  http_conn_read_body(conn);
}

static void
on_body(HttpConn *conn, const uint8_t *bytes, size_t len, void *data)
{
  (void)conn;
  (void)bytes;
  (void)len;
  (void)data;
}

static void
on_body_end(HttpConn *conn, void *data)
{
  const Server *server = data;
  const Case *c = server->running;
  if (!c->streamed) {
    http_conn_reply(
        conn, 200, server->headers, NULL, server->answer, c->answer);
    return;
  }
  http_conn_send_head(conn, 200, server->headers, HTTP_BODY_CHUNKED, -1);
  for (size_t sent = 0; sent < c->answer; sent += 100)
    http_conn_send(conn, server->answer, 100);
  http_conn_end(conn);
}

static void
on_finished(HttpConn *conn, void *data)
{
  Server *server = data;
  (void)conn;
  server->served++;
}

static void
on_writable(HttpConn *conn, void *data)
{
  (void)conn;
  (void)data;
}

static void
on_closed(HttpConn *conn, void *data)
{
  Server *server = data;
  (void)conn;
  server->closed++;
}

static SSL_CTX *
server_ctx(void)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *cert = X509_new();
  X509_set_version(cert, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  X509_set_pubkey(cert, key);
  X509_sign(cert, key, EVP_sha256());
  SSL_CTX_use_certificate(ctx, cert);
  SSL_CTX_use_PrivateKey(ctx, key);
  X509_free(cert);
  EVP_PKEY_free(key);
  return ctx;
}

/* ---- The clients, in a process of their own
 * ----------------------------------- */

typedef struct {
  int fd;
  SSL *ssl;
  size_t sent;
  size_t got;
} Client;

typedef struct {
  const char *request;
  size_t request_len;
  size_t answer_len; /* head and body, learnt from the first answer */
} Exchange;

static ssize_t
client_io(Client *client, bool write, void *bytes, size_t len)
{
  if (!client->ssl)
    return write ? send(client->fd, bytes, len, 0)
                 : recv(client->fd, bytes, len, 0);
  ERR_clear_error();
  return write ? SSL_write(client->ssl, bytes, (int)len)
               : SSL_read(client->ssl, bytes, (int)len);
}

/* One step of one client; false when it would wait. */
static bool
client_step(Client *client, const Exchange *exchange)
{
  static char bytes[65536];
  if (client->sent < exchange->request_len) {
    ssize_t n = client_io(client,
                          true,
                          (char *)(uintptr_t)exchange->request + client->sent,
                          exchange->request_len - client->sent);
    client->sent += n > 0 ? (size_t)n : 0;
    return n > 0;
  }
  ssize_t n = client_io(client, false, bytes, sizeof bytes);
  if (n <= 0)
    return false;
  client->got += (size_t)n;
  if (client->got >= exchange->answer_len)
    client->got = client->sent = 0;
  return true;
}

static size_t
answer_length(Client *client, const Exchange *exchange, const Case *c)
{
  static char bytes[1 << 20];
  size_t got = 0;
  for (size_t sent = 0; sent < exchange->request_len;) {
    ssize_t n = client_io(client,
                          true,
                          (char *)(uintptr_t)exchange->request + sent,
                          exchange->request_len - sent);
    if (n <= 0)
      _exit(1);
    sent += (size_t)n;
  }
  for (;;) {
    ssize_t n = client_io(client, false, bytes + got, sizeof bytes - got - 1);
    if (n <= 0)
      _exit(1);
    got += (size_t)n;
    bytes[got] = '\0';
    const char *body = strstr(bytes, "\r\n\r\n");
    size_t head = body ? (size_t)(body - bytes) + 4 : 0;
    if (c->streamed ? got > 7 && strcmp(bytes + got - 7, "\r\n0\r\n\r\n") == 0
                    : head && got == head + c->answer)
      return got;
  }
}

static void
run_clients(int *fds, const Case *c)
{
  static Client clients[CLIENTS];
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  g_autofree char *body = g_strnfill(c->post, 'x');
  g_autofree char *request = g_strdup_printf(
      "%s /v1/chat/completions HTTP/1.1\r\nHost: localhost:8788\r\n"
      "User-Agent: bench/1.0\r\nAccept: application/json\r\n"
      "Authorization: Bearer 0123456789abcdef\r\n"
      "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
      c->post ? "POST" : "GET",
      c->post,
      body);
  Exchange exchange = {request, strlen(request), 0};
  int epoll = epoll_create1(0);
  for (unsigned i = 0; i < CLIENTS; i++) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    clients[i].fd = fds[i];
    if (c->tls) {
      clients[i].ssl = SSL_new(ctx);
      SSL_set_fd(clients[i].ssl, fds[i]);
      SSL_set_mode(clients[i].ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
      if (SSL_connect(clients[i].ssl) != 1)
        _exit(1);
    }
    exchange.answer_len = answer_length(&clients[i], &exchange, c);
    fcntl(fds[i], F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
  }
  for (unsigned i = 0; i < CLIENTS; i++)
    while (client_step(&clients[i], &exchange))
      ;
  for (;;) {
    struct epoll_event events[CLIENTS];
    int n = epoll_wait(epoll, events, CLIENTS, 1000);
    for (int i = 0; i < n; i++)
      while (client_step(&clients[events[i].data.u32], &exchange))
        ;
  }
}

/* ---- Both
 * -------------------------------------------------------------------- */

static double
cpu_seconds(void)
{
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
connect_pair(int listener, int fds[2])
{
  struct sockaddr_storage address;
  socklen_t len = sizeof address;
  getsockname(listener, (void *)&address, &len);
  fds[1] = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fds[1], (void *)&address, len) != 0)
    g_error("connect: %s", g_strerror(errno));
  fds[0] = accept(listener, NULL, NULL);
  const int on = 1;
  setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
}

static bool
run(const Case *c)
{
  static const HttpConnLimits limits = {65536, 10, 60, 262144};
  static const HttpConnEvents events = {
      on_request, on_body, on_body_end, on_finished, on_writable, on_closed};
  g_autoptr(Loop) loop = loop_new(NULL);
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autofree char *answer = g_strnfill(c->answer, 'a');
  Server server = {.running = c, .answer = answer, .headers = headers};
  SSL_CTX *ctx = c->tls ? server_ctx() : NULL;
  int ours[CLIENTS], theirs[CLIENTS];
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  http_headers_add(headers, "Content-Type", "application/json");
  http_headers_add(headers, "x-request-id", "1234567890");
  listen(listener, CLIENTS);
  for (unsigned i = 0; i < CLIENTS; i++) {
    int pair[2];
    connect_pair(listener, pair);
    ours[i] = pair[0];
    theirs[i] = pair[1];
  }
  close(listener);
  pid_t child = fork();
  if (child == 0) {
    for (unsigned i = 0; i < CLIENTS; i++)
      close(ours[i]);
    run_clients(theirs, c);
  }
  for (unsigned i = 0; i < CLIENTS; i++) {
    close(theirs[i]);
    http_conn_new(loop, ours[i], ctx, &limits, &events, &server);
  }
  while (server.served < CLIENTS * 2 && !server.closed)
    loop_iterate(loop, 1000);
  double cpu = cpu_seconds();
  int64_t start = g_get_monotonic_time();
  unsigned from = server.served;
  while (server.served < from + c->requests && !server.closed)
    loop_iterate(loop, 1000);
  cpu = cpu_seconds() - cpu;
  double wall = (double)(g_get_monotonic_time() - start) / 1e6;
  double served = server.served - from;
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  while (server.closed < CLIENTS)
    loop_iterate(loop, 1000);
  SSL_CTX_free(ctx);
  bool good = served / cpu >= c->goal;
  printf("%-28s %8.0f requests/s, %6.2f us CPU each: %8.0f a core%s\n",
         c->name,
         served / wall,
         cpu / served * 1e6,
         served / cpu,
         good ? "" : "  BELOW ITS GOAL");
  return good;
}

int
main(int argc, char **argv)
{
  Case cases[] = {
      {"plain, GET, 100 B", false, false, 0, 100, 200000, 30000},
      {"plain, 32 KB, 2 KB", false, false, 32768, 2048, 100000, 20000},
      {"TLS, GET, 100 B", true, false, 0, 100, 100000, 20000},
      {"TLS, 32 KB, 2 KB", true, false, 32768, 2048, 60000, 20000},
      {"TLS, 2 KB, 200 events", true, true, 2048, 20000, 3000, 500},
  };
  bool good = true;
  signal(SIGPIPE, SIG_IGN);
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    if (argc > 2 && strcmp(argv[1], "--requests") == 0)
      cases[i].requests = (unsigned)atoi(argv[2]);
    if (argc > 3 && !strstr(cases[i].name, argv[3]))
      continue;
    good = run(&cases[i]) && good;
  }
  return good ? 0 : 1;
}
