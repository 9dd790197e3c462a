/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets that are JSON numbers, and short names and leaves: found and masked
 * like any text, in requests, whole answers, streams and tool arguments, and
 * what comes out is JSON again. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

#define CARD "4111111111111111"
#define SHORT "q7#Zr2"

static StreamKit kit;
static DetectorScratch *scratch;
static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

static void
assert_json(const char *text)
{
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, text, strlen(text));
  do {
    g_autoptr(GError) error = NULL;

    if (!json_next(&reader, &token, &error))
      g_error("%s: %s", error->message, text);
  } while (token.type != JSON_END);
}

static char *
masked(Api api, const char *type, const char *text, unsigned *n)
{
  g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection =
      inspection_new(scratch, api, DIRECTION_REQUEST, type, body, NULL, &error);
  g_autoptr(GBytes) out = NULL;
  const Finding *findings;

  g_assert_no_error(error);
  findings = inspection_findings(inspection, n);
  for (unsigned i = 0; i < *n; i++) {
    const MaskSpan span = {findings[i].field,
                           findings[i].start,
                           findings[i].end,
                           findings[i].rule->id,
                           RESTORE_NONE};

    g_array_append_val(spans, span);
  }
  out = inspection_rewrite(inspection, kit.masker, NULL, spans, &error);
  g_assert_no_error(error);
  return g_strndup(g_bytes_get_data(out, NULL), g_bytes_get_size(out));
}

static void
test_requests(void)
{
  static const char *const bodies[] = {
      "{\"card\": " CARD " , \"n\": 3}",
      "{\"cards\":[1," CARD ",-7]}",
      "[" CARD "]",
      "{\"messages\":[{\"role\":\"tool\",\"content\":"
      "\"{\\\"card\\\":" CARD ",\\\"x\\\":1}\"}]}",
      "{\"a\":\"{\\\"b\\\":\\\"[" CARD "]\\\"}\"}",
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(bodies); i++) {
    unsigned n;
    g_autofree char *out = masked(API_CHAT, "application/json", bodies[i], &n);

    g_assert_cmpuint(n, ==, 1);
    g_assert_null(strstr(out, CARD));
    g_assert_nonnull(strstr(out, "[card-number:"));
    assert_json(out);
  }
}

/* The other numbers stay to the byte. */
static void
test_clean(void)
{
  static const char body[] =
      "{\"max_tokens\":4096,\"temperature\":0.25,\"seed\":1234567890,"
      "\"vector\":[-0.0123456789,1e-7,12345678],\"t\":1700000000123}";
  unsigned n;
  g_autofree char *out = masked(API_CHAT, "application/json", body, &n);

  g_assert_cmpuint(n, ==, 0);
  g_assert_cmpstr(out, ==, body);
}

/* Members that policy names are fields whatever the number's length; long lists
 * of numbers are none. */
static void
test_fields(void)
{
  static const char body[] =
      "{\"pin\":1234,\"v\":[1,2,3,0.123456789],\"ids\":[123456]}";
  g_autoptr(GBytes) bytes = g_bytes_new_static(body, strlen(body));
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection = inspection_new(scratch,
                                                    API_OTHER,
                                                    DIRECTION_REQUEST,
                                                    "application/json",
                                                    bytes,
                                                    NULL,
                                                    &error);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  MaskSpan span = {.end = 4, .rule_id = "field"};
  g_autoptr(GBytes) out = NULL;
  g_autofree char *text = NULL;
  g_autoptr(GPtrArray) values = g_ptr_array_new();
  const InspectField *fields, *pin;
  unsigned n;

  g_assert_no_error(error);
  fields = inspection_fields(inspection, &n);
  for (unsigned i = 0; i < n; i++)
    if (!fields[i].is_key)
      g_ptr_array_add(values, (gpointer)&fields[i]);
  g_assert_cmpuint(values->len, ==, 2);
  pin = values->pdata[0];
  g_assert_cmpstr(pin->path, ==, "pin");
  g_assert_cmpstr(pin->key, ==, "pin");
  g_assert_cmpstr(pin->text, ==, "1234");
  g_assert_cmpstr(((InspectField *)values->pdata[1])->path, ==, "ids[0]");
  span.field = (unsigned)(pin - fields);
  g_array_append_val(spans, span);
  out = inspection_rewrite(inspection, kit.masker, NULL, spans, &error);
  text = g_strndup(g_bytes_get_data(out, NULL), g_bytes_get_size(out));
  g_assert_true(g_str_has_prefix(text, "{\"pin\":\"[field:"));
  assert_json(text);
}

