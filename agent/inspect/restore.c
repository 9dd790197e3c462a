/* SPDX-License-Identifier: Apache-2.0 */
/* Masks that a model repeats become the values again that they stood for, where
 * policy lets them and this conversation issued them. */
#include "inspect/restore.h"
#include "inspect/spans.h"

#include <string.h>

/* What stands in the place of masks in one answer, in bytes; all of it is held
 * until the answer's end. A mask of 30 bytes may stand for 16 KiB. */
#define RESTORED_MAX ((size_t)8 * 1024 * 1024)
/* What one costs beside its value. */
#define RESTORED_COST 128

/* "[" + rule id + ":" + tag + "]". */
#define MASK_ID_MAX 48
#define MASK_TAG_MIN 12
#define MASK_TAG_MAX 48

/* The length of a mask's form at the start of `text`, or 0. */
static size_t
mask_length(const char *text, size_t len)
{
  size_t at = 1, tag;

  while (at < len && at <= MASK_ID_MAX &&
         (g_ascii_islower(text[at]) || g_ascii_isdigit(text[at]) ||
          text[at] == '-'))
    at++;
  if (at == 1 || at >= len || text[at] != ':')
    return 0;
  tag = ++at;
  while (at < len && at - tag <= MASK_TAG_MAX &&
         (g_ascii_islower(text[at]) || (text[at] >= '2' && text[at] <= '7')))
    at++;
  if (at - tag < MASK_TAG_MIN || at >= len || text[at] != ']')
    return 0;
  return at + 1;
}

static bool
is_covered(const GArray *edits, guint first, size_t start, size_t end)
{
  for (guint i = first; i < edits->len; i++) {
    const TextEdit *edit = &g_array_index(edits, TextEdit, i);

    if (edit->start < end && edit->end > start)
      return true;
  }
  return false;
}

/* Counts a value; false beyond the limit. */
static bool
count_restored(size_t *restored, size_t len, GError **error)
{
  *restored += len + RESTORED_COST;
  if (*restored <= RESTORED_MAX)
    return true;
  g_set_error_literal(error,
                      INSPECT_ERROR,
                      INSPECT_ERROR_LIMIT,
                      "more masks in one answer than may be undone");
  return false;
}

static int
compare_edits(const void *a, const void *b)
{
  const TextEdit *x = a, *y = b;

  return x->start < y->start ? -1 : x->start > y->start;
}

bool
restore_edits(MaskContext *context,
              const TextView *view,
              size_t from,
              size_t to,
              guint first,
              GArray *edits,
              GError **error)
{
  const char *text = view->bytes;
  bool added = false, good = true;

  if (context->scope == NULL)
    return true;
  while (good && from < to) {
    const char *open = memchr(text + (from - view->start), '[', to - from);
    TextEdit edit;
    GString *value;
    size_t len;

    if (open == NULL)
      break;
    from = view->start + (size_t)(open - text);
    len = mask_length(open, to - from);
    if (len == 0 || is_covered(edits, first, from, from + len)) {
      from++;
      continue;
    }
    value = g_string_new(NULL);
    if (masker_restore(
            context->masker, context->scope, RESTORE_TEXT, open, len, value)) {
      edit = (TextEdit){.start = from,
                        .end = from + len,
                        .text = g_strdup(value->str),
                        .record = g_strndup(open, len)};
      g_array_append_val(edits, edit);
      added = true;
      good = count_restored(&context->restored, value->len, error);
    }
    secret_wipe(value->str, value->allocated_len);
    g_string_free(value, TRUE);
    from += len;
  }
  if (added)
    qsort(&g_array_index(edits, TextEdit, first),
          edits->len - first,
          sizeof(TextEdit),
          compare_edits);
  return good;
}

/* ---- Whole texts ------------------------------------------------------- */

/* Masks of one body; a model repeats a few, and each is compared with all. */
#define MAX_RESTORATIONS 2000

static void
restoration_clear(gpointer data)
{
  Restoration *restoration = data;

  secret_wipe(restoration->value, strlen(restoration->value));
  g_free(restoration->value);
}

void
restorations_free(GArray *restorations)
{
  if (restorations != NULL)
    g_array_unref(restorations);
}

static int
compare_restorations(const void *a, const void *b)
{
  const Restoration *x = a, *y = b;

  return x->start < y->start ? -1 : x->start > y->start;
}

static const FieldPlace *
place_at(const Inspection *inspection, unsigned field)
{
  return &g_array_index(inspection->places, FieldPlace, field);
}

