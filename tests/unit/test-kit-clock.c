/* SPDX-License-Identifier: Apache-2.0 */
/* Time and its text form. */

#include "kit/clock.h"

#define US INT64_C(1000000)

static void
test_rfc3339(void)
{
  static const struct {
    int64_t us;
    const char *text;
  } rows[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {999, "1970-01-01T00:00:00.000Z"},
      {1000, "1970-01-01T00:00:00.001Z"},
      {-1, "1969-12-31T23:59:59.999Z"},
      {-US, "1969-12-31T23:59:59.000Z"},
      {951782400 * US, "2000-02-29T00:00:00.000Z"},
      {1772357400 * US + 123456, "2026-03-01T09:30:00.123Z"},
      {INT64_C(253402300799) * US + 999999, "9999-12-31T23:59:59.999Z"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = clock_rfc3339(rows[i].us);

    g_assert_cmpstr(text, ==, rows[i].text);
  }
}

/* The local time zone does not show. */
static void
test_rfc3339_is_utc(void)
{
  g_autofree char *text = NULL;

  g_setenv("TZ", "Pacific/Auckland", TRUE);
  text = clock_rfc3339(0);
  g_assert_cmpstr(text, ==, "1970-01-01T00:00:00.000Z");
}

static void
test_clocks(void)
{
  const int64_t mono = clock_mono_us();

  g_assert_cmpint(clock_mono_us(), >=, mono);
  g_assert_cmpint(ABS(clock_wall_us() - g_get_real_time()), <, 60 * US);
  g_assert_cmpint(ABS(mono - g_get_monotonic_time()), <, 60 * US);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/clock/rfc3339", test_rfc3339);
  g_test_add_func("/kit/clock/rfc3339-is-utc", test_rfc3339_is_utc);
  g_test_add_func("/kit/clock/clocks", test_clocks);
  return g_test_run();
}
