/* SPDX-License-Identifier: Apache-2.0 */
/* The record in either database: rows once, chains followed, found again,
 * verified, and taken away with age while the heads stay. */
#include "hub/audit/private.h"
#include "kit/clock.h"
#include "ship/format.h"
#include "tests/unit/postgresql-kit.h"

#include <string.h>

#define JOURNAL "0123456789abcdef0123456789abcdef"
#define DEADLINE_US (30 * 1000000)

typedef struct {
  char *folder;
  Loop *loop;
  Audit *audit;
  SigningKey *key;
  uint8_t link[SHA256_LEN];
  int64_t seq;
  unsigned answers;
  int64_t taken, known;
  bool failed;
} Fixture;

static Cluster *cluster; /* NULL: SQLite alone */

/* A request of so many rows that follow the last. */
static GBytes *
request_of(Fixture *fixture, unsigned n, const char *verdict)
{
  const ShipSource source = {"1", JOURNAL, "host", "dev"};
  GString *text = g_string_new(NULL);
  g_auto(Record) record;

  record_init(&record);
  otlp_open(text, &source);
  for (unsigned i = 0; i < n; i++) {
    JournalEntry entry = {
        .seq = ++fixture->seq, .body_len = -1, .kept_len = -1};
    g_autoptr(JournalRow) row = journal_row_new(ROW_REQUEST);

    entry.row = row;
    row->user = g_strdup("d\xc3\xa9v");
    row->verdict = g_strdup(verdict);
    journal_row_hash(&entry, fixture->link, entry.hash);
    record_set_row(&record, JOURNAL, &entry, fixture->link);
    memcpy(fixture->link, entry.hash, SHA256_LEN);
    if (i)
      g_string_append_c(text, ',');
    otlp_write(text, &record);
  }
  otlp_close(text);
  return g_string_free_to_bytes(text);
}

static void
on_done(const AuditAnswer *answer, const GError *error, void *data)
{
  Fixture *fixture = data;

  fixture->answers++;
  fixture->failed |= error != NULL;
  if (answer) {
    fixture->taken += answer->taken;
    fixture->known += answer->known;
  }
}

static void
run_until(Fixture *fixture, unsigned answers)
{
  const int64_t end = clock_mono_us() + DEADLINE_US;

  while (fixture->answers < answers) {
    g_assert_cmpint(clock_mono_us(), <, end);
    loop_iterate(fixture->loop, 20);
  }
  g_assert_false(fixture->failed);
}

static void
post(Fixture *fixture, GBytes *body)
{
  const AuditSender sender = {"https://idp", "7", "dev", "machine"};

  g_assert_nonnull(
      audit_post(fixture->audit, body, false, &sender, on_done, fixture));
}

static void
check_found(Db *db, Fixture *fixture)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AuditPage) page =
      audit_find(db, &(AuditQuery){.user = "d\xc3\xa9v", .limit = 10}, &error);
  g_autoptr(AuditPage) blocked = audit_find(
      db, &(AuditQuery){.verdict = "block", .text = "REQUEST block"}, &error);
  g_autoptr(AuditPage) none =
      audit_find(db, &(AuditQuery){.text = "100%"}, &error);
  g_autoptr(GPtrArray) alerts = audit_alerts(db, 0, 0, &error);
  g_autoptr(GPtrArray) journals = audit_journals(db, 0, &error);
  const AuditFound *first;
  const AuditJournal *journal;

  g_assert_no_error(error);
  g_assert_cmpuint(page->rows->len, ==, 10);
  first = page->rows->pdata[0];
  g_assert_cmpint(first->seq, ==, fixture->seq);
  g_assert_cmpint(page->next, ==, ((AuditFound *)page->rows->pdata[9])->id);
  g_assert_cmpuint(blocked->rows->len, ==, 2);
  g_assert_cmpuint(none->rows->len, ==, 0);
  g_assert_cmpuint(alerts->len, ==, 0);
  g_assert_cmpuint(journals->len, ==, 1);
  journal = journals->pdata[0];
  g_assert_cmpint(journal->head_seq, ==, fixture->seq);
  g_assert_cmpint(journal->rows, ==, fixture->seq);
}

