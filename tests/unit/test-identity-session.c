/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: renewed, rotated, offline, revoked, restarted, ended.
 * Tokens live for seconds here. */
#include "kit/clock.h"
#include "tests/unit/identity-kit.h"
#include <glib/gstdio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#define THREADS 4
/* Calls of one thread to be timed. */
#define CALLS 200000

static void
sign_in(Desk *desk, const char *refresh, int life)
{
  Fake *fake = desk->fake;

  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_grant(fake, refresh, &(TokenSpec){.life = life});
  desk_sign_in(desk, LOGIN_DEVICE, true);
  g_assert_no_error(desk->error);
  fake_forget(fake, "/token");
}

/* What is stored in the file, or NULL; *path where. */
static char *
stored(const Desk *desk, char **path)
{
  g_autoptr(GDir) dir = g_dir_open(desk->state_dir, 0, NULL);
  const char *name;
  char *text = NULL;

  while ((name = g_dir_read_name(dir))) {
    g_autofree char *file = g_build_filename(desk->state_dir, name, NULL);

    g_assert_null(text);
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    if (path)
      *path = g_steal_pointer(&file);
  }
  return text;
}

static void
assert_stored(const Desk *desk, const char *refresh)
{
  g_autofree char *text = stored(desk, NULL);
  g_autofree char *wanted = g_strdup_printf("\"%s\"", refresh);

  g_assert_nonnull(text);
  g_assert_nonnull(strstr(text, wanted));
}

static void
assert_who(Desk *desk, const char *text)
{
  g_autofree char *who = desk_who(desk);

  if (!strstr(who, text))
    g_error("\"%s\" where \"%s\" was to be", who, text);
}

static void
assert_sent(Fake *fake, const char *path, const char *text)
{
  g_autofree char *body = fake_last(fake, path);

  g_assert_nonnull(body);
  g_assert_nonnull(strstr(body, text));
}

static void
test_renews(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;
  SessionInfo info;
  struct stat status;
  int64_t until;

  sign_in(desk, "r1", SHORT);
  until = desk->person->expires_us;
  g_assert_null(desk->notice);
  assert_stored(desk, "r1");
  info = identity_session(desk->identity, 0);
  g_assert_cmpstr(info.storage, ==, "file");
  text = stored(desk, &path);
  g_assert_cmpint(stat(path, &status), ==, 0);
  g_assert_cmpuint(status.st_mode & 0777, ==, 0600);
  fake_grant(fake, "r2", &(TokenSpec){0});
  desk_until_event(desk, 'N');
  assert_sent(fake, "/token", "refresh_token=r1");
  assert_stored(desk, "r2");
  info = identity_session(desk->identity, 0);
  g_assert_cmpint(info.person->expires_us, >, until);
  g_assert_null(info.problem);
  g_assert_cmpstr(desk->events->str, ==, "IN");
}

/* The new token is stored whatever becomes of the rest, and used next. */
static void
test_rotation_survives_a_bad_answer(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  SessionInfo info;

  sign_in(desk, "r1", SHORT);
  fake_grant(fake, "r2", &(TokenSpec){.aud = "other"});
  fake_grant(fake, "r3", &(TokenSpec){0});
  desk_until_event(desk, 'F');
  desk_until_asked(fake, "/token", 2);
  assert_stored(desk, "r2");
  assert_who(desk, "dev");
  info = identity_session(desk->identity, 0);
  g_assert_nonnull(strstr(info.problem, "could not be renewed"));
  /* Its end comes before the next try. */
  desk_until_event(desk, 'O');
  assert_who(desk, "has ended");
  desk_until_event(desk, 'N');
  assert_sent(fake, "/token", "refresh_token=r2");
  assert_stored(desk, "r3");
  assert_who(desk, "dev");
  g_assert_cmpstr(desk->events->str, ==, "IFON");
  info = identity_session(desk->identity, 0);
  g_assert_null(info.problem);
}

/* The agent ends while the provider has the old token and we do not have the
 * new one. */
static void
test_rotation_survives_the_end(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk, "r1", SHORT);
  fake_delay(fake, "/token", 700);
  fake_grant(fake, "r2", &(TokenSpec){0});
  desk_until_asked(fake, "/token", 2);
  assert_stored(desk, "r1");
  desk_restart(desk);
  assert_stored(desk, "r2");
  fake_delay(fake, "/token", 0);
  g_string_truncate(desk->events, 0);
  desk_until_event(desk, 'N');
  assert_sent(fake, "/token", "refresh_token=r2");
}

