/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange as rows of the journal: request, tool calls, approval, response;
 * and what was turned away before it became one. */
#include "exchange/state.h"
#include "kit/clock.h"
#include "kit/json.h"
#include <string.h>

/* Findings that one row lists; their number is always told. */
#define MAX_LISTED 200

typedef struct {
  Exchange *exchange;
  RecordThen then;
} Wait;

static void
stored(const GError *error, void *data)
{
  Wait *wait = data;

  wait->then(wait->exchange, error);
  exchange_unref(wait->exchange);
  g_free(wait);
}

static void
not_journaled(void *data)
{
  stored(NULL, data);
}

static Wait *
wait_new(Exchange *exchange, RecordThen then)
{
  Wait *wait = g_new0(Wait, 1);

  wait->exchange = exchange_ref(exchange);
  wait->then = then;
  return wait;
}

static void
append(Exchange *exchange, JournalRow *row, RecordThen then)
{
  ExchangeEnv *env = exchange->env;
  Wait *wait = then ? wait_new(exchange, then) : NULL;

  if (env->journal) {
    journal_append_later(
        env->journal, row, env->loop, then ? stored : NULL, wait);
    if (env->ended)
      journal_wake(env->journal);
    else if (!env->waking)
      loop_timer_set(env->wake, 0);
    env->waking = !env->ended;
    return;
  }
  journal_row_free(row);
  if (wait)
    loop_defer(env->loop, not_journaled, wait);
}

static void
json_member(GString *out, const char *name, const char *value)
{
  if (!value)
    return;
  g_string_append_printf(out, "%s\"%s\":\"", out->len > 1 ? "," : "", name);
  json_escape(out, value, -1);
  g_string_append_c(out, '"');
}

static void
json_raw(GString *out, const char *name, const char *json)
{
  if (json)
    g_string_append_printf(
        out, "%s\"%s\":%s", out->len > 1 ? "," : "", name, json);
}

static void
json_finding(GString *out,
             const Finding *finding,
             const char *field,
             const char *fingerprint)
{
  if (out->len > 1)
    g_string_append_c(out, ',');
  g_string_append(out, "{\"rule\":\"");
  json_escape(out, finding->rule->id, -1);
  g_string_append(out, "\",\"class\":\"");
  json_escape(out, finding->rule->class_name, -1);
  g_string_append(out, "\",\"field\":\"");
  json_escape(out, field, -1);
  g_string_append_printf(out,
                         "\",\"start\":%zu,\"length\":%zu,"
                         "\"fingerprint\":\"%s\"%s}",
                         finding->start,
                         finding->end - finding->start,
                         fingerprint,
                         finding->allowed ? ",\"allowed\":true" : "");
}

/* The findings of a whole body; values are named by their keyed hash only. */
static void
json_findings(GString *out, const Exchange *exchange, const Inspection *body)
{
  g_autoptr(GString) list = g_string_new("[");
  const InspectField *fields;
  const Finding *findings;
  unsigned n_fields, n;

  if (!body)
    return;
  fields = inspection_fields(body, &n_fields);
  findings = inspection_findings(body, &n);
  for (unsigned i = 0; i < MIN(n, MAX_LISTED); i++) {
    const InspectField *field = &fields[findings[i].field];
    char fingerprint[FINGERPRINT_SIZE];

    masker_fingerprint(exchange->env->masker,
                       field->text + findings[i].start,
                       findings[i].end - findings[i].start,
                       fingerprint);
    json_finding(list, &findings[i], field->path, fingerprint);
  }
  g_string_append_c(list, ']');
  g_string_append_printf(
      out, "%s\"n_findings\":%u", out->len > 1 ? "," : "", n);
  json_raw(out, "findings", list->str);
}

static void
json_stream_findings(GString *out, const Exchange *exchange)
{
  g_autoptr(GString) list = g_string_new("[");
  const char(*fingerprints)[FINGERPRINT_SIZE];
  const Finding *findings;
  unsigned n;

  if (!exchange->filter)
    return;
  findings = response_filter_findings(exchange->filter, &fingerprints, &n);
  for (unsigned i = 0; i < MIN(n, MAX_LISTED); i++) {
    char choice[32];

    g_snprintf(choice, sizeof choice, "choice[%u]", findings[i].field);
    json_finding(list, &findings[i], choice, fingerprints[i]);
  }
  g_string_append_c(list, ']');
  g_string_append_printf(
      out, "%s\"n_findings\":%u", out->len > 1 ? "," : "", n);
  json_raw(out, "findings", list->str);
}

