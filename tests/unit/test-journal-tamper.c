/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that somebody with write access to the file might do to it is
 * found, by journal_verify() and by an independent verifier alike. */

#include "tests/unit/journal-kit.h"

#include "journal/chain.h"
#include "journal/row.h"

#include <glib/gstdio.h>
#include <string.h>

/* Rows of the journal that is tampered with: two full checkpoints, and a
 * third by closing. */
#define ROWS 230
/* The row whose head is held elsewhere. */
#define HEAD_ROW 150

/* What retention does, and a careful forger: each body's last user again. */
#define USED_AGAIN                                                             \
  "UPDATE bodies SET used_seq = coalesce((SELECT max(r.seq) FROM rows r "      \
  "WHERE r.kept_len IS NOT NULL AND coalesce(r.kept_digest, r.body_digest) "   \
  "= bodies.digest), used_seq);"                                               \
  "DELETE FROM parts WHERE used_seq > (SELECT max(seq) FROM rows);"            \
  "DELETE FROM shared WHERE used_seq > (SELECT max(seq) FROM rows);"
/* Everything after a row is gone. */
#define CUT_AFTER(seq)                                                         \
  "DELETE FROM rows WHERE seq > " #seq ";"                                     \
  "DELETE FROM checkpoints WHERE seq > " #seq ";"                              \
  "DELETE FROM bodies WHERE seq > " #seq ";" USED_AGAIN

typedef struct {
  TestJournal *test;
  char *path; /* the copy that is edited */
  char *head; /* of HEAD_ROW, held elsewhere */
  char *last; /* of the last row */
} Base;

/* A conversation that is resent with each turn. */
static char *
conversation(int turns)
{
  GString *text = g_string_new("{\"messages\":[");

  for (int i = 0; i < turns * 40; i++)
    g_string_append_printf(
        text, "{\"role\":\"user\",\"content\":\"%d of %d\"},", i, i * i);
  return g_string_free(text, FALSE);
}

/* Every nullable column is set in row 57, which has a cut body; rows 60 to 69
 * are a conversation. */
static void
fill(TestJournal *test)
{
  g_autofree char *big = g_strnfill(40000, 'b');

  for (int i = 1; i <= ROWS; i++) {
    g_autofree char *id = g_strdup_printf("x%03d", i / 2);
    g_autofree char *body = i > 60 && i < 70 ? conversation(i - 50)
                            : i % 10 == 0    ? g_strdup("the same again")
                            : i % 57 == 0    ? g_strdup(big)
                                             : g_strdup_printf("body %d", i);
    JournalRow *row = i % 2 ? test_response(id, body) : test_request(id, body);

    if (i == 57) {
      g_free(row->host);
      row->host = g_strnfill(300, 'h');
    }
    test_append(test, row);
  }
  test_wait(test, ROWS);
  g_assert_cmpint(test->refused, ==, 0);
}

static Base *
base_new(void)
{
  Base *base = g_new0(Base, 1);

  base->test = test_journal_new();
  base->test->options.max_recorded_body = 35000;
  test_journal_open(base->test);
  fill(base->test);
  test_journal_close(base->test);
  base->path = g_build_filename(base->test->folder, "edited.db", NULL);
  base->last = test_head(base->test->path);

  /* The head at HEAD_ROW, as it would have been shipped then. */
  test_copy(base->test->path, base->path);
  test_edit(base->path, CUT_AFTER(150)); /* HEAD_ROW */
  base->head = test_head(base->path);
  g_assert_true(g_str_has_prefix(base->head, "150:"));
  return base;
}

static void
base_free(Base *base)
{
  test_journal_free(base->test);
  g_free(base->path);
  g_free(base->head);
  g_free(base->last);
  g_free(base);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Base, base_free)

/* Edits a fresh copy; true when both verifiers still call it intact. */
static bool
intact_after(Base *base, const char *sql, const char *head)
{
  test_copy(base->test->path, base->path);
  g_test_message("%s", sql);
  test_edit(base->path, sql);
  return test_verify(base->path, head);
}

