/* SPDX-License-Identifier: Apache-2.0 */
/* What a provider says about itself (OpenID Connect Discovery 1.0), checked
 * before any of it is believed. */
#ifndef HOOP_IDENTITY_METADATA_H
#define HOOP_IDENTITY_METADATA_H

#include "identity/fields.h"

/* Endpoints are https URLs, or NULL where the provider has none. */
typedef struct {
  char *authorization;
  char *token;
  char *device;
  char *userinfo;
  char *revocation;
  char *jwks;
  bool auth_basic;     /* client_secret_basic; also where it does not say */
  bool auth_post;      /* client_secret_post */
  bool names_itself;   /* RFC 9207: answers hold `iss`, always */
  bool no_device;      /* it lists grants, and the device's is not there */
  bool no_credentials; /* … nor the client's */
} Metadata;

/* Where the document lies: the issuer without a final slash, then
 * /.well-known/openid-configuration (section 4.1). */
char *metadata_url(const char *issuer);

/* The document of this issuer, whose name for itself must be the configured
 * one byte for byte (section 4.3). IDENTITY_ERROR_PROTOCOL tells what is
 * wrong; endpoints on other hosts are allowed, as section 3 does. */
Metadata *metadata_read(const char *issuer,
                        const Fields *fields,
                        GError **error);
void metadata_free(Metadata *metadata);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Metadata, metadata_free)

#endif
