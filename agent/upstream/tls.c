/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 5280 to the letter where the public CAs keep it, with the exceptions
 * that trust anchors need; names by RFC 6125. */
#include "upstream/tls.h"

#include "upstream/staple.h"

#include <glib.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/* Public chains have two intermediates, corporate ones three or four. */
#define MAX_CHAIN 8

/* No SHA-1, no MD5, no DSA; P-256 and up. */
#define SIGNATURES                                                             \
  "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:"                            \
  "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"               \
  "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"                  \
  "RSA+SHA256:RSA+SHA384:RSA+SHA512"

/* RFC 5280 section 4.1.2.2: positive, at most 20 octets. */
#define MAX_SERIAL_BITS 160

/* The one mark on a context: SSL_CTX and connection are one to one in curl,
 * so that the mark outlives the connection without a table. */
static const char CLOSED[] = "close_notify";

static bool
is_anchor(const X509_STORE_CTX *ctx, int depth)
{
  STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

  return chain != NULL && depth == sk_X509_num(chain) - 1;
}

/* RFC 5280 section 4.2: no extension twice. OpenSSL looks only for those that
 * it knows. */
static bool
has_duplicate_extension(const X509 *certificate)
{
  int n = X509_get_ext_count(certificate);

  for (int i = 0; i < n; i++) {
    const ASN1_OBJECT *oid =
        X509_EXTENSION_get_object(X509_get_ext(certificate, i));

    if (X509_get_ext_by_OBJ(certificate, oid, i) >= 0)
      return true;
  }
  return false;
}

static bool
has_sound_serial(X509 *certificate)
{
  const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
  BIGNUM *number = ASN1_INTEGER_to_BN(serial, NULL);
  bool sound = number != NULL && !BN_is_negative(number) &&
               !BN_is_zero(number) && BN_num_bits(number) <= MAX_SERIAL_BITS;

  BN_free(number);
  return sound;
}

/* What OpenSSL leaves open, for every certificate but the anchor. Returns an
 * X509_V code. */
static int
check_soundness(X509 *certificate, bool leaf)
{
  if (X509_get_version(certificate) != X509_VERSION_3)
    return X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3;
  if (has_duplicate_extension(certificate))
    return X509_V_ERR_INVALID_EXTENSION;
  if (!has_sound_serial(certificate))
    return X509_V_ERR_CERT_REJECTED;
  /* All suites here are signed by the key (RFC 5246 section 7.4.2). */
  if (leaf &&
      (X509_get_key_usage(certificate) & X509v3_KU_DIGITAL_SIGNATURE) == 0)
    return X509_V_ERR_INVALID_PURPOSE;
  return X509_V_OK;
}

/* Deviations that say nothing about security: key identifiers only help to
 * build chains, and RFC 5280 section 6.1 takes name and key of a trust anchor,
 * not its certificate's form. */
static bool
is_tolerable(int error, bool anchor)
{
  switch (error) {
  case X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER:
  case X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER:
    return true;
  case X509_V_ERR_CA_BCONS_NOT_CRITICAL:
  case X509_V_ERR_CA_CERT_MISSING_KEY_USAGE:
  case X509_V_ERR_EMPTY_SUBJECT_ALT_NAME:
  case X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL:
  case X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL:
    return anchor;
  default:
    return false;
  }
}

static int
on_verify(int ok, X509_STORE_CTX *ctx)
{
  int depth = X509_STORE_CTX_get_error_depth(ctx);
  bool anchor = is_anchor(ctx, depth);
  int error;

  if (!ok) {
    if (!is_tolerable(X509_STORE_CTX_get_error(ctx), anchor))
      return 0;
    X509_STORE_CTX_set_error(ctx, X509_V_OK);
    return 1;
  }
  if (anchor && depth > 0)
    return 1;
  error = check_soundness(X509_STORE_CTX_get_current_cert(ctx), depth == 0);
  if (error == X509_V_OK)
    return 1;
  X509_STORE_CTX_set_error(ctx, error);
  return 0;
}

static void
on_info(const SSL *ssl, int where, int value)
{
  if (where == SSL_CB_READ_ALERT && (value & 0xff) == SSL3_AD_CLOSE_NOTIFY)
    SSL_CTX_set_app_data(SSL_get_SSL_CTX(ssl), (char *)CLOSED);
}

bool
tls_saw_close_notify(const SSL_CTX *ctx)
{
  return SSL_CTX_get_app_data(ctx) == CLOSED;
}

bool
tls_prepare(SSL_CTX *ctx, X509_STORE *store, const char *host, bool ip)
{
  X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);

  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, on_verify);
  SSL_CTX_set_info_callback(ctx, on_info);
  SSL_CTX_set_keylog_callback(ctx, NULL);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_clear_options(
      ctx, SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF);
  X509_VERIFY_PARAM_set_flags(
      param, X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_depth(param, MAX_CHAIN);
  X509_VERIFY_PARAM_set_hostflags(param,
                                  X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return SSL_CTX_set1_verify_cert_store(ctx, store) == 1 &&
         SSL_CTX_set1_sigalgs_list(ctx, SIGNATURES) == 1 &&
         (ip ? X509_VERIFY_PARAM_set1_ip_asc(param, host)
             : X509_VERIFY_PARAM_set1_host(param, host, 0)) == 1 &&
         staple_prepare(ctx);
}

const char *
tls_verify_text(long code, bool *hint_ca)
{
  *hint_ca = false;
  switch (code) {
  case X509_V_ERR_HOSTNAME_MISMATCH:
  case X509_V_ERR_IP_ADDRESS_MISMATCH:
    return "its certificate is for another name";
  case X509_V_ERR_CERT_HAS_EXPIRED:
    return "its certificate, or one above it, has expired";
  case X509_V_ERR_CERT_NOT_YET_VALID:
    return "its certificate, or one above it, is not valid yet (is this "
           "machine's clock right?)";
  case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    *hint_ca = true;
    return "its certificate is self-signed";
  case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
  case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
  case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    *hint_ca = true;
    return "its certificate comes from no authority that is trusted here";
  case X509_V_ERR_INVALID_PURPOSE:
    return "its certificate, or one above it, is not meant for servers";
  case X509_V_ERR_CERT_REJECTED:
    return "its certificate's serial number is not positive";
  case X509_V_ERR_EE_KEY_TOO_SMALL:
  case X509_V_ERR_CA_KEY_TOO_SMALL:
    return "a key in its certificate chain is too short";
  case X509_V_ERR_CA_MD_TOO_WEAK:
    return "its certificate chain is signed with a broken hash (MD5, SHA-1)";
  default:
    return X509_verify_cert_error_string(code);
  }
}
