/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of published policies. */
#include "hub/bundle/bundles.h"
#include "kit/clock.h"

#define MAX_PUBLISHED 100

static const DbVersion versions[] = {
    {.sqlite =
         "CREATE TABLE bundle(version BIGINT PRIMARY KEY, name TEXT NOT NULL,"
         " digest TEXT NOT NULL, not_before_us BIGINT NOT NULL,"
         " expires_us BIGINT NOT NULL, at_us BIGINT NOT NULL,"
         " bytes BLOB NOT NULL);"
         "CREATE TABLE bundle_rollout(grp TEXT PRIMARY KEY,"
         " version BIGINT NOT NULL REFERENCES bundle(version),"
         " at_us BIGINT NOT NULL) WITHOUT ROWID;"
         "CREATE TABLE bundle_state(machine TEXT PRIMARY KEY,"
         " version TEXT NOT NULL, revision TEXT NOT NULL,"
         " bundle BIGINT NOT NULL, problem TEXT, at_us BIGINT NOT NULL,"
         " seen_us BIGINT NOT NULL) WITHOUT ROWID;",
     .postgresql =
         "CREATE TABLE bundle(version BIGINT PRIMARY KEY, name TEXT NOT NULL,"
         " digest TEXT NOT NULL, not_before_us BIGINT NOT NULL,"
         " expires_us BIGINT NOT NULL, at_us BIGINT NOT NULL,"
         " bytes BYTEA NOT NULL);"
         "CREATE TABLE bundle_rollout(grp TEXT PRIMARY KEY,"
         " version BIGINT NOT NULL REFERENCES bundle(version),"
         " at_us BIGINT NOT NULL);"
         "CREATE TABLE bundle_state(machine TEXT PRIMARY KEY,"
         " version TEXT NOT NULL, revision TEXT NOT NULL,"
         " bundle BIGINT NOT NULL, problem TEXT, at_us BIGINT NOT NULL,"
         " seen_us BIGINT NOT NULL);"},
};
static const DbPart part = {"bundle", versions, G_N_ELEMENTS(versions)};

bool
bundles_migrate(Db *db, GError **error)
{
  return db_migrate(db, &part, error);
}

/* ---- publishing -----------------------------------------------------------
 */

int64_t
bundles_next(Db *db, GError **error)
{
  g_autoptr(DbRows) rows =
      db_query(db, error, "SELECT coalesce(max(version), 0)+1 FROM bundle");

  return rows && db_next(rows, error) ? db_int(rows, 0) : 0;
}

DbResult
bundles_add(Db *db,
            const Bundle *bundle,
            GBytes *sealed,
            const Actor *by,
            GError **error)
{
  g_autofree char *detail =
      g_strdup_printf("version %" G_GINT64_FORMAT " of %s, digest %s",
                      bundle->version,
                      bundle->name,
                      bundle->digest);
  const int64_t now = clock_wall_us();
  gsize len;
  const void *bytes = g_bytes_get_data(sealed, &len);
  DbResult result;

  if (!db_begin(db, error))
    return DB_FAILED;
  result = db_run(db,
                  NULL,
                  error,
                  "INSERT INTO bundle(version, name, digest, not_before_us,"
                  " expires_us, at_us, bytes) VALUES($1,$2,$3,$4,$5,$6,$7)",
                  DB_INT(bundle->version),
                  DB_TEXT(bundle->name),
                  DB_TEXT(bundle->digest),
                  DB_INT(bundle->not_before_us),
                  DB_INT(bundle->expires_us),
                  DB_INT(now),
                  DB_BLOB_OF(bytes, len));
  if (result == DB_DONE)
    result = store_note(db, "policy-published", now, NULL, by, detail, error);
  return db_finish(db, result, error);
}

/* The group's version, when it is an earlier one or none. */
static DbResult
set_rollout(Db *db,
            const char *group,
            int64_t version,
            int64_t now_us,
            GError **error)
{
  int64_t changed = 0;
  const DbResult result = db_run(
      db,
      &changed,
      error,
      "INSERT INTO bundle_rollout(grp, version, at_us) VALUES($1,$2,$3)"
      " ON CONFLICT(grp) DO UPDATE SET version=excluded.version,"
      " at_us=excluded.at_us WHERE bundle_rollout.version<excluded.version",
      DB_TEXT(group),
      DB_INT(version),
      DB_INT(now_us));

  return result == DB_DONE && changed == 0 ? DB_CONFLICT : result;
}

DbResult
bundles_roll_out(Db *db,
                 const char *group,
                 int64_t version,
                 const Actor *by,
                 int64_t now_us,
                 GError **error)
{
  g_autofree char *detail =
      g_strdup_printf("version %" G_GINT64_FORMAT " to %s", version, group);
  DbResult result;

  if (!db_begin(db, error))
    return DB_FAILED;
  result = set_rollout(db, group, version, now_us, error);
  if (result == DB_DONE)
    result =
        store_note(db, "policy-rolled-out", now_us, NULL, by, detail, error);
  return db_finish(db, result, error);
}

