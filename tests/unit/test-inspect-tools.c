/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls of answers wait, are released or refused, and masks become values
 * again where policy lets them. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

static StreamKit kit;
static const RunPlan mask_plan = {.action = ACTION_MASK, .hold_tools = true};

static void
test_tool_refused(void)
{
  const RunPlan refuse = {
      .action = ACTION_MASK, .hold_tools = true, .refuse = true};
  static const char *const pieces[] = {"{\"cmd\":", "\"rm -rf\"}"};
  static const struct {
    Place place;
    const char *gone, *there;
  } rows[] = {
      {PLACE_CHAT_CALL, "tool_calls", "\"finish_reason\":\"stop\""},
      {PLACE_CHAT_FUNCTION, "function_call", "\"finish_reason\":\"stop\""},
      {PLACE_RESPONSES_CALL, "function_call", "\"type\":\"message\""},
      {PLACE_MESSAGES_CALL, "tool_use", "\"stop_reason\":\"end_turn\""},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GString) in = stream_of(rows[i].place, pieces, 2);
    g_autoptr(Run) run =
        kit_run_whole(&kit, place_api(rows[i].place), &refuse, in->str);
    g_autofree char *deltas = NULL;

    g_assert_no_error(run->error);
    g_assert_cmpstr(run->seen->str, ==, "run({\"cmd\":\"rm -rf\"});");
    g_assert_cmpuint(count(run->out->str, rows[i].gone), ==, 0);
    g_assert_cmpuint(count(run->out->str, "rm -rf"), ==, 0);
    g_assert_nonnull(strstr(run->out->str, rows[i].there));
    g_assert_nonnull(strstr(run->out->str, "No, not allowed."));
    deltas = kit_text(run->out, "type"); /* all of it is JSON */
  }
}

/* Numbers stay in sequence when events of ours stand between. */
static void
test_sequence(void)
{
  const RunPlan refuse = {
      .action = ACTION_MASK, .hold_tools = true, .refuse = true};
  static const char *const pieces[] = {"{", "\"a\":", "1}"};
  g_autoptr(GString) in = stream_of(PLACE_RESPONSES_CALL, pieces, 3);
  g_autoptr(Run) run = kit_run_whole(&kit, API_RESPONSES, &refuse, in->str);
  const char *at = run->out->str;

  for (unsigned i = 0; (at = strstr(at, "\"sequence_number\":")) != NULL; i++) {
    at += strlen("\"sequence_number\":");
    g_assert_cmpuint(strtoul(at, NULL, 10), ==, i);
  }
}

/* Of three calls the middle one is refused: the others close up. */
static void
test_parallel_tools(void)
{
  const RunPlan refuse = {.action = ACTION_MASK,
                          .hold_tools = true,
                          .refuse = true,
                          .refused = "two"};
  g_autoptr(GString) in = g_string_new(NULL);
  g_autoptr(Run) run = NULL;

  add_chunk(in, 0, "\"role\":\"assistant\",\"content\":null", NULL);
  add_chunk(
      in,
      0,
      "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"function\","
      "\"function\":{\"name\":\"one\",\"arguments\":\"\"}},{\"index\":1,"
      "\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"two\","
      "\"arguments\":\"\"}},{\"index\":2,\"id\":\"c\",\"type\":"
      "\"function\",\"function\":{\"name\":\"three\",\"arguments\":\"\"}}]",
      NULL);
  for (unsigned i = 0; i < 2; i++)
    for (unsigned call = 0; call < 3; call++) {
      g_autofree char *delta = g_strdup_printf(
          "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":\"%s\"}}]",
          call,
          i == 0 ? "{\\\"k\\\":" : "1}");

      add_chunk(in, 0, delta, NULL);
    }
  add_chunk(in, 0, "", "tool_calls");
  g_string_append(in, "data: [DONE]\n\n");
  run = kit_run_whole(&kit, API_CHAT, &refuse, in->str);
  g_assert_no_error(run->error);
  g_assert_cmpstr(
      run->seen->str, ==, "one({\"k\":1});two({\"k\":1});three({\"k\":1});");
  g_assert_null(strstr(run->out->str, "\"name\":\"two\""));
  g_assert_null(strstr(run->out->str, "\"index\":2"));
  g_assert_nonnull(
      strstr(run->out->str, "\"index\":1,\"id\":\"c\",\"type\":\"function\""));
  g_assert_nonnull(strstr(run->out->str, "\"finish_reason\":\"tool_calls\""));
  g_assert_cmpuint(count(run->out->str, "No, not allowed."), ==, 1);
  {
    g_autofree char *arguments = kit_text(run->out, "arguments");

    g_assert_cmpstr(arguments, ==, "{\"k\":{\"k\":1}1}");
  }
}

