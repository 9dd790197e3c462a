/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: loopback in both families, a Unix socket, or those that
 * systemd passed; accepts in rounds, waits when descriptors run out. */
#include "config.h"

#include "front/private.h"
#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* So many in one go, so that a storm of them does not starve the rest. */
#define ACCEPTS_A_ROUND 32
#define BACKLOG 256
/* Without descriptors or memory there is no use in trying at once. */
#define RETRY_MS 100
#define MAX_SOCKETS 4
/* Any free port must be free in both families: so often another is tried. */
#define PORT_TRIES 16

typedef struct {
  Listener *listener;
  int fd;
  bool unix_socket;
  LoopWatch *watch;
} Socket;

struct listener {
  Loop *loop;
  Socket sockets[MAX_SOCKETS];
  unsigned n_sockets;
  uint16_t port;
  char *unix_path; /* to be removed */
  LoopTimer *retry;
  ListenerAccept accept;
  void *data;
  bool paused, starved;
};

static void
set_watches(Listener *listener)
{
  bool on = !listener->paused && !listener->starved;

  for (unsigned i = 0; i < listener->n_sockets; i++)
    if (listener->sockets[i].watch)
      loop_watch_set(listener->sockets[i].watch, on ? EPOLLIN : 0);
}

static void
retry(void *data)
{
  Listener *listener = data;

  listener->starved = false;
  set_watches(listener);
}

static void
ready(uint32_t events, void *data)
{
  Socket *one = data;
  Listener *listener = one->listener;

  (void)events;
  for (unsigned i = 0; i < ACCEPTS_A_ROUND && !listener->paused; i++) {
    int fd = accept4(one->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
      listener->accept(fd, one->unix_socket, listener->data);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
        errno == ENOMEM) {
      listener->starved = true;
      set_watches(listener);
      loop_timer_set(listener->retry, RETRY_MS);
    }
    if (errno != EINTR && errno != ECONNABORTED)
      return;
  }
}

static void
add(Listener *listener, int fd, bool unix_socket)
{
  listener->sockets[listener->n_sockets++] =
      (Socket){.listener = listener, .fd = fd, .unix_socket = unix_socket};
}

static bool
in_use(uint16_t port, GError **error)
{
  g_autofree char *holder = front_port_holder(port);

  g_set_error(error,
              FRONT_ERROR,
              FRONT_ERROR_LISTEN,
              "port %u is held by %s; stop it, or set another [listen] port",
              port,
              holder ? holder : "another user's process");
  return false;
}

static bool
listen_error(const char *where, GError **error)
{
  g_set_error(error,
              FRONT_ERROR,
              FRONT_ERROR_LISTEN,
              "cannot listen on %s: %s",
              where,
              g_strerror(errno));
  return false;
}

static int
listening_socket(const struct sockaddr *address, socklen_t len)
{
  int fd =
      socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1, failed;

  if (fd < 0)
    return -1;
  if (address->sa_family == AF_UNIX) {
    fchmod(fd, 0600); /* the mode that bind(2) gives the file */
  } else {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa_family == AF_INET6)
      setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (bind(fd, address, len) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  failed = errno;
  close(fd);
  errno = failed;
  return -1;
}

static uint16_t
bound_port(int fd)
{
  struct sockaddr_in6 address = {0};
  socklen_t len = sizeof address;

  /* The port lies at the same place in both families. */
  return getsockname(fd, (struct sockaddr *)&address, &len) == 0
             ? ntohs(address.sin6_port)
             : 0;
}

static bool
bind_v4(Listener *listener, const char *text, uint16_t port, GError **error)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  int fd;

  if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
    errno = EADDRNOTAVAIL; /* never every address of the machine */
    return listen_error(text, error);
  }
  fd = listening_socket((const struct sockaddr *)&address, sizeof address);
  if (fd < 0)
    return errno == EADDRINUSE ? in_use(port, error)
                               : listen_error(text, error);
  listener->port = bound_port(fd);
  add(listener, fd, false);
  return true;
}

/* `optional`: a machine without IPv6 has no ::1. */
static bool
bind_v6(Listener *listener, uint16_t port, bool optional, GError **error)
{
  struct sockaddr_in6 address = {.sin6_family = AF_INET6,
                                 .sin6_port = htons(port),
                                 .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = listening_socket((const struct sockaddr *)&address, sizeof address);

  if (fd < 0) {
    if (optional && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
      return true;
    return errno == EADDRINUSE ? in_use(port, error)
                               : listen_error("::1", error);
  }
  listener->port = bound_port(fd);
  add(listener, fd, false);
  return true;
}

/* A socket that nobody answers on was left by an agent that was killed; what
 * is no socket was named by mistake. */
static bool
clear_stale(const struct sockaddr_un *address, GError **error)
{
  const char *path = address->sun_path;
  struct stat info;
  bool live;
  int fd;

  if (lstat(path, &info) != 0)
    return errno == ENOENT || listen_error(path, error);
  if (!S_ISSOCK(info.st_mode)) {
    errno = ENOTSOCK;
    return listen_error(path, error);
  }
  fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  live = fd >= 0 &&
         (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
          errno == EAGAIN);
  if (fd >= 0)
    close(fd);
  errno = EADDRINUSE;
  return (!live && g_unlink(path) == 0) || listen_error(path, error);
}

static bool
bind_unix(Listener *listener, const char *path, GError **error)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd;

  if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >=
      sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return listen_error(path, error);
  }
  if (!clear_stale(&address, error))
    return false;
  fd = listening_socket((const struct sockaddr *)&address, sizeof address);
  if (fd < 0)
    return listen_error(path, error);
  listener->unix_path = g_strdup(path);
  add(listener, fd, true);
  return true;
}

