/* SPDX-License-Identifier: Apache-2.0 */
/* Head, navigation and foot of every page. */
#include "hub/page/parts.h"

unsigned
frame_waiting(const PageVisit *visit)
{
  Reviews *reviews = visit->page->hub->reviews;
  GHashTableIter each;
  void *review;
  unsigned n = 0;

  if (!visit->person)
    return 0;
  g_hash_table_iter_init(&each, reviews_all_pending(reviews));
  while (g_hash_table_iter_next(&each, NULL, &review))
    n += reviews_may_answer(reviews, review, visit->person);
  return n;
}

void
frame_proof(PageVisit *visit, Html *html)
{
  html_raw(html, "<input type=\"hidden\" name=\"proof\"");
  html_attr(html, "value", session_proof(visit->session));
  html_raw(html, ">");
}

static void
put_head(Html *html, const char *title, unsigned waiting)
{
  html_raw(html,
           "<!doctype html><html lang=\"en\"><head>"
           "<meta charset=\"utf-8\"><title>");
  if (waiting > 0) {
    html_raw(html, "(");
    html_number(html, waiting);
    html_raw(html, ") ");
  }
  html_field(html, title);
  html_raw(html,
           " · hoop-hub</title>"
           "<meta name=\"viewport\" content=\"width=device-width, "
           "initial-scale=1\">"
           "<meta name=\"color-scheme\" content=\"light dark\">"
           "<link rel=\"stylesheet\"");
  html_attr(html, "href", asset_path("hub.css"));
  html_raw(html, "><link rel=\"icon\" type=\"image/svg+xml\"");
  html_attr(html, "href", asset_path("hub.svg"));
  html_raw(html, "><script defer");
  html_attr(html, "src", asset_path("hub.js"));
  html_raw(html, "></script></head>");
}

static void
put_tab(Html *html, PageTab tab, PageTab now, const char *href)
{
  html_raw(html, "<a");
  html_attr(html, "href", href);
  if (tab == now)
    html_raw(html, " aria-current=\"page\"");
  html_raw(html, ">");
}

static void
put_tabs(PageVisit *visit, Html *html, PageTab now, unsigned waiting)
{
  const HubConfig *config = visit->page->hub->config;

  html_raw(html, "<nav aria-label=\"Pages\">");
  put_tab(html, TAB_INBOX, now, "/");
  html_raw(html, "Waiting <span class=\"count\" id=\"count\"");
  if (waiting == 0)
    html_raw(html, " hidden");
  html_raw(html, ">");
  html_number(html, waiting);
  html_raw(html, "</span></a>");
  put_tab(html, TAB_HISTORY, now, "/history");
  html_raw(html, "History</a>");
  if (hub_has_role(config, visit->person, ROLE_AUDITOR) ||
      hub_has_role(config, visit->person, ROLE_ADMIN)) {
    put_tab(html, TAB_RECORD, now, "/audit");
    html_raw(html, "Record</a>");
  }
  html_raw(html, "</nav>");
}

static void
put_person(PageVisit *visit, Html *html)
{
  html_raw(html, "<div class=\"me\"><span class=\"name\" title=\"Signed in\">");
  html_brief(html, visit->person->user, 40);
  html_raw(html, "</span><form method=\"post\" action=\"/sign-out\">");
  frame_proof(visit, html);
  html_raw(html, "<button class=\"quiet\">Sign out</button></form></div>");
}

Html *
frame_begin(PageVisit *visit, const char *title, const char *name, PageTab tab)
{
  Html *html = html_new();
  const unsigned waiting = frame_waiting(visit);

  put_head(html, title, waiting);
  html_raw(html, "<body");
  html_attr(html, "data-page", name);
  html_raw(html,
           "><a class=\"skip\" href=\"#main\">Skip to the content</a>"
           "<header class=\"top\"><a class=\"brand\" href=\"/\">"
           "<img alt=\"\" width=\"22\" height=\"22\"");
  html_attr(html, "src", asset_path("hub.svg"));
  html_raw(html, ">hoop-hub</a>");
  if (visit->person) {
    put_tabs(visit, html, tab, waiting);
    put_person(visit, html);
  }
  html_raw(html,
           "</header><main id=\"main\" tabindex=\"-1\">"
           "<p id=\"live\" role=\"status\" aria-live=\"polite\"></p>");
  return html;
}

static void
put_keys(Html *html)
{
  html_raw(html,
           "<dl class=\"keys\">"
           "<dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next, previous request</dd>"
           "<dt><kbd>Enter</kbd></dt><dd>open it</dd>"
           "<dt><kbd>n</kbd> <kbd>p</kbd></dt><dd>next, previous mask</dd>"
           "<dt><kbd>a</kbd></dt><dd>to the approval, Enter gives it</dd>"
           "<dt><kbd>d</kbd></dt><dd>to the denial, Enter gives it</dd>"
           "<dt><kbd>r</kbd></dt><dd>to the reason</dd>"
           "<dt><kbd>w</kbd> <kbd>h</kbd></dt><dd>what waits, history</dd>"
           "<dt><kbd>/</kbd></dt><dd>search</dd>"
           "<dt><kbd>?</kbd></dt><dd>this list</dd></dl>");
}

void
frame_end(Html *html)
{
  html_raw(html,
           "</main><footer class=\"foot\"><a href=\"/help\" id=\"help\">"
           "Keys <kbd>?</kbd></a></footer>"
           "<dialog id=\"keys\" aria-labelledby=\"keys-title\">"
           "<h2 id=\"keys-title\">Keys</h2>");
  put_keys(html);
  html_raw(html,
           "<form method=\"dialog\"><button class=\"button\">Close</button>"
           "</form></dialog></body></html>");
}

void
help_show(PageVisit *visit)
{
  g_autoptr(Html) html = frame_begin(visit, "Keys", "help", TAB_HELP);

  html_raw(html, "<h1>Keys</h1>");
  put_keys(html);
  html_raw(html,
           "<h2>What an answer does</h2>"
           "<p>A request that you approve goes out as it is shown, and nothing "
           "else: the approval is for that text alone. A denial ends it. Where "
           "several people are asked, one denial is enough, and every approval "
           "has to come from a different person. Nobody answers their own "
           "request.</p>");
  frame_end(html);
  page_answer(visit, 200, html);
}
