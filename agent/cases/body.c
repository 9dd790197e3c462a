/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and bodies without traffic: what they stand for, and every verdict. */
#include "cases/cases.h"
#include "kit/json.h"
#include <json-c/json.h>
#include <string.h>

/* ---- Bodies ---------------------------------------------------------------
 */

/* The shape of a body, by its top members; plain text is no JSON object. */
static Api
guess_api(struct json_object *json)
{
  static const struct {
    const char *member;
    Api api;
  } shapes[] = {
      {"anthropic_version", API_MESSAGES},
      {"max_tokens_to_sample", API_MESSAGES},
      {"messages", API_CHAT},
      {"choices", API_CHAT},
      {"input", API_RESPONSES},
      {"output", API_RESPONSES},
      {"prompt", API_COMPLETIONS},
      {"jsonrpc", API_MCP},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(shapes); i++)
    if (json_object_object_get_ex(json, shapes[i].member, NULL))
      return shapes[i].api;
  return API_OTHER;
}

/* A text becomes the one message of a chat. */
static GBytes *
as_chat(const char *text, size_t len, Direction direction)
{
  g_autoptr(GString) out =
      g_string_new(direction == DIRECTION_REQUEST
                       ? "{\"messages\":[{\"role\":\"user\",\"content\":\""
                       : "{\"choices\":[{\"index\":0,\"message\":{\"role\":"
                         "\"assistant\",\"content\":\"");

  json_escape(out, text, (gssize)len);
  g_string_append(out, direction == DIRECTION_REQUEST ? "\"}]}" : "\"}}]}");
  return g_bytes_new(out->str, out->len);
}

/* What begins as an object is JSON, and refused as such when it is broken. */
GBytes *
cases_body(const char *text, size_t len, Direction direction, int *api)
{
  g_autofree char *copy = g_strndup(text, len);
  bool object = copy[strspn(copy, " \t\r\n")] == '{';
  struct json_object *json = object ? json_tokener_parse(copy) : NULL;

  if (*api < 0)
    *api = json ? (int)guess_api(json) : (int)API_CHAT;
  json_object_put(json);
  return object ? g_bytes_new(text, len) : as_chat(text, len, direction);
}

/* ---- Verdicts -------------------------------------------------------------
 */

static void
free_verdict(gpointer data)
{
  verdict_free(data);
}

GPtrArray *
cases_judge(const Bench *bench,
            const Subject *subject,
            const Inspection *inspection,
            bool explain,
            JudgeRate rate,
            void *rate_data)
{
  GPtrArray *verdicts = g_ptr_array_new_with_free_func(free_verdict);
  const ToolCall *calls;
  unsigned n;

  g_ptr_array_add(
      verdicts,
      judge_body(bench->policy, subject, inspection, explain, rate, rate_data));
  calls = inspection_tool_calls(inspection, &n);
  if (inspection_direction(inspection) != DIRECTION_RESPONSE)
    return verdicts;
  for (unsigned i = 0; i < n; i++)
    g_ptr_array_add(
        verdicts,
        judge_tool_call(
            bench->policy, subject, &calls[i], bench->scratch, explain));
  return verdicts;
}

const Verdict *
cases_strongest(const GPtrArray *verdicts)
{
  const Verdict *strongest = verdicts->pdata[0];

  for (guint i = 1; i < verdicts->len; i++)
    if (verdict_action(verdicts->pdata[i]) > verdict_action(strongest))
      strongest = verdicts->pdata[i];
  return strongest;
}