static void
on_fault(const char *journal, int64_t seq, const char *fault, void *data)
{
  (void)data;
  g_test_message("%s %d: %s", journal, (int)seq, fault);
}

static void
check_pruned(Db *db, Fixture *fixture)
{
  g_autoptr(GError) error = NULL;
  AuditVerified found;
  int64_t pruned = 0;
  bool more = true;

  g_assert_true(audit_verify(db, NULL, on_fault, NULL, &found, &error));
  g_assert_cmpint(found.rows, ==, fixture->seq);
  g_assert_cmpint(found.faults, ==, 0);
  while (more)
    g_assert_true(
        audit_prune(db, clock_wall_us() + 1000000, &pruned, &more, &error));
  g_assert_cmpint(pruned, ==, fixture->seq);
  g_assert_true(audit_verify(db, NULL, on_fault, NULL, &found, &error));
  g_assert_cmpint(found.faults, ==, 0);
}

/* What follows the head that retention left raises nothing. */
static void
check_goes_on(Db *db, Fixture *fixture)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) more = request_of(fixture, 3, "allow");
  g_autoptr(GPtrArray) alerts = NULL;

  fixture->answers = 0;
  post(fixture, more);
  run_until(fixture, 1);
  alerts = audit_alerts(db, 0, 0, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(alerts->len, ==, 0);
}

static void
try_at(const char *where, Fixture *fixture)
{
  const AuditOptions options = {.where = where, .key = fixture->key};
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) first = request_of(fixture, 2500, "allow");
  g_autoptr(GBytes) second = request_of(fixture, 2, "block");
  g_autoptr(Db) db = NULL;

  fixture->audit = audit_new(fixture->loop, &options, &error);
  g_assert_no_error(error);
  post(fixture, first);
  run_until(fixture, 1);
  post(fixture, second);
  post(fixture, first); /* again, and in the same transaction or not */
  post(fixture, second);
  run_until(fixture, 4);
  g_assert_cmpint(fixture->taken, ==, 2502);
  g_assert_cmpint(fixture->known, ==, 2502);
  db = db_open(where, &error);
  g_assert_no_error(error);
  check_found(db, fixture);
  check_pruned(db, fixture);
  check_goes_on(db, fixture);
  audit_free(fixture->audit);
}

static Fixture
begin(void)
{
  Fixture fixture = {.folder = g_dir_make_tmp("hub-audit-XXXXXX", NULL)};
  g_autofree char *seed = g_build_filename(fixture.folder, "key", NULL);

  fixture.loop = loop_new(NULL);
  fixture.key = signing_key_load(seed, true, NULL);
  g_assert_nonnull(fixture.key);
  return fixture;
}

static void
end(Fixture *fixture)
{
  loop_iterate(fixture->loop, 0);
  loop_free(fixture->loop);
  signing_key_free(fixture->key);
  remove_folder(fixture->folder);
  g_free(fixture->folder);
}

static void
test_sqlite(void)
{
  Fixture fixture = begin();
  g_autofree char *file = g_build_filename(fixture.folder, "audit.db", NULL);

  try_at(file, &fixture);
  end(&fixture);
}

static void
test_postgresql(void)
{
  Fixture fixture;
  g_autofree char *where = NULL;

  if (!cluster) {
    g_test_skip("there is no PostgreSQL here");
    return;
  }
  fixture = begin();
  where = cluster_database(cluster);
  try_at(where, &fixture);
  end(&fixture);
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  cluster = cluster_new();
  g_test_add_func("/audit/store/sqlite", test_sqlite);
  g_test_add_func("/audit/store/postgresql", test_postgresql);
  result = g_test_run();
  cluster_free(cluster);
  return result;
}
