/* SPDX-License-Identifier: Apache-2.0 */
/* One thread's event loop: file descriptors, timers and calls from other
 * threads on one epoll set; a GLib main loop can host it as a GSource. */
#ifndef HOOP_KIT_LOOP_H
#define HOOP_KIT_LOOP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct loop Loop;
typedef struct loop_watch LoopWatch;
typedef struct loop_timer LoopTimer;

typedef void (*LoopFunc)(void *data);
typedef void (*LoopFdFunc)(uint32_t events, void *data);

/* Creates a loop; GError (G_FILE_ERROR) when the kernel refuses a
 * descriptor. The loop belongs to the thread that runs it; only loop_post()
 * and loop_quit() may be called from others. */
Loop *loop_new(GError **error);

/* Frees the loop. Posted and deferred calls that did not run yet are dropped
 * with their data untouched: to run them, call loop_iterate(loop, 0) first. All
 * watches and timers must have been freed before, and no other thread may post
 * any more. */
void loop_free(Loop *loop);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Loop, loop_free)

/* Runs until loop_quit(); at once back when that was called before. */
void loop_run(Loop *loop);

/* Waits up to timeout_ms (-1: for ever) for one round of events and
 * dispatches it: descriptors, then posted calls, timers, deferred calls.
 * Returns after at most one epoll_wait(2), also without any event. Never
 * inside a callback of the same loop. */
void loop_iterate(Loop *loop, int timeout_ms);

/* Ends loop_run() after the current round. Any thread. */
void loop_quit(Loop *loop);

/* A GSource that dispatches this loop inside a GLib main context; the caller
 * attaches and unrefs it, and destroys it before loop_free(). */
GSource *loop_source_new(Loop *loop);

/* Calls func(events, data) when fd has one of the epoll events (EPOLLIN …,
 * level triggered unless EPOLLET is given; EPOLLERR and EPOLLHUP always).
 * The watch does not own fd. NULL when the kernel refuses (errno is kept):
 * the caller answers that as a failure of its connection. */
LoopWatch *loop_watch_new(Loop *loop,
                          int fd,
                          uint32_t events,
                          LoopFdFunc func,
                          void *data);
/* Replaces the set of events; 0 keeps only EPOLLERR and EPOLLHUP. Costs
 * nothing when the set ends the round as it began it: the kernel is told once,
 * before the loop waits again. Events that were taken away are not delivered
 * even when they had already been reported. */
void loop_watch_set(LoopWatch *watch, uint32_t events);
/* Ends the watch, before the fd is closed. Safe inside any callback of the
 * loop, its own included: it is not called again. Accepts NULL. */
void loop_watch_free(LoopWatch *watch);

/* A timer, not armed. */
LoopTimer *loop_timer_new(Loop *loop, LoopFunc func, void *data);
/* Arms it to fire once after `ms` milliseconds (0: in the next round), or
 * disarms it with a negative value. Re-arming replaces the former time; moving
 * it later or disarming it is a few stores. Inside callbacks the time counts
 * from loop_now_us(). Timers fire in the order of their times, those of one
 * time as they were armed; up to 1 ms late, never early. */
void loop_timer_set(LoopTimer *timer, int64_t ms);
/* Safe inside any callback of the loop. Accepts NULL. */
void loop_timer_free(LoopTimer *timer);

/* Calls func(data) on the loop's thread before it waits again, in order: work
 * that must not re-enter the current call chain. It cannot be taken back; what
 * may have to be is a timer of 0 ms. Loop's thread only. */
void loop_defer(Loop *loop, LoopFunc func, void *data);

/* The same from any thread; calls run in the order in which one thread posted
 * them, and what they post runs in the next round. A full memory barrier lies
 * between post and run. The queue has no maximum of its own: each caller
 * bounds what it has under way. */
void loop_post(Loop *loop, LoopFunc func, void *data);

/* CLOCK_MONOTONIC in microseconds, read once per round (outside of callbacks,
 * now): cheap enough for every event. Loop's thread only. */
int64_t loop_now_us(const Loop *loop);

#endif
