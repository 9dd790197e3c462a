/* SPDX-License-Identifier: Apache-2.0 */
/* Sign-in without a person: the client's own credentials (RFC 6749 section
 * 4.4), or an ID token that a CI system or Kubernetes mounts. */
#include "identity/oidc.h"
#include "kit/file.h"
#include <string.h>

/* An ID token is at most that long. */
#define MAX_FILE ((size_t)64 * 1024)

void
oidc_credentials_start(ProviderCall *call)
{
  const IssuerOptions *issuer = call->provider->issuer;
  const Metadata *metadata = call->provider->metadata;
  Buf form;

  if (!issuer->client_secret_file || !metadata->token ||
      metadata->no_credentials) {
    oidc_fail_with(call,
                   issuer->client_secret_file ? IDENTITY_ERROR_PROVIDER
                                              : IDENTITY_ERROR_CONFIG,
                   issuer->client_secret_file
                       ? "%s has no sign-in by the client's credentials"
                       : "identity \"%s\" has no client-secret-file",
                   issuer->client_secret_file ? issuer->issuer : issuer->name);
    return;
  }
  buf_init(&form, WEB_MAX_FORM);
  form_add(&form, "grant_type", "client_credentials");
  form_add(&form, "scope", issuer->scopes);
  form_add(&form, "audience", issuer->audience);
  oidc_ask_as_client(call, metadata->token, &form, false, oidc_on_tokens);
}

static bool
is_token(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (!g_ascii_isalnum(text[i]) && !strchr("-_.", text[i]))
      return false;
  return len > 0;
}

void
oidc_file_start(ProviderCall *call)
{
  g_autoptr(GError) fault = NULL;
  g_autoptr(GBytes) bytes = NULL;
  const char *text;
  size_t len = 0;

  bytes = file_read(call->token_file, MAX_FILE, &fault);
  if (!bytes) {
    oidc_fail_with(call, IDENTITY_ERROR_TOKEN, "%s", fault->message);
    return;
  }
  text = g_bytes_get_data(bytes, &len);
  while (len > 0 && g_ascii_isspace(text[len - 1]))
    len--;
  if (!is_token(text, len)) {
    oidc_fail_with(call,
                   IDENTITY_ERROR_TOKEN,
                   "%s does not hold a token",
                   call->token_file);
    return;
  }
  call->id_token = secret_new(text, len);
  oidc_check_id_token(call);
}
