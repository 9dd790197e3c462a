/* SPDX-License-Identifier: Apache-2.0 */
/* Blind tunnels: bytes both ways and their counts, half-closing in either
 * order, slow readers, resets, silence, the look at what comes first; and no
 * work while nothing moves. */
#include "exchange/splice.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  Loop *loop;
  Splice *splice;
  int client; /* the far ends */
  int server;
  const char *why;
  int64_t up, down;
  unsigned looks;
  bool last; /* the latest of them was */
} Tube;

static void
ended(const char *why, void *data)
{
  Tube *tube = data;

  tube->why = why;
  splice_bytes(tube->splice, &tube->up, &tube->down);
  splice_free(tube->splice);
}

static void
tcp_pair(int fds[2])
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t len = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);

  g_assert_cmpint(bind(listener, (void *)&address, sizeof address), ==, 0);
  g_assert_cmpint(listen(listener, 1), ==, 0);
  g_assert_cmpint(getsockname(listener, (void *)&address, &len), ==, 0);
  fds[1] = socket(AF_INET, SOCK_STREAM, 0);
  g_assert_cmpint(connect(fds[1], (void *)&address, len), ==, 0);
  fds[0] = accept(listener, NULL, NULL);
  g_assert_cmpint(fds[0], >=, 0);
  close(listener);
  for (unsigned i = 0; i < 2; i++)
    g_assert_cmpint(fcntl(fds[i], F_SETFL, O_NONBLOCK), ==, 0);
}

static void
set_up(Tube *tube, gconstpointer data)
{
  unsigned idle = data ? GPOINTER_TO_UINT(data) : 60;
  int left[2], right[2];

  tube->loop = loop_new(NULL);
  tcp_pair(left);
  tcp_pair(right);
  tube->client = left[1];
  tube->server = right[1];
  tube->splice = splice_new(tube->loop, left[0], right[0], idle, ended, tube);
  g_assert_nonnull(tube->splice);
}

static void
tear_down(Tube *tube, gconstpointer data)
{
  (void)data;
  if (!tube->why)
    splice_free(tube->splice);
  close(tube->client);
  close(tube->server);
  loop_free(tube->loop);
}

#define until(tube, condition)                                                 \
  do {                                                                         \
    int64_t end_ = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;               \
    while (!(condition)) {                                                     \
      g_assert_cmpint(g_get_monotonic_time(), <, end_);                        \
      loop_iterate((tube)->loop, 5);                                           \
    }                                                                          \
  } while (0)

static bool
take(int fd, GString *into)
{
  char bytes[65536];
  ssize_t n;

  while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
    g_string_append_len(into, bytes, n);
  return n == 0; /* its end came */
}

static void
put(Tube *tube, int fd, const char *bytes, size_t len)
{
  size_t at = 0;

  until(tube, ({
          ssize_t n = send(fd, bytes + at, len - at, MSG_NOSIGNAL);
          at += n > 0 ? (size_t)n : 0;
          at == len;
        }));
}

static void
test_both_ways(Tube *tube, gconstpointer data)
{
  g_autoptr(GString) at_server = g_string_new(NULL);
  g_autoptr(GString) at_client = g_string_new(NULL);

  (void)data;
  put(tube, tube->client, "ping", 4);
  until(tube, (take(tube->server, at_server), at_server->len == 4));
  put(tube, tube->server, "pong!", 5);
  until(tube, (take(tube->client, at_client), at_client->len == 5));
  g_assert_cmpstr(at_server->str, ==, "ping");
  g_assert_cmpstr(at_client->str, ==, "pong!");
  shutdown(tube->client, SHUT_WR);
  shutdown(tube->server, SHUT_WR);
  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, "closed");
  g_assert_cmpint(tube->up, ==, 4);
  g_assert_cmpint(tube->down, ==, 5);
}

/* Whoever closes first still gets all that the other says. */
static void
half_close(Tube *tube, int first, int second)
{
  g_autoptr(GString) heard = g_string_new(NULL);
  g_autoptr(GString) answer = g_string_new(NULL);

  put(tube, first, "question", 8);
  shutdown(first, SHUT_WR);
  until(tube, take(second, heard));
  g_assert_cmpstr(heard->str, ==, "question");
  for (unsigned i = 0; i < 10; i++)
    loop_iterate(tube->loop, 2);
  g_assert_null(tube->why);
  put(tube, second, "a long answer", 13);
  shutdown(second, SHUT_WR);
  until(tube, take(first, answer));
  g_assert_cmpstr(answer->str, ==, "a long answer");
  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, "closed");
}

static void
test_client_half_closes(Tube *tube, gconstpointer data)
{
  (void)data;
  half_close(tube, tube->client, tube->server);
}

static void
test_server_half_closes(Tube *tube, gconstpointer data)
{
  (void)data;
  half_close(tube, tube->server, tube->client);
}

