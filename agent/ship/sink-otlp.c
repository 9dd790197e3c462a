/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP/HTTP: each slice is one gzipped POST; every way in which it can fail
 * becomes a sentence and a decision. */
#include "ship/sink.h"

#include "kit/clock.h"
#include "kit/file.h"

#include <string.h>
#include <zlib.h>

/* For one exchange, however slowly it trickles. */
#define MAX_MS (60 * 1000)
#define MAX_URL 2048
/* windowBits that make zlib write gzip (zlib.h, deflateInit2). */
#define GZIP_WINDOW (15 + 16)
#define GZIP_MEMORY 8

typedef struct otlp_send OtlpSend;

typedef struct {
  Sink sink;
  Loop *loop;
  WorkerPool *pool;
  Upstream *upstream;
  char *url;
  char *where; /* host:port, for messages */
  char *token_file;
  Identity *identity; /* with `issuer` alone */
  char *issuer;
  bool (*authorize)(const char *url,
                    const void *body,
                    size_t len,
                    HttpHeaders *headers,
                    void *data,
                    GError **error);
  void *authorize_data;
  OtlpSend *job; /* under way, or NULL */
  bool stopped;
} Otlp;

struct otlp_send {
  Otlp *otlp; /* NULL once it is gone */
  const Batch *batch;
  const ShipSource *source;
  Slice slice;
  GBytes *body;
  char key[SHA256_HEX_SIZE];
  UpstreamRequest *request;
  LoopTimer *timer;
  int status;
  int64_t retry_ms;
  Buf answer;
  SinkDone done;
  void *data;
};

/* ---- The end of an exchange ---------------------------------------------- */

static void
send_free(OtlpSend *job)
{
  if (job->request)
    upstream_request_cancel(job->request);
  loop_timer_free(job->timer);
  g_clear_pointer(&job->body, g_bytes_unref);
  buf_clear(&job->answer);
  g_free(job);
}

/* Takes sent's texts. */
static void
finish(OtlpSend *job, Sent *sent)
{
  SinkDone done = job->done;
  void *data = job->data;
  g_auto(Sent) taken = *sent;

  job->otlp->job = NULL;
  send_free(job);
  done(&taken, data);
}

G_GNUC_PRINTF(3, 4)
static void
fail(OtlpSend *job, SentCode code, const char *format, ...)
{
  Sent sent = {.code = code, .retry_ms = job->retry_ms};
  g_autofree char *what = NULL;
  va_list args;

  va_start(args, format);
  what = g_strdup_vprintf(format, args);
  va_end(args);
  sent.message = g_strdup_printf("%s %s", job->otlp->where, what);
  finish(job, &sent);
}

/* ---- What a status means ------------------------------------------------- */

static const struct {
  int status;
  SentCode code;
  const char *advice;
} statuses[] = {
    {400, SENT_REFUSED, "does not understand a record"},
    {422, SENT_REFUSED, "does not take a record"},
    {401,
     SENT_LATER,
     "wants another bearer token: see [ship] token-file or issuer in "
     "agent.conf"},
    {403,
     SENT_LATER,
     "does not let this token write: see [ship] token-file or issuer in "
     "agent.conf"},
    {404,
     SENT_LATER,
     "takes no logs at that path: see [ship] endpoint in agent.conf"},
    {405,
     SENT_LATER,
     "takes no logs at that path: see [ship] endpoint in agent.conf"},
    {407, SENT_LATER, "stands behind a proxy that wants credentials"},
    {413, SENT_TOO_LARGE, "takes less at a time"},
    {415, SENT_LATER, "does not take OTLP in JSON"},
    {429, SENT_LATER, "is asked too often; it is tried again later"},
    {500, SENT_FAULT, "failed; it is tried again later"},
    {502, SENT_LATER, "has no server behind it now; it is tried again later"},
    {503, SENT_LATER, "cannot serve now; it is tried again later"},
    {504, SENT_LATER, "has no server behind it now; it is tried again later"},
};

