/* SPDX-License-Identifier: Apache-2.0 */
/* The control interface's methods and signals: status, pause and reload, and
 * that what waits changed. All on the main thread. */
#include "config.h"

#include "daemon/private.h"
#include "kit/clock.h"
#include <string.h>

void
control_add_text(GVariantDict *dict, const char *key, const char *text)
{
  if (!text)
    return;
  if (g_utf8_validate(text, -1, NULL)) {
    g_variant_dict_insert(dict, key, "s", text);
  } else {
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_variant_dict_insert(dict, key, "s", valid);
  }
}

/* ---- Status
 * --------------------------------------------------------------------- */

typedef struct {
  struct agent *agent;
  GDBusMethodInvocation *call;
  ExchangeStats stats;
  GHashTable *masked; /* by rule */
} StatusCall;

static void
count_one(const PendingView *pending, void *data)
{
  unsigned *count = data;

  (void)pending;
  (*count)++;
}

static void
add_counters(GVariantDict *dict, const ExchangeStats *stats)
{
  const struct {
    const char *key;
    uint64_t value;
  } counters[] = {
      {"held_bytes", stats->held_bytes},
      {"requests", stats->requests},
      {"blocked", stats->blocked},
      {"masked", stats->masked},
      {"approved", stats->approved},
      {"denied", stats->denied},
      {"tunnels", stats->tunnels},
      {"errors", stats->errors},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(counters); i++)
    g_variant_dict_insert(
        dict, counters[i].key, "t", (guint64)counters[i].value);
  g_variant_dict_insert(dict, "running", "u", (guint32)stats->running);
}

static void
add_masked(GVariantDict *dict, GHashTable *masked)
{
  GVariantDict rules;
  GHashTableIter iter;
  gpointer id, n;

  g_variant_dict_init(&rules, NULL);
  g_hash_table_iter_init(&iter, masked);
  while (g_hash_table_iter_next(&iter, &id, &n))
    g_variant_dict_insert(&rules, id, "t", (guint64)GPOINTER_TO_SIZE(n));
  g_variant_dict_insert_value(
      dict, "masked_by_rule", g_variant_dict_end(&rules));
}

static void
add_record(GVariantDict *dict, struct agent *agent)
{
  g_autofree char *sick =
      agent->journal ? journal_health(agent->journal) : g_strdup("off");
  GVariant *shipping = shipping_status(agent);
  GVariant *hub = reviewers_status(agent);

  control_add_text(dict, "journal", sick ? sick : "ok");
  control_add_text(
      dict, "durability", agent->config->durability_full ? "full" : "grouped");
  if (shipping)
    g_variant_dict_insert_value(dict, "shipping", shipping);
  if (hub)
    g_variant_dict_insert_value(dict, "hub", hub);
}

/* Whether the place of a layer's file is part of the policy in force. */
static bool
is_loaded(const Policy *policy, const char *path)
{
  PolicyLayer layer;
  const char *name;

  for (unsigned i = 0; (name = policy_file(policy, i, &layer)); i++)
    if (g_str_equal(name, path))
      return true;
  return false;
}

/* Each layer's place: "loaded", "absent", or "bad": what was in force of it
 * before stays. */
static void
add_layers(GVariantDict *dict, struct agent *agent)
{
  g_auto(GStrv) places = daemon_policy_files(agent->config);
  GVariantBuilder layers;

  g_variant_builder_init(&layers, G_VARIANT_TYPE("aa{sv}"));
  for (int i = LAYER_CENTRAL; i <= LAYER_USER; i++) {
    const bool loaded = is_loaded(agent->policy, places[i]);
    /* As policy_load_over() says it. */
    g_autofree char *said =
        g_strdup_printf("%s layer: ", layer_name((PolicyLayer)i));
    const bool bad = agent->policy_error && strstr(agent->policy_error, said);
    GVariantDict layer;

    g_variant_dict_init(&layer, NULL);
    control_add_text(&layer, "layer", layer_name((PolicyLayer)i));
    control_add_text(&layer, "file", places[i]);
    control_add_text(&layer,
                     "state",
                     bad      ? "bad"
                     : loaded ? "loaded"
                              : "absent");
    g_variant_builder_add_value(&layers, g_variant_dict_end(&layer));
  }
  g_variant_dict_insert_value(
      dict, "policy_layers", g_variant_builder_end(&layers));
}

static void
add_policy(GVariantDict *dict, struct agent *agent)
{
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  g_auto(GStrv) files = NULL;
  PolicyLayer layer;
  const char *name;

  for (unsigned i = 0; (name = policy_file(agent->policy, i, &layer)); i++)
    g_strv_builder_add(names, name);
  files = g_strv_builder_end(names);
  control_add_text(dict, "policy_revision", policy_revision(agent->policy));
  g_variant_dict_insert(dict, "policy_files", "^as", files);
  control_add_text(dict, "policy_error", agent->policy_error);
  add_layers(dict, agent);
}

