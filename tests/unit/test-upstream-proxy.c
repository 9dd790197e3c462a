/* SPDX-License-Identifier: Apache-2.0 */
/* Parent proxies: CONNECT with Basic credentials, every way to be refused, and
 * sockets for blind tunnels with and without one. */
#include "kit/clock.h"
#include "tests/unit/upstream-harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "user:pass word" and its Base64. */
#define USERPWD "user:pass word"
#define BASIC "dXNlcjpwYXNzIHdvcmQ="

/* ---- a proxy
 * ------------------------------------------------------------------ */

typedef struct {
  const char *answer;   /* what CONNECT gets */
  const char *expect;   /* a line the request must have, or NULL */
  uint16_t target;      /* relay there when the answer is 200 */
  const char *greeting; /* sent in the same segment as the answer, or NULL */
  bool stall;
} ProxyWay;

static int
dial(uint16_t port)
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint(
      connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  return fd;
}

static bool
pump(int from, int to)
{
  char bytes[16384];
  ssize_t n = recv(from, bytes, sizeof bytes, 0);

  return n > 0 && send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

static void
relay(int a, int b)
{
  struct pollfd fds[2] = {{.fd = a, .events = POLLIN},
                          {.fd = b, .events = POLLIN}};

  while (poll(fds, 2, PATIENCE * 1000) > 0) {
    if (fds[0].revents != 0 && !pump(a, b))
      break;
    if (fds[1].revents != 0 && !pump(b, a))
      break;
  }
}

static void
serve_proxy(Session *session, void *data)
{
  const ProxyWay *way = data;
  size_t len;
  const char *head = session_request(session, &len);
  int fd;

  if (head == NULL)
    return;
  g_assert_true(g_str_has_prefix(head, "CONNECT "));
  if (way->expect != NULL)
    g_assert_nonnull(strstr(head, way->expect));
  else
    g_assert_null(strstr(head, "Proxy-Authorization"));
  g_assert_null(strstr(head, "X-Secret"));
  g_assert_null(strstr(head, "User-Agent"));
  if (way->stall)
    session_wait_closed(session);
  if (way->answer == NULL || way->stall)
    return;
  session_print(
      session, "%s%s", way->answer, way->greeting != NULL ? way->greeting : "");
  if (way->target == 0)
    return;
  fd = dial(way->target);
  relay(session_fd(session), fd);
  close(fd);
}

#define CONNECTED "HTTP/1.1 200 Connection established\r\n\r\n"

static void
answer(Session *session, void *data)
{
  const char *head;
  size_t len;

  (void)data;
  while ((head = session_request(session, &len)) != NULL) {
    g_assert_null(strstr(head, "Proxy-Authorization"));
    session_print(session, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
}

static void
use_proxy(Fixture *fixture,
          Server *proxy,
          const char *userpwd,
          const char *no_proxy)
{
  UpstreamOptions options = fixture_options(fixture);
  g_autofree char *url =
      g_strdup_printf("http://127.0.0.1:%u", server_port(proxy));
  g_autoptr(Secret) secret =
      userpwd != NULL ? secret_new(userpwd, strlen(userpwd)) : NULL;

  options.proxy = url;
  options.no_proxy = no_proxy;
  options.proxy_userpwd = secret;
  options.connect_timeout = short_limit();
  fixture_restart(fixture, &options);
}

static void
test_through(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = answer});
  ProxyWay way = {.answer = CONNECTED,
                  .expect = "\r\nProxy-Authorization: Basic " BASIC "\r\n",
                  .target = server_port(server)};
  g_autoptr(Server) proxy =
      server_new(&(ServerSpec){.run = serve_proxy, .data = &way});

  use_proxy(fixture, proxy, USERPWD, "other.test, 10.0.0.0/8");
  for (int i = 0; i < 10; i++) {
    g_autoptr(Call) call =
        call_run(fixture,
                 server_port(server),
                 &(Ask){.method = "POST", .headers = "X-Secret: 1"});

    g_assert_no_error(call->error);
    g_assert_cmpint(call->status, ==, 200);
  }
  g_assert_cmpint(server_accepts(proxy), ==, 1);
  g_assert_cmpint(server_accepts(server), ==, 1);
  g_clear_pointer(&fixture->upstream, upstream_free);
}

static void
test_bypass(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = answer});
  ProxyWay way = {.answer = "HTTP/1.1 403 No\r\n\r\n"};
  g_autoptr(Server) proxy =
      server_new(&(ServerSpec){.run = serve_proxy, .data = &way});
  g_autoptr(Call) name = NULL;
  g_autoptr(Call) address = NULL;

  use_proxy(fixture, proxy, NULL, ".test,127.0.0.0/8");
  name = call_run(fixture, server_port(server), NULL);
  address = call_run(fixture, server_port(server), &(Ask){.host = "127.0.0.1"});
  g_assert_no_error(name->error);
  g_assert_no_error(address->error);
  g_assert_cmpint(server_accepts(proxy), ==, 0);
}