static void
fail_status(OtlpSend *job)
{
  g_autofree char *words =
      ship_answer_words((const char *)buf_bytes(&job->answer), job->answer.len);
  const char *advice = "did not take the records; it is tried again later";
  SentCode code = SENT_LATER;

  for (size_t i = 0; i < G_N_ELEMENTS(statuses); i++) {
    if (statuses[i].status == job->status) {
      code = statuses[i].code;
      advice = statuses[i].advice;
    }
  }
  fail(job,
       code,
       "%s (it answered %d%s%s%s)",
       advice,
       job->status,
       words ? ": \"" : "",
       words ? words : "",
       words ? "\"" : "");
}

static void
judge(OtlpSend *job)
{
  Sent sent = {.code = SENT_TAKEN, .retry_ms = -1};
  const char *why = NULL;
  ShipAnswer answer = {0};

  if (job->status < 200 || job->status > 299) {
    fail_status(job);
    return;
  }
  if (!ship_answer_read((const char *)buf_bytes(&job->answer),
                        job->answer.len,
                        &answer,
                        &why)) {
    fail(job,
         SENT_LATER,
         "answered %d, but what it said %s: does [ship] endpoint lead to an "
         "OpenTelemetry collector?",
         job->status,
         why);
    return;
  }
  sent.rejected = MIN(answer.rejected, job->slice.n);
  sent.receipt = answer.receipt;
  answer.receipt.text = NULL;
  if (answer.receipt_problem)
    sent.message = g_strdup_printf("%s sent a receipt that is not kept: %s",
                                   job->otlp->where,
                                   answer.receipt_problem);
  else if (answer.message)
    sent.message =
        g_strdup_printf("%s says \"%s\"", job->otlp->where, answer.message);
  ship_answer_clear(&answer);
  finish(job, &sent);
}

/* ---- The exchange -------------------------------------------------------- */

static void
on_timer(void *data)
{
  OtlpSend *job = data;

  job->retry_ms = -1;
  fail(job,
       SENT_LATER,
       "did not answer within %d s; it is tried again later",
       MAX_MS / 1000);
}

static void
on_head(int status, HttpHeaders *headers, void *data)
{
  g_autoptr(HttpHeaders) taken = headers;
  OtlpSend *job = data;
  const char *coding = http_headers_get(taken, "content-encoding");

  job->status = status;
  job->retry_ms =
      ship_retry_after(http_headers_get(taken, "retry-after"), clock_wall_us());
  if (status >= 300 && status < 400)
    fail(job,
         SENT_LATER,
         "answered with a redirect (%d), which is not followed: see [ship] "
         "endpoint in agent.conf",
         status);
  else if (coding && g_ascii_strcasecmp(coding, "identity") != 0)
    fail(job, SENT_LATER, "answered in a content coding that nobody asked for");
}

static bool
on_body(const uint8_t *bytes, size_t len, void *data)
{
  OtlpSend *job = data;

  if (!buf_append(&job->answer, bytes, len)) {
    job->retry_ms = -1;
    fail(job, SENT_LATER, "answered with more than %d KiB", ANSWER_MAX / 1024);
  }
  return true;
}

static void
on_done(const GError *error, void *data)
{
  OtlpSend *job = data;
  Sent sent = {.code = SENT_LATER, .retry_ms = -1};

  job->request = NULL;
  if (!error) {
    judge(job);
    return;
  }
  sent.message = g_strdup(error->message);
  finish(job, &sent);
}

/* The file's, or that of whoever is signed in now. */
static Secret *
find_token(const Otlp *otlp, GError **error)
{
  Secret *token = otlp->issuer
                      ? identity_access(otlp->identity, otlp->issuer, error)
                      : file_read_secret(otlp->token_file, error);

  if (!token && otlp->issuer)
    g_prefix_error(error, "shipping waits for a sign-in: ");
  else if (!token)
    g_prefix_error(error, "[ship] token-file: ");
  return token;
}

