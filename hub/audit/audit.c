/* SPDX-License-Identifier: Apache-2.0 */
/* The room's threads: two parse, one stores whatever waits in one transaction,
 * one reads; each with a connection of its own to the database. */
#include "http/http.h"
#include "hub/audit/private.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/worker.h"

#include <string.h>

#define PARSERS 2
/* Requests under way, and their bytes as they were sent: beyond that senders
 * are told to come again. */
#define MAX_POSTS 256
#define MAX_BYTES ((size_t)64 << 20)
/* Of a request, decoded: an agent sends 3 MiB and the last record. */
#define MAX_DECODED ((size_t)8 << 20)
/* Requests of one transaction: it ends within a second or so. */
#define MAX_GROUP 32
#define MAX_READS 64
#define PRUNE_MS (600 * 1000)
#define PRUNE_SOON_MS 200
#define US_PER_DAY (INT64_C(86400) * 1000000)
/* The writer may wait longer for a lock than reviews do. */
#define PATIENCE_MS 10000

struct audit {
  Loop *loop;
  const SigningKey *key;
  unsigned retain_days;
  WorkerPool *parsers, *writer, *reader;
  Db *writing, *reading; /* their threads' */
  GQueue waiting;        /* AuditPost that were parsed */
  bool storing;
  GPtrArray *posts; /* AuditPost, all of them */
  GPtrArray *reads; /* AuditRead */
  size_t bytes;
  bool ending;
  LoopTimer *prune;
  AuditCount count;
};

struct audit_post {
  Audit *audit; /* NULL: gone */
  GBytes *body;
  bool gzip;
  TurnRequest request;
  GError *error;
  void (*done)(const AuditAnswer *answer, const GError *error, void *data);
  void *data;
};

/* ---- the end of a request -------------------------------------------------
 */

static void
post_free(AuditPost *post)
{
  if (post->audit) {
    post->audit->bytes -= g_bytes_get_size(post->body);
    g_ptr_array_remove_fast(post->audit->posts, post);
  }
  g_bytes_unref(post->body);
  audit_logs_free(post->request.logs);
  g_free(post->request.sender.issuer);
  g_free(post->request.sender.subject);
  g_free(post->request.sender.user);
  g_free(post->request.sender.machine);
  g_free(post->request.receipt);
  g_clear_error(&post->error);
  g_free(post);
}

static void
post_end(AuditPost *post)
{
  const TurnRequest *request = &post->request;
  AuditCount *count = &post->audit->count;
  AuditAnswer answer = {.taken = request->taken,
                        .known = request->known,
                        .receipt = request->receipt};

  if (post->error) {
    count->failed++;
  } else {
    answer.rejected = request->logs->rejected;
    answer.why = request->logs->why;
    count->taken += (uint64_t)answer.taken;
    count->known += (uint64_t)answer.known;
    count->rejected += (uint64_t)answer.rejected;
    count->receipts += answer.receipt != NULL;
  }
  if (post->done)
    post->done(post->error ? NULL : &answer, post->error, post->data);
  post_free(post);
}

void
audit_post_cancel(AuditPost *post)
{
  if (post)
    post->done = NULL;
}

/* ---- storing: the writer's thread -----------------------------------------
 */

typedef struct {
  Audit *audit; /* NULL: gone */
  Db **db;      /* the writer's */
  GPtrArray *posts;
  GPtrArray *alerts;
} Group;

static void
fail(AuditPost *post, const GError *why)
{
  g_set_error(&post->error,
              AUDIT_ERROR,
              db_error_passes(why) ? AUDIT_ERROR_BUSY : AUDIT_ERROR_STORE,
              "%s",
              why->message);
}

static bool
run_posts(const Group *group, guint from, guint n, GError **error)
{
  g_autofree TurnRequest **requests = g_new0(TurnRequest *, n);
  const AuditPost *first = group->posts->pdata[from];

  for (guint i = 0; i < n; i++)
    requests[i] = &((AuditPost *)group->posts->pdata[from + i])->request;
  return turn_run(
      *group->db, first->audit->key, requests, n, group->alerts, error);
}

