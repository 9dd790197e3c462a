/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a stream: their leaves scanned when they come, their bytes written
 * when they go, unchanged but for the strings that must be. */
#include "inspect/body.h"
#include "inspect/filter.h"

#include <string.h>

/* Spare events that are kept for reuse. */
#define MAX_SPARE 64

FilterEvent *
event_new(ResponseFilter *filter)
{
  FilterEvent *event;

  if (filter->spare->len > 0)
    return g_ptr_array_steal_index_fast(filter->spare, filter->spare->len - 1);
  event = g_new0(FilterEvent, 1);
  event->raw = g_string_sized_new(512);
  event->joined = g_string_new(NULL);
  event->lines = g_array_new(FALSE, FALSE, sizeof(SseLine));
  event->slots = g_array_new(FALSE, FALSE, sizeof(Slot));
  event->shadows = g_array_new(FALSE, FALSE, sizeof(Shadow));
  event->calls = g_array_new(FALSE, FALSE, sizeof(unsigned));
  edits_init(&event->edits);
  event->number = -1;
  return event;
}

void
event_free(FilterEvent *event)
{
  if (event == NULL)
    return;
  secret_wipe(event->raw->str, event->raw->allocated_len);
  secret_wipe(event->joined->str, event->joined->allocated_len);
  g_string_free(event->raw, TRUE);
  g_string_free(event->joined, TRUE);
  g_array_unref(event->lines);
  g_array_unref(event->slots);
  g_array_unref(event->shadows);
  g_array_unref(event->calls);
  edits_clear(&event->edits);
  g_free(event);
}

void
event_recycle(ResponseFilter *filter, FilterEvent *event)
{
  if (filter->spare->len >= MAX_SPARE ||
      event->raw->allocated_len > 64 * (gsize)1024) {
    event_free(event);
    return;
  }
  g_string_truncate(event->raw, 0);
  g_string_truncate(event->joined, 0);
  g_array_set_size(event->lines, 0);
  g_array_set_size(event->slots, 0);
  g_array_set_size(event->shadows, 0);
  g_array_set_size(event->calls, 0);
  edits_reset(&event->edits);
  event->is_joined = false;
  event->flags = 0;
  event->tag = 0;
  event->index = 0;
  event->data = 0;
  event->data_end = 0;
  event->number = -1;
  g_ptr_array_add(filter->spare, event);
}

FilterEvent *
event_clone(ResponseFilter *filter, const FilterEvent *event, const Slot *slot)
{
  FilterEvent *clone = event_new(filter);

  g_string_append_len(clone->raw, event->raw->str, (gssize)event->raw->len);
  g_string_append_len(
      clone->joined, event->joined->str, (gssize)event->joined->len);
  g_array_append_vals(clone->lines, event->lines->data, event->lines->len);
  g_array_append_vals(
      clone->shadows, event->shadows->data, event->shadows->len);
  clone->is_joined = event->is_joined;
  clone->data = event->data;
  clone->data_end = event->data_end;
  clone->tag = event->tag;
  clone->index = event->index;
  clone->number = event->number;
  clone->number_start = event->number_start;
  clone->number_end = event->number_end;
  clone->flags = EVENT_FLUSH;
  g_array_append_val(clone->slots, *slot);
  for (guint i = 0; i < event->edits.edits->len; i++) {
    const Edit *edit = &g_array_index(event->edits.edits, Edit, i);

    edits_add(&clone->edits,
              edit->start,
              edit->end,
              event->edits.texts->str + edit->text,
              edit->len);
  }
  return clone;
}

/* ---- Reading ----------------------------------------------------------- */

static void
add_leaf(ResponseFilter *filter, const char *text, size_t len, uint32_t node)
{
  const size_t start = filter->leaves->len;

  g_string_append_len(filter->leaves, text, (gssize)len);
  g_string_append_len(filter->leaves, "\n\n", 2);
  g_array_append_val(filter->leaf_starts, start);
  g_array_append_val(filter->leaf_lens, len);
  g_array_append_val(filter->leaf_nodes, node);
}

