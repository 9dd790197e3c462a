/* SPDX-License-Identifier: Apache-2.0 */
/* The credential in the client's place: exchanged once for all who wait, used
 * while it is good, renewed when the file changes, and what is said when it
 * cannot be had. */
#include "kit/clock.h"
#include "tests/unit/conn-kit.h"
#include "tests/unit/upstream-harness.h"
#include <glib/gstdio.h>
#include <pthread.h>
#include <string.h>

#define HOUR 3600

/* What the server does; guarded by its lock. */
typedef struct {
  pthread_mutex_t lock;
  int status;
  char *body;
  bool hold; /* answers wait */
  bool cut;
  unsigned requests;
  GString *seen; /* heads */
} Script;

typedef struct {
  Fixture *upstream;
  Server *server;
  Script script;
  Table *table;
  Connection *copilot;
} World;

static bool
held(Script *script)
{
  bool hold;

  pthread_mutex_lock(&script->lock);
  hold = script->hold;
  pthread_mutex_unlock(&script->lock);
  return hold;
}

static void
serve(Session *session, void *data)
{
  Script *script = data;
  const char *request;
  size_t body_len;

  while ((request = session_request(session, &body_len))) {
    g_autofree char *answer = NULL;
    bool cut;

    pthread_mutex_lock(&script->lock);
    script->requests++;
    g_string_append(script->seen, request);
    pthread_mutex_unlock(&script->lock);
    while (held(script) && !session_stopping(session))
      g_usleep(1000);
    pthread_mutex_lock(&script->lock);
    cut = script->cut;
    answer = g_strdup_printf("HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s",
                             script->status,
                             strlen(script->body) + (cut ? 10 : 0),
                             script->body);
    pthread_mutex_unlock(&script->lock);
    session_print(session, "%s", answer);
    if (cut)
      return;
  }
}

static void
script_set(Script *script, int status, const char *body)
{
  pthread_mutex_lock(&script->lock);
  script->status = status;
  g_free(script->body);
  script->body = g_strdup(body);
  pthread_mutex_unlock(&script->lock);
}

static void
script_issue(Script *script, const char *token, int64_t for_s)
{
  g_autofree char *body =
      g_strdup_printf("{\"token\":\"%s\",\"expires_at\":%" G_GINT64_FORMAT
                      ",\"refresh_in\":1500}",
                      token,
                      clock_wall_us() / G_USEC_PER_SEC + for_s);

  script_set(script, 200, body);
}

static void
script_hold(Script *script, bool hold)
{
  pthread_mutex_lock(&script->lock);
  script->hold = hold;
  pthread_mutex_unlock(&script->lock);
}

static unsigned
script_requests(Script *script)
{
  unsigned requests;

  pthread_mutex_lock(&script->lock);
  requests = script->requests;
  pthread_mutex_unlock(&script->lock);
  return requests;
}

static bool
script_saw(Script *script, const char *words)
{
  bool saw;

  pthread_mutex_lock(&script->lock);
  saw = strstr(script->seen->str, words) != NULL;
  pthread_mutex_unlock(&script->lock);
  return saw;
}

static void
set_up(World *world, const void *data)
{
  g_autofree char *text = NULL;

  (void)data;
  memset(world, 0, sizeof *world);
  pthread_mutex_init(&world->script.lock, NULL);
  world->script.seen = g_string_new(NULL);
  script_issue(&world->script, "tid=one;x:y", HOUR);
  world->upstream = fixture_new(NULL);
  world->server = server_new(&(ServerSpec){
      .leaf = world->upstream->leaf, .run = serve, .data = &world->script});
  text = g_strdup_printf("[connection \"copilot\"]\n"
                         "credential=file:%%d/credential\n"
                         "upstream=https://good.test:%u\n"
                         "[connection \"anthropic\"]\nenabled=true\n"
                         "credential=env:HOOP_TEST_KEY\n"
                         "[connection \"openai\"]\nenabled=true\n",
                         server_port(world->server));
  g_setenv("HOOP_TEST_KEY", "sk-ant-x", TRUE);
  world->table = table_new_with(text, "credential", "gho_real-1");
  world->copilot = table_get(world->table, "copilot");
}

static void
tear_down(World *world, const void *data)
{
  (void)data;
  script_hold(&world->script, false);
  table_free(world->table);
  fixture_free(world->upstream);
  server_free(world->server);
  g_string_free(world->script.seen, TRUE);
  g_free(world->script.body);
  pthread_mutex_destroy(&world->script.lock);
}

/* ---- One request's credential
 * ----------------------------------------------------------------- */

typedef struct {
  HttpHeaders *headers;
  bool done;
  char *error;
} Turn;

