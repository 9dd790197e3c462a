/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of receivers: what acknowledges, what does not, receipts that are
 * signed and those that are not, and how long to wait. */
#include "folder.h"
#include "ship/answer.h"
#include "ship/receipt.h"

#include <string.h>

#define JOURNAL "00112233445566778899aabbccddeeff"

static void
test_answers(void)
{
  static const struct {
    const char *text;
    bool good;
    int64_t rejected;
    const char *message;
  } cases[] = {
      {"", true, 0, NULL},
      {"{}", true, 0, NULL},
      {"{\"partialSuccess\":{}}", true, 0, NULL},
      {"{\"partialSuccess\":null}", true, 0, NULL},
      {"{\"partialSuccess\":{\"rejectedLogRecords\":\"7\"}}", true, 7, NULL},
      {"{\"partialSuccess\":{\"rejectedLogRecords\":7,"
       "\"errorMessage\":\"too\\u001b old\\nand so on\"}}",
       true,
       7,
       "too  old"},
      {"{\"somethingElse\":1}", true, 0, NULL},
      {"{\"partialSuccess\":{\"rejectedLogRecords\":-1}}", false, 0, NULL},
      {"{\"partialSuccess\":{\"rejectedLogRecords\":\"x\"}}", false, 0, NULL},
      {"{\"partialSuccess\":{\"rejectedLogRecords\":1.5}}", false, 0, NULL},
      {"{\"partialSuccess\":[]}", false, 0, NULL},
      {"[]", false, 0, NULL},
      {"null", false, 0, NULL},
      {"{", false, 0, NULL},
      {"{}{}", false, 0, NULL},
      {"{\"a\":NaN}", false, 0, NULL},
      {"<html>", false, 0, NULL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(ShipAnswer) answer = {0};
    const char *why = NULL;

    g_test_message("%s", cases[i].text);
    g_assert_cmpint(
        ship_answer_read(cases[i].text, strlen(cases[i].text), &answer, &why),
        ==,
        cases[i].good);
    g_assert_cmpint(answer.rejected, ==, cases[i].rejected);
    g_assert_cmpstr(answer.message, ==, cases[i].message);
  }
}

static void
test_words(void)
{
  static const char json[] = "{\"code\":3,\"message\":\"no such index\"}";
  static const char html[] = "\n <h1>Oops</h1>\nmore";
  g_autofree char *status = ship_answer_words(json, strlen(json));
  g_autofree char *page = ship_answer_words(html, strlen(html));
  g_autofree char *none = ship_answer_words("", 0);

  g_assert_cmpstr(status, ==, "no such index");
  g_assert_cmpstr(page, ==, "<h1>Oops</h1>");
  g_assert_null(none);
}

static void
test_retry_after(void)
{
  /* 1994-11-06T08:49:37Z */
  const int64_t date_us = INT64_C(784111777) * 1000000;
  static const struct {
    const char *value;
    int64_t ms;
  } cases[] = {
      {"0", 0},
      {"120", 120000},
      {"7200", 3600000},
      {"99999999999999999999", 3600000},
      {"Sun, 06 Nov 1994 08:50:37 GMT", 60000},
      {"Sunday, 06-Nov-94 08:50:37 GMT", 60000},
      {"Sun Nov  6 08:50:37 1994", 60000},
      {"Sun, 06 Nov 1994 08:00:00 GMT", 0},
      {"Mon, 07 Nov 1994 08:00:00 GMT", 3600000},
      {"-1", -1},
      {"1.5", -1},
      {"soon", -1},
      {"", -1},
      {"Sun, 99 Nov 1994 08:50:37 GMT", -1},
      {"Sun, 06 Foo 1994 08:50:37 GMT", -1},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_test_message("%s", cases[i].value);
    g_assert_cmpint(ship_retry_after(cases[i].value, date_us), ==, cases[i].ms);
  }
  g_assert_cmpint(ship_retry_after(NULL, 0), ==, -1);
}

static SigningKey *
make_key(const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename(folder, name, NULL);
  SigningKey *key = signing_key_load(path, true, NULL);

  g_assert_nonnull(key);
  return key;
}

/* An answer with a receipt for row 17; `seq` is what it then says. */
static char *
signed_answer(const SigningKey *key, int64_t seq)
{
  ReviewReceipt receipt = {.journal = JOURNAL, .seq = 17, .time_us = 1};
  g_autofree char *text = NULL;

  memset(receipt.hash, 0xaa, sizeof receipt.hash);
  g_assert_true(review_receipt_sign(&receipt, key));
  receipt.seq = seq;
  text = review_receipt_format(&receipt);
  return g_strdup_printf("{\"hoop.receipt\":%s}", text);
}

static void
test_receipt(void)
{
  g_autofree char *folder = g_dir_make_tmp("receipt-XXXXXX", NULL);
  g_autoptr(SigningKey) key = make_key(folder, "one.key");
  g_autoptr(SigningKey) another = make_key(folder, "other.key");
  g_autofree char *good = signed_answer(key, 17);
  g_autofree char *bad = signed_answer(key, 18);
  g_auto(ShipAnswer) answer = {0};
  g_auto(ShipAnswer) other = {0};
  g_auto(ShipAnswer) partial = {0};
  const uint8_t *pinned = signing_key_public(key);
  g_autofree char *foreign = NULL;
  g_autofree char *forged = NULL;
  g_autofree char *early = NULL;
  const char *why;

  g_assert_true(ship_answer_read(good, strlen(good), &answer, &why));
  g_assert_null(answer.receipt_problem);
  g_assert_cmpint(answer.receipt.said.seq, ==, 17);
  g_assert_cmpstr(answer.receipt.said.journal, ==, JOURNAL);
  g_assert_nonnull(strstr(answer.receipt.text, "\"seq\":17"));
  g_assert_true(ship_answer_read(bad, strlen(bad), &other, &why));
  g_assert_null(other.receipt.text);
  g_assert_nonnull(other.receipt_problem);
  g_assert_true(
      ship_answer_read("{\"hoop.receipt\":{\"seq\":1}}", 26, &partial, &why));
  g_assert_nonnull(partial.receipt_problem);
  g_assert_null(receipt_problem(&answer.receipt, pinned, JOURNAL, 17));
  g_assert_null(receipt_problem(&answer.receipt, NULL, JOURNAL, 20));
  forged = receipt_problem(
      &answer.receipt, signing_key_public(another), JOURNAL, 17);
  foreign = receipt_problem(&answer.receipt, pinned, "00", 17);
  early = receipt_problem(&answer.receipt, pinned, JOURNAL, 16);
  g_assert_nonnull(strstr(forged, "another key"));
  g_assert_nonnull(strstr(foreign, "another journal"));
  g_assert_nonnull(strstr(early, "never sent"));
  remove_folder(folder);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ship/answer/answers", test_answers);
  g_test_add_func("/ship/answer/words", test_words);
  g_test_add_func("/ship/answer/retry-after", test_retry_after);
  g_test_add_func("/ship/answer/receipt", test_receipt);
  return g_test_run();
}
