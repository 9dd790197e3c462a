/* SPDX-License-Identifier: Apache-2.0 */
/* whoami: the person that exchanges are recorded under. */
#include "cli/verb.h"
#include "identity/identity.h"
#include <stdio.h>

static void
say(const Person *person)
{
  g_autofree char *groups = g_strjoinv(", ", person->groups);

  printf("%s (%s), in the group%s %s\n",
         person->user,
         g_str_equal(person->issuer, "local")
             ? "the local account; no issuer is configured"
             : person->issuer,
         g_strv_length(person->groups) == 1 ? "" : "s",
         groups);
}

static void
say_json(const Person *person)
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

int
verb_whoami(const Call *call)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Identity) identity = identity_new_solo(&error);
  g_autoptr(PersonRef) person =
      identity ? identity_current(identity, NULL, &error) : NULL;

  if (!person)
    return complain(call, CLI_SIGNED_OUT, "%s", error->message);
  if (call_has(call, "json"))
    say_json(person);
  else
    say(person);
  return CLI_DONE;
}
