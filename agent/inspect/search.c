/* SPDX-License-Identifier: Apache-2.0 */
/* What libhs looks for of a token rule: not its whole regex, but less that no
 * match of it goes without, and that keeps fewer engines busy. */
#include "inspect/detector.h"

#include <string.h>

/* Characters in a row that do not stand there by chance. */
#define LITERAL_MIN 3
/* Of a regex in which no two characters are certain so many of its first ones
 * are looked for: all such rules together make one small engine. */
#define BARE_MIN 12
#define BARE_MORE 12U
#define BARE_HEAD 24U
/* With more single characters between (a UUID) it is no bare row. */
#define BARE_MARKS 2
/* Groups inside one another that are looked into. */
#define MAX_DEPTH 8

static const char *
skip_class(const char *p)
{
  p++;
  if (*p == '^')
    p++;
  if (*p == ']')
    p++;
  while (*p != '\0' && *p != ']') {
    if (*p == '\\' && p[1] != '\0')
      p++;
    else if (*p == '[' && p[1] == ':' && strstr(p, ":]") != NULL)
      p = strstr(p, ":]") + 1;
    p++;
  }
  return *p == ']' ? p + 1 : p;
}

size_t
regex_options(const char *regex)
{
  size_t len = 0;

  while (regex[len] == '(' && regex[len + 1] == '?') {
    const size_t letters = strspn(regex + len + 2, "imsx-");

    if (letters == 0 || regex[len + 2 + letters] != ')')
      break;
    len += letters + 3;
  }
  return len;
}

bool
regex_has_literal(const char *regex)
{
  unsigned run = 0;

  for (const char *p = regex; *p != '\0';) {
    if (*p == '[') {
      p = skip_class(p);
      run = 0;
      continue;
    }
    if (*p == '\\' && p[1] != '\0') {
      run = g_ascii_ispunct(p[1]) ? run + 1 : 0;
      p += 2;
      continue;
    }
    if (*p == '(' && p[1] == '?')
      p += strcspn(p, ">:=!)");
    else if (strchr("?*{", *p) != NULL && run > 0)
      run--; /* of the last one there may be none */
    if (run >= LITERAL_MIN)
      return true;
    run = g_ascii_isalnum(*p) || *p == '_' || *p == '-' ? run + 1 : 0;
    if (*p != '\0')
      p++;
  }
  return run >= LITERAL_MIN;
}

RegexShape
regex_shape(const char *regex)
{
  RegexShape shape = {0};
  unsigned depth = 0;

  for (const char *p = regex; *p != '\0';) {
    if (*p == '\\' && p[1] != '\0') {
      shape.anchored = shape.anchored || strchr("AzZG", p[1]) != NULL;
      p += 2;
      continue;
    }
    if (*p == '[') {
      p = skip_class(p);
      continue;
    }
    if (*p == '(') {
      if (depth == 0 && shape.value == NULL &&
          (g_str_has_prefix(p, "(?<secret>") ||
           g_str_has_prefix(p, "(?P<secret>") ||
           g_str_has_prefix(p, "(?<value>")))
        shape.value = p;
      depth++;
    } else if (*p == ')' && depth > 0) {
      depth--;
    } else if (*p == '|' && depth == 0) {
      shape.alternation = true;
    }
    p++;
  }
  return shape;
}

bool
regex_has_pair(const char *regex)
{
  unsigned run = 0;

  for (const char *p = regex; *p != '\0' && run < 2;) {
    if (*p == '[') {
      p = skip_class(p);
      run = 0;
    } else if (*p == '\\' && p[1] != '\0') {
      run = g_ascii_ispunct(p[1]) ? run + 1 : 0;
      p += 2;
    } else if (*p == '{' || (*p == '(' && p[1] == '?')) {
      p += strcspn(p, *p == '{' ? "}" : ">:=!)");
      p += *p != '\0';
      run = 0;
    } else {
      run = strchr("^$.|()*+?", *p) == NULL ? run + 1 : 0;
      p++;
    }
  }
  return run >= 2;
}

/* Behind the group that opens at `p`; NULL when nothing closes it. */
static const char *
skip_group(const char *p, const char *end)
{
  unsigned depth = 0;

  while (p < end) {
    if (*p == '[') {
      p = skip_class(p);
      continue;
    }
    if (*p == '\\') {
      p += 2;
      continue;
    }
    if (*p == '(')
      depth++;
    if (*p == ')' && --depth == 0)
      return p + 1;
    p++;
  }
  return NULL;
}

