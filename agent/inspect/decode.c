/* SPDX-License-Identifier: Apache-2.0 */
/* Finds runs of base64 and hex that stand for text, and decodes them. */
#include "inspect/decode.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Of a window's bytes a tenth may be no text; of a run's first none. */
#define BAD_SHARE 10

/* Characters of a run: 64 and their value in base64, in either alphabet. */
static const uint8_t values[256] = {
    ['A'] = 0x40, ['B'] = 0x41, ['C'] = 0x42, ['D'] = 0x43, ['E'] = 0x44,
    ['F'] = 0x45, ['G'] = 0x46, ['H'] = 0x47, ['I'] = 0x48, ['J'] = 0x49,
    ['K'] = 0x4a, ['L'] = 0x4b, ['M'] = 0x4c, ['N'] = 0x4d, ['O'] = 0x4e,
    ['P'] = 0x4f, ['Q'] = 0x50, ['R'] = 0x51, ['S'] = 0x52, ['T'] = 0x53,
    ['U'] = 0x54, ['V'] = 0x55, ['W'] = 0x56, ['X'] = 0x57, ['Y'] = 0x58,
    ['Z'] = 0x59, ['a'] = 0x5a, ['b'] = 0x5b, ['c'] = 0x5c, ['d'] = 0x5d,
    ['e'] = 0x5e, ['f'] = 0x5f, ['g'] = 0x60, ['h'] = 0x61, ['i'] = 0x62,
    ['j'] = 0x63, ['k'] = 0x64, ['l'] = 0x65, ['m'] = 0x66, ['n'] = 0x67,
    ['o'] = 0x68, ['p'] = 0x69, ['q'] = 0x6a, ['r'] = 0x6b, ['s'] = 0x6c,
    ['t'] = 0x6d, ['u'] = 0x6e, ['v'] = 0x6f, ['w'] = 0x70, ['x'] = 0x71,
    ['y'] = 0x72, ['z'] = 0x73, ['0'] = 0x74, ['1'] = 0x75, ['2'] = 0x76,
    ['3'] = 0x77, ['4'] = 0x78, ['5'] = 0x79, ['6'] = 0x7a, ['7'] = 0x7b,
    ['8'] = 0x7c, ['9'] = 0x7d, ['+'] = 0x7e, ['/'] = 0x7f, ['-'] = 0x7e,
    ['_'] = 0x7f};

static inline bool
is_run(char c)
{
  return values[(uint8_t)c] != 0;
}

static inline uint32_t
value_of(char c)
{
  return values[(uint8_t)c] & 0x3f;
}

static inline bool
is_special(char c)
{
  return c == '+' || c == '/' || c == '-' || c == '_';
}

static bool
belongs(DecodeKind kind, char c)
{
  return kind == DECODE_HEX ? g_ascii_isxdigit(c) : is_run(c);
}

/* ---- Is it text? ------------------------------------------------------- */

