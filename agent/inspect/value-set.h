/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a set of exact values, and the keyed hash that they are made
 * of. Private to the room.
 *
 * A value is looked up in steps: a bit for its first 8 bytes (4 for values
 * shorter than that), then a node for the hash of its first 8, 16, 32 … bytes,
 * which tells which lengths are worth a look before the next step, then the
 * hash of the whole value. Every hash is SipHash-2-4 (Aumasson and Bernstein,
 * 2012) under a key that is drawn when the set is made. */
#ifndef HOOP_INSPECT_VALUE_SET_H
#define HOOP_INSPECT_VALUE_SET_H

#include "inspect/values.h"

#include <string.h>

#define SIP_KEY 2

typedef struct {
  uint64_t v0, v1, v2, v3;
  size_t absorbed; /* bytes; a multiple of 8 */
} SipState;

void sip_init(SipState *state, const uint64_t key[SIP_KEY]);
/* The hash of bytes[0..len). The same bytes as in earlier calls with this
 * state, and no less of them. */
uint64_t sip_prefix(SipState *state, const char *bytes, size_t len);

/* Values that begin like a node and end before the next step. */
typedef struct {
  uint64_t hash;
  uint32_t first_len; /* in lens, ascending */
  uint16_t n_lens;
  bool more; /* values go on to the next step */
  bool used;
} ValueNode;

typedef struct {
  uint64_t hash;
  uint8_t kinds; /* 1 << ValueKind; 0: the place is free */
} ValueFinal;

typedef struct {
  uint64_t *words;
  unsigned shift; /* 64 - log2 of its bits */
} BitSet;

struct value_set {
  int refs; /* atomic */
  uint64_t key[SIP_KEY];
  uint64_t factors[2]; /* odd; for bits */
  unsigned n, n_short, counts[N_VALUE_KINDS];
  struct entries *entries; /* while it is filled */
  BitSet begin, begin_short, heads;
  ValueNode *nodes;
  size_t node_mask; /* the table's size - 1 */
  ValueFinal *finals;
  size_t final_mask;
  uint16_t *lens;
};

static inline bool
bit_get(const BitSet *set, uint64_t product)
{
  const uint64_t bit = product >> set->shift;

  return (set->words[bit >> 6] >> (bit & 63) & 1) != 0;
}

/* Up to 8 bytes as a number. */
static inline uint64_t
word_at(const char *bytes, size_t len)
{
  uint64_t word = 0;

  memcpy(&word, bytes, len);
  return word;
}

/* A value may begin with these 8 bytes. */
static inline bool
value_set_may_begin(const ValueSet *set, uint64_t word)
{
  return bit_get(&set->begin, word * set->factors[0]);
}

/* A value of 4 to 7 bytes may begin with the first 4 of these. */
static inline bool
value_set_may_begin_short(const ValueSet *set, uint64_t word)
{
  return bit_get(&set->begin_short,
                 (uint64_t)GUINT32_FROM_LE((uint32_t)word) * set->factors[0]);
}

/* A text of 1 to 7 bytes, which goes on, may be a value's beginning. */
bool value_set_may_begin_so(const ValueSet *set, const char *bytes, size_t len);
/* NULL: no value begins with what has this hash. */
const ValueNode *value_set_node(const ValueSet *set, uint64_t hash);
/* NULL: this is no value's hash. */
const ValueFinal *value_set_final(const ValueSet *set, uint64_t hash);

#endif
