/* SPDX-License-Identifier: Apache-2.0 */
/* Where batches go: one vtable, a file for each kind. Private to the room. */
#ifndef HOOP_SHIP_SINK_H
#define HOOP_SHIP_SINK_H

#include "kit/worker.h"
#include "ship/answer.h"
#include "ship/batch.h"

#include <stdatomic.h>

typedef enum {
  SENT_TAKEN,     /* all of it, but for `rejected` */
  SENT_LATER,     /* try again, unchanged */
  SENT_FAULT,     /* the same, but the records may be why (500) */
  SENT_REFUSED,   /* there is something in it that is not taken (400) */
  SENT_TOO_LARGE, /* fewer may be taken (413) */
  N_SENT_CODES
} SentCode;

typedef struct {
  SentCode code;
  int64_t rejected; /* SENT_TAKEN */
  int64_t retry_ms; /* SENT_LATER: as the receiver asks; -1: it does not */
  char *message;    /* a sentence: why, and what to do; SENT_TAKEN: what it
                       said beside, or NULL */
  Receipt receipt;
} Sent;
void sent_clear(Sent *sent);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Sent, sent_clear)

typedef struct sink Sink;

typedef void (*SinkDone)(const Sent *sent, void *data);

typedef struct {
  const char *name;
  /* Delivers a slice; done comes on the loop, never from inside. One at a time;
   * the batch lives until done or free. */
  void (*send)(Sink *sink,
               const Batch *batch,
               const ShipSource *source,
               Slice slice,
               SinkDone done,
               void *data);
  /* On the worker, before anything is sent: the last thing that the receiver
   * has of this journal, where it can tell. NULL: it never can. */
  bool (*last)(Sink *sink, const char *journal, ShipPlace *place);
  /* From now on blocking calls return soon, and done is not called. */
  void (*stop)(Sink *sink);
  /* After stop, once the worker has ended. */
  void (*free)(Sink *sink);
} SinkType;

struct sink {
  const SinkType *type;
};

typedef struct {
  Loop *loop;
  WorkerPool *pool;
  const ShipOptions *options; /* copied by the sinks where they keep any */
} SinkEnv;

/* Each checks its endpoint, or makes one; SHIP_ERROR_CONFIG. */
bool sink_otlp_check(const ShipOptions *options, GError **error);
Sink *sink_otlp_new(const SinkEnv *env, GError **error);
bool sink_file_check(const ShipOptions *options, GError **error);
Sink *sink_file_new(const SinkEnv *env, GError **error);
bool sink_syslog_check(const ShipOptions *options, GError **error);
Sink *sink_syslog_new(const SinkEnv *env, GError **error);

/* ---- sink.c: for those that block: deliver(text) runs on the worker */
typedef struct blocking_send BlockingSend;
typedef struct {
  Sink sink;
  Loop *loop;
  WorkerPool *pool;
  ShipFormat format;
  BlockingSend *job;    /* under way, or NULL */
  atomic_bool stopping; /* deliver() returns soon */
  void (*deliver)(Sink *sink, const GString *text, Sent *sent);
} BlockingSink;
/* The vtable's send and stop for a BlockingSink. */
void sink_block_send(Sink *sink,
                     const Batch *batch,
                     const ShipSource *source,
                     Slice slice,
                     SinkDone done,
                     void *data);
void sink_block_stop(Sink *sink);
/* First of what the vtable's free does. */
void sink_block_end(Sink *sink);

#endif
