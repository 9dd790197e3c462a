/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the verb policy, each in its own file. Private. */
#ifndef HOOP_CLI_POLICY_H
#define HOOP_CLI_POLICY_H

#include "cli/verb.h"

int policy_explain(const Call *call);
int policy_test(const Call *call);
int policy_diff_files(const Call *call);

#endif
