/* SPDX-License-Identifier: Apache-2.0 */
/* What is over, with its outcome and who said what; and the hub's record. */
#include "hub/page/parts.h"
#include "kit/log.h"
#include <string.h>

/* Reviews that are looked through: each may hold a long text. */
#define MAX_REVIEWS 200
#define MAX_NAME 120
/* Rows of the record that are shown, and that are searched at one time. */
#define MAX_ROWS 100
#define MAX_SEARCHED 1000

static void
put_search(Html *html, const char *action, const char *words)
{
  html_raw(html, "<form class=\"search\" role=\"search\" method=\"get\"");
  html_link(html, "action", "/", action);
  html_raw(html,
           "><label for=\"words\" class=\"unseen\">Search</label>"
           "<input type=\"search\" id=\"words\" name=\"words\" "
           "maxlength=\"200\" placeholder=\"Person, rule, model, outcome\"");
  html_attr(html, "value", words);
  html_raw(html, "><button class=\"button\">Search</button></form>");
}

static void
store_failed(PageVisit *visit, const GError *error)
{
  log_error("store error=\"%s\"", error->message);
  page_refuse(visit, 500, "Not now", "The hub cannot read this now.");
}

/* ---- words ----------------------------------------------------------------
 */

/* The words that a text may hold, each somewhere; text grows by those. */
static void
gather(GString *out, const char *text)
{
  if (text)
    g_string_append_printf(out, " %s", text);
}

/* Whether every word is somewhere in the text; without case. */
static bool
has_words(const GString *text, const char *words)
{
  g_autofree char *folded = g_utf8_casefold(text->str, (gssize)text->len);
  g_auto(GStrv) list = g_strsplit(words ? words : "", " ", -1);

  for (unsigned i = 0; list[i]; i++) {
    g_autofree char *word = g_utf8_casefold(list[i], -1);

    if (!strstr(folded, word))
      return false;
  }
  return true;
}

/* ---- reviews --------------------------------------------------------------
 */

static bool
fits(const Review *review, const char *words)
{
  const ReviewAsk *ask = review->ask;
  g_autoptr(GString) text = g_string_new(words_state(review->state));

  gather(text, review->user);
  gather(text, ask->client);
  gather(text, ask->model);
  gather(text, ask->connection);
  gather(text, ask->id);
  gather(text, ask->exchange);
  for (guint i = 0; i < ask->rules->len; i++) {
    const ReviewRule *rule = ask->rules->pdata[i];

    gather(text, rule->id);
    gather(text, rule->message);
  }
  for (guint i = 0; i < review->voices->len; i++) {
    const ReviewVoice *voice = review->voices->pdata[i];

    gather(text, voice->user);
    gather(text, voice->reason);
  }
  return has_words(text, words);
}

static void
put_voices(Html *html, const GPtrArray *voices)
{
  for (guint i = 0; i < voices->len; i++) {
    const ReviewVoice *voice = voices->pdata[i];

    if (voice->answer == REVIEW_DENIED)
      html_raw(html, "<li class=\"no\">");
    else
      html_raw(html, "<li class=\"yes\">");
    html_brief(html, voice->user, MAX_NAME);
    if (voice->reason && *voice->reason) {
      html_raw(html, ": “");
      html_brief(html, voice->reason, MAX_NAME);
      html_raw(html, "”");
    }
    html_raw(html, "</li>");
  }
}

static void
put_review(Html *html, const Review *review)
{
  const ReviewAsk *ask = review->ask;
  const ReviewRule *rule = ask->rules->pdata[0];

  html_raw(html, "<li class=\"item\"><a");
  html_link(html, "href", "/reviews/", ask->id);
  html_raw(html, "><span class=\"line\"><strong>");
  html_brief(html, review->user, MAX_NAME);
  html_raw(html, "</strong><span class=\"because\">");
  html_brief(html, rule->message ? rule->message : rule->id, 2 * MAX_NAME);
  html_raw(html, "</span><span class=\"badge\"");
  html_attr(html, "data-state", review_state_name(review->state));
  html_raw(html, ">");
  html_text(html, words_state(review->state));
  html_raw(html, "</span></span></a><ul class=\"facts\"><li>");
  html_time(html, review->ended_us);
  html_raw(html, "</li>");
  if (ask->model) {
    html_raw(html, "<li>");
    html_brief(html, ask->model, MAX_NAME);
    html_raw(html, "</li>");
  }
  put_voices(html, review->voices);
  html_raw(html, "</ul></li>");
}

