/* SPDX-License-Identifier: Apache-2.0 */
/* Masks that a model repeats: values again for the client where policy says so,
 * in text and (judged once more) in tool arguments, streamed and whole, split
 * and escaped in every way; never in the record. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

#define NASTY "the \"real\"\nvalue \\ and more"

static StreamKit kit;
static DetectorScratch *scratch;

static char *
issued(const char *value, Restore restore)
{
  GString *mask = g_string_new(NULL);

  masker_issue(
      kit.masker, "scope", restore, "some-rule", value, strlen(value), mask);
  return g_string_free(mask, FALSE);
}

/* The same text with its brackets written as JSON escapes. */
static char *
bracket_escaped(const char *text)
{
  g_auto(GStrv) parts = g_strsplit(text, "[some-rule", -1);

  return g_strjoinv("\\u005bsome-rul\\u0065", parts);
}

static char *
arguments_of(const char *mask, bool escaped)
{
  g_autofree char *shown = escaped ? bracket_escaped(mask) : g_strdup(mask);

  return g_strdup_printf("{\"a\":[\"use %s\"]}", shown);
}

/* What {"a":["use …"]} holds. */
static char *
first_text(const char *json)
{
  GString *out = g_string_new(NULL);
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, json, strlen(json));
  do {
    g_autoptr(GError) error = NULL;

    if (!json_next(&reader, &token, &error))
      g_error("%s: %s", error->message, json);
    if (token.type == JSON_STRING)
      json_unescape(json, &token, out);
  } while (token.type != JSON_END);
  return g_string_free(out, FALSE);
}

static Run *
run_call(Place place,
         Escape escape,
         const char *arguments,
         size_t size,
         const RunPlan *plan)
{
  const size_t len = strlen(arguments);
  g_autofree size_t *cuts = g_new(size_t, len + 1);
  g_auto(GStrv) pieces = NULL;
  g_autoptr(GString) in = NULL;
  unsigned n = 0;
  Run *run;

  for (size_t at = size; at < len; at += size)
    cuts[n++] = at;
  pieces = cut_text(arguments, cuts, n);
  in = make_stream(
      place, escape, (const char *const *)pieces, g_strv_length(pieces));
  run = kit_run_whole(&kit, place_api(place), plan, in->str);
  if (run->error != NULL)
    g_error("%s: %s", place_names[place], run->error->message);
  return run;
}

static const Place calls[] = {PLACE_CHAT_CALL,
                              PLACE_CHAT_FUNCTION,
                              PLACE_RESPONSES_CALL,
                              PLACE_MESSAGES_CALL};

/* The tool and the judge get the value, the record and people the mask. */
static void
test_tools(void)
{
  const RunPlan plan = {
      .action = ACTION_MASK, .hold_tools = true, .restore = RESTORE_TOOLS};
  g_autofree char *mask = issued(NASTY, RESTORE_TOOLS);

  for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++)
    for (unsigned round = 0; round < 24; round++) {
      g_autofree char *arguments = arguments_of(mask, round % 2 == 1);
      g_autoptr(Run) run = run_call(calls[i],
                                    round % 4 < 2 ? ESCAPE_LEAST : ESCAPE_ALL,
                                    arguments,
                                    round < 12 ? 1 + round : 200,
                                    &plan);
      g_autofree char *sent = kit_text(run->out, place_member(calls[i]));
      g_autofree char *kept = kit_text(run->record, place_member(calls[i]));
      g_autofree char *text = NULL;
      g_autofree char *again = NULL;
      g_autofree char *judged = NULL;
      const char *at = strchr(run->seen->str, '(');

      g_assert_nonnull(at);
      judged = g_strndup(at + 1, strlen(at + 1) - 2);
      text = first_text(judged);
      g_assert_cmpstr(text, ==, "use " NASTY);
      g_assert_cmpstr(run->masked->str, ==, arguments);
      g_assert_true(g_str_has_prefix(sent, judged));
      g_assert_true(g_str_has_prefix(kept, arguments));
      g_assert_null(strstr(run->record->str, "real"));
      again = g_strndup(sent, strlen(judged));
      g_assert_cmpstr(again, ==, judged);
      /* Copies too. */
      g_assert_null(strstr(run->out->str, "some-rule:"));
    }
}

