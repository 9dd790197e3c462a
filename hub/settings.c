/* SPDX-License-Identifier: Apache-2.0 */
/* Reads hoop-hub.conf; what it does not know is an error, never ignored. */
#include "hub/settings.h"
#include "hub/store/db.h"
#include <string.h>

#define MAX_PORT 65535
#define DEFAULT_STATE "/var/lib/hoop-hub"

G_DEFINE_QUARK(hoop_hub_error, hub_error)

typedef enum { TEXT, LIST, NUMBER, SIZE, PORT } Kind;

typedef struct {
  const char *group, *key, *fallback; /* fallback NULL: none */
  Kind kind;
  size_t offset;
  uint64_t least, most;
} Row;

#define KEY(group, key, fallback, kind, field, least, most)                    \
  {                                                                            \
    group, key, fallback, kind, G_STRUCT_OFFSET(HubConfig, field), least, most \
  }
#define REVIEWERS_KEY(key, fallback, kind, field, least, most)                 \
  {                                                                            \
    "reviewers", key, fallback, kind, G_STRUCT_OFFSET(HubReviewers, field),    \
        least, most                                                            \
  }
#define IDENTITY_KEY(key, fallback, field)                                     \
  {                                                                            \
    "identity", key, fallback, TEXT, G_STRUCT_OFFSET(HubIssuer, field), 0, 0   \
  }

static const Row rows[] = {
    KEY("hub", "address", "127.0.0.1", TEXT, address, 0, 0),
    KEY("hub", "port", "8790", PORT, port, 0, MAX_PORT),
    KEY("hub", "certificate", NULL, TEXT, certificate, 0, 0),
    KEY("hub", "key", NULL, TEXT, key, 0, 0),
    KEY("hub", "state-dir", DEFAULT_STATE, TEXT, state_dir, 0, 0),
    KEY("hub", "store", NULL, TEXT, store, 0, 0),
    KEY("hub", "store-password-file", NULL, TEXT, store_password_file, 0, 0),
    KEY("hub", "audience", NULL, TEXT, audience, 0, 0),
    KEY("hub", "metrics-token-file", NULL, TEXT, metrics_token_file, 0, 0),
    KEY("hub", "vault-key-file", NULL, TEXT, vault_key_file, 0, 0),
    KEY("limits", "max-body", "4M", SIZE, max_body, 1024, 64 << 20),
    KEY("limits", "max-header", "16K", SIZE, max_header, 4096, 1 << 20),
    KEY("limits", "connections", "6000", NUMBER, connections, 1, 100000),
    KEY("limits", "rate", "300", NUMBER, rate, 1, 1000000),
    KEY("limits", "max-pending", "32", NUMBER, max_pending, 1, 100000),
    KEY("limits", "retain-days", "30", NUMBER, retain_days, 1, 36500),
    KEY("page", "url", NULL, TEXT, page_url, 0, 0),
    KEY("page", "idle", "14400", NUMBER, page_idle, 60, 604800),
    KEY("page", "lifetime", "43200", NUMBER, page_lifetime, 60, 604800),
    KEY("page", "hsts", "0", NUMBER, page_hsts, 0, 63072000),
    KEY("webhook", "url-file", NULL, TEXT, webhook_url_file, 0, 0),
    KEY("webhook", "ca-file", NULL, TEXT, webhook_ca_file, 0, 0),
    KEY("roles", "requester", "*", LIST, requester, 0, 0),
    KEY("roles", "auditor", "", LIST, auditor, 0, 0),
    KEY("roles", "admin", "", LIST, admin, 0, 0),
    KEY("roles", "sender", "", LIST, sender, 0, 0),
    KEY("audit", "retain-days", "365", NUMBER, audit_retain_days, 1, 36500),
    REVIEWERS_KEY("groups", NULL, LIST, groups, 0, 0),
    REVIEWERS_KEY("escalation", NULL, TEXT, escalation, 0, 0),
    REVIEWERS_KEY("escalate-after", "60", NUMBER, escalate_after, 1, 86400),
    IDENTITY_KEY("issuer", NULL, issuer),
    IDENTITY_KEY("groups-claim", "groups", groups_claim),
    IDENTITY_KEY("groups-separator", NULL, groups_separator),
    IDENTITY_KEY("groups-prefix", NULL, groups_prefix),
    IDENTITY_KEY("ca-file", NULL, ca_file),
    IDENTITY_KEY("client-id", NULL, client_id),
    IDENTITY_KEY("client-secret-file", NULL, client_secret_file),
    IDENTITY_KEY("scopes", "openid profile email offline_access", scopes),
};

