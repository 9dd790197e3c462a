/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fills up, fails or goes away: rows are refused with the reason,
 * none is acknowledged that was not stored, and the journal comes back. */

#define _GNU_SOURCE /* unshare */
#include "tests/unit/journal-kit.h"
#include "tests/unit/journal-vfs.h"

#include "kit/clock.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

/* The small file system, and what is kept on it to be given back. */
#define TMPFS_OPTIONS "size=6m,mode=0700"
#define BALLAST (3 * 1024 * 1024)

static bool may_mount;

static char *
random_body(size_t len)
{
  uint8_t raw[8192];
  char *hex = g_malloc(2 * sizeof raw + 1);

  g_assert_cmpint(len, <=, 2 * sizeof raw);
  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, hex);
  hex[len] = '\0';
  return hex;
}

/* Waits for the journal to be well again, or unwell. */
static void
wait_health(TestJournal *test, bool well)
{
  int64_t deadline = clock_mono_us() + TEST_DEADLINE_MS * 1000;

  for (;;) {
    g_autofree char *health = journal_health(test->journal);

    if ((health == NULL) == well)
      return;
    g_assert_cmpint(clock_mono_us(), <, deadline);
    g_usleep(10000);
  }
}

static void
assert_health_says(TestJournal *test, const char *what)
{
  g_autofree char *health = journal_health(test->journal);

  g_assert_nonnull(health);
  if (strstr(health, what) == NULL)
    g_error("'%s' does not say '%s'", health, what);
}

/* Puts rows until one is refused; the number that was stored. */
static unsigned
put_until_refused(TestJournal *test)
{
  unsigned stored = 0;

  for (int i = 0; i < 100000; i++) {
    g_autofree char *id = g_strdup_printf("full%d", i);
    g_autofree char *body = random_body(8000);

    if (!test_put(test, test_request(id, body))) {
      g_test_message("refused: %s", test->last_message);
      return stored;
    }
    stored++;
  }
  g_assert_not_reached();
}

/* Every acknowledged row is there once, the others not at all; the outage is
 * on record. */
static void
check_after_outage(TestJournal *test, unsigned stored)
{
  test_journal_close(test);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) FROM rows WHERE kind = 'request'"),
      ==,
      stored);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) FROM rows WHERE kind = 'error' AND "
                 "detail ->> 'error' = 'journal' AND "
                 "detail ->> 'refused' >= 1"),
      >=,
      1);
  test_verify_intact(test->path);
}

/* Over the limit of this process's files, as on any full disk. */
static void
test_file_size_limit(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  struct rlimit before, limit;
  unsigned stored;

  signal(SIGXFSZ, SIG_IGN);
  getrlimit(RLIMIT_FSIZE, &before);
  limit = before;
  limit.rlim_cur = 1024 * 1024;
  test_journal_open(test);
  g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
  stored = put_until_refused(test);
  g_assert_cmpint(stored, >, 10);
  g_assert_cmpint(test->last_code, ==, JOURNAL_ERROR_FULL);
  assert_health_says(test, "no space");
  g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &before), ==, 0);
  wait_health(test, true);
  g_assert_true(test_put(test, test_request("again", "it works")));
  check_after_outage(test, stored + 1);
}

/* A mount namespace of our own, where we may; before any thread or process is
 * started, so that all of them see the same files. */
static bool
enter_namespace(void)
{
  return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
         mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0;
}

/* A small file system; false (and the test is skipped) for those who may not
 * mount. */
static bool
mount_small(const char *folder)
{
  if (may_mount && mount("tmpfs", folder, "tmpfs", 0, TMPFS_OPTIONS) == 0)
    return true;
  g_test_skip("needs the right to mount");
  return false;
}

