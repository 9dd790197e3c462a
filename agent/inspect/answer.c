/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's own words at the end of a stream: each API's events for a text
 * and a normal end, fitted to what the client got before. */
#include "inspect/answer.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include "kit/json.h"
#include <string.h>

/* Choices of one answer that are ended one by one. */
#define MAX_CHOICES 64
#define DONE "data: [DONE]\n\n"

void
answer_state_clear(AnswerState *state)
{
  g_free(state->id);
  g_free(state->model);
  g_free(state->open_item);
  if (state->open_text)
    g_string_free(state->open_text, TRUE);
  if (state->items)
    g_string_free(state->items, TRUE);
  *state = (AnswerState){0};
}

/* What one message needs; texts are JSON strings with their quotes. */
typedef struct {
  const AnswerState *state;
  GString *out;
  char *id, *model, *text;
  int64_t created;
  int64_t sequence;
} Writer;

static char *
quoted(const char *text)
{
  GString *json = g_string_new("\"");

  json_escape(json, text, -1);
  g_string_append_c(json, '"');
  return g_string_free(json, FALSE);
}

static char *
new_id(const char *prefix)
{
  uint8_t bytes[12];
  char hex[2 * sizeof bytes + 1];

  random_bytes(bytes, sizeof bytes);
  hex_encode(bytes, sizeof bytes, hex);
  return g_strconcat(prefix, hex, NULL);
}

static void
writer_init(Writer *writer,
            const AnswerState *state,
            const char *prefix,
            const char *model,
            const char *message,
            GString *out)
{
  g_autofree char *id = state->id ? g_strdup(state->id) : new_id(prefix);
  g_autofree char *text =
      g_strconcat(state->has_text ? "\n\n" : "", message, NULL);

  *writer =
      (Writer){.state = state,
               .out = out,
               .created = state->created ? state->created
                                         : clock_wall_us() / G_USEC_PER_SEC,
               .sequence = state->next_sequence};
  writer->id = quoted(id);
  writer->model = quoted(state->model ? state->model : model ? model : "");
  writer->text = quoted(text);
}

static void
writer_clear(Writer *writer)
{
  g_free(writer->id);
  g_free(writer->model);
  g_free(writer->text);
}

/* ---- Completions and chat
 * -------------------------------------------------------- */

static void
chunk(Writer *writer, const char *object, const char *choice)
{
  g_string_append_printf(writer->out,
                         "data: {\"id\":%s,\"object\":\"%s\","
                         "\"created\":%" G_GINT64_FORMAT ",\"model\":%s,"
                         "\"choices\":[%s]}\n\n",
                         writer->id,
                         object,
                         writer->created,
                         writer->model,
                         choice);
}

static bool
is_finished(const AnswerState *state, unsigned choice)
{
  return state->finished >> choice & 1;
}

static unsigned
n_choices(const AnswerState *state)
{
  return CLAMP(state->n_choices, 1, MAX_CHOICES);
}

/* A message has no place in code that a person is typing: the choice ends as
 * one that was cut ("length"), never as a whole one. */
static void
end_completions(Writer *writer)
{
  for (unsigned i = 0; i < n_choices(writer->state); i++) {
    g_autofree char *choice = NULL;

    if (is_finished(writer->state, i))
      continue;
    choice = g_strdup_printf("{\"index\":%u,\"text\":\"\",\"logprobs\":null,"
                             "\"finish_reason\":\"length\"}",
                             i);
    chunk(writer, "text_completion", choice);
  }
  g_string_append(writer->out, DONE);
}

static void
chat_delta(Writer *writer,
           unsigned index,
           const char *delta,
           const char *reason)
{
  g_autofree char *choice = g_strdup_printf(
      "{\"index\":%u,\"delta\":%s,\"finish_reason\":%s}", index, delta, reason);

  chunk(writer, "chat.completion.chunk", choice);
}

