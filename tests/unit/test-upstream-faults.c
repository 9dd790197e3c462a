/* SPDX-License-Identifier: Apache-2.0 */
/* Servers and networks that fail, phase by phase: each ends with its own code
 * and a message that names the host, and never as a short success. */
#include "kit/clock.h"
#include "tests/unit/upstream-harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

typedef enum {
  END_PROPERLY, /* close_notify, FIN */
  END_CUT,      /* FIN alone */
  END_RESET,    /* RST */
  END_STALL     /* nothing more, until the client goes */
} End;

typedef struct {
  const char *name;
  const char *send; /* the answer as far as it goes; NULL: none */
  size_t repeat;    /* send this many times "X: …\r\n" after it */
  End end;
  int code;         /* UpstreamErrorCode */
  const char *says; /* a part of the message */
  int heads;        /* how many heads the owner saw */
} Case;

/* clang-format off */
static const Case cases[] = {
    /* before a byte of answer, on a fresh connection */
    {"closed", NULL, 0, END_PROPERLY, UPSTREAM_ERROR_CUT, "before it answered",
     0},
    {"cut", NULL, 0, END_CUT, UPSTREAM_ERROR_CUT, "before it answered", 0},
    {"reset", NULL, 0, END_RESET, UPSTREAM_ERROR_CUT, "before it answered", 0},
    {"stalled", NULL, 0, END_STALL, UPSTREAM_ERROR_TIMEOUT, "sent nothing for", 0},
    /* in the head */
    {"head closed", OK_HEAD "X-A: 1\r\n", 0, END_PROPERLY, UPSTREAM_ERROR_CUT,
     "before it answered", 0},
    {"head cut", OK_HEAD "X-A", 0, END_CUT, UPSTREAM_ERROR_CUT,
     "before it answered", 0},
    {"head reset", OK_HEAD "X-A: 1\r\n", 0, END_RESET, UPSTREAM_ERROR_CUT,
     "before it answered", 0},
    {"head stalled", OK_HEAD "X-A: 1\r\n", 0, END_STALL,
     UPSTREAM_ERROR_TIMEOUT, "sent nothing for", 0},
    {"only 100", "HTTP/1.1 100 Continue\r\n\r\n", 0, END_PROPERLY,
     UPSTREAM_ERROR_CUT, "before it answered", 0},
    {"only 100, stalled", "HTTP/1.1 100 Continue\r\n\r\n", 0, END_STALL,
     UPSTREAM_ERROR_TIMEOUT, "sent nothing for", 0},
    /* in the body */
    {"sized closed", OK_HEAD "Content-Length: 9\r\n\r\nhello", 0, END_PROPERLY,
     UPSTREAM_ERROR_CUT, "complete", 1},
    {"sized cut", OK_HEAD "Content-Length: 9\r\n\r\nhello", 0, END_CUT,
     UPSTREAM_ERROR_CUT, "complete", 1},
    {"sized reset", OK_HEAD "Content-Length: 9\r\n\r\nhello", 0, END_RESET,
     UPSTREAM_ERROR_CUT, "complete", 1},
    {"sized stalled", OK_HEAD "Content-Length: 9\r\n\r\nhello", 0, END_STALL,
     UPSTREAM_ERROR_TIMEOUT, "sent nothing for", 1},
    {"sized, nothing", OK_HEAD "Content-Length: 9\r\n\r\n", 0, END_PROPERLY,
     UPSTREAM_ERROR_CUT, "complete", 1},
    {"chunked closed", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello",
     0, END_PROPERLY, UPSTREAM_ERROR_CUT, "complete", 1},
    {"chunked without the last chunk",
     OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0,
     END_PROPERLY, UPSTREAM_ERROR_CUT, "complete", 1},
    {"chunked, in the last chunk",
     OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", 0,
     END_PROPERLY, UPSTREAM_ERROR_CUT, "complete", 1},
    {"chunked, in the trailers",
     OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n",
     0, END_CUT, UPSTREAM_ERROR_CUT, "complete", 1},
    {"chunked, nothing", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n", 0,
     END_CUT, UPSTREAM_ERROR_CUT, "complete", 1},
    {"chunked stalled", OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhe", 0,
     END_STALL, UPSTREAM_ERROR_TIMEOUT, "sent nothing for", 1},
    {"chunk size is no number",
     OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", 0,
     END_PROPERLY, UPSTREAM_ERROR_CUT, "complete", 1},
    {"open-ended cut", OK_HEAD "\r\nhello", 0, END_CUT, UPSTREAM_ERROR_CUT,
     "complete", 1},
    {"open-ended cut at once", OK_HEAD "\r\n", 0, END_CUT, UPSTREAM_ERROR_CUT,
     "complete", 1},
    {"open-ended reset", OK_HEAD "\r\nhello", 0, END_RESET, UPSTREAM_ERROR_CUT,
     "complete", 1},
    {"HTTP/1.0 cut", "HTTP/1.0 200 OK\r\n\r\nhello", 0, END_CUT,
     UPSTREAM_ERROR_CUT, "complete", 1},
    {"open-ended stalled", OK_HEAD "\r\nhello", 0, END_STALL,
     UPSTREAM_ERROR_TIMEOUT, "sent nothing for", 1},
    /* not HTTP, or not HTTP that has one meaning */
    {"garbage", "\x01\x02 hello there\r\n\r\n", 0, END_PROPERLY,
     UPSTREAM_ERROR_PROTOCOL, "not HTTP", 0},
    {"HTTP/0.9", "<html>hello</html>\r\n", 0, END_PROPERLY,
     UPSTREAM_ERROR_PROTOCOL, "not HTTP", 0},
    {"status of two digits", "HTTP/1.1 20 OK\r\n\r\n", 0, END_PROPERLY,
     UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"status zero", "HTTP/1.1 000 OK\r\n\r\n", 0, END_PROPERLY,
     UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"switches protocols", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 0,
     END_STALL, UPSTREAM_ERROR_PROTOCOL, "unasked", 0},
    {"folded field", OK_HEAD "X-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "folded", 0},
    {"field without colon", OK_HEAD "X-A\r\nContent-Length: 0\r\n\r\n", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "not HTTP", 0},
    {"space before the colon", OK_HEAD "X-A : 1\r\nContent-Length: 0\r\n\r\n",
     0, END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "malformed", 0},
    {"control byte", OK_HEAD "X-A: a\x01z\r\nContent-Length: 0\r\n\r\n", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "malformed", 0},
    {"two lengths", OK_HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"
     "hello", 0, END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"length in a list", OK_HEAD "Content-Length: 5, 5\r\n\r\nhello", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"negative length", OK_HEAD "Content-Length: -5\r\n\r\nhello", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"length with a sign", OK_HEAD "Content-Length: +5\r\n\r\nhello", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"length in hex", OK_HEAD "Content-Length: 0x5\r\n\r\nhello", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"length beyond numbers",
     OK_HEAD "Content-Length: 99999999999999999999\r\n\r\nhello", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"length and chunks", OK_HEAD "Content-Length: 5\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, END_PROPERLY,
     UPSTREAM_ERROR_PROTOCOL, "both", 0},
    {"another transfer coding", OK_HEAD "Transfer-Encoding: gzip\r\n\r\nx", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "", 0},
    {"two transfer codings",
     OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 0,
     END_PROPERLY, UPSTREAM_ERROR_PROTOCOL, "chunked", 0},
    {"chunked twice", OK_HEAD "Transfer-Encoding: chunked\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, END_PROPERLY,
     UPSTREAM_ERROR_PROTOCOL, "chunked", 0},
    {"endless head", OK_HEAD, 100000, END_PROPERLY, UPSTREAM_ERROR_PROTOCOL,
     "64 KiB", 0},
    {"endless 1xx", "HTTP/1.1 103 Early\r\n", 100000, END_PROPERLY,
     UPSTREAM_ERROR_PROTOCOL, "64 KiB", 0},
    {"endless trailers",
     OK_HEAD "Transfer-Encoding: chunked\r\n\r\n0\r\n", 100000, END_PROPERLY,
     UPSTREAM_ERROR_PROTOCOL, "64 KiB", 1},
};
/* clang-format on */

static void
end_session(Session *session, End end)
{
  if (end == END_STALL)
    session_wait_closed(session);
  else if (end == END_CUT)
    session_cut(session);
  else if (end == END_RESET)
    session_reset(session);
}

/* The case's number is the path. */
static void
misbehave(Session *session, void *data)
{
  static const char FIELD[] = "X-Field: a value of some length\r\n";
  size_t len;
  const char *head = session_request(session, &len);
  const Case *c;

  (void)data;
  if (head == NULL)
    return;
  c = &cases[atoi(strchr(head, '/') + 1)];
  if (c->send != NULL)
    session_send(session, c->send, strlen(c->send));
  for (size_t i = 0; i < c->repeat; i++)
    if (!session_send(session, FIELD, strlen(FIELD)))
      break;
  end_session(session, c->end);
}

/* All at once, so that the stalls overlap. */
static void
test_cases(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = misbehave});
  UpstreamOptions options = fixture_options(fixture);
  Call *calls[G_N_ELEMENTS(cases)];

  options.idle_timeout = short_limit();
  fixture_restart(fixture, &options);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = g_strdup_printf("/%zu", i);

    calls[i] = call_new();
    call_start(calls[i],
               fixture,
               server_port(server),
               &(Ask){.path = path, .method = "POST"});
  }
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    call_wait(calls[i], fixture);
    g_test_message("%s", cases[i].name);
    assert_error(calls[i], cases[i].code);
    g_test_message("%s", calls[i]->error->message);
    g_assert_nonnull(strstr(calls[i]->error->message, "good.test"));
    g_assert_nonnull(strstr(calls[i]->error->message, cases[i].says));
    g_assert_cmpint(calls[i]->heads, ==, cases[i].heads);
    call_free(calls[i]);
  }
  /* Nothing was tried again: the connections were fresh. */
  g_assert_cmpint(server_accepts(server), ==, G_N_ELEMENTS(cases));
}

