/* SPDX-License-Identifier: Apache-2.0 */
/* What the tray knows of the daemon, and what it says about that: plain data,
 * no bus. All of it lives on the main thread. */
#ifndef HOOP_TRAY_MODEL_H
#define HOOP_TRAY_MODEL_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* How the icon looks; the later one wins where several are true. */
typedef enum {
  TRAY_IDLE,        /* nothing to do */
  TRAY_BLOCKED,     /* governed requests are refused: signed out, no journal */
  TRAY_PAUSED,      /* they are refused because somebody paused the agent */
  TRAY_PENDING,     /* somebody waits for an answer */
  TRAY_DISCONNECTED /* no daemon answers */
} TrayState;
#define N_TRAY_STATES (TRAY_DISCONNECTED + 1)

/* A request that waits. Texts as the daemon told them: pass them through
 * tray_shown() before anybody sees them. */
typedef struct {
  char *id;
  char *rules; /* joined by ", " */
  char *approvers;
  char *process; /* the client, a file's name without folders */
  char *model;   /* or "" */
  unsigned findings;
  unsigned waiting;  /* equal requests that the answer is for */
  bool ours;         /* the developer is asked, not only a reviewer */
  bool low_risk;     /* every rule that asks says so */
  bool high_risk;    /* one of them says so */
  bool needs_reason; /* of who approves */
  bool can_mask;
  bool can_grant;
  bool can_remember;   /* a denial */
  int64_t deadline_us; /* wall clock */
} TrayPending;

typedef struct {
  char *rules;
  char *outcome;
  char *who;
  int64_t when_us; /* wall clock */
} TrayDecision;

typedef struct {
  char *name;
  char *user;    /* NULL: nobody is signed in */
  char *problem; /* or NULL */
  bool solo;     /* the local account: there is nothing to sign in to */
  bool signing_in;
} TraySession;

typedef struct {
  bool connected;
  char *problem; /* why not */
  char *paused;  /* by whom; NULL: it is not */
  char *journal; /* "ok", "off" or why nothing is stored */
  bool notices;  /* what is masked or blocked is told */
  char *policy_error;
  char *shipping;       /* how it goes, or NULL: nothing is shipped */
  bool ships;           /* it goes on */
  GPtrArray *pending;   /* TrayPending, oldest first */
  GPtrArray *sessions;  /* TraySession */
  GPtrArray *decisions; /* TrayDecision, newest first */
} TrayModel;

TrayModel *tray_model_new(void);
void tray_model_free(TrayModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrayModel, tray_model_free)

/* Each takes what a method of io.hoop.Agent1 returned. */
void tray_model_take_status(TrayModel *model, GVariant *status);
void tray_model_take_pending(TrayModel *model, GVariant *pending);
void tray_model_take_sessions(TrayModel *model, GVariant *sessions);
/* Remembers how a request ended, as the signal Decided told it. */
void tray_model_decided(TrayModel *model,
                        const char *id,
                        const char *outcome,
                        const char *who);
/* Forgets everything but the decisions: no daemon answers. */
void tray_model_lost(TrayModel *model, const char *problem);

/* The request of this id, or NULL. */
const TrayPending *tray_model_find(const TrayModel *model, const char *id);
/* A session that has ended and wants a sign-in, or NULL. */
const TraySession *tray_model_signed_out(const TrayModel *model);

TrayState tray_model_state(const TrayModel *model);
/* One line for a tooltip's title and an aggregated notification. g_free. */
char *tray_model_headline(const TrayModel *model);
/* Up to three more lines. g_free. */
char *tray_model_details(const TrayModel *model);
/* "3 findings · gpt-4.1 · code": what is told of one request where others may
 * read it, never its text. g_free. */
char *tray_pending_summary(const TrayPending *pending);

/* Text from outside as panels and notification servers may have it: letters,
 * digits and harmless signs of ASCII, "?" for anything else, at most `max`
 * characters with an ellipsis. No markup, line ends or direction marks come
 * through. g_free. */
char *tray_shown(const char *text, unsigned max);

#endif
