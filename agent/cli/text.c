/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a file's bytes as UTF-8, whatever they are, and finds lines, columns
 * and bytes again. */
#include "cli/text.h"
#include "kit/secret.h"
#include <string.h>

/* As git and grep look for NULs. */
#define BINARY_LOOK ((size_t)8192)

/* ---- What it is ----------------------------------------------------------
 */

static TextCoding
marked_coding(const uint8_t *bytes, size_t len, size_t *mark)
{
  *mark = 0;
  if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
    *mark = 3;
    return TEXT_UTF8;
  }
  /* UTF-32's mark begins with UTF-16's; nobody writes it into files. */
  if (len >= 4 && memcmp(bytes, "\xff\xfe\0\0", 4) == 0)
    return TEXT_MIXED;
  if (len >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 ||
                   memcmp(bytes, "\xfe\xff", 2) == 0)) {
    *mark = 2;
    return *bytes == 0xff ? TEXT_UTF16LE : TEXT_UTF16BE;
  }
  return TEXT_UTF8;
}

bool
text_is_binary(const uint8_t *bytes, size_t len)
{
  size_t mark;
  const TextCoding coding = marked_coding(bytes, len, &mark);

  return coding != TEXT_UTF16LE && coding != TEXT_UTF16BE &&
         memchr(bytes, '\0', MIN(len, BINARY_LOOK)) != NULL;
}

/* ---- Decoding ------------------------------------------------------------
 */

/* The character at raw[at]; its bytes into *n. */
static gunichar
mixed_char(const FileText *file, size_t at, size_t *n)
{
  const char *p = (const char *)file->raw + at;
  const size_t left = file->raw_len - at;
  gunichar c;

  *n = 1;
  if (file->raw[at] < 0x80)
    return *p ? file->raw[at] : '\r';
  c = g_utf8_get_char_validated(p, (gssize)MIN(left, 6));
  if (c == (gunichar)-1 || c == (gunichar)-2)
    return file->raw[at];
  *n = (size_t)(g_utf8_next_char(p) - p);
  return c;
}

static uint16_t
unit_at(const FileText *file, size_t at)
{
  const uint8_t *p = file->raw + at;

  return (uint16_t)(file->coding == TEXT_UTF16LE ? p[0] | p[1] << 8
                                                 : p[0] << 8 | p[1]);
}

static gunichar
utf16_char(const FileText *file, size_t at, size_t *n)
{
  gunichar c, low;

  *n = MIN(file->raw_len - at, 2);
  if (*n < 2)
    return 0xfffd;
  c = unit_at(file, at);
  if (c == 0)
    return '\r';
  if (c < 0xd800 || c > 0xdfff)
    return c;
  low = c < 0xdc00 && file->raw_len - at >= 4 ? unit_at(file, at + 2) : 0;
  if (low < 0xdc00 || low > 0xdfff)
    return 0xfffd;
  *n = 4;
  return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static gunichar
raw_char(const FileText *file, size_t at, size_t *n)
{
  return file->coding == TEXT_MIXED ? mixed_char(file, at, n)
                                    : utf16_char(file, at, n);
}

static void
decode(FileText *file)
{
  /* Two bytes become at most three, one byte at most two. */
  char *out = g_malloc(2 * file->raw_len + 4);
  size_t len = 0, n;

  for (size_t at = 0; at < file->raw_len; at += n)
    len += (size_t)g_unichar_to_utf8(raw_char(file, at, &n), out + len);
  file->own = out;
  file->text = out;
  file->len = len;
}

void
text_init(FileText *file, const uint8_t *bytes, size_t len)
{
  *file = (FileText){.raw = bytes, .raw_len = len};
  file->coding = marked_coding(bytes, len, &file->mark);
  file->raw += file->mark;
  file->raw_len -= file->mark;
  if (file->coding == TEXT_UTF8 &&
      !g_utf8_validate_len((const char *)file->raw, file->raw_len, NULL))
    file->coding = TEXT_MIXED;
  if (file->coding != TEXT_UTF8) {
    decode(file);
    return;
  }
  file->text = (const char *)file->raw;
  file->len = file->raw_len;
}

void
text_clear(FileText *file)
{
  if (file->own)
    secret_wipe(file->own, file->len);
  g_clear_pointer(&file->own, g_free);
  file->text = NULL;
  file->len = 0;
}

/* ---- Places --------------------------------------------------------------
 */

void
place_init(const FileText *file, TextPlace *place)
{
  *place = (TextPlace){.raw = file->mark, .line = 1, .column = 1};
}

static unsigned
count_chars(const char *from, const char *to)
{
  unsigned n = 0;

  for (; from < to; from++)
    n += ((guchar)*from & 0xc0) != 0x80;
  return n;
}

/* Both ways at once: the text's bytes from `place` to `at` came from these. */
static size_t
raw_bytes(const FileText *file, const TextPlace *place, size_t at)
{
  size_t raw = place->raw - file->mark, n;

  if (file->coding == TEXT_UTF8)
    return at - place->at;
  for (size_t text = place->at; text < at; raw += n)
    text += (size_t)g_unichar_to_utf8(raw_char(file, raw, &n), NULL);
  return raw - (place->raw - file->mark);
}

void
place_move(const FileText *file, TextPlace *place, size_t at)
{
  const char *from = file->text + place->at, *to = file->text + at;
  const char *newline;

  g_assert(at >= place->at && at <= file->len);
  place->raw += raw_bytes(file, place, at);
  while ((newline = memchr(from, '\n', (size_t)(to - from)))) {
    place->line++;
    place->column = 1;
    from = newline + 1;
    place->line_start = (size_t)(from - file->text);
  }
  place->column += count_chars(from, to);
  place->at = at;
}
