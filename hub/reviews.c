/* SPDX-License-Identifier: Apache-2.0 */
/* One review's life: pending, then one end that nothing changes any more. */
#include "hub/reviews.h"
#include "hub/reviews-parts.h"
#include "hub/rules.h"
#include "kit/clock.h"
#include "kit/log.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
#define US_PER_MS 1000
/* No request is held for longer; an agent's clock may be off by minutes. */
#define MAX_DEADLINE_US (3600 * US_PER_S)
/* In all. */
#define MAX_PENDING 10000
/* Until a store that failed is tried again by the clock. */
#define HOLD_US US_PER_S

G_DEFINE_QUARK(hoop_reviews_error, reviews_error)

bool
reviews_refuse(GError **error, ReviewsErrorCode code, const char *why)
{
  g_set_error_literal(error, REVIEWS_ERROR, code, why);
  return false;
}

bool
reviews_refuse_by_store(GError **error, const GError *why)
{
  return reviews_refuse(error,
                        db_error_passes(why) ? REVIEWS_ERROR_LATER
                                             : REVIEWS_ERROR_STORE,
                        why->message);
}

/* ---- who ------------------------------------------------------------------
 */

bool
reviews_is_requester(const Review *review, const Person *person)
{
  return g_str_equal(review->issuer, person->issuer) &&
         g_str_equal(review->subject, person->subject);
}

bool
reviews_may_be_requester(const Review *review, const Person *person)
{
  return rules_same_person(review->issuer,
                           review->subject,
                           review->user,
                           person->issuer,
                           person->subject,
                           person->user);
}