static size_t
shortest(const ResponseFilter *filter)
{
  return filter->context.scratch->detector->shortest;
}

static void
add_token_leaf(ResponseFilter *filter,
               const char *payload,
               size_t start,
               size_t end,
               bool escaped,
               uint32_t node)
{
  if (end - start < shortest(filter) + 2)
    return;
  if (!escaped) {
    add_leaf(filter, payload + start + 1, end - start - 2, node);
    return;
  }
  g_string_truncate(filter->decoded, 0);
  string_decode(payload + start + 1, end - start - 2, filter->decoded);
  add_leaf(filter, filter->decoded->str, filter->decoded->len, node);
}

/* Leaf numbers: strings by node; names and lines have a bit of their own. */
#define LEAF_NAME 0x40000000U
#define LEAF_LINE 0x80000000U

/* Arguments that are an object are read as one text. */
static bool
is_in_object(const FilterEvent *event, const DomNode *node)
{
  for (guint i = 0; i < event->slots->len; i++) {
    const Slot *slot = &g_array_index(event->slots, Slot, i);

    if (slot->kind == SLOT_RAW && node->start > slot->start &&
        node->end <= slot->end)
      return true;
  }
  return false;
}

static void
collect_leaves(ResponseFilter *filter, const FilterEvent *event, bool is_json)
{
  const Dom *dom = &filter->dom;

  g_string_truncate(filter->leaves, 0);
  g_array_set_size(filter->leaf_starts, 0);
  g_array_set_size(filter->leaf_lens, 0);
  g_array_set_size(filter->leaf_nodes, 0);
  for (guint i = 0; is_json && i < dom->nodes->len; i++) {
    const DomNode *node = dom_node(dom, i);

    if (is_in_object(event, node))
      continue;
    if (node->key_end != 0)
      add_token_leaf(filter,
                     dom->text,
                     node->key_start,
                     node->key_end,
                     node->key_escaped,
                     i | LEAF_NAME);
    if (node->type == JSON_STRING && !g_array_index(filter->covered, bool, i))
      add_token_leaf(
          filter, dom->text, node->start, node->end, node->escaped, i);
    if (node->type == JSON_NUMBER &&
        node->end - node->start >= NUMBER_FIELD_MIN)
      add_leaf(filter, dom->text + node->start, node->end - node->start, i);
  }
  for (guint i = 0; i < filter->lines->len; i++) {
    const SseLine *line = &g_array_index(filter->lines, SseLine, i);

    if (!line->is_data && line->end - line->start >= shortest(filter))
      add_leaf(filter,
               event->raw->str + line->start,
               line->end - line->start,
               i | LEAF_LINE);
  }
}

static bool
looks_like_json(const char *text, size_t len)
{
  return len >= 2 && ((text[0] == '{' && text[len - 1] == '}') ||
                      (text[0] == '[' && text[len - 1] == ']'));
}

/* In place of a number: half of one cannot be masked. */
static void
string_of_mask(GString *masked, const GArray *edits)
{
  g_string_printf(masked, "\"%s\"", g_array_index(edits, TextEdit, 0).text);
}

/* A leaf with findings is masked by itself: what it holds decoded, then
 * written again as the JSON string that it was. */
