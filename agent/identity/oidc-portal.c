/* SPDX-License-Identifier: Apache-2.0 */
/* Sign-in at a web page that this program serves: the code flow in two halves,
 * with nothing kept between them. */
#include "identity/oidc.h"
#include <string.h>

struct portal {
  IssuerOptions *issuers;
  Provider **providers;
  unsigned n_issuers;
  char *redirect_uri;
  GHashTable *calls; /* PortalCall */
};

struct portal_call {
  Portal *portal;
  ProviderCall *call;
  PortalDone done; /* NULL: nobody waits */
  void *data;
  Secret *kept; /* came in a renewal that may yet fail */
  char *url;
};

/* ---- calls ----------------------------------------------------------------
 */

static void
call_free(PortalCall *call)
{
  g_hash_table_remove(call->portal->calls, call);
  secret_unref(call->kept);
  g_free(call->url);
  g_free(call);
}

static void
on_prompt(const LoginPrompt *prompt, void *data)
{
  PortalCall *call = data;

  call->url = g_strdup(prompt->url);
}

static void
on_keep(Secret *renewal, void *data)
{
  PortalCall *call = data;

  secret_unref(call->kept);
  call->kept = secret_ref(renewal);
}

static void
on_done(const ProviderGrant *grant, const GError *error, void *data)
{
  PortalCall *call = data;
  PortalGrant given = {.renewal = call->kept};

  if (grant)
    given = (PortalGrant){.person = grant->person,
                          .renewal = grant->renewal,
                          .renew_us = grant->renew_us};
  if (call->done)
    call->done(
        call->url, grant || call->kept ? &given : NULL, error, call->data);
  call_free(call);
}

static const ProviderEvents events = {on_prompt, on_keep, on_done};

static PortalCall *
call_new(Portal *portal, PortalDone done, void *data)
{
  PortalCall *call = g_new0(PortalCall, 1);

  *call = (PortalCall){.portal = portal, .done = done, .data = data};
  g_hash_table_add(portal->calls, call);
  return call;
}

void
portal_cancel(PortalCall *call)
{
  if (!call)
    return;
  provider_oidc.cancel(call->call);
  call_free(call);
}

/* ---- the question ---------------------------------------------------------
 */

static void
ask(ProviderCall *call)
{
  const IssuerOptions *issuer = call->provider->issuer;
  g_autofree char *url = NULL;

  if (!call->provider->metadata->authorization ||
      !call->provider->metadata->token) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_PROVIDER,
                   "%s has no sign-in by browser",
                   issuer->issuer);
    return;
  }
  url = oidc_browser_url(call, call->state);
  if (!url) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_CONFIG,
                   "the address to sign in at would be too long: fewer scopes, "
                   "or a shorter client-id");
    return;
  }
  call->events.prompt(&(LoginPrompt){.issuer = issuer->issuer, .url = url},
                      call->data);
  oidc_succeed(call, NULL);
}

static void
begin_ask(ProviderCall *call)
{
  oidc_discover(call, ask);
}

static ProviderCall *
bound_call(Portal *portal,
           unsigned issuer,
           const PortalBond *bond,
           PortalCall *data)
{
  ProviderCall *call = oidc_call_new(portal->providers[issuer], &events, data);

  call->method = LOGIN_BROWSER;
  call->redirect_uri = g_strdup(portal->redirect_uri);
  call->state = g_strdup(bond->state);
  call->nonce = g_strdup(bond->nonce);
  call->verifier = secret_new(bond->verifier, strlen(bond->verifier));
  return call;
}

PortalCall *
portal_ask(Portal *portal,
           unsigned issuer,
           const PortalBond *bond,
           PortalDone done,
           void *data)
{
  PortalCall *call = call_new(portal, done, data);

  call->call = bound_call(portal, issuer, bond, call);
  oidc_later(call->call, 0, begin_ask);
  return call;
}

/* ---- the answer -----------------------------------------------------------
 */

static void
take(ProviderCall *call)
{
  oidc_browser_take(call, &call->brought);
}

static void
begin_take(ProviderCall *call)
{
  oidc_discover(call, take);
}

PortalCall *
portal_take(Portal *portal,
            unsigned issuer,
            const PortalBond *bond,
            const char *query,
            PortalDone done,
            void *data)
{
  CallbackAnswer brought = {.code = NULL};
  PortalCall *call;

  if (!callback_read(query, bond->state, &brought))
    return NULL;
  call = call_new(portal, done, data);
  call->call = bound_call(portal, issuer, bond, call);
  call->call->brought = brought;
  oidc_later(call->call, 0, begin_take);
  return call;
}

PortalCall *
portal_renew(Portal *portal,
             unsigned issuer,
             Secret *renewal,
             const Person *person,
             PortalDone done,
             void *data)
{
  const LoginSpec spec = {.method = LOGIN_BROWSER};
  PortalCall *call = call_new(portal, done, data);

  call->call = provider_oidc.renew(portal->providers[issuer],
                                   &spec,
                                   renewal,
                                   person->subject,
                                   &events,
                                   call);
  return call;
}

void
portal_revoke(Portal *portal, unsigned issuer, Secret *renewal)
{
  PortalCall *call = call_new(portal, NULL, NULL);

  call->call =
      provider_oidc.revoke(portal->providers[issuer], renewal, &events, call);
}

/* ---- the portal -------------------------------------------------------------
 */

Portal *
portal_new(Loop *loop,
           const IssuerOptions *issuers,
           unsigned n_issuers,
           const char *redirect_uri,
           const UpstreamOptions *upstream,
           GError **error)
{
  g_autoptr(Portal) portal = g_new0(Portal, 1);

  portal->calls = g_hash_table_new(NULL, NULL);
  portal->redirect_uri = g_strdup(redirect_uri);
  portal->issuers = g_memdup2(issuers, n_issuers * sizeof *issuers);
  portal->providers = g_new0(Provider *, n_issuers);
  for (unsigned i = 0; i < n_issuers; i++) {
    portal->providers[i] =
        provider_oidc.make(loop, &portal->issuers[i], upstream, error);
    if (!portal->providers[i])
      return NULL;
    portal->providers[i]->many = true;
    portal->n_issuers++;
  }
  return g_steal_pointer(&portal);
}

void
portal_free(Portal *portal)
{
  g_autoptr(GList) calls = NULL;

  if (!portal)
    return;
  calls = g_hash_table_get_keys(portal->calls);
  for (GList *each = calls; each; each = each->next)
    portal_cancel(each->data);
  for (unsigned i = 0; i < portal->n_issuers; i++)
    provider_oidc.unmake(portal->providers[i]);
  g_hash_table_unref(portal->calls);
  g_free(portal->providers);
  g_free(portal->issuers);
  g_free(portal->redirect_uri);
  g_free(portal);
}
