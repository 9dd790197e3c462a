/* SPDX-License-Identifier: Apache-2.0 */
/* What is put into the journal is what comes out of it: fields, order, bodies,
 * bounds, filters, ids, and requests that nobody answered. */

#include "tests/unit/journal-kit.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

/* Rows of the burst that must share commits and keep their order. */
#define BURST 1500

typedef struct {
  GPtrArray *seen; /* exchange ids, in the order of the calls */
  JournalEntry last;
  unsigned stop_after;
} Seen;

static bool
see(const JournalEntry *entry, void *data)
{
  Seen *seen = data;

  g_ptr_array_add(seen->seen, g_strdup(entry->row->exchange));
  seen->last = *entry;
  seen->last.row = NULL;
  return seen->stop_after == 0 || seen->seen->len < seen->stop_after;
}

/* Runs a query; the number of rows it gave. */
static unsigned
count_rows(const char *path, const JournalQuery *query)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
  Seen seen = {.seen = ids};

  g_assert_no_error(error);
  g_assert_true(journal_query(reader, query, see, &seen, &error));
  g_assert_no_error(error);
  return ids->len;
}

static bool
check_full_row(const JournalEntry *entry, void *data)
{
  const JournalRow *row = entry->row;

  g_assert_cmpint(row->kind, ==, ROW_RESPONSE);
  g_assert_cmpint(row->wall_us, ==, 1700000000000000);
  g_assert_cmpstr(row->exchange, ==, "x1");
  g_assert_cmpstr(row->user, ==, "ada@example.com");
  g_assert_cmpstr(row->groups, ==, "developers,local");
  g_assert_cmpstr(row->issuer, ==, "local");
  g_assert_cmpstr(row->client, ==, "vscode");
  g_assert_cmpint(row->pid, ==, 4711);
  g_assert_cmpstr(row->process, ==, "/usr/bin/node < /usr/bin/code");
  g_assert_cmpstr(row->connection, ==, "copilot");
  g_assert_cmpstr(row->host, ==, "api.example.com");
  g_assert_cmpstr(row->method, ==, "POST");
  g_assert_cmpstr(row->path, ==, "/chat/completions");
  g_assert_cmpstr(row->api, ==, "chat");
  g_assert_cmpstr(row->model, ==, "model-1");
  g_assert_cmpstr(row->conversation, ==, "c-17");
  g_assert_cmpstr(row->verdict, ==, "mask");
  g_assert_cmpstr(row->rule, ==, "credentials-in-prompt");
  g_assert_cmpstr(row->detail, ==, "{\"findings\":[]}");
  g_assert_cmpstr(row->policy_revision, ==, "r1");
  g_assert_cmpint(row->status, ==, 200);
  g_assert_cmpint(row->bytes_in, ==, 5);
  g_assert_cmpint(row->bytes_out, ==, 5);
  g_assert_cmpint(row->tokens_in, ==, 12);
  g_assert_cmpint(row->tokens_out, ==, 34);
  g_assert_cmpint(row->duration_us, ==, 56789);
  g_assert_null(row->body);
  g_assert_cmpint(entry->seq, ==, 1);
  g_assert_cmpint(entry->body_len, ==, 5);
  g_assert_cmpint(entry->kept_len, ==, 5);
  g_assert_true(entry->has_body);
  g_assert_cmpint(entry->cut, ==, 0);
  memcpy(data, entry->body_digest, SHA256_LEN);
  return true;
}

static void
test_read_back(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GBytes) body = NULL;
  JournalRow *row = test_response("x1", "hello");
  const JournalQuery all = {.kind = -1};
  uint8_t digest[SHA256_LEN];

  row->wall_us = 1700000000000000;
  test_journal_open(test);
  g_assert_true(test_put(test, row));
  g_assert_null(journal_health(test->journal));
  reader = journal_reader_open(test->path, &error);
  g_assert_no_error(error);
  g_assert_true(journal_query(reader, &all, check_full_row, digest, &error));
  g_assert_no_error(error);
  body = journal_body(reader, digest, &error);
  g_assert_no_error(error);
  g_assert_cmpmem(
      g_bytes_get_data(body, NULL), g_bytes_get_size(body), "hello", 5);
  memset(digest, 7, sizeof digest);
  g_assert_null(journal_body(reader, digest, &error));
  g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_NOT_FOUND);
  test_verify_intact(test->path);
}

