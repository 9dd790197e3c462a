/* SPDX-License-Identifier: Apache-2.0 */
/* What detector, confirmation and stream masker share: compiled rules, views
 * of a text, candidates. Private to the room. */
#ifndef HOOP_INSPECT_DETECTOR_H
#define HOOP_INSPECT_DETECTOR_H

#include "inspect/inspect.h"
#include "inspect/sight.h"
#include "inspect/tail.h"
#include "inspect/value.h"

#include <hs/hs.h>
#include <pthread.h>

/* Widest match of a token rule: what a stream must hold of a long run. A JWT
 * that a header can carry fits. */
#define TOKEN_WIDTH_MAX 8192
/* Widest value after an opener (quoted and block rules): an RSA key of 16384
 * bits in PEM fits. */
#define VALUE_WIDTH_MAX 16384
/* How far before a run of text a token's context (its keyword) may begin. */
#define CONTEXT_MAX 1024
/* Bytes before a window that a look-behind or \b may read. */
#define LOOK_BEHIND 16
/* A rule's keyword must stand at most so far before its match. */
#define KEYWORD_NEAR 256
/* What must be kept before the place where a window may begin. */
#define WINDOW_MARGIN (KEYWORD_NEAR + LOOK_BEHIND)

/* A rule as the engine uses it. Token rules: libhs looks for the whole regex,
 * PCRE2 confirms it on a window before each end. Quoted and block rules begin
 * with an opener: libhs looks for what stands before the group "secret" only,
 * PCRE2 matches the rest at the opener's end, partially while text may
 * follow. */
typedef struct {
  const DetectorRule *rule;
  bool opened;
  bool valued;      /* opened, and "secret" is somewhere inside "value" */
  bool cut;         /* a match may end behind what libhs looks for … */
  char *expression; /* for libhs */
  char *confirm;    /* for PCRE2 */
  unsigned flags;   /* for libhs */
  unsigned min_width, max_width; /* bytes; opened: of what follows */
  struct confirm *code;          /* compiled on first use; atomic */
  unsigned gate;    /* index + 1 of the head that libhs looks for; 0: none */
  const char *tail; /* what the expression has behind it */
  Tail *automaton;  /* of that; built on first use; atomic */
  bool seen;        /* the sights have it: libhs does not look for it */
} CompiledRule;

/* gate.c: the same beginning of several rules' expressions. */
typedef struct {
  char *expression;
  unsigned *rules; /* that have it */
  unsigned n_rules;
} Gate;

typedef struct {
  CompiledRule *rules; /* the enabled ones; libhs ids index them … */
  unsigned n;
  Gate *gates; /* … and then these */
  unsigned n_gates;
  Sights *sights;
} CompiledRules;

/* search.c: a regex as text. */
typedef struct {
  const char *value; /* "(?<value>" or "(?<secret>" outside every group, or
                        NULL */
  bool alternation;  /* a "|" outside every group */
  bool anchored;     /* \A, \z, \Z or \G: no stream has them */
} RegexShape;

RegexShape regex_shape(const char *regex);
/* The length of leading option settings such as "(?i)". */
size_t regex_options(const char *regex);
/* A few characters in a row that every match has, or nearly: a prefix such as
 * "AIza", or a name. */
bool regex_has_literal(const char *regex);
/* Whether two certain characters stand side by side. */
bool regex_has_pair(const char *regex);
/* What libhs looks for of a token rule's regex: each match of that ends where a
 * match of this does, or, when *cut, not before. The caller frees it. */
char *regex_search(const char *regex, bool *cut);
/* What the sights look for of that, which ends wherever it does; NULL when its
 * options are not for them. The caller frees it. */
char *regex_sight(const char *expression);

/* The length of a group at the beginning that stands there once; 0: none. */
size_t regex_first_group(const char *regex);

/* ---- Gates --------------------------------------------------------------- */

/* Finds out which rules go through gates. */
void gates_find(CompiledRules *rules);
void gates_clear(CompiledRules *rules);
/* NULL when there are too many states. */
const Tail *gate_tail(CompiledRule *rule);

/* A head that libhs saw end. */
typedef struct {
  unsigned gate;
  size_t end;
} GateHead;
/* A tail that goes on. */
typedef struct {
  const Tail *tail;
  unsigned rule;
  uint16_t state;
} GateRun;
/* Takes one; false: no more is wanted. */
typedef bool (*GateReport)(unsigned rule, size_t end, void *data);
/* compile.c: splits the rules; widths and flags are not known yet. */
bool compiled_rules_init(CompiledRules *rules,
                         const RulePack *pack,
                         GError **error);
void compiled_rules_clear(CompiledRules *rules);
/* Fills flags and widths and compiles the database (stream mode: whole texts
 * are streams of one piece). Every confirmation is tried, so that a rule that
 * is wrong is named now. */
