/* SPDX-License-Identifier: Apache-2.0 */
/* The response filter: bytes in, events queued, texts decided, tool calls
 * waited for, events out in the order in which they came. */
#include "inspect/filter.h"

#include <string.h>

/* Input is cut into pieces of this size before it is copied. */
#define PIECE ((size_t)64 * 1024)
static bool
fail(GError **error, InspectErrorCode code, const char *what)
{
  g_set_error_literal(error, INSPECT_ERROR, (gint)code, what);
  return false;
}

/* ---- Events out -------------------------------------------------------- */

static bool
is_ready(const ResponseFilter *filter, const FilterEvent *event)
{
  for (guint i = 0; i < event->calls->len; i++) {
    const Call *call =
        filter->calls->pdata[g_array_index(event->calls, unsigned, i)];

    if (call->state == CALL_OPEN || call->state == CALL_WAITING)
      return false;
  }
  for (guint i = 0; i < event->slots->len; i++) {
    const Slot *slot = &g_array_index(event->slots, Slot, i);

    if (slot->field->settled < slot->to)
      return false;
  }
  return true;
}

static TextEntry *
entry_of(const ResponseFilter *filter, const TextField *field)
{
  for (guint i = 0; i < filter->texts->len; i++) {
    TextEntry *entry = filter->texts->pdata[i];

    if (entry->field == field)
      return entry;
  }
  return NULL;
}

/* Sends the decided front of a delta ahead; what it still holds goes with the
 * text's next delta, or with a copy of this one at its end. */
static bool
send_front(ResponseFilter *filter, FilterEvent *event, Buf *out, Buf *record)
{
  const bool pressed = filter->queue.length > QUEUE_SOFT;
  Slot *slot;
  size_t front;
  TextEntry *entry;
  Slot rest;

  if ((event->flags & EVENT_PLAIN) == 0 || event->slots->len != 1 ||
      event->calls->len > 0)
    return false;
  slot = &g_array_index(event->slots, Slot, 0);
  front = slot->field->settled > slot->field->emitted
              ? slot->field->settled - slot->field->emitted
              : 0;
  if (slot->kind == SLOT_COPY || (front <= FRONT_MAX && !pressed))
    return false;
  entry = entry_of(filter, slot->field);
  rest = *slot;
  rest.from = SIZE_MAX;
  if (entry->frame == NULL)
    entry->frame = event_clone(filter, event, &rest);
  slot->from = SIZE_MAX;
  slot->to = slot->field->settled;
  if (front > 0)
    event_write(filter, event, out, record);
  return true;
}

static void
pop_event(ResponseFilter *filter)
{
  FilterEvent *event = g_queue_pop_head(&filter->queue);

  filter->queued -= event->raw->len;
  event_recycle(filter, event);
}

/* Gives out what is ready, in order. */
static void
pump(ResponseFilter *filter, Buf *out, Buf *record)
{
  FilterEvent *event;

  while (!filter->overflow &&
         (event = g_queue_peek_head(&filter->queue)) != NULL) {
    const Slot *flush = (event->flags & EVENT_FLUSH) != 0
                            ? &g_array_index(event->slots, Slot, 0)
                            : NULL;

    if (!is_ready(filter, event)) {
      if (!send_front(filter, event, out, record))
        return;
    } else if ((event->flags & EVENT_TERMINAL) != 0) {
      event_write(filter, event, &filter->final_out, &filter->final_record);
      filter->terminal = true;
      filter_drop_queue(filter);
      return;
    } else if (flush == NULL || flush->field->emitted < flush->to) {
      event_write(filter, event, out, record);
    }
    pop_event(filter);
  }
}

static Call *
waiting_call(const ResponseFilter *filter)
{
  for (guint i = 0; i < filter->calls->len; i++) {
    Call *call = filter->calls->pdata[i];

    if (call->state == CALL_WAITING)
      return call;
  }
  return NULL;
}

/* After each event: what may go, and what the caller must do. */
static void
move_on(ResponseFilter *filter, Buf *out, Buf *record)
{
  if (filter->context.blocked) {
    filter->state = FILTER_BLOCKED;
    return;
  }
  pump(filter, out, record);
  if (waiting_call(filter) != NULL)
    filter->state = FILTER_TOOL_CALL;
  else if (filter->terminal)
    filter->state = FILTER_FINAL;
  else
    filter->state = FILTER_MORE;
}

/* What the caller's buffers did not take is an error, never a gap. */
static bool
fits(const ResponseFilter *filter, const Buf *out, GError **error)
{
  if (!filter->overflow && !out->refused)
    return true;
  return fail(error,
              INSPECT_ERROR_LIMIT,
              "too much of an answer would have to be given out at once");
}