/* What every row of an exchange says. */
static JournalRow *
new_row(Exchange *exchange, RowKind kind)
{
  JournalRow *row = journal_row_new(kind);
  const Caller *caller = exchange->caller;

  row->wall_us = clock_wall_us();
  row->exchange = g_strdup(exchange->id);
  row->client = g_strdup(exchange->client);
  row->connection = g_strdup(connection_name(exchange->connection));
  row->host = g_strdup(exchange->route.host);
  row->method = g_strdup(exchange->request->method);
  row->path = g_strdup(exchange->shown_path);
  row->api = g_strdup(api_name(exchange->route.api));
  row->pid = caller->pid;
  if (caller->processes)
    row->process = g_strjoinv(" < ", caller->processes);
  if (exchange->person) {
    row->user = g_strdup(exchange->person->user);
    if (exchange->person->groups)
      row->groups = g_strjoinv(",", exchange->person->groups);
    row->issuer = g_strdup(exchange->person->issuer);
  }
  row->policy_revision = g_strdup(policy_revision(exchange->policy));
  if (exchange->inspection) {
    row->model = g_strdup(inspection_model(exchange->inspection));
    row->conversation = g_strdup(inspection_conversation(exchange->inspection));
  }
  return row;
}

static char *
close_json(GString *out)
{
  g_string_append_c(out, '}');
  return g_strdup(out->str);
}

/* What rules may ask beside the row's own columns, for those who judge it
 * again. */
static void
add_asked(GString *out, const Exchange *exchange)
{
  const HttpHeaders *headers = exchange->request->headers;
  const char *initiator = http_headers_get(headers, "x-initiator");
  g_autofree char *repo = head_shown(
      exchange->env, http_headers_get(headers, "x-github-repository-nwo"));

  if (initiator &&
      (strcmp(initiator, "user") == 0 || strcmp(initiator, "agent") == 0))
    json_member(out, "initiator", initiator);
  json_member(out, "repo", repo);
  if (exchange->person)
    json_member(out, "sub", exchange->person->subject);
  if (exchange->first_in_session)
    json_raw(out, "first", "true");
}

static bool
blocks(const Verdict *verdict)
{
  return verdict && verdict_action(verdict) == ACTION_BLOCK;
}

void
record_request(Exchange *exchange, RecordThen then)
{
  g_autoptr(GString) detail = g_string_new("{");
  g_autofree char *verdict = NULL;
  g_autofree char *masked = NULL;
  const PolicyRule *reason;
  JournalRow *row = new_row(exchange, ROW_REQUEST);

  exchange->recorded = true;
  if (exchange->verdict) {
    verdict = verdict_to_json(exchange->verdict);
    reason = verdict_reason(exchange->verdict);
    row->verdict = g_strdup(action_name(verdict_action(exchange->verdict)));
    row->rule = g_strdup(reason ? reason->id : NULL);
  } else {
    row->verdict = g_strdup(exchange->answered ? "refused" : "not-inspected");
  }
  json_raw(detail, "verdict", verdict);
  json_findings(detail, exchange, exchange->inspection);
  if (!exchange->answered) /* it goes out */
    masked = notice_take(exchange->env, exchange->masked_out);
  json_raw(detail, "masked", masked);
  if (masked)
    notice_masked(exchange, exchange->masked_out, false);
  else if (exchange->answered && blocks(exchange->verdict))
    notice_blocked(exchange, row->rule, false);
  if (exchange->person && !exchange->person->groups)
    json_member(detail,
                "groups_unknown",
                exchange->person->groups_unknown
                    ? exchange->person->groups_unknown
                    : "the provider names none");
  add_asked(detail, exchange);
  if (exchange->refusal)
    json_member(detail, "refused", exchange->refusal->code);
  row->detail = close_json(detail);
  row->bytes_in = (int64_t)exchange->bytes_in;
  if (exchange->record && !exchange->route.auth)
    row->body = g_bytes_ref(exchange->record);
  if (row->body && exchange->body && exchange->env->journal &&
      journal_seals(exchange->env->journal))
    row->original = g_bytes_ref(exchange->body);
  if (exchange->answered)
    budget_release(exchange);
  else
    budget_out(exchange);
  append(exchange, row, then);
}

