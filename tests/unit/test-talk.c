/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of every API shape, whole and streamed, as the conversation that they
 * are. */
#include "talk/talk.h"

#include <string.h>

/* One part a line: role/kind(name)[id]#choice: text. g_free. */
static char *
told(Api api, bool answer, const char *body, size_t len)
{
  g_autoptr(GPtrArray) parts = talk_read(api, answer, body, len);
  GString *out = g_string_new(NULL);

  for (unsigned i = 0; i < parts->len; i++) {
    const TalkPart *part = parts->pdata[i];

    g_assert_true(g_utf8_validate(part->text->str, -1, NULL));
    g_assert_cmpuint(strlen(part->text->str), ==, part->text->len);
    g_string_append_printf(
        out, "%s/%s", talk_role_name(part->role), talk_kind_name(part->kind));
    if (part->name)
      g_string_append_printf(out, "(%s)", part->name);
    if (part->id)
      g_string_append_printf(out, "[%s]", part->id);
    if (part->choice)
      g_string_append_printf(out, "#%u", part->choice);
    g_string_append_printf(out, ": %s\n", part->text->str);
  }
  return g_string_free(out, FALSE);
}

static void
check(Api api, bool answer, const char *body, const char *expected)
{
  g_autofree char *got = told(api, answer, body, strlen(body));

  g_assert_cmpstr(got, ==, expected);
}

/* ---- chat/completions ---------------------------------------------------- */

static void
chat(void)
{
  check(API_CHAT,
        false,
        "{\"model\":\"m\",\"messages\":["
        "{\"role\":\"system\",\"content\":\"be kind\"},"
        "{\"role\":\"user\",\"name\":\"ann\",\"content\":[{\"type\":\"text\","
        "\"text\":\"look\\nhere\"},{\"type\":\"image_url\",\"image_url\":{"
        "\"url\":\"data:x\"}}]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
        "\"c1\",\"function\":{\"name\":\"read\",\"arguments\":\"{\\\"a\\\":1}\""
        "}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"42\"}]}",
        "system/text: be kind\n"
        "user/text(ann): look\nhere\n"
        "user/attached: image_url (by reference)\n"
        "assistant/call(read)[c1]: {\"a\":1}\n"
        "tool/result[c1]: 42\n");
  check(API_CHAT,
        true,
        "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"a\"}}"
        ",{\"message\":{\"content\":\"b\",\"refusal\":null}}]}",
        "assistant/text: a\nassistant/text#1: b\n");
}

static void
chat_stream(void)
{
  check(API_CHAT,
        true,
        ": hello\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
        "\"content\":\"\"}}]}\r\n\r\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\\u00fc\"}"
        "}]}\n\n"
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"two\"}}]}\n"
        "\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"n\"}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{"
        "\"index\":0,\"id\":\"c9\",\"function\":{\"name\":\"run\","
        "\"arguments\":\"\"}}]}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{"
        "\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\":\"}}]}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{"
        "\"index\":0,\"function\":{\"arguments\":\"2}\"}}]}}]}\n\n"
        "data: [DONE]\n\n",
        "assistant/text: Grün\nassistant/text#1: two\n"
        "assistant/call(run)[c9]: {\"x\":2}\n");
}

/* ---- completions --------------------------------------------------------- */

static void
completions(void)
{
  check(API_COMPLETIONS,
        false,
        "{\"prompt\":\"int main\",\"suffix\":\"}\",\"n\":1}",
        "user/text: int main\nuser/text(suffix): }\n");
  check(API_COMPLETIONS,
        true,
        "data: {\"choices\":[{\"index\":0,\"text\":\"(vo\"}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"text\":\"id)\"}]}\n\n"
        "data: [DONE]",
        "assistant/text: (void)\n");
  check(API_COMPLETIONS,
        true,
        "{\"choices\":[{\"text\":\"x\"},{\"text\":\"y\"}]}",
        "assistant/text: x\nassistant/text#1: y\n");
}

/* ---- Responses ----------------------------------------------------------- */

