/* SPDX-License-Identifier: Apache-2.0 */
/* One issuer's session: who it is for whoever asks, renewed by one writer
 * before its end, and stored before what it was renewed with is used. */
#include "identity/machine.h"
#include "identity/private.h"
#include "kit/clock.h"
#include <stdarg.h>

#define US_PER_S INT64_C(1000000)
/* Renewals that failed are tried again after 5 s, then twice as long, up to
 * five minutes; each up to a fifth more, so that agents do not come together.
 */
#define FIRST_RETRY_S 5
#define MAX_RETRY_S 300
/* A keyring that was locked at the start. */
#define LOCKED_RETRY_S 30

static void on_stored(const GError *error, void *data);

/* ---- what others see ----------------------------------------------------- */

StoreKey
session_key(const Session *session)
{
  return (StoreKey){session->issuer.issuer, session->issuer.client_id};
}

char *
session_hint(const Session *session)
{
  return session == session->identity->sessions
             ? g_strdup("Run `hoop-agent login`.")
             : g_strdup_printf("Run `hoop-agent login --issuer %s`.",
                               session->issuer.name);
}

void
session_tell(Session *session, IdentityEvent event, const char *format, ...)
{
  const Identity *identity = session->identity;
  g_autofree char *sentence = NULL;
  va_list args;

  if (!identity->watch)
    return;
  va_start(args, format);
  sentence = g_strdup_vprintf(format, args);
  va_end(args);
  identity->watch(
      session->issuer.issuer, event, sentence, identity->watch_data);
}

static void
set_problem(Session *session, char *problem)
{
  g_free(session->problem);
  session->problem = problem;
}

void
session_set_store_problem(Session *session, char *problem)
{
  g_free(session->store_problem);
  session->store_problem = problem;
}

static void
publish(Session *session, const Person *person, char *why)
{
  const int64_t left = person ? person->expires_us - clock_wall_us() : 0;
  const Person *old;
  char *old_why;

  pthread_mutex_lock(&session->lock);
  old = session->person;
  old_why = session->why;
  session->person = person ? person_ref(person) : NULL;
  session->end_boot_us = clock_boot_us() + left;
  session->machine = person && session->method != LOGIN_DEVICE &&
                     session->method != LOGIN_BROWSER;
  session->why = why;
  pthread_mutex_unlock(&session->lock);
  person_unref(old);
  g_free(old_why);
}

static void
set_awaited(Session *session, bool awaited)
{
  pthread_mutex_lock(&session->lock);
  session->awaited = awaited;
  pthread_mutex_unlock(&session->lock);
}

static void
cancel_renewal(Session *session)
{
  if (session->renewing)
    session->type->cancel(g_steal_pointer(&session->renewing));
  set_awaited(session, false);
}

void
session_end(Session *session, char *why)
{
  g_clear_pointer(&session->access, secret_unref);
  publish(session, NULL, why);
}

/* ---- times --------------------------------------------------------------- */

static void
set_next(Session *session, int64_t wall_us)
{
  session->next_us = wall_us;
  session->next_boot_us =
      wall_us != 0 ? clock_boot_us() + (wall_us - clock_wall_us()) : 0;
  identity_arm(session->identity);
}

static void
retry_after(Session *session, int64_t s)
{
  const int64_t us = s * US_PER_S;

  set_next(session,
           clock_wall_us() + us + us / 100 * g_random_int_range(0, 21));
}

int64_t
session_wait_us(const Session *session)
{
  const int64_t wall = clock_wall_us();
  const int64_t boot = clock_boot_us();
  int64_t wait = INT64_MAX;

  if (session->person)
    wait = MIN(session->person->expires_us - wall, session->end_boot_us - boot);
  if (session->next_us != 0 && !session->renewing && !session->loading &&
      !session->identity->settling)
    wait =
        MIN(wait, MIN(session->next_us - wall, session->next_boot_us - boot));
  return MAX(wait, 0);
}

/* ---- storing ------------------------------------------------------------- */

