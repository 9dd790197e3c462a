/* SPDX-License-Identifier: Apache-2.0 */
/* The connection table: which hosts are governed and which only look like it,
 * where base-URL paths lead, which endpoints are believed, and configurations
 * that cannot be. */
#include "tests/unit/conn-kit.h"
#include <string.h>

/* What endpoints.c keeps. */
#define KEPT_TOKENS 256

/* ---- Hosts
 * ----------------------------------------------------------------------------
 */

static void
test_hosts(void)
{
  static const struct {
    const char *host, *connection;
  } cases[] = {
      {"githubcopilot.com", "copilot"},
      {"api.githubcopilot.com", "copilot"},
      {"api.individual.githubcopilot.com", "copilot"},
      {"API.GitHubCopilot.COM", "copilot"},
      {"api.githubcopilot.com.", "copilot"},
      {"githubcopilot.com.", "copilot"},
      {"copilot-proxy.githubusercontent.com", "copilot"},
      {"origin-tracker.githubusercontent.com", "copilot"},
      {"copilot-telemetry.githubusercontent.com", "copilot"},
      {"copilot.example.com", "copilot"},
      {"x.copilot.example.com", "copilot"},
      {"github.com", NULL},
      {"gist.github.com", NULL},
      {"api.github.com", NULL},
      {"raw.githubusercontent.com", NULL},
      {"githubusercontent.com", NULL},
      {"evilgithubcopilot.com", NULL},
      {"githubcopilot.com.evil.com", NULL},
      {"githubcopilot.comevil", NULL},
      {"githubcopilot.com..", NULL},
      {"githubcopilot", NULL},
      {"com", NULL},
      {".", NULL},
      {"", NULL},
      {"api.anthropic.com", NULL},
      {"example.com", NULL},
  };
  g_autoptr(Table) table =
      table_new("[connection \"copilot\"]\nhosts=Copilot.Example.com\n");

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    Connection *found = conn_for_host(table->table, cases[i].host, 443);
    const char *name = found ? connection_name(found) : NULL;

    if (g_strcmp0(name, cases[i].connection) != 0)
      g_error("%s: %s", cases[i].host, name);
    g_assert_true(conn_for_host(table->table, cases[i].host, 8443) == found);
  }
}

/* With a held credential GitHub's own API is governed, too; never github.com.
 */
static void
test_held_hosts(void)
{
  g_autoptr(Table) table = NULL;

  g_setenv("HOOP_TEST_CREDENTIAL", "gho_x", TRUE);
  table = table_new(
      "[connection \"copilot\"]\ncredential=env:HOOP_TEST_CREDENTIAL\n");
  g_assert_nonnull(conn_for_host(table->table, "api.github.com", 443));
  g_assert_null(conn_for_host(table->table, "github.com", 443));
  g_assert_null(conn_for_host(table->table, "uploads.github.com", 443));
  g_assert_true(connection_holds_credential(table_get(table, "copilot")));
  g_assert_true(
      g_strv_contains(conn_table_hosts(table->table), "api.github.com"));
  g_assert_false(g_strv_contains(conn_table_hosts(table->table), "github.com"));
}

static void
test_turned_on(void)
{
  g_autoptr(Table) table = table_new("[connection \"copilot\"]\nenabled=false\n"
                                     "[connection \"openai\"]\nenabled=true\n");
  Connection *const *all;
  const char *rest = NULL;
  g_autoptr(GError) error = NULL;
  unsigned n;

  all = conn_table_all(table->table, &n);
  g_assert_cmpuint(n, ==, 1);
  g_assert_cmpstr(connection_name(all[0]), ==, "openai");
  g_assert_nonnull(conn_for_host(table->table, "api.openai.com", 443));
  g_assert_null(conn_for_host(table->table, "api.githubcopilot.com", 443));
  g_assert_null(conn_for_base_url(table->table, "/models", &rest, &error));
  g_assert_error(error, CONN_ERROR, CONN_ERROR_UNKNOWN);
}