/* How far each mask may be undone is its own affair. */
static void
test_levels(void)
{
  const RunPlan plan = {
      .action = ACTION_MASK, .hold_tools = true, .restore = RESTORE_TOOLS};
  g_autofree char *for_text = issued("value for text alone", RESTORE_TEXT);
  g_autofree char *for_none = issued("value for nobody", RESTORE_NONE);
  const char *const masks[] = {for_text, for_none};

  for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++)
    for (unsigned k = 0; k < 2; k++) {
      g_autofree char *arguments = arguments_of(masks[k], false);
      g_autoptr(Run) run =
          run_call(calls[i], ESCAPE_LEAST, arguments, 7, &plan);

      g_assert_null(strstr(run->out->str, "value for"));
      g_assert_nonnull(strstr(run->seen->str, masks[k]));
    }
  for (unsigned k = 0; k < 2; k++) {
    const char *const pieces[] = {"say ", masks[k], " now"};
    g_autoptr(GString) in = stream_of(PLACE_CHAT, pieces, 3);
    g_autoptr(Run) run = kit_run_whole(&kit, API_CHAT, &plan, in->str);

    if (k == 0)
      g_assert_nonnull(strstr(run->out->str, "value for text"));
    else
      g_assert_null(strstr(run->out->str, "value for"));
  }
}

/* What is found in restored arguments is subject to the rules but for the one
 * that restored it. */
static void
test_judged_again(void)
{
  g_autofree char *mask = issued(AWS_KEY, RESTORE_TOOLS);

  for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++)
    for (unsigned round = 0; round < 3; round++) {
      static const Action actions[] = {ACTION_ALLOW, ACTION_MASK, ACTION_BLOCK};
      const RunPlan plan = {.action = ACTION_MASK,
                            .restored = actions[round],
                            .hold_tools = true,
                            .restore = RESTORE_TOOLS};
      g_autofree char *arguments = arguments_of(mask, round == 1);
      g_autofree char *with_other = g_strdup_printf(
          "{\"a\":[\"use %s\"],\"b\":\"" STRIPE_KEY "\"}", mask);
      g_autoptr(Run) run =
          run_call(calls[i], ESCAPE_LEAST, arguments, 5, &plan);
      g_autoptr(Run) both =
          run_call(calls[i], ESCAPE_LEAST, with_other, 5, &plan);

      g_assert_false(kit_leaks(run->record->str, run->record->len, AWS_KEY));
      g_assert_false(kit_leaks(run->masked->str, run->masked->len, AWS_KEY));
      g_assert_false(kit_leaks(both->out->str, both->out->len, STRIPE_KEY));
      if (round == 0) {
        g_assert_nonnull(strstr(run->out->str, AWS_KEY));
        g_assert_nonnull(strstr(run->seen->str, AWS_KEY));
        g_assert_nonnull(strstr(both->out->str, AWS_KEY));
        g_assert_nonnull(strstr(both->seen->str, STRIPE_KEY));
        g_assert_nonnull(strstr(both->out->str, "[stripe-key:"));
      } else {
        g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
        g_assert_false(kit_leaks(run->seen->str, run->seen->len, AWS_KEY));
        g_assert_cmpint(
            run->last, ==, round == 1 ? FILTER_FINAL : FILTER_BLOCKED);
        g_assert_cmpuint(run->findings, ==, 1);
      }
    }
}

/* A member that policy masks by name keeps a value that its rule restored. */
static void
test_named(void)
{
  char *names[] = {(char *)"password", NULL};
  g_autofree char *mask = issued("hunter two", RESTORE_TOOLS);
  g_autofree char *alone = g_strdup_printf("{\"password\":\"%s\"}", mask);
  g_autofree char *mixed = g_strdup_printf("{\"password\":\"x%s\"}", mask);

  for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++) {
    const RunPlan strict = {
        .hold_tools = true, .restore = RESTORE_TOOLS, .mask_fields = names};
    const RunPlan keeps = {.hold_tools = true,
                           .restore = RESTORE_TOOLS,
                           .mask_fields = names,
                           .keep_fields = names};
    g_autoptr(Run) a = run_call(calls[i], ESCAPE_LEAST, alone, 5, &strict);
    g_autoptr(Run) b = run_call(calls[i], ESCAPE_LEAST, alone, 5, &keeps);
    g_autoptr(Run) c = run_call(calls[i], ESCAPE_LEAST, mixed, 5, &keeps);

    g_assert_null(strstr(a->out->str, "hunter"));
    g_assert_nonnull(strstr(b->out->str, "hunter two"));
    g_assert_null(strstr(b->record->str, "hunter"));
    g_assert_null(strstr(c->out->str, "hunter"));
  }
}