void
session_save(Session *session)
{
  const StoreKey key = session_key(session);

  if (!session->renewal || session->memory_only)
    return;
  /* The store works in order, and only the last answer counts. */
  if (session->saving)
    token_store_cancel(session->saving);
  session->kept = true;
  session->saving = token_store_save(session->identity->store,
                                     &key,
                                     session->renewal,
                                     session->place,
                                     on_stored,
                                     session);
}

static void
on_stored(const GError *error, void *data)
{
  Session *session = data;

  session->saving = NULL;
  session->kept = !error;
  session_set_store_problem(
      session,
      error ? g_strdup_printf("The session at %s could not be stored (%s): it "
                              "ends with the agent.",
                              session->issuer.issuer,
                              error->message)
            : NULL);
}

void
session_forget(Session *session)
{
  cancel_renewal(session);
  if (session->saving)
    token_store_cancel(g_steal_pointer(&session->saving));
  if (session->loading)
    token_store_cancel(g_steal_pointer(&session->loading));
  g_clear_pointer(&session->renewal, secret_unref);
  g_clear_pointer(&session->token_file, g_free);
  g_clear_pointer(&session->subject, g_free);
  session->method = LOGIN_DEVICE;
  session->failures = 0;
  session->memory_only = false;
  set_problem(session, NULL);
  session_set_store_problem(session, NULL);
  set_next(session, 0);
}

static void
on_cleared(const GError *error, void *data)
{
  (void)error;
  (void)data;
}

/* ---- renewing ------------------------------------------------------------ */

void
session_adopt(Session *session, const ProviderGrant *grant)
{
  if (grant->renewal != session->renewal) {
    secret_unref(session->renewal);
    session->renewal = grant->renewal ? secret_ref(grant->renewal) : NULL;
  }
  session->failures = 0;
  session->renewed_us = clock_wall_us();
  g_free(session->subject);
  session->subject = g_strdup(grant->person->subject);
  secret_unref(session->access);
  session->access = grant->access ? secret_ref(grant->access) : NULL;
  session->access_until_us = grant->access_until_us;
  publish(session, grant->person, NULL);
  set_next(session, grant->renew_us);
}

/* The provider ended it: what is stored is of no use. */
static void
revoke(Session *session, const GError *error)
{
  g_autofree char *hint = session_hint(session);
  const StoreKey key = session_key(session);

  session_forget(session);
  session_end(session,
              g_strdup_printf("The session at %s was ended (%s). %s",
                              session->issuer.issuer,
                              error->message,
                              hint));
  if (session->kept)
    token_store_clear(session->identity->store, &key, on_cleared, NULL);
  session->kept = false;
  session_note_machine(session, NULL);
  /* Whoever shows that nobody is signed in can say why. */
  set_problem(session,
              g_strdup_printf("The session at %s was ended: %s.",
                              session->issuer.issuer,
                              error->message));
  session_tell(session,
               IDENTITY_REVOKED,
               "The session at %s was ended: %s. %s",
               session->issuer.issuer,
               error->message,
               hint);
}

static void
try_later(Session *session, const GError *error)
{
  const unsigned doubled = MIN(session->failures, 6);
  const bool first = session->failures++ == 0;

  set_problem(session,
              g_strdup_printf("The session at %s could not be renewed: %s.",
                              session->issuer.issuer,
                              error->message));
  retry_after(session, MIN(FIRST_RETRY_S << doubled, MAX_RETRY_S));
  if (!session->person) {
    g_autofree char *hint = session_hint(session);

    session_end(session,
                g_strdup_printf("The session at %s could not be renewed: %s; "
                                "it is tried again. If that does not help: %s",
                                session->issuer.issuer,
                                error->message,
                                hint));
  }
  if (first)
    session_tell(session,
                 IDENTITY_RENEWAL_FAILED,
                 "The session at %s could not be renewed: %s. It is tried "
                 "again%s.",
                 session->issuer.issuer,
                 error->message,
                 session->person ? "; until its end it goes on" : "");
}

static void
on_keep(Secret *renewal, void *data)
{
  Session *session = data;

  secret_unref(session->renewal);
  session->renewal = secret_ref(renewal);
  session_save(session);
}

