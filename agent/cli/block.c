/* SPDX-License-Identifier: Apache-2.0 */
/* Marked blocks of lines: put in, found again, taken out without a trace. */
#include "cli/block.h"
#include <glib.h>
#include <string.h>

static char *
opening(const char *name)
{
  return g_strdup_printf("# >>> hoop-agent %s >>>\n", name);
}

static char *
closing(const char *name)
{
  return g_strdup_printf("# <<< hoop-agent %s <<<", name);
}

static char *
whole(const char *name, const char *lines)
{
  g_autofree char *first = opening(name);
  g_autofree char *last = closing(name);

  return g_strconcat(first, lines, last, NULL);
}

char *
block_append(const char *text, const char *name, const char *lines)
{
  g_autofree char *block = whole(name, lines);
  bool ended = !*text || g_str_has_suffix(text, "\n");

  return ended ? g_strconcat(text, block, "\n", NULL)
               : g_strconcat(text, "\n", block, NULL);
}

char *
block_prepend(const char *text, const char *name, const char *lines)
{
  g_autofree char *block = whole(name, lines);

  return g_strconcat(block, "\n", text, NULL);
}

/* A whole line that is `line`, from `text` on. */
static const char *
find_line(const char *text, const char *from, const char *line, size_t len)
{
  for (const char *at = from; (at = strstr(at, line)); at++)
    if ((at == text || at[-1] == '\n') &&
        (line[len - 1] == '\n' || at[len] == '\n' || !at[len]))
      return at;
  return NULL;
}

static bool
find(const char *text, const char *name, const char **from, const char **to)
{
  g_autofree char *first = opening(name);
  g_autofree char *last = closing(name);

  *from = find_line(text, text, first, strlen(first));
  *to = *from ? find_line(text, *from, last, strlen(last)) : NULL;
  if (*to)
    *to += strlen(last);
  return *to != NULL;
}

bool
block_has(const char *text, const char *name)
{
  const char *from, *to;

  return find(text, name, &from, &to);
}

char *
block_remove(const char *text, const char *name)
{
  const char *from, *to;
  g_autofree char *before = NULL;

  if (!find(text, name, &from, &to))
    return g_strdup(text);
  if (*to == '\n')
    to++;
  else if (from > text)
    from--; /* the line end that was put before it */
  before = g_strndup(text, (size_t)(from - text));
  return g_strconcat(before, to, NULL);
}
