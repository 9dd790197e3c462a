/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for the detector and for inspected bodies, so that a test says
 * exactly what was found; and the little language that judge tests are
 * written in. */
#ifndef HOOP_TESTS_JUDGE_FAKE_H
#define HOOP_TESTS_JUDGE_FAKE_H

#include "judge/judge.h"

/* The rules that fakes find: aws-key and gh-token (class secret), card (class
 * card), mail (class pii, off). Freed by the caller. */
RulePack *fake_pack(void);
const DetectorRule *fake_rule(RulePack *pack, const char *id);

Inspection *fake_body(Api api, Direction direction);
/* Returns the field's index. `key` may be NULL; borrowed strings. */
unsigned fake_field(Inspection *body,
                    const char *key,
                    FieldRole role,
                    const char *text);
/* A finding over the whole field, or over bytes of it. */
void fake_finding(Inspection *body, const DetectorRule *rule, unsigned field);
/* The user allows the findings that there are by now. */
void fake_allow(Inspection *body);
void fake_finding_at(Inspection *body,
                     const DetectorRule *rule,
                     unsigned field,
                     size_t start,
                     size_t end);
void fake_size(Inspection *body, size_t size);

/* Finds "<rule id>!" in texts; `broken`: every scan fails. */
DetectorScratch *fake_scratch(RulePack *pack, bool broken);
void fake_scratch_free(DetectorScratch *scratch);

/* A policy of one file; fails the test when it does not load. */
Policy *fake_policy(const char *text);
/* "version: 1, default: allow" and these rules, one flow mapping each. */
Policy *fake_rules(const char *const *rules, unsigned n);

/* A Subject from "key=value; …" over a complete one: alice, in devs, POSTs
 * chat to copilot. A key without = is unknown; groups and processes are lists
 * with commas. Strings live in the FakeSubject. */
typedef struct {
  Subject subject;
  GPtrArray *strings;
} FakeSubject;
void fake_subject(FakeSubject *fake, const char *spec);
void fake_subject_clear(FakeSubject *fake);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FakeSubject, fake_subject_clear)

#endif
