/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of Anthropic's messages API: content blocks one after the other, a
 * message_delta that says why it stopped, message_stop. */
#include "inspect/filter.h"

#include <string.h>

/* Content blocks of one answer. */
#define MAX_BLOCKS 4096

typedef enum { BLOCK_TEXT, BLOCK_THINKING, BLOCK_CALL, BLOCK_OTHER } Block;

/* What an event of this stream is. */
enum {
  KIND_OTHER,
  KIND_START,       /* message_start */
  KIND_BLOCK_START, /* content_block_start … */
  KIND_BLOCK_DELTA,
  KIND_BLOCK_STOP,
  KIND_DELTA /* message_delta */
};

typedef struct {
  GByteArray *blocks; /* Block by index, as read */
  unsigned text_part; /* text blocks without another between are one text */
  /* What was given out. */
  bool started;
  bool delta_sent;
  bool block_open;
  unsigned block;      /* the open one */
  unsigned next_block; /* index of the next one */
} MessagesData;

static void *
messages_data_new(void)
{
  MessagesData *data = g_new0(MessagesData, 1);

  data->blocks = g_byte_array_new();
  return data;
}

static void
messages_data_free(void *pointer)
{
  MessagesData *data = pointer;

  if (data == NULL)
    return;
  g_byte_array_unref(data->blocks);
  g_free(data);
}

/* ---- Reading ----------------------------------------------------------- */

static void
read_usage(ResponseFilter *filter, uint32_t object)
{
  const Dom *dom = &filter->dom;
  const uint32_t usage = dom_member(dom, object, "usage");
  int64_t n;

  if (usage == 0)
    return;
  n = dom_integer(dom, dom_member(dom, usage, "input_tokens"));
  filter->input_tokens = n >= 0 ? n : filter->input_tokens;
  n = dom_integer(dom, dom_member(dom, usage, "output_tokens"));
  filter->output_tokens = n >= 0 ? n : filter->output_tokens;
}

static Block
block_of(const Dom *dom, uint32_t block)
{
  const uint32_t type = dom_member(dom, block, "type");

  if (dom_equals(dom, type, "text"))
    return BLOCK_TEXT;
  if (dom_equals(dom, type, "thinking"))
    return BLOCK_THINKING;
  if (dom_equals(dom, type, "tool_use"))
    return BLOCK_CALL;
  return BLOCK_OTHER;
}

static Block
known_block(const MessagesData *data, unsigned index)
{
  return index < data->blocks->len ? (Block)data->blocks->data[index]
                                   : BLOCK_OTHER;
}

/* A piece of the text that a block's kind and member name. */
static bool
add_piece(ResponseFilter *filter,
          FilterEvent *event,
          uint32_t node,
          Block block,
          GError **error)
{
  const MessagesData *data = filter->data;
  const DomNode *at = dom_node(&filter->dom, node);
  g_autofree char *name = NULL;
  TextEntry *entry;

  if (at->end - at->start == 2)
    return true;
  if (block == BLOCK_TEXT)
    name = g_strdup_printf("text %u", data->text_part);
  else
    name = g_strdup_printf("%u.%.*s",
                           event->index,
                           (int)(at->key_end - at->key_start),
                           filter->dom.text + at->key_start);
  entry = filter_text(filter, 0, 0, name, false, error);
  if (entry == NULL || !filter_add_delta(filter, event, node, entry, error))
    return false;
  if (event->slots->len == 1)
    event->flags |= EVENT_PLAIN;
  return true;
}

/* Mostly {}, and pieces follow; else these are the arguments. */
static bool
read_input(ResponseFilter *filter,
           FilterEvent *event,
           uint32_t node,
           Call *call,
           GError **error)
{
  if (node == 0 || dom_node(&filter->dom, node)->type != JSON_OBJECT_BEGIN ||
      dom_child(&filter->dom, node) == 0)
    return true;
  g_clear_pointer(&call->call.arguments, g_free);
  return filter_add_object(filter, event, node, call, error);
}

