/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule pack consists of; for the files that make one. Private to the
 * room. */
#ifndef HOOP_POLICY_RULE_PACK_H
#define HOOP_POLICY_RULE_PACK_H

#include "kit/digest.h"
#include "policy/policy.h"

struct rule_pack {
  int refs; /* atomic */
  GPtrArray *rules;
  GHashTable *by_id; /* borrowed ids → DetectorRule */
  char hash[SHA256_HEX_SIZE];
  GBytes *bytes; /* a thawed pack: its texts stand in here; else NULL */
};

/* An empty pack whose rules are freed with free_rule. */
RulePack *rule_pack_make(GDestroyNotify free_rule);
/* Paths of a folder's rule files in name order. */
GPtrArray *rule_pack_list_dir(const char *dir, GError **error);

#endif
