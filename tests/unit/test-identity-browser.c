/* SPDX-License-Identifier: Apache-2.0 */
/* Code and PKCE: what the browser is sent to, what may come back to the
 * listener, and what must not. */
#include "identity/callback.h"
#include "kit/digest.h"
#include "tests/unit/identity-kit.h"
#include <gio/gio.h>
#include <string.h>

/* ---- the browser --------------------------------------------------------- */

/* A decoded parameter of the URL; NULL when it is not there. */
static char *
parameter(const char *url, const char *name)
{
  g_autoptr(GHashTable) query = g_uri_parse_params(
      strchr(url, '?') + 1, -1, "&", G_URI_PARAMS_NONE, NULL);

  return g_strdup(g_hash_table_lookup(query, name));
}

typedef struct {
  GInputStream *stream;
  GString *text;
  bool done;
  char bytes[4096];
} Page;

static void
on_read(GObject *source, GAsyncResult *result, void *data)
{
  Page *page = data;
  const gssize n =
      g_input_stream_read_finish(G_INPUT_STREAM(source), result, NULL);

  if (n <= 0) {
    page->done = true;
    return;
  }
  g_string_append_len(page->text, page->bytes, n);
  g_input_stream_read_async(page->stream,
                            page->bytes,
                            sizeof page->bytes,
                            G_PRIORITY_DEFAULT,
                            NULL,
                            on_read,
                            page);
}

static bool
is_read(void *data)
{
  return ((Page *)data)->done;
}

/* Sends these bytes to the listener of the URI; what came back. */
static char *
send_raw(const char *redirect, const char *request)
{
  g_autoptr(GUri) uri = g_uri_parse(redirect, G_URI_FLAGS_NONE, NULL);
  g_autoptr(GSocketClient) client = g_socket_client_new();
  g_autoptr(GSocketConnection) connection = g_socket_client_connect_to_host(
      client, g_uri_get_host(uri), (guint16)g_uri_get_port(uri), NULL, NULL);
  Page page = {.text = g_string_new(NULL)};

  if (!connection) {
    g_string_free(page.text, TRUE);
    return NULL;
  }
  g_assert_true(g_output_stream_write_all(
      g_io_stream_get_output_stream(G_IO_STREAM(connection)),
      request,
      strlen(request),
      NULL,
      NULL,
      NULL));
  page.stream = g_io_stream_get_input_stream(G_IO_STREAM(connection));
  g_input_stream_read_async(page.stream,
                            page.bytes,
                            sizeof page.bytes,
                            G_PRIORITY_DEFAULT,
                            NULL,
                            on_read,
                            &page);
  desk_until(is_read, &page);
  return g_string_free(page.text, FALSE);
}

static char *
get(const char *redirect, const char *query)
{
  g_autoptr(GUri) uri = g_uri_parse(redirect, G_URI_FLAGS_NONE, NULL);
  g_autofree char *request =
      g_strdup_printf("GET %s?%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
                      g_uri_get_path(uri),
                      query,
                      g_uri_get_port(uri));

  return send_raw(redirect, request);
}

static bool
was_prompted(void *data)
{
  return ((Desk *)data)->prompted || ((Desk *)data)->done;
}

/* Begins a sign-in; the redirect URI and the state. */
static char *
begin(Desk *desk, char **state)
{
  desk_login(desk, LOGIN_BROWSER, true);
  desk_until(was_prompted, desk);
  g_assert_no_error(desk->error);
  g_assert_null(desk->user_code);
  *state = parameter(desk->url, "state");
  return parameter(desk->url, "redirect_uri");
}

static void
assert_begins(const char *text, const char *prefix)
{
  if (!text || !g_str_has_prefix(text, prefix))
    g_error("\"%s\" where \"%s\" was to be", text ? text : "nothing", prefix);
}

/* ---- tests --------------------------------------------------------------- */

static void
answer_tokens(Fake *fake, const char *url)
{
  g_autofree char *nonce = parameter(url, "nonce");

  fake_grant(fake, "r1", &(TokenSpec){.nonce = nonce});
}

