/* SPDX-License-Identifier: Apache-2.0 */
/* Client connections with TLS: records, names, handshakes that fail, leaving,
 * and the memory of an idle one. */
#include "config.h"
#include "http-peer.h"
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define IDLE_CLIENTS 300
#define IDLE_BYTES 24576

#ifdef HOOP_SANITIZED
#define SANITIZED true
#else
#define SANITIZED false
#endif

typedef struct {
  SSL_CTX *server;
  SSL_CTX *client;
} Contexts;

static void
set_up(Contexts *contexts, gconstpointer data)
{
  (void)data;
  contexts->server = peer_server_ctx();
  contexts->client = peer_client_ctx();
}

static void
tear_down(Contexts *contexts, gconstpointer data)
{
  (void)data;
  SSL_CTX_free(contexts->server);
  SSL_CTX_free(contexts->client);
}

static void
test_requests(Contexts *contexts, gconstpointer data)
{
  (void)data;
  g_autoptr(Peer) peer = peer_new_tls(
      &peer_limits, contexts->server, contexts->client, "API.Example");
  g_autofree char *body = g_strnfill(100000, 'b');
  g_autofree char *request = g_strdup_printf(
      "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n%s", body);
  for (unsigned i = 1; i <= 3; i++) {
    peer_write(peer, request);
    peer_until(peer,
               peer_count(peer, "HTTP/1.1 200") == i &&
                   g_str_has_suffix(peer->got->str, body));
  }
  g_assert_true(http_conn_is_tls(peer->conn));
  g_assert_cmpstr(http_conn_sni(peer->conn), ==, "api.example");
}

/* A request cut into records of one byte, and two in one record. */
static void
test_records_in(Contexts *contexts, gconstpointer data)
{
  (void)data;
  static const char request[] =
      "POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\n\r\n";
  g_autoptr(Peer) peer =
      peer_new_tls(&peer_limits, contexts->server, contexts->client, NULL);
  for (size_t i = 0; i < sizeof request - 1; i++)
    peer_write_len(peer, request + i, 1);
  peer_write(peer, GET("/a") GET("/b"));
  peer_until(peer, peer_count(peer, "HTTP/1.1 200") == 3);
  g_assert_null(http_conn_sni(peer->conn));
  g_assert_nonnull(strstr(peer->log->str, "F R GET /a E F R GET /b E F"));
}

/* What one round sends is one record, its chunks kept apart; what comes later
 * has its own. */
static void
test_records_out(Contexts *contexts, gconstpointer data)
{
  (void)data;
  g_autoptr(Peer) peer =
      peer_new_tls(&peer_limits, contexts->server, contexts->client, NULL);
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  peer_until(peer, g_str_has_suffix(peer->got->str, "\r\n\r\n"));
  for (unsigned i = 1; i < 9; i++) {
    g_autofree char *last = g_strdup_printf("a\r\n012345678%u\r\n", i);

    http_conn_send(peer->conn, last + 3, 10);
    peer_until(peer, g_str_has_suffix(peer->got->str, last));
  }
  http_conn_send(peer->conn, "abc", 3);
  http_conn_send(peer->conn, "de", 2);
  http_conn_end(peer->conn);
  peer_until(peer, strstr(peer->log->str, "F"));
  peer_until(
      peer,
      g_str_has_suffix(peer->got->str, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  g_auto(GStrv) reads = g_strsplit(peer->reads->str, " ", -1);
  g_assert_cmpuint(g_strv_length(reads), ==, 1 + 8 + 1 + 1);
  for (unsigned i = 1; i < 9; i++)
    g_assert_cmpstr(reads[i], ==, "15");
  g_assert_cmpstr(reads[9], ==, "20");
}

static void
test_handshake_refused(Contexts *contexts, gconstpointer data)
{
  (void)data;
  SSL_CTX_set_verify(contexts->client, SSL_VERIFY_PEER, NULL);
  g_autoptr(Peer) peer = peer_new_tls(
      &peer_limits, contexts->server, contexts->client, "api.example");
  peer_until(peer, !peer->conn);
  g_assert_cmpstr(peer->error, ==, "tlsv1 alert unknown ca");
  g_assert_cmpstr(peer->sni, ==, "api.example");
  g_assert_cmpstr(peer->log->str, ==, "C");
}

/* What is no host name is not told as one, so that it needs no care later. */
static void
test_odd_sni(Contexts *contexts, gconstpointer data)
{
  static const char *const names[] = {"a b", "a\nb", "\xff", "a:80", "*.a"};
  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autoptr(Peer) peer = peer_new_tls(
        &peer_limits, contexts->server, contexts->client, names[i]);
    peer_write(peer, GET("/"));
    peer_until(peer, peer->got->len > 0);
    g_assert_null(http_conn_sni(peer->conn));
  }
}

static void
test_not_tls(Contexts *contexts, gconstpointer data)
{
  (void)data;
  g_autoptr(Peer) fresh =
      peer_new_tls(&peer_limits, contexts->server, NULL, NULL);
  peer_write(fresh, GET("/"));
  peer_until(fresh, !fresh->conn);
  g_assert_cmpstr(fresh->error, ==, "http request");

  g_autoptr(Peer) later =
      peer_new_tls(&peer_limits, contexts->server, contexts->client, NULL);
  g_assert_nonnull(later->conn);
  SSL_free(later->ssl);
  later->ssl = NULL;
  peer_write(later, GET("/"));
  peer_until(later, !later->conn);
  g_assert_cmpstr(later->error, ==, "wrong version number");
}

/* A client that says nothing at all, and one that stops inside its hello. */
static void
test_handshake_timeout(Contexts *contexts, gconstpointer data)
{
  (void)data;
  HttpConnLimits limits = peer_limits;
  limits.first_byte_timeout = 1;
  static const char *const parts[] = {"", "\x16\x03\x01\x02"};
  for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
    g_autoptr(Peer) peer = peer_new_tls(&limits, contexts->server, NULL, NULL);
    int64_t before = g_get_monotonic_time();
    peer_write(peer, parts[i]);
    peer_until(peer, !peer->conn);
    g_assert_cmpint(g_get_monotonic_time() - before, >=, G_USEC_PER_SEC);
    g_assert_cmpstr(peer->error, ==, "the TLS handshake took too long");
  }
}