static bool
refuse(const HubConfig *config,
       GError **error,
       const char *group,
       const char *key,
       const char *why)
{
  g_set_error(error,
              HUB_ERROR,
              HUB_ERROR_CONFIG,
              "%s: [%s] %s%s%s",
              config->path,
              group,
              key ? key : "",
              key ? ": " : "",
              why);
  return false;
}

/* ---- values ---------------------------------------------------------------
 */

static char **
split(const char *text)
{
  g_auto(GStrv) parts = g_strsplit(text, ";", -1);
  g_autoptr(GStrvBuilder) kept = g_strv_builder_new();

  for (unsigned i = 0; parts[i]; i++)
    if (*g_strstrip(parts[i]))
      g_strv_builder_add(kept, parts[i]);
  return g_strv_builder_end(kept);
}

/* Digits, for sizes with K or M behind them. */
static bool
read_number(const char *text, Kind kind, uint64_t *out)
{
  const size_t len = strlen(text);
  uint64_t unit = 1;
  g_autofree char *digits = NULL;

  if (kind == SIZE && len > 0 && text[len - 1] == 'K')
    unit = 1024;
  else if (kind == SIZE && len > 0 && text[len - 1] == 'M')
    unit = 1024 * 1024;
  digits = g_strndup(text, unit == 1 ? len : len - 1);
  if (!g_ascii_string_to_unsigned(digits, 10, 0, UINT32_MAX, out, NULL))
    return false;
  *out *= unit;
  return true;
}

/* NULL: the value was taken. */
static const char *
set_value(const Row *row, const char *text, void *object)
{
  void *field = (char *)object + row->offset;
  uint64_t number;

  if (row->kind == TEXT || row->kind == LIST) {
    if (row->kind == TEXT) {
      char **where = field;

      g_free(*where);
      *where = *text ? g_strdup(text) : NULL;
    } else {
      char ***where = field;

      g_strfreev(*where);
      *where = split(text);
    }
    return NULL;
  }
  if (!read_number(text, row->kind, &number))
    return "is no number";
  if (number < row->least || number > row->most)
    return "is out of range";
  if (row->kind == PORT)
    *(uint16_t *)field = (uint16_t)number;
  else if (row->kind == SIZE)
    *(size_t *)field = (size_t)number;
  else
    *(unsigned *)field = (unsigned)number;
  return NULL;
}

static void
set_defaults(const char *group, void *object)
{
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    if (rows[i].fallback &&
        (group ? g_str_equal(rows[i].group, group)
               : !g_str_equal(rows[i].group, "reviewers") &&
                     !g_str_equal(rows[i].group, "identity")))
      set_value(&rows[i], rows[i].fallback, object);
}

/* ---- objects --------------------------------------------------------------
 */

static void
reviewers_free(void *data)
{
  HubReviewers *reviewers = data;

  g_free(reviewers->name);
  g_strfreev(reviewers->groups);
  g_free(reviewers->escalation);
  g_free(reviewers);
}

static void
issuer_free(void *data)
{
  HubIssuer *issuer = data;

  g_free(issuer->name);
  g_free(issuer->issuer);
  g_free(issuer->groups_claim);
  g_free(issuer->groups_separator);
  g_free(issuer->groups_prefix);
  g_free(issuer->ca_file);
  g_free(issuer->client_id);
  g_free(issuer->client_secret_file);
  g_free(issuer->scopes);
  g_free(issuer);
}

