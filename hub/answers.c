/* SPDX-License-Identifier: Apache-2.0 */
/* What people say to a review: checked, counted with all that the store has,
 * and signed when it decides. */
#include "hub/reviews-parts.h"
#include "hub/rules.h"
#include "kit/clock.h"
#include <string.h>

/* An agent that was cut off hears of a decision late, but not the next day. */
#define DECISION_LIFE_US INT64_C(60000000)

/* The pending one; otherwise why there is none. */
static Review *
find(Reviews *reviews, const char *id, const Person *person, GError **error)
{
  Review *review = g_hash_table_lookup(reviews->pending, id);
  g_autoptr(Review) stored = NULL;
  g_autoptr(GError) why = NULL;

  if (!review) {
    stored = store_get(reviews->store, id, &why);
    if (stored && stored->state == STATE_PENDING)
      review = reviews_adopt(reviews, g_steal_pointer(&stored));
  }
  if (review && reviews_may_see(reviews, review, person))
    return review;
  if (why)
    reviews_refuse_by_store(error, why);
  else if (stored && reviews_may_see(reviews, stored, person))
    g_set_error(error,
                REVIEWS_ERROR,
                REVIEWS_ERROR_DECIDED,
                "it is over already: %s",
                review_state_name(stored->state));
  else
    reviews_refuse(
        error, REVIEWS_ERROR_NOT_FOUND, "no review of that id is known");
  return NULL;
}

static bool
check_answer(const Review *review,
             char *const *groups,
             const Person *person,
             ReviewOutcome answer,
             const uint8_t digest[SHA256_LEN],
             const char *reason,
             GError **error)
{
  if (reviews_may_be_requester(review, person))
    return reviews_refuse(
        error,
        REVIEWS_ERROR_FORBIDDEN,
        "it is your own request: somebody else must look at it");
  if (!groups[0])
    return reviews_refuse(error,
                          REVIEWS_ERROR_FORBIDDEN,
                          "you are in none of the groups that are asked");
  if (reviews_answered_by(review, person))
    return reviews_refuse(error,
                          REVIEWS_ERROR_DECIDED,
                          "you answered already; others are still asked");
  if (memcmp(digest, review->ask->digest, SHA256_LEN) != 0)
    return reviews_refuse(error,
                          REVIEWS_ERROR_REFUSED,
                          "the digest is not that of what is to be reviewed");
  if (answer != REVIEW_DENIED && review->ask->needs_reason &&
      (!reason || !*reason))
    return reviews_refuse(
        error, REVIEWS_ERROR_REFUSED, "an approval of this needs a reason");
  if (answer == REVIEW_APPROVED && review->ask->masks)
    return reviews_refuse(
        error,
        REVIEWS_ERROR_REFUSED,
        "what is shown is masked, so only the masked text can be "
        "approved (approve-masked)");
  if (answer == REVIEW_APPROVED_MASKED && !review->ask->masks)
    return reviews_refuse(error,
                          REVIEWS_ERROR_REFUSED,
                          "there is nothing to mask: approve or deny it");
  return true;
}

static ReviewState
state_of(ReviewOutcome outcome)
{
  return outcome == REVIEW_APPROVED          ? STATE_APPROVED
         : outcome == REVIEW_APPROVED_MASKED ? STATE_APPROVED_MASKED
                                             : STATE_DENIED;
}

typedef struct {
  const Reviews *reviews;
  const Review *review;
  bool twice;
} Deciding;

/* With all voices that the store has: the sealed decision when they suffice.
 * Refused is a second voice of one person. */
