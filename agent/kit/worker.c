/* SPDX-License-Identifier: Apache-2.0 */
/* A small pool of threads: one bounded queue, results posted to the loop that
 * asked. */
#include "kit/worker.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

/* More threads than this is a mistake on a desktop. */
#define MAX_THREADS 64

typedef struct {
  Loop *reply_loop;
  void (*job)(void *data);
  void (*done)(void *data, bool cancelled);
  void *data;
} Job;

struct worker_pool {
  pthread_mutex_t lock; /* guards what follows */
  pthread_cond_t wake;
  Job **ring; /* max_queued waiting jobs at most */
  unsigned max_queued;
  unsigned first;
  unsigned n_queued;
  bool ending;
  unsigned n_threads;
  pthread_t threads[MAX_THREADS];
};

static Job *
take(WorkerPool *pool)
{
  Job *job = pool->ring[pool->first];

  pool->first = (pool->first + 1) % pool->max_queued;
  pool->n_queued--;
  return job;
}

static void
deliver(void *data)
{
  g_autofree Job *job = data;

  job->done(job->data, false);
}

static void *
worker_main(void *data)
{
  WorkerPool *pool = data;

  prctl(PR_SET_NAME, "worker");
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    Job *job;

    while (pool->n_queued == 0 && !pool->ending)
      pthread_cond_wait(&pool->wake, &pool->lock);
    if (pool->ending)
      break;
    job = take(pool);
    pthread_mutex_unlock(&pool->lock);
    job->job(job->data);
    loop_post(job->reply_loop, deliver, job);
    pthread_mutex_lock(&pool->lock);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

WorkerPool *
worker_pool_new(unsigned threads, unsigned max_queued)
{
  WorkerPool *pool = g_new0(WorkerPool, 1);
  sigset_t all, before;
  int err = 0;

  g_assert(threads >= 1 && threads <= MAX_THREADS && max_queued >= 1);
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pool->ring = g_new0(Job *, max_queued);
  pool->max_queued = max_queued;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (pool->n_threads < threads) {
    err = pthread_create(
        &pool->threads[pool->n_threads], NULL, worker_main, pool);
    if (err != 0)
      break;
    pool->n_threads++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (pool->n_threads == 0)
    g_error("Cannot start a worker thread: %s", g_strerror(err));
  return pool;
}

void
worker_pool_free(WorkerPool *pool)
{
  if (pool == NULL)
    return;
  pthread_mutex_lock(&pool->lock);
  pool->ending = true;
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->lock);
  for (unsigned i = 0; i < pool->n_threads; i++)
    pthread_join(pool->threads[i], NULL);
  while (pool->n_queued > 0) {
    g_autofree Job *job = take(pool);

    job->done(job->data, true);
  }
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->lock);
  g_free(pool->ring);
  g_free(pool);
}

bool
worker_run(WorkerPool *pool,
           Loop *reply_loop,
           void (*job)(void *data),
           void (*done)(void *data, bool cancelled),
           void *data)
{
  bool taken = false;

  pthread_mutex_lock(&pool->lock);
  if (!pool->ending && pool->n_queued < pool->max_queued) {
    Job *entry = g_new(Job, 1);

    *entry = (Job){reply_loop, job, done, data};
    pool->ring[(pool->first + pool->n_queued++) % pool->max_queued] = entry;
    pthread_cond_signal(&pool->wake);
    taken = true;
  }
  pthread_mutex_unlock(&pool->lock);
  return taken;
}
