/* SPDX-License-Identifier: Apache-2.0 */
/* approve: lets a waiting request go, as it is or masked, once or with those
 * like it for a while. */
#include "cli/verb.h"

int
verb_approve(const Call *call)
{
  return answer_held(call,
                     call_has(call, "masked") ? "approve-masked" : "approve");
}