static void
test_signs_in(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *state = NULL;
  g_autofree char *redirect = begin(desk, &state);
  g_autofree char *query = g_strdup_printf("code=made%%2Dup&state=%s", state);
  g_autofree char *page = NULL;
  g_autofree char *again = NULL;
  g_autofree char *sent = NULL;
  g_autofree char *challenge = parameter(desk->url, "code_challenge");
  g_autofree char *method = parameter(desk->url, "code_challenge_method");
  g_autofree char *nonce = parameter(desk->url, "nonce");
  g_autofree char *prompt = parameter(desk->url, "prompt");
  g_autofree char *verifier = NULL;
  g_autofree char *hashed = NULL;
  uint8_t digest[SHA256_LEN];

  g_assert_cmpuint(strlen(state), ==, 43);
  g_assert_cmpuint(strlen(nonce), ==, 43);
  g_assert_cmpstr(method, ==, "S256");
  g_assert_cmpstr(prompt, ==, "consent");
  g_assert_true(g_str_has_prefix(redirect, "http://127.0.0.1:"));
  answer_tokens(fake, desk->url);
  page = get(redirect, query);
  assert_begins(page, "HTTP/1.1 200 ");
  g_assert_nonnull(strstr(page, "default-src 'none'"));
  g_assert_nonnull(strstr(page, "no-store"));
  g_assert_null(strstr(page, "<script"));
  g_assert_null(strstr(page, "made-up"));
  desk_wait(desk);
  g_assert_no_error(desk->error);
  g_assert_cmpstr(desk->person->user, ==, "dev");
  sent = fake_last(fake, "/token");
  assert_begins(sent, "grant_type=authorization_code&code=made-up&");
  verifier = g_strndup(strstr(sent, "code_verifier=") + 14, 43);
  sha256(verifier, strlen(verifier), digest);
  hashed = base64url_encode(digest, sizeof digest);
  g_assert_cmpstr(hashed, ==, challenge);
  /* Once, and nobody listens any more. */
  again = get(redirect, query);
  g_assert_null(again);
}

static void
test_strangers(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *state = NULL;
  g_autofree char *redirect = begin(desk, &state);
  g_autofree char *good = g_strdup_printf("code=c&state=%s", state);
  const struct {
    const char *request; /* %1 the port, %2 the good query */
    const char *status;
  } requests[] = {
      {"GET /callback?code=c&state=wrong HTTP/1.1\r\nHost: "
       "127.0.0.1:%1\r\n\r\n",
       "400"},
      {"GET /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n\r\n", "400"},
      {"GET /callback?%2&code=d HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n\r\n", "400"},
      {"GET /callback?%2&error=x HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n\r\n",
       "400"},
      {"GET /callback?%2&iss=%%zz HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n\r\n",
       "400"},
      {"GET /callback HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n\r\n", "404"},
      {"GET /favicon.ico HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n\r\n", "404"},
      {"GET /callback/?%2 HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n\r\n", "404"},
      {"POST /callback?%2 HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n"
       "Content-Length: 0\r\n\r\n",
       "404"},
      {"HEAD /callback?%2 HTTP/1.1\r\nHost: 127.0.0.1:%1\r\n\r\n", "404"},
      {"GET /callback?%2 HTTP/1.1\r\nHost: localhost:%1\r\n\r\n", "404"},
      {"GET /callback?%2 HTTP/1.1\r\nHost: evil.test\r\n\r\n", "404"},
      {"GET /callback?%2 HTTP/1.1\r\n\r\n", "400"},
      {"nonsense\r\n\r\n", "400"},
  };
  g_autofree char *page = NULL;
  const char *port = strrchr(redirect, ':') + 1;
  g_autofree char *digits = g_strndup(port, strspn(port, "0123456789"));

  for (unsigned i = 0; i < G_N_ELEMENTS(requests); i++) {
    GString *request = g_string_new(requests[i].request);
    g_autofree char *answer = NULL;
    g_autofree char *prefix =
        g_strdup_printf("HTTP/1.1 %s ", requests[i].status);

    g_string_replace(request, "%1", digits, 0);
    g_string_replace(request, "%2", good, 0);
    g_string_replace(request, "%%", "%", 0);
    answer = send_raw(redirect, request->str);
    g_test_message("%s", request->str);
    assert_begins(answer, prefix);
    g_string_free(request, TRUE);
  }
  /* None of them ended anything. */
  g_assert_false(desk->done);
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 0);
  answer_tokens(fake, desk->url);
  page = get(redirect, good);
  assert_begins(page, "HTTP/1.1 200 ");
  desk_wait(desk);
  g_assert_no_error(desk->error);
}

static bool
is_nobodys(int fd)
{
  g_assert_cmpint(fd, >=, 0);
  return false;
}

static void
only_ours(IssuerOptions *issuer)
{
  issuer->is_ours = is_nobodys;
}

/* Whoever read the state from the browser's command line. */
static void
test_other_users(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, only_ours);
  g_autofree char *state = NULL;
  g_autofree char *redirect = begin(desk, &state);
  g_autofree char *good = g_strdup_printf("code=c&state=%s", state);
  g_autofree char *page = NULL;

  answer_tokens(fake, desk->url);
  page = get(redirect, good);
  g_assert_cmpstr(page, ==, "");
  g_assert_false(desk->done);
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 0);
}

static void
test_provider_refuses(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *state = NULL;
  g_autofree char *redirect = begin(desk, &state);
  g_autofree char *query =
      g_strdup_printf("error=access_denied&state=%s&error_description="
                      "no+%%3Cscript%%3Ealert(1)%%3C/script%%3E%%1B[2J",
                      state);
  g_autofree char *page = get(redirect, query);

  desk_wait(desk);
  assert_login_error(desk, IDENTITY_ERROR_DENIED, "access_denied: no <script>");
  g_assert_null(strchr(desk->error->message, '\033'));
  g_assert_nonnull(strstr(page, "&lt;script&gt;"));
  g_assert_null(strstr(page, "<script"));
  g_assert_null(strchr(page, '\033'));
}