static bool
check_empty_row(const JournalEntry *entry, void *data)
{
  const JournalRow *row = entry->row;

  g_assert_null(row->exchange);
  g_assert_null(row->detail);
  g_assert_cmpint(row->pid, ==, -1);
  g_assert_cmpint(row->tokens_out, ==, -1);
  g_assert_cmpint(entry->body_len, ==, -1);
  g_assert_cmpint(entry->kept_len, ==, -1);
  g_assert_false(entry->has_body);
  ++*(int *)data;
  return true;
}

/* A row with nothing set is stored, also when nobody waits for it. */
static void
test_empty_row(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  const JournalQuery all = {.kind = -1};
  int seen = 0;

  test_journal_open(test);
  journal_append(
      test->journal, journal_row_new(ROW_START), test->loop, NULL, NULL);
  test_journal_close(test);
  reader = journal_reader_open(test->path, &error);
  g_assert_no_error(error);
  g_assert_true(journal_query(reader, &all, check_empty_row, &seen, &error));
  g_assert_cmpint(seen, ==, 1);
  test_verify_intact(test->path);
}

/* Newest first, all there, in the order of the appends. */
static void
test_order(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  const JournalQuery all = {.kind = -1};
  Seen seen = {.seen = ids};

  test->options.durability = DURABILITY_GROUPED;
  test_journal_open(test);
  for (int i = 0; i < BURST; i++) {
    g_autofree char *id = g_strdup_printf("x%d", i);
    test_append(test, test_request(id, "hi"));
  }
  test_wait(test, BURST);
  g_assert_cmpint(test->refused, ==, 0);
  reader = journal_reader_open(test->path, &error);
  g_assert_true(journal_query(reader, &all, see, &seen, &error));
  g_assert_cmpint(ids->len, ==, BURST);
  for (int i = 0; i < BURST; i++) {
    g_autofree char *id = g_strdup_printf("x%d", BURST - 1 - i);
    g_assert_cmpstr(g_ptr_array_index(ids, (guint)i), ==, id);
  }
  g_assert_cmpint(
      test_count(test->path, "SELECT count(*) FROM checkpoints"), ==, 15);
  test_verify_intact(test->path);
}

static void
test_dedupe(void)
{
  g_autoptr(TestJournal) test = test_journal_new();

  test_journal_open(test);
  test_append(test, test_request("x1", "the same history"));
  test_append(test, test_request("x2", "the same history"));
  test_wait(test, 2);
  g_assert_true(test_put(test, test_request("x3", "the same history")));
  g_assert_true(test_put(test, test_request("x4", "another")));
  g_assert_true(test_put(test, test_request("x5", "")));
  g_assert_cmpint(test_count(test->path, "SELECT count(*) FROM bodies"), ==, 3);
  test_verify_intact(test->path);
}