/* What an answer's own secret was masked as stays a mask. */
static void
test_answers_own(void)
{
  const RunPlan plan = {
      .action = ACTION_MASK, .hold_tools = true, .restore = RESTORE_TOOLS};
  static const char *const said[] = {"it is " SLACK_TOKEN " ok"};
  g_autoptr(GString) first = stream_of(PLACE_CHAT, said, 1);
  g_autoptr(Run) run = kit_run_whole(&kit, API_CHAT, &plan, first->str);
  const char *mask = strstr(run->out->str, "[slack");
  g_autofree char *repeated = NULL;
  g_autofree char *arguments = NULL;

  g_assert_nonnull(mask);
  repeated = g_strndup(mask, strcspn(mask, "]") + 1);
  {
    const char *const pieces[] = {repeated, " again"};
    g_autoptr(GString) in = stream_of(PLACE_CHAT, pieces, 2);
    g_autoptr(Run) text = kit_run_whole(&kit, API_CHAT, &plan, in->str);

    g_assert_cmpstr(text->out->str, ==, in->str);
  }
  arguments = arguments_of(repeated, false);
  {
    g_autoptr(Run) call =
        run_call(PLACE_CHAT_CALL, ESCAPE_LEAST, arguments, 9, &plan);

    g_assert_null(strstr(call->out->str, "xoxb"));
  }
}

/* ---- Whole answers ----------------------------------------------------- */

typedef struct {
  Api api;
  const char *text; /* with one %s for a JSON string's inside */
  const char *call; /* the same, for the arguments' JSON or its string */
  bool object;      /* arguments are an object */
} Whole;

static const Whole wholes[] = {
    {API_CHAT,
     "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
     "\"content\":\"%s\"},\"finish_reason\":\"stop\"}]}",
     "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
     "\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
     "\"function\":{\"name\":\"sh\",\"arguments\":\"%s\"}}]}}]}",
     false},
    {API_COMPLETIONS, "{\"choices\":[{\"index\":0,\"text\":\"%s\"}]}", NULL, 0},
    {API_RESPONSES,
     "{\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":"
     "[{\"type\":\"output_text\",\"text\":\"%s\"}]}]}",
     "{\"output\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":"
     "\"sh\""
     ",\"arguments\":\"%s\"}]}",
     false},
    /* As some backends have it. */
    {API_RESPONSES,
     "{\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"content\":"
     "[{\"type\":\"output_text\",\"text\":\"%s\"}]}]}",
     "{\"output\":[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":"
     "\"sh\",\"arguments\":%s}]}",
     true},
    {API_MESSAGES,
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"%s\"}]"
     "}",
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"c\","
     "\"name\":\"sh\",\"input\":%s}]}",
     true},
};

static Inspection *
inspect(Api api, GBytes *body)
{
  g_autoptr(GError) error = NULL;
  Inspection *inspection = inspection_new(
      scratch, api, DIRECTION_RESPONSE, "application/json", body, NULL, &error);

  g_assert_no_error(error);
  return inspection;
}

static GBytes *
body_of(const char *before, const char *inside)
{
  g_auto(GStrv) parts = g_strsplit(before, "%s", 2);
  char *body = g_strconcat(parts[0], inside, parts[1], NULL);

  return g_bytes_new_take(body, strlen(body));
}

typedef struct {
  char *client, *record, *judged;
  bool blocks;
} WholeRun;

static void
whole_run_clear(WholeRun *run)
{
  g_free(run->client);
  g_free(run->record);
  g_free(run->judged);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(WholeRun, whole_run_clear)

static char *
as_text(GBytes *bytes)
{
  return g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
}

static void
run_whole(Api api, GBytes *body, Restore how, Action again, WholeRun *run)
{
  const RunPlan run_plan = {
      .action = ACTION_MASK, .restore = how, .restored = again};
  g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &run_plan);
  g_autoptr(Inspection) inspection = inspect(api, body);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GError) error = NULL;
  g_autoptr(InspectRestore) restore = inspect_restore_new(
      inspection, scratch, kit.masker, "scope", plan, &error);
  g_autoptr(GBytes) client = NULL;
  g_autoptr(GBytes) record = NULL;
  unsigned n;
  const Finding *findings = inspection_findings(inspection, &n);

  g_assert_no_error(error);
  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {findings[i].field,
                           findings[i].start,
                           findings[i].end,
                           findings[i].rule->id,
                           RESTORE_NONE};

    g_array_append_val(spans, span);
  }
  record = inspection_rewrite(inspection, kit.masker, NULL, spans, &error);
  g_assert_no_error(error);
  client = inspection_rewrite_restored(
      inspection, kit.masker, spans, restore, &error);
  g_assert_no_error(error);
  run->client = as_text(client);
  run->record = as_text(record);
  run->blocks = inspect_restore_blocks(restore);
  if (inspect_restore_in_tools(restore)) {
    g_autoptr(GBytes) arguments =
        inspect_restore_arguments(restore, inspection);
    g_autoptr(Inspection) restored = inspect(api, arguments);
    const ToolCall *found = inspection_tool_calls(restored, &n);

    g_assert_cmpuint(n, ==, 1);
    run->judged = g_strdup(found[0].arguments);
  }
}

