/* SPDX-License-Identifier: Apache-2.0 */
/* journal replay: what another policy would have done to recorded traffic, row
 * after row, in memory that does not grow with the journal. */
#include "cli/replay.h"
#include "cli/policy.h"
#include "cli/progress.h"
#include "cli/recorded.h"
#include "cli/rows.h"
#include "daemon/daemon.h"
#include <string.h>

/* Changed ones that are listed unless --limit says otherwise. */
#define LIST_TEXT 20
#define LIST_JSON 1000
/* Users told apart; those beyond count together. */
#define MAX_USERS 1000
/* Exchanges whose answer is still to come, and calls kept of each. */
#define MAX_OPEN 4096
#define MAX_CALLS 256
/* Rules and users with a rate, and requests kept of each: a rate that asks for
 * more than so many counts as exceeded. */
#define MAX_RATES 4096
#define MAX_TIMES 1024

/* A request that counts for budgets, until its answer tells what it used. */
typedef struct {
  char *sub, *connection, *model;
  int64_t wall_us, bytes;
} Sent;

typedef struct {
  const Call *call;
  Trial trial;
  JournalReader *bodies;
  GHashTable *open; /* exchange → GArray of Action: its tool calls, as judged */
  GHashTable *rates; /* "rule\nperson" → GQueue of times */
  Ledger *ledger;    /* of what this policy has budgets for; or NULL */
  GHashTable *sent;  /* exchange → Sent */
  int64_t now_us;
  const Subject *subject; /* who asks */
  Tally tally;
  Progress progress;
  uint64_t rows;
} Replay;

/* ---- Rates ----------------------------------------------------------------
 */

static void
free_times(gpointer data)
{
  GQueue *times = data;

  g_queue_free_full(times, g_free);
}

static unsigned
rate(const char *rule_id, unsigned window, void *data)
{
  Replay *replay = data;
  int64_t since = replay->now_us - (int64_t)window * G_USEC_PER_SEC;
  const Subject *who = replay->subject;
  const char *sub = who->sub ? who->sub : who->user;
  g_autofree char *key = g_strdup_printf(
      "%s\n%s\n%s", rule_id, who->issuer ? who->issuer : "", sub ? sub : "");
  GQueue *times = g_hash_table_lookup(replay->rates, key);

  if (!times) {
    if (g_hash_table_size(replay->rates) >= MAX_RATES)
      return MAX_TIMES;
    times = g_queue_new();
    g_hash_table_insert(replay->rates, g_steal_pointer(&key), times);
  }
  while (times->length &&
         (*(int64_t *)times->head->data <= since || times->length >= MAX_TIMES))
    g_free(g_queue_pop_head(times));
  g_queue_push_tail(times, g_memdup2(&replay->now_us, sizeof replay->now_us));
  return times->length;
}

/* ---- Counting -------------------------------------------------------------
 */

static UserTally *
user_of(Tally *tally, const char *name)
{
  UserTally *user;

  name = name ? name : "(unknown)";
  user = g_hash_table_lookup(tally->users, name);
  if (!user && g_hash_table_size(tally->users) >= MAX_USERS) {
    name = "(others)";
    user = g_hash_table_lookup(tally->users, name);
  }
  if (user)
    return user;
  user = g_new0(UserTally, 1);
  user->user = g_strdup(name);
  g_hash_table_insert(tally->users, user->user, user);
  return user;
}

static void
count_unjudged(Tally *tally, const char *why)
{
  gpointer before = g_hash_table_lookup(tally->unjudged, why);

  g_hash_table_insert(tally->unjudged,
                      (gpointer)(uintptr_t)why,
                      GUINT_TO_POINTER(GPOINTER_TO_UINT(before) + 1));
}

static void
count_rules(Tally *tally, const Verdict *verdict, Part part)
{
  unsigned n;
  const RuleResult *results = verdict_results(verdict, &n);

  for (unsigned i = 0; i < n; i++) {
    RuleTally *rule = g_hash_table_lookup(tally->by_rule, results[i].rule);

    rule->matched.n[part]++;
  }
}

