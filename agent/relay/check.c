/* SPDX-License-Identifier: Apache-2.0 */
/* A decision's checks: signed by the pinned key, about this very review, and
 * fresh. No I/O, no clock of its own. */
#include "relay/private.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
/* Two machines' clocks. */
#define LEEWAY_US (60 * US_PER_S)
/* However long the hub says: nothing is decided for later. */
#define MAX_LIFE_US (300 * US_PER_S)

static bool
refuse(GError **error, const char *why)
{
  g_set_error(error,
              RELAY_ERROR,
              RELAY_ERROR_DECISION,
              "a decision was not believed: %s",
              why);
  return false;
}

/* Every voice says what was decided, or one of them says no. */
static bool
agrees(const ReviewDecision *decision)
{
  bool denied = false;

  for (guint i = 0; i < decision->voices->len; i++) {
    const ReviewVoice *voice = decision->voices->pdata[i];

    if (voice->answer == REVIEW_DENIED)
      denied = true;
    else if (decision->outcome != REVIEW_DENIED &&
             voice->answer != decision->outcome)
      return false;
  }
  return denied == (decision->outcome == REVIEW_DENIED);
}

static bool
is_about(const ReviewDecision *decision,
         const DecisionExpect *expect,
         GError **error)
{
  if (!g_str_equal(decision->id, expect->id))
    return refuse(error, "it is about another review");
  if (memcmp(decision->digest, expect->digest, SHA256_LEN) != 0)
    return refuse(error, "it is about another text");
  if (!g_str_equal(decision->policy_revision, expect->policy_revision))
    return refuse(error, "it is about another policy");
  if (decision->outcome == REVIEW_APPROVED && expect->masks)
    return refuse(error, "only the masked text could be approved");
  if (decision->outcome == REVIEW_APPROVED_MASKED && !expect->masks)
    return refuse(error, "there is nothing to mask");
  return agrees(decision) || refuse(error, "its answers say something else");
}

static bool
is_fresh(const ReviewDecision *decision,
         const DecisionExpect *expect,
         GError **error)
{
  if (decision->expires_us <= expect->now_us)
    return refuse(error, "it has expired (or a clock is wrong)");
  if (decision->issued_us > expect->now_us + LEEWAY_US)
    return refuse(error, "it is of the future (or a clock is wrong)");
  if (decision->issued_us < expect->posted_us - LEEWAY_US)
    return refuse(error, "it is older than the request");
  if (decision->expires_us - decision->issued_us > MAX_LIFE_US)
    return refuse(error, "it claims to be good for too long");
  return true;
}

ReviewDecision *
decision_check(const char *json,
               size_t len,
               const uint8_t key[SIGNING_KEY_LEN],
               const DecisionExpect *expect,
               GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(ReviewDecision) decision =
      review_decision_open(json, len, key, &why);

  if (!decision)
    refuse(error, why->message);
  else if (is_about(decision, expect, error) &&
           is_fresh(decision, expect, error))
    return g_steal_pointer(&decision);
  return NULL;
}
