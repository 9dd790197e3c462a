/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a caller's look-up: told once, by it or after a while, and not
 * at all when it waits no more. */
#include "exchange/exchange.h"

typedef struct {
  Loop *loop;
  Caller *caller;
  unsigned told;
} Fixture;

static void
set_up(Fixture *f, gconstpointer data)
{
  (void)data;
  f->loop = loop_new(NULL);
  f->caller = caller_new(1000);
}

static void
tear_down(Fixture *f, gconstpointer data)
{
  (void)data;
  caller_unref(f->caller);
  loop_free(f->loop);
}

static void
told(void *data)
{
  ((Fixture *)data)->told++;
}

/* How long it took, in ms, until somebody was told; at most `most`. */
static int64_t
wait_for(Fixture *f, int64_t most)
{
  int64_t began = g_get_monotonic_time();
  int64_t took = 0;

  while (!f->told && took < most) {
    loop_iterate(f->loop, 10);
    took = (g_get_monotonic_time() - began) / 1000;
  }
  return took;
}

static char **
names(void)
{
  return g_strsplit("/usr/bin/node,/usr/bin/bash", ",", -1);
}

static void
test_found(Fixture *f, gconstpointer data)
{
  (void)data;
  caller_wait(f->caller, f->loop, told, f);
  caller_resolve(f->caller, 42, names());
  g_assert_cmpuint(f->told, ==, 1);
  g_assert_cmpint(f->caller->pid, ==, 42);
  f->told = 0;
  g_assert_cmpint(wait_for(f, CALLER_WAIT_MS + 200), >=, CALLER_WAIT_MS + 200);
}

/* Late: who waited went on without, and is not told twice. */
static void
test_never_found(Fixture *f, gconstpointer data)
{
  int64_t took;

  (void)data;
  caller_wait(f->caller, f->loop, told, f);
  took = wait_for(f, 20 * CALLER_WAIT_MS);
  g_assert_cmpuint(f->told, ==, 1);
  g_assert_cmpint(took, >=, CALLER_WAIT_MS - 1);
  g_assert_false(f->caller->resolved);
  g_assert_null(f->caller->processes);
  caller_resolve(f->caller, 42, names());
  g_assert_cmpuint(f->told, ==, 1);
  g_assert_cmpstr(f->caller->processes[0], ==, "/usr/bin/node");
}

static void
test_forgotten(Fixture *f, gconstpointer data)
{
  int other;

  (void)data;
  caller_wait(f->caller, f->loop, told, f);
  caller_forget(f->caller, &other); /* another one's */
  caller_forget(f->caller, f);
  g_assert_cmpint(wait_for(f, CALLER_WAIT_MS + 200), >=, CALLER_WAIT_MS + 200);
  caller_resolve(f->caller, -1, NULL);
  g_assert_cmpuint(f->told, ==, 0);
}

/* The next request of the same connection waits anew. */
static void
test_again(Fixture *f, gconstpointer data)
{
  (void)data;
  caller_wait(f->caller, f->loop, told, f);
  caller_forget(f->caller, f);
  caller_wait(f->caller, f->loop, told, f);
  caller_resolve(f->caller, 42, names());
  g_assert_cmpuint(f->told, ==, 1);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define TEST(name, func)                                                       \
  g_test_add("/exchange/caller/" name, Fixture, NULL, set_up, func, tear_down)
  TEST("found", test_found);
  TEST("never-found", test_never_found);
  TEST("forgotten", test_forgotten);
  TEST("again", test_again);
  return g_test_run();
}
