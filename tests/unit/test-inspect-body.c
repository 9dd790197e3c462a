/* SPDX-License-Identifier: Apache-2.0 */
/* Whole bodies: fields and roles of each API, texts inside texts, what is
 * refused, and rewriting that changes nothing but the masked spans. */

#define _GNU_SOURCE
#include "inspect-kit.h"

#include "kit/json.h"

/* Compiled once: it takes a second. */
static Detector *detector;

typedef struct {
  DetectorScratch *scratch;
  Masker *masker;
} Fixture;

static void
setup(Fixture *f, gconstpointer data)
{
  (void)data;
  f->scratch = kit_scratch(detector);
  f->masker = kit_masker();
}

static void
teardown(Fixture *f, gconstpointer data)
{
  (void)data;
  masker_free(f->masker);
  detector_scratch_free(f->scratch);
}

static Inspection *
inspect_full(Fixture *f,
             Api api,
             Direction direction,
             const char *type,
             const char *text,
             size_t len,
             GError **error)
{
  g_autoptr(GBytes) body = g_bytes_new(text, len);

  return inspection_new(f->scratch, api, direction, type, body, NULL, error);
}

static Inspection *
inspect(Fixture *f, Api api, Direction direction, const char *text)
{
  g_autoptr(GError) error = NULL;
  Inspection *inspection = inspect_full(
      f, api, direction, "application/json", text, strlen(text), &error);

  g_assert_no_error(error);
  return inspection;
}

static const InspectField *
field_at(const Inspection *inspection, const char *path)
{
  unsigned n;
  const InspectField *fields = inspection_fields(inspection, &n);

  for (unsigned i = 0; i < n; i++)
    if (!fields[i].is_key && strcmp(fields[i].path, path) == 0)
      return &fields[i];
  g_error("no field %s", path);
}

/* Masks every finding. */
static char *
masked(Fixture *f, const Inspection *inspection, size_t *len)
{
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) out = NULL;
  unsigned n;
  const Finding *findings = inspection_findings(inspection, &n);
  gsize size;

  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {findings[i].field,
                           findings[i].start,
                           findings[i].end,
                           findings[i].rule->id};

    g_array_append_val(spans, span);
  }
  out = inspection_rewrite(inspection, f->masker, "scope", spans, &error);
  g_assert_no_error(error);
  g_bytes_get_data(out, &size);
  if (len != NULL)
    *len = size;
  return g_strndup(g_bytes_get_data(out, NULL), size);
}

/* Every byte before and after the masks is as it was: the text with masks
 * taken for the secret again is the input. */
static void
assert_masks(Fixture *f,
             const Inspection *inspection,
             const char *input,
             const char *raw_secret,
             const char *rule)
{
  g_autofree char *out = masked(f, inspection, NULL);
  g_autofree char *open = g_strdup_printf("[%s:", rule);
  const char *start = strstr(out, open);
  const char *end = start != NULL ? strchr(start, ']') : NULL;
  g_autofree char *back = NULL;

  g_assert_nonnull(end);
  back =
      g_strdup_printf("%.*s%s%s", (int)(start - out), out, raw_secret, end + 1);
  g_assert_cmpstr(back, ==, input);
}

static void
test_chat_request(Fixture *f, gconstpointer data)
{
  static const char body[] =
      "{\"model\":\"gpt-4.1\",\"stream\":true, \"messages\" : [\n"
      " {\"role\":\"system\",\"content\":\"be kind\"},"
      " {\"content\":\"my key " AWS_KEY " ok\",\"role\":\"user\"},"
      " {\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
      "\"c1\","
      "\"type\":\"function\",\"function\":{\"name\":\"run\",\"arguments\":"
      "\"{\\\"cmd\\\":\\\"ls\\\"}\"}}]},"
      " {\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":"
      "[{\"type\":\"text\",\"text\":\"a.c\"}]}]}";
  g_autoptr(Inspection) in = inspect(f, API_CHAT, DIRECTION_REQUEST, body);
  unsigned n;

  (void)data;
  g_assert_cmpstr(inspection_model(in), ==, "gpt-4.1");
  g_assert_true(inspection_wants_stream(in));
  g_assert_cmpint(field_at(in, "messages[0].content")->role, ==, FIELD_SYSTEM);
  g_assert_cmpint(field_at(in, "messages[1].content")->role, ==, FIELD_PROMPT);
  g_assert_cmpstr(field_at(in, "messages[1].content")->key, ==, "content");
  g_assert_cmpint(
      field_at(in, "messages[2].tool_calls[0].function.arguments")->role,
      ==,
      FIELD_TOOL_ARGUMENTS);
  g_assert_cmpstr(
      field_at(in, "messages[2].tool_calls[0].function.arguments>cmd")->text,
      ==,
      "ls");
  g_assert_cmpint(
      field_at(in, "messages[3].content[0].text")->role, ==, FIELD_TOOL_RESULT);
  g_assert_cmpint(
      field_at(in, "messages[3].tool_call_id")->role, ==, FIELD_OTHER);
  inspection_findings(in, &n);
  g_assert_cmpuint(n, ==, 1);
  assert_masks(f, in, body, AWS_KEY, "aws-access-key");
}

