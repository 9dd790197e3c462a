/* SPDX-License-Identifier: Apache-2.0 */
/* What exchanges share: the rooms they use, the policy of the moment, pause
 * and drain, counters; and callers, the programs behind connections. */
#include "exchange/state.h"
#include "exchange/tunnel.h"
#include "kit/clock.h"
#include "kit/trim.h"
#include <string.h>

/* After a burst much of the memory is free but not given back: it is, once
 * nothing runs for so long. */
#define QUIET_MS 500

/* After all events of a round: what other exchanges append goes along. */
static void
wake_journal(void *data)
{
  ExchangeEnv *env = data;

  env->waking = false;
  journal_wake(env->journal);
}

static void
on_quiet(void *data)
{
  ExchangeEnv *env = data;

  if (g_hash_table_size(env->running) > 0)
    return;
  if (env->detector != NULL)
    detector_rest(env->detector);
  memory_rest();
}

void
exchange_env_ended(ExchangeEnv *env)
{
  if (g_hash_table_size(env->running) == 0)
    loop_timer_set(env->quiet, QUIET_MS);
}

static void
free_detector(gpointer data)
{
  detector_unref(data);
}

ExchangeEnv *
exchange_env_new(const ExchangeOptions *options, GError **error)
{
  g_autoptr(ExchangeEnv) env = g_new0(ExchangeEnv, 1);

  env->loop = options->loop;
  env->workers = options->workers;
  env->upstream = options->upstream;
  env->conns = options->conns;
  env->identity = options->identity;
  env->approve = options->approve;
  env->journal = options->journal;
  env->masker = options->masker;
  env->policy = policy_ref(options->policy);
  env->self_url = g_strdup(options->self_url);
  env->limits = options->limits;
  env->notice = options->notice;
  env->happened = options->happened;
  env->happened_data = options->happened_data;
  env->sessions = sessions_new();
  env->refused = refused_new();
  env->masked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  env->running = g_hash_table_new(NULL, NULL);
  env->quiet = loop_timer_new(env->loop, on_quiet, env);
  env->wake = loop_timer_new(env->loop, wake_journal, env);
  env->tunnels = g_hash_table_new(NULL, NULL);
  env->former = g_ptr_array_new_with_free_func(free_detector);
  if (options->detector) {
    env->detector = detector_ref(options->detector);
    env->scratch = detector_scratch_new(env->detector, error);
    if (!env->scratch)
      return NULL;
  }
  return g_steal_pointer(&env);
}

void
exchange_env_end(ExchangeEnv *env)
{
  g_autofree gpointer *all = NULL;
  unsigned n;

  env->ended = true; /* the journal may close before the loop runs again */
  loop_timer_set(env->wake, -1);
  if (env->journal)
    journal_wake(env->journal);
  all = g_hash_table_get_keys_as_array(env->running, &n);
  /* Their owners hear `closed` and pass it on. */
  for (unsigned i = 0; i < n; i++)
    http_conn_abort(((Exchange *)all[i])->conn);
  tunnels_end(env);
}

void
exchange_env_free(ExchangeEnv *env)
{
  if (!env)
    return;
  loop_timer_free(env->wake);
  loop_timer_free(env->quiet);
  g_hash_table_unref(env->masked);
  g_hash_table_unref(env->running);
  g_hash_table_unref(env->tunnels);
  held_clear(env);
  detector_scratch_free(env->scratch);
  detector_unref(env->detector);
  g_ptr_array_unref(env->former);
  policy_unref(env->policy);
  sessions_free(env->sessions);
  ledger_free(env->ledger);
  refused_free(env->refused);
  g_free(env->self_url);
  g_free(env->paused);
  g_free(env);
}

void
exchange_env_set_policy(ExchangeEnv *env, Policy *policy)
{
  /* What the former policy let be undone this one may not. */
  if (strcmp(policy_revision(env->policy), policy_revision(policy)) != 0)
    masker_forget_scopes(env->masker);
  policy_ref(policy);
  policy_unref(env->policy);
  env->policy = policy;
  refused_clear(env->refused);
}

void
exchange_env_set_ledger(ExchangeEnv *env, Ledger *ledger, int64_t since_us)
{
  ledger_free(env->ledger);
  env->ledger = ledger;
  budget_move(env, since_us);
}