static void
add_values(GVariantDict *dict, struct agent *agent)
{
  if (agent->values) {
    g_variant_dict_insert(
        dict,
        "dictionary_values",
        "u",
        (guint32)value_set_count(agent->values, VALUE_DICTIONARY));
    g_variant_dict_insert(
        dict,
        "env_file_values",
        "u",
        (guint32)value_set_count(agent->values, VALUE_ENV_FILE));
  }
  control_add_text(dict, "values_error", agent->values_error);
}

/* Back on the main thread, with the data thread's counters. */
static void
status_ready(void *data)
{
  StatusCall *status = data;
  struct agent *agent = status->agent;
  g_autoptr(PersonRef) person = agent_person(agent);
  unsigned pending = 0;
  GVariantDict dict;

  g_variant_dict_init(&dict, NULL);
  control_add_text(&dict, "version", PACKAGE_VERSION);
  g_variant_dict_insert(&dict, "interface", "u", (guint32)BUS_INTERFACE);
  g_variant_dict_insert(&dict, "pid", "i", (gint32)getpid());
  g_variant_dict_insert(
      &dict, "uptime_us", "x", (gint64)(clock_mono_us() - agent->began_us));
  control_add_text(&dict, "address", agent->self_url + strlen("https://"));
  control_add_text(&dict, "user", person ? person->user : NULL);
  control_add_text(&dict, "issuer", person ? person->issuer : NULL);
  g_variant_dict_insert_value(&dict, "sessions", signin_sessions(agent));
  add_policy(&dict, agent);
  control_add_text(&dict, "config", agent->config->given);
  control_add_text(&dict, "paused", agent_paused(agent));
  add_record(&dict, agent);
  g_variant_dict_insert(&dict, "detection", "b", agent->detector != NULL);
  add_values(&dict, agent);
  g_variant_dict_insert(&dict, "managed", "b", agent->config->managed);
  g_variant_dict_insert(&dict, "notices", "b", agent->config->notices);
  approve_pending(agent->approve, count_one, &pending);
  g_variant_dict_insert(&dict, "pending", "u", pending);
  g_variant_dict_insert(
      &dict, "grants", "u", (guint32)grants_list(agent->grants)->len);
  add_counters(&dict, &status->stats);
  add_masked(&dict, status->masked);
  hoop_agent1_complete_status(
      agent->skeleton, status->call, g_variant_dict_end(&dict));
  g_hash_table_unref(status->masked);
  g_free(status);
}

static void
status_look(void *data)
{
  StatusCall *status = data;

  exchange_env_stats(status->agent->env, &status->stats);
  status->masked = exchange_env_masked(status->agent->env);
  loop_post(status->agent->main_loop, status_ready, status);
}

static gboolean
on_status(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  struct agent *agent = data;
  StatusCall *status = g_new0(StatusCall, 1);

  (void)skeleton;
  status->agent = agent;
  status->call = call;
  loop_post(agent->data_loop, status_look, status);
  return TRUE;
}

/* ---- Allowed findings -------------------------------------------------------
 */

/* Of another room's error, what it means to the caller. */
static BusErrorCode
code_of(const GError *error)
{
  if (error->domain != APPROVE_ERROR)
    return BUS_ERROR_INVALID;
  return error->code == APPROVE_ERROR_NOT_FOUND ? BUS_ERROR_NOT_FOUND
                                                : BUS_ERROR_REFUSED;
}

void
control_fail(GDBusMethodInvocation *call, const GError *error)
{
  if (error->domain == BUS_ERROR)
    g_dbus_method_invocation_return_gerror(call, error);
  else
    g_dbus_method_invocation_return_error(
        call, BUS_ERROR, code_of(error), "%s", error->message);
}

static gboolean
on_allow(HoopAgent1 *skeleton,
         GDBusMethodInvocation *call,
         const char *fingerprint,
         guint seconds,
         gpointer data)
{
  g_autoptr(GError) error = NULL;

  if (!allowed_add(data, fingerprint, seconds, &error))
    control_fail(call, error);
  else
    hoop_agent1_complete_allow(skeleton, call);
  return TRUE;
}

static gboolean
on_disallow(HoopAgent1 *skeleton,
            GDBusMethodInvocation *call,
            const char *fingerprint,
            gpointer data)
{
  g_autoptr(GError) error = NULL;

  if (!allowed_remove(data, fingerprint, &error))
    control_fail(call, error);
  else
    hoop_agent1_complete_disallow(skeleton, call);
  return TRUE;
}

