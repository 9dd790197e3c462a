/* SPDX-License-Identifier: Apache-2.0 */
/* Forms there, JSON objects back. Nothing that was sent or received ends in
 * an error's text, and our copies of it are wiped. */
#include "identity/web.h"
#include "identity/identity.h"
#include <string.h>

/* The largest honest answers are key sets and users with many groups. */
#define MAX_ANSWER ((size_t)256 * 1024)
/* For the whole exchange, however slowly it trickles. */
#define MAX_MS 30000
#define MAX_URL 2048

struct web_call {
  UpstreamRequest *request; /* NULL once it is done */
  LoopTimer *timer;
  char *host;
  bool body_is_nothing;
  int status;
  Buf body;
  WebDone done;
  void *data;
};

/* ---- forms and URLs ------------------------------------------------------ */

void
form_encode(Buf *form, const char *value)
{
  static const char hex[] = "0123456789ABCDEF";

  for (const uint8_t *c = (const uint8_t *)value; *c != '\0'; c++) {
    const char escape[] = {'%', hex[*c >> 4], hex[*c & 15]};
    const bool plain = g_ascii_isalnum(*c) || strchr("-._~", *c);

    if (!buf_append(form, plain ? (const void *)c : escape, plain ? 1 : 3))
      return;
  }
}

void
form_add(Buf *form, const char *name, const char *value)
{
  if (!value)
    return;
  if (form->len > 0 && !buf_append(form, "&", 1))
    return;
  form_encode(form, name);
  if (buf_append(form, "=", 1))
    form_encode(form, value);
}

bool
web_url_is_safe(const char *url)
{
  const char *host;
  size_t len;

  if (!url || g_ascii_strncasecmp(url, "https://", 8) != 0 ||
      strlen(url) > MAX_URL)
    return false;
  for (const char *c = url; *c != '\0'; c++)
    if (*c <= ' ' || *c > '~' || strchr("\"'<>\\^`{|}#", *c))
      return false;
  host = url + 8;
  len = strcspn(host, "/?");
  return len > 0 && host[0] != ':' && !memchr(host, '@', len);
}

char *
web_host(const char *url)
{
  const char *host = strstr(url, "://");

  host = host ? host + 3 : url;
  return g_strndup(host, strcspn(host, "/?#"));
}

/* ---- the exchange -------------------------------------------------------- */

static void
call_free(WebCall *call)
{
  loop_timer_free(call->timer);
  buf_clear(&call->body);
  g_free(call->host);
  g_free(call);
}

void
web_cancel(WebCall *call)
{
  if (!call)
    return;
  if (call->request)
    upstream_request_cancel(call->request);
  call_free(call);
}

/* Tells the owner and ends; takes the error. */
static void
finish(WebCall *call, const WebAnswer *answer, GError *error)
{
  g_autoptr(GError) taken = error;

  if (call->request)
    upstream_request_cancel(g_steal_pointer(&call->request));
  loop_timer_set(call->timer, -1);
  call->done(answer, taken, call->data);
  call_free(call);
}

G_GNUC_PRINTF(3, 4)
static void
fail(WebCall *call, IdentityErrorCode code, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start(args, format);
  what = g_strdup_vprintf(format, args);
  va_end(args);
  finish(call,
         NULL,
         g_error_new(IDENTITY_ERROR, (int)code, "%s %s", call->host, what));
}

static void
on_timer(void *data)
{
  fail(data,
       IDENTITY_ERROR_UNREACHABLE,
       "did not answer within %d s",
       MAX_MS / 1000);
}

static bool
is_encoded(const HttpHeaders *headers)
{
  const char *coding = http_headers_get(headers, "content-encoding");

  return coding && *coding && g_ascii_strcasecmp(coding, "identity") != 0;
}

static void
on_head(int status, HttpHeaders *headers, void *data)
{
  g_autoptr(HttpHeaders) taken = headers;
  WebCall *call = data;

  call->status = status;
  if (status >= 300 && status < 400)
    fail(call,
         IDENTITY_ERROR_PROTOCOL,
         "answered with a redirect (%d), which is not followed",
         status);
  else if (!call->body_is_nothing && is_encoded(taken))
    fail(call,
         IDENTITY_ERROR_PROTOCOL,
         "answered in a content coding that nobody asked for");
}