size_t
regex_first_group(const char *regex)
{
  const char *behind;

  if (!g_str_has_prefix(regex, "(?:"))
    return 0;
  behind = skip_group(regex, regex + strlen(regex));
  return behind != NULL && (*behind == '\0' || strchr("?*+{", *behind) == NULL)
             ? (size_t)(behind - regex)
             : 0;
}

/* ---- Atoms --------------------------------------------------------------- */

/* A character, class or group with how often it stands there. */
typedef struct {
  const char *start;
  const char *times; /* behind it: where its quantifier begins */
  const char *end;   /* behind that */
  unsigned min, max; /* UINT_MAX: without a bound */
} Atom;

static bool
read_times(const char *p, Atom *atom)
{
  char *after;

  atom->times = p;
  atom->min = atom->max = 1;
  if (*p == '?' || *p == '*') {
    atom->min = 0;
    atom->max = *p++ == '?' ? 1 : UINT_MAX;
  } else if (*p == '+') {
    atom->max = UINT_MAX;
    p++;
  } else if (*p == '{') {
    if (!g_ascii_isdigit(p[1]))
      return false;
    atom->min = atom->max = (unsigned)g_ascii_strtoull(p + 1, &after, 10);
    p = after;
    if (*p == ',') {
      p++;
      atom->max = UINT_MAX;
      if (g_ascii_isdigit(*p)) {
        atom->max = (unsigned)g_ascii_strtoull(p, &after, 10);
        p = after;
      }
    }
    if (*p++ != '}')
      return false;
  }
  atom->end = p;
  /* Lazy and possessive ones are left alone. */
  return atom->end == atom->times || (*p != '?' && *p != '+');
}

/* False for what is no atom, or not a simple one. */
static bool
read_atom(const char *p, const char *end, Atom *atom)
{
  atom->start = p;
  if (p >= end || strchr("^$|)*+?{", *p) != NULL)
    return false;
  if (*p == '[')
    p = skip_class(p);
  else if (*p == '(')
    p = skip_group(p, end);
  else if (*p == '\\') {
    if (g_ascii_isalnum(p[1]) && strchr("bBwWdDsSrnt", p[1]) == NULL)
      return false;
    p += 2;
  } else
    p++;
  return p != NULL && p <= end && read_times(p, atom) && atom->end <= end;
}

/* The last atom of [p, end), when all of it are atoms in a row. */
static bool
last_atom(const char *p, const char *end, Atom *last)
{
  bool any = false;

  while (p < end) {
    if (!read_atom(p, end, last))
      return false;
    p = last->end;
    any = true;
  }
  return any;
}

/* The least that the atom takes once; 0 when it is not simple. */
static size_t
least_width(const Atom *atom)
{
  const char *p = atom->start + strlen("(?:");
  size_t width = 0;
  Atom inner;

  if (*atom->start != '(')
    return 1;
  if (!g_str_has_prefix(atom->start, "(?:"))
    return 0;
  for (; p < atom->times - 1; p = inner.end) {
    if (!read_atom(p, atom->times - 1, &inner))
      return 0;
    width += inner.min * least_width(&inner);
  }
  return width;
}

static bool
is_lookaround(const char *p)
{
  return g_str_has_prefix(p, "(?=") || g_str_has_prefix(p, "(?!") ||
         g_str_has_prefix(p, "(?<=") || g_str_has_prefix(p, "(?<!");
}

/* Whether the atom ends with a character that is inside a run for certain. */
static bool
ends_inside_run(const Atom *atom)
{
  const char *p = atom->start;
  Atom last;

  if (*p == '(')
    return g_str_has_prefix(p, "(?:") &&
           last_atom(p + 3, atom->times - 1, &last) && last.min > 0 &&
           ends_inside_run(&last);
  if (*p == '\\')
    return g_ascii_ispunct(p[1]);
  if (*p != '[')
    return g_ascii_isgraph(*p) && *p != '.';
  /* Other bytes may end a run; but then the secret goes over it, and is none.
   */
  if (p[1] == '^')
    return g_str_has_prefix(p, "[^\\s");
  for (p++; p < atom->times - 1; p++) {
    if ((uint8_t)*p <= ' ' || (uint8_t)*p >= 0x7f || *p == '[')
      return false;
    if (*p == '\\' && g_ascii_isalnum(*++p) && *p != 'w' && *p != 'd')
      return false;
  }
  return true;
}

/* ---- Less of a regex ----------------------------------------------------- */

