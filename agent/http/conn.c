/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a client connection: handshake, head, request, answer, and so
 * on until one side ends it. One function runs it and is never re-entered. */
#include "http/conn.h"
#include "http/chunked.h"
#include "http/request.h"
#include "http/syntax.h"
#include <string.h>
#include <sys/epoll.h>

/* Body bytes taken in one turn, so that a fast upload does not hold up the
 * others. */
#define READ_TURN ((size_t)256 << 10)
/* How long and how much a client may go on sending after the last answer. */
#define LINGER_MS 2000
#define LINGER_MAX ((size_t)1 << 20)
/* Idle for so long it gives the memory of its buffers back. */
#define TRIM_MS 1000
/* Input beyond max_head: one read. */
#define IN_SLACK 65536

/* ---- Ending -------------------------------------------------------------- */

void
conn_die(HttpConn *conn, const char *reason)
{
  if (conn->state == CONN_DEAD)
    return;
  conn->state = CONN_DEAD;
  if (!conn->error)
    conn->error = reason;
  conn_kick(conn);
}

/* Tells the owner and frees; nothing may touch the connection afterwards. */
static void
release(HttpConn *conn)
{
  conn->in_process = true; /* calls from inside `closed` change nothing */
  conn->events->closed(conn, conn->data);
  loop_watch_free(conn->watch);
  loop_timer_free(conn->timer);
  conn_io_close(conn);
  buf_clear(&conn->in);
  buf_clear(&conn->out);
  g_free(conn->sni);
  g_free(conn->own_error);
  g_free(conn);
}

static void
begin_linger(HttpConn *conn)
{
  if (conn->fin || conn->gone) {
    conn_die(conn, NULL);
    return;
  }
  conn_io_finish(conn);
  conn->state = CONN_LINGER;
  conn->since_us = loop_now_us(conn->loop);
  conn->readable = true;
  buf_clear(&conn->in);
  buf_clear(&conn->out);
}

/* ---- Requests ------------------------------------------------------------ */

static bool
body_is_whole(const HttpConn *conn)
{
  return !conn->has_body || conn->body >= BODY_ENDING;
}

static void
take_request(HttpConn *conn, HttpRequest *request)
{
  conn->state = CONN_REQUEST;
  conn->served = true;
  conn->body = BODY_WAITING;
  conn->answer = ANSWER_NONE;
  conn->paused = conn->want_writable = false;
  conn->has_body = request_has_body(request);
  conn->is_chunked = request->chunked;
  conn->body_left =
      request->content_length > 0 ? (uint64_t)request->content_length : 0;
  conn->expects = request->expect_continue;
  conn->http10 = request->http10;
  conn->is_head = strcmp(request->method, "HEAD") == 0;
  conn->close_after |= !request->keep_alive;
  http_chunked_init(&conn->chunked);
  conn->events->request(conn, request, conn->data);
}

/* Parses when a line has ended since the last time: a head that trickles in
 * is not read again for each of its bytes. True when something happened. */
static bool
parse_head(HttpConn *conn)
{
  const uint8_t *bytes = buf_bytes(&conn->in);
  size_t fresh = conn->in.len - conn->scanned;
  if (!memchr(bytes + conn->scanned, '\n', fresh) &&
      conn->in.len <= conn->limits.max_head) {
    conn->scanned = conn->in.len;
    return false;
  }
  HttpRequest *request = NULL;
  g_autoptr(GError) error = NULL;
  size_t consumed = 0;
  conn->scanned = conn->in.len;
  if (!http_request_parse(bytes,
                          conn->in.len,
                          conn->limits.max_head,
                          &request,
                          &consumed,
                          &error)) {
    conn_fail(conn, http_error_status(error), error->message);
    return true;
  }
  if (!request)
    return false;
  buf_consume(&conn->in, consumed);
  conn->scanned = 0;
  take_request(conn, request);
  return true;
}

static bool
step_head(HttpConn *conn)
{
  if (conn->in.len > conn->scanned && parse_head(conn))
    return true;
  if (!conn->readable)
    return false;
  size_t n = 0, before = conn->in.len;
  switch (conn_io_fill(conn, &n)) {
  case IO_OK:
    if (before == 0 && conn->served)
      conn->since_us = loop_now_us(conn->loop);
    return true;
  case IO_AGAIN:
    return false;
  case IO_EOF:
    conn_die(conn, before ? "the client left inside a request head" : NULL);
    return false;
  case IO_ERROR:
    conn_die(conn, NULL);
    return false;
  }
  return false;
}

/* ---- Bodies ---------------------------------------------------------------
 */

