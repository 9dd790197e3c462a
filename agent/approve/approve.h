/* SPDX-License-Identifier: Apache-2.0 */
/* Held requests and their answers: one queue with deadlines, the approvers
 * that it asks, and the rule that a request goes nowhere before every one that
 * the verdict names said yes. */
#ifndef HOOP_APPROVE_H
#define HOOP_APPROVE_H

#include "kit/digest.h"
#include "kit/loop.h"
#include "policy/policy.h"
#include <sys/types.h>

#define APPROVE_ERROR (approve_error_quark())
GQuark approve_error_quark(void);
typedef enum {
  APPROVE_ERROR_NOT_FOUND,
  APPROVE_ERROR_DECIDED,    /* somebody answered before */
  APPROVE_ERROR_DIGEST,     /* the answer names another request or policy */
  APPROVE_ERROR_NOT_ASKED,  /* this approver was not named by the verdict */
  APPROVE_ERROR_UNMASKABLE, /* "approve masked" has nothing to mask */
  APPROVE_ERROR_GRANT,      /* an answer that cannot be remembered so */
  APPROVE_ERROR_STORE,      /* the grants' file could not be read or written */
  APPROVE_ERROR_REASON,     /* an approval without the reason that is wanted */
  APPROVE_ERROR_EXTEND,     /* there is no more time to be had */
  APPROVE_ERROR_PRESENCE    /* the user did not prove to be there */
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
  unsigned escalate_after; /* s; 0: never */
  PolicyApprovers next;    /* a yes of these is enough, too, once … */
  bool escalated;          /* … that time is over; the queue's */
  unsigned extend;         /* times that the deadline may be put off */
  Risk risk;
  bool needs_reason;          /* an approval comes with a reason */
  bool no_grants;             /* no approval of it is remembered */
  uint8_t digest[SHA256_LEN]; /* of the rule's text */
} ApproveNeed;

/* What this rule asks; frees as part of its HeldRequest. */
ApproveNeed *approve_need_new(const PolicyRule *rule);

/* What stands where in the text that people are shown. */
typedef enum {
  SHOWN_PART,    /* one text of the body: name is what it is to its API, where
                    the keys that lead to it, more the tool's name or NULL */
  SHOWN_FINDING, /* name: the rules that found it; more: what "approve masked"
                    sends in its place, or NULL: the same */
  SHOWN_MASKED,  /* a mask, whatever is answered; name: its rules */
  SHOWN_GAP      /* a line in place of what is not shown; where: how many bytes,
                    more: how many findings are among them */
} ShownKind;
const char *shown_kind_name(ShownKind kind);
typedef struct {
  ShownKind kind;
  size_t start, end; /* bytes of the text */
  char *name, *where, *more;
} ShownMark;
/* Of ShownMark, which it clears; g_array_unref. */
GArray *shown_marks_new(void);
void shown_mark_clear(void *mark);

/* A request to be held; the queue takes it. Texts are shown to people as they
 * are: what is masked is masked already in `masked_text`; `text` never leaves
 * the process but to the owner's own terminal or window. */
typedef struct {
  char *exchange; /* journal id; also the id that the CLI takes */
  char *user, *client, *process, *connection, *host, *api, *model;
  char *issuer, *subject;  /* of the user's sign-in: who they really are */
  char **groups;           /* theirs; or NULL */
  char *session;           /* its key, or NULL: none */
  uint64_t session_serial; /* another one once the session ended */
  char *policy_revision;
  Policy *policy; /* says who is in a reviewers' group; NULL: groups are meant
                     as the issuer names them */
  uint8_t digest[SHA256_LEN];        /* user, connection, method, host, path,
                                        body that would be forwarded */
  uint8_t masked_digest[SHA256_LEN]; /* the same with the masked body */
  bool can_mask;                     /* approve masked would change something */
  GPtrArray *needs;                  /* ApproveNeed */
  unsigned timeout;                  /* s */
  char *text;                        /* the prompt as it would go out */
  char *masked_text;                 /* as approve masked would send it */
  GArray *marks;                     /* of `text`, a part behind what is in it;
                                        NULL: none */
  unsigned n_findings;
} HeldRequest;

