/* SPDX-License-Identifier: Apache-2.0 */
/* An accepted socket before it is an HTTP connection: who is it, and what does
 * its first byte say: TLS, CONNECT, or plain HTTP. */
#include "front/state.h"
#include "kit/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS_HANDSHAKE 0x16 /* first byte of a TLS record with a hello */
/* How long and how much a client may go on sending after it was refused. */
#define LINGER_MS 2000
#define LINGER_MAX ((size_t)1 << 20)
/* Another user who knocks without end must not fill the journal: one row in
 * this time, which counts the others. */
#define STRANGER_ROW_US G_USEC_PER_SEC

static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";

struct knock {
  Front *front;
  int fd;
  LoopWatch *watch;
  LoopTimer *timer;
  Caller *caller;
  bool connected;     /* a CONNECT was answered */
  char *connect_host; /* inside a CONNECT to a governed host: host[:port] */
  char *fallback;     /* the leaf's name without SNI */
  bool hangup;        /* the client says no more */
  bool refused;       /* what still comes is dropped */
  size_t dropped;
};

void
knock_free(Knock *knock)
{
  Front *front = knock->front;

  g_hash_table_remove(front->knocks, knock);
  loop_watch_free(knock->watch);
  loop_timer_free(knock->timer);
  if (knock->fd >= 0)
    close(knock->fd);
  caller_unref(knock->caller);
  g_free(knock->connect_host);
  g_free(knock->fallback);
  g_free(knock);
  front_make_room(front);
}

/* ---- Refusals
 * ------------------------------------------------------------ */

static const char *
phrase_of(int status)
{
  switch (status) {
  case 408:
    return "Request Timeout";
  case 431:
    return "Request Header Fields Too Large";
  case 501:
    return "Not Implemented";
  case 505:
    return "HTTP Version Not Supported";
  default:
    return "Bad Request";
  }
}

/* A short answer in the clear. The socket has room for it: nothing was written
 * before but the few bytes that answer a CONNECT. */
static bool
say(Knock *knock, int status, const char *message)
{
  g_autofree char *body =
      http_error_body(API_OTHER, status, "refused", message);
  g_autofree char *id = http_request_id_new();
  g_autofree char *answer = g_strdup_printf("HTTP/1.1 %d %s\r\n"
                                            "Content-Type: application/json\r\n"
                                            "Content-Length: %zu\r\n"
                                            "x-github-request-id: %s\r\n"
                                            "Connection: close\r\n\r\n%s",
                                            status,
                                            phrase_of(status),
                                            strlen(body),
                                            id,
                                            body);
  size_t len = strlen(answer);

  return send(knock->fd, answer, len, MSG_NOSIGNAL) == (ssize_t)len &&
         shutdown(knock->fd, SHUT_WR) == 0;
}

/* Unread input would turn the close into a reset that overtakes the answer:
 * drops it until the client closes, or says too much. */
static void
drop(Knock *knock)
{
  char bytes[4096];
  ssize_t n;

  do {
    n = recv(knock->fd, bytes, sizeof bytes, 0);
    knock->dropped += n > 0 ? (size_t)n : 0;
  } while (n > 0 && knock->dropped <= LINGER_MAX);
  if (n >= 0 || (errno != EAGAIN && errno != EINTR))
    knock_free(knock);
}

static void
refuse(Knock *knock,
       int status,
       const char *host,
       const char *method,
       const char *message)
{
  exchange_record_refused(
      knock->front->env, knock->caller, host, method, NULL, status, message);
  knock->refused = true;
  if (!say(knock, status, message)) {
    knock_free(knock); /* the client left: nobody reads it */
    return;
  }
  loop_timer_set(knock->timer, LINGER_MS);
  drop(knock);
}

/* Refuses a client that waits for TLS: it would read no words of ours. */
static void
turn_away(Knock *knock, const char *message)
{
  exchange_record_refused(knock->front->env,
                          knock->caller,
                          knock->connect_host,
                          NULL,
                          NULL,
                          0,
                          message);
  knock_free(knock);
}

static void
too_slow(void *data)
{
  static const char message[] =
      "nothing that can be answered came within [limits] first-byte-timeout";
  Knock *knock = data;
  char byte;

  if (knock->refused)
    knock_free(knock);
  else if (!knock->connected && recv(knock->fd, &byte, 1, MSG_PEEK) == 1)
    refuse(knock, 408, NULL, NULL, message); /* half a CONNECT */
  else
    turn_away(knock, message);
}

