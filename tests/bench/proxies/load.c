/* SPDX-License-Identifier: Apache-2.0 */
/* Load for comparing proxies: a thread for each client, each with one TLS
 * connection, blocking, so that every proxy meets the same clients.
 *
 * load PORT CA_FILE CLIENTS SECONDS json|sse|paced|connect [nagle]
 * prints {"requests","per_second","p50_us","p99_us","alone","deltas","failed"}
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A chat request's usual size. */
#define BODY_BYTES (32 * 1024)
#define MAX_SAMPLES 400000
#define READ_BYTES 65536

static struct {
  SSL_CTX *context;
  const char *mode;
  int port;
  bool nagle;
  char *request;
  size_t request_len;
  int64_t until_us;
} load;

typedef struct {
  pthread_t thread;
  uint32_t *samples; /* µs */
  unsigned n, failed;
  uint64_t deltas, alone;
} Client;

static int64_t
now_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static SSL *
dial(void)
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)load.port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  SSL *ssl;

  if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
    close(fd);
    return NULL;
  }
  if (!load.nagle)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ssl = SSL_new(load.context);
  SSL_set_fd(ssl, fd);
  SSL_set_tlsext_host_name(ssl, "localhost");
  SSL_set1_host(ssl, "localhost");
  if (SSL_connect(ssl) == 1)
    return ssl;
  ERR_print_errors_fp(stderr);
  SSL_free(ssl);
  close(fd);
  return NULL;
}

static void
hang_up(SSL *ssl)
{
  int fd;

  if (!ssl)
    return;
  fd = SSL_get_fd(ssl);
  SSL_free(ssl);
  close(fd);
}

static unsigned
occurrences(const char *bytes, size_t len, const char *what)
{
  size_t size = strlen(what);
  unsigned n = 0;
  const char *at = bytes, *end = bytes + len;

  while ((at = memmem(at, (size_t)(end - at), what, size))) {
    n++;
    at += size;
  }
  return n;
}

/* Reads one answer to its end: Content-Length, or the last chunk. */
static bool
read_answer(SSL *ssl, Client *client)
{
  static __thread char buffer[READ_BYTES + 1];
  char tail[8] = "";
  size_t have = 0, wanted = 0;
  bool head = true, chunked = false;

  for (;;) {
    int n = SSL_read(
        ssl, buffer + (head ? have : 0), (int)(READ_BYTES - (head ? have : 0)));
    char *body;
    unsigned deltas;

    if (n <= 0)
      return false;
    deltas = occurrences(buffer + (head ? have : 0), (size_t)n, "data: {");
    client->deltas += deltas;
    client->alone += deltas == 1;
    if (head) {
      const char *length;

      have += (size_t)n;
      buffer[have] = '\0';
      body = strstr(buffer, "\r\n\r\n");
      if (!body)
        continue;
      head = false;
      if (strncmp(buffer, "HTTP/1.1 200", 12) != 0)
        return false;
      length = strcasestr(buffer, "content-length:");
      chunked = !length || length > body;
      wanted = chunked ? 0 : strtoul(length + 15, NULL, 10);
      have -= (size_t)(body + 4 - buffer);
      memmove(buffer, body + 4, have);
      n = (int)have;
    } else {
      have += (size_t)n;
    }
    if (!chunked && have >= wanted)
      return true;
    if (chunked && n > 0) {
      size_t keep = n < 7 ? (size_t)n : 7;

      memmove(tail, tail + keep, sizeof tail - 1 - keep);
      memcpy(tail + 7 - keep, buffer + n - keep, keep);
      if (memcmp(tail + 2, "0\r\n\r\n", 5) == 0 ||
          memcmp(tail, "\r\n0\r\n\r\n", 7) == 0)
        return true;
    }
  }
}

static void *
run(void *data)
{
  Client *client = data;
  bool connects = strcmp(load.mode, "connect") == 0;
  SSL *ssl = NULL;

  while (now_us() < load.until_us && client->n < MAX_SAMPLES) {
    int64_t began = now_us();

    if (!ssl)
      ssl = dial();
    if (ssl &&
        SSL_write(ssl, load.request, (int)load.request_len) ==
            (int)load.request_len &&
        read_answer(ssl, client)) {
      client->samples[client->n++] = (uint32_t)(now_us() - began);
      if (!connects)
        continue;
    } else {
      client->failed++;
    }
    hang_up(ssl);
    ssl = NULL;
  }
  hang_up(ssl);
  return NULL;
}