static void
test_untouched(void)
{
  g_autoptr(Base) base = base_new();

  test_verify_intact(base->test->path);
  g_assert_true(test_verify(base->test->path, base->head));
  g_assert_true(test_verify(base->test->path, base->last));
  g_assert_true(intact_after(base, "VACUUM", base->last));
  g_assert_true(intact_after(base, "REINDEX", base->last));
}

/* One edit of each column, to another value and to NULL; what rows share also
 * to a value of the row's own. */
static void
test_columns(void)
{
  g_autoptr(Base) base = base_new();

  for (size_t i = 0; i < n_row_fields; i++) {
    const char *name = row_fields[i].name;
    bool number = row_fields[i].type == ROW_INT;
    RowShare share = row_share(row_fields[i].number);
    g_autofree char *shared =
        g_strdup_printf("id = (SELECT %s FROM rows WHERE seq = 57)",
                        share == SHARE_DETAIL ? "shared_detail" : "context");
    const char *table = share == SHARE_NOT ? "rows" : "shared";
    const char *which = share == SHARE_NOT ? "seq = 57" : shared;
    g_autofree char *change =
        g_strdup_printf(number ? "UPDATE %s SET \"%s\" = coalesce(\"%s\", 0) "
                                 "+ 1 WHERE %s"
                               : "UPDATE %s SET \"%s\" = \"%s\" || ' ' "
                                 "WHERE %s",
                        table,
                        name,
                        name,
                        which);
    g_autofree char *clear = g_strdup_printf(
        "UPDATE %s SET \"%s\" = NULL WHERE %s", table, name, which);
    g_autofree char *own =
        g_strdup_printf("UPDATE rows SET \"%s\" = '9' WHERE seq = 57", name);

    g_assert_false(intact_after(base, change, NULL));
    if (row_fields[i].number != FIELD_WALL_US)
      g_assert_false(intact_after(base, clear, NULL));
    g_assert_false(intact_after(base, own, NULL));
  }
}

static void
check_each(const char *const *edits, size_t n)
{
  g_autoptr(Base) base = base_new();

  for (size_t i = 0; i < n; i++)
    g_assert_false(intact_after(base, edits[i], NULL));
}

/* The other columns, and rows as a whole. */
static void
test_rows(void)
{
  static const char *const edits[] = {
      "UPDATE rows SET kind = 'tool' WHERE seq = 57",
      "UPDATE rows SET hash = zeroblob(32) WHERE seq = 57",
      "UPDATE rows SET hash = zeroblob(31) WHERE seq = 57",
      "UPDATE rows SET body_digest = zeroblob(32) WHERE seq = 57",
      "UPDATE rows SET body_digest = NULL WHERE seq = 57",
      "UPDATE rows SET body_len = body_len - 1 WHERE seq = 57",
      "UPDATE rows SET kept_digest = NULL WHERE seq = 57",
      "UPDATE rows SET kept_digest = zeroblob(32) WHERE seq = 57",
      "UPDATE rows SET kept_len = NULL WHERE seq = 57",
      "UPDATE rows SET kept_len = 34999 WHERE seq = 57",
      "UPDATE rows SET cut = NULL WHERE seq = 57",
      "UPDATE rows SET cut = cut | 16 WHERE seq = 57",
      "UPDATE rows SET user = '' WHERE seq = 57",
      "UPDATE rows SET pid = -1 WHERE seq = 57",
      "UPDATE rows SET tokens_in = 12, tokens_out = NULL WHERE seq = 57",
      /* the neighbours' text joined is the same, its borders are not */
      "UPDATE rows SET user = 'ada@example.comd', "
      "\"groups\" = 'evelopers,local' WHERE seq = 57",
      "UPDATE shared SET user = \"groups\", \"groups\" = user "
      "WHERE id = (SELECT context FROM rows WHERE seq = 57)",
      "DELETE FROM rows WHERE seq = 1",
      "DELETE FROM rows WHERE seq = 57",
      "DELETE FROM rows WHERE seq = 100",
      "DELETE FROM rows WHERE seq = 230",
      "DELETE FROM rows WHERE seq <= 100",
      "DELETE FROM rows",
      /* deleted, and the gap closed */
      "DELETE FROM rows WHERE seq = 57;"
      "UPDATE rows SET seq = -seq + 1 WHERE seq > 57;"
      "UPDATE rows SET seq = -seq WHERE seq < 0",
      "UPDATE rows SET seq = 231 WHERE seq = 230",
      "UPDATE rows SET seq = 0 WHERE seq = 1",
      /* swapped */
      "UPDATE rows SET seq = -1 WHERE seq = 57;"
      "UPDATE rows SET seq = 57 WHERE seq = 58;"
      "UPDATE rows SET seq = 58 WHERE seq = -1",
      /* inserted: after the end, before the beginning, between */
      "INSERT INTO rows (seq, kind, wall_us, hash) "
      "VALUES (231, 'start', 1, randomblob(32))",
      "INSERT INTO rows (seq, kind, wall_us, hash) "
      "VALUES (0, 'start', 1, randomblob(32))",
      "CREATE TEMP TABLE t AS SELECT * FROM rows WHERE seq = 57;"
      "UPDATE t SET seq = 231; INSERT INTO rows SELECT * FROM t",
      "UPDATE rows SET seq = -seq WHERE seq > 57;"
      "UPDATE rows SET seq = -seq + 1 WHERE seq < 0;"
      "INSERT INTO rows (seq, kind, wall_us, hash) "
      "VALUES (58, 'start', 1, randomblob(32))",
  };

  check_each(edits, G_N_ELEMENTS(edits));
}

