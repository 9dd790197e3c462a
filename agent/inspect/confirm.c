/* SPDX-License-Identifier: Apache-2.0 */
/* Decides what libhs only suspects: keywords, PCRE2 on a bounded window, then
 * entropy, checksums and allow lists. Meeting a match limit is an error. */
#include "inspect/detector.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

/* Match data of a scratch holds so many groups. */
#define MAX_GROUP 15
/* Starts that are tried inside a match that was refused or is covered. */
#define MAX_RETRIES 64
/* An opener without an end tells less than a whole value. */
#define UNTERMINATED_CONFIDENCE 0.5
/* Values after an opener are matched partially, too. */
#define JIT_MODES (PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD)

struct confirm {
  pcre2_code *code;
  unsigned group; /* number of "secret", or 0 */
  pcre2_code **allow;
  unsigned n_allow;
};

typedef struct {
  size_t start, end;               /* of the match */
  size_t secret_start, secret_end; /* of what is masked */
} Match;

static pcre2_code *
compile_regex(const DetectorRule *rule,
              const char *source,
              uint32_t options,
              uint32_t jit, /* 0: without */
              GError **error)
{
  int code = 0;
  PCRE2_SIZE at = 0;
  pcre2_code *compiled = pcre2_compile(
      (PCRE2_SPTR)source, PCRE2_ZERO_TERMINATED, options, &code, &at, NULL);

  if (compiled == NULL) {
    char message[160] = "";

    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
    g_set_error(error,
                INSPECT_ERROR,
                INSPECT_ERROR_ENGINE,
                "%s: rule \"%s\": %s",
                rule->origin ? rule->origin : "rule pack",
                rule->id,
                message);
    return NULL;
  }
  /* Where memory may not become executable the interpreter does it. */
  if (jit != 0)
    (void)pcre2_jit_compile(compiled, jit);
  return compiled;
}

