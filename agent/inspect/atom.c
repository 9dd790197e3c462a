/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the smallest parts of a regex. */
#include "inspect/atom.h"

#include <string.h>

static void
set_add(ByteSet *set, unsigned byte)
{
  set->bits[byte / 64] |= UINT64_C(1) << byte % 64;
}

static void
set_range(ByteSet *set, unsigned from, unsigned to, bool any_case)
{
  for (unsigned c = from; c <= to; c++) {
    set_add(set, c);
    if (any_case && c < 0x80 && g_ascii_isalpha((char)c))
      set_add(set, c ^ 0x20);
  }
}

/* \d, \s, \w and their opposites. */
static bool
set_add_kind(ByteSet *set, char kind)
{
  for (unsigned c = 0; c < 256; c++) {
    bool in;

    switch (g_ascii_tolower(kind)) {
    case 'd':
      in = c >= '0' && c <= '9';
      break;
    case 's':
      in = c == ' ' || (c >= '\t' && c <= '\r');
      break;
    case 'w':
      in = byte_is_word(c);
      break;
    default:
      return false;
    }
    if (in != (g_ascii_isupper(kind) != 0))
      set_add(set, c);
  }
  return true;
}

/* The byte that an escape stands for; -1: it is another kind of one. */
static int
escaped_byte(char c)
{
  if (g_ascii_ispunct(c) || c == ' ')
    return c;
  return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : -1;
}

/* One byte of a class, or a kind that is added at once (-1), or -2. */
static int
class_byte(const char **at, ByteSet *set)
{
  const char c = *(*at)++;

  if (c != '\\')
    return (uint8_t)c;
  if (**at == '\0')
    return -2;
  if (set_add_kind(set, **at)) {
    (*at)++;
    return -1;
  }
  return escaped_byte(**at) < 0 ? -2 : escaped_byte(*(*at)++);
}

/* Behind "[". */
static bool
read_class(const char **at, bool any_case, ByteSet *set)
{
  bool negated = false, first = true;

  if (**at == '^') {
    negated = true;
    (*at)++;
  }
  for (; first || **at != ']'; first = false) {
    int from, to;

    if (**at == '\0' || g_str_has_prefix(*at, "[:"))
      return false;
    from = to = class_byte(at, set);
    if (from >= 0 && (*at)[0] == '-' && (*at)[1] != ']') {
      (*at)++;
      to = **at != '\0' ? class_byte(at, set) : -2;
    }
    if (from == -2 || to < from)
      return false;
    if (from >= 0)
      set_range(set, (unsigned)from, (unsigned)to, any_case);
  }
  (*at)++;
  for (unsigned i = 0; negated && i < 4; i++)
    set->bits[i] = ~set->bits[i];
  return true;
}

bool
byte_set_read(const char **at, bool any_case, bool any_line, ByteSet *set)
{
  const char c = **at;
  int byte;

  if (c == '\0' || strchr("^$*+?{()|", c) != NULL)
    return false;
  (*at)++;
  if (c == '[')
    return read_class(at, any_case, set);
  if (c == '.') {
    set_range(set, 0, 255, false);
    if (!any_line)
      set->bits[0] &= ~(UINT64_C(1) << '\n');
    return true;
  }
  if (c != '\\') {
    set_range(set, (uint8_t)c, (uint8_t)c, any_case);
    return true;
  }
  if (**at == '\0')
    return false;
  byte = escaped_byte(**at);
  if (byte >= 0)
    set_range(set, (unsigned)byte, (unsigned)byte, any_case);
  else if (!set_add_kind(set, **at))
    return false;
  (*at)++;
  return true;
}

Times
times_read(const char **at, unsigned *min, unsigned *max)
{
  const char *p = *at;
  char *after;

  *min = *p == '+';
  *max = *p == '?' ? 1 : UINT_MAX;
  if (*p == '{') {
    *min = *max = (unsigned)g_ascii_strtoull(p + 1, &after, 10);
    if (after == p + 1)
      return TIMES_BAD;
    if (*after == ',') {
      p = after + 1;
      *max = g_ascii_isdigit(*p) ? (unsigned)g_ascii_strtoull(p, &after, 10)
                                 : UINT_MAX;
      after = *max == UINT_MAX ? (char *)p : after;
    }
    if (*after != '}' || *max < *min)
      return TIMES_BAD;
    p = after;
  } else if (*p == '\0' || strchr("?*+", *p) == NULL) {
    return TIMES_NONE;
  }
  *at = p + 1;
  if (**at == '+')
    return TIMES_BAD;
  *at += **at == '?';
  return TIMES_READ;
}
