/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the layers of agent.conf into one Config, each key checked where it
 * stands, so that every error names file and line. */
#include "config/config.h"
#include "config/identities.h"
#include "config/keys.h"
#include "kit/file.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

G_DEFINE_QUARK(hoop_config_error, config_error)

/* A configuration is a page of text. */
#define MAX_FILE (256 * 1024)
#define MANAGED HOOP_SYSCONFDIR "/hoop-agent/managed.conf"

static void
connection_free(void *data)
{
  ConfigConnection *connection = data;

  g_free(connection->name);
  g_free(connection->type);
  g_strfreev(connection->hosts);
  g_free(connection->upstream);
  g_free(connection->credential);
  g_free(connection->issuer);
  g_free(connection->issuer_set);
  g_free(connection);
}

/* Those of Config itself, not of the objects that it lists. */
static bool
is_own(const KeyRow *row)
{
  return !g_str_equal(row->key.group, "connection") &&
         !g_str_equal(row->key.group, "identity");
}

void
config_free(Config *config)
{
  unsigned n;
  const KeyRow *rows = key_rows(&n);

  if (!config)
    return;
  for (unsigned i = 0; i < n; i++) {
    char **field = (char **)(void *)((char *)config + rows[i].offset);

    if (is_own(&rows[i]) &&
        (rows[i].kind == KEY_TEXT || rows[i].kind == KEY_PATH ||
         rows[i].kind == KEY_LOOPBACK || rows[i].kind == KEY_SHIP))
      g_free(*field);
  }
  g_strfreev(config->env_files);
  g_ptr_array_unref(config->connections);
  g_ptr_array_unref(config->identities);
  g_strfreev(config->files);
  g_free(config->given);
  g_free(config->ship_issuer_set);
  g_free(config->state_dir);
  g_free(config->data_dir);
  g_free(config->cache_dir);
  g_free(config->runtime_dir);
  g_free(config->config_dir);
  g_free(config->share_dir);
  g_free(config);
}

const ConfigKey *
config_key(unsigned index)
{
  unsigned n;
  const KeyRow *rows = key_rows(&n);

  return index < n ? &rows[index].key : NULL;
}

static ConfigConnection *
find_connection(Config *config, const char *name)
{
  ConfigConnection *connection;

  for (unsigned i = 0; i < config->connections->len; i++) {
    connection = config->connections->pdata[i];
    if (g_str_equal(connection->name, name))
      return connection;
  }
  return NULL;
}

/* The three built-in ones are named like their types. */
static ConfigConnection *
add_connection(Config *config, const char *name, const char *type, bool enabled)
{
  ConfigConnection *connection = g_new0(ConfigConnection, 1);

  connection->name = g_strdup(name);
  connection->type = g_strdup(type);
  connection->enabled = enabled;
  g_ptr_array_add(config->connections, connection);
  return connection;
}

char *
config_runtime_dir(void)
{
  const char *base = g_getenv("XDG_RUNTIME_DIR");

  if (base && *base)
    return g_build_filename(base, "hoop-agent", NULL);
  return g_build_filename(g_get_user_state_dir(), "hoop-agent", "run", NULL);
}

/* From the source tree the data lie where HOOP_SHARE says. */
static char *
share_dir(void)
{
  const char *base = g_getenv("HOOP_SHARE");

  return g_strdup(base && *base ? base : HOOP_DATADIR);
}

static Config *
config_new(void)
{
  Config *config = g_new0(Config, 1);
  unsigned n;
  const KeyRow *rows = key_rows(&n);

  for (unsigned i = 0; i < n; i++) {
    g_autofree char *why = NULL;

    if (is_own(&rows[i]) &&
        !key_set(&rows[i], rows[i].key.fallback, config, &why))
      g_error("default of %s: %s", rows[i].key.key, why);
  }
  config->connections = g_ptr_array_new_with_free_func(connection_free);
  add_connection(config, "copilot", "copilot", true);
  add_connection(config, "anthropic", "anthropic", false);
  add_connection(config, "openai", "openai", false);
  config->identities = identities_new();
  config->state_dir =
      g_build_filename(g_get_user_state_dir(), "hoop-agent", NULL);
  config->data_dir =
      g_build_filename(g_get_user_data_dir(), "hoop-agent", NULL);
  config->cache_dir =
      g_build_filename(g_get_user_cache_dir(), "hoop-agent", NULL);
  config->config_dir =
      g_build_filename(g_get_user_config_dir(), "hoop-agent", NULL);
  config->runtime_dir = config_runtime_dir();
  config->share_dir = share_dir();
  return config;
}

