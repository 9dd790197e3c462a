/* SPDX-License-Identifier: Apache-2.0 */
/* serve: reads the configuration and becomes the daemon. */
#include "cli/verb.h"
#include "daemon/daemon.h"

int
verb_serve(const Call *call)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) config = config_load(call_value(call, "config"), &error);

  if (config && daemon_run(config, &error))
    return CLI_DONE;
  return complain_error(call, error);
}
