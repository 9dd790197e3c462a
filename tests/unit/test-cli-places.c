/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes read as text, and the way back to bytes, lines and columns; what is
 * shown around a finding. */
#include "cli/excerpt.h"
#include "cli/text.h"
#include <string.h>

static void
start(FileText *file, const char *bytes, size_t len)
{
  text_init(file, (const uint8_t *)bytes, len);
}

#define START(file, bytes) start(file, bytes, sizeof(bytes) - 1)

/* Where `what` stands in the text, as a place. */
static TextPlace
find(const FileText *file, const char *what)
{
  g_autofree char *text = g_strndup(file->text, file->len);
  const char *at = strstr(text, what);
  TextPlace place;

  g_assert_nonnull(at);
  place_init(file, &place);
  place_move(file, &place, (size_t)(at - text));
  return place;
}

static void
check(const FileText *file,
      const char *what,
      unsigned line,
      unsigned column,
      size_t raw)
{
  const TextPlace place = find(file, what);

  g_assert_cmpuint(place.line, ==, line);
  g_assert_cmpuint(place.column, ==, column);
  g_assert_cmpuint(place.raw, ==, raw);
}

static void
test_utf8(void)
{
  g_auto(FileText) file = {0};

  START(&file, "a\n\xc3\xa4\xf0\x9f\x98\x80x\r\ny");
  g_assert_cmpint(file.coding, ==, TEXT_UTF8);
  g_assert_null(file.own);
  check(&file, "a", 1, 1, 0);
  check(&file, "x", 2, 3, 8);
  check(&file, "y", 3, 1, 11);
}

static void
test_utf8_with_mark(void)
{
  g_auto(FileText) file = {0};

  START(&file,
        "\xef\xbb\xbf"
        "ab");
  g_assert_cmpint(file.coding, ==, TEXT_UTF8);
  check(&file, "a", 1, 1, 3);
  check(&file, "b", 1, 2, 4);
}

static void
test_bytes_that_are_no_utf8(void)
{
  g_auto(FileText) file = {0};

  START(&file, "\xe4x\n\xc3\xa4\0\xffy\xf0\x9f\x98");
  g_assert_cmpint(file.coding, ==, TEXT_MIXED);
  g_assert_true(g_utf8_validate_len(file.text, file.len, NULL));
  check(&file, "x", 1, 2, 1);
  check(&file, "y", 2, 4, 7);
  check(&file, "\xc3\xb0", 2, 5, 8); /* each byte of half a character */
}

static void
test_utf16(void)
{
  g_auto(FileText) little = {0};
  g_auto(FileText) big = {0};

  START(&little,
        "\xff\xfe"
        "a\0\n\0\x3d\xd8\x00\xdex\0\0\xd8y\0z");
  g_assert_cmpint(little.coding, ==, TEXT_UTF16LE);
  g_assert_true(g_utf8_validate_len(little.text, little.len, NULL));
  check(&little, "a", 1, 1, 2);
  check(&little, "x", 2, 2, 10);
  check(&little, "y", 2, 4, 14);
  START(&big, "\xfe\xff\0a\0\0\xd8\x3d\xde\0\0x");
  g_assert_cmpint(big.coding, ==, TEXT_UTF16BE);
  check(&big, "x", 1, 4, 10);
}

/* Whatever the bytes, text is valid and every place leads back to where it
 * came from: decoding the rest from there gives the rest. */
static void
test_any_bytes(void)
{
  static const char *const marks[] = {
      "", "\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"};
  g_autoptr(GRand) rand = g_rand_new_with_seed(7);

  for (unsigned round = 0; round < 2000; round++) {
    g_auto(FileText) file = {0};
    TextPlace place;
    char bytes[64];
    const char *mark = marks[round % G_N_ELEMENTS(marks)];
    const size_t lead = strlen(mark);
    const size_t len = lead + (size_t)g_rand_int_range(rand, 0, 50);

    memcpy(bytes, mark, lead);
    for (size_t i = lead; i < len; i++)
      bytes[i] = (char)(g_rand_boolean(rand) ? g_rand_int_range(rand, 0, 256)
                                             : "\0a\n\xd8\xc3"[i % 5]);
    start(&file, bytes, len);
    g_assert_true(g_utf8_validate_len(file.text, file.len, NULL));
    place_init(&file, &place);
    for (size_t at = 0; at <= file.len; at++)
      if (at == file.len || (file.text[at] & 0xc0) != 0x80)
        place_move(&file, &place, at);
    g_assert_cmpuint(place.raw, ==, len);
  }
}

