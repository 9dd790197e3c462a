/* SPDX-License-Identifier: Apache-2.0 */
/* Folds invisible characters, other forms of ASCII and escapes of ASCII
 * characters; keeps where each came from. */
#include "inspect/normalise.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Backslashes before an escape: a quote in a string in a string … has 1, 3, 7,
 * 15. */
#define BACKSLASHES_MAX 16
/* Behind the end of a line and so much of others and blanks, what may be a
 * token or a name. */
#define INDENT_MAX 24
/* Shorter words are no tokens. */
#define WORD_MIN 10
/* "&lowbar;", "&#x0000041;" */
#define ENTITY_MAX 12
/* FoldStep counts in 16 bits. */
#define COUNT_MAX 0xffff

static const struct {
  const char *name;
  char is;
} entities[] = {
    {"amp", '&'},    {"lt", '<'},     {"gt", '>'},     {"quot", '"'},
    {"apos", '\''},  {"nbsp", ' '},   {"colon", ':'},  {"equals", '='},
    {"plus", '+'},   {"sol", '/'},    {"lowbar", '_'}, {"period", '.'},
    {"comma", ','},  {"commat", '@'}, {"num", '#'},    {"dollar", '$'},
    {"percnt", '%'}, {"ast", '*'},    {"excl", '!'},   {"quest", '?'},
    {"semi", ';'},   {"lpar", '('},   {"rpar", ')'},   {"lsqb", '['},
    {"rsqb", ']'},   {"lcub", '{'},   {"rcub", '}'},   {"bsol", '\\'},
    {"verbar", '|'}, {"hyphen", '-'}, {"Tab", '\t'},   {"NewLine", '\n'}};

/* ---- Characters -------------------------------------------------------- */

static bool
is_invisible(uint32_t c)
{
  return c == 0xad || c == 0x34f || c == 0x61c || c == 0x115f || c == 0x1160 ||
         (c >= 0x17b4 && c <= 0x17b5) || (c >= 0x180b && c <= 0x180f) ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || (c >= 0xfe00 && c <= 0xfe0f) ||
         c == 0xfeff || c == 0xffa0 || (c >= 0xfff9 && c <= 0xfffb) ||
         (c >= 0x1d173 && c <= 0x1d17a) || (c >= 0xe0000 && c <= 0xe0fff);
}

