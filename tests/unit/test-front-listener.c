/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: loopback and nothing else, the port's holder named, Unix
 * sockets that replace only what is dead, those that systemd passes, and a
 * process that has no descriptors left. */
#include "config.h"

#include "front/private.h"
#include "tests/unit/child.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  char *dir, *path;
  Loop *loop;
  Listener *listener;
  FrontOptions options;
  GArray *accepted; /* int */
  unsigned n_unix;
} Fixture;

static void
set_up(Fixture *f, const void *data)
{
  (void)data;
  *f = (Fixture){.loop = loop_new(NULL),
                 .dir = g_dir_make_tmp("hoop-listen-XXXXXX", NULL),
                 .options = {.address = "127.0.0.1"},
                 .accepted = g_array_new(FALSE, FALSE, sizeof(int))};
  f->path = g_build_filename(f->dir, "socket", NULL);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  for (unsigned i = 0; i < f->accepted->len; i++)
    close(g_array_index(f->accepted, int, i));
  g_array_unref(f->accepted);
  listener_free(f->listener);
  loop_free(f->loop);
  g_unlink(f->path);
  g_rmdir(f->dir);
  g_free(f->path);
  g_free(f->dir);
}

static void
accepted(int fd, bool unix_socket, void *data)
{
  Fixture *f = data;

  g_assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  g_assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  f->n_unix += unix_socket;
  g_array_append_val(f->accepted, fd);
}

static void
start(Fixture *f)
{
  g_autoptr(GError) error = NULL;

  f->listener = listener_new(f->loop, &f->options, &error);
  g_assert_no_error(error);
  listener_start(f->listener, accepted, f);
}

static void
assert_fails(Fixture *f, const char *words)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(listener_new(f->loop, &f->options, &error));
  g_assert_error(error, FRONT_ERROR, FRONT_ERROR_LISTEN);
  if (!strstr(error->message, words))
    g_error("\"%s\" in \"%s\"", words, error->message);
}

static void
turns(Fixture *f)
{
  for (unsigned i = 0; i < 5; i++)
    loop_iterate(f->loop, 2);
}

/* True when somebody listens there. */
static bool
answers(int family, const char *address, uint16_t port)
{
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool connected;

  inet_pton(AF_INET, address, &v4.sin_addr);
  inet_pton(AF_INET6, address, &v6.sin6_addr);
  connected = family == AF_INET ? connect(fd, (void *)&v4, sizeof v4) == 0
                                : connect(fd, (void *)&v6, sizeof v6) == 0;
  close(fd);
  return connected;
}

static bool
has_v6(void)
{
  struct sockaddr_in6 at = {.sin6_family = AF_INET6,
                            .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool bound = fd >= 0 && bind(fd, (void *)&at, sizeof at) == 0;

  close(fd);
  return bound;
}

/* ---- TCP
 * ----------------------------------------------------------------------------
 */

static void
test_both_families(Fixture *f, const void *data)
{
  uint16_t port;

  (void)data;
  start(f);
  port = listener_port(f->listener);
  g_assert_cmpuint(port, >, 0);
  g_assert_true(answers(AF_INET, "127.0.0.1", port));
  g_assert_false(answers(AF_INET, "127.0.0.2", port));
  if (has_v6())
    g_assert_true(answers(AF_INET6, "::1", port));
  turns(f);
  g_assert_cmpuint(f->accepted->len, ==, has_v6() ? 2 : 1);
  listener_stop(f->listener);
  g_assert_false(answers(AF_INET, "127.0.0.1", port));
}

static void
test_only_v6(Fixture *f, const void *data)
{
  (void)data;
  if (!has_v6()) {
    g_test_skip("no IPv6 on this machine");
    return;
  }
  f->options.address = "::1";
  start(f);
  g_assert_true(answers(AF_INET6, "::1", listener_port(f->listener)));
  g_assert_false(answers(AF_INET, "127.0.0.1", listener_port(f->listener)));
}

/* What is no address must not come to mean all of them. */
static void
test_no_address(Fixture *f, const void *data)
{
  static const char *const addresses[] = {
      "127.0.0", "127.1", "127.foo", "localhost", "", "127.0.0.1 "};

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(addresses); i++) {
    f->options.address = addresses[i];
    assert_fails(f, "cannot listen");
  }
}

static void
test_taken(Fixture *f, const void *data)
{
  g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
  g_autofree char *words = NULL;

  (void)data;
  start(f);
  f->options.port = listener_port(f->listener);
  words = g_strdup_printf(
      "port %u is held by %s (pid %d)", f->options.port, self, (int)getpid());
  assert_fails(f, words);
  assert_fails(f, "[listen] port");
}

