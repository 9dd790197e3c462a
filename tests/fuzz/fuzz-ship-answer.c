/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver of the record answers: whatever it is, counts are counts,
 * words are one printable line, a receipt is signed, a wait has an end. */
#include "ship/answer.h"
#include "tests/fuzz/fail.h"

#include <string.h>

#define HOUR_MS (INT64_C(3600) * 1000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_words(const char *words)
{
  if (!words)
    return;
  if (!*words || !g_utf8_validate(words, -1, NULL))
    fail("words that are empty or not UTF-8");
  if (strlen(words) > 3 * ANSWER_MAX_WORDS)
    fail("words that are too long");
  for (const char *c = words; *c; c = g_utf8_next_char(c))
    if (!g_unichar_isprint(g_utf8_get_char(c)))
      fail("words that a terminal acts on");
}

static void
check_answer(const char *text, size_t len)
{
  g_auto(ShipAnswer) answer = {.rejected = -2};
  const char *why = NULL;

  if (!ship_answer_read(text, len, &answer, &why)) {
    if (!why || answer.rejected != -2)
      fail("no reason, or an answer that was touched");
    return;
  }
  if (answer.rejected < 0)
    fail("a negative count");
  check_words(answer.message);
  if (answer.receipt.text && answer.receipt.said.seq < 1)
    fail("a receipt for no row");
  if (answer.receipt.text &&
      !review_receipt_is_signed(&answer.receipt.said,
                                answer.receipt.said.public_key))
    fail("a receipt that nobody signed");
  if (answer.receipt.text && answer.receipt_problem)
    fail("a receipt that is kept, and is none");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *copy = g_strndup((const char *)data, size);
  g_autofree char *words = ship_answer_words(copy, size);
  const int64_t wait = ship_retry_after(copy, INT64_C(1700000000) * 1000000);

  check_words(words);
  if (wait < -1 || wait > HOUR_MS)
    fail("a wait that is none");
  check_answer(copy, size);
  return 0;
}
