/* SPDX-License-Identifier: Apache-2.0 */
/* A policy tried without traffic: texts, bodies, and the cases of its
 * *.test.yaml. The command line and the hub run the same. */
#ifndef HOOP_CASES_H
#define HOOP_CASES_H

#include "judge/judge.h"

/* What is tried, and with what; all borrowed, for one thread. The detector
 * looks for what the policy names (policy_named_findings()). */
typedef struct {
  Policy *policy;
  DetectorScratch *scratch;
  Masker *masker;
} Bench;

/* The body that a text stands for: what begins as a JSON object is one, of the
 * API that it looks like; any other text becomes the one message of a chat.
 * *api >= 0 is an Api and stays; else it is set. */
GBytes *cases_body(const char *text, size_t len, Direction direction, int *api);

/* Each verdict on the body, then on each tool call of an answer. `explain` and
 * `rate` as for judge_body(). Verdicts; g_ptr_array_unref. */
GPtrArray *cases_judge(const Bench *bench,
                       const Subject *subject,
                       const Inspection *inspection,
                       bool explain,
                       JudgeRate rate,
                       void *rate_data);
/* The strongest of them, the first of equals. */
const Verdict *cases_strongest(const GPtrArray *verdicts);

/* What a text came to, as the case would say it. */
typedef struct {
  char *error; /* it cannot be read, so it is refused; or NULL */
  Action action;
  char *rule; /* or NULL */
  char **rules, **shadow, **masks;
  char *left; /* of `hides`: the first that is still there; or NULL */
} CaseOutcome;
void case_outcome_clear(CaseOutcome *outcome);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CaseOutcome, case_outcome_clear)

/* Judges one of the case's texts. *out is overwritten. */
void cases_run(const Bench *bench,
               const PolicyCase *one,
               const char *text,
               CaseOutcome *out);
/* Whether that is what the case expects. */
bool case_is_right(const PolicyCase *one, const CaseOutcome *out);
/* The same names, in any order; expected NULL: any. */
bool case_sets_agree(char **expected, char **found);

#endif
