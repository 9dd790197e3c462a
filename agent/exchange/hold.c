/* SPDX-License-Identifier: Apache-2.0 */
/* A held exchange: what people are shown, the digests that bind their answer,
 * and the client that is kept patient meanwhile. */
#include "exchange/state.h"
#include "kit/clock.h"
#include "kit/json.h"
#include <string.h>

/* Requests that nobody streams wait no longer: their clients give up. */
#define MAX_WHOLE_TIMEOUT 60

static const char comment[] = ": waiting for an approval\n\n";

struct hold {
  Exchange *exchange; /* a reference, until the decision or the withdrawal */
  ApproveTicket *ticket;
  HoldAsked asked;
  int64_t began_us;
  LoopTimer *timer; /* the next comment; NULL when the answer is no stream */
  HoldThen then;
};

static void
digest_part(Sha256 *sha, const void *bytes, size_t len)
{
  uint64_t size = GUINT64_TO_BE(len);

  sha256_update(sha, &size, sizeof size);
  sha256_update(sha, bytes, len);
}

void
exchange_digest(Exchange *exchange,
                const char *what,
                GBytes *body,
                uint8_t out[SHA256_LEN])
{
  const char *parts[] = {what,
                         exchange->person->user,
                         connection_name(exchange->connection),
                         exchange->request->method,
                         exchange->route.host,
                         exchange->request->target};
  g_autoptr(Sha256) sha = sha256_new();
  size_t len;
  const void *bytes = g_bytes_get_data(body, &len);

  for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++)
    digest_part(sha, parts[i], strlen(parts[i]));
  digest_part(sha, bytes, len);
  sha256_peek(sha, out);
}

static void
hold_free(Hold *hold)
{
  loop_timer_free(hold->timer);
  approve_ticket_free(hold->ticket);
  exchange_unref(hold->exchange);
  g_free(hold->asked.rules);
  g_free(hold);
}

void
hold_cancel(Exchange *exchange)
{
  Hold *hold = g_steal_pointer(&exchange->hold);

  if (!hold)
    return;
  exchange->env->stats.held--;
  approve_withdraw(g_steal_pointer(&hold->ticket));
  hold_free(hold);
}

char *
hold_refusal(const Verdict *verdict,
             const char *what,
             Outcome outcome,
             const char *reason)
{
  const PolicyRule *rule = verdict_reason(verdict);
  GString *text = g_string_new(what);

  g_string_append(text, " was held");
  if (rule)
    g_string_append_printf(text, " by rule \"%s\"", rule->id);
  if (rule && rule->message)
    g_string_append_printf(text, " (%s)", rule->message);
  switch (outcome) {
  case OUTCOME_DENIED:
    g_string_append_printf(
        text, " and denied%s%s.", reason ? ": " : "", reason ?: "");
    break;
  case OUTCOME_TIMEOUT:
    g_string_append(text, " and nobody answered in time, which counts as no");
    if (reason)
      g_string_append_printf(text, " (%s)", reason);
    g_string_append(text,
                    ". "
                    "`hoop-agent pending --watch` shows what waits and how "
                    "to answer it.");
    break;
  case OUTCOME_WITHDRAWN:
  case OUTCOME_REFUSED:
  case OUTCOME_APPROVED:
  case OUTCOME_APPROVED_MASKED:
    g_string_append_printf(text,
                           " and could not be asked about%s%s.",
                           reason ? ": " : "",
                           reason ?: "");
    break;
  }
  return g_string_free(text, FALSE);
}

char *
hold_nobody(Exchange *exchange, const Verdict *verdict, const char *what)
{
  if (!identity_is_machine(exchange->env->identity,
                           connection_issuer(exchange->connection)))
    return NULL;
  return hold_refusal(verdict,
                      what,
                      OUTCOME_DENIED,
                      "a machine is signed in here, so nobody can be asked");
}

/* By a denial that is remembered, and can be revoked. */
static bool
denied_before(const Decision *decision)
{
  for (unsigned i = 0; i < decision->answers->len; i++) {
    const GivenAnswer *given = decision->answers->pdata[i];

    if (given->answer == ANSWER_DENY && g_strcmp0(given->how, "grant") == 0)
      return true;
  }
  return false;
}

static void
decided(const Decision *decision, void *data)
{
  Hold *hold = data;
  Exchange *exchange = exchange_ref(hold->exchange);
  HoldThen then = hold->then;

  exchange->hold = NULL;
  exchange->env->stats.held--;
  hold->asked.held_us = clock_mono_us() - hold->began_us;
  exchange->held_us += hold->asked.held_us;
  exchange->denied_before = denied_before(decision);
  record_approval(exchange, &hold->asked, decision);
  then(exchange, decision->outcome, decision->reason);
  hold_free(hold);
  exchange_unref(exchange);
}

