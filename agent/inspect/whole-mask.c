/* SPDX-License-Identifier: Apache-2.0 */
/* Masks a text that is complete, the JSON in it decoded: tool arguments, and
 * leaves of events that are not text. */
#include "inspect/restore.h"
#include "inspect/spans.h"

#include <string.h>

typedef struct {
  size_t start, end; /* of the text itself */
  unsigned field;    /* where the value stands decoded */
  size_t value_start, value_end;
  const char *rule_id;
} Span;

static int
compare_spans(const void *a, const void *b)
{
  const Span *x = a, *y = b;

  if (x->start != y->start)
    return x->start < y->start ? -1 : 1;
  return x->end > y->end ? -1 : x->end < y->end;
}

static bool
is_named(char *const *names, const InspectField *field)
{
  if (names == NULL || field->is_key || field->len == 0)
    return false;
  for (unsigned i = 0; names[i] != NULL; i++)
    if (g_ascii_strcasecmp(field->key, names[i]) == 0)
      return true;
  return false;
}

/* The field is nothing but a restored mask, and the rule that names it lets it
 * be. */
static bool
stays_restored(const StreamPlan *plan,
               const Inspection *inspection,
               unsigned field,
               const InspectField *at,
               const GArray *restorations,
               GHashTable *maps)
{
  size_t start = 0, end = at->len;

  if (restorations == NULL || !is_named(plan->keep_fields, at))
    return false;
  span_lead_back(inspection, field, &start, &end, maps);
  return restorations_cover(restorations, start, end);
}

static void
add_span(const Inspection *inspection,
         GArray *spans,
         GHashTable *maps,
         unsigned field,
         size_t start,
         size_t end,
         const char *rule_id)
{
  Span span = {start, end, field, start, end, rule_id};

  span_lead_back(inspection, field, &span.start, &span.end, maps);
  g_array_append_val(spans, span);
}

static bool
collect(MaskContext *context,
        unsigned choice,
        bool arguments,
        const Inspection *inspection,
        const GArray *restorations,
        GArray *spans,
        GError **error)
{
  g_autoptr(GHashTable) maps = span_maps_new();
  unsigned n_findings, n_fields;
  const Finding *findings = inspection_findings(inspection, &n_findings);
  const InspectField *fields = inspection_fields(inspection, &n_fields);

  for (unsigned i = 0; i < n_findings; i++) {
    const Finding *at = &findings[i];
    Action action;

    if (!mask_context_note(context,
                           at,
                           choice,
                           fields[at->field].text + at->start,
                           at->end - at->start,
                           error))
      return false;
    action = mask_context_noted_action(context, at->rule);
    if (action == ACTION_ALLOW)
      continue;
    context->blocked = context->blocked || action == ACTION_BLOCK;
    add_span(
        inspection, spans, maps, at->field, at->start, at->end, at->rule->id);
  }
  for (unsigned i = 0; arguments && i < n_fields; i++)
    if (is_named(context->plan->mask_fields, &fields[i]) &&
        !stays_restored(
            context->plan, inspection, i, &fields[i], restorations, maps))
      add_span(inspection, spans, maps, i, 0, fields[i].len, "field");
  return true;
}

static void
add_edits(MaskContext *context,
          const Inspection *inspection,
          GArray *spans,
          GArray *edits)
{
  unsigned n;
  const InspectField *fields = inspection_fields(inspection, &n);

  if (spans->len == 0)
    return; /* an array that was never filled has no data to sort */
  qsort(spans->data, spans->len, sizeof(Span), compare_spans);
  for (guint i = 0; i < spans->len;) {
    Span merged = g_array_index(spans, Span, i);
    GString *mask = g_string_new(NULL);
    TextEdit edit;

    for (i++; i < spans->len; i++) {
      const Span *next = &g_array_index(spans, Span, i);

      if (next->start >= merged.end)
        break;
      merged.end = MAX(merged.end, next->end);
    }
    masker_mask(context->masker,
                NULL, /* what an answer said stays hidden */
                merged.rule_id,
                fields[merged.field].text + merged.value_start,
                merged.value_end - merged.value_start,
                mask);
    span_quote_number(inspection, merged.field, mask);
    edit = (TextEdit){.start = merged.start, .end = merged.end};
    edit.text = g_string_free(mask, FALSE);
    g_array_append_val(edits, edit);
    mask_context_count(context, merged.rule_id);
  }
}

