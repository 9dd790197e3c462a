/* SPDX-License-Identifier: Apache-2.0 */
/* Reads streams of chat completions and of (engines) completions: choices that
 * interleave, each with its texts and tool calls. */
#include "inspect/filter-chat.h"

/* A delta's members nest no deeper where text is. */
#define DELTA_DEPTH 4

static void
read_usage(ResponseFilter *filter)
{
  const Dom *dom = &filter->dom;
  const uint32_t usage = dom_member(dom, 0, "usage");
  int64_t n;

  if (usage == 0)
    return;
  n = dom_integer(dom, dom_member(dom, usage, "prompt_tokens"));
  filter->input_tokens = n >= 0 ? n : filter->input_tokens;
  n = dom_integer(dom, dom_member(dom, usage, "completion_tokens"));
  filter->output_tokens = n >= 0 ? n : filter->output_tokens;
}

/* Names, ids and sealed values come at once, not as pieces of text. */
static bool
is_text_member(const Dom *dom, uint32_t node)
{
  static const char *const labels[] = {"role",
                                       "type",
                                       "id",
                                       "name",
                                       "signature",
                                       "encrypted_content",
                                       "reasoning_opaque"};

  for (unsigned i = 0; i < G_N_ELEMENTS(labels); i++)
    if (dom_key_is(dom, node, labels[i]))
      return false;
  return true;
}

/* Every string below a delta is a piece of the text that its path names. */
static bool
read_texts(ResponseFilter *filter,
           FilterEvent *event,
           uint32_t node,
           unsigned choice,
           const char *path,
           unsigned depth,
           GError **error)
{
  const Dom *dom = &filter->dom;

  for (uint32_t child = dom_child(dom, node); child != 0;
       child = dom_next(dom, child)) {
    const DomNode *at = dom_node(dom, child);
    g_autofree char *name = NULL;
    TextEntry *entry;

    if (depth == 0 && (dom_key_is(dom, child, "tool_calls") ||
                       dom_key_is(dom, child, "function_call")))
      continue;
    if (at->type == JSON_STRING ? !is_text_member(dom, child)
                                : at->child == 0 || depth == DELTA_DEPTH)
      continue;
    name = g_strdup_printf("%s.%.*s",
                           path,
                           (int)(at->key_end - at->key_start),
                           dom->text + at->key_start);
    if (at->type != JSON_STRING) {
      if (!read_texts(filter, event, child, choice, name, depth + 1, error))
        return false;
      continue;
    }
    if (at->end - at->start == 2)
      continue;
    entry = filter_text(filter, choice, 0, name, false, error);
    if (entry == NULL || !filter_add_delta(filter, event, child, entry, error))
      return false;
    event->tag |= TAG_TEXT;
  }
  return true;
}

/* Some servers repeat it with each piece; another one, or the rest of it,
 * would not be the name that is judged. */
static bool
read_name(Call *call, const Dom *dom, uint32_t node, GError **error)
{
  g_autofree char *name = dom_text(dom, node);

  if (name == NULL || *name == '\0')
    return true;
  if (call->call.name != NULL && strcmp(call->call.name, name) != 0)
    return filter_refuse_call(error);
  g_free(call->call.name);
  call->call.name = g_steal_pointer(&name);
  return true;
}

static bool
read_call(ResponseFilter *filter,
          FilterEvent *event,
          uint32_t node,
          unsigned choice,
          unsigned index,
          GError **error)
{
  const Dom *dom = &filter->dom;
  uint32_t body = dom_member(dom, node, "function");
  uint32_t arguments;
  Call *call = filter_call(filter, event, choice, index, error);

  if (call == NULL)
    return false;
  if (body == 0)
    body = dom_member(dom, node, "custom");
  if (body == 0)
    body = node;
  if (call->call.id == NULL)
    call->call.id = dom_text(dom, dom_member(dom, node, "id"));
  if (!read_name(call, dom, dom_member(dom, body, "name"), error))
    return false;
  arguments = dom_member(dom, body, "arguments");
  if (arguments == 0)
    arguments = dom_member(dom, body, "input");
  event->tag |= TAG_CALLS;
  if (arguments == 0 || dom_node(dom, arguments)->type == JSON_NULL)
    return true;
  if (!dom_is_string(dom, arguments))
    return filter_refuse_call(error);
  for (guint i = 0; i < filter->texts->len; i++) {
    TextEntry *entry = filter->texts->pdata[i];

    if (entry->field == call->arguments)
      return filter_add_delta(filter, event, arguments, entry, error);
  }
  return true;
}

