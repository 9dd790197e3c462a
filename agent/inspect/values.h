/* SPDX-License-Identifier: Apache-2.0 */
/* Exact values in texts: whole ones, and ones that arrive in pieces. Private to
 * the room. */
#ifndef HOOP_INSPECT_VALUES_H
#define HOOP_INSPECT_VALUES_H

#include "inspect/detector.h"

/* A value is looked for where its first bytes stand: so many, fewer for
 * shorter values. */
#define VALUE_ANCHOR 8

/* Which sets a scratch looks for: the detector's as of now, and what it holds
 * beside. */
typedef struct {
  const ValueSet *sets[2];
  unsigned n;
} ValueSets;

/* Takes the detector's newest set over, unless the scratch is pinned: a stream
 * keeps the one that it began with. */
void values_refresh(DetectorScratch *scratch);
ValueSets values_active(const DetectorScratch *scratch);

/* Appends a Finding (with this field) for every place of `text` where a value
 * of the scratch's sets stands, decoded and normalised texts included: what
 * reads those calls it for each. Not in the order of findings_sort(). False
 * when there are more than max_findings. */
bool values_scan(const DetectorScratch *scratch,
                 const char *text,
                 size_t len,
                 unsigned field,
                 size_t max_findings,
                 GArray *findings);

/* ---- Texts in pieces */

typedef struct value_tail ValueTail;
/* For one text; the scratch outlives it and its sets stay. NULL when there is
 * nothing to look for. */
ValueTail *value_tail_new(const DetectorScratch *scratch);
void value_tail_free(ValueTail *tail);
/* One that goes on from here by itself. Accepts NULL. */
ValueTail *value_tail_copy(const ValueTail *tail);
/* Whether no value is beginning, but perhaps in the last bytes. Accepts NULL.
 */
bool value_tail_is_quiet(const ValueTail *tail);
/* Looks at what came; appends the findings that are certain by now. The bytes
 * from value_tail_floor() on must still be in the view. False when too many
 * values may be beginning at one time. */
bool value_tail_feed(ValueTail *tail, const TextView *view, GArray *findings);
/* No value that is not yet found begins before this. */
size_t value_tail_floor(const ValueTail *tail, const TextView *view);

#endif
