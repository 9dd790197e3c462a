/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's life, and the enrolment. */
#include "relay/relay.h"
#include "document/document.h"
#include "relay/private.h"
#include <string.h>

/* The stream has a comment every 15 s. */
#define IDLE_S 45

typedef struct {
  Relay *relay;
  char *url, *fingerprint;
  uint8_t key[SIGNING_KEY_LEN];
  void (*done)(const char *fingerprint, const GError *error, void *data);
  void *data;
} Enrolment;

/* ---- life -----------------------------------------------------------------
 */

static bool
is_hub_url(const char *url)
{
  return g_str_has_prefix(url, "https://") && strlen(url) > 8 &&
         !strpbrk(url + 8, "/?#@ \t\r\n");
}

/* Its parts from a stored or fresh enrolment; takes url. */
static void
adopt(Relay *relay, char *url, const uint8_t key[SIGNING_KEY_LEN])
{
  g_free(relay->url);
  relay->url = url;
  memmove(relay->key, key, SIGNING_KEY_LEN);
  g_free(relay->fingerprint);
  relay->fingerprint = signing_fingerprint(key);
}

static bool
is_expected(const Relay *relay, const uint8_t key[SIGNING_KEY_LEN])
{
  uint8_t expected[SIGNING_KEY_LEN];

  return !relay->expected ||
         (hex_decode(relay->expected, expected, sizeof expected) &&
          memcmp(expected, key, sizeof expected) == 0);
}

bool
relay_pinned_key(const char *state_dir,
                 const char *url,
                 const char *pinned_key,
                 uint8_t key[SIGNING_KEY_LEN],
                 GError **error)
{
  const Relay relay = {.expected = (char *)(uintptr_t)pinned_key};
  g_autofree char *pinned = NULL;
  uint8_t found[SIGNING_KEY_LEN];

  if (!pin_load(state_dir, &pinned, found, error) || !pinned ||
      !is_expected(&relay, found) || (url && !g_str_equal(url, pinned)))
    return false;
  memcpy(key, found, sizeof found);
  return true;
}

static bool
load(Relay *relay, GError **error)
{
  uint8_t key[SIGNING_KEY_LEN];
  g_autofree char *url = NULL;

  if (relay->configured && !is_hub_url(relay->configured)) {
    g_set_error_literal(error,
                        RELAY_ERROR,
                        RELAY_ERROR_CONFIG,
                        "[hub] url takes https://HOST[:PORT]");
    return false;
  }
  if (relay->expected && !hex_decode(relay->expected, key, sizeof key)) {
    g_set_error_literal(error,
                        RELAY_ERROR,
                        RELAY_ERROR_CONFIG,
                        "[hub] pinned-key takes 64 hex digits");
    return false;
  }
  relay->machine = pin_machine(relay->state_dir, error);
  if (!relay->machine || !pin_load(relay->state_dir, &url, key, error))
    return false;
  /* Another hub, or another key, than the one that was enrolled with. */
  if (url && is_expected(relay, key) &&
      (!relay->configured || g_str_equal(relay->configured, url)))
    adopt(relay, g_steal_pointer(&url), key);
  return true;
}

Relay *
relay_new(Loop *loop, const RelayOptions *options, GError **error)
{
  g_autoptr(Relay) relay = g_new0(Relay, 1);
  UpstreamOptions upstream = options->upstream;

  relay->loop = loop;
  relay->identity = options->identity;
  relay->approve = options->approve;
  relay->notice = options->notice;
  relay->enrolled = options->enrolled;
  relay->bundle = options->bundle;
  relay->lent = options->lent;
  relay->data = options->data;
  relay->state_dir = g_strdup(options->state_dir);
  relay->configured = g_strdup(options->url);
  relay->expected = g_strdup(options->pinned_key);
  relay->calls = g_ptr_array_new();
  relay->line = g_string_new(NULL);
  held_init(relay);
  loans_init(relay);
  upstream.idle_timeout = IDLE_S;
  upstream.group = "hub";
  relay->upstream = upstream_new(loop, &upstream, error);
  if (!relay->upstream || !load(relay, error))
    return NULL;
  held_listen(relay);
  if (relay->url)
    stream_start(relay);
  return g_steal_pointer(&relay);
}

