/* SPDX-License-Identifier: Apache-2.0 */
/* Words are cut as FTS5's unicode61 tokenizer cuts them (letters and digits,
 * case and accents put aside), so that what the index found is found again. */
#include "journal/terms.h"

#include <string.h>

/* Of a search. */
#define MAX_TERMS 64
/* Marks of one text; a snippet shows few. */
#define MAX_MARKS 1000
/* Bytes of text before the first hit in a snippet, and of all of it. */
#define LEAD 60
#define SNIPPET 200

typedef struct {
  GPtrArray *words; /* folded, one after the other */
  bool prefix;      /* the last word is only a beginning */
  bool without;
} Term;

struct terms {
  GPtrArray *list; /* Term */
};

/* ---- Words --------------------------------------------------------------- */

static bool
in_word(gunichar c)
{
  switch ((int)g_unichar_type(c)) {
  case G_UNICODE_LOWERCASE_LETTER:
  case G_UNICODE_MODIFIER_LETTER:
  case G_UNICODE_OTHER_LETTER:
  case G_UNICODE_TITLECASE_LETTER:
  case G_UNICODE_UPPERCASE_LETTER:
  case G_UNICODE_DECIMAL_NUMBER:
  case G_UNICODE_LETTER_NUMBER:
  case G_UNICODE_OTHER_NUMBER:
  case G_UNICODE_PRIVATE_USE:
  case G_UNICODE_NON_SPACING_MARK:
    return true;
  default:
    return false;
  }
}

static gunichar
folded(gunichar c)
{
  gunichar parts[G_UNICHAR_MAX_DECOMPOSITION_LENGTH];

  if (c < 0x80)
    return (gunichar)g_ascii_tolower((char)c);
  g_unichar_fully_decompose(c, FALSE, parts, G_N_ELEMENTS(parts));
  return g_unichar_tolower(parts[0]);
}

/* The next word from *at on: its place, and itself into `word`. */
static bool
next_word(const char *text,
          size_t len,
          size_t *at,
          TermMark *mark,
          GString *word)
{
  const char *p = text + *at, *end = text + len;

  while (p < end && !in_word(g_utf8_get_char(p)))
    p = g_utf8_next_char(p);
  mark->start = (unsigned)(p - text);
  g_string_truncate(word, 0);
  for (; p < end && in_word(g_utf8_get_char(p)); p = g_utf8_next_char(p)) {
    gunichar c = g_utf8_get_char(p);

    if (!g_unichar_ismark(c))
      g_string_append_unichar(word, folded(c));
  }
  mark->end = (unsigned)(p - text);
  *at = mark->end;
  return mark->end > mark->start;
}

/* ---- Parsing ------------------------------------------------------------- */

static void
term_free(gpointer data)
{
  Term *term = data;

  g_ptr_array_unref(term->words);
  g_free(term);
}

static void
add_term(Terms *terms, const char *text, size_t len, bool prefix, bool without)
{
  g_autoptr(GString) word = g_string_new(NULL);
  Term *term;
  TermMark mark;
  size_t at = 0;

  if (terms->list->len >= MAX_TERMS)
    return;
  term = g_new0(Term, 1);
  term->words = g_ptr_array_new_with_free_func(g_free);
  term->prefix = prefix;
  term->without = without;
  while (next_word(text, len, &at, &mark, word))
    if (word->len)
      g_ptr_array_add(term->words, g_strdup(word->str));
  if (term->words->len)
    g_ptr_array_add(terms->list, term);
  else
    term_free(term);
}

/* One term of the search; returns what stands behind it. */
static const char *
parse_term(Terms *terms, const char *p)
{
  bool without = *p == '-';
  const char *end;
  bool quoted;

  p += without;
  quoted = *p == '"';
  if (quoted) {
    end = strchr(++p, '"');
    end = end ? end : p + strlen(p);
  } else {
    end = p + strcspn(p, " \t\n");
  }
  if (quoted)
    add_term(terms, p, (size_t)(end - p), *end && end[1] == '*', without);
  else
    add_term(terms, p, (size_t)(end - p), end > p && end[-1] == '*', without);
  if (quoted && *end)
    end++;
  return quoted && *end == '*' ? end + 1 : end;
}

Terms *
terms_parse(const char *text)
{
  g_autoptr(Terms) terms = g_new0(Terms, 1);
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  const char *p = valid;
  bool wanted = false;

  terms->list = g_ptr_array_new_with_free_func(term_free);
  while (*p) {
    p += strspn(p, " \t\n");
    if (*p)
      p = parse_term(terms, p);
  }
  for (unsigned i = 0; i < terms->list->len; i++)
    wanted = wanted || !((const Term *)terms->list->pdata[i])->without;
  return wanted ? g_steal_pointer(&terms) : NULL;
}

void
terms_free(Terms *terms)
{
  if (!terms)
    return;
  g_ptr_array_unref(terms->list);
  g_free(terms);
}

/* Words hold letters and digits only: quotes are enough. */
static void
express(const Term *term, GString *out)
{
  g_string_append_c(out, '"');
  for (unsigned i = 0; i < term->words->len; i++)
    g_string_append_printf(
        out, "%s%s", i ? " " : "", (const char *)term->words->pdata[i]);
  g_string_append(out, term->prefix ? "\" *" : "\"");
}

