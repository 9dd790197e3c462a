/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of chat completions and completions: clean ones leave as they came,
 * secrets do not leave, tool calls wait, ends are well formed. */

#define _GNU_SOURCE
#include "stream-kit.h"

static StreamKit kit;
static const RunPlan mask_plan = {.action = ACTION_MASK, .hold_tools = true};

static void
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

static void
add_content(GString *out, unsigned choice, const char *text, size_t len)
{
  g_autoptr(GString) delta = g_string_new("\"content\":\"");

  json_escape(delta, text, (gssize)len);
  g_string_append_c(delta, '"');
  add_chunk(out, choice, delta->str, NULL);
}

/* A chat stream whose one choice says `text` in pieces of n bytes. */
static GString *
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

static void
test_clean(void)
{
  g_autoptr(GString) in = g_string_new(NULL);
  static const char *const words[] = {"Hello",
                                      ",",
                                      " this",
                                      " is",
                                      " a",
                                      " clean",
                                      " answer",
                                      ".\n",
                                      "\xc3\xa4",
                                      " end"};
  g_autoptr(Run) run = NULL;

  add_chunk(in, 0, "\"role\":\"assistant\",\"content\":\"\"", NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
    add_content(in, 0, words[i], strlen(words[i]));
    add_content(in, 1, words[i], strlen(words[i]));
  }
  add_chunk(in, 0, "", "stop");
  add_chunk(in, 1, "", "stop");
  g_string_append(in, "data: [DONE]\n\n");
  run = kit_run_whole(&kit, API_CHAT, &mask_plan, in->str);
  g_assert_no_error(run->error);
  g_assert_cmpstr(run->out->str, ==, in->str);
  g_assert_cmpstr(run->record->str, ==, in->str);
  g_assert_cmpint(run->last, ==, FILTER_FINAL);
  g_assert_cmpuint(
      run->out->len - run->at_final, ==, strlen("data: [DONE]\n\n"));
}

static void
test_masked(void)
{
  static const char text[] = "The key is " AWS_KEY ", use it.";

  for (size_t n = 1; n < sizeof(text); n++) {
    g_autoptr(GString) in = chat_stream(text, n);
    g_autoptr(Run) run = kit_run_whole(&kit, API_CHAT, &mask_plan, in->str);
    g_autofree char *said = NULL;

    g_assert_no_error(run->error);
    said = kit_text(run->out, "content");
    g_assert_true(g_str_has_prefix(said, "The key is [aws-access-key:"));
    g_assert_true(g_str_has_suffix(said, "], use it."));
    g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
    g_assert_false(kit_leaks(said, strlen(said), AWS_KEY));
    g_assert_cmpuint(run->findings, ==, 1);
  }
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  g_test_add_func("/inspect/filter/clean", test_clean);
  g_test_add_func("/inspect/filter/masked", test_masked);
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