static void
test_whole_text(void)
{
  g_autofree char *mask = issued(NASTY, RESTORE_TEXT);
  g_autofree char *hidden = bracket_escaped(mask);

  for (unsigned i = 0; i < G_N_ELEMENTS(wholes); i++)
    for (unsigned round = 0; round < 3; round++) {
      g_autofree char *inside =
          g_strdup_printf("so %s and " STRIPE_KEY, round == 1 ? hidden : mask);
      g_autoptr(GBytes) body = body_of(wholes[i].text, inside);
      g_auto(WholeRun) run = {0};
      g_autofree char *all = NULL;

      run_whole(wholes[i].api,
                body,
                round == 2 ? RESTORE_NONE : RESTORE_TEXT,
                ACTION_ALLOW,
                &run);
      all = first_text(run.client);
      g_assert_true((strstr(all, "so " NASTY " and [stripe-key:") != NULL) ==
                    (round != 2));
      g_assert_null(strstr(run.record, "real"));
      g_assert_null(strstr(run.client, STRIPE_KEY));
      g_assert_null(run.judged);
    }
}

static void
test_whole_tools(void)
{
  g_autofree char *mask = issued(NASTY, RESTORE_TOOLS);
  g_autofree char *key = issued(AWS_KEY, RESTORE_TOOLS);

  for (unsigned i = 0; i < G_N_ELEMENTS(wholes); i++)
    for (unsigned round = 0; round < 2; round++) {
      g_autofree char *plain = arguments_of(mask, round == 1);
      g_autofree char *keyed = arguments_of(key, round == 1);
      const char *const both[] = {plain, keyed};

      for (unsigned k = 0; wholes[i].call != NULL && k < 2; k++) {
        g_autoptr(GString) inside = g_string_new(NULL);
        g_autoptr(GBytes) body = NULL;
        g_auto(WholeRun) free = {0};
        g_auto(WholeRun) again = {0};
        g_auto(WholeRun) text = {0};
        g_autofree char *judged = NULL;

        if (wholes[i].object)
          g_string_append(inside, both[k]);
        else
          json_escape(inside, both[k], -1);
        body = body_of(wholes[i].call, inside->str);
        run_whole(wholes[i].api, body, RESTORE_TOOLS, ACTION_ALLOW, &free);
        run_whole(wholes[i].api, body, RESTORE_TOOLS, ACTION_MASK, &again);
        run_whole(wholes[i].api, body, RESTORE_TEXT, ACTION_ALLOW, &text);
        g_assert_nonnull(free.judged);
        judged = first_text(free.judged);
        g_assert_cmpstr(judged, ==, k == 0 ? "use " NASTY : "use " AWS_KEY);
        g_assert_nonnull(strstr(free.client, k == 0 ? "real" : AWS_KEY));
        g_assert_null(strstr(free.record, k == 0 ? "real" : AWS_KEY));
        g_assert_true((strstr(again.client, AWS_KEY) == NULL));
        g_assert_true((again.judged == NULL) == (k == 1));
        g_assert_null(strstr(text.client, k == 0 ? "real" : AWS_KEY));
        g_assert_null(text.judged);
      }
    }
}

static void
test_whole_blocked(void)
{
  g_autofree char *mask = issued(AWS_KEY, RESTORE_TOOLS);
  g_autofree char *arguments = arguments_of(mask, true);
  g_autoptr(GBytes) body = body_of(wholes[3].call, arguments);
  g_auto(WholeRun) run = {0};

  run_whole(API_MESSAGES, body, RESTORE_TOOLS, ACTION_BLOCK, &run);
  g_assert_true(run.blocks);
  g_assert_null(strstr(run.client, AWS_KEY));
}

/* Another policy: what was issued under the former one stays a mask until it is
 * issued again. */