/* Somebody else on ::1 would get a part of the clients. */
static void
test_v6_taken(Fixture *f, const void *data)
{
  struct sockaddr_in6 at = {.sin6_family = AF_INET6,
                            .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  socklen_t len = sizeof at;
  int fd;

  (void)data;
  if (!has_v6()) {
    g_test_skip("no IPv6 on this machine");
    return;
  }
  fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(bind(fd, (void *)&at, sizeof at), ==, 0);
  g_assert_cmpint(listen(fd, 1), ==, 0);
  g_assert_cmpint(getsockname(fd, (void *)&at, &len), ==, 0);
  f->options.port = ntohs(at.sin6_port);
  assert_fails(f, "is held by");
  close(fd);
}

static void
test_pause(Fixture *f, const void *data)
{
  (void)data;
  start(f);
  listener_pause(f->listener, true);
  g_assert_true(answers(AF_INET, "127.0.0.1", listener_port(f->listener)));
  turns(f);
  g_assert_cmpuint(f->accepted->len, ==, 0);
  listener_pause(f->listener, false);
  turns(f);
  g_assert_cmpuint(f->accepted->len, ==, 1);
}

/* A storm of connections is taken in rounds. */
static void
test_many(Fixture *f, const void *data)
{
  (void)data;
  start(f);
  for (unsigned i = 0; i < 150; i++)
    g_assert_true(answers(AF_INET, "127.0.0.1", listener_port(f->listener)));
  for (unsigned i = 0; i < 50 && f->accepted->len < 150; i++)
    loop_iterate(f->loop, 2);
  g_assert_cmpuint(f->accepted->len, ==, 150);
}

/* Without descriptors the listener waits, neither spinning nor giving up. */
static void
test_starved(Fixture *f, const void *data)
{
  struct rlimit before, tight;
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int64_t end;
  unsigned rounds = 0;

  (void)data;
  if (g_getenv("HOOP_VALGRIND")) {
    g_test_skip("valgrind accepts, and closes what is above the limit");
    close(client);
    return;
  }
  start(f);
  at.sin_port = htons(listener_port(f->listener));
  g_assert_cmpint(connect(client, (void *)&at, sizeof at), ==, 0);
  g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
  tight = before;
  tight.rlim_cur = 3; /* all above are in use already */
  g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &tight), ==, 0);
  end = g_get_monotonic_time() + G_USEC_PER_SEC / 2;
  while (g_get_monotonic_time() < end) {
    loop_iterate(f->loop, 100);
    rounds++;
  }
  g_assert_cmpuint(f->accepted->len, ==, 0);
  g_assert_cmpuint(rounds, <, 40);
  g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
  end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
  while (!f->accepted->len) {
    g_assert_cmpint(g_get_monotonic_time(), <, end);
    loop_iterate(f->loop, 100);
  }
  close(client);
}

/* ---- Unix sockets
 * ----------------------------------------------------------------------- */

static int
unix_socket(const char *path, bool listening)
{
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy(at.sun_path, path, sizeof at.sun_path);
  if (listening) {
    g_assert_cmpint(bind(fd, (void *)&at, sizeof at), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
  } else if (connect(fd, (void *)&at, sizeof at) != 0) {
    close(fd);
    return -1;
  }
  return fd;
}

static void
test_unix(Fixture *f, const void *data)
{
  mode_t before = umask(0);
  struct stat info;
  int fd;

  (void)data;
  f->options.unix_socket = f->path;
  start(f);
  g_assert_cmpint(umask(before), ==, 0);
  g_assert_cmpint(stat(f->path, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, 0600);
  fd = unix_socket(f->path, false);
  turns(f);
  g_assert_cmpuint(f->n_unix, ==, 1);
  close(fd);
  listener_stop(f->listener);
  g_assert_cmpint(stat(f->path, &info), !=, 0);
}

static void
test_unix_stale(Fixture *f, const void *data)
{
  (void)data;
  close(unix_socket(f->path, true)); /* the file stays */
  f->options.unix_socket = f->path;
  start(f);
  g_assert_cmpint(unix_socket(f->path, false), >=, 0);
}

static void
test_unix_live(Fixture *f, const void *data)
{
  int fd = unix_socket(f->path, true), client;

  (void)data;
  f->options.unix_socket = f->path;
  assert_fails(f, "in use");
  client = unix_socket(f->path, false); /* still theirs */
  g_assert_cmpint(client, >=, 0);
  close(client);
  close(fd);
}

static void
test_unix_other_file(Fixture *f, const void *data)
{
  g_autofree char *text = NULL;

  (void)data;
  g_assert_true(g_file_set_contents(f->path, "mine", -1, NULL));
  f->options.unix_socket = f->path;
  assert_fails(f, f->path);
  g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
  g_assert_cmpstr(text, ==, "mine");
}

static void
test_unix_bad_paths(Fixture *f, const void *data)
{
  g_autofree char *name = g_strnfill(200, 'x');
  g_autofree char *path = g_build_filename(f->dir, name, NULL);
  g_autofree char *nowhere = g_build_filename(f->dir, "no", "socket", NULL);

  (void)data;
  f->options.unix_socket = path;
  assert_fails(f, "too long");
  f->options.unix_socket = nowhere;
  assert_fails(f, nowhere);
}

/* ---- What systemd passes
 * ------------------------------------------------------------------ */

#ifdef HAVE_SYSTEMD
typedef void (*Passed)(Fixture *f);

static int
tcp_socket(in_addr_t address, bool listening)
{
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(address)}};
  int fd = socket(AF_INET, SOCK_STREAM, 0);

  g_assert_cmpint(bind(fd, (void *)&at, sizeof at), ==, 0);
  if (listening)
    g_assert_cmpint(listen(fd, 8), ==, 0);
  return fd;
}