/* The environment names a proxy that nobody configured. */
static void
test_environment(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = answer});
  g_autoptr(Call) call = NULL;

  g_setenv("https_proxy", "http://127.0.0.1:1", TRUE);
  g_setenv("ALL_PROXY", "http://127.0.0.1:1", TRUE);
  g_setenv("SSL_CERT_FILE", "/nonexistent", TRUE);
  fixture_restart(fixture, NULL);
  call = call_run(fixture, server_port(server), NULL);
  g_unsetenv("https_proxy");
  g_unsetenv("ALL_PROXY");
  g_unsetenv("SSL_CERT_FILE");
  g_assert_no_error(call->error);
}

typedef struct {
  const char *name;
  ProxyWay way;
  const char *userpwd;
  const char *says;
} Refusal;

static const Refusal refusals[] = {
    {"407",
     {.answer = "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\n"
                "Content-Length: 0\r\n\r\n"},
     NULL,
     "proxy-credentials-file"},
    {"407 to credentials",
     {.answer = "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\n"
                "Content-Length: 4\r\n\r\nnope",
      .expect = BASIC},
     USERPWD,
     "proxy-credentials-file"},
    {"407, another scheme",
     {.answer = "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Negotiate\r\n\r\n"},
     NULL,
     "proxy-credentials-file"},
    {"403",
     {.answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"},
     NULL,
     "answered 403"},
    {"502", {.answer = "HTTP/1.0 502 Bad Gateway\r\n\r\n"}, NULL, "502"},
    {"302",
     {.answer = "HTTP/1.1 302 Found\r\nLocation: http://login/\r\n"
                "Content-Length: 0\r\n\r\n"},
     NULL,
     "answered 302"},
    {"closes", {.answer = NULL}, NULL, "closed the connection"},
    {"garbage", {.answer = "hello\r\n\r\n"}, NULL, ""},
    {"cut", {.answer = "HTTP/1.1 200 OK\r\nX:"}, NULL, ""},
    {"stalls", {.stall = true}, NULL, "no answer in time"},
};

static void
test_refusals(void)
{
  for (gsize i = 0; i < G_N_ELEMENTS(refusals); i++) {
    g_autoptr(Fixture) fixture = fixture_new(NULL);
    g_autoptr(Server) proxy = server_new(
        &(ServerSpec){.run = serve_proxy, .data = (void *)&refusals[i].way});
    g_autofree char *where =
        g_strdup_printf("127.0.0.1:%u", server_port(proxy));
    g_autoptr(Call) call = NULL;

    use_proxy(fixture, proxy, refusals[i].userpwd, NULL);
    call = call_run(fixture, 443, &(Ask){.headers = "X-Secret: 1"});
    g_test_message("%s: %s", refusals[i].name, call->error->message);
    assert_error(call, UPSTREAM_ERROR_PROXY);
    g_assert_nonnull(strstr(call->error->message, refusals[i].says));
    g_assert_nonnull(strstr(call->error->message, where));
    g_assert_null(strstr(call->error->message, "pass word"));
    g_assert_null(strstr(call->error->message, BASIC));
  }
}

static void
test_unreachable(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  UpstreamOptions options = fixture_options(fixture);
  g_autoptr(Call) refused = NULL;
  g_autoptr(Call) unknown = NULL;

  options.proxy = "http://127.0.0.1:1";
  fixture_restart(fixture, &options);
  refused = call_run(fixture, 443, NULL);
  assert_error(refused, UPSTREAM_ERROR_PROXY);
  g_assert_nonnull(strstr(refused->error->message, "refused"));
  options.proxy = "http://unknown.test:3128/";
  fixture_restart(fixture, &options);
  unknown = call_run(fixture, 443, NULL);
  assert_error(unknown, UPSTREAM_ERROR_PROXY);
  g_assert_nonnull(strstr(unknown->error->message, "unknown.test:3128"));
}

/* Behind the proxy the server has to prove itself as ever. */
static void
test_bad_certificate(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Cert) own = cert_new(&(CertSpec){0});
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = own, .run = answer});
  ProxyWay way = {.answer = CONNECTED, .target = server_port(server)};
  g_autoptr(Server) proxy =
      server_new(&(ServerSpec){.run = serve_proxy, .data = &way});
  g_autoptr(Call) call = NULL;

  use_proxy(fixture, proxy, NULL, NULL);
  call = call_run(fixture, 443, NULL);
  assert_error(call, UPSTREAM_ERROR_TLS);
  g_assert_nonnull(strstr(call->error->message, "self-signed"));
}

