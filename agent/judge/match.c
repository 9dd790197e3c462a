/* SPDX-License-Identifier: Apache-2.0 */
/* The conditions of a rule, cheapest first: each holds, does not, or cannot
 * be told, which counts for rules that tighten and not for those that allow. */
#include "judge/match.h"

#include <string.h>

typedef enum { FAILS, HOLDS, UNKNOWN } Answer3;

/* One check of a rule under way. */
typedef struct {
  Facts *facts;
  const PolicyMatch *match;
  bool tightens;
  RuleResult *result;
} Check;

typedef Answer3 (*Condition)(Check *check);

static Answer3
from_bool(bool holds)
{
  return holds ? HOLDS : FAILS;
}

static bool
globs(char **patterns, const char *text, bool fold)
{
  for (; *patterns != NULL; patterns++) {
    char first = **patterns;

    /* Most fail at their first letter: not worth a call. */
    if (!fold && first != text[0] && first != '*' && first != '?')
      continue;
    if (policy_glob(*patterns, text, fold))
      return true;
  }
  return false;
}

static Answer3
globs_fact(char **patterns, const char *text, bool fold)
{
  if (text == NULL)
    return UNKNOWN;
  return from_bool(globs(patterns, text, fold));
}

/* ---- Subject ----------------------------------------------------------- */

static Answer3
holds_group(Check *check)
{
  const PolicyMatch *match = check->match;
  const uint64_t *bits = check->facts->groups;

  if (match->everybody)
    return HOLDS;
  if (check->facts->subject->groups == NULL)
    return UNKNOWN;
  for (unsigned i = 0; i < match->n_group_ids; i++) {
    unsigned id = match->group_ids[i];

    if ((bits[id / 64] & UINT64_C(1) << id % 64) != 0)
      return HOLDS;
  }
  return FAILS;
}

static Answer3
holds_user(Check *check)
{
  return globs_fact(check->match->users, check->facts->subject->user, false);
}

static Answer3
holds_connection(Check *check)
{
  const char *connection = check->facts->subject->connection;

  if (connection == NULL)
    return UNKNOWN;
  return from_bool(g_strv_contains(
      (const char *const *)check->match->connections, connection));
}

static Answer3
holds_host(Check *check)
{
  return globs_fact(check->match->hosts, check->facts->subject->host, true);
}

static Answer3
holds_method(Check *check)
{
  const char *method = check->facts->subject->method;

  if (method == NULL)
    return UNKNOWN;
  return from_bool(
      g_strv_contains((const char *const *)check->match->methods, method));
}

/* As it came or as a server may read it: a rule that tightens takes either, a
 * rule that allows needs both. */
static Answer3
holds_path(Check *check)
{
  char **patterns = check->match->paths;
  Facts *facts = check->facts;
  bool raw, plain;

  if (facts->path == NULL)
    return UNKNOWN;
  raw = globs(patterns, facts->path, false);
  plain = globs(patterns, facts->plain_path, false);
  return from_bool(check->tightens ? raw || plain : raw && plain);
}

static Answer3
holds_api(Check *check)
{
  return from_bool((check->match->apis & 1 << check->facts->subject->api) != 0);
}

/* What only a request to a model says: elsewhere it is not unknown but not
 * there. */
static Answer3
of_model(Check *check, char **patterns, const char *text)
{
  Answer3 answer = globs_fact(patterns, text, true);

  return answer == UNKNOWN && !check->facts->speaks_to_model ? FAILS : answer;
}

static Answer3
holds_model(Check *check)
{
  return of_model(check, check->match->models, check->facts->subject->model);
}

static Answer3
holds_initiator(Check *check)
{
  return of_model(
      check, check->match->initiators, check->facts->subject->initiator);
}

static Answer3
holds_repo(Check *check)
{
  return of_model(check, check->match->repos, check->facts->subject->repo);
}

