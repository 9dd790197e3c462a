/* SPDX-License-Identifier: Apache-2.0 */
/* Each request's claims: Host and SNI against where the connection was made
 * to, pages on the web, paths and connections; and connections that end. */
#include "tests/unit/front-door.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char config[] = "[connection \"anthropic\"]\nenabled=true\n";

static Door *
plain_door(void)
{
  FrontOptions options = door_options();

  options.plain_base_url = true;
  return door_new(&options, config);
}

/* Sends one request with "%p" as the port; its status. */
static int
ask(Door *door, const char *connect, const char *pattern)
{
  g_autoptr(Visitor) visitor = visitor_new(door);
  g_autofree char *port = g_strdup_printf("%u", front_port(door->front));
  g_auto(GStrv) parts = g_strsplit(pattern, "%p", -1);
  g_autofree char *request = g_strjoinv(port, parts);

  if (connect) {
    g_autofree char *name = g_strndup(connect, strcspn(connect, ":"));

    g_assert_cmpint(visitor_connect(visitor, connect), ==, 200);
    visitor_tls(visitor, name, NULL);
  }
  visitor_write(visitor, request);
  return visitor_answer(visitor);
}

typedef struct {
  const char *request;
  int status;
} Case;

static void
run(Door *door, const char *connect, const Case *cases, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    unsigned begun = door->begun;
    int status = ask(door, connect, cases[i].request);

    if (status != cases[i].status)
      g_error("%s: %d", cases[i].request, status);
    g_assert_cmpuint(door->begun - begun, ==, status == 200);
    g_assert_cmpuint(door->refused->len, ==, status != 200);
    if (status != 200) {
      const Refused *refused = door->refused->pdata[0];

      g_assert_cmpint(refused->status, ==, status);
      g_assert_cmpuint(refused->uid, ==, getuid());
      g_assert_cmpstr(refused->method, !=, NULL);
      g_assert_cmpstr(refused->path, !=, NULL);
    }
    g_ptr_array_set_size(door->refused, 0);
  }
}

#define GET(headers) "GET /x HTTP/1.1\r\n" headers "\r\n\r\n"

/* DNS rebinding: a page whose own name leads here sends its own name. */
static void
test_hosts(void)
{
  static const Case cases[] = {
      {GET("Host: 127.0.0.1:%p"), 200},
      {GET("Host: localhost:%p"), 200},
      {GET("Host: LOCALHOST:%p"), 200},
      {GET("Host: [::1]:%p"), 200},
      {GET("Host: 127.0.0.1"), 421},
      {GET("Host: 127.0.0.1:1"), 421},
      {GET("Host: 127.0.0.2:%p"), 421},
      {GET("Host: evil.com"), 421},
      {GET("Host: evil.com:%p"), 421},
      {GET("Host: localhost.evil.com:%p"), 421},
      {GET("Host: 127.0.0.1.evil.com:%p"), 421},
      {GET("Host: api.githubcopilot.com"), 421},
      {GET("Host: api.githubcopilot.com:%p"), 421},
      {"GET http://127.0.0.1:%p/x HTTP/1.1\r\nHost: 127.0.0.1:%p\r\n\r\n", 200},
      {"GET http://evil.com/x HTTP/1.1\r\nHost: evil.com\r\n\r\n", 421},
      {"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1:%p\r\n\r\n", 400},
  };
  g_autoptr(Door) door = plain_door();

  run(door, NULL, cases, G_N_ELEMENTS(cases));
}

static void
test_connect_hosts(void)
{
  static const Case cases[] = {
      {GET("Host: api.githubcopilot.com"), 200},
      {GET("Host: API.githubcopilot.com"), 200},
      {GET("Host: api.githubcopilot.com:443"), 200},
      {GET("Host: api.githubcopilot.com:8443"), 421},
      {GET("Host: api.githubcopilot.com."), 421},
      {GET("Host: proxy.githubcopilot.com"), 421},
      {GET("Host: github.com"), 421},
      {GET("Host: 127.0.0.1:%p"), 421},
      {"CONNECT example.com:443 HTTP/1.1\r\nHost: api.githubcopilot.com\r\n"
       "\r\n",
       400},
  };
  static const Case odd_port[] = {
      {GET("Host: api.githubcopilot.com:8443"), 200},
      {GET("Host: api.githubcopilot.com"), 421},
      {GET("Host: api.githubcopilot.com:443"), 421},
  };
  g_autoptr(Door) door = plain_door();

  run(door, "api.githubcopilot.com:443", cases, G_N_ELEMENTS(cases));
  run(door, "api.githubcopilot.com:8443", odd_port, G_N_ELEMENTS(odd_port));
}

/* A browser says where a page comes from; an editor says nothing, or has a
 * scheme of its own. */
