/* SPDX-License-Identifier: Apache-2.0 */
/* What blocking sinks share: the text is made and delivered on the worker. */
#include "ship/sink.h"

struct blocking_send {
  BlockingSink *sink; /* NULL once it is gone */
  const Batch *batch;
  const ShipSource *source;
  Slice slice;
  Sent sent;
  SinkDone done;
  void *data;
};

void
sent_clear(Sent *sent)
{
  g_clear_pointer(&sent->message, g_free);
  g_clear_pointer(&sent->receipt.text, g_free);
}

static void
job_run(void *data)
{
  BlockingSend *job = data;
  GString *text =
      batch_text(job->batch, job->sink->format, job->source, job->slice);

  job->sink->deliver(&job->sink->sink, text, &job->sent);
  g_string_free(text, TRUE);
}

static void
job_done(void *data, bool cancelled)
{
  BlockingSend *job = data;

  if (job->sink)
    job->sink->job = NULL;
  if (job->sink && !cancelled)
    job->done(&job->sent, job->data);
  sent_clear(&job->sent);
  g_free(job);
}

void
sink_block_send(Sink *sink,
                const Batch *batch,
                const ShipSource *source,
                Slice slice,
                SinkDone done,
                void *data)
{
  BlockingSink *self = (BlockingSink *)sink;
  BlockingSend *job = g_new0(BlockingSend, 1);

  *job = (BlockingSend){.sink = self,
                        .batch = batch,
                        .source = source,
                        .slice = slice,
                        .sent.retry_ms = -1,
                        .done = done,
                        .data = data};
  self->job = job;
  /* One thing at a time: the queue has room. */
  if (!worker_run(self->pool, self->loop, job_run, job_done, job))
    g_assert_not_reached();
}

void
sink_block_stop(Sink *sink)
{
  atomic_store(&((BlockingSink *)sink)->stopping, true);
}

void
sink_block_end(Sink *sink)
{
  BlockingSink *self = (BlockingSink *)sink;

  if (self->job)
    self->job->sink = NULL;
}
