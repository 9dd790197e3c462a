/* SPDX-License-Identifier: Apache-2.0 */
/* One message at a time, tried again with more and more patience until nobody
 * needs it any more. */
#include "hub/page/webhook.h"
#include "kit/clock.h"
#include "kit/file.h"
#include "kit/json-put.h"
#include "kit/log.h"
#include <string.h>

#define US_PER_MS 1000
#define CONNECT_S 10
#define IDLE_S 15
/* For a whole answer, of which the status is all that counts. */
#define MAX_CALL_MS 30000
/* What waits; beyond, the oldest goes: it is the nearest to its deadline. */
#define MAX_QUEUE 256
#define FIRST_PAUSE_MS 500
#define MAX_PAUSE_MS 60000
#define MAX_URL 2048

typedef struct {
  char *id, *text;
  int64_t until_us; /* wall clock */
} Message;

struct webhook {
  const HubConfig *config;
  Secret *url;
  Upstream *upstream;
  GQueue queue; /* Message */
  UpstreamRequest *request;
  LoopTimer *timer; /* the next try, or the end of this one */
  int status;
  unsigned failures; /* of the first in the queue */
  WebhookCount count;
};

static void try_next(Webhook *webhook);

static void
message_free(void *data)
{
  Message *message = data;

  g_free(message->id);
  g_free(message->text);
  g_free(message);
}

/* ---- tries ----------------------------------------------------------------
 */

static void
pop(Webhook *webhook)
{
  message_free(g_queue_pop_head(&webhook->queue));
  webhook->failures = 0;
}

/* 0.5 s, then twice as long each time, and up to a quarter more: hubs do not
 * come back all at once. */
static int64_t
pause_ms(unsigned failures)
{
  const int64_t ms =
      MIN((int64_t)FIRST_PAUSE_MS << MIN(failures, 10), MAX_PAUSE_MS);

  return ms + g_random_int_range(0, (gint32)(ms / 4));
}

/* Whether another try may go better (RFC 9110 section 15). */
static bool
may_heal(int status)
{
  return status == 0 || status == 408 || status == 429 || status >= 500;
}

static void
settle(Webhook *webhook, const char *why)
{
  const int status = webhook->status;

  webhook->request = NULL;
  loop_timer_set(webhook->timer, -1);
  if (!why && status >= 200 && status < 300) {
    webhook->count.sent++;
    pop(webhook);
    try_next(webhook);
    return;
  }
  log_warning("webhook status=%d error=\"%s\"", status, why ? why : "refused");
  if (why || may_heal(status)) {
    loop_timer_set(webhook->timer, pause_ms(webhook->failures++));
    return;
  }
  webhook->count.failed++;
  pop(webhook);
  try_next(webhook);
}

static void
on_head(int status, HttpHeaders *headers, void *data)
{
  ((Webhook *)data)->status = status;
  http_headers_free(headers);
}

static bool
on_body(const uint8_t *bytes, size_t len, void *data)
{
  (void)bytes;
  (void)len;
  (void)data;
  return true;
}

/* The room's sentences name the host, never the URL. */
static void
on_done(const GError *error, void *data)
{
  settle(data, error ? error->message : NULL);
}

static void
send_one(Webhook *webhook, const Message *message)
{
  static const UpstreamEvents events = {on_head, on_body, on_done};
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autoptr(GBytes) body = g_bytes_new(message->text, strlen(message->text));
  g_autoptr(GError) error = NULL;

  http_headers_add(headers, "Content-Type", "application/json");
  http_headers_add(headers, "User-Agent", "hoop-hub");
  webhook->status = 0;
  webhook->request =
      upstream_send(webhook->upstream,
                    &(UpstreamSpec){.method = "POST",
                                    .url = secret_text(webhook->url),
                                    .headers = headers,
                                    .body = body},
                    &events,
                    webhook,
                    &error);
  if (webhook->request)
    loop_timer_set(webhook->timer, MAX_CALL_MS);
  else
    settle(webhook, "it cannot be sent");
}

static void
try_next(Webhook *webhook)
{
  const Message *message;

  while ((message = g_queue_peek_head(&webhook->queue)) &&
         message->until_us <= clock_wall_us()) {
    webhook->count.dropped++;
    pop(webhook);
  }
  if (message && !webhook->request)
    send_one(webhook, message);
}

static void
on_timer(void *data)
{
  Webhook *webhook = data;

  if (webhook->request) {
    upstream_request_cancel(webhook->request);
    settle(webhook, "no whole answer came in time");
  } else {
    try_next(webhook);
  }
}