void
terms_expression(const Terms *terms, GString *out)
{
  bool any = false;

  g_string_append(out, "((");
  for (int without = 0; without < 2; without++) {
    for (unsigned i = 0; i < terms->list->len; i++) {
      const Term *term = terms->list->pdata[i];

      if (term->without != (without == 1))
        continue;
      g_string_append(out, without ? " NOT " : any ? " AND " : "");
      g_string_append(out, "text : ");
      express(term, out);
      any = true;
    }
    g_string_append_c(out, ')');
  }
}

/* ---- Finding ------------------------------------------------------------- */

/* How far each term has got in the words that were read last. */
typedef struct {
  const Terms *terms;
  GPtrArray *recent; /* the last words */
  GArray *places;    /* and where they stand */
  unsigned longest;
  bool *found;
} Finder;

static bool
ends_here(const Finder *finder, const Term *term)
{
  unsigned n = term->words->len;

  if (n > finder->recent->len)
    return false;
  for (unsigned i = 0; i < n; i++) {
    const char *word = finder->recent->pdata[finder->recent->len - n + i];
    const char *wanted = term->words->pdata[i];

    if (i + 1 == n && term->prefix ? !g_str_has_prefix(word, wanted)
                                   : !g_str_equal(word, wanted))
      return false;
  }
  return true;
}

static void
look(Finder *finder, GArray *marks)
{
  const GPtrArray *list = finder->terms->list;

  for (unsigned i = 0; i < list->len; i++) {
    const Term *term = list->pdata[i];
    TermMark mark;

    if (!ends_here(finder, term))
      continue;
    finder->found[i] = true;
    if (!marks || term->without || marks->len >= MAX_MARKS)
      continue;
    mark.start = g_array_index(finder->places,
                               TermMark,
                               finder->places->len - term->words->len)
                     .start;
    mark.end =
        g_array_index(finder->places, TermMark, finder->places->len - 1).end;
    g_array_append_val(marks, mark);
  }
}

static void
read_words(Finder *finder, const char *text, size_t len, GArray *marks)
{
  g_autoptr(GString) word = g_string_new(NULL);
  TermMark mark;
  size_t at = 0;

  while (next_word(text, len, &at, &mark, word)) {
    if (finder->recent->len > finder->longest) {
      g_ptr_array_remove_index(finder->recent, 0);
      g_array_remove_index(finder->places, 0);
    }
    g_ptr_array_add(finder->recent, g_strdup(word->str));
    g_array_append_val(finder->places, mark);
    look(finder, marks);
  }
}

static bool
find(const Terms *terms, const char *text, size_t len, GArray *marks)
{
  g_autoptr(GPtrArray) recent = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(TermMark));
  g_autofree bool *found = g_new0(bool, terms->list->len);
  Finder finder = {
      .terms = terms, .recent = recent, .places = places, .found = found};
  bool all = true;

  for (unsigned i = 0; i < terms->list->len; i++)
    finder.longest =
        MAX(finder.longest, ((const Term *)terms->list->pdata[i])->words->len);
  read_words(&finder, text, len, marks);
  for (unsigned i = 0; i < terms->list->len; i++)
    all = all && found[i] != ((const Term *)terms->list->pdata[i])->without;
  return all;
}

bool
terms_match(const Terms *terms, const char *text, size_t len)
{
  return find(terms, text, len, NULL);
}

GArray *
terms_marks(const Terms *terms, const char *text, size_t len)
{
  GArray *marks = g_array_new(FALSE, FALSE, sizeof(TermMark));

  find(terms, text, len, marks);
  return marks;
}

/* ---- Snippets ------------------------------------------------------------ */

static size_t
back_to_char(const char *text, size_t at)
{
  while (at && ((guchar)text[at] & 0xc0) == 0x80)
    at--;
  return at;
}

/* A word is not cut where a blank is near. */
static size_t
begin_at(const char *text, size_t first)
{
  size_t at = first > LEAD ? back_to_char(text, first - LEAD) : 0;

  for (size_t i = at; at && i < first && i < at + LEAD / 3; i++)
    if (text[i] == ' ' || text[i] == '\n')
      return i + 1;
  return at;
}

char *
terms_snippet(const char *text, size_t len, const GArray *marks, GArray *inside)
{
  GString *out = g_string_new(NULL);
  size_t first = marks->len ? g_array_index(marks, TermMark, 0).start : 0;
  size_t at = begin_at(text, first), end = MIN(len, at + SNIPPET);
  unsigned next = 0;

  end = end < len ? back_to_char(text, end) : end;
  if (at)
    g_string_append(out, "…");
  while (at < end) {
    const TermMark *mark =
        next < marks->len ? &g_array_index(marks, TermMark, next) : NULL;
    gunichar c = g_utf8_get_char(text + at);
    size_t step = (size_t)(g_utf8_next_char(text + at) - (text + at));

    if (mark && mark->start < at) {
      next++;
      continue;
    }
    if (mark && mark->start == at && mark->end <= end) {
      TermMark moved = {(unsigned)out->len,
                        (unsigned)out->len + mark->end - mark->start};

      g_string_append_len(out, text + at, (gssize)(mark->end - mark->start));
      g_array_append_val(inside, moved);
      at = mark->end;
      continue;
    }
    if (!g_unichar_isspace(c) && !g_unichar_iscntrl(c))
      g_string_append_len(out, text + at, (gssize)step);
    else if (out->len && out->str[out->len - 1] != ' ')
      g_string_append_c(out, ' ');
    at += step;
  }
  if (end < len)
    g_string_append(out, "…");
  return g_strchomp(g_string_free(out, FALSE));
}
