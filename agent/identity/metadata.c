/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a provider's discovery document; an endpoint that is not https makes
 * the whole of it worthless. */
#include "identity/metadata.h"
#include "identity/claims.h"
#include "identity/web.h"
#include <string.h>

#define WELL_KNOWN "/.well-known/openid-configuration"
#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"
/* Of another issuer's name in an error. */
#define MAX_NAME 200

char *
metadata_url(const char *issuer)
{
  size_t len = strlen(issuer);

  while (len > 0 && issuer[len - 1] == '/')
    len--;
  return g_strdup_printf("%.*s" WELL_KNOWN, (int)len, issuer);
}

void
metadata_free(Metadata *metadata)
{
  if (!metadata)
    return;
  g_free(metadata->authorization);
  g_free(metadata->token);
  g_free(metadata->device);
  g_free(metadata->userinfo);
  g_free(metadata->revocation);
  g_free(metadata->jwks);
  g_free(metadata);
}

static bool
check_issuer(const char *issuer, const Fields *fields, GError **error)
{
  g_autofree char *named = fields_text(fields, "issuer");
  g_autofree char *printable = NULL;

  if (named && g_str_equal(named, issuer))
    return true;
  printable = claims_printable(named ? named : "nothing", MAX_NAME);
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_PROTOCOL,
              "%s calls itself %s in its discovery document; `issuer` must be "
              "that name to the last byte",
              issuer,
              printable);
  return false;
}

/* False with error when the member is there and no safe URL, or is missing
 * and needed. */
static bool
endpoint(const Fields *fields,
         const char *name,
         bool needed,
         char **out,
         GError **error)
{
  g_autofree char *url = fields_text(fields, name);

  if (!url && !needed)
    return true;
  if (!web_url_is_safe(url)) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_PROTOCOL,
                "the provider's discovery document has %s %s",
                url ? "no https URL as" : "no",
                name);
    return false;
  }
  *out = g_steal_pointer(&url);
  return true;
}

Metadata *
metadata_read(const char *issuer, const Fields *fields, GError **error)
{
  static const char methods[] = "token_endpoint_auth_methods_supported";
  static const char grants[] = "grant_types_supported";
  g_autoptr(Metadata) found = g_new0(Metadata, 1);

  if (!check_issuer(issuer, fields, error) ||
      !endpoint(fields,
                "authorization_endpoint",
                false,
                &found->authorization,
                error) ||
      !endpoint(fields, "token_endpoint", false, &found->token, error) ||
      !endpoint(fields,
                "device_authorization_endpoint",
                false,
                &found->device,
                error) ||
      !endpoint(fields, "userinfo_endpoint", false, &found->userinfo, error) ||
      !endpoint(
          fields, "revocation_endpoint", false, &found->revocation, error) ||
      !endpoint(fields, "jwks_uri", true, &found->jwks, error))
    return NULL;
  /* Absent: client_secret_basic (section 3). */
  found->auth_basic = !fields_has(fields, methods) ||
                      fields_lists(fields, methods, "client_secret_basic");
  found->auth_post = fields_lists(fields, methods, "client_secret_post");
  found->names_itself =
      fields_true(fields, "authorization_response_iss_parameter_supported");
  found->no_device =
      fields_has(fields, grants) && !fields_lists(fields, grants, DEVICE_GRANT);
  found->no_credentials = fields_has(fields, grants) &&
                          !fields_lists(fields, grants, "client_credentials");
  return g_steal_pointer(&found);
}
