/* SPDX-License-Identifier: Apache-2.0 */
/* Whole bodies: finds the messages of each shape, and the strings of the
 * rest. */
#include "talk/private.h"

#include "kit/json.h"

#include <string.h>

static const char *const role_names[] = {
    [TALK_SYSTEM] = "system",
    [TALK_USER] = "user",
    [TALK_ASSISTANT] = "assistant",
    [TALK_TOOL] = "tool",
    [TALK_OTHER] = "other",
};

static const char *const kind_names[] = {
    [TALK_TEXT] = "text",
    [TALK_THINKING] = "thinking",
    [TALK_CALL] = "call",
    [TALK_RESULT] = "result",
    [TALK_ATTACHED] = "attached",
    [TALK_STRINGS] = "strings",
};

const char *
talk_role_name(TalkRole role)
{
  g_return_val_if_fail((unsigned)role < G_N_ELEMENTS(role_names), "other");
  return role_names[role];
}

const char *
talk_kind_name(TalkKind kind)
{
  g_return_val_if_fail((unsigned)kind < G_N_ELEMENTS(kind_names), "strings");
  return kind_names[kind];
}

/* ---- Parts --------------------------------------------------------------- */

static void
part_free(gpointer data)
{
  TalkPart *part = data;

  g_free(part->name);
  g_free(part->id);
  g_string_free(part->text, TRUE);
  g_free(part);
}

/* NULs, which JSON can write, would end the text early. */
void
talk_append(TalkPart *part, const char *text, size_t len)
{
  if (!part || !len)
    return;
  if (g_utf8_validate(text, (gssize)len, NULL)) {
    g_string_append_len(part->text, text, (gssize)len);
  } else {
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)len);

    g_string_append(part->text, valid);
  }
}

TalkPart *
talk_add(GPtrArray *parts, TalkRole role, TalkKind kind, const char *text)
{
  TalkPart *part;

  if (parts->len >= TALK_MAX_PARTS)
    return NULL;
  part = g_new0(TalkPart, 1);
  part->role = role;
  part->kind = kind;
  part->text = g_string_new(NULL);
  g_ptr_array_add(parts, part);
  if (text)
    talk_append(part, text, strlen(text));
  return part;
}

