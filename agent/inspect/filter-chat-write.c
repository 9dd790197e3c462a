/* SPDX-License-Identifier: Apache-2.0 */
/* Writes streams of chat completions and completions: refused calls left out,
 * messages of our own, the terminal events. */
#include "inspect/filter-chat.h"

#include <string.h>

typedef struct {
  unsigned index;
  bool text;     /* some was given out */
  bool finished; /* its finish_reason was given out */
} Choice;

typedef struct {
  GArray *choices; /* Choice, of what was given out */
} ChatData;

void *
chat_data_new(void)
{
  ChatData *chat = g_new0(ChatData, 1);

  chat->choices = g_array_new(FALSE, FALSE, sizeof(Choice));
  return chat;
}

void
chat_data_free(void *data)
{
  ChatData *chat = data;

  if (chat == NULL)
    return;
  g_array_unref(chat->choices);
  g_free(chat);
}

static Choice *
choice_of(ResponseFilter *filter, unsigned index)
{
  ChatData *chat = filter->data;
  const Choice fresh = {.index = index};

  for (guint i = 0; i < chat->choices->len; i++) {
    Choice *choice = &g_array_index(chat->choices, Choice, i);

    if (choice->index == index)
      return choice;
  }
  g_array_append_val(chat->choices, fresh);
  return &g_array_index(chat->choices, Choice, chat->choices->len - 1);
}

static char *
chunk(ResponseFilter *filter,
      unsigned choice,
      const char *role,
      const char *text,
      const char *finish)
{
  const bool chat = filter->api == API_CHAT;
  GString *json = g_string_new("{\"id\":\"");

  json_escape(json, head_id(filter, chat ? "chatcmpl-" : "cmpl-"), -1);
  g_string_append_printf(json,
                         "\",\"object\":\"%s\",\"created\":%" G_GINT64_FORMAT
                         ",\"model\":\"",
                         chat ? "chat.completion.chunk" : "text_completion",
                         head_created(filter));
  json_escape(json, head_model(filter), -1);
  g_string_append_printf(json,
                         "\",\"choices\":[{\"index\":%u,%s",
                         choice,
                         chat ? "\"delta\":{" : "");
  if (role != NULL)
    g_string_append_printf(json, "\"role\":\"%s\"", role);
  if (text != NULL || !chat) {
    g_string_append_printf(json,
                           "%s\"%s\":\"",
                           role != NULL ? "," : "",
                           chat ? "content" : "text");
    json_escape(json, text != NULL ? text : "", -1);
    g_string_append_c(json, '"');
  }
  g_string_append(json, chat ? "}," : ",\"logprobs\":null,");
  if (finish != NULL)
    g_string_append_printf(json, "\"finish_reason\":\"%s\"}]}", finish);
  else
    g_string_append(json, "\"finish_reason\":null}]}");
  return g_string_free(json, FALSE);
}

static void
write_chunk(ResponseFilter *filter,
            unsigned choice,
            const char *role,
            const char *text,
            const char *finish,
            Buf *out,
            Buf *record)
{
  g_autofree char *json = chunk(filter, choice, role, text, finish);

  write_event(NULL, json, out, record);
}

static void
write_message(ResponseFilter *filter,
              unsigned index,
              const char *message,
              Buf *out,
              Buf *record)
{
  Choice *choice = choice_of(filter, index);
  g_autofree char *text =
      g_strconcat(choice->text ? "\n\n" : "", message, NULL);

  choice->text = true;
  write_chunk(filter, index, NULL, text, NULL, out, record);
}

/* Calls of a choice before this one that were left out: indices close up. */
static unsigned
refused_before(const ResponseFilter *filter, const Call *call)
{
  unsigned n = 0;

  for (guint i = 0; i < filter->calls->len; i++) {
    const Call *other = filter->calls->pdata[i];

    if (other->call.choice == call->call.choice && other->index < call->index &&
        other->state == CALL_REFUSED)
      n++;
  }
  return n;
}

static bool
any_refused(const ResponseFilter *filter)
{
  for (guint i = 0; i < filter->calls->len; i++)
    if (((const Call *)filter->calls->pdata[i])->state == CALL_REFUSED)
      return true;
  return false;
}

static bool
any_released(const ResponseFilter *filter, unsigned choice)
{
  for (guint i = 0; i < filter->calls->len; i++) {
    const Call *call = filter->calls->pdata[i];

    if (call->call.choice == choice && call->state == CALL_RELEASED)
      return true;
  }
  return false;
}

static void
tell(ResponseFilter *filter, Call *call, Buf *out, Buf *record)
{
  if (call->told || call->dropped)
    return;
  call->told = true;
  write_message(filter, call->call.choice, call_message(call), out, record);
}

/* Leaves refused calls out of a list; those that stay close up. False when none
 * stays. Removals do not meet, and hide the edits of texts inside them. */
