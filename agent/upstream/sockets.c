/* SPDX-License-Identifier: Apache-2.0 */
/* curl's sockets on the loop. A pooled connection keeps its watch, so that a
 * request on it costs no epoll_ctl(2), and so that a byte nobody asked for, or
 * the server's farewell, ends it at once. */
#include "upstream/private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  Sockets *table;
  LoopWatch *watch;
  int fd;
  bool connection; /* opened by us, closed through us */
  bool wanted;     /* curl waits for it */
} Socket;

struct sockets {
  Upstream *upstream;
  GPtrArray *by_fd; /* Socket or NULL */
};

Sockets *
sockets_new(Upstream *upstream)
{
  Sockets *sockets = g_new0(Sockets, 1);

  sockets->upstream = upstream;
  sockets->by_fd = g_ptr_array_new();
  return sockets;
}

static Socket *
get_socket(Sockets *sockets, int fd)
{
  if ((guint)fd >= sockets->by_fd->len)
    g_ptr_array_set_size(sockets->by_fd, fd + 1);
  if (sockets->by_fd->pdata[fd] == NULL) {
    Socket *entry = g_new0(Socket, 1);

    entry->table = sockets;
    entry->fd = fd;
    sockets->by_fd->pdata[fd] = entry;
  }
  return sockets->by_fd->pdata[fd];
}

static void
drop_socket(Sockets *sockets, int fd)
{
  Socket *entry;

  if ((guint)fd >= sockets->by_fd->len)
    return;
  entry = sockets->by_fd->pdata[fd];
  sockets->by_fd->pdata[fd] = NULL;
  if (entry != NULL)
    loop_watch_free(entry->watch);
  g_free(entry);
}

void
sockets_free(Sockets *sockets)
{
  if (sockets == NULL)
    return;
  for (guint i = 0; i < sockets->by_fd->len; i++)
    drop_socket(sockets, (int)i);
  g_ptr_array_unref(sockets->by_fd);
  g_free(sockets);
}

/* A pooled connection has something to say: whatever comes now belongs to no
 * request, so nothing may be read from it as an answer. After the shutdown
 * curl finds it dead when it looks. */
static void
on_pooled(Socket *entry)
{
  char byte;

  /* The event may be older than curl's last read in this round. */
  if (recv(entry->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
    return;
  g_clear_pointer(&entry->watch, loop_watch_free);
  shutdown(entry->fd, SHUT_RDWR);
}

static void
on_event(uint32_t events, void *data)
{
  Socket *entry = data;
  Upstream *upstream = entry->table->upstream;
  int bits = 0;
  int running;

  if (!entry->wanted) {
    on_pooled(entry);
    return;
  }
  /* CURL_CSELECT_ERR alone would lose what the socket still holds. */
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
    bits |= CURL_CSELECT_IN;
  if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
    bits |= CURL_CSELECT_OUT;
  upstream->in_curl = true;
  curl_multi_socket_action(upstream->multi, entry->fd, bits, &running);
  upstream->in_curl = false;
  upstream_reap(upstream);
}

/* The loop has no memory or no room for this socket: its request fails, the
 * others go on (-1 from curl's callback would end them all). */
static void
refuse_watch(Job *job)
{
  job->no_watch = true;
  job->upstream->unwatched = true;
  loop_timer_set(job->upstream->kick, 0);
}

static void
on_remove(Socket *entry)
{
  if (entry->watch == NULL)
    return;
  /* HTTP/2 servers speak on idle connections, and may. */
  if (entry->connection && !entry->table->upstream->http2)
    loop_watch_set(entry->watch, EPOLLIN);
  else
    g_clear_pointer(&entry->watch, loop_watch_free);
}

int
sockets_on_change(CURL *easy,
                  curl_socket_t fd,
                  int what,
                  void *data,
                  void *unused)
{
  Sockets *sockets = ((Upstream *)data)->sockets;
  Socket *entry = get_socket(sockets, fd);
  Job *job = job_of(easy);
  uint32_t events = 0;

  (void)unused;
  entry->wanted = what != CURL_POLL_REMOVE;
  if (!entry->wanted) {
    on_remove(entry);
    return 0;
  }
  if (job != NULL && entry->connection)
    job->fd = fd;
  if (what & CURL_POLL_IN)
    events |= EPOLLIN;
  if (what & CURL_POLL_OUT)
    events |= EPOLLOUT;
  if (entry->watch != NULL)
    loop_watch_set(entry->watch, events);
  else
    entry->watch =
        loop_watch_new(sockets->upstream->loop, fd, events, on_event, entry);
  if (entry->watch == NULL && job != NULL)
    refuse_watch(job);
  return 0;
}

curl_socket_t
sockets_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
  Sockets *sockets = ((Upstream *)data)->sockets;
  int fd = socket(address->family,
                  address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  address->protocol);

  (void)purpose;
  if (fd < 0)
    return CURL_SOCKET_BAD;
  get_socket(sockets, fd)->connection = true;
  return fd;
}

int
sockets_close(void *data, curl_socket_t fd)
{
  drop_socket(((Upstream *)data)->sockets, fd);
  return close(fd);
}
