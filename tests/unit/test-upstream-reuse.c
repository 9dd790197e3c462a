/* SPDX-License-Identifier: Apache-2.0 */
/* Pooled connections that the server ended or misused: what is sent again,
 * what must never be, and what must not be read as an answer. */
#include "kit/clock.h"
#include "tests/unit/upstream-harness.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- failing system calls
 * ----------------------------------------------------- */

static int refuse_watches; /* how many EPOLL_CTL_ADD fail from now on */

/* Stands before libc's. */
int
epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
  if (op == EPOLL_CTL_ADD && refuse_watches > 0) {
    refuse_watches--;
    errno = ENOMEM;
    return -1;
  }
  return (int)syscall(SYS_epoll_ctl, epoll, op, fd, event);
}

/* ---- servers
 * -------------------------------------------------------------------- */

static void
answer(Session *session)
{
  session_print(session,
                "HTTP/1.1 200 OK\r\nX-Connection: %d\r\n"
                "Content-Length: 2\r\n\r\nok",
                session_number(session));
}

/* On its first connection: answers once, then ends without an answer as soon
 * as the next request is there. Later connections answer for ever. */
static void
answer_once(Session *session, void *data)
{
  size_t len;

  while (session_request(session, &len) != NULL) {
    answer(session);
    if (session_number(session) > 1)
      continue;
    session_request(session, &len);
    if (g_strcmp0(data, "reset") == 0)
      session_reset(session);
    else if (g_strcmp0(data, "cut") == 0)
      session_cut(session);
    return;
  }
}

/* Ends its first connection right after the first answer. */
static void
close_after_answer(Session *session, void *data)
{
  size_t len;

  while (session_request(session, &len) != NULL) {
    answer(session);
    if (session_number(session) > 1)
      continue;
    if (g_strcmp0(data, "cut") == 0)
      session_cut(session);
    return;
  }
}

/* Its first answer is followed by one that nobody asked for. */
static void
answer_twice(Session *session, void *data)
{
  static const char EVIL[] = "HTTP/1.1 200 OK\r\nX-Connection: 666\r\n"
                             "Content-Length: 4\r\n\r\nevil";
  size_t len;

  while (session_request(session, &len) != NULL) {
    if (session_number(session) > 1) {
      answer(session);
      continue;
    }
    if (data != NULL) {
      session_print(session,
                    "HTTP/1.1 200 OK\r\nX-Connection: 1\r\n"
                    "Content-Length: 2\r\n\r\nok%s",
                    EVIL);
    } else {
      answer(session);
      session_print(session, "%s", EVIL);
    }
  }
}

/* Each connection answers once and ends with the next request. */
static void
answer_once_each(Session *session, void *data)
{
  size_t len;

  (void)data;
  if (session_request(session, &len) == NULL)
    return;
  g_usleep(100000); /* so that three are open at one time */
  answer(session);
  if (session_number(session) <= 3)
    session_request(session, &len);
}

/* ---- tests
 * ------------------------------------------------------------------------ */

static int
connection_of(const Call *call)
{
  return atoi(http_headers_get(call->headers, "X-Connection"));
}

/* A first request puts a connection into the pool. */
static void
fill_pool(Fixture *fixture, Server *server)
{
  g_autoptr(Call) call = call_run(fixture, server_port(server), NULL);

  g_assert_no_error(call->error);
  g_assert_cmpint(connection_of(call), ==, 1);
}

static void
check_resend(const char *way, const char *method, bool resent)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server = server_new(&(ServerSpec){
      .leaf = fixture->leaf, .run = answer_once, .data = (void *)way});
  g_autoptr(Call) call = NULL;

  g_test_message("%s after %s", method, way);
  fill_pool(fixture, server);
  call = call_run(fixture, server_port(server), &(Ask){.method = method});
  if (resent) {
    g_assert_no_error(call->error);
    g_assert_cmpint(connection_of(call), ==, 2);
    g_assert_cmpint(server_requests(server), ==, 3);
  } else {
    assert_error(call, UPSTREAM_ERROR_CUT);
    g_assert_nonnull(strstr(call->error->message, "not sent again"));
    run_for(fixture->loop, 20);
    g_assert_cmpint(server_requests(server), ==, 2);
  }
}

