/* SPDX-License-Identifier: Apache-2.0 */
/* Who agreed, and whether that is who was asked: distinct people, reviewers of
 * the groups that are named, never whose request it is. */
#include "approve/private.h"
#include <string.h>

/* Approvers of a rule and people who answered: policies name 16 at most, and
 * each of them answers once for each kind. */
#define MAX_PEOPLE 64

/* ---- Who is who ----------------------------------------------------------
 */

/* Names count, too: two who only seem to be one cannot both answer, which is
 * better than one who answers twice. */
static bool
same_person(const char *user,
            const char *issuer,
            const char *subject,
            const char *other_user,
            const char *other_issuer,
            const char *other_subject)
{
  if (subject && other_subject && g_strcmp0(issuer, other_issuer) == 0 &&
      strcmp(subject, other_subject) == 0)
    return true;
  return user && other_user && g_ascii_strcasecmp(user, other_user) == 0;
}

bool
is_requester(const HeldRequest *request, const Answerer *by)
{
  return same_person(request->user,
                     request->issuer,
                     request->subject,
                     by->user,
                     by->issuer,
                     by->subject);
}

static bool
is_in(const HeldRequest *request, const char *group, const Answerer *by)
{
  if (!group)
    return false;
  if (by->reviews && g_strv_contains(by->reviews, group))
    return true;
  if (request->policy)
    return policy_in_group(request->policy, group, by->groups);
  return by->groups && g_strv_contains(by->groups, group);
}

static PolicyApprovers
first_of(const ApproveNeed *need)
{
  return (PolicyApprovers){
      need->approvers, need->n_approvers, need->needed, need->by};
}

/* Whom the need asks now, first and next. */
static unsigned
asked_by(const ApproveNeed *need, PolicyApprovers asked[2])
{
  asked[0] = first_of(need);
  asked[1] = need->next;
  return need->escalated ? 2 : 1;
}

bool
need_asks(const ApproveNeed *need, ApproverKind kind)
{
  PolicyApprovers asked[2];
  const unsigned n = asked_by(need, asked);

  for (unsigned i = 0; i < n; i++)
    for (unsigned j = 0; j < asked[i].n; j++)
      if (asked[i].list[j].kind == kind)
        return true;
  return false;
}

char **
reviews_of(const HeldRequest *request, const Answerer *by)
{
  g_autoptr(GStrvBuilder) groups = g_strv_builder_new();

  for (unsigned i = 0; i < request->needs->len; i++) {
    PolicyApprovers asked[2];
    const unsigned n = asked_by(request->needs->pdata[i], asked);

    for (unsigned j = 0; j < n; j++)
      for (unsigned k = 0; k < asked[j].n; k++) {
        const Approver *approver = &asked[j].list[k];

        if (approver->kind == APPROVER_REVIEWER &&
            is_in(request, approver->group, by))
          g_strv_builder_add(groups, approver->group);
      }
  }
  return g_strv_builder_end(groups);
}

/* ---- Who agreed ----------------------------------------------------------
 */

static bool
answers_for(const Approver *approver, const GivenAnswer *given)
{
  if (given->answer == ANSWER_DENY || given->kind != approver->kind)
    return false;
  return approver->kind != APPROVER_REVIEWER ||
         (given->reviews && approver->group &&
          g_strv_contains((const char *const *)given->reviews,
                          approver->group));
}

/* The people among those who answered: each person's first answer. */
typedef struct {
  const GPtrArray *answers;
  const GivenAnswer *people[MAX_PEOPLE];
  unsigned n;
} People;

static bool
is_same(const GivenAnswer *a, const GivenAnswer *b)
{
  return same_person(
      a->who, a->issuer, a->subject, b->who, b->issuer, b->subject);
}

static void
people_init(People *people, const GPtrArray *answers)
{
  *people = (People){.answers = answers};
  for (unsigned i = 0; i < answers->len; i++) {
    const GivenAnswer *given = answers->pdata[i];
    bool known = false;

    for (unsigned j = 0; j < people->n; j++)
      known = known || is_same(people->people[j], given);
    if (!known && people->n < MAX_PEOPLE)
      people->people[people->n++] = given;
  }
}

