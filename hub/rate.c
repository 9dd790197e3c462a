/* SPDX-License-Identifier: Apache-2.0 */
/* How often one person may ask: a bucket each, filled evenly. */
#include "hub/private.h"
#include "kit/clock.h"

#define US_PER_MINUTE 60000000.0

typedef struct {
  double left;
  int64_t at_us;
} Rate;

static void
fill(Rate *rate, unsigned per_minute, int64_t now_us)
{
  rate->left += (double)(now_us - rate->at_us) * per_minute / US_PER_MINUTE;
  rate->left = MIN(rate->left, per_minute);
  rate->at_us = now_us;
}

bool
rate_take(GHashTable *rates, const Person *person, unsigned per_minute)
{
  g_autofree char *key =
      g_strdup_printf("%s\n%s", person->issuer, person->subject);
  Rate *rate = g_hash_table_lookup(rates, key);

  if (!rate) {
    rate = g_new0(Rate, 1);
    *rate = (Rate){.left = per_minute, .at_us = clock_mono_us()};
    g_hash_table_insert(rates, g_steal_pointer(&key), rate);
  }
  fill(rate, per_minute, clock_mono_us());
  if (rate->left < 1)
    return false;
  rate->left--;
  return true;
}

void
rate_forget(GHashTable *rates, unsigned per_minute)
{
  const int64_t now = clock_mono_us();
  GHashTableIter each;
  void *value;

  g_hash_table_iter_init(&each, rates);
  while (g_hash_table_iter_next(&each, NULL, &value)) {
    Rate *rate = value;

    fill(rate, per_minute, now);
    if (rate->left >= per_minute)
      g_hash_table_iter_remove(&each);
  }
}