static bool
add_token(const Otlp *otlp, HttpHeaders *headers, GError **error)
{
  g_autoptr(Secret) token = NULL;
  g_auto(Buf) line;
  bool good;

  buf_init(&line, MAX_URL * 8);
  if (!otlp->token_file && !otlp->issuer)
    return true;
  token = find_token(otlp, error);
  if (!token)
    return false;
  good = buf_append_str(&line, "Bearer ") &&
         buf_append(&line, secret_bytes(token), secret_len(token) + 1) &&
         strlen(secret_text(token)) == secret_len(token) &&
         http_headers_add(
             headers, "Authorization", (const char *)buf_bytes(&line));
  if (!good)
    g_set_error(error,
                SHIP_ERROR,
                SHIP_ERROR_TOKEN,
                "[ship] %s %s holds no bearer token: one line of at most 16 "
                "KiB",
                otlp->issuer ? "issuer" : "token-file",
                otlp->issuer ? otlp->issuer : otlp->token_file);
  return good;
}

static bool
add_credentials(const OtlpSend *job, HttpHeaders *headers, GError **error)
{
  const Otlp *otlp = job->otlp;
  size_t len;
  const void *body = g_bytes_get_data(job->body, &len);

  return add_token(otlp, headers, error) &&
         (otlp->token_file || !otlp->authorize ||
          otlp->authorize(
              otlp->url, body, len, headers, otlp->authorize_data, error));
}

static HttpHeaders *
make_headers(const OtlpSend *job, GError **error)
{
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autofree char *agent =
      g_strdup_printf("hoop-agent/%s", job->source->version);
  g_autofree char *key = g_strdup_printf("\"%s\"", job->key);

  http_headers_add(headers, "Content-Type", "application/json");
  http_headers_add(headers, "Content-Encoding", "gzip");
  http_headers_add(headers, "Accept", "application/json");
  http_headers_add(headers, "User-Agent", agent);
  http_headers_add(headers, "Idempotency-Key", key);
  return add_credentials(job, headers, error) ? g_steal_pointer(&headers)
                                              : NULL;
}

/* ---- On the worker ------------------------------------------------------- */

