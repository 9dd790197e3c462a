/* SPDX-License-Identifier: Apache-2.0 */
/* Policy and findings joined into a verdict with reasons. No I/O and no
 * clock of its own: daemon, scan, explain, replay and fuzzers get the same
 * answer from the same input. */
#ifndef HOOP_JUDGE_H
#define HOOP_JUDGE_H

#include "inspect/inspect.h"
#include "policy/policy.h"

/* ---- What was used before ---------------------------------------------- */

/* Each person's requests, bytes of their bodies and tokens within a window, for
 * budgets; bounded whatever is added. One thread. */
typedef struct ledger Ledger;
typedef struct {
  int64_t requests, bytes, tokens;
} LedgerSum;
/* Whose use it is: of one issuer's subject, whatever they are called there.
 * Where a subject is not known (records of before, test cases) it is the user
 * name that counts; an issuer that is not known could be any. */
typedef struct {
  const char *user; /* NULL: not counted */
  const char *issuer, *sub;
} LedgerPerson;
/* One use, or what it turned out to be more (or less) than was added first. */
typedef struct {
  LedgerPerson person;
  const char *connection, *model; /* NULL: counts for all of them */
  int64_t wall_us;
  LedgerSum sum;
} LedgerUse;
/* Empty and not ready: what it does not know counts as used up. */
Ledger *ledger_new(unsigned window);
void ledger_free(Ledger *ledger);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ledger, ledger_free)
unsigned ledger_window(const Ledger *ledger); /* s that it reaches back */
/* Whether everything of its window was added. */
void ledger_set_ready(Ledger *ledger, bool ready);
bool ledger_is_ready(const Ledger *ledger);
/* A correction (negative numbers) has the time of what it corrects. */
void ledger_add(Ledger *ledger, const LedgerUse *use);
/* What the person used of the budget in the window that ends now. */
LedgerSum ledger_sum(const Ledger *ledger,
                     const PolicyBudget *budget,
                     const LedgerPerson *person,
                     int64_t now_us);
/* Everything of the other one; its accounts stay as they are. */
void ledger_merge(Ledger *ledger, const Ledger *other);
/* Whether requests of this shape are uses: not lists of models, tokens, users
 * and telemetry, which clients send by themselves. */
bool ledger_counts(Api api);
/* Tokens that so many bytes may be, where nobody says. */
int64_t ledger_estimate(int64_t bytes);
/* The tokens of a request with so many bytes: what its answer says, or, where
 * it does not (-1), by the bytes of both (answer_bytes -1: none came). */
int64_t ledger_tokens(int64_t bytes,
                      int64_t tokens_in,
                      int64_t tokens_out,
                      int64_t answer_bytes);

/* ---- Verdicts ---------------------------------------------------------- */

/* Who asks for what; all strings outlive the call; NULL: unknown. An unknown
 * fact satisfies a condition of a rule that tightens (block, approve, mask)
 * and never one of a rule that allows; model, initiator and repo count as
 * unknown only where a model is spoken to (hoop-policy(5), UNKNOWN FACTS). */
typedef struct {
  const char *user;
  const char *issuer, *sub;  /* who that is, for budgets; see LedgerPerson */
  const char *const *groups; /* identity groups, NULL terminated; an empty
                                list: in none; NULL: not known */
  const char *client;        /* token's client name or executable */
  const char *connection;
  const char *host;
  const char *method;
  const char *path; /* a query behind ? is not looked at */
  Api api;
  const char *model;
  const char *initiator;
  const char *const *processes; /* executable, then its parents; NULL ends */
  const char *repo;
  int64_t wall_us;
  bool first_in_session;
  bool completions;     /* typed keystrokes: never a prompt */
  const Ledger *ledger; /* without this request; NULL: not known */
} Subject;

/* Counts this request for the rule and says how many that makes in the last
 * `window` seconds, of the same user. Called once for each rule with a rate for
 * which everything else holds. NULL: unknown, so the rate counts as exceeded;
 * give a function that returns 1 to judge without history. */
typedef unsigned (*JudgeRate)(const char *rule_id, unsigned window, void *data);