static bool
mask_leaf(ResponseFilter *filter,
          FilterEvent *event,
          guint leaf,
          GError **error)
{
  const size_t start = g_array_index(filter->leaf_starts, size_t, leaf);
  const size_t len = g_array_index(filter->leaf_lens, size_t, leaf);
  const unsigned id = g_array_index(filter->leaf_nodes, unsigned, leaf);
  const char *text = filter->leaves->str + start;
  g_autoptr(GArray) edits = g_array_new(FALSE, FALSE, sizeof(TextEdit));
  g_autoptr(GString) masked = NULL;
  size_t done = 0;
  bool good =
      whole_mask(&filter->context, 0, false, false, text, len, edits, error);

  if (good && edits->len > 0) {
    masked = g_string_new(NULL);
    for (guint i = 0; i < edits->len; i++) {
      const TextEdit *edit = &g_array_index(edits, TextEdit, i);

      string_encode(masked, text + done, edit->start - done);
      g_string_append(masked, edit->text);
      done = edit->end;
    }
    string_encode(masked, text + done, len - done);
    if ((id & LEAF_LINE) != 0) {
      const SseLine *line =
          &g_array_index(filter->lines, SseLine, id & ~LEAF_LINE);

      /* Beside the data nothing needs its bytes: the line becomes a comment. */
      memset(event->raw->str + line->start, ':', 1);
      memset(
          event->raw->str + line->start + 1, ' ', line->end - line->start - 1);
    } else {
      const DomNode *node =
          dom_node(&filter->dom, id & ~(LEAF_NAME | LEAF_LINE));
      const bool name = (id & LEAF_NAME) != 0;
      const size_t quote = !name && node->type == JSON_NUMBER ? 0 : 1;

      if (quote == 0)
        string_of_mask(masked, edits);

      edits_add(&event->edits,
                (name ? node->key_start : node->start) + quote,
                (name ? node->key_end : node->end) - quote,
                masked->str,
                masked->len);
    }
  }
  text_edits_free(g_steal_pointer(&edits));
  return good;
}

static bool
scan_leaves(ResponseFilter *filter, GArray *findings, GError **error)
{
  return scan_fields(filter->context.scratch,
                     filter->leaves->str,
                     filter->leaves->len,
                     (const size_t *)(void *)filter->leaf_starts->data,
                     (const size_t *)(void *)filter->leaf_lens->data,
                     filter->leaf_starts->len,
                     STREAM_MAX_FINDINGS,
                     findings,
                     error);
}

bool
event_scan_leaves(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  g_autoptr(GArray) findings = NULL;
  size_t len;
  const char *payload = event_payload(event, &len);
  const bool is_json = filter->dom.text == payload && len > 0;
  bool clean = true;

  collect_leaves(filter, event, is_json);
  /* Most events repeat id, model and object of the one before. */
  if (filter->leaf_starts->len == 0 ||
      (filter->seen_leaves->len == filter->leaves->len &&
       memcmp(filter->seen_leaves->str,
              filter->leaves->str,
              filter->leaves->len) == 0))
    return true;
  findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  if (!scan_leaves(filter, findings, error))
    return false;
  for (guint i = 0, at = 0; i < filter->leaf_starts->len; i++) {
    const size_t start = g_array_index(filter->leaf_starts, size_t, i);
    const size_t size = g_array_index(filter->leaf_lens, size_t, i);
    bool hit = looks_like_json(filter->leaves->str + start, size);

    for (;
         at < findings->len && g_array_index(findings, Finding, at).field <= i;
         at++)
      hit = hit || g_array_index(findings, Finding, at).field == i;
    if (!hit)
      continue;
    clean = false;
    if (!mask_leaf(filter, event, i, error))
      return false;
  }
  g_string_truncate(filter->seen_leaves, 0);
  if (clean)
    g_string_append_len(
        filter->seen_leaves, filter->leaves->str, (gssize)filter->leaves->len);
  return true;
}

/* ---- Writing ----------------------------------------------------------- */

void
append_bytes(Buf *out, Buf *record, const void *bytes, size_t len)
{
  /* One that was refused stays so: no pieces are left out in between. */
  if (out->refused || !buf_append(out, bytes, len))
    return;
  /* The record keeps as much as it is made for. */
  if (record != NULL && !record->refused && !buf_append(record, bytes, len))
    return;
}

void
write_event(const char *name, const char *data, Buf *out, Buf *record)
{
  g_autofree char *text =
      name != NULL ? g_strdup_printf("event: %s\ndata: %s\n\n", name, data)
                   : g_strdup_printf("data: %s\n\n", data);

  append_bytes(out, record, text, strlen(text));
}

