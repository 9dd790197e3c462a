/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for clients of other protocols than HTTP, with the trust and strength
 * that this room's own connections have. */
#include "upstream/anchors.h"
#include "upstream/target.h"
#include "upstream/tls.h"
#include "upstream/upstream.h"

struct upstream_tls {
  Anchors *anchors;
};

UpstreamTls *
upstream_tls_new(const char *ca_file, GError **error)
{
  Anchors *anchors = anchors_new(ca_file, error);
  UpstreamTls *tls;

  if (!anchors)
    return NULL;
  tls = g_new0(UpstreamTls, 1);
  tls->anchors = anchors;
  return tls;
}

void
upstream_tls_free(UpstreamTls *tls)
{
  if (!tls)
    return;
  anchors_free(tls->anchors);
  g_free(tls);
}

SSL_CTX *
upstream_tls_context(UpstreamTls *tls, const char *host, GError **error)
{
  bool ip = false;
  g_autofree char *name = host_normalize(host, -1, &ip);
  SSL_CTX *ctx;

  if (!name) {
    g_set_error(error,
                UPSTREAM_ERROR,
                UPSTREAM_ERROR_PROTOCOL,
                "%s is neither a name nor an address",
                host);
    return NULL;
  }
  ctx = SSL_CTX_new(TLS_client_method());
  if (ctx && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
      SSL_CTX_set_cipher_list(ctx, TLS_CIPHERS) == 1 &&
      SSL_CTX_set1_groups_list(ctx, TLS_GROUPS) == 1 &&
      tls_prepare(ctx, anchors_store(tls->anchors), name, ip))
    return ctx;
  SSL_CTX_free(ctx);
  g_set_error_literal(
      error, UPSTREAM_ERROR, UPSTREAM_ERROR_TLS, "OpenSSL did not start");
  return NULL;
}
