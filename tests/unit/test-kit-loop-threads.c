/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop between threads and inside a GLib main loop: posts, their
 * order, wake-ups, quitting, and the GSource. */

#include "kit/clock.h"
#include "kit/loop.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#define POSTERS 4
#define POSTS 5000
/* Milliseconds after which a test that waits for something gives up. */
#define PATIENCE_MS 20000

typedef struct shared Shared;

typedef struct {
  Shared *shared;
  pthread_t thread;
  int next; /* loop's thread: the number that must come next */
} Poster;

struct shared {
  Loop *loop;
  Poster posters[POSTERS];
  int received;
  int plain; /* written by a poster, read by the loop: TSan watches */
};

typedef struct {
  Poster *poster;
  int number;
} Post;

static void
on_post(void *data)
{
  g_autofree Post *post = data;
  Shared *shared = post->poster->shared;

  g_assert_cmpint(post->number, ==, post->poster->next++);
  if (++shared->received == POSTERS * POSTS)
    loop_quit(shared->loop);
}

static void *
poster_main(void *data)
{
  Poster *poster = data;

  for (int i = 0; i < POSTS; i++) {
    Post *post = g_new(Post, 1);

    *post = (Post){poster, i};
    loop_post(poster->shared->loop, on_post, post);
  }
  return NULL;
}

/* Nothing is lost, doubled or reordered per thread. */
static void
test_posts(void)
{
  g_autoptr(Loop) loop = loop_new(NULL);
  Shared shared = {.loop = loop};

  for (int i = 0; i < POSTERS; i++) {
    shared.posters[i].shared = &shared;
    pthread_create(
        &shared.posters[i].thread, NULL, poster_main, &shared.posters[i]);
  }
  loop_run(loop);
  for (int i = 0; i < POSTERS; i++)
    pthread_join(shared.posters[i].thread, NULL);
  g_assert_cmpint(shared.received, ==, POSTERS * POSTS);
}

static void
on_plain(void *data)
{
  Shared *shared = data;

  g_assert_cmpint(shared->plain, ==, 42);
  loop_quit(shared->loop);
}

static void *
plain_main(void *data)
{
  Shared *shared = data;

  /* Late enough that the loop sleeps: the post must wake it. */
  g_usleep(5000);
  shared->plain = 42;
  loop_post(shared->loop, on_plain, shared);
  return NULL;
}

/* What was written before a post is seen by what it runs. */
static void
test_post_wakes_and_orders(void)
{
  g_autoptr(Loop) loop = loop_new(NULL);
  Shared shared = {.loop = loop};
  pthread_t thread;

  pthread_create(&thread, NULL, plain_main, &shared);
  loop_run(loop);
  pthread_join(thread, NULL);
}

static void
on_post_again(void *data)
{
  Shared *shared = data;

  if (++shared->received < 5)
    loop_post(shared->loop, on_post_again, shared);
}

/* A post from a posted call waits for the next round. */
static void
test_post_from_post(void)
{
  g_autoptr(Loop) loop = loop_new(NULL);
  Shared shared = {.loop = loop};

  loop_post(loop, on_post_again, &shared);
  for (int i = 1; i <= 5; i++) {
    loop_iterate(loop, PATIENCE_MS);
    g_assert_cmpint(shared.received, ==, i);
  }
}

/* Many posts beyond what the queue keeps, then few again. */
static void
test_post_burst(void)
{
  g_autoptr(Loop) loop = loop_new(NULL);
  Shared shared = {.loop = loop};

  for (int round = 0; round < 3; round++) {
    shared.received = 10;
    for (int i = 0; i < 20000; i++)
      loop_post(loop, on_post_again, &shared);
    loop_iterate(loop, PATIENCE_MS);
    g_assert_cmpint(shared.received, ==, 20010);
  }
}

static void *
quit_main(void *data)
{
  g_usleep(5000);
  loop_quit(data);
  return NULL;
}

static void
test_quit(void)
{
  g_autoptr(Loop) loop = loop_new(NULL);
  pthread_t thread;

  /* Before the run: it returns at once. */
  loop_quit(loop);
  loop_run(loop);
  /* From elsewhere, while it sleeps; and it can run again. */
  for (int i = 0; i < 2; i++) {
    pthread_create(&thread, NULL, quit_main, loop);
    loop_run(loop);
    pthread_join(thread, NULL);
  }
}

static void
test_drop_what_did_not_run(void)
{
  Loop *loop = loop_new(NULL);
  Shared shared = {.loop = loop};

  loop_post(loop, on_post_again, &shared);
  loop_defer(loop, on_post_again, &shared);
  loop_free(loop);
  g_assert_cmpint(shared.received, ==, 0);
}

