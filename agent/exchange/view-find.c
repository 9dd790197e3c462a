/* SPDX-License-Identifier: Apache-2.0 */
/* Findings and masks of a held body, each in the text that a person reads, and
 * those that meet as one. */
#include "exchange/view.h"

static int
by_place(const void *a, const void *b)
{
  const OuterSpan *left = &((const ViewMask *)a)->at;
  const OuterSpan *right = &((const ViewMask *)b)->at;

  if (left->field != right->field)
    return left->field < right->field ? -1 : 1;
  if (left->start != right->start)
    return left->start < right->start ? -1 : 1;
  return left->end > right->end ? -1 : left->end < right->end;
}

/* Sorted ViewMasks of MaskSpans. */
static GArray *
led_out(const Inspection *inspection, const GArray *spans)
{
  GArray *led = g_array_new(FALSE, FALSE, sizeof(ViewMask));
  g_autofree OuterSpan *outer = g_new(OuterSpan, spans->len + 1);

  for (unsigned i = 0; i < spans->len; i++) {
    const MaskSpan *span = &g_array_index(spans, MaskSpan, i);

    outer[i] = (OuterSpan){span->field, span->start, span->end};
  }
  inspection_outer_spans(inspection, outer, spans->len);
  for (unsigned i = 0; i < spans->len; i++) {
    const ViewMask mask = {outer[i], g_array_index(spans, MaskSpan, i)};

    if (mask.at.end > mask.at.start)
      g_array_append_val(led, mask);
  }
  g_array_sort(led, by_place);
  return led;
}

static size_t
length(const MaskSpan *span)
{
  return span->end - span->start;
}

/* One mask for both, for all of the text where it is the same. */
static void
merge(ViewMask *last, size_t *longest, const ViewMask *next)
{
  const MaskSpan before = last->span;

  if (length(&next->span) > *longest) {
    *longest = length(&next->span);
    last->span = next->span;
  }
  if (before.field == next->span.field) {
    last->span.start = MIN(before.start, next->span.start);
    last->span.end = MAX(before.end, next->span.end);
  }
  last->at.end = MAX(last->at.end, next->at.end);
}

static bool
meets(unsigned field, size_t end, const ViewMask *next)
{
  return field == next->at.field && next->at.start < end;
}

GArray *
view_masks(const Inspection *inspection, const GArray *spans)
{
  g_autoptr(GArray) all = led_out(inspection, spans);
  GArray *merged = g_array_new(FALSE, FALSE, sizeof(ViewMask));
  size_t longest = 0;

  for (unsigned i = 0; i < all->len; i++) {
    const ViewMask *next = &g_array_index(all, ViewMask, i);
    ViewMask *last =
        merged->len ? &g_array_index(merged, ViewMask, merged->len - 1) : NULL;

    if (last && meets(last->at.field, last->at.end, next)) {
      merge(last, &longest, next);
      continue;
    }
    g_array_append_val(merged, *next);
    longest = length(&next->span);
  }
  return merged;
}

static void
cluster_clear(void *data)
{
  g_ptr_array_unref(((Cluster *)data)->rules);
}

static void
add_to_clusters(GArray *clusters, const ViewMask *found)
{
  Cluster *last = clusters->len
                      ? &g_array_index(clusters, Cluster, clusters->len - 1)
                      : NULL;

  if (!last || !meets(last->field, last->end, found)) {
    Cluster cluster = {
        found->at.field, found->at.start, found->at.end, g_ptr_array_new()};

    g_array_append_val(clusters, cluster);
    last = &g_array_index(clusters, Cluster, clusters->len - 1);
  }
  last->end = MAX(last->end, found->at.end);
  for (unsigned i = 0; i < last->rules->len; i++)
    if (g_str_equal(last->rules->pdata[i], found->span.rule_id))
      return;
  g_ptr_array_add(last->rules, (gpointer)found->span.rule_id);
}

GArray *
view_clusters(const Inspection *inspection,
              const GArray *now,
              const GArray *later)
{
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  GArray *clusters = g_array_new(FALSE, FALSE, sizeof(Cluster));
  g_autoptr(GArray) all = NULL;
  const Finding *findings;
  unsigned n;

  g_array_set_clear_func(clusters, cluster_clear);
  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {.field = findings[i].field,
                           .start = findings[i].start,
                           .end = findings[i].end,
                           .rule_id = findings[i].rule->id};

    g_array_append_val(spans, span);
  }
  all = led_out(inspection, spans);
  g_array_append_vals(all, now->data, now->len);
  g_array_append_vals(all, later->data, later->len);
  g_array_sort(all, by_place);
  for (unsigned i = 0; i < all->len; i++)
    add_to_clusters(clusters, &g_array_index(all, ViewMask, i));
  return clusters;
}