static bool
write_list(ResponseFilter *filter,
           uint32_t list,
           unsigned choice,
           Edits *edits,
           Buf *out,
           Buf *record)
{
  const Dom *dom = &filter->dom;
  size_t kept_end = 0, end = 0;
  unsigned position = 0;
  uint32_t first = 0; /* of refused items that none has followed yet */

  for (uint32_t item = dom_child(dom, list); item != 0;
       item = dom_next(dom, item), position++) {
    const DomNode *at = dom_node(dom, item);
    const uint32_t number = dom_member(dom, item, "index");
    const int64_t index = dom_integer(dom, number);
    Call *call = filter_find_call(
        filter, choice, index < 0 ? position : (unsigned)index);

    end = at->end;
    if (call != NULL && call->state == CALL_REFUSED) {
      tell(filter, call, out, record);
      first = first != 0 ? first : item;
      continue;
    }
    if (first != 0)
      edits_add(edits, dom_node(dom, first)->start, at->start, "", 0);
    first = 0;
    kept_end = at->end;
    if (call != NULL && index >= 0 && refused_before(filter, call) > 0) {
      const DomNode *value = dom_node(dom, number);
      g_autofree char *text =
          g_strdup_printf("%u", (unsigned)index - refused_before(filter, call));

      edits_add(edits, value->start, value->end, text, strlen(text));
    }
  }
  if (first != 0 && kept_end != 0)
    edits_add(edits, kept_end, end, "", 0);
  return kept_end != 0;
}

static bool
is_alone(const Dom *dom, uint32_t node)
{
  return dom_child(dom, dom_node(dom, node)->parent) == node &&
         dom_next(dom, node) == 0;
}

/* One choice of an event; false when nothing of it is left. */
static bool
write_choice(ResponseFilter *filter,
             uint32_t node,
             unsigned index,
             Edits *edits,
             Buf *out,
             Buf *record)
{
  const Dom *dom = &filter->dom;
  const uint32_t delta = dom_member(dom, node, "delta");
  const uint32_t reason = dom_member(dom, node, "finish_reason");
  const bool finish = chat_has_finish(dom, node);
  const uint32_t list = delta != 0 ? dom_member(dom, delta, "tool_calls") : 0;
  const uint32_t single =
      delta != 0 ? dom_member(dom, delta, "function_call") : 0;
  Call *call =
      single != 0 ? filter_find_call(filter, index, FUNCTION_CALL) : NULL;
  uint32_t gone = 0;

  if (list != 0 && dom_child(dom, list) != 0 &&
      !write_list(filter, list, index, edits, out, record))
    gone = list;
  if (call != NULL && call->state == CALL_REFUSED) {
    tell(filter, call, out, record);
    gone = single;
  }
  if (gone != 0) {
    edits_remove(edits, dom, gone);
    if (!finish && is_alone(dom, gone))
      return false;
  }
  if (finish && !any_released(filter, index) &&
      (dom_equals(dom, reason, "tool_calls") ||
       dom_equals(dom, reason, "function_call"))) {
    const DomNode *value = dom_node(dom, reason);

    edits_add(edits, value->start, value->end, "\"stop\"", 6);
  }
  return true;
}

static void
note_choice(ResponseFilter *filter, unsigned index, bool text, bool finish)
{
  Choice *choice = choice_of(filter, index);

  choice->text = choice->text || text;
  choice->finished = choice->finished || finish;
}

bool
chat_write(ResponseFilter *filter,
           FilterEvent *event,
           Edits *edits,
           Buf *out,
           Buf *record)
{
  const Dom *dom = &filter->dom;
  const bool refused = any_refused(filter);
  bool left = false;
  unsigned n = 0;
  uint32_t choices;
  size_t len;
  const char *payload = event_payload(event, &len);

  if (event->tag == 0)
    return true;
  if (!refused && (event->tag & TAG_MANY) == 0) {
    note_choice(filter,
                event->index,
                (event->tag & TAG_TEXT) != 0,
                (event->tag & TAG_FINISH) != 0);
    return true;
  }
  if (!dom_parse(&filter->dom, payload, len, NULL))
    return false;
  choices = dom_member(dom, 0, "choices");
  for (uint32_t node = dom_child(dom, choices); node != 0;
       node = dom_next(dom, node), n++) {
    const unsigned index = chat_choice_index(dom, node, n);

    if (!refused || write_choice(filter, node, index, edits, out, record))
      left = true;
    note_choice(filter,
                index,
                (event->tag & TAG_TEXT) != 0,
                chat_has_finish(dom, node));
  }
  return left;
}

void
chat_state(ResponseFilter *filter, AnswerState *state)
{
  const ChatData *chat = filter->data;

  state->started = chat->choices->len > 0;
  for (guint i = 0; i < chat->choices->len; i++) {
    const Choice *choice = &g_array_index(chat->choices, Choice, i);

    state->n_choices = MAX(state->n_choices, choice->index + 1);
    state->has_text = state->has_text || choice->text;
    if (choice->finished && choice->index < 64)
      state->finished |= UINT64_C(1) << choice->index;
  }
}

bool
chat_is_complete(const ResponseFilter *filter)
{
  const ChatData *chat = filter->data;

  for (guint i = 0; i < chat->choices->len; i++)
    if (!g_array_index(chat->choices, Choice, i).finished)
      return false;
  return chat->choices->len > 0;
}