/* Hands over what `in` holds of the body. True when something happened. */
static bool
deliver(HttpConn *conn)
{
  const uint8_t *data = buf_bytes(&conn->in);
  size_t consumed = conn->in.len, len = conn->in.len;
  bool done = false;
  if (len == 0)
    return false;
  if (conn->is_chunked) {
    g_autoptr(GError) error = NULL;
    if (!chunked_next(&conn->chunked,
                      data,
                      conn->in.len,
                      &consumed,
                      &data,
                      &len,
                      &done,
                      &error)) {
      conn_fail(conn, http_error_status(error), error->message);
      return true;
    }
  } else {
    consumed = len = (size_t)MIN(conn->body_left, (uint64_t)len);
    conn->body_left -= len;
    done = conn->body_left == 0;
  }
  if (len > 0)
    conn->events->body(conn, data, len, conn->data);
  buf_consume(&conn->in, consumed);
  if (done)
    conn->body = BODY_ENDING;
  return true;
}

/* Reads for the body, or beyond it: a next request, or the client's leave.
 * True when something came. */
static bool
fill(HttpConn *conn, size_t *taken)
{
  size_t n = 0;
  switch (conn_io_fill(conn, &n)) {
  case IO_OK:
    *taken += n;
    conn->since_us = loop_now_us(conn->loop);
    return true;
  case IO_AGAIN:
    return false;
  case IO_EOF:
    conn->hangup = true;
    return true;
  case IO_ERROR:
    conn_die(conn, NULL);
    return false;
  }
  return false;
}

/* Input is wanted: body bytes, or a bounded part of what follows them. */
static bool
wants_input(const HttpConn *conn)
{
  if (conn->fin || conn->answer == ANSWER_ENDED)
    return false;
  if (body_is_whole(conn))
    return conn->in.len < conn->limits.max_head;
  return conn->body == BODY_READING && !conn->paused;
}

/* The client closed its direction. Someone who waits for an answer and leaves
 * does just that, so it ends a request that has no answer yet; half-closing
 * clients are legal but rare, and get the rest of an answer that has begun on
 * a plain connection, until a write fails. TLS clients never half-close. */
static bool
step_hangup(HttpConn *conn)
{
  if (conn->ssl || conn->answer == ANSWER_NONE || conn->gone) {
    conn_die(conn, "the client left");
    return false;
  }
  conn->fin = true;
  conn->hangup = false;
  return true;
}

/* ---- Answers ---------------------------------------------------------------
 */

static void
end_answer(HttpConn *conn)
{
  bool close = conn->close_after || conn->failed || !body_is_whole(conn);
  conn->body = BODY_DONE;
  if (!conn->failed)
    conn->events->finished(conn, conn->data);
  if (conn->state == CONN_DEAD)
    return;
  if (close || conn->close_after || conn->fin) {
    begin_linger(conn);
    return;
  }
  conn->state = CONN_HEAD;
  conn->scanned = 0;
  conn->since_us = loop_now_us(conn->loop);
  buf_clear(&conn->out);
  if (conn->in.len == 0)
    buf_clear(&conn->in);
}

/* Output and what follows from it. True when something happened. */
static bool
step_output(HttpConn *conn)
{
  if (conn->out.len > 0 && !conn->blocked && conn_io_flush(conn) == IO_ERROR) {
    conn_die(conn, "the client left");
    return false;
  }
  if (conn->answer == ANSWER_ENDED && conn->out.len == 0) {
    end_answer(conn);
    return true;
  }
  if (conn->want_writable && conn->out.len <= conn->limits.high_water / 2) {
    conn->want_writable = false;
    conn->events->writable(conn, conn->data);
    return true;
  }
  return false;
}

static bool
step_request(HttpConn *conn, size_t *taken)
{
  if (step_output(conn))
    return true;
  if (conn->state != CONN_REQUEST)
    return false;
  if (conn->hangup)
    return step_hangup(conn);
  bool listening = conn->answer != ANSWER_ENDED && !conn->paused;
  if (listening && conn->body == BODY_ENDING) {
    conn->body = BODY_DONE;
    conn->events->body_end(conn, conn->data);
    return true;
  }
  if (listening && conn->body == BODY_READING && deliver(conn))
    return true;
  return wants_input(conn) && conn->readable && *taken < READ_TURN &&
         fill(conn, taken);
}

/* ---- Other states
 * ------------------------------------------------------------ */

static void
note_sni(HttpConn *conn)
{
  const char *name = SSL_get_servername(conn->ssl, TLSEXT_NAMETYPE_host_name);
  if (name && !conn->sni && !strchr(name, ':') &&
      syntax_is_authority(name, strlen(name), false))
    conn->sni = g_ascii_strdown(name, -1);
}

