/* SPDX-License-Identifier: Apache-2.0 */
/* The life of shipping: look for rows, read a batch, send it, note it in the
 * journal, and wait when something fails; one thing at a time. */
#include "ship/ship.h"

#include "kit/clock.h"
#include "kit/json.h"
#include "ship/private.h"

#include <string.h>
#include <unistd.h>

G_DEFINE_QUARK(hoop_ship_error, ship_error)

/* After a failure: 1 s, then twice as long up to five minutes, of which up to
 * half by chance, so that agents do not come together. */
#define FIRST_RETRY_MS 1000
#define MAX_RETRY_MS (5 * 60 * 1000)
/* Batches are not made smaller: where a record is at fault, others beside it
 * show that. */
#define LEAST_ROWS 8
/* One job waits at most. */
#define MAX_JOBS 4

/* What the worker reads; the ship is not its own to look at. */
typedef struct read_job {
  Ship *ship; /* NULL once it is gone; the main thread's */
  Sink *sink;
  JournalReader *reader; /* taken along, and given back */
  char *path;
  char *receiver;
  ShipFormat format;
  ShipSource source;
  char instance[33];
  bool first;
  int64_t seq, checkpoint_seq, through;
  unsigned most;
  Batch *batch;
  GError *error;
} ReadJob;

/* A note on its way through the journal's writer. */
typedef struct ship_note {
  Ship *ship; /* NULL once it is gone */
} Note;

static void step(Ship *ship);

/* ---- Failures and pauses ------------------------------------------------- */

static void
idle(Ship *ship)
{
  ship->state = IDLE;
  loop_timer_set(ship->timer, (int64_t)ship->interval * 1000);
}

/* retry_ms: as the receiver asks, or -1. */
static void
wait_for_retry(Ship *ship, const char *problem, int64_t retry_ms)
{
  int64_t ms = FIRST_RETRY_MS;

  if (!ship->problem)
    ship->problem_us = clock_wall_us();
  if (ship->problem != problem) {
    g_free(ship->problem);
    ship->problem = g_strdup(problem);
  }
  for (unsigned i = 0; i < ship->failures && ms < MAX_RETRY_MS; i++)
    ms *= 2;
  ms = MIN(ms, MAX_RETRY_MS);
  ms = ms / 2 + g_random_int_range(0, (gint32)(ms / 2) + 1);
  if (retry_ms >= 0)
    ms = retry_ms + g_random_int_range(0, (gint32)(retry_ms / 10) + 50);
  ship->failures++;
  ship->state = WAITING;
  ship->eager = false;
  ship->retry_us = clock_wall_us() + ms * 1000;
  loop_timer_set(ship->timer, ms);
}

static void
all_well(Ship *ship)
{
  ship->failures = 0;
  ship->retry_us = 0;
  g_clear_pointer(&ship->problem, g_free);
}

static void
end_round(Ship *ship)
{
  if (ship->in_round)
    round_clear(&ship->round);
  ship->in_round = false;
}

/* ---- Noting -------------------------------------------------------------- */

/* A row about what was set aside, so that the record itself says so. */
static void
record_set_aside(Ship *ship, const BatchItem *item, const char *reason)
{
  g_autoptr(GString) detail = g_string_new("{\"receiver\":\"");
  JournalRow *row = journal_row_new(ROW_SHIP);

  json_escape(detail, ship->receiver, -1);
  g_string_append_printf(detail,
                         "\",\"seq\":%lld,\"%s\":true,\"reason\":\"",
                         (long long)item->place.seq,
                         item->place.checkpoint ? "checkpoint" : "row");
  json_escape(detail, reason, -1);
  g_string_append(detail, "\"}");
  row->verdict = g_strdup("quarantined");
  row->detail = g_strdup(detail->str);
  journal_append(ship->journal, row, ship->loop, NULL, NULL);
}

/* Fewer records at a time for a receiver that does not take so much, and by
 * and by more again. */
static void
adapt(Ship *ship)
{
  const unsigned n = ship->round.batch->items->len;

  if (ship->round.too_large)
    ship->most = MAX(n / 2, LEAST_ROWS);
  else if (n >= ship->most)
    ship->most = MIN(ship->most + ship->most / 16 + 1, BATCH_ROWS);
}

