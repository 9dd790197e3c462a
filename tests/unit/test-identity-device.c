/* SPDX-License-Identifier: Apache-2.0 */
/* The device flow against a provider that says everything that RFC 8628 and
 * others let it say. */
#include "tests/unit/identity-kit.h"
#include <string.h>

/* us by which a busy machine may see a poll too late, and the next one in
 * time. */
#define LATE 300000

#define PENDING "{\"error\":\"authorization_pending\"}"

static void
test_signs_in(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *who = NULL;
  g_autofree char *asked = NULL;
  SessionInfo info;

  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_answer(fake, "/token", 400, g_strdup(PENDING));
  fake_grant(fake, "r1", &(TokenSpec){0});
  desk_sign_in(desk, LOGIN_DEVICE, false);
  g_assert_no_error(desk->error);
  g_assert_cmpstr(desk->user_code, ==, "NVVG-GNJH");
  g_assert_true(g_str_has_suffix(desk->url, "/activate"));
  g_assert_true(g_str_has_suffix(desk->url_whole, "?code=NVVG-GNJH"));
  g_assert_cmpstr(desk->person->user, ==, "dev");
  g_assert_cmpstr(desk->person->groups[0], ==, "dev");
  /* Without a keyring it is told that nothing is kept. */
  g_assert_nonnull(strstr(desk->notice, "memory only"));
  who = desk_who(desk);
  g_assert_cmpstr(who, ==, "dev");
  info = identity_session(desk->identity, 0);
  g_assert_cmpstr(info.storage, ==, "memory");
  g_assert_false(info.machine);
  g_assert_false(info.signing_in);
  g_assert_cmpstr(desk->events->str, ==, "I");
  asked = fake_last(fake, "/device");
  g_assert_cmpstr(asked, ==, "scope=openid%20offline_access&client_id=agent");
  g_assert_cmpint(fake_when(fake, "/token", 1) - fake_when(fake, "/token", 0),
                  >=,
                  1000000 - LATE);
}

static int64_t
between(Fake *fake, unsigned poll)
{
  return fake_when(fake, "/token", poll) - fake_when(fake, "/token", poll - 1);
}

/* RFC 8628 section 3.5: five seconds more when asked, and twice as long after
 * each failure of the network; both at once to save time. */
static void
test_patience(void)
{
  g_autoptr(Fake) slow = fake_new();
  g_autoptr(Fake) broken = fake_new();
  g_autoptr(Desk) slow_desk = desk_new(slow, NULL);
  g_autoptr(Desk) broken_desk = desk_new(broken, NULL);

  fake_answer(slow, "/device", 200, fake_device(slow, 1, 600));
  fake_answer(slow, "/token", 400, g_strdup("{\"error\":\"slow_down\"}"));
  fake_grant(slow, "r1", &(TokenSpec){0});
  desk_login(slow_desk, LOGIN_DEVICE, false);
  fake_answer(broken, "/device", 200, fake_device(broken, 1, 600));
  fake_answer(broken, "/token", -1, NULL);
  fake_answer(broken, "/token", 503, g_strdup("busy"));
  fake_grant(broken, "r1", &(TokenSpec){0});
  desk_sign_in(broken_desk, LOGIN_DEVICE, false);
  desk_wait(slow_desk);
  g_assert_no_error(slow_desk->error);
  g_assert_cmpint(between(slow, 1), >=, 6000000 - LATE);
  g_assert_no_error(broken_desk->error);
  g_assert_cmpuint(fake_asked(broken, "/token"), ==, 3);
  g_assert_cmpint(between(broken, 1), >=, 2000000 - LATE);
  g_assert_cmpint(between(broken, 2), >=, 4000000 - LATE);
}

static void
test_expires(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  fake_answer(fake, "/device", 200, fake_device(fake, 1, 2));
  fake_answer(fake, "/token", 400, g_strdup(PENDING));
  desk_sign_in(desk, LOGIN_DEVICE, false);
  assert_login_error(desk, IDENTITY_ERROR_EXPIRED, "not used in time");
}

