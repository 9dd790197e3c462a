/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the policy again, and makes another detector where the policy names
 * findings that the present one does not look for: on a worker, because
 * compiling takes seconds. */
#include "daemon/private.h"

#include "kit/json.h"
#include "kit/log.h"
#include <string.h>

/* Files are read once they have been the same for so long: one that is still
 * being written could be a policy without its last rules. */
#define SETTLE_MS 200
/* Until what is read is what is watched; files that come and go all the time
 * are read again when they have come to rest. */
#define MAX_TRIES 4

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
  uint8_t rules[SHA256_LEN]; /* digest of rules.d */
  Detector *detector;
  char *held; /* of the policy */
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

/* Something is wrong: the former policy stays, or what the former says of the
 * layers that are wrong. */
static void
complain(struct agent *agent, const char *message)
{
  g_autoptr(GString) detail = g_string_new("{\"error\":\"");

  g_free(agent->policy_error);
  agent->policy_error = g_strdup(message);
  json_escape(detail, message, -1);
  g_string_append(detail, "\"}");
  record_agent(agent, ROW_POLICY, "refused", detail->str);
  log_error("policy not loaded, the former stays in force: %s", message);
  agent_state_changed(agent);
}

static void
refuse(struct agent *agent, const GError *error)
{
  complain(agent, error->message);
  if (g_error_matches(error, POLICY_ERROR, POLICY_ERROR_CENTRAL))
    agent_set_outdated(agent, true);
}

/* detector NULL: the former. `held`: what is wrong with layers of which the
 * former stays, or NULL. */
static void
accept(struct agent *agent,
       Policy *policy,
       Detector *detector,
       const char *held)
{
  Change *change = g_new0(Change, 1);

  if (held)
    complain(agent, held);
  else
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
  budget_follow(agent, policy);
  loop_post(agent->data_loop, apply_policy, change);
  grants_follow(agent->grants, policy);
  {
    g_autofree char *detail = NULL;

    central_accepted(agent);
    central_follow(agent);
    detail = central_detail(agent);
    record_agent(agent, ROW_POLICY, "loaded", detail);
  }
  log_info("policy %.12s loaded", policy_revision(policy));
  agent_set_outdated(agent, false);
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
      memcpy(agent->rules_digest, remake->rules, SHA256_LEN);
      accept(agent, remake->policy, remake->detector, remake->held);
    } else {
      refuse(agent, remake->error);
    }
  }
  g_clear_error(&remake->error);
  detector_unref(remake->detector);
  policy_unref(remake->policy);
  g_strfreev(remake->named);
  g_free(remake->held);
  g_free(remake);
}

/* Whether the policy names other findings than the present one did, or the
 * detector's rules are others. */
static bool
needs_detector(const struct agent *agent,
               char **named,
               const uint8_t rules[SHA256_LEN])
{
  return agent->detector &&
         (memcmp(rules, agent->rules_digest, SHA256_LEN) != 0 ||
          !g_strv_equal((const char *const *)named,
                        (const char *const *)agent->named));
}

static bool
begin_remake(struct agent *agent,
             Policy *policy,
             char **named,
             const uint8_t rules[SHA256_LEN],
             const char *held,
             GError **error)
{
  Remake *remake = g_new0(Remake, 1);

  *remake = (Remake){.agent = agent,
                     .reload = agent->reloads,
                     .policy = policy_ref(policy),
                     .named = g_strdupv(named),
                     .held = g_strdup(held)};
  memcpy(remake->rules, rules, SHA256_LEN);
  if (worker_run(
          agent->workers, agent->main_loop, remake_job, remake_done, remake))
    return true;
  g_set_error_literal(error,
                      DAEMON_ERROR,
                      DAEMON_ERROR_START,
                      "the agent is too busy to compile its rules anew");
  remake_done(remake, true);
  return false;
}

/* Everything to be looked at: where the layers are, what was read last, and
 * the detector's rules. */
