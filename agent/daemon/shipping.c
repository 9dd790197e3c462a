/* SPDX-License-Identifier: Apache-2.0 */
/* Shipping, where it is configured: made from the configuration, told about
 * over the control interface. */
#include "config.h"

#include "daemon/private.h"

ShipOptions
daemon_ship_options(const Config *config)
{
  ShipOptions options = {.endpoint = config->ship_endpoint,
                         .token_file = config->ship_token_file,
                         .ca_file = config->ship_ca_file,
                         .issuer = config->ship_issuer,
                         .receiver_key = config->ship_receiver_key,
                         .interval = config->ship_interval,
                         .journal_path = config->journal_path,
                         .version = PACKAGE_VERSION};

  /* The configuration takes no other names. */
  if (!ship_format_from_name(config->ship_format, &options.format))
    g_assert_not_reached();
  return options;
}

bool
shipping_check(const Config *config, GError **error)
{
  const ShipOptions options = daemon_ship_options(config);

  if (!options.endpoint)
    return true;
  if (config->journal)
    return ship_check(&options, error);
  g_set_error_literal(error,
                      DAEMON_ERROR,
                      DAEMON_ERROR_START,
                      "[ship] endpoint needs a journal: take [journal] "
                      "enabled=false out of agent.conf");
  return false;
}

/* To the hub as whoever enrolled there; to others without. */
static bool
on_authorize(const char *url,
             const void *body,
             size_t len,
             HttpHeaders *headers,
             void *data,
             GError **error)
{
  const struct agent *agent = data;

  return !agent->relay ||
         relay_authorize(agent->relay, url, body, len, headers, error);
}

bool
shipping_start(struct agent *agent, GError **error)
{
  ShipOptions options = daemon_ship_options(agent->config);
  g_autoptr(Secret) userpwd = NULL;

  if (!options.endpoint)
    return true;
  options.authorize = on_authorize;
  options.authorize_data = agent;
  if (!daemon_upstream_options(
          agent->config, &options.upstream, &userpwd, error))
    return false;
  options.identity = agent->identity;
  agent->ship = ship_new(agent->main_loop, agent->journal, &options, error);
  return agent->ship != NULL;
}

void
shipping_session(struct agent *agent, IdentityEvent event)
{
  if (agent->ship && agent->config->ship_issuer &&
      (event == IDENTITY_SIGNED_IN || event == IDENTITY_RENEWED))
    ship_now(agent->ship);
}

void
shipping_stop(struct agent *agent)
{
  g_clear_pointer(&agent->ship, ship_free);
}

/* ---- Status -------------------------------------------------------------- */

static void
add_numbers(GVariantDict *dict, const ShipStatus *status)
{
  const struct {
    const char *key;
    int64_t value;
  } numbers[] = {
      {"head_seq", status->head_seq},
      {"shipped_seq", status->shipped_seq},
      {"shipped_us", status->shipped_us},
      {"behind_rows", status->behind_rows},
      {"behind_bytes", status->behind_bytes},
      {"behind_us", status->behind_us},
      {"delivered", status->delivered},
      {"quarantined", status->quarantined},
      {"receipt_seq", status->receipt_seq},
      {"retry_us", status->retry_us},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
    g_variant_dict_insert(dict, numbers[i].key, "x", (gint64)numbers[i].value);
}

GVariant *
shipping_status(struct agent *agent)
{
  g_autoptr(GError) error = NULL;
  ShipStatus status;
  GVariantDict dict;

  if (!agent->ship)
    return NULL;
  g_variant_dict_init(&dict, NULL);
  if (!ship_status(agent->ship, &status, &error))
    control_add_text(&dict, "problem", error->message);
  else
    control_add_text(&dict, "problem", status.problem);
  control_add_text(&dict, "format", status.format);
  control_add_text(&dict, "receiver", agent->config->ship_endpoint);
  control_add_text(&dict, "notice", status.notice);
  g_variant_dict_insert(&dict, "busy", "b", status.busy);
  if (status.problem)
    g_variant_dict_insert(
        &dict, "problem_since_us", "x", (gint64)status.problem_since_us);
  add_numbers(&dict, &status);
  return g_variant_dict_end(&dict);
}

/* ---- Ship ---------------------------------------------------------------- */

static gboolean
on_ship(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  struct agent *agent = data;

  if (agent->ship) {
    ship_now(agent->ship);
    hoop_agent1_complete_ship(skeleton, call);
  } else {
    g_dbus_method_invocation_return_error(
        call,
        BUS_ERROR,
        BUS_ERROR_REFUSED,
        "nothing is shipped: agent.conf has no [ship] endpoint");
  }
  return TRUE;
}

void
shipping_connect(struct agent *agent)
{
  g_signal_connect(agent->skeleton, "handle-ship", G_CALLBACK(on_ship), agent);
}