static Answer3
holds_process(Check *check)
{
  const char *const *processes = check->facts->subject->processes;

  if (processes == NULL || *processes == NULL)
    return UNKNOWN;
  for (; *processes != NULL; processes++)
    if (globs(check->match->processes, *processes, false))
      return HOLDS;
  return FAILS;
}

static Answer3
holds_first(Check *check)
{
  return from_bool((check->match->first_in_session == 1) ==
                   check->facts->subject->first_in_session);
}

/* After midnight of a span over midnight the day before counts: "friday from
 * 22:00 to 06:00" ends on saturday morning. */
static Answer3
holds_time(Check *check)
{
  const PolicyMatch *match = check->match;
  Facts *facts = check->facts;
  int from = match->time_from >= 0 ? match->time_from : 0;
  int to = match->time_to >= 0 ? match->time_to : 24 * 60;
  int day;

  facts_local_time(facts, match->zone);
  day = facts->weekday;
  if (from < to) {
    if (facts->minute < from || facts->minute >= to)
      return FAILS;
  } else if (facts->minute < to) {
    day = (day + 6) % 7;
  } else if (facts->minute < from) {
    return FAILS;
  }
  return from_bool(match->weekdays == 0 || (match->weekdays & 1u << day) != 0);
}

/* ---- Content ----------------------------------------------------------- */

static Answer3
holds_size(Check *check)
{
  const PolicyMatch *match = check->match;
  int64_t size = check->facts->size;

  return from_bool((match->size_min < 0 || size >= match->size_min) &&
                   (match->size_max < 0 || size <= match->size_max));
}

bool
match_detector(const PolicyMatch *match, const DetectorRule *detector)
{
  return (match->finding_classes == NULL ||
          globs(match->finding_classes, detector->class_name, false)) &&
         (match->finding_rules == NULL ||
          globs(match->finding_rules, detector->id, false));
}

static unsigned
counted(const PolicyRule *rule, unsigned all, unsigned allowed)
{
  return rule->allow_fingerprints ? all - allowed : all;
}

static unsigned
count_findings(const Facts *facts, const PolicyRule *rule)
{
  const PolicyMatch *match = &rule->match;
  unsigned count = 0;

  if (facts->n_findings == 0)
    return 0;
  if (match->finding_rules == NULL && match->finding_classes == NULL)
    return counted(rule, facts->n_findings, facts->n_allowed);
  if (match->finding_rules == NULL) {
    for (guint i = 0; i < facts->classes->len; i++) {
      const ClassFact *fact = &g_array_index(facts->classes, ClassFact, i);

      if (globs(match->finding_classes, fact->name, false))
        count += counted(rule, fact->count, fact->allowed);
    }
    return count;
  }
  for (guint i = 0; i < facts->rules->len; i++) {
    const RuleFact *fact = &g_array_index(facts->rules, RuleFact, i);

    if (match_detector(match, fact->rule))
      count += counted(rule, fact->count, fact->allowed);
  }
  return count;
}

static Answer3
holds_finding(Check *check)
{
  unsigned count;

  count = count_findings(check->facts, check->result->rule);
  check->result->n_findings = count;
  if (count >= check->match->finding_min)
    return HOLDS;
  return check->facts->findings_unknown ? UNKNOWN : FAILS;
}

static Answer3
holds_fields(Check *check)
{
  Facts *facts = check->facts;
  GHashTable *keys;

  keys = facts->call != NULL ? facts->tool_keys : facts_fields(facts);
  for (char **name = check->match->fields; *name != NULL; name++)
    if (g_hash_table_contains(keys, *name))
      return HOLDS;
  return facts->tool_unreadable ? UNKNOWN : FAILS;
}

static bool
text_matches(Check *check,
             const PolicyPattern *pattern,
             const char *text,
             size_t len)
{
  bool limited;

  if (!policy_pattern_matches(pattern, text, len, &limited))
    return false;
  check->result->limited |= limited;
  return true;
}