static void
test_bad_configurations(void)
{
  static const struct {
    const char *text, *words;
  } cases[] = {
      {"hosts=github.com", "never terminated"},
      {"hosts=GitHub.com", "never terminated"},
      {"hosts=github.com.", "whole host name"},
      {"hosts=com", "whole host name"},
      {"hosts=localhost", "whole host name"},
      {"hosts=.example.com", "whole host name"},
      {"hosts=*.example.com", "whole host name"},
      {"hosts=a..example.com", "whole host name"},
      {"hosts=https://copilot.example.com", "whole host name"},
      {"hosts=copilot.example.com:8443", "whole host name"},
      {"hosts=copilot.example.com/path", "whole host name"},
      {"hosts=copilot example.com", "whole host name"},
      {"hosts=10.0.0.1", "whole host name"},
      {"hosts=[::1]", "whole host name"},
      {"hosts=good.example.com, bad", "whole host name"},
      {"upstream=http://ghe.example.com", "give https://HOST"},
      {"upstream=ghe.example.com", "give https://HOST"},
      {"upstream=https://", "give https://HOST"},
      {"upstream=https://ghe.example.com/", "give https://HOST"},
      {"upstream=https://ghe.example.com/api", "give https://HOST"},
      {"upstream=https://ghe.example.com?x", "give https://HOST"},
      {"upstream=https://ghe.example.com#x", "give https://HOST"},
      {"upstream=https://u:secret@ghe.example.com", "give https://HOST"},
      {"upstream=https://127.0.0.1:8788", "this agent itself"},
      {"upstream=https://localhost:8788", "this agent itself"},
      {"upstream=https://[::1]:8788", "this agent itself"},
      {"type=nothing", "no such type"},
      {"type=", "no such type"},
      {"credential=hub:", "file:PATH, env:NAME or hub:NAME"},
      {"credential=gho_pasted", "file:PATH, env:NAME or hub:NAME"},
      {"credential=file:relative", "absolute path"},
      {"credential=file:/nonexistent/token", "/nonexistent/token"},
      {"credential=env:HOOP_TEST_NOT_SET", "not set"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text =
        g_strdup_printf("[connection \"one\"]\n%s\n", cases[i].text);
    g_autoptr(GError) error = NULL;

    g_assert_null(table_try(text, &error));
    if (!error || error->domain != CONN_ERROR ||
        !strstr(error->message, cases[i].words))
      g_error("%s: %s", cases[i].text, error ? error->message : "fine");
    g_assert_null(strstr(error->message, "secret"));
    g_assert_null(strstr(error->message, "u:"));
  }
}

/* ---- Base URLs
 * ----------------------------------------------------------------------------
 */

static void
test_base_urls(void)
{
  static const struct {
    const char *path, *connection, *rest;
  } cases[] = {
      {"/models", "copilot", "/models"},
      {"/", "copilot", "/"},
      {"/c", "copilot", "/c"},
      {"/cc/x", "copilot", "/cc/x"},
      {"/c/copilot/models", "copilot", "/models"},
      {"/c/copilot/", "copilot", "/"},
      {"/c/copilot", "copilot", "/"},
      {"/c/anthropic/v1/messages", "anthropic", "/v1/messages"},
      {"/c/ghe//x", "ghe", "//x"},
      {"/c/", NULL, NULL},
      {"/c/openai/v1", NULL, NULL},
      {"/c/copilo/x", NULL, NULL},
      {"/c/copilotx/x", NULL, NULL},
      {"/c/../copilot/x", NULL, NULL},
      {"/c/%63opilot/x", NULL, NULL},
  };
  g_autoptr(Table) table =
      table_new("[connection \"anthropic\"]\nenabled=true\n"
                "[connection \"ghe\"]\nhosts=copilot.ghe.example.com\n");

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    const char *rest = NULL;
    Connection *found =
        conn_for_base_url(table->table, cases[i].path, &rest, &error);

    if (g_strcmp0(found ? connection_name(found) : NULL, cases[i].connection) !=
            0 ||
        (found && g_strcmp0(rest, cases[i].rest) != 0))
      g_error("%s: %s", cases[i].path, rest);
    g_assert_true(found
                      ? !error
                      : g_error_matches(error, CONN_ERROR, CONN_ERROR_UNKNOWN));
  }
}

typedef struct {
  const char *method, *path, *url, *host;
  Api api;
  bool completions, auth;
} RouteCase;

static void
check_route(Connection *connection,
            const char *connect_host,
            const char *token,
            const RouteCase *one)
{
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) parts = g_strsplit(one->path, "?", 2);
  Route route = {0};

  g_assert_true(connection_route(connection,
                                 connect_host,
                                 one->method,
                                 parts[0],
                                 parts[1],
                                 token,
                                 &route,
                                 &error));
  g_assert_no_error(error);
  if (!g_str_equal(route.url, one->url) ||
      !g_str_equal(route.host, one->host) || route.api != one->api ||
      route.completions != one->completions || route.auth != one->auth)
    g_error("%s %s: %s for %s, %s%s%s",
            one->method,
            one->path,
            route.url,
            route.host,
            api_name(route.api),
            route.completions ? " completions" : "",
            route.auth ? " auth" : "");
  route_clear(&route);
}

