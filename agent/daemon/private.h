/* SPDX-License-Identifier: Apache-2.0 */
/* The one struct of the daemon and what its files share. Private. */
#ifndef HOOP_DAEMON_PRIVATE_H
#define HOOP_DAEMON_PRIVATE_H

#include "approve/approve.h"
#include "bundle/bundle.h"
#include "bus/bus.h"
#include "conn/conn.h"
#include "daemon/daemon.h"
#include "exchange/exchange.h"
#include "front/front.h"
#include "identity/identity.h"
#include "inspect/inspect.h"
#include "journal/journal.h"
#include "kit/watch.h"
#include "kit/worker.h"
#include "relay/relay.h"
#include "ship/ship.h"
#include "upstream/upstream.h"
#include <pthread.h>

/* An administrator puts it there: everything governed is refused meanwhile. */
#define PAUSE_FILE HOOP_SYSCONFDIR "/hoop-agent/pause"

/* A finding that the user allowed. */
typedef struct {
  AllowedFinding finding;
  int64_t since_us;
} Allowed;

/* Who can answer on this machine alone. */
#define OWN_KINDS (1u << APPROVER_DEVELOPER | 1u << APPROVER_PRESENCE)

/* See happened.c. */
typedef struct happened Happened;

typedef struct wake Wake;

/* The hub's policy as it lies on this disk. */
typedef struct {
  Bundle *bundle;  /* or NULL: there is none */
  BundleMark mark; /* of the last that was taken; version 0: none */
  char *problem;   /* why one that was taken cannot be had; or NULL */
} Central;

/* All of it belongs to the main thread, but for what the data thread's loop
 * runs once it is started: upstream, env, front. */
/* Of the start, in the order in which it goes on. */
#define MAX_STARTED 16
typedef struct {
  const char *what;
  int64_t us;
} Started;

struct agent {
  const Config *config;
  int lock_fd;
  int64_t began_us;
  Started started[MAX_STARTED]; /* what was started, and how long it took */
  unsigned n_started;

  Identity *identity;
  Detector *detector;
  char **named; /* findings of the policy that the detector was made for */
  Policy *policy;
  char *policy_error;     /* of the last reload, or NULL */
  unsigned budget_window; /* s that the exchanges' ledger reaches back */
  unsigned reloads;       /* so far: what an earlier one made comes too late */
  Central central;        /* as it was read with the last reload */
  Bundle *bundle;         /* of the policy in force, or NULL */
  char *bundle_problem;   /* with what the hub sent last, or NULL */
  bool bundle_expired;    /* it is enforced nevertheless */
  char *unbundled;        /* why nothing goes without the hub's policy */
  guint central_timer;
  uint8_t rules_digest[SHA256_LEN]; /* of rules.d, as the detector has it */
  Watch *policy_watch;
  GArray *allowed; /* Allowed */
  guint allowed_timer;
  bool allowed_dirty; /* its file says something else */
  ValueSet *values;   /* exact values in force, or NULL */
  char *values_seen;  /* what their files said of themselves */
  char *values_error; /* of the last look at them, or NULL */
  guint values_timer;
  Masker *masker;
  Journal *journal;
  Ship *ship;   /* or NULL: nothing is shipped */
  Relay *relay; /* or NULL: nobody signs in here */
  WorkerPool *workers;

  GMainLoop *main;
  Loop *main_loop; /* the approvals' loop, hosted by GLib's */
  GSource *main_source;
  ApproveQueue *approve;
  Grants *grants;
  guint grants_timer;
  BusServer *bus;
  Wake *wake;         /* or NULL */
  GPtrArray *proofs;  /* answers that wait for a proof of presence */
  GPtrArray *signins; /* Signin: those under way */
  HoopAgent1 *skeleton;
  char *paused;  /* by the user: until when; or NULL */
  char *stopped; /* by an administrator: how; or NULL */
  bool outdated; /* by a central policy that cannot come into force */
  guint pause_timer;
  Watch *pause_watch;

