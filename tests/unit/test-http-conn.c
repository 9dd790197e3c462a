/* SPDX-License-Identifier: Apache-2.0 */
/* Plain client connections: order, framing both ways, early and late answers,
 * every place at which a client can leave, calls from inside events. */
#include "http-peer.h"
#include <string.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST3 "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
#define CHUNKED(path)                                                          \
  "POST " path " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void
test_keep_alive(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  for (unsigned i = 1; i <= 3; i++) {
    peer_write(peer, POST3);
    peer_until(peer, peer_count(peer, "\r\n\r\nabc") == i);
  }
  g_assert_cmpstr(
      peer->log->str, ==, "R POST /p B3 E F R POST /p B3 E F R POST /p B3 E F");
  g_assert_true(g_str_has_prefix(peer->got->str, "HTTP/1.1 200 OK\r\n"));
  g_assert_nonnull(strstr(peer->got->str, "\r\nContent-Length: 3\r\n"));
  g_assert_true(g_regex_match_simple(
      "Date: (Mon|Tue|Wed|Thu|Fri|Sat|Sun), \\d\\d [A-Z][a-z]{2} \\d{4} "
      "\\d\\d:\\d\\d:\\d\\d GMT\r\n",
      peer->got->str,
      0,
      0));
  g_assert_null(strstr(peer->got->str, "Connection:"));
}

static void
test_pipelining(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  peer_write(peer, GET("/hold") POST3 GET("/c"));
  peer_until(peer, peer->log->len > 0);
  peer_rest(peer);
  /* The second head is not even looked at before the first answer ended. */
  g_assert_cmpstr(peer->log->str, ==, "R GET /hold");
  http_conn_reply(peer->conn, 202, NULL, NULL, "one", 3);
  g_assert_cmpstr(peer->log->str, ==, "R GET /hold");
  peer_until(peer, peer_count(peer, "HTTP/1.1 200") == 2);
  g_assert_cmpstr(
      peer->log->str, ==, "R GET /hold F R POST /p B3 E F R GET /c E F");
  g_assert_true(g_str_has_prefix(peer->got->str, "HTTP/1.1 202 Accepted"));
}

/* A broken request behind a good one is answered after it. */
static void
test_pipelined_garbage(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  peer_write(peer, POST3 "GET / HTTP/1.1\r\nHost : a\r\n\r\n");
  peer_until(peer, peer->eof);
  g_assert_cmpuint(peer_count(peer, "HTTP/1.1 200 OK"), ==, 1);
  g_assert_cmpuint(peer_count(peer, "HTTP/1.1 400 Bad Request"), ==, 1);
  g_assert_nonnull(strstr(peer->got->str, "white space before the colon"));
  g_assert_nonnull(strstr(peer->got->str, "\r\nx-github-request-id: "));
  g_assert_nonnull(strstr(peer->got->str, "\r\nConnection: close\r\n"));
  peer_close(peer);
  peer_until(peer, !peer->conn);
  g_assert_cmpstr(peer->error, ==, "Host: white space before the colon");
}

static void
test_byte_by_byte(void)
{
  static const char request[] =
      CHUNKED("/p") "3;x=\"y\"\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n" POST3;
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  for (size_t i = 0; i < sizeof request - 1; i++) {
    peer_write_len(peer, request + i, 1);
    loop_iterate(peer->loop, 0);
  }
  peer_until(peer, peer_count(peer, "HTTP/1.1 200") == 2);
  g_assert_nonnull(strstr(peer->got->str, "\r\n\r\nabcdeHTTP/1.1"));
  g_assert_true(g_str_has_suffix(peer->got->str, "\r\n\r\nabc"));
}

/* A request in two pieces, cut at each byte. */
static void
test_every_cut(void)
{
  static const char request[] =
      CHUNKED("/p") "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  for (size_t cut = 1; cut < sizeof request - 1; cut++) {
    g_string_truncate(peer->got, 0);
    peer_write_len(peer, request, cut);
    loop_iterate(peer->loop, 0);
    peer_write(peer, request + cut);
    peer_until(peer, peer_count(peer, "\r\n\r\nabcde") == 1);
  }
}

