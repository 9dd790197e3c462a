/* SPDX-License-Identifier: Apache-2.0 */
/* One review's life: pending, then one end that nothing changes any more. */
#include "hub/reviews.h"
#include "hub/rules.h"
#include "kit/clock.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
#define US_PER_MS 1000
/* No request is held for longer; an agent's clock may be off by minutes. */
#define MAX_DEADLINE_US (3600 * US_PER_S)
/* An agent that was cut off hears of a decision late, but not the next day. */
#define DECISION_LIFE_US (60 * US_PER_S)
/* In all. */
#define MAX_PENDING 10000

G_DEFINE_QUARK(hoop_reviews_error, reviews_error)

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
  ReviewsCount count;
};

static bool
refuse(GError **error, ReviewsErrorCode code, const char *why)
{
  g_set_error_literal(error, REVIEWS_ERROR, code, why);
  return false;
}

/* ---- who ------------------------------------------------------------------
 */

bool
reviews_is_requester(const Review *review, const Person *person)
{
  return g_str_equal(review->issuer, person->issuer) &&
         g_str_equal(review->subject, person->subject);
}

static bool
may_be_requester(const Review *review, const Person *person)
{
  return rules_same_person(review->issuer,
                           review->subject,
                           review->user,
                           person->issuer,
                           person->subject,
                           person->user);
}

static bool
answered(const Review *review, const Person *person)
{
  for (guint i = 0; i < review->voices->len; i++) {
    const ReviewVoice *voice = review->voices->pdata[i];

    if (rules_same_person(voice->issuer,
                          voice->subject,
                          voice->user,
                          person->issuer,
                          person->subject,
                          person->user))
      return true;
  }
  return false;
}

static char **
speaks_for(const Reviews *reviews, const Review *review, const Person *person)
{
  return rules_speaks_for(reviews->config,
                          review->ask,
                          person,
                          clock_wall_us() - review->received_us);
}

bool
reviews_may_answer(const Reviews *reviews,
                   const Review *review,
                   const Person *person)
{
  g_auto(GStrv) groups = speaks_for(reviews, review, person);

  return review->state == STATE_PENDING && groups[0] &&
         !may_be_requester(review, person) && !answered(review, person);
}

bool
reviews_may_see(const Reviews *reviews,
                const Review *review,
                const Person *person)
{
  g_auto(GStrv) groups = speaks_for(reviews, review, person);

  return groups[0] || reviews_is_requester(review, person) ||
         hub_has_role(reviews->config, person, ROLE_AUDITOR) ||
         hub_has_role(reviews->config, person, ROLE_ADMIN);
}

/* ---- time -----------------------------------------------------------------
 */

static void
arm(Reviews *reviews)
{
  const int64_t now = clock_wall_us();
  int64_t next = INT64_MAX;
  GHashTableIter each;
  void *value;

  g_hash_table_iter_init(&each, reviews->pending);
  while (g_hash_table_iter_next(&each, NULL, &value)) {
    const Review *review = value;
    const int64_t escalation = rules_next_escalation(
        reviews->config, review->ask, now - review->received_us);

    next = MIN(next, review->ask->deadline_us);
    if (escalation > 0)
      next = MIN(next, review->received_us + escalation);
  }
  if (reviews->ended->len > 0)
    next = now;
  loop_timer_set(
      reviews->timer,
      next == INT64_MAX ? -1 : MAX(next - now + US_PER_MS - 1, 0) / US_PER_MS);
}

/* It is over: told, and kept until the loop comes round. */
static void
settle(Reviews *reviews, Review *review, ReviewState state, int64_t at_us)
{
  review->state = state;
  review->ended_us = at_us;
  reviews->count.ended[state]++;
  g_hash_table_steal(reviews->pending, review->ask->id);
  g_ptr_array_add(reviews->ended, review);
  arm(reviews);
  reviews->changed(review, CHANGE_ENDED, reviews->data);
}

