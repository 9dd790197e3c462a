/* SPDX-License-Identifier: Apache-2.0 */
/* Editing JSON with comments: what is set, what stays, what is refused, and
 * that removing is the way back. */
#include "cli/jsonc.h"
#include <string.h>

#define V "\"v\""

typedef struct {
  const char *name;
  const char *before;
  const char *path; /* names with | between */
  const char *after;
} Case;

static const Case cases[] = {
    {"no value at all", "", "a", "{\n    \"a\": \"v\"\n}\n"},
    {"only blanks", "  \n", "a", "  \n{\n    \"a\": \"v\"\n}\n"},
    {"only a comment", "// mine\n", "a", "// mine\n{\n    \"a\": \"v\"\n}\n"},
    {"empty object", "{}", "a", "{\n    \"a\": \"v\"\n}"},
    {"empty object and line end", "{}\n", "a", "{\n    \"a\": \"v\"\n}\n"},
    {"empty object over lines", "{\n}\n", "a", "{\n    \"a\": \"v\"\n}\n"},
    {"a comment in an empty object",
     "{\n  // nothing yet\n}\n",
     "a",
     "{\n  // nothing yet\n    \"a\": \"v\"\n}\n"},
    {"a block comment in an empty object",
     "{ /* nothing */ }",
     "a",
     "{ /* nothing */\n    \"a\": \"v\"\n}"},
    {"behind the last member",
     "{\n    \"b\": 1\n}\n",
     "a",
     "{\n    \"b\": 1,\n    \"a\": \"v\"\n}\n"},
    {"with the indent of the file",
     "{\n\t\"b\": 1\n}\n",
     "a",
     "{\n\t\"b\": 1,\n\t\"a\": \"v\"\n}\n"},
    {"behind a trailing comma",
     "{\n  \"b\": 1,\n}\n",
     "a",
     "{\n  \"b\": 1,\n  \"a\": \"v\",\n}\n"},
    {"behind a comment of the last member",
     "{\n  \"b\": 1 // one\n}\n",
     "a",
     "{\n  \"b\": 1, // one\n  \"a\": \"v\"\n}\n"},
    {"behind a comment behind a trailing comma",
     "{\n  \"b\": 1, /* one */ // more\n  // own line\n}\n",
     "a",
     "{\n  \"b\": 1, /* one */ // more\n  \"a\": \"v\",\n  // own line\n}\n"},
    {"a comment over lines behind the last member",
     "{\n  \"b\": 1 /* one\n two */\n}\n",
     "a",
     "{\n  \"b\": 1,\n  \"a\": \"v\" /* one\n two */\n}\n"},
    {"line ends of Windows",
     "{\r\n  \"b\": 1 // x\r\n}\r\n",
     "a",
     "{\r\n  \"b\": 1, // x\r\n  \"a\": \"v\"\r\n}\r\n"},
    {"one line", "{\"b\": 1}", "a", "{\"b\": 1, \"a\": \"v\"}"},
    {"one line with blanks",
     "{ \"b\": [1, 2] }",
     "a",
     "{ \"b\": [1, 2], \"a\": \"v\" }"},
    {"one line with a trailing comma",
     "{\"b\": 1,}",
     "a",
     "{\"b\": 1, \"a\": \"v\",}"},
    {"a byte order mark",
     "\xef\xbb\xbf{\n  \"b\": 1\n}",
     "a",
     "\xef\xbb\xbf{\n  \"b\": 1,\n  \"a\": \"v\"\n}"},
    {"there already", "{\"a\": 1, \"b\": 2}", "a", "{\"a\": \"v\", \"b\": 2}"},
    {"there already, a comment beside it",
     "{\n  \"a\" /* k */ : /* v */ [1, // x\n 2] // e\n}",
     "a",
     "{\n  \"a\" /* k */ : /* v */ \"v\" // e\n}"},
    {"there already, twice: the last counts",
     "{\"a\": 1, \"a\": 2}",
     "a",
     "{\"a\": 1, \"a\": \"v\"}"},
    {"the same name deeper is another",
     "{\"b\": {\"a\": 1}, \"c\": [{\"a\": 1}]}",
     "a",
     "{\"b\": {\"a\": 1}, \"c\": [{\"a\": 1}], \"a\": \"v\"}"},
    {"a name in a string or comment is none",
     "{\"b\": \"\\\"a\\\": 1\" /* \"a\": 1 */}",
     "a",
     "{\"b\": \"\\\"a\\\": 1\", \"a\": \"v\" /* \"a\": 1 */}"},
    {"braces in strings",
     "{\"b\": \"}{\"}",
     "a",
     "{\"b\": \"}{\", \"a\": \"v\"}"},
    {"dots are part of a name",
     "{\n    \"http.proxy\": \"\"\n}",
     "http.proxy",
     "{\n    \"http.proxy\": \"v\"\n}"},
    {"deeper, there",
     "{\"x\": {\"y\": {\"a\": null}}}",
     "x|y|a",
     "{\"x\": {\"y\": {\"a\": \"v\"}}}"},
    {"deeper, its object there",
     "{\n  \"x\": {\n    \"y\": 1\n  },\n  \"z\": 2\n}\n",
     "x|a",
     "{\n  \"x\": {\n    \"y\": 1,\n    \"a\": \"v\"\n  },\n  \"z\": 2\n}\n"},
    {"deeper, its object empty",
     "{\n  \"x\": {}\n}\n",
     "x|a",
     "{\n  \"x\": {\n      \"a\": \"v\"\n  }\n}\n"},
    {"deeper, nothing there",
     "{\n    \"z\": 2\n}\n",
     "x|y|a",
     "{\n    \"z\": 2,\n    \"x\": {\n        \"y\": {\n            \"a\": "
     "\"v\"\n        }\n    }\n}\n"},
    {"deeper, in one line",
     "{\"z\": 2}",
     "x|a",
     "{\"z\": 2, \"x\": { \"a\": \"v\" }}"},
    {"values of every kind",
     "{\"b\": -1.5e+3, \"c\": true, \"d\": null, \"e\": [], \"f\": [1,],}",
     "a",
     "{\"b\": -1.5e+3, \"c\": true, \"d\": null, \"e\": [], \"f\": [1,], "
     "\"a\": \"v\",}"},
};

