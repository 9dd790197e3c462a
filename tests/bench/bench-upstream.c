/* SPDX-License-Identifier: Apache-2.0 */
/* What one request through agent/upstream costs this thread, beside the same
 * exchange over bare OpenSSL; new connections; a large download's memory. */
#include "kit/clock.h"
#include "tests/unit/upstream-harness.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_BYTES 32768
#define ANSWER_BYTES 2048
#define DELTAS 200
#define DOWNLOAD (INT64_C(1) << 30)

static int64_t
cpu_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static long
rss_kib(void)
{
  g_autofree char *status = NULL;
  const char *line;

  g_file_get_contents("/proc/self/status", &status, NULL, NULL);
  line = strstr(status, "VmRSS:");
  return strtol(line + 6, NULL, 10);
}

static void
print_deltas(Session *session)
{
  static const char DELTA[] = "data: {\"choices\":[{\"index\":0,\"delta\":"
                              "{\"content\":\"a word or two\"}}]}\n\n";

  session_print(session,
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                "Transfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < DELTAS; i++)
    session_print(session, "%zx\r\n%s\r\n", strlen(DELTA), DELTA);
  session_print(session, "0\r\n\r\n");
}

static void
print_gigabyte(Session *session)
{
  g_autofree char *block = g_malloc0(1 << 16);

  session_print(session,
                "HTTP/1.1 200 OK\r\nContent-Length: %" G_GINT64_FORMAT
                "\r\n\r\n",
                DOWNLOAD);
  for (int64_t sent = 0; sent < DOWNLOAD; sent += 1 << 16)
    if (!session_send(session, block, 1 << 16))
      return;
}

static void
serve(Session *session, void *data)
{
  static char answer[ANSWER_BYTES + 512];
  g_autofree char *text = NULL;
  const char *head;
  size_t len, answer_len;

  (void)data;
  memset(answer, 'x', sizeof answer);
  text = g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                         "Server: bench\r\nX-Request-Id: 0123456789\r\n"
                         "Content-Length: %d\r\n\r\n%.*s",
                         ANSWER_BYTES,
                         ANSWER_BYTES,
                         answer);
  answer_len = strlen(text);
  while ((head = session_request(session, &len)) != NULL) {
    if (strncmp(head, "GET /sse", 8) == 0)
      print_deltas(session);
    else if (strncmp(head, "GET /gigabyte", 13) == 0)
      print_gigabyte(session);
    else if (strncmp(head, "GET /once", 9) == 0) {
      session_print(session,
                    "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                    "Content-Length: 2\r\n\r\nok");
      return;
    } else if (!session_send(session, text, answer_len))
      return;
  }
}

/* ---- bare OpenSSL -------------------------------------------------------- */

static SSL *
bare_connect(Fixture *fixture, uint16_t port, SSL_CTX **ctx)
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  int one = 1;
  SSL *ssl;

  *ctx = SSL_CTX_new(TLS_client_method());
  SSL_CTX_load_verify_file(*ctx, fixture->ca_file);
  SSL_CTX_set_verify(*ctx, SSL_VERIFY_PEER, NULL);
  ssl = SSL_new(*ctx);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  g_assert_cmpint(
      connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
  SSL_set_fd(ssl, fd);
  g_assert_cmpint(SSL_connect(ssl), ==, 1);
  return ssl;
}

static void
bench_bare(Fixture *fixture, uint16_t port, int count)
{
  SSL_CTX *ctx;
  SSL *ssl = bare_connect(fixture, port, &ctx);
  g_autofree char *head =
      g_strdup_printf("POST /v1 HTTP/1.1\r\nHost: good.test\r\n"
                      "Content-Type: application/json\r\n"
                      "Content-Length: %d\r\n\r\n",
                      REQUEST_BYTES);
  size_t head_len = strlen(head);
  g_autofree char *request = g_malloc0(head_len + REQUEST_BYTES);
  g_autofree char *answer = g_malloc(1 << 16);
  int64_t wall = clock_mono_us(), cpu = cpu_us();

  memcpy(request, head, head_len);
  for (int i = 0; i < count; i++) {
    int got = 0;

    SSL_write(ssl, request, (int)head_len + REQUEST_BYTES);
    while (got < ANSWER_BYTES) {
      int n = SSL_read(ssl, answer, 1 << 16);

      g_assert_cmpint(n, >, 0);
      got += n;
    }
  }
  printf("bare OpenSSL, 1 connection:   %6.1f us CPU, %6.1f us wall\n",
         (double)(cpu_us() - cpu) / count,
         (double)(clock_mono_us() - wall) / count);
  close(SSL_get_fd(ssl));
  SSL_free(ssl);
  SSL_CTX_free(ctx);
}

/* ---- upstream ------------------------------------------------------------ */

typedef struct {
  Fixture *fixture;
  char *url;
  const char *method;
  HttpHeaders *headers;
  GBytes *body;
  int left; /* to be started */
  int running;
  bool over;
} Run;

static void start_one(Run *run);

static void
on_head(int status, HttpHeaders *headers, void *data)
{
  (void)data;
  g_assert_cmpint(status, ==, 200);
  http_headers_free(headers);
}

static bool
on_body(const uint8_t *bytes, size_t len, void *data)
{
  (void)bytes;
  (void)len;
  (void)data;
  return true;
}

static void
on_done(const GError *error, void *data)
{
  Run *run = data;

  g_assert_no_error(error);
  run->running--;
  if (run->left > 0)
    start_one(run);
  run->over = run->running == 0;
}

static void
start_one(Run *run)
{
  static const UpstreamEvents events = {on_head, on_body, on_done};
  g_autoptr(GError) error = NULL;
  UpstreamSpec spec = {.method = run->method,
                       .url = run->url,
                       .headers = run->headers,
                       .body = run->body};

  run->left--;
  run->running++;
  upstream_send(run->fixture->upstream, &spec, &events, run, &error);
  g_assert_no_error(error);
}

static void
bench(Fixture *fixture,
      Server *server,
      const char *label,
      const char *method,
      const char *path,
      int count,
      int at_once)
{
  Run run = {.fixture = fixture,
             .method = method,
             .headers = http_headers_new(),
             .left = count};
  int accepts = server_accepts(server);
  int64_t wall, cpu;

  run.url =
      g_strdup_printf("https://good.test:%u%s", server_port(server), path);
  http_headers_add(run.headers, "Content-Type", "application/json");
  http_headers_add(run.headers, "Authorization", "Bearer 0123456789abcdef");
  http_headers_add(run.headers, "Editor-Version", "bench/1.0");
  http_headers_add(run.headers, "Copilot-Integration-Id", "vscode-chat");
  http_headers_add(run.headers, "X-Request-Id", "0123456789abcdef");
  http_headers_add(run.headers, "Accept", "*/*");
  http_headers_add(run.headers, "Accept-Encoding", "identity");
  http_headers_add(run.headers, "User-Agent", "bench/1.0");
  if (strcmp(method, "POST") == 0)
    run.body = g_bytes_new_take(g_malloc0(REQUEST_BYTES), REQUEST_BYTES);
  wall = clock_mono_us();
  cpu = cpu_us();
  while (run.left > 0 && run.running < at_once)
    start_one(&run);
  while (!run.over)
    loop_iterate(fixture->loop, 1000);
  cpu = cpu_us() - cpu;
  wall = clock_mono_us() - wall;
  printf("%-29s %6.1f us CPU, %6.1f us wall, %d connects, RSS %ld KiB\n",
         label,
         (double)cpu / count,
         (double)wall / count,
         server_accepts(server) - accepts,
         rss_kib());
  http_headers_free(run.headers);
  g_free(run.url);
  if (run.body != NULL)
    g_bytes_unref(run.body);
}

int
main(int argc, char **argv)
{
  int scale = argc > 1 ? atoi(argv[1]) : 10;
  g_autoptr(Fixture) fixture = fixture_new(NULL);
  g_autoptr(Server) server =
      server_new(&(ServerSpec){.leaf = fixture->leaf, .run = serve});

  bench_bare(fixture, server_port(server), 1000 * scale);
  bench(fixture,
        server,
        "POST 32 KB, 1 at once:",
        "POST",
        "/v1",
        1000 * scale,
        1);
  bench(fixture,
        server,
        "POST 32 KB, 16 at once:",
        "POST",
        "/v1",
        1000 * scale,
        16);
  bench(fixture, server, "GET, 1 at once:", "GET", "/", 1000 * scale, 1);
  bench(fixture, server, "GET, 16 at once:", "GET", "/", 1000 * scale, 16);
  bench(fixture,
        server,
        "SSE, 200 deltas, 16 at once:",
        "GET",
        "/sse",
        20 * scale,
        16);
  bench(fixture, server, "new connection:", "GET", "/once", 20 * scale, 1);
  bench(fixture, server, "1 GB:", "GET", "/gigabyte", 1, 1);
  return 0;
}
