/* SPDX-License-Identifier: Apache-2.0 */
/* Token answers and clients.json: what is taken is JSON, what the client sees
 * never holds the real token, and nothing but token and endpoints changes. */
#include "conn/private.h"
#include <json-c/json.h>
#include <string.h>

#define DUMMY "tid=gho_hoop:hoop-agent"
#define HERE "https://127.0.0.1:1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_json(GBytes *body)
{
  JsonReader reader;
  JsonToken token;
  size_t len;
  const char *text = g_bytes_get_data(body, &len);

  json_reader_init(&reader, text, len);
  do
    g_assert_true(json_next(&reader, &token, NULL));
  while (token.type != JSON_END);
}

static void
check_answer(GBytes *body)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Answer) answer = answer_new(body, &error);
  g_autoptr(Answer) again = NULL;
  g_autoptr(GBytes) same = NULL;
  g_autoptr(GBytes) seen = NULL;

  if (!answer) {
    g_assert_error(error, CONN_ERROR, CONN_ERROR_CREDENTIAL);
    return;
  }
  same = answer_edit(answer, NULL, NULL);
  g_assert_true(g_bytes_equal(same, body));
  seen = answer_edit(answer, DUMMY, HERE);
  check_json(seen);
  again = answer_new(seen, &error);
  g_assert_no_error(error);
  g_assert_cmpint(!answer_token(answer), ==, !answer_token(again));
  if (answer_token(again))
    g_assert_cmpstr(secret_text(answer_token(again)), ==, DUMMY);
  if (answer_endpoint(again, "api"))
    g_assert_cmpstr(answer_endpoint(again, "api"), ==, HERE);
}

static void
check_clients(const char *text, size_t len)
{
  g_autoptr(GError) error = NULL;
  struct json_object *names = clients_parse("clients.json", text, len, &error);

  if (!names) {
    g_assert_error(error, CONN_ERROR, CONN_ERROR_CREDENTIAL);
    return;
  }
  json_object_object_foreach(names, name, value)
  {
    g_assert_true(*name);
    g_assert_cmpuint(strlen(json_object_get_string(value)), ==, 40);
  }
  json_object_put(names);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GBytes) body = g_bytes_new(data, size);

  check_answer(body);
  check_clients(size ? (const char *)data : "", size);
  return 0;
}
