/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a client connection: heads, framing, and when bytes are handed
 * to the kernel. */
#include "http/conn.h"
#include "http/status.h"
#include "kit/clock.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Output of this size is written at once; less waits until the callbacks of
 * this round are done, so that a head, its body and the end of the answer
 * make one record, and so do pieces of a stream that came together. */
#define WRITE_NOW 16384
/* Status line, the fields that are added here, and the line ends. */
#define HEAD_EXTRA 320
/* A chunk's size line and the CRLF behind it. */
#define CHUNK_EXTRA 20
/* The last chunk and an empty trailer section. */
#define LAST_CHUNK "0\r\n\r\n"

/* ---- Heads ------------------------------------------------------------------
 */

/* IMF-fixdate (RFC 9110 section 5.6.7), made once a second. */
static const char *
date_now(HttpConn *conn)
{
  int64_t now = clock_wall_us() / G_USEC_PER_SEC;
  if (now != conn->date_s) {
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;
    time_t t = (time_t)now;
    gmtime_r(&t, &tm);
    snprintf(conn->date,
             sizeof conn->date,
             "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             days + 3 * tm.tm_wday,
             tm.tm_mday,
             months + 3 * tm.tm_mon,
             (tm.tm_year + 1900) % 10000,
             tm.tm_hour,
             tm.tm_min,
             tm.tm_sec);
    conn->date_s = now;
  }
  return conn->date;
}

/* Writes into room that is known to suffice. */
static uint8_t *
put(uint8_t *at, const char *text, size_t len)
{
  memcpy(at, text, len);
  return at + len;
}

static uint8_t *
put_str(uint8_t *at, const char *text)
{
  return put(at, text, strlen(text));
}

static uint8_t *
put_number(uint8_t *at, uint64_t number, unsigned base)
{
  char digits[24];
  unsigned n = sizeof digits;
  do {
    digits[--n] = "0123456789abcdef"[number % base];
    number /= base;
  } while (number);
  return put(at, digits + n, sizeof digits - n);
}

/* Fields that this connection decides about. */
static bool
is_framing(const char *name)
{
  static const char *const names[] = {
      "Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding"};
  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
    if (g_ascii_strcasecmp(name, names[i]) == 0)
      return true;
  return false;
}

static size_t
fields_size(const HttpHeaders *headers)
{
  size_t size = 0;
  for (unsigned i = 0; headers && i < http_headers_count(headers); i++)
    size += strlen(http_headers_name(headers, i)) +
            strlen(http_headers_value(headers, i)) + 4;
  return size;
}

static uint8_t *
put_fields(uint8_t *at, const HttpHeaders *headers)
{
  for (unsigned i = 0; headers && i < http_headers_count(headers); i++) {
    const char *name = http_headers_name(headers, i);
    if (is_framing(name))
      continue;
    at = put_str(at, name);
    at = put(at, ": ", 2);
    at = put_str(at, http_headers_value(headers, i));
    at = put(at, "\r\n", 2);
  }
  return at;
}

static uint8_t *
put_status(uint8_t *at, int status)
{
  at = put_str(at, "HTTP/1.1 ");
  at = put_number(at, (uint64_t)status, 10);
  at = put(at, " ", 1);
  at = put_str(at, status_reason(status));
  return put(at, "\r\n", 2);
}

static uint8_t *
put_framing(HttpConn *conn, uint8_t *at, int status, int64_t content_length)
{
  /* HEAD and 304 may tell the length of what is not sent; any other answer
   * without a body must say so. */
  if (conn->kind == HTTP_BODY_NONE && !conn->is_head && status != 304)
    content_length = 0;
  if (conn->kind == HTTP_BODY_CHUNKED) {
    if (!conn->http10)
      at = put_str(at, "Transfer-Encoding: chunked\r\n");
  } else if (status != 204 && content_length >= 0) {
    at = put_str(at, "Content-Length: ");
    at = put_number(at, (uint64_t)content_length, 10);
    at = put(at, "\r\n", 2);
  }
  if (conn->close_after)
    at = put_str(at, "Connection: close\r\n");
  else if (conn->http10)
    at = put_str(at, "Connection: keep-alive\r\n");
  return at;
}

/* Room for `len` more bytes of output; NULL when the owner queues without
 * end, which ends the connection. */
static uint8_t *
reserve(HttpConn *conn, size_t len)
{
  uint8_t *at = buf_reserve(&conn->out, len);
  if (!at) {
    conn->reset = true;
    conn_die(conn, "more output was queued than a connection may hold");
  } else if (conn->out.len == 0) {
    conn->since_us = loop_now_us(conn->loop);
  }
  return at;
}

static void
queue_head(HttpConn *conn,
           int status,
           const HttpHeaders *headers,
           int64_t content_length,
           size_t body_room)
{
  size_t size = HEAD_EXTRA + fields_size(headers);
  uint8_t *from = reserve(conn, size + body_room), *at = from;
  if (!from)
    return;
  bool final = status >= 200;
  at = put_status(at, status);
  at = put_fields(at, headers);
  if (final && !(headers && http_headers_get(headers, "Date"))) {
    at = put_str(at, "Date: ");
    at = put_str(at, date_now(conn));
    at = put(at, "\r\n", 2);
  }
  if (final)
    at = put_framing(conn, at, status, content_length);
  at = put(at, "\r\n", 2);
  buf_commit(&conn->out, (size_t)(at - from));
}

/* True when the owner may still say something to this request. */
static bool
is_heard(const HttpConn *conn, ConnAnswer answer)
{
  return conn->state == CONN_REQUEST && !conn->failed && conn->answer == answer;
}

/* ---- Private to the room
 * ------------------------------------------------------- */

