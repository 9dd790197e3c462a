/* SPDX-License-Identifier: Apache-2.0 */
/* Doctor's check of the hub: enrolled, its key pinned, within reach, and how
 * old the policy is that came from there. */
#include "cli/doctor.h"

static bool
is_set(GVariant *hub, const char *key)
{
  gboolean value = FALSE;

  g_variant_lookup(hub, key, "b", &value);
  return value;
}

static const char *
text(GVariant *hub, const char *key)
{
  const char *value = NULL;

  g_variant_lookup(hub, key, "&s", &value);
  return value;
}

static void
say_policy(Doctor *doctor, GVariant *hub)
{
  const char *name = text(hub, "bundle");
  const char *problem = text(hub, "bundle_problem");
  guint64 version = 0;

  g_variant_lookup(hub, "bundle_version", "t", &version);
  if (problem)
    doctor_say(doctor,
               "hub policy",
               HEALTH_FAIL,
               "tell who runs the hub",
               "%s",
               problem);
  else if (!name)
    doctor_say(doctor,
               "hub policy",
               doctor->config && doctor->config->hub_require_policy
                   ? HEALTH_FAIL
                   : HEALTH_OK,
               NULL,
               "the hub has given this machine none");
  else
    doctor_say(doctor,
               "hub policy",
               is_set(hub, "bundle_expired") ? HEALTH_WARN : HEALTH_OK,
               is_set(hub, "bundle_expired") ? "tell who runs the hub" : NULL,
               "version %" G_GUINT64_FORMAT " of %s, %s %s",
               version,
               name,
               is_set(hub, "bundle_expired") ? "ended" : "good until",
               text(hub, "bundle_expires"));
}

void
check_hub(Doctor *doctor)
{
  g_autoptr(GVariant) hub =
      doctor->status ? g_variant_lookup_value(
                           doctor->status, "hub", G_VARIANT_TYPE("a{sv}"))
                     : NULL;

  if (!hub)
    return;
  if (!is_set(hub, "enrolled"))
    doctor_say(doctor,
               "hub",
               HEALTH_WARN,
               "hoop-agent enrol",
               "%s: its key is not pinned, this machine is not enrolled",
               text(hub, "url"));
  else if (!is_set(hub, "connected"))
    doctor_say(doctor,
               "hub",
               HEALTH_FAIL,
               "sign in, and look whether the hub is there",
               "%s is out of reach: %s",
               text(hub, "url"),
               text(hub, "problem") ?: "not tried yet");
  else
    doctor_say(doctor,
               "hub",
               HEALTH_OK,
               NULL,
               "%s answers, enrolled, key %s pinned",
               text(hub, "url"),
               text(hub, "fingerprint"));
  if (is_set(hub, "enrolled"))
    say_policy(doctor, hub);
}
