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
  Decision decision; /* with … */
  char *reason, *exchange;
  GPtrArray *answers;
} Reply;

static void
deliver(void *data)
{
  Reply *reply = data;
  ApproveTicket *ticket = reply->ticket;

  if (!ticket->done) {
    ticket->done = true;
    ticket->decided(&reply->decision, ticket->data);
  }
  ticket_unref(ticket);
  g_free(reply->reason);
  g_free(reply->exchange);
  g_ptr_array_unref(reply->answers);
  g_free(reply);
}

/* Takes the ticket's reference; copies what the decision refers to. */
static void
reply_to(ApproveTicket *ticket, const Decision *decision)
{
  const GPtrArray *answers = decision->answers;
  Reply *reply = g_new0(Reply, 1);

  reply->ticket = ticket;
  reply->reason = g_strdup(decision->reason);
  reply->exchange = g_strdup(decision->exchange);
  reply->answers = g_ptr_array_new_with_free_func(given_answer_free);
  for (unsigned i = 0; answers && i < answers->len; i++)
    g_ptr_array_add(reply->answers, given_answer_copy(answers->pdata[i]));
  reply->decision = *decision;
  reply->decision.reason = reply->reason;
  reply->decision.exchange = reply->exchange;
  reply->decision.answers = reply->answers;
  ticket->prompt = NULL;
  loop_post(ticket->reply_loop, deliver, reply);
}

/* ---- Prompts: the queue's thread --------------------------------------------
 */

static void
view(Prompt *prompt, PendingView *out)
{
  times_refresh(prompt);
  *out = (PendingView){
      .request = prompt->request,
      .nonce = prompt->nonce,
      .since_us = prompt->since_us,
      .deadline_us = prompt->deadline_us,
      .waiting = prompt->tickets->len,
      .presence = request_wants_presence(prompt->request, prompt->answers),
      .extensions = times_extensions(prompt),
      .extend_us = times_extension_us(prompt),
      .escalate_us = times_escalate_us(prompt),
      .answers = prompt->answers};
}

static void
prompt_free(Prompt *prompt)
{
  times_stop(prompt);
  g_free(prompt->note);
  held_request_free(prompt->request);
  g_ptr_array_unref(prompt->tickets);
  g_ptr_array_unref(prompt->answers);
  g_free(prompt);
}

static bool
is_escalated(const HeldRequest *request)
{
  for (unsigned i = 0; i < request->needs->len; i++)
    if (((const ApproveNeed *)request->needs->pdata[i])->escalated)
      return true;
  return false;
}

void
prompt_end(Prompt *prompt, Outcome outcome, const char *who, const char *reason)
{
  ApproveQueue *queue = prompt->queue;
  const char *exchange = prompt->request->exchange;
  const Decision decision = {.outcome = outcome,
                             .escalated = is_escalated(prompt->request),
                             .extended = prompt->extended,
                             .reason = reason,
                             .exchange = exchange,
                             .answers = prompt->answers};

  g_ptr_array_remove(queue->prompts, prompt);
  for (unsigned i = 0; i < prompt->tickets->len; i++)
    reply_to(ticket_ref(prompt->tickets->pdata[i]), &decision);
  for (unsigned i = 0; i < queue->listening->len; i++) {
    Listening *one = &g_array_index(queue->listening, Listening, i);

    one->listener.gone(exchange, outcome, who, one->data);
  }
  prompt_free(prompt);
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
  times_start(prompt);
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

  if (queue->stopping)
    return "the agent is stopping";
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
prompt_tell(ApproveQueue *queue, Prompt *prompt)
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
  Decision decision = {.exchange = request->exchange, .answers = none};

  if (!request_is_met(request, none, queue->grants, used))
    return false;
  prompt_use_grants(queue, none, used);
  decision.outcome =
      any_masked(none) ? OUTCOME_APPROVED_MASKED : OUTCOME_APPROVED;
  reply_to(ticket, &decision);
  return true;
}

char *
denial_reason(const Grant *denial)
{
  return g_strdup_printf("%s%s%s denied what is like this (%s); `hoop-agent "
                         "grants revoke %s` ends that",
                         denial->reason ?: "",
                         denial->reason ? ": " : "",
                         denial->who,
                         denial->id,
                         denial->id);
}

/* Nor is what was denied before. */
static bool
denied(ApproveQueue *queue, ApproveTicket *ticket, const HeldRequest *request)
{
  const Grant *denial = grants_denial(queue->grants, request);
  g_autoptr(GPtrArray) answers = NULL;
  g_autofree char *reason = NULL;
  Decision decision = {.outcome = OUTCOME_DENIED,
                       .exchange = request->exchange};

  if (!denial)
    return false;
  answers = g_ptr_array_new_with_free_func(given_answer_free);
  g_ptr_array_add(answers, grant_answer(denial));
  reason = denial_reason(denial);
  decision.answers = answers;
  decision.reason = reason;
  grants_used(queue->grants, denial->id);
  reply_to(ticket, &decision);
  return true;
}

static bool
decided_before(ApproveQueue *queue,
               ApproveTicket *ticket,
               const HeldRequest *request)
{
  return queue->grants &&
         (denied(queue, ticket, request) || granted(queue, ticket, request));
}

static bool
has_place(ApproveQueue *queue, ApproveTicket *ticket, HeldRequest *request)
{
  g_autofree char *never = hopeless(queue, request);
  const Decision refused = {.outcome = OUTCOME_REFUSED,
                            .reason = never ?: no_room(queue, request->client),
                            .exchange = request->exchange};

  if (refused.reason)
    reply_to(ticket, &refused);
  return !refused.reason;
}

static void
enter(void *data)
{
  Enter *call = data;
  ApproveQueue *queue = call->ticket->queue;
  ApproveTicket *ticket = call->ticket;
  g_autoptr(HeldRequest) request = call->request;
  Prompt *prompt = find_equal(queue, request);

  g_free(call);
  if (!prompt && (decided_before(queue, ticket, request) ||
                  !has_place(queue, ticket, request)))
    return;
  if (!prompt)
    prompt = prompt_new(queue, g_steal_pointer(&request));
  ticket->prompt = prompt;
  g_ptr_array_add(prompt->tickets, ticket);
  prompt_tell(queue, prompt);
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
      prompt_end(prompt,
                 prompt->queue->stopping ? OUTCOME_REFUSED : OUTCOME_WITHDRAWN,
                 NULL,
                 NULL);
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
  if (!queue->limits.boot_us)
    queue->limits.boot_us = clock_boot_us;
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
approve_set_kinds(ApproveQueue *queue, unsigned kinds)
{
  queue->limits.kinds = kinds;
}

void
approve_stop(ApproveQueue *queue)
{
  queue->stopping = true;
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
