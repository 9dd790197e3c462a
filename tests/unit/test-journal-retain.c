/* SPDX-License-Identifier: Apache-2.0 */
/* Retention: what is old, shipped and answered goes, nothing else does, and
 * what stays is still a chain. */

#include "kit/clock.h"
#include "tests/unit/journal-kit.h"

#include "journal/parts.h"

#include <string.h>
#include <sys/stat.h>

#define DAY_US (INT64_C(24) * 3600 * 1000 * 1000)

typedef struct {
  JournalPruned pruned;
  char *error;
  bool done;
} Asked;

static void
on_pruned(const JournalPruned *pruned, const GError *error, void *data)
{
  Asked *asked = data;

  asked->pruned = *pruned;
  asked->error = error ? g_strdup(error->message) : NULL;
  asked->done = true;
}

static JournalPruned
prune(TestJournal *test)
{
  Asked asked = {0};

  journal_prune(test->journal, test->loop, on_pruned, &asked);
  for (int i = 0; !asked.done && i < TEST_DEADLINE_MS / 100; i++)
    loop_iterate(test->loop, 100);
  g_assert_true(asked.done);
  g_assert_null(asked.error);
  return asked.pruned;
}

/* What a reader says beforehand. */
static JournalPruned
plan(TestJournal *test)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(test->path, &error);
  JournalPruned out;

  g_assert_no_error(error);
  g_assert_true(journal_prune_plan(reader, &test->options.keep, &out, &error));
  g_assert_no_error(error);
  return out;
}

static char *
long_body(int turns)
{
  GString *text = g_string_new("{\"messages\":[");

  for (int i = 0; i < turns * 60; i++)
    g_string_append_printf(text, "\"%d and %d\",", i, i * i);
  return g_string_free(text, FALSE);
}

/* Answered requests, a fifth of them with the same text, some of it resent. */
static void
fill(TestJournal *test, int rows)
{
  unsigned before = test->answered;

  for (int i = 1; i <= rows; i++) {
    g_autofree char *id = g_strdup_printf("%u-%03d", before, (i + 1) / 2);
    g_autofree char *body = i % 5 == 0    ? g_strdup("the same again")
                            : i % 40 == 1 ? long_body(10 + i / 40)
                                          : g_strdup_printf("body %d", i);

    test_append(test, i % 2 ? test_request(id, body) : test_response(id, body));
  }
  test_wait(test, before + (unsigned)rows);
  g_assert_cmpint(test->refused, ==, 0);
}

/* The checkpoints up to a row become this old, signed anew. */
static void
make_old(TestJournal *test, int through, int days)
{
  g_autofree char *sql = g_strdup_printf(
      "UPDATE checkpoints SET wall_us = wall_us - %d * 86400000000 "
      "WHERE seq <= %d",
      days,
      through);
  g_autofree char *key_path = g_strconcat(test->path, ".key", NULL);
  g_autoptr(SigningKey) key = signing_key_load(key_path, false, NULL);

  test_journal_close(test);
  test_edit(test->path, sql);
  test_resign(test->path, key);
  test_verify_intact(test->path);
}

static void
test_age(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *head = NULL;
  JournalPruned first, again;

  test->options.keep.retain_us = 90 * DAY_US;
  test_journal_open(test);
  fill(test, 450);
  g_assert_cmpint(plan(test).rows, ==, 0);
  make_old(test, 200, 100);
  make_old(test, 300, 85);
  head = test_head(test->path);
  first = plan(test);
  test_journal_open(test);
  again = prune(test);
  g_assert_cmpint(again.rows, ==, 200);
  g_assert_cmpint(again.through_seq, ==, 200);
  g_assert_false(again.by_size);
  g_assert_cmpint(again.rows, ==, first.rows);
  g_assert_cmpint(again.bodies, ==, first.bodies);
  g_assert_cmpint(again.bodies, >, 100);
  g_assert_cmpint(test_count(test->path, "SELECT min(seq) FROM rows"), ==, 201);
  /* the text that younger rows use too is still there */
  g_assert_cmpint(
      test_count(test->path, "SELECT count(*) FROM bodies WHERE seq = 5"),
      ==,
      1);
  g_assert_true(test_verify(test->path, head));
  g_assert_cmpint(prune(test).rows, ==, 0);
  g_assert_true(test_put(test, test_request("after", "it goes on")));
  test_journal_close(test);
  g_assert_true(test_verify(test->path, head));
  g_assert_cmpint(test_count(test->path,
                             "SELECT detail ->> 'rows' FROM rows "
                             "WHERE kind = 'prune' AND verdict = 'age'"),
                  ==,
                  200);
}