void
conn_send_continue(HttpConn *conn)
{
  static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
  uint8_t *at = reserve(conn, sizeof line - 1);
  if (!at)
    return;
  put(at, line, sizeof line - 1);
  buf_commit(&conn->out, sizeof line - 1);
}

void
conn_fail(HttpConn *conn, int status, const char *message)
{
  if (conn->state == CONN_REQUEST && conn->answer != ANSWER_NONE) {
    conn->reset = true;
    conn_die(conn, "the request's framing broke within its answer");
    return;
  }
  g_autofree char *id = http_request_id_new();
  g_autofree char *body = http_error_body(API_OTHER, status, NULL, message);
  g_autoptr(HttpHeaders) headers = http_headers_new();
  http_headers_add(headers, "Content-Type", "application/json");
  http_headers_add(headers, "x-github-request-id", id);
  if (conn->state == CONN_HEAD)
    conn->is_head = conn->http10 = false; /* nothing is known of it */
  conn->state = CONN_REQUEST;
  conn->close_after = true;
  conn->answer = ANSWER_NONE;
  http_conn_reply(conn, status, headers, NULL, body, strlen(body));
  conn->failed = true;
  conn->own_error = g_strdup(message);
  conn->error = conn->own_error;
}

/* ---- Public
 * ---------------------------------------------------------------------- */

void
http_conn_send_head(HttpConn *conn,
                    int status,
                    const HttpHeaders *headers,
                    HttpBodyKind kind,
                    int64_t content_length)
{
  g_return_if_fail(kind != HTTP_BODY_SIZED || content_length >= 0);
  if (!is_heard(conn, ANSWER_NONE))
    return;
  if (status < 200) {
    if (!conn->http10)
      queue_head(conn, status, headers, -1, 0);
    conn_kick(conn);
    return;
  }
  bool whole = !conn->has_body || conn->body >= BODY_ENDING;
  bool never = status == 204 || status == 304;
  conn->answer = ANSWER_OPEN;
  conn->kind = never ? HTTP_BODY_NONE : kind;
  conn->discard = never || conn->is_head || kind == HTTP_BODY_NONE;
  conn->answer_left = kind == HTTP_BODY_SIZED ? content_length : 0;
  conn->close_after |=
      !whole || (conn->http10 && conn->kind == HTTP_BODY_CHUNKED);
  bool small = conn->kind == HTTP_BODY_SIZED && content_length < WRITE_NOW;
  if (!small && !conn->has_body && conn->in.len == 0)
    buf_clear(&conn->in); /* a long answer: nothing is read for a while */
  queue_head(conn,
             status,
             headers,
             content_length,
             small && !conn->discard ? (size_t)content_length : 0);
  conn_kick(conn);
}

static bool
queue_chunk(HttpConn *conn, const void *bytes, size_t len)
{
  uint8_t *from = reserve(conn, len + CHUNK_EXTRA), *at = from;
  if (!from)
    return false;
  at = put_number(at, len, 16);
  at = put(at, "\r\n", 2);
  at = put(at, bytes, len);
  at = put(at, "\r\n", 2);
  buf_commit(&conn->out, (size_t)(at - from));
  return true;
}

static bool
queue_plain(HttpConn *conn, const void *bytes, size_t len)
{
  uint8_t *at = reserve(conn, len);
  if (!at)
    return false;
  put(at, bytes, len);
  buf_commit(&conn->out, len);
  return true;
}

static void
write_now(HttpConn *conn)
{
  if (!conn->blocked && conn_io_flush(conn) == IO_ERROR)
    conn_die(conn, "the client left");
}

bool
http_conn_send(HttpConn *conn, const void *bytes, size_t len)
{
  if (!is_heard(conn, ANSWER_OPEN) || len == 0)
    return true;
  if (conn->kind == HTTP_BODY_SIZED) {
    if (len > (uint64_t)conn->answer_left) {
      conn->reset = true;
      conn_die(conn, "the answer is longer than its length");
      return true;
    }
    conn->answer_left -= (int64_t)len;
  }
  if (conn->discard)
    return true;
  bool chunks = conn->kind == HTTP_BODY_CHUNKED && !conn->http10;
  if (conn->state == CONN_DEAD ||
      !(chunks ? queue_chunk(conn, bytes, len) : queue_plain(conn, bytes, len)))
    return true;
  if (conn->out.len >= WRITE_NOW)
    write_now(conn);
  conn_kick(conn);
  if (conn->out.len <= conn->limits.high_water)
    return true;
  conn->want_writable = true;
  return false;
}

size_t
http_conn_queued(const HttpConn *conn)
{
  return conn->out.len;
}

void
http_conn_end(HttpConn *conn)
{
  if (!is_heard(conn, ANSWER_OPEN))
    return;
  if (conn->kind == HTTP_BODY_SIZED && conn->answer_left > 0 &&
      !conn->is_head) {
    conn->reset = true;
    conn_die(conn, "the answer is shorter than its length");
    return;
  }
  if (conn->kind == HTTP_BODY_CHUNKED && !conn->discard && !conn->http10 &&
      !queue_plain(conn, LAST_CHUNK, sizeof LAST_CHUNK - 1))
    return;
  conn->answer = ANSWER_ENDED;
  conn->want_writable = false;
  conn_kick(conn);
}

void
http_conn_reply(HttpConn *conn,
                int status,
                const HttpHeaders *headers,
                const char *content_type,
                const void *body,
                size_t len)
{
  g_autoptr(HttpHeaders) all = NULL;
  if (content_type) {
    all = headers ? http_headers_copy(headers) : http_headers_new();
    http_headers_set(all, "Content-Type", content_type);
    headers = all;
  }
  http_conn_send_head(conn, status, headers, HTTP_BODY_SIZED, (int64_t)len);
  http_conn_send(conn, body, len);
  http_conn_end(conn);
}