static void
count_tokens(const Exchange *exchange, JournalRow *row)
{
  if (exchange->filter)
    response_filter_usage(exchange->filter, &row->tokens_in, &row->tokens_out);
  else if (exchange->answer_inspection)
    inspection_usage(
        exchange->answer_inspection, &row->tokens_in, &row->tokens_out);
}

/* What the rules that the stream plan carried out came to. */
static Verdict *
stream_verdict(Exchange *exchange)
{
  const char(*fingerprints)[FINGERPRINT_SIZE];
  const Finding *findings;
  Subject subject;
  unsigned n;

  findings = response_filter_findings(exchange->filter, &fingerprints, &n);
  exchange_subject(exchange, DIRECTION_RESPONSE, &subject);
  return judge_stream(exchange->policy, &subject, findings, n, false);
}

/* What policy said about the answer. */
static void
add_answer_verdict(Exchange *exchange, JournalRow *row, GString *detail)
{
  g_autoptr(Verdict) streamed =
      exchange->filter ? stream_verdict(exchange) : NULL;
  const Verdict *verdict = streamed ? streamed : exchange->answer_verdict;
  const PolicyRule *reason = verdict ? verdict_reason(verdict) : NULL;
  g_autofree char *json = verdict ? verdict_to_json(verdict) : NULL;

  row->rule = g_strdup(reason ? reason->id : NULL);
  json_raw(detail, "verdict", json);
  if (blocks(verdict))
    notice_blocked(exchange, row->rule, true);
}

void
record_response(Exchange *exchange, RecordThen then)
{
  g_autoptr(GString) detail = g_string_new("{");
  g_autofree char *masked = NULL;
  const char *model = NULL;
  GHashTable *counts = NULL;
  JournalRow *row;

  if (exchange->closed_row) {
    if (then)
      loop_defer(exchange->env->loop, not_journaled, wait_new(exchange, then));
    return;
  }
  exchange->closed_row = true;
  row = new_row(exchange, ROW_RESPONSE);
  row->verdict = g_strdup(exchange->outcome ? exchange->outcome : "ok");
  row->status = exchange->status ? exchange->status : -1;
  row->bytes_out = (int64_t)exchange->bytes_out;
  row->duration_us = clock_mono_us() - exchange->began_us;
  if (exchange->first_byte_us)
    row->first_byte_us = exchange->first_byte_us;
  if (exchange->held_us)
    row->held_us = exchange->held_us;
  count_tokens(exchange, row);
  budget_settle(exchange, row);
  if (exchange->filter)
    model = response_filter_model(exchange->filter);
  else if (exchange->answer_inspection)
    model = inspection_model(exchange->answer_inspection);
  if (model && g_strcmp0(row->model, model) != 0) {
    g_free(row->model);
    row->model = head_shown(exchange->env, model);
  }
  add_answer_verdict(exchange, row, detail);
  if (exchange->filter)
    json_stream_findings(detail, exchange);
  else
    json_findings(detail, exchange, exchange->answer_inspection);
  if (exchange->filter)
    counts = response_filter_masked(exchange->filter);
  else if (!exchange->refusal)
    counts = exchange->masked_in;
  masked = notice_take(exchange->env, counts);
  json_raw(detail, "masked", masked);
  notice_masked(exchange, counts, true);
  if (exchange->refusal)
    json_member(detail, "message", exchange->refusal->message);
  row->detail = close_json(detail);
  if (exchange->recorded_answer.len)
    row->body = buf_steal(&exchange->recorded_answer);
  if (exchange->original_answer.len)
    row->original = buf_steal(&exchange->original_answer);
  append(exchange, row, then);
}

