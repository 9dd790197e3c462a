/* SPDX-License-Identifier: Apache-2.0 */
/* Blind tunnels to hosts that no connection governs: judged by policy's
 * `tunnels`, recorded before the first byte, then spliced both ways. */
#include "exchange/tunnel.h"
#include "exchange/splice.h"
#include "exchange/state.h"
#include "kit/clock.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Reads of what a client sent before its CONNECT was answered. */
#define EARLY_READS 64

typedef struct {
  unsigned refs; /* of the tunnel, of a row that is on its way */
  ExchangeEnv *env;
  int fd; /* the client's, until it is spliced */
  char *host;
  uint16_t port;
  Caller *caller;
  char id[EXCHANGE_ID_SIZE];
  int64_t began_us;
  UpstreamConnect *connect;
  Splice *splice;
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
  g_free(tunnel->host);
  g_free(tunnel);
}

static void
record(Tunnel *tunnel, const char *verdict, JournalDone done)
{
  ExchangeEnv *env = tunnel->env;
  const Person *person = NULL;
  JournalRow *row = journal_row_new(ROW_TUNNEL);

  row->wall_us = clock_wall_us();
  row->exchange = g_strdup(tunnel->id);
  row->host = g_strdup_printf("%s:%u", tunnel->host, tunnel->port);
  row->verdict = g_strdup(verdict);
  row->pid = tunnel->caller->pid;
  if (tunnel->caller->processes)
    row->process = g_strjoinv(" < ", tunnel->caller->processes);
  person = identity_current(env->identity, NULL, NULL);
  if (person) {
    row->user = g_strdup(person->user);
    row->issuer = g_strdup(person->issuer);
    person_unref(person);
  }
  row->policy_revision = g_strdup(policy_revision(env->policy));
  if (tunnel->splice) {
    splice_bytes(tunnel->splice, &row->bytes_in, &row->bytes_out);
    row->duration_us = clock_mono_us() - tunnel->began_us;
  }
  journal_append(env->journal, row, env->loop, done, tunnel);
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
  char early[4096];

  /* A client that does not take a few hundred bytes does not read them. */
  if (send(tunnel->fd, head, strlen(head), MSG_NOSIGNAL) < 0)
    return;
  shutdown(tunnel->fd, SHUT_WR);
  /* What it sent before it was told would turn the close into a reset. */
  for (unsigned i = 0; i < EARLY_READS; i++)
    if (recv(tunnel->fd, early, sizeof early, 0) <= 0)
      return;
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
  return IN6_IS_ADDR_LOOPBACK(&address.sin6_addr);
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
  tunnel->fd = -1;
  if (!tunnel->splice)
    end(tunnel, "error");
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
  tunnel->port = port;
  tunnel->caller = caller_ref(caller);
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
