/* SPDX-License-Identifier: Apache-2.0 */
/* How sessions read: who, in which groups, until when, kept where. */
#include "cli/sessions.h"
#include "identity/identity.h"
#include "kit/clock.h"

#define DAY_US ((int64_t)24 * 60 * 60 * G_USEC_PER_SEC)

const char *
session_text(GVariant *session, const char *key)
{
  const char *value = NULL;

  g_variant_lookup(session, key, "&s", &value);
  return value;
}

bool
session_signed_in(GVariant *session)
{
  return session_text(session, "user") != NULL;
}

bool
session_is_local(GVariant *session)
{
  return g_strcmp0(session_text(session, "issuer"), "local") == 0;
}

/* The time today, the date too later on. */
static char *
until_text(int64_t expires_us)
{
  g_autofree char *whole = time_text(expires_us);

  if (expires_us - clock_wall_us() >= DAY_US)
    return g_strndup(whole, sizeof "2000-01-01 00:00" - 1);
  return g_strndup(whole + sizeof "2000-01-01 " - 1, sizeof "00:00" - 1);
}

static void
append_groups(GString *out, GVariant *session)
{
  const char *unknown = session_text(session, "groups_unknown");
  g_autofree const char **groups = NULL;
  g_autofree char *names = NULL;

  g_variant_lookup(session, "groups", "^a&s", &groups);
  if (!groups) {
    g_string_append_printf(out,
                           ", groups not known (%s): the strictest rules of "
                           "all groups apply",
                           unknown ? unknown : "the provider names none");
    return;
  }
  names = g_strjoinv(", ", (char **)groups);
  if (*names)
    g_string_append_printf(out, ", groups %s", names);
  else
    g_string_append(out, ", in no group");
}

char *
session_line(GVariant *session)
{
  GString *out = g_string_new(session_text(session, "user"));
  gboolean machine = FALSE;
  gint64 expires = 0;

  if (!session_signed_in(session)) {
    g_string_assign(out, "nobody is signed in");
    return g_string_free(out, FALSE);
  }
  g_variant_lookup(session, "machine", "b", &machine);
  g_variant_lookup(session, "expires_us", "x", &expires);
  append_groups(out, session);
  if (expires) {
    g_autofree char *until = until_text(expires);

    g_string_append_printf(out, "; until %s", until);
  }
  if (machine)
    g_string_append(out, "; a machine: what would ask is denied");
  return g_string_free(out, FALSE);
}

const char *
session_storage(GVariant *session)
{
  const char *storage = session_text(session, "storage");

  if (g_strcmp0(storage, "keyring") == 0)
    return "kept in the keyring";
  if (g_strcmp0(storage, "memory") == 0 && !session_text(session, "problem"))
    return "kept in memory only: gone when the agent stops";
  if (g_strcmp0(storage, "file") == 0)
    return "kept in an insecure file (--insecure-storage): whoever reads your "
           "files can sign in as you";
  return NULL;
}

int
session_code(const char *result)
{
  static const struct {
    const char *result;
    int code;
  } codes[] = {
      {"signed-in", CLI_DONE},
      {"signed-out", CLI_DONE},
      {"not-signed-in", CLI_SIGNED_OUT},
      {"config", CLI_USAGE},
      {"unreachable", CLI_UNREACHABLE},
      {"protocol", CLI_UNREACHABLE},
      {"denied", CLI_DENIED},
      {"expired", CLI_EXPIRED},
      {"token", CLI_BAD_TOKEN},
      {"locked", CLI_LOCKED},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(codes); i++)
    if (g_str_equal(codes[i].result, result))
      return codes[i].code;
  return CLI_FOUND;
}

static bool
local_person(const Call *call, SessionPerson *person, int *code)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Identity) identity = identity_new_solo(&error);
  g_autoptr(PersonRef) account =
      identity ? identity_current(identity, NULL, &error) : NULL;

  if (!account) {
    *code = complain(call, CLI_SIGNED_OUT, "%s", error->message);
    return false;
  }
  person->user = g_strdup(account->user);
  person->issuer = g_strdup(account->issuer);
  person->subject = g_strdup(account->subject);
  person->groups = g_strdupv(account->groups);
  return true;
}

static bool
first_person(const Call *call,
             GVariant *sessions,
             SessionPerson *person,
             int *code)
{
  GVariantIter iter;
  GVariant *one;

  g_variant_iter_init(&iter, sessions);
  while ((one = g_variant_iter_next_value(&iter))) {
    if (!person->user && session_signed_in(one)) {
      person->user = g_strdup(session_text(one, "user"));
      person->issuer = g_strdup(session_text(one, "issuer"));
      person->subject = g_strdup(session_text(one, "subject"));
      g_variant_lookup(one, "groups", "^as", &person->groups);
    }
    g_variant_unref(one);
  }
  if (!person->user)
    *code = complain(
        call, CLI_SIGNED_OUT, "nobody is signed in; run `hoop-agent login`");
  return person->user != NULL;
}

bool
session_person(const Call *call,
               const Config *config,
               SessionPerson *person,
               int *code)
{
  g_autoptr(HoopAgent1) agent = NULL;
  g_autoptr(GVariant) sessions = NULL;
  g_autoptr(GError) error = NULL;

  if (!config->identities->len)
    return local_person(call, person, code);
  agent = daemon_connect(call, code);
  if (!agent)
    return false;
  if (!hoop_agent1_call_sessions_sync(agent, &sessions, NULL, &error)) {
    *code = complain_error(call, error);
    return false;
  }
  return first_person(call, sessions, person, code);
}

void
session_person_clear(SessionPerson *person)
{
  g_clear_pointer(&person->user, g_free);
  g_clear_pointer(&person->issuer, g_free);
  g_clear_pointer(&person->subject, g_free);
  g_clear_pointer(&person->groups, g_strfreev);
}