/* One choice says it, the first that is still open; the others just end. */
static void
end_chat(Writer *writer)
{
  g_autofree char *delta = NULL;
  unsigned speaker = 0;

  while (speaker + 1 < n_choices(writer->state) &&
         is_finished(writer->state, speaker))
    speaker++;
  delta =
      g_strdup_printf("{%s\"content\":%s}",
                      writer->state->started ? "" : "\"role\":\"assistant\",",
                      writer->text);
  chat_delta(writer, speaker, delta, "null");
  for (unsigned i = 0; i < n_choices(writer->state); i++)
    if (i == speaker || !is_finished(writer->state, i))
      chat_delta(writer, i, "{}", "\"stop\"");
  g_string_append(writer->out, DONE);
}

/* ---- Messages
 * --------------------------------------------------------------------- */

static void
event(Writer *writer, const char *type, const char *members)
{
  g_string_append_printf(writer->out,
                         "event: %s\ndata: {\"type\":\"%s\"%s%s}\n\n",
                         type,
                         type,
                         *members ? "," : "",
                         members);
}

static void
indexed(Writer *writer, const char *type, unsigned index, const char *member)
{
  g_autofree char *members =
      g_strdup_printf("\"index\":%u%s%s", index, *member ? "," : "", member);

  event(writer, type, members);
}

static void
start_message(Writer *writer)
{
  g_autofree char *members = g_strdup_printf(
      "\"message\":{\"id\":%s,\"type\":\"message\",\"role\":\"assistant\","
      "\"model\":%s,\"content\":[],\"stop_reason\":null,"
      "\"stop_sequence\":null,"
      "\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}",
      writer->id,
      writer->model);

  event(writer, "message_start", members);
}