static void
take_renewal(Session *session, const ProviderGrant *grant, const GError *error)
{
  bool news;

  if (error && error->code == IDENTITY_ERROR_DENIED) {
    revoke(session, error);
    return;
  }
  if (error) {
    try_later(session, error);
    return;
  }
  /* A mounted token is read each minute: the same again is no news. */
  news = !session->person ||
         session->person->expires_us != grant->person->expires_us;
  set_problem(session, NULL);
  session_adopt(session, grant);
  /* What could not be stored may be by now. */
  if (!session->kept && !session->saving)
    session_save(session);
  if (news)
    session_tell(session,
                 IDENTITY_RENEWED,
                 "The session of %s at %s was renewed.",
                 session->person->user,
                 session->issuer.issuer);
}

/* Whoever waits finds the new session, or why there is none. */
static void
on_renewed(const ProviderGrant *grant, const GError *error, void *data)
{
  Session *session = data;

  session->renewing = NULL;
  take_renewal(session, grant, error);
  set_awaited(session, session->renewing != NULL);
}

static void
renew(Session *session)
{
  const ProviderEvents events = {.keep = on_keep, .done = on_renewed};
  const LoginSpec spec = {.issuer = session->issuer.name,
                          .method = session->method,
                          .token_file = session->token_file};

  set_awaited(session, true);
  session->renewing = session->type->renew(session->provider,
                                           &spec,
                                           session->renewal,
                                           session->subject,
                                           &events,
                                           session);
}

/* ---- the session that was stored ----------------------------------------- */

static void
renew_at_start(Session *session)
{
  g_autofree char *hint = session_hint(session);

  session_end(session,
              g_strdup_printf("The session at %s is being renewed. Try again "
                              "in a moment; if that does not help: %s",
                              session->issuer.issuer,
                              hint));
  renew(session);
}

static void
on_loaded(Secret *secret, StorePlace place, const GError *error, void *data)
{
  Session *session = data;
  g_autofree char *hint = session_hint(session);

  session->loading = NULL;
  if (error && error->code == IDENTITY_ERROR_LOCKED) {
    session_set_store_problem(
        session,
        g_strdup_printf("The keyring is locked: unlock it to go on with the "
                        "session at %s.",
                        session->issuer.issuer));
    session_end(session,
                g_strdup_printf("The keyring with the session at %s is "
                                "locked. Unlock it, or run `hoop-agent login`.",
                                session->issuer.issuer));
    retry_after(session, LOCKED_RETRY_S);
    return;
  }
  /* A desktop without keyring is no problem yet. */
  session_set_store_problem(
      session, error && place == STORE_FILE ? g_strdup(error->message) : NULL);
  session_end(session,
              g_strdup_printf("Nobody is signed in at %s. %s",
                              session->issuer.issuer,
                              hint));
  if (!secret)
    return;
  session->renewal = secret_ref(secret);
  session->place = place;
  session->kept = true;
  session->method = LOGIN_DEVICE;
  renew_at_start(session);
}

static char *
machine_path(const Session *session)
{
  const StoreKey key = session_key(session);

  return token_store_path(session->identity->store, &key, ".machine");
}

bool
session_note_machine(Session *session, GError **error)
{
  g_autofree char *path = machine_path(session);
  const MachineRecord record = {.method = session->method,
                                .token_file = session->token_file,
                                .subject = session->subject};

  return session->person && session->machine
             ? machine_remember(path, &record, error)
             : machine_forget(path, error);
}

/* A machine signs in again by itself: true when it does. */
static bool
begin_machine(Session *session)
{
  g_autofree char *path = machine_path(session);
  g_autoptr(GError) error = NULL;
  MachineRecord record;

  if (!machine_recall(path, &record, &error)) {
    if (error)
      set_problem(session, g_strdup(error->message));
    return false;
  }
  session->method = record.method;
  session->token_file = record.token_file;
  session->subject = record.subject;
  renew_at_start(session);
  return true;
}

void
session_begin(Session *session)
{
  const StoreKey key = session_key(session);

  if (begin_machine(session))
    return;
  session->loading =
      token_store_load(session->identity->store, &key, on_loaded, session);
}