/* Bytes that text does not have; one cut off at the end counts for nothing. */
static size_t
count_bad(const uint8_t *bytes, size_t len)
{
  size_t bad = 0;

  for (size_t i = 0; i < len; i++) {
    const uint8_t c = bytes[i];
    size_t more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

    if (c < 0x80) {
      bad += (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
      continue;
    }
    if (c < 0xc2 || c > 0xf4) {
      bad++;
      continue;
    }
    for (; more > 0 && i + 1 < len && (bytes[i + 1] & 0xc0) == 0x80; more--)
      i++;
    bad += more > 0 && i + 1 < len;
  }
  return bad;
}

/* Whether this is ASCII in UTF-16, of either order and perhaps behind a byte
 * order mark, from anywhere in it; *offset is where the halves that are not 0
 * begin. */
static bool
wide_halves(const uint8_t *bytes, size_t len, unsigned *offset)
{
  size_t zeros[2] = {0, 0}, others = 0, bad = 0, from = 0;

  if (len < 4 || memchr(bytes, 0, len) == NULL)
    return false;
  if (bytes[0] + bytes[1] == 0xff + 0xfe)
    from = 2;
  for (size_t i = from; i < len; i++)
    if (bytes[i] == 0)
      zeros[i % 2]++;
  *offset = zeros[0] > zeros[1];
  for (size_t i = from + *offset; i < len; i += 2, others++)
    bad += count_bad(bytes + i, 1);
  return zeros[1 - *offset] * BAD_SHARE >= (len - from) / 2 * (BAD_SHARE - 1) &&
         bad * BAD_SHARE <= others;
}

/* Leaves every other byte of what was appended. */
static void
narrow(GString *out, size_t before, unsigned offset)
{
  size_t to = before;

  for (size_t from = before + offset; from < out->len; from += 2)
    out->str[to++] = out->str[from];
  secret_wipe(out->str + to, out->len - to);
  g_string_truncate(out, to);
}

/* The first bytes of a run. Most are no text at a glance: the first byte with a
 * high bit begins no character. */
static bool
begins_text(const uint8_t *bytes, size_t len)
{
  unsigned offset;
  size_t i = 0;

  while (i < len && bytes[i] < 0x80)
    i++;
  if (i < len && (bytes[i] < 0xc2 || bytes[i] > 0xf4))
    return wide_halves(bytes, len, &offset);
  return count_bad(bytes, len) == 0 || wide_halves(bytes, len, &offset);
}

static bool
hex_is_text(const char *text)
{
  uint8_t bytes[DECODE_MIN / 2];

  for (unsigned i = 0; i < sizeof(bytes); i++) {
    if (!g_ascii_isxdigit(text[2 * i]) || !g_ascii_isxdigit(text[2 * i + 1]))
      return false;
    bytes[i] = (uint8_t)(g_ascii_xdigit_value(text[2 * i]) << 4 |
                         g_ascii_xdigit_value(text[2 * i + 1]));
  }
  return begins_text(bytes, sizeof(bytes));
}

static bool
base64_is_text(const char *text)
{
  uint8_t bytes[DECODE_MIN / 4 * 3];

  for (unsigned i = 0; i < DECODE_MIN / 4; i++) {
    const uint32_t bits =
        value_of(text[4 * i]) << 18 | value_of(text[4 * i + 1]) << 12 |
        value_of(text[4 * i + 2]) << 6 | value_of(text[4 * i + 3]);

    bytes[3 * i] = (uint8_t)(bits >> 16);
    bytes[3 * i + 1] = (uint8_t)(bits >> 8);
    bytes[3 * i + 2] = (uint8_t)bits;
  }
  return begins_text(bytes, sizeof(bytes));
}

/* ---- Runs -------------------------------------------------------------- */

#ifdef __SSE2__
/* A bit for each of 16 bytes that is of a run. */
static inline uint64_t
run_bits(const char *text)
{
  const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)text);
  const __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
  const __m128i letters =
      _mm_and_si128(_mm_cmpgt_epi8(lower, _mm_set1_epi8('a' - 1)),
                    _mm_cmplt_epi8(lower, _mm_set1_epi8('z' + 1)));
  /* "/" stands before the digits. */
  const __m128i digits =
      _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('/' - 1)),
                    _mm_cmplt_epi8(bytes, _mm_set1_epi8('9' + 1)));
  const __m128i others =
      _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('+')),
                   _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')),
                                _mm_cmpeq_epi8(bytes, _mm_set1_epi8('_'))));

  return (unsigned)_mm_movemask_epi8(
      _mm_or_si128(letters, _mm_or_si128(digits, others)));
}

/* Where a whole run begins, in steps that overlap by its length; else where to
 * look on, less than 64 bytes before the end. */
static size_t
skip_short(const char *text, size_t at, size_t end, bool *found)
{
  for (; at + 64 <= end; at += 64 - DECODE_MIN) {
    uint64_t bits = run_bits(text + at) | run_bits(text + at + 16) << 16 |
                    run_bits(text + at + 32) << 32 |
                    run_bits(text + at + 48) << 48;

    bits &= bits >> 1;
    bits &= bits >> 2;
    bits &= bits >> 4;
    bits &= bits >> 8;
    if (bits != 0) {
      *found = true;
      return at + (unsigned)__builtin_ctzll(bits);
    }
  }
  return at;
}
#endif

/* The next run of at least DECODE_MIN characters, or one that the view's end
 * cuts; view->end when there is none. Nothing of a run stands before pos. */
static size_t
find_run(const TextView *view, size_t pos)
{
  const char *text = view->bytes;
  const size_t end = view->end - view->start;
  size_t at = pos - view->start, from;
  bool found = false;

#ifdef __SSE2__
  at = skip_short(text, at, end, &found);
#endif
  /* Such a run has a character at every sixteenth place. */
  while (!found && at + DECODE_MIN <= end) {
    size_t to = at + DECODE_MIN;

    from = to - 1;
    if (!is_run(text[from])) {
      at = to;
      continue;
    }
    while (from > at && is_run(text[from - 1]))
      from--;
    while (to < end && to - from < DECODE_MIN && is_run(text[to]))
      to++;
    if (to - from >= DECODE_MIN || to == end) {
      at = from;
      found = true;
    } else {
      at = to;
    }
  }
  for (from = end; !found && from > at && is_run(text[from - 1]);)
    from--;
  return (found ? at : from) + view->start;
}

