/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the reviews share. Private to them. */
#ifndef HOOP_HUB_REVIEWS_PARTS_H
#define HOOP_HUB_REVIEWS_PARTS_H

#include "hub/reviews.h"

struct reviews {
  Loop *loop;
  const HubConfig *config;
  Store *store;
  const SigningKey *key;
  void (*changed)(const Review *review, ReviewChange change, void *data);
  void *data;
  GHashTable *pending; /* id → Review */
  GPtrArray *ended;    /* Review: until the loop comes round */
  LoopTimer *timer;
  int64_t held_us; /* so long nothing ends by the clock: the store failed */
  ReviewsCount count;
};

/* Both set the error; always false. */
bool reviews_refuse(GError **error, ReviewsErrorCode code, const char *why);
bool reviews_refuse_by_store(GError **error, const GError *why);

/* Whose request it is, or may be. */
bool reviews_may_be_requester(const Review *review, const Person *person);
/* Whether one of the first `n` voices may be this person's. */
bool reviews_answered(const GPtrArray *voices,
                      guint n,
                      const ReviewVoice *person);
bool reviews_answered_by(const Review *review, const Person *person);
/* The groups for which the person may answer now; g_strfreev. */
char **reviews_speaks_for(const Reviews *reviews,
                          const Review *review,
                          const Person *person);

/* It is over: told, and kept until the loop comes round. */
void reviews_settle(Reviews *reviews,
                    Review *review,
                    ReviewState state,
                    int64_t at_us);
/* At its deadline: one hub ends it, whoever comes first. What cannot be stored
 * is not told: it stays, and nobody can answer it. */
void reviews_expire(Reviews *reviews, Review *review, int64_t now_us);
/* Takes one that was posted at another hub. */
Review *reviews_adopt(Reviews *reviews, Review *taken);

#endif