bool compiled_rules_build(CompiledRules *rules,
                          hs_database_t **database,
                          GError **error);

/* cache.c: the key of these rules (a digest of all that they say) with this
 * library on this machine. */
void cache_key(const uint8_t rules[32], uint8_t key[32]);
/* The key of the same rules with those switched on that are named
 * (rule_pack_switch_on()). */
void cache_key_named(const uint8_t key[32],
                     const char *const *named,
                     uint8_t out[32]);
typedef struct cached Cached;
/* What is stored under this key; NULL when there is nothing valid (the reason
 * does not matter: it is compiled then). `special`: rules were switched on; it
 * is in a file of its own, beside that of the pack as it is. */
Cached *cache_open(const char *dir, const uint8_t key[32], bool special);
void cached_free(Cached *cached);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Cached, cached_free)
/* The stored pack, without examples; NULL when it cannot be read. */
RulePack *cached_pack(const Cached *cached);
/* Flags, widths and the database of the same rules, which lives as long as
 * `cached`; false: compile them. */
bool cached_apply(const Cached *cached,
                  CompiledRules *rules,
                  hs_database_t **database);
/* Gives back the memory that the database takes; it comes back when used. Any
 * thread, at any time. */
void cached_rest(const Cached *cached);
/* Best effort: a cache that cannot be written costs time only. */
void cache_store(const char *dir,
                 const uint8_t key[32],
                 bool special,
                 const RulePack *pack,
                 const CompiledRules *rules,
                 const hs_database_t *database);

struct detector {
  int refs; /* atomic */
  RulePack *pack;
  CompiledRules rules;
  Cached *cached;          /* what holds the database; NULL: it is our own */
  hs_database_t *database; /* NULL when no rule is enabled */
  hs_scratch_t *prototype;
  size_t token_width; /* widest token rule */
  size_t shortest;    /* bytes of the shortest text that any rule or exact value
                         may be found in */
  const DetectorRule *value_rules[N_VALUE_KINDS];
  pthread_mutex_t values_lock;
  ValueSet *values;      /* or NULL */
  int values_generation; /* atomic; changes with the set */
};

/* ---- Texts ------------------------------------------------------------- */

/* The part of a text that is at hand: bytes[0] is at position `start`. */
typedef struct {
  const char *bytes;
  size_t start, end;
  bool final; /* the text ends at `end` */
} TextView;

static inline char
view_at(const TextView *view, size_t pos)
{
  return view->bytes[pos - view->start];
}

/* runs.c: a run is text that a token cannot reach over. It ends at white
 * space, NUL and characters outside ASCII, but not at the single spaces inside
 * numbers in groups (cards, IBANs), nor at characters that are invisible or
 * only wide forms of ASCII.
 *
 * Does the byte at pos end one? -1: what follows the view decides. */
int run_breaks(const TextView *view, size_t pos);
/* The first breaker at or after pos; view->end when there is none before it or
 * what follows decides (*open). Looks no further than `limit`. */
size_t run_end(const TextView *view, size_t pos, size_t limit, bool *open);
/* Where the run that ends at `pos` begins; looks back no further than floor. */
size_t run_start(const TextView *view, size_t pos, size_t floor);

/* ---- Candidates -------------------------------------------------------- */

typedef struct long_block LongBlock;

/* Ends that libhs reported for one rule inside one run; or one opener. */
typedef struct {
  unsigned rule;
  unsigned field;
  size_t first, last; /* first and last end */
  size_t limit;       /* where the window ends, when !open */
  bool open;          /* the run may go on behind the view */
  size_t next_look;   /* streams: not worth deciding before so much is there */
  LongBlock *block;   /* opened: the value goes on beyond its width, or NULL */
} Candidate;

/* Takes an end for a rule: true when it belongs to `candidate` (that rule's
 * newest in this text, or NULL), else *fresh is a new candidate. */
bool candidate_take(const CompiledRule *compiled,
                    const TextView *view,
                    size_t end,
                    Candidate *candidate,
                    Candidate *fresh);
/* Looks where an open candidate's window ends by now. */
void candidate_update(const CompiledRule *compiled,
                      const TextView *view,
                      Candidate *candidate);
/* Where its window begins at the earliest. */
size_t candidate_floor(const CompiledRule *compiled,
                       const TextView *view,
                       const Candidate *candidate);

/* The last finding of one rule in one text. */
typedef struct {
  size_t start, end;
  unsigned generation; /* of the text that it belongs to */
} LastFinding;

typedef enum {
  CONFIRM_DONE,    /* decided; findings appended, if any */
  CONFIRM_PENDING, /* more text may change the outcome */
  CONFIRM_FAILED   /* a limit was met, or the engine failed */
} ConfirmResult;