/* ---- What comes in
 * -------------------------------------------------------------- */

static void
become_http(Knock *knock, SSL_CTX *context)
{
  int fd = knock->fd;

  knock->fd = -1;
  loop_watch_free(g_steal_pointer(&knock->watch));
  client_begin(knock->front, fd, context, knock->caller, knock->connect_host);
  knock_free(knock);
}

static void
become_tls(Knock *knock)
{
  g_autoptr(GError) error = NULL;
  SSL_CTX *context =
      leaves_context(knock->front->leaves, knock->fallback, &error);

  if (context)
    become_http(knock, context);
  else
    turn_away(knock, error->message);
}

static void
plain(Knock *knock)
{
  if (knock->connect_host)
    refuse(knock,
           400,
           knock->connect_host,
           NULL,
           "plain HTTP inside a CONNECT to a governed host is refused: use "
           "https");
  else if (!knock->front->options.plain_base_url)
    refuse(knock,
           400,
           NULL,
           NULL,
           "this port speaks TLS and CONNECT: use https://, or set [listen] "
           "plain-base-url=true");
  else
    become_http(knock, NULL);
}

static void
tunnel(Knock *knock, const char *host, uint16_t port)
{
  int fd = knock->fd;

  knock->fd = -1;
  loop_watch_free(g_steal_pointer(&knock->watch));
  knock->front->n_tunnels++;
  exchange_tunnel(knock->front->env,
                  fd,
                  host,
                  port,
                  knock->caller,
                  front_tunnel_ended,
                  knock->front);
  knock_free(knock);
}

/* The connection goes on as if it had been made to us directly, or with the
 * governed host's name on it. */
static void
accept_connect(Knock *knock, char *connect_host, const char *fallback)
{
  ssize_t sent =
      send(knock->fd, established, sizeof established - 1, MSG_NOSIGNAL);

  knock->connected = true;
  knock->connect_host = connect_host;
  g_free(knock->fallback);
  knock->fallback = g_strdup(fallback);
  if (sent != (ssize_t)sizeof established - 1)
    knock_free(knock);
  else
    knock_look(knock);
}

/* An address that leads back to this machine, however it is written. */
static bool
is_loopback(const char *host)
{
  struct in6_addr v6;
  struct in_addr v4;

  if (inet_pton(AF_INET, host, &v4) == 1)
    return ntohl(v4.s_addr) >> 24 == 127 || v4.s_addr == INADDR_ANY;
  if (inet_pton(AF_INET6, host, &v6) == 1)
    return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6) ||
           (IN6_IS_ADDR_V4MAPPED(&v6) &&
            (v6.s6_addr[12] == 127 || v6.s6_addr[12] == 0));
  return g_str_equal(host, "localhost") || g_str_has_suffix(host, ".localhost");
}

static void
connect_to(Knock *knock, const char *host, uint16_t port)
{
  ConnTable *conns = exchange_env_conns(knock->front->env);

  if (knock->connected) {
    refuse(knock, 400, host, "CONNECT", "a CONNECT in a CONNECT");
  } else if (port == front_port(knock->front) && is_loopback(host)) {
    /* Clients with a proxy set send loopback base URLs through it too. */
    if (ca_covers(knock->front->ca, host))
      accept_connect(knock, NULL, host);
    else
      refuse(knock,
             400,
             host,
             "CONNECT",
             "that is hoop-agent itself: name it 127.0.0.1");
  } else if (conn_for_host(conns, host, port)) {
    accept_connect(knock,
                   port == 443 ? g_strdup(host)
                               : g_strdup_printf("%s:%u", host, port),
                   host);
  } else {
    tunnel(knock, host, port);
  }
}

/* host:port; an IPv6 address stands in brackets (RFC 9112 section 3.2.3). The
 * dot that ends a name in DNS makes it no other host. */
bool
split_authority(const char *authority, char **host, uint16_t *port)
{
  const char *colon = strrchr(authority, ':');
  size_t len = colon ? (size_t)(colon - authority) : 0;
  uint64_t number;

  if (!colon || !len ||
      !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &number, NULL))
    return false;
  if (authority[0] == '[' && authority[len - 1] == ']' && len > 2)
    *host = g_strndup(authority + 1, len - 2);
  else if (authority[0] != '[' && !memchr(authority, ':', len))
    *host = g_strndup(authority, len - (len > 1 && colon[-1] == '.'));
  else
    return false;
  *port = (uint16_t)number;
  return true;
}

