/* SPDX-License-Identifier: Apache-2.0 */
/* One epoll set with a heap of timers; nothing is allocated per event, and a
 * timer that is only ever pushed back costs one store. */
#include "kit/loop.h"

#include "kit/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Events taken by one epoll_wait(2): a fair share before timers run. */
#define ROUND_EVENTS 256
/* Batches of deferred calls per round; what they defer further waits for the
 * next round so that descriptors are never starved. */
#define ROUND_DEFERS 8
/* A call queue that grew beyond this many entries is given back. */
#define KEEP_CALLS 4096
/* Milliseconds beyond which a timer is as good as never (about 31 years). */
#define FOREVER_MS (INT64_C(1000000000) * 1000)
/* heap_index of a timer that is not in the heap. */
#define NOT_IN_HEAP SIZE_MAX
/* due of a timer that is not armed. */
#define DISARMED INT64_MAX

struct loop_watch {
  Loop *loop;
  LoopFdFunc func; /* NULL once freed */
  void *data;
  int fd;
  uint32_t wanted;  /* what the caller asked for */
  uint32_t applied; /* what the kernel knows */
  bool dirty;       /* in loop->dirty */
  LoopWatch *next_dirty;
  LoopWatch *next_dead;
};

/* A timer sits in the heap under (key, key_seq). Moving it later, or disarming
 * it, changes `due` and `seq` alone; the heap is mended when its key comes
 * up. */
struct loop_timer {
  Loop *loop;
  LoopFunc func;
  void *data;
  int64_t due;
  int64_t key;
  uint64_t seq; /* order among equal times; which round armed it */
  uint64_t key_seq;
  size_t heap_index;
};

typedef struct {
  LoopFunc func;
  void *data;
} Call;

typedef struct {
  Call *calls;
  size_t len;
  size_t capacity;
} Calls;

struct loop {
  int epoll_fd;
  int event_fd;
  int64_t now_us;
  bool in_round;
  uint64_t seq;
  LoopTimer **heap;
  size_t n_timers;
  size_t heap_capacity;
  LoopWatch *dirty;
  LoopWatch *dead;
  size_t n_watches;
  size_t n_timer_objects;
  Calls deferred;
  Calls running; /* the batch being run, reused */
  struct epoll_event events[ROUND_EVENTS];
  atomic_bool quit;
  pthread_mutex_t lock; /* guards posted */
  Calls posted;
};

typedef struct {
  GSource base;
  Loop *loop;
  void *fd_tag;
} LoopSource;

static void
calls_push(Calls *calls, LoopFunc func, void *data)
{
  if (calls->len == calls->capacity) {
    calls->capacity = MAX(16, calls->capacity * 2);
    calls->calls = g_renew(Call, calls->calls, calls->capacity);
  }
  calls->calls[calls->len++] = (Call){func, data};
}

static void
calls_swap(Calls *a, Calls *b)
{
  Calls swap = *a;

  *a = *b;
  *b = swap;
}

/* Runs what is in loop->running, which nobody adds to. */
static void
run_calls(Loop *loop)
{
  for (size_t i = 0; i < loop->running.len; i++)
    loop->running.calls[i].func(loop->running.calls[i].data);
  loop->running.len = 0;
  if (loop->running.capacity > KEEP_CALLS) {
    g_clear_pointer(&loop->running.calls, g_free);
    loop->running.capacity = 0;
  }
}

static void
timer_rekey(LoopTimer *timer)
{
  timer->key = timer->due;
  timer->key_seq = timer->seq;
}

static bool
timer_before(const LoopTimer *a, const LoopTimer *b)
{
  return a->key < b->key || (a->key == b->key && a->key_seq < b->key_seq);
}

static void
heap_put(Loop *loop, size_t i, LoopTimer *timer)
{
  loop->heap[i] = timer;
  timer->heap_index = i;
}

