/* SPDX-License-Identifier: Apache-2.0 */
/* The user's certificate authority: made once under a lock, kept as key and
 * certificate, constrained to the hosts that the agent governs. */
#include "front/private.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

G_DEFINE_QUARK(hoop_front_error, front_error)

/* Long enough not to bother, short enough that a forgotten machine's key does
 * not stay good for ever. */
#define CA_DAYS 730
/* Clocks of virtual machines lag. */
#define BACKDATE_S (60 * 60)
/* RFC 5280 allows 20 octets; random, because some clients refuse a repeated
 * issuer and serial. */
#define SERIAL_BITS 127
#define MAX_PEM (64 * 1024)
/* ub-common-name of RFC 5280: characters. */
#define MAX_COMMON_NAME 64
/* RFC 1035 section 2.3.4. */
#define MAX_DNS_NAME 253

struct ca {
  EVP_PKEY *key;
  X509 *cert;
  char *path;
  CaFacts facts;
};

static bool
fail(GError **error, const char *what, const char *path)
{
  unsigned long code = ERR_get_error();

  g_set_error(error,
              FRONT_ERROR,
              FRONT_ERROR_CA,
              "%s%s%s%s%s",
              path ? path : "",
              path ? ": " : "",
              what,
              code ? ": " : "",
              code ? ERR_reason_error_string(code) : "");
  ERR_clear_error();
  return false;
}

void
ca_free(Ca *ca)
{
  if (!ca)
    return;
  EVP_PKEY_free(ca->key);
  X509_free(ca->cert);
  g_free(ca->path);
  g_free(ca->facts.subject);
  g_free(ca->facts.fingerprint);
  g_strfreev(ca->facts.names);
  g_free(ca);
}

const char *
ca_path(const Ca *ca)
{
  return ca->path;
}

const CaFacts *
ca_facts(const Ca *ca)
{
  return &ca->facts;
}

GBytes *
ca_pem(const Ca *ca)
{
  BIO *bio = BIO_new(BIO_s_mem());
  GBytes *pem;
  char *text;
  long len;

  PEM_write_bio_X509(bio, ca->cert);
  len = BIO_get_mem_data(bio, &text);
  pem = g_bytes_new(text, (size_t)len);
  BIO_free(bio);
  return pem;
}

/* ---- What a certificate says ------------------------------------------------
 */