static Answer3
holds_tool(Check *check)
{
  const PolicyMatch *match = check->match;
  Facts *facts = check->facts;

  if (match->tool_names != NULL && facts->call->name != NULL &&
      !globs(match->tool_names, facts->call->name, true))
    return FAILS;
  for (guint i = 0; match->tool_arguments != NULL; i++) {
    const GString *text;

    if (i == facts->tool_texts->len)
      return facts->tool_unreadable ? UNKNOWN : FAILS;
    text = facts->tool_texts->pdata[i];
    if (text_matches(check, match->tool_arguments, text->str, text->len))
      break;
  }
  return match->tool_names != NULL && facts->call->name == NULL ? UNKNOWN
                                                                : HOLDS;
}

static bool
is_prompt(const Facts *facts, const InspectField *field)
{
  if (field->is_key)
    return false;
  return field->role == FIELD_PROMPT || field->role == FIELD_SYSTEM ||
         field->role == FIELD_TOOL_RESULT ||
         (field->role == FIELD_OTHER && facts->prompts_other);
}

static Answer3
holds_prompt(Check *check)
{
  Facts *facts = check->facts;

  for (unsigned i = 0; i < facts->n_fields; i++) {
    const InspectField *field = &facts->fields[i];

    if (is_prompt(facts, field) &&
        text_matches(check, check->match->prompt, field->text, field->len))
      return HOLDS;
  }
  return FAILS;
}

static Answer3
holds_rate(Check *check)
{
  const PolicyMatch *match = check->match;
  Facts *facts = check->facts;

  if (facts->rate == NULL)
    return UNKNOWN;
  return from_bool(facts->rate(check->result->rule->id,
                               match->rate_window,
                               facts->rate_data) > match->rate_count);
}

static bool
exceeds(int64_t limit, int64_t used, int64_t more)
{
  return limit >= 0 && used + more > limit;
}

/* Whether this request would go beyond what is left. */
static Answer3
holds_budget(Check *check)
{
  const PolicyBudget *budget = &check->match->budget;
  const Facts *facts = check->facts;
  const Subject *subject = facts->subject;
  const LedgerPerson person = {subject->user, subject->issuer, subject->sub};
  LedgerSum used;

  if (subject->ledger == NULL || subject->user == NULL ||
      !ledger_is_ready(subject->ledger) ||
      ledger_window(subject->ledger) < budget->window)
    return UNKNOWN;
  used = ledger_sum(subject->ledger, budget, &person, subject->wall_us);
  return from_bool(
      exceeds(budget->requests, used.requests, 1) ||
      exceeds(budget->bytes, used.bytes, facts->size) ||
      exceeds(budget->tokens, used.tokens, ledger_estimate(facts->size)));
}

/* ---- Rules ------------------------------------------------------------- */

/* The direction is in the rule's phases. */
static const Condition conditions[N_MATCH_KEYS] = {
    [MATCH_API] = holds_api,
    [MATCH_GROUP] = holds_group,
    [MATCH_USER] = holds_user,
    [MATCH_CONNECTION] = holds_connection,
    [MATCH_METHOD] = holds_method,
    [MATCH_HOST] = holds_host,
    [MATCH_PATH] = holds_path,
    [MATCH_MODEL] = holds_model,
    [MATCH_INITIATOR] = holds_initiator,
    [MATCH_REPO] = holds_repo,
    [MATCH_PROCESS] = holds_process,
    [MATCH_FIRST_IN_SESSION] = holds_first,
    [MATCH_TIME] = holds_time,
    [MATCH_SIZE] = holds_size,
    [MATCH_FINDING] = holds_finding,
    [MATCH_FIELDS] = holds_fields,
    [MATCH_TOOL] = holds_tool,
    [MATCH_PROMPT] = holds_prompt,
    [MATCH_RATE] = holds_rate,
    [MATCH_BUDGET] = holds_budget,
};
#define ABOUT_SUBJECT ((1u << (MATCH_TIME + 1)) - 1)

