/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of the hub, request by request: hoop-hub(7). */
#include "config.h"

#include "hub/bundle/serve.h"
#include "hub/private.h"
#include "hub/vault/serve.h"
#include "kit/clock.h"
#include "kit/json-put.h"
#include "kit/log.h"
#include <string.h>

/* Of a list in one answer. */
#define MAX_LISTED 200
#define MAX_RECORD 1000

/* ---- what goes wrong ------------------------------------------------------
 */

static void
refuse_with(Client *client, const GError *error)
{
  static const struct {
    int status;
    const char *code;
  } rows[] = {
      [REVIEWS_ERROR_NOT_FOUND] = {404, "not_found"},
      [REVIEWS_ERROR_FORBIDDEN] = {403, "forbidden"},
      [REVIEWS_ERROR_DECIDED] = {409, "decided"},
      [REVIEWS_ERROR_REFUSED] = {400, "refused"},
      [REVIEWS_ERROR_FULL] = {429, "too_many"},
  };

  if (error->domain == REVIEW_ERROR) {
    client_refuse(client, 400, "form", error->message);
  } else if (error->domain == REVIEWS_ERROR &&
             error->code < (int)G_N_ELEMENTS(rows)) {
    client_refuse(client,
                  rows[error->code].status,
                  rows[error->code].code,
                  error->message);
  } else {
    const bool later =
        db_error_passes(error) ||
        g_error_matches(error, REVIEWS_ERROR, REVIEWS_ERROR_LATER);

    log_error("store error=\"%s\"", error->message);
    client_refuse(client,
                  later ? 503 : 500,
                  "store",
                  "the hub cannot reach its database now");
  }
}

static void
answer_review(Client *client, int status, const Review *review, bool whole)
{
  g_autofree char *json = view_review(
      client_hub(client)->reviews, review, client_person(client), whole);

  client_json(client, status, json);
}

static bool
needs_role(Client *client, HubRole role, const char *why)
{
  if (hub_has_role(client_hub(client)->config, client_person(client), role))
    return true;
  client_refuse(client, 403, "role", why);
  return false;
}

/* ---- the hub itself -------------------------------------------------------
 */

/* Of use to balancers: without its database this hub answers nobody. */
static void
get_health(Client *client, const char *id)
{
  (void)id;
  if (db_is_lost(store_db(client_hub(client)->store)))
    client_json(client, 503, "{\"status\":\"database\"}");
  else
    client_json(client, 200, "{\"status\":\"ok\"}");
}

static void
get_metrics(Client *client, const char *id)
{
  const Hub *hub = client_hub(client);
  const char *given =
      http_headers_get(client_request(client)->headers, "Authorization");
  g_autofree char *text = NULL;

  (void)id;
  if (!hub->metrics_token) {
    client_refuse(client, 404, "not_found", "there is nothing here");
    return;
  }
  if (!given || g_ascii_strncasecmp(given, "Bearer ", 7) != 0 ||
      !secret_equal(hub->metrics_token, given + 7, strlen(given + 7))) {
    client_refuse(client, 401, "token_refused", "not the metrics' token");
    return;
  }
  text = metrics_text(hub);
  client_text(client, 200, "text/plain; version=0.0.4; charset=utf-8", text);
}

static void
get_hub(Client *client, const char *id)
{
  const Hub *hub = client_hub(client);
  char key[2 * SIGNING_KEY_LEN + 1];
  GString *out = g_string_new("{");

  (void)id;
  hex_encode(signing_key_public(hub->key), SIGNING_KEY_LEN, key);
  json_put_text(out, "public_key", key);
  json_put_text(out, "fingerprint", hub->fingerprint);
  json_put_text(out, "version", PACKAGE_VERSION);
  g_string_append_c(out, '}');
  client_json(client, 200, out->str);
  g_string_free(out, TRUE);
}

/* ---- machines -------------------------------------------------------------
 */