static int64_t
time_of(const ASN1_TIME *time)
{
  struct tm parts = {0};

  return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

static char **
permitted_names(const X509 *cert)
{
  NAME_CONSTRAINTS *constraints =
      X509_get_ext_d2i(cert, NID_name_constraints, NULL, NULL);
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();

  for (int i = 0; constraints &&
                  i < sk_GENERAL_SUBTREE_num(constraints->permittedSubtrees);
       i++) {
    const GENERAL_NAME *name =
        sk_GENERAL_SUBTREE_value(constraints->permittedSubtrees, i)->base;

    if (name->type == GEN_DNS) {
      g_autofree char *text =
          g_strndup((const char *)ASN1_STRING_get0_data(name->d.dNSName),
                    (size_t)ASN1_STRING_length(name->d.dNSName));

      g_strv_builder_add(names, text);
    }
  }
  NAME_CONSTRAINTS_free(constraints);
  return g_strv_builder_end(names);
}

static char *
fingerprint(const X509 *cert)
{
  uint8_t digest[SHA256_LEN];
  GString *text = g_string_new(NULL);
  unsigned len = sizeof digest;

  X509_digest(cert, EVP_sha256(), digest, &len);
  for (unsigned i = 0; i < len; i++)
    g_string_append_printf(text, "%s%02X", i ? ":" : "", digest[i]);
  return g_string_free(text, FALSE);
}

static void
gather_facts(Ca *ca)
{
  char subject[256];

  X509_NAME_oneline(X509_get_subject_name(ca->cert), subject, sizeof subject);
  ca->facts.subject = g_strdup(subject);
  ca->facts.fingerprint = fingerprint(ca->cert);
  ca->facts.from_s = time_of(X509_get0_notBefore(ca->cert));
  ca->facts.until_s = time_of(X509_get0_notAfter(ca->cert));
  ca->facts.names = permitted_names(ca->cert);
}

bool
name_is_dns(const char *name)
{
  size_t len = strlen(name), label = 0;
  bool number = true;

  if (!len || len > MAX_DNS_NAME)
    return false;
  for (const char *at = name; *at; at++) {
    if (*at == '.' ? !label : !g_ascii_isalnum(*at) && *at != '-' && *at != '_')
      return false;
    label = *at == '.' ? 0 : label + 1;
    number = *at == '.' || (number && g_ascii_isdigit(*at));
  }
  return label && !number; /* 10.0.0.1 is an address */
}

bool
ca_covers(const Ca *ca, const char *name)
{
  size_t len = strlen(name);

  if (g_str_equal(name, "127.0.0.1") || g_str_equal(name, "::1"))
    return true;
  if (!name_is_dns(name))
    return false;
  for (char **permitted = ca->facts.names; *permitted; permitted++) {
    size_t outer = strlen(*permitted);

    if (len >= outer &&
        g_ascii_strcasecmp(name + len - outer, *permitted) == 0 &&
        (len == outer || name[len - outer - 1] == '.'))
      return true;
  }
  return false;
}

/* ---- Making
 * ------------------------------------------------------------------ */

static bool
allowed(const char *const *hosts, GError **error)
{
  for (; *hosts; hosts++)
    if (g_ascii_strcasecmp(*hosts, "github.com") == 0 || !strchr(*hosts, '.') ||
        !name_is_dns(*hosts)) {
      g_set_error(error,
                  FRONT_ERROR,
                  FRONT_ERROR_NAME,
                  "%s is never put under the agent's CA",
                  *hosts);
      return false;
    }
  return true;
}

static void
add_subtree(NAME_CONSTRAINTS *constraints, GENERAL_NAME *name)
{
  GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();

  GENERAL_NAME_free(subtree->base);
  subtree->base = name;
  sk_GENERAL_SUBTREE_push(constraints->permittedSubtrees, subtree);
}

static void
permit_dns(NAME_CONSTRAINTS *constraints, const char *host)
{
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_IA5STRING *text = ASN1_IA5STRING_new();

  ASN1_STRING_set(text, host, (int)strlen(host));
  GENERAL_NAME_set0_value(name, GEN_DNS, text);
  add_subtree(constraints, name);
}

/* Address and mask, RFC 5280 section 4.2.1.10. */
static void
permit_address(NAME_CONSTRAINTS *constraints, int family, const char *address)
{
  GENERAL_NAME *name = GENERAL_NAME_new();
  ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
  size_t len = family == AF_INET ? 4 : 16;
  uint8_t bytes[32];

  inet_pton(family, address, bytes);
  memset(bytes + len, 0xff, len);
  ASN1_OCTET_STRING_set(octets, bytes, (int)(2 * len));
  GENERAL_NAME_set0_value(name, GEN_IPADD, octets);
  add_subtree(constraints, name);
}

/* Without the addresses a constraint on names would let any address pass. */
static bool
add_constraints(X509 *cert, const char *const *hosts)
{
  NAME_CONSTRAINTS *constraints = NAME_CONSTRAINTS_new();
  bool added;

  constraints->permittedSubtrees = sk_GENERAL_SUBTREE_new_null();
  for (; *hosts; hosts++)
    permit_dns(constraints, *hosts);
  permit_dns(constraints, "localhost");
  permit_address(constraints, AF_INET, "127.0.0.1");
  permit_address(constraints, AF_INET6, "::1");
  added = X509_add1_ext_i2d(cert, NID_name_constraints, constraints, 1, 0) == 1;
  NAME_CONSTRAINTS_free(constraints);
  return added;
}

static bool
add_text_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
  X509V3_CTX context;
  X509_EXTENSION *extension;
  bool added;

  X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
  extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  added = extension && X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

static bool
set_serial(X509 *cert)
{
  BIGNUM *serial = BN_new();
  bool set =
      BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) &&
      BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));

  BN_free(serial);
  return set;
}

static bool
set_subject(X509 *cert)
{
  X509_NAME *name = X509_get_subject_name(cert);
  g_autofree char *whole = g_strdup_printf(
      "hoop-agent CA of %s on %s", g_get_user_name(), g_get_host_name());
  g_autofree char *valid = g_utf8_make_valid(whole, -1);
  g_autofree char *common = g_utf8_substring(
      valid, 0, MIN(g_utf8_strlen(valid, -1), MAX_COMMON_NAME));

  return X509_NAME_add_entry_by_txt(name,
                                    "O",
                                    MBSTRING_UTF8,
                                    (const uint8_t *)"hoop-agent",
                                    -1,
                                    -1,
                                    0) &&
         X509_NAME_add_entry_by_txt(
             name, "CN", MBSTRING_UTF8, (const uint8_t *)common, -1, -1, 0) &&
         X509_set_issuer_name(cert, name);
}

