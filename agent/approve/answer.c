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
another(GError **error)
{
  g_set_error_literal(error,
                      APPROVE_ERROR,
                      APPROVE_ERROR_DIGEST,
                      "this answer belongs to another request; look at it "
                      "again with `hoop-agent pending`");
  return false;
}

static bool
check_nonce(const Prompt *prompt, const char *nonce, GError **error)
{
  if (strlen(nonce) == strlen(prompt->nonce) &&
      CRYPTO_memcmp(nonce, prompt->nonce, strlen(nonce)) == 0)
    return true;
  return another(error);
}

void
approve_note(ApproveQueue *queue, const char *exchange, const char *why)
{
  Prompt *prompt = find_prompt(queue, exchange);

  if (!prompt)
    return;
  g_free(prompt->note);
  prompt->note = g_strdup(why);
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

  if (!check_nonce(prompt, nonce, error))
    return false;
  if (!original && !masked)
    return another(error);
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
  for (unsigned i = 0; i < request->needs->len; i++)
    if (need_asks(request->needs->pdata[i], kind))
      return true;
  return false;
}

/* Why this person is not asked, or NULL. Whoever wanted it may stop it. */
static const char *
not_asked(const HeldRequest *request,
          const Answerer *by,
          Answer answer,
          char **reviews)
{
  const bool requester = is_requester(request, by);

  if (answer == ANSWER_DENY && by->kind == APPROVER_DEVELOPER && requester)
    return NULL;
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

/* What was denied before is denied again. */
static bool
denied_before(Prompt *prompt, const char *who)
{
  ApproveQueue *queue = prompt->queue;
  const Grant *denial =
      queue->grants ? grants_denial(queue->grants, prompt->request) : NULL;
  g_autofree char *why = NULL;

  if (!denial)
    return false;
  grants_used(queue->grants, denial->id);
  g_ptr_array_add(prompt->answers, grant_answer(denial));
  why = denial_reason(denial);
  prompt_end(prompt, OUTCOME_DENIED, who, why);
  return true;
}

bool
prompt_conclude(Prompt *prompt, const char *who, const char *reason)
{
  ApproveQueue *queue = prompt->queue;
  g_autoptr(GPtrArray) used = NULL;

  if (is_denied(prompt)) {
    prompt_end(prompt, OUTCOME_DENIED, who, reason);
    return true;
  }
  if (denied_before(prompt, who))
    return true;
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
    if (!prompt_conclude(queue->prompts->pdata[i], who, NULL))
      i++;
}

static Prompt *
find_waiting(ApproveQueue *queue, const char *exchange, GError **error)
{
  Prompt *prompt = find_prompt(queue, exchange);

  if (!prompt)
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_NOT_FOUND,
                "%s does not wait (any more): it was decided, or its client "
                "left; `hoop-agent why %s` tells",
                exchange,
                exchange);
  return prompt;
}

static bool
check_asked(const Prompt *prompt,
            const Answerer *by,
            Answer answer,
            GError **error)
{
  g_auto(GStrv) reviews = reviews_of(prompt->request, by);
  const char *why = not_asked(prompt->request, by, answer, reviews);

  if (why)
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_NOT_ASKED,
                "no answer of yours as %s counts here: %s",
                approver_kind_name(by->kind),
                why);
  return !why;
}

static bool
check_reason(const Prompt *prompt,
             Answer answer,
             const char *reason,
             GError **error)
{
  if (answer == ANSWER_DENY || !held_needs_reason(prompt->request) ||
      (reason && reason[strspn(reason, " \t\r\n")]))
    return true;
  g_set_error_literal(error,
                      APPROVE_ERROR,
                      APPROVE_ERROR_REASON,
                      "an approval of this takes a reason (--reason)");
  return false;
}

/* The prompt, when this answer to it may be given. */
static Prompt *
answerable(ApproveQueue *queue,
           const char *exchange,
           const Answerer *by,
           Answer answer,
           const uint8_t digest[SHA256_LEN],
           const char *nonce,
           const char *reason,
           GError **error)
{
  Prompt *prompt = find_waiting(queue, exchange, error);

  if (!prompt || !check_answer(prompt, answer, digest, nonce, error) ||
      !check_asked(prompt, by, answer, error) ||
      !check_reason(prompt, answer, reason, error))
    return NULL;
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
  if (!prompt_conclude(prompt, by->user, reason))
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
      answerable(queue, exchange, by, answer, digest, nonce, reason, error);

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
      answerable(queue, exchange, by, answer, digest, nonce, reason, error);
  g_autofree char *why = NULL;
  const Grant *grant;

  if (!prompt)
    return false;
  if (!queue->grants)
    why = g_strdup("nothing is remembered here");
  else
    why =
        grants_refusal(queue->grants, prompt->request, by->kind, answer, term);
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

bool
approve_check(ApproveQueue *queue,
              const char *exchange,
              const Answerer *by,
              Answer answer,
              const uint8_t digest[SHA256_LEN],
              const char *nonce,
              const char *reason,
              GError **error)
{
  return answerable(
             queue, exchange, by, answer, digest, nonce, reason, error) != NULL;
}

bool
approve_wants(ApproveQueue *queue, const char *exchange, const Answerer *by)
{
  const Prompt *prompt = find_prompt(queue, exchange);

  return prompt && check_asked(prompt, by, ANSWER_APPROVE, NULL) &&
         !already_answered(prompt, by);
}

/* ---- More time -----------------------------------------------------------
 */

bool
approve_extend(ApproveQueue *queue,
               const char *exchange,
               const Answerer *by,
               const char *nonce,
               int64_t *deadline_us,
               GError **error)
{
  Prompt *prompt = find_waiting(queue, exchange, error);

  if (!prompt || !check_nonce(prompt, nonce, error))
    return false;
  /* Whose request it is may want time for others, too. */
  if (!is_requester(prompt->request, by) &&
      !check_asked(prompt, by, ANSWER_APPROVE, error))
    return false;
  if (!times_extend(prompt)) {
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_EXTEND,
                "%s cannot wait longer: its rules allow no more time, or it "
                "would be held for more than an hour",
                exchange);
    return false;
  }
  *deadline_us = prompt->deadline_us;
  prompt_tell(queue, prompt);
  return true;
}