static void
heap_up(Loop *loop, size_t i, LoopTimer *timer)
{
  while (i > 0 && timer_before(timer, loop->heap[(i - 1) / 2])) {
    heap_put(loop, i, loop->heap[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  heap_put(loop, i, timer);
}

static void
heap_down(Loop *loop, size_t i, LoopTimer *timer)
{
  for (;;) {
    size_t child = 2 * i + 1;

    if (child >= loop->n_timers)
      break;
    if (child + 1 < loop->n_timers &&
        timer_before(loop->heap[child + 1], loop->heap[child]))
      child++;
    if (!timer_before(loop->heap[child], timer))
      break;
    heap_put(loop, i, loop->heap[child]);
    i = child;
  }
  heap_put(loop, i, timer);
}

static void
heap_insert(Loop *loop, LoopTimer *timer)
{
  if (loop->n_timers == loop->heap_capacity) {
    loop->heap_capacity = MAX(16, loop->heap_capacity * 2);
    loop->heap = g_renew(LoopTimer *, loop->heap, loop->heap_capacity);
  }
  timer_rekey(timer);
  heap_up(loop, loop->n_timers++, timer);
}

static void
heap_remove(Loop *loop, LoopTimer *timer)
{
  size_t i = timer->heap_index;
  LoopTimer *last;

  if (i == NOT_IN_HEAP)
    return;
  timer->heap_index = NOT_IN_HEAP;
  last = loop->heap[--loop->n_timers];
  if (last == timer)
    return;
  if (i > 0 && timer_before(last, loop->heap[(i - 1) / 2]))
    heap_up(loop, i, last);
  else
    heap_down(loop, i, last);
}

/* Runs the timers that were armed before this round and are due. */
static void
run_timers(Loop *loop, uint64_t last_seq)
{
  const int64_t now = loop->now_us;

  while (loop->n_timers > 0 && loop->heap[0]->key <= now) {
    LoopTimer *timer = loop->heap[0];

    if (timer->due == DISARMED) {
      heap_remove(loop, timer);
    } else if (timer->seq != timer->key_seq) {
      timer_rekey(timer);
      heap_down(loop, 0, timer);
    } else if (timer->seq > last_seq) {
      /* Armed in this round for now: whatever follows was, too. */
      break;
    } else {
      heap_remove(loop, timer);
      timer->due = DISARMED;
      timer->func(timer->data);
    }
  }
}

/* Tells the kernel about the sets that really changed since the last round,
 * then forgets the watches that were freed. */
static void
settle_watches(Loop *loop)
{
  LoopWatch *watch;

  while ((watch = loop->dirty) != NULL) {
    loop->dirty = watch->next_dirty;
    watch->dirty = false;
    if (watch->func != NULL && watch->wanted != watch->applied) {
      struct epoll_event event = {.events = watch->wanted, .data.ptr = watch};

      /* MOD needs no memory: it fails only for a descriptor that was closed
       * under the watch, which no longer delivers anything. */
      if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) == 0)
        watch->applied = watch->wanted;
      else
        g_critical("loop: watched descriptor was closed: %s",
                   g_strerror(errno));
    }
  }
  while ((watch = loop->dead) != NULL) {
    loop->dead = watch->next_dead;
    g_free(watch);
  }
}

static void
wake(Loop *loop)
{
  const uint64_t one = 1;
  ssize_t n;

  do {
    n = write(loop->event_fd, &one, sizeof one);
  } while (n < 0 && errno == EINTR);
}

static void
run_posted(Loop *loop)
{
  pthread_mutex_lock(&loop->lock);
  calls_swap(&loop->posted, &loop->running);
  pthread_mutex_unlock(&loop->lock);
  run_calls(loop);
}

/* Milliseconds until something has to run, at most `limit_ms` (-1: no
 * limit). */
static int
wait_ms(const Loop *loop, int limit_ms, int64_t now)
{
  int64_t ms;

  if (loop->deferred.len > 0 || atomic_load(&loop->quit))
    return 0;
  if (loop->n_timers == 0 || limit_ms == 0)
    return limit_ms;
  ms = loop->heap[0]->key - now;
  ms = ms <= 0 ? 0 : MIN((ms + 999) / 1000, G_MAXINT);
  return limit_ms < 0 ? (int)ms : (int)MIN(ms, limit_ms);
}

static void
dispatch(Loop *loop, int n)
{
  bool posted = false;

  for (int i = 0; i < n; i++) {
    LoopWatch *watch = loop->events[i].data.ptr;
    uint32_t ready = loop->events[i].events;

    if (watch == NULL) {
      posted = true;
      continue;
    }
    if (watch->func == NULL)
      continue;
    /* An earlier callback of this round may have taken interest away. */
    ready &= watch->wanted | EPOLLERR | EPOLLHUP;
    if (ready != 0)
      watch->func(ready, watch->data);
  }
  if (posted)
    run_posted(loop);
}

Loop *
loop_new(GError **error)
{
  g_autoptr(Loop) loop = g_new0(Loop, 1);
  /* Edge triggered and never read: each write(2) is one event, which saves
   * the read(2); the counter would overflow after 2^64 posts. */
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};

  pthread_mutex_init(&loop->lock, NULL);
  atomic_init(&loop->quit, false);
  loop->event_fd = -1;
  loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (loop->epoll_fd >= 0)
    loop->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (loop->event_fd < 0 ||
      epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->event_fd, &event) != 0) {
    int err = errno;

    g_set_error(error,
                G_FILE_ERROR,
                (gint)g_file_error_from_errno(err),
                "Cannot create an event loop: %s",
                g_strerror(err));
    return NULL;
  }
  return g_steal_pointer(&loop);
}

