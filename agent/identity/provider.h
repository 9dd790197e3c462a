/* SPDX-License-Identifier: Apache-2.0 */
/* What the sessions need of a way to sign in. OpenID Connect is one row of the
 * table; SAML can be another: nothing here speaks of either's tokens. */
#ifndef HOOP_IDENTITY_PROVIDER_H
#define HOOP_IDENTITY_PROVIDER_H

#include "identity/identity.h"
#include "kit/secret.h"

typedef struct provider Provider;
typedef struct provider_call ProviderCall;

/* What a sign-in or a renewal brought. */
typedef struct {
  const Person *person; /* its expiry is the session's */
  Secret *renewal;  /* keeps the session alive and is stored: a refresh token;
                       NULL:  it cannot be renewed */
  int64_t renew_us; /* wall clock: when to renew, 0: never */
} ProviderGrant;

typedef void (*ProviderDone)(const ProviderGrant *grant,
                             const GError *error,
                             void *data);

typedef struct {
  const char *type; /* of IssuerOptions */
  Provider *(*make)(Loop *loop,
                    const IssuerOptions *issuer,
                    const UpstreamOptions *upstream,
                    GError **error);
  void (*unmake)(Provider *provider);
  /* Signs in; prompt as in LoginEvents. done is the last call and never comes
   * from inside this one. */
  ProviderCall *(*login)(Provider *provider,
                         const LoginSpec *spec,
                         void (*prompt)(const LoginPrompt *prompt, void *data),
                         ProviderDone done,
                         void *data,
                         GError **error);
  /* Renews by what was stored (for LOGIN_TOKEN_FILE and
   * LOGIN_CLIENT_CREDENTIALS renewal is NULL and `spec` is asked again).
   * IDENTITY_ERROR_DENIED: the provider ended the session. */
  ProviderCall *(*renew)(Provider *provider,
                         const LoginSpec *spec,
                         Secret *renewal,
                         const Person *person,
                         ProviderDone done,
                         void *data);
  /* Ends what was stored at the provider; done's grant is NULL. */
  ProviderCall *(*revoke)(Provider *provider,
                          Secret *renewal,
                          ProviderDone done,
                          void *data);
  /* Ends the call without done. */
  void (*cancel)(ProviderCall *call);
} ProviderType;

extern const ProviderType provider_oidc;

/* The row of that type, or NULL. */
const ProviderType *provider_type(const char *type);

#endif