static void
on_noted(const GError *error, void *data)
{
  Note *note = data;
  Ship *ship = note->ship;
  bool more;

  g_free(note);
  if (!ship)
    return;
  ship->note = NULL;
  if (error) {
    end_round(ship);
    wait_for_retry(ship, error->message, -1);
    return;
  }
  ship->seq = ship->round.batch->seq;
  ship->checkpoint_seq = ship->round.batch->checkpoint_seq;
  ship->delivered += ship->round.batch->items->len;
  ship->delivered_bytes += (int64_t)ship->round.batch->text->len;
  ship->shipped_us = clock_wall_us();
  if (ship->confirmed)
    ship->receipt_seq = ship->confirmed;
  more = ship->round.batch->full || ship->eager;
  adapt(ship);
  all_well(ship);
  end_round(ship);
  ship->state = IDLE;
  if (more)
    step(ship);
  else
    idle(ship);
}

/* A receipt is kept for what the receiver says about this journal; another one
 * is told of. */
static void
add_receipt(Ship *ship, JournalShipped *shipped)
{
  const Round *round = &ship->round;
  const Batch *batch = round->batch;
  const Receipt *receipt = &round->receipt;
  g_autofree char *problem = NULL;

  ship->confirmed = 0;
  if (receipt->text)
    problem =
        receipt_problem(receipt,
                        ship->has_receiver_key ? ship->receiver_key : NULL,
                        ship->instance,
                        MAX(batch->seq, batch->checkpoint_seq));
  if (problem) {
    g_free(ship->notice);
    ship->notice = g_strdup_printf(
        "the receiver sent a receipt that is not kept: %s", problem);
  }
  if (receipt->text && !problem) {
    shipped->receipt_seq = ship->confirmed = receipt->said.seq;
    shipped->receipt_hash = receipt->said.hash;
    shipped->receipt = receipt->text;
  } else if (batch->has_hash && round->bad->len == 0) {
    shipped->receipt_seq = batch->seq;
    shipped->receipt_hash = batch->hash;
  }
}

static void
note_round(Ship *ship)
{
  const Batch *batch = ship->round.batch;
  JournalShipped shipped = {.receiver = ship->receiver,
                            .seq = batch->seq,
                            .checkpoint_seq = batch->checkpoint_seq};

  for (unsigned i = 0; i < ship->round.bad->len; i++) {
    const BadItem *bad = &g_array_index(ship->round.bad, BadItem, i);
    const BatchItem *item = &g_array_index(batch->items, BatchItem, bad->index);

    record_set_aside(ship, item, bad->reason);
    journal_shipped(ship->journal,
                    &(JournalShipped){.receiver = ship->receiver,
                                      .bad_seq = item->place.seq,
                                      .bad_reason = bad->reason},
                    ship->loop,
                    NULL,
                    NULL);
  }
  add_receipt(ship, &shipped);
  ship->state = NOTING;
  ship->note = g_new0(Note, 1);
  ship->note->ship = ship;
  journal_shipped(ship->journal, &shipped, ship->loop, on_noted, ship->note);
}

/* ---- Sending ------------------------------------------------------------- */

static void send_next(Ship *ship);

static void
on_sent(const Sent *sent, void *data)
{
  Ship *ship = data;

  g_free(ship->notice);
  ship->notice = g_strdup(sent->code == SENT_TAKEN ? sent->message : NULL);
  if (round_note(&ship->round, sent))
    send_next(ship);
  else
    wait_for_retry(ship, sent->message, sent->retry_ms);
}

/* The round is over, or goes on; after a failure the same slice comes again. */
static void
send_next(Ship *ship)
{
  Slice slice;

  if (round_next(&ship->round, &slice)) {
    ship->state = SENDING;
    ship->sink->type->send(
        ship->sink, ship->round.batch, &ship->source, slice, on_sent, ship);
  } else if (round_is_good(&ship->round)) {
    note_round(ship);
  } else {
    g_autofree char *words = g_strdup_printf(
        "%s; no record was taken, so none is set aside",
        ship->round.words ? ship->round.words : "the receiver takes nothing");

    /* Read anew next time: more rows may tell more. */
    end_round(ship);
    ship->most = BATCH_ROWS;
    wait_for_retry(ship, words, -1);
  }
}

