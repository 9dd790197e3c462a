/* SPDX-License-Identifier: Apache-2.0 */
/* The text of JSON strings: escapes both ways, comparison, and the map from
 * decoded text back to the document; the scanner's two ways agree. */

#include "kit/json.h"

#include <string.h>

/* The way of machines without SSE2, beside the one that json.c was built
 * with. */
#define JSON_SCAN_PORTABLE
#include "kit/json-scan.h"

#define ROUNDS 3000

/* Reads `text` as one string token. */
static JsonToken
string_token(const char *text, size_t len)
{
  g_autoptr(GError) error = NULL;
  JsonReader reader;
  JsonToken token, end;

  json_reader_init(&reader, text, len);
  json_next(&reader, &token, &error);
  g_assert_no_error(error);
  g_assert_cmpint(token.type, ==, JSON_STRING);
  g_assert_true(json_next(&reader, &end, NULL));
  g_assert_cmpint(end.type, ==, JSON_END);
  return token;
}

static void
check_unescape(const char *quoted, const char *plain, size_t len)
{
  JsonToken token = string_token(quoted, strlen(quoted));
  g_autoptr(GString) out = g_string_new("kept:");

  json_unescape(quoted, &token, out);
  g_assert_cmpmem(out->str, 5, "kept:", 5);
  g_assert_cmpmem(out->str + 5, out->len - 5, plain, len);
}

