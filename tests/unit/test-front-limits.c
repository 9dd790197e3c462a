/* SPDX-License-Identifier: Apache-2.0 */
/* Who does not come to the point at the door: silence, slowness, leaving, more
 * of them than there is room for, and strangers. */
#include "tests/unit/child.h"
#include "tests/unit/front-door.h"
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A user id that nobody has. */
#define STRANGER 54321

/* ---- Silence, slowness, leaving
 * ----------------------------------------------------------- */

static void
test_silence(void)
{
  FrontOptions options = door_options();
  g_autoptr(Door) door = NULL;
  g_autoptr(Visitor) silent = NULL;
  g_autoptr(Visitor) connected = NULL;
  g_autoptr(Visitor) half = NULL;
  int64_t began = g_get_monotonic_time();

  options.http.first_byte_timeout = 1;
  door = door_new(&options, NULL);
  silent = visitor_new(door);
  connected = visitor_new(door);
  half = visitor_new(door);
  g_assert_cmpint(
      visitor_connect(connected, "api.githubcopilot.com:443"), ==, 200);
  visitor_write(half, "CONNECT exam");
  visitor_until(silent, silent->eof);
  visitor_until(connected, connected->eof);
  g_assert_cmpint(visitor_answer(half), ==, 408);
  g_assert_cmpint(g_get_monotonic_time() - began, >=, G_USEC_PER_SEC * 9 / 10);
  /* Who waits for TLS, or says nothing, gets no words that it cannot read. */
  g_assert_cmpuint(silent->got->len, ==, 0);
  g_assert_cmpuint(connected->got->len, ==, 0);
  g_assert_cmpuint(door->refused->len, ==, 3);
  for (unsigned i = 0; i < 3; i++) {
    const Refused *refused = door->refused->pdata[i];

    g_assert_nonnull(strstr(refused->why, "first-byte-timeout"));
    if (refused->host)
      g_assert_cmpstr(refused->host, ==, "api.githubcopilot.com");
  }
}

/* A byte now and then does not buy more time. */
static void
test_slow_loris(void)
{
  FrontOptions options = door_options();
  g_autoptr(Door) door = NULL;
  g_autoptr(Visitor) visitor = NULL;
  int64_t began = g_get_monotonic_time();

  options.http.first_byte_timeout = 1;
  door = door_new(&options, NULL);
  visitor = visitor_new(door);
  visitor_write(visitor, "CONNECT example.com:443 HTTP/1.1\r\nX: ");
  while (!visitor->eof) {
    g_assert_cmpint(g_get_monotonic_time() - began, <, 10 * G_USEC_PER_SEC);
    visitor_write_len(visitor, "x", 1);
    visitor_turn(visitor);
    if (visitor->got->len)
      break;
  }
  g_assert_cmpint(visitor_answer(visitor), ==, 408);
  door_assert_refused(door, "first-byte-timeout");
}