static int
compare_edits(const void *a, const void *b)
{
  const TextEdit *x = a, *y = b;

  return x->start < y->start ? -1 : x->start > y->start;
}

/* What is restored is read again with all that stands around it; what policy
 * masks of it stays the mask that it is. */
static bool
restore_arguments(MaskContext *context,
                  unsigned choice,
                  const Inspection *inspection,
                  GArray *restorations,
                  const char *text,
                  guint first,
                  GArray *edits,
                  GError **error)
{
  for (guint i = first; i < edits->len; i++) {
    const TextEdit *edit = &g_array_index(edits, TextEdit, i);

    restorations_cut(restorations, edit->start, edit->end);
  }
  if (restorations->len == 0)
    return true;
  if (!restorations_judge(restorations,
                          inspection,
                          context->scratch,
                          context->plan,
                          context,
                          choice,
                          &context->blocked,
                          error))
    return false;
  for (guint i = 0; i < restorations->len; i++) {
    const Restoration *at = &g_array_index(restorations, Restoration, i);
    const TextEdit edit = {
        .start = at->start,
        .end = at->end,
        .text = g_strdup(at->value),
        .record = g_strndup(text + at->start, at->end - at->start)};

    g_array_append_val(edits, edit);
  }
  if (edits->len > first + 1)
    qsort(&g_array_index(edits, TextEdit, first),
          edits->len - first,
          sizeof(TextEdit),
          compare_edits);
  return true;
}

/* The text as UTF-8 without NULs, byte for byte as long: halves of surrogate
 * pairs become U+FFFD, and no rule's secret holds either. */
static GBytes *
readable(const char *text, size_t len)
{
  char *copy = g_memdup2(text, len);

  for (size_t i = 0; i < len; i++) {
    if (copy[i] == '\0')
      copy[i] = '\n';
    if (len - i >= 3 && (uint8_t)copy[i] == 0xed &&
        (uint8_t)copy[i + 1] >= 0xa0)
      memcpy(copy + i, "\xef\xbf\xbd", 3);
  }
  return g_bytes_new_with_free_func(copy, len, g_free, copy);
}

static bool
mask_text(MaskContext *context,
          unsigned choice,
          bool arguments,
          bool restores,
          const char *text,
          size_t len,
          GArray *edits,
          GError **error)
{
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(Span));
  g_autoptr(Inspection) inspection = NULL;
  g_autoptr(GArray) restorations = NULL;
  const guint first = edits->len;

  if (len == 0)
    return true;
  bytes = readable(text, len);
  inspection = inspection_new(context->scratch,
                              API_OTHER,
                              DIRECTION_REQUEST,
                              "text/plain",
                              bytes,
                              NULL,
                              error);
  if (inspection == NULL)
    return false;
  if (restores)
    restorations = restorations_find(inspection,
                                     context->masker,
                                     context->scope,
                                     RESTORE_TOOLS,
                                     true,
                                     &context->restored,
                                     error);
  if (restores && restorations == NULL)
    return false;
  if (!collect(
          context, choice, arguments, inspection, restorations, spans, error))
    return false;
  add_edits(context, inspection, spans, edits);
  return restorations == NULL || restore_arguments(context,
                                                   choice,
                                                   inspection,
                                                   restorations,
                                                   text,
                                                   first,
                                                   edits,
                                                   error);
}

bool
whole_mask(MaskContext *context,
           unsigned choice,
           bool arguments,
           bool restores,
           const char *text,
           size_t len,
           GArray *edits,
           GError **error)
{
  bool good;

  context->in_call = arguments;
  good =
      mask_text(context, choice, arguments, restores, text, len, edits, error);
  context->in_call = false;
  return good;
}
