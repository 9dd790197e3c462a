/* SPDX-License-Identifier: Apache-2.0 */
/* One request's life: read, inspect, judge, hold, record, forward, inspect the
 * answer, record, answer; and blind tunnels, which are only judged and
 * recorded. Everything runs on the data thread. */
#ifndef HOOP_EXCHANGE_H
#define HOOP_EXCHANGE_H

#include "approve/approve.h"
#include "conn/conn.h"
#include "http/http.h"
#include "identity/identity.h"
#include "inspect/inspect.h"
#include "journal/journal.h"
#include "judge/judge.h"
#include "kit/worker.h"
#include "upstream/upstream.h"

typedef struct {
  size_t max_body;   /* bytes, as received and decoded */
  size_t held_bytes; /* of all that exchanges keep in memory together */
  size_t max_recorded_body;
  unsigned idle_timeout;       /* s without progress of a tunnel */
  unsigned first_byte_timeout; /* s for a ClientHello inside a tunnel */
  unsigned approval_timeout;   /* s, for streams; others at most 60 */
  unsigned stream_silence;     /* s that a held stream stays silent */
  unsigned keepalive_interval; /* s between comments then */
} ExchangeLimits;

/* What all exchanges share; made once, lives on the data thread's loop. */
typedef struct exchange_env ExchangeEnv;

/* Something that a person may want to know and need not answer. Strings live
 * for the call; NULL where unknown. */
typedef struct {
  bool blocked;     /* policy refused it; else values were masked */
  bool answer;      /* in what came back; else in what went out */
  unsigned count;   /* of masked values; 1 of what was blocked */
  const char *rule; /* that blocked it; or the one that masked most */
  const char *client, *connection, *model;
} Happening;

/* Everything is borrowed and must outlive the environment, but for policy,
 * detector and limits, which are referenced or copied. detector NULL:
 * detection is off and bodies are not read (a measuring mode). journal NULL:
 * nothing is recorded (likewise). */
typedef struct {
  Loop *loop;
  WorkerPool *workers;
  Upstream *upstream;
  ConnTable *conns;
  Identity *identity;
  ApproveQueue *approve;
  Journal *journal;
  Masker *masker;
  Detector *detector;
  Policy *policy;
  const char *self_url; /* https://127.0.0.1:PORT */
  /* What a person should read in the log, without secrets; NULL: nobody
   * reads. Data thread. */
  void (*notice)(const char *text);
  /* As soon as the row that says so is on its way; NULL: nobody is told. Data
   * thread. */
  void (*happened)(const Happening *what, void *data);
  void *happened_data;
  ExchangeLimits limits;
} ExchangeOptions;

ExchangeEnv *exchange_env_new(const ExchangeOptions *options, GError **error);
/* Ends what runs: tunnels at once; connections are aborted, and their owner
 * calls exchange_closed() when it hears of it from the loop, which records what
 * was not answered. Calls that are on their way (journal, worker, approvals,
 * credentials) may still come back until exchange_env_free(). */
void exchange_env_end(ExchangeEnv *env);
/* After exchange_env_end() and its last call. */
void exchange_env_free(ExchangeEnv *env);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExchangeEnv, exchange_env_free)

/* A new policy for exchanges that begin from now on; those running keep the
 * one they began with. Forgets remembered refusals. */
void exchange_env_set_policy(ExchangeEnv *env, Policy *policy);
/* What exchanges count for budgets from now on, taken; NULL: nothing. Until it
 * is ready every budget counts as used up. Those that run count in it, too, but
 * for what went out before since_us (wall clock). */
void exchange_env_set_ledger(ExchangeEnv *env,
                             Ledger *ledger,
                             int64_t since_us);
/* What came before, taken: then it is ready. */
void exchange_env_merge_ledger(ExchangeEnv *env, Ledger *past);
/* Another detector of the same rules, of which others are on; for what begins
 * from now on. Before the policy that names them. */
void exchange_env_set_detector(ExchangeEnv *env, Detector *detector);
/* Paused: everything governed is refused, what waits for an approval too, with
 * this end of "hoop-agent is paused …"; NULL resumes. What the server has
 * already goes on. */
