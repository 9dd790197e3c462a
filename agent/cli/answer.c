/* SPDX-License-Identifier: Apache-2.0 */
/* An answer to a request that waits: names the digest and the nonce of what is
 * answered, so that it can be no other. */
#include "cli/verb.h"
#include <stdio.h>

int
answer_held(const Call *call, const char *answer, const char *done)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);
  g_autofree char *id = NULL;
  g_autofree char *outcome = NULL;
  g_autoptr(GVariant) review = NULL;
  g_autoptr(GError) error = NULL;
  const char *digest = "", *nonce = "", *reason = call_value(call, "reason");

  if (!agent)
    return code;
  id = pending_id(call, agent, call->args[0], &code);
  if (!id)
    return code;
  if (!hoop_agent1_call_review_sync(agent, id, &review, NULL, &error))
    return complain_error(call, error);
  g_variant_lookup(review, "digest", "&s", &digest);
  g_variant_lookup(review, "nonce", "&s", &nonce);
  if (!hoop_agent1_call_answer_sync(agent,
                                    id,
                                    "cli",
                                    answer,
                                    digest,
                                    nonce,
                                    reason ? reason : "",
                                    &outcome,
                                    NULL,
                                    &error))
    return complain_error(call, error);
  if (g_str_equal(outcome, "pending"))
    printf("%s: your answer is recorded; others are still asked.\n", id);
  else
    printf("%s: %s.\n", id, done);
  return CLI_DONE;
}
