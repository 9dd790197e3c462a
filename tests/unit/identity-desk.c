/* SPDX-License-Identifier: Apache-2.0 */
/* The desk: an identity with one issuer on the main loop, and what its sign-ins
 * and sessions said. */
#include "kit/clock.h"
#include "tests/unit/identity-kit.h"
#include <glib/gstdio.h>
#include <string.h>

void
desk_prepare(void)
{
  g_setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus", TRUE);
  g_unsetenv("DISPLAY");
}

static void
on_event(const char *issuer,
         IdentityEvent event,
         const char *sentence,
         void *data)
{
  static const char letters[] = "IOVNF";
  Desk *desk = data;

  g_assert_cmpstr(issuer, ==, desk->issuer.issuer);
  g_string_append_c(desk->events, letters[event]);
  g_free(desk->sentence);
  desk->sentence = g_strdup(sentence);
}

static void
start(Desk *desk)
{
  IdentityOptions options = {
      .issuers = &desk->issuer,
      .n_issuers = 1,
      .upstream = {.connect_timeout = 10, .idle_timeout = PATIENCE},
      .state_dir = desk->state_dir};
  g_autoptr(GError) error = NULL;

  desk->identity = identity_new(desk->loop, &options, &error);
  g_assert_no_error(error);
  identity_watch(desk->identity, on_event, desk);
}

static void
stop(Desk *desk)
{
  identity_settle(desk->identity);
  identity_free(desk->identity);
  for (int i = 0; i < 3; i++)
    g_main_context_iteration(NULL, FALSE);
}

Desk *
desk_new(Fake *fake, void (*tweak)(IssuerOptions *issuer))
{
  Desk *desk = g_new0(Desk, 1);
  g_autoptr(GError) error = NULL;

  desk->fake = fake;
  desk->loop = loop_new(&error);
  g_assert_no_error(error);
  desk->source = loop_source_new(desk->loop);
  g_source_attach(desk->source, NULL);
  desk->state_dir = g_build_filename(fake_dir(fake), "state", NULL);
  g_mkdir(desk->state_dir, 0700);
  desk->events = g_string_new(NULL);
  desk->issuer = (IssuerOptions){.name = "corp",
                                 .issuer = fake_issuer(fake),
                                 .client_id = "agent",
                                 .scopes = "openid offline_access",
                                 .groups_claim = "groups",
                                 .ca_file = fake_ca_file(fake)};
  if (tweak)
    tweak(&desk->issuer);
  start(desk);
  return desk;
}

void
desk_restart(Desk *desk)
{
  stop(desk);
  start(desk);
}

static void
forget(Desk *desk)
{
  desk->login = NULL;
  desk->prompted = desk->done = false;
  g_clear_pointer(&desk->url, g_free);
  g_clear_pointer(&desk->url_whole, g_free);
  g_clear_pointer(&desk->user_code, g_free);
  g_clear_pointer(&desk->notice, g_free);
  g_clear_pointer(&desk->person, person_unref);
  g_clear_error(&desk->error);
}

void
desk_free(Desk *desk)
{
  if (!desk)
    return;
  stop(desk);
  forget(desk);
  g_source_destroy(desk->source);
  g_source_unref(desk->source);
  loop_free(desk->loop);
  g_string_free(desk->events, TRUE);
  g_free(desk->sentence);
  g_free(desk->state_dir);
  g_free(desk);
}

static void
on_prompt(const LoginPrompt *prompt, void *data)
{
  Desk *desk = data;

  g_assert_false(desk->prompted);
  g_assert_false(desk->done);
  desk->prompted = true;
  desk->url = g_strdup(prompt->url);
  desk->url_whole = g_strdup(prompt->url_whole);
  desk->user_code = g_strdup(prompt->user_code);
  if (desk->on_prompt)
    desk->on_prompt(desk);
}

static void
on_done(const Person *person,
        const char *notice,
        const GError *error,
        void *data)
{
  Desk *desk = data;

  g_assert_false(desk->done);
  g_assert_true((person != NULL) != (error != NULL));
  desk->done = true;
  desk->login = NULL;
  desk->person = person ? person_ref(person) : NULL;
  desk->notice = g_strdup(notice);
  desk->error = error ? g_error_copy(error) : NULL;
}

void
desk_login(Desk *desk, LoginMethod method, bool insecure)
{
  const LoginEvents events = {on_prompt, on_done};
  g_autofree char *token_file = g_build_filename(desk->state_dir, "jwt", NULL);
  const LoginSpec spec = {
      .method = method, .token_file = token_file, .insecure_storage = insecure};
  GError *error = NULL;

  forget(desk);
  desk->login = identity_login(desk->identity, &spec, &events, desk, &error);
  g_assert_false(desk->done);
  if (!desk->login) {
    desk->error = error;
    desk->done = true;
  }
}

bool
desk_until(bool (*check)(void *data), void *data)
{
  const int64_t limit = clock_mono_us() + PATIENCE * G_USEC_PER_SEC;

  while (!check(data)) {
    g_assert_cmpint(clock_mono_us(), <, limit);
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(1000);
  }
  return true;
}

static bool
is_done(void *data)
{
  return ((Desk *)data)->done;
}

void
desk_wait(Desk *desk)
{
  desk_until(is_done, desk);
}

void
desk_sign_in(Desk *desk, LoginMethod method, bool insecure)
{
  desk_login(desk, method, insecure);
  desk_wait(desk);
}

typedef struct {
  bool done;
  char *message;
} Ended;

static void
on_logout(const GError *error, void *data)
{
  Ended *ended = data;

  ended->done = true;
  ended->message = error ? g_strdup(error->message) : NULL;
}

static bool
has_ended(void *data)
{
  return ((Ended *)data)->done;
}

char *
desk_logout(Desk *desk)
{
  Ended ended = {false, NULL};

  identity_logout(desk->identity, NULL, on_logout, &ended);
  g_assert_false(ended.done);
  desk_until(has_ended, &ended);
  return ended.message;
}

typedef struct {
  Fake *fake;
  const char *path;
  unsigned times;
} Asked;

static bool
was_asked(void *data)
{
  const Asked *asked = data;

  return fake_asked(asked->fake, asked->path) >= asked->times;
}

bool
desk_until_asked(Fake *fake, const char *path, unsigned times)
{
  return desk_until(was_asked, &(Asked){fake, path, times});
}

typedef struct {
  Desk *desk;
  char event;
} Told;

static bool
was_told(void *data)
{
  const Told *told = data;

  return strchr(told->desk->events->str, told->event) != NULL;
}

bool
desk_until_event(Desk *desk, char event)
{
  return desk_until(was_told, &(Told){desk, event});
}

void
desk_run(int ms)
{
  const int64_t limit = clock_mono_us() + (int64_t)ms * 1000;

  while (clock_mono_us() < limit)
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(1000);
}

char *
desk_who(Desk *desk)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(PersonRef) person = identity_current(desk->identity, NULL, &error);

  if (!person)
    g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_SIGNED_OUT);
  return g_strdup(person ? person->user : error->message);
}
