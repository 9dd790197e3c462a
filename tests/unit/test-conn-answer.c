/* SPDX-License-Identifier: Apache-2.0 */
/* What the client sees of answers that carry a token or endpoints: never the
 * real token, the agent's address in place of the endpoints, every other byte
 * as it came; and answers that two readers could read differently, refused. */
#include "tests/unit/conn-kit.h"
#include <string.h>

#define SELF "https://127.0.0.1:8788"
#define REAL "tid=abc123;exp=1900000000;sku=yearly;8kp=1:f00dfeed"
#define MINE "gho_hoop0123456789abcdef0123456789abcdef"
#define DUMMY "tid=" MINE ";exp=1900000000;sku=yearly;8kp=1:hoop-agent"

static Table *
plain_table(void)
{
  return table_new("[connection \"ghe\"]\nhosts=copilot.example.com\n");
}

static Table *
held_table(void)
{
  g_setenv("HOOP_TEST_CREDENTIAL", "gho_the-real-one", TRUE);
  g_setenv("HOOP_TEST_OTHER", "gho_the-other-one", TRUE);
  return table_new("[connection \"copilot\"]\n"
                   "credential=env:HOOP_TEST_CREDENTIAL\n"
                   "[connection \"ghe\"]\n"
                   "hosts=copilot.example.com\n"
                   "credential=env:HOOP_TEST_OTHER\n");
}

static char *
localize(Connection *connection,
         Api api,
         bool base_url,
         const char *client,
         const char *text,
         gssize len,
         GError **error)
{
  g_autoptr(GBytes) body =
      g_bytes_new(text, len < 0 ? strlen(text) : (size_t)len);
  g_autoptr(GBytes) seen =
      connection_localize(connection, api, SELF, base_url, client, body, error);

  return seen ? g_strndup(g_bytes_get_data(seen, NULL), g_bytes_get_size(seen))
              : NULL;
}

typedef struct {
  const char *body, *seen;
} Case;

static void
run(Connection *connection,
    Api api,
    bool base_url,
    const char *client,
    const Case *cases,
    unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *seen =
        localize(connection, api, base_url, client, cases[i].body, -1, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(seen, ==, cases[i].seen);
  }
}

/* The client's own token passes through; by base URL its endpoints are us. */
static void
test_own_token(void)
{
  static const char body[] =
      "{\"token\": \"" REAL "\",\n \"expires_at\": 1900000000,"
      "\"endpoints\":{\"api\":\"https://api.x.githubcopilot.com\", "
      "\"odd\":null,\"proxy\":\"https:\\/\\/p.githubcopilot.com\"},"
      "\"n\":1e3, \"u\":\"\\u00e4\"}\n";
  static const Case here[] = {
      {body,
       "{\"token\": \"" REAL "\",\n \"expires_at\": 1900000000,"
       "\"endpoints\":{\"api\":\"" SELF "\", "
       "\"odd\":null,\"proxy\":\"" SELF "\"},"
       "\"n\":1e3, \"u\":\"\\u00e4\"}\n"},
      {"{}", "{}"},
      {"{\"endpoints\":null}", "{\"endpoints\":null}"},
      {"{\"endpoints\":[\"https://x\"]}", "{\"endpoints\":[\"https://x\"]}"},
      {"{\"a\":{\"endpoints\":{\"api\":\"x\"},\"token\":\"y\"}}",
       "{\"a\":{\"endpoints\":{\"api\":\"x\"},\"token\":\"y\"}}"},
      {" {\"endpoints\" : {} } ", " {\"endpoints\" : {} } "},
  };
  static const Case there[] = {{body, body}};
  g_autoptr(Table) table = plain_table();
  Connection *copilot = table_get(table, "copilot");

  run(copilot, API_TOKEN, true, NULL, here, G_N_ELEMENTS(here));
  run(copilot, API_USER, true, "gho_x", here, G_N_ELEMENTS(here));
  run(copilot, API_TOKEN, false, NULL, there, G_N_ELEMENTS(there));
  run(copilot, API_USER, false, "gho_x", there, G_N_ELEMENTS(there));
}

/* A client that came by /c/NAME is sent back there, not to the default. */
static void
test_named_connection(void)
{
  static const Case cases[] = {
      {"{\"endpoints\":{\"api\":\"https://api.githubcopilot.com\"}}",
       "{\"endpoints\":{\"api\":\"" SELF "/c/ghe\"}}"}};
  g_autoptr(Table) table = plain_table();

  run(table_get(table, "ghe"), API_USER, true, "gho_x", cases, 1);
}

static void
test_other_apis(void)
{
  g_autoptr(Table) table = held_table();
  g_autoptr(GBytes) body = g_bytes_new_static("not JSON " REAL, 9);

  for (unsigned api = 0; api < N_APIS; api++) {
    g_autoptr(GBytes) seen = NULL;

    if (api == API_TOKEN || api == API_USER)
      continue;
    seen = connection_localize(
        table_get(table, "copilot"), (Api)api, SELF, true, MINE, body, NULL);
    g_assert_true(seen == body);
  }
}

