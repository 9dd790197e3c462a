/* SPDX-License-Identifier: Apache-2.0 */
/* Two instances on two threads with loops of their own share nothing: what
 * the data thread and the main thread do at the same time. */
#include "tests/unit/upstream-harness.h"

#include <pthread.h>

#define ROUNDS 60
#define AT_ONCE 4

typedef struct {
  Fixture *fixture; /* of this thread alone */
  uint16_t port;
  uint16_t wrong_port; /* there the certificate is bad */
  int done;
} Side;

static void
run_round(Side *side)
{
  Call *calls[AT_ONCE];

  for (int i = 0; i < AT_ONCE; i++) {
    calls[i] = call_new();
    call_start(calls[i],
               side->fixture,
               i == 0 ? side->wrong_port : side->port,
               &(Ask){.method = i % 2 ? "POST" : "GET"});
  }
  for (int i = 0; i < AT_ONCE; i++) {
    call_wait(calls[i], side->fixture);
    if (i == 0)
      assert_error(calls[i], UPSTREAM_ERROR_TLS);
    else
      g_assert_no_error(calls[i]->error);
    call_free(calls[i]);
  }
  side->done++;
}

static void *
run_side(void *data)
{
  Side *side = data;

  for (int i = 0; i < ROUNDS; i++) {
    run_round(side);
    if (i % 20 == 19)
      fixture_restart(side->fixture, NULL);
  }
  return NULL;
}

static void
test_two_threads(void)
{
  g_autoptr(Fixture) main_fixture = fixture_new(NULL);
  g_autoptr(Fixture) data_fixture = fixture_new(NULL);
  g_autoptr(Server) main_server =
      server_new(&(ServerSpec){.leaf = main_fixture->leaf, .run = session_ok});
  g_autoptr(Server) data_server =
      server_new(&(ServerSpec){.leaf = data_fixture->leaf, .run = session_ok});
  Side here = {
      main_fixture, server_port(main_server), server_port(data_server), 0};
  Side there = {
      data_fixture, server_port(data_server), server_port(main_server), 0};
  pthread_t thread;

  g_assert_cmpint(pthread_create(&thread, NULL, run_side, &there), ==, 0);
  run_side(&here);
  pthread_join(thread, NULL);
  g_assert_cmpint(here.done, ==, ROUNDS);
  g_assert_cmpint(there.done, ==, ROUNDS);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/two-threads", test_two_threads);
  return g_test_run();
}
