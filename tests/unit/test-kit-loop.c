/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop on one thread: watches, timers, deferred calls, and what may
 * be freed inside callbacks. */

#include "kit/clock.h"
#include "kit/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Rounds after which a test that waits for something gives up. */
#define PATIENCE 10000

typedef struct {
  Loop *loop;
  int fds[2];
  LoopWatch *watch;
  LoopWatch *other;
  LoopTimer *timer;
  LoopTimer *victim;
  uint32_t events;
  int calls;
  GString *order;
} Fixture;

static void
set_up(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  *f = (Fixture){.fds = {-1, -1}};
  f->loop = loop_new(&error);
  g_assert_no_error(error);
  g_assert_cmpint(
      socketpair(
          AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f->fds),
      ==,
      0);
  f->order = g_string_new(NULL);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  loop_watch_free(f->watch);
  loop_watch_free(f->other);
  loop_timer_free(f->timer);
  loop_timer_free(f->victim);
  loop_free(f->loop);
  for (int i = 0; i < 2; i++)
    if (f->fds[i] >= 0)
      close(f->fds[i]);
  g_string_free(f->order, TRUE);
}

static void
send_byte(int fd)
{
  g_assert_cmpint(write(fd, "x", 1), ==, 1);
}

static void
read_byte(int fd)
{
  char byte;

  g_assert_cmpint(read(fd, &byte, 1), ==, 1);
}

static void
on_events(uint32_t events, void *data)
{
  Fixture *f = data;

  f->events = events;
  f->calls++;
}

static void
test_watch(Fixture *f, const void *data)
{
  (void)data;
  f->watch = loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events, f);
  g_assert_nonnull(f->watch);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 0);
  send_byte(f->fds[1]);
  loop_iterate(f->loop, 1000);
  g_assert_cmpint(f->calls, ==, 1);
  g_assert_cmpuint(f->events, ==, EPOLLIN);
  /* Level triggered: again until it is read. */
  loop_iterate(f->loop, 1000);
  g_assert_cmpint(f->calls, ==, 2);
  loop_watch_set(f->watch, 0);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 2);
  loop_watch_set(f->watch, EPOLLIN | EPOLLOUT);
  loop_iterate(f->loop, 1000);
  g_assert_cmpint(f->calls, ==, 3);
  g_assert_cmpuint(f->events, ==, EPOLLIN | EPOLLOUT);
  read_byte(f->fds[0]);
  loop_watch_set(f->watch, EPOLLIN);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 3);
}

/* A set that ends as it began tells the kernel nothing: an edge-triggered
 * descriptor would report again after any EPOLL_CTL_MOD. */
static void
test_unchanged_set_is_free(Fixture *f, const void *data)
{
  (void)data;
  f->watch =
      loop_watch_new(f->loop, f->fds[0], EPOLLIN | EPOLLET, on_events, f);
  send_byte(f->fds[1]);
  loop_iterate(f->loop, 1000);
  g_assert_cmpint(f->calls, ==, 1);
  loop_watch_set(f->watch, EPOLLIN | EPOLLOUT | EPOLLET);
  loop_watch_set(f->watch, EPOLLIN | EPOLLET);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 1);
}

/* Changed again before the kernel was told, among others. */
static void
test_set_twice(Fixture *f, const void *data)
{
  Fixture seen = {0};

  (void)data;
  f->watch = loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events, f);
  f->other = loop_watch_new(f->loop, f->fds[1], EPOLLIN, on_events, &seen);
  loop_watch_set(f->watch, 0);
  loop_watch_set(f->other, EPOLLOUT);
  loop_watch_set(f->watch, EPOLLIN | EPOLLOUT);
  loop_watch_set(f->other, 0);
  loop_watch_set(f->other, EPOLLIN | EPOLLOUT);
  loop_iterate(f->loop, 1000);
  g_assert_cmpint(f->calls, ==, 1);
  g_assert_cmpint(seen.calls, ==, 1);
  g_assert_cmpuint(f->events, ==, EPOLLOUT);
}

static void
test_hang_up_without_interest(Fixture *f, const void *data)
{
  (void)data;
  f->watch = loop_watch_new(f->loop, f->fds[0], 0, on_events, f);
  send_byte(f->fds[1]);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 0);
  close(f->fds[1]);
  f->fds[1] = -1;
  loop_iterate(f->loop, 1000);
  g_assert_cmpint(f->calls, ==, 1);
  g_assert_true((f->events & EPOLLHUP) != 0);
}