/* ---- names and connections
 * --------------------------------------------------- */

static void
test_unknown_name(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Call) call = call_run(fixture, 443, &(Ask){.host = "unknown.test"});

  assert_error(call, UPSTREAM_ERROR_RESOLVE);
  g_assert_nonnull(strstr(call->error->message, "unknown.test"));
}

/* A name server that does not answer blocks neither the loop nor the end. */
static void
test_stalled_name(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  UpstreamOptions options = fixture_options(fixture);
  g_autoptr(Call) call = call_new();
  g_autoptr(Call) cancelled = call_new();
  g_autoptr(Call) left = call_new();
  int64_t start = clock_mono_us();

  options.connect_timeout = 1;
  fixture_restart(fixture, &options);
  call_start(call, fixture, 443, &(Ask){.host = "stall.test"});
  call_start(cancelled, fixture, 443, &(Ask){.host = "stall.test"});
  run_for(fixture->loop, 20);
  upstream_request_cancel(cancelled->request);
  g_assert_cmpint(clock_mono_us() - start, <, 500000);
  call_wait(call, fixture);
  assert_error(call, UPSTREAM_ERROR_CONNECT);
  call_start(left, fixture, 443, &(Ask){.host = "stall.test"});
  run_for(fixture->loop, 20);
  fixture_restart(fixture, NULL);
  assert_error(left, UPSTREAM_ERROR_CANCELLED);
  names_release();
}