#define API "https://api.githubcopilot.com"
#define GITHUB "https://api.github.com"
#define PROXY "https://copilot-proxy.githubusercontent.com"

static void
test_copilot_paths(void)
{
  static const RouteCase cases[] = {
      {"GET", "/models", API "/models", "api.githubcopilot.com", API_MODELS},
      {"POST",
       "/chat/completions",
       API "/chat/completions",
       "api.githubcopilot.com",
       API_CHAT},
      {"POST",
       "/responses?x=%20y",
       API "/responses?x=%20y",
       "api.githubcopilot.com",
       API_RESPONSES},
      {"POST",
       "/v1/messages?",
       API "/v1/messages?",
       "api.githubcopilot.com",
       API_MESSAGES},
      {"POST",
       "/mcp/readonly",
       API "/mcp/readonly",
       "api.githubcopilot.com",
       API_MCP},
      {"GET", "/agents", API "/agents", "api.githubcopilot.com", API_OTHER},
      {"POST",
       "/v1/engines/gpt-41-copilot/completions",
       PROXY "/v1/engines/gpt-41-copilot/completions",
       "copilot-proxy.githubusercontent.com",
       API_COMPLETIONS,
       .completions = true},
      {"GET",
       "/copilot_internal/v2/token",
       GITHUB "/copilot_internal/v2/token",
       "api.github.com",
       API_TOKEN,
       .auth = true},
      {"GET",
       "/copilot_internal/user",
       GITHUB "/copilot_internal/user",
       "api.github.com",
       API_USER},
      {"GET", "/user", GITHUB "/user", "api.github.com", API_OTHER},
      {"GET", "/users", API "/users", "api.githubcopilot.com", API_OTHER},
      {"GET",
       "/repos/github/copilot-cli/releases",
       GITHUB "/repos/github/copilot-cli/releases",
       "api.github.com",
       API_OTHER},
      {"GET",
       "/embeddings/models",
       GITHUB "/embeddings/models",
       "api.github.com",
       API_OTHER},
      {"POST",
       "/telemetry",
       "https://copilot-telemetry.githubusercontent.com/telemetry",
       "copilot-telemetry.githubusercontent.com",
       API_TELEMETRY},
      {"POST",
       "/login/device/code",
       "https://github.com/login/device/code",
       "github.com",
       API_OTHER,
       .auth = true},
      {"POST",
       "/login/oauth/access_token",
       "https://github.com/login/oauth/access_token",
       "github.com",
       API_OTHER,
       .auth = true},
      {"POST",
       "/@evil.com/x",
       API "/@evil.com/x",
       "api.githubcopilot.com",
       API_OTHER},
  };
  g_autoptr(Table) table = table_new(NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
    check_route(table_get(table, "copilot"), NULL, NULL, &cases[i]);
}

static void
test_connect_paths(void)
{
  static const RouteCase inside = {"POST",
                                   "/chat/completions",
                                   "https://x.githubcopilot.com/chat/"
                                   "completions",
                                   "x.githubcopilot.com",
                                   API_CHAT};
  static const RouteCase port = {"GET",
                                 "/models",
                                 "https://x.githubcopilot.com:8443/models",
                                 "x.githubcopilot.com",
                                 API_MODELS};
  static const RouteCase elsewhere = {"GET",
                                      "/models",
                                      "https://ghe.example.com:8443/models",
                                      "x.githubcopilot.com",
                                      API_MODELS};
  static const RouteCase base_url = {"GET",
                                     "/models",
                                     "https://ghe.example.com:8443/models",
                                     "api.githubcopilot.com",
                                     API_MODELS};
  g_autoptr(Table) table = table_new(NULL);
  g_autoptr(Table) other = table_new(
      "[connection \"copilot\"]\nupstream=https://ghe.example.com:8443\n");

  check_route(
      table_get(table, "copilot"), "x.githubcopilot.com", NULL, &inside);
  check_route(
      table_get(table, "copilot"), "x.githubcopilot.com:8443", NULL, &port);
  check_route(
      table_get(other, "copilot"), "x.githubcopilot.com", NULL, &elsewhere);
  check_route(table_get(other, "copilot"), NULL, NULL, &base_url);
}

static void
test_other_types(void)
{
  static const RouteCase messages = {"POST",
                                     "/v1/messages",
                                     "https://api.anthropic.com/v1/messages",
                                     "api.anthropic.com",
                                     API_MESSAGES};
  static const RouteCase login = {"POST",
                                  "/login/oauth/access_token",
                                  "https://api.anthropic.com/login/oauth/"
                                  "access_token",
                                  "api.anthropic.com",
                                  API_OTHER};
  static const RouteCase responses = {"POST",
                                      "/v1/responses",
                                      "https://api.openai.com/v1/responses",
                                      "api.openai.com",
                                      API_RESPONSES};
  g_autoptr(Table) table =
      table_new("[connection \"anthropic\"]\nenabled=true\n"
                "[connection \"openai\"]\nenabled=true\n");

  check_route(table_get(table, "anthropic"), NULL, NULL, &messages);
  check_route(table_get(table, "anthropic"), NULL, NULL, &login);
  check_route(table_get(table, "openai"), NULL, NULL, &responses);
}

/* What is no path, or one that a server could take for another. */
static void
test_no_path(void)
{
  static const struct {
    const char *method, *path;
  } cases[] = {
      {"GET", ""},
      {"GET", "*"},
      {"GET", "models"},
      {"GET", "@evil.com/"},
      {"GET", "//evil.com/x"},
      {"POST", "/login/../chat/completions"},
      {"POST", "/login/./device/code"},
      {"POST", "/login/%2e%2e/chat/completions"},
      {"POST", "/login//device/code"},
      {"POST", "/Chat/Completions"},
      {"POST", "/chat;x/completions"},
      {"POST", "/chat%2fcompletions"},
      {"POST", "/chat/completion%73"},
      {"GET", "/v1/copilot_internal/v2/token"},
  };
  g_autoptr(Table) table = table_new(NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    Route route = {0};

    if (connection_route(table_get(table, "copilot"),
                         NULL,
                         cases[i].method,
                         cases[i].path,
                         NULL,
                         NULL,
                         &route,
                         &error))
      g_error("%s: %s", cases[i].path, route.url);
    g_assert_error(error, CONN_ERROR, CONN_ERROR_UNKNOWN);
    g_assert_null(route.url);
  }
}

/* ---- Endpoints that came with a token
 * ----------------------------------------------------------- */

static void
tell(Connection *connection, const char *token, const char *endpoints)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *text = g_strdup_printf(
      "{\"token\":\"%s\",\"expires_at\":1,\"endpoints\":%s}", token, endpoints);
  g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
  g_autoptr(GBytes) seen = connection_localize(
      connection, API_TOKEN, "https://127.0.0.1:1", true, NULL, body, &error);

  g_assert_no_error(error);
}

