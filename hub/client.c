/* SPDX-License-Identifier: Apache-2.0 */
/* One connection: who asks, within which limits, then the handler; and the
 * streams of events. */
#include "hub/page/page.h"
#include "hub/private.h"
#include "hub/rules.h"
#include "kit/clock.h"
#include "kit/json-put.h"
#include "kit/log.h"
#include <string.h>

/* What waits for a slow stream before it is given up. */
#define MAX_STREAM_QUEUE ((size_t)256 << 10)
#define HIGH_WATER ((size_t)64 << 10)
#define FIRST_BYTE_S 10
#define IDLE_S 60

struct client {
  Hub *hub;
  HttpConn *conn;
  HttpRequest *request; /* NULL: between two */
  const Route *route;
  char *id;
  const Person *person; /* NULL: not known (yet) */
  AccessCheck *check;
  Buf body;
  size_t body_max;  /* of this request's */
  PageVisit *visit; /* NULL: it is the API's */
  bool stream;
  unsigned turn;
  bool sees_others;       /* of a stream: other people's reviews, perhaps */
  unsigned owner;         /* of a stream: the hash of its person's subject */
  const ClientWork *work; /* or NULL */
  void *work_data;
};

Hub *
client_hub(const Client *client)
{
  return client->hub;
}

const Person *
client_person(const Client *client)
{
  return client->person;
}

const HttpRequest *
client_request(const Client *client)
{
  return client->request;
}

const char *
client_body(const Client *client, size_t *len)
{
  *len = client->body.len;
  return (const char *)buf_bytes(&client->body);
}

unsigned
client_turn(const Client *client)
{
  return client->turn;
}

bool
client_is_stream(const Client *client)
{
  return client->stream;
}

/* ---- answers --------------------------------------------------------------
 */

static HttpHeaders *
common_headers(void)
{
  HttpHeaders *headers = http_headers_new();

  http_headers_add(headers, "Cache-Control", "no-store");
  http_headers_add(headers, "X-Content-Type-Options", "nosniff");
  return headers;
}

static void
count(Client *client, int status)
{
  Hub *hub = client->hub;

  if (status / 100 < (int)G_N_ELEMENTS(hub->count.answers))
    hub->count.answers[status / 100]++;
  if (status >= 400)
    log_info("answer status=%d method=%s path=%s user=%s",
             status,
             client->request->method,
             client->request->path,
             client->person ? client->person->user : "-");
}

void
client_text(Client *client, int status, const char *type, const char *text)
{
  g_autoptr(HttpHeaders) headers = common_headers();

  if (status == 401)
    http_headers_add(headers, "WWW-Authenticate", "Bearer");
  if (status == 429 || status == 503)
    http_headers_add(headers, "Retry-After", "5");
  count(client, status);
  if (client->hub->draining)
    http_conn_close_after(client->conn);
  http_conn_reply(client->conn, status, headers, type, text, strlen(text));
}

static void
answer_tagged(Client *client,
              int status,
              const char *type,
              const char *etag,
              const void *bytes,
              size_t len)
{
  g_autoptr(HttpHeaders) headers = common_headers();

  if (etag)
    http_headers_add(headers, "ETag", etag);
  count(client, status);
  if (client->hub->draining)
    http_conn_close_after(client->conn);
  if (type) {
    http_conn_reply(client->conn, status, headers, type, bytes, len);
    return;
  }
  http_conn_send_head(client->conn, status, headers, HTTP_BODY_NONE, 0);
  http_conn_end(client->conn);
}

void
client_bytes(Client *client,
             const char *type,
             const char *etag,
             const void *bytes,
             size_t len)
{
  answer_tagged(client, 200, type, etag, bytes, len);
}

void
client_empty(Client *client, int status, const char *etag)
{
  answer_tagged(client, status, NULL, etag, NULL, 0);
}

void
client_reply(Client *client,
             int status,
             const HttpHeaders *headers,
             const char *type,
             const void *bytes,
             size_t len)
{
  count(client, status);
  if (client->hub->draining)
    http_conn_close_after(client->conn);
  http_conn_reply(client->conn, status, headers, type, bytes, len);
}

void
client_json(Client *client, int status, const char *json)
{
  client_text(client, status, "application/json", json);
}

/* The code of a google.rpc.Status, which OTLP's errors are. */
static int
rpc_code(int status)
{
  static const int codes[][2] = {
      {400, 3}, {401, 16}, {403, 7}, {413, 8}, {415, 3}, {429, 8}, {503, 14}};

  for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
    if (codes[i][0] == status)
      return codes[i][1];
  return 2;
}

void
client_refuse(Client *client, int status, const char *code, const char *why)
{
  GString *out = g_string_new("{");

  if (client->route && client->route->otlp) {
    json_put_number(out, "code", rpc_code(status));
    json_put_text(out, "message", why);
    g_string_append_c(out, '}');
  } else {
    g_string_append(out, "\"error\":{");
    json_put_text(out, "code", code);
    json_put_text(out, "message", why);
    g_string_append(out, "}}");
  }
  client_json(client, status, out->str);
  g_string_free(out, TRUE);
}

