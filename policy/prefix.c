/* SPDX-License-Identifier: Apache-2.0 */
/* Reads from a regex what its matches begin with, and finds that in a text,
 * sixteen places at a time where the processor can. */
#include "policy/prefix.h"

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <tmmintrin.h>
#endif

/* Bytes that are looked at. With fewer certain ones too many places are left
 * to be worth it. */
#define PREFIX_MAX 4
#define PREFIX_MIN 3
/* Beginnings of one regex; more share the buckets below. */
#define SET_MAX 64
#define MAX_DEPTH 16
#define BUCKETS 8

/* Lower case; open: what follows in the regex may be appended. */
typedef struct {
  uint8_t len;
  bool open;
  char text[PREFIX_MAX];
} Prefix;

typedef struct {
  unsigned n;
  Prefix at[SET_MAX];
} PrefixSet;

/* The bits of a byte at a place are those of the buckets that have it there. */
struct prefix_finder {
  unsigned len;
  PrefixSet set;
  uint8_t bits[PREFIX_MAX][256];
  uint8_t low[PREFIX_MAX][16], high[PREFIX_MAX][16]; /* by half a byte */
};

/* ---- Sets --------------------------------------------------------------- */

/* Nothing is known (closed) or nothing was read yet (open). */
static void
set_empty(PrefixSet *set, bool open)
{
  set->n = 1;
  set->at[0] = (Prefix){.open = open};
}

static void
set_close(PrefixSet *set)
{
  for (unsigned i = 0; i < set->n; i++)
    set->at[i].open = false;
}

static bool
set_add(PrefixSet *set, const Prefix *prefix)
{
  for (unsigned i = 0; i < set->n; i++)
    if (set->at[i].len == prefix->len && set->at[i].open == prefix->open &&
        memcmp(set->at[i].text, prefix->text, prefix->len) == 0)
      return true;
  if (set->n == SET_MAX)
    return false;
  set->at[set->n++] = *prefix;
  return true;
}

static unsigned
set_shortest(const PrefixSet *set)
{
  unsigned shortest = PREFIX_MAX;

  for (unsigned i = 0; i < set->n; i++)
    shortest = MIN(shortest, set->at[i].len);
  return shortest;
}

/* Either of both. */
static void
set_unite(PrefixSet *set, const PrefixSet *other)
{
  bool room = true;

  for (unsigned i = 0; room && i < other->n; i++)
    room = set_add(set, &other->at[i]);
  if (!room)
    set_empty(set, false);
}

/* One after the other. */
static void
set_append(PrefixSet *set, const PrefixSet *next)
{
  PrefixSet joined = {0};
  bool room = true;

  for (unsigned i = 0; room && i < set->n; i++) {
    if (!set->at[i].open)
      room = set_add(&joined, &set->at[i]);
    for (unsigned j = 0; room && set->at[i].open && j < next->n; j++) {
      Prefix both = set->at[i];
      const unsigned more = MIN(next->at[j].len, PREFIX_MAX - both.len);

      memcpy(both.text + both.len, next->at[j].text, more);
      both.len = (uint8_t)(both.len + more);
      both.open = next->at[j].open && both.len < PREFIX_MAX;
      room = set_add(&joined, &both);
    }
  }
  if (room)
    *set = joined;
  else
    set_close(set);
}

/* ---- Reading ------------------------------------------------------------ */

typedef struct {
  const char *p;
  bool extended; /* blanks and comments mean nothing */
  bool good;
} Reader;

typedef enum { ITEM_TEXT, ITEM_AHEAD, ITEM_NOTHING } ItemKind;
typedef enum { ONCE, OFTEN, MAYBE } Times;

static void read_alternatives(Reader *reader, PrefixSet *out, unsigned depth);

static void
skip_blanks(Reader *reader)
{
  while (reader->extended && *reader->p != '\0') {
    if (g_ascii_isspace(*reader->p))
      reader->p++;
    else if (*reader->p == '#')
      reader->p += strcspn(reader->p, "\n");
    else
      break;
  }
}

/* The last byte of "[:alpha:]" at p, or p. */
static const char *
skip_name(const char *p)
{
  const char *end = p;

  if (p[0] != '[' || p[1] != ':')
    return p;
  end += 2 + (p[2] == '^');
  end += strspn(end, "abcdefghijklmnopqrstuvwxyz");
  return end[0] == ':' && end[1] == ']' ? end + 1 : p;
}

static void
skip_class(Reader *reader)
{
  const char *p = reader->p + 1;

  p += *p == '^';
  p += *p == ']';
  while (*p != '\0' && *p != ']') {
    p = skip_name(p);
    if (*p == '\\' && p[1] != '\0')
      p++;
    p++;
  }
  reader->good = reader->good && *p == ']';
  reader->p = p + (*p != '\0');
}

