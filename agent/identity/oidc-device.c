/* SPDX-License-Identifier: Apache-2.0 */
/* The device flow (RFC 8628): a code for the person, and patient questions
 * whether it was used. */
#include "identity/oidc.h"
#include "kit/clock.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"
/* Section 3.2: where the provider does not say. */
#define DEFAULT_INTERVAL_S 5
/* Section 3.5. */
#define SLOW_DOWN_S 5
/* Nobody waits longer between questions. */
#define MAX_INTERVAL_S 300
/* Nor for a person: codes that live longer are let go of. */
#define MAX_EXPIRES_S 1800
#define MAX_CODE 64
#define MAX_TEXT 2048

static void poll_again(ProviderCall *call);

static int64_t
interval_of(const ProviderCall *call, const Fields *fields, int64_t otherwise)
{
  int64_t s;

  if (!fields_number(fields, "interval", &s) || s < 1)
    s = otherwise;
  return CLAMP(s,
               MAX(1, (int64_t)call->provider->quirk->interval),
               MAX_INTERVAL_S) *
         1000;
}

static void
expire(ProviderCall *call)
{
  oidc_fail_with(call,
                 IDENTITY_ERROR_EXPIRED,
                 "the code was not used in time: sign in again");
}

static void
wait_for_it(ProviderCall *call)
{
  const int64_t left_ms = (call->deadline_us - clock_boot_us()) / 1000;
  const int64_t wait_ms = call->interval_ms + call->penalty_ms;

  if (left_ms <= 0)
    expire(call);
  else if (wait_ms < left_ms)
    oidc_later(call, wait_ms, poll_again);
  else
    oidc_later(call, left_ms, expire);
}

/* True when the provider only asks for patience. */
static bool
goes_on(ProviderCall *call, const WebAnswer *answer, const char *word)
{
  const ProviderQuirk *quirk = call->provider->quirk;

  if (g_str_equal(word, "slow_down")) {
    const int64_t slower = call->interval_ms + SLOW_DOWN_S * 1000;

    call->interval_ms = MIN(slower, MAX_INTERVAL_S * 1000);
    if (quirk->slow_down_carries_interval)
      call->interval_ms =
          interval_of(call, &answer->fields, call->interval_ms / 1000);
    return true;
  }
  return g_str_equal(word, "authorization_pending") ||
         g_strcmp0(word, quirk->pending) == 0;
}

static void
on_polled(ProviderCall *call, const WebAnswer *answer, const GError *error)
{
  g_autofree char *word = NULL;
  GError *fault = NULL;

  if (error && error->code == IDENTITY_ERROR_UNREACHABLE) {
    /* Section 3.5: twice as long after each failure. */
    const int64_t longer = call->interval_ms + 2 * call->penalty_ms;

    call->penalty_ms = MIN(longer, MAX_INTERVAL_S * 1000);
    wait_for_it(call);
  } else if (error) {
    oidc_fail(call, g_error_copy(error));
  } else if (!oidc_is_error(call, answer, &word, &fault)) {
    oidc_take_tokens(call, answer);
  } else if (goes_on(call, answer, word)) {
    g_clear_error(&fault);
    call->penalty_ms = 0;
    wait_for_it(call);
  } else {
    oidc_fail(call, fault);
  }
}

static void
poll_again(ProviderCall *call)
{
  Buf form;

  buf_init(&form, WEB_MAX_FORM);
  form_add(&form, "grant_type", DEVICE_GRANT);
  form_add(&form, "device_code", secret_text(call->device_code));
  oidc_ask_as_client(
      call, call->provider->metadata->token, &form, false, on_polled);
}

/* Shows the person what to do; false when the provider's words are unfit. */
static bool
show(ProviderCall *call, const Fields *fields, int64_t expires_s)
{
  g_autofree char *sent = fields_text(fields, "user_code");
  g_autofree char *code = NULL;
  g_autofree char *url = fields_text(fields, "verification_uri");
  g_autofree char *whole = fields_text(fields, "verification_uri_complete");
  LoginPrompt prompt = {.issuer = call->provider->issuer->issuer};

  if (!url)
    url = fields_text(fields, "verification_url");
  if (!sent || strlen(sent) > MAX_CODE || !web_url_is_safe(url))
    return false;
  code = claims_printable(sent, MAX_CODE);
  if (!g_str_equal(code, sent))
    return false;
  prompt.url = url;
  prompt.url_whole = whole && web_url_is_safe(whole) ? whole : NULL;
  prompt.user_code = code;
  prompt.expires_us = clock_wall_us() + expires_s * US_PER_S;
  /* The call may be cancelled in there. */
  wait_for_it(call);
  call->events.prompt(&prompt, call->data);
  return true;
}

static void
take_code(ProviderCall *call, const Fields *fields)
{
  int64_t expires_s;

  call->device_code = fields_secret(fields, "device_code");
  if (!call->device_code || !fields_number(fields, "expires_in", &expires_s) ||
      expires_s < 1) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROTOCOL,
                   "the provider's answer has no device code, or does not say "
                   "when it expires");
    return;
  }
  expires_s = MIN(expires_s, MAX_EXPIRES_S);
  call->deadline_us = clock_boot_us() + expires_s * US_PER_S;
  call->interval_ms = interval_of(call, fields, DEFAULT_INTERVAL_S);
  if (!show(call, fields, expires_s))
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROTOCOL,
                   "the provider's answer has no user code, or no https "
                   "address to enter it at");
}

static void
on_code(ProviderCall *call, const WebAnswer *answer, const GError *error)
{
  g_autofree char *word = NULL;
  GError *fault = NULL;

  if (error)
    oidc_fail(call, g_error_copy(error));
  else if (oidc_is_error(call, answer, &word, &fault))
    oidc_fail(call, fault);
  else
    take_code(call, &answer->fields);
}

void
oidc_device_start(ProviderCall *call)
{
  const IssuerOptions *issuer = call->provider->issuer;
  const Metadata *metadata = call->provider->metadata;
  Buf form;

  if (!metadata->device || !metadata->token || metadata->no_device) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROVIDER,
                   "%s has no sign-in by code (RFC 8628): try `hoop-agent "
                   "login --browser`",
                   issuer->issuer);
    return;
  }
  buf_init(&form, WEB_MAX_FORM);
  /* Section 3.1 wants it here also beside an Authorization. */
  if (issuer->client_secret_file && metadata->auth_basic)
    form_add(&form, "client_id", issuer->client_id);
  form_add(&form, "scope", issuer->scopes);
  form_add(&form, "audience", issuer->audience);
  oidc_ask_as_client(call, metadata->device, &form, false, on_code);
}
