/* SPDX-License-Identifier: Apache-2.0 */
/* Two hubs on one database: each request is decided once, and both know. */
#include "hub-kit.h"

/* Another hub; stop() ends it. */
static void
start_other(const Kit *kit, Kit *other)
{
  *other = (Kit){.where = kit->where,
                 .config = kit->config,
                 .key = kit->key,
                 .loop = kit->loop};
  start(other);
}

static unsigned
recorded(Kit *kit, const char *kind)
{
  g_autoptr(GString) kinds = g_string_new(NULL);
  g_auto(GStrv) words = NULL;
  unsigned n = 0;

  g_assert_true(store_each_record(kit->store, 0, 1000, add_kind, kinds, NULL));
  words = g_strsplit(kinds->str, " ", -1);
  for (unsigned i = 0; words[i]; i++)
    n += g_str_equal(words[i], kind);
  return n;
}

static void
hear(Kit *kit, char id)
{
  char text[REVIEW_ID_SIZE];

  make_id(id, text);
  reviews_heard(kit->reviews, text);
}

/* Each hub has one of two voices: the second decides, wherever it came. */
static void
test_shared_count(Kit *kit, const void *data)
{
  Kit other;
  g_autoptr(Review) stored = NULL;
  char id[REVIEW_ID_SIZE];

  (void)data;
  start_other(kit, &other);
  post(kit, "ada dev", make_ask('a', "leads,security", 2, false));
  hear(&other, 'a');
  hear(&other, 'a');
  g_assert_cmpuint(other.told[CHANGE_POSTED], ==, 1);
  g_assert_cmpint(answer(&other, 'a', "bob team-leads", REVIEW_APPROVED, -1),
                  ==,
                  STATE_PENDING);
  /* Nobody told the first hub, and it knows better than to count bob twice. */
  answer(kit, 'a', "bob team-leads", REVIEW_APPROVED, REVIEWS_ERROR_DECIDED);
  g_assert_cmpuint(kit->told[CHANGE_ANSWERED], ==, 1);
  answer(kit, 'a', "Bob sec", REVIEW_DENIED, REVIEWS_ERROR_DECIDED);
  g_assert_cmpint(
      answer(kit, 'a', "cyd sec", REVIEW_APPROVED, -1), ==, STATE_APPROVED);
  hear(&other, 'a');
  g_assert_cmpuint(other.told[CHANGE_ENDED], ==, 1);
  g_assert_cmpint(other.last, ==, STATE_APPROVED);
  answer(&other, 'a', "dan sec", REVIEW_DENIED, REVIEWS_ERROR_DECIDED);
  make_id('a', id);
  stored = store_get(other.store, id, NULL);
  g_assert_cmpuint(stored->voices->len, ==, 2);
  g_assert_nonnull(stored->decision);
  g_assert_cmpuint(recorded(kit, "decision"), ==, 1);
  stop(&other);
}

/* Two that decide at one moment, neither told of the other. */
static void
test_shared_race(Kit *kit, const void *data)
{
  Kit other;

  (void)data;
  start_other(kit, &other);
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  g_assert_cmpint(answer(&other, 'a', "bob team-leads", REVIEW_APPROVED, -1),
                  ==,
                  STATE_APPROVED);
  answer(kit, 'a', "cyd team-leads", REVIEW_DENIED, REVIEWS_ERROR_DECIDED);
  /* What it was refused for is what it tells. */
  g_assert_cmpuint(kit->told[CHANGE_ENDED], ==, 1);
  g_assert_cmpint(kit->last, ==, STATE_APPROVED);
  g_assert_cmpuint(recorded(kit, "decision"), ==, 1);
  g_assert_cmpuint(recorded(kit, "answer"), ==, 1);
  stop(&other);
}

/* What was missed is seen when all are read again. */
static void
test_shared_reload(Kit *kit, const void *data)
{
  Kit other;

  (void)data;
  start_other(kit, &other);
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  post(kit, "ada dev", make_ask('b', "leads,security", 2, false));
  reviews_reload(other.reviews);
  reviews_reload(other.reviews);
  g_assert_cmpuint(other.told[CHANGE_POSTED], ==, 2);
  answer(kit, 'a', "bob team-leads", REVIEW_DENIED, -1);
  answer(kit, 'b', "bob team-leads", REVIEW_APPROVED, -1);
  reviews_reload(other.reviews);
  g_assert_cmpuint(other.told[CHANGE_ENDED], ==, 1);
  g_assert_cmpint(other.last, ==, STATE_DENIED);
  g_assert_cmpuint(other.told[CHANGE_ANSWERED], ==, 1);
  g_assert_cmpuint(
      g_hash_table_size(reviews_all_pending(other.reviews)), ==, 1);
  stop(&other);
}

/* A request that is posted again, at the hub that is left, is the same. */
static void
test_shared_repost(Kit *kit, const void *data)
{
  Kit other;

  (void)data;
  start_other(kit, &other);
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  g_assert_cmpint(
      post(&other, "ada dev", make_ask('a', "leads", 1, false))->state,
      ==,
      STATE_PENDING);
  g_assert_cmpuint(recorded(kit, "review"), ==, 1);
  g_assert_cmpuint(
      g_hash_table_size(reviews_all_pending(other.reviews)), ==, 1);
  stop(&other);
}

/* Deadline and escalation are each hub's to tell, and one row of the record. */
static void
test_shared_times(Kit *kit, const void *data)
{
  ReviewAsk *brief = make_ask('b', "security", 1, false);
  Kit other;

  (void)data;
  start_other(kit, &other);
  post(kit, "ada dev", make_ask('a', "leads", 1, false));
  brief->deadline_us = clock_wall_us() + S / 2;
  post(kit, "ada dev", brief);
  reviews_reload(other.reviews);
  wait_for(kit, &kit->told[CHANGE_ENDED]);
  wait_for(&other, &other.told[CHANGE_ENDED]);
  wait_for(kit, &kit->told[CHANGE_ESCALATED]);
  wait_for(&other, &other.told[CHANGE_ESCALATED]);
  g_assert_cmpint(other.last, ==, STATE_PENDING);
  g_assert_cmpuint(recorded(kit, "expired"), ==, 1);
  g_assert_cmpuint(recorded(kit, "escalation"), ==, 1);
  stop(&other);
}

static void
test_key(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;

  g_assert_true(store_check_key(kit->store, "aa", &error));
  g_assert_true(store_check_key(kit->store, "aa", &error));
  g_assert_cmpint(store_check_key(kit->store, "bb", &error), ==, !data);
  if (data)
    g_assert_error(error, DB_ERROR, DB_ERROR_OPEN);
}

static const Row rows[] = {
    {"count", test_shared_count},
    {"race", test_shared_race},
    {"reload", test_shared_reload},
    {"repost", test_shared_repost},
    {"times", test_shared_times},
    {"key", test_key},
};

int
main(int argc, char **argv)
{
  return run_rows(argc, argv, "shared", rows, G_N_ELEMENTS(rows));
}