/* A body beyond max_recorded_body: cut between characters, digest whole. */
/* A conversation that grows turn by turn, as clients resend it. */
static void
test_resent(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GString) text = g_string_new("{\"messages\":[");
  g_autoptr(GRand) random = g_rand_new_with_seed(4711);
  g_autoptr(GPtrArray) bodies = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(JournalReader) reader = NULL;
  const unsigned turns = 60;
  int64_t logical = 0, stored;

  test_journal_open(test);
  for (unsigned turn = 0; turn < turns; turn++) {
    g_autofree char *id = g_strdup_printf("turn%u", turn);

    for (int word = 0; word < 200; word++)
      g_string_append_printf(
          text, "%08x ", (unsigned)g_rand_int(random)); /* 1.8 KB a turn */
    g_ptr_array_add(bodies, g_strconcat(text->str, "],\"stream\":true}", NULL));
    logical += (int64_t)strlen(bodies->pdata[turn]);
    g_assert_true(test_put(test, test_request(id, bodies->pdata[turn])));
    /* the same again, later: nothing new but the row */
    g_assert_true(test_put(test, test_response(id, bodies->pdata[turn])));
  }
  test_journal_close(test);
  stored = test_count(test->path,
                      "SELECT (SELECT sum(length(data)) FROM bodies) + "
                      "(SELECT sum(length(data)) FROM parts)");
  g_test_message("%d bytes of text in %d", (int)logical, (int)stored);
  g_assert_cmpint(stored, <, logical / 8);
  reader = journal_reader_open(test->path, NULL);
  for (unsigned turn = 0; turn < turns; turn++) {
    size_t len = strlen(bodies->pdata[turn]);
    uint8_t digest[SHA256_LEN];
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) body = NULL;

    sha256(bodies->pdata[turn], len, digest);
    body = journal_body(reader, digest, &error);
    g_assert_no_error(error);
    g_assert_cmpmem(g_bytes_get_data(body, NULL),
                    g_bytes_get_size(body),
                    bodies->pdata[turn],
                    len);
  }
  test_verify_intact(test->path);
}

/* What shipping keeps is there, and only moves forward. */
static void
test_shipped(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  const uint8_t hash[SHA256_LEN] = {1};
  JournalCursor cursor;
  g_autofree char *head = NULL;

  test_journal_open(test);
  for (int i = 0; i < 3; i++)
    g_assert_true(test_put(test, test_request("x", "hi")));
  g_assert_cmpint(journal_durable_seq(test->journal), ==, 3);
  journal_shipped(
      test->journal,
      &(JournalShipped){
          .receiver = "https://r", .seq = 2, .bad_seq = 2, .bad_reason = "odd"},
      test->loop,
      test_done,
      test);
  test_wait(test, 4);
  journal_shipped(test->journal,
                  &(JournalShipped){.receiver = "https://r",
                                    .seq = 1,
                                    .checkpoint_seq = 0,
                                    .receipt_seq = 2,
                                    .receipt_hash = hash,
                                    .receipt = NULL},
                  test->loop,
                  test_done,
                  test);
  test_wait(test, 5);
  g_assert_cmpint(test->refused, ==, 0);
  reader = journal_reader_open(test->path, &error);
  g_assert_no_error(error);
  g_assert_true(journal_cursor(reader, "https://r", &cursor, &error));
  g_assert_cmpint(cursor.seq, ==, 2);
  g_assert_cmpint(cursor.quarantined, ==, 1);
  g_assert_cmpint(cursor.wall_us, >, 0);
  g_assert_true(journal_cursor(reader, "another", &cursor, &error));
  g_assert_cmpint(cursor.seq, ==, 0);
  head = journal_head(reader, &error);
  g_assert_true(g_str_has_prefix(head, "3:"));
  g_assert_cmpint(strlen(head), ==, 2 + 64);
  g_assert_false(test_verify(test->path, NULL)); /* the receipt is another's */
}

/* A pair as the organisation makes it. */
static void
make_pair(const char *secret, const char *open)
{
  g_autofree char *command =
      g_strdup_printf("openssl genpkey -algorithm X25519 -out '%s' && "
                      "openssl pkey -in '%s' -pubout -out '%s'",
                      secret,
                      secret,
                      open);
  const char *argv[] = {"sh", "-c", command, NULL};
  int status = -1;

  g_assert_true(g_spawn_sync(NULL,
                             (char **)argv,
                             NULL,
                             G_SPAWN_SEARCH_PATH,
                             NULL,
                             NULL,
                             NULL,
                             NULL,
                             &status,
                             NULL));
  g_assert_cmpint(status, ==, 0);
}

