/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one request: started, told piece by piece, paused, cancelled,
 * timed out or complete. Curl's API is closed inside its own callbacks, so
 * what they decide is done by the kick after it. */
#include "upstream/private.h"

#include "upstream/tls.h"

#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

/* RFC 9110 section 5.6.2: a token. */
#define METHOD_BYTES                                                           \
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"             \
  "!#$%&'*+-.^_`|~"
/* The longest registered method has 17 bytes. */
#define MAX_METHOD 32
/* So often a request is written when no byte of an answer comes. */
#define MAX_SENDS 2
/* Bodies up to this size leave together with the head, so that seeing them
 * gone later is no sign of life. */
#define LEAVES_AT_ONCE (48 * 1024)

static bool
is_idempotent(const char *method)
{
  /* RFC 9110 section 9.2.2. */
  static const char *const METHODS[] = {
      "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", NULL};

  return g_strv_contains(METHODS, method);
}

/* Moves the request to the end of a queue that is ordered by last_us, or out
 * of all of them (NULL). */
static void
move_to(UpstreamRequest *request, GQueue *queue)
{
  Upstream *upstream = request->upstream;

  request->last_us = loop_now_us(upstream->loop);
  if (queue != NULL && queue == request->queue &&
      queue->tail == &request->link_queue)
    return;
  if (request->queue != NULL)
    g_queue_unlink(request->queue, &request->link_queue);
  request->queue = queue;
  if (queue == NULL)
    return;
  g_queue_push_tail_link(queue, &request->link_queue);
  if (queue->length == 1)
    loop_timer_set(upstream->idle_timer,
                   upstream->idle_timeout * INT64_C(1000));
}

/* A byte came: this request is now the one that was silent the shortest. */
static void
touch(UpstreamRequest *request)
{
  if (request->queue != NULL)
    move_to(request, request->queue);
}

/* Takes the request out of curl; its connection closes unless the answer was
 * complete. Never inside curl. */
static void
detach(UpstreamRequest *request)
{
  Upstream *upstream = request->upstream;
  Handle *handle = g_steal_pointer(&request->handle);

  if (handle == NULL)
    return;
  if (request->added)
    curl_multi_remove_handle(upstream->multi, handle->easy);
  request->added = false;
  handle_give_back(handle);
}

static void
request_free(UpstreamRequest *request)
{
  Upstream *upstream = request->upstream;

  detach(request);
  move_to(request, NULL);
  g_queue_unlink(&upstream->requests, &request->link_all);
  if (request->queued)
    g_ptr_array_remove(upstream->todo, request);
  target_clear(&request->target);
  head_clear(&request->head);
  g_clear_pointer(&request->body, g_bytes_unref);
  g_clear_pointer(&request->tls, SSL_CTX_free);
  g_free(request);
}

/* The last call to the owner. */
static void
finish(UpstreamRequest *request, const GError *error)
{
  bool cancelled = request->finished;

  request->finished = true;
  detach(request);
  if (!cancelled)
    request->events.done(error, request->data);
  request_free(request);
}

void
request_fail(UpstreamRequest *request, GError *error)
{
  g_autoptr(GError) owned = error;

  finish(request, owned);
}

/* True when the answer that curl calls complete really is: curl takes the end
 * of a connection inside the head, or without close_notify, for an end. */
static bool
is_whole(const UpstreamRequest *request)
{
  return request->head.complete &&
         (request->tls == NULL || tls_saw_close_notify(request->tls));
}

void
request_complete(UpstreamRequest *request, CURLcode code)
{
  g_autoptr(GError) error = NULL;

  if (!request->finished) {
    if (code == CURLE_OK && !is_whole(request))
      code = CURLE_PARTIAL_FILE;
    if (code != CURLE_OK)
      error = fault_of_request(request, code);
  }
  finish(request, error);
}

/* ---- curl's callbacks -------------------------------------------------- */

