/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 by option: one connection for many requests, the same events and the
 * same errors. Node is the server; without node the tests say that they were
 * skipped. */
#include "tests/unit/upstream-harness.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  Fixture *fixture;
  GPid pid;
  int in;      /* closing it ends the server */
  FILE *lines; /* what it prints */
  uint16_t port;
} Peer;

static void
write_key(const char *path, EVP_PKEY *key)
{
  FILE *file = fopen(path, "w");

  g_assert_nonnull(file);
  PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
  fclose(file);
}

/* NULL at the end; free with free(). */
static char *
next_line(Peer *peer)
{
  char *line = NULL;
  size_t size = 0;

  if (getline(&line, &size, peer->lines) >= 0)
    return line;
  free(line);
  return NULL;
}

/* Not GSubprocess: its worker thread locks in ways that TSan cannot see. */
static void
spawn(Peer *peer, char **argv)
{
  g_autoptr(GError) error = NULL;
  int out = -1;

  g_spawn_async_with_pipes(NULL,
                           argv,
                           NULL,
                           G_SPAWN_DO_NOT_REAP_CHILD,
                           NULL,
                           NULL,
                           &peer->pid,
                           &peer->in,
                           &out,
                           NULL,
                           &error);
  g_assert_no_error(error);
  peer->lines = fdopen(out, "r");
}

/* NULL when there is no node. */
static Peer *
peer_new(void)
{
  const char *given = g_getenv("NODE");
  g_autofree char *node =
      g_find_program_in_path(given != NULL && *given ? given : "node");
  g_autofree char *script =
      g_test_build_filename(G_TEST_DIST, "unit", "upstream-h2.mjs", NULL);
  g_autofree char *cert = NULL;
  g_autofree char *key = NULL;
  char *port;
  UpstreamOptions options;
  Peer *peer;

  if (node == NULL) {
    g_test_skip("node is not installed");
    return NULL;
  }
  peer = g_new0(Peer, 1);
  peer->fixture = fixture_new(NULL);
  cert = cert_write(peer->fixture->dir, "leaf.pem", peer->fixture->leaf);
  key = g_build_filename(peer->fixture->dir, "key.pem", NULL);
  write_key(key, peer->fixture->leaf->key);
  spawn(peer, (char *[]){node, script, cert, key, NULL});
  port = next_line(peer);
  g_assert_nonnull(port);
  peer->port = (uint16_t)atoi(port);
  free(port);
  options = fixture_options(peer->fixture);
  options.http2 = true;
  fixture_restart(peer->fixture, &options);
  return peer;
}

/* How many lines with this beginning the server wrote; ends it. */
static int
peer_stop(Peer *peer, const char *prefix)
{
  int count = 0;
  char *line;

  close(peer->in);
  while ((line = next_line(peer)) != NULL) {
    count += g_str_has_prefix(line, prefix);
    free(line);
  }
  fclose(peer->lines);
  waitpid(peer->pid, NULL, 0);
  fixture_free(peer->fixture);
  g_free(peer);
  return count;
}

static Call *
ask(Peer *peer, const char *method, const char *path)
{
  return call_run(
      peer->fixture, peer->port, &(Ask){.method = method, .path = path});
}

static void
test_answers(void)
{
  Peer *peer = peer_new();
  g_autoptr(Call) plain = NULL;
  g_autoptr(Call) informed = NULL;
  g_autoptr(Call) head = NULL;
  g_autoptr(Call) none = NULL;

  if (peer == NULL)
    return;
  plain = ask(peer, "GET", "/plain");
  g_assert_no_error(plain->error);
  g_assert_cmpint(plain->status, ==, 200);
  g_assert_cmpstr(http_headers_get(plain->headers, "x-a"), ==, "1");
  g_assert_cmpmem(plain->body->data, plain->body->len, "hello", 5);
  informed = ask(peer, "GET", "/informed");
  g_assert_no_error(informed->error);
  g_assert_null(http_headers_get(informed->headers, "link"));
  g_assert_null(http_headers_get(informed->headers, "x-trailer"));
  g_assert_cmpuint(informed->body_len, ==, 2);
  head = ask(peer, "HEAD", "/plain");
  g_assert_no_error(head->error);
  g_assert_cmpuint(head->body_len, ==, 0);
  none = ask(peer, "DELETE", "/none");
  g_assert_no_error(none->error);
  g_assert_cmpint(none->status, ==, 204);
  g_assert_cmpint(peer_stop(peer, "session"), ==, 1);
}

static void
test_bodies(void)
{
  Peer *peer = peer_new();
  const gsize sizes[] = {0, 1, 70000, 3000000};

  if (peer == NULL)
    return;
  for (gsize i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autofree char *text = g_strnfill(sizes[i], (char)('a' + i));
    g_autoptr(GBytes) body = g_bytes_new(text, sizes[i]);
    g_autoptr(Call) call =
        call_run(peer->fixture,
                 peer->port,
                 &(Ask){.method = "POST", .path = "/echo", .body = body});

    g_assert_no_error(call->error);
    g_assert_cmpmem(call->body->data, call->body->len, text, sizes[i]);
  }
  g_assert_cmpint(peer_stop(peer, "session"), ==, 1);
}