static void
expire(Reviews *reviews, Review *review, int64_t now_us)
{
  /* Where the store fails or another hub was faster, this one still ends here:
   * nothing is approved by it. */
  store_end(reviews->store, review->ask->id, STATE_EXPIRED, now_us, NULL, NULL);
  settle(reviews, review, STATE_EXPIRED, now_us);
}

/* Tells once, when others may answer, too. */
static void
escalate(Reviews *reviews, Review *review, int64_t waited_us)
{
  const int64_t at =
      rules_next_escalation(reviews->config, review->ask, review->told_us);

  if (at == 0 || at > waited_us)
    return;
  review->told_us = waited_us;
  reviews->changed(review, CHANGE_ESCALATED, reviews->data);
}

static void
on_timer(void *data)
{
  Reviews *reviews = data;
  const int64_t now = clock_wall_us();
  g_autoptr(GPtrArray) pending = g_ptr_array_new();
  GHashTableIter each;
  void *value;

  g_ptr_array_set_size(reviews->ended, 0);
  g_hash_table_iter_init(&each, reviews->pending);
  while (g_hash_table_iter_next(&each, NULL, &value))
    g_ptr_array_add(pending, value);
  for (guint i = 0; i < pending->len; i++) {
    Review *review = pending->pdata[i];

    if (review->ask->deadline_us <= now)
      expire(reviews, review, now);
    else
      escalate(reviews, review, now - review->received_us);
  }
  arm(reviews);
}

/* ---- life -----------------------------------------------------------------
 */

Reviews *
reviews_new(Loop *loop,
            const HubConfig *config,
            Store *store,
            const SigningKey *key,
            void (*changed)(const Review *review,
                            ReviewChange change,
                            void *data),
            void *data,
            GError **error)
{
  g_autoptr(Reviews) reviews = g_new0(Reviews, 1);
  g_autoptr(GPtrArray) stored = NULL;

  reviews->loop = loop;
  reviews->config = config;
  reviews->store = store;
  reviews->key = key;
  reviews->changed = changed;
  reviews->data = data;
  reviews->pending =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, review_free);
  reviews->ended = g_ptr_array_new_with_free_func(review_free);
  reviews->timer = loop_timer_new(loop, on_timer, reviews);
  stored = store_list(store, true, MAX_PENDING, error);
  if (!stored)
    return NULL;
  while (stored->len > 0) {
    Review *review = g_ptr_array_steal_index(stored, 0);

    g_hash_table_insert(reviews->pending, review->ask->id, review);
  }
  arm(reviews);
  return g_steal_pointer(&reviews);
}

void
reviews_free(Reviews *reviews)
{
  if (!reviews)
    return;
  loop_timer_free(reviews->timer);
  g_hash_table_unref(reviews->pending);
  g_ptr_array_unref(reviews->ended);
  g_free(reviews);
}

const Review *
reviews_pending(Reviews *reviews, const char *id)
{
  return g_hash_table_lookup(reviews->pending, id);
}

GHashTable *
reviews_all_pending(Reviews *reviews)
{
  return reviews->pending;
}

ReviewsCount
reviews_count(const Reviews *reviews)
{
  return reviews->count;
}

/* ---- posting --------------------------------------------------------------
 */

static unsigned
waiting_of(const Reviews *reviews, const Person *person)
{
  GHashTableIter each;
  void *value;
  unsigned n = 0;

  g_hash_table_iter_init(&each, reviews->pending);
  while (g_hash_table_iter_next(&each, NULL, &value))
    n += reviews_is_requester(value, person);
  return n;
}