static void
test_streams(void)
{
  static const struct {
    Api api;
    const char *event;
  } rows[] = {
      {API_OTHER, "{\"card\":" CARD ",\"delta\":\"x\"}"},
      {API_MCP, "{\"jsonrpc\":\"2.0\",\"result\":{\"n\":[" CARD "]}}"},
      {API_CHAT, "{\"choices\":[],\"card\":" CARD "}"},
      {API_RESPONSES, "{\"type\":\"response.x\",\"a\":{\"b\":" CARD "}}"},
      {API_MESSAGES, "{\"type\":\"ping\",\"n\":" CARD "}"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *in = g_strdup_printf("data: %s\n\n", rows[i].event);
    g_autoptr(Run) run = kit_run_whole(&kit, rows[i].api, &plan, in);
    g_autofree char *line = NULL;

    g_assert_no_error(run->error);
    g_assert_null(strstr(run->out->str, CARD));
    g_assert_null(strstr(run->record->str, CARD));
    g_assert_nonnull(strstr(run->out->str, "\"[card-number:"));
    line = g_strndup(run->out->str + 6, strcspn(run->out->str, "\n") - 6);
    assert_json(line);
  }
}

static void
test_arguments(void)
{
  static const Place places[] = {
      PLACE_CHAT_CALL, PLACE_RESPONSES_CALL, PLACE_MESSAGES_CALL};
  static const char *const pieces[] = {
      "{\"card\":4111", "111111111111,\"in", "\":\"[" CARD "]\"}"};

  for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
    g_autoptr(GString) in = stream_of(places[i], pieces, 3);
    g_autoptr(Run) run =
        kit_run_whole(&kit, place_api(places[i]), &plan, in->str);
    g_autofree char *said = kit_text(run->out, place_member(places[i]));

    g_assert_no_error(run->error);
    g_assert_null(strstr(said, CARD));
    g_assert_true(g_str_has_prefix(said, "{\"card\":\"[card-number:"));
    said[strcspn(said, "}") + 1] = '\0';
    assert_json(said);
  }
}

/* Names and leaves as short as the shortest thing there is to find. */
static void
test_short(void)
{
  g_autoptr(ValueSet) values = value_set_new();
  static const struct {
    Api api;
    const char *event;
  } rows[] = {
      {API_OTHER, "{\"" SHORT "\":1}"},
      {API_OTHER, "{\"a\":\"" SHORT "\"}"},
      {API_CHAT, "{\"choices\":[],\"" SHORT "\":\"" SHORT "\"}"},
      {API_RESPONSES, "{\"type\":\"response.x\",\"" SHORT "\":[]}"},
      {API_MESSAGES, "{\"type\":\"ping\",\"x\":[\"" SHORT "\"]}"},
  };

  g_assert_cmpint(value_set_add(values, VALUE_DICTIONARY, SHORT, strlen(SHORT)),
                  ==,
                  VALUE_FITS);
  value_set_seal(values);
  detector_set_values(kit.detector, values);
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *in = g_strdup_printf("data: %s\n\n", rows[i].event);
    g_autoptr(Run) run = kit_run_whole(&kit, rows[i].api, &plan, in);
    unsigned n;
    g_autofree char *out =
        masked(rows[i].api, "application/json", rows[i].event, &n);

    g_assert_no_error(run->error);
    g_assert_null(strstr(run->out->str, SHORT));
    g_assert_null(strstr(out, SHORT));
    g_assert_cmpuint(n, >=, 1);
    assert_json(out);
  }
  detector_set_values(kit.detector, NULL);
}

/* ---- JSON in text ------------------------------------------------------ */

/* Every letter of it as an escape, with so many backslashes. */
static char *
escaped_card(unsigned level)
{
  GString *out = g_string_new(NULL);

  for (const char *p = CARD; *p != '\0'; p++) {
    for (unsigned i = 0; i < (1U << level); i++)
      g_string_append_c(out, '\\');
    g_string_append_printf(out, "u%04x", (unsigned)*p);
  }
  return g_string_free(out, FALSE);
}

