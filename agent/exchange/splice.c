/* SPDX-License-Identifier: Apache-2.0 */
/* Each direction is a pipe between two sockets: filled while it has room,
 * drained while the other side takes; the end of one side closes the other
 * side's input only after the pipe is empty. */
#define _GNU_SOURCE
#include "exchange/splice.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* What one direction may hold, and moves in one call: the pipe's own size. */
#define PIPE_BYTES (64 * 1024)
/* A fast sender must not starve other connections of the loop. */
#define ROUNDS 16

enum { CLIENT, SERVER };

typedef struct {
  int from, to;
  int pipe[2];
  size_t held; /* bytes in the pipe */
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

/* False on an error of either side. */
static bool
fill(Direction *way, bool *progress)
{
  ssize_t n;

  if (way->ended || way->held)
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

  if (way->held) {
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
  if (way->ended && !way->held && !way->shut) {
    way->shut = true;
    shutdown(way->to, SHUT_WR);
  }
  return true;
}

static bool
move(Direction *way, bool *any)
{
  for (unsigned i = 0; i < ROUNDS; i++) {
    bool progress = false;

    if (!fill(way, &progress) || !drain(way, &progress))
      return false;
    *any = *any || progress;
    if (!progress)
      return true;
  }
  return true;
}

static uint32_t
wanted(const Direction *in, const Direction *out)
{
  return (in->ended || in->held ? 0 : EPOLLIN) | (out->held ? EPOLLOUT : 0);
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

  if (!move(&splice->up, &any) || !move(&splice->down, &any)) {
    finish(splice, "error");
    return;
  }
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
    finish(splice, "error");
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
  if (!open_pipes(splice) || !watch(splice, CLIENT, EPOLLIN) ||
      !watch(splice, SERVER, EPOLLIN)) {
    splice_free(splice);
    return NULL;
  }
  loop_timer_set(splice->idle, 1000 * (int64_t)idle_timeout);
  return splice;
}

void
splice_free(Splice *splice)
{
  if (!splice)
    return;
  for (unsigned i = 0; i < 2; i++) {
    loop_watch_free(splice->watches[i]);
    close(splice->fds[i]);
    if (splice->up.pipe[i] >= 0)
      close(splice->up.pipe[i]);
    if (splice->down.pipe[i] >= 0)
      close(splice->down.pipe[i]);
  }
  loop_timer_free(splice->idle);
  g_free(splice);
}

void
splice_bytes(const Splice *splice, int64_t *up, int64_t *down)
{
  *up = splice->up.moved;
  *down = splice->down.moved;
}
