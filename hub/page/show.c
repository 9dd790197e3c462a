/* SPDX-License-Identifier: Apache-2.0 */
/* One review: what is asked, by whom, why, who said what, and the answer. */
#include "hub/page/parts.h"
#include "hub/rules.h"
#include "kit/digest.h"
#include "kit/log.h"
#include <string.h>

#define MAX_NAME 200

/* ---- what would be sent ---------------------------------------------------
 */

static void
put_prompt(Html *html, const Review *review)
{
  const ReviewAsk *ask = review->ask;
  g_autoptr(Html) text = html_new();
  const unsigned masks = html_prompt(text, ask->text);

  html_raw(html,
           "<section class=\"prompt\" aria-labelledby=\"sent\">"
           "<h2 id=\"sent\">");
  if (review->state == STATE_PENDING)
    html_raw(html, "What would be sent");
  else
    html_raw(html, "What was shown");
  if (ask->masks)
    html_raw(html, " <span class=\"tag\">masked</span>");
  if (masks > 0) {
    html_raw(html, " <span class=\"dim\">");
    html_number(html, masks);
    if (masks == 1)
      html_raw(html, " mask");
    else
      html_raw(html, " masks");
    html_raw(html, "</span>");
  }
  html_raw(html, "</h2><pre tabindex=\"0\" aria-labelledby=\"sent\">");
  html_add(html, text);
  html_raw(html, "</pre></section>");
}

/* ---- why, and how far it is ------------------------------------------------
 */

static void
put_rule(Html *html, const ReviewRule *rule, const GPtrArray *voices)
{
  unsigned need;
  const unsigned have = rules_have(rule, voices, &need);

  html_raw(html, "<li><p class=\"message\">");
  html_text(html, rule->message ? rule->message : rule->id);
  html_raw(html, "</p><p class=\"dim\">Rule <code>");
  html_text(html, rule->id);
  html_raw(html, "</code> asks ");
  words_need(html, rule);
  html_raw(html, ".");
  if (need > 1) {
    html_raw(html, " <strong>");
    html_number(html, MIN(have, need));
    html_raw(html, " of ");
    html_number(html, need);
    html_raw(html, " said yes.</strong>");
  }
  html_raw(html, "</p></li>");
}

static void
put_voice(Html *html, const ReviewVoice *voice)
{
  if (voice->answer == REVIEW_DENIED)
    html_raw(html, "<li class=\"no\"><strong>");
  else
    html_raw(html, "<li class=\"yes\"><strong>");
  html_brief(html, voice->user, MAX_NAME);
  if (voice->answer == REVIEW_DENIED)
    html_raw(html, "</strong> denied it");
  else if (voice->answer == REVIEW_APPROVED)
    html_raw(html, "</strong> approved it");
  else
    html_raw(html, "</strong> approved it as masked");
  words_groups(html, voice->groups);
  html_raw(html, ", ");
  html_time(html, voice->at_us);
  if (voice->reason && *voice->reason) {
    html_raw(html, "<blockquote>");
    html_lines(html, voice->reason);
    html_raw(html, "</blockquote>");
  }
  html_raw(html, "</li>");
}

static void
put_why(Html *html, const Review *review)
{
  const ReviewAsk *ask = review->ask;

  html_raw(html,
           "<section class=\"why\" aria-labelledby=\"why\">"
           "<h2 id=\"why\">");
  if (review->state == STATE_PENDING)
    html_raw(html, "Why it waits");
  else
    html_raw(html, "Why it waited");
  html_raw(html, "</h2><ul class=\"rules\">");
  for (guint i = 0; i < ask->rules->len; i++)
    put_rule(html, ask->rules->pdata[i], review->voices);
  html_raw(html, "</ul>");
  if (ask->justification && *ask->justification) {
    html_raw(html, "<h2>What ");
    html_brief(html, review->user, MAX_NAME);
    html_raw(html, " says</h2><blockquote>");
    html_lines(html, ask->justification);
    html_raw(html, "</blockquote>");
  }
  if (review->voices->len > 0) {
    html_raw(html, "<h2>Answers</h2><ul class=\"voices\">");
    for (guint i = 0; i < review->voices->len; i++)
      put_voice(html, review->voices->pdata[i]);
    html_raw(html, "</ul>");
  }
  html_raw(html, "</section>");
}

/* ---- facts ----------------------------------------------------------------
 */

static void
put_fact(Html *html, const char *name, const char *value)
{
  if (!value || !*value)
    return;
  html_raw(html, "<div><dt>");
  html_text(html, name);
  html_raw(html, "</dt><dd>");
  html_brief(html, value, 2 * MAX_NAME);
  html_raw(html, "</dd></div>");
}