static void
post_machine(Client *client, const char *id)
{
  const Hub *hub = client_hub(client);
  const Person *person = client_person(client);
  g_auto(ReviewMachine) sent = {.name = NULL};
  g_autoptr(GError) error = NULL;
  g_autofree char *json = NULL;
  g_autofree char *machine_id = NULL;
  DbResult result;
  size_t len;
  const char *body = client_body(client, &len);

  (void)id;
  if (!needs_role(
          client, ROLE_REQUESTER, "your groups do not let you use this hub"))
    return;
  if (!review_machine_parse(body, len, &sent, &error)) {
    refuse_with(client, error);
    return;
  }
  if (!review_machine_is_of(&sent, person->issuer, person->subject)) {
    client_refuse(client,
                  403,
                  "forbidden",
                  "the machine's key did not sign for this person");
    return;
  }
  machine_id = review_machine_id(sent.public_key);
  {
    Machine machine = {.id = machine_id,
                       .issuer = person->issuer,
                       .subject = person->subject,
                       .user = person->user,
                       .name = sent.name,
                       .since_us = clock_wall_us()};

    memcpy(machine.public_key, sent.public_key, SIGNING_KEY_LEN);
    result = store_add_machine(hub->store, &machine, &error);
  }
  if (result == DB_CONFLICT) {
    client_refuse(
        client, 409, "decided", "this machine's key is another person's");
    return;
  }
  if (result != DB_DONE) {
    refuse_with(client, error);
    return;
  }
  log_info("machine id=%s user=%s", machine_id, person->user);
  json = g_strdup_printf("{\"machine\":\"%s\"}", machine_id);
  client_json(client, 201, json);
}

Machine *
api_signer(Client *client)
{
  const Person *person = client_person(client);
  const char *header =
      http_headers_get(client_request(client)->headers, REVIEW_HEADER);
  uint8_t signature[SIGNATURE_LEN];
  g_autofree char *id = NULL;
  g_autoptr(Machine) machine = NULL;
  g_autoptr(GError) error = NULL;
  size_t len;
  const char *body = client_body(client, &len);

  if (header && review_request_parse(header, &id, signature))
    machine = store_get_machine(client_hub(client)->store, id, &error);
  if (error) {
    refuse_with(client, error);
    return NULL;
  }
  if (machine && g_str_equal(machine->issuer, person->issuer) &&
      g_str_equal(machine->subject, person->subject) &&
      review_verify(
          machine->public_key, REVIEW_CONTEXT_REQUEST, body, len, signature))
    return g_steal_pointer(&machine);
  client_refuse(client,
                403,
                "machine",
                "no machine that is bound to you signed this; run "
                "`hoop-agent enrol`");
  return NULL;
}

static void
post_state(Client *client, const char *id)
{
  g_autoptr(Machine) machine = api_signer(client);

  (void)id;
  if (machine)
    desk_take_report(client, machine);
}

/* ---- reviews --------------------------------------------------------------
 */

static void
post_review(Client *client, const char *id)
{
  const Hub *hub = client_hub(client);
  g_autoptr(ReviewAsk) ask = NULL;
  g_autoptr(Machine) machine = NULL;
  g_autoptr(GError) error = NULL;
  const Review *review;
  size_t len;
  const char *body = client_body(client, &len);

  (void)id;
  if (!needs_role(client,
                  ROLE_REQUESTER,
                  "your groups do not let you ask for reviews here"))
    return;
  machine = api_signer(client);
  if (!machine)
    return;
  ask = review_ask_parse(body, len, &error);
  review = ask ? reviews_post(hub->reviews,
                              g_steal_pointer(&ask),
                              client_person(client),
                              machine->id,
                              &error)
               : NULL;
  if (review)
    answer_review(client, 201, review, false);
  else
    refuse_with(client, error);
}

