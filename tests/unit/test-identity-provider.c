/* SPDX-License-Identifier: Apache-2.0 */
/* Providers that misbehave, before and behind the tokens, and the parts that
 * read what they say. */
#include "identity/fields.h"
#include "identity/web.h"
#include "tests/unit/identity-kit.h"
#include <string.h>

#define DISCOVERY "/.well-known/openid-configuration"
#define LARGE (300 * 1024)

/* ---- discovery ----------------------------------------------------------- */

static const struct {
  const char *name;
  int status;
  const char *edit; /* of the document, %s its URL; */
  const char *body; /* or this as it is */
  IdentityErrorCode code;
  const char *text;
} documents[] = {
    {"another issuer",
     200,
     "\"issuer\":\"https://evil.test\"",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "calls itself https://evil.test"},
    {"a slash more",
     200,
     "\"issuer\":\"%s/\"",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "to the last byte"},
    {"no issuer",
     200,
     "\"issuer\":null",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "calls itself nothing"},
    {"an escape as issuer",
     200,
     "\"issuer\":\"\\u001b[2J\\u202e\"",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "calls itself [2J"},
    {"http token endpoint",
     200,
     "\"token_endpoint\":\"http://127.0.0.1/token\"",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "no https URL as token_endpoint"},
    {"http keys",
     200,
     "\"jwks_uri\":\"http://127.0.0.1/jwks\"",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "no https URL as jwks_uri"},
    {"a file as keys",
     200,
     "\"jwks_uri\":\"file:///etc/passwd\"",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "jwks_uri"},
    {"no keys",
     200,
     "\"jwks_uri\":null",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "no jwks_uri"},
    {"user in an endpoint",
     200,
     "\"userinfo_endpoint\":\"https://a:b@127.0.0.1/\"",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "userinfo_endpoint"},
    {"header in an endpoint",
     200,
     "\"token_endpoint\":\"https://127.0.0.1/\\r\\nX: y\"",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "token_endpoint"},
    {"no device flow",
     200,
     "\"device_authorization_endpoint\":null",
     NULL,
     IDENTITY_ERROR_PROVIDER,
     "--browser"},
    {"no device grant",
     200,
     "\"grant_types_supported\":[\"authorization_code\"]",
     NULL,
     IDENTITY_ERROR_PROVIDER,
     "--browser"},
    {"twice",
     200,
     "\"x\":1,\"x\":2",
     NULL,
     IDENTITY_ERROR_PROTOCOL,
     "member twice"},
    {"no document", 404, NULL, "{}", IDENTITY_ERROR_PROVIDER, "answered 404"},
    {"a page", 200, NULL, "<html></html>", IDENTITY_ERROR_PROTOCOL, "not JSON"},
    {"bad UTF-8",
     200,
     NULL,
     "{\"issuer\":\"\xff\"}",
     IDENTITY_ERROR_PROTOCOL,
     "not JSON"},
    {"broken server", 500, NULL, "{}", IDENTITY_ERROR_UNREACHABLE, "500"},
    {"busy", 429, NULL, "{}", IDENTITY_ERROR_UNREACHABLE, "429"},
    {"redirect",
     0,
     NULL,
     "HTTP/1.1 302 X\r\nLocation: https://127.0.0.1/\r\n"
     "Content-Length: 0\r\n\r\n",
     IDENTITY_ERROR_PROTOCOL,
     "redirect (302)"},
    {"cut", -1, NULL, NULL, IDENTITY_ERROR_UNREACHABLE, ""},
    {"not HTTP", 0, NULL, "hello\r\n\r\n", IDENTITY_ERROR_PROTOCOL, ""},
};

