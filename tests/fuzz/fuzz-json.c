/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a JSON document: the tokenizer agrees with a naive reading of
 * the RFC, its spans tile the document, and its strings map back to it. */

#include "kit/json.h"
#include "tests/fuzz/json-naive.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Between two tokens stands white space and at most one separator. */
static void
check_gap(const char *text, size_t from, size_t to)
{
  int separators = 0;

  for (size_t i = from; i < to; i++) {
    if (text[i] == ',' || text[i] == ':')
      separators++;
    else
      g_assert_nonnull(memchr(" \t\r\n", text[i], 4));
  }
  g_assert_cmpint(separators, <=, 1);
}

static void
check_string(const char *text, const JsonToken *token)
{
  g_autoptr(GString) plain = g_string_new(NULL);
  g_autoptr(GString) mapped = g_string_new(NULL);
  g_autoptr(GString) quoted = g_string_new("\"");
  g_autoptr(GString) again = g_string_new(NULL);
  g_autoptr(GArray) map = g_array_new(FALSE, FALSE, sizeof(guint32));
  JsonReader reader;
  JsonToken copy;

  json_unescape(text, token, plain);
  g_assert_true(g_utf8_validate_len(plain->str, plain->len, NULL) ||
                memchr(plain->str, 0, plain->len) != NULL);
  json_unescape_mapped(text, token, mapped, map);
  g_assert_true(g_string_equal(plain, mapped));
  g_assert_cmpuint(map->len, ==, plain->len + 1);
  for (guint i = 1; i < map->len; i++)
    g_assert_cmpuint(
        g_array_index(map, guint32, i - 1), <=, g_array_index(map, guint32, i));
  g_assert_cmpuint(g_array_index(map, guint32, 0), ==, 1);
  g_assert_cmpuint(g_array_index(map, guint32, map->len - 1),
                   ==,
                   token->end - token->start - 1);
  g_assert_true(json_token_is(text, token, plain->str) ==
                (strlen(plain->str) == plain->len));

  json_escape(quoted, plain->str, (gssize)plain->len);
  g_string_append_c(quoted, '"');
  json_reader_init(&reader, quoted->str, quoted->len);
  g_assert_true(json_next(&reader, &copy, NULL));
  g_assert_cmpuint(copy.end, ==, quoted->len);
  json_unescape(quoted->str, &copy, again);
  g_assert_true(g_string_equal(plain, again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *text = (const char *)data;
  JsonToken token = {.type = JSON_NULL};
  JsonReader reader;
  size_t last = 0;
  bool ok;

  json_reader_init(&reader, text, size);
  do {
    g_autoptr(GError) error = NULL;

    ok = json_next(&reader, &token, &error);
    g_assert_true(ok == (error == NULL));
    if (!ok)
      break;
    check_gap(text, last, token.start);
    g_assert_cmpuint(token.end, <=, size);
    if (token.type != JSON_END)
      g_assert_cmpuint(token.end, >, token.start);
    if (token.type == JSON_KEY || token.type == JSON_STRING)
      check_string(text, &token);
    last = token.end;
  } while (token.type != JSON_END);
  g_assert_true(ok == naive_json(text, size, JSON_MAX_DEPTH));

  /* Skipping the whole value is the same as reading it. */
  json_reader_init(&reader, text, size);
  if (json_next(&reader, &token, NULL) && json_skip(&reader, &token, NULL) &&
      json_next(&reader, &token, NULL))
    g_assert_true(ok);
  else
    g_assert_false(ok);
  return 0;
}
