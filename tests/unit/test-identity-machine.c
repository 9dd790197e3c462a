/* SPDX-License-Identifier: Apache-2.0 */
/* Sign-in without a person: by the client's own credentials, by a token that is
 * mounted, and again by themselves after a restart. */
#include "kit/clock.h"
#include "tests/unit/identity-kit.h"
#include <glib/gstdio.h>
#include <string.h>

#define DISCOVERY "/.well-known/openid-configuration"

static char *secret_file;

static void
use_secret(IssuerOptions *issuer)
{
  issuer->client_id = "agent:1";
  issuer->client_secret_file = secret_file;
}

static void
write_secret(const Fake *fake, int mode)
{
  g_free(secret_file);
  secret_file = g_build_filename(fake_dir(fake), "secret", NULL);
  g_assert_true(g_file_set_contents(secret_file, "made up&+\n", -1, NULL));
  g_assert_cmpint(g_chmod(secret_file, mode), ==, 0);
}

static void
test_credentials(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = NULL;
  g_autofree char *sent = NULL;
  SessionInfo info;

  write_secret(fake, 0600);
  desk = desk_new(fake, use_secret);
  fake_grant(fake, "r", NULL);
  desk_sign_in(desk, LOGIN_CLIENT_CREDENTIALS, false);
  g_assert_no_error(desk->error);
  g_assert_false(desk->prompted);
  g_assert_cmpstr(desk->person->subject, ==, "agent:1");
  g_assert_null(desk->person->groups);
  g_assert_true(identity_is_machine(desk->identity, NULL));
  info = identity_session(desk->identity, 0);
  g_assert_true(info.machine);
  g_assert_cmpstr(info.storage, ==, "none");
  sent = fake_last(fake, "/token");
  /* The secret is in a header, not in the form. */
  g_assert_cmpstr(sent,
                  ==,
                  "grant_type=client_credentials&scope=openid%20"
                  "offline_access");
  g_assert_null(strstr(desk->notice, "renew"));
}

static void
use_secret_and_no_groups(IssuerOptions *issuer)
{
  use_secret(issuer);
  issuer->groups_claim = "none";
}

static void
test_credentials_without_groups(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = NULL;

  write_secret(fake, 0600);
  desk = desk_new(fake, use_secret_and_no_groups);
  fake_grant(fake, NULL, NULL);
  desk_sign_in(desk, LOGIN_CLIENT_CREDENTIALS, false);
  g_assert_no_error(desk->error);
  g_assert_nonnull(desk->person->groups);
  g_assert_null(desk->person->groups[0]);
  g_assert_null(desk->person->groups_unknown);
}

/* The file that says how a machine signed in, or NULL. */
static char *
record_of(const Desk *desk, char **text)
{
  g_autoptr(GDir) dir = g_dir_open(desk->state_dir, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name(dir)))
    if (g_str_has_suffix(name, ".machine")) {
      char *path = g_build_filename(desk->state_dir, name, NULL);

      if (text)
        g_assert_true(g_file_get_contents(path, text, NULL, NULL));
      return path;
    }
  return NULL;
}

static void
assert_no_record(const Desk *desk)
{
  g_autofree char *path = record_of(desk, NULL);

  g_assert_null(path);
}

static void
assert_who(Desk *desk, const char *text)
{
  g_autofree char *who = desk_who(desk);

  if (!strstr(who, text))
    g_error("\"%s\" where \"%s\" was to be", who, text);
}

static void
test_credentials_again(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = NULL;
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;
  g_autofree char *out = NULL;
  unsigned asked;

  write_secret(fake, 0600);
  desk = desk_new(fake, use_secret);
  fake_grant(fake, NULL, NULL);
  desk_sign_in(desk, LOGIN_CLIENT_CREDENTIALS, false);
  g_assert_no_error(desk->error);
  path = record_of(desk, &text);
  g_assert_nonnull(path);
  g_assert_null(strstr(text, "made"));
  desk_restart(desk);
  g_string_truncate(desk->events, 0);
  desk_until_event(desk, 'N');
  g_assert_true(identity_is_machine(desk->identity, NULL));
  assert_who(desk, "agent:1");
  /* Out of reach at the start: said, and tried again. */
  fake_forget(fake, "/token");
  fake_answer(fake, "/token", -1, NULL);
  fake_grant(fake, NULL, NULL);
  desk_restart(desk);
  g_string_truncate(desk->events, 0);
  desk_until_event(desk, 'N');
  g_assert_cmpstr(desk->events->str, ==, "FN");
  out = desk_logout(desk);
  g_assert_null(out);
  assert_no_record(desk);
  asked = fake_asked(fake, "/token");
  desk_restart(desk);
  desk_run(200);
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, asked);
  assert_who(desk, "Nobody is signed in");
}

