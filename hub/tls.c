/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's side of TLS: its certificate, and a self-signed one for trials. */
#include "hub/private.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

/* A trial's. */
#define VALID_S (90L * 86400)
#define MAX_PEM ((size_t)64 << 10)

typedef X509 Certificate;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Certificate, X509_free)
typedef EVP_PKEY PrivateKey;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PrivateKey, EVP_PKEY_free)
typedef BIO Memory;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Memory, BIO_free)

static bool
refuse(GError **error, const char *what, const char *path)
{
  g_set_error(error,
              HUB_ERROR,
              HUB_ERROR_START,
              "%s%s%s",
              what,
              path ? " " : "",
              path ? path : "");
  return false;
}

static bool
add_extension(X509 *certificate, int nid, const char *value)
{
  X509V3_CTX context;
  X509_EXTENSION *extension;
  bool good;

  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
  extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  good = extension && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return good;
}

static bool
fill(X509 *certificate, EVP_PKEY *key, const char *name)
{
  g_autofree char *names =
      g_strdup_printf("DNS:localhost,IP:127.0.0.1%s%s",
                      g_str_equal(name, "localhost") ? "" : ",DNS:",
                      g_str_equal(name, "localhost") ? "" : name);
  uint8_t serial[16];
  BIGNUM *number;
  X509_NAME *subject = X509_get_subject_name(certificate);
  bool good;

  random_bytes(serial, sizeof serial);
  serial[0] = (serial[0] & 0x3f) | 0x40;
  number = BN_bin2bn(serial, sizeof serial, NULL);
  good =
      number &&
      BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) &&
      X509_set_version(certificate, 2) == 1 &&
      X509_gmtime_adj(X509_getm_notBefore(certificate), -300) &&
      X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_S) &&
      X509_NAME_add_entry_by_txt(subject,
                                 "CN",
                                 MBSTRING_UTF8,
                                 (const uint8_t *)"hoop-hub",
                                 -1,
                                 -1,
                                 0) == 1 &&
      X509_set_issuer_name(certificate, subject) == 1 &&
      X509_set_pubkey(certificate, key) == 1 &&
      add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
      add_extension(certificate,
                    NID_key_usage,
                    "critical,digitalSignature,keyCertSign") &&
      add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
      add_extension(certificate, NID_subject_alt_name, names) &&
      add_extension(certificate, NID_subject_key_identifier, "hash") &&
      X509_sign(certificate, key, EVP_sha256()) > 0;
  BN_free(number);
  return good;
}

static bool
write_pem(BIO *bio, const char *path, mode_t mode, GError **error)
{
  char *bytes = NULL;
  const long len = BIO_get_mem_data(bio, &bytes);

  return len > 0 && file_replace(path, bytes, (size_t)len, mode, error);
}

/* A name that goes into a certificate's extension as it is. */
static bool
is_host(const char *name)
{
  return *name && strlen(name) < 254 &&
         strspn(name,
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                "0123456789.-") == strlen(name);
}

bool
tls_make(const char *certificate_path,
         const char *key_path,
         const char *name,
         GError **error)
{
  g_autoptr(PrivateKey) key = NULL;
  g_autoptr(Certificate) certificate = X509_new();
  g_autoptr(Memory) certificate_pem = BIO_new(BIO_s_mem());
  g_autoptr(Memory) key_pem = BIO_new(BIO_s_secmem());

  if (g_file_test(certificate_path, G_FILE_TEST_EXISTS) ||
      g_file_test(key_path, G_FILE_TEST_EXISTS))
    return true;
  key = EVP_EC_gen("P-256");
  if (!key || !certificate || !certificate_pem || !key_pem ||
      !fill(certificate, key, is_host(name) ? name : "localhost") ||
      PEM_write_bio_X509(certificate_pem, certificate) != 1 ||
      PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) != 1)
    return refuse(error, "a certificate cannot be made", NULL);
  return write_pem(key_pem, key_path, 0600, error) &&
         write_pem(certificate_pem, certificate_path, 0644, error);
}

static int
choose_protocol(SSL *ssl,
                const unsigned char **out,
                unsigned char *out_len,
                const unsigned char *in,
                unsigned in_len,
                void *data)
{
  static const unsigned char ours[] = "\x08http/1.1";

  (void)ssl;
  (void)data;
  return SSL_select_next_proto((unsigned char **)out,
                               out_len,
                               ours,
                               sizeof ours - 1,
                               in,
                               in_len) == OPENSSL_NPN_NEGOTIATED
             ? SSL_TLSEXT_ERR_OK
             : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* The key as the file check for secrets wants it. */
static bool
use_key(SSL_CTX *context, const char *path, GError **error)
{
  g_autoptr(Secret) pem = file_read_secret(path, error);
  g_autoptr(Memory) bio = NULL;
  g_autoptr(PrivateKey) key = NULL;

  if (!pem)
    return false;
  bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_len(pem));
  key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
  if (!key || SSL_CTX_use_PrivateKey(context, key) != 1)
    return refuse(error, "no private key of the certificate is in", path);
  return true;
}

SSL_CTX *
tls_context(const char *certificate, const char *key, GError **error)
{
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());

  if (!context) {
    refuse(error, "TLS has no memory", NULL);
    return NULL;
  }
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_security_level(context, 2);
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
  if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1)
    refuse(error, "no certificate can be read from", certificate);
  else if (use_key(context, key, error)) {
    if (SSL_CTX_check_private_key(context) == 1)
      return context;
    refuse(error, "the private key is not the certificate's:", key);
  }
  SSL_CTX_free(context);
  return NULL;
}