static void
test_expect(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  peer_write(peer,
             "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
             "Expect: 100-continue\r\n\r\n");
  peer_until(peer, peer->log->len > 0);
  peer_rest(peer);
  g_assert_cmpstr(peer->got->str, ==, "");
  http_conn_read_body(peer->conn);
  peer_until(peer, peer->got->len > 0);
  g_assert_cmpstr(peer->got->str, ==, "HTTP/1.1 100 Continue\r\n\r\n");
  peer_write(peer, "abc");
  peer_until(peer, strstr(peer->log->str, "E"));
  http_conn_reply(peer->conn, 200, NULL, NULL, "", 0);
  /* Whose body comes along needs no invitation. */
  peer_write(peer,
             "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
             "Expect: 100-continue\r\n\r\nabc");
  peer_until(peer, peer_count(peer, "HTTP/1.1 200") == 2);
  g_assert_cmpuint(peer_count(peer, "100 Continue"), ==, 1);
}

static void
test_no_bodies(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  static const struct {
    const char *method;
    int status;
    HttpBodyKind kind;
    const char *framing; /* what must, or with '!' must not, be there */
  } cases[] = {
      {"HEAD", 200, HTTP_BODY_SIZED, "Content-Length: 5\r\n"},
      {"HEAD", 200, HTTP_BODY_CHUNKED, "Transfer-Encoding: chunked\r\n"},
      {"HEAD", 200, HTTP_BODY_NONE, "Content-Length: 5\r\n"},
      {"GET", 204, HTTP_BODY_SIZED, "!Content-Length"},
      {"GET", 204, HTTP_BODY_CHUNKED, "!Transfer-Encoding"},
      {"GET", 304, HTTP_BODY_NONE, "Content-Length: 5\r\n"},
      {"GET", 304, HTTP_BODY_CHUNKED, "!Transfer-Encoding"},
      {"GET", 200, HTTP_BODY_NONE, "Content-Length: 0\r\n"},
      {"PUT", 201, HTTP_BODY_NONE, "Content-Length: 0\r\n"},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_string_truncate(peer->got, 0);
    g_string_truncate(peer->log, 0);
    g_autofree char *request = g_strdup_printf(
        "%s /hold HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].method);
    peer_write(peer, request);
    peer_until(peer, peer->log->len > 0);
    http_conn_send_head(peer->conn, cases[i].status, NULL, cases[i].kind, 5);
    if (cases[i].kind != HTTP_BODY_NONE)
      g_assert_true(http_conn_send(peer->conn, "hello", 5));
    http_conn_end(peer->conn);
    peer_until(peer, strstr(peer->log->str, "F"));
    peer_rest(peer);
    g_assert_true(g_str_has_suffix(peer->got->str, "\r\n\r\n"));
    const char *framing = cases[i].framing;
    if (*framing == '!')
      g_assert_null(strstr(peer->got->str, framing + 1));
    else
      g_assert_nonnull(strstr(peer->got->str, framing));
  }
}

static void
test_interim(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  g_autoptr(HttpHeaders) link = http_headers_new();
  http_headers_add(link, "Link", "</x>");
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 103, link, HTTP_BODY_NONE, -1);
  http_conn_reply(peer->conn, 200, NULL, NULL, "x", 1);
  peer_until(peer, peer_count(peer, "HTTP/1.1 200"));
  g_assert_true(g_str_has_prefix(
      peer->got->str, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP"));
}

static void
test_http10(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  peer_write(peer,
             "GET /hold HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  peer_until(peer, peer->log->len > 0);
  http_conn_reply(peer->conn, 200, NULL, NULL, "x", 1);
  peer_until(peer, strstr(peer->log->str, "F"));
  g_assert_nonnull(strstr(peer->got->str, "\r\nConnection: keep-alive\r\n"));
  g_string_truncate(peer->log, 0);
  g_string_truncate(peer->got, 0);
  peer_write(peer,
             "GET /hold HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 103, NULL, HTTP_BODY_NONE, -1);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  http_conn_send(peer->conn, "abc", 3);
  http_conn_send(peer->conn, "def", 3);
  http_conn_end(peer->conn);
  peer_until(peer, peer->eof);
  g_assert_null(strstr(peer->got->str, "chunked"));
  g_assert_null(strstr(peer->got->str, "103"));
  g_assert_nonnull(strstr(peer->got->str, "\r\nConnection: close\r\n"));
  g_assert_true(g_str_has_suffix(peer->got->str, "\r\n\r\nabcdef"));
}

/* One send is one chunk; the first leaves with the head, the last with the
 * end, those of one round apart from each other. */
static void
test_chunks(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  g_autoptr(HttpHeaders) headers = http_headers_new();
  http_headers_add(headers, "Content-Type", "text/event-stream");
  http_headers_add(headers, "Content-Length", "77");
  http_headers_add(headers, "Connection", "keep-alive, X");
  http_headers_add(headers, "Date", "then");
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 200, headers, HTTP_BODY_CHUNKED, -1);
  http_conn_send(peer->conn, "first", 5);
  http_conn_send(peer->conn, "", 0); /* never ends the body by itself */
  peer_until(peer, strstr(peer->got->str, "first"));
  g_assert_cmpstr(peer->got->str,
                  ==,
                  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  "Date: then\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "5\r\nfirst\r\n");
  g_autofree char *long_one = g_strnfill(300, 'x');
  http_conn_send(peer->conn, long_one, 300);
  http_conn_end(peer->conn);
  http_conn_send(peer->conn, "late", 4);
  peer_until(peer, strstr(peer->log->str, "F"));
  peer_rest(peer);
  g_autofree char *tail =
      g_strdup_printf("\r\n12c\r\n%s\r\n0\r\n\r\n", long_one);
  g_assert_true(g_str_has_suffix(peer->got->str, tail));
}

/* A client with Nagle's algorithm sends the rest of a request only when our
 * ACK comes, which the kernel would hold back for 40 ms. */
static void
test_nagle(void)
{
  static const char head[] =
      "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  unsigned slow = 0;
  for (unsigned i = 1; i <= 30; i++) {
    int64_t before = g_get_monotonic_time();
    peer_write(peer, head);
    peer_write(peer, "abc");
    peer_write(peer, "def");
    peer_until(peer, peer_count(peer, "\r\n\r\nabcdef") == i);
    slow += g_get_monotonic_time() - before > 30000;
  }
  g_assert_cmpuint(slow, <, 15);
}

/* ---- Bad framing, early answers -------------------------------------------
 */

static void
test_bad_chunk(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  peer_write(peer, CHUNKED("/p") "3\r\nabcX\r\n0\r\n\r\n");
  peer_until(peer, peer->eof);
  g_assert_true(
      g_str_has_prefix(peer->got->str, "HTTP/1.1 400 Bad Request\r\n"));
  g_assert_nonnull(strstr(peer->got->str, "a chunk is longer than its size"));
  g_assert_cmpstr(peer->log->str, ==, "R POST /p B3");
  /* What the owner says now is not heard. */
  http_conn_reply(peer->conn, 200, NULL, NULL, "x", 1);
  peer_close(peer);
  peer_until(peer, !peer->conn);
  g_assert_cmpstr(peer->log->str, ==, "R POST /p B3 C");
  g_assert_cmpuint(peer_count(peer, "HTTP/1.1"), ==, 1);
}

/* Once an answer has begun, broken framing can only cut it. */
static void
test_bad_chunk_in_answer(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  peer_write(peer, CHUNKED("/hold") "3\r\nabc\r\n");
  peer_until(peer, peer->log->len > 0);
  http_conn_read_body(peer->conn);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  http_conn_send(peer->conn, "x", 1);
  peer_until(peer, strstr(peer->got->str, "x\r\n"));
  peer_write(peer, "zz\r\n");
  peer_until(peer, !peer->conn && peer->eof);
  g_assert_true(peer->reset);
}

/* The client is still sending, and reads the refusal all the same. */
static void
test_early_answer(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  g_autofree char *body = g_strnfill(700000, 'x');
  peer->idle = true;
  peer_write(peer,
             "POST /early HTTP/1.1\r\nHost: a\r\n"
             "Content-Length: 700000\r\n\r\n");
  peer_write(peer, body);
  peer->idle = false;
  peer_until(peer, peer->eof);
  g_assert_false(peer->reset);
  g_assert_cmpstr(peer->log->str, ==, "R POST /early F");
  g_assert_nonnull(strstr(peer->got->str, "\r\nConnection: close\r\n"));
  g_assert_true(g_str_has_suffix(peer->got->str, "\r\n\r\nno"));
  peer_close(peer);
  peer_until(peer, !peer->conn);
}

/* A request without a body may be answered without asking for it. */
static void
test_early_without_body(void)
{
  g_autoptr(Peer) peer = peer_new(&peer_limits);
  peer_write(peer, GET("/early") GET("/early"));
  peer_until(peer, peer_count(peer, "\r\n\r\nno") == 2);
  g_assert_cmpuint(peer_count(peer, "Connection: close"), ==, 0);
}

static void
test_wrong_lengths(void)
{
  for (unsigned longer = 0; longer < 2; longer++) {
    g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
    peer_write(peer, GET("/hold"));
    peer_until(peer, peer->log->len > 0);
    http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_SIZED, 5);
    http_conn_send(peer->conn, "abcdef", longer ? 6 : 4);
    http_conn_end(peer->conn);
    peer_until(peer, peer->eof && !peer->conn);
    g_assert_true(peer->reset);
    g_assert_nonnull(strstr(peer->error, longer ? "longer" : "shorter"));
  }
}

static void
test_endless_queue(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  g_autofree char *piece = g_malloc0(4 << 20);
  peer->idle = true;
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  for (unsigned i = 0; i < 20; i++)
    http_conn_send(peer->conn, piece, 4 << 20);
  peer_until(peer, !peer->conn);
  g_assert_nonnull(strstr(peer->error, "more output"));
}

/* ---- Closing ----------------------------------------------------------------
 */

static void
test_connection_close(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  peer_write(
      peer,
      "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/never"));
  peer_until(peer, peer->eof);
  g_assert_false(peer->reset);
  g_assert_nonnull(strstr(peer->got->str, "\r\nConnection: close\r\n"));
  peer_close(peer);
  peer_until(peer, !peer->conn);
  g_assert_cmpstr(peer->log->str, ==, "R GET / E F C");
  g_assert_null(peer->error);
}

static void
test_close_after(void)
{
  g_autoptr(Peer) idle = peer_new(&peer_limits);
  http_conn_close_after(idle->conn);
  g_assert_cmpstr(idle->log->str, ==, "");
  peer_until(idle, idle->eof && !idle->conn);

  g_autoptr(Peer) busy = peer_new(&peer_limits);
  peer_write(busy, GET("/hold"));
  peer_until(busy, busy->log->len > 0);
  http_conn_close_after(busy->conn);
  peer_rest(busy);
  g_assert_cmpstr(busy->log->str, ==, "R GET /hold");
  http_conn_reply(busy->conn, 200, NULL, NULL, "x", 1);
  peer_until(busy, busy->eof);
  g_assert_nonnull(strstr(busy->got->str, "\r\nConnection: close\r\n"));
}

static void
test_abort(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  http_conn_send(peer->conn, "never sent", 10);
  http_conn_abort(peer->conn);
  g_assert_cmpstr(peer->log->str, ==, "R GET /hold");
  peer_until(peer, peer->eof && !peer->conn);
  g_assert_true(peer->reset);
  g_assert_cmpuint(peer->got->len, ==, 0);
}

/* Freed from inside each event, nothing is called or touched afterwards. */
static void
test_abort_inside(void)
{
  static const char events[] = "RBEFC";
  for (const char *at = events; *at; at++) {
    g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
    peer->abort_at = *at;
    peer_write(peer, POST3 POST3);
    if (*at == 'C') {
      peer_until(peer, peer_count(peer, "HTTP/1.1 200") == 2);
      peer_close(peer);
    }
    peer_until(peer, !peer->conn);
    g_assert_true(g_str_has_suffix(peer->log->str, " C"));
    g_assert_cmpint(peer->log->str[strlen(peer->log->str) - 1], ==, 'C');
  }
}

/* ---- The client leaves
 * ------------------------------------------------------- */

static void
test_leave_idle(void)
{
  g_autoptr(Peer) fresh = peer_new(&peer_limits);
  peer_close(fresh);
  peer_until(fresh, !fresh->conn);
  g_assert_null(fresh->error);

  g_autoptr(Peer) served = peer_new(&peer_limits);
  peer_write(served, GET("/"));
  peer_until(served, served->got->len > 0);
  peer_close(served);
  peer_until(served, !served->conn);
  g_assert_null(served->error);
}

static void
test_leave_in_request(void)
{
  static const char *const parts[] = {"GET / HTTP/1.1\r\nHo",
                                      "POST /p HTTP/1.1\r\nHost: a\r\n"
                                      "Content-Length: 9\r\n\r\nabc",
                                      CHUNKED("/p") "3\r\nab"};
  for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++)
    for (unsigned half = 0; half < 2; half++) {
      g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
      peer_write(peer, parts[i]);
      peer_rest(peer);
      g_assert_nonnull(peer->conn);
      if (half)
        peer_shut(peer);
      else
        peer_close(peer);
      peer_until(peer, !peer->conn);
      g_assert_true(g_str_has_prefix(peer->error, "the client left"));
      g_assert_null(strstr(peer->log->str, "E"));
    }
}

/* A held request ends as soon as its client is gone, read or unread. */
static void
test_leave_while_held(void)
{
  for (unsigned variant = 0; variant < 4; variant++) {
    g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
    peer_write(peer,
               "POST /hold HTTP/1.1\r\nHost: a\r\n"
               "Content-Length: 3\r\n\r\nabc");
    peer_until(peer, peer->log->len > 0);
    if (variant & 1)
      http_conn_read_body(peer->conn);
    peer_rest(peer);
    int64_t before = g_get_monotonic_time();
    if (variant & 2)
      peer_shut(peer);
    else
      peer_close(peer);
    peer_until(peer, !peer->conn);
    g_assert_cmpint(g_get_monotonic_time() - before, <, G_USEC_PER_SEC);
    g_assert_cmpstr(peer->error, ==, "the client left");
    g_assert_true(g_str_has_suffix(peer->log->str, "C"));
  }
}

/* Half-closing is legal once the answer has begun: it comes whole. */
static void
test_half_close_in_answer(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  http_conn_send(peer->conn, "one", 3);
  peer_until(peer, strstr(peer->got->str, "one"));
  peer_shut(peer);
  peer_rest(peer);
  g_assert_nonnull(peer->conn);
  http_conn_send(peer->conn, "two", 3);
  http_conn_end(peer->conn);
  peer_until(peer, peer->eof && !peer->conn);
  g_assert_true(g_str_has_suffix(peer->got->str, "two\r\n0\r\n\r\n"));
  g_assert_cmpstr(peer->log->str, ==, "R GET /hold F C");
}

static void
test_leave_in_answer(void)
{
  g_autoptr(Peer) peer = peer_new_tcp(&peer_limits);
  peer_write(peer, GET("/hold"));
  peer_until(peer, peer->log->len > 0);
  http_conn_send_head(peer->conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
  http_conn_send(peer->conn, "one", 3);
  peer_until(peer, strstr(peer->got->str, "one"));
  peer_close(peer);
  /* The first write after it is answered by a reset, at the latest. */
  http_conn_send(peer->conn, "two", 3);
  peer_until(peer, !peer->conn);
  g_assert_nonnull(peer->error);
  g_assert_null(strstr(peer->log->str, "F"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define TEST(name, func) g_test_add_func("/http/conn/" name, func)
  TEST("keep-alive", test_keep_alive);
  TEST("pipelining", test_pipelining);
  TEST("pipelined-garbage", test_pipelined_garbage);
  TEST("byte-by-byte", test_byte_by_byte);
  TEST("every-cut", test_every_cut);
  TEST("expect", test_expect);
  TEST("no-bodies", test_no_bodies);
  TEST("interim", test_interim);
  TEST("http-1.0", test_http10);
  TEST("chunks", test_chunks);
  TEST("nagle", test_nagle);
  TEST("bad-chunk", test_bad_chunk);
  TEST("bad-chunk-in-answer", test_bad_chunk_in_answer);
  TEST("early-answer", test_early_answer);
  TEST("early-without-body", test_early_without_body);
  TEST("wrong-lengths", test_wrong_lengths);
  TEST("endless-queue", test_endless_queue);
  TEST("connection-close", test_connection_close);
  TEST("close-after", test_close_after);
  TEST("abort", test_abort);
  TEST("abort-inside-events", test_abort_inside);
  TEST("leave/idle", test_leave_idle);
  TEST("leave/in-request", test_leave_in_request);
  TEST("leave/while-held", test_leave_while_held);
  TEST("leave/half-close-in-answer", test_half_close_in_answer);
  TEST("leave/in-answer", test_leave_in_answer);
  return g_test_run();
}