static void
list_one(Client *client, GString *out, const Review *review)
{
  const Reviews *reviews = client_hub(client)->reviews;
  g_autofree char *json = NULL;

  if (!reviews_may_see(reviews, review, client_person(client)))
    return;
  json = view_review(reviews, review, client_person(client), false);
  if (out->str[out->len - 1] != '[')
    g_string_append_c(out, ',');
  g_string_append(out, json);
}

static int
newer_first(const void *a, const void *b)
{
  const Review *one = *(const Review *const *)a;
  const Review *other = *(const Review *const *)b;

  return (one->received_us < other->received_us) -
         (one->received_us > other->received_us);
}

/* What waits; with ?state=all what is over, too. */
static void
get_reviews(Client *client, const char *id)
{
  Hub *hub = client_hub(client);
  const char *query = client_request(client)->query;
  const bool all = query && g_str_equal(query, "state=all");
  GHashTable *pending = reviews_all_pending(hub->reviews);
  g_autoptr(GPtrArray) list = NULL;
  g_autoptr(GError) error = NULL;
  GString *out;

  (void)id;
  if (query && *query && !all && !g_str_equal(query, "state=pending")) {
    client_refuse(client, 400, "form", "`state` is either pending or all");
    return;
  }
  if (all) {
    list = store_list(hub->store, false, MAX_LISTED, &error);
    if (!list) {
      refuse_with(client, error);
      return;
    }
  } else {
    GHashTableIter each;
    void *review;

    list = g_ptr_array_new();
    g_hash_table_iter_init(&each, pending);
    while (g_hash_table_iter_next(&each, NULL, &review))
      g_ptr_array_add(list, review);
    g_ptr_array_sort(list, newer_first);
  }
  out = g_string_new("{\"reviews\":[");
  for (guint i = 0; i < list->len; i++)
    list_one(client, out, list->pdata[i]);
  g_string_append(out, "]}");
  client_json(client, 200, out->str);
  g_string_free(out, TRUE);
}

static void
get_review(Client *client, const char *id)
{
  const Hub *hub = client_hub(client);
  const Review *review = reviews_pending(hub->reviews, id);
  g_autoptr(Review) stored = NULL;
  g_autoptr(GError) error = NULL;

  if (!review)
    review = stored = store_get(hub->store, id, &error);
  if (error)
    refuse_with(client, error);
  else if (review &&
           reviews_may_see(hub->reviews, review, client_person(client)))
    answer_review(client, 200, review, true);
  else
    client_refuse(client, 404, "not_found", "no review of that id is known");
}

static void
post_answer(Client *client, const char *id)
{
  const Hub *hub = client_hub(client);
  g_auto(ReviewReply) reply = {.reason = NULL};
  g_autoptr(GError) error = NULL;
  const Review *review = NULL;
  size_t len;
  const char *body = client_body(client, &len);

  if (review_reply_parse(body, len, &reply, &error))
    review = reviews_answer(hub->reviews,
                            id,
                            client_person(client),
                            reply.answer,
                            reply.digest,
                            reply.reason,
                            &error);
  if (review)
    answer_review(client, 200, review, false);
  else
    refuse_with(client, error);
}

static void
delete_review(Client *client, const char *id)
{
  g_autoptr(GError) error = NULL;
  const Review *review = reviews_withdraw(
      client_hub(client)->reviews, id, client_person(client), &error);

  if (review)
    answer_review(client, 200, review, false);
  else
    refuse_with(client, error);
}

static void
get_events(Client *client, const char *id)
{
  (void)id;
  client_stream(client);
}

/* ---- the record -----------------------------------------------------------
 */

