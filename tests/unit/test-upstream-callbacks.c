/* SPDX-License-Identifier: Apache-2.0 */
/* What an owner may do inside its callbacks: start requests, cancel its own
 * and others. */
#include "tests/unit/upstream-harness.h"

typedef struct {
  Fixture *fixture;
  uint16_t port;
  Call *second;
} Nested;

static void
start_second(Call *call)
{
  Nested *nested = call->data;

  if (nested->second->request == NULL && !nested->second->done)
    call_start(nested->second, nested->fixture, nested->port, NULL);
}

static bool
start_second_in_body(Call *call)
{
  start_second(call);
  return true;
}

/* A request may be started in any callback of another one. */
static void
test_send_inside(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_echo});

  for (int where = 0; where < 3; where++) {
    g_autoptr(Call) first = call_new();
    g_autoptr(Call) second = call_new();
    Nested nested = {fixture, server_port(server), second};

    first->data = &nested;
    if (where == 0)
      first->on_head = start_second;
    else if (where == 1)
      first->on_body = start_second_in_body;
    else
      first->on_done = start_second;
    call_start(first, fixture, server_port(server), NULL);
    call_wait(first, fixture);
    call_wait(second, fixture);
    g_assert_no_error(first->error);
    g_assert_no_error(second->error);
  }
}

static void
cancel_it(Call *call)
{
  upstream_request_cancel(g_steal_pointer(&call->request));
}

static bool
cancel_in_body(Call *call)
{
  cancel_it(call);
  return true;
}

static void
cancel_second(Call *call)
{
  Nested *nested = call->data;

  if (nested->second->request != NULL)
    cancel_it(nested->second);
}

static bool
cancel_second_in_body(Call *call)
{
  cancel_second(call);
  return true;
}

static void
after_done(Call *call)
{
  upstream_request_resume(call->data);
  upstream_request_cancel(call->data);
}

/* Cancelled requests are not told anything any more. */
static void
test_cancel_inside(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_echo});
  g_autoptr(Call) head = call_new();
  g_autoptr(Call) body = call_new();
  g_autoptr(Call) done = call_new();

  head->on_head = cancel_it;
  body->on_body = cancel_in_body;
  done->on_done = after_done;
  call_start(head, fixture, server_port(server), NULL);
  call_start(body, fixture, server_port(server), NULL);
  call_start(done, fixture, server_port(server), NULL);
  done->data = done->request;
  call_wait(done, fixture);
  while (head->heads == 0 || body->body_len == 0)
    loop_iterate(fixture->loop, 100);
  run_for(fixture->loop, 50);
  g_assert_false(head->done);
  g_assert_cmpuint(head->body_len, ==, 0);
  g_assert_false(body->done);
  g_assert_no_error(done->error);
}

static void
test_cancel_another(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_echo});

  for (int where = 0; where < 3; where++) {
    g_autoptr(Call) first = call_new();
    g_autoptr(Call) second = call_new();
    Nested nested = {fixture, server_port(server), second};

    first->data = &nested;
    if (where == 0)
      first->on_head = cancel_second;
    else if (where == 1)
      first->on_body = cancel_second_in_body;
    else
      first->on_done = cancel_second;
    call_start(first, fixture, server_port(server), NULL);
    call_start(second, fixture, server_port(server), NULL);
    call_wait(first, fixture);
    run_for(fixture->loop, 20);
    g_assert_no_error(first->error);
    g_assert_true(second->done || second->request == NULL);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/callbacks/send", test_send_inside);
  g_test_add_func("/upstream/callbacks/cancel", test_cancel_inside);
  g_test_add_func("/upstream/callbacks/cancel-another", test_cancel_another);
  return g_test_run();
}