void
history_show(PageVisit *visit, const char *query)
{
  const Hub *hub = visit->page->hub;
  g_autoptr(Form) form =
      form_parse(query ? query : "", query ? strlen(query) : 0);
  const char *words = form_get(form, "words");
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) list =
      store_list(hub->store, false, MAX_REVIEWS, &error);
  g_autoptr(Html) html = NULL;
  unsigned n = 0;

  if (!list) {
    store_failed(visit, error);
    return;
  }
  html = frame_begin(visit, "History", "history", TAB_HISTORY);
  html_raw(html, "<div class=\"head\"><h1>History</h1>");
  put_search(html, "history", words);
  html_raw(html, "</div>");
  for (guint i = 0; i < list->len; i++) {
    const Review *review = list->pdata[i];

    if (review->state == STATE_PENDING ||
        !reviews_may_see(hub->reviews, review, visit->person) ||
        !fits(review, words))
      continue;
    if (n++ == 0)
      html_raw(html, "<ol class=\"items\">");
    put_review(html, review);
  }
  if (n > 0)
    html_raw(html, "</ol>");
  else
    html_raw(html, "<div class=\"empty\"><p>Nothing is here.</p></div>");
  if (list->len == MAX_REVIEWS)
    html_raw(html,
             "<p class=\"dim\">The latest 200 requests were looked "
             "at.</p>");
  frame_end(html);
  page_answer(visit, 200, html);
}

/* ---- the record -----------------------------------------------------------
 */

typedef struct {
  Html *html;
  const char *words;
  unsigned read, shown;
  int64_t last;
} Rows;

static void
put_row(const RecordRow *row, void *data)
{
  Rows *rows = data;
  g_autoptr(GString) text = g_string_new(row->kind);

  gather(text, row->user);
  gather(text, row->review);
  gather(text, row->detail);
  rows->read++;
  rows->last = row->seq;
  if (!has_words(text, rows->words))
    return;
  rows->shown++;
  html_raw(rows->html, "<tr><td class=\"num\">");
  html_number(rows->html, row->seq);
  html_raw(rows->html, "</td><td>");
  html_time(rows->html, row->at_us);
  html_raw(rows->html, "</td><td>");
  html_text(rows->html, row->kind);
  html_raw(rows->html, "</td><td>");
  html_brief(rows->html, row->user, MAX_NAME);
  html_raw(rows->html, "</td><td>");
  if (row->review) {
    html_raw(rows->html, "<a");
    html_link(rows->html, "href", "/reviews/", row->review);
    html_raw(rows->html, "><code>");
    html_brief(rows->html, row->review, 8);
    html_raw(rows->html, "</code></a>");
  }
  html_raw(rows->html, "</td><td class=\"detail\">");
  html_brief(rows->html, row->detail, MAX_NAME);
  html_raw(rows->html, "</td></tr>");
}

static void
put_more(Html *html, const Rows *rows)
{
  html_raw(html,
           "<form method=\"get\" action=\"/record\" class=\"more\">"
           "<input type=\"hidden\" name=\"words\"");
  html_attr(html, "value", rows->words);
  html_raw(html, "><button class=\"button\" name=\"after\" value=\"");
  html_number(html, rows->last);
  html_raw(html, "\">Later rows</button></form>");
}

void
record_show(PageVisit *visit, const char *query)
{
  const Hub *hub = visit->page->hub;
  g_autoptr(Form) form =
      form_parse(query ? query : "", query ? strlen(query) : 0);
  const char *after = form_get(form, "after");
  g_autoptr(GError) error = NULL;
  g_autoptr(Html) html = NULL;
  guint64 behind = 0;
  Rows rows = {.words = form_get(form, "words")};

  if (!hub_has_role(hub->config, visit->person, ROLE_AUDITOR) &&
      !hub_has_role(hub->config, visit->person, ROLE_ADMIN)) {
    page_refuse(visit, 403, "Not for you", "The record is for auditors.");
    return;
  }
  if (after &&
      !g_ascii_string_to_unsigned(after, 10, 0, INT64_MAX, &behind, NULL)) {
    page_refuse(visit, 400, "Refused", "That is no number of a row.");
    return;
  }
  html = frame_begin(visit, "Record", "record", TAB_RECORD);
  html_raw(html,
           "<div class=\"head\"><h1>Record of this hub</h1>"
           "<a href=\"/audit\">Record of all agents</a>");
  put_search(html, "record", rows.words);
  html_raw(html,
           "</div><div class=\"wide\"><table><thead><tr><th>Row</th>"
           "<th>When</th><th>What</th><th>Who</th><th>Review</th>"
           "<th>Detail</th></tr></thead><tbody>");
  rows.html = html;
  if (!store_each_record(hub->store,
                         (int64_t)behind,
                         rows.words && *rows.words ? MAX_SEARCHED : MAX_ROWS,
                         put_row,
                         &rows,
                         &error)) {
    store_failed(visit, error);
    return;
  }
  html_raw(html, "</tbody></table></div>");
  if (rows.shown == 0)
    html_raw(html, "<p class=\"dim\">No row here.</p>");
  if (rows.read >= MAX_ROWS)
    put_more(html, &rows);
  frame_end(html);
  page_answer(visit, 200, html);
}