/* Reads events from what was fed until something must be answered. */
static bool
drain(ResponseFilter *filter, Buf *out, Buf *record, GError **error)
{
  while (filter->state == FILTER_MORE && !filter->terminal) {
    const char *bytes = (const char *)buf_bytes(&filter->in);
    size_t len = sse_next(
        &filter->splitter, bytes, filter->in.len, filter->ended, filter->lines);

    if (filter->in.len > SSE_EVENT_MAX && len == 0)
      return fail(error, INSPECT_ERROR_LIMIT, "an SSE event is too long");
    if (len > SSE_EVENT_MAX || filter->lines->len > SSE_LINES_MAX)
      return fail(error, INSPECT_ERROR_LIMIT, "an SSE event is too long");
    if (len == 0)
      return true;
    if (!filter_take_event(filter, bytes, len, out, record, error))
      return false;
    g_array_set_size(filter->lines, 0);
    buf_consume(&filter->in, len);
    move_on(filter, out, record);
    if (!fits(filter, out, error))
      return false;
  }
  return true;
}

/* ---- Plain text -------------------------------------------------------- */

static bool
feed_text(ResponseFilter *filter,
          const char *bytes,
          size_t len,
          Buf *out,
          Buf *record,
          GError **error)
{
  TextEntry *entry = filter_text(filter, 0, 0, "text", false, error);
  g_autoptr(GString) text = NULL;
  g_autoptr(GString) plain = NULL;

  if (entry == NULL)
    return false;
  if (filter->ended ? !text_field_finish(entry->field, error)
                    : !text_field_feed(entry->field, bytes, len, error))
    return false;
  if (filter->context.blocked)
    filter->state = FILTER_BLOCKED;
  text = g_string_new(NULL);
  plain = g_string_new(NULL);
  text_field_take(entry->field,
                  MIN(entry->field->settled, entry->field->block_at),
                  text,
                  plain);
  append_bytes(out, NULL, text->str, text->len);
  if (record != NULL)
    append_bytes(record, NULL, plain->str, plain->len);
  secret_wipe(text->str, text->allocated_len);
  secret_wipe(plain->str, plain->allocated_len);
  return fits(filter, out, error);
}

/* ---- What callers do --------------------------------------------------- */

bool
response_filter_feed(ResponseFilter *filter,
                     const void *bytes,
                     size_t len,
                     Buf *out,
                     Buf *record,
                     FilterState *state,
                     GError **error)
{
  const char *at = bytes;
  bool good = true;

  if (!filter->sse) {
    good = filter->state != FILTER_MORE ||
           feed_text(filter, at, len, out, record, error);
  } else if (!filter->terminal) {
    while (good && len > 0) {
      const size_t piece = filter->state == FILTER_MORE && !filter->terminal
                               ? MIN(len, PIECE)
                               : len;

      if (!buf_append(&filter->in, at, piece))
        return fail(
            error, INSPECT_ERROR_LIMIT, "too much of an answer must wait");
      at += piece;
      len -= piece;
      good = drain(filter, out, record, error);
    }
  }
  if (good)
    *state = filter->state;
  return good;
}

/* Tool calls that never closed are left out. */
static void
drop_open_calls(ResponseFilter *filter)
{
  for (guint i = 0; i < filter->calls->len; i++) {
    Call *call = filter->calls->pdata[i];

    if (call->state == CALL_OPEN) {
      call->state = CALL_REFUSED;
      call->dropped = true;
    }
  }
}

/* The last words of a lost answer may be half a secret: they are dropped, and
 * so are events that repeat them. */
static bool
abandon_texts(ResponseFilter *filter, GError **error)
{
  for (guint i = 0; i < filter->texts->len; i++)
    if (!text_field_abandon(((TextEntry *)filter->texts->pdata[i])->field,
                            error))
      return false;
  for (GList *link = filter->queue.head; link != NULL;) {
    GList *next = link->next;
    FilterEvent *event = link->data;
    bool drop = false;

    for (guint i = 0; i < event->slots->len; i++) {
      Slot *slot = &g_array_index(event->slots, Slot, i);

      if (slot->to <= slot->field->settled)
        continue;
      drop = drop || slot->kind == SLOT_COPY;
      slot->from = SIZE_MAX;
      slot->to = slot->field->settled;
    }
    if (drop) {
      filter->queued -= event->raw->len;
      event_free(event);
      g_queue_delete_link(&filter->queue, link);
    }
    link = next;
  }
  return true;
}

/* What is missing of the answer: its terminal event, or before it a message in
 * our own words. */
static void
write_end(ResponseFilter *filter, const char *message, Buf *out, Buf *record)
{
  const char *terminal = filter->shape->terminal;
  AnswerState state = {.id = filter->head.id,
                       .model = filter->head.model,
                       .created = filter->head.created};
  g_autoptr(GString) text = NULL;

  if (filter->shape->is_complete(filter)) {
    if (terminal != NULL)
      append_bytes(out, record, terminal, strlen(terminal));
    return;
  }
  if (filter->shape->state != NULL)
    filter->shape->state(filter, &state);
  text = g_string_new(NULL);
  answer_append_message(filter->api, &state, NULL, message, text);
  append_bytes(out, record, text->str, text->len);
}

