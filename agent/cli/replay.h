/* SPDX-License-Identifier: Apache-2.0 */
/* What journal replay counts, and how it tells it. Private. */
#ifndef HOOP_CLI_REPLAY_H
#define HOOP_CLI_REPLAY_H

#include "cli/verb.h"
#include "policy/policy.h"

#define N_ACTIONS (ACTION_BLOCK + 1)

/* What is judged by itself. */
typedef enum { PART_REQUEST, PART_ANSWER, PART_TOOL, N_PARTS } Part;

typedef struct {
  unsigned n[N_PARTS];
} PartCounts;

/* One rule of the candidate: where it matched. */
typedef struct {
  const PolicyRule *rule;
  PartCounts matched;
} RuleTally;

typedef struct {
  char *user;
  unsigned parts, actions[N_ACTIONS], changed;
} UserTally;

/* Something that would have come out otherwise. */
typedef struct {
  char *exchange, *user, *rule, *tool;
  Part part;
  Action was, would;
  int64_t wall_us;
} Changed;

typedef struct {
  PartCounts actions[N_ACTIONS];
  unsigned moved[N_ACTIONS][N_ACTIONS]; /* was → would, where they differ */
  GPtrArray *rules;                     /* RuleTally, the policy's order */
  GHashTable *by_rule;                  /* PolicyRule → RuleTally */
  GHashTable *users;                    /* name → UserTally */
  GPtrArray *changed;                   /* Changed, at most max_changed */
  unsigned n_changed, max_changed;
  GHashTable *unjudged; /* why → GUINT_TO_POINTER(how often) */
  int64_t first_us, last_us;
} Tally;

void replay_print(const Tally *tally, const Policy *policy, const char *name);
void replay_print_json(const Tally *tally,
                       const Policy *policy,
                       const char *name);

int journal_replay(const Call *call);
int journal_stats(const Call *call);

#endif
