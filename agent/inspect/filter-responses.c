/* SPDX-License-Identifier: Apache-2.0 */
/* Reads streams of the Responses API: items, their parts, texts in pieces and
 * then again in up to four events. The pieces decide what is masked; copies get
 * the same edits, or are scanned by themselves where they differ. */
#include "inspect/filter-responses.h"

#include <string.h>

uint64_t
text_hash(uint64_t hash, const char *bytes, size_t len)
{
  for (size_t i = 0; i < len; i++)
    hash = (hash ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static TextPart *
find_part(ResponseFilter *filter, const TextEntry *entry, unsigned index)
{
  ResponsesData *data = filter->data;

  for (guint i = data->parts->len; i-- > 0;) {
    TextPart *part = &g_array_index(data->parts, TextPart, i);

    if (part->entry == entry && part->index == index)
      return part;
  }
  return NULL;
}

static unsigned
member_index(const Dom *dom, const char *name)
{
  const int64_t index = dom_integer(dom, dom_member(dom, 0, name));

  return index < 0 || index > G_MAXINT ? 0 : (unsigned)index;
}

static unsigned
part_index(const Dom *dom)
{
  return dom_member(dom, 0, "summary_index") != 0
             ? member_index(dom, "summary_index")
             : member_index(dom, "content_index");
}

/* ---- Pieces ------------------------------------------------------------ */

static bool
add_piece(ResponseFilter *filter,
          FilterEvent *event,
          uint32_t node,
          TextEntry *entry,
          unsigned index,
          GError **error)
{
  ResponsesData *data = filter->data;
  TextPart *part = find_part(filter, entry, index);
  const size_t before = text_field_end(entry->field);
  size_t added;

  if (part == NULL) {
    const TextPart fresh = {entry, index, before, before, TEXT_HASH_START};

    g_array_append_val(data->parts, fresh);
    part = &g_array_index(data->parts, TextPart, data->parts->len - 1);
  }
  if (!filter_add_delta(filter, event, node, entry, error))
    return false;
  added = text_field_end(entry->field) - before;
  /* The text may be trimmed in front, never behind. */
  part->hash =
      text_hash(part->hash,
                entry->field->text->str + entry->field->text->len - added,
                added);
  part->end = before + added;
  data->last_part = (guint)(part - &g_array_index(data->parts, TextPart, 0));
  return true;
}

/* The same part goes on: its event had the same indices. */
static void
responses_more(ResponseFilter *filter,
               TextEntry *entry,
               const char *text,
               size_t len)
{
  ResponsesData *data = filter->data;
  TextPart *part = &g_array_index(data->parts, TextPart, data->last_part);

  (void)entry;
  part->hash = text_hash(part->hash, text, len);
  part->end = text_field_end(part->entry->field);
}

static TextEntry *
call_entry(const ResponseFilter *filter, const Call *call)
{
  for (guint i = 0; i < filter->texts->len; i++) {
    TextEntry *entry = filter->texts->pdata[i];

    if (entry->field == call->arguments)
      return entry;
  }
  return NULL;
}

/* What is known of the call's arguments by now: as judged, or in pieces. */
static const char *
known_arguments(const Call *call)
{
  if (call->state != CALL_OPEN)
    return call->call.arguments;
  return text_field_end(call->arguments) > 0 ? call->arguments->text->str
                                             : NULL;
}

/* Which of its copies a client runs is its own affair: all must be alike.
 * `again` may leave the arguments out. */
static bool
repeats_call(const Call *call, const ToolCall *again, GError **error)
{
  const char *known = known_arguments(call);

  if (known != NULL && *again->arguments &&
      strcmp(known, again->arguments) != 0)
    return filter_refuse_call(error);
  if (call->state != CALL_OPEN && strcmp(call->call.name, again->name) != 0)
    return filter_refuse_call(error);
  return true;
}

/* The item that ends a call: what is judged, unless it leaves to the pieces
 * what the arguments are. */
static bool
take_item(ResponseFilter *filter, Call *call, uint32_t item, GError **error)
{
  ToolCall again = {0};
  bool good;

  responses_call_read(&filter->dom, item, &again);
  good = repeats_call(call, &again, error);
  if (good && call->state == CALL_OPEN) {
    tool_call_clear(&call->call);
    call->call = again;
    if (*again.arguments == '\0')
      g_clear_pointer(&call->call.arguments, g_free);
    return true;
  }
  tool_call_clear(&again);
  return good;
}

/* "response.output_text.delta": the text's name is what stands between. */
static bool
read_delta(ResponseFilter *filter,
           FilterEvent *event,
           const char *name,
           GError **error)
{
  const Dom *dom = &filter->dom;
  const uint32_t node = dom_member(dom, 0, "delta");
  const uint32_t logprobs = dom_member(dom, 0, "logprobs");
  Call *call = filter_find_call(filter, 0, event->index);
  TextEntry *entry;

  if (!dom_is_string(dom, node))
    return true;
  if (call != NULL) {
    filter_call(filter, event, 0, event->index, error);
    return add_piece(filter, event, node, call_entry(filter, call), 0, error);
  }
  if (strcmp(name, "function_call_arguments") == 0 ||
      strcmp(name, "custom_tool_call_input") == 0)
    return filter_refuse_call(error); /* of a call that did not begin */
  if (logprobs != 0 && dom_child(dom, logprobs) != 0) {
    const Shadow shadow = {dom_node(dom, logprobs)->start,
                           dom_node(dom, logprobs)->end};

    g_array_append_val(event->shadows, shadow);
  }
  entry = filter_text(filter, event->index, 0, name, false, error);
  if (entry == NULL ||
      !add_piece(filter, event, node, entry, part_index(dom), error))
    return false;
  if (strcmp(name, "output_text") == 0)
    event->tag = KIND_DELTA;
  event->flags |= EVENT_PLAIN;
  return true;
}

/* ---- Copies ------------------------------------------------------------ */

/* The string at `node` repeats a part: when it does so to the byte it is edited
 * like the pieces were; otherwise it stays a leaf, scanned by itself. */
static void
add_copy(ResponseFilter *filter,
         FilterEvent *event,
         uint32_t node,
         TextEntry *entry,
         unsigned index)
{
  const DomNode *at = dom_node(&filter->dom, node);
  const TextPart *part;
  Slot slot = {.field = NULL, .kind = SLOT_COPY};

  if (entry == NULL || !dom_is_string(&filter->dom, node))
    return;
  part = find_part(filter, entry, index);
  if (part == NULL)
    return;
  g_string_truncate(filter->decoded, 0);
  string_decode(filter->dom.text + at->start + 1,
                at->end - at->start - 2,
                filter->decoded);
  if (filter->decoded->len != part->end - part->start ||
      text_hash(TEXT_HASH_START, filter->decoded->str, filter->decoded->len) !=
          part->hash)
    return;
  slot.field = entry->field;
  slot.from = part->start;
  slot.to = part->end;
  slot.start = at->start + 1;
  slot.end = at->end - 1;
  g_array_append_val(event->slots, slot);
  filter_cover(filter, node);
}

static TextEntry *
known_text(ResponseFilter *filter, unsigned item, const char *name)
{
  for (guint i = 0; i < filter->texts->len; i++) {
    TextEntry *entry = filter->texts->pdata[i];

    if (entry->choice == item && !entry->field->whole &&
        strcmp(entry->name, name) == 0)
      return entry;
  }
  return NULL;
}

/* A part's text, whatever its type calls it. */
static void
copy_part(ResponseFilter *filter,
          FilterEvent *event,
          uint32_t part,
          unsigned item,
          unsigned index,
          const char *name)
{
  const Dom *dom = &filter->dom;
  g_autofree char *type = dom_text(dom, dom_member(dom, part, "type"));
  const uint32_t text = dom_member(dom, part, "text");
  const uint32_t refusal = dom_member(dom, part, "refusal");

  if (text != 0)
    add_copy(filter,
             event,
             text,
             known_text(filter,
                        item,
                        name != NULL ? name
                        : type       ? type
                                     : ""),
             index);
  if (refusal != 0)
    add_copy(
        filter, event, refusal, known_text(filter, item, "refusal"), index);
}

/* An item in output_item.done and response.completed. */
static void
copy_item(ResponseFilter *filter,
          FilterEvent *event,
          uint32_t item,
          unsigned index)
{
  static const char *const members[] = {"arguments", "input"};
  const Dom *dom = &filter->dom;
  const uint32_t content = dom_member(dom, item, "content");
  const uint32_t summary = dom_member(dom, item, "summary");
  const Call *call = filter_find_call(filter, 0, index);
  unsigned n = 0;

  for (uint32_t part = content != 0 ? dom_child(dom, content) : 0; part != 0;
       part = dom_next(dom, part))
    copy_part(filter, event, part, index, n++, NULL);
  n = 0;
  for (uint32_t part = summary != 0 ? dom_child(dom, summary) : 0; part != 0;
       part = dom_next(dom, part))
    copy_part(filter, event, part, index, n++, "reasoning_summary_text");
  for (unsigned i = 0; call != NULL && i < G_N_ELEMENTS(members); i++) {
    const uint32_t node = dom_member(dom, item, members[i]);

    if (node != 0)
      add_copy(filter, event, node, call_entry(filter, call), 0);
  }
}

static bool
repeats_text(ResponseFilter *filter,
             const Call *call,
             uint32_t node,
             GError **error)
{
  const char *known = known_arguments(call);
  g_autofree char *text = dom_text(&filter->dom, node);

  return node == 0 || known == NULL || g_strcmp0(known, text) == 0 ||
         filter_refuse_call(error);
}

/* "response.output_text.done" and its like repeat one part. */
static bool
read_done(ResponseFilter *filter,
          FilterEvent *event,
          const char *name,
          GError **error)
{
  static const char *const members[] = {
      "text", "refusal", "arguments", "input", "code", "transcript"};
  const Dom *dom = &filter->dom;
  Call *call = filter_find_call(filter, 0, event->index);
  TextEntry *entry = known_text(filter, event->index, name);
  uint32_t node = 0;

  if (entry != NULL)
    filter_flush_text(filter, entry);
  for (unsigned i = 0; node == 0 && i < G_N_ELEMENTS(members); i++)
    node = dom_member(dom, 0, members[i]);
  if (call != NULL) {
    if (filter_call(filter, event, 0, event->index, error) == NULL)
      return false;
    entry = call_entry(filter, call);
    /* Arguments that came at once are their own only piece. */
    if (dom_is_string(dom, node) && text_field_end(call->arguments) == 0)
      return add_piece(filter, event, node, entry, 0, error);
    if (!repeats_text(filter, call, node, error))
      return false;
  }
  if (node != 0)
    add_copy(filter, event, node, entry, call != NULL ? 0 : part_index(dom));
  return true;
}

/* ---- Items ------------------------------------------------------------- */

static bool
read_item_added(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Dom *dom = &filter->dom;
  const uint32_t item = dom_member(dom, 0, "item");

  event->tag = KIND_ITEM_ADDED;
  if (item == 0 || !responses_item_is_call(dom, item))
    return true;
  return filter_call(filter, event, 0, event->index, error) != NULL;
}

static bool
read_item_done(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Dom *dom = &filter->dom;
  const uint32_t item = dom_member(dom, 0, "item");
  uint32_t arguments;
  Call *call;

  event->tag = KIND_ITEM_DONE;
  if (!filter_finish_texts(filter, event->index, false, error))
    return false;
  if (item == 0)
    return true;
  if (!responses_item_is_call(dom, item)) {
    copy_item(filter, event, item, event->index);
    return true;
  }
  call = filter_call(filter, event, 0, event->index, error);
  if (call == NULL)
    return false;
  arguments = dom_member(dom, item, "arguments");
  if (arguments == 0)
    arguments = dom_member(dom, item, "input");
  if (dom_is_string(dom, arguments) && call->state == CALL_OPEN &&
      text_field_end(call->arguments) == 0) {
    if (!add_piece(
            filter, event, arguments, call_entry(filter, call), 0, error))
      return false;
  } else {
    copy_item(filter, event, item, event->index);
  }
  return take_item(filter, call, item, error) &&
         filter_close_call(filter, call, error);
}

static void
read_usage(ResponseFilter *filter, uint32_t response)
{
  const Dom *dom = &filter->dom;
  const uint32_t usage = dom_member(dom, response, "usage");
  int64_t n;

  if (usage == 0)
    return;
  n = dom_integer(dom, dom_member(dom, usage, "input_tokens"));
  filter->input_tokens = n >= 0 ? n : filter->input_tokens;
  n = dom_integer(dom, dom_member(dom, usage, "output_tokens"));
  filter->output_tokens = n >= 0 ? n : filter->output_tokens;
}

static bool
read_end(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Dom *dom = &filter->dom;
  const uint32_t response = dom_member(dom, 0, "response");
  const uint32_t output =
      response != 0 ? dom_member(dom, response, "output") : 0;
  unsigned n = 0;

  event->tag = KIND_END;
  event->flags |= EVENT_TERMINAL;
  if (!filter_finish_texts(filter, 0, true, error))
    return false;
  for (uint32_t item = output != 0 ? dom_child(dom, output) : 0; item != 0;
       item = dom_next(dom, item), n++) {
    /* A call that only the last event tells is judged as well. */
    if (responses_item_is_call(dom, item)) {
      Call *call = filter_call(filter, event, 0, n, error);

      if (call == NULL || !take_item(filter, call, item, error))
        return false;
    }
    copy_item(filter, event, item, n);
  }
  for (guint i = 0; i < filter->calls->len; i++)
    if (!filter_close_call(filter, filter->calls->pdata[i], error))
      return false;
  return true;
}

static bool
read_known(ResponseFilter *filter,
           FilterEvent *event,
           const char *type,
           GError **error)
{
  const Dom *dom = &filter->dom;
  const char *name = type + strlen("response.");
  const size_t len = strlen(name);
  g_autofree char *text = NULL;

  if (strcmp(name, "completed") == 0 || strcmp(name, "incomplete") == 0 ||
      strcmp(name, "failed") == 0)
    return read_end(filter, event, error);
  if (strcmp(name, "created") == 0)
    event->tag = KIND_CREATED;
  if (strcmp(name, "output_item.added") == 0)
    return read_item_added(filter, event, error);
  if (strcmp(name, "output_item.done") == 0)
    return read_item_done(filter, event, error);
  if (strcmp(name, "content_part.added") == 0)
    event->tag = KIND_PART_ADDED;
  if (strcmp(name, "content_part.done") == 0) {
    event->tag = KIND_PART_DONE;
    copy_part(filter,
              event,
              dom_member(dom, 0, "part"),
              event->index,
              part_index(dom),
              NULL);
  } else if (strcmp(name, "reasoning_summary_part.done") == 0) {
    copy_part(filter,
              event,
              dom_member(dom, 0, "part"),
              event->index,
              part_index(dom),
              "reasoning_summary_text");
  } else if (g_str_has_suffix(name, ".delta")) {
    text = g_strndup(name, len - strlen(".delta"));
    return read_delta(filter, event, text, error);
  } else if (g_str_has_suffix(name, ".done")) {
    text = g_strndup(name, len - strlen(".done"));
    if (strcmp(text, "output_text") == 0)
      event->tag = KIND_TEXT_DONE;
    return read_done(filter, event, text, error);
  }
  return true;
}

static bool
responses_read(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Dom *dom = &filter->dom;
  g_autofree char *type = dom_text(dom, dom_member(dom, 0, "type"));
  const uint32_t response = dom_member(dom, 0, "response");
  const uint32_t number = dom_member(dom, 0, "sequence_number");

  event->index = member_index(dom, "output_index");
  event->number = dom_integer(dom, number);
  if (event->number >= 0) {
    event->number_start = dom_node(dom, number)->start;
    event->number_end = dom_node(dom, number)->end;
  }
  if (response != 0) {
    head_note(filter, response, "created_at");
    read_usage(filter, response);
  }
  if (type != NULL && strcmp(type, "error") == 0)
    event->tag = KIND_ERROR;
  if (type == NULL || !g_str_has_prefix(type, "response."))
    return true;
  return read_known(filter, event, type, error);
}

const Shape shape_responses = {.data_new = responses_data_new,
                               .data_free = responses_data_free,
                               .read = responses_read,
                               .more = responses_more,
                               .write = responses_write,
                               .written = responses_written,
                               .state = responses_state,
                               .is_complete = responses_is_complete};