/* One that cannot be stored must not take the others with it. */
static void
run_one_by_one(const Group *group)
{
  for (guint i = 0; i < group->posts->len; i++) {
    g_autoptr(GError) error = NULL;

    if (!run_posts(group, i, 1, &error))
      fail(group->posts->pdata[i], error);
  }
}

static void
group_run(void *data)
{
  Group *group = data;
  g_autoptr(GError) error = NULL;

  if (db_is_lost(*group->db))
    db_reopen(*group->db, &error);
  if (!error && run_posts(group, 0, group->posts->len, &error))
    return;
  if (!db_error_passes(error) && group->posts->len > 1) {
    run_one_by_one(group);
    return;
  }
  for (guint i = 0; i < group->posts->len; i++)
    fail(group->posts->pdata[i], error);
}

static void
tell_alerts(Audit *audit, const GPtrArray *alerts)
{
  for (guint i = 0; i < alerts->len; i++) {
    const AuditAlert *alert = alerts->pdata[i];

    audit->count.alerts++;
    log_warning("audit alert=%s journal=%s row=%" G_GINT64_FORMAT
                " rows=%" G_GINT64_FORMAT " user=%s machine=%s",
                alert->kind,
                alert->journal,
                alert->seq,
                alert->rows,
                alert->user,
                alert->machine ? alert->machine : "-");
  }
}

static void store_waiting(Audit *audit);

static void
group_done(void *data, bool cancelled)
{
  Group *group = data;
  Audit *audit = group->audit;

  (void)cancelled;
  tell_alerts(audit, group->alerts);
  for (guint i = 0; i < group->posts->len; i++) {
    AuditPost *post = group->posts->pdata[i];

    if (post->error)
      log_error("audit store error=\"%s\"", post->error->message);
    post_end(post);
  }
  audit->storing = false;
  g_ptr_array_unref(group->posts);
  g_ptr_array_unref(group->alerts);
  g_free(group);
  store_waiting(audit);
}

static void
store_waiting(Audit *audit)
{
  Group *group;

  if (audit->ending || audit->storing || g_queue_is_empty(&audit->waiting))
    return;
  group = g_new0(Group, 1);
  *group = (Group){.audit = audit,
                   .db = &audit->writing,
                   .posts = g_ptr_array_new(),
                   .alerts = g_ptr_array_new_with_free_func(audit_alert_free)};
  while (group->posts->len < MAX_GROUP && !g_queue_is_empty(&audit->waiting))
    g_ptr_array_add(group->posts, g_queue_pop_head(&audit->waiting));
  audit->storing = true;
  /* One thing at a time: the queue has room. */
  if (!worker_run(audit->writer, audit->loop, group_run, group_done, group))
    g_assert_not_reached();
}

/* ---- parsing --------------------------------------------------------------
 */

static bool
decode(const AuditPost *post, Buf *out, GError **error)
{
  size_t len;
  const void *bytes = g_bytes_get_data(post->body, &len);
  g_autoptr(HttpDecoder) decoder = http_decoder_new("gzip", error);
  g_autoptr(GError) why = NULL;

  if (http_decoder_feed(decoder, bytes, len, out, &why) &&
      http_decoder_finish(decoder, &why))
    return true;
  g_set_error(error,
              AUDIT_ERROR,
              g_error_matches(why, HTTP_ERROR, HTTP_ERROR_TOO_LARGE)
                  ? AUDIT_ERROR_TOO_LARGE
                  : AUDIT_ERROR_FORM,
              "%s",
              why->message);
  return false;
}

