/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that succeed, byte by byte: methods, headers, bodies, framing, and
 * the reuse of connections. */
#include "tests/unit/upstream-harness.h"

#include <string.h>

static char *
body_text(const Call *call)
{
  return call->body->len == 0
             ? g_strdup("")
             : g_strndup((char *)call->body->data, call->body->len);
}

/* ---- what is sent ----------------------------------------------------------
 */

typedef struct {
  const char *name;
  const char *method;
  const char *path;
  const char *headers;
  const char *host_header;
  const char *body;
  const char *sent; /* "%H" stands for good.test:PORT */
} SendCase;

static const SendCase sends[] = {
    {"get", NULL, NULL, NULL, NULL, NULL, "GET / HTTP/1.1\r\nHost: %H\r\n\r\n"},
    {"path as it is",
     "GET",
     "/a/../b/%2e%2E/./c//?x=%20y&z='{}|\"",
     NULL,
     NULL,
     NULL,
     "GET /a/../b/%2e%2E/./c//?x=%20y&z='{}|\" HTTP/1.1\r\nHost: %H\r\n\r\n"},
    {"query without path",
     "GET",
     "?q",
     NULL,
     NULL,
     NULL,
     "GET /?q HTTP/1.1\r\nHost: %H\r\n\r\n"},
    {"fields in order",
     "GET",
     NULL,
     "X-B: 2\nX-A: 1\nx-b: 3\nX-Empty:\nUser-Agent: mine\nAccept: a/b\n"
     "Accept-Encoding: identity\nCookie: c=d",
     NULL,
     NULL,
     "GET / HTTP/1.1\r\nHost: %H\r\nX-B: 2\r\nX-A: 1\r\nx-b: 3\r\n"
     "X-Empty:\r\nUser-Agent: mine\r\nAccept: a/b\r\n"
     "Accept-Encoding: identity\r\nCookie: c=d\r\n\r\n"},
    {"another host",
     "GET",
     NULL,
     NULL,
     "api.example:8443",
     NULL,
     "GET / HTTP/1.1\r\nHost: api.example:8443\r\n\r\n"},
    {"framing is ours",
     "POST",
     NULL,
     "Content-Length: 77\nTransfer-Encoding: chunked\nConnection: close\n"
     "Host: evil.example\nExpect: 100-continue\nTE: trailers\nTrailer: X\n"
     "Upgrade: h2c\nKeep-Alive: 1\nProxy-Connection: x\n"
     "Proxy-Authorization: Basic eA==\nX-Kept: 1",
     NULL,
     "four",
     "POST / HTTP/1.1\r\nHost: %H\r\nX-Kept: 1\r\nContent-Length: 4\r\n\r\n"
     "four"},
    {"post",
     "POST",
     "/p",
     "Content-Type: application/json",
     NULL,
     "{\"a\":1}",
     "POST /p HTTP/1.1\r\nHost: %H\r\nContent-Type: application/json\r\n"
     "Content-Length: 7\r\n\r\n{\"a\":1}"},
    {"post without body",
     "POST",
     NULL,
     NULL,
     NULL,
     NULL,
     "POST / HTTP/1.1\r\nHost: %H\r\nContent-Length: 0\r\n\r\n"},
    {"empty post",
     "POST",
     NULL,
     NULL,
     NULL,
     "",
     "POST / HTTP/1.1\r\nHost: %H\r\nContent-Length: 0\r\n\r\n"},
    {"put",
     "PUT",
     NULL,
     NULL,
     NULL,
     "x",
     "PUT / HTTP/1.1\r\nHost: %H\r\nContent-Length: 1\r\n\r\nx"},
    {"patch",
     "PATCH",
     NULL,
     NULL,
     NULL,
     "xy",
     "PATCH / HTTP/1.1\r\nHost: %H\r\nContent-Length: 2\r\n\r\nxy"},
    {"delete",
     "DELETE",
     NULL,
     NULL,
     NULL,
     NULL,
     "DELETE / HTTP/1.1\r\nHost: %H\r\n\r\n"},
    {"delete with body",
     "DELETE",
     NULL,
     NULL,
     NULL,
     "x",
     "DELETE / HTTP/1.1\r\nHost: %H\r\nContent-Length: 1\r\n\r\nx"},
    {"get with body",
     "GET",
     NULL,
     NULL,
     NULL,
     "x",
     "GET / HTTP/1.1\r\nHost: %H\r\nContent-Length: 1\r\n\r\nx"},
    {"options",
     "OPTIONS",
     NULL,
     NULL,
     NULL,
     NULL,
     "OPTIONS / HTTP/1.1\r\nHost: %H\r\n\r\n"},
    {"a method of its own",
     "M-SEARCH",
     NULL,
     NULL,
     NULL,
     NULL,
     "M-SEARCH / HTTP/1.1\r\nHost: %H\r\n\r\n"},
    {"get again",
     NULL,
     NULL,
     NULL,
     NULL,
     NULL,
     "GET / HTTP/1.1\r\nHost: %H\r\n\r\n"},
};

