/* SPDX-License-Identifier: Apache-2.0 */
/* Shows where a finding stands without showing any. */
#include "cli/excerpt.h"
#include <stdbool.h>
#include <string.h>

/* A word of letters and digits so long may be a secret that no rule knows, or
 * the rest of one. */
#define LONG_WORD 16
#define LEFT_OUT "\xe2\x80\xa6" /* … */

static const Cover *
cover_index(const Covered *covered, guint i)
{
  return &g_array_index(covered->covers, Cover, i);
}

/* The first cover that ends behind `at`. */
static guint
first_behind(const Covered *covered, size_t at)
{
  guint low = 0, high = covered->covers->len;

  while (low < high) {
    const guint middle = low + (high - low) / 2;

    if (cover_index(covered, middle)->end <= at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

const Cover *
cover_at(const Covered *covered, size_t at)
{
  return cover_index(covered, first_behind(covered, at));
}

static bool
is_word(char c)
{
  return g_ascii_isalnum(c) || c == '+' || c == '/' || c == '_' || c == '-';
}

static bool
looks_secret(const char *word, size_t len)
{
  bool digit = false, letter = false;

  for (size_t i = 0; i < len; i++) {
    digit = digit || g_ascii_isdigit(word[i]);
    letter = letter || g_ascii_isalpha(word[i]);
  }
  return len >= LONG_WORD && digit && letter;
}

/* Text that no finding covers. */
static void
append_plain(const Covered *covered, size_t from, size_t to, GString *out)
{
  const char *text = covered->text;

  while (from < to) {
    size_t end = from;

    while (end < to && is_word(text[end]))
      end++;
    if (looks_secret(text + from, end - from))
      g_string_append(out, LEFT_OUT);
    else
      g_string_append_len(out, text + from, (gssize)(end - from));
    for (from = end; from < to && !is_word(text[from]); from++)
      g_string_append_c(out, text[from]);
  }
}

static void
append_range(const Covered *covered, size_t from, size_t to, GString *out)
{
  for (guint i = first_behind(covered, from); from < to; i++) {
    const Cover *next =
        i < covered->covers->len ? cover_index(covered, i) : NULL;

    if (!next || next->start >= to) {
      append_plain(covered, from, to, out);
      return;
    }
    if (next->start > from)
      append_plain(covered, from, next->start, out);
    g_string_append_printf(out, "[%s]", next->rule_id);
    from = next->end;
  }
}

void
excerpt_before(const Covered *covered,
               const Cover *cover,
               size_t line_start,
               size_t max,
               GString *out)
{
  const char *text = covered->text;
  size_t from = line_start;

  if (cover->start <= line_start)
    return;
  if (cover->start - line_start > max) {
    from = cover->start - max;
    /* Half a word, or half a character, is left out. */
    while (from < cover->start &&
           (is_word(text[from]) || ((guchar)text[from] & 0xc0) == 0x80))
      from++;
    g_string_append(out, LEFT_OUT);
  }
  append_range(covered, from, cover->start, out);
}

void
excerpt_behind(const Covered *covered,
               const Cover *cover,
               size_t max,
               GString *out)
{
  const char *text = covered->text;
  const size_t from = cover->end;
  const size_t most = MIN(covered->len - from, max);
  const char *newline = memchr(text + from, '\n', most);
  size_t to = newline ? (size_t)(newline - text) : from + most;
  bool cut = !newline && to < covered->len;

  while (cut && to > from &&
         (is_word(text[to]) || ((guchar)text[to] & 0xc0) == 0x80))
    to--;
  if (to > from && text[to - 1] == '\r')
    to--;
  append_range(covered, from, to, out);
  if (cut)
    g_string_append(out, LEFT_OUT);
}