static void
test_bodies(void)
{
  static const char *const edits[] = {
      "UPDATE bodies SET data = zeroblob(12) WHERE seq = 57",
      "UPDATE bodies SET data = (SELECT data FROM bodies WHERE seq = 58) "
      "WHERE seq = 57",
      "UPDATE bodies SET data = CAST(data || x'00' AS BLOB) WHERE seq = 57",
      "UPDATE bodies SET data = x'' WHERE seq = 57",
      "UPDATE bodies SET len = len - 1 WHERE seq = 57",
      "UPDATE bodies SET len = -1 WHERE seq = 57",
      "UPDATE bodies SET len = 1 << 40 WHERE seq = 57",
      "UPDATE bodies SET digest = zeroblob(32) WHERE seq = 57",
      "UPDATE bodies SET digest = x'00' WHERE seq = 57",
      "UPDATE bodies SET seq = 58 WHERE seq = 57",
      "UPDATE bodies SET seq = 0 WHERE seq = 57",
      "UPDATE bodies SET seq = 1000 WHERE seq = 57",
      "UPDATE bodies SET used_seq = used_seq - 1 WHERE seq = 57",
      "UPDATE bodies SET used_seq = used_seq + 1 WHERE seq = 57",
      "UPDATE bodies SET used_seq = 10 WHERE seq = 10",
      "UPDATE bodies SET used_seq = 0 WHERE seq = 10",
      "UPDATE bodies SET used_seq = 1000 WHERE seq = 10",
      "DELETE FROM bodies WHERE seq = 57",
      "DELETE FROM bodies WHERE seq = 10",
      "DELETE FROM bodies WHERE seq = 229",
      "DELETE FROM bodies",
      /* one that no row names: "zstd" of nothing */
      "INSERT INTO bodies (digest, len, seq, used_seq, data) VALUES ("
      "x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',"
      "0, 57, 57, x'28b52ffd2000010000')",
  };

  check_each(edits, G_N_ELEMENTS(edits));
}

#define OF_57 "(SELECT context FROM rows WHERE seq = 57)"
#define DETAIL_OF_57 "(SELECT shared_detail FROM rows WHERE seq = 57)"

