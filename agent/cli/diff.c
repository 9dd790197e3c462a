/* SPDX-License-Identifier: Apache-2.0 */
/* A unified difference: what is common at both ends is set aside, the rest is
 * compared by longest common subsequence. */
#include "cli/diff.h"
#include <glib.h>
#include <stdbool.h>
#include <string.h>

#define CONTEXT 3
/* Cells of the table; beyond, the whole middle counts as replaced. */
#define MAX_CELLS ((size_t)4 * 1024 * 1024)

typedef struct {
  char mark; /* ' ', '-', '+' */
  const char *line;
  unsigned old, new; /* line numbers from 1, of the next old and new line */
} Step;

typedef struct {
  char **a, **b;
  unsigned n, m;
  GArray *steps;
  unsigned old, new;
} Diff;

/* Lines with their ends, so that a missing last one is seen. */
static char **
split(const char *text, unsigned *n)
{
  GPtrArray *lines = g_ptr_array_new();

  while (*text) {
    size_t len = strcspn(text, "\n");

    len += text[len] == '\n';
    g_ptr_array_add(lines, g_strndup(text, len));
    text += len;
  }
  *n = lines->len;
  g_ptr_array_add(lines, NULL);
  return (char **)g_ptr_array_free(lines, FALSE);
}

static void
step(Diff *diff, char mark, const char *line)
{
  Step one = {mark, line, diff->old, diff->new};

  g_array_append_val(diff->steps, one);
  diff->old += mark != '+';
  diff->new += mark != '-';
}

/* The lines [from, a_end) and [from, b_end) that differ at both ends. */
static void
compare(Diff *diff, unsigned from, unsigned a_end, unsigned b_end)
{
  unsigned n = a_end - from, m = b_end - from;
  size_t width = (size_t)m + 1;
  g_autofree unsigned *common = NULL;
  unsigned i = 0, j = 0;

  if (((size_t)n + 1) * width <= MAX_CELLS) {
    common = g_new0(unsigned, ((size_t)n + 1) * width);
    for (unsigned x = n; x-- > 0;)
      for (unsigned y = m; y-- > 0;)
        common[x * width + y] =
            g_str_equal(diff->a[from + x], diff->b[from + y])
                ? common[(x + 1) * width + y + 1] + 1
                : MAX(common[(x + 1) * width + y], common[x * width + y + 1]);
  }
  while (i < n || j < m) {
    if (common && i < n && j < m &&
        g_str_equal(diff->a[from + i], diff->b[from + j])) {
      step(diff, ' ', diff->a[from + i++]);
      j++;
    } else if (i < n &&
               (!common || j == m ||
                common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      step(diff, '-', diff->a[from + i++]);
    } else {
      step(diff, '+', diff->b[from + j++]);
    }
  }
}

static void
compare_all(Diff *diff)
{
  unsigned same = 0, tail = 0;

  while (same < diff->n && same < diff->m &&
         g_str_equal(diff->a[same], diff->b[same]))
    step(diff, ' ', diff->a[same++]);
  while (tail < diff->n - same && tail < diff->m - same &&
         g_str_equal(diff->a[diff->n - 1 - tail], diff->b[diff->m - 1 - tail]))
    tail++;
  compare(diff, same, diff->n - tail, diff->m - tail);
  for (unsigned i = diff->n - tail; i < diff->n; i++)
    step(diff, ' ', diff->a[i]);
}

static bool
is_change(const Diff *diff, unsigned i)
{
  return g_array_index(diff->steps, Step, i).mark != ' ';
}

static void
print_hunk(const Diff *diff, unsigned from, unsigned to, GString *out)
{
  const Step *first = &g_array_index(diff->steps, Step, from);
  unsigned old = 0, new = 0;

  for (unsigned i = from; i < to; i++) {
    char mark = g_array_index(diff->steps, Step, i).mark;

    old += mark != '+';
    new += mark != '-';
  }
  g_string_append_printf(out,
                         "@@ -%u,%u +%u,%u @@\n",
                         old ? first->old : first->old - 1,
                         old,
                         new ? first->new : first->new - 1,
                         new);
  for (unsigned i = from; i < to; i++) {
    const Step *one = &g_array_index(diff->steps, Step, i);
    size_t len = strlen(one->line);
    bool ends = len && one->line[len - 1] == '\n';

    g_string_append_printf(out, "%c%s", one->mark, one->line);
    if (!ends)
      g_string_append(out, "\n\\ no newline at the end\n");
  }
}

/* Changes with up to 2 * CONTEXT equal lines between them share a hunk. */
static void
print_hunks(const Diff *diff, GString *out)
{
  unsigned n = diff->steps->len;

  for (unsigned i = 0; i < n; i++) {
    unsigned last = i, from, to;

    if (!is_change(diff, i))
      continue;
    for (unsigned j = i; j < n && j <= last + 2 * CONTEXT; j++)
      if (is_change(diff, j))
        last = j;
    from = i > CONTEXT ? i - CONTEXT : 0;
    to = MIN(last + CONTEXT + 1, n);
    print_hunk(diff, from, to, out);
    i = to - 1;
  }
}

char *
diff_text(const char *before, const char *after)
{
  Diff diff = {
      .steps = g_array_new(FALSE, FALSE, sizeof(Step)), .old = 1, .new = 1};
  GString *out = g_string_new(NULL);

  diff.a = split(before, &diff.n);
  diff.b = split(after, &diff.m);
  compare_all(&diff);
  print_hunks(&diff, out);
  g_array_unref(diff.steps);
  g_strfreev(diff.a);
  g_strfreev(diff.b);
  return g_string_free(out, FALSE);
}
