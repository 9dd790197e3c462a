/* SPDX-License-Identifier: Apache-2.0 */
/* What the sessions need of a way to sign in. OpenID Connect is one row of the
 * table; nothing here speaks of its tokens, endpoints or claims, and nothing
 * but oidc*.c includes oidc.h.
 *
 * SAML 2.0 plugs in as saml.c with a `provider_saml` of type "saml", a row of
 * provider_type() and a `type` key of [identity "NAME"]. Its login() prompts
 * with the provider's address (AuthnRequest, HTTP-Redirect binding) for
 * LOGIN_BROWSER, takes the answer at a fixed port of loopback (HTTP-POST
 * binding; redirect_port) and ends the other methods with
 * IDENTITY_ERROR_PROVIDER, at which callers try the browser. The assertion
 * makes the Person: NameID the subject, the attribute that groups_claim names
 * the groups, SessionNotOnOrAfter the expiry. There is nothing to renew by, so
 * renewal is NULL and renew_us 0: the session ends and the person signs in
 * again; revoke() is not called then. */
#ifndef HOOP_IDENTITY_PROVIDER_H
#define HOOP_IDENTITY_PROVIDER_H

#include "identity/identity.h"
#include "kit/secret.h"

typedef struct provider Provider;
typedef struct provider_call ProviderCall;

/* What a sign-in or a renewal brought. */
typedef struct {
  const Person *person; /* its expiry is the session's */
  Secret *renewal;  /* keeps the session alive and is stored; what it holds is
                       the provider's. NULL: it cannot be renewed */
  int64_t renew_us; /* wall clock: when to renew, 0: never */
  Secret *access;   /* for other services; NULL: none came */
  int64_t access_until_us; /* wall clock */
} ProviderGrant;

/* Exactly one of both, beside the results of revoke, which have no grant. */
typedef void (*ProviderDone)(const ProviderGrant *grant,
                             const GError *error,
                             void *data);

typedef struct {
  /* As in LoginEvents. NULL for renewals and machines. */
  void (*prompt)(const LoginPrompt *prompt, void *data);
  /* At most once, in renewals alone: what was stored is of no use any more,
   * or soon will be, and this takes its place. Called before anything else is
   * asked or checked, so that it is stored whatever becomes of the rest. */
  void (*keep)(Secret *renewal, void *data);
  /* The last call, never from inside the one that started it. */
  ProviderDone done;
} ProviderEvents;

/* All calls and events on the loop's thread. */
typedef struct {
  const char *type; /* of IssuerOptions */
  /* The issuer's options outlive the provider. IDENTITY_ERROR_CONFIG names the
   * key that cannot be used. */
  Provider *(*make)(Loop *loop,
                    const IssuerOptions *issuer,
                    const UpstreamOptions *upstream,
                    GError **error);
  /* No call may be left. */
  void (*unmake)(Provider *provider);
  /* Signs in. */
  ProviderCall *(*login)(Provider *provider,
                         const LoginSpec *spec,
                         const ProviderEvents *events,
                         void *data);
  /* Renews by what was stored (for LOGIN_TOKEN_FILE and
   * LOGIN_CLIENT_CREDENTIALS renewal is NULL and `spec` is asked again).
   * subject is the Person's whose session it is or was, and must stay; NULL
   * where what was stored alone tells, after a restart.
   * IDENTITY_ERROR_DENIED: the provider ended the session;
   * IDENTITY_ERROR_TOKEN: what it sent failed a check. */
  ProviderCall *(*renew)(Provider *provider,
                         const LoginSpec *spec,
                         Secret *renewal,
                         const char *subject,
                         const ProviderEvents *events,
                         void *data);
  /* Ends what was stored at the provider; only where there is a renewal. */
  ProviderCall *(*revoke)(Provider *provider,
                          Secret *renewal,
                          const ProviderEvents *events,
                          void *data);
  /* True while a renewal has used up, or may have, what is stored, and its
   * answer is not here yet: ending the call now may end the session. */
  bool (*spends)(const ProviderCall *call);
  /* Ends the call without done. */
  void (*cancel)(ProviderCall *call);
} ProviderType;

extern const ProviderType provider_oidc;

/* The row of that type (NULL: OpenID Connect), or NULL. */
const ProviderType *provider_type(const char *type);

#endif
