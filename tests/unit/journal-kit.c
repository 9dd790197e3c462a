/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's test bench: see journal-kit.h. */
#include "tests/unit/journal-kit.h"
#include "tests/unit/folder.h"

#include "journal/row.h"
#include "journal/schema.h"
#include "kit/clock.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>

TestJournal *
test_journal_new(void)
{
  TestJournal *test = g_new0(TestJournal, 1);
  g_autoptr(GError) error = NULL;

  test->folder = g_dir_make_tmp("hoop-journal-XXXXXX", &error);
  g_assert_no_error(error);
  test->path = g_build_filename(test->folder, "journal.db", NULL);
  test->loop = loop_new(&error);
  g_assert_no_error(error);
  test->options = (JournalOptions){
      .path = test->path,
      .durability = DURABILITY_FULL,
      .bodies = true,
      .max_recorded_body = 0,

      .max_queued = 64 * 1024 * 1024,
  };
  test->last_code = -1;
  return test;
}

void
test_journal_free(TestJournal *test)
{
  if (test == NULL)
    return;
  test_journal_close(test);
  loop_free(test->loop);
  remove_folder(test->folder);
  g_free(test->folder);
  g_free(test->path);
  g_free(test->last_message);
  g_free(test);
}

void
test_journal_open(TestJournal *test)
{
  g_autoptr(GError) error = NULL;

  test->journal = journal_open(&test->options, &error);
  g_assert_no_error(error);
  g_assert_nonnull(test->journal);
}

void
test_journal_close(TestJournal *test)
{
  g_clear_pointer(&test->journal, journal_close);
  /* Closing answered everything: one round runs it all. */
  for (int i = 0; i < 4; i++)
    loop_iterate(test->loop, 0);
}

static JournalRow *
new_row(RowKind kind, const char *id, const char *body)
{
  JournalRow *row = journal_row_new(kind);

  row->exchange = g_strdup(id);
  row->user = g_strdup("ada@example.com");
  row->groups = g_strdup("developers,local");
  row->issuer = g_strdup("local");
  row->client = g_strdup("vscode");
  row->pid = 4711;
  row->process = g_strdup("/usr/bin/node < /usr/bin/code");
  row->connection = g_strdup("copilot");
  row->host = g_strdup("api.example.com");
  row->method = g_strdup("POST");
  row->path = g_strdup("/chat/completions");
  row->api = g_strdup("chat");
  row->model = g_strdup("model-1");
  row->conversation = g_strdup("c-17");
  row->verdict = g_strdup("mask");
  row->rule = g_strdup("credentials-in-prompt");
  row->detail = g_strdup("{\"findings\":[]}");
  row->policy_revision = g_strdup("r1");
  row->bytes_in = body ? (int64_t)strlen(body) : 0;
  if (body)
    row->body = g_bytes_new(body, strlen(body));
  return row;
}

JournalRow *
test_request(const char *id, const char *body)
{
  return new_row(ROW_REQUEST, id, body);
}

JournalRow *
test_response(const char *id, const char *body)
{
  JournalRow *row = new_row(ROW_RESPONSE, id, body);

  row->status = 200;
  row->bytes_out = row->bytes_in;
  row->tokens_in = 12;
  row->tokens_out = 34;
  row->duration_us = 56789;
  row->first_byte_us = 1234;
  row->held_us = 77;
  return row;
}

void
test_done(const GError *error, void *data)
{
  TestJournal *test = data;

  test->answered++;
  if (error == NULL)
    return;
  test->refused++;
  g_assert_true(error->domain == JOURNAL_ERROR);
  test->last_code = error->code;
  g_free(test->last_message);
  test->last_message = g_strdup(error->message);
}

void
test_append(TestJournal *test, JournalRow *row)
{
  journal_append(test->journal, row, test->loop, test_done, test);
}

void
test_wait(TestJournal *test, unsigned count)
{
  int64_t deadline = clock_mono_us() + TEST_DEADLINE_MS * 1000;

  while (test->answered < count) {
    g_assert_cmpint(clock_mono_us(), <, deadline);
    loop_iterate(test->loop, 100);
  }
}

bool
test_put(TestJournal *test, JournalRow *row)
{
  unsigned refused = test->refused;

  test_append(test, row);
  test_wait(test, test->answered + 1);
  return test->refused == refused;
}

int64_t
test_count(const char *path, const char *sql)
{
  sqlite3 *db = NULL;
  sqlite3_stmt *stmt = NULL;
  int64_t value;

  g_assert_cmpint(
      sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), ==, SQLITE_OK);
  g_assert_cmpint(sqlite3_step(stmt), ==, SQLITE_ROW);
  value = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  return value;
}

