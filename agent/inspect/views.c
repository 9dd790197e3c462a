/* SPDX-License-Identifier: Apache-2.0 */
/* Scans the other forms of a text and leads what is found back to it. */
#include "inspect/views.h"

static void
wipe_text(GString *text)
{
  secret_wipe(text->str, text->allocated_len);
  g_string_free(text, TRUE);
}

/* A form of a text, as it is and in its own other forms. */
static bool
scan_form(DetectorScratch *scratch,
          const GString *text,
          unsigned level,
          size_t max_findings,
          GArray *findings,
          GError **error)
{
  const TextView view = {.bytes = text->str, .end = text->len, .final = true};

  return scan_text(
             scratch, text->str, text->len, max_findings, findings, error) &&
         views_scan(scratch, &view, level, max_findings, findings, error);
}

static bool
scan_folded(DetectorScratch *scratch,
            const TextView *view,
            unsigned level,
            size_t max_findings,
            GArray *findings,
            GError **error)
{
  const guint first = findings->len;
  const size_t len = view->end - view->start;
  g_autoptr(GArray) steps = NULL;
  GString *text;
  size_t near = 0;
  bool good;

  if (fold_find(view->bytes, len, true, NULL) == len)
    return true;
  steps = g_array_new(FALSE, FALSE, sizeof(FoldStep));
  text = g_string_sized_new(len);
  fold_append(view->bytes, len, true, view->start, 0, &near, text, steps);
  good = scan_form(scratch, text, level + 1, max_findings, findings, error);
  for (guint i = first; i < findings->len; i++) {
    Finding *at = &g_array_index(findings, Finding, i);

    at->start = fold_start(steps, at->start);
    at->end = fold_end(steps, at->end);
  }
  wipe_text(text);
  return good;
}

bool
views_scan_window(DetectorScratch *scratch,
                  const TextView *view,
                  const DecodeWindow *window,
                  unsigned level,
                  size_t max_findings,
                  GArray *findings,
                  bool *is_text,
                  GError **error)
{
  const guint first = findings->len;
  g_autoptr(GArray) groups = g_array_new(FALSE, FALSE, sizeof(DecodeGroup));
  GString *text = g_string_sized_new(window->end - window->start);
  DecodeMap map;
  bool good = true;

  *is_text = decode_window(view, window, text, groups, &map);
  if (*is_text)
    good = scan_form(scratch, text, level + 1, max_findings, findings, error);
  for (guint i = first; i < findings->len; i++) {
    Finding *at = &g_array_index(findings, Finding, i);

    at->start =
        window->start +
        g_array_index(groups, DecodeGroup, decode_group(&map, at->start)).start;
    at->end =
        window->start +
        g_array_index(groups, DecodeGroup, decode_group(&map, at->end - 1)).end;
  }
  wipe_text(text);
  return good;
}

bool
views_scan(DetectorScratch *scratch,
           const TextView *view,
           unsigned level,
           size_t max_findings,
           GArray *findings,
           GError **error)
{
  DecodeScan scan = {.pos = view->start};
  DecodeWindow window;

  if (level == VIEW_LEVELS)
    return true;
  if (!scan_folded(scratch, view, level, max_findings, findings, error))
    return false;
  while (decode_next(&scan, view, &window)) {
    bool is_text;

    if (!views_scan_window(scratch,
                           view,
                           &window,
                           level,
                           max_findings,
                           findings,
                           &is_text,
                           error))
      return false;
    if (!is_text)
      decode_give_up(&scan);
  }
  return true;
}