bool
reviews_answered(const GPtrArray *voices, guint n, const ReviewVoice *person)
{
  for (guint i = 0; i < n; i++) {
    const ReviewVoice *voice = voices->pdata[i];

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

bool
reviews_answered_by(const Review *review, const Person *person)
{
  const ReviewVoice one = {.issuer = person->issuer,
                           .subject = person->subject,
                           .user = person->user};

  return reviews_answered(review->voices, review->voices->len, &one);
}

char **
reviews_speaks_for(const Reviews *reviews,
                   const Review *review,
                   const Person *person)
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
  g_auto(GStrv) groups = reviews_speaks_for(reviews, review, person);

  return review->state == STATE_PENDING && groups[0] &&
         !reviews_may_be_requester(review, person) &&
         !reviews_answered_by(review, person);
}

bool
reviews_may_see(const Reviews *reviews,
                const Review *review,
                const Person *person)
{
  g_auto(GStrv) groups = reviews_speaks_for(reviews, review, person);

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
  next = MAX(next, reviews->held_us);
  if (reviews->ended->len > 0)
    next = now;
  loop_timer_set(
      reviews->timer,
      next == INT64_MAX ? -1 : MAX(next - now + US_PER_MS - 1, 0) / US_PER_MS);
}

void
reviews_settle(Reviews *reviews,
               Review *review,
               ReviewState state,
               int64_t at_us)
{
  review->state = state;
  review->ended_us = at_us;
  reviews->count.ended[state]++;
  g_hash_table_steal(reviews->pending, review->ask->id);
  g_ptr_array_add(reviews->ended, review);
  arm(reviews);
  reviews->changed(review, CHANGE_ENDED, reviews->data);
}

void
reviews_expire(Reviews *reviews, Review *review, int64_t now_us)
{
  g_autoptr(GError) error = NULL;
  const DbResult result = store_end(
      reviews->store, review->ask->id, STATE_EXPIRED, now_us, NULL, &error);

  if (result == DB_DONE) {
    review->elsewhere = false;
    reviews_settle(reviews, review, STATE_EXPIRED, now_us);
  } else if (result == DB_CONFLICT) {
    reviews_heard(reviews, review->ask->id);
  } else {
    log_error("store error=\"%s\"", error->message);
    reviews->held_us = now_us + HOLD_US;
  }
}

/* Tells once, when others may answer, too. Each hub tells those who are with
 * it; one of them notes it. */
static void
escalate(Reviews *reviews, Review *review, int64_t now_us)
{
  const int64_t waited = now_us - review->received_us;
  const int64_t at =
      rules_next_escalation(reviews->config, review->ask, review->told_us);
  g_autoptr(GError) error = NULL;
  DbResult result;

  if (at == 0 || at > waited)
    return;
  result = store_escalate(reviews->store, review->ask->id, at, now_us, &error);
  if (result == DB_FAILED)
    log_error("store error=\"%s\"", error->message);
  review->elsewhere = result != DB_DONE;
  review->told_us = waited;
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
  for (guint i = 0; i < pending->len && reviews->held_us <= now; i++) {
    Review *review = pending->pdata[i];

    if (review->ask->deadline_us <= now)
      reviews_expire(reviews, review, now);
    else
      escalate(reviews, review, now);
  }
  arm(reviews);
}

/* ---- other hubs -----------------------------------------------------------
 */

Review *
reviews_adopt(Reviews *reviews, Review *taken)
{
  taken->elsewhere = true;
  g_hash_table_insert(reviews->pending, taken->ask->id, taken);
  arm(reviews);
  reviews->changed(taken, CHANGE_POSTED, reviews->data);
  return taken;
}

/* What the store has (taken; not NULL) against what is known here. */
static void
compare(Reviews *reviews, Review *taken)
{
  g_autoptr(Review) stored = taken;
  Review *review = g_hash_table_lookup(reviews->pending, stored->ask->id);

  if (!review) {
    if (stored->state == STATE_PENDING)
      reviews_adopt(reviews, g_steal_pointer(&stored));
    return;
  }
  if (stored->state == STATE_PENDING &&
      stored->voices->len <= review->voices->len)
    return;
  review->elsewhere = true;
  {
    GPtrArray *voices = review->voices;

    review->voices = stored->voices;
    stored->voices = voices;
  }
  if (stored->state == STATE_PENDING) {
    reviews->changed(review, CHANGE_ANSWERED, reviews->data);
    return;
  }
  g_free(review->decision);
  review->decision = g_steal_pointer(&stored->decision);
  reviews_settle(reviews, review, stored->state, stored->ended_us);
}

void
reviews_heard(Reviews *reviews, const char *id)
{
  g_autoptr(GError) error = NULL;
  Review *stored = store_get(reviews->store, id, &error);

  if (stored)
    compare(reviews, stored);
  else if (error)
    log_error("store error=\"%s\"", error->message);
}

void
reviews_reload(Reviews *reviews)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) stored =
      store_list(reviews->store, true, MAX_PENDING, &error);
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GPtrArray) gone = g_ptr_array_new_with_free_func(g_free);
  GHashTableIter each;
  void *id;

  if (!stored) {
    log_error("store error=\"%s\"", error->message);
    return;
  }
  while (stored->len > 0) {
    Review *review = g_ptr_array_steal_index_fast(stored, stored->len - 1);

    g_hash_table_add(seen, g_strdup(review->ask->id));
    compare(reviews, review);
  }
  g_hash_table_iter_init(&each, reviews->pending);
  while (g_hash_table_iter_next(&each, &id, NULL))
    if (!g_hash_table_contains(seen, id))
      g_ptr_array_add(gone, g_strdup(id));
  for (guint i = 0; i < gone->len; i++)
    reviews_heard(reviews, gone->pdata[i]);
  reviews->held_us = 0;
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
    return reviews_refuse(error,
                          REVIEWS_ERROR_REFUSED,
                          "the deadline has passed (or a clock is wrong)");
  if (ask->deadline_us > now + MAX_DEADLINE_US)
    return reviews_refuse(
        error,
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
    return reviews_refuse(error,
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
      reviews_refuse_by_store(error, why);
      return NULL;
    }
    if (!review)
      return NULL;
    if (review->state == STATE_PENDING) {
      reviews_adopt(reviews, review);
    } else {
      g_ptr_array_add(reviews->ended, review);
      arm(reviews);
    }
  }
  if (!reviews_is_requester(review, person) ||
      memcmp(review->ask->digest, ask->digest, SHA256_LEN) != 0) {
    reviews_refuse(
        error, REVIEWS_ERROR_DECIDED, "the id is taken by another request");
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
    if (why)
      reviews_refuse_by_store(error, why);
    else
      reviews_refuse(
          error, REVIEWS_ERROR_DECIDED, "the id is taken by another request");
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