static void
test_web_pages(void)
{
#define HOST "Host: 127.0.0.1:%p\r\n"
  static const Case cases[] = {
      {GET(HOST "Origin: https://evil.com"), 403},
      {GET(HOST "Origin: http://evil.com"), 403},
      {GET(HOST "Origin: HTTPS://evil.com"), 403},
      {GET(HOST "Origin: http://127.0.0.1:1"), 403},
      {GET(HOST "Origin: http://127.0.0.1"), 403},
      {GET(HOST "Origin: null"), 403},
      {GET(HOST "Origin: http://127.0.0.1:%p"), 200},
      {GET(HOST "Origin: vscode-file://vscode-app"), 200},
      {GET(HOST "Sec-Fetch-Site: cross-site"), 403},
      {GET(HOST "Sec-Fetch-Site: same-site"), 403},
      {GET(HOST "Sec-Fetch-Site: whatever"), 403},
      {GET(HOST "Sec-Fetch-Site: none"), 200},
      {GET(HOST "Sec-Fetch-Site: same-origin"), 200},
      {GET(HOST "Origin: vscode-file://vscode-app\r\n"
                "Sec-Fetch-Site: cross-site"),
       403},
      {GET(HOST "Origin: http://127.0.0.1:%p\r\nOrigin: https://evil.com"),
       403},
      {GET(HOST "Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site"), 403},
      {"POST /x HTTP/1.1\r\n" HOST "Origin: https://evil.com\r\n"
       "Content-Length: 3\r\n\r\nabc",
       403},
      {"OPTIONS /x HTTP/1.1\r\n" HOST "Origin: https://evil.com\r\n"
       "Access-Control-Request-Method: POST\r\n\r\n",
       403},
      {"GET /x HTTP/1.1\r\n" HOST "Origin: https://evil.com\r\n"
       "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
       403},
  };
#undef HOST
  g_autoptr(Door) door = plain_door();

  run(door, NULL, cases, G_N_ELEMENTS(cases));
}

/* The name in the handshake and the CONNECT around it must agree. */
static void
test_sni(void)
{
  static const struct {
    const char *connect, *sni;
    int status;
  } cases[] = {
      {"api.githubcopilot.com:443", "api.githubcopilot.com", 200},
      {"api.githubcopilot.com:443", NULL, 200},
      {"api.githubcopilot.com:443", "proxy.githubcopilot.com", 421},
      {"api.githubcopilot.com:443", "githubcopilot.com", 421},
      {"api.githubcopilot.com:443", "localhost", 421},
  };
  g_autoptr(Door) door = plain_door();

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Visitor) visitor = visitor_new(door);

    g_assert_cmpint(visitor_connect(visitor, cases[i].connect), ==, 200);
    visitor_tls(visitor, cases[i].sni, NULL);
    g_assert_cmpstr(visitor->tls_why, ==, NULL);
    visitor_write(visitor, GET("Host: api.githubcopilot.com"));
    if (visitor_answer(visitor) != cases[i].status)
      g_error("%u: %s", i, visitor->got->str);
  }
}

static void
test_connections(void)
{
  static const struct {
    const char *path, *seen;
    int status;
  } cases[] = {
      {"/models", "connection=copilot connect=- path=/models", 200},
      {"/c/copilot/models", "connection=copilot connect=- path=/models", 200},
      {"/c/anthropic/v1/messages",
       "connection=anthropic connect=- path=/v1/messages",
       200},
      {"/c/anthropic", "connection=anthropic connect=- path=/ ", 200},
      {"/c", "connection=copilot connect=- path=/c ", 200},
      {"/c/", "no connection named", 404},
      {"/c/openai/v1/models", "no connection named openai", 404},
      {"/c/Copilot/models", "no connection named Copilot", 404},
      {"/c/copilot%2f/models", "no connection named", 404},
  };
  g_autoptr(Door) door = plain_door();

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Visitor) visitor = visitor_new(door);

    visitor_print(visitor,
                  "GET %s HTTP/1.1\r\nHost: localhost:%u\r\n\r\n",
                  cases[i].path,
                  front_port(door->front));
    if (visitor_answer(visitor) != cases[i].status ||
        !strstr(visitor->got->str, cases[i].seen))
      g_error("%s: %s", cases[i].path, visitor->got->str);
  }
}

/* In the form that the API's clients show, with the header without which the
 * language server hides it; and the connection ends there. */
static void
test_refusal(void)
{
  g_autoptr(Door) door = plain_door();
  g_autoptr(Visitor) visitor = visitor_new(door);

  visitor_write(visitor,
                "POST /v1/messages HTTP/1.1\r\nHost: evil.com\r\n"
                "Content-Length: 0\r\n\r\n");
  g_assert_cmpint(visitor_answer(visitor), ==, 421);
  g_assert_nonnull(strstr(visitor->got->str, "\"type\":\"error\""));
  g_assert_nonnull(strstr(visitor->got->str, "x-github-request-id: "));
  g_assert_nonnull(strstr(visitor->got->str, "Connection: close"));
  visitor_until(visitor, visitor->eof);
  g_assert_false(visitor->reset);
}

