/* SPDX-License-Identifier: Apache-2.0 */
/* The providers that depart from the specifications, a row each. */
#include "identity/claims.h"
#include <string.h>

static const ProviderQuirk quirks[] = {
    {
        .name = "Entra ID",
        .issuer = "login.microsoftonline.com/* login.microsoftonline.us/* "
                  "login.partner.microsoftonline.cn/* sts.windows.net/* "
                  "*.ciamlogin.com/*",
        .declined = "authorization_declined",
        .bad_code = "bad_verification_code",
        .user_claim = "oid",
        .tenant_claim = "tid",
        .no_consent_prompt = true,
        .no_groups = "In the app registration add the groups claim to the ID "
                     "token (Token configuration), or define app roles and set "
                     "groups-claim=roles.",
        .overage = "Entra ID leaves the groups out of a token when there are "
                   "over 200: in the app registration choose \"Groups assigned "
                   "to the application\", or define app roles and set "
                   "groups-claim=roles.",
    },
    {
        .name = "Okta",
        .issuer = "*.okta.com *.okta.com/* *.okta-emea.com *.okta-emea.com/* "
                  "*.okta-gov.com *.okta-gov.com/* *.oktapreview.com "
                  "*.oktapreview.com/*",
        .groups_full = 100,
        .no_groups = "Add a groups claim with a filter to the ID token of the "
                     "app (or of the custom authorization server) in Okta.",
        .overage = "Okta lists at most 100 groups and does not say when it "
                   "leaves some out: narrow the filter of the groups claim.",
    },
    {
        .name = "Google",
        .issuer = "accounts.google.com",
        .user_name = "email",
        .no_groups = "Google's tokens hold no groups: put a provider that "
                     "knows them in between, or, where nobody is to be in "
                     "one, set groups-claim=none.",
    },
    {
        .name = "Auth0",
        .issuer = "*.auth0.com *.auth0.com/",
        .no_groups = "Auth0 keeps the names groups and roles for itself: add a "
                     "claim such as https://corp.example/groups to the ID "
                     "token in an action and name it in groups-claim.",
    },
    {
        .name = "Keycloak",
        .issuer = "*/realms/* */auth/realms/*",
        .groups_are_paths = true,
        .no_groups = "Add a Group Membership mapper to the client in Keycloak, "
                     "or set groups-claim=realm_access.roles and have the "
                     "realm roles mapper write to the ID token.",
    },
    {
        .name = "GitHub",
        .issuer = "github.com github.com/*",
        .bad_code = "incorrect_device_code",
        .slow_down_carries_interval = true,
        .errors_with_200 = true,
        .no_groups = "GitHub gives no ID tokens for people.",
    },
    {
        .name = "GitHub Actions",
        .issuer = "token.actions.githubusercontent.com "
                  "token.actions.githubusercontent.com/*",
        .no_groups = "Tokens of GitHub Actions hold no groups: name a claim "
                     "that stands for one, such as repository_owner, in "
                     "groups-claim.",
    },
    {
        .issuer = "*",
        .no_groups = "Have the provider put them into the ID token or "
                     "userinfo, or name the claim that holds them in "
                     "groups-claim (`none` where nobody is to be in one).",
    },
};

/* One pattern of `len` bytes: a `*` takes a run without slashes, the one behind
 * a last slash all that is left. */
static bool
matches(const char *pattern, size_t len, const char *text)
{
  if (len == 0)
    return *text == '\0';
  if (len == 2 && memcmp(pattern, "/*", 2) == 0)
    return *text == '/';
  if (*pattern != '*')
    return *pattern == *text && matches(pattern + 1, len - 1, text + 1);
  for (;; text++) {
    if (matches(pattern + 1, len - 1, text))
      return true;
    if (*text == '\0' || *text == '/')
      return false;
  }
}

static bool
matches_row(const char *patterns, const char *text)
{
  for (const char *at = patterns; *at; at += strspn(at, " ")) {
    const size_t len = strcspn(at, " ");

    if (matches(at, len, text))
      return true;
    at += len;
  }
  return false;
}

const ProviderQuirk *
provider_quirk(const char *issuer)
{
  const char *scheme = strstr(issuer, "://");
  const char *rest = scheme ? scheme + 3 : issuer;

  for (size_t i = 0; i < G_N_ELEMENTS(quirks) - 1; i++)
    if (matches_row(quirks[i].issuer, rest))
      return &quirks[i];
  return &quirks[G_N_ELEMENTS(quirks) - 1];
}

const ProviderQuirk *
provider_quirk_at(unsigned index)
{
  return index < G_N_ELEMENTS(quirks) ? &quirks[index] : NULL;
}
