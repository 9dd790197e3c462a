/* SPDX-License-Identifier: Apache-2.0 */
/* deny: refuses a waiting request, once or with those like it for a while. */
#include "cli/verb.h"

int
verb_deny(const Call *call)
{
  return answer_held(call, "deny");
}