static void
send_one(Fixture *fixture, Server *server, const SendCase *c)
{
  g_autofree char *where = g_strdup_printf("good.test:%u", server_port(server));
  g_auto(GStrv) parts = g_strsplit(c->sent, "%H", 2);
  g_autofree char *want = g_strjoinv(where, parts);
  g_autoptr(GBytes) body =
      c->body != NULL ? g_bytes_new(c->body, strlen(c->body)) : NULL;
  g_autoptr(Call) call = call_run(fixture,
                                  server_port(server),
                                  &(Ask){.method = c->method,
                                         .path = c->path,
                                         .headers = c->headers,
                                         .host_header = c->host_header,
                                         .body = body});
  g_autofree char *got = body_text(call);

  g_test_message("%s", c->name);
  g_assert_no_error(call->error);
  g_assert_cmpint(call->status, ==, 200);
  g_assert_cmpstr(got, ==, want);
}

/* All over one connection and one curl handle, forwards and backwards: what
 * one request sets must not leak into the next. */
static void
test_sends(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_echo});

  for (gsize i = 0; i < G_N_ELEMENTS(sends); i++)
    send_one(fixture, server, &sends[i]);
  for (gsize i = G_N_ELEMENTS(sends); i > 0; i--)
    send_one(fixture, server, &sends[i - 1]);
  g_assert_cmpint(server_accepts(server), ==, 1);
}

static void
test_large_body(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_echo});
  const size_t sizes[] = {65535, 65536, 65537, 1 << 20, 9999999};

  for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autofree uint8_t *bytes = g_malloc(sizes[i]);
    g_autoptr(GBytes) body = NULL;
    g_autoptr(Call) call = NULL;

    for (size_t k = 0; k < sizes[i]; k++)
      bytes[k] = (uint8_t)(k * 31 + (k >> 8));
    body = g_bytes_new(bytes, sizes[i]);
    call = call_run(fixture,
                    server_port(server),
                    &(Ask){.method = i % 2 ? "PUT" : "POST", .body = body});
    g_assert_no_error(call->error);
    g_assert_null(g_strstr_len((char *)call->body->data,
                               (gssize)(call->body->len - sizes[i]),
                               "Expect"));
    g_assert_cmpmem(call->body->data + call->body->len - sizes[i],
                    sizes[i],
                    bytes,
                    sizes[i]);
  }
  g_assert_cmpint(server_accepts(server), ==, 1);
}

/* ---- what is received ------------------------------------------------------
 */

typedef struct {
  const char *name;
  const char *method;
  const char *answer; /* the whole of it */
  int status;
  const char *field; /* "name: value" that must be there, or NULL */
  const char *absent;
  const char *body;
  bool closes; /* the server ends the connection after it */
} AnswerCase;

