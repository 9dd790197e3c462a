/* SPDX-License-Identifier: Apache-2.0 */
/* Exchange ids: 64 bits of time, 64 bits of chance, in the order-preserving
 * base32 of RFC 4648 section 7. */
#include "journal/journal.h"

#include <stdatomic.h>
#include <time.h>

/* 26 digits of 5 bits hold 128 bits; the first has two bits to spare. */
#define ID_CHARS 26

/* The time in the newest id, in nanoseconds. The one variable of the program
 * that all share: two ids of one process must never be out of order, not even
 * when the clock steps back between them. */
static _Atomic uint64_t newest;

static uint64_t
next_tick(void)
{
  struct timespec now;
  uint64_t tick, last;

  clock_gettime(CLOCK_REALTIME, &now);
  tick = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  last = atomic_load_explicit(&newest, memory_order_relaxed);
  do {
    if (tick <= last)
      tick = last + 1;
  } while (!atomic_compare_exchange_weak_explicit(
      &newest, &last, tick, memory_order_relaxed, memory_order_relaxed));
  return tick;
}

char *
journal_new_id(void)
{
  static const char digits[] = "0123456789abcdefghijklmnopqrstuv";
  char *id = g_malloc(ID_CHARS + 1);
  uint64_t high = next_tick();
  uint64_t low;

  random_bytes(&low, sizeof low);
  for (int i = ID_CHARS - 1; i >= 0; i--) {
    id[i] = digits[low & 31];
    low = low >> 5 | high << 59;
    high >>= 5;
  }
  id[ID_CHARS] = '\0';
  return id;
}