static void
answered(const GError *error, void *data)
{
  Turn *ask = data;

  g_assert_false(ask->done);
  ask->done = true;
  if (error) {
    g_assert_cmpstr(error->message, !=, NULL);
    ask->error = g_strdup(error->message);
  }
}

static void
begin(World *world,
      Connection *connection,
      Api api,
      const char *path,
      Turn *ask)
{
  *ask = (Turn){.headers = headers_bearer("gho_hoop-dummy")};
  http_headers_add(ask->headers, "Cookie", "a=b");
  http_headers_add(ask->headers, "X-Api-Key", "theirs");
  http_headers_add(ask->headers, "Accept", "kept");
  connection_authorize(connection,
                       world->upstream->upstream,
                       world->upstream->loop,
                       api,
                       path,
                       ask->headers,
                       answered,
                       ask);
  g_assert_false(ask->done); /* never from inside */
}

static void
ask_clear(Turn *ask)
{
  http_headers_free(ask->headers);
  g_free(ask->error);
}

static void
assert_sent(Turn *ask, const char *bearer)
{
  g_autofree char *value = g_strconcat("Bearer ", bearer, NULL);

  g_assert_cmpstr(ask->error, ==, NULL);
  g_assert_cmpuint(
      http_headers_occurrences(ask->headers, "authorization"), ==, 1);
  g_assert_cmpstr(http_headers_get(ask->headers, "authorization"), ==, value);
  g_assert_null(http_headers_get(ask->headers, "cookie"));
  g_assert_null(http_headers_get(ask->headers, "x-api-key"));
  g_assert_cmpstr(http_headers_get(ask->headers, "accept"), ==, "kept");
}

/* The whole of one: the bearer that goes upstream, or the error. */
static void
run(World *world, Turn *ask)
{
  begin(world, world->copilot, API_CHAT, "/chat/completions", ask);
  run_until(world->upstream->loop, &ask->done);
}

static void
assert_bearer(World *world, const char *bearer)
{
  Turn ask;

  run(world, &ask);
  assert_sent(&ask, bearer);
  ask_clear(&ask);
}

static void
assert_fails(World *world, const char *words)
{
  Turn ask;

  run(world, &ask);
  if (!ask.error || !strstr(ask.error, words))
    g_error("\"%s\" in \"%s\"", words, ask.error);
  g_assert_null(strstr(ask.error, "gho_real"));
  ask_clear(&ask);
}

/* ---- Tests
 * -------------------------------------------------------------------------- */

static void
test_exchange(World *world, const void *data)
{
  (void)data;
  assert_bearer(world, "tid=one;x:y");
  g_assert_cmpuint(script_requests(&world->script), ==, 1);
  g_assert_true(script_saw(&world->script,
                           "GET /copilot_internal/v2/token HTTP/1.1\r\n"));
  g_assert_true(
      script_saw(&world->script, "Authorization: Bearer gho_real-1\r\n"));
  /* Good for the next ones, too. */
  assert_bearer(world, "tid=one;x:y");
  assert_bearer(world, "tid=one;x:y");
  g_assert_cmpuint(script_requests(&world->script), ==, 1);
}

/* GitHub's own API takes the credential itself. */
static void
test_account(World *world, const void *data)
{
  static const struct {
    Api api;
    const char *path;
  } cases[] = {
      {API_TOKEN, "/copilot_internal/v2/token"},
      {API_USER, "/copilot_internal/user"},
      {API_OTHER, "/user"},
      {API_OTHER, "/repos/github/copilot-cli/releases"},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    Turn ask;

    begin(world, world->copilot, cases[i].api, cases[i].path, &ask);
    run_until(world->upstream->loop, &ask.done);
    assert_sent(&ask, "gho_real-1");
    ask_clear(&ask);
  }
  g_assert_cmpuint(script_requests(&world->script), ==, 0);
}

static void
test_key(World *world, const void *data)
{
  Turn ask;

  (void)data;
  begin(world,
        table_get(world->table, "anthropic"),
        API_MESSAGES,
        "/v1/messages",
        &ask);
  run_until(world->upstream->loop, &ask.done);
  g_assert_cmpstr(ask.error, ==, NULL);
  g_assert_cmpstr(http_headers_get(ask.headers, "x-api-key"), ==, "sk-ant-x");
  g_assert_null(http_headers_get(ask.headers, "authorization"));
  g_assert_null(http_headers_get(ask.headers, "cookie"));
  ask_clear(&ask);
}

/* Where the agent holds nothing the client's own passes untouched. */
static void
test_not_held(World *world, const void *data)
{
  Turn ask;

  (void)data;
  begin(world,
        table_get(world->table, "openai"),
        API_RESPONSES,
        "/v1/responses",
        &ask);
  run_until(world->upstream->loop, &ask.done);
  g_assert_cmpstr(ask.error, ==, NULL);
  g_assert_cmpstr(http_headers_get(ask.headers, "authorization"),
                  ==,
                  "Bearer gho_hoop-dummy");
  g_assert_cmpstr(http_headers_get(ask.headers, "cookie"), ==, "a=b");
  g_assert_cmpstr(http_headers_get(ask.headers, "x-api-key"), ==, "theirs");
  ask_clear(&ask);
}

