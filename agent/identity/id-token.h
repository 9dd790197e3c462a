/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of an ID token: which algorithm and key, whose, for whom, from
 * when until when. No I/O, no clock of its own. */
#ifndef HOOP_IDENTITY_ID_TOKEN_H
#define HOOP_IDENTITY_ID_TOKEN_H

#include "identity/identity.h"

/* A hundred keys, each with the chain of its certificate, as some providers
 * publish them. */
#define KEY_SET_MAX_BYTES (256 << 10)
#define KEY_SET_MAX_KEYS 100
/* Room for a list of hundreds of groups. */
#define ID_TOKEN_MAX_BYTES (64 << 10)

/* A provider's signing keys (RFC 7517). Immutable: any number of threads. */
typedef struct key_set KeySet;

/* From the text of a JWKS document. Passed over, as RFC 7517 section 5 has it,
 * are keys that cannot or may not have signed an ID token: `use` other than
 * sig, `key_ops` without verify, an `alg` that is not of id_token_check()'s,
 * RSA under 2048 or over 8192 bits or with an exponent under 65537 or over 64
 * bits, curves other than P-256, P-384 and P-521, points that are not on
 * theirs, symmetric keys, private ones, and any with a member of the wrong
 * type. IDENTITY_ERROR_PROTOCOL when the document is none, is beyond the
 * limits, holds a name twice in one object, or two keys of one kid and type
 * that differ. A set without a key is a set. */
KeySet *key_set_parse(const char *text, size_t len, GError **error);
void key_set_free(KeySet *keys);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeySet, key_set_free)

typedef struct {
  const char *issuer;       /* exactly the iss */
  const char *client_id;    /* in aud; the azp where there is one */
  const char *nonce;        /* code flow: required and equal; NULL: not asked */
  const char *access_token; /* at_hash is checked where it stands; or NULL */
  const char *subject;      /* must be the same sub; or NULL. Not a Person's
                               subject, which may be another claim: persons are
                               compared by person_same() and their subjects */
  int64_t now;              /* s since 1970 */
  unsigned leeway;          /* s, for exp, nbf and iat */
  unsigned max_age;         /* s: how old an iat may be; 0: any */
  bool access; /* an access token as RFC 9068 has it: a `typ` of at+jwt is one
                  too; client_id, in aud, is who it is for; azp, the client that
                  it was given to, is not looked at */
} IdTokenExpect;

/* False when no key of the set could have signed this token while others might:
 * its kid is not there, which calls for one fetch of new keys. True otherwise,
 * also for a token that no key would help. */
bool id_token_has_key(const KeySet *keys, const char *token);

/* Checks everything: three base64url parts without padding or unused bits, at
 * most 64 KiB; header alg of RS256, RS384, RS512, PS256, PS384, PS512, ES256,
 * ES384, ES512 that fits the key's kty, curve and `alg`; `crit`, `b64`, `zip`,
 * `enc`, `cty`, embedded keys (jwk, jku, x5u, x5c) and a `typ` other than JWT
 * refused; no member twice at any level; the key of the token's kid, or
 * without one the only key that fits; the signature; then iss, aud (string or
 * array of at most 100), azp (which several audiences require), exp, nbf, iat,
 * sub, nonce, at_hash (OpenID Connect Core 1.0, 3.1.3.7 and 3.1.3.8). An exp
 * in the very second now - leeway is too late, an iat or nbf of now + leeway
 * is not. Returns the claims as JSON text, to be freed with g_free();
 * IDENTITY_ERROR_TOKEN names the check that failed ("ID token refused by the
 * check of aud: …"), never what the token says. Any thread; no I/O. Costs one
 * signature check, 20 to 500 µs. */
char *id_token_check(const KeySet *keys,
                     const char *token,
                     const IdTokenExpect *expect,
                     GError **error);

#endif