void
loop_free(Loop *loop)
{
  if (loop == NULL)
    return;
  g_assert(!loop->in_round);
  settle_watches(loop);
  if (loop->n_watches != 0 || loop->n_timer_objects != 0)
    g_critical("loop: freed with %zu watches and %zu timers left",
               loop->n_watches,
               loop->n_timer_objects);
  if (loop->event_fd >= 0)
    close(loop->event_fd);
  if (loop->epoll_fd >= 0)
    close(loop->epoll_fd);
  pthread_mutex_destroy(&loop->lock);
  g_free(loop->deferred.calls);
  g_free(loop->running.calls);
  g_free(loop->posted.calls);
  g_free(loop->heap);
  g_free(loop);
}

void
loop_iterate(Loop *loop, int timeout_ms)
{
  uint64_t last_seq;
  int n;

  g_assert(!loop->in_round);
  settle_watches(loop);
  n = epoll_wait(loop->epoll_fd,
                 loop->events,
                 ROUND_EVENTS,
                 wait_ms(loop, timeout_ms, clock_mono_us()));
  loop->now_us = clock_mono_us();
  loop->in_round = true;
  last_seq = loop->seq;
  dispatch(loop, n);
  run_timers(loop, last_seq);
  for (int i = 0; i < ROUND_DEFERS && loop->deferred.len > 0; i++) {
    calls_swap(&loop->deferred, &loop->running);
    run_calls(loop);
  }
  loop->in_round = false;
}

void
loop_run(Loop *loop)
{
  while (!atomic_exchange(&loop->quit, false))
    loop_iterate(loop, -1);
}

void
loop_quit(Loop *loop)
{
  atomic_store(&loop->quit, true);
  wake(loop);
}

static gboolean
source_prepare(GSource *base, int *timeout_ms)
{
  Loop *loop = ((LoopSource *)base)->loop;

  settle_watches(loop);
  *timeout_ms = wait_ms(loop, -1, clock_mono_us());
  return *timeout_ms == 0;
}