/* The server had the request in full before the connection ended. */
static void
test_resend(void)
{
  static const char *const WAYS[] = {"close", "cut", "reset"};
  static const struct {
    const char *method;
    bool resent;
  } methods[] = {{"POST", false},
                 {"PATCH", false},
                 {"X-OWN", false},
                 {"GET", true},
                 {"HEAD", true},
                 {"PUT", true},
                 {"DELETE", true},
                 {"OPTIONS", true}};

  for (gsize i = 0; i < G_N_ELEMENTS(WAYS); i++)
    for (gsize k = 0; k < G_N_ELEMENTS(methods); k++)
      check_resend(WAYS[i], methods[k].method, methods[k].resent);
}

/* However many pooled connections are dead, a request is written twice at
 * most, and gets its answer on a new one. */
static void
test_resend_once(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = answer_once_each});
  g_autoptr(Call) call = NULL;
  Call *calls[3];

  for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++) {
    calls[i] = call_new();
    call_start(calls[i], fixture, server_port(server), &(Ask){0});
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++) {
    call_wait(calls[i], fixture);
    g_assert_no_error(calls[i]->error);
    call_free(calls[i]);
  }
  g_assert_cmpint(server_requests(server), ==, 3);
  call = call_run(fixture, server_port(server), &(Ask){.method = "GET"});
  g_assert_no_error(call->error);
  g_assert_cmpint(connection_of(call), ==, 4);
  g_assert_cmpint(server_requests(server), ==, 5);
}

/* A connection that ended while it was pooled harms no request. The loop may
 * have seen the end, or not have run since. */
static void
check_closed_pool(const char *way, bool seen)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server = server_new(&(ServerSpec){
      .leaf = fixture->leaf, .run = close_after_answer, .data = (void *)way});
  g_autoptr(Call) call = NULL;

  fill_pool(fixture, server);
  if (seen)
    run_for(fixture->loop, 50);
  else
    g_usleep(50000);
  call = call_run(fixture, server_port(server), &(Ask){.method = "POST"});
  g_assert_no_error(call->error);
  g_assert_cmpint(connection_of(call), ==, 2);
}

static void
test_closed_pool(void)
{
  check_closed_pool("close", true);
  check_closed_pool("close", false);
  check_closed_pool("cut", true);
  check_closed_pool("cut", false);
}

static void
test_unasked_answer(void)
{
  for (int together = 0; together < 2; together++) {
    g_autoptr(Fixture) fixture = fixture_new(NULL);
    g_autoptr(Server) server =
        server_new(&(ServerSpec){.leaf = fixture->leaf,
                                 .run = answer_twice,
                                 .data = together ? (void *)"" : NULL});
    g_autoptr(Call) call = NULL;

    fill_pool(fixture, server);
    run_for(fixture->loop, 50);
    call = call_run(fixture, server_port(server), &(Ask){.method = "POST"});
    g_assert_no_error(call->error);
    g_assert_cmpint(connection_of(call), ==, 2);
  }
}

/* One socket that the loop cannot take fails one request. */
static void
test_no_watch(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = answer_once});
  g_autoptr(Call) call = NULL;
  g_autoptr(Call) next = NULL;

  refuse_watches = 1;
  call = call_run(fixture, server_port(server), &(Ask){.host = "127.0.0.1"});
  refuse_watches = 0;
  assert_error(call, UPSTREAM_ERROR_CONNECT);
  g_assert_nonnull(strstr(call->error->message, "out of memory"));
  next = call_run(fixture, server_port(server), NULL);
  g_assert_no_error(next->error);
}