static const AnswerCase answers[] = {
    {.name = "sized",
     .answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y \r\n\r\nhello",
     .status = 200,
     .field = "x: y",
     .body = "hello"},
    {.name = "chunked, trailers dropped",
     .answer = "HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n"
               "3\r\nhel\r\n2;e=\"x\"\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n",
     .status = 201,
     .absent = "X-Trailer",
     .body = "hello"},
    {.name = "1xx first",
     .answer = "HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\nHTTP/1.1 103 Early\r\n"
               "Link: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
               "\r\nok",
     .status = 200,
     .absent = "Link",
     .body = "ok"},
    {.name = "no content",
     .answer = "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
     .status = 204,
     .field = "X: y",
     .body = ""},
    {.name = "not modified",
     .answer = "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
     .status = 304,
     .body = ""},
    {.name = "head",
     .method = "HEAD",
     .answer = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n",
     .status = 200,
     .field = "content-length: 500",
     .body = ""},
    {.name = "head without length",
     .method = "HEAD",
     .answer = "HTTP/1.1 200 OK\r\nX: y\r\n\r\n",
     .status = 200,
     .body = ""},
    {.name = "empty",
     .answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
     .status = 200,
     .body = ""},
    {.name = "no reason",
     .answer = "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
     .status = 200,
     .body = "x"},
    {.name = "the same length twice",
     .answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n"
               "\r\nx",
     .status = 200,
     .body = "x"},
    {.name = "redirect is not followed",
     .answer = "HTTP/1.1 302 Found\r\nLocation: https://other.test/\r\n"
               "Content-Length: 0\r\n\r\n",
     .status = 302,
     .field = "Location: https://other.test/",
     .body = ""},
    {.name = "odd redirect",
     .answer = "HTTP/1.1 301 Moved\r\nLocation: http://[::x/ y\r\n"
               "Content-Length: 0\r\n\r\n",
     .status = 301,
     .field = "Location: http://[::x/ y",
     .body = ""},
    {.name = "not signed in",
     .answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n"
               "Content-Length: 2\r\n\r\nno",
     .status = 401,
     .body = "no"},
    {.name = "content coding is kept",
     .answer = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
               "Content-Length: 3\r\n\r\n\x1f\x8bx",
     .status = 200,
     .field = "Content-Encoding: gzip",
     .body = "\x1f\x8bx"},
    {.name = "until the connection closes",
     .answer = "HTTP/1.1 200 OK\r\n\r\nhello",
     .status = 200,
     .body = "hello",
     .closes = true},
    {.name = "HTTP/1.0",
     .answer = "HTTP/1.0 200 OK\r\nContent-Type: a/b\r\n\r\nhello",
     .status = 200,
     .body = "hello",
     .closes = true},
    {.name = "empty until the connection closes",
     .answer = "HTTP/1.1 200 OK\r\n\r\n",
     .status = 200,
     .body = "",
     .closes = true},
    {.name = "sized, then closed",
     .answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n"
               "\r\nhello",
     .status = 200,
     .body = "hello",
     .closes = true},
};

/* The case's number is the path. */
static void
serve_answers(Session *session, void *data)
{
  const char *head;
  size_t len;

  (void)data;
  while ((head = session_request(session, &len)) != NULL) {
    const AnswerCase *c = &answers[atoi(strchr(head, '/') + 1)];

    g_assert_nonnull(strstr(head, " HTTP/1.1\r\n"));
    session_send(session, c->answer, strlen(c->answer));
    if (c->closes)
      return;
  }
}

static void
check_answer(Fixture *fixture, Server *server, gsize i)
{
  const AnswerCase *c = &answers[i];
  g_autofree char *path = g_strdup_printf("/%zu", i);
  g_autoptr(Call) call = call_run(
      fixture, server_port(server), &(Ask){.path = path, .method = c->method});
  g_autofree char *body = body_text(call);

  g_test_message("%s", c->name);
  g_assert_no_error(call->error);
  g_assert_cmpint(call->status, ==, c->status);
  g_assert_cmpint(call->heads, ==, 1);
  g_assert_cmpstr(body, ==, c->body);
  if (c->absent != NULL)
    g_assert_null(http_headers_get(call->headers, c->absent));
  if (c->field != NULL) {
    g_auto(GStrv) pair = g_strsplit(c->field, ": ", 2);

    g_assert_cmpstr(http_headers_get(call->headers, pair[0]), ==, pair[1]);
  }
}

static void
test_answers(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve_answers});
  int closes = 0;

  for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
    check_answer(fixture, server, i);
    closes += answers[i].closes;
  }
  g_assert_cmpint(server_accepts(server), ==, closes);
  for (gsize i = G_N_ELEMENTS(answers); i > 0; i--)
    check_answer(fixture, server, i - 1);
}

/* ---- connections ------------------------------------------------------------
 */

static void
test_reuse(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_echo});

  for (int i = 0; i < 1000; i++) {
    g_autoptr(Call) call = call_run(
        fixture, server_port(server), &(Ask){.method = i % 3 ? "POST" : "GET"});

    g_assert_no_error(call->error);
  }
  g_assert_cmpint(server_requests(server), ==, 1000);
  g_assert_cmpint(server_accepts(server), ==, 1);
}

static void
run_batch(Fixture *fixture, uint16_t port, int count)
{
  g_autoptr(GPtrArray) calls =
      g_ptr_array_new_with_free_func((GDestroyNotify)call_free);

  for (int i = 0; i < count; i++) {
    Call *call = call_new();

    g_ptr_array_add(calls, call);
    call_start(call, fixture, port, NULL);
    g_assert_no_error(call->error);
  }
  for (int i = 0; i < count; i++) {
    call_wait(calls->pdata[i], fixture);
    g_assert_no_error(((Call *)calls->pdata[i])->error);
  }
}

