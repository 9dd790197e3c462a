/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share: the environment's and an exchange's
 * fields, and the steps that hand over to each other. Private to the room. */
#ifndef HOOP_EXCHANGE_STATE_H
#define HOOP_EXCHANGE_STATE_H

#include "exchange/exchange.h"
#include "exchange/refused.h"
#include "exchange/sessions.h"

#define EXCHANGE_ID_SIZE 27 /* journal_new_id() and NUL */

struct exchange_env {
  Loop *loop;
  WorkerPool *workers;
  Upstream *upstream;
  ConnTable *conns;
  Identity *identity;
  ApproveQueue *approve;
  Journal *journal;
  LoopTimer *wake; /* of its writer, once for the rows of a round */
  bool waking, ended;
  Masker *masker;
  Detector *detector;
  DetectorScratch *scratch;
  GPtrArray *former;       /* Detectors whose rules findings still name */
  GPtrArray *held_secrets; /* that `held` was made of; or NULL */
  ValueSet *held;          /* see held_values() */
  Policy *policy;
  char *self_url;
  char *paused; /* why, or NULL */
  void (*notice)(const char *text);
  void (*happened)(const Happening *what, void *data);
  void *happened_data;
  bool draining;
  ExchangeLimits limits;
  ExchangeStats stats;
  GHashTable *masked; /* rule id → how many masks since the start */
  Sessions *sessions;
  Ledger *ledger; /* of what the policy has budgets for; or NULL */
  Refused *refused;
  GHashTable *running; /* set of Exchange */
  LoopTimer *quiet;    /* since the last of them ended */
  GHashTable *tunnels; /* set of Tunnel */
};

/* How the answer flows to the client. */
typedef enum {
  ANSWER_NONE,   /* no head yet */
  ANSWER_EMPTY,  /* a head without a body: HEAD, 204, 304 */
  ANSWER_WHOLE,  /* collected, inspected, then sent */
  ANSWER_STREAM, /* through the response filter */
  ANSWER_PASS    /* detection is off: as it comes */
} AnswerMode;

typedef struct hold Hold;

/* An answer that is given once its record is stored. */
typedef struct {
  int status;
  char *code, *message;
} Refusal;

/* What it took from budgets; see budget.c. */
typedef enum { BUDGET_NONE, BUDGET_RESERVED, BUDGET_OUT } BudgetState;

struct exchange {
  unsigned refs; /* one of the owner, one of every call that is on its way */
  ExchangeEnv *env;
  HttpConn *conn; /* NULL once the client is gone or the answer is out */
  HttpRequest *request;
  Connection *connection;
  char *connect_host; /* or NULL */
  char *path;         /* to route by */
  char *shown_path;   /* to record */
  Caller *caller;
  LoopFunc ended;
  void *ended_data;
  char id[EXCHANGE_ID_SIZE];
  int64_t wall_us, began_us;

  Policy *policy;
  const Person *person;
  LoopTimer *wait; /* for the session that is being renewed; or NULL */
  int64_t wait_until_us;
  char *client;
  Route route;
  char *scope; /* of masks: session, user and connection */
  char *session;
  uint64_t session_serial;
  bool first_in_session;

  GHashTable *masked_out; /* rule id → masks in what goes out; or NULL */
  GHashTable *masked_in;  /* the same of a whole answer */

  Buf incoming;
  size_t counted;    /* bytes in env->stats.held_bytes */
  size_t reserved;   /* for an inspection that is under way */
  size_t hold_bytes; /* of the texts that people are shown */
  GBytes *body;      /* decoded */
  Inspection *inspection;
  Verdict *verdict;
  GBytes *forward; /* what goes out */
  GBytes *record;  /* what the journal keeps: every finding masked */
  bool masked;     /* forward differs from body */
  bool recorded;   /* a request row was queued */
  bool closed_row; /* a response row was queued */
  BudgetState budget;
  Hold *hold;

  HttpHeaders *outgoing;
  bool renewed; /* it was sent again with a fresh session token */
  UpstreamRequest *upstream;
  int status; /* the upstream's */
  HttpHeaders *headers;
  AnswerMode mode;
  bool head_sent;      /* to the client */
  bool upstream_ended; /* done() was called */
  bool upstream_cut;
  bool upstream_paused;
  HttpDecoder *decoder;
  Buf answer;    /* whole answers; in streams: decoded, not yet filtered */
  GBytes *reply; /* a whole answer on its way */
  GBytes *restored_reply; /* … as the client gets it; NULL: the same */
  Inspection *answer_inspection;
  Inspection *restored_calls; /* of the same calls as the tools would get them;
                                 NULL: nothing is restored in them */
  Verdict *answer_verdict;
  ResponseFilter *filter;
  Buf out; /* from the filter, to the client */
  Buf recorded_answer;
  Buf original_answer;   /* before masking; kept only where it is sealed */
  int64_t first_byte_us; /* of the answer, since the beginning; 0: none yet */
  bool denied_before;    /* by a remembered denial */
  int64_t held_us;       /* that it waited for approvals */
  uint64_t bytes_in, bytes_out;
  bool client_full; /* the client takes no more for now */
  bool busy;        /* the stream waits for a tool call's answer or for a row */
  bool answered;    /* its end is decided: nothing else goes to the client */
  Refusal *refusal;

