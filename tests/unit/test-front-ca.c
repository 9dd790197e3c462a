/* SPDX-License-Identifier: Apache-2.0 */
/* The user's CA: made once, kept private, constrained to its hosts in the eyes
 * of openssl(1), and what is said when its files are damaged. */
#include "front/private.h"
#include "tests/unit/child.h"
#include "tests/unit/folder.h"
#include "tests/unit/upstream-certs.h"
#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const hosts[] = {"githubcopilot.com",
                                    "copilot-proxy.githubusercontent.com",
                                    NULL};

/* Stands before GLib's for the whole program: a machine whose name is longer
 * than a common name may be, and cut inside a character when cut by bytes. */
static const char *host_name = "host";
const char *
g_get_host_name(void)
{
  return host_name;
}

typedef struct {
  char *dir, *state, *data, *key, *cert;
} Fixture;

static void
set_up(Fixture *f, const void *data)
{
  (void)data;
  f->dir = g_dir_make_tmp("hoop-ca-XXXXXX", NULL);
  f->state = g_build_filename(f->dir, "state", NULL);
  f->data = g_build_filename(f->dir, "data", NULL);
  f->key = g_build_filename(f->state, "ca.key", NULL);
  f->cert = g_build_filename(f->data, "ca.pem", NULL);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  remove_folder(f->dir);
  g_free(f->dir);
  g_free(f->state);
  g_free(f->data);
  g_free(f->key);
  g_free(f->cert);
}

static Ca *
make(Fixture *f)
{
  g_autoptr(GError) error = NULL;
  Ca *ca = ca_load_or_create(f->state, f->data, hosts, &error);

  g_assert_no_error(error);
  return ca;
}

static X509 *
read_cert(const char *path)
{
  FILE *file = fopen(path, "r");
  X509 *cert;

  g_assert_nonnull(file);
  cert = PEM_read_X509(file, NULL, NULL, NULL);
  fclose(file);
  g_assert_nonnull(cert);
  return cert;
}

/* ---- What it is
 * ------------------------------------------------------------------- */

static void
test_files(Fixture *f, const void *data)
{
  g_autoptr(Ca) ca = make(f);
  g_autoptr(Ca) again = make(f);
  const CaFacts *facts = ca_facts(ca);
  GStatBuf info;

  (void)data;
  g_assert_cmpstr(facts->fingerprint, ==, ca_facts(again)->fingerprint);
  g_assert_cmpint(g_stat(f->key, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, 0600);
  g_assert_cmpint(g_stat(f->state, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, 0700);
  g_assert_cmpstr(ca_path(ca), ==, f->cert);
  g_assert_cmpuint(g_strv_length(facts->names), ==, 3);
  g_assert_cmpstr(facts->names[0], ==, "githubcopilot.com");
  g_assert_cmpstr(facts->names[2], ==, "localhost");
  g_assert_cmpint(facts->until_s - facts->from_s, >, 700 * 86400);
  g_assert_cmpuint(strlen(facts->fingerprint), ==, 32 * 3 - 1);
  g_assert_nonnull(strstr(facts->subject, "hoop-agent CA of "));
}

static void
test_certificate(Fixture *f, const void *data)
{
  g_autoptr(Ca) ca = make(f);
  X509 *cert = read_cert(f->cert);
  EVP_PKEY *key = X509_get0_pubkey(cert);
  BASIC_CONSTRAINTS *basic;
  int critical;

  (void)data;
  basic = X509_get_ext_d2i(cert, NID_basic_constraints, &critical, NULL);
  g_assert_nonnull(basic);
  g_assert_cmpint(critical, ==, 1);
  g_assert_true(basic->ca);
  g_assert_cmpint(ASN1_INTEGER_get(basic->pathlen), ==, 0);
  BASIC_CONSTRAINTS_free(basic);
  NAME_CONSTRAINTS_free(
      X509_get_ext_d2i(cert, NID_name_constraints, &critical, NULL));
  g_assert_cmpint(critical, ==, 1);
  g_assert_cmpuint(
      X509_get_key_usage(cert), ==, KU_KEY_CERT_SIGN | KU_CRL_SIGN);
  g_assert_cmpint(EVP_PKEY_get_bits(key), ==, 256);
  g_assert_cmpint(X509_check_ca(cert), ==, 1);
  X509_free(cert);
}

/* The certificate's PEM is what the file holds. */
static void
test_pem(Fixture *f, const void *data)
{
  g_autoptr(Ca) ca = make(f);
  g_autoptr(GBytes) pem = ca_pem(ca);
  g_autofree char *text = NULL;
  size_t len;

  (void)data;
  g_assert_true(g_file_get_contents(f->cert, &text, &len, NULL));
  g_assert_cmpmem(
      text, len, g_bytes_get_data(pem, NULL), g_bytes_get_size(pem));
}

static char *
serial_of(X509 *cert)
{
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get_serialNumber(cert), NULL);
  char *hex = BN_bn2hex(number);
  char *copy = g_strdup(hex);

  g_assert_false(BN_is_negative(number));
  g_assert_cmpint(BN_num_bits(number), ==, 127);
  OPENSSL_free(hex);
  BN_free(number);
  return copy;
}

static X509 *
sign(Ca *ca, const char *san)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Cert) leaf = cert_new(&(CertSpec){.san = san, .skid = ""});
  X509 *signed_cert = X509_dup(leaf->x509);

  g_assert_true(ca_sign(ca, signed_cert, &error));
  g_assert_no_error(error);
  return signed_cert;
}