static bool
read_block_start(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  MessagesData *data = filter->data;
  const Dom *dom = &filter->dom;
  const uint32_t node = dom_member(dom, 0, "content_block");
  const Block block = block_of(dom, node);
  uint32_t text;
  Call *call;

  if (event->index >= MAX_BLOCKS) {
    g_set_error_literal(error,
                        INSPECT_ERROR,
                        INSPECT_ERROR_LIMIT,
                        "an answer has too many content blocks");
    return false;
  }
  while (data->blocks->len <= event->index) {
    const guint8 other = BLOCK_OTHER;

    g_byte_array_append(data->blocks, &other, 1);
  }
  data->blocks->data[event->index] = (guint8)block;
  if (block != BLOCK_TEXT) {
    if (!filter_finish_texts(filter, 0, false, error))
      return false;
    data->text_part++;
  }
  if (block == BLOCK_CALL) {
    call = filter_call(filter, event, 0, event->index, error);
    if (call == NULL)
      return false;
    if (call->call.name != NULL)
      return filter_refuse_call(error); /* the block began before */
    messages_call_read(dom, node, &call->call);
    return read_input(
        filter, event, dom_member(dom, node, "input"), call, error);
  }
  text = dom_member(dom, node, block == BLOCK_THINKING ? "thinking" : "text");
  return !dom_is_string(dom, text) ||
         add_piece(filter, event, text, block, error);
}

static bool
read_arguments(ResponseFilter *filter,
               FilterEvent *event,
               uint32_t node,
               GError **error)
{
  Call *call = filter_call(filter, event, 0, event->index, error);

  if (call == NULL)
    return false;
  if (call->object &&
      dom_node(&filter->dom, node)->end - dom_node(&filter->dom, node)->start >
          2)
    return filter_refuse_call(error);
  for (guint i = 0; i < filter->texts->len; i++) {
    TextEntry *entry = filter->texts->pdata[i];

    if (entry->field == call->arguments)
      return filter_add_delta(filter, event, node, entry, error);
  }
  return true;
}

static bool
read_block_delta(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Dom *dom = &filter->dom;
  const uint32_t delta = dom_member(dom, 0, "delta");
  const Block block = known_block(filter->data, event->index);

  for (uint32_t node = delta != 0 ? dom_child(dom, delta) : 0; node != 0;
       node = dom_next(dom, node)) {
    if (!dom_is_string(dom, node) || dom_key_is(dom, node, "type") ||
        dom_key_is(dom, node, "signature"))
      continue;
    if (block == BLOCK_CALL && dom_key_is(dom, node, "partial_json")) {
      if (!read_arguments(filter, event, node, error))
        return false;
    } else if (!add_piece(filter, event, node, block, error)) {
      return false;
    }
  }
  return true;
}

static bool
read_block_stop(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Block block = known_block(filter->data, event->index);
  Call *call;

  if (block == BLOCK_TEXT) {
    /* The next block may go on with this text, but not say what it left. */
    for (guint i = 0; i < filter->texts->len; i++)
      filter_flush_text(filter, filter->texts->pdata[i]);
    return true;
  }
  if (block != BLOCK_CALL)
    return filter_finish_texts(filter, 0, false, error);
  call = filter_call(filter, event, 0, event->index, error);
  if (call == NULL)
    return false;
  /* Pieces are what the client reads; without them the block's own input. */
  if (call->state == CALL_OPEN && text_field_end(call->arguments) > 0 &&
      call->call.arguments != NULL && *call->call.arguments &&
      strcmp(call->call.arguments, "{}") != 0)
    return filter_refuse_call(error);
  if (call->state == CALL_OPEN &&
      (text_field_end(call->arguments) > 0 || call->call.arguments == NULL)) {
    g_free(call->call.arguments);
    call->call.arguments = NULL;
  }
  return filter_close_call(filter, call, error);
}

static bool
messages_read(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Dom *dom = &filter->dom;
  const uint32_t type = dom_member(dom, 0, "type");
  const int64_t index = dom_integer(dom, dom_member(dom, 0, "index"));
  uint32_t message;

  event->index = index < 0 || index > G_MAXINT ? 0 : (unsigned)index;
  if (dom_equals(dom, type, "content_block_delta")) {
    event->tag = KIND_BLOCK_DELTA;
    return read_block_delta(filter, event, error);
  }
  if (dom_equals(dom, type, "content_block_start")) {
    event->tag = KIND_BLOCK_START;
    return read_block_start(filter, event, error);
  }
  if (dom_equals(dom, type, "content_block_stop")) {
    event->tag = KIND_BLOCK_STOP;
    return read_block_stop(filter, event, error);
  }
  if (dom_equals(dom, type, "message_start")) {
    event->tag = KIND_START;
    message = dom_member(dom, 0, "message");
    if (message != 0) {
      const uint32_t content = dom_member(dom, message, "content");

      /* Blocks come in events of their own. */
      if (content != 0 && dom_child(dom, content) != 0)
        return filter_refuse_call(error);
      head_note(filter, message, NULL);
      read_usage(filter, message);
    }
  } else if (dom_equals(dom, type, "message_delta")) {
    event->tag = KIND_DELTA;
    read_usage(filter, 0);
    return filter_finish_texts(filter, 0, true, error);
  } else if (dom_equals(dom, type, "message_stop")) {
    event->flags |= EVENT_TERMINAL;
    if (!filter_finish_texts(filter, 0, true, error))
      return false;
    for (guint i = 0; i < filter->calls->len; i++)
      if (!filter_close_call(filter, filter->calls->pdata[i], error))
        return false;
  }
  return true;
}

