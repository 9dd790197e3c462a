/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte and what follows from it: TLS, CONNECT in pieces and with a
 * hello behind it, plain HTTP, ourselves, nonsense. */
#include "tests/unit/front-door.h"
#include <string.h>
#include <sys/socket.h>

/* ---- TLS and CONNECT
 * ----------------------------------------------------------------- */

static void
test_tls(void)
{
  g_autoptr(Door) door = door_new(NULL, NULL);
  g_autoptr(Visitor) visitor = visitor_new(door);

  visitor_tls(visitor, NULL, NULL);
  visitor_ask_here(visitor);
  visitor_assert_served(visitor, "connection=copilot connect=- path=/models");
  g_assert_nonnull(strstr(visitor->got->str, " tls=1"));
}

static void
test_connect(void)
{
  static const struct {
    const char *authority, *host, *connect;
  } cases[] = {
      {"api.githubcopilot.com:443",
       "api.githubcopilot.com",
       "api.githubcopilot.com"},
      {"API.GitHubCopilot.com:443",
       "api.githubcopilot.com",
       "api.githubcopilot.com"},
      {"api.githubcopilot.com:443",
       "api.githubcopilot.com:443",
       "api.githubcopilot.com"},
      {"api.githubcopilot.com.:443",
       "api.githubcopilot.com",
       "api.githubcopilot.com"},
      {"api.githubcopilot.com:8443",
       "api.githubcopilot.com:8443",
       "api.githubcopilot.com:8443"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Door) door = door_new(NULL, NULL);
    g_autoptr(Visitor) visitor = visitor_new(door);
    g_autofree char *seen =
        g_strdup_printf("connect=%s path=/models", cases[i].connect);

    g_assert_cmpint(visitor_connect(visitor, cases[i].authority), ==, 200);
    visitor_tls(visitor, "api.githubcopilot.com", NULL);
    visitor_ask(visitor, cases[i].host);
    visitor_assert_served(visitor, seen);
  }
}

/* The head in two pieces, cut at every byte; the door has looked at the first
 * before the second comes. */
static void
test_connect_in_pieces(void)
{
  static const char head[] = "CONNECT api.githubcopilot.com:443 HTTP/1.1\r\n"
                             "Host: api.githubcopilot.com:443\r\n"
                             "Proxy-Connection: keep-alive\r\n\r\n";
  g_autoptr(Door) door = door_new(NULL, NULL);

  for (size_t cut = 1; cut < sizeof head - 1; cut++) {
    g_autoptr(Visitor) visitor = visitor_new(door);

    visitor_write_len(visitor, head, cut);
    for (unsigned i = 0; i < 3; i++)
      visitor_turn(visitor);
    g_assert_cmpuint(visitor->got->len, ==, 0);
    visitor_write(visitor, head + cut);
    visitor_until(visitor, strstr(visitor->got->str, "\r\n\r\n"));
    g_assert_cmpint(visitor_status(visitor), ==, 200);
    if (cut % 16 == 0) {
      visitor_tls(visitor, "api.githubcopilot.com", NULL);
      visitor_ask(visitor, "api.githubcopilot.com");
      visitor_assert_served(visitor, "connect=api.githubcopilot.com");
    }
  }
}

static void
test_connect_byte_by_byte(void)
{
  static const char head[] = "CONNECT api.githubcopilot.com:443 HTTP/1.1\r\n"
                             "Host: api.githubcopilot.com:443\r\n\r\n";
  g_autoptr(Door) door = door_new(NULL, NULL);
  g_autoptr(Visitor) visitor = visitor_new(door);

  for (const char *at = head; *at; at++) {
    visitor_write_len(visitor, at, 1);
    visitor_turn(visitor);
  }
  visitor_until(visitor, strstr(visitor->got->str, "\r\n\r\n"));
  g_assert_cmpint(visitor_status(visitor), ==, 200);
}

static void
test_connect_with_hello(void)
{
  g_autoptr(Door) door = door_new(NULL, NULL);
  g_autoptr(Visitor) visitor = visitor_new(door);

  visitor_tls(visitor,
              "api.githubcopilot.com",
              "CONNECT api.githubcopilot.com:443 HTTP/1.1\r\n"
              "Host: api.githubcopilot.com:443\r\n\r\n");
  visitor_ask(visitor, "api.githubcopilot.com");
  visitor_assert_served(visitor, "connect=api.githubcopilot.com");
}

