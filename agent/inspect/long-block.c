/* SPDX-License-Identifier: Apache-2.0 */
/* Values longer than any window: followed to their end in pieces. A regex such
 * as "opener, then a loop over an alphabet" is after a few lines of its value
 * in the same state as after thousands, so its beginning stands for all of it.
 */
#include "inspect/detector.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

/* Of the value's beginning: headers of an armoured key fit. */
#define HEAD_MAX 2048
/* How much further each window looks; and beyond that, so that what a rule
 * looks ahead at is there. */
#define STRIDE 4096
#define OVERLAP 256
/* Pieces meet at a line's end where there is one so near; else inside a word
 * that is too long to be one of a sentence. */
#define LINE_NEAR 256
#define WORD_LONG 24

/* The start of the last line that begins in [from, to], or `to`. */
static size_t
line_start(const TextView *view, size_t from, size_t to)
{
  for (size_t pos = to; pos > from; pos--)
    if (view_at(view, pos - 1) == '\n')
      return pos;
  return to;
}

static size_t
cut_head(const TextView *view, size_t opener)
{
  const size_t limit = opener + HEAD_MAX;
  const size_t line = line_start(view, limit - HEAD_MAX / 2, limit);
  size_t word = 0;

  if (line != limit)
    return line;
  for (size_t pos = limit - HEAD_MAX / 2; pos < limit; pos++) {
    const char c = view_at(view, pos);

    word = g_ascii_isspace(c) || c == '\\' ? 0 : word + 1;
    if (word == WORD_LONG)
      return pos + 1;
  }
  return limit;
}

LongBlock *
long_block_new(const TextView *view, size_t opener, size_t start, double sure)
{
  const size_t cut = cut_head(view, opener);
  const size_t base =
      opener > view->start + LOOK_BEHIND ? opener - LOOK_BEHIND : view->start;
  const size_t far = opener + VALUE_WIDTH_MAX - OVERLAP;
  LongBlock *block = g_malloc0(sizeof(LongBlock) + (cut - base));

  block->start = start;
  block->confidence = sure;
  block->at = line_start(view, far - LINE_NEAR, far);
  block->offset = opener - base;
  block->head_len = cut - base;
  memcpy(block->head, view->bytes + (base - view->start), cut - base);
  return block;
}

void
long_block_free(LongBlock *block)
{
  if (block == NULL)
    return;
  secret_wipe(block->head, block->head_len);
  g_free(block);
}

/* White space behind a value is not part of it. */
static void
trim(const TextView *view, const LongBlock *block, size_t *end)
{
  while (*end > block->at && g_ascii_isspace(view_at(view, *end - 1)))
    (*end)--;
}

static ConfirmResult
to_line_end(const TextView *view, LongBlock *block, size_t *end)
{
  const char *from = view->bytes + (block->at - view->start);
  const char *newline = memchr(from, '\n', view->end - block->at);

  if (newline == NULL && !view->final) {
    block->at = view->end;
    return CONFIRM_PENDING;
  }
  *end = newline != NULL ? block->at + (size_t)(newline - from) : view->end;
  return CONFIRM_DONE;
}

/* Matches the head and the window behind it; *end is in the text. */
static int
match_window(DetectorScratch *scratch,
             CompiledRule *compiled,
             const TextView *view,
             const LongBlock *block,
             size_t stop,
             size_t *end)
{
  const size_t len = stop - block->at;
  const bool last = view->final && stop == view->end;
  char *subject = g_malloc(block->head_len + len);
  size_t found = 0;
  int result;

  memcpy(subject, block->head, block->head_len);
  memcpy(
      subject + block->head_len, view->bytes + (block->at - view->start), len);
  result = confirm_match(scratch,
                         compiled,
                         subject,
                         block->head_len + len,
                         block->offset,
                         PCRE2_PARTIAL_HARD | (last ? 0 : PCRE2_NOTEOL),
                         &found);
  if (result == PCRE2_ERROR_PARTIAL && last) {
    /* Closed by the text's end, or by nobody. */
    result = confirm_match(scratch,
                           compiled,
                           subject,
                           block->head_len + len,
                           block->offset,
                           0,
                           &found);
    if (result == PCRE2_ERROR_NOMATCH) {
      found = block->head_len + len;
      result = 1;
    }
  }
  if (result >= 0)
    result = found >= block->head_len ? 1 : PCRE2_ERROR_NOMATCH;
  if (result >= 0)
    *end = block->at + (found - block->head_len);
  secret_wipe(subject, block->head_len + len);
  g_free(subject);
  return result;
}

ConfirmResult
long_block_go_on(DetectorScratch *scratch,
                 CompiledRule *compiled,
                 const TextView *view,
                 LongBlock *block,
                 size_t *end,
                 GError **error)
{
  for (;;) {
    const size_t far = block->at + STRIDE + OVERLAP;
    const size_t stop = MIN(far, view->end);
    int result;

    if (block->blind)
      return to_line_end(view, block, end);
    if (stop == block->at && !view->final)
      return CONFIRM_PENDING;
    result = match_window(scratch, compiled, view, block, stop, end);
    if (result == PCRE2_ERROR_PARTIAL && stop < far)
      return CONFIRM_PENDING;
    if (result == PCRE2_ERROR_PARTIAL) {
      block->at =
          line_start(view, block->at + STRIDE - LINE_NEAR, block->at + STRIDE);
    } else if (result == PCRE2_ERROR_NOMATCH) {
      block->blind = true;
    } else if (result < 0) {
      return confirm_fail(compiled, result, error);
    } else {
      trim(view, block, end);
      return CONFIRM_DONE;
    }
  }
}
