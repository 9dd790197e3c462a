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
  LoopTimer *deadline, *escalate;
  /* clock_mono_us(), which stands still while the machine sleeps. */
  int64_t since_mono_us, deadline_mono_us;
  int64_t since_us, deadline_us; /* wall clock, for people */
  int64_t asleep_us;             /* that the machine slept when it was seen */
  unsigned extended;
  char *note; /* why nobody may answer, or NULL */
  char nonce[2 * NONCE_BYTES + 1];
};

struct approve_queue {
  Loop *loop;
  ApproveLimits limits;
  Grants *grants; /* or NULL */
  GPtrArray *prompts;
  GArray *listening;
  bool stopping;
};

/* ---- queue.c: the queue's thread */
/* Answers everybody who waits for it, tells the listeners, forgets it. */
void prompt_end(Prompt *prompt,
                Outcome outcome,
                const char *who,
                const char *reason);
/* Tells the listeners what is known of it now. */
void prompt_tell(ApproveQueue *queue, Prompt *prompt);
/* Moves what grants said over to the answers, and counts their use. */
void prompt_use_grants(ApproveQueue *queue,
                       GPtrArray *answers,
                       GPtrArray *used);
/* For the client's user. g_free. */
char *denial_reason(const Grant *denial);

/* ---- times.c: deadlines, more time, who is asked next
 * From when it waits; stopped when it ends. */
void times_start(Prompt *prompt);
void times_stop(Prompt *prompt);
/* The deadline by the wall clock as it is set now. */
void times_refresh(Prompt *prompt);
/* Puts the deadline off as its rules say; false when they do not. */
bool times_extend(Prompt *prompt);
/* How often that is possible still, and by how much. */
unsigned times_extensions(const Prompt *prompt);
int64_t times_extension_us(const Prompt *prompt);
/* When somebody else is asked too, wall clock; 0: nobody. */
int64_t times_escalate_us(const Prompt *prompt);

/* ---- answer.c
 * Ends it if what was said, now or before, decides; true when it ended. */
bool prompt_conclude(Prompt *prompt, const char *who, const char *reason);

#endif
