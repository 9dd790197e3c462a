/* SPDX-License-Identifier: Apache-2.0 */
/* Lends credentials: each time a row of the record, for half an hour. */
#include "hub/vault/serve.h"
#include "document/document.h"
#include "kit/clock.h"
#include "kit/json-put.h"
#include "kit/log.h"
#include <string.h>

#define LOOK_MS 1000
#define LEND_US (INT64_C(30) * 60 * 1000000)
/* A request that was sent long ago is somebody else's by now. */
#define FRESH_US (INT64_C(300) * 1000000)

struct vault_desk {
  Hub *hub;
  char *stamp;
  LoopTimer *timer;
};

static void
look(void *data)
{
  VaultDesk *desk = data;
  g_autofree char *stamp = vault_stamp(store_db(desk->hub->store), NULL);
  GHashTableIter each;
  void *client;

  loop_timer_set(desk->timer, LOOK_MS);
  if (!stamp || g_strcmp0(stamp, desk->stamp) == 0)
    return;
  g_free(desk->stamp);
  desk->stamp = g_steal_pointer(&stamp);
  g_hash_table_iter_init(&each, desk->hub->clients);
  while (g_hash_table_iter_next(&each, &client, NULL))
    client_event(client, "event: credential\ndata: {}\n\n");
}

VaultDesk *
vault_desk_new(Hub *hub, GError **error)
{
  VaultDesk *desk;

  if (!vault_migrate(store_db(hub->store), error))
    return NULL;
  desk = g_new0(VaultDesk, 1);
  desk->hub = hub;
  desk->stamp = vault_stamp(store_db(hub->store), NULL);
  desk->timer = loop_timer_new(hub->loop, look, desk);
  loop_timer_set(desk->timer, LOOK_MS);
  return desk;
}

void
vault_desk_free(VaultDesk *desk)
{
  if (!desk)
    return;
  loop_timer_free(desk->timer);
  g_free(desk->stamp);
  g_free(desk);
}

static char *
read_request(Client *client, int64_t now_us)
{
  size_t len;
  const char *body = client_body(client, &len);
  g_autoptr(Document) object = document_parse(body, len, NULL);
  const char *name = object ? document_text(object, "name") : NULL;
  const Document *at = object ? document_member(object, "at_us") : NULL;
  int64_t at_us;

  if (!name || !vault_name_is_fine(name) ||
      !json_object_is_type(at, json_type_int) ||
      json_object_object_length(object) != 2) {
    client_refuse(client, 400, "form", "name and at_us are needed");
    return NULL;
  }
  at_us = json_object_get_int64(at);
  if (at_us > now_us - FRESH_US && at_us < now_us + FRESH_US)
    return g_strdup(name);
  client_refuse(client, 400, "refused", "this machine's clock is wrong");
  return NULL;
}

static void
cannot(Client *client, const GError *error)
{
  log_error("credentials error=\"%s\"", error ? error->message : "conflict");
  client_refuse(client, 500, "store", "the hub cannot lend that now");
}

/* Recorded before it is sent. */
static bool
record(Client *client,
       const Machine *machine,
       const char *name,
       const char *group,
       int64_t now_us,
       GError **error)
{
  const Person *person = client_person(client);
  const Actor by = {person->issuer, person->subject, person->user};
  Db *db = store_db(client_hub(client)->store);
  g_autofree char *detail =
      g_strdup_printf("%s for %s to machine %s", name, group, machine->id);

  return db_begin(db, error) &&
         db_finish(db,
                   store_note(
                       db, "credential-lent", now_us, NULL, &by, detail, error),
                   error) == DB_DONE;
}

static void
answer(Client *client, const char *name, const Secret *secret, int64_t until_us)
{
  /* Made in one piece, so that nothing is left behind where it grew. */
  GString *out = g_string_sized_new(secret_len(secret) + 512);

  g_string_append_c(out, '{');
  json_put_text(out, "name", name);
  json_put_number(out, "expires_us", until_us);
  g_string_append_printf(out, ",\"secret\":\"%s\"}", secret_text(secret));
  client_json(client, 200, out->str);
  secret_wipe(out->str, out->len);
  g_string_free(out, TRUE);
}

void
desk_lend(Client *client, const char *id)
{
  const int64_t now = clock_wall_us();
  Hub *hub = client_hub(client);
  g_autoptr(Machine) machine = api_signer(client);
  g_autofree char *name = machine ? read_request(client, now) : NULL;
  g_autofree char *group = NULL;
  g_autoptr(Secret) key = NULL;
  g_autoptr(Secret) secret = NULL;
  g_autoptr(GError) error = NULL;
  int64_t version = 0;

  (void)id;
  if (!name)
    return;
  key = vault_key(hub->config, &error);
  if (key)
    secret = vault_open(store_db(hub->store),
                        key,
                        name,
                        client_person(client)->groups,
                        &group,
                        &version,
                        &error);
  if (!secret && !error) {
    client_refuse(client,
                  403,
                  "forbidden",
                  "no credential of that name is for your groups");
    return;
  }
  if (secret && record(client, machine, name, group, now, &error))
    answer(client, name, secret, now + LEND_US);
  else
    cannot(client, error);
}