static void
test_refused_descriptor(Fixture *f, const void *data)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp(NULL, &path, NULL);

  (void)data;
  errno = 0;
  g_assert_null(loop_watch_new(f->loop, fd, EPOLLIN, on_events, f));
  g_assert_cmpint(errno, ==, EPERM);
  g_assert_null(loop_watch_new(f->loop, -1, EPOLLIN, on_events, f));
  g_assert_cmpint(errno, ==, EBADF);
  close(fd);
  unlink(path);
}

static void
test_no_descriptors_left(void)
{
  g_autoptr(GError) error = NULL;
  struct rlimit before, none;

  g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  none.rlim_cur = 0;
  g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
  g_assert_null(loop_new(&error));
  g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
  g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_MFILE);
}

static void
on_events_free_both(uint32_t events, void *data)
{
  Fixture *f = data;

  (void)events;
  f->calls++;
  g_clear_pointer(&f->watch, loop_watch_free);
  g_clear_pointer(&f->other, loop_watch_free);
}

/* Both are ready in one round; whichever comes first frees both. */
static void
test_free_inside_callback(Fixture *f, const void *data)
{
  (void)data;
  send_byte(f->fds[0]);
  send_byte(f->fds[1]);
  f->watch =
      loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events_free_both, f);
  f->other =
      loop_watch_new(f->loop, f->fds[1], EPOLLIN, on_events_free_both, f);
  for (int i = 0; i < 3; i++)
    loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 1);
}

static void
on_events_replace(uint32_t events, void *data)
{
  Fixture *f = data;

  (void)events;
  f->calls++;
  loop_watch_free(f->watch);
  loop_watch_free(f->other);
  f->watch = loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events, f);
  f->other = loop_watch_new(f->loop, f->fds[1], EPOLLIN, on_events, f);
}

/* An old event never reaches the watch that took its descriptor over. */
static void
test_replace_inside_callback(Fixture *f, const void *data)
{
  (void)data;
  send_byte(f->fds[0]);
  send_byte(f->fds[1]);
  f->watch = loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events_replace, f);
  f->other = loop_watch_new(f->loop, f->fds[1], EPOLLIN, on_events_replace, f);
  loop_iterate(f->loop, 1000);
  g_assert_cmpint(f->calls, ==, 1);
  loop_iterate(f->loop, 1000);
  g_assert_cmpint(f->calls, ==, 3);
}

static void
on_events_silence(uint32_t events, void *data)
{
  Fixture *f = data;

  (void)events;
  f->calls++;
  loop_watch_set(f->watch, 0);
  loop_watch_set(f->other, 0);
}

static void
test_interest_taken_away_in_round(Fixture *f, const void *data)
{
  (void)data;
  send_byte(f->fds[0]);
  send_byte(f->fds[1]);
  f->watch = loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events_silence, f);
  f->other = loop_watch_new(f->loop, f->fds[1], EPOLLIN, on_events_silence, f);
  for (int i = 0; i < 3; i++)
    loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 1);
}

/* Changed and freed before the loop ever told the kernel. */
static void
test_free_while_dirty(Fixture *f, const void *data)
{
  (void)data;
  f->watch = loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events, f);
  loop_watch_set(f->watch, EPOLLOUT);
  g_clear_pointer(&f->watch, loop_watch_free);
  loop_iterate(f->loop, 0);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 0);
}

static void
on_timer(void *data)
{
  Fixture *f = data;

  f->calls++;
}

static void
iterate_until(Fixture *f, int calls)
{
  for (int i = 0; i < PATIENCE && f->calls < calls; i++)
    loop_iterate(f->loop, 100);
  g_assert_cmpint(f->calls, ==, calls);
}

static void
test_timer(Fixture *f, const void *data)
{
  const int64_t start = clock_mono_us();

  (void)data;
  f->timer = loop_timer_new(f->loop, on_timer, f);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 0);
  loop_timer_set(f->timer, 15);
  iterate_until(f, 1);
  g_assert_cmpint(clock_mono_us() - start, >=, 15000);
  loop_iterate(f->loop, 30);
  g_assert_cmpint(f->calls, ==, 1);
  loop_timer_set(f->timer, 0);
  iterate_until(f, 2);
}