static Times
read_braces(Reader *reader)
{
  const char *p = reader->p + 1;
  const bool least = g_ascii_isdigit(*p) && strtoul(p, NULL, 10) > 0;

  p += strspn(p, "0123456789,");
  reader->good = reader->good && *p == '}' && p > reader->p + 1;
  reader->p = p + (*p != '\0');
  return least ? OFTEN : MAYBE;
}

static Times
read_times(Reader *reader)
{
  Times times = MAYBE;

  skip_blanks(reader);
  switch (*reader->p) {
  case '?':
  case '*':
    reader->p++;
    break;
  case '+':
    times = OFTEN;
    reader->p++;
    break;
  case '{':
    times = read_braces(reader);
    break;
  default:
    return ONCE;
  }
  if (*reader->p == '?' || *reader->p == '+')
    reader->p++;
  return times;
}

/* With the two letters that PCRE2 takes for ASCII ones in any case. */
static void
set_letter(PrefixSet *set, char letter)
{
  const char *other = letter == 's'   ? "\xc5\xbf"
                      : letter == 'k' ? "\xe2\x84\xaa"
                                      : NULL;

  set->n = 1;
  set->at[0] = (Prefix){.len = 1, .open = true, .text = {letter}};
  if (other != NULL) {
    set->at[1] = (Prefix){.len = (uint8_t)strlen(other), .open = true};
    memcpy(set->at[1].text, other, strlen(other));
    set->n = 2;
  }
}

static ItemKind
read_group(Reader *reader, PrefixSet *out, unsigned depth)
{
  static const struct {
    const char *start;
    ItemKind kind;
  } starts[] = {{"(?:", ITEM_TEXT},
                {"(?>", ITEM_TEXT},
                {"(?=", ITEM_AHEAD},
                {"(?!", ITEM_NOTHING},
                {"(?<=", ITEM_NOTHING},
                {"(?<!", ITEM_NOTHING}};
  ItemKind kind = ITEM_TEXT;
  size_t len = reader->p[1] == '?' ? 0 : 1;

  for (unsigned i = 0; len == 0 && i < G_N_ELEMENTS(starts); i++)
    if (g_str_has_prefix(reader->p, starts[i].start)) {
      len = strlen(starts[i].start);
      kind = starts[i].kind;
    }
  if (len == 0 && (g_str_has_prefix(reader->p, "(?<") ||
                   g_str_has_prefix(reader->p, "(?P<")))
    len = strcspn(reader->p, ">") + 1;
  if (len == 0 || len > strlen(reader->p)) {
    reader->good = false;
    return kind;
  }
  reader->p += len;
  read_alternatives(reader, out, depth + 1);
  reader->good = reader->good && *reader->p == ')';
  reader->p += *reader->p != '\0';
  return kind;
}

static ItemKind
read_escape(Reader *reader, PrefixSet *out)
{
  const char c = reader->p[1];

  reader->p += c == '\0' ? 1 : 2;
  if (g_ascii_ispunct(c))
    set_letter(out, c);
  /* A text in quotes, a control character that may be a bracket, and the place
   * where the search began. */
  else if (c == '\0' || strchr("QEcG", c) != NULL)
    reader->good = false;
  else if (strchr("bBAzZ", c) != NULL)
    return ITEM_NOTHING;
  return ITEM_TEXT;
}

static ItemKind
read_item(Reader *reader, PrefixSet *out, unsigned depth)
{
  const char c = *reader->p;

  set_empty(out, false);
  switch (c) {
  case '(':
    return read_group(reader, out, depth);
  case '[':
    skip_class(reader);
    return ITEM_TEXT;
  case '\\':
    return read_escape(reader, out);
  case '^':
  case '$':
    reader->p++;
    return ITEM_NOTHING;
  case '*':
  case '+':
  case '?':
  case '{':
    reader->good = false;
    return ITEM_NOTHING;
  default:
    reader->p++;
    if (c != '.' && g_ascii_isprint(c))
      set_letter(out, g_ascii_tolower(c));
    return ITEM_TEXT;
  }
}

static void
read_sequence(Reader *reader, PrefixSet *out, unsigned depth)
{
  PrefixSet ahead, item;

  set_empty(out, true);
  set_empty(&ahead, false);
  while (reader->good) {
    ItemKind kind;
    Times times;

    skip_blanks(reader);
    if (*reader->p == '\0' || *reader->p == '|' || *reader->p == ')')
      break;
    kind = read_item(reader, &item, depth);
    times = read_times(reader);
    if (kind == ITEM_TEXT && times != MAYBE)
      set_append(out, &item);
    if (kind == ITEM_TEXT && times != ONCE)
      set_close(out);
    if (kind == ITEM_AHEAD && times == ONCE && out->n == 1 &&
        out->at[0].len == 0 && out->at[0].open &&
        set_shortest(&item) > set_shortest(&ahead))
      ahead = item;
  }
  if (set_shortest(&ahead) > set_shortest(out)) {
    *out = ahead;
    set_close(out);
  }
}

