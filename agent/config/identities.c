/* SPDX-License-Identifier: Apache-2.0 */
/* The providers that people sign in through: made with their defaults, and
 * checked when all layers are read. */
#include "config/identities.h"
#include "config/keys.h"
#include <string.h>

static void
identity_free(void *data)
{
  ConfigIdentity *identity = data;

  g_free(identity->name);
  g_free(identity->set);
  g_free(identity->issuer);
  g_free(identity->client_id);
  g_free(identity->client_secret_file);
  g_free(identity->scopes);
  g_free(identity->audience);
  g_free(identity->groups_claim);
  g_free(identity->groups_separator);
  g_free(identity->groups_prefix);
  g_free(identity->ca_file);
  g_free(identity);
}

GPtrArray *
identities_new(void)
{
  return g_ptr_array_new_with_free_func(identity_free);
}

static ConfigIdentity *
find(const Config *config, const char *name)
{
  ConfigIdentity *identity;

  for (unsigned i = 0; i < config->identities->len; i++) {
    identity = config->identities->pdata[i];
    if (g_str_equal(identity->name, name))
      return identity;
  }
  return NULL;
}

ConfigIdentity *
identities_enter(Config *config,
                 const char *name,
                 const char *file,
                 unsigned line)
{
  ConfigIdentity *identity = find(config, name);
  unsigned n;
  const KeyRow *rows = key_rows(&n);

  if (identity)
    return identity;
  identity = g_new0(ConfigIdentity, 1);
  identity->name = g_strdup(name);
  identity->set = g_strdup_printf("%s:%u", file, line);
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *why = NULL;

    if (g_str_equal(rows[i].key.group, "identity") &&
        !key_set(&rows[i], rows[i].key.fallback, identity, &why))
      g_error("default of %s: %s", rows[i].key.key, why);
  }
  g_ptr_array_add(config->identities, identity);
  return identity;
}

static bool
is_loopback(const char *host)
{
  return g_str_equal(host, "127.0.0.1") || g_str_equal(host, "::1") ||
         g_ascii_strcasecmp(host, "localhost") == 0;
}

/* OpenID Connect Discovery 1.0, section 3: https, no query or fragment. */
static bool
is_issuer(const char *text)
{
  g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_NONE, NULL);
  const char *host = uri ? g_uri_get_host(uri) : NULL;

  return host && *host && !g_uri_get_userinfo(uri) && !g_uri_get_query(uri) &&
         !g_uri_get_fragment(uri) &&
         (g_str_equal(g_uri_get_scheme(uri), "https") ||
          (g_str_equal(g_uri_get_scheme(uri), "http") && is_loopback(host)));
}

static const ConfigIdentity *
same_provider(const Config *config, unsigned before, const char *issuer)
{
  const ConfigIdentity *identity;

  for (unsigned i = 0; i < before; i++) {
    identity = config->identities->pdata[i];
    if (g_str_equal(identity->issuer, issuer))
      return identity;
  }
  return NULL;
}

/* What is wrong with this one, a phrase to free; or NULL. */
static char *
fault(const Config *config, unsigned index)
{
  const ConfigIdentity *identity = config->identities->pdata[index];
  const ConfigIdentity *other;

  if (!identity->issuer)
    return g_strdup("needs issuer=, the provider's URL");
  if (!is_issuer(identity->issuer))
    return g_strdup_printf("issuer=%s: takes https://HOST with a path perhaps, "
                           "and no query",
                           identity->issuer);
  if (!identity->client_id)
    return g_strdup("needs client-id=, what the provider calls hoop-agent");
  if (!identity->scopes)
    return g_strdup("needs scopes=, with openid among them");
  if (g_strcmp0(identity->groups_claim, "none") == 0 &&
      (identity->groups_separator || identity->groups_prefix))
    return g_strdup_printf("has groups-claim=none, so groups-%s= is of no use: "
                           "take one of both out",
                           identity->groups_prefix ? "prefix" : "separator");
  other = same_provider(config, index, identity->issuer);
  if (other)
    return g_strdup_printf("has the issuer of [identity \"%s\"]", other->name);
  return NULL;
}

bool
identities_check(const Config *config, GError **error)
{
  for (unsigned i = 0; i < config->identities->len; i++) {
    const ConfigIdentity *identity = config->identities->pdata[i];
    g_autofree char *why = fault(config, i);

    if (!why)
      continue;
    g_set_error(error,
                CONFIG_ERROR,
                CONFIG_ERROR_VALUE,
                "%s: [identity \"%s\"] %s",
                identity->set,
                identity->name,
                why);
    return false;
  }
  for (unsigned i = 0; i < config->connections->len; i++) {
    const ConfigConnection *connection = config->connections->pdata[i];

    if (!connection->issuer || find(config, connection->issuer))
      continue;
    g_set_error(error,
                CONFIG_ERROR,
                CONFIG_ERROR_VALUE,
                "%s: issuer=%s: there is no [identity \"%s\"]",
                connection->issuer_set,
                connection->issuer,
                connection->issuer);
    return false;
  }
  if (!config->ship_issuer || find(config, config->ship_issuer))
    return true;
  g_set_error(error,
              CONFIG_ERROR,
              CONFIG_ERROR_VALUE,
              "%s: issuer=%s: there is no [identity \"%s\"]",
              config->ship_issuer_set,
              config->ship_issuer,
              config->ship_issuer);
  return false;
}