/* How far masks may be undone in a field: its outermost text's role says. */
static Restore
level_of(const Inspection *inspection, unsigned field, bool arguments)
{
  const InspectField *outer;
  const FieldPlace *place = place_at(inspection, field);

  for (; place->parent != NO_FIELD;
       place = place_at(inspection, place->parent)) {
    if (place->encoding != ENCODED_JSON)
      return RESTORE_NONE; /* it cannot be written again from here */
    field = place->parent;
  }
  outer = &g_array_index(inspection->fields, InspectField, field);
  if (arguments || outer->role == FIELD_TOOL_ARGUMENTS)
    return RESTORE_TOOLS;
  if (outer->is_key || place->encoding == ENCODED_FORM)
    return RESTORE_NONE;
  return outer->role == FIELD_ASSISTANT || place->encoding == ENCODED_NOT
             ? RESTORE_TEXT
             : RESTORE_NONE;
}

static void
escape_once(GString *value)
{
  GString *escaped = g_string_new(NULL);

  json_escape(escaped, value->str, (gssize)value->len);
  g_string_assign(value, escaped->str);
  secret_wipe(escaped->str, escaped->allocated_len);
  g_string_free(escaped, TRUE);
}

/* The value as it stands in the body's bytes. */
static void
escape_value(const Inspection *inspection,
             unsigned field,
             bool argument,
             bool decoded,
             GString *value)
{
  const InspectField *at =
      &g_array_index(inspection->fields, InspectField, field);

  /* JSON that was not taken apart: its texts are escaped all the same. */
  if (argument && !decoded && (at->text[0] == '{' || at->text[0] == '['))
    escape_once(value);
  for (unsigned i = field; i != NO_FIELD; i = place_at(inspection, i)->parent)
    if (place_at(inspection, i)->encoding == ENCODED_JSON)
      escape_once(value);
}

static bool
touches(const GArray *restorations, size_t start, size_t end)
{
  for (guint i = 0; i < restorations->len; i++) {
    const Restoration *at = &g_array_index(restorations, Restoration, i);

    if (at->start < end && at->end > start)
      return true;
  }
  return false;
}

typedef struct {
  const Inspection *inspection;
  Masker *masker;
  const char *scope;
  GHashTable *maps;
  GArray *found;
  size_t *restored; /* bytes */
} Search;

static bool
search_field(Search *search,
             unsigned field,
             Restore level,
             bool decoded,
             GError **error)
{
  const InspectField *at =
      &g_array_index(search->inspection->fields, InspectField, field);
  size_t from = 0;

  while (from < at->len) {
    const char *open = memchr(at->text + from, '[', at->len - from);
    Restoration fresh = {.argument = level == RESTORE_TOOLS};
    g_autoptr(GString) value = NULL;
    size_t len;

    if (open == NULL)
      return true;
    from = (size_t)(open - at->text);
    len = mask_length(open, at->len - from);
    if (len == 0) {
      from++;
      continue;
    }
    fresh.start = from;
    fresh.end = from + len;
    from += len;
    span_lead_back(
        search->inspection, field, &fresh.start, &fresh.end, search->maps);
    if (touches(search->found, fresh.start, fresh.end))
      continue;
    value = g_string_new(NULL);
    if (!masker_restore(search->masker, search->scope, level, open, len, value))
      continue;
    escape_value(search->inspection, field, fresh.argument, decoded, value);
    fresh.value = g_strdup(value->str);
    secret_wipe(value->str, value->allocated_len);
    g_array_append_val(search->found, fresh);
    if (!count_restored(search->restored,
                        search->found->len > MAX_RESTORATIONS ? RESTORED_MAX
                                                              : value->len,
                        error))
      return false;
  }
  return true;
}

GArray *
restorations_find(const Inspection *inspection,
                  Masker *masker,
                  const char *scope,
                  Restore restore,
                  bool arguments,
                  size_t *restored,
                  GError **error)
{
  g_autoptr(GHashTable) maps = span_maps_new();
  Search search = {inspection, masker, scope, maps, NULL, restored};
  const guint n = inspection->fields->len;
  g_autofree bool *decoded = g_new0(bool, n + 1);

  search.found = g_array_new(FALSE, FALSE, sizeof(Restoration));
  g_array_set_clear_func(search.found, restoration_clear);
  if (restore == RESTORE_NONE || scope == NULL)
    return search.found;
  /* Texts inside texts come behind them: the innermost first. */
  for (guint i = n; i-- > 0;) {
    const Restore level = level_of(inspection, i, arguments);

    if (place_at(inspection, i)->encoding == ENCODED_JSON &&
        place_at(inspection, i)->parent != NO_FIELD)
      decoded[place_at(inspection, i)->parent] = true;
    if (level != RESTORE_NONE && level <= restore &&
        !g_array_index(inspection->fields, InspectField, i).is_key &&
        !search_field(&search, i, level, decoded[i], error)) {
      restorations_free(search.found);
      return NULL;
    }
  }
  if (search.found->len > 1)
    g_array_sort(search.found, compare_restorations);
  return search.found;
}

