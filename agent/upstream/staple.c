/* SPDX-License-Identifier: Apache-2.0 */
/* No revocation list is fetched: what the server staples is all that is known,
 * and an answer that cannot be trusted counts as none. */
#include "upstream/staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

/* Clock difference that an OCSP answer's times may show, s. */
#define CLOCK_SKEW 300
/* TLS feature status_request (RFC 7633). */
#define FEATURE_STATUS_REQUEST 5

static bool
must_staple(const X509 *leaf)
{
  TLS_FEATURE *features = X509_get_ext_d2i(leaf, NID_tlsfeature, NULL, NULL);
  bool found = false;

  for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
    if (ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) ==
        FEATURE_STATUS_REQUEST)
      found = true;
  TLS_FEATURE_free(features);
  return found;
}

/* The issuer of the leaf in the verified chain; not owned. */
static X509 *
issuer_of(STACK_OF(X509) * chain)
{
  return sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1)
                                : sk_X509_value(chain, 0);
}

/* Looks the leaf up in a verified answer: V_OCSP_CERTSTATUS_*, or -1 when it
 * is not there or not of today. */
static int
find_status(OCSP_BASICRESP *answer, const X509 *leaf, const X509 *issuer)
{
  ASN1_GENERALIZEDTIME *from, *to;
  int count = OCSP_resp_count(answer);

  for (int i = 0; i < count; i++) {
    OCSP_SINGLERESP *single = OCSP_resp_get0(answer, i);
    const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
    ASN1_OBJECT *hash = NULL;
    OCSP_CERTID *mine;
    int status, differs;

    OCSP_id_get0_info(NULL, &hash, NULL, NULL, (OCSP_CERTID *)id);
    mine = OCSP_cert_to_id(EVP_get_digestbyobj(hash), leaf, issuer);
    differs = mine == NULL || OCSP_id_cmp(mine, id) != 0;
    OCSP_CERTID_free(mine);
    if (differs)
      continue;
    status = OCSP_single_get0_status(single, NULL, NULL, &from, &to);
    return OCSP_check_validity(from, to, CLOCK_SKEW, -1) == 1 ? status : -1;
  }
  return -1;
}

/* The status that a staple proves, or -1. */
static int
read_staple(SSL *ssl, X509 *leaf, const uint8_t *der, long len)
{
  STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
  X509_STORE *store = NULL;
  OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &der, len);
  OCSP_BASICRESP *answer = NULL;
  int status = -1;

  if (response != NULL &&
      OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL)
    answer = OCSP_response_get1_basic(response);
  if (answer != NULL && chain != NULL &&
      SSL_CTX_get0_verify_cert_store(SSL_get_SSL_CTX(ssl), &store) == 1 &&
      OCSP_basic_verify(answer, chain, store, 0) == 1)
    status = find_status(answer, leaf, issuer_of(chain));
  OCSP_BASICRESP_free(answer);
  OCSP_RESPONSE_free(response);
  return status;
}

/* OpenSSL's status callback, called after the chain was verified, with or
 * without a staple: 0 ends the handshake. */
static int
on_status(SSL *ssl, void *data)
{
  const uint8_t *der = NULL;
  long len = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
  X509 *leaf = SSL_get0_peer_certificate(ssl);
  int status = -1;

  (void)data;
  if (leaf == NULL)
    return 0;
  /* Curl reports the oldest error of the queue: a staple that counts as none
   * must leave none there. */
  ERR_set_mark();
  if (der != NULL && len > 0)
    status = read_staple(ssl, leaf, der, len);
  ERR_pop_to_mark();
  if (status == V_OCSP_CERTSTATUS_REVOKED)
    return 0;
  return status == V_OCSP_CERTSTATUS_GOOD || !must_staple(leaf);
}

bool
staple_prepare(SSL_CTX *ctx)
{
  return SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp) == 1 &&
         SSL_CTX_set_tlsext_status_cb(ctx, on_status) == 1;
}
