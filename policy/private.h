/* SPDX-License-Identifier: Apache-2.0 */
/* What a loaded policy consists of; for this room's files. */
#ifndef HOOP_POLICY_PRIVATE_H
#define HOOP_POLICY_PRIVATE_H

#include "kit/digest.h"
#include "policy/policy.h"

/* One name of the groups table. */
typedef struct {
  char *name;
  char **members; /* identity groups */
  PolicyLayer layer;
  char *origin; /* "file:line" */
} PolicyGroup;

/* default or tunnels. */
typedef struct {
  bool set;
  Action action;
  PolicyLayer layer;
  char *origin; /* "file:line", or NULL */
} PolicySetting;

struct policy {
  int refs;           /* atomic */
  GPtrArray *rules;   /* PolicyRule */
  GPtrArray *texts;   /* each rule as YAML */
  unsigned n_regexes; /* in all rules */
  GHashTable *by_id;  /* borrowed id → PolicyRule */
  GPtrArray *groups;  /* PolicyGroup */
  GHashTable *ids;    /* group name that a rule uses → number + 1 */
  GHashTable *member; /* identity group → GArray of those numbers */
  PolicySetting fallback, tunnels;
  GPtrArray *warnings; /* texts found while loading */
  char revision[SHA256_HEX_SIZE];
};

const PolicyGroup *policy_find_group(const Policy *policy, const char *name);

#endif
