/* SPDX-License-Identifier: Apache-2.0 */
/* SIGKILL at random moments: no acknowledged row is lost or doubled, the chain
 * holds, and requests without a response are closed at the next start. */

#include "tests/unit/journal-kit.h"

#include "kit/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Rows that the writing child keeps waiting at a time. */
#define IN_FLIGHT 48
/* One acknowledgement on the pipe: kind, space, id, newline. */
#define ACK_LEN 29
/* The longest that a child lives after its first acknowledgement. */
#define MAX_LIFE_US 60000

/* ---- The child: writes until it is killed -------------------------------- */

typedef struct {
  TestJournal test;
  unsigned in_flight;
} Child;

typedef struct {
  Child *child;
  char ack[ACK_LEN + 1];
} Sent;

static void
on_stored(const GError *error, void *data)
{
  Sent *sent = data;

  sent->child->in_flight--;
  /* One write: the parent reads whole lines or nothing. */
  if (error || write(STDOUT_FILENO, sent->ack, ACK_LEN) != ACK_LEN)
    _exit(1);
  g_free(sent);
}

static void
send_row(Child *child, JournalRow *row)
{
  Sent *sent = g_new0(Sent, 1);

  sent->child = child;
  g_snprintf(sent->ack,
             sizeof sent->ack,
             "%c %s\n",
             row->kind == ROW_REQUEST ? 'q' : 'a',
             row->exchange);
  child->in_flight++;
  journal_append(child->test.journal, row, child->test.loop, on_stored, sent);
}

static int
write_for_ever(const char *path, const char *durability)
{
  Child child = {.test.options = {.path = path,
                                  .durability = *durability == 'f'
                                                    ? DURABILITY_FULL
                                                    : DURABILITY_GROUPED,
                                  .bodies = true,
                                  .max_queued = 8 * 1024 * 1024}};
  int64_t end = clock_mono_us() + TEST_DEADLINE_MS * 1000;

  child.test.loop = loop_new(NULL);
  test_journal_open(&child.test);
  for (int i = 0; clock_mono_us() < end; i++) {
    g_autofree char *id = journal_new_id();
    g_autofree char *body = g_strdup_printf("body %d", i % 7);

    send_row(&child, test_request(id, body));
    if (i % 5)
      send_row(&child, test_response(id, body));
    while (child.in_flight > IN_FLIGHT)
      loop_iterate(child.test.loop, 1000);
  }
  return 2; /* nobody killed it */
}

/* ---- The parent --------------------------------------------------------- */

typedef struct {
  TestJournal *test;
  GHashTable *acked; /* "q id" */
  GString *line;
  GRand *random;
} Parent;

static GPid
start_child(Parent *parent, const char *durability, int *out)
{
  g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
  char *argv[] = {
      self, (char *)"--write", parent->test->path, (char *)durability, NULL};
  g_autoptr(GError) error = NULL;
  GPid pid;

  g_spawn_async_with_pipes(NULL,
                           argv,
                           NULL,
                           G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CLOEXEC_PIPES,
                           NULL,
                           NULL,
                           &pid,
                           NULL,
                           out,
                           NULL,
                           &error);
  g_assert_no_error(error);
  return pid;
}

/* Reads acknowledgements for at most `wait_us` after the first one, or (-1)
 * until the pipe ends. */
static void
read_acks(Parent *parent, int fd, int64_t wait_us)
{
  int64_t until = clock_mono_us() + TEST_DEADLINE_MS * 1000;
  bool first = true;

  for (;;) {
    int64_t left = until - clock_mono_us();
    struct pollfd watch = {.fd = fd, .events = POLLIN};
    char bytes[ACK_LEN * 64];
    ssize_t len;

    if (left <= 0 && !first && wait_us >= 0)
      return;
    g_assert_cmpint(left, >, 0);
    if (poll(&watch, 1, (int)(left / 1000) + 1) <= 0)
      continue;
    len = read(fd, bytes, sizeof bytes);
    g_assert_cmpint(len, >=, 0);
    if (len == 0)
      return;
    if (first && wait_us >= 0)
      until = clock_mono_us() + wait_us;
    first = false;
    g_string_append_len(parent->line, bytes, len);
    while (parent->line->len >= ACK_LEN) {
      g_assert_cmpint(parent->line->str[ACK_LEN - 1], ==, '\n');
      g_hash_table_add(parent->acked,
                       g_strndup(parent->line->str, ACK_LEN - 1));
      g_string_erase(parent->line, 0, ACK_LEN);
    }
  }
}

