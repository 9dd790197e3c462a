/* SPDX-License-Identifier: Apache-2.0 */
/* Ends of streams: cut anywhere, blocked, refused, ended with a message: always
 * well formed, never with half a secret. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

static StreamKit kit;
static const RunPlan mask_plan = {.action = ACTION_MASK, .hold_tools = true};

/* Every cut gives a well-formed end: a message, then the API's last event. */
static void
test_cut(void)
{
  static const char *const pieces[] = {"{\"a\": \"Some", " words", " that"};

  for (unsigned place = 0; place <= PLACE_MESSAGES_CALL; place++) {
    g_autoptr(GString) in = stream_of((Place)place, pieces, 3);
    const Api api = place_api((Place)place);
    const char *last = api == API_RESPONSES  ? "response.completed"
                       : api == API_MESSAGES ? "message_stop"
                                             : "data: [DONE]\n\n";

    for (size_t len = 0; len + 20 < in->len; len += kit_step(11)) {
      const RunPlan plan = {
          .action = ACTION_MASK, .hold_tools = true, .cut = true};
      g_autoptr(Run) run =
          kit_run(&kit, api, true, &plan, in->str, len, NULL, 0);
      g_autofree char *all = NULL;

      g_assert_no_error(run->error);
      g_assert_cmpint(run->last, ==, FILTER_FINAL);
      all = kit_text(run->out, "type"); /* all of it is JSON */
      g_assert_nonnull(strstr(run->out->str, last));
      g_assert_true(g_str_has_suffix(run->out->str, "\n\n"));
      if (api != API_COMPLETIONS &&
          strstr(run->out->str, "too early") == NULL &&
          strstr(run->out->str, "finish_reason\":\"") == NULL &&
          strstr(run->out->str, "\"stop_reason\":\"") == NULL &&
          strncmp(in->str, run->out->str, in->len) != 0)
        g_error("%s cut at %zu: %s", place_names[place], len, run->out->str);
      g_assert_cmpstr(run->out->str, ==, run->record->str);
    }
  }
}

/* Half a secret at the place of the cut does not leave either. */
static void
test_cut_secret(void)
{
  static const char *const pieces[] = {"the key is ", AWS_KEY, " ok"};

  for (unsigned place = 0; place < N_PLACES; place++) {
    g_autoptr(GString) in = stream_of((Place)place, pieces, 3);

    for (size_t len = 1; len < in->len; len += kit_step(1)) {
      const RunPlan plan = {
          .action = ACTION_MASK, .hold_tools = true, .cut = true};
      g_autoptr(Run) run = kit_run(
          &kit, place_api((Place)place), true, &plan, in->str, len, NULL, 0);

      g_assert_no_error(run->error);
      g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
      g_assert_false(kit_leaks(run->record->str, run->record->len, AWS_KEY));
    }
  }
}

/* A message in place of the rest, whatever was sent. */
static void
test_end(void)
{
  static const char *const pieces[] = {"Some", " words", " that"};
  static const Place places[] = {PLACE_CHAT,
                                 PLACE_CHAT_CALL,
                                 PLACE_ENGINES,
                                 PLACE_RESPONSES,
                                 PLACE_RESPONSES_CALL,
                                 PLACE_MESSAGES,
                                 PLACE_MESSAGES_CALL,
                                 PLACE_OTHER};

  for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
    g_autoptr(GString) in = stream_of(places[i], pieces, 3);

    for (size_t len = 0; len < in->len; len += kit_step(13)) {
      g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &mask_plan);
      g_autoptr(GError) error = NULL;
      g_autoptr(ResponseFilter) filter =
          response_filter_new(kit.detector,
                              place_api(places[i]),
                              true,
                              plan,
                              kit.masker,
                              NULL,
                              &error);
      g_auto(Buf) out = {0};
      g_autoptr(GString) text = NULL;
      g_autofree char *all = NULL;
      FilterState state;
      size_t before;

      buf_init(&out, KIT_OUT_MAX);
      response_filter_feed(filter, in->str, len, &out, NULL, &state, &error);
      g_assert_no_error(error);
      response_filter_end_with_message(
          filter, "m", "Told \"you\".", &out, NULL);
      before = out.len;
      response_filter_end_with_message(filter, "m", "Twice.", &out, NULL);
      response_filter_feed(
          filter, in->str, in->len, &out, NULL, &state, &error);
      response_filter_release(filter, &out, NULL);
      g_assert_cmpuint(out.len, ==, before);
      text = g_string_new_len((const char *)buf_bytes(&out), (gssize)out.len);
      all = kit_text(text, "type");
      if (places[i] != PLACE_ENGINES && strstr(text->str, "Told") == NULL &&
          strstr(text->str, "finish_reason\":\"") == NULL &&
          strstr(text->str, "stop_reason\":\"end") == NULL)
        g_error("%s at %zu: %s", place_names[places[i]], len, text->str);
    }
  }
}

