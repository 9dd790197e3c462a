/* SPDX-License-Identifier: Apache-2.0 */
/* What is held and what was answered: plain data, made and freed. */
#include "approve/approve.h"
#include "approve/private.h"
#include <string.h>

G_DEFINE_QUARK(hoop_approve_error, approve_error)

const char *
outcome_name(Outcome outcome)
{
  switch (outcome) {
  case OUTCOME_APPROVED:
    return "approved";
  case OUTCOME_APPROVED_MASKED:
    return "approved-masked";
  case OUTCOME_DENIED:
    return "denied";
  case OUTCOME_TIMEOUT:
    return "timeout";
  case OUTCOME_WITHDRAWN:
    return "withdrawn";
  case OUTCOME_REFUSED:
    break;
  }
  return "refused";
}

static Approver *
copy_approvers(const Approver *list, unsigned n)
{
  Approver *copy = g_new0(Approver, n);

  for (unsigned i = 0; i < n; i++)
    copy[i] = (Approver){list[i].kind, g_strdup(list[i].group)};
  return copy;
}

static void
free_approvers(Approver *list, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    g_free(list[i].group);
  g_free(list);
}

ApproveNeed *
approve_need_new(const PolicyRule *rule)
{
  ApproveNeed *need = g_new0(ApproveNeed, 1);

  need->rule_id = g_strdup(rule->id);
  need->message = g_strdup(rule->message);
  need->n_approvers = rule->n_approvers;
  need->needed = rule->approvals_needed;
  need->by = rule->by;
  need->no_grants = rule->no_grants;
  memcpy(need->digest, rule->digest, SHA256_LEN);
  need->approvers = copy_approvers(rule->approvers, rule->n_approvers);
  need->escalate_after = rule->escalate_after;
  need->next = rule->next;
  need->next.list = copy_approvers(rule->next.list, rule->next.n);
  need->extend = rule->extend;
  need->risk = rule->risk;
  need->needs_reason = rule->needs_reason;
  return need;
}

Risk
held_risk(const HeldRequest *request)
{
  Risk risk = RISK_LOW;

  for (unsigned i = 0; i < request->needs->len; i++)
    risk = MAX(risk, ((const ApproveNeed *)request->needs->pdata[i])->risk);
  return request->needs->len ? risk : RISK_NORMAL;
}

bool
held_needs_reason(const HeldRequest *request)
{
  for (unsigned i = 0; i < request->needs->len; i++)
    if (((const ApproveNeed *)request->needs->pdata[i])->needs_reason)
      return true;
  return false;
}

static void
need_free(void *data)
{
  ApproveNeed *need = data;

  free_approvers(need->approvers, need->n_approvers);
  free_approvers(need->next.list, need->next.n);
  g_free(need->rule_id);
  g_free(need->message);
  g_free(need);
}

HeldRequest *
held_request_new(void)
{
  HeldRequest *request = g_new0(HeldRequest, 1);

  request->needs = g_ptr_array_new_with_free_func(need_free);
  return request;
}

/* Prompts hold what was not approved to leave: not left in freed memory. */
static void
wipe_free(char *text)
{
  if (text)
    secret_wipe(text, strlen(text));
  g_free(text);
}

const char *
shown_kind_name(ShownKind kind)
{
  static const char *const names[] = {"part", "finding", "masked", "gap"};

  return names[kind];
}

void
shown_mark_clear(void *data)
{
  ShownMark *mark = data;

  g_free(mark->name);
  g_free(mark->where);
  wipe_free(mark->more);
}

GArray *
shown_marks_new(void)
{
  GArray *marks = g_array_new(FALSE, FALSE, sizeof(ShownMark));

  g_array_set_clear_func(marks, shown_mark_clear);
  return marks;
}

void
held_request_free(HeldRequest *request)
{
  if (!request)
    return;
  g_free(request->exchange);
  g_free(request->user);
  g_free(request->client);
  g_free(request->process);
  g_free(request->connection);
  g_free(request->host);
  g_free(request->api);
  g_free(request->model);
  g_free(request->issuer);
  g_free(request->subject);
  g_free(request->session);
  g_free(request->policy_revision);
  policy_unref(request->policy);
  g_ptr_array_unref(request->needs);
  wipe_free(request->text);
  wipe_free(request->masked_text);
  g_clear_pointer(&request->marks, g_array_unref);
  g_strfreev(request->groups);
  g_free(request);
}

GivenAnswer *
given_answer_copy(const GivenAnswer *answer)
{
  GivenAnswer *copy = g_new0(GivenAnswer, 1);

  *copy = *answer;
  copy->who = g_strdup(answer->who);
  copy->issuer = g_strdup(answer->issuer);
  copy->subject = g_strdup(answer->subject);
  copy->reviews = g_strdupv(answer->reviews);
  copy->how = g_strdup(answer->how);
  copy->grant = g_strdup(answer->grant);
  copy->reason = g_strdup(answer->reason);
  return copy;
}

void
given_answer_free(void *data)
{
  GivenAnswer *answer = data;

  g_free(answer->who);
  g_free(answer->issuer);
  g_free(answer->subject);
  g_strfreev(answer->reviews);
  g_free(answer->how);
  g_free(answer->grant);
  g_free(answer->reason);
  g_free(answer);
}
