/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: before the stream began the API's own error JSON, afterwards a
 * message in the stream; both in the form that clients do not retry. */
#include "exchange/state.h"
#include <string.h>

static void
send_error(Exchange *exchange,
           int status,
           const char *code,
           const char *message)
{
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autofree char *id = http_request_id_new();
  g_autofree char *body =
      http_error_body(exchange->route.api, status, code, message);

  /* Without this header Copilot's language server takes the answer for one
   * that is not from GitHub and hides the message. */
  http_headers_add(headers, "x-github-request-id", id);
  http_headers_add(headers, "x-hoop-agent-exchange", exchange->id);
  exchange->bytes_out += strlen(body);
  http_conn_reply(
      exchange->conn, status, headers, "application/json", body, strlen(body));
}

static void
refusal_recorded(Exchange *exchange, const GError *error)
{
  Refusal *refusal = g_steal_pointer(&exchange->refusal);

  /* Nothing is released by a refusal, so it goes out even when the record
   * could not take it; the journal's health says so. */
  (void)error;
  if (!exchange_is_gone(exchange))
    send_error(exchange, refusal->status, refusal->code, refusal->message);
  refusal_free(refusal);
}

void
refusal_free(Refusal *refusal)
{
  if (!refusal)
    return;
  g_free(refusal->code);
  g_free(refusal->message);
  g_free(refusal);
}

void
exchange_fail(Exchange *exchange,
              int status,
              const char *code,
              const char *message)
{
  Refusal *refusal;

  if (exchange_is_gone(exchange) || exchange->answered)
    return;
  if (exchange->head_sent) {
    stream_message(exchange, code, message);
    return;
  }
  refusal = g_new0(Refusal, 1);
  refusal->status = status;
  refusal->code = g_strdup(code);
  refusal->message = g_strdup(message);
  exchange->refusal = refusal;
  exchange->status = status;
  g_free(exchange->outcome);
  exchange->outcome = g_strdup(code);
  exchange_answered(exchange);
  if (!exchange->recorded)
    record_request(exchange, NULL);
  record_response(exchange, refusal_recorded);
}

void
exchange_refuse(Exchange *exchange, const char *code, const char *message)
{
  exchange_fail(exchange, 400, code, message);
}
