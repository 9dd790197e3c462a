/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: the groups in a provider's claims, or why they are not
 * known. */
#ifndef HOOP_IDENTITY_GROUPS_H
#define HOOP_IDENTITY_GROUPS_H

#include "document/document.h"
#include "identity/claims.h"

/* groups_claim=none: the issuer's people are in no group, which is known, and
 * what its tokens say of groups is not looked at. */
bool groups_none(const IssuerOptions *issuer);

/* The names, NULL terminated; or NULL and, in *unknown, why: a sentence or two.
 * userinfo may be NULL. claims_person() tells the rules. */
char **groups_read(const IssuerOptions *issuer,
                   const Document *claims,
                   const Document *userinfo,
                   char **unknown);

/* True when these claims alone leave the question open. */
bool groups_open(const IssuerOptions *issuer, const Document *claims);

#endif
