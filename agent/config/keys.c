/* SPDX-License-Identifier: Apache-2.0 */
/* Every key of agent.conf: its group, default, help, and where its value goes.
 * Loading, the man page's check and completion read this one table. */
#include "config/keys.h"
#include <stddef.h>
#include <string.h>

#define KEY(group_, key_, kind_, field_, fallback_, help_)                     \
  {                                                                            \
    {group_, key_, fallback_, help_}, kind_, offsetof(Config, field_)          \
  }
#define CONN_KEY(key_, kind_, field_, fallback_, help_)                        \
  {                                                                            \
    {"connection", key_, fallback_, help_}, kind_,                             \
        offsetof(ConfigConnection, field_)                                     \
  }
#define ID_KEY(key_, kind_, field_, fallback_, help_)                          \
  {                                                                            \
    {"identity", key_, fallback_, help_}, kind_,                               \
        offsetof(ConfigIdentity, field_)                                       \
  }

static const KeyRow rows[] = {
    KEY("listen",
        "address",
        KEY_LOOPBACK,
        address,
        "127.0.0.1",
        "Loopback address to listen on; [::1] is served beside 127.0.0.1."),
    KEY("listen",
        "port",
        KEY_PORT,
        port,
        "8788",
        "TCP port of the agent; 0 takes any free one."),
    KEY("listen",
        "plain-base-url",
        KEY_BOOL,
        plain_base_url,
        "false",
        "Take base-URL requests over plain HTTP too."),
    KEY("listen",
        "unix-socket",
        KEY_PATH,
        unix_socket,
        "",
        "A Unix socket to listen on beside TCP, for containers."),
    KEY("limits",
        "max-body",
        KEY_SIZE,
        max_body,
        "32M",
        "Largest body, as received and decoded."),
    KEY("limits",
        "max-header",
        KEY_SIZE,
        max_header,
        "64K",
        "Largest request head."),
    KEY("limits",
        "connections",
        KEY_COUNT,
        max_connections,
        "512",
        "Client connections at one time."),
    KEY("limits",
        "held-bytes",
        KEY_SIZE,
        held_bytes,
        "256M",
        "All that requests and answers keep in memory together."),
    KEY("limits",
        "first-byte-timeout",
        KEY_COUNT,
        first_byte_timeout,
        "10",
        "Seconds to a complete handshake and request head."),
    KEY("limits",
        "idle-timeout",
        KEY_COUNT,
        idle_timeout,
        "300",
        "Seconds without progress of a connection."),
    KEY("upstream",
        "proxy",
        KEY_TEXT,
        proxy,
        "",
        "Parent proxy, http://HOST:PORT; default: HTTPS_PROXY at start."),
    KEY("upstream",
        "no-proxy",
        KEY_TEXT,
        no_proxy,
        "",
        "Hosts reached without the proxy; default: NO_PROXY at start."),
    KEY("upstream",
        "proxy-credentials-file",
        KEY_PATH,
        proxy_credentials_file,
        "",
        "File with USER:PASSWORD for the proxy, mode 0600."),
    KEY("upstream",
        "ca-file",
        KEY_PATH,
        ca_file,
        "",
        "PEM file of further authorities to trust upstream."),
    KEY("upstream",
        "connect-timeout",
        KEY_COUNT,
        connect_timeout,
        "10",
        "Seconds to a connection with the server."),
    KEY("upstream",
        "http2",
        KEY_BOOL,
        http2,
        "false",
        "Offer HTTP/2 to servers."),
    KEY("policy",
        "file",
        KEY_PATH,
        policy_file,
        "",
        "The policy; default: the one that is installed."),
    KEY("detect",
        "enabled",
        KEY_BOOL,
        detect,
        "true",
        "Read bodies at all; off is for measuring only."),
    KEY("detect",
        "dictionary",
        KEY_PATH,
        dictionary,
        "",
        "File of exact values to find, one a line."),
    KEY("detect",
        "env-files",
        KEY_GLOBS,
        env_files,
        "",
        ".env files whose secrets to find; patterns with ; between them."),
    KEY("approval",
        "timeout",
        KEY_COUNT,
        approval_timeout,
        "120",
        "Seconds until a held stream is denied; others 60 at most."),
    KEY("approval",
        "max-pending",
        KEY_COUNT,
        max_pending,
        "32",
        "Requests held at one time; further ones are denied."),
    KEY("approval",
        "grant-time",
        KEY_COUNT,
        grant_time,
        "28800",
        "Seconds that a remembered approval may last at most."),
    KEY("approval",
        "max-grants",
        KEY_COUNT,
        max_grants,
        "64",
        "Approvals remembered at one time."),
    KEY("approval",
        "stream-silence",
        KEY_COUNT,
        stream_silence,
        "20",
        "Seconds that a held stream stays silent before its head is sent."),
    KEY("approval",
        "keepalive-interval",
        KEY_COUNT,
        keepalive_interval,
        "15",
        "Seconds between the comments that follow."),
    KEY("desktop",
        "notices",
        KEY_BOOL,
        notices,
        "true",
        "Tell in notifications what was masked or blocked."),
    KEY("journal",
        "path",
        KEY_PATH,
        journal_path,
        "",
        "The database; default: journal.db in the state folder."),
    KEY("journal",
        "enabled",
        KEY_BOOL,
        journal,
        "true",
        "Record at all; off is for measuring only."),
    KEY("journal",
        "durability",
        KEY_DURABILITY,
        durability_full,
        "full",
        "full: stored before released; grouped: may lose 100 ms on power "
        "loss."),
    KEY("journal",
        "bodies",
        KEY_BODIES,
        bodies,
        "masked",
        "masked: keep masked bodies; digest: only their digests."),
    KEY("journal",
        "max-recorded-body",
        KEY_SIZE,
        max_recorded_body,
        "1M",
        "How much of a body is kept."),
    KEY("journal",
        "max-size",
        KEY_BIG_SIZE,
        journal_max_size,
        "4G",
        "Largest database: the oldest rows go, or requests are refused."),
    KEY("journal",
        "retain-days",
        KEY_DAYS,
        journal_retain_days,
        "90",
        "Days that rows are kept; 0: for ever."),
    KEY("journal",
        "escrow-key",
        KEY_PATH,
        journal_escrow_key,
        "",
        "X25519 public key (PEM) that originals are sealed to."),
    KEY("ship",
        "endpoint",
        KEY_TEXT,
        ship_endpoint,
        "",
        "Where the record goes: a URL, a file, or a syslog receiver."),
    KEY("ship",
        "format",
        KEY_SHIP,
        ship_format,
        "otlp",
        "otlp (OpenTelemetry over HTTP), jsonl (a file) or syslog (TLS)."),
    KEY("ship",
        "token-file",
        KEY_PATH,
        ship_token_file,
        "",
        "File with the bearer token for the endpoint, mode 0600."),
    KEY("ship",
        "issuer",
        KEY_TEXT,
        ship_issuer,
        "",
        "The [identity] whose session's access token is the bearer token."),
    KEY("ship",
        "interval",
        KEY_COUNT,
        ship_interval,
        "30",
        "Seconds between looks for new rows."),
    KEY("ship",
        "ca-file",
        KEY_PATH,
        ship_ca_file,
        "",
        "PEM file of further authorities to trust there."),
    KEY("ship",
        "receiver-key",
        KEY_TEXT,
        ship_receiver_key,
        "",
        "The key (64 hex digits) that signs the receiver's receipts."),
    KEY("hub", "url", KEY_TEXT, hub_url, "", "https URL of the team's hub."),
    KEY("hub",
        "pinned-key",
        KEY_TEXT,
        hub_pinned_key,
        "",
        "The hub's key (64 hex digits), which `enrol` must find there."),
    KEY("hub",
        "ca-file",
        KEY_PATH,
        hub_ca_file,
        "",
        "PEM file of further authorities to trust there."),
    KEY("hub",
        "require-policy",
        KEY_BOOL,
        hub_require_policy,
        "false",
        "Refuse everything governed without a policy of the hub in date."),
    CONN_KEY("type", KEY_TEXT, type, "", "copilot, anthropic or openai."),
    CONN_KEY("enabled",
             KEY_BOOL,
             enabled,
             "",
             "Turned on; copilot is by default, the others are not."),
    CONN_KEY("hosts",
             KEY_LIST,
             hosts,
             "",
             "Further hosts that it governs, comma separated."),
    CONN_KEY("upstream",
             KEY_TEXT,
             upstream,
             "",
             "https://HOST[:PORT] that its requests go to instead."),
    CONN_KEY(
        "credential",
        KEY_TEXT,
        credential,
        "",
        "file:PATH, env:NAME or hub:NAME: the agent holds the credential."),
    CONN_KEY("issuer",
             KEY_TEXT,
             issuer,
             "",
             "Name of the identity that it needs; default: the first."),
    ID_KEY("issuer",
           KEY_TEXT,
           issuer,
           "",
           "The provider's URL, as its tokens name it."),
    ID_KEY("client-id",
           KEY_TEXT,
           client_id,
           "",
           "What the provider calls hoop-agent."),
    ID_KEY("client-secret-file",
           KEY_PATH,
           client_secret_file,
           "",
           "File with the client's secret, mode 0600; none: a public client."),
    ID_KEY("scopes",
           KEY_TEXT,
           scopes,
           "openid profile email offline_access",
           "What is asked for, with spaces between."),
    ID_KEY("audience",
           KEY_TEXT,
           audience,
           "",
           "Audience to ask for, where the provider wants one."),
    ID_KEY("redirect-port",
           KEY_PORT,
           redirect_port,
           "0",
           "Loopback port that the browser returns to; 0 takes any free one."),
    ID_KEY("groups-claim",
           KEY_TEXT,
           groups_claim,
           "groups",
           "Claim with the groups; dots lead into objects; none: no groups."),
    ID_KEY("groups-separator",
           KEY_TEXT,
           groups_separator,
           "",
           "What separates groups in a claim that is one string."),
    ID_KEY("groups-prefix",
           KEY_TEXT,
           groups_prefix,
           "",
           "Taken off the groups that begin so; others are left out."),
    ID_KEY("ca-file",
           KEY_PATH,
           ca_file,
           "",
           "PEM file of further authorities to trust for this provider."),
};