static void
test_other_requests(Fixture *f, gconstpointer data)
{
  static const struct {
    Api api;
    const char *body, *path;
    FieldRole role;
  } rows[] = {
      {API_COMPLETIONS, "{\"prompt\":\"x\"}", "prompt", FIELD_PROMPT},
      {API_COMPLETIONS, "{\"suffix\":\"x\"}", "suffix", FIELD_PROMPT},
      {API_COMPLETIONS,
       "{\"extra\":{\"language\":\"c\",\"a\":[\"y\"]}}",
       "extra.a[0]",
       FIELD_PROMPT},
      {API_COMPLETIONS, "{\"model\":\"x\"}", "model", FIELD_OTHER},
      {API_RESPONSES, "{\"input\":\"x\"}", "input", FIELD_PROMPT},
      {API_RESPONSES, "{\"instructions\":\"x\"}", "instructions", FIELD_SYSTEM},
      {API_RESPONSES,
       "{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\","
       "\"text\":\"x\"}]}]}",
       "input[0].content[0].text",
       FIELD_PROMPT},
      {API_RESPONSES,
       "{\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\","
       "\"output\":\"x\"}]}",
       "input[0].output",
       FIELD_TOOL_RESULT},
      {API_RESPONSES,
       "{\"input\":[{\"type\":\"function_call\",\"arguments\":\"x\"}]}",
       "input[0].arguments",
       FIELD_TOOL_ARGUMENTS},
      {API_RESPONSES,
       "{\"input\":[{\"type\":\"message\",\"role\":\"developer\",\"content\":"
       "\"x\"}]}",
       "input[0].content",
       FIELD_SYSTEM},
      {API_MESSAGES, "{\"system\":\"x\"}", "system", FIELD_SYSTEM},
      {API_MESSAGES,
       "{\"system\":[{\"type\":\"text\",\"text\":\"x\"}]}",
       "system[0].text",
       FIELD_SYSTEM},
      {API_MESSAGES,
       "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
       "\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"text\","
       "\"text\":\"x\"}]}]}]}",
       "messages[0].content[0].content[0].text",
       FIELD_TOOL_RESULT},
      {API_MESSAGES,
       "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
       "\"tool_use\",\"name\":\"n\",\"input\":{\"id\":\"x\"}}]}]}",
       "messages[0].content[0].input.id",
       FIELD_TOOL_ARGUMENTS},
      {API_EMBEDDINGS, "{\"input\":[\"x\",\"y\"]}", "input[1]", FIELD_PROMPT},
      {API_MCP,
       "{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":"
       "\"n\",\"arguments\":{\"path\":\"x\"}}}",
       "params.arguments.path",
       FIELD_TOOL_ARGUMENTS},
      {API_TELEMETRY,
       "{\"data\":{\"baseData\":\"x\"}}",
       "data.baseData",
       FIELD_OTHER},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Inspection) in =
        inspect(f, rows[i].api, DIRECTION_REQUEST, rows[i].body);

    if (field_at(in, rows[i].path)->role != rows[i].role)
      g_error("%s has role %d", rows[i].path, field_at(in, rows[i].path)->role);
  }
}

