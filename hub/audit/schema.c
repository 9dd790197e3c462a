/* SPDX-License-Identifier: Apache-2.0 */
/* The record's tables, each version as what it adds to the one before. */
#include "hub/audit/private.h"

/* audit_turn: whoever stores takes its turn first, so that ids grow in the
 * order of commits and `id > n` misses none. */
#define TABLES(id, blob)                                                       \
  "CREATE TABLE audit_turn(one BIGINT PRIMARY KEY, n BIGINT NOT NULL);"        \
  "INSERT INTO audit_turn(one, n) VALUES(1, 0);"                               \
  "CREATE TABLE audit_resource(digest TEXT PRIMARY KEY,"                       \
  " attributes TEXT NOT NULL);"                                                \
  "CREATE TABLE audit_row("                                                    \
  " id " id ", key TEXT NOT NULL UNIQUE, journal TEXT, seq BIGINT,"            \
  " kind TEXT, at_us BIGINT NOT NULL, received_us BIGINT NOT NULL,"            \
  " severity BIGINT NOT NULL, event TEXT, trace TEXT, said TEXT,"              \
  " machine TEXT, sender TEXT NOT NULL, \"user\" TEXT, rule TEXT,"             \
  " verdict TEXT, model TEXT, marks BIGINT NOT NULL, content BIGINT NOT NULL," \
  " hash " blob ", resource TEXT NOT NULL, attributes TEXT NOT NULL);"         \
  "CREATE INDEX audit_row_journal ON audit_row(journal, seq);"                 \
  "CREATE INDEX audit_row_user ON audit_row(\"user\", id);"                    \
  "CREATE INDEX audit_row_machine ON audit_row(machine, id);"                  \
  "CREATE TABLE audit_journal("                                                \
  " journal TEXT PRIMARY KEY, machine TEXT, issuer TEXT NOT NULL,"             \
  " subject TEXT NOT NULL, \"user\" TEXT NOT NULL, public_key " blob ","       \
  " genesis " blob ", first_seq BIGINT NOT NULL, first_link " blob ","         \
  " tip_seq BIGINT NOT NULL, tip_hash " blob ", tip_link " blob ","            \
  " head_seq BIGINT NOT NULL, signed_seq BIGINT NOT NULL,"                     \
  " signed_hash " blob ", rows BIGINT NOT NULL, since_us BIGINT NOT NULL,"     \
  " last_us BIGINT NOT NULL, alerts BIGINT NOT NULL,"                          \
  " broken BIGINT NOT NULL);"                                                  \
  "CREATE INDEX audit_journal_machine ON audit_journal(machine);"              \
  "CREATE TABLE audit_alert("                                                  \
  " id " id ", at_us BIGINT NOT NULL, kind TEXT NOT NULL,"                     \
  " journal TEXT NOT NULL, seq BIGINT NOT NULL, rows BIGINT NOT NULL,"         \
  " machine TEXT, \"user\" TEXT NOT NULL, detail TEXT NOT NULL);"

static const DbVersion versions[] = {
    {TABLES("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB"),
     TABLES("BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "BYTEA")}};
static const DbPart part = {"audit", versions, G_N_ELEMENTS(versions)};

Db *
audit_open(const char *where, const char *password_file, GError **error)
{
  g_autoptr(Db) db = db_open_with(where, password_file, error);

  return db && db_migrate(db, &part, error) ? g_steal_pointer(&db) : NULL;
}