void
restorations_cut(GArray *restorations, size_t start, size_t end)
{
  for (guint i = restorations->len; i-- > 0;) {
    const Restoration *at = &g_array_index(restorations, Restoration, i);

    if (at->start < end && at->end > start)
      g_array_remove_index(restorations, i);
  }
}

bool
restorations_cover(const GArray *restorations, size_t start, size_t end)
{
  for (guint i = 0; i < restorations->len; i++) {
    const Restoration *at = &g_array_index(restorations, Restoration, i);

    if (at->start == start && at->end == end)
      return true;
  }
  return false;
}

GString *
restorations_apply(const GArray *restorations,
                   const char *text,
                   size_t len,
                   bool only_arguments)
{
  GString *out = g_string_sized_new(len + 64);
  size_t done = 0;

  for (guint i = 0; i < restorations->len; i++) {
    const Restoration *at = &g_array_index(restorations, Restoration, i);

    if (only_arguments && !at->argument)
      continue;
    g_string_append_len(out, text + done, (gssize)(at->start - done));
    g_string_append(out, at->value);
    done = at->end;
  }
  g_string_append_len(out, text + done, (gssize)(len - done));
  return out;
}

/* ---- Judged again ------------------------------------------------------ */

/* The restored argument whose value touches [start, end) of the body that was
 * restored; NULL: none. */
static Restoration *
restored_at(GArray *restorations, size_t start, size_t end, gssize *moved)
{
  *moved = 0;
  for (guint i = 0; i < restorations->len; i++) {
    Restoration *at = &g_array_index(restorations, Restoration, i);
    const size_t size = strlen(at->value);
    const size_t from = (size_t)((gssize)at->start + *moved);

    if (!at->argument)
      continue;
    if (from < end && from + size > start)
      return at;
    *moved += (gssize)size - (gssize)(at->end - at->start);
  }
  return NULL;
}

static Action
action_again(const StreamPlan *plan, const DetectorRule *rule)
{
  const Action *actions =
      plan->by_restored != NULL ? plan->by_restored : plan->by_rule;

  return rule->index < plan->n_rules ? actions[rule->index] : ACTION_ALLOW;
}

bool
restorations_judge(GArray *restorations,
                   const Inspection *inspection,
                   DetectorScratch *scratch,
                   const StreamPlan *plan,
                   MaskContext *context,
                   unsigned choice,
                   bool *blocked,
                   GError **error)
{
  g_autoptr(GHashTable) maps = span_maps_new();
  g_autoptr(Inspection) again = NULL;
  g_autoptr(GBytes) body = NULL;
  g_autofree bool *masked = g_new0(bool, restorations->len + 1);
  gsize len;
  const char *text = g_bytes_get_data(inspection->body, &len);

  body =
      g_string_free_to_bytes(restorations_apply(restorations, text, len, true));
  again = inspection_again(scratch, inspection, body, error);
  if (again == NULL)
    return false;
  for (guint i = 0; i < again->findings->len; i++) {
    const Finding *at = &g_array_index(again->findings, Finding, i);
    const Action action = action_again(plan, at->rule);
    const char *value =
        g_array_index(again->fields, InspectField, at->field).text + at->start;
    size_t start = at->start, end = at->end;
    Restoration *restoration;
    gssize moved;

    if (action == ACTION_ALLOW)
      continue;
    span_lead_back(again, at->field, &start, &end, maps);
    restoration = restored_at(restorations, start, end, &moved);
    if (restoration == NULL)
      continue;
    if (context != NULL &&
        !mask_context_note(
            context, at, choice, value, at->end - at->start, error))
      return false;
    *blocked = *blocked || action == ACTION_BLOCK;
    /* It may reach over several. */
    for (; restoration != NULL;
         restoration = restored_at(restorations, start, end, &moved)) {
      const guint index =
          (guint)(restoration - &g_array_index(restorations, Restoration, 0));
      const size_t from = (size_t)((gssize)restoration->start + moved);

      masked[index] = true;
      start = from + strlen(restoration->value);
      if (start >= end)
        break;
    }
  }
  for (guint i = restorations->len; i-- > 0;)
    if (masked[i])
      g_array_remove_index(restorations, i);
  return true;
}