static void
test_forgotten(void)
{
  g_autofree char *mask = issued(NASTY, RESTORE_TOOLS);
  g_autofree char *again = NULL;
  g_autoptr(GString) out = g_string_new(NULL);

  masker_forget_scopes(kit.masker);
  g_assert_false(masker_restore(
      kit.masker, "scope", RESTORE_TEXT, mask, strlen(mask), out));
  again = issued(NASTY, RESTORE_TEXT);
  g_assert_cmpstr(again, ==, mask);
  g_assert_true(masker_restore(
      kit.masker, "scope", RESTORE_TEXT, mask, strlen(mask), out));
  g_assert_cmpstr(out->str, ==, NASTY);
}

/* ---- Bounds ------------------------------------------------------------ */

/* More than any answer has use for; an agent without a bound held it all. */
#define FLOOD_BYTES ((size_t)40 * 1024 * 1024)
#define FLOOD_MASKS 5000

static char *
long_mask(void)
{
  g_autoptr(GString) value = g_string_new(NULL);

  while (value->len < 15000)
    g_string_append(value, "some longer value ");
  return issued(value->str, RESTORE_TOOLS);
}

/* A server that repeats a mask cannot make the agent hold what it stands for
 * any number of times. */
static void
test_stream_bounded(void)
{
  const RunPlan run_plan = {.action = ACTION_MASK, .restore = RESTORE_TEXT};
  g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &run_plan);
  g_autoptr(GError) error = NULL;
  g_autoptr(ResponseFilter) filter = response_filter_new(
      kit.detector, API_CHAT, true, plan, kit.masker, "scope", &error);
  g_autofree char *mask = long_mask();
  g_autofree char *event = g_strdup_printf(
      "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s "
      "\"}}]}\n\n",
      mask);
  g_auto(Buf) out = {0};
  g_auto(Buf) record = {0};
  FilterState state;
  size_t given = 0;
  bool good = true;

  g_assert_no_error(error);
  buf_init(&out, KIT_OUT_MAX);
  buf_init(&record, KIT_OUT_MAX);
  while (good && given < FLOOD_BYTES) {
    good = response_filter_feed(
        filter, event, strlen(event), &out, &record, &state, &error);
    given += out.len;
    buf_consume(&out, out.len);
    buf_consume(&record, record.len);
  }
  g_assert_false(good);
  g_assert_error(error, INSPECT_ERROR, INSPECT_ERROR_LIMIT);
  g_assert_cmpuint(given, >, 1024 * 1024);
}

/* The same of whole answers, by bytes and by number. */
static void
test_whole_bounded(void)
{
  g_autofree char *big = long_mask();
  g_autofree char *small = issued("short", RESTORE_TOOLS);
  const char *const masks[] = {big, small};

  for (unsigned i = 0; i < G_N_ELEMENTS(wholes); i++)
    for (unsigned k = 0; k < G_N_ELEMENTS(masks); k++) {
      const RunPlan run_plan = {.action = ACTION_MASK, .restore = RESTORE_TEXT};
      g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &run_plan);
      g_autoptr(GString) text = g_string_new(NULL);
      g_autoptr(GBytes) body = NULL;
      g_autoptr(Inspection) inspection = NULL;
      g_autoptr(InspectRestore) restore = NULL;
      g_autoptr(GError) error = NULL;

      for (unsigned n = 0; n < FLOOD_MASKS; n++)
        g_string_append_printf(text, "%s ", masks[k]);
      body = body_of(wholes[i].text, text->str);
      inspection = inspect(wholes[i].api, body);
      restore = inspect_restore_new(
          inspection, scratch, kit.masker, "scope", plan, &error);
      g_assert_null(restore);
      g_assert_error(error, INSPECT_ERROR, INSPECT_ERROR_LIMIT);
    }
}

int
main(int argc, char **argv)
{
  static const KitTest tests[] = {
      {"tools", test_tools},
      {"levels", test_levels},
      {"judged-again", test_judged_again},
      {"named", test_named},
      {"answers-own", test_answers_own},
      {"whole-text", test_whole_text},
      {"whole-tools", test_whole_tools},
      {"whole-blocked", test_whole_blocked},
      {"forgotten", test_forgotten},
      {"stream-bounded", test_stream_bounded},
      {"whole-bounded", test_whole_bounded},
  };
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  scratch = kit_scratch(kit.detector);
  kit_add("/inspect/restore/", tests, G_N_ELEMENTS(tests));
  result = g_test_run();
  detector_scratch_free(scratch);
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