/* ---- what is due --------------------------------------------------------- */

static bool
is_due(int64_t wall_us, int64_t boot_us)
{
  return clock_wall_us() >= wall_us || clock_boot_us() >= boot_us;
}

static void
expire(Session *session)
{
  g_autofree char *hint = session_hint(session);
  g_autofree char *why =
      g_strdup_printf("The session at %s has ended%s%s. %s",
                      session->issuer.issuer,
                      session->problem ? ": " : "",
                      session->problem ? session->problem : "",
                      hint);

  session_end(session, g_strdup(why));
  session_tell(session, IDENTITY_SIGNED_OUT, "%s", why);
}

void
session_tick(Session *session)
{
  if (session->person &&
      is_due(session->person->expires_us, session->end_boot_us))
    expire(session);
  if (session->next_us == 0 || session->renewing || session->loading ||
      session->identity->settling ||
      !is_due(session->next_us, session->next_boot_us))
    return;
  session->next_us = 0;
  if (session->renewal || session->token_file ||
      session->method == LOGIN_CLIENT_CREDENTIALS)
    renew(session);
  else
    session_begin(session);
}

/* ---- its life ------------------------------------------------------------ */

static void
copy_options(IssuerOptions *to, const IssuerOptions *from)
{
  *to = (IssuerOptions){
      .name = g_strdup(from->name),
      .type = g_strdup(from->type),
      .issuer = g_strdup(from->issuer),
      .client_id = g_strdup(from->client_id),
      .client_secret_file = g_strdup(from->client_secret_file),
      .scopes = g_strdup(from->scopes ? from->scopes : "openid"),
      .audience = g_strdup(from->audience),
      .redirect_port = from->redirect_port,
      .groups_claim = g_strdup(from->groups_claim),
      .groups_separator = g_strdup(from->groups_separator),
      .groups_prefix = g_strdup(from->groups_prefix),
      .ca_file = g_strdup(from->ca_file),
      .is_ours = from->is_ours,
  };
}

bool
session_init(Session *session,
             Identity *identity,
             const IssuerOptions *issuer,
             const UpstreamOptions *upstream,
             GError **error)
{
  g_autofree char *hint = NULL;

  session->identity = identity;
  pthread_mutex_init(&session->lock, NULL);
  copy_options(&session->issuer, issuer);
  session->type = provider_type(issuer->type);
  if (!session->type) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_CONFIG,
                "identity \"%s\": there is no type \"%s\"",
                issuer->name,
                issuer->type);
    return false;
  }
  session->provider =
      session->type->make(identity->loop, &session->issuer, upstream, error);
  if (!session->provider)
    return false;
  hint = session_hint(session);
  session->why = g_strdup_printf(
      "Nobody is signed in at %s. %s", session->issuer.issuer, hint);
  return true;
}

void
session_stop(Session *session)
{
  cancel_renewal(session);
  if (session->login)
    login_stop(session->login);
  logouts_stop(session);
  if (session->saving)
    token_store_cancel(g_steal_pointer(&session->saving));
  if (session->loading)
    token_store_cancel(g_steal_pointer(&session->loading));
}

void
session_clear(Session *session)
{
  IssuerOptions *issuer = &session->issuer;

  if (session->provider)
    session->type->unmake(session->provider);
  person_unref(session->person);
  secret_unref(session->access);
  secret_unref(session->renewal);
  g_free(session->token_file);
  g_free(session->subject);
  g_free(session->why);
  g_free(session->problem);
  g_free(session->store_problem);
  pthread_mutex_destroy(&session->lock);
  g_free((char *)issuer->name);
  g_free((char *)issuer->type);
  g_free((char *)issuer->issuer);
  g_free((char *)issuer->client_id);
  g_free((char *)issuer->client_secret_file);
  g_free((char *)issuer->scopes);
  g_free((char *)issuer->audience);
  g_free((char *)issuer->groups_claim);
  g_free((char *)issuer->groups_separator);
  g_free((char *)issuer->groups_prefix);
  g_free((char *)issuer->ca_file);
}
