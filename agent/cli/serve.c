/* SPDX-License-Identifier: Apache-2.0 */
/* serve: reads the configuration and becomes the daemon. */
#include "cli/verb.h"
#include "daemon/daemon.h"
#include "kit/file.h"
#include "kit/log.h"

/* Two of these are kept: days of an agent's few lines. */
#define MAX_LOG (4 * 1024 * 1024)

/* Where the systemd journal does not keep the lines, agent.log does; `logs`
 * reads whichever there is. */
static bool
keep_log(const Config *config, GError **error)
{
  g_autofree char *path =
      g_build_filename(config->state_dir, "agent.log", NULL);

  return log_is_journaled() || (file_private_dir(config->state_dir, error) &&
                                log_to_file(path, MAX_LOG, error));
}

int
verb_serve(const Call *call)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) config = config_load(call_value(call, "config"), &error);

  if (!config)
    return complain(call, CLI_USAGE, "%s", error->message);
  if (keep_log(config, &error) && daemon_run(config, &error))
    return CLI_DONE;
  log_error("%s", error->message);
  return CLI_FOUND;
}
