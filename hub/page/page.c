/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of browsers: whose they are, what they may, and the headers that
 * every answer carries. */
#include "hub/page/page.h"
#include "hub/page/parts.h"
#include "kit/clock.h"
#include <string.h>

#define CONNECT_S 10
#define IDLE_S 30
/* Sessions that are due to end or to be renewed. */
#define TICK_MS 1000
#define COOKIE_NAME "__Host-hoop-hub"
/* Nothing is loaded or run but what the hub itself serves, nothing is framed,
 * nothing is sent elsewhere; and no script makes markup out of text. */
#define POLICY                                                                 \
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "  \
  "connect-src 'self'; form-action 'self'; base-uri 'none'; "                  \
  "frame-ancestors 'none'; require-trusted-types-for 'script'; "               \
  "trusted-types 'none'"

/* ---- the page -------------------------------------------------------------
 */

static bool
make_portal(Page *page, GError **error)
{
  const HubConfig *config = page->hub->config;
  g_autofree IssuerOptions *options =
      g_new0(IssuerOptions, config->issuers->len);
  g_autofree char *redirect =
      g_strconcat(config->page_url, "/sign-in/done", NULL);
  const UpstreamOptions upstream = {.connect_timeout = CONNECT_S,
                                    .idle_timeout = IDLE_S,
                                    .group = "identity"};

  for (guint i = 0; i < config->issuers->len; i++) {
    HubIssuer *issuer = config->issuers->pdata[i];

    if (!issuer->client_id)
      continue;
    options[page->issuers->len] =
        (IssuerOptions){.name = issuer->name,
                        .issuer = issuer->issuer,
                        .client_id = issuer->client_id,
                        .client_secret_file = issuer->client_secret_file,
                        .scopes = issuer->scopes,
                        .groups_claim = issuer->groups_claim,
                        .groups_separator = issuer->groups_separator,
                        .groups_prefix = issuer->groups_prefix,
                        .ca_file = issuer->ca_file};
    g_ptr_array_add(page->issuers, issuer);
  }
  page->portal = portal_new(
      page->hub->loop, options, page->issuers->len, redirect, &upstream, error);
  return page->portal != NULL;
}

static void
on_tick(void *data)
{
  Page *page = data;

  sessions_tick(page->sessions);
  loop_timer_set(page->tick, TICK_MS);
}

Page *
page_new(Hub *hub, GError **error)
{
  static const char use[] = "hoop-hub page 1: cookies of sign-ins";
  Page *page = g_new0(Page, 1);
  uint8_t signature[SIGNATURE_LEN];

  page->hub = hub;
  page->issuers = g_ptr_array_new();
  page->host = g_ascii_strdown(hub->config->page_url + strlen("https://"), -1);
  if (!make_portal(page, error)) {
    page_free(page);
    return NULL;
  }
  /* Known to every hub that has the signing key, and to nobody else: Ed25519
   * signs the same text the same way, and nothing else that is signed begins
   * like this. */
  if (!signing_key_sign(hub->key, use, sizeof use - 1, signature))
    random_bytes(signature, sizeof signature);
  sha256(signature, sizeof signature, page->seal);
  secret_wipe(signature, sizeof signature);
  page->sessions = sessions_new(page->portal, hub->config);
  page->tick = loop_timer_new(hub->loop, on_tick, page);
  loop_timer_set(page->tick, TICK_MS);
  return page;
}

void
page_free(Page *page)
{
  if (!page)
    return;
  loop_timer_free(page->tick);
  sessions_free(page->sessions);
  portal_free(page->portal);
  g_ptr_array_unref(page->issuers);
  secret_wipe(page->seal, sizeof page->seal);
  g_free(page->host);
  g_free(page);
}

/* ---- answers --------------------------------------------------------------
 */

HttpHeaders *
page_headers(const Page *page)
{
  const unsigned hsts = page->hub->config->page_hsts;
  HttpHeaders *headers = http_headers_new();

  http_headers_add(headers, "Content-Security-Policy", POLICY);
  http_headers_add(headers, "X-Content-Type-Options", "nosniff");
  http_headers_add(headers, "X-Frame-Options", "DENY");
  /* Not no-referrer: it would take the Origin from our own forms, too. */
  http_headers_add(headers, "Referrer-Policy", "same-origin");
  http_headers_add(headers, "Cross-Origin-Opener-Policy", "same-origin");
  http_headers_add(headers, "Cross-Origin-Resource-Policy", "same-origin");
  http_headers_add(headers,
                   "Permissions-Policy",
                   "camera=(), microphone=(), geolocation=(), payment=(), "
                   "usb=(), clipboard-read=(), publickey-credentials-get=()");
  if (hsts > 0) {
    g_autofree char *value = g_strdup_printf("max-age=%u", hsts);

    http_headers_add(headers, "Strict-Transport-Security", value);
  }
  return headers;
}

