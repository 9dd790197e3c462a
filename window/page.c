/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of the sheet become tags of a text view. Nothing in the text is markup
 * to it, and its lines wrap without hyphens that nobody sent. */
#include "window/page.h"
#include <gtk/gtk.h>

#define MARGIN 12

typedef struct {
  int start, end; /* characters */
  unsigned finding;
} Place;

struct review_page {
  Sheet *sheet;
  void (*seen)(void *data);
  void *data;
  GtkWidget *scroller;
  GtkTextView *view;
  GtkTextBuffer *buffer;
  GArray *places; /* Place of each finding as it is shown, in order */
  unsigned at;    /* finding that was stepped to; 0: none */
  bool masked;
};

/* ---- Tags ------------------------------------------------------------------
 */

/* Told apart by weight, underline and labels, not by colour alone. */
static void
add_tags(GtkTextBuffer *buffer)
{
  gtk_text_buffer_create_tag(buffer, "all", "insert-hyphens", FALSE, NULL);
  gtk_text_buffer_create_tag(buffer,
                             "heading",
                             "weight",
                             PANGO_WEIGHT_BOLD,
                             "family",
                             "sans",
                             "pixels-above-lines",
                             10,
                             "pixels-below-lines",
                             4,
                             NULL);
  gtk_text_buffer_create_tag(
      buffer, "detail", "foreground", "#77767b", "family", "sans", NULL);
  gtk_text_buffer_create_tag(buffer,
                             "finding",
                             "background",
                             "#fbe2b7",
                             "foreground",
                             "#5e2a00",
                             "weight",
                             PANGO_WEIGHT_BOLD,
                             "underline",
                             PANGO_UNDERLINE_SINGLE,
                             NULL);
  gtk_text_buffer_create_tag(buffer,
                             "sent",
                             "background",
                             "#d3f0dc",
                             "foreground",
                             "#0b4a24",
                             "weight",
                             PANGO_WEIGHT_BOLD,
                             NULL);
  gtk_text_buffer_create_tag(
      buffer, "masked", "background", "#dfe9f7", "foreground", "#1a3d6d", NULL);
  gtk_text_buffer_create_tag(buffer,
                             "label",
                             "foreground",
                             "#8f4700",
                             "family",
                             "sans",
                             "scale",
                             0.85,
                             NULL);
  gtk_text_buffer_create_tag(
      buffer, "hidden", "background", "#f9d6d5", "foreground", "#8b0d18", NULL);
  gtk_text_buffer_create_tag(buffer,
                             "gap",
                             "background",
                             "#ececec",
                             "foreground",
                             "#3d3846",
                             "style",
                             PANGO_STYLE_ITALIC,
                             NULL);
}

static const char *
tag_name(SheetStyle style)
{
  static const char *const names[] = {[SHEET_PLAIN] = NULL,
                                      [SHEET_HEADING] = "heading",
                                      [SHEET_DETAIL] = "detail",
                                      [SHEET_FINDING] = "finding",
                                      [SHEET_SENT] = "sent",
                                      [SHEET_MASKED] = "masked",
                                      [SHEET_LABEL] = "label",
                                      [SHEET_HIDDEN] = "hidden",
                                      [SHEET_GAP] = "gap"};

  return names[style];
}

static void
tag(ReviewPage *page, const char *name, int start, int end)
{
  GtkTextIter from, to;

  gtk_text_buffer_get_iter_at_offset(page->buffer, &from, start);
  gtk_text_buffer_get_iter_at_offset(page->buffer, &to, end);
  gtk_text_buffer_apply_tag_by_name(page->buffer, name, &from, &to);
}

static void
note_place(ReviewPage *page, unsigned finding, int start, int end)
{
  Place *last = page->places->len
                    ? &g_array_index(page->places, Place, page->places->len - 1)
                    : NULL;
  const Place place = {start, end, finding};

  if (last && last->finding == finding)
    last->end = end;
  else
    g_array_append_val(page->places, place);
}

static void
fill(ReviewPage *page)
{
  const SheetText *text = sheet_text(page->sheet, page->masked);
  int at = 0;

  g_array_set_size(page->places, 0);
  gtk_text_buffer_set_text(page->buffer, text->text->str, (int)text->text->len);
  for (unsigned i = 0; i < text->runs->len; i++) {
    const SheetRun *run = &g_array_index(text->runs, SheetRun, i);
    const int end = at + (int)g_utf8_strlen(text->text->str + run->start,
                                            (gssize)(run->end - run->start));

    if (tag_name(run->style))
      tag(page, tag_name(run->style), at, end);
    if (run->finding)
      note_place(page, run->finding, at, end);
    at = end;
  }
  tag(page, "all", 0, at);
}

/* ---- Seeing ----------------------------------------------------------------
 */

static int
offset_at(ReviewPage *page, int x, int y)
{
  GtkTextIter iter;

  gtk_text_view_get_iter_at_location(page->view, &iter, x, y);
  return gtk_text_iter_get_offset(&iter);
}

/* The view knows of what it draws where it stands; of the rest it guesses. So
 * what is seen is what lies between the first and the last letter drawn. */
