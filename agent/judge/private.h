/* SPDX-License-Identifier: Apache-2.0 */
/* What a verdict consists of; for this room's files. */
#ifndef HOOP_JUDGE_PRIVATE_H
#define HOOP_JUDGE_PRIVATE_H

#include "judge/judge.h"

struct verdict {
  Policy *policy;
  unsigned phase; /* RULE_ON_… */
  Action action;
  const PolicyRule *reason;
  bool by_default; /* blocked because no rule allows it */
  GArray *results; /* RuleResult */
  bool every;      /* results hold every rule */
  GPtrArray *details;
  GPtrArray *approvals; /* PolicyRule, borrowed */
  GArray *mask_spans;   /* MaskSpan */
  GArray *masked_spans;
  Restore restore;
  unsigned n_findings;
  unsigned n_masked; /* of a finished stream, which has no spans */
  char *tool;        /* its name, or NULL */
};

/* How many findings and fields the mask rules masked. */
unsigned verdict_masks(const Verdict *verdict);

#endif
