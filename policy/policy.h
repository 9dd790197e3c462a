/* SPDX-License-Identifier: Apache-2.0 */
/* Policy and detector rules as data: loaded from YAML in layers, checked,
 * immutable afterwards; what a rule may say stands here, what follows from it
 * is the judge's. */
#ifndef HOOP_POLICY_H
#define HOOP_POLICY_H

#include "kit/api.h"
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_ERROR (policy_error_quark())
GQuark policy_error_quark(void);
typedef enum {
  POLICY_ERROR_READ,   /* file missing, unreadable, too large */
  POLICY_ERROR_SYNTAX, /* not the YAML that we take */
  POLICY_ERROR_VALUE   /* unknown key, wrong value, a layer's limits */
} PolicyErrorCode;

/* ---- Policy rules ------------------------------------------------------ */

/* In ascending strength. */
typedef enum { ACTION_ALLOW, ACTION_MASK, ACTION_APPROVE, ACTION_BLOCK } Action;
const char *action_name(Action action);

typedef enum { LAYER_CENTRAL, LAYER_SYSTEM, LAYER_USER } PolicyLayer;
typedef enum { RESTORE_NONE, RESTORE_TEXT, RESTORE_TOOLS } Restore;

/* Who must say yes. */
typedef enum {
  APPROVER_DEVELOPER, /* the user, at the desktop or a terminal */
  APPROVER_PRESENCE,  /* the user, proved by polkit */
  APPROVER_REVIEWER   /* somebody else of a group, through the hub */
} ApproverKind;
const char *approver_kind_name(ApproverKind kind);
typedef struct {
  ApproverKind kind;
  char *group; /* APPROVER_REVIEWER: the reviewers' group; else NULL */
} Approver;

typedef struct policy_pattern PolicyPattern; /* a compiled PCRE2 regex */
/* True when the regex matches anywhere in text (UTF-8). Match limits apply;
 * meeting one counts as a match (fail closed) and is reported in *limited. */
bool policy_pattern_matches(const PolicyPattern *pattern,
                            const char *text,
                            size_t len,
                            bool *limited);
const char *policy_pattern_source(const PolicyPattern *pattern);

/* What a rule asks of an exchange: every key that is given must hold; a list
 * holds when one of its items does. NULL or -1: not asked. Strings with
 * wildcards (* and ?) where noted. */
typedef struct {
  char **groups; /* policy group names, "*" */
  char **users;  /* wildcards */
  char **connections;
  char **hosts; /* wildcards */
  char **methods;
  char **paths;      /* wildcards */
  int apis;          /* bit mask of 1 << Api; 0: not asked */
  char **models;     /* wildcards */
  char **initiators; /* "user", "agent" */
  char **processes;  /* wildcards over executable paths; only tightens */
  char **repos;      /* wildcards over owner/name */
  int direction;     /* Direction, or -1: both */
  bool has_finding;
  char **finding_classes; /* e.g. "secret", "pii"; NULL: any */
  char **finding_rules;   /* wildcards over detector rule ids; NULL: any */
  unsigned finding_min;   /* at least so many; 1 by default */
  char **fields;          /* decoded JSON key names, compared without case */
  PolicyPattern *prompt;  /* over each decoded text of the exchange */
  bool has_tool;
  char **tool_names;             /* wildcards; NULL: any */
  PolicyPattern *tool_arguments; /* over the decoded arguments */
  int64_t size_min, size_max;    /* bytes of the decoded body; -1 */
  int time_from, time_to;        /* minutes of the local day; -1 */
  unsigned weekdays;             /* bit 0 Monday …; 0: not asked */
  char *time_zone;               /* IANA name, or NULL: the machine's */
  unsigned rate_count;           /* more than so many in … */
  unsigned rate_window;          /* … seconds; 0: not asked */
  int first_in_session;          /* 0, 1 or -1 */
} PolicyMatch;