/* Level 1: a third of the time of level 6 for a tenth more bytes. */
static GBytes *
gzip(const GString *text)
{
  z_stream stream = {0};
  uint8_t *out;
  size_t size;

  if (deflateInit2(&stream,
                   Z_BEST_SPEED,
                   Z_DEFLATED,
                   GZIP_WINDOW,
                   GZIP_MEMORY,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    g_error("zlib did not start: out of memory");
  size = deflateBound(&stream, text->len);
  out = g_malloc(size);
  stream.next_in = (uint8_t *)text->str;
  stream.avail_in = (uInt)text->len;
  stream.next_out = out;
  stream.avail_out = (uInt)size;
  /* All of it, since `size` is zlib's own bound. */
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
    g_error("zlib did not end");
  size -= stream.avail_out;
  deflateEnd(&stream);
  return g_bytes_new_take(out, size);
}

static void
job_run(void *data)
{
  OtlpSend *job = data;
  GString *text = batch_text(job->batch, SHIP_OTLP, job->source, job->slice);

  job->body = gzip(text);
  batch_key(job->batch, job->slice, job->key);
  g_string_free(text, TRUE);
}

static void
job_done(void *data, bool cancelled)
{
  static const UpstreamEvents events = {on_head, on_body, on_done};
  OtlpSend *job = data;
  Otlp *otlp = job->otlp;
  g_autoptr(HttpHeaders) headers = NULL;
  g_autoptr(GError) error = NULL;

  if (!otlp || cancelled) {
    if (otlp)
      otlp->job = NULL;
    send_free(job);
    return;
  }
  headers = make_headers(job, &error);
  if (headers)
    job->request = upstream_send(otlp->upstream,
                                 &(UpstreamSpec){.method = "POST",
                                                 .url = otlp->url,
                                                 .headers = headers,
                                                 .body = job->body},
                                 &events,
                                 job,
                                 &error);
  if (error) {
    Sent sent = {.code = SENT_LATER,
                 .retry_ms = -1,
                 .message = g_strdup(error->message)};

    finish(job, &sent);
  } else {
    loop_timer_set(job->timer, MAX_MS);
  }
}

static void
otlp_send(Sink *sink,
          const Batch *batch,
          const ShipSource *source,
          Slice slice,
          SinkDone done,
          void *data)
{
  Otlp *otlp = (Otlp *)sink;
  OtlpSend *job = g_new0(OtlpSend, 1);

  *job = (OtlpSend){.otlp = otlp,
                    .batch = batch,
                    .source = source,
                    .slice = slice,
                    .retry_ms = -1,
                    .done = done,
                    .data = data};
  buf_init(&job->answer, ANSWER_MAX);
  job->timer = loop_timer_new(otlp->loop, on_timer, job);
  otlp->job = job;
  /* One thing at a time: the queue has room. */
  if (!worker_run(otlp->pool, otlp->loop, job_run, job_done, job))
    g_assert_not_reached();
}

static void
otlp_stop(Sink *sink)
{
  Otlp *otlp = (Otlp *)sink;

  if (otlp->job && otlp->job->request) {
    send_free(otlp->job);
    otlp->job = NULL;
  }
}

static void
otlp_free(Sink *sink)
{
  Otlp *otlp = (Otlp *)sink;

  /* The worker's answer is still to come: it finds nobody. */
  if (otlp->job) {
    otlp->job->otlp = NULL;
    loop_timer_free(g_steal_pointer(&otlp->job->timer));
  }
  upstream_free(otlp->upstream);
  g_free(otlp->url);
  g_free(otlp->where);
  g_free(otlp->token_file);
  g_free(otlp->issuer);
  g_free(otlp);
}

/* ---- Making it ----------------------------------------------------------- */

static const SinkType otlp_type = {.name = "otlp",
                                   .send = otlp_send,
                                   .stop = otlp_stop,
                                   .free = otlp_free};

/* The endpoint with its path; NULL with a phrase when it is none. */
static char *
otlp_url(const char *endpoint, const char **why)
{
  const char *host = strstr(endpoint, "://");
  const char *path;
  size_t authority;

  *why = "https://HOST[:PORT][/PATH], or http:// on loopback";
  if (!host || strlen(endpoint) > MAX_URL ||
      strpbrk(endpoint, " \t\"<>\\^`{|}#@") ||
      (!g_str_has_prefix(endpoint, "https://") &&
       !g_str_has_prefix(endpoint, "http://")))
    return NULL;
  authority = strcspn(host + 3, "/?");
  if (authority == 0)
    return NULL;
  if (g_str_has_prefix(endpoint, "http://")) {
    g_autofree char *name = g_strndup(host + 3, authority);

    *why = "https:// for every host but this machine's loopback";
    if (!g_str_has_prefix(name, "127.") && !g_str_has_prefix(name, "[::1]") &&
        g_strcmp0(name, "localhost") != 0 &&
        !g_str_has_prefix(name, "localhost:"))
      return NULL;
  }
  path = host + 3 + authority;
  if (*path == '\0' || g_str_equal(path, "/"))
    return g_strdup_printf("%.*s/v1/logs", (int)(path - endpoint), endpoint);
  return g_strdup(endpoint);
}

bool
sink_otlp_check(const ShipOptions *options, GError **error)
{
  const char *why;
  g_autofree char *url = otlp_url(options->endpoint, &why);

  if (url)
    return true;
  g_set_error(error,
              SHIP_ERROR,
              SHIP_ERROR_CONFIG,
              "[ship] endpoint=%s: with format=otlp it takes %s",
              options->endpoint,
              why);
  return false;
}

Sink *
sink_otlp_new(const SinkEnv *env, GError **error)
{
  UpstreamOptions options = env->options->upstream;
  Otlp *otlp = g_new0(Otlp, 1);
  const char *why;

  options.ca_file = env->options->ca_file;
  options.plain_loopback = true;
  options.group = "ship";
  otlp->sink.type = &otlp_type;
  otlp->loop = env->loop;
  otlp->pool = env->pool;
  otlp->token_file = g_strdup(env->options->token_file);
  otlp->identity = env->options->identity;
  otlp->issuer = g_strdup(env->options->issuer);
  otlp->authorize = env->options->authorize;
  otlp->authorize_data = env->options->authorize_data;
  otlp->url = otlp_url(env->options->endpoint, &why);
  if (otlp->url) {
    const char *host = strstr(otlp->url, "://") + 3;

    otlp->where = g_strndup(host, strcspn(host, "/?"));
    otlp->upstream = upstream_new(env->loop, &options, error);
  }
  if (otlp->upstream)
    return &otlp->sink;
  otlp_free(&otlp->sink);
  return NULL;
}
