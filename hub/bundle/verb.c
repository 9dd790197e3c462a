/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-hub policy: publish, rollout, status. Runs where the hub's folder is,
 * beside the hub or without it. */
#include "hub/verb.h"
#include "hub/bundle/bundles.h"
#include "hub/bundle/publish.h"
#include "kit/clock.h"
#include "kit/json-put.h"
#include <stdio.h>
#include <string.h>

#define DAY_US (INT64_C(86400) * 1000000)
#define DEFAULT_DAYS 90
#define MAX_DAYS 3650

static const char usage[] =
    "Usage: hoop-hub policy publish [--name NAME] [--for DAYS] [--from DAYS]\n"
    "                               [--config FILE] DIR\n"
    "       hoop-hub policy rollout --group GROUP [--config FILE] VERSION\n"
    "       hoop-hub policy status [--json] [--config FILE]\n";

static bool
read_days(const char *text, guint64 least, int64_t *out_us)
{
  guint64 days;

  if (!g_ascii_string_to_unsigned(text, 10, least, MAX_DAYS, &days, NULL))
    return false;
  *out_us = (int64_t)days * DAY_US;
  return true;
}

/* ---- publish --------------------------------------------------------------
 */

static int
say_published(const Bundle *bundle, const PublishNote *note)
{
  g_autofree char *until = clock_rfc3339(bundle->expires_us);

  for (char **other = note->others; *other; other++) {
    g_autofree char *shown = verb_visible(*other);

    printf("left out: %s\n", shown);
  }
  for (char **warning = note->warnings; *warning; warning++)
    printf("warning: %s\n", *warning);
  printf("version %" G_GINT64_FORMAT " of %s: %u file%s, %u rule%s, %u case%s "
         "as expected, good until %s\n"
         "It is nobody's yet: hoop-hub policy rollout --group GROUP "
         "%" G_GINT64_FORMAT "\n",
         bundle->version,
         bundle->name,
         bundle->files->len,
         bundle->files->len == 1 ? "" : "s",
         note->rules,
         note->rules == 1 ? "" : "s",
         note->passed,
         note->passed == 1 ? "" : "s",
         until,
         bundle->version);
  return 0;
}

static int
publish(const HubVerb *verb)
{
  const char *name = verb_value(verb, "name");
  const char *days = verb_value(verb, "for");
  const char *from = verb_value(verb, "from");
  g_autoptr(Bundle) bundle = bundle_new(name ? name : "policy", 0);
  g_auto(PublishNote) note = {.rules = 0};
  g_autoptr(GBytes) sealed = NULL;
  g_autoptr(GError) error = NULL;
  int64_t good_us = DEFAULT_DAYS * DAY_US, from_us = 0;
  HubOpen *open;
  int code = 1;

  if (!bundle_name_is_fine(bundle->name) ||
      (days && !read_days(days, 1, &good_us)) ||
      (from && !read_days(from, 0, &from_us)))
    return verb_misused(
        verb, "a name is of letters, digits and ._-, days are numbers");
  if (!publish_read(bundle, verb->args[0], &note, &error))
    return verb_fail(verb, error);
  open = verb_open(verb, &code);
  if (!open)
    return code;
  bundle->version = bundles_next(open->db, &error);
  bundle->issued_us = clock_wall_us();
  bundle->not_before_us = bundle->issued_us + from_us;
  bundle->expires_us = bundle->not_before_us + good_us;
  sealed = bundle->version > 0 ? bundle_seal(bundle, open->key) : NULL;
  if (sealed) {
    const DbResult result =
        bundles_add(open->db, bundle, sealed, &open->actor, &error);

    if (result == DB_CONFLICT)
      g_set_error_literal(&error,
                          HUB_ERROR,
                          HUB_ERROR_POLICY,
                          "another version was published meanwhile; try again");
  } else if (!error) {
    g_set_error_literal(
        &error, HUB_ERROR, HUB_ERROR_POLICY, "the hub's key cannot sign");
  }
  code = error ? verb_fail(verb, error) : say_published(bundle, &note);
  verb_close(open);
  return code;
}

/* ---- rollout --------------------------------------------------------------
 */

static int
roll_out(const HubVerb *verb)
{
  const char *group = verb_value(verb, "group");
  g_autoptr(GError) error = NULL;
  guint64 version;
  HubOpen *open;
  int code = 1;

  if (!group || !*group || !g_utf8_validate(group, -1, NULL) ||
      !g_ascii_string_to_unsigned(
          verb->args[0], 10, 1, INT64_MAX, &version, NULL))
    return verb_misused(verb, "a group and a version are needed");
  open = verb_open(verb, &code);
  if (!open)
    return code;
  code = 0;
  switch (bundles_roll_out(open->db,
                           group,
                           (int64_t)version,
                           &open->actor,
                           clock_wall_us(),
                           &error)) {
  case DB_DONE:
    printf("version %" G_GUINT64_FORMAT " is %s's now\n",
           version,
           g_str_equal(group, BUNDLES_EVERYBODY) ? "everybody" : group);
    break;
  case DB_CONFLICT:
    g_set_error(&error,
                HUB_ERROR,
                HUB_ERROR_POLICY,
                "there is no version %" G_GUINT64_FORMAT
                ", or %s has it or a later one: what is to come back is "
                "published anew, as a later version",
                version,
                group);
    code = verb_fail(verb, error);
    break;
  case DB_FAILED:
    code = verb_fail(verb, error);
    break;
  }
  verb_close(open);
  return code;
}