static void
test_unescape(void)
{
  check_unescape("\"\"", "", 0);
  check_unescape("\"abc\"", "abc", 3);
  check_unescape("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
  check_unescape("\"a\\u0000b\"", "a\0b", 3);
  check_unescape("\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac", 6);
  check_unescape("\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", 4);
  check_unescape("\"\\uDBFF\\uDFFF\"", "\xf4\x8f\xbf\xbf", 4);
  check_unescape("\"\\uffff\"", "\xef\xbf\xbf", 3);
  /* RFC 8259 section 8.2: unpredictable elsewhere, U+FFFD here. */
  check_unescape("\"\\ud83d\"", "\xef\xbf\xbd", 3);
  check_unescape("\"\\ude00\"", "\xef\xbf\xbd", 3);
  check_unescape("\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd", 6);
  check_unescape("\"\\ud83dx\"", "\xef\xbf\xbdx", 4);
  check_unescape("\"\\ud83d\\n\"", "\xef\xbf\xbd\n", 4);
  check_unescape("\"\\ud83d\\u0041\"",
                 "\xef\xbf\xbd"
                 "A",
                 4);
  check_unescape(
      "\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7);
  check_unescape("\"\\\\u0041\"", "\\u0041", 6);
}

static void
test_token_is(void)
{
  static const struct {
    const char *quoted;
    const char *name;
    bool same;
  } rows[] = {
      {"\"model\"", "model", true},
      {"\"model\"", "mode", false},
      {"\"mode\"", "model", false},
      {"\"\"", "", true},
      {"\"\"", "a", false},
      {"\"a\"", "", false},
      {"\"m\\u006fdel\"", "model", true},
      {"\"\\u006d\\u006f\\u0064el\"", "model", true},
      {"\"m\\u006fdel\"", "modem", false},
      {"\"m\\u006fdel\"", "mo", false},
      {"\"m\\u006fd\"", "model", false},
      {"\"model\\u0000\"", "model", false},
      {"\"\\u0000\"", "", false},
      {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", true},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    JsonToken token = string_token(rows[i].quoted, strlen(rows[i].quoted));

    g_assert_true(json_token_is(rows[i].quoted, &token, rows[i].name) ==
                  rows[i].same);
  }
}

static void
test_escape(void)
{
  g_autoptr(GString) out = g_string_new(NULL);

  json_escape(out, "a\"b\\c/d\b\f\n\r\t\x01\x1f\x7f", -1);
  g_assert_cmpstr(
      out->str, ==, "a\\\"b\\\\c/d\\b\\f\\n\\r\\t\\u0001\\u001f\x7f");
  g_string_truncate(out, 0);
  json_escape(out, "\0x", 2);
  g_assert_cmpstr(out->str, ==, "\\u0000x");
  g_string_truncate(out, 0);
  json_escape(out, "caf\xc3\xa9 \xf0\x9f\x98\x80", -1);
  g_assert_cmpstr(out->str, ==, "caf\xc3\xa9 \xf0\x9f\x98\x80");
  g_string_truncate(out, 0);
  json_escape(out, "a\xff\xc3z\xe2\x82", -1);
  g_assert_cmpstr(
      out->str, ==, "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd");
}

/* A random text of all planes, controls and JSON's own characters. */
static GString *
random_text(GRand *rand)
{
  GString *text = g_string_new(NULL);
  const int n = g_rand_int_range(rand, 0, 60);

  for (int i = 0; i < n; i++) {
    gunichar c = 0xd800;

    switch (g_rand_int_range(rand, 0, 4)) {
    case 0:
      c = (gunichar)g_rand_int_range(rand, 0, 0x20);
      break;
    case 1:
      c = (gunichar) "\"\\/bu0{"[g_rand_int_range(rand, 0, 7)];
      break;
    case 2:
      c = (gunichar)g_rand_int_range(rand, 0x20, 0x7f);
      break;
    default:
      while (c >= 0xd800 && c < 0xe000)
        c = (gunichar)g_rand_int_range(rand, 0x80, 0x110000);
      break;
    }
    if (c == 0)
      g_string_append_c(text, '\0');
    else
      g_string_append_unichar(text, c);
  }
  return text;
}

static void
test_round_trip(void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(8259);

  for (int i = 0; i < ROUNDS; i++) {
    g_autoptr(GString) text = random_text(rand);
    g_autoptr(GString) quoted = g_string_new("\"");
    g_autoptr(GString) out = g_string_new(NULL);
    JsonToken token;

    json_escape(quoted, text->str, (gssize)text->len);
    g_string_append_c(quoted, '"');
    token = string_token(quoted->str, quoted->len);
    json_unescape(quoted->str, &token, out);
    g_assert_true(g_string_equal(out, text));
  }
}

/* Writes each character of `text` in a random one of its forms, and where each
 * began. */
static void
write_randomly(GRand *rand, const GString *text, GString *quoted, GArray *at)
{
  const char *s = text->str;
  const char *end = s + text->len;

  while (s < end) {
    const gunichar c = *s ? g_utf8_get_char(s) : 0;
    const char *next = *s ? g_utf8_next_char(s) : s + 1;
    const guint32 here = (guint32)quoted->len;

    g_array_append_val(at, here);
    if (g_rand_boolean(rand))
      json_escape(quoted, s, next - s);
    else if (c >= 0x10000)
      g_string_append_printf(quoted,
                             "\\u%04x\\u%04X",
                             0xd800 + ((c - 0x10000) >> 10),
                             0xdc00 + (c & 0x3ff));
    else
      g_string_append_printf(quoted, "\\u%04x", c);
    s = next;
  }
}

/* Every byte maps to where its character begins, and every span between two
 * characters, cut out of the document, decodes to that span. */
static void
test_map(void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(4627);

  for (int i = 0; i < ROUNDS; i++) {
    g_autoptr(GString) text = random_text(rand);
    g_autoptr(GString) doc = g_string_new("  \"");
    g_autoptr(GString) out = g_string_new(NULL);
    g_autoptr(GArray) at = g_array_new(FALSE, FALSE, sizeof(guint32));
    g_autoptr(GArray) map = g_array_new(FALSE, FALSE, sizeof(guint32));
    JsonToken token;
    guint n = 0;

    write_randomly(rand, text, doc, at);
    g_string_append(doc, "\" ");
    token = string_token(doc->str, doc->len);
    json_unescape_mapped(doc->str, &token, out, map);
    g_assert_true(g_string_equal(out, text));
    g_assert_cmpuint(map->len, ==, text->len + 1);
    for (size_t b = 0; b < text->len; b++) {
      const guint32 raw = g_array_index(map, guint32, b);
      const bool first = ((guchar)text->str[b] & 0xc0) != 0x80;
      const guint32 begin = g_array_index(at, guint32, first ? n : n - 1) - 2;

      if (first)
        n++;
      if (doc->str[token.start + begin] == '\\')
        g_assert_cmpuint(raw, ==, begin);
      else
        g_assert_cmpint(doc->str[token.start + raw], ==, text->str[b]);
      if (first)
        g_assert_cmpuint(raw, ==, begin);
    }
    g_assert_cmpuint(g_array_index(map, guint32, text->len),
                     ==,
                     token.end - token.start - 1);
  }
}

static void
test_map_appends(void)
{
  const char *doc = "[\"a\\u00e9b\"]";
  const guint32 want[] = {77, 1, 2, 2, 8, 9};
  g_autoptr(GString) out = g_string_new("x");
  g_autoptr(GArray) map = g_array_new(FALSE, FALSE, sizeof(guint32));
  JsonReader reader;
  JsonToken token;

  g_array_append_val(map, want[0]);
  json_reader_init(&reader, doc, strlen(doc));
  g_assert_true(json_next(&reader, &token, NULL));
  g_assert_true(json_next(&reader, &token, NULL));
  json_unescape_mapped(doc, &token, out, map);
  g_assert_cmpstr(out->str,
                  ==,
                  "xa\xc3\xa9"
                  "b");
  g_assert_cmpmem(map->data, map->len * sizeof(guint32), want, sizeof want);
}

/* Every byte at every place of blocks of every length. */
static void
test_portable_scan(void)
{
  for (size_t len = 0; len <= 40; len++) {
    for (size_t at = 0; at < len; at++) {
      for (unsigned byte = 0; byte < 256; byte++) {
        g_autofree char *text = g_malloc(len);
        const bool odd =
            byte < 0x20 || byte > 0x7f || byte == '"' || byte == '\\';

        memset(text, ' ', len);
        text[at] = (char)byte;
        g_assert_cmpuint(scan_plain(text, 0, len), ==, odd ? at : len);
      }
    }
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/json-text/unescape", test_unescape);
  g_test_add_func("/kit/json-text/token-is", test_token_is);
  g_test_add_func("/kit/json-text/escape", test_escape);
  g_test_add_func("/kit/json-text/round-trip", test_round_trip);
  g_test_add_func("/kit/json-text/map", test_map);
  g_test_add_func("/kit/json-text/map-appends", test_map_appends);
  g_test_add_func("/kit/json-text/portable-scan", test_portable_scan);
  return g_test_run();
}