static void
test_documents(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(documents); i++) {
    g_autoptr(Fake) fake = fake_new();
    g_autoptr(Desk) desk = desk_new(fake, NULL);
    g_autofree char *edit = NULL;

    g_test_message("%s", documents[i].name);
    if (documents[i].edit) {
      GString *text = g_string_new(documents[i].edit);

      g_string_replace(text, "%s", fake_issuer(fake), 0);
      edit = g_string_free(text, FALSE);
    }
    fake_answer(fake,
                DISCOVERY,
                documents[i].status,
                edit ? fake_metadata(fake, edit) : g_strdup(documents[i].body));
    desk_sign_in(desk, LOGIN_DEVICE, true);
    assert_login_error(desk, documents[i].code, documents[i].text);
    g_assert_null(strchr(desk->error->message, '\033'));
    g_assert_cmpuint(fake_asked(fake, "/device"), ==, 0);
    g_assert_cmpuint(fake_asked(fake, "/token"), ==, 0);
  }
}

static void
test_huge(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  GString *text = g_string_new("{\"x\":\"");

  for (unsigned i = 0; i < LARGE; i++)
    g_string_append_c(text, 'a');
  g_string_append(text, "\"}");
  fake_answer(fake, DISCOVERY, 200, g_string_free(text, FALSE));
  desk_sign_in(desk, LOGIN_DEVICE, true);
  assert_login_error(desk, IDENTITY_ERROR_PROTOCOL, "more than 256 KiB");
}

/* As much at the token endpoint, whose length nobody told. */
static void
test_endless(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  GString *text = g_string_new("HTTP/1.1 200 X\r\n\r\n{\"access_token\":\"");

  for (unsigned i = 0; i < LARGE; i++)
    g_string_append_c(text, 'a');
  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_answer(fake, "/token", 0, g_string_free(text, FALSE));
  desk_sign_in(desk, LOGIN_DEVICE, true);
  assert_login_error(desk, IDENTITY_ERROR_PROTOCOL, "more than 256 KiB");
}

/* ---- redirects ----------------------------------------------------------- */

static char *
redirect(const Fake *fake, int status)
{
  return g_strdup_printf("HTTP/1.1 %d X\r\nLocation: %s/stolen\r\n"
                         "Content-Length: 0\r\n\r\n",
                         status,
                         fake_issuer(fake));
}

/* Of each endpoint that gets a secret, or says whom to believe. */
static void
test_redirects(void)
{
  static const struct {
    const char *path;
    int status;
  } rows[] = {{"/device", 301},
              {"/device", 302},
              {"/device", 303},
              {"/device", 307},
              {"/device", 308},
              {DISCOVERY, 302},
              {"/jwks", 307},
              {"/token", 307},
              {"/token", 308},
              {"/userinfo", 302},
              {"/revoke", 307}};

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    const char *path = rows[i].path;
    const bool afterwards =
        g_str_equal(path, "/userinfo") || g_str_equal(path, "/revoke");
    g_autoptr(Fake) fake = fake_new();
    g_autoptr(Desk) desk = desk_new(fake, NULL);
    g_autofree char *message = NULL;

    g_test_message("%s: %d", path, rows[i].status);
    fake_answer(fake, path, 0, redirect(fake, rows[i].status));
    fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
    fake_grant(fake, "r1", &(TokenSpec){.groups = "null"});
    desk_sign_in(desk, LOGIN_DEVICE, true);
    if (afterwards) {
      g_assert_no_error(desk->error);
      g_assert_null(desk->person->groups);
      message = desk_logout(desk);
    } else {
      assert_login_error(desk, IDENTITY_ERROR_PROTOCOL, "redirect (30");
    }
    if (g_str_equal(path, "/revoke"))
      g_assert_nonnull(strstr(message, "redirect (30"));
    g_assert_cmpuint(fake_asked(fake, path), ==, 1);
    g_assert_cmpuint(fake_asked(fake, "/stolen"), ==, 0);
  }
}

/* Nor where a refresh token goes. */
static void
test_redirected_renewal(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_grant(fake, "r1", &(TokenSpec){.life = SHORT});
  desk_sign_in(desk, LOGIN_DEVICE, true);
  g_assert_no_error(desk->error);
  fake_forget(fake, "/token");
  fake_answer(fake, "/token", 0, redirect(fake, 308));
  desk_until_event(desk, 'F');
  g_assert_nonnull(strstr(desk->sentence, "redirect (308)"));
  g_assert_cmpuint(fake_asked(fake, "/stolen"), ==, 0);
}

