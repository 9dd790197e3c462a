/* SPDX-License-Identifier: Apache-2.0 */
/* The store's tables, each version as what it adds to the one before. */
#include "hub/store/schema.h"

/* Databases from before there were parts have these tables already. */
static const char sqlite_1[] =
    "CREATE TABLE IF NOT EXISTS review("
    " id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
    " user TEXT NOT NULL, machine TEXT NOT NULL, ask TEXT NOT NULL,"
    " received_us INTEGER NOT NULL, state INTEGER NOT NULL,"
    " ended_us INTEGER NOT NULL DEFAULT 0, decision TEXT) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS review_state ON review(state, received_us);"
    "CREATE TABLE IF NOT EXISTS answer("
    " review TEXT NOT NULL REFERENCES review(id) ON DELETE CASCADE,"
    " n INTEGER NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
    " user TEXT NOT NULL, groups TEXT NOT NULL, answer INTEGER NOT NULL,"
    " reason TEXT, at_us INTEGER NOT NULL, PRIMARY KEY(review, n),"
    " UNIQUE(review, issuer, subject)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS machine("
    " id TEXT PRIMARY KEY, public_key BLOB NOT NULL, issuer TEXT NOT NULL,"
    " subject TEXT NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL,"
    " since_us INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS record("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL,"
    " kind TEXT NOT NULL, review TEXT, issuer TEXT, subject TEXT, user TEXT,"
    " detail TEXT);"
    "CREATE TRIGGER IF NOT EXISTS record_kept BEFORE DELETE ON record"
    " BEGIN SELECT RAISE(ABORT, 'the record is kept'); END;"
    "CREATE TRIGGER IF NOT EXISTS record_unchanged BEFORE UPDATE ON record"
    " BEGIN SELECT RAISE(ABORT, 'the record is kept'); END;";

static const char postgresql_1[] =
    "CREATE TABLE review("
    " id TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
    " \"user\" TEXT NOT NULL, machine TEXT NOT NULL, ask TEXT NOT NULL,"
    " received_us BIGINT NOT NULL, state BIGINT NOT NULL,"
    " ended_us BIGINT NOT NULL DEFAULT 0, decision TEXT);"
    "CREATE INDEX review_state ON review(state, received_us);"
    "CREATE TABLE answer("
    " review TEXT NOT NULL REFERENCES review(id) ON DELETE CASCADE,"
    " n BIGINT NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
    " \"user\" TEXT NOT NULL, groups TEXT NOT NULL, answer BIGINT NOT NULL,"
    " reason TEXT, at_us BIGINT NOT NULL, PRIMARY KEY(review, n),"
    " UNIQUE(review, issuer, subject));"
    "CREATE TABLE machine("
    " id TEXT PRIMARY KEY, public_key BYTEA NOT NULL, issuer TEXT NOT NULL,"
    " subject TEXT NOT NULL, \"user\" TEXT NOT NULL, name TEXT NOT NULL,"
    " since_us BIGINT NOT NULL);"
    "CREATE TABLE record("
    " seq BIGINT PRIMARY KEY, at_us BIGINT NOT NULL,"
    " kind TEXT NOT NULL, review TEXT, issuer TEXT, subject TEXT,"
    " \"user\" TEXT, detail TEXT);"
    "CREATE FUNCTION record_kept() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE EXCEPTION 'the record is kept'; END $$;"
    "CREATE TRIGGER record_kept BEFORE UPDATE OR DELETE ON record"
    " FOR EACH ROW EXECUTE FUNCTION record_kept();"
    "CREATE TRIGGER record_whole BEFORE TRUNCATE ON record"
    " FOR EACH STATEMENT EXECUTE FUNCTION record_kept();";

/* The number of the record's last row. Whoever adds one raises it first and so
 * waits for whoever did before: rows are committed in the order of numbers,
 * without gaps, and `seq > last` misses none. */
static const char head_2[] =
    "CREATE TABLE record_head(id BIGINT PRIMARY KEY, seq BIGINT NOT NULL);"
    "INSERT INTO record_head(id, seq)"
    " SELECT 1, coalesce(max(seq), 0) FROM record;";

/* So long it had waited when others were asked, too, the last time; and whose
 * signatures this database's decisions have. */
static const char shared_3[] =
    "ALTER TABLE review ADD COLUMN escalated_us BIGINT NOT NULL DEFAULT 0;"
    "CREATE TABLE hub(id BIGINT PRIMARY KEY, fingerprint TEXT NOT NULL);";

static const DbVersion versions[] = {
    {.sqlite = sqlite_1, .postgresql = postgresql_1},
    DB_SAME(head_2),
    DB_SAME(shared_3),
};

const DbPart store_part = {"store", versions, G_N_ELEMENTS(versions)};
