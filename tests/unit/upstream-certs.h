/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates made on the spot for tests: good ones by default, and every
 * way of being bad that a field can name. */
#ifndef HOOP_TEST_UPSTREAM_CERTS_H
#define HOOP_TEST_UPSTREAM_CERTS_H

#include <glib.h>
#include <openssl/x509.h>
#include <stdbool.h>

typedef struct {
  X509 *x509;
  EVP_PKEY *key;
} Cert;

typedef enum {
  DUPLICATE_NOTHING,
  DUPLICATE_KNOWN,  /* two basicConstraints */
  DUPLICATE_UNKNOWN /* two of an OID that OpenSSL does not know */
} Duplicate;

/* NULL and 0 mean what a good certificate has; "" leaves the extension out. */
typedef struct {
  const char *cn;       /* "test" */
  const char *san;      /* "DNS:good.test" for leaves, none for CAs */
  const Cert *issuer;   /* NULL: self-signed */
  const char *key;      /* "P-256"; "RSA:1024", an EC curve, "ED25519" */
  const char *md;       /* "SHA256" */
  const char *basic;    /* basicConstraints, by `ca` */
  const char *usage;    /* keyUsage, by `ca` */
  const char *eku;      /* extendedKeyUsage; "serverAuth" for leaves */
  const char *names;    /* nameConstraints; none */
  const char *skid;     /* "hash" */
  const char *akid;     /* "keyid" when there is an issuer */
  const char *feature;  /* tlsfeature; none */
  const char *critical; /* OID of an unknown critical extension; none */
  Duplicate duplicate;
  const char *nul_name; /* a DNS name with a NUL where '|' stands, as SAN */
  long from;            /* notBefore in s from now: -3600 */
  long to;              /* notAfter in s from now: a day */
  long serial;          /* 0: counted up */
  bool zero_serial;
  bool version1;
  bool ca;
} CertSpec;

Cert *cert_new(const CertSpec *spec);
void cert_free(Cert *cert);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cert, cert_free)

/* Writes the certificates as PEM into a new file under `dir`; free the path
 * with g_free. */
char *cert_write(const char *dir, const char *name, const Cert *cert);

#endif
