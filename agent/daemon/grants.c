/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's grants: where they are kept, and what is recorded of them. */
#include "daemon/private.h"
#include "kit/clock.h"
#include "kit/json.h"
#include "kit/log.h"

#define FILE_NAME "grants"
#define KEY_NAME "grants.key"
/* Between looks for expired ones, as long as there are any. */
#define TIDY_S 30

static const char *
event_name(GrantEvent event)
{
  switch (event) {
  case GRANT_GIVEN:
    return "grant-given";
  case GRANT_REVOKED:
    return "grant-revoked";
  case GRANT_EXPIRED:
    return "grant-expired";
  case GRANT_ENDED:
    break;
  }
  return "grant-ended";
}

static void
add(GString *out, const char *name, const char *value)
{
  g_string_append_printf(out, "%s\"%s\":\"", out->len > 1 ? "," : "", name);
  json_escape(out, value, -1);
  g_string_append_c(out, '"');
}

static char *
detail_of(const Grant *grant, const char *why)
{
  g_autoptr(GString) out = g_string_new("{");
  g_autofree char *until = clock_rfc3339(grant->until_us);

  add(out, "grant", grant->id);
  add(out, "who", grant->who);
  add(out, "approver", approver_kind_name(grant->kind));
  add(out, "prompt", grant->exchange);
  add(out, "client", grant->client);
  add(out, "connection", grant->connection);
  add(out, "until", until);
  if (grant->reason)
    add(out, "reason", grant->reason);
  if (why)
    add(out, "why", why);
  g_string_append_printf(
      out,
      ",\"masked\":%s,\"session\":%s,\"uses\":%" G_GUINT64_FORMAT
      ",\"rules\":[",
      grant->masked ? "true" : "false",
      grant->session ? "true" : "false",
      grant->uses);
  for (unsigned i = 0; i < grant->rules->len; i++) {
    const GrantRule *rule = grant->rules->pdata[i];

    g_string_append(out, i ? ",\"" : "\"");
    json_escape(out, rule->id, -1);
    g_string_append_c(out, '"');
  }
  g_string_append(out, "]}");
  return g_strdup(out->str);
}

static gboolean
tidy(gpointer data)
{
  struct agent *agent = data;

  if (grants_tidy(agent->grants))
    return G_SOURCE_CONTINUE;
  agent->grants_timer = 0;
  return G_SOURCE_REMOVE;
}

/* Looks after them until there are none. */
static void
keep_tidy(struct agent *agent)
{
  if (!agent->grants_timer)
    agent->grants_timer = g_timeout_add_seconds(TIDY_S, tidy, agent);
}

static void
changed(const Grant *grant, GrantEvent event, const char *why, void *data)
{
  struct agent *agent = data;
  g_autofree char *detail = detail_of(grant, why);

  record_agent(agent, ROW_POLICY, event_name(event), detail);
  if (event == GRANT_ENDED)
    log_info("grant %s of %s ended: %s", grant->id, grant->who, why);
  keep_tidy(agent);
  if (agent->skeleton)
    agent_state_changed(agent);
}

bool
grants_start(struct agent *agent, GError **error)
{
  g_autofree char *path =
      g_build_filename(agent->config->state_dir, FILE_NAME, NULL);
  g_autoptr(Secret) key = agent_own_key(agent->config, KEY_NAME, error);
  g_autoptr(GError) failed = NULL;
  uint8_t mac_key[SHA256_LEN];
  GrantOptions options = {.path = path,
                          .key = mac_key,
                          .most_seconds = agent->config->grant_time,
                          .most = agent->config->max_grants,
                          .changed = changed,
                          .data = agent};

  if (!key)
    return false;
  sha256(secret_bytes(key), secret_len(key), mac_key);
  agent->grants = grants_new(&options);
  secret_wipe(mac_key, sizeof mac_key);
  if (!grants_load(agent->grants, agent->policy, &failed))
    log_warning("no grants of before are in force: %s", failed->message);
  if (grants_tidy(agent->grants))
    keep_tidy(agent);
  approve_use_grants(agent->approve, agent->grants);
  return true;
}

void
grants_stop(struct agent *agent)
{
  g_clear_handle_id(&agent->grants_timer, g_source_remove);
  if (agent->approve)
    approve_use_grants(agent->approve, NULL);
  g_clear_pointer(&agent->grants, grants_free);
}