static bool
read_calls(ResponseFilter *filter,
           FilterEvent *event,
           uint32_t delta,
           unsigned choice,
           GError **error)
{
  const Dom *dom = &filter->dom;
  const uint32_t list = dom_member(dom, delta, "tool_calls");
  const uint32_t single = dom_member(dom, delta, "function_call");
  unsigned position = 0;

  for (uint32_t item = list != 0 ? dom_child(dom, list) : 0; item != 0;
       item = dom_next(dom, item), position++) {
    const int64_t index = dom_integer(dom, dom_member(dom, item, "index"));

    if (!read_call(filter,
                   event,
                   item,
                   choice,
                   index < 0 ? position : (unsigned)index,
                   error))
      return false;
  }
  return single == 0 || dom_node(dom, single)->type != JSON_OBJECT_BEGIN ||
         read_call(filter, event, single, choice, FUNCTION_CALL, error);
}

static void
note_shadow(ResponseFilter *filter, FilterEvent *event, uint32_t node)
{
  const DomNode *at = dom_node(&filter->dom, node);
  const Shadow shadow = {at->start, at->end};

  if (node != 0 && at->type != JSON_NULL)
    g_array_append_val(event->shadows, shadow);
}

static bool
finish_choice(ResponseFilter *filter, unsigned choice, GError **error)
{
  if (!filter_finish_texts(filter, choice, false, error))
    return false;
  for (guint i = 0; i < filter->calls->len; i++) {
    Call *call = filter->calls->pdata[i];

    if (call->call.choice == choice && !filter_close_call(filter, call, error))
      return false;
  }
  return true;
}

bool
chat_has_finish(const Dom *dom, uint32_t choice)
{
  const uint32_t reason = dom_member(dom, choice, "finish_reason");

  return dom_is_string(dom, reason) && !dom_equals(dom, reason, "");
}

static bool
is_object(const Dom *dom, uint32_t node)
{
  return node != 0 && dom_node(dom, node)->type == JSON_OBJECT_BEGIN;
}

static bool
has_calls(const Dom *dom, uint32_t message)
{
  const uint32_t list = dom_member(dom, message, "tool_calls");

  return (list != 0 && dom_child(dom, list) != 0) ||
         is_object(dom, dom_member(dom, message, "function_call"));
}

static bool
read_choice(ResponseFilter *filter,
            FilterEvent *event,
            uint32_t node,
            unsigned choice,
            GError **error)
{
  const Dom *dom = &filter->dom;
  uint32_t delta = dom_member(dom, node, "delta");
  const uint32_t message = dom_member(dom, node, "message");
  const uint32_t text = dom_member(dom, node, "text");

  if (is_object(dom, message)) {
    /* Which of the two a client reads is its own affair. */
    if (is_object(dom, delta) || has_calls(dom, message))
      return filter_refuse_call(error);
    delta = message;
  }
  note_shadow(filter, event, dom_member(dom, node, "logprobs"));
  if (dom_is_string(dom, text) &&
      dom_node(dom, text)->end - dom_node(dom, text)->start > 2) {
    TextEntry *entry = filter_text(filter, choice, 0, "text", false, error);

    if (entry == NULL || !filter_add_delta(filter, event, text, entry, error))
      return false;
    event->tag |= TAG_TEXT;
  }
  if (is_object(dom, delta) &&
      (!read_texts(filter, event, delta, choice, "", 0, error) ||
       !read_calls(filter, event, delta, choice, error)))
    return false;
  if (!chat_has_finish(dom, node))
    return true;
  event->tag |= TAG_FINISH;
  return finish_choice(filter, choice, error);
}

unsigned
chat_choice_index(const Dom *dom, uint32_t node, unsigned position)
{
  const int64_t index = dom_integer(dom, dom_member(dom, node, "index"));

  return index < 0 || index > G_MAXINT ? position : (unsigned)index;
}

static bool
chat_read(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Dom *dom = &filter->dom;
  const uint32_t choices = dom_member(dom, 0, "choices");
  const uint32_t usage = dom_member(dom, 0, "usage");
  unsigned n = 0;

  head_note(filter, 0, "created");
  read_usage(filter);
  for (uint32_t node = choices != 0 ? dom_child(dom, choices) : 0; node != 0;
       node = dom_next(dom, node), n++) {
    event->index = chat_choice_index(dom, node, n);
    event->tag |= TAG_CHOICE;
    if (!read_choice(filter, event, node, event->index, error))
      return false;
  }
  if (n > 1)
    event->tag |= TAG_MANY;
  else if (event->tag == (TAG_TEXT | TAG_CHOICE) &&
           (usage == 0 || dom_node(dom, usage)->type == JSON_NULL))
    event->flags |= EVENT_PLAIN;
  return true;
}

const Shape shape_chat = {.data_new = chat_data_new,
                          .data_free = chat_data_free,
                          .read = chat_read,
                          .write = chat_write,
                          .state = chat_state,
                          .is_complete = chat_is_complete,
                          .terminal = "data: [DONE]\n\n"};

const Shape shape_completions = {.data_new = chat_data_new,
                                 .data_free = chat_data_free,
                                 .read = chat_read,
                                 .write = chat_write,
                                 .state = chat_state,
                                 .is_complete = chat_is_complete,
                                 .terminal = "data: [DONE]\n\n"};
