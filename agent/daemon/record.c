/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about the agent itself: start, stop, policy, pause,
 * sign-in. */
#include "daemon/private.h"
#include "kit/clock.h"

const Person *
agent_person(struct agent *agent)
{
  for (unsigned i = 0; i < identity_count(agent->identity); i++) {
    SessionInfo session = identity_session(agent->identity, i);
    const Person *person =
        identity_current(agent->identity, session.issuer, NULL);

    if (person)
      return person;
  }
  return NULL;
}

static void
append(struct agent *agent, const Person *person, JournalRow *row)
{
  row->wall_us = clock_wall_us();
  row->policy_revision = g_strdup(policy_revision(agent->policy));
  if (person) {
    row->user = g_strdup(person->user);
    row->issuer = g_strdup(person->issuer);
  }
  journal_append(agent->journal, row, agent->main_loop, NULL, NULL);
}

void
record_agent(struct agent *agent,
             RowKind kind,
             const char *verdict,
             const char *detail)
{
  g_autoptr(PersonRef) person = NULL;
  JournalRow *row;

  if (!agent->journal)
    return;
  person = agent_person(agent);
  row = journal_row_new(kind);
  row->verdict = g_strdup(verdict);
  row->detail = g_strdup(detail);
  append(agent, person, row);
}

void
record_signin(struct agent *agent,
              const Person *person,
              const char *issuer,
              const char *verdict,
              const char *detail)
{
  JournalRow *row;

  if (!agent->journal)
    return;
  row = journal_row_new(ROW_SIGNIN);
  row->verdict = g_strdup(verdict);
  row->detail = g_strdup(detail);
  if (!person)
    row->issuer = g_strdup(issuer);
  else if (person->groups)
    row->groups = g_strjoinv(",", person->groups);
  append(agent, person, row);
}