static void
copy_headers(HttpHeaders *to, const HttpHeaders *from)
{
  for (unsigned i = 0; from && i < http_headers_count(from); i++)
    http_headers_add(
        to, http_headers_name(from, i), http_headers_value(from, i));
}

void
page_answer_with(PageVisit *visit,
                 int status,
                 const Html *html,
                 HttpHeaders *more)
{
  g_autoptr(HttpHeaders) headers = page_headers(visit->page);
  size_t len;
  const char *text = html_peek(html, &len);

  copy_headers(headers, more);
  http_headers_set(headers, "Cache-Control", "no-store");
  client_reply(
      visit->client, status, headers, "text/html; charset=utf-8", text, len);
}

void
page_answer(PageVisit *visit, int status, const Html *html)
{
  page_answer_with(visit, status, html, NULL);
}

void
page_go(PageVisit *visit, const char *where, HttpHeaders *more)
{
  g_autoptr(HttpHeaders) headers = page_headers(visit->page);

  copy_headers(headers, more);
  http_headers_set(headers, "Cache-Control", "no-store");
  http_headers_set(headers, "Location", where);
  client_reply(visit->client, 303, headers, "text/plain", "", 0);
}

void
page_refuse(PageVisit *visit, int status, const char *title, const char *why)
{
  g_autoptr(Html) html = frame_begin(visit, title, "said", TAB_NONE);

  html_raw(html, "<section class=\"said\"><h1>");
  html_text(html, title);
  html_raw(html, "</h1><p>");
  html_text(html, why);
  html_raw(html,
           "</p><p><a class=\"button\" href=\"/\">To what waits</a></p>"
           "</section>");
  frame_end(html);
  page_answer(visit, status, html);
}

static void
not_found(PageVisit *visit)
{
  page_refuse(visit, 404, "Nothing is here", "No page has this address.");
}

/* ---- assets ---------------------------------------------------------------
 */

static void
send_asset(PageVisit *visit, const char *name)
{
  const Asset *asset = asset_find(name);
  g_autoptr(HttpHeaders) headers = page_headers(visit->page);
  const HttpHeaders *asked = client_request(visit->client)->headers;
  g_autofree char *tag = NULL;

  if (!asset) {
    not_found(visit);
    return;
  }
  tag = g_strdup_printf("\"%s\"", name);
  http_headers_set(headers, "ETag", tag);
  /* Its name changes with what is in it. */
  http_headers_set(
      headers, "Cache-Control", "public, max-age=31536000, immutable");
  if (g_strcmp0(http_headers_get(asked, "If-None-Match"), tag) == 0)
    client_reply(visit->client, 304, headers, NULL, "", 0);
  else
    client_reply(
        visit->client, 200, headers, asset->type, asset->bytes, asset->len);
}

/* ---- events ---------------------------------------------------------------
 */

static void
begin_stream(PageVisit *visit)
{
  g_autoptr(HttpHeaders) headers = page_headers(visit->page);
  g_autofree char *first = g_strdup_printf(
      "retry: 2000\nevent: hello\ndata: %u\n\n", frame_waiting(visit));

  http_headers_set(headers, "Cache-Control", "no-store");
  visit->stream = true;
  client_begin_stream(visit->client, headers);
  client_send(visit->client, first);
}

void
page_tell(PageVisit *visit, const Review *review, ReviewChange change)
{
  static const char *const names[] = {"came", "came", "answered", "ended"};
  g_autofree char *event = NULL;

  if (!visit->stream || !page_goes_on(visit) ||
      !reviews_may_see(
          visit->page->hub->reviews, review, session_person(visit->session)))
    return;
  event = g_strdup_printf(
      "event: %s\ndata: %s\n\n", names[change], review->ask->id);
  client_send(visit->client, event);
}

bool
page_goes_on(const PageVisit *visit)
{
  return visit->session && session_is_alive(visit->session);
}

/* ---- who, and from where --------------------------------------------------
 */

