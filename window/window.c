/* SPDX-License-Identifier: Apache-2.0 */
/* The window's life: asks the daemon for the request, follows what becomes of
 * it, lets nothing be approved that was not seen, and gives the answer. */
#include "window/window.h"
#include "bus/bus.h"
#include "config/config.h"
#include "kit/clock.h"
#include "window/private.h"
#include <gtk/gtk.h>

/* How often it is looked whether findings came into sight, while some did not.
 */
#define LOOK_MS 200
/* The answer of a person who proves to be there comes after a while. */
#define PRESENCE_MS (10 * 60 * 1000)

typedef struct {
  ReviewLayout at;
  char *id;
  HoopAgent1 *agent;
  GCancellable *cancel;
  GVariant *review;
  Sheet *sheet;
  ReviewPage *page;
  int64_t shown_us; /* monotonic; 0: not yet */
  guint looking, time;
  bool busy, over;
  char *ended; /* told while an answer was on its way; or NULL */
} Review;

/* ---- What is shown of the state --------------------------------------------
 */

static void
say(Review *review, const char *text)
{
  gtk_label_set_text(GTK_LABEL(review->at.status), text);
}

static const char *
reason(Review *review)
{
  return gtk_editable_get_text(GTK_EDITABLE(review->at.reason));
}

static void
show_findings(Review *review)
{
  const unsigned n = sheet_findings(review->sheet);
  const unsigned unseen = sheet_unseen(review->sheet);
  g_autofree char *text =
      n == 0 ? g_strdup("Nothing was found in the text.")
             : g_strdup_printf("%u finding%s", n, n == 1 ? "" : "s");
  g_autofree char *both =
      n && unseen ? g_strdup_printf("%s, %u not seen yet", text, unseen)
      : n         ? g_strdup_printf("%s, all seen", text)
                  : g_steal_pointer(&text);

  gtk_label_set_text(GTK_LABEL(review->at.findings), both);
}

static void
update(Review *review)
{
  const int64_t look =
      review->shown_us ? g_get_monotonic_time() - review->shown_us : 0;
  g_autofree char *why = sheet_why_not(review->sheet, look, reason(review));
  const bool open = !review->busy && !review->over;

  show_findings(review);
  if (open)
    say(review, why ? why : "");
  gtk_widget_set_sensitive(review->at.approve, open && !why);
  gtk_widget_set_sensitive(review->at.approve_masked, open && !why);
  gtk_widget_set_sensitive(review->at.deny, open);
  gtk_widget_set_sensitive(review->at.reason, open);
  gtk_widget_set_sensitive(review->at.term, open);
  gtk_widget_set_sensitive(review->at.more, open);
  gtk_widget_set_visible(review->at.more,
                         sheet_time(review->sheet, "extensions") > 0);
}

static void
seen(void *data)
{
  update(data);
}

static gboolean
on_look(gpointer data)
{
  Review *review = data;

  review_page_look(review->page);
  update(review);
  if (!review->over &&
      (sheet_unseen(review->sheet) ||
       g_get_monotonic_time() - review->shown_us < SHEET_LOOK_US))
    return G_SOURCE_CONTINUE;
  review->looking = 0;
  return G_SOURCE_REMOVE;
}

static void
on_map(GtkWidget *widget, gpointer data)
{
  Review *review = data;

  (void)widget;
  if (review->shown_us)
    return;
  review->shown_us = g_get_monotonic_time();
  review->looking = g_timeout_add(LOOK_MS, on_look, review);
}

/* ---- Time ------------------------------------------------------------------
 */

static gboolean
on_time(gpointer data)
{
  Review *review = data;
  int64_t next;
  g_autofree char *text = sheet_time_left(
      sheet_time(review->sheet, "deadline_us") - clock_wall_us(), &next);

  review->time = 0;
  gtk_label_set_text(GTK_LABEL(review->at.time), review->over ? "" : text);
  if (next > 0 && !review->over)
    review->time =
        g_timeout_add((guint)MIN(next / 1000 + 1, 3600 * 1000), on_time, data);
  return G_SOURCE_REMOVE;
}

static void
restart_time(Review *review)
{
  if (review->time)
    g_source_remove(review->time);
  on_time(review);
}

static void
end(Review *review, const char *text)
{
  if (review->over)
    return;
  review->over = true;
  update(review);
  restart_time(review);
  say(review, text);
}

/* ---- What the daemon tells -------------------------------------------------
 */

