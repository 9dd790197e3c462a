/* SPDX-License-Identifier: Apache-2.0 */
/* A small pool of threads for work that would block or stall a loop; each
 * result returns to the loop that asked. */
#ifndef HOOP_KIT_WORKER_H
#define HOOP_KIT_WORKER_H

#include "kit/loop.h"

typedef struct worker_pool WorkerPool;

/* Starts `threads` (1 to 64) pthreads; at most max_queued (1 or more) jobs
 * wait. Threads start with all signals blocked. Never NULL: fewer threads will
 * do, and the process ends when the kernel refuses even one. */
WorkerPool *worker_pool_new(unsigned threads, unsigned max_queued);
/* Finishes the running jobs, drops the waiting ones (their done is called
 * with cancelled = true on the calling thread), joins. What finished has been
 * posted to its reply loop, which must outlive the pool and be iterated once
 * more for the last done calls. Not from a job. Accepts NULL. */
void worker_pool_free(WorkerPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WorkerPool, worker_pool_free)

/* Runs job(data) on a worker, then done(data) on reply_loop's thread. False
 * when the queue is full: nothing was taken, the caller answers that. Any
 * thread. data belongs to the job until done. */
bool worker_run(WorkerPool *pool,
                Loop *reply_loop,
                void (*job)(void *data),
                void (*done)(void *data, bool cancelled),
                void *data);

#endif
