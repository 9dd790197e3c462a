/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts of a receiver: those that the journal keeps and those that are
 * fetched, forged, foreign and altered ones; both verifiers say the same. */
#include "folder.h"
#include "tests/unit/journal-kit.h"

#include "review/review.h"

#include <string.h>

/* Checkpoints stand at 100 and, by closing, at 230. */
#define ROWS 230
/* The row that the receiver has confirmed. */
#define HEAD_ROW 150

/* Everything after a row is gone. */
#define CUT_AFTER(seq)                                                         \
  "DELETE FROM rows WHERE seq > " #seq ";"                                     \
  "DELETE FROM checkpoints WHERE seq > " #seq ";"                              \
  "DELETE FROM shared WHERE used_seq > " #seq ";"

typedef struct {
  TestJournal *test;
  char *path; /* the copy that is edited */
  char *head; /* of HEAD_ROW */
  char *last; /* of the last row */
} Base;

/* Rows without bodies. */
static Base *
base_new(void)
{
  Base *base = g_new0(Base, 1);

  base->test = test_journal_new();
  test_journal_open(base->test);
  for (int i = 1; i <= ROWS; i++) {
    JournalRow *row = journal_row_new(ROW_TUNNEL);

    row->host = g_strdup("example.com");
    test_append(base->test, row);
  }
  test_wait(base->test, ROWS);
  test_journal_close(base->test);
  base->path = g_build_filename(base->test->folder, "edited.db", NULL);
  base->last = test_head(base->test->path);
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

typedef struct {
  char *folder;
  SigningKey *hub, *other;
} Keys;

static SigningKey *
make_key(const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename(folder, name, NULL);
  SigningKey *key = signing_key_load(path, true, NULL);

  g_assert_nonnull(key);
  return key;
}

static void
keys_setup(Keys *keys, const void *data)
{
  (void)data;
  keys->folder = g_dir_make_tmp("receipts-XXXXXX", NULL);
  keys->hub = make_key(keys->folder, "hub.key");
  keys->other = make_key(keys->folder, "other.key");
}

static void
keys_teardown(Keys *keys, const void *data)
{
  (void)data;
  signing_key_free(keys->hub);
  signing_key_free(keys->other);
  remove_folder(keys->folder);
  g_free(keys->folder);
}

/* For the head "SEQ:HASH" of the journal. */
static ReviewReceipt
receipt_for(const Base *base, const char *head, const SigningKey *key)
{
  g_autoptr(JournalReader) reader = journal_reader_open(base->test->path, NULL);
  ReviewReceipt receipt = {.machine = "00000000000000000000000000000001",
                           .seq = g_ascii_strtoll(head, NULL, 10),
                           .time_us = 1772357400123456};

  g_assert_true(journal_reader_id(reader, receipt.journal, NULL));
  g_assert_true(
      hex_decode(strchr(head, ':') + 1, receipt.hash, sizeof receipt.hash));
  g_assert_true(review_receipt_sign(&receipt, key));
  return receipt;
}

/* SQL that stores words as the receipt for HEAD_ROW. */
static char *
kept(const char *words)
{
  return g_strdup_printf("INSERT INTO receipts SELECT 1, 'hub', seq, hash, 1, "
                         "'%s' FROM rows WHERE seq = %d;",
                         words,
                         HEAD_ROW);
}

/* What the verifiers say after `sql`; the key NULL: none is pinned. */
static char *
said_after(Base *base,
           const char *sql,
           const SigningKey *key,
           const char *const *receipts)
{
  const JournalWitness witness = {.receiver_key =
                                      key ? signing_key_public(key) : NULL,
                                  .receipts = receipts};

  test_copy(base->test->path, base->path);
  if (sql)
    test_edit(base->path, sql);
  return test_verify_with(base->path, &witness);
}

static void
says(char *reason, const char *part)
{
  g_autofree char *taken = reason;

  g_assert_nonnull(taken);
  if (!strstr(taken, part))
    g_error("\"%s\" does not say \"%s\"", taken, part);
}

/* Those that the journal keeps: forged, foreign and altered ones are named. */
static void
test_signed(Keys *keys, const void *data)
{
  g_autoptr(Base) base = base_new();
  ReviewReceipt good = receipt_for(base, base->head, keys->hub);
  ReviewReceipt forged = receipt_for(base, base->head, keys->other);
  ReviewReceipt foreign = good, altered = good, newer;
  g_auto(GStrv) texts = g_new0(char *, 7);
  g_auto(GStrv) sql = g_new0(char *, 7);
  g_autofree char *lost = NULL;
  g_autofree char *cut = NULL;

  (void)data;
  memset(foreign.journal, '7', sizeof foreign.journal - 1);
  g_assert_true(review_receipt_sign(&foreign, keys->hub));
  altered.time_us++;
  newer = receipt_for(base, base->last, keys->hub);
  texts[0] = review_receipt_format(&good);
  texts[1] = review_receipt_format(&forged);
  texts[2] = review_receipt_format(&foreign);
  texts[3] = review_receipt_format(&altered);
  texts[4] = review_receipt_format(&newer);
  texts[5] = g_strdup("{\"seq\":150}");
  for (unsigned i = 0; i < 6; i++)
    sql[i] = kept(texts[i]);
  g_assert_null(said_after(base, sql[0], keys->hub, NULL));
  g_assert_null(said_after(base, sql[0], NULL, NULL));
  says(said_after(base, sql[1], keys->hub, NULL), "another key");
  /* Without the receiver's key its own signature is all that can be told. */
  g_assert_null(said_after(base, sql[1], NULL, NULL));
  for (unsigned pinned = 0; pinned < 2; pinned++) {
    const SigningKey *key = pinned ? keys->hub : NULL;

    says(said_after(base, sql[2], key, NULL), "another journal");
    says(said_after(base, sql[3], key, NULL), "altered or forged");
    says(said_after(base, sql[4], key, NULL), "row 230");
    says(said_after(base, sql[5], key, NULL), "is none");
  }
  lost = g_strconcat(sql[0], CUT_AFTER(100), NULL);
  says(said_after(base, lost, keys->hub, NULL), "truncated");
  cut = g_strconcat(sql[0], "UPDATE receipts SET hash = x'00'", NULL);
  says(said_after(base, cut, keys->hub, NULL), "altered");
}

/* Those that come from the receiver: what was cut off together with all that
 * the journal knew of it is found. */
static void
test_fetched(Keys *keys, const void *data)
{
  g_autoptr(Base) base = base_new();
  ReviewReceipt good = receipt_for(base, base->head, keys->hub);
  ReviewReceipt newest = receipt_for(base, base->last, keys->hub);
  ReviewReceipt forged = receipt_for(base, base->head, keys->other);
  ReviewReceipt foreign = good, rewritten = good;
  g_auto(GStrv) texts = g_new0(char *, 6);
  const char *both[] = {NULL, NULL, NULL};
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  JournalVerification result;

  (void)data;
  memset(foreign.journal, '7', sizeof foreign.journal - 1);
  g_assert_true(review_receipt_sign(&foreign, keys->hub));
  memset(rewritten.hash, 3, sizeof rewritten.hash);
  g_assert_true(review_receipt_sign(&rewritten, keys->hub));
  texts[0] = review_receipt_format(&good);
  texts[1] = review_receipt_format(&newest);
  texts[2] = review_receipt_format(&forged);
  texts[3] = review_receipt_format(&foreign);
  texts[4] = review_receipt_format(&rewritten);
  both[0] = texts[0];
  both[1] = texts[1];
  g_assert_null(said_after(base, NULL, keys->hub, both));
  says(said_after(base, CUT_AFTER(200), keys->hub, both),
       "truncated: it ends at row 200, the receiver received row 230");
  both[1] = texts[2];
  says(said_after(base, NULL, keys->hub, both), "receipt 2 of those given");
  both[1] = texts[3];
  says(said_after(base, NULL, keys->hub, both), "another journal");
  both[1] = texts[4];
  says(said_after(base, NULL, keys->hub, both), "rewritten: row 150");
  both[1] = "nonsense";
  says(said_after(base, NULL, keys->hub, both), "is none");
  /* Without a key they say nothing. */
  reader = journal_reader_open(base->test->path, &error);
  g_assert_false(journal_verify(reader,
                                &(JournalWitness){.receipts = both},
                                NULL,
                                NULL,
                                &result,
                                &error));
  g_assert_nonnull(error);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add("/journal/receipts/kept",
             Keys,
             NULL,
             keys_setup,
             test_signed,
             keys_teardown);
  g_test_add("/journal/receipts/fetched",
             Keys,
             NULL,
             keys_setup,
             test_fetched,
             keys_teardown);
  return g_test_run();
}