static void
test_secret_in_form(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = NULL;
  g_autofree char *sent = NULL;

  write_secret(fake, 0600);
  desk = desk_new(fake, use_secret);
  fake_answer(fake,
              DISCOVERY,
              200,
              fake_metadata(fake,
                            "\"token_endpoint_auth_methods_supported\":"
                            "[\"private_key_jwt\",\"client_secret_post\"]"));
  fake_grant(fake, NULL, NULL);
  desk_sign_in(desk, LOGIN_CLIENT_CREDENTIALS, false);
  g_assert_no_error(desk->error);
  sent = fake_last(fake, "/token");
  g_assert_nonnull(
      strstr(sent, "client_id=agent%3A1&client_secret=made%20up%26%2B"));
}

static void
test_secret_unusable(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = NULL;

  write_secret(fake, 0644);
  desk = desk_new(fake, use_secret);
  desk_sign_in(desk, LOGIN_CLIENT_CREDENTIALS, false);
  assert_login_error(desk, IDENTITY_ERROR_CONFIG, "client-secret-file");
  g_assert_cmpint(g_chmod(secret_file, 0600), ==, 0);
  fake_answer(fake,
              DISCOVERY,
              200,
              fake_metadata(fake,
                            "\"token_endpoint_auth_methods_supported\":"
                            "[\"private_key_jwt\"]"));
  /* Documents are kept for an hour, so this needs another life. */
  desk_restart(desk);
  desk_sign_in(desk, LOGIN_CLIENT_CREDENTIALS, false);
  assert_login_error(desk, IDENTITY_ERROR_CONFIG, "takes no client's secret");
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 0);
}

static void
test_no_secret(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  desk_sign_in(desk, LOGIN_CLIENT_CREDENTIALS, false);
  assert_login_error(desk, IDENTITY_ERROR_CONFIG, "no client-secret-file");
}

static void
mount(Desk *desk, const TokenSpec *spec)
{
  g_autofree char *path = g_build_filename(desk->state_dir, "jwt", NULL);
  g_autofree char *token = fake_id_token(desk->fake, spec);
  g_autofree char *line = g_strdup_printf("%s\n", token);

  g_assert_true(g_file_set_contents(path, line, -1, NULL));
}

/* Kubernetes and CI systems have issuers with keys and no token endpoint. */
static void
test_token_file(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  SessionInfo info;
  int64_t until;

  fake_answer(fake,
              DISCOVERY,
              200,
              fake_metadata(fake,
                            "\"token_endpoint\":null,"
                            "\"authorization_endpoint\":null,"
                            "\"device_authorization_endpoint\":null,"
                            "\"userinfo_endpoint\":null,"
                            "\"revocation_endpoint\":null"));
  mount(desk, &(TokenSpec){.life = SHORT});
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  g_assert_no_error(desk->error);
  g_assert_false(desk->prompted);
  g_assert_null(desk->notice);
  until = desk->person->expires_us;
  info = identity_session(desk->identity, 0);
  g_assert_true(info.machine);
  g_assert_cmpstr(info.storage, ==, "none");
  /* A newer one lies there before the first ends. */
  mount(desk, &(TokenSpec){.life = 600});
  desk_until_event(desk, 'N');
  info = identity_session(desk->identity, 0);
  g_assert_cmpint(info.person->expires_us, >, until);
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 0);
}

static unsigned
letters(const Desk *desk, char event)
{
  unsigned n = 0;

  for (gsize i = 0; i < desk->events->len; i++)
    n += desk->events->str[i] == event;
  return n;
}

static void
test_token_file_ends(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *who = NULL;

  mount(desk, &(TokenSpec){.life = SHORT});
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  g_assert_no_error(desk->error);
  desk_until_event(desk, 'O');
  who = desk_who(desk);
  g_assert_nonnull(strstr(who, "has ended"));
  /* The clocks' leeway is no life: what has ended is not begun again. */
  desk_run(2000);
  g_assert_cmpuint(letters(desk, 'O'), ==, 1);
  g_assert_cmpuint(letters(desk, 'N'), ==, 0);
}