void
relay_free(Relay *relay)
{
  if (!relay)
    return;
  held_stop(relay);
  bundles_stop(relay);
  loans_stop(relay);
  stream_stop(relay);
  while (relay->calls->len > 0)
    call_abandon(relay->calls->pdata[0]);
  upstream_free(relay->upstream);
  g_ptr_array_unref(relay->calls);
  g_string_free(relay->line, TRUE);
  signing_key_free(relay->machine);
  g_free(relay->state_dir);
  g_free(relay->configured);
  g_free(relay->expected);
  g_free(relay->url);
  g_free(relay->fingerprint);
  g_free(relay->problem);
  g_free(relay);
}

void
relay_people_changed(Relay *relay)
{
  loans_look(relay);
}

bool
relay_is_enrolled(const Relay *relay)
{
  return relay->url != NULL;
}

RelayStatus
relay_status(const Relay *relay)
{
  return (RelayStatus){.url = relay->url ? relay->url : relay->configured,
                       .enrolled = relay->url != NULL,
                       .connected = relay->connected,
                       .fingerprint = relay->fingerprint,
                       .problem = relay->problem,
                       .waiting = relay->held->len};
}

/* ---- enrolment ------------------------------------------------------------
 */

static void
end(Enrolment *enrolment, GError *taken)
{
  g_autoptr(GError) error = taken;

  enrolment->done(
      error ? NULL : enrolment->relay->fingerprint, error, enrolment->data);
  g_free(enrolment->url);
  g_free(enrolment->fingerprint);
  g_free(enrolment);
}

static void
on_bound(const char *json, size_t len, const GError *error, void *data)
{
  Enrolment *enrolment = data;
  Relay *relay = enrolment->relay;
  GError *why = NULL;

  (void)json;
  (void)len;
  if (error)
    why = g_error_copy(error);
  else if (pin_store(relay->state_dir, enrolment->url, enrolment->key, &why)) {
    adopt(relay, g_steal_pointer(&enrolment->url), enrolment->key);
    stream_start(relay);
    relay->enrolled(relay->data);
  }
  end(enrolment, why);
}

/* Hex digits alone count: people copy them with or without spaces. */
static bool
same_fingerprint(const char *given, const char *found)
{
  while (*given || *found) {
    while (*given == ' ' || *given == ':')
      given++;
    while (*found == ' ')
      found++;
    if (g_ascii_tolower(*given) != *found)
      return false;
    if (*given)
      given++, found++;
  }
  return true;
}

/* Whether this key may be pinned. */
static bool
check_key(const Enrolment *enrolment, GError **error)
{
  const Relay *relay = enrolment->relay;
  g_autofree char *found = signing_fingerprint(enrolment->key);

  if (!is_expected(relay, enrolment->key)) {
    g_set_error(error,
                RELAY_ERROR,
                RELAY_ERROR_KEY,
                "the hub's key is not the [hub] pinned-key; it has %s",
                found);
    return false;
  }
  if (enrolment->fingerprint) {
    if (same_fingerprint(enrolment->fingerprint, found))
      return true;
    g_set_error(error,
                RELAY_ERROR,
                RELAY_ERROR_KEY,
                "the hub's key has another fingerprint: %s",
                found);
    return false;
  }
  if (relay->url && memcmp(relay->key, enrolment->key, SIGNING_KEY_LEN) != 0) {
    g_set_error(error,
                RELAY_ERROR,
                RELAY_ERROR_KEY,
                "another key is pinned (%s) than the hub has (%s); if that is "
                "right, give --fingerprint",
                relay->fingerprint,
                found);
    return false;
  }
  return true;
}