static void
test_bad_options(void)
{
  static const char *const PROXIES[] = {
      "",
      "proxy.test:3128",
      "https://proxy.test:3128",
      "socks5://proxy.test:1080",
      "http://user:secret@proxy.test:3128",
      "http://proxy.test:3128/path",
      "http://proxy.test:99999",
      "http://",
  };
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  UpstreamOptions options = fixture_options(fixture);
  g_autoptr(GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS(PROXIES); i++) {
    options.proxy = PROXIES[i];
    g_assert_null(upstream_new(fixture->loop, &options, &error));
    g_assert_error(error, UPSTREAM_ERROR, UPSTREAM_ERROR_PROXY);
    g_assert_null(strstr(error->message, "secret"));
    g_clear_error(&error);
  }
  options = fixture_options(fixture);
  options.ca_file = "/nonexistent/ca.pem";
  g_assert_null(upstream_new(fixture->loop, &options, &error));
  g_assert_error(error, UPSTREAM_ERROR, UPSTREAM_ERROR_TLS);
  g_clear_error(&error);
  options.ca_file = "/dev/null";
  g_assert_null(upstream_new(fixture->loop, &options, &error));
  g_assert_error(error, UPSTREAM_ERROR, UPSTREAM_ERROR_TLS);
}

/* ---- blind tunnels
 * ---------------------------------------------------------------- */

typedef struct {
  UpstreamConnect *connect;
  int fd;
  GError *error;
  bool done;
} Tunnel;

static void
on_tunnel(int fd, const GError *error, void *data)
{
  Tunnel *tunnel = data;

  g_assert_false(tunnel->done);
  tunnel->fd = fd;
  tunnel->error = error != NULL ? g_error_copy(error) : NULL;
  tunnel->done = true;
}

static void
tunnel_run(Tunnel *tunnel, Fixture *fixture, const char *host, uint16_t port)
{
  *tunnel = (Tunnel){.fd = -1};
  tunnel->connect =
      upstream_connect(fixture->upstream, host, port, on_tunnel, tunnel);
  g_assert_false(tunnel->done);
  run_until(fixture->loop, &tunnel->done);
}

static void
serve_lines(Session *session, void *data)
{
  char bytes[256];
  size_t n;

  (void)data;
  while ((n = session_read(session, bytes, sizeof bytes)) > 0)
    session_send(session, bytes, n);
}

/* The socket is the caller's, whatever becomes of the Upstream. */
static void
check_tunnel(Fixture *fixture, int fd, const char *greeting)
{
  char bytes[64] = "";
  size_t got = 0;
  const char *want;
  g_autofree char *all = g_strconcat(greeting, "ping", NULL);

  want = all;
  g_assert_cmpint(fd, >=, 0);
  g_assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  g_assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
  run_for(fixture->loop, 20);
  fixture_restart(fixture, NULL);
  g_assert_cmpint(send(fd, "ping", 4, MSG_NOSIGNAL), ==, 4);
  while (got < strlen(want)) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    ssize_t n;

    g_assert_cmpint(poll(&ready, 1, PATIENCE * 1000), ==, 1);
    n = recv(fd, bytes + got, sizeof bytes - 1 - got, 0);
    g_assert_cmpint(n, >, 0);
    got += (size_t)n;
  }
  g_assert_cmpstr(bytes, ==, want);
  close(fd);
}

static void
test_tunnel(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server = server_new(&(ServerSpec){.run = serve_lines});
  Tunnel tunnel;

  tunnel_run(&tunnel, fixture, "some.test", server_port(server));
  g_assert_no_error(tunnel.error);
  check_tunnel(fixture, tunnel.fd, "");
  tunnel_run(&tunnel, fixture, "127.0.0.1", server_port(server));
  g_assert_no_error(tunnel.error);
  check_tunnel(fixture, tunnel.fd, "");
}

