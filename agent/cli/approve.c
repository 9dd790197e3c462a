/* SPDX-License-Identifier: Apache-2.0 */
/* approve: lets a waiting request go, as it is or masked, once or with those
 * like it for a while. */
#include "cli/verb.h"

int
verb_approve(const Call *call)
{
  const bool masked = call_has(call, "masked");
  const char *for_text = call_value(call, "for");
  Term term = {0};

  if (for_text && g_str_equal(for_text, "session"))
    term.session = true;
  else if (for_text && !duration_parse(for_text, &term.seconds))
    return complain(call,
                    CLI_USAGE,
                    "--for takes a time such as 90s, 10m or 2h, or session, "
                    "not %s",
                    for_text);
  return answer_held(
      call, masked ? "approve-masked" : "approve", for_text ? &term : NULL);
}
