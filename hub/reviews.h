/* SPDX-License-Identifier: Apache-2.0 */
/* The reviews: posted, answered, decided, signed; deadlines and escalations. */
#ifndef HOOP_HUB_REVIEWS_H
#define HOOP_HUB_REVIEWS_H

#include "hub/settings.h"
#include "hub/store/store.h"
#include "kit/loop.h"

#define REVIEWS_ERROR (reviews_error_quark())
GQuark reviews_error_quark(void);
typedef enum {
  REVIEWS_ERROR_NOT_FOUND, /* 404 */
  REVIEWS_ERROR_FORBIDDEN, /* 403: not asked, whose request it is */
  REVIEWS_ERROR_DECIDED,   /* 409: it ended, or this person answered before */
  REVIEWS_ERROR_REFUSED,   /* 400: what cannot be reviewed or answered so */
  REVIEWS_ERROR_FULL,      /* 429: too many of one person wait */
  REVIEWS_ERROR_STORE,     /* 500 */
  REVIEWS_ERROR_LATER      /* 503: the database is away, busy or full */
} ReviewsErrorCode;

typedef enum {
  CHANGE_POSTED,
  CHANGE_ESCALATED, /* others may answer now, too */
  CHANGE_ANSWERED,  /* and goes on */
  CHANGE_ENDED
} ReviewChange;

typedef struct {
  unsigned posted, ended[STATE_WITHDRAWN + 1];
} ReviewsCount;

typedef struct reviews Reviews;

/* Several hubs may share a store: a review is in each of them, and ends once.
 * Those that are pending in the store go on; what passed its deadline meanwhile
 * expires. The configuration, store and key must outlive it. changed() is told
 * of everything, on the loop's thread. Fails as the store does. */
Reviews *reviews_new(Loop *loop,
                     const HubConfig *config,
                     Store *store,
                     const SigningKey *key,
                     void (*changed)(const Review *review,
                                     ReviewChange change,
                                     void *data),
                     void *data,
                     GError **error);
void reviews_free(Reviews *reviews);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reviews, reviews_free)

/* Takes `ask`. Posting the same id again by the same person with the same
 * digest is what was posted (idempotent). The Review is the room's, until
 * control returns to the loop. */
const Review *reviews_post(Reviews *reviews,
                           ReviewAsk *ask,
                           const Person *person,
                           const char *machine,
                           GError **error);
/* An answer. `digest` is what the person was shown. */
const Review *reviews_answer(Reviews *reviews,
                             const char *id,
                             const Person *person,
                             ReviewOutcome answer,
                             const uint8_t digest[SHA256_LEN],
                             const char *reason,
                             GError **error);
/* By whose request it is, or an admin. */
const Review *reviews_withdraw(Reviews *reviews,
                               const char *id,
                               const Person *person,
                               GError **error);
/* Another hub that shares the database changed this one: sees what became of
 * it, and tells. */
void reviews_heard(Reviews *reviews, const char *id);
/* The same for all: after wake-ups may have been missed. */
void reviews_reload(Reviews *reviews);
/* The pending one of that id, borrowed; NULL. */
const Review *reviews_pending(Reviews *reviews, const char *id);
/* All pending, in no order: GHashTable of id → Review. */
GHashTable *reviews_all_pending(Reviews *reviews);

/* Whether the person may answer it now. */
bool reviews_may_answer(const Reviews *reviews,
                        const Review *review,
                        const Person *person);
/* Whether the person may look at it: whose it is, whoever is or was asked,
 * auditors and admins. */
bool reviews_may_see(const Reviews *reviews,
                     const Review *review,
                     const Person *person);
bool reviews_is_requester(const Review *review, const Person *person);

ReviewsCount reviews_count(const Reviews *reviews);

#endif