struct detector_scratch {
  Detector *detector;
  hs_scratch_t *hs;
  hs_stream_t *stream; /* for whole texts; reset between them */
  struct pcre2_real_match_data_8 *data;
  struct pcre2_real_match_context_8 *context;
  struct pcre2_real_jit_stack_8 *stack;
  GArray *candidates; /* Candidate */
  GArray *heads;      /* GateHead, of what is scanned */
  GArray *ends;       /* RuleEnd, behind them … */
  GArray *seen;       /* … and of what the sights have */
  GArray *runs;       /* GateRun, of a whole text */
  unsigned *slots;    /* by rule: index + 1 of its newest candidate */
  LastFinding *last;  /* by rule */
  unsigned generation;
  GString *text;           /* for texts that are joined before the scan */
  ValueSet *values, *held; /* or NULL; see values.h */
  int values_generation;
  bool pinned; /* keeps its values */
};

/* gate.c: goes over [from, to) of a text, in which the scratch's heads ended
 * (behind `from`; they are gone then), with the tails that go on, and with the
 * sights. bytes[0] is at `from`; `back` bytes before it are there, all of the
 * text or at least SIGHT_BACK. Each rule's ends come in order, perhaps more
 * than once, as libhs would tell them, however a text is cut. False when the
 * report was. */
bool gates_run(DetectorScratch *scratch,
               const char *bytes,
               size_t back,
               size_t from,
               size_t to,
               GArray *runs,
               GateReport report,
               void *data);

/* confirm.c: decides a candidate. Appends Finding (with the candidate's field)
 * in order; `last` has one entry per rule, `generation` names the text. */
ConfirmResult confirm_candidate(DetectorScratch *scratch,
                                const TextView *view,
                                Candidate *candidate,
                                LastFinding *last,
                                unsigned generation,
                                GArray *findings,
                                GError **error);
/* The rule's regex at subject[at]: PCRE2's answer, and where the secret ends.
 */
int confirm_match(DetectorScratch *scratch,
                  CompiledRule *compiled,
                  const char *subject,
                  size_t len,
                  size_t at,
                  uint32_t options,
                  size_t *secret_end);
/* What a negative answer other than no match means; sets the error. */
ConfirmResult confirm_fail(const CompiledRule *compiled,
                           int result,
                           GError **error);
/* Compiles a rule's confirmation to find what is wrong with it; nothing is
 * kept. */
bool confirm_check(const CompiledRule *rule, GError **error);
void confirm_free(struct confirm *confirm);

/* ---- Long blocks -------------------------------------------------------- */

/* long-block.c: a value that its rule still matches where VALUE_WIDTH_MAX ends.
 * How far it goes on is found window by window, each matched behind a copy of
 * the value's beginning, so that neither the value nor what is known of it is
 * held. Where windows begin follows from the text alone. */
struct long_block {
  size_t start; /* of the secret */
  size_t at;    /* everything before belongs to it */
  double confidence;
  bool blind;  /* the rule says nothing about windows: up to the line's end */
  bool open;   /* streams: it is being masked already */
  guint noted; /* … and stands so far among the context's findings, plus 1 */
  size_t offset, head_len; /* of the value and of all in head */
  char head[];
};

/* The opener ends at `opener`, its value reaches over the whole window. */
LongBlock *long_block_new(const TextView *view,
                          size_t opener,
                          size_t start,
                          double sure);
void long_block_free(LongBlock *block);
/* DONE: *end is where it ends. PENDING: not before the view's end; `at` may
 * have moved. */
ConfirmResult long_block_go_on(DetectorScratch *scratch,
                               CompiledRule *compiled,
                               const TextView *view,
                               LongBlock *block,
                               size_t *end,
                               GError **error);

/* validate.c: what a regex cannot say. False: harmless or not of that kind.
 * *len may become less where the check knows that the secret is shorter. */
bool validate_secret(const DetectorRule *rule,
                     const Value *value,
                     size_t *len,
                     double *confidence);
double shannon_entropy(const char *text, size_t len);

/* scan.c: the same as detector_scan() for texts that stand one behind the
 * other: field i is text[starts[i] .. starts[i] + lens[i]), and a newline and
 * any byte stand between two of them. Findings get field i. */
bool scan_fields(DetectorScratch *scratch,
                 const char *text,
                 size_t len,
                 const size_t *starts,
                 const size_t *lens,
                 unsigned n,
                 size_t max_findings,
                 GArray *findings,
                 GError **error);
/* One text as it is, which findings call field 0; no other form of it is looked
 * at. */
bool scan_text(DetectorScratch *scratch,
               const char *text,
               size_t len,
               size_t max_findings,
               GArray *findings,
               GError **error);
/* Orders by field, start, longer first; drops what says the same. */
void findings_sort(GArray *findings);

#endif