/* Takes as long as the limit: in the long round alone. */
static void
test_slow(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  if (!g_test_slow()) {
    g_test_skip("takes half a minute (-m slow)");
    return;
  }
  fake_answer(fake, DISCOVERY, -2, NULL);
  desk_sign_in(desk, LOGIN_DEVICE, true);
  assert_login_error(desk, IDENTITY_ERROR_UNREACHABLE, "within 30 s");
}

static void
test_no_key_set(void)
{
  static const char *const sets[] = {"{}", "{\"keys\":{}}", "{\"keys\":1}"};

  for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
    g_autoptr(Fake) fake = fake_new();
    g_autoptr(Desk) desk = desk_new(fake, NULL);

    fake_answer(fake, "/jwks", 200, g_strdup(sets[i]));
    fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
    fake_grant(fake, "r", &(TokenSpec){0});
    desk_sign_in(desk, LOGIN_DEVICE, true);
    assert_login_error(desk, IDENTITY_ERROR_PROTOCOL, "");
  }
}

/* ---- what cannot be configured ------------------------------------------- */

static void
test_options(void)
{
  static const struct {
    IssuerOptions issuer;
    const char *text;
  } wrong[] = {
      {{.name = "a", .issuer = "http://idp.test", .client_id = "x"}, "https"},
      {{.name = "a", .issuer = "http://127.0.0.1", .client_id = "x"}, "https"},
      {{.name = "a", .issuer = "https://idp.test?x", .client_id = "x"},
       "query"},
      {{.name = "a", .issuer = "https://idp.test"}, "client-id"},
      {{.name = "a", .issuer = "https://idp.test", .client_id = ""},
       "client-id"},
      {{.name = "a",
        .type = "saml",
        .issuer = "https://idp.test",
        .client_id = "x"},
       "no type \"saml\""},
      {{.name = "a",
        .issuer = "https://idp.test",
        .client_id = "x",
        .ca_file = "/nonexistent/ca.pem"},
       "ca.pem"},
  };
  g_autoptr(Loop) loop = loop_new(NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
    const IdentityOptions options = {
        .issuers = &wrong[i].issuer,
        .n_issuers = 1,
        .upstream = {.connect_timeout = 5, .idle_timeout = 5},
        .state_dir = "/nonexistent"};
    g_autoptr(GError) error = NULL;

    g_assert_null(identity_new(loop, &options, &error));
    g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_CONFIG);
    g_assert_nonnull(strstr(error->message, "\"a\""));
    g_assert_nonnull(strstr(error->message, wrong[i].text));
  }
}

static void
test_solo(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Identity) identity = identity_new_solo(&error);
  const LoginEvents events = {NULL, NULL};
  const LoginSpec spec = {.method = LOGIN_DEVICE};
  SessionInfo info = identity_session(identity, 0);

  g_assert_no_error(error);
  g_assert_cmpuint(identity_count(identity), ==, 1);
  g_assert_cmpstr(info.issuer, ==, "local");
  g_assert_cmpstr(info.person->groups[0], ==, "local");
  g_assert_false(identity_is_machine(identity, NULL));
  g_assert_null(identity_login(identity, &spec, &events, NULL, &error));
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_CONFIG);
}

/* ---- parts --------------------------------------------------------------- */

