/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's own words at the end of a stream: well-formed in every shape and
 * state; and the list of models without WebSockets. */
#include "inspect/answer.h"
#include "kit/json.h"
#include <string.h>

#define MESSAGE "No: rule \"x\" says\nso \xe2\x80\x94 really."

static char *
ended(Api api, const AnswerState *state)
{
  GString *out = g_string_new(NULL);

  answer_append_message(api, state, "model-1", MESSAGE, out);
  return g_string_free(out, FALSE);
}

static unsigned
count(const char *text, const char *what)
{
  unsigned n = 0;

  for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
    n++;
  return n;
}

/* Every data line but [DONE] is one JSON document. */
static void
assert_events(const char *stream)
{
  g_auto(GStrv) lines = g_strsplit(stream, "\n", -1);

  g_assert_true(g_str_has_suffix(stream, "\n\n"));
  for (char **line = lines; *line; line++) {
    g_autoptr(GError) error = NULL;
    JsonReader reader;
    JsonToken token;

    if (!**line || g_str_has_prefix(*line, "event: ") ||
        g_str_equal(*line, "data: [DONE]"))
      continue;
    g_assert_true(g_str_has_prefix(*line, "data: {"));
    json_reader_init(&reader, *line + 6, strlen(*line + 6));
    do
      json_next(&reader, &token, &error);
    while (!error && token.type != JSON_END);
    g_assert_no_error(error);
  }
}

static void
test_chat_from_the_beginning(void)
{
  AnswerState state = {0};
  g_autofree char *stream = ended(API_CHAT, &state);

  assert_events(stream);
  g_assert_nonnull(strstr(stream, "\"role\":\"assistant\""));
  g_assert_nonnull(strstr(stream, "No: rule \\\"x\\\" says\\nso"));
  g_assert_cmpuint(count(stream, "\"finish_reason\":\"stop\""), ==, 1);
  g_assert_true(g_str_has_suffix(stream, "data: [DONE]\n\n"));
}

static void
test_chat_with_choices(void)
{
  AnswerState state = {.started = true,
                       .has_text = true,
                       .n_choices = 3,
                       .finished = 1,
                       .id = (char *)"chatcmpl-7"};
  g_autofree char *stream = ended(API_CHAT, &state);

  assert_events(stream);
  g_assert_null(strstr(stream, "\"role\""));
  g_assert_nonnull(strstr(stream, "\"id\":\"chatcmpl-7\""));
  g_assert_nonnull(
      strstr(stream, "\"index\":1,\"delta\":{\"content\":\"\\n\\nNo"));
  g_assert_cmpuint(count(stream, "\"finish_reason\":\"stop\""), ==, 2);
}

/* A message in a completion would end up in the user's file. */
static void
test_completions_say_nothing(void)
{
  AnswerState state = {.n_choices = 3, .finished = 2};
  g_autofree char *stream = ended(API_COMPLETIONS, &state);

  assert_events(stream);
  g_assert_null(strstr(stream, "rule"));
  g_assert_cmpuint(count(stream, "\"finish_reason\":\"length\""), ==, 2);
  g_assert_true(g_str_has_suffix(stream, "data: [DONE]\n\n"));
}

