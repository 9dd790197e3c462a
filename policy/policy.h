/* SPDX-License-Identifier: Apache-2.0 */
/* Policy and detector rules as data: loaded from YAML in layers, checked,
 * immutable afterwards; what a rule may say stands here, what follows from it
 * is the judge's. */
#ifndef HOOP_POLICY_H
#define HOOP_POLICY_H

#include "kit/api.h"
#include "kit/file.h"
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_ERROR (policy_error_quark())
GQuark policy_error_quark(void);
typedef enum {
  POLICY_ERROR_READ,   /* file missing, unreadable, too large */
  POLICY_ERROR_SYNTAX, /* not the YAML that we take */
  POLICY_ERROR_VALUE,  /* unknown key, wrong value, a layer's limits */
  POLICY_ERROR_CENTRAL /* a new central layer is fine, but what other layers
                          say cannot stand beside it */
} PolicyErrorCode;

/* ---- Policy rules ------------------------------------------------------ */

/* In ascending strength. */
typedef enum { ACTION_ALLOW, ACTION_MASK, ACTION_APPROVE, ACTION_BLOCK } Action;
const char *action_name(Action action);

typedef enum { LAYER_CENTRAL, LAYER_SYSTEM, LAYER_USER } PolicyLayer;
const char *layer_name(PolicyLayer layer);
typedef enum { RESTORE_NONE, RESTORE_TEXT, RESTORE_TOOLS } Restore;
const char *restore_name(Restore restore);

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

/* The keys of a match, in the order in which they are looked at: what costs
 * little first; up to MATCH_TIME about who asks and when. */
typedef enum {
  MATCH_API,
  MATCH_GROUP,
  MATCH_USER,
  MATCH_CONNECTION,
  MATCH_METHOD,
  MATCH_HOST,
  MATCH_PATH,
  MATCH_MODEL,
  MATCH_INITIATOR,
  MATCH_REPO,
  MATCH_PROCESS,
  MATCH_FIRST_IN_SESSION,
  MATCH_TIME,
  MATCH_DIRECTION,
  MATCH_SIZE,
  MATCH_FINDING,
  MATCH_FIELDS,
  MATCH_TOOL,
  MATCH_PROMPT,
  MATCH_RATE,
  MATCH_BUDGET,
  N_MATCH_KEYS
} MatchKey;
/* As policy files write it. */
const char *match_key_name(MatchKey key);

/* What one user may use in a window before a rule holds; -1: not limited. */
typedef struct {
  int64_t requests, bytes, tokens;
  unsigned window;    /* s; 0: no budget */
  char **connections; /* that count; NULL: all */
  char **models;      /* wildcards, without case; NULL: all */
} PolicyBudget;

/* What a rule asks of an exchange: every key that is given must hold; a list
 * holds when one of its items does. NULL or -1: not asked. Strings with
 * wildcards (* and ?) where noted. */
typedef struct {
  unsigned asked;      /* bit mask of 1 << MatchKey: the keys that are given */
  char **groups;       /* policy group names, "*" */
  bool everybody;      /* groups names "*" */
  unsigned *group_ids; /* of groups: bits in policy_groups_of() */
  unsigned n_group_ids;
  char **users; /* wildcards */
  char **connections;
  char **hosts; /* wildcards, without case */
  char **methods;
  char **paths;      /* wildcards */
  int apis;          /* bit mask of 1 << Api; 0: not asked */
  char **models;     /* wildcards, without case */
  char **initiators; /* "user", "agent" */
  char **processes;  /* wildcards over executable paths; only tightens */
  char **repos;      /* wildcards over owner/name, without case */
  int direction;     /* Direction, or -1: both */
  bool has_finding;
  char **finding_classes;        /* e.g. "secret", "pii"; NULL: any */
  char **finding_rules;          /* wildcards over detector rule ids; or NULL */
  unsigned finding_min;          /* at least so many; 1 by default */
  char **fields;                 /* decoded JSON key names, lower case */
  PolicyPattern *prompt;         /* over each prompt text of a request */
  bool has_tool;                 /* a tool call of an answer */
  char **tool_names;             /* wildcards, without case; NULL: any */
  PolicyPattern *tool_arguments; /* over the decoded arguments; or NULL */
  int64_t size_min, size_max;    /* bytes of the decoded request body; -1 */
  int time_from, time_to;        /* minutes of the local day, from included,
                                    to not; from > to: over midnight; -1 */
  unsigned weekdays;             /* bit 0 Monday …; 0: not asked */
  char *time_zone;               /* IANA name, or NULL: the machine's */
  GTimeZone *zone;               /* the same, looked up; or NULL */
  unsigned rate_count;           /* more than so many in … */
  unsigned rate_window;          /* … seconds; 0: not asked */
  PolicyBudget budget;
  int first_in_session; /* 0, 1 or -1 */
} PolicyMatch;

