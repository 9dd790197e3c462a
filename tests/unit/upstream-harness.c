/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the tests, and calls that record what they are told. */
#include "tests/unit/upstream-harness.h"
#include "tests/unit/folder.h"

#include "kit/clock.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

/* ---- names --------------------------------------------------------------- */

static pthread_mutex_t stall_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stall_cond = PTHREAD_COND_INITIALIZER;
static bool stall_over;

void
names_release(void)
{
  pthread_mutex_lock(&stall_lock);
  stall_over = true;
  pthread_cond_broadcast(&stall_cond);
  pthread_mutex_unlock(&stall_lock);
}

static void
wait_for_release(void)
{
  pthread_mutex_lock(&stall_lock);
  while (!stall_over)
    pthread_cond_wait(&stall_cond, &stall_lock);
  pthread_mutex_unlock(&stall_lock);
}

typedef int (*GetAddrInfo)(const char *node,
                           const char *service,
                           const struct addrinfo *hints,
                           struct addrinfo **result);

/* Stands before libc's for the whole program, libcurl included. */
int
getaddrinfo(const char *node,
            const char *service,
            const struct addrinfo *hints,
            struct addrinfo **result)
{
  GetAddrInfo real = (GetAddrInfo)dlsym(RTLD_NEXT, "getaddrinfo");
  struct addrinfo numeric = *hints;

  if (!g_str_has_suffix(node, ".test"))
    return real(node, service, hints, result);
  if (strcmp(node, "unknown.test") == 0)
    return EAI_NONAME;
  if (strcmp(node, "stall.test") == 0)
    wait_for_release();
  numeric.ai_flags |= AI_NUMERICHOST;
  if (strcmp(node, "two.test") == 0) {
    int error = real("127.0.0.2", service, &numeric, result);

    return error != 0
               ? error
               : real("127.0.0.1", service, &numeric, &(*result)->ai_next);
  }
  return real(strcmp(node, "six.test") == 0 ? "::1" : "127.0.0.1",
              service,
              &numeric,
              result);
}

/* ---- fixture ------------------------------------------------------------- */

unsigned
short_limit(void)
{
  return g_getenv("HOOP_VALGRIND") ? PATIENCE / 3 : 1;
}

UpstreamOptions
fixture_options(const Fixture *fixture)
{
  return (UpstreamOptions){.ca_file = fixture->ca_file,
                           .connect_timeout = PATIENCE / 2,
                           .idle_timeout = PATIENCE / 2};
}

void
fixture_restart(Fixture *fixture, const UpstreamOptions *options)
{
  UpstreamOptions defaults = fixture_options(fixture);
  g_autoptr(GError) error = NULL;

  g_clear_pointer(&fixture->upstream, upstream_free);
  fixture->upstream = upstream_new(
      fixture->loop, options != NULL ? options : &defaults, &error);
  g_assert_no_error(error);
}

Fixture *
fixture_new(const UpstreamOptions *options)
{
  Fixture *fixture = g_new0(Fixture, 1);
  g_autoptr(GError) error = NULL;

  fixture->loop = loop_new(&error);
  g_assert_no_error(error);
  fixture->dir = g_dir_make_tmp("hoop-upstream-XXXXXX", &error);
  g_assert_no_error(error);
  fixture->ca = cert_new(&(CertSpec){.cn = "Test CA", .ca = true});
  fixture->leaf = cert_new(
      &(CertSpec){.issuer = fixture->ca,
                  .san = "DNS:good.test,DNS:*.many.test,DNS:six.test,"
                         "DNS:stall.test,DNS:two.test,IP:127.0.0.1,IP:::1"});
  fixture->ca_file = cert_write(fixture->dir, "ca.pem", fixture->ca);
  fixture_restart(fixture, options);
  return fixture;
}