/* ---- answers that come later ----------------------------------------------
 */

void
client_work(Client *client, const ClientWork *work, void *data)
{
  client->work = work;
  client->work_data = data;
}

void
client_start(Client *client, const char *type, const char *name)
{
  g_autoptr(HttpHeaders) headers = common_headers();
  g_autofree char *disposition =
      g_strdup_printf("attachment; filename=\"%s\"", name);

  http_headers_add(headers, "Content-Type", type);
  http_headers_add(headers, "Content-Disposition", disposition);
  count(client, 200);
  if (client->hub->draining)
    http_conn_close_after(client->conn);
  http_conn_send_head(client->conn, 200, headers, HTTP_BODY_CHUNKED, -1);
}

bool
client_more(Client *client, const char *text, size_t len)
{
  return len == 0 || http_conn_send(client->conn, text, len);
}

void
client_finish(Client *client)
{
  http_conn_end(client->conn);
}

void
client_abort(Client *client)
{
  http_conn_abort(client->conn);
}

/* ---- streams --------------------------------------------------------------
 */

void
client_send(Client *client, const char *text)
{
  http_conn_send(client->conn, text, strlen(text));
  if (http_conn_queued(client->conn) > MAX_STREAM_QUEUE)
    http_conn_abort(client->conn);
}

/* Of thousands of streams few are reviewers': this looks at nothing but the
 * client itself. */
bool
client_may_hear(const Client *client, unsigned owner)
{
  return client->visit ||
         (client->stream && (client->sees_others || client->owner == owner));
}

void
client_tell(Client *client, const Review *review, ReviewChange change)
{
  static const char *const names[] = {"pending", "pending", "pending", "ended"};
  Reviews *reviews = client->hub->reviews;
  g_autofree char *json = NULL;
  g_autofree char *event = NULL;

  if (client->visit)
    page_tell(client->visit, review, change);
  if (!client->stream || client->visit ||
      !reviews_may_see(reviews, review, client->person))
    return;
  json = view_review(reviews, review, client->person, false);
  event = g_strdup_printf(
      "event: %s\nid: %s\ndata: %s\n\n", names[change], review->ask->id, json);
  client_send(client, event);
}

void
client_begin_stream(Client *client, HttpHeaders *headers)
{
  http_headers_set(headers, "Content-Type", "text/event-stream");
  count(client, 200);
  http_conn_send_head(client->conn, 200, headers, HTTP_BODY_CHUNKED, -1);
  client->stream = true;
}

void
client_event(Client *client, const char *event)
{
  if (client->stream && !client->visit)
    client_send(client, event);
}

void
client_stream(Client *client)
{
  g_autoptr(HttpHeaders) headers = common_headers();
  const HubConfig *config = client->hub->config;
  GHashTableIter each;
  void *review;

  client->owner = g_str_hash(client->person->subject);
  client->sees_others = rules_is_reviewer(config, client->person) ||
                        hub_has_role(config, client->person, ROLE_AUDITOR) ||
                        hub_has_role(config, client->person, ROLE_ADMIN);
  client_begin_stream(client, headers);
  client_send(client, ": hoop-hub\n\n");
  g_hash_table_iter_init(&each, reviews_all_pending(client->hub->reviews));
  while (g_hash_table_iter_next(&each, NULL, &review))
    client_tell(client, review, CHANGE_POSTED);
  client_send(client, "event: listed\ndata: {}\n\n");
}

static void
end_stream(Client *client)
{
  client->stream = false;
  http_conn_close_after(client->conn);
  http_conn_end(client->conn);
}

void
client_tick(Client *client, int64_t now_us)
{
  if (!client->stream)
    return;
  if (client->visit ? !page_goes_on(client->visit)
                    : client->person->expires_us > 0 &&
                          client->person->expires_us <= now_us)
    end_stream(client);
  else
    client_send(client, ": here\n\n");
}

void
client_drain(Client *client)
{
  if (client->stream)
    end_stream(client);
  else
    http_conn_close_after(client->conn);
}

/* ---- requests -------------------------------------------------------------
 */

void
client_set_person(Client *client, const Person *person)
{
  client->person = person_ref(person);
}

void
client_set_visit(Client *client, PageVisit *visit)
{
  client->visit = visit;
}

void
client_read_body(Client *client, size_t max)
{
  client->body_max = max;
  http_conn_read_body(client->conn);
}

static void
handle(Client *client)
{
  if (client->visit)
    page_body(client->visit);
  else
    client->route->handle(client, client->id);
}

