/* SPDX-License-Identifier: Apache-2.0 */
/* Retention: the oldest rows go, in small steps; what is known of each journal
 * and the alerts stay. */
#include "hub/audit/private.h"

#define STEP 2000

bool
audit_prune(Db *db,
            int64_t before_us,
            int64_t *pruned,
            bool *more,
            GError **error)
{
  int64_t changed = 0;

  *more = false;
  if (db_run(db,
             &changed,
             error,
             "DELETE FROM audit_row WHERE received_us < $1 AND id IN"
             " (SELECT id FROM audit_row ORDER BY id LIMIT $2)",
             DB_INT(before_us),
             DB_INT(STEP)) != DB_DONE)
    return false;
  *pruned += changed;
  *more = changed == STEP;
  return true;
}