/* A port of this machine that nobody listens on. */
static uint16_t
closed_port(void)
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  g_assert_cmpint(bind(fd, (struct sockaddr *)&address, len), ==, 0);
  getsockname(fd, (struct sockaddr *)&address, &len);
  close(fd);
  return ntohs(address.sin_port);
}

static void
test_connection_refused(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Call) call = call_run(fixture, closed_port(), NULL);

  assert_error(call, UPSTREAM_ERROR_CONNECT);
  g_assert_nonnull(strstr(call->error->message, "refused"));
}

/* A listener whose queue is full: connections to it hang. */
typedef struct {
  int listener;
  int fill[4];
} Full;

static void
full_open(Full *full, struct sockaddr_in *address)
{
  socklen_t len = sizeof *address;

  full->listener = socket(AF_INET, SOCK_STREAM, 0);
  g_assert_cmpint(bind(full->listener, (struct sockaddr *)address, len), ==, 0);
  g_assert_cmpint(listen(full->listener, 0), ==, 0);
  getsockname(full->listener, (struct sockaddr *)address, &len);
  for (gsize i = 0; i < G_N_ELEMENTS(full->fill); i++) {
    full->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(full->fill[i], (struct sockaddr *)address, len);
  }
}

static void
full_close(Full *full)
{
  for (gsize i = 0; i < G_N_ELEMENTS(full->fill); i++)
    close(full->fill[i]);
  close(full->listener);
}