static void
test_serials(Fixture *f, const void *data)
{
  g_autoptr(Ca) ca = make(f);
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

  (void)data;
  for (unsigned i = 0; i < 50; i++) {
    X509 *leaf = sign(ca, "DNS:localhost");

    g_assert_true(g_hash_table_add(seen, serial_of(leaf)));
    X509_free(leaf);
  }
}

/* ---- Whom it can vouch for, as openssl(1) sees it
 * ------------------------------------ */

/* "" when it verifies, else what openssl says. */
static char *
openssl_verify(Fixture *f, Ca *ca, const char *san)
{
  g_autofree char *path = g_build_filename(f->dir, "leaf.pem", NULL);
  g_autofree char *words = NULL;
  const char *argv[] = {"openssl", "verify", "-CAfile", f->cert, path, NULL};
  X509 *leaf = sign(ca, san);
  FILE *file = fopen(path, "w");
  int status = -1;

  g_assert_nonnull(file);
  PEM_write_X509(file, leaf);
  fclose(file);
  X509_free(leaf);
  g_assert_true(g_spawn_sync(NULL,
                             (char **)argv,
                             NULL,
                             G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL,
                             NULL,
                             NULL,
                             NULL,
                             &words,
                             &status,
                             NULL));
  return status == 0 ? g_strdup("") : g_steal_pointer(&words);
}

static void
test_constraints(Fixture *f, const void *data)
{
  static const char *const inside[] = {
      "DNS:githubcopilot.com",
      "DNS:api.githubcopilot.com",
      "DNS:proxy.business.githubcopilot.com",
      "DNS:copilot-proxy.githubusercontent.com",
      "DNS:localhost",
      "IP:127.0.0.1",
      "IP:::1",
      "DNS:api.githubcopilot.com,IP:127.0.0.1",
  };
  static const char *const outside[] = {
      "DNS:github.com",
      "DNS:api.github.com",
      "DNS:example.com",
      "DNS:evilgithubcopilot.com",
      "DNS:githubcopilot.com.evil.com",
      "DNS:githubusercontent.com",
      "DNS:raw.githubusercontent.com",
      "IP:127.0.0.2",
      "IP:10.0.0.1",
      "IP:::2",
      "IP:::ffff:127.0.0.1",
      "DNS:api.githubcopilot.com,DNS:example.com",
      "DNS:api.githubcopilot.com,IP:10.0.0.1",
  };
  g_autoptr(Ca) ca = make(f);

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(inside); i++) {
    g_autofree char *words = openssl_verify(f, ca, inside[i]);

    if (*words)
      g_error("%s: %s", inside[i], words);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(outside); i++) {
    g_autofree char *words = openssl_verify(f, ca, outside[i]);

    if (!strstr(words, "permitted subtree violation"))
      g_error("%s: \"%s\"", outside[i], words);
  }
}

