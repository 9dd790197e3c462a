/* SPDX-License-Identifier: Apache-2.0 */
/* The played exchanges, the door's fixture and the visitors' bytes. */
#include "tests/unit/front-door.h"
#include "tests/unit/folder.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- What stands behind the door
 * ------------------------------------------------------------- */

struct exchange_env {
  Door *door;
};

struct exchange {
  Door *door;
  HttpConn *conn;
  HttpRequest *request;
  char *seen;
  LoopFunc ended;
  void *data;
};

ConnTable *
exchange_env_conns(ExchangeEnv *env)
{
  return env->door->conns;
}

Caller *
caller_new(uid_t uid)
{
  Caller *caller = g_new0(Caller, 1);

  *caller = (Caller){.refs = 1, .uid = uid, .pid = -1};
  return caller;
}

Caller *
caller_ref(Caller *caller)
{
  caller->refs++;
  return caller;
}

void
caller_unref(Caller *caller)
{
  if (!caller || --caller->refs)
    return;
  g_strfreev(caller->processes);
  g_free(caller);
}

void
caller_resolve(Caller *caller, int64_t pid, char **processes)
{
  caller->resolved = true;
  caller->pid = pid;
  g_strfreev(caller->processes);
  caller->processes = processes;
}

/* Answers, once the body is there, with what it was told. */
Exchange *
exchange_begin(ExchangeEnv *env,
               HttpConn *conn,
               HttpRequest *request,
               const Arrival *arrival,
               LoopFunc ended,
               void *data)
{
  Exchange *exchange = g_new0(Exchange, 1);

  env->door->begun++;
  exchange->door = env->door;
  exchange->conn = conn;
  exchange->request = request;
  exchange->ended = ended;
  exchange->data = data;
  exchange->seen =
      g_strdup_printf("connection=%s connect=%s path=%s uid=%u tls=%d",
                      connection_name(arrival->connection),
                      arrival->connect_host ? arrival->connect_host : "-",
                      arrival->path,
                      (unsigned)arrival->caller->uid,
                      http_conn_is_tls(conn));
  http_conn_read_body(conn);
  return exchange;
}

void
exchange_body(Exchange *exchange, const uint8_t *bytes, size_t len)
{
  (void)exchange;
  (void)bytes;
  (void)len;
}

void
exchange_body_end(Exchange *exchange)
{
  http_conn_reply(exchange->conn,
                  200,
                  NULL,
                  "text/plain",
                  exchange->seen,
                  strlen(exchange->seen));
}

void
exchange_writable(Exchange *exchange)
{
  (void)exchange;
}

static void
exchange_drop(Exchange *exchange)
{
  http_request_free(exchange->request);
  g_free(exchange->seen);
  g_free(exchange);
}

void
exchange_finished(Exchange *exchange)
{
  LoopFunc ended = exchange->ended;
  void *data = exchange->data;

  exchange_drop(exchange);
  ended(data);
}

void
exchange_closed(Exchange *exchange, const char *why)
{
  (void)why;
  exchange_drop(exchange);
}

void
exchange_record_refused(ExchangeEnv *env,
                        const Caller *caller,
                        const char *host,
                        const char *method,
                        const char *path,
                        int status,
                        const char *why)
{
  Refused *refused = g_new0(Refused, 1);

  g_assert_nonnull(why);
  refused->uid = caller->uid;
  refused->host = g_strdup(host);
  refused->method = g_strdup(method);
  refused->path = g_strdup(path);
  refused->status = status;
  refused->why = g_strdup(why);
  g_ptr_array_add(env->door->refused, refused);
}

void
exchange_tunnel(ExchangeEnv *env,
                int fd,
                const char *host,
                uint16_t port,
                Caller *caller,
                LoopFunc ended,
                void *data)
{
  Tunnel *tunnel = g_new0(Tunnel, 1);

  (void)caller;
  *tunnel = (Tunnel){fd, g_strdup(host), port, ended, data};
  g_ptr_array_add(env->door->tunnels, tunnel);
}

static void
refused_free(void *data)
{
  Refused *refused = data;

  g_free(refused->host);
  g_free(refused->method);
  g_free(refused->path);
  g_free(refused->why);
  g_free(refused);
}

static void
tunnel_free(void *data)
{
  Tunnel *tunnel = data;

  close(tunnel->fd);
  tunnel->ended(tunnel->data);
  g_free(tunnel->host);
  g_free(tunnel);
}

/* ---- The door
 * ----------------------------------------------------------------------------
 */

FrontOptions
door_options(void)
{
  return (FrontOptions){.address = "127.0.0.1",
                        .connections = 64,
                        .http = {.max_head = 8192,
                                 .first_byte_timeout = 60,
                                 .idle_timeout = 60,
                                 .high_water = 65536}};
}

static ConnTable *
load_connections(Door *door, const char *text)
{
  g_autofree char *path = g_build_filename(door->dir, "agent.conf", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) config = NULL;
  ConnTable *conns;

  g_assert_true(g_file_set_contents(path, text ? text : "", -1, NULL));
  config = config_load(path, &error);
  g_assert_no_error(error);
  conns = conn_table_new(config, &error);
  g_assert_no_error(error);
  return conns;
}

