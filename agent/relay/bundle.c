/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for the hub's policy, now and then and whenever the hub says so, and
 * tells the hub what is in force. Who takes a policy is not decided here. */
#include "kit/clock.h"
#include "relay/private.h"
#include <string.h>

/* Soon after the hub told everybody, but not all at once. */
#define SOON_MS 1000
/* Between looks without being told, a quarter more or less of it. */
#define LOOK_MS (300 * 1000)

static void look(void *data);

static LoopTimer *
timer(Relay *relay)
{
  if (!relay->look)
    relay->look = loop_timer_new(relay->loop, look, relay);
  return relay->look;
}

static void
look_later(Relay *relay)
{
  loop_timer_set(timer(relay),
                 LOOK_MS - LOOK_MS / 4 + g_random_int_range(0, LOOK_MS / 2));
}

void
bundles_look(Relay *relay)
{
  relay->look_again = relay->looking != NULL;
  if (relay->bundle && relay->url && !relay->looking)
    loop_timer_set(timer(relay), g_random_int_range(0, SOON_MS));
}

/* ---- the report -----------------------------------------------------------
 */

static void report(Relay *relay);

static void
on_reported(const char *json, size_t len, const GError *error, void *data)
{
  Relay *relay = data;

  (void)json;
  (void)len;
  relay->reporting = NULL;
  if (error)
    relay->reported = false; /* with the next look */
  else if (!relay->reported)
    report(relay);
}

static void
report(Relay *relay)
{
  g_autofree char *body = NULL;

  if (relay->reporting || !relay->url || !relay->connected ||
      !relay->report.version)
    return;
  relay->report.at_us = clock_wall_us();
  body = bundle_report_format(&relay->report);
  relay->reported = true;
  relay->reporting = call_start(relay,
                                &(CallSpec){.url = relay->url,
                                            .method = "POST",
                                            .path = "/v1/machines/state",
                                            .body = body,
                                            .sign = true},
                                on_reported,
                                relay);
}

void
relay_report(Relay *relay, const RelayReport *given)
{
  BundleReport *last = &relay->report;

  if (last->version && g_str_equal(last->version, given->version) &&
      g_str_equal(last->revision, given->revision) &&
      last->bundle == given->bundle &&
      g_strcmp0(last->problem, given->problem) == 0)
    return;
  bundle_report_clear(last);
  *last = (BundleReport){.version = g_strdup(given->version),
                         .bundle = given->bundle,
                         .problem = g_strdup(given->problem)};
  g_strlcpy(last->revision, given->revision, sizeof last->revision);
  relay->reported = false;
  report(relay);
}

/* ---- the policy -----------------------------------------------------------
 */

static void
on_bundle(const char *text, size_t len, const GError *error, void *data)
{
  Relay *relay = data;

  relay->looking = NULL;
  look_later(relay);
  if (!error && text && len > 0) {
    g_autoptr(GBytes) bytes = g_bytes_new(text, len);

    relay->bundle(bytes, relay->data);
  }
  if (relay->look_again)
    bundles_look(relay);
  report(relay);
}

static void
look(void *data)
{
  Relay *relay = data;

  if (!relay->url || relay->looking)
    return;
  relay->looking = call_start(relay,
                              &(CallSpec){.url = relay->url,
                                          .method = "GET",
                                          .path = "/v1/bundle",
                                          .accept = "application/octet-stream",
                                          .etag = relay->etag},
                              on_bundle,
                              relay);
}

void
relay_took_bundle(Relay *relay, const char *digest)
{
  const bool lost = relay->etag && !digest;

  g_free(relay->etag);
  relay->etag = digest ? g_strdup_printf("\"%s\"", digest) : NULL;
  if (lost)
    bundles_look(relay);
}

void
bundles_stop(Relay *relay)
{
  loop_timer_free(g_steal_pointer(&relay->look));
  call_cancel(g_steal_pointer(&relay->looking));
  call_cancel(g_steal_pointer(&relay->reporting));
  g_clear_pointer(&relay->etag, g_free);
  bundle_report_clear(&relay->report);
  relay->report = (BundleReport){.version = NULL};
}