static bool
step_handshake(HttpConn *conn)
{
  IoResult result = conn_io_handshake(conn);
  if (result != IO_AGAIN)
    note_sni(conn);
  switch (result) {
  case IO_OK:
    conn->state = CONN_HEAD;
    conn->since_us = loop_now_us(conn->loop);
    conn->tls_wants = 0;
    return true;
  case IO_AGAIN:
    return false;
  case IO_EOF:
    conn_die(conn, "the client left inside the TLS handshake");
    return false;
  case IO_ERROR:
    conn_die(conn, NULL);
    return false;
  }
  return false;
}

static bool
step_linger(HttpConn *conn)
{
  if (!conn->readable)
    return false;
  conn->readable = false;
  if (conn_io_drop(conn) != IO_AGAIN || conn->lingered > LINGER_MAX)
    conn_die(conn, NULL);
  return false;
}

/* ---- Time
 * --------------------------------------------------------------------- */

/* Milliseconds that may pass from since_us in the present state, -1: any. */
static int64_t
time_limit(const HttpConn *conn)
{
  int64_t idle = (int64_t)conn->limits.idle_timeout * 1000;
  switch (conn->state) {
  case CONN_HANDSHAKE:
    break;
  case CONN_HEAD:
    if (conn->served && conn->in.len == 0)
      return idle;
    break;
  case CONN_REQUEST:
    if (conn->out.len > 0)
      return idle;
    if (conn->body == BODY_READING && !conn->paused)
      return idle;
    return -1;
  case CONN_LINGER:
    return LINGER_MS;
  case CONN_DEAD:
    return -1;
  }
  return (int64_t)conn->limits.first_byte_timeout * 1000;
}

static void
time_out(HttpConn *conn)
{
  switch (conn->state) {
  case CONN_HANDSHAKE:
    conn_die(conn, "the TLS handshake took too long");
    break;
  case CONN_HEAD:
    if (conn->in.len > 0)
      conn_fail(conn, 408, "the request head took too long");
    else
      conn_die(conn, NULL);
    break;
  case CONN_REQUEST:
    if (conn->out.len > 0) {
      conn->reset = true;
      conn_die(conn, "the client does not read its answer");
    } else {
      conn_fail(conn, 408, "the request body took too long");
    }
    break;
  case CONN_LINGER:
    conn_die(conn, NULL);
    break;
  case CONN_DEAD:
    break;
  }
}

/* Between requests, with room of its own that nothing is in. */
static bool
is_untrimmed(const HttpConn *conn)
{
  return conn->state == CONN_HEAD && conn->in.len == 0 && conn->out.len == 0 &&
         (conn->in.data || conn->out.data);
}

static void
trim(HttpConn *conn)
{
  buf_clear(&conn->in);
  buf_clear(&conn->out);
  conn->scanned = 0;
}

static uint32_t
interest(const HttpConn *conn)
{
  uint32_t events = conn->tls_wants;
  switch (conn->state) {
  case CONN_HANDSHAKE:
  case CONN_DEAD:
    break;
  case CONN_LINGER:
    events |= EPOLLIN;
    break;
  case CONN_HEAD:
    /* As while a request is read and answered: no change, no system call. */
    events |= EPOLLIN | EPOLLRDHUP;
    break;
  case CONN_REQUEST:
    if (wants_input(conn))
      events |= EPOLLIN;
    if (conn->out.len > 0 && conn->blocked)
      events |= EPOLLOUT;
    if (!conn->fin)
      events |= EPOLLRDHUP;
    break;
  }
  return events;
}

/* Before the loop waits: what to wait for, and for how long. */
static void
settle(HttpConn *conn)
{
  loop_watch_set(conn->watch, interest(conn));
  int64_t limit = time_limit(conn);
  if (is_untrimmed(conn))
    limit = MIN(limit, TRIM_MS);
  if (limit >= 0) {
    int64_t passed = (loop_now_us(conn->loop) - conn->since_us) / 1000;
    loop_timer_set(conn->timer, MAX(limit - passed, 0) + 1);
  } else {
    loop_timer_set(conn->timer, -1);
  }
  bool waits = conn->state == CONN_HEAD
                   ? conn->in.len > 0
                   : conn->state == CONN_REQUEST &&
                         conn->body == BODY_READING && !conn->paused;
  if (waits && !conn->readable)
    conn_io_quick_ack(conn);
}

/* ---- The one who runs it
 * --------------------------------------------------------- */

static bool
step(HttpConn *conn, size_t *taken)
{
  switch (conn->state) {
  case CONN_HANDSHAKE:
    return step_handshake(conn);
  case CONN_HEAD:
    return step_head(conn);
  case CONN_REQUEST:
    return step_request(conn, taken);
  case CONN_LINGER:
    return step_linger(conn);
  case CONN_DEAD:
    break;
  }
  return false;
}