static bool
is_space(uint32_t c)
{
  return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Blocks that hold characters whose compatibility form is ASCII. */
static bool
may_be_ascii(uint32_t c)
{
  return (c >= 0xaa && c <= 0xba) || c == 0x132 || c == 0x133 || c == 0x17f ||
         (c >= 0x1c7 && c <= 0x1f3) || (c >= 0x2b0 && c <= 0x2e3) ||
         c == 0x37e || (c >= 0x1d2c && c <= 0x1d6a) || c == 0x1fef ||
         (c >= 0x2024 && c <= 0x2bff && c != 0x2025 && c != 0x2026) ||
         (c >= 0x2c7c && c <= 0x2c7d) || (c >= 0x3250 && c <= 0x33ff) ||
         (c >= 0xfb00 && c <= 0xfb29) || (c >= 0xfe10 && c <= 0xfe6b) ||
         (c >= 0x1d400 && c <= 0x1d7ff) || (c >= 0x1f100 && c <= 0x1f1ff) ||
         (c >= 0x1fbf0 && c <= 0x1fbf9);
}

static bool
fold_code(uint32_t c, Folded *folded)
{
  gunichar parts[G_UNICHAR_MAX_DECOMPOSITION_LENGTH];
  gsize n;

  folded->len = 0;
  if (c >= 0xff01 && c <= 0xff5e) {
    folded->out[folded->len++] = (char)(c - 0xfee0);
    return true;
  }
  if (is_invisible(c))
    return true;
  if (is_space(c)) {
    folded->out[folded->len++] = ' ';
    return true;
  }
  if (!may_be_ascii(c))
    return false;
  n = g_unichar_fully_decompose(c, TRUE, parts, G_N_ELEMENTS(parts));
  if (n > FOLD_OUT_MAX)
    return false;
  for (gsize i = 0; i < n; i++) {
    if (parts[i] < ' ' || parts[i] > '~')
      return false;
    folded->out[folded->len++] = (char)parts[i];
  }
  return true;
}

/* First bytes of characters that may fold. */
static bool
may_lead(uint8_t c)
{
  return c == 0xc2 || c == 0xc4 || c == 0xc5 || c == 0xc7 || c == 0xca ||
         c == 0xcb || c == 0xcd || c == 0xd8 || (c >= 0xe1 && c <= 0xe3) ||
         c == 0xed || c == 0xef || c == 0xf0 || c == 0xf3;
}

/* The character at text[0], WTF-8's halves as they are: its length, 0 when it
 * is none, -1 when the text ends inside. */
static int
read_char(const uint8_t *text, size_t len, uint32_t *code)
{
  const int size = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;

  *code = text[0] & (0xffU >> (size + 1));
  for (int i = 1; i < size; i++) {
    if ((size_t)i >= len)
      return -1;
    if ((text[i] & 0xc0) != 0x80)
      return 0;
    *code = *code << 6 | (text[i] & 0x3f);
  }
  return size;
}

static int
fold_char(const uint8_t *text, size_t len, bool final, Folded *folded)
{
  uint32_t code, low;
  int size, next;

  if (!may_lead(text[0]))
    return 0;
  size = read_char(text, len, &code);
  if (size < 0)
    return final ? 0 : -1;
  if (size == 0)
    return 0;
  if (code >= 0xd800 && code < 0xdc00) {
    if (len == 3)
      return final ? 0 : -1;
    next = text[3] == 0xed ? read_char(text + 3, len - 3, &low) : 0;
    if (next < 0)
      return final ? 0 : -1;
    if (next == 0 || low < 0xdc00 || low > 0xdfff)
      return 0;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    size = 6;
  }
  return fold_code(code, folded) ? size : 0;
}

/* ---- Escapes ----------------------------------------------------------- */

/* Digits at text[0..n): their value, -1 when one is none, -2 when the text
 * ends before. */
static int
hex_value(const char *text, size_t len, unsigned n)
{
  int value = 0;

  for (unsigned i = 0; i < n; i++) {
    if (i >= len)
      return -2;
    if (!g_ascii_isxdigit(text[i]))
      return -1;
    value = value << 4 | g_ascii_xdigit_value(text[i]);
  }
  return value;
}

/* A byte that an escape may stand for in a text. */
static bool
take_byte(unsigned byte, Folded *folded)
{
  folded->len = 1;
  folded->out[0] = (char)byte;
  return (byte >= ' ' && byte != 0x7f) || byte == '\t' || byte == '\n' ||
         byte == '\r';
}

static bool
take_code(uint32_t code, Folded *folded)
{
  if (code < 0x80)
    return take_byte(code, folded);
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
    return false;
  folded->len = (uint8_t)g_unichar_to_utf8(code, folded->out);
  return true;
}

static int
fold_percent(const char *text, size_t len, bool final, Folded *folded)
{
  const int value = hex_value(text + 1, len - 1, 2);

  if (value == -2)
    return final ? 0 : -1;
  return value >= 0 && take_byte((unsigned)value, folded) ? 3 : 0;
}

static size_t
backslashes(const char *text, size_t len)
{
  size_t n = 0;

  while (n < len && n <= BACKSLASHES_MAX && text[n] == '\\')
    n++;
  return n;
}

static int
fold_backslash(const char *text, size_t len, bool final, Folded *folded)
{
  const size_t n = backslashes(text, len);
  const int open = final ? 0 : -1;
  size_t next;
  int high, low;

  if (n > BACKSLASHES_MAX)
    return 0;
  if (n == len)
    return open;
  if (text[n] == 'x') {
    high = hex_value(text + n + 1, len - n - 1, 2);
    if (high == -2)
      return open;
    return high >= 0 && take_byte((unsigned)high, folded) ? (int)n + 3 : 0;
  }
  if (text[n] != 'u')
    return 0;
  high = hex_value(text + n + 1, len - n - 1, 4);
  if (high == -2)
    return open;
  if (high < 0xd800 || high >= 0xdc00)
    return high >= 0 && take_code((uint32_t)high, folded) ? (int)n + 5 : 0;
  next = n + 5;
  for (size_t i = 0; i < n; i++, next++) {
    if (next == len)
      return open;
    if (text[next] != '\\')
      return 0;
  }
  if (next == len)
    return open;
  if (text[next] != 'u')
    return 0;
  low = hex_value(text + next + 1, len - next - 1, 4);
  if (low == -2)
    return open;
  if (low < 0xdc00 || low > 0xdfff)
    return 0;
  take_code(0x10000 + (((uint32_t)high - 0xd800) << 10) +
                ((uint32_t)low - 0xdc00),
            folded);
  return (int)next + 5;
}

static bool
read_entity(const char *name, size_t len, Folded *folded)
{
  uint32_t code = 0;
  const bool hex = len > 2 && name[0] == '#' && (name[1] | 0x20) == 'x';

  if (name[0] == '#') {
    for (size_t i = hex ? 2 : 1; i < len; i++)
      code = code * (hex ? 16 : 10) + (uint32_t)g_ascii_xdigit_value(name[i]);
    return len > 1 && take_code(code, folded);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(entities); i++)
    if (strlen(entities[i].name) == len &&
        memcmp(entities[i].name, name, len) == 0)
      return take_byte((unsigned char)entities[i].is, folded);
  return false;
}

static int
fold_entity(const char *text, size_t len, bool final, Folded *folded)
{
  const size_t stop = MIN(len, (size_t)ENTITY_MAX);
  bool hex = false;

  for (size_t i = 1; i < stop; i++) {
    const char c = text[i];

    if (c == ';')
      return i > 1 && read_entity(text + 1, i - 1, folded) ? (int)i + 1 : 0;
    if (i == 1 && c == '#')
      continue;
    if (i == 2 && text[1] == '#' && (c == 'x' || c == 'X')) {
      hex = true;
      continue;
    }
    if (text[1] == '#' ? !(hex ? g_ascii_isxdigit(c) : g_ascii_isdigit(c))
                       : !g_ascii_isalpha(c))
      return 0;
  }
  return final || len >= ENTITY_MAX ? 0 : -1;
}

/* ---- Short escapes ----------------------------------------------------- */

/* What stands behind the quote that ends a string in JSON, but not at once
 * behind one that ends a literal of a program; as begins_something(). */
static int
ends_string(const char *text, size_t len)
{
  bool comma = false;

  for (size_t at = 0; at < len && at < INDENT_MAX; at++) {
    const char c = text[at];

    if (c == '}' || c == ']' || (comma && c == '"'))
      return 1;
    if (c == ',' && !comma)
      comma = true;
    else if (!g_ascii_isspace(c))
      return 0;
  }
  return len < INDENT_MAX ? -1 : 0;
}

/* What stands behind an escaped end of a line, and behind more of them and
 * blanks: a word, what a value or an option begins with, or the end of a string
 * in JSON. 1: yes, 0: no, -1: what follows decides. */
static int
begins_something(const char *text, size_t len)
{
  size_t at = 0, n;

  for (; at < len && at < INDENT_MAX; at += n + 1) {
    n = text[at] == '\\' ? backslashes(text + at, len - at) : 0;
    if (at + n == len)
      return -1;
    if (n == 0 ? text[at] != ' '
               : text[at + n] == '\0' || strchr("nrt", text[at + n]) == NULL)
      break;
  }
  if (at >= len)
    return at < INDENT_MAX ? -1 : 0;
  if (text[at] == '"')
    return ends_string(text + at + 1, len - at - 1);
  return g_ascii_isalnum(text[at]) ||
         (text[at] != '\0' && strchr("_$<-+*./#@[{", text[at]) != NULL);
}

/* What may be a token: behind \b and \f, which regular expressions have before
 * every word. As begins_something(). */
static int
begins_token(const char *text, size_t len)
{
  for (size_t at = 0; at < WORD_MIN; at++) {
    if (at == len)
      return -1;
    if (!g_ascii_isalnum(text[at]) &&
        (text[at] == '\0' || strchr("_-+/=.", text[at]) == NULL))
      return 0;
  }
  return 1;
}

/* `near`: it folds, likely or not. */
static int
fold_short(const char *text, size_t len, bool final, bool near, Folded *folded)
{
  static const char from[] = "nbfrt\"'/", to[] = "\n\n\n\r\t\"'/";
  const size_t n = backslashes(text, len);
  const char *letter;
  int likely = 1;

  if (n > BACKSLASHES_MAX)
    return 0;
  if (n == len)
    return final ? 0 : -1;
  letter = text[n] != '\0' ? strchr(from, text[n]) : NULL;
  if (letter == NULL)
    return 0;
  folded->len = 1;
  folded->out[0] = to[letter - from];
  if (!near && (*letter == 'b' || *letter == 'f'))
    likely = begins_token(text + n + 1, len - n - 1);
  else if (!near && g_ascii_isalpha(*letter))
    likely = begins_something(text + n + 1, len - n - 1);
  else if (!near)
    likely = *letter != '\'';
  if (likely < 0)
    return final ? 0 : -1;
  return likely ? (int)n + 1 : 0;
}

/* ---- Texts ------------------------------------------------------------- */

int
fold_at(const char *text, size_t len, bool final, Folded *folded)
{
  switch (text[0]) {
  case '%':
    return fold_percent(text, len, final, folded);
  case '\\':
    return fold_backslash(text, len, final, folded);
  case '&':
    return fold_entity(text, len, final, folded);
  default:
    return (uint8_t)text[0] < 0xc2
               ? 0
               : fold_char((const uint8_t *)text, len, final, folded);
  }
}

static int
fold_any(const char *text, size_t len, bool final, bool near, Folded *folded)
{
  const int size = fold_at(text, len, final, folded);

  return size == 0 && text[0] == '\\'
             ? fold_short(text, len, final, near, folded)
             : size;
}

static inline bool
may_begin(char c)
{
  return (uint8_t)c >= 0x80 || c == '%' || c == '\\' || c == '&';
}

/* The first byte at or after `at` that something may begin with. */
static size_t
skip_plain(const char *text, size_t at, size_t len)
{
#ifdef __SSE2__
  const __m128i percent = _mm_set1_epi8('%');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i ampersand = _mm_set1_epi8('&');

  for (; at + 16 <= len; at += 16) {
    const __m128i bytes =
        _mm_loadu_si128((const __m128i *)(const void *)(text + at));
    const __m128i found =
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, percent),
                                  _mm_cmpeq_epi8(bytes, backslash)),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, ampersand), bytes));
    const unsigned bits = (unsigned)_mm_movemask_epi8(found);

    if (bits != 0)
      return at + (unsigned)__builtin_ctz(bits);
  }
