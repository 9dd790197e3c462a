/* SPDX-License-Identifier: Apache-2.0 */
/* A provider of OpenID Connect, and the life of one call to it: a chain of
 * steps, each ended by an answer, a timer or the last word. */
#include "identity/oidc.h"
#include "kit/clock.h"
#include "kit/file.h"
#include "kit/json.h"
#include <stdarg.h>
#include <string.h>

/* Of the provider's words in an error. */
#define MAX_WORD 80
#define MAX_WORDS 300

/* ---- the life of a call -------------------------------------------------- */

static void
call_free(ProviderCall *call)
{
  web_cancel(call->web);
  if (call->verifier && call->provider->callback)
    callback_stop(call->provider->callback);
  loop_timer_free(call->timer);
  g_clear_error(&call->fault);
  g_free(call->token_file);
  secret_unref(call->device_code);
  secret_unref(call->verifier);
  g_free(call->nonce);
  g_free(call->redirect_uri);
  g_free(call->state);
  callback_answer_clear(&call->brought);
  secret_unref(call->id_token);
  secret_unref(call->access);
  secret_unref(call->refresh);
  g_free(call->subject);
  g_free(call->was);
  g_free(call->claims);
  g_free(call);
}

static void
finish(ProviderCall *call, const ProviderGrant *grant, const GError *error)
{
  loop_timer_set(call->timer, -1);
  call->events.done(grant, error, call->data);
  call_free(call);
}

void
oidc_fail(ProviderCall *call, GError *error)
{
  g_autoptr(GError) taken = error;

  finish(call, NULL, taken);
}

void
oidc_fail_with(ProviderCall *call,
               IdentityErrorCode code,
               const char *format,
               ...)
{
  va_list args;

  va_start(args, format);
  oidc_fail(call, g_error_new_valist(IDENTITY_ERROR, (int)code, format, args));
  va_end(args);
}

void
oidc_succeed(ProviderCall *call, const ProviderGrant *grant)
{
  finish(call, grant, NULL);
}

static void
on_timer(void *data)
{
  ProviderCall *call = data;
  CallStep step = g_steal_pointer(&call->step);

  step(call);
}

void
oidc_later(ProviderCall *call, int64_t ms, CallStep step)
{
  call->step = step;
  loop_timer_set(call->timer, ms);
}

static void
on_answer(const WebAnswer *answer, const GError *error, void *data)
{
  ProviderCall *call = data;
  CallAnswer answered = g_steal_pointer(&call->answered);

  call->web = NULL;
  answered(call, answer, error);
}

static void
end_with_fault(ProviderCall *call)
{
  oidc_fail(call, g_steal_pointer(&call->fault));
}

void
oidc_ask(ProviderCall *call, const WebAsk *ask, CallAnswer answered)
{
  call->answered = answered;
  call->web = web_ask(call->provider->loop,
                      call->provider->upstream,
                      ask,
                      on_answer,
                      call,
                      &call->fault);
  if (!call->web)
    oidc_later(call, 0, end_with_fault);
}

/* ---- who the client is --------------------------------------------------- */

/* RFC 6749 section 2.3.1: both are encoded as a form's values first. */
static char *
basic_of(const char *id, const Secret *secret)
{
  char *encoded;
  Buf pair;

  buf_init(&pair, WEB_MAX_FORM);
  form_encode(&pair, id);
  if (buf_append(&pair, ":", 1))
    form_encode(&pair, secret_text(secret));
  encoded = g_base64_encode(buf_bytes(&pair), pair.len);
  buf_clear(&pair);
  return encoded;
}

static bool
add_client(const ProviderCall *call, Buf *form, char **basic, GError **error)
{
  const IssuerOptions *issuer = call->provider->issuer;
  const Metadata *metadata = call->provider->metadata;
  g_autoptr(Secret) secret = NULL;
  g_autoptr(GError) fault = NULL;

  if (!issuer->client_secret_file) {
    form_add(form, "client_id", issuer->client_id);
    return true;
  }
  secret = file_read_secret(issuer->client_secret_file, &fault);
  if (!secret || !(metadata->auth_basic || metadata->auth_post)) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_CONFIG,
                "client-secret-file of %s: %s",
                issuer->name,
                secret ? "the provider takes no client's secret as it is"
                       : fault->message);
    return false;
  }
  if (metadata->auth_basic) {
    *basic = basic_of(issuer->client_id, secret);
  } else {
    form_add(form, "client_id", issuer->client_id);
    form_add(form, "client_secret", secret_text(secret));
  }
  return true;
}

