/* SPDX-License-Identifier: Apache-2.0 */
/* The `match` of a policy rule. */
#ifndef HOOP_POLICY_MATCH_PARSE_H
#define HOOP_POLICY_MATCH_PARSE_H

#include "policy/policy.h"
#include "policy/yaml.h"

/* Reads a match mapping into `match`, which match_clear() releases also when
 * this failed. The groups' numbers are the loader's to fill in. */
bool match_read(const YamlDoc *doc,
                const YamlNode *node,
                PolicyMatch *match,
                GError **error);
void match_clear(PolicyMatch *match);

#endif
