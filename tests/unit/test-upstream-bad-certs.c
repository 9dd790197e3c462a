/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that must not be believed: every way of having a bad certificate or
 * a weak handshake ends with UPSTREAM_ERROR_TLS before anything is sent, and
 * the good ones beside them are accepted. */
#include "tests/unit/upstream-harness.h"

#include <openssl/ocsp.h>
#include <string.h>

#define YEAR (365L * 86400)

/* Who signs the leaf. */
typedef enum {
  BY_CA,           /* the trusted test authority */
  BY_ITSELF,       /* self-signed, not trusted */
  BY_STRANGER,     /* an authority nobody trusts */
  BY_INTERMEDIATE, /* spec.between, signed by the test authority */
  BY_TWO,          /* and one more below it */
  BY_MISSING,      /* as BY_INTERMEDIATE, but the server does not send it */
} Signer;

typedef struct {
  const char *name;
  const char *host; /* "good.test" */
  Signer signer;
  CertSpec leaf;
  CertSpec between; /* BY_INTERMEDIATE, BY_TWO; ca is set */
  CertSpec below;   /* BY_TWO; ca is set */
  void (*tune)(SSL_CTX *ctx, void *data);
  const char *says; /* a part of the message, or NULL */
  bool good;
} Case;

/* ---- weak handshakes ------------------------------------------------------
 */

static void
only_tls10(SSL_CTX *ctx, void *data)
{
  (void)data;
  SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(ctx, TLS1_VERSION);
}

static void
only_tls11(SSL_CTX *ctx, void *data)
{
  (void)data;
  SSL_CTX_set_min_proto_version(ctx, TLS1_1_VERSION);
  SSL_CTX_set_max_proto_version(ctx, TLS1_1_VERSION);
}

static void
only_tls12(SSL_CTX *ctx, void *data)
{
  (void)data;
  SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
}

static void
only_ciphers(SSL_CTX *ctx, const char *list)
{
  only_tls12(ctx, NULL);
  g_assert_cmpint(SSL_CTX_set_cipher_list(ctx, list), ==, 1);
}

static void
only_anonymous(SSL_CTX *ctx, void *data)
{
  (void)data;
  SSL_CTX_set_dh_auto(ctx, 1);
  only_ciphers(ctx, "aNULL:@SECLEVEL=0");
}

static void
only_null(SSL_CTX *ctx, void *data)
{
  (void)data;
  only_ciphers(ctx, "eNULL:@SECLEVEL=0");
}

static void
only_static_rsa(SSL_CTX *ctx, void *data)
{
  (void)data;
  only_ciphers(ctx, "kRSA:@SECLEVEL=0");
}

static void
only_cbc(SSL_CTX *ctx, void *data)
{
  (void)data;
  only_ciphers(ctx, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0");
}

/* RFC 5114's 1024-bit group. */
static void
only_small_dh(SSL_CTX *ctx, void *data)
{
  EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string("group", (char *)"dh_1024_160", 0),
      OSSL_PARAM_construct_end(),
  };
  EVP_PKEY *group = NULL;

  (void)data;
  g_assert_cmpint(EVP_PKEY_keygen_init(maker), ==, 1);
  g_assert_cmpint(EVP_PKEY_CTX_set_params(maker, params), ==, 1);
  g_assert_cmpint(EVP_PKEY_generate(maker, &group), ==, 1);
  EVP_PKEY_CTX_free(maker);
  g_assert_cmpint(SSL_CTX_set0_tmp_dh_pkey(ctx, group), ==, 1);
  only_ciphers(ctx, "DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0");
}

static void
sha1_signature(SSL_CTX *ctx, void *data)
{
  (void)data;
  only_tls12(ctx, NULL);
  g_assert_cmpint(SSL_CTX_set1_sigalgs_list(ctx, "ECDSA+SHA1"), ==, 1);
}

static void
weak_group(SSL_CTX *ctx, void *data)
{
  (void)data;
  only_tls12(ctx, NULL);
  g_assert_cmpint(SSL_CTX_set1_groups_list(ctx, "P-224"), ==, 1);
}

static void
good_tls12(SSL_CTX *ctx, void *data)
{
  only_tls12(ctx, data);
}

/* ---- the cases -------------------------------------------------------------
 */

