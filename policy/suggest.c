/* SPDX-License-Identifier: Apache-2.0 */
/* Optimal string alignment distance over short words: what the writer of a
 * policy file probably meant. */
#include "policy/suggest.h"

#include <glib.h>
#include <string.h>

/* Longer words are no key of ours; the table stays on the stack. */
#define MAX_WORD 40

static unsigned
distance(const char *a, const char *b)
{
  unsigned rows[3][MAX_WORD + 1];
  unsigned a_len = (unsigned)strlen(a), b_len = (unsigned)strlen(b);

  for (unsigned j = 0; j <= b_len; j++)
    rows[0][j] = j;
  for (unsigned i = 1; i <= a_len; i++) {
    unsigned *row = rows[i % 3], *last = rows[(i + 2) % 3];

    row[0] = i;
    for (unsigned j = 1; j <= b_len; j++) {
      char x = g_ascii_tolower(a[i - 1]), y = g_ascii_tolower(b[j - 1]);
      unsigned best = last[j - 1] + (x != y);

      best = MIN(best, MIN(last[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && x == g_ascii_tolower(b[j - 2]) &&
          y == g_ascii_tolower(a[i - 2]))
        best = MIN(best, rows[(i + 1) % 3][j - 2] + 1);
      row[j] = best;
    }
  }
  return rows[a_len % 3][b_len];
}

const char *
suggest_nearest(const char *word, const char *const *words)
{
  const char *nearest = NULL;
  unsigned least = G_MAXUINT;

  if (strlen(word) > MAX_WORD)
    return NULL;
  for (; *words != NULL; words++) {
    unsigned edits;

    if (strlen(*words) > MAX_WORD)
      continue;
    edits = distance(word, *words);
    if (edits < least && edits <= MAX(1, strlen(*words) / 3)) {
      least = edits;
      nearest = *words;
    }
  }
  return nearest;
}