static void
test_disk_full(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *ballast = g_build_filename(test->folder, "ballast", NULL);
  g_autofree char *zeros = g_malloc0(BALLAST);
  unsigned stored;

  if (!mount_small(test->folder))
    return;
  g_assert_true(g_file_set_contents(ballast, zeros, BALLAST, NULL));
  test_journal_open(test);
  stored = put_until_refused(test);
  g_assert_cmpint(stored, >, 10);
  g_assert_cmpint(test->last_code, ==, JOURNAL_ERROR_FULL);
  assert_health_says(test, "no space");
  /* refused at once, without waiting for the disk */
  g_assert_false(test_put(test, test_request("no", "never stored")));
  g_assert_cmpint(g_unlink(ballast), ==, 0);
  wait_health(test, true);
  g_assert_true(test_put(test, test_request("again", "it works")));
  check_after_outage(test, stored + 1);
  umount2(test->folder, MNT_DETACH);
}

/* A file system that became read-only before the start. */
static void
test_read_only(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) error = NULL;

  if (!mount_small(test->folder))
    return;
  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "hi")));
  test_journal_close(test);
  g_assert_cmpint(
      mount(
          "none", test->folder, "none", MS_REMOUNT | MS_RDONLY, TMPFS_OPTIONS),
      ==,
      0);
  test->journal = journal_open(&test->options, &error);
  g_assert_null(test->journal);
  g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_OPEN);
  g_assert_cmpint(
      mount("none", test->folder, "none", MS_REMOUNT, TMPFS_OPTIONS), ==, 0);
  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x2", "hi")));
  test_journal_close(test);
  test_verify_intact(test->path);
  umount2(test->folder, MNT_DETACH);
}

/* [journal] max-size: refuses beyond it, and says so. */
static void
test_max_size(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  unsigned stored;

  test->options.keep.max_size = 600 * 1024;
  test_journal_open(test);
  stored = put_until_refused(test);
  g_assert_cmpint(stored, >, 10);
  g_assert_cmpint(test->last_code, ==, JOURNAL_ERROR_FULL);
  assert_health_says(test, "max-size");
  test_journal_close(test);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) FROM rows WHERE kind = 'request'"),
      ==,
      stored);
  test_verify_intact(test->path);
}

/* One run with the disk failing at its n-th operation: what was acknowledged
 * is there, once, and nothing is half there. False when the run had fewer
 * operations than that. */
static bool
run_with_fault(Durability durability, bool syncs, int n, int times, int code)
{
  g_autoptr(TestJournal) test = test_journal_new();
  const unsigned before = 3, during = 6;
  unsigned acknowledged;

  test->options.durability = durability;
  test_journal_open(test);
  for (unsigned i = 0; i < before; i++)
    g_assert_true(test_put(test, test_request("early", "stored")));
  faulty_disk_fail(!syncs, syncs, n, times, code);
  for (unsigned i = 0; i < during; i++) {
    g_autofree char *id = g_strdup_printf("late%u", i);
    g_autofree char *body = random_body(6000);
    test_append(test, test_request(id, body));
  }
  test_wait(test, before + during);
  acknowledged = test->answered - test->refused;
  test_journal_close(test);
  faulty_disk_heal();

  test_journal_open(test);
  test_journal_close(test);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) FROM rows WHERE exchange = 'early' "
                 "AND kind = 'request'"),
      ==,
      before);
  g_assert_cmpint(test_count(test->path,
                             "SELECT count(*) FROM rows WHERE kind = "
                             "'request' AND exchange LIKE 'late%'"),
                  >=,
                  acknowledged - before);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) - count(DISTINCT exchange) FROM rows "
                 "WHERE kind = 'request' AND exchange LIKE 'late%'"),
      ==,
      0);
  g_assert_true(test_verify(test->path, NULL));
  return atomic_load(&faulty_disk.failed) > 0;
}