/* ---- A held credential
 * -------------------------------------------------------------------- */

static void
test_held_token(void)
{
  static const Case cases[] = {
      {"{\"token\":\"" REAL "\",\"expires_at\":1900000000,"
       "\"endpoints\":{\"api\":\"https://a.githubcopilot.com\"},\"z\":[1]}",
       "{\"token\":\"" DUMMY "\",\"expires_at\":1900000000,"
       "\"endpoints\":{\"api\":\"" SELF "\"},\"z\":[1]}"},
      /* The same, in another order and with escapes. */
      {"{\"endpoints\":{},\"expires_at\":1900000000,\"\\u0074oken\":"
       "\"tid\\u003dabc123;exp=1900000000;sku=yearly;8kp=1:f00d\\u0066eed\"}",
       "{\"endpoints\":{},\"expires_at\":1900000000,\"\\u0074oken\":"
       "\"" DUMMY "\"}"},
      /* An address among the fields has colons of its own. */
      {"{\"token\":\"tid=a;ip=2001:db8::1;z=1:f00dfeed\",\"expires_at\":1}",
       "{\"token\":\"tid=" MINE ";ip=2001:db8::1;z=1:hoop-agent\","
       "\"expires_at\":1}"},
      /* Of a token of another form no part is passed on. */
      {"{\"token\":\"opaque;with;parts\",\"expires_at\":1}",
       "{\"token\":\"tid=" MINE ":hoop-agent\",\"expires_at\":1}"},
      {"{\"token\":\"tid=a;secret=b\",\"expires_at\":1}",
       "{\"token\":\"tid=" MINE ":hoop-agent\",\"expires_at\":1}"},
      {"{\"token\":\"a:b;c\",\"expires_at\":1}",
       "{\"token\":\"tid=" MINE ":hoop-agent\",\"expires_at\":1}"},
  };
  g_autoptr(Table) table = held_table();
  Connection *copilot = table_get(table, "copilot");

  run(copilot, API_TOKEN, true, MINE, cases, G_N_ELEMENTS(cases));
}

/* By CONNECT the endpoints stay, the token does not. */
static void
test_held_connect(void)
{
  static const Case cases[] = {
      {"{\"token\":\"" REAL "\",\"expires_at\":1900000000,"
       "\"endpoints\":{\"api\":\"https://a.githubcopilot.com\"}}",
       "{\"token\":\"" DUMMY "\",\"expires_at\":1900000000,"
       "\"endpoints\":{\"api\":\"https://a.githubcopilot.com\"}}"}};
  g_autoptr(Table) table = held_table();
  Connection *copilot = table_get(table, "copilot");
  Route route = {0};

  run(copilot, API_TOKEN, false, MINE, cases, 1);
  g_assert_cmpstr(session_token(copilot->session), ==, REAL);
  /* And the dummy is what the endpoints are remembered under. */
  g_assert_true(connection_route(
      copilot, NULL, "POST", "/responses", NULL, DUMMY, &route, NULL));
  g_assert_cmpstr(route.url, ==, "https://a.githubcopilot.com/responses");
  route_clear(&route);
  g_assert_null(session_token(table_get(table, "ghe")->session));
}

/* An answer that was long on its way does not undo a rotation. */
static void
test_no_undoing(void)
{
  static const char second[] =
      "{\"token\":\"tid=second;x:y\",\"expires_at\":1900000000}";
  static const char late[] =
      "{\"token\":\"tid=late;x:y\",\"expires_at\":1900000000}";
  g_autoptr(Table) table = held_table();
  Connection *copilot = table_get(table, "copilot");

  g_free(localize(copilot, API_TOKEN, true, MINE, second, -1, NULL));
  g_free(localize(copilot, API_TOKEN, true, MINE, late, -1, NULL));
  g_assert_cmpstr(session_token(copilot->session), ==, "tid=second;x:y");
}

static void
assert_refused(Connection *connection,
               Api api,
               const char *client,
               const char *text,
               gssize len)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *seen =
      localize(connection, api, true, client, text, len, &error);

  if (seen)
    g_error("%s: %s", text, seen);
  g_assert_error(error, CONN_ERROR, CONN_ERROR_CREDENTIAL);
  g_assert_null(strstr(error->message, "f00dfeed"));
  g_assert_null(strstr(error->message, "abc123"));
}

