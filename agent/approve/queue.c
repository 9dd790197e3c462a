/* SPDX-License-Identifier: Apache-2.0 */
/* The queue: prompts in the order in which they came, each with a deadline,
 * the clients that wait for it and the answers so far. Tickets belong to the
 * thread that holds, prompts to the queue's; they meet by posted calls. */
#include "approve/approve.h"
#include "approve/private.h"
#include "kit/clock.h"
#include <openssl/crypto.h>
#include <string.h>

/* Guards against an answer to an earlier prompt of the same id. */
#define NONCE_BYTES 12

typedef struct prompt Prompt;

struct approve_ticket {
  ApproveQueue *queue;
  Loop *reply_loop;
  void (*decided)(const Decision *decision, void *data);
  void *data;
  bool done;      /* reply_loop's thread: answered or withdrawn */
  Prompt *prompt; /* queue's thread */
  gint refs;      /* one of each thread, one of each call on its way */
};

struct prompt {
  ApproveQueue *queue;
  HeldRequest *request;
  GPtrArray *tickets; /* ApproveTicket, a reference each */
  GPtrArray *answers; /* GivenAnswer */
  LoopTimer *deadline;
  int64_t since_us, deadline_us;
  char nonce[2 * NONCE_BYTES + 1];
};

typedef struct {
  ApproveListener listener;
  void *data;
} Listening;

struct approve_queue {
  Loop *loop;
  ApproveLimits limits;
  GPtrArray *prompts;
  GArray *listening;
};

static void
ticket_unref(void *data)
{
  ApproveTicket *ticket = data;

  if (g_atomic_int_dec_and_test(&ticket->refs))
    g_free(ticket);
}

static ApproveTicket *
ticket_ref(ApproveTicket *ticket)
{
  g_atomic_int_inc(&ticket->refs);
  return ticket;
}

/* ---- The reply: from the queue's thread to the holder's ---------------------
 */

typedef struct {
  ApproveTicket *ticket;
  Outcome outcome;
  char *reason, *exchange;
  GPtrArray *answers;
} Reply;

static void
deliver(void *data)
{
  Reply *reply = data;
  ApproveTicket *ticket = reply->ticket;
  Decision decision = {.outcome = reply->outcome,
                       .reason = reply->reason,
                       .exchange = reply->exchange,
                       .answers = reply->answers};

  if (!ticket->done) {
    ticket->done = true;
    ticket->decided(&decision, ticket->data);
  }
  ticket_unref(ticket);
  g_free(reply->reason);
  g_free(reply->exchange);
  g_ptr_array_unref(reply->answers);
  g_free(reply);
}

/* Takes the ticket's reference. */
static void
reply_to(ApproveTicket *ticket,
         Outcome outcome,
         const char *reason,
         const char *exchange,
         const GPtrArray *answers)
{
  Reply *reply = g_new0(Reply, 1);

  reply->ticket = ticket;
  reply->outcome = outcome;
  reply->reason = g_strdup(reason);
  reply->exchange = g_strdup(exchange);
  reply->answers = g_ptr_array_new_with_free_func(given_answer_free);
  for (unsigned i = 0; answers && i < answers->len; i++)
    g_ptr_array_add(reply->answers, given_answer_copy(answers->pdata[i]));
  ticket->prompt = NULL;
  loop_post(ticket->reply_loop, deliver, reply);
}

/* ---- Prompts: the queue's thread --------------------------------------------
 */

static void
view(const Prompt *prompt, PendingView *out)
{
  *out = (PendingView){.request = prompt->request,
                       .nonce = prompt->nonce,
                       .since_us = prompt->since_us,
                       .deadline_us = prompt->deadline_us,
                       .waiting = prompt->tickets->len};
}

static void
prompt_free(Prompt *prompt)
{
  loop_timer_free(prompt->deadline);
  held_request_free(prompt->request);
  g_ptr_array_unref(prompt->tickets);
  g_ptr_array_unref(prompt->answers);
  g_free(prompt);
}