Door *
door_new(const FrontOptions *options, const char *config)
{
  static const char *const usual[] = {"githubcopilot.com", NULL};
  FrontOptions defaults = door_options();
  g_autoptr(GError) error = NULL;
  Door *door = g_new0(Door, 1);

  signal(SIGPIPE, SIG_IGN); /* as every program does that opens a door */
  door->dir = g_dir_make_tmp("hoop-door-XXXXXX", NULL);
  door->loop = loop_new(NULL);
  door->workers = worker_pool_new(1, 64);
  door->refused = g_ptr_array_new_with_free_func(refused_free);
  door->tunnels = g_ptr_array_new_with_free_func(tunnel_free);
  door->conns = load_connections(door, config);
  door->ca = ca_load_or_create(door->dir, door->dir, usual, &error);
  g_assert_no_error(error);
  door->env = g_new0(ExchangeEnv, 1);
  door->env->door = door;
  door->front = front_new(door->loop,
                          door->workers,
                          door->ca,
                          options ? options : &defaults,
                          &error);
  g_assert_no_error(error);
  front_start(door->front, door->env);
  return door;
}

void
door_free(Door *door)
{
  if (!door)
    return;
  g_ptr_array_unref(door->tunnels); /* ends them */
  front_free(door->front);
  worker_pool_free(door->workers);
  loop_iterate(door->loop, 0);
  conn_table_free(door->conns);
  ca_free(door->ca);
  loop_free(door->loop);
  g_ptr_array_unref(door->refused);
  remove_folder(door->dir);
  g_free(door->dir);
  g_free(door->env);
  g_free(door);
}

char *
door_refusal(Door *door)
{
  const Refused *refused;
  char *why;

  if (!door->refused->len)
    return NULL;
  g_assert_cmpuint(door->refused->len, ==, 1);
  refused = door->refused->pdata[0];
  why = g_strdup(refused->why);
  g_ptr_array_set_size(door->refused, 0);
  return why;
}

void
door_assert_refused(Door *door, const char *words)
{
  g_autofree char *why = door_refusal(door);

  if (!why || !strstr(why, words))
    g_error("\"%s\" in \"%s\"", words, why);
}

void
door_end_tunnel(Door *door)
{
  g_ptr_array_remove_index(door->tunnels, 0);
}

/* ---- Visitors
 * ------------------------------------------------------------------------------
 */

Visitor *
visitor_over(Door *door, int fd)
{
  Visitor *visitor = g_new0(Visitor, 1);

  g_assert_cmpint(fd, >=, 0);
  g_assert_cmpint(fcntl(fd, F_SETFL, O_NONBLOCK), ==, 0);
  visitor->door = door;
  visitor->fd = fd;
  visitor->got = g_string_new(NULL);
  return visitor;
}

Visitor *
visitor_new(Door *door)
{
  struct sockaddr_in at = {.sin_family = AF_INET,
                           .sin_port = htons(front_port(door->front)),
                           .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

  g_assert_cmpint(connect(fd, (void *)&at, sizeof at), ==, 0);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return visitor_over(door, fd);
}

void
visitor_free(Visitor *visitor)
{
  if (!visitor)
    return;
  SSL_free(visitor->ssl);
  SSL_CTX_free(visitor->context);
  if (visitor->fd >= 0)
    close(visitor->fd);
  g_string_free(visitor->got, TRUE);
  g_free(visitor->tls_why);
  g_free(visitor);
}

static void
note_tls(Visitor *visitor, int returned)
{
  int kind = SSL_get_error(visitor->ssl, returned);

  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE)
    return;
  visitor->eof = true;
  if (kind == SSL_ERROR_SSL && !visitor->tls_why)
    visitor->tls_why = g_strdup(ERR_reason_error_string(ERR_peek_error()));
  else if (kind == SSL_ERROR_SYSCALL)
    visitor->reset = errno == ECONNRESET;
}

static void
read_tls(Visitor *visitor)
{
  char bytes[16384];
  int n;

  for (;;) {
    ERR_clear_error();
    n = SSL_read(visitor->ssl, bytes, sizeof bytes);
    if (n <= 0) {
      note_tls(visitor, n);
      return;
    }
    g_string_append_len(visitor->got, bytes, n);
  }
}

void
visitor_turn(Visitor *visitor)
{
  char bytes[16384];
  ssize_t n;

  loop_iterate(visitor->door->loop, 2);
  if (visitor->eof)
    return;
  if (visitor->ssl) {
    read_tls(visitor);
    return;
  }
  while ((n = recv(visitor->fd, bytes, sizeof bytes, 0)) > 0)
    g_string_append_len(visitor->got, bytes, n);
  visitor->eof = n == 0 || errno != EAGAIN;
  visitor->reset = n < 0 && errno == ECONNRESET;
}