/* One poll each, answered so. */
static const struct {
  const char *name;
  const char *answer;
  int status;
  IdentityErrorCode code;
  const char *text;
} polls[] = {
    {"denied",
     "{\"error\":\"access_denied\"}",
     400,
     IDENTITY_ERROR_DENIED,
     "access_denied"},
    {"expired",
     "{\"error\":\"expired_token\"}",
     400,
     IDENTITY_ERROR_EXPIRED,
     "expired_token"},
    {"gone",
     "{\"error\":\"invalid_grant\"}",
     400,
     IDENTITY_ERROR_EXPIRED,
     "invalid_grant"},
    {"errors with 200",
     "{\"error\":\"access_denied\"}",
     200,
     IDENTITY_ERROR_DENIED,
     "access_denied"},
    {"errors with 403",
     "{\"error\":\"access_denied\"}",
     403,
     IDENTITY_ERROR_DENIED,
     "access_denied"},
    {"client",
     "{\"error\":\"invalid_client\"}",
     401,
     IDENTITY_ERROR_CONFIG,
     "client-id"},
    {"scope",
     "{\"error\":\"invalid_scope\"}",
     400,
     IDENTITY_ERROR_CONFIG,
     "scopes"},
    {"unknown",
     "{\"error\":\"flux\",\"error_description\":\"a\\u001b[31mb\\u202ec\"}",
     400,
     IDENTITY_ERROR_PROVIDER,
     "flux: a[31mbc"},
    {"no word", "{}", 400, IDENTITY_ERROR_PROVIDER, "HTTP status 400"},
    {"not JSON", "<html>", 400, IDENTITY_ERROR_PROVIDER, "answered 400"},
    {"not JSON, good", "<html>", 200, IDENTITY_ERROR_PROTOCOL, "not JSON"},
    {"an array", "[]", 200, IDENTITY_ERROR_PROTOCOL, "not a JSON object"},
    {"twice",
     "{\"error\":\"access_denied\",\"error\":\"slow_down\"}",
     400,
     IDENTITY_ERROR_PROVIDER,
     "answered 400"},
    {"nothing", "", 200, IDENTITY_ERROR_PROTOCOL, "not JSON"},
    {"no tokens", "{}", 200, IDENTITY_ERROR_PROTOCOL, "no ID token"},
    {"mac token",
     "{\"access_token\":\"made-up\",\"token_type\":\"mac\"}",
     200,
     IDENTITY_ERROR_PROTOCOL,
     "Bearer"},
    {"bad token",
     "{\"access_token\":\"made-up\",\"token_type\":\"Bearer\","
     "\"id_token\":\"a.b.c\"}",
     200,
     IDENTITY_ERROR_TOKEN,
     ""},
    {"redirect",
     "HTTP/1.1 307 X\r\nLocation: https://127.0.0.1/token\r\n"
     "Content-Length: 0\r\n\r\n",
     0,
     IDENTITY_ERROR_PROTOCOL,
     "redirect (307)"},
    {"coded",
     "HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
     0,
     IDENTITY_ERROR_PROTOCOL,
     "coding"},
};

/* All at once: each waits a second for its first poll. */
static void
test_polls(void)
{
  Fake *fakes[G_N_ELEMENTS(polls)];
  Desk *desks[G_N_ELEMENTS(polls)];

  for (unsigned i = 0; i < G_N_ELEMENTS(polls); i++) {
    fakes[i] = fake_new();
    desks[i] = desk_new(fakes[i], NULL);
    fake_answer(fakes[i], "/device", 200, fake_device(fakes[i], 1, 600));
    fake_answer(fakes[i], "/token", polls[i].status, g_strdup(polls[i].answer));
    desk_login(desks[i], LOGIN_DEVICE, false);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(polls); i++) {
    g_autofree char *who = NULL;

    g_test_message("%s", polls[i].name);
    desk_wait(desks[i]);
    assert_login_error(desks[i], polls[i].code, polls[i].text);
    g_assert_null(strstr(desks[i]->error->message, "made-up"));
    g_assert_cmpuint(fake_asked(fakes[i], "/token"), ==, 1);
    who = desk_who(desks[i]);
    g_assert_nonnull(strstr(who, "Run `hoop-agent login`"));
    desk_free(desks[i]);
    fake_free(fakes[i]);
  }
}

