/* SPDX-License-Identifier: Apache-2.0 */
/* deny: refuses a waiting request. */
#include "cli/verb.h"

int
verb_deny(const Call *call)
{
  return answer_held(call, "deny", NULL);
}