static void
test_held_refused(void)
{
  static const char *const texts[] = {
      "{}",
      "{\"token\":\"" REAL "\"}",
      "{\"expires_at\":1}",
      "{\"token\":null,\"expires_at\":1}",
      "{\"token\":5,\"expires_at\":1}",
      "{\"token\":{\"a\":\"" REAL "\"},\"expires_at\":1}",
      "{\"token\":[\"" REAL "\"],\"expires_at\":1}",
      "{\"token\":\"\",\"expires_at\":1}",
      "{\"token\":\"" REAL "\\r\\nX: y\",\"expires_at\":1}",
      "{\"token\":\"" REAL "\\u0000\",\"expires_at\":1}",
      "{\"token\":\"a b\",\"expires_at\":1}",
      "{\"token\":\"" REAL "\",\"expires_at\":null}",
      "{\"token\":\"" REAL "\",\"expires_at\":\"1\"}",
      "{\"token\":\"" REAL "\",\"expires_at\":1.5}",
      "{\"token\":\"" REAL "\",\"expires_at\":1e3}",
      "{\"token\":\"" REAL "\",\"expires_at\":-1}",
      "{\"token\":\"" REAL "\",\"expires_at\":99999999999999999999}",
      "{\"token\":\"" REAL "\",\"expires_at\":1,\"again\":\"" REAL "\"}",
      "{\"token\":\"" REAL "\",\"expires_at\":1,\"x\":{\"" REAL "\":1}}",
  };
  g_autoptr(Table) table = held_table();
  Connection *copilot = table_get(table, "copilot");

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
    assert_refused(copilot, API_TOKEN, MINE, texts[i], -1);
  /* Without a token of its own a client cannot be given one. */
  assert_refused(copilot,
                 API_TOKEN,
                 NULL,
                 "{\"token\":\"" REAL "\",\"expires_at\":1}",
                 -1);
  g_assert_null(session_latest(copilot->session));
}

/* What one reader takes for the token and another does not. */
static void
test_ambiguous(void)
{
#define T "\"token\":\"" REAL "\",\"expires_at\":1"
  static const char *const texts[] = {
      "",
      "null",
      "[]",
      "\"" REAL "\"",
      "{" T,
      "{" T "}}",
      "{" T "} x",
      "{" T "}{" T "}",
      "{" T ",}",
      "{" T "," T "}",
      "{" T ",\"token\":\"x\"}",
      "{" T ",\"tok\\u0065n\":\"x\"}",
      "{" T ",\"token\\u0000\":\"x\"}",
      "{" T ",\"a\":1,\"a\":2}",
      "{" T ",\"expires_at\":2}",
      "{" T ",\"endpoints\":{\"api\":\"x\",\"api\":\"y\"}}",
      "{" T ",\"endpoints\":{\"a\\u0000\":\"x\"}}",
      "{" T ",\"endpoints\":{},\"endpoints\":{}}",
      "{'token':'" REAL "','expires_at':1}",
      "{" T ",\"x\":NaN}",
      "{" T ",\"x\":01}",
      "{" T ",\"x\":\"\t\"}",
      "{" T ",/**/\"x\":1}",
      "\xef\xbb\xbf{" T "}",
  };
  g_autoptr(Table) table = held_table();
  g_autoptr(Table) plain = plain_table();

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
    assert_refused(table_get(table, "copilot"), API_TOKEN, MINE, texts[i], -1);
    assert_refused(table_get(table, "copilot"), API_USER, MINE, texts[i], -1);
    assert_refused(table_get(plain, "copilot"), API_TOKEN, NULL, texts[i], -1);
  }
  assert_refused(table_get(table, "copilot"),
                 API_TOKEN,
                 MINE,
                 "{" T "}\0{" T "}",
                 (gssize)(2 * strlen("{" T "}") + 1));
#undef T
}

static void
test_sizes(void)
{
  g_autoptr(Table) table = plain_table();
  Connection *copilot = table_get(table, "copilot");

  for (unsigned n = 14; n < 20; n++) {
    g_autoptr(GString) text = g_string_new("{\"endpoints\":{");
    g_autoptr(GError) error = NULL;
    g_autofree char *seen = NULL;

    for (unsigned i = 0; i < n; i++)
      g_string_append_printf(text, "%s\"e%u\":\"x\"", i ? "," : "", i);
    g_string_append(text, "}}");
    seen = localize(copilot, API_USER, true, "gho_x", text->str, -1, &error);
    g_assert_cmpint(seen != NULL, ==, n <= 16);
  }
  for (unsigned n = 250; n < 260; n++) {
    g_autoptr(GString) text = g_string_new("{");
    g_autofree char *seen = NULL;

    for (unsigned i = 0; i < n; i++)
      g_string_append_printf(text, "%s\"e%u\":[{}]", i ? "," : "", i);
    g_string_append_c(text, '}');
    seen = localize(copilot, API_USER, true, "gho_x", text->str, -1, NULL);
    g_assert_cmpint(seen != NULL, ==, n <= 256);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_) g_test_add_func("/conn/answer/" name_, func_)
  ADD("own-token", test_own_token);
  ADD("named-connection", test_named_connection);
  ADD("other-apis", test_other_apis);
  ADD("held-token", test_held_token);
  ADD("held-connect", test_held_connect);
  ADD("no-undoing", test_no_undoing);
  ADD("held-refused", test_held_refused);
  ADD("ambiguous", test_ambiguous);
  ADD("sizes", test_sizes);
#undef ADD
  return g_test_run();
}