/* The keys of `asked` in their order. */
static bool
check_conditions(Check *check, unsigned asked)
{
  asked &= ~(1u << MATCH_DIRECTION);
  for (; asked != 0; asked &= asked - 1) {
    MatchKey key = (MatchKey)__builtin_ctz(asked);
    Answer3 answer = conditions[key](check);

    if (answer == HOLDS)
      continue;
    if (answer == FAILS || !check->tightens) {
      check->result->missed = match_key_name(key);
      return false;
    }
    if (check->result->assumed == NULL)
      check->result->assumed = match_key_name(key);
  }
  return true;
}

void
match_rule(Facts *facts, const PolicyRule *rule, RuleResult *result)
{
  Check check = {facts, &rule->match, rule->action != ACTION_ALLOW, result};

  *result = (RuleResult){.rule = rule};
  if ((rule->phases & facts->phase) == 0) {
    result->missed = "phase";
    return;
  }
  result->matched = check_conditions(&check, rule->match.asked);
}

bool
match_subject(Facts *facts, const PolicyRule *rule)
{
  RuleResult result = {.rule = rule};
  Check check = {facts, &rule->match, rule->action != ACTION_ALLOW, &result};

  return check_conditions(&check, rule->match.asked & ABOUT_SUBJECT);
}

/* ---- Marks ------------------------------------------------------------- */

static void
mark(bool ask, Restore restore, bool *to_mask, bool *to_ask, Restore *least)
{
  if (ask) {
    *to_ask = true;
    return;
  }
  *to_mask = true;
  *least = MIN(*least, restore);
}

/* Those that the user allowed are marked by rules that do not care. */
static void
mark_all(const PolicyRule *rule, bool ask, bool *to_mask, bool *to_ask)
{
  if (rule->allow_fingerprints)
    return;
  if (ask)
    *to_ask = true;
  else
    *to_mask = true;
}

static unsigned
mark_findings(Facts *facts, const PolicyRule *rule, bool ask, Restore restore)
{
  const PolicyMatch *match = &rule->match;
  unsigned n = 0;

  if (facts->n_findings == 0)
    return 0;
  for (guint i = 0; match->finding_rules == NULL && i < facts->classes->len;
       i++) {
    ClassFact *fact = &g_array_index(facts->classes, ClassFact, i);

    if (match->finding_classes == NULL ||
        globs(match->finding_classes, fact->name, false)) {
      mark(ask, restore, &fact->mask, &fact->ask, &fact->restore);
      mark_all(rule, ask, &fact->mask_all, &fact->ask_all);
      n += counted(rule, fact->count, fact->allowed);
    }
  }
  for (guint i = 0; match->finding_rules != NULL && i < facts->rules->len;
       i++) {
    RuleFact *fact = &g_array_index(facts->rules, RuleFact, i);

    if (match_detector(match, fact->rule)) {
      mark(ask, restore, &fact->mask, &fact->ask, &fact->restore);
      mark_all(rule, ask, &fact->mask_all, &fact->ask_all);
      n += counted(rule, fact->count, fact->allowed);
    }
  }
  return n;
}

unsigned
match_mark(Facts *facts, const PolicyRule *rule, bool ask, Restore restore)
{
  const PolicyMatch *match = &rule->match;
  unsigned n = 0;

  if (match->has_finding)
    n += mark_findings(facts, rule, ask, restore);
  for (char **name = match->fields; name != NULL && *name != NULL; name++) {
    const GArray *found = g_hash_table_lookup(facts_fields(facts), *name);

    for (guint i = 0; found != NULL && i < found->len; i++) {
      FieldFact *fact = &g_array_index(
          facts->named, FieldFact, g_array_index(found, unsigned, i));

      mark(ask, restore, &fact->mask, &fact->ask, &fact->restore);
      n++;
    }
  }
  return n;
}

unsigned
match_mark_all(Facts *facts)
{
  static const PolicyRule any = {0};

  return mark_findings(facts, &any, false, RESTORE_NONE);
}