/* clang-format off */
static const Case cases[] = {
    /* validity */
    {"expired", .leaf = {.from = -2 * YEAR, .to = -60}, .says = "expired"},
    {"not yet valid", .leaf = {.from = 3600, .to = YEAR}, .says = "clock"},
    {"expired intermediate", .signer = BY_INTERMEDIATE,
     .between = {.from = -2 * YEAR, .to = -60}, .says = "expired"},
    {"intermediate not yet valid", .signer = BY_INTERMEDIATE,
     .between = {.from = 3600, .to = YEAR}, .says = "clock"},
    /* names */
    {"wrong host", .leaf = {.san = "DNS:other.test"}, .says = "another name"},
    {"parent's name", .leaf = {.san = "DNS:test"}, .says = "another name"},
    {"child's name", .leaf = {.san = "DNS:x.good.test"},
     .says = "another name"},
    {"wildcard over the top level", .leaf = {.san = "DNS:*.test"},
     .says = "another name"},
    {"lone wildcard", .leaf = {.san = "DNS:*"}, .says = "another name"},
    {"wildcard inside a label", .host = "a1.many.test",
     .leaf = {.san = "DNS:a*.many.test"}, .says = "another name"},
    {"wildcard over two labels", .host = "a.b.many.test",
     .leaf = {.san = "DNS:*.many.test"}, .says = "another name"},
    {"wildcard for the bare domain", .host = "many.test",
     .leaf = {.san = "DNS:*.many.test"}, .says = "another name"},
    {"wildcard in the middle", .host = "a.many.test",
     .leaf = {.san = "DNS:a.*.test"}, .says = "another name"},
    {"wildcard twice", .host = "a.many.test",
     .leaf = {.san = "DNS:*.*.test"}, .says = "another name"},
    {"address for a name", .leaf = {.san = "IP:127.0.0.1"},
     .says = "another name"},
    {"name for an address", .host = "127.0.0.1",
     .leaf = {.san = "DNS:127.0.0.1"}, .says = "another name"},
    {"other address", .host = "127.0.0.1",
     .leaf = {.san = "IP:127.0.0.2"}, .says = "another name"},
    {"common name only", .leaf = {.cn = "good.test", .san = ""},
     .says = "another name"},
    {"common name beside another SAN",
     .leaf = {.cn = "good.test", .san = "DNS:other.test"},
     .says = "another name"},
    {"common name beside an e-mail SAN",
     .leaf = {.cn = "good.test", .san = "email:a@good.test"},
     .says = "another name"},
    {"NUL in the name", .leaf = {.nul_name = "good.test|.evil.example"}},
    {"NUL after the name", .leaf = {.nul_name = "good.test|"}},
    /* trust */
    {"self-signed", .signer = BY_ITSELF, .says = "self-signed"},
    {"self-signed authority as leaf", .signer = BY_ITSELF,
     .leaf = {.ca = true, .san = "DNS:good.test"}, .says = "self-signed"},
    {"unknown authority", .signer = BY_STRANGER, .says = "ca-file"},
    {"missing intermediate", .signer = BY_MISSING, .says = "ca-file"},
    /* chains */
    {"intermediate without the CA flag", .signer = BY_INTERMEDIATE,
     .between = {.basic = "critical,CA:FALSE"}},
    {"intermediate without basic constraints", .signer = BY_INTERMEDIATE,
     .between = {.basic = ""}},
    {"intermediate with CA not critical", .signer = BY_INTERMEDIATE,
     .between = {.basic = "CA:TRUE"}},
    {"intermediate may not sign certificates", .signer = BY_INTERMEDIATE,
     .between = {.usage = "critical,cRLSign"}},
    {"intermediate without key usage", .signer = BY_INTERMEDIATE,
     .between = {.usage = ""}},
    {"intermediate for clients only", .signer = BY_INTERMEDIATE,
     .between = {.eku = "clientAuth"}, .says = "not meant"},
    {"path length exceeded", .signer = BY_TWO,
     .between = {.basic = "critical,CA:TRUE,pathlen:0"}},
    {"pathlen on a leaf", .leaf = {.basic = "CA:FALSE,pathlen:1"}},
    {"leaf may sign certificates",
     .leaf = {.usage = "critical,digitalSignature,keyCertSign"}},
    {"version 1 intermediate", .signer = BY_INTERMEDIATE,
     .between = {.version1 = true}, .leaf = {.akid = ""}},
    {"version 1 leaf", .leaf = {.version1 = true}},
    /* usage */
    {"for clients only", .leaf = {.eku = "clientAuth"}, .says = "not meant"},
    {"for signing code", .leaf = {.eku = "codeSigning"}, .says = "not meant"},
    {"for e-mail, critical", .leaf = {.eku = "critical,emailProtection"},
     .says = "not meant"},
    {"key only for encryption", .leaf = {.usage = "critical,keyEncipherment",
     .key = "RSA:2048"}, .says = "not meant"},
    {"key only for key agreement",
     .leaf = {.usage = "critical,keyAgreement"}, .says = "not meant"},
    {"key only for CRLs", .leaf = {.usage = "critical,cRLSign"}},
    /* strength */
    {"RSA-1024 leaf", .leaf = {.key = "RSA:1024"}, .says = "short"},
    {"RSA-512 leaf", .leaf = {.key = "RSA:512"}},
    {"RSA-1024 intermediate", .signer = BY_INTERMEDIATE,
     .between = {.key = "RSA:1024"}, .says = "short"},
    {"MD5 leaf", .signer = BY_INTERMEDIATE, .between = {.key = "RSA:2048"},
     .leaf = {.md = "MD5"}, .says = "broken hash"},
    {"SHA-1 leaf", .leaf = {.md = "SHA1"}, .says = "broken hash"},
    {"SHA-1 intermediate", .signer = BY_INTERMEDIATE,
     .between = {.md = "SHA1"}, .says = "broken hash"},
    {"MD5 intermediate", .signer = BY_TWO, .between = {.key = "RSA:2048"},
     .below = {.md = "MD5"}, .says = "broken hash"},
    {"192-bit curve", .leaf = {.key = "P-192"}},
    {"224-bit curve", .leaf = {.key = "P-224"}},
    {"curve outside the list", .leaf = {.key = "secp256k1"}},
    /* constraints */
    {"name outside the permitted ones", .signer = BY_INTERMEDIATE,
     .between = {.names = "critical,permitted;DNS:other.test"}},
    {"name among the excluded ones", .signer = BY_INTERMEDIATE,
     .between = {.names = "critical,excluded;DNS:good.test"}},
    {"address outside the permitted ones", .host = "127.0.0.1",
     .signer = BY_INTERMEDIATE, .leaf = {.san = "IP:127.0.0.1"},
     .between = {.names = "critical,permitted;IP:10.0.0.0/255.0.0.0"}},
    {"one of two names outside", .signer = BY_INTERMEDIATE,
     .leaf = {.san = "DNS:good.test,DNS:evil.example"},
     .between = {.names = "critical,permitted;DNS:good.test"}},
    {"constraint of an unknown kind", .signer = BY_INTERMEDIATE,
     .leaf = {.san = "DNS:good.test,RID:1.2.3.4"},
     .between = {.names = "critical,permitted;RID:1.2.3.5"}},
    /* form */
    {"unknown critical extension",
     .leaf = {.critical = "1.3.6.1.4.1.32473.2"}},
    {"unknown critical extension above", .signer = BY_INTERMEDIATE,
     .between = {.critical = "1.3.6.1.4.1.32473.2"}},
    {"extension twice", .leaf = {.duplicate = DUPLICATE_KNOWN}},
    {"unknown extension twice", .leaf = {.duplicate = DUPLICATE_UNKNOWN}},
    {"negative serial number", .leaf = {.serial = -5}, .says = "serial"},
    {"serial number zero", .leaf = {.zero_serial = true}, .says = "serial"},
    {"staple demanded and missing",
     .leaf = {.feature = "status_request"}, .says = "staple"},
    /* handshakes */
    {"TLS 1.0", .tune = only_tls10, .says = "TLS 1.2"},
    {"TLS 1.1", .tune = only_tls11, .says = "TLS 1.2"},
    {"anonymous suites", .tune = only_anonymous},
    {"suites without encryption", .tune = only_null},
    {"static RSA key exchange", .leaf = {.key = "RSA:2048"},
     .tune = only_static_rsa},
    {"CBC with SHA-1", .tune = only_cbc},
    {"1024-bit Diffie-Hellman", .leaf = {.key = "RSA:2048"},
     .tune = only_small_dh, .says = "dh key too small"},
    {"handshake signed with SHA-1", .tune = sha1_signature},
    {"224-bit key exchange", .tune = weak_group},
    /* the good ones */
    {"good", .good = true},
    {"good over TLS 1.2", .tune = good_tls12, .good = true},
    {"good RSA-2048", .leaf = {.key = "RSA:2048"}, .good = true},
    {"good RSA-2048 over TLS 1.2", .leaf = {.key = "RSA:2048"},
     .tune = good_tls12, .good = true},
    {"good P-384", .leaf = {.key = "P-384", .md = "SHA384"}, .good = true},
    {"good Ed25519", .leaf = {.key = "ED25519"}, .good = true},
    {"good wildcard", .host = "a.many.test",
     .leaf = {.san = "DNS:*.many.test"}, .good = true},
    {"good name in another case", .leaf = {.san = "DNS:GOOD.Test"},
     .good = true},
    {"good address", .host = "127.0.0.1",
     .leaf = {.san = "IP:127.0.0.1"}, .good = true},
    {"good intermediate", .signer = BY_INTERMEDIATE, .good = true},
    {"good two intermediates", .signer = BY_TWO,
     .between = {.basic = "critical,CA:TRUE,pathlen:1"}, .good = true},
    {"good constraints", .signer = BY_INTERMEDIATE,
     .between = {.names = "critical,permitted;DNS:good.test"}, .good = true},
    {"good without key identifiers", .leaf = {.skid = "", .akid = ""},
     .good = true},
    {"good without key usage", .leaf = {.usage = ""}, .good = true},
    {"good without extended usage", .leaf = {.eku = ""}, .good = true},
};
/* clang-format on */

