/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the policy again, and makes another detector where the policy names
 * findings that the present one does not look for: on a worker, because
 * compiling takes seconds. */
#include "daemon/private.h"

#include "kit/json.h"
#include "kit/log.h"

/* What the data thread takes over. */
typedef struct {
  ExchangeEnv *env;
  Policy *policy;
  Detector *detector; /* or NULL: the former */
} Change;

typedef struct {
  struct agent *agent;
  unsigned reload;
  Policy *policy;
  char **named;
  Detector *detector;
  GError *error;
} Remake;

static void
apply_policy(void *data)
{
  Change *change = data;

  if (change->detector)
    exchange_env_set_detector(change->env, change->detector);
  exchange_env_set_policy(change->env, change->policy);
  detector_unref(change->detector);
  policy_unref(change->policy);
  g_free(change);
}

static void
refuse(struct agent *agent, const GError *error)
{
  g_autoptr(GString) detail = g_string_new("{\"error\":\"");

  g_free(agent->policy_error);
  agent->policy_error = g_strdup(error->message);
  json_escape(detail, error->message, -1);
  g_string_append(detail, "\"}");
  record_agent(agent, ROW_POLICY, "refused", detail->str);
  log_error("policy not loaded, the former stays in force: %s", error->message);
  agent_state_changed(agent);
}

/* detector NULL: the former. */
static void
accept(struct agent *agent, Policy *policy, Detector *detector)
{
  Change *change = g_new0(Change, 1);

  g_clear_pointer(&agent->policy_error, g_free);
  policy_ref(policy);
  policy_unref(agent->policy);
  agent->policy = policy;
  change->env = agent->env;
  change->policy = policy_ref(policy);
  if (detector) {
    if (agent->values)
      detector_set_values(detector, agent->values);
    detector_ref(detector);
    detector_unref(agent->detector);
    agent->detector = detector;
    change->detector = detector_ref(detector);
  }
  loop_post(agent->data_loop, apply_policy, change);
  record_agent(agent, ROW_POLICY, "loaded", NULL);
  log_info("policy %.12s loaded", policy_revision(policy));
  agent_state_changed(agent);
}

static void
remake_job(void *data)
{
  Remake *remake = data;
  const Config *config = remake->agent->config;

  remake->detector = daemon_load_detector(config,
                                          (const char *const *)remake->named,
                                          config->cache_dir,
                                          &remake->error);
}

static void
remake_done(void *data, bool cancelled)
{
  Remake *remake = data;
  struct agent *agent = remake->agent;

  if (!cancelled && !agent->stopping && remake->reload == agent->reloads) {
    if (remake->detector) {
      g_strfreev(agent->named);
      agent->named = g_steal_pointer(&remake->named);
      accept(agent, remake->policy, remake->detector);
    } else {
      refuse(agent, remake->error);
    }
  }
  g_clear_error(&remake->error);
  detector_unref(remake->detector);
  policy_unref(remake->policy);
  g_strfreev(remake->named);
  g_free(remake);
}

/* Whether the policy names other findings than the present one did. */
static bool
needs_detector(const struct agent *agent, const Policy *policy, char ***named)
{
  if (!agent->detector)
    return false;
  *named = policy_named_findings(policy);
  return !g_strv_equal((const char *const *)*named,
                       (const char *const *)agent->named);
}

bool
agent_reload(struct agent *agent, GError **error)
{
  g_autoptr(GError) failed = NULL;
  g_autoptr(Policy) policy = daemon_load_policy(agent->config, &failed);
  g_auto(GStrv) named = NULL;
  Remake *remake;

  agent->reloads++;
  if (policy && !needs_detector(agent, policy, &named)) {
    accept(agent, policy, NULL);
    return true;
  }
  if (policy) {
    remake = g_new0(Remake, 1);
    *remake = (Remake){.agent = agent,
                       .reload = agent->reloads,
                       .policy = policy_ref(policy),
                       .named = g_steal_pointer(&named)};
    if (worker_run(
            agent->workers, agent->main_loop, remake_job, remake_done, remake))
      return true;
    g_set_error_literal(&failed,
                        DAEMON_ERROR,
                        DAEMON_ERROR_START,
                        "the agent is too busy to compile its rules anew");
    remake_done(remake, true);
  }
  refuse(agent, failed);
  g_propagate_error(error, g_steal_pointer(&failed));
  return false;
}
