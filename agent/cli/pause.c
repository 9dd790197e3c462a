/* SPDX-License-Identifier: Apache-2.0 */
/* pause and resume: while paused, everything governed is refused. */
#include "cli/verb.h"
#include <stdio.h>

int
verb_pause(const Call *call)
{
  const char *for_text = call_value(call, "for");
  g_autofree char *span = NULL;
  g_autoptr(HoopAgent1) agent = NULL;
  g_autoptr(GError) error = NULL;
  unsigned seconds = 0;
  int code = CLI_DONE;

  if (for_text && !duration_parse(for_text, &seconds))
    return complain(call,
                    CLI_USAGE,
                    "--for takes a time such as 90s, 10m or 2h, not %s",
                    for_text);
  agent = daemon_connect(call, &code);
  if (!agent)
    return code;
  if (!hoop_agent1_call_pause_sync(agent, seconds, NULL, &error))
    return complain_error(call, error);
  span = span_text((int64_t)seconds * G_USEC_PER_SEC);
  if (seconds)
    printf("Paused for %s: everything governed is refused meanwhile.\n", span);
  else
    puts("Paused: everything governed is refused until `hoop-agent resume`.");
  return CLI_DONE;
}

int
verb_resume(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);
  g_autoptr(GError) error = NULL;

  if (!agent)
    return code;
  if (!hoop_agent1_call_resume_sync(agent, NULL, &error))
    return complain_error(call, error);
  puts("Not paused: requests go on as policy says.");
  return CLI_DONE;
}