static bool
on_body(const uint8_t *bytes, size_t len, void *data)
{
  WebCall *call = data;

  if (buf_append(&call->body, bytes, len))
    return true;
  fail(call,
       IDENTITY_ERROR_PROTOCOL,
       "answered with more than %zu KiB",
       MAX_ANSWER / 1024);
  return true;
}

static void
judge(WebCall *call)
{
  WebAnswer answer = {.status = call->status};
  g_autoptr(GError) error = NULL;
  const bool good = call->status >= 200 && call->status < 300;

  if (call->status >= 500 || call->status == 429) {
    fail(call,
         IDENTITY_ERROR_UNREACHABLE,
         "answered %d: it cannot serve now",
         call->status);
    return;
  }
  if (good && call->body_is_nothing) {
    finish(call, &answer, NULL);
    return;
  }
  if (fields_read(&answer.fields,
                  (const char *)buf_bytes(&call->body),
                  call->body.len,
                  &error)) {
    finish(call, &answer, NULL);
    return;
  }
  if (good)
    fail(call,
         IDENTITY_ERROR_PROTOCOL,
         "did not answer as it must: %s",
         error->message);
  else
    fail(call, IDENTITY_ERROR_PROVIDER, "answered %d", call->status);
}

static void
on_done(const GError *error, void *data)
{
  WebCall *call = data;

  call->request = NULL;
  if (error)
    finish(call,
           NULL,
           g_error_new(IDENTITY_ERROR,
                       error->code == UPSTREAM_ERROR_PROTOCOL
                           ? IDENTITY_ERROR_PROTOCOL
                           : IDENTITY_ERROR_UNREACHABLE,
                       "%s",
                       error->message));
  else
    judge(call);
}

static HttpHeaders *
make_headers(const WebAsk *ask)
{
  HttpHeaders *headers = http_headers_new();
  Buf line;

  http_headers_add(headers, "Accept", "application/json");
  http_headers_add(headers, "User-Agent", "hoop-agent");
  if (ask->form)
    http_headers_add(
        headers, "Content-Type", "application/x-www-form-urlencoded");
  if (!ask->bearer && !ask->basic)
    return headers;
  buf_init(&line, WEB_MAX_FORM);
  if (buf_append_str(&line, ask->bearer ? "Bearer " : "Basic ") &&
      buf_append_str(&line,
                     ask->bearer ? secret_text(ask->bearer) : ask->basic) &&
      buf_append(&line, "", 1))
    http_headers_add(headers, "Authorization", (const char *)buf_bytes(&line));
  buf_clear(&line);
  return headers;
}

WebCall *
web_ask(Loop *loop,
        Upstream *upstream,
        const WebAsk *ask,
        WebDone done,
        void *data,
        GError **error)
{
  static const UpstreamEvents events = {on_head, on_body, on_done};
  g_autoptr(HttpHeaders) headers = NULL;
  g_autoptr(GBytes) body = NULL;
  g_autoptr(GError) refused = NULL;
  WebCall *call;

  if (!web_url_is_safe(ask->url) || (ask->form && ask->form->refused)) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_PROTOCOL,
                ask->form && ask->form->refused
                    ? "what is to be sent is larger than %zu KiB"
                    : "an address of the provider is not an https URL of at "
                      "most %zu KiB",
                (ask->form && ask->form->refused ? WEB_MAX_FORM : MAX_URL) /
                    1024);
    return NULL;
  }
  headers = make_headers(ask);
  if (ask->form)
    body = buf_steal(ask->form);
  call = g_new0(WebCall, 1);
  call->host = web_host(ask->url);
  call->body_is_nothing = ask->body_is_nothing;
  call->done = done;
  call->data = data;
  buf_init(&call->body, MAX_ANSWER);
  call->timer = loop_timer_new(loop, on_timer, call);
  call->request = upstream_send(upstream,
                                &(UpstreamSpec){.method = body ? "POST" : "GET",
                                                .url = ask->url,
                                                .headers = headers,
                                                .body = body},
                                &events,
                                call,
                                &refused);
  if (!call->request) {
    g_set_error_literal(
        error, IDENTITY_ERROR, IDENTITY_ERROR_PROTOCOL, refused->message);
    call_free(call);
    return NULL;
  }
  loop_timer_set(call->timer, MAX_MS);
  return call;
}
