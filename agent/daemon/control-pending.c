/* SPDX-License-Identifier: Apache-2.0 */
/* The control interface: what waits, in a list and one with its text. */
#include "daemon/private.h"
#include <string.h>

static char *
approver_text(const Approver *approver)
{
  if (approver->group)
    return g_strdup_printf(
        "%s:%s", approver_kind_name(approver->kind), approver->group);
  return g_strdup(approver_kind_name(approver->kind));
}

static void
insert_list(GVariantDict *dict, const char *key, GStrvBuilder *builder)
{
  g_auto(GStrv) list = g_strv_builder_end(builder);

  g_variant_dict_insert(dict, key, "^as", list);
}

static void
add_approvers(GStrvBuilder *out, const Approver *list, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *text = approver_text(&list[i]);

    g_strv_builder_add(out, text);
  }
}

static void
add_needs(GVariantDict *dict, const GPtrArray *needs)
{
  g_autoptr(GStrvBuilder) rules = g_strv_builder_new();
  g_autoptr(GStrvBuilder) messages = g_strv_builder_new();
  g_autoptr(GStrvBuilder) approvers = g_strv_builder_new();
  g_autoptr(GStrvBuilder) next = g_strv_builder_new();
  bool escalated = false;

  for (unsigned i = 0; i < needs->len; i++) {
    const ApproveNeed *need = needs->pdata[i];

    g_strv_builder_add(rules, need->rule_id);
    g_strv_builder_add(messages, need->message ? need->message : "");
    add_approvers(approvers, need->approvers, need->n_approvers);
    if (need->escalated)
      add_approvers(approvers, need->next.list, need->next.n);
    add_approvers(next, need->next.list, need->next.n);
    escalated = escalated || need->escalated;
  }
  insert_list(dict, "rules", rules);
  insert_list(dict, "messages", messages);
  insert_list(dict, "approvers", approvers);
  insert_list(dict, "escalate_to", next);
  g_variant_dict_insert(dict, "escalated", "b", escalated);
}

/* Who said yes so far. */
static void
add_answers(GVariantDict *dict, const GPtrArray *answers)
{
  g_autoptr(GStrvBuilder) list = g_strv_builder_new();

  for (unsigned i = 0; i < answers->len; i++) {
    const GivenAnswer *given = answers->pdata[i];
    g_autofree char *text =
        g_strdup_printf("%s %s", approver_kind_name(given->kind), given->who);
    g_autofree char *valid = g_utf8_make_valid(text, -1);

    g_strv_builder_add(list, valid);
  }
  insert_list(dict, "answered", list);
}

/* What an answer takes, and how long there is for it. */
static void
add_terms(GVariantDict *dict, const PendingView *pending)
{
  const HeldRequest *request = pending->request;

  control_add_text(dict, "risk", risk_name(held_risk(request)));
  g_variant_dict_insert(dict, "presence", "b", pending->presence);
  g_variant_dict_insert(dict, "needs_reason", "b", held_needs_reason(request));
  g_variant_dict_insert(
      dict, "can_remember", "b", approve_can_remember(request));
  g_variant_dict_insert(dict, "extensions", "u", (guint32)pending->extensions);
  g_variant_dict_insert(dict, "extend_us", "x", (gint64)pending->extend_us);
  if (pending->escalate_us)
    g_variant_dict_insert(
        dict, "escalate_us", "x", (gint64)pending->escalate_us);
  add_answers(dict, pending->answers);
}

static bool
can_grant(const GPtrArray *needs)
{
  for (unsigned i = 0; i < needs->len; i++)
    if (((const ApproveNeed *)needs->pdata[i])->no_grants)
      return false;
  return true;
}