static void
test_waiters(World *world, const void *data)
{
  Turn asks[10];

  (void)data;
  script_hold(&world->script, true);
  for (unsigned i = 0; i < G_N_ELEMENTS(asks); i++) {
    begin(world, world->copilot, API_CHAT, "/chat/completions", &asks[i]);
    loop_iterate(world->upstream->loop, 1);
  }
  script_hold(&world->script, false);
  for (unsigned i = 0; i < G_N_ELEMENTS(asks); i++) {
    run_until(world->upstream->loop, &asks[i].done);
    assert_sent(&asks[i], "tid=one;x:y");
    ask_clear(&asks[i]);
  }
  g_assert_cmpuint(script_requests(&world->script), ==, 1);
}

/* A token that is about to expire is used by who fetched it, and fetched again
 * by the next: also where this machine's clock is wrong. */
static void
test_expiry(World *world, const void *data)
{
  static const int64_t left[] = {60, 1, 0, -HOUR};

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(left); i++) {
    g_autofree char *token = g_strdup_printf("tid=%u;x:y", i);

    script_issue(&world->script, token, left[i]);
    assert_bearer(world, token);
    g_assert_cmpuint(script_requests(&world->script), ==, i + 1);
  }
  script_issue(&world->script, "tid=good;x:y", HOUR);
  assert_bearer(world, "tid=good;x:y");
  assert_bearer(world, "tid=good;x:y");
  g_assert_cmpuint(script_requests(&world->script), ==, G_N_ELEMENTS(left) + 1);
}

static void
test_failures(World *world, const void *data)
{
  g_autofree char *large = g_strnfill(100 * 1024, ' ');
  const struct {
    int status;
    const char *body, *words;
  } cases[] = {
      {401, "{\"message\":\"Bad credentials\"}", "status 401"},
      {403, "{}", "status 403"},
      {404, "", "status 404"},
      {500, "oops", "status 500"},
      {201, "{\"token\":\"t\",\"expires_at\":1}", "status 201"},
      {200, "", "not readable"},
      {200, "<html>", "not readable"},
      {200, "{\"token\":null,\"expires_at\":1}", "not readable"},
      {200, "{\"token\":\"t\"}", "not readable"},
      {200,
       "{\"token\":\"t\",\"token\":\"u\",\"expires_at\":1}",
       "not readable"},
      {200, large, "not readable"},
  };

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    script_set(&world->script, cases[i].status, cases[i].body);
    assert_fails(world, cases[i].words);
    g_assert_cmpuint(script_requests(&world->script), ==, i + 1);
  }
  /* It is asked again, and well then. */
  script_issue(&world->script, "tid=after;x:y", HOUR);
  assert_bearer(world, "tid=after;x:y");
}

static void
test_cut(World *world, const void *data)
{
  (void)data;
  world->script.cut = true;
  assert_fails(world, "good.test");
  pthread_mutex_lock(&world->script.lock);
  world->script.cut = false;
  pthread_mutex_unlock(&world->script.lock);
  assert_bearer(world, "tid=one;x:y");
}

static void
test_unreachable(World *world, const void *data)
{
  g_autoptr(Table) table =
      table_new_with("[connection \"copilot\"]\ncredential=file:%d/credential\n"
                     "upstream=https://unknown.test\n",
                     "credential",
                     "gho_real-1");

  (void)data;
  world->copilot = table_get(table, "copilot");
  assert_fails(world, "unknown.test");
  assert_fails(world, "unknown.test");
}

/* ---- Rotation
 * ----------------------------------------------------------------------- */

static void
test_rotation(World *world, const void *data)
{
  Turn account;

  (void)data;
  assert_bearer(world, "tid=one;x:y");
  g_free(table_file(world->table, "credential", "gho_real-2"));
  script_issue(&world->script, "tid=two;x:y", HOUR);
  assert_bearer(world, "tid=two;x:y");
  g_assert_true(
      script_saw(&world->script, "Authorization: Bearer gho_real-2\r\n"));
  begin(world, world->copilot, API_OTHER, "/user", &account);
  run_until(world->upstream->loop, &account.done);
  assert_sent(&account, "gho_real-2");
  ask_clear(&account);
}

/* The file changes while the former credential is being exchanged: nobody gets
 * what comes of that, whoever notices the change. */