static bool
check_ask(const Reviews *reviews,
          const ReviewAsk *ask,
          const Person *person,
          GError **error)
{
  const int64_t now = clock_wall_us();

  if (ask->deadline_us <= now)
    return refuse(error,
                  REVIEWS_ERROR_REFUSED,
                  "the deadline has passed (or a clock is wrong)");
  if (ask->deadline_us > now + MAX_DEADLINE_US)
    return refuse(error,
                  REVIEWS_ERROR_REFUSED,
                  "the deadline is over an hour away (or a clock is wrong)");
  for (guint i = 0; i < ask->rules->len; i++) {
    const ReviewRule *rule = ask->rules->pdata[i];

    for (unsigned j = 0; rule->groups[j]; j++)
      if (!hub_config_reviewers(reviews->config, rule->groups[j])) {
        g_set_error(error,
                    REVIEWS_ERROR,
                    REVIEWS_ERROR_REFUSED,
                    "this hub has no [reviewers \"%s\"]",
                    rule->groups[j]);
        return false;
      }
  }
  if (g_hash_table_size(reviews->pending) >= MAX_PENDING ||
      waiting_of(reviews, person) >= reviews->config->max_pending)
    return refuse(error,
                  REVIEWS_ERROR_FULL,
                  "too many requests wait for a review already");
  return true;
}

/* What is known under this id; *error when it is another's or another one. */
static const Review *
known(Reviews *reviews,
      const ReviewAsk *ask,
      const Person *person,
      GError **error)
{
  Review *review = g_hash_table_lookup(reviews->pending, ask->id);
  g_autoptr(GError) why = NULL;

  if (!review) {
    review = store_get(reviews->store, ask->id, &why);
    if (why) {
      refuse(error, REVIEWS_ERROR_STORE, why->message);
      return NULL;
    }
    if (!review)
      return NULL;
    g_ptr_array_add(reviews->ended, review);
    arm(reviews);
  }
  if (!reviews_is_requester(review, person) ||
      memcmp(review->ask->digest, ask->digest, SHA256_LEN) != 0) {
    refuse(error, REVIEWS_ERROR_DECIDED, "the id is taken by another request");
    return NULL;
  }
  return review;
}

const Review *
reviews_post(Reviews *reviews,
             ReviewAsk *taken,
             const Person *person,
             const char *machine,
             GError **error)
{
  g_autoptr(ReviewAsk) ask = taken;
  g_autoptr(Review) review = NULL;
  g_autoptr(GError) why = NULL;
  const Review *there = known(reviews, ask, person, &why);

  if (there || why) {
    if (why)
      g_propagate_error(error, g_steal_pointer(&why));
    return there;
  }
  if (!check_ask(reviews, ask, person, error))
    return NULL;
  review = review_new();
  review->ask = g_steal_pointer(&ask);
  review->issuer = g_strdup(person->issuer);
  review->subject = g_strdup(person->subject);
  review->user = g_strdup(person->user);
  review->machine = g_strdup(machine);
  review->received_us = clock_wall_us();
  if (store_add(reviews->store, review, &why) != DB_DONE) {
    refuse(error,
           REVIEWS_ERROR_STORE,
           why ? why->message : "the id is taken by another request");
    return NULL;
  }
  there = review;
  reviews->count.posted++;
  g_hash_table_insert(reviews->pending, review->ask->id, review);
  review = NULL;
  arm(reviews);
  reviews->changed(there, CHANGE_POSTED, reviews->data);
  return there;
}

/* ---- answers --------------------------------------------------------------
 */