/* What look-arounds say is left to the confirmation. */
static char *
without_lookarounds(const char *regex)
{
  const char *end = regex + strlen(regex);
  GString *out = g_string_new(NULL);

  for (const char *p = regex; *p != '\0';) {
    const char *next = p + 1;

    if (*p == '[') {
      next = skip_class(p);
    } else if (*p == '\\' && p[1] != '\0') {
      next = p + 2;
    } else if (*p == '(' && is_lookaround(p)) {
      p = skip_group(p, end);
      if (p == NULL)
        break;
      continue;
    }
    g_string_append_len(out, p, next - p);
    p = next;
  }
  return g_string_free(out, FALSE);
}

/* What may stand before a secret at a regex's beginning. */
static const char *
skip_context(const char *p, const char *end)
{
  const char *next = p;

  if (g_str_has_prefix(p, "(?:\\b|_)"))
    next = p + 8;
  else if (g_str_has_prefix(p, "\\b"))
    next = p + 2;
  else if (g_str_has_prefix(p, "(?:^|[")) {
    next = skip_class(p + 5);
    next = *next == ')' ? next + 1 : p;
  } else if (g_str_has_prefix(p, "(?<!") || g_str_has_prefix(p, "(?<="))
    next = skip_group(p, end);
  return next != NULL && g_str_has_prefix(next, "(?<secret>") ? next : p;
}

/* What may stand behind a secret at a regex's end. */
static bool
is_trailing(const char *p, const char *end)
{
  return p == end || strcmp(p, "\\b") == 0 || g_str_has_suffix(p, "\\r?$") ||
         (is_lookaround(p) && skip_group(p, end) == end);
}

/* Atoms in a row: [from, to). Many of a class at the end say no more than
 * enough of it. */
static void
add_row(const char *from, const char *to, GString *out, bool *cut)
{
  const char *full = to;
  Atom last;

  if (!last_atom(from, to, &last)) {
    g_string_append_printf(out, "(?:%.*s)", (int)(to - from), from);
    return;
  }
  while (last.min == 0 && last.start > from) {
    to = last.start;
    last_atom(from, to, &last);
  }
  if (last.min == 0 || !ends_inside_run(&last)) {
    g_string_append_len(out, from, full - from);
    return;
  }
  *cut = to < full || last.max > last.min;
  g_string_append_len(out, from, last.times - from);
  g_string_append_printf(out, "{%u}", last.min);
}

/* Where the alternative that begins at `p` ends: at a "|" or at `end`. */
static const char *
alternative_end(const char *p, const char *end)
{
  while (p < end && *p != '|') {
    const char *next = *p == '['    ? skip_class(p)
                       : *p == '('  ? skip_group(p, end)
                       : *p == '\\' ? p + 2
                                    : p + 1;

    if (next == NULL)
      return end;
    p = next;
  }
  return MIN(p, end);
}

/* Each alternative of a group without what may follow in it; groups at their
 * ends are alternatives again. */
static void
add_alternatives(const char *from,
                 const char *to,
                 unsigned depth,
                 GString *out,
                 bool *cut)
{
  for (const char *p = from;; p++) {
    const char *end = alternative_end(p, to);
    Atom last;

    if (last_atom(p, end, &last) && last.min == 1 && last.max == 1 &&
        g_str_has_prefix(last.start, "(?:") && depth < MAX_DEPTH) {
      g_string_append_len(out, p, last.start - p);
      g_string_append(out, "(?:");
      add_alternatives(last.start + 3, last.times - 1, depth + 1, out, cut);
      g_string_append_c(out, ')');
    } else {
      bool less = false;

      add_row(p, end, out, &less);
      *cut = *cut || less;
    }
    p = end;
    if (p >= to)
      return;
    g_string_append_c(out, '|');
  }
}

/* The same of a row in which nothing is certain: as little as keeps ordinary
 * text out. `head`: it may begin in the middle of what its first atom takes. */
static bool
add_bare(const char *from, const char *to, bool head, GString *out)
{
  size_t total = 0;
  unsigned marks = 0;
  bool more = true;
  Atom atom;

  for (const char *p = from; p < to; p = atom.end) {
    if (!read_atom(p, to, &atom))
      return false;
    marks += *p != '[' && *p != '(';
  }
  if (marks > BARE_MARKS)
    return false;
  for (const char *p = from; more && p < to; p = atom.end) {
    unsigned n;

    if (!read_atom(p, to, &atom) || atom.min == 0 || !ends_inside_run(&atom))
      return false;
    more = atom.max == atom.min;
    n = atom.min;
    if (*p == '[' && p == from && head) {
      n = MIN(n, BARE_HEAD);
      more = true;
    } else if (*p == '[' && n > BARE_MORE) {
      n = BARE_MORE;
      more = false;
    }
    /* One more character of its own is worth much. */
    if (total >= BARE_MIN && (*p == '[' || *p == '(' || n > 1))
      break;
    total += n * least_width(&atom);
    g_string_append_len(out, p, atom.times - p);
    if (atom.times != atom.end)
      g_string_append_printf(out, "{%u}", n);
  }
  return total >= BARE_MIN;
}

