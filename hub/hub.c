/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the hub together: store, key, reviews, issuers, listener. */
#include "config.h"

#include "hub/bundle/serve.h"
#include "hub/hub.h"
#include "hub/page/page.h"
#include "hub/page/webhook.h"
#include "hub/private.h"
#include "hub/vault/serve.h"
#include "kit/clock.h"
#include "kit/file.h"
#include "kit/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 512
#define ACCEPTS_A_ROUND 64
/* Streams are kept alive well below the minute that proxies wait. */
#define TICK_MS 15000
#define TICK_TURNS 15
#define DRAIN_MS 10000
#define US_PER_S INT64_C(1000000)
#define PRUNE_US (3600 * US_PER_S)
/* An issuer that does not answer. */
#define CONNECT_S 10
#define IDLE_S 30

/* ---- events ---------------------------------------------------------------
 */

static void
on_changed(const Review *review, ReviewChange change, void *data)
{
  static const char *const words[] = {
      "posted", "escalated", "answered", "ended"};
  Hub *hub = data;
  const unsigned owner = g_str_hash(review->subject);
  GHashTableIter each;
  void *client;

  log_info("review id=%s change=%s state=%s user=%s answers=%u",
           review->ask->id,
           words[change],
           review_state_name(review->state),
           review->user,
           review->voices->len);
  g_hash_table_iter_init(&each, hub->clients);
  while (g_hash_table_iter_next(&each, &client, NULL))
    if (client_may_hear(client, owner))
      client_tell(client, review, change);
  /* One hub tells, whoever shares its database. */
  if (hub->webhook && (!review->elsewhere || change == CHANGE_ENDED))
    webhook_tell(hub->webhook, review, change);
}

/* What other hubs did. */
static void
on_heard(const char *payload, void *data)
{
  Hub *hub = data;
  const char *id = store_heard(hub->store, payload);

  if (id)
    reviews_heard(hub->reviews, id);
}

static void
on_again(void *data)
{
  Hub *hub = data;

  if (!db_is_lost(store_db(hub->store)))
    reviews_reload(hub->reviews);
}

static void
on_tick(void *data)
{
  Hub *hub = data;
  const int64_t now = clock_wall_us();
  GHashTableIter each;
  void *client;

  /* A part of the streams at a time: thousands at once would hold up others. */
  hub->turn = (hub->turn + 1) % TICK_TURNS;
  loop_timer_set(hub->tick, TICK_MS / TICK_TURNS);
  g_hash_table_iter_init(&each, hub->clients);
  while (g_hash_table_iter_next(&each, &client, NULL))
    if (client_turn(client) % TICK_TURNS == hub->turn)
      client_tick(client, now);
  if (hub->turn != 0)
    return;
  rate_forget(hub->rates, hub->config->rate);
  if (db_shares(store_db(hub->store)))
    on_again(hub); /* a wake-up may be lost */
  if (now - hub->pruned_us >= PRUNE_US) {
    g_autoptr(GError) error = NULL;

    hub->pruned_us = now;
    if (!store_prune(hub->store,
                     now - hub->config->retain_days * 86400 * US_PER_S,
                     &error))
      log_error("store error=\"%s\"", error->message);
  }
}

/* ---- listening ------------------------------------------------------------
 */

static void
on_ready(uint32_t events, void *data)
{
  Hub *hub = data;

  (void)events;
  for (unsigned i = 0; i < ACCEPTS_A_ROUND; i++) {
    const int fd = accept4(hub->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
      return;
    if (g_hash_table_size(hub->clients) >= hub->config->connections) {
      log_warning("connections limit=%u", hub->config->connections);
      close(fd);
      return;
    }
    client_begin(hub, fd);
  }
}

static int
listen_at(const char *address, uint16_t port, uint16_t *bound)
{
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
  const bool is_v6 = inet_pton(AF_INET6, address, &v6.sin6_addr) == 1;
  struct sockaddr_in6 got = {0};
  socklen_t len = sizeof got;
  const int on = 1;
  int fd;

  if (!is_v6 && inet_pton(AF_INET, address, &v4.sin_addr) != 1) {
    errno = EADDRNOTAVAIL;
    return -1;
  }
  fd = socket(is_v6 ? AF_INET6 : AF_INET,
              SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
              0);
  if (fd < 0)
    return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd,
           is_v6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4,
           is_v6 ? sizeof v6 : sizeof v4) != 0 ||
      listen(fd, BACKLOG) != 0 ||
      getsockname(fd, (struct sockaddr *)&got, &len) != 0) {
    const int failed = errno;

    close(fd);
    errno = failed;
    return -1;
  }
  *bound = ntohs(got.sin6_port); /* at the same place in both families */
  return fd;
}

static bool
start_listening(Hub *hub, GError **error)
{
  const HubConfig *config = hub->config;

  hub->fd = listen_at(config->address, config->port, &hub->port);
  if (hub->fd >= 0)
    hub->watch = loop_watch_new(hub->loop, hub->fd, EPOLLIN, on_ready, hub);
  if (hub->watch)
    return true;
  g_set_error(error,
              HUB_ERROR,
              HUB_ERROR_START,
              "cannot listen on %s port %u: %s",
              config->address,
              (unsigned)config->port,
              g_strerror(errno));
  return false;
}

/* ---- parts ----------------------------------------------------------------
 */