/* ---- messages -------------------------------------------------------------
 */

/* Who is asked, each once: names of the hub's own configuration. */
static char *
groups_of(const ReviewAsk *ask)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new();

  for (guint i = 0; i < ask->rules->len; i++) {
    const ReviewRule *rule = ask->rules->pdata[i];

    for (unsigned j = 0; rule->groups[j]; j++)
      if (!g_ptr_array_find_with_equal_func(
              names, rule->groups[j], g_str_equal, NULL))
        g_ptr_array_add(names, rule->groups[j]);
  }
  g_ptr_array_add(names, NULL);
  return g_strjoinv(", ", (char **)names->pdata);
}

static char *
text_of(const Webhook *webhook, const Review *review, ReviewChange change)
{
  g_autofree char *groups = groups_of(review->ask);
  g_autofree char *text =
      g_strdup_printf("A request %s for %s: %s/reviews/%s",
                      change == CHANGE_ESCALATED ? "still waits" : "waits",
                      groups,
                      webhook->config->page_url,
                      review->ask->id);
  GString *out = g_string_new("{");

  json_put_text(out, "text", text);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

/* The one that is being sent stays. */
static void
forget(Webhook *webhook, const char *id)
{
  GList *each = webhook->queue.head;

  while (each) {
    GList *next = each->next;
    Message *message = each->data;

    if (g_str_equal(message->id, id) &&
        !(each == webhook->queue.head && webhook->request)) {
      if (each == webhook->queue.head)
        webhook->failures = 0;
      g_queue_delete_link(&webhook->queue, each);
      message_free(message);
      webhook->count.dropped++;
    }
    each = next;
  }
}

void
webhook_tell(Webhook *webhook, const Review *review, ReviewChange change)
{
  Message *message;
  const bool idle = g_queue_is_empty(&webhook->queue);

  if (change == CHANGE_ENDED)
    forget(webhook, review->ask->id);
  if (change != CHANGE_POSTED && change != CHANGE_ESCALATED)
    return;
  if (webhook->queue.length >= MAX_QUEUE) {
    GList *oldest =
        webhook->request ? webhook->queue.head->next : webhook->queue.head;

    message_free(oldest->data);
    g_queue_delete_link(&webhook->queue, oldest);
    webhook->count.dropped++;
  }
  message = g_new0(Message, 1);
  *message = (Message){.id = g_strdup(review->ask->id),
                       .text = text_of(webhook, review, change),
                       .until_us = review->ask->deadline_us};
  g_queue_push_tail(&webhook->queue, message);
  if (idle)
    loop_timer_set(webhook->timer, 0);
}

/* ---- life -----------------------------------------------------------------
 */

static bool
is_https(const char *url)
{
  const size_t len = strlen(url);

  if (len > MAX_URL || !g_str_has_prefix(url, "https://"))
    return false;
  for (size_t i = 0; i < len; i++)
    if (url[i] <= ' ' || url[i] > '~')
      return false;
  return true;
}

Webhook *
webhook_new(Loop *loop, const HubConfig *config, GError **error)
{
  g_autoptr(Webhook) webhook = g_new0(Webhook, 1);
  const UpstreamOptions options = {.ca_file = config->webhook_ca_file,
                                   .connect_timeout = CONNECT_S,
                                   .idle_timeout = IDLE_S,
                                   .group = "webhook"};

  webhook->config = config;
  g_queue_init(&webhook->queue);
  webhook->timer = loop_timer_new(loop, on_timer, webhook);
  webhook->url = file_read_secret(config->webhook_url_file, error);
  if (!webhook->url)
    return NULL;
  if (!is_https(secret_text(webhook->url))) {
    g_set_error(error,
                HUB_ERROR,
                HUB_ERROR_START,
                "%s: [webhook] url-file: it holds no https URL",
                config->path);
    return NULL;
  }
  webhook->upstream = upstream_new(loop, &options, error);
  return webhook->upstream ? g_steal_pointer(&webhook) : NULL;
}

void
webhook_free(Webhook *webhook)
{
  if (!webhook)
    return;
  if (webhook->request)
    upstream_request_cancel(webhook->request);
  upstream_free(webhook->upstream);
  loop_timer_free(webhook->timer);
  secret_unref(webhook->url);
  g_queue_clear_full(&webhook->queue, message_free);
  g_free(webhook);
}

WebhookCount
webhook_count(const Webhook *webhook)
{
  return webhook->count;
}