#endif
  while (at < len && !may_begin(text[at]))
    at++;
  return at;
}

/* Behind a character, or a byte, that does not fold. */
static size_t
skip_char(const char *text, size_t at, size_t len)
{
  at++;
  while (at < len && ((uint8_t)text[at] & 0xc0) == 0x80)
    at++;
  return at;
}

size_t
fold_find(const char *text, size_t len, bool final, bool *folds)
{
  Folded folded;

  if (folds != NULL)
    *folds = false;
  for (size_t at = 0; (at = skip_plain(text, at, len)) < len;
       at = skip_char(text, at, len)) {
    const int size = fold_any(text + at, len - at, final, false, &folded);

    if (size != 0 && folds != NULL)
      *folds = size > 0;
    if (size != 0)
      return at;
  }
  return len;
}

static void
add_step(GArray *steps, size_t folded, size_t orig, unsigned out, unsigned in)
{
  FoldStep *last =
      steps->len > 0 ? &g_array_index(steps, FoldStep, steps->len - 1) : NULL;
  FoldStep step = {.folded = folded,
                   .count = 1,
                   .orig = orig,
                   .n_folded = out & 0xff,
                   .n_orig = in & 0xff};

  if (last != NULL && last->n_folded == out && last->n_orig == in &&
      last->count < COUNT_MAX &&
      last->folded + last->count * last->n_folded == folded &&
      last->orig + last->count * last->n_orig == orig)
    last->count++;
  else
    g_array_append_val(steps, step);
}

