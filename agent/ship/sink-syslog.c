/* SPDX-License-Identifier: Apache-2.0 */
/* Syslog over TLS (RFC 5425): one connection that stays, frames written by the
 * worker. Syslog acknowledges nothing: what the receiver's TCP has is taken
 * for delivered. */
#include "ship/sink.h"

#include "kit/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* RFC 5425 section 4.1. */
#define DEFAULT_PORT "6514"
/* For connecting, and for each batch until the receiver's TCP has it. */
#define CONNECT_MS 10000
#define DELIVER_MS 30000
/* How often a stop is looked for. */
#define SLICE_MS 100
/* How soon bytes that left are looked for again. */
#define ACK_MS 5

typedef struct {
  BlockingSink block;
  char *host, *port;
  char *where; /* HOST:PORT, for messages */
  UpstreamTls *tls;
  SSL_CTX *ctx;
  SSL *ssl; /* NULL: not connected */
  int fd;
} SyslogSink;

static bool
stopping(SyslogSink *syslog)
{
  return atomic_load(&syslog->block.stopping);
}

static void
disconnect(SyslogSink *syslog)
{
  SSL_free(syslog->ssl);
  SSL_CTX_free(syslog->ctx);
  if (syslog->fd >= 0)
    close(syslog->fd);
  syslog->ssl = NULL;
  syslog->ctx = NULL;
  syslog->fd = -1;
}

G_GNUC_PRINTF(3, 4)
static bool
later(SyslogSink *syslog, Sent *sent, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start(args, format);
  what = g_strdup_vprintf(format, args);
  va_end(args);
  sent->code = SENT_LATER;
  sent->message = g_strdup_printf("%s %s", syslog->where, what);
  disconnect(syslog);
  return false;
}

/* Until the socket is ready; false at the deadline and when all stops. */
static bool
wait_for(SyslogSink *syslog, short events, int64_t until_us)
{
  struct pollfd one = {.fd = syslog->fd, .events = events};

  while (!stopping(syslog) && clock_mono_us() < until_us) {
    const int n = poll(&one, 1, SLICE_MS);

    if (n > 0 || (n < 0 && errno != EINTR))
      return n > 0;
  }
  return false;
}

/* ---- Connecting ---------------------------------------------------------- */

static bool
connect_to(SyslogSink *syslog, const struct addrinfo *address, int64_t until)
{
  int failed = 0;
  socklen_t len = sizeof failed;

  syslog->fd =
      socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (syslog->fd < 0)
    return false;
  if (connect(syslog->fd, address->ai_addr, address->ai_addrlen) == 0)
    return true;
  failed = errno;
  if (failed == EINPROGRESS) {
    failed = ETIMEDOUT;
    if (wait_for(syslog, POLLOUT, until))
      getsockopt(syslog->fd, SOL_SOCKET, SO_ERROR, &failed, &len);
  }
  if (failed == 0)
    return true;
  close(syslog->fd);
  syslog->fd = -1;
  errno = failed;
  return false;
}

static bool
connect_any(SyslogSink *syslog, int64_t until, Sent *sent)
{
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                 .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *addresses = NULL;
  const int failed =
      getaddrinfo(syslog->host, syslog->port, &hints, &addresses);
  bool connected = false;

  if (failed != 0)
    return later(syslog,
                 sent,
                 "cannot be found ([ship] endpoint): %s",
                 gai_strerror(failed));
  errno = ETIMEDOUT;
  for (struct addrinfo *one = addresses; one && !connected; one = one->ai_next)
    connected = connect_to(syslog, one, until);
  freeaddrinfo(addresses);
  return connected ||
         later(syslog, sent, "cannot be connected to: %s", g_strerror(errno));
}

/* What SSL_do_handshake() and SSL_write() wait for; false when they failed. */
static bool
wait_for_tls(SyslogSink *syslog, int result, int64_t until)
{
  switch (SSL_get_error(syslog->ssl, result)) {
  case SSL_ERROR_WANT_READ:
    return wait_for(syslog, POLLIN, until);
  case SSL_ERROR_WANT_WRITE:
    return wait_for(syslog, POLLOUT, until);
  default:
    return false;
  }
}

static bool
shake_hands(SyslogSink *syslog, int64_t until, Sent *sent)
{
  g_autoptr(GError) error = NULL;
  int result;

  syslog->ctx = upstream_tls_context(syslog->tls, syslog->host, &error);
  if (!syslog->ctx)
    return later(syslog, sent, "cannot be used: %s", error->message);
  syslog->ssl = SSL_new(syslog->ctx);
  SSL_set_fd(syslog->ssl, syslog->fd);
  SSL_set_connect_state(syslog->ssl);
  SSL_set_tlsext_host_name(syslog->ssl, syslog->host);
  ERR_clear_error();
  while ((result = SSL_do_handshake(syslog->ssl)) != 1) {
    if (wait_for_tls(syslog, result, until))
      continue;
    error = upstream_tls_fault(syslog->ssl, syslog->where, "ship");
    later(syslog, sent, "refused");
    g_free(sent->message);
    sent->message = g_strdup(error->message);
    return false;
  }
  return true;
}

/* True while the receiver has not hung up; reads what it says, which is
 * nothing but TLS's own. */
