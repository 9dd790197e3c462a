/* SPDX-License-Identifier: Apache-2.0 */
/* Makes streamed answers of every API from the pieces of a text or of a tool
 * call's arguments, each string escaped in one of several ways. */
#ifndef HOOP_TEST_STREAM_MAKE_H
#define HOOP_TEST_STREAM_MAKE_H

#include "kit/api.h"
#include "kit/json.h"

#include <glib.h>
#include <string.h>

typedef enum { ESCAPE_LEAST, ESCAPE_ALL, N_ESCAPES } Escape;

/* Where a text stands in the stream of its API. */
typedef enum {
  PLACE_CHAT,
  PLACE_CHAT_SECOND, /* choice 1, beside a clean choice 0 */
  PLACE_CHAT_REASONING,
  PLACE_CHAT_CALL,
  PLACE_CHAT_FUNCTION, /* the older function_call */
  PLACE_ENGINES,
  PLACE_RESPONSES,
  PLACE_RESPONSES_PARTS, /* one content part a piece */
  PLACE_RESPONSES_REASONING,
  PLACE_RESPONSES_CALL,
  PLACE_MESSAGES,
  PLACE_MESSAGES_BLOCKS, /* one content block a piece */
  PLACE_MESSAGES_THINKING,
  PLACE_MESSAGES_CALL,
  PLACE_OTHER,
  PLACE_RAW, /* data that is not JSON */
  N_PLACES
} Place;

static const char *const place_names[N_PLACES] = {"chat",
                                                  "chat-second",
                                                  "chat-reasoning",
                                                  "chat-call",
                                                  "chat-function",
                                                  "engines",
                                                  "responses",
                                                  "responses-parts",
                                                  "responses-reasoning",
                                                  "responses-call",
                                                  "messages",
                                                  "messages-blocks",
                                                  "messages-thinking",
                                                  "messages-call",
                                                  "other",
                                                  "raw"};

static inline Api
place_api(Place place)
{
  if (place <= PLACE_CHAT_FUNCTION)
    return API_CHAT;
  if (place == PLACE_ENGINES)
    return API_COMPLETIONS;
  if (place <= PLACE_RESPONSES_CALL)
    return API_RESPONSES;
  if (place <= PLACE_MESSAGES_CALL)
    return API_MESSAGES;
  return API_OTHER;
}

static inline bool
place_is_call(Place place)
{
  return place == PLACE_CHAT_CALL || place == PLACE_CHAT_FUNCTION ||
         place == PLACE_RESPONSES_CALL || place == PLACE_MESSAGES_CALL;
}

/* The member that the client joins the text from. */
static inline const char *
place_member(Place place)
{
  static const char *const members[N_PLACES] = {"content",
                                                "content",
                                                "reasoning_content",
                                                "arguments",
                                                "arguments",
                                                "text",
                                                "delta",
                                                "delta",
                                                "delta",
                                                "delta",
                                                "text",
                                                "text",
                                                "thinking",
                                                "partial_json",
                                                "delta",
                                                "delta"};

  return members[place];
}

typedef struct {
  GString *out;
  Escape escape;
  int sequence;
} Maker;

static inline void
put_string(Maker *maker, const char *text, size_t len)
{
  g_string_append_c(maker->out, '"');
  if (maker->escape == ESCAPE_LEAST) {
    json_escape(maker->out, text, (gssize)len);
  } else {
    for (size_t i = 0; i < len;) {
      const gunichar c = g_utf8_get_char(text + i);

      if (c >= 0x10000)
        g_string_append_printf(maker->out,
                               "\\u%04x\\u%04x",
                               0xd800 + (unsigned)((c - 0x10000) >> 10),
                               0xdc00 + (unsigned)((c - 0x10000) & 0x3ff));
      else
        g_string_append_printf(maker->out, "\\u%04X", (unsigned)c);
      i += (size_t)(g_utf8_next_char(text + i) - (text + i));
    }
  }
  g_string_append_c(maker->out, '"');
}

static inline void put(Maker *maker, const char *format, ...)
    G_GNUC_PRINTF(2, 3);
static inline void
put(Maker *maker, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_string_append_vprintf(maker->out, format, args);
  va_end(args);
}

/* ---- Chat and engines -------------------------------------------------- */

static inline void
put_choice(Maker *maker, Place place, unsigned index)
{
  put(maker,
      "data: "
      "{\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
      "\"model\":\"gpt-4.1\",\"choices\":[{\"index\":%u,%s",
      index,
      place == PLACE_ENGINES ? "\"text\":" : "\"delta\":{");
}