static void
describe(const PendingView *pending, GVariantDict *dict)
{
  const HeldRequest *request = pending->request;

  control_add_text(dict, "id", request->exchange);
  control_add_text(dict, "user", request->user);
  control_add_text(dict, "client", request->client);
  control_add_text(dict, "process", request->process);
  control_add_text(dict, "connection", request->connection);
  control_add_text(dict, "host", request->host);
  control_add_text(dict, "api", request->api);
  control_add_text(dict, "model", request->model);
  control_add_text(dict, "policy_revision", request->policy_revision);
  add_needs(dict, request->needs);
  g_variant_dict_insert(dict, "findings", "u", request->n_findings);
  g_variant_dict_insert(dict, "can_mask", "b", request->can_mask);
  g_variant_dict_insert(dict,
                        "can_grant",
                        "b",
                        can_grant(request->needs) &&
                            approve_can_remember(request));
  g_variant_dict_insert(dict, "since_us", "x", pending->since_us);
  g_variant_dict_insert(dict, "deadline_us", "x", pending->deadline_us);
  g_variant_dict_insert(dict, "waiting", "u", pending->waiting);
  add_terms(dict, pending);
}

static void
list_one(const PendingView *pending, void *data)
{
  GVariantBuilder *list = data;
  GVariantDict dict;

  g_variant_dict_init(&dict, NULL);
  describe(pending, &dict);
  g_variant_builder_add_value(list, g_variant_dict_end(&dict));
}

static gboolean
on_pending(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  struct agent *agent = data;
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  approve_pending(agent->approve, list_one, &list);
  hoop_agent1_complete_pending(skeleton, call, g_variant_builder_end(&list));
  return TRUE;
}

typedef struct {
  const char *id;
  GVariant *found;
} Find;

static void
add_marks(GVariantDict *dict, const GArray *marks)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("a(uussss)"));
  for (unsigned i = 0; marks && i < marks->len; i++) {
    const ShownMark *mark = &g_array_index(marks, ShownMark, i);

    g_variant_builder_add(&list,
                          "(uussss)",
                          (guint32)mark->start,
                          (guint32)mark->end,
                          shown_kind_name(mark->kind),
                          mark->name ?: "",
                          mark->where ?: "",
                          mark->more ?: "");
  }
  g_variant_dict_insert_value(dict, "marks", g_variant_builder_end(&list));
}

static void
find_one(const PendingView *pending, void *data)
{
  const HeldRequest *request = pending->request;
  char digest[SHA256_HEX_SIZE];
  Find *find = data;
  GVariantDict dict;

  if (!g_str_equal(request->exchange, find->id))
    return;
  g_variant_dict_init(&dict, NULL);
  describe(pending, &dict);
  control_add_text(&dict, "text", request->text);
  control_add_text(&dict, "masked_text", request->masked_text);
  add_marks(&dict, request->marks);
  if (request->groups)
    g_variant_dict_insert(&dict, "groups", "^as", request->groups);
  hex_encode(request->digest, SHA256_LEN, digest);
  control_add_text(&dict, "digest", digest);
  hex_encode(request->masked_digest, SHA256_LEN, digest);
  control_add_text(&dict, "masked_digest", digest);
  control_add_text(&dict, "nonce", pending->nonce);
  find->found = g_variant_ref_sink(g_variant_dict_end(&dict));
}

static gboolean
on_review(HoopAgent1 *skeleton,
          GDBusMethodInvocation *call,
          const char *id,
          gpointer data)
{
  struct agent *agent = data;
  Find find = {.id = id};

  approve_pending(agent->approve, find_one, &find);
  if (!find.found) {
    g_dbus_method_invocation_return_error(
        call,
        BUS_ERROR,
        BUS_ERROR_NOT_FOUND,
        "%s does not wait (any more); `hoop-agent pending` lists what does",
        id);
    return TRUE;
  }
  hoop_agent1_complete_review(skeleton, call, find.found);
  g_variant_unref(find.found);
  return TRUE;
}

void
control_pending_connect(struct agent *agent)
{
  HoopAgent1 *skeleton = agent->skeleton;

  g_signal_connect(skeleton, "handle-pending", G_CALLBACK(on_pending), agent);
  g_signal_connect(skeleton, "handle-review", G_CALLBACK(on_review), agent);
}
