/* SPDX-License-Identifier: Apache-2.0 */
/* Writes streams of the Responses API: refused calls become messages, numbers
 * stay in sequence, what is open is closed before a message of our own. */
#include "inspect/filter-responses.h"

#include <string.h>

/* What is remembered of an answer so that it can be ended well: beyond this the
 * synthetic last events tell less, the answer itself is not touched. */
#define REMEMBER_MAX ((gsize)4 * 1024 * 1024)

void *
responses_data_new(void)
{
  ResponsesData *data = g_new0(ResponsesData, 1);

  data->parts = g_array_new(FALSE, FALSE, sizeof(TextPart));
  data->text = g_string_new(NULL);
  data->items = g_string_new(NULL);
  return data;
}

void
responses_data_free(void *pointer)
{
  ResponsesData *data = pointer;

  if (data == NULL)
    return;
  g_array_unref(data->parts);
  g_string_free(data->text, TRUE);
  g_string_free(data->items, TRUE);
  g_free(data->item_id);
  g_free(data);
}

/* ---- Events of our own ------------------------------------------------- */

/* Begins {"type":…,"sequence_number":…, */
static GString *
open_event(ResponsesData *data, const char *type)
{
  GString *json = g_string_new(NULL);

  g_string_printf(json,
                  "{\"type\":\"%s\",\"sequence_number\":%" G_GINT64_FORMAT,
                  type,
                  data->sequence++);
  return json;
}

static void
close_event(GString *json, const char *type, Buf *out, Buf *record)
{
  g_string_append_c(json, '}');
  write_event(type, json->str, out, record);
  g_string_free(json, TRUE);
}

static void
append_place(GString *json, const char *id, unsigned item, unsigned part)
{
  g_string_append(json, ",\"item_id\":");
  append_string(json, id);
  g_string_append_printf(
      json, ",\"output_index\":%u,\"content_index\":%u", item, part);
}

static void
append_part(GString *json, const char *text)
{
  g_string_append(
      json, ",\"part\":{\"type\":\"output_text\",\"annotations\":[],\"text\":");
  append_string(json, text);
  g_string_append_c(json, '}');
}

static void
remember_item(ResponsesData *data, const char *json, size_t len)
{
  if (data->items->len + len > REMEMBER_MAX)
    return;
  if (data->items->len > 0)
    g_string_append_c(data->items, ',');
  g_string_append_len(data->items, json, (gssize)len);
}

static void
write_text_done(ResponsesData *data,
                const char *id,
                unsigned item,
                unsigned part,
                const char *text,
                Buf *out,
                Buf *record)
{
  GString *json = open_event(data, "response.output_text.done");

  append_place(json, id, item, part);
  g_string_append(json, ",\"text\":");
  append_string(json, text);
  close_event(json, "response.output_text.done", out, record);
}

static void
write_part_done(ResponsesData *data,
                const char *id,
                unsigned item,
                unsigned part,
                const char *text,
                Buf *out,
                Buf *record)
{
  GString *json = open_event(data, "response.content_part.done");

  append_place(json, id, item, part);
  append_part(json, text);
  close_event(json, "response.content_part.done", out, record);
}

static void
write_item(ResponsesData *data,
           const char *type,
           const char *id,
           unsigned item,
           const char *status,
           const char *text,
           Buf *out,
           Buf *record)
{
  GString *json = open_event(data, type);
  g_autoptr(GString) message = g_string_new(NULL);

  append_message_item(message, id, status, text);
  if (text != NULL)
    remember_item(data, message->str, message->len);
  g_string_append_printf(
      json, ",\"output_index\":%u,\"item\":%s", item, message->str);
  close_event(json, type, out, record);
}

/* A whole message item: seven events. */
static void
write_message(ResponseFilter *filter,
              unsigned item,
              const char *id,
              const char *message,
              Buf *out,
              Buf *record)
{
  ResponsesData *data = filter->data;
  GString *json;

  write_item(data,
             "response.output_item.added",
             id,
             item,
             "in_progress",
             NULL,
             out,
             record);
  json = open_event(data, "response.content_part.added");
  append_place(json, id, item, 0);
  append_part(json, "");
  close_event(json, "response.content_part.added", out, record);
  json = open_event(data, "response.output_text.delta");
  append_place(json, id, item, 0);
  g_string_append(json, ",\"delta\":");
  append_string(json, message);
  close_event(json, "response.output_text.delta", out, record);
  write_text_done(data, id, item, 0, message, out, record);
  write_part_done(data, id, item, 0, message, out, record);
  write_item(data,
             "response.output_item.done",
             id,
             item,
             "completed",
             message,
             out,
             record);
  data->next_item = MAX(data->next_item, item + 1);
}

/* ---- Upstream's events ------------------------------------------------- */

static Call *
refused_call(const ResponseFilter *filter, const FilterEvent *event)
{
  for (guint i = 0; i < event->calls->len; i++) {
    Call *call = filter->calls->pdata[g_array_index(event->calls, unsigned, i)];

    if (call->state == CALL_REFUSED)
      return call;
  }
  return NULL;
}

static char *
refusal_id(const Call *call)
{
  return g_strdup_printf("msg_refused_%u", call->index);
}

/* The last event's output has messages where calls were refused. */
static void
edit_output(ResponseFilter *filter, FilterEvent *event, Edits *edits)
{
  const Dom *dom = &filter->dom;
  size_t len;
  const char *payload = event_payload(event, &len);
  uint32_t output;
  unsigned n = 0;

  if (refused_call(filter, event) == NULL ||
      !dom_parse(&filter->dom, payload, len, NULL))
    return;
  output = dom_find(dom, 0, "response", "output", NULL);
  for (uint32_t item = output != 0 ? dom_child(dom, output) : 0; item != 0;
       item = dom_next(dom, item), n++) {
    const Call *call = filter_find_call(filter, 0, n);
    g_autoptr(GString) json = NULL;
    g_autofree char *id = NULL;

    if (call == NULL || call->state != CALL_REFUSED)
      continue;
    id = refusal_id(call);
    json = g_string_new(NULL);
    append_message_item(json, id, "completed", call_message(call));
    edits_add(edits,
              dom_node(dom, item)->start,
              dom_node(dom, item)->end,
              json->str,
              json->len);
  }
}