static void
test_no_descriptors(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = answer_once});
  struct rlimit before, none;
  g_autoptr(Call) first = NULL;
  g_autoptr(Call) call = NULL;
  g_autoptr(Call) next = NULL;

  /* The server's thread opens what it needs before there is nothing left. */
  first = call_run(fixture, server_port(server), NULL);
  g_assert_no_error(first->error);
  getrlimit(RLIMIT_NOFILE, &before);
  none = (struct rlimit){.rlim_cur = 3, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  call = call_run(fixture, server_port(server), &(Ask){.host = "127.0.0.1"});
  setrlimit(RLIMIT_NOFILE, &before);
  assert_error(call, UPSTREAM_ERROR_CONNECT);
  next = call_run(fixture, server_port(server), NULL);
  g_assert_no_error(next->error);
}

/* ---- slow peers
 * --------------------------------------------------------------------- */

/* About 3 s at the slow reader's pace; the kernel takes it all at once. */
#define UPLOAD (2 << 20)

/* A TLS record at a time, through a small window. */
static void
read_slowly(Session *session, void *data)
{
  g_autofree char *bytes = g_malloc(1 << 16);
  size_t total = 0, n;
  int small = 65536;

  (void)data;
  setsockopt(session_fd(session), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  while (total < UPLOAD && (n = session_read(session, bytes, 1 << 16)) > 0) {
    total += n;
    g_usleep(25000);
  }
  answer(session);
}

static void
read_nothing(Session *session, void *data)
{
  (void)data;
  while (!session_stopping(session))
    g_usleep(10000);
}

/* A byte every 0.4 s for 2.4 s, after a start as slow. */
static void
answer_slowly(Session *session, void *data)
{
  size_t len;

  (void)data;
  session_request(session, &len);
  g_usleep(700000);
  session_print(session, "HTTP/1.1 200 OK\r\nX-Connection: 1\r\n");
  g_usleep(700000);
  session_print(session, "Content-Length: 5\r\n\r\n");
  for (int i = 0; i < 5; i++) {
    g_usleep(400000);
    session_print(session, "x");
  }
}

static void
test_slow(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  UpstreamOptions options = fixture_options(fixture);
  g_autoptr(Server) upload =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = read_slowly});
  g_autoptr(Server) stuck =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = read_nothing});
  g_autoptr(Server) drip =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = answer_slowly});
  g_autoptr(GBytes) body = g_bytes_new_take(g_malloc0(UPLOAD), UPLOAD);
  g_autoptr(Call) up = call_new();
  g_autoptr(Call) no = call_new();
  g_autoptr(Call) down = call_new();

  options.idle_timeout = short_limit();
  fixture_restart(fixture, &options);
  call_start(
      up, fixture, server_port(upload), &(Ask){.method = "POST", .body = body});
  call_start(
      no, fixture, server_port(stuck), &(Ask){.method = "POST", .body = body});
  call_start(down, fixture, server_port(drip), NULL);
  call_wait(no, fixture);
  assert_error(no, UPSTREAM_ERROR_TIMEOUT);
  g_assert_false(up->done);
  g_assert_false(down->done);
  call_wait(up, fixture);
  g_assert_no_error(up->error);
  call_wait(down, fixture);
  g_assert_no_error(down->error);
  g_assert_cmpuint(down->body_len, ==, 5);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/reuse/resend", test_resend);
  g_test_add_func("/upstream/reuse/resend-once", test_resend_once);
  g_test_add_func("/upstream/reuse/closed-pool", test_closed_pool);
  g_test_add_func("/upstream/reuse/unasked-answer", test_unasked_answer);
  g_test_add_func("/upstream/reuse/no-watch", test_no_watch);
  g_test_add_func("/upstream/reuse/no-descriptors", test_no_descriptors);
  g_test_add_func("/upstream/reuse/slow", test_slow);
  return g_test_run();
}
