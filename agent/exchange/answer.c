/* SPDX-License-Identifier: Apache-2.0 */
/* The answer's head decides how its body flows: not at all, collected whole,
 * through the stream filter, or (measuring only) as it comes. */
#include "exchange/state.h"
#include "kit/clock.h"
#include <string.h>

static bool
is_type(const char *type, const char *wanted)
{
  size_t len = strlen(wanted);

  return type && g_ascii_strncasecmp(type, wanted, len) == 0 &&
         (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

static bool
is_event_stream(const Exchange *exchange, const char *type)
{
  if (is_type(type, "text/event-stream"))
    return true;
  /* Some servers leave the type out or call it text; what was asked for as a
   * stream is read as one by clients, whatever the type says. */
  return (!type || g_ascii_strncasecmp(type, "text/", 5) == 0) &&
         exchange->status < 300 && exchange->inspection &&
         api_is_generation(exchange->route.api) &&
         inspection_wants_stream(exchange->inspection);
}

/* JSON and text are read whole; a text that does not say how long it is may
 * be endless and flows through the filter. */
static bool
is_text_stream(const Exchange *exchange, const char *type)
{
  return type && g_ascii_strncasecmp(type, "text/", 5) == 0 &&
         !http_headers_get(exchange->headers, "content-length");
}

static bool
start_decoder(Exchange *exchange)
{
  const char *coding = http_headers_get(exchange->headers, "content-encoding");
  g_autoptr(GError) error = NULL;

  if (coding && g_ascii_strcasecmp(coding, "identity") != 0) {
    exchange->decoder = http_decoder_new(coding, &error);
    if (!exchange->decoder) {
      exchange_fail(exchange, 502, "answer_not_readable", error->message);
      return false;
    }
  }
  http_headers_remove(exchange->headers, "content-encoding");
  return true;
}

static void
pass_head(Exchange *exchange, int64_t length)
{
  exchange->mode = ANSWER_PASS;
  exchange->head_sent = true;
  /* With a journal the end is held back until the response row is stored:
   * only a chunked body has such an end. */
  if (length >= 0 && !exchange->env->journal)
    http_conn_send_head(exchange->conn,
                        exchange->status,
                        exchange->headers,
                        HTTP_BODY_SIZED,
                        length);
  else
    http_conn_send_head(exchange->conn,
                        exchange->status,
                        exchange->headers,
                        HTTP_BODY_CHUNKED,
                        -1);
}

/* Of two the agent would read one and the client the other. */
static bool
refuse_doubles(Exchange *exchange)
{
  if (!exchange->env->detector ||
      (http_headers_occurrences(exchange->headers, "content-type") < 2 &&
       http_headers_occurrences(exchange->headers, "content-encoding") < 2))
    return false;
  exchange_fail(exchange,
                502,
                "answer_not_readable",
                "The answer's Content-Type or Content-Encoding stands twice.");
  return true;
}

static bool
has_no_body(const Exchange *exchange)
{
  return strcmp(exchange->request->method, "HEAD") == 0 ||
         exchange->status == 204 || exchange->status == 304;
}

void
answer_head(Exchange *exchange, int status, HttpHeaders *headers)
{
  const char *type, *length;
  g_autoptr(GError) error = NULL;
  int64_t size;
  bool sse;

  exchange->status = status;
  exchange->headers = headers;
  if (exchange_is_gone(exchange) || exchange->answered)
    return;
  held_values(exchange->env);
  head_clean_answer(exchange, headers);
  if (refuse_doubles(exchange))
    return;
  type = http_headers_get(headers, "content-type");
  length = http_headers_get(headers, "content-length");
  size = length ? g_ascii_strtoll(length, NULL, 10) : -1;
  sse = is_event_stream(exchange, type);
  if (has_no_body(exchange)) {
    exchange->mode = ANSWER_EMPTY;
  } else if (!exchange->env->detector) {
    http_headers_remove_hop_by_hop(headers);
    http_headers_remove(headers, "content-length");
    pass_head(exchange, size);
    return;
  } else if (!start_decoder(exchange)) {
    return;
  } else if (!exchange->route.auth && (sse || is_text_stream(exchange, type)) &&
             status < 300) {
    if (!exchange->filter && !stream_begin(exchange, sse, &error)) {
      exchange_fail(exchange, 502, "answer_not_readable", error->message);
      return;
    }
    exchange->mode = ANSWER_STREAM;
  } else {
    exchange->mode = ANSWER_WHOLE;
  }
  http_headers_remove_hop_by_hop(headers);
  http_headers_remove(headers, "content-length");
  if (exchange->mode == ANSWER_STREAM)
    stream_hold(exchange);
  if (exchange->mode == ANSWER_STREAM && !exchange->head_sent)
    stream_open(exchange);
}

static bool
pass_body(Exchange *exchange, const uint8_t *bytes, size_t len)
{
  exchange->bytes_out += len;
  exchange->upstream_paused = !http_conn_send(exchange->conn, bytes, len);
  return !exchange->upstream_paused;
}

/* When the first byte came; and what came, where originals are sealed: as much
 * of it as is recorded. */
static void
note(Exchange *exchange, size_t before)
{
  Buf *original = &exchange->original_answer;
  size_t len = exchange->answer.len - before;

  if (exchange->first_byte_us == 0)
    exchange->first_byte_us = clock_mono_us() - exchange->began_us;
  if (!exchange->env->journal || !journal_seals(exchange->env->journal) ||
      exchange->route.auth)
    return;
  len = MIN(len, original->max - original->len);
  if (!buf_append(original, buf_bytes(&exchange->answer) + before, len))
    g_assert_not_reached(); /* it was cut to what is left */
}

/* Decodes into `answer`; a refusal went out when it cannot. A stream's bytes
 * go to the filter next and are counted there. */
static bool
take(Exchange *exchange, const uint8_t *bytes, size_t len)
{
  g_autofree char *message = NULL;
  g_autoptr(GError) error = NULL;
  size_t before = exchange->answer.len;

  if (exchange->decoder
          ? http_decoder_feed(
                exchange->decoder, bytes, len, &exchange->answer, &error)
          : buf_append(&exchange->answer, bytes, len)) {
    note(exchange, before);
    if (exchange->mode != ANSWER_WHOLE || exchange_fits(exchange, 0))
      return true;
    exchange_too_much(exchange);
    return false;
  }
  if (exchange->mode == ANSWER_STREAM)
    exchange->env->stats.errors++;
  message = error ? g_strdup_printf("The server's answer cannot be read: %s.",
                                    error->message)
                  : g_strdup("The server's answer is larger than [limits] "
                             "max-body allows.");
  exchange_fail(exchange, 502, "answer_not_readable", message);
  return false;
}

bool
answer_body(Exchange *exchange, const uint8_t *bytes, size_t len)
{
  if (exchange_is_gone(exchange) || exchange->answered)
    return true;
  switch (exchange->mode) {
  case ANSWER_PASS:
    return pass_body(exchange, bytes, len);
  case ANSWER_WHOLE:
    take(exchange, bytes, len);
    return true;
  case ANSWER_STREAM:
    if (!take(exchange, bytes, len))
      return true;
    stream_feed(exchange);
    exchange->upstream_paused =
        !exchange->answered && (exchange->busy || exchange->client_full);
    return !exchange->upstream_paused;
  case ANSWER_NONE:
  case ANSWER_EMPTY:
    break;
  }
  return true;
}

static void
empty_recorded(Exchange *exchange, const GError *error)
{
  if (exchange_is_gone(exchange))
    return;
  if (error) {
    exchange_unrecorded(exchange, error);
    return;
  }
  exchange->head_sent = true;
  http_conn_send_head(
      exchange->conn, exchange->status, exchange->headers, HTTP_BODY_NONE, -1);
  exchange_answered(exchange);
  http_conn_end(exchange->conn);
}

static void
pass_recorded(Exchange *exchange, const GError *error)
{
  if (exchange_is_gone(exchange))
    return;
  exchange_answered(exchange);
  if (error || exchange->upstream_cut)
    http_conn_abort(exchange->conn); /* never a silent short success */
  else
    http_conn_end(exchange->conn);
}

/* Nothing came, or not all: what the client is told. */
static void
upstream_failed(Exchange *exchange, const GError *error)
{
  const char *code = "upstream_unavailable";
  int status = 502;

  exchange->env->stats.errors++;
  if (error->code == UPSTREAM_ERROR_TIMEOUT)
    status = 504;
  if (error->code == UPSTREAM_ERROR_RESOLVE ||
      error->code == UPSTREAM_ERROR_CONNECT ||
      error->code == UPSTREAM_ERROR_PROXY)
    code = "upstream_unreachable"; /* it never got the request */
  if (error->code == UPSTREAM_ERROR_TLS) {
    /* Asking again cannot help: the form that no client retries. */
    status = 400;
    code = "upstream_not_trusted";
  }
  exchange_fail(exchange, status, code, error->message);
}

void
answer_done(Exchange *exchange, const GError *error)
{
  g_autoptr(GError) broken = NULL;

  if (exchange_is_gone(exchange) || exchange->answered)
    return;
  exchange->upstream_ended = true;
  exchange->upstream_cut = error != NULL;
  if (!error && exchange->decoder &&
      !http_decoder_finish(exchange->decoder, &broken)) {
    exchange->upstream_cut = true;
    error = broken;
  }
  switch (exchange->mode) {
  case ANSWER_NONE:
    if (error)
      upstream_failed(exchange, error);
    else
      exchange_fail(
          exchange, 502, "upstream_unavailable", "the server did not answer");
    return;
  case ANSWER_EMPTY:
    /* A stream that was opened while the request was held says so itself. */
    if (exchange->head_sent)
      stream_message(
          exchange, "upstream_status", "The server answered nothing.");
    else
      record_response(exchange, empty_recorded);
    return;
  case ANSWER_PASS:
    if (error)
      exchange->outcome = g_strdup("cut");
    record_response(exchange, pass_recorded);
    return;
  case ANSWER_STREAM:
    stream_feed(exchange);
    return;
  case ANSWER_WHOLE:
    if (error)
      upstream_failed(exchange, error);
    else
      whole_answer(exchange);
    return;
  }
}

void
exchange_unrecorded(Exchange *exchange, const GError *error)
{
  g_autofree char *message = g_strdup_printf(
      "Nothing is answered that cannot be recorded: %s.", error->message);

  exchange->closed_row = true; /* another row would fail the same way */
  exchange_refuse(exchange, "journal_unavailable", message);
}
