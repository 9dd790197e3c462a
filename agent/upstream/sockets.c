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
  uint32_t events; /* that curl waits for; 0: none */
  bool connection; /* opened by sockets_open() */
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

static bool
is_in_use(const Socket *entry)
{
  const Upstream *upstream = entry->table->upstream;

  for (GList *link = upstream->requests.head; link; link = link->next) {
    const UpstreamRequest *request = link->data;

    if (request->handle != NULL && request->handle->job.fd == entry->fd)
      return true;
  }
  return false;
}

/* Something came that curl does not wait for. On the connection of a paused
 * request it may stay in the kernel; on a pooled one it belongs to no request,
 * so nothing may be read from it as an answer: after the shutdown curl finds
 * the connection dead when it looks. */
static void
on_unwanted(Socket *entry)
{
  char byte;

  if (is_in_use(entry)) {
    g_clear_pointer(&entry->watch, loop_watch_free);
    return;
  }
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

  if (entry->events == 0) {
    on_unwanted(entry);
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

/* Has the kick look at the job: an error returned from curl's callback would
 * end every transfer. */
static void
need_work(Job *job)
{
  job->upstream->job_work = true;
  loop_timer_set(job->upstream->kick, 0);
}

/* True for the connection of a request that curl has no use for right now: it
 * goes to the pool, or is paused. Before the request was written it could also
 * be closed already, because curl tells nobody when it gives up a connection
 * that never stood. HTTP/2 servers speak on idle connections, and may. */
static bool
may_keep_watch(const Socket *entry, const Job *job)
{
  const Handle *handle = (const Handle *)job;

  return entry->connection && !entry->table->upstream->http2 && job != NULL &&
         !job->is_connect && job->fd == entry->fd && handle->request != NULL &&
         handle->request->requested;
}

static void
watch(Socket *entry)
{
  if (entry->watch != NULL)
    loop_watch_set(entry->watch, entry->events);
  else
    entry->watch = loop_watch_new(entry->table->upstream->loop,
                                  entry->fd,
                                  entry->events,
                                  on_event,
                                  entry);
}

static bool
is_connecting(const Job *job)
{
  const Handle *handle = (const Handle *)job;

  return job->is_connect ||
         (handle->request != NULL && !handle->request->requested);
}

static void
on_remove(Socket *entry, Job *job)
{
  if (entry->watch != NULL && may_keep_watch(entry, job)) {
    loop_watch_set(entry->watch, EPOLLIN);
    return;
  }
  g_clear_pointer(&entry->watch, loop_watch_free);
  if (entry->connection && job != NULL && is_connecting(job)) {
    job->lost_socket = true;
    need_work(job);
  }
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

  (void)unused;
  entry->events = 0;
  if (what == CURL_POLL_REMOVE) {
    on_remove(entry, job);
    return 0;
  }
  if (job != NULL && entry->connection)
    job->fd = fd;
  if (what & CURL_POLL_IN)
    entry->events |= EPOLLIN;
  if (what & CURL_POLL_OUT)
    entry->events |= EPOLLOUT;
  watch(entry);
  if (entry->watch == NULL && job != NULL) {
    job->no_watch = true;
    need_work(job);
  }
  return 0;
}

curl_socket_t
sockets_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
  Sockets *sockets = ((Upstream *)data)->sockets;
  int fd = socket(address->family,
                  address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  address->protocol);
  Socket *entry;

  (void)purpose;
  if (fd < 0)
    return CURL_SOCKET_BAD;
  entry = get_socket(sockets, fd);
  entry->connection = true;
  /* Curl closed an attempt under this number unannounced. It takes the new
   * socket for the old one and will not ask for a watch again. */
  g_clear_pointer(&entry->watch, loop_watch_free);
  if (entry->events != 0)
    watch(entry);
  return fd;
}

int
sockets_close(void *data, curl_socket_t fd)
{
  drop_socket(((Upstream *)data)->sockets, fd);
  return close(fd);
}
