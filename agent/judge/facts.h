/* SPDX-License-Identifier: Apache-2.0 */
/* What is known about one thing to be judged, arranged so that a thousand
 * rules can ask about it quickly. */
#ifndef HOOP_JUDGE_FACTS_H
#define HOOP_JUDGE_FACTS_H

#include "judge/judge.h"

/* Findings of one class; classes are few. */
typedef struct {
  const char *name;
  unsigned count, allowed; /* all of them; of these, that the user allowed */
  bool mask, ask;          /* for a mask rule, for an approve rule … */
  bool mask_all, ask_all;  /* … also those that the user allowed */
  Restore restore;
} ClassFact;

/* Findings of one detector rule. */
typedef struct {
  const DetectorRule *rule;
  unsigned class_index;
  unsigned count, allowed;
  bool mask, ask, mask_all, ask_all;
  Restore restore;
} RuleFact;

/* A field that a rule names. */
typedef struct {
  unsigned index;
  bool mask, ask;
  Restore restore;
} FieldFact;

typedef struct {
  const Policy *policy;
  const Subject *subject;
  unsigned phase; /* one RULE_ON_… */
  JudgeRate rate;
  void *rate_data;

  uint64_t *groups;     /* policy_groups_of() */
  char *path;           /* without its query; or NULL */
  char *plain_path;     /* the same decoded, dots and empty parts resolved */
  bool speaks_to_model; /* so that no model, initiator, repo is unknown */
  int64_t size;         /* of the body */

  const Finding *findings;
  unsigned n_findings, n_allowed;
  unsigned *finding_rule; /* each finding's index in rules */
  GArray *rules;          /* RuleFact */
  GArray *classes;        /* ClassFact */
  GHashTable *by_rule;    /* borrowed id → index + 1 */

  const InspectField *fields;
  unsigned n_fields;
  GArray *named;      /* FieldFact, made when the first rule asks */
  GHashTable *by_key; /* lower-case key → GArray of indices of named */
  bool prompts_other; /* of an unknown shape every text may be the prompt */

  const ToolCall *call;
  GPtrArray *tool_texts; /* GString, the decoded arguments */
  GHashTable *tool_keys; /* lower-case keys in them */
  bool tool_unreadable;  /* too much to be decoded */
  bool findings_unknown; /* the arguments could not be scanned */
  GArray *tool_findings; /* Finding */

  const GTimeZone *zone; /* that the next two are of, or NULL */
  GTimeZone *local;      /* the machine's, looked up once */
  int minute;            /* of the day */
  int weekday;           /* 0 Monday */
} Facts;

void facts_init(Facts *facts,
                const Policy *policy,
                const Subject *subject,
                unsigned phase);
/* `recorded` (Finding) in place of the inspection's findings, or NULL. */
void facts_set_body(Facts *facts,
                    const Inspection *inspection,
                    const GArray *recorded);
void facts_set_findings(Facts *facts,
                        const Finding *findings,
                        unsigned n_findings);
void facts_set_call(Facts *facts,
                    const ToolCall *call,
                    DetectorScratch *scratch);
void facts_clear(Facts *facts);

/* by_key, made now if it was not: the text fields of the body that have a key
 * and are not empty. */
GHashTable *facts_fields(Facts *facts);
/* Minute and weekday of the subject's time in the zone (NULL: local). */
void facts_local_time(Facts *facts, GTimeZone *zone);

#endif
