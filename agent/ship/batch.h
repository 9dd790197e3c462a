/* SPDX-License-Identifier: Apache-2.0 */
/* A stretch of the journal, read and written out in a format: rows and, behind
 * each, the checkpoint that signs it. Private to the room. */
#ifndef HOOP_SHIP_BATCH_H
#define HOOP_SHIP_BATCH_H

#include "ship/format.h"
#include "ship/ship.h"

/* Records of a batch: one request of OTLP's, one fsync of a file, one note in
 * the journal. */
#define BATCH_ROWS 1000
/* Bytes of it, before compression: collectors take 20 MiB (decoded) by default,
 * other receivers 4 or 5. The first record counts, however long. */
#define BATCH_BYTES ((size_t)3 * 1024 * 1024)

typedef struct {
  ShipPlace place;
  size_t start, end; /* in text; OTLP's without the comma between */
} BatchItem;

typedef struct {
  char journal[33];
  GString *text;
  GArray *items;            /* BatchItem, in order */
  int64_t seq;              /* the last row in it, or the cursor's */
  int64_t checkpoint_seq;   /* the last checkpoint in it, or the cursor's */
  uint8_t hash[SHA256_LEN]; /* of the last row in it */
  bool has_hash;            /* there is a row in it */
  bool full;                /* more may follow at once */
} Batch;

void batch_free(Batch *batch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Batch, batch_free)

/* Reads what follows row `seq` and checkpoint `checkpoint_seq`, up to row
 * `through` (what a power loss cannot take away), within the bounds above and
 * `most` records. Any thread, with a reader of its own. Errors of the journal.
 */
Batch *batch_read(JournalReader *reader,
                  const ShipSource *source,
                  ShipFormat format,
                  int64_t seq,
                  int64_t checkpoint_seq,
                  int64_t through,
                  unsigned most,
                  GError **error);

/* Of items [from, from + n). */
typedef struct {
  unsigned from, n;
} Slice;

/* What a slice is sent as: for OTLP a whole request, else the items' text. */
GString *batch_text(const Batch *batch,
                    ShipFormat format,
                    const ShipSource *source,
                    Slice slice);
/* A name for a slice that is the same whenever the same items are sent: 64 hex
 * digits. */
void batch_key(const Batch *batch, Slice slice, char out[SHA256_HEX_SIZE]);

#endif