static void
add_text_edit(Edits *edits, const Slot *slot, const GString *text)
{
  const Edit edit = {slot->start, slot->end, edits->texts->len, 0};

  if (slot->kind == SLOT_RAW)
    g_string_append_len(edits->texts, text->str, (gssize)text->len);
  else
    string_encode(edits->texts, text->str, text->len);
  g_array_append_val(edits->edits, edit);
  g_array_index(edits->edits, Edit, edits->edits->len - 1).len =
      edits->texts->len - edit.text;
}

/* A copy's text with its edits; false when it has none. */
static bool
copy_text(ResponseFilter *filter,
          const FilterEvent *event,
          const Slot *slot,
          GString *text,
          GString *plain)
{
  size_t size;
  const char *payload = event_payload(event, &size);

  g_string_truncate(filter->decoded, 0);
  string_decode(
      payload + slot->start, slot->end - slot->start, filter->decoded);
  text_field_copy(slot->field,
                  slot->from,
                  filter->decoded->str,
                  filter->decoded->len,
                  text,
                  plain);
  return !g_string_equal(text, filter->decoded);
}

/* Slots of a delta that must be written differently become edits; true when
 * any was. `record` gets the same with masks not restored. */
static bool
take_slots(ResponseFilter *filter,
           FilterEvent *event,
           Edits *edits,
           Edits *record,
           bool *restored)
{
  GString *text = filter->text, *plain = filter->plain_text;
  bool changed = false;

  for (guint i = 0; i < event->slots->len; i++) {
    const Slot *slot = &g_array_index(event->slots, Slot, i);
    TextField *field = slot->field;

    if (slot->kind != SLOT_COPY && field->emitted == slot->from &&
        !text_field_edited(field, slot->from, slot->to)) {
      field->emitted = slot->to;
      continue;
    }
    g_string_truncate(text, 0);
    g_string_truncate(plain, 0);
    if (slot->kind == SLOT_COPY) {
      if (!copy_text(filter, event, slot, text, plain))
        continue;
    } else {
      text_field_take(field, slot->to, text, plain);
    }
    changed = true;
    *restored = *restored || !g_string_equal(text, plain);
    add_text_edit(edits, slot, text);
    add_text_edit(record, slot, plain);
  }
  return changed;
}

/* The event's lines with another payload. */
static void
frame_event(const FilterEvent *event, const GString *payload, Buf *out)
{
  const char *raw = event->raw->str;

  if (!event->is_joined) {
    append_bytes(out, NULL, raw, event->data);
    append_bytes(out, NULL, payload->str, payload->len);
    append_bytes(
        out, NULL, raw + event->data_end, event->raw->len - event->data_end);
    return;
  }
  for (guint i = 0; i < event->lines->len; i++) {
    const SseLine *line = &g_array_index(event->lines, SseLine, i);

    if (line->is_data)
      continue;
    append_bytes(out, NULL, raw + line->start, line->end - line->start);
    append_bytes(out, NULL, "\n", 1);
  }
  for (size_t at = 0; at <= payload->len;) {
    const char *newline = memchr(payload->str + at, '\n', payload->len - at);
    const size_t end =
        newline != NULL ? (size_t)(newline - payload->str) : payload->len;

    append_bytes(out, NULL, "data: ", 6);
    append_bytes(out, NULL, payload->str + at, end - at);
    append_bytes(out, NULL, "\n", 1);
    at = end + 1;
  }
  append_bytes(out, NULL, "\n", 1);
}

static void
copy_edits(const Edits *from, Edits *to)
{
  for (guint i = 0; i < from->edits->len; i++) {
    const Edit *edit = &g_array_index(from->edits, Edit, i);

    edits_add(
        to, edit->start, edit->end, from->texts->str + edit->text, edit->len);
  }
}

static void
hide_shadows(const FilterEvent *event, Edits *edits)
{
  size_t len;
  const char *payload = event_payload(event, &len);

  for (guint i = 0; i < event->shadows->len; i++) {
    const Shadow *shadow = &g_array_index(event->shadows, Shadow, i);
    const bool list = payload[shadow->start] == '[';

    edits_add(
        edits, shadow->start, shadow->end, list ? "[]" : "null", list ? 2 : 4);
  }
}

