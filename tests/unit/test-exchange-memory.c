/* SPDX-License-Identifier: Apache-2.0 */
/* What exchanges remember of each other: sessions until they are idle, rates
 * of requests, denials for a while; all of it bounded. */
#include "exchange/refused.h"
#include "exchange/sessions.h"
#include <string.h>

#define SECOND ((int64_t)G_USEC_PER_SEC)
#define MINUTE (60 * SECOND)
/* MAX_SESSIONS, MAX_RATES, MAX_TIMES and MAX_KEPT of the room. */
#define SESSIONS 4096
#define RATES 256
#define TIMES 1024
#define DENIALS 1024

static void
test_sessions(void)
{
  g_autoptr(Sessions) sessions = sessions_new();

  g_assert_true(sessions_touch(sessions, "a", 0));
  g_assert_false(sessions_touch(sessions, "a", 1));
  g_assert_true(sessions_touch(sessions, "b", 1));
  /* Each request begins the idle time anew. */
  for (unsigned i = 1; i < 10; i++)
    g_assert_false(sessions_touch(sessions, "a", i * 29 * MINUTE));
  g_assert_true(sessions_touch(sessions, "b", 31 * MINUTE));
  g_assert_true(sessions_touch(sessions, "a", 9 * 29 * MINUTE + 30 * MINUTE));
}

static void
test_sessions_bound(void)
{
  g_autoptr(Sessions) sessions = sessions_new();

  sessions_touch(sessions, "used", 0);
  sessions_touch(sessions, "idle", 0);
  for (unsigned i = 0; i < SESSIONS - 1; i++) {
    g_autofree char *key = g_strdup_printf("%u", i);

    g_assert_false(sessions_touch(sessions, "used", i));
    g_assert_true(sessions_touch(sessions, key, i));
  }
  g_assert_false(sessions_touch(sessions, "used", SESSIONS));
  g_assert_true(sessions_touch(sessions, "idle", SESSIONS));
}

static void
test_rates(void)
{
  g_autoptr(Sessions) sessions = sessions_new();

  for (unsigned i = 1; i <= 5; i++)
    g_assert_cmpuint(
        sessions_rate(sessions, "rule", 60, i * 10 * SECOND), ==, i);
  g_assert_cmpuint(sessions_rate(sessions, "other", 60, 50 * SECOND), ==, 1);
  /* Those at 10 and 20 s are out of the window at 80 s. */
  g_assert_cmpuint(sessions_rate(sessions, "rule", 60, 80 * SECOND), ==, 4);
  g_assert_cmpuint(sessions_rate(sessions, "rule", 60, 1000 * SECOND), ==, 1);
}

static void
test_rates_bound(void)
{
  g_autoptr(Sessions) sessions = sessions_new();

  for (unsigned i = 1; i <= 3 * TIMES; i++)
    g_assert_cmpuint(sessions_rate(sessions, "rule", 60, i), ==, MIN(i, TIMES));
  for (unsigned i = 1; i < RATES; i++) {
    g_autofree char *key = g_strdup_printf("%u", i);

    g_assert_cmpuint(sessions_rate(sessions, key, 60, 1), ==, 1);
  }
  /* What cannot be counted counts as met. */
  g_assert_cmpuint(sessions_rate(sessions, "more", 60, 1), >=, TIMES);
}

static void
digest_of(unsigned i, uint8_t out[SHA256_LEN])
{
  sha256(&i, sizeof i, out);
}

static void
test_denials(void)
{
  g_autoptr(Refused) refused = refused_new();
  uint8_t one[SHA256_LEN], two[SHA256_LEN];

  digest_of(1, one);
  digest_of(2, two);
  g_assert_null(refused_find(refused, one, 0));
  refused_add(refused, one, "first", 0);
  g_assert_cmpstr(refused_find(refused, one, 5 * MINUTE - 1), ==, "first");
  g_assert_null(refused_find(refused, two, 0));
  g_assert_null(refused_find(refused, one, 5 * MINUTE));
  g_assert_null(refused_find(refused, one, 0)); /* forgotten */
  refused_add(refused, one, "again", 0);
  refused_add(refused, one, "and again", MINUTE);
  g_assert_cmpstr(refused_find(refused, one, 5 * MINUTE), ==, "and again");
  refused_add(refused, two, "two", MINUTE);
  refused_clear(refused);
  g_assert_null(refused_find(refused, one, MINUTE));
  g_assert_null(refused_find(refused, two, MINUTE));
  refused_add(refused, two, "after", MINUTE);
  g_assert_cmpstr(refused_find(refused, two, MINUTE), ==, "after");
}

static void
test_denials_bound(void)
{
  g_autoptr(Refused) refused = refused_new();
  uint8_t digest[SHA256_LEN];

  for (unsigned i = 0; i < DENIALS + 10; i++) {
    digest_of(i, digest);
    refused_add(refused, digest, "no", i);
  }
  for (unsigned i = 0; i < DENIALS + 10; i++) {
    digest_of(i, digest);
    g_assert_cmpint(refused_find(refused, digest, MINUTE) != NULL, ==, i >= 10);
  }
}

static GHashTable *
named(const char *first, ...)
{
  GHashTable *set =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  va_list more;

  va_start(more, first);
  for (const char *at = first; at; at = va_arg(more, const char *))
    g_hash_table_add(set, g_strdup(at));
  va_end(more);
  return set;
}

/* It denies what is held for less, never what is held for something else. */
static void
test_denied_all(void)
{
  g_autoptr(Refused) refused = refused_new();
  g_autoptr(GHashTable) less = named("a", NULL);
  g_autoptr(GHashTable) same = named("a", "b", NULL);
  g_autoptr(GHashTable) more = named("a", "b", "c", NULL);
  g_autoptr(GHashTable) other = named("c", NULL);
  uint8_t digest[SHA256_LEN] = {1}, another[SHA256_LEN] = {2};

  refused_add_all(refused, digest, "no", named("a", "b", NULL), 0);
  g_assert_cmpstr(refused_find_all(refused, digest, less, 0), ==, "no");
  g_assert_cmpstr(refused_find_all(refused, digest, same, 0), ==, "no");
  g_assert_null(refused_find_all(refused, digest, more, 0));
  g_assert_null(refused_find_all(refused, digest, other, 0));
  g_assert_null(refused_find_all(refused, another, less, 0));
  g_assert_null(refused_find(refused, digest, 0)); /* it is no request's */
  g_assert_null(refused_find_all(refused, digest, less, 5 * MINUTE));
  refused_add(refused, another, "once", 0);
  g_assert_null(refused_find_all(refused, another, less, 0));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_) g_test_add_func("/exchange/memory/" name_, func_)
  ADD("sessions", test_sessions);
  ADD("sessions-bound", test_sessions_bound);
  ADD("rates", test_rates);
  ADD("rates-bound", test_rates_bound);
  ADD("denials", test_denials);
  ADD("denials-bound", test_denials_bound);
  ADD("denied-all", test_denied_all);
#undef ADD
  return g_test_run();
}
