/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: who may give which to what waits, and what follows from them. */
#include "approve/queue.h"
#include "kit/clock.h"
#include <openssl/crypto.h>
#include <string.h>

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
asks_for(const HeldRequest *request, ApproverKind kind)
{
  for (unsigned i = 0; i < request->needs->len; i++) {
    const ApproveNeed *need = request->needs->pdata[i];

    for (unsigned j = 0; j < need->n_approvers; j++)
      if (need->approvers[j].kind == kind)
        return true;
  }
  return false;
}

/* Why this person is not asked, or NULL. */
static const char *
not_asked(const HeldRequest *request, const Answerer *by, char **reviews)
{
  const bool requester = is_requester(request, by);

  if (!asks_for(request, by->kind))
    return "this kind of approver is not asked";
  /* A second pair of eyes is somebody else's. */
  if (by->kind == APPROVER_REVIEWER && requester)
    return "you asked for it yourself, so somebody else must look at it";
  if (by->kind == APPROVER_REVIEWER && !reviews[0])
    return "you are in none of the groups whose reviewers are asked";
  if (by->kind != APPROVER_REVIEWER && !requester)
    return "it is somebody else's request";
  return NULL;
}

static bool
already_answered(const Prompt *prompt, const Answerer *by)
{
  for (unsigned i = 0; i < prompt->answers->len; i++) {
    const GivenAnswer *given = prompt->answers->pdata[i];
    const bool subject = given->subject && by->subject &&
                         g_strcmp0(given->issuer, by->issuer) == 0 &&
                         g_str_equal(given->subject, by->subject);

    if (given->kind == by->kind &&
        (subject || g_ascii_strcasecmp(given->who, by->user) == 0))
      return true;
  }
  return false;
}

static bool
is_denied(const Prompt *prompt)
{
  for (unsigned i = 0; i < prompt->answers->len; i++)
    if (((const GivenAnswer *)prompt->answers->pdata[i])->answer == ANSWER_DENY)
      return true;
  return false;
}

/* True when it ended. */
static bool
conclude(Prompt *prompt, const char *who, const char *reason)
{
  ApproveQueue *queue = prompt->queue;
  g_autoptr(GPtrArray) used = NULL;

  if (is_denied(prompt)) {
    prompt_end(prompt, OUTCOME_DENIED, who, reason);
    return true;
  }
  used = g_ptr_array_new_with_free_func(given_answer_free);
  if (!request_is_met(prompt->request, prompt->answers, queue->grants, used))
    return false;
  prompt_use_grants(queue, prompt->answers, used);
  prompt_end(prompt,
             any_masked(prompt->answers) ? OUTCOME_APPROVED_MASKED
                                         : OUTCOME_APPROVED,
             who,
             reason);
  return true;
}

/* A fresh grant: what waits may wait for nothing else. */
static void
conclude_others(ApproveQueue *queue, const char *who)
{
  for (unsigned i = 0; i < queue->prompts->len;)
    if (!conclude(queue->prompts->pdata[i], who, NULL))
      i++;
}

/* The prompt, when this answer to it may be given. */
static Prompt *
answerable(ApproveQueue *queue,
           const char *exchange,
           const Answerer *by,
           Answer answer,
           const uint8_t digest[SHA256_LEN],
           const char *nonce,
           GError **error)
{
  Prompt *prompt = find_prompt(queue, exchange);
  g_auto(GStrv) reviews = NULL;
  const char *why;

  if (!prompt) {
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_NOT_FOUND,
                "%s does not wait (any more): it was decided, or its client "
                "left; `hoop-agent why %s` tells",
                exchange,
                exchange);
    return NULL;
  }
  if (!check_answer(prompt, answer, digest, nonce, error))
    return NULL;
  reviews = reviews_of(prompt->request, by);
  why = not_asked(prompt->request, by, reviews);
  if (why) {
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_NOT_ASKED,
                "no answer of yours as %s counts here: %s",
                approver_kind_name(by->kind),
                why);
    return NULL;
  }
  if (already_answered(prompt, by)) {
    g_set_error_literal(error,
                        APPROVE_ERROR,
                        APPROVE_ERROR_DECIDED,
                        "you answered already; others are still asked");
    return NULL;
  }
  return prompt;
}

static void
add_answer(Prompt *prompt,
           const Answerer *by,
           Answer answer,
           const char *reason,
           const char *grant)
{
  GivenAnswer *given = g_new0(GivenAnswer, 1);

  *given = (GivenAnswer){.who = g_strdup(by->user),
                         .issuer = g_strdup(by->issuer),
                         .subject = g_strdup(by->subject),
                         .reviews = by->kind == APPROVER_REVIEWER
                                        ? reviews_of(prompt->request, by)
                                        : NULL,
                         .kind = by->kind,
                         .how = g_strdup(by->how),
                         .grant = g_strdup(grant),
                         .answer = answer,
                         .reason = g_strdup(reason),
                         .wall_us = clock_wall_us()};
  g_ptr_array_add(prompt->answers, given);
  if (!conclude(prompt, by->user, reason))
    prompt_tell(prompt->queue, prompt);
}

bool
approve_answer(ApproveQueue *queue,
               const char *exchange,
               const Answerer *by,
               Answer answer,
               const uint8_t digest[SHA256_LEN],
               const char *nonce,
               const char *reason,
               GError **error)
{
  Prompt *prompt =
      answerable(queue, exchange, by, answer, digest, nonce, error);

  if (prompt)
    add_answer(prompt, by, answer, reason, NULL);
  return prompt != NULL;
}

bool
approve_grant(ApproveQueue *queue,
              const char *exchange,
              const Answerer *by,
              Answer answer,
              const uint8_t digest[SHA256_LEN],
              const char *nonce,
              const char *reason,
              const GrantTerm *term,
              char **id,
              GError **error)
{
  Prompt *prompt =
      answerable(queue, exchange, by, answer, digest, nonce, error);
  g_autofree char *why = NULL;
  const Grant *grant;

  if (!prompt)
    return false;
  if (answer == ANSWER_DENY)
    why = g_strdup("only an approval can be remembered");
  else if (!queue->grants)
    why = g_strdup("nothing is remembered here");
  else
    why = grants_refusal(queue->grants, prompt->request, by->kind, term);
  if (why) {
    g_set_error_literal(error, APPROVE_ERROR, APPROVE_ERROR_GRANT, why);
    return false;
  }
  grant = grants_give(
      queue->grants, prompt->request, by, answer, reason, term, error);
  if (!grant)
    return false;
  *id = g_strdup(grant->id);
  add_answer(prompt, by, answer, reason, *id);
  conclude_others(queue, by->user);
  return true;
}
