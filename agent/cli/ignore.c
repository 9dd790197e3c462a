/* SPDX-License-Identifier: Apache-2.0 */
/* gitignore(5): the lines of a file, and which of them speaks last of a
 * path. */
#include "cli/ignore.h"
#include <string.h>

/* No name of a path is longer (PATH_MAX). */
#define MAX_PATTERN 4096

typedef struct {
  char *text;      /* without marks */
  size_t plain;    /* characters before the first wildcard or backslash */
  size_t len;      /* of text */
  bool negated;    /* '!' */
  bool only_dirs;  /* a slash at its end */
  bool whole_path; /* a slash elsewhere: not only the last name */
} Pattern;

struct ignore {
  const Ignore *under;
  size_t base_len;
  GArray *patterns; /* Pattern */
};

static void
pattern_clear(void *data)
{
  g_free(((Pattern *)data)->text);
}

/* ---- Reading -------------------------------------------------------------
 */

/* Blanks at a line's end do not count, unless a backslash quotes them. */
static size_t
without_blanks(const char *line, size_t len)
{
  size_t kept = 0;

  for (size_t i = 0; i < len; i++) {
    if (line[i] == '\\' && i + 1 < len)
      i++;
    else if (line[i] == ' ')
      continue;
    kept = i + 1;
  }
  return kept;
}

static void
add_line(Ignore *ignore, const char *line, size_t len)
{
  Pattern pattern = {0};

  if (len && line[len - 1] == '\r')
    len--;
  if (!len || *line == '#' || memchr(line, '\0', len))
    return;
  len = without_blanks(line, len);
  if (len && *line == '!') {
    pattern.negated = true;
    line++;
    len--;
  }
  if (len && line[len - 1] == '/') {
    pattern.only_dirs = true;
    len--;
  }
  if (!len || len > MAX_PATTERN)
    return;
  pattern.whole_path = memchr(line, '/', len) != NULL;
  if (*line == '/') {
    line++;
    len--;
  }
  pattern.text = g_strndup(line, len);
  pattern.len = len;
  pattern.plain = strcspn(pattern.text, "*?[\\");
  g_array_append_val(ignore->patterns, pattern);
}

Ignore *
ignore_new(const Ignore *under, size_t base_len, const char *text, size_t len)
{
  Ignore *ignore = g_new0(Ignore, 1);
  const char *end = text + len;

  ignore->under = under;
  ignore->base_len = base_len;
  ignore->patterns = g_array_new(FALSE, FALSE, sizeof(Pattern));
  g_array_set_clear_func(ignore->patterns, pattern_clear);
  if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
    text += 3;
  while (text < end) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *stop = newline ? newline : end;

    add_line(ignore, text, (size_t)(stop - text));
    text = stop + 1;
  }
  return ignore;
}

void
ignore_free(Ignore *ignore)
{
  if (!ignore)
    return;
  g_array_unref(ignore->patterns);
  g_free(ignore);
}

/* ---- Matching ------------------------------------------------------------
 */

static bool
pattern_matches(const Pattern *pattern, const char *path, bool is_dir)
{
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;

  if (pattern->only_dirs && !is_dir)
    return false;
  if (!pattern->whole_path) {
    if (pattern->plain == pattern->len)
      return strcmp(pattern->text, name) == 0;
    return strncmp(pattern->text, name, pattern->plain) == 0 &&
           ignore_glob(pattern->text, name, false);
  }
  if (strncmp(pattern->text, path, pattern->plain) != 0)
    return false;
  /* As in git what stands before the first wildcard is taken off first: a
   * double star may then lead although no slash is before it. */
  return ignore_glob(
      pattern->text + pattern->plain, path + pattern->plain, true);
}

bool
ignore_matches(const Ignore *ignore, const char *path, bool is_dir)
{
  for (; ignore; ignore = ignore->under) {
    const char *below = path + ignore->base_len;

    for (guint i = ignore->patterns->len; i-- > 0;) {
      const Pattern *pattern = &g_array_index(ignore->patterns, Pattern, i);

      if (pattern_matches(pattern, below, is_dir))
        return !pattern->negated;
    }
  }
  return false;
}