static gboolean
source_check(GSource *base)
{
  LoopSource *source = (LoopSource *)base;

  return g_source_query_unix_fd(base, source->fd_tag) != 0 ||
         wait_ms(source->loop, -1, clock_mono_us()) == 0;
}

static gboolean
source_dispatch(GSource *base, GSourceFunc func, void *data)
{
  (void)func;
  (void)data;
  loop_iterate(((LoopSource *)base)->loop, 0);
  return G_SOURCE_CONTINUE;
}

GSource *
loop_source_new(Loop *loop)
{
  static GSourceFuncs funcs = {
      .prepare = source_prepare,
      .check = source_check,
      .dispatch = source_dispatch,
  };
  GSource *base = g_source_new(&funcs, sizeof(LoopSource));
  LoopSource *source = (LoopSource *)base;

  source->loop = loop;
  source->fd_tag = g_source_add_unix_fd(base, loop->epoll_fd, G_IO_IN);
  g_source_set_static_name(base, "hoop-agent loop");
  return base;
}

LoopWatch *
loop_watch_new(Loop *loop, int fd, uint32_t events, LoopFdFunc func, void *data)
{
  LoopWatch *watch = g_new0(LoopWatch, 1);
  struct epoll_event event = {.events = events, .data.ptr = watch};

  *watch = (LoopWatch){.loop = loop,
                       .func = func,
                       .data = data,
                       .fd = fd,
                       .wanted = events,
                       .applied = events};
  if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
    int err = errno;

    g_free(watch);
    errno = err;
    return NULL;
  }
  loop->n_watches++;
  return watch;
}

void
loop_watch_set(LoopWatch *watch, uint32_t events)
{
  Loop *loop = watch->loop;

  watch->wanted = events;
  if (events == watch->applied || watch->dirty)
    return;
  watch->dirty = true;
  watch->next_dirty = loop->dirty;
  loop->dirty = watch;
}

void
loop_watch_free(LoopWatch *watch)
{
  Loop *loop;

  if (watch == NULL)
    return;
  loop = watch->loop;
  epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
  /* The current round may hold an event that points here. */
  watch->func = NULL;
  watch->next_dead = loop->dead;
  loop->dead = watch;
  loop->n_watches--;
}

LoopTimer *
loop_timer_new(Loop *loop, LoopFunc func, void *data)
{
  LoopTimer *timer = g_new0(LoopTimer, 1);

  *timer = (LoopTimer){.loop = loop,
                       .func = func,
                       .data = data,
                       .due = DISARMED,
                       .heap_index = NOT_IN_HEAP};
  loop->n_timer_objects++;
  return timer;
}

void
loop_timer_set(LoopTimer *timer, int64_t ms)
{
  Loop *loop = timer->loop;

  if (ms < 0) {
    timer->due = DISARMED;
    return;
  }
  timer->due = loop_now_us(loop) + MIN(ms, FOREVER_MS) * 1000;
  timer->seq = ++loop->seq;
  if (timer->heap_index == NOT_IN_HEAP) {
    heap_insert(loop, timer);
  } else if (timer->due < timer->key) {
    timer_rekey(timer);
    heap_up(loop, timer->heap_index, timer);
  }
}

void
loop_timer_free(LoopTimer *timer)
{
  if (timer == NULL)
    return;
  heap_remove(timer->loop, timer);
  timer->loop->n_timer_objects--;
  g_free(timer);
}

void
loop_defer(Loop *loop, LoopFunc func, void *data)
{
  calls_push(&loop->deferred, func, data);
}

void
loop_post(Loop *loop, LoopFunc func, void *data)
{
  bool first;

  pthread_mutex_lock(&loop->lock);
  first = loop->posted.len == 0;
  calls_push(&loop->posted, func, data);
  pthread_mutex_unlock(&loop->lock);
  if (first)
    wake(loop);
}

int64_t
loop_now_us(const Loop *loop)
{
  return loop->in_round ? loop->now_us : clock_mono_us();
}
