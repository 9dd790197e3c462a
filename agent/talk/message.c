/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and their blocks: OpenAI's chat/completions and Responses,
 * Anthropic's messages. */
#include "talk/private.h"

#include <string.h>

static void
add_call(GPtrArray *parts,
         unsigned choice,
         const char *name,
         const char *id,
         struct json_object *arguments)
{
  TalkPart *part = talk_add(parts, TALK_ASSISTANT, TALK_CALL, NULL);

  if (!part)
    return;
  part->choice = choice;
  part->name = g_strdup(name);
  part->id = g_strdup(id);
  talk_append_json(part, arguments);
}

/* The text of a block, or of a list of blocks. */
static void
append_blocks(TalkPart *part, struct json_object *content)
{
  size_t n;

  if (!json_object_is_type(content, json_type_array)) {
    talk_append_json(part, content);
    return;
  }
  n = json_object_array_length(content);
  for (size_t i = 0; i < n; i++) {
    struct json_object *block = json_object_array_get_idx(content, i);
    struct json_object *text = talk_member(block, "text");

    if (part && part->text->len)
      g_string_append_c(part->text, '\n');
    talk_append_json(part, text ? text : block);
  }
}

static void
add_result(GPtrArray *parts, const char *id, struct json_object *content)
{
  TalkPart *part = talk_add(parts, TALK_TOOL, TALK_RESULT, NULL);

  if (!part)
    return;
  part->id = g_strdup(id);
  append_blocks(part, content);
}

/* An image or a file: what it is, never its bytes. */
static void
add_attached(GPtrArray *parts, TalkRole role, const char *type, bool linked)
{
  g_autofree char *text =
      g_strdup_printf("%s%s", type, linked ? " (by reference)" : "");

  talk_add(parts, role, TALK_ATTACHED, text);
}

static bool
is_text_block(const char *type)
{
  static const char *const types[] = {"text",
                                      "input_text",
                                      "output_text",
                                      "refusal",
                                      "thinking",
                                      "summary_text",
                                      "reasoning_text",
                                      NULL};

  return !type || g_strv_contains(types, type);
}

static void
text_block(GPtrArray *parts,
           TalkRole role,
           unsigned choice,
           const char *type,
           struct json_object *block)
{
  bool thinking = type && !g_str_has_suffix(type, "put_text") &&
                  !g_str_equal(type, "text") && !g_str_equal(type, "refusal");
  struct json_object *text = talk_member(block, "text");
  TalkPart *part =
      talk_add(parts, role, thinking ? TALK_THINKING : TALK_TEXT, NULL);

  if (!part)
    return;
  part->choice = choice;
  if (!text)
    text = talk_member(block, "thinking");
  if (!text)
    text = talk_member(block, "refusal");
  talk_append_json(part, text ? text : block);
}

static void
one_block(GPtrArray *parts,
          TalkRole role,
          unsigned choice,
          struct json_object *block)
{
  const char *type = talk_string(block, "type");

  if (json_object_is_type(block, json_type_string))
    talk_append_json(talk_add(parts, role, TALK_TEXT, NULL), block);
  else if (is_text_block(type))
    text_block(parts, role, choice, type, block);
  else if (g_str_equal(type, "tool_use"))
    add_call(parts,
             choice,
             talk_string(block, "name"),
             talk_string(block, "id"),
             talk_member(block, "input"));
  else if (g_str_equal(type, "tool_result"))
    add_result(parts,
               talk_string(block, "tool_use_id"),
               talk_member(block, "content"));
  else
    add_attached(parts, role, type, g_str_has_suffix(type, "_url"));
}

void
talk_content(GPtrArray *parts,
             TalkRole role,
             unsigned choice,
             struct json_object *content)
{
  size_t n;

  if (json_object_is_type(content, json_type_string)) {
    TalkPart *part = talk_add(parts, role, TALK_TEXT, NULL);

    if (part)
      part->choice = choice;
    talk_append_json(part, content);
    return;
  }
  n = json_object_is_type(content, json_type_array)
          ? json_object_array_length(content)
          : 0;
  for (size_t i = 0; i < n; i++)
    one_block(parts, role, choice, json_object_array_get_idx(content, i));
}

static void
read_calls(GPtrArray *parts, unsigned choice, struct json_object *message)
{
  struct json_object *calls = talk_member(message, "tool_calls");
  struct json_object *function = talk_member(message, "function_call");
  size_t n = json_object_is_type(calls, json_type_array)
                 ? json_object_array_length(calls)
                 : 0;

  for (size_t i = 0; i < n; i++) {
    struct json_object *call = json_object_array_get_idx(calls, i);
    struct json_object *inner = talk_member(call, "function");

    add_call(parts,
             choice,
             talk_string(inner, "name"),
             talk_string(call, "id"),
             talk_member(inner, "arguments"));
  }
  if (function)
    add_call(parts,
             choice,
             talk_string(function, "name"),
             NULL,
             talk_member(function, "arguments"));
}

void
talk_message(GPtrArray *parts,
             TalkRole role,
             unsigned choice,
             struct json_object *message)
{
  struct json_object *content = talk_member(message, "content");
  const char *reasoning = talk_string(message, "reasoning_content");
  const char *refusal = talk_string(message, "refusal");
  unsigned before = parts->len;

  if (role == TALK_TOOL) {
    add_result(parts, talk_string(message, "tool_call_id"), content);
  } else {
    if (reasoning && *reasoning)
      talk_add(parts, role, TALK_THINKING, reasoning);
    talk_content(parts, role, choice, content);
    if (refusal && *refusal)
      talk_add(parts, role, TALK_TEXT, refusal);
    read_calls(parts, choice, message);
  }
  if (parts->len > before) {
    TalkPart *first = parts->pdata[before];

    if (!first->name)
      first->name = g_strdup(talk_string(message, "name"));
  }
}

void
talk_item(GPtrArray *parts, TalkRole role, struct json_object *item)
{
  const char *type = talk_string(item, "type");
  const char *id = talk_string(item, "call_id");

  if (json_object_is_type(item, json_type_string) || !type ||
      g_str_equal(type, "message")) {
    if (json_object_is_type(item, json_type_object))
      talk_content(parts, role, 0, talk_member(item, "content"));
    else
      talk_append_json(talk_add(parts, role, TALK_TEXT, NULL), item);
  } else if (g_str_equal(type, "reasoning")) {
    talk_content(parts, TALK_ASSISTANT, 0, talk_member(item, "summary"));
  } else if (g_str_equal(type, "function_call") ||
             g_str_equal(type, "custom_tool_call")) {
    struct json_object *arguments = talk_member(item, "arguments");

    add_call(parts,
             0,
             talk_string(item, "name"),
             id,
             arguments ? arguments : talk_member(item, "input"));
  } else if (g_str_has_suffix(type, "_call_output")) {
    add_result(parts, id, talk_member(item, "output"));
  } else if (g_str_has_suffix(type, "_call")) {
    add_call(parts, 0, type, id, item);
  } else {
    one_block(parts, role, 0, item);
  }
}
