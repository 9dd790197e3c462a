/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials that the hub lends: asked for with the machine's signature, asked
 * again long before they end, given back when the hub says no. */
#include "kit/clock.h"
#include "kit/json-put.h"
#include "kit/json.h"
#include "relay/private.h"
#include <string.h>

/* Nobody lends for longer, whatever a hub says. */
#define MAX_LEND_US (INT64_C(30) * 60 * 1000000)
/* After it could not be asked. */
#define RETRY_MS 15000
/* After it said no: groups change, and nobody tells. */
#define REFUSED_MS 60000
/* Not all agents at once. */
#define SOON_MS 500

typedef struct {
  Relay *relay;
  char *name;
  Call *call;
  LoopTimer *timer;
  bool again; /* there is news since it was asked */
} Loan;

static void
loan_free(void *data)
{
  Loan *loan = data;

  call_cancel(loan->call);
  loop_timer_free(loan->timer);
  g_free(loan->name);
  g_free(loan);
}

/* The value of a member of the one object, as it stands; false: it is not
 * there, or twice. */
static bool
find_member(const char *json,
            size_t len,
            const char *name,
            JsonType type,
            JsonToken *out)
{
  JsonReader reader;
  JsonToken token;
  unsigned found = 0;

  json_reader_init(&reader, json, len);
  while (json_next(&reader, &token, NULL)) {
    if (token.type == JSON_END)
      return found == 1 && out->type == type;
    if (token.type != JSON_KEY || token.depth != 1 ||
        !json_token_is(json, &token, name))
      continue;
    if (!json_next(&reader, out, NULL))
      return false;
    found++;
  }
  return false;
}

/* NULL: the answer is none. It goes from the answer into locked memory, and
 * nowhere else. */
static Secret *
read_answer(const char *json, size_t len, int64_t *until_us)
{
  const int64_t latest = clock_wall_us() + MAX_LEND_US;
  JsonToken secret, expires;
  g_autofree char *number = NULL;
  guint64 value;

  if (!find_member(json, len, "secret", JSON_STRING, &secret) ||
      !find_member(json, len, "expires_us", JSON_NUMBER, &expires) ||
      secret.escaped || secret.end - secret.start <= 2)
    return NULL;
  number = g_strndup(json + expires.start, expires.end - expires.start);
  if (!g_ascii_string_to_unsigned(number, 10, 1, INT64_MAX, &value, NULL))
    return NULL;
  *until_us = MIN((int64_t)value, latest);
  return secret_new(json + secret.start + 1, secret.end - secret.start - 2);
}

static void
on_lent(const char *json, size_t len, const GError *error, void *data)
{
  Loan *loan = data;
  Relay *relay = loan->relay;
  int64_t until_us = 0;
  g_autoptr(Secret) secret = json ? read_answer(json, len, &until_us) : NULL;
  int wait = RETRY_MS;

  loan->call = NULL;
  if (secret) {
    const int64_t left_ms = (until_us - clock_wall_us()) / 1000;

    relay->lent(loan->name, secret, until_us, NULL, relay->data);
    wait = (int)CLAMP(left_ms / 2, 1000, G_MAXINT);
  } else if (!error) {
    relay->lent(
        loan->name, NULL, 0, "the hub's answer is no credential", relay->data);
  } else if (!g_error_matches(error, RELAY_ERROR, RELAY_ERROR_UNREACHABLE)) {
    relay->lent(loan->name, NULL, 0, error->message, relay->data);
    wait = REFUSED_MS;
  }
  if (loan->again)
    wait = 0;
  loan->again = false;
  loop_timer_set(loan->timer,
                 wait - wait / 8 + g_random_int_range(0, wait / 8 + 1));
}

static void
ask(void *data)
{
  Loan *loan = data;
  Relay *relay = loan->relay;
  g_autoptr(GString) body = NULL;

  if (loan->call)
    return;
  if (!relay->url) {
    relay->lent(loan->name,
                NULL,
                0,
                "this machine is not enrolled: hoop-agent enrol",
                relay->data);
    return;
  }
  body = g_string_new("{");
  json_put_text(body, "name", loan->name);
  json_put_number(body, "at_us", clock_wall_us());
  g_string_append_c(body, '}');
  loan->call = call_start(relay,
                          &(CallSpec){.url = relay->url,
                                      .method = "POST",
                                      .path = "/v1/credentials",
                                      .body = body->str,
                                      .sign = true},
                          on_lent,
                          loan);
}

void
relay_borrow(Relay *relay, const char *name)
{
  Loan *loan = g_new0(Loan, 1);

  loan->relay = relay;
  loan->name = g_strdup(name);
  loan->timer = loop_timer_new(relay->loop, ask, loan);
  g_ptr_array_add(relay->loans, loan);
  loop_timer_set(loan->timer, 0);
}

void
loans_init(Relay *relay)
{
  relay->loans = g_ptr_array_new_with_free_func(loan_free);
}

void
loans_look(Relay *relay)
{
  for (guint i = 0; i < relay->loans->len; i++) {
    Loan *loan = relay->loans->pdata[i];

    if (loan->call)
      loan->again = true;
    else
      loop_timer_set(loan->timer, g_random_int_range(0, SOON_MS));
  }
}

void
loans_stop(Relay *relay)
{
  g_ptr_array_unref(relay->loans);
}
