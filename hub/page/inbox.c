/* SPDX-License-Identifier: Apache-2.0 */
/* What waits, the most urgent first. */
#include "hub/page/parts.h"
#include "hub/rules.h"
#include "kit/clock.h"

#define US_PER_S INT64_C(1000000)
#define MAX_SHOWN 200
#define MAX_GIST 220
#define MAX_NAME 80
#define URGENT_US (60 * US_PER_S)

static int
sooner_first(const void *a, const void *b)
{
  const Review *one = *(const Review *const *)a;
  const Review *other = *(const Review *const *)b;
  const int64_t left = one->ask->deadline_us;
  const int64_t right = other->ask->deadline_us;

  return (left > right) - (left < right);
}

static GPtrArray *
list_seen(PageVisit *visit)
{
  Reviews *reviews = visit->page->hub->reviews;
  GPtrArray *list = g_ptr_array_new();
  GHashTableIter each;
  void *review;

  g_hash_table_iter_init(&each, reviews_all_pending(reviews));
  while (g_hash_table_iter_next(&each, NULL, &review))
    if (reviews_may_see(reviews, review, visit->person))
      g_ptr_array_add(list, review);
  g_ptr_array_sort(list, sooner_first);
  return list;
}

/* "1 of 2", over all rules. */
static void
put_progress(Html *html, const Review *review)
{
  unsigned have = 0;
  unsigned need = 0;

  for (guint i = 0; i < review->ask->rules->len; i++) {
    unsigned n;
    const unsigned yes =
        rules_have(review->ask->rules->pdata[i], review->voices, &n);

    have += MIN(yes, n);
    need += n;
  }
  if (need < 2)
    return;
  html_raw(html, "<li>");
  html_number(html, have);
  html_raw(html, " of ");
  html_number(html, need);
  html_raw(html, " said yes</li>");
}

static void
put_fact(Html *html, const char *text)
{
  if (!text)
    return;
  html_raw(html, "<li>");
  html_brief(html, text, MAX_NAME);
  html_raw(html, "</li>");
}

static void
put_item(PageVisit *visit, Html *html, const Review *review)
{
  const ReviewAsk *ask = review->ask;
  const ReviewRule *rule = ask->rules->pdata[0];
  const bool urgent = ask->deadline_us - clock_wall_us() < URGENT_US;

  if (urgent)
    html_raw(html, "<li class=\"item urgent\">");
  else
    html_raw(html, "<li class=\"item\">");
  html_raw(html, "<a");
  html_link(html, "href", "/reviews/", ask->id);
  html_raw(html, "><span class=\"line\"><strong>");
  html_brief(html, review->user, MAX_NAME);
  html_raw(html, "</strong><span class=\"because\">");
  html_brief(html, rule->message ? rule->message : rule->id, 2 * MAX_NAME);
  html_raw(html, "</span>");
  words_left(html, ask->deadline_us);
  html_raw(html, "</span><span class=\"gist\">");
  html_gist(html, ask->text, MAX_GIST);
  html_raw(html, "</span></a><ul class=\"facts\">");
  if (reviews_is_requester(review, visit->person))
    html_raw(html, "<li class=\"own\">your own request</li>");
  put_fact(html, ask->client ? ask->client : ask->process);
  put_fact(html, ask->model);
  put_fact(html, ask->connection);
  if (ask->n_findings > 0) {
    html_raw(html, "<li>");
    html_number(html, ask->n_findings);
    if (ask->n_findings == 1)
      html_raw(html, " finding");
    else
      html_raw(html, " findings");
    html_raw(html, "</li>");
  }
  put_progress(html, review);
  html_raw(html, "</ul></li>");
}

/* Those that the person may answer, or the others; how many. */
static unsigned
put_items(PageVisit *visit, Html *html, const GPtrArray *list, bool answerable)
{
  const Reviews *reviews = visit->page->hub->reviews;
  unsigned n = 0;

  for (guint i = 0; i < list->len && n < MAX_SHOWN; i++) {
    if (reviews_may_answer(reviews, list->pdata[i], visit->person) !=
        answerable)
      continue;
    if (n++ == 0)
      html_raw(html, "<ol class=\"items\">");
    put_item(visit, html, list->pdata[i]);
  }
  if (n > 0)
    html_raw(html, "</ol>");
  return n;
}

void
inbox_show(PageVisit *visit)
{
  g_autoptr(Html) html = frame_begin(visit, "Waiting", "inbox", TAB_INBOX);
  g_autoptr(GPtrArray) list = list_seen(visit);
  const unsigned waiting = frame_waiting(visit);

  html_raw(html, "<div id=\"list\"><h1>Waiting for you</h1>");
  if (put_items(visit, html, list, true) == 0)
    html_raw(html,
             "<div class=\"empty\"><p>Nothing waits for your answer.</p>"
             "<p class=\"dim\">New requests appear here by themselves; without "
             "scripts, load the page again.</p></div>");
  if (list->len > waiting) {
    html_raw(html, "<h2>Waiting for others</h2>");
    put_items(visit, html, list, false);
  }
  html_raw(html, "</div>");
  frame_end(html);
  page_answer(visit, 200, html);
}