void
oidc_ask_as_client(ProviderCall *call,
                   const char *url,
                   Buf *form,
                   bool body_is_nothing,
                   CallAnswer answered)
{
  char *basic = NULL;

  if (!add_client(call, form, &basic, &call->fault)) {
    buf_clear(form);
    oidc_later(call, 0, end_with_fault);
    return;
  }
  oidc_ask(call,
           &(WebAsk){.url = url,
                     .form = form,
                     .basic = basic,
                     .body_is_nothing = body_is_nothing},
           answered);
  buf_clear(form);
  if (basic)
    secret_wipe(basic, strlen(basic));
  g_free(basic);
}

/* ---- errors of OAuth ----------------------------------------------------- */

static IdentityErrorCode
code_of(const ProviderCall *call, const char *word)
{
  const ProviderQuirk *quirk = call->provider->quirk;

  if (g_str_equal(word, "access_denied") ||
      g_strcmp0(word, quirk->declined) == 0)
    return IDENTITY_ERROR_DENIED;
  if (g_str_equal(word, "expired_token") ||
      g_strcmp0(word, quirk->bad_code) == 0)
    return IDENTITY_ERROR_EXPIRED;
  if (g_str_equal(word, "invalid_grant")) {
    /* Of a device code: gone. Of a refresh token: the session is. */
    if (call->device_code)
      return IDENTITY_ERROR_EXPIRED;
    return call->renewal ? IDENTITY_ERROR_DENIED : IDENTITY_ERROR_PROVIDER;
  }
  if (g_str_equal(word, "invalid_client") ||
      g_str_equal(word, "unauthorized_client") ||
      g_str_equal(word, "invalid_scope") ||
      g_str_equal(word, "unsupported_grant_type"))
    return IDENTITY_ERROR_CONFIG;
  if (g_str_equal(word, "temporarily_unavailable") ||
      g_str_equal(word, "server_error"))
    return IDENTITY_ERROR_UNREACHABLE;
  return IDENTITY_ERROR_PROVIDER;
}

static const char *
hint_of(const char *word)
{
  if (g_str_equal(word, "invalid_client"))
    return " (client-id and client-secret-file of this issuer)";
  if (g_str_equal(word, "unauthorized_client") ||
      g_str_equal(word, "unsupported_grant_type"))
    return " (the provider does not let this client sign in this way)";
  if (g_str_equal(word, "invalid_scope"))
    return " (scopes of this issuer)";
  return "";
}

bool
oidc_is_error(const ProviderCall *call,
              const WebAnswer *answer,
              char **word,
              GError **error)
{
  const bool good = answer->status >= 200 && answer->status < 300;
  g_autofree char *sent = fields_text(&answer->fields, "error");
  g_autofree char *told = NULL;
  g_autofree char *said = NULL;
  g_autofree char *says = NULL;

  if (good && !sent)
    return false;
  if (!sent)
    sent = g_strdup_printf("HTTP status %d", answer->status);
  told = fields_text(&answer->fields, "error_description");
  said = claims_printable(sent, MAX_WORD);
  says = claims_printable(told ? told : "", MAX_WORDS);
  g_set_error(error,
              IDENTITY_ERROR,
              (int)code_of(call, sent),
              "the provider says %s%s%s%s",
              said,
              *says ? ": " : "",
              says,
              hint_of(sent));
  *word = g_steal_pointer(&sent);
  return true;
}

/* ---- the row ------------------------------------------------------------- */

static void
unmake(Provider *provider)
{
  if (!provider)
    return;
  callback_free(provider->callback);
  upstream_free(provider->upstream);
  metadata_free(provider->metadata);
  key_set_free(provider->keys);
  g_free(provider->claims);
  g_free(provider->userinfo);
  g_free(provider);
}

static Provider *
make(Loop *loop,
     const IssuerOptions *issuer,
     const UpstreamOptions *upstream,
     GError **error)
{
  UpstreamOptions options = *upstream;
  g_autoptr(GError) fault = NULL;
  Provider *provider;

  if (!web_url_is_safe(issuer->issuer) || strchr(issuer->issuer, '?') ||
      !issuer->client_id || !*issuer->client_id) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_CONFIG,
                "identity \"%s\": %s",
                issuer->name,
                issuer->client_id && *issuer->client_id
                    ? "`issuer` must be an https URL without query"
                    : "`client-id` is missing");
    return NULL;
  }
  if (issuer->ca_file)
    options.ca_file = issuer->ca_file;
  provider = g_new0(Provider, 1);
  provider->loop = loop;
  provider->issuer = issuer;
  provider->quirk = provider_quirk(issuer->issuer);
  provider->upstream = upstream_new(loop, &options, &fault);
  if (!provider->upstream) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_CONFIG,
                "identity \"%s\": %s",
                issuer->name,
                fault->message);
    unmake(provider);
    return NULL;
  }
  return provider;
}

ProviderCall *
oidc_call_new(Provider *provider, const ProviderEvents *events, void *data)
{
  ProviderCall *call = g_new0(ProviderCall, 1);

  call->provider = provider;
  call->events = *events;
  call->data = data;
  call->timer = loop_timer_new(provider->loop, on_timer, call);
  return call;
}

