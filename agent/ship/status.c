/* SPDX-License-Identifier: Apache-2.0 */
/* How far behind the receiver is, and what keeps it there; and the record as
 * JSON lines for whoever asks. */
#include "ship/private.h"

#include "kit/clock.h"

#include <stdlib.h>
#include <string.h>

/* What a record takes where none was sent yet. */
#define USUAL_BYTES 1500

static bool
take_time(const JournalEntry *entry, void *data)
{
  *(int64_t *)data = entry->row->wall_us;
  return false;
}

/* The newest row; 0 when there is none. */
static bool
read_head(JournalReader *reader, int64_t *seq, GError **error)
{
  g_autoptr(GError) failed = NULL;
  g_autofree char *head = journal_head(reader, &failed);

  *seq = head ? g_ascii_strtoll(head, NULL, 10) : 0;
  if (head || g_error_matches(failed, JOURNAL_ERROR, JOURNAL_ERROR_NOT_FOUND))
    return true;
  g_propagate_error(error, g_steal_pointer(&failed));
  return false;
}

static bool
read_status(JournalReader *reader,
            const char *receiver,
            int64_t bytes_each,
            ShipStatus *out,
            GError **error)
{
  JournalQuery query = {.kind = -1, .limit = 1, .oldest_first = true};
  JournalCursor cursor = {0};
  int64_t oldest_us = 0;

  if (!journal_cursor(reader, receiver, &cursor, error) ||
      !read_head(reader, &out->head_seq, error))
    return false;
  query.after_seq = cursor.seq;
  if (out->head_seq > cursor.seq &&
      !journal_query(reader, &query, take_time, &oldest_us, error))
    return false;
  out->shipped_seq = cursor.seq;
  out->shipped_us = cursor.wall_us;
  out->quarantined = cursor.quarantined;
  out->behind_rows = MAX(out->head_seq - cursor.seq, 0);
  out->behind_bytes = out->behind_rows * bytes_each;
  out->behind_us = oldest_us ? MAX(clock_wall_us() - oldest_us, 0) : 0;
  return true;
}

bool
ship_status(Ship *ship, ShipStatus *out, GError **error)
{
  const int64_t each =
      ship->delivered ? ship->delivered_bytes / ship->delivered : USUAL_BYTES;

  *out = (ShipStatus){.format = ship_format_name(ship->format),
                      .receiver = ship->receiver,
                      .delivered = ship->delivered,
                      .receipt_seq = ship->receipt_seq,
                      .busy = ship->state != IDLE && ship->state != WAITING,
                      .retry_us = ship->state == WAITING ? ship->retry_us : 0,
                      .problem = ship->problem,
                      .problem_since_us = ship->problem_us,
                      .notice = ship->notice};
  if (!ship->status_reader)
    ship->status_reader = journal_reader_open(ship->path, error);
  if (!ship->status_reader)
    return false;
  if (read_status(ship->status_reader, ship->receiver, each, out, error))
    return true;
  /* It may be another file by now. */
  g_clear_pointer(&ship->status_reader, journal_reader_free);
  return false;
}

bool
ship_status_offline(JournalReader *reader,
                    const ShipOptions *options,
                    int64_t known_bytes,
                    ShipStatus *out,
                    GError **error)
{
  *out = (ShipStatus){.format = ship_format_name(options->format),
                      .receiver = options->endpoint};
  return read_status(reader,
                     options->endpoint,
                     known_bytes ? known_bytes : USUAL_BYTES,
                     out,
                     error);
}

bool
ship_lines(JournalReader *reader,
           const char *version,
           int64_t after,
           bool (*write)(const char *text, size_t len, void *data),
           void *data,
           int64_t *through,
           GError **error)
{
  g_autofree char *host = ship_host_name();
  g_autofree char *user = g_utf8_make_valid(g_get_user_name(), -1);
  char instance[33];
  const ShipSource source = {
      .version = version, .instance = instance, .host = host, .user = user};
  int64_t seq = after, checkpoint_seq = after, head;
  bool more = true;

  if (!journal_reader_id(reader, instance, error) ||
      !read_head(reader, &head, error))
    return false;
  while (more) {
    g_autoptr(Batch) batch = batch_read(reader,
                                        &source,
                                        SHIP_JSONL,
                                        seq,
                                        checkpoint_seq,
                                        head,
                                        BATCH_ROWS,
                                        error);

    if (!batch)
      return false;
    more = batch->full;
    seq = batch->seq;
    checkpoint_seq = batch->checkpoint_seq;
    if (batch->text->len && !write(batch->text->str, batch->text->len, data))
      more = false;
  }
  if (through)
    *through = seq;
  return true;
}
