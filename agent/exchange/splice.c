/* SPDX-License-Identifier: Apache-2.0 */
/* Each direction is a pipe between two sockets: filled while it has room,
 * drained while the other side takes; the end of one side closes the other
 * side's input only after the pipe is empty. What the client says first may be
 * looked at before it goes anywhere. */
#define _GNU_SOURCE
#include "exchange/splice.h"
#include "kit/buf.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* What one direction may hold, and moves in one call: the pipe's own size. */
#define PIPE_BYTES (64 * 1024)
/* What is looked at comes in pieces of this size: a hello is one. */
#define LOOK_BYTES 4096
/* A fast sender must not starve other connections of the loop. */
#define ROUNDS 16

enum { CLIENT, SERVER };

typedef struct {
  int from, to;
  int pipe[2];
  size_t held; /* bytes in the pipe */
  Buf early;   /* what was looked at, and goes before the pipe */
  bool looking;
  int64_t moved;
  bool ended; /* `from` said that it sends no more */
  bool shut;  /* and `to` was told */
} Direction;

struct splice {
  Loop *loop;
  int fds[2];
  LoopWatch *watches[2];
  bool hung_up[2];
  Direction up, down;
  LoopTimer *idle;
  unsigned idle_timeout;
  const char *over;
  SpliceLook look;
  LoopTimer *look_timer;
  unsigned look_timeout; /* s; 0: it runs */
  void (*done)(const char *why, void *data);
  void *data;
  bool told;
};

static void
tell(void *data)
{
  Splice *splice = data;

  splice->done(splice->over, splice->data);
}

/* Ends it, from the loop so that no caller is inside it. */
static void
finish(Splice *splice, const char *why)
{
  if (splice->over)
    return;
  splice->over = why;
  loop_watch_free(splice->watches[0]);
  loop_watch_free(splice->watches[1]);
  splice->watches[0] = splice->watches[1] = NULL;
  loop_timer_set(splice->idle, 0);
}

static void
idle(void *data)
{
  Splice *splice = data;

  if (splice->over)
    tell(splice);
  else
    finish(splice, "idle");
}

static bool
retry_later(void)
{
  return errno == EAGAIN || errno == EINTR;
}

/* Bytes that are on their way to the other side. */
static size_t
waiting(const Direction *way)
{
  return way->looking ? 0 : way->held + way->early.len;
}

/* ---- The look ------------------------------------------------------------
 */

static void
judge(Splice *splice, bool last)
{
  Direction *up = &splice->up;
  Look look =
      up->early.len
          ? splice->look(
                buf_bytes(&up->early), up->early.len, last, splice->data)
          : LOOK_PASS; /* it ended without a word */

  if (look == LOOK_MORE && !last) {
    if (splice->look_timeout)
      loop_timer_set(splice->look_timer, 1000 * (int64_t)splice->look_timeout);
    splice->look_timeout = 0;
    return;
  }
  up->looking = false;
  loop_timer_set(splice->look_timer, -1);
  if (look != LOOK_PASS)
    finish(splice, "refused");
}

static void
looked_too_long(void *data)
{
  Splice *splice = data;

  if (splice->up.looking && !splice->over)
    judge(splice, true);
}

/* False on an error of the client. */
static bool
read_early(Splice *splice, bool *progress)
{
  Direction *up = &splice->up;
  uint8_t bytes[LOOK_BYTES];
  size_t room = SPLICE_LOOK_MAX - up->early.len;
  ssize_t n = recv(up->from, bytes, MIN(room, sizeof bytes), 0);

  if (n < 0)
    return retry_later();
  *progress = true;
  up->ended = n == 0;
  if (!buf_append(&up->early, bytes, (size_t)n))
    g_assert_not_reached(); /* it is no more than there is room for */
  judge(splice, up->ended || up->early.len == SPLICE_LOOK_MAX);
  return true;
}

/* ---- One direction -------------------------------------------------------
 */

