/* SPDX-License-Identifier: Apache-2.0 */
/* Blind tunnels to hosts that no connection governs: judged by policy's
 * `tunnels`, recorded before the first byte, then spliced both ways once what
 * the client says first is no TLS for a governed host. */
#include "exchange/tunnel.h"
#include "exchange/hello.h"
#include "exchange/splice.h"
#include "exchange/state.h"
#include "kit/clock.h"
#include "kit/json.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads of what a client sent before its CONNECT was answered. */
#define EARLY_READS 64
/* RFC 8446 section 6, RFC 6066 section 3. */
#define ALERT_DECODE_ERROR 50
#define ALERT_UNRECOGNIZED_NAME 112

typedef struct {
  unsigned refs; /* of the tunnel, of a row that is on its way */
  ExchangeEnv *env;
  int fd; /* the client's, until it is spliced */
  int spliced_fd;
  char *host;
  char *shown; /* the same as it may be recorded */
  uint16_t port;
  Caller *caller;
  const Person *person; /* whose it is to its end, or NULL */
  char id[EXCHANGE_ID_SIZE];
  int64_t began_us;
  UpstreamConnect *connect;
  Splice *splice;
  bool spoke, tls; /* what the client said first */
  Hello hello;
  char *why; /* it was refused */
  LoopFunc ended;
  void *data;
  bool over;
} Tunnel;

static void
unref(Tunnel *tunnel)
{
  if (--tunnel->refs)
    return;
  caller_unref(tunnel->caller);
  person_unref(tunnel->person);
  g_free(tunnel->host);
  g_free(tunnel->shown);
  g_free(tunnel->why);
  hello_clear(&tunnel->hello);
  g_free(tunnel);
}

static void
json_text(GString *out, const char *name, const char *value)
{
  g_string_append_printf(out, "%s\"%s\":\"", out->len > 1 ? "," : "", name);
  json_escape(out, value, -1);
  g_string_append_c(out, '"');
}

/* What was seen of the inside. */
static char *
detail(const Tunnel *tunnel)
{
  g_autoptr(GString) out = g_string_new("{");
  g_autofree char *name = head_shown(tunnel->env, tunnel->hello.name);

  if (tunnel->spoke)
    json_text(out, "inside", tunnel->tls ? "tls" : "other");
  if (name)
    json_text(out, "sni", name);
  else if (tunnel->tls && !tunnel->why)
    g_string_append(out, ",\"sni\":null");
  if (tunnel->hello.ech)
    g_string_append(out, ",\"ech\":true");
  if (tunnel->why)
    json_text(out, "why", tunnel->why);
  g_string_append_c(out, '}');
  return g_strdup(out->str);
}

static void
record(Tunnel *tunnel, const char *verdict, JournalDone done)
{
  ExchangeEnv *env = tunnel->env;
  const Person *person = tunnel->person;
  JournalRow *row = journal_row_new(ROW_TUNNEL);

  row->wall_us = clock_wall_us();
  row->exchange = g_strdup(tunnel->id);
  row->host = g_strdup_printf("%s:%u", tunnel->shown, tunnel->port);
  row->verdict = g_strdup(verdict);
  row->pid = tunnel->caller->pid;
  if (tunnel->caller->processes)
    row->process = g_strjoinv(" < ", tunnel->caller->processes);
  if (person) {
    row->user = g_strdup(person->user);
    row->issuer = g_strdup(person->issuer);
  }
  row->policy_revision = g_strdup(policy_revision(env->policy));
  if (tunnel->splice) {
    splice_bytes(tunnel->splice, &row->bytes_in, &row->bytes_out);
    row->duration_us = clock_mono_us() - tunnel->began_us;
    row->detail = detail(tunnel);
  }
  journal_append(env->journal, row, env->loop, done, tunnel);
}

/* The last that the client hears. */
static void
say_last(int fd, const void *bytes, size_t len)
{
  char early[4096];

  /* A client that does not take a few hundred bytes does not read them. */
  if (send(fd, bytes, len, MSG_NOSIGNAL) < 0)
    return;
  shutdown(fd, SHUT_WR);
  /* What it sent before it was told would turn the close into a reset. */
  for (unsigned i = 0; i < EARLY_READS; i++)
    if (recv(fd, early, sizeof early, 0) <= 0)
      return;
}