static void
put_row(const RecordRow *row, void *data)
{
  GString *out = data;

  if (out->str[out->len - 1] != '[')
    g_string_append_c(out, ',');
  g_string_append_c(out, '{');
  json_put_number(out, "seq", row->seq);
  json_put_number(out, "at_us", row->at_us);
  json_put_text(out, "kind", row->kind);
  json_put_text(out, "review", row->review);
  json_put_text(out, "issuer", row->issuer);
  json_put_text(out, "subject", row->subject);
  json_put_text(out, "user", row->user);
  json_put_text(out, "detail", row->detail);
  g_string_append_c(out, '}');
}

/* Rows behind ?after=SEQ. */
static void
get_record(Client *client, const char *id)
{
  const char *query = client_request(client)->query;
  g_autoptr(GError) error = NULL;
  guint64 after = 0;
  GString *out;

  (void)id;
  if (!hub_has_role(
          client_hub(client)->config, client_person(client), ROLE_ADMIN) &&
      !needs_role(client, ROLE_AUDITOR, "the record is for auditors"))
    return;
  if (query && (!g_str_has_prefix(query, "after=") ||
                !g_ascii_string_to_unsigned(
                    query + 6, 10, 0, INT64_MAX, &after, NULL))) {
    client_refuse(client, 400, "form", "`after` is a row's number");
    return;
  }
  out = g_string_new("{\"rows\":[");
  if (store_each_record(client_hub(client)->store,
                        (int64_t)after,
                        MAX_RECORD,
                        put_row,
                        out,
                        &error)) {
    g_string_append(out, "]}");
    client_json(client, 200, out->str);
  } else {
    refuse_with(client, error);
  }
  g_string_free(out, TRUE);
}

/* ---- routes ---------------------------------------------------------------
 */

static const Route routes[] = {
    {"GET", "/health", true, false, get_health},
    {"GET", "/metrics", true, false, get_metrics},
    {"GET", "/v1/hub", true, false, get_hub},
    {"POST", "/v1/machines", false, true, post_machine},
    {"POST", "/v1/machines/state", false, true, post_state},
    {"POST", "/v1/credentials", false, true, desk_lend},
    {"GET", "/v1/bundle", false, false, desk_send_bundle},
    {"POST", "/v1/reviews", false, true, post_review},
    {"GET", "/v1/reviews", false, false, get_reviews},
    {"GET", "/v1/reviews/*", false, false, get_review},
    {"DELETE", "/v1/reviews/*", false, false, delete_review},
    {"POST", "/v1/reviews/*/answer", false, true, post_answer},
    {"GET", "/v1/events", false, false, get_events},
    {"GET", "/v1/record", false, false, get_record},
    {"POST", "/v1/logs", false, true, api_post_logs, true},
    {"GET", "/v1/audit", false, false, api_get_audit},
    {"GET", "/v1/audit/export", false, false, api_get_export},
    {"GET", "/v1/audit/alerts", false, false, api_get_alerts},
    {"GET", "/v1/audit/journals", false, false, api_get_journals},
};

/* The path against a row's; ids are 32 lower-case hex digits. */
static bool
matches(const char *path, const char *row, char **id)
{
  const char *star = strchr(row, '*');
  const size_t before = star ? (size_t)(star - row) : 0;

  if (!star)
    return g_str_equal(path, row);
  if (strncmp(path, row, before) != 0 ||
      strspn(path + before, "0123456789abcdef") != REVIEW_ID_SIZE - 1 ||
      !g_str_equal(path + before + REVIEW_ID_SIZE - 1, star + 1))
    return false;
  *id = g_strndup(path + before, REVIEW_ID_SIZE - 1);
  return true;
}

const Route *
api_route(const HttpRequest *request, char **id, int *status)
{
  *status = 404;
  for (size_t i = 0; i < G_N_ELEMENTS(routes); i++) {
    g_autofree char *found = NULL;

    if (!matches(request->path, routes[i].path, &found))
      continue;
    if (!g_str_equal(request->method, routes[i].method)) {
      *status = 405;
      continue;
    }
    *id = g_steal_pointer(&found);
    return &routes[i];
  }
  return NULL;
}