static void
begin(DecodeScan *scan, size_t start)
{
  *scan = (DecodeScan){
      .state = DECODE_BEGUN, .pos = start, .start = start, .line = start};
}

/* False for a window that the one before it covered. */
static bool
report(DecodeScan *scan, size_t end, DecodeState state, DecodeWindow *window)
{
  *window = (DecodeWindow){scan->kind, scan->start, end};
  scan->state = state;
  return end > scan->start;
}

/* Where the next window begins: a group's first character. */
static size_t
next_window(const DecodeScan *scan, const TextView *view)
{
  const unsigned per_group = scan->kind == DECODE_BASE64 ? 4 : 2;
  size_t pos = scan->start, n = 0;

  for (; pos < scan->start + DECODE_HOP || n % per_group != 0 ||
         !belongs(scan->kind, view_at(view, pos));
       pos++)
    n += belongs(scan->kind, view_at(view, pos));
  return pos;
}

/* What may stand behind the last, shorter line of several. */
static bool
ends_lines(char c)
{
  return c != ' ' && c != '\t' && strchr(".:;!?(", c) == NULL;
}

/* ---- The text going by ------------------------------------------------- */

/* The first DECODE_MIN characters of a run. */
static void
go_on_begun(DecodeScan *scan, const TextView *view)
{
  const char *text = view->bytes + (scan->start - view->start);
  size_t n = scan->pos - scan->start;
  const size_t left = MIN(view->end - scan->start, (size_t)DECODE_MIN);
  size_t special = 0;

  while (n < left && is_run(text[n]))
    n++;
  scan->pos = scan->start + n;
  if (n < DECODE_MIN) {
    if (n < left)
      scan->state = DECODE_OUT;
    return;
  }
  if (hex_is_text(text) || base64_is_text(text)) {
    scan->kind = hex_is_text(text) ? DECODE_HEX : DECODE_BASE64;
    scan->state = DECODE_LIVE;
    return;
  }
  while (special < n && !is_special(text[special]))
    special++;
  if (text[0] == '0' && (text[1] | 0x20) == 'x')
    begin(scan, scan->start + 2); /* stands before hex */
  else if (special < n)
    begin(scan, scan->start + special + 1);
  else
    scan->state = DECODE_DEAD;
}

static void
go_on_dead(DecodeScan *scan, const TextView *view)
{
  while (scan->pos < view->end) {
    const char c = view_at(view, scan->pos);

    if (!is_run(c)) {
      scan->state = DECODE_OUT;
      return;
    }
    scan->pos++;
    if (is_special(c)) {
      begin(scan, scan->pos);
      return;
    }
  }
}

/* The line that began does not belong to those before it: they are a run, and
 * it may begin another. */
static bool
part_lines(DecodeScan *scan, DecodeWindow *window)
{
  const size_t line = scan->line;
  const bool found = report(scan, scan->edge, DECODE_OUT, window);

  begin(scan, line);
  return found;
}

/* The characters of a line that decodes end at scan->pos, before `c`. */
static bool
end_line(DecodeScan *scan, char c, DecodeWindow *window)
{
  const size_t len = scan->pos - scan->line;

  if (c == '=' && scan->kind == DECODE_BASE64) {
    scan->state = DECODE_PAD;
    return false;
  }
  if ((c == '\r' || c == '\n') &&
      (scan->width == 0 ? len >= DECODE_LINE_MIN : len == scan->width)) {
    scan->width = len;
    scan->edge = scan->pos;
    scan->newline = false;
    scan->state = DECODE_BREAK;
    return false;
  }
  if (scan->width != 0 && !ends_lines(c))
    return part_lines(scan, window);
  return report(scan, scan->pos, is_run(c) ? DECODE_DEAD : DECODE_OUT, window);
}

static bool
go_on_live(DecodeScan *scan, const TextView *view, DecodeWindow *window)
{
  const size_t full = scan->start + DECODE_WINDOW;

  while (scan->pos < view->end && scan->pos < full) {
    const char c = view_at(view, scan->pos);

    if (!belongs(scan->kind, c))
      return end_line(scan, c, window);
    if (scan->width != 0 && scan->pos - scan->line == scan->width)
      return part_lines(scan, window);
    scan->pos++;
  }
  if (scan->pos < full)
    return false;
  report(scan, full, DECODE_LIVE, window);
  scan->start = next_window(scan, view);
  return true;
}

