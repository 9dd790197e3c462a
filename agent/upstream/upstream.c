/* SPDX-License-Identifier: Apache-2.0 */
/* One curl multi handle on one loop: its timer, its finished transfers, and
 * the work that has to wait until curl is off the stack. */
#include "upstream/upstream.h"

#include "upstream/private.h"

#include <string.h>

/* Idle connections kept over all hosts; each holds about 40 KiB. */
#define KEEP_CONNECTIONS 64L
/* The port of a proxy URL that names none (RFC 9110 section 4.2.1). */
#define PROXY_PORT 80
#define PROXY_SCHEME "http://"

G_DEFINE_QUARK(hoop_upstream_error, upstream_error)

static void
run_curl_timer(void *data)
{
  Upstream *upstream = data;
  int running;

  upstream->in_curl = true;
  curl_multi_socket_action(upstream->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  upstream->in_curl = false;
  upstream_reap(upstream);
}

/* CURLMOPT_TIMERFUNCTION; ms < 0 disarms. */
static int
on_timer(CURLM *multi, long ms, void *data)
{
  (void)multi;
  loop_timer_set(((Upstream *)data)->curl_timer, ms);
  return 0;
}

Job *
job_of(CURL *easy)
{
  Job *job = NULL;

  curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&job);
  return job;
}

void
upstream_reap(Upstream *upstream)
{
  CURLMsg *message;
  int left;

  while ((message = curl_multi_info_read(upstream->multi, &left)) != NULL) {
    CURLcode code = message->data.result;
    Job *job = job_of(message->easy_handle);

    if (message->msg != CURLMSG_DONE)
      continue;
    if (job->is_connect)
      connect_complete((UpstreamConnect *)job, code);
    else
      request_complete(((Handle *)job)->request, code);
  }
}

void
upstream_kick(Upstream *upstream, UpstreamRequest *request)
{
  if (!request->queued)
    g_ptr_array_add(upstream->todo, request);
  request->queued = true;
  loop_timer_set(upstream->kick, 0);
}

void
upstream_poke(CURL *easy)
{
  curl_easy_pause(easy, CURLPAUSE_SEND);
  curl_easy_pause(easy, CURLPAUSE_CONT);
}

static UpstreamRequest *
find_job(const Upstream *upstream)
{
  for (GList *link = upstream->requests.head; link; link = link->next) {
    UpstreamRequest *request = link->data;

    if (request->handle != NULL &&
        (request->handle->job.no_watch || request->handle->job.lost_socket))
      return request;
  }
  return NULL;
}

/* Ends the transfers whose sockets the loop could not take, and sends those
 * on whose sockets curl gave up. An owner's done() may end any of them. */
static void
run_jobs(Upstream *upstream)
{
  UpstreamRequest *request;

  while ((request = find_job(upstream)) != NULL) {
    request->handle->job.lost_socket = false;
    if (request->handle->job.no_watch)
      request_fail(request, fault_of_request(request, CURLE_OUT_OF_MEMORY));
    else if (request->added && !request->requested)
      upstream_poke(request->handle->easy);
  }
  upstream->connect_work = true;
}

static void
run_kick(void *data)
{
  Upstream *upstream = data;
  guint count = upstream->todo->len;

  /* What this round adds waits for the next one. */
  while (count-- > 0 && upstream->todo->len > 0) {
    UpstreamRequest *request = g_ptr_array_steal_index(upstream->todo, 0);

    request->queued = false;
    request_work(request);
  }
  if (upstream->job_work) {
    upstream->job_work = false;
    run_jobs(upstream);
  }
  if (upstream->connect_work) {
    upstream->connect_work = false;
    connect_run_all(upstream);
  }
  upstream_reap(upstream);
}

bool
upstream_uses_proxy(const Upstream *upstream, const char *host, bool ip)
{
  return upstream->proxy != NULL &&
         !no_proxy_matches(upstream->no_proxy, host, ip);
}

void
upstream_set_common(Upstream *upstream, CURL *easy, Job *job, char *error)
{
  curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  /* Without it a cancelled look-up blocks the loop until it ends. */
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, sockets_open);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, upstream);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, sockets_close);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, upstream);
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(
      easy, CURLOPT_CONNECTTIMEOUT, (long)upstream->connect_timeout);
  /* Empty, not unset: unset means the environment. */
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
  if (upstream->proxy_header != NULL)
    curl_easy_setopt(easy, CURLOPT_PROXYHEADER, &upstream->proxy_headers);
}

/* Takes "http://host[:port]" apart. Credentials in the URL would end up in
 * lists of processes and logs: they belong into their own file. */
