/* SPDX-License-Identifier: Apache-2.0 */
/* Access tokens where they arrive: finds the issuer that a token names, keeps
 * that issuer's keys, and lets the ID token's checks judge it. */
#include "document/document.h"
#include "identity/claims.h"
#include "identity/id-token.h"
#include "identity/metadata.h"
#include "identity/web.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
/* As for ID tokens: keys are withdrawn rarely; invented kids must not make us a
 * nuisance; clocks differ a little. */
#define FRESH_US (3600 * US_PER_S)
#define REFETCH_US (60 * US_PER_S)
#define RETRY_US (5 * US_PER_S)
#define LEEWAY_S 60
/* Checks that wait for one issuer's keys. */
#define MAX_WAITING 4096

typedef struct {
  AccessGate *gate;
  IssuerOptions issuer; /* strings are its own */
  char *texts[5];
  Upstream *upstream;
  KeySet *keys;
  int64_t keys_us, asked_us; /* CLOCK_BOOTTIME; 0: never */
  WebCall *web;
  char *problem;      /* of the last fetch, or NULL */
  GPtrArray *waiting; /* AccessCheck */
} Source;

struct access_gate {
  Loop *loop;
  char *audience;
  Source *sources;
  unsigned n_sources;
  GPtrArray *ready; /* AccessCheck: done is due */
  LoopTimer *timer;
};

struct access_check {
  AccessGate *gate;
  Secret *token;
  void (*done)(const Person *person, const GError *error, void *data);
  void *data;
  const Person *person;
  GError *error;
};

/* ---- one check ------------------------------------------------------------
 */

static void
check_free(AccessCheck *check)
{
  secret_unref(check->token);
  if (check->person)
    person_unref(check->person);
  g_clear_error(&check->error);
  g_free(check);
}

static void
make_ready(AccessCheck *check)
{
  g_ptr_array_add(check->gate->ready, check);
  loop_timer_set(check->gate->timer, 0);
}

static void
refuse(AccessCheck *check, IdentityErrorCode code, const char *why)
{
  g_set_error_literal(&check->error, IDENTITY_ERROR, code, why);
  make_ready(check);
}

/* The issuer that the token says it is of, before anything of it is believed.
 */
static char *
named_issuer(const char *token)
{
  const char *first = strchr(token, '.');
  const char *second = first ? strchr(first + 1, '.') : NULL;
  const size_t len = second ? (size_t)(second - first - 1) : 0;
  g_autofree char *json = NULL;
  g_autoptr(Document) claims = NULL;
  size_t n;

  if (len == 0 || len > ID_TOKEN_MAX_BYTES)
    return NULL;
  json = g_malloc(len * 3 / 4 + 2);
  if (!base64url_decode(first + 1, len, (uint8_t *)json, &n))
    return NULL;
  claims = document_parse(json, n, NULL);
  return g_strdup(claims ? document_text(claims, "iss") : NULL);
}

static Source *
source_of(AccessGate *gate, const char *token)
{
  g_autofree char *issuer = named_issuer(token);

  for (unsigned i = 0; issuer && i < gate->n_sources; i++)
    if (g_str_equal(gate->sources[i].issuer.issuer, issuer))
      return &gate->sources[i];
  return NULL;
}

static int64_t
expiry_us(const char *claims)
{
  Fields fields;
  int64_t exp = 0;

  if (fields_read(&fields, claims, strlen(claims), NULL))
    fields_number(&fields, "exp", &exp);
  return exp * US_PER_S;
}

/* The keys are there. */
static void
judge(const Source *source, AccessCheck *check)
{
  const IdTokenExpect expect = {.issuer = source->issuer.issuer,
                                .client_id = check->gate->audience,
                                .now = clock_wall_us() / US_PER_S,
                                .leeway = LEEWAY_S,
                                .access = true};
  g_autoptr(GError) why = NULL;
  g_autofree char *claims =
      id_token_check(source->keys, secret_text(check->token), &expect, &why);

  if (claims) {
    check->person = claims_person(
        &source->issuer, claims, NULL, expiry_us(claims), &check->error);
  } else {
    const char *text = why->message;

    if (g_str_has_prefix(text, "ID token"))
      text += strlen("ID token");
    g_set_error(&check->error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_TOKEN,
                "access token%s",
                text);
  }
  make_ready(check);
}

/* ---- an issuer's keys ------------------------------------------------------
 */

static void
settle(Source *source, char *problem)
{
  g_autoptr(GPtrArray) waiting = source->waiting;

  g_free(source->problem);
  source->problem = problem;
  source->waiting = g_ptr_array_new();
  for (guint i = 0; i < waiting->len; i++) {
    AccessCheck *check = waiting->pdata[i];

    if (source->keys)
      judge(source, check);
    else
      refuse(check, IDENTITY_ERROR_UNREACHABLE, problem);
  }
}

static void
fail(Source *source, const char *why)
{
  settle(source,
         g_strdup_printf(
             "the keys of %s cannot be had: %s", source->issuer.issuer, why));
}

static void
on_keys(const WebAnswer *answer, const GError *error, void *data)
{
  Source *source = data;
  g_autoptr(GError) why = NULL;
  KeySet *keys = NULL;

  source->web = NULL;
  if (!error && answer->status < 300)
    keys = key_set_parse(answer->fields.text, answer->fields.len, &why);
  if (!keys) {
    fail(source,
         error ? error->message
         : why ? why->message
               : "the provider refused");
    return;
  }
  key_set_free(source->keys);
  source->keys = keys;
  source->keys_us = clock_boot_us();
  settle(source, NULL);
}