static gboolean
on_allowed(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  const GArray *allowed = allowed_list(data);
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (unsigned i = 0; i < allowed->len; i++) {
    const Allowed *entry = &g_array_index(allowed, Allowed, i);
    GVariantDict dict;

    g_variant_dict_init(&dict, NULL);
    control_add_text(&dict, "fingerprint", entry->finding.fingerprint);
    g_variant_dict_insert(&dict, "since_us", "x", (gint64)entry->since_us);
    g_variant_dict_insert(
        &dict, "until_us", "x", (gint64)entry->finding.until_us);
    g_variant_builder_add_value(&list, g_variant_dict_end(&dict));
  }
  hoop_agent1_complete_allowed(skeleton, call, g_variant_builder_end(&list));
  return TRUE;
}

/* ---- Pause, resume, reload
 * ---------------------------------------------------- */

static gboolean
on_pause(HoopAgent1 *skeleton,
         GDBusMethodInvocation *call,
         guint seconds,
         gpointer data)
{
  agent_pause(data, seconds);
  hoop_agent1_complete_pause(skeleton, call);
  return TRUE;
}

static gboolean
on_resume(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  g_autoptr(GError) error = NULL;

  if (!agent_resume(data, &error))
    control_fail(call, error);
  else
    hoop_agent1_complete_resume(skeleton, call);
  return TRUE;
}

static gboolean
on_reload(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  struct agent *agent = data;
  g_autoptr(GError) error = NULL;

  if (!agent_reload(agent, &error))
    g_dbus_method_invocation_return_error(
        call, BUS_ERROR, BUS_ERROR_INVALID, "%s", error->message);
  else
    hoop_agent1_complete_reload(skeleton, call, policy_revision(agent->policy));
  return TRUE;
}

/* ---- Retention
 * -------------------------------------------------------------- */

typedef struct {
  struct agent *agent;
  GDBusMethodInvocation *call;
} PruneCall;

static void
pruned(const JournalPruned *gone, const GError *error, void *data)
{
  PruneCall *prune = data;

  if (error)
    g_dbus_method_invocation_return_error(
        prune->call, BUS_ERROR, BUS_ERROR_REFUSED, "%s", error->message);
  else
    hoop_agent1_complete_prune(prune->agent->skeleton,
                               prune->call,
                               (guint64)gone->rows,
                               (guint64)gone->bodies);
  g_free(prune);
}

static gboolean
on_prune(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  struct agent *agent = data;
  PruneCall *prune;

  (void)skeleton;
  if (!agent->journal) {
    g_dbus_method_invocation_return_error_literal(
        call, BUS_ERROR, BUS_ERROR_REFUSED, "nothing is recorded");
    return TRUE;
  }
  prune = g_new0(PruneCall, 1);
  prune->agent = agent;
  prune->call = call;
  journal_prune(agent->journal, agent->main_loop, pruned, prune);
  return TRUE;
}

/* ---- Signals
 * ------------------------------------------------------------------- */

static void
pending_changed(const PendingView *pending, void *data)
{
  struct agent *agent = data;

  hoop_agent1_emit_pending_changed(agent->skeleton, pending->request->exchange);
}

static void
decided(const char *exchange, Outcome outcome, const char *who, void *data)
{
  struct agent *agent = data;

  hoop_agent1_emit_decided(
      agent->skeleton, exchange, outcome_name(outcome), who ? who : "");
}

static const ApproveListener listener = {
    .pending = pending_changed,
    .gone = decided,
};

bool
control_start(struct agent *agent, GError **error)
{
  HoopAgent1 *skeleton = hoop_agent1_skeleton_new();

  agent->skeleton = skeleton;
  g_signal_connect(skeleton, "handle-status", G_CALLBACK(on_status), agent);
  g_signal_connect(skeleton, "handle-allow", G_CALLBACK(on_allow), agent);
  g_signal_connect(skeleton, "handle-disallow", G_CALLBACK(on_disallow), agent);
  g_signal_connect(skeleton, "handle-allowed", G_CALLBACK(on_allowed), agent);
  g_signal_connect(skeleton, "handle-pause", G_CALLBACK(on_pause), agent);
  g_signal_connect(skeleton, "handle-resume", G_CALLBACK(on_resume), agent);
  g_signal_connect(skeleton, "handle-reload", G_CALLBACK(on_reload), agent);
  g_signal_connect(skeleton, "handle-prune", G_CALLBACK(on_prune), agent);
  signin_start(agent);
  control_pending_connect(agent);
  control_answer_connect(agent);
  control_grants_connect(agent);
  shipping_connect(agent);
  reviewers_connect(agent);
  approve_listen(agent->approve, &listener, agent);
  wake_start(agent);
  agent->bus = bus_server_new(agent->config->runtime_dir, skeleton, error);
  return agent->bus != NULL;
}

void
control_stop(struct agent *agent)
{
  signin_stop(agent);
  control_answer_stop(agent);
  wake_stop(agent);
  g_clear_pointer(&agent->bus, bus_server_free);
}
