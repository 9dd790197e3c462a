/* SPDX-License-Identifier: Apache-2.0 */
/* Most deltas of a stream differ in their text (and number) only: such an event
 * is known by its bytes, without its JSON being read again. */
#include "inspect/filter.h"

#include <string.h>

void
frame_init(EventFrame *frame)
{
  *frame = (EventFrame){.head = g_string_new(NULL), .tail = g_string_new(NULL)};
}

void
frame_clear(EventFrame *frame)
{
  g_string_free(frame->head, TRUE);
  g_string_free(frame->tail, TRUE);
}

void
frame_learn(ResponseFilter *filter, const FilterEvent *event)
{
  EventFrame *frame = &filter->frame;
  const Slot *slot;
  size_t start, end;

  frame->entry = NULL;
  if (event->flags != EVENT_PLAIN || event->slots->len != 1 ||
      event->is_joined || event->calls->len > 0 || event->shadows->len > 0 ||
      event->edits.edits->len > 0)
    return;
  slot = &g_array_index(event->slots, Slot, 0);
  if (slot->kind != SLOT_DELTA)
    return;
  for (guint i = 0; frame->entry == NULL && i < filter->texts->len; i++)
    if (((TextEntry *)filter->texts->pdata[i])->field == slot->field)
      frame->entry = filter->texts->pdata[i];
  start = event->data + slot->start;
  end = event->data + slot->end;
  g_string_truncate(frame->head, 0);
  g_string_append_len(frame->head, event->raw->str, (gssize)start);
  g_string_truncate(frame->tail, 0);
  g_string_append_len(
      frame->tail, event->raw->str + end, (gssize)(event->raw->len - end));
  frame->data = event->data;
  frame->data_left = event->raw->len - event->data_end;
  frame->tag = event->tag;
  frame->index = event->index;
  frame->number = 0;
  frame->number_end = 0;
  if (event->number >= 0) {
    frame->number = event->data + event->number_start;
    frame->number_end = event->data + event->number_end;
    /* A number behind the text is too rare to be looked for. */
    if (frame->number_end > start)
      frame->entry = NULL;
  }
}

/* Reads the number where the frame has one; returns the bytes it takes. */
static size_t
read_number(const char *bytes, size_t len, int64_t *number)
{
  size_t i = 0;

  *number = 0;
  while (i < len && i < 15 && g_ascii_isdigit(bytes[i]))
    *number = *number * 10 + (bytes[i++] - '0');
  /* JSON has no leading zeros. */
  return i > 1 && bytes[0] == '0' ? 0 : i;
}

/* The inside of a JSON string, whole: nothing that would end it, no control
 * characters, complete escapes, UTF-8. */
static bool
is_string_body(const char *text, size_t len, bool *escaped)
{
  unsigned char high = 0;

  *escaped = false;
  for (size_t i = 0; i < len; i++) {
    const unsigned char c = (unsigned char)text[i];

    if (c < 0x20 || c == '"')
      return false;
    high |= c;
    if (c != '\\')
      continue;
    *escaped = true;
    i++;
    /* Others, \u among them, are left to the tokenizer. */
    if (i == len || strchr("nt\"\\/rbf", text[i]) == NULL || text[i] == '\0')
      return false;
  }
  return high < 0x80 || g_utf8_validate_len(text, len, NULL);
}

bool
frame_matches(ResponseFilter *filter,
              const char *bytes,
              size_t len,
              FrameMatch *match)
{
  const EventFrame *frame = &filter->frame;
  const size_t tail = frame->tail->len;
  size_t head = frame->head->len;

  match->number = -1;
  if (frame->entry == NULL || frame->entry->field->finished ||
      len < head + tail ||
      memcmp(bytes + len - tail, frame->tail->str, tail) != 0)
    return false;
  if (frame->number_end == 0) {
    if (memcmp(bytes, frame->head->str, head) != 0)
      return false;
  } else {
    const size_t rest = head - frame->number_end;
    size_t digits;

    if (memcmp(bytes, frame->head->str, frame->number) != 0)
      return false;
    digits = read_number(
        bytes + frame->number, len - tail - frame->number, &match->number);
    head = frame->number + digits + rest;
    if (digits == 0 || head + tail > len ||
        memcmp(bytes + frame->number + digits,
               frame->head->str + frame->number_end,
               rest) != 0)
      return false;
    match->number_len = digits;
  }
  match->start = head;
  match->end = len - tail;
  return match->end > match->start && is_string_body(bytes + match->start,
                                                     match->end - match->start,
                                                     &match->escaped);
}

bool
frame_take(ResponseFilter *filter,
           FilterEvent *event,
           const FrameMatch *match,
           GError **error)
{
  const EventFrame *frame = &filter->frame;
  TextEntry *entry = frame->entry;
  const char *text = event->raw->str + match->start;
  size_t len = match->end - match->start;
  Slot slot = {.field = entry->field,
               .from = text_field_end(entry->field),
               .start = match->start - frame->data,
               .end = match->end - frame->data,
               .kind = SLOT_DELTA};

  event->data = frame->data;
  event->data_end = event->raw->len - frame->data_left;
  event->flags = EVENT_PLAIN;
  event->tag = frame->tag;
  event->index = frame->index;
  if (match->number >= 0) {
    event->number = match->number;
    event->number_start = frame->number - frame->data;
    event->number_end = event->number_start + match->number_len;
  }
  if (match->escaped) {
    g_string_truncate(filter->decoded, 0);
    string_decode(text, len, filter->decoded);
    text = filter->decoded->str;
    len = filter->decoded->len;
  }
  if (!text_field_feed(entry->field, text, len, error))
    return false;
  if (filter->shape->more != NULL)
    filter->shape->more(filter, entry, text, len);
  if (filter->texts->len > 1)
    filter_release_others(filter, entry);
  slot.to = text_field_end(entry->field);
  g_array_append_val(event->slots, slot);
  return true;
}
