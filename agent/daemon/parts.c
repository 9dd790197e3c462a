/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the parts of an agent from its configuration, and unmakes them; what
 * fails says what to do about it. */
#include "daemon/private.h"
#include "kit/clock.h"
#include "kit/file.h"
#include "kit/log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

G_DEFINE_QUARK(hoop_daemon_error, daemon_error)

/* One for large inspections, one for looking up processes. */
#define WORKERS 2
/* Jobs that wait for a worker; each may hold a body. */
#define MAX_JOBS 64
/* One program does not fill the queue. */
#define MAX_PENDING_PER_CLIENT 8
/* Rows that wait for the disk. */
#define MAX_QUEUED_ROWS (64 * 1024 * 1024)
/* Output that waits for one slow client before the server is paused. */
#define HIGH_WATER (256 * 1024)
#define KEY_BYTES 32
/* The user's layer, beside agent.conf. */
#define USER_POLICY "user-policy.yaml"
/* The layer that binds whoever uses this machine: root's alone to write. */
#define CENTRAL_POLICY HOOP_SYSCONFDIR "/hoop-agent/central-policy.yaml"

/* One daemon for each user: two would answer each other's clients. */
static bool
lock_state(struct agent *agent, GError **error)
{
  g_autofree char *path =
      g_build_filename(agent->config->state_dir, "serve.lock", NULL);

  agent->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (agent->lock_fd >= 0 && flock(agent->lock_fd, LOCK_EX | LOCK_NB) == 0)
    return true;
  g_set_error(error,
              DAEMON_ERROR,
              DAEMON_ERROR_RUNNING,
              "hoop-agent runs already for this user (%s is locked); "
              "`hoop-agent status` shows it",
              path);
  return false;
}

static bool
make_folders(const Config *config, GError **error)
{
  return file_private_dir(config->state_dir, error) &&
         file_private_dir(config->data_dir, error) &&
         file_private_dir(config->cache_dir, error) &&
         file_private_dir(config->runtime_dir, error);
}

Secret *
agent_own_key(const Config *config, const char *name, GError **error)
{
  g_autofree char *path = g_build_filename(config->state_dir, name, NULL);
  g_autoptr(Secret) fresh = NULL;

  if (g_file_test(path, G_FILE_TEST_EXISTS))
    return file_read_secret(path, error);
  fresh = secret_new_random(KEY_BYTES);
  /* As text, so that a trailing newline byte is never taken for one. */
  {
    char hex[2 * KEY_BYTES + 1];
    bool stored;

    hex_encode(secret_bytes(fresh), KEY_BYTES, hex);
    stored = file_replace(path, hex, 2 * KEY_BYTES, 0600, error);
    secret_wipe(hex, sizeof hex);
    if (!stored)
      return NULL;
  }
  return file_read_secret(path, error);
}

static bool
make_masker(struct agent *agent, GError **error)
{
  g_autoptr(Secret) mask = agent_own_key(agent->config, "mask.key", error);
  g_autoptr(Secret) fingerprint = NULL;

  if (mask)
    fingerprint = agent_own_key(agent->config, "fingerprint.key", error);
  if (!fingerprint)
    return false;
  agent->masker = masker_new(mask, fingerprint);
  allowed_load(agent);
  return true;
}

RulePack *
daemon_load_rules(const Config *config, GError **error)
{
  g_autofree char *dir = daemon_rules_dir(config);

  return rule_pack_load_dir(dir, error);
}

char *
daemon_rules_dir(const Config *config)
{
  return g_build_filename(config->share_dir, "rules.d", NULL);
}

char **
daemon_policy_files(const Config *config)
{
  g_autoptr(GStrvBuilder) files = g_strv_builder_new();
  g_autofree char *shipped =
      g_build_filename(config->share_dir, "default.yaml", NULL);

  g_autofree char *own =
      g_build_filename(config->config_dir, USER_POLICY, NULL);

  g_strv_builder_add(files, CENTRAL_POLICY);
  g_strv_builder_add(files,
                     config->policy_file ? config->policy_file : shipped);
  g_strv_builder_add(files, own);
  return g_strv_builder_end(files);
}

Detector *
daemon_load_detector(const Config *config,
                     const char *const *named,
                     const char *cache_dir,
                     GError **error)
{
  g_autofree char *dir = daemon_rules_dir(config);

  return detector_load(dir, named, cache_dir, error);
}

