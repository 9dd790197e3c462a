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
  need->approvers = g_new0(Approver, rule->n_approvers);
  for (unsigned i = 0; i < rule->n_approvers; i++) {
    need->approvers[i].kind = rule->approvers[i].kind;
    need->approvers[i].group = g_strdup(rule->approvers[i].group);
  }
  return need;
}

static void
need_free(void *data)
{
  ApproveNeed *need = data;

  for (unsigned i = 0; i < need->n_approvers; i++)
    g_free(need->approvers[i].group);
  g_free(need->approvers);
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
  g_ptr_array_unref(request->needs);
  wipe_free(request->text);
  wipe_free(request->masked_text);
  g_free(request);
}

GivenAnswer *
given_answer_copy(const GivenAnswer *answer)
{
  GivenAnswer *copy = g_new0(GivenAnswer, 1);

  *copy = *answer;
  copy->who = g_strdup(answer->who);
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
  g_free(answer->how);
  g_free(answer->grant);
  g_free(answer->reason);
  g_free(answer);
}

static bool
answers_for(const Approver *approver,
            const GPtrArray *answers,
            GHashTable *people)
{
  bool any = false;

  for (unsigned i = 0; i < answers->len; i++) {
    const GivenAnswer *given = answers->pdata[i];

    if (given->answer == ANSWER_DENY || given->kind != approver->kind)
      continue;
    any = true;
    g_hash_table_add(people, given->who);
  }
  return any;
}

/* Reviewers are second pairs of eyes: where several are named, so many people
 * must have looked, whatever groups one of them is in. */
static unsigned
reviewers_named(const ApproveNeed *need)
{
  unsigned n = 0;

  for (unsigned i = 0; i < need->n_approvers; i++)
    n += need->approvers[i].kind == APPROVER_REVIEWER;
  return n;
}

static unsigned
reviewers_who_agreed(const GPtrArray *answers)
{
  g_autoptr(GHashTable) people = g_hash_table_new(g_str_hash, g_str_equal);

  for (unsigned i = 0; i < answers->len; i++) {
    const GivenAnswer *given = answers->pdata[i];

    if (given->kind == APPROVER_REVIEWER && given->answer != ANSWER_DENY)
      g_hash_table_add(people, given->who);
  }
  return g_hash_table_size(people);
}

bool
need_is_met(const ApproveNeed *need, const GPtrArray *answers)
{
  g_autoptr(GHashTable) people = g_hash_table_new(g_str_hash, g_str_equal);
  unsigned kinds = 0;

  for (unsigned i = 0; i < need->n_approvers; i++)
    kinds += answers_for(&need->approvers[i], answers, people);
  switch (need->by) {
  case BY_ALL:
    /* One person may be two of them: the developer who proves presence. */
    return kinds == need->n_approvers &&
           reviewers_who_agreed(answers) >= reviewers_named(need);
  case BY_ANY:
    return kinds > 0;
  case BY_COUNT:
    return g_hash_table_size(people) >= need->needed;
  }
  return false;
}

static bool
can_answer(const Approver *approver, unsigned kinds)
{
  return (kinds & 1u << approver->kind) != 0;
}

static bool
could_be_met(const ApproveNeed *need, unsigned kinds)
{
  unsigned able = 0, others = 0;

  for (unsigned i = 0; i < need->n_approvers; i++)
    if (can_answer(&need->approvers[i], kinds)) {
      able++;
      others += need->approvers[i].kind == APPROVER_REVIEWER;
    }
  switch (need->by) {
  case BY_ALL:
    return able == need->n_approvers;
  case BY_ANY:
    return able > 0;
  case BY_COUNT:
    /* Developer and presence are one person; reviewers are any number. */
    return others > 0 || (able > 0 && need->needed <= 1);
  }
  return false;
}

char *
need_is_hopeless(const ApproveNeed *need, unsigned kinds)
{
  if (could_be_met(need, kinds))
    return NULL;
  for (unsigned i = 0; i < need->n_approvers; i++) {
    const Approver *approver = &need->approvers[i];

    if (can_answer(approver, kinds))
      continue;
    if (approver->kind == APPROVER_REVIEWER)
      return g_strdup_printf("a reviewer of \"%s\" must agree, and no hub is "
                             "set up here through which one could",
                             approver->group ? approver->group : "?");
    return g_strdup_printf("a yes by %s is asked for, which cannot be given "
                           "here",
                           approver_kind_name(approver->kind));
  }
  return g_strdup("more people must agree than can be asked here");
}