/* Another authority beneath it would be free of its constraints' spirit. */
static void
test_no_authority_beneath(Fixture *f, const void *data)
{
  g_autoptr(Ca) ca = make(f);
  g_autoptr(Cert) below = cert_new(&(CertSpec){.ca = true, .cn = "below"});
  g_autoptr(GError) error = NULL;
  X509 *ca_cert = read_cert(f->cert), *sub = X509_dup(below->x509);
  g_autoptr(Cert) leaf = NULL;
  Cert issuer = {sub, below->key};
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *context = X509_STORE_CTX_new();
  STACK_OF(X509) *chain = sk_X509_new_null();

  (void)data;
  g_assert_true(ca_sign(ca, sub, &error));
  leaf = cert_new(
      &(CertSpec){.issuer = &issuer, .san = "DNS:api.githubcopilot.com"});
  sk_X509_push(chain, sub);
  X509_STORE_add_cert(store, ca_cert);
  g_assert_true(X509_STORE_CTX_init(context, store, leaf->x509, chain));
  g_assert_cmpint(X509_verify_cert(context), !=, 1);
  g_assert_cmpint(
      X509_STORE_CTX_get_error(context), ==, X509_V_ERR_PATH_LENGTH_EXCEEDED);
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  sk_X509_free(chain);
  X509_free(sub);
  X509_free(ca_cert);
}

static void
test_covers(Fixture *f, const void *data)
{
  static const struct {
    const char *name;
    bool covered;
  } cases[] = {
      {"githubcopilot.com", true},
      {"api.githubcopilot.com", true},
      {"API.GitHubCopilot.COM", true},
      {"localhost", true},
      {"127.0.0.1", true},
      {"::1", true},
      {"github.com", false},
      {"api.github.com", false},
      {"evilgithubcopilot.com", false},
      {"githubcopilot.com.evil.com", false},
      {"githubcopilot.com.", false},
      {"api.githubcopilot.com.", false},
      {".githubcopilot.com", false},
      {"a..githubcopilot.com", false},
      {"*.githubcopilot.com", false},
      {"a b.githubcopilot.com", false},
      {"\xc3\xa4.githubcopilot.com", false},
      {"127.0.0.2", false},
      {"0.0.0.0", false},
      {"::", false},
      {"", false},
  };
  g_autoptr(Ca) ca = make(f);

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
    if (ca_covers(ca, cases[i].name) != cases[i].covered)
      g_error("%s", cases[i].name);
}

/* api.github.com comes under it when it is asked for, and github.com never. */
static void
test_hosts(Fixture *f, const void *data)
{
  static const char *const never[] = {"github.com",
                                      "GitHub.com",
                                      "github.com.",
                                      "com",
                                      "",
                                      "10.0.0.1",
                                      "https://a.example",
                                      "*.example.com"};
  const char *held[] = {"githubcopilot.com", "api.github.com", NULL};
  g_autoptr(GError) error = NULL;
  g_autoptr(Ca) ca = NULL;

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(never); i++) {
    const char *wanted[] = {"githubcopilot.com", never[i], NULL};

    g_assert_null(ca_load_or_create(f->state, f->data, wanted, &error));
    g_assert_error(error, FRONT_ERROR, FRONT_ERROR_NAME);
    g_clear_error(&error);
    g_assert_false(g_file_test(f->key, G_FILE_TEST_EXISTS));
  }
  ca = ca_load_or_create(f->state, f->data, held, &error);
  g_assert_no_error(error);
  g_assert_true(ca_covers(ca, "api.github.com"));
  g_assert_false(ca_covers(ca, "github.com"));
  g_assert_false(ca_covers(ca, "gist.github.com"));
}

