/* SPDX-License-Identifier: Apache-2.0 */
/* From a provider's claims to a person: the name to show, the groups. */
#ifndef HOOP_IDENTITY_CLAIMS_H
#define HOOP_IDENTITY_CLAIMS_H

#include "identity/identity.h"

/* True when userinfo should be asked: the claims (JSON text of
 * id_token_check()) have no groups and do not say that there are too many. */
bool claims_want_userinfo(const IssuerOptions *issuer, const char *claims);

/* The person of these checked claims (JSON text), with those of userinfo where
 * the token has none (NULL: none was asked; its `sub` must be the token's,
 * OpenID Connect Core 5.3.2); a new reference. Any thread.
 *
 * user: the first that the claims have of preferred_username, email (only with
 * email_verified), upn and sub, as text that can be printed; a few providers'
 * rows say otherwise. subject: sub, or the row's user_claim (Entra ID: oid,
 * whose tenant the issuer's URL names).
 *
 * groups: at the path of groups_claim (NULL: `groups`), see IssuerOptions,
 * first in the token, then in userinfo. An array of texts, or one text, which
 * is split at groups_separator (taken off with the spaces around; a text with
 * commas, semicolons, bars or spaces but no groups_separator is not guessed
 * at). Keycloak's full paths lose their first slash: /a/b is a/b, never b,
 * which may be another group. With groups_prefix only those that begin with it
 * stay, and lose it; a prefix with a slash in front is one of whole paths.
 * `local`, the group of solo mode, is nobody's here and left out. At most 1000
 * groups of 256 bytes. Never fails for want of groups: they are unknown,
 * groups_unknown says why and what the administrator can do, when the claim is
 * missing, null, of another type or over a limit, has members that are no
 * printable text, when
 * `_claim_names` or `hasgroups` say that the provider left them out (Entra ID,
 * OpenID Connect Core 5.6.2), or when Okta's list has exactly the hundred where
 * it silently ends. An empty list is known: no group. With groups_claim `none`
 * nobody is in a group, whatever the claims say.
 *
 * IDENTITY_ERROR_TOKEN: no usable sub, userinfo of another person or a token of
 * another tenant than the issuer's. */
const Person *claims_person(const IssuerOptions *issuer,
                            const char *claims,
                            const char *userinfo,
                            int64_t expires_us,
                            GError **error);

/* A provider's text for a terminal or a log: valid UTF-8 (U+FFFD for what is
 * not), without control, format and direction-changing characters (a line's end
 * and a tab become a space), cut between characters to at most `max` bytes.
 * Free with g_free(). Any thread. */
char *claims_printable(const char *text, size_t max);

/* How a provider departs from the specifications: a row of a table, with an
 * answer as it gives them in tests/unit/identity. */
typedef struct {
  const char *name;     /* for people: "Entra ID" */
  const char *issuer;   /* patterns, separated by spaces, over the issuer's URL
                           behind its scheme: `*` is any run without a slash,
                           at the end behind a slash all */
  const char *pending;  /* its word for authorization_pending, or NULL */
  const char *declined; /* … access_denied … */
  const char *bad_code; /* … an invalid device code … */
  const char *user_claim;   /* the stable id beside sub, or NULL */
  const char *tenant_claim; /* must stand in the issuer's URL, or NULL */
  const char *user_name;    /* claim to show before all others, or NULL */
  const char *no_groups;    /* what to do when they are missing, a sentence */
  const char *overage;      /* … when there are too many, or NULL */
  unsigned
      groups_full;   /* a list of so many may have been cut; 0: it never is */
  unsigned interval; /* s to wait between polls at least; 0: as it says */
  bool groups_are_paths; /* begin with a slash */
  bool slow_down_carries_interval;
  bool no_consent_prompt; /* prompt=consent would ask for an administrator */
  bool errors_with_200;
} ProviderQuirk;

/* The row for this issuer's URL; the last, which departs in nothing, for
 * others. Any thread. */
const ProviderQuirk *provider_quirk(const char *issuer);
/* The rows in turn, NULL behind the last. */
const ProviderQuirk *provider_quirk_at(unsigned index);

#endif
