/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's reviewers, where people sign in: the relay, and what the control
 * interface tells and asks of it. */
#include "daemon/private.h"
#include "kit/json-put.h"
#include "kit/log.h"

static void
on_notice(const char *text, void *data)
{
  (void)data;
  log_warning("hub: %s", text);
}

static void
on_enrolled(void *data)
{
  struct agent *agent = data;

  approve_set_kinds(agent->approve, OWN_KINDS | 1 << APPROVER_REVIEWER);
  record_agent(agent, ROW_POLICY, "enrolled", NULL);
  log_info("hub: enrolled at %s", relay_status(agent->relay).url);
  /* Another hub's policy does not hold any more. */
  agent_reload(agent, NULL);
}

static void
on_bundle(GBytes *bytes, void *data)
{
  central_take(data, bytes);
}

bool
reviewers_start(struct agent *agent, GError **error)
{
  const Config *config = agent->config;
  g_autoptr(Secret) userpwd = NULL;
  RelayOptions options = {.url = config->hub_url,
                          .pinned_key = config->hub_pinned_key,
                          .state_dir = config->state_dir,
                          .identity = agent->identity,
                          .approve = agent->approve,
                          .notice = on_notice,
                          .enrolled = on_enrolled,
                          .bundle = on_bundle,
                          .lent = lending_take,
                          .data = agent};

  if (!config->identities->len) {
    if (!config->hub_url)
      return true;
    g_set_error_literal(error,
                        DAEMON_ERROR,
                        DAEMON_ERROR_START,
                        "[hub] url needs an [identity \"NAME\"]: the hub must "
                        "know who asks");
    return false;
  }
  if (!daemon_upstream_options(config, &options.upstream, &userpwd, error))
    return false;
  options.upstream.ca_file = config->hub_ca_file;
  agent->relay = relay_new(agent->main_loop, &options, error);
  if (agent->relay && relay_is_enrolled(agent->relay))
    approve_set_kinds(agent->approve, OWN_KINDS | 1 << APPROVER_REVIEWER);
  if (agent->relay)
    lending_start(agent);
  return agent->relay != NULL;
}

void
reviewers_stop(struct agent *agent)
{
  central_stop(agent);
  g_clear_pointer(&agent->relay, relay_free);
}

/* ---- Status -------------------------------------------------------------- */

GVariant *
reviewers_status(struct agent *agent)
{
  GVariantDict dict;
  RelayStatus status;

  if (!agent->relay)
    return NULL;
  status = relay_status(agent->relay);
  if (!status.url)
    return NULL;
  g_variant_dict_init(&dict, NULL);
  control_add_text(&dict, "url", status.url);
  g_variant_dict_insert(&dict, "enrolled", "b", status.enrolled);
  g_variant_dict_insert(&dict, "connected", "b", status.connected);
  control_add_text(&dict, "fingerprint", status.fingerprint);
  control_add_text(&dict, "problem", status.problem);
  g_variant_dict_insert(&dict, "waiting", "u", status.waiting);
  central_status(agent, &dict);
  return g_variant_dict_end(&dict);
}

/* ---- Enrol, HubReviews, HubAnswer ---------------------------------------- */

static const char *
result_name(const GError *error)
{
  static const char *const names[] = {
      [RELAY_ERROR_CONFIG] = "config",
      [RELAY_ERROR_UNREACHABLE] = "unreachable",
      [RELAY_ERROR_REFUSED] = "refused",
      [RELAY_ERROR_KEY] = "key",
      [RELAY_ERROR_SIGNED_OUT] = "not-signed-in",
      [RELAY_ERROR_DECISION] = "refused",
  };

  if (!error)
    return "done";
  return error->domain == RELAY_ERROR ? names[error->code] : "config";
}

/* All three answer alike. */
static void
answer(const char *text, const GError *error, void *data)
{
  g_dbus_method_invocation_return_value(
      data,
      g_variant_new("(ss)", result_name(error), error ? error->message : text));
}

static bool
has_hub(struct agent *agent, GDBusMethodInvocation *call, bool enrolled)
{
  if (agent->relay && (!enrolled || relay_is_enrolled(agent->relay)))
    return true;
  g_dbus_method_invocation_return_error(
      call,
      BUS_ERROR,
      BUS_ERROR_REFUSED,
      agent->relay ? "this agent is enrolled at no hub: `hoop-agent enrol` "
                     "does that"
                   : "a hub must know who asks: agent.conf has no [identity]");
  return false;
}

static gboolean
on_enrol(HoopAgent1 *skeleton,
         GDBusMethodInvocation *call,
         const char *url,
         const char *fingerprint,
         gpointer data)
{
  struct agent *agent = data;

  (void)skeleton;
  if (has_hub(agent, call, false))
    relay_enrol(agent->relay,
                *url ? url : NULL,
                *fingerprint ? fingerprint : NULL,
                answer,
                call);
  return TRUE;
}

/* Ids go into a path as they are. */
static bool
is_id(GDBusMethodInvocation *call, const char *id)
{
  if (strlen(id) == 32 && strspn(id, "0123456789abcdef") == 32)
    return true;
  g_dbus_method_invocation_return_error(
      call, BUS_ERROR, BUS_ERROR_INVALID, "this is no id of a review");
  return false;
}

static gboolean
on_reviews(HoopAgent1 *skeleton,
           GDBusMethodInvocation *call,
           const char *id,
           gboolean all,
           gpointer data)
{
  struct agent *agent = data;
  g_autofree char *path = NULL;

  (void)skeleton;
  if (!has_hub(agent, call, true) || (*id && !is_id(call, id)))
    return TRUE;
  path = *id ? g_strconcat("/v1/reviews/", id, NULL)
             : g_strconcat("/v1/reviews", all ? "?state=all" : "", NULL);
  relay_ask(agent->relay, "GET", path, NULL, answer, call);
  return TRUE;
}

static gboolean
on_answer(HoopAgent1 *skeleton,
          GDBusMethodInvocation *call,
          const char *id,
          const char *given,
          const char *digest,
          const char *reason,
          gpointer data)
{
  struct agent *agent = data;
  g_autofree char *path = NULL;
  GString *body;

  (void)skeleton;
  if (!has_hub(agent, call, true) || !is_id(call, id))
    return TRUE;
  path = g_strconcat("/v1/reviews/", id, "/answer", NULL);
  body = g_string_new("{");
  json_put_text(body, "answer", given);
  json_put_text(body, "digest", digest);
  json_put_text(body, "reason", *reason ? reason : NULL);
  g_string_append_c(body, '}');
  relay_ask(agent->relay, "POST", path, body->str, answer, call);
  g_string_free(body, TRUE);
  return TRUE;
}

void
reviewers_connect(struct agent *agent)
{
  g_signal_connect(
      agent->skeleton, "handle-enrol", G_CALLBACK(on_enrol), agent);
  g_signal_connect(
      agent->skeleton, "handle-hub-reviews", G_CALLBACK(on_reviews), agent);
  g_signal_connect(
      agent->skeleton, "handle-hub-answer", G_CALLBACK(on_answer), agent);
}