static void
responses(void)
{
  check(API_RESPONSES,
        false,
        "{\"instructions\":\"short\",\"input\":[{\"role\":\"user\",\"content\":"
        "[{\"type\":\"input_text\",\"text\":\"hi\"}]},{\"type\":"
        "\"function_call\",\"call_id\":\"f1\",\"name\":\"ls\",\"arguments\":"
        "\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"f1\","
        "\"output\":\"a b\"},{\"type\":\"reasoning\",\"summary\":[{\"type\":"
        "\"summary_text\",\"text\":\"hm\"}]}]}",
        "system/text: short\nuser/text: hi\nassistant/call(ls)[f1]: {}\n"
        "tool/result[f1]: a b\nassistant/thinking: hm\n");
  check(API_RESPONSES, false, "{\"input\":\"plain\"}", "user/text: plain\n");
  check(API_RESPONSES,
        true,
        "{\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":"
        "[{\"type\":\"output_text\",\"text\":\"yes\"}]}]}",
        "assistant/text: yes\n");
}

static void
responses_stream(void)
{
  static const char deltas[] =
      "event: response.output_item.added\n"
      "data: {\"type\":\"response.output_item.added\",\"output_index\":1,"
      "\"item\":{\"type\":\"function_call\",\"call_id\":\"f2\",\"name\":\"ls\"}"
      "}\n\n"
      "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,"
      "\"delta\":\"ye\"}\n\n"
      "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,"
      "\"delta\":\"s\"}\n\n"
      "data: {\"type\":\"response.function_call_arguments.delta\","
      "\"output_index\":1,\"delta\":\"{}\"}\n\n";
  g_autofree char *whole =
      g_strconcat(deltas,
                  "data: {\"type\":\"response.completed\",\"response\":{"
                  "\"output\":[{\"type\":\"message\",\"content\":[{\"type\":"
                  "\"output_text\",\"text\":\"yes, all\"}]}]}}\n\n",
                  NULL);

  check(API_RESPONSES,
        true,
        deltas,
        "assistant/call(ls)[f2]: {}\nassistant/text: yes\n");
  check(API_RESPONSES, true, whole, "assistant/text: yes, all\n");
}

/* ---- Anthropic messages -------------------------------------------------- */

static void
messages(void)
{
  check(API_MESSAGES,
        false,
        "{\"system\":[{\"type\":\"text\",\"text\":\"sys\"}],\"messages\":[{"
        "\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
        "\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\"},{\"type\":"
        "\"tool_use\",\"id\":\"u1\",\"name\":\"grep\",\"input\":{\"p\":\"x\"}}]"
        "},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
        "\"tool_use_id\":\"u1\",\"content\":[{\"type\":\"text\",\"text\":"
        "\"line\"}]}]}]}",
        "system/text: sys\nuser/text: q\nassistant/thinking: t\n"
        "assistant/call(grep)[u1]: {\"p\":\"x\"}\ntool/result[u1]: line\n");
  check(API_MESSAGES,
        true,
        "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"ok\"}"
        "]}",
        "assistant/text: ok\n");
  check(API_MESSAGES,
        true,
        "event: content_block_start\n"
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
        "{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
        "\"type\":\"text_delta\",\"text\":\"so\"}}\n\n"
        "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":"
        "{\"type\":\"tool_use\",\"id\":\"u2\",\"name\":\"ls\",\"input\":{}}}\n"
        "\n"
        "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{"
        "\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"d\\\":1}\"}}\n\n"
        "data: {\"type\":\"message_stop\"}\n\n",
        "assistant/text: so\nassistant/call(ls)[u2]: {\"d\":1}\n");
}

/* ---- The rest ------------------------------------------------------------ */

static void
others(void)
{
  check(API_EMBEDDINGS,
        false,
        "{\"input\":[\"one\",\"two\"]}",
        "user/text: one\nuser/text: two\n");
  check(API_MCP,
        false,
        "{\"method\":\"tools/call\",\"params\":{\"q\":\"a\\u0000b\"}}",
        "other/strings: tools/call\na\xef\xbf\xbd"
        "b\n\n");
  check(API_CHAT,
        true,
        "{\"error\":{\"message\":\"no\",\"code\":\"x\"}}",
        "other/text(error): no\n");
  check(API_OTHER, false, "plain text", "other/strings: plain text\n");
  check(API_CHAT, false, "", "");
  /* Cut in the middle: its strings. */
  check(API_CHAT,
        false,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"whole\"},{\"role\":"
        "\"us",
        "other/strings: user\nwhole\n\n");
}