static void
parse_run(void *data)
{
  AuditPost *post = data;
  const TurnSender *sender = &post->request.sender;
  g_autofree char *name =
      g_strdup_printf("%s\n%s", sender->issuer, sender->subject);
  size_t len;
  const void *bytes = g_bytes_get_data(post->body, &len);
  g_auto(Buf) decoded;

  buf_init(&decoded, MAX_DECODED);
  if (!post->gzip && len > MAX_DECODED)
    g_set_error_literal(&post->error,
                        AUDIT_ERROR,
                        AUDIT_ERROR_TOO_LARGE,
                        "the records are too large");
  else if (!post->gzip)
    post->request.logs = audit_logs_parse(bytes, len, name, &post->error);
  else if (decode(post, &decoded, &post->error))
    post->request.logs = audit_logs_parse(
        (const char *)buf_bytes(&decoded), decoded.len, name, &post->error);
}

static void
parse_done(void *data, bool cancelled)
{
  AuditPost *post = data;
  Audit *audit = post->audit;

  if (cancelled) {
    post_free(post);
    return;
  }
  if (post->error) {
    post_end(post);
    return;
  }
  g_queue_push_tail(&audit->waiting, post);
  store_waiting(audit);
}

AuditPost *
audit_post(Audit *audit,
           GBytes *body,
           bool gzip,
           const AuditSender *sender,
           void (*done)(const AuditAnswer *answer,
                        const GError *error,
                        void *data),
           void *data)
{
  const size_t len = g_bytes_get_size(body);
  AuditPost *post;

  if (audit->posts->len >= MAX_POSTS || audit->bytes + len > MAX_BYTES)
    return NULL;
  post = g_new0(AuditPost, 1);
  *post = (AuditPost){.audit = audit,
                      .body = g_bytes_ref(body),
                      .gzip = gzip,
                      .request = {.sender = {g_strdup(sender->issuer),
                                             g_strdup(sender->subject),
                                             g_strdup(sender->user),
                                             g_strdup(sender->machine)}},
                      .done = done,
                      .data = data};
  g_ptr_array_add(audit->posts, post);
  audit->bytes += len;
  audit->count.requests++;
  if (!worker_run(audit->parsers, audit->loop, parse_run, parse_done, post))
    g_assert_not_reached(); /* its queue holds all posts */
  return post;
}

/* ---- reading --------------------------------------------------------------
 */

struct audit_read {
  Audit *audit;
  bool (*read)(Db *db, void *data, GError **error);
  void (*done)(const GError *error, void *data);
  void (*free_data)(void *data);
  void *data;
  GError *error;
};

static void
read_run(void *data)
{
  AuditRead *job = data;
  Db *db = job->audit->reading;

  if (db_is_lost(db) && !db_reopen(db, &job->error))
    return;
  job->read(db, job->data, &job->error);
}

static void
read_done(void *data, bool cancelled)
{
  AuditRead *job = data;

  g_ptr_array_remove_fast(job->audit->reads, job);
  if (job->done && !cancelled)
    job->done(job->error, job->data);
  else
    job->free_data(job->data);
  g_clear_error(&job->error);
  g_free(job);
}

AuditRead *
audit_read(Audit *audit,
           bool (*read)(Db *db, void *data, GError **error),
           void (*done)(const GError *error, void *data),
           void (*free_data)(void *data),
           void *data)
{
  AuditRead *job;

  if (audit->reads->len >= MAX_READS)
    return NULL;
  job = g_new0(AuditRead, 1);
  *job = (AuditRead){.audit = audit,
                     .read = read,
                     .done = done,
                     .free_data = free_data,
                     .data = data};
  g_ptr_array_add(audit->reads, job);
  if (!worker_run(audit->reader, audit->loop, read_run, read_done, job))
    g_assert_not_reached(); /* its queue holds all reads */
  return job;
}

void
audit_read_cancel(AuditRead *read)
{
  if (read)
    read->done = NULL;
}

/* ---- retention ------------------------------------------------------------
 */

