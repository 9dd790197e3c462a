/* SPDX-License-Identifier: Apache-2.0 */
/* Back-pressure and time: slow owners, streams that come piece by piece,
 * requests that end early, and memory that stays flat. */
#include "config.h"
#include "kit/clock.h"
#include "tests/unit/upstream-harness.h"

#include <string.h>

/* What the slow owner downloads: more with -m slow, less under valgrind. */
#define SMALL_DOWNLOAD (INT64_C(12) << 20)
#define DOWNLOAD (INT64_C(64) << 20)
#define LARGE_DOWNLOAD (INT64_C(1) << 30)
/* What a download may add to the process, KiB. */
#define MAX_GROWTH 4096

static long
rss_kib(void)
{
  g_autofree char *status = NULL;

  g_assert_true(g_file_get_contents("/proc/self/status", &status, NULL, NULL));
  return strtol(strstr(status, "VmRSS:") + 6, NULL, 10);
}

/* Sanitizers and valgrind keep what was freed. */
static bool
counts_memory(void)
{
#ifdef HOOP_SANITIZED
  return false;
#else
  return g_getenv("HOOP_VALGRIND") == NULL;
#endif
}

static int64_t
download_size(void)
{
  if (g_getenv("HOOP_VALGRIND") != NULL)
    return SMALL_DOWNLOAD;
  return g_test_slow() ? LARGE_DOWNLOAD : DOWNLOAD;
}

/* ---- servers
 * ---------------------------------------------------------------------- */

/* A body whose byte i is i / 251 modulo 256. */
static void
fill(uint8_t *block, size_t len, int64_t offset)
{
  for (size_t i = 0; i < len; i++)
    block[i] = (uint8_t)((offset + (int64_t)i) / 251);
}

static void
send_download(Session *session, bool chunked)
{
  uint8_t block[32768];

  if (chunked)
    session_print(session,
                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  else
    session_print(session,
                  "HTTP/1.1 200 OK\r\nContent-Length: %" G_GINT64_FORMAT
                  "\r\n\r\n",
                  download_size());
  for (int64_t at = 0; at < download_size(); at += (int64_t)sizeof block) {
    fill(block, sizeof block, at);
    if ((chunked && !session_print(session, "%zx\r\n", sizeof block)) ||
        !session_send(session, block, sizeof block) ||
        (chunked && !session_print(session, "\r\n")))
      return;
  }
  if (chunked)
    session_print(session, "0\r\n\r\n");
}

/* One event every 20 ms. */
static void
send_events(Session *session)
{
  session_print(session,
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 50; i++) {
    g_usleep(20000);
    session_print(session, "d\r\ndata: %05d\n\n\r\n", i);
  }
  session_print(session, "0\r\n\r\n");
}

static void
serve(Session *session, void *data)
{
  const char *head;
  size_t len;

  (void)data;
  while ((head = session_request(session, &len)) != NULL) {
    if (strncmp(head, "GET /sized", 10) == 0)
      send_download(session, false);
    else if (strncmp(head, "GET /chunked", 12) == 0)
      send_download(session, true);
    else if (strncmp(head, "GET /events", 11) == 0)
      send_events(session);
    else if (strncmp(head, "GET /stall", 10) == 0)
      session_wait_closed(session);
    else if (strncmp(head, "GET /cut", 8) == 0) {
      session_print(session,
                    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
      session_cut(session);
      return;
    } else
      session_print(session,
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  }
}

/* ---- memory
 * ------------------------------------------------------------------------ */

/* Takes a little, then pauses; a timer lets it go on. */
typedef struct {
  LoopTimer *timer;
  int64_t taken;
  int64_t since; /* bytes since the last pause */
  int pauses;
} Slow;

static void
go_on(void *data)
{
  Call *call = data;

  if (call->request != NULL)
    upstream_request_resume(call->request);
}

static bool
take_slowly(Call *call)
{
  Slow *slow = call->data;
  const int64_t len = (int64_t)call->body->len;

  for (int64_t i = 0; i < len; i += 97)
    g_assert_cmpint(
        call->body->data[i], ==, (uint8_t)((slow->taken + i) / 251));
  g_byte_array_set_size(call->body, 0);
  slow->taken += len;
  slow->since += len;
  if (slow->since < (1 << 20))
    return true;
  slow->since = 0;
  slow->pauses++;
  loop_timer_set(slow->timer, slow->pauses % 8 == 0 ? 1 : 0);
  return false;
}

static void
download_slowly(const char *path)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});
  g_autoptr(Call) call = call_new();
  Slow slow = {.timer = loop_timer_new(fixture->loop, go_on, call)};
  long before, peak = 0;

  call->data = &slow;
  call->on_body = take_slowly;
  call_start(call, fixture, server_port(server), &(Ask){.path = path});
  while (slow.pauses < 8 && !call->done)
    loop_iterate(fixture->loop, 100);
  before = rss_kib();
  while (!call->done) {
    loop_iterate(fixture->loop, 1000);
    if (slow.since == 0)
      peak = MAX(peak, rss_kib());
  }
  loop_timer_free(slow.timer);
  g_assert_no_error(call->error);
  g_assert_cmpint(slow.taken, ==, download_size());
  g_assert_cmpint(slow.pauses, >=, (int)(download_size() >> 20) - 1);
  g_test_message("%s: %ld KiB, then at most %ld KiB", path, before, peak);
  if (counts_memory())
    g_assert_cmpint(peak - before, <, MAX_GROWTH);
}

