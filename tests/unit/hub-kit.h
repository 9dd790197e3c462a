/* SPDX-License-Identifier: Apache-2.0 */
/* Reviews on a store of each engine, and the people who post and answer. */
#ifndef HOOP_TEST_HUB_KIT_H
#define HOOP_TEST_HUB_KIT_H

#include "hub/reviews.h"
#include "kit/clock.h"
#include "postgresql-kit.h"
#include <string.h>

#define ISSUER "https://idp.example"
#define S INT64_C(1000000)

static const char conf[] =
    "[hub]\naudience=hub\nstate-dir=/nowhere\n"
    "[limits]\nmax-pending=3\n"
    "[roles]\nauditor=audit\nadmin=admins\n"
    "[reviewers \"leads\"]\ngroups=team-leads\nescalation=directors\n"
    "escalate-after=1\n"
    "[reviewers \"security\"]\ngroups=sec;sec-ops\n"
    "[reviewers \"directors\"]\ngroups=board\n"
    "[identity \"corp\"]\nissuer=" ISSUER "\n";

static Cluster *cluster;

typedef struct {
  char *folder, *where;
  HubConfig *config;
  Store *store;
  SigningKey *key;
  Loop *loop;
  Reviews *reviews;
  unsigned told[CHANGE_ENDED + 1];
  ReviewState last;
} Kit;

static void
on_changed(const Review *review, ReviewChange change, void *data)
{
  Kit *kit = data;

  kit->told[change]++;
  kit->last = review->state;
}

static void
start(Kit *kit)
{
  g_autoptr(GError) error = NULL;

  kit->store = store_open(kit->where, NULL, &error);
  g_assert_no_error(error);
  kit->reviews = reviews_new(
      kit->loop, kit->config, kit->store, kit->key, on_changed, kit, &error);
  g_assert_no_error(error);
}

static void
stop(Kit *kit)
{
  g_clear_pointer(&kit->reviews, reviews_free);
  g_clear_pointer(&kit->store, store_free);
}

static void
setup(Kit *kit, const void *data)
{
  g_autofree char *path = NULL;
  g_autofree char *key = NULL;
  g_autoptr(GError) error = NULL;

  kit->folder = g_dir_make_tmp("hub-XXXXXX", NULL);
  kit->where = data ? cluster_database(cluster)
                    : g_build_filename(kit->folder, "hub.db", NULL);
  path = g_build_filename(kit->folder, "hub.conf", NULL);
  key = g_build_filename(kit->folder, "hub.key", NULL);
  g_assert_true(g_file_set_contents(path, conf, -1, NULL));
  kit->config = hub_config_load(path, &error);
  g_assert_no_error(error);
  kit->key = signing_key_load(key, true, &error);
  g_assert_no_error(error);
  kit->loop = loop_new(NULL);
  start(kit);
}

static void
teardown(Kit *kit, const void *data)
{
  (void)data;
  stop(kit);
  loop_free(kit->loop);
  signing_key_free(kit->key);
  hub_config_free(kit->config);
  remove_folder(kit->folder);
  g_free(kit->folder);
  g_free(kit->where);
}

/* ---- people and requests --------------------------------------------------
 */

typedef struct {
  char user[32], subject[32];
  char **groups;
  Person person;
} Someone;

/* "name group,group" */
static Person *
someone(Someone *one, const char *text)
{
  g_auto(GStrv) parts = g_strsplit(text, " ", 2);

  g_strlcpy(one->user, parts[0], sizeof one->user);
  g_snprintf(one->subject, sizeof one->subject, "sub-%s", parts[0]);
  one->groups = g_strsplit(parts[1] ? parts[1] : "", ",", -1);
  one->person = (Person){.user = one->user,
                         .subject = one->subject,
                         .issuer = (char *)ISSUER,
                         .groups = one->groups};
  return &one->person;
}

static void
someone_clear(Someone *one)
{
  g_strfreev(one->groups);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Someone, someone_clear)

static ReviewAsk *
make_ask(char id, const char *groups, unsigned count, bool each)
{
  g_auto(GStrv) names = g_strsplit(groups, ",", -1);
  ReviewAsk *ask = review_ask_new();

  memset(ask->id, id, REVIEW_ID_SIZE - 1);
  memset(ask->digest, id, SHA256_LEN);
  ask->exchange = g_strdup("x1");
  ask->policy_revision = g_strdup("r1");
  ask->text = g_strdup("a prompt");
  ask->deadline_us = clock_wall_us() + 60 * S;
  review_ask_add_rule(
      ask, "rule", NULL, (const char *const *)names, count, each);
  return ask;
}

static const Review *
post(Kit *kit, const char *who, ReviewAsk *ask)
{
  g_auto(Someone) one = {.groups = NULL};
  g_autoptr(GError) error = NULL;
  const Review *review =
      reviews_post(kit->reviews, ask, someone(&one, who), "m1", &error);

  g_assert_no_error(error);
  return review;
}

static void
make_id(char id, char out[REVIEW_ID_SIZE])
{
  memset(out, id, REVIEW_ID_SIZE - 1);
  out[REVIEW_ID_SIZE - 1] = '\0';
}

/* The state afterwards; -1: refused with this code. */
static int
answer(Kit *kit, char id, const char *who, ReviewOutcome outcome, int code)
{
  g_auto(Someone) one = {.groups = NULL};
  g_autoptr(GError) error = NULL;
  char text[REVIEW_ID_SIZE];
  uint8_t digest[SHA256_LEN];
  const Review *review;

  make_id(id, text);
  memset(digest, id, sizeof digest);
  review = reviews_answer(
      kit->reviews, text, someone(&one, who), outcome, digest, "so", &error);
  if (review) {
    g_assert_no_error(error);
    g_assert_cmpint(code, ==, -1);
    return (int)review->state;
  }
  g_assert_error(error, REVIEWS_ERROR, code);
  return -1;
}

static void
wait_for(Kit *kit, const unsigned *n)
{
  const int64_t until = clock_mono_us() + 10 * S;

  while (*n == 0 && clock_mono_us() < until)
    loop_iterate(kit->loop, 100);
  g_assert_cmpuint(*n, >, 0);
}

static void
add_kind(const RecordRow *row, void *data)
{
  g_string_append_printf(data, "%s ", row->kind);
}

/* ---- both engines ---------------------------------------------------------
 */

typedef struct {
  const char *name;
  void (*test)(Kit *kit, const void *data);
} Row;

static void
add_all(const char *what, const Row *each, size_t n, bool is_shared)
{
  for (size_t i = 0; i < n; i++) {
    g_autofree char *path = g_strdup_printf("/hub/%s/%s/%s",
                                            what,
                                            is_shared ? "postgresql" : "sqlite",
                                            each[i].name);

    g_test_add(
        path, Kit, is_shared ? cluster : NULL, setup, each[i].test, teardown);
  }
}

static void
test_skipped(void)
{
  g_test_skip("no PostgreSQL here (packages.list, group test)");
}

/* The program: every row with SQLite and with PostgreSQL. */
static int
run_rows(int argc, char **argv, const char *what, const Row *each, size_t n)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  cluster = cluster_new();
  add_all(what, each, n, false);
  if (cluster)
    add_all(what, each, n, true);
  else
    g_test_add_func("/hub/postgresql", test_skipped);
  result = g_test_run();
  cluster_free(cluster);
  return result;
}

#endif