HeldRequest *held_request_new(void);
/* The highest that its rules say. */
Risk held_risk(const HeldRequest *request);
/* Whether one of its rules wants a reason with an approval. */
bool held_needs_reason(const HeldRequest *request);
/* Whether a denial of it can be remembered: it is known which program asks. */
bool approve_can_remember(const HeldRequest *request);
void held_request_free(HeldRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HeldRequest, held_request_free)

/* One given answer, for the journal. */
typedef struct {
  char *who;              /* user name of the approver */
  char *issuer, *subject; /* who that is, or NULL */
  char **reviews; /* reviewers' groups of the request that they are in */
  ApproverKind kind;
  char *how; /* "cli", "tray", "grant", "hub" … */
  char
      *grant; /* the one that it came from ("grant") or that it gave; or NULL */
  Answer answer;
  char *reason; /* or NULL */
  int64_t wall_us;
} GivenAnswer;

typedef struct approve_queue ApproveQueue;

typedef struct {
  unsigned max_pending; /* in all; beyond: refused */
  unsigned max_per_client;
  unsigned kinds; /* 1 << ApproverKind of each that can answer here */
  /* NULL: the machine's, clock_boot_us(). */
  int64_t (*boot_us)(void);
} ApproveLimits;

/* The queue lives on `loop` (the main thread's); calls not marked otherwise
 * are made there. */
ApproveQueue *approve_queue_new(Loop *loop, const ApproveLimits *limits);
/* Ends everything that is held with OUTCOME_REFUSED. Accepts NULL. */
void approve_queue_free(ApproveQueue *queue);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ApproveQueue, approve_queue_free)

/* The agent stops: what is withdrawn from now on ended with OUTCOME_REFUSED,
 * and so does what comes. */
void approve_stop(ApproveQueue *queue);

/* Who can answer here changed: what is held already stays. */
void approve_set_kinds(ApproveQueue *queue, unsigned kinds);

/* Time that a person has after the machine woke or was unlocked. */
#define APPROVE_WAKE_S 60
/* Nothing that waits ends by its deadline before so many seconds from now: the
 * machine goes to sleep, woke, or a person comes back to it. Deadlines do not
 * run while the machine sleeps; one that was slept over without this call is
 * put off likewise. */
void approve_grace(ApproveQueue *queue, unsigned seconds);