static void
test_answers(Fixture *f, gconstpointer data)
{
  static const struct {
    Api api;
    const char *body, *id, *name, *arguments;
    unsigned calls;
  } rows[] = {
      {API_CHAT,
       "{\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"content\":"
       "null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":"
       "{\"name\":\"run\",\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\","
       "\"type\":\"custom\",\"custom\":{\"name\":\"x\",\"input\":\"y\"}}]},"
       "\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":12,"
       "\"completion_tokens\":34}}",
       "c1",
       "run",
       "{\"a\":1}",
       2},
      {API_RESPONSES,
       "{\"model\":\"m\",\"output\":[{\"type\":\"message\",\"content\":[]},"
       "{\"type\":\"web_search_call\"},{\"type\":\"function_call\",\"call_id\":"
       "\"c1\",\"name\":\"run\",\"arguments\":\"{\\\"a\\\":1}\"},{\"type\":"
       "\"local_shell_call\",\"call_id\":\"c2\",\"action\":{\"command\":["
       "\"ls\"]"
       "}}],\"usage\":{\"input_tokens\":12,\"output_tokens\":34}}",
       "c1",
       "run",
       "{\"a\":1}",
       2},
      {API_MESSAGES,
       "{\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"x\"},"
       "{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":\"run\",\"input\":"
       "{\"a\":1}}],\"usage\":{\"input_tokens\":12,\"output_tokens\":34}}",
       "c1",
       "run",
       "{\"a\":1}",
       1},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Inspection) in =
        inspect(f, rows[i].api, DIRECTION_RESPONSE, rows[i].body);
    int64_t input, output;
    unsigned n;
    const ToolCall *calls = inspection_tool_calls(in, &n);

    g_assert_cmpuint(n, ==, rows[i].calls);
    g_assert_cmpstr(calls[0].id, ==, rows[i].id);
    g_assert_cmpstr(calls[0].name, ==, rows[i].name);
    g_assert_cmpstr(calls[0].arguments, ==, rows[i].arguments);
    inspection_usage(in, &input, &output);
    g_assert_cmpint(input, ==, 12);
    g_assert_cmpint(output, ==, 34);
    g_assert_cmpstr(inspection_model(in), ==, "m");
  }
}

static void
test_escapes(Fixture *f, gconstpointer data)
{
  static const struct {
    const char *body, *raw, *rule;
  } rows[] = {
      /* \n before a token would hide its word boundary in raw JSON. */
      {"{\"a\":\"x\\n" AWS_KEY "\\ty\"}", AWS_KEY, "aws-access-key"},
      {"{\"a\":\"\\u0041KIAQ3EGRQ7XKZ5TBLM\\u004e \\ud83d\\ude00\"}",
       "\\u0041KIAQ3EGRQ7XKZ5TBLM\\u004e",
       "aws-access-key"},
      {"{\"a\":\"\\u00e4\xc3\xa4 " AWS_KEY "\"}", AWS_KEY, "aws-access-key"},
      {"{\"" AWS_KEY "\":1}", AWS_KEY, "aws-access-key"},
      {"[[[\"" AWS_KEY "\"]]]", AWS_KEY, "aws-access-key"},
      {"\"" AWS_KEY "\"", AWS_KEY, "aws-access-key"},
      {"{\"a\":\"{\\\"b\\\":\\\"x\\\\n\\\\u0041KIAQ3EGRQ7XKZ5TBLMN\\\"}\"}",
       "\\\\u0041KIAQ3EGRQ7XKZ5TBLMN",
       "aws-access-key"},
      {"{\"a\":\"{\\\"b\\\":\\\"[\\\\\\\"\\\\\\\\n" AWS_KEY "\\\\\\\"]\\\"}\"}",
       AWS_KEY,
       "aws-access-key"},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Inspection) in =
        inspect(f, API_OTHER, DIRECTION_REQUEST, rows[i].body);
    unsigned n;

    inspection_findings(in, &n);
    g_assert_cmpuint(n, ==, 1);
    assert_masks(f, in, rows[i].body, rows[i].raw, rows[i].rule);
  }
}

static void
test_block_in_json(Fixture *f, gconstpointer data)
{
  g_autoptr(GString) body = g_string_new("{\"messages\":[{\"content\":\"x ");
  g_autoptr(Inspection) in = NULL;
  g_autofree char *out = NULL;

  (void)data;
  json_escape(body, PEM, -1);
  g_string_append(body, " y\",\"role\":\"user\"}]}");
  in = inspect(f, API_CHAT, DIRECTION_REQUEST, body->str);
  out = masked(f, in, NULL);
  g_assert_nonnull(
      strstr(out, "-----BEGIN RSA PRIVATE KEY-----\\n[private-key:"));
  g_assert_nonnull(strstr(out, "]\\n-----END RSA PRIVATE KEY----- y\""));
  g_assert_false(
      kit_leaks(out, strlen(out), "MIIBOgIBAAJBAKj34GkxFhD90vcNLYLI"));
  g_assert_false(kit_leaks(out, strlen(out), "a88vQENZiRm0GRq6a+HPGQMd2k"));
}