/* The provider's first answer; %s is its URL. */
static const struct {
  const char *name;
  const char *answer;
  const char *text;
} codes[] = {
    {"no device code",
     "{\"user_code\":\"A\",\"verification_uri\":\"%s\",\"expires_in\":60}",
     "no device code"},
    {"device code with a line's end",
     "{\"device_code\":\"a\\nb\",\"user_code\":\"A\",\"verification_uri\":"
     "\"%s\",\"expires_in\":60}",
     "no device code"},
    {"no expiry",
     "{\"device_code\":\"d\",\"user_code\":\"A\",\"verification_uri\":\"%s\"}",
     "no device code"},
    {"expired",
     "{\"device_code\":\"d\",\"user_code\":\"A\",\"verification_uri\":\"%s\","
     "\"expires_in\":0}",
     "no device code"},
    {"no user code",
     "{\"device_code\":\"d\",\"verification_uri\":\"%s\",\"expires_in\":60}",
     "no user code"},
    {"user code with an escape",
     "{\"device_code\":\"d\",\"user_code\":\"A\\u001b[2J\","
     "\"verification_uri\":\"%s\",\"expires_in\":60}",
     "no user code"},
    {"http",
     "{\"device_code\":\"d\",\"user_code\":\"A\",\"verification_uri\":"
     "\"http://127.0.0.1/\",\"expires_in\":60}",
     "no https"},
    {"javascript",
     "{\"device_code\":\"d\",\"user_code\":\"A\",\"verification_uri\":"
     "\"javascript:alert(1)\",\"expires_in\":60}",
     "no https"},
    {"user in the URL",
     "{\"device_code\":\"d\",\"user_code\":\"A\",\"verification_uri\":"
     "\"https://idp.example@evil.test/\",\"expires_in\":60}",
     "no https"},
    {"space in the URL",
     "{\"device_code\":\"d\",\"user_code\":\"A\",\"verification_uri\":"
     "\"https://idp.example/ --help\",\"expires_in\":60}",
     "no https"},
};

static void
test_code(const void *data)
{
  const unsigned i = GPOINTER_TO_UINT(data);
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  GString *answer = g_string_new(codes[i].answer);

  g_string_replace(answer, "%s", fake_issuer(fake), 0);
  fake_answer(fake, "/device", 200, g_string_free(answer, FALSE));
  desk_sign_in(desk, LOGIN_DEVICE, false);
  assert_login_error(desk, IDENTITY_ERROR_PROTOCOL, codes[i].text);
  g_assert_false(desk->prompted);
}

/* Google's older name for the address, and no complete one. */
static void
test_verification_url(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  fake_answer(fake,
              "/device",
              200,
              g_strdup_printf(
                  "{\"device_code\":\"d\",\"user_code\":\"A\",\"expires_in\":"
                  "\"600\",\"interval\":1,\"verification_url\":\"%s/go\","
                  "\"verification_uri_complete\":\"http://127.0.0.1/\"}",
                  fake_issuer(fake)));
  fake_grant(fake, "r1", &(TokenSpec){0});
  desk_sign_in(desk, LOGIN_DEVICE, false);
  g_assert_no_error(desk->error);
  g_assert_true(g_str_has_suffix(desk->url, "/go"));
  g_assert_null(desk->url_whole);
}

static bool
was_prompted(void *data)
{
  return ((Desk *)data)->prompted;
}

static void
test_cancel(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  const LoginSpec spec = {.method = LOGIN_DEVICE};
  const LoginEvents events = {NULL, NULL};
  g_autoptr(GError) error = NULL;

  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_answer(fake, "/token", 400, g_strdup(PENDING));
  desk_login(desk, LOGIN_DEVICE, false);
  desk_until(was_prompted, desk);
  g_assert_true(identity_session(desk->identity, 0).signing_in);
  g_assert_null(identity_login(desk->identity, &spec, &events, NULL, &error));
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_BUSY);
  login_cancel(desk->login);
  g_assert_false(identity_session(desk->identity, 0).signing_in);
  desk_run(1500);
  g_assert_false(desk->done);
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 0);
}

static void
test_no_such_issuer(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  const LoginSpec spec = {.issuer = "other", .method = LOGIN_DEVICE};
  const LoginEvents events = {NULL, NULL};
  g_autoptr(GError) error = NULL;

  g_assert_null(identity_login(desk->identity, &spec, &events, NULL, &error));
  g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_CONFIG);
}

int
main(int argc, char **argv)
{
  desk_prepare();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/device/signs-in", test_signs_in);
  g_test_add_func("/identity/device/patience", test_patience);
  g_test_add_func("/identity/device/polls", test_polls);
  g_test_add_func("/identity/device/expires", test_expires);
  g_test_add_func("/identity/device/verification-url", test_verification_url);
  g_test_add_func("/identity/device/cancel", test_cancel);
  g_test_add_func("/identity/device/no-such-issuer", test_no_such_issuer);
  for (unsigned i = 0; i < G_N_ELEMENTS(codes); i++) {
    g_autofree char *name =
        g_strdup_printf("/identity/device/code/%s", codes[i].name);

    g_test_add_data_func(name, GUINT_TO_POINTER(i), test_code);
  }
  return g_test_run();
}