/* Nothing of a call, nor behind it, before it was judged. */
static void
test_tool_waits(void)
{
  static const char *const pieces[] = {"{\"cmd\":", "\"ls\"}"};

  for (unsigned place = 0; place < N_PLACES; place++) {
    g_autoptr(GString) in = NULL;
    g_autoptr(StreamPlan) plan = kit_plan(kit.detector, &mask_plan);
    g_autoptr(GError) error = NULL;
    g_autoptr(ResponseFilter) filter = NULL;
    g_auto(Buf) out = {0};
    FilterState state;

    if (!place_is_call((Place)place))
      continue;
    in = stream_of((Place)place, pieces, 2);
    filter = response_filter_new(kit.detector,
                                 place_api((Place)place),
                                 true,
                                 plan,
                                 kit.masker,
                                 NULL,
                                 &error);
    g_assert_no_error(error);
    buf_init(&out, KIT_OUT_MAX);
    response_filter_feed(filter, in->str, in->len, &out, NULL, &state, &error);
    g_assert_no_error(error);
    g_assert_cmpint(state, ==, FILTER_TOOL_CALL);
    g_assert_null(memmem(buf_bytes(&out), out.len, "cmd", 3));
    g_assert_null(memmem(buf_bytes(&out), out.len, "\"run\"", 5));
    response_filter_resolve(
        filter, TOOL_RELEASE, NULL, &out, NULL, &state, &error);
    g_assert_no_error(error);
    g_assert_cmpint(state, ==, FILTER_FINAL);
    g_assert_cmpuint(out.len, <, in->len);
    response_filter_release(filter, &out, NULL);
    g_assert_cmpmem(buf_bytes(&out), out.len, in->str, in->len);
  }
}

static void
test_mask_fields(void)
{
  char *fields[] = {(char *)"password", NULL};
  const RunPlan plan = {
      .action = ACTION_MASK, .hold_tools = true, .mask_fields = fields};
  static const char *const pieces[] = {
      "{\"user\":\"jo\",\"Pass", "word\":\"it\\\"s a ", "secret\"}"};

  for (unsigned place = 0; place < N_PLACES; place++) {
    g_autoptr(GString) in = NULL;
    g_autoptr(Run) run = NULL;
    g_autofree char *arguments = NULL;

    if (!place_is_call((Place)place) || place == PLACE_RESPONSES_CALL)
      continue;
    in = stream_of((Place)place, pieces, 3);
    run = kit_run_whole(&kit, place_api((Place)place), &plan, in->str);
    g_assert_no_error(run->error);
    arguments = kit_text(run->out, place_member((Place)place));
    g_assert_true(
        g_str_has_prefix(arguments, "{\"user\":\"jo\",\"Password\":\"[field:"));
    g_assert_true(g_str_has_suffix(arguments, "]\"}"));
    g_assert_null(strstr(arguments, "secret"));
  }
}

static char *
issued_mask(const char *value)
{
  GString *mask = g_string_new(NULL);

  masker_mask(kit.masker, "scope", "some-rule", value, strlen(value), mask);
  return g_string_free(mask, FALSE);
}

/* A mask of this conversation is its value again, for the client alone. */
static void
test_restore(void)
{
  const RunPlan text_plan = {
      .action = ACTION_MASK, .hold_tools = true, .restore = RESTORE_TEXT};
  const RunPlan tools_plan = {
      .action = ACTION_MASK, .hold_tools = true, .restore = RESTORE_TOOLS};
  g_autofree char *mask = issued_mask("the \"real\"\nvalue");

  for (unsigned place = 0; place < N_PLACES; place++)
    for (unsigned escape = 0; escape < N_ESCAPES; escape++)
      for (size_t n = 1; n < 30; n += 4) {
        g_autofree char *text = g_strdup_printf(
            place_is_call((Place)place) ? "{\"a\":\"use %s\"}" : "use %s!",
            mask);
        const size_t cuts[] = {4 + n, 5 + n, 9 + n};
        g_auto(GStrv) pieces = cut_text(text, cuts, G_N_ELEMENTS(cuts));
        g_autoptr(GString) in = make_stream((Place)place,
                                            (Escape)escape,
                                            (const char *const *)pieces,
                                            g_strv_length(pieces));
        const RunPlan *plan =
            place_is_call((Place)place) ? &tools_plan : &text_plan;
        g_autoptr(Run) run = NULL;
        g_autofree char *said = NULL;
        g_autofree char *kept = NULL;

        if (place == PLACE_RAW)
          continue;
        run = kit_run_whole(&kit, place_api((Place)place), plan, in->str);
        g_assert_no_error(run->error);
        said = kit_text(run->out, place_member((Place)place));
        kept = kit_text(run->record, place_member((Place)place));
        if (strstr(said, "real") == NULL)
          g_error("%s: not restored: %s", place_names[place], run->out->str);
        g_assert_null(strstr(kept, "real"));
        g_assert_nonnull(strstr(kept, mask));
      }
}

