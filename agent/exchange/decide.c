/* SPDX-License-Identifier: Apache-2.0 */
/* From the whole body to a decision: decode, inspect (large bodies on a
 * worker), judge, and then refuse, hold, mask or let go. */
#include "exchange/state.h"
#include "kit/clock.h"
#include <string.h>

/* More than this would stall the data thread for over a millisecond. */
#define WORKER_BYTES (256 * 1024)
/* Sign-in and token requests are a few hundred bytes; what is larger is
 * something else on that path. */
#define MAX_AUTH_BODY (16 * 1024)

static void judge_request(Exchange *exchange);

/* What is there by now is within the bound; false after a refusal. */
static bool
counted(Exchange *exchange)
{
  if (exchange_fits(exchange, 0))
    return true;
  exchange_too_much(exchange);
  return false;
}

/* The body with its content coding removed; NULL after a refusal. */
static GBytes *
decode(Exchange *exchange)
{
  const char *coding =
      http_headers_get(exchange->request->headers, "content-encoding");
  g_auto(Buf) plain = {0};
  g_autoptr(HttpDecoder) decoder = NULL;
  g_autoptr(GError) error = NULL;

  if (!coding || g_ascii_strcasecmp(coding, "identity") == 0)
    return buf_steal(&exchange->incoming);
  buf_init(&plain, exchange->env->limits.max_body);
  decoder = http_decoder_new(coding, &error);
  if (!decoder ||
      !http_decoder_feed(decoder,
                         buf_bytes(&exchange->incoming),
                         exchange->incoming.len,
                         &plain,
                         &error) ||
      !http_decoder_finish(decoder, &error)) {
    exchange_refuse(exchange, "body_not_readable", error->message);
    return NULL;
  }
  buf_clear(&exchange->incoming);
  if (!exchange_fits(exchange, plain.len)) {
    exchange_too_much(exchange);
    return NULL;
  }
  return buf_steal(&plain);
}

/* What a worker needs; the exchange waits meanwhile. */
typedef struct {
  Exchange *exchange;
  Detector *detector;
  ValueSet *held; /* or NULL */
  Api api;
  Direction direction;
  char *type;
  GBytes *body;
  Inspection *result;
  GError *error;
  InspectThen then;
} Inspect;

static void
inspect_job(void *data)
{
  Inspect *job = data;
  g_autoptr(DetectorScratch) scratch =
      detector_scratch_new(job->detector, &job->error);

  if (scratch)
    detector_scratch_hold(scratch, job->held);
  if (scratch)
    job->result = inspection_new(scratch,
                                 job->api,
                                 job->direction,
                                 job->type,
                                 job->body,
                                 &inspect_default_limits,
                                 &job->error);
}

static void
inspect_done(void *data, bool cancelled)
{
  Inspect *job = data;
  Exchange *exchange = job->exchange;

  if (!cancelled && !exchange_is_gone(exchange) && !exchange->answered &&
      job->result)
    inspection_allow(job->result, exchange->env->masker);
  exchange->reserved = 0;
  if (!cancelled && !exchange_is_gone(exchange) && !exchange->answered)
    job->then(exchange, g_steal_pointer(&job->result), job->error);
  inspection_free(job->result);
  g_clear_error(&job->error);
  g_bytes_unref(job->body);
  g_free(job->type);
  value_set_unref(job->held);
  detector_unref(job->detector);
  g_free(job);
  exchange_unref(exchange);
}

void
exchange_read(Exchange *exchange,
              Direction direction,
              const char *type,
              GBytes *body,
              InspectThen then)
{
  ExchangeEnv *env = exchange->env;
  ValueSet *held = held_values(env);
  g_autoptr(GError) error = NULL;
  Inspection *inspection;
  Inspect *job;

  /* Decoded, its texts are about as long again. */
  exchange->reserved = g_bytes_get_size(body);
  if (!exchange_fits(exchange, 0)) {
    exchange->reserved = 0;
    exchange_too_much(exchange);
    return;
  }
  if (g_bytes_get_size(body) > WORKER_BYTES) {
    job = g_new0(Inspect, 1);
    *job = (Inspect){.exchange = exchange_ref(exchange),
                     .detector = detector_ref(env->detector),
                     .held = held ? value_set_ref(held) : NULL,
                     .api = exchange->route.api,
                     .direction = direction,
                     .type = g_strdup(type),
                     .body = g_bytes_ref(body),
                     .then = then};
    if (worker_run(env->workers, env->loop, inspect_job, inspect_done, job))
      return;
    inspect_done(job, true);
    exchange_refuse(exchange,
                    "agent_busy",
                    "Too many large bodies wait for inspection. Try again.");
    return;
  }
  inspection = inspection_new(env->scratch,
                              exchange->route.api,
                              direction,
                              type,
                              body,
                              &inspect_default_limits,
                              &error);
  if (inspection)
    inspection_allow(inspection, env->masker);
  exchange->reserved = 0;
  then(exchange, inspection, error);
}

