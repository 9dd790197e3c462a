/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions kept in a real keyring: gnome-keyring on a private session bus,
 * open, locked and unlocked. Skipped where there is none. */
#include "kit/clock.h"
#include "tests/unit/folder.h"
#include "tests/unit/identity-kit.h"
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program runs itself again on a bus of its own, with this set. */
#define INSIDE "HOOP_TEST_KEYRING"
#define SECRETS "org.freedesktop.secrets"
#define SERVICE_PATH "/org/freedesktop/secrets"
#define SERVICE "org.freedesktop.Secret.Service"
#define LOGIN "/org/freedesktop/secrets/collection/login"

/* ---- the keyring --------------------------------------------------------- */

static void
lock(void)
{
  g_autoptr(GDBusConnection) bus =
      g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) result = NULL;

  result = g_dbus_connection_call_sync(bus,
                                       SECRETS,
                                       SERVICE_PATH,
                                       SERVICE,
                                       "Lock",
                                       g_variant_new_parsed("([%o],)", LOGIN),
                                       NULL,
                                       G_DBUS_CALL_FLAGS_NONE,
                                       -1,
                                       NULL,
                                       &error);
  g_assert_no_error(error);
}

/* As PAM does it at a desktop's login: the password on standard input. */
static GSubprocess *
run_keyring(const char *flag)
{
  GSubprocess *keyring;
  g_autoptr(GError) error = NULL;
  const char *argv[] = {
      "gnome-keyring-daemon", flag, "--components=secrets", NULL, NULL};

  if (g_str_equal(flag, "--unlock"))
    argv[3] = "--foreground";
  keyring = g_subprocess_newv(argv,
                              G_SUBPROCESS_FLAGS_STDIN_PIPE |
                                  G_SUBPROCESS_FLAGS_STDOUT_SILENCE |
                                  G_SUBPROCESS_FLAGS_STDERR_SILENCE,
                              &error);
  g_assert_no_error(error);
  g_output_stream_write_all(
      g_subprocess_get_stdin_pipe(keyring), "made-up", 7, NULL, NULL, &error);
  g_assert_no_error(error);
  g_output_stream_close(g_subprocess_get_stdin_pipe(keyring), NULL, &error);
  g_assert_no_error(error);
  return keyring;
}

static bool
is_owned(void *data)
{
  GDBusConnection *bus = data;
  g_autoptr(GVariant) result =
      g_dbus_connection_call_sync(bus,
                                  "org.freedesktop.DBus",
                                  "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus",
                                  "NameHasOwner",
                                  g_variant_new("(s)", SECRETS),
                                  NULL,
                                  G_DBUS_CALL_FLAGS_NONE,
                                  -1,
                                  NULL,
                                  NULL);
  gboolean owned = FALSE;

  if (result)
    g_variant_get(result, "(b)", &owned);
  return owned;
}

static GSubprocess *
start_keyring(void)
{
  g_autoptr(GDBusConnection) bus =
      g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, NULL);
  GSubprocess *keyring = run_keyring("--unlock");

  desk_until(is_owned, bus);
  return keyring;
}

static void
stop_keyring(GSubprocess *keyring)
{
  g_subprocess_force_exit(keyring);
  g_subprocess_wait(keyring, NULL, NULL);
  g_object_unref(keyring);
}

/* ---- tests --------------------------------------------------------------- */

static void
sign_in(Desk *desk, const char *refresh, int life)
{
  Fake *fake = desk->fake;

  fake_forget(fake, "/token");
  fake_answer(fake, "/device", 200, fake_device(fake, 1, 600));
  fake_grant(fake, refresh, &(TokenSpec){.life = life});
  desk_sign_in(desk, LOGIN_DEVICE, false);
  fake_forget(fake, "/token");
}

static bool
is_stored(void *data)
{
  SessionInfo info = identity_session(((Desk *)data)->identity, 0);

  return info.problem == NULL && g_str_equal(info.storage, "keyring");
}

static void
assert_sent(Fake *fake, const char *refresh)
{
  g_autofree char *body = fake_last(fake, "/token");

  g_assert_nonnull(strstr(body, refresh));
}

static void
test_kept(void)
{
  GSubprocess *keyring = start_keyring();
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *message = NULL;
  g_autofree char *who = NULL;
  unsigned asked;

  sign_in(desk, "r1", SHORT);
  g_assert_no_error(desk->error);
  g_assert_null(desk->notice);
  g_assert_true(is_stored(desk));
  fake_grant(fake, "r2", &(TokenSpec){0});
  desk_until_event(desk, 'N');
  assert_sent(fake, "refresh_token=r1");
  /* What the renewal brought is what the next life begins with. */
  desk_until(is_stored, desk);
  desk_run(200);
  g_string_truncate(desk->events, 0);
  desk_restart(desk);
  desk_until_event(desk, 'N');
  assert_sent(fake, "refresh_token=r2");
  g_assert_true(is_stored(desk));
  fake_answer(fake, "/revoke", 200, NULL);
  message = desk_logout(desk);
  g_assert_null(message);
  asked = fake_asked(fake, "/token");
  desk_restart(desk);
  desk_run(500);
  who = desk_who(desk);
  g_assert_nonnull(strstr(who, "Nobody is signed in"));
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, asked);
  stop_keyring(keyring);
}

