/* SPDX-License-Identifier: Apache-2.0 */
/* Client connections at their limits: time, back-pressure both ways, sizes,
 * and every head of the parser's table seen from outside. */
#include "http-peer.h"
#include "http-vectors.h"
#include <string.h>
#include <sys/socket.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* One second is the shortest that the configuration knows. */
static const HttpConnLimits quick = {.max_head = 8192,
                                     .first_byte_timeout = 1,
                                     .idle_timeout = 1,
                                     .high_water = 65536};

/* ---- Time --------------------------------------------------------------- */

static void
test_silent_client(void)
{
  g_autoptr(Peer) peer = peer_new(&quick);
  int64_t before = g_get_monotonic_time();
  peer_until(peer, peer->eof && !peer->conn);
  g_assert_cmpint(g_get_monotonic_time() - before, >=, G_USEC_PER_SEC);
  /* Nothing was asked, nothing is answered. */
  g_assert_cmpuint(peer->got->len, ==, 0);
  g_assert_null(peer->error);
}

/* A head that trickles in does not get more time with each byte. */
static void
test_slow_head(void)
{
  const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  g_autoptr(Peer) peer = peer_new(&quick);
  int64_t before = g_get_monotonic_time();
  size_t sent = 0;
  while (!peer->eof && g_get_monotonic_time() - before < 4 * G_USEC_PER_SEC) {
    peer_push(peer, sent < sizeof head - 1 ? head + sent : "x", 1);
    sent++;
    for (unsigned i = 0; i < 20; i++)
      peer_turn(peer);
  }
  g_assert_cmpint(g_get_monotonic_time() - before, <, 3 * G_USEC_PER_SEC);
  g_assert_true(g_str_has_prefix(peer->got->str, "HTTP/1.1 408 "));
  g_assert_nonnull(strstr(peer->got->str, "the request head took too long"));
}

/* The same on a connection that served a request before. */
static void
test_slow_next_head(void)
{
  g_autoptr(Peer) peer = peer_new(&quick);
  peer_write(peer, GET("/") "GET /");
  peer_until(peer, peer->eof);
  g_assert_cmpuint(peer_count(peer, "HTTP/1.1 200"), ==, 1);
  g_assert_cmpuint(peer_count(peer, "HTTP/1.1 408"), ==, 1);
}

static void
test_idle_between_requests(void)
{
  g_autoptr(Peer) peer = peer_new(&quick);
  peer_write(peer, GET("/"));
  peer_until(peer, peer->eof && !peer->conn);
  g_assert_true(g_str_has_prefix(peer->got->str, "HTTP/1.1 200"));
  g_assert_cmpuint(peer_count(peer, "HTTP/1.1"), ==, 1);
  g_assert_null(peer->error);
}

static void
test_stalled_body(void)
{
  g_autoptr(Peer) peer = peer_new(&quick);
  peer_write(peer,
             "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  peer_until(peer, peer->eof);
  g_assert_true(g_str_has_prefix(peer->got->str, "HTTP/1.1 408 "));
  peer_close(peer);
  peer_until(peer, !peer->conn);
  g_assert_cmpstr(peer->error, ==, "the request body took too long");
}

static void
test_reader_gone_quiet(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&quick);
  g_autofree char *body = g_malloc0(16 << 20);
  peer->idle = true;
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_reply(peer->conn, 200, NULL, NULL, body, 16 << 20);
  peer_until(peer, !peer->conn);
  g_assert_cmpstr(peer->error, ==, "the client does not read its answer");
}

