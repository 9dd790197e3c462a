/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and bodies judged without the daemon: what policy explain, policy test
 * and journal replay share. Private. */
#ifndef HOOP_CLI_TRIAL_H
#define HOOP_CLI_TRIAL_H

#include "cases/cases.h"
#include "cli/scan.h"

typedef struct {
  Policy *policy;
  Scanner scanner;
} Trial;

/* The policy (taken) and a detector of what it names; false after having
 * complained into *code. trial_clear() it either way. */
bool trial_init(Trial *trial,
                const Call *call,
                const Config *config,
                Policy *policy,
                int *code);
void trial_clear(Trial *trial);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Trial, trial_clear)

/* What cases_run() and cases_judge() take; the trial's. */
Bench trial_bench(const Trial *trial);
/* cases_judge() with it. */
GPtrArray *trial_judge(Trial *trial,
                       const Subject *subject,
                       const Inspection *inspection,
                       bool explain,
                       JudgeRate rate,
                       void *rate_data);

#endif
