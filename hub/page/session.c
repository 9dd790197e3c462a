/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, in memory: a hub that starts again has none, and people sign in
 * again. */
#include "hub/page/session.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include "kit/log.h"
#include <openssl/crypto.h>
#include <string.h>

#define US_PER_S INT64_C(1000000)
#define ID_LEN 32
/* In all, and of one person: a browser or two, a phone, and what was left. */
#define MAX_SESSIONS 10000
#define MAX_OF_ONE 8
/* A renewal that failed is tried again. */
#define RETRY_US (30 * US_PER_S)

struct session {
  unsigned refs;
  Sessions *sessions; /* NULL: it is over */
  uint8_t key[SHA256_LEN];
  char *proof;
  unsigned issuer;
  const Person *person;
  Secret *renewal; /* or NULL */
  int64_t renew_us;
  PortalCall *call;          /* a renewal that runs */
  int64_t begun_us, seen_us; /* CLOCK_BOOTTIME */
};

struct sessions {
  Portal *portal;
  const HubConfig *config;
  GHashTable *alive; /* key → Session */
};

static guint
key_hash(gconstpointer key)
{
  guint hash;

  memcpy(&hash, key, sizeof hash);
  return hash;
}

static gboolean
key_equal(gconstpointer a, gconstpointer b)
{
  return CRYPTO_memcmp(a, b, SHA256_LEN) == 0;
}

/* ---- one ------------------------------------------------------------------
 */

void
session_unref(Session *session)
{
  if (!session || --session->refs > 0)
    return;
  person_unref(session->person);
  secret_unref(session->renewal);
  g_free(session->proof);
  g_free(session);
}

const Person *
session_person(const Session *session)
{
  return session->person;
}

const char *
session_proof(const Session *session)
{
  return session->proof;
}

bool
session_proves(const Session *session, const char *proof)
{
  const size_t len = strlen(session->proof);

  return proof && strlen(proof) == len &&
         CRYPTO_memcmp(proof, session->proof, len) == 0;
}

bool
session_is_alive(const Session *session)
{
  const Sessions *sessions = session->sessions;
  const int64_t now = clock_boot_us();

  return sessions &&
         now - session->begun_us < sessions->config->page_lifetime * US_PER_S &&
         now - session->seen_us < sessions->config->page_idle * US_PER_S &&
         session->person->expires_us > clock_wall_us();
}

/* Here alone. */
static void
drop(Session *session)
{
  Sessions *sessions = session->sessions;

  if (!sessions)
    return;
  portal_cancel(g_steal_pointer(&session->call));
  session->sessions = NULL;
  g_hash_table_remove(sessions->alive, session->key);
}

/* ---- renewal --------------------------------------------------------------
 */

static void
keep(Session *session, const PortalGrant *grant)
{
  if (grant->renewal) {
    secret_unref(session->renewal);
    session->renewal = secret_ref(grant->renewal);
  }
  if (!grant->person)
    return;
  person_unref(session->person);
  session->person = person_ref(grant->person);
  session->renew_us = grant->renew_us;
}

static void
on_renewed(const char *url,
           const PortalGrant *grant,
           const GError *error,
           void *data)
{
  Session *session = data;

  (void)url;
  session->call = NULL;
  if (grant)
    keep(session, grant);
  if (!error)
    return;
  log_info(
      "session user=%s renewal=\"%s\"", session->person->user, error->message);
  if (g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_DENIED) ||
      g_error_matches(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN))
    drop(session);
  else
    session->renew_us = clock_wall_us() + RETRY_US;
}

static void
renew(Session *session)
{
  if (session->call || !session->renewal || session->renew_us == 0 ||
      session->renew_us > clock_wall_us())
    return;
  session->call = portal_renew(session->sessions->portal,
                               session->issuer,
                               session->renewal,
                               session->person,
                               on_renewed,
                               session);
}

/* ---- all ------------------------------------------------------------------
 */

Sessions *
sessions_new(Portal *portal, const HubConfig *config)
{
  Sessions *sessions = g_new0(Sessions, 1);

  sessions->portal = portal;
  sessions->config = config;
  sessions->alive = g_hash_table_new_full(
      key_hash, key_equal, NULL, (GDestroyNotify)session_unref);
  return sessions;
}

void
sessions_free(Sessions *sessions)
{
  g_autoptr(GList) all = NULL;

  if (!sessions)
    return;
  all = g_hash_table_get_values(sessions->alive);
  for (GList *each = all; each; each = each->next)
    drop(each->data);
  g_hash_table_unref(sessions->alive);
  g_free(sessions);
}

/* The one to end before another of this person begins, or NULL. */
static Session *
oldest_beyond(const Sessions *sessions, const Person *person)
{
  Session *oldest = NULL;
  Session *own = NULL;
  unsigned n = 0;
  GHashTableIter each;
  void *value;

  g_hash_table_iter_init(&each, sessions->alive);
  while (g_hash_table_iter_next(&each, NULL, &value)) {
    Session *session = value;

    if (!oldest || session->seen_us < oldest->seen_us)
      oldest = session;
    if (!g_str_equal(session->person->issuer, person->issuer) ||
        !g_str_equal(session->person->subject, person->subject))
      continue;
    n++;
    if (!own || session->seen_us < own->seen_us)
      own = session;
  }
  if (n >= MAX_OF_ONE)
    return own;
  return g_hash_table_size(sessions->alive) >= MAX_SESSIONS ? oldest : NULL;
}

char *
sessions_begin(Sessions *sessions, unsigned issuer, const PortalGrant *grant)
{
  Session *session = g_new0(Session, 1);
  Session *beyond = oldest_beyond(sessions, grant->person);
  uint8_t id[ID_LEN];
  uint8_t proof[ID_LEN];
  char *text;

  if (beyond)
    drop(beyond);
  random_bytes(id, sizeof id);
  random_bytes(proof, sizeof proof);
  text = base64url_encode(id, sizeof id);
  secret_wipe(id, sizeof id);
  session->refs = 1;
  session->sessions = sessions;
  sha256(text, strlen(text), session->key);
  session->proof = base64url_encode(proof, sizeof proof);
  session->issuer = issuer;
  session->person = person_ref(grant->person);
  session->renewal = grant->renewal ? secret_ref(grant->renewal) : NULL;
  session->renew_us = grant->renew_us;
  session->begun_us = session->seen_us = clock_boot_us();
  g_hash_table_insert(sessions->alive, session->key, session);
  return text;
}

Session *
sessions_find(Sessions *sessions, const char *id, bool active)
{
  uint8_t key[SHA256_LEN];
  Session *session;

  if (!id)
    return NULL;
  sha256(id, strlen(id), key);
  session = g_hash_table_lookup(sessions->alive, key);
  if (!session)
    return NULL;
  if (!session_is_alive(session)) {
    drop(session);
    return NULL;
  }
  if (active)
    session->seen_us = clock_boot_us();
  session->refs++;
  return session;
}

void
sessions_end(Sessions *sessions, Session *session)
{
  Secret *renewal = session->renewal;

  if (session->sessions != sessions)
    return;
  if (renewal)
    portal_revoke(sessions->portal, session->issuer, renewal);
  drop(session);
}

void
sessions_tick(Sessions *sessions)
{
  g_autoptr(GList) all = g_hash_table_get_values(sessions->alive);

  for (GList *each = all; each; each = each->next) {
    Session *session = each->data;

    if (session_is_alive(session))
      renew(session);
    else
      drop(session);
  }
}

unsigned
sessions_count(const Sessions *sessions)
{
  return g_hash_table_size(sessions->alive);
}