/* A provider that never answers does not keep the agent from its end. */
static void
test_end_is_bounded(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  int64_t begin;

  sign_in(desk, "r1", SHORT);
  fake_answer(fake, "/token", -2, NULL);
  desk_until_asked(fake, "/token", 2);
  begin = clock_mono_us();
  identity_settle(desk->identity);
  g_assert_cmpint(clock_mono_us() - begin, >, 4 * G_USEC_PER_SEC);
  g_assert_cmpint(clock_mono_us() - begin, <, 30 * G_USEC_PER_SEC);
  /* Nor does one that was not told anything yet. */
  fake_forget(fake, "/token");
  fake_answer(fake, "/.well-known/openid-configuration", -2, NULL);
  desk_restart(desk);
  desk_until_asked(fake, "/.well-known/openid-configuration", 2);
  begin = clock_mono_us();
  identity_settle(desk->identity);
  g_assert_cmpint(clock_mono_us() - begin, <, 4 * G_USEC_PER_SEC);
}

static void
test_offline(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk, "r1", SHORT);
  fake_answer(fake, "/token", -1, NULL);
  desk_until_event(desk, 'F');
  assert_who(desk, "dev");
  g_assert_nonnull(strstr(desk->sentence, "until its end"));
  desk_until_event(desk, 'O');
  assert_who(desk, "Run `hoop-agent login`");
  assert_stored(desk, "r1");
}

static void
test_revoked(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *text = NULL;

  sign_in(desk, "r1", SHORT);
  fake_answer(fake, "/token", 400, g_strdup("{\"error\":\"invalid_grant\"}"));
  desk_until_event(desk, 'V');
  assert_who(desk, "was ended");
  g_assert_nonnull(
      strstr(identity_session(desk->identity, 0).problem, "invalid_grant"));
  desk_run(50);
  text = stored(desk, NULL);
  g_assert_null(text);
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 2);
  desk_restart(desk);
  desk_run(200);
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 2);
}

static void
test_another_person(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk, "r1", SHORT);
  fake_grant(fake, "r2", &(TokenSpec){.sub = "mallory"});
  desk_until_event(desk, 'V');
  assert_who(desk, "another person");
}

static void
test_restart(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk, "r1", 600);
  fake_grant(fake, "r2", &(TokenSpec){0});
  desk_restart(desk);
  g_assert_cmpstr(desk->events->str, ==, "I");
  desk_until_event(desk, 'N');
  assert_who(desk, "dev");
  assert_stored(desk, "r2");
  g_assert_cmpstr(identity_session(desk->identity, 0).storage, ==, "file");
  /* Without the provider it is tried again, and said. */
  fake_forget(fake, "/token");
  fake_answer(fake, "/token", -1, NULL);
  desk_restart(desk);
  desk_until_event(desk, 'F');
  assert_who(desk, "it is tried again");
}

/* As glewlwyd: renewals bring no ID token. */
static void
test_no_id_token(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk, "r1", SHORT);
  fake_grant(fake, "r2", NULL);
  desk_until_event(desk, 'N');
  assert_who(desk, "dev");
  g_assert_cmpuint(fake_asked(fake, "/userinfo"), ==, 0);
  /* After a restart nothing is known but whose it is. */
  fake_answer(fake,
              "/userinfo",
              200,
              g_strdup("{\"sub\":\"u1\",\"preferred_username\":\"dev\","
                       "\"groups\":[\"ops\"]}"));
  desk_restart(desk);
  g_string_truncate(desk->events, 0);
  desk_until_event(desk, 'N');
  assert_who(desk, "dev");
  g_assert_cmpstr(
      identity_session(desk->identity, 0).person->groups[0], ==, "ops");
  /* Userinfo of somebody else is not believed. */
  fake_forget(fake, "/userinfo");
  fake_answer(fake, "/userinfo", 200, g_strdup("{\"sub\":\"u2\"}"));
  desk_restart(desk);
  g_string_truncate(desk->events, 0);
  desk_until_event(desk, 'F');
  assert_who(desk, "could not be renewed");
}

