/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: private, one daemon's, for this user's processes that
 * authenticate as the kernel knows them; and no more of them than it takes. */
#include "bus/bus.h"
#include "tests/unit/child.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* MAX_CONNECTIONS of server.c. */
#define MOST 64
/* A user id that nobody has. */
#define STRANGER 54321

typedef struct {
  char *dir, *path;
  HoopAgent1 *skeleton;
  BusServer *server;
} Fixture;

static void
set_up(Fixture *f, const void *data)
{
  g_autofree char *base = g_dir_make_tmp("hoop-bus-XXXXXX", NULL);

  (void)data;
  f->dir = g_build_filename(base, "run", NULL);
  f->path = bus_socket_path(f->dir);
  f->skeleton = hoop_agent1_skeleton_new();
  f->server = NULL;
}

static void
tear_down(Fixture *f, const void *data)
{
  g_autofree char *base = g_path_get_dirname(f->dir);

  (void)data;
  bus_server_free(f->server);
  g_clear_object(&f->skeleton);
  g_remove(f->path);
  g_rmdir(f->dir);
  g_rmdir(base);
  g_free(f->dir);
  g_free(f->path);
}

static gboolean
on_resume(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  unsigned *calls = data;

  (*calls)++;
  hoop_agent1_complete_resume(skeleton, call);
  return TRUE;
}

static void
serve(Fixture *f)
{
  g_autoptr(GError) error = NULL;

  f->server = bus_server_new(f->dir, f->skeleton, &error);
  g_assert_no_error(error);
}

#define until(condition)                                                       \
  do {                                                                         \
    int64_t end_ = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;               \
    while (!(condition)) {                                                     \
      g_assert_cmpint(g_get_monotonic_time(), <, end_);                        \
      if (!g_main_context_iteration(NULL, FALSE))                              \
        g_usleep(1000);                                                        \
    }                                                                          \
  } while (0)

static unsigned
exported(Fixture *f)
{
  g_autolist(GDBusConnection) all = g_dbus_interface_skeleton_get_connections(
      G_DBUS_INTERFACE_SKELETON(f->skeleton));

  return g_list_length(all);
}

static void
connected(GObject *source, GAsyncResult *result, gpointer data)
{
  GDBusConnection **connection = data;

  (void)source;
  *connection = g_dbus_connection_new_for_address_finish(result, NULL);
}

/* An open connection; NULL when it was refused. */
static void
dial(Fixture *f, GDBusConnection **connection)
{
  g_autofree char *address = g_strconcat("unix:path=", f->path, NULL);

  g_dbus_connection_new_for_address(
      address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT,
      NULL,
      NULL,
      connected,
      connection);
}

static void
called(GObject *source, GAsyncResult *result, gpointer data)
{
  int *answer = data;
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, NULL);

  *answer = reply ? 1 : -1;
}

static int
resume(GDBusConnection *connection)
{
  int answer = 0;

  g_dbus_connection_call(connection,
                         NULL,
                         BUS_OBJECT_PATH,
                         "io.hoop.Agent1",
                         "Resume",
                         NULL,
                         NULL,
                         G_DBUS_CALL_FLAGS_NONE,
                         5000,
                         NULL,
                         called,
                         &answer);
  until(answer);
  return answer;
}

static void
test_call(Fixture *f, const void *data)
{
  GDBusConnection *connection = NULL;
  unsigned calls = 0;

  (void)data;
  g_signal_connect(f->skeleton, "handle-resume", G_CALLBACK(on_resume), &calls);
  serve(f);
  dial(f, &connection);
  until(connection);
  g_assert_cmpint(resume(connection), ==, 1);
  g_assert_cmpuint(calls, ==, 1);
  g_assert_cmpuint(exported(f), ==, 1);
  /* Its object goes with it. */
  g_assert_true(g_dbus_connection_close_sync(connection, NULL, NULL));
  g_object_unref(connection);
  until(exported(f) == 0);
}

