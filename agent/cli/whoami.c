/* SPDX-License-Identifier: Apache-2.0 */
/* whoami: the people that exchanges are recorded under: the daemon's sessions,
 * or the local account where no issuer is configured. */
#include "cli/sessions.h"
#include "identity/identity.h"
#include <stdio.h>

/* ---- Solo ------------------------------------------------------------------
 */

static void
say_local(const Person *person)
{
  g_autofree char *groups = g_strjoinv(", ", person->groups);

  printf("%s (the local account; no issuer is configured), in the group %s\n",
         person->user,
         groups);
}

static void
print_local(const Person *person)
{
  struct json_object *json = json_object_new_object();
  struct json_object *groups = json_object_new_array();

  json_object_object_add(json, "user", json_object_new_string(person->user));
  json_object_object_add(
      json, "subject", json_object_new_string(person->subject));
  json_object_object_add(
      json, "issuer", json_object_new_string(person->issuer));
  for (char **group = person->groups; *group; group++)
    json_object_array_add(groups, json_object_new_string(*group));
  json_object_object_add(json, "groups", groups);
  print_json(json);
}

static int
local_account(const Call *call)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Identity) identity = identity_new_solo(&error);
  g_autoptr(PersonRef) person =
      identity ? identity_current(identity, NULL, &error) : NULL;

  if (!person)
    return complain(call, CLI_SIGNED_OUT, "%s", error->message);
  if (call_has(call, "json"))
    print_local(person);
  else
    say_local(person);
  return CLI_DONE;
}

/* ---- Sessions --------------------------------------------------------------
 */

static void
say_one(GVariant *session)
{
  g_autofree char *line = session_line(session);
  const char *storage = session_storage(session);
  const char *problem = session_text(session, "problem");
  g_autofree char *text =
      g_strdup_printf("%s (%s): %s%s%s%s%s",
                      session_text(session, "name") ?: "?",
                      session_text(session, "issuer") ?: "?",
                      line,
                      storage && session_signed_in(session) ? "; " : "",
                      storage && session_signed_in(session) ? storage : "",
                      problem ? "\n  " : "",
                      problem ? problem : "");
  g_autofree char *shown = visible(text, -1, true);

  puts(shown);
}

/* The first who is signed in, as solo mode tells the local account, and all. */
static void
print_all(GVariant *sessions, GVariant *first)
{
  static const char *const keys[] = {
      "user", "subject", "issuer", "groups", "groups_unknown"};
  struct json_object *json =
      first ? variant_to_json(first) : json_object_new_object();
  struct json_object *out = json_object_new_object();
  struct json_object *value;

  for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++)
    if (json_object_object_get_ex(json, keys[i], &value))
      json_object_object_add(out, keys[i], json_object_get(value));
  json_object_put(json);
  json_object_object_add(out, "sessions", variant_to_json(sessions));
  print_json(out);
}

static int
tell_sessions(const Call *call, GVariant *sessions)
{
  g_autoptr(GVariant) first = NULL;
  GVariantIter iter;
  GVariant *one;

  g_variant_iter_init(&iter, sessions);
  while ((one = g_variant_iter_next_value(&iter))) {
    if (!first && session_signed_in(one))
      first = g_variant_ref(one);
    if (!call_has(call, "json"))
      say_one(one);
    g_variant_unref(one);
  }
  if (call_has(call, "json"))
    print_all(sessions, first);
  return first ? CLI_DONE
               : complain(call,
                          CLI_SIGNED_OUT,
                          "nobody is signed in; run `hoop-agent login`");
}

static bool
is_solo(GVariant *sessions)
{
  g_autoptr(GVariant) first = g_variant_n_children(sessions)
                                  ? g_variant_get_child_value(sessions, 0)
                                  : NULL;

  return !first || session_is_local(first);
}

int
verb_whoami(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_try();
  g_autoptr(Config) config = NULL;
  g_autoptr(GVariant) sessions = NULL;
  g_autoptr(GError) error = NULL;

  if (!agent) {
    config = cli_config(call, &code);
    if (!config)
      return code;
    if (!config->identities->len)
      return local_account(call);
    agent = daemon_connect(call, &code);
    if (!agent)
      return code;
  }
  if (!hoop_agent1_call_sessions_sync(agent, &sessions, NULL, &error))
    return complain_error(call, error);
  return is_solo(sessions) ? local_account(call)
                           : tell_sessions(call, sessions);
}