/* Cut again and again: the newest cut counts, the older ones may go too. */
static void
test_again(void)
{
  g_autoptr(TestJournal) test = test_journal_new();

  test->options.keep.retain_us = 1;
  test_journal_open(test);
  for (int i = 0; i < 4; i++) {
    g_autofree char *head = NULL;

    fill(test, 1210);
    test_journal_close(test);
    head = test_head(test->path);
    test_journal_open(test);
    g_assert_cmpint(prune(test).rows, >, 1000);
    test_verify_intact(test->path);
  }
  test_journal_close(test);
  test_verify_intact(test->path);
  g_assert_cmpint(test_count(test->path, "SELECT count(*) FROM rows"), <, 200);
}

/* Texts of many sizes, until the parts of the oldest are due as well. */
static void
test_parts_go(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  int64_t parts;

  test->options.keep.retain_us = 1;
  test->options.durability = DURABILITY_GROUPED;
  test_journal_open(test);
  fill(test, 400);
  parts = test_count(test->path, "SELECT count(*) FROM parts");
  g_assert_cmpint(parts, >, 3);
  for (int i = 0; i < 9; i++) {
    unsigned before = test->answered;

    for (int k = 0; k < 500; k++)
      test_append(test, journal_row_new(ROW_ERROR));
    test_wait(test, before + 500);
  }
  prune(test);
  g_assert_cmpint(test_count(test->path, "SELECT count(*) FROM parts"), ==, 0);
  test_verify_intact(test->path);
}

/* Nothing goes that the receiver did not have. */
static void
test_shipped(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  JournalShipped told = {.receiver = "https://hub", .seq = 250};

  test->options.keep =
      (JournalRetention){.retain_us = 1, .ship_to = "https://hub"};
  test_journal_open(test);
  fill(test, 400);
  g_assert_cmpint(plan(test).rows, ==, 0);
  g_assert_cmpint(prune(test).rows, ==, 0);
  journal_shipped(test->journal, &told, test->loop, test_done, test);
  test_wait(test, 401);
  g_assert_cmpint(plan(test).rows, ==, 200);
  g_assert_cmpint(prune(test).rows, ==, 200);
  told.seq = 320;
  told.checkpoint_seq = 100; /* the checkpoints lag behind */
  journal_shipped(test->journal, &told, test->loop, test_done, test);
  test_wait(test, 402);
  g_assert_cmpint(prune(test).rows, ==, 0);
  told.checkpoint_seq = 300;
  journal_shipped(test->journal, &told, test->loop, test_done, test);
  test_wait(test, 403);
  g_assert_cmpint(prune(test).rows, ==, 100);
  test_journal_close(test);
  test_verify_intact(test->path);
}

/* Nor what still waits for its response. */
static void
test_open(void)
{
  g_autoptr(TestJournal) test = test_journal_new();

  test->options.keep.retain_us = 1;
  test_journal_open(test);
  fill(test, 150);
  g_assert_true(test_put(test, test_request("waits", "for an answer")));
  fill(test, 300);
  g_assert_cmpint(prune(test).rows, ==, 100);
  g_assert_true(test_put(test, test_response("waits", "here it is")));
  g_assert_cmpint(prune(test).rows, >=, 300);
  test_journal_close(test);
  test_verify_intact(test->path);
}