/* The client hears nothing for a while, then the stream's head and comments:
 * that keeps it from giving up, and every stream client skips comments. */
static void
keep_waiting(void *data)
{
  Hold *hold = data;
  Exchange *exchange = hold->exchange;

  if (!exchange->head_sent)
    stream_open(exchange);
  if (exchange->answered)
    return;
  http_conn_send(exchange->conn, comment, sizeof comment - 1);
  loop_timer_set(hold->timer,
                 1000 * (int64_t)exchange->env->limits.keepalive_interval);
}

static void
add_needs(HeldRequest *held, const Verdict *verdict)
{
  const PolicyRule *const *rules;
  unsigned n;

  rules = verdict_approvals(verdict, &n);
  for (unsigned i = 0; i < n; i++)
    g_ptr_array_add(held->needs, approve_need_new(rules[i]));
}

/* The rules that ask, as a JSON array. */
static char *
asking_rules(const Verdict *verdict)
{
  GString *list = g_string_new("[");
  const PolicyRule *const *rules;
  unsigned n;

  rules = verdict_approvals(verdict, &n);
  for (unsigned i = 0; i < n; i++) {
    g_string_append(list, i ? ",\"" : "\"");
    json_escape(list, rules[i]->id, -1);
    g_string_append_c(list, '"');
  }
  g_string_append_c(list, ']');
  return g_string_free(list, FALSE);
}

static HeldRequest *
held_request(Exchange *exchange, HoldAsk *ask)
{
  ExchangeEnv *env = exchange->env;
  HeldRequest *held = held_request_new();
  unsigned most = env->limits.approval_timeout;

  if (!ask->stream)
    most = MIN(most, MAX_WHOLE_TIMEOUT);
  held->exchange = g_strdup(exchange->id);
  held->user = g_strdup(exchange->person->user);
  held->issuer = g_strdup(exchange->person->issuer);
  held->subject = g_strdup(exchange->person->subject);
  held->groups = g_strdupv(exchange->person->groups);
  held->client = g_strdup(exchange->client);
  held->session = g_strdup(exchange->session);
  held->session_serial = exchange->session_serial;
  held->process = exchange->caller->processes
                      ? g_strjoinv(" < ", exchange->caller->processes)
                      : NULL;
  held->connection = g_strdup(connection_name(exchange->connection));
  held->host = g_strdup(exchange->route.host);
  held->api = g_strdup(api_name(exchange->route.api));
  if (exchange->inspection)
    held->model = g_strdup(inspection_model(exchange->inspection));
  held->policy = policy_ref(exchange->policy);
  held->policy_revision = g_strdup(policy_revision(exchange->policy));
  memcpy(held->digest, ask->digest, SHA256_LEN);
  memcpy(held->masked_digest, ask->masked_digest, SHA256_LEN);
  held->can_mask = ask->can_mask;
  add_needs(held, ask->verdict);
  held->timeout = verdict_timeout(ask->verdict, most);
  exchange->hold_bytes = strlen(ask->text) + strlen(ask->masked_text) +
                         (ask->marks ? ask->marks->len * sizeof(ShownMark) : 0);
  held->text = g_steal_pointer(&ask->text);
  held->masked_text = g_steal_pointer(&ask->masked_text);
  held->marks = g_steal_pointer(&ask->marks);
  held->n_findings = ask->n_findings;
  return held;
}

void
exchange_hold(Exchange *exchange, HoldAsk *ask)
{
  ExchangeEnv *env = exchange->env;
  Hold *hold = g_new0(Hold, 1);

  hold->exchange = exchange_ref(exchange);
  hold->then = ask->then;
  hold->began_us = clock_mono_us();
  hold->asked.rules = asking_rules(ask->verdict);
  memcpy(hold->asked.digest, ask->digest, SHA256_LEN);
  memcpy(hold->asked.masked_digest, ask->masked_digest, SHA256_LEN);
  exchange->hold = hold;
  env->stats.held++;
  if (ask->stream) {
    hold->timer = loop_timer_new(env->loop, keep_waiting, hold);
    loop_timer_set(hold->timer,
                   1000 * (int64_t)(exchange->head_sent
                                        ? env->limits.keepalive_interval
                                        : env->limits.stream_silence));
  }
  hold->ticket = approve_hold(
      env->approve, held_request(exchange, ask), env->loop, decided, hold);
}