/* In a child of its own, with the sockets where systemd puts them. */
static void
with_sockets(Fixture *f, const int *fds, unsigned n, Passed func)
{
  int status = -1;
  pid_t pid = fork();

  if (pid == 0) {
    g_autofree char *self = g_strdup_printf("%d", (int)getpid());
    g_autofree char *count = g_strdup_printf("%u", n);

    for (unsigned i = 0; i < n; i++) {
      int high = fcntl(fds[i], F_DUPFD, 200);

      close(fds[i]);
      if (dup2(high, 3 + (int)i) < 0)
        child_exit(2);
      close(high);
    }
    g_setenv("LISTEN_PID", self, TRUE);
    g_setenv("LISTEN_FDS", count, TRUE);
    func(f);
    child_exit(0);
  }
  for (unsigned i = 0; i < n; i++)
    close(fds[i]);
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_cmpint(status, ==, 0);
}

/* Both are used, instead of binding, and neither blocks the loop although
 * they came blocking. */
static void
use_passed(Fixture *f)
{
  struct sockaddr_in at = {0};
  socklen_t len = sizeof at;
  int client;

  /* The loop was made before descriptors 3 and 4 were overwritten. */
  f->loop = loop_new(NULL);
  start(f);
  g_assert_cmpint(getsockname(3, (void *)&at, &len), ==, 0);
  g_assert_cmpuint(listener_port(f->listener), ==, ntohs(at.sin_port));
  alarm(20);
  g_assert_true(answers(AF_INET, "127.0.0.1", listener_port(f->listener)));
  client = unix_socket(f->path, false);
  turns(f);
  g_assert_cmpuint(f->accepted->len, ==, 2);
  g_assert_cmpuint(f->n_unix, ==, 1);
  close(client);
  listener_stop(f->listener);
  /* systemd's file is systemd's. */
  g_assert_true(g_file_test(f->path, G_FILE_TEST_EXISTS));
  g_assert_null(g_getenv("LISTEN_FDS"));
}

static void
test_passed(Fixture *f, const void *data)
{
  int fds[] = {tcp_socket(INADDR_LOOPBACK, true), unix_socket(f->path, true)};

  (void)data;
  with_sockets(f, fds, G_N_ELEMENTS(fds), use_passed);
}

static void
refuse_passed(Fixture *f)
{
  assert_fails(f, "systemd passed");
}

static void
test_passed_wildcard(Fixture *f, const void *data)
{
  int fds[] = {tcp_socket(INADDR_ANY, true)};

  (void)data;
  with_sockets(f, fds, G_N_ELEMENTS(fds), refuse_passed);
}

static void
test_passed_not_listening(Fixture *f, const void *data)
{
  int fds[] = {tcp_socket(INADDR_LOOPBACK, false)};

  (void)data;
  with_sockets(f, fds, G_N_ELEMENTS(fds), refuse_passed);
}

static void
test_passed_too_many(Fixture *f, const void *data)
{
  int fds[5];

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++)
    fds[i] = tcp_socket(INADDR_LOOPBACK, true);
  with_sockets(f, fds, G_N_ELEMENTS(fds), refuse_passed);
}
#endif

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_)                                                      \
  g_test_add("/front/listener/" name_, Fixture, NULL, set_up, func_, tear_down)
  ADD("both-families", test_both_families);
  ADD("only-v6", test_only_v6);
  ADD("no-address", test_no_address);
  ADD("taken", test_taken);
  ADD("v6-taken", test_v6_taken);
  ADD("pause", test_pause);
  ADD("many", test_many);
  ADD("starved", test_starved);
  ADD("unix", test_unix);
  ADD("unix-stale", test_unix_stale);
  ADD("unix-live", test_unix_live);
  ADD("unix-other-file", test_unix_other_file);
  ADD("unix-bad-paths", test_unix_bad_paths);
#ifdef HAVE_SYSTEMD
  ADD("passed", test_passed);
  ADD("passed-wildcard", test_passed_wildcard);
  ADD("passed-not-listening", test_passed_not_listening);
  ADD("passed-too-many", test_passed_too_many);
#endif
#undef ADD
  return g_test_run();
}
