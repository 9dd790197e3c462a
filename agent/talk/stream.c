/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that were streams: events are put together again as the messages
 * that they made. */
#include "talk/private.h"

#include <string.h>

typedef struct {
  GPtrArray *parts;
  GHashTable *open; /* "choice/kind/index" → TalkPart that goes on */
} Stream;

bool
talk_is_stream(const char *body, size_t len)
{
  static const char *const starts[] = {"data:", "event:", "id:", "retry:", ":"};

  while (len && (*body == '\n' || *body == '\r')) {
    body++;
    len--;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(starts); i++)
    if (len >= strlen(starts[i]) &&
        memcmp(body, starts[i], strlen(starts[i])) == 0)
      return true;
  return false;
}

static unsigned
number(struct json_object *from, const char *name)
{
  struct json_object *value = talk_member(from, name);

  return json_object_is_type(value, json_type_int)
             ? (unsigned)json_object_get_int(value)
             : 0;
}

/* The part that goes on at this place, or a new one. */
static TalkPart *
going_on(Stream *stream, TalkKind kind, unsigned choice, unsigned index)
{
  g_autofree char *key = g_strdup_printf("%u/%d/%u", choice, (int)kind, index);
  TalkPart *part = g_hash_table_lookup(stream->open, key);

  if (part)
    return part;
  part = talk_add(stream->parts, TALK_ASSISTANT, kind, NULL);
  if (!part)
    return NULL;
  part->choice = choice;
  g_hash_table_insert(stream->open, g_steal_pointer(&key), part);
  return part;
}

static void
append_to(Stream *stream,
          TalkKind kind,
          unsigned choice,
          unsigned index,
          struct json_object *text)
{
  if (json_object_is_type(text, json_type_string) &&
      json_object_get_string_len(text) > 0)
    talk_append_json(going_on(stream, kind, choice, index), text);
}

static void
name_call(TalkPart *part, const char *name, const char *id)
{
  if (!part)
    return;
  if (name && !part->name)
    part->name = g_strdup(name);
  if (id && !part->id)
    part->id = g_strdup(id);
}

/* ---- chat/completions and completions ------------------------------------ */

static void
chat_delta(Stream *stream, unsigned choice, struct json_object *delta)
{
  struct json_object *calls = talk_member(delta, "tool_calls");
  struct json_object *function = talk_member(delta, "function_call");
  size_t n = json_object_is_type(calls, json_type_array)
                 ? json_object_array_length(calls)
                 : 0;

  append_to(stream,
            TALK_THINKING,
            choice,
            0,
            talk_member(delta, "reasoning_content"));
  append_to(stream, TALK_TEXT, choice, 0, talk_member(delta, "content"));
  append_to(stream, TALK_TEXT, choice, 0, talk_member(delta, "refusal"));
  for (size_t i = 0; i < n; i++) {
    struct json_object *call = json_object_array_get_idx(calls, i);
    struct json_object *inner = talk_member(call, "function");
    TalkPart *part = going_on(stream, TALK_CALL, choice, number(call, "index"));

    name_call(part, talk_string(inner, "name"), talk_string(call, "id"));
    talk_append_json(part, talk_member(inner, "arguments"));
  }
  if (function) {
    TalkPart *part = going_on(stream, TALK_CALL, choice, 0);

    name_call(part, talk_string(function, "name"), NULL);
    talk_append_json(part, talk_member(function, "arguments"));
  }
}

static void
choices_event(Stream *stream, struct json_object *choices)
{
  size_t n = json_object_array_length(choices);

  for (size_t i = 0; i < n; i++) {
    struct json_object *choice = json_object_array_get_idx(choices, i);
    unsigned index = number(choice, "index");

    append_to(stream, TALK_TEXT, index, 0, talk_member(choice, "text"));
    chat_delta(stream, index, talk_member(choice, "delta"));
    chat_delta(stream, index, talk_member(choice, "message"));
  }
}

/* ---- Anthropic messages -------------------------------------------------- */

static void
block_start(Stream *stream, unsigned index, struct json_object *block)
{
  if (g_strcmp0(talk_string(block, "type"), "tool_use") == 0)
    name_call(going_on(stream, TALK_CALL, 0, index),
              talk_string(block, "name"),
              talk_string(block, "id"));
  append_to(stream, TALK_TEXT, 0, index, talk_member(block, "text"));
}