bool
request_on_connected(UpstreamRequest *request)
{
  long sent = 0;

  request->sends++;
  if (!request->requested) {
    request->requested = true;
    move_to(request, &request->upstream->active);
    /* Other pooled connections are as old as one that turns out dead. */
    curl_easy_setopt(request->handle->easy, CURLOPT_FRESH_CONNECT, 1L);
    return true;
  }
  /* Curl sends a request again, up to five times, when a pooled connection
   * ended without a byte of answer. The server may have acted on the first
   * copy: only what is harmless twice goes twice, unless not even its head
   * left this machine; and nothing goes three times. */
  curl_easy_getinfo(request->handle->easy, CURLINFO_REQUEST_SIZE, &sent);
  if (request->sends <= MAX_SENDS && (sent == 0 || request->idempotent))
    return true;
  request->not_resent = true;
  return false;
}

/* When only the connection's end ends the body, the TLS layer has to say
 * whether that end was meant. */
static void
remember_tls(UpstreamRequest *request)
{
  struct curl_tlssessioninfo *info = NULL;

  curl_easy_getinfo(request->handle->easy, CURLINFO_TLS_SSL_PTR, &info);
  if (info == NULL || info->internals == NULL)
    return;
  request->tls = SSL_get_SSL_CTX(info->internals);
  SSL_CTX_up_ref(request->tls);
}

size_t
request_on_header(UpstreamRequest *request, const char *line, size_t len)
{
  bool final = false;

  if (request->finished)
    return 0;
  touch(request);
  request->fault = head_line(&request->head, line, len, &final);
  if (request->fault != NULL)
    return 0;
  if (final) {
    if (head_is_close_delimited(&request->head, request->head_request))
      remember_tls(request);
    request->events.head(request->head.status,
                         g_steal_pointer(&request->head.headers),
                         request->data);
  }
  return request->finished ? 0 : len;
}

