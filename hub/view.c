/* SPDX-License-Identifier: Apache-2.0 */
/* A review as JSON for one person: hoop-hub(7). */
#include "hub/private.h"
#include "kit/json-put.h"

static void
put_bool(GString *out, const char *name, bool value)
{
  json_put_raw(out, name, value ? "true" : "false");
}

static void
put_rules(GString *out, const GPtrArray *rules)
{
  g_string_append(out, ",\"rules\":[");
  for (guint i = 0; i < rules->len; i++) {
    const ReviewRule *rule = rules->pdata[i];

    g_string_append(out, i ? ",{" : "{");
    json_put_text(out, "id", rule->id);
    json_put_text(out, "message", rule->message);
    json_put_texts(out, "groups", rule->groups);
    json_put_number(out, "count", rule->count);
    put_bool(out, "each", rule->each);
    g_string_append_c(out, '}');
  }
  g_string_append_c(out, ']');
}

static void
put_answers(GString *out, const GPtrArray *voices)
{
  g_string_append(out, ",\"answers\":[");
  for (guint i = 0; i < voices->len; i++) {
    const ReviewVoice *voice = voices->pdata[i];

    g_string_append(out, i ? ",{" : "{");
    json_put_text(out, "user", voice->user);
    json_put_texts(out, "groups", voice->groups);
    json_put_text(out, "answer", review_outcome_name(voice->answer));
    json_put_text(out, "reason", voice->reason);
    json_put_number(out, "at_us", voice->at_us);
    g_string_append_c(out, '}');
  }
  g_string_append_c(out, ']');
}

char *
view_review(const Reviews *reviews,
            const Review *review,
            const Person *person,
            bool whole)
{
  const ReviewAsk *ask = review->ask;
  GString *out = g_string_new("{");
  char digest[SHA256_HEX_SIZE];

  hex_encode(ask->digest, SHA256_LEN, digest);
  json_put_text(out, "id", ask->id);
  json_put_text(out, "state", review_state_name(review->state));
  json_put_text(out, "user", review->user);
  put_bool(out, "mine", reviews_is_requester(review, person));
  put_bool(out, "may_answer", reviews_may_answer(reviews, review, person));
  json_put_text(out, "exchange", ask->exchange);
  json_put_text(out, "digest", digest);
  put_bool(out, "masks", ask->masks);
  json_put_text(out, "policy_revision", ask->policy_revision);
  put_rules(out, ask->rules);
  json_put_text(out, "client", ask->client);
  json_put_text(out, "process", ask->process);
  json_put_text(out, "connection", ask->connection);
  json_put_text(out, "host", ask->host);
  json_put_text(out, "api", ask->api);
  json_put_text(out, "model", ask->model);
  json_put_number(out, "findings", ask->n_findings);
  put_bool(out, "needs_reason", ask->needs_reason);
  json_put_text(out, "justification", ask->justification);
  json_put_number(out, "received_us", review->received_us);
  json_put_number(out, "deadline_us", ask->deadline_us);
  if (review->ended_us > 0)
    json_put_number(out, "ended_us", review->ended_us);
  put_answers(out, review->voices);
  if (review->decision)
    json_put_raw(out, "decision", review->decision);
  if (whole)
    json_put_text(out, "text", ask->text);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}
