/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest parts of a regex, for what matches without libhs or PCRE2: sets
 * of bytes, and how often one stands there. Private to the room. */
#ifndef HOOP_INSPECT_ATOM_H
#define HOOP_INSPECT_ATOM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint64_t bits[4];
} ByteSet;

static inline bool
byte_set_has(const ByteSet *set, unsigned byte)
{
  return (set->bits[byte / 64] >> byte % 64 & 1) != 0;
}

/* A letter, digit or "_" of ASCII. */
static inline bool
byte_is_word(unsigned byte)
{
  return byte < 0x80 && (g_ascii_isalnum((char)byte) || byte == '_');
}

/* Reads a character, an escaped one, a class, a kind as "\d", or "." at *at and
 * goes behind it; adds what it takes to the set. any_case, any_line: the
 * options "i" and "s". False: it is none of these. */
bool byte_set_read(const char **at, bool any_case, bool any_line, ByteSet *set);

typedef enum { TIMES_NONE, TIMES_READ, TIMES_BAD } Times;

/* Reads how often what stands before *at may come and goes behind that; *max:
 * UINT_MAX without a bound. What is taken lazily is the same; not so what is
 * never given back, which is bad. */
Times times_read(const char **at, unsigned *min, unsigned *max);

#endif