/* ---- Writing ----------------------------------------------------------- */

static void
write_block(ResponseFilter *filter,
            unsigned index,
            const char *message,
            Buf *out,
            Buf *record)
{
  MessagesData *data = filter->data;
  g_autofree char *start = g_strdup_printf(
      "{\"type\":\"content_block_start\",\"index\":%u,\"content_block\":"
      "{\"type\":\"text\",\"text\":\"\"}}",
      index);
  g_autofree char *stop =
      g_strdup_printf("{\"type\":\"content_block_stop\",\"index\":%u}", index);
  g_autoptr(GString) delta = g_string_new(NULL);

  g_string_printf(delta,
                  "{\"type\":\"content_block_delta\",\"index\":%u,\"delta\":"
                  "{\"type\":\"text_delta\",\"text\":",
                  index);
  append_string(delta, message);
  g_string_append(delta, "}}");
  write_event("content_block_start", start, out, record);
  write_event("content_block_delta", delta->str, out, record);
  write_event("content_block_stop", stop, out, record);
  data->next_block = MAX(data->next_block, index + 1);
}

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

/* Without a call there is nothing that the client should execute. */
static void
edit_stop_reason(ResponseFilter *filter, FilterEvent *event, Edits *edits)
{
  bool refused = false;
  uint32_t reason;
  size_t len;
  const char *payload = event_payload(event, &len);

  for (guint i = 0; i < filter->calls->len; i++) {
    const Call *call = filter->calls->pdata[i];

    if (call->state != CALL_REFUSED)
      return;
    refused = true;
  }
  if (!refused || !dom_parse(&filter->dom, payload, len, NULL))
    return;
  reason = dom_find(&filter->dom, 0, "delta", "stop_reason", NULL);
  if (dom_equals(&filter->dom, reason, "tool_use"))
    edits_add(edits,
              dom_node(&filter->dom, reason)->start,
              dom_node(&filter->dom, reason)->end,
              "\"end_turn\"",
              10);
}

static bool
messages_write(ResponseFilter *filter,
               FilterEvent *event,
               Edits *edits,
               Buf *out,
               Buf *record)
{
  MessagesData *data = filter->data;
  Call *call = refused_call(filter, event);

  if (call != NULL) {
    if (!call->told && !call->dropped)
      write_block(filter, call->index, call_message(call), out, record);
    call->told = true;
    return false;
  }
  switch (event->tag) {
  case KIND_START:
    data->started = true;
    break;
  case KIND_BLOCK_START:
    data->block_open = true;
    data->block = event->index;
    data->next_block = MAX(data->next_block, event->index + 1);
    break;
  case KIND_BLOCK_STOP:
    data->block_open = false;
    break;
  case KIND_DELTA:
    data->delta_sent = true;
    edit_stop_reason(filter, event, edits);
    break;
  default:
    break;
  }
  return true;
}

static void
messages_state(ResponseFilter *filter, AnswerState *state)
{
  const MessagesData *data = filter->data;

  state->started = data->started;
  state->next_index = data->next_block;
  state->open = data->block_open;
  state->open_index = data->block;
}

static bool
messages_is_complete(const ResponseFilter *filter)
{
  return ((const MessagesData *)filter->data)->delta_sent;
}

const Shape shape_messages = {.data_new = messages_data_new,
                              .data_free = messages_data_free,
                              .read = messages_read,
                              .write = messages_write,
                              .state = messages_state,
                              .is_complete = messages_is_complete,
                              .terminal = "event: message_stop\ndata: "
                                          "{\"type\":\"message_stop\"}\n\n"};
