/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent and the hub say to each other about a review: the request for
 * one, the signed decision, and the keys of both. hoop-hub(7) has the forms. */
#ifndef HOOP_REVIEW_H
#define HOOP_REVIEW_H

#include "kit/digest.h"
#include "kit/signing.h"
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REVIEW_ERROR (review_error_quark())
GQuark review_error_quark(void);
typedef enum {
  REVIEW_ERROR_FORM,  /* not the JSON that hoop-hub(7) describes */
  REVIEW_ERROR_FORGED /* a signature that is not the key's */
} ReviewErrorCode;

/* ---- Signatures: Ed25519 ----------------------------------------------------
 */

/* Signs len bytes, said to be about `context` (a line that no other use has).
 * False when libcrypto failed. Any thread. */
bool review_sign(const SigningKey *key,
                 const char *context,
                 const void *bytes,
                 size_t len,
                 uint8_t out[SIGNATURE_LEN]);
bool review_verify(const uint8_t public_key[SIGNING_KEY_LEN],
                   const char *context,
                   const void *bytes,
                   size_t len,
                   const uint8_t signature[SIGNATURE_LEN]);

/* Contexts. */
#define REVIEW_CONTEXT_DECISION "hoop-hub decision 1"
#define REVIEW_CONTEXT_MACHINE "hoop-hub machine 1" /* issuer \n subject */
#define REVIEW_CONTEXT_REQUEST "hoop-hub request 1" /* the body */
#define REVIEW_CONTEXT_RECEIPT "hoop-hub receipt 1"

/* ---- The request for a review ---------------------------------------------
 */

#define REVIEW_ID_BYTES 16
#define REVIEW_ID_SIZE (2 * REVIEW_ID_BYTES + 1)
/* Of the shown text; what is longer nobody reads on a screen. */
#define REVIEW_MAX_TEXT ((size_t)2 << 20)
/* Of a reason or a justification. */
#define REVIEW_MAX_REASON 1000
#define REVIEW_MAX_RULES 32
#define REVIEW_MAX_GROUPS 16

/* What one rule asks of reviewers: `count` distinct people of any of the
 * groups, or (each) one for every group, nobody for two. */
typedef struct {
  char *id, *message; /* message may be NULL */
  char **groups;
  unsigned count;
  bool each;
} ReviewRule;

typedef struct {
  char id[REVIEW_ID_SIZE]; /* lower-case hex, random: the agent's own */
  char *exchange;
  uint8_t digest[SHA256_LEN]; /* of what is shown and may be approved */
  bool masks; /* it is the masked text: only that can be approved */
  char *policy_revision;
  GPtrArray *rules; /* ReviewRule; one at least */
  char *client, *process, *connection, *host, *api, *model; /* or NULL */
  char *text; /* the prompt as it would go out, masked where `masks` */
  unsigned n_findings;
  bool needs_reason;   /* an approval comes with a reason */
  char *justification; /* or NULL */
  int64_t deadline_us; /* wall clock */
} ReviewAsk;

ReviewAsk *review_ask_new(void);
void review_ask_free(ReviewAsk *ask);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReviewAsk, review_ask_free)
ReviewRule *review_ask_add_rule(ReviewAsk *ask,
                                const char *id,
                                const char *message,
                                const char *const *groups,
                                unsigned count,
                                bool each);
/* One JSON object; g_free. */
char *review_ask_format(const ReviewAsk *ask);
/* The inverse, strictly: unknown members, a name twice and anything beyond the
 * limits above are REVIEW_ERROR_FORM, which names the member, never its value.
 */
ReviewAsk *review_ask_parse(const char *text, size_t len, GError **error);

/* ---- The decision ----------------------------------------------------------
 */

typedef enum {
  REVIEW_APPROVED,
  REVIEW_APPROVED_MASKED,
  REVIEW_DENIED
} ReviewOutcome;
/* "approved", "approved-masked", "denied". */
const char *review_outcome_name(ReviewOutcome outcome);
bool review_outcome_from_name(const char *name, ReviewOutcome *out);

/* One reviewer's answer, as the hub knows the person. */
typedef struct {
  char *issuer, *subject, *user;
  char **groups; /* of those that were asked */
  ReviewOutcome answer;
  char *reason; /* or NULL */
  int64_t at_us;
} ReviewVoice;
void review_voice_free(void *voice);

typedef struct {
  char id[REVIEW_ID_SIZE];
  uint8_t digest[SHA256_LEN];
  char *policy_revision;
  ReviewOutcome outcome;
  GPtrArray *voices; /* ReviewVoice, in order */
  int64_t issued_us, expires_us;
} ReviewDecision;

ReviewDecision *review_decision_new(void);
void review_decision_free(ReviewDecision *decision);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReviewDecision, review_decision_free)

/* The bytes that are signed: every field in order, texts behind their length
 * (32 bits, big endian; an absent one is all ones), numbers in 64 bits, lists
 * behind their count. No two decisions have the same. */