static void
test_timer_moved(Fixture *f, const void *data)
{
  int64_t start;

  (void)data;
  f->timer = loop_timer_new(f->loop, on_timer, f);
  /* Later. */
  start = clock_mono_us();
  loop_timer_set(f->timer, 1);
  loop_timer_set(f->timer, 20);
  iterate_until(f, 1);
  g_assert_cmpint(clock_mono_us() - start, >=, 20000);
  /* Earlier. */
  loop_timer_set(f->timer, INT64_MAX);
  loop_timer_set(f->timer, 1);
  iterate_until(f, 2);
  /* Never, and yet again. */
  loop_timer_set(f->timer, 1);
  loop_timer_set(f->timer, -1);
  loop_iterate(f->loop, 5);
  loop_iterate(f->loop, 5);
  g_assert_cmpint(f->calls, ==, 2);
  loop_timer_set(f->timer, 1);
  loop_timer_set(f->timer, -1);
  loop_timer_set(f->timer, 2);
  iterate_until(f, 3);
}

static void
on_timer_again(void *data)
{
  Fixture *f = data;

  f->calls++;
  loop_timer_set(f->timer, 0);
}

/* A timer of 0 ms armed by a timer waits for the next round. */
static void
test_timer_of_zero(Fixture *f, const void *data)
{
  (void)data;
  f->timer = loop_timer_new(f->loop, on_timer_again, f);
  loop_timer_set(f->timer, 0);
  for (int i = 1; i <= 5; i++) {
    loop_iterate(f->loop, 1000);
    g_assert_cmpint(f->calls, ==, i);
  }
}

static void
on_timer_free_both(void *data)
{
  Fixture *f = data;

  f->calls++;
  g_clear_pointer(&f->timer, loop_timer_free);
  g_clear_pointer(&f->victim, loop_timer_free);
}

static void
test_timer_freed_inside_callback(Fixture *f, const void *data)
{
  (void)data;
  f->timer = loop_timer_new(f->loop, on_timer_free_both, f);
  f->victim = loop_timer_new(f->loop, on_timer_free_both, f);
  loop_timer_set(f->victim, 0);
  loop_timer_set(f->timer, 0);
  iterate_until(f, 1);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 1);
}

#define MANY 300

typedef struct {
  Loop *loop;
  LoopTimer *timer;
  int64_t due; /* as the test knows it; -1: disarmed */
  int armed;   /* the how-manieth arming of all */
  GPtrArray *fired;
} Armed;

static void
on_armed(void *data)
{
  Armed *a = data;

  g_assert_cmpint(a->due, >=, 0);
  g_assert_cmpint(loop_now_us(a->loop), >=, a->due);
  if (a->fired->len > 0) {
    const Armed *last = g_ptr_array_index(a->fired, a->fired->len - 1);

    /* Times were whole milliseconds apart from one clock reading. */
    g_assert_true(a->due > last->due ||
                  (a->due == last->due && a->armed > last->armed));
  }
  g_ptr_array_add(a->fired, a);
}

typedef struct {
  Armed timers[MANY];
  GRand *rand;
} Crowd;

/* Arms, moves and disarms at random, all within one callback so that one
 * clock reading serves all. */
static void
arm_crowd(void *data)
{
  Crowd *crowd = data;

  for (int i = 0; i < 10 * MANY; i++) {
    Armed *a = &crowd->timers[g_rand_int_range(crowd->rand, 0, MANY)];
    const int64_t ms = g_rand_int_range(crowd->rand, -3, 30);

    loop_timer_set(a->timer, ms);
    a->due = ms < 0 ? -1 : loop_now_us(a->loop) + ms * 1000;
    a->armed = i;
  }
}

static void
test_timers_in_order(Fixture *f, const void *data)
{
  g_autoptr(GPtrArray) fired = g_ptr_array_new();
  g_autofree Crowd *crowd = g_new0(Crowd, 1);
  guint expected = 0;

  (void)data;
  crowd->rand = g_rand_new_with_seed(3);
  for (int i = 0; i < MANY; i++) {
    Armed *a = &crowd->timers[i];

    *a = (Armed){.loop = f->loop, .due = -1, .fired = fired};
    a->timer = loop_timer_new(f->loop, on_armed, a);
  }
  loop_defer(f->loop, arm_crowd, crowd);
  loop_iterate(f->loop, 0);
  for (int i = 0; i < MANY; i++)
    expected += crowd->timers[i].due >= 0;
  g_assert_cmpuint(expected, >, MANY / 2);
  for (int i = 0; i < PATIENCE && fired->len < expected; i++)
    loop_iterate(f->loop, 100);
  loop_iterate(f->loop, 0);
  g_assert_cmpuint(fired->len, ==, expected);
  for (int i = 0; i < MANY; i++)
    loop_timer_free(crowd->timers[i].timer);
  g_rand_free(crowd->rand);
}

