/* SPDX-License-Identifier: Apache-2.0 */
/* Curl handles with their standing options, pooled: what a request changes on
 * one is a few pointers. */
#include "upstream/private.h"

#include "upstream/tls.h"

#include <string.h>

/* Handles kept for the next burst; each holds about 6 KiB. */
#define KEEP_HANDLES 64
/* A body goes out in pieces of this size: prompts of up to 64 KiB leave in
 * one call (curl's limit for sending head and body together). */
#define UPLOAD_PIECE 65536L
/* curl's read buffer: one TLS record. */
#define READ_PIECE 16384L
/* Seconds that a pooled connection may have been idle: under the 60 s after
 * which most front ends close, so that a request seldom meets a closed one. */
#define MAX_IDLE 55L
/* Lines that this room adds to the caller's fields: Host, and the blanks that
 * keep curl from adding Accept, Content-Type and (over 1 MiB) Expect. */
#define EXTRA_LINES 4

/* Framing and connection belong to this hop; the caller has no say in them. */
static const char *const OURS[] = {
    "Connection",
    "Content-Length",
    "Expect",
    "Host",
    "Keep-Alive",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
};

static size_t
on_header(char *line, size_t size, size_t n, void *data)
{
  return request_on_header(((Handle *)data)->request, line, size * n);
}

static size_t
on_body(char *bytes, size_t size, size_t n, void *data)
{
  return request_on_body(((Handle *)data)->request, bytes, size * n);
}

static int
on_connected(void *data, char *peer, char *self, int peer_port, int self_port)
{
  (void)peer;
  (void)self;
  (void)peer_port;
  (void)self_port;
  return request_on_connected(((Handle *)data)->request)
             ? CURL_PREREQFUNC_OK
             : CURL_PREREQFUNC_ABORT;
}

static CURLcode
on_tls(CURL *easy, void *ctx, void *data)
{
  Handle *handle = data;
  const Target *target = &handle->request->target;

  (void)easy;
  return tls_prepare(ctx,
                     anchors_store(handle->job.upstream->anchors),
                     target->host,
                     target->ip)
             ? CURLE_OK
             : CURLE_SSL_CONNECT_ERROR;
}

static Handle *
handle_new(Upstream *upstream)
{
  Handle *handle = g_new0(Handle, 1);
  CURL *easy = curl_easy_init();

  handle->job = (Job){.upstream = upstream, .fd = -1};
  handle->easy = easy;
  upstream_set_common(upstream, easy, &handle->job, handle->error);
  curl_easy_setopt(easy,
                   CURLOPT_PROTOCOLS_STR,
                   upstream->plain_loopback ? "https,http" : "https");
  curl_easy_setopt(easy, CURLOPT_SHARE, upstream->share);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, handle);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, handle);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, handle);
  /* The anchors come from on_tls(); curl would load its own beside them. */
  curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
  curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, TLS_CIPHERS);
  curl_easy_setopt(easy, CURLOPT_SSL_EC_CURVES, TLS_GROUPS);
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_PIECE);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_PIECE);
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, MAX_IDLE);
  curl_easy_setopt(easy,
                   CURLOPT_HTTP_VERSION,
                   upstream->http2 ? (long)CURL_HTTP_VERSION_2TLS
                                   : (long)CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, upstream->http2 ? 1L : 0L);
  return handle;
}

void
handle_free(Handle *handle)
{
  if (handle == NULL)
    return;
  curl_easy_cleanup(handle->easy);
  g_free(handle->origin);
  g_free(handle->method);
  g_free(handle->lines);
  if (handle->text != NULL)
    secret_wipe(handle->text, handle->text_size);
  g_free(handle->text);
  g_free(handle);
}

Handle *
handle_take(Upstream *upstream)
{
  if (upstream->handles->len == 0)
    return handle_new(upstream);
  return g_ptr_array_steal_index_fast(upstream->handles,
                                      upstream->handles->len - 1);
}

void
handle_give_back(Handle *handle)
{
  Upstream *upstream = handle->job.upstream;

  handle->request = NULL;
  handle->job = (Job){.upstream = upstream, .fd = -1};
  if (handle->text != NULL)
    secret_wipe(handle->text, handle->text_size);
  if (upstream->handles->len < KEEP_HANDLES)
    g_ptr_array_add(upstream->handles, handle);
  else
    handle_free(handle);
}

static bool
is_ours(const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS(OURS); i++)
    if (g_ascii_strcasecmp(name, OURS[i]) == 0)
      return true;
  return false;
}

/* Appends "name: value" as one more line; in curl's syntax a field without a
 * value is written "name;". NULL: "name:", which keeps curl's own away. */
