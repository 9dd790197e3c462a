/* SPDX-License-Identifier: Apache-2.0 */
/* What the hub keeps: reviews, answers, machines, and its own record. One
 * interface; a database behind it. */
#ifndef HOOP_HUB_STORE_H
#define HOOP_HUB_STORE_H

#include "hub/store/db.h"
#include "review/review.h"

typedef enum {
  STATE_PENDING,
  STATE_APPROVED,
  STATE_APPROVED_MASKED,
  STATE_DENIED,
  STATE_EXPIRED,
  STATE_WITHDRAWN
} ReviewState;
/* "pending", "approved" … */
const char *review_state_name(ReviewState state);

typedef struct {
  ReviewAsk *ask;
  char *issuer, *subject, *user; /* whose request it is */
  char *machine;                 /* id of the machine that posted it */
  int64_t received_us;
  ReviewState state;
  int64_t ended_us;  /* 0: pending */
  char *decision;    /* sealed JSON, or NULL */
  GPtrArray *voices; /* ReviewVoice, in order */
  int64_t told_us;   /* of waiting, when others were last asked, too */
  bool elsewhere;    /* the last change was another hub's; not stored */
} Review;
Review *review_new(void);
void review_free(void *review);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Review, review_free)

/* Who did something, for the record; any may be NULL. */
typedef struct {
  const char *issuer, *subject, *user;
} Actor;

typedef struct {
  char *id; /* hex */
  uint8_t public_key[SIGNING_KEY_LEN];
  char *issuer, *subject, *user, *name;
  int64_t since_us;
} Machine;
void machine_free(Machine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Machine, machine_free)

typedef struct {
  int64_t seq, at_us;
  const char *kind, *review, *issuer, *subject, *user, *detail;
} RecordRow;

typedef struct store Store;

/* Opens the database (as db_open_with() has it) and brings its schema to
 * this version; a newer one is refused. Every change below is one transaction
 * that is on disk when the call returns, with its row of the record. DB_ERROR.
 * One thread. */
Store *store_open(const char *where, const char *password_file, GError **error);
void store_free(Store *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_free)
/* Whether this hub's decisions are signed by the same key as those of the
 * others on this database; the first one says which. DB_ERROR_OPEN when not. A
 * database of its own takes any. */
bool store_check_key(Store *store, const char *fingerprint, GError **error);

/* Of wake-ups: a review was changed. */
#define STORE_CHANNEL "hoop_review"
/* The review that a payload speaks of, behind its hub's mark; NULL: this hub
 * sent it itself. */
const char *store_heard(const Store *store, const char *payload);

/* Its connection, for what else the loop's thread keeps there; the store's. */
Db *store_db(Store *store);
/* A row of the record, for parts that change something of their own inside a
 * transaction: as its last statement. */
DbResult store_note(Db *db,
                    const char *kind,
                    int64_t at_us,
                    const char *review,
                    const Actor *by,
                    const char *detail,
                    GError **error);

/* CONFLICT: the id is there. */
DbResult store_add(Store *store, const Review *review, GError **error);
/* What an answer comes to. `voices`: all that were given, the new one last,
 * also those that came by another hub. False: it is refused (its person was
 * among them). `*decision` (g_free): sealed, when the state is not pending. */
typedef bool (*StoreDecide)(const GPtrArray *voices,
                            ReviewState *state,
                            char **decision,
                            void *data);
/* One answer, and with it the end when decide() says so; nobody else answers
 * it meanwhile. Takes `voice`. Then `review` has the voices, and the decision
 * when it ended; its state is the caller's to set, *state. CONFLICT: it is no
 * longer pending, or decide() refused; nothing was changed. */
DbResult store_answer(Store *store,
                      Review *review,
                      ReviewVoice *voice,
                      StoreDecide decide,
                      void *data,
                      ReviewState *state,
                      GError **error);
/* Ends it without an answer. CONFLICT: it is no longer pending. */
DbResult store_end(Store *store,
                   const char *id,
                   ReviewState state,
                   int64_t at_us,
                   const Actor *by,
                   GError **error);
/* Others may answer now, too, who waited for it for `waited_us`. CONFLICT: it
 * is no longer pending, or another hub noted that. */
DbResult store_escalate(Store *store,
                        const char *id,
                        int64_t waited_us,
                        int64_t at_us,
                        GError **error);
/* NULL without error: there is none. */
Review *store_get(Store *store, const char *id, GError **error);
/* Newest first, at most `limit`; pending: those alone. GPtrArray of Review. */
GPtrArray *store_list(Store *store,
                      bool pending,
                      unsigned limit,
                      GError **error);
/* CONFLICT: the key is another person's. A key that is there already is left as
 * it is. */
DbResult store_add_machine(Store *store,
                           const Machine *machine,
                           GError **error);
Machine *store_get_machine(Store *store, const char *id, GError **error);
/* Rows behind `after`, oldest first. False when the database failed. */
bool store_each_record(Store *store,
                       int64_t after,
                       unsigned limit,
                       void (*each)(const RecordRow *row, void *data),
                       void *data,
                       GError **error);
/* Forgets reviews that ended before; the record stays. */
bool store_prune(Store *store, int64_t before_us, GError **error);

#endif