typedef struct {
  const PolicyRule *rule;
  bool matched;
  Action effect;       /* matched: what it does here (completions turn approve
                          into mask or block); a shadow rule: would do */
  const char *missed;  /* the key of the first condition that did not hold;
                          "phase": it is not about this; NULL: matched */
  const char *assumed; /* the key of an unknown fact that counted, or NULL */
  bool limited;        /* a regex met its limit, which counts as a match */
  unsigned n_findings; /* that satisfied its finding condition */
  const char *detail;  /* with explain: what was asked and what was there, for
                          people; or NULL. Owned by the verdict */
} RuleResult;

typedef struct verdict Verdict;

/* Judges a whole body, request or response; inspection NULL: a request whose
 * body was not read. Tool calls are not looked at: whoever lets an answer
 * through, streamed or whole, judges each of its calls by judge_tool_call().
 * The default decides requests only: an answer is allowed unless a rule says
 * otherwise. `results` of every rule are kept for `why` when `explain`;
 * otherwise only of those that matched. The verdict keeps its policy
 * alive; its mask spans refer to the inspection's detector rules. Any thread;
 * CPU only. */
Verdict *judge_body(Policy *policy,
                    const Subject *subject,
                    const Inspection *inspection,
                    bool explain,
                    JudgeRate rate,
                    void *rate_data);
/* The same for a body as the journal has it, where masks stand for what was
 * found: `findings` (Finding; their spans may be empty) count in place of the
 * inspection's own. */
Verdict *judge_recorded(Policy *policy,
                        const Subject *subject,
                        const Inspection *inspection,
                        const GArray *findings,
                        bool explain,
                        JudgeRate rate,
                        void *rate_data);
/* Judges one tool call of an answer, streamed or whole. `scratch` finds what
 * the arguments hold, for rules with tool and finding (NULL: detection is
 * off). MASK does not occur. */
Verdict *judge_tool_call(Policy *policy,
                         const Subject *subject,
                         const ToolCall *call,
                         DetectorScratch *scratch,
                         bool explain);
/* What a finished stream turned out to hold, for the record: the rules that
 * the stream plan carried out, with no spans. */
Verdict *judge_stream(Policy *policy,
                      const Subject *subject,
                      const Finding *findings,
                      unsigned n_findings,
                      bool explain);
/* What the filter must do with a streamed answer to this subject. finding.min
 * counts as 1 there: a stream cannot be taken back. */
StreamPlan *judge_stream_plan(Policy *policy,
                              const Subject *subject,
                              const RulePack *pack);
/* Whether that plan would let any mask be undone: much quicker to know. */
bool judge_restores(Policy *policy, const Subject *subject);
void verdict_free(Verdict *verdict);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Verdict, verdict_free)

/* The strongest action that applies. MASK without spans does not occur:
 * a mask rule that found nothing did not match (judge_stream() excepted). */
Action verdict_action(const Verdict *verdict);
/* The first match of the strongest kind; NULL when the default decided. */
const PolicyRule *verdict_reason(const Verdict *verdict);
const RuleResult *verdict_results(const Verdict *verdict, unsigned *n);
/* MaskSpan array of the mask rules; and of mask rules plus the findings of the
 * approve rules ("approve masked"). Owned by the verdict. */
const GArray *verdict_mask_spans(const Verdict *verdict);
const GArray *verdict_masked_spans(const Verdict *verdict);
/* The approve rules that must be satisfied, and the shortest of their
 * timeouts in seconds (`fallback` for each that says none). */
const PolicyRule *const *verdict_approvals(const Verdict *verdict, unsigned *n);
unsigned verdict_timeout(const Verdict *verdict, unsigned fallback);
/* How far the masks that may be undone (MaskSpan.restore) may be: the least
 * that a matching mask rule with a restore allows. */
Restore verdict_restore(const Verdict *verdict);
/* One or two sentences for the user: what, which rule, what to do. g_free. */
char *verdict_sentence(const Verdict *verdict);
/* One line of JSON for journal and `why`; with explain it adds "rules", every
 * rule of the policy. hoop-policy(5), VERDICTS, lists the keys. g_free. */
char *verdict_to_json(const Verdict *verdict);
/* The same for people: a line for each rule that is in the results, then the
 * verdict. g_free. */
char *verdict_to_text(const Verdict *verdict);

#endif