/* Data that came before the socket was accepted, and all of it at once. */
static void
test_early_bytes(void)
{
  FrontOptions options = door_options();
  g_autoptr(Door) door = NULL;
  g_autoptr(Visitor) visitor = NULL;

  options.plain_base_url = true;
  door = door_new(&options, NULL);
  visitor = visitor_new(door);
  visitor_ask_here(visitor);
  g_assert_cmpint(shutdown(visitor->fd, SHUT_WR), ==, 0);
  visitor_until(visitor, door->begun == 1);
}

static void
test_http10_connect(void)
{
  g_autoptr(Door) door = door_new(NULL, NULL);
  g_autoptr(Visitor) visitor = visitor_new(door);

  visitor_write(visitor, "CONNECT api.githubcopilot.com:443 HTTP/1.0\r\n\r\n");
  visitor_until(visitor, strstr(visitor->got->str, "\r\n\r\n"));
  g_assert_cmpint(visitor_status(visitor), ==, 200);
}

/* ---- Tunnels
 * -------------------------------------------------------------------------- */

static void
test_tunnel(void)
{
  static const struct {
    const char *authority, *host;
    uint16_t port;
  } cases[] = {
      {"example.com:443", "example.com", 443},
      {"github.com:443", "github.com", 443},
      {"api.github.com:443", "api.github.com", 443},
      {"evilgithubcopilot.com:443", "evilgithubcopilot.com", 443},
      {"githubcopilot.com.evil.com:443", "githubcopilot.com.evil.com", 443},
      {"example.com.:80", "example.com", 80},
      {"[2001:db8::1]:22", "2001:db8::1", 22},
      {"127.0.0.1:1", "127.0.0.1", 1},
      {"localhost:1", "localhost", 1},
  };
  g_autoptr(Door) door = door_new(NULL, NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Visitor) visitor = visitor_new(door);
    const Tunnel *tunnel;
    char bytes[16] = "";

    visitor_print(visitor,
                  "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\nearly",
                  cases[i].authority);
    visitor_until(visitor, door->tunnels->len == 1);
    tunnel = door->tunnels->pdata[0];
    g_assert_cmpstr(tunnel->host, ==, cases[i].host);
    g_assert_cmpuint(tunnel->port, ==, cases[i].port);
    /* Neither more nor less than the head was taken from the socket. */
    g_assert_cmpint(recv(tunnel->fd, bytes, sizeof bytes, 0), ==, 5);
    g_assert_cmpstr(bytes, ==, "early");
    door_end_tunnel(door);
  }
  g_assert_cmpuint(door->refused->len, ==, 0);
}

/* ---- Plain HTTP
 * -------------------------------------------------------------------------- */

static void
test_plain(void)
{
  FrontOptions options = door_options();

  for (unsigned i = 0; i < 2; i++) {
    g_autoptr(Door) door = NULL;
    g_autoptr(Visitor) visitor = NULL;

    options.plain_base_url = i == 1;
    door = door_new(&options, NULL);
    visitor = visitor_new(door);
    visitor_ask_here(visitor);
    if (options.plain_base_url) {
      visitor_assert_served(visitor,
                            "connection=copilot connect=- path=/models");
      g_assert_nonnull(strstr(visitor->got->str, " tls=0"));
      continue;
    }
    g_assert_cmpint(visitor_answer(visitor), ==, 400);
    g_assert_nonnull(strstr(visitor->got->str, "use https://"));
    g_assert_nonnull(strstr(visitor->got->str, "x-github-request-id: "));
    door_assert_refused(door, "this port speaks TLS and CONNECT");
    g_assert_cmpuint(door->begun, ==, 0);
  }
}

/* Whatever the configuration says, and with a body that is still on its way
 * when the answer goes out: the answer arrives whole, no reset overtakes it. */
static void
test_plain_inside_connect(void)
{
  FrontOptions options = door_options();
  g_autofree char *body = g_strnfill(200000, 'b');
  g_autoptr(Door) door = NULL;

  options.plain_base_url = true;
  door = door_new(&options, NULL);
  for (unsigned i = 0; i < 20; i++) {
    g_autoptr(Visitor) visitor = visitor_new(door);

    g_assert_cmpint(
        visitor_connect(visitor, "api.githubcopilot.com:443"), ==, 200);
    visitor_write(visitor,
                  "POST /chat/completions HTTP/1.1\r\n"
                  "Host: api.githubcopilot.com\r\n"
                  "Content-Length: 200000\r\n\r\n");
    visitor_turn(visitor);
    visitor_write(visitor, body);
    g_assert_cmpint(visitor_answer(visitor), ==, 400);
    visitor_until(visitor, visitor->eof);
    g_assert_false(visitor->reset);
    door_assert_refused(door, "plain HTTP inside a CONNECT");
  }
  g_assert_cmpuint(door->begun, ==, 0);
}

