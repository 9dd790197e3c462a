/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts: hoop-hub(7) has their form. */
#include "ship/receipt.h"

#include <json-c/json.h>
#include <string.h>

void
receipt_read(ReceiptJson *json, Receipt *out, char **problem)
{
  const char *text = json_object_is_type(json, json_type_object)
                         ? json_object_to_json_string(json)
                         : "";
  g_autoptr(GError) error = NULL;
  ReviewReceipt found = {0};

  if (!review_receipt_parse(text, strlen(text), &found, &error)) {
    *problem = g_strdup_printf("it is not whole (%s)", error->message);
    return;
  }
  if (!review_receipt_is_signed(&found, found.public_key)) {
    *problem = g_strdup("its signature is not that of its key");
    return;
  }
  *out = (Receipt){.said = found, .text = review_receipt_format(&found)};
}

char *
receipt_problem(const Receipt *receipt,
                const uint8_t *key,
                const char *journal,
                int64_t through)
{
  const ReviewReceipt *said = &receipt->said;

  if (key && memcmp(said->public_key, key, SIGNING_KEY_LEN) != 0)
    return g_strdup("it is signed with another key than [ship] receiver-key");
  if (!g_str_equal(said->journal, journal))
    return g_strdup("it is for another journal");
  if (said->seq > through)
    return g_strdup_printf("it is for row %lld, which was never sent",
                           (long long)said->seq);
  return NULL;
}