void
talk_append_json(TalkPart *part, struct json_object *text)
{
  if (!text)
    return;
  if (json_object_is_type(text, json_type_string))
    talk_append(part,
                json_object_get_string(text),
                (size_t)json_object_get_string_len(text));
  else {
    const char *plain = json_object_to_json_string_ext(
        text, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

    talk_append(part, plain, strlen(plain));
  }
}

/* ---- JSON ---------------------------------------------------------------- */

struct json_object *
talk_member(struct json_object *from, const char *name)
{
  struct json_object *value = NULL;

  if (!json_object_is_type(from, json_type_object))
    return NULL;
  json_object_object_get_ex(from, name, &value);
  return value;
}

const char *
talk_string(struct json_object *from, const char *name)
{
  struct json_object *value = talk_member(from, name);

  return json_object_is_type(value, json_type_string)
             ? json_object_get_string(value)
             : NULL;
}

struct json_object *
talk_parse(const char *text, size_t len)
{
  struct json_tokener *tokener;
  struct json_object *json;

  if (len > INT_MAX)
    return NULL;
  tokener = json_tokener_new_ex(TALK_MAX_DEPTH);
  json = json_tokener_parse_ex(tokener, text, (int)len);
  if (json_tokener_get_error(tokener) != json_tokener_success) {
    json_object_put(json);
    json = NULL;
  }
  json_tokener_free(tokener);
  return json;
}

/* Every decoded string value, up to where the text stops being JSON. */
static bool
append_strings(GString *out, const char *text, size_t len)
{
  JsonReader reader;
  JsonToken token = {.type = JSON_NULL};
  bool any = false;

  json_reader_init(&reader, text, len);
  while (json_next(&reader, &token, NULL) && token.type != JSON_END) {
    any = any || token.type == JSON_OBJECT_BEGIN ||
          token.type == JSON_ARRAY_BEGIN;
    if (token.type != JSON_STRING)
      continue;
    json_unescape(text, &token, out);
    g_string_append_c(out, '\n');
  }
  return any;
}

void
talk_add_strings(GPtrArray *parts, const char *text, size_t len)
{
  g_autoptr(GString) strings = g_string_new(NULL);
  TalkPart *part;

  if (!len)
    return;
  part = talk_add(parts, TALK_OTHER, TALK_STRINGS, NULL);
  if (append_strings(strings, text, len))
    talk_append(part, strings->str, strings->len);
  else
    talk_append(part, text, len);
}

/* ---- Requests ------------------------------------------------------------ */

static TalkRole
role_of(const char *name, TalkRole otherwise)
{
  if (g_strcmp0(name, "system") == 0 || g_strcmp0(name, "developer") == 0)
    return TALK_SYSTEM;
  if (g_strcmp0(name, "user") == 0)
    return TALK_USER;
  if (g_strcmp0(name, "assistant") == 0)
    return TALK_ASSISTANT;
  if (g_strcmp0(name, "tool") == 0 || g_strcmp0(name, "function") == 0)
    return TALK_TOOL;
  return otherwise;
}

static void
read_messages(GPtrArray *parts, struct json_object *messages)
{
  size_t n = json_object_array_length(messages);

  for (size_t i = 0; i < n; i++) {
    struct json_object *message = json_object_array_get_idx(messages, i);

    talk_message(
        parts, role_of(talk_string(message, "role"), TALK_USER), 0, message);
  }
}

static void
read_items(GPtrArray *parts, TalkRole role, struct json_object *items)
{
  size_t n;

  if (json_object_is_type(items, json_type_string)) {
    talk_append_json(talk_add(parts, role, TALK_TEXT, NULL), items);
    return;
  }
  n = json_object_is_type(items, json_type_array)
          ? json_object_array_length(items)
          : 0;
  for (size_t i = 0; i < n; i++) {
    struct json_object *item = json_object_array_get_idx(items, i);

    talk_item(parts, role_of(talk_string(item, "role"), role), item);
  }
}

static void
read_prompt(GPtrArray *parts, struct json_object *body)
{
  struct json_object *prompt = talk_member(body, "prompt");
  const char *suffix = talk_string(body, "suffix");
  size_t n = json_object_is_type(prompt, json_type_array)
                 ? json_object_array_length(prompt)
                 : 0;

  if (!n)
    talk_append_json(talk_add(parts, TALK_USER, TALK_TEXT, NULL), prompt);
  for (size_t i = 0; i < n; i++)
    talk_append_json(talk_add(parts, TALK_USER, TALK_TEXT, NULL),
                     json_object_array_get_idx(prompt, i));
  if (suffix && *suffix) {
    TalkPart *part = talk_add(parts, TALK_USER, TALK_TEXT, suffix);

    if (part)
      part->name = g_strdup("suffix");
  }
}

static bool
read_request(GPtrArray *parts, Api api, struct json_object *body)
{
  struct json_object *messages = talk_member(body, "messages");
  struct json_object *input = talk_member(body, "input");

  if (json_object_is_type(messages, json_type_array)) {
    talk_content(parts, TALK_SYSTEM, 0, talk_member(body, "system"));
    read_messages(parts, messages);
    return true;
  }
  if (input && (api == API_RESPONSES || api == API_EMBEDDINGS)) {
    talk_content(parts, TALK_SYSTEM, 0, talk_member(body, "instructions"));
    read_items(parts, TALK_USER, input);
    return true;
  }
  if (api == API_COMPLETIONS && talk_member(body, "prompt")) {
    read_prompt(parts, body);
    return true;
  }
  return false;
}

/* ---- Answers ------------------------------------------------------------- */

bool
talk_error(GPtrArray *parts, struct json_object *body)
{
  struct json_object *error = talk_member(body, "error");
  const char *message = talk_string(error, "message");
  TalkPart *part;

  if (json_object_is_type(error, json_type_string))
    message = json_object_get_string(error);
  if (!message)
    return false;
  part = talk_add(parts, TALK_OTHER, TALK_TEXT, message);
  if (part)
    part->name = g_strdup("error");
  return true;
}

static void
read_choices(GPtrArray *parts, struct json_object *choices)
{
  size_t n = json_object_array_length(choices);

  for (size_t i = 0; i < n; i++) {
    struct json_object *choice = json_object_array_get_idx(choices, i);
    struct json_object *message = talk_member(choice, "message");
    const char *text = talk_string(choice, "text");

    if (message)
      talk_message(parts, TALK_ASSISTANT, (unsigned)i, message);
    else if (text) {
      TalkPart *part = talk_add(parts, TALK_ASSISTANT, TALK_TEXT, text);

      if (part)
        part->choice = (unsigned)i;
    }
  }
}

static bool
read_answer(GPtrArray *parts, struct json_object *body)
{
  struct json_object *choices = talk_member(body, "choices");
  struct json_object *output = talk_member(body, "output");
  struct json_object *content = talk_member(body, "content");

  if (json_object_is_type(choices, json_type_array))
    read_choices(parts, choices);
  else if (json_object_is_type(output, json_type_array))
    read_items(parts, TALK_ASSISTANT, output);
  else if (json_object_is_type(content, json_type_array))
    talk_content(parts, TALK_ASSISTANT, 0, content);
  else
    return talk_error(parts, body);
  return true;
}

GPtrArray *
talk_read(Api api, bool answer, const char *body, size_t len)
{
  GPtrArray *parts = g_ptr_array_new_with_free_func(part_free);
  struct json_object *json;

  if (answer && talk_is_stream(body, len)) {
    talk_stream(parts, body, len);
    if (parts->len == 0)
      talk_add_strings(parts, body, len);
    return parts;
  }
  json = talk_parse(body, len);
  if (!(answer ? read_answer(parts, json) : read_request(parts, api, json)))
    talk_add_strings(parts, body, len);
  json_object_put(json);
  return parts;
}

bool
talk_is_plain(bool answer, const char *body, size_t len)
{
  size_t at = 0;

  while (at < len && g_ascii_isspace(body[at]))
    at++;
  /* json-c takes comments, too. */
  return at < len && strchr("{[/", body[at]) == NULL &&
         !(answer && talk_is_stream(body, len)) &&
         g_utf8_validate(body, (gssize)len, NULL);
}