/* What rows say alike is stored once; row 1 has its detail itself. */
static void
test_shared(void)
{
  static const char *const edits[] = {
      "DELETE FROM shared",
      "DELETE FROM shared WHERE id = " OF_57,
      "DELETE FROM shared WHERE id = " DETAIL_OF_57,
      "UPDATE shared SET id = 1000 WHERE id = " OF_57,
      "UPDATE shared SET digest = randomblob(32) WHERE id = " OF_57,
      "UPDATE shared SET digest = x'00' WHERE id = " DETAIL_OF_57,
      "UPDATE shared SET used_seq = 58 WHERE id = " OF_57,
      "UPDATE shared SET used_seq = 0 WHERE id = " OF_57,
      "UPDATE shared SET used_seq = -5000 WHERE id = " OF_57,
      "UPDATE shared SET used_seq = 10000 WHERE id = " OF_57,
      "UPDATE shared SET used_seq = 1 WHERE id = " DETAIL_OF_57,
      "UPDATE shared SET detail = 'x' WHERE id = " OF_57,
      "UPDATE shared SET user = 'x' WHERE id = " DETAIL_OF_57,
      /* two entries take each other's place */
      "UPDATE shared SET id = -1 WHERE id = 1;"
      "UPDATE shared SET id = 1 WHERE id = 2;"
      "UPDATE shared SET id = 2 WHERE id = -1",
      /* rows that point elsewhere, or nowhere */
      "UPDATE rows SET context = (SELECT context FROM rows WHERE seq = 58) "
      "WHERE seq = 57",
      "UPDATE rows SET context = NULL WHERE seq = 57",
      "UPDATE rows SET context = 1000 WHERE seq = 57",
      "UPDATE rows SET context = shared_detail WHERE seq = 57",
      "UPDATE rows SET shared_detail = context WHERE seq = 57",
      "UPDATE rows SET shared_detail = NULL WHERE seq = 57",
      "UPDATE rows SET shared_detail = 1000 WHERE seq = 57",
      "UPDATE rows SET shared_detail = " DETAIL_OF_57 " WHERE seq = 1",
      "UPDATE rows SET shared_detail = 1000 WHERE seq = 1",
      /* the shared value repeated in the row, which nothing but this tells */
      "UPDATE rows SET user = (SELECT user FROM shared WHERE id = " OF_57 ") "
      "WHERE seq = 57",
      "UPDATE rows SET detail = (SELECT detail FROM shared WHERE id "
      "= " DETAIL_OF_57 ") WHERE seq = 57",
      /* one that no row uses */
      "INSERT INTO shared (digest, used_seq, user) "
      "VALUES (randomblob(32), 57, 'bob')",
      /* SHA-256 of "HJN", 1, and user = 'bob' */
      "INSERT INTO shared (digest, used_seq, user) VALUES (x'"
      "f5e414ada31bb132fe0f36625cc52e592ced8ad2b4e30b3f28ea20a9b0a68a7b"
      "', 57, 'bob')",
  };

  check_each(edits, G_N_ELEMENTS(edits));
}