static void
block_delta(Stream *stream, unsigned index, struct json_object *delta)
{
  append_to(stream, TALK_TEXT, 0, index, talk_member(delta, "text"));
  append_to(stream, TALK_THINKING, 0, index, talk_member(delta, "thinking"));
  append_to(stream, TALK_CALL, 0, index, talk_member(delta, "partial_json"));
}

/* ---- Responses ----------------------------------------------------------- */

static void
whole_response(Stream *stream, struct json_object *response)
{
  struct json_object *output = talk_member(response, "output");
  size_t n = json_object_is_type(output, json_type_array)
                 ? json_object_array_length(output)
                 : 0;

  if (!n) {
    talk_error(stream->parts, response);
    return;
  }
  g_hash_table_remove_all(stream->open);
  g_ptr_array_set_size(stream->parts, 0);
  for (size_t i = 0; i < n; i++)
    talk_item(
        stream->parts, TALK_ASSISTANT, json_object_array_get_idx(output, i));
}

static void
response_event(Stream *stream, const char *type, struct json_object *event)
{
  unsigned index = number(event, "output_index");
  struct json_object *delta = talk_member(event, "delta");
  struct json_object *item = talk_member(event, "item");

  if (g_str_equal(type, "response.output_text.delta") ||
      g_str_equal(type, "response.refusal.delta"))
    append_to(stream, TALK_TEXT, 0, index, delta);
  else if (g_str_has_prefix(type, "response.reasoning") &&
           g_str_has_suffix(type, ".delta"))
    append_to(stream, TALK_THINKING, 0, index, delta);
  else if (g_str_equal(type, "response.function_call_arguments.delta") ||
           g_str_equal(type, "response.custom_tool_call_input.delta"))
    append_to(stream, TALK_CALL, 0, index, delta);
  else if (g_str_equal(type, "response.output_item.added") &&
           talk_string(item, "call_id"))
    name_call(going_on(stream, TALK_CALL, 0, index),
              talk_string(item, "name"),
              talk_string(item, "call_id"));
  else if (g_str_equal(type, "response.completed") ||
           g_str_equal(type, "response.incomplete") ||
           g_str_equal(type, "response.failed"))
    whole_response(stream, talk_member(event, "response"));
}

/* ---- Events -------------------------------------------------------------- */

static void
one_event(Stream *stream, const char *data, size_t len)
{
  struct json_object *event = talk_parse(data, len);
  struct json_object *choices = talk_member(event, "choices");
  const char *type = talk_string(event, "type");

  if (json_object_is_type(choices, json_type_array))
    choices_event(stream, choices);
  else if (type && g_str_has_prefix(type, "response."))
    response_event(stream, type, event);
  else if (g_strcmp0(type, "content_block_start") == 0)
    block_start(
        stream, number(event, "index"), talk_member(event, "content_block"));
  else if (g_strcmp0(type, "content_block_delta") == 0)
    block_delta(stream, number(event, "index"), talk_member(event, "delta"));
  else
    talk_error(stream->parts, event);
  json_object_put(event);
}

static void
one_line(Stream *stream, GString *data, const char *line, size_t len)
{
  if (len == 0) {
    if (data->len)
      one_event(stream, data->str, data->len);
    g_string_truncate(data, 0);
    return;
  }
  if (len < 5 || memcmp(line, "data:", 5) != 0)
    return;
  line += 5;
  len -= 5;
  if (len && *line == ' ') {
    line++;
    len--;
  }
  if (data->len)
    g_string_append_c(data, '\n');
  g_string_append_len(data, line, (gssize)len);
}

void
talk_stream(GPtrArray *parts, const char *body, size_t len)
{
  Stream stream = {
      .parts = parts,
      .open = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
  };
  g_autoptr(GString) data = g_string_new(NULL);
  size_t at = 0;

  while (at < len) {
    const char *end = memchr(body + at, '\n', len - at);
    size_t line = end ? (size_t)(end - body) - at : len - at;
    size_t bare = line && body[at + line - 1] == '\r' ? line - 1 : line;

    one_line(&stream, data, body + at, bare);
    at += line + 1;
  }
  one_line(&stream, data, "", 0);
  g_hash_table_unref(stream.open);
}