static char **
watched_paths(const struct agent *agent, char **seen)
{
  g_auto(GStrv) files = daemon_policy_files(agent->config);
  g_autofree char *rules = daemon_rules_dir(agent->config);
  g_autofree char *central = central_file(agent->config);
  g_autoptr(GStrvBuilder) paths = g_strv_builder_new();

  g_strv_builder_addv(paths, (const char **)files);
  for (char **path = seen; *path; path++)
    if (!g_str_has_prefix(*path, CENTRAL_ROOT))
      g_strv_builder_add(paths, *path);
  g_strv_builder_add(paths, central);
  g_strv_builder_add(paths, rules);
  return g_strv_builder_end(paths);
}

/* A policy of the hub that is lost keeps no agent from starting: it has to
 * fetch it again, and lets nothing through meanwhile. */
static Policy *
load_layers(struct agent *agent, char ***seen, char **why, GError **error)
{
  static const Central none;
  const bool lost = !agent->policy && agent->central.problem;

  return daemon_load_layers(agent->config,
                            lost ? &none : &agent->central,
                            agent->policy,
                            seen,
                            why,
                            error);
}

/* The policy as its files say now, all of which are watched since before they
 * were read. */
static Policy *
load(struct agent *agent, char **held, GError **error)
{
  for (unsigned tries = 1;; tries++) {
    g_auto(GStrv) seen = NULL;
    g_auto(GStrv) paths = NULL;
    g_autoptr(GError) failed = NULL;
    g_autofree char *why = NULL;
    g_autoptr(Policy) policy = NULL;

    central_clear(&agent->central);
    central_read(agent->config, &agent->central);
    policy = load_layers(agent, &seen, &why, &failed);
    paths = watched_paths(agent, seen);
    if (tries < MAX_TRIES &&
        !watch_has_paths(agent->policy_watch, (const char *const *)paths)) {
      watch_set_paths(agent->policy_watch, (const char *const *)paths);
      continue;
    }
    *held = g_steal_pointer(&why);
    if (failed)
      g_propagate_error(error, g_steal_pointer(&failed));
    return g_steal_pointer(&policy);
  }
}

/* Whether there is anything to do: files may say the same as before. */
static bool
is_same(const struct agent *agent, const Policy *policy, const char *held)
{
  return g_str_equal(policy_revision(policy), policy_revision(agent->policy)) &&
         g_strcmp0(held, agent->policy_error) == 0;
}

/* The new policy comes into force, now or once its detector is made. */
static bool
take(struct agent *agent,
     Policy *policy,
     bool changed,
     const char *held,
     GError **error)
{
  g_autofree char *dir = daemon_rules_dir(agent->config);
  g_auto(GStrv) named = policy_named_findings(policy);
  uint8_t rules[SHA256_LEN];
  bool remake;

  if (!rule_pack_digest_dir(dir, rules, error))
    return false;
  remake = needs_detector(agent, named, rules);
  if (remake)
    return begin_remake(agent, policy, named, rules, held, error);
  if (changed && is_same(agent, policy, held))
    return true;
  /* Only what is said about it is new. */
  if (held &&
      g_str_equal(policy_revision(policy), policy_revision(agent->policy)))
    complain(agent, held);
  else
    accept(agent, policy, NULL, held);
  return true;
}

/* `changed`: nothing is done where nothing is another. */
static bool
reload(struct agent *agent, bool changed, GError **error)
{
  g_autoptr(GError) failed = NULL;
  g_autofree char *held = NULL;
  g_autoptr(Policy) policy = load(agent, &held, &failed);

  agent->reloads++;
  if (policy)
    take(agent, policy, changed, held, &failed);
  if (failed) {
    refuse(agent, failed);
    g_propagate_error(error, g_steal_pointer(&failed));
    return false;
  }
  central_follow(agent);
  if (held)
    g_set_error_literal(error, DAEMON_ERROR, DAEMON_ERROR_START, held);
  return held == NULL;
}

bool
agent_reload(struct agent *agent, GError **error)
{
  return reload(agent, false, error);
}

static void
files_changed(void *data)
{
  struct agent *agent = data;

  if (!agent->stopping)
    reload(agent, true, NULL);
}

Policy *
reload_first(struct agent *agent, GError **error)
{
  g_auto(GStrv) none = g_new0(char *, 1);
  g_auto(GStrv) paths = watched_paths(agent, none);
  g_autofree char *held = NULL;

  agent->policy_watch =
      watch_new((const char *const *)paths, SETTLE_MS, files_changed, agent);
  return load(agent, &held, error);
}
