/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver's signed word of what it holds. Private to the room. */
#ifndef HOOP_SHIP_RECEIPT_H
#define HOOP_SHIP_RECEIPT_H

#include "ship/answer.h"

typedef struct json_object ReceiptJson;

/* Reads the member `hoop.receipt` of an answer; *problem becomes a phrase, and
 * `out` stays empty, when it is not whole or its signature is not that of the
 * key that it names. */
void receipt_read(ReceiptJson *json, Receipt *out, char **problem);

/* The bytes that a receipt's signature covers. */
char *receipt_message(const char *journal,
                      int64_t seq,
                      const char *hash,
                      const char *time);

#endif