void
review_page_look(ReviewPage *page)
{
  GdkRectangle rect;
  unsigned before = sheet_unseen(page->sheet);
  int first, last;

  if (page->masked || !gtk_widget_get_mapped(GTK_WIDGET(page->view)))
    return;
  gtk_text_view_get_visible_rect(page->view, &rect);
  if (rect.height < 2 || rect.width < 2)
    return;
  first = offset_at(page, rect.x, rect.y);
  last = offset_at(page, rect.x + rect.width, rect.y + rect.height - 1);
  for (unsigned i = 0; i < page->places->len; i++) {
    const Place *place = &g_array_index(page->places, Place, i);

    if (place->start >= first && place->start <= last)
      sheet_see(page->sheet, place->finding);
  }
  if (sheet_unseen(page->sheet) != before)
    page->seen(page->data);
}

static void
on_moved(GtkAdjustment *adjustment, gpointer data)
{
  (void)adjustment;
  review_page_look(data);
}

static void
go_to(ReviewPage *page, int start, int end)
{
  GtkTextIter from, to;

  gtk_text_buffer_get_iter_at_offset(page->buffer, &from, start);
  gtk_text_buffer_get_iter_at_offset(page->buffer, &to, end);
  gtk_text_buffer_select_range(page->buffer, &from, &to);
  gtk_text_view_scroll_to_mark(page->view,
                               gtk_text_buffer_get_insert(page->buffer),
                               0.1,
                               TRUE,
                               0.0,
                               0.5);
}

void
review_page_step(ReviewPage *page, bool back)
{
  const unsigned n = page->places->len;
  const Place *place;

  if (n == 0)
    return;
  if (back)
    page->at = page->at > 1 ? page->at - 1 : n;
  else
    page->at = page->at < n ? page->at + 1 : 1;
  place = &g_array_index(page->places, Place, page->at - 1);
  go_to(page, place->start, place->end);
  if (page->masked)
    return;
  sheet_see(page->sheet, place->finding);
  page->seen(page->data);
}

bool
review_page_search(ReviewPage *page, const char *text, bool back)
{
  const GtkTextSearchFlags how =
      GTK_TEXT_SEARCH_TEXT_ONLY | GTK_TEXT_SEARCH_CASE_INSENSITIVE;
  GtkTextIter from, to, start, end;
  bool found;

  if (!*text)
    return true;
  gtk_text_buffer_get_selection_bounds(page->buffer, &from, &to);
  if (back)
    found = gtk_text_iter_backward_search(&from, text, how, &start, &end, NULL);
  else
    found = gtk_text_iter_forward_search(&to, text, how, &start, &end, NULL);
  if (!found && back) {
    gtk_text_buffer_get_end_iter(page->buffer, &from);
    found = gtk_text_iter_backward_search(&from, text, how, &start, &end, NULL);
  } else if (!found) {
    gtk_text_buffer_get_start_iter(page->buffer, &to);
    found = gtk_text_iter_forward_search(&to, text, how, &start, &end, NULL);
  }
  if (found)
    go_to(
        page, gtk_text_iter_get_offset(&start), gtk_text_iter_get_offset(&end));
  return found;
}

/* ---- Life ------------------------------------------------------------------
 */

void
review_page_show(ReviewPage *page, bool masked)
{
  if (page->masked == masked)
    return;
  page->masked = masked;
  page->at = 0;
  fill(page);
}

GtkWidget *
review_page_widget(ReviewPage *page)
{
  return page->scroller;
}

ReviewPage *
review_page_new(Sheet *sheet, void (*seen)(void *data), void *data)
{
  ReviewPage *page = g_new0(ReviewPage, 1);
  GtkTextIter start;

  page->sheet = sheet;
  page->seen = seen;
  page->data = data;
  page->places = g_array_new(FALSE, FALSE, sizeof(Place));
  page->view = GTK_TEXT_VIEW(gtk_text_view_new());
  page->buffer = gtk_text_view_get_buffer(page->view);
  gtk_text_buffer_set_enable_undo(page->buffer, FALSE);
  gtk_text_view_set_editable(page->view, FALSE);
  gtk_text_view_set_monospace(page->view, TRUE);
  gtk_text_view_set_accepts_tab(page->view, FALSE);
  gtk_text_view_set_wrap_mode(page->view, GTK_WRAP_WORD_CHAR);
  gtk_text_view_set_left_margin(page->view, MARGIN);
  gtk_text_view_set_right_margin(page->view, MARGIN);
  gtk_text_view_set_top_margin(page->view, MARGIN / 2);
  gtk_text_view_set_bottom_margin(page->view, MARGIN);
  gtk_text_view_set_pixels_inside_wrap(page->view, 1);
  gtk_accessible_update_property(GTK_ACCESSIBLE(page->view),
                                 GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 "The request's text",
                                 -1);
  page->scroller = gtk_scrolled_window_new();
  g_object_ref_sink(page->scroller);
  gtk_scrolled_window_set_has_frame(GTK_SCROLLED_WINDOW(page->scroller), TRUE);
  gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(page->scroller),
                                GTK_WIDGET(page->view));
  gtk_widget_set_vexpand(page->scroller, TRUE);
  add_tags(page->buffer);
  fill(page);
  gtk_text_buffer_get_start_iter(page->buffer, &start);
  gtk_text_buffer_place_cursor(page->buffer, &start);
  g_signal_connect(
      gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(page->scroller)),
      "value-changed",
      G_CALLBACK(on_moved),
      page);
  return page;
}

void
review_page_free(ReviewPage *page)
{
  if (!page)
    return;
  g_signal_handlers_disconnect_by_data(
      gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(page->scroller)),
      page);
  g_array_unref(page->places);
  g_object_unref(page->scroller);
  g_free(page);
}
