/* SPDX-License-Identifier: Apache-2.0 */
/* What rules have behind a head that they share (a name of a secret, say): an
 * automaton of its own, which costs something only where the head stood.
 * Private to the room. */
#ifndef HOOP_INSPECT_TAIL_H
#define HOOP_INSPECT_TAIL_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A deterministic automaton; immutable, shared by all threads. */
typedef struct {
  uint8_t classes[256]; /* of bytes that say the same */
  unsigned n_classes, n_states;
  uint16_t *next;    /* by state, then class */
  bool *accepts;     /* by state */
  uint16_t start[2]; /* behind no letter, digit or "_"; behind one */
  int last;          /* the byte that every match ends with; -1: several do */
} Tail;
/* The state that nothing follows. */
#define TAIL_DEAD 0

/* Whether a regex can be one: characters, classes, groups, alternatives and
 * greedy or lazy repetition, "\b" but at its end; `options` as "(?i)". */
bool tail_is_possible(const char *regex, const char *options);
/* NULL when it is not possible or has too many states. */
Tail *tail_new(const char *regex, const char *options);
void tail_free(Tail *tail);

static inline uint16_t
tail_begin(const Tail *tail, char before)
{
  return tail->start[g_ascii_isalnum(before) || before == '_'];
}

static inline uint16_t
tail_step(const Tail *tail, uint16_t state, char byte)
{
  return tail->next[state * tail->n_classes + tail->classes[(uint8_t)byte]];
}

#endif