/* One connection, several requests, the next one refused. */
static void
test_keep_alive(void)
{
  g_autoptr(Door) door = plain_door();
  g_autoptr(Visitor) visitor = visitor_new(door);

  for (unsigned i = 1; i <= 3; i++) {
    visitor_print(visitor,
                  "POST /a HTTP/1.1\r\nHost: localhost:%u\r\n"
                  "Content-Length: 3\r\n\r\nabc",
                  front_port(door->front));
    g_assert_cmpint(visitor_answer(visitor), ==, 200);
    g_string_truncate(visitor->got, 0);
  }
  visitor_write(visitor, GET("Host: evil.com"));
  g_assert_cmpint(visitor_answer(visitor), ==, 421);
  visitor_until(visitor, visitor->eof);
  g_assert_cmpuint(door->begun, ==, 3);
}

/* What broke before a request was there leaves a row. */
static void
test_broken(void)
{
  g_autoptr(Door) door = plain_door();
  g_autoptr(Visitor) visitor = visitor_new(door);
  g_autoptr(Visitor) distrusts = visitor_new(door);
  const Refused *refused;

  visitor_write(visitor, "GET / HTTP/1.1\nHost: x\n\n");
  g_assert_cmpint(visitor_answer(visitor), ==, 400);
  visitor_until(visitor, visitor->eof);
  visitor_until(visitor, door->refused->len == 1);
  refused = door->refused->pdata[0];
  g_assert_nonnull(strstr(refused->why, "bare LF"));
  g_ptr_array_set_size(door->refused, 0);

  /* A client that was not told of the CA. */
  g_assert_cmpint(
      visitor_connect(distrusts, "api.githubcopilot.com:443"), ==, 200);
  distrusts->context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(distrusts->context, SSL_VERIFY_PEER, NULL);
  distrusts->ssl = SSL_new(distrusts->context);
  SSL_set_tlsext_host_name(distrusts->ssl, "api.githubcopilot.com");
  SSL_set_fd(distrusts->ssl, distrusts->fd);
  SSL_set_connect_state(distrusts->ssl);
  visitor_until(distrusts, door->refused->len == 1);
  refused = door->refused->pdata[0];
  g_assert_nonnull(strstr(refused->why, "unknown ca"));
  g_assert_cmpstr(refused->host, ==, "api.githubcopilot.com");
}

static void
test_unix(void)
{
  g_autofree char *dir = g_dir_make_tmp("hoop-client-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(dir, "socket", NULL);
  struct sockaddr_un at = {.sun_family = AF_UNIX};
  FrontOptions options = door_options();
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_strlcpy(at.sun_path, path, sizeof at.sun_path);
  options.unix_socket = path;
  {
    g_autoptr(Door) door = door_new(&options, NULL);
    g_autoptr(Visitor) visitor = NULL;

    g_assert_cmpint(connect(fd, (void *)&at, sizeof at), ==, 0);
    visitor = visitor_over(door, fd);
    visitor_tls(visitor, "localhost", NULL);
    g_assert_cmpstr(visitor->tls_why, ==, NULL);
    visitor_print(visitor,
                  "GET /models HTTP/1.1\r\nHost: localhost:%u\r\n\r\n",
                  front_port(door->front));
    g_assert_cmpint(visitor_answer(visitor), ==, 200);
  }
  g_assert_cmpint(g_remove(path), !=, 0);
  g_assert_cmpint(g_rmdir(dir), ==, 0);
}

/* The door closes while requests run, and leaves nothing behind. */
static void
test_end(void)
{
  g_autoptr(Door) door = plain_door();
  Visitor *visitors[4];

  for (unsigned i = 0; i < G_N_ELEMENTS(visitors); i++)
    visitors[i] = visitor_new(door);
  visitor_print(visitors[0],
                "POST /a HTTP/1.1\r\nHost: localhost:%u\r\n"
                "Content-Length: 3\r\n\r\n",
                front_port(door->front));
  visitor_until(visitors[0], door->begun == 1);
  visitor_write(visitors[1], "CONNECT exam");
  visitor_turn(visitors[1]);
  g_assert_cmpint(
      visitor_connect(visitors[2], "api.githubcopilot.com:443"), ==, 200);
  visitor_tls(visitors[2], "api.githubcopilot.com", NULL);
  /* One that waits in the backlog. */
  front_free(g_steal_pointer(&door->front));
  for (unsigned i = 0; i < G_N_ELEMENTS(visitors); i++) {
    visitor_until(visitors[i], visitors[i]->eof);
    visitor_free(visitors[i]);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_) g_test_add_func("/front/client/" name_, func_)
  ADD("hosts", test_hosts);
  ADD("connect-hosts", test_connect_hosts);
  ADD("web-pages", test_web_pages);
  ADD("sni", test_sni);
  ADD("connections", test_connections);
  ADD("refusal", test_refusal);
  ADD("keep-alive", test_keep_alive);
  ADD("broken", test_broken);
  ADD("unix", test_unix);
  ADD("end", test_end);
#undef ADD
  return g_test_run();
}
