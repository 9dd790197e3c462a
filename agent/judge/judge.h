/* SPDX-License-Identifier: Apache-2.0 */
/* Policy and findings joined into a verdict with reasons. No I/O and no
 * clock of its own: daemon, scan, explain, replay and fuzzers get the same
 * answer from the same input. */
#ifndef HOOP_JUDGE_H
#define HOOP_JUDGE_H

#include "inspect/inspect.h"
#include "policy/policy.h"

/* Who asks for what; all strings outlive the call; NULL: unknown. An unknown
 * fact satisfies a condition of a rule that tightens (block, approve, mask)
 * only where the condition says "not known counts" in hoop-policy(5); it never
 * satisfies one that allows. */
typedef struct {
  const char *user;
  const char *const *groups; /* identity groups, NULL terminated */
  const char *client;        /* token's client name or executable */
  const char *connection;
  const char *host;
  const char *method;
  const char *path;
  Api api;
  const char *model;
  const char *initiator;
  const char *const *processes; /* executable, then its parents; NULL ends */
  const char *repo;
  int64_t wall_us;
  bool first_in_session;
  bool completions; /* typed keystrokes: never a prompt */
} Subject;

/* How often something happened in the last `window` seconds for the rate
 * conditions; NULL: no rates (explain without history). */
typedef unsigned (*JudgeRate)(const char *rule_id, unsigned window, void *data);

typedef struct {
  const PolicyRule *rule;
  bool matched;
  const char *missed;  /* the first condition that did not hold, or NULL */
  unsigned n_findings; /* that satisfied its finding condition */
} RuleResult;

typedef struct verdict Verdict;

/* Judges a whole body, request or response. `results` of every rule are kept
 * for `why` when `explain`; otherwise only of those that matched. */
Verdict *judge_body(Policy *policy,
                    const Subject *subject,
                    const Inspection *inspection,
                    bool explain,
                    JudgeRate rate,
                    void *rate_data);
/* Judges one tool call of an answer. */
Verdict *judge_tool_call(Policy *policy,
                         const Subject *subject,
                         const ToolCall *call,
                         bool explain);
/* What the filter must do with a streamed answer to this subject. */
StreamPlan *judge_stream_plan(Policy *policy,
                              const Subject *subject,
                              const RulePack *pack);
void verdict_free(Verdict *verdict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Verdict, verdict_free)

/* The strongest action that applies. MASK without spans does not occur:
 * a mask rule that found nothing did not match. */
Action verdict_action(const Verdict *verdict);
/* The first match of the strongest kind; NULL when the default decided. */
const PolicyRule *verdict_reason(const Verdict *verdict);
const RuleResult *verdict_results(const Verdict *verdict, unsigned *n);
/* MaskSpan array of the mask rules; and of mask rules plus the findings of the
 * approve rules ("approve masked"). Owned by the verdict. */
const GArray *verdict_mask_spans(const Verdict *verdict);
const GArray *verdict_masked_spans(const Verdict *verdict);
/* The approve rules that must be satisfied, and the shortest of their
 * timeouts in seconds (`fallback` where none says one). */
const PolicyRule *const *verdict_approvals(const Verdict *verdict, unsigned *n);
unsigned verdict_timeout(const Verdict *verdict, unsigned fallback);
/* The strongest restore that the matching mask rules allow. */
Restore verdict_restore(const Verdict *verdict);
/* One sentence for the user: what, which rule, what to do. g_free. */
char *verdict_sentence(const Verdict *verdict);
/* {"action","rule","matched":[…],"shadow":[…],"masks":n,…} for journal and
 * `why`; explain adds every rule. g_free. */
char *verdict_to_json(const Verdict *verdict);

#endif
