/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: clean ones leave as they came, secrets do not leave, whatever else
 * an event holds. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

static StreamKit kit;
static const RunPlan mask_plan = {.action = ACTION_MASK, .hold_tools = true};

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

static void
test_all_clean(void)
{
  static const char *const words[] = {
      "{\"a\":", " \"Some", " words", " that\\n", " end", ".\"}"};

  for (unsigned place = 0; place < N_PLACES; place++) {
    g_autoptr(GString) in = stream_of((Place)place, words, G_N_ELEMENTS(words));
    g_autoptr(Run) run =
        kit_run_whole(&kit, place_api((Place)place), &mask_plan, in->str);

    g_assert_no_error(run->error);
    if (place_api((Place)place) != API_OTHER ||
        strcmp(run->out->str, in->str) != 0)
      g_assert_cmpstr(run->out->str, ==, in->str);
    g_assert_cmpuint(run->calls, ==, place_is_call((Place)place) ? 1 : 0);
    g_assert_cmpint(run->last, ==, FILTER_FINAL);
  }
}

/* One mask in the pieces, the same one in each of the four copies; also where
 * the secret began in an earlier part. */
static void
test_copies(void)
{
  static const char *const pieces[] = {"key AKIAQ3EG", "RQ7XKZ5TBLMN end"};
  g_autoptr(GString) one =
      stream_of(PLACE_RESPONSES, pieces, G_N_ELEMENTS(pieces));
  g_autoptr(GString) two =
      stream_of(PLACE_RESPONSES_PARTS, pieces, G_N_ELEMENTS(pieces));
  g_autoptr(Run) first =
      kit_run_whole(&kit, API_RESPONSES, &mask_plan, one->str);
  g_autoptr(Run) second =
      kit_run_whole(&kit, API_RESPONSES, &mask_plan, two->str);

  g_assert_cmpuint(count(first->out->str, "[aws-access-key:"), ==, 5);
  g_assert_cmpuint(first->findings, ==, 1);
  g_assert_cmpuint(count(second->out->str, "[aws-access-key:"), ==, 5);
  g_assert_false(kit_leaks(second->out->str, second->out->len, AWS_KEY));
  g_assert_cmpuint(count(second->out->str, "\"text\":\" end\""), ==, 4);
}

/* A copy that is not what came in pieces is scanned by itself. */
static void
test_other_copy(void)
{
  static const char *const pieces[] = {"nothing", " here"};
  g_autoptr(GString) in =
      stream_of(PLACE_RESPONSES, pieces, G_N_ELEMENTS(pieces));
  g_auto(GStrv) parts = g_strsplit(in->str, "\"nothing here\"", -1);
  g_autofree char *other = g_strjoinv("\"but " AWS_KEY "\"", parts);
  g_autoptr(Run) run = kit_run_whole(&kit, API_RESPONSES, &mask_plan, other);

  g_assert_no_error(run->error);
  g_assert_cmpuint(count(run->out->str, "[aws-access-key:"), ==, 4);
  g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
}

/* Token probabilities repeat the text in pieces. */
static void
test_logprobs(void)
{
  g_autoptr(GString) in = g_string_new(NULL);
  g_autoptr(Run) run = NULL;
  static const char *const pieces[] = {
      "key", " AKIAQ3EG", "RQ7XKZ5TBLMN", " end"};

  for (unsigned i = 0; i < G_N_ELEMENTS(pieces); i++)
    g_string_append_printf(
        in,
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":"
        "\"%s\"},\"logprobs\":{\"content\":[{\"token\":\"%s\",\"logprob\":-1,"
        "\"bytes\":[65]}]},\"finish_reason\":null}]}\n\n",
        pieces[i],
        pieces[i]);
  add_chunk(in, 0, "", "stop");
  g_string_append(in, "data: [DONE]\n\n");
  run = kit_run_whole(&kit, API_CHAT, &mask_plan, in->str);
  g_assert_no_error(run->error);
  g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
  g_assert_cmpuint(count(run->out->str, "\"logprobs\":null"), ==, 2);
  g_assert_cmpuint(count(run->out->str, "\"token\""), ==, 2);
}

