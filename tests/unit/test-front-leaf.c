/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of TLS: a leaf for the name that the client asks for and
 * for no other, renewed in time, and a handshake that takes no old protocol. */
#include "front/private.h"
#include "kit/clock.h"
#include "tests/unit/folder.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

/* What the room keeps at one time (MAX_LEAVES of leaf.c). */
#define KEPT 64
#define HOUR_US (3600LL * G_USEC_PER_SEC)

static const char *const hosts[] = {"githubcopilot.com", NULL};

/* The tests move the clock. */
static int64_t clock_offset_us;
int64_t __real_clock_wall_us(void);
int64_t __wrap_clock_wall_us(void);
int64_t
__wrap_clock_wall_us(void)
{
  return __real_clock_wall_us() + clock_offset_us;
}

typedef struct {
  char *dir;
  Ca *ca;
  Leaves *leaves;
  SSL_CTX *client; /* trusts the CA alone */
} Fixture;

static void
set_up(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  clock_offset_us = 0;
  f->dir = g_dir_make_tmp("hoop-leaf-XXXXXX", NULL);
  f->ca = ca_load_or_create(f->dir, f->dir, hosts, &error);
  g_assert_no_error(error);
  f->leaves = leaves_new(f->ca, &error);
  g_assert_no_error(error);
  f->client = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_security_level(f->client, 0);
  SSL_CTX_set_min_proto_version(f->client, TLS1_VERSION);
  SSL_CTX_set_verify(f->client, SSL_VERIFY_PEER, NULL);
  g_assert_true(SSL_CTX_load_verify_locations(f->client, ca_path(f->ca), NULL));
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  SSL_CTX_free(f->client);
  leaves_free(f->leaves);
  ca_free(f->ca);
  remove_folder(f->dir);
  g_free(f->dir);
}

/* ---- Both ends in memory
 * -------------------------------------------------------------- */

typedef struct {
  SSL *client, *server;
  char *why; /* what the client's end failed with, or NULL */
} Pair;

typedef struct {
  const char *fallback; /* "127.0.0.1" */
  const char *sni;      /* or NULL */
  const char *verify;   /* the name to verify; NULL: sni, or the fallback */
  int version;          /* the only one; 0: any */
  const char *alpn;     /* wire format, or NULL */
  const char *ciphers;
  SSL_SESSION *session;
} Ask;

static void
pair_clear(Pair *pair)
{
  SSL_free(pair->client);
  SSL_free(pair->server);
  g_free(pair->why);
  ERR_clear_error();
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Pair, pair_clear)

static void
ask_client(SSL *client, const Ask *ask, const char *fallback)
{
  const char *verify = ask->verify ? ask->verify : ask->sni;

  if (ask->sni)
    SSL_set_tlsext_host_name(client, ask->sni);
  if (!verify)
    verify = fallback;
  if (!X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(client), verify))
    SSL_set1_host(client, verify);
  if (ask->version) {
    SSL_set_min_proto_version(client, ask->version);
    SSL_set_max_proto_version(client, ask->version);
  }
  if (ask->alpn)
    SSL_set_alpn_protos(
        client, (const uint8_t *)ask->alpn, (unsigned)strlen(ask->alpn));
  if (ask->ciphers)
    g_assert_true(SSL_set_cipher_list(client, ask->ciphers));
  if (ask->session)
    g_assert_true(SSL_set_session(client, ask->session));
}

/* Runs both ends until they are done; the client also reads what comes behind
 * the handshake (tickets, alerts). */
static void
run(Pair *pair)
{
  for (unsigned i = 0; i < 20; i++) {
    char byte;
    int n;

    ERR_clear_error();
    SSL_do_handshake(pair->server);
    if (SSL_is_init_finished(pair->server))
      SSL_read(pair->server, &byte, 1);
    ERR_clear_error();
    n = SSL_do_handshake(pair->client);
    if (n == 1)
      n = SSL_read(pair->client, &byte, 1);
    if (SSL_get_error(pair->client, n) == SSL_ERROR_SSL) {
      pair->why = g_strdup(ERR_reason_error_string(ERR_peek_error()));
      return;
    }
  }
  if (!SSL_is_init_finished(pair->client))
    pair->why = g_strdup("never finished");
}