typedef struct {
  Loop *loop;
  GMainContext *context;
  GSource *source;
  LoopTimer *timer;
  LoopWatch *watch;
  int fds[2];
  int calls;
  int64_t deadline;
} Hosted;

static void
hosted_init(Hosted *h)
{
  *h = (Hosted){.loop = loop_new(NULL), .context = g_main_context_new()};
  h->source = loop_source_new(h->loop);
  g_source_attach(h->source, h->context);
  h->deadline = clock_mono_us() + PATIENCE_MS * 1000;
}

static void
hosted_clear(Hosted *h)
{
  g_source_destroy(h->source);
  g_source_unref(h->source);
  loop_watch_free(h->watch);
  loop_timer_free(h->timer);
  loop_free(h->loop);
  g_main_context_unref(h->context);
}

static void
hosted_until(Hosted *h, int calls)
{
  while (h->calls < calls && clock_mono_us() < h->deadline)
    g_main_context_iteration(h->context, TRUE);
  g_assert_cmpint(h->calls, ==, calls);
}

static void
count(void *data)
{
  ((Hosted *)data)->calls++;
}

static void
count_events(uint32_t events, void *data)
{
  Hosted *h = data;
  char byte;

  g_assert_cmpuint(events, ==, EPOLLIN);
  g_assert_cmpint(read(h->fds[0], &byte, 1), ==, 1);
  h->calls++;
}

static void *
hosted_post_main(void *data)
{
  Hosted *h = data;

  g_usleep(5000);
  loop_post(h->loop, count, h);
  return NULL;
}

static void
test_source(void)
{
  int64_t start;
  pthread_t thread;
  Hosted h;

  hosted_init(&h);
  /* A timer sets the main loop's time-out. */
  h.timer = loop_timer_new(h.loop, count, &h);
  start = clock_mono_us();
  loop_timer_set(h.timer, 10);
  hosted_until(&h, 1);
  g_assert_cmpint(clock_mono_us() - start, >=, 10000);
  /* Deferred work is ready without any descriptor. */
  loop_defer(h.loop, count, &h);
  hosted_until(&h, 2);
  /* A post from elsewhere wakes the poll. */
  pthread_create(&thread, NULL, hosted_post_main, &h);
  hosted_until(&h, 3);
  pthread_join(thread, NULL);
  /* A descriptor. */
  g_assert_cmpint(pipe(h.fds), ==, 0);
  h.watch = loop_watch_new(h.loop, h.fds[0], EPOLLIN, count_events, &h);
  g_assert_cmpint(write(h.fds[1], "x", 1), ==, 1);
  hosted_until(&h, 4);
  /* Interest that was changed outside of any round. */
  loop_watch_set(h.watch, 0);
  g_assert_cmpint(write(h.fds[1], "x", 1), ==, 1);
  loop_timer_set(h.timer, 5);
  hosted_until(&h, 5);
  loop_watch_set(h.watch, EPOLLIN);
  hosted_until(&h, 6);
  /* Nothing left: the source sleeps. */
  for (int i = 0; i < 10 && g_main_context_iteration(h.context, FALSE); i++)
    continue;
  g_assert_false(g_main_context_pending(h.context));
  g_assert_cmpint(h.calls, ==, 6);
  hosted_clear(&h);
  close(h.fds[0]);
  close(h.fds[1]);
}

/* Posts from several threads while GLib hosts the loop. */
static void
test_source_under_posts(void)
{
  Hosted h;
  Shared shared = {0};

  hosted_init(&h);
  shared.loop = h.loop;
  for (int i = 0; i < POSTERS; i++) {
    shared.posters[i].shared = &shared;
    pthread_create(
        &shared.posters[i].thread, NULL, poster_main, &shared.posters[i]);
  }
  while (shared.received < POSTERS * POSTS && clock_mono_us() < h.deadline)
    g_main_context_iteration(h.context, TRUE);
  for (int i = 0; i < POSTERS; i++)
    pthread_join(shared.posters[i].thread, NULL);
  g_assert_cmpint(shared.received, ==, POSTERS * POSTS);
  hosted_clear(&h);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/loop/posts", test_posts);
  g_test_add_func("/kit/loop/post-wakes-and-orders",
                  test_post_wakes_and_orders);
  g_test_add_func("/kit/loop/post-from-post", test_post_from_post);
  g_test_add_func("/kit/loop/post-burst", test_post_burst);
  g_test_add_func("/kit/loop/quit", test_quit);
  g_test_add_func("/kit/loop/drop-what-did-not-run",
                  test_drop_what_did_not_run);
  g_test_add_func("/kit/loop/source", test_source);
  g_test_add_func("/kit/loop/source-under-posts", test_source_under_posts);
  return g_test_run();
}