/* When a rule is looked at; follows from its match. */
enum {
  RULE_ON_REQUEST = 1, /* with judge_body(), a request */
  RULE_ON_ANSWER = 2,  /* with judge_body(), an answer; and its stream plan */
  RULE_ON_TOOL = 4     /* with judge_tool_call() */
};

/* How many of a rule's approvers must say yes. */
typedef enum {
  BY_ALL,  /* each of them; approvals_needed is n_approvers */
  BY_ANY,  /* one of them; approvals_needed is 1 */
  BY_COUNT /* approvals_needed distinct people, each one of them */
} ApproveBy;

/* What a rule says a wrong yes could do. */
typedef enum { RISK_LOW = -1, RISK_NORMAL = 0, RISK_HIGH = 1 } Risk;
const char *risk_name(Risk risk);

/* How often a deadline may be put off where the rule does not say. */
#define EXTEND_DEFAULT 1

/* Who is asked, and how many of them must say yes. */
typedef struct {
  Approver *list;
  unsigned n;
  unsigned needed; /* see ApproveBy */
  ApproveBy by;
} PolicyApprovers;

typedef struct {
  char *id;
  PolicyMatch match;
  Action action;
  unsigned phases; /* RULE_ON_… */
  Restore restore;
  char *message;       /* for people, or NULL */
  Approver *approvers; /* ACTION_APPROVE */
  unsigned n_approvers;
  unsigned approvals_needed; /* see ApproveBy */
  ApproveBy by;
  unsigned timeout;        /* s; 0: the configuration's */
  unsigned escalate_after; /* s; 0: never. Then … */
  PolicyApprovers next;    /* … a yes of these is enough, too; nobody whom it
                              takes less to have than `approvers` */
  unsigned extend;         /* times that the deadline may be put off */
  Risk risk;
  bool needs_reason;       /* an approval comes with a reason */
  Action completions;      /* ACTION_MASK or ACTION_BLOCK in place of asking */
  bool shadow;             /* only record what it would do */
  bool allow_fingerprints; /* not for findings that the user allowed by their
                              fingerprints */
  bool no_grants;          /* ACTION_APPROVE: each request is asked about */
  uint8_t digest[32];      /* SHA-256 of the rule's own text, without layer and
                              origin: another one says something else */
  PolicyLayer layer;
  char *origin; /* "file:line" */
} PolicyRule;

typedef struct policy Policy;

typedef struct {
  const char *path;
  PolicyLayer layer;
  FileTrust trust; /* of it and of what it includes */
} PolicySource;

/* Loads the policy files in the order given (central, system, user), each with
 * the files that it includes behind it, as of its layer; groups,
 * default and tunnels come from the first layer that sets them (each group's
 * name for itself), rules add up. What no layer sets is `block`. Refused with
 * file:line:column, the key and the nearest valid one: unknown and duplicate
 * keys, wrong types and values, anchors, aliases, tags, a second document,
 * duplicate rule ids, groups that the table does not name, regexes that do not
 * compile, conditions that can never hold or that the action cannot use, what
 * the user layer must not hold, includes that lead on to others, groups of a
 * later layer that would change what a name of an earlier one means. Files over
 * 1 MiB are refused. n_sources 0 is an error: the caller names the shipped
 * default. Reads files; else CPU only; any thread. */
Policy *policy_load(const PolicySource *sources,
                    size_t n_sources,
                    GError **error);
/* The same in place of `former` (or NULL), of which each layer stays that
 * cannot be read or used now: so a broken file of one layer keeps no other
 * layer from changing. *held (or NULL) becomes what was wrong then, g_free;
 * NULL: nothing. *seen (or NULL): every file and folder that was looked at,
 * also on failure; g_strfreev. POLICY_ERROR_CENTRAL: nothing may be let through
 * under `former` any more. */
Policy *policy_load_over(const PolicySource *sources,
                         size_t n_sources,
                         Policy *former,
                         char ***seen,
                         char **held,
                         GError **error);
/* Policy files in memory, as a signed bundle brings them. `root` stands for
 * their folder in paths and messages ("hub:" makes "hub:/policy.yaml"). */
typedef struct policy_memory PolicyMemory;
PolicyMemory *policy_memory_new(const char *root);
/* `path` is relative to the root, without "." and ".." parts. */
void policy_memory_add(PolicyMemory *memory, const char *path, GBytes *bytes);
/* They cannot be had: reading any of them fails, with this reason. */
void policy_memory_lose(PolicyMemory *memory, const char *why);
void policy_memory_free(PolicyMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyMemory, policy_memory_free)
/* policy_load_over() where the files below the memory's root are taken from
 * there, and include nothing else; trust does not matter for them. memory NULL:
 * all are the machine's. */
