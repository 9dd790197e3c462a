/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the conditions of one rule hold for the facts. */
#ifndef HOOP_JUDGE_MATCH_H
#define HOOP_JUDGE_MATCH_H

#include "judge/facts.h"

/* Looks at every condition up to the first that does not hold; fills in all
 * of `result` but `effect` and `detail`. */
void match_rule(Facts *facts, const PolicyRule *rule, RuleResult *result);
/* Only what is known of the exchange before its answer: subject, time,
 * session; for stream plans. */
bool match_subject(Facts *facts, const PolicyRule *rule);
/* True when the detector rule is one that the finding condition names. */
bool match_detector(const PolicyMatch *match, const DetectorRule *detector);

/* Marks what the rule's finding and fields conditions found, to be masked
 * (ask: only under "approve masked"); returns how much that was. */
unsigned match_mark(Facts *facts,
                    const PolicyRule *rule,
                    bool ask,
                    Restore restore);
/* Marks every finding there is. */
unsigned match_mark_all(Facts *facts);

/* What the rule asked and what there was, for people; g_free; or NULL. */
char *match_detail(Facts *facts, const PolicyRule *rule, const char *missed);

#endif
