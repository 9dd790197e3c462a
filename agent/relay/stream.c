/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's events (server-sent events, WHATWG HTML 9.2): here they only say
 * which review to look at; nothing is believed of them. */
#include "relay/private.h"
#include <string.h>

/* The hub speaks every 15 s. */
#define MAX_LINE ((size_t)1 << 20)
/* Reconnects: from this, doubled up to the longest, half of it by chance; while
 * somebody waits never longer than the short one. */
#define FIRST_MS 500
#define LONGEST_MS 60000
#define WAITING_MS 3000
#define MAX_DOUBLINGS 7

static void connect_again(void *data);

static void
set_problem(Relay *relay, const char *problem)
{
  const bool news = g_strcmp0(relay->problem, problem) != 0;

  if (!news)
    return;
  if (problem || relay->problem)
    relay->notice(problem ? problem : "the hub is there again", relay->data);
  g_free(relay->problem);
  relay->problem = g_strdup(problem);
}

static void
retry(Relay *relay, const char *why)
{
  const unsigned doublings = MIN(relay->failures, MAX_DOUBLINGS);
  const int longest = relay->held->len > 0 ? WAITING_MS : LONGEST_MS;
  const int ms = MIN(FIRST_MS << doublings, longest);

  relay->failures++;
  relay->connected = false;
  set_problem(relay, why);
  held_note(relay, why);
  loop_timer_set(relay->reconnect, ms / 2 + g_random_int_range(0, ms / 2 + 1));
}

static void
on_line(Relay *relay, const char *line)
{
  if (!*line)
    relay->ended = false;
  else if (g_str_equal(line, "event: ended"))
    relay->ended = true;
  else if (g_str_equal(line, "event: bundle"))
    bundles_look(relay);
  else if (g_str_equal(line, "event: credential"))
    loans_look(relay);
  else if (relay->ended && g_str_has_prefix(line, "id: "))
    held_ended(relay, line + 4);
}

static void
on_head(int status, HttpHeaders *headers, void *data)
{
  Relay *relay = data;

  http_headers_free(headers);
  if (status != 200)
    return;
  relay->connected = true;
  relay->failures = 0;
  set_problem(relay, NULL);
  held_refresh(relay);
  relay->reported = false;
  bundles_look(relay);
  loans_look(relay);
}

/* Lines that are too long are data that nobody looks at here. */
static bool
on_body(const uint8_t *bytes, size_t len, void *data)
{
  Relay *relay = data;

  if (!relay->connected)
    return true;
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] != '\n') {
      if (relay->line->len < MAX_LINE && bytes[i])
        g_string_append_c(relay->line, (char)bytes[i]);
      continue;
    }
    on_line(relay, relay->line->str);
    g_string_truncate(relay->line, 0);
  }
  return true;
}

static void
on_done(const GError *error, void *data)
{
  Relay *relay = data;
  const bool was = relay->connected;

  relay->stream = NULL;
  if (error)
    retry(relay, error->message);
  else
    retry(relay,
          was ? "the hub ended the stream of its events"
              : "the hub does not let us listen to its events");
}

static void
connect_again(void *data)
{
  static const UpstreamEvents events = {on_head, on_body, on_done};
  Relay *relay = data;
  g_autofree char *url = g_strconcat(relay->url, "/v1/events", NULL);
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autoptr(GError) error = NULL;

  http_headers_add(headers, "Accept", "text/event-stream");
  g_string_truncate(relay->line, 0);
  relay->ended = false;
  if (call_authorize(relay, headers, NULL, &error))
    relay->stream = upstream_send(
        relay->upstream,
        &(UpstreamSpec){.method = "GET", .url = url, .headers = headers},
        &events,
        relay,
        &error);
  if (!relay->stream)
    retry(relay, error->message);
}

void
stream_start(Relay *relay)
{
  if (relay->stream)
    upstream_request_cancel(g_steal_pointer(&relay->stream));
  if (!relay->reconnect)
    relay->reconnect = loop_timer_new(relay->loop, connect_again, relay);
  relay->connected = false;
  relay->failures = 0;
  loop_timer_set(relay->reconnect, 0);
}

void
stream_stop(Relay *relay)
{
  if (relay->stream)
    upstream_request_cancel(g_steal_pointer(&relay->stream));
  loop_timer_free(g_steal_pointer(&relay->reconnect));
}
