/* SPDX-License-Identifier: Apache-2.0 */
/* One sign-in: the keyring first, so that nobody signs in for nothing; then
 * the provider; then what keeps it alive is stored; then the session begins. */
#include "identity/private.h"

struct login {
  Session *session;
  LoginMethod method;
  char *token_file;
  bool insecure_storage;
  LoginEvents events;
  void *data;
  TokenStoreCall *storing; /* opens or saves */
  ProviderCall *call;
  char *no_keyring; /* why it will be kept in memory only, or NULL */
  /* What is being stored. */
  const Person *person;
  Secret *renewal;
  int64_t renew_us;
  Secret *access; /* or NULL */
  int64_t access_until_us;
};

static bool
is_machine(const Login *login)
{
  return login->method != LOGIN_DEVICE && login->method != LOGIN_BROWSER;
}

void
login_stop(Login *login)
{
  Session *session = login->session;

  if (login->storing)
    token_store_cancel(login->storing);
  if (login->call)
    session->type->cancel(login->call);
  session->login = NULL;
  person_unref(login->person);
  secret_unref(login->renewal);
  secret_unref(login->access);
  g_free(login->no_keyring);
  g_free(login->token_file);
  g_free(login);
}

static void
finish(Login *login, const char *notice, const GError *error)
{
  const LoginEvents events = login->events;
  void *data = login->data;
  g_autoptr(PersonRef) person = g_steal_pointer(&login->person);

  login_stop(login);
  if (events.done)
    events.done(error ? NULL : person, notice, error, data);
}

/* A sentence for the person beside success, or NULL. */
static char *
notice_of(const Login *login)
{
  GString *notice = g_string_new(NULL);

  if (login->no_keyring)
    g_string_append_printf(notice,
                           "The session is kept in memory only and ends with "
                           "the agent: %s.",
                           login->no_keyring);
  else if (!login->renewal && !is_machine(login))
    g_string_append_printf(notice,
                           "The provider gave nothing to renew the session "
                           "with%s: it ends with its token.",
                           login->session->type == &provider_oidc
                               ? " (do the scopes hold `offline_access`?)"
                               : "");
  if (login->person->groups_unknown)
    g_string_append_printf(notice,
                           "%s%s",
                           notice->len > 0 ? " " : "",
                           login->person->groups_unknown);
  return g_string_free(notice, notice->len == 0);
}

/* The session begins; what keeps it is stored, or cannot be. */
static void
adopt(Login *login)
{
  Session *session = login->session;
  g_autoptr(GError) error = NULL;
  g_autofree char *notice = NULL;

  session->method = login->method;
  session->token_file = g_steal_pointer(&login->token_file);
  session->memory_only = login->no_keyring != NULL;
  session_adopt(session,
                &(ProviderGrant){.person = login->person,
                                 .renewal = login->renewal,
                                 .renew_us = login->renew_us,
                                 .access = login->access,
                                 .access_until_us = login->access_until_us});
  if (!session_note_machine(session, &error) && !login->no_keyring)
    login->no_keyring = g_strdup(error->message);
  notice = notice_of(login);
  if (login->no_keyring)
    session_set_store_problem(session, g_strdup(notice));
  session_tell(session,
               IDENTITY_SIGNED_IN,
               "Signed in at %s as %s.",
               session->issuer.issuer,
               login->person->user);
  finish(login, notice, NULL);
}

static void
on_saved(const GError *error, void *data)
{
  Login *login = data;

  login->storing = NULL;
  login->session->kept = !error;
  if (error)
    login->no_keyring = g_strdup(error->message);
  adopt(login);
}

static void
on_cleared(const GError *error, void *data)
{
  (void)error;
  (void)data;
}