static void
test_many_at_once(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_echo});

  for (int i = 0; i < 20; i++)
    run_batch(fixture, server_port(server), 16);
  g_assert_cmpint(server_requests(server), ==, 320);
  g_assert_cmpint(server_accepts(server), <=, 16);
}

static void
test_max_connections(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  UpstreamOptions options = fixture_options(fixture);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_echo});

  options.max_connections = 2;
  fixture_restart(fixture, &options);
  run_batch(fixture, server_port(server), 16);
  g_assert_cmpint(server_requests(server), ==, 16);
  g_assert_cmpint(server_accepts(server), ==, 2);
}

static void
test_ipv6(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Call) call = NULL;

  /* Nobody listens there; the address must be taken apart all the same. */
  call = call_run(fixture, 1, &(Ask){.host = "[::1]"});
  assert_error(call, UPSTREAM_ERROR_CONNECT);
  g_assert_nonnull(strstr(call->error->message, "[::1]:1"));
}

/* ---- refused at the door
 * ----------------------------------------------------- */

static void
test_refused(void)
{
  static const struct {
    const char *method, *url, *host_header;
    bool body;
  } cases[] = {
      {"GET", "http://good.test/", NULL, false},
      {"GET", "HTTPS://good.test/", NULL, false},
      {"GET", "file:///etc/passwd", NULL, false},
      {"GET", "https:///", NULL, false},
      {"GET", "https://", NULL, false},
      {"GET", "https://user@good.test/", NULL, false},
      {"GET", "https://user:pw@good.test/", NULL, false},
      {"GET", "https://good.test@evil.test/", NULL, false},
      {"GET", "https://good.test/#x", NULL, false},
      {"GET", "https://good.test/a b", NULL, false},
      {"GET", "https://good.test/a\r\nX: y", NULL, false},
      {"GET", "https://good.test/\xc3\xa4", NULL, false},
      {"GET", "https://g\xc3\xb6od.test/", NULL, false},
      {"GET", "https://good.test:0/", NULL, false},
      {"GET", "https://good.test:65536/", NULL, false},
      {"GET", "https://good.test:/", NULL, false},
      {"GET", "https://good.test:44x/", NULL, false},
      {"GET", "https://good..test/", NULL, false},
      {"GET", "https://.good.test/", NULL, false},
      {"GET", "https://-good.test/", NULL, false},
      {"GET", "https://good%2etest/", NULL, false},
      {"GET", "https://127.1/", NULL, false},
      {"GET", "https://2130706433/", NULL, false},
      {"GET", "https://0x7f.0.0.1/", NULL, false},
      {"GET", "https://127.0.0.01/", NULL, false},
      {"GET", "https://[::1/", NULL, false},
      {"GET", "https://[::1%25lo]/", NULL, false},
      {"GET", "https://[fe80::1%lo]/", NULL, false},
      {"CONNECT", "https://good.test/", NULL, false},
      {"GE T", "https://good.test/", NULL, false},
      {"", "https://good.test/", NULL, false},
      {"G\r\nX:", "https://good.test/", NULL, false},
      {"HEAD", "https://good.test/", NULL, true},
      {"GET", "https://good.test/", "a\r\nX: y", false},
      {"GET", "https://good.test/", "", false},
      {"GET", "https://good.test/", "a b", false},
      {"GET", "https://good.test/", "user@good.test", false},
  };
  static const UpstreamEvents events = {0};
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(GBytes) body = g_bytes_new("x", 1);

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    UpstreamSpec spec = {.method = cases[i].method,
                         .url = cases[i].url,
                         .host_header = cases[i].host_header,
                         .body = cases[i].body ? body : NULL};

    g_test_message("%s %s", cases[i].method, cases[i].url);
    g_assert_null(
        upstream_send(fixture->upstream, &spec, &events, NULL, &error));
    g_assert_error(error, UPSTREAM_ERROR, UPSTREAM_ERROR_PROTOCOL);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/sends", test_sends);
  g_test_add_func("/upstream/large-body", test_large_body);
  g_test_add_func("/upstream/answers", test_answers);
  g_test_add_func("/upstream/reuse", test_reuse);
  g_test_add_func("/upstream/many-at-once", test_many_at_once);
  g_test_add_func("/upstream/max-connections", test_max_connections);
  g_test_add_func("/upstream/ipv6", test_ipv6);
  g_test_add_func("/upstream/refused", test_refused);
  return g_test_run();
}
