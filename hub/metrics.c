/* SPDX-License-Identifier: Apache-2.0 */
/* Counters in Prometheus' text format, version 0.0.4. */
#include "hub/page/webhook.h"
#include "hub/private.h"

static void
gauge(GString *out, const char *name, const char *help, uint64_t value)
{
  g_string_append_printf(out,
                         "# HELP hoop_hub_%s %s\n# TYPE hoop_hub_%s gauge\n"
                         "hoop_hub_%s %" G_GUINT64_FORMAT "\n",
                         name,
                         help,
                         name,
                         name,
                         value);
}

static void
head(GString *out, const char *name, const char *help)
{
  g_string_append_printf(out,
                         "# HELP hoop_hub_%s %s\n"
                         "# TYPE hoop_hub_%s counter\n",
                         name,
                         help,
                         name);
}

static void
counter(GString *out, const char *name, const char *help, uint64_t value)
{
  head(out, name, help);
  g_string_append_printf(
      out, "hoop_hub_%s %" G_GUINT64_FORMAT "\n", name, value);
}

static unsigned
count_streams(const Hub *hub)
{
  GHashTableIter each;
  void *client;
  unsigned n = 0;

  g_hash_table_iter_init(&each, hub->clients);
  while (g_hash_table_iter_next(&each, &client, NULL))
    n += client_is_stream(client);
  return n;
}

static void
put_webhook(GString *out, const Webhook *webhook)
{
  const WebhookCount count = webhook_count(webhook);

  counter(out,
          "webhook_sent_total",
          "Messages that the webhook's receiver took.",
          count.sent);
  counter(out,
          "webhook_failed_total",
          "Messages that the webhook's receiver refused.",
          count.failed);
  counter(out,
          "webhook_dropped_total",
          "Messages that nobody needed any more, or too many.",
          count.dropped);
}

static void
put_audit(GString *out, AuditCount count)
{
  gauge(out,
        "audit_waiting",
        "Requests with logs that are not stored yet.",
        count.waiting);
  counter(out, "audit_requests_total", "Requests with logs.", count.requests);
  counter(out, "audit_rows_total", "Rows that were stored.", count.taken);
  counter(out, "audit_rows_known_total", "Rows that came again.", count.known);
  counter(out,
          "audit_rows_rejected_total",
          "Rows that were not taken.",
          count.rejected);
  counter(out,
          "audit_requests_failed_total",
          "Requests with logs that were not stored.",
          count.failed);
  counter(out, "audit_alerts_total", "Breaks of agents' chains.", count.alerts);
  counter(out,
          "audit_receipts_total",
          "Receipts that were signed.",
          count.receipts);
}

char *
metrics_text(const Hub *hub)
{
  GString *out = g_string_new(NULL);
  const ReviewsCount count = reviews_count(hub->reviews);

  gauge(out,
        "reviews_pending",
        "Requests that wait for reviewers.",
        g_hash_table_size(reviews_all_pending(hub->reviews)));
  gauge(
      out, "connections", "Open connections.", g_hash_table_size(hub->clients));
  gauge(out, "streams", "Open event streams.", count_streams(hub));
  gauge(out,
        "database_connected",
        "1 while the database is there.",
        !db_is_lost(store_db(hub->store)));
  counter(out,
          "database_lost_total",
          "How often its connection was lost.",
          store_link_losses(hub->link));
  counter(out,
          "reviews_posted_total",
          "Requests for review that were taken.",
          count.posted);
  head(out, "reviews_ended_total", "Reviews by how they ended.");
  for (unsigned i = STATE_APPROVED; i <= STATE_WITHDRAWN; i++)
    g_string_append_printf(out,
                           "hoop_hub_reviews_ended_total{state=\"%s\"} %u\n",
                           review_state_name((ReviewState)i),
                           count.ended[i]);
  head(out, "answers_total", "HTTP answers by class of status.");
  for (unsigned i = 2; i < G_N_ELEMENTS(hub->count.answers); i++)
    g_string_append_printf(out,
                           "hoop_hub_answers_total{class=\"%uxx\"} "
                           "%" G_GUINT64_FORMAT "\n",
                           i,
                           hub->count.answers[i]);
  counter(out,
          "tokens_refused_total",
          "Access tokens that failed a check.",
          hub->count.refused_tokens);
  counter(out,
          "rate_limited_total",
          "Requests refused for their number.",
          hub->count.rate_limited);
  if (hub->webhook)
    put_webhook(out, hub->webhook);
  put_audit(out, audit_count(hub->audit));
  return g_string_free(out, FALSE);
}