void
hub_config_free(HubConfig *config)
{
  if (!config)
    return;
  g_free(config->path);
  g_free(config->address);
  g_free(config->certificate);
  g_free(config->key);
  g_free(config->state_dir);
  g_free(config->store);
  g_free(config->store_password_file);
  g_free(config->audience);
  g_free(config->metrics_token_file);
  g_free(config->vault_key_file);
  g_free(config->page_url);
  g_free(config->webhook_url_file);
  g_free(config->webhook_ca_file);
  g_strfreev(config->requester);
  g_strfreev(config->auditor);
  g_strfreev(config->admin);
  g_strfreev(config->sender);
  g_ptr_array_unref(config->reviewers);
  g_ptr_array_unref(config->issuers);
  g_free(config);
}

/* The object that a group speaks of, and the rows' name of it; NULL: no group
 * is called so. */
static void *
object_of(HubConfig *config, const char *group, const char **plain)
{
  static const char *const named[] = {"reviewers", "identity"};

  for (size_t i = 0; i < G_N_ELEMENTS(named); i++) {
    const size_t len = strlen(named[i]);
    const size_t whole = strlen(group);
    char **object;

    if (!g_str_has_prefix(group, named[i]) || whole < len + 4 ||
        group[len] != ' ' || group[len + 1] != '"' || group[whole - 1] != '"')
      continue;
    *plain = named[i];
    object = i == 0 ? (char **)g_new0(HubReviewers, 1)
                    : (char **)g_new0(HubIssuer, 1);
    /* `name` is the first member of both. */
    *object = g_strndup(group + len + 2, whole - len - 3);
    g_ptr_array_add(i == 0 ? config->reviewers : config->issuers, object);
    set_defaults(named[i], object);
    return object;
  }
  *plain = group;
  return g_str_equal(group, "hub") || g_str_equal(group, "limits") ||
                 g_str_equal(group, "roles") || g_str_equal(group, "audit") ||
                 g_str_equal(group, "page") || g_str_equal(group, "webhook")
             ? config
             : NULL;
}

static bool
read_group(HubConfig *config, GKeyFile *file, const char *group, GError **error)
{
  const char *plain;
  void *object = object_of(config, group, &plain);
  g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, NULL);

  if (!object)
    return refuse(config, error, group, NULL, "no such group is known");
  for (unsigned i = 0; keys[i]; i++) {
    g_autofree char *text = g_key_file_get_string(file, group, keys[i], NULL);
    const char *why = "no such key is known";

    for (size_t j = 0; text && j < G_N_ELEMENTS(rows); j++)
      if (g_str_equal(rows[j].group, plain) &&
          g_str_equal(rows[j].key, keys[i]))
        why = set_value(&rows[j], text, object);
    if (why)
      return refuse(config, error, group, keys[i], why);
  }
  return true;
}

/* ---- the whole ------------------------------------------------------------
 */

static bool
check_reviewers(const HubConfig *config, GError **error)
{
  for (guint i = 0; i < config->reviewers->len; i++) {
    const HubReviewers *one = config->reviewers->pdata[i];

    if (!one->groups || !one->groups[0])
      return refuse(config, error, "reviewers", one->name, "groups is missing");
    if (one->escalation && !hub_config_reviewers(config, one->escalation))
      return refuse(config,
                    error,
                    "reviewers",
                    one->name,
                    "escalation names no [reviewers] section");
  }
  return true;
}

/* https, a host, perhaps a port: what links and the redirect are made of. */
static bool
is_origin(const char *url)
{
  const char *host = url + strlen("https://");

  return g_str_has_prefix(url, "https://") && *host &&
         !g_str_has_suffix(url, ":443") &&
         strspn(host,
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                "0123456789.-:[]") == strlen(host);
}