static void
defer_b(void *data)
{
  g_string_append_c(((Fixture *)data)->order, 'b');
}

static void
defer_a(void *data)
{
  Fixture *f = data;

  g_string_append_c(f->order, 'a');
  loop_defer(f->loop, defer_b, f);
}

static void
test_defer(Fixture *f, const void *data)
{
  (void)data;
  loop_defer(f->loop, defer_a, f);
  loop_defer(f->loop, defer_a, f);
  /* Before it waits: a wait for ever would hang here. */
  loop_iterate(f->loop, -1);
  g_assert_cmpstr(f->order->str, ==, "aabb");
}

static void
defer_for_ever(void *data)
{
  Fixture *f = data;

  f->calls++;
  loop_defer(f->loop, defer_for_ever, f);
}

/* Work that always finds more to do does not keep descriptors waiting. */
static void
test_defer_does_not_starve(Fixture *f, const void *data)
{
  Fixture seen = {0};

  (void)data;
  f->watch = loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events, &seen);
  send_byte(f->fds[1]);
  loop_defer(f->loop, defer_for_ever, f);
  loop_iterate(f->loop, -1);
  loop_iterate(f->loop, -1);
  g_assert_cmpint(seen.calls, ==, 2);
  g_assert_cmpint(f->calls, >=, 2);
}

static void
on_events_defer(uint32_t events, void *data)
{
  Fixture *f = data;

  (void)events;
  read_byte(f->fds[0]);
  loop_defer(f->loop, defer_b, f);
  g_string_append_c(f->order, '1');
}

/* Deferred work runs after the callback that asked, in the same round. */
static void
test_defer_from_watch(Fixture *f, const void *data)
{
  (void)data;
  f->watch = loop_watch_new(f->loop, f->fds[0], EPOLLIN, on_events_defer, f);
  send_byte(f->fds[1]);
  loop_iterate(f->loop, 1000);
  g_assert_cmpstr(f->order->str, ==, "1b");
}

static void
check_now(void *data)
{
  Fixture *f = data;
  const int64_t now = loop_now_us(f->loop);
  const int64_t until = clock_mono_us() + 2000;

  while (clock_mono_us() < until)
    continue;
  g_assert_cmpint(loop_now_us(f->loop), ==, now);
  f->calls++;
}

static void
test_now(Fixture *f, const void *data)
{
  const int64_t before = clock_mono_us();
  const int64_t now = loop_now_us(f->loop);

  (void)data;
  g_assert_cmpint(now, >=, before);
  loop_defer(f->loop, check_now, f);
  loop_iterate(f->loop, 0);
  g_assert_cmpint(f->calls, ==, 1);
  g_assert_cmpint(loop_now_us(f->loop), >=, now + 2000);
}

#define ADD(name, func)                                                        \
  g_test_add("/kit/loop/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  ADD("watch", test_watch);
  ADD("unchanged-set-is-free", test_unchanged_set_is_free);
  ADD("set-twice", test_set_twice);
  ADD("hang-up-without-interest", test_hang_up_without_interest);
  ADD("refused-descriptor", test_refused_descriptor);
  g_test_add_func("/kit/loop/no-descriptors-left", test_no_descriptors_left);
  ADD("free-inside-callback", test_free_inside_callback);
  ADD("replace-inside-callback", test_replace_inside_callback);
  ADD("interest-taken-away-in-round", test_interest_taken_away_in_round);
  ADD("free-while-dirty", test_free_while_dirty);
  ADD("timer", test_timer);
  ADD("timer-moved", test_timer_moved);
  ADD("timer-of-zero", test_timer_of_zero);
  ADD("timer-freed-inside-callback", test_timer_freed_inside_callback);
  ADD("timers-in-order", test_timers_in_order);
  ADD("defer", test_defer);
  ADD("defer-does-not-starve", test_defer_does_not_starve);
  ADD("defer-from-watch", test_defer_from_watch);
  ADD("now", test_now);
  return g_test_run();
}