/* False on an error of either side. */
static bool
fill(Direction *way, bool *progress)
{
  ssize_t n;

  if (way->ended || waiting(way))
    return true;
  n = splice(way->from,
             NULL,
             way->pipe[1],
             NULL,
             PIPE_BYTES,
             SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  if (n < 0)
    return retry_later();
  *progress = true;
  way->ended = n == 0;
  way->held += (size_t)n;
  return true;
}

static bool
drain(Direction *way, bool *progress)
{
  ssize_t n;

  if (way->looking)
    return true;
  if (way->early.len) {
    n = send(way->to, buf_bytes(&way->early), way->early.len, MSG_NOSIGNAL);
    if (n < 0)
      return retry_later();
    *progress = n > 0;
    buf_consume(&way->early, (size_t)n);
    way->moved += n;
    if (!way->early.len)
      buf_clear(&way->early);
  } else if (way->held) {
    n = splice(way->pipe[0],
               NULL,
               way->to,
               NULL,
               way->held,
               SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n < 0)
      return retry_later();
    *progress = n > 0;
    way->held -= (size_t)n;
    way->moved += n;
  }
  if (way->ended && !waiting(way) && !way->shut) {
    way->shut = true;
    shutdown(way->to, SHUT_WR);
  }
  return true;
}

/* Ends it because the connection with this side broke. */
static void
broke(Splice *splice, int side)
{
  finish(splice,
         side == splice->fds[CLIENT] ? "reset-by-client" : "reset-by-server");
}

/* False when it is over. */
static bool
move(Splice *splice, Direction *way, bool *any)
{
  for (unsigned i = 0; i < ROUNDS; i++) {
    bool progress = false;

    if (way->looking ? !read_early(splice, &progress) : !fill(way, &progress)) {
      broke(splice, way->from);
      return false;
    }
    if (splice->over)
      return false;
    if (!drain(way, &progress)) {
      broke(splice, way->to);
      return false;
    }
    *any = *any || progress;
    if (!progress)
      return true;
  }
  return true;
}

static uint32_t
wanted(const Direction *in, const Direction *out)
{
  return (in->ended || waiting(in) ? 0 : EPOLLIN) |
         (waiting(out) ? EPOLLOUT : 0);
}

static bool watch(Splice *splice, unsigned side, uint32_t events);

/* Waits for what this side can still do. A side that hung up is told of by
 * the kernel in every round, wanted or not: it is not watched any more once
 * there is nothing to be had from it. */
static void
settle(Splice *splice, unsigned side, const Direction *in, const Direction *out)
{
  uint32_t events = wanted(in, out);

  if (splice->hung_up[side] && !events)
    loop_watch_free(g_steal_pointer(&splice->watches[side]));
  else if (splice->watches[side])
    loop_watch_set(splice->watches[side], events);
  else if (events)
    watch(splice, side, events);
}

static void
run(Splice *splice)
{
  bool any = false;

  if (!move(splice, &splice->up, &any) || !move(splice, &splice->down, &any))
    return;
  if (splice->up.shut && splice->down.shut) {
    finish(splice, "closed");
    return;
  }
  if (any)
    loop_timer_set(splice->idle, 1000 * (int64_t)splice->idle_timeout);
  settle(splice, CLIENT, &splice->up, &splice->down);
  if (!splice->over)
    settle(splice, SERVER, &splice->down, &splice->up);
}

/* EPOLLERR is a reset: the other direction has nobody to go to either. */
static void
ready(Splice *splice, unsigned side, uint32_t events)
{
  if (events & EPOLLERR) {
    broke(splice, splice->fds[side]);
    return;
  }
  splice->hung_up[side] = splice->hung_up[side] || (events & EPOLLHUP) != 0;
  run(splice);
}

static void
client_ready(uint32_t events, void *data)
{
  ready(data, CLIENT, events);
}

static void
server_ready(uint32_t events, void *data)
{
  ready(data, SERVER, events);
}

static bool
watch(Splice *splice, unsigned side, uint32_t events)
{
  splice->watches[side] =
      loop_watch_new(splice->loop,
                     splice->fds[side],
                     events,
                     side == CLIENT ? client_ready : server_ready,
                     splice);
  if (!splice->watches[side])
    finish(splice, "error");
  return splice->watches[side] != NULL;
}

static bool
open_pipes(Splice *splice)
{
  return pipe2(splice->up.pipe, O_NONBLOCK | O_CLOEXEC) == 0 &&
         pipe2(splice->down.pipe, O_NONBLOCK | O_CLOEXEC) == 0;
}

Splice *
splice_new(Loop *loop,
           int client,
           int server,
           unsigned idle_timeout,
           void (*ended)(const char *why, void *data),
           void *data)
{
  Splice *splice = g_new0(Splice, 1);

  splice->loop = loop;
  splice->fds[0] = client;
  splice->fds[1] = server;
  splice->up = (Direction){.from = client, .to = server, .pipe = {-1, -1}};
  splice->down = (Direction){.from = server, .to = client, .pipe = {-1, -1}};
  splice->idle_timeout = idle_timeout;
  splice->done = ended;
  splice->data = data;
  splice->idle = loop_timer_new(loop, idle, splice);
  splice->look_timer = loop_timer_new(loop, looked_too_long, splice);
  buf_init(&splice->up.early, SPLICE_LOOK_MAX);
  if (!open_pipes(splice) || !watch(splice, CLIENT, EPOLLIN) ||
      !watch(splice, SERVER, EPOLLIN)) {
    splice_free(splice);
    return NULL;
  }
  loop_timer_set(splice->idle, 1000 * (int64_t)idle_timeout);
  return splice;
}

void
splice_look_first(Splice *splice, SpliceLook look, unsigned timeout)
{
  splice->look = look;
  splice->look_timeout = MAX(timeout, 1);
  splice->up.looking = true;
}

/* What was cut off must not look like an end: the FIN of a plain close does. */
static void
reset_on_close(int fd)
{
  static const struct linger now = {.l_onoff = 1, .l_linger = 0};

  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void
splice_free(Splice *splice)
{
  bool orderly;

  if (!splice)
    return;
  orderly = g_strcmp0(splice->over, "closed") == 0 ||
            g_strcmp0(splice->over, "refused") == 0;
  for (unsigned i = 0; i < 2; i++) {
    loop_watch_free(splice->watches[i]);
    if (!orderly)
      reset_on_close(splice->fds[i]);
    close(splice->fds[i]);
    if (splice->up.pipe[i] >= 0)
      close(splice->up.pipe[i]);
    if (splice->down.pipe[i] >= 0)
      close(splice->down.pipe[i]);
  }
  loop_timer_free(splice->idle);
  loop_timer_free(splice->look_timer);
  buf_clear(&splice->up.early);
  g_free(splice);
}

void
splice_bytes(const Splice *splice, int64_t *up, int64_t *down)
{
  *up = splice->up.moved;
  *down = splice->down.moved;
}