static void
test_facts(void)
{
  static const char *const pieces[] = {"x"};
  static const struct {
    Place place;
    const char *model;
  } rows[] = {{PLACE_RESPONSES, "gpt-5"}, {PLACE_MESSAGES, "claude"}};

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GString) in = stream_of(rows[i].place, pieces, 1);
    g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &mask_plan);
    g_autoptr(GError) error = NULL;
    g_autoptr(ResponseFilter) filter =
        response_filter_new(kit.detector,
                            place_api(rows[i].place),
                            true,
                            plan,
                            kit.masker,
                            NULL,
                            &error);
    g_auto(Buf) out = {0};
    FilterState state;
    int64_t input, output;

    buf_init(&out, KIT_OUT_MAX);
    response_filter_feed(filter, in->str, in->len, &out, NULL, &state, &error);
    g_assert_no_error(error);
    g_assert_cmpint(state, ==, FILTER_FINAL);
    response_filter_usage(filter, &input, &output);
    g_assert_cmpint(input, ==, 12);
    g_assert_cmpint(output, ==, 34);
    g_assert_cmpstr(response_filter_model(filter), ==, rows[i].model);
  }
}

/* Keys in places that are not text, and what stands beside the data. */
static void
test_leaves(void)
{
  static const char in[] =
      ": " AWS_KEY "\n\n"
      "event: " AWS_KEY "\nid: 1\ndata: {\"id\":\"" AWS_KEY "\",\"x\":{\"y\":["
      "\"{\\\"z\\\":\\\"\\\\u0041KIAQ3EGRQ7XKZ5TBLMN\\\"}\"]},\"" AWS_KEY
      "\":1,\"choices\":[]}\n\n"
      "data: {\"error\":{\"message\":\"bad key " AWS_KEY "\"}}\n\n"
      "data: {\ndata: \"id\":\"" AWS_KEY "\",\ndata: \"choices\":[]}\n\n"
      "data: not json " AWS_KEY " at all\n\n"
      "data: [DONE]\n\n";
  g_autoptr(Run) run = kit_run_whole(&kit, API_CHAT, &mask_plan, in);

  g_assert_no_error(run->error);
  g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
  g_assert_false(
      kit_leaks(run->out->str, run->out->len, "KIAQ3EGRQ7XKZ5TBLMN"));
  g_assert_cmpuint(count(run->out->str, "[aws-access-key:"), ==, 6);
  g_assert_nonnull(strstr(run->out->str, "id: 1\n"));
}

/* The front of a long delta does not wait for its last word. */
static void
test_front(void)
{
  g_autoptr(GString) in = g_string_new(NULL);
  g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &mask_plan);
  g_autoptr(GError) error = NULL;
  g_autoptr(ResponseFilter) filter = response_filter_new(
      kit.detector, API_CHAT, true, plan, kit.masker, NULL, &error);
  g_auto(Buf) out = {0};
  g_autoptr(GString) text = NULL;
  g_autofree char *said = NULL;
  FilterState state;

  buf_init(&out, KIT_OUT_MAX);
  add_content(in, 0, "a long delta of many wor", 24);
  response_filter_feed(filter, in->str, in->len, &out, NULL, &state, &error);
  text = g_string_new_len((const char *)buf_bytes(&out), (gssize)out.len);
  said = kit_text(text, "content");
  g_assert_cmpstr(said, ==, "a long delta of many ");
  g_string_truncate(in, 0);
  add_chunk(in, 0, "", "stop");
  response_filter_feed(filter, in->str, in->len, &out, NULL, &state, &error);
  g_assert_no_error(error);
  g_string_truncate(text, 0);
  g_string_append_len(text, (const char *)buf_bytes(&out), (gssize)out.len);
  g_free(said);
  said = kit_text(text, "content");
  g_assert_cmpstr(said, ==, "a long delta of many wor");
}