/* What cannot be looked at may be there: then reading it is an error. */
static bool
may_be_there(const char *path)
{
  struct stat seen;

  return lstat(path, &seen) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

Policy *
daemon_load_layers(const Config *config,
                   const Central *central,
                   Policy *former,
                   char ***seen,
                   char **held,
                   GError **error)
{
  g_auto(GStrv) files = daemon_policy_files(config);
  g_autoptr(PolicyMemory) memory = central_memory(central);
  PolicySource sources[4];
  size_t n = 0;

  if (memory)
    sources[n++] = (PolicySource){CENTRAL_ENTRY, LAYER_CENTRAL, FILE_ROOTS};
  if (may_be_there(files[0]))
    sources[n++] = (PolicySource){files[0], LAYER_CENTRAL, FILE_ROOTS};
  /* What is shipped is as much to be trusted as the program beside it. */
  sources[n++] = (PolicySource){
      files[1], LAYER_SYSTEM, config->policy_file ? FILE_OWN : FILE_ANYONES};
  if (may_be_there(files[2]))
    sources[n++] = (PolicySource){files[2], LAYER_USER, FILE_OWN};
  return policy_load_beside(memory, sources, n, former, seen, held, error);
}

Policy *
daemon_load_policy(const Config *config, GError **error)
{
  g_auto(Central) central = {.bundle = NULL};

  central_read(config, &central);
  return daemon_load_layers(config, &central, NULL, NULL, NULL, error);
}

static bool
make_judgement(struct agent *agent, GError **error)
{
  g_autofree char *rules = daemon_rules_dir(agent->config);

  agent->policy = reload_first(agent, error);
  if (!agent->policy)
    return false;
  if (!agent->config->detect)
    return true;
  agent->named = policy_named_findings(agent->policy);
  if (!rule_pack_digest_dir(rules, agent->rules_digest, error))
    return false;
  agent->detector = daemon_load_detector(agent->config,
                                         (const char *const *)agent->named,
                                         agent->config->cache_dir,
                                         error);
  return agent->detector && values_start(agent, error);
}

JournalRetention
daemon_retention(const Config *config)
{
  return (JournalRetention){
      .retain_us = config->journal_retain_days * INT64_C(86400) * 1000000,
      .max_size = config->journal_max_size,
      .ship_to = config->ship_endpoint,
  };
}

static bool
make_journal(struct agent *agent, GError **error)
{
  const Config *config = agent->config;
  JournalOptions options = {
      .path = config->journal_path,
      .durability =
          config->durability_full ? DURABILITY_FULL : DURABILITY_GROUPED,
      .bodies = config->bodies,
      .max_recorded_body = config->max_recorded_body,
      .keep = daemon_retention(config),
      .keep_trying = true,
      .escrow = config->journal_escrow_key != NULL,
      .max_queued = MAX_QUEUED_ROWS,
      .search = true,
  };

  if (!config->journal)
    return true;
  if (options.escrow && !journal_escrow_key(config->journal_escrow_key,
                                            options.escrow_key,
                                            error))
    return false;
  agent->journal = journal_open(&options, error);
  return agent->journal != NULL;
}

bool
daemon_upstream_options(const Config *config,
                        UpstreamOptions *options,
                        Secret **userpwd,
                        GError **error)
{
  *options = (UpstreamOptions){
      .proxy = config->proxy,
      .no_proxy = config->no_proxy,
      .ca_file = config->ca_file,
      .connect_timeout = config->connect_timeout,
      .idle_timeout = config->idle_timeout,
      .http2 = config->http2,
  };
  if (!config->proxy_credentials_file)
    return true;
  *userpwd = file_read_secret(config->proxy_credentials_file, error);
  options->proxy_userpwd = *userpwd;
  return *userpwd != NULL;
}

static bool
make_upstream(struct agent *agent, GError **error)
{
  g_autoptr(Secret) userpwd = NULL;
  UpstreamOptions options;

  if (!daemon_upstream_options(agent->config, &options, &userpwd, error))
    return false;
  agent->upstream = upstream_new(agent->data_loop, &options, error);
  return agent->upstream != NULL;
}

static IssuerOptions
issuer_options(const ConfigIdentity *identity)
{
  return (IssuerOptions){
      .name = identity->name,
      .issuer = identity->issuer,
      .client_id = identity->client_id,
      .client_secret_file = identity->client_secret_file,
      .scopes = identity->scopes,
      .audience = identity->audience,
      .redirect_port = identity->redirect_port,
      .groups_claim = identity->groups_claim,
      .groups_separator = identity->groups_separator,
      .groups_prefix = identity->groups_prefix,
      .ca_file = identity->ca_file,
      .keeps_access = true,
      .is_ours = front_is_ours,
  };
}

/* Tells at the start what would fail at the first sign-in. */
static bool
secrets_are_private(const Config *config, GError **error)
{
  for (unsigned i = 0; i < config->identities->len; i++) {
    const ConfigIdentity *identity = config->identities->pdata[i];
    g_autoptr(Secret) secret = NULL;

    if (!identity->client_secret_file)
      continue;
    secret = file_read_secret(identity->client_secret_file, error);
    if (!secret) {
      g_prefix_error(error,
                     "%s: [identity \"%s\"] client-secret-file: ",
                     identity->set,
                     identity->name);
      return false;
    }
  }
  return true;
}

static bool
make_identity(struct agent *agent, GError **error)
{
  const Config *config = agent->config;
  unsigned n = config->identities->len;
  g_autofree IssuerOptions *issuers = g_new0(IssuerOptions, n);
  g_autoptr(Secret) userpwd = NULL;
  IdentityOptions options = {
      .issuers = issuers, .n_issuers = n, .state_dir = config->state_dir};

  if (!n) {
    agent->identity = identity_new_solo(error);
    return agent->identity != NULL;
  }
  for (unsigned i = 0; i < n; i++)
    issuers[i] = issuer_options(config->identities->pdata[i]);
  if (!secrets_are_private(config, error) ||
      !daemon_upstream_options(config, &options.upstream, &userpwd, error))
    return false;
  agent->identity = identity_new(agent->main_loop, &options, error);
  return agent->identity != NULL;
}

static bool
make_front(struct agent *agent, GError **error)
{
  const Config *config = agent->config;
  FrontOptions options = {
      .address = config->address,
      .port = config->port,
      .plain_base_url = config->plain_base_url,
      .unix_socket = config->unix_socket,
      .connections = config->max_connections,
      .http = {.max_head = config->max_header,
               .first_byte_timeout = config->first_byte_timeout,
               .idle_timeout = config->idle_timeout,
               .high_water = HIGH_WATER},
  };

  agent->ca = ca_load_or_create(config->state_dir,
                                config->data_dir,
                                conn_table_hosts(agent->conns),
                                error);
  if (!agent->ca)
    return false;
  agent->front =
      front_new(agent->data_loop, agent->workers, agent->ca, &options, error);
  if (!agent->front)
    return false;
  agent->self_url = g_strdup_printf(
      strchr(config->address, ':') ? "https://[%s]:%u" : "https://%s:%u",
      config->address,
      (unsigned)front_port(agent->front));
  return true;
}

static void
notice(const char *text)
{
  log_warning("%s", text);
}

static bool
make_env(struct agent *agent, GError **error)
{
  const Config *config = agent->config;
  Happened *happened = config->notices ? happened_new(agent) : NULL;
  ExchangeOptions options = {
      .loop = agent->data_loop,
      .workers = agent->workers,
      .upstream = agent->upstream,
      .conns = agent->conns,
      .identity = agent->identity,
      .approve = agent->approve,
      .journal = agent->journal,
      .masker = agent->masker,
      .detector = agent->detector,
      .policy = agent->policy,
      .self_url = agent->self_url,
      .notice = notice,
      .happened = happened ? happened_take : NULL,
      .happened_data = happened,
      .limits = {.max_body = config->max_body,
                 .held_bytes = config->held_bytes,
                 .max_recorded_body = config->max_recorded_body,
                 .idle_timeout = config->idle_timeout,
                 .first_byte_timeout = config->first_byte_timeout,
                 .approval_timeout = config->approval_timeout,
                 .stream_silence = config->stream_silence,
                 .keepalive_interval = config->keepalive_interval},
  };

  agent->happened = happened;
  agent->env = exchange_env_new(&options, error);
  return agent->env != NULL;
}

static bool
make_loops(struct agent *agent, GError **error)
{
  ApproveLimits limits = {.max_pending = agent->config->max_pending,
                          .max_per_client = MAX_PENDING_PER_CLIENT,
                          /* The owner; nobody else is there. */
                          .kinds = OWN_KINDS};

  agent->main_loop = loop_new(error);
  agent->data_loop = agent->main_loop ? loop_new(error) : NULL;
  if (!agent->data_loop)
    return false;
  agent->main = g_main_loop_new(NULL, FALSE);
  agent->main_source = loop_source_new(agent->main_loop);
  g_source_attach(agent->main_source, NULL);
  agent->approve = approve_queue_new(agent->main_loop, &limits);
  agent->workers = worker_pool_new(WORKERS, MAX_JOBS);
  return true;
}

bool
agent_timed(struct agent *agent, const char *what, bool done)
{
  int64_t since = agent->began_us;

  for (unsigned i = 0; i < agent->n_started; i++)
    since += agent->started[i].us;
  if (agent->n_started < MAX_STARTED)
    agent->started[agent->n_started++] =
        (Started){what, clock_mono_us() - since};
  return done;
}

bool
agent_make(struct agent *agent, GError **error)
{
  agent->lock_fd = -1;
  if (!shipping_check(agent->config, error) ||
      !make_folders(agent->config, error) || !lock_state(agent, error))
    return false;
  if (!make_loops(agent, error))
    return false;
  agent->conns = conn_table_new(agent->config, error);
  /* The port comes before the rules, which can take seconds to compile: one
   * that is taken is told at once, and who connects meanwhile waits. */
  if (!agent->conns ||
      !agent_timed(agent, "the port", make_front(agent, error)) ||
      !agent_timed(agent, "sessions", make_identity(agent, error)) ||
      !make_masker(agent, error) ||
      !agent_timed(agent, "rules and policy", make_judgement(agent, error)))
    return false;
  /* The journal comes last of what can fail on a wrong configuration: it
   * writes a row that says how the agent started. */
  return make_upstream(agent, error) &&
         agent_timed(agent, "the journal", make_journal(agent, error)) &&
         make_env(agent, error) &&
         agent_timed(agent, "budgets", budget_start(agent, error)) &&
         shipping_start(agent, error) && reviewers_start(agent, error) &&
         agent_timed(
             agent, "shipping and the hub", central_start(agent, error));
}

/* What one loop posts to the other, and that back again. */
static void
settle_loops(struct agent *agent)
{
  for (unsigned i = 0; i < 2 && agent->data_loop; i++) {
    loop_iterate(agent->data_loop, 0);
    loop_iterate(agent->main_loop, 0);
  }
}

void
agent_unmake(struct agent *agent)
{
  g_clear_pointer(&agent->policy_watch, watch_free);
  pause_stop(agent);
  grants_stop(agent);
  values_stop(agent);
  allowed_free(agent);
  /* Ends what runs; its last rows are stored and its last replies delivered
   * before what they refer to goes. */
  if (agent->env)
    exchange_env_end(agent->env);
  front_free(agent->front);
  worker_pool_free(agent->workers);
  shipping_stop(agent);
  journal_close(agent->journal);
  settle_loops(agent);
  approve_queue_free(agent->approve);
  settle_loops(agent);
  reviewers_stop(agent);
  /* Sessions of held credentials cancel what they run upstream and tell the
   * exchanges that wait for them. */
  conn_table_free(agent->conns);
  exchange_env_free(agent->env);
  happened_free(agent->happened);
  upstream_free(agent->upstream);
  /* The last that asks who is signed in is gone. */
  identity_free(agent->identity);
  settle_loops(agent);
  ca_free(agent->ca);
  if (agent->main_source) {
    g_source_destroy(agent->main_source);
    g_source_unref(agent->main_source);
  }
  loop_free(agent->data_loop);
  loop_free(agent->main_loop);
  g_clear_pointer(&agent->main, g_main_loop_unref);
  masker_free(agent->masker);
  policy_unref(agent->policy);
  detector_unref(agent->detector);
  g_strfreev(agent->named);
  g_clear_object(&agent->skeleton);
  if (agent->lock_fd >= 0)
    close(agent->lock_fd);
  g_free(agent->self_url);
  g_free(agent->policy_error);
  central_clear(&agent->central);
  bundle_free(agent->bundle);
  g_free(agent->bundle_problem);
}