static void
test_not_restored(void)
{
  const RunPlan text_plan = {
      .action = ACTION_MASK, .hold_tools = true, .restore = RESTORE_TEXT};
  g_autofree char *mask = issued_mask("the value");
  g_autofree char *arguments = g_strdup_printf("{\"a\":\"%s\"}", mask);
  const char *const in_call[] = {arguments};
  const char *const in_text[] = {"[some-rule:aaaaaaaaaaaa] ", mask};
  g_autoptr(GString) call = stream_of(PLACE_CHAT_CALL, in_call, 1);
  g_autoptr(GString) text = stream_of(PLACE_CHAT, in_text, 2);
  g_autoptr(Run) first = kit_run_whole(&kit, API_CHAT, &text_plan, call->str);
  g_autoptr(Run) second = kit_run_whole(&kit, API_CHAT, &mask_plan, text->str);

  g_assert_cmpstr(first->out->str, ==, call->str);
  g_assert_cmpstr(second->out->str, ==, text->str);
}

static void
test_refuse_whole(void)
{
  static const struct {
    Api api;
    const char *body;
    const char *gone, *there;
  } rows[] = {
      {API_CHAT,
       "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
       "\"content\":null,\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\","
       "\"function\":{\"name\":\"bad\",\"arguments\":\"{}\"}}]},"
       "\"finish_reason\":\"tool_calls\"}]}",
       "bad",
       "\"finish_reason\":\"stop\""},
      {API_CHAT,
       "{\"choices\":[{\"message\":{\"function_call\":{\"name\":\"bad\","
       "\"arguments\":\"{}\"},\"content\":\"Text\"},\"finish_reason\":"
       "\"function_call\"}]}",
       "bad",
       "\"content\":\"Text\\n\\nNo.\""},
      {API_RESPONSES,
       "{\"output\":[{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":"
       "\"bad\",\"arguments\":\"{}\"}]}",
       "bad",
       "\"type\":\"message\""},
      {API_MESSAGES,
       "{\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"bad\","
       "\"input\":{}}],\"stop_reason\":\"tool_use\"}",
       "bad",
       "\"stop_reason\":\"end_turn\""},
  };
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  const bool refused[] = {true};

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GBytes) body =
        g_bytes_new_static(rows[i].body, strlen(rows[i].body));
    g_autoptr(GError) error = NULL;
    g_autoptr(Inspection) in = inspection_new(scratch,
                                              rows[i].api,
                                              DIRECTION_RESPONSE,
                                              "application/json",
                                              body,
                                              NULL,
                                              &error);
    g_autoptr(GBytes) out = NULL;
    g_autoptr(Inspection) again = NULL;
    g_autofree char *text = NULL;
    unsigned n;

    g_assert_no_error(error);
    out = inspection_refuse_tools(in, body, refused, "No.", &error);
    g_assert_no_error(error);
    text = g_strndup(g_bytes_get_data(out, NULL), g_bytes_get_size(out));
    g_assert_null(strstr(text, rows[i].gone));
    g_assert_nonnull(strstr(text, rows[i].there));
    g_assert_nonnull(strstr(text, "No."));
    again = inspection_new(scratch,
                           rows[i].api,
                           DIRECTION_RESPONSE,
                           "application/json",
                           out,
                           NULL,
                           &error);
    g_assert_no_error(error);
    inspection_tool_calls(again, &n);
    g_assert_cmpuint(n, ==, 0);
  }
}

/* Halves of a pair in two deltas, and NULs, hide nothing from the judge and
 * break nothing. */
