/* SPDX-License-Identifier: Apache-2.0 */
/* The control interface: grants, listed and revoked. */
#include "daemon/private.h"
#include <string.h>

typedef struct {
  struct agent *agent;
  GDBusMethodInvocation *call;
} List;

static void
add_rules(GVariantDict *dict, const GPtrArray *rules)
{
  g_autoptr(GStrvBuilder) ids = g_strv_builder_new();
  g_auto(GStrv) list = NULL;

  for (unsigned i = 0; i < rules->len; i++)
    g_strv_builder_add(ids, ((const GrantRule *)rules->pdata[i])->id);
  list = g_strv_builder_end(ids);
  g_variant_dict_insert(dict, "rules", "^as", list);
}

static GVariant *
describe(const Grants *grants, const Grant *grant)
{
  const char *conversation =
      grant->session ? strchr(grant->session, '\n') : NULL;
  GVariantDict dict;

  g_variant_dict_init(&dict, NULL);
  control_add_text(&dict, "id", grant->id);
  control_add_text(&dict, "who", grant->who);
  control_add_text(&dict, "approver", approver_kind_name(grant->kind));
  control_add_text(&dict, "reason", grant->reason);
  control_add_text(&dict, "prompt", grant->exchange);
  control_add_text(&dict, "user", grant->user);
  control_add_text(&dict, "issuer", grant->issuer);
  control_add_text(&dict, "client", grant->client);
  control_add_text(&dict, "connection", grant->connection);
  if (conversation && conversation[1])
    control_add_text(&dict, "conversation", conversation + 1);
  add_rules(&dict, grant->rules);
  g_variant_dict_insert(&dict, "denies", "b", grant->denies);
  g_variant_dict_insert(&dict, "masked", "b", grant->masked);
  g_variant_dict_insert(&dict, "session", "b", grant->session != NULL);
  g_variant_dict_insert(&dict, "since_us", "x", (gint64)grant->since_us);
  g_variant_dict_insert(&dict, "until_us", "x", (gint64)grant->until_us);
  g_variant_dict_insert(
      &dict, "left_us", "x", (gint64)grants_left_us(grants, grant));
  g_variant_dict_insert(&dict, "uses", "t", (guint64)grant->uses);
  if (grant->last_us)
    g_variant_dict_insert(&dict, "last_us", "x", (gint64)grant->last_us);
  return g_variant_dict_end(&dict);
}

static void
list_ready(void *data)
{
  List *list = data;
  Grants *grants = list->agent->grants;
  const GPtrArray *all;
  GVariantBuilder out;

  all = grants_list(grants);
  g_variant_builder_init(&out, G_VARIANT_TYPE("aa{sv}"));
  for (unsigned i = 0; i < all->len; i++)
    g_variant_builder_add_value(&out, describe(grants, all->pdata[i]));
  hoop_agent1_complete_grants(
      list->agent->skeleton, list->call, g_variant_builder_end(&out));
  g_free(list);
}

static gboolean
on_grants(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  struct agent *agent = data;
  List *list = g_new0(List, 1);

  (void)skeleton;
  list->agent = agent;
  list->call = call;
  grants_refresh(agent, list_ready, list);
  return TRUE;
}

static gboolean
on_revoke(HoopAgent1 *skeleton,
          GDBusMethodInvocation *call,
          const char *id,
          gpointer data)
{
  struct agent *agent = data;
  g_autoptr(GError) error = NULL;

  if (!grants_revoke(agent->grants, id, &error))
    control_fail(call, error);
  else
    hoop_agent1_complete_revoke(skeleton, call);
  return TRUE;
}

void
control_grants_connect(struct agent *agent)
{
  HoopAgent1 *skeleton = agent->skeleton;

  g_signal_connect(skeleton, "handle-grants", G_CALLBACK(on_grants), agent);
  g_signal_connect(skeleton, "handle-revoke", G_CALLBACK(on_revoke), agent);
}
