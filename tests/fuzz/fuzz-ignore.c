/* SPDX-License-Identifier: Apache-2.0 */
/* Files of patterns: any bytes, then a NUL and a path. What the matcher says
 * of each line is what a plain recursive reading of it says. */
#include "cli/ignore.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Plain recursion takes exponential time. */
#define NAIVE_PATTERN 24
#define NAIVE_TEXT 24
#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One set at *p: 1 matched, 0 not, -1 malformed. */
static int
naive_set(const char **p, unsigned char c)
{
  const char *at = *p + 1;
  bool negated = *at == '!' || *at == '^', hit = false;
  int before = 0;

  for (at += negated;; at++) {
    int from = (unsigned char)*at;
    char one[3] = {0, 0, 0}, text[2] = {(char)c, 0};
    const char *close = strchr(at, ']');

    if (!from)
      return -1;
    if (from == ']' && at != *p + 1 + negated)
      break;
    if (from == '-' && before && at[1] && at[1] != ']') {
      at += at[1] == '\\' ? 2 : 1;
      if (!*at)
        return -1;
      hit = hit || (c >= before && c <= (unsigned char)*at);
      before = 0;
      continue;
    }
    if (from == '[' && at[1] == ':') {
      if (!close)
        return -1;
      if (close[-1] == ':' && close >= at + 3) {
        g_autofree char *class = g_strndup(at, (size_t)(close + 1 - at));
        g_autofree char *pattern = g_strdup_printf("[%s]", class);

        /* Names of classes are the matcher's own table. */
        if (!ignore_glob(pattern, "a", false) &&
            !ignore_glob(pattern, "A", false) &&
            !ignore_glob(pattern, " ", false) &&
            !ignore_glob(pattern, "0", false) &&
            !ignore_glob(pattern, "\1", false) &&
            !ignore_glob(pattern, "!", false))
          return -1;
        hit = hit || ignore_glob(pattern, text, false);
        before = 0;
        at = close;
        continue;
      }
    }
    if (from == '\\') {
      from = (unsigned char)*++at;
      if (!from)
        return -1;
    }
    one[0] = (char)from;
    hit = hit || one[0] == text[0];
    before = from;
  }
  *p = at + 1;
  return hit != negated;
}

static bool
naive(const char *start, const char *p, const char *t, bool path)
{
  if (*p == '*') {
    const char *end = p + strspn(p, "*");
    bool deep = path && end - p > 1 && (p == start || p[-1] == '/') &&
                (!*end || *end == '/');

    if (deep && !*end)
      return true;
    if (deep) {
      for (const char *at = t; at; at = (at = strchr(at, '/')) ? at + 1 : NULL)
        if (naive(start, end + 1, at, path))
          return true;
      return false;
    }
    for (;; t++) {
      if (naive(start, end, t, path))
        return true;
      if (!*t || (path && *t == '/'))
        return false;
    }
  }
  if (!*p || !*t)
    return !*p && !*t;
  if (*p == '[') {
    int matched = naive_set(&p, (unsigned char)*t);

    return matched > 0 && !(path && *t == '/') && naive(start, p, t + 1, path);
  }
  if (*p == '?')
    return !(path && *t == '/') && naive(start, p + 1, t + 1, path);
  if (*p == '\\' && !*++p)
    return false;
  return *p == *t && naive(start, p + 1, t + 1, path);
}

static void
compare(const char *pattern, const char *path)
{
  for (int as_path = 0; as_path < 2; as_path++)
    if (ignore_glob(pattern, path, as_path) !=
        naive(pattern, pattern, path, as_path)) {
      fprintf(stderr, "'%s' and '%s' (%d) differ\n", pattern, path, as_path);
      abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
  const size_t len = end ? (size_t)(end - data) : size;
  g_autofree char *text = NULL;
  g_autofree char *path = NULL;
  g_autoptr(Ignore) top = NULL;
  g_autoptr(Ignore) below = NULL;
  g_auto(GStrv) lines = NULL;

  if (size > INPUT_MAX)
    return 0;
  text = len ? g_strndup((const char *)data, len) : g_strdup("");
  path = end ? g_strndup((const char *)end + 1, size - len - 1) : g_strdup("a");
  top = ignore_new(NULL, 0, (const char *)data, size);
  below = ignore_new(top, strcspn(path, "/"), text, len);
  for (int is_dir = 0; is_dir < 2; is_dir++) {
    ignore_matches(top, path, is_dir);
    ignore_matches(below, path, is_dir);
  }
  lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line; line++)
    if (strlen(*line) <= NAIVE_PATTERN && strlen(path) <= NAIVE_TEXT)
      compare(*line, path);
  return 0;
}