void
exchange_env_merge_ledger(ExchangeEnv *env, Ledger *past)
{
  if (env->ledger && ledger_window(past) >= ledger_window(env->ledger)) {
    ledger_merge(env->ledger, past);
    ledger_set_ready(env->ledger, true);
  }
  ledger_free(past);
}

void
exchange_env_set_detector(ExchangeEnv *env, Detector *detector)
{
  g_autoptr(GError) error = NULL;
  DetectorScratch *scratch = detector_scratch_new(detector, &error);

  if (!scratch) {
    if (env->notice)
      env->notice(error->message);
    return;
  }
  if (env->held)
    detector_scratch_hold(scratch, env->held);
  if (g_hash_table_size(env->running) == 0)
    g_ptr_array_set_size(env->former, 0);
  g_ptr_array_add(env->former, env->detector);
  detector_scratch_free(env->scratch);
  env->detector = detector_ref(detector);
  env->scratch = scratch;
}

/* What waits for an approval is told that there is none to wait for. */
static void
fail_held(ExchangeEnv *env, int status, const char *code, const char *message)
{
  g_autofree gpointer *all = NULL;
  unsigned n;

  all = g_hash_table_get_keys_as_array(env->running, &n);
  for (unsigned i = 0; i < n; i++)
    if (((Exchange *)all[i])->hold)
      exchange_fail(all[i], status, code, message);
}

void
exchange_env_set_paused(ExchangeEnv *env, const char *reason)
{
  g_autofree char *message = NULL;

  g_free(env->paused);
  env->paused = g_strdup(reason);
  if (!reason)
    return;
  message = g_strdup_printf("hoop-agent is paused %s", reason);
  fail_held(env, 400, "agent_paused", message);
}

GHashTable *
exchange_env_sessions(const ExchangeEnv *env)
{
  return sessions_alive(env->sessions, clock_boot_us());
}

unsigned
exchange_env_running(const ExchangeEnv *env)
{
  return g_hash_table_size(env->running) + g_hash_table_size(env->tunnels);
}

void
exchange_env_drain(ExchangeEnv *env)
{
  env->draining = true;
  /* A person's answer would come too late. */
  fail_held(env,
            503,
            "agent_stopping",
            "hoop-agent is stopping while this waited for an approval, which "
            "counts as no. Try again when it runs.");
}

ConnTable *
exchange_env_conns(ExchangeEnv *env)
{
  return env->conns;
}

Policy *
exchange_env_policy(ExchangeEnv *env)
{
  return env->policy;
}

void
exchange_env_stats(const ExchangeEnv *env, ExchangeStats *out)
{
  *out = env->stats;
  out->running = exchange_env_running(env);
}

Caller *
caller_new(uid_t uid)
{
  Caller *caller = g_new0(Caller, 1);

  caller->refs = 1;
  caller->uid = uid;
  caller->pid = -1;
  return caller;
}

Caller *
caller_ref(Caller *caller)
{
  caller->refs++;
  return caller;
}

void
caller_unref(Caller *caller)
{
  if (!caller || --caller->refs)
    return;
  g_strfreev(caller->processes);
  loop_timer_free(caller->patience);
  g_free(caller);
}

static void
stop_waiting(Caller *caller)
{
  caller->waiting = NULL;
  if (caller->patience)
    loop_timer_set(caller->patience, -1);
}

static void
tell(void *data)
{
  Caller *caller = data;
  LoopFunc waiting = caller->waiting;

  stop_waiting(caller);
  if (waiting)
    waiting(caller->waiting_data);
}

void
caller_resolve(Caller *caller, int64_t pid, char **processes)
{
  caller->resolved = true;
  caller->pid = pid;
  g_strfreev(caller->processes);
  caller->processes = processes;
  tell(caller);
}

void
caller_wait(Caller *caller, Loop *loop, LoopFunc told, void *data)
{
  caller->waiting = told;
  caller->waiting_data = data;
  if (!caller->patience)
    caller->patience = loop_timer_new(loop, tell, caller);
  loop_timer_set(caller->patience, CALLER_WAIT_MS);
}

void
caller_forget(Caller *caller, const void *data)
{
  if (caller->waiting_data == data)
    stop_waiting(caller);
}