/* Answers everybody who waits for it, tells the listeners, forgets it. */
static void
prompt_end(Prompt *prompt, Outcome outcome, const char *who, const char *reason)
{
  ApproveQueue *queue = prompt->queue;
  const char *exchange = prompt->request->exchange;

  g_ptr_array_remove(queue->prompts, prompt);
  for (unsigned i = 0; i < prompt->tickets->len; i++)
    reply_to(ticket_ref(prompt->tickets->pdata[i]),
             outcome,
             reason,
             exchange,
             prompt->answers);
  for (unsigned i = 0; i < queue->listening->len; i++) {
    Listening *one = &g_array_index(queue->listening, Listening, i);

    one->listener.gone(exchange, outcome, who, one->data);
  }
  prompt_free(prompt);
}

static void
deadline(void *data)
{
  prompt_end(data, OUTCOME_TIMEOUT, NULL, NULL);
}

static Prompt *
prompt_new(ApproveQueue *queue, HeldRequest *request)
{
  Prompt *prompt = g_new0(Prompt, 1);
  uint8_t nonce[NONCE_BYTES];

  random_bytes(nonce, sizeof nonce);
  hex_encode(nonce, sizeof nonce, prompt->nonce);
  prompt->queue = queue;
  prompt->request = request;
  prompt->tickets = g_ptr_array_new_with_free_func(ticket_unref);
  prompt->answers = g_ptr_array_new_with_free_func(given_answer_free);
  prompt->since_us = clock_wall_us();
  prompt->deadline_us =
      prompt->since_us + (int64_t)request->timeout * G_USEC_PER_SEC;
  prompt->deadline = loop_timer_new(queue->loop, deadline, prompt);
  loop_timer_set(prompt->deadline, 1000 * (int64_t)request->timeout);
  g_ptr_array_add(queue->prompts, prompt);
  return prompt;
}

/* What is asked depends on more than the bytes: headers, session, rates. */
static bool
same_needs(const HeldRequest *a, const HeldRequest *b)
{
  if (a->needs->len != b->needs->len)
    return false;
  for (unsigned i = 0; i < a->needs->len; i++) {
    const ApproveNeed *one = a->needs->pdata[i], *other = b->needs->pdata[i];

    if (g_strcmp0(one->rule_id, other->rule_id) != 0)
      return false;
  }
  return true;
}

static bool
same_request(const HeldRequest *a, const HeldRequest *b)
{
  return memcmp(a->digest, b->digest, SHA256_LEN) == 0 &&
         memcmp(a->masked_digest, b->masked_digest, SHA256_LEN) == 0 &&
         a->can_mask == b->can_mask && same_needs(a, b) &&
         g_strcmp0(a->user, b->user) == 0 &&
         g_strcmp0(a->client, b->client) == 0 &&
         g_strcmp0(a->policy_revision, b->policy_revision) == 0;
}

static Prompt *
find_equal(ApproveQueue *queue, const HeldRequest *request)
{
  for (unsigned i = 0; i < queue->prompts->len; i++) {
    Prompt *prompt = queue->prompts->pdata[i];

    if (same_request(prompt->request, request))
      return prompt;
  }
  return NULL;
}

/* Why nobody could approve it; NULL: somebody could. */
static char *
hopeless(const ApproveQueue *queue, const HeldRequest *request)
{
  char *why = NULL;

  for (unsigned i = 0; i < request->needs->len && !why; i++)
    why = need_is_hopeless(request->needs->pdata[i], queue->limits.kinds);
  return why;
}

/* NULL when there is room; otherwise why there is none. */
static const char *
no_room(const ApproveQueue *queue, const char *client)
{
  unsigned mine = 0;

  if (queue->prompts->len >= queue->limits.max_pending)
    return "as many requests wait for an approval as [approval] max-pending "
           "allows";
  for (unsigned i = 0; i < queue->prompts->len; i++) {
    const Prompt *prompt = queue->prompts->pdata[i];

    mine += g_strcmp0(prompt->request->client, client) == 0;
  }
  if (mine >= queue->limits.max_per_client)
    return "this program has as many requests waiting as one may have";
  return NULL;
}

typedef struct {
  ApproveTicket *ticket;
  HeldRequest *request;
} Enter;

static void
tell_pending(ApproveQueue *queue, const Prompt *prompt)
{
  PendingView pending;

  view(prompt, &pending);
  for (unsigned i = 0; i < queue->listening->len; i++) {
    Listening *one = &g_array_index(queue->listening, Listening, i);

    one->listener.pending(&pending, one->data);
  }
}