static void
test_modes(Fixture *f, const void *data)
{
  GStatBuf info;

  (void)data;
  g_assert_cmpint(g_mkdir(f->dir, 0755), ==, 0);
  serve(f);
  g_assert_cmpint(g_stat(f->dir, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, 0700);
  g_assert_cmpint(g_stat(f->path, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, 0600);
  bus_server_free(g_steal_pointer(&f->server));
  g_assert_cmpint(g_stat(f->path, &info), !=, 0);
}

static void
test_stale(Fixture *f, const void *data)
{
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  (void)data;
  g_assert_cmpint(g_mkdir(f->dir, 0700), ==, 0);
  g_strlcpy(at.sun_path, f->path, sizeof at.sun_path);
  g_assert_cmpint(bind(fd, (void *)&at, sizeof at), ==, 0);
  g_assert_cmpint(listen(fd, 1), ==, 0);
  close(fd);
  serve(f);
}

static void
test_live(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  GDBusConnection *connection = NULL;

  (void)data;
  serve(f);
  g_assert_null(bus_server_new(f->dir, f->skeleton, &error));
  g_assert_error(error, BUS_ERROR, BUS_ERROR_REFUSED);
  g_assert_nonnull(strstr(error->message, "runs already"));
  dial(f, &connection); /* the first goes on */
  until(connection);
  g_object_unref(connection);
}

typedef struct {
  char *address;
  GDBusConnection *connection;
  int done; /* atomic */
} Dialler;

static void *
dial_aside(void *data)
{
  Dialler *dialler = data;

  dialler->connection = g_dbus_connection_new_for_address_sync(
      dialler->address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT,
      NULL,
      NULL,
      NULL);
  g_atomic_int_set(&dialler->done, 1);
  return NULL;
}

/* A connection that is there when the server ends, but of which it was not
 * told yet: GDBus does that from the main loop, with a reference of its own.
 * (When it was told, by chance, the end is as usual.) */
static void
test_late(Fixture *f, const void *data)
{
  for (int i = 0; i < 10; i++) {
    Dialler dialler = {g_strconcat("unix:path=", f->path, NULL), NULL, 0};
    GThread *thread;

    (void)data;
    serve(f);
    thread = g_thread_new("dial", dial_aside, &dialler);
    until(g_atomic_int_get(&dialler.done));
    g_thread_join(thread);
    g_assert_nonnull(dialler.connection);
    for (int j = 0; j < 100 && !g_main_context_pending(NULL); j++)
      g_usleep(1000);
    g_clear_pointer(&f->server, bus_server_free);
    until(!g_main_context_pending(NULL));
    g_assert_cmpuint(exported(f), ==, 0);
    g_object_unref(dialler.connection);
    g_free(dialler.address);
  }
}

static void
test_long_path(Fixture *f, const void *data)
{
  g_autofree char *name = g_strnfill(120, 'x');
  g_autofree char *dir = g_build_filename(f->dir, name, NULL);
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_null(bus_server_new(dir, f->skeleton, &error));
  g_assert_error(error, BUS_ERROR, BUS_ERROR_INVALID);
}

static void
test_most(Fixture *f, const void *data)
{
  GDBusConnection *all[MOST] = {NULL};
  GDBusConnection *over = NULL;
  unsigned calls = 0;

  (void)data;
  g_signal_connect(f->skeleton, "handle-resume", G_CALLBACK(on_resume), &calls);
  serve(f);
  for (unsigned i = 0; i < MOST; i++) {
    dial(f, &all[i]);
    until(all[i]);
  }
  until(exported(f) == MOST);
  dial(f, &over);
  until(over);
  g_assert_cmpint(resume(over), ==, -1);
  g_assert_cmpuint(exported(f), ==, MOST);
  g_object_unref(over);
  g_assert_cmpint(resume(all[0]), ==, 1);
  for (unsigned i = 0; i < MOST; i++) {
    g_dbus_connection_close_sync(all[i], NULL, NULL);
    g_object_unref(all[i]);
  }
  until(exported(f) == 0);
}

/* ---- Who authenticates how
 * ------------------------------------------------------------------------ */

static void
say(int fd, const char *text, char *answer, size_t room)
{
  size_t len = 0;

  g_assert_cmpint(
      send(fd, text, strlen(text), MSG_NOSIGNAL), ==, (ssize_t)strlen(text));
  memset(answer, 0, room);
  until(({
    ssize_t n = recv(fd, answer + len, room - len - 1, MSG_DONTWAIT);
    len += n > 0 ? (size_t)n : 0;
    strstr(answer, "\r\n") || n == 0;
  }));
}

static void
test_mechanisms(Fixture *f, const void *data)
{
  static const char *const refused[] = {"AUTH ANONYMOUS\r\n",
                                        "AUTH DBUS_COOKIE_SHA1 30\r\n",
                                        "AUTH PLAIN\r\n",
                                        "AUTH\r\n"};
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char answer[512];

  (void)data;
  serve(f);
  g_strlcpy(at.sun_path, f->path, sizeof at.sun_path);
  g_assert_cmpint(connect(fd, (void *)&at, sizeof at), ==, 0);
  g_assert_cmpint(send(fd, "", 1, MSG_NOSIGNAL), ==, 1);
  for (unsigned i = 0; i < G_N_ELEMENTS(refused); i++) {
    say(fd, refused[i], answer, sizeof answer);
    g_assert_cmpstr(answer, ==, "REJECTED EXTERNAL\r\n");
  }
  close(fd);
}

/* Even with every mode opened. */
static void
test_stranger(Fixture *f, const void *data)
{
  g_autofree char *base = g_path_get_dirname(f->dir);
  int status = -1;
  pid_t pid;

  (void)data;
  if (getuid() != 0) {
    g_test_skip("only root can become another user");
    return;
  }
  serve(f);
  g_assert_cmpint(g_chmod(base, 0755), ==, 0);
  g_assert_cmpint(g_chmod(f->dir, 0755), ==, 0);
  g_assert_cmpint(g_chmod(f->path, 0666), ==, 0);
  pid = fork();
  if (pid == 0) {
    static const char hello[] = "\0AUTH EXTERNAL 3534333231\r\n";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char answer[512] = "";

    g_strlcpy(at.sun_path, f->path, sizeof at.sun_path);
    if (setgid(STRANGER) != 0 || setuid(STRANGER) != 0 ||
        connect(fd, (void *)&at, sizeof at) != 0 ||
        send(fd, hello, sizeof hello - 1, MSG_NOSIGNAL) < 0)
      child_exit(1);
    alarm(20);
    if (recv(fd, answer, sizeof answer - 1, 0) > 0 &&
        strncmp(answer, "OK", 2) == 0)
      child_exit(2);
    child_exit(0);
  }
  until(waitpid(pid, &status, WNOHANG) == pid);
  g_assert_cmpint(status, ==, 0);
  g_assert_cmpuint(exported(f), ==, 0);
}

/* ---- The client's end
 * -------------------------------------------------------------------------- */

static void
test_client_refuses(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_null(bus_connect(f->dir, &error));
  g_assert_error(error, BUS_ERROR, BUS_ERROR_NOT_RUNNING);
  g_clear_error(&error);
  g_assert_cmpint(g_mkdir(f->dir, 0700), ==, 0);
  g_assert_null(bus_connect(f->dir, &error));
  g_assert_error(error, BUS_ERROR, BUS_ERROR_NOT_RUNNING);
  g_clear_error(&error);
  g_assert_cmpint(g_chmod(f->dir, 0750), ==, 0);
  g_assert_null(bus_connect(f->dir, &error));
  g_assert_error(error, BUS_ERROR, BUS_ERROR_FOREIGN);
}

/* A socket that takes connections and reads none of them, as a stopped
 * daemon's does. */
static void
test_client_waits_not_long(Fixture *f, const void *data)
{
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  int64_t began_us = g_get_monotonic_time();
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_cmpint(g_mkdir(f->dir, 0700), ==, 0);
  g_strlcpy(at.sun_path, f->path, sizeof at.sun_path);
  g_assert_cmpint(bind(fd, (void *)&at, sizeof at), ==, 0);
  g_assert_cmpint(listen(fd, 1), ==, 0);
  alarm(60); /* it used to wait for ever */
  g_assert_null(bus_connect(f->dir, &error));
  alarm(0);
  g_assert_error(error, BUS_ERROR, BUS_ERROR_SILENT);
  g_assert_cmpint(g_get_monotonic_time() - began_us, <, 30 * G_USEC_PER_SEC);
  close(fd);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_)                                                      \
  g_test_add("/bus/" name_, Fixture, NULL, set_up, func_, tear_down)
  ADD("call", test_call);
  ADD("modes", test_modes);
  ADD("stale", test_stale);
  ADD("live", test_live);
  ADD("late", test_late);
  ADD("long-path", test_long_path);
  ADD("most", test_most);
  ADD("mechanisms", test_mechanisms);
  ADD("stranger", test_stranger);
  ADD("client-refuses", test_client_refuses);
  ADD("client-waits-not-long", test_client_waits_not_long);
#undef ADD
  return g_test_run();
}