static void
begin(ProviderCall *call)
{
  switch (call->method) {
  case LOGIN_DEVICE:
    oidc_discover(call, oidc_device_start);
    break;
  case LOGIN_BROWSER:
    oidc_discover(call, oidc_browser_start);
    break;
  case LOGIN_CLIENT_CREDENTIALS:
    oidc_discover(call, oidc_credentials_start);
    break;
  case LOGIN_TOKEN_FILE:
    oidc_discover(call, oidc_file_start);
    break;
  }
}

static ProviderCall *
login(Provider *provider,
      const LoginSpec *spec,
      const ProviderEvents *events,
      void *data)
{
  ProviderCall *call = oidc_call_new(provider, events, data);

  call->method = spec->method;
  call->token_file = g_strdup(spec->token_file);
  oidc_later(call, 0, begin);
  return call;
}

/* What is stored: the refresh token, and whose it is. */
static bool
unpack(ProviderCall *call, Secret *renewal)
{
  Fields fields;

  if (!fields_read(&fields, secret_text(renewal), secret_len(renewal), NULL))
    return false;
  call->refresh = fields_secret(&fields, "refresh_token");
  call->subject = fields_text(&fields, "sub");
  return call->refresh && call->subject;
}

static void
send_refresh(ProviderCall *call)
{
  const Metadata *metadata = call->provider->metadata;
  Buf form;

  if (!metadata->token) {
    oidc_fail_with(
        call, IDENTITY_ERROR_PROVIDER, "the provider has no token endpoint");
    return;
  }
  buf_init(&form, WEB_MAX_FORM);
  form_add(&form, "grant_type", "refresh_token");
  form_add(&form, "refresh_token", secret_text(call->refresh));
  call->spends = true;
  oidc_ask_as_client(call, metadata->token, &form, false, oidc_on_tokens);
}

/* The keys first, so that what comes back can be judged at once. */
static void
before_refresh(ProviderCall *call)
{
  oidc_fetch_keys(call, false, send_refresh);
}

static void
begin_renewal(ProviderCall *call)
{
  oidc_discover(call, before_refresh);
}

static void
refuse_stored(ProviderCall *call)
{
  oidc_fail_with(call,
                 IDENTITY_ERROR_DENIED,
                 "what was stored of the session cannot be read");
}

static ProviderCall *
renew(Provider *provider,
      const LoginSpec *spec,
      Secret *renewal,
      const char *subject,
      const ProviderEvents *events,
      void *data)
{
  ProviderCall *call = oidc_call_new(provider, events, data);

  call->renewal = true;
  call->method = spec->method;
  call->token_file = g_strdup(spec->token_file);
  call->was = g_strdup(subject);
  if (!renewal)
    oidc_later(call, 0, begin);
  else
    oidc_later(call, 0, unpack(call, renewal) ? begin_renewal : refuse_stored);
  return call;
}

static void
on_revoked(ProviderCall *call, const WebAnswer *answer, const GError *error)
{
  if (error)
    oidc_fail(call, g_error_copy(error));
  else if (answer->status >= 300)
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROVIDER,
                   "the provider answered %d to the revocation",
                   answer->status);
  else
    oidc_succeed(call, NULL);
}

static void
send_revocation(ProviderCall *call)
{
  const Metadata *metadata = call->provider->metadata;
  Buf form;

  if (!metadata->revocation) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROVIDER,
                   "the provider offers no revocation (RFC 7009): what it gave "
                   "ends by itself");
    return;
  }
  buf_init(&form, WEB_MAX_FORM);
  form_add(&form, "token", secret_text(call->refresh));
  form_add(&form, "token_type_hint", "refresh_token");
  oidc_ask_as_client(call, metadata->revocation, &form, true, on_revoked);
}

static void
begin_revocation(ProviderCall *call)
{
  oidc_discover(call, send_revocation);
}

static ProviderCall *
revoke(Provider *provider,
       Secret *renewal,
       const ProviderEvents *events,
       void *data)
{
  ProviderCall *call = oidc_call_new(provider, events, data);

  g_clear_pointer(&provider->claims, g_free);
  g_clear_pointer(&provider->userinfo, g_free);
  oidc_later(call, 0, unpack(call, renewal) ? begin_revocation : refuse_stored);
  return call;
}

static bool
spends(const ProviderCall *call)
{
  return call->spends;
}

const ProviderType provider_oidc = {
    .type = "oidc",
    .make = make,
    .unmake = unmake,
    .login = login,
    .renew = renew,
    .revoke = revoke,
    .spends = spends,
    .cancel = call_free,
};

const ProviderType *
provider_type(const char *type)
{
  return !type || g_str_equal(type, provider_oidc.type) ? &provider_oidc : NULL;
}
