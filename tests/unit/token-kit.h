/* SPDX-License-Identifier: Apache-2.0 */
/* A provider's keys and pen for the identity tests: makes keys, publishes them
 * and signs whatever it is told, as forgers do. */
#ifndef HOOP_TESTS_TOKEN_KIT_H
#define HOOP_TESTS_TOKEN_KIT_H

#include "identity/id-token.h"
#include <glib.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_ISSUER "https://idp.example.test/tenant"
#define TOKEN_CLIENT "hoop-agent-client"
#define TOKEN_NONCE "n-0S6_WzA2Mj-nonce"
#define TOKEN_ACCESS "mark-access-token-made-up"
#define TOKEN_SUB "mark-248289761001"
#define TOKEN_NOW 1700000000
#define TOKEN_LEEWAY 60

/* One member of an object: its value as JSON; NULL takes it out. */
typedef struct {
  const char *name;
  const char *raw;
} Edit;

typedef EVP_PKEY Pkey;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pkey, EVP_PKEY_free)

/* Made on first use and kept for the process: rsa, rsa2 (2048 bits), big
 * (3072), weak (1024), p256, p256b, p384, p521, k256 (secp256k1), ed (Ed25519).
 */
EVP_PKEY *kit_key(const char *name);

/* Its JWK with these members changed or added (up to a row without a name). */
char *kit_jwk(EVP_PKEY *key, const char *kid, const Edit *edits);
/* {"keys":[…]} of what is given, up to NULL; each is freed. */
char *kit_jwks(char *first, ...) G_GNUC_NULL_TERMINATED;
/* The set of the tests: what a provider publishes, and what it should not. */
char *kit_provider(void);

/* An object of base's members, then edits', then the text `tail`. */
char *kit_object(const Edit *base, const Edit *edits, const char *tail);
/* The members of a good token of this algorithm and kid. */
char *kit_header(const char *alg, const char *kid, const Edit *edits);
char *kit_claims(const Edit *edits);

/* base64url of a text. */
char *kit_b64(const char *text);
/* The raw signature of `text`; alg: RS256 … ES512, "EdDSA", "DER256" (ECDSA as
 * ASN.1), "PSS0" (PS256 with no salt), "PSSMAX". */
GBytes *kit_signature(EVP_PKEY *key, const char *alg, const char *text);
GBytes *kit_hmac(const char *digest, GBytes *secret, const char *text);
/* header.payload.signature of JSON texts. */
char *kit_token(EVP_PKEY *key,
                const char *alg,
                const char *header,
                const char *claims);
char *kit_join(const char *signing_input, GBytes *signature);
/* A good token. */
char *kit_good(const char *key, const char *alg, const char *kid);

/* kit_provider() as a set. */
KeySet *kit_keys(void);
/* What every test expects: all of the above, max_age of an hour. */
extern const IdTokenExpect kit_expect;
/* Ends the test unless that check, and no other, refuses the token, without a
 * word of it: whatever begins with "mark" is the token's. */
void kit_refused_by(const KeySet *keys,
                    const char *token,
                    const char *name,
                    const char *check);

/* A key's public half as PEM and DER. */
GBytes *kit_pem(EVP_PKEY *key);
GBytes *kit_der(EVP_PKEY *key);

#endif