static bool
agrees(const People *people, unsigned person, const Approver *approver)
{
  for (unsigned i = 0; i < people->answers->len; i++) {
    const GivenAnswer *given = people->answers->pdata[i];

    if (is_same(people->people[person], given) && answers_for(approver, given))
      return true;
  }
  return false;
}

/* One person for each reviewers' group, nobody for two of them: finds one for
 * this approver, moving others on where they can stand for another group. */
static bool
assign(const People *people,
       const PolicyApprovers *who,
       unsigned approver,
       int taken[MAX_PEOPLE],
       bool tried[MAX_PEOPLE])
{
  for (unsigned i = 0; i < people->n; i++) {
    if (tried[i] || !agrees(people, i, &who->list[approver]))
      continue;
    tried[i] = true;
    if (taken[i] < 0 || assign(people, who, (unsigned)taken[i], taken, tried)) {
      taken[i] = (int)approver;
      return true;
    }
  }
  return false;
}

static bool
all_agree(const People *people, const PolicyApprovers *who)
{
  int taken[MAX_PEOPLE];

  for (unsigned i = 0; i < MAX_PEOPLE; i++)
    taken[i] = -1;
  for (unsigned i = 0; i < who->n; i++) {
    const Approver *approver = &who->list[i];
    bool tried[MAX_PEOPLE] = {false};
    bool fine = false;

    /* One person may be two of the others: the developer who proves
     * presence. */
    if (approver->kind == APPROVER_REVIEWER)
      fine = assign(people, who, i, taken, tried);
    for (unsigned j = 0; approver->kind != APPROVER_REVIEWER && j < people->n;
         j++)
      fine = fine || agrees(people, j, approver);
    if (!fine)
      return false;
  }
  return true;
}

static unsigned
count_agreed(const People *people, const PolicyApprovers *who)
{
  unsigned n = 0;

  for (unsigned i = 0; i < people->n; i++) {
    bool one = false;

    for (unsigned j = 0; j < who->n; j++)
      one = one || agrees(people, i, &who->list[j]);
    n += one;
  }
  return n;
}

static bool
met(const PolicyApprovers *who, const People *people)
{
  switch (who->by) {
  case BY_ALL:
    return all_agree(people, who);
  case BY_ANY:
    return count_agreed(people, who) > 0;
  case BY_COUNT:
    return count_agreed(people, who) >= who->needed;
  }
  return false;
}

bool
need_is_met(const ApproveNeed *need, const GPtrArray *answers)
{
  PolicyApprovers asked[2];
  const unsigned n = asked_by(need, asked);
  People people;

  people_init(&people, answers);
  for (unsigned i = 0; i < n; i++)
    if (met(&asked[i], &people))
      return true;
  return false;
}

/* ---- Who could -----------------------------------------------------------
 */

static bool
can_answer(const Approver *approver, unsigned kinds)
{
  return (kinds & 1u << approver->kind) != 0;
}

static bool
could_be_met(const PolicyApprovers *who, unsigned kinds)
{
  unsigned able = 0, others = 0;

  for (unsigned i = 0; i < who->n; i++)
    if (can_answer(&who->list[i], kinds)) {
      able++;
      others += who->list[i].kind == APPROVER_REVIEWER;
    }
  switch (who->by) {
  case BY_ALL:
    return able == who->n;
  case BY_ANY:
    return able > 0;
  case BY_COUNT:
    /* Developer and presence are one person; reviewers are any number. */
    return others > 0 || (able > 0 && who->needed <= 1);
  }
  return false;
}

char *
need_is_hopeless(const ApproveNeed *need, unsigned kinds)
{
  const PolicyApprovers first = first_of(need);

  if (could_be_met(&first, kinds) ||
      (need->escalate_after && could_be_met(&need->next, kinds)))
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
