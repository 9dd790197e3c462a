/* SPDX-License-Identifier: Apache-2.0 */
/* What a token endpoint's answer makes of a person: the ID token's checks,
 * userinfo where it says more, and how long the session lives. */
#include "identity/groups.h"
#include "identity/oidc.h"
#include "identity/person.h"
#include "kit/clock.h"
#include "kit/json.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
/* Clocks differ; more than this is a wrong clock. */
#define LEEWAY_S 60
/* A token that was asked for just now. */
#define MAX_AGE_S 600
/* A session without renewal ends after a day whatever its token says. */
#define MAX_LIFE_S INT64_C(86400)
/* Renewals without an ID token: claims may be this old, and the session goes
 * on for as long as the access token, within these bounds. */
#define CLAIMS_US (3600 * US_PER_S)
#define MIN_EXTENSION_S 60
#define MAX_EXTENSION_S 3600
/* Renewed after 75 to 80 % of the life, not all clients at once. */
#define RENEW_AFTER 75
#define RENEW_SPREAD 5
/* What is nearly over is not renewed over and over. */
#define MIN_RENEWAL_US US_PER_S
/* A mounted token is looked at this often: it may be replaced at any time. */
#define FILE_US (60 * US_PER_S)

/* ---- what is stored ------------------------------------------------------ */

static Secret *
pack(const Secret *refresh, const char *sub)
{
  GString *text =
      g_string_sized_new(2 * secret_len(refresh) + 6 * strlen(sub) + 64);
  Secret *packed;

  g_string_append(text, "{\"refresh_token\":\"");
  json_escape(text, secret_text(refresh), -1);
  g_string_append(text, "\",\"sub\":\"");
  json_escape(text, sub, -1);
  g_string_append(text, "\"}");
  packed = secret_new(text->str, text->len);
  secret_wipe(text->str, text->allocated_len);
  g_string_free(text, TRUE);
  return packed;
}

/* ---- the end ------------------------------------------------------------- */

static char *
sub_of(const char *claims)
{
  Fields fields;

  return fields_read(&fields, claims, strlen(claims), NULL)
             ? fields_text(&fields, "sub")
             : NULL;
}

static int64_t
extension_us(const ProviderCall *call)
{
  const int64_t s = call->expires_in > 0 ? call->expires_in : MAX_EXTENSION_S;

  return CLAMP(s, MIN_EXTENSION_S, MAX_EXTENSION_S) * US_PER_S;
}

/* When the session ends: with the ID token, where there is one. */
static int64_t
end_of(const ProviderCall *call, int64_t now_us)
{
  Fields fields;
  int64_t exp;

  if (!call->id_token ||
      !fields_read(&fields, call->claims, strlen(call->claims), NULL) ||
      !fields_number(&fields, "exp", &exp))
    return now_us + extension_us(call);
  return MIN(exp, now_us / US_PER_S + MAX_LIFE_S) * US_PER_S;
}

/* Of the access token; one that names no end is taken to last. */
static int64_t
access_end_of(const ProviderCall *call, int64_t now_us, int64_t end_us)
{
  return call->expires_in > 0
             ? now_us + MIN(call->expires_in, MAX_LIFE_S) * US_PER_S
             : end_us;
}

static int64_t
renewal_of(const ProviderCall *call, int64_t now_us, int64_t end_us)
{
  const int64_t life = MAX(end_us - now_us, 0);
  const int64_t part =
      life / 100 * (RENEW_AFTER + g_random_int_range(0, RENEW_SPREAD + 1));
  const int64_t after = MAX(part, MIN_RENEWAL_US);

  if (call->method == LOGIN_TOKEN_FILE)
    return now_us + MIN(after, FILE_US);
  if (!call->refresh && call->method != LOGIN_CLIENT_CREDENTIALS)
    return 0;
  return now_us + after;
}