/* ---- Ourselves
 * ---------------------------------------------------------------------------
 */

static void
test_self(void)
{
  static const char *const names[] = {"127.0.0.1", "[::1]", "localhost"};
  FrontOptions options = door_options();
  g_autoptr(Door) door = NULL;

  options.plain_base_url = true;
  door = door_new(&options, NULL);
  for (unsigned i = 0; i < 2 * G_N_ELEMENTS(names); i++) {
    g_autofree char *authority =
        g_strdup_printf("%s:%u", names[i / 2], front_port(door->front));
    g_autoptr(Visitor) visitor = visitor_new(door);

    g_assert_cmpint(visitor_connect(visitor, authority), ==, 200);
    if (i % 2)
      visitor_tls(visitor, NULL, NULL);
    visitor_ask(visitor, authority);
    visitor_assert_served(visitor, "connect=- path=/models");
  }
  g_assert_cmpuint(door->tunnels->len, ==, 0);
}

/* Names for ourselves that no certificate of ours may hold. */
static void
test_self_otherwise(void)
{
  static const char *const names[] = {"127.0.0.2",
                                      "0.0.0.0",
                                      "[::]",
                                      "[::ffff:127.0.0.1]",
                                      "[0:0:0:0:0:ffff:0:0]",
                                      "127.255.255.254"};
  g_autoptr(Door) door = door_new(NULL, NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *authority =
        g_strdup_printf("%s:%u", names[i], front_port(door->front));
    g_autoptr(Visitor) visitor = visitor_new(door);

    if (visitor_connect(visitor, authority) != 400)
      g_error("%s: %s", authority, visitor->got->str);
    door_assert_refused(door, "hoop-agent itself");
  }
  g_assert_cmpuint(door->tunnels->len, ==, 0);
}

static void
test_connect_in_connect(void)
{
  g_autoptr(Door) door = door_new(NULL, NULL);
  g_autofree char *self =
      g_strdup_printf("127.0.0.1:%u", front_port(door->front));
  const char *outer[] = {"api.githubcopilot.com:443", self};

  for (unsigned i = 0; i < G_N_ELEMENTS(outer); i++) {
    g_autoptr(Visitor) visitor = visitor_new(door);

    g_assert_cmpint(visitor_connect(visitor, outer[i]), ==, 200);
    g_assert_cmpint(visitor_connect(visitor, "example.com:443"), ==, 400);
    door_assert_refused(door, "a CONNECT in a CONNECT");
  }
  g_assert_cmpuint(door->tunnels->len, ==, 0);
}

/* The same in one segment, often enough to eat a stack. */
static void
test_connect_storm(void)
{
  g_autoptr(Door) door = door_new(NULL, NULL);
  g_autoptr(Visitor) visitor = visitor_new(door);
  GString *storm = g_string_new(NULL);

  for (unsigned i = 0; i < 2000; i++)
    g_string_append_printf(storm,
                           "CONNECT [::1]:%u HTTP/1.1\r\nHost: a\r\n\r\n",
                           front_port(door->front));
  visitor_write(visitor, storm->str);
  visitor_until(visitor, visitor->eof);
  g_assert_cmpint(visitor_status(visitor), ==, 200);
  g_assert_nonnull(strstr(visitor->got->str, "HTTP/1.1 400 "));
  door_assert_refused(door, "a CONNECT in a CONNECT");
  g_string_free(storm, TRUE);
}

/* A host that is governed now and was not when the CA was made. */
static void
test_outside_the_ca(void)
{
  g_autoptr(Door) door =
      door_new(NULL, "[connection \"copilot\"]\nhosts=copilot.example.com\n");
  g_autoptr(Visitor) visitor = visitor_new(door);

  g_assert_cmpint(visitor_connect(visitor, "copilot.example.com:443"), ==, 200);
  visitor_tls(visitor, "copilot.example.com", NULL);
  g_assert_true(visitor->eof);
  door_assert_refused(door, "hoop-agent ca rotate");
}

/* ---- Nonsense
 * ------------------------------------------------------------------------------
 */

