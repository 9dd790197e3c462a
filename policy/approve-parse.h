/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of approve rules. */
#ifndef HOOP_POLICY_APPROVE_PARSE_H
#define HOOP_POLICY_APPROVE_PARSE_H

#include "policy/policy.h"
#include "policy/yaml.h"

void approvers_clear(Approver *list, unsigned n);

/* Whether this file reads the key; then it does so into the rule. */
bool approve_has_key(const char *key);
bool approve_read_key(const YamlDoc *doc,
                      const char *key,
                      const YamlNode *node,
                      PolicyRule *rule,
                      GError **error);
/* After all keys of an approve rule: what was not given, and what does not go
 * together. */
bool approve_finish(const YamlDoc *doc,
                    const YamlNode *node,
                    PolicyRule *rule,
                    GError **error);

#endif
