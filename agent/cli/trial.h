/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and bodies judged without the daemon: what policy explain, policy test
 * and journal replay share. Private. */
#ifndef HOOP_CLI_TRIAL_H
#define HOOP_CLI_TRIAL_H

#include "cli/scan.h"
#include "judge/judge.h"

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

/* The body that a text stands for: what begins as a JSON object is one, of the
 * API that it looks like; any other text becomes the one message of a chat.
 * *api >= 0 is an Api and stays; else it is set. */
GBytes *trial_body(const char *text, size_t len, Direction direction, int *api);

/* Each verdict on the body, then on each tool call of an answer. `explain` and
 * `rate` as for judge_body(). Verdicts; g_ptr_array_unref. */
GPtrArray *trial_judge(Trial *trial,
                       const Subject *subject,
                       const Inspection *inspection,
                       bool explain,
                       JudgeRate rate,
                       void *rate_data);
/* The strongest of them, the first of equals. */
const Verdict *trial_strongest(const GPtrArray *verdicts);

#endif