void
record_tool(Exchange *exchange,
            const ToolCall *call,
            const Verdict *verdict,
            const char *outcome,
            RecordThen then)
{
  g_autoptr(GString) detail = g_string_new("{");
  g_autofree char *json = verdict_to_json(verdict);
  g_autofree char *name = head_shown(exchange->env, call->name);
  const PolicyRule *reason = verdict_reason(verdict);
  JournalRow *row = new_row(exchange, ROW_TOOL);

  row->verdict = g_strdup(outcome);
  row->rule = g_strdup(reason ? reason->id : NULL);
  if (blocks(verdict))
    notice_blocked(exchange, row->rule, true);
  json_member(detail, "tool", name);
  if (g_strcmp0(name, call->name) == 0) /* the verdict repeats it */
    json_raw(detail, "verdict", json);
  row->detail = close_json(detail);
  append(exchange, row, then);
}

static const char *
answer_name(Answer answer)
{
  switch (answer) {
  case ANSWER_APPROVE:
    return "approve";
  case ANSWER_APPROVE_MASKED:
    return "approve-masked";
  case ANSWER_DENY:
    break;
  }
  return "deny";
}

static void
json_digest(GString *out, const char *name, const uint8_t digest[SHA256_LEN])
{
  char hex[SHA256_HEX_SIZE];

  hex_encode(digest, SHA256_LEN, hex);
  json_member(out, name, hex);
}

void
record_approval(Exchange *exchange,
                const HoldAsked *asked,
                const Decision *decision)
{
  g_autoptr(GString) detail = g_string_new("{");
  g_autoptr(GString) list = g_string_new("[");
  const GPtrArray *answers = decision->answers;
  JournalRow *row = new_row(exchange, ROW_APPROVAL);

  for (unsigned i = 0; answers && i < answers->len; i++) {
    const GivenAnswer *given = answers->pdata[i];
    g_autoptr(GString) one = g_string_new("{");
    g_autofree char *when = clock_rfc3339(given->wall_us);

    json_member(one, "who", given->who);
    json_member(one, "issuer", given->issuer);
    json_member(one, "sub", given->subject);
    json_member(one, "approver", approver_kind_name(given->kind));
    json_member(one, "how", given->how);
    json_member(one, "grant", given->grant);
    json_member(one, "answer", answer_name(given->answer));
    json_member(one, "reason", given->reason);
    json_member(one, "when", when);
    g_string_append_printf(list, "%s%s}", i ? "," : "", one->str);
  }
  g_string_append_c(list, ']');
  row->verdict = g_strdup(outcome_name(decision->outcome));
  row->held_us = asked->held_us;
  json_member(detail, "prompt", decision->exchange);
  json_raw(detail, "rules", asked->rules);
  json_digest(detail, "digest", asked->digest);
  json_digest(detail, "masked_digest", asked->masked_digest);
  json_member(detail, "reason", decision->reason);
  if (decision->escalated)
    json_raw(detail, "escalated", "true");
  if (decision->extended) {
    g_autofree char *times = g_strdup_printf("%u", decision->extended);

    json_raw(detail, "extended", times);
  }
  json_raw(detail, "answers", list->str);
  row->detail = close_json(detail);
  append(exchange, row, NULL);
}

void
exchange_record_refused(ExchangeEnv *env,
                        const Caller *caller,
                        const char *host,
                        const char *method,
                        const char *path,
                        int status,
                        const char *why)
{
  g_autoptr(GString) detail = g_string_new("{");
  JournalRow *row;

  env->stats.blocked++;
  if (!env->journal)
    return;
  row = journal_row_new(ROW_REFUSED);
  row->wall_us = clock_wall_us();
  row->host = g_strdup(host);
  row->method = g_strdup(method);
  row->path = head_shown(env, path);
  row->status = status;
  row->verdict = g_strdup("refused");
  if (caller) {
    row->pid = caller->pid;
    if (caller->processes)
      row->process = g_strjoinv(" < ", caller->processes);
    g_string_append_printf(detail, "\"uid\":%u", (unsigned)caller->uid);
  }
  json_member(detail, "why", why);
  row->detail = close_json(detail);
  journal_append(env->journal, row, env->loop, NULL, NULL);
}