/* Bodies that are made of parts, which they share. */
static void
test_parts(void)
{
  static const char *const edits[] = {
      "DELETE FROM parts",
      "DELETE FROM parts WHERE id = 1",
      "DELETE FROM parts WHERE id = (SELECT max(id) FROM parts)",
      "UPDATE parts SET data = (SELECT data FROM parts WHERE id = 2) "
      "WHERE id = 1",
      "UPDATE parts SET data = zeroblob(30) WHERE id = 1",
      "UPDATE parts SET len = len - 1 WHERE id = 1",
      "UPDATE parts SET len = 1 << 50 WHERE id = 1",
      "UPDATE parts SET len = -1 WHERE id = 1",
      "UPDATE parts SET digest = randomblob(32) WHERE id = 1",
      "UPDATE parts SET digest = x'00' WHERE id = 1",
      "UPDATE parts SET used_seq = used_seq + 1 WHERE id = 1",
      "UPDATE parts SET used_seq = 0 WHERE id = 1",
      "UPDATE parts SET used_seq = 1 WHERE id = 1",
      "UPDATE parts SET used_seq = 10000 WHERE id = 1",
      "UPDATE parts SET used_seq = -5000 WHERE id = 1",
      "UPDATE parts SET id = 1000 WHERE id = 1",
      "INSERT INTO parts SELECT 1000, randomblob(32), len, used_seq, data "
      "FROM parts WHERE id = 1",
      "UPDATE bodies SET parts = 0 WHERE seq = 65",
      "UPDATE bodies SET parts = parts + 1 WHERE seq = 65",
      "UPDATE bodies SET parts = -1 WHERE seq = 65",
      "UPDATE bodies SET parts = 1 WHERE seq = 10",
      "UPDATE bodies SET data = zeroblob(8 * parts) WHERE seq = 65",
      "UPDATE bodies SET data = (SELECT data FROM bodies WHERE seq = 66), "
      "parts = (SELECT parts FROM bodies WHERE seq = 66) WHERE seq = 65",
      "UPDATE bodies SET data = CAST(data || x'00' AS BLOB) WHERE seq = 65",
  };

  check_each(edits, G_N_ELEMENTS(edits));
}

/* Originals that were sealed beside masked texts; opening the journal again
 * closed a request in row 231. */
static void
test_sealed(void)
{
  g_autoptr(Base) base = base_new();
  static const char *const edits[] = {
      "DELETE FROM sealed WHERE seq = 232",
      "DELETE FROM sealed",
      "UPDATE sealed SET data = zeroblob(100) WHERE seq = 232",
      "UPDATE sealed SET data = CAST(data || x'00' AS BLOB) WHERE seq = 232",
      "UPDATE sealed SET data = (SELECT data FROM sealed WHERE seq = 233) "
      "WHERE seq = 232",
      "UPDATE sealed SET seq = 57 WHERE seq = 232",
      "INSERT INTO sealed SELECT 57, data FROM sealed WHERE seq = 232",
      "UPDATE rows SET sealed_digest = NULL WHERE seq = 232",
      "UPDATE rows SET sealed_digest = zeroblob(32) WHERE seq = 232",
      "UPDATE rows SET sealed_digest = NULL WHERE seq = 232;"
      "DELETE FROM sealed WHERE seq = 232",
  };

  base->test->options.escrow = true;
  base->test->options.escrow_key[0] = 9; /* RFC 7748's base point: anybody's */
  test_journal_open(base->test);
  for (int i = 0; i < 2; i++) {
    JournalRow *row = test_response("sealed", "masked");

    row->original = g_bytes_new_static("before", 6);
    g_assert_true(test_put(base->test, row));
  }
  test_journal_close(base->test);
  test_verify_intact(base->test->path);
  for (size_t i = 0; i < G_N_ELEMENTS(edits); i++)
    g_assert_false(intact_after(base, edits[i], NULL));
}

/* What receivers hold is a head that the journal itself remembers. */
static void
test_receipts(void)
{
  g_autoptr(Base) base = base_new();
  const char *told = "INSERT INTO receipts SELECT 1, 'hub', seq, hash, 1, "
                     "NULL FROM rows WHERE seq = 150;"
                     "INSERT INTO ship_cursor VALUES ('hub', 200, 200, 1);";
  static const char *const more[] = {
      CUT_AFTER(100),
      CUT_AFTER(140),
      CUT_AFTER(190),
      "UPDATE receipts SET hash = randomblob(32)",
      "UPDATE receipts SET hash = x'00'",
      "UPDATE receipts SET seq = 149",
      "UPDATE receipts SET seq = 1000",
      "UPDATE ship_cursor SET seq = 231",
      "UPDATE ship_cursor SET checkpoint_seq = 300",
  };

  g_assert_true(intact_after(base, told, NULL));
  for (size_t i = 0; i < G_N_ELEMENTS(more); i++) {
    g_autofree char *both = g_strconcat(told, more[i], NULL);

    g_assert_false(intact_after(base, both, NULL));
  }
}