/* Who leaves frees the place at once, whatever was said so far. */
static void
test_leaving(void)
{
  static const char *const said[] = {
      "", "C", "CONNECT", "CONNECT example.com:443 HTTP/1.1\r\n"};
  FrontOptions options = door_options();
  g_autoptr(Door) door = NULL;

  options.connections = 1;
  door = door_new(&options, NULL);
  for (unsigned i = 0; i < 3 * G_N_ELEMENTS(said); i++) {
    g_autoptr(Visitor) leaver = visitor_new(door);
    g_autoptr(Visitor) next = NULL;
    struct linger linger = {.l_onoff = 1};

    visitor_write(leaver, said[i / 3]);
    for (unsigned j = 0; j < 3; j++)
      visitor_turn(leaver);
    next = visitor_new(door);
    if (i % 3 == 0) {
      shutdown(leaver->fd, SHUT_WR);
    } else {
      if (i % 3 == 1)
        setsockopt(leaver->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
      close(leaver->fd);
      leaver->fd = -1;
    }
    g_assert_cmpint(
        visitor_connect(next, "api.githubcopilot.com:443"), ==, 200);
  }
  g_assert_cmpuint(door->refused->len, ==, 0);
}

/* ---- The limit
 * -----------------------------------------------------------------------------
 */

static void
assert_waits(Visitor *visitor)
{
  for (unsigned i = 0; i < 20; i++)
    visitor_turn(visitor);
  g_assert_cmpuint(visitor->got->len, ==, 0);
  g_assert_false(visitor->eof);
}

/* Every kind of connection counts, and every way to end gives its place to
 * the one that waits. */
static void
test_limit(void)
{
  FrontOptions options = door_options();
  g_autoptr(Door) door = NULL;
  Visitor *inside[4];
  Visitor *waiting;

  options.connections = G_N_ELEMENTS(inside);
  options.http.first_byte_timeout = g_getenv("HOOP_VALGRIND") ? 10 : 1;
  door = door_new(&options, NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS(inside); i++)
    inside[i] = visitor_new(door);
  visitor_write(inside[0],
                "CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n");
  visitor_until(inside[0], door->tunnels->len == 1);
  visitor_tls(inside[1], NULL, NULL);
  visitor_ask_here(inside[1]);
  g_assert_cmpint(visitor_answer(inside[1]), ==, 200);
  /* 2 and 3 say nothing. */
  waiting = visitor_new(door);
  visitor_write(waiting, "GET / HTTP/1.1\r\n\r\n");
  assert_waits(waiting);

  door_end_tunnel(door);
  g_assert_cmpint(visitor_answer(waiting), ==, 400);
  visitor_free(waiting);
  waiting = visitor_new(door); /* takes the place, then the next waits */
  visitor_turn(waiting);
  visitor_free(inside[0]);
  inside[0] = waiting;
  visitor_write(inside[0], "CONNECT exam");

  waiting = visitor_new(door);
  visitor_write(waiting, "GET / HTTP/1.1\r\n\r\n");
  /* The silent ones are turned away in time, and then it is served. */
  g_assert_cmpint(visitor_answer(waiting), ==, 400);
  visitor_free(waiting);
  for (unsigned i = 0; i < G_N_ELEMENTS(inside); i++)
    visitor_free(inside[i]);
}

/* ---- Strangers
 * -----------------------------------------------------------------------------
 */

static pid_t
stranger(Door *door, unsigned connections)
{
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons(front_port(door->front)),
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  pid_t pid = fork();

  if (pid)
    return pid;
  if (setgid(STRANGER) != 0 || setuid(STRANGER) != 0)
    child_exit(1);
  for (unsigned i = 0; i < connections; i++) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char byte;

    if (connect(fd, (void *)&at, sizeof at) != 0)
      child_exit(2);
    send(fd, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL);
    if (recv(fd, &byte, 1, 0) > 0)
      child_exit(3); /* an answer */
    close(fd);
  }
  child_exit(0);
}

static void
test_stranger(void)
{
  FrontOptions options = door_options();
  g_autoptr(Door) door = NULL;
  const Refused *refused;
  int status = -1;
  pid_t pid;

  if (getuid() != 0) {
    g_test_skip("only root can become another user");
    return;
  }
  options.plain_base_url = true;
  door = door_new(&options, NULL);
  pid = stranger(door, 200);
  while (waitpid(pid, &status, WNOHANG) == 0)
    loop_iterate(door->loop, 5);
  g_assert_cmpint(status, ==, 0);
  g_assert_cmpuint(door->begun, ==, 0);
  refused = door->refused->pdata[0];
  g_assert_cmpuint(refused->uid, ==, STRANGER);
  g_assert_nonnull(strstr(refused->why, "user id 54321"));
  /* A row a second, not one for each. */
  g_assert_cmpuint(door->refused->len, <, 50);
  {
    g_autoptr(Visitor) own = visitor_new(door);

    g_ptr_array_set_size(door->refused, 0);
    visitor_ask_here(own);
    visitor_assert_served(own, "path=/models");
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_) g_test_add_func("/front/limits/" name_, func_)
  ADD("silence", test_silence);
  ADD("slow-loris", test_slow_loris);
  ADD("leaving", test_leaving);
  ADD("limit", test_limit);
  ADD("stranger", test_stranger);
#undef ADD
  return g_test_run();
}
