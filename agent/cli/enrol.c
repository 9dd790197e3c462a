/* SPDX-License-Identifier: Apache-2.0 */
/* enrol: pins the hub's key, and what else may come of asking the hub. */
#include "cli/verb.h"
#include <stdio.h>
#include <string.h>

/* Two requests to the hub, each with its own limit. */
#define TIMEOUT_MS 70000

int
hub_code(const Call *call, const char *result, const char *text)
{
  static const struct {
    const char *result;
    int code;
  } rows[] = {{"config", CLI_USAGE},
              {"unreachable", CLI_UNREACHABLE},
              {"not-signed-in", CLI_SIGNED_OUT}};

  if (g_str_equal(result, "done"))
    return CLI_DONE;
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    if (g_str_equal(rows[i].result, result))
      return complain(call, rows[i].code, "%s", text);
  return complain(call, CLI_FOUND, "%s", text);
}

int
verb_enrol(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);
  g_autofree char *result = NULL;
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;

  if (!agent)
    return code;
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(agent), TIMEOUT_MS);
  if (!hoop_agent1_call_enrol_sync(agent,
                                   call_value(call, "hub") ?: "",
                                   call_value(call, "fingerprint") ?: "",
                                   &result,
                                   &text,
                                   NULL,
                                   &error))
    return complain_error(call, error);
  code = hub_code(call, result, text);
  if (code != CLI_DONE)
    return code;
  printf("Enrolled. The hub's key, which decisions must be signed with from "
         "now on:\n  %s\n",
         text);
  return CLI_DONE;
}
