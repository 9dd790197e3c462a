/* SPDX-License-Identifier: Apache-2.0 */
/* The relay between its files. Private to the room. */
#ifndef HOOP_RELAY_PRIVATE_H
#define HOOP_RELAY_PRIVATE_H

#include "bundle/bundle.h"
#include "kit/buf.h"
#include "relay/relay.h"
#include "review/review.h"

/* A review as JSON, its text escaped. */
#define RELAY_MAX_ANSWER ((size_t)16 << 20)

typedef struct call Call;
typedef struct held Held;

struct relay {
  Loop *loop;
  Upstream *upstream;
  Identity *identity;
  ApproveQueue *approve;
  void (*notice)(const char *text, void *data);
  void (*enrolled)(void *data);
  void *data;
  char *state_dir;
  char *configured; /* URL, or NULL */
  char *expected;   /* key in hex, or NULL */

  /* The enrolment. */
  char *url; /* NULL: none */
  uint8_t key[SIGNING_KEY_LEN];
  char *fingerprint;
  SigningKey *machine;

  GPtrArray *calls; /* Call */
  GPtrArray *held;  /* Held */
  LoopTimer *poll;

  /* The stream of events. */
  UpstreamRequest *stream;
  bool connected;
  GString *line;
  bool ended; /* the event that is being read is one */
  LoopTimer *reconnect;
  unsigned failures;
  char *problem;

  /* The hub's policy. */
  void (*bundle)(GBytes *bytes, void *user_data);
  LoopTimer *look;
  Call *looking;
  bool look_again; /* the hub told while it was looked */
  char *etag;      /* of what is taken, or NULL */
  BundleReport report;
  Call *reporting;
  void (*lent)(const char *name,
               Secret *secret,
               int64_t until_us,
               const char *why,
               void *user_data);
  GPtrArray *loans; /* of lend.c */
  bool reported;    /* the hub has the report */
};

/* ---- pin.c: what outlasts the agent */
/* False with error when there is one that cannot be read; without one *url is
 * NULL. */
bool pin_load(const char *state_dir,
              char **url,
              uint8_t key[SIGNING_KEY_LEN],
              GError **error);
bool pin_store(const char *state_dir,
               const char *url,
               const uint8_t key[SIGNING_KEY_LEN],
               GError **error);
/* Of the machine; made when it is not there. */
SigningKey *pin_machine(const char *state_dir, GError **error);

/* ---- call.c: one bounded exchange with the hub */
typedef void (*CallDone)(const char *json,
                         size_t len,
                         const GError *error,
                         void *data);
typedef struct {
  const char *url; /* of the hub */
  const char *method, *path;
  const char *body;   /* or NULL */
  const char *issuer; /* whose access token; NULL: the first's */
  bool open;          /* without one */
  bool sign;          /* by the machine */
  const char *accept; /* what is asked for; NULL: JSON */
  const char *etag;   /* what is known, or NULL: where that is all, done()
                         comes without text and error */
} CallSpec;
/* done is called once, never from inside; NULL data's owner ends it by
 * call_cancel(). Never NULL. */
Call *call_start(Relay *relay, const CallSpec *spec, CallDone done, void *data);
void call_cancel(Call *call);
/* The agent ends: done hears so, now. */
void call_abandon(Call *call);
/* Authorization with the access token; false with error when there is none. */
bool call_authorize(Relay *relay,
                    HttpHeaders *headers,
                    const char *issuer,
                    GError **error);

/* ---- stream.c: what the hub tells */
void stream_start(Relay *relay);
void stream_stop(Relay *relay);

/* ---- held.c: requests that reviewers are asked about */
void held_init(Relay *relay);
/* The queue tells from now on, for as long as it lives. */
void held_listen(Relay *relay);
void held_stop(Relay *relay);
/* The stream is there (again): nothing that was missed stays so. */
void held_refresh(Relay *relay);
/* The hub said that this one is over. */
void held_ended(Relay *relay, const char *id);
/* Why none of them may be answered; NULL: all is well. */
void held_note(Relay *relay, const char *why);

/* ---- bundle.c: the hub's policy
 * Looks for it soon, at a time that chance picks. */
void bundles_look(Relay *relay);
void bundles_stop(Relay *relay);

/* ---- lend.c: credentials of the hub */
void loans_init(Relay *relay);
/* Asks for all of them again, soon. */
void loans_look(Relay *relay);
void loans_stop(Relay *relay);

/* ---- ask.c: from what is held to what is asked
 * NULL: no reviewer is asked. */
ReviewAsk *ask_make(const PendingView *pending);
/* Whether reviewers would see all of it. */
bool ask_is_whole(const PendingView *pending, const ReviewAsk *ask);
/* Its rules as text, to see whether it still asks the same. g_free. */
char *ask_shape(const ReviewAsk *ask);

/* ---- check.c: whether a decision is to be believed */
typedef struct {
  const char *id;
  const uint8_t *digest; /* SHA256_LEN */
  const char *policy_revision;
  bool masks;
  int64_t posted_us; /* none is older, but for the clocks' difference */
  int64_t now_us;
} DecisionExpect;
/* RELAY_ERROR_DECISION says which check failed. */
ReviewDecision *decision_check(const char *json,
                               size_t len,
                               const uint8_t key[SIGNING_KEY_LEN],
                               const DecisionExpect *expect,
                               GError **error);

#endif