/* The owner may think as long as it likes, paused or not. */
static void
test_no_limit_on_the_owner(void)
{
  g_autoptr(Peer) peer = peer_new(&quick);
  g_autoptr(Peer) paused = peer_new(&quick);
  peer_write(peer, GET("/hold"));
  peer_write(paused,
             "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  peer_until(peer, peer->log->len > 0);
  peer_until(paused, paused->log->len > 0);
  http_conn_read_body(paused->conn);
  http_conn_pause_body(paused->conn, true);
  int64_t before = g_get_monotonic_time();
  while (g_get_monotonic_time() - before < 1500 * 1000) {
    peer_turn(peer);
    peer_turn(paused);
  }
  g_assert_nonnull(peer->conn);
  g_assert_nonnull(paused->conn);
  http_conn_reply(peer->conn, 200, NULL, NULL, "late", 4);
  peer_until(peer, g_str_has_suffix(peer->got->str, "late"));
}

/* ---- Back-pressure --------------------------------------------------------
 */

static void
test_output_pressure(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  char piece[4096];
  memset(piece, 'x', sizeof piece);
  peer->idle = true;
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  size_t sent = 0;
  for (unsigned i = 0; i < 3; i++) {
    /* The kernel's buffers fill first, then ours up to the mark. */
    while (http_conn_send(peer->conn, piece, sizeof piece))
      sent += sizeof piece;
    sent += sizeof piece;
    g_assert_cmpuint(sent, <, 64 << 20);
    peer_rest(peer);
    g_assert_null(strstr(peer->log->str, "W"));
    peer->idle = false;
    peer_until(peer, strstr(peer->log->str, "W"));
    g_string_truncate(peer->log, 0);
    peer->idle = true;
  }
  http_conn_end(peer->conn);
  peer->idle = false;
  peer_until(peer, strstr(peer->log->str, "F"));
  peer_until(peer, g_str_has_suffix(peer->got->str, "\r\n0\r\n\r\n"));
  size_t got = 0;
  for (size_t i = 0; i < peer->got->len; i++)
    got += peer->got->str[i] == 'x';
  g_assert_cmpuint(got, ==, sent);
  g_assert_null(strstr(peer->log->str, "W"));
}

static void
test_input_pressure(void)
{
  const size_t total = 24 << 20;
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  g_autofree char *body = g_malloc(total);
  for (size_t i = 0; i < total; i++)
    body[i] = (char)('a' + i % 23);
  g_autofree char *head = g_strdup_printf(
      "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", total);
  peer_write(peer, head);
  peer_until(peer, peer->log->len > 0);
  http_conn_read_body(peer->conn);
  http_conn_pause_body(peer->conn, true);
  size_t put = 0;
  for (unsigned idle = 0; idle < 20;) {
    size_t n = peer_push(peer, body + put, total - put);
    put += n;
    idle = n ? 0 : idle + 1;
    peer_turn(peer);
  }
  /* Everything stopped in the kernel, nothing reached the owner. */
  g_assert_cmpuint(put, <, total);
  g_assert_cmpuint(peer->body->len, ==, 0);
  http_conn_pause_body(peer->conn, false);
  peer_write_len(peer, body + put, total - put);
  http_conn_pause_body(peer->conn, true);
  http_conn_pause_body(peer->conn, false);
  peer_until(peer, strstr(peer->log->str, "E"));
  g_assert_cmpmem(peer->body->str, peer->body->len, body, total);
}

/* A client that leaves is noticed while its body is not read. */
static void
test_leave_while_paused(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  peer_write(peer,
             "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  peer_until(peer, peer->log->len > 0);
  http_conn_read_body(peer->conn);
  http_conn_pause_body(peer->conn, true);
  peer_write(peer, "def");
  peer_rest(peer);
  peer_close(peer);
  peer_until(peer, !peer->conn);
  g_assert_cmpstr(peer->error, ==, "the client left");
}

/* Pipelined input is read ahead only a little while a request is held. */
static void
test_pipelined_flood(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  size_t put = 0;
  for (unsigned idle = 0; idle < 20;) {
    size_t n = peer_push(peer, GET("/"), strlen(GET("/")));
    put += n;
    idle = n ? 0 : idle + 1;
    if (n == 0)
      peer_turn(peer);
    g_assert_cmpuint(put, <, 64 << 20);
  }
  g_assert_cmpstr(peer->log->str, ==, "R GET /hold");
  /* A FIN would stay behind what is not read; a reset does not. */
  const struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  peer_close(peer);
  peer_until(peer, !peer->conn);
}

static void
test_long_head(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  g_autofree char *value = g_strnfill(9000, 'v');
  peer_write(peer, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
  peer_write(peer, value);
  peer_until(peer, peer->eof);
  g_assert_true(g_str_has_prefix(peer->got->str, "HTTP/1.1 431 "));
}

/* ---- The parser's table, from outside
 * ---------------------------------------- */

static void
check_vector(const Vector *vector)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  g_autofree char *status = g_strdup_printf("HTTP/1.1 %d ", vector->status);
  peer_write_len(peer, (const char *)vector->bytes->data, vector->bytes->len);
  if (vector->status == 200) {
    peer_until(peer, g_str_has_prefix(peer->log->str, "R "));
    return;
  }
  peer_until(peer, peer->eof);
  g_assert_true(g_str_has_prefix(peer->got->str, status));
  g_assert_nonnull(strstr(peer->got->str, "\r\nx-github-request-id: "));
  g_assert_nonnull(strstr(peer->got->str, "\r\nConnection: close\r\n"));
  g_assert_nonnull(
      strstr(peer->got->str, "\r\nContent-Type: application/json\r\n"));
  g_assert_nonnull(strstr(peer->got->str, "{\"error\":{\"message\":\""));
  g_assert_cmpuint(peer_count(peer, "HTTP/1.1 "), ==, 1);
  peer_close(peer);
  peer_until(peer, !peer->conn);
  g_assert_cmpstr(peer->error, ==, vector->expected);
  g_assert_cmpstr(peer->log->str, ==, "C");
}

static void
test_vectors(void)
{
  g_autoptr(GPtrArray) vectors = vectors_load();
  for (unsigned i = 0; i < vectors->len; i++)
    check_vector(vectors->pdata[i]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define TEST(name, func) g_test_add_func("/http/conn-limits/" name, func)
  TEST("time/silent-client", test_silent_client);
  TEST("time/slow-head", test_slow_head);
  TEST("time/slow-next-head", test_slow_next_head);
  TEST("time/idle-between-requests", test_idle_between_requests);
  TEST("time/stalled-body", test_stalled_body);
  TEST("time/reader-gone-quiet", test_reader_gone_quiet);
  TEST("time/no-limit-on-the-owner", test_no_limit_on_the_owner);
  TEST("pressure/output", test_output_pressure);
  TEST("pressure/input", test_input_pressure);
  TEST("pressure/leave-while-paused", test_leave_while_paused);
  TEST("pressure/pipelined-flood", test_pipelined_flood);
  TEST("long-head", test_long_head);
  TEST("vectors", test_vectors);
  return g_test_run();
}
