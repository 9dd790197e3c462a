/* SPDX-License-Identifier: Apache-2.0 */
/* Short expressions without a word that is certain (a card number, a row of
 * hex): they would keep an engine of libhs busy at every byte. Here it is seen
 * for 64 bytes at once where one may begin, and an automaton looks from there.
 * Private to the room. */
#ifndef HOOP_INSPECT_SIGHT_H
#define HOOP_INSPECT_SIGHT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* Expressions; once all are added immutable, shared by all threads. */
typedef struct sights Sights;

/* A rule's expression ends here. */
typedef struct {
  unsigned rule;
  size_t end;
} RuleEnd;

/* What of the processor is used: what it has, of that at most AVX2, or nothing
 * that not all have. */
typedef enum { SIGHTS_BEST, SIGHTS_AVX2, SIGHTS_PLAIN } SightsCpu;

Sights *sights_new(SightsCpu cpu);
void sights_free(Sights *sights);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sights, sights_free)
/* Takes a rule's expression: what tail_new() can, perhaps behind "(?:^|[…])"
 * (at the beginning of a line, or behind one of these). False: it takes
 * SIGHT_BACK bytes or more, or begins like too many words, or there are too
 * many; libhs must look for it. */
bool sights_add(Sights *sights, const char *expression, unsigned rule);

/* Appends each place in (from, to] where an expression ends, once, by place and
 * then in the order in which they were added: what libhs reports in
 * multi-line mode, wherever a text is cut. bytes[0] is at `from`; `back` bytes
 * before it are there, all of the text or at least SIGHT_BACK. */
#define SIGHT_BACK 32
void sights_run(const Sights *sights,
                const char *bytes,
                size_t back,
                size_t from,
                size_t to,
                GArray *ends);

#endif