static void
put_facts(Html *html, const Review *review)
{
  const ReviewAsk *ask = review->ask;
  char digest[SHA256_HEX_SIZE];

  hex_encode(ask->digest, SHA256_LEN, digest);
  html_raw(html,
           "<section class=\"facts\" aria-labelledby=\"facts\">"
           "<h2 id=\"facts\">The request</h2><dl>");
  put_fact(html, "From", review->user);
  put_fact(html, "Program", ask->client);
  put_fact(html, "Process", ask->process);
  put_fact(html, "Model", ask->model);
  put_fact(html, "Connection", ask->connection);
  put_fact(html, "Host", ask->host);
  put_fact(html, "API", ask->api);
  put_fact(html, "Signed in at", review->issuer);
  html_raw(html, "<div><dt>Came</dt><dd>");
  html_time(html, review->received_us);
  html_raw(html, "</dd></div><div><dt>Deadline</dt><dd>");
  html_time(html, ask->deadline_us);
  html_raw(html, "</dd></div>");
  put_fact(html, "Exchange", ask->exchange);
  put_fact(html, "Policy", ask->policy_revision);
  put_fact(html, "Digest", digest);
  html_raw(html, "</dl></section>");
}

/* ---- the answer -----------------------------------------------------------
 */

static bool
spoke(const Review *review, const Person *person)
{
  for (guint i = 0; i < review->voices->len; i++) {
    const ReviewVoice *voice = review->voices->pdata[i];

    if (rules_same_person(voice->issuer,
                          voice->subject,
                          voice->user,
                          person->issuer,
                          person->subject,
                          person->user))
      return true;
  }
  return false;
}

static void
put_form(PageVisit *visit,
         Html *html,
         const Review *review,
         const char *why,
         const char *reason)
{
  const ReviewAsk *ask = review->ask;
  char digest[SHA256_HEX_SIZE];

  hex_encode(ask->digest, SHA256_LEN, digest);
  html_raw(html, "<form method=\"post\" id=\"answer\" class=\"answer\"");
  html_link(html, "action", "/reviews/", ask->id);
  html_raw(html, ">");
  frame_proof(visit, html);
  html_raw(html, "<input type=\"hidden\" name=\"digest\"");
  html_attr(html, "value", digest);
  html_raw(html, ">");
  if (why) {
    html_raw(html, "<p class=\"fault\" role=\"alert\">");
    html_text(html, why);
    html_raw(html, "</p>");
  }
  html_raw(html, "<label for=\"reason\">Reason <span class=\"dim\">");
  if (ask->needs_reason)
    html_raw(html, "an approval of this needs one");
  else
    html_raw(html, "told to whose request it is");
  html_raw(html,
           "</span></label><textarea id=\"reason\" name=\"reason\" "
           "rows=\"2\" maxlength=\"1000\">\n");
  html_field(html, reason);
  html_raw(html, "</textarea><div class=\"buttons\">");
  if (ask->masks)
    html_raw(html,
             "<button class=\"yes\" id=\"yes\" name=\"answer\" "
             "value=\"approved-masked\">Approve masked</button>");
  else
    html_raw(html,
             "<button class=\"yes\" id=\"yes\" name=\"answer\" "
             "value=\"approved\">Approve</button>");
  html_raw(html,
           "<button class=\"no\" id=\"no\" name=\"answer\" "
           "value=\"denied\">Deny</button></div></form>");
}

/* Why there is nothing to answer. */
static void
put_verdict(PageVisit *visit, Html *html, const Review *review, const char *why)
{
  html_raw(html, "<div class=\"answer\" id=\"answer\"><p class=\"verdict\">");
  if (review->state != STATE_PENDING) {
    if (why)
      html_raw(html, "Your answer came too late and changed nothing. ");
    html_raw(html, "<strong>");
    html_text(html, words_state(review->state));
    html_raw(html, "</strong>: nothing is left to answer. ");
    html_time(html, review->ended_us);
  } else if (rules_same_person(review->issuer,
                               review->subject,
                               review->user,
                               visit->person->issuer,
                               visit->person->subject,
                               visit->person->user)) {
    html_raw(html,
             "This is your own request, or of somebody with your name: "
             "somebody else has to look at it.");
  } else if (spoke(review, visit->person)) {
    html_raw(html, "You answered. Others are still asked.");
  } else {
    html_raw(html, "You are in none of the groups that are asked.");
  }
  html_raw(html, "</p>");
  if (frame_waiting(visit) > 0)
    html_raw(html,
             "<p><a class=\"button\" id=\"next\" href=\"/\">"
             "What else waits</a></p>");
  html_raw(html, "</div>");
}

