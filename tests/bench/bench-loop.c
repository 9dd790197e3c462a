/* SPDX-License-Identifier: Apache-2.0 */
/* What the event loop costs: re-arming timers, one event, calls between two
 * threads. Not part of `make check`. */

#include "kit/clock.h"
#include "kit/loop.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMERS 512
#define REARMS 20000000
#define EVENTS 1000000
#define TRIPS 200000
#define POSTS 5000000

static void
report(const char *what, int64_t start, int n)
{
  printf(
      "%-44s %10.1f ns\n", what, (double)(clock_mono_us() - start) * 1000 / n);
}

static void
ignore(void *data)
{
  (void)data;
}

/* Inside a callback, as every connection does it with its idle timer. */
static void
rearm(void *data)
{
  LoopTimer **timers = data;
  int64_t start = clock_mono_us();

  for (int i = 0; i < REARMS; i++)
    loop_timer_set(timers[i % TIMERS], 300000 + i / TIMERS);
  report("re-arm later, 512 timers", start, REARMS);
  start = clock_mono_us();
  for (int i = 0; i < REARMS; i++)
    loop_timer_set(timers[i % TIMERS], i % 2 ? -1 : 300000 + REARMS);
  report("disarm and arm again", start, REARMS);
  start = clock_mono_us();
  for (int i = 0; i < REARMS / 10; i++)
    loop_timer_set(timers[i % TIMERS], 299000 - i / TIMERS);
  report("re-arm earlier than all others", start, REARMS / 10);
}

static void
bench_timers(Loop *loop)
{
  LoopTimer *timers[TIMERS];

  for (int i = 0; i < TIMERS; i++) {
    timers[i] = loop_timer_new(loop, ignore, NULL);
    loop_timer_set(timers[i], 300000);
  }
  loop_defer(loop, rearm, timers);
  loop_iterate(loop, 0);
  for (int i = 0; i < TIMERS; i++)
    loop_timer_free(timers[i]);
}

static int n_events;

static void
on_event(uint32_t events, void *data)
{
  (void)events;
  (void)data;
  n_events++;
}

static void
bench_events(Loop *loop)
{
  LoopWatch *watches[64];
  int64_t start;
  int fds[2];

  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 ||
      write(fds[1], "x", 1) != 1)
    g_error("no sockets");
  for (int i = 0; i < 64; i++)
    watches[i] = loop_watch_new(loop, dup(fds[0]), EPOLLIN, on_event, NULL);
  start = clock_mono_us();
  while (n_events < EVENTS)
    loop_iterate(loop, -1);
  report("one event, 64 ready a round", start, n_events);
  for (int i = 1; i < 64; i++)
    loop_watch_free(watches[i]);
  n_events = 0;
  start = clock_mono_us();
  while (n_events < EVENTS)
    loop_iterate(loop, -1);
  report("one event, one ready a round", start, n_events);
  loop_watch_free(watches[0]);
}

typedef struct {
  Loop *here;
  Loop *there;
  int trips;
  int received;
} Trip;

static void
come_back(void *data)
{
  Trip *trip = data;

  if (++trip->trips == TRIPS)
    loop_quit(trip->here);
}

static void
go_there(void *data)
{
  loop_post(((Trip *)data)->here, come_back, data);
}

static void *
there_main(void *data)
{
  loop_run(((Trip *)data)->there);
  return NULL;
}

static void
count(void *data)
{
  Trip *trip = data;

  if (++trip->received == POSTS)
    loop_quit(trip->here);
}

static void *
post_main(void *data)
{
  Trip *trip = data;

  for (int i = 0; i < POSTS; i++)
    loop_post(trip->here, count, trip);
  return NULL;
}

static void
bench_posts(Loop *loop)
{
  g_autoptr(Loop) there = loop_new(NULL);
  Trip trip = {.here = loop, .there = there};
  pthread_t thread;
  int64_t start;

  pthread_create(&thread, NULL, there_main, &trip);
  start = clock_mono_us();
  while (trip.trips < TRIPS) {
    const int trips = trip.trips;

    loop_post(there, go_there, &trip);
    while (trip.trips == trips)
      loop_iterate(loop, -1);
  }
  report("post to another thread and back", start, TRIPS);
  loop_quit(there);
  pthread_join(thread, NULL);
  loop_run(loop); /* takes the quit that the last trip left */

  start = clock_mono_us();
  pthread_create(&thread, NULL, post_main, &trip);
  loop_run(loop);
  report("post, one way, as fast as it goes", start, POSTS);
  pthread_join(thread, NULL);
}

int
main(void)
{
  g_autoptr(Loop) loop = loop_new(NULL);

  bench_timers(loop);
  bench_events(loop);
  bench_posts(loop);
  return 0;
}