static Pair
handshake(Fixture *f, const Ask *ask)
{
  const char *fallback = ask->fallback ? ask->fallback : "127.0.0.1";
  g_autoptr(GError) error = NULL;
  SSL_CTX *context = leaves_context(f->leaves, fallback, &error);
  Pair pair = {0};
  BIO *one, *other;

  g_assert_no_error(error);
  pair.server = SSL_new(context);
  pair.client = SSL_new(f->client);
  g_assert_true(BIO_new_bio_pair(&one, 0, &other, 0));
  SSL_set_bio(pair.server, one, one);
  SSL_set_bio(pair.client, other, other);
  SSL_set_accept_state(pair.server);
  SSL_set_connect_state(pair.client);
  ask_client(pair.client, ask, fallback);
  run(&pair);
  return pair;
}

static char *
serial(const Pair *pair)
{
  X509 *cert = SSL_get0_peer_certificate(pair->client);
  BIGNUM *number = ASN1_INTEGER_to_BN(X509_get_serialNumber(cert), NULL);
  char *hex = BN_bn2hex(number);
  char *copy = g_strdup(hex);

  OPENSSL_free(hex);
  BN_free(number);
  return copy;
}

static char *
serial_for(Fixture *f, const char *name)
{
  Ask ask = {.sni = name};
  g_auto(Pair) pair = handshake(f, &ask);

  g_assert_cmpstr(pair.why, ==, NULL);
  return serial(&pair);
}

/* ---- Names
 * ------------------------------------------------------------------------ */

static void
test_names(Fixture *f, const void *data)
{
  static const Ask fine[] = {
      {.sni = "api.githubcopilot.com"},
      {.sni = "proxy.business.githubcopilot.com"},
      {.sni = "githubcopilot.com"},
      {.sni = "API.GitHubCopilot.com"},
      {.sni = "localhost"},
      {.fallback = "127.0.0.1"},
      {.fallback = "::1"},
      {.fallback = "api.githubcopilot.com"},
      {.fallback = "api.githubcopilot.com", .sni = "api.githubcopilot.com"},
      {.fallback = "127.0.0.1", .sni = "localhost"},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(fine); i++) {
    g_auto(Pair) pair = handshake(f, &fine[i]);

    if (pair.why)
      g_error("%u %s: %s", i, fine[i].sni, pair.why);
  }
}

static void
test_other_names(Fixture *f, const void *data)
{
  static const char *const names[] = {
      "github.com",
      "api.github.com",
      "example.com",
      "evilgithubcopilot.com",
      "api.githubcopilot.com.evil.com",
      "api.githubcopilot.com.",
      "*.githubcopilot.com",
      "a b.githubcopilot.com",
      "a..githubcopilot.com",
      ".githubcopilot.com",
      "127.0.0.2",
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
    Ask ask = {.sni = names[i]};
    g_auto(Pair) pair = handshake(f, &ask);

    if (!pair.why || !strstr(pair.why, "unrecognized name"))
      g_error("%s: %s", names[i], pair.why);
  }
}

static void
test_fallback_outside(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_null(leaves_context(f->leaves, "copilot.example.com", &error));
  g_assert_error(error, FRONT_ERROR, FRONT_ERROR_NAME);
  g_assert_nonnull(strstr(error->message, "copilot.example.com"));
  g_assert_nonnull(strstr(error->message, "hoop-agent ca rotate"));
}

