/* SPDX-License-Identifier: Apache-2.0 */
/* Masks that a model repeats become the values again that they stood for, where
 * policy lets them and this conversation issued them. */
#include "inspect/text-field.h"

#include <string.h>

/* "[" + rule id + ":" + tag + "]". */
#define MASK_ID_MAX 48
#define MASK_TAG_MIN 12
#define MASK_TAG_MAX 48

/* The length of a mask's form at the start of `text`, or 0. */
static size_t
mask_length(const char *text, size_t len)
{
  size_t at = 1, tag;

  while (at < len && at <= MASK_ID_MAX &&
         (g_ascii_islower(text[at]) || g_ascii_isdigit(text[at]) ||
          text[at] == '-'))
    at++;
  if (at == 1 || at >= len || text[at] != ':')
    return 0;
  tag = ++at;
  while (at < len && at - tag <= MASK_TAG_MAX &&
         (g_ascii_islower(text[at]) || (text[at] >= '2' && text[at] <= '7')))
    at++;
  if (at - tag < MASK_TAG_MIN || at >= len || text[at] != ']')
    return 0;
  return at + 1;
}

static bool
is_covered(const GArray *edits, guint first, size_t start, size_t end)
{
  for (guint i = first; i < edits->len; i++) {
    const TextEdit *edit = &g_array_index(edits, TextEdit, i);

    if (edit->start < end && edit->end > start)
      return true;
  }
  return false;
}

static int
compare_edits(const void *a, const void *b)
{
  const TextEdit *x = a, *y = b;

  return x->start < y->start ? -1 : x->start > y->start;
}

void
restore_edits(MaskContext *context,
              const TextView *view,
              size_t from,
              size_t to,
              guint first,
              GArray *edits)
{
  const char *text = view->bytes;
  bool added = false;

  if (context->scope == NULL)
    return;
  while (from < to) {
    const char *open = memchr(text + (from - view->start), '[', to - from);
    TextEdit edit;
    GString *value;
    size_t len;

    if (open == NULL)
      break;
    from = view->start + (size_t)(open - text);
    len = mask_length(open, to - from);
    if (len == 0 || is_covered(edits, first, from, from + len)) {
      from++;
      continue;
    }
    value = g_string_new(NULL);
    if (masker_restore(context->masker, context->scope, open, len, value)) {
      edit = (TextEdit){.start = from,
                        .end = from + len,
                        .text = g_strdup(value->str),
                        .record = g_strndup(open, len)};
      g_array_append_val(edits, edit);
      added = true;
    }
    secret_wipe(value->str, value->allocated_len);
    g_string_free(value, TRUE);
    from += len;
  }
  if (added)
    qsort(&g_array_index(edits, TextEdit, first),
          edits->len - first,
          sizeof(TextEdit),
          compare_edits);
}
