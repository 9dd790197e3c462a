/* SPDX-License-Identifier: Apache-2.0 */
/* The queue: prompts in the order in which they came and the clients that wait
 * for them. Tickets belong to the thread that holds, prompts to the queue's;
 * they meet by posted calls. */
#include "approve/queue.h"
#include "kit/clock.h"
#include <string.h>

struct approve_ticket {
  ApproveQueue *queue;
  Loop *reply_loop;
  void (*decided)(const Decision *decision, void *data);
  void *data;
  bool done;      /* reply_loop's thread: answered or withdrawn */
  Prompt *prompt; /* queue's thread */
  gint refs;      /* one of each thread, one of each call on its way */
};

typedef struct {
  ApproveListener listener;
  void *data;
} Listening;

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

void
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
         g_strcmp0(a->issuer, b->issuer) == 0 &&
         g_strcmp0(a->subject, b->subject) == 0 &&
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

void
prompt_tell(ApproveQueue *queue, const Prompt *prompt)
{
  PendingView pending;

  view(prompt, &pending);
  for (unsigned i = 0; i < queue->listening->len; i++) {
    Listening *one = &g_array_index(queue->listening, Listening, i);

    one->listener.pending(&pending, one->data);
  }
}

void
prompt_use_grants(ApproveQueue *queue, GPtrArray *answers, GPtrArray *used)
{
  for (unsigned i = 0; i < used->len; i++)
    grants_used(queue->grants, ((const GivenAnswer *)used->pdata[i])->grant);
  g_ptr_array_extend_and_steal(answers, g_ptr_array_ref(used));
}

/* What was granted before is asked of nobody. */
static bool
granted(ApproveQueue *queue, ApproveTicket *ticket, const HeldRequest *request)
{
  g_autoptr(GPtrArray) none = g_ptr_array_new_with_free_func(given_answer_free);
  g_autoptr(GPtrArray) used = g_ptr_array_new_with_free_func(given_answer_free);

  if (!queue->grants || !request_is_met(request, none, queue->grants, used))
    return false;
  prompt_use_grants(queue, none, used);
  reply_to(ticket,
           any_masked(none) ? OUTCOME_APPROVED_MASKED : OUTCOME_APPROVED,
           NULL,
           request->exchange,
           none);
  return true;
}

static void
enter(void *data)
{
  Enter *call = data;
  ApproveQueue *queue = call->ticket->queue;
  HeldRequest *request = call->request;
  Prompt *prompt = find_equal(queue, request);
  g_autofree char *never = NULL;
  const char *why;

  if (!prompt && granted(queue, call->ticket, request)) {
    held_request_free(request);
    g_free(call);
    return;
  }
  never = prompt ? NULL : hopeless(queue, request);
  why = prompt || never ? never : no_room(queue, request->client);
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
  prompt_tell(queue, prompt);
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
      prompt_tell(prompt->queue, prompt);
  }
  ticket_unref(ticket);
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
approve_use_grants(ApproveQueue *queue, Grants *grants)
{
  queue->grants = grants;
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
