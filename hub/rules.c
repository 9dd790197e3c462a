/* SPDX-License-Identifier: Apache-2.0 */
/* n of m over distinct people. */
#include "hub/rules.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
#define MAX_PEOPLE 64

bool
rules_same_person(const char *issuer,
                  const char *subject,
                  const char *user,
                  const char *other_issuer,
                  const char *other_subject,
                  const char *other_user)
{
  return (g_str_equal(issuer, other_issuer) &&
          g_str_equal(subject, other_subject)) ||
         g_ascii_strcasecmp(user, other_user) == 0;
}

static bool
is_in(const HubReviewers *reviewers, const Person *person)
{
  for (unsigned i = 0; reviewers && person->groups && reviewers->groups[i]; i++)
    if (g_str_equal(reviewers->groups[i], "*") ||
        g_strv_contains((const char *const *)person->groups,
                        reviewers->groups[i]))
      return true;
  return false;
}

/* Escalations follow one another, each counted from the beginning. */
static bool
speaks_for(const HubConfig *config,
           const char *name,
           const Person *person,
           int64_t waited_us)
{
  const HubReviewers *reviewers = hub_config_reviewers(config, name);

  for (guint i = 0; reviewers && i <= config->reviewers->len; i++) {
    if (is_in(reviewers, person))
      return true;
    if (!reviewers->escalation ||
        waited_us < reviewers->escalate_after * US_PER_S)
      return false;
    reviewers = hub_config_reviewers(config, reviewers->escalation);
  }
  return false;
}

char **
rules_speaks_for(const HubConfig *config,
                 const ReviewAsk *ask,
                 const Person *person,
                 int64_t waited_us)
{
  g_autoptr(GPtrArray) found = g_ptr_array_new();

  for (guint i = 0; i < ask->rules->len; i++) {
    const ReviewRule *rule = ask->rules->pdata[i];

    for (unsigned j = 0; rule->groups[j]; j++)
      if (!g_ptr_array_find_with_equal_func(
              found, rule->groups[j], g_str_equal, NULL) &&
          speaks_for(config, rule->groups[j], person, waited_us))
        g_ptr_array_add(found, g_strdup(rule->groups[j]));
  }
  g_ptr_array_add(found, NULL);
  return (char **)g_ptr_array_steal(found, NULL);
}

bool
rules_is_reviewer(const HubConfig *config, const Person *person)
{
  for (guint i = 0; i < config->reviewers->len; i++)
    if (is_in(config->reviewers->pdata[i], person))
      return true;
  return false;
}

int64_t
rules_next_escalation(const HubConfig *config,
                      const ReviewAsk *ask,
                      int64_t waited_us)
{
  int64_t next = 0;

  for (guint i = 0; i < ask->rules->len; i++) {
    const ReviewRule *rule = ask->rules->pdata[i];

    for (unsigned j = 0; rule->groups[j]; j++) {
      const HubReviewers *one = hub_config_reviewers(config, rule->groups[j]);

      for (guint k = 0; one && one->escalation && k < config->reviewers->len;
           k++) {
        const int64_t at = one->escalate_after * US_PER_S;

        if (at > waited_us && (next == 0 || at < next))
          next = at;
        one = hub_config_reviewers(config, one->escalation);
      }
    }
  }
  return next;
}

/* ---- When they suffice ----------------------------------------------------
 */

static bool
says(const ReviewVoice *voice, const char *group)
{
  return voice->answer != REVIEW_DENIED &&
         g_strv_contains((const char *const *)voice->groups, group);
}

/* A person for this group, moving others on where they can stand for another
 * group. */
static bool
assign(const GPtrArray *voices,
       const ReviewRule *rule,
       unsigned group,
       int taken[MAX_PEOPLE],
       bool tried[MAX_PEOPLE])
{
  for (guint i = 0; i < voices->len && i < MAX_PEOPLE; i++) {
    if (tried[i] || !says(voices->pdata[i], rule->groups[group]))
      continue;
    tried[i] = true;
    if (taken[i] < 0 ||
        assign(voices, rule, (unsigned)taken[i], taken, tried)) {
      taken[i] = (int)group;
      return true;
    }
  }
  return false;
}

/* The groups that have their person, as many as can be. */
static unsigned
each_have(const GPtrArray *voices, const ReviewRule *rule)
{
  int taken[MAX_PEOPLE];
  unsigned n = 0;

  for (unsigned i = 0; i < MAX_PEOPLE; i++)
    taken[i] = -1;
  for (unsigned i = 0; rule->groups[i]; i++) {
    bool tried[MAX_PEOPLE] = {false};

    n += assign(voices, rule, i, taken, tried);
  }
  return n;
}

static unsigned
count_have(const GPtrArray *voices, const ReviewRule *rule)
{
  unsigned n = 0;

  for (guint i = 0; i < voices->len; i++) {
    bool one = false;

    for (unsigned j = 0; rule->groups[j]; j++)
      one = one || says(voices->pdata[i], rule->groups[j]);
    n += one;
  }
  return n;
}

unsigned
rules_have(const ReviewRule *rule, const GPtrArray *voices, unsigned *need)
{
  *need = rule->each ? g_strv_length(rule->groups) : rule->count;
  return rule->each ? each_have(voices, rule) : count_have(voices, rule);
}

bool
rules_met(const ReviewAsk *ask, const GPtrArray *voices)
{
  for (guint i = 0; i < ask->rules->len; i++) {
    unsigned need;

    if (rules_have(ask->rules->pdata[i], voices, &need) < need)
      return false;
  }
  return true;
}
