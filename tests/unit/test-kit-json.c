/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON tokenizer: the table of documents, every truncation, random
 * documents put together again, nesting, size, skipping and messages. */

#include "kit/json.h"
#include "tests/fuzz/json-naive.h"
#include "tests/unit/kit-json-cases.h"

#include <stdlib.h>

/* Random documents per property; a second or so under sanitizers. */
#define ROUNDS 3000

/* Reads a copy without a byte to spare, so that ASan sees a read past the
 * end. */
static bool
accepts(const char *text, size_t len)
{
  g_autofree char *exact = g_memdup2(text, len);
  JsonToken token = {.type = JSON_NULL};
  JsonReader reader;

  json_reader_init(&reader, exact ? exact : "", len);
  do {
    g_autoptr(GError) error = NULL;

    if (!json_next(&reader, &token, &error)) {
      g_assert_error(error, JSON_ERROR, JSON_ERROR_SYNTAX);
      return false;
    }
  } while (token.type != JSON_END);
  return true;
}

static void
test_accepted(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(json_accepted); i++) {
    const JsonCase *c = &json_accepted[i];

    if (!accepts(c->text, c->len))
      g_error("refused: %s", c->text);
  }
}

static void
test_refused(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(json_refused); i++) {
    const JsonCase *c = &json_refused[i];

    if (accepts(c->text, c->len))
      g_error("row %zu accepted: %s", i, c->text);
  }
}

/* Each beginning of each document, and each with one byte changed, is judged
 * as the naive reading does. */
static void
test_truncated_and_mutated(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(json_accepted); i++) {
    const JsonCase *c = &json_accepted[i];

    for (size_t len = 0; len < c->len; len++) {
      g_autofree char *copy = g_memdup2(c->text, c->len);

      g_assert_true(accepts(c->text, len) ==
                    naive_json(c->text, len, JSON_MAX_DEPTH));
      for (unsigned byte = 0; byte < 256; byte++) {
        copy[len] = (char)byte;
        if (accepts(copy, c->len) != naive_json(copy, c->len, JSON_MAX_DEPTH))
          g_error("row %zu with byte %zu set to %u", i, len, byte);
      }
    }
  }
}

typedef struct {
  JsonType type;
  unsigned depth;
  GString *raw;
} Expected;

typedef struct {
  GRand *rand;
  GString *text;
  GArray *tokens; /* Expected */
} Maker;

static void
expected_clear(void *data)
{
  g_string_free(((Expected *)data)->raw, TRUE);
}

static void
put_space(Maker *m)
{
  while (g_rand_int_range(m->rand, 0, 3) == 0)
    g_string_append_c(m->text, " \t\r\n"[g_rand_int_range(m->rand, 0, 4)]);
}

static void
put_token(Maker *m, JsonType type, unsigned depth, const char *raw, gssize len)
{
  Expected expected = {type, depth, g_string_new_len(raw, len)};

  g_string_append_len(m->text, raw, len);
  g_array_append_val(m->tokens, expected);
}

static void
put_string(Maker *m, JsonType type, unsigned depth)
{
  static const char *const parts[] = {
      "a",
      "plain text of some length, ",
      "\\n",
      "\\\"",
      "\\u0000",
      "\\ud83d\\ude00",
      "\\ud800",
      "\xc3\xa9",
      "\xe2\x82\xac",
      "\xf0\x9f\x98\x80",
      "{[:,",
      "\\\\",
  };
  g_autoptr(GString) raw = g_string_new("\"");

  while (g_rand_int_range(m->rand, 0, 4) != 0)
    g_string_append(raw,
                    parts[g_rand_int_range(m->rand, 0, G_N_ELEMENTS(parts))]);
  g_string_append_c(raw, '"');
  put_token(m, type, depth, raw->str, (gssize)raw->len);
}

static void
put_value(Maker *m, unsigned depth)
{
  static const struct {
    JsonType type;
    const char *raw;
  } scalars[] = {
      {JSON_TRUE, "true"},
      {JSON_FALSE, "false"},
      {JSON_NULL, "null"},
      {JSON_NUMBER, "0"},
      {JSON_NUMBER, "-0.5e-7"},
      {JSON_NUMBER, "18446744073709551616"},
  };
  const int kind = g_rand_int_range(m->rand, 0, depth > 8 ? 8 : 14);
  const bool object = kind % 2 == 0;
  int n;

  if (kind < 6) {
    put_token(m,
              scalars[kind].type,
              depth,
              scalars[kind].raw,
              (gssize)strlen(scalars[kind].raw));
    return;
  }
  if (kind < 8) {
    put_string(m, JSON_STRING, depth);
    return;
  }
  put_token(m,
            object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN,
            depth,
            object ? "{" : "[",
            1);
  n = g_rand_int_range(m->rand, 0, 5);
  for (int i = 0; i < n; i++) {
    if (i > 0)
      g_string_append_c(m->text, ',');
    put_space(m);
    if (object) {
      put_string(m, JSON_KEY, depth + 1);
      put_space(m);
      g_string_append_c(m->text, ':');
      put_space(m);
    }
    put_value(m, depth + 1);
    put_space(m);
  }
  put_token(m,
            object ? JSON_OBJECT_END : JSON_ARRAY_END,
            depth,
            object ? "}" : "]",
            1);
}