/* ---- the page -------------------------------------------------------------
 */

static void
put_heading(Html *html, const Review *review)
{
  const ReviewAsk *ask = review->ask;

  html_raw(html, "<header class=\"ask\"><h1>");
  html_brief(html, review->user, MAX_NAME);
  html_raw(html, "<span class=\"dim\"> asks </span>");
  html_brief(html, ask->model ? ask->model : ask->connection, MAX_NAME);
  html_raw(html, "</h1><p class=\"state\"><span class=\"badge\"");
  html_attr(html, "data-state", review_state_name(review->state));
  html_raw(html, ">");
  html_text(html, words_state(review->state));
  html_raw(html, "</span> ");
  if (review->state == STATE_PENDING)
    words_left(html, ask->deadline_us);
  else
    html_time(html, review->ended_us);
  if (ask->client) {
    html_raw(html, " <span class=\"dim\">by ");
    html_brief(html, ask->client, MAX_NAME);
    html_raw(html, "</span>");
  }
  html_raw(html, "</p></header>");
}

static void
put_page(PageVisit *visit,
         int status,
         const Review *review,
         const char *why,
         const char *reason)
{
  g_autofree char *title =
      g_strdup_printf("%s: %s", words_state(review->state), review->user);
  g_autoptr(Html) html = frame_begin(visit, title, "review", TAB_NONE);

  html_raw(html, "<article class=\"review\" id=\"review\"");
  html_attr(html, "data-id", review->ask->id);
  html_attr(html, "data-state", review_state_name(review->state));
  html_raw(html, ">");
  put_heading(html, review);
  put_why(html, review);
  put_prompt(html, review);
  if (reviews_may_answer(visit->page->hub->reviews, review, visit->person))
    put_form(visit, html, review, why, reason);
  else
    put_verdict(visit, html, review, why);
  put_facts(html, review);
  html_raw(html, "</article>");
  frame_end(html);
  page_answer(visit, status, html);
}

void
review_show(PageVisit *visit, int status, const char *why, const char *reason)
{
  const Hub *hub = visit->page->hub;
  const Review *review = reviews_pending(hub->reviews, visit->id);
  g_autoptr(Review) stored = NULL;
  g_autoptr(GError) error = NULL;

  if (!review)
    review = stored = store_get(hub->store, visit->id, &error);
  if (error) {
    log_error("store error=\"%s\"", error->message);
    page_refuse(visit, 500, "Not now", "The hub cannot read this now.");
  } else if (review && reviews_may_see(hub->reviews, review, visit->person)) {
    put_page(visit, status, review, why, reason);
  } else {
    page_refuse(visit,
                404,
                "No such request",
                "It is not known here, was forgotten after its time, or is not "
                "for you to see.");
  }
}

static void
refuse_answer(PageVisit *visit, const GError *error, const char *reason)
{
  if (error->code == REVIEWS_ERROR_STORE ||
      error->code == REVIEWS_ERROR_LATER) {
    log_error("store error=\"%s\"", error->message);
    review_show(visit, 500, "The hub cannot store this now.", reason);
  } else {
    review_show(visit,
                error->code == REVIEWS_ERROR_DECIDED     ? 409
                : error->code == REVIEWS_ERROR_FORBIDDEN ? 403
                : error->code == REVIEWS_ERROR_NOT_FOUND ? 404
                                                         : 400,
                error->message,
                reason);
  }
}

void
review_take(PageVisit *visit, const Form *form)
{
  const char *answer = form_get(form, "answer");
  const char *digest = form_get(form, "digest");
  const char *reason = form_get(form, "reason");
  uint8_t shown[SHA256_LEN];
  g_autoptr(GError) error = NULL;
  g_autofree char *where = NULL;
  ReviewOutcome outcome;

  if (!answer || !review_outcome_from_name(answer, &outcome) || !digest ||
      !hex_decode(digest, shown, sizeof shown)) {
    review_show(visit, 400, "That is no answer to this.", reason);
    return;
  }
  if (reason && strlen(reason) > REVIEW_MAX_REASON) {
    review_show(visit, 400, "The reason is too long.", reason);
    return;
  }
  if (!reviews_answer(visit->page->hub->reviews,
                      visit->id,
                      visit->person,
                      outcome,
                      shown,
                      reason && *reason ? reason : NULL,
                      &error)) {
    refuse_answer(visit, error, reason);
    return;
  }
  where = g_strconcat("/reviews/", visit->id, NULL);
  page_go(visit, where, NULL);
}
