/* SPDX-License-Identifier: Apache-2.0 */
/* URLs, host names, no-proxy lists and response heads, without any network. */
#include "upstream/head.h"
#include "upstream/target.h"
#include "upstream/upstream.h"

#include <string.h>

static void
test_url(void)
{
  static const struct {
    const char *url, *host, *origin, *path;
    uint16_t port;
    bool ip;
  } cases[] = {
      {"https://api.githubcopilot.com/chat/completions",
       "api.githubcopilot.com",
       "https://api.githubcopilot.com:443/",
       "/chat/completions",
       443,
       false},
      {"https://API.Example.COM./",
       "api.example.com",
       "https://api.example.com:443/",
       "/",
       443,
       false},
      {"https://a_b-c.d:8443",
       "a_b-c.d",
       "https://a_b-c.d:8443/",
       "/",
       8443,
       false},
      {"https://localhost:1/x?y=z",
       "localhost",
       "https://localhost:1/",
       "/x?y=z",
       1,
       false},
      {"https://10.1.2.3/%00",
       "10.1.2.3",
       "https://10.1.2.3:443/",
       "/%00",
       443,
       true},
      {"https://[2001:DB8::1]:65535?q",
       "2001:db8::1",
       "https://[2001:db8::1]:65535/",
       "/?q",
       65535,
       true},
      {"https://1.example/",
       "1.example",
       "https://1.example:443/",
       "/",
       443,
       false},
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Target) target = {0};
    g_autoptr(GError) error = NULL;

    g_test_message("%s", cases[i].url);
    g_assert_true(target_parse(&target, cases[i].url, false, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(target.host, ==, cases[i].host);
    g_assert_cmpstr(target.origin, ==, cases[i].origin);
    g_assert_cmpstr(target.path, ==, cases[i].path);
    g_assert_cmpuint(target.port, ==, cases[i].port);
    g_assert_cmpint(target.ip, ==, cases[i].ip);
  }
}

static void
test_plain(void)
{
  static const struct {
    const char *url, *origin; /* NULL: refused */
  } cases[] = {
      {"http://127.0.0.1:4318/v1/logs", "http://127.0.0.1:4318/"},
      {"http://[::1]/", "http://[::1]:80/"},
      {"http://localhost:1/", "http://localhost:1/"},
      {"https://collector.example/", "https://collector.example:443/"},
      {"http://collector.example/", NULL},
      {"http://127.0.0.1.example/", NULL},
      {"http://127.x/", NULL},
      {"http://10.0.0.1/", NULL},
      {"http://localhost.example/", NULL},
      {"http://user@127.0.0.1/", NULL},
      {"ftp://127.0.0.1/", NULL},
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Target) target = {0};

    g_test_message("%s", cases[i].url);
    g_assert_cmpint(target_parse(&target, cases[i].url, true, NULL),
                    ==,
                    cases[i].origin != NULL);
    g_assert_cmpstr(target.origin, ==, cases[i].origin);
  }
}

/* The refused ones are in test-upstream-basic.c, through upstream_send(). */
static void
test_long_names(void)
{
  g_autofree char *label = g_strnfill(64, 'a');
  g_autofree char *letters = g_strnfill(260, 'a');
  bool ip;

  for (size_t i = 30; i < 260; i += 31)
    letters[i] = '.';
  g_assert_null(host_normalize(label, -1, &ip));
  g_assert_null(host_normalize(letters, -1, &ip));
  g_assert_null(host_normalize("a\0b", 3, &ip));
  g_assert_null(host_normalize(".", -1, &ip));
  g_assert_null(host_normalize("", -1, &ip));
  g_assert_null(host_normalize("[]", -1, &ip));
}

