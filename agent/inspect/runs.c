/* SPDX-License-Identifier: Apache-2.0 */
/* Where a run of text begins and ends. Both functions look at a few bytes
 * around a place only, so that a stream that is cut anywhere and a whole text
 * have the same runs. */
#include "inspect/detector.h"
#include "inspect/normalise.h"

/* Groups of an IBAN: "000M UR", and "Q7AI TMOF MMWI" where some have no digit:
 * of so many characters before a space one is a digit. */
#define GROUP_LEN 4
#define GROUPS_BACK ((size_t)3 * (GROUP_LEN + 1))

static bool
is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static bool
is_group(char c)
{
  return is_digit(c) || (c >= 'A' && c <= 'Z');
}

/* The character that the byte at pos belongs to: where it begins. */
static size_t
char_start(const TextView *view, size_t pos)
{
  size_t lead = pos;

  while (lead > view->start && pos - lead < 3 &&
         ((uint8_t)view_at(view, lead) & 0xc0) == 0x80)
    lead--;
  /* A low half of a pair in WTF-8 belongs to the high one before it. */
  if (lead >= view->start + 3 && lead + 1 < view->end &&
      (uint8_t)view_at(view, lead) == 0xed &&
      (uint8_t)view_at(view, lead + 1) >= 0xb0 &&
      (uint8_t)view_at(view, lead - 3) == 0xed &&
      (uint8_t)view_at(view, lead - 2) >= 0xa0)
    lead -= 3;
  return lead;
}

/* Invisible, or only another form of ASCII that is no space. 1: yes, 0: no,
 * -1: the view ends inside. */
static int
is_in_disguise(const TextView *view, size_t pos)
{
  const size_t lead = char_start(view, pos);
  Folded folded;
  const int size = fold_at(view->bytes + (lead - view->start),
                           view->end - lead,
                           view->final,
                           &folded);

  if (size <= 0)
    return size;
  return folded.len == 0 || folded.out[0] > ' ';
}

static bool
byte_is(const TextView *view, size_t pos, char c)
{
  return pos >= view->start && pos < view->end && view_at(view, pos) == c;
}

/* Capitals behind the space at pos belong to a number that began before. */
static bool
number_before(const TextView *view, size_t pos)
{
  for (size_t i = 1; i <= GROUPS_BACK && pos >= view->start + i; i++) {
    const char c = view_at(view, pos - i);

    if (is_digit(c))
      return true;
    if (!is_group(c) && !(c == ' ' && i % (GROUP_LEN + 1) == 0))
      return false;
  }
  return false;
}

/* A single space between groups of digits and capitals, or beside an area code
 * in brackets. -1: not known yet. */
static int
joins_groups(const TextView *view, size_t pos)
{
  const bool closed = pos > view->start + 1 && byte_is(view, pos - 1, ')') &&
                      is_digit(view_at(view, pos - 2));
  char next;

  if (!closed && (pos == view->start || !is_group(view_at(view, pos - 1))))
    return 0;
  if (pos + 1 >= view->end)
    return -1;
  next = view_at(view, pos + 1);
  if (is_digit(next))
    return 1;
  if (next == '(' && is_digit(view_at(view, pos - 1))) {
    if (pos + 2 >= view->end)
      return -1;
    return is_digit(view_at(view, pos + 2));
  }
  return !closed && is_group(next) && number_before(view, pos);
}

int
run_breaks(const TextView *view, size_t pos)
{
  const uint8_t c = (uint8_t)view_at(view, pos);
  int known;

  if (c > ' ' && c < 0x7f)
    return 0;
  if (c == ' ') {
    known = joins_groups(view, pos);
    return known < 0 ? -1 : !known;
  }
  if (c < 0x80)
    return c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r' ||
           c == '\0';
  known = is_in_disguise(view, pos);
  return known < 0 ? -1 : !known;
}

size_t
run_end(const TextView *view, size_t pos, size_t limit, bool *open)
{
  const size_t stop = MIN(limit, view->end);

  *open = false;
  for (; pos < stop; pos++) {
    const uint8_t c = (uint8_t)view_at(view, pos);
    int breaks;

    if (c > ' ' && c < 0x7f)
      continue;
    breaks = run_breaks(view, pos);
    if (breaks > 0)
      return pos;
    if (breaks < 0) {
      *open = !view->final;
      return view->final ? pos : view->end;
    }
  }
  *open = limit > view->end && !view->final;
  return stop;
}

size_t
run_start(const TextView *view, size_t pos, size_t floor)
{
  while (pos > floor) {
    const int breaks = run_breaks(view, pos - 1);

    if (breaks > 0 || (breaks < 0 && view->final))
      break;
    pos--;
  }
  return pos;
}