/* Upstream ended without the terminal event. */
static bool
end_stream(ResponseFilter *filter, Buf *out, Buf *record, GError **error)
{
  static const char message[] =
      "[hoop-agent] The answer ended too early: the connection to the model's "
      "API was lost. What came until then stands above.";

  if (filter->shape->is_complete(filter)) {
    if (!filter_finish_texts(filter, 0, true, error))
      return false;
  } else if (!abandon_texts(filter, error)) {
    return false;
  }
  drop_open_calls(filter);
  move_on(filter, out, record);
  if (!fits(filter, out, error))
    return false;
  if (filter->state != FILTER_MORE)
    return true;
  filter_drop_queue(filter);
  write_end(filter, message, &filter->final_out, &filter->final_record);
  filter->terminal = true;
  filter->state = FILTER_FINAL;
  return fits(filter, &filter->final_out, error);
}

static bool
go_on(ResponseFilter *filter, Buf *out, Buf *record, GError **error)
{
  if (!drain(filter, out, record, error))
    return false;
  if (filter->ended && filter->state == FILTER_MORE)
    return end_stream(filter, out, record, error);
  return true;
}

static void
give_final(ResponseFilter *filter, Buf *out, Buf *record)
{
  append_bytes(out, NULL, buf_bytes(&filter->final_out), filter->final_out.len);
  if (record != NULL)
    append_bytes(record,
                 NULL,
                 buf_bytes(&filter->final_record),
                 filter->final_record.len);
  buf_clear(&filter->final_out);
  buf_clear(&filter->final_record);
}

bool
response_filter_finish(ResponseFilter *filter,
                       bool cut,
                       Buf *out,
                       Buf *record,
                       FilterState *state,
                       GError **error)
{
  filter->ended = true;
  filter->cut = cut;
  if (!filter->sse) {
    if (cut && !abandon_texts(filter, error))
      return false;
    if (filter->state == FILTER_MORE &&
        !feed_text(
            filter, NULL, 0, &filter->final_out, &filter->final_record, error))
      return false;
    if (filter->state == FILTER_MORE)
      filter->state = FILTER_FINAL;
    else
      give_final(filter, out, record);
    if (!fits(filter, out, error))
      return false;
  } else if (!go_on(filter, out, record, error)) {
    return false;
  }
  *state = filter->state;
  return true;
}

const ToolCall *
response_filter_tool_call(const ResponseFilter *filter)
{
  const Call *call = waiting_call(filter);

  return call != NULL ? &call->shown : NULL;
}

bool
response_filter_resolve(ResponseFilter *filter,
                        ToolAnswer answer,
                        const char *message,
                        Buf *out,
                        Buf *record,
                        FilterState *state,
                        GError **error)
{
  Call *call = waiting_call(filter);

  if (call == NULL)
    return fail(error, INSPECT_ERROR_ENGINE, "no tool call waits");
  call->state = answer == TOOL_RELEASE ? CALL_RELEASED : CALL_REFUSED;
  if (answer == TOOL_REFUSE)
    call->message = g_strdup(message != NULL ? message : "");
  move_on(filter, out, record);
  if (!fits(filter, out, error) || !go_on(filter, out, record, error))
    return false;
  *state = filter->state;
  return true;
}

void
response_filter_release(ResponseFilter *filter, Buf *out, Buf *record)
{
  if (filter->released)
    return;
  filter->released = true;
  give_final(filter, out, record);
  buf_clear(&filter->in);
}

void
response_filter_end_with_message(ResponseFilter *filter,
                                 const char *model,
                                 const char *message,
                                 Buf *out,
                                 Buf *record)
{
  if (filter->released)
    return;
  filter->released = true;
  filter->terminal = true;
  filter_drop_queue(filter);
  buf_clear(&filter->final_out);
  buf_clear(&filter->final_record);
  buf_clear(&filter->in);
  if (filter->head.model == NULL)
    filter->head.model = g_strdup(model);
  if (filter->sse) {
    write_end(filter, message, out, record);
  } else {
    append_bytes(out, record, "\n", 1);
    append_bytes(out, record, message, strlen(message));
    append_bytes(out, record, "\n", 1);
  }
  filter->state = FILTER_FINAL;
}

const Finding *
response_filter_findings(const ResponseFilter *filter,
                         const char (**fingerprints)[FINGERPRINT_SIZE],
                         unsigned *n)
{
  if (fingerprints != NULL)
    *fingerprints = (const char(*)[FINGERPRINT_SIZE])(
                        void *)filter->context.fingerprints->data;
  *n = filter->context.findings->len;
  return (const Finding *)(void *)filter->context.findings->data;
}

GHashTable *
response_filter_masked(const ResponseFilter *filter)
{
  return filter->context.masked;
}

void
response_filter_usage(const ResponseFilter *filter,
                      int64_t *input,
                      int64_t *output)
{
  *input = filter->input_tokens;
  *output = filter->output_tokens;
}

const char *
response_filter_model(const ResponseFilter *filter)
{
  return filter->head.model;
}