typedef struct {
  char *id;
  PolicyMatch match;
  Action action;
  Restore restore;
  char *message;       /* for people, or NULL */
  Approver *approvers; /* ACTION_APPROVE */
  unsigned n_approvers;
  unsigned approvals_needed; /* 1: any; n_approvers: all */
  unsigned timeout;          /* s; 0: the configuration's */
  Action completions; /* ACTION_MASK or ACTION_BLOCK in place of asking */
  bool shadow;        /* only record what it would do */
  PolicyLayer layer;
  char *origin; /* "file:line" */
} PolicyRule;

typedef struct policy Policy;

typedef struct {
  const char *path;
  PolicyLayer layer;
} PolicySource;

/* Loads the policy files in the order given (central, system, user); groups,
 * default and tunnels come from the first layer that sets them, rules add up.
 * Refused with file:line:column, the key and the nearest valid one: unknown
 * and duplicate keys, wrong types and values, anchors, aliases, tags, a second
 * document, duplicate rule ids, regexes that do not compile, what the user
 * layer must not hold. Files over 1 MiB are refused. n_sources 0 is an error:
 * the caller names the shipped default. */
Policy *policy_load(const PolicySource *sources,
                    size_t n_sources,
                    GError **error);
/* The same from memory; `name` stands for the file in messages. */
Policy *policy_parse(const char *name,
                     const char *text,
                     size_t len,
                     GError **error);
Policy *policy_ref(Policy *policy);
void policy_unref(Policy *policy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Policy, policy_unref)

/* SHA-256 (hex) over the sources' contents in order: in every record. */
const char *policy_revision(const Policy *policy);
const PolicyRule *const *policy_rules(const Policy *policy, unsigned *n);
Action policy_default(const Policy *policy); /* ALLOW or BLOCK */
Action policy_tunnels(const Policy *policy); /* ALLOW or BLOCK */
/* True when a user with these identity groups is in the policy's group:
 * "*" is everybody, "local" solo mode, others by the groups table. */
bool policy_in_group(const Policy *policy,
                     const char *name,
                     const char *const *identity_groups);
/* The effective policy as YAML with each rule's origin in a comment. */
char *policy_to_text(const Policy *policy);

/* Wildcard match with * and ?; `fold`: without ASCII case. */
bool policy_glob(const char *pattern, const char *text, bool fold);

/* ---- Detector rules ---------------------------------------------------- */

typedef enum {
  DETECT_TOKEN,  /* ends with its character set: held to the end of its run */
  DETECT_QUOTED, /* a value after a keyword, to its closing quote or line end */
  DETECT_BLOCK   /* from an opener to its closer, over lines */
} DetectKind;

typedef enum {
  CHECK_NONE,
  CHECK_LUHN,
  CHECK_IBAN,
  CHECK_GITHUB_CRC32,
  CHECK_JWT /* three base64url parts, a JSON header with "alg" */
} DetectCheck;

typedef struct {
  unsigned index; /* position in the pack: bit sets count on it */
  char *id;       /* e.g. "aws-access-key"; also in the mask */
  char *description;
  char *class_name; /* policy's finding class: "secret", "pii", "card" … */
  DetectKind kind;
  char **keywords; /* lower case; one must be near; NULL: none asked */
  char *regex;     /* PCRE2; group "secret" is what is masked, else all */
  double entropy;  /* least Shannon entropy of the secret in bits/char */
  DetectCheck check;
  char **allow; /* regexes over the secret that make it harmless */
  bool enabled; /* on unless the pack says off by default */
  char **examples;
  char **counter_examples;
  char *origin; /* "file:line" */
} DetectorRule;

typedef struct rule_pack RulePack;
/* Loads every *.yaml of a folder in name order; the same strictness. */
RulePack *rule_pack_load_dir(const char *dir, GError **error);
RulePack *rule_pack_parse(const char *name,
                          const char *text,
                          size_t len,
                          GError **error);
RulePack *rule_pack_ref(RulePack *pack);
void rule_pack_unref(RulePack *pack);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RulePack, rule_pack_unref)
const DetectorRule *const *rule_pack_rules(const RulePack *pack, unsigned *n);
/* SHA-256 (hex) over ids and regexes: names the compiled database. */
const char *rule_pack_hash(const RulePack *pack);

#endif