static void
test_checkpoints(void)
{
  static const char *const edits[] = {
      "UPDATE checkpoints SET seq = 101 WHERE seq = 100",
      "UPDATE checkpoints SET seq = 231 WHERE seq = 230",
      "UPDATE checkpoints SET wall_us = wall_us + 1 WHERE seq = 100",
      "UPDATE checkpoints SET hash = zeroblob(32) WHERE seq = 100",
      "UPDATE checkpoints SET public_key = zeroblob(32) WHERE seq = 100",
      "UPDATE checkpoints SET signature = zeroblob(64) WHERE seq = 100",
      "UPDATE checkpoints SET signature = zeroblob(63) WHERE seq = 100",
      "UPDATE checkpoints SET signature = (SELECT signature FROM checkpoints "
      "WHERE seq = 100) WHERE seq = 200",
      "UPDATE checkpoints SET wall_us = wall_us + 1 WHERE seq = 230",
      "UPDATE checkpoints SET signature = zeroblob(64) WHERE seq = 230",
      "DELETE FROM checkpoints WHERE seq = 100",
      "DELETE FROM checkpoints WHERE seq = 200",
      "DELETE FROM checkpoints",
      "DELETE FROM checkpoints WHERE seq > 100",
      "INSERT INTO checkpoints SELECT 150, wall_us, (SELECT hash FROM rows "
      "WHERE seq = 150), public_key, signature FROM checkpoints "
      "WHERE seq = 100",
      "INSERT INTO checkpoints SELECT 0, wall_us, hash, public_key, signature "
      "FROM checkpoints WHERE seq = 100",
      "UPDATE meta SET id = zeroblob(16)",
      "UPDATE meta SET id = zeroblob(15)",
      "UPDATE meta SET created_us = created_us + 1",
      "UPDATE meta SET public_key = zeroblob(32)",
      "UPDATE meta SET public_key = zeroblob(32);"
      "UPDATE checkpoints SET public_key = zeroblob(32)",
      "INSERT INTO meta SELECT * FROM meta",
      "DELETE FROM meta",
  };

  check_each(edits, G_N_ELEMENTS(edits));
}

/* Objects that would run with our statements, or hide rows from them. */
static void
test_schema(void)
{
  static const char *const edits[] = {
      "CREATE TABLE more (x)",
      "CREATE VIEW v AS SELECT * FROM rows",
      "CREATE INDEX rows_user ON rows(user)",
      ("CREATE TRIGGER t AFTER INSERT ON rows BEGIN "
       "UPDATE rows SET user = 'bob' WHERE seq = new.seq; END"),
      "DROP INDEX rows_exchange",
      "DROP TABLE open_requests",
      "ALTER TABLE open_requests ADD COLUMN more TEXT",
      "ANALYZE",
  };

  check_each(edits, G_N_ELEMENTS(edits));
}

/* What one key can do: delete the end up to a checkpoint. Only a head that is
 * held elsewhere tells. */
static void
test_truncation(void)
{
  g_autoptr(Base) base = base_new();
  const char *cut = CUT_AFTER(100);
  const char *everything = "DELETE FROM rows; DELETE FROM checkpoints;"
                           "DELETE FROM bodies; DELETE FROM parts;"
                           "DELETE FROM shared";

  g_assert_true(intact_after(base, cut, NULL));
  g_assert_false(intact_after(base, cut, base->head));
  g_assert_true(intact_after(base, everything, NULL));
  g_assert_false(intact_after(base, everything, base->head));
  g_assert_false(intact_after(base, CUT_AFTER(220), base->last));
  /* cut after the head that is held: out of its sight */
  g_assert_true(intact_after(base, CUT_AFTER(220), base->head));
}

/* Rewritten and signed anew, with the real key or another: found up to the
 * head that is held elsewhere, and only with it. */
