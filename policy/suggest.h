/* SPDX-License-Identifier: Apache-2.0 */
/* The nearest valid word to one that was mistyped. */
#ifndef HOOP_POLICY_SUGGEST_H
#define HOOP_POLICY_SUGGEST_H

/* The word of the NULL terminated list that the fewest edits (insert, delete,
 * replace, swap two neighbours) lead to, ASCII case ignored; NULL when none
 * is near: more edits than a third of its length, and at least one. */
const char *suggest_nearest(const char *word, const char *const *words);

#endif