Policy *policy_load_beside(const PolicyMemory *memory,
                           const PolicySource *sources,
                           size_t n_sources,
                           Policy *former,
                           char ***seen,
                           char **held,
                           GError **error);
/* The files that it was made of, in order; the policy's. NULL: no more. */
const char *policy_file(const Policy *policy, unsigned i, PolicyLayer *layer);
/* The same from memory, as one file of the central layer; `name` stands for
 * the file in messages. Texts include nothing. */
Policy *policy_parse(const char *name,
                     const char *text,
                     size_t len,
                     GError **error);
/* The same for several texts, each with its layer. */
typedef struct {
  const char *name;
  const char *text;
  size_t len;
  PolicyLayer layer;
} PolicyText;
Policy *policy_parse_layers(const PolicyText *texts, size_t n, GError **error);
Policy *policy_ref(Policy *policy);
void policy_unref(Policy *policy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Policy, policy_unref)

/* SHA-256 (hex) over the sources' layers and contents in order: in every
 * record. File names are not part of it. */
const char *policy_revision(const Policy *policy);
const PolicyRule *const *policy_rules(const Policy *policy, unsigned *n);
/* The longest window of its budgets, in seconds; 0: it has none. */
unsigned policy_budget_window(const Policy *policy);
Action policy_default(const Policy *policy); /* ALLOW or BLOCK */
/* Whether an allow rule lifts `default: block`: one of a layer behind the one
 * that set the default does not. */
bool policy_lifts_default(const Policy *policy, const PolicyRule *rule);
Action policy_tunnels(const Policy *policy); /* ALLOW or BLOCK */
/* True when a user with these identity groups (NULL terminated; NULL: none)
 * is in the policy's group: "*" is everybody, a name of the groups table who
 * is in one of its identity groups, any other name the identity group of that
 * name ("local" in solo mode). */
bool policy_in_group(const Policy *policy,
                     const char *name,
                     const char *const *identity_groups);
/* The same for all groups that rules name: one bit each, numbered as
 * PolicyMatch.group_ids. Free with g_free. */
uint64_t *policy_groups_of(const Policy *policy,
                           const char *const *identity_groups);
/* The effective policy as YAML that loads again, with each rule's layer and
 * origin in a comment. g_free. */
char *policy_to_text(const Policy *policy);

typedef struct rule_pack RulePack;
/* What loads but will not do what its writer may think: reviewers that nobody
 * can be yet, groups and defaults that an earlier layer had set, findings that
 * no detector rule of the pack gives (pack NULL: not looked at). Lines
 * "file:line: …", NULL terminated, perhaps none. g_strfreev. */
char **policy_warnings(const Policy *policy, const RulePack *pack);
/* What the policy's rules name as findings: "class:NAME" and "rule:ID", with
 * their wildcards, sorted, each once; NULL terminated, for
 * rule_pack_switch_on(). "*" alone is left out: it means all that are on.
 * g_strfreev. */
char **policy_named_findings(const Policy *policy);

/* ---- Differences ------------------------------------------------------- */

/* What a change means for what gets through. */
enum {
  POLICY_TIGHTENS = 1, /* less */
  POLICY_LOOSENS = 2,  /* more */
  POLICY_UNCLEAR = 4   /* depends on the traffic: replay tells */
};
/* "tightens", "loosens", "tightens and loosens", "changes" or "lets through as
 * much". */
const char *policy_means(unsigned means);

typedef struct {
  char kind; /* '+' a new rule, '-' one that is gone, '~' one that says
                something else, '=' a setting or a group */
  char *id;
  const PolicyRule *before, *after; /* or NULL; the policies' */
  unsigned means;
  GPtrArray *why; /* texts; of '~' and '=' at least one */
} PolicyChange;
/* What b says otherwise than a, not how it is written: settings and groups,
 * then rules in a's order, then new ones. PolicyChange, perhaps none;
 * g_ptr_array_unref before the policies go. */
GPtrArray *policy_diff(const Policy *a, const Policy *b);

/* ---- Tests of a policy ------------------------------------------------- */

typedef enum {
  CASE_PROMPT, /* what a user wrote */
  CASE_ANSWER, /* what a model wrote */
  CASE_BODY,   /* a whole body, JSON of a known API or any other text */
  CASE_TOOL    /* a tool call of an answer */
} PolicyCaseKind;

/* One case of a *.test.yaml: what is judged, who asks, what must come of it.
 * Strings and lists that are not given are NULL. */