static bool
go_on_pad(DecodeScan *scan, const TextView *view, DecodeWindow *window)
{
  if (view_at(view, scan->pos) == '=') {
    scan->pos++;
    return false;
  }
  return report(scan, scan->pos, DECODE_OUT, window);
}

/* A line's end, and the next one's indentation. */
static bool
go_on_break(DecodeScan *scan, const TextView *view, DecodeWindow *window)
{
  const char c = view_at(view, scan->pos);

  if (scan->newline && is_run(c)) {
    scan->line = scan->pos;
    scan->state = DECODE_LIVE;
    return false;
  }
  if ((c == '\r' && scan->pos == scan->edge) || (c == '\n' && !scan->newline) ||
      ((c == ' ' || c == '\t') && scan->newline &&
       scan->pos - scan->edge < DECODE_INDENT_MAX)) {
    scan->newline = scan->newline || c == '\n';
    scan->pos++;
    return false;
  }
  return report(scan, scan->edge, DECODE_OUT, window);
}

static bool
finish(DecodeScan *scan, DecodeWindow *window)
{
  const DecodeState state = scan->state;

  scan->state = DECODE_OUT;
  if (state == DECODE_LIVE || state == DECODE_PAD)
    return report(scan, scan->pos, DECODE_OUT, window);
  if (state == DECODE_BREAK)
    return report(scan, scan->edge, DECODE_OUT, window);
  return false;
}

bool
decode_next(DecodeScan *scan, const TextView *view, DecodeWindow *window)
{
  while (scan->pos < view->end) {
    bool found = false;

    switch (scan->state) {
    case DECODE_OUT:
      scan->pos = find_run(view, scan->pos);
      if (scan->pos < view->end)
        begin(scan, scan->pos);
      break;
    case DECODE_BEGUN:
      go_on_begun(scan, view);
      break;
    case DECODE_DEAD:
      go_on_dead(scan, view);
      break;
    case DECODE_LIVE:
      found = go_on_live(scan, view, window);
      break;
    case DECODE_PAD:
      found = go_on_pad(scan, view, window);
      break;
    case DECODE_BREAK:
      found = go_on_break(scan, view, window);
      break;
    }
    if (found)
      return true;
  }
  return view->final && finish(scan, window);
}

void
decode_give_up(DecodeScan *scan)
{
  if (scan->state == DECODE_LIVE)
    scan->state = DECODE_DEAD;
}

size_t
decode_floor(const DecodeScan *scan)
{
  return scan->state == DECODE_OUT || scan->state == DECODE_DEAD ? SIZE_MAX
                                                                 : scan->start;
}

/* ---- Decoding ---------------------------------------------------------- */

bool
decode_window(const TextView *view,
              const DecodeWindow *window,
              GString *out,
              GArray *groups,
              DecodeMap *map)
{
  const bool hex = window->kind == DECODE_HEX;
  const unsigned chars = hex ? 2 : 4;
  const size_t before = out->len;
  DecodeGroup group = {0};
  uint32_t bits = 0;
  unsigned n = 0;
  size_t len;

  *map = (DecodeMap){hex ? 1 : 3, 1, 0};
  for (size_t pos = window->start; pos < window->end; pos++) {
    const char c = view_at(view, pos);

    if (!belongs(window->kind, c))
      continue;
    if (n == 0)
      group.start = (guint32)(pos - window->start);
    bits = hex ? bits << 4 | (uint32_t)g_ascii_xdigit_value(c)
               : bits << 6 | value_of(c);
    group.end = (guint32)(pos + 1 - window->start);
    if (++n < chars)
      continue;
    if (!hex) {
      g_string_append_c(out, (char)(bits >> 16));
      g_string_append_c(out, (char)(bits >> 8));
    }
    g_string_append_c(out, (char)bits);
    g_array_append_val(groups, group);
    n = 0;
  }
  if (!hex && n >= 2) {
    bits <<= 6 * (4 - n);
    g_string_append_c(out, (char)(bits >> 16));
    if (n == 3)
      g_string_append_c(out, (char)(bits >> 8));
    g_array_append_val(groups, group);
  }
  /* Padding belongs to the last group. */
  if (groups->len > 0 && view_at(view, window->end - 1) == '=')
    g_array_index(groups, DecodeGroup, groups->len - 1).end =
        (guint32)(window->end - window->start);
  len = out->len - before;
  if (wide_halves((const uint8_t *)out->str + before, len, &map->offset)) {
    narrow(out, before, map->offset);
    map->stride = 2;
    return true;
  }
  map->offset = 0;
  return len > 0 &&
         count_bad((const uint8_t *)out->str + before, len) * BAD_SHARE <= len;
}