static bool
decide(const GPtrArray *voices, ReviewState *state, char **sealed, void *data)
{
  Deciding *deciding = data;
  const ReviewAsk *ask = deciding->review->ask;
  const ReviewVoice *last = voices->pdata[voices->len - 1];
  ReviewDecision decision = {.outcome = last->answer,
                             .policy_revision = ask->policy_revision,
                             .voices = (GPtrArray *)voices,
                             .issued_us = last->at_us,
                             .expires_us = last->at_us + DECISION_LIFE_US};

  deciding->twice = reviews_answered(voices, voices->len - 1, last);
  if (deciding->twice)
    return false;
  if (last->answer != REVIEW_DENIED && !rules_met(ask, voices))
    return true;
  memcpy(decision.id, ask->id, REVIEW_ID_SIZE);
  memcpy(decision.digest, ask->digest, SHA256_LEN);
  *sealed = review_decision_seal(&decision, deciding->reviews->key);
  if (*sealed)
    *state = state_of(last->answer);
  return *sealed != NULL;
}

static ReviewVoice *
voice_of(const Person *person,
         char **groups,
         ReviewOutcome answer,
         const char *reason,
         int64_t at_us)
{
  ReviewVoice *voice = g_new0(ReviewVoice, 1);

  *voice = (ReviewVoice){.issuer = g_strdup(person->issuer),
                         .subject = g_strdup(person->subject),
                         .user = g_strdup(person->user),
                         .groups = groups,
                         .answer = answer,
                         .reason = g_strdup(reason),
                         .at_us = at_us};
  return voice;
}

/* What the store did not take; its own view is looked at again. */
static void
refuse_stored(Reviews *reviews,
              const char *id,
              DbResult result,
              bool twice,
              const GError *why,
              GError **error)
{
  if (result == DB_FAILED) {
    reviews_refuse_by_store(error, why);
    return;
  }
  reviews_refuse(error,
                 REVIEWS_ERROR_DECIDED,
                 twice ? "you answered already; others are still asked"
                       : "it was decided already");
  reviews_heard(reviews, id);
}

const Review *
reviews_answer(Reviews *reviews,
               const char *id,
               const Person *person,
               ReviewOutcome answer,
               const uint8_t digest[SHA256_LEN],
               const char *reason,
               GError **error)
{
  const int64_t now = clock_wall_us();
  Review *review = find(reviews, id, person, error);
  g_auto(GStrv) groups =
      review ? reviews_speaks_for(reviews, review, person) : NULL;
  Deciding deciding = {.reviews = reviews, .review = review};
  g_autoptr(GError) why = NULL;
  ReviewState state;
  DbResult result;

  if (!review ||
      !check_answer(review, groups, person, answer, digest, reason, error))
    return NULL;
  if (review->ask->deadline_us <= now) {
    reviews_expire(reviews, review, now);
    reviews_refuse(error, REVIEWS_ERROR_DECIDED, "it is over already: expired");
    return NULL;
  }
  result = store_answer(
      reviews->store,
      review,
      voice_of(person, g_steal_pointer(&groups), answer, reason, now),
      decide,
      &deciding,
      &state,
      &why);
  if (result != DB_DONE) {
    refuse_stored(reviews, id, result, deciding.twice, why, error);
    return NULL;
  }
  review->elsewhere = false;
  if (state != STATE_PENDING)
    reviews_settle(reviews, review, state, now);
  else
    reviews->changed(review, CHANGE_ANSWERED, reviews->data);
  return review;
}

const Review *
reviews_withdraw(Reviews *reviews,
                 const char *id,
                 const Person *person,
                 GError **error)
{
  const int64_t now = clock_wall_us();
  const Actor by = {person->issuer, person->subject, person->user};
  Review *review = find(reviews, id, person, error);
  g_autoptr(GError) why = NULL;
  DbResult result;

  if (!review)
    return NULL;
  if (!reviews_is_requester(review, person) &&
      !hub_has_role(reviews->config, person, ROLE_ADMIN)) {
    reviews_refuse(
        error, REVIEWS_ERROR_FORBIDDEN, "it is somebody else's request");
    return NULL;
  }
  result = store_end(reviews->store, id, STATE_WITHDRAWN, now, &by, &why);
  if (result != DB_DONE) {
    refuse_stored(reviews, id, result, false, why, error);
    return NULL;
  }
  review->elsewhere = false;
  reviews_settle(reviews, review, STATE_WITHDRAWN, now);
  return review;
}