/* A rule that begins with many characters of a class, as
 * "^[a-z_][a-z0-9_]{0,31}:…", keeps its matcher busy at every byte of a text.
 * The ends of what follows are a superset of its ends, so that is looked for,
 * where it begins with a character of its own. */
static const char *
skip_many(const char *regex)
{
  const char *end = regex + strlen(regex);
  const char *p = regex;
  bool many = false;

  if (*p == '^')
    p++;
  else if (g_str_has_prefix(p, "(?<![")) {
    p = skip_class(p + 4);
    if (*p++ != ')')
      return regex;
  }
  while (*p == '[' || g_str_has_prefix(p, "(?:")) {
    Atom atom;

    if (!read_atom(p, end, &atom) || strchr("?*+", *atom.times) != NULL)
      return regex;
    many = many || *p == '(' || *atom.times == '{';
    p = atom.end;
  }
  return many && (*p == ':' || *p == '=' || *p == '@') && p[1] != '?' &&
                 p[1] != '*' && p[1] != '{'
             ? p
             : regex;
}

/* A regex in which no two characters are certain; NULL when it is another. */
static char *
search_bare(const char *regex, bool *cut)
{
  g_autofree char *source = without_lookarounds(regex);
  const RegexShape shape = regex_shape(source);
  const size_t options = regex_options(source);
  const char *end = source + strlen(source);
  const char *p = source + options;
  const char *close, *from;
  GString *out;
  Atom first, last;

  if (regex_has_pair(p) || shape.alternation || options > 0 ||
      shape.value == NULL || !g_str_has_prefix(shape.value, "(?<secret>") ||
      skip_context(p, end) != shape.value)
    return NULL;
  close = skip_group(shape.value, end);
  if (close == NULL || !is_trailing(close, end))
    return NULL;
  from = shape.value + strlen("(?<secret>");
  out = g_string_new(NULL);
  if (!last_atom(from, close - 1, &last)) {
    g_string_append(out, "(?:");
    add_alternatives(from, close - 1, 0, out, cut);
    g_string_append_c(out, ')');
    return g_string_free(out, FALSE);
  }
  *cut = true;
  if (!read_atom(from, close - 1, &first) || *from != '[' || first.min < 2) {
    g_string_append_len(out, p, shape.value - p);
    if (add_bare(from, close - 1, false, out))
      return g_string_free(out, FALSE);
  } else if (add_bare(from, close - 1, true, out)) {
    return g_string_free(out, FALSE);
  }
  *cut = false;
  g_string_free(out, TRUE);
  return NULL;
}

char *
regex_search(const char *regex, bool *cut)
{
  const RegexShape shape = regex_shape(regex);
  const size_t options = regex_options(regex);
  const char *end = regex + strlen(regex);
  const char *p = regex + options;
  const char *close = NULL;
  char *bare;
  GString *out;

  *cut = false;
  if (shape.alternation || memchr(regex, 'x', options) != NULL)
    return g_strdup(regex);
  bare = search_bare(regex, cut);
  if (bare != NULL)
    return bare;
  p = skip_many(p);
  if (p == regex + options && !regex_has_literal(regex))
    return g_strdup(regex);
  p = skip_context(p, end);
  out = g_string_new_len(regex, (gssize)options);
  if (shape.value != NULL && g_str_has_prefix(shape.value, "(?<secret>"))
    close = skip_group(shape.value, end);
  if (close == NULL || !is_trailing(close, end)) {
    g_string_append(out, p);
  } else {
    g_string_append_len(out, p, shape.value - p);
    add_row(shape.value + strlen("(?<secret>"), close - 1, out, cut);
  }
  return g_string_free(out, FALSE);
}

char *
regex_sight(const char *expression)
{
  const size_t options = regex_options(expression);

  return options == 0 || (options == strlen("(?m)") && expression[2] == 'm')
             ? without_lookarounds(expression + options)
             : NULL;
}