  Verdict *tool_verdict; /* of the call that is being judged */
  char *tool_refusal;    /* why it is refused, or NULL */
  unsigned next_tool;    /* whole answers: the call's index */
  bool *tools_refused;
  char *whole_refusal;
  char *outcome; /* how it ended, for the response row: NULL is "ok" */
};

/* ---- exchange.c */
Exchange *exchange_ref(Exchange *exchange);
void exchange_unref(Exchange *exchange);
/* True when nobody waits for the result any more. */
bool exchange_is_gone(const Exchange *exchange);
/* How it ends is decided: stops what still runs. */
void exchange_answered(Exchange *exchange);
void exchange_subject(Exchange *exchange, Direction direction, Subject *out);

/* env.c: one less runs. */
void exchange_env_ended(ExchangeEnv *env);

/* ---- notice.c: how many masks of each rule, never what they stand for
 * Counts the spans by rule; g_hash_table_unref. */
GHashTable *notice_count(const GArray *spans);
/* {"rule":2,…} in the order of ids, or NULL when there is nothing; and adds it
 * to the environment's. g_free. */
char *notice_take(ExchangeEnv *env, GHashTable *masked);
/* Tells whoever listens; nothing for an empty table. */
void notice_masked(const Exchange *exchange, GHashTable *masked, bool answer);
void notice_blocked(const Exchange *exchange, const char *rule, bool answer);

/* ---- budget.c
 * It was judged and may go out: counts it. */
void budget_reserve(Exchange *exchange);
/* It goes out. */
void budget_out(Exchange *exchange);
/* It does not: what was reserved is free again. */
void budget_release(Exchange *exchange);
/* Its answer ended. */
void budget_settle(Exchange *exchange, const JournalRow *row);
/* Another ledger, which knows of what was recorded before this time only. */
void budget_move(ExchangeEnv *env, int64_t since_us);

/* ---- memory.c
 * Counts what the exchange keeps in memory by now; false when that grew, or
 * would with `more` bytes, beyond the configured bound of all together. */
bool exchange_fits(Exchange *exchange, size_t more);
/* The refusal that follows. */
void exchange_too_much(Exchange *exchange);

/* ---- admit.c: before the body */
void exchange_admit(Exchange *exchange);
/* True while the session that the exchange began in goes on; false after a
 * refusal, or when it is being renewed: then again(exchange) is called soon,
 * unless the exchange ends. For what waited. */
bool exchange_signed_in(Exchange *exchange, LoopFunc again);
/* True after a refusal, when the agent is paused. */
bool refuse_paused(Exchange *exchange);
/* The bearer token that the client sends, for the endpoints that came with
 * it; or NULL. */
const char *exchange_bearer(const Exchange *exchange);

/* ---- head.c: what is said outside bodies */
/* Judges target and header fields; false after a refusal. */
bool head_allowed(Exchange *exchange);
/* True when the body is one that signing in sends, and holds nothing else. */
bool head_is_sign_in(Exchange *exchange, const char *type);
/* Drops fields that lead the client around the agent, or that hold what
 * policy masks. */
void head_clean_answer(Exchange *exchange, HttpHeaders *headers);
/* A path or name as it may be recorded: without secrets. g_free; NULL for
 * NULL. */
char *head_shown(ExchangeEnv *env, const char *text);

/* ---- kin.c: what belongs to the same interaction of a client
 * A person denied it, in these words. */
void kin_deny(Exchange *exchange, const char *message);
/* The words in which another request of its interaction was denied that was
 * held for all that this one is held for; or NULL. The table's. */
const char *kin_denied(Exchange *exchange);

/* ---- decide.c: the whole body is there */
void exchange_inspect(Exchange *exchange);
/* Inspects a body, here or on a worker; then() gets the inspection (its own
 * from now on) or NULL and an error, unless the exchange ended meanwhile. */
typedef void (*InspectThen)(Exchange *exchange,
                            Inspection *inspection,
                            const GError *error);
void exchange_read(Exchange *exchange,
                   Direction direction,
                   const char *type,
                   GBytes *body,
                   InspectThen then);
/* The request row is stored (or not): forwards. */
void exchange_go(Exchange *exchange, const GError *error);

/* ---- held.c: the credentials that the agent holds, of all connections */
/* Their exact values as of now, which env->scratch finds from now on; the
 * environment's, NULL for none. Call before what is inspected may hold one. */
