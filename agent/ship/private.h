/* SPDX-License-Identifier: Apache-2.0 */
/* The state of shipping, between its files. Private to the room. */
#ifndef HOOP_SHIP_PRIVATE_H
#define HOOP_SHIP_PRIVATE_H

#include "ship/batch.h"
#include "ship/receipt.h"
#include "ship/sink.h"

/* A slice that is still to be sent. */
typedef struct {
  Slice slice;
  int64_t known; /* that many of it are not taken, as an earlier answer to a
                    larger slice said; -1: not known */
  bool left;     /* the next one is its other half */
  bool probe;    /* only to see whether anything is taken; it comes again */
} Todo;

typedef struct {
  unsigned index; /* of the batch's items */
  char *reason;
} BadItem;

/* One batch on its way, whole or cut down to what is not taken. */
typedef struct {
  Batch *batch;
  GArray *todo;     /* Todo, the next one last */
  GArray *bad;      /* BadItem */
  unsigned taken;   /* records that the receiver took */
  unsigned refused; /* slices of one record that it did not take */
  unsigned probes;  /* that were not taken */
  bool too_large;   /* some slice was */
  bool hopeless;    /* it takes nothing: not the records are at fault */
  unsigned faults;  /* SENT_FAULT in a row */
  char *words;      /* of the last refusal */
  Receipt receipt;
} Round;

/* Takes the batch. */
void round_begin(Round *round, Batch *batch);
void round_clear(Round *round);
/* The next slice; false when there is none left. */
bool round_next(const Round *round, Slice *slice);
/* What became of it. False when the slice is to be sent again later. */
bool round_note(Round *round, const Sent *sent);
/* True when the batch is dealt with: what is in `bad` is set aside. Otherwise
 * nothing of the batch was taken, and it is not the records' fault. */
bool round_is_good(const Round *round);

/* ---- ship.c */
/* What runs: one thing at a time. */
typedef enum { IDLE, READING, SENDING, NOTING, WAITING } ShipState;

struct ship {
  Loop *loop;
  Journal *journal;
  ShipFormat format;
  char *path, *receiver, *version, *host, *user;
  ShipSource source; /* made of these */
  char instance[33]; /* of the journal; "" until it was read */
  unsigned interval;
  WorkerPool *pool;
  Sink *sink;
  LoopTimer *timer;
  JournalReader *reader;        /* the worker's, between its jobs */
  JournalReader *status_reader; /* this thread's */
  struct read_job *job;
  struct ship_note *note;

  ShipState state;
  bool in_round;
  bool eager; /* somebody waits: no pauses between batches */
  bool known; /* seq and checkpoint_seq are the journal's */
  int64_t seq, checkpoint_seq;
  Round round;
  unsigned most; /* records of a batch; less after "too large" */
  unsigned failures;
  int64_t retry_us; /* wall clock */
  char *problem, *notice;
  int64_t problem_us;
  int64_t delivered, delivered_bytes, shipped_us, receipt_seq;
  int64_t confirmed; /* by the receipt of the round that is noted; 0: none */
  bool has_receiver_key;
  uint8_t receiver_key[SIGNING_KEY_LEN];
};

/* This machine's; g_free. */
char *ship_host_name(void);

#endif
