/* SPDX-License-Identifier: Apache-2.0 */
/* Masks a text that is complete, the JSON in it decoded: tool arguments, and
 * leaves of events that are not text. */
#include "inspect/spans.h"
#include "inspect/text-field.h"

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
is_named(const StreamPlan *plan, const InspectField *field)
{
  if (plan->mask_fields == NULL || field->is_key || field->len == 0)
    return false;
  for (unsigned i = 0; plan->mask_fields[i] != NULL; i++)
    if (g_ascii_strcasecmp(field->key, plan->mask_fields[i]) == 0)
      return true;
  return false;
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
        GArray *spans,
        GError **error)
{
  g_autoptr(GHashTable) maps = span_maps_new();
  unsigned n_findings, n_fields;
  const Finding *findings = inspection_findings(inspection, &n_findings);
  const InspectField *fields = inspection_fields(inspection, &n_fields);

  for (unsigned i = 0; i < n_findings; i++) {
    const Finding *at = &findings[i];
    const Action action = mask_context_action(context, at->rule);

    if (!mask_context_note(context,
                           at,
                           choice,
                           fields[at->field].text + at->start,
                           at->end - at->start,
                           error))
      return false;
    if (action == ACTION_ALLOW)
      continue;
    context->blocked = context->blocked || action == ACTION_BLOCK;
    add_span(
        inspection, spans, maps, at->field, at->start, at->end, at->rule->id);
  }
  for (unsigned i = 0; arguments && i < n_fields; i++)
    if (is_named(context->plan, &fields[i]))
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
                context->scope,
                merged.rule_id,
                fields[merged.field].text + merged.value_start,
                merged.value_end - merged.value_start,
                mask);
    edit = (TextEdit){.start = merged.start, .end = merged.end};
    edit.text = g_string_free(mask, FALSE);
    g_array_append_val(edits, edit);
  }
}

/* Restored values stand inside strings of the arguments' JSON. */
static void
escape_restored(GArray *edits, guint first)
{
  for (guint i = first; i < edits->len; i++) {
    TextEdit *edit = &g_array_index(edits, TextEdit, i);
    GString *escaped;

    if (edit->record == NULL)
      continue;
    escaped = g_string_new(NULL);
    json_escape(escaped, edit->text, -1);
    secret_wipe(edit->text, strlen(edit->text));
    g_free(edit->text);
    edit->text = g_string_free(escaped, FALSE);
  }
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
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(Span));
  g_autoptr(Inspection) inspection = NULL;
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
  if (inspection == NULL ||
      !collect(context, choice, arguments, inspection, spans, error))
    return false;
  add_edits(context, inspection, spans, edits);
  if (restores) {
    const TextView view = {
        .bytes = text, .start = 0, .end = len, .final = true};

    restore_edits(context, &view, 0, len, first, edits);
    if (arguments && len > 0 && (text[0] == '{' || text[0] == '['))
      escape_restored(edits, first);
  }
  return true;
}