static void
test_binary(void)
{
  g_autofree char *late = g_malloc0(9000);

  memset(late, 'a', 8999);
  g_assert_true(text_is_binary((const uint8_t *)"a\0b", 3));
  g_assert_false(text_is_binary((const uint8_t *)"ab", 2));
  g_assert_false(text_is_binary((const uint8_t *)"", 0));
  g_assert_false(text_is_binary((const uint8_t *)"\xff\xfe"
                                                 "a\0",
                                4));
  g_assert_true(text_is_binary((const uint8_t *)"\xff\xfe\0\0a\0\0\0", 8));
  g_assert_false(text_is_binary((const uint8_t *)late, 9000));
}

/* ---- Excerpts ------------------------------------------------------------
 */

typedef struct {
  const char *text; /* findings between { and }, which are no part */
  unsigned which;   /* the one that is asked for */
  const char *before, *behind;
} Row;

static void
check_row(const Row *row)
{
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GArray) covers = g_array_new(FALSE, FALSE, sizeof(Cover));
  g_autoptr(GString) before = g_string_new(NULL);
  g_autoptr(GString) behind = g_string_new(NULL);
  Cover cover = {.rule_id = "r"};
  const Cover *chosen;
  Covered covered;
  const char *newline;

  for (const char *at = row->text; *at; at++) {
    if (*at == '{')
      cover.start = text->len;
    else if (*at == '}')
      cover.end = text->len;
    else
      g_string_append_c(text, *at);
    if (*at == '}')
      g_array_append_val(covers, cover);
  }
  covered = (Covered){text->str, text->len, covers};
  chosen = &g_array_index(covers, Cover, row->which);
  g_assert_true(cover_at(&covered, chosen->start) == chosen);
  newline = g_strrstr_len(text->str, (gssize)chosen->start, "\n");
  excerpt_before(&covered,
                 chosen,
                 newline ? (size_t)(newline + 1 - text->str) : 0,
                 20,
                 before);
  excerpt_behind(&covered, chosen, 12, behind);
  g_assert_cmpstr(before->str, ==, row->before);
  g_assert_cmpstr(behind->str, ==, row->behind);
}

static void
test_excerpts(void)
{
  static const Row rows[] = {
      {"{x}", 0, "", ""},
      {"one\nkey={x};\ntwo", 0, "key=", ";"},
      {"one\r\nkey={x};\r\ntwo", 0, "key=", ";"},
      {"{a}={b}={c}", 1, "[r]=", "=[r]"},
      {"{a}{b}{c}", 1, "[r]", "[r]"},
      {"key={x\ny} z\n", 0, "key=", " z"},
      {"0123456789 0123456789 012345 {x}",
       0,
       "\xe2\x80\xa6 0123456789 012345 ",
       ""},
      {"{secret of more than this}=v k={x}", 1, "\xe2\x80\xa6[r]=v k=", ""},
      {"0123456789abcdef0 {x}", 0, "\xe2\x80\xa6 ", ""},
      {"a_word_without_any {x}", 0, "a_word_without_any ", ""},
      {"{x} one two three four", 0, "", " one two\xe2\x80\xa6"},
      {"{x} one two thr", 0, "", " one two thr"},
      {"{x}\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
       0,
       "",
       "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xe2\x80\xa6"},
      {"{x}0123456789abcdef0", 0, "", "\xe2\x80\xa6"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++)
    check_row(&rows[i]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/places/utf-8", test_utf8);
  g_test_add_func("/places/utf-8-with-mark", test_utf8_with_mark);
  g_test_add_func("/places/bytes-that-are-no-utf-8",
                  test_bytes_that_are_no_utf8);
  g_test_add_func("/places/utf-16", test_utf16);
  g_test_add_func("/places/any-bytes", test_any_bytes);
  g_test_add_func("/places/binary", test_binary);
  g_test_add_func("/places/excerpts", test_excerpts);
  return g_test_run();
}