static void
read_alternatives(Reader *reader, PrefixSet *out, unsigned depth)
{
  PrefixSet one;

  reader->good = reader->good && depth < MAX_DEPTH;
  if (!reader->good) {
    set_empty(out, false);
    return;
  }
  read_sequence(reader, out, depth);
  while (reader->good && *reader->p == '|') {
    reader->p++;
    read_sequence(reader, &one, depth);
    set_unite(out, &one);
  }
}

/* Flags for the whole regex. Two x, which change classes, are left to be
 * refused. */
static void
read_flags(Reader *reader)
{
  while (reader->p[0] == '(' && reader->p[1] == '?') {
    const size_t len = strspn(reader->p + 2, "imsx");

    if (len == 0 || reader->p[2 + len] != ')' ||
        g_strstr_len(reader->p + 2, (gssize)len, "xx") != NULL)
      return;
    if (memchr(reader->p + 2, 'x', len) != NULL)
      reader->extended = true;
    reader->p += len + 3;
  }
}

/* ---- Finding ------------------------------------------------------------ */

static void
add_byte(PrefixFinder *finder, unsigned place, unsigned char c, uint8_t bit)
{
  finder->bits[place][c] |= bit;
  finder->low[place][c & 15] |= bit;
  finder->high[place][c >> 4] |= bit;
}

static void
fill_tables(PrefixFinder *finder)
{
  for (unsigned i = 0; i < finder->set.n; i++)
    for (unsigned place = 0; place < finder->len; place++) {
      const char c = finder->set.at[i].text[place];
      const uint8_t bit = (uint8_t)(1U << i % BUCKETS);

      add_byte(finder, place, (unsigned char)c, bit);
      add_byte(finder, place, (unsigned char)g_ascii_toupper(c), bit);
    }
}

PrefixFinder *
prefix_finder_new(const char *source)
{
  g_autoptr(PrefixFinder) finder = g_new0(PrefixFinder, 1);
  Reader reader = {.p = source, .good = strstr(source, "(*") == NULL};

  read_flags(&reader);
  read_alternatives(&reader, &finder->set, 0);
  if (!reader.good || *reader.p != '\0' ||
      set_shortest(&finder->set) < PREFIX_MIN)
    return NULL;
  finder->len = set_shortest(&finder->set);
  fill_tables(finder);
  return g_steal_pointer(&finder);
}

void
prefix_finder_free(PrefixFinder *finder)
{
  g_free(finder);
}

#if defined(__x86_64__)
/* The first of all places up to `last` that have a bucket in common in all
 * their bytes, or one after them: sixteen places in one go. */
__attribute__((target("ssse3"))) static size_t
find_wide(const PrefixFinder *finder,
          const char *text,
          size_t from,
          size_t last)
{
  const __m128i half = _mm_set1_epi8(15);

  for (; from + 16 <= last + 1; from += 16) {
    __m128i common = _mm_set1_epi8(-1);
    unsigned some;

    for (unsigned place = 0; place < finder->len; place++) {
      const __m128i bytes =
          _mm_loadu_si128((const __m128i *)(const void *)(text + from + place));
      const __m128i low =
          _mm_loadu_si128((const __m128i *)(const void *)finder->low[place]);
      const __m128i high =
          _mm_loadu_si128((const __m128i *)(const void *)finder->high[place]);

      common = _mm_and_si128(
          common,
          _mm_and_si128(
              _mm_shuffle_epi8(low, _mm_and_si128(bytes, half)),
              _mm_shuffle_epi8(high,
                               _mm_and_si128(_mm_srli_epi16(bytes, 4), half))));
    }
    some = ~(unsigned)_mm_movemask_epi8(
               _mm_cmpeq_epi8(common, _mm_setzero_si128())) &
           0xffff;
    if (some != 0)
      return from + (unsigned)__builtin_ctz(some);
  }
  return from;
}
#endif

static bool
begins(const PrefixFinder *finder, const char *text)
{
  for (unsigned i = 0; i < finder->set.n; i++)
    if (g_ascii_strncasecmp(text, finder->set.at[i].text, finder->len) == 0)
      return true;
  return false;
}

size_t
prefix_find(const PrefixFinder *finder,
            const char *text,
            size_t len,
            size_t from)
{
  for (; from + finder->len <= len; from++) {
    uint8_t common = 0xff;

#if defined(__x86_64__)
    if (__builtin_cpu_supports("ssse3"))
      from = find_wide(finder, text, from, len - finder->len);
    if (from + finder->len > len)
      break;
#endif
    for (unsigned place = 0; place < finder->len; place++)
      common &= finder->bits[place][(unsigned char)text[from + place]];
    if (common != 0 && begins(finder, text + from))
      return from;
  }
  return len;
}
