/* SPDX-License-Identifier: Apache-2.0 */
/* What waits, for the files that add to it and answer it. Private to the room.
 */
#ifndef HOOP_APPROVE_QUEUE_H
#define HOOP_APPROVE_QUEUE_H

#include "approve/private.h"

/* Guards against an answer to an earlier prompt of the same id. */
#define NONCE_BYTES 12

typedef struct prompt Prompt;

struct prompt {
  ApproveQueue *queue;
  HeldRequest *request;
  GPtrArray *tickets; /* ApproveTicket, a reference each */
  GPtrArray *answers; /* GivenAnswer */
  LoopTimer *deadline;
  int64_t since_us, deadline_us;
  char nonce[2 * NONCE_BYTES + 1];
};

struct approve_queue {
  Loop *loop;
  ApproveLimits limits;
  Grants *grants; /* or NULL */
  GPtrArray *prompts;
  GArray *listening;
};

/* ---- queue.c: the queue's thread */
/* Answers everybody who waits for it, tells the listeners, forgets it. */
void prompt_end(Prompt *prompt,
                Outcome outcome,
                const char *who,
                const char *reason);
/* Tells the listeners what is known of it now. */
void prompt_tell(ApproveQueue *queue, const Prompt *prompt);
/* Moves what grants said over to the answers, and counts their use. */
void prompt_use_grants(ApproveQueue *queue,
                       GPtrArray *answers,
                       GPtrArray *used);

#endif
