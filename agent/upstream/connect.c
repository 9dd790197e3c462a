/* SPDX-License-Identifier: Apache-2.0 */
/* Blind tunnels: curl resolves, connects and talks to the parent proxy; then
 * the socket leaves it. */
#include "upstream/private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct upstream_connect {
  Job job;     /* first: CURLINFO_PRIVATE */
  CURL *easy;  /* NULL: refused at the door, `refusal` says why */
  char *where; /* host:port */
  void (*done)(int fd, const GError *error, void *data);
  void *data;
  GList link;
  GError *refusal;
  bool added; /* curl has the handle */
  bool via_proxy;
  bool finished; /* done was called, or must not be: cancelled */
  char error[CURL_ERROR_SIZE];
};

static void
connect_free(UpstreamConnect *connect)
{
  Upstream *upstream = connect->job.upstream;

  g_queue_unlink(&upstream->connects, &connect->link);
  if (connect->added)
    curl_multi_remove_handle(upstream->multi, connect->easy);
  curl_easy_cleanup(connect->easy);
  g_clear_error(&connect->refusal);
  g_free(connect->where);
  g_free(connect);
}

static void
finish(UpstreamConnect *connect, int fd, const GError *error)
{
  if (!connect->finished) {
    connect->finished = true;
    connect->done(fd, error, connect->data);
  } else if (fd >= 0) {
    close(fd);
  }
  connect_free(connect);
}

void
connect_fail(UpstreamConnect *connect, const GError *error)
{
  finish(connect, -1, error);
}

/* A duplicate for the owner; curl closes its own with the handle. */
static int
take_socket(UpstreamConnect *connect)
{
  curl_socket_t fd = CURL_SOCKET_BAD;

  curl_easy_getinfo(connect->easy, CURLINFO_ACTIVESOCKET, &fd);
  return fd == CURL_SOCKET_BAD ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static GError *
fault(const UpstreamConnect *connect, CURLcode code)
{
  return fault_of_connect(connect->job.upstream,
                          connect->easy,
                          connect->where,
                          connect->via_proxy,
                          code);
}

void
connect_complete(UpstreamConnect *connect, CURLcode code)
{
  g_autoptr(GError) error = NULL;
  int fd = -1;

  if (code == CURLE_OK && !connect->finished) {
    fd = take_socket(connect);
    if (fd < 0)
      code = CURLE_OUT_OF_MEMORY;
  }
  if (code != CURLE_OK && !connect->finished)
    error = fault(connect, code);
  finish(connect, fd, error);
}

/* What this one waited for the kick to do. */
static void
work(UpstreamConnect *connect)
{
  g_autoptr(GError) error = NULL;

  if (connect->finished) {
    connect_free(connect);
    return;
  }
  if (connect->refusal != NULL)
    error = g_steal_pointer(&connect->refusal);
  else if (connect->job.no_watch)
    error = fault(connect, CURLE_OUT_OF_MEMORY);
  else if (!connect->added) {
    connect->added = curl_multi_add_handle(connect->job.upstream->multi,
                                           connect->easy) == CURLM_OK;
    if (!connect->added)
      error = fault(connect, CURLE_OUT_OF_MEMORY);
  } else if (connect->job.lost_socket) {
    connect->job.lost_socket = false;
    upstream_poke(connect->easy);
  }
  if (error != NULL)
    finish(connect, -1, error);
}

void
connect_run_all(Upstream *upstream)
{
  GList *next;

  /* An owner's done() may add to the end, but takes none out: cancelling only
   * marks. */
  for (GList *link = upstream->connects.head; link != NULL; link = next) {
    next = link->next;
    work(link->data);
  }
}

static void
kick(UpstreamConnect *connect)
{
  connect->job.upstream->connect_work = true;
  loop_timer_set(connect->job.upstream->kick, 0);
}

static void
set_up(UpstreamConnect *connect)
{
  Upstream *upstream = connect->job.upstream;
  g_autofree char *url = g_strconcat("http://", connect->where, "/", NULL);
  CURL *easy = curl_easy_init();

  connect->easy = easy;
  upstream_set_common(upstream, easy, &connect->job, connect->error);
  /* The scheme only keeps curl from speaking TLS; nothing is sent. */
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(easy, CURLOPT_URL, url);
  curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
  if (connect->via_proxy)
    curl_easy_setopt(easy, CURLOPT_PROXY, upstream->proxy);
}

UpstreamConnect *
upstream_connect(Upstream *upstream,
                 const char *host,
                 uint16_t port,
                 void (*done)(int fd, const GError *error, void *data),
                 void *data)
{
  UpstreamConnect *connect = g_new0(UpstreamConnect, 1);
  g_autofree char *name = NULL;
  bool ip = false;

  connect->job = (Job){.upstream = upstream, .fd = -1, .is_connect = true};
  connect->done = done;
  connect->data = data;
  connect->link.data = connect;
  name = host_normalize(host, -1, &ip);
  if (name == NULL || port == 0) {
    connect->refusal = g_error_new(UPSTREAM_ERROR,
                                   UPSTREAM_ERROR_RESOLVE,
                                   "not a host and port to connect to");
  } else {
    connect->where = host_port(name, port);
    connect->via_proxy = upstream_uses_proxy(upstream, name, ip);
    set_up(connect);
  }
  g_queue_push_tail_link(&upstream->connects, &connect->link);
  kick(connect);
  return connect;
}

void
upstream_connect_cancel(UpstreamConnect *connect)
{
  if (connect->finished)
    return;
  connect->finished = true;
  kick(connect);
}