/* What was masked is on the disk sealed, and not otherwise. */
static void
test_sealed(void)
{
  static const char original[] = "the value is hunter2-correct-horse";
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *secret = g_build_filename(test->folder, "secret.pem", NULL);
  g_autofree char *open = g_build_filename(test->folder, "open.pem", NULL);
  g_autofree char *other = g_build_filename(test->folder, "other.pem", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GBytes) text = NULL;
  JournalRow *row = test_request("x1", "the value is [password:AAAA]");
  JournalRow *same = test_response("x1", "nothing in it");

  make_pair(other, open);
  make_pair(secret, open);
  g_assert_false(journal_escrow_key(secret, test->options.escrow_key, &error));
  g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_OPEN);
  g_clear_error(&error);
  g_assert_true(journal_escrow_key(open, test->options.escrow_key, &error));
  test->options.escrow = true;
  row->original = g_bytes_new(original, strlen(original));
  same->original = g_bytes_ref(same->body);
  test_journal_open(test);
  g_assert_true(journal_seals(test->journal));
  g_assert_true(test_put(test, row));
  g_assert_true(test_put(test, same));
  row = test_request("x2", "the value is [password:BBBB]");
  row->original = g_bytes_new(original, strlen(original));
  g_assert_true(test_put(test, row));
  test_journal_close(test);
  test_verify_intact(test->path);

  reader = journal_reader_open(test->path, &error);
  text = journal_unseal(reader, 1, secret, &error);
  g_assert_no_error(error);
  g_assert_cmpmem(g_bytes_get_data(text, NULL),
                  g_bytes_get_size(text),
                  original,
                  strlen(original));
  g_assert_null(journal_unseal(reader, 2, secret, &error));
  g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_NOT_FOUND);
  g_clear_error(&error);
  g_assert_null(journal_unseal(reader, 1, other, &error));
  g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_OPEN);
  g_clear_error(&error);
  g_clear_pointer(&reader, journal_reader_free);

  /* another row's original does not open as this row's */
  test_edit(test->path,
            "UPDATE sealed SET data = (SELECT data FROM sealed WHERE seq = 3) "
            "WHERE seq = 1");
  g_assert_false(test_verify(test->path, NULL));
  reader = journal_reader_open(test->path, NULL);
  g_assert_null(journal_unseal(reader, 1, secret, &error));
  g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_CORRUPT);
}

static void
test_cut_body(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GBytes) kept = NULL;
  uint8_t digest[SHA256_LEN];
  const char *body = "123456789\xe2\x82\xac and more";

  test->options.max_recorded_body = 10;
  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", body)));
  g_assert_true(test_put(test, test_response("x1", "short")));
  g_assert_cmpint(
      test_count(test->path, "SELECT kept_len FROM rows WHERE seq = 1"), ==, 9);
  sha256(body, strlen(body), digest);
  reader = journal_reader_open(test->path, &error);
  kept = journal_body(reader, digest, &error);
  g_assert_no_error(error);
  g_assert_cmpmem(
      g_bytes_get_data(kept, NULL), g_bytes_get_size(kept), "123456789", 9);
  test_verify_intact(test->path);
}

static void
test_digest_only(void)
{
  g_autoptr(TestJournal) test = test_journal_new();

  test->options.bodies = false;
  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "not kept")));
  g_assert_cmpint(test_count(test->path, "SELECT count(*) FROM bodies"), ==, 0);
  g_assert_cmpint(test_count(test->path,
                             "SELECT count(*) FROM rows WHERE "
                             "length(body_digest) = 32 AND kept_len IS NULL"),
                  ==,
                  1);
  test_verify_intact(test->path);
}

static bool
check_bounds(const JournalEntry *entry, void *data)
{
  g_assert_cmpint(strlen(entry->row->host), ==, 254); /* 255 would halve é */
  g_assert_true(g_utf8_validate(entry->row->host, -1, NULL));
  g_assert_cmpstr(entry->row->user, ==, "a\xef\xbf\xbd");
  g_assert_true(
      g_str_has_prefix(entry->row->detail, "{\"cut\":true,\"bytes\":300002,"));
  g_assert_cmpuint(entry->cut, ==, (1u << 12) | (1u << 20));
  ++*(int *)data;
  return true;
}

