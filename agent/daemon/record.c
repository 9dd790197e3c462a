/* SPDX-License-Identifier: Apache-2.0 */
/* Rows about the agent itself: start, stop, policy, pause. */
#include "daemon/private.h"
#include "kit/clock.h"

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
  person = identity_current(agent->identity, NULL, NULL);
  row = journal_row_new(kind);
  row->wall_us = clock_wall_us();
  row->verdict = g_strdup(verdict);
  row->detail = g_strdup(detail);
  row->policy_revision = g_strdup(policy_revision(agent->policy));
  if (person) {
    row->user = g_strdup(person->user);
    row->issuer = g_strdup(person->issuer);
  }
  journal_append(agent->journal, row, agent->main_loop, NULL, NULL);
}