void
fixture_free(Fixture *fixture)
{
  if (fixture == NULL)
    return;
  upstream_free(fixture->upstream);
  loop_iterate(fixture->loop, 0);
  loop_free(fixture->loop);
  cert_free(fixture->ca);
  cert_free(fixture->leaf);
  remove_folder(fixture->dir);
  g_free(fixture->dir);
  g_free(fixture->ca_file);
  g_free(fixture);
}

/* ---- calls --------------------------------------------------------------- */

static void
on_head(int status, HttpHeaders *headers, void *data)
{
  Call *call = data;

  g_assert_false(call->done);
  g_assert_cmpuint(call->body_len, ==, 0);
  call->status = status;
  call->heads++;
  http_headers_free(call->headers);
  call->headers = headers;
  if (call->on_head != NULL)
    call->on_head(call);
}

static bool
on_body(const uint8_t *bytes, size_t len, void *data)
{
  Call *call = data;

  g_assert_false(call->done);
  g_assert_cmpint(call->heads, ==, 1);
  call->body_len += len;
  if (!call->discard)
    g_byte_array_append(call->body, bytes, (guint)len);
  return call->on_body == NULL || call->on_body(call);
}

static void
on_done(const GError *error, void *data)
{
  Call *call = data;

  g_assert_false(call->done);
  call->done = true;
  call->request = NULL;
  if (error != NULL)
    call->error = g_error_copy(error);
  if (call->on_done != NULL)
    call->on_done(call);
}

Call *
call_new(void)
{
  Call *call = g_new0(Call, 1);

  call->body = g_byte_array_new();
  return call;
}

void
call_free(Call *call)
{
  if (call == NULL)
    return;
  http_headers_free(call->headers);
  g_byte_array_unref(call->body);
  g_clear_error(&call->error);
  g_free(call);
}

static HttpHeaders *
parse_headers(const char *text)
{
  HttpHeaders *headers = http_headers_new();
  g_auto(GStrv) lines = g_strsplit(text != NULL ? text : "", "\n", -1);

  for (char **line = lines; *line != NULL && **line != '\0'; line++) {
    g_auto(GStrv) pair = g_strsplit(*line, ":", 2);

    g_assert_true(http_headers_add(headers, pair[0], g_strstrip(pair[1])));
  }
  return headers;
}

void
call_start(Call *call, Fixture *fixture, uint16_t port, const Ask *ask)
{
  static const UpstreamEvents events = {
      .head = on_head, .body = on_body, .done = on_done};
  static const Ask nothing = {0};
  const Ask *a = ask != NULL ? ask : &nothing;
  g_autofree char *url = g_strdup_printf("https://%s:%u%s",
                                         a->host ? a->host : "good.test",
                                         port,
                                         a->path ? a->path : "/");
  g_autoptr(HttpHeaders) headers = parse_headers(a->headers);
  UpstreamSpec spec = {.method = a->method ? a->method : "GET",
                       .url = url,
                       .headers = headers,
                       .host_header = a->host_header,
                       .body = a->body};

  call->request =
      upstream_send(fixture->upstream, &spec, &events, call, &call->error);
}

void
run_until(Loop *loop, const bool *flag)
{
  int64_t deadline = clock_mono_us() + PATIENCE * INT64_C(1000000);

  while (!*flag) {
    g_assert_cmpint(clock_mono_us(), <, deadline);
    loop_iterate(loop, 100);
  }
}

void
run_for(Loop *loop, int ms)
{
  int64_t deadline = clock_mono_us() + ms * INT64_C(1000);
  int64_t left;

  while ((left = deadline - clock_mono_us()) > 0)
    loop_iterate(loop, (int)(left / 1000) + 1);
}

void
call_wait(Call *call, Fixture *fixture)
{
  run_until(fixture->loop, &call->done);
}

Call *
call_run(Fixture *fixture, uint16_t port, const Ask *ask)
{
  Call *call = call_new();

  call_start(call, fixture, port, ask);
  g_assert_no_error(call->error);
  call_wait(call, fixture);
  return call;
}
