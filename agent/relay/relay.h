/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of the hub: asks it for reviewers where a verdict names
 * them, and believes a decision only when the pinned key signed it. */
#ifndef HOOP_RELAY_H
#define HOOP_RELAY_H

#include "approve/approve.h"
#include "identity/identity.h"
#include "kit/loop.h"
#include "kit/signing.h"
#include "upstream/upstream.h"

#define RELAY_ERROR (relay_error_quark())
GQuark relay_error_quark(void);
typedef enum {
  RELAY_ERROR_CONFIG,      /* no hub, a URL or key that cannot be used */
  RELAY_ERROR_UNREACHABLE, /* network, TLS, a hub that cannot serve now */
  RELAY_ERROR_REFUSED,     /* the hub said no; the message is its own */
  RELAY_ERROR_KEY,         /* not the key that was expected */
  RELAY_ERROR_SIGNED_OUT,  /* no access token; the message says what to run */
  RELAY_ERROR_DECISION     /* a decision that is not to be believed */
} RelayErrorCode;

typedef struct {
  const char *url;          /* of agent.conf, or NULL: the enrolment's */
  const char *pinned_key;   /* of agent.conf, 64 hex digits, or NULL */
  const char *state_dir;    /* of the pinned key and the machine's own */
  UpstreamOptions upstream; /* ca_file: the hub's */
  Identity *identity;
  ApproveQueue *approve;
  /* A line for the log: the hub was lost, found, or lied. */
  void (*notice)(const char *text, void *data);
  /* Reviewers can be asked from now on. */
  void (*enrolled)(void *data);
  /* A policy of the hub, as it came: nothing of it is believed yet. */
  void (*bundle)(GBytes *bytes, void *data);
  /* What relay_borrow() asked for: the secret (a reference for as long as the
   * call) until that time of the wall clock, or NULL: it must not be used any
   * more, and why. Without news it ends by itself. */
  void (*lent)(const char *name,
               Secret *secret,
               int64_t until_us,
               const char *why,
               void *data);
  void *data;
} RelayOptions;

typedef struct relay Relay;

/* On the approvals' loop, whose thread calls everything here; identity
 * outlives it; the queue is freed before it. Options are copied. Where a hub
 * was enrolled before, it listens there from now on; `enrolled` is not called
 * for that. */
Relay *relay_new(Loop *loop, const RelayOptions *options, GError **error);
/* After the queue's end, which it listens to. What is asked then is answered
 * with an error. Accepts NULL. */
void relay_free(Relay *relay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Relay, relay_free)

bool relay_is_enrolled(const Relay *relay);

/* The key that is pinned in this folder, under the same conditions as
 * relay_new() takes it (url and pinned_key: agent.conf's, or NULL). False: none
 * is, or, with *error, it cannot be read. Any thread; no Relay is needed. */
bool relay_pinned_key(const char *state_dir,
                      const char *url,
                      const char *pinned_key,
                      uint8_t key[SIGNING_KEY_LEN],
                      GError **error);

/* The hub's policy that is taken, by its digest: it is not sent again. NULL:
 * none is. */
void relay_took_bundle(Relay *relay, const char *digest);
/* What is in force, for the hub to know: copied, sent when it is another than
 * before and whenever the hub is there again. */
typedef struct {
  const char *version;  /* of the agent */
  const char *revision; /* of the policy, hex */
  int64_t bundle;       /* of the hub's, 0: none */
  const char *problem;  /* or NULL */
} RelayReport;
void relay_report(Relay *relay, const RelayReport *report);

/* Asks the hub for a credential from now on: again before it ends, and whenever
 * the hub says that there is another. */
void relay_borrow(Relay *relay, const char *name);
/* Who is signed in may be another: what is lent is asked for again. */
void relay_people_changed(Relay *relay);

typedef struct {
  const char *url;
  bool enrolled;
  bool connected;
  const char *fingerprint; /* of the pinned key; NULL: none */
  const char *problem;     /* of the last try, or NULL */
  unsigned waiting;        /* requests that reviewers are asked about */
} RelayStatus;
/* Texts live until control returns to the loop. */
RelayStatus relay_status(const Relay *relay);

/* Pins the hub's key and binds this machine's to whoever is signed in. url
 * NULL: agent.conf's. fingerprint NULL: the first key that is found is taken,
 * unless another one is pinned. done comes once, never from inside. */
void relay_enrol(Relay *relay,
                 const char *url,
                 const char *fingerprint,
                 void (*done)(const char *fingerprint,
                              const GError *error,
                              void *data),
                 void *data);

/* Adds to the headers of a request to `url` what the hub lets it in by: the
 * access token of whoever is signed in, unless there is one, and the machine's
 * signature over the body. Nothing for a URL that is not of the hub that is
 * enrolled. RELAY_ERROR_SIGNED_OUT, _KEY. */
bool relay_authorize(Relay *relay,
                     const char *url,
                     const void *body,
                     size_t len,
                     HttpHeaders *headers,
                     GError **error);

/* Asks the hub as whoever is signed in: method and path as in hoop-hub(7), body
 * NULL or JSON. done(json, NULL) or done(NULL, error), once, never from inside.
 */
void relay_ask(Relay *relay,
               const char *method,
               const char *path,
               const char *body,
               void (*done)(const char *json, const GError *error, void *data),
               void *data);

#endif