/* ---- Reading ------------------------------------------------------------- */

static void
read_job_free(ReadJob *job)
{
  journal_reader_free(job->reader);
  batch_free(job->batch);
  g_clear_error(&job->error);
  g_free(job->path);
  g_free(job->receiver);
  g_free(job);
}

/* Where the journal, and a receiver that can tell, say that it stands. */
static bool
find_cursor(ReadJob *job)
{
  JournalCursor cursor = {0};
  ShipPlace last;

  if (!journal_reader_id(job->reader, job->instance, &job->error) ||
      !journal_cursor(job->reader, job->receiver, &cursor, &job->error))
    return false;
  job->seq = cursor.seq;
  job->checkpoint_seq = cursor.checkpoint_seq;
  if (job->sink->type->last &&
      job->sink->type->last(job->sink, job->instance, &last) &&
      last.seq <= job->through) {
    job->seq = MAX(job->seq, last.seq);
    job->checkpoint_seq =
        MAX(job->checkpoint_seq, last.checkpoint ? last.seq : last.seq - 1);
  }
  return true;
}

static void
read_run(void *data)
{
  ReadJob *job = data;

  if (!job->reader)
    job->reader = journal_reader_open(job->path, &job->error);
  if (!job->reader || (job->first && !find_cursor(job)))
    return;
  job->source.instance = job->instance;
  job->batch = batch_read(job->reader,
                          &job->source,
                          job->format,
                          job->seq,
                          job->checkpoint_seq,
                          job->through,
                          job->most,
                          &job->error);
}

static void
take_cursor(Ship *ship, const ReadJob *job)
{
  ship->known = true;
  ship->seq = job->seq;
  ship->checkpoint_seq = job->checkpoint_seq;
  g_strlcpy(ship->instance, job->instance, sizeof ship->instance);
}

static void
read_done(void *data, bool cancelled)
{
  ReadJob *job = data;
  Ship *ship = job->ship;

  if (ship)
    ship->job = NULL;
  if (!ship || cancelled) {
    read_job_free(job);
    return;
  }
  if (job->error) {
    wait_for_retry(ship, job->error->message, -1);
    read_job_free(job);
    return;
  }
  if (job->first)
    take_cursor(ship, job);
  ship->reader = g_steal_pointer(&job->reader);
  if (job->batch->items->len) {
    round_begin(&ship->round, g_steal_pointer(&job->batch));
    ship->in_round = true;
    send_next(ship);
  } else {
    ship->eager = false;
    all_well(ship);
    idle(ship);
  }
  read_job_free(job);
}

static void
read_batch(Ship *ship)
{
  ReadJob *job = g_new0(ReadJob, 1);

  *job = (ReadJob){.ship = ship,
                   .sink = ship->sink,
                   .reader = g_steal_pointer(&ship->reader),
                   .path = g_strdup(ship->path),
                   .receiver = g_strdup(ship->receiver),
                   .format = ship->format,
                   .source = ship->source,
                   .first = !ship->known,
                   .seq = ship->seq,
                   .checkpoint_seq = ship->checkpoint_seq,
                   .through = journal_durable_seq(ship->journal),
                   .most = ship->most};
  g_strlcpy(job->instance, ship->instance, sizeof job->instance);
  ship->state = READING;
  ship->job = job;
  /* One thing at a time: the queue has room. */
  if (!worker_run(ship->pool, ship->loop, read_run, read_done, job))
    g_assert_not_reached();
}

static void
step(Ship *ship)
{
  if (ship->state != IDLE && ship->state != WAITING)
    return;
  ship->retry_us = 0;
  loop_timer_set(ship->timer, -1);
  if (ship->in_round)
    send_next(ship);
  else
    read_batch(ship);
}

static void
on_timer(void *data)
{
  step(data);
}

/* ---- Public -------------------------------------------------------------- */

