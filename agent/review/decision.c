/* SPDX-License-Identifier: Apache-2.0 */
/* The decision: its canonical bytes, its seal, and its JSON. */
#include "review/private.h"
#include <string.h>

#define MAX_NAME 512
#define MAX_VOICES 64

static const char *const outcomes[] = {"approved", "approved-masked", "denied"};

const char *
review_outcome_name(ReviewOutcome outcome)
{
  return outcomes[outcome];
}

bool
review_outcome_from_name(const char *name, ReviewOutcome *out)
{
  for (unsigned i = 0; name && i < G_N_ELEMENTS(outcomes); i++)
    if (g_str_equal(outcomes[i], name)) {
      *out = (ReviewOutcome)i;
      return true;
    }
  return false;
}

void
review_voice_free(void *data)
{
  ReviewVoice *voice = data;

  g_free(voice->issuer);
  g_free(voice->subject);
  g_free(voice->user);
  g_strfreev(voice->groups);
  g_free(voice->reason);
  g_free(voice);
}

ReviewDecision *
review_decision_new(void)
{
  ReviewDecision *decision = g_new0(ReviewDecision, 1);

  decision->voices = g_ptr_array_new_with_free_func(review_voice_free);
  return decision;
}

void
review_decision_free(ReviewDecision *decision)
{
  if (!decision)
    return;
  g_free(decision->policy_revision);
  g_ptr_array_unref(decision->voices);
  g_free(decision);
}

/* ---- canonical bytes -------------------------------------------------------
 */

static void
add_u32(GByteArray *out, uint32_t value)
{
  const uint32_t big = GUINT32_TO_BE(value);

  g_byte_array_append(out, (const uint8_t *)&big, sizeof big);
}

static void
add_i64(GByteArray *out, int64_t value)
{
  const int64_t big = GINT64_TO_BE(value);

  g_byte_array_append(out, (const uint8_t *)&big, sizeof big);
}

static void
add_text(GByteArray *out, const char *text)
{
  if (!text) {
    add_u32(out, UINT32_MAX);
    return;
  }
  add_u32(out, (uint32_t)strlen(text));
  g_byte_array_append(out, (const uint8_t *)text, (guint)strlen(text));
}

static void
add_voice(GByteArray *out, const ReviewVoice *voice)
{
  add_text(out, voice->issuer);
  add_text(out, voice->subject);
  add_text(out, voice->user);
  add_u32(out, voice->groups ? g_strv_length(voice->groups) : 0);
  for (unsigned i = 0; voice->groups && voice->groups[i]; i++)
    add_text(out, voice->groups[i]);
  add_text(out, review_outcome_name(voice->answer));
  add_text(out, voice->reason);
  add_i64(out, voice->at_us);
}

GByteArray *
review_decision_encode(const ReviewDecision *decision)
{
  GByteArray *out = g_byte_array_new();

  add_text(out, decision->id);
  g_byte_array_append(out, decision->digest, SHA256_LEN);
  add_text(out, decision->policy_revision);
  add_text(out, review_outcome_name(decision->outcome));
  add_i64(out, decision->issued_us);
  add_i64(out, decision->expires_us);
  add_u32(out, decision->voices->len);
  for (guint i = 0; i < decision->voices->len; i++)
    add_voice(out, decision->voices->pdata[i]);
  return out;
}

/* ---- JSON ------------------------------------------------------------------
 */

static void
put_voice(GString *out, const ReviewVoice *voice)
{
  g_string_append_c(out, '{');
  json_put_text(out, "issuer", voice->issuer);
  json_put_text(out, "subject", voice->subject);
  json_put_text(out, "user", voice->user);
  json_put_texts(out, "groups", voice->groups);
  json_put_text(out, "answer", review_outcome_name(voice->answer));
  json_put_text(out, "reason", voice->reason);
  json_put_number(out, "at_us", voice->at_us);
  g_string_append_c(out, '}');
}

