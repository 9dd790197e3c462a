/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the hub and its JSON answer. */
#include "document/document.h"
#include "kit/secret.h"
#include "relay/private.h"
#include <string.h>

/* An answer that does not come. */
#define MAX_MS 30000
#define MAX_MESSAGE 300

G_DEFINE_QUARK(hoop_relay_error, relay_error)

struct call {
  Relay *relay;
  UpstreamRequest *request;
  LoopTimer *timer; /* the time limit, or the failure that is due */
  GError *failure;
  int status;
  Buf body;
  CallDone done;
  void *data;
};

static void
call_free(Call *call)
{
  if (call->request)
    upstream_request_cancel(call->request);
  loop_timer_free(call->timer);
  g_clear_error(&call->failure);
  buf_clear(&call->body);
  g_ptr_array_remove_fast(call->relay->calls, call);
  g_free(call);
}

void
call_cancel(Call *call)
{
  if (call)
    call_free(call);
}

/* Takes the error. */
static void
finish(Call *call, GError *taken)
{
  g_autoptr(GError) error = taken;
  const CallDone done = call->done;
  void *data = call->data;
  g_autofree char *text = NULL;
  const bool same = call->status == 304;
  size_t len = call->body.len;

  text = g_malloc(len + 1);
  memcpy(text, buf_bytes(&call->body), len);
  text[len] = '\0';
  call_free(call);
  done(error || same ? NULL : text, error ? 0 : len, error, data);
  secret_wipe(text, len); /* it may be a credential */
}

static GError *
failure(RelayErrorCode code, const char *why)
{
  return g_error_new_literal(RELAY_ERROR, (int)code, why);
}

void
call_abandon(Call *call)
{
  finish(call, failure(RELAY_ERROR_UNREACHABLE, "the agent is being stopped"));
}

static void
on_timer(void *data)
{
  Call *call = data;

  finish(call,
         call->failure
             ? g_steal_pointer(&call->failure)
             : failure(RELAY_ERROR_UNREACHABLE, "the hub does not answer"));
}

static void
on_head(int status, HttpHeaders *headers, void *data)
{
  Call *call = data;

  http_headers_free(headers);
  call->status = status;
}

static bool
on_body(const uint8_t *bytes, size_t len, void *data)
{
  Call *call = data;

  if (!call->failure && !buf_append(&call->body, bytes, len))
    call->failure =
        failure(RELAY_ERROR_UNREACHABLE, "the hub's answer is too long");
  return true;
}

/* The hub's own words, as a line that can be shown. */
static char *
words_of(const Call *call)
{
  g_autoptr(Document) object = document_parse(
      (const char *)buf_bytes(&call->body), call->body.len, NULL);
  const char *message =
      object ? document_text(document_member(object, "error"), "message")
             : NULL;
  char *line = g_strndup(message ? message : "", MAX_MESSAGE);

  for (char *c = line; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f)
      *c = ' ';
  if (!*line || !g_utf8_validate(line, -1, NULL)) {
    g_free(line);
    return g_strdup_printf("it answered %d", call->status);
  }
  return line;
}

static GError *
judge(const Call *call)
{
  g_autofree char *words = NULL;

  if ((call->status >= 200 && call->status < 300) || call->status == 304)
    return NULL;
  words = words_of(call);
  return g_error_new(RELAY_ERROR,
                     call->status >= 500 || call->status == 429
                         ? RELAY_ERROR_UNREACHABLE
                     : call->status == 401 ? RELAY_ERROR_SIGNED_OUT
                                           : RELAY_ERROR_REFUSED,
                     "the hub refused: %s",
                     words);
}

static void
on_done(const GError *error, void *data)
{
  Call *call = data;

  call->request = NULL;
  if (call->failure)
    finish(call, g_steal_pointer(&call->failure));
  else
    finish(call,
           error ? failure(RELAY_ERROR_UNREACHABLE, error->message)
                 : judge(call));
}

bool
call_authorize(Relay *relay,
               HttpHeaders *headers,
               const char *issuer,
               GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(Secret) token = identity_access(relay->identity, issuer, &why);
  g_autofree char *value = NULL;
  bool good;

  if (!token) {
    g_set_error_literal(
        error, RELAY_ERROR, RELAY_ERROR_SIGNED_OUT, why->message);
    return false;
  }
  value = g_strdup_printf("Bearer %s", secret_text(token));
  good = http_headers_add(headers, "Authorization", value);
  secret_wipe(value, strlen(value));
  if (!good)
    g_set_error_literal(error,
                        RELAY_ERROR,
                        RELAY_ERROR_SIGNED_OUT,
                        "the access token is none that can be sent");
  return good;
}

static bool
add_signature(Relay *relay,
              HttpHeaders *headers,
              const void *body,
              size_t len,
              GError **error)
{
  g_autofree char *signature = review_request_sign(relay->machine, body, len);

  if (signature && http_headers_add(headers, REVIEW_HEADER, signature))
    return true;
  g_set_error_literal(
      error, RELAY_ERROR, RELAY_ERROR_KEY, "the machine's key cannot sign");
  return false;
}

bool
relay_authorize(Relay *relay,
                const char *url,
                const void *body,
                size_t len,
                HttpHeaders *headers,
                GError **error)
{
  const size_t origin = relay->url ? strlen(relay->url) : 0;

  if (origin == 0 || strncmp(url, relay->url, origin) != 0 ||
      url[origin] != '/')
    return true;
  return add_signature(relay, headers, body, len, error) &&
         (http_headers_get(headers, "Authorization") ||
          call_authorize(relay, headers, NULL, error));
}

static HttpHeaders *
make_headers(Relay *relay, const CallSpec *spec, GError **error)
{
  g_autoptr(HttpHeaders) headers = http_headers_new();
  const char *body = spec->body ?: "";

  http_headers_add(headers, "Accept", spec->accept ?: "application/json");
  http_headers_add(headers, "User-Agent", "hoop-agent");
  if (spec->body)
    http_headers_add(headers, "Content-Type", "application/json");
  if (spec->etag)
    http_headers_add(headers, "If-None-Match", spec->etag);
  if (spec->sign && !add_signature(relay, headers, body, strlen(body), error))
    return NULL;
  if (!spec->open && !call_authorize(relay, headers, spec->issuer, error))
    return NULL;
  return g_steal_pointer(&headers);
}

Call *
call_start(Relay *relay, const CallSpec *spec, CallDone done, void *data)
{
  static const UpstreamEvents events = {on_head, on_body, on_done};
  Call *call = g_new0(Call, 1);
  g_autofree char *url = g_strconcat(spec->url, spec->path, NULL);
  g_autoptr(HttpHeaders) headers = NULL;
  g_autoptr(GBytes) body =
      spec->body ? bytes_new_wiped(spec->body, strlen(spec->body)) : NULL;
  g_autoptr(GError) why = NULL;

  *call = (Call){.relay = relay, .done = done, .data = data};
  buf_init(&call->body, RELAY_MAX_ANSWER);
  call->timer = loop_timer_new(relay->loop, on_timer, call);
  g_ptr_array_add(relay->calls, call);
  headers = make_headers(relay, spec, &call->failure);
  if (headers) {
    call->request = upstream_send(relay->upstream,
                                  &(UpstreamSpec){.method = spec->method,
                                                  .url = url,
                                                  .headers = headers,
                                                  .body = body},
                                  &events,
                                  call,
                                  &why);
    if (!call->request)
      call->failure = failure(RELAY_ERROR_CONFIG, why->message);
  }
  loop_timer_set(call->timer, call->failure ? 0 : MAX_MS);
  return call;
}