/* Everything was checked: who is it? `fresh`: this was said just now. */
static void
conclude(ProviderCall *call, const char *userinfo, bool fresh)
{
  Provider *provider = call->provider;
  const int64_t now = clock_wall_us();
  const int64_t end = end_of(call, now);
  const int64_t access_end = access_end_of(call, now, end);
  g_autofree char *sub = sub_of(call->claims);
  g_autoptr(Secret) renewal = NULL;
  g_autoptr(PersonRef) person = NULL;
  GError *error = NULL;

  /* The checks' leeway is for clocks: no session begins that is over. */
  if (end <= now) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_TOKEN,
                   "the ID token has ended: a new one is needed (or the clock "
                   "here is wrong)");
    return;
  }
  person = claims_person(provider->issuer, call->claims, userinfo, end, &error);
  if (!person) {
    oidc_fail(call, error);
    return;
  }
  if (call->was && !g_str_equal(call->was, person->subject)) {
    oidc_fail_with(
        call, IDENTITY_ERROR_TOKEN, "the renewed session is another person's");
    return;
  }
  if (call->refresh && sub)
    renewal = pack(call->refresh, sub);
  if (fresh && !provider->many) {
    g_free(provider->claims);
    provider->claims = g_strdup(call->claims);
    g_free(provider->userinfo);
    provider->userinfo = g_strdup(userinfo);
    provider->claims_us = clock_boot_us();
  }
  oidc_succeed(
      call,
      &(ProviderGrant){.person = person,
                       .renewal = renewal,
                       .renew_us = renewal_of(call,
                                              now,
                                              provider->issuer->keeps_access
                                                  ? MIN(end, access_end)
                                                  : end),
                       .access = call->access,
                       .access_until_us = access_end});
}

/* ---- userinfo ------------------------------------------------------------ */

static void
on_userinfo(ProviderCall *call, const WebAnswer *answer, const GError *error)
{
  g_autofree char *text = NULL;
  g_autofree char *word = NULL;
  GError *fault = NULL;

  if (!error && !oidc_is_error(call, answer, &word, &fault))
    text = g_strndup(answer->fields.text, answer->fields.len);
  else if (error)
    fault = g_error_copy(error);
  /* With an ID token only the groups are missing, which are unknown then. */
  if (!text && !call->id_token) {
    oidc_fail(call, fault);
    return;
  }
  g_clear_error(&fault);
  conclude(call, text, true);
}

static bool
ask_userinfo(ProviderCall *call)
{
  const char *url = call->provider->metadata->userinfo;

  if (!url || !call->access)
    return false;
  oidc_ask(call, &(WebAsk){.url = url, .bearer = call->access}, on_userinfo);
  return true;
}

/* ---- without an ID token ------------------------------------------------- */

/* The client is the person; its groups nobody told, unless nobody here has
 * any. */
static void
conclude_machine(ProviderCall *call)
{
  const IssuerOptions *issuer = call->provider->issuer;
  const int64_t now = clock_wall_us();
  const int64_t end = now + extension_us(call);
  const bool none = groups_none(issuer);
  char *no_groups[] = {NULL};
  g_autoptr(PersonRef) person = person_new(&(Person){
      .user = (char *)issuer->client_id,
      .subject = (char *)issuer->client_id,
      .issuer = (char *)issuer->issuer,
      .groups = none ? no_groups : NULL,
      .groups_unknown =
          none ? NULL
               : (char *)"The provider names no groups for a client that "
                         "signed in with its own credentials.",
      .expires_us = end});

  oidc_succeed(call,
               &(ProviderGrant){.person = person,
                                .renew_us = renewal_of(call, now, end)});
}

/* A renewal: what is known is young enough, or is asked for again. */
static void
go_on_without(ProviderCall *call)
{
  const Provider *provider = call->provider;
  GString *claims;

  if (provider->claims && call->was &&
      clock_boot_us() - provider->claims_us < CLAIMS_US) {
    call->claims = g_strdup(provider->claims);
    conclude(call, provider->userinfo, false);
    return;
  }
  claims = g_string_new("{\"sub\":\"");
  json_escape(claims, call->subject, -1);
  g_string_append(claims, "\"}");
  call->claims = g_string_free(claims, FALSE);
  if (!ask_userinfo(call))
    oidc_fail_with(call,
                   IDENTITY_ERROR_DENIED,
                   "the renewal brought no ID token and the provider has no "
                   "userinfo: what is known of the person is too old");
}