static bool
make_gate(Hub *hub, GError **error)
{
  const GPtrArray *issuers = hub->config->issuers;
  g_autofree IssuerOptions *options = g_new0(IssuerOptions, issuers->len);
  const UpstreamOptions upstream = {.connect_timeout = CONNECT_S,
                                    .idle_timeout = IDLE_S,
                                    .group = "identity"};

  for (guint i = 0; i < issuers->len; i++) {
    const HubIssuer *issuer = issuers->pdata[i];

    options[i] = (IssuerOptions){.name = issuer->name,
                                 .issuer = issuer->issuer,
                                 .groups_claim = issuer->groups_claim,
                                 .groups_separator = issuer->groups_separator,
                                 .groups_prefix = issuer->groups_prefix,
                                 .ca_file = issuer->ca_file};
  }
  hub->gate = access_gate_new(hub->loop,
                              options,
                              issuers->len,
                              hub->config->audience,
                              &upstream,
                              error);
  return hub->gate != NULL;
}

/* In a file of its own (or by connections of its own), so that reviews never
 * wait for what is shipped. */
static bool
make_audit(Hub *hub, GError **error)
{
  const HubConfig *config = hub->config;
  g_autofree char *file = g_build_filename(config->state_dir, "audit.db", NULL);
  const AuditOptions options = {.where = config->store ? config->store : file,
                                .password_file = config->store_password_file,
                                .key = hub->key,
                                .retain_days = config->audit_retain_days};

  hub->audit = audit_new(hub->loop, &options, error);
  return hub->audit != NULL;
}

static bool
make_parts(Hub *hub, GError **error)
{
  const HubConfig *config = hub->config;
  g_autofree char *database =
      g_build_filename(config->state_dir, "hub.db", NULL);
  g_autofree char *key = g_build_filename(config->state_dir, "hub.key", NULL);

  if (!file_private_dir(config->state_dir, error))
    return false;
  hub->key = signing_key_load(key, true, error);
  if (!hub->key)
    return false;
  hub->fingerprint = signing_fingerprint(signing_key_public(hub->key));
  hub->store = store_open(config->store ? config->store : database,
                          config->store_password_file,
                          error);
  if (!hub->store || !store_check_key(hub->store, hub->fingerprint, error))
    return false;
  if (config->metrics_token_file) {
    hub->metrics_token = file_read_secret(config->metrics_token_file, error);
    if (!hub->metrics_token)
      return false;
  }
  if (!make_audit(hub, error))
    return false;
  hub->reviews = reviews_new(
      hub->loop, config, hub->store, hub->key, on_changed, hub, error);
  hub->bundles = hub->reviews ? bundle_desk_new(hub, error) : NULL;
  hub->vault = hub->bundles ? vault_desk_new(hub, error) : NULL;
  if (!hub->vault || !make_gate(hub, error))
    return false;
  hub->link = store_link_new(hub->loop, store_db(hub->store));
  store_link_on(hub->link, STORE_CHANNEL, on_heard, on_again, hub);
  if (config->page_url) {
    hub->page = page_new(hub, error);
    if (!hub->page)
      return false;
  }
  if (config->webhook_url_file) {
    hub->webhook = webhook_new(hub->loop, config, error);
    if (!hub->webhook)
      return false;
  }
  hub->tls = tls_context(config->certificate, config->key, error);
  return hub->tls && start_listening(hub, error);
}

Hub *
hub_new(Loop *loop, const HubConfig *config, GError **error)
{
  g_autoptr(Hub) hub = g_new0(Hub, 1);

  hub->loop = loop;
  hub->config = config;
  hub->fd = -1;
  hub->clients = g_hash_table_new(NULL, NULL);
  hub->rates = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  hub->tick = loop_timer_new(loop, on_tick, hub);
  if (!make_parts(hub, error))
    return NULL;
  loop_timer_set(hub->tick, TICK_MS / TICK_TURNS);
  return g_steal_pointer(&hub);
}

static void
stop_listening(Hub *hub)
{
  loop_watch_free(g_steal_pointer(&hub->watch));
  if (hub->fd >= 0)
    close(hub->fd);
  hub->fd = -1;
}

void
hub_free(Hub *hub)
{
  if (!hub)
    return;
  stop_listening(hub);
  store_link_free(hub->link);
  loop_timer_free(hub->tick);
  loop_timer_free(hub->drain);
  webhook_free(hub->webhook);
  page_free(hub->page);
  access_gate_free(hub->gate);
  vault_desk_free(hub->vault);
  bundle_desk_free(hub->bundles);
  reviews_free(hub->reviews);
  audit_free(hub->audit);
  store_free(hub->store);
  signing_key_free(hub->key);
  secret_unref(hub->metrics_token);
  SSL_CTX_free(hub->tls);
  g_hash_table_unref(hub->clients);
  g_hash_table_unref(hub->rates);
  g_free(hub->fingerprint);
  g_free(hub);
}

uint16_t
hub_port(const Hub *hub)
{
  return hub->port;
}

const char *
hub_fingerprint(const Hub *hub)
{
  return hub->fingerprint;
}

/* ---- the end --------------------------------------------------------------
 */

static void
on_drained(void *data)
{
  loop_quit(((Hub *)data)->loop);
}

void
hub_drain(Hub *hub)
{
  g_autoptr(GList) clients = NULL;

  if (hub->draining)
    return;
  hub->draining = true;
  stop_listening(hub);
  hub->drain = loop_timer_new(hub->loop, on_drained, hub);
  clients = g_hash_table_get_keys(hub->clients);
  for (GList *each = clients; each; each = each->next)
    client_drain(each->data);
  loop_timer_set(hub->drain, clients ? DRAIN_MS : 0);
}