static void
test_memory(void)
{
  download_slowly("/sized");
  download_slowly("/chunked");
}

/* ---- pausing
 * ------------------------------------------------------------------------- */

static bool
pause_always(Call *call)
{
  (void)call;
  return false;
}

/* Nothing comes while paused, however long; the idle limit does not run. */
static void
test_pause(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});
  UpstreamOptions options = fixture_options(fixture);
  g_autoptr(Call) call = call_new();
  size_t len;

  options.idle_timeout = short_limit();
  fixture_restart(fixture, &options);
  call->discard = true;
  call->on_body = pause_always;
  call_start(call, fixture, server_port(server), &(Ask){.path = "/sized"});
  while (call->body_len == 0)
    loop_iterate(fixture->loop, 100);
  len = call->body_len;
  run_for(fixture->loop, 1500);
  g_assert_cmpuint(call->body_len, ==, len);
  g_assert_false(call->done);
  call->on_body = NULL;
  upstream_request_resume(call->request);
  g_assert_cmpuint(call->body_len, ==, len);
  call_wait(call, fixture);
  g_assert_no_error(call->error);
  g_assert_cmpuint(call->body_len, ==, (size_t)download_size());
}

/* done follows the last bytes even when their owner asked for a pause. */
static void
test_pause_at_end(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});
  g_autoptr(Call) call = call_new();
  g_autoptr(Call) next = NULL;

  call->on_body = pause_always;
  call_start(call, fixture, server_port(server), NULL);
  call_wait(call, fixture);
  g_assert_no_error(call->error);
  g_assert_cmpuint(call->body_len, ==, 5);
  next = call_run(fixture, server_port(server), NULL);
  g_assert_no_error(next->error);
  g_assert_cmpint(server_accepts(server), ==, 1);
}

static bool
resume_then_pause(Call *call)
{
  upstream_request_resume(call->request);
  return false;
}

/* Pauses first; what comes after the resume is one too many. */
static bool
cancel_when_resumed(Call *call)
{
  int *calls = call->data;

  if ((*calls)++ > 0)
    upstream_request_cancel(g_steal_pointer(&call->request));
  return false;
}

/* A resume that comes inside the callback undoes the pause that follows. */
static void
test_resume_inside(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});
  g_autoptr(Call) call = call_new();

  call->discard = true;
  call->on_body = resume_then_pause;
  call_start(call, fixture, server_port(server), &(Ask){.path = "/chunked"});
  call_wait(call, fixture);
  g_assert_no_error(call->error);
  g_assert_cmpuint(call->body_len, ==, (size_t)download_size());
}

/* Cancelled while paused, and by the callback that a resume runs. */
static void
test_cancel_paused(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});
  g_autoptr(Call) paused = call_new();
  g_autoptr(Call) resumed = call_new();
  int calls = 0;

  resumed->data = &calls;
  paused->discard = resumed->discard = true;
  paused->on_body = pause_always;
  resumed->on_body = cancel_when_resumed;
  call_start(paused, fixture, server_port(server), &(Ask){.path = "/sized"});
  call_start(resumed, fixture, server_port(server), &(Ask){.path = "/chunked"});
  while (paused->body_len == 0 || resumed->body_len == 0)
    loop_iterate(fixture->loop, 100);
  run_for(fixture->loop, 50);
  upstream_request_cancel(paused->request);
  upstream_request_resume(resumed->request);
  run_for(fixture->loop, 50);
  g_assert_false(paused->done);
  g_assert_false(resumed->done);
  g_assert_null(resumed->request);
  g_assert_cmpint(calls, ==, 2);
}

/* ---- streams
 * -------------------------------------------------------------------------- */