static void
test_resigned(void)
{
  g_autoptr(Base) base = base_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *real_path = g_strconcat(base->path, ".key", NULL);
  g_autofree char *other_path =
      g_build_filename(base->test->folder, "other.key", NULL);
  g_autoptr(SigningKey) real = NULL;
  g_autoptr(SigningKey) other = NULL;

  test_copy(base->test->path, base->path);
  real = signing_key_load(real_path, false, &error);
  g_assert_no_error(error);
  other = signing_key_load(other_path, true, &error);
  g_assert_no_error(error);

  test_resign(base->path, real); /* the same keys sign the same */
  g_assert_true(test_verify(base->path, base->head));
  g_assert_true(test_verify(base->path, base->last));

  test_edit(base->path, "UPDATE rows SET verdict = 'bob' WHERE seq = 57");
  g_assert_false(test_verify(base->path, NULL));
  test_resign(base->path, real);
  g_assert_true(test_verify(base->path, NULL));
  g_assert_false(test_verify(base->path, base->head));

  test_copy(base->test->path, base->path);
  test_resign(base->path, other);
  g_assert_true(test_verify(base->path, NULL));
  g_assert_false(test_verify(base->path, base->head));

  /* after the head: out of its sight, as hoop-journal(5) says */
  test_copy(base->test->path, base->path);
  test_edit(base->path, "UPDATE rows SET verdict = 'bob' WHERE seq = 157");
  test_resign(base->path, real);
  g_assert_true(test_verify(base->path, base->head));
  g_assert_false(test_verify(base->path, base->last));
}

/* A head that nobody could have shipped. */
static void
test_heads(void)
{
  g_autoptr(Base) base = base_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader =
      journal_reader_open(base->test->path, &error);
  g_autofree char *wrong = g_strdup(base->head);
  g_autofree char *later = g_strdup_printf("9%s", base->head);
  static const char *const odd[] = {
      "", "150", "150:", "x:00", "-1:00", "0:00", "150:zz"};
  JournalVerification result;

  wrong[10] = wrong[10] == '0' ? '1' : '0';
  g_assert_false(test_verify(base->test->path, wrong));
  g_assert_false(test_verify(base->test->path, later));
  for (size_t i = 0; i < G_N_ELEMENTS(odd); i++) {
    const JournalWitness witness = {.head = odd[i]};

    g_assert_false(
        journal_verify(reader, &witness, NULL, NULL, &result, &error));
    g_assert_nonnull(error);
    g_clear_error(&error);
  }
}

/* Where, and how much was looked at. */
static void
on_progress(int64_t done, int64_t total, void *data)
{
  g_assert_cmpint(done, <=, total);
  *(int64_t *)data = done;
}

static void
test_result(void)
{
  g_autoptr(Base) base = base_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader =
      journal_reader_open(base->test->path, &error);
  JournalVerification result;
  int64_t done = 0;

  g_assert_true(
      journal_verify(reader, NULL, on_progress, &done, &result, &error));
  g_assert_true(result.intact);
  g_assert_cmpint(result.rows, ==, ROWS);
  g_assert_cmpint(result.checkpoints, ==, 3);
  g_assert_cmpint(result.first_seq, ==, 1);
  g_assert_cmpint(result.signed_seq, ==, ROWS);
  g_assert_cmpint(result.head_seq, ==, ROWS);
  g_assert_cmpint(done, >, ROWS);
  journal_verification_clear(&result);
  g_clear_pointer(&reader, journal_reader_free);

  test_edit(base->test->path, "UPDATE rows SET user = 'bob' WHERE seq = 57");
  reader = journal_reader_open(base->test->path, &error);
  g_assert_true(journal_verify(reader, NULL, NULL, NULL, &result, &error));
  g_assert_false(result.intact);
  g_assert_cmpint(result.first_bad_seq, ==, 57);
  g_assert_nonnull(strstr(result.reason, "row 57"));
  journal_verification_clear(&result);
}