static void
test_bad_connects(void)
{
  static const struct {
    const char *text;
    int status;
  } cases[] = {
      {"CONNECT example.com HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT example.com: HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT example.com:0 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT example.com:65536 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT example.com:+1 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT :443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT ::1:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT [::1:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT https://example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT u@example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT example.com:443 HTTP/1.1\r\n\r\n", 400},
      {"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"CONNECT example.com:443 HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"CONNECT example.com:443 HTTP/1.1\nHost: a\n\n", 400},
      {"CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\n"
       "Content-Length: 3\r\n\r\nabc",
       400},
      {"CONNECT  example.com:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
  };
  g_autoptr(Door) door = door_new(NULL, NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Visitor) visitor = visitor_new(door);
    g_autofree char *why = NULL;

    visitor_write(visitor, cases[i].text);
    if (visitor_answer(visitor) != cases[i].status)
      g_error("%s: %s", cases[i].text, visitor->got->str);
    visitor_until(visitor, visitor->eof);
    g_assert_false(visitor->reset);
    why = door_refusal(door);
    g_assert_nonnull(why);
  }
  g_assert_cmpuint(door->tunnels->len, ==, 0);
}

static void
connect_of_size(Visitor *visitor, size_t size)
{
  static const char start[] =
      "CONNECT example.com:443 HTTP/1.1\r\nHost: a\r\nX-Pad: ";
  g_autofree char *pad = g_strnfill(size - (sizeof start - 1) - 4, 'x');

  visitor_print(visitor, "%s%s\r\n\r\n", start, pad);
}

static void
test_head_sizes(void)
{
  static const size_t maxima[] = {8192, 65536};

  for (unsigned i = 0; i < G_N_ELEMENTS(maxima); i++) {
    FrontOptions options = door_options();
    g_autoptr(Door) door = NULL;
    g_autoptr(Visitor) fits = NULL;
    g_autoptr(Visitor) exceeds = NULL;

    options.http.max_head = maxima[i];
    door = door_new(&options, NULL);
    fits = visitor_new(door);
    exceeds = visitor_new(door);
    connect_of_size(fits, maxima[i]);
    visitor_until(fits, door->tunnels->len == 1);
    connect_of_size(exceeds, maxima[i] + 1);
    g_assert_cmpint(visitor_answer(exceeds), ==, 431);
    door_assert_refused(door, "too large");
    g_assert_cmpuint(door->tunnels->len, ==, 1);
  }
}

/* ---- host:port
 * --------------------------------------------------------------------------------
 */

static void
test_split(void)
{
  static const struct {
    const char *text, *host;
    uint16_t port;
  } cases[] = {
      {"a:1", "a", 1},
      {"example.com:443", "example.com", 443},
      {"example.com.:443", "example.com", 443},
      {"example.com..:443", "example.com.", 443},
      {".:1", ".", 1},
      {"[::1]:65535", "::1", 65535},
      {"example.com", NULL, 0},
      {"example.com:", NULL, 0},
      {"example.com:0", NULL, 0},
      {"example.com:65536", NULL, 0},
      {"example.com:4 3", NULL, 0},
      {"example.com:-1", NULL, 0},
      {":443", NULL, 0},
      {"::1:443", NULL, 0},
      {"[]:443", NULL, 0},
      {"[:443", NULL, 0},
      {"]:443", "]", 443},
      {"", NULL, 0},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *host = NULL;
    uint16_t port = 0;

    if (split_authority(cases[i].text, &host, &port) != !!cases[i].host ||
        g_strcmp0(host, cases[i].host) != 0 || port != cases[i].port)
      g_error("%s: %s %u", cases[i].text, host, port);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_) g_test_add_func("/front/knock/" name_, func_)
  ADD("tls", test_tls);
  ADD("connect", test_connect);
  ADD("connect-in-pieces", test_connect_in_pieces);
  ADD("connect-byte-by-byte", test_connect_byte_by_byte);
  ADD("connect-with-hello", test_connect_with_hello);
  ADD("early-bytes", test_early_bytes);
  ADD("http10-connect", test_http10_connect);
  ADD("tunnel", test_tunnel);
  ADD("plain", test_plain);
  ADD("plain-inside-connect", test_plain_inside_connect);
  ADD("self", test_self);
  ADD("self-otherwise", test_self_otherwise);
  ADD("connect-in-connect", test_connect_in_connect);
  ADD("connect-storm", test_connect_storm);
  ADD("outside-the-ca", test_outside_the_ca);
  ADD("bad-connects", test_bad_connects);
  ADD("head-sizes", test_head_sizes);
  ADD("split", test_split);
#undef ADD
  return g_test_run();
}
