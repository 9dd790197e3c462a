/* SPDX-License-Identifier: Apache-2.0 */
/* Leaf certificates, minted for the names that clients ask for and kept for a
 * day; and the TLS settings of the agent's own side. */
#include "front/private.h"
#include "kit/clock.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

/* A week is far beyond the day that one is used for. */
#define LEAF_DAYS 7
#define USED_US (24LL * 60 * 60 * G_USEC_PER_SEC)
#define BACKDATE_S (5 * 60)
/* A developer's clients use about ten hosts. */
#define MAX_LEAVES 64

typedef struct {
  char *name;
  SSL_CTX *context;
  int64_t made_us; /* wall clock: it goes on while the machine sleeps */
  GList link;
} Leaf;

struct leaves {
  Ca *ca;
  EVP_PKEY *key; /* of all leaves: they live and die together */
  GHashTable *by_name;
  GQueue order; /* longest unused first */
};

static void
leaf_free(void *data)
{
  Leaf *leaf = data;

  SSL_CTX_free(leaf->context);
  g_free(leaf->name);
  g_free(leaf);
}

static bool
fail(GError **error, const char *name)
{
  unsigned long code = ERR_get_error();

  g_set_error(error,
              FRONT_ERROR,
              FRONT_ERROR_CA,
              "no leaf certificate for %s can be made%s%s",
              name,
              code ? ": " : "",
              code ? ERR_reason_error_string(code) : "");
  ERR_clear_error();
  return false;
}

static bool
is_address(const char *name)
{
  uint8_t bytes[16];

  return inet_pton(AF_INET, name, bytes) == 1 ||
         inet_pton(AF_INET6, name, bytes) == 1;
}

static bool
add_extension(X509 *cert, int nid, const char *value)
{
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
  bool added = extension && X509_add_ext(cert, extension, -1) == 1;

  X509_EXTENSION_free(extension);
  return added;
}

/* Built without the configuration language: names come from clients. */
static bool
add_name(X509 *cert, const char *name)
{
  GENERAL_NAMES *names = GENERAL_NAMES_new();
  GENERAL_NAME *one = GENERAL_NAME_new();
  bool added;

  if (is_address(name)) {
    GENERAL_NAME_set0_value(one, GEN_IPADD, a2i_IPADDRESS(name));
  } else {
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    ASN1_STRING_set(text, name, (int)strlen(name));
    GENERAL_NAME_set0_value(one, GEN_DNS, text);
  }
  sk_GENERAL_NAME_push(names, one);
  added = X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 1, 0) == 1;
  GENERAL_NAMES_free(names);
  return added;
}

static X509 *
mint(Leaves *leaves, const char *name, GError **error)
{
  X509 *cert = X509_new();

  /* An empty subject with a critical subjectAltName: RFC 5280, 4.1.2.6. */
  if (X509_set_version(cert, X509_VERSION_3) &&
      X509_gmtime_adj(X509_getm_notBefore(cert), -BACKDATE_S) &&
      X509_gmtime_adj(X509_getm_notAfter(cert), LEAF_DAYS * 24L * 60 * 60) &&
      X509_set_pubkey(cert, leaves->key) &&
      add_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(cert, NID_key_usage, "critical,digitalSignature") &&
      add_extension(cert, NID_ext_key_usage, "serverAuth") &&
      add_name(cert, name) && ca_sign(leaves->ca, cert, error))
    return cert;
  X509_free(cert);
  if (!error || !*error)
    fail(error, name);
  return NULL;
}

/* HTTP/1.1 is what is inspected; every client measured takes it. */
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
  if (SSL_select_next_proto((unsigned char **)(void *)out,
                            out_len,
                            ours,
                            sizeof ours - 1,
                            in,
                            in_len) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  return SSL_TLSEXT_ERR_OK;
}

static Leaf *leaf_for(Leaves *leaves, const char *name, GError **error);

/* The client names the host in its hello: its leaf answers, where the CA may
 * vouch for that name. */