/* A renewal's token is stored though the agent ends at that moment. */
static void
test_ends_while_storing(void)
{
  GSubprocess *keyring = start_keyring();
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk, "r1", SHORT);
  g_assert_no_error(desk->error);
  fake_grant(fake, "r2", &(TokenSpec){0});
  /* The event comes in the round in which the keyring is first asked. */
  desk_until_event(desk, 'N');
  fake_forget(fake, "/token");
  fake_grant(fake, "r3", &(TokenSpec){0});
  g_string_truncate(desk->events, 0);
  desk_restart(desk);
  desk_until_event(desk, 'N');
  assert_sent(fake, "refresh_token=r2");
  stop_keyring(keyring);
}

static void
test_locked(void)
{
  GSubprocess *keyring = start_keyring();
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  g_autofree char *who = NULL;
  g_autofree char *message = NULL;
  const char *problem;

  sign_in(desk, "r1", 600);
  g_assert_no_error(desk->error);
  lock();
  /* At the start nobody is asked; it is told apart from an empty keyring. */
  desk_restart(desk);
  desk_run(500);
  who = desk_who(desk);
  g_assert_nonnull(strstr(who, "is locked"));
  problem = identity_session(desk->identity, 0).problem;
  g_assert_nonnull(strstr(problem, "keyring is locked"));
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 1);
  message = desk_logout(desk);
  g_assert_nonnull(strstr(message, "could not be cleared"));
  /* Nobody answers a prompt here: nobody signs in for nothing. */
  sign_in(desk, "r2", 600);
  assert_login_error(desk, IDENTITY_ERROR_LOCKED, "--insecure-storage");
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 1);
  /* A session beside it, in a file, hides nothing of it. */
  fake_answer(fake, "/token", 200, fake_tokens(fake, "r3", &(TokenSpec){0}));
  desk_sign_in(desk, LOGIN_DEVICE, true);
  g_assert_no_error(desk->error);
  g_free(message);
  message = desk_logout(desk);
  g_assert_nonnull(strstr(message, "could not be cleared"));
  stop_keyring(keyring);
}

/* Locked while the session lives: the renewal is kept in memory, and said. */
static void
test_locked_meanwhile(void)
{
  GSubprocess *keyring = start_keyring();
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  SessionInfo info;

  sign_in(desk, "r1", SHORT);
  g_assert_no_error(desk->error);
  lock();
  fake_grant(fake, "r2", &(TokenSpec){0});
  desk_until_event(desk, 'N');
  desk_run(500);
  info = identity_session(desk->identity, 0);
  g_assert_cmpstr(info.storage, ==, "memory");
  g_assert_nonnull(strstr(info.problem, "locked"));
  g_assert_nonnull(info.person);
  stop_keyring(keyring);
}

/* ---- a bus of its own ---------------------------------------------------- */

static bool
can_run(const char *program)
{
  g_autofree char *path = g_find_program_in_path(program);

  return path != NULL;
}

/* Runs this program again under dbus-run-session, with folders of its own. */
static int
run_inside(char **argv, int argc)
{
  g_autofree char *home = g_dir_make_tmp("hoop-keyring-XXXXXX", NULL);
  g_autoptr(GPtrArray) args = g_ptr_array_new();
  g_auto(GStrv) env = g_get_environ();
  g_autofree char *asan = NULL;
  int status = 1;

  g_ptr_array_add(args, (void *)"dbus-run-session");
  g_ptr_array_add(args, (void *)"--");
  for (int i = 0; i < argc; i++)
    g_ptr_array_add(args, argv[i]);
  g_ptr_array_add(args, NULL);
  env = g_environ_setenv(env, INSIDE, "1", TRUE);
  /* The leaks that tests/lsan.supp names are known by whole stacks alone. */
  asan = g_strconcat(g_environ_getenv(env, "ASAN_OPTIONS")
                         ? g_environ_getenv(env, "ASAN_OPTIONS")
                         : "detect_leaks=1",
                     ":fast_unwind_on_malloc=0",
                     NULL);
  env = g_environ_setenv(env, "ASAN_OPTIONS", asan, TRUE);
  env = g_environ_setenv(env, "XDG_DATA_HOME", home, TRUE);
  env = g_environ_setenv(env, "XDG_RUNTIME_DIR", home, TRUE);
  env = g_environ_setenv(env, "XDG_CONFIG_HOME", home, TRUE);
  env = g_environ_unsetenv(env, "DISPLAY");
  env = g_environ_unsetenv(env, "WAYLAND_DISPLAY");
  g_spawn_sync(NULL,
               (char **)args->pdata,
               env,
               G_SPAWN_SEARCH_PATH | G_SPAWN_CHILD_INHERITS_STDIN,
               NULL,
               NULL,
               NULL,
               NULL,
               &status,
               NULL);
  remove_folder(home);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int
main(int argc, char **argv)
{
  if (!g_getenv(INSIDE)) {
    if (can_run("dbus-run-session") && can_run("gnome-keyring-daemon"))
      return run_inside(argv, argc);
    printf("1..0 # SKIP no dbus-run-session or gnome-keyring-daemon\n");
    return 0;
  }
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/keyring/kept", test_kept);
  g_test_add_func("/identity/keyring/ends-while-storing",
                  test_ends_while_storing);
  g_test_add_func("/identity/keyring/locked", test_locked);
  g_test_add_func("/identity/keyring/locked-meanwhile", test_locked_meanwhile);
  return g_test_run();
}
