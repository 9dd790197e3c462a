/* SPDX-License-Identifier: Apache-2.0 */
/* Regexes of policy and rule files: PCRE2 over UTF-8, compiled once, matched
 * within limits. */
#ifndef HOOP_POLICY_PATTERN_H
#define HOOP_POLICY_PATTERN_H

#include "policy/policy.h"

/* Compiles; on failure NULL and POLICY_ERROR_VALUE with PCRE2's words and the
 * character where it stopped ("at character 12"). */
PolicyPattern *pattern_new(const char *source, GError **error);
/* Accepts NULL. */
void pattern_free(PolicyPattern *pattern);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyPattern, pattern_free)
/* True when the regex has a group of that name. */
bool pattern_has_group(const PolicyPattern *pattern, const char *name);
/* True when it matches the empty text: then it matches everywhere. */
bool pattern_matches_empty(const PolicyPattern *pattern);

#endif
