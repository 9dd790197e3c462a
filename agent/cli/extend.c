/* SPDX-License-Identifier: Apache-2.0 */
/* extend: more time for a waiting request, as its rules allow. */
#include "cli/verb.h"
#include "kit/clock.h"
#include <stdio.h>

int
extend_shown(const Call *call, HoopAgent1 *agent, GVariant *review)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *left = NULL;
  const char *id = "?", *nonce = "";
  gint64 deadline = 0;

  g_variant_lookup(review, "id", "&s", &id);
  g_variant_lookup(review, "nonce", "&s", &nonce);
  if (!hoop_agent1_call_extend_sync(
          agent, id, "cli", nonce, &deadline, NULL, &error))
    return complain_error(call, error);
  left = span_text(deadline - clock_wall_us());
  printf("%s: waits for %s more.\n", id, left);
  return CLI_DONE;
}

int
verb_extend(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);
  g_autofree char *id =
      agent ? pending_id(call, agent, call->args[0], &code) : NULL;
  g_autoptr(GVariant) review = NULL;
  g_autoptr(GError) error = NULL;

  if (!id)
    return code;
  if (!hoop_agent1_call_review_sync(agent, id, &review, NULL, &error))
    return complain_error(call, error);
  return extend_shown(call, agent, review);
}
