/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets outlive the agent: what was used is read from the journal, at the
 * start before anything is served, later on a worker. */
#include "daemon/private.h"

#include "judge/judge.h"
#include "kit/clock.h"
#include "kit/log.h"

static void
add_use(const JournalUse *use, void *data)
{
  Api api = API_OTHER;
  const LedgerUse used = {
      .person = {use->user, use->issuer, use->sub},
      .connection = use->connection,
      .model = use->model,
      .wall_us = use->wall_us,
      .sum = {1,
              use->bytes,
              ledger_tokens(use->bytes,
                            use->tokens_in,
                            use->tokens_out,
                            use->answer_bytes)},
  };

  if (use->api)
    api_from_name(use->api, &api);
  if (ledger_counts(api))
    ledger_add(data, &used);
}

Ledger *
daemon_load_ledger(const char *journal,
                   unsigned window,
                   int64_t until_us,
                   GError **error)
{
  g_autoptr(Ledger) ledger = ledger_new(window);
  g_autoptr(JournalReader) reader = journal_reader_open(journal, error);

  if (!reader || !journal_usage(reader,
                                until_us - (int64_t)window * G_USEC_PER_SEC,
                                until_us,
                                add_use,
                                ledger,
                                error))
    return NULL;
  ledger_set_ready(ledger, true);
  return g_steal_pointer(&ledger);
}

bool
budget_start(struct agent *agent, GError **error)
{
  unsigned window = policy_budget_window(agent->policy);
  Ledger *ledger;

  if (!window || !agent->journal)
    return true;
  ledger = daemon_load_ledger(
      agent->config->journal_path, window, clock_wall_us(), error);
  if (!ledger)
    return false;
  agent->budget_window = window;
  exchange_env_set_ledger(agent->env, ledger, 0);
  return true;
}

/* ---- A policy with longer budgets -----------------------------------------
 */

typedef struct {
  struct agent *agent;
  unsigned window;
  int64_t until_us;
  Ledger *past;
  GError *error;
} Past;

typedef struct {
  ExchangeEnv *env;
  Ledger *ledger;
  int64_t since_us; /* begin(): what came before is still to be read */
} Take;

static void
begin(void *data)
{
  Take *take = data;

  exchange_env_set_ledger(take->env, take->ledger, take->since_us);
  g_free(take);
}

static void
merge(void *data)
{
  Take *take = data;

  exchange_env_merge_ledger(take->env, take->ledger);
  g_free(take);
}

static void
give(struct agent *agent, LoopFunc func, Ledger *ledger, int64_t since_us)
{
  Take *take = g_new0(Take, 1);

  *take = (Take){agent->env, ledger, since_us};
  loop_post(agent->data_loop, func, take);
}

static void
past_job(void *data)
{
  Past *past = data;

  past->past = daemon_load_ledger(past->agent->config->journal_path,
                                  past->window,
                                  past->until_us,
                                  &past->error);
}

static void
past_done(void *data, bool cancelled)
{
  Past *past = data;
  struct agent *agent = past->agent;

  if (!cancelled && !agent->stopping && past->past)
    give(agent, merge, g_steal_pointer(&past->past), 0);
  else if (!cancelled && past->error)
    log_error("what was used before cannot be read, so budgets count as used "
              "up: %s",
              past->error->message);
  ledger_free(past->past);
  g_clear_error(&past->error);
  g_free(past);
}

void
budget_follow(struct agent *agent, const Policy *policy)
{
  unsigned window = policy_budget_window(policy);
  Past *past;

  if (window <= agent->budget_window || !agent->journal)
    return;
  agent->budget_window = window;
  past = g_new0(Past, 1);
  *past = (Past){.agent = agent, .window = window, .until_us = clock_wall_us()};
  give(agent, begin, ledger_new(window), past->until_us);
  if (worker_run(agent->workers, agent->main_loop, past_job, past_done, past))
    return;
  agent->budget_window = 0; /* the next reload tries again */
  log_error("the agent is too busy to read what was used before: budgets "
            "count as used up");
  past_done(past, true);
}