static void
test_large(Tube *tube, gconstpointer data)
{
  const size_t total = 32 << 20;
  g_autofree char *bytes = g_malloc(total);
  g_autoptr(GString) heard = g_string_new(NULL);
  size_t sent = 0, idle = 0;

  (void)data;
  for (size_t i = 0; i < total; i++)
    bytes[i] = (char)(i * 31 + i / 1000);
  /* Nobody reads: what is under way stays bounded. */
  while (idle < 20) {
    ssize_t n = send(tube->client, bytes + sent, total - sent, MSG_NOSIGNAL);
    sent += n > 0 ? (size_t)n : 0;
    idle = n > 0 ? 0 : idle + 1;
    loop_iterate(tube->loop, 2);
  }
  g_assert_cmpuint(sent, <, total);
  until(tube, ({
          ssize_t n =
              send(tube->client, bytes + sent, total - sent, MSG_NOSIGNAL);
          sent += n > 0 ? (size_t)n : 0;
          take(tube->server, heard);
          heard->len == total;
        }));
  g_assert_cmpint(memcmp(heard->str, bytes, total), ==, 0);
}

static void
reset(int fd)
{
  const struct linger now = {.l_onoff = 1, .l_linger = 0};

  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

/* The other side gets a reset too, after what came before it, and no end that
 * looks like one. */
static void
check_reset(Tube *tube, int *breaks, int hears, const char *why)
{
  char bytes[16];
  ssize_t n;

  put(tube, *breaks, "half a m", 8);
  until(tube, (n = recv(hears, bytes, sizeof bytes, 0)) >= 0);
  g_assert_cmpint(n, ==, 8);
  reset(*breaks);
  *breaks = -1;
  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, why);
  errno = 0;
  g_assert_cmpint(recv(hears, bytes, sizeof bytes, 0), ==, -1);
  g_assert_cmpint(errno, ==, ECONNRESET);
}

static void
test_client_resets(Tube *tube, gconstpointer data)
{
  (void)data;
  check_reset(tube, &tube->client, tube->server, "reset-by-client");
}

static void
test_server_resets(Tube *tube, gconstpointer data)
{
  (void)data;
  check_reset(tube, &tube->server, tube->client, "reset-by-server");
}

static void
test_idle(Tube *tube, gconstpointer data)
{
  int64_t before = g_get_monotonic_time();
  char byte;

  (void)data;
  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, "idle");
  errno = 0;
  g_assert_cmpint(recv(tube->client, &byte, 1, 0), ==, -1);
  g_assert_cmpint(errno, ==, ECONNRESET);
  g_assert_cmpint(g_get_monotonic_time() - before, >=, G_USEC_PER_SEC);
}

/* Rounds of the loop in a while in which nothing moves. */
static unsigned
rounds(Tube *tube)
{
  int64_t end = g_get_monotonic_time() + 200 * 1000;
  unsigned count = 0;

  while (g_get_monotonic_time() < end && !tube->why) {
    loop_iterate(tube->loop, 50);
    count++;
  }
  return count;
}

/* The client said everything and closed, the server closed its direction and
 * does not read yet: the kernel reports a hang-up all the time. */
static void
test_quiet_after_both_ends(Tube *tube, gconstpointer data)
{
  g_autofree char *bytes = g_malloc0(1 << 20);
  g_autoptr(GString) heard = g_string_new(NULL);
  size_t sent = 0;

  (void)data;
  for (unsigned idle = 0; idle < 20;) {
    ssize_t n = send(tube->client, bytes, 1 << 20, MSG_NOSIGNAL);
    sent += n > 0 ? (size_t)n : 0;
    idle = n > 0 ? 0 : idle + 1;
    loop_iterate(tube->loop, 1);
  }
  shutdown(tube->client, SHUT_WR);
  shutdown(tube->server, SHUT_WR);
  g_assert_cmpuint(rounds(tube), <, 50);
  g_assert_null(tube->why);
  until(tube, take(tube->server, heard));
  g_assert_cmpuint(heard->len, ==, sent);
  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, "closed");
}

/* A client that half-closed and then died is an end, not a busy wait. */
static void
test_reset_after_half_close(Tube *tube, gconstpointer data)
{
  g_autoptr(GString) heard = g_string_new(NULL);

  (void)data;
  shutdown(tube->client, SHUT_WR);
  until(tube, take(tube->server, heard));
  reset(tube->client);
  tube->client = -1;
  g_assert_cmpuint(rounds(tube), <, 50);
  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, "reset-by-client");
}

/* ---- The look at what comes first ----------------------------------------
 */

/* Passes what has a newline, stops what begins with '!', waits for more
 * otherwise; nothing may reach the server meanwhile. */