void
confirm_free(struct confirm *confirm)
{
  if (confirm == NULL)
    return;
  for (unsigned i = 0; i < confirm->n_allow; i++)
    pcre2_code_free(confirm->allow[i]);
  g_free(confirm->allow);
  pcre2_code_free(confirm->code);
  g_free(confirm);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(pcre2_code, pcre2_code_free)

static struct confirm *
confirm_new(const CompiledRule *compiled, bool jit, GError **error)
{
  const DetectorRule *rule = compiled->rule;
  const unsigned n = rule->allow ? g_strv_length(rule->allow) : 0;
  struct confirm *confirm = g_new0(struct confirm, 1);
  int group;

  confirm->allow = g_new0(pcre2_code *, MAX(n, 1));
  confirm->code = compile_regex(rule,
                                compiled->confirm,
                                compiled->opened ? PCRE2_ANCHORED : 0,
                                jit ? JIT_MODES : 0,
                                error);
  if (confirm->code == NULL) {
    confirm_free(confirm);
    return NULL;
  }
  for (; confirm->n_allow < n; confirm->n_allow++) {
    pcre2_code *allow = compile_regex(rule,
                                      rule->allow[confirm->n_allow],
                                      0,
                                      jit ? PCRE2_JIT_COMPLETE : 0,
                                      error);

    if (allow == NULL) {
      confirm_free(confirm);
      return NULL;
    }
    confirm->allow[confirm->n_allow] = allow;
  }
  group =
      pcre2_substring_number_from_name(confirm->code, (PCRE2_SPTR) "secret");
  if (group > MAX_GROUP) {
    confirm_free(confirm);
    g_set_error(error,
                INSPECT_ERROR,
                INSPECT_ERROR_ENGINE,
                "rule \"%s\": more than %d groups before \"secret\"",
                rule->id,
                MAX_GROUP);
    return NULL;
  }
  confirm->group = group > 0 ? (unsigned)group : 0;
  return confirm;
}

/* Compiled on first use, since most rules never suspect anything; threads that
 * come at the same time both compile, and one result is kept. */
static const struct confirm *
confirm_get(CompiledRule *compiled, GError **error)
{
  struct confirm *code = __atomic_load_n(&compiled->code, __ATOMIC_ACQUIRE);
  struct confirm *fresh;

  if (code != NULL)
    return code;
  fresh = confirm_new(compiled, true, error);
  if (fresh == NULL)
    return NULL;
  if (__atomic_compare_exchange_n(&compiled->code,
                                  &code,
                                  fresh,
                                  false,
                                  __ATOMIC_ACQ_REL,
                                  __ATOMIC_ACQUIRE))
    return fresh;
  confirm_free(fresh);
  return code;
}

bool
confirm_check(const CompiledRule *rule, GError **error)
{
  struct confirm *confirm = confirm_new(rule, false, error);
  const bool good = confirm != NULL;

  confirm_free(confirm);
  return good;
}

/* PCRE2's answer; -1 and -2 are no match and a partial one. */
static int
run_pcre(DetectorScratch *scratch,
         const pcre2_code *code,
         const char *subject,
         size_t len,
         size_t offset,
         uint32_t options)
{
  int result = pcre2_match(code,
                           (PCRE2_SPTR)subject,
                           len,
                           offset,
                           options,
                           scratch->data,
                           scratch->context);

  if (result == PCRE2_ERROR_JIT_STACKLIMIT)
    result = pcre2_match(code,
                         (PCRE2_SPTR)subject,
                         len,
                         offset,
                         options | PCRE2_NO_JIT,
                         scratch->data,
                         scratch->context);
  return result;
}

ConfirmResult
confirm_fail(const CompiledRule *compiled, int result, GError **error)
{
  const bool limit =
      result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_DEPTHLIMIT ||
      result == PCRE2_ERROR_HEAPLIMIT || result == PCRE2_ERROR_JIT_STACKLIMIT;

  g_set_error(error,
              INSPECT_ERROR,
              limit ? INSPECT_ERROR_LIMIT : INSPECT_ERROR_ENGINE,
              limit ? "rule \"%s\" met the match limit"
                    : "rule \"%s\" failed in the engine",
              compiled->rule->id);
  return CONFIRM_FAILED;
}

int
confirm_match(DetectorScratch *scratch,
              CompiledRule *compiled,
              const char *subject,
              size_t len,
              size_t at,
              uint32_t options,
              size_t *secret_end)
{
  const struct confirm *confirm = confirm_get(compiled, NULL);
  const PCRE2_SIZE *o;
  int result;

  if (confirm == NULL)
    return PCRE2_ERROR_NOMEMORY; /* it was there before */
  result = run_pcre(scratch, confirm->code, subject, len, at, options);
  if (result < 0)
    return result;
  o = pcre2_get_ovector_pointer(scratch->data);
  *secret_end = confirm->group != 0 && o[2 * confirm->group] != PCRE2_UNSET
                    ? o[2 * confirm->group + 1]
                    : o[1];
  return result;
}

static bool
has_keyword(const DetectorRule *rule, const char *text, size_t len)
{
  if (rule->keywords == NULL || rule->keywords[0] == NULL)
    return true;
  for (unsigned k = 0; rule->keywords[k] != NULL; k++) {
    const char *word = rule->keywords[k];
    const size_t size = strlen(word);

    for (size_t i = 0; i + size <= len; i++)
      if (g_ascii_strncasecmp(text + i, word, size) == 0)
        return true;
  }
  return false;
}

/* Spans end between characters, whatever the regex counted in bytes. */
static void
widen_to_characters(const TextView *view, Match *match)
{
  while (match->secret_start > view->start &&
         ((uint8_t)view_at(view, match->secret_start) & 0xc0) == 0x80)
    match->secret_start--;
  while (match->secret_end < view->end &&
         ((uint8_t)view_at(view, match->secret_end) & 0xc0) == 0x80)
    match->secret_end++;
}

static void
read_match(DetectorScratch *scratch,
           const struct confirm *confirm,
           const TextView *view,
           size_t base,
           Match *match)
{
  const PCRE2_SIZE *o = pcre2_get_ovector_pointer(scratch->data);
  const unsigned g = confirm->group;
  const bool named = g != 0 && o[2 * g] != PCRE2_UNSET;

  match->start = base + o[0];
  match->end = base + o[1];
  match->secret_start = named ? base + o[2 * g] : match->start;
  match->secret_end = named ? base + o[2 * g + 1] : match->end;
  if (match->secret_end > match->secret_start)
    widen_to_characters(view, match);
}

/* The secret with what may be read around it: behind the match a stream may
 * not know more yet, and long before it no more. */
static Value
value_of(const TextView *view, const Match *match)
{
  const size_t back = KEYWORD_NEAR;
  const size_t floor =
      match->start > view->start + back ? match->start - back : view->start;

  return (Value){.floor = view->bytes + (floor - view->start),
                 .opener = view->bytes + (match->start - view->start),
                 .secret = view->bytes + (match->secret_start - view->start),
                 .len = match->secret_end - match->secret_start,
                 .limit = view->bytes + (match->end - view->start)};
}

/* Allow lists, entropy and checks. */
static ConfirmResult
accept_secret(DetectorScratch *scratch,
              CompiledRule *compiled,
              const struct confirm *confirm,
              const TextView *view,
              Match *match,
              double *confidence,
              bool *accepted,
              GError **error)
{
  const char *secret = view->bytes + (match->secret_start - view->start);
  size_t len = match->secret_end - match->secret_start;
  const Value value = value_of(view, match);

  *accepted = false;
  for (unsigned i = 0; i < confirm->n_allow; i++) {
    const int result = run_pcre(scratch, confirm->allow[i], secret, len, 0, 0);

    if (result >= 0)
      return CONFIRM_DONE;
    if (result != PCRE2_ERROR_NOMATCH)
      return confirm_fail(compiled, result, error);
  }
  *accepted = validate_secret(compiled->rule, &value, &len, confidence);
  match->secret_end = match->secret_start + len;
  match->end = MIN(match->end, MAX(match->secret_end, match->start + 1));
  return CONFIRM_DONE;
}

static void
add_finding(const CompiledRule *compiled,
            const Candidate *candidate,
            const Match *match,
            double confidence,
            LastFinding *last,
            unsigned generation,
            GArray *findings)
{
  const Finding finding = {.rule = compiled->rule,
                           .start = match->secret_start,
                           .end = match->secret_end,
                           .field = candidate->field,
                           .confidence = confidence};

  last->start = match->start;
  last->end = match->end;
  last->generation = generation;
  g_array_append_val(findings, finding);
}

/* A search over one window: [floor, limit) of the view. */
typedef struct {
  size_t base;  /* where PCRE2's subject begins */
  size_t pos;   /* where the search goes on */
  size_t limit; /* where the subject ends */
  uint32_t options;
  unsigned retries;
} Window;

static void
window_open(const TextView *view, size_t from, size_t limit, Window *window)
{
  window->base =
      from > view->start + LOOK_BEHIND ? from - LOOK_BEHIND : view->start;
  window->pos = from;
  window->limit = limit;
  window->options = window->base == 0 ? 0 : PCRE2_NOTBOL;
  if (!view->final || limit != view->end)
    window->options |= PCRE2_NOTEOL;
}

static int
window_search(DetectorScratch *scratch,
              const struct confirm *confirm,
              const TextView *view,
              const Window *window,
              uint32_t options)
{
  return run_pcre(scratch,
                  confirm->code,
                  view->bytes + (window->base - view->start),
                  window->limit - window->base,
                  window->pos - window->base,
                  window->options | options);
}

/* Behind a match, or inside it where a later one may still be found. */
static void
window_advance(Window *window, const Match *match)
{
  window->pos = window->retries++ < MAX_RETRIES
                    ? match->start + 1
                    : MAX(match->end, match->start + 1);
}

/* Nothing of a stream may be given out before it was decided, and what is held
 * is a run: a token that reaches over runs would be known too late. */
static bool
inside_one_run(const TextView *view, const Match *match)
{
  return match->secret_end > match->secret_start &&
         run_start(view, match->secret_end, match->secret_start) ==
             match->secret_start;
}

static bool
keyword_is_near(const CompiledRule *compiled,
                const TextView *view,
                const Match *match,
                size_t limit)
{
  const size_t from = match->start > view->start + KEYWORD_NEAR
                          ? match->start - KEYWORD_NEAR
                          : view->start;

  return has_keyword(
      compiled->rule, view->bytes + (from - view->start), limit - from);
}

static ConfirmResult
confirm_token(DetectorScratch *scratch,
              CompiledRule *compiled,
              const struct confirm *confirm,
              const TextView *view,
              const Candidate *candidate,
              LastFinding *last,
              unsigned generation,
              GArray *findings,
              GError **error)
{
  Window window;
  size_t floor = candidate_floor(compiled, view, candidate);
  size_t covered = 0;
  /* Where a match may end. */
  const size_t ends = compiled->cut ? candidate->last + compiled->max_width -
                                          compiled->min_width
                                    : candidate->last;

  if (last->generation == generation) {
    covered = last->end;
    if (last->end > floor)
      floor = MAX(floor, last->start + 1);
  }
  window_open(view, floor, candidate->limit, &window);
  window.retries = 0;
  while (covered < ends && window.pos < window.limit) {
    const int result = window_search(scratch, confirm, view, &window, 0);
    Match match;
    double confidence;
    bool accepted = false;

    if (result == PCRE2_ERROR_NOMATCH)
      break;
    if (result < 0)
      return confirm_fail(compiled, result, error);
    read_match(scratch, confirm, view, window.base, &match);
    if (match.end > covered && inside_one_run(view, &match) &&
        keyword_is_near(compiled, view, &match, window.limit) &&
        accept_secret(scratch,
                      compiled,
                      confirm,
                      view,
                      &match,
                      &confidence,
                      &accepted,
                      error) == CONFIRM_FAILED)
      return CONFIRM_FAILED;
    if (accepted) {
      covered = match.end;
      add_finding(
          compiled, candidate, &match, confidence, last, generation, findings);
    }
    window_advance(&window, &match);
  }
  return CONFIRM_DONE;
}

/* White space around a value is not part of it. */
static void
trim(const TextView *view, Match *match)
{
  while (match->secret_end > match->secret_start &&
         g_ascii_isspace(view_at(view, match->secret_end - 1)))
    match->secret_end--;
  while (match->secret_start < match->secret_end &&
         g_ascii_isspace(view_at(view, match->secret_start)))
    match->secret_start++;
}

/* What every opened match goes through before it is a finding. */
static ConfirmResult
accept_opened(DetectorScratch *scratch,
              CompiledRule *compiled,
              const struct confirm *confirm,
              const TextView *view,
              const Window *window,
              Match *match,
              double *confidence,
              bool *accepted,
              GError **error)
{
  *accepted = false;
  trim(view, match);
  if (match->secret_end == match->secret_start ||
      !keyword_is_near(compiled, view, match, window->limit))
    return CONFIRM_DONE;
  return accept_secret(
      scratch, compiled, confirm, view, match, confidence, accepted, error);
}

/* Follows a value beyond its window; in a stream as far as it goes by now. */
static ConfirmResult
follow_block(DetectorScratch *scratch,
             CompiledRule *compiled,
             const TextView *view,
             Candidate *candidate,
             LastFinding *last,
             unsigned generation,
             GArray *findings,
             GError **error)
{
  LongBlock *block = candidate->block;
  Match match = {candidate->first, 0, block->start, 0};
  const ConfirmResult result = long_block_go_on(
      scratch, compiled, view, block, &match.secret_end, error);

  if (result == CONFIRM_PENDING)
    return result; /* streams only */
  match.end = match.secret_end;
  if (result == CONFIRM_DONE)
    add_finding(compiled,
                candidate,
                &match,
                block->confidence,
                last,
                generation,
                findings);
  /* The stream that began to mask it learns from it where it ends. */
  if (!block->open)
    g_clear_pointer(&candidate->block, long_block_free);
  return result;
}

/* The value reaches over its whole window. */
static ConfirmResult
begin_block(DetectorScratch *scratch,
            CompiledRule *compiled,
            const struct confirm *confirm,
            const TextView *view,
            const Window *window,
            Candidate *candidate,
            LastFinding *last,
            unsigned generation,
            GArray *findings,
            GError **error)
{
  const size_t opener = candidate->first;
  double confidence = UNTERMINATED_CONFIDENCE;
  Match match = {opener, window->limit, opener, window->limit};
  bool accepted;
  const int result =
      window_search(scratch, confirm, view, window, PCRE2_NOTEOL);

  if (result < 0 && result != PCRE2_ERROR_NOMATCH)
    return confirm_fail(compiled, result, error);
  if (result >= 0) {
    read_match(scratch, confirm, view, window->base, &match);
    if (accept_opened(scratch,
                      compiled,
                      confirm,
                      view,
                      window,
                      &match,
                      &confidence,
                      &accepted,
                      error) == CONFIRM_FAILED)
      return CONFIRM_FAILED;
    if (!accepted)
      return CONFIRM_DONE;
  } else {
    trim(view, &match);
  }
  candidate->block =
      long_block_new(view, opener, match.secret_start, confidence);
  return follow_block(
      scratch, compiled, view, candidate, last, generation, findings, error);
}

static ConfirmResult
confirm_opened(DetectorScratch *scratch,
               CompiledRule *compiled,
               const struct confirm *confirm,
               const TextView *view,
               Candidate *candidate,
               LastFinding *last,
               unsigned generation,
               GArray *findings,
               GError **error)
{
  const size_t opener = candidate->first;
  const size_t far = opener + compiled->max_width + LOOK_BEHIND;
  const bool whole = far < view->end;
  double confidence = UNTERMINATED_CONFIDENCE;
  bool accepted = true;
  Window window;
  Match match;
  int result;

  if (candidate->block != NULL)
    return follow_block(
        scratch, compiled, view, candidate, last, generation, findings, error);
  if (last->generation == generation && opener < last->end)
    return CONFIRM_DONE;
  /* PCRE2 never calls an empty text a partial match. */
  if (opener == view->end)
    return view->final ? CONFIRM_DONE : CONFIRM_PENDING;
  window_open(view, opener, whole ? far : view->end, &window);
  result = window_search(scratch, confirm, view, &window, PCRE2_PARTIAL_HARD);
  if (result == PCRE2_ERROR_PARTIAL && whole)
    return begin_block(scratch,
                       compiled,
                       confirm,
                       view,
                       &window,
                       candidate,
                       last,
                       generation,
                       findings,
                       error);
  if (result == PCRE2_ERROR_PARTIAL && !view->final)
    return CONFIRM_PENDING;
  if (result == PCRE2_ERROR_PARTIAL) {
    /* The text ends here: the whole value, or one that nobody closed. */
    match = (Match){opener, view->end, opener, view->end};
    result = window_search(scratch, confirm, view, &window, 0);
    /* What must be judged by its letters needs its end, and inside "value"
     * nobody knows where the secret would begin. */
    if (result == PCRE2_ERROR_NOMATCH &&
        (compiled->valued || compiled->rule->check != CHECK_NONE))
      return CONFIRM_DONE;
    if (result == PCRE2_ERROR_NOMATCH) {
      trim(view, &match);
      if (match.secret_end > match.secret_start)
        add_finding(compiled,
                    candidate,
                    &match,
                    confidence,
                    last,
                    generation,
                    findings);
      return CONFIRM_DONE;
    }
  }
  if (result == PCRE2_ERROR_NOMATCH)
    return CONFIRM_DONE;
  if (result < 0)
    return confirm_fail(compiled, result, error);
  read_match(scratch, confirm, view, window.base, &match);
  if (accept_opened(scratch,
                    compiled,
                    confirm,
                    view,
                    &window,
                    &match,
                    &confidence,
                    &accepted,
                    error) == CONFIRM_FAILED)
    return CONFIRM_FAILED;
  if (accepted)
    add_finding(
        compiled, candidate, &match, confidence, last, generation, findings);
  return CONFIRM_DONE;
}

ConfirmResult
confirm_candidate(DetectorScratch *scratch,
                  const TextView *view,
                  Candidate *candidate,
                  LastFinding *last,
                  unsigned generation,
                  GArray *findings,
                  GError **error)
{
  CompiledRule *compiled = &scratch->detector->rules.rules[candidate->rule];
  const struct confirm *confirm = confirm_get(compiled, error);

  if (confirm == NULL)
    return CONFIRM_FAILED;
  if (compiled->opened)
    return confirm_opened(scratch,
                          compiled,
                          confirm,
                          view,
                          candidate,
                          &last[candidate->rule],
                          generation,
                          findings,
                          error);
  if (candidate->open)
    candidate_update(compiled, view, candidate);
  if (candidate->open)
    return CONFIRM_PENDING;
  return confirm_token(scratch,
                       compiled,
                       confirm,
                       view,
                       candidate,
                       &last[candidate->rule],
                       generation,
                       findings,
                       error);
}
