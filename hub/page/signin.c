/* SPDX-License-Identifier: Apache-2.0 */
/* Sign-in by an issuer, sign-out. What binds a provider's answer to the browser
 * that was sent there is a sealed cookie: nothing is kept for strangers. */
#include "hub/page/parts.h"
#include "kit/clock.h"
#include "kit/log.h"
#include <openssl/evp.h>
#include <string.h>

#define US_PER_S INT64_C(1000000)
/* For a person to sign in at the provider. */
#define WAIT_S 600
/* Sign-ins that wait for a provider at one time. */
#define MAX_ASKING 64
#define SESSION_COOKIE "__Host-hoop-hub"
#define BOND_COOKIE "__Host-hoop-sign-in"
#define COOKIE_WORDS "; Path=/; Secure; HttpOnly; SameSite=Lax"
#define NONCE_LEN 12
#define TAG_LEN 16
#define ROOT_LEN 32
/* The longest path that may follow is a review's. */
#define MAX_TO 64
#define MAX_SEALED (NONCE_LEN + sizeof(Bond) + TAG_LEN)

/* What the cookie holds. */
typedef struct {
  uint8_t root[ROOT_LEN]; /* state, nonce and verifier come of it */
  int64_t at_us;
  uint32_t issuer;
  char to[MAX_TO];
} Bond;

typedef EVP_CIPHER_CTX Cipher;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cipher, EVP_CIPHER_CTX_free)

/* ---- the bond -------------------------------------------------------------
 */

static char *
branch(const Bond *bond, const char *name)
{
  uint8_t out[SHA256_LEN];
  char *text;

  hmac_sha256(bond->root, sizeof bond->root, name, strlen(name), out);
  text = base64url_encode(out, sizeof out);
  secret_wipe(out, sizeof out);
  return text;
}

typedef struct {
  char *state, *nonce, *verifier;
} Branches;

static void
branches_clear(Branches *branches)
{
  if (branches->verifier)
    secret_wipe(branches->verifier, strlen(branches->verifier));
  g_free(branches->state);
  g_free(branches->nonce);
  g_free(branches->verifier);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Branches, branches_clear)

static Branches
branches_of(const Bond *bond)
{
  return (Branches){
      branch(bond, "state"), branch(bond, "nonce"), branch(bond, "verifier")};
}

/* AES-256-GCM; NULL when libcrypto failed. */
static char *
seal(const Page *page, const Bond *bond)
{
  uint8_t out[MAX_SEALED];
  g_autoptr(Cipher) cipher = EVP_CIPHER_CTX_new();
  int len;

  random_bytes(out, NONCE_LEN);
  if (!cipher ||
      EVP_EncryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, page->seal, out) !=
          1 ||
      EVP_EncryptUpdate(
          cipher, out + NONCE_LEN, &len, (const uint8_t *)bond, sizeof *bond) !=
          1 ||
      EVP_EncryptFinal_ex(cipher, out + NONCE_LEN + len, &len) != 1 ||
      EVP_CIPHER_CTX_ctrl(cipher,
                          EVP_CTRL_GCM_GET_TAG,
                          TAG_LEN,
                          out + NONCE_LEN + sizeof *bond) != 1)
    return NULL;
  return base64url_encode(out, sizeof out);
}

static bool
unseal(const Page *page, const char *text, Bond *bond)
{
  uint8_t in[MAX_SEALED + 3];
  g_autoptr(Cipher) cipher = EVP_CIPHER_CTX_new();
  const size_t text_len = strlen(text);
  size_t len;
  int out_len;

  if (text_len != (MAX_SEALED * 4 + 2) / 3 ||
      !base64url_decode(text, text_len, in, &len) || len != MAX_SEALED)
    return false;
  return cipher &&
         EVP_DecryptInit_ex(cipher, EVP_aes_256_gcm(), NULL, page->seal, in) ==
             1 &&
         EVP_DecryptUpdate(
             cipher, (uint8_t *)bond, &out_len, in + NONCE_LEN, sizeof *bond) ==
             1 &&
         EVP_CIPHER_CTX_ctrl(cipher,
                             EVP_CTRL_GCM_SET_TAG,
                             TAG_LEN,
                             in + NONCE_LEN + sizeof *bond) == 1 &&
         EVP_DecryptFinal_ex(cipher, (uint8_t *)bond + out_len, &out_len) ==
             1 &&
         memchr(bond->to, '\0', sizeof bond->to);
}

