/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates through OpenSSL's own constructors; keys of one kind are made
 * once and shared, because RSA keys take long. */
#include "tests/unit/upstream-certs.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* An OID of nobody, under the documentation arc of private enterprises. */
#define UNKNOWN_OID "1.3.6.1.4.1.32473.1"

static EVP_PKEY *
make_key(const char *kind)
{
  EVP_PKEY *key;

  if (g_str_has_prefix(kind, "RSA:"))
    key = EVP_RSA_gen((unsigned)atoi(kind + 4));
  else if (strcmp(kind, "ED25519") == 0)
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  else
    key = EVP_EC_gen(kind);
  if (key == NULL)
    g_error("no key of kind %s", kind);
  return key;
}

static const char *
or_default(const char *given, const char *otherwise)
{
  return given != NULL ? given : otherwise;
}

static void
add(X509 *x509, X509V3_CTX *ctx, int nid, const char *value)
{
  X509_EXTENSION *extension;

  if (value == NULL || *value == '\0')
    return;
  extension = X509V3_EXT_nconf_nid(NULL, ctx, nid, value);
  if (extension == NULL)
    g_error("bad extension %s: %s", OBJ_nid2sn(nid), value);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
}

static void
add_unknown(X509 *x509, const char *oid, bool critical)
{
  ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
  ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
  X509_EXTENSION *extension;

  ASN1_OCTET_STRING_set(value, (const uint8_t *)"\x05\x00", 2);
  extension = X509_EXTENSION_create_by_OBJ(NULL, object, critical, value);
  X509_add_ext(x509, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(value);
  ASN1_OBJECT_free(object);
}

static void
add_nul_name(X509 *x509, const char *name)
{
  GENERAL_NAMES *names = GENERAL_NAMES_new();
  GENERAL_NAME *general = GENERAL_NAME_new();
  ASN1_IA5STRING *text = ASN1_IA5STRING_new();
  g_autofree char *bytes = g_strdup(name);

  ASN1_STRING_set(text, g_strdelimit(bytes, "|", '\0'), (int)strlen(name));
  /* g_strdelimit stops at the first NUL that it writes. */
  memcpy((char *)ASN1_STRING_get0_data(text) + strlen(bytes) + 1,
         name + strlen(bytes) + 1,
         strlen(name) - strlen(bytes) - 1);
  GENERAL_NAME_set0_value(general, GEN_DNS, text);
  sk_GENERAL_NAME_push(names, general);
  X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND);
  GENERAL_NAMES_free(names);
}

static void
add_extensions(X509 *x509, const CertSpec *spec)
{
  const X509 *issuer = spec->issuer != NULL ? spec->issuer->x509 : x509;
  X509V3_CTX ctx;

  X509V3_set_ctx(&ctx, (X509 *)issuer, x509, NULL, NULL, 0);
  add(x509,
      &ctx,
      NID_basic_constraints,
      or_default(spec->basic, spec->ca ? "critical,CA:TRUE" : "CA:FALSE"));
  add(x509,
      &ctx,
      NID_key_usage,
      or_default(spec->usage,
                 spec->ca ? "critical,keyCertSign,cRLSign"
                          : "critical,digitalSignature"));
  add(x509,
      &ctx,
      NID_ext_key_usage,
      or_default(spec->eku, spec->ca ? "" : "serverAuth"));
  add(x509, &ctx, NID_subject_key_identifier, or_default(spec->skid, "hash"));
  add(x509,
      &ctx,
      NID_authority_key_identifier,
      or_default(spec->akid, spec->issuer != NULL ? "keyid" : ""));
  add(x509, &ctx, NID_name_constraints, spec->names);
  add(x509, &ctx, NID_tlsfeature, spec->feature);
  if (spec->nul_name != NULL)
    add_nul_name(x509, spec->nul_name);
  else
    add(x509,
        &ctx,
        NID_subject_alt_name,
        or_default(spec->san, spec->ca ? "" : "DNS:good.test"));
  if (spec->critical != NULL)
    add_unknown(x509, spec->critical, true);
  if (spec->duplicate == DUPLICATE_KNOWN)
    add(x509, &ctx, NID_basic_constraints, "CA:FALSE");
  for (int i = 0; i < 2 && spec->duplicate == DUPLICATE_UNKNOWN; i++)
    add_unknown(x509, UNKNOWN_OID, false);
}

static void
set_serial(X509 *x509, const CertSpec *spec)
{
  static int counter; /* test certificates only: unique per process */
  ASN1_INTEGER *serial = X509_get_serialNumber(x509);

  ASN1_INTEGER_set_int64(serial,
                         spec->zero_serial ? 0
                         : spec->serial != 0
                             ? spec->serial
                             : 1000 + g_atomic_int_add(&counter, 1));
}

Cert *
cert_new(const CertSpec *spec)
{
  const char *kind = or_default(spec->key, "P-256");
  Cert *cert = g_new0(Cert, 1);
  X509 *x509 = X509_new();
  EVP_PKEY *signer;
  X509_NAME *name = X509_NAME_new();
  const EVP_MD *md = EVP_get_digestbyname(or_default(spec->md, "SHA256"));

  cert->x509 = x509;
  cert->key = make_key(kind);
  signer = spec->issuer != NULL ? spec->issuer->key : cert->key;
  X509_set_version(x509, spec->version1 ? X509_VERSION_1 : X509_VERSION_3);
  set_serial(x509, spec);
  X509_gmtime_adj(X509_getm_notBefore(x509), spec->from ? spec->from : -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), spec->to ? spec->to : 86400);
  X509_set_pubkey(x509, cert->key);
  X509_NAME_add_entry_by_txt(name,
                             "CN",
                             MBSTRING_UTF8,
                             (const uint8_t *)or_default(spec->cn, "test"),
                             -1,
                             -1,
                             0);
  X509_set_subject_name(x509, name);
  X509_set_issuer_name(
      x509,
      spec->issuer != NULL ? X509_get_subject_name(spec->issuer->x509) : name);
  X509_NAME_free(name);
  if (!spec->version1)
    add_extensions(x509, spec);
  if (EVP_PKEY_get_id(signer) == EVP_PKEY_ED25519)
    md = NULL;
  if (X509_sign(x509, signer, md) == 0)
    g_error("cannot sign with %s", or_default(spec->md, "SHA256"));
  return cert;
}

void
cert_free(Cert *cert)
{
  if (cert == NULL)
    return;
  X509_free(cert->x509);
  EVP_PKEY_free(cert->key);
  g_free(cert);
}

char *
cert_write(const char *dir, const char *name, const Cert *cert)
{
  g_autofree char *path = g_build_filename(dir, name, NULL);
  FILE *file = fopen(path, "w");

  g_assert_nonnull(file);
  PEM_write_X509(file, cert->x509);
  fclose(file);
  return g_steal_pointer(&path);
}
