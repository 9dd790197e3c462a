/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions and who works on them. Private to the room. */
#ifndef HOOP_IDENTITY_PRIVATE_H
#define HOOP_IDENTITY_PRIVATE_H

#include "identity/provider.h"
#include "identity/token-store.h"
#include <pthread.h>

typedef struct session Session;

/* One issuer's. What other threads read is behind the lock; everything is
 * written on the loop's thread alone, which reads without it. */
struct session {
  Identity *identity;
  IssuerOptions issuer; /* strings are its own */
  const ProviderType *type;
  Provider *provider;

  pthread_mutex_t lock;
  const Person *person;    /* NULL: signed out */
  Secret *access;          /* in memory alone; NULL: none */
  int64_t access_until_us; /* wall clock */
  int64_t end_boot_us;     /* CLOCK_BOOTTIME: the person's expiry on it */
  bool machine;
  bool awaited; /* a renewal is under way */
  char *why;    /* signed out: the sentence that says what to run */

  /* How it was signed in, and how it stays. */
  LoginMethod method;
  char *token_file;
  char *subject;    /* whose it stays, behind its end too; NULL: not known */
  bool kept;        /* something stored, or on its way */
  StorePlace place; /* where, or where it is to be */
  bool memory_only; /* no place would take it */
  Secret *renewal;
  int64_t next_us;      /* wall clock: when to renew or try again; 0: never */
  int64_t next_boot_us; /* the same on CLOCK_BOOTTIME */
  unsigned failures;    /* of renewals, in a row */
  int64_t renewed_us;
  char *problem;       /* of the last renewal, or NULL */
  char *store_problem; /* why it is not stored, or NULL */

  TokenStoreCall *loading;
  TokenStoreCall *saving; /* the last one begun */
  ProviderCall *renewing;
  Login *login;
  GList *logouts;
};

struct identity {
  const Person *solo; /* NULL: there are sessions */
  Session *sessions;
  unsigned n_sessions;
  Loop *loop;
  TokenStore *store;
  int clock_fd; /* timerfd on the wall clock: it goes on through a suspend */
  LoopWatch *clock;
  bool settling; /* no renewal begins any more */
  void (*watch)(const char *issuer,
                IdentityEvent event,
                const char *sentence,
                void *data);
  void *watch_data;
};

/* ---- session.c ------------------------------------------------------------
 */

/* Makes the provider and looks for a stored session in the background. */
bool session_init(Session *session,
                  Identity *identity,
                  const IssuerOptions *issuer,
                  const UpstreamOptions *upstream,
                  GError **error);
void session_begin(Session *session);
/* Nothing of it runs any more. */
void session_stop(Session *session);
void session_clear(Session *session);
StoreKey session_key(const Session *session);

/* Signed in, or renewed, as this person; times from the grant. */
void session_adopt(Session *session, const ProviderGrant *grant);
/* Nobody is signed in from here on; takes `why`. */
void session_end(Session *session, char *why);
/* Stores what renews it, at session->place, in the background. */
void session_save(Session *session);
/* A machine: writes down how it signed in, so that a restart can do it again;
 * otherwise nothing of the kind stays behind. */
bool session_note_machine(Session *session, GError **error);
/* No longer renews; forgets what would. */
void session_forget(Session *session);
/* Takes the sentence, or NULL. */
void session_set_store_problem(Session *session, char *problem);
void session_tell(Session *session,
                  IdentityEvent event,
                  const char *format,
                  ...) G_GNUC_PRINTF(3, 4);
/* What to run, as a sentence. */
char *session_hint(const Session *session);
/* Ends and renews what is due. */
void session_tick(Session *session);
/* Microseconds until it is due again; INT64_MAX: not. */
int64_t session_wait_us(const Session *session);

/* ---- login.c, logout.c ----------------------------------------------------
 */

void login_stop(Login *login);
/* Where what the provider gave is being stored, no session comes of it: the
 * caller is told so, and what there is to revoke is returned, or NULL. */
Secret *login_give_up(Login *login);
void logouts_stop(Session *session);

/* ---- identity.c -----------------------------------------------------------
 */

/* Sets the clock for the earliest that is due. */
void identity_arm(Identity *identity);
/* By name or URL; NULL: the first. NULL with IDENTITY_ERROR_CONFIG. */
Session *identity_find(Identity *identity, const char *issuer, GError **error);

#endif
