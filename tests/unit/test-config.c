/* SPDX-License-Identifier: Apache-2.0 */
/* agent.conf: every key lands in its own field, what is wrong is named with
 * file and line, and proxies that lead back here are not followed. */
#include "config/config.h"
#include "config/keys.h"
#include <glib/gstdio.h>
#include <string.h>

typedef struct {
  char *dir, *path;
} Fixture;

static void
set_up(Fixture *f, const void *data)
{
  (void)data;
  g_unsetenv("HTTPS_PROXY");
  g_unsetenv("https_proxy");
  g_unsetenv("NO_PROXY");
  g_unsetenv("no_proxy");
  f->dir = g_dir_make_tmp("hoop-config-XXXXXX", NULL);
  f->path = g_build_filename(f->dir, "agent.conf", NULL);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  g_unlink(f->path);
  g_rmdir(f->dir);
  g_free(f->dir);
  g_free(f->path);
}

static Config *
try_load(Fixture *f, const char *text, GError **error)
{
  g_assert_true(g_file_set_contents(f->path, text, -1, NULL));
  return config_load(f->path, error);
}

static Config *
load(Fixture *f, const char *text)
{
  g_autoptr(GError) error = NULL;
  Config *config = try_load(f, text, &error);

  g_assert_no_error(error);
  return config;
}

/* ---- Each key, its field
 * ---------------------------------------------------------------------- */

/* Distinct values everywhere: a field that two keys share, or one of another
 * size, shows. */
static const char whole[] = "[listen]\n"
                            "address = ::1\n"
                            "port=1101\n"
                            "plain-base-url=true\n"
                            "unix-socket=/run/one\n"
                            "[limits]\n"
                            "max-body=2M\n"
                            "max-header=3K\n"
                            "connections=1004\n"
                            "held-bytes=5G\n"
                            "first-byte-timeout=1006\n"
                            "idle-timeout=1007\n"
                            "[upstream]\n"
                            "proxy=http://proxy.example.com:3128\n"
                            "no-proxy=a.example.com,b\n"
                            "proxy-credentials-file=/etc/two\n"
                            "ca-file=/etc/three\n"
                            "connect-timeout=1008\n"
                            "http2=true\n"
                            "[policy]\n"
                            "file=/etc/four\n"
                            "[detect]\n"
                            "enabled=false\n"
                            "dictionary=/etc/words\n"
                            "env-files=/srv/*/.env; ~/x/.env;\n"
                            "[approval]\n"
                            "timeout=1009\n"
                            "max-pending=1010\n"
                            "grant-time=1020\n"
                            "max-grants=1021\n"
                            "stream-silence=1011\n"
                            "keepalive-interval=1012\n"
                            "[desktop]\n"
                            "notices=false\n"
                            "[journal]\n"
                            "path=/var/five\n"
                            "enabled=false\n"
                            "durability=grouped\n"
                            "bodies=digest\n"
                            "max-recorded-body=13\n"
                            "max-size=14G\n"
                            "retain-days=15\n"
                            "escrow-key=/etc/nine.pem\n"
                            "[ship]\n"
                            "endpoint=collector.example:6514\n"
                            "format=syslog\n"
                            "token-file=/etc/sixteen\n"
                            "interval=1017\n"
                            "ca-file=/etc/eighteen\n"
                            "issuer=eight\n"
                            "receiver-key=0118\n"
                            "[hub]\n"
                            "url=https://hub.example.com\n"
                            "pinned-key=0019\n"
                            "ca-file=/etc/twenty\n"
                            "require-policy=true\n"
                            "[connection \"new-one.2\"]\n"
                            "type=openai\n"
                            "enabled=false\n"
                            "hosts= a.example.com , b.example.com ,\n"
                            "upstream=https://six.example.com\n"
                            "credential=env:SEVEN\n"
                            "issuer=eight\n"
                            "[identity \"eight\"]\n"
                            "issuer=https://idp.example.com/eight\n"
                            "client-id=nine\n"
                            "client-secret-file=/etc/ten\n"
                            "scopes=openid eleven\n"
                            "audience=twelve\n"
                            "redirect-port=1113\n"
                            "groups-claim=realm_access.roles\n"
                            "groups-separator=;\n"
                            "groups-prefix=/fourteen/\n"
                            "ca-file=/etc/fifteen\n";