static void
request_read(Exchange *exchange, Inspection *inspection, const GError *error)
{
  if (!inspection) {
    exchange_refuse(exchange, "body_not_readable", error->message);
    return;
  }
  exchange->inspection = inspection;
  if (counted(exchange))
    judge_request(exchange);
}

static void
inspect_again(void *data)
{
  exchange_inspect(data);
}

void
exchange_inspect(Exchange *exchange)
{
  const char *type =
      http_headers_get(exchange->request->headers, "content-type");

  /* A body comes as slowly as its client likes. */
  if (!exchange_signed_in(exchange, inspect_again))
    return;
  exchange->body = decode(exchange);
  if (!exchange->body)
    return;
  if (exchange->route.auth &&
      g_bytes_get_size(exchange->body) > MAX_AUTH_BODY) {
    exchange_refuse(exchange,
                    "body_too_large",
                    "This is too large for a sign-in or token request.");
    return;
  }
  if (exchange->env->detector && exchange->route.auth &&
      !head_is_sign_in(exchange, type)) {
    exchange_refuse(exchange,
                    "body_not_readable",
                    "This is not what a sign-in or token request sends.");
    return;
  }
  if (!exchange->env->detector || exchange->route.auth) {
    /* Measuring mode, or the exchange of a credential with its issuer. */
    exchange->forward = g_bytes_ref(exchange->body);
    record_request(exchange, exchange_go);
    return;
  }
  exchange_read(
      exchange, DIRECTION_REQUEST, type, exchange->body, request_read);
}

/* Every finding is masked in the record, whatever was allowed. */
static bool
prepare_record(Exchange *exchange)
{
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  const GArray *judged = verdict_masked_spans(exchange->verdict);
  g_autoptr(GError) error = NULL;
  const Finding *findings;
  unsigned n;

  findings = inspection_findings(exchange->inspection, &n);
  for (unsigned i = 0; i < n; i++) {
    MaskSpan span = {.field = findings[i].field,
                     .start = findings[i].start,
                     .end = findings[i].end,
                     .rule_id = findings[i].rule->id,
                     .restore = RESTORE_NONE};

    g_array_append_val(spans, span);
  }
  if (judged->len)
    g_array_append_vals(spans, judged->data, judged->len);
  exchange->record = inspection_rewrite(exchange->inspection,
                                        exchange->env->masker,
                                        exchange->scope,
                                        spans,
                                        &error);
  if (!exchange->record) {
    exchange_refuse(exchange, "cannot_mask", error->message);
    return false;
  }
  return counted(exchange);
}

/* Decides which spans are masked in what goes out. */
static bool
prepare_forward(Exchange *exchange, const GArray *judged)
{
  g_autoptr(GArray) spans = held_spans(exchange->inspection, judged);
  g_autoptr(GError) error = NULL;

  g_clear_pointer(&exchange->forward, g_bytes_unref);
  exchange->forward = inspection_rewrite(exchange->inspection,
                                         exchange->env->masker,
                                         exchange->scope,
                                         spans,
                                         &error);
  exchange->masked = spans->len > 0;
  g_clear_pointer(&exchange->masked_out, g_hash_table_unref);
  exchange->masked_out = notice_count(spans);
  if (!exchange->forward) {
    exchange_refuse(exchange, "cannot_mask", error->message);
    return false;
  }
  return counted(exchange);
}

static void
approved(void *data)
{
  Exchange *exchange = data;

  if (!exchange_signed_in(exchange, approved))
    return;
  exchange->env->stats.approved++;
  record_request(exchange, exchange_go);
}

static void
approved_masked(void *data)
{
  Exchange *exchange = data;

  if (!exchange_signed_in(exchange, approved_masked))
    return;
  exchange->env->stats.approved++;
  if (prepare_forward(exchange, verdict_masked_spans(exchange->verdict)))
    record_request(exchange, exchange_go);
}

static void
answered(Exchange *exchange, Outcome outcome, const char *reason)
{
  g_autofree char *message = NULL;

  if (outcome == OUTCOME_APPROVED || outcome == OUTCOME_APPROVED_MASKED) {
    (outcome == OUTCOME_APPROVED ? approved : approved_masked)(exchange);
    return;
  }
  message = hold_refusal(exchange->verdict, "This request", outcome, reason);
  exchange->env->stats.denied++;
  /* The queue remembers denials for a while itself, and forgets them when they
   * are revoked. */
  if ((outcome == OUTCOME_DENIED && !exchange->denied_before) ||
      outcome == OUTCOME_TIMEOUT) {
    uint8_t digest[SHA256_LEN];

    exchange_digest(exchange, "request", exchange->forward, digest);
    refused_add(exchange->env->refused,
                digest,
                message,
                loop_now_us(exchange->env->loop));
    if (outcome == OUTCOME_DENIED)
      kin_deny(exchange, message);
  }
  exchange_refuse(exchange, "policy_denied", message);
}

