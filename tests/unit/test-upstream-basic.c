/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that succeed: methods, headers, bodies, framing and the reuse of
 * connections. */
#include "tests/unit/upstream-harness.h"

#include <string.h>

/* Answers every request with what it was sent. */
static void
echo(Session *session, void *data)
{
  const char *head;
  size_t len;

  (void)data;
  while ((head = session_request(session, &len)) != NULL) {
    size_t head_len = (size_t)(session_body(session) - head);

    if (!session_print(session,
                       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
                       head_len + len) ||
        !session_send(session, head, head_len + len))
      return;
  }
}

static void
test_get(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = echo});
  g_autoptr(Call) call = call_run(
      fixture,
      server_port(server),
      &(Ask){.path = "/a/../b/%2e%2E/./c?x=%20y&z", .headers = "X-A: 1\nX-B:"});
  g_autofree char *want =
      g_strdup_printf("GET /a/../b/%%2e%%2E/./c?x=%%20y&z HTTP/1.1\r\n"
                      "Host: good.test:%u\r\nX-A: 1\r\nX-B:\r\n\r\n",
                      server_port(server));
  g_autofree char *got = g_strndup((char *)call->body->data, call->body->len);

  g_assert_no_error(call->error);
  g_assert_cmpint(call->status, ==, 200);
  g_assert_cmpstr(got, ==, want);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/basic/get", test_get);
  return g_test_run();
}
