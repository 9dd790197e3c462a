/* SPDX-License-Identifier: Apache-2.0 */
/* Leads spans of decoded texts back through their decodings. */
#include "inspect/spans.h"

#include <string.h>

/* Raw offsets of one field's text, made when first asked for. */
static const guint32 *
map_of(const Inspection *inspection, unsigned field, GHashTable *maps)
{
  const FieldPlace *place =
      &g_array_index(inspection->places, FieldPlace, field);
  GArray *map = g_hash_table_lookup(maps, GUINT_TO_POINTER(field));
  const char *raw;
  GString *out;

  if (map != NULL)
    return (const guint32 *)(void *)map->data;
  raw = place->parent == NO_FIELD
            ? g_bytes_get_data(inspection->body, NULL)
            : inspection->arena.bytes +
                  g_array_index(inspection->places, FieldPlace, place->parent)
                      .text;
  map = g_array_new(FALSE, FALSE, sizeof(guint32));
  out = g_string_new(NULL);
  if (place->encoding == ENCODED_JSON) {
    const JsonToken token = {.type = JSON_STRING,
                             .start = place->start - 1,
                             .end = place->end + 1,
                             .escaped = true};

    json_unescape_mapped(raw, &token, out, map);
    for (guint i = 0; i < map->len; i++)
      g_array_index(map, guint32, i)--; /* relative to the text's start */
  } else {
    size_t (*decode)(const char *, size_t, char *, guint32 *) =
        place->encoding == ENCODED_LOOSE ? loose_decode : form_decode;

    g_array_set_size(map, (guint)(place->end - place->start + 1));
    g_string_set_size(out, place->end - place->start + 1);
    decode(raw + place->start,
           place->end - place->start,
           out->str,
           (guint32 *)(void *)map->data);
  }
  secret_wipe(out->str, out->len);
  g_string_free(out, TRUE);
  g_hash_table_insert(maps, GUINT_TO_POINTER(field), map);
  return (const guint32 *)(void *)map->data;
}

static bool
is_continuation(char c)
{
  return ((uint8_t)c & 0xc0) == 0x80;
}

/* From a field's text to the bytes that it was decoded from. */
static void
lead_up(const Inspection *inspection,
        unsigned field,
        size_t *start,
        size_t *end,
        GHashTable *maps)
{
  const FieldPlace *place =
      &g_array_index(inspection->places, FieldPlace, field);
  const InspectField *at =
      &g_array_index(inspection->fields, InspectField, field);

  if (place->number) {
    *start = 0; /* half a number cannot be masked */
    *end = at->len;
  }
  while (*start > 0 && is_continuation(at->text[*start]))
    (*start)--;
  while (*end < at->len && is_continuation(at->text[*end]))
    (*end)++;
  if (!place->verbatim) {
    const guint32 *map = map_of(inspection, field, maps);

    *start = map[*start];
    *end = map[*end];
  }
  *start += place->start;
  *end += place->start;
}

void
span_quote_number(const Inspection *inspection, unsigned field, GString *mask)
{
  const FieldPlace *place =
      &g_array_index(inspection->places, FieldPlace, field);

  if (!place->number)
    return;
  g_string_prepend_c(mask, '"');
  g_string_append_c(mask, '"');
  for (field = place->parent; field != NO_FIELD; field = place->parent) {
    g_autofree char *raw = g_strdup(mask->str);

    place = &g_array_index(inspection->places, FieldPlace, field);
    if (place->encoding != ENCODED_JSON)
      continue;
    g_string_truncate(mask, 0);
    json_escape(mask, raw, -1);
  }
}

GHashTable *
span_maps_new(void)
{
  return g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_array_unref);
}

void
span_lead_back(const Inspection *inspection,
               unsigned field,
               size_t *start,
               size_t *end,
               GHashTable *maps)
{
  while (field != NO_FIELD) {
    lead_up(inspection, field, start, end, maps);
    field = g_array_index(inspection->places, FieldPlace, field).parent;
  }
}

/* The first finding of a field that begins at `start` or later. */
static guint
first_finding(const Inspection *inspection, unsigned field, size_t start)
{
  guint low = 0, high = inspection->findings->len;

  while (low < high) {
    const guint middle = low + (high - low) / 2;
    const Finding *at = &g_array_index(inspection->findings, Finding, middle);

    if (at->field < field || (at->field == field && at->start < start))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The finding in the parent's text that says the same, or -1. */
static int
same_in_parent(const Inspection *inspection, guint index, GHashTable *maps)
{
  const Finding *inner = &g_array_index(inspection->findings, Finding, index);
  const unsigned parent =
      g_array_index(inspection->places, FieldPlace, inner->field).parent;
  size_t start = inner->start, end = inner->end;

  if (parent == NO_FIELD)
    return -1;
  lead_up(inspection, inner->field, &start, &end, maps);
  for (guint i = first_finding(inspection, parent, start);
       i < inspection->findings->len;
       i++) {
    const Finding *outer = &g_array_index(inspection->findings, Finding, i);

    if (outer->field != parent || outer->start >= end)
      break;
    if (outer->rule == inner->rule && outer->end <= end)
      return (int)i;
  }
  return -1;
}

void
findings_drop_outer(Inspection *inspection)
{
  g_autoptr(GHashTable) maps = span_maps_new();
  g_autofree bool *drop = g_new0(bool, inspection->findings->len + 1);
  guint n = 0;

  for (guint i = 0; i < inspection->findings->len; i++) {
    const int outer = same_in_parent(inspection, i, maps);

    if (outer >= 0)
      drop[outer] = true;
  }
  for (guint i = 0; i < inspection->findings->len; i++)
    if (!drop[i])
      g_array_index(inspection->findings, Finding, n++) =
          g_array_index(inspection->findings, Finding, i);
  g_array_set_size(inspection->findings, n);
}

void
inspection_body_spans(const Inspection *inspection, BodySpan *spans)
{
  g_autoptr(GHashTable) maps = span_maps_new();

  for (guint i = 0; i < inspection->findings->len; i++) {
    const Finding *finding = &g_array_index(inspection->findings, Finding, i);

    spans[i] = (BodySpan){finding->start, finding->end};
    span_lead_back(
        inspection, finding->field, &spans[i].start, &spans[i].end, maps);
  }
}

void
inspection_outer_spans(const Inspection *inspection,
                       OuterSpan *spans,
                       unsigned n)
{
  g_autoptr(GHashTable) maps = span_maps_new();

  for (unsigned i = 0; i < n; i++) {
    OuterSpan *span = &spans[i];
    unsigned above;

    while ((above = g_array_index(inspection->places, FieldPlace, span->field)
                        .parent) != NO_FIELD) {
      lead_up(inspection, span->field, &span->start, &span->end, maps);
      span->field = above;
    }
  }
}