static void
test_odd_arguments(void)
{
  g_autoptr(GString) in = g_string_new(NULL);
  g_autoptr(Run) run = NULL;

  add_chunk(in,
            0,
            "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"type\":\"custom\","
            "\"custom\":{\"name\":\"run\",\"input\":\"ls\\u0000 \\ud83d\"}}]",
            NULL);
  add_chunk(
      in,
      0,
      "\"tool_calls\":[{\"index\":0,\"custom\":{\"input\":\"\\ude00 " AWS_KEY
      " \\udc00\"}}]",
      NULL);
  add_chunk(in, 0, "", "tool_calls");
  g_string_append(in, "data: [DONE]\n\n");
  run = kit_run_whole(&kit, API_CHAT, &mask_plan, in->str);
  g_assert_no_error(run->error);
  g_assert_cmpstr(run->seen->str,
                  ==,
                  "run(ls\xef\xbf\xbd \xf0\x9f\x98\x80 " AWS_KEY
                  " \xef\xbf\xbd);");
  g_assert_nonnull(strstr(run->out->str, "ls\\u0000 \\ud83d"));
  g_assert_nonnull(strstr(run->out->str, "\"\\ude00 [aws-access-key:"));
  g_assert_nonnull(strstr(run->out->str, "] \\udc00\""));
}

/* A call whose input comes at once, as an object: masked, restored and judged
 * like one in pieces; a secret beside the mask stays hidden. */
static void
test_object_input(void)
{
  static const char event[] =
      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"
      "{\"id\":\"m\",\"role\":\"assistant\",\"content\":[]}}\n\n"
      "event: content_block_start\ndata: {\"type\":\"content_block_start\","
      "\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\","
      "\"name\":\"run\",\"input\":{\"a\":\"use %s\",\"card\": "
      "4111111111111111,\"in\":{\"k\":\"" AWS_KEY "\"},\"p\":\"open\"}}}\n\n"
      "%s"
      "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
      "\"index\":0}\n\n"
      "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
  static const char piece[] =
      "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
      "\"index\":0,\"delta\":{\"type\":\"input_json_delta\","
      "\"partial_json\":\"%s\"}}\n\n";
  char name_of_field[] = "p";
  char *named[] = {name_of_field, NULL};
  const RunPlan plans[] = {
      {.action = ACTION_MASK, .hold_tools = true, .restore = RESTORE_TOOLS},
      {.action = ACTION_MASK, .hold_tools = true, .mask_fields = named}};
  g_autofree char *mask = issued_mask("the \"real\"\nvalue");

  for (unsigned i = 0; i < G_N_ELEMENTS(plans); i++) {
    g_autofree char *none = g_strdup_printf(piece, "");
    g_autofree char *in = g_strdup_printf(event, mask, none);
    g_autoptr(Run) run = kit_run_whole(&kit, API_MESSAGES, &plans[i], in);
    g_autofree char *said = kit_text(run->out, "a");
    g_autofree char *name = kit_text(run->out, "p");

    g_assert_no_error(run->error);
    g_assert_cmpuint(run->calls, ==, 1);
    g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
    g_assert_null(strstr(run->out->str, "4111111111111111"));
    g_assert_nonnull(strstr(run->out->str, "\"card\": \"[card-number:"));
    g_assert_nonnull(strstr(run->out->str, "\"k\":\"[aws-access-key:"));
    if (i == 0) {
      g_assert_cmpstr(said, ==, "use the \"real\"\nvalue");
      g_assert_nonnull(strstr(run->seen->str, "use the \\\"real\\\"\\nvalue"));
      g_assert_cmpstr(name, ==, "open");
    } else {
      g_assert_nonnull(strstr(said, mask));
      g_assert_true(g_str_has_prefix(name, "[field:"));
    }
    g_assert_null(strstr(run->record->str, "real"));
    g_assert_nonnull(strstr(run->record->str, mask));
  }
  {
    g_autofree char *more = g_strdup_printf(piece, "{}");
    g_autofree char *in = g_strdup_printf(event, mask, more);
    g_autoptr(Run) run = kit_run_whole(&kit, API_MESSAGES, &plans[0], in);

    g_assert_error(run->error, INSPECT_ERROR, INSPECT_ERROR_UNREADABLE);
    g_assert_null(strstr(run->out->str, "real"));
  }
}

/* What the user allowed passes in text, in calls it stays masked: streams and
 * whole answers alike. */