size_t
request_on_body(UpstreamRequest *request, const char *bytes, size_t len)
{
  bool more;

  if (request->finished || !request->head.complete)
    return 0;
  if (request->paused) {
    request->held = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  touch(request);
  request->in_body = true;
  request->resumed = false;
  more = request->events.body((const uint8_t *)bytes, len, request->data);
  request->in_body = false;
  if (!more && !request->resumed) {
    request->paused = true;
    move_to(request, NULL);
  }
  return request->finished ? 0 : len;
}

static bool
start(UpstreamRequest *request)
{
  request->added = curl_multi_add_handle(request->upstream->multi,
                                         request->handle->easy) == CURLM_OK;
  return request->added;
}

/* ---- what waits until curl is off the stack ----------------------------- */

static void
let_go(UpstreamRequest *request)
{
  Upstream *upstream = request->upstream;
  CURLcode code;

  request->held = false;
  upstream->in_curl = true;
  code = curl_easy_pause(request->handle->easy, CURLPAUSE_CONT);
  upstream->in_curl = false;
  /* A callback that failed in there ended nothing: curl only says so. */
  if (code != CURLE_OK)
    request_complete(request, code);
}

void
request_work(UpstreamRequest *request)
{
  if (request->finished) {
    request_free(request);
    return;
  }
  if (!request->added) {
    if (!start(request))
      request_fail(request, fault_of_request(request, CURLE_OUT_OF_MEMORY));
    return;
  }
  if (request->held && !request->paused)
    let_go(request);
}

/* A long upload is no silence, nor is what the kernel still holds of it. */
static bool
upload_went_on(UpstreamRequest *request)
{
  Handle *handle = request->handle;
  curl_off_t sent = 0;
  int unacked = 0;
  bool went_on;

  curl_easy_getinfo(handle->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
  if (handle->job.fd >= 0)
    ioctl(handle->job.fd, SIOCOUTQ, &unacked);
  went_on = sent != request->uploaded || unacked != request->unacked;
  request->uploaded = sent;
  request->unacked = unacked;
  return went_on;
}

/* Ends what was silent for `limit` s. Returns the milliseconds until the next
 * one could be, -1: none. */
static int64_t
expire(Upstream *upstream, GQueue *queue, int64_t limit)
{
  while (queue->head != NULL) {
    UpstreamRequest *request = queue->head->data;
    int64_t silent = loop_now_us(upstream->loop) - request->last_us;

    if (silent < limit * 1000000)
      return limit * 1000 - silent / 1000;
    if (upload_went_on(request))
      touch(request);
    else
      request_fail(request,
                   fault_of_request(request, CURLE_OPERATION_TIMEDOUT));
  }
  return -1;
}

void
request_run_idle_timer(void *data)
{
  Upstream *upstream = data;
  int64_t active = expire(upstream, &upstream->active, upstream->idle_timeout);
  /* Curl limits the connecting itself; this also ends the wait for a free
   * connection. */
  int64_t waiting = expire(upstream,
                           &upstream->waiting,
                           upstream->idle_timeout + upstream->connect_timeout);

  if (active < 0 || (waiting >= 0 && waiting < active))
    active = waiting;
  loop_timer_set(upstream->idle_timer, active);
}

/* ---- public ------------------------------------------------------------- */

static bool
check_spec(const Upstream *upstream, const UpstreamSpec *spec, GError **error)
{
  const char *why = NULL;

  if (upstream->closing)
    why = "the agent is stopping";
  else if (*spec->method == '\0' || strlen(spec->method) > MAX_METHOD ||
           strspn(spec->method, METHOD_BYTES) != strlen(spec->method) ||
           strcmp(spec->method, "CONNECT") == 0)
    why = "its method is not one to forward";
  else if (spec->body != NULL && strcmp(spec->method, "HEAD") == 0)
    why = "a HEAD request has no body";
  else if (spec->host_header != NULL && !authority_is_valid(spec->host_header))
    why = "its Host is malformed";
  if (why == NULL)
    return true;
  g_set_error(error,
              UPSTREAM_ERROR,
              UPSTREAM_ERROR_PROTOCOL,
              "cannot forward the request: %s",
              why);
  return false;
}

UpstreamRequest *
upstream_send(Upstream *upstream,
              const UpstreamSpec *spec,
              const UpstreamEvents *events,
              void *data,
              GError **error)
{
  g_auto(Target) target = {0};
  UpstreamRequest *request;

  if (!check_spec(upstream, spec, error) ||
      !target_parse(&target, spec->url, upstream->plain_loopback, error))
    return NULL;
  request = g_new0(UpstreamRequest, 1);
  *request = (UpstreamRequest){
      .upstream = upstream,
      .events = *events,
      .data = data,
      .target = target,
      .body = spec->body != NULL ? g_bytes_ref(spec->body) : NULL,
      .link_all.data = request,
      .link_queue.data = request,
      .head_request = strcmp(spec->method, "HEAD") == 0,
      .idempotent = is_idempotent(spec->method),
      .via_proxy = !target.plain &&
                   upstream_uses_proxy(upstream, target.host, target.ip)};
  target = (Target){0};
  if (spec->body != NULL && g_bytes_get_size(spec->body) <= LEAVES_AT_ONCE)
    request->uploaded = (curl_off_t)g_bytes_get_size(spec->body);
  request->handle = handle_take(upstream);
  request->handle->request = request;
  handle_load(request->handle, request, spec);
  g_queue_push_tail_link(&upstream->requests, &request->link_all);
  move_to(request, &upstream->waiting);
  if (upstream->in_curl) {
    upstream_kick(upstream, request);
  } else if (!start(request)) {
    g_propagate_error(error, fault_of_request(request, CURLE_OUT_OF_MEMORY));
    request_free(request);
    return NULL;
  }
  return request;
}

void
upstream_request_resume(UpstreamRequest *request)
{
  if (request->in_body) {
    request->resumed = true;
    return;
  }
  if (!request->paused || request->finished)
    return;
  request->paused = false;
  move_to(request, &request->upstream->active);
  if (request->held)
    upstream_kick(request->upstream, request);
}

void
upstream_request_cancel(UpstreamRequest *request)
{
  /* Inside done() it is over already. */
  if (request->finished)
    return;
  request->finished = true;
  move_to(request, NULL);
  if (request->upstream->in_curl)
    upstream_kick(request->upstream, request);
  else
    request_free(request);
}