static int
ascending(const void *a, const void *b)
{
  const uint32_t *left = a, *right = b;

  return *left < *right ? -1 : *left > *right;
}

/* A chat request of 32 KiB, without anything to find. */
static void
make_request(void)
{
  static const char words[] = "the quick brown fox jumps over the lazy dog, ";
  bool paced = strcmp(load.mode, "paced") == 0;
  bool sse = paced || strcmp(load.mode, "sse") == 0;
  size_t room = BODY_BYTES + 1024, len;
  char *body = malloc(room);

  len = (size_t)snprintf(body,
                         room,
                         "{\"model\":\"gpt-4.1\",\"stream\":%s,%s\"messages\":"
                         "[{\"role\":\"user\",\"content\":\"",
                         sse ? "true" : "false",
                         paced ? "\"paced\":true," : "");
  while (len < BODY_BYTES) {
    memcpy(body + len, words, sizeof words - 1);
    len += sizeof words - 1;
  }
  len += (size_t)sprintf(body + len, "\"}]}");
  load.request = malloc(len + 1024);
  load.request_len = (size_t)sprintf(load.request,
                                     "POST /chat/completions HTTP/1.1\r\n"
                                     "Host: localhost:%d\r\n"
                                     "Content-Type: application/json\r\n"
                                     "Authorization: Bearer none\r\n"
                                     "Content-Length: %zu\r\n\r\n",
                                     load.port,
                                     len);
  memcpy(load.request + load.request_len, body, len);
  load.request_len += len;
  free(body);
}

static void
report(Client *clients, unsigned n, double seconds)
{
  uint64_t total = 0, failed = 0, deltas = 0, alone = 0, at = 0;
  uint32_t *all;

  for (unsigned i = 0; i < n; i++) {
    total += clients[i].n;
    failed += clients[i].failed;
    deltas += clients[i].deltas;
    alone += clients[i].alone;
  }
  all = calloc(total + 1, sizeof *all);
  for (unsigned i = 0; i < n; i++) {
    memcpy(all + at, clients[i].samples, clients[i].n * sizeof *all);
    at += clients[i].n;
  }
  qsort(all, total, sizeof *all, ascending);
  printf("{\"requests\":%lu,\"per_second\":%.0f,\"p50_us\":%u,\"p99_us\":%u,"
         "\"deltas\":%lu,\"alone\":%lu,\"failed\":%lu}\n",
         (unsigned long)total,
         (double)total / seconds,
         total ? all[total / 2] : 0,
         total ? all[total * 99 / 100] : 0,
         (unsigned long)deltas,
         (unsigned long)alone,
         (unsigned long)failed);
  free(all);
}

int
main(int argc, char **argv)
{
  unsigned n;
  double seconds;
  Client *clients;

  if (argc < 6) {
    fprintf(stderr,
            "usage: load PORT CA_FILE CLIENTS SECONDS "
            "json|sse|paced|connect [nagle]\n");
    return 2;
  }
  load.port = atoi(argv[1]);
  n = (unsigned)atoi(argv[3]);
  seconds = atof(argv[4]);
  load.mode = argv[5];
  load.nagle = argc > 6;
  load.context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(load.context, SSL_VERIFY_PEER, NULL);
  if (SSL_CTX_load_verify_locations(load.context, argv[2], NULL) != 1) {
    fprintf(stderr, "load: %s cannot be read\n", argv[2]);
    return 2;
  }
  make_request();
  clients = calloc(n, sizeof *clients);
  load.until_us = now_us() + (int64_t)(seconds * 1e6);
  for (unsigned i = 0; i < n; i++) {
    clients[i].samples = malloc(MAX_SAMPLES * sizeof(uint32_t));
    pthread_create(&clients[i].thread, NULL, run, &clients[i]);
  }
  for (unsigned i = 0; i < n; i++)
    pthread_join(clients[i].thread, NULL);
  report(clients, n, seconds);
  return 0;
}