/* Bytes of the file, below SQL. */
static void
test_file(void)
{
  g_autoptr(Base) base = base_new();
  g_autofree char *bytes = NULL;
  size_t len;

  g_assert_true(g_file_get_contents(base->test->path, &bytes, &len, NULL));
  g_assert_cmpint(len, >, 64 * 1024);
  for (size_t page = 0; page < 10; page++) {
    g_autofree char *copy = g_memdup2(bytes, len);
    size_t at = page * (len / 4096 / 10) * 4096;

    memset(copy + at, page % 2 ? 0xff : 0, 4096);
    g_unlink(base->path);
    g_assert_true(g_file_set_contents(base->path, copy, (gssize)len, NULL));
    g_test_message("page at %zu of %zu", at, len);
    /* the page after the pointer map may be any: all of them matter */
    g_assert_false(test_verify(base->path, NULL));
  }
  g_assert_true(
      g_file_set_contents(base->path, bytes, (gssize)(len / 2), NULL));
  g_assert_false(test_verify(base->path, NULL));
}

/* What retention will do: allowed as hoop-journal(5) says, and not more. */
static void
test_pruned(void)
{
  g_autoptr(Base) base = base_new();
  JournalRow *row = journal_row_new(ROW_PRUNE);
  const char *prune =
      "DELETE FROM rows WHERE seq <= 100;"
      "DELETE FROM checkpoints WHERE seq < 100;"
      "DELETE FROM bodies WHERE seq <= 150 AND digest NOT IN (SELECT "
      "coalesce(kept_digest, body_digest) FROM rows WHERE seq > 150 AND "
      "body_digest IS NOT NULL);";
  static const char *const more[] = {
      "DELETE FROM rows WHERE seq = 101",
      "DELETE FROM bodies WHERE seq = 151",
      "DELETE FROM checkpoints WHERE seq = 100",
      "UPDATE checkpoints SET wall_us = wall_us + 1 WHERE seq = 100",
      "UPDATE checkpoints SET hash = zeroblob(32) WHERE seq = 100",
      "UPDATE rows SET detail = '{\"rows_through\":100,"
      "\"bodies_through\":200}' WHERE kind = 'prune'",
      "UPDATE rows SET user = 'bob' WHERE seq = 101",
      "DELETE FROM rows WHERE kind = 'prune'",
      "DELETE FROM rows WHERE seq <= 200",
      "INSERT INTO checkpoints SELECT 50, wall_us, hash, public_key, "
      "signature FROM checkpoints WHERE seq = 100",
  };

  g_assert_false(intact_after(base, prune, NULL)); /* nobody said so */
  row->detail = g_strdup("{\"rows_through\":100,\"bodies_through\":150}");
  test_journal_open(base->test);
  g_assert_true(test_put(base->test, row));
  /* nor does anybody who could not sign it */
  g_assert_false(intact_after(base, prune, NULL));
  test_journal_close(base->test);
  g_assert_true(intact_after(base, prune, base->head));
  for (size_t i = 0; i < G_N_ELEMENTS(more); i++) {
    g_autofree char *both = g_strconcat(prune, more[i], NULL);
    g_assert_false(intact_after(base, both, NULL));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/journal/tamper/untouched", test_untouched);
  g_test_add_func("/journal/tamper/columns", test_columns);
  g_test_add_func("/journal/tamper/rows", test_rows);
  g_test_add_func("/journal/tamper/shared", test_shared);
  g_test_add_func("/journal/tamper/bodies", test_bodies);
  g_test_add_func("/journal/tamper/parts", test_parts);
  g_test_add_func("/journal/tamper/sealed", test_sealed);
  g_test_add_func("/journal/tamper/receipts", test_receipts);
  g_test_add_func("/journal/tamper/checkpoints", test_checkpoints);
  g_test_add_func("/journal/tamper/schema", test_schema);
  g_test_add_func("/journal/tamper/truncation", test_truncation);
  g_test_add_func("/journal/tamper/resigned", test_resigned);
  g_test_add_func("/journal/tamper/heads", test_heads);
  g_test_add_func("/journal/tamper/result", test_result);
  g_test_add_func("/journal/tamper/file", test_file);
  g_test_add_func("/journal/tamper/pruned", test_pruned);
  return g_test_run();
}
