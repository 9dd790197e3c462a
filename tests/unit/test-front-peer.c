/* SPDX-License-Identifier: Apache-2.0 */
/* Who connects: the kernel's word on the owner of a connection, another user
 * and another network namespace refused, and what is told of the process. */
#define _GNU_SOURCE
#include "front/private.h"
#include "kit/clock.h"
#include "tests/unit/child.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A user id that nobody has. */
#define STRANGER 54321
#define PATIENCE_US (20 * G_USEC_PER_SEC)

typedef struct {
  Peers *peers;
  int listener;
  struct sockaddr_storage address;
  socklen_t len;
} Fixture;

static void
listen_at(Fixture *f, const void *address, socklen_t len)
{
  const struct sockaddr *at = address;

  f->listener = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint(f->listener, >=, 0);
  g_assert_cmpint(bind(f->listener, at, len), ==, 0);
  g_assert_cmpint(listen(f->listener, 16), ==, 0);
  f->len = sizeof f->address;
  g_assert_cmpint(
      getsockname(f->listener, (struct sockaddr *)&f->address, &f->len), ==, 0);
}

static void
listen_v4(Fixture *f)
{
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};

  listen_at(f, &at, sizeof at);
}

static void
set_up(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  f->listener = -1;
  f->peers = peers_new(&error);
  g_assert_no_error(error);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  peers_free(f->peers);
  if (f->listener >= 0)
    close(f->listener);
}

static int
accept_one(Fixture *f)
{
  int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);

  g_assert_cmpint(fd, >=, 0);
  return fd;
}

static int
connect_to(int family, const void *address, socklen_t len)
{
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint(connect(fd, address, len), ==, 0);
  return fd;
}