/* ---- One file, line by line ------------------------------------------------
 */

typedef struct {
  Config *config;
  const char *file;
  unsigned line;
  bool managed;                 /* it is managed.conf */
  bool named_identity;          /* it had an [identity "NAME"] */
  char *group;                  /* "listen" …, "connection"; NULL: none yet */
  ConfigConnection *connection; /* of [connection "NAME"] */
  ConfigIdentity *identity;     /* of [identity "NAME"] */
  GHashTable *seen;             /* group and key of this file */
} Reader;

static bool fail(const Reader *reader,
                 int code,
                 GError **error,
                 const char *format,
                 ...) G_GNUC_PRINTF(4, 5);

static bool
fail(const Reader *reader, int code, GError **error, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start(args, format);
  what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(
      error, CONFIG_ERROR, code, "%s:%u: %s", reader->file, reader->line, what);
  return false;
}

static bool
known_group(const char *group)
{
  const ConfigKey *key;

  for (unsigned i = 0; (key = config_key(i)); i++)
    if (g_str_equal(key->group, group))
      return true;
  return false;
}

/* [connection "NAME"]: the name between its quotes. */
static char *
quoted_name(const char *rest)
{
  size_t len;
  g_autofree char *text = g_strstrip(g_strdup(rest));

  len = strlen(text);
  if (len < 3 || text[0] != '"' || text[len - 1] != '"')
    return NULL;
  /* It stands in base URLs: /c/NAME/. */
  if (strspn(text + 1,
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
             "0123456789._-") != len - 2)
    return NULL;
  return g_strndup(text + 1, len - 2);
}

static void
enter_connection(Reader *reader, const char *name)
{
  reader->connection = find_connection(reader->config, name);
  if (!reader->connection)
    reader->connection = add_connection(reader->config, name, "copilot", true);
}

static void
enter_identity(Reader *reader, const char *name)
{
  Config *config = reader->config;

  if (reader->managed && !reader->named_identity)
    g_ptr_array_set_size(config->identities, 0);
  reader->named_identity = true;
  reader->identity = identities_enter(config, name, reader->file, reader->line);
}

static bool
enter_group(Reader *reader, const char *inside, GError **error)
{
  g_autofree char *name = NULL;
  size_t word = strcspn(inside, " \t\"");
  bool connection;

  g_free(reader->group);
  reader->group = g_strndup(inside, word);
  reader->connection = NULL;
  reader->identity = NULL;
  if (!known_group(reader->group))
    return fail(reader,
                CONFIG_ERROR_KEY,
                error,
                "[%s] is no group of this file",
                reader->group);
  connection = g_str_equal(reader->group, "connection");
  if (!connection && !g_str_equal(reader->group, "identity"))
    return inside[word] ? fail(reader,
                               CONFIG_ERROR_SYNTAX,
                               error,
                               "[%s] takes no name",
                               reader->group)
                        : true;
  name = quoted_name(inside + word);
  if (!name)
    return fail(reader,
                CONFIG_ERROR_SYNTAX,
                error,
                "%s group is [%s \"NAME\"], with letters, digits, dots and "
                "dashes",
                connection ? "a connection's" : "an identity's",
                reader->group);
  if (connection)
    enter_connection(reader, name);
  else
    enter_identity(reader, name);
  return true;
}

static bool
unknown_key(const Reader *reader, const char *key, GError **error)
{
  const char *nearest = key_nearest(reader->group, key);

  return fail(reader,
              CONFIG_ERROR_KEY,
              error,
              "[%s] has no key %s%s%s%s",
              reader->group,
              key,
              nearest ? "; did you mean " : "",
              nearest ? nearest : "",
              nearest ? "?" : "");
}