static void
test_forms_and_text(Fixture *f, gconstpointer data)
{
  static const char form[] = "q=a+b&token=%41KIAQ3EGRQ7XKZ5TBLMN%0A&z=%zz";
  static const char text[] = "key: " AWS_KEY "\nend\n";
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) in = inspect_full(f,
                                          API_OTHER,
                                          DIRECTION_REQUEST,
                                          "application/x-www-form-urlencoded",
                                          form,
                                          strlen(form),
                                          &error);
  g_autoptr(Inspection) plain = NULL;
  g_autofree char *out = NULL;

  (void)data;
  g_assert_no_error(error);
  g_assert_cmpstr(field_at(in, "q")->text, ==, "a b");
  g_assert_cmpstr(field_at(in, "token")->key, ==, "token");
  out = masked(f, in, NULL);
  g_assert_true(g_str_has_prefix(out, "q=a+b&token=%5Baws-access-key%3A"));
  g_assert_true(g_str_has_suffix(out, "%5D%0A&z=%zz"));
  plain = inspect_full(f,
                       API_OTHER,
                       DIRECTION_REQUEST,
                       "text/plain; charset=UTF-8",
                       text,
                       strlen(text),
                       &error);
  g_assert_no_error(error);
  assert_masks(f, plain, text, AWS_KEY, "aws-access-key");
}

static void
test_lines(Fixture *f, gconstpointer data)
{
  static const char lines[] =
      "{\"a\":\"x\"}\n{\"b\":\"" AWS_KEY "\"}\n\n{\"c\":1}";
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) in = inspect_full(f,
                                          API_TELEMETRY,
                                          DIRECTION_REQUEST,
                                          "application/x-json-stream",
                                          lines,
                                          strlen(lines),
                                          &error);

  (void)data;
  g_assert_no_error(error);
  assert_masks(f, in, lines, AWS_KEY, "aws-access-key");
}

static void
test_refused(Fixture *f, gconstpointer data)
{
  static const struct {
    Api api;
    const char *type, *body;
    int code;
  } rows[] = {
      {API_CHAT, "application/json", "{\"a\":1", INSPECT_ERROR_UNREADABLE},
      {API_CHAT, "application/json", "{'a':1}", INSPECT_ERROR_UNREADABLE},
      {API_CHAT, NULL, "nothing", INSPECT_ERROR_UNREADABLE},
      {API_CHAT, "text/plain", "nothing", INSPECT_ERROR_UNREADABLE},
      {API_CHAT,
       "application/json",
       "{\"model\":\"a\",\"model\":\"b\"}",
       INSPECT_ERROR_UNREADABLE},
      {API_CHAT,
       "application/json",
       "{\"messages\":[{\"content\":\"a\",\"c\\u006fntent\":\"b\"}]}",
       INSPECT_ERROR_UNREADABLE},
      {API_CHAT,
       "application/json",
       "{\"a\\u0000b\":1}",
       INSPECT_ERROR_UNREADABLE},
      {API_CHAT,
       "application/json",
       "{\"a\":\"\xff\"}",
       INSPECT_ERROR_UNREADABLE},
      {API_OTHER, "text/plain", "\xff", INSPECT_ERROR_UNREADABLE},
      {API_OTHER, "text/plain; charset=utf-16", "x", INSPECT_ERROR_TYPE},
      {API_OTHER, "image/png", "x", INSPECT_ERROR_TYPE},
      {API_OTHER, "multipart/form-data; boundary=x", "x", INSPECT_ERROR_TYPE},
      {API_OTHER,
       "application/x-www-form-urlencoded",
       "a=%ff",
       INSPECT_ERROR_UNREADABLE},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(Inspection) in = inspect_full(f,
                                            rows[i].api,
                                            DIRECTION_REQUEST,
                                            rows[i].type,
                                            rows[i].body,
                                            strlen(rows[i].body),
                                            &error);

    g_assert_null(in);
    g_assert_error(error, INSPECT_ERROR, rows[i].code);
  }
}