typedef struct {
  Outcome outcome;
  bool escalated;           /* others were asked, too, after a while */
  unsigned extended;        /* times that the deadline was put off */
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

/* Why nobody may answer in time, for its client's user should the deadline
 * come; NULL: nothing is wrong any more. */
void approve_note(ApproveQueue *queue, const char *exchange, const char *why);

/* Who answers, as they proved it where they did. */
typedef struct {
  ApproverKind kind;
  const char *user;
  const char *issuer, *subject; /* of their sign-in; NULL: not known */
  const char *const *groups;    /* of their sign-in, NULL terminated; NULL:
                                   not known, so none */
  const char *how;              /* "cli", "tray", "hub" … */
  const char *const *reviews;   /* reviewers' groups, as the policy names them,
                                   that a hub vouches for; or NULL */
} Answerer;

/* An answer by one approver. Developer and presence are whose request it is; a
 * reviewer is in a group that is asked, and never whose request it is: nobody
 * of the same subject, and nobody of the same user name, wherever they signed
 * in. `digest`: what was shown to them (the original's, or the masked one's:
 * then only ANSWER_APPROVE_MASKED is possible); a nonce per prompt
 * (PendingView) guards against answers to an earlier prompt of the same id. */
bool approve_answer(ApproveQueue *queue,
                    const char *exchange,
                    const Answerer *by,
                    Answer answer,
                    const uint8_t digest[SHA256_LEN],
                    const char *nonce,
                    const char *reason,
                    GError **error);

/* Whether an answer by this person, of this kind, is looked for and was not
 * given yet. */
bool approve_wants(ApproveQueue *queue,
                   const char *exchange,
                   const Answerer *by);
/* Whether approve_answer() would take it as things stand now. Errors as
 * there. */
bool approve_check(ApproveQueue *queue,
                   const char *exchange,
                   const Answerer *by,
                   Answer answer,
                   const uint8_t digest[SHA256_LEN],
                   const char *nonce,
                   const char *reason,
                   GError **error);

/* ---- Presence ----------------------------------------------------------- */

/* polkit's action; org.hoop-agent.approve.policy describes it. */
#define PRESENCE_ACTION "org.hoop-agent.approve"
typedef struct presence_check PresenceCheck;
/* Asks polkit on the system bus whether the user of this process, which wants
 * to answer, is there: it has their agent ask for their password or fingerprint
 * (`auth_self`), unless it is root's. done(NULL) when they proved it, else
 * done(APPROVE_ERROR_PRESENCE), once, on the default main context, whose thread
 * makes the calls. There is no limit of time: whoever asks cancels it. NULL
 * with error when nobody can be asked. */
PresenceCheck *presence_ask(pid_t pid,
                            uid_t uid,
                            void (*done)(const GError *error, void *data),
                            void *data,
                            GError **error);
/* Takes the question back; done is not called any more. Only before done was.
 * Accepts NULL. */
void presence_cancel(PresenceCheck *check);

/* Nothing is held longer, however often a person asks for more time; a rule
 * whose timeout is longer gives no more. */
#define APPROVE_HELD_AT_MOST_S 3600
/* More time for whoever is asked: the deadline is put off by the request's
 * timeout, as often as each of its rules says and until
 * APPROVE_HELD_AT_MOST_S. *deadline_us is the new one, wall clock.
 * APPROVE_ERROR_EXTEND when there is no more; else as approve_answer(). */
bool approve_extend(ApproveQueue *queue,
                    const char *exchange,
                    const Answerer *by,
                    const char *nonce,
                    int64_t *deadline_us,
                    GError **error);

/* ---- Grants: answers that are remembered --------------------------------- */

/* What a grant was given for: one rule, as its text was then. */
typedef struct {
  char *id;
  uint8_t digest[SHA256_LEN];
} GrantRule;

/* An answer that counts for later requests too: of this user, client and
 * connection, held by no other rules than these. It counts as a yes of its
 * kind of approver, and a masked one approves masked alone; a denial denies
 * what any of its rules holds, whatever other grants say. */
typedef struct {
  char *id; /* "g-" and 12 hex digits */
  ApproverKind kind;
  bool denies; /* then masked is false */
  bool masked;
  char *who, *reason; /* of the answer; reason may be NULL */
  char *who_issuer, *who_subject, **reviews; /* of a reviewer's: as in
                                                GivenAnswer. Not stored, so no
                                                reviewer's grant outlives the
                                                object */
  char *exchange;                            /* whose prompt was answered */
  char *user, *issuer, *subject, *client, *connection;
  char *session; /* its key; NULL: for the time alone */
  uint64_t session_serial;
  GPtrArray *rules; /* GrantRule */
  /* Until both clocks say so: setting the wall clock back lengthens nothing. */
  int64_t since_us, until_us; /* wall */
  int64_t until_boot_us;      /* clock_boot_us() */
  uint64_t uses;
  int64_t last_us; /* wall; 0: never used */
} Grant;

typedef enum {
  GRANT_GIVEN,
  GRANT_REVOKED,
  GRANT_EXPIRED,
  GRANT_ENDED /* by a policy that says something else, or with its session */
} GrantEvent;

typedef struct {
  const char *path;      /* of the timed ones; NULL: none outlives the object */
  const uint8_t *key;    /* SHA256_LEN bytes, for the file's integrity */
  unsigned most_seconds; /* that one may last */
  unsigned most;         /* at one time; GRANTS_MAX at most */
  /* NULL: the machine's. */
  int64_t (*wall_us)(void);
  int64_t (*boot_us)(void);
  /* Whatever becomes of one: `why` is a sentence's end or NULL. May be NULL. */
  void (*changed)(const Grant *grant,
                  GrantEvent event,
                  const char *why,
                  void *data);
  void *data;
} GrantOptions;
#define GRANTS_MAX 1000

/* All calls on the queue's thread. */
typedef struct grants Grants;
Grants *grants_new(const GrantOptions *options);
/* Stores the uses. Accepts NULL. */
void grants_free(Grants *grants);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Grants, grants_free)