/* Nothing that a body holds may do harm: wrong types everywhere. */
static void
wrong_types(void)
{
  static const char *const bodies[] = {
      "null",
      "[]",
      "{\"messages\":[null,1,\"x\",[],{\"role\":1,\"content\":{\"a\":1}}]}",
      "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[1,{\"function\":"
      "2}],\"function_call\":3}]}",
      "{\"choices\":[1,{\"message\":[]},{\"delta\":4}]}",
      "{\"content\":[1,{\"type\":5},{\"type\":\"tool_use\"}]}",
      "{\"output\":[1,{\"type\":\"x_call\"},{\"type\":\"message\"}]}",
      "{\"input\":[1,{\"type\":[]},{\"type\":\"function_call\"}]}",
      "data: {\"choices\":[{\"delta\":[]}]}\n\ndata: 1\n\ndata: {\"type\":"
      "\"response.completed\",\"response\":7}\n\n",
      "data: "
      "{\"type\":\"content_block_delta\",\"index\":\"x\",\"delta\":1}\n\n",
      "\xff\xfe",
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(bodies); i++)
    for (int api = 0; api < N_APIS; api++)
      for (int answer = 0; answer < 2; answer++) {
        g_autofree char *got =
            told((Api)api, answer, bodies[i], strlen(bodies[i]));

        g_assert_nonnull(got);
      }
}

/* Where talk_is_plain() says so, a body is its own and only part. */
static void
plain(void)
{
  static const struct {
    const char *body;
    bool plain;
  } cases[] = {{"the quick fox", true},
               {" \t\n- a list\n", true},
               {"\"quoted\"", true},
               {"17", true},
               {"null", true},
               {"true words", true},
               {"gr\xc3\xbc\xc3\x9f", true},
               {"data: {}\n\n", false},
               {": said\n", false},
               {"{\"choices\":[]}", false},
               {" [1]", false},
               {"/* c */ {\"error\":\"e\"}", false},
               {"bad \xff", false},
               {"", false},
               {"  ", false}};

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *body = cases[i].body;
    g_autoptr(GPtrArray) parts = talk_read(API_OTHER, true, body, strlen(body));
    const TalkPart *part = parts->len == 1 ? parts->pdata[0] : NULL;

    g_assert_true(talk_is_plain(true, body, strlen(body)) == cases[i].plain);
    if (!cases[i].plain)
      continue;
    g_assert_nonnull(part);
    g_assert_cmpint(part->role, ==, TALK_OTHER);
    g_assert_cmpint(part->kind, ==, TALK_STRINGS);
    g_assert_null(part->name);
    g_assert_cmpstr(part->text->str, ==, body);
  }
  g_assert_false(talk_is_plain(true, "a\0b", 3));
  g_assert_true(talk_is_plain(false, "data: x", 7));
}

static void
bounded(void)
{
  g_autoptr(GString) body = g_string_new("{\"messages\":[");
  g_autoptr(GString) deep = g_string_new(NULL);
  g_autoptr(GPtrArray) parts = NULL;
  g_autofree char *got = NULL;

  for (int i = 0; i < 30000; i++)
    g_string_append_printf(
        body, "%s{\"role\":\"user\",\"content\":\"x\"}", i ? "," : "");
  g_string_append(body, "]}");
  parts = talk_read(API_CHAT, false, body->str, body->len);
  g_assert_cmpuint(parts->len, ==, 20000);
  for (int i = 0; i < 100000; i++)
    g_string_append_c(deep, '[');
  got = told(API_CHAT, false, deep->str, deep->len);
  g_assert_nonnull(got);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/talk/chat", chat);
  g_test_add_func("/talk/chat-stream", chat_stream);
  g_test_add_func("/talk/completions", completions);
  g_test_add_func("/talk/responses", responses);
  g_test_add_func("/talk/responses-stream", responses_stream);
  g_test_add_func("/talk/messages", messages);
  g_test_add_func("/talk/others", others);
  g_test_add_func("/talk/wrong-types", wrong_types);
  g_test_add_func("/talk/plain", plain);
  g_test_add_func("/talk/bounded", bounded);
  return g_test_run();
}