/* A TLS client never half-closes: close_notify or a FIN is its leave. */
static void
test_leave(Contexts *contexts, gconstpointer data)
{
  (void)data;
  for (unsigned variant = 0; variant < 4; variant++) {
    g_autoptr(Peer) peer =
        peer_new_tls(&peer_limits, contexts->server, contexts->client, NULL);
    peer_write(peer, GET("/hold"));
    peer_until(peer, peer->log->len > 0);
    if (variant & 1) {
      http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
      http_conn_send(peer->conn, "data: [DONE]\n\n", 14);
      peer_until(peer, strstr(peer->got->str, "[DONE]"));
    }
    if (variant & 2)
      SSL_shutdown(peer->ssl);
    else
      peer_close(peer);
    peer_until(peer, !peer->conn);
    g_assert_cmpstr(peer->error, ==, "the client left");
    g_assert_null(strstr(peer->log->str, "F"));
  }
}

static void
test_close_says_so(Contexts *contexts, gconstpointer data)
{
  (void)data;
  g_autoptr(Peer) peer =
      peer_new_tls(&peer_limits, contexts->server, contexts->client, NULL);
  peer_write(peer, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  peer_until(peer, peer->eof);
  g_assert_cmpint(SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN, !=, 0);
  g_assert_false(peer->reset);

  g_autoptr(Peer) idle =
      peer_new_tls(&peer_limits, contexts->server, contexts->client, NULL);
  peer_write(idle, GET("/"));
  peer_until(idle, idle->got->len > 0);
  http_conn_close_after(idle->conn);
  peer_until(idle, idle->eof && !idle->conn);
  g_assert_cmpint(SSL_get_shutdown(idle->ssl) & SSL_RECEIVED_SHUTDOWN, !=, 0);
}

static void
test_pressure(Contexts *contexts, gconstpointer data)
{
  (void)data;
  g_autoptr(Peer) peer =
      peer_new_tls(&peer_limits, contexts->server, contexts->client, NULL);
  char piece[4096];
  memset(piece, 'x', sizeof piece);
  peer->idle = true;
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  while (http_conn_send(peer->conn, piece, sizeof piece))
    ;
  peer_rest(peer);
  g_assert_null(strstr(peer->log->str, "W"));
  peer->idle = false;
  peer_until(peer, strstr(peer->log->str, "W"));
  http_conn_end(peer->conn);
  peer_until(peer, g_str_has_suffix(peer->got->str, "\r\n0\r\n\r\n"));
}

/* ---- Memory
 * ------------------------------------------------------------------- */

typedef struct {
  Loop *loop;
  HttpConn *conns[IDLE_CLIENTS];
  unsigned served;
  unsigned closed;
} Farm;

static void
farm_request(HttpConn *conn, HttpRequest *request, void *data)
{
  (void)data;
  http_request_free(request);
  http_conn_reply(conn, 200, NULL, "text/plain", "hello", 5);
}

static void
farm_ignore(HttpConn *conn, void *data)
{
  (void)conn;
  (void)data;
}

static void
farm_body(HttpConn *conn, const uint8_t *bytes, size_t len, void *data)
{
  (void)conn;
  (void)bytes;
  (void)len;
  (void)data;
}

static void
farm_finished(HttpConn *conn, void *data)
{
  Farm *farm = data;
  (void)conn;
  farm->served++;
}

static void
farm_closed(HttpConn *conn, void *data)
{
  Farm *farm = data;
  (void)conn;
  farm->closed++;
}

/* The clients live in another process, so that only the server's memory is
 * counted here: each asks once and then stays. */
static void
farm_clients(const int *fds, SSL_CTX *ctx)
{
  for (unsigned i = 0; i < IDLE_CLIENTS; i++) {
    char answer[512];
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fds[i]);
    if (SSL_connect(ssl) != 1 ||
        SSL_write(ssl, GET("/"), (int)strlen(GET("/"))) <= 0 ||
        SSL_read(ssl, answer, sizeof answer) <= 0)
      _exit(1);
  }
  for (;;)
    pause();
}

