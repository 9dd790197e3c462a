/* SPDX-License-Identifier: Apache-2.0 */
/* Wildcards as gitignore(5) has them. Two points to come back to, at the last
 * star and at the last double star, are enough: what an earlier one could take
 * the later one can take too. */
#include "cli/ignore.h"
#include <string.h>

/* [:alpha:] and its like, of ASCII as in git. */
static bool
in_class(const char *name, size_t len, char c, bool *known)
{
  static const struct {
    const char *name;
    int mask; /* 0: see below */
  } classes[] = {
      {"alnum", G_ASCII_ALNUM},
      {"alpha", G_ASCII_ALPHA},
      {"blank", 0},
      {"cntrl", G_ASCII_CNTRL},
      {"digit", G_ASCII_DIGIT},
      {"graph", G_ASCII_GRAPH},
      {"lower", G_ASCII_LOWER},
      {"print", G_ASCII_PRINT},
      {"punct", G_ASCII_PUNCT},
      {"space", G_ASCII_SPACE},
      {"upper", G_ASCII_UPPER},
      {"xdigit", G_ASCII_XDIGIT},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(classes); i++) {
    if (strlen(classes[i].name) != len ||
        strncmp(classes[i].name, name, len) != 0)
      continue;
    *known = true;
    if (classes[i].mask == 0)
      return c == ' ' || c == '\t';
    return (g_ascii_table[(guchar)c] & classes[i].mask) != 0;
  }
  *known = false;
  return false;
}

/* A named class at p ("[:" there); its last byte into *last. False: there is
 * no ":]", so that it is no class but a bracket like any other character. */
static bool
find_class(const char *p, const char **last)
{
  const char *end = strchr(p + 2, ']');

  if (!end || end[-1] != ':' || end - 1 < p + 2)
    return false;
  *last = end;
  return true;
}

/* One member of a set at *p, moved to its last byte; `before` is the character
 * that a range may begin with, 0 for none. False: the set is malformed. */
static bool
match_member(const char **p, guchar c, guchar *before, bool *matched)
{
  const char *at = *p, *last;
  bool known;

  if (*at == '-' && *before && at[1] && at[1] != ']') {
    at++;
    if (*at == '\\' && !*++at)
      return false;
    *matched = *matched || (c >= *before && c <= (guchar)*at);
    *before = 0;
  } else if (*at == '[' && at[1] == ':' && !strchr(at, ']')) {
    return false;
  } else if (*at == '[' && at[1] == ':' && find_class(at, &last)) {
    *matched =
        in_class(at + 2, (size_t)(last - at) - 3, (char)c, &known) || *matched;
    if (!known)
      return false;
    at = last;
    *before = 0;
  } else {
    if (*at == '\\' && !*++at)
      return false;
    *matched = *matched || c == (guchar)*at;
    *before = (guchar)*at;
  }
  *p = at;
  return true;
}

/* A set at *p ('[' there), moved behind it. False: malformed, so that the
 * pattern matches nothing. */
static bool
match_set(const char **p, char c, bool *matched)
{
  const char *at = *p + 1;
  bool negated = *at == '!' || *at == '^', any = false;
  guchar before = 0;

  at += negated;
  do {
    if (!*at || !match_member(&at, (guchar)c, &before, &any))
      return false;
    at++;
  } while (*at != ']');
  *matched = any != negated;
  *p = at + 1;
  return true;
}

typedef enum { STEP_NO, STEP_YES, STEP_NEVER } Step;

/* One character against the pattern's element at *p, no star. */
static Step
step(const char **p, char c, bool path)
{
  bool matched;

  if (**p == '[') {
    if (!match_set(p, c, &matched))
      return STEP_NEVER;
    return matched && !(path && c == '/') ? STEP_YES : STEP_NO;
  }
  if (**p == '?') {
    ++*p;
    return path && c == '/' ? STEP_NO : STEP_YES;
  }
  if (**p == '\\' && !*++*p)
    return STEP_NEVER;
  return *(*p)++ == c ? STEP_YES : STEP_NO;
}

typedef struct {
  const char *pattern, *text;
} Point;

/* Where to go on after a mismatch; false: nowhere. */
static bool
go_back(Point *at, Point *star, Point *deep, bool path)
{
  const char *slash;

  if (star->pattern && *star->text && !(path && *star->text == '/')) {
    star->text++;
    *at = *star;
    return true;
  }
  star->pattern = NULL;
  slash = deep->pattern ? strchr(deep->text, '/') : NULL;
  if (!slash)
    return false;
  deep->text = slash + 1;
  *at = *deep;
  return true;
}

bool
ignore_glob(const char *pattern, const char *text, bool path)
{
  Point at = {pattern, text}, star = {0}, deep = {0};

  for (;;) {
    Step result = STEP_NO;

    if (*at.pattern == '*') {
      const char *end = at.pattern + strspn(at.pattern, "*");
      bool bounded = at.pattern == pattern || at.pattern[-1] == '/';

      if (path && end - at.pattern > 1 && bounded && !*end)
        return true;
      if (path && end - at.pattern > 1 && bounded && *end == '/') {
        at.pattern = end + 1;
        deep = at;
        star.pattern = NULL;
      } else {
        at.pattern = end;
        star = at;
      }
      continue;
    }
    if (!*at.pattern && !*at.text)
      return true;
    if (*at.pattern && *at.text)
      result = step(&at.pattern, *at.text++, path);
    if (result == STEP_NEVER ||
        (result == STEP_NO && !go_back(&at, &star, &deep, path)))
      return false;
  }
}