static char *
put_line(Handle *handle, char *at, const char *name, const char *value)
{
  struct curl_slist *line = &handle->lines[handle->n_lines];

  if (handle->n_lines++ > 0)
    line[-1].next = line;
  line->data = at;
  line->next = NULL;
  at = g_stpcpy(at, name);
  if (value == NULL)
    return g_stpcpy(at, ":") + 1;
  if (*value == '\0')
    return g_stpcpy(at, ";") + 1;
  return g_stpcpy(g_stpcpy(at, ": "), value) + 1;
}

/* Lays the header out for curl, which reads the list where it stands. */
static void
load_lines(Handle *handle, const UpstreamSpec *spec)
{
  unsigned count = spec->headers ? http_headers_count(spec->headers) : 0;
  bool accept = false, type = false;
  size_t size = 64;
  char *at;

  for (unsigned i = 0; i < count; i++)
    size += strlen(http_headers_name(spec->headers, i)) +
            strlen(http_headers_value(spec->headers, i)) + 3;
  if (spec->host_header != NULL)
    size += strlen(spec->host_header);
  if (size > handle->text_size) {
    g_free(handle->text);
    handle->text = g_malloc(size);
    handle->text_size = size;
  }
  handle->lines =
      g_renew(struct curl_slist, handle->lines, count + EXTRA_LINES);
  handle->n_lines = 0;
  at = handle->text;
  if (spec->host_header != NULL)
    at = put_line(handle, at, "Host", spec->host_header);
  for (unsigned i = 0; i < count; i++) {
    const char *name = http_headers_name(spec->headers, i);

    if (is_ours(name))
      continue;
    accept = accept || g_ascii_strcasecmp(name, "Accept") == 0;
    type = type || g_ascii_strcasecmp(name, "Content-Type") == 0;
    at = put_line(handle, at, name, http_headers_value(spec->headers, i));
  }
  if (!accept)
    at = put_line(handle, at, "Accept", NULL);
  if (!type)
    at = put_line(handle, at, "Content-Type", NULL);
  if (spec->body != NULL)
    put_line(handle, at, "Expect", NULL);
  curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, handle->lines);
}

/* Methods whose requests have a body even when it is empty (RFC 9110 section
 * 8.6: they send Content-Length: 0). */
static bool
has_body(const char *method, const GBytes *body)
{
  return body != NULL || strcmp(method, "POST") == 0 ||
         strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static void
load_method(Handle *handle, const char *method, const GBytes *body)
{
  Shape shape = strcmp(method, "HEAD") == 0 ? SHAPE_HEAD
                : has_body(method, body)    ? SHAPE_BODY
                                            : SHAPE_GET;
  const char *standard = shape == SHAPE_BODY   ? "POST"
                         : shape == SHAPE_HEAD ? "HEAD"
                                               : "GET";
  const char *custom = strcmp(method, standard) == 0 ? NULL : method;

  if (shape != handle->shape) {
    curl_easy_setopt(handle->easy, CURLOPT_NOBODY, shape == SHAPE_HEAD);
    if (shape == SHAPE_GET)
      curl_easy_setopt(handle->easy, CURLOPT_HTTPGET, 1L);
    else if (shape == SHAPE_BODY)
      curl_easy_setopt(handle->easy, CURLOPT_POST, 1L);
    handle->shape = shape;
  }
  if (g_strcmp0(custom, handle->method) != 0) {
    curl_easy_setopt(handle->easy, CURLOPT_CUSTOMREQUEST, custom);
    g_free(handle->method);
    handle->method = g_strdup(custom);
  }
  if (shape == SHAPE_BODY) {
    gsize len = 0;
    const void *bytes =
        body != NULL ? g_bytes_get_data((GBytes *)body, &len) : NULL;

    curl_easy_setopt(
        handle->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    curl_easy_setopt(
        handle->easy, CURLOPT_POSTFIELDS, len > 0 ? bytes : (void *)"");
  }
}

void
handle_load(Handle *handle,
            const UpstreamRequest *request,
            const UpstreamSpec *spec)
{
  Upstream *upstream = handle->job.upstream;
  const Target *target = &request->target;

  handle->error[0] = '\0';
  if (g_strcmp0(handle->origin, target->origin) != 0) {
    curl_easy_setopt(handle->easy, CURLOPT_URL, target->origin);
    g_free(handle->origin);
    handle->origin = g_strdup(target->origin);
  }
  if (request->via_proxy != handle->proxied) {
    curl_easy_setopt(
        handle->easy, CURLOPT_PROXY, request->via_proxy ? upstream->proxy : "");
    handle->proxied = request->via_proxy;
  }
  curl_easy_setopt(handle->easy, CURLOPT_FRESH_CONNECT, 0L);
  curl_easy_setopt(handle->easy, CURLOPT_REQUEST_TARGET, target->path);
  load_method(handle, spec->method, request->body);
  load_lines(handle, spec);
}