static void
run_and_kill(Parent *parent, const char *durability)
{
  int fd, status;
  GPid pid = start_child(parent, durability, &fd);

  read_acks(parent, fd, g_rand_int_range(parent->random, 0, MAX_LIFE_US));
  g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
  read_acks(parent, fd, -1);
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_true(WIFSIGNALED(status));
  g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
  close(fd);
}

static bool
strike_out(const JournalEntry *entry, void *data)
{
  GHashTable *missing = data;
  g_autofree char *key = NULL;

  if (entry->row->exchange == NULL ||
      g_strcmp0(entry->row->verdict, "interrupted") == 0)
    return true;
  key = g_strdup_printf("%c %s",
                        entry->row->kind == ROW_REQUEST ? 'q' : 'a',
                        entry->row->exchange);
  g_hash_table_remove(missing, key);
  return true;
}

/* Every acknowledged row is there; no row is there twice. */
static void
check_rows(Parent *parent)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader =
      journal_reader_open(parent->test->path, &error);
  g_autoptr(GHashTable) missing = g_hash_table_new(g_str_hash, g_str_equal);
  const JournalQuery all = {.kind = -1};
  GHashTableIter iter;
  void *key;

  g_assert_no_error(error);
  g_hash_table_iter_init(&iter, parent->acked);
  while (g_hash_table_iter_next(&iter, &key, NULL))
    g_hash_table_add(missing, key);
  g_assert_true(journal_query(reader, &all, strike_out, missing, &error));
  g_assert_no_error(error);
  g_assert_cmpint(g_hash_table_size(missing), ==, 0);
  g_assert_cmpint(test_count(parent->test->path,
                             "SELECT count(*) - count(DISTINCT kind || "
                             "exchange) FROM rows WHERE exchange IS NOT NULL"),
                  ==,
                  0);
}

static void
check_chain(const char *path)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  JournalVerification result;

  g_assert_no_error(error);
  g_assert_true(journal_verify(reader, NULL, NULL, NULL, &result, &error));
  if (!result.intact)
    g_error("%s", result.reason);
  journal_verification_clear(&result);
}

static void
test_kill(const void *data)
{
  const char *durability = data;
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GHashTable) acked =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GString) line = g_string_new(NULL);
  Parent parent = {.test = test,
                   .acked = acked,
                   .line = line,
                   .random = g_rand_new_with_seed((guint32)g_test_rand_int())};
  int kills = g_getenv("HOOP_FULL") ? 100 : g_getenv("HOOP_VALGRIND") ? 3 : 15;

  for (int i = 0; i < kills; i++) {
    run_and_kill(&parent, durability);
    g_string_truncate(line, 0);
    check_chain(test->path);
    check_rows(&parent);
  }
  g_rand_free(parent.random);
  g_test_message(
      "%d kills, %u rows acknowledged", kills, g_hash_table_size(acked));
  test_journal_open(test);
  test_journal_close(test);
  g_assert_cmpint(test_count(test->path,
                             "SELECT count(*) FROM rows q WHERE kind = "
                             "'request' AND 1 != (SELECT count(*) FROM rows a "
                             "WHERE a.exchange = q.exchange AND a.kind = "
                             "'response')"),
                  ==,
                  0);
  test_verify_intact(test->path);
}

int
main(int argc, char **argv)
{
  if (argc == 4 && strcmp(argv[1], "--write") == 0)
    return write_for_ever(argv[2], argv[3]);
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/journal/kill/full", "full", test_kill);
  g_test_add_data_func("/journal/kill/grouped", "grouped", test_kill);
  return g_test_run();
}
