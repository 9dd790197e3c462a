/* SPDX-License-Identifier: Apache-2.0 */
/* What of a held body's texts was found or is masked: spans that meet, brought
 * together. Private to the room. */
#ifndef HOOP_EXCHANGE_VIEW_H
#define HOOP_EXCHANGE_VIEW_H

#include "exchange/state.h"

/* A mask in a text that no other holds, and what it stands for. */
typedef struct {
  OuterSpan at;
  MaskSpan span;
} ViewMask;

/* Findings and masks of one field that meet. */
typedef struct {
  unsigned field;
  size_t start, end;
  GPtrArray *rules; /* borrowed */
} Cluster;

/* ViewMask, in order; those that meet as one, which the longest names, as the
 * body is rewritten. g_array_unref. */
GArray *view_masks(const Inspection *inspection, const GArray *spans);
/* Cluster, in order, of all findings and of masks as view_masks() gives them.
 * g_array_unref. */
GArray *view_clusters(const Inspection *inspection,
                      const GArray *now,
                      const GArray *later);

#endif
