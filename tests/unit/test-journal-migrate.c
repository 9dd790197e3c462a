/* SPDX-License-Identifier: Apache-2.0 */
/* Journals of every older version of the schema: read and verified as they
 * are, and brought up to date without a change to what they say. */

#include "tests/unit/journal-kit.h"

#include "journal/schema.h"

#include <string.h>

/* What the fixture holds. */
#define ROWS 120

typedef struct {
  TestJournal *test;
  char *head; /* before anything was migrated */
} Old;

/* The journal of version 1, brought to `version` by SQL alone, and signed. */
static void
make_old(Old *old, int version)
{
  g_autofree char *file =
      g_test_build_filename(G_TEST_DIST, "unit", "journal-v1.sql", NULL);
  g_autofree char *sql = NULL;
  g_autofree char *key_path = NULL;
  g_autofree char *pragma =
      g_strdup_printf("PRAGMA user_version = %d", version);
  g_autoptr(SigningKey) key = NULL;
  g_autoptr(GError) error = NULL;

  old->test = test_journal_new();
  key_path = g_strconcat(old->test->path, ".key", NULL);
  key = signing_key_load(key_path, true, &error);
  g_assert_no_error(error);
  g_assert_true(g_file_get_contents(file, &sql, NULL, &error));
  test_edit(old->test->path, sql);
  for (int i = 1; i < version; i++)
    test_edit(old->test->path, schema_migrations[i]);
  test_edit(old->test->path, pragma);
  test_resign(old->test->path, key);
  test_verify_intact(old->test->path);
  old->head = test_head(old->test->path);
}

static void
old_clear(Old *old)
{
  test_journal_free(old->test);
  g_free(old->head);
}

typedef struct {
  JournalReader *bodies;
  unsigned rows, with_body;
} Seen;

static bool
look(const JournalEntry *entry, void *data)
{
  Seen *seen = data;

  seen->rows++;
  if (entry->seq <= ROWS) {
    g_assert_cmpstr(entry->row->user, ==, "ada@example.com");
    g_assert_cmpstr(entry->row->groups, ==, "developers,local");
    g_assert_cmpint(entry->row->first_byte_us, ==, -1);
    g_assert_cmpint(entry->row->held_us, ==, -1);
  }
  if (entry->has_body) {
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) body =
        journal_body(seen->bodies, entry->body_digest, &error);

    g_assert_no_error(error);
    g_assert_cmpint(g_bytes_get_size(body), ==, entry->kept_len);
    seen->with_body++;
  }
  return true;
}

/* Every row is there as it was. */
static void
read_all(const char *path, unsigned rows)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  Seen seen = {.bodies = journal_reader_open(path, NULL)};
  const JournalQuery all = {.kind = -1, .oldest_first = true};
  JournalCursor cursor;

  g_assert_no_error(error);
  g_assert_true(journal_query(reader, &all, look, &seen, &error));
  g_assert_no_error(error);
  g_assert_cmpint(seen.rows, ==, rows);
  g_assert_cmpint(seen.with_body, ==, 3);
  g_assert_true(journal_cursor(reader, "nobody", &cursor, &error));
  g_assert_cmpint(cursor.seq, ==, 0);
  journal_reader_free(seen.bodies);
}

static void
test_migrate(const void *data)
{
  Old old;

  make_old(&old, GPOINTER_TO_INT(data));
  read_all(old.test->path, ROWS);
  test_journal_open(old.test); /* which closes the open request */
  g_assert_true(test_put(old.test, test_request("new", "after it")));
  test_journal_close(old.test);
  g_assert_cmpint(
      test_count(old.test->path, "PRAGMA user_version"), ==, SCHEMA_VERSION);
  g_assert_cmpint(
      test_count(old.test->path, "SELECT count(*) FROM rows"), ==, ROWS + 2);
  g_assert_cmpint(
      test_count(old.test->path,
                 "SELECT count(*) FROM rows WHERE verdict = 'interrupted' "
                 "AND exchange = 'open'"),
      ==,
      1);
  /* the chain from before the migration still holds, and still binds */
  g_assert_true(test_verify(old.test->path, old.head));
  g_assert_cmpint(
      test_count(old.test->path, "SELECT used_seq FROM bodies WHERE seq = 3"),
      ==,
      111);
  test_edit(old.test->path, "UPDATE rows SET held_us = 1 WHERE seq = 3");
  g_assert_false(test_verify(old.test->path, NULL));
  old_clear(&old);
}

/* A migration that fails leaves the journal as it was. */
static void
test_half(void)
{
  Old old;
  g_autoptr(GError) error = NULL;

  make_old(&old, 1);
  test_edit(old.test->path, "CREATE TABLE parts (x)");
  g_assert_null(journal_open(&old.test->options, &error));
  g_assert_nonnull(error);
  g_assert_cmpint(test_count(old.test->path, "PRAGMA user_version"), ==, 1);
  test_edit(old.test->path, "DROP TABLE parts");
  g_assert_true(test_verify(old.test->path, old.head));
  test_journal_open(old.test);
  test_journal_close(old.test);
  g_assert_true(test_verify(old.test->path, old.head));
  old_clear(&old);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (int version = 1; version <= SCHEMA_VERSION; version++) {
    g_autofree char *name = g_strdup_printf("/journal/migrate/%d", version);

    g_test_add_data_func(name, GINT_TO_POINTER(version), test_migrate);
  }
  g_test_add_func("/journal/migrate/half", test_half);
  return g_test_run();
}