static inline void
put_choice_end(Maker *maker, Place place, const char *finish)
{
  put(maker, place == PLACE_ENGINES ? "," : "},");
  if (finish != NULL)
    put(maker, "\"finish_reason\":\"%s\"}]}\n\n", finish);
  else
    put(maker, "\"finish_reason\":null}]}\n\n");
}

static inline void
make_chat(Maker *maker, Place place, const char *const *pieces, unsigned n)
{
  const unsigned index = place == PLACE_CHAT_SECOND ? 1 : 0;

  if (place != PLACE_ENGINES) {
    put_choice(maker, place, 0);
    put(maker, "\"role\":\"assistant\",\"content\":%s", "null");
    put_choice_end(maker, place, NULL);
  }
  for (unsigned i = 0; i < n; i++) {
    if (place == PLACE_CHAT_SECOND) {
      put_choice(maker, place, 0);
      put(maker, "\"content\":\"clean\"");
      put_choice_end(maker, place, NULL);
    }
    put_choice(maker, place, index);
    if (place == PLACE_CHAT_REASONING)
      put(maker, "\"reasoning_content\":");
    else if (place == PLACE_CHAT_CALL && i == 0)
      put(maker,
          "\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":"
          "\"function\",\"function\":{\"name\":\"run\",\"arguments\":");
    else if (place == PLACE_CHAT_CALL)
      put(maker, "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":");
    else if (place == PLACE_CHAT_FUNCTION)
      put(maker,
          "\"function_call\":{%s\"arguments\":",
          i == 0 ? "\"name\":\"run\"," : "");
    else if (place != PLACE_ENGINES)
      put(maker, "\"content\":");
    put_string(maker, pieces[i], strlen(pieces[i]));
    if (place == PLACE_CHAT_CALL)
      put(maker, "}}]");
    else if (place == PLACE_CHAT_FUNCTION)
      put(maker, "}");
    put_choice_end(maker, place, NULL);
  }
  for (unsigned i = 0; i <= index; i++) {
    put_choice(maker, place, i);
    if (place == PLACE_ENGINES)
      put(maker, "\"\"");
    put_choice_end(maker,
                   place,
                   place == PLACE_CHAT_CALL       ? "tool_calls"
                   : place == PLACE_CHAT_FUNCTION ? "function_call"
                                                  : "stop");
  }
  put(maker, "data: [DONE]\n\n");
}

/* ---- Responses --------------------------------------------------------- */

static inline void
put_typed(Maker *maker, const char *type)
{
  put(maker,
      "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%d",
      type,
      type,
      maker->sequence++);
}

static inline void
put_at(Maker *maker, unsigned part)
{
  put(maker,
      ",\"item_id\":\"item_1\",\"output_index\":0,\"content_index\":%u",
      part);
}

static inline void
put_item(Maker *maker, Place place, const char *const *texts, unsigned n)
{
  if (place == PLACE_RESPONSES_CALL) {
    put(maker,
        "{\"id\":\"item_1\",\"type\":\"function_call\",\"status\":"
        "\"completed\",\"name\":\"run\",\"call_id\":\"call_1\",\"arguments\":");
    put_string(maker, n > 0 ? texts[0] : "", n > 0 ? strlen(texts[0]) : 0);
    put(maker, "}");
    return;
  }
  put(maker,
      "{\"id\":\"item_1\",\"type\":\"%s\",\"status\":\"completed\",%s",
      place == PLACE_RESPONSES_REASONING ? "reasoning" : "message",
      place == PLACE_RESPONSES_REASONING
          ? "\"content\":["
          : "\"role\":\"assistant\",\"content\":[");
  for (unsigned i = 0; i < n; i++) {
    put(maker,
        "%s{\"type\":\"%s\",\"annotations\":[],\"text\":",
        i > 0 ? "," : "",
        place == PLACE_RESPONSES_REASONING ? "reasoning_text" : "output_text");
    put_string(maker, texts[i], strlen(texts[i]));
    put(maker, "}");
  }
  put(maker, "]}");
}

static inline void
put_response(Maker *maker, const char *status)
{
  put(maker,
      ",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":"
      "1,\"status\":\"%s\",\"model\":\"gpt-5\",\"output\":[",
      status);
}

static inline void
make_parts(Maker *maker,
           Place place,
           const char *const *pieces,
           unsigned n,
           const char *const *texts,
           unsigned n_texts)
{
  const char *name =
      place == PLACE_RESPONSES_REASONING ? "reasoning_text" : "output_text";
  g_autofree char *delta = g_strdup_printf("response.%s.delta", name);
  g_autofree char *done = g_strdup_printf("response.%s.done", name);

  for (unsigned part = 0; part < n_texts; part++) {
    put_typed(maker, "response.content_part.added");
    put_at(maker, part);
    put(maker, ",\"part\":{\"type\":\"%s\",\"text\":\"\"}}\n\n", name);
    for (unsigned i = n_texts > 1 ? part : 0; i < (n_texts > 1 ? part + 1 : n);
         i++) {
      put_typed(maker, delta);
      put_at(maker, part);
      put(maker, ",\"delta\":");
      put_string(maker, pieces[i], strlen(pieces[i]));
      put(maker, ",\"logprobs\":[]}\n\n");
    }
    put_typed(maker, done);
    put_at(maker, part);
    put(maker, ",\"text\":");
    put_string(maker, texts[part], strlen(texts[part]));
    put(maker, "}\n\n");
    put_typed(maker, "response.content_part.done");
    put_at(maker, part);
    put(maker, ",\"part\":{\"type\":\"%s\",\"text\":", name);
    put_string(maker, texts[part], strlen(texts[part]));
    put(maker, "}}\n\n");
  }
}

static inline void
make_responses(Maker *maker, Place place, const char *const *pieces, unsigned n)
{
  g_autofree const char **list = g_new0(const char *, n + 1);
  g_autofree char *all = NULL;
  const bool parts = place == PLACE_RESPONSES_PARTS;
  const char *const *texts;
  unsigned n_texts = parts ? n : 1;

  memcpy(list, pieces, n * sizeof(*list));
  all = g_strjoinv("", (char **)(void *)list);
  texts = parts ? pieces : (const char *const *)&all;
  put_typed(maker, "response.created");
  put_response(maker, "in_progress");
  put(maker, "]}}\n\n");
  put_typed(maker, "response.output_item.added");
  put(maker, ",\"output_index\":0,\"item\":");
  put_item(maker, place, NULL, 0);
  put(maker, "}\n\n");
  if (place == PLACE_RESPONSES_CALL) {
    for (unsigned i = 0; i < n; i++) {
      put_typed(maker, "response.function_call_arguments.delta");
      put(maker, ",\"item_id\":\"item_1\",\"output_index\":0,\"delta\":");
      put_string(maker, pieces[i], strlen(pieces[i]));
      put(maker, "}\n\n");
    }
    put_typed(maker, "response.function_call_arguments.done");
    put(maker, ",\"item_id\":\"item_1\",\"output_index\":0,\"arguments\":");
    put_string(maker, all, strlen(all));
    put(maker, "}\n\n");
  } else {
    make_parts(maker, place, pieces, n, texts, n_texts);
  }
  put_typed(maker, "response.output_item.done");
  put(maker, ",\"output_index\":0,\"item\":");
  put_item(maker, place, texts, n_texts);
  put(maker, "}\n\n");
  put_typed(maker, "response.completed");
  put_response(maker, "completed");
  put_item(maker, place, texts, n_texts);
  put(maker,
      "],\"usage\":{\"input_tokens\":12,\"output_tokens\":34,"
      "\"total_tokens\":46}}}\n\n");
}

/* ---- Messages ---------------------------------------------------------- */

static inline void
put_message_event(Maker *maker, const char *type)
{
  put(maker, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static inline void
put_block(Maker *maker, Place place, unsigned index)
{
  put_message_event(maker, "content_block_start");
  put(maker,
      ",\"index\":%u,\"content_block\":%s}\n\n",
      index,
      place == PLACE_MESSAGES_CALL
          ? "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"run\","
            "\"input\":{}}"
      : place == PLACE_MESSAGES_THINKING
          ? "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"
          : "{\"type\":\"text\",\"text\":\"\"}");
}

static inline void
make_messages(Maker *maker, Place place, const char *const *pieces, unsigned n)
{
  const char *type = place == PLACE_MESSAGES_CALL       ? "input_json_delta"
                     : place == PLACE_MESSAGES_THINKING ? "thinking_delta"
                                                        : "text_delta";
  unsigned index = 0;

  put_message_event(maker, "message_start");
  put(maker,
      ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"
      "\"assistant\",\"model\":\"claude\",\"content\":[],\"usage\":"
      "{\"input_tokens\":12,\"output_tokens\":1}}}\n\n");
  put_message_event(maker, "ping");
  put(maker, "}\n\n");
  put_block(maker, place, 0);
  for (unsigned i = 0; i < n; i++) {
    if (place == PLACE_MESSAGES_BLOCKS && i > 0) {
      put_message_event(maker, "content_block_stop");
      put(maker, ",\"index\":%u}\n\n", index++);
      put_block(maker, place, index);
    }
    put_message_event(maker, "content_block_delta");
    put(maker,
        ",\"index\":%u,\"delta\":{\"type\":\"%s\",\"%s\":",
        index,
        type,
        place_member(place));
    put_string(maker, pieces[i], strlen(pieces[i]));
    put(maker, "}}\n\n");
  }
  put_message_event(maker, "content_block_stop");
  put(maker, ",\"index\":%u}\n\n", index);
  put_message_event(maker, "message_delta");
  put(maker,
      ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},\"usage\":"
      "{\"output_tokens\":34}}\n\n",
      place == PLACE_MESSAGES_CALL ? "tool_use" : "end_turn");
  put_message_event(maker, "message_stop");
  put(maker, "}\n\n");
}

static inline void
make_other(Maker *maker, Place place, const char *const *pieces, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    if (place == PLACE_RAW) {
      put(maker, "data: %s\n\n", pieces[i]);
      continue;
    }
    put(maker, "data: {\"delta\":");
    put_string(maker, pieces[i], strlen(pieces[i]));
    put(maker, "}\n\n");
  }
}

/* A whole stream; g_string_free. */
static inline GString *
make_stream(Place place, Escape escape, const char *const *pieces, unsigned n)
{
  Maker maker = {g_string_new(NULL), escape, 0};

  const Api api = place_api(place);

  if (api == API_CHAT || api == API_COMPLETIONS)
    make_chat(&maker, place, pieces, n);
  else if (api == API_RESPONSES)
    make_responses(&maker, place, pieces, n);
  else if (api == API_MESSAGES)
    make_messages(&maker, place, pieces, n);
  else
    make_other(&maker, place, pieces, n);
  return maker.out;
}

/* The text cut at each byte in `cuts` (ascending); g_strfreev. Cuts inside a
 * character move to its end. */
static inline char **
cut_text(const char *text, const size_t *cuts, unsigned n)
{
  GPtrArray *pieces = g_ptr_array_new();
  const size_t len = strlen(text);
  size_t at = 0;

  for (unsigned i = 0; i <= n; i++) {
    size_t end = i < n ? MIN(cuts[i], len) : len;

    while (end < len && ((unsigned char)text[end] & 0xc0) == 0x80)
      end++;
    if (end > at)
      g_ptr_array_add(pieces, g_strndup(text + at, end - at));
    at = MAX(at, end);
  }
  g_ptr_array_add(pieces, NULL);
  return (char **)g_ptr_array_free(pieces, FALSE);
}

static inline void
add_chunk(GString *out, unsigned choice, const char *delta, const char *finish)
{
  g_string_append_printf(
      out,
      "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\","
      "\"created\":1700000000,\"model\":\"gpt-4.1\",\"choices\":[{\"index\":%u,"
      "\"delta\":{%s},\"finish_reason\":%s%s%s}]}\n\n",
      choice,
      delta,
      finish ? "\"" : "",
      finish ? finish : "null",
      finish ? "\"" : "");
}

static inline void
add_content(GString *out, unsigned choice, const char *text, size_t len)
{
  g_autoptr(GString) delta = g_string_new("\"content\":\"");

  json_escape(delta, text, (gssize)len);
  g_string_append_c(delta, '"');
  add_chunk(out, choice, delta->str, NULL);
}

/* A chat stream whose one choice says `text` in pieces of n bytes. */
static inline GString *
chat_stream(const char *text, size_t n)
{
  GString *out = g_string_new(NULL);
  const size_t len = strlen(text);

  add_chunk(out, 0, "\"role\":\"assistant\",\"content\":\"\"", NULL);
  for (size_t i = 0; i < len; i += n)
    add_content(out, 0, text + i, MIN(n, len - i));
  add_chunk(out, 0, "", "stop");
  g_string_append(out, "data: [DONE]\n\n");
  return out;
}

static inline GString *
stream_of(Place place, const char *const *pieces, unsigned n)
{
  return make_stream(place, ESCAPE_LEAST, pieces, n);
}

static inline unsigned
count(const char *text, const char *what)
{
  unsigned n = 0;

  for (; (text = strstr(text, what)) != NULL; text += strlen(what))
    n++;
  return n;
}

#endif