char *
review_decision_seal(const ReviewDecision *decision, const SigningKey *key)
{
  g_autoptr(GByteArray) bytes = review_decision_encode(decision);
  uint8_t signature[SIGNATURE_LEN];
  char hex[2 * SIGNATURE_LEN + 1];
  GString *out;

  if (!review_sign(
          key, REVIEW_CONTEXT_DECISION, bytes->data, bytes->len, signature))
    return NULL;
  out = g_string_new("{");
  json_put_text(out, "id", decision->id);
  hex_encode(decision->digest, SHA256_LEN, hex);
  json_put_text(out, "digest", hex);
  json_put_text(out, "policy_revision", decision->policy_revision);
  json_put_text(out, "outcome", review_outcome_name(decision->outcome));
  json_put_number(out, "issued_us", decision->issued_us);
  json_put_number(out, "expires_us", decision->expires_us);
  g_string_append(out, ",\"reviewers\":[");
  for (guint i = 0; i < decision->voices->len; i++) {
    if (i > 0)
      g_string_append_c(out, ',');
    put_voice(out, decision->voices->pdata[i]);
  }
  g_string_append_c(out, ']');
  hex_encode(signature, sizeof signature, hex);
  json_put_text(out, "signature", hex);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

static bool
parse_outcome(const Document *object,
              const char *name,
              ReviewOutcome *out,
              GError **error)
{
  return review_outcome_from_name(document_text(object, name), out) ||
         member_refuse(error, name, "is no outcome");
}

static bool
parse_voice(ReviewDecision *decision, const Document *object, GError **error)
{
  static const char *const names[] = {
      "issuer", "subject", "user", "groups", "answer", "reason", "at_us", NULL};
  ReviewVoice *voice = g_new0(ReviewVoice, 1);

  g_ptr_array_add(decision->voices, voice);
  return member_only(object, names, error) &&
         member_text(object, "issuer", 2048, true, &voice->issuer, error) &&
         member_text(
             object, "subject", MAX_NAME, true, &voice->subject, error) &&
         member_text(object, "user", MAX_NAME, true, &voice->user, error) &&
         member_texts(
             object, "groups", REVIEW_MAX_GROUPS, &voice->groups, error) &&
         parse_outcome(object, "answer", &voice->answer, error) &&
         member_text(object,
                     "reason",
                     REVIEW_MAX_REASON,
                     false,
                     &voice->reason,
                     error) &&
         member_number(object, "at_us", 1, INT64_MAX, &voice->at_us, error);
}

static bool
parse(ReviewDecision *decision,
      const Document *object,
      uint8_t signature[SIGNATURE_LEN],
      GError **error)
{
  static const char *const names[] = {"id",
                                      "digest",
                                      "policy_revision",
                                      "outcome",
                                      "issued_us",
                                      "expires_us",
                                      "reviewers",
                                      "signature",
                                      NULL};
  uint8_t id[REVIEW_ID_BYTES];
  Document *voices;

  if (!member_only(object, names, error) ||
      !member_hex(object, "id", id, sizeof id, error) ||
      !member_hex(object, "digest", decision->digest, SHA256_LEN, error) ||
      !member_text(object,
                   "policy_revision",
                   MAX_NAME,
                   true,
                   &decision->policy_revision,
                   error) ||
      !parse_outcome(object, "outcome", &decision->outcome, error) ||
      !member_number(
          object, "issued_us", 1, INT64_MAX, &decision->issued_us, error) ||
      !member_number(
          object, "expires_us", 1, INT64_MAX, &decision->expires_us, error) ||
      !member_array(object, "reviewers", 1, MAX_VOICES, &voices, error) ||
      !member_hex(object, "signature", signature, SIGNATURE_LEN, error))
    return false;
  hex_encode(id, sizeof id, decision->id);
  for (size_t i = 0; i < json_object_array_length(voices); i++)
    if (!parse_voice(decision, json_object_array_get_idx(voices, i), error))
      return false;
  return true;
}

ReviewDecision *
review_decision_open(const char *text,
                     size_t len,
                     const uint8_t public_key[SIGNING_KEY_LEN],
                     GError **error)
{
  g_autoptr(ReviewDecision) decision = review_decision_new();
  g_autoptr(GError) why = NULL;
  g_autoptr(Document) object = document_parse(text, len, &why);
  g_autoptr(GByteArray) bytes = NULL;
  uint8_t signature[SIGNATURE_LEN];

  if (!object) {
    g_set_error_literal(error, REVIEW_ERROR, REVIEW_ERROR_FORM, why->message);
    return NULL;
  }
  if (!parse(decision, object, signature, error))
    return NULL;
  bytes = review_decision_encode(decision);
  if (!review_verify(public_key,
                     REVIEW_CONTEXT_DECISION,
                     bytes->data,
                     bytes->len,
                     signature)) {
    g_set_error_literal(error,
                        REVIEW_ERROR,
                        REVIEW_ERROR_FORGED,
                        "the decision's signature is not that of the hub");
    return NULL;
  }
  return g_steal_pointer(&decision);
}
