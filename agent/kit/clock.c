/* SPDX-License-Identifier: Apache-2.0 */
/* Wall and monotonic time in microseconds, and their text form. */
#include "kit/clock.h"

#include <time.h>

#define US_PER_S INT64_C(1000000)
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static int64_t
read_clock(clockid_t id)
{
  struct timespec now;

  clock_gettime(id, &now);
  return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

int64_t
clock_wall_us(void)
{
  return read_clock(CLOCK_REALTIME);
}

int64_t
clock_mono_us(void)
{
  return read_clock(CLOCK_MONOTONIC);
}

int64_t
clock_boot_us(void)
{
  return read_clock(CLOCK_BOOTTIME);
}

char *
clock_boot_id(void)
{
  char *text = NULL;

  if (!g_file_get_contents(BOOT_ID, &text, NULL, NULL))
    return NULL;
  g_strstrip(text);
  if (*text)
    return text;
  g_free(text);
  return NULL;
}

char *
clock_rfc3339(int64_t wall_us)
{
  int64_t us = wall_us % US_PER_S;
  time_t seconds;
  struct tm utc;

  if (us < 0)
    us += US_PER_S;
  seconds = (time_t)((wall_us - us) / US_PER_S);
  gmtime_r(&seconds, &utc);
  return g_strdup_printf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                         utc.tm_year + 1900,
                         utc.tm_mon + 1,
                         utc.tm_mday,
                         utc.tm_hour,
                         utc.tm_min,
                         utc.tm_sec,
                         (int)(us / 1000));
}
