/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: looks at everything that must be right, says of each how it is and
 * what to do. */
#include "cli/doctor.h"
#include <stdio.h>

static const struct {
  const char *word;
  Ink colour;
} healths[] = {
    [HEALTH_OK] = {"ok", INK_GREEN},
    [HEALTH_WARN] = {"warn", INK_YELLOW},
    [HEALTH_FAIL] = {"fail", INK_RED},
};

static void
say_json(Doctor *doctor,
         const char *check,
         Health health,
         const char *text,
         const char *advice)
{
  struct json_object *json = json_object_new_object();

  json_object_object_add(json, "check", json_object_new_string(check));
  json_object_object_add(
      json, "health", json_object_new_string(healths[health].word));
  json_object_object_add(json, "text", json_object_new_string(text));
  if (advice)
    json_object_object_add(json, "advice", json_object_new_string(advice));
  json_object_array_add(doctor->list, json);
}

void
doctor_say(Doctor *doctor,
           const char *check,
           Health health,
           const char *advice,
           const char *format,
           ...)
{
  g_autofree char *text = NULL;
  g_autofree char *shown = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  doctor->worst = MAX(doctor->worst, health);
  if (doctor->list) {
    say_json(doctor, check, health, text, advice);
    return;
  }
  shown = visible(text, -1, false);
  printf("%s%-4s%s  %-9s %s\n",
         ink(healths[health].colour),
         healths[health].word,
         ink(INK_PLAIN),
         check,
         shown);
  if (advice) {
    g_autofree char *wise = visible(advice, -1, false);

    printf("                -> %s\n", wise);
  }
  fflush(stdout);
}

int
verb_doctor(const Call *call)
{
  static void (*const checks[])(Doctor * doctor) = {
      check_config,
      check_agent,
      check_port,
      check_ca,
      check_trust,
      check_policy,
      check_journal,
      check_shipping,
      check_hub,
      check_sessions,
      check_proxy,
      check_clients,
      check_desktop,
      check_presence,
      check_keyring,
  };
  Doctor doctor = {.call = call};

  if (call_has(call, "json"))
    doctor.list = json_object_new_array();
  for (unsigned i = 0; i < G_N_ELEMENTS(checks); i++)
    checks[i](&doctor);
  if (doctor.list)
    print_json(doctor.list);
  g_clear_pointer(&doctor.config, config_free);
  g_clear_pointer(&doctor.status, g_variant_unref);
  g_clear_object(&doctor.agent);
  return doctor.worst == HEALTH_FAIL ? CLI_FOUND : CLI_DONE;
}