static void
test_together(void)
{
  Peer *peer = peer_new();
  Call *calls[40];

  if (peer == NULL)
    return;
  for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
    calls[i] = call_new();
    call_start(calls[i],
               peer->fixture,
               peer->port,
               &(Ask){.path = i % 5 == 0 ? "/large" : "/plain"});
  }
  for (gsize i = 0; i < G_N_ELEMENTS(calls); i++) {
    call_wait(calls[i], peer->fixture);
    g_assert_no_error(calls[i]->error);
    g_assert_cmpuint(calls[i]->body_len, ==, i % 5 == 0 ? 64 * 65536 : 5);
    call_free(calls[i]);
  }
  g_assert_cmpint(peer_stop(peer, "session"), ==, 1);
}

static void
test_faults(void)
{
  static const struct {
    const char *path;
    int code;
  } cases[] = {
      {"/reset-head", UPSTREAM_ERROR_CUT},
      {"/reset-body", UPSTREAM_ERROR_CUT},
      {"/short", UPSTREAM_ERROR_CUT},
      {"/stall", UPSTREAM_ERROR_TIMEOUT},
  };
  Peer *peer = peer_new();
  UpstreamOptions options;

  if (peer == NULL)
    return;
  options = fixture_options(peer->fixture);
  options.http2 = true;
  options.idle_timeout = short_limit();
  fixture_restart(peer->fixture, &options);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(Call) call = ask(peer, "POST", cases[i].path);
    g_autoptr(Call) next = NULL;

    g_test_message("%s: %s", cases[i].path, call->error->message);
    assert_error(call, cases[i].code);
    next = ask(peer, "GET", "/plain");
    g_assert_no_error(next->error);
  }
  peer_stop(peer, "");
}

/* REFUSED_STREAM says that nothing was done (RFC 9113 section 8.7); what is
 * idempotent goes again. */
static void
test_refused(void)
{
  Peer *peer = peer_new();
  g_autoptr(Call) call = NULL;

  if (peer == NULL)
    return;
  call = ask(peer, "GET", "/refused");
  g_assert_no_error(call->error);
  g_assert_cmpuint(call->body_len, ==, 5);
  g_assert_cmpint(peer_stop(peer, "request GET /refused"), ==, 2);
}

static bool
pause_once(Call *call)
{
  int *calls = call->data;

  return (*calls)++ > 0;
}

/* A paused stream holds up none of its neighbours. */
static void
test_pause(void)
{
  Peer *peer = peer_new();
  g_autoptr(Call) paused = call_new();
  g_autoptr(Call) other = NULL;
  g_autoptr(Call) cancelled = call_new();
  int calls = 0;
  size_t len;

  if (peer == NULL)
    return;
  paused->data = &calls;
  paused->discard = cancelled->discard = true;
  paused->on_body = pause_once;
  call_start(paused, peer->fixture, peer->port, &(Ask){.path = "/large"});
  call_start(cancelled, peer->fixture, peer->port, &(Ask){.path = "/large"});
  while (paused->body_len == 0 || cancelled->body_len == 0)
    loop_iterate(peer->fixture->loop, 100);
  len = paused->body_len;
  upstream_request_cancel(cancelled->request);
  other = ask(peer, "GET", "/large");
  g_assert_no_error(other->error);
  g_assert_cmpuint(paused->body_len, ==, len);
  upstream_request_resume(paused->request);
  call_wait(paused, peer->fixture);
  g_assert_no_error(paused->error);
  g_assert_cmpuint(paused->body_len, ==, 64 * 65536);
  g_assert_cmpint(peer_stop(peer, "session"), ==, 1);
}

/* A server without h2 gets HTTP/1.1. */
static void
test_fallback(void)
{
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = session_ok});
  UpstreamOptions options = fixture_options(fixture);

  options.http2 = true;
  fixture_restart(fixture, &options);
  for (int i = 0; i < 10; i++) {
    g_autoptr(Call) call =
        call_run(fixture, server_port(server), &(Ask){.method = "POST"});

    g_assert_no_error(call->error);
  }
  g_assert_cmpint(server_accepts(server), ==, 1);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/upstream/h2/answers", test_answers);
  g_test_add_func("/upstream/h2/bodies", test_bodies);
  g_test_add_func("/upstream/h2/together", test_together);
  g_test_add_func("/upstream/h2/faults", test_faults);
  g_test_add_func("/upstream/h2/refused", test_refused);
  g_test_add_func("/upstream/h2/pause", test_pause);
  g_test_add_func("/upstream/h2/fallback", test_fallback);
  return g_test_run();
}