/* Without retention nothing ever goes. */
static void
test_kept(void)
{
  g_autoptr(TestJournal) test = test_journal_new();

  test_journal_open(test);
  fill(test, 250);
  make_old(test, 200, 4000);
  g_assert_cmpint(plan(test).rows, ==, 0);
  test_journal_open(test);
  g_assert_cmpint(prune(test).rows, ==, 0);
}

static int64_t
file_size(const char *path)
{
  struct stat info;

  g_assert_cmpint(stat(path, &info), ==, 0);
  return info.st_size;
}

/* max-size: the oldest go before it is met; nothing is refused. */
static void
test_size(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  const int64_t most = 1500 * 1000;
  char body[6001];

  test->options.durability = DURABILITY_GROUPED;
  test->options.keep =
      (JournalRetention){.retain_us = 90 * DAY_US, .max_size = (uint64_t)most};
  test_journal_open(test);
  for (int i = 0; i < 1500; i++) {
    uint8_t raw[3000];
    g_autofree char *id = g_strdup_printf("s%d", i);

    random_bytes(raw, sizeof raw);
    hex_encode(raw, sizeof raw, body);
    test_append(test, test_request(id, body));
    g_assert_true(test_put(test, test_response(id, NULL)));
    if (i % 50 == 0)
      prune(test);
  }
  prune(test);
  test_journal_close(test);
  g_assert_cmpint(test->refused, ==, 0);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) FROM rows WHERE kind = 'prune' AND "
                 "verdict = 'size'"),
      >,
      0);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) FROM rows WHERE exchange = 's1499'"),
      ==,
      2);
  test_verify_intact(test->path);
  g_assert_cmpint(file_size(test->path), <, most * 5 / 4);
}

static bool
put_noise(TestJournal *test, const char *id)
{
  char body[6001];
  uint8_t raw[3000];

  random_bytes(raw, sizeof raw);
  hex_encode(raw, sizeof raw, body);
  return test_put(test, test_request(id, body)) &&
         test_put(test, test_response(id, NULL));
}

/* A receiver that was away until the journal was full: what it acknowledges
 * then is noted, makes room, and requests go on. */
static void
test_full_until_shipped(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  JournalShipped told = {.receiver = "https://hub"};
  int64_t end = clock_mono_us() + 60 * G_USEC_PER_SEC;
  unsigned refused;

  test->options.durability = DURABILITY_GROUPED;
  test->options.keep = (JournalRetention){.retain_us = 90 * DAY_US,
                                          .max_size = 1000 * 1000,
                                          .ship_to = "https://hub"};
  test_journal_open(test);
  while (put_noise(test, "early"))
    told.seq += 2;
  g_assert_cmpint(test->last_code, ==, JOURNAL_ERROR_FULL);
  g_assert_cmpint(told.seq, >, 100);
  told.checkpoint_seq = told.seq;
  refused = test->refused;
  journal_shipped(test->journal, &told, test->loop, test_done, test);
  test_wait(test, test->answered + 1);
  g_assert_cmpint(test->refused, ==, refused);
  while (!put_noise(test, "late"))
    g_assert_cmpint(clock_mono_us(), <, end);
  test_journal_close(test);
  g_assert_cmpint(
      test_count(test->path, "SELECT count(*) FROM rows WHERE kind = 'prune'"),
      >,
      0);
  test_verify_intact(test->path);
}

/* A journal that is beyond a smaller limit is made to fit at the start, and
 * the file becomes smaller. */
static void
test_shrink(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  int64_t before;

  test->options.durability = DURABILITY_GROUPED;
  test_journal_open(test);
  for (int i = 0; i < 700; i++) {
    g_autofree char *body = g_malloc(6001);
    uint8_t raw[3000];

    random_bytes(raw, sizeof raw);
    hex_encode(raw, sizeof raw, body);
    test_append(test, test_request("", body));
    test_append(test, test_response("", NULL));
  }
  test_wait(test, 1400);
  test_journal_close(test);
  before = file_size(test->path);
  test->options.keep = (JournalRetention){.retain_us = 90 * DAY_US,
                                          .max_size = (uint64_t)before / 2};
  test_journal_open(test);
  g_assert_true(test_put(test, test_request("fits", "now")));
  prune(test);
  test_journal_close(test);
  g_assert_cmpint(file_size(test->path), <, before * 7 / 10);
  test_verify_intact(test->path);
}