static void
bind_machine(Enrolment *enrolment)
{
  Relay *relay = enrolment->relay;
  g_autoptr(GError) error = NULL;
  g_autoptr(PersonRef) person = identity_current(relay->identity, NULL, &error);
  g_autofree char *body = NULL;

  if (!person) {
    end(enrolment,
        g_error_new_literal(
            RELAY_ERROR, RELAY_ERROR_SIGNED_OUT, error->message));
    return;
  }
  body = review_machine_format(
      relay->machine, g_get_host_name(), person->issuer, person->subject);
  call_start(relay,
             &(CallSpec){.url = enrolment->url,
                         .method = "POST",
                         .path = "/v1/machines",
                         .body = body ? body : "{}"},
             on_bound,
             enrolment);
}

static void
on_hub(const char *json, size_t len, const GError *error, void *data)
{
  Enrolment *enrolment = data;
  g_autoptr(Document) object = error ? NULL : document_parse(json, len, NULL);
  const char *hex = object ? document_text(object, "public_key") : NULL;
  GError *why = NULL;

  if (error)
    end(enrolment, g_error_copy(error));
  else if (!hex || !hex_decode(hex, enrolment->key, SIGNING_KEY_LEN))
    end(enrolment,
        g_error_new_literal(RELAY_ERROR,
                            RELAY_ERROR_REFUSED,
                            "this is no hub: it names no key"));
  else if (check_key(enrolment, &why))
    bind_machine(enrolment);
  else
    end(enrolment, why);
}

typedef struct {
  void (*done)(const char *fingerprint, const GError *error, void *data);
  void *data;
} Refusal;

static void
refuse_later(void *data)
{
  g_autofree Refusal *refusal = data;
  g_autoptr(GError) error = g_error_new_literal(
      RELAY_ERROR,
      RELAY_ERROR_CONFIG,
      "name the hub: --hub https://HOST[:PORT] (the one of agent.conf, where "
      "it has a [hub] url)");

  refusal->done(NULL, error, refusal->data);
}

void
relay_enrol(Relay *relay,
            const char *url,
            const char *fingerprint,
            void (*done)(const char *fingerprint,
                         const GError *error,
                         void *data),
            void *data)
{
  Enrolment *enrolment;

  if (!url)
    url = relay->configured;
  if (!url || !is_hub_url(url) ||
      (relay->configured && !g_str_equal(relay->configured, url))) {
    Refusal *refusal = g_new0(Refusal, 1);

    *refusal = (Refusal){done, data};
    loop_defer(relay->loop, refuse_later, refusal);
    return;
  }
  enrolment = g_new0(Enrolment, 1);
  *enrolment = (Enrolment){.relay = relay,
                           .url = g_strdup(url),
                           .fingerprint = g_strdup(fingerprint),
                           .done = done,
                           .data = data};
  call_start(
      relay,
      &(CallSpec){.url = url, .method = "GET", .path = "/v1/hub", .open = true},
      on_hub,
      enrolment);
}

/* ---- asking ---------------------------------------------------------------
 */

typedef struct {
  void (*done)(const char *json, const GError *error, void *data);
  void *data;
} Asking;

static void
on_answer(const char *json, size_t len, const GError *error, void *data)
{
  g_autofree Asking *asking = data;

  (void)len;
  asking->done(json, error, asking->data);
}

void
relay_ask(Relay *relay,
          const char *method,
          const char *path,
          const char *body,
          void (*done)(const char *json, const GError *error, void *data),
          void *data)
{
  Asking *asking = g_new0(Asking, 1);

  *asking = (Asking){done, data};
  call_start(relay,
             &(CallSpec){.url = relay->url ? relay->url : "",
                         .method = method,
                         .path = path,
                         .body = body},
             on_answer,
             asking);
}