static void
test_messages(void)
{
  AnswerState fresh = {0};
  AnswerState inside = {
      .started = true, .open = true, .open_index = 1, .next_index = 2};
  g_autofree char *begun = ended(API_MESSAGES, &fresh);
  g_autofree char *gone_on = ended(API_MESSAGES, &inside);

  assert_events(begun);
  assert_events(gone_on);
  g_assert_cmpuint(count(begun, "event: message_start"), ==, 1);
  g_assert_cmpuint(count(gone_on, "event: message_start"), ==, 0);
  g_assert_cmpuint(count(begun, "event: content_block_stop"), ==, 1);
  g_assert_cmpuint(count(gone_on, "event: content_block_stop"), ==, 2);
  g_assert_nonnull(
      strstr(gone_on, "\"type\":\"content_block_stop\",\"index\":1}"));
  g_assert_true(
      strstr(gone_on, "\"index\":1}") <
      strstr(gone_on, "\"type\":\"content_block_start\",\"index\":2"));
  g_assert_true(g_str_has_suffix(
      begun, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"));
}

static void
test_responses_from_the_beginning(void)
{
  AnswerState state = {0};
  g_autofree char *stream = ended(API_RESPONSES, &state);

  assert_events(stream);
  g_assert_true(g_str_has_prefix(stream, "event: response.created\n"));
  g_assert_nonnull(strstr(stream, "\"sequence_number\":0,"));
  g_assert_nonnull(strstr(stream, "event: response.output_item.added"));
  /* The delta and the four copies. */
  g_assert_cmpuint(count(stream, "really."), ==, 5);
  g_assert_cmpuint(count(stream, "event: response.completed"), ==, 1);
}

static void
test_responses_inside_a_part(void)
{
  g_autoptr(GString) text = g_string_new("So far");
  g_autoptr(GString) items =
      g_string_new("{\"id\":\"rs_1\",\"type\":\"reasoning\"}");
  AnswerState state = {.started = true,
                       .has_text = true,
                       .next_index = 2,
                       .open = true,
                       .open_index = 1,
                       .next_sequence = 41,
                       .open_item = (char *)"msg_1",
                       .open_text = text,
                       .items = items};
  g_autofree char *stream = ended(API_RESPONSES, &state);

  assert_events(stream);
  g_assert_null(strstr(stream, "response.created"));
  g_assert_null(strstr(stream, "output_item.added"));
  g_assert_nonnull(
      strstr(stream, "\"sequence_number\":41,\"item_id\":\"msg_1\""));
  g_assert_cmpuint(count(stream, "So far\\n\\nNo: rule"), ==, 4);
  g_assert_nonnull(strstr(stream, "\"output\":[{\"id\":\"rs_1\""));
}

static void
test_unknown_api(void)
{
  AnswerState state = {0};
  g_autofree char *stream = ended(API_OTHER, &state);

  assert_events(stream);
  g_assert_nonnull(strstr(stream, "\"error\""));
}

static void
assert_models(const char *before, const char *after)
{
  g_autoptr(GBytes) body = g_bytes_new(before, strlen(before));
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) changed = models_without_websocket(body, &error);
  g_autofree char *text = NULL;

  g_assert_no_error(error);
  text = g_strndup(g_bytes_get_data(changed, NULL), g_bytes_get_size(changed));
  g_assert_cmpstr(text, ==, after);
}

static void
test_models(void)
{
  assert_models(
      "{\"data\":[{\"id\":\"a\",\"supported_endpoints\": "
      "[\"ws:/responses\", \"/responses\",\"ws:/x\"]},{\"id\":\"b\"}]}",
      "{\"data\":[{\"id\":\"a\",\"supported_endpoints\": "
      "[\"/responses\"]},{\"id\":\"b\"}]}");
  assert_models("{\"data\":[{\"supported_endpoints\":[\"w\\u0073:/r\"]}]}",
                "{\"data\":[{\"supported_endpoints\":[]}]}");
  assert_models("{\"data\":[{\"supported_endpoints\":\"ws:/r\"}], \"x\" : 1}",
                "{\"data\":[{\"supported_endpoints\":\"ws:/r\"}], \"x\" : 1}");
  assert_models("[1]", "[1]");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/inspect/answer/" #name, test_##name)
  TEST(chat_from_the_beginning);
  TEST(chat_with_choices);
  TEST(completions_say_nothing);
  TEST(messages);
  TEST(responses_from_the_beginning);
  TEST(responses_inside_a_part);
  TEST(unknown_api);
  TEST(models);
  return g_test_run();
}
