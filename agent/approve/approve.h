/* SPDX-License-Identifier: Apache-2.0 */
/* Held requests and their answers: one queue with deadlines, the approvers
 * that it asks, and the rule that a request goes nowhere before every one that
 * the verdict names said yes. */
#ifndef HOOP_APPROVE_H
#define HOOP_APPROVE_H

#include "kit/digest.h"
#include "kit/loop.h"
#include "policy/policy.h"

#define APPROVE_ERROR (approve_error_quark())
GQuark approve_error_quark(void);
typedef enum {
  APPROVE_ERROR_NOT_FOUND,
  APPROVE_ERROR_DECIDED,   /* somebody answered before */
  APPROVE_ERROR_DIGEST,    /* the answer names another request or policy */
  APPROVE_ERROR_NOT_ASKED, /* this approver was not named by the verdict */
  APPROVE_ERROR_UNMASKABLE /* "approve masked" has nothing to mask */
} ApproveErrorCode;

typedef enum { ANSWER_APPROVE, ANSWER_APPROVE_MASKED, ANSWER_DENY } Answer;

/* How a held request ended. */
typedef enum {
  OUTCOME_APPROVED,
  OUTCOME_APPROVED_MASKED,
  OUTCOME_DENIED,
  OUTCOME_TIMEOUT,   /* counts as no */
  OUTCOME_WITHDRAWN, /* the client left */
  OUTCOME_REFUSED,   /* the queue is full or shuts down: counts as no */
} Outcome;
const char *outcome_name(Outcome outcome);

/* What one rule asks. */
typedef struct {
  char *rule_id;
  char *message; /* or NULL */
  Approver *approvers;
  unsigned n_approvers;
  unsigned needed; /* distinct people, where `by` counts */
  ApproveBy by;
} ApproveNeed;

/* What this rule asks; frees as part of its HeldRequest. */
ApproveNeed *approve_need_new(const PolicyRule *rule);

/* A request to be held; the queue takes it. Texts are shown to people as they
 * are: what is masked is masked already in `masked_text`; `text` never leaves
 * the process but to the owner's own terminal or window. */
typedef struct {
  char *exchange; /* journal id; also the id that the CLI takes */
  char *user, *client, *process, *connection, *host, *api, *model;
  char *policy_revision;
  uint8_t digest[SHA256_LEN];        /* user, connection, method, host, path,
                                        body that would be forwarded */
  uint8_t masked_digest[SHA256_LEN]; /* the same with the masked body */
  bool can_mask;                     /* approve masked would change something */
  GPtrArray *needs;                  /* ApproveNeed */
  unsigned timeout;                  /* s */
  char *text;                        /* the prompt as it would go out */
  char *masked_text;                 /* as approve masked would send it */
  unsigned n_findings;
} HeldRequest;

HeldRequest *held_request_new(void);
void held_request_free(HeldRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HeldRequest, held_request_free)

/* One given answer, for the journal. */
typedef struct {
  char *who; /* user name of the approver */
  ApproverKind kind;
  char *how; /* "cli", "tray", "grant", "hub" … */
  Answer answer;
  char *reason; /* or NULL */
  int64_t wall_us;
} GivenAnswer;

typedef struct approve_queue ApproveQueue;

typedef struct {
  unsigned max_pending; /* in all; beyond: refused */
  unsigned max_per_client;
  unsigned kinds; /* 1 << ApproverKind of each that can answer here */
} ApproveLimits;

/* The queue lives on `loop` (the main thread's); calls not marked otherwise
 * are made there. */
ApproveQueue *approve_queue_new(Loop *loop, const ApproveLimits *limits);
/* Ends everything that is held with OUTCOME_REFUSED. Accepts NULL. */
void approve_queue_free(ApproveQueue *queue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ApproveQueue, approve_queue_free)

typedef struct {
  Outcome outcome;
  const char *reason;       /* for the user; or NULL */
  const char *exchange;     /* of the prompt that was answered */
  const GPtrArray *answers; /* GivenAnswer, in order */
} Decision;

/* Holds a request; one that nobody who can answer here could approve is refused
 * right away, with a reason that says so. decided(decision) runs on
 * reply_loop's thread, exactly once unless approve_withdraw() came first. Equal
 * requests (user, client, digest) that wait already are answered by the same
 * prompt. Any thread. */
typedef struct approve_ticket ApproveTicket;
ApproveTicket *approve_hold(ApproveQueue *queue,
                            HeldRequest *request,
                            Loop *reply_loop,
                            void (*decided)(const Decision *decision,
                                            void *data),
                            void *data);
/* The client left: decided is not called any more; frees the ticket.
 * reply_loop's thread. Accepts NULL. */
void approve_withdraw(ApproveTicket *ticket);
/* After decided ran, or inside it. reply_loop's thread. Accepts NULL. */
void approve_ticket_free(ApproveTicket *ticket);

/* An answer by one approver. `digest`: what was shown to them (the original's,
 * or the masked one's: then only ANSWER_APPROVE_MASKED is possible); a nonce
 * per prompt (PendingView) guards against answers to an earlier prompt of
 * the same id. `who` is a user name. */
bool approve_answer(ApproveQueue *queue,
                    const char *exchange,
                    ApproverKind kind,
                    const char *who,
                    const char *how,
                    Answer answer,
                    const uint8_t digest[SHA256_LEN],
                    const char *nonce,
                    const char *reason,
                    GError **error);

/* What waits, in the order in which it came. */
typedef struct {
  const HeldRequest *request;
  const char *nonce;
  int64_t since_us;    /* wall clock */
  int64_t deadline_us; /* wall clock */
  unsigned waiting;    /* clients that this prompt answers */
} PendingView;
void approve_pending(ApproveQueue *queue,
                     void (*each)(const PendingView *pending, void *data),
                     void *data);

/* Who is told about changes: desktop, tray, control interface. Adding one
 * kind of approver is adding one of these. */
typedef struct {
  void (*pending)(const PendingView *pending, void *data);
  void (*gone)(const char *exchange,
               Outcome outcome,
               const char *who,
               void *data);
} ApproveListener;
void approve_listen(ApproveQueue *queue,
                    const ApproveListener *listener,
                    void *data);

#endif