ValueSet *held_values(ExchangeEnv *env);
void held_clear(ExchangeEnv *env);
bool held_found(const Finding *findings, unsigned n);
bool held_inspected(const Inspection *inspection);
/* The spans and those of held credentials: these are masked whatever policy
 * says. g_array_unref. */
GArray *held_spans(const Inspection *inspection, const GArray *spans);
/* A streamed answer ends before one. */
void held_block(StreamPlan *plan, const RulePack *pack);

/* ---- hold.c */
typedef void (*HoldThen)(Exchange *exchange,
                         Outcome outcome,
                         const char *reason);
/* Holds until the approvers of `verdict` answered. `text` and `masked_text`
 * are taken; `keep_open`: the client gets comments while it waits. */
typedef struct {
  const Verdict *verdict;
  char *text, *masked_text;
  GArray *marks; /* as in HeldRequest; taken */
  unsigned n_findings;
  uint8_t digest[SHA256_LEN], masked_digest[SHA256_LEN];
  bool can_mask;
  bool stream;
  HoldThen then;
} HoldAsk;
void exchange_hold(Exchange *exchange, HoldAsk *ask);
/* A machine is signed in: nobody can be asked, so what would ask is denied.
 * The sentence for that (g_free), or NULL: people can be. */
char *hold_nobody(Exchange *exchange, const Verdict *verdict, const char *what);
void hold_cancel(Exchange *exchange);
/* What the client's user reads when the answer was no, or none; `what`: "This
 * request". g_free. */
char *hold_refusal(const Verdict *verdict,
                   const char *what,
                   Outcome outcome,
                   const char *reason);
/* `what`: "request", "answer" or "tool", so that a yes to one of them is none
 * to another with the same bytes. */
void exchange_digest(Exchange *exchange,
                     const char *what,
                     GBytes *body,
                     uint8_t out[SHA256_LEN]);

/* ---- view.c */
/* What people see of a body: its texts in order, with the masks that are set
 * whatever they answer, and with those of "approve masked" (MaskSpan, any
 * order). Sets text, masked_text and marks. */
void exchange_view(Exchange *exchange,
                   const Inspection *inspection,
                   const GArray *now,
                   const GArray *later,
                   HoldAsk *hold);

/* ---- forward.c */
void exchange_forward(Exchange *exchange);

/* ---- answer.c, stream.c */
void answer_head(Exchange *exchange, int status, HttpHeaders *headers);
bool answer_body(Exchange *exchange, const uint8_t *bytes, size_t len);
void answer_done(Exchange *exchange, const GError *error);
/* Opens the client's side of a stream: 200 and text/event-stream. */
void stream_open(Exchange *exchange);
bool stream_begin(Exchange *exchange, bool sse, GError **error);
/* What policy wants done with the answer; stream_plan_free(). */
StreamPlan *stream_plan(Exchange *exchange);
/* What the agent holds by now, before the answer's first byte. */
void stream_hold(Exchange *exchange);
/* Feeds what arrived and passes on what may go. */
void stream_feed(Exchange *exchange);
void stream_end(Exchange *exchange);
/* Ends an opened stream with a message for the user. */
void stream_message(Exchange *exchange, const char *outcome, const char *text);

void stream_resolve(Exchange *exchange, ToolAnswer answer, const char *message);
/* A row could not be stored: the answer is withheld. */
void exchange_unrecorded(Exchange *exchange, const GError *error);

/* ---- whole.c */
void whole_answer(Exchange *exchange);
void whole_next_tool(Exchange *exchange);
void whole_resolve(Exchange *exchange, ToolAnswer answer, const char *message);

/* ---- tools.c: the tool call that waits */
void tool_judge(Exchange *exchange);

/* ---- record.c */
/* Queues the request row; then(exchange, error) from the loop. */
typedef void (*RecordThen)(Exchange *exchange, const GError *error);
void record_request(Exchange *exchange, RecordThen then);
void record_response(Exchange *exchange, RecordThen then);
void record_tool(Exchange *exchange,
                 const ToolCall *call,
                 const Verdict *verdict,
                 const char *outcome,
                 RecordThen then);
/* What was asked, for the record. */
typedef struct {
  char *rules; /* ids of those that ask: a JSON array */
  uint8_t digest[SHA256_LEN], masked_digest[SHA256_LEN];
  int64_t held_us;
} HoldAsked;
void record_approval(Exchange *exchange,
                     const HoldAsked *asked,
                     const Decision *decision);

/* ---- refuse.c */
void refusal_free(Refusal *refusal);
/* Refuses in the form that fits what the client got so far: the API's error
 * JSON, or a message in the opened stream. `code`: e.g. "policy_denied". */
void exchange_refuse(Exchange *exchange, const char *code, const char *message);
/* The same with another status than 400 before the stream began. */
void exchange_fail(Exchange *exchange,
                   int status,
                   const char *code,
                   const char *message);

#endif