static void
test_limits(Fixture *f, gconstpointer data)
{
  const InspectLimits tight = {
      .max_fields = 3, .max_findings = 1, .max_depth = 0};
  static const char *const over[] = {"[\"a\",\"b\",\"c\",\"d\"]",
                                     "[\"" AWS_KEY "\",\"" STRIPE_KEY "\"]"};
  static const char nested[] = "{\"a\":\"[\\\"x\\\"]\"}";
  g_autoptr(GBytes) body = g_bytes_new_static(nested, strlen(nested));
  g_autoptr(Inspection) in = NULL;
  g_autoptr(GString) deep = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  unsigned n;

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(over); i++) {
    g_autoptr(GBytes) bytes = g_bytes_new_static(over[i], strlen(over[i]));
    g_autoptr(GError) cause = NULL;

    g_assert_null(inspection_new(f->scratch,
                                 API_OTHER,
                                 DIRECTION_REQUEST,
                                 "application/json",
                                 bytes,
                                 &tight,
                                 &cause));
    g_assert_error(cause, INSPECT_ERROR, INSPECT_ERROR_LIMIT);
  }
  in = inspection_new(f->scratch,
                      API_OTHER,
                      DIRECTION_REQUEST,
                      "application/json",
                      body,
                      &tight,
                      &error);
  g_assert_no_error(error);
  inspection_fields(in, &n);
  g_assert_cmpuint(n, ==, 1);
  for (unsigned i = 0; i < 10000; i++)
    g_string_append_c(deep, '[');
  g_assert_null(inspect_full(f,
                             API_OTHER,
                             DIRECTION_REQUEST,
                             "application/json",
                             deep->str,
                             deep->len,
                             &error));
  g_assert_error(error, INSPECT_ERROR, INSPECT_ERROR_UNREADABLE);
}

static void
test_untouched(Fixture *f, gconstpointer data)
{
  static const char body[] = " {\"a\" : \"\\/\\u00e9 clean\",\"b\":1e3 }\n";
  g_autoptr(GBytes) bytes = g_bytes_new_static(body, strlen(body));
  g_autoptr(GArray) none = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GBytes) out = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) in = inspection_new(f->scratch,
                                            API_OTHER,
                                            DIRECTION_REQUEST,
                                            "application/json",
                                            bytes,
                                            NULL,
                                            &error);

  (void)data;
  g_assert_no_error(error);
  out = inspection_rewrite(in, f->masker, NULL, none, &error);
  g_assert_true(out == bytes);
}

/* A whole field, a span inside it and one that overlaps get one mask. */
static void
test_merged(Fixture *f, gconstpointer data)
{
  static const char body[] = "{\"password\":\"one two three\"}";
  g_autoptr(Inspection) in = inspect(f, API_OTHER, DIRECTION_REQUEST, body);
  const MaskSpan spans[] = {
      {1, 4, 7, "inner"}, {1, 0, 13, "field"}, {1, 5, 9, "other"}};
  g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) out = NULL;
  g_autofree char *text = NULL;
  gsize len;

  (void)data;
  g_array_append_vals(list, spans, G_N_ELEMENTS(spans));
  out = inspection_rewrite(in, f->masker, NULL, list, &error);
  g_assert_no_error(error);
  text = g_strndup(g_bytes_get_data(out, &len), g_bytes_get_size(out));
  g_assert_true(g_str_has_prefix(text, "{\"password\":\"[field:"));
  g_assert_true(g_str_has_suffix(text, "]\"}"));
  g_assert_cmpuint(len, ==, strlen("{\"password\":\"[field:]\"}") + 12);
}

static void
test_conversation(Fixture *f, gconstpointer data)
{
  g_autoptr(Inspection) in =
      inspect(f,
              API_RESPONSES,
              DIRECTION_REQUEST,
              "{\"prompt_cache_key\":\"p\",\"conversation\":"
              "{\"id\":\"conv_1\"},\"previous_response_id\""
              ":\"r\"}");

  (void)data;
  g_assert_cmpstr(inspection_conversation(in), ==, "conv_1");
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*func)(Fixture *, gconstpointer);
  } tests[] = {
      {"chat-request", test_chat_request},
      {"other-requests", test_other_requests},
      {"answers", test_answers},
      {"escapes", test_escapes},
      {"block-in-json", test_block_in_json},
      {"forms-and-text", test_forms_and_text},
      {"lines", test_lines},
      {"refused", test_refused},
      {"limits", test_limits},
      {"untouched", test_untouched},
      {"merged", test_merged},
      {"conversation", test_conversation},
  };

  int result;

  g_test_init(&argc, &argv, NULL);
  detector = kit_detector();
  for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
    g_autofree char *path = g_strconcat("/inspect/body/", tests[i].name, NULL);

    g_test_add(path, Fixture, NULL, setup, tests[i].func, teardown);
  }
  result = g_test_run();
  detector_unref(detector);
  return result;
}