static void
test_blocked(void)
{
  const RunPlan block = {.action = ACTION_BLOCK, .hold_tools = true};
  static const char *const pieces[] = {
      "first words ", AWS_KEY, " and", " more"};

  for (unsigned place = 0; place < N_PLACES; place++) {
    g_autoptr(GString) in =
        stream_of((Place)place, pieces, G_N_ELEMENTS(pieces));
    g_autoptr(Run) run =
        kit_run_whole(&kit, place_api((Place)place), &block, in->str);

    g_assert_no_error(run->error);
    g_assert_cmpint(run->last, ==, FILTER_BLOCKED);
    g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
    g_assert_null(strstr(run->out->str, "more"));
    g_assert_cmpuint(run->findings, >=, 1);
  }
}

static void
test_allowed(void)
{
  const RunPlan allow = {.action = ACTION_ALLOW, .hold_tools = true};
  static const char *const pieces[] = {
      "first words ", AWS_KEY, " and", " more"};
  g_autoptr(GString) in = stream_of(PLACE_CHAT, pieces, G_N_ELEMENTS(pieces));
  g_autoptr(Run) run = kit_run_whole(&kit, API_CHAT, &allow, in->str);

  g_assert_cmpstr(run->out->str, ==, in->str);
  g_assert_cmpuint(run->findings, ==, 1);
}

static void
test_refused_streams(void)
{
  g_autofree char *big = g_strnfill(9 * 1024 * 1024, 'x');
  g_autofree char *line = g_strconcat("data: ", big, NULL);
  const struct {
    const char *in;
    int code;
  } rows[] = {
      {"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\","
       "\"content\":\"b\"}}]}\n\n",
       INSPECT_ERROR_UNREADABLE},
      {"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\","
       "\"c\\u006fntent\":\"b\"}}]}\n\n",
       INSPECT_ERROR_UNREADABLE},
      {"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
       "\"stop\"}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":"
       "\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[{\"index\":"
       "0,\"delta\":{\"content\":\"b\"}}]}\n\n",
       INSPECT_ERROR_UNREADABLE},
      {line, INSPECT_ERROR_LIMIT},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Run) run = kit_run_whole(&kit, API_CHAT, &mask_plan, rows[i].in);

    g_assert_error(run->error, INSPECT_ERROR, rows[i].code);
  }
}

/* A buffer that is full is an error, and what it holds are whole events of what
 * would have come. */
static void
test_full(void)
{
  static const char *const pieces[] = {
      "first words ", AWS_KEY, " and", " more words", " to the end"};
  static const Place places[] = {PLACE_CHAT,
                                 PLACE_ENGINES,
                                 PLACE_RESPONSES,
                                 PLACE_MESSAGES,
                                 PLACE_OTHER,
                                 PLACE_RAW};

  for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
    const Api api = place_api(places[i]);
    g_autoptr(GString) in = stream_of(places[i], pieces, G_N_ELEMENTS(pieces));
    g_autoptr(Run) all = NULL;
    unsigned failed = 0;

    g_string_prepend(in, ": a comment that is passed on at once\n\n");
    all = kit_run_whole(&kit, api, &mask_plan, in->str);
    for (size_t max = 0; max < all->out->len; max += 23) {
      g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &mask_plan);
      g_autoptr(GError) error = NULL;
      g_autoptr(ResponseFilter) filter = response_filter_new(
          kit.detector, api, true, plan, kit.masker, NULL, &error);
      g_auto(Buf) out = {0};
      g_auto(Buf) record = {0};
      FilterState state = FILTER_MORE;
      bool good;

      buf_init(&out, max);
      buf_init(&record, max / 2);
      good = response_filter_feed(
                 filter, in->str, in->len, &out, &record, &state, &error) &&
             (state != FILTER_MORE ||
              response_filter_finish(
                  filter, false, &out, &record, &state, &error));
      g_assert_true(good == (error == NULL));
      if (!good)
        g_assert_error(error, INSPECT_ERROR, INSPECT_ERROR_LIMIT);
      failed += !good;
      g_assert_cmpuint(out.len, <=, all->out->len);
      g_assert_cmpmem(buf_bytes(&out), out.len, all->out->str, out.len);
      g_assert_true(out.len == 0 ||
                    memcmp(buf_bytes(&out) + out.len - 2, "\n\n", 2) == 0);
      /* Of the record the front, without gaps. */
      g_assert_cmpmem(
          buf_bytes(&record), record.len, all->record->str, record.len);
    }
    g_assert_cmpuint(failed, >, 5);
  }
}

int
main(int argc, char **argv)
{
  static const KitTest tests[] = {
      {"cut", test_cut},
      {"cut-secret", test_cut_secret},
      {"end", test_end},
      {"blocked", test_blocked},
      {"allowed", test_allowed},
      {"refused-streams", test_refused_streams},
      {"full", test_full},
  };
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  kit_add("/inspect/ends/", tests, G_N_ELEMENTS(tests));
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