/* Text from outside is cut and made UTF-8, and says so. */
static void
test_bounds(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GString) host = g_string_new(NULL);
  g_autoptr(GString) detail = g_string_new("{");
  JournalRow *row = journal_row_new(ROW_REFUSED);
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  const JournalQuery all = {.kind = -1};
  int seen = 0;

  for (int i = 0; i < 200; i++)
    g_string_append(host, "é");
  for (int i = 0; i < 300000; i++)
    g_string_append_c(detail, ' ');
  g_string_append_c(detail, '}');
  row->host = g_strdup(host->str);
  row->detail = g_strdup(detail->str);
  row->user = g_strdup("a\xff");
  test_journal_open(test);
  g_assert_true(test_put(test, row));
  reader = journal_reader_open(test->path, &error);
  g_assert_true(journal_query(reader, &all, check_bounds, &seen, &error));
  g_assert_cmpint(seen, ==, 1);
  test_verify_intact(test->path);
}

static void
test_filters(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GPtrArray) ids = g_ptr_array_new_with_free_func(g_free);
  Seen seen = {.seen = ids, .stop_after = 2};
  JournalRow *row;

  test_journal_open(test);
  for (int i = 0; i < 4; i++) {
    g_autofree char *id = g_strdup_printf("x%d", i);
    row = test_request(id, "hi");
    row->wall_us = 1000 + i;
    g_assert_true(test_put(test, row));
  }
  row = journal_row_new(ROW_TUNNEL);
  row->user = g_strdup("bob");
  row->model = g_strdup("'; DROP TABLE rows; --");
  row->wall_us = 2000;
  g_assert_true(test_put(test, row));

#define COUNT(...) count_rows(test->path, &(JournalQuery){__VA_ARGS__})
  g_assert_cmpint(COUNT(.kind = -1), ==, 5);
  g_assert_cmpint(COUNT(.kind = -1, .limit = 3), ==, 3);
  g_assert_cmpint(COUNT(.kind = ROW_REQUEST), ==, 4);
  g_assert_cmpint(COUNT(.kind = ROW_TUNNEL), ==, 1);
  g_assert_cmpint(COUNT(.kind = ROW_STOP), ==, 0);
  g_assert_cmpint(COUNT(.kind = -1, .exchange = "x2"), ==, 1);
  g_assert_cmpint(COUNT(.kind = -1, .exchange = "x"), ==, 4);
  g_assert_cmpint(COUNT(.kind = -1, .exchange = "x22"), ==, 0);
  g_assert_cmpint(COUNT(.kind = -1, .user = "bob"), ==, 1);
  g_assert_cmpint(COUNT(.kind = -1, .client = "vscode"), ==, 4);
  g_assert_cmpint(COUNT(.kind = -1, .rule = "credentials-in-prompt"), ==, 4);
  g_assert_cmpint(COUNT(.kind = -1, .verdict = "mask"), ==, 4);
  g_assert_cmpint(COUNT(.kind = -1, .connection = "copilot"), ==, 4);
  g_assert_cmpint(COUNT(.kind = -1, .model = "'; DROP TABLE rows; --"), ==, 1);
  g_assert_cmpint(COUNT(.kind = -1, .since_us = 1002), ==, 3);
  g_assert_cmpint(COUNT(.kind = -1, .until_us = 1002), ==, 2);
  g_assert_cmpint(
      COUNT(.kind = -1, .since_us = 1001, .until_us = 1003, .user = "bob"),
      ==,
      0);
#undef COUNT
  reader = journal_reader_open(test->path, &error);
  g_assert_true(
      journal_query(reader, &(JournalQuery){.kind = -1}, see, &seen, &error));
  g_assert_cmpint(ids->len, ==, 2);
}

static void
test_ids(void)
{
  g_autofree char *last = g_strdup("");

  for (int i = 0; i < 20000; i++) {
    char *id = journal_new_id();
    g_assert_cmpint(strlen(id), ==, 26);
    g_assert_cmpint(strspn(id, "0123456789abcdefghijklmnopqrstuv"), ==, 26);
    g_assert_cmpstr(last, <, id);
    g_free(last);
    last = id;
  }
}