GBytes *
bundles_get(Db *db, int64_t version, GError **error)
{
  g_autoptr(DbRows) rows = db_query(
      db, error, "SELECT bytes FROM bundle WHERE version=$1", DB_INT(version));
  const void *bytes;
  size_t len;

  if (!rows || !db_next(rows, error))
    return NULL;
  bytes = db_blob(rows, 0, &len);
  return g_bytes_new(bytes, len);
}

/* ---- who gets what --------------------------------------------------------
 */

static void
rollout_free(void *data)
{
  Rollout *rollout = data;

  g_free(rollout->group);
  g_free(rollout->name);
  g_free(rollout->digest);
  g_free(rollout);
}

static void *
read_rollout(const DbRows *row)
{
  Rollout *one = g_new0(Rollout, 1);

  one->group = db_dup(row, 0);
  one->version = db_int(row, 1);
  one->not_before_us = db_int(row, 2);
  one->expires_us = db_int(row, 3);
  one->at_us = db_int(row, 4);
  one->name = db_dup(row, 5);
  one->digest = db_dup(row, 6);
  return one;
}

GPtrArray *
bundles_rollouts(Db *db, bool published, GError **error)
{
  DbRows *rows =
      published ? db_query(db,
                           error,
                           "SELECT NULL, version, not_before_us, expires_us,"
                           " at_us, name, digest FROM bundle"
                           " ORDER BY version DESC LIMIT $1",
                           DB_INT(MAX_PUBLISHED))
                : db_query(db,
                           error,
                           "SELECT r.grp, r.version, b.not_before_us,"
                           " b.expires_us, r.at_us, b.name, b.digest"
                           " FROM bundle_rollout r JOIN bundle b"
                           " ON b.version=r.version ORDER BY r.grp");

  return db_read_all(rows, read_rollout, rollout_free, error);
}

const Rollout *
bundles_choose(const GPtrArray *rollouts, char *const *groups, int64_t now_us)
{
  const Rollout *best = NULL;

  for (guint i = 0; i < rollouts->len; i++) {
    const Rollout *one = rollouts->pdata[i];
    const bool meant =
        g_str_equal(one->group, BUNDLES_EVERYBODY) ||
        (groups && g_strv_contains((const char *const *)groups, one->group));

    if (meant && one->not_before_us <= now_us &&
        (!best || one->version > best->version))
      best = one;
  }
  return best;
}

/* ---- what agents run ------------------------------------------------------
 */

DbResult
bundles_report(Db *db,
               const char *machine,
               const BundleReport *report,
               int64_t now_us,
               GError **error)
{
  return db_run(
      db,
      NULL,
      error,
      "INSERT INTO bundle_state(machine, version, revision, bundle, problem,"
      " at_us, seen_us) VALUES($1,$2,$3,$4,$5,$6,$7)"
      " ON CONFLICT(machine) DO UPDATE SET version=excluded.version,"
      " revision=excluded.revision, bundle=excluded.bundle,"
      " problem=excluded.problem, at_us=excluded.at_us,"
      " seen_us=excluded.seen_us WHERE bundle_state.at_us<excluded.at_us",
      DB_TEXT(machine),
      DB_TEXT(report->version),
      DB_TEXT(report->revision),
      DB_INT(report->bundle),
      DB_TEXT(report->problem),
      DB_INT(report->at_us),
      DB_INT(now_us));
}

static void
state_free(void *data)
{
  MachineState *state = data;

  g_free(state->machine);
  g_free(state->name);
  g_free(state->user);
  g_free(state->version);
  g_free(state->revision);
  g_free(state->problem);
  g_free(state);
}

static void *
read_state(const DbRows *row)
{
  MachineState *one = g_new0(MachineState, 1);

  one->machine = db_dup(row, 0);
  one->name = db_dup(row, 1);
  one->user = db_dup(row, 2);
  one->version = db_dup(row, 3);
  one->revision = db_dup(row, 4);
  one->problem = db_dup(row, 5);
  one->bundle = db_int(row, 6);
  one->seen_us = db_int(row, 7);
  return one;
}

GPtrArray *
bundles_states(Db *db, GError **error)
{
  return db_read_all(
      db_query(db,
               error,
               "SELECT m.id, m.name, m.\"user\", s.version, s.revision,"
               " s.problem, s.bundle, s.seen_us FROM machine m"
               " LEFT JOIN bundle_state s ON s.machine=m.id"
               " ORDER BY m.\"user\", m.name, m.id"),
      read_state,
      state_free,
      error);
}