/* What this browser was sent away with, when that is not too long ago. */
static bool
bond_of(const PageVisit *visit, Bond *bond)
{
  const HttpHeaders *headers = client_request(visit->client)->headers;
  g_autofree char *sealed =
      cookie_get(http_headers_get(headers, "Cookie"), BOND_COOKIE);
  const int64_t now = clock_wall_us();

  return http_headers_occurrences(headers, "Cookie") == 1 && sealed &&
         unseal(visit->page, sealed, bond) && bond->at_us <= now &&
         now - bond->at_us < WAIT_S * US_PER_S &&
         bond->issuer < visit->page->issuers->len;
}

/* ---- the way there --------------------------------------------------------
 */

static void
settled(PageVisit *visit)
{
  visit->call = NULL;
  visit->page->asking--;
}

/* Why nobody signed in; the provider's words are printable and bounded. */
static void
tell_failure(PageVisit *visit, const GError *error)
{
  const HubIssuer *issuer = visit->page->issuers->pdata[visit->issuer];
  g_autoptr(Html) html = frame_begin(visit, "Not signed in", "said", TAB_NONE);
  g_autoptr(HttpHeaders) headers = http_headers_new();
  const bool away =
      g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_UNREACHABLE);

  log_info("sign-in issuer=%s error=\"%s\"", issuer->name, error->message);
  html_raw(html, "<section class=\"said\"><h1>You are not signed in</h1><p>");
  html_text(html, error->message);
  html_raw(html, "</p><p><a class=\"button\" href=\"/sign-in\">Sign in");
  html_raw(html, "</a></p></section>");
  frame_end(html);
  http_headers_add(
      headers, "Set-Cookie", BOND_COOKIE "=; Max-Age=0" COOKIE_WORDS);
  page_answer_with(visit, away ? 503 : 403, html, headers);
}

static void
on_url(const char *url,
       const PortalGrant *grant,
       const GError *error,
       void *data)
{
  PageVisit *visit = data;
  g_autoptr(HttpHeaders) headers = http_headers_new();

  (void)grant;
  settled(visit);
  if (!url) {
    tell_failure(visit, error);
    return;
  }
  http_headers_add(headers, "Set-Cookie", visit->cookie);
  page_go(visit, url, headers);
}

static void
send_away(PageVisit *visit, unsigned issuer, const char *to)
{
  Bond bond;
  g_autofree char *sealed = NULL;
  g_auto(Branches) branches = {NULL, NULL, NULL};

  memset(&bond, 0, sizeof bond);
  bond.at_us = clock_wall_us();
  bond.issuer = issuer;
  random_bytes(bond.root, sizeof bond.root);
  g_strlcpy(bond.to, to, sizeof bond.to);
  branches = branches_of(&bond);
  sealed = seal(visit->page, &bond);
  secret_wipe(&bond, sizeof bond);
  if (!sealed || visit->page->asking >= MAX_ASKING) {
    page_refuse(visit,
                503,
                "Not now",
                "Too many people sign in at this moment. Try again.");
    return;
  }
  visit->issuer = issuer;
  visit->cookie = g_strdup_printf(
      BOND_COOKIE "=%s; Max-Age=%d" COOKIE_WORDS, sealed, WAIT_S);
  visit->page->asking++;
  visit->call = portal_ask(
      visit->page->portal,
      issuer,
      &(PortalBond){branches.state, branches.nonce, branches.verifier},
      on_url,
      visit);
}

static void
show_choice(PageVisit *visit, const char *to)
{
  const GPtrArray *issuers = visit->page->issuers;
  g_autoptr(Html) html = frame_begin(visit, "Sign in", "said", TAB_NONE);

  html_raw(html, "<section class=\"said\"><h1>Sign in</h1><ul class=\"at\">");
  for (guint i = 0; i < issuers->len; i++) {
    const HubIssuer *issuer = issuers->pdata[i];

    html_raw(html,
             "<li><form method=\"get\" action=\"/sign-in\">"
             "<input type=\"hidden\" name=\"to\"");
    html_attr(html, "value", to);
    html_raw(html, "><button class=\"button\" name=\"at\"");
    html_attr(html, "value", issuer->name);
    html_raw(html, ">with ");
    html_text(html, issuer->name);
    html_raw(html, "</button></form></li>");
  }
  html_raw(html, "</ul></section>");
  frame_end(html);
  page_answer(visit, 200, html);
}