typedef struct {
  char *name, *origin; /* for people; "file:line" */
  PolicyCaseKind kind;
  char **texts;        /* each judged by itself; CASE_TOOL: arguments */
  char *tool;          /* its name */
  Direction direction; /* CASE_BODY */
  int api;             /* Api, or -1: to be guessed */
  char **groups, **processes;
  char *user, *connection, *host, *method, *path, *model, *initiator, *repo;
  int64_t wall_us; /* 0: now */
  bool first_in_session;
  unsigned rate; /* requests in any rate's window, this one too; 0: one */
  int64_t used_requests, used_bytes, used_tokens; /* before this one */
  Action expect;
  char *rule;    /* the reason */
  char **rules;  /* exactly these matched … */
  char **shadow; /* … and these shadow rules */
  char **masks;  /* exactly findings of these detector rules are masked */
  char **hides;  /* texts that must not go out */
} PolicyCase;

typedef struct policy_cases PolicyCases;
/* Reads a test file; errors as policy_load(). */
PolicyCases *policy_cases_load(const char *path, GError **error);
PolicyCases *policy_cases_parse(const char *name,
                                const char *text,
                                size_t len,
                                GError **error);
void policy_cases_free(PolicyCases *cases);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PolicyCases, policy_cases_free)
/* The policy file that it names (loaded: as seen from here), or NULL. */
const char *policy_cases_policy(const PolicyCases *cases);
const PolicyCase *const *policy_cases_list(const PolicyCases *cases,
                                           unsigned *n);

/* The keys that the loader takes, NULL terminated: of a file, and of a rule. */
const char *const *policy_file_keys(void);
const char *const *policy_rule_keys(void);

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
  CHECK_JWT, /* three base64url parts, a JSON header with "alg" */
  /* No reference to a value elsewhere, nothing to be filled in, and: */
  CHECK_ASSIGNMENT, /* after an operator whose name promises a secret: what
                       such a name would be given */
  CHECK_PASSWORD,   /* what a person may have chosen */
  CHECK_RANDOM,     /* letters without words, as a machine makes them */
  CHECK_CHOSEN,     /* CHECK_PASSWORD where much else may stand: digits or signs
                       among letters, neither prose nor a technique */
  CHECK_SETTING     /* CHECK_CHOSEN, and the line begins with the name */
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
  char **allow;            /* regexes over the secret that make it harmless */
  bool enabled;            /* on unless the pack says off by default */
  char **examples;         /* NULL in a thawed pack … */
  char **counter_examples; /* … likewise */
  char *origin;            /* "file:line" */
} DetectorRule;

/* Exact values are found by rules that every pack has behind its own: class
 * "secret", off (no regex is compiled for them), with an empty regex. */
typedef enum {
  VALUE_DICTIONARY, /* "dictionary": what the configured file lists */
  VALUE_ENV_FILE,   /* "env-file": what the user's .env files hold */
  VALUE_HELD        /* "held-credential": what the agent holds itself */
} ValueKind;
#define N_VALUE_KINDS 3
/* On, or one for exact values, which find what there are. */
bool detector_rule_is_on(const DetectorRule *rule);
/* The rule's id, which no file may give to another. */
const char *value_kind_id(ValueKind kind);

/* Loads every *.yaml of a folder in name order; the same strictness. */
RulePack *rule_pack_load_dir(const char *dir, GError **error);
RulePack *rule_pack_parse(const char *name,
                          const char *text,
                          size_t len,
                          GError **error);
RulePack *rule_pack_ref(RulePack *pack);
void rule_pack_unref(RulePack *pack);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RulePack, rule_pack_unref)
/* The rules of the files, in order. */
const DetectorRule *const *rule_pack_rules(const RulePack *pack, unsigned *n);
/* The same, and behind them one rule for each ValueKind. */
const DetectorRule *const *rule_pack_all(const RulePack *pack, unsigned *n);
const DetectorRule *rule_pack_value_rule(const RulePack *pack, ValueKind kind);
/* Switches on what is off and named (as policy_named_findings() does). True
 * when there was such a rule: then the hash is another one. Before the pack is
 * shared. */
bool rule_pack_switch_on(RulePack *pack, const char *const *named);
/* SHA-256 (hex) over ids and regexes: names the compiled database. */
const char *rule_pack_hash(const RulePack *pack);

/* The pack as one block of bytes for this machine's cache, without what only
 * tests read (examples and counter-examples): a daemon's memory does without
 * them, and a start without the YAML. */
GBytes *rule_pack_freeze(const RulePack *pack);
/* The pack again; NULL when the bytes are not of this version or not whole.
 * Keeps a reference on them. Not for bytes that others could have written. */
RulePack *rule_pack_thaw(GBytes *bytes);
/* SHA-256 over paths and contents of the folder's rule files: the same as long
 * as rule_pack_load_dir() would give the same. */
bool rule_pack_digest_dir(const char *dir, uint8_t digest[32], GError **error);

#endif
