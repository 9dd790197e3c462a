/* SPDX-License-Identifier: Apache-2.0 */
/* Files of authorities for clients: some add one to what they trust, others
 * replace all by one file. */
#include "cli/settings.h"
#include "conn/conn.h"
#include "kit/file.h"
#include <string.h>

/* Today's bundles are a quarter of this. */
#define MAX_BUNDLE ((size_t)4 * 1024 * 1024)
#define BUNDLE "ca-bundle.pem"
#define EXTRA "ca-extra.pem"

const char *
trust_system_bundle(void)
{
  static const char *const places[] = {
      "/etc/ssl/certs/ca-certificates.crt", /* Debian, Arch, Gentoo */
      "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
      "/etc/ssl/ca-bundle.pem",             /* openSUSE */
      "/etc/ssl/cert.pem",                  /* Alpine */
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(places); i++)
    if (g_file_test(places[i], G_FILE_TEST_IS_REGULAR))
      return places[i];
  return NULL;
}

Ca *
cli_ca(const Config *config, GError **error)
{
  g_auto(GStrv) hosts = conn_hosts(config, NULL, error);

  return hosts ? ca_load_or_create(config->state_dir,
                                   config->data_dir,
                                   (const char *const *)hosts,
                                   error)
               : NULL;
}

/* `base`'s certificates and ours in one file; base NULL: ours alone. */
static bool
join(const char *path, const char *base, Ca *ca, GError **error)
{
  g_autoptr(GBytes) others = NULL;
  g_autoptr(GBytes) ours = ca_pem(ca);
  g_autoptr(GString) all = g_string_new(NULL);

  if (base) {
    others = file_read(base, MAX_BUNDLE, error);
    if (!others)
      return false;
    g_string_append_len(
        all, g_bytes_get_data(others, NULL), (gssize)g_bytes_get_size(others));
    if (all->len && all->str[all->len - 1] != '\n')
      g_string_append_c(all, '\n');
  }
  g_string_append_len(
      all, g_bytes_get_data(ours, NULL), (gssize)g_bytes_get_size(ours));
  return file_replace(path, all->str, all->len, 0644, error);
}

/* A file that somebody named for a reason (a company's authority) goes on to
 * be trusted. */
static const char *
named_already(const char *variable, const Config *config)
{
  const char *path = g_getenv(variable);

  if (!path || !*path || g_str_has_prefix(path, config->data_dir) ||
      !g_file_test(path, G_FILE_TEST_IS_REGULAR))
    return NULL;
  return path;
}

bool
trust_write(const Config *config, Ca *ca, char **extra, GError **error)
{
  g_autofree char *bundle = g_build_filename(config->data_dir, BUNDLE, NULL);
  g_autofree char *joined = g_build_filename(config->data_dir, EXTRA, NULL);
  const char *before = named_already("NODE_EXTRA_CA_CERTS", config);
  const char *base = named_already("SSL_CERT_FILE", config);

  if (!join(bundle, base ? base : trust_system_bundle(), ca, error) ||
      (before && !join(joined, before, ca, error)))
    return false;
  *extra = g_strdup(before ? joined : ca_path(ca));
  return true;
}