void
signin_choose(PageVisit *visit, const char *query)
{
  const GPtrArray *issuers = visit->page->issuers;
  g_autoptr(Form) form =
      form_parse(query ? query : "", query ? strlen(query) : 0);
  const char *to = signin_target(form_get(form, "to"));
  const char *at = form_get(form, "at");

  if (!at && issuers->len == 1) {
    send_away(visit, 0, to);
    return;
  }
  for (guint i = 0; at && i < issuers->len; i++)
    if (g_str_equal(((HubIssuer *)issuers->pdata[i])->name, at)) {
      send_away(visit, i, to);
      return;
    }
  show_choice(visit, to);
}

/* ---- the way back ---------------------------------------------------------
 */

static void
on_grant(const char *url,
         const PortalGrant *grant,
         const GError *error,
         void *data)
{
  PageVisit *visit = data;
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autofree char *id = NULL;
  g_autofree char *cookie = NULL;

  (void)url;
  settled(visit);
  if (error) {
    tell_failure(visit, error);
    return;
  }
  /* Never an id that a browser brought: what it had before is over. */
  if (visit->session)
    sessions_end(visit->page->sessions, visit->session);
  id = sessions_begin(visit->page->sessions, visit->issuer, grant);
  log_info("sign-in user=%s", grant->person->user);
  cookie = g_strdup_printf(SESSION_COOKIE "=%s" COOKIE_WORDS, id);
  http_headers_add(headers, "Set-Cookie", cookie);
  http_headers_add(
      headers, "Set-Cookie", BOND_COOKIE "=; Max-Age=0" COOKIE_WORDS);
  page_go(visit, signin_target(visit->to), headers);
  secret_wipe(cookie, strlen(cookie));
  secret_wipe(id, strlen(id));
}

void
signin_done(PageVisit *visit, const char *query)
{
  Bond bond;
  g_auto(Branches) branches = {NULL, NULL, NULL};

  if (!bond_of(visit, &bond)) {
    if (visit->session)
      page_go(visit, "/", NULL);
    else
      page_refuse(visit,
                  400,
                  "This sign-in cannot go on",
                  "It did not begin in this browser, or more than ten minutes "
                  "ago. Begin again.");
    return;
  }
  branches = branches_of(&bond);
  visit->issuer = bond.issuer;
  visit->to = g_strdup(bond.to);
  secret_wipe(bond.root, sizeof bond.root);
  if (visit->page->asking < MAX_ASKING)
    visit->call = portal_take(
        visit->page->portal,
        visit->issuer,
        &(PortalBond){branches.state, branches.nonce, branches.verifier},
        query ? query : "",
        on_grant,
        visit);
  if (visit->call)
    visit->page->asking++;
  else
    page_refuse(visit,
                400,
                "This sign-in cannot go on",
                "The answer is not one to this browser's question. Begin "
                "again.");
}

void
signin_out(PageVisit *visit)
{
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autoptr(Html) html = NULL;

  log_info("sign-out user=%s", visit->person->user);
  sessions_end(visit->page->sessions, visit->session);
  session_unref(g_steal_pointer(&visit->session));
  person_unref(g_steal_pointer(&visit->person));
  http_headers_add(
      headers, "Set-Cookie", SESSION_COOKIE "=; Max-Age=0" COOKIE_WORDS);
  html = frame_begin(visit, "Signed out", "said", TAB_NONE);
  html_raw(html,
           "<section class=\"said\"><h1>You are signed out here</h1>"
           "<p>Your identity provider may still know you: whoever uses this "
           "browser next may sign in as you without a password until you sign "
           "out there, too.</p>"
           "<p><a class=\"button\" href=\"/sign-in\">Sign in</a></p>"
           "</section>");
  frame_end(html);
  page_answer_with(visit, 200, html, headers);
}