/* The pending one; otherwise why there is none. */
static Review *
find(Reviews *reviews, const char *id, const Person *person, GError **error)
{
  Review *review = g_hash_table_lookup(reviews->pending, id);
  g_autoptr(Review) ended = NULL;

  if (review && (reviews_may_see(reviews, review, person)))
    return review;
  ended = review ? NULL : store_get(reviews->store, id, NULL);
  if (ended && reviews_may_see(reviews, ended, person))
    g_set_error(error,
                REVIEWS_ERROR,
                REVIEWS_ERROR_DECIDED,
                "it is over already: %s",
                review_state_name(ended->state));
  else
    refuse(error, REVIEWS_ERROR_NOT_FOUND, "no review of that id is known");
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
  if (may_be_requester(review, person))
    return refuse(error,
                  REVIEWS_ERROR_FORBIDDEN,
                  "it is your own request: somebody else must look at it");
  if (!groups[0])
    return refuse(error,
                  REVIEWS_ERROR_FORBIDDEN,
                  "you are in none of the groups that are asked");
  if (answered(review, person))
    return refuse(error,
                  REVIEWS_ERROR_DECIDED,
                  "you answered already; others are still asked");
  if (memcmp(digest, review->ask->digest, SHA256_LEN) != 0)
    return refuse(error,
                  REVIEWS_ERROR_REFUSED,
                  "the digest is not that of what is to be reviewed");
  if (answer != REVIEW_DENIED && review->ask->needs_reason &&
      (!reason || !*reason))
    return refuse(
        error, REVIEWS_ERROR_REFUSED, "an approval of this needs a reason");
  if (answer == REVIEW_APPROVED && review->ask->masks)
    return refuse(error,
                  REVIEWS_ERROR_REFUSED,
                  "what is shown is masked, so only the masked text can be "
                  "approved (approve-masked)");
  if (answer == REVIEW_APPROVED_MASKED && !review->ask->masks)
    return refuse(error,
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

/* The sealed decision when these voices are enough, or NULL. */
static char *
decide(const Reviews *reviews,
       const Review *review,
       const ReviewVoice *last,
       GPtrArray *voices)
{
  const ReviewAsk *ask = review->ask;
  ReviewDecision decision = {.outcome = last->answer,
                             .policy_revision = ask->policy_revision,
                             .voices = voices,
                             .issued_us = last->at_us,
                             .expires_us = last->at_us + DECISION_LIFE_US};

  if (last->answer != REVIEW_DENIED && !rules_met(ask, voices))
    return NULL;
  memcpy(decision.id, ask->id, REVIEW_ID_SIZE);
  memcpy(decision.digest, ask->digest, SHA256_LEN);
  return review_decision_seal(&decision, reviews->key);
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
  g_auto(GStrv) groups = review ? speaks_for(reviews, review, person) : NULL;
  g_autoptr(GError) why = NULL;
  g_autofree char *decision = NULL;
  ReviewVoice *voice;
  ReviewState state;
  DbResult result;

  if (!review ||
      !check_answer(review, groups, person, answer, digest, reason, error))
    return NULL;
  if (review->ask->deadline_us <= now) {
    expire(reviews, review, now);
    refuse(error, REVIEWS_ERROR_DECIDED, "it is over already: expired");
    return NULL;
  }
  voice = voice_of(person, g_steal_pointer(&groups), answer, reason, now);
  g_ptr_array_add(review->voices, voice);
  decision = decide(reviews, review, voice, review->voices);
  state = decision ? state_of(answer) : STATE_PENDING;
  result = store_answer(reviews->store, id, voice, state, decision, &why);
  if (result != DB_DONE) {
    g_ptr_array_set_size(review->voices, (int)review->voices->len - 1);
    refuse(error,
           result == DB_CONFLICT ? REVIEWS_ERROR_DECIDED : REVIEWS_ERROR_STORE,
           why ? why->message : "it was decided already");
    return NULL;
  }
  if (decision) {
    review->decision = g_steal_pointer(&decision);
    settle(reviews, review, state, now);
  } else {
    reviews->changed(review, CHANGE_ANSWERED, reviews->data);
  }
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
    refuse(error, REVIEWS_ERROR_FORBIDDEN, "it is somebody else's request");
    return NULL;
  }
  result = store_end(reviews->store, id, STATE_WITHDRAWN, now, &by, &why);
  if (result != DB_DONE) {
    refuse(error,
           result == DB_CONFLICT ? REVIEWS_ERROR_DECIDED : REVIEWS_ERROR_STORE,
           why ? why->message : "it was decided already");
    return NULL;
  }
  settle(reviews, review, STATE_WITHDRAWN, now);
  return review;
}
