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

#define N_LAYERS (LAYER_USER + 1)

/* A file as it was read. */
typedef struct {
  char *name;
  PolicyLayer layer;
  GBytes *text;
} PolicyFile;

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
  GPtrArray *files;    /* PolicyFile */
  char revision[SHA256_HEX_SIZE];
};

/* The policy of these Source, whose layers stand in order. *fault: the layer
 * that is wrong, when there is an error. */
Policy *policy_from_sources(const GArray *sources,
                            PolicyLayer *fault,
                            GError **error);

const PolicyGroup *policy_find_group(const Policy *policy, const char *name);

#endif