/* Each write and each fsync fails once, in turn; then from there on. */
static void
test_each_operation(void)
{
  static const struct {
    Durability durability;
    bool syncs;
    int code;
  } cases[] = {
      {DURABILITY_FULL, false, SQLITE_IOERR_WRITE},
      {DURABILITY_FULL, false, SQLITE_FULL},
      {DURABILITY_FULL, true, SQLITE_IOERR_FSYNC},
      {DURABILITY_GROUPED, false, SQLITE_IOERR_WRITE},
      {DURABILITY_GROUPED, true, SQLITE_IOERR_FSYNC},
  };
  int most = g_getenv("HOOP_FULL") ? 400 : 24;
  int step = g_getenv("HOOP_FULL") ? 1 : 5;

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    for (int times = 1; times >= -1; times -= 2) {
      int n = 0;

      while (n < most &&
             run_with_fault(
                 cases[i].durability, cases[i].syncs, n, times, cases[i].code))
        n += step;
      g_assert_cmpint(n, >, 0);
    }
  }
}

/* The disk fails under a running journal, and heals. */
static void
test_outage(void)
{
  g_autoptr(TestJournal) test = test_journal_new();

  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "stored")));
  faulty_disk_fail(true, true, 0, -1, SQLITE_IOERR_WRITE);
  g_assert_false(test_put(test, test_request("x2", "refused")));
  g_assert_cmpint(test->last_code, ==, JOURNAL_ERROR_WRITE);
  assert_health_says(test, "disk I/O error");
  g_assert_false(test_put(test, test_request("x3", "refused too")));
  g_usleep(1200 * 1000); /* past one retry, which must fail too */
  g_assert_false(test_put(test, test_request("x4", "and still")));
  faulty_disk_heal();
  wait_health(test, true);
  g_assert_true(test_put(test, test_request("x5", "stored")));
  check_after_outage(test, 2);
}

/* GROUPED: a group is acknowledged before the fsync, which follows within 100
 * ms; its failure is the journal's failure. */
static void
test_grouped_sync(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  int64_t deadline = clock_mono_us() + TEST_DEADLINE_MS * 1000;
  int syncs;

  test->options.durability = DURABILITY_GROUPED;
  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "first")));
  g_usleep(300 * 1000); /* whatever opening still owed */
  syncs = atomic_load(&faulty_disk.seen_syncs);
  g_assert_true(test_put(test, test_request("x2", "acknowledged")));
  while (atomic_load(&faulty_disk.seen_syncs) == syncs) {
    g_assert_cmpint(clock_mono_us(), <, deadline);
    g_usleep(1000);
  }
  faulty_disk_fail(false, true, 0, -1, SQLITE_IOERR_FSYNC);
  g_assert_true(test_put(test, test_request("x3", "acknowledged too")));
  wait_health(test, false);
  g_assert_false(test_put(test, test_request("x4", "refused")));
  faulty_disk_heal();
  wait_health(test, true);
  check_after_outage(test, 3);
}

/* FULL: not before it. */
static void
test_full_sync(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  int syncs;

  test_journal_open(test);
  syncs = atomic_load(&faulty_disk.seen_syncs);
  g_assert_true(test_put(test, test_request("x1", "hi")));
  g_assert_cmpint(atomic_load(&faulty_disk.seen_syncs), >, syncs);
}

static void
rename_all(const char *from, const char *to)
{
  static const char *const suffixes[] = {"", "-wal", "-shm"};

  for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
    g_autofree char *a = g_strconcat(from, suffixes[i], NULL);
    g_autofree char *b = g_strconcat(to, suffixes[i], NULL);
    if (g_rename(a, b) != 0)
      g_assert_cmpint(errno, ==, ENOENT);
  }
}

/* Taken away and put back: never a new journal in between. */
static void
test_moved(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *away = g_build_filename(test->folder, "away.db", NULL);

  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "stored")));
  rename_all(test->path, away);
  g_assert_false(test_put(test, test_request("x2", "refused")));
  assert_health_says(test, "deleted or replaced");
  g_usleep(1200 * 1000);
  g_assert_false(test_put(test, test_request("x3", "refused")));
  assert_health_says(test, "is gone");
  g_assert_false(g_file_test(test->path, G_FILE_TEST_EXISTS));
  rename_all(away, test->path);
  wait_health(test, true);
  g_assert_true(test_put(test, test_request("x4", "stored")));
  test_journal_close(test);
  g_assert_cmpint(test_count(test->path,
                             "SELECT count(*) FROM rows WHERE kind = "
                             "'request' AND exchange IN ('x1', 'x4')"),
                  ==,
                  2);
  test_verify_intact(test->path);
}