/* Nor userinfo, which had what the ID token had not: both are remembered. */
static void
test_no_id_token_nor_groups(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  const Person *person;

  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_grant(fake, "r1", &(TokenSpec){.life = SHORT, .groups = "null"});
  fake_answer(fake,
              "/userinfo",
              200,
              g_strdup("{\"sub\":\"u1\",\"groups\":[\"ops\"]}"));
  desk_sign_in(desk, LOGIN_DEVICE, true);
  g_assert_no_error(desk->error);
  g_assert_cmpstr(desk->person->groups[0], ==, "ops");
  fake_forget(fake, "/token");
  fake_grant(fake, "r2", NULL);
  desk_until_event(desk, 'N');
  person = identity_session(desk->identity, 0).person;
  g_assert_cmpstr(person->user, ==, "dev");
  g_assert_nonnull(person->groups);
  g_assert_cmpstr(person->groups[0], ==, "ops");
  g_assert_cmpuint(fake_asked(fake, "/userinfo"), ==, 1);
}

static void
test_logout(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *message = NULL;
  g_autofree char *offline = NULL;
  g_autofree char *again = NULL;
  g_autofree char *text = NULL;

  sign_in(desk, "r1", 600);
  fake_answer(fake, "/revoke", 200, NULL);
  message = desk_logout(desk);
  g_assert_null(message);
  assert_sent(fake, "/revoke", "token=r1&token_type_hint=refresh_token");
  assert_who(desk, "Nobody is signed in");
  text = stored(desk, NULL);
  g_assert_null(text);
  g_assert_cmpstr(desk->events->str, ==, "IO");
  again = desk_logout(desk);
  g_assert_null(again);
  g_assert_cmpuint(fake_asked(fake, "/revoke"), ==, 1);

  sign_in(desk, "r2", 600);
  fake_forget(fake, "/revoke");
  fake_answer(fake, "/revoke", -1, NULL);
  offline = desk_logout(desk);
  g_assert_nonnull(strstr(offline, "could not be told"));
  assert_who(desk, "Nobody is signed in");
  text = stored(desk, NULL);
  g_assert_null(text);
}

/* What the provider gave is in the store, and nobody is signed in yet. */
static void
test_logout_while_storing(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *message = NULL;
  g_autofree char *text = NULL;
  g_autofree char *left = NULL;

  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_answer(fake, "/revoke", 200, NULL);
  fake_grant(fake, "r1", &(TokenSpec){0});
  desk_login(desk, LOGIN_DEVICE, true);
  while (!text && !desk->done) {
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(1000);
    text = stored(desk, NULL);
  }
  g_assert_false(desk->done);
  message = desk_logout(desk);
  g_assert_null(message);
  g_assert_true(desk->done);
  assert_login_error(desk, IDENTITY_ERROR_CANCELLED, "Signed out");
  desk_run(100);
  assert_who(desk, "Nobody is signed in");
  left = stored(desk, NULL);
  g_assert_null(left);
  assert_sent(fake, "/revoke", "token=r1&");
  desk_restart(desk);
  desk_run(100);
  assert_who(desk, "Nobody is signed in");
}

static void
test_keys(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk, "r1", SHORT);
  g_assert_cmpuint(fake_asked(fake, "/jwks"), ==, 1);
  fake_rotate_keys(fake);
  fake_grant(fake, "r2", &(TokenSpec){.life = SHORT});
  desk_until_event(desk, 'N');
  g_assert_cmpuint(fake_asked(fake, "/jwks"), ==, 2);
  /* Again within a minute: invented kids must not make us a nuisance. */
  fake_rotate_keys(fake);
  fake_forget(fake, "/token");
  fake_grant(fake, "r3", &(TokenSpec){0});
  desk_until_event(desk, 'F');
  g_assert_cmpuint(fake_asked(fake, "/jwks"), ==, 2);
  assert_stored(desk, "r3");
}

static void
test_open_file_is_refused(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;
  unsigned asked;

  sign_in(desk, "r1", 600);
  text = stored(desk, &path);
  g_assert_cmpint(g_chmod(path, 0640), ==, 0);
  asked = fake_asked(fake, "/token");
  desk_restart(desk);
  desk_run(200);
  assert_who(desk, "Nobody is signed in");
  g_assert_nonnull(
      strstr(identity_session(desk->identity, 0).problem, "chmod"));
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, asked);
}