const KeyRow *
key_rows(unsigned *n)
{
  *n = G_N_ELEMENTS(rows);
  return rows;
}

const KeyRow *
key_find(const char *group, const char *key)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++)
    if (g_str_equal(rows[i].key.group, group) &&
        g_str_equal(rows[i].key.key, key))
      return &rows[i];
  return NULL;
}

/* How many leading characters agree, and then how many at the end, in percent:
 * close enough for a slip of the keys. */
static int
likeness(const char *a, const char *b)
{
  size_t a_len = strlen(a), b_len = strlen(b), head = 0, tail = 0;

  while (head < a_len && a[head] == b[head])
    head++;
  while (tail < a_len - head && tail < b_len - head &&
         a[a_len - 1 - tail] == b[b_len - 1 - tail])
    tail++;
  return (int)(100 * (head + tail) / MAX(MAX(a_len, b_len), 1));
}

const char *
key_nearest(const char *group, const char *key)
{
  const char *best = NULL;
  int most = 49; /* less than half alike helps nobody */

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    int alike = likeness(rows[i].key.key, key);

    if (g_str_equal(rows[i].key.group, group) && alike > most) {
      most = alike;
      best = rows[i].key.key;
    }
  }
  return best;
}

/* Digits only, and no libc call that reports through errno: the first of them
 * in a process loads a locale, which may leave errno set though all is well. */