static Session *
session_of(PageVisit *visit, bool active)
{
  const HttpHeaders *headers = client_request(visit->client)->headers;
  g_autofree char *id = NULL;

  if (http_headers_occurrences(headers, "Cookie") != 1)
    return NULL;
  id = cookie_get(http_headers_get(headers, "Cookie"), COOKIE_NAME);
  return sessions_find(visit->page->sessions, id, active);
}

/* A form of ours was sent from a page of ours: browsers say where from, and
 * pages cannot make them say otherwise. */
static bool
is_from_here(const PageVisit *visit)
{
  const HttpHeaders *headers = client_request(visit->client)->headers;
  const char *origin = http_headers_get(headers, "Origin");
  const char *site = http_headers_get(headers, "Sec-Fetch-Site");

  if (http_headers_occurrences(headers, "Origin") > 1 ||
      http_headers_occurrences(headers, "Sec-Fetch-Site") > 1)
    return false;
  if (site && !g_str_equal(site, "same-origin"))
    return false;
  if (origin)
    return g_ascii_strcasecmp(origin, visit->page->hub->config->page_url) == 0;
  return site != NULL;
}

static bool
asks_for_page(const PageVisit *visit)
{
  const HttpHeaders *headers = client_request(visit->client)->headers;
  const char *site = http_headers_get(headers, "Sec-Fetch-Site");
  const char *mode = http_headers_get(headers, "Sec-Fetch-Mode");

  return !site || g_str_equal(site, "same-origin") ||
         g_str_equal(site, "none") || (mode && g_str_equal(mode, "navigate"));
}

/* ---- routes ---------------------------------------------------------------
 */

typedef struct {
  const char *path; /* `*` at its end: the id of a review */
  void (*get)(PageVisit *visit, const char *query);
  void (*post)(PageVisit *visit, const Form *form);
} PageRoute;

static void
get_inbox(PageVisit *visit, const char *query)
{
  (void)query;
  inbox_show(visit);
}

static void
get_review(PageVisit *visit, const char *query)
{
  (void)query;
  review_show(visit, 200, NULL, NULL);
}

static void
get_help(PageVisit *visit, const char *query)
{
  (void)query;
  help_show(visit);
}

static void
get_events(PageVisit *visit, const char *query)
{
  (void)query;
  begin_stream(visit);
}

static void
post_out(PageVisit *visit, const Form *form)
{
  (void)form;
  signin_out(visit);
}

static const PageRoute routes[] = {
    {"/", get_inbox, NULL},
    {"/reviews/*", get_review, review_take},
    {"/history", history_show, NULL},
    {"/record", record_show, NULL},
    {"/audit", agents_show, NULL},
    {"/help", get_help, NULL},
    {"/events", get_events, NULL},
    {"/sign-out", NULL, post_out},
};

/* The path against a row's; a review's id is 32 lower-case hex digits. */
static bool
matches(const char *path, const char *row, char **id)
{
  const size_t before = strlen(row) - 1;

  if (row[before] != '*' || before == 0)
    return g_str_equal(path, row);
  if (strncmp(path, row, before) != 0 ||
      strlen(path + before) != REVIEW_ID_SIZE - 1 ||
      strspn(path + before, "0123456789abcdef") != REVIEW_ID_SIZE - 1)
    return false;
  *id = g_strdup(path + before);
  return true;
}

static const PageRoute *
route_of(const char *path, char **id)
{
  for (size_t i = 0; i < G_N_ELEMENTS(routes); i++)
    if (matches(path, routes[i].path, id))
      return &routes[i];
  return NULL;
}

const char *
signin_target(const char *path)
{
  g_autofree char *id = NULL;
  const PageRoute *route = path ? route_of(path, &id) : NULL;

  return route && route->get && route->get != get_events ? path : "/";
}

/* ---- requests -------------------------------------------------------------
 */

bool
page_serves(const HttpRequest *request)
{
  return !g_str_has_prefix(request->path, "/v1/") &&
         !g_str_equal(request->path, "/v1") &&
         !g_str_equal(request->path, "/health") &&
         !g_str_equal(request->path, "/metrics");
}