/* The sender is known, or need not be. */
static void
go_on(Client *client)
{
  const char *type = http_headers_get(client->request->headers, "Content-Type");

  if (!client->route->body) {
    handle(client);
    return;
  }
  if (!type || (g_ascii_strcasecmp(type, "application/json") != 0 &&
                !g_str_has_prefix(type, "application/json;"))) {
    client_refuse(
        client, 415, "content_type", "Content-Type must be application/json");
    return;
  }
  if (client->request->content_length > (int64_t)client->body.max) {
    client_refuse(client, 413, "too_large", "the body is too large");
    return;
  }
  client_read_body(client, client->body.max);
}

static void
on_person(const Person *person, const GError *error, void *data)
{
  Client *client = data;
  Hub *hub = client->hub;

  client->check = NULL;
  if (!person) {
    hub->count.refused_tokens++;
    if (g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_UNREACHABLE))
      client_refuse(client, 503, "issuer_unreachable", error->message);
    else
      client_refuse(client, 401, "token_refused", error->message);
    return;
  }
  client->person = person_ref(person);
  if (!rate_take(hub->rates, person, hub->config->rate)) {
    hub->count.rate_limited++;
    client_refuse(client, 429, "too_many", "too many requests; wait a little");
    return;
  }
  go_on(client);
}

/* The one bearer token (RFC 6750 section 2.1), or NULL. */
static const char *
bearer(const HttpRequest *request)
{
  const char *value = http_headers_get(request->headers, "Authorization");

  if (http_headers_occurrences(request->headers, "Authorization") != 1 ||
      g_ascii_strncasecmp(value, "Bearer ", 7) != 0)
    return NULL;
  return value + 7;
}

static void
request_clear(Client *client)
{
  page_visit_free(g_steal_pointer(&client->visit));
  http_request_free(g_steal_pointer(&client->request));
  g_clear_pointer(&client->id, g_free);
  if (client->person)
    person_unref(client->person);
  client->person = NULL;
  client->route = NULL;
  client->stream = false;
  buf_clear(&client->body);
}

static void
on_request(HttpConn *conn, HttpRequest *request, void *data)
{
  Client *client = data;
  const char *token = bearer(request);
  int status;

  (void)conn;
  request_clear(client);
  client->request = request;
  if (client->hub->page && page_serves(request)) {
    if (client->hub->draining)
      client_refuse(client, 503, "stopping", "the hub is being stopped");
    else
      page_begin(client->hub->page, client);
    return;
  }
  client->route = api_route(request, &client->id, &status);
  if (!client->route) {
    client_refuse(client,
                  status,
                  status == 404 ? "not_found" : "method",
                  status == 404 ? "there is nothing here"
                                : "this cannot be done here");
  } else if (client->hub->draining) {
    client_refuse(client, 503, "stopping", "the hub is being stopped");
  } else if (client->route->open) {
    go_on(client);
  } else if (!token) {
    client_refuse(client,
                  401,
                  "token_missing",
                  "an access token is needed (Authorization: Bearer)");
  } else {
    client->check =
        access_gate_check(client->hub->gate, token, on_person, client);
  }
}

static void
on_body(HttpConn *conn, const uint8_t *bytes, size_t len, void *data)
{
  Client *client = data;

  (void)conn;
  if (client->body.len + len <= client->body_max &&
      buf_append(&client->body, bytes, len))
    return;
  if (client->visit)
    page_too_large(client->visit);
  else
    client_refuse(client, 413, "too_large", "the body is too large");
}

static void
on_body_end(HttpConn *conn, void *data)
{
  (void)conn;
  handle(data);
}

static void
on_finished(HttpConn *conn, void *data)
{
  (void)conn;
  request_clear(data);
}

static void
on_writable(HttpConn *conn, void *data)
{
  const Client *client = data;

  (void)conn;
  if (client->work && client->work->writable)
    client->work->writable(client->work_data);
}

static void
on_closed(HttpConn *conn, void *data)
{
  Client *client = data;
  Hub *hub = client->hub;

  (void)conn;
  access_check_cancel(client->check);
  if (client->work)
    client->work->gone(client->work_data);
  request_clear(client);
  g_hash_table_remove(hub->clients, client);
  g_free(client);
  if (hub->draining && g_hash_table_size(hub->clients) == 0)
    loop_quit(hub->loop);
}

static const HttpConnEvents events = {
    .request = on_request,
    .body = on_body,
    .body_end = on_body_end,
    .finished = on_finished,
    .writable = on_writable,
    .closed = on_closed,
};

void
client_begin(Hub *hub, int fd)
{
  const HttpConnLimits limits = {.max_head = hub->config->max_header,
                                 .first_byte_timeout = FIRST_BYTE_S,
                                 .idle_timeout = IDLE_S,
                                 .high_water = HIGH_WATER};
  Client *client = g_new0(Client, 1);

  client->hub = hub;
  client->turn = hub->begun++;
  buf_init(&client->body, hub->config->max_body);
  g_hash_table_add(hub->clients, client);
  client->conn =
      http_conn_new(hub->loop, fd, hub->tls, &limits, &events, client);
}