static void
test_set(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    const Case *one = &cases[i];
    g_auto(GStrv) path = g_strsplit(one->path, "|", -1);
    g_autoptr(GError) error = NULL;
    g_autofree char *after =
        jsonc_set(one->before, (const char *const *)path, V, &error);
    g_autofree char *value = NULL;
    g_autofree char *again = NULL;

    g_test_message("%s", one->name);
    g_assert_no_error(error);
    g_assert_cmpstr(after, ==, one->after);
    value = jsonc_get(after, (const char *const *)path, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(value, ==, V);
    again = jsonc_set(after, (const char *const *)path, V, &error);
    g_assert_cmpstr(again, ==, after);
  }
}

static void
test_get(void)
{
  static const struct {
    const char *text, *path, *value;
  } gets[] = {
      {"", "a", NULL},
      {"{}", "a", NULL},
      {"{\"a\": 1}", "a", "1"},
      {"{\"a\": 1, \"a\": [ 2 ]}", "a", "[ 2 ]"},
      {"{\"a\": {\"b\": \"x // y\"}} // z", "a|b", "\"x // y\""},
      {"{\"a\": {\"b\": 1}}", "a|c", NULL},
      {"{\"a\": {\"b\": 1}}", "c|b", NULL},
      {"{\"\\\"a\": 1, \"a\\\\\": 2}", "a", NULL},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(gets); i++) {
    g_auto(GStrv) path = g_strsplit(gets[i].path, "|", -1);
    g_autoptr(GError) error = NULL;
    g_autofree char *value =
        jsonc_get(gets[i].text, (const char *const *)path, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(value, ==, gets[i].value);
  }
}

static void
test_remove(void)
{
  static const struct {
    const char *before, *path, *after;
  } removes[] = {
      {"", "a", ""},
      {"{\"b\": 1}", "a", "{\"b\": 1}"},
      {"{\n  \"a\": 1\n}\n", "a", "{\n}\n"},
      {"{\n  \"b\": 1,\n  \"a\": 1\n}\n", "a", "{\n  \"b\": 1\n}\n"},
      {"{\n  \"b\": 1,\n  \"a\": 1,\n}\n", "a", "{\n  \"b\": 1,\n}\n"},
      {"{\n  \"a\": 1,\n  \"b\": 1\n}\n", "a", "{\n  \"b\": 1\n}\n"},
      {"{\"a\": 1, \"b\": 2}", "a", "{ \"b\": 2}"},
      {"{\"b\": 2, \"a\": 1}", "a", "{\"b\": 2 }"},
      {"{\n  \"b\": 1, // one\n  \"a\": 1 // two\n}\n",
       "a",
       "{\n  \"b\": 1 // one\n   // two\n}\n"},
      {"{\"x\": {\"a\": 1}}", "x|a", "{\"x\": {}}"},
      {"{\r\n  \"b\": 1,\r\n  \"a\": 1\r\n}", "a", "{\r\n  \"b\": 1\r\n}"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(removes); i++) {
    g_auto(GStrv) path = g_strsplit(removes[i].path, "|", -1);
    g_autoptr(GError) error = NULL;
    g_autofree char *after =
        jsonc_remove(removes[i].before, (const char *const *)path, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(after, ==, removes[i].after);
  }
}

/* Set and removed again, a file in lines is as it was. */
static void
test_there_and_back(void)
{
  static const char *const texts[] = {
      "{\n    \"b\": 1\n}\n",
      "{\n    \"b\": 1,\n}\n",
      "{\n    \"b\": 1 // x\n}\n",
      "// head\n{\n\t\"b\": [\n\t\t1,\n\t],\n\n\t// tail\n}\n",
      "{\r\n  \"b\": {\r\n    \"c\": null\r\n  }\r\n}\r\n",
  };
  const char *const path[] = {"a", NULL};

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autofree char *there = jsonc_set(texts[i], path, V, NULL);
    g_autofree char *back = jsonc_remove(there, path, NULL);

    g_assert_cmpstr(there, !=, texts[i]);
    g_assert_cmpstr(back, ==, texts[i]);
  }
}

static void
test_refused(void)
{
  static const struct {
    const char *text, *path, *message;
    JsoncErrorCode code;
  } bad[] = {
      {"[]", "a", "the whole is not an object", JSONC_ERROR_TYPE},
      {"1", "a", "the whole is not an object", JSONC_ERROR_TYPE},
      {"{\"x\": 1}", "x|a", "x is not an object", JSONC_ERROR_TYPE},
      {"{\"x\": [{}]}", "x|a", "x is not an object", JSONC_ERROR_TYPE},
      {"{", "a", "line 1: a string was expected", JSONC_ERROR_SYNTAX},
      {"{\n\"a\"\n}", "a", "line 3: a colon was expected", JSONC_ERROR_SYNTAX},
      {"{\"a\": }", "a", "line 1: a value was expected", JSONC_ERROR_SYNTAX},
      {"{\"a\": 1\n\"b\": 2}",
       "a",
       "line 2: a comma or } was expected",
       JSONC_ERROR_SYNTAX},
      {"{\"a\": [1 2]}",
       "a",
       "line 1: a comma or ] was expected",
       JSONC_ERROR_SYNTAX},
      {"{\"a\": 1,,}",
       "a",
       "line 1: a string was expected",
       JSONC_ERROR_SYNTAX},
      {"{\"a\": 1} {}",
       "a",
       "line 1: the end was expected",
       JSONC_ERROR_SYNTAX},
      {"{\"a\": \"x\n\"}",
       "a",
       "line 1: the end of a string was expected",
       JSONC_ERROR_SYNTAX},
      {"{\"a\": \"x\\",
       "a",
       "line 1: the end of a string was expected",
       JSONC_ERROR_SYNTAX},
      {"{} /* x",
       "a",
       "line 1: the end of a comment was expected",
       JSONC_ERROR_SYNTAX},
      {"{a: 1}", "a", "line 1: a string was expected", JSONC_ERROR_SYNTAX},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_auto(GStrv) path = g_strsplit(bad[i].path, "|", -1);
    g_autoptr(GError) error = NULL;

    g_assert_null(jsonc_set(bad[i].text, (const char *const *)path, V, &error));
    g_assert_error(error, JSONC_ERROR, (int)bad[i].code);
    g_assert_cmpstr(error->message, ==, bad[i].message);
  }
}

static void
test_deep(void)
{
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  const char *const path[] = {"a", NULL};

  for (unsigned i = 0; i < 100000; i++)
    g_string_append(text, "{\"b\":");
  g_assert_null(jsonc_set(text->str, path, V, &error));
  g_assert_error(error, JSONC_ERROR, JSONC_ERROR_SYNTAX);
  g_clear_error(&error);
  g_string_assign(text, "{\"b\":");
  for (unsigned i = 0; i < 100000; i++)
    g_string_append_c(text, '[');
  g_assert_null(jsonc_set(text->str, path, V, &error));
  g_assert_error(error, JSONC_ERROR, JSONC_ERROR_SYNTAX);
}

/* Every beginning of a file is edited or refused, never read beyond. */
static void
test_cut(void)
{
  static const char whole[] = "\xef\xbb\xbf{ // a\n\"b\": [1, \"\\u0041\", {}, "
                              "], /* c */ \"d\": {\"e\": null,},\r\n}\r\n";
  const char *const path[] = {"d", "a", NULL};

  for (size_t len = 0; len < sizeof whole; len++) {
    g_autofree char *part = g_strndup(whole, len);
    g_autoptr(GError) error = NULL;
    g_autofree char *after = jsonc_set(part, path, V, &error);

    g_assert_true((after == NULL) == (error != NULL));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cli/jsonc/set", test_set);
  g_test_add_func("/cli/jsonc/get", test_get);
  g_test_add_func("/cli/jsonc/remove", test_remove);
  g_test_add_func("/cli/jsonc/there-and-back", test_there_and_back);
  g_test_add_func("/cli/jsonc/refused", test_refused);
  g_test_add_func("/cli/jsonc/deep", test_deep);
  g_test_add_func("/cli/jsonc/cut", test_cut);
  return g_test_run();
}
