/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver's signed word of what it holds, out of its answer. Private to the
 * room. */
#ifndef HOOP_SHIP_RECEIPT_H
#define HOOP_SHIP_RECEIPT_H

#include "ship/answer.h"

typedef struct json_object ReceiptJson;

/* Reads the member `hoop.receipt` of an answer; *problem becomes a phrase, and
 * `out` stays empty, when it is not whole or its signature is not that of the
 * key that it names. */
void receipt_read(ReceiptJson *json, Receipt *out, char **problem);

/* Why a receipt is not to be kept, a phrase; NULL: it is. `key`: the
 * receiver's, or NULL: not known; `journal` is this one's id, `through` the
 * newest row that was sent to the receiver. g_free. */
char *receipt_problem(const Receipt *receipt,
                      const uint8_t *key,
                      const char *journal,
                      int64_t through);

#endif
