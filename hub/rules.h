/* SPDX-License-Identifier: Apache-2.0 */
/* Who may answer a review, and when the answers suffice. No I/O. */
#ifndef HOOP_HUB_RULES_H
#define HOOP_HUB_RULES_H

#include "hub/settings.h"
#include "review/review.h"

/* Whether two are, or may be, one person: the same subject of one issuer, or
 * the same name, wherever they signed in. */
bool rules_same_person(const char *issuer,
                       const char *subject,
                       const char *user,
                       const char *other_issuer,
                       const char *other_subject,
                       const char *other_user);

/* The groups that the review asks and that this person speaks for, who waits
 * for `waited_us` so far (escalation); empty: none. Not asked is whose request
 * it is. g_strfreev. */
char **rules_speaks_for(const HubConfig *config,
                        const ReviewAsk *ask,
                        const Person *person,
                        int64_t waited_us);

/* Whether the person is among any reviewers at all: who is not is never asked.
 */
bool rules_is_reviewer(const HubConfig *config, const Person *person);

/* The next time, in microseconds of waiting after `waited_us`, at which others
 * may answer, too; 0: none. */
int64_t rules_next_escalation(const HubConfig *config,
                              const ReviewAsk *ask,
                              int64_t waited_us);

/* How many of those that one rule needs have said yes; *need: of how many. */
unsigned rules_have(const ReviewRule *rule,
                    const GPtrArray *voices,
                    unsigned *need);

/* True when these (ReviewVoice, one for each person) are all that is asked: for
 * each rule its count of distinct people, or one for each of its groups and
 * nobody for two. A denial is the caller's to see. */
bool rules_met(const ReviewAsk *ask, const GPtrArray *voices);

#endif