static void
assert_mine(Fixture *f, int client)
{
  g_autoptr(GError) error = NULL;
  int fd = accept_one(f);
  PeerId peer;

  g_assert_true(peers_identify(f->peers, fd, &peer, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(peer.uid, ==, getuid());
  g_assert_true(peer.inode || peer.pid == getpid());
  g_assert_true(front_is_ours(fd));
  close(fd);
  close(client);
}

static void
test_v4(Fixture *f, const void *data)
{
  (void)data;
  listen_v4(f);
  for (unsigned i = 0; i < 50; i++)
    assert_mine(f, connect_to(AF_INET, &f->address, f->len));
}

static void
test_v6(Fixture *f, const void *data)
{
  struct sockaddr_in6 at = {.sin6_family = AF_INET6,
                            .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

  (void)data;
  if (fd < 0 || bind(fd, (void *)&at, sizeof at) != 0) {
    g_test_skip("no IPv6 on this machine");
    close(fd);
    return;
  }
  close(fd);
  listen_at(f, &at, sizeof at);
  assert_mine(f, connect_to(AF_INET6, &f->address, f->len));
}

/* An IPv6 socket that was connected to ::ffff:127.0.0.1, as Java's are. */
static void
test_mapped(Fixture *f, const void *data)
{
  struct sockaddr_in6 at = {.sin6_family = AF_INET6};

  (void)data;
  listen_v4(f);
  at.sin6_port = ((struct sockaddr_in *)&f->address)->sin_port;
  g_assert_cmpint(
      inet_pton(AF_INET6, "::ffff:127.0.0.1", &at.sin6_addr), ==, 1);
  assert_mine(f, connect_to(AF_INET6, &at, sizeof at));
}

static void
test_unix(Fixture *f, const void *data)
{
  g_autofree char *dir = g_dir_make_tmp("hoop-peer-XXXXXX", NULL);
  struct sockaddr_un at = {.sun_family = AF_UNIX};

  (void)data;
  g_snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir);
  listen_at(f, &at, sizeof at);
  assert_mine(f, connect_to(AF_UNIX, &at, sizeof at));
  g_unlink(at.sun_path);
  g_rmdir(dir);
}

/* ---- Others
 * ------------------------------------------------------------------- */

/* A child that connects, says so, and holds the connection until told. With
 * `leave` it closes at once. */
typedef struct {
  pid_t pid;
  int hold; /* closing it ends the child */
} Child;

static void
child_main(Fixture *f, uid_t uid, bool leave, int said, int hold)
{
  char byte = 'c';
  int fd;

  if (uid != getuid() && (setgid(uid) != 0 || setuid(uid) != 0))
    child_exit(1);
  fd = socket(f->address.ss_family, SOCK_STREAM, 0);
  if (connect(fd, (void *)&f->address, f->len) != 0)
    child_exit(2);
  if (leave) {
    /* A request, and gone. */
    if (send(fd, "x", 1, 0) != 1)
      child_exit(3);
    close(fd);
  }
  if (write(said, &byte, 1) != 1 || read(hold, &byte, 1) != 0)
    child_exit(4);
  child_exit(0);
}

static Child
child_new(Fixture *f, uid_t uid, bool leave)
{
  Child child;
  int said[2], hold[2];
  char byte;

  g_assert_cmpint(pipe2(said, O_CLOEXEC), ==, 0);
  g_assert_cmpint(pipe2(hold, O_CLOEXEC), ==, 0);
  child.pid = fork();
  if (child.pid == 0) {
    close(hold[1]);
    child_main(f, uid, leave, said[1], hold[0]);
  }
  close(said[1]);
  close(hold[0]);
  child.hold = hold[1];
  g_assert_cmpint(read(said[0], &byte, 1), ==, 1);
  close(said[0]);
  return child;
}

static void
child_end(Child *child)
{
  int status = -1;

  close(child->hold);
  g_assert_cmpint(waitpid(child->pid, &status, 0), ==, child->pid);
  g_assert_cmpint(status, ==, 0);
}

static void
test_other_user(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  PeerId peer;
  Child child;
  int fd;

  (void)data;
  if (getuid() != 0) {
    g_test_skip("only root can become another user");
    return;
  }
  listen_v4(f);
  child = child_new(f, STRANGER, false);
  fd = accept_one(f);
  g_assert_true(peers_identify(f->peers, fd, &peer, &error));
  g_assert_cmpuint(peer.uid, ==, STRANGER);
  g_assert_false(front_is_ours(fd));
  close(fd);
  child_end(&child);
}

/* A socket that was closed belongs to nobody, and the kernel says root: who
 * sends a request and leaves must not pass for that. */
static void
test_closed_already(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  PeerId peer;
  Child child;
  int fd;

  (void)data;
  listen_v4(f);
  child = child_new(f, getuid() == 0 ? STRANGER : getuid(), true);
  fd = accept_one(f);
  g_assert_false(peers_identify(f->peers, fd, &peer, &error));
  g_assert_error(error, FRONT_ERROR, FRONT_ERROR_PEER);
  g_assert_nonnull(strstr(error->message, "closed"));
  close(fd);
  child_end(&child);
}

/* A look-up in a namespace where the connection is not. */
static void
test_other_namespace(Fixture *f, const void *data)
{
  int status = -1;
  pid_t pid;

  (void)data;
  listen_v4(f);
  pid = fork();
  if (pid == 0) {
    int fd = connect_to(AF_INET, &f->address, f->len);
    int ours = accept_one(f);
    Peers *peers;
    PeerId peer;

    if (unshare(CLONE_NEWNET) != 0)
      child_exit(77);
    peers = peers_new(NULL);
    if (!peers || peers_identify(peers, ours, &peer, NULL))
      child_exit(1);
    peers_free(peers);
    close(fd);
    child_exit(0);
  }
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77)
    g_test_skip("no right to make a network namespace");
  else
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

/* ---- Processes
 * ------------------------------------------------------------------------ */

typedef struct {
  Loop *loop;
  WorkerPool *workers;
  Lookups *lookups;
  Caller *caller;
  bool done;
} Lookup;

/* What the room needs of callers here. */
Caller *
caller_ref(Caller *caller)
{
  caller->refs++;
  return caller;
}

void
caller_unref(Caller *caller)
{
  caller->refs--;
}

void
caller_resolve(Caller *caller, int64_t pid, char **processes)
{
  caller->resolved = true;
  caller->pid = pid;
  caller->processes = processes;
  if (caller->waiting)
    caller->waiting(caller->waiting_data);
}

static void
resolved(void *data)
{
  Lookup *lookup = data;

  lookup->done = true;
}

static void
lookup_init(Lookup *lookup, Caller *caller)
{
  *lookup = (Lookup){.loop = loop_new(NULL),
                     .workers = worker_pool_new(1, 1),
                     .caller = caller};
  lookup->lookups = lookups_new(lookup->workers, lookup->loop);
  *caller = (Caller){
      .refs = 1, .pid = -1, .waiting = resolved, .waiting_data = lookup};
}

static void
lookup_run(Lookup *lookup, const PeerId *peer)
{
  int64_t end = clock_mono_us() + PATIENCE_US;

  lookups_add(lookup->lookups, peer, lookup->caller);
  while (!lookup->done) {
    g_assert_cmpint(clock_mono_us(), <, end);
    loop_iterate(lookup->loop, 100);
  }
  g_assert_cmpuint(lookup->caller->refs, ==, 1);
}

static void
lookup_clear(Lookup *lookup)
{
  lookups_free(lookup->lookups);
  worker_pool_free(lookup->workers);
  loop_iterate(lookup->loop, 0);
  loop_free(lookup->loop);
  g_strfreev(lookup->caller->processes);
}

static void
test_process(Fixture *f, const void *data)
{
  g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
  g_autofree char *parent_link =
      g_strdup_printf("/proc/%d/exe", (int)getppid());
  g_autofree char *parent = g_file_read_link(parent_link, NULL);
  Lookup lookup;
  Caller caller;
  PeerId peer;
  Child child;
  int fd;

  (void)data;
  if (g_getenv("HOOP_VALGRIND")) {
    g_test_skip("valgrind is what runs, and says otherwise to us alone");
    return;
  }
  listen_v4(f);
  lookup_init(&lookup, &caller);
  child = child_new(f, getuid(), false);
  fd = accept_one(f);
  g_assert_true(peers_identify(f->peers, fd, &peer, NULL));
  lookup_run(&lookup, &peer);
  g_assert_cmpint(caller.pid, ==, child.pid);
  g_assert_cmpstr(caller.processes[0], ==, self);
  g_assert_cmpstr(caller.processes[1], ==, self);
  if (parent)
    g_assert_cmpstr(caller.processes[2], ==, parent);
  close(fd);
  child_end(&child);
  lookup_clear(&lookup);
}

/* A program that was replaced on disk keeps its name. */
static void
test_replaced_program(Fixture *f, const void *data)
{
  g_autofree char *dir = g_dir_make_tmp("hoop-peer-XXXXXX", NULL);
  g_autofree char *copy = g_build_filename(dir, "sleep", NULL);
  g_autofree char *sleep_path = g_find_program_in_path("sleep");
  const char *argv[] = {copy, "60", NULL};
  g_autofree char *bytes = NULL;
  Lookup lookup;
  Caller caller;
  PeerId peer = {.uid = getuid()};
  size_t len;

  (void)f;
  (void)data;
  g_assert_true(g_file_get_contents(sleep_path, &bytes, &len, NULL));
  g_assert_true(g_file_set_contents_full(
      copy, bytes, (gssize)len, G_FILE_SET_CONTENTS_CONSISTENT, 0700, NULL));
  g_assert_true(g_spawn_async(NULL,
                              (char **)argv,
                              NULL,
                              G_SPAWN_DO_NOT_REAP_CHILD,
                              NULL,
                              NULL,
                              &peer.pid,
                              NULL));
  g_unlink(copy);
  lookup_init(&lookup, &caller);
  lookup_run(&lookup, &peer);
  g_assert_cmpstr(caller.processes[0], ==, copy);
  lookup_clear(&lookup);
  kill(peer.pid, SIGKILL);
  waitpid(peer.pid, NULL, 0);
  g_rmdir(dir);
}

static void
test_process_gone(Fixture *f, const void *data)
{
  PeerId peer = {.uid = getuid(), .inode = 1};
  Lookup lookup;
  Caller caller;

  (void)f;
  (void)data;
  lookup_init(&lookup, &caller);
  lookup_run(&lookup, &peer);
  g_assert_cmpint(caller.pid, ==, -1);
  g_assert_null(caller.processes);
  lookup_clear(&lookup);
}

static void
wait_for_byte(void *data)
{
  char byte;

  g_assert_cmpint(read(*(int *)data, &byte, 1), ==, 1);
}

static void
nothing(void *data, bool cancelled)
{
  (void)data;
  (void)cancelled;
}

/* More at once than the workers take, which are busy besides. */
static void
test_burst(Fixture *f, const void *data)
{
  enum { N = 200 };
  Lookup lookup;
  Caller callers[N];
  int ends[N], gate[2];
  int64_t end = clock_mono_us() + PATIENCE_US;
  unsigned n = 0;

  (void)f;
  (void)data;
  lookup_init(&lookup, &callers[0]);
  g_assert_cmpint(pipe(gate), ==, 0);
  while (n < 2) /* one runs, one waits: the queue is full */
    n += worker_run(
        lookup.workers, lookup.loop, wait_for_byte, nothing, &gate[0]);
  for (unsigned i = 0; i < N; i += 2)
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, &ends[i]), ==, 0);
  for (unsigned i = 0; i < N; i++) {
    PeerId peer = {.uid = getuid()};
    struct stat info;

    g_assert_cmpint(fstat(ends[i], &info), ==, 0);
    peer.inode = info.st_ino;
    callers[i] = (Caller){.refs = 1, .pid = -1};
    lookups_add(lookup.lookups, &peer, &callers[i]);
  }
  g_assert_cmpint(write(gate[1], "..", 2), ==, 2);
  for (n = 0; n < N;) {
    g_assert_cmpint(clock_mono_us(), <, end);
    loop_iterate(lookup.loop, 100);
    while (n < N && callers[n].resolved)
      n++;
  }
  for (unsigned i = 0; i < N; i++) {
    g_assert_cmpint(callers[i].pid, ==, getpid());
    g_assert_nonnull(callers[i].processes);
    g_assert_cmpuint(callers[i].refs, ==, 1);
    if (i)
      g_strfreev(callers[i].processes);
    close(ends[i]);
  }
  close(gate[0]);
  close(gate[1]);
  lookup_clear(&lookup);
}

