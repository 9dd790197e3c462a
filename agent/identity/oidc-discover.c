/* SPDX-License-Identifier: Apache-2.0 */
/* A provider's metadata and keys: fetched when needed, kept for an hour, and
 * once more when a token names a key that is not among them. */
#include "identity/oidc.h"
#include "kit/clock.h"

#define US_PER_S INT64_C(1000000)
/* Providers move endpoints and withdraw keys rarely, but they do. */
#define FRESH_US (3600 * US_PER_S)
/* Tokens with invented kids must not make us a nuisance. */
#define REFETCH_US (60 * US_PER_S)

static void
go_on(ProviderCall *call)
{
  CallStep step = g_steal_pointer(&call->step);

  step(call);
}

static bool
is_fresh(const void *what, int64_t since_us)
{
  return what && clock_boot_us() - since_us < FRESH_US;
}

/* An error of HTTP is none of OAuth here. */
static GError *
fault_of(const WebAnswer *answer, const GError *error, const char *what)
{
  if (error)
    return g_error_copy(error);
  if (answer->status < 300)
    return NULL;
  return g_error_new(IDENTITY_ERROR,
                     IDENTITY_ERROR_PROVIDER,
                     "the provider answered %d where its %s should be",
                     answer->status,
                     what);
}

static void
on_metadata(ProviderCall *call, const WebAnswer *answer, const GError *error)
{
  Provider *provider = call->provider;
  GError *fault = fault_of(answer, error, "discovery document");
  Metadata *metadata = NULL;

  if (!fault)
    metadata = metadata_read(provider->issuer->issuer, &answer->fields, &fault);
  if (!metadata) {
    oidc_fail(call, fault);
    return;
  }
  metadata_free(provider->metadata);
  provider->metadata = metadata;
  provider->metadata_us = clock_boot_us();
  go_on(call);
}

void
oidc_discover(ProviderCall *call, CallStep step)
{
  const Provider *provider = call->provider;
  g_autofree char *url = NULL;

  if (is_fresh(provider->metadata, provider->metadata_us)) {
    step(call);
    return;
  }
  call->step = step;
  url = metadata_url(provider->issuer->issuer);
  oidc_ask(call, &(WebAsk){.url = url}, on_metadata);
}

static void
on_keys(ProviderCall *call, const WebAnswer *answer, const GError *error)
{
  Provider *provider = call->provider;
  GError *fault = fault_of(answer, error, "keys");
  KeySet *keys = NULL;

  if (!fault)
    keys = key_set_parse(answer->fields.text, answer->fields.len, &fault);
  if (!keys) {
    oidc_fail(call, fault);
    return;
  }
  key_set_free(provider->keys);
  provider->keys = keys;
  provider->keys_us = clock_boot_us();
  go_on(call);
}

void
oidc_fetch_keys(ProviderCall *call, bool anew, CallStep step)
{
  const Provider *provider = call->provider;

  if (!anew && is_fresh(provider->keys, provider->keys_us)) {
    step(call);
    return;
  }
  call->step = step;
  oidc_ask(call, &(WebAsk){.url = provider->metadata->jwks}, on_keys);
}

bool
oidc_may_refetch(Provider *provider)
{
  const int64_t now = clock_boot_us();

  if (provider->refetch_us != 0 && now - provider->refetch_us < REFETCH_US)
    return false;
  provider->refetch_us = now;
  return true;
}
