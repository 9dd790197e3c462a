/* SPDX-License-Identifier: Apache-2.0 */
/* Judges texts and bodies as the daemon would, without traffic. */
#include "cli/trial.h"

bool
trial_init(Trial *trial,
           const Call *call,
           const Config *config,
           Policy *policy,
           int *code)
{
  g_auto(GStrv) named = policy_named_findings(policy);

  trial->policy = policy;
  return scanner_init(
      call, config, (const char *const *)named, &trial->scanner, code);
}

void
trial_clear(Trial *trial)
{
  scanner_clear(&trial->scanner);
  g_clear_pointer(&trial->policy, policy_unref);
}

GPtrArray *
trial_judge(Trial *trial,
            const Subject *subject,
            const Inspection *inspection,
            bool explain,
            JudgeRate rate,
            void *rate_data)
{
  const Bench bench = trial_bench(trial);

  return cases_judge(&bench, subject, inspection, explain, rate, rate_data);
}

Bench
trial_bench(const Trial *trial)
{
  return (Bench){.policy = trial->policy,
                 .scratch = trial->scanner.scratch,
                 .masker = trial->scanner.masker};
}
