/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a body again with spans of its texts masked: each span is led back
 * through every decoding to the body's own bytes; all others stay. */
#include "inspect/restore.h"
#include "inspect/spans.h"

#include <string.h>

/* A span of the body and the mask that replaces it. */
typedef struct {
  size_t start, end;
  size_t length; /* of the span in its text: the longest names the mask */
  MaskSpan span; /* all of the text that the mask stands for */
} RawSpan;

static int
compare_spans(const void *a, const void *b)
{
  const RawSpan *x = a, *y = b;

  if (x->start != y->start)
    return x->start < y->start ? -1 : 1;
  return x->end > y->end ? -1 : x->end < y->end;
}

static void
append_form(GString *out, const char *text)
{
  for (; *text != '\0'; text++) {
    if (g_ascii_isalnum(*text) || *text == '-' || *text == '_')
      g_string_append_c(out, *text);
    else
      g_string_append_printf(out, "%%%02X", (unsigned char)*text);
  }
}

/* The text of one span, or of a whole field when spans met. */
static void
append_mask(const Inspection *inspection,
            Masker *masker,
            const char *scope,
            const RawSpan *raw,
            GString *out)
{
  const MaskSpan *span = &raw->span;
  const InspectField *field =
      &g_array_index(inspection->fields, InspectField, span->field);
  g_autoptr(GString) mask = g_string_new(NULL);

  masker_issue(masker,
               scope,
               span->restore,
               span->rule_id,
               field->text + span->start,
               span->end - span->start,
               mask);
  span_quote_number(inspection, span->field, mask);
  if (g_array_index(inspection->places, FieldPlace, span->field).encoding ==
      ENCODED_FORM)
    append_form(out, mask->str);
  else
    g_string_append_len(out, mask->str, (gssize)mask->len);
}

static bool
collect(const Inspection *inspection,
        const GArray *mask_spans,
        GArray *raws,
        GError **error)
{
  g_autoptr(GHashTable) maps = span_maps_new();

  for (guint i = 0; i < mask_spans->len; i++) {
    const MaskSpan *span = &g_array_index(mask_spans, MaskSpan, i);
    RawSpan raw = {span->start, span->end, span->end - span->start, *span};

    if (span->field >= inspection->fields->len || span->start > span->end ||
        span->end >
            g_array_index(inspection->fields, InspectField, span->field).len) {
      g_set_error_literal(error,
                          INSPECT_ERROR,
                          INSPECT_ERROR_ENGINE,
                          "a span that is not in the body");
      return false;
    }
    if (span->start == span->end)
      continue;
    span_lead_back(inspection, span->field, &raw.start, &raw.end, maps);
    g_array_append_val(raws, raw);
  }
  return true;
}

/* Spans that meet get one mask; in one text it stands for all of it. */
static void
merge(RawSpan *merged, const RawSpan *next)
{
  const MaskSpan before = merged->span;

  merged->end = MAX(merged->end, next->end);
  if (next->length > merged->length) {
    merged->length = next->length;
    merged->span = next->span;
  }
  if (before.field == next->span.field) {
    merged->span.start = MIN(before.start, next->span.start);
    merged->span.end = MAX(before.end, next->span.end);
  }
  merged->span.restore = MIN(before.restore, next->span.restore);
}

/* The masks of the body between two spans, undone. */
static void
append_between(const GArray *restorations,
               const char *body,
               size_t from,
               size_t to,
               GString *out)
{
  for (guint i = 0; restorations != NULL && i < restorations->len; i++) {
    const Restoration *at = &g_array_index(restorations, Restoration, i);

    if (at->start < from || at->end > to)
      continue;
    g_string_append_len(out, body + from, (gssize)(at->start - from));
    g_string_append(out, at->value);
    from = at->end;
  }
  g_string_append_len(out, body + from, (gssize)(to - from));
}

