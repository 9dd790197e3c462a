/* SPDX-License-Identifier: Apache-2.0 */
/* The published policies: kept, rolled out by group, and which agents run what.
 */
#ifndef HOOP_HUB_BUNDLES_H
#define HOOP_HUB_BUNDLES_H

#include "bundle/bundle.h"
#include "hub/store/store.h"

/* Everybody, also whose groups are not known. */
#define BUNDLES_EVERYBODY "*"

/* Its tables, made or brought to this version. DB_ERROR. */
bool bundles_migrate(Db *db, GError **error);

/* The next version's number: one more than any that was published; 0 with
 * error. */
int64_t bundles_next(Db *db, GError **error);
/* Keeps a sealed bundle. CONFLICT: its version is there. */
DbResult bundles_add(Db *db,
                     const Bundle *bundle,
                     GBytes *sealed,
                     const Actor *by,
                     GError **error);
/* CONFLICT: there is no such version, or the group has a later one: only what
 * is published anew comes after it. */
DbResult bundles_roll_out(Db *db,
                          const char *group,
                          int64_t version,
                          const Actor *by,
                          int64_t now_us,
                          GError **error);
/* The bytes of a version; NULL without error: there is none. */
GBytes *bundles_get(Db *db, int64_t version, GError **error);

/* What a group runs, or what was published. */
typedef struct {
  char *group; /* NULL: no group has it yet */
  int64_t version, not_before_us, expires_us, at_us;
  char *name, *digest;
} Rollout;
/* Of Rollout: for each group its version; published: each version instead, the
 * newest first, 100 at most. NULL with error. */
GPtrArray *bundles_rollouts(Db *db, bool published, GError **error);
/* The one for a person of these groups (NULL: not known) at this time: the
 * latest version that any of the groups has; borrowed, NULL: none. */
const Rollout *bundles_choose(const GPtrArray *rollouts,
                              char *const *groups,
                              int64_t now_us);

/* What a machine said last that it runs. A report that is not younger than the
 * last is left out. */
DbResult bundles_report(Db *db,
                        const char *machine,
                        const BundleReport *report,
                        int64_t now_us,
                        GError **error);
typedef struct {
  char *machine, *name, *user, *version, *revision, *problem; /* or NULL */
  int64_t bundle, seen_us;
} MachineState;
/* Of MachineState, all machines, by user. NULL with error. */
GPtrArray *bundles_states(Db *db, GError **error);

#endif