static bool
parse_digits(const char *text, size_t n, uint64_t max, uint64_t *out)
{
  uint64_t value = 0;

  for (size_t i = 0; i < n; i++) {
    unsigned digit = (unsigned)(text[i] - '0');

    if (!g_ascii_isdigit(text[i]) || value > (max - digit) / 10)
      return false;
    value = 10 * value + digit;
  }
  *out = value;
  return n > 0;
}

static bool
parse_size(const char *text, uint64_t *out)
{
  static const char units[] = "KMG";
  size_t n = strspn(text, "0123456789");
  const char *unit = text[n] ? strchr(units, text[n]) : NULL;

  if (!parse_digits(text, n, UINT64_MAX, out))
    return false;
  if (unit) {
    unsigned shift = 10 * (unsigned)(unit - units + 1);

    if (*out > UINT64_MAX >> shift)
      return false;
    *out <<= shift;
    n++;
  }
  return !text[n] && *out > 0;
}

static bool
parse_count(const char *text, uint64_t max, unsigned *out)
{
  uint64_t value;

  if (!parse_digits(text, strlen(text), max, &value) || value == 0)
    return false;
  *out = (unsigned)value;
  return true;
}

static bool
parse_port(const char *text, uint16_t *out)
{
  uint64_t value;

  if (!parse_digits(text, strlen(text), 65535, &value))
    return false;
  *out = (uint16_t)value;
  return true;
}

