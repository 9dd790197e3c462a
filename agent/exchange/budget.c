/* SPDX-License-Identifier: Apache-2.0 */
/* What an exchange takes from budgets: taken when it is judged, so that those
 * that wait at the same time do not pass a limit together; given back when it
 * does not go out, settled by what its answer tells. */
#include "exchange/state.h"

static int64_t
body_bytes(const Exchange *exchange)
{
  return exchange->body ? (int64_t)g_bytes_get_size(exchange->body) : 0;
}

static void
use(const Exchange *exchange, LedgerSum sum)
{
  const LedgerUse used = {
      .person = {exchange->person->user,
                 exchange->person->issuer,
                 exchange->person->subject},
      .connection = connection_name(exchange->connection),
      .model =
          exchange->inspection ? inspection_model(exchange->inspection) : NULL,
      .wall_us = exchange->wall_us,
      .sum = sum,
  };

  ledger_add(exchange->env->ledger, &used);
}

/* Tokens are an estimate until the answer ends. */
static LedgerSum
estimate(const Exchange *exchange)
{
  int64_t bytes = body_bytes(exchange);

  return (LedgerSum){1, bytes, ledger_estimate(bytes)};
}

void
budget_reserve(Exchange *exchange)
{
  if (!exchange->env->ledger || !exchange->person ||
      exchange->budget != BUDGET_NONE || !ledger_counts(exchange->route.api))
    return;
  exchange->budget = BUDGET_RESERVED;
  use(exchange, estimate(exchange));
}

void
budget_out(Exchange *exchange)
{
  budget_reserve(exchange);
  if (exchange->budget == BUDGET_RESERVED)
    exchange->budget = BUDGET_OUT;
}

void
budget_release(Exchange *exchange)
{
  const LedgerSum sum = estimate(exchange);

  if (exchange->budget != BUDGET_RESERVED)
    return;
  exchange->budget = BUDGET_NONE;
  use(exchange, (LedgerSum){-sum.requests, -sum.bytes, -sum.tokens});
}

void
budget_settle(Exchange *exchange, const JournalRow *row)
{
  int64_t bytes = body_bytes(exchange);

  if (exchange->budget != BUDGET_OUT)
    return;
  exchange->budget = BUDGET_NONE;
  use(exchange,
      (LedgerSum){.tokens = ledger_tokens(bytes,
                                          row->tokens_in,
                                          row->tokens_out,
                                          row->bytes_out) -
                            ledger_estimate(bytes)});
}

void
budget_move(ExchangeEnv *env, int64_t since_us)
{
  GHashTableIter iter;
  gpointer key;

  g_hash_table_iter_init(&iter, env->running);
  while (g_hash_table_iter_next(&iter, &key, NULL)) {
    Exchange *exchange = key;

    if (!env->ledger) {
      exchange->budget = BUDGET_NONE;
    } else if (exchange->budget == BUDGET_RESERVED ||
               (exchange->budget == BUDGET_OUT &&
                exchange->wall_us >= since_us)) {
      use(exchange, estimate(exchange));
    } else if (exchange->budget == BUDGET_NONE && exchange->verdict &&
               !exchange->answered && exchange->hold) {
      budget_reserve(exchange);
    }
  }
}