static void
test_idle_memory(Contexts *contexts, gconstpointer data)
{
  (void)data;
  static const HttpConnEvents events = {farm_request,
                                        farm_body,
                                        farm_ignore,
                                        farm_finished,
                                        farm_ignore,
                                        farm_closed};
  static Farm farm;
  if (SANITIZED || g_getenv("HOOP_VALGRIND")) {
    g_test_skip("a sanitizer's allocator counts differently");
    return;
  }
  int ours[IDLE_CLIENTS], theirs[IDLE_CLIENTS];
  for (unsigned i = 0; i < IDLE_CLIENTS; i++) {
    int fds[2];
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    ours[i] = fds[0];
    theirs[i] = fds[1];
    g_assert_cmpint(fcntl(ours[i], F_SETFL, O_NONBLOCK), ==, 0);
  }
  pid_t child = fork();
  if (child == 0)
    farm_clients(theirs, contexts->client);
  for (unsigned i = 0; i < IDLE_CLIENTS; i++)
    close(theirs[i]);
  farm.loop = loop_new(NULL);
  size_t before = mallinfo2().uordblks;
  for (unsigned i = 0; i < IDLE_CLIENTS; i++)
    farm.conns[i] = http_conn_new(
        farm.loop, ours[i], contexts->server, &peer_limits, &events, &farm);
  int64_t end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
  while (farm.served < IDLE_CLIENTS && g_get_monotonic_time() < end)
    loop_iterate(farm.loop, 100);
  size_t each = (mallinfo2().uordblks - before) / IDLE_CLIENTS;
  g_assert_cmpuint(farm.served, ==, IDLE_CLIENTS);
  g_test_message("%zu bytes for each idle TLS connection", each);
  g_assert_cmpuint(each, <=, IDLE_BYTES);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  while (farm.closed < IDLE_CLIENTS && g_get_monotonic_time() < end)
    loop_iterate(farm.loop, 100);
  g_assert_cmpuint(farm.closed, ==, IDLE_CLIENTS);
  loop_free(farm.loop);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  signal(SIGPIPE, SIG_IGN);
#define TEST(name, func)                                                       \
  g_test_add("/http/conn-tls/" name, Contexts, NULL, set_up, func, tear_down)
  TEST("requests", test_requests);
  TEST("records-in", test_records_in);
  TEST("records-out", test_records_out);
  TEST("handshake/refused", test_handshake_refused);
  TEST("handshake/odd-sni", test_odd_sni);
  TEST("handshake/not-tls", test_not_tls);
  TEST("handshake/timeout", test_handshake_timeout);
  TEST("leave", test_leave);
  TEST("close-says-so", test_close_says_so);
  TEST("pressure", test_pressure);
  TEST("idle-memory", test_idle_memory);
  return g_test_run();
}