GByteArray *review_decision_encode(const ReviewDecision *decision);

/* One JSON object with the signature by this key; NULL when libcrypto failed.
 * g_free. */
char *review_decision_seal(const ReviewDecision *decision,
                           const SigningKey *key);
/* The decision of such an object, when this public key signed it; form and
 * signature are all that is checked here. REVIEW_ERROR_FORM or _FORGED. */
ReviewDecision *review_decision_open(const char *text,
                                     size_t len,
                                     const uint8_t public_key[SIGNING_KEY_LEN],
                                     GError **error);

/* ---- What else is sent to the hub ------------------------------------------
 */

/* An answer: {"answer", "digest" of what was shown, "reason"}. */
typedef struct {
  ReviewOutcome answer;
  uint8_t digest[SHA256_LEN];
  char *reason; /* or NULL */
} ReviewReply;
void review_reply_clear(ReviewReply *reply);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ReviewReply, review_reply_clear)
char *review_reply_format(const ReviewReply *reply);
bool review_reply_parse(const char *text,
                        size_t len,
                        ReviewReply *out,
                        GError **error);

/* A machine that is to be bound to the person who sends this: its key, its
 * name, and its signature (REVIEW_CONTEXT_MACHINE) over the person's issuer, a
 * line's end and subject. */
typedef struct {
  uint8_t public_key[SIGNING_KEY_LEN];
  uint8_t signature[SIGNATURE_LEN];
  char *name;
} ReviewMachine;
void review_machine_clear(ReviewMachine *machine);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ReviewMachine, review_machine_clear)
/* NULL when libcrypto failed. g_free. */
char *review_machine_format(const SigningKey *key,
                            const char *name,
                            const char *issuer,
                            const char *subject);
/* Form alone; review_machine_is_of() checks the signature. */
bool review_machine_parse(const char *text,
                          size_t len,
                          ReviewMachine *out,
                          GError **error);
bool review_machine_is_of(const ReviewMachine *machine,
                          const char *issuer,
                          const char *subject);
/* The id under which the hub knows a machine: the first half of its key's
 * SHA-256 in hex. g_free. */
char *review_machine_id(const uint8_t public_key[SIGNING_KEY_LEN]);

/* A request's body signed by the machine, for the header REVIEW_HEADER: its id,
 * a colon and the signature in hex. NULL when libcrypto failed. g_free. */
#define REVIEW_HEADER "Hoop-Machine"
char *review_request_sign(const SigningKey *key, const void *body, size_t len);
/* False when it has not this form. */
bool review_request_parse(const char *header,
                          char **id,
                          uint8_t signature[SIGNATURE_LEN]);

/* ---- Receipts: what a receiver of the record holds -------------------------
 */

#define REVIEW_MACHINE_ID_BYTES 16
#define REVIEW_MACHINE_ID_SIZE (2 * REVIEW_MACHINE_ID_BYTES + 1)
#define REVIEW_JOURNAL_ID_BYTES 16
#define REVIEW_JOURNAL_ID_SIZE (2 * REVIEW_JOURNAL_ID_BYTES + 1)

/* The receiver holds a journal, whole, up to row `seq`, whose hash is `hash`:
 * that of the newest checkpoint which it has. */
typedef struct {
  char machine[REVIEW_MACHINE_ID_SIZE]; /* review_machine_id(); "": the receiver
                                           knows no machines */
  char journal[REVIEW_JOURNAL_ID_SIZE]; /* hoop.chain.journal: lower-case hex */
  int64_t seq;
  uint8_t hash[SHA256_LEN];
  int64_t time_us; /* wall clock of who signs */
  uint8_t public_key[SIGNING_KEY_LEN];
  uint8_t signature[SIGNATURE_LEN];
} ReviewReceipt;

/* The bytes that are signed: machine and journal behind their length (32 bits,
 * big endian), seq (64 bits), hash, time_us (64 bits). */
GByteArray *review_receipt_encode(const ReviewReceipt *receipt);
/* Sets public_key and signature. False when libcrypto failed. Any thread. */
bool review_receipt_sign(ReviewReceipt *receipt, const SigningKey *key);
/* Whether this key signed it, whichever one it names. */
bool review_receipt_is_signed(const ReviewReceipt *receipt,
                              const uint8_t public_key[SIGNING_KEY_LEN]);
/* One JSON object of a line: {"machine","journal","seq","hash","time_us",
 * "public_key","signature"}, numbers as such, the rest hex; the member
 * `hoop.receipt` of an answer to shipped records (hoop-ship(5)). g_free. */
char *review_receipt_format(const ReviewReceipt *receipt);
/* The inverse, strictly; form alone. REVIEW_ERROR_FORM. */
bool review_receipt_parse(const char *text,
                          size_t len,
                          ReviewReceipt *out,
                          GError **error);

#endif