static void
answer(const Tunnel *tunnel, int status, const char *phrase, const char *why)
{
  g_autofree char *body =
      http_error_body(API_OTHER, status, "tunnel_refused", why);
  g_autofree char *id = http_request_id_new();
  g_autofree char *head =
      g_strdup_printf("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"
                      "Content-Length: %zu\r\nx-github-request-id: %s\r\n"
                      "Connection: close\r\n\r\n%s",
                      status,
                      phrase,
                      strlen(body),
                      id,
                      body);

  say_last(tunnel->fd, head, strlen(head));
}

static void
end(Tunnel *tunnel, const char *verdict)
{
  if (tunnel->over)
    return;
  tunnel->over = true;
  if (tunnel->env->journal)
    record(tunnel, verdict, NULL);
  if (tunnel->connect)
    upstream_connect_cancel(g_steal_pointer(&tunnel->connect));
  g_clear_pointer(&tunnel->splice, splice_free);
  if (tunnel->fd >= 0)
    close(tunnel->fd);
  g_hash_table_remove(tunnel->env->tunnels, tunnel);
  tunnel->ended(tunnel->data);
  unref(tunnel);
}

static void
spliced(const char *why, void *data)
{
  end(data, why);
}

/* ---- What is inside ------------------------------------------------------
 */

/* RFC 8446 section 6.2: a fatal alert, which is all that can be said once the
 * CONNECT was answered. */
static void
alert(const Tunnel *tunnel, uint8_t description)
{
  const uint8_t record[] = {0x15, 3, 3, 0, 2, 2, description};

  say_last(tunnel->spliced_fd, record, sizeof record);
}

/* Takes `why`. */
static Look
refuse(Tunnel *tunnel, uint8_t description, char *why)
{
  ExchangeEnv *env = tunnel->env;

  tunnel->why = why;
  env->stats.blocked++;
  if (env->notice)
    env->notice(why);
  alert(tunnel, description);
  return LOOK_STOP;
}

static bool
is_governed(const Tunnel *tunnel, const char *name)
{
  g_autofree char *lower = name ? g_ascii_strdown(name, -1) : NULL;

  return lower && conn_for_host(tunnel->env->conns, lower, tunnel->port);
}

/* A governed host by another name, or by its address, would be a way around
 * the agent. What is no TLS is none of its business. */
static Look
look(const uint8_t *bytes, size_t len, bool last, void *data)
{
  Tunnel *tunnel = data;
  HelloState state = hello_read(bytes, len, &tunnel->hello);
  g_autofree char *name = NULL;

  tunnel->spoke = true;
  tunnel->tls = state != HELLO_OTHER;
  if (state == HELLO_OTHER)
    return LOOK_PASS;
  if (state == HELLO_MORE && !last)
    return LOOK_MORE;
  if (state != HELLO_READ)
    return refuse(
        tunnel,
        ALERT_DECODE_ERROR,
        g_strdup_printf("the TLS that began inside the CONNECT to %s:%u has no "
                        "ClientHello that can be read",
                        tunnel->shown,
                        tunnel->port));
  name = head_shown(tunnel->env, tunnel->hello.name);
  if (is_governed(tunnel, tunnel->hello.name))
    return refuse(
        tunnel,
        ALERT_UNRECOGNIZED_NAME,
        g_strdup_printf("TLS for %s, which is governed, inside a CONNECT to "
                        "%s:%u: have the client name the host itself in its "
                        "CONNECT, then the agent inspects it",
                        name,
                        tunnel->shown,
                        tunnel->port));
  return LOOK_PASS;
}

/* A name that leads back to this agent would make each request its own
 * client's. */
static bool
is_ourselves(const Tunnel *tunnel, int fd)
{
  const char *colon = strrchr(tunnel->env->self_url, ':');
  struct sockaddr_in6 address = {0};
  socklen_t len = sizeof address;
  const struct sockaddr_in *v4 = (const void *)&address;

  /* The port lies at the same place in both families. */
  if (getpeername(fd, (struct sockaddr *)&address, &len) != 0 ||
      ntohs(address.sin6_port) != atoi(colon + 1))
    return false;
  if (address.sin6_family == AF_INET)
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  return IN6_IS_ADDR_LOOPBACK(&address.sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr) &&
          address.sin6_addr.s6_addr[12] == 127);
}