  Loop *data_loop;
  pthread_t data_thread;
  bool data_started;
  bool stopping; /* a signal began the drain */
  Upstream *upstream;
  ConnTable *conns;
  Ca *ca;
  Front *front;
  ExchangeEnv *env;
  Happened *happened; /* or NULL: nobody is told */
  char *self_url;
};

/* ---- parts.c: makes what an agent consists of, in the order of need */
bool agent_make(struct agent *agent, GError **error);
/* Notes how long that took which was done since the last such note (or the
 * start); returns `done`. */
bool agent_timed(struct agent *agent, const char *what, bool done);
void agent_unmake(struct agent *agent);

/* `userpwd` becomes the proxy's credentials, which the options refer to. */
bool daemon_upstream_options(const Config *config,
                             UpstreamOptions *options,
                             Secret **userpwd,
                             GError **error);

/* A key of this user, made at the first start, never shipped. */
Secret *agent_own_key(const Config *config, const char *name, GError **error);

/* ---- grants.c: answers that are remembered; between agent_make() and the data
 * thread's start */
bool grants_start(struct agent *agent, GError **error);
void grants_stop(struct agent *agent);
/* Ends those of sessions that are over, then calls then(data), once, on the
 * main thread. While the data thread runs. */
void grants_refresh(struct agent *agent, void (*then)(void *data), void *data);

/* ---- control.c: the interface's methods and signals */
bool control_start(struct agent *agent, GError **error);
void control_stop(struct agent *agent);
/* Text that may not be UTF-8; NULL is left out. */
void control_add_text(GVariantDict *dict, const char *key, const char *text);
/* Answers a call with an error of any domain. */
void control_fail(GDBusMethodInvocation *call, const GError *error);

/* ---- control-pending.c, control-answer.c, control-grants.c */
void control_pending_connect(struct agent *agent);
void control_answer_connect(struct agent *agent);
/* Takes back what a person is asked. */
void control_answer_stop(struct agent *agent);
void control_grants_connect(struct agent *agent);

/* ---- record.c: rows about the agent itself */
void record_agent(struct agent *agent,
                  RowKind kind,
                  const char *verdict,
                  const char *detail);
/* A session at this issuer changed; person NULL: it ended. */
void record_signin(struct agent *agent,
                   const Person *person,
                   const char *issuer,
                   const char *verdict,
                   const char *detail);
/* Who uses this agent: of the first issuer where somebody is signed in. A
 * reference; NULL: nobody is. */
const Person *agent_person(struct agent *agent);

/* ---- shipping.c
 * What can be said of its configuration before anything is made. */
bool shipping_check(const Config *config, GError **error);
/* Between the journal's start and its end. */
bool shipping_start(struct agent *agent, GError **error);
/* A session changed: what waits for a token goes on. */
void shipping_session(struct agent *agent, IdentityEvent event);
void shipping_stop(struct agent *agent);
void shipping_connect(struct agent *agent);
/* As Status tells it; NULL where nothing is shipped. */
GVariant *shipping_status(struct agent *agent);

/* ---- central.c: the hub's policy */
/* The file that it begins with, as messages name it. */
#define CENTRAL_ROOT "hub:"
#define CENTRAL_ENTRY CENTRAL_ROOT "/" BUNDLE_POLICY
void central_clear(Central *central);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Central, central_clear)
/* Into an empty one; whatever is wrong is its problem. */
void central_read(const Config *config, Central *out);
/* Its files for policy_load_beside(); NULL: there is none, and none was. */
PolicyMemory *central_memory(const Central *central);
/* Where it lies, to be watched; g_free. */
char *central_file(const Config *config);
/* What came from the hub: checked as a whole, stored, in force. */
void central_take(struct agent *agent, GBytes *bytes);
/* The agent's policy is the one that was made of agent->central. */
void central_accepted(struct agent *agent);
/* What follows from the hub's policy, or its absence; and the hub is told. */
void central_follow(struct agent *agent);
/* For ROW_POLICY: what is in force of the hub; g_free, NULL: nothing. */
char *central_detail(const struct agent *agent);
/* The last part that is made. */
bool central_start(struct agent *agent, GError **error);
void central_stop(struct agent *agent);
/* Into the Status of the hub. */
void central_status(const struct agent *agent, GVariantDict *dict);