static bool
is_open(SyslogSink *syslog)
{
  uint8_t bytes[256];
  int result;

  ERR_clear_error();
  result = SSL_read(syslog->ssl, bytes, sizeof bytes);
  return result > 0 ||
         SSL_get_error(syslog->ssl, result) == SSL_ERROR_WANT_READ;
}

static bool
be_connected(SyslogSink *syslog, Sent *sent)
{
  const int64_t until = clock_mono_us() + (int64_t)CONNECT_MS * 1000;

  if (syslog->ssl && is_open(syslog))
    return true;
  disconnect(syslog);
  return connect_any(syslog, until, sent) && shake_hands(syslog, until, sent);
}

/* ---- Delivering ---------------------------------------------------------- */

static bool
write_all(SyslogSink *syslog, const GString *text, int64_t until, Sent *sent)
{
  size_t done = 0;

  while (done < text->len) {
    size_t n = 0;
    int result;

    ERR_clear_error();
    result = SSL_write_ex(syslog->ssl, text->str + done, text->len - done, &n);
    if (result == 1)
      done += n;
    else if (!wait_for_tls(syslog, result, until))
      return later(syslog,
                   sent,
                   "took no more after %zu of %zu bytes; the batch is sent "
                   "again",
                   done,
                   text->len);
  }
  return true;
}

/* Until the receiver's TCP has every byte. */
static bool
wait_for_acks(SyslogSink *syslog, int64_t until, Sent *sent)
{
  int unacked = 1;

  while (ioctl(syslog->fd, SIOCOUTQ, &unacked) == 0 && unacked > 0 &&
         !stopping(syslog) && clock_mono_us() < until && is_open(syslog))
    g_usleep(ACK_MS * 1000);
  if (unacked == 0 && is_open(syslog))
    return true;
  return later(syslog, sent, "did not take all of a batch; it is sent again");
}

static void
syslog_deliver(Sink *sink, const GString *text, Sent *sent)
{
  SyslogSink *syslog = (SyslogSink *)sink;
  const int64_t until = clock_mono_us() + (int64_t)DELIVER_MS * 1000;

  if (be_connected(syslog, sent) && write_all(syslog, text, until, sent) &&
      wait_for_acks(syslog, until, sent))
    sent->code = SENT_TAKEN;
}

static void
syslog_free(Sink *sink)
{
  SyslogSink *syslog = (SyslogSink *)sink;

  sink_block_end(sink);
  if (syslog->ssl)
    SSL_shutdown(syslog->ssl);
  disconnect(syslog);
  upstream_tls_free(syslog->tls);
  g_free(syslog->host);
  g_free(syslog->port);
  g_free(syslog->where);
  g_free(syslog);
}

static const SinkType syslog_type = {.name = "syslog",
                                     .send = sink_block_send,
                                     .stop = sink_block_stop,
                                     .free = syslog_free};

/* HOST[:PORT], [IPv6][:PORT]. */
static bool
split(const char *endpoint, char **host, char **port)
{
  const char *end = *endpoint == '[' ? strchr(endpoint, ']') : NULL;
  const char *colon = strchr(end ? end : endpoint, ':');
  guint64 number;

  if (*endpoint == '[' && !end)
    return false;
  if (colon &&
      !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &number, NULL))
    return false;
  if (end && end + 1 != colon && end[1] != '\0')
    return false;
  *host = end ? g_strndup(endpoint + 1, (gsize)(end - endpoint) - 1)
              : g_strndup(endpoint,
                          colon ? (gsize)(colon - endpoint) : strlen(endpoint));
  *port = g_strdup(colon ? colon + 1 : DEFAULT_PORT);
  if (**host && !strpbrk(*host, "/?#@ \t\"'"))
    return true;
  g_clear_pointer(host, g_free);
  g_clear_pointer(port, g_free);
  return false;
}

bool
sink_syslog_check(const ShipOptions *options, GError **error)
{
  g_autofree char *host = NULL;
  g_autofree char *port = NULL;

  if (options->token_file) {
    g_set_error(error,
                SHIP_ERROR,
                SHIP_ERROR_CONFIG,
                "[ship] token-file=%s: syslog has no bearer tokens",
                options->token_file);
    return false;
  }
  if (split(options->endpoint, &host, &port))
    return true;
  g_set_error(error,
              SHIP_ERROR,
              SHIP_ERROR_CONFIG,
              "[ship] endpoint=%s: with format=syslog it takes HOST[:PORT]",
              options->endpoint);
  return false;
}

Sink *
sink_syslog_new(const SinkEnv *env, GError **error)
{
  SyslogSink *syslog = g_new0(SyslogSink, 1);

  syslog->block = (BlockingSink){.sink.type = &syslog_type,
                                 .loop = env->loop,
                                 .pool = env->pool,
                                 .format = SHIP_SYSLOG,
                                 .deliver = syslog_deliver};
  syslog->fd = -1;
  if (split(env->options->endpoint, &syslog->host, &syslog->port))
    syslog->where = g_strdup_printf("%s:%s", syslog->host, syslog->port);
  if (syslog->where)
    syslog->tls = upstream_tls_new(env->options->ca_file, error);
  if (syslog->tls)
    return &syslog->block.sink;
  syslog_free(&syslog->block.sink);
  return NULL;
}