/* ---- Its files
 * ------------------------------------------------------------------------ */

/* A CA that exists is kept, whatever is asked of it now. */
static void
test_kept(Fixture *f, const void *data)
{
  const char *more[] = {"githubcopilot.com", "copilot.example.com", NULL};
  g_autoptr(Ca) ca = make(f);
  g_autoptr(GError) error = NULL;
  g_autoptr(Ca) same = ca_load_or_create(f->state, f->data, more, &error);
  g_autoptr(Ca) other = NULL;

  (void)data;
  g_assert_no_error(error);
  g_assert_cmpstr(ca_facts(ca)->fingerprint, ==, ca_facts(same)->fingerprint);
  g_assert_false(ca_covers(same, "copilot.example.com"));
  other = ca_rotate(f->state, f->data, more, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(ca_facts(ca)->fingerprint, !=, ca_facts(other)->fingerprint);
  g_assert_true(ca_covers(other, "copilot.example.com"));
  ca_free(g_steal_pointer(&same));
  same = make(f);
  g_assert_cmpstr(
      ca_facts(other)->fingerprint, ==, ca_facts(same)->fingerprint);
}

/* Starts at one time end with one CA. */
static void
test_race(Fixture *f, const void *data)
{
  pid_t children[8];
  int go[2];

  (void)data;
  g_assert_cmpint(pipe(go), ==, 0);
  for (unsigned i = 0; i < G_N_ELEMENTS(children); i++) {
    children[i] = fork();
    if (children[i] == 0) {
      g_autofree char *name = g_strdup_printf("%s/of-%u", f->dir, i);
      g_autoptr(Ca) ca = NULL;
      char byte;

      close(go[1]);
      if (read(go[0], &byte, 1) != 0) /* until the parent closes its end */
        child_exit(2);
      ca = ca_load_or_create(f->state, f->data, hosts, NULL);
      child_exit(
          ca && g_file_set_contents(name, ca_facts(ca)->fingerprint, -1, NULL)
              ? 0
              : 1);
    }
  }
  close(go[0]);
  close(go[1]);
  for (unsigned i = 0; i < G_N_ELEMENTS(children); i++) {
    int status = -1;

    g_assert_cmpint(waitpid(children[i], &status, 0), ==, children[i]);
    g_assert_cmpint(status, ==, 0);
  }
  {
    g_autoptr(Ca) ca = make(f);

    for (unsigned i = 0; i < G_N_ELEMENTS(children); i++) {
      g_autofree char *name = g_strdup_printf("%s/of-%u", f->dir, i);
      g_autofree char *text = NULL;

      g_assert_true(g_file_get_contents(name, &text, NULL, NULL));
      g_assert_cmpstr(text, ==, ca_facts(ca)->fingerprint);
    }
  }
}

/* Loading fails with a sentence that says what to do, and touches nothing. */
static void
assert_refused(Fixture *f, const char *words)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *before = NULL, *after = NULL;

  g_file_get_contents(f->key, &before, NULL, NULL);
  g_assert_null(ca_load_or_create(f->state, f->data, hosts, &error));
  g_assert_error(error, FRONT_ERROR, FRONT_ERROR_CA);
  g_assert_nonnull(strstr(error->message, "hoop-agent ca rotate"));
  if (!strstr(error->message, words))
    g_error("\"%s\" in \"%s\"", words, error->message);
  g_assert_null(strstr(error->message, "PRIVATE"));
  g_file_get_contents(f->key, &after, NULL, NULL);
  g_assert_cmpstr(before, ==, after);
}