typedef struct {
  Audit *audit;
  int64_t before_us, pruned;
  bool more;
  GError *error;
} Prune;

static void
prune_run(void *data)
{
  Prune *prune = data;
  Db *db = prune->audit->writing;

  if (db_is_lost(db) && !db_reopen(db, &prune->error))
    return;
  audit_prune(
      db, prune->before_us, &prune->pruned, &prune->more, &prune->error);
}

static void
prune_done(void *data, bool cancelled)
{
  Prune *prune = data;

  if (prune->error)
    log_error("audit prune error=\"%s\"", prune->error->message);
  else if (prune->pruned)
    log_info("audit pruned=%" G_GINT64_FORMAT, prune->pruned);
  prune->audit->storing = false;
  if (!cancelled) {
    loop_timer_set(prune->audit->prune, prune->more ? PRUNE_SOON_MS : PRUNE_MS);
    store_waiting(prune->audit);
  }
  g_clear_error(&prune->error);
  g_free(prune);
}

static void
on_prune(void *data)
{
  Audit *audit = data;
  Prune *prune;

  if (audit->ending)
    return;
  if (audit->storing) {
    loop_timer_set(audit->prune, PRUNE_SOON_MS);
    return;
  }
  prune = g_new0(Prune, 1);
  *prune =
      (Prune){.audit = audit,
              .before_us = clock_wall_us() - audit->retain_days * US_PER_DAY};
  audit->storing = true;
  if (!worker_run(audit->writer, audit->loop, prune_run, prune_done, prune))
    g_assert_not_reached();
}

/* ---- the room -------------------------------------------------------------
 */

Audit *
audit_new(Loop *loop, const AuditOptions *options, GError **error)
{
  g_autoptr(Db) writing =
      audit_open(options->where, options->password_file, error);
  g_autoptr(Db) reading = writing ? db_open_like(writing, error) : NULL;
  Audit *audit;

  if (!reading)
    return NULL;
  db_set_patience(writing, PATIENCE_MS);
  db_set_patience(reading, PATIENCE_MS);
  audit = g_new0(Audit, 1);
  *audit = (Audit){.loop = loop,
                   .key = options->key,
                   .retain_days = options->retain_days,
                   .parsers = worker_pool_new(PARSERS, MAX_POSTS),
                   .writer = worker_pool_new(1, 1),
                   .reader = worker_pool_new(1, MAX_READS),
                   .writing = g_steal_pointer(&writing),
                   .reading = g_steal_pointer(&reading),
                   .posts = g_ptr_array_new(),
                   .reads = g_ptr_array_new()};
  g_queue_init(&audit->waiting);
  audit->prune = loop_timer_new(loop, on_prune, audit);
  if (audit->retain_days)
    loop_timer_set(audit->prune, PRUNE_MS);
  return audit;
}

void
audit_free(Audit *audit)
{
  if (!audit)
    return;
  audit->ending = true;
  for (guint i = 0; i < audit->posts->len; i++)
    audit_post_cancel(audit->posts->pdata[i]);
  for (guint i = 0; i < audit->reads->len; i++)
    audit_read_cancel(audit->reads->pdata[i]);
  /* What ran has been posted: it must find the room. */
  worker_pool_free(g_steal_pointer(&audit->parsers));
  worker_pool_free(g_steal_pointer(&audit->writer));
  worker_pool_free(g_steal_pointer(&audit->reader));
  loop_iterate(audit->loop, 0);
  while (!g_queue_is_empty(&audit->waiting))
    post_free(g_queue_pop_head(&audit->waiting));
  loop_timer_free(audit->prune);
  db_free(audit->writing);
  db_free(audit->reading);
  g_ptr_array_unref(audit->posts);
  g_ptr_array_unref(audit->reads);
  g_free(audit);
}

AuditCount
audit_count(const Audit *audit)
{
  AuditCount count = audit->count;

  count.waiting = audit->posts->len;
  return count;
}
