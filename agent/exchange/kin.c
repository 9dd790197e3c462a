/* SPDX-License-Identifier: Apache-2.0 */
/* What one message of a person makes their client send besides: a conversation
 * title asked for with the same words, a second try in another form. A denial
 * counts for these, too. It only ever denies more. */
#include "exchange/state.h"
#include <string.h>

/* One for all requests that a person's message leads to, by the clients that
 * say so: X-Interaction-Id of GitHub Copilot's. */
#define INTERACTION "x-interaction-id"
/* With more than these it is asked about again. */
#define MAX_COVERED 64

/* What it is held for: each rule that asks, each value that was found. NULL:
 * too much to compare. */
static GHashTable *
covered(const Exchange *exchange)
{
  g_autoptr(GHashTable) set =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  const PolicyRule *const *rules;
  const InspectField *fields;
  const Finding *findings;
  unsigned n;

  rules = verdict_approvals(exchange->verdict, &n);
  for (unsigned i = 0; i < n; i++)
    g_hash_table_add(set, g_strconcat("rule ", rules[i]->id, NULL));
  fields = inspection_fields(exchange->inspection, &n);
  findings = inspection_findings(exchange->inspection, &n);
  if (n > MAX_COVERED)
    return NULL;
  for (unsigned i = 0; i < n; i++) {
    char fingerprint[FINGERPRINT_SIZE];

    masker_fingerprint(exchange->env->masker,
                       fields[findings[i].field].text + findings[i].start,
                       findings[i].end - findings[i].start,
                       fingerprint);
    g_hash_table_add(set, g_strconcat("value ", fingerprint, NULL));
  }
  return g_hash_table_size(set) <= MAX_COVERED ? g_steal_pointer(&set) : NULL;
}

static bool
interaction_key(const Exchange *exchange, uint8_t key[SHA256_LEN])
{
  const char *id = http_headers_get(exchange->request->headers, INTERACTION);
  const char *parts[] = {"interaction",
                         exchange->client,
                         exchange->person->issuer,
                         exchange->person->subject,
                         exchange->person->user,
                         connection_name(exchange->connection),
                         id};
  g_autoptr(Sha256) sha = NULL;

  if (!id || !*id)
    return false;
  sha = sha256_new();
  for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++)
    sha256_update(
        sha, parts[i] ? parts[i] : "", parts[i] ? strlen(parts[i]) + 1 : 1);
  sha256_peek(sha, key);
  return true;
}

void
kin_deny(Exchange *exchange, const char *message)
{
  uint8_t key[SHA256_LEN];
  GHashTable *set;

  if (!interaction_key(exchange, key))
    return;
  set = covered(exchange);
  if (set)
    refused_add_all(exchange->env->refused,
                    key,
                    message,
                    set,
                    loop_now_us(exchange->env->loop));
}

const char *
kin_denied(Exchange *exchange)
{
  g_autoptr(GHashTable) set = NULL;
  uint8_t key[SHA256_LEN];

  if (!interaction_key(exchange, key))
    return NULL;
  set = covered(exchange);
  return set ? refused_find_all(exchange->env->refused,
                                key,
                                set,
                                loop_now_us(exchange->env->loop))
             : NULL;
}