static GBytes *
rewrite(const Inspection *inspection,
        Masker *masker,
        const char *scope,
        const GArray *mask_spans,
        const GArray *restorations,
        GError **error)
{
  g_autoptr(GArray) raws = g_array_new(FALSE, FALSE, sizeof(RawSpan));
  gsize len;
  const char *body = g_bytes_get_data(inspection->body, &len);
  GString *out;
  size_t done = 0;

  if (!collect(inspection, mask_spans, raws, error))
    return NULL;
  if (raws->len == 0 && (restorations == NULL || restorations->len == 0))
    return g_bytes_ref(inspection->body);
  if (raws->len > 1)
    qsort(raws->data, raws->len, sizeof(RawSpan), compare_spans);
  out = g_string_sized_new(len + 64);
  for (guint i = 0; i < raws->len;) {
    RawSpan merged = g_array_index(raws, RawSpan, i);

    for (i++; i < raws->len; i++) {
      const RawSpan *next = &g_array_index(raws, RawSpan, i);

      if (next->start >= merged.end)
        break;
      merge(&merged, next);
    }
    append_between(restorations, body, done, merged.start, out);
    append_mask(inspection, masker, scope, &merged, out);
    done = merged.end;
  }
  append_between(restorations, body, done, len, out);
  return g_string_free_to_bytes(out);
}

GBytes *
inspection_rewrite(const Inspection *inspection,
                   Masker *masker,
                   const char *scope,
                   const GArray *mask_spans,
                   GError **error)
{
  return rewrite(inspection, masker, scope, mask_spans, NULL, error);
}

/* ---- Masks undone ------------------------------------------------------ */

struct inspect_restore {
  GArray *restorations;
  bool blocks;
};

InspectRestore *
inspect_restore_new(const Inspection *inspection,
                    DetectorScratch *scratch,
                    Masker *masker,
                    const char *scope,
                    const StreamPlan *plan,
                    GError **error)
{
  g_autoptr(InspectRestore) restore = g_new0(InspectRestore, 1);
  size_t restored = 0;

  restore->restorations = restorations_find(
      inspection, masker, scope, plan->restore, false, &restored, error);
  if (restore->restorations == NULL)
    return NULL;
  if (inspect_restore_in_tools(restore) &&
      !restorations_judge(restore->restorations,
                          inspection,
                          scratch,
                          plan,
                          NULL,
                          0,
                          &restore->blocks,
                          error))
    return NULL;
  return g_steal_pointer(&restore);
}

void
inspect_restore_free(InspectRestore *restore)
{
  if (restore == NULL)
    return;
  restorations_free(restore->restorations);
  g_free(restore);
}

bool
inspect_restore_is_empty(const InspectRestore *restore)
{
  return restore->restorations->len == 0;
}

bool
inspect_restore_in_tools(const InspectRestore *restore)
{
  for (guint i = 0; i < restore->restorations->len; i++)
    if (g_array_index(restore->restorations, Restoration, i).argument)
      return true;
  return false;
}

bool
inspect_restore_blocks(const InspectRestore *restore)
{
  return restore->blocks;
}

GBytes *
inspect_restore_arguments(const InspectRestore *restore,
                          const Inspection *inspection)
{
  gsize len;
  const char *text = g_bytes_get_data(inspection->body, &len);

  return g_string_free_to_bytes(
      restorations_apply(restore->restorations, text, len, true));
}

/* A field that is nothing but a restored mask is not masked for its name where
 * the rule that names it says "restore: tools". */
static GArray *
spans_left(const Inspection *inspection,
           const GArray *mask_spans,
           const GArray *restorations)
{
  g_autoptr(GHashTable) maps = span_maps_new();
  GArray *left = g_array_new(FALSE, FALSE, sizeof(MaskSpan));

  for (guint i = 0; i < mask_spans->len; i++) {
    const MaskSpan *span = &g_array_index(mask_spans, MaskSpan, i);
    size_t start = span->start, end = span->end;

    if (span->restore == RESTORE_TOOLS && strcmp(span->rule_id, "field") == 0) {
      span_lead_back(inspection, span->field, &start, &end, maps);
      if (restorations_cover(restorations, start, end))
        continue;
    }
    g_array_append_val(left, *span);
  }
  return left;
}

GBytes *
inspection_rewrite_restored(const Inspection *inspection,
                            Masker *masker,
                            const GArray *mask_spans,
                            const InspectRestore *restore,
                            GError **error)
{
  g_autoptr(GArray) left =
      spans_left(inspection, mask_spans, restore->restorations);

  return rewrite(inspection, masker, NULL, left, restore->restorations, error);
}