/* Another, intact journal in its place is not the journal. */
static void
test_replaced(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *older = g_build_filename(test->folder, "older.db", NULL);
  g_autofree char *away = g_build_filename(test->folder, "away.db", NULL);

  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "stored")));
  test_copy(test->path, older);
  g_assert_true(test_put(test, test_request("x2", "stored")));
  rename_all(test->path, away);
  rename_all(older, test->path);
  g_assert_false(test_put(test, test_request("x3", "refused")));
  g_usleep(1200 * 1000);
  g_assert_false(test_put(test, test_request("x4", "refused")));
  g_assert_cmpint(test->last_code, ==, JOURNAL_ERROR_CORRUPT);
  assert_health_says(test, "not the one");
  g_assert_cmpint(test_count(test->path, "SELECT max(seq) FROM rows"), ==, 1);
}

/* Only the log was deleted: what was acknowledged from it is not lost. */
static void
test_log_deleted(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *log = g_strconcat(test->path, "-wal", NULL);

  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "stored")));
  g_assert_cmpint(g_unlink(log), ==, 0);
  g_assert_false(test_put(test, test_request("x2", "refused")));
  wait_health(test, true);
  g_assert_true(test_put(test, test_request("x3", "stored")));
  test_journal_close(test);
  g_assert_cmpint(test_count(test->path,
                             "SELECT count(*) FROM rows WHERE kind = "
                             "'request' AND exchange IN ('x1', 'x3')"),
                  ==,
                  2);
  test_verify_intact(test->path);
}

/* Garbage is refused with advice, and left as it is. */
static void
test_corrupt(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *garbage = g_strnfill(64 * 1024, 'g');
  g_autofree char *left = NULL;

  test_journal_open(test);
  test_journal_close(test);
  g_assert_true(g_file_set_contents(test->path, garbage, -1, NULL));
  test->journal = journal_open(&test->options, &error);
  g_assert_null(test->journal);
  g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_CORRUPT);
  g_assert_nonnull(strstr(error->message, "aside"));
  g_assert_true(g_file_get_contents(test->path, &left, NULL, NULL));
  g_assert_cmpstr(left, ==, garbage);
}

/* Refuses to open; the reason has a code and a word. */
static void
assert_refused(TestJournal *test, JournalErrorCode code, const char *word)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(journal_open(&test->options, &error));
  g_assert_error(error, JOURNAL_ERROR, (int)code);
  if (strstr(error->message, word) == NULL)
    g_error("'%s' does not say '%s'", error->message, word);
}

