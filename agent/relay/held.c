/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that reviewers are asked about: posted, watched, decided, or
 * withdrawn. Whatever fails only means that nobody said yes. */
#include "document/document.h"
#include "kit/clock.h"
#include "relay/private.h"
#include <string.h>

/* So often the hub is asked while something waits, whatever the stream tells;
 * and so soon a request that it could not take is posted again. */
#define POLL_MS 3000

struct held {
  Relay *relay;
  char *exchange, *nonce, *issuer;
  char id[REVIEW_ID_SIZE];
  uint8_t digest[SHA256_LEN];
  char *policy_revision, *shape;
  bool masks;
  char *body; /* until it was taken */
  int64_t posted_us;
  bool posted;
  bool over; /* nothing more is asked of the hub */
  Call *call;
};

static void
held_free(void *data)
{
  Held *held = data;

  call_cancel(held->call);
  g_free(held->exchange);
  g_free(held->nonce);
  g_free(held->issuer);
  g_free(held->policy_revision);
  g_free(held->shape);
  if (held->body)
    secret_wipe(held->body, strlen(held->body));
  g_free(held->body);
  g_free(held);
}

static Held *
find(const Relay *relay, const char *exchange)
{
  for (guint i = 0; i < relay->held->len; i++) {
    Held *held = relay->held->pdata[i];

    if (g_str_equal(held->exchange, exchange))
      return held;
  }
  return NULL;
}

static void
note(const Held *held, const char *why)
{
  approve_note(held->relay->approve, held->exchange, why);
}

void
held_note(Relay *relay, const char *why)
{
  for (guint i = 0; i < relay->held->len; i++) {
    const Held *held = relay->held->pdata[i];

    if (!held->over)
      note(held, why);
  }
}

/* ---- decisions ------------------------------------------------------------
 */

static Answer
answer_of(ReviewOutcome outcome)
{
  return outcome == REVIEW_APPROVED          ? ANSWER_APPROVE
         : outcome == REVIEW_APPROVED_MASKED ? ANSWER_APPROVE_MASKED
                                             : ANSWER_DENY;
}

/* The queue hears each reviewer, and judges by the policy itself whether that
 * is enough. It may forget the request, and `held` with it, at any answer. */
static void
tell_queue(Held *held, const ReviewDecision *decision)
{
  Relay *relay = held->relay;
  g_autofree char *exchange = g_strdup(held->exchange);
  g_autofree char *nonce = g_strdup(held->nonce);

  held->over = true;
  note(held, NULL);
  for (guint i = 0; i < decision->voices->len; i++) {
    const ReviewVoice *voice = decision->voices->pdata[i];
    const Answerer by = {.kind = APPROVER_REVIEWER,
                         .user = voice->user,
                         .issuer = voice->issuer,
                         .subject = voice->subject,
                         .reviews = (const char *const *)voice->groups,
                         .how = "hub"};
    g_autoptr(GError) error = NULL;

    if (approve_answer(relay->approve,
                       exchange,
                       &by,
                       answer_of(voice->answer),
                       decision->digest,
                       nonce,
                       voice->reason,
                       &error))
      continue;
    relay->notice(error->message, relay->data);
    approve_note(relay->approve, exchange, error->message);
  }
}

static void
take_decision(Held *held, const char *json)
{
  const DecisionExpect expect = {.id = held->id,
                                 .digest = held->digest,
                                 .policy_revision = held->policy_revision,
                                 .masks = held->masks,
                                 .posted_us = held->posted_us,
                                 .now_us = clock_wall_us()};
  g_autoptr(GError) error = NULL;
  g_autoptr(ReviewDecision) decision =
      decision_check(json, strlen(json), held->relay->key, &expect, &error);

  if (decision) {
    tell_queue(held, decision);
    return;
  }
  held->relay->notice(error->message, held->relay->data);
  held->over = true;
  note(held, error->message);
}

/* What the hub says of it; over without a decision nobody says yes any more. */
static void
look_at(Held *held, const char *json, size_t len)
{
  g_autoptr(Document) review = document_parse(json, len, NULL);
  Document *decision = review ? document_member(review, "decision") : NULL;
  const char *state = review ? document_text(review, "state") : NULL;

  if (decision) {
    g_autofree char *text = g_strdup(
        json_object_to_json_string_ext(decision, JSON_C_TO_STRING_PLAIN));

    take_decision(held, text);
  } else if (state && !g_str_equal(state, "pending")) {
    g_autofree char *why = g_strdup_printf("at the hub it is %s", state);

    held->over = true;
    note(held, g_utf8_validate(why, -1, NULL) ? why : NULL);
  } else {
    note(held, NULL);
  }
}

static void
on_fetched(const char *json, size_t len, const GError *error, void *data)
{
  Held *held = data;

  held->call = NULL;
  if (error)
    note(held, error->message);
  else
    look_at(held, json, len);
}

