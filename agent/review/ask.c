/* SPDX-License-Identifier: Apache-2.0 */
/* The request for a review as JSON, written by agents and read by the hub. */
#include "kit/secret.h"
#include "review/private.h"
#include <string.h>

/* What a journal row has room for, too. */
#define MAX_NAME 512
#define MAX_COUNT 16
#define MAX_FINDINGS 1000000

static void
rule_free(void *data)
{
  ReviewRule *rule = data;

  g_free(rule->id);
  g_free(rule->message);
  g_strfreev(rule->groups);
  g_free(rule);
}

ReviewAsk *
review_ask_new(void)
{
  ReviewAsk *ask = g_new0(ReviewAsk, 1);

  ask->rules = g_ptr_array_new_with_free_func(rule_free);
  return ask;
}

void
review_ask_free(ReviewAsk *ask)
{
  if (!ask)
    return;
  g_free(ask->exchange);
  g_free(ask->policy_revision);
  g_ptr_array_unref(ask->rules);
  g_free(ask->client);
  g_free(ask->process);
  g_free(ask->connection);
  g_free(ask->host);
  g_free(ask->api);
  g_free(ask->model);
  if (ask->text)
    secret_wipe(ask->text, strlen(ask->text));
  g_free(ask->text);
  g_free(ask->justification);
  g_free(ask);
}

ReviewRule *
review_ask_add_rule(ReviewAsk *ask,
                    const char *id,
                    const char *message,
                    const char *const *groups,
                    unsigned count,
                    bool each)
{
  ReviewRule *rule = g_new0(ReviewRule, 1);

  *rule = (ReviewRule){.id = g_strdup(id),
                       .message = g_strdup(message),
                       .groups = g_strdupv((char **)groups),
                       .count = count,
                       .each = each};
  g_ptr_array_add(ask->rules, rule);
  return rule;
}

/* ---- writing ---------------------------------------------------------------
 */

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
    json_put_raw(out, "each", rule->each ? "true" : "false");
    g_string_append_c(out, '}');
  }
  g_string_append_c(out, ']');
}

char *
review_ask_format(const ReviewAsk *ask)
{
  GString *out = g_string_new("{");
  char digest[SHA256_HEX_SIZE];

  hex_encode(ask->digest, SHA256_LEN, digest);
  json_put_text(out, "id", ask->id);
  json_put_text(out, "exchange", ask->exchange);
  json_put_text(out, "digest", digest);
  json_put_raw(out, "masks", ask->masks ? "true" : "false");
  json_put_text(out, "policy_revision", ask->policy_revision);
  put_rules(out, ask->rules);
  json_put_text(out, "client", ask->client);
  json_put_text(out, "process", ask->process);
  json_put_text(out, "connection", ask->connection);
  json_put_text(out, "host", ask->host);
  json_put_text(out, "api", ask->api);
  json_put_text(out, "model", ask->model);
  json_put_text(out, "text", ask->text);
  json_put_number(out, "findings", ask->n_findings);
  json_put_raw(out, "needs_reason", ask->needs_reason ? "true" : "false");
  json_put_text(out, "justification", ask->justification);
  json_put_number(out, "deadline_us", ask->deadline_us);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

/* ---- reading ---------------------------------------------------------------
 */

static bool
parse_rule(ReviewAsk *ask, const Document *object, GError **error)
{
  static const char *const names[] = {
      "id", "message", "groups", "count", "each", NULL};
  ReviewRule *rule = g_new0(ReviewRule, 1);
  int64_t count;

  g_ptr_array_add(ask->rules, rule);
  if (!member_only(object, names, error) ||
      !member_text(object, "id", MAX_NAME, true, &rule->id, error) ||
      !member_text(
          object, "message", REVIEW_MAX_REASON, false, &rule->message, error) ||
      !member_texts(
          object, "groups", REVIEW_MAX_GROUPS, &rule->groups, error) ||
      !member_number(object, "count", 1, MAX_COUNT, &count, error) ||
      !member_bool(object, "each", &rule->each, error))
    return false;
  rule->count = (unsigned)count;
  return true;
}

static bool
parse_rules(ReviewAsk *ask, const Document *object, GError **error)
{
  Document *rules;

  if (!member_array(object, "rules", 1, REVIEW_MAX_RULES, &rules, error))
    return false;
  for (size_t i = 0; i < json_object_array_length(rules); i++)
    if (!parse_rule(ask, json_object_array_get_idx(rules, i), error))
      return false;
  return true;
}

static bool
parse_names(ReviewAsk *ask, const Document *object, GError **error)
{
  const struct {
    const char *name;
    char **out;
    bool needed;
  } rows[] = {{"exchange", &ask->exchange, true},
              {"policy_revision", &ask->policy_revision, true},
              {"client", &ask->client, false},
              {"process", &ask->process, false},
              {"connection", &ask->connection, false},
              {"host", &ask->host, false},
              {"api", &ask->api, false},
              {"model", &ask->model, false}};

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    if (!member_text(
            object, rows[i].name, MAX_NAME, rows[i].needed, rows[i].out, error))
      return false;
  return true;
}

static bool
parse_rest(ReviewAsk *ask, const Document *object, GError **error)
{
  uint8_t id[REVIEW_ID_BYTES];
  int64_t findings;

  if (!member_hex(object, "id", id, sizeof id, error) ||
      !member_hex(object, "digest", ask->digest, SHA256_LEN, error) ||
      !member_bool(object, "masks", &ask->masks, error) ||
      !member_text(object, "text", REVIEW_MAX_TEXT, true, &ask->text, error) ||
      !member_number(object, "findings", 0, MAX_FINDINGS, &findings, error) ||
      !member_bool(object, "needs_reason", &ask->needs_reason, error) ||
      !member_text(object,
                   "justification",
                   REVIEW_MAX_REASON,
                   false,
                   &ask->justification,
                   error) ||
      !member_number(
          object, "deadline_us", 1, INT64_MAX, &ask->deadline_us, error))
    return false;
  hex_encode(id, sizeof id, ask->id);
  ask->n_findings = (unsigned)findings;
  return true;
}

ReviewAsk *
review_ask_parse(const char *text, size_t len, GError **error)
{
  static const char *const names[] = {"id",
                                      "exchange",
                                      "digest",
                                      "masks",
                                      "policy_revision",
                                      "rules",
                                      "client",
                                      "process",
                                      "connection",
                                      "host",
                                      "api",
                                      "model",
                                      "text",
                                      "findings",
                                      "needs_reason",
                                      "justification",
                                      "deadline_us",
                                      NULL};
  g_autoptr(ReviewAsk) ask = review_ask_new();
  g_autoptr(GError) why = NULL;
  g_autoptr(Document) object = document_parse(text, len, &why);

  if (!object) {
    g_set_error_literal(error, REVIEW_ERROR, REVIEW_ERROR_FORM, why->message);
    return NULL;
  }
  if (!member_only(object, names, error) || !parse_names(ask, object, error) ||
      !parse_rules(ask, object, error) || !parse_rest(ask, object, error))
    return NULL;
  return g_steal_pointer(&ask);
}