static void
test_connection_stalled(void)
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  Full full;
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  UpstreamOptions options = fixture_options(fixture);
  g_autoptr(Call) call = NULL;

  full_open(&full, &address);
  options.connect_timeout = 1;
  fixture_restart(fixture, &options);
  call = call_run(fixture, ntohs(address.sin_port), NULL);
  assert_error(call, UPSTREAM_ERROR_CONNECT);
  g_assert_nonnull(strstr(call->error->message, "no answer in time"));
  full_close(&full);
}

static void
answer(Session *session, void *data)
{
  size_t len;

  (void)data;
  if (session_request(session, &len) != NULL)
    session_print(session, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

/* The first address of a name hangs, the second one answers: curl gives up
 * the first socket unannounced and gets the same number for the second. */
static void
test_second_address(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = answer});
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons(server_port(server)),
                                .sin_addr.s_addr = htonl(0x7f000002)};
  UpstreamOptions options = fixture_options(fixture);
  Full full;
  g_autoptr(Call) call = NULL;
  int64_t start;

  full_open(&full, &address);
  options.connect_timeout = 4;
  fixture_restart(fixture, &options);
  start = clock_mono_us();
  call = call_run(fixture, server_port(server), &(Ask){.host = "two.test"});
  g_assert_no_error(call->error);
  g_assert_cmpint(clock_mono_us() - start, <, 3500000);
  full_close(&full);
}

/* ---- handshake
 * ------------------------------------------------------------------ */

static void
hang_up(Session *session, void *data)
{
  char byte;

  session_read(session, &byte, 1);
  if (g_strcmp0(data, "reset") == 0)
    session_reset(session);
  else if (data != NULL)
    session_print(session, "%s", (const char *)data);
}

static void
test_handshake(void)
{
  static const struct {
    const char *data;
    bool stall;
    int code;
  } ways[] = {
      {NULL, false, UPSTREAM_ERROR_CONNECT},
      {"reset", false, UPSTREAM_ERROR_CONNECT},
      {"HTTP/1.1 400 Bad Request\r\n\r\n", false, UPSTREAM_ERROR_TLS},
      {NULL, true, UPSTREAM_ERROR_CONNECT},
  };
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  UpstreamOptions options = fixture_options(fixture);

  options.connect_timeout = 1;
  fixture_restart(fixture, &options);
  for (gsize i = 0; i < G_N_ELEMENTS(ways); i++) {
    g_autoptr(Server) server =
        server_new(&(ServerSpec){.run = hang_up,
                                 .data = (void *)ways[i].data,
                                 .stall_handshake = ways[i].stall});
    g_autoptr(Call) call = call_run(fixture, server_port(server), NULL);

    g_test_message("%s", call->error->message);
    assert_error(call, ways[i].code);
    if (!ways[i].stall && ways[i].code == UPSTREAM_ERROR_CONNECT)
      g_assert_nonnull(
          strstr(call->error->message, "inside the TLS handshake"));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/faults/answers", test_cases);
  g_test_add_func("/upstream/faults/unknown-name", test_unknown_name);
  g_test_add_func("/upstream/faults/stalled-name", test_stalled_name);
  g_test_add_func("/upstream/faults/refused", test_connection_refused);
  g_test_add_func("/upstream/faults/stalled", test_connection_stalled);
  g_test_add_func("/upstream/faults/second-address", test_second_address);
  g_test_add_func("/upstream/faults/handshake", test_handshake);
  return g_test_run();
}