static void
test_every_key(Fixture *f, const void *data)
{
  g_autoptr(Config) c = load(f, whole);
  const ConfigConnection *one = c->connections->pdata[3];
  const ConfigIdentity *id = c->identities->pdata[0];

  (void)data;
  g_assert_cmpstr(c->address, ==, "::1");
  g_assert_cmpuint(c->port, ==, 1101);
  g_assert_true(c->plain_base_url);
  g_assert_cmpstr(c->unix_socket, ==, "/run/one");
  g_assert_cmpuint(c->max_body, ==, 2 << 20);
  g_assert_cmpuint(c->max_header, ==, 3 << 10);
  g_assert_cmpuint(c->max_connections, ==, 1004);
  g_assert_cmpuint(c->held_bytes, ==, (size_t)5 << 30);
  g_assert_cmpuint(c->first_byte_timeout, ==, 1006);
  g_assert_cmpuint(c->idle_timeout, ==, 1007);
  g_assert_cmpstr(c->proxy, ==, "http://proxy.example.com:3128");
  g_assert_cmpstr(c->no_proxy, ==, "a.example.com,b");
  g_assert_cmpstr(c->proxy_credentials_file, ==, "/etc/two");
  g_assert_cmpstr(c->ca_file, ==, "/etc/three");
  g_assert_cmpuint(c->connect_timeout, ==, 1008);
  g_assert_true(c->http2);
  g_assert_cmpstr(c->policy_file, ==, "/etc/four");
  g_assert_false(c->detect);
  g_assert_cmpstr(c->dictionary, ==, "/etc/words");
  g_assert_cmpuint(g_strv_length(c->env_files), ==, 2);
  g_assert_cmpstr(c->env_files[0], ==, "/srv/*/.env");
  g_assert_true(g_str_has_suffix(c->env_files[1], "/x/.env"));
  g_assert_cmpint(c->env_files[1][0], ==, '/');
  g_assert_cmpuint(c->approval_timeout, ==, 1009);
  g_assert_cmpuint(c->max_pending, ==, 1010);
  g_assert_cmpuint(c->grant_time, ==, 1020);
  g_assert_cmpuint(c->max_grants, ==, 1021);
  g_assert_cmpuint(c->stream_silence, ==, 1011);
  g_assert_cmpuint(c->keepalive_interval, ==, 1012);
  g_assert_cmpstr(c->journal_path, ==, "/var/five");
  g_assert_false(c->journal);
  g_assert_false(c->durability_full);
  g_assert_false(c->bodies);
  g_assert_cmpuint(c->max_recorded_body, ==, 13);
  g_assert_cmpuint(c->journal_max_size, ==, (uint64_t)14 << 30);
  g_assert_cmpuint(c->journal_retain_days, ==, 15);
  g_assert_cmpstr(c->journal_escrow_key, ==, "/etc/nine.pem");
  g_assert_cmpstr(one->name, ==, "new-one.2");
  g_assert_cmpstr(one->type, ==, "openai");
  g_assert_cmpstr(c->ship_endpoint, ==, "collector.example:6514");
  g_assert_cmpstr(c->ship_format, ==, "syslog");
  g_assert_cmpstr(c->ship_token_file, ==, "/etc/sixteen");
  g_assert_cmpuint(c->ship_interval, ==, 1017);
  g_assert_cmpstr(c->ship_ca_file, ==, "/etc/eighteen");
  g_assert_cmpstr(c->ship_issuer, ==, "eight");
  g_assert_cmpstr(c->ship_receiver_key, ==, "0118");
  g_assert_false(c->notices);
  g_assert_cmpstr(c->hub_url, ==, "https://hub.example.com");
  g_assert_cmpstr(c->hub_pinned_key, ==, "0019");
  g_assert_cmpstr(c->hub_ca_file, ==, "/etc/twenty");
  g_assert_true(c->hub_require_policy);
  g_assert_false(one->enabled);
  g_assert_cmpuint(g_strv_length(one->hosts), ==, 2);
  g_assert_cmpstr(one->hosts[1], ==, "b.example.com");
  g_assert_cmpstr(one->upstream, ==, "https://six.example.com");
  g_assert_cmpstr(one->credential, ==, "env:SEVEN");
  g_assert_cmpstr(one->issuer, ==, "eight");
  g_assert_cmpuint(c->identities->len, ==, 1);
  g_assert_cmpstr(id->name, ==, "eight");
  g_assert_cmpstr(id->issuer, ==, "https://idp.example.com/eight");
  g_assert_cmpstr(id->client_id, ==, "nine");
  g_assert_cmpstr(id->client_secret_file, ==, "/etc/ten");
  g_assert_cmpstr(id->scopes, ==, "openid eleven");
  g_assert_cmpstr(id->audience, ==, "twelve");
  g_assert_cmpuint(id->redirect_port, ==, 1113);
  g_assert_cmpstr(id->groups_claim, ==, "realm_access.roles");
  g_assert_cmpstr(id->groups_separator, ==, ";");
  g_assert_cmpstr(id->groups_prefix, ==, "/fourteen/");
  g_assert_cmpstr(id->ca_file, ==, "/etc/fifteen");
  /* And no key is missing above. */
  for (unsigned i = 0; config_key(i); i++) {
    const ConfigKey *key = config_key(i);
    g_autofree char *line = g_strdup_printf("\n%s", key->key);

    if (!strstr(whole, line))
      g_error("[%s] %s is not tested", key->group, key->key);
  }
}

