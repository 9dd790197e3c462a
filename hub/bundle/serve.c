/* SPDX-License-Identifier: Apache-2.0 */
/* What agents ask about policy: the bundle that is theirs, what they run; and
 * the word that there is another one. */
#include "hub/bundle/serve.h"
#include "kit/clock.h"
#include "kit/json-put.h"
#include "kit/log.h"
#include <string.h>

/* What another process published is seen after so long. */
#define LOOK_MS 1000
/* Versions that are kept at hand; groups seldom have more at one time. */
#define MAX_KEPT 4
/* Clocks of agents. */
#define SKEW_US (INT64_C(86400) * 1000000)

struct bundle_desk {
  Hub *hub;
  GPtrArray *rollouts; /* Rollout */
  GHashTable *kept;    /* version → GBytes */
  LoopTimer *timer;
  bool failing;
};

static bool
same_rollouts(const GPtrArray *a, const GPtrArray *b, int64_t now_us)
{
  if (a->len != b->len)
    return false;
  for (guint i = 0; i < a->len; i++) {
    const Rollout *one = a->pdata[i], *other = b->pdata[i];

    /* One that begins now is news, too. */
    if (!g_str_equal(one->group, other->group) ||
        one->version != other->version ||
        (one->not_before_us <= now_us &&
         one->not_before_us > now_us - 2 * LOOK_MS * 1000))
      return false;
  }
  return true;
}

/* Nothing but that there is news: who may have it is asked when they come. */
static void
tell_everybody(BundleDesk *desk)
{
  GHashTableIter each;
  void *client;

  g_hash_table_iter_init(&each, desk->hub->clients);
  while (g_hash_table_iter_next(&each, &client, NULL))
    client_event(client, "event: bundle\ndata: {}\n\n");
}

static void
look(void *data)
{
  BundleDesk *desk = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) now =
      bundles_rollouts(store_db(desk->hub->store), false, &error);

  loop_timer_set(desk->timer, LOOK_MS);
  if (!now && !desk->failing)
    log_error("policies error=\"%s\"", error->message);
  desk->failing = now == NULL;
  if (!now || same_rollouts(desk->rollouts, now, clock_wall_us()))
    return;
  g_ptr_array_unref(desk->rollouts);
  desk->rollouts = g_steal_pointer(&now);
  tell_everybody(desk);
}

BundleDesk *
bundle_desk_new(Hub *hub, GError **error)
{
  BundleDesk *desk;
  g_autoptr(GPtrArray) rollouts = NULL;

  if (!bundles_migrate(store_db(hub->store), error))
    return NULL;
  rollouts = bundles_rollouts(store_db(hub->store), false, error);
  if (!rollouts)
    return NULL;
  desk = g_new0(BundleDesk, 1);
  desk->hub = hub;
  desk->rollouts = g_steal_pointer(&rollouts);
  desk->kept = g_hash_table_new_full(
      g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)g_bytes_unref);
  desk->timer = loop_timer_new(hub->loop, look, desk);
  loop_timer_set(desk->timer, LOOK_MS);
  return desk;
}

void
bundle_desk_free(BundleDesk *desk)
{
  if (!desk)
    return;
  loop_timer_free(desk->timer);
  g_ptr_array_unref(desk->rollouts);
  g_hash_table_unref(desk->kept);
  g_free(desk);
}

/* Borrowed; NULL with error. */
static GBytes *
bytes_of(BundleDesk *desk, int64_t version, GError **error)
{
  GBytes *bytes = g_hash_table_lookup(desk->kept, &version);

  if (bytes)
    return bytes;
  bytes = bundles_get(store_db(desk->hub->store), version, error);
  if (!bytes)
    return NULL;
  if (g_hash_table_size(desk->kept) >= MAX_KEPT)
    g_hash_table_remove_all(desk->kept);
  g_hash_table_insert(desk->kept, g_memdup2(&version, sizeof version), bytes);
  return bytes;
}

static void
cannot(Client *client, const GError *error)
{
  log_error("policies error=\"%s\"",
            error ? error->message : "a version is gone");
  client_refuse(client, 500, "store", "the hub cannot look that up now");
}

void
desk_send_bundle(Client *client, const char *id)
{
  BundleDesk *desk = client_hub(client)->bundles;
  const Rollout *mine = bundles_choose(
      desk->rollouts, client_person(client)->groups, clock_wall_us());
  const char *known =
      http_headers_get(client_request(client)->headers, "If-None-Match");
  g_autoptr(GError) error = NULL;
  g_autofree char *etag = NULL;
  GBytes *bytes;
  gsize len;
  const void *data;

  (void)id;
  if (!mine) {
    client_empty(client, 204, NULL);
    return;
  }
  etag = g_strdup_printf("\"%s\"", mine->digest);
  if (g_strcmp0(known, etag) == 0) {
    client_empty(client, 304, etag);
    return;
  }
  bytes = bytes_of(desk, mine->version, &error);
  if (!bytes) {
    cannot(client, error);
    return;
  }
  data = g_bytes_get_data(bytes, &len);
  client_bytes(client, "application/octet-stream", etag, data, len);
}

void
desk_take_report(Client *client, const Machine *machine)
{
  g_auto(BundleReport) report = {.version = NULL};
  g_autoptr(GError) error = NULL;
  const int64_t now = clock_wall_us();
  size_t len;
  const char *body = client_body(client, &len);

  if (!bundle_report_parse(body, len, &report, &error)) {
    client_refuse(client, 400, "form", error->message);
    return;
  }
  if (report.at_us > now + SKEW_US) {
    client_refuse(client, 400, "refused", "this machine's clock is wrong");
    return;
  }
  if (bundles_report(store_db(client_hub(client)->store),
                     machine->id,
                     &report,
                     now,
                     &error) == DB_DONE)
    client_json(client, 200, "{}");
  else
    cannot(client, error);
}