static void
on_decided(HoopAgent1 *agent,
           const char *id,
           const char *outcome,
           const char *who,
           gpointer data)
{
  Review *review = data;
  g_autofree char *text = NULL;

  (void)agent;
  if (!g_str_equal(id, review->id) || review->over || review->ended)
    return;
  text = sheet_ended(outcome, who);
  if (review->busy)
    review->ended = g_steal_pointer(&text); /* the answer's reply follows */
  else
    end(review, text);
}

static void
on_closed(GDBusConnection *connection,
          gboolean remote,
          GError *error,
          gpointer data)
{
  (void)connection;
  (void)remote;
  (void)error;
  end(data, "The agent ended; what waited was not sent.");
}

static void
on_again(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GVariant) now = NULL;
  g_autoptr(GError) error = NULL;
  Review *review = data;

  if (!hoop_agent1_call_review_finish(
          HOOP_AGENT1(source), &now, result, &error))
    return;
  sheet_follow(review->sheet, now);
  update(review);
  restart_time(review);
}

static void
on_changed(HoopAgent1 *agent, const char *id, gpointer data)
{
  Review *review = data;

  if (g_str_equal(id, review->id) && !review->over)
    hoop_agent1_call_review(agent, id, review->cancel, on_again, review);
}

/* ---- Answering -------------------------------------------------------------
 */

static void
answered(Review *review, const char *outcome, GError *error)
{
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_error_free(error);
    return; /* the window is gone */
  }
  review->busy = false;
  if (error && review->ended) {
    end(review, review->ended);
    g_error_free(error);
  } else if (error) {
    g_autofree char *line = NULL;

    g_dbus_error_strip_remote_error(error);
    line = sheet_line(error->message, 300);
    update(review);
    say(review, line);
    g_error_free(error);
  } else if (g_str_equal(outcome, "pending")) {
    end(review, "Your answer is recorded; others are still asked.");
  } else {
    gtk_window_destroy(GTK_WINDOW(review->at.window));
  }
}

static void
on_answered(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree char *outcome = NULL;
  GError *error = NULL;

  hoop_agent1_call_answer_finish(HOOP_AGENT1(source), &outcome, result, &error);
  answered(data, outcome, error);
}

static void
on_answered_for(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree char *outcome = NULL;
  g_autofree char *grant = NULL;
  GError *error = NULL;

  hoop_agent1_call_answer_for_finish(
      HOOP_AGENT1(source), &outcome, &grant, result, &error);
  answered(data, outcome, error);
}

static const ReviewTerm *
chosen_term(Review *review)
{
  return review_term(
      gtk_drop_down_get_selected(GTK_DROP_DOWN(review->at.term)));
}

/* Whether an answer may count for more than this request. */
static bool
counts_longer(Review *review, bool denies)
{
  return sheet_flag(review->sheet, denies ? "can_remember" : "can_grant");
}

static void
give(Review *review, const char *answer)
{
  const ReviewTerm *term = chosen_term(review);
  const bool denies = g_str_equal(answer, "deny");
  const bool remembered = !term->once && counts_longer(review, denies);
  const char *digest = sheet_get(review->sheet, "digest");
  const char *nonce = sheet_get(review->sheet, "nonce");

  if (review->busy || review->over)
    return;
  review->busy = true;
  update(review);
  say(review,
      !denies && sheet_flag(review->sheet, "presence") ? "Prove that it is you…"
                                                       : "");
  if (!remembered)
    hoop_agent1_call_answer(review->agent,
                            review->id,
                            "review",
                            answer,
                            digest,
                            nonce,
                            reason(review),
                            review->cancel,
                            on_answered,
                            review);
  else
    hoop_agent1_call_answer_for(review->agent,
                                review->id,
                                "review",
                                answer,
                                digest,
                                nonce,
                                reason(review),
                                term->seconds,
                                term->session,
                                review->cancel,
                                on_answered_for,
                                review);
}

/* Asked again here: a button could be pressed before it was told. */
static void
approve(Review *review, const char *answer)
{
  g_autofree char *why = sheet_why_not(
      review->sheet, g_get_monotonic_time() - review->shown_us, reason(review));

  if (!why && review->shown_us)
    give(review, answer);
}

static void
on_deny(GtkButton *button, gpointer data)
{
  (void)button;
  give(data, "deny");
}

static void
on_approve(GtkButton *button, gpointer data)
{
  (void)button;
  approve(data, "approve");
}

static void
on_approve_masked(GtkButton *button, gpointer data)
{
  (void)button;
  approve(data, "approve-masked");
}

static void
on_extended(GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  gint64 deadline;

  /* PendingChanged brings the new time. */
  if (!hoop_agent1_call_extend_finish(
          HOOP_AGENT1(source), &deadline, result, &error))
    answered(data, "", error);
}