static bool
set_proxy(Upstream *upstream, const char *url, GError **error)
{
  g_autofree char *https = NULL;
  g_auto(Target) target = {0};
  const char *rest = url + strlen(PROXY_SCHEME);
  const char *end;

  if (g_str_has_prefix(url, PROXY_SCHEME)) {
    end = strrchr(rest, ':');
    https =
        end != NULL && strchr(end, ']') == NULL
            ? g_strconcat("https://", rest, NULL)
            : g_strdup_printf(
                  "https://%.*s:%d", (int)strcspn(rest, "/"), rest, PROXY_PORT);
  }
  if (https == NULL || !target_parse(&target, https, false, NULL) ||
      strcmp(target.path, "/") != 0) {
    g_set_error(error,
                UPSTREAM_ERROR,
                UPSTREAM_ERROR_PROXY,
                "[upstream] proxy must be http://host:port, without user "
                "and password (those belong into proxy-credentials-file)");
    return false;
  }
  upstream->proxy_name = host_port(target.host, target.port);
  upstream->proxy = g_strconcat(PROXY_SCHEME, upstream->proxy_name, NULL);
  return true;
}

/* Basic credentials as a ready header line in locked memory: curl's own
 * options would copy them into plain memory, handle by handle. */
static void
set_proxy_credentials(Upstream *upstream, const Secret *userpwd)
{
  static const char NAME[] = "Proxy-Authorization: Basic ";
  size_t len = secret_len(userpwd);
  size_t size = sizeof NAME + (len / 3 + 1) * 4 + 4;
  g_autofree char *line = g_malloc(size);
  char *at = g_stpcpy(line, NAME);
  gint state = 0, save = 0;

  at += g_base64_encode_step(
      secret_bytes(userpwd), len, FALSE, at, &state, &save);
  at += g_base64_encode_close(FALSE, at, &state, &save);
  upstream->proxy_header = secret_new(line, (size_t)(at - line));
  secret_wipe(line, size);
  upstream->proxy_headers.data = (char *)secret_text(upstream->proxy_header);
}

static void
set_up_multi(Upstream *upstream, const UpstreamOptions *options)
{
  CURLM *multi = curl_multi_init();

  upstream->multi = multi;
  upstream->share = curl_share_init();
  /* One thread: no locks. Names and connections are the multi handle's. */
  curl_share_setopt(
      upstream->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, sockets_on_change);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, upstream);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, upstream);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, KEEP_CONNECTIONS);
  curl_multi_setopt(
      multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)options->max_connections);
}

Upstream *
upstream_new(Loop *loop, const UpstreamOptions *options, GError **error)
{
  g_autoptr(Upstream) upstream = g_new0(Upstream, 1);

  upstream->loop = loop;
  upstream->connect_timeout = MAX(options->connect_timeout, 1);
  upstream->idle_timeout = MAX(options->idle_timeout, 1);
  upstream->http2 = options->http2;
  upstream->plain_loopback = options->plain_loopback;
  upstream->group = options->group ? options->group : "upstream";
  upstream->no_proxy = g_strdup(options->no_proxy);
  upstream->todo = g_ptr_array_new();
  upstream->handles = g_ptr_array_new();
  upstream->sockets = sockets_new(upstream);
  upstream->curl_timer = loop_timer_new(loop, run_curl_timer, upstream);
  upstream->kick = loop_timer_new(loop, run_kick, upstream);
  upstream->idle_timer = loop_timer_new(loop, request_run_idle_timer, upstream);
  if (options->proxy != NULL && !set_proxy(upstream, options->proxy, error))
    return NULL;
  if (options->proxy_userpwd != NULL)
    set_proxy_credentials(upstream, options->proxy_userpwd);
  upstream->anchors = anchors_new(options->ca_file, error);
  if (upstream->anchors == NULL)
    return NULL;
  if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    g_set_error(
        error, UPSTREAM_ERROR, UPSTREAM_ERROR_CONNECT, "libcurl did not start");
    return NULL;
  }
  set_up_multi(upstream, options);
  return g_steal_pointer(&upstream);
}

static void
cancel_all(Upstream *upstream)
{
  g_autoptr(GError) error = g_error_new(UPSTREAM_ERROR,
                                        UPSTREAM_ERROR_CANCELLED,
                                        "cancelled: the agent is stopping");

  upstream->closing = true;
  while (upstream->requests.head != NULL)
    request_fail(upstream->requests.head->data, g_error_copy(error));
  while (upstream->connects.head != NULL)
    connect_fail(upstream->connects.head->data, error);
}

void
upstream_free(Upstream *upstream)
{
  if (upstream == NULL)
    return;
  g_assert(!upstream->in_curl);
  cancel_all(upstream);
  for (guint i = 0; i < upstream->handles->len; i++)
    handle_free(upstream->handles->pdata[i]);
  g_ptr_array_unref(upstream->handles);
  g_ptr_array_unref(upstream->todo);
  if (upstream->multi != NULL)
    curl_multi_cleanup(upstream->multi);
  if (upstream->share != NULL)
    curl_share_cleanup(upstream->share);
  sockets_free(upstream->sockets);
  anchors_free(upstream->anchors);
  loop_timer_free(upstream->curl_timer);
  loop_timer_free(upstream->kick);
  loop_timer_free(upstream->idle_timer);
  secret_unref(upstream->proxy_header);
  g_free(upstream->proxy);
  g_free(upstream->proxy_name);
  g_free(upstream->no_proxy);
  g_free(upstream);
}