static void
assert_masked(const char *type, const char *text, const char *left)
{
  unsigned n;
  g_autofree char *out = masked(API_OTHER, type, text, &n);

  if (n != 1 || strstr(out, "[card-number:") == NULL)
    g_error("%u in %s", n, out);
  g_assert_null(strstr(out, CARD));
  g_assert_null(strstr(out, "u0031u"));
  g_assert_nonnull(strstr(out, left));
}

static void
test_lines(void)
{
  g_autofree char *card = escaped_card(0);
  g_autofree char *lines =
      g_strdup_printf("{\"a\":\"x\"}\n{\"b\":\"\\n%s\"}\n\n{\"c\":1}\n", card);
  g_autofree char *log =
      g_strdup_printf("started\n{\"b\":\"%s\"}\r\n{broken}\nended {\n", card);
  g_autofree char *number = g_strdup_printf("x\n{\"b\":" CARD "}\ny");
  GString *inner = g_string_new("{\"content\":\"");
  g_autofree char *nested = NULL;

  json_escape(inner, lines, -1);
  nested = g_string_free(g_string_append(inner, "\"}"), FALSE);
  assert_masked("text/plain", lines, "{\"c\":1}\n");
  assert_masked("application/x-ndjson", lines, "{\"c\":1}\n");
  assert_masked("application/jsonl", lines, "{\"a\":\"x\"}\n");
  assert_masked("text/plain; charset=utf-8", log, "{broken}\nended {\n");
  assert_masked("text/plain", number, "{\"b\":\"[card-number:");
  assert_masked("application/json", nested, "{\\\"c\\\":1}");
}

/* Deeper than texts are taken apart, and in JSON that is broken. */
static void
test_deep(void)
{
  for (unsigned depth = 0; depth < 7; depth++) {
    g_autofree char *card = escaped_card(0);
    g_autofree char *text =
        g_strdup_printf("{\"k\":\"some\\n%s\\tmore\"}", card);
    unsigned n;
    g_autofree char *out = NULL;

    for (unsigned i = 0; i < depth; i++) {
      GString *outer = g_string_new("{\"k\":\"");

      json_escape(outer, text, -1);
      g_free(text);
      text = g_string_free(g_string_append(outer, "\"}"), FALSE);
    }
    out = masked(API_OTHER, "application/json", text, &n);
    if (strstr(out, "[card-number:") == NULL)
      g_error("%u deep: %s", depth, out);
    g_assert_null(strstr(out, "u0031"));
    assert_json(out);
    g_assert_nonnull(strstr(out, "more"));
  }
  for (unsigned level = 0; level < 3; level++) {
    g_autofree char *card = escaped_card(level);
    g_autofree char *text =
        g_strdup_printf("{\"k\":\"some %s\\nmore\", and no end", card);

    assert_masked("text/plain", text, "\\nmore\", and no end");
  }
}

/* Numbers take more room than they had: lists of them inside texts. */
static void
test_lists(void)
{
  GString *inner = g_string_new("[");
  GString *body = g_string_new("{\"k\":\"");
  g_autofree char *text = NULL;
  g_autofree char *out = NULL;
  unsigned n;

  for (unsigned i = 0; i < 20000; i++)
    g_string_append_printf(inner, "%u,", 100000 + i);
  g_string_append(inner, CARD "]");
  g_string_append(body, inner->str);
  text = g_string_free(g_string_append(body, "\"}"), FALSE);
  g_string_free(inner, TRUE);
  out = masked(API_OTHER, "application/json", text, &n);
  g_assert_cmpuint(n, ==, 1);
  g_assert_true(g_str_has_suffix(out, "]\\\"]\"}"));
}

int
main(int argc, char **argv)
{
  static const KitTest tests[] = {
      {"requests", test_requests},
      {"clean", test_clean},
      {"fields", test_fields},
      {"streams", test_streams},
      {"arguments", test_arguments},
      {"short", test_short},
      {"lines", test_lines},
      {"deep", test_deep},
      {"lists", test_lists},
  };
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  scratch = kit_scratch(kit.detector);
  kit_add("/inspect/numbers/", tests, G_N_ELEMENTS(tests));
  result = g_test_run();
  detector_scratch_free(scratch);
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