static void
test_defaults(Fixture *f, const void *data)
{
  g_autoptr(Config) c = load(f, "# nothing\n\n");
  const ConfigConnection *copilot = c->connections->pdata[0];
  const ConfigConnection *anthropic = c->connections->pdata[1];

  (void)data;
  g_assert_cmpstr(c->address, ==, "127.0.0.1");
  g_assert_cmpuint(c->port, ==, 8788);
  g_assert_false(c->plain_base_url);
  g_assert_null(c->unix_socket);
  g_assert_cmpuint(c->max_body, ==, 32 << 20);
  g_assert_cmpuint(c->max_header, ==, 64 << 10);
  g_assert_null(c->proxy);
  g_assert_true(c->detect && c->journal && c->durability_full && c->bodies);
  g_assert_true(g_str_has_suffix(c->journal_path, "/hoop-agent/journal.db"));
  g_assert_cmpuint(c->connections->len, ==, 3);
  g_assert_cmpstr(copilot->name, ==, "copilot");
  g_assert_true(copilot->enabled);
  g_assert_false(anthropic->enabled);
  g_assert_false(c->managed);
  g_assert_cmpuint(c->identities->len, ==, 0);
}

static void
test_identities(Fixture *f, const void *data)
{
  g_autoptr(Config) c = load(f,
                             "[identity \"a\"]\n"
                             "issuer=https://a.example.com\n"
                             "[identity \"b\"]\n"
                             "issuer=http://127.0.0.1:8080/realms/b\n"
                             "client-id=b\n"
                             "groups-separator= \n"
                             "[identity \"a\"]\n"
                             "client-id=a\n");
  const ConfigIdentity *a = c->identities->pdata[0];
  const ConfigIdentity *b = c->identities->pdata[1];

  (void)data;
  g_assert_cmpuint(c->identities->len, ==, 2);
  g_assert_cmpstr(a->client_id, ==, "a");
  g_assert_cmpstr(a->scopes, ==, "openid profile email offline_access");
  g_assert_cmpstr(a->groups_claim, ==, "groups");
  g_assert_null(a->client_secret_file);
  g_assert_null(a->groups_prefix);
  g_assert_cmpuint(a->redirect_port, ==, 0);
  g_assert_cmpstr(b->issuer, ==, "http://127.0.0.1:8080/realms/b");
  g_assert_null(b->groups_separator);
}

/* ---- What is wrong
 * ------------------------------------------------------------------------ */

/* Its group is the second line. */
#define ID(issuer) "\n[identity \"a\"]\nissuer=" issuer "\nclient-id=a\n"