static void
enter(void *data)
{
  Enter *call = data;
  ApproveQueue *queue = call->ticket->queue;
  HeldRequest *request = call->request;
  Prompt *prompt = find_equal(queue, request);
  g_autofree char *never = prompt ? NULL : hopeless(queue, request);
  const char *why = prompt || never ? never : no_room(queue, request->client);

  if (why) {
    reply_to(call->ticket, OUTCOME_REFUSED, why, request->exchange, NULL);
    held_request_free(request);
    g_free(call);
    return;
  }
  if (prompt)
    held_request_free(request);
  else
    prompt = prompt_new(queue, request);
  call->ticket->prompt = prompt;
  g_ptr_array_add(prompt->tickets, call->ticket);
  tell_pending(queue, prompt);
  g_free(call);
}

static void
leave(void *data)
{
  ApproveTicket *ticket = data;
  Prompt *prompt = ticket->prompt;

  if (prompt) {
    ticket->prompt = NULL;
    g_ptr_array_remove(prompt->tickets, ticket);
    if (!prompt->tickets->len)
      prompt_end(prompt, OUTCOME_WITHDRAWN, NULL, NULL);
    else
      tell_pending(prompt->queue, prompt);
  }
  ticket_unref(ticket);
}

/* ---- Answers
 * ----------------------------------------------------------------- */

static Prompt *
find_prompt(ApproveQueue *queue, const char *exchange)
{
  for (unsigned i = 0; i < queue->prompts->len; i++) {
    Prompt *prompt = queue->prompts->pdata[i];

    if (g_str_equal(prompt->request->exchange, exchange))
      return prompt;
  }
  return NULL;
}

static bool
check_answer(const Prompt *prompt,
             Answer answer,
             const uint8_t digest[SHA256_LEN],
             const char *nonce,
             GError **error)
{
  const HeldRequest *request = prompt->request;
  bool original = memcmp(digest, request->digest, SHA256_LEN) == 0;
  bool masked = memcmp(digest, request->masked_digest, SHA256_LEN) == 0;

  if (strlen(nonce) != strlen(prompt->nonce) ||
      CRYPTO_memcmp(nonce, prompt->nonce, strlen(nonce)) != 0 ||
      (!original && !masked)) {
    g_set_error_literal(error,
                        APPROVE_ERROR,
                        APPROVE_ERROR_DIGEST,
                        "this answer belongs to another request; look at it "
                        "again with `hoop-agent pending`");
    return false;
  }
  if (answer == ANSWER_APPROVE && !original) {
    g_set_error_literal(error,
                        APPROVE_ERROR,
                        APPROVE_ERROR_DIGEST,
                        "who was shown the masked text can approve only that");
    return false;
  }
  if (answer == ANSWER_APPROVE_MASKED && !request->can_mask) {
    g_set_error_literal(error,
                        APPROVE_ERROR,
                        APPROVE_ERROR_UNMASKABLE,
                        "there is nothing to mask in this request: approve or "
                        "deny it");
    return false;
  }
  return true;
}

static bool
is_asked(const Prompt *prompt, ApproverKind kind, const char *who)
{
  const HeldRequest *request = prompt->request;

  /* A second pair of eyes is somebody else's. */
  if (kind == APPROVER_REVIEWER && g_strcmp0(who, request->user) == 0)
    return false;
  for (unsigned i = 0; i < request->needs->len; i++) {
    const ApproveNeed *need = request->needs->pdata[i];

    for (unsigned j = 0; j < need->n_approvers; j++)
      if (need->approvers[j].kind == kind)
        return true;
  }
  return false;
}

static bool
already_answered(const Prompt *prompt, ApproverKind kind, const char *who)
{
  for (unsigned i = 0; i < prompt->answers->len; i++) {
    const GivenAnswer *given = prompt->answers->pdata[i];

    if (given->kind == kind && g_str_equal(given->who, who))
      return true;
  }
  return false;
}

