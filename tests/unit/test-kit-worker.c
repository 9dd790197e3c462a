/* SPDX-License-Identifier: Apache-2.0 */
/* The worker pool: jobs run elsewhere and report here, the queue is bounded,
 * and freeing the pool leaves nothing undone. */

#include "kit/worker.h"

#include <pthread.h>
#include <signal.h>

#define JOBS 5000
#define QUEUE 16
/* Milliseconds for one round of a loop that waits for something. */
#define PATIENCE_MS 20000

typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t cond;
  bool open;
  int waiting;
} Gate;

static void
gate_init(Gate *gate)
{
  pthread_mutex_init(&gate->lock, NULL);
  pthread_cond_init(&gate->cond, NULL);
  gate->open = false;
  gate->waiting = 0;
}

static void
gate_clear(Gate *gate)
{
  pthread_mutex_destroy(&gate->lock);
  pthread_cond_destroy(&gate->cond);
}

static void
gate_pass(Gate *gate)
{
  pthread_mutex_lock(&gate->lock);
  gate->waiting++;
  pthread_cond_broadcast(&gate->cond);
  while (!gate->open)
    pthread_cond_wait(&gate->cond, &gate->lock);
  pthread_mutex_unlock(&gate->lock);
}

static void
gate_open_after(Gate *gate, int waiting)
{
  pthread_mutex_lock(&gate->lock);
  while (gate->waiting < waiting)
    pthread_cond_wait(&gate->cond, &gate->lock);
  gate->open = true;
  pthread_cond_broadcast(&gate->cond);
  pthread_mutex_unlock(&gate->lock);
}

typedef struct {
  Loop *loop;
  pthread_t home;
  Gate gate;
  int done;
  int cancelled;
  sigset_t mask;
} Context;

typedef struct {
  Context *context;
  int in;
  int out;
} Square;

static void
context_init(Context *c)
{
  *c = (Context){.loop = loop_new(NULL), .home = pthread_self()};
  gate_init(&c->gate);
}

static void
context_clear(Context *c)
{
  loop_free(c->loop);
  gate_clear(&c->gate);
}

static void
square(void *data)
{
  Square *s = data;

  g_assert_false(pthread_equal(pthread_self(), s->context->home));
  s->out = s->in * s->in;
}

static void
square_done(void *data, bool cancelled)
{
  Square *s = data;

  g_assert_true(pthread_equal(pthread_self(), s->context->home));
  g_assert_false(cancelled);
  g_assert_cmpint(s->out, ==, s->in * s->in);
  s->context->done++;
  g_free(s);
}

/* Every job that was taken is done once, here; a full queue takes nothing. */
static void
test_jobs(void)
{
  g_autoptr(WorkerPool) pool = worker_pool_new(4, QUEUE);
  int taken = 0;
  Context c;

  context_init(&c);
  while (taken < JOBS) {
    Square *s = g_new(Square, 1);

    *s = (Square){&c, taken, -1};
    if (worker_run(pool, c.loop, square, square_done, s)) {
      taken++;
    } else {
      g_free(s);
      loop_iterate(c.loop, PATIENCE_MS);
    }
  }
  while (c.done < taken)
    loop_iterate(c.loop, PATIENCE_MS);
  g_assert_cmpint(c.done, ==, JOBS);
  g_clear_pointer(&pool, worker_pool_free);
  context_clear(&c);
}

static void
wait_at_gate(void *data)
{
  gate_pass(&((Context *)data)->gate);
}

static void
count_done(void *data, bool cancelled)
{
  Context *c = data;

  g_assert_true(pthread_equal(pthread_self(), c->home));
  c->done += !cancelled;
  c->cancelled += cancelled;
}

/* Waits until `n` jobs stand at the gate. */
static void
until_waiting(Context *c, int n)
{
  pthread_mutex_lock(&c->gate.lock);
  while (c->gate.waiting < n)
    pthread_cond_wait(&c->gate.cond, &c->gate.lock);
  pthread_mutex_unlock(&c->gate.lock);
}