static void
end_messages(Writer *writer)
{
  const AnswerState *state = writer->state;
  g_autofree char *delta = g_strdup_printf(
      "\"delta\":{\"type\":\"text_delta\",\"text\":%s}", writer->text);

  if (!state->started)
    start_message(writer);
  if (state->open)
    indexed(writer, "content_block_stop", state->open_index, "");
  indexed(writer,
          "content_block_start",
          state->next_index,
          "\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
  indexed(writer, "content_block_delta", state->next_index, delta);
  indexed(writer, "content_block_stop", state->next_index, "");
  event(writer,
        "message_delta",
        "\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
        "\"usage\":{\"output_tokens\":0}");
  event(writer, "message_stop", "");
}

/* ---- Responses
 * ---------------------------------------------------------------------- */

static void
numbered(Writer *writer, const char *type, const char *members)
{
  g_autofree char *all =
      g_strdup_printf("\"sequence_number\":%" G_GINT64_FORMAT ",%s",
                      writer->sequence++,
                      members);

  event(writer, type, all);
}

static void
response(Writer *writer,
         const char *type,
         const char *status,
         const char *output)
{
  bool over = g_str_equal(status, "completed");
  g_autofree char *members = g_strdup_printf(
      "\"response\":{\"id\":%s,\"object\":\"response\","
      "\"created_at\":%" G_GINT64_FORMAT ",\"status\":\"%s\",\"model\":%s,"
      "\"error\":null,\"incomplete_details\":null,\"output\":[%s]%s}",
      writer->id,
      writer->created,
      status,
      writer->model,
      output,
      over ? ",\"usage\":{\"input_tokens\":0,"
             "\"input_tokens_details\":{\"cached_tokens\":0},"
             "\"output_tokens\":0,"
             "\"output_tokens_details\":{\"reasoning_tokens\":0},"
             "\"total_tokens\":0}"
           : "");

  numbered(writer, type, members);
}

/* The text part that the message stands in. */
typedef struct {
  char *item; /* quoted id */
  unsigned index, part;
  GString *text; /* all of the part, unquoted */
} Part;

static void
part_event(Writer *writer, const Part *part, const char *type, const char *rest)
{
  g_autofree char *members = g_strdup_printf(
      "\"item_id\":%s,\"output_index\":%u,\"content_index\":%u,%s",
      part->item,
      part->index,
      part->part,
      rest);

  numbered(writer, type, members);
}

static void
item_event(Writer *writer, const char *type, unsigned index, const char *item)
{
  g_autofree char *members =
      g_strdup_printf("\"output_index\":%u,\"item\":%s", index, item);

  numbered(writer, type, members);
}

static char *
message_item(const Part *part, const char *status, const char *content)
{
  return g_strdup_printf("{\"id\":%s,\"type\":\"message\",\"status\":\"%s\","
                         "\"role\":\"assistant\",\"content\":[%s]}",
                         part->item,
                         status,
                         content);
}

static const char empty_part[] =
    "{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[]}";

/* A message item of its own. */
static void
begin_item(Writer *writer, Part *part)
{
  g_autofree char *id = new_id("msg_");
  g_autofree char *item = NULL;
  g_autofree char *rest = g_strdup_printf("\"part\":%s", empty_part);

  part->item = quoted(id);
  part->index = writer->state->next_index;
  part->part = 0;
  item = message_item(part, "in_progress", "");
  item_event(writer, "response.output_item.added", part->index, item);
  part_event(writer, part, "response.content_part.added", rest);
}

/* Every copy of the text that the API repeats at the end. */
static char *
end_item(Writer *writer, const Part *part)
{
  g_autofree char *text = quoted(part->text->str);
  g_autofree char *done = g_strdup_printf("\"text\":%s", text);
  g_autofree char *content = g_strdup_printf(
      "{\"type\":\"output_text\",\"text\":%s,\"annotations\":[]}", text);
  g_autofree char *rest = g_strdup_printf("\"part\":%s", content);
  char *item = message_item(part, "completed", content);

  part_event(writer, part, "response.output_text.done", done);
  part_event(writer, part, "response.content_part.done", rest);
  item_event(writer, "response.output_item.done", part->index, item);
  return item;
}

static void
end_responses(Writer *writer, const char *message)
{
  const AnswerState *state = writer->state;
  bool goes_on = state->open && state->open_item && state->open_text;
  Part part = {.text = g_string_new(goes_on ? state->open_text->str : NULL)};
  g_autoptr(GString) output =
      g_string_new(state->items ? state->items->str : NULL);
  g_autofree char *delta = g_strdup_printf("\"delta\":%s", writer->text);
  g_autofree char *item = NULL;

  if (!state->started) {
    response(writer, "response.created", "in_progress", "");
    response(writer, "response.in_progress", "in_progress", "");
  }
  if (goes_on) {
    part.item = quoted(state->open_item);
    part.index = state->open_index;
    part.part = state->open_part;
  } else {
    begin_item(writer, &part);
  }
  g_string_append(part.text, state->has_text ? "\n\n" : "");
  g_string_append(part.text, message);
  part_event(writer, &part, "response.output_text.delta", delta);
  item = end_item(writer, &part);
  g_string_append_printf(output, "%s%s", output->len ? "," : "", item);
  response(writer, "response.completed", "completed", output->str);
  g_free(part.item);
  g_string_free(part.text, TRUE);
}

/* ---- Any
 * ------------------------------------------------------------------------------
 */

static void
end_unknown(Writer *writer)
{
  g_string_append_printf(writer->out,
                         "data: {\"error\":{\"message\":%s,"
                         "\"type\":\"invalid_request_error\","
                         "\"code\":\"policy_denied\"}}\n\n",
                         writer->text);
}

void
answer_append_message(Api api,
                      const AnswerState *state,
                      const char *model,
                      const char *message,
                      GString *out)
{
  const char *prefix = api == API_RESPONSES  ? "resp_"
                       : api == API_MESSAGES ? "msg_"
                                             : "chatcmpl-";
  Writer writer;

  writer_init(&writer, state, prefix, model, message, out);
  if (api == API_COMPLETIONS)
    end_completions(&writer);
  else if (api == API_CHAT)
    end_chat(&writer);
  else if (api == API_RESPONSES)
    end_responses(&writer, message);
  else if (api == API_MESSAGES)
    end_messages(&writer);
  else
    end_unknown(&writer);
  writer_clear(&writer);
}
