/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with a unit behind them; signs, blanks and fractions are refused. */
#include "policy/units.h"

#include <glib.h>
#include <string.h>

/* A year in seconds, and a terabyte: anything above is a slip. */
#define MAX_DURATION (366u * 24 * 60 * 60)
#define MAX_SIZE (INT64_C(1) << 40)

static bool
read_digits(const char **at, size_t most, int64_t *out)
{
  int64_t number = 0;
  size_t n = 0;

  for (; g_ascii_isdigit(**at); (*at)++) {
    if (++n > most)
      return false;
    number = number * 10 + (**at - '0');
  }
  *out = number;
  return n > 0;
}

/* `letters` and `factors` belong together; no letter is a factor of 1. */
static bool
with_unit(const char *text,
          const char *letters,
          const int64_t *factors,
          int64_t max,
          int64_t *out)
{
  int64_t number;
  const char *unit;

  if (!read_digits(&text, 13, &number))
    return false;
  if (*text != '\0') {
    unit = strchr(letters, *text);
    if (unit == NULL || text[1] != '\0' ||
        number > max / factors[unit - letters])
      return false;
    number *= factors[unit - letters];
  }
  if (number > max)
    return false;
  *out = number;
  return true;
}

bool
units_duration(const char *text, unsigned *out)
{
  static const int64_t factors[] = {1, 60, 60 * 60, 24 * 60 * 60};
  int64_t seconds;

  if (!with_unit(text, "smhd", factors, MAX_DURATION, &seconds))
    return false;
  *out = (unsigned)seconds;
  return true;
}

bool
units_size(const char *text, int64_t *out)
{
  static const int64_t factors[] = {1 << 10, 1 << 20, 1 << 30};

  return with_unit(text, "KMG", factors, MAX_SIZE, out);
}

bool
units_clock(const char *text, int *out)
{
  int64_t hours, minutes;

  if (strlen(text) != 5 || !read_digits(&text, 2, &hours) || *text++ != ':' ||
      !read_digits(&text, 2, &minutes) || *text != '\0')
    return false;
  if (minutes > 59 || hours * 60 + minutes > 24 * 60)
    return false;
  *out = (int)(hours * 60 + minutes);
  return true;
}