static const char *
group_name(const Reader *reader)
{
  if (reader->connection)
    return reader->connection->name;
  return reader->identity ? reader->identity->name : "";
}

static void *
object_of(const Reader *reader)
{
  if (reader->connection)
    return reader->connection;
  return reader->identity ? (void *)reader->identity : (void *)reader->config;
}

static bool
set_key(Reader *reader, const char *key, const char *value, GError **error)
{
  const KeyRow *row;
  g_autofree char *why = NULL;
  char *seen;

  if (!reader->group)
    return fail(reader,
                CONFIG_ERROR_SYNTAX,
                error,
                "%s stands before any [group]",
                key);
  row = key_find(reader->group, key);
  if (!row)
    return unknown_key(reader, key, error);
  seen = g_strconcat(reader->group, "\n", group_name(reader), "\n", key, NULL);
  if (!g_hash_table_add(reader->seen, seen))
    return fail(reader, CONFIG_ERROR_KEY, error, "%s stands twice", key);
  if (key_set(row, value, object_of(reader), &why)) {
    if (reader->connection && g_str_equal(key, "issuer")) {
      g_free(reader->connection->issuer_set);
      reader->connection->issuer_set =
          g_strdup_printf("%s:%u", reader->file, reader->line);
    } else if (g_str_equal(key, "issuer") &&
               g_str_equal(reader->group, "ship")) {
      g_free(reader->config->ship_issuer_set);
      reader->config->ship_issuer_set =
          g_strdup_printf("%s:%u", reader->file, reader->line);
    }
    return true;
  }
  return fail(reader, CONFIG_ERROR_VALUE, error, "%s=%s: %s", key, value, why);
}

static bool
read_line(Reader *reader, char *line, GError **error)
{
  char *equals;
  size_t len;

  g_strstrip(line);
  if (!*line || *line == '#')
    return true;
  len = strlen(line);
  if (*line == '[') {
    if (line[len - 1] != ']')
      return fail(
          reader, CONFIG_ERROR_SYNTAX, error, "the group's ] is missing");
    line[len - 1] = '\0';
    return enter_group(reader, line + 1, error);
  }
  equals = strchr(line, '=');
  if (!equals)
    return fail(
        reader, CONFIG_ERROR_SYNTAX, error, "neither [group] nor key=value");
  *equals = '\0';
  return set_key(reader, g_strstrip(line), g_strstrip(equals + 1), error);
}

static bool
read_file(Config *config, const char *file, GError **error)
{
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  Reader reader = {.config = config,
                   .file = file,
                   .managed = g_str_equal(file, MANAGED),
                   .seen = seen};
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(GError) why = NULL;
  g_autofree char *text = NULL;
  g_auto(GStrv) lines = NULL;
  bool fine = true;
  size_t len;

  bytes = file_read(file, MAX_FILE, &why);
  if (!bytes) {
    g_set_error_literal(error, CONFIG_ERROR, CONFIG_ERROR_READ, why->message);
    return false;
  }
  text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
  len = g_bytes_get_size(bytes);
  reader.line = 1;
  if (strlen(text) != len || !g_utf8_validate(text, (gssize)len, NULL))
    return fail(&reader, CONFIG_ERROR_SYNTAX, error, "not a text in UTF-8");
  lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line && fine; line++) {
    reader.line = (unsigned)(line - lines) + 1;
    fine = read_line(&reader, *line, error);
  }
  g_free(reader.group);
  return fine;
}

/* ---- The layers ------------------------------------------------------------
 */