static Look
look(const uint8_t *bytes, size_t len, bool last, void *data)
{
  Tube *tube = data;
  char byte;

  tube->looks++;
  tube->last = last;
  g_assert_cmpint(recv(tube->server, &byte, 1, MSG_DONTWAIT), ==, -1);
  if (bytes[0] == '!')
    return LOOK_STOP;
  return memchr(bytes, '\n', len) ? LOOK_PASS : LOOK_MORE;
}

static void
test_look_passes(Tube *tube, gconstpointer data)
{
  g_autoptr(GString) at_server = g_string_new(NULL);
  g_autoptr(GString) at_client = g_string_new(NULL);

  (void)data;
  splice_look_first(tube->splice, look, 60);
  put(tube, tube->server, "220 who speaks first\n", 21);
  until(tube, (take(tube->client, at_client), at_client->len == 21));
  g_assert_cmpuint(tube->looks, ==, 0);
  put(tube, tube->client, "first ", 6);
  until(tube, tube->looks == 1);
  put(tube, tube->client, "line\nand more", 13);
  until(tube, (take(tube->server, at_server), at_server->len == 19));
  g_assert_cmpstr(at_server->str, ==, "first line\nand more");
  g_assert_cmpuint(tube->looks, ==, 2);
  g_string_truncate(at_server, 0);
  put(tube, tube->client, "!not looked at", 14);
  shutdown(tube->client, SHUT_WR);
  until(tube, take(tube->server, at_server));
  g_assert_cmpstr(at_server->str, ==, "!not looked at");
  shutdown(tube->server, SHUT_WR);
  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, "closed");
  g_assert_cmpint(tube->up, ==, 33);
  g_assert_cmpuint(tube->looks, ==, 2);
}

/* The server heard nothing, and its connection ended as it should. */
static void
assert_refused(Tube *tube)
{
  char byte;

  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, "refused");
  g_assert_cmpint(tube->up, ==, 0);
  g_assert_cmpint(recv(tube->server, &byte, 1, 0), ==, 0);
}

static void
test_look_stops(Tube *tube, gconstpointer data)
{
  (void)data;
  splice_look_first(tube->splice, look, 60);
  put(tube, tube->client, "!stop", 5);
  assert_refused(tube);
}

static void
test_look_ends(Tube *tube, gconstpointer data)
{
  (void)data;
  splice_look_first(tube->splice, look, 60);
  put(tube, tube->client, "half", 4);
  shutdown(tube->client, SHUT_WR);
  assert_refused(tube);
  g_assert_true(tube->last);
}

static void
test_look_takes_too_long(Tube *tube, gconstpointer data)
{
  (void)data;
  splice_look_first(tube->splice, look, 1);
  put(tube, tube->client, "half", 4);
  g_assert_cmpuint(rounds(tube), <, 20); /* it waits without work */
  assert_refused(tube);
  g_assert_true(tube->last);
}

static void
test_look_is_bounded(Tube *tube, gconstpointer data)
{
  g_autofree char *bytes = g_malloc(SPLICE_LOOK_MAX);

  (void)data;
  memset(bytes, 'x', SPLICE_LOOK_MAX);
  splice_look_first(tube->splice, look, 60);
  put(tube, tube->client, bytes, SPLICE_LOOK_MAX);
  assert_refused(tube);
  g_assert_true(tube->last);
}

/* A client that says nothing and leaves is none to refuse. */
static void
test_look_at_nothing(Tube *tube, gconstpointer data)
{
  (void)data;
  splice_look_first(tube->splice, look, 60);
  shutdown(tube->client, SHUT_WR);
  shutdown(tube->server, SHUT_WR);
  until(tube, tube->why);
  g_assert_cmpstr(tube->why, ==, "closed");
  g_assert_cmpuint(tube->looks, ==, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  signal(SIGPIPE, SIG_IGN);
#define TEST(name, idle, func)                                                 \
  g_test_add("/exchange/splice/" name,                                         \
             Tube,                                                             \
             GUINT_TO_POINTER(idle),                                           \
             set_up,                                                           \
             func,                                                             \
             tear_down)
  TEST("both-ways", 60, test_both_ways);
  TEST("client-half-closes", 60, test_client_half_closes);
  TEST("server-half-closes", 60, test_server_half_closes);
  TEST("large", 60, test_large);
  TEST("client-resets", 60, test_client_resets);
  TEST("server-resets", 60, test_server_resets);
  TEST("idle", 1, test_idle);
  TEST("quiet-after-both-ends", 60, test_quiet_after_both_ends);
  TEST("reset-after-half-close", 60, test_reset_after_half_close);
  TEST("look-passes", 60, test_look_passes);
  TEST("look-stops", 60, test_look_stops);
  TEST("look-ends", 60, test_look_ends);
  TEST("look-takes-too-long", 60, test_look_takes_too_long);
  TEST("look-is-bounded", 60, test_look_is_bounded);
  TEST("look-at-nothing", 60, test_look_at_nothing);
  return g_test_run();
}