/* The door closes while a worker looks, and while others wait for it. */
static void
test_freed_early(Fixture *f, const void *data)
{
  PeerId peer = {.uid = getuid(), .pid = getpid()};
  Lookup lookup;
  Caller caller;

  (void)f;
  (void)data;
  lookup_init(&lookup, &caller);
  for (unsigned i = 0; i < 3; i++)
    lookups_add(lookup.lookups, &peer, &caller);
  lookup_clear(&lookup);
  g_assert_cmpuint(caller.refs, ==, 1);
}

/* ---- Who holds a port
 * -------------------------------------------------------------- */

static void
test_holder(Fixture *f, const void *data)
{
  g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
  g_autofree char *expected = g_strdup_printf("%s (pid %d)", self, getpid());
  g_autofree char *holder = NULL;
  uint16_t port;

  (void)data;
  listen_v4(f);
  port = ntohs(((struct sockaddr_in *)&f->address)->sin_port);
  holder = front_port_holder(port);
  g_assert_cmpstr(holder, ==, expected);
  close(f->listener);
  f->listener = -1;
  g_assert_null(front_port_holder(port));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_)                                                      \
  g_test_add("/front/peer/" name_, Fixture, NULL, set_up, func_, tear_down)
  ADD("v4", test_v4);
  ADD("v6", test_v6);
  ADD("mapped", test_mapped);
  ADD("unix", test_unix);
  ADD("other-user", test_other_user);
  ADD("closed-already", test_closed_already);
  ADD("other-namespace", test_other_namespace);
  ADD("process", test_process);
  ADD("replaced-program", test_replaced_program);
  ADD("process-gone", test_process_gone);
  ADD("burst", test_burst);
  ADD("freed-early", test_freed_early);
  ADD("holder", test_holder);
#undef ADD
  return g_test_run();
}