static const GString *
edited_payload(ResponseFilter *filter, const FilterEvent *event, Edits *edits)
{
  size_t len;
  const char *text = event_payload(event, &len);

  g_string_truncate(filter->payload, 0);
  edits_apply(edits, text, len, filter->payload);
  return filter->payload;
}

static void
write_edited(ResponseFilter *filter,
             FilterEvent *event,
             Edits *edits,
             Edits *plain,
             Buf *out,
             Buf *record)
{
  const GString *payload = edited_payload(filter, event, edits);

  frame_event(event, payload, out);
  if (out->refused)
    return;
  if (plain != NULL)
    payload = edited_payload(filter, event, plain);
  if (record != NULL)
    frame_event(event, payload, record);
  if (filter->shape->written != NULL)
    filter->shape->written(
        filter, event, payload->str, payload->len, true, NULL, 0);
}

/* The one delta of an event of which nothing else has to be changed, and which
 * goes as its text has it: only where it is cut differs. NULL: it is another.
 */
static const Slot *
plain_delta(const FilterEvent *event, const Edits *edits)
{
  const Slot *slot;

  if (event->slots->len != 1 || event->is_joined || event->shadows->len > 0 ||
      event->edits.edits->len > 0 || edits->edits->len > 0)
    return NULL;
  slot = &g_array_index(event->slots, Slot, 0);
  return slot->kind == SLOT_DELTA && slot->field->emitted != slot->from &&
                 !text_field_edited(slot->field, slot->field->emitted, slot->to)
             ? slot
             : NULL;
}

/* Writes it in one go: no edits, no second form for the record. */
static void
write_delta(ResponseFilter *filter,
            FilterEvent *event,
            const Slot *slot,
            Buf *out,
            Buf *record)
{
  TextField *field = slot->field;
  const GString *raw = event->raw;
  const size_t end = event->data + slot->end;
  const size_t behind = raw->len - event->data_end;
  const size_t len = MAX(slot->to, field->emitted) - field->emitted;
  const char *text = field->text->str + (field->emitted - field->base);
  GString *bytes = filter->payload;

  g_string_truncate(bytes, 0);
  g_string_append_len(bytes, raw->str, (gssize)(event->data + slot->start));
  string_encode(bytes, text, len);
  g_string_append_len(bytes, raw->str + end, (gssize)(raw->len - end));
  append_bytes(out, record, bytes->str, bytes->len);
  field->emitted += len;
  if (filter->shape->written != NULL && !out->refused)
    filter->shape->written(filter,
                           event,
                           bytes->str + event->data,
                           bytes->len - event->data - behind,
                           true,
                           text,
                           len);
}

static void
write_event_bytes(ResponseFilter *filter,
                  FilterEvent *event,
                  Buf *out,
                  Buf *record)
{
  Edits *edits = &filter->edits, *plain = &filter->plain_edits;
  bool restored = false;
  size_t len;
  const char *payload;
  const Slot *delta;

  edits_reset(edits);
  if (filter->shape->write != NULL &&
      !filter->shape->write(filter, event, edits, out, record))
    return;
  delta = plain_delta(event, edits);
  if (delta != NULL) {
    write_delta(filter, event, delta, out, record);
    return;
  }
  edits_reset(plain);
  copy_edits(&event->edits, edits);
  copy_edits(edits, plain);
  if (take_slots(filter, event, edits, plain, &restored)) {
    hide_shadows(event, edits);
    hide_shadows(event, plain);
  }
  if (edits->edits->len == 0) {
    append_bytes(out, record, event->raw->str, event->raw->len);
    payload = event_payload(event, &len);
    if (filter->shape->written != NULL && !out->refused)
      filter->shape->written(filter, event, payload, len, false, NULL, 0);
    return;
  }
  write_edited(filter, event, edits, restored ? plain : NULL, out, record);
}

void
event_write(ResponseFilter *filter, FilterEvent *event, Buf *out, Buf *record)
{
  const size_t before = out->len;

  write_event_bytes(filter, event, out, record);
  if (!out->refused)
    return;
  buf_truncate(out, before);
  filter->overflow = true;
}