static void
test_damaged(Fixture *f, const void *data)
{
  g_autofree char *key = NULL, *cert = NULL, *other_key = NULL;

  (void)data;
  ca_free(make(f));
  g_assert_true(g_file_get_contents(f->key, &key, NULL, NULL));
  g_assert_true(g_file_get_contents(f->cert, &cert, NULL, NULL));

  g_assert_true(g_file_set_contents(f->cert, "", 0, NULL));
  assert_refused(f, "no certificate");
  g_assert_true(g_file_set_contents(f->cert, cert, 200, NULL));
  assert_refused(f, "no certificate");
  g_assert_cmpint(g_unlink(f->cert), ==, 0);
  assert_refused(f, f->cert);
  g_assert_true(g_file_set_contents(f->cert, cert, -1, NULL));
  ca_free(make(f));

  g_assert_true(g_file_set_contents_full(
      f->key, "junk", 4, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
  assert_refused(f, "no private key");
  g_assert_true(g_file_set_contents_full(
      f->key, "", 0, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
  assert_refused(f, "empty");

  /* Half of a rotation: a key that belongs to another certificate. */
  g_assert_cmpint(g_unlink(f->key), ==, 0);
  ca_free(make(f));
  g_assert_true(g_file_get_contents(f->key, &other_key, NULL, NULL));
  g_assert_cmpstr(key, !=, other_key);
  g_assert_true(g_file_set_contents(f->cert, cert, -1, NULL));
  assert_refused(f, "does not belong to the key");
  {
    g_autoptr(GError) error = NULL;
    g_autoptr(Ca) ca = ca_rotate(f->state, f->data, hosts, &error);

    g_assert_no_error(error);
  }
  ca_free(make(f));
}

static void
test_readable_key(Fixture *f, const void *data)
{
  (void)data;
  ca_free(make(f));
  g_assert_cmpint(g_chmod(f->key, 0640), ==, 0);
  assert_refused(f, "chmod 600");
}

static void
test_expired(Fixture *f, const void *data)
{
  g_autoptr(Cert) old = cert_new(
      &(CertSpec){.ca = true, .cn = "old", .from = -86400 * 800, .to = -86400});
  g_autofree char *path = NULL;
  FILE *file;

  (void)data;
  ca_free(make(f));
  path = cert_write(f->data, "ca.pem", old);
  file = fopen(f->key, "w");
  g_assert_nonnull(file);
  PEM_write_PrivateKey(file, old->key, NULL, NULL, 0, NULL, NULL);
  fclose(file);
  assert_refused(f, "has expired");
}

static void
test_long_names(Fixture *f, const void *data)
{
  g_autofree char *name = g_strnfill(200, 'x');
  g_autofree char *umlauts = NULL;
  GString *text = g_string_new(NULL);

  (void)data;
  for (unsigned i = 0; i < 200; i++)
    g_string_append(text, "\xc3\xa4");
  umlauts = g_string_free(text, FALSE);
  for (unsigned i = 0; i < 4; i++) {
    g_autofree char *shifted = g_strdup_printf("%.*s%s", i, "abc", umlauts);
    g_autoptr(GError) error = NULL;
    g_autoptr(Ca) ca = NULL;

    host_name = i == 3 ? name : shifted;
    ca = ca_rotate(f->state, f->data, hosts, &error);
    host_name = "host";
    g_assert_no_error(error);
  }
  host_name = "not \xff UTF-8";
  ca_free(ca_rotate(f->state, f->data, hosts, NULL));
  host_name = "host";
  ca_free(make(f));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_)                                                      \
  g_test_add("/front/ca/" name_, Fixture, NULL, set_up, func_, tear_down)
  ADD("files", test_files);
  ADD("certificate", test_certificate);
  ADD("pem", test_pem);
  ADD("serials", test_serials);
  ADD("constraints", test_constraints);
  ADD("no-authority-beneath", test_no_authority_beneath);
  ADD("covers", test_covers);
  ADD("hosts", test_hosts);
  ADD("kept", test_kept);
  ADD("race", test_race);
  ADD("damaged", test_damaged);
  ADD("readable-key", test_readable_key);
  ADD("expired", test_expired);
  ADD("long-names", test_long_names);
#undef ADD
  return g_test_run();
}