/* The whole head must be there before any of it is taken from the socket. */
static void
read_connect(Knock *knock, const uint8_t *bytes, size_t len)
{
  g_autoptr(HttpRequest) request = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *host = NULL;
  g_autofree uint8_t *taken = NULL;
  uint16_t port = 0;
  size_t consumed = 0;

  if (!http_request_parse(bytes,
                          len,
                          knock->front->options.http.max_head,
                          &request,
                          &consumed,
                          &error)) {
    refuse(knock, http_error_status(error), NULL, "CONNECT", error->message);
    return;
  }
  if (!request) {
    if (knock->hangup)
      knock_free(knock); /* what is missing will not come */
    return;
  }
  taken = g_malloc(consumed);
  if (recv(knock->fd, taken, consumed, 0) != (ssize_t)consumed ||
      !split_authority(request->authority, &host, &port)) {
    refuse(knock, 400, NULL, "CONNECT", "CONNECT names no HOST:PORT");
    return;
  }
  connect_to(knock, host, port);
}

void
knock_look(Knock *knock)
{
  static const char word[] = "CONNECT ";
  size_t max = knock->front->options.http.max_head + 1;
  g_autofree uint8_t *bytes = g_malloc(max);
  ssize_t len = recv(knock->fd, bytes, max, MSG_PEEK);
  size_t n;

  if (len < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (len <= 0) {
    knock_free(knock);
    return;
  }
  n = MIN((size_t)len, sizeof word - 1);
  if (bytes[0] == TLS_HANDSHAKE)
    become_tls(knock);
  else if (memcmp(bytes, word, n) != 0)
    plain(knock);
  else if (n == sizeof word - 1)
    read_connect(knock, bytes, (size_t)len);
  else if (knock->hangup)
    knock_free(knock);
}

static void
ready(uint32_t events, void *data)
{
  Knock *knock = data;

  if (events & (EPOLLERR | EPOLLHUP)) {
    knock_free(knock);
    return;
  }
  knock->hangup = knock->hangup || (events & EPOLLRDHUP) != 0;
  if (knock->refused)
    drop(knock);
  else
    knock_look(knock);
}

/* ---- Who it is
 * -------------------------------------------------------------------- */

static void
record_stranger(Knock *knock, const char *why)
{
  Front *front = knock->front;
  int64_t now_us = loop_now_us(front->loop);
  g_autofree char *text = NULL;

  if (now_us < front->strangers_until_us) {
    front->n_strangers++;
    return;
  }
  if (front->n_strangers)
    text = g_strdup_printf(
        "%s (and %u more since the last such row)", why, front->n_strangers);
  exchange_record_refused(
      front->env, knock->caller, NULL, NULL, NULL, 0, text ? text : why);
  front->strangers_until_us = now_us + STRANGER_ROW_US;
  front->n_strangers = 0;
}

static bool
identify(Knock *knock)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *why = NULL;
  PeerId peer;

  if (!peers_identify(knock->front->peers, knock->fd, &peer, &error)) {
    knock->caller = caller_new((uid_t)-1);
    record_stranger(knock, error->message);
    return false;
  }
  knock->caller = caller_new(peer.uid);
  if (peer.uid == getuid()) {
    lookups_add(knock->front->lookups, &peer, knock->caller);
    return true;
  }
  why = g_strdup_printf("user id %u is not this agent's owner",
                        (unsigned)peer.uid);
  record_stranger(knock, why);
  return false;
}

/* A client without SNI asked for the address that it reached. */
static char *
local_name(int fd)
{
  struct sockaddr_storage address = {0};
  socklen_t len = sizeof address;

  getsockname(fd, (struct sockaddr *)&address, &len);
  if (address.ss_family == AF_INET6 &&
      IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&address)->sin6_addr))
    return g_strdup("::1");
  return g_strdup(address.ss_family == AF_UNIX ? "localhost" : "127.0.0.1");
}

void
knock_begin(Front *front, int fd)
{
  Knock *knock = g_new0(Knock, 1);

  knock->front = front;
  knock->fd = fd;
  knock->fallback = local_name(fd);
  g_hash_table_add(front->knocks, knock);
  if (!identify(knock)) {
    knock_free(knock);
    return;
  }
  /* Edge triggered: what is only peeked at stays in the socket. */
  knock->watch = loop_watch_new(
      front->loop, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, ready, knock);
  knock->timer = loop_timer_new(front->loop, too_slow, knock);
  loop_timer_set(knock->timer,
                 1000 * (int64_t)front->options.http.first_byte_timeout);
  if (!knock->watch)
    knock_free(knock);
}
