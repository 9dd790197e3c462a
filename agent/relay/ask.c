/* SPDX-License-Identifier: Apache-2.0 */
/* What reviewers are asked about a held request: its masked text and, for each
 * rule, how many people of which groups. */
#include "kit/json.h"
#include "relay/private.h"
#include <string.h>

static char **
groups_of(const PolicyApprovers *who)
{
  g_autoptr(GStrvBuilder) groups = g_strv_builder_new();

  for (unsigned i = 0; i < who->n; i++)
    if (who->list[i].kind == APPROVER_REVIEWER && who->list[i].group)
      g_strv_builder_add(groups, who->list[i].group);
  return g_strv_builder_end(groups);
}

/* The reviewers of `who`: the developer and presence are one person of the
 * count, whom the queue waits for itself. */
static unsigned
count_of(const PolicyApprovers *who)
{
  bool own = false;

  for (unsigned i = 0; i < who->n; i++)
    own = own || who->list[i].kind != APPROVER_REVIEWER;
  if (who->by != BY_COUNT)
    return 1;
  return own && who->needed > 1 ? who->needed - 1 : MAX(who->needed, 1);
}

/* Once it is escalated either of both will do: whoever is asked next, or the
 * first where those are the only reviewers. The queue judges in the end. */
static void
add_rule(ReviewAsk *ask, const ApproveNeed *need)
{
  const PolicyApprovers first = {
      need->approvers, need->n_approvers, need->needed, need->by};
  const PolicyApprovers *who = &first;
  g_auto(GStrv) groups = groups_of(&first);

  if (need->escalated) {
    g_auto(GStrv) next = groups_of(&need->next);

    if (next[0]) {
      g_strfreev(groups);
      groups = g_steal_pointer(&next);
      who = &need->next;
    }
  }
  if (groups[0])
    review_ask_add_rule(ask,
                        need->rule_id,
                        need->message,
                        (const char *const *)groups,
                        count_of(who),
                        who->by == BY_ALL);
}

ReviewAsk *
ask_make(const PendingView *pending)
{
  const HeldRequest *request = pending->request;
  g_autoptr(ReviewAsk) ask = review_ask_new();
  uint8_t id[REVIEW_ID_BYTES];

  for (unsigned i = 0; i < request->needs->len; i++)
    add_rule(ask, request->needs->pdata[i]);
  if (ask->rules->len == 0)
    return NULL;
  random_bytes(id, sizeof id);
  hex_encode(id, sizeof id, ask->id);
  ask->exchange = g_strdup(request->exchange);
  ask->masks = request->can_mask;
  memcpy(ask->digest,
         request->can_mask ? request->masked_digest : request->digest,
         SHA256_LEN);
  ask->policy_revision = g_strdup(request->policy_revision ?: "");
  ask->client = g_strdup(request->client);
  ask->process = g_strdup(request->process);
  ask->connection = g_strdup(request->connection);
  ask->host = g_strdup(request->host);
  ask->api = g_strdup(request->api);
  ask->model = g_strdup(request->model);
  /* Where nothing can be masked both are the same; the masked one is never
   * less. */
  ask->text = g_strdup(request->masked_text ? request->masked_text
                       : request->can_mask  ? ""
                                            : request->text);
  ask->n_findings = request->n_findings;
  ask->needs_reason = held_needs_reason(request);
  ask->deadline_us = pending->deadline_us;
  return g_steal_pointer(&ask);
}

bool
ask_is_whole(const PendingView *pending, const ReviewAsk *ask)
{
  const GArray *marks = pending->request->marks;

  for (unsigned i = 0; marks && i < marks->len; i++)
    if (g_array_index(marks, ShownMark, i).kind == SHOWN_GAP)
      return false;
  return strlen(ask->text) <= REVIEW_MAX_TEXT;
}

char *
ask_shape(const ReviewAsk *ask)
{
  GString *out = g_string_new(NULL);

  for (guint i = 0; i < ask->rules->len; i++) {
    const ReviewRule *rule = ask->rules->pdata[i];
    g_autofree char *groups = g_strjoinv("\n", rule->groups);

    g_string_append_printf(
        out, "%s\n%s\n%u %d\n\n", rule->id, groups, rule->count, rule->each);
  }
  return g_string_free(out, FALSE);
}
