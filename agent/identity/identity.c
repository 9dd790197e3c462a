/* SPDX-License-Identifier: Apache-2.0 */
/* All sessions, one for each issuer, and the clock that they are renewed by. */
#include "identity/private.h"
#include "kit/clock.h"
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define US_PER_S INT64_C(1000000)
/* Longer than any session: only a change of the clock wakes it. */
#define MAX_WAIT_US (86400 * US_PER_S)
/* The agent's end does not wait longer for a provider. */
#define SETTLE_MS 5000

/* ---- the clock ----------------------------------------------------------- */

void
identity_arm(Identity *identity)
{
  int64_t wait = INT64_MAX;
  int64_t due;
  struct itimerspec when = {0};

  for (unsigned i = 0; i < identity->n_sessions; i++)
    wait = MIN(wait, session_wait_us(&identity->sessions[i]));
  if (wait != INT64_MAX) {
    due = clock_wall_us() + MIN(wait, MAX_WAIT_US) + 1;
    when.it_value.tv_sec = due / US_PER_S;
    when.it_value.tv_nsec = due % US_PER_S * 1000;
  }
  /* Wakes also when the wall clock is set, as after a suspend. */
  timerfd_settime(identity->clock_fd,
                  TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET,
                  &when,
                  NULL);
}

static void
on_clock(uint32_t events, void *data)
{
  Identity *identity = data;
  uint64_t times;

  (void)events;
  /* ECANCELED when the clock was set: looked at all the same. */
  while (read(identity->clock_fd, &times, sizeof times) < 0 && errno == EINTR)
    continue;
  for (unsigned i = 0; i < identity->n_sessions; i++)
    session_tick(&identity->sessions[i]);
  identity_arm(identity);
}

static bool
start_clock(Identity *identity, GError **error)
{
  identity->clock_fd =
      timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (identity->clock_fd >= 0)
    identity->clock = loop_watch_new(
        identity->loop, identity->clock_fd, EPOLLIN, on_clock, identity);
  if (identity->clock)
    return true;
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_CONFIG,
              "cannot make a timer: %s",
              g_strerror(errno));
  return false;
}

/* ---- its life ------------------------------------------------------------ */

Identity *
identity_new(Loop *loop, const IdentityOptions *options, GError **error)
{
  g_autoptr(Identity) identity = g_new0(Identity, 1);

  g_assert(options->n_issuers > 0);
  identity->loop = loop;
  identity->clock_fd = -1;
  identity->store = token_store_new(loop, options->state_dir);
  identity->sessions = g_new0(Session, options->n_issuers);
  if (!start_clock(identity, error))
    return NULL;
  for (unsigned i = 0; i < options->n_issuers; i++) {
    identity->n_sessions++;
    if (!session_init(&identity->sessions[i],
                      identity,
                      &options->issuers[i],
                      &options->upstream,
                      error))
      return NULL;
  }
  for (unsigned i = 0; i < identity->n_sessions; i++)
    session_begin(&identity->sessions[i]);
  return g_steal_pointer(&identity);
}

static bool
spends(const Identity *identity)
{
  for (unsigned i = 0; i < identity->n_sessions; i++) {
    const Session *session = &identity->sessions[i];

    if (session->renewing && session->type->spends(session->renewing))
      return true;
  }
  return false;
}

static gboolean
on_limit(void *data)
{
  *(bool *)data = true;
  return G_SOURCE_REMOVE;
}

void
identity_settle(Identity *identity)
{
  bool over = false;
  guint limit;

  identity->settling = true;
  limit = g_timeout_add(SETTLE_MS, on_limit, &over);
  while (!over && spends(identity))
    g_main_context_iteration(NULL, TRUE);
  if (!over)
    g_source_remove(limit);
}

void
identity_free(Identity *identity)
{
  if (!identity)
    return;
  for (unsigned i = 0; i < identity->n_sessions; i++)
    session_stop(&identity->sessions[i]);
  token_store_free(identity->store);
  for (unsigned i = 0; i < identity->n_sessions; i++)
    session_clear(&identity->sessions[i]);
  loop_watch_free(identity->clock);
  if (identity->sessions && identity->clock_fd >= 0)
    close(identity->clock_fd);
  g_free(identity->sessions);
  person_unref(identity->solo);
  g_free(identity);
}

/* ---- who is signed in ---------------------------------------------------- */