static void
on_more(GtkButton *button, gpointer data)
{
  Review *review = data;

  (void)button;
  hoop_agent1_call_extend(review->agent,
                          review->id,
                          "review",
                          sheet_get(review->sheet, "nonce"),
                          review->cancel,
                          on_extended,
                          review);
}

/* ---- Keys and fields -------------------------------------------------------
 */

static void
on_edited(GtkEditable *editable, gpointer data)
{
  (void)editable;
  update(data);
}

static void
on_term(GObject *term, GParamSpec *property, gpointer data)
{
  Review *review = data;
  const ReviewTerm *chosen = chosen_term(review);
  g_autofree char *scope =
      sheet_scope(review->sheet, clock_wall_us(), chosen->seconds);
  const bool yes = counts_longer(review, false);
  const bool no = counts_longer(review, true);
  g_autofree char *text =
      g_strdup_printf("%s counts for: %s.%s",
                      yes && no ? "Your answer, yes or no,"
                      : yes     ? "An approval"
                                : "A denial",
                      scope,
                      yes && no ? ""
                      : yes     ? " A denial is for this request only."
                                : " An approval is for this request only.");

  (void)term;
  (void)property;
  review_term_name(review->at.term);
  gtk_label_set_text(GTK_LABEL(review->at.scope), text);
  gtk_widget_set_visible(review->at.scope, !chosen->once);
}

static void
on_left_out(GtkCheckButton *button, gpointer data)
{
  Review *review = data;

  sheet_acknowledge(review->sheet, gtk_check_button_get_active(button));
  update(review);
}

static void
on_show_masked(GtkToggleButton *button, gpointer data)
{
  review_page_show(((Review *)data)->page,
                   gtk_toggle_button_get_active(button));
}

static void
step(GtkButton *button, gpointer data)
{
  Review *review = data;

  review_page_step(review->page, GTK_WIDGET(button) == review->at.previous);
}

static void
search(Review *review, bool back)
{
  const bool found =
      review_page_search(review->page,
                         gtk_editable_get_text(GTK_EDITABLE(review->at.search)),
                         back);

  if (found)
    gtk_widget_remove_css_class(review->at.search, "error");
  else
    gtk_widget_add_css_class(review->at.search, "error");
}

static void
on_search(GtkSearchEntry *entry, gpointer data)
{
  (void)entry;
  search(data, false);
}

static gboolean
on_key(GtkEventControllerKey *keys,
       guint key,
       guint code,
       GdkModifierType modifiers,
       gpointer data)
{
  Review *review = data;
  GtkSearchBar *bar = GTK_SEARCH_BAR(review->at.search_bar);

  (void)keys;
  (void)code;
  if (key == GDK_KEY_F8) {
    review_page_step(review->page, (modifiers & GDK_SHIFT_MASK) != 0);
  } else if (key == GDK_KEY_f && (modifiers & GDK_CONTROL_MASK)) {
    gtk_search_bar_set_search_mode(bar, TRUE);
    gtk_widget_grab_focus(review->at.search);
  } else if (key == GDK_KEY_Escape && gtk_search_bar_get_search_mode(bar)) {
    gtk_search_bar_set_search_mode(bar, FALSE);
  } else if (key == GDK_KEY_Escape) {
    gtk_window_destroy(GTK_WINDOW(review->at.window));
  } else {
    return FALSE;
  }
  return TRUE;
}

static void
connect_fields(Review *review)
{
  const ReviewLayout *at = &review->at;
  GtkEventController *keys = gtk_event_controller_key_new();

  gtk_event_controller_set_propagation_phase(keys, GTK_PHASE_CAPTURE);
  g_signal_connect(keys, "key-pressed", G_CALLBACK(on_key), review);
  gtk_widget_add_controller(at->window, keys);
  g_signal_connect(at->deny, "clicked", G_CALLBACK(on_deny), review);
  g_signal_connect(at->approve, "clicked", G_CALLBACK(on_approve), review);
  g_signal_connect(
      at->approve_masked, "clicked", G_CALLBACK(on_approve_masked), review);
  g_signal_connect(at->more, "clicked", G_CALLBACK(on_more), review);
  g_signal_connect(at->next, "clicked", G_CALLBACK(step), review);
  g_signal_connect(at->previous, "clicked", G_CALLBACK(step), review);
  g_signal_connect(
      at->show_masked, "toggled", G_CALLBACK(on_show_masked), review);
  g_signal_connect(at->left_out, "toggled", G_CALLBACK(on_left_out), review);
  g_signal_connect(at->reason, "changed", G_CALLBACK(on_edited), review);
  g_signal_connect(at->term, "notify::selected", G_CALLBACK(on_term), review);
  g_signal_connect(at->search, "search-changed", G_CALLBACK(on_search), review);
  g_signal_connect(at->search, "activate", G_CALLBACK(on_search), review);
  g_signal_connect(at->search, "next-match", G_CALLBACK(on_search), review);
  g_signal_connect(at->window, "map", G_CALLBACK(on_map), review);
}

