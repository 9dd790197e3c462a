/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of an ID token: which algorithm and key, whose, for whom, from
 * when until when. No I/O, no clock of its own. */
#ifndef HOOP_IDENTITY_ID_TOKEN_H
#define HOOP_IDENTITY_ID_TOKEN_H

#include "identity/identity.h"

/* A provider's signing keys (RFC 7517), at most 100 of 64 KiB together. */
typedef struct key_set KeySet;

/* From the text of a JWKS document. Keys that are not for signatures, of
 * unknown types or too weak (RSA under 2048 or over 8192 bits, curves other
 * than P-256, P-384, P-521, symmetric ones) are passed over;
 * IDENTITY_ERROR_PROTOCOL when the document is none, or holds two keys of one
 * kid and type that differ. */
KeySet *key_set_parse(const char *text, size_t len, GError **error);
void key_set_free(KeySet *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeySet, key_set_free)

typedef struct {
  const char *issuer;       /* exactly the iss */
  const char *client_id;    /* in aud; the azp where there is one */
  const char *nonce;        /* code flow: required and equal; NULL: not asked */
  const char *access_token; /* at_hash is checked where it stands; or NULL */
  const char *subject;      /* a renewal: must be the same sub; or NULL */
  int64_t now;              /* s since 1970 */
  unsigned leeway;          /* s, for exp, nbf and iat */
  unsigned max_age;         /* s: how old an iat may be; 0: any */
} IdTokenExpect;

/* True when a key of the set could have signed this: false with no error says
 * that the token's kid is not there, which calls for one fetch of new keys. */
bool id_token_has_key(const KeySet *keys, const char *token);

/* Checks everything: three base64url parts without padding, at most 64 KiB;
 * header alg of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512
 * that fits the key's kty, curve, `use`, `key_ops` and `alg`; `crit`, `b64`,
 * `zip`, embedded keys (jwk, jku, x5u, x5c) and a `typ` other than JWT refused;
 * no member twice; the signature; then iss, aud (string or array), azp, exp,
 * nbf, iat, sub, nonce, at_hash (OpenID Connect Core 1.0, 3.1.3.7 and
 * 3.1.3.8). Returns the claims as JSON text; IDENTITY_ERROR_TOKEN names the
 * check that failed, never the token. */
char *id_token_check(const KeySet *keys,
                     const char *token,
                     const IdTokenExpect *expect,
                     GError **error);

#endif
