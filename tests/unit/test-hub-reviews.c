/* SPDX-License-Identifier: Apache-2.0 */
/* Reviews in the hub: who may answer, when it is enough, that nothing is
 * decided twice, that time ends it, and that the store keeps it all. */
#include "hub-kit.h"

/* ---- tests ----------------------------------------------------------------
 */

static void
test_one(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(ReviewDecision) decision = NULL;
  g_autoptr(Review) stored = NULL;
  char id[REVIEW_ID_SIZE];

  (void)data;
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  g_assert_cmpint(answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, -1),
                  ==,
                  STATE_APPROVED);
  make_id('a', id);
  stored = store_get(kit->store, id, &error);
  g_assert_cmpint(stored->state, ==, STATE_APPROVED);
  g_assert_cmpuint(stored->voices->len, ==, 1);
  decision = review_decision_open(stored->decision,
                                  strlen(stored->decision),
                                  signing_key_public(kit->key),
                                  &error);
  g_assert_no_error(error);
  g_assert_cmpstr(decision->id, ==, id);
  g_assert_cmpstr(decision->policy_revision, ==, "r1");
  g_assert_cmpint(decision->expires_us - decision->issued_us, ==, 60 * S);
  g_assert_cmpuint(kit->told[CHANGE_ENDED], ==, 1);
}

static void
test_not_asked(Kit *kit, const void *data)
{
  (void)data;
  post(kit, "ada dev,team-leads", make_ask('a', "leads", 1, false));
  /* Whose request it is, in whatever group, and who only has that name. */
  answer(
      kit, 'a', "ada dev,team-leads", REVIEW_APPROVED, REVIEWS_ERROR_FORBIDDEN);
  answer(kit, 'a', "ADA team-leads", REVIEW_APPROVED, REVIEWS_ERROR_FORBIDDEN);
  answer(
      kit, 'a', "ada dev,team-leads", REVIEW_DENIED, REVIEWS_ERROR_FORBIDDEN);
  /* Others do not even see it. */
  answer(kit, 'a', "cyd dev", REVIEW_APPROVED, REVIEWS_ERROR_NOT_FOUND);
  answer(kit, 'a', "cyd dev", REVIEW_DENIED, REVIEWS_ERROR_NOT_FOUND);
  answer(kit, 'a', "eve audit", REVIEW_APPROVED, REVIEWS_ERROR_FORBIDDEN);
  answer(kit, 'b', "bob team-leads", REVIEW_APPROVED, REVIEWS_ERROR_NOT_FOUND);
  g_assert_cmpuint(kit->told[CHANGE_ENDED], ==, 0);
}

static void
test_groups_unknown(Kit *kit, const void *data)
{
  g_auto(Someone) one = {.groups = NULL};
  g_autoptr(GError) error = NULL;
  Person *person = someone(&one, "bob team-leads");
  uint8_t digest[SHA256_LEN];
  char id[REVIEW_ID_SIZE];

  (void)data;
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  person->groups = NULL;
  memset(digest, 'a', sizeof digest);
  make_id('a', id);
  g_assert_null(reviews_answer(
      kit->reviews, id, person, REVIEW_APPROVED, digest, NULL, &error));
  g_assert_error(error, REVIEWS_ERROR, REVIEWS_ERROR_NOT_FOUND);
  g_assert_false(hub_has_role(kit->config, person, ROLE_REQUESTER));
}

static void
test_count(Kit *kit, const void *data)
{
  (void)data;
  post(kit, "ada dev", make_ask('a', "leads,security", 2, false));
  /* One person in two groups is one. */
  g_assert_cmpint(answer(kit, 'a', "bob team-leads,sec", REVIEW_APPROVED, -1),
                  ==,
                  STATE_PENDING);
  answer(
      kit, 'a', "bob team-leads,sec", REVIEW_APPROVED, REVIEWS_ERROR_DECIDED);
  answer(kit, 'a', "Bob sec", REVIEW_DENIED, REVIEWS_ERROR_DECIDED);
  g_assert_cmpint(
      answer(kit, 'a', "cyd sec-ops", REVIEW_APPROVED, -1), ==, STATE_APPROVED);
  answer(kit, 'a', "dan sec", REVIEW_DENIED, REVIEWS_ERROR_DECIDED);
}

static void
test_each(Kit *kit, const void *data)
{
  (void)data;
  post(kit, "ada dev", make_ask('a', "leads,security", 1, true));
  g_assert_cmpint(answer(kit, 'a', "bob team-leads,sec", REVIEW_APPROVED, -1),
                  ==,
                  STATE_PENDING);
  /* Bob moves on to security. */
  g_assert_cmpint(answer(kit, 'a', "cyd team-leads", REVIEW_APPROVED, -1),
                  ==,
                  STATE_APPROVED);
}