static void
test_fields(void)
{
  static const char text[] =
      "{\"a\":\"x\",\"n\":3599,\"s\":\"12\",\"f\":1.9,\"neg\":-1.5,\"big\":"
      "1e99,"
      "\"t\":true,\"l\":[{\"q\":[\"deep\"]},\"one\",[\"two\"]],\"z\":"
      "\"\\u0000\","
      "\"e\":\"\",\"u\":\"\\u00e9\",\"o\":{\"a\":\"inner\"},\"w\":\" 1\","
      "\"null\":null}";
  Fields fields;
  int64_t n = 0;
  g_autofree char *a = NULL;
  g_autofree char *u = NULL;
  g_autoptr(Secret) secret = NULL;

  g_assert_true(fields_read(&fields, text, strlen(text), NULL));
  a = fields_text(&fields, "a");
  g_assert_cmpstr(a, ==, "x");
  u = fields_text(&fields, "u");
  g_assert_cmpstr(u, ==, "\xc3\xa9");
  g_assert_null(fields_text(&fields, "z"));
  g_assert_null(fields_text(&fields, "e"));
  g_assert_null(fields_text(&fields, "n"));
  g_assert_null(fields_text(&fields, "missing"));
  g_assert_null(fields_secret(&fields, "u"));
  secret = fields_secret(&fields, "a");
  g_assert_cmpstr(secret_text(secret), ==, "x");
  g_assert_true(fields_number(&fields, "n", &n) && n == 3599);
  g_assert_true(fields_number(&fields, "s", &n) && n == 12);
  g_assert_true(fields_number(&fields, "f", &n) && n == 1);
  g_assert_true(fields_number(&fields, "neg", &n) && n == -2);
  g_assert_false(fields_number(&fields, "big", &n));
  g_assert_false(fields_number(&fields, "a", &n));
  g_assert_false(fields_number(&fields, "w", &n));
  g_assert_cmpint(n, ==, -2);
  g_assert_true(fields_true(&fields, "t"));
  g_assert_false(fields_true(&fields, "n"));
  g_assert_true(fields_lists(&fields, "l", "one"));
  g_assert_false(fields_lists(&fields, "l", "deep"));
  g_assert_false(fields_lists(&fields, "l", "two"));
  g_assert_true(fields_has(&fields, "null"));
  g_assert_false(fields_has(&fields, "q"));
}

static void
test_urls(void)
{
  static const char *const good[] = {"https://idp.example",
                                     "https://idp.example/a?b=c%20d",
                                     "https://[::1]:8443/x",
                                     "HTTPS://idp.example:1/"};
  static const char *const bad[] = {"",
                                    "http://idp.example",
                                    "https://",
                                    "https:///x",
                                    "https://:443/",
                                    "https://a@idp.example",
                                    "https://idp.example#x",
                                    "https://idp.example/\"",
                                    "https://idp.example/\\",
                                    "https://idp.example/a b",
                                    "https://idp.example/\xc3\xa9",
                                    "https://idp.example/\n",
                                    "xhttps://idp.example"};
  GString *longest = g_string_new("https://idp.example/");

  for (unsigned i = 0; i < G_N_ELEMENTS(good); i++)
    g_assert_true(web_url_is_safe(good[i]));
  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_test_message("%s", bad[i]);
    g_assert_false(web_url_is_safe(bad[i]));
  }
  g_assert_false(web_url_is_safe(NULL));
  while (longest->len < 2049)
    g_string_append_c(longest, 'a');
  g_assert_false(web_url_is_safe(longest->str));
  g_string_free(longest, TRUE);
}

int
main(int argc, char **argv)
{
  desk_prepare();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/provider/fields", test_fields);
  g_test_add_func("/identity/provider/urls", test_urls);
  g_test_add_func("/identity/provider/options", test_options);
  g_test_add_func("/identity/provider/solo", test_solo);
  g_test_add_func("/identity/provider/documents", test_documents);
  g_test_add_func("/identity/provider/huge", test_huge);
  g_test_add_func("/identity/provider/endless", test_endless);
  g_test_add_func("/identity/provider/redirects", test_redirects);
  g_test_add_func("/identity/provider/redirected-renewal",
                  test_redirected_renewal);
  g_test_add_func("/identity/provider/slow", test_slow);
  g_test_add_func("/identity/provider/no-key-set", test_no_key_set);
  return g_test_run();
}
