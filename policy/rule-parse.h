/* SPDX-License-Identifier: Apache-2.0 */
/* One policy rule. */
#ifndef HOOP_POLICY_RULE_PARSE_H
#define HOOP_POLICY_RULE_PARSE_H

#include "policy/policy.h"
#include "policy/yaml.h"

/* Longest id of a policy or detector rule. */
#define RULE_ID_MAX 48

/* Reads a rule of the given layer. Groups are not looked up yet. */
PolicyRule *rule_read(const YamlDoc *doc,
                      const YamlNode *node,
                      PolicyLayer layer,
                      GError **error);
/* Accepts NULL. */
void rule_free(PolicyRule *rule);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyRule, rule_free)

/* Lower-case words joined by hyphens: safe in masks, JSON and file names. */
bool rule_read_word(const YamlDoc *doc,
                    const YamlNode *node,
                    const char *what,
                    char **out,
                    GError **error);

#endif