static ssize_t
push(Visitor *visitor, const char *bytes, size_t len)
{
  int n;

  if (!visitor->ssl)
    return send(visitor->fd, bytes, len, MSG_NOSIGNAL);
  ERR_clear_error();
  n = SSL_write(visitor->ssl, bytes, (int)len);
  if (n <= 0)
    errno =
        SSL_get_error(visitor->ssl, n) == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
  return n;
}

void
visitor_write_len(Visitor *visitor, const void *bytes, size_t len)
{
  const char *at = bytes;

  while (len) {
    ssize_t n = push(visitor, at, len);

    if (n > 0) {
      at += n;
      len -= (size_t)n;
    } else if (errno != EAGAIN || visitor->eof) {
      return;
    } else {
      visitor_turn(visitor);
    }
  }
}

void
visitor_write(Visitor *visitor, const char *text)
{
  visitor_write_len(visitor, text, strlen(text));
}

void
visitor_print(Visitor *visitor, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  visitor_write(visitor, text);
}

void
visitor_ask(Visitor *visitor, const char *host)
{
  g_string_truncate(visitor->got, 0);
  visitor_print(visitor, "GET /models HTTP/1.1\r\nHost: %s\r\n\r\n", host);
}

void
visitor_ask_here(Visitor *visitor)
{
  g_autofree char *host =
      g_strdup_printf("127.0.0.1:%u", front_port(visitor->door->front));

  visitor_ask(visitor, host);
}

/* The hello is made in memory, so that it can share a segment with `first`. */
static void
send_hello(Visitor *visitor, const char *first)
{
  BIO *out = BIO_new(BIO_s_mem());
  g_autoptr(GByteArray) both = g_byte_array_new();
  char *bytes;
  long len;

  SSL_set0_wbio(visitor->ssl, out);
  SSL_set0_rbio(visitor->ssl, BIO_new(BIO_s_mem()));
  SSL_do_handshake(visitor->ssl);
  len = BIO_get_mem_data(out, &bytes);
  g_byte_array_append(both, (const uint8_t *)first, (guint)strlen(first));
  g_byte_array_append(both, (const uint8_t *)bytes, (guint)len);
  g_assert_cmpint(
      send(visitor->fd, both->data, both->len, MSG_NOSIGNAL), ==, both->len);
}

/* The answer to what came before TLS, byte by byte so that no more is taken. */
static void
skip_answer(Visitor *visitor)
{
  int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
  char byte;

  while (!g_str_has_suffix(visitor->got->str, "\r\n\r\n")) {
    g_assert_cmpint(g_get_monotonic_time(), <, end);
    if (recv(visitor->fd, &byte, 1, 0) == 1)
      g_string_append_c(visitor->got, byte);
    else
      loop_iterate(visitor->door->loop, 2);
  }
}

void
visitor_tls(Visitor *visitor, const char *sni, const char *first)
{
  visitor->context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(visitor->context, SSL_VERIFY_PEER, NULL);
  g_assert_true(SSL_CTX_load_verify_locations(
      visitor->context, ca_path(visitor->door->ca), NULL));
  visitor->ssl = SSL_new(visitor->context);
  SSL_set_mode(visitor->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE);
  if (sni)
    SSL_set_tlsext_host_name(visitor->ssl, sni);
  SSL_set_connect_state(visitor->ssl);
  if (first) {
    SSL *ssl = visitor->ssl;

    send_hello(visitor, first);
    visitor->ssl = NULL;
    skip_answer(visitor);
    visitor->ssl = ssl;
  }
  SSL_set_fd(visitor->ssl, visitor->fd);
  g_string_truncate(visitor->got, 0);
  visitor_until(visitor, SSL_is_init_finished(visitor->ssl) || visitor->eof);
}

int
visitor_connect(Visitor *visitor, const char *authority)
{
  int status;

  visitor_print(
      visitor, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", authority, authority);
  visitor_until(visitor, strstr(visitor->got->str, "\r\n\r\n") || visitor->eof);
  status = visitor_status(visitor);
  if (status == 200)
    g_string_truncate(visitor->got, 0);
  return status;
}

int
visitor_status(const Visitor *visitor)
{
  return g_str_has_prefix(visitor->got->str, "HTTP/1.1 ")
             ? atoi(visitor->got->str + 9)
             : 0;
}

static bool
is_whole(const Visitor *visitor)
{
  const char *text = visitor->got->str;
  const char *end = strstr(text, "\r\n\r\n");
  const char *length = strstr(text, "Content-Length: ");

  return end && length && length < end &&
         strlen(end + 4) >= (size_t)atoi(length + 16);
}

int
visitor_answer(Visitor *visitor)
{
  visitor_until(visitor, is_whole(visitor) || visitor->eof);
  return is_whole(visitor) ? visitor_status(visitor) : 0;
}

void
visitor_assert_served(Visitor *visitor, const char *words)
{
  if (visitor->tls_why)
    g_error("%s", visitor->tls_why);
  g_assert_cmpint(visitor_answer(visitor), ==, 200);
  if (!strstr(visitor->got->str, words))
    g_error("\"%s\" in \"%s\"", words, visitor->got->str);
  g_assert_cmpuint(visitor->door->refused->len, ==, 0);
}