/* Any thread: names and URLs never change. */
static Session *
find(Identity *identity, const char *issuer)
{
  if (!issuer)
    return identity->n_sessions > 0 ? identity->sessions : NULL;
  for (unsigned i = 0; i < identity->n_sessions; i++) {
    Session *session = &identity->sessions[i];

    if (strcmp(session->issuer.name, issuer) == 0 ||
        strcmp(session->issuer.issuer, issuer) == 0)
      return session;
  }
  return NULL;
}

Session *
identity_find(Identity *identity, const char *issuer, GError **error)
{
  Session *session = find(identity, issuer);

  if (!session && issuer && identity->n_sessions > 0)
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_CONFIG,
                "There is no [identity \"%s\"] in the configuration",
                issuer);
  else if (!session)
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_CONFIG,
                "No [identity] is configured: the local account is the person");
  return session;
}

static const Person *
current_solo(const Identity *identity, const char *issuer, GError **error)
{
  if (!issuer || g_str_equal(issuer, identity->solo->issuer))
    return person_ref(identity->solo);
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_SIGNED_OUT,
              "Nobody is signed in at %s. Run `hoop-agent login --issuer %s`.",
              issuer,
              issuer);
  return NULL;
}

const Person *
identity_current(Identity *identity, const char *issuer, GError **error)
{
  const Person *person = NULL;
  Session *session;

  if (identity->solo)
    return current_solo(identity, issuer, error);
  session = find(identity, issuer);
  if (!session) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_SIGNED_OUT,
                "There is no [identity \"%s\"] in the configuration, so nobody "
                "can be signed in there.",
                issuer);
    return NULL;
  }
  pthread_mutex_lock(&session->lock);
  if (session->person && clock_wall_us() < session->person->expires_us &&
      clock_boot_us() < session->end_boot_us)
    person = person_ref(session->person);
  else
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_SIGNED_OUT,
                session->why ? "%s"
                             : "The session at %s has ended. Run "
                               "`hoop-agent login`.",
                session->why ? session->why : session->issuer.issuer);
  pthread_mutex_unlock(&session->lock);
  return person;
}

bool
identity_is_renewing(Identity *identity, const char *issuer)
{
  Session *session = find(identity, issuer);
  bool renewing;

  if (!session)
    return false;
  pthread_mutex_lock(&session->lock);
  renewing = session->awaited;
  pthread_mutex_unlock(&session->lock);
  return renewing;
}

bool
identity_is_machine(Identity *identity, const char *issuer)
{
  Session *session = find(identity, issuer);
  bool machine;

  if (!session)
    return false;
  pthread_mutex_lock(&session->lock);
  machine = session->machine;
  pthread_mutex_unlock(&session->lock);
  return machine;
}

/* ---- for people ---------------------------------------------------------- */

void
identity_watch(Identity *identity,
               void (*func)(const char *issuer,
                            IdentityEvent event,
                            const char *sentence,
                            void *data),
               void *data)
{
  identity->watch = func;
  identity->watch_data = data;
}

unsigned
identity_count(const Identity *identity)
{
  return identity->solo ? 1 : identity->n_sessions;
}

static const char *
storage_of(const Session *session)
{
  if (session->machine || (!session->person && !session->renewal))
    return "none";
  if (!session->kept)
    return "memory";
  return session->place == STORE_FILE ? "file" : "keyring";
}

SessionInfo
identity_session(Identity *identity, unsigned index)
{
  const Session *session;

  if (identity->solo)
    return (SessionInfo){.name = identity->solo->issuer,
                         .issuer = identity->solo->issuer,
                         .person = identity->solo,
                         .storage = "none"};
  session = &identity->sessions[index];
  return (SessionInfo){.name = session->issuer.name,
                       .issuer = session->issuer.issuer,
                       .person = session->person,
                       .storage = storage_of(session),
                       .problem = session->problem ? session->problem
                                                   : session->store_problem,
                       .machine = session->machine,
                       .signing_in = session->login != NULL,
                       .renewed_us = session->renewed_us};
}

Secret *
identity_access(Identity *identity, const char *issuer, GError **error)
{
  Session *session;

  if (identity->solo) {
    g_set_error_literal(error,
                        IDENTITY_ERROR,
                        IDENTITY_ERROR_SIGNED_OUT,
                        "Nobody signs in here: agent.conf has no [identity]");
    return NULL;
  }
  session = identity_find(identity, issuer, error);
  if (!session)
    return NULL;
  if (session->person && session->access &&
      clock_wall_us() < session->access_until_us)
    return secret_ref(session->access);
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_SIGNED_OUT,
              "There is no access token of %s that is still good. Run "
              "`hoop-agent login`",
              session->issuer.issuer);
  return NULL;
}
