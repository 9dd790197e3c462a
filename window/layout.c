/* SPDX-License-Identifier: Apache-2.0 */
/* Where everything stands: who asks on top, the text in the middle, the answers
 * at the bottom, each with its name for screen readers and its letter. */
#include "window/private.h"
#include <gtk/gtk.h>

#define WIDTH 880
#define HEIGHT 600
#define GAP 8
#define EDGE 14
/* Of one row's text; its end is an ellipsis then. */
#define MAX_LINES 3
/* Narrower ones would make the window higher than screens are. */
#define MIN_CHARS 60

static const ReviewTerm terms[] = {
    {.text = "this request only", .once = true},
    {.text = "10 minutes", .seconds = 10 * 60},
    {.text = "1 hour", .seconds = 60 * 60},
    {.text = "this conversation", .session = true},
};

const ReviewTerm *
review_term(unsigned index)
{
  return &terms[index < G_N_ELEMENTS(terms) ? index : 0];
}

static GtkWidget *
box(GtkOrientation orientation)
{
  return gtk_box_new(orientation, GAP);
}

static void
add(GtkWidget *parent, GtkWidget *child)
{
  gtk_box_append(GTK_BOX(parent), child);
}

static GtkWidget *
label(const char *text, const char *class)
{
  GtkWidget *widget = gtk_label_new(text);

  gtk_label_set_xalign(GTK_LABEL(widget), 0);
  gtk_label_set_wrap(GTK_LABEL(widget), TRUE);
  gtk_label_set_wrap_mode(GTK_LABEL(widget), PANGO_WRAP_WORD_CHAR);
  if (class)
    gtk_widget_add_css_class(widget, class);
  return widget;
}

static void
name(GtkWidget *widget, const char *text)
{
  gtk_accessible_update_property(
      GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, text, -1);
}

/* The toolkit would read a button's mnemonic mark aloud, and then its label. */
static GtkWidget *
named(GtkWidget *button, const char *text)
{
  gtk_accessible_reset_relation(GTK_ACCESSIBLE(button),
                                GTK_ACCESSIBLE_RELATION_LABELLED_BY);
  name(button, text);
  return button;
}

static void
stretch(GtkWidget *widget)
{
  gtk_widget_set_hexpand(widget, TRUE);
}

/* ---- On top ----------------------------------------------------------------
 */

static GtkWidget *
headline(ReviewLayout *layout)
{
  GtkWidget *row = box(GTK_ORIENTATION_HORIZONTAL);
  GtkWidget *title = label("A request waits for your answer", "title-3");

  stretch(title);
  layout->time = gtk_label_new("");
  gtk_widget_add_css_class(layout->time, "dim-label");
  add(row, title);
  add(row, layout->time);
  return row;
}

static GtkWidget *
rows(Sheet *sheet, int64_t now_us)
{
  const GPtrArray *list = sheet_rows(sheet, now_us);
  GtkWidget *grid = gtk_grid_new();

  gtk_grid_set_column_spacing(GTK_GRID(grid), EDGE);
  gtk_grid_set_row_spacing(GTK_GRID(grid), 2);
  for (unsigned i = 0; i < list->len; i++) {
    const SheetRow *row = list->pdata[i];
    GtkWidget *left = label(row->label, "dim-label");
    GtkWidget *right = label(row->value, NULL);
    g_autofree char *read = NULL;

    /* One that may wrap makes the window as high as it would be then. */
    gtk_label_set_wrap(GTK_LABEL(left), FALSE);
    gtk_widget_set_valign(left, GTK_ALIGN_START);
    gtk_label_set_width_chars(GTK_LABEL(right), MIN_CHARS);
    gtk_label_set_lines(GTK_LABEL(right), MAX_LINES);
    gtk_label_set_ellipsize(GTK_LABEL(right), PANGO_ELLIPSIZE_END);
    stretch(right);
    read = g_strdup_printf("%s: %s", row->label, row->value);
    name(right, read);
    gtk_grid_attach(GTK_GRID(grid), left, 0, (int)i, 1, 1);
    gtk_grid_attach(GTK_GRID(grid), right, 1, (int)i, 1, 1);
  }
  return grid;
}

/* ---- Around the text -------------------------------------------------------
 */

static GtkWidget *
tools(ReviewLayout *layout, Sheet *sheet)
{
  GtkWidget *row = box(GTK_ORIENTATION_HORIZONTAL);
  const bool some = sheet_findings(sheet) > 0;

  layout->findings = label("", NULL);
  stretch(layout->findings);
  layout->previous =
      named(gtk_button_new_with_mnemonic("Pre_vious"), "Previous finding");
  layout->next =
      named(gtk_button_new_with_mnemonic("_Next finding"), "Next finding");
  layout->show_masked = named(
      gtk_toggle_button_new_with_mnemonic("Show as mas_ked"), "Show as masked");
  gtk_widget_set_tooltip_text(layout->previous, "Shift+F8");
  gtk_widget_set_tooltip_text(layout->next, "F8");
  gtk_widget_set_tooltip_text(layout->show_masked,
                              "What \"Approve masked\" would send");
  gtk_widget_set_visible(layout->previous, some);
  gtk_widget_set_visible(layout->next, some);
  gtk_widget_set_visible(layout->show_masked, sheet_flag(sheet, "can_mask"));
  add(row, layout->findings);
  add(row, layout->previous);
  add(row, layout->next);
  add(row, layout->show_masked);
  return row;
}

static GtkWidget *
search(ReviewLayout *layout)
{
  layout->search_bar = gtk_search_bar_new();
  layout->search = gtk_search_entry_new();
  gtk_widget_set_size_request(layout->search, WIDTH / 3, -1);
  name(layout->search, "Search the request's text");
  gtk_search_bar_set_child(GTK_SEARCH_BAR(layout->search_bar), layout->search);
  gtk_search_bar_connect_entry(GTK_SEARCH_BAR(layout->search_bar),
                               GTK_EDITABLE(layout->search));
  return layout->search_bar;
}

