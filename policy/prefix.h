/* SPDX-License-Identifier: Apache-2.0 */
/* Quick search for where a regex may match: most begin with one of a few
 * words, and all other places need not be tried. */
#ifndef HOOP_POLICY_PREFIX_H
#define HOOP_POLICY_PREFIX_H

#include <glib.h>
#include <stdbool.h>

typedef struct prefix_finder PrefixFinder;

/* A finder of places for PCRE2_UTF regexes, whatever their case; NULL when a
 * match may begin with anything, or the source has what is not understood here
 * (flags in its middle, verbs, conditions). */
PrefixFinder *prefix_finder_new(const char *source);
/* Accepts NULL. */
void prefix_finder_free(PrefixFinder *finder);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PrefixFinder, prefix_finder_free)
/* The first byte at or after `from` at which a match may begin, or `len`. It
 * finds every such byte, and some others. */
size_t prefix_find(const PrefixFinder *finder,
                   const char *text,
                   size_t len,
                   size_t from);

#endif
