/* SPDX-License-Identifier: Apache-2.0 */
/* The server behind the proxies that are compared: a 2 KB JSON answer, or 200
 * SSE deltas, each written alone; "paced" in the request: 5 ms apart.
 *
 * backend CERT_FILE KEY_FILE   prints its port, serves until SIGTERM */
#define _GNU_SOURCE
#include "http/http.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES 2048
#define DELTAS 200
#define PACE_MS 5

typedef struct {
  Loop *loop;
  SSL_CTX *context;
  int fd;
  char answer[ANSWER_BYTES + 1];
} Server;

typedef struct {
  Server *server;
  HttpConn *conn;
  HttpHeaders *headers;
  bool stream, paced;
  LoopTimer *pace;
  unsigned sent;
  bool writing;
} Peer;

static const HttpConnLimits limits = {.max_head = 65536,
                                      .first_byte_timeout = 60,
                                      .idle_timeout = 300,
                                      .high_water = 1 << 20};

static void
on_request(HttpConn *conn, HttpRequest *request, void *data)
{
  Peer *peer = data;

  peer->stream = peer->paced = false;
  http_request_free(request);
  http_conn_read_body(conn);
}

/* The request says whether it wants a stream. */
static void
on_body(HttpConn *conn, const uint8_t *bytes, size_t len, void *data)
{
  const char *text = (const char *)bytes;
  Peer *peer = data;

  (void)conn;
  if (len <= 64)
    return;
  peer->stream = peer->stream || g_strstr_len(text, 64, "\"stream\":true");
  peer->paced = peer->paced || g_strstr_len(text, 64, "\"paced\":true");
}

static void
peer_free(Peer *peer)
{
  loop_timer_free(peer->pace);
  http_headers_free(peer->headers);
  g_free(peer);
}

static void next_delta(void *data);

static void
go_on(Peer *peer)
{
  if (peer->paced)
    loop_timer_set(peer->pace, PACE_MS);
  else
    loop_defer(peer->server->loop, next_delta, peer);
}

/* One delta each round of the loop: its own chunk, record and segment. */
static void
next_delta(void *data)
{
  static const char delta[] =
      "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":"
      "[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n";
  static const char last[] =
      "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":"
      "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
      "data: [DONE]\n\n";
  Peer *peer = data;

  if (!peer->conn) {
    peer_free(peer);
    return;
  }
  if (peer->sent++ < DELTAS) {
    http_conn_send(peer->conn, delta, sizeof delta - 1);
    go_on(peer);
    return;
  }
  peer->writing = false;
  http_conn_send(peer->conn, last, sizeof last - 1);
  http_conn_end(peer->conn);
}

static void
on_body_end(HttpConn *conn, void *data)
{
  Peer *peer = data;

  http_headers_set(peer->headers,
                   "Content-Type",
                   peer->stream ? "text/event-stream" : "application/json");
  if (!peer->stream) {
    http_conn_reply(
        conn, 200, peer->headers, NULL, peer->server->answer, ANSWER_BYTES);
    return;
  }
  http_conn_send_head(conn, 200, peer->headers, HTTP_BODY_CHUNKED, -1);
  peer->sent = 0;
  peer->writing = true;
  go_on(peer);
}

static void
nothing(HttpConn *conn, void *data)
{
  (void)conn;
  (void)data;
}

static void
on_closed(HttpConn *conn, void *data)
{
  Peer *peer = data;

  (void)conn;
  peer->conn = NULL;
  if (peer->writing)
    return; /* next_delta frees it */
  peer_free(peer);
}

static const HttpConnEvents events = {.request = on_request,
                                      .body = on_body,
                                      .body_end = on_body_end,
                                      .finished = nothing,
                                      .writable = nothing,
                                      .closed = on_closed};

static void
on_accept(uint32_t ready, void *data)
{
  Server *server = data;
  int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  Peer *peer;

  (void)ready;
  if (fd < 0)
    return;
  peer = g_new0(Peer, 1);
  peer->server = server;
  peer->headers = http_headers_new();
  peer->pace = loop_timer_new(server->loop, next_delta, peer);
  peer->conn =
      http_conn_new(server->loop, fd, server->context, &limits, &events, peer);
}

static int
listen_here(void)
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd < 0 || bind(fd, (const struct sockaddr *)&address, len) != 0 ||
      listen(fd, 512) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &len) != 0)
    g_error("backend: cannot listen");
  printf("%u\n", (unsigned)ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

/* A 2 KB answer of the shape that the agent reads. */
static void
make_answer(Server *server)
{
  static const char head[] =
      "{\"id\":\"c\",\"object\":\"chat.completion\",\"model\":\"gpt-4.1\","
      "\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":"
      "{\"role\":\"assistant\",\"content\":\"";
  static const char tail[] = "\"}}]}";

  memset(server->answer, 'a', ANSWER_BYTES);
  for (unsigned i = 0; i < ANSWER_BYTES; i += 6)
    server->answer[i] = ' ';
  memcpy(server->answer, head, sizeof head - 1);
  memcpy(
      server->answer + ANSWER_BYTES - (sizeof tail - 1), tail, sizeof tail - 1);
}

int
main(int argc, char **argv)
{
  Server server = {0};

  if (argc < 3) {
    fprintf(stderr, "usage: backend CERT_FILE KEY_FILE\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  make_answer(&server);
  server.loop = loop_new(NULL);
  server.context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(server.context, argv[1]) != 1 ||
      SSL_CTX_use_PrivateKey_file(server.context, argv[2], SSL_FILETYPE_PEM) !=
          1)
    g_error("backend: certificate or key cannot be read");
  server.fd = listen_here();
  loop_watch_new(server.loop, server.fd, EPOLLIN, on_accept, &server);
  loop_run(server.loop);
  return 0;
}
