/* SPDX-License-Identifier: Apache-2.0 */
/* Answers and when they suffice. Private to the room. */
#ifndef HOOP_APPROVE_PRIVATE_H
#define HOOP_APPROVE_PRIVATE_H

#include "approve/approve.h"
#include "kit/secret.h"

GivenAnswer *given_answer_copy(const GivenAnswer *answer);
void given_answer_free(void *data);

/* Whether this is whose request it is, as far as anything says so. */
bool is_requester(const HeldRequest *request, const Answerer *by);
/* The reviewers' groups that the request asks and that this person is in; may
 * be empty. g_strfreev. */
char **reviews_of(const HeldRequest *request, const Answerer *by);

/* Whether an answer of this kind counts for it now. */
bool need_asks(const ApproveNeed *need, ApproverKind kind);
/* True when these answers (GivenAnswer) satisfy what the rule asks. */
bool need_is_met(const ApproveNeed *need, const GPtrArray *answers);
/* Why no answers could, where only these kinds (1 << ApproverKind) can answer;
 * NULL: they could. g_free. */
char *need_is_hopeless(const ApproveNeed *need, unsigned kinds);

/* ---- suffice.c */
/* True when these answers meet all that is asked, or do so with what grants say
 * (NULL: there are none): that goes into `used` (GivenAnswer). */
bool request_is_met(const HeldRequest *request,
                    const GPtrArray *answers,
                    Grants *grants,
                    GPtrArray *used);
/* The user's yes is wanted, and a click is not enough for it. */
bool request_wants_presence(const HeldRequest *request,
                            const GPtrArray *answers);
/* Somebody agreed to the masked text only: nothing else may go. */
bool any_masked(const GPtrArray *answers);

/* ---- grants.c */
/* NULL: may be given. g_free. */
char *grants_refusal(Grants *grants,
                     const HeldRequest *request,
                     ApproverKind kind,
                     Answer answer,
                     const GrantTerm *term);
/* After grants_refusal(). The grants'; NULL when it could not be stored. */
const Grant *grants_give(Grants *grants,
                         const HeldRequest *request,
                         const Answerer *by,
                         Answer answer,
                         const char *reason,
                         const GrantTerm *term,
                         GError **error);
/* Appends to `answers` (GivenAnswer) what the grants say to this need of the
 * request; masked ones only if asked for. */
void grants_answer(Grants *grants,
                   const HeldRequest *request,
                   const ApproveNeed *need,
                   bool masked,
                   GPtrArray *answers);
/* The denial that stands against this request, or NULL. The grants'. */
const Grant *grants_denial(Grants *grants, const HeldRequest *request);
/* What it says, as an answer. given_answer_free(). */
GivenAnswer *grant_answer(const Grant *grant);
/* It let a request pass, or denied it. */
void grants_used(Grants *grants, const char *id);

/* ---- grants-file.c: the timed ones as text */
Grant *grant_new(void);
void grant_free(void *data);
void grant_add_rule(Grant *grant,
                    const char *id,
                    const uint8_t digest[SHA256_LEN]);
/* Of Grant; with the boot that until_boot_us counts from and a MAC. Secretless,
 * but for the names. */
char *grants_format(const GPtrArray *grants,
                    const char *boot,
                    const uint8_t key[SHA256_LEN]);
/* The same without MAC line. */
char *grants_format_body(const GPtrArray *grants, const char *boot);
/* The Grants and *boot (g_free) of a text; APPROVE_ERROR_STORE when a byte of
 * it is not as it was written. g_ptr_array_unref. */
GPtrArray *grants_parse(const char *text,
                        size_t len,
                        const uint8_t key[SHA256_LEN],
                        char **boot,
                        GError **error);
GPtrArray *grants_parse_body(const char *text,
                             size_t len,
                             char **boot,
                             GError **error);

#endif