static void
on_metadata(const WebAnswer *answer, const GError *error, void *data)
{
  Source *source = data;
  g_autoptr(GError) why = NULL;
  g_autoptr(Metadata) metadata = NULL;

  source->web = NULL;
  if (!error && answer->status < 300)
    metadata = metadata_read(source->issuer.issuer, &answer->fields, &why);
  if (metadata)
    source->web = web_ask(source->gate->loop,
                          source->upstream,
                          &(WebAsk){.url = metadata->jwks},
                          on_keys,
                          source,
                          &why);
  if (!source->web)
    fail(source,
         error ? error->message
         : why ? why->message
               : "the provider refused");
}

static void
fetch(Source *source)
{
  g_autofree char *url = metadata_url(source->issuer.issuer);
  g_autoptr(GError) why = NULL;

  if (source->web)
    return;
  source->asked_us = clock_boot_us();
  source->web = web_ask(source->gate->loop,
                        source->upstream,
                        &(WebAsk){.url = url},
                        on_metadata,
                        source,
                        &why);
  if (!source->web)
    fail(source, why->message);
}

static void
enter(Source *source, AccessCheck *check)
{
  const int64_t now = clock_boot_us();
  const bool has_key =
      source->keys && id_token_has_key(source->keys, secret_text(check->token));
  const bool fresh = source->keys && now - source->keys_us < FRESH_US;
  const int64_t pause = source->keys ? REFETCH_US : RETRY_US;
  const bool may_ask = source->asked_us == 0 || now - source->asked_us >= pause;

  if ((has_key && fresh) || (!may_ask && !source->web)) {
    if (source->keys)
      judge(source, check);
    else
      refuse(check, IDENTITY_ERROR_UNREACHABLE, source->problem);
    return;
  }
  if (source->waiting->len >= MAX_WAITING) {
    refuse(check, IDENTITY_ERROR_UNREACHABLE, "too many wait to be checked");
    return;
  }
  g_ptr_array_add(source->waiting, check);
  fetch(source);
}

/* ---- the gate --------------------------------------------------------------
 */

static void
on_ready(void *data)
{
  AccessGate *gate = data;
  g_autoptr(GPtrArray) ready = gate->ready;

  gate->ready = g_ptr_array_new();
  while (ready->len > 0) {
    AccessCheck *check = g_ptr_array_steal_index(ready, 0);

    if (check->done)
      check->done(check->person, check->error, check->data);
    check_free(check);
  }
}

static bool
source_init(Source *source,
            AccessGate *gate,
            const IssuerOptions *issuer,
            const UpstreamOptions *upstream,
            GError **error)
{
  UpstreamOptions options = *upstream;

  source->gate = gate;
  source->waiting = g_ptr_array_new();
  source->texts[0] = g_strdup(issuer->name);
  source->texts[1] = g_strdup(issuer->issuer);
  source->texts[2] = g_strdup(issuer->groups_claim);
  source->texts[3] = g_strdup(issuer->groups_separator);
  source->texts[4] = g_strdup(issuer->groups_prefix);
  source->issuer = (IssuerOptions){.name = source->texts[0],
                                   .issuer = source->texts[1],
                                   .groups_claim = source->texts[2],
                                   .groups_separator = source->texts[3],
                                   .groups_prefix = source->texts[4]};
  options.ca_file = issuer->ca_file;
  options.group = "identity";
  source->upstream = upstream_new(gate->loop, &options, error);
  return source->upstream != NULL;
}

AccessGate *
access_gate_new(Loop *loop,
                const IssuerOptions *issuers,
                unsigned n_issuers,
                const char *audience,
                const UpstreamOptions *upstream,
                GError **error)
{
  g_autoptr(AccessGate) gate = g_new0(AccessGate, 1);

  gate->loop = loop;
  gate->audience = g_strdup(audience);
  gate->ready = g_ptr_array_new();
  gate->timer = loop_timer_new(loop, on_ready, gate);
  gate->sources = g_new0(Source, n_issuers);
  for (unsigned i = 0; i < n_issuers; i++) {
    gate->n_sources++;
    if (!source_init(&gate->sources[i], gate, &issuers[i], upstream, error))
      return NULL;
  }
  return g_steal_pointer(&gate);
}

static void
drop_all(GPtrArray *checks)
{
  for (guint i = 0; i < checks->len; i++)
    check_free(checks->pdata[i]);
  g_ptr_array_unref(checks);
}

void
access_gate_free(AccessGate *gate)
{
  if (!gate)
    return;
  for (unsigned i = 0; i < gate->n_sources; i++) {
    Source *source = &gate->sources[i];

    web_cancel(source->web);
    drop_all(source->waiting);
    upstream_free(source->upstream);
    key_set_free(source->keys);
    g_free(source->problem);
    for (size_t j = 0; j < G_N_ELEMENTS(source->texts); j++)
      g_free(source->texts[j]);
  }
  drop_all(gate->ready);
  loop_timer_free(gate->timer);
  g_free(gate->sources);
  g_free(gate->audience);
  g_free(gate);
}

AccessCheck *
access_gate_check(AccessGate *gate,
                  const char *token,
                  void (*done)(const Person *person,
                               const GError *error,
                               void *data),
                  void *data)
{
  const size_t len = strnlen(token, ID_TOKEN_MAX_BYTES + 1);
  AccessCheck *check = g_new0(AccessCheck, 1);
  Source *source = NULL;

  *check = (AccessCheck){.gate = gate, .done = done, .data = data};
  if (len > 0 && len <= ID_TOKEN_MAX_BYTES)
    source = source_of(gate, token);
  if (!source) {
    refuse(check,
           IDENTITY_ERROR_TOKEN,
           "access token refused: it is no JWT of an issuer that is known "
           "here");
    return check;
  }
  check->token = secret_new(token, len);
  enter(source, check);
  return check;
}

void
access_check_cancel(AccessCheck *check)
{
  if (check)
    check->done = NULL;
}