static void
test_no_proxy(void)
{
  static const struct {
    const char *list, *host;
    bool ip, matches;
  } cases[] = {
      {NULL, "a.example", false, false},
      {"", "a.example", false, false},
      {"*", "a.example", false, true},
      {"*", "10.0.0.1", true, true},
      {"b.example,*", "a.example", false, true},
      {"a.example", "a.example", false, true},
      {"A.Example", "a.example", false, true},
      {"example", "a.example", false, true},
      {".example", "a.example", false, true},
      {".example", "example", false, true},
      {"a.example.", "a.example", false, true},
      {"xample", "a.example", false, false},
      {"a.example", "b.a.example", false, true},
      {"a.example", "ba.example", false, false},
      {"b.a.example", "a.example", false, false},
      {" b.example ,\ta.example ", "a.example", false, true},
      {"b.example a.example", "a.example", false, true},
      {"*.example", "a.example", false, false},
      {".", "a.example", false, false},
      {"10.0.0.1", "10.0.0.1", true, true},
      {"10.0.0.1", "10.0.0.11", true, false},
      {"0.0.1", "10.0.0.1", true, false},
      {"10.0.0.0/8", "10.200.3.4", true, true},
      {"10.0.0.0/8", "11.0.0.1", true, false},
      {"192.168.16.0/20", "192.168.31.255", true, true},
      {"192.168.16.0/20", "192.168.32.0", true, false},
      {"10.0.0.0/33", "10.0.0.0", true, false},
      {"10.0.0.0/", "10.0.0.0", true, false},
      {"10.0.0.0/x", "10.0.0.0", true, false},
      {"0.0.0.0/0", "1.2.3.4", true, true},
      {"::1", "::1", true, true},
      {"0:0::1", "::1", true, true},
      {"2001:db8::/32", "2001:db8:1::1", true, true},
      {"2001:db8::/32", "2001:db9::1", true, false},
      {"fe80::/10", "febf::1", true, true},
      {"::/0", "10.0.0.1", true, false},
      {"10.0.0.1", "a.example", false, false},
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_test_message("%s: %s", cases[i].list, cases[i].host);
    g_assert_cmpint(no_proxy_matches(cases[i].list, cases[i].host, cases[i].ip),
                    ==,
                    cases[i].matches);
  }
}

/* Feeds a head line by line. */
static const char *
feed(Head *head, const char *const *lines)
{
  bool final = false;
  const char *fault = NULL;

  for (; *lines != NULL && fault == NULL && !final; lines++)
    fault = head_line(head, *lines, strlen(*lines), &final);
  return fault;
}

static void
test_close_delimited(void)
{
  static const struct {
    const char *lines[4];
    bool head_request, open;
  } cases[] = {
      {{"HTTP/1.1 200 OK\r\n", "\r\n"}, false, true},
      {{"HTTP/1.0 200 OK\n", "\n"}, false, true},
      {{"HTTP/1.1 200 OK\r\n", "\r\n"}, true, false},
      {{"HTTP/1.1 204 OK\r\n", "\r\n"}, false, false},
      {{"HTTP/1.1 304 OK\r\n", "\r\n"}, false, false},
      {{"HTTP/2 200 \r\n", "\r\n"}, false, false},
      {{"HTTP/1.1 200 OK\r\n", "Content-Length: 0\r\n", "\r\n"}, false, false},
      {{"HTTP/1.1 200 OK\r\n", "transfer-encoding: Chunked\r\n", "\r\n"},
       false,
       false},
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    Head head = {0};

    g_assert_cmpstr(feed(&head, cases[i].lines), ==, NULL);
    g_assert_true(head.complete);
    g_assert_cmpint(head_is_close_delimited(&head, cases[i].head_request),
                    ==,
                    cases[i].open);
    head_clear(&head);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/target/plain", test_plain);
  g_test_add_func("/upstream/target/url", test_url);
  g_test_add_func("/upstream/target/long-names", test_long_names);
  g_test_add_func("/upstream/target/no-proxy", test_no_proxy);
  g_test_add_func("/upstream/head/close-delimited", test_close_delimited);
  return g_test_run();
}