static void
test_certificate(Fixture *f, const void *data)
{
  Ask ask = {.sni = "api.githubcopilot.com"};
  g_auto(Pair) pair = handshake(f, &ask);
  X509 *cert = SSL_get0_peer_certificate(pair.client);
  GENERAL_NAMES *names;
  int critical = 0, days = 0, seconds = 0;

  (void)data;
  g_assert_cmpstr(pair.why, ==, NULL);
  names = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
  g_assert_cmpint(sk_GENERAL_NAME_num(names), ==, 1);
  g_assert_cmpint(critical, ==, 1);
  GENERAL_NAMES_free(names);
  g_assert_cmpint(X509_NAME_entry_count(X509_get_subject_name(cert)), ==, 0);
  g_assert_true(ASN1_TIME_diff(
      &days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert)));
  g_assert_cmpint(days, <=, 8);
  g_assert_cmpuint(X509_get_extended_key_usage(cert), ==, XKU_SSL_SERVER);
  g_assert_cmpint(X509_check_ca(cert), ==, 0);
  g_assert_cmpint(EVP_PKEY_get_bits(X509_get0_pubkey(cert)), ==, 256);
}

/* ---- Time and number
 * --------------------------------------------------------------- */

static void
test_renewal(Fixture *f, const void *data)
{
  static const struct {
    int64_t after_us;
    bool same;
  } steps[] = {
      {HOUR_US, true},
      {22 * HOUR_US, true},
      {2 * HOUR_US, false}, /* 25 hours in all */
      {0, true},
      {10 * 24 * HOUR_US, false}, /* the lid was closed */
      {-2 * HOUR_US, false},      /* the clock was set back */
      {0, true},
  };
  g_autofree char *before = serial_for(f, "api.githubcopilot.com");

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(steps); i++) {
    g_autofree char *now = NULL;

    clock_offset_us += steps[i].after_us;
    now = serial_for(f, "api.githubcopilot.com");
    if (g_str_equal(now, before) != steps[i].same)
      g_error("step %u", i);
    g_free(before);
    before = g_steal_pointer(&now);
  }
}

static void
test_bound(Fixture *f, const void *data)
{
  g_autofree char *used = serial_for(f, "used.githubcopilot.com");
  g_autofree char *first = serial_for(f, "n0.githubcopilot.com");
  g_autofree char *used_after = NULL;
  g_autofree char *first_after = NULL;

  (void)data;
  /* Fallback, "used" and "n0" are there already: fill up, and one more. */
  for (unsigned i = 1; i < KEPT - 1; i++) {
    g_autofree char *name = g_strdup_printf("n%u.githubcopilot.com", i);
    g_autofree char *touch = serial_for(f, "used.githubcopilot.com");
    g_autofree char *one = serial_for(f, name);

    g_assert_cmpstr(touch, ==, used);
  }
  used_after = serial_for(f, "used.githubcopilot.com");
  g_assert_cmpstr(used_after, ==, used);
  first_after = serial_for(f, "n0.githubcopilot.com");
  g_assert_cmpstr(first_after, !=, first); /* longest unused: forgotten */
}

/* A connection outlives the cache's entry that it began with. */
static void
test_outlived(Fixture *f, const void *data)
{
  SSL_CTX *context = leaves_context(f->leaves, "localhost", NULL);
  SSL *server = SSL_new(context);

  (void)data;
  for (unsigned i = 0; i < KEPT + 5; i++) {
    g_autofree char *name = g_strdup_printf("n%u.githubcopilot.com", i);

    g_assert_nonnull(leaves_context(f->leaves, name, NULL));
  }
  g_assert_nonnull(SSL_get_certificate(server));
  SSL_free(server);
}

/* ---- Protocol
 * ----------------------------------------------------------------------- */

static void
test_versions(Fixture *f, const void *data)
{
  static const struct {
    int version;
    bool fine;
  } cases[] = {
      {TLS1_VERSION, false},
      {TLS1_1_VERSION, false},
      {TLS1_2_VERSION, true},
      {TLS1_3_VERSION, true},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    Ask ask = {.sni = "localhost", .version = cases[i].version};
    g_auto(Pair) pair = handshake(f, &ask);

    g_assert_cmpint(pair.why == NULL, ==, cases[i].fine);
    if (!cases[i].fine)
      g_assert_nonnull(strstr(pair.why, "protocol version"));
    else
      g_assert_cmpint(SSL_version(pair.client), ==, cases[i].version);
  }
}

