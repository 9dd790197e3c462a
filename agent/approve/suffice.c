/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what people said, and where that is not enough what they said before
 * (grants), meets all that a request is asked for. */
#include "approve/private.h"

static bool
holds_grant(const GPtrArray *answers, const char *id)
{
  for (unsigned i = 0; i < answers->len; i++) {
    const GivenAnswer *given = answers->pdata[i];

    if (g_strcmp0(given->grant, id) == 0)
      return true;
  }
  return false;
}

/* The answers and those of `more`, borrowed. */
static bool
met_with(const ApproveNeed *need,
         const GPtrArray *answers,
         const GPtrArray *more)
{
  g_autoptr(GPtrArray) all = g_ptr_array_new();

  for (unsigned i = 0; i < answers->len; i++)
    g_ptr_array_add(all, answers->pdata[i]);
  for (unsigned i = 0; i < more->len; i++)
    g_ptr_array_add(all, more->pdata[i]);
  return need_is_met(need, all);
}

/* A grant for the whole text comes before one for the masked. */
static bool
met_by_grants(const HeldRequest *request,
              const ApproveNeed *need,
              const GPtrArray *answers,
              Grants *grants,
              GPtrArray *used)
{
  g_autoptr(GPtrArray) more = g_ptr_array_new_with_free_func(given_answer_free);
  bool met;

  grants_answer(grants, request, need, false, more);
  met = met_with(need, answers, more);
  if (!met) {
    grants_answer(grants, request, need, true, more);
    met = met_with(need, answers, more);
  }
  for (unsigned i = 0; met && i < more->len; i++) {
    const GivenAnswer *given = more->pdata[i];

    if (!holds_grant(used, given->grant))
      g_ptr_array_add(used, given_answer_copy(given));
  }
  return met;
}

bool
request_is_met(const HeldRequest *request,
               const GPtrArray *answers,
               Grants *grants,
               GPtrArray *used)
{
  for (unsigned i = 0; i < request->needs->len; i++) {
    const ApproveNeed *need = request->needs->pdata[i];

    if (!need_is_met(need, answers) &&
        (!grants || !met_by_grants(request, need, answers, grants, used)))
      return false;
  }
  return true;
}

bool
request_wants_presence(const HeldRequest *request, const GPtrArray *answers)
{
  GivenAnswer click = {.who = request->user,
                       .issuer = request->issuer,
                       .subject = request->subject,
                       .kind = APPROVER_DEVELOPER,
                       .answer = ANSWER_APPROVE};
  g_autoptr(GPtrArray) clicked = g_ptr_array_new();

  g_ptr_array_add(clicked, &click);
  for (unsigned i = 0; i < request->needs->len; i++) {
    const ApproveNeed *need = request->needs->pdata[i];

    if (need_asks(need, APPROVER_PRESENCE) && !need_is_met(need, answers) &&
        !met_with(need, answers, clicked))
      return true;
  }
  return false;
}

bool
any_masked(const GPtrArray *answers)
{
  for (unsigned i = 0; i < answers->len; i++)
    if (((const GivenAnswer *)answers->pdata[i])->answer ==
        ANSWER_APPROVE_MASKED)
      return true;
  return false;
}