/* A request without a response is closed at the next start, once. */
static void
test_interrupted(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  const JournalQuery interrupted = {.kind = ROW_RESPONSE,
                                    .verdict = "interrupted",
                                    .user = "ada@example.com"};

  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "answered")));
  g_assert_true(test_put(test, test_request("x2", "left open")));
  g_assert_true(test_put(test, test_request("x3", "left open too")));
  g_assert_true(test_put(test, test_response("x1", "yes")));
  test_journal_close(test);
  g_assert_cmpint(count_rows(test->path, &interrupted), ==, 0);
  for (int i = 0; i < 2; i++) {
    test_journal_open(test);
    test_journal_close(test);
    g_assert_cmpint(count_rows(test->path, &interrupted), ==, 2);
  }
  test_verify_intact(test->path);
}

/* Rows beyond the queue's bytes are answered at once, later, and counted. */
static void
test_queue_bound(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *big = g_strnfill(100 * 1024, 'x');

  test->options.max_queued = 256 * 1024;
  test_journal_open(test);
  for (int i = 0; i < 200; i++)
    test_append(test, test_request("x", big));
  g_assert_cmpint(test->answered, ==, 0); /* never inside the call */
  test_wait(test, 200);
  g_assert_cmpint(test->refused, >, 0);
  g_assert_cmpint(test->refused, <, 200);
  g_assert_cmpint(test->last_code, ==, JOURNAL_ERROR_QUEUE);
  g_assert_true(test_put(test, test_request("y", "fits again")));
  g_assert_cmpint(test_count(test->path,
                             "SELECT count(*) FROM rows WHERE kind = 'error' "
                             "AND detail LIKE '%queue%'"),
                  >,
                  0);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) FROM rows WHERE kind = 'request'"),
      ==,
      201 - test->refused);
  test_verify_intact(test->path);
}

static void
check_mode(const char *path, const char *suffix, unsigned mode)
{
  g_autofree char *name = g_strconcat(path, suffix, NULL);
  struct stat info;

  g_assert_cmpint(stat(name, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, mode);
}

/* Nobody else reads it, whatever the umask and whatever it was before. */
static void
test_private(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  mode_t before = umask(0);

  test_journal_open(test);
  g_assert_true(test_put(test, test_request("x1", "hi")));
  check_mode(test->path, "", 0600);
  check_mode(test->path, "-wal", 0600);
  check_mode(test->path, "-shm", 0600);
  check_mode(test->path, ".key", 0600);
  check_mode(test->path, ".lock", 0600);
  test_journal_close(test);
  g_assert_cmpint(g_chmod(test->path, 0644), ==, 0);
  test_journal_open(test);
  check_mode(test->path, "", 0600);
  umask(before);
}

/* What was never there cannot be read. */
static void
test_no_journal(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) error = NULL;

  g_assert_null(journal_reader_open(test->path, &error));
  g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_NOT_FOUND);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/journal/rows/read-back", test_read_back);
  g_test_add_func("/journal/rows/empty", test_empty_row);
  g_test_add_func("/journal/rows/order", test_order);
  g_test_add_func("/journal/rows/dedupe", test_dedupe);
  g_test_add_func("/journal/rows/resent", test_resent);
  g_test_add_func("/journal/rows/shipped", test_shipped);
  g_test_add_func("/journal/rows/sealed", test_sealed);
  g_test_add_func("/journal/rows/cut-body", test_cut_body);
  g_test_add_func("/journal/rows/digest-only", test_digest_only);
  g_test_add_func("/journal/rows/bounds", test_bounds);
  g_test_add_func("/journal/rows/filters", test_filters);
  g_test_add_func("/journal/rows/ids", test_ids);
  g_test_add_func("/journal/rows/interrupted", test_interrupted);
  g_test_add_func("/journal/rows/queue-bound", test_queue_bound);
  g_test_add_func("/journal/rows/private", test_private);
  g_test_add_func("/journal/rows/none", test_no_journal);
  return g_test_run();
}