/* RFC 9207: named, it must be the issuer; promised, it must be named. */
static void
test_mix_up(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *state = NULL;
  g_autofree char *redirect = begin(desk, &state);
  g_autofree char *query =
      g_strdup_printf("code=c&state=%s&iss=https://evil.test", state);
  g_autofree char *page = get(redirect, query);

  desk_wait(desk);
  assert_login_error(desk, IDENTITY_ERROR_PROTOCOL, "does not come from");
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 0);
}

static void
test_issuer_promised(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *state = NULL;
  g_autofree char *second_state = NULL;
  g_autofree char *redirect = NULL;
  g_autofree char *second = NULL;
  g_autofree char *query = NULL;
  g_autofree char *named = NULL;
  g_autofree char *page = NULL;
  g_autofree char *good = NULL;

  fake_answer(
      fake,
      "/.well-known/openid-configuration",
      200,
      fake_metadata(fake,
                    "\"authorization_response_iss_parameter_supported\":true"));
  redirect = begin(desk, &state);
  query = g_strdup_printf("code=c&state=%s", state);
  page = get(redirect, query);
  desk_wait(desk);
  assert_login_error(desk, IDENTITY_ERROR_PROTOCOL, "does not come from");
  second = begin(desk, &second_state);
  named = g_strdup_printf(
      "code=c&state=%s&iss=%s", second_state, fake_issuer(fake));
  answer_tokens(fake, desk->url);
  good = get(second, named);
  desk_wait(desk);
  g_assert_no_error(desk->error);
}

static void
test_wrong_nonce(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *state = NULL;
  g_autofree char *redirect = begin(desk, &state);
  g_autofree char *query = g_strdup_printf("code=c&state=%s", state);
  g_autofree char *page = NULL;

  fake_grant(fake, "r1", &(TokenSpec){.nonce = "another"});
  page = get(redirect, query);
  desk_wait(desk);
  assert_login_error(desk, IDENTITY_ERROR_TOKEN, "nonce");
}

static GSocket *taken;

static void
use_taken_port(IssuerOptions *issuer)
{
  g_autoptr(GInetAddress) loopback =
      g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
  g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
  g_autoptr(GSocketAddress) bound = NULL;

  taken = g_socket_new(
      G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
  g_assert_true(g_socket_bind(taken, any, FALSE, NULL));
  g_assert_true(g_socket_listen(taken, NULL));
  bound = g_socket_get_local_address(taken, NULL);
  issuer->redirect_port =
      g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
}

static void
test_port_is_taken(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, use_taken_port);

  desk_sign_in(desk, LOGIN_BROWSER, true);
  assert_login_error(desk, IDENTITY_ERROR_CONFIG, "redirect-port");
  g_clear_object(&taken);
}

static void
test_cancel(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *state = NULL;
  g_autofree char *redirect = begin(desk, &state);
  g_autofree char *page = NULL;

  login_cancel(desk->login);
  page = get(redirect, "code=c");
  g_assert_null(page);
  g_assert_false(desk->done);
}

/* ---- the query alone ----------------------------------------------------- */

static void
test_query(void)
{
  static const struct {
    const char *query;
    bool good;
  } queries[] = {
      {"code=a&state=s", true},
      {"state=s&error=no", true},
      {"&&state=s&&code=a&", true},
      {"other=%E2%82%AC&state=s&code=a", true},
      {"", false},
      {"code=a", false},
      {"state=s", false},
      {"code=&state=s", false},
      {"code=a&state=", false},
      {"code=a&state=S", false},
      {"code=a&state=ss", false},
      {"code=a&state=s&state=s", false},
      {"code=a&code=a&state=s", false},
      {"code=a%00&state=s", false},
      {"code=a%0A&state=s", false},
      {"code=%E2%82%AC&state=s", false},
      {"code=a%&state=s", false},
      {"code=a%4&state=s", false},
      {"code=a%4g&state=s", false},
      {"code=a&state=s%00", false},
      {"c%6fde=a&st%61te=s", true},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(queries); i++) {
    g_auto(CallbackAnswer) answer = {NULL};

    g_test_message("%s", queries[i].query);
    g_assert_true(callback_read(queries[i].query, "s", &answer) ==
                  queries[i].good);
  }
}

int
main(int argc, char **argv)
{
  desk_prepare();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/browser/query", test_query);
  g_test_add_func("/identity/browser/signs-in", test_signs_in);
  g_test_add_func("/identity/browser/strangers", test_strangers);
  g_test_add_func("/identity/browser/other-users", test_other_users);
  g_test_add_func("/identity/browser/provider-refuses", test_provider_refuses);
  g_test_add_func("/identity/browser/mix-up", test_mix_up);
  g_test_add_func("/identity/browser/issuer-promised", test_issuer_promised);
  g_test_add_func("/identity/browser/wrong-nonce", test_wrong_nonce);
  g_test_add_func("/identity/browser/port-is-taken", test_port_is_taken);
  g_test_add_func("/identity/browser/cancel", test_cancel);
  return g_test_run();
}