static void
maker_init(Maker *m, guint32 seed)
{
  m->rand = g_rand_new_with_seed(seed);
  m->text = g_string_new(NULL);
  m->tokens = g_array_new(FALSE, FALSE, sizeof(Expected));
  g_array_set_clear_func(m->tokens, expected_clear);
  put_space(m);
  put_value(m, 0);
  put_space(m);
}

static void
maker_clear(Maker *m)
{
  g_rand_free(m->rand);
  g_string_free(m->text, TRUE);
  g_array_unref(m->tokens);
}

/* The tokens of a random document are those that it was made of, and their
 * spans and the gaps between them are the document. */
static void
test_random_documents(void)
{
  for (guint32 seed = 0; seed < ROUNDS; seed++) {
    g_autoptr(GString) again = g_string_new(NULL);
    JsonReader reader;
    JsonToken token;
    size_t last = 0;
    Maker m;

    maker_init(&m, seed);
    json_reader_init(&reader, m.text->str, m.text->len);
    for (guint i = 0; i < m.tokens->len; i++) {
      const Expected *want = &g_array_index(m.tokens, Expected, i);

      g_assert_true(json_next(&reader, &token, NULL));
      g_assert_cmpint(token.type, ==, want->type);
      g_assert_cmpuint(token.depth, ==, want->depth);
      g_assert_cmpmem(m.text->str + token.start,
                      token.end - token.start,
                      want->raw->str,
                      want->raw->len);
      g_assert_true(token.escaped ==
                    (memchr(want->raw->str, '\\', want->raw->len) != NULL));
      g_string_append_len(again, m.text->str + last, token.end - last);
      last = token.end;
    }
    g_assert_true(json_next(&reader, &token, NULL));
    g_assert_cmpint(token.type, ==, JSON_END);
    g_string_append_len(again, m.text->str + last, m.text->len - last);
    g_assert_true(g_string_equal(again, m.text));
    maker_clear(&m);
  }
}

/* Skipping a value lands where reading it through does. */
static void
test_skip(void)
{
  for (guint32 seed = 0; seed < ROUNDS / 4; seed++) {
    Maker m;

    maker_init(&m, seed);
    for (guint stop = 0; stop < m.tokens->len; stop++) {
      JsonReader reader, through;
      JsonToken token, other;

      json_reader_init(&reader, m.text->str, m.text->len);
      for (guint i = 0; i <= stop; i++)
        g_assert_true(json_next(&reader, &token, NULL));
      through = reader;
      g_assert_true(json_skip(&reader, &token, NULL));
      other = token;
      if (other.type == JSON_KEY)
        g_assert_true(json_next(&through, &other, NULL));
      if (other.type == JSON_OBJECT_BEGIN || other.type == JSON_ARRAY_BEGIN)
        for (unsigned depth = other.depth;;) {
          g_assert_true(json_next(&through, &other, NULL));
          if (other.depth == depth)
            break;
        }
      g_assert_cmpuint(reader.pos, ==, through.pos);
      g_assert_cmpuint(reader.depth, ==, through.depth);
    }
    maker_clear(&m);
  }
}

static void
test_skip_refuses(void)
{
  const char *text = "{\"a\":[1,2,{\"b\":tru}]}";
  g_autoptr(GError) error = NULL;
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, text, strlen(text));
  g_assert_true(json_next(&reader, &token, NULL));
  g_assert_true(json_next(&reader, &token, NULL));
  g_assert_false(json_skip(&reader, &token, &error));
  g_assert_error(error, JSON_ERROR, JSON_ERROR_SYNTAX);
}

static GString *
nested(size_t depth, char open, char close)
{
  GString *text = g_string_new(NULL);

  for (size_t i = 0; i < depth; i++)
    g_string_append(text, open == '{' ? "{\"a\":" : "[");
  if (open == '{')
    g_string_append(text, "1");
  for (size_t i = 0; i < depth; i++)
    g_string_append_c(text, close);
  return text;
}

static void
check_depth(size_t depth, char open, char close, bool fits)
{
  g_autoptr(GString) text = nested(depth, open, close);
  g_autoptr(GError) error = NULL;
  JsonToken token = {.type = JSON_NULL};
  JsonReader reader;

  json_reader_init(&reader, text->str, text->len);
  while (token.type != JSON_END && json_next(&reader, &token, &error))
    g_assert_cmpuint(token.depth, <=, JSON_MAX_DEPTH);
  if (fits)
    g_assert_no_error(error);
  else
    g_assert_error(error, JSON_ERROR, JSON_ERROR_DEPTH);
}