static void
connected(int fd, const GError *error, void *data)
{
  static const char ok[] = "HTTP/1.1 200 Connection established\r\n\r\n";
  Tunnel *tunnel = data;

  tunnel->connect = NULL;
  if (error) {
    tunnel->env->stats.errors++;
    answer(tunnel, 502, "Bad Gateway", error->message);
    end(tunnel, "unreachable");
    return;
  }
  if (is_ourselves(tunnel, fd)) {
    close(fd);
    answer(tunnel, 502, "Bad Gateway", "this leads to hoop-agent itself");
    end(tunnel, "itself");
    return;
  }
  if (send(tunnel->fd, ok, sizeof ok - 1, MSG_NOSIGNAL) != sizeof ok - 1) {
    close(fd);
    end(tunnel, "client-left");
    return;
  }
  tunnel->splice = splice_new(tunnel->env->loop,
                              tunnel->fd,
                              fd,
                              tunnel->env->limits.idle_timeout,
                              spliced,
                              tunnel);
  tunnel->spliced_fd = tunnel->fd;
  tunnel->fd = -1;
  if (!tunnel->splice) {
    end(tunnel, "error");
    return;
  }
  splice_look_first(
      tunnel->splice, look, tunnel->env->limits.first_byte_timeout);
}

static void
open_up(Tunnel *tunnel)
{
  tunnel->connect = upstream_connect(
      tunnel->env->upstream, tunnel->host, tunnel->port, connected, tunnel);
}

static void
recorded(const GError *error, void *data)
{
  Tunnel *tunnel = data;

  if (!tunnel->over && error) {
    answer(tunnel, 503, "Service Unavailable", error->message);
    end(tunnel, "not-recorded");
  } else if (!tunnel->over) {
    open_up(tunnel);
  }
  unref(tunnel);
}

/* At the first issuer: tunnels belong to no connection. False after a refusal.
 */
static bool
is_signed_in(Tunnel *tunnel)
{
  g_autoptr(GError) error = NULL;

  if (!tunnel->person)
    tunnel->person = identity_current(tunnel->env->identity, NULL, &error);
  if (tunnel->person)
    return true;
  tunnel->env->stats.blocked++;
  answer(tunnel, 403, "Forbidden", error->message);
  end(tunnel, "not-signed-in");
  return false;
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
  g_autofree char *id = journal_new_id();

  tunnel->refs = 1;
  tunnel->env = env;
  tunnel->fd = fd;
  tunnel->host = g_strdup(host);
  tunnel->shown = head_shown(env, host);
  tunnel->port = port;
  tunnel->caller = caller_ref(caller);
  tunnel->person = identity_current(env->identity, NULL, NULL);
  tunnel->began_us = clock_mono_us();
  tunnel->ended = ended;
  tunnel->data = data;
  g_strlcpy(tunnel->id, id, sizeof tunnel->id);
  g_hash_table_add(env->tunnels, tunnel);
  env->stats.tunnels++;
  if (env->draining) {
    answer(tunnel, 503, "Service Unavailable", "hoop-agent is stopping");
    end(tunnel, "agent-stopping");
    return;
  }
  if (policy_tunnels(env->policy) == ACTION_BLOCK) {
    answer(tunnel,
           403,
           "Forbidden",
           "policy allows no tunnels to hosts that no connection governs");
    end(tunnel, "blocked");
    return;
  }
  if (!is_signed_in(tunnel))
    return;
  if (!env->journal) {
    open_up(tunnel);
    return;
  }
  tunnel->refs++;
  record(tunnel, "opened", recorded);
}

void
tunnels_end(ExchangeEnv *env)
{
  g_autofree gpointer *all = NULL;
  unsigned n;

  all = g_hash_table_get_keys_as_array(env->tunnels, &n);
  for (unsigned i = 0; i < n; i++)
    end(all[i], "agent-stopped");
}