static bool
count_calls(Call *call)
{
  int *calls = call->data;

  (*calls)++;
  return true;
}

/* Each event arrives by itself and at once. */
static void
test_events(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});
  g_autoptr(Call) call = call_new();
  int calls = 0;

  call->data = &calls;
  call->on_body = count_calls;
  call_start(call, fixture, server_port(server), &(Ask){.path = "/events"});
  call_wait(call, fixture);
  g_assert_no_error(call->error);
  g_assert_cmpuint(call->body_len, ==, 50 * 13);
  /* A busy machine may join a few. */
  g_assert_cmpint(calls, >=, 40);
}

/* ---- the end
 * ----------------------------------------------------------------------------
 */

static void
cancel_another(Call *call)
{
  Call *other = call->data;

  if (other->request != NULL)
    upstream_request_cancel(g_steal_pointer(&other->request));
}

static void
send_more(Call *call)
{
  Call *more = call->data;
  Fixture *fixture = more->data;

  call_start(more, fixture, 1, NULL);
}

/* upstream_free() with requests in every phase: each is told once. */
static void
test_free(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});
  g_autoptr(Server) mute = server_new(&(ServerSpec){.stall_handshake = true});
  g_autoptr(GPtrArray) calls =
      g_ptr_array_new_with_free_func((GDestroyNotify)call_free);
  g_autoptr(Call) victim = call_new();
  g_autoptr(Call) late = call_new();
  static const char *const PATHS[] = {
      "/stall", "/sized", "/chunked", "/events", "/"};

  for (gsize i = 0; i < G_N_ELEMENTS(PATHS); i++) {
    Call *call = call_new();

    call->discard = true;
    if (i == 1)
      call->on_body = pause_always;
    g_ptr_array_add(calls, call);
    call_start(call, fixture, server_port(server), &(Ask){.path = PATHS[i]});
  }
  for (int i = 0; i < 2; i++) {
    Call *call = call_new();

    g_ptr_array_add(calls, call);
    call_start(call, fixture, server_port(mute), NULL);
  }
  call_start(victim, fixture, server_port(server), &(Ask){.path = "/stall"});
  ((Call *)calls->pdata[0])->data = victim;
  ((Call *)calls->pdata[0])->on_done = cancel_another;
  late->data = fixture;
  ((Call *)calls->pdata[1])->data = late;
  ((Call *)calls->pdata[1])->on_done = send_more;
  while (((Call *)calls->pdata[1])->body_len == 0)
    loop_iterate(fixture->loop, 100);
  for (int i = 0; i < 2; i++) {
    Call *call = call_new();

    g_ptr_array_add(calls, call);
    call_start(call, fixture, server_port(server), NULL);
  }
  upstream_free(fixture->upstream);
  fixture->upstream = NULL;
  for (guint i = 0; i < calls->len; i++) {
    Call *call = calls->pdata[i];

    g_assert_true(call->done);
    if (call->error != NULL)
      g_assert_error(call->error, UPSTREAM_ERROR, UPSTREAM_ERROR_CANCELLED);
  }
  g_assert_false(victim->done);
  g_assert_error(late->error, UPSTREAM_ERROR, UPSTREAM_ERROR_PROTOCOL);
}

/* Cancelled at a random moment of its life, again and again. */
static void
test_cancel_any_time(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});
  static const char *const PATHS[] = {"/", "/sized", "/chunked", "/cut"};

  for (int i = 0; i < 300; i++) {
    g_autoptr(Call) call = call_new();
    int rounds = g_test_rand_int_range(0, 12);

    call->discard = true;
    call_start(call,
               fixture,
               server_port(server),
               &(Ask){.path = PATHS[i % (int)G_N_ELEMENTS(PATHS)]});
    for (int k = 0; k < rounds && !call->done; k++)
      loop_iterate(fixture->loop, 1);
    if (call->request != NULL)
      upstream_request_cancel(call->request);
    if (i % 50 == 49)
      fixture_restart(fixture, NULL);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/flow/memory", test_memory);
  g_test_add_func("/upstream/flow/pause", test_pause);
  g_test_add_func("/upstream/flow/pause-at-end", test_pause_at_end);
  g_test_add_func("/upstream/flow/resume-inside", test_resume_inside);
  g_test_add_func("/upstream/flow/cancel-paused", test_cancel_paused);
  g_test_add_func("/upstream/flow/events", test_events);
  g_test_add_func("/upstream/flow/free", test_free);
  g_test_add_func("/upstream/flow/cancel-any-time", test_cancel_any_time);
  return g_test_run();
}