static void
test_depth(void)
{
  check_depth(JSON_MAX_DEPTH, '[', ']', true);
  check_depth(JSON_MAX_DEPTH, '{', '}', true);
  check_depth(JSON_MAX_DEPTH + 1, '[', ']', false);
  check_depth(JSON_MAX_DEPTH + 1, '{', '}', false);
  check_depth(1000000, '[', ']', false);
}

/* A closed object must not leave its bit to an array at the same level. */
static void
test_levels_are_reused(void)
{
  static const char good[] = "[{},[1],{\"a\":[2]},[[3]]]";
  static const char named[] = "[{},[\"a\":1]]";
  static const char nameless[] = "[[],{1}]";

  g_assert_true(accepts(good, strlen(good)));
  g_assert_false(accepts(named, strlen(named)));
  g_assert_false(accepts(nameless, strlen(nameless)));
}

static void
test_large(void)
{
  const size_t size = (size_t)32 << 20;
  g_autoptr(GString) text = g_string_sized_new(size + 64);

  g_string_append(text, "[\"");
  while (text->len < size / 2)
    g_string_append(text, "sixteen bytes. \xc3\xa9\\n");
  g_string_append(text, "\",");
  while (text->len < size)
    g_string_append(text, "1,");
  g_string_append(text, "0]");
  g_assert_true(accepts(text->str, text->len));
  text->str[text->len - 1] = '}';
  g_assert_false(accepts(text->str, text->len));
}

/* A failure leaves the token alone, is the same when asked again, and tells
 * where and what, but nothing of the text. */
static void
test_messages(void)
{
  static const struct {
    const char *text;
    const char *message;
  } rows[] = {
      {"", "line 1, column 1: the document ends too early"},
      {"{\"secretive\" 1}", "line 1, column 14: expected ':'"},
      {"[1,\n 2,\n x]", "line 3, column 2: expected a value"},
      {"[1 2]", "line 1, column 4: expected ',' or ']'"},
      {"{\"a\":1 2}", "line 1, column 8: expected ',' or '}'"},
      {"{a:1}", "line 1, column 2: expected a name in double quotes"},
      {"[\"a\tb\"]", "line 1, column 4: control characters must be escaped"},
      {"[\"\xff\"]", "line 1, column 3: invalid UTF-8"},
      {"[\"\\q\"]", "line 1, column 3: unknown escape"},
      {"[\"\\u12\"]", "line 1, column 3: \\u needs four hex digits"},
      {"[-01]", "line 1, column 3: a number has no leading zero"},
      {"[1.]", "line 1, column 4: expected a digit"},
      {"[12f]", "line 1, column 4: a number ends here"},
      {"[trux]", "line 1, column 5: expected true, false or null"},
      {"[tru", "line 1, column 5: the document ends too early"},
      {"{} {}", "line 1, column 4: expected nothing after the document"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GError) again = NULL;
    JsonToken token = {.type = JSON_NULL}, before;
    JsonReader reader;

    json_reader_init(&reader, rows[i].text, strlen(rows[i].text));
    do
      before = token;
    while (json_next(&reader, &token, &error));
    g_assert_cmpstr(error->message, ==, rows[i].message);
    g_assert_cmpuint(token.start, ==, before.start);
    g_assert_cmpuint(token.end, ==, before.end);
    g_assert_cmpint(token.type, ==, before.type);
    g_assert_false(json_next(&reader, &token, &again));
    g_assert_cmpstr(again->message, ==, error->message);
  }
}

static void
test_end_repeats(void)
{
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, "1 ", 2);
  g_assert_true(json_next(&reader, &token, NULL));
  for (int i = 0; i < 3; i++) {
    g_assert_true(json_next(&reader, &token, NULL));
    g_assert_cmpint(token.type, ==, JSON_END);
    g_assert_cmpuint(token.start, ==, 2);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/json/accepted", test_accepted);
  g_test_add_func("/kit/json/refused", test_refused);
  g_test_add_func("/kit/json/truncated-and-mutated",
                  test_truncated_and_mutated);
  g_test_add_func("/kit/json/random-documents", test_random_documents);
  g_test_add_func("/kit/json/skip", test_skip);
  g_test_add_func("/kit/json/skip-refuses", test_skip_refuses);
  g_test_add_func("/kit/json/depth", test_depth);
  g_test_add_func("/kit/json/levels-are-reused", test_levels_are_reused);
  g_test_add_func("/kit/json/large", test_large);
  g_test_add_func("/kit/json/messages", test_messages);
  g_test_add_func("/kit/json/end-repeats", test_end_repeats);
  return g_test_run();
}
