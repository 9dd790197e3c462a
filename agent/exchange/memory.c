/* SPDX-License-Identifier: Apache-2.0 */
/* What exchanges keep in memory, counted together against [limits] held-bytes:
 * bodies, what was read of them, what waits to be judged, recorded or sent. */
#include "exchange/state.h"

/* Bodies that are one and the same count once. */
static size_t
bodies(const Exchange *exchange)
{
  GBytes *const all[] = {exchange->body,
                         exchange->forward,
                         exchange->record,
                         exchange->reply,
                         exchange->restored_reply};
  size_t sum = 0;

  for (unsigned i = 0; i < G_N_ELEMENTS(all); i++) {
    bool known = all[i] == NULL;

    for (unsigned k = 0; !known && k < i; k++)
      known = all[k] == all[i];
    if (!known)
      sum += g_bytes_get_size(all[i]);
  }
  return sum;
}

static size_t
held_now(const Exchange *exchange)
{
  return bodies(exchange) + exchange->incoming.len + exchange->reserved +
         inspection_held(exchange->inspection) +
         inspection_held(exchange->answer_inspection) +
         inspection_held(exchange->restored_calls) + exchange->answer.len +
         response_filter_held(exchange->filter) + exchange->out.len +
         exchange->recorded_answer.len + exchange->original_answer.len +
         (exchange->hold ? exchange->hold_bytes : 0) +
         (exchange->conn ? http_conn_queued(exchange->conn) : 0);
}

bool
exchange_fits(Exchange *exchange, size_t more)
{
  size_t *all = &exchange->env->stats.held_bytes;
  const size_t limit = exchange->env->limits.held_bytes;
  const size_t before = exchange->counted;

  exchange->counted = held_now(exchange);
  *all += exchange->counted - before;
  if (more == 0 && exchange->counted <= before)
    return true; /* whoever asks for less is not the one to go */
  return *all <= limit && more <= limit - *all;
}

void
exchange_too_much(Exchange *exchange)
{
  /* The server answered already: asking again later may help. */
  exchange_fail(exchange,
                exchange->status ? 503 : 413,
                "held_bytes",
                "The agent holds as many bytes as [limits] held-bytes allows. "
                "Wait for other requests to end, or send less.");
}