/* A byte that the proxy sends behind its answer belongs to the tunnel. */
static void
test_tunnel_proxy(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server = server_new(&(ServerSpec){.run = serve_lines});
  ProxyWay way = {.answer = CONNECTED,
                  .expect = "\r\nProxy-Authorization: Basic " BASIC "\r\n",
                  .target = server_port(server),
                  .greeting = "220 hello\r\n"};
  g_autoptr(Server) proxy =
      server_new(&(ServerSpec){.run = serve_proxy, .data = &way});
  Tunnel tunnel;

  use_proxy(fixture, proxy, USERPWD, NULL);
  tunnel_run(&tunnel, fixture, "some.test", 25);
  g_assert_no_error(tunnel.error);
  g_assert_cmpint(server_accepts(proxy), ==, 1);
  check_tunnel(fixture, tunnel.fd, "220 hello\r\n");
}

static void
test_tunnel_fails(void)
{
  static const struct {
    const char *host;
    uint16_t port;
    int code;
  } cases[] = {
      {"unknown.test", 443, UPSTREAM_ERROR_RESOLVE},
      {"127.0.0.1", 1, UPSTREAM_ERROR_CONNECT},
      {"::1", 1, UPSTREAM_ERROR_CONNECT},
      {"[::1]", 1, UPSTREAM_ERROR_CONNECT},
      {"some.test", 0, UPSTREAM_ERROR_RESOLVE},
      {"", 443, UPSTREAM_ERROR_RESOLVE},
      {"some.test/x", 443, UPSTREAM_ERROR_RESOLVE},
      {"user@some.test", 443, UPSTREAM_ERROR_RESOLVE},
      {"some.test:80", 443, UPSTREAM_ERROR_RESOLVE},
      {"127.1", 443, UPSTREAM_ERROR_RESOLVE},
      {"some.test\r\nX: y", 443, UPSTREAM_ERROR_RESOLVE},
  };
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  ProxyWay way = {.answer = "HTTP/1.1 407 Auth\r\n\r\n"};
  g_autoptr(Server) proxy =
      server_new(&(ServerSpec){.run = serve_proxy, .data = &way});
  Tunnel tunnel;

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    tunnel_run(&tunnel, fixture, cases[i].host, cases[i].port);
    g_test_message("%s", tunnel.error->message);
    g_assert_cmpint(tunnel.fd, ==, -1);
    g_assert_error(tunnel.error, UPSTREAM_ERROR, cases[i].code);
    g_clear_error(&tunnel.error);
  }
  use_proxy(fixture, proxy, NULL, NULL);
  tunnel_run(&tunnel, fixture, "some.test", 443);
  g_assert_error(tunnel.error, UPSTREAM_ERROR, UPSTREAM_ERROR_PROXY);
  g_assert_nonnull(strstr(tunnel.error->message, "proxy-credentials-file"));
  g_clear_error(&tunnel.error);
}

static void
test_tunnel_cancel(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server = server_new(&(ServerSpec){.run = serve_lines});
  ProxyWay way = {.stall = true};
  g_autoptr(Server) proxy =
      server_new(&(ServerSpec){.run = serve_proxy, .data = &way});
  Tunnel at_once = {.fd = -1}, later = {.fd = -1}, left = {.fd = -1};

  at_once.connect = upstream_connect(
      fixture->upstream, "some.test", server_port(server), on_tunnel, &at_once);
  upstream_connect_cancel(at_once.connect);
  run_for(fixture->loop, 20);
  g_assert_false(at_once.done);
  use_proxy(fixture, proxy, NULL, NULL);
  later.connect =
      upstream_connect(fixture->upstream, "some.test", 443, on_tunnel, &later);
  left.connect =
      upstream_connect(fixture->upstream, "some.test", 443, on_tunnel, &left);
  run_for(fixture->loop, 50);
  upstream_connect_cancel(later.connect);
  run_for(fixture->loop, 20);
  g_assert_false(later.done);
  g_clear_pointer(&fixture->upstream, upstream_free);
  g_assert_true(left.done);
  g_assert_error(left.error, UPSTREAM_ERROR, UPSTREAM_ERROR_CANCELLED);
  g_clear_error(&left.error);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/proxy/through", test_through);
  g_test_add_func("/upstream/proxy/bypass", test_bypass);
  g_test_add_func("/upstream/proxy/environment", test_environment);
  g_test_add_func("/upstream/proxy/refusals", test_refusals);
  g_test_add_func("/upstream/proxy/unreachable", test_unreachable);
  g_test_add_func("/upstream/proxy/bad-certificate", test_bad_certificate);
  g_test_add_func("/upstream/proxy/bad-options", test_bad_options);
  g_test_add_func("/upstream/tunnel/open", test_tunnel);
  g_test_add_func("/upstream/tunnel/proxy", test_tunnel_proxy);
  g_test_add_func("/upstream/tunnel/fails", test_tunnel_fails);
  g_test_add_func("/upstream/tunnel/cancel", test_tunnel_cancel);
  return g_test_run();
}