size_t
fold_append(const char *text,
            size_t len,
            bool final,
            size_t orig,
            size_t folded,
            size_t *near,
            GString *out,
            GArray *steps)
{
  const size_t before = out->len;
  size_t at = 0, done = 0;

  while ((at = skip_plain(text, at, len)) < len) {
    Folded now;
    const int size =
        fold_any(text + at, len - at, final, orig + at < *near, &now);

    if (size == 0) {
      at = skip_char(text, at, len);
      continue;
    }
    g_string_append_len(out, text + done, (gssize)(at - done));
    done = at;
    if (size < 0)
      return at;
    add_step(steps,
             folded + (out->len - before),
             orig + at,
             now.len,
             (unsigned)size);
    g_string_append_len(out, now.out, now.len);
    at += (unsigned)size;
    done = at;
    *near = orig + at + FOLD_REACH;
  }
  g_string_append_len(out, text + done, (gssize)(len - done));
  return len;
}

/* The last step that begins at or before `pos`, or NULL. */
static const FoldStep *
step_at(const GArray *steps, size_t pos)
{
  guint low = 0, high = steps->len;

  while (low < high) {
    const guint middle = low + (high - low) / 2;

    if (g_array_index(steps, FoldStep, middle).folded <= pos)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 ? &g_array_index(steps, FoldStep, low - 1) : NULL;
}

size_t
fold_start(const GArray *steps, size_t pos)
{
  const FoldStep *step = step_at(steps, pos);
  size_t into;

  if (step == NULL)
    return pos;
  into = pos - step->folded;
  if (into < (size_t)step->count * step->n_folded)
    return step->orig + into / step->n_folded * step->n_orig;
  return step->orig + (size_t)step->count * step->n_orig +
         (into - (size_t)step->count * step->n_folded);
}

size_t
fold_end(const GArray *steps, size_t pos)
{
  const FoldStep *step = pos > 0 ? step_at(steps, pos - 1) : NULL;
  size_t into;

  if (step == NULL)
    return pos;
  into = pos - 1 - step->folded;
  if (into < (size_t)step->count * step->n_folded)
    return step->orig + (into / step->n_folded + 1) * step->n_orig;
  return step->orig + (size_t)step->count * step->n_orig +
         (into - (size_t)step->count * step->n_folded) + 1;
}
