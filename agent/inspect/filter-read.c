/* SPDX-License-Identifier: Apache-2.0 */
/* Takes one event of a stream: finds its payload, lets the API's shape read it,
 * scans what is left, and queues it. */
#include "inspect/filter.h"

#include <string.h>

static bool
fail(GError **error, InspectErrorCode code, const char *what)
{
  g_set_error_literal(error, INSPECT_ERROR, (gint)code, what);
  return false;
}

/* Finds the payload: the value of the data line, or of several, joined. */
static void
find_payload(ResponseFilter *filter, FilterEvent *event)
{
  unsigned n = 0;

  for (guint i = 0; i < filter->lines->len; i++) {
    const SseLine *line = &g_array_index(filter->lines, SseLine, i);

    if (!line->is_data)
      continue;
    n++;
    event->data = line->start;
    event->data_end = line->end;
  }
  if (n < 2)
    return;
  event->is_joined = true;
  g_array_append_vals(event->lines, filter->lines->data, filter->lines->len);
  for (guint i = 0; i < filter->lines->len; i++) {
    const SseLine *line = &g_array_index(filter->lines, SseLine, i);

    if (!line->is_data)
      continue;
    if (n-- != 0 && event->joined->len > 0)
      g_string_append_c(event->joined, '\n');
    g_string_append_len(event->joined,
                        event->raw->str + line->start,
                        (gssize)(line->end - line->start));
  }
}

static bool
is_done(const char *payload, size_t len)
{
  while (len > 0 && g_ascii_isspace(payload[len - 1]))
    len--;
  return len == 6 && memcmp(payload, "[DONE]", 6) == 0;
}

/* Everything that is open is complete: nothing can follow. */
static bool
finish_all(ResponseFilter *filter, GError **error)
{
  if (!filter_finish_texts(filter, 0, true, error))
    return false;
  for (guint i = 0; i < filter->calls->len; i++)
    if (!filter_close_call(filter, filter->calls->pdata[i], error))
      return false;
  return true;
}

/* Data that is not JSON is one text over all its events. */
static bool
read_plain(ResponseFilter *filter,
           FilterEvent *event,
           const char *payload,
           size_t len,
           GError **error)
{
  TextEntry *entry = filter_text(filter, 0, 0, "data", false, error);
  Slot slot = {.kind = SLOT_RAW};

  if (entry == NULL)
    return false;
  slot.field = entry->field;
  slot.from = text_field_end(entry->field);
  slot.end = len;
  if (!text_field_feed(entry->field, payload, len, error))
    return false;
  slot.to = text_field_end(entry->field);
  if (len > 0)
    g_array_append_val(event->slots, slot);
  event->flags |= EVENT_PLAIN;
  return true;
}

/* Data that is one JSON string is a piece of a text. */
static bool
read_string(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  TextEntry *entry = filter_text(filter, 0, 0, "string", false, error);

  event->flags |= EVENT_PLAIN;
  return entry != NULL && filter_add_delta(filter, event, 0, entry, error) &&
         event_scan_leaves(filter, event, error);
}

/* Data that was no JSON came before: a piece of it may look like a string. */
static bool
is_plain_text(const ResponseFilter *filter)
{
  for (guint i = 0; i < filter->texts->len; i++) {
    const TextEntry *entry = filter->texts->pdata[i];

    if (strcmp(entry->name, "data") == 0)
      return true;
  }
  return false;
}

static bool
read_event(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  size_t len;
  const char *payload = event_payload(event, &len);
  g_autoptr(GError) cause = NULL;

  filter->dom.text = NULL;
  if (len == 0 && event->data == 0)
    return event_scan_leaves(filter, event, error);
  if (is_done(payload, len)) {
    event->flags |= EVENT_TERMINAL;
    return finish_all(filter, error);
  }
  if (!dom_parse(&filter->dom, payload, len, &cause)) {
    /* Broken JSON is text, but an object that can be read in two ways is not
     * passed on. */
    if (!g_error_matches(cause, INSPECT_ERROR, INSPECT_ERROR_UNREADABLE) ||
        !g_str_has_prefix(cause->message, "broken JSON")) {
      g_propagate_error(error, g_steal_pointer(&cause));
      return false;
    }
    filter->dom.text = NULL;
    /* Half an event is of no use to anybody. */
    if (filter->splitter.partial && filter->shape != &shape_other) {
      g_string_truncate(event->raw, 0);
      return true;
    }
    return event_scan_leaves(filter, event, error) &&
           read_plain(filter, event, payload, len, error);
  }
  g_array_set_size(filter->covered, 0);
  g_array_set_size(filter->covered, filter->dom.nodes->len);
  if (dom_node(&filter->dom, 0)->type == JSON_STRING && !is_plain_text(filter))
    return read_string(filter, event, error);
  if (dom_node(&filter->dom, 0)->type != JSON_OBJECT_BEGIN &&
      dom_node(&filter->dom, 0)->type != JSON_ARRAY_BEGIN) {
    filter->dom.text = NULL;
    return event_scan_leaves(filter, event, error) &&
           read_plain(filter, event, payload, len, error);
  }
  return filter->shape->read(filter, event, error) &&
         event_scan_leaves(filter, event, error);
}

/* Comments do not wait: they keep the connection alive. */
static bool
is_comment(const ResponseFilter *filter, const FilterEvent *event)
{
  for (guint i = 0; i < filter->lines->len; i++) {
    const SseLine *line = &g_array_index(filter->lines, SseLine, i);

    if (line->is_data || event->raw->str[line->start] != ':')
      return false;
  }
  return true;
}

/* Reads an event whose raw bytes are set; *gone: nothing of it is passed on. */
static bool
take_unknown(ResponseFilter *filter,
             FilterEvent *event,
             bool *gone,
             Buf *out,
             Buf *record,
             GError **error)
{
  if (filter->splitter.partial)
    g_string_append(event->raw, "\n\n");
  find_payload(filter, event);
  /* Half an event is of no use to anybody. */
  *gone = filter->splitter.partial && event->data == 0;
  if (*gone)
    return true;
  if (!read_event(filter, event, error))
    return false;
  frame_learn(filter, event);
  if (is_comment(filter, event)) {
    append_bytes(out, record, event->raw->str, event->raw->len);
    *gone = true;
  }
  return true;
}

bool
filter_take_event(ResponseFilter *filter,
                  const char *bytes,
                  size_t len,
                  Buf *out,
                  Buf *record,
                  GError **error)
{
  FilterEvent *event = event_new(filter);
  bool gone = false, good;
  FrameMatch match;

  g_string_append_len(event->raw, bytes, (gssize)len);
  if (!filter->splitter.partial && frame_matches(filter, bytes, len, &match))
    good = frame_take(filter, event, &match, error);
  else
    good = take_unknown(filter, event, &gone, out, record, error);
  if (!good) {
    event_free(event);
    return false;
  }
  if (gone) {
    event_recycle(filter, event);
    return true;
  }
  g_queue_push_tail(&filter->queue, event);
  filter->queued += event->raw->len;
  if (filter->queued > QUEUE_MAX)
    return fail(error, INSPECT_ERROR_LIMIT, "too much of an answer must wait");
  return true;
}