static void
rotate_in_flight(World *world, Api api, const char *path, bool session)
{
  Turn before, after;

  script_hold(&world->script, true);
  begin(world, world->copilot, API_CHAT, "/chat/completions", &before);
  while (script_requests(&world->script) == 0)
    loop_iterate(world->upstream->loop, 5);
  g_free(table_file(world->table, "credential", "gho_real-2"));
  begin(world, world->copilot, api, path, &after);
  while (script_requests(&world->script) == 1)
    loop_iterate(world->upstream->loop, 5);
  g_assert_true(
      script_saw(&world->script, "Authorization: Bearer gho_real-2\r\n"));
  script_issue(&world->script, "tid=two;x:y", HOUR);
  script_hold(&world->script, false);
  run_until(world->upstream->loop, &before.done);
  run_until(world->upstream->loop, &after.done);
  assert_sent(&before, "tid=two;x:y");
  assert_sent(&after, session ? "tid=two;x:y" : "gho_real-2");
  g_assert_cmpuint(script_requests(&world->script), ==, 2);
  ask_clear(&before);
  ask_clear(&after);
}

static void
test_rotation_in_flight(World *world, const void *data)
{
  (void)data;
  rotate_in_flight(world, API_CHAT, "/chat/completions", true);
}

static void
test_rotation_in_flight_account(World *world, const void *data)
{
  (void)data;
  rotate_in_flight(world, API_OTHER, "/user", false);
}

static void
test_withdrawn(World *world, const void *data)
{
  g_autofree char *path =
      g_build_filename(world->table->dir, "credential", NULL);

  (void)data;
  assert_bearer(world, "tid=one;x:y");
  g_assert_cmpint(g_unlink(path), ==, 0);
  assert_fails(world, path);
  g_assert_cmpuint(script_requests(&world->script), ==, 1);
  g_free(table_file(world->table, "credential", "gho_real-2"));
  script_issue(&world->script, "tid=two;x:y", HOUR);
  assert_bearer(world, "tid=two;x:y");
}

/* ---- The end
 * ------------------------------------------------------------------------------
 */

/* Who waits is told, and nothing is left behind. */
static void
test_end(World *world, const void *data)
{
  Turn asks[3];

  (void)data;
  script_hold(&world->script, true);
  for (unsigned i = 0; i < G_N_ELEMENTS(asks); i++)
    begin(world, world->copilot, API_CHAT, "/chat/completions", &asks[i]);
  while (script_requests(&world->script) == 0)
    loop_iterate(world->upstream->loop, 5);
  table_free(g_steal_pointer(&world->table));
  for (unsigned i = 0; i < G_N_ELEMENTS(asks); i++) {
    g_assert_true(asks[i].done);
    g_assert_nonnull(strstr(asks[i].error, "stopping"));
    ask_clear(&asks[i]);
  }
}

/* A token that a server refuses is given up, once in a while. */
static void
test_rejected(World *world, const void *data)
{
  Turn first, second, third;

  (void)data;
  run(world, &first);
  run(world, &second);
  script_issue(&world->script, "tid=two;x:y", HOUR);
  g_assert_true(connection_rejected(world->copilot, first.headers));
  run(world, &third);
  assert_sent(&third, "tid=two;x:y");
  g_assert_cmpuint(script_requests(&world->script), ==, 2);
  /* Another one's 401 to the same former token costs no further one … */
  g_assert_true(connection_rejected(world->copilot, second.headers));
  assert_bearer(world, "tid=two;x:y");
  g_assert_cmpuint(script_requests(&world->script), ==, 2);
  /* … and the new one is not given up so soon, nor what is not a token. */
  g_assert_false(connection_rejected(world->copilot, third.headers));
  http_headers_set(third.headers, "authorization", "Bearer gho_real-1");
  g_assert_false(connection_rejected(world->copilot, third.headers));
  http_headers_remove(third.headers, "authorization");
  g_assert_false(connection_rejected(world->copilot, third.headers));
  g_assert_false(
      connection_rejected(table_get(world->table, "anthropic"), first.headers));
  assert_bearer(world, "tid=two;x:y");
  ask_clear(&first);
  ask_clear(&second);
  ask_clear(&third);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_)                                                      \
  g_test_add("/conn/session/" name_, World, NULL, set_up, func_, tear_down)
  ADD("exchange", test_exchange);
  ADD("account", test_account);
  ADD("key", test_key);
  ADD("not-held", test_not_held);
  ADD("waiters", test_waiters);
  ADD("expiry", test_expiry);
  ADD("failures", test_failures);
  ADD("cut", test_cut);
  ADD("unreachable", test_unreachable);
  ADD("rotation", test_rotation);
  ADD("rotation-in-flight", test_rotation_in_flight);
  ADD("rotation-in-flight-account", test_rotation_in_flight_account);
  ADD("withdrawn", test_withdrawn);
  ADD("rejected", test_rejected);
  ADD("end", test_end);
#undef ADD
  return g_test_run();
}