static void
conn_process(HttpConn *conn)
{
  size_t taken = 0;
  conn->in_process = true;
  while (step(conn, &taken))
    ;
  conn->in_process = false;
  if (conn->state != CONN_DEAD) {
    settle(conn);
    if (taken >= READ_TURN && conn->readable)
      conn_kick(conn);
  } else if (!conn->deferred) {
    release(conn);
  }
}

static void
on_deferred(void *data)
{
  HttpConn *conn = data;
  conn->deferred = false;
  conn_process(conn);
}

void
conn_kick(HttpConn *conn)
{
  if (conn->in_process || conn->deferred)
    return;
  conn->deferred = true;
  loop_defer(conn->loop, on_deferred, conn);
}

static void
on_event(uint32_t events, void *data)
{
  HttpConn *conn = data;
  uint32_t tls = events & conn->tls_wants;
  if (tls)
    conn->tls_wants = 0;
  if (tls || events & EPOLLIN)
    conn->readable = true;
  if (tls || events & EPOLLOUT)
    conn->blocked = false;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    conn->hangup = conn->readable = true;
    conn->gone |= (events & (EPOLLHUP | EPOLLERR)) != 0;
  }
  conn_process(conn);
}

static void
on_timer(void *data)
{
  HttpConn *conn = data;
  int64_t limit = time_limit(conn);
  if (is_untrimmed(conn) &&
      loop_now_us(conn->loop) - conn->since_us >= TRIM_MS * 1000)
    trim(conn);
  if (limit >= 0 && loop_now_us(conn->loop) - conn->since_us >= limit * 1000)
    time_out(conn);
  conn_process(conn);
}

/* ---- Public
 * ------------------------------------------------------------------------- */

HttpConn *
http_conn_new(Loop *loop,
              int fd,
              SSL_CTX *ssl_ctx,
              const HttpConnLimits *limits,
              const HttpConnEvents *events,
              void *data)
{
  HttpConn *conn = g_new0(HttpConn, 1);
  conn->loop = loop;
  conn->fd = fd;
  conn->limits = *limits;
  conn->events = events;
  conn->data = data;
  conn->state = ssl_ctx ? CONN_HANDSHAKE : CONN_HEAD;
  conn->since_us = loop_now_us(loop);
  buf_init(&conn->in, limits->max_head + IN_SLACK);
  buf_init(&conn->out, CONN_MAX_QUEUED);
  conn->timer = loop_timer_new(loop, on_timer, conn);
  conn->watch = loop_watch_new(loop, fd, EPOLLIN, on_event, conn);
  if (!conn_io_init(conn, ssl_ctx) || !conn->watch)
    conn_die(conn, "no memory for a connection");
  else
    settle(conn);
  return conn;
}

void
http_conn_set_data(HttpConn *conn, void *data)
{
  conn->data = data;
}

void *
http_conn_data(const HttpConn *conn)
{
  return conn->data;
}

Loop *
http_conn_loop(const HttpConn *conn)
{
  return conn->loop;
}

int
http_conn_fd(const HttpConn *conn)
{
  return conn->fd;
}

SSL *
http_conn_ssl(const HttpConn *conn)
{
  return conn->ssl;
}

bool
http_conn_is_tls(const HttpConn *conn)
{
  return conn->ssl != NULL;
}

const char *
http_conn_sni(const HttpConn *conn)
{
  return conn->sni;
}

const char *
http_conn_error(const HttpConn *conn)
{
  return conn->error;
}

void
http_conn_read_body(HttpConn *conn)
{
  if (conn->state != CONN_REQUEST || conn->body != BODY_WAITING)
    return;
  conn->body = conn->has_body ? BODY_READING : BODY_ENDING;
  conn->since_us = loop_now_us(conn->loop);
  if (conn->expects && conn->in.len == 0 && conn->answer == ANSWER_NONE)
    conn_send_continue(conn);
  conn_kick(conn);
}

void
http_conn_pause_body(HttpConn *conn, bool pause)
{
  if (conn->paused == pause)
    return;
  conn->paused = pause;
  conn->since_us = loop_now_us(conn->loop);
  conn_kick(conn);
}

void
http_conn_close_after(HttpConn *conn)
{
  conn->close_after = true;
  if (conn->state == CONN_HANDSHAKE ||
      (conn->state == CONN_HEAD && conn->in.len == 0))
    conn_die(conn, NULL);
}

void
http_conn_abort(HttpConn *conn)
{
  conn->reset = true;
  conn_die(conn, "aborted");
}