static void
test_not_ours(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *key = g_strconcat(test->path, ".key", NULL);
  g_autofree char *away = g_build_filename(test->folder, "away", NULL);
  g_autofree char *back = NULL;

  test_journal_open(test);
  test_journal_close(test);
  back = g_strdup_printf("PRAGMA user_version = %d",
                         (int)test_count(test->path, "PRAGMA user_version"));
  /* the key is gone, is another, can be read by others */
  g_assert_cmpint(g_rename(key, away), ==, 0);
  assert_refused(test, JOURNAL_ERROR_OPEN, "key");
  g_assert_true(g_file_set_contents_full(
      key,
      "0000000000000000000000000000000000000000000000000000000000000001\n",
      -1,
      G_FILE_SET_CONTENTS_NONE,
      0600,
      NULL));
  assert_refused(test, JOURNAL_ERROR_OPEN, "not the key");
  g_assert_cmpint(g_rename(away, key), ==, 0);
  g_assert_cmpint(g_chmod(key, 0640), ==, 0);
  assert_refused(test, JOURNAL_ERROR_OPEN, "key");
  g_assert_cmpint(g_chmod(key, 0600), ==, 0);
  /* written by a newer version; not a journal; altered */
  test_edit(test->path, "PRAGMA user_version = 99");
  assert_refused(test, JOURNAL_ERROR_OPEN, "newer");
  test_edit(test->path, back);
  test_edit(test->path, "PRAGMA application_id = 7");
  assert_refused(test, JOURNAL_ERROR_CORRUPT, "not a journal");
  test_edit(test->path, "PRAGMA application_id = 0x686f6f70");
  test_edit(test->path,
            "CREATE TRIGGER t AFTER INSERT ON rows BEGIN "
            "UPDATE rows SET user = 'bob'; END");
  assert_refused(test, JOURNAL_ERROR_CORRUPT, "altered");
  test_edit(test->path, "DROP TRIGGER t");
  /* a link in its place */
  g_assert_cmpint(g_rename(test->path, away), ==, 0);
  g_assert_cmpint(symlink(away, test->path), ==, 0);
  assert_refused(test, JOURNAL_ERROR_OPEN, "regular file");
  g_assert_cmpint(g_unlink(test->path), ==, 0);
  g_assert_cmpint(g_rename(away, test->path), ==, 0);
  test_journal_open(test);
}

/* One writer: a second is refused by name, here and in another process. */
static void
test_two_writers(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *self = g_strdup_printf("pid %d", (int)getpid());
  g_autoptr(GError) error = NULL;
  g_autofree char *said = NULL;
  char *argv[] = {(char *)"/proc/self/exe", (char *)"--open", test->path, NULL};
  int status;

  test_journal_open(test);
  assert_refused(test, JOURNAL_ERROR_LOCKED, self);
  argv[0] = g_file_read_link("/proc/self/exe", NULL);
  g_assert_true(g_spawn_sync(NULL,
                             argv,
                             NULL,
                             G_SPAWN_DEFAULT,
                             NULL,
                             NULL,
                             &said,
                             NULL,
                             &status,
                             &error));
  g_free(argv[0]);
  g_assert_no_error(error);
  g_assert_cmpint(status, !=, 0);
  g_assert_nonnull(strstr(said, self));
  g_assert_true(test_put(test, test_request("x1", "ours")));
}

/* The other process of test_two_writers(). */
static int
open_only(const char *path)
{
  JournalOptions options = {.path = path, .max_queued = 1};
  g_autoptr(GError) error = NULL;
  g_autoptr(Journal) journal = journal_open(&options, &error);

  if (journal == NULL)
    g_print("%s\n", error->message);
  return journal == NULL;
}

int
main(int argc, char **argv)
{
  if (argc == 3 && strcmp(argv[1], "--open") == 0)
    return open_only(argv[2]);
  g_test_init(&argc, &argv, NULL);
  faulty_disk_install();
  may_mount = enter_namespace();
  g_test_add_func("/journal/faults/file-size-limit", test_file_size_limit);
  g_test_add_func("/journal/faults/disk-full", test_disk_full);
  g_test_add_func("/journal/faults/read-only", test_read_only);
  g_test_add_func("/journal/faults/max-size", test_max_size);
  g_test_add_func("/journal/faults/each-operation", test_each_operation);
  g_test_add_func("/journal/faults/outage", test_outage);
  g_test_add_func("/journal/faults/grouped-sync", test_grouped_sync);
  g_test_add_func("/journal/faults/full-sync", test_full_sync);
  g_test_add_func("/journal/faults/moved", test_moved);
  g_test_add_func("/journal/faults/replaced", test_replaced);
  g_test_add_func("/journal/faults/log-deleted", test_log_deleted);
  g_test_add_func("/journal/faults/corrupt", test_corrupt);
  g_test_add_func("/journal/faults/not-ours", test_not_ours);
  g_test_add_func("/journal/faults/two-writers", test_two_writers);
  return g_test_run();
}