static void
note_change(Tally *tally,
            const JournalRow *row,
            Part part,
            const char *tool,
            Action was,
            const Verdict *verdict)
{
  const PolicyRule *reason = verdict_reason(verdict);
  Changed *changed;

  tally->n_changed++;
  tally->moved[was][verdict_action(verdict)]++;
  if (tally->changed->len >= tally->max_changed)
    return;
  changed = g_new0(Changed, 1);
  *changed = (Changed){.exchange = g_strdup(row->exchange),
                       .user = g_strdup(row->user),
                       .rule = g_strdup(reason ? reason->id : NULL),
                       .tool = g_strdup(tool),
                       .part = part,
                       .was = was,
                       .would = verdict_action(verdict),
                       .wall_us = row->wall_us};
  g_ptr_array_add(tally->changed, changed);
}

/* `was` < 0: not recorded. */
static void
count(Tally *tally,
      const JournalRow *row,
      Part part,
      const char *tool,
      int was,
      const Verdict *verdict)
{
  Action would = verdict_action(verdict);
  UserTally *user = user_of(tally, row->user);

  tally->actions[would].n[part]++;
  user->parts++;
  user->actions[would]++;
  count_rules(tally, verdict, part);
  if (was < 0 || (Action)was == would)
    return;
  user->changed++;
  note_change(tally, row, part, tool, (Action)was, verdict);
}

/* ---- Rows -----------------------------------------------------------------
 */

/* The action of the verdict that a row holds, or -1. */
static int
recorded_action(struct json_object *detail)
{
  struct json_object *verdict = NULL, *action = NULL;

  if (!detail || !json_object_object_get_ex(detail, "verdict", &verdict) ||
      !json_object_object_get_ex(verdict, "action", &action))
    return -1;
  for (int i = 0; i < N_ACTIONS; i++)
    if (g_strcmp0(json_object_get_string(action), action_name((Action)i)) == 0)
      return i;
  return -1;
}

static void
free_sent(gpointer data)
{
  Sent *sent = data;

  g_free(sent->sub);
  g_free(sent->connection);
  g_free(sent->model);
  g_free(sent);
}

static void
use(Replay *replay, const JournalRow *row, const Sent *sent, LedgerSum sum)
{
  const LedgerUse used = {.person = {row->user, row->issuer, sent->sub},
                          .connection = sent->connection,
                          .model = sent->model,
                          .wall_us = sent->wall_us,
                          .sum = sum};

  ledger_add(replay->ledger, &used);
}

/* What went out then counts for the budgets, whatever this policy says. */
static void
use_request(Replay *replay, const JournalEntry *entry, const char *sub)
{
  const JournalRow *row = entry->row;
  int64_t bytes = entry->body_len >= 0 ? entry->body_len : row->bytes_in;
  Api api = API_OTHER;
  Sent *sent;

  if (row->api)
    api_from_name(row->api, &api);
  if (!replay->ledger || !ledger_counts(api))
    return;
  sent = g_new0(Sent, 1);
  *sent = (Sent){.sub = g_strdup(sub),
                 .connection = g_strdup(row->connection),
                 .model = g_strdup(row->model),
                 .wall_us = row->wall_us,
                 .bytes = MAX(bytes, 0)};
  use(replay,
      row,
      sent,
      (LedgerSum){1, sent->bytes, ledger_estimate(sent->bytes)});
  if (g_hash_table_size(replay->sent) < MAX_OPEN)
    g_hash_table_insert(replay->sent, g_strdup(row->exchange), sent);
  else
    free_sent(sent);
}

static void
use_answer(Replay *replay, const JournalRow *row)
{
  const Sent *sent = g_hash_table_lookup(replay->sent, row->exchange);

  if (!sent)
    return;
  use(replay,
      row,
      sent,
      (LedgerSum){.tokens = ledger_tokens(sent->bytes,
                                          row->tokens_in,
                                          row->tokens_out,
                                          row->bytes_out) -
                            ledger_estimate(sent->bytes)});
  g_hash_table_remove(replay->sent, row->exchange);
}