static void
number_event(ResponsesData *data, const FilterEvent *event, Edits *edits)
{
  g_autofree char *text = NULL;

  if (event->number < 0)
    return;
  if (!data->renumber || event->number == data->sequence) {
    data->sequence = event->number + 1;
    return;
  }
  text = g_strdup_printf("%" G_GINT64_FORMAT, data->sequence++);
  edits_add(edits, event->number_start, event->number_end, text, strlen(text));
}

bool
responses_write(ResponseFilter *filter,
                FilterEvent *event,
                Edits *edits,
                Buf *out,
                Buf *record)
{
  ResponsesData *data = filter->data;
  Call *call = event->tag != KIND_END ? refused_call(filter, event) : NULL;

  if ((event->flags & EVENT_FLUSH) != 0)
    data->renumber = true;
  if (call != NULL) {
    data->renumber = true;
    if (!call->told && !call->dropped) {
      g_autofree char *id = refusal_id(call);

      write_message(filter, call->index, id, call_message(call), out, record);
    }
    call->told = true;
    return false;
  }
  if (event->tag == KIND_END) {
    /* Calls that only this event told were not refused in place before. */
    for (guint i = 0; i < filter->calls->len; i++) {
      Call *late = filter->calls->pdata[i];

      if (late->state == CALL_REFUSED && !late->told && !late->dropped) {
        g_autofree char *id = refusal_id(late);

        data->renumber = true;
        write_message(filter, late->index, id, call_message(late), out, record);
        late->told = true;
      }
    }
    edit_output(filter, event, edits);
  }
  number_event(data, event, edits);
  return true;
}

/* The id of the item in an event that was written. */
static void
note_item(ResponseFilter *filter, const char *payload, size_t len)
{
  ResponsesData *data = filter->data;
  const Dom *dom = &filter->dom;
  uint32_t item;

  if (!dom_parse(&filter->dom, payload, len, NULL))
    return;
  item = dom_member(dom, 0, "item");
  data->item_is_message =
      item != 0 && dom_equals(dom, dom_member(dom, item, "type"), "message");
  g_free(data->item_id);
  data->item_id = item != 0 ? dom_text(dom, dom_member(dom, item, "id")) : NULL;
}

static void
note_text(ResponseFilter *filter,
          const FilterEvent *event,
          const char *payload,
          size_t len,
          bool edited,
          const char *text,
          size_t text_len)
{
  ResponsesData *data = filter->data;
  const Slot *slot;

  if (data->text->len + len > REMEMBER_MAX || event->slots->len == 0)
    return;
  if (text != NULL) {
    g_string_append_len(data->text, text, (gssize)text_len);
    return;
  }
  if (edited) {
    if (dom_parse(&filter->dom, payload, len, NULL))
      dom_append_text(
          &filter->dom, dom_member(&filter->dom, 0, "delta"), data->text);
    return;
  }
  slot = &g_array_index(event->slots, Slot, 0);
  string_decode(payload + slot->start, slot->end - slot->start, data->text);
}

void
responses_written(ResponseFilter *filter,
                  FilterEvent *event,
                  const char *payload,
                  size_t len,
                  bool edited,
                  const char *text,
                  size_t text_len)
{
  ResponsesData *data = filter->data;
  uint32_t item;

  switch (event->tag) {
  case KIND_CREATED:
    data->created = true;
    break;
  case KIND_ITEM_ADDED:
    data->item_open = true;
    data->item = event->index;
    data->next_item = MAX(data->next_item, event->index + 1);
    note_item(filter, payload, len);
    break;
  case KIND_PART_ADDED:
    data->part_open = true;
    data->text_open = true;
    g_string_truncate(data->text, 0);
    break;
  case KIND_DELTA:
    data->text_open = true;
    note_text(filter, event, payload, len, edited, text, text_len);
    break;
  case KIND_TEXT_DONE:
    data->text_open = false;
    break;
  case KIND_PART_DONE:
    data->part_open = false;
    data->part++;
    break;
  case KIND_ITEM_DONE:
    data->item_open = false;
    data->part_open = false;
    data->part = 0;
    if (dom_parse(&filter->dom, payload, len, NULL)) {
      item = dom_member(&filter->dom, 0, "item");
      remember_item(data,
                    filter->dom.text + dom_node(&filter->dom, item)->start,
                    dom_node(&filter->dom, item)->end -
                        dom_node(&filter->dom, item)->start);
    }
    break;
  case KIND_END:
  case KIND_ERROR:
    data->ended = true;
    break;
  default:
    break;
  }
}

/* ---- The end ----------------------------------------------------------- */

void
responses_state(ResponseFilter *filter, AnswerState *state)
{
  ResponsesData *data = filter->data;

  state->started = data->created;
  state->next_index = data->next_item;
  state->next_sequence = data->sequence;
  state->items = data->items;
  state->open = data->item_open;
  state->open_index = data->item;
  if (!data->item_open || !data->item_is_message || !data->text_open)
    return;
  state->open_item = data->item_id;
  state->open_part = data->part;
  state->open_text = data->text;
  state->has_text = data->text->len > 0;
}

bool
responses_is_complete(const ResponseFilter *filter)
{
  return ((const ResponsesData *)filter->data)->ended;
}