static void
test_ciphers(Fixture *f, const void *data)
{
  static const struct {
    const char *ciphers;
    bool fine;
  } cases[] = {
      {"ECDHE-ECDSA-AES128-GCM-SHA256", true},
      {"ECDHE-ECDSA-CHACHA20-POLY1305", true},
      {"ECDHE-ECDSA-AES128-SHA256", false}, /* CBC */
      {"ECDHE-ECDSA-AES256-SHA", false},
      {"AES128-GCM-SHA256", false}, /* no forward secrecy */
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    Ask ask = {.sni = "localhost",
               .version = TLS1_2_VERSION,
               .ciphers = cases[i].ciphers};
    g_auto(Pair) pair = handshake(f, &ask);

    if ((pair.why == NULL) != cases[i].fine)
      g_error("%s: %s", cases[i].ciphers, pair.why);
  }
}

static void
test_alpn(Fixture *f, const void *data)
{
  static const struct {
    const char *offer;
    const char *chosen; /* NULL: refused; "": none */
  } cases[] = {
      {"\x02h2\x08http/1.1", "http/1.1"},
      {"\x08http/1.1\x02h2", "http/1.1"},
      {"\x08http/1.1", "http/1.1"},
      {"\x02h2", NULL},
      {"\x08http/1.0", NULL},
      {NULL, ""},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    Ask ask = {.sni = "localhost", .alpn = cases[i].offer};
    g_auto(Pair) pair = handshake(f, &ask);
    const uint8_t *name = NULL;
    unsigned len = 0;

    if (!cases[i].chosen) {
      g_assert_nonnull(pair.why);
      g_assert_nonnull(strstr(pair.why, "no application protocol"));
      continue;
    }
    g_assert_cmpstr(pair.why, ==, NULL);
    SSL_get0_alpn_selected(pair.client, &name, &len);
    g_assert_cmpmem(name, len, cases[i].chosen, strlen(cases[i].chosen));
  }
}

/* A client comes back without a full handshake, and the agent keeps nothing
 * for it. */
static void
test_tickets(Fixture *f, const void *data)
{
  static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(versions); i++) {
    Ask ask = {.sni = "localhost", .version = versions[i]};
    g_auto(Pair) first = handshake(f, &ask);
    SSL_CTX *context = leaves_context(f->leaves, "localhost", NULL);

    g_assert_cmpstr(first.why, ==, NULL);
    ask.session = SSL_get1_session(first.client);
    g_assert_true(SSL_SESSION_is_resumable(ask.session));
    {
      g_auto(Pair) second = handshake(f, &ask);

      g_assert_cmpstr(second.why, ==, NULL);
      g_assert_true(SSL_session_reused(second.client));
    }
    SSL_SESSION_free(ask.session);
    g_assert_cmpint(SSL_CTX_sess_number(context), ==, 0);
    context = leaves_context(f->leaves, "127.0.0.1", NULL);
    g_assert_cmpint(SSL_CTX_sess_number(context), ==, 0);
  }
}

static void
test_no_renegotiation(Fixture *f, const void *data)
{
  Ask ask = {.sni = "localhost", .version = TLS1_2_VERSION};
  g_auto(Pair) pair = handshake(f, &ask);

  (void)data;
  g_assert_cmpstr(pair.why, ==, NULL);
  g_assert_true(SSL_renegotiate(pair.client));
  run(&pair);
  g_assert_nonnull(pair.why);
  g_assert_nonnull(strstr(pair.why, "no renegotiation"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_)                                                      \
  g_test_add("/front/leaf/" name_, Fixture, NULL, set_up, func_, tear_down)
  ADD("names", test_names);
  ADD("other-names", test_other_names);
  ADD("fallback-outside", test_fallback_outside);
  ADD("certificate", test_certificate);
  ADD("renewal", test_renewal);
  ADD("bound", test_bound);
  ADD("outlived", test_outlived);
  ADD("versions", test_versions);
  ADD("ciphers", test_ciphers);
  ADD("alpn", test_alpn);
  ADD("tickets", test_tickets);
  ADD("no-renegotiation", test_no_renegotiation);
#undef ADD
  return g_test_run();
}