static void
answer(Session *session, void *data)
{
  size_t len;

  (void)data;
  if (session_request(session, &len) != NULL)
    session_print(session, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void
check(Fixture *fixture, const Case *c, Server *server)
{
  g_autoptr(Call) call = call_run(
      fixture, server_port(server), &(Ask){.host = c->host, .method = "POST"});
  const char *host = c->host != NULL ? c->host : "good.test";

  if (c->good) {
    g_assert_no_error(call->error);
    g_assert_cmpint(call->status, ==, 200);
    g_assert_cmpint(server_requests(server), ==, 1);
    return;
  }
  assert_error(call, UPSTREAM_ERROR_TLS);
  g_test_message("%s", call->error->message);
  g_assert_nonnull(strstr(call->error->message, host));
  if (c->says != NULL)
    g_assert_nonnull(strstr(call->error->message, c->says));
  g_assert_null(strstr(call->error->message, "error:"));
  g_assert_cmpint(call->heads, ==, 0);
  g_assert_cmpint(server_requests(server), ==, 0);
}

static void
test_case(const void *data)
{
  const Case *c = data;
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Cert) stranger = NULL;
  g_autoptr(Cert) between = NULL;
  g_autoptr(Cert) below = NULL;
  g_autoptr(Cert) leaf = NULL;
  g_autoptr(Server) server = NULL;
  CertSpec leaf_spec = c->leaf;
  CertSpec between_spec = c->between;
  CertSpec below_spec = c->below;

  leaf_spec.issuer = fixture->ca;
  if (c->signer == BY_ITSELF)
    leaf_spec.issuer = NULL;
  if (c->signer == BY_STRANGER)
    leaf_spec.issuer = stranger =
        cert_new(&(CertSpec){.cn = "Stranger", .ca = true});
  if (c->signer >= BY_INTERMEDIATE) {
    between_spec.cn = "Between";
    between_spec.ca = true;
    between_spec.issuer = fixture->ca;
    leaf_spec.issuer = between = cert_new(&between_spec);
  }
  if (c->signer == BY_TWO) {
    below_spec.cn = "Below";
    below_spec.ca = true;
    below_spec.issuer = between;
    leaf_spec.issuer = below = cert_new(&below_spec);
  }
  leaf = cert_new(&leaf_spec);
  server = server_new(
      &(ServerSpec){.leaf = leaf,
                    .chain = c->signer == BY_MISSING ? NULL : between,
                    .chain2 = below,
                    .run = answer,
                    .tune = c->tune});
  check(fixture, c, server);
}

/* ---- stapled revocation ---------------------------------------------------
 */

typedef struct {
  const char *name;
  int status;       /* V_OCSP_CERTSTATUS_* */
  long from, to;    /* s from now */
  bool by_stranger; /* signed by somebody else */
  bool must_staple;
  bool good;
} StapleCase;

static const StapleCase staples[] = {
    {"revoked", V_OCSP_CERTSTATUS_REVOKED, -60, 3600, false, false, false},
    {"revoked, must staple",
     V_OCSP_CERTSTATUS_REVOKED,
     -60,
     3600,
     false,
     true,
     false},
    {"unknown, must staple",
     V_OCSP_CERTSTATUS_UNKNOWN,
     -60,
     3600,
     false,
     true,
     false},
    {"outdated, must staple",
     V_OCSP_CERTSTATUS_GOOD,
     -7200,
     -3600,
     false,
     true,
     false},
    {"by a stranger, must staple",
     V_OCSP_CERTSTATUS_GOOD,
     -60,
     3600,
     true,
     true,
     false},
    {"good", V_OCSP_CERTSTATUS_GOOD, -60, 3600, false, true, true},
    {"revoked by a stranger",
     V_OCSP_CERTSTATUS_REVOKED,
     -60,
     3600,
     true,
     false,
     true},
};

typedef struct {
  uint8_t *der;
  int len;
} Staple;

static int
send_staple(SSL *ssl, void *data)
{
  const Staple *staple = data;

  SSL_set_tlsext_status_ocsp_resp(
      ssl, OPENSSL_memdup(staple->der, (size_t)staple->len), staple->len);
  return SSL_TLSEXT_ERR_OK;
}

static void
tune_staple(SSL_CTX *ctx, void *data)
{
  SSL_CTX_set_tlsext_status_cb(ctx, send_staple);
  SSL_CTX_set_tlsext_status_arg(ctx, data);
}

static void
make_staple(Staple *staple,
            const StapleCase *c,
            const Cert *leaf,
            const Cert *issuer,
            const Cert *signer)
{
  OCSP_BASICRESP *answer = OCSP_BASICRESP_new();
  OCSP_CERTID *id = OCSP_cert_to_id(NULL, leaf->x509, issuer->x509);
  ASN1_TIME *from = X509_gmtime_adj(NULL, c->from);
  ASN1_TIME *to = X509_gmtime_adj(NULL, c->to);
  ASN1_GENERALIZEDTIME *from_long = ASN1_TIME_to_generalizedtime(from, NULL);
  ASN1_GENERALIZEDTIME *to_long = ASN1_TIME_to_generalizedtime(to, NULL);
  OCSP_RESPONSE *response;

  OCSP_basic_add1_status(answer,
                         id,
                         c->status,
                         OCSP_REVOKED_STATUS_KEYCOMPROMISE,
                         c->status == V_OCSP_CERTSTATUS_REVOKED ? from : NULL,
                         from_long,
                         to_long);
  g_assert_cmpint(
      OCSP_basic_sign(answer, signer->x509, signer->key, EVP_sha256(), NULL, 0),
      ==,
      1);
  response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, answer);
  staple->der = NULL;
  staple->len = i2d_OCSP_RESPONSE(response, &staple->der);
  OCSP_RESPONSE_free(response);
  OCSP_BASICRESP_free(answer);
  OCSP_CERTID_free(id);
  ASN1_TIME_free(from);
  ASN1_TIME_free(to);
  ASN1_GENERALIZEDTIME_free(from_long);
  ASN1_GENERALIZEDTIME_free(to_long);
}

static void
test_staple(const void *data)
{
  const StapleCase *c = data;
  Case outcome = {.good = c->good, .says = "revoked"};
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Cert) stranger = cert_new(&(CertSpec){.cn = "S", .ca = true});
  g_autoptr(Cert) leaf = cert_new(
      &(CertSpec){.issuer = fixture->ca,
                  .feature = c->must_staple ? "status_request" : NULL});
  g_autoptr(Server) server = NULL;
  Staple staple;

  make_staple(
      &staple, c, leaf, fixture->ca, c->by_stranger ? stranger : fixture->ca);
  server = server_new(&(ServerSpec){
      .leaf = leaf, .run = answer, .tune = tune_staple, .data = &staple});
  check(fixture, &outcome, server);
  g_clear_pointer(&server, server_free);
  OPENSSL_free(staple.der);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path =
        g_strconcat("/upstream/certificate/", cases[i].name, NULL);

    g_test_add_data_func(path, &cases[i], test_case);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(staples); i++) {
    g_autofree char *path =
        g_strconcat("/upstream/staple/", staples[i].name, NULL);

    g_test_add_data_func(path, &staples[i], test_staple);
  }
  return g_test_run();
}