/* ---- Life ------------------------------------------------------------------
 */

static void
review_free(void *data)
{
  Review *review = data;

  if (review->looking)
    g_source_remove(review->looking);
  if (review->time)
    g_source_remove(review->time);
  if (review->agent) {
    GDBusConnection *connection =
        g_dbus_proxy_get_connection(G_DBUS_PROXY(review->agent));

    g_cancellable_cancel(review->cancel);
    g_signal_handlers_disconnect_by_data(connection, review);
    g_signal_handlers_disconnect_by_data(review->agent, review);
    g_dbus_connection_close(connection, NULL, NULL, NULL);
    g_clear_object(&review->agent);
  }
  g_clear_object(&review->cancel);
  review_page_free(review->page);
  sheet_free(review->sheet);
  g_clear_pointer(&review->review, g_variant_unref);
  g_free(review->ended);
  g_free(review->id);
  g_free(review);
}

static void
on_destroy(GtkWidget *window, gpointer data)
{
  (void)window;
  review_free(data);
}

/* What there is to say instead of a request. */
static void
open_message(GtkApplication *application, const char *text)
{
  GtkWidget *window = gtk_application_window_new(application);
  GtkWidget *label = gtk_label_new(text);

  gtk_label_set_wrap(GTK_LABEL(label), TRUE);
  gtk_label_set_selectable(GTK_LABEL(label), TRUE);
  gtk_widget_set_margin_top(label, 24);
  gtk_widget_set_margin_bottom(label, 24);
  gtk_widget_set_margin_start(label, 24);
  gtk_widget_set_margin_end(label, 24);
  gtk_window_set_title(GTK_WINDOW(window), "Review");
  gtk_window_set_default_size(GTK_WINDOW(window), 480, -1);
  gtk_window_set_child(GTK_WINDOW(window), label);
  gtk_window_present(GTK_WINDOW(window));
}

static bool
ask_daemon(Review *review, GError **error)
{
  g_autofree char *dir = config_runtime_dir();
  GDBusConnection *connection;

  review->agent = bus_connect(dir, error);
  if (!review->agent ||
      !hoop_agent1_call_review_sync(
          review->agent, review->id, &review->review, NULL, error))
    return false;
  connection = g_dbus_proxy_get_connection(G_DBUS_PROXY(review->agent));
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(review->agent), PRESENCE_MS);
  g_signal_connect(review->agent, "decided", G_CALLBACK(on_decided), review);
  g_signal_connect(
      review->agent, "pending-changed", G_CALLBACK(on_changed), review);
  g_signal_connect(connection, "closed", G_CALLBACK(on_closed), review);
  return true;
}

static bool
present_existing(GtkApplication *application, const char *id)
{
  for (GList *at = gtk_application_get_windows(application); at; at = at->next)
    if (g_strcmp0(g_object_get_data(at->data, "review-id"), id) == 0) {
      gtk_window_present(at->data);
      return true;
    }
  return false;
}

void
review_window_open(GtkApplication *application, const char *id)
{
  g_autoptr(GError) error = NULL;
  Review *review;

  if (present_existing(application, id))
    return;
  review = g_new0(Review, 1);
  review->id = g_strdup(id);
  review->cancel = g_cancellable_new();
  if (!ask_daemon(review, &error)) {
    g_autofree char *line = NULL;

    g_dbus_error_strip_remote_error(error);
    line = sheet_line(error->message, 300);
    open_message(application, line);
    review_free(review);
    return;
  }
  review->sheet = sheet_new(review->review);
  review->page = review_page_new(review->sheet, seen, review);
  review_layout_build(&review->at,
                      review->sheet,
                      review_page_widget(review->page),
                      clock_wall_us());
  g_object_set_data_full(
      G_OBJECT(review->at.window), "review-id", g_strdup(id), g_free);
  connect_fields(review);
  g_signal_connect(
      review->at.window, "destroy", G_CALLBACK(on_destroy), review);
  gtk_window_set_application(GTK_WINDOW(review->at.window), application);
  update(review);
  restart_time(review);
  gtk_window_set_focus(GTK_WINDOW(review->at.window), review->at.deny);
  gtk_window_present(GTK_WINDOW(review->at.window));
}