/* The stored ones that are still good: of this boot of the machine, not
 * expired, no longer than they may be, for rules that the policy still has, and
 * not over as far as ended(id, data) knows (NULL: nothing is), so that an old
 * copy of the file brings none back. APPROVE_ERROR_STORE, and none, when the
 * file is not as it was written. No file is none. */
bool grants_load(Grants *grants,
                 Policy *policy,
                 bool (*ended)(const char *id, void *data),
                 void *data,
                 GError **error);
/* Ends those for rules that the policy has no more or not as they were, and
 * gives none for other rules from now on. */
void grants_follow(Grants *grants, Policy *policy);
/* Ends those of sessions that ended: lives(serial, data) says. */
void grants_keep_sessions(Grants *grants,
                          bool (*lives)(uint64_t serial, void *data),
                          void *data);
/* Drops the expired; stores again what could not be stored before. False when
 * there is nothing to tidy as long as none is given. */
bool grants_tidy(Grants *grants);
/* By its id or the id's unique beginning. It is ended even when the file could
 * not be written (APPROVE_ERROR_STORE); APPROVE_ERROR_NOT_FOUND. */
bool grants_revoke(Grants *grants, const char *id, GError **error);
/* Of Grant, oldest first, without expired ones; until the next call. */
const GPtrArray *grants_list(Grants *grants);
/* What is left to it, by the clock that says less. */
int64_t grants_left_us(const Grants *grants, const Grant *grant);

/* The queue lets pass what they suffice for, without a prompt. Borrowed. */
void approve_use_grants(ApproveQueue *queue, Grants *grants);

typedef struct {
  unsigned seconds; /* 0: as long as one may last */
  bool session;     /* and while the session lives */
} GrantTerm;
/* Answers, and gives a grant for the rules of the request that ask this kind of
 * approver (a denial: for all of them); what waits and is decided by it goes at
 * once. *id (g_free) is the
 * grant's. When it cannot be given (APPROVE_ERROR_GRANT says why) nothing is
 * answered. */
bool approve_grant(ApproveQueue *queue,
                   const char *exchange,
                   const Answerer *by,
                   Answer answer,
                   const uint8_t digest[SHA256_LEN],
                   const char *nonce,
                   const char *reason,
                   const GrantTerm *term,
                   char **id,
                   GError **error);

/* ---- What waits ------------------------------------------------------------
 * In the order in which it came. */
typedef struct {
  const HeldRequest *request;
  const char *nonce;
  int64_t since_us;    /* wall clock */
  int64_t deadline_us; /* wall clock */
  unsigned waiting;    /* clients that this prompt answers */
  bool presence;       /* the user's yes counts once they prove to be there */
  unsigned extensions; /* how often approve_extend() gives more time … */
  int64_t extend_us;   /* … and how much the next time */
  int64_t escalate_us; /* wall clock: when others are asked too; 0: not */
  const GPtrArray *answers; /* GivenAnswer so far */
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