static void
close_sockets(Listener *listener)
{
  for (unsigned i = 0; i < listener->n_sockets; i++) {
    loop_watch_free(g_steal_pointer(&listener->sockets[i].watch));
    close(listener->sockets[i].fd);
  }
  listener->n_sockets = 0;
}

static bool
bind_tcp(Listener *listener, const FrontOptions *options, GError **error)
{
  bool v6 = strchr(options->address, ':') != NULL;

  if (!v6 && !bind_v4(listener, options->address, options->port, error))
    return false;
  if (!v6 && !g_str_equal(options->address, "127.0.0.1"))
    return true;
  return bind_v6(listener, v6 ? options->port : listener->port, !v6, error);
}

static bool
bind_free_port(Listener *listener, const FrontOptions *options, GError **error)
{
  for (unsigned i = 1; i < PORT_TRIES; i++) {
    if (bind_tcp(listener, options, NULL))
      return true;
    close_sockets(listener);
  }
  return bind_tcp(listener, options, error);
}

/* ---- Sockets that systemd opened for us
 * --------------------------------------------------------- */

#ifdef HAVE_SYSTEMD
static bool
is_loopback(const struct sockaddr_storage *address)
{
  const struct sockaddr_in *v4 = (const void *)address;
  const struct sockaddr_in6 *v6 = (const void *)address;

  if (address->ss_family == AF_INET)
    return v4->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
  return address->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static bool
inherit(Listener *listener, int fd, GError **error)
{
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;
  bool unix_socket;

  if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 ||
      getsockname(fd, (struct sockaddr *)&address, &len) != 0 ||
      !g_unix_set_fd_nonblocking(fd, TRUE, NULL)) {
    errno = ENOTSOCK;
    return listen_error("a socket that systemd passed", error);
  }
  unix_socket = address.ss_family == AF_UNIX;
  if (!unix_socket && !is_loopback(&address)) {
    g_set_error_literal(error,
                        FRONT_ERROR,
                        FRONT_ERROR_LISTEN,
                        "systemd passed a socket that is not on 127.0.0.1 or "
                        "::1: name the address in ListenStream=");
    return false;
  }
  if (!unix_socket)
    listener->port = bound_port(fd);
  add(listener, fd, unix_socket);
  return true;
}
#endif

/* False on an error; whether there were any shows in n_sockets. */
static bool
inherit_all(Listener *listener, GError **error)
{
#ifdef HAVE_SYSTEMD
  int n = sd_listen_fds(1);

  if (n > MAX_SOCKETS) {
    errno = E2BIG;
    return listen_error("the sockets that systemd passed", error);
  }
  for (int i = 0; i < n; i++)
    if (!inherit(listener, SD_LISTEN_FDS_START + i, error))
      return false;
#else
  (void)listener;
  (void)error;
#endif
  return true;
}

Listener *
listener_new(Loop *loop, const FrontOptions *options, GError **error)
{
  g_autoptr(Listener) listener = g_new0(Listener, 1);

  listener->loop = loop;
  listener->retry = loop_timer_new(loop, retry, listener);
  if (!inherit_all(listener, error))
    return NULL;
  if (listener->n_sockets)
    return g_steal_pointer(&listener);
  if (options->port ? !bind_tcp(listener, options, error)
                    : !bind_free_port(listener, options, error))
    return NULL;
  if (options->unix_socket && !bind_unix(listener, options->unix_socket, error))
    return NULL;
  return g_steal_pointer(&listener);
}

void
listener_start(Listener *listener, ListenerAccept accept, void *data)
{
  listener->accept = accept;
  listener->data = data;
  for (unsigned i = 0; i < listener->n_sockets; i++) {
    Socket *one = &listener->sockets[i];

    one->watch = loop_watch_new(listener->loop, one->fd, EPOLLIN, ready, one);
  }
}

void
listener_pause(Listener *listener, bool pause)
{
  if (listener->paused == pause)
    return;
  listener->paused = pause;
  set_watches(listener);
}

void
listener_stop(Listener *listener)
{
  close_sockets(listener);
  if (listener->unix_path)
    g_unlink(listener->unix_path);
  g_clear_pointer(&listener->unix_path, g_free);
  loop_timer_set(listener->retry, -1);
}

void
listener_free(Listener *listener)
{
  if (!listener)
    return;
  listener_stop(listener);
  loop_timer_free(listener->retry);
  g_free(listener);
}

uint16_t
listener_port(const Listener *listener)
{
  return listener->port;
}