static const struct {
  const char *name;
  bool (*check)(const ShipOptions *options, GError **error);
  Sink *(*make)(const SinkEnv *env, GError **error);
} formats[] = {
    [SHIP_OTLP] = {"otlp", sink_otlp_check, sink_otlp_new},
    [SHIP_JSONL] = {"jsonl", sink_file_check, sink_file_new},
    [SHIP_SYSLOG] = {"syslog", sink_syslog_check, sink_syslog_new},
};

const char *
ship_format_name(ShipFormat format)
{
  return formats[format].name;
}

bool
ship_format_from_name(const char *name, ShipFormat *out)
{
  for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
    if (g_str_equal(formats[i].name, name)) {
      *out = (ShipFormat)i;
      return true;
    }
  }
  return false;
}

bool
ship_check(const ShipOptions *options, GError **error)
{
  uint8_t key[SIGNING_KEY_LEN];

  if (options->receiver_key &&
      !hex_decode(options->receiver_key, key, sizeof key)) {
    g_set_error(error,
                SHIP_ERROR,
                SHIP_ERROR_CONFIG,
                "[ship] receiver-key=%s: it takes the 64 hex digits of an "
                "Ed25519 key",
                options->receiver_key);
    return false;
  }
  if (options->issuer &&
      (options->token_file || options->format != SHIP_OTLP)) {
    g_set_error(error,
                SHIP_ERROR,
                SHIP_ERROR_CONFIG,
                "[ship] issuer=%s: %s",
                options->issuer,
                options->token_file ? "token-file is another bearer token; "
                                      "take one of them out"
                                    : "only format=otlp takes a bearer token");
    return false;
  }
  return formats[options->format].check(options, error);
}

char *
ship_host_name(void)
{
  char name[256] = "";

  if (gethostname(name, sizeof name - 1) != 0 || !*name ||
      !g_utf8_validate(name, -1, NULL))
    return g_strdup("localhost");
  return g_strdup(name);
}

Ship *
ship_new(Loop *loop,
         Journal *journal,
         const ShipOptions *options,
         GError **error)
{
  g_autoptr(Ship) ship = NULL;
  const SinkEnv *env;

  if (!ship_check(options, error))
    return NULL;
  ship = g_new0(Ship, 1);
  ship->loop = loop;
  ship->journal = journal;
  ship->format = options->format;
  ship->path = g_strdup(options->journal_path);
  ship->receiver = g_strdup(options->endpoint);
  ship->version = g_strdup(options->version);
  ship->host = ship_host_name();
  ship->user = g_utf8_make_valid(g_get_user_name(), -1);
  ship->source = (ShipSource){.version = ship->version,
                              .instance = ship->instance,
                              .host = ship->host,
                              .user = ship->user};
  ship->has_receiver_key =
      options->receiver_key &&
      hex_decode(options->receiver_key, ship->receiver_key, SIGNING_KEY_LEN);
  ship->interval = MAX(options->interval, 1);
  ship->most = BATCH_ROWS;
  ship->pool = worker_pool_new(1, MAX_JOBS);
  ship->timer = loop_timer_new(loop, on_timer, ship);
  env = &(SinkEnv){.loop = loop, .pool = ship->pool, .options = options};
  ship->sink = formats[options->format].make(env, error);
  if (!ship->sink)
    return NULL;
  loop_timer_set(ship->timer, 0);
  return g_steal_pointer(&ship);
}

void
ship_free(Ship *ship)
{
  if (!ship)
    return;
  if (ship->sink)
    ship->sink->type->stop(ship->sink);
  worker_pool_free(ship->pool);
  if (ship->sink)
    ship->sink->type->free(ship->sink);
  if (ship->job)
    ship->job->ship = NULL;
  if (ship->note)
    ship->note->ship = NULL;
  loop_timer_free(ship->timer);
  end_round(ship);
  journal_reader_free(ship->reader);
  journal_reader_free(ship->status_reader);
  g_free(ship->path);
  g_free(ship->receiver);
  g_free(ship->version);
  g_free(ship->host);
  g_free(ship->user);
  g_free(ship->problem);
  g_free(ship->notice);
  g_free(ship);
}

void
ship_now(Ship *ship)
{
  ship->eager = true;
  step(ship);
}
