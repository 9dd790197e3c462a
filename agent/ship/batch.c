/* SPDX-License-Identifier: Apache-2.0 */
/* Reads batches: rows first, then the checkpoints up to the last of them, so
 * that a checkpoint never overtakes its row. */
#include "ship/batch.h"

#include <string.h>

typedef struct {
  Batch *batch;
  const ShipSource *source;
  ShipFormat format;
  int64_t through;
  unsigned most;
  Record record;
  GArray *checkpoints; /* JournalCheckpoint, those to come */
  unsigned next;       /* of them */
  JournalReader *reader;
  JournalOrigin origin;
  int64_t link_seq; /* what the row behind this one follows; -1: not known */
  uint8_t link[SHA256_LEN];
} Reading;

void
batch_free(Batch *batch)
{
  if (!batch)
    return;
  g_string_free(batch->text, TRUE);
  g_array_unref(batch->items);
  g_free(batch);
}

static bool
is_full(const Reading *reading)
{
  const Batch *batch = reading->batch;

  return batch->items->len >= reading->most ||
         (batch->items->len > 0 && batch->text->len >= BATCH_BYTES);
}

static void
write_record(Reading *reading)
{
  Batch *batch = reading->batch;
  BatchItem item = {reading->record.place, batch->text->len, 0};

  switch (reading->format) {
  case SHIP_OTLP:
    otlp_write(batch->text, &reading->record);
    break;
  case SHIP_JSONL:
    jsonl_write(batch->text, &reading->record, reading->source);
    break;
  case SHIP_SYSLOG:
    syslog_write(batch->text, &reading->record, reading->source);
    break;
  }
  item.end = batch->text->len;
  g_array_append_val(batch->items, item);
}

/* The checkpoints of rows before `seq`. False when the batch is full. */
static bool
write_checkpoints(Reading *reading, int64_t seq)
{
  Batch *batch = reading->batch;

  for (; reading->next < reading->checkpoints->len; reading->next++) {
    const JournalCheckpoint *one =
        &g_array_index(reading->checkpoints, JournalCheckpoint, reading->next);

    if (one->seq >= seq)
      return true;
    if (is_full(reading)) {
      batch->full = true;
      return false;
    }
    record_set_checkpoint(
        &reading->record, batch->journal, one, reading->origin.created_us);
    write_record(reading);
    batch->checkpoint_seq = one->seq;
    reading->link_seq = one->seq;
    journal_checkpoint_link(reading->origin.genesis, one, reading->link);
  }
  return true;
}

/* What the row follows; NULL: the row before is not there, as `journal verify`
 * will tell. */
static const uint8_t *
link_of(Reading *reading, int64_t seq)
{
  if (reading->link_seq != seq - 1 &&
      !journal_link(
          reading->reader, &reading->origin, seq - 1, reading->link, NULL))
    return NULL;
  return reading->link;
}

static bool
each_row(const JournalEntry *entry, void *data)
{
  Reading *reading = data;
  Batch *batch = reading->batch;

  if (entry->seq > reading->through || !write_checkpoints(reading, entry->seq))
    return false;
  if (is_full(reading)) {
    batch->full = true;
    return false;
  }
  record_set_row(
      &reading->record, batch->journal, entry, link_of(reading, entry->seq));
  write_record(reading);
  reading->link_seq = entry->seq;
  memcpy(reading->link, entry->hash, SHA256_LEN);
  batch->seq = entry->seq;
  memcpy(batch->hash, entry->hash, SHA256_LEN);
  batch->has_hash = true;
  return true;
}

static bool
each_checkpoint(const JournalCheckpoint *checkpoint, void *data)
{
  Reading *reading = data;

  g_array_append_val(reading->checkpoints, *checkpoint);
  return reading->checkpoints->len < reading->most;
}

/* Checkpoints first: one at the last row is then only seen when that row was
 * there, and what follows it comes later in any case. */
static bool
fill(Reading *reading, JournalReader *reader, GError **error)
{
  const JournalQuery query = {.after_seq = reading->batch->seq,
                              .kind = -1,
                              .limit = reading->most + 1,
                              .oldest_first = true};

  if (!journal_origin(reader, &reading->origin, error) ||
      !journal_checkpoints(reader,
                           reading->batch->checkpoint_seq,
                           each_checkpoint,
                           reading,
                           error) ||
      !journal_query(reader, &query, each_row, reading, error))
    return false;
  if (!reading->batch->full)
    write_checkpoints(reading, reading->batch->seq + 1);
  return true;
}

Batch *
batch_read(JournalReader *reader,
           const ShipSource *source,
           ShipFormat format,
           int64_t seq,
           int64_t checkpoint_seq,
           int64_t through,
           unsigned most,
           GError **error)
{
  Batch *batch = g_new0(Batch, 1);
  Reading reading = {.batch = batch,
                     .source = source,
                     .format = format,
                     .through = through,
                     .most = MIN(most, BATCH_ROWS),
                     .reader = reader,
                     .link_seq = -1,
                     .checkpoints =
                         g_array_new(FALSE, FALSE, sizeof(JournalCheckpoint))};
  bool good;

  g_strlcpy(batch->journal, source->instance, sizeof batch->journal);
  batch->text = g_string_new(NULL);
  batch->items = g_array_new(FALSE, FALSE, sizeof(BatchItem));
  batch->seq = seq;
  batch->checkpoint_seq = checkpoint_seq;
  record_init(&reading.record);
  good = fill(&reading, reader, error);
  record_clear(&reading.record);
  g_array_unref(reading.checkpoints);
  if (good)
    return batch;
  batch_free(batch);
  return NULL;
}

static const BatchItem *
item_at(const Batch *batch, unsigned index)
{
  return &g_array_index(batch->items, BatchItem, index);
}

GString *
batch_text(const Batch *batch,
           ShipFormat format,
           const ShipSource *source,
           Slice slice)
{
  const size_t start = item_at(batch, slice.from)->start;
  const size_t end = item_at(batch, slice.from + slice.n - 1)->end;
  GString *out = g_string_sized_new(end - start + slice.n + 1024);

  if (format != SHIP_OTLP) {
    g_string_append_len(out, batch->text->str + start, (gssize)(end - start));
    return out;
  }
  otlp_open(out, source);
  for (unsigned i = 0; i < slice.n; i++) {
    const BatchItem *item = item_at(batch, slice.from + i);

    if (i)
      g_string_append_c(out, ',');
    g_string_append_len(
        out, batch->text->str + item->start, (gssize)(item->end - item->start));
  }
  otlp_close(out);
  return out;
}

void
batch_key(const Batch *batch, Slice slice, char out[SHA256_HEX_SIZE])
{
  g_autoptr(GString) keys = g_string_new(NULL);
  uint8_t digest[SHA256_LEN];

  for (unsigned i = 0; i < slice.n; i++) {
    char key[RECORD_KEY_SIZE];

    ship_key(batch->journal, item_at(batch, slice.from + i)->place, key);
    g_string_append_printf(keys, "%s\n", key);
  }
  sha256(keys->str, keys->len, digest);
  hex_encode(digest, sizeof digest, out);
}