/* A sign-in that fails leaves the session as it is. */
static void
test_second_sign_in(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk, "r1", 600);
  fake_answer(fake, "/token", 400, g_strdup("{\"error\":\"access_denied\"}"));
  desk_sign_in(desk, LOGIN_DEVICE, true);
  assert_login_error(desk, IDENTITY_ERROR_DENIED, "access_denied");
  assert_who(desk, "dev");
  assert_stored(desk, "r1");
  fake_forget(fake, "/token");
  fake_grant(fake, "r9", &(TokenSpec){.sub = "other"});
  desk_sign_in(desk, LOGIN_DEVICE, true);
  g_assert_no_error(desk->error);
  assert_who(desk, "other");
  assert_stored(desk, "r9");
}

static void
test_unknown_groups(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_grant(fake, NULL, &(TokenSpec){.groups = "null"});
  desk_sign_in(desk, LOGIN_DEVICE, true);
  g_assert_no_error(desk->error);
  g_assert_null(desk->person->groups);
  g_assert_nonnull(strstr(desk->notice, "nothing to renew"));
  g_assert_nonnull(strstr(desk->notice, desk->person->groups_unknown));
  g_assert_cmpuint(fake_asked(fake, "/userinfo"), ==, 1);
}

/* ---- many who ask -------------------------------------------------------- */

typedef struct {
  Identity *identity;
  atomic_bool stop;
  atomic_uint asked;
  atomic_uint failed;
} Crowd;

static void *
ask(void *data)
{
  Crowd *crowd = data;

  while (!atomic_load(&crowd->stop)) {
    g_autoptr(PersonRef) person = identity_current(crowd->identity, NULL, NULL);

    atomic_fetch_add(&crowd->asked, 1);
    if (!person)
      atomic_fetch_add(&crowd->failed, 1);
  }
  return NULL;
}

static void
test_crowd_during_renewals(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  Crowd crowd = {.identity = desk->identity};
  pthread_t threads[THREADS];

  sign_in(desk, "r1", SHORT);
  fake_grant(fake, "r2", &(TokenSpec){.life = 2 * SHORT});
  fake_grant(fake, "r3", &(TokenSpec){.life = 600});
  for (unsigned i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, ask, &crowd);
  desk_until_event(desk, 'N');
  g_string_truncate(desk->events, 0);
  desk_until_event(desk, 'N');
  atomic_store(&crowd.stop, true);
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  g_assert_cmpuint(atomic_load(&crowd.asked), >=, 1000);
  g_assert_cmpuint(atomic_load(&crowd.failed), ==, 0);
  g_test_message("asked %u times", atomic_load(&crowd.asked));
}

/* What a session costs a request, for whoever reads the log. */
static void
test_cost(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  int64_t begin;

  sign_in(desk, "r1", 600);
  begin = clock_mono_us();
  for (unsigned i = 0; i < CALLS; i++) {
    g_autoptr(PersonRef) person = identity_current(desk->identity, NULL, NULL);

    g_assert_nonnull(person);
  }
  g_test_message("%.3f us for each request",
                 (double)(clock_mono_us() - begin) / CALLS);
}

int
main(int argc, char **argv)
{
  desk_prepare();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/session/renews", test_renews);
  g_test_add_func("/identity/session/rotation-survives-a-bad-answer",
                  test_rotation_survives_a_bad_answer);
  g_test_add_func("/identity/session/rotation-survives-the-end",
                  test_rotation_survives_the_end);
  g_test_add_func("/identity/session/end-is-bounded", test_end_is_bounded);
  g_test_add_func("/identity/session/offline", test_offline);
  g_test_add_func("/identity/session/revoked", test_revoked);
  g_test_add_func("/identity/session/another-person", test_another_person);
  g_test_add_func("/identity/session/restart", test_restart);
  g_test_add_func("/identity/session/no-id-token", test_no_id_token);
  g_test_add_func("/identity/session/no-id-token-nor-groups",
                  test_no_id_token_nor_groups);
  g_test_add_func("/identity/session/logout", test_logout);
  g_test_add_func("/identity/session/logout-while-storing",
                  test_logout_while_storing);
  g_test_add_func("/identity/session/keys", test_keys);
  g_test_add_func("/identity/session/open-file-is-refused",
                  test_open_file_is_refused);
  g_test_add_func("/identity/session/second-sign-in", test_second_sign_in);
  g_test_add_func("/identity/session/unknown-groups", test_unknown_groups);
  g_test_add_func("/identity/session/crowd-during-renewals",
                  test_crowd_during_renewals);
  g_test_add_func("/identity/session/cost", test_cost);
  return g_test_run();
}
