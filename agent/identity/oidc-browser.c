/* SPDX-License-Identifier: Apache-2.0 */
/* Code and PKCE by the person's browser (RFC 8252, RFC 7636): the answer comes
 * to a listener on loopback and is bound to this sign-in four times over. */
#include "identity/oidc.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
/* For the person; then the listener is gone. */
#define MAX_WAIT_S 600
/* Bytes of randomness in state, nonce and verifier. */
#define RANDOM_LEN 32
#define MAX_URL 2048
#define MAX_WORD 80
#define MAX_WORDS 300

static char *
random_text(void)
{
  uint8_t bytes[RANDOM_LEN];
  char *text;

  random_bytes(bytes, sizeof bytes);
  text = base64url_encode(bytes, sizeof bytes);
  secret_wipe(bytes, sizeof bytes);
  return text;
}

static char *
challenge_of(const Secret *verifier)
{
  uint8_t digest[SHA256_LEN];

  sha256(secret_bytes(verifier), secret_len(verifier), digest);
  return base64url_encode(digest, sizeof digest);
}

static bool
wants_offline(const char *scopes)
{
  g_auto(GStrv) words = g_strsplit(scopes ? scopes : "", " ", -1);

  return g_strv_contains((const char *const *)words, "offline_access");
}

/* ---- the answer ---------------------------------------------------------- */

static void
send_code(ProviderCall *call, const Secret *code)
{
  Buf form;

  buf_init(&form, WEB_MAX_FORM);
  form_add(&form, "grant_type", "authorization_code");
  form_add(&form, "code", secret_text(code));
  form_add(&form, "redirect_uri", call->redirect_uri);
  form_add(&form, "code_verifier", secret_text(call->verifier));
  oidc_ask_as_client(
      call, call->provider->metadata->token, &form, false, oidc_on_tokens);
}

static void
refuse(ProviderCall *call, const CallbackAnswer *answer)
{
  g_autofree char *word = claims_printable(answer->error, MAX_WORD);
  g_autofree char *words = claims_printable(
      answer->description ? answer->description : "", MAX_WORDS);
  const bool denied =
      g_str_equal(answer->error, "access_denied") ||
      g_strcmp0(answer->error, call->provider->quirk->declined) == 0;

  oidc_fail_with(call,
                 denied ? IDENTITY_ERROR_DENIED : IDENTITY_ERROR_PROVIDER,
                 "the provider says %s%s%s",
                 word,
                 *words ? ": " : "",
                 words);
}

/* RFC 9207 section 2.4: another provider's answer is mixed up on purpose. */
static bool
is_from_issuer(const ProviderCall *call, const char *issuer)
{
  if (!issuer)
    return !call->provider->metadata->names_itself;
  return g_str_equal(issuer, call->provider->issuer->issuer);
}

void
oidc_browser_take(ProviderCall *call, const CallbackAnswer *answer)
{
  if (!is_from_issuer(call, answer->issuer))
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROTOCOL,
                   "the answer in the browser does not come from %s",
                   call->provider->issuer->issuer);
  else if (!answer->code)
    refuse(call, answer);
  else
    send_code(call, answer->code);
}

static void
on_callback(const CallbackAnswer *answer, void *data)
{
  ProviderCall *call = data;

  loop_timer_set(call->timer, -1);
  oidc_browser_take(call, answer);
}

static void
expire(ProviderCall *call)
{
  oidc_fail_with(call,
                 IDENTITY_ERROR_EXPIRED,
                 "nobody signed in at the address within %d minutes",
                 MAX_WAIT_S / 60);
}

/* ---- the question -------------------------------------------------------- */

char *
oidc_browser_url(const ProviderCall *call, const char *state)
{
  const Provider *provider = call->provider;
  const IssuerOptions *issuer = provider->issuer;
  const char *endpoint = provider->metadata->authorization;
  g_autofree char *challenge = challenge_of(call->verifier);
  char *url = NULL;
  Buf query;

  buf_init(&query, MAX_URL);
  form_add(&query, "response_type", "code");
  form_add(&query, "client_id", issuer->client_id);
  form_add(&query, "redirect_uri", call->redirect_uri);
  form_add(&query, "scope", issuer->scopes);
  form_add(&query, "audience", issuer->audience);
  form_add(&query, "state", state);
  form_add(&query, "nonce", call->nonce);
  form_add(&query, "code_challenge", challenge);
  form_add(&query, "code_challenge_method", "S256");
  /* OpenID Connect Core 1.0, section 11. */
  if (wants_offline(issuer->scopes) && !provider->quirk->no_consent_prompt)
    form_add(&query, "prompt", "consent");
  if (!query.refused)
    url = g_strdup_printf("%s%c%.*s",
                          endpoint,
                          strchr(endpoint, '?') ? '&' : '?',
                          (int)query.len,
                          (const char *)buf_bytes(&query));
  buf_clear(&query);
  if (!web_url_is_safe(url))
    g_clear_pointer(&url, g_free);
  return url;
}

static bool
listen_for_it(ProviderCall *call, const char *state, GError **error)
{
  Provider *provider = call->provider;

  callback_free(g_steal_pointer(&provider->callback));
  provider->callback = callback_new(provider->loop,
                                    provider->issuer->redirect_port,
                                    state,
                                    provider->issuer->is_ours,
                                    on_callback,
                                    call,
                                    error);
  if (!provider->callback)
    return false;
  call->redirect_uri = g_strdup(callback_uri(provider->callback));
  return true;
}

void
oidc_browser_start(ProviderCall *call)
{
  const Metadata *metadata = call->provider->metadata;
  g_autofree char *state = random_text();
  g_autofree char *verifier = random_text();
  g_autofree char *url = NULL;
  GError *error = NULL;

  call->nonce = random_text();
  call->verifier = secret_new(verifier, strlen(verifier));
  secret_wipe(verifier, strlen(verifier));
  if (!metadata->authorization || !metadata->token) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROVIDER,
                   "%s has no sign-in by browser: try `hoop-agent login "
                   "--device`",
                   call->provider->issuer->issuer);
    return;
  }
  if (!listen_for_it(call, state, &error)) {
    oidc_fail(call, error);
    return;
  }
  url = oidc_browser_url(call, state);
  if (!url) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_CONFIG,
                   "the address to open would be longer than %d bytes: fewer "
                   "scopes, or a shorter client-id",
                   MAX_URL);
    return;
  }
  oidc_later(call, MAX_WAIT_S * 1000, expire);
  call->events.prompt(
      &(LoginPrompt){.issuer = call->provider->issuer->issuer,
                     .url = url,
                     .expires_us = clock_wall_us() + MAX_WAIT_S * US_PER_S},
      call->data);
}