/* Begins to store it; the store works in order. */
static void
store(Login *login)
{
  Session *session = login->session;
  const StoreKey key = session_key(session);
  const StorePlace place = login->insecure_storage ? STORE_FILE : STORE_KEYRING;
  const bool keep = login->renewal && !login->no_keyring;

  if (session->kept && (!keep || place != session->place))
    token_store_clear(session->identity->store, &key, on_cleared, NULL);
  session->kept = false;
  session->place = place;
  if (!keep) {
    adopt(login);
    return;
  }
  login->storing = token_store_save(
      session->identity->store, &key, login->renewal, place, on_saved, login);
}

static void
on_granted(const ProviderGrant *grant, const GError *error, void *data)
{
  Login *login = data;

  login->call = NULL;
  if (error) {
    finish(login, NULL, error);
    return;
  }
  login->person = person_ref(grant->person);
  login->renewal = grant->renewal ? secret_ref(grant->renewal) : NULL;
  login->renew_us = grant->renew_us;
  login->access = grant->access ? secret_ref(grant->access) : NULL;
  login->access_until_us = grant->access_until_us;
  /* Who is signed in stays so; it is no longer renewed. */
  session_forget(login->session);
  store(login);
}

static void
on_prompt(const LoginPrompt *prompt, void *data)
{
  Login *login = data;

  if (login->events.prompt)
    login->events.prompt(prompt, login->data);
}

static void
ask_provider(Login *login)
{
  Session *session = login->session;
  const ProviderEvents events = {.prompt = on_prompt, .done = on_granted};
  const LoginSpec spec = {.issuer = session->issuer.name,
                          .method = login->method,
                          .token_file = login->token_file};

  login->call = session->type->login(session->provider, &spec, &events, login);
}

static void
on_opened(const GError *error, void *data)
{
  Login *login = data;

  login->storing = NULL;
  if (error && error->code == IDENTITY_ERROR_LOCKED) {
    g_autoptr(GError) locked = g_error_new_literal(
        IDENTITY_ERROR,
        IDENTITY_ERROR_LOCKED,
        "The keyring is locked. Unlock it and sign in again, or use "
        "`--insecure-storage`");

    finish(login, NULL, locked);
    return;
  }
  if (error)
    login->no_keyring = g_strdup(error->message);
  ask_provider(login);
}

static bool
check(const Session *session, const LoginSpec *spec, GError **error)
{
  if (session->login) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_BUSY,
                "A sign-in at %s is under way",
                session->issuer.issuer);
    return false;
  }
  if (spec->method == LOGIN_TOKEN_FILE &&
      (!spec->token_file || !g_path_is_absolute(spec->token_file))) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_CONFIG,
                "The token file needs an absolute path");
    return false;
  }
  return true;
}

Login *
identity_login(Identity *identity,
               const LoginSpec *spec,
               const LoginEvents *events,
               void *data,
               GError **error)
{
  Session *session = identity_find(identity, spec->issuer, error);
  Login *login;

  if (!session || !check(session, spec, error))
    return NULL;
  login = g_new0(Login, 1);
  login->session = session;
  login->method = spec->method;
  login->token_file =
      spec->method == LOGIN_TOKEN_FILE ? g_strdup(spec->token_file) : NULL;
  login->insecure_storage = spec->insecure_storage;
  login->events = *events;
  login->data = data;
  session->login = login;
  if (is_machine(login) || login->insecure_storage)
    ask_provider(login);
  else
    login->storing = token_store_open(identity->store, true, on_opened, login);
  return login;
}

Secret *
login_give_up(Login *login)
{
  g_autoptr(GError) error = NULL;
  Secret *renewal;

  if (!login->person)
    return NULL;
  renewal = g_steal_pointer(&login->renewal);
  error = g_error_new(IDENTITY_ERROR,
                      IDENTITY_ERROR_CANCELLED,
                      "Signed out of %s meanwhile",
                      login->session->issuer.issuer);
  finish(login, NULL, error);
  return renewal;
}

void
login_cancel(Login *login)
{
  /* What the provider gave is on its way into the store: that ends by itself,
   * so that store and session stay one. */
  if (login->person)
    login->events = (LoginEvents){NULL};
  else
    login_stop(login);
}