static X509 *
make_cert(EVP_PKEY *key, const char *const *hosts)
{
  X509 *cert = X509_new();

  if (X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
      set_subject(cert) &&
      X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE_S) &&
      X509_gmtime_adj(X509_getm_notAfter(cert), CA_DAYS * 24L * 60 * 60) &&
      X509_set_pubkey(cert, key) &&
      add_text_extension(
          cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      add_text_extension(
          cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_text_extension(cert, cert, NID_subject_key_identifier, "hash") &&
      add_constraints(cert, hosts) && X509_sign(cert, key, EVP_sha256()))
    return cert;
  X509_free(cert);
  return NULL;
}

static bool
store_key(EVP_PKEY *key, const char *path, GError **error)
{
  BIO *bio = BIO_new(BIO_s_secmem());
  char *text;
  long len;
  bool stored;

  PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
  len = BIO_get_mem_data(bio, &text);
  stored = file_replace(path, text, (size_t)len, 0600, error);
  secret_wipe(text, (size_t)len);
  BIO_free(bio);
  return stored;
}

/* The file's error says what is wrong with it, this one what always helps. */
static void
unreadable(GError **error, const GError *why)
{
  g_set_error(error,
              FRONT_ERROR,
              FRONT_ERROR_CA,
              "the agent's CA cannot be read: %s; or make another with "
              "`hoop-agent ca rotate`",
              why->message);
}

static EVP_PKEY *
load_key(const char *path, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(Secret) pem = file_read_secret(path, &why);
  EVP_PKEY *key;
  BIO *bio;

  if (!pem) {
    unreadable(error, why);
    return NULL;
  }
  bio = BIO_new_mem_buf(secret_bytes(pem), (int)secret_len(pem));
  key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
  BIO_free(bio);
  if (!key)
    fail(error, "no private key; `hoop-agent ca rotate` makes another", path);
  return key;
}

static X509 *
load_cert(const char *path, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(GBytes) pem = file_read(path, MAX_PEM, &why);
  X509 *cert;
  BIO *bio;

  if (!pem) {
    unreadable(error, why);
    return NULL;
  }
  bio =
      BIO_new_mem_buf(g_bytes_get_data(pem, NULL), (int)g_bytes_get_size(pem));
  cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
  BIO_free(bio);
  if (!cert)
    fail(error, "no certificate; `hoop-agent ca rotate` makes another", path);
  return cert;
}

static bool
make(Ca *ca, const char *key_path, const char *const *hosts, GError **error)
{
  g_autoptr(GBytes) pem = NULL;

  if (!allowed(hosts, error))
    return false;
  ca->key = EVP_EC_gen("P-256");
  ca->cert = ca->key ? make_cert(ca->key, hosts) : NULL;
  if (!ca->cert)
    return fail(error, "the CA cannot be made", NULL);
  pem = ca_pem(ca);
  /* Certificate first: a key without one would be taken for whole. */
  return file_replace(ca->path,
                      g_bytes_get_data(pem, NULL),
                      g_bytes_get_size(pem),
                      0644,
                      error) &&
         store_key(ca->key, key_path, error);
}

static bool
load(Ca *ca, const char *key_path, GError **error)
{
  ca->key = load_key(key_path, error);
  ca->cert = ca->key ? load_cert(ca->path, error) : NULL;
  if (!ca->cert)
    return false;
  if (X509_check_private_key(ca->cert, ca->key) != 1)
    return fail(error,
                "does not belong to the key; `hoop-agent ca rotate` makes both "
                "anew",
                ca->path);
  if (X509_cmp_current_time(X509_get0_notAfter(ca->cert)) <= 0)
    return fail(
        error, "has expired; `hoop-agent ca rotate` makes another", ca->path);
  return true;
}

static Ca *
open_ca(const char *state_dir,
        const char *data_dir,
        const char *const *hosts,
        bool anew,
        GError **error)
{
  g_autofree char *key_path = g_build_filename(state_dir, "ca.key", NULL);
  g_autofree char *lock = g_build_filename(state_dir, "ca.lock", NULL);
  g_autoptr(Ca) ca = g_new0(Ca, 1);
  bool fine;
  int fd;

  ca->path = g_build_filename(data_dir, "ca.pem", NULL);
  if (!file_private_dir(state_dir, error) || !file_private_dir(data_dir, error))
    return NULL;
  fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0 || flock(fd, LOCK_EX) != 0) {
    fail(error, g_strerror(errno), lock);
    if (fd >= 0)
      close(fd);
    return NULL;
  }
  fine = !anew && g_file_test(key_path, G_FILE_TEST_EXISTS)
             ? load(ca, key_path, error)
             : make(ca, key_path, hosts, error);
  close(fd);
  if (!fine)
    return NULL;
  gather_facts(ca);
  return g_steal_pointer(&ca);
}

Ca *
ca_load_or_create(const char *state_dir,
                  const char *data_dir,
                  const char *const *hosts,
                  GError **error)
{
  return open_ca(state_dir, data_dir, hosts, false, error);
}

Ca *
ca_rotate(const char *state_dir,
          const char *data_dir,
          const char *const *hosts,
          GError **error)
{
  return open_ca(state_dir, data_dir, hosts, true, error);
}

bool
ca_sign(Ca *ca, X509 *leaf, GError **error)
{
  if (set_serial(leaf) &&
      X509_set_issuer_name(leaf, X509_get_subject_name(ca->cert)) &&
      add_text_extension(
          leaf, ca->cert, NID_authority_key_identifier, "keyid:always") &&
      X509_sign(leaf, ca->key, EVP_sha256()))
    return true;
  return fail(error, "a leaf certificate cannot be signed", NULL);
}
