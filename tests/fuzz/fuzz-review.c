/* SPDX-License-Identifier: Apache-2.0 */
/* What agents and hub read of each other: what is taken says the same when it
 * is written again, and no decision is taken that the key did not sign. */
#include "review/review.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A point of the curve, so that signatures are really looked at. */
static const uint8_t key[SIGNING_KEY_LEN] = {
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
    0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
    0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};

static void
check_ask(const char *text, size_t size)
{
  g_autoptr(ReviewAsk) ask = review_ask_parse(text, size, NULL);
  g_autoptr(ReviewAsk) again = NULL;
  g_autofree char *written = NULL;
  g_autofree char *rewritten = NULL;

  if (!ask)
    return;
  written = review_ask_format(ask);
  again = review_ask_parse(written, strlen(written), NULL);
  g_assert_nonnull(again);
  rewritten = review_ask_format(again);
  g_assert_cmpstr(written, ==, rewritten);
}

static void
check_reply(const char *text, size_t size)
{
  g_auto(ReviewReply) reply = {.reason = NULL};
  g_auto(ReviewReply) again = {.reason = NULL};
  g_autofree char *written = NULL;

  if (!review_reply_parse(text, size, &reply, NULL))
    return;
  written = review_reply_format(&reply);
  g_assert_true(review_reply_parse(written, strlen(written), &again, NULL));
  g_assert_cmpstr(reply.reason, ==, again.reason);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *text =
      size ? g_strndup((const char *)data, size) : g_strdup("");
  g_auto(ReviewMachine) machine = {.name = NULL};
  g_autofree char *id = NULL;
  uint8_t signature[SIGNATURE_LEN];

  check_ask(text, size);
  check_reply(text, size);
  g_assert_null(review_decision_open(text, size, key, NULL));
  if (review_machine_parse(text, size, &machine, NULL))
    g_assert_false(review_machine_is_of(&machine, "issuer", "subject"));
  if (review_request_parse(text, &id, signature))
    g_assert_cmpuint(strlen(id), ==, 32);
  return 0;
}