static void
test_full_queue(void)
{
  g_autoptr(WorkerPool) pool = worker_pool_new(1, 2);
  Context c;

  context_init(&c);
  g_assert_true(worker_run(pool, c.loop, wait_at_gate, count_done, &c));
  until_waiting(&c, 1);
  /* One runs and two wait: the next is refused, each time. */
  g_assert_true(worker_run(pool, c.loop, wait_at_gate, count_done, &c));
  g_assert_true(worker_run(pool, c.loop, wait_at_gate, count_done, &c));
  for (int i = 0; i < 3; i++)
    g_assert_false(worker_run(pool, c.loop, wait_at_gate, count_done, &c));
  gate_open_after(&c.gate, 1);
  while (c.done < 3)
    loop_iterate(c.loop, PATIENCE_MS);
  g_assert_true(worker_run(pool, c.loop, wait_at_gate, count_done, &c));
  while (c.done < 4)
    loop_iterate(c.loop, PATIENCE_MS);
  g_assert_cmpint(c.cancelled, ==, 0);
  g_clear_pointer(&pool, worker_pool_free);
  context_clear(&c);
}

static void *
open_gate_later(void *data)
{
  Context *c = data;

  /* Long enough that the pool is surely being freed, which is what this is
   * about; any other order passes as well. */
  g_usleep(20000);
  gate_open_after(&c->gate, 2);
  return NULL;
}

/* Freeing waits for the running jobs and cancels the waiting ones. */
static void
test_cancel_on_free(void)
{
  WorkerPool *pool = worker_pool_new(2, QUEUE);
  pthread_t opener;
  Context c;

  context_init(&c);
  for (int i = 0; i < 2; i++)
    g_assert_true(worker_run(pool, c.loop, wait_at_gate, count_done, &c));
  until_waiting(&c, 2);
  for (int i = 0; i < 5; i++)
    g_assert_true(worker_run(pool, c.loop, wait_at_gate, count_done, &c));
  pthread_create(&opener, NULL, open_gate_later, &c);
  worker_pool_free(pool);
  pthread_join(opener, NULL);
  g_assert_cmpint(c.cancelled, ==, 5);
  g_assert_cmpint(c.done, ==, 0);
  loop_iterate(c.loop, 0);
  g_assert_cmpint(c.done, ==, 2);
  context_clear(&c);
}

static void
read_mask(void *data)
{
  pthread_sigmask(SIG_BLOCK, NULL, &((Context *)data)->mask);
}

static void
test_signals_blocked(void)
{
  static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1};
  g_autoptr(WorkerPool) pool = worker_pool_new(1, 1);
  sigset_t here;
  Context c;

  context_init(&c);
  g_assert_true(worker_run(pool, c.loop, read_mask, count_done, &c));
  while (c.done < 1)
    loop_iterate(c.loop, PATIENCE_MS);
  pthread_sigmask(SIG_BLOCK, NULL, &here);
  for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
    g_assert_true(sigismember(&c.mask, signals[i]));
    g_assert_false(sigismember(&here, signals[i]));
  }
  g_clear_pointer(&pool, worker_pool_free);
  context_clear(&c);
}

static void
meet(void *data)
{
  Context *c = data;

  gate_pass(&c->gate);
}

/* As many jobs run at once as there are threads. */
static void
test_threads(void)
{
  g_autoptr(WorkerPool) pool = worker_pool_new(3, QUEUE);
  Context c;

  context_init(&c);
  for (int i = 0; i < 3; i++)
    g_assert_true(worker_run(pool, c.loop, meet, count_done, &c));
  gate_open_after(&c.gate, 3);
  while (c.done < 3)
    loop_iterate(c.loop, PATIENCE_MS);
  g_clear_pointer(&pool, worker_pool_free);
  context_clear(&c);
}

static void
test_free_unused(void)
{
  worker_pool_free(worker_pool_new(64, 1));
  worker_pool_free(NULL);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/worker/jobs", test_jobs);
  g_test_add_func("/kit/worker/full-queue", test_full_queue);
  g_test_add_func("/kit/worker/cancel-on-free", test_cancel_on_free);
  g_test_add_func("/kit/worker/signals-blocked", test_signals_blocked);
  g_test_add_func("/kit/worker/threads", test_threads);
  g_test_add_func("/kit/worker/free-unused", test_free_unused);
  return g_test_run();
}
