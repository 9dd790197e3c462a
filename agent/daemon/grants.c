/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's grants: where they are kept, and what is recorded of them. */
#include "daemon/private.h"
#include "kit/clock.h"
#include "kit/json.h"
#include "kit/log.h"
#include <string.h>

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
      ",\"denies\":%s,\"masked\":%s,\"session\":%s,\"uses\":%" G_GUINT64_FORMAT
      ",\"rules\":[",
      grant->denies ? "true" : "false",
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

/* ---- Sessions that ended -------------------------------------------------
 */

/* The sessions that live are the data thread's to know. */
typedef struct {
  struct agent *agent;
  GHashTable *sessions;
  void (*then)(void *data);
  void *data;
} Refresh;

static bool
lives(uint64_t serial, void *data)
{
  return g_hash_table_contains(data, GSIZE_TO_POINTER((gsize)serial));
}

static void
refresh_ready(void *data)
{
  Refresh *refresh = data;

  if (refresh->agent->grants)
    grants_keep_sessions(refresh->agent->grants, lives, refresh->sessions);
  refresh->then(refresh->data);
  g_hash_table_unref(refresh->sessions);
  g_free(refresh);
}

static void
refresh_look(void *data)
{
  Refresh *refresh = data;

  refresh->sessions = exchange_env_sessions(refresh->agent->env);
  loop_post(refresh->agent->main_loop, refresh_ready, refresh);
}

void
grants_refresh(struct agent *agent, void (*then)(void *data), void *data)
{
  Refresh *refresh = g_new0(Refresh, 1);

  *refresh = (Refresh){.agent = agent, .then = then, .data = data};
  loop_post(agent->data_loop, refresh_look, refresh);
}

static void
tidied(void *data)
{
  struct agent *agent = data;

  if (agent->grants && !grants_tidy(agent->grants))
    g_clear_handle_id(&agent->grants_timer, g_source_remove);
}

static gboolean
tidy(gpointer data)
{
  struct agent *agent = data;

  grants_refresh(agent, tidied, agent);
  return G_SOURCE_CONTINUE;
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

/* ---- Those of before -----------------------------------------------------
 */

static bool
note_ended(const JournalEntry *entry, void *data)
{
  /* As detail_of() begins. */
  static const char head[] = "{\"grant\":\"";
  const JournalRow *row = entry->row;
  GHashTable *ended = data;

  if (g_strcmp0(row->verdict, event_name(GRANT_REVOKED)) != 0 &&
      g_strcmp0(row->verdict, event_name(GRANT_ENDED)) != 0 &&
      g_strcmp0(row->verdict, event_name(GRANT_EXPIRED)) != 0)
    return true;
  if (row->detail && g_str_has_prefix(row->detail, head)) {
    const char *id = row->detail + strlen(head);

    g_hash_table_add(ended, g_strndup(id, strcspn(id, "\"")));
  }
  return true;
}

/* Ids of grants that the record says are over, as far back as one may last: an
 * old copy of the file brings none of them back. NULL with error. */
static GHashTable *
ended_before(const struct agent *agent, GError **error)
{
  const int64_t most = (int64_t)agent->config->grant_time * G_USEC_PER_SEC;
  const JournalQuery query = {.since_us = clock_wall_us() - most,
                              .kind = ROW_POLICY};
  g_autoptr(GHashTable) ended =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(JournalReader) reader = NULL;

  if (!agent->journal)
    return g_steal_pointer(&ended);
  reader = journal_reader_open(agent->config->journal_path, error);
  if (!reader || !journal_query(reader, &query, note_ended, ended, error))
    return NULL;
  return g_steal_pointer(&ended);
}

static bool
is_over(const char *id, void *data)
{
  return g_hash_table_contains(data, id);
}

static void
load_grants(struct agent *agent)
{
  g_autoptr(GError) failed = NULL;
  g_autoptr(GHashTable) ended = ended_before(agent, &failed);

  if (ended)
    grants_load(agent->grants, agent->policy, is_over, ended, &failed);
  else
    grants_follow(agent->grants, agent->policy);
  if (failed)
    log_warning("no grants of before are in force: %s", failed->message);
}

bool
grants_start(struct agent *agent, GError **error)
{
  g_autofree char *path =
      g_build_filename(agent->config->state_dir, FILE_NAME, NULL);
  g_autoptr(Secret) key = agent_own_key(agent->config, KEY_NAME, error);
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
  load_grants(agent);
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
