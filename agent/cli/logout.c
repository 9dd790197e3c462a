/* SPDX-License-Identifier: Apache-2.0 */
/* logout: ends a session, here and at its provider. */
#include "cli/sessions.h"
#include <stdio.h>

/* The provider is told, which takes as long as it takes. */
#define TIMEOUT_MS 60000

int
verb_logout(const Call *call)
{
  const char *issuer = call_value(call, "issuer");
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);
  g_autoptr(GError) error = NULL;
  g_autofree char *result = NULL;
  g_autofree char *message = NULL;

  if (!agent)
    return code;
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(agent), TIMEOUT_MS);
  if (!hoop_agent1_call_logout_sync(
          agent, issuer ? issuer : "", &result, &message, NULL, &error)) {
    code = g_error_matches(error, BUS_ERROR, BUS_ERROR_INVALID) ? CLI_USAGE
                                                                : CLI_FOUND;
    g_dbus_error_strip_remote_error(error);
    return code == CLI_USAGE ? complain(call, code, "%s", error->message)
                             : complain_error(call, error);
  }
  code = session_code(result);
  if (*message)
    return complain(call, code, "%s", message);
  puts("Signed out.");
  return code;
}