static void
see_request(Replay *replay, const JournalEntry *entry)
{
  g_auto(Recorded) recorded = {0};
  g_autoptr(GPtrArray) verdicts = NULL;
  struct json_object *refused = NULL;

  recorded_read(&replay->trial, replay->bodies, entry, &recorded);
  recorded.subject.ledger = replay->ledger;
  replay->subject = &recorded.subject;
  verdicts =
      recorded_judge(&replay->trial, &recorded, false, rate, replay, NULL);
  if (!verdicts)
    count_unjudged(&replay->tally, recorded.unjudged);
  else
    count(&replay->tally,
          entry->row,
          PART_REQUEST,
          NULL,
          recorded_action(recorded.detail),
          verdicts->pdata[0]);
  if (!json_object_object_get_ex(recorded.detail, "refused", &refused))
    use_request(replay, entry, recorded.subject.sub);
}

/* Calls that the client got stand in the recorded answer; of those that were
 * refused only the name is left. */
static void
see_tool(Replay *replay, const JournalRow *row)
{
  struct json_object *detail =
      row->detail ? json_tokener_parse(row->detail) : NULL;
  int action = recorded_action(detail);
  GArray *calls;

  json_object_put(detail);
  if (g_strcmp0(row->verdict, "allowed") != 0 &&
      g_strcmp0(row->verdict, "approved") != 0) {
    count_unjudged(&replay->tally,
                   "it was a tool call that did not go through");
    return;
  }
  calls = g_hash_table_lookup(replay->open, row->exchange);
  if (!calls && g_hash_table_size(replay->open) < MAX_OPEN) {
    calls = g_array_new(FALSE, FALSE, sizeof(int));
    g_hash_table_insert(replay->open, g_strdup(row->exchange), calls);
  }
  if (calls && calls->len < MAX_CALLS)
    g_array_append_val(calls, action);
}

static void
see_response(Replay *replay, const JournalEntry *entry)
{
  const JournalRow *row = entry->row;
  const GArray *calls = g_hash_table_lookup(replay->open, row->exchange);
  g_autoptr(GPtrArray) tools = g_ptr_array_new_with_free_func(g_free);
  g_auto(Recorded) recorded = {0};
  g_autoptr(GPtrArray) verdicts = NULL;

  recorded_read(&replay->trial, replay->bodies, entry, &recorded);
  verdicts =
      recorded_judge(&replay->trial, &recorded, false, NULL, NULL, tools);
  if (!verdicts)
    count_unjudged(&replay->tally, recorded.unjudged);
  for (guint i = 0; verdicts && i < verdicts->len; i++) {
    bool known = calls && i && i - 1 < calls->len;
    int was = known ? g_array_index(calls, int, i - 1) : -1;

    count(&replay->tally,
          row,
          i ? PART_TOOL : PART_ANSWER,
          i ? tools->pdata[i - 1] : NULL,
          i ? was : recorded_action(recorded.detail),
          verdicts->pdata[i]);
  }
  g_hash_table_remove(replay->open, row->exchange);
  use_answer(replay, row);
}

static bool
see(const JournalEntry *entry, void *data)
{
  Replay *replay = data;
  const JournalRow *row = entry->row;
  Tally *tally = &replay->tally;

  progress_count(&replay->progress, ++replay->rows, "rows");
  if (!row->exchange || (row->kind != ROW_REQUEST &&
                         row->kind != ROW_RESPONSE && row->kind != ROW_TOOL))
    return true;
  replay->now_us = row->wall_us;
  tally->first_us = tally->first_us ? tally->first_us : row->wall_us;
  tally->last_us = row->wall_us;
  if (row->kind == ROW_REQUEST)
    see_request(replay, entry);
  else if (row->kind == ROW_TOOL)
    see_tool(replay, row);
  else
    see_response(replay, entry);
  return true;
}

/* ---- The whole ------------------------------------------------------------
 */