static void
test_errors(Fixture *f, const void *data)
{
  static const struct {
    const char *text;
    unsigned line;
    int code;
    const char *words;
  } cases[] = {
      {"[listen]\nprot=1\n", 2, CONFIG_ERROR_KEY, "did you mean port?"},
      {"[listen]\nqqqq=1\n", 2, CONFIG_ERROR_KEY, "has no key qqqq"},
      {"\n\n[nonsense]\n", 3, CONFIG_ERROR_KEY, "[nonsense]"},
      {"port=1\n", 1, CONFIG_ERROR_SYNTAX, "before any [group]"},
      {"[listen\n", 1, CONFIG_ERROR_SYNTAX, "] is missing"},
      {"[listen]\nport\n", 2, CONFIG_ERROR_SYNTAX, "key=value"},
      {"[listen \"x\"]\n", 1, CONFIG_ERROR_SYNTAX, "takes no name"},
      {"[connection]\n", 1, CONFIG_ERROR_SYNTAX, "[connection \"NAME\"]"},
      {"[connection \"\"]\n", 1, CONFIG_ERROR_SYNTAX, "\"NAME\""},
      {"[connection \"a/b\"]\n", 1, CONFIG_ERROR_SYNTAX, "\"NAME\""},
      {"[listen]\nport=1\nport=2\n", 3, CONFIG_ERROR_KEY, "stands twice"},
      {"[listen]\nport=65536\n", 2, CONFIG_ERROR_VALUE, "0 to 65535"},
      {"[listen]\nport=-1\n", 2, CONFIG_ERROR_VALUE, "0 to 65535"},
      {"[listen]\naddress=0.0.0.0\n", 2, CONFIG_ERROR_VALUE, "127.0.0.1"},
      {"[listen]\naddress=127.foo\n", 2, CONFIG_ERROR_VALUE, "127.0.0.1"},
      {"[listen]\naddress=127.0.0.2\n", 2, CONFIG_ERROR_VALUE, "127.0.0.1"},
      {"[listen]\naddress=\n", 2, CONFIG_ERROR_VALUE, "127.0.0.1"},
      {"[listen]\nplain-base-url=1\n", 2, CONFIG_ERROR_VALUE, "true or false"},
      {"[listen]\nunix-socket=x\n", 2, CONFIG_ERROR_VALUE, "absolute path"},
      {"[limits]\nmax-body=0\n", 2, CONFIG_ERROR_VALUE, "a size"},
      {"[limits]\nmax-body=1T\n", 2, CONFIG_ERROR_VALUE, "a size"},
      {"[limits]\nmax-body=1MB\n", 2, CONFIG_ERROR_VALUE, "a size"},
      {"[limits]\nmax-body=-1\n", 2, CONFIG_ERROR_VALUE, "a size"},
      {"[limits]\nmax-body=99999999999999999999\n",
       2,
       CONFIG_ERROR_VALUE,
       "a size"},
      {"[limits]\nmax-body=18446744073709551615K\n",
       2,
       CONFIG_ERROR_VALUE,
       "a size"},
      {"[limits]\nconnections=0\n", 2, CONFIG_ERROR_VALUE, "from 1 up"},
      {"[journal]\ndurability=none\n", 2, CONFIG_ERROR_VALUE, "full or"},
      {"[journal]\nbodies=all\n", 2, CONFIG_ERROR_VALUE, "masked or"},
      {"[journal]\nretain-days=-1\n", 2, CONFIG_ERROR_VALUE, "days"},
      {"[journal]\nretain-days=ever\n", 2, CONFIG_ERROR_VALUE, "days"},
      {"[ship]\nformat=protobuf\n", 2, CONFIG_ERROR_VALUE, "otlp, jsonl"},
      {"[ship]\nissuer=nobody\n", 2, CONFIG_ERROR_VALUE, "there is no"},
      {"[ship]\ninterval=0\n", 2, CONFIG_ERROR_VALUE, "from 1 up"},
      {"[ship]\ntoken-file=token\n", 2, CONFIG_ERROR_VALUE, "absolute"},
      {"[hub]\nulr=https://x\n", 2, CONFIG_ERROR_KEY, "no key ulr"},
      {"[identity]\n", 1, CONFIG_ERROR_SYNTAX, "[identity \"NAME\"]"},
      {"[identity \"a\"]\n", 1, CONFIG_ERROR_VALUE, "needs issuer="},
      {ID("http://a.example.com"), 2, CONFIG_ERROR_VALUE, "takes https://"},
      {ID("https://u@a.example.com"), 2, CONFIG_ERROR_VALUE, "takes https://"},
      {ID("https://a.example.com/?q"), 2, CONFIG_ERROR_VALUE, "takes https://"},
      {ID("a.example.com"), 2, CONFIG_ERROR_VALUE, "takes https://"},
      {"[identity \"a\"]\nissuer=https://a\n",
       1,
       CONFIG_ERROR_VALUE,
       "needs client-id="},
      {ID("https://a") "scopes=\n", 2, CONFIG_ERROR_VALUE, "needs scopes="},
      {ID("https://a") "[identity \"b\"]\nissuer=https://a\nclient-id=b\n",
       5,
       CONFIG_ERROR_VALUE,
       "has the issuer of [identity \"a\"]"},
      {ID("https://a") "groups-claim=none\ngroups-prefix=x\n",
       2,
       CONFIG_ERROR_VALUE,
       "groups-prefix= is of no use"},
      {ID("https://a") "groups-separator=|\ngroups-claim=none\n",
       2,
       CONFIG_ERROR_VALUE,
       "groups-separator= is of no use"},
      {ID("https://a") "isuer=https://b\n",
       5,
       CONFIG_ERROR_KEY,
       "did you mean issuer?"},
      {ID("https://a") "redirect-port=70000\n",
       5,
       CONFIG_ERROR_VALUE,
       "0 to 65535"},
      {"[connection \"copilot\"]\nissuer=corp\n",
       2,
       CONFIG_ERROR_VALUE,
       "there is no [identity \"corp\"]"},
      {"[listen]\nport=\xff\n", 1, CONFIG_ERROR_SYNTAX, "UTF-8"},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = try_load(f, cases[i].text, &error);
    g_autofree char *where = g_strdup_printf("%s:%u: ", f->path, cases[i].line);

    if (config || !g_error_matches(error, CONFIG_ERROR, cases[i].code) ||
        !g_str_has_prefix(error->message, where) ||
        !strstr(error->message, cases[i].words))
      g_error("%s: %s", cases[i].text, error ? error->message : "fine");
  }
}

