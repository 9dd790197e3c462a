/* SPDX-License-Identifier: Apache-2.0 */
/* A review as the daemon told it: its marks checked, and what was seen of it.
 */
#include "sheet/private.h"
#include <string.h>

/* ---- Reading ---------------------------------------------------------------
 */

const char *
sheet_get(const Sheet *sheet, const char *key)
{
  const bool is_text =
      g_str_equal(key, "text") || g_str_equal(key, "masked_text");
  const char *value = "";

  g_variant_lookup(is_text ? sheet->review : sheet->state, key, "&s", &value);
  return value;
}

bool
sheet_flag(const Sheet *sheet, const char *key)
{
  gboolean set = FALSE;

  g_variant_lookup(sheet->state, key, "b", &set);
  return set;
}

int64_t
sheet_time(const Sheet *sheet, const char *key)
{
  gint64 value = 0;
  guint32 count = 0;

  if (g_variant_lookup(sheet->state, key, "x", &value))
    return value;
  g_variant_lookup(sheet->state, key, "u", &count);
  return count;
}

static bool
is_char_start(const char *text, size_t at)
{
  return ((guchar)text[at] & 0xc0) != 0x80;
}

static int
by_place(const void *a, const void *b)
{
  const SheetMark *left = a, *right = b;

  if (left->start != right->start)
    return left->start < right->start ? -1 : 1;
  return left->end > right->end ? -1 : left->end < right->end;
}

static void
count_mark(Sheet *sheet, const SheetMark *mark)
{
  if (!g_str_equal(mark->kind, "gap"))
    return;
  sheet->gap_bytes += g_ascii_strtoull(mark->where, NULL, 10);
  sheet->gap_findings += g_ascii_strtoull(mark->more, NULL, 10);
}

static void
read_marks(Sheet *sheet)
{
  const char *text = sheet_get(sheet, "text");
  const size_t len = strlen(text);
  g_autoptr(GVariant) list = g_variant_lookup_value(
      sheet->review, "marks", G_VARIANT_TYPE("a(uussss)"));
  GVariantIter iter;
  SheetMark mark = {0};

  if (!list)
    return;
  g_variant_iter_init(&iter, list);
  while (g_variant_iter_next(&iter,
                             "(uu&s&s&s&s)",
                             &mark.start,
                             &mark.end,
                             &mark.kind,
                             &mark.name,
                             &mark.where,
                             &mark.more)) {
    if (mark.start > mark.end || mark.end > len ||
        !is_char_start(text, mark.start) || !is_char_start(text, mark.end))
      continue;
    count_mark(sheet, &mark);
    g_array_append_val(sheet->marks, mark);
  }
  g_array_sort(sheet->marks, by_place);
  for (unsigned i = 0; i < sheet->marks->len; i++) {
    SheetMark *at = &g_array_index(sheet->marks, SheetMark, i);

    if (g_str_equal(at->kind, "finding"))
      at->finding = ++sheet->n_findings;
  }
}

Sheet *
sheet_new(GVariant *review)
{
  Sheet *sheet = g_new0(Sheet, 1);

  sheet->review = g_variant_ref(review);
  sheet->state = g_variant_ref(review);
  sheet->marks = g_array_new(FALSE, FALSE, sizeof(SheetMark));
  read_marks(sheet);
  sheet->seen = g_new0(bool, sheet->n_findings + 1);
  return sheet;
}

void
sheet_follow(Sheet *sheet, GVariant *review)
{
  g_variant_unref(sheet->state);
  sheet->state = g_variant_ref(review);
}

void
sheet_free(Sheet *sheet)
{
  if (!sheet)
    return;
  for (unsigned i = 0; i < G_N_ELEMENTS(sheet->texts); i++)
    sheet_text_free(sheet->texts[i]);
  g_clear_pointer(&sheet->rows, g_ptr_array_unref);
  g_array_unref(sheet->marks);
  g_variant_unref(sheet->review);
  g_variant_unref(sheet->state);
  g_free(sheet->seen);
  g_free(sheet);
}

const SheetText *
sheet_text(Sheet *sheet, bool masked)
{
  if (!sheet->texts[masked])
    sheet->texts[masked] = sheet_text_new(sheet, masked);
  return sheet->texts[masked];
}

/* ---- Seen ------------------------------------------------------------------
 */

unsigned
sheet_findings(const Sheet *sheet)
{
  return sheet->n_findings;
}

void
sheet_see(Sheet *sheet, unsigned finding)
{
  if (finding == 0 || finding > sheet->n_findings || sheet->seen[finding])
    return;
  sheet->seen[finding] = true;
  sheet->n_seen++;
}

bool
sheet_saw(const Sheet *sheet, unsigned finding)
{
  return finding > 0 && finding <= sheet->n_findings && sheet->seen[finding];
}

unsigned
sheet_unseen(const Sheet *sheet)
{
  return sheet->n_findings - sheet->n_seen;
}

char *
sheet_left_out(const Sheet *sheet)
{
  g_autofree char *size = NULL;

  if (sheet->gap_bytes == 0)
    return NULL;
  size = g_format_size(sheet->gap_bytes);
  if (sheet->gap_findings == 0)
    return g_strdup_printf("%s of it are not shown here: nothing was found "
                           "there.",
                           size);
  return g_strdup_printf("%s of it are not shown here, with %" G_GUINT64_FORMAT
                         " more finding%s.",
                         size,
                         sheet->gap_findings,
                         sheet->gap_findings == 1 ? "" : "s");
}

void
sheet_acknowledge(Sheet *sheet, bool acknowledged)
{
  sheet->acknowledged = acknowledged;
}

static bool
is_blank(const char *text)
{
  return !text || text[strspn(text, " \t\r\n")] == '\0';
}

char *
sheet_why_not(const Sheet *sheet, int64_t look_us, const char *reason)
{
  const unsigned unseen = sheet_unseen(sheet);

  if (unseen)
    return g_strdup_printf(
        "%u of %u finding%s not looked at yet: F8 goes to the next.",
        unseen,
        sheet->n_findings,
        sheet->n_findings == 1 ? " was" : "s were");
  if (sheet->gap_bytes && !sheet->acknowledged)
    return g_strdup("Say first that you know what is not shown.");
  if (sheet_flag(sheet, "needs_reason") && is_blank(reason))
    return g_strdup("The rule asks for a reason.");
  if (look_us < SHEET_LOOK_US)
    return g_strdup("A moment to read it first.");
  return NULL;
}
