/* SPDX-License-Identifier: Apache-2.0 */
/* approve: lets a waiting request go, as it is or masked. */
#include "cli/verb.h"

int
verb_approve(const Call *call)
{
  if (call_has(call, "masked"))
    return answer_held(call, "approve-masked", "approved, masked");
  return answer_held(call, "approve", "approved");
}