static void
put_beside(TestJournal *test, int64_t size)
{
  g_autofree char *path = g_strconcat(test->path, ".search", NULL);
  g_autofree char *bytes = g_malloc0((gsize)size);

  g_assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
}

/* The files beside count to max-size by the share that they are; an index that
 * does not give way is no reason to take everything. */
static void
test_beside(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  JournalPruned seen;
  int64_t most, rows;

  test->options.durability = DURABILITY_GROUPED;
  test_journal_open(test);
  for (int i = 0; i < 500; i++)
    g_assert_true(put_noise(test, "some"));
  test_journal_close(test);
  most = file_size(test->path) * 13 / 10;
  test->options.keep =
      (JournalRetention){.retain_us = 90 * DAY_US, .max_size = (uint64_t)most};
  seen = plan(test);
  g_assert_cmpint(seen.rows, ==, 0);
  g_assert_cmpuint(seen.beside, <, 100 * 1000);
  put_beside(test, most / 2);
  seen = plan(test);
  g_assert_true(seen.by_size);
  g_assert_cmpint(seen.rows, >=, 100);
  g_assert_cmpuint(seen.beside, >=, (guint64)most / 2);
  test_journal_open(test);
  seen = prune(test);
  g_assert_true(seen.by_size);
  g_assert_cmpint(seen.rows, >=, 100);
  rows = test_count(test->path, "SELECT count(*) FROM rows");
  g_assert_cmpint(rows, >, 500);
  g_assert_cmpint(prune(test).rows, ==, 0);
  /* Beyond max-size by itself: nothing is refused for it. */
  put_beside(test, most * 2);
  g_assert_true(put_noise(test, "more"));
  test_journal_close(test);
  test_verify_intact(test->path);
}

/* What comes again and again is marked as used often enough, before and after
 * the agent was started anew. */
static void
test_lag(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GString) body = g_string_new(NULL);

  for (int i = 0; i < 4000; i++)
    g_string_append_printf(body, "%d of %d\n", i, i * i);
  for (int start = 0; start < 2; start++) {
    test_journal_open(test);
    for (unsigned i = 1; i <= PART_LAG + PART_LAG / 4; i++) {
      test_append(test, test_request("again", i % 2 ? body->str : "other"));
      if (i % 64 == 0)
        test_wait(test, test->answered + 1);
    }
    test_wait(test, (PART_LAG + PART_LAG / 4) * (unsigned)(start + 1));
    test_journal_close(test);
    test_verify_intact(test->path);
  }
  g_assert_cmpint(test->refused, ==, 0);
  g_assert_cmpint(
      test_count(test->path, "SELECT min(used_seq) > 1 FROM parts"), ==, 1);
  g_assert_cmpint(
      test_count(test->path, "SELECT min(used_seq) > 1 FROM shared"), ==, 1);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/journal/retain/age", test_age);
  g_test_add_func("/journal/retain/again", test_again);
  g_test_add_func("/journal/retain/parts", test_parts_go);
  g_test_add_func("/journal/retain/lag", test_lag);
  g_test_add_func("/journal/retain/beside", test_beside);
  g_test_add_func("/journal/retain/shipped", test_shipped);
  g_test_add_func("/journal/retain/open", test_open);
  g_test_add_func("/journal/retain/kept", test_kept);
  g_test_add_func("/journal/retain/size", test_size);
  g_test_add_func("/journal/retain/full-until-shipped",
                  test_full_until_shipped);
  g_test_add_func("/journal/retain/shrink", test_shrink);
  return g_test_run();
}
