/* SPDX-License-Identifier: Apache-2.0 */
/* Answers and when they suffice. Private to the room. */
#ifndef HOOP_APPROVE_PRIVATE_H
#define HOOP_APPROVE_PRIVATE_H

#include "approve/approve.h"
#include "kit/secret.h"

GivenAnswer *given_answer_copy(const GivenAnswer *answer);
void given_answer_free(void *data);

/* True when these answers (GivenAnswer) satisfy what the rule asks. */
bool need_is_met(const ApproveNeed *need, const GPtrArray *answers);
/* Why no answers could, where only these kinds (1 << ApproverKind) can answer;
 * NULL: they could. g_free. */
char *need_is_hopeless(const ApproveNeed *need, unsigned kinds);

#endif