/* Nobody is signed in: pages follow the sign-in, the rest is refused. */
static void
ask_in(PageVisit *visit, const PageRoute *route, bool post)
{
  const char *path = client_request(visit->client)->path;

  if (route->get == get_events) {
    page_refuse(visit, 401, "Signed out", "Sign in again.");
  } else if (post || !route->get) {
    page_refuse(visit,
                401,
                "You are signed out",
                "Nothing was done. Sign in again, then answer again.");
  } else {
    g_autofree char *where =
        g_strconcat("/sign-in?to=", signin_target(path), NULL);

    page_go(visit, where, NULL);
  }
}

static void
take_post(PageVisit *visit)
{
  const HttpRequest *request = client_request(visit->client);
  const char *type = http_headers_get(request->headers, "Content-Type");

  if (!is_from_here(visit))
    page_refuse(visit,
                403,
                "Refused",
                "This was not sent from a page of this hub. Nothing was done.");
  else if (!type ||
           g_ascii_strcasecmp(type, "application/x-www-form-urlencoded") != 0)
    page_refuse(visit, 415, "Refused", "This is no form.");
  else if (request->content_length > (int64_t)PAGE_MAX_FORM)
    page_too_large(visit);
  else
    client_read_body(visit->client, PAGE_MAX_FORM);
}

static void
take_request(PageVisit *visit, const PageRoute *route)
{
  const HttpRequest *request = client_request(visit->client);
  const bool post = g_str_equal(request->method, "POST");

  const bool get = g_str_equal(request->method, "GET");

  if (!(post && route->post) && !(get && route->get)) {
    page_refuse(visit, 405, "Refused", "This cannot be done here.");
  } else if (!visit->session) {
    ask_in(visit, route, post);
  } else if (!rate_take(visit->page->hub->rates,
                        visit->person,
                        visit->page->hub->config->rate)) {
    visit->page->hub->count.rate_limited++;
    page_refuse(
        visit, 429, "Too many requests", "Wait a little, then load it again.");
  } else if (post) {
    take_post(visit);
  } else {
    route->get(visit, request->query);
  }
}

static void
begin(PageVisit *visit)
{
  const HttpRequest *request = client_request(visit->client);
  const PageRoute *route = route_of(request->path, &visit->id);
  const bool get = g_str_equal(request->method, "GET");

  if (g_strcmp0(request->authority, visit->page->host) != 0)
    page_refuse(visit, 421, "Refused", "This hub's page has another address.");
  else if (!asks_for_page(visit))
    page_refuse(visit, 403, "Refused", "Other sites cannot ask for this.");
  else if (g_str_has_prefix(request->path, "/assets/") && get)
    send_asset(visit, request->path + strlen("/assets/"));
  else if (g_str_equal(request->path, "/sign-in") && get)
    signin_choose(visit, request->query);
  else if (g_str_equal(request->path, "/sign-in/done") && get)
    signin_done(visit, request->query);
  else if (route)
    take_request(visit, route);
  else
    not_found(visit);
}

PageVisit *
page_begin(Page *page, Client *client)
{
  PageVisit *visit = g_new0(PageVisit, 1);
  const bool stream = g_str_equal(client_request(client)->path, "/events");

  visit->page = page;
  visit->client = client;
  visit->session = session_of(visit, !stream);
  if (visit->session) {
    visit->person = person_ref(session_person(visit->session));
    client_set_person(client, visit->person);
  }
  client_set_visit(client, visit);
  begin(visit);
  return visit;
}

void
page_body(PageVisit *visit)
{
  const char *path = client_request(visit->client)->path;
  g_autofree char *id = NULL;
  const PageRoute *route = route_of(path, &id);
  size_t len;
  const char *body = client_body(visit->client, &len);
  g_autoptr(Form) form = form_parse(body, len);

  if (!form)
    page_refuse(visit, 400, "Refused", "This is no form of this hub.");
  else if (!session_proves(visit->session, form_get(form, "proof")))
    page_refuse(visit,
                403,
                "Refused",
                "This form is not of your present sign-in. Load the page again "
                "and answer there; nothing was done.");
  else
    route->post(visit, form);
}

void
page_too_large(PageVisit *visit)
{
  page_refuse(visit, 413, "Refused", "What was sent is too large.");
}

void
page_visit_free(PageVisit *visit)
{
  if (!visit)
    return;
  if (visit->call) {
    portal_cancel(visit->call);
    visit->page->asking--;
  }
  audit_read_cancel(visit->read);
  session_unref(visit->session);
  if (visit->person)
    person_unref(visit->person);
  g_free(visit->id);
  g_free(visit->to);
  g_free(visit->cookie);
  g_free(visit);
}
