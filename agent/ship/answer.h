/* SPDX-License-Identifier: Apache-2.0 */
/* What a receiver answers: partial success, receipts, when to come again.
 * Nothing of it is trusted. Private to the room. */
#ifndef HOOP_SHIP_ANSWER_H
#define HOOP_SHIP_ANSWER_H

#include "kit/digest.h"
#include "review/review.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of an answer's body; honest ones have a few hundred bytes. */
#define ANSWER_MAX (64 * 1024)
/* Of a receiver's words in our messages. */
#define ANSWER_MAX_WORDS 200

/* A receiver's signed word that it holds a journal up to a row. */
typedef struct {
  ReviewReceipt said;
  char *text; /* the whole of it, one line of JSON; NULL: there was none */
} Receipt;

typedef struct {
  int64_t rejected; /* rejectedLogRecords */
  char *message;    /* the receiver's words, printable, bounded; or NULL */
  Receipt receipt;
  char *receipt_problem; /* why one that came is not believed; or NULL */
} ShipAnswer;
void ship_answer_clear(ShipAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ShipAnswer, ship_answer_clear)

/* Reads an ExportLogsServiceResponse in JSON; an empty body is one without
 * members. False with a phrase in *why (static) for anything else; `out`
 * untouched then. */
bool ship_answer_read(const char *text,
                      size_t len,
                      ShipAnswer *out,
                      const char **why);

/* The words of an error's body: message of a JSON object (google.rpc.Status),
 * else its first line; printable, bounded. NULL when there are none. */
char *ship_answer_words(const char *text, size_t len);

/* Retry-After (RFC 9110 section 10.2.3): milliseconds from now_us on; -1 when
 * it is neither seconds nor a date. At most an hour. */
int64_t ship_retry_after(const char *value, int64_t now_us);

#endif
