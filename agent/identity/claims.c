/* SPDX-License-Identifier: Apache-2.0 */
/* A person made of a provider's claims. */
#include "identity/claims.h"
#include "document/document.h"
#include "identity/groups.h"
#include "identity/person.h"
#include <string.h>

/* What a screen and a journal row have room for. */
#define MAX_NAME 256
/* Of a stable id, as sub's (Core 1.0 section 2). */
#define MAX_SUBJECT 255

static void
refuse(GError **error, const char *why)
{
  g_set_error_literal(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN, why);
}

static const char *
usable(const Document *claims, const char *name)
{
  const char *text = document_text(claims, name);

  return text && *text ? text : NULL;
}

static bool
is_verified(const Document *in)
{
  const Document *value = document_member(in, "email_verified");

  return (json_object_is_type(value, json_type_boolean) &&
          json_object_get_boolean(value)) ||
         g_strcmp0(document_text(in, "email_verified"), "true") == 0;
}

/* A claim for the name, of the token or else of userinfo. An address that
 * nobody verified is whatever its owner likes to be called. */
static char *
name_from(const Document *claims, const Document *userinfo, const char *name)
{
  const Document *const both[] = {claims, userinfo};

  for (size_t i = 0; name && i < G_N_ELEMENTS(both); i++) {
    const char *text = usable(both[i], name);
    g_autofree char *printable = NULL;

    if (!text || (strcmp(name, "email") == 0 && !is_verified(both[i])))
      continue;
    printable = claims_printable(text, MAX_NAME);
    if (*g_strstrip(printable))
      return g_steal_pointer(&printable);
  }
  return NULL;
}

static char *
user_name(const ProviderQuirk *quirk,
          const Document *claims,
          const Document *userinfo,
          const char *sub)
{
  const char *const names[] = {
      quirk->user_name, "preferred_username", "email", "upn"};

  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    char *name = name_from(claims, userinfo, names[i]);

    if (name)
      return name;
  }
  return claims_printable(sub, MAX_NAME);
}

/* True when the issuer's URL has this tenant as one of its parts. */
static bool
is_tenant(const char *issuer, const char *tenant)
{
  g_auto(GStrv) parts = g_strsplit(issuer, "/", -1);

  return g_strv_contains((const char *const *)parts, tenant);
}

static bool
is_id(const char *text)
{
  g_autofree char *printable = claims_printable(text, MAX_SUBJECT);

  return strcmp(printable, text) == 0;
}

/* NULL with the error when the token is of nobody, or of another tenant. */
static const char *
subject_of(const ProviderQuirk *quirk,
           const IssuerOptions *issuer,
           const Document *claims,
           GError **error)
{
  const char *sub = usable(claims, "sub");
  const char *stable =
      quirk->user_claim ? usable(claims, quirk->user_claim) : NULL;

  if (!sub) {
    refuse(error, "the claims have no sub");
    return NULL;
  }
  if (quirk->tenant_claim && document_has(claims, quirk->tenant_claim)) {
    const char *tenant = usable(claims, quirk->tenant_claim);

    if (!tenant || !is_tenant(issuer->issuer, tenant)) {
      refuse(error, "the claims are of another tenant than the issuer's");
      return NULL;
    }
  }
  if (stable)
    sub = stable;
  if (is_id(sub))
    return sub;
  refuse(error, "the claims have no usable id of the person");
  return NULL;
}

/* Userinfo of the same person (Core 1.0, 5.3.2), or none: *other tells. */
static Document *
read_userinfo(const char *text, const char *sub, bool *other)
{
  g_autoptr(Document) userinfo =
      text ? document_parse(text, strlen(text), NULL) : NULL;
  const char *whose = userinfo ? usable(userinfo, "sub") : NULL;

  *other = whose && (!sub || strcmp(whose, sub) != 0);
  return whose && !*other ? g_steal_pointer(&userinfo) : NULL;
}

static Document *
read_claims(const char *text, GError **error)
{
  g_autoptr(GError) why = NULL;
  Document *claims = document_parse(text, strlen(text), &why);

  if (!claims)
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_TOKEN,
                "the claims cannot be read: %s",
                why->message);
  return claims;
}

bool
claims_want_userinfo(const IssuerOptions *issuer, const char *text)
{
  g_autoptr(Document) claims = read_claims(text, NULL);

  return claims && groups_open(issuer, claims);
}

const Person *
claims_person(const IssuerOptions *issuer,
              const char *text,
              const char *userinfo_text,
              int64_t expires_us,
              GError **error)
{
  const ProviderQuirk *quirk = provider_quirk(issuer->issuer);
  g_autoptr(Document) claims = read_claims(text, error);
  g_autoptr(Document) userinfo = NULL;
  g_autofree char *user = NULL;
  g_autofree char *unknown = NULL;
  g_auto(GStrv) groups = NULL;
  const char *subject;
  bool other;

  if (!claims)
    return NULL;
  subject = subject_of(quirk, issuer, claims, error);
  if (!subject)
    return NULL;
  userinfo = read_userinfo(userinfo_text, usable(claims, "sub"), &other);
  if (other) {
    refuse(error, "userinfo is about another person than the token");
    return NULL;
  }
  user = user_name(quirk, claims, userinfo, usable(claims, "sub"));
  groups = groups_read(issuer, claims, userinfo, &unknown);
  return person_new(&(Person){.user = user,
                              .subject = (char *)subject,
                              .issuer = (char *)issuer->issuer,
                              .groups = groups,
                              .groups_unknown = unknown,
                              .expires_us = expires_us});
}