void exchange_env_set_paused(ExchangeEnv *env, const char *reason);
/* The sessions that have not ended, by the serials that HeldRequests name:
 * a set of GSIZE_TO_POINTER; g_hash_table_unref. */
GHashTable *exchange_env_sessions(const ExchangeEnv *env);
/* Exchanges and tunnels that have not ended: a drain waits for 0. */
unsigned exchange_env_running(const ExchangeEnv *env);
/* No new exchange begins (503 and close), and what waits for an approval is
 * refused; for the drain at SIGTERM. */
void exchange_env_drain(ExchangeEnv *env);
ConnTable *exchange_env_conns(ExchangeEnv *env);
Policy *exchange_env_policy(ExchangeEnv *env);

typedef struct {
  uint64_t requests, blocked, masked, approved, denied, tunnels, errors;
  unsigned running, held;
  size_t held_bytes;
} ExchangeStats;
void exchange_env_stats(const ExchangeEnv *env, ExchangeStats *out);
/* What was masked since the start, in what went out and in what came back: a
 * copy of rule ids → GSIZE_TO_POINTER; g_hash_table_unref. */
GHashTable *exchange_env_masked(const ExchangeEnv *env);

/* The program at the other end of a client connection. Advisory: found by
 * looking, off the data thread, and late or never. Data thread only. */
typedef struct {
  unsigned refs;
  bool resolved; /* looked up, found or not */
  uid_t uid;
  int64_t pid;      /* -1: unknown */
  char **processes; /* executable, then its parents; NULL ends; or NULL */
  LoopFunc waiting; /* who waits for it, or NULL */
  void *waiting_data;
  LoopTimer *patience;
} Caller;
Caller *caller_new(uid_t uid);
Caller *caller_ref(Caller *caller);
void caller_unref(Caller *caller);
/* Takes `processes`; tells who waits. */
void caller_resolve(Caller *caller, int64_t pid, char **processes);
/* Calls told(data) once: inside caller_resolve(), or from the loop after
 * CALLER_WAIT_MS without it, because what is advisory holds nobody up. For one
 * at a time. */
#define CALLER_WAIT_MS 1000
void caller_wait(Caller *caller, Loop *loop, LoopFunc told, void *data);
/* No call any more, where this one waits. */
void caller_forget(Caller *caller, const void *data);

/* Where a request came in. */
typedef struct {
  Connection *connection;
  const char *connect_host; /* of the CONNECT around it; NULL: base URL */
  const char *path;         /* to route by: behind /c/NAME */
  Caller *caller;
} Arrival;

typedef struct exchange Exchange;
/* Begins with a parsed head, which it takes. From here to exchange_closed() or
 * the end of the answer the connection's events belong to the exchange: the
 * owner passes them on. `ended` runs once, after the answer's last byte, and
 * the exchange is gone. */
Exchange *exchange_begin(ExchangeEnv *env,
                         HttpConn *conn,
                         HttpRequest *request,
                         const Arrival *arrival,
                         LoopFunc ended,
                         void *data);
void exchange_body(Exchange *exchange, const uint8_t *bytes, size_t len);
void exchange_body_end(Exchange *exchange);
void exchange_writable(Exchange *exchange);
void exchange_finished(Exchange *exchange);
/* The client is gone, `why` where that is not its usual way (broken framing, a
 * time limit) or NULL: cancels what runs, records it, frees the exchange;
 * `ended` is not called. */
void exchange_closed(Exchange *exchange, const char *why);

/* Records that something was turned away before it became an exchange (peer,
 * Host, Origin, framing); strings may be NULL. */
void exchange_record_refused(ExchangeEnv *env,
                             const Caller *caller,
                             const char *host,
                             const char *method,
                             const char *path,
                             int status,
                             const char *why);

/* Opens a blind tunnel for a client socket from which a CONNECT to an
 * ungoverned host was read, if policy allows: recorded, connected, answered
 * with 200, then both directions until both ended. A client that begins TLS
 * for a governed host in there is sent an alert and closed, before a byte of it
 * went on. Otherwise answers 403, 502 or 503 and closes. Takes fd. `ended` runs
 * once. */
void exchange_tunnel(ExchangeEnv *env,
                     int fd,
                     const char *host,
                     uint16_t port,
                     Caller *caller,
                     LoopFunc ended,
                     void *data);

#endif
