/* SPDX-License-Identifier: Apache-2.0 */
/* What doctor's checks share. Private. */
#ifndef HOOP_CLI_DOCTOR_H
#define HOOP_CLI_DOCTOR_H

#include "cli/settings.h"

typedef enum { HEALTH_OK, HEALTH_WARN, HEALTH_FAIL } Health;

typedef struct {
  const Call *call;
  Config *config;    /* NULL when it does not load */
  HoopAgent1 *agent; /* NULL when it does not answer */
  GVariant *status;  /* of it */
  struct json_object *list;
  Health worst;
} Doctor;

/* One line: what was looked at, how it is, and (NULL: nothing) what to do. */
void doctor_say(Doctor *doctor,
                const char *check,
                Health health,
                const char *advice,
                const char *format,
                ...) G_GNUC_PRINTF(5, 6);

/* ---- doctor-agent.c: the agent itself */
void check_config(Doctor *doctor);
void check_agent(Doctor *doctor);
void check_port(Doctor *doctor);
void check_ca(Doctor *doctor);
void check_policy(Doctor *doctor);
void check_journal(Doctor *doctor);
void check_sessions(Doctor *doctor);
void check_shipping(Doctor *doctor);
/* ---- doctor-hub.c: the team's hub */
void check_hub(Doctor *doctor);
/* ---- doctor-clients.c: what leads to it */
void check_trust(Doctor *doctor);
void check_proxy(Doctor *doctor);
void check_clients(Doctor *doctor);
/* ---- doctor-desktop.c: what shows a person what waits */
void check_desktop(Doctor *doctor);
void check_presence(Doctor *doctor);
void check_keyring(Doctor *doctor);

#endif
