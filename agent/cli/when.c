/* SPDX-License-Identifier: Apache-2.0 */
/* Reads times: how long ago, a day by its name or date, a time of day. */
#include "cli/when.h"
#include "cli/verb.h"
#include <stdio.h>
#include <string.h>

/* "HH:MM" or "HH:MM:SS", and nothing behind it. */
static bool
read_clock(const char *text, int *hour, int *minute, double *second)
{
  int used = 0, whole = 0;
  size_t len = strlen(text);

  *second = 0;
  if (len != 5 && len != 8)
    return false;
  if (sscanf(text, "%2d:%2d%n", hour, minute, &used) != 2 || used != 5)
    return false;
  if (len == 8 && (sscanf(text + 5, ":%2d%n", &whole, &used) != 1 || used != 3))
    return false;
  *second = whole;
  return *hour >= 0 && *hour < 24 && *minute >= 0 && *minute < 60 &&
         whole >= 0 && whole < 60;
}

/* The day that a word names, as its midnight; NULL: none. */
static GDateTime *
read_day(const char *word, GDateTime *now, GTimeZone *zone)
{
  g_autoptr(GDateTime) day = NULL;
  int year, month, date, used = 0;

  if (g_str_equal(word, "today"))
    day = g_date_time_ref(now);
  else if (g_str_equal(word, "yesterday"))
    day = g_date_time_add_days(now, -1);
  if (day)
    return g_date_time_new(zone,
                           g_date_time_get_year(day),
                           g_date_time_get_month(day),
                           g_date_time_get_day_of_month(day),
                           0,
                           0,
                           0);
  if (strlen(word) != 10 ||
      sscanf(word, "%4d-%2d-%2d%n", &year, &month, &date, &used) != 3 ||
      used != 10)
    return NULL;
  return g_date_time_new(zone, year, month, date, 0, 0, 0);
}

static GDateTime *
with_clock(GDateTime *day, GTimeZone *zone, const char *clock)
{
  int hour, minute;
  double second;

  if (!read_clock(clock, &hour, &minute, &second))
    return NULL;
  return g_date_time_new(zone,
                         g_date_time_get_year(day),
                         g_date_time_get_month(day),
                         g_date_time_get_day_of_month(day),
                         hour,
                         minute,
                         second);
}

static GDateTime *
read_words(const char *text, GDateTime *now, GTimeZone *zone, bool end)
{
  g_auto(GStrv) words = g_strsplit(text, " ", 2);
  g_autoptr(GDateTime) day = words[0] ? read_day(words[0], now, zone) : NULL;

  if (!words[0])
    return NULL;
  if (!day)
    return words[1] ? NULL : with_clock(now, zone, text);
  if (words[1])
    return with_clock(day, zone, words[1]);
  return end ? g_date_time_add_days(day, 1) : g_date_time_ref(day);
}

bool
when_parse(const char *text,
           int64_t now_us,
           GTimeZone *zone,
           bool end,
           int64_t *us)
{
  g_autoptr(GDateTime) utc =
      g_date_time_new_from_unix_utc(now_us / G_USEC_PER_SEC);
  g_autoptr(GDateTime) now = g_date_time_to_timezone(utc, zone);
  g_autoptr(GDateTime) when = NULL;
  unsigned seconds;

  if (g_str_equal(text, "now")) {
    *us = now_us;
    return true;
  }
  if (duration_parse(text, &seconds)) {
    *us = now_us - (int64_t)seconds * G_USEC_PER_SEC;
    return true;
  }
  when = read_words(text, now, zone, end);
  if (!when)
    when = g_date_time_new_from_iso8601(text, zone);
  if (!when)
    return false;
  *us = g_date_time_to_unix(when) * G_USEC_PER_SEC +
        g_date_time_get_microsecond(when);
  return true;
}