static bool
parse_choice(const char *text, const char *yes, const char *no, bool *out)
{
  if (!g_str_equal(text, yes) && !g_str_equal(text, no))
    return false;
  *out = g_str_equal(text, yes);
  return true;
}

static void
set_text(char **field, char *value)
{
  g_free(*field);
  *field = value && *value ? value : NULL;
  if (value && !*value)
    g_free(value);
}

static bool
parse_path(const char *text, char **out)
{
  if (*text && *text != '/' && !g_str_has_prefix(text, "~/"))
    return false;
  if (*text == '~')
    set_text(out, g_build_filename(g_get_home_dir(), text + 2, NULL));
  else
    set_text(out, g_strdup(text));
  return true;
}

/* Each an absolute path or ~/… with wildcards. */
static bool
parse_globs(const char *text, char ***out)
{
  g_auto(GStrv) parts = g_strsplit(text, ";", -1);
  g_autoptr(GStrvBuilder) kept = g_strv_builder_new();

  for (char **part = parts; *part; part++) {
    g_autofree char *path = NULL;

    if (!parse_path(g_strstrip(*part), &path))
      return false;
    if (path)
      g_strv_builder_add(kept, path);
  }
  g_strfreev(*out);
  *out = g_strv_builder_end(kept);
  return true;
}

static void
set_list(char ***field, const char *text)
{
  g_auto(GStrv) parts = g_strsplit(text, ",", -1);
  g_autoptr(GStrvBuilder) kept = g_strv_builder_new();

  for (char **part = parts; *part; part++)
    if (*g_strstrip(*part))
      g_strv_builder_add(kept, *part);
  g_strfreev(*field);
  *field = g_strv_builder_end(kept);
}

bool
key_set(const KeyRow *row, const char *text, void *object, char **why)
{
  void *field = (char *)object + row->offset;
  const char *wanted = NULL;
  uint64_t size;

  switch (row->kind) {
  case KEY_TEXT:
    set_text(field, g_strdup(text));
    break;
  case KEY_PATH:
    wanted = parse_path(text, field) ? NULL : "an absolute path";
    break;
  case KEY_LIST:
    set_list(field, text);
    break;
  case KEY_GLOBS:
    wanted = parse_globs(text, field) ? NULL : "absolute paths with ; between";
    break;
  case KEY_BOOL:
    wanted =
        parse_choice(text, "true", "false", field) ? NULL : "true or false";
    break;
  case KEY_COUNT:
    wanted =
        parse_count(text, 1000 * 1000, field) ? NULL : "a number from 1 up";
    break;
  case KEY_DAYS:
    wanted = g_str_equal(text, "0") || parse_count(text, 100 * 1000, field)
                 ? NULL
                 : "a number of days, or 0";
    break;
  case KEY_PORT:
    wanted = parse_port(text, field) ? NULL : "a port, 0 to 65535";
    break;
  case KEY_SIZE:
  case KEY_BIG_SIZE:
    if (!parse_size(text, &size))
      wanted = "a size such as 512K, 32M or 4G";
    else if (row->kind == KEY_SIZE)
      *(size_t *)field = size;
    else
      *(uint64_t *)field = size;
    break;
  case KEY_LOOPBACK:
    /* The two that the agent's CA vouches for. */
    if (g_str_equal(text, "127.0.0.1") || g_str_equal(text, "::1"))
      set_text(field, g_strdup(text));
    else
      wanted = "127.0.0.1 or ::1: the agent serves this machine only";
    break;
  case KEY_DURABILITY:
    wanted =
        parse_choice(text, "full", "grouped", field) ? NULL : "full or grouped";
    break;
  case KEY_BODIES:
    wanted = parse_choice(text, "masked", "digest", field) ? NULL
                                                           : "masked or digest";
    break;
  case KEY_SHIP:
    if (g_str_equal(text, "otlp") || g_str_equal(text, "jsonl") ||
        g_str_equal(text, "syslog"))
      set_text(field, g_strdup(text));
    else
      wanted = "otlp, jsonl or syslog";
    break;
  }
  if (wanted)
    *why = g_strdup_printf("takes %s", wanted);
  return !wanted;
}