static void
fetch(Held *held)
{
  g_autofree char *path = g_strconcat("/v1/reviews/", held->id, NULL);

  if (held->call)
    return;
  held->call = call_start(held->relay,
                          &(CallSpec){.url = held->relay->url,
                                      .method = "GET",
                                      .path = path,
                                      .issuer = held->issuer},
                          on_fetched,
                          held);
}

/* ---- posting --------------------------------------------------------------
 */

static void
on_posted(const char *json, size_t len, const GError *error, void *data)
{
  Held *held = data;

  held->call = NULL;
  if (error) {
    note(held, error->message);
    if (error->code == RELAY_ERROR_REFUSED)
      held->over = true;
    return;
  }
  held->posted = true;
  secret_wipe(held->body, strlen(held->body));
  g_clear_pointer(&held->body, g_free);
  look_at(held, json, len);
}

static void
post(Held *held)
{
  if (held->call)
    return;
  held->call = call_start(held->relay,
                          &(CallSpec){.url = held->relay->url,
                                      .method = "POST",
                                      .path = "/v1/reviews",
                                      .body = held->body,
                                      .issuer = held->issuer,
                                      .sign = true},
                          on_posted,
                          held);
}

static void
on_withdrawn(const char *json, size_t len, const GError *error, void *data)
{
  (void)json;
  (void)len;
  (void)error; /* its deadline ends it there, too */
  (void)data;
}

static void
forget(Held *held)
{
  Relay *relay = held->relay;

  /* One that is on its way may be there before this. */
  if (!held->over && (held->posted || held->call)) {
    g_autofree char *path = g_strconcat("/v1/reviews/", held->id, NULL);

    call_start(relay,
               &(CallSpec){.url = relay->url,
                           .method = "DELETE",
                           .path = path,
                           .issuer = held->issuer},
               on_withdrawn,
               NULL);
  }
  g_ptr_array_remove(relay->held, held);
}

/* ---- the queue's --------------------------------------------------------- */

static void
begin(Relay *relay, const PendingView *pending, const ReviewAsk *ask)
{
  Held *held = g_new0(Held, 1);

  *held = (Held){.relay = relay,
                 .exchange = g_strdup(ask->exchange),
                 .nonce = g_strdup(pending->nonce),
                 .issuer = g_strdup(pending->request->issuer),
                 .policy_revision = g_strdup(ask->policy_revision),
                 .shape = ask_shape(ask),
                 .masks = ask->masks,
                 .posted_us = clock_wall_us()};
  memcpy(held->id, ask->id, REVIEW_ID_SIZE);
  memcpy(held->digest, ask->digest, SHA256_LEN);
  g_ptr_array_add(relay->held, held);
  if (!ask_is_whole(pending, ask)) {
    held->over = true;
    note(held, "it is too long for reviewers to read");
    return;
  }
  held->body = review_ask_format(ask);
  post(held);
  loop_timer_set(relay->poll, POLL_MS);
}

static void
on_pending(const PendingView *pending, void *data)
{
  Relay *relay = data;
  Held *held = find(relay, pending->request->exchange);
  g_autoptr(ReviewAsk) ask = relay->url ? ask_make(pending) : NULL;
  g_autofree char *shape = ask ? ask_shape(ask) : NULL;

  if (held && (!shape || !g_str_equal(held->nonce, pending->nonce) ||
               !g_str_equal(held->shape, shape))) {
    forget(held);
    held = NULL;
  }
  if (ask && !held)
    begin(relay, pending, ask);
}

static void
on_gone(const char *exchange, Outcome outcome, const char *who, void *data)
{
  Held *held = find(data, exchange);

  (void)outcome;
  (void)who;
  if (held)
    forget(held);
}

/* ---- time -----------------------------------------------------------------
 */

void
held_refresh(Relay *relay)
{
  for (guint i = 0; i < relay->held->len; i++) {
    Held *held = relay->held->pdata[i];

    if (held->over)
      continue;
    if (held->posted)
      fetch(held);
    else
      post(held);
  }
}

static void
on_poll(void *data)
{
  Relay *relay = data;

  held_refresh(relay);
  if (relay->held->len > 0)
    loop_timer_set(relay->poll, POLL_MS);
}

void
held_ended(Relay *relay, const char *id)
{
  for (guint i = 0; i < relay->held->len; i++) {
    Held *held = relay->held->pdata[i];

    if (!held->over && held->posted && g_str_equal(held->id, id)) {
      call_cancel(g_steal_pointer(&held->call));
      fetch(held);
    }
  }
}

void
held_init(Relay *relay)
{
  relay->held = g_ptr_array_new_with_free_func(held_free);
  relay->poll = loop_timer_new(relay->loop, on_poll, relay);
}

void
held_listen(Relay *relay)
{
  static const ApproveListener listener = {on_pending, on_gone};

  approve_listen(relay->approve, &listener, relay);
}

void
held_stop(Relay *relay)
{
  loop_timer_free(relay->poll);
  g_ptr_array_unref(relay->held);
}