static void
test_allowed(void)
{
  const RunPlan lenient = {
      .action = ACTION_MASK, .hold_tools = true, .lenient = true};
  static const char *const said[] = {"see " AWS_KEY " there"};
  static const char *const given[] = {"{\"k\":\"", AWS_KEY "\"}"};
  static const char whole[] =
      "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
      "\"content\":\"" AWS_KEY "\",\"tool_calls\":[{\"id\":\"a\",\"type\":"
      "\"function\",\"function\":{\"name\":\"run\",\"arguments\":"
      "\"{\\\"k\\\":\\\"" AWS_KEY "\\\"}\"}}]}}]}";
  static const Place calls[] = {
      PLACE_CHAT_CALL, PLACE_RESPONSES_CALL, PLACE_MESSAGES_CALL};
  AllowedFinding allowed = {.until_us = G_MAXINT64,
                            .until_boot_us = G_MAXINT64};
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  g_autoptr(GBytes) body = g_bytes_new_static(whole, strlen(whole));
  g_autoptr(GString) text = stream_of(PLACE_CHAT, said, 1);
  g_autoptr(Inspection) inspection = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(Run) run = NULL;
  unsigned n, in_calls = 0, in_text = 0;
  const InspectField *fields;
  const Finding *findings;

  masker_fingerprint(kit.masker, AWS_KEY, strlen(AWS_KEY), allowed.fingerprint);
  masker_set_allowed(kit.masker, &allowed, 1);
  run = kit_run_whole(&kit, API_CHAT, &lenient, text->str);
  g_assert_nonnull(strstr(run->out->str, AWS_KEY));
  for (unsigned i = 0; i < G_N_ELEMENTS(calls); i++) {
    g_autoptr(GString) in = stream_of(calls[i], given, 2);
    g_autoptr(Run) call =
        kit_run_whole(&kit, place_api(calls[i]), &lenient, in->str);

    g_assert_no_error(call->error);
    g_assert_false(kit_leaks(call->out->str, call->out->len, AWS_KEY));
    g_assert_nonnull(strstr(call->out->str, "[aws-access-key:"));
  }
  inspection = inspection_new(
      scratch, API_CHAT, DIRECTION_RESPONSE, NULL, body, NULL, &error);
  g_assert_no_error(error);
  inspection_allow(inspection, kit.masker);
  fields = inspection_fields(inspection, &n);
  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++) {
    const bool call =
        strstr(fields[findings[i].field].path, "arguments") != NULL;

    g_assert_true(findings[i].allowed != call);
    in_calls += call;
    in_text += !call;
  }
  g_assert_cmpuint(in_calls, >, 0);
  g_assert_cmpuint(in_text, >, 0);
  masker_set_allowed(kit.masker, NULL, 0);
}

/* Arguments that are an object where the Responses API has a string: masked and
 * judged, in the item that ends the call and in its copy. */
static void
test_object_arguments(void)
{
  static const char item[] =
      "{\"type\":\"function_call\",\"id\":\"i\",\"call_id\":\"c\",\"name\":"
      "\"run\",\"arguments\":{\"a\":\"use " AWS_KEY "\",\"n\": 7}}";
  static const char events[] =
      "event: response.output_item.added\ndata: "
      "{\"type\":\"response.output_item"
      ".added\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"id\":"
      "\"i\",\"call_id\":\"c\",\"name\":\"run\",\"arguments\":\"\"}}\n\n"
      "event: response.output_item.done\ndata: {\"type\":\"response.output_item"
      ".done\",\"output_index\":0,\"item\":%s}\n\n"
      "event: response.completed\ndata: {\"type\":\"response.completed\","
      "\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[%s]}}"
      "\n\n";
  const RunPlan masks = {.action = ACTION_MASK, .hold_tools = true};
  g_autofree char *in = g_strdup_printf(events, item, item);
  g_autoptr(Run) run = kit_run_whole(&kit, API_RESPONSES, &masks, in);

  g_assert_no_error(run->error);
  g_assert_cmpuint(run->calls, ==, 1);
  g_assert_nonnull(strstr(run->seen->str, "\"n\": 7"));
  g_assert_false(kit_leaks(run->out->str, run->out->len, AWS_KEY));
  g_assert_false(kit_leaks(run->record->str, run->record->len, AWS_KEY));
  g_assert_nonnull(strstr(run->out->str, "[aws-access-key:"));
}

int
main(int argc, char **argv)
{
  static const KitTest tests[] = {
      {"tool-refused", test_tool_refused},
      {"sequence", test_sequence},
      {"parallel-tools", test_parallel_tools},
      {"tool-waits", test_tool_waits},
      {"mask-fields", test_mask_fields},
      {"restore", test_restore},
      {"not-restored", test_not_restored},
      {"refuse-whole", test_refuse_whole},
      {"odd-arguments", test_odd_arguments},
      {"object-input", test_object_input},
      {"object-arguments", test_object_arguments},
      {"allowed", test_allowed},
  };
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  kit_add("/inspect/tools/", tests, G_N_ELEMENTS(tests));
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