static void
test_files(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *large = g_strnfill(300 * 1024, '#');

  (void)data;
  g_assert_null(config_load("/nonexistent/agent.conf", &error));
  g_assert_error(error, CONFIG_ERROR, CONFIG_ERROR_READ);
  g_clear_error(&error);
  g_assert_null(config_load(f->dir, &error));
  g_assert_error(error, CONFIG_ERROR, CONFIG_ERROR_READ);
  g_clear_error(&error);
  g_assert_null(try_load(f, large, &error));
  g_assert_error(error, CONFIG_ERROR, CONFIG_ERROR_READ);
}

/* An empty value is the default. */
static void
test_empty(Fixture *f, const void *data)
{
  (void)data;
  config_free(load(f, "[journal]\nretain-days=0\n[hub]\nurl=\n"));
}

/* ---- Proxies
 * ------------------------------------------------------------------------------
 */

static void
test_own_proxy(Fixture *f, const void *data)
{
  static const char *const bad[] = {"http://127.0.0.1:8788",
                                    "http://localhost:8788",
                                    "http://[::1]:8788",
                                    "https://proxy.example.com:1",
                                    "socks5://proxy.example.com:1",
                                    "proxy.example.com:3128",
                                    "http://u:s3cret@proxy.example.com:3128",
                                    "http://:1"};

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autofree char *text = g_strdup_printf("[upstream]\nproxy=%s\n", bad[i]);
    g_autoptr(GError) error = NULL;

    g_assert_null(try_load(f, text, &error));
    g_assert_error(error, CONFIG_ERROR, CONFIG_ERROR_VALUE);
    g_assert_null(strstr(error->message, "s3cret"));
  }
}

/* In a shell whose clients are led to the agent, the agent and its commands
 * work all the same. */
static void
test_environment(Fixture *f, const void *data)
{
  static const struct {
    const char *value, *proxy;
  } cases[] = {
      {"http://proxy.example.com:3128", "http://proxy.example.com:3128"},
      {"proxy.example.com:3128", "http://proxy.example.com:3128"},
      {"http://127.0.0.1:8788", NULL},
      {"http://localhost:8788/", NULL},
      {"http://[::1]:8788", NULL},
      {"127.0.0.1:8788", NULL},
      {"http://127.0.0.1:3128", "http://127.0.0.1:3128"},
      {"", NULL},
  };

  (void)data;
  g_setenv("no_proxy", "internal", TRUE);
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Config) config = NULL;

    g_setenv("HTTPS_PROXY", cases[i].value, TRUE);
    config = load(f, "");
    if (g_strcmp0(config->proxy, cases[i].proxy) != 0)
      g_error("%s: %s", cases[i].value, config->proxy);
    g_assert_cmpstr(config->no_proxy, ==, "internal");
  }
  {
    g_autoptr(Config) config = NULL;

    g_setenv("HTTPS_PROXY", "http://env.example.com:1", TRUE);
    config = load(f, "[upstream]\nproxy=http://file.example.com:2\n");
    g_assert_cmpstr(config->proxy, ==, "http://file.example.com:2");
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_)                                                      \
  g_test_add("/config/" name_, Fixture, NULL, set_up, func_, tear_down)
  ADD("every-key", test_every_key);
  ADD("defaults", test_defaults);
  ADD("identities", test_identities);
  ADD("errors", test_errors);
  ADD("files", test_files);
  ADD("empty", test_empty);
  ADD("own-proxy", test_own_proxy);
  ADD("environment", test_environment);
#undef ADD
  return g_test_run();
}
