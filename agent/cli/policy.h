/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the verb policy, each in its own file. Private. */
#ifndef HOOP_CLI_POLICY_H
#define HOOP_CLI_POLICY_H

#include "cli/verb.h"
#include "policy/policy.h"

/* The policy that --policy names, or the one in effect; NULL after having
 * complained into *code. */
Policy *call_policy(const Call *call, const Config *config, int *code);

int policy_explain(const Call *call);
int policy_test(const Call *call);
int policy_diff_files(const Call *call);

#endif