static int
choose_leaf(SSL *ssl, int *alert, void *data)
{
  const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  Leaves *leaves = data;
  g_autofree char *lower = NULL;
  Leaf *leaf;

  if (!name)
    return SSL_TLSEXT_ERR_OK; /* the fallback that the connection began with */
  lower = g_ascii_strdown(name, -1);
  leaf = leaf_for(leaves, lower, NULL);
  if (!leaf) {
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  SSL_set_SSL_CTX(ssl, leaf->context);
  return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *
make_context(Leaves *leaves, const char *name, GError **error)
{
  static const unsigned char session_id[] = "hoop-agent";
  X509 *cert = mint(leaves, name, error);
  SSL_CTX *context;

  if (!cert)
    return NULL;
  context = SSL_CTX_new(TLS_server_method());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_security_level(context, 2);
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                          SSL_OP_CIPHER_SERVER_PREFERENCE |
                          SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_id_context(context, session_id, sizeof session_id - 1);
  /* Tickets alone: the client keeps them, not we. */
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
  SSL_CTX_set_tlsext_servername_callback(context, choose_leaf);
  SSL_CTX_set_tlsext_servername_arg(context, leaves);
  if (SSL_CTX_use_certificate(context, cert) != 1 ||
      SSL_CTX_use_PrivateKey(context, leaves->key) != 1) {
    fail(error, name);
    SSL_CTX_free(context);
    context = NULL;
  }
  X509_free(cert);
  return context;
}

static void
drop(Leaves *leaves, Leaf *leaf)
{
  g_queue_unlink(&leaves->order, &leaf->link);
  g_hash_table_remove(leaves->by_name, leaf->name);
}

/* A clock that was set back has made it a certificate of the future. */
static bool
is_fresh(const Leaf *leaf)
{
  int64_t age_us = clock_wall_us() - leaf->made_us;

  return age_us >= 0 && age_us < USED_US;
}

static Leaf *
leaf_for(Leaves *leaves, const char *name, GError **error)
{
  Leaf *leaf = g_hash_table_lookup(leaves->by_name, name);
  SSL_CTX *context;

  if (leaf && is_fresh(leaf)) {
    g_queue_unlink(&leaves->order, &leaf->link);
    g_queue_push_tail_link(&leaves->order, &leaf->link);
    return leaf;
  }
  if (!ca_covers(leaves->ca, name)) {
    g_set_error(error,
                FRONT_ERROR,
                FRONT_ERROR_NAME,
                "the agent's CA does not cover %s; after a change of "
                "connections run `hoop-agent ca rotate`",
                name);
    return NULL;
  }
  context = make_context(leaves, name, error);
  if (!context)
    return NULL;
  if (leaf)
    drop(leaves, leaf);
  else if (g_hash_table_size(leaves->by_name) >= MAX_LEAVES)
    drop(leaves, leaves->order.head->data);
  leaf = g_new0(Leaf, 1);
  leaf->name = g_strdup(name);
  leaf->context = context;
  leaf->made_us = clock_wall_us();
  leaf->link.data = leaf;
  g_queue_push_tail_link(&leaves->order, &leaf->link);
  g_hash_table_insert(leaves->by_name, leaf->name, leaf);
  return leaf;
}

Leaves *
leaves_new(Ca *ca, GError **error)
{
  Leaves *leaves = g_new0(Leaves, 1);

  leaves->ca = ca;
  leaves->by_name =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, leaf_free);
  g_queue_init(&leaves->order);
  leaves->key = EVP_EC_gen("P-256");
  if (leaves->key)
    return leaves;
  fail(error, "any name");
  leaves_free(leaves);
  return NULL;
}

void
leaves_free(Leaves *leaves)
{
  if (!leaves)
    return;
  g_hash_table_unref(leaves->by_name);
  EVP_PKEY_free(leaves->key);
  g_free(leaves);
}

SSL_CTX *
leaves_context(Leaves *leaves, const char *fallback, GError **error)
{
  Leaf *leaf = leaf_for(leaves, fallback, error);

  return leaf ? leaf->context : NULL;
}