static void
free_user(gpointer data)
{
  UserTally *user = data;

  g_free(user->user);
  g_free(user);
}

static void
free_changed(gpointer data)
{
  Changed *changed = data;

  g_free(changed->exchange);
  g_free(changed->user);
  g_free(changed->rule);
  g_free(changed->tool);
  g_free(changed);
}

static void
free_array(gpointer data)
{
  g_array_unref(data);
}

static void
replay_init(Replay *replay, unsigned max_changed)
{
  Tally *tally = &replay->tally;
  const PolicyRule *const *rules;
  unsigned n;

  replay->open =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_array);
  replay->rates =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_times);
  replay->sent =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_sent);
  if (policy_budget_window(replay->trial.policy)) {
    replay->ledger = ledger_new(policy_budget_window(replay->trial.policy));
    ledger_set_ready(replay->ledger, true);
  }
  tally->rules = g_ptr_array_new_with_free_func(g_free);
  tally->by_rule = g_hash_table_new(NULL, NULL);
  tally->users =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_user);
  tally->changed = g_ptr_array_new_with_free_func(free_changed);
  tally->unjudged = g_hash_table_new(g_str_hash, g_str_equal);
  tally->max_changed = max_changed;
  rules = policy_rules(replay->trial.policy, &n);
  for (unsigned i = 0; i < n; i++) {
    RuleTally *rule = g_new0(RuleTally, 1);

    rule->rule = rules[i];
    g_ptr_array_add(tally->rules, rule);
    g_hash_table_insert(tally->by_rule, (gpointer)(uintptr_t)rules[i], rule);
  }
  progress_init(&replay->progress);
}

static void
replay_clear(Replay *replay)
{
  Tally *tally = &replay->tally;

  g_clear_pointer(&replay->open, g_hash_table_unref);
  g_clear_pointer(&replay->rates, g_hash_table_unref);
  g_clear_pointer(&replay->sent, g_hash_table_unref);
  ledger_free(replay->ledger);
  g_clear_pointer(&tally->by_rule, g_hash_table_unref);
  g_clear_pointer(&tally->rules, g_ptr_array_unref);
  g_clear_pointer(&tally->users, g_hash_table_unref);
  g_clear_pointer(&tally->changed, g_ptr_array_unref);
  g_clear_pointer(&tally->unjudged, g_hash_table_unref);
  trial_clear(&replay->trial);
  journal_reader_free(replay->bodies);
}

static int
run(Replay *replay, JournalReader *reader, const JournalQuery *query)
{
  const Call *call = replay->call;
  const char *name = call_value(call, "policy");
  g_autoptr(GError) error = NULL;
  bool good = journal_query(reader, query, see, replay, &error);

  progress_hide(&replay->progress);
  if (!good)
    return complain_error(call, error);
  if (call_has(call, "json"))
    replay_print_json(&replay->tally, replay->trial.policy, name);
  else
    replay_print(&replay->tally, replay->trial.policy, name);
  return CLI_DONE;
}

int
journal_replay(const Call *call)
{
  Replay replay = {.call = call};
  JournalQuery query = {.kind = -1, .oldest_first = true};
  g_autoptr(Config) config = NULL;
  g_autoptr(JournalReader) reader = NULL;
  unsigned limit = call_has(call, "json") ? LIST_JSON : LIST_TEXT;
  int code = CLI_DONE;
  Policy *policy;

  if (!rows_filter(call, &query) || !rows_limit(call, &limit))
    return CLI_USAGE;
  config = cli_config(call, &code);
  reader = config ? rows_open(call, config, &code) : NULL;
  replay.bodies = reader ? rows_open(call, config, &code) : NULL;
  policy = replay.bodies ? call_policy(call, config, &code) : NULL;
  if (policy && trial_init(&replay.trial, call, config, policy, &code)) {
    replay_init(&replay, limit ? limit : UINT_MAX);
    code = run(&replay, reader, &query);
  }
  replay_clear(&replay);
  return code;
}