static bool
read_optional(Config *config,
              const char *file,
              GStrvBuilder *files,
              bool *found,
              GError **error)
{
  struct stat info;

  /* Only what is not there is left out: one that may not be seen is an error,
   * above all managed.conf. */
  *found = stat(file, &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
  if (!*found)
    return true;
  g_strv_builder_add(files, file);
  return read_file(config, file, error);
}

bool
config_is_agent(const Config *config, const char *host, int port)
{
  return port == config->port &&
         (g_str_has_prefix(host, "127.") || g_str_equal(host, "::1") ||
          g_str_equal(host, "0.0.0.0") || g_str_equal(host, "::") ||
          g_ascii_strcasecmp(host, "localhost") == 0);
}

/* Of http://HOST:PORT; a password in it is not repeated in the error. */
static bool
check_proxy(const Config *config,
            const char *proxy,
            bool *ourselves,
            GError **error)
{
  g_autoptr(GUri) uri = g_uri_parse(proxy, G_URI_FLAGS_HAS_PASSWORD, NULL);
  const char *host = uri ? g_uri_get_host(uri) : NULL;
  const char *why = NULL;

  if (uri && g_uri_get_userinfo(uri))
    why = "user and password belong into [upstream] proxy-credentials-file";
  else if (!host || !*host || !g_str_equal(g_uri_get_scheme(uri), "http"))
    why = "give http://HOST:PORT";
  if (!why) {
    *ourselves = config_is_agent(config, host, g_uri_get_port(uri));
    return true;
  }
  g_set_error(error,
              CONFIG_ERROR,
              CONFIG_ERROR_VALUE,
              "the proxy of [upstream] proxy or HTTPS_PROXY: %s",
              why);
  return false;
}

/* The environment is read once, here: libraries must not. Where it leads
 * clients to this agent the agent itself goes without: a proxy that is this
 * agent would make each request its own client's. */
static bool
proxy_from_environment(Config *config, GError **error)
{
  const char *proxy = g_getenv("HTTPS_PROXY") ?: g_getenv("https_proxy");
  const char *except = g_getenv("NO_PROXY") ?: g_getenv("no_proxy");
  g_autofree char *url = NULL;
  bool ourselves = false;

  if (!config->no_proxy && except && *except)
    config->no_proxy = g_strdup(except);
  if (config->proxy || !proxy || !*proxy)
    return true;
  url = strstr(proxy, "://") ? g_strdup(proxy)
                             : g_strconcat("http://", proxy, NULL);
  if (!check_proxy(config, url, &ourselves, error))
    return false;
  if (!ourselves)
    config->proxy = g_steal_pointer(&url);
  return true;
}

static bool
check_own_proxy(const Config *config, GError **error)
{
  bool ourselves = false;

  if (!config->proxy)
    return true;
  if (!check_proxy(config, config->proxy, &ourselves, error))
    return false;
  if (!ourselves)
    return true;
  g_set_error_literal(error,
                      CONFIG_ERROR,
                      CONFIG_ERROR_VALUE,
                      "[upstream] proxy is this agent itself: name the "
                      "company's, or none");
  return false;
}

static bool
managed_keeps_watch(const Config *config, GError **error)
{
  if (!config->managed || (config->detect && config->journal))
    return true;
  g_set_error_literal(error,
                      CONFIG_ERROR,
                      CONFIG_ERROR_VALUE,
                      "[detect] enabled=false and [journal] enabled=false are "
                      "for measuring and refused on a managed machine");
  return false;
}

Config *
config_load(const char *file, GError **error)
{
  g_autoptr(Config) config = config_new();
  g_autoptr(GStrvBuilder) files = g_strv_builder_new();
  g_autofree char *own =
      g_build_filename(config->config_dir, "agent.conf", NULL);
  bool found;

  if (!read_optional(config,
                     HOOP_SYSCONFDIR "/hoop-agent/agent.conf",
                     files,
                     &found,
                     error))
    return NULL;
  if (file) {
    config->given = g_canonicalize_filename(file, NULL);
    g_strv_builder_add(files, file);
    if (!read_file(config, file, error))
      return NULL;
  } else if (!read_optional(config, own, files, &found, error)) {
    return NULL;
  }
  if (!read_optional(config, MANAGED, files, &config->managed, error))
    return NULL;
  config->files = g_strv_builder_end(files);
  if (!config->journal_path)
    config->journal_path =
        g_build_filename(config->state_dir, "journal.db", NULL);
  if (!check_own_proxy(config, error) ||
      !proxy_from_environment(config, error) ||
      !managed_keeps_watch(config, error) || !identities_check(config, error))
    return NULL;
  return g_steal_pointer(&config);
}