/* What one text holds does not keep the next one of its choice waiting. */
static void
test_reasoning_then_text(void)
{
  g_autoptr(GString) in = g_string_new(NULL);
  g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &mask_plan);
  g_autoptr(GError) error = NULL;
  g_autoptr(ResponseFilter) filter = response_filter_new(
      kit.detector, API_CHAT, true, plan, kit.masker, NULL, &error);
  g_auto(Buf) out = {0};
  FilterState state;

  buf_init(&out, KIT_OUT_MAX);
  add_chunk(in, 0, "\"reasoning_content\":\"so it is.\"", NULL);
  add_chunk(in, 0, "\"content\":\"Yes \"", NULL);
  response_filter_feed(filter, in->str, in->len, &out, NULL, &state, &error);
  g_assert_no_error(error);
  g_assert_cmpmem(buf_bytes(&out), out.len, in->str, in->len);
}

/* Halves of a pair in two deltas stay what they are beside a mask. */
static void
test_surrogates(void)
{
  g_autoptr(GString) in = g_string_new(NULL);
  g_autoptr(Run) run = NULL;

  add_chunk(in, 0, "\"content\":\"x\\ud83d\"", NULL);
  add_chunk(in, 0, "\"content\":\"\\ude00 " AWS_KEY " \\ud83d\"", NULL);
  add_chunk(in, 0, "\"content\":\"\\ude00\"", NULL);
  add_chunk(in, 0, "", "stop");
  g_string_append(in, "data: [DONE]\n\n");
  run = kit_run_whole(&kit, API_CHAT, &mask_plan, in->str);
  g_assert_no_error(run->error);
  g_assert_nonnull(strstr(run->out->str, "\"x\\ud83d\""));
  g_assert_nonnull(strstr(run->out->str, "\"\\ude00 [aws-access-key:"));
  g_assert_nonnull(strstr(run->out->str, "] \\ud83d\""));
  g_assert_nonnull(strstr(run->out->str, "\"content\":\"\\ude00\""));
}

/* Memory is bounded on any input: one line of 10 MB in small deltas. */
static void
test_long_run(void)
{
  g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &mask_plan);
  g_autoptr(GError) error = NULL;
  g_autoptr(ResponseFilter) filter = response_filter_new(
      kit.detector, API_OTHER, false, plan, kit.masker, NULL, &error);
  g_auto(Buf) out = {0};
  FilterState state;
  static const char piece[] = "abcdefgh,ijklmnop.qrst-0123456789";
  const unsigned pieces = 300000 / (unsigned)kit_step(1);

  buf_init(&out, KIT_OUT_MAX);
  for (unsigned i = 0; i < pieces; i++) {
    response_filter_feed(
        filter, piece, strlen(piece), &out, NULL, &state, &error);
    g_assert_no_error(error);
    g_assert_cmpint(state, ==, FILTER_MORE);
    if (i % 1000 == 999) {
      g_assert_cmpuint(out.len, >, 0);
      buf_consume(&out, out.len);
    }
  }
  response_filter_finish(filter, false, &out, NULL, &state, &error);
  g_assert_cmpint(state, ==, FILTER_FINAL);
  g_assert_cmpuint(out.len, <, 64 * 1024);
}

int
main(int argc, char **argv)
{
  static const KitTest tests[] = {
      {"clean", test_clean},
      {"masked", test_masked},
      {"all-clean", test_all_clean},
      {"copies", test_copies},
      {"other-copy", test_other_copy},
      {"logprobs", test_logprobs},
      {"facts", test_facts},
      {"leaves", test_leaves},
      {"front", test_front},
      {"reasoning-then-text", test_reasoning_then_text},
      {"surrogates", test_surrogates},
      {"long-run", test_long_run},
  };
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  kit_add("/inspect/filter/", tests, G_N_ELEMENTS(tests));
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