static bool
check_page(const HubConfig *config, GError **error)
{
  bool signs_in = false;

  for (guint i = 0; i < config->issuers->len; i++) {
    const HubIssuer *one = config->issuers->pdata[i];

    if (one->client_secret_file && !one->client_id)
      return refuse(
          config, error, "identity", one->name, "client-id is missing");
    signs_in = signs_in || one->client_id;
  }
  if (config->page_url && !is_origin(config->page_url))
    return refuse(config,
                  error,
                  "page",
                  "url",
                  "must be https://, the name that people open, and its port "
                  "where it is not 443");
  if (config->page_url && !signs_in)
    return refuse(config,
                  error,
                  "page",
                  "url",
                  "nobody can sign in: no [identity] has a client-id");
  if (signs_in && !config->page_url)
    return refuse(config, error, "page", "url", "goes together with client-id");
  if (config->webhook_url_file && !config->page_url)
    return refuse(config,
                  error,
                  "webhook",
                  "url-file",
                  "needs the page that it links to");
  return true;
}

static bool
check(HubConfig *config, GError **error)
{
  if (!config->audience)
    return refuse(config,
                  error,
                  "hub",
                  "audience",
                  "must be what the issuers' access tokens for this hub are "
                  "for");
  if (config->issuers->len == 0)
    return refuse(
        config, error, "identity \"NAME\"", NULL, "one at least is needed");
  for (guint i = 0; i < config->issuers->len; i++) {
    const HubIssuer *one = config->issuers->pdata[i];

    if (!one->issuer || !g_str_has_prefix(one->issuer, "https://"))
      return refuse(
          config, error, "identity", one->name, "issuer must be an https URL");
  }
  if (!config->state_dir || !g_path_is_absolute(config->state_dir))
    return refuse(
        config, error, "hub", "state-dir", "must be an absolute path");
  if (!config->address)
    return refuse(config, error, "hub", "address", "must not be empty");
  if (!config->certificate != !config->key)
    return refuse(
        config, error, "hub", "certificate", "goes together with key");
  if (config->store && !db_is_shared(config->store))
    return refuse(config, error, "hub", "store", "is no postgresql:// URL");
  if (!config->certificate) {
    config->certificate = g_build_filename(config->state_dir, "tls.pem", NULL);
    config->key = g_build_filename(config->state_dir, "tls.key", NULL);
  }
  return check_page(config, error) && check_reviewers(config, error);
}

HubConfig *
hub_config_load(const char *path, GError **error)
{
  g_autoptr(HubConfig) config = g_new0(HubConfig, 1);
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autoptr(GError) why = NULL;
  g_auto(GStrv) groups = NULL;

  config->path = g_strdup(path);
  config->reviewers = g_ptr_array_new_with_free_func(reviewers_free);
  config->issuers = g_ptr_array_new_with_free_func(issuer_free);
  set_defaults(NULL, config);
  if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &why)) {
    g_set_error(
        error, HUB_ERROR, HUB_ERROR_CONFIG, "%s: %s", path, why->message);
    return NULL;
  }
  groups = g_key_file_get_groups(file, NULL);
  for (unsigned i = 0; groups[i]; i++)
    if (!read_group(config, file, groups[i], error))
      return NULL;
  return check(config, error) ? g_steal_pointer(&config) : NULL;
}

const HubReviewers *
hub_config_reviewers(const HubConfig *config, const char *name)
{
  for (guint i = 0; i < config->reviewers->len; i++) {
    const HubReviewers *one = config->reviewers->pdata[i];

    if (g_str_equal(one->name, name))
      return one;
  }
  return NULL;
}

bool
hub_has_role(const HubConfig *config, const Person *person, HubRole role)
{
  char **const lists[] = {[ROLE_REQUESTER] = config->requester,
                          [ROLE_AUDITOR] = config->auditor,
                          [ROLE_ADMIN] = config->admin,
                          [ROLE_SENDER] = config->sender};
  char *const *groups = lists[role];

  if (!person->groups) /* the strictest of all: nobody */
    return false;
  for (unsigned i = 0; groups[i]; i++)
    if (g_str_equal(groups[i], "*") ||
        g_strv_contains((const char *const *)person->groups, groups[i]))
      return true;
  return false;
}