static void
test_more_than_needed(Kit *kit, const void *data)
{
  ReviewAsk *ask = make_ask('a', "leads", 1, false);
  static const char *const groups[] = {"security", NULL};

  (void)data;
  review_ask_add_rule(ask, "other", NULL, groups, 1, false);
  post(kit, "ada dev", ask);
  g_assert_cmpint(answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, -1),
                  ==,
                  STATE_PENDING);
  g_assert_cmpint(answer(kit, 'a', "cyd team-leads", REVIEW_APPROVED, -1),
                  ==,
                  STATE_PENDING);
  g_assert_cmpint(
      answer(kit, 'a', "dan sec", REVIEW_APPROVED, -1), ==, STATE_APPROVED);
}

static void
test_denied(Kit *kit, const void *data)
{
  (void)data;
  post(kit, "ada dev", make_ask('a', "leads,security", 2, false));
  answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, -1);
  g_assert_cmpint(
      answer(kit, 'a', "cyd sec", REVIEW_DENIED, -1), ==, STATE_DENIED);
  answer(kit, 'a', "dan team-leads", REVIEW_APPROVED, REVIEWS_ERROR_DECIDED);
}

static void
test_masks(Kit *kit, const void *data)
{
  ReviewAsk *ask = make_ask('a', "leads", 1, false);

  (void)data;
  ask->masks = true;
  post(kit, "ada dev", ask);
  answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, REVIEWS_ERROR_REFUSED);
  g_assert_cmpint(
      answer(kit, 'a', "bob team-leads", REVIEW_APPROVED_MASKED, -1),
      ==,
      STATE_APPROVED_MASKED);
  post(kit, "ada dev", make_ask('b', "leads", 1, false));
  answer(kit,
         'b',
         "bob team-leads",
         REVIEW_APPROVED_MASKED,
         REVIEWS_ERROR_REFUSED);
}

static void
test_digest(Kit *kit, const void *data)
{
  g_auto(Someone) one = {.groups = NULL};
  g_autoptr(GError) error = NULL;
  const uint8_t digest[SHA256_LEN] = {1};
  char id[REVIEW_ID_SIZE];

  (void)data;
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  make_id('a', id);
  g_assert_null(reviews_answer(kit->reviews,
                               id,
                               someone(&one, "bob team-leads"),
                               REVIEW_APPROVED,
                               digest,
                               NULL,
                               &error));
  g_assert_error(error, REVIEWS_ERROR, REVIEWS_ERROR_REFUSED);
}

/* Another hub on the same database was faster. */
static void
test_compare_and_set(Kit *kit, const void *data)
{
  g_autoptr(Store) other = store_open(kit->where, NULL, NULL);
  char id[REVIEW_ID_SIZE];

  (void)data;
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  make_id('a', id);
  g_assert_cmpint(
      store_end(other, id, STATE_WITHDRAWN, 5, NULL, NULL), ==, DB_DONE);
  g_assert_cmpint(
      store_end(other, id, STATE_EXPIRED, 6, NULL, NULL), ==, DB_CONFLICT);
  answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, REVIEWS_ERROR_DECIDED);
  {
    g_autoptr(Review) stored = store_get(other, id, NULL);

    g_assert_cmpint(stored->state, ==, STATE_WITHDRAWN);
    g_assert_cmpuint(stored->voices->len, ==, 0);
    g_assert_null(stored->decision);
  }
}

static void
test_idempotent(Kit *kit, const void *data)
{
  g_auto(Someone) one = {.groups = NULL};
  g_autoptr(GError) error = NULL;
  ReviewAsk *changed = make_ask('a', "leads", 1, false);

  (void)data;
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  g_assert_cmpuint(kit->told[CHANGE_POSTED], ==, 1);
  changed->digest[0]++;
  g_assert_null(reviews_post(
      kit->reviews, changed, someone(&one, "ada dev"), "m1", &error));
  g_assert_error(error, REVIEWS_ERROR, REVIEWS_ERROR_DECIDED);
}

static void
test_bounds(Kit *kit, const void *data)
{
  static const char ids[] = "abcd";
  ReviewAsk *asks[3];

  (void)data;
  for (unsigned i = 0; i < 3; i++)
    post(kit, "ada dev", make_ask(ids[i], "leads", 1, false));
  asks[0] = make_ask('d', "leads", 1, false);
  asks[1] = make_ask('d', "nobody", 1, false);
  asks[2] = make_ask('d', "leads", 1, false);
  asks[2]->deadline_us = clock_wall_us() - 1;
  for (unsigned i = 0; i < 3; i++) {
    const int code = i ? REVIEWS_ERROR_REFUSED : REVIEWS_ERROR_FULL;
    g_auto(Someone) one = {.groups = NULL};
    g_autoptr(GError) error = NULL;

    g_assert_null(reviews_post(kit->reviews,
                               asks[i],
                               someone(&one, i ? "ben dev" : "ada dev"),
                               "m1",
                               &error));
    g_assert_error(error, REVIEWS_ERROR, code);
  }
}

static void
test_expires(Kit *kit, const void *data)
{
  ReviewAsk *ask = make_ask('a', "security", 1, false);
  g_autoptr(Review) stored = NULL;
  char id[REVIEW_ID_SIZE];

  (void)data;
  ask->deadline_us = clock_wall_us() + S / 20;
  post(kit, "ada dev", ask);
  wait_for(kit, &kit->told[CHANGE_ENDED]);
  g_assert_cmpint(kit->last, ==, STATE_EXPIRED);
  answer(kit, 'a', "bob sec", REVIEW_APPROVED, REVIEWS_ERROR_DECIDED);
  make_id('a', id);
  stored = store_get(kit->store, id, NULL);
  g_assert_cmpint(stored->state, ==, STATE_EXPIRED);
}

