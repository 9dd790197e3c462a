/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a session by its person: over at once, cleared from the store,
 * and told to the provider if it can be reached. */
#include "identity/private.h"

typedef struct {
  Session *session;
  void (*done)(const GError *error, void *data);
  void *data;
  ProviderCall *revoking;
  TokenStoreCall *clearing;
  LoopTimer *timer; /* nothing is to be waited for */
  bool was_kept;
  GError *store_error;
  GError *revoke_error;
} Logout;

static void
logout_free(Logout *logout)
{
  Session *session = logout->session;

  if (logout->revoking)
    session->type->cancel(logout->revoking);
  if (logout->clearing)
    token_store_cancel(logout->clearing);
  loop_timer_free(logout->timer);
  session->logouts = g_list_remove(session->logouts, logout);
  g_clear_error(&logout->store_error);
  g_clear_error(&logout->revoke_error);
  g_free(logout);
}

void
logouts_stop(Session *session)
{
  while (session->logouts)
    logout_free(session->logouts->data);
}

static void
check_end(Logout *logout)
{
  void (*done)(const GError *error, void *data) = logout->done;
  void *data = logout->data;
  g_autoptr(GError) error = NULL;

  if (logout->revoking || logout->clearing)
    return;
  error = logout->store_error ? g_steal_pointer(&logout->store_error)
                              : g_steal_pointer(&logout->revoke_error);
  logout_free(logout);
  done(error, data);
}

static void
on_timer(void *data)
{
  check_end(data);
}

static void
on_cleared(const GError *error, void *data)
{
  Logout *logout = data;

  logout->clearing = NULL;
  /* Where nothing was kept only a lock can hide something. */
  if (error && !logout->store_error &&
      (logout->was_kept || error->code == IDENTITY_ERROR_LOCKED))
    logout->store_error =
        g_error_new(IDENTITY_ERROR,
                    error->code,
                    "The session is over, but what was stored of it could not "
                    "be cleared: %s",
                    error->message);
  check_end(logout);
}

static void
on_revoked(const ProviderGrant *grant, const GError *error, void *data)
{
  Logout *logout = data;

  (void)grant;
  logout->revoking = NULL;
  if (error)
    logout->revoke_error =
        g_error_new(IDENTITY_ERROR,
                    error->code,
                    "The session is over here, but the provider could not be "
                    "told: %s",
                    error->message);
  check_end(logout);
}

static void
start(Logout *logout)
{
  Session *session = logout->session;
  const ProviderEvents events = {.done = on_revoked};
  const StoreKey key = session_key(session);
  g_autoptr(Secret) renewal =
      session->renewal ? secret_ref(session->renewal) : NULL;
  g_autoptr(Secret) given =
      session->login ? login_give_up(session->login) : NULL;
  g_autofree char *hint = session_hint(session);
  const bool was_signed_in = session->person != NULL;
  const bool machine = session->machine;

  /* A sign-in that was being stored: its save comes before our clear. */
  logout->was_kept = session->kept || given;
  session_forget(session);
  session->kept = false;
  session_end(session,
              g_strdup_printf("Nobody is signed in at %s. %s",
                              session->issuer.issuer,
                              hint));
  session_note_machine(session, &logout->store_error);
  if (!machine)
    logout->clearing =
        token_store_clear(session->identity->store, &key, on_cleared, logout);
  if (renewal || given)
    logout->revoking = session->type->revoke(
        session->provider, given ? given : renewal, &events, logout);
  if (was_signed_in)
    session_tell(session,
                 IDENTITY_SIGNED_OUT,
                 "Signed out of %s.",
                 session->issuer.issuer);
}

typedef struct {
  void (*done)(const GError *error, void *data);
  void *data;
  GError *error;
} Refusal;

static gboolean
refuse(void *data)
{
  Refusal *refusal = data;

  refusal->done(refusal->error, refusal->data);
  g_clear_error(&refusal->error);
  g_free(refusal);
  return G_SOURCE_REMOVE;
}

void
identity_logout(Identity *identity,
                const char *issuer,
                void (*done)(const GError *error, void *data),
                void *data)
{
  GError *error = NULL;
  Session *session = identity_find(identity, issuer, &error);
  Logout *logout;

  if (!session) {
    Refusal *refusal = g_new0(Refusal, 1);

    *refusal = (Refusal){done, data, error};
    g_idle_add(refuse, refusal);
    return;
  }
  logout = g_new0(Logout, 1);
  logout->session = session;
  logout->done = done;
  logout->data = data;
  logout->timer = loop_timer_new(identity->loop, on_timer, logout);
  session->logouts = g_list_prepend(session->logouts, logout);
  start(logout);
  if (!logout->revoking && !logout->clearing)
    loop_timer_set(logout->timer, 0);
}