static char *
route_of(Connection *connection, const char *path, const char *token)
{
  Route route = {0};
  char *url;

  g_assert_true(connection_route(
      connection, NULL, "POST", path, NULL, token, &route, NULL));
  url = g_steal_pointer(&route.url);
  route_clear(&route);
  return url;
}

static void
assert_url(Connection *connection,
           const char *path,
           const char *token,
           const char *url)
{
  g_autofree char *got = route_of(connection, path, token);

  g_assert_cmpstr(got, ==, url);
}

static void
test_endpoints(void)
{
  g_autoptr(Table) table = table_new(NULL);
  Connection *copilot = table_get(table, "copilot");

  tell(copilot,
       "tid=1;x:y",
       "{\"api\":\"https://api.business.githubcopilot.com/\","
       "\"proxy\":\"https://proxy.business.githubcopilot.com\","
       "\"origin-tracker\":\"https://o.business.githubcopilot.com\","
       "\"telemetry\":\"https://telemetry.business.githubcopilot.com\"}");
  tell(copilot, "tid=2;x:y", "{\"api\":\"https://a.githubcopilot.com:444\"}");
  assert_url(copilot,
             "/chat/completions",
             "tid=1;x:y",
             "https://api.business.githubcopilot.com/chat/completions");
  assert_url(copilot,
             "/v1/engines/e/completions",
             "tid=1;x:y",
             "https://proxy.business.githubcopilot.com/v1/engines/e/"
             "completions");
  assert_url(copilot,
             "/telemetry",
             "tid=1;x:y",
             "https://telemetry.business.githubcopilot.com/telemetry");
  assert_url(copilot,
             "/responses",
             "tid=2;x:y",
             "https://a.githubcopilot.com:444/"
             "responses");
  assert_url(copilot,
             "/v1/engines/e/completions",
             "tid=2;x:y",
             PROXY "/v1/engines/e/completions");
  /* Nobody else's. */
  assert_url(copilot, "/responses", "tid=3;x:y", API "/responses");
  assert_url(copilot, "/responses", NULL, API "/responses");
  /* The account does not move. */
  assert_url(copilot, "/user", "tid=1;x:y", GITHUB "/user");
}

