/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop under random churn: callbacks that free, replace, silence and
 * re-arm whatever they meet never reach what is gone or silenced. */

#include "kit/loop.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOTS 48
#define ROUNDS 20000

typedef struct stress Stress;

/* Either side may be empty at any time. The watch's and the timer's data are
 * allocated anew each time, so that ASan sees a call after the free. */
typedef struct {
  Stress *stress;
  bool armed; /* timer */
  uint32_t wanted;
} Token;

typedef struct {
  int fds[2];
  LoopWatch *watch;
  Token *watch_token;
  LoopTimer *timer;
  Token *timer_token;
} Slot;

struct stress {
  Loop *loop;
  GRand *rand;
  Slot slots[SLOTS];
  guint64 events;
  guint64 timers;
  guint64 defers;
};

static void churn(Stress *s);

static void
on_events(uint32_t events, void *data)
{
  Token *token = data;
  Stress *s = token->stress;

  g_assert_cmpuint(events & ~(token->wanted | EPOLLERR | EPOLLHUP), ==, 0);
  g_assert_cmpuint(events, !=, 0);
  s->events++;
  churn(s);
}

static void
on_timer(void *data)
{
  Token *token = data;
  Stress *s = token->stress;

  g_assert_true(token->armed);
  token->armed = false;
  s->timers++;
  churn(s);
}

static void
on_defer(void *data)
{
  Stress *s = data;

  s->defers++;
}

static void
drop_watch(Slot *slot)
{
  loop_watch_free(g_steal_pointer(&slot->watch));
  g_clear_pointer(&slot->watch_token, g_free);
}

static void
drop_timer(Slot *slot)
{
  loop_timer_free(g_steal_pointer(&slot->timer));
  g_clear_pointer(&slot->timer_token, g_free);
}

static uint32_t
random_events(Stress *s)
{
  static const uint32_t sets[] = {
      0, EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT, EPOLLIN | EPOLLRDHUP};

  return sets[g_rand_int_range(s->rand, 0, G_N_ELEMENTS(sets))];
}

static void
churn_watch(Stress *s, Slot *slot)
{
  if (slot->watch == NULL) {
    slot->watch_token = g_new0(Token, 1);
    slot->watch_token->stress = s;
    slot->watch_token->wanted = random_events(s);
    slot->watch = loop_watch_new(s->loop,
                                 slot->fds[0],
                                 slot->watch_token->wanted,
                                 on_events,
                                 slot->watch_token);
    g_assert_nonnull(slot->watch);
  } else if (g_rand_int_range(s->rand, 0, 3) == 0) {
    drop_watch(slot);
  } else {
    slot->watch_token->wanted = random_events(s);
    loop_watch_set(slot->watch, slot->watch_token->wanted);
  }
}

static void
churn_timer(Stress *s, Slot *slot)
{
  const int ms = g_rand_int_range(s->rand, -1, 4);

  if (slot->timer == NULL) {
    slot->timer_token = g_new0(Token, 1);
    slot->timer_token->stress = s;
    slot->timer = loop_timer_new(s->loop, on_timer, slot->timer_token);
  } else if (g_rand_int_range(s->rand, 0, 4) == 0) {
    drop_timer(slot);
  } else {
    loop_timer_set(slot->timer, ms);
    slot->timer_token->armed = ms >= 0;
  }
}

static void
churn(Stress *s)
{
  for (int i = g_rand_int_range(s->rand, 0, 4); i > 0; i--) {
    Slot *slot = &s->slots[g_rand_int_range(s->rand, 0, SLOTS)];

    switch (g_rand_int_range(s->rand, 0, 5)) {
    case 0:
    case 1:
      churn_watch(s, slot);
      break;
    case 2:
    case 3:
      churn_timer(s, slot);
      break;
    default:
      if (g_rand_boolean(s->rand))
        loop_defer(s->loop, on_defer, s);
      else
        loop_post(s->loop, on_defer, s);
      break;
    }
  }
}

static void
test_churn(void)
{
  g_autofree Stress *s = g_new0(Stress, 1);

  s->loop = loop_new(NULL);
  s->rand = g_rand_new_with_seed(4);
  for (int i = 0; i < SLOTS; i++) {
    const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

    g_assert_cmpint(socketpair(AF_UNIX, type, 0, s->slots[i].fds), ==, 0);
    if (i % 2 == 0)
      g_assert_cmpint(write(s->slots[i].fds[1], "x", 1), ==, 1);
    if (i % 8 == 0)
      g_assert_cmpint(shutdown(s->slots[i].fds[1], SHUT_WR), ==, 0);
  }
  for (int i = 0; i < ROUNDS; i++) {
    churn(s);
    loop_iterate(s->loop, 0);
  }
  g_assert_cmpuint(s->events, >, ROUNDS);
  g_assert_cmpuint(s->timers, >, ROUNDS / 100);
  g_assert_cmpuint(s->defers, >, ROUNDS / 10);
  for (int i = 0; i < SLOTS; i++) {
    drop_watch(&s->slots[i]);
    drop_timer(&s->slots[i]);
    close(s->slots[i].fds[0]);
    close(s->slots[i].fds[1]);
  }
  g_rand_free(s->rand);
  loop_free(s->loop);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/loop/churn", test_churn);
  return g_test_run();
}