void
test_edit(const char *path, const char *sql)
{
  sqlite3 *db = NULL;
  char *message = NULL;

  g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
  if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
    g_error("%s: %s", sql, message);
  sqlite3_close(db);
}

void
test_copy(const char *from, const char *to)
{
  static const char *const suffixes[] = {"", "-wal", ".key"};

  for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
    g_autofree char *source = g_strconcat(from, suffixes[i], NULL);
    g_autofree char *target = g_strconcat(to, suffixes[i], NULL);
    g_autofree char *bytes = NULL;
    size_t len;

    g_unlink(target);
    if (!g_file_get_contents(source, &bytes, &len, NULL))
      continue;
    g_assert_true(g_file_set_contents_full(
        target, bytes, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  }
}

/* verify-journal.py as a process that answers a line with a line; it ends when
 * its input does, with the test. */
typedef struct {
  GPid pid; /* 0: not started, -1: no Python here */
  FILE *in, *out;
} Python;

static void
start_python(Python *python)
{
  g_autofree char *script =
      g_test_build_filename(G_TEST_DIST, "tools", "verify-journal.py", NULL);
  g_autofree char *program = g_find_program_in_path("python3");
  char *argv[] = {program, script, (char *)"-", NULL};
  g_autoptr(GError) error = NULL;
  int in, out;

  python->pid = -1;
  if (program == NULL)
    return;
  g_spawn_async_with_pipes(NULL,
                           argv,
                           NULL,
                           G_SPAWN_CLOEXEC_PIPES,
                           NULL,
                           NULL,
                           &python->pid,
                           &in,
                           &out,
                           NULL,
                           &error);
  g_assert_no_error(error);
  python->in = fdopen(in, "w");
  python->out = fdopen(out, "r");
}

/* The receipts as a file beside the database, one a line; g_free its name. */
static char *
write_receipts(const char *path, const char *const *receipts)
{
  g_autofree char *name = g_strconcat(path, ".receipts", NULL);
  g_autofree char *text = g_strjoinv("\n", (char **)receipts);

  g_assert_true(g_file_set_contents(name, text, -1, NULL));
  return g_steal_pointer(&name);
}

/* What it says; NULL without Python. */
static char *
ask_python(const char *path, const JournalWitness *witness)
{
  static Python python;
  g_autofree char *receipts =
      witness->receipts ? write_receipts(path, witness->receipts) : NULL;
  char key[65] = "-";
  char line[1024];

  if (python.pid == 0)
    start_python(&python);
  if (python.pid == -1)
    return NULL;
  if (witness->receiver_key)
    hex_encode(witness->receiver_key, 32, key);
  fprintf(python.in,
          "%s\t%s\t%s\t%s\n",
          path,
          witness->head ? witness->head : "-",
          key,
          receipts ? receipts : "-");
  fflush(python.in);
  g_assert_nonnull(fgets(line, sizeof line, python.out));
  return g_strdup(g_strchomp(line));
}

char *
test_verify_with(const char *path, const JournalWitness *witness)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  char *reason = NULL;
  g_autofree char *said = NULL;

  if (reader) {
    JournalVerification result;

    g_assert_true(journal_verify(reader, witness, NULL, NULL, &result, &error));
    g_assert_no_error(error);
    reason = g_strdup(result.reason);
    g_assert_true(result.intact == (result.reason == NULL));
    journal_verification_clear(&result);
  } else {
    g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_CORRUPT);
    reason = g_strdup(error->message);
  }
  said = ask_python(path, witness);
  g_test_message("verify: %s; python: %s",
                 reason ? reason : "intact",
                 said ? said : "not installed");
  if (said)
    g_assert_cmpint(strcmp(said, "intact") == 0, ==, reason == NULL);
  return reason;
}

bool
test_verify(const char *path, const char *head)
{
  g_autofree char *reason =
      test_verify_with(path, &(JournalWitness){.head = head});

  return reason == NULL;
}

void
test_verify_intact(const char *path)
{
  g_assert_true(test_verify(path, NULL));
}

char *
test_head(const char *path)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  JournalVerification result;
  char hex[SHA256_HEX_SIZE];

  g_assert_no_error(error);
  g_assert_true(journal_verify(reader, NULL, NULL, NULL, &result, &error));
  hex_encode(result.head, SHA256_LEN, hex);
  return g_strdup_printf("%" G_GINT64_FORMAT ":%s", result.head_seq, hex);
}