static void
conclude(Prompt *prompt, const char *who, const char *reason)
{
  bool masked = false;

  for (unsigned i = 0; i < prompt->answers->len; i++) {
    const GivenAnswer *given = prompt->answers->pdata[i];

    if (given->answer == ANSWER_DENY) {
      prompt_end(prompt, OUTCOME_DENIED, who, reason);
      return;
    }
    /* Somebody agreed to the masked text only: nothing else may go. */
    masked = masked || given->answer == ANSWER_APPROVE_MASKED;
  }
  for (unsigned i = 0; i < prompt->request->needs->len; i++)
    if (!need_is_met(prompt->request->needs->pdata[i], prompt->answers)) {
      tell_pending(prompt->queue, prompt);
      return;
    }
  prompt_end(
      prompt, masked ? OUTCOME_APPROVED_MASKED : OUTCOME_APPROVED, who, reason);
}

bool
approve_answer(ApproveQueue *queue,
               const char *exchange,
               ApproverKind kind,
               const char *who,
               const char *how,
               Answer answer,
               const uint8_t digest[SHA256_LEN],
               const char *nonce,
               const char *reason,
               GError **error)
{
  Prompt *prompt = find_prompt(queue, exchange);
  GivenAnswer *given;

  if (!prompt) {
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_NOT_FOUND,
                "%s does not wait (any more): it was decided, or its client "
                "left; `hoop-agent why %s` tells",
                exchange,
                exchange);
    return false;
  }
  if (!check_answer(prompt, answer, digest, nonce, error))
    return false;
  if (!is_asked(prompt, kind, who)) {
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_NOT_ASKED,
                "the rule does not ask a %s (or not you)",
                approver_kind_name(kind));
    return false;
  }
  if (already_answered(prompt, kind, who)) {
    g_set_error_literal(error,
                        APPROVE_ERROR,
                        APPROVE_ERROR_DECIDED,
                        "you answered already; others are still asked");
    return false;
  }
  given = g_new0(GivenAnswer, 1);
  *given = (GivenAnswer){.who = g_strdup(who),
                         .kind = kind,
                         .how = g_strdup(how),
                         .answer = answer,
                         .reason = g_strdup(reason),
                         .wall_us = clock_wall_us()};
  g_ptr_array_add(prompt->answers, given);
  conclude(prompt, who, reason);
  return true;
}

void
approve_pending(ApproveQueue *queue,
                void (*each)(const PendingView *pending, void *data),
                void *data)
{
  PendingView pending;

  for (unsigned i = 0; i < queue->prompts->len; i++) {
    view(queue->prompts->pdata[i], &pending);
    each(&pending, data);
  }
}

/* ---- Life
 * --------------------------------------------------------------------- */

ApproveQueue *
approve_queue_new(Loop *loop, const ApproveLimits *limits)
{
  ApproveQueue *queue = g_new0(ApproveQueue, 1);

  queue->loop = loop;
  queue->limits = *limits;
  queue->prompts = g_ptr_array_new();
  queue->listening = g_array_new(FALSE, FALSE, sizeof(Listening));
  return queue;
}

void
approve_queue_free(ApproveQueue *queue)
{
  if (!queue)
    return;
  while (queue->prompts->len)
    prompt_end(
        queue->prompts->pdata[0], OUTCOME_REFUSED, NULL, "the agent stopped");
  g_ptr_array_unref(queue->prompts);
  g_array_unref(queue->listening);
  g_free(queue);
}

void
approve_listen(ApproveQueue *queue, const ApproveListener *listener, void *data)
{
  Listening one = {*listener, data};

  g_array_append_val(queue->listening, one);
}

ApproveTicket *
approve_hold(ApproveQueue *queue,
             HeldRequest *request,
             Loop *reply_loop,
             void (*decided)(const Decision *decision, void *data),
             void *data)
{
  ApproveTicket *ticket = g_new0(ApproveTicket, 1);
  Enter *call = g_new0(Enter, 1);

  ticket->queue = queue;
  ticket->reply_loop = reply_loop;
  ticket->decided = decided;
  ticket->data = data;
  ticket->refs = 2;
  call->ticket = ticket;
  call->request = request;
  loop_post(queue->loop, enter, call);
  return ticket;
}

void
approve_withdraw(ApproveTicket *ticket)
{
  if (!ticket)
    return;
  ticket->done = true;
  loop_post(ticket->queue->loop, leave, ticket); /* with our reference */
}

void
approve_ticket_free(ApproveTicket *ticket)
{
  if (ticket)
    ticket_unref(ticket);
}