static bool
told_another(void *data)
{
  g_autofree char *who = desk_who(data);

  return strstr(who, "another person's") != NULL;
}

/* Its session's end frees nobody to take its place. */
static void
test_token_file_of_another(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  mount(desk, &(TokenSpec){.life = SHORT});
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  g_assert_no_error(desk->error);
  desk_until_event(desk, 'O');
  mount(desk, &(TokenSpec){.sub = "mallory"});
  desk_until(told_another, desk);
  mount(desk, &(TokenSpec){0});
  desk_until_event(desk, 'N');
  /* Whoever is asked for by name may come. */
  mount(desk, &(TokenSpec){.sub = "mallory"});
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  g_assert_no_error(desk->error);
  g_assert_cmpstr(desk->person->subject, ==, "mallory");
}

static void
test_token_file_again(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;

  mount(desk, &(TokenSpec){0});
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  g_assert_no_error(desk->error);
  desk_restart(desk);
  g_string_truncate(desk->events, 0);
  desk_until_event(desk, 'N');
  g_assert_true(identity_is_machine(desk->identity, NULL));
  /* Nobody else's token follows over a restart either. */
  mount(desk, &(TokenSpec){.sub = "mallory"});
  desk_restart(desk);
  desk_until(told_another, desk);
  /* Nor a record that somebody else could have written. */
  mount(desk, &(TokenSpec){0});
  path = record_of(desk, &text);
  g_assert_cmpint(g_chmod(path, 0644), ==, 0);
  desk_restart(desk);
  desk_run(200);
  assert_who(desk, "Nobody is signed in");
  g_assert_nonnull(
      strstr(identity_session(desk->identity, 0).problem, "chmod"));
  g_assert_cmpint(g_chmod(path, 0600), ==, 0);
  g_assert_true(
      g_file_set_contents(path, "{\"method\":\"token-file\"}", -1, NULL));
  g_assert_cmpint(g_chmod(path, 0600), ==, 0);
  desk_restart(desk);
  desk_run(200);
  assert_who(desk, "Nobody is signed in");
  g_assert_nonnull(
      strstr(identity_session(desk->identity, 0).problem, "cannot be read"));
  /* A person in its place is nobody's machine after a restart. */
  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_grant(fake, "r1", &(TokenSpec){0});
  desk_sign_in(desk, LOGIN_DEVICE, true);
  g_assert_no_error(desk->error);
  assert_no_record(desk);
}

static void
test_token_file_refused(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *path = g_build_filename(desk->state_dir, "jwt", NULL);

  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  assert_login_error(desk, IDENTITY_ERROR_TOKEN, "jwt");
  mount(desk, &(TokenSpec){.aud = "another"});
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  assert_login_error(desk, IDENTITY_ERROR_TOKEN, "aud");
  mount(desk, &(TokenSpec){.life = -100});
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  assert_login_error(desk, IDENTITY_ERROR_TOKEN, "exp");
  mount(desk, &(TokenSpec){.life = -5});
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  assert_login_error(desk, IDENTITY_ERROR_TOKEN, "has ended");
  g_assert_true(g_file_set_contents(path, "two words", -1, NULL));
  desk_sign_in(desk, LOGIN_TOKEN_FILE, false);
  assert_login_error(desk, IDENTITY_ERROR_TOKEN, "does not hold a token");
}

int
main(int argc, char **argv)
{
  int result;

  desk_prepare();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/machine/credentials", test_credentials);
  g_test_add_func("/identity/machine/credentials-without-groups",
                  test_credentials_without_groups);
  g_test_add_func("/identity/machine/credentials-again",
                  test_credentials_again);
  g_test_add_func("/identity/machine/secret-in-form", test_secret_in_form);
  g_test_add_func("/identity/machine/secret-unusable", test_secret_unusable);
  g_test_add_func("/identity/machine/no-secret", test_no_secret);
  g_test_add_func("/identity/machine/token-file", test_token_file);
  g_test_add_func("/identity/machine/token-file-ends", test_token_file_ends);
  g_test_add_func("/identity/machine/token-file-of-another",
                  test_token_file_of_another);
  g_test_add_func("/identity/machine/token-file-again", test_token_file_again);
  g_test_add_func("/identity/machine/token-file-refused",
                  test_token_file_refused);
  result = g_test_run();
  g_free(secret_file);
  return result;
}