static bool
nobody_to_ask(Exchange *exchange)
{
  g_autofree char *message =
      hold_nobody(exchange, exchange->verdict, "This request");

  if (!message)
    return false;
  exchange->env->stats.denied++;
  exchange_refuse(exchange, "policy_denied", message);
  return true;
}

static void
ask(Exchange *exchange)
{
  g_autoptr(GArray) masked =
      held_spans(exchange->inspection, verdict_masked_spans(exchange->verdict));
  g_autoptr(GArray) spans =
      held_spans(exchange->inspection, verdict_mask_spans(exchange->verdict));
  g_autoptr(GBytes) masked_body = NULL;
  const char *before;
  HoldAsk hold = {.verdict = exchange->verdict,
                  .stream = inspection_wants_stream(exchange->inspection),
                  .then = answered};

  if (!prepare_forward(exchange, spans))
    return;
  exchange_digest(exchange, "request", exchange->forward, hold.digest);
  before = refused_find(
      exchange->env->refused, hold.digest, loop_now_us(exchange->env->loop));
  if (!before)
    before = kin_denied(exchange);
  if (before) {
    exchange_refuse(exchange, "policy_denied", before);
    return;
  }
  masked_body = inspection_rewrite(exchange->inspection,
                                   exchange->env->masker,
                                   exchange->scope,
                                   masked,
                                   NULL);
  if (!masked_body) {
    exchange_refuse(exchange, "cannot_mask", "The body cannot be masked.");
    return;
  }
  exchange_digest(exchange, "request", masked_body, hold.masked_digest);
  hold.can_mask = masked->len > spans->len;
  inspection_findings(exchange->inspection, &hold.n_findings);
  exchange_view(exchange, exchange->inspection, spans, masked, &hold);
  exchange_hold(exchange, &hold);
}

static unsigned
rate(const char *rule_id, unsigned window, void *data)
{
  Exchange *exchange = data;
  g_autofree char *key = g_strdup_printf("%s\n%s\n%s",
                                         rule_id,
                                         exchange->person->issuer,
                                         exchange->person->subject);

  return sessions_rate(
      exchange->env->sessions, key, window, loop_now_us(exchange->env->loop));
}

static void
find_session(Exchange *exchange)
{
  const char *conversation = inspection_conversation(exchange->inspection);
  g_autofree char *key = NULL;

  if (!conversation)
    conversation =
        http_headers_get(exchange->request->headers, "x-client-session-id");
  exchange->session = g_strdup_printf(
      "%s\n%s", exchange->client, conversation ? conversation : "");
  exchange->scope = g_strdup_printf("%s\n%s\n%s",
                                    exchange->session,
                                    exchange->person->user,
                                    connection_name(exchange->connection));
  /* Whoever signs in next at this machine begins one of their own. */
  key = g_strdup_printf("%s\n%s\n%s",
                        exchange->session,
                        exchange->person->issuer,
                        exchange->person->subject);
  exchange->first_in_session =
      sessions_touch(exchange->env->sessions, key, clock_boot_us());
  exchange->session_serial = sessions_serial(exchange->env->sessions, key);
}

static void
judge_request(Exchange *exchange)
{
  g_autofree char *sentence = NULL;
  Subject subject;

  find_session(exchange);
  exchange_subject(exchange, DIRECTION_REQUEST, &subject);
  exchange->verdict = judge_body(
      exchange->policy, &subject, exchange->inspection, false, rate, exchange);
  if (verdict_action(exchange->verdict) != ACTION_BLOCK)
    budget_reserve(exchange);
  if (!prepare_record(exchange))
    return;
  switch (verdict_action(exchange->verdict)) {
  case ACTION_BLOCK:
    exchange->env->stats.blocked++;
    sentence = verdict_sentence(exchange->verdict);
    exchange_refuse(exchange, "policy_denied", sentence);
    return;
  case ACTION_APPROVE:
    if (!nobody_to_ask(exchange))
      ask(exchange);
    return;
  case ACTION_MASK:
    exchange->env->stats.masked++;
    break;
  case ACTION_ALLOW:
    break;
  }
  if (prepare_forward(exchange, verdict_mask_spans(exchange->verdict)))
    record_request(exchange, exchange_go);
}

void
exchange_go(Exchange *exchange, const GError *error)
{
  g_autofree char *message = NULL;

  if (exchange_is_gone(exchange) || exchange->answered)
    return;
  if (!error && refuse_paused(exchange))
    return;
  if (!error) {
    exchange_forward(exchange);
    return;
  }
  message = g_strdup_printf("Nothing is forwarded that cannot be recorded: %s.",
                            error->message);
  exchange_refuse(exchange, "journal_unavailable", message);
}