/* All layers in place of `former` (or NULL); see policy_load_beside(). */
Policy *daemon_load_layers(const Config *config,
                           const Central *central,
                           Policy *former,
                           char ***seen,
                           char **held,
                           GError **error);

/* ---- reviewers.c: the hub's. After identity and journal, before control */
bool reviewers_start(struct agent *agent, GError **error);
/* After the approvals' end. */
void reviewers_stop(struct agent *agent);
void reviewers_connect(struct agent *agent);
/* As Status tells it; NULL where there is no hub. */
GVariant *reviewers_status(struct agent *agent);

/* ---- lending.c: credentials of the hub */
void lending_start(struct agent *agent);
/* As RelayOptions.lent; data: the agent. */
void lending_take(const char *name,
                  Secret *secret,
                  int64_t until_us,
                  const char *why,
                  void *data);

/* ---- signin.c: sessions, logins, and what they tell */
void signin_start(struct agent *agent);
/* Cancels what is under way. */
void signin_stop(struct agent *agent);
/* As Sessions tells them. */
GVariant *signin_sessions(struct agent *agent);

/* ---- budget.c: what was used before */
bool budget_start(struct agent *agent, GError **error);
/* Before the policy is given to the exchanges. */
void budget_follow(struct agent *agent, const Policy *policy);

/* ---- values.c: exact values, where any are configured */
bool values_start(struct agent *agent, GError **error);
void values_stop(struct agent *agent);

/* ---- allowed.c: findings that the user allowed by their fingerprints */
void allowed_load(struct agent *agent);
void allowed_free(struct agent *agent);
/* False with a BUS_ERROR, or when it could not be stored. */
bool allowed_add(struct agent *agent,
                 const char *fingerprint,
                 unsigned seconds,
                 GError **error);
bool allowed_remove(struct agent *agent,
                    const char *fingerprint,
                    GError **error);
/* Of Allowed, those that have not expired; the agent's. */
const GArray *allowed_list(struct agent *agent);

/* ---- reload.c: the policy's files again. In force when this returns, or some
 * seconds later where the policy names findings that the detector at hand does
 * not look for. False when they are wrong: the former policy stays. */
bool agent_reload(struct agent *agent, GError **error);
/* Reads them for the first time, and again whenever they change once the main
 * loop runs. NULL with error. */
Policy *reload_first(struct agent *agent, GError **error);

/* ---- happened.c: the signal Happened; before the data thread starts. */
Happened *happened_new(struct agent *agent);
/* After the last call of happened_take(). */
void happened_free(Happened *happened);
/* Data thread; data: the Happened. */
void happened_take(const Happening *what, void *data);

/* ---- wake.c: sleep and locked screens, on the system bus where there is one
 */
void wake_start(struct agent *agent);
void wake_stop(struct agent *agent);
/* Where it listens, once it does; the agent's. NULL: not yet, or nowhere. */
GDBusConnection *wake_bus(const struct agent *agent);

/* ---- pause.c
 * Before the data thread starts: an administrator's pause is looked for. */
void pause_start(struct agent *agent);
void pause_stop(struct agent *agent);
/* Why everything governed is refused, or NULL. */
const char *agent_paused(const struct agent *agent);
void agent_pause(struct agent *agent, unsigned seconds);
/* A new central policy cannot come into force: until one does, everything
 * governed is refused. */
void agent_set_outdated(struct agent *agent, bool outdated);
/* The hub's policy is needed and not there: why, or NULL. */
void agent_set_unbundled(struct agent *agent, const char *why);
/* Ends the user's own; false when an administrator's goes on. */
bool agent_resume(struct agent *agent, GError **error);

/* ---- daemon.c */
/* Tells whoever watches: the command line, systemd. */
void agent_state_changed(struct agent *agent);

#endif
