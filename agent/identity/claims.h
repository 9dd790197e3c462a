/* SPDX-License-Identifier: Apache-2.0 */
/* From a provider's claims to a person: the name to show, the groups. */
#ifndef HOOP_IDENTITY_CLAIMS_H
#define HOOP_IDENTITY_CLAIMS_H

#include "identity/identity.h"

/* True when the claims lack what userinfo may have: the groups. */
bool claims_want_userinfo(const IssuerOptions *issuer, const char *claims);

/* The person of these checked claims (JSON text), with those of userinfo where
 * the token has none (NULL: none was asked; its `sub` must be the token's,
 * OpenID Connect Core 5.3.2). Never fails for want of groups: they are unknown
 * then, with the reason. IDENTITY_ERROR_TOKEN when there is no usable sub. */
const Person *claims_person(const IssuerOptions *issuer,
                            const char *claims,
                            const char *userinfo,
                            int64_t expires_us,
                            GError **error);

/* A provider's text for a terminal or a log: valid UTF-8, without control and
 * direction-changing characters, at most `max` bytes. */
char *claims_printable(const char *text, size_t max);

/* How a provider departs from the specifications: a row of a table. */
typedef struct {
  const char *name;       /* for people: "Entra ID" */
  const char *issuer;     /* pattern over the issuer's URL, `*` matches all */
  const char *pending;    /* its word for authorization_pending, or NULL */
  const char *declined;   /* … access_denied … */
  const char *bad_code;   /* … an invalid device code … */
  const char *user_claim; /* the stable id beside sub, or NULL */
  unsigned interval;      /* s to wait between polls at least; 0: as it says */
  bool slow_down_carries_interval;
  bool errors_with_200;
} ProviderQuirk;

/* The row for this issuer; the last, which departs in nothing, for others. */
const ProviderQuirk *provider_quirk(const char *issuer);

#endif