/* ---- with one ------------------------------------------------------------ */

/* OpenID Connect Core 1.0, section 12.2. */
static bool
is_same_subject(const ProviderCall *call)
{
  g_autofree char *sub = sub_of(call->claims);

  return !call->subject || g_strcmp0(sub, call->subject) == 0;
}

static void
check(ProviderCall *call)
{
  Provider *provider = call->provider;
  const char *token = secret_text(call->id_token);
  GError *error = NULL;

  if (!call->refetched && !id_token_has_key(provider->keys, token)) {
    call->refetched = true;
    if (oidc_may_refetch(provider)) {
      oidc_fetch_keys(call, true, check);
      return;
    }
  }
  g_free(call->claims);
  call->claims = id_token_check(
      provider->keys,
      token,
      &(IdTokenExpect){
          .issuer = provider->issuer->issuer,
          .client_id = provider->issuer->client_id,
          .nonce = call->nonce,
          .access_token = call->access ? secret_text(call->access) : NULL,
          .now = clock_wall_us() / US_PER_S,
          .leeway = LEEWAY_S,
          .max_age = call->method == LOGIN_TOKEN_FILE ? 0 : MAX_AGE_S},
      &error);
  if (!call->claims) {
    oidc_fail(call, error);
    return;
  }
  if (!is_same_subject(call)) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_DENIED,
                   "the provider answered the renewal with another person's "
                   "token");
    return;
  }
  if (!claims_want_userinfo(provider->issuer, call->claims) ||
      !ask_userinfo(call))
    conclude(call, NULL, true);
}

void
oidc_check_id_token(ProviderCall *call)
{
  oidc_fetch_keys(call, false, check);
}

/* ---- the answer ---------------------------------------------------------- */

static void
keep_refresh(ProviderCall *call, Secret *refresh)
{
  g_autoptr(Secret) packed = NULL;

  if (call->refresh &&
      secret_equal(call->refresh, secret_bytes(refresh), secret_len(refresh))) {
    secret_unref(refresh);
    return;
  }
  secret_unref(call->refresh);
  call->refresh = refresh;
  if (!call->renewal || !call->events.keep || !call->subject)
    return;
  packed = pack(refresh, call->subject);
  call->events.keep(packed, call->data);
}

void
oidc_take_tokens(ProviderCall *call, const WebAnswer *answer)
{
  const Fields *fields = &answer->fields;
  Secret *refresh = fields_secret(fields, "refresh_token");
  g_autofree char *type = fields_text(fields, "token_type");

  if (refresh && call->method != LOGIN_CLIENT_CREDENTIALS)
    keep_refresh(call, refresh);
  else
    secret_unref(refresh);
  call->id_token = fields_secret(fields, "id_token");
  call->access = fields_secret(fields, "access_token");
  if (!fields_number(fields, "expires_in", &call->expires_in))
    call->expires_in = 0;
  if (call->access && (!type || g_ascii_strcasecmp(type, "bearer") != 0))
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROTOCOL,
                   "the provider sent a token whose type is not Bearer");
  else if (call->id_token)
    oidc_check_id_token(call);
  else if (call->method == LOGIN_CLIENT_CREDENTIALS && call->access)
    conclude_machine(call);
  else if (call->renewal && call->refresh && call->access)
    go_on_without(call);
  else
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROTOCOL,
                   "the provider sent no ID token (do this issuer's scopes "
                   "hold `openid`?)");
}

void
oidc_on_tokens(ProviderCall *call, const WebAnswer *answer, const GError *error)
{
  g_autofree char *word = NULL;
  GError *fault = NULL;

  call->spends = false;
  if (error)
    oidc_fail(call, g_error_copy(error));
  else if (oidc_is_error(call, answer, &word, &fault))
    oidc_fail(call, fault);
  else
    oidc_take_tokens(call, answer);
}
