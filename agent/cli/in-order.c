/* SPDX-License-Identifier: Apache-2.0 */
/* A ring of items: threads take the next one in turn, the owner gets them back
 * from the other end. */
#include "cli/in-order.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

typedef struct {
  void *item;
  bool done;
} Slot;

typedef struct {
  struct in_order *order;
  void *local;
  pthread_t thread;
  bool runs;
} Worker;

/* Items are numbered; number i is in slots[i % room]. */
struct in_order {
  void (*work)(void *item, void *local);
  pthread_mutex_t lock;
  pthread_cond_t fresh, finished;
  Slot *slots;
  unsigned room;
  unsigned long first, next, end; /* oldest inside, next to do, next to put */
  bool ending;
  Worker *workers;
  unsigned n_workers;
};

static void *
run(void *data)
{
  Worker *worker = data;
  InOrder *order = worker->order;

  pthread_mutex_lock(&order->lock);
  for (;;) {
    Slot *slot;

    while (order->next == order->end && !order->ending)
      pthread_cond_wait(&order->fresh, &order->lock);
    if (order->ending)
      break;
    slot = &order->slots[order->next++ % order->room];
    pthread_mutex_unlock(&order->lock);
    order->work(slot->item, worker->local);
    pthread_mutex_lock(&order->lock);
    slot->done = true;
    pthread_cond_signal(&order->finished);
  }
  pthread_mutex_unlock(&order->lock);
  return NULL;
}

static void
start(InOrder *order, Worker *worker, void *local)
{
  sigset_t all, before;

  *worker = (Worker){.order = order, .local = local};
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  worker->runs = pthread_create(&worker->thread, NULL, run, worker) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

InOrder *
in_order_new(void (*work)(void *item, void *local),
             void *const *locals,
             unsigned n_locals,
             unsigned room)
{
  InOrder *order = g_new0(InOrder, 1);
  pthread_condattr_t clock;

  order->work = work;
  order->slots = g_new0(Slot, room);
  order->room = room;
  order->workers = g_new0(Worker, n_locals);
  order->n_workers = n_locals;
  pthread_mutex_init(&order->lock, NULL);
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&order->fresh, NULL);
  pthread_cond_init(&order->finished, &clock);
  pthread_condattr_destroy(&clock);
  for (unsigned i = 0; i < n_locals; i++)
    start(order, &order->workers[i], locals[i]);
  /* Fewer threads will do; without any nothing would ever be done. */
  if (!order->workers[0].runs)
    g_error("no thread can be started");
  return order;
}

void
in_order_free(InOrder *order, void (*drop)(void *item))
{
  if (!order)
    return;
  pthread_mutex_lock(&order->lock);
  order->ending = true;
  pthread_cond_broadcast(&order->fresh);
  pthread_mutex_unlock(&order->lock);
  for (unsigned i = 0; i < order->n_workers; i++)
    if (order->workers[i].runs)
      pthread_join(order->workers[i].thread, NULL);
  for (; order->first != order->end; order->first++)
    drop(order->slots[order->first % order->room].item);
  pthread_cond_destroy(&order->fresh);
  pthread_cond_destroy(&order->finished);
  pthread_mutex_destroy(&order->lock);
  g_free(order->workers);
  g_free(order->slots);
  g_free(order);
}

unsigned
in_order_count(const InOrder *order)
{
  return (unsigned)(order->end - order->first);
}

bool
in_order_put(InOrder *order, void *item)
{
  if (in_order_count(order) == order->room)
    return false;
  pthread_mutex_lock(&order->lock);
  order->slots[order->end++ % order->room] = (Slot){.item = item};
  pthread_cond_signal(&order->fresh);
  pthread_mutex_unlock(&order->lock);
  return true;
}

static struct timespec
in_ms(unsigned ms)
{
  struct timespec at;

  clock_gettime(CLOCK_MONOTONIC, &at);
  at.tv_sec += (time_t)(ms / 1000);
  at.tv_nsec += (long)(ms % 1000) * 1000000;
  if (at.tv_nsec >= 1000000000) {
    at.tv_sec++;
    at.tv_nsec -= 1000000000;
  }
  return at;
}

void *
in_order_take(InOrder *order, unsigned wait_ms)
{
  const struct timespec until = in_ms(wait_ms);
  Slot *slot = &order->slots[order->first % order->room];
  void *item = NULL;

  if (in_order_count(order) == 0)
    return NULL;
  pthread_mutex_lock(&order->lock);
  while (!slot->done && wait_ms &&
         pthread_cond_timedwait(&order->finished, &order->lock, &until) !=
             ETIMEDOUT)
    ;
  if (slot->done) {
    item = slot->item;
    order->first++;
  }
  pthread_mutex_unlock(&order->lock);
  return item;
}