void
test_resign(const char *path, const SigningKey *key)
{
  g_autoptr(GByteArray) encoded = g_byte_array_new();
  sqlite3 *db = NULL;
  sqlite3_stmt *read = NULL, *write = NULL, *sign = NULL, *meta = NULL;
  uint8_t link[SHA256_LEN], genesis[SHA256_LEN], hash[SHA256_LEN];
  g_autofree char *rows = NULL;
  g_autofree char *sql = NULL;

  g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
  sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
  sqlite3_prepare_v2(db, "UPDATE meta SET public_key = ?", -1, &meta, NULL);
  sqlite3_bind_blob(
      meta, 1, signing_key_public(key), CHAIN_KEY_LEN, SQLITE_STATIC);
  sqlite3_step(meta);
  sqlite3_finalize(meta);
  sqlite3_prepare_v2(db, "SELECT id, created_us FROM meta", -1, &meta, NULL);
  g_assert_cmpint(sqlite3_step(meta), ==, SQLITE_ROW);
  chain_genesis(sqlite3_column_blob(meta, 0),
                signing_key_public(key),
                sqlite3_column_int64(meta, 1),
                genesis);
  sqlite3_finalize(meta);
  memcpy(link, genesis, SHA256_LEN);

  sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &read, NULL);
  g_assert_cmpint(sqlite3_step(read), ==, SQLITE_ROW);
  rows = schema_rows(sqlite3_column_int(read, 0), "");
  sqlite3_finalize(read);
  sql = g_strdup_printf("SELECT * FROM %s ORDER BY seq", rows);
  sqlite3_prepare_v2(db, sql, -1, &read, NULL);
  sqlite3_prepare_v2(
      db, "UPDATE rows SET hash = ? WHERE seq = ?", -1, &write, NULL);
  sqlite3_prepare_v2(db,
                     "UPDATE checkpoints SET hash = ?, public_key = ?, "
                     "signature = ? WHERE seq = ? RETURNING wall_us",
                     -1,
                     &sign,
                     NULL);
  while (sqlite3_step(read) == SQLITE_ROW) {
    int64_t seq = sqlite3_column_int64(read, 0);
    Checkpoint checkpoint = {.seq = seq};
    g_autoptr(GError) error = NULL;
    g_autofree char *wall = g_strdup_printf(
        "SELECT wall_us FROM checkpoints WHERE seq = %d", (int)seq);

    chain_begin(encoded, CHAIN_ROW, link);
    for (int field = 1; field <= FIELD_LAST; field++) {
      const void *bytes = sqlite3_column_blob(read, field - 1);
      size_t len = (size_t)sqlite3_column_bytes(read, field - 1);

      if (field == FIELD_HASH)
        continue;
      if (sqlite3_column_type(read, field - 1) == SQLITE_INTEGER)
        chain_int(encoded, field, sqlite3_column_int64(read, field - 1));
      else if (sqlite3_column_type(read, field - 1) == SQLITE_TEXT)
        chain_text(encoded, field, bytes, len);
      else if (sqlite3_column_type(read, field - 1) == SQLITE_BLOB)
        chain_blob(encoded, field, bytes, len);
    }
    chain_hash(encoded, hash);
    memcpy(link, hash, SHA256_LEN);
    sqlite3_bind_blob(write, 1, hash, SHA256_LEN, SQLITE_STATIC);
    sqlite3_bind_int64(write, 2, seq);
    g_assert_cmpint(sqlite3_step(write), ==, SQLITE_DONE);
    sqlite3_reset(write);

    sqlite3_prepare_v2(db, wall, -1, &meta, NULL);
    if (sqlite3_step(meta) == SQLITE_ROW) {
      checkpoint.wall_us = sqlite3_column_int64(meta, 0);
      memcpy(checkpoint.hash, hash, SHA256_LEN);
      g_assert_true(chain_sign(key, genesis, &checkpoint, &error));
      chain_link(genesis, &checkpoint, link);
      sqlite3_bind_blob(sign, 1, hash, SHA256_LEN, SQLITE_STATIC);
      sqlite3_bind_blob(
          sign, 2, checkpoint.public_key, CHAIN_KEY_LEN, SQLITE_STATIC);
      sqlite3_bind_blob(
          sign, 3, checkpoint.signature, CHAIN_SIGNATURE_LEN, SQLITE_STATIC);
      sqlite3_bind_int64(sign, 4, seq);
      g_assert_cmpint(sqlite3_step(sign), ==, SQLITE_ROW);
      sqlite3_reset(sign);
    }
    sqlite3_finalize(meta);
  }
  sqlite3_finalize(read);
  sqlite3_finalize(write);
  sqlite3_finalize(sign);
  g_assert_cmpint(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), ==, SQLITE_OK);
  sqlite3_close(db);
}