static GtkWidget *
left_out(ReviewLayout *layout, Sheet *sheet)
{
  g_autofree char *text = sheet_left_out(sheet);
  g_autofree char *said = g_strdup_printf("%s I know that.", text ? text : "");
  g_autofree char *marked =
      g_strdup_printf("%s _I know that.", text ? text : "");

  layout->left_out = named(gtk_check_button_new_with_mnemonic(marked), said);
  gtk_widget_set_visible(layout->left_out, text != NULL);
  return layout->left_out;
}

/* ---- The answers -----------------------------------------------------------
 */

/* `target`: what the mnemonic is for, `field` or a part of it. */
static GtkWidget *
labelled(const char *mnemonic, GtkWidget *field, GtkWidget *target)
{
  GtkWidget *row = box(GTK_ORIENTATION_HORIZONTAL);
  GtkWidget *left = gtk_label_new_with_mnemonic(mnemonic);

  gtk_label_set_mnemonic_widget(GTK_LABEL(left), target);
  add(row, left);
  add(row, field);
  return row;
}

/* The focus is on the button inside, which has no name of its own. */
void
review_term_name(GtkWidget *term)
{
  const ReviewTerm *chosen =
      review_term(gtk_drop_down_get_selected(GTK_DROP_DOWN(term)));
  g_autofree char *text = g_strdup_printf("For %s", chosen->text);

  named(gtk_widget_get_first_child(term), text);
}

static GtkWidget *
fields(ReviewLayout *layout, Sheet *sheet)
{
  const char *list[G_N_ELEMENTS(terms) + 1] = {NULL};
  GtkWidget *column = box(GTK_ORIENTATION_VERTICAL);
  GtkWidget *row = box(GTK_ORIENTATION_HORIZONTAL), *term;

  for (unsigned i = 0; i < G_N_ELEMENTS(terms); i++)
    list[i] = terms[i].text;
  layout->term = gtk_drop_down_new_from_strings(list);
  name(layout->term, "For");
  layout->reason = gtk_entry_new();
  stretch(layout->reason);
  gtk_entry_set_max_length(GTK_ENTRY(layout->reason), 500);
  gtk_entry_set_placeholder_text(
      GTK_ENTRY(layout->reason),
      sheet_flag(sheet, "needs_reason")
          ? "The rule asks for one before you approve"
          : "For the record; on denial the person who asked reads it");
  layout->scope = label("", "dim-label");
  gtk_label_set_width_chars(GTK_LABEL(layout->scope), MIN_CHARS);
  gtk_widget_set_visible(layout->scope, FALSE);
  term =
      labelled("_For", layout->term, gtk_widget_get_first_child(layout->term));
  review_term_name(layout->term);
  gtk_widget_set_visible(term,
                         sheet_flag(sheet, "can_grant") ||
                             sheet_flag(sheet, "can_remember"));
  add(row, labelled("_Reason", layout->reason, layout->reason));
  stretch(gtk_widget_get_first_child(row));
  add(row, term);
  add(column, row);
  add(column, layout->scope);
  return column;
}

static GtkWidget *
answers(ReviewLayout *layout, Sheet *sheet)
{
  GtkWidget *row = box(GTK_ORIENTATION_HORIZONTAL);

  layout->more = named(gtk_button_new_with_mnemonic("More _time"), "More time");
  layout->deny = named(gtk_button_new_with_mnemonic("_Deny"), "Deny");
  layout->approve_masked =
      named(gtk_button_new_with_mnemonic("Approve _masked"), "Approve masked");
  layout->approve = named(gtk_button_new_with_mnemonic("_Approve"), "Approve");
  layout->status = g_object_new(
      GTK_TYPE_LABEL, "accessible-role", GTK_ACCESSIBLE_ROLE_STATUS, NULL);
  gtk_label_set_xalign(GTK_LABEL(layout->status), 0);
  gtk_label_set_wrap(GTK_LABEL(layout->status), TRUE);
  gtk_label_set_width_chars(GTK_LABEL(layout->status), MIN_CHARS / 2);
  stretch(layout->status);
  gtk_widget_set_visible(layout->approve_masked, sheet_flag(sheet, "can_mask"));
  add(row, layout->status);
  add(row, layout->more);
  add(row, layout->deny);
  add(row, layout->approve_masked);
  add(row, layout->approve);
  return row;
}

void
review_layout_build(ReviewLayout *layout,
                    Sheet *sheet,
                    GtkWidget *page,
                    int64_t now_us)
{
  GtkWidget *column = box(GTK_ORIENTATION_VERTICAL);

  gtk_widget_set_margin_top(column, EDGE);
  gtk_widget_set_margin_bottom(column, EDGE);
  gtk_widget_set_margin_start(column, EDGE);
  gtk_widget_set_margin_end(column, EDGE);
  add(column, headline(layout));
  add(column, rows(sheet, now_us));
  add(column, tools(layout, sheet));
  add(column, search(layout));
  add(column, page);
  add(column, left_out(layout, sheet));
  add(column, fields(layout, sheet));
  add(column, answers(layout, sheet));
  layout->window = gtk_window_new();
  gtk_window_set_title(GTK_WINDOW(layout->window), "Review");
  gtk_window_set_icon_name(GTK_WINDOW(layout->window), "security-high");
  gtk_window_set_default_size(GTK_WINDOW(layout->window), WIDTH, HEIGHT);
  gtk_window_set_child(GTK_WINDOW(layout->window), column);
}