/* ---- status ---------------------------------------------------------------
 */

static void
say_time(GString *out, const char *key, int64_t at_us)
{
  g_autofree char *time = at_us > 0 ? clock_rfc3339(at_us) : NULL;

  json_put_text(out, key, time);
}

static void
put_rollouts(GString *out, const char *key, const GPtrArray *list)
{
  g_autoptr(GString) array = g_string_new("[");

  for (guint i = 0; i < list->len; i++) {
    const Rollout *one = list->pdata[i];

    g_string_append(array, i > 0 ? ",{" : "{");
    json_put_text(array, "group", one->group);
    json_put_number(array, "version", one->version);
    json_put_text(array, "name", one->name);
    json_put_text(array, "digest", one->digest);
    say_time(array, "from", one->not_before_us);
    say_time(array, "expires", one->expires_us);
    say_time(array, one->group ? "rolled_out" : "published", one->at_us);
    g_string_append_c(array, '}');
  }
  g_string_append_c(array, ']');
  json_put_raw(out, key, array->str);
}

static void
put_states(GString *out, const GPtrArray *list)
{
  g_autoptr(GString) array = g_string_new("[");

  for (guint i = 0; i < list->len; i++) {
    const MachineState *one = list->pdata[i];

    g_string_append(array, i > 0 ? ",{" : "{");
    json_put_text(array, "machine", one->machine);
    json_put_text(array, "name", one->name);
    json_put_text(array, "user", one->user);
    json_put_text(array, "agent", one->version);
    json_put_text(array, "policy_revision", one->revision);
    if (one->version)
      json_put_number(array, "version", one->bundle);
    json_put_text(array, "problem", one->problem);
    say_time(array, "seen", one->seen_us);
    g_string_append_c(array, '}');
  }
  g_string_append_c(array, ']');
  json_put_raw(out, "agents", array->str);
}

static void
say_states(const GPtrArray *states)
{
  for (guint i = 0; i < states->len; i++) {
    const MachineState *one = states->pdata[i];
    g_autofree char *user = verb_visible(one->user);
    g_autofree char *name = verb_visible(one->name);
    g_autofree char *seen = one->version ? clock_rfc3339(one->seen_us) : NULL;
    g_autofree char *problem = one->problem ? verb_visible(one->problem) : NULL;

    printf("  %s on %s: ", user, name);
    if (!one->version)
      puts("has not said yet what it runs");
    else if (one->bundle == 0)
      printf("no policy of the hub, revision %.12s, seen %s\n",
             one->revision,
             seen);
    else
      printf("version %" G_GINT64_FORMAT ", revision %.12s, seen %s\n",
             one->bundle,
             one->revision,
             seen);
    if (problem)
      printf("    %s\n", problem);
  }
}

static void
say_status(const GPtrArray *published,
           const GPtrArray *rollouts,
           const GPtrArray *states)
{
  puts(published->len ? "Published:" : "Nothing is published.");
  for (guint i = 0; i < published->len; i++) {
    const Rollout *one = published->pdata[i];
    g_autofree char *until = clock_rfc3339(one->expires_us);

    printf("  version %" G_GINT64_FORMAT " of %s, %s %s\n",
           one->version,
           one->name,
           one->expires_us <= clock_wall_us() ? "ended" : "until",
           until);
  }
  puts(rollouts->len ? "Rolled out:" : "Nothing is rolled out.");
  for (guint i = 0; i < rollouts->len; i++) {
    const Rollout *one = rollouts->pdata[i];
    g_autofree char *group = verb_visible(one->group);

    printf("  %s: version %" G_GINT64_FORMAT "\n", group, one->version);
  }
  puts(states->len ? "Agents:" : "No agent is enrolled.");
  say_states(states);
}

static int
status(const HubVerb *verb)
{
  g_autoptr(GPtrArray) published = NULL;
  g_autoptr(GPtrArray) rollouts = NULL;
  g_autoptr(GPtrArray) states = NULL;
  g_autoptr(GError) error = NULL;
  int code = 1;
  HubOpen *open = verb_open(verb, &code);

  if (!open)
    return code;
  published = bundles_rollouts(open->db, true, &error);
  rollouts = published ? bundles_rollouts(open->db, false, &error) : NULL;
  states = rollouts ? bundles_states(open->db, &error) : NULL;
  verb_close(open);
  if (!states)
    return verb_fail(verb, error);
  if (verb_value(verb, "json")) {
    g_autoptr(GString) out = g_string_new("{");

    put_rollouts(out, "published", published);
    put_rollouts(out, "rollouts", rollouts);
    put_states(out, states);
    g_string_append_c(out, '}');
    puts(out->str);
  } else {
    say_status(published, rollouts, states);
  }
  return 0;
}

int
bundle_verb(int argc, char **argv)
{
  static const HubVerbRow rows[] = {
      {"publish", "name for from", "", 1, publish},
      {"rollout", "group", "", 1, roll_out},
      {"status", "", "json", 0, status},
      {NULL, NULL, NULL, 0, NULL}};

  return verb_run(rows, usage, argc, argv);
}