static void
test_escalates(Kit *kit, const void *data)
{
  (void)data;
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  answer(kit, 'a', "zoe board", REVIEW_APPROVED, REVIEWS_ERROR_NOT_FOUND);
  wait_for(kit, &kit->told[CHANGE_ESCALATED]);
  g_assert_cmpuint(kit->told[CHANGE_ESCALATED], ==, 1);
  g_assert_cmpint(
      answer(kit, 'a', "zoe board", REVIEW_APPROVED, -1), ==, STATE_APPROVED);
}

static void
test_withdrawn(Kit *kit, const void *data)
{
  static const struct {
    const char *who;
    int code;
  } rows[] = {{"bob team-leads", REVIEWS_ERROR_FORBIDDEN},
              {"ben dev", REVIEWS_ERROR_NOT_FOUND},
              {"ada dev", -1},
              {"ada dev", REVIEWS_ERROR_DECIDED}};
  char id[REVIEW_ID_SIZE];

  (void)data;
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  make_id('a', id);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(Someone) one = {.groups = NULL};
    g_autoptr(GError) error = NULL;
    const Review *review =
        reviews_withdraw(kit->reviews, id, someone(&one, rows[i].who), &error);

    if (rows[i].code < 0)
      g_assert_cmpint(review->state, ==, STATE_WITHDRAWN);
    else
      g_assert_error(error, REVIEWS_ERROR, rows[i].code);
  }
}

/* A hub that was stopped goes on with what waited, answers counted. */
static void
test_restart(Kit *kit, const void *data)
{
  (void)data;
  post(kit, "ada dev", make_ask('a', "leads,security", 2, false));
  answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, -1);
  stop(kit);
  start(kit);
  answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, REVIEWS_ERROR_DECIDED);
  g_assert_cmpint(
      answer(kit, 'a', "cyd sec", REVIEW_APPROVED, -1), ==, STATE_APPROVED);
}

static void
test_record(Kit *kit, const void *data)
{
  g_autoptr(GString) kinds = g_string_new(NULL);

  (void)data;
  post(kit, "ada dev", make_ask('a', "leads,security", 2, false));
  answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, -1);
  answer(kit, 'a', "cyd sec", REVIEW_APPROVED, -1);
  g_assert_true(store_each_record(kit->store, 0, 100, add_kind, kinds, NULL));
  g_assert_cmpstr(kinds->str, ==, "review answer answer decision ");
  g_assert_true(store_prune(kit->store, INT64_MAX, NULL));
  {
    g_autoptr(GPtrArray) left = store_list(kit->store, false, 10, NULL);

    g_assert_cmpuint(left->len, ==, 0);
  }
  g_string_truncate(kinds, 0);
  g_assert_true(store_each_record(kit->store, 1, 100, add_kind, kinds, NULL));
  g_assert_cmpstr(kinds->str, ==, "answer answer decision ");
}

static void
test_machines(Kit *kit, const void *data)
{
  Machine machine = {.id = (char *)"m1",
                     .public_key = {5},
                     .issuer = (char *)ISSUER,
                     .subject = (char *)"s1",
                     .user = (char *)"ada",
                     .name = (char *)"desk",
                     .since_us = 1};
  g_autoptr(Machine) stored = NULL;

  (void)data;
  g_assert_cmpint(store_add_machine(kit->store, &machine, NULL), ==, DB_DONE);
  g_assert_cmpint(store_add_machine(kit->store, &machine, NULL), ==, DB_DONE);
  machine.subject = (char *)"s2";
  g_assert_cmpint(
      store_add_machine(kit->store, &machine, NULL), ==, DB_CONFLICT);
  stored = store_get_machine(kit->store, "m1", NULL);
  g_assert_cmpstr(stored->subject, ==, "s1");
  g_assert_cmpint(stored->public_key[0], ==, 5);
  g_assert_null(store_get_machine(kit->store, "m2", NULL));
}

/* ---- both engines ---------------------------------------------------------
 */

static const Row rows[] = {
    {"one", test_one},
    {"not-asked", test_not_asked},
    {"groups-unknown", test_groups_unknown},
    {"count", test_count},
    {"each", test_each},
    {"more-than-needed", test_more_than_needed},
    {"denied", test_denied},
    {"masks", test_masks},
    {"digest", test_digest},
    {"compare-and-set", test_compare_and_set},
    {"idempotent", test_idempotent},
    {"bounds", test_bounds},
    {"expires", test_expires},
    {"escalates", test_escalates},
    {"withdrawn", test_withdrawn},
    {"restart", test_restart},
    {"record", test_record},
    {"machines", test_machines},
};

int
main(int argc, char **argv)
{
  return run_rows(argc, argv, "reviews", rows, G_N_ELEMENTS(rows));
}