static void
test_unbelievable_endpoints(void)
{
  static const char *const urls[] = {
      "https://evil.com",
      "https://evilgithubcopilot.com",
      "https://api.githubcopilot.com.evil.com",
      "http://api.githubcopilot.com",
      "https://api.githubcopilot.com@evil.com",
      "https://u:p@api.githubcopilot.com",
      "https://evil.com/.githubcopilot.com",
      "https://evil.com#.githubcopilot.com",
      "https://evil.com?.githubcopilot.com",
      "https://evil.com%2f.githubcopilot.com",
      "https://evil.com%00.githubcopilot.com",
      "https://evil.com\\\\.githubcopilot.com",
      "https://evil.com:443.githubcopilot.com",
      "https://api.githubcopilot.com:99999999",
      "https://api.githubcopilot.com:",
      "https://api.githubcopilot.com/?x=",
      "https://api.githubcopilot.com/../x",
      "https://api.githubcopilot.com/%2e%2e",
      "https://[::1].githubcopilot.com",
      "https:///.githubcopilot.com",
      "https://127.0.0.1",
      "//api.githubcopilot.com",
      "",
  };
  g_autoptr(Table) table = table_new(NULL);
  Connection *copilot = table_get(table, "copilot");

  for (unsigned i = 0; i < G_N_ELEMENTS(urls); i++) {
    g_autofree char *endpoints = g_strdup_printf("{\"api\":\"%s\"}", urls[i]);
    g_autofree char *token = g_strdup_printf("tid=%u;x:y", i);
    g_autofree char *url = NULL;

    tell(copilot, token, endpoints);
    url = route_of(copilot, "/responses", token);
    if (!g_str_equal(url, API "/responses"))
      g_error("%s: %s", urls[i], url);
  }
}

/* The number of remembered tokens is bounded; those in use stay. */
static void
test_endpoints_bound(void)
{
  Endpoints *endpoints = endpoints_new();

  endpoints_set(endpoints, "used", SERVICE_API, "https://used");
  endpoints_set(endpoints, "idle", SERVICE_API, "https://idle");
  for (unsigned i = 0; i < KEPT_TOKENS; i++) {
    g_autofree char *token = g_strdup_printf("%u", i);

    endpoints_set(endpoints, token, SERVICE_PROXY, "https://p");
    g_assert_cmpstr(
        endpoints_get(endpoints, "used", SERVICE_API), ==, "https://used");
  }
  g_assert_null(endpoints_get(endpoints, "idle", SERVICE_API));
  g_assert_null(endpoints_get(endpoints, "0", SERVICE_PROXY));
  g_assert_nonnull(endpoints_get(endpoints, "2", SERVICE_PROXY));
  endpoints_set(endpoints, "used", SERVICE_API, "https://moved");
  g_assert_cmpstr(
      endpoints_get(endpoints, "used", SERVICE_API), ==, "https://moved");
  g_assert_null(endpoints_get(endpoints, "used", SERVICE_PROXY));
  g_assert_null(endpoints_get(endpoints, NULL, SERVICE_API));
  endpoints_free(endpoints);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_) g_test_add_func("/conn/table/" name_, func_)
  ADD("hosts", test_hosts);
  ADD("held-hosts", test_held_hosts);
  ADD("turned-on", test_turned_on);
  ADD("bad-configurations", test_bad_configurations);
  ADD("base-urls", test_base_urls);
  ADD("copilot-paths", test_copilot_paths);
  ADD("connect-paths", test_connect_paths);
  ADD("other-types", test_other_types);
  ADD("no-path", test_no_path);
  ADD("endpoints", test_endpoints);
  ADD("unbelievable-endpoints", test_unbelievable_endpoints);
  ADD("endpoints-bound", test_endpoints_bound);
#undef ADD
  return g_test_run();
}
